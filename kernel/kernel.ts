// A running kernel: what it consists of; boot, the clock, the state hash. Not here: the loop that runs tasks (entry.ts).
import { Prng } from '#base';
import type { Console } from './fs/console.ts';
import { Vfs } from './fs/vfs.ts';
import type { Machine } from './machine.ts';
import { MmSystem } from './mm/system.ts';
import type { KernelParams } from './params.ts';
import type { Process } from './proc/process.ts';
import type { Task } from './proc/task.ts';

/** What the host hands in: the only inputs besides argv, env and files. */
export interface HostInputs {
  console: Console;
  seed: number;
  /** What the modelled clock calls now at boot, seconds since 1970. */
  epochSeconds: number;
  hostname: string;
}

export type RunResult = 'exited' | 'budget' | 'input' | 'deadlock';

export class Kernel {
  readonly machine: Machine;
  readonly params: KernelParams;
  readonly host: HostInputs;
  readonly system: MmSystem;
  readonly vfs: Vfs;
  /** Every task by thread id, zombies included. */
  readonly tasks = new Map<number, Task>();
  /** Every process by thread-group id, zombies included. */
  readonly processes = new Map<number, Process>();
  /** The task on the hart; null while all sleep. */
  current: Task | null = null;
  /** getrandom, AT_RANDOM, /dev/urandom. */
  readonly random: Prng;
  /** Messages for the user, in Linux's words where Linux has them; tools drain it. */
  readonly log: string[] = [];

  constructor(machine: Machine, params: KernelParams, host: HostInputs) {
    this.machine = machine;
    this.params = params;
    this.host = host;
    this.system = new MmSystem(machine, params);
    this.vfs = new Vfs(this.system, this);
    this.random = new Prng(host.seed, 'kernel-random');
  }

  /** Nanoseconds since boot: CLOCK_MONOTONIC. One cycle is one nanosecond (a 1 GHz core). */
  uptimeNs(): number {
    return this.machine.clockCycles;
  }
  /** Nanoseconds since 1970: CLOCK_REALTIME. Above 2^53, so as whole seconds and the rest. */
  realtime(): { seconds: number; nanoseconds: number } {
    const ns = this.uptimeNs();
    return { seconds: this.host.epochSeconds + Math.floor(ns / 1e9), nanoseconds: Math.floor(ns % 1e9) };
  }
}
