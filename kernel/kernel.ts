// A running kernel: what it consists of; boot, the first program, the hart's context, the clock, the state hash.
// Not here: the loop that runs tasks (entry.ts).
import { bug, Prng, StateHash, UserError } from '#base';
import { BlockDevice } from './block/device.ts';
import type { DiskImage } from './block/image.ts';
import type { DiskLatency } from './block/latency.ts';
import type { Console } from './fs/console.ts';
import { FileTable, FsContext } from './fs/file.ts';
import { Vfs } from './fs/vfs.ts';
import { run } from './entry.ts';
import type { Machine } from './machine.ts';
import type { FileMapping } from './mm/filemap.ts';
import type { Mm } from './mm/mm.ts';
import { MmSystem } from './mm/system.ts';
import type { KernelParams } from './params.ts';
import { nsOfCycles, NS_PER_SECOND } from './proc/clock.ts';
import { rootCredentials } from './proc/credentials.ts';
import { exec, openProgram, startError } from './proc/exec.ts';
import { exitGroup } from './proc/exit.ts';
import { FutexTable } from './proc/futex.ts';
import { processesInGroup } from './proc/groups.ts';
import { hashTasks } from './proc/hash.ts';
import { ShmTable } from './ipc/shm.ts';
import { LoadAverage } from './proc/loadavg.ts';
import { Process } from './proc/process.ts';
import { defaultLimits, Rlimit } from './proc/rlimit.ts';
import { RunQueue } from './proc/sched.ts';
import { kernelInfo } from './proc/siginfo.ts';
import { sendToProcess } from './proc/signal.ts';
import { Signal, SignalHandlers } from './proc/sigset.ts';
import { Task } from './proc/task.ts';
import { makeVdso } from './proc/vdso.ts';
import { Errno, errnoName } from './syscall/errno.ts';

/** What the host hands in: the only inputs besides argv, env and files. */
export interface HostInputs {
  console: Console;
  seed: number;
  /** What the modelled clock calls now at boot, seconds since 1970. */
  epochSeconds: number;
  hostname: string;
  /** Disks of the machine, from vda on. */
  disks?: readonly DiskInput[];
}
export interface DiskInput { readonly image: DiskImage; readonly latency: DiskLatency }

/** 'input': all tasks sleep and only stdin could wake one. 'deadlock': all sleep and nothing could. */
export type RunResult = 'exited' | 'budget' | 'input' | 'deadlock' | 'breakpoint';
/** How the first program ended: exit status, or the signal that killed it (0: none did). */
export interface ExitStatus { readonly status: number; readonly signal: number }

/** 1 is the machine's own init, which owns no memory and waits for every orphan. */
const FIRST_PID = 2;
/** RESERVED_PIDS: where numbers begin again after pid_max. */
const PIDS_AFTER_WRAP = 300;
/** RAM for each task at least: eight kernel stacks of 16 KiB (kernel/fork.c: set_max_threads). */
const BYTES_PER_TASK = 8 * 16384;
/** Disks are those of virtio_blk, which Linux numbers from its dynamic majors down and gives sixteen partitions each. */
const VIRTIO_BLK_MAJOR = 254;
const MINORS_PER_DISK = 16;
/** A program that misbehaves without end fills no host memory with messages. */
const MAX_LOG_LINES = 1000;

export class Kernel {
  readonly machine: Machine;
  readonly params: KernelParams;
  readonly host: HostInputs;
  readonly system: MmSystem;
  readonly vfs: Vfs;
  readonly vdso: FileMapping;
  /** Every task by thread id, zombies included. */
  readonly tasks = new Map<number, Task>();
  /** Every process by thread-group id, zombies included. */
  readonly processes = new Map<number, Process>();
  /** The task whose turn it is; null while all sleep. */
  current: Task | null = null;
  /** getrandom, AT_RANDOM, /dev/urandom. */
  readonly random: Prng;
  /** Messages for the user, in Linux's words where Linux has them; tools drain it. */
  readonly log: string[] = [];
  private logLines = 0;
  /** Calls that were tried and do not exist, by number: their names. */
  readonly syscallWarnings = new Map<number, string>();
  /** The program that start() began: the machine ends with it. */
  first: Process | null = null;
  exitStatus: ExitStatus | null = null;

  /** uname(2)'s names, which programs may set. */
  hostname: string;
  domainname = '(none)';

  readonly runQueue = new RunQueue();
  readonly futexes = new FutexTable();
  /** Tasks whose sleep has a deadline; may hold some that were woken otherwise meanwhile. */
  readonly timedSleepers = new Set<Task>();
  /** Processes with a timer that runs, or a CPU limit. */
  readonly armed = new Set<Process>();
  /** Whether the task on the hart is in its program, with nothing left to do for it. */
  isInUser = false;
  /** The idle task has the hart: nobody is runnable. */
  isIdle = false;
  /** Retired instructions at which the kernel takes the hart back: end of slice, or a deadline. */
  stopAt = 0;
  /** Whose registers are on the hart; its `context` is out of date then. */
  loadedTask: Task | null = null;
  private activeMm: Mm | null = null;
  private accountedTo = 0;
  /** Cycles in which no task was runnable. */
  idleCycles = 0;
  readonly load = new LoadAverage();
  readonly shm = new ShmTable(this);
  private nextTid = FIRST_PID;
  /** What CLOCK_REALTIME is ahead of the clock of boot, set by clock_settime(2): whole seconds and nanoseconds. */
  private epoch: { seconds: number; nanoseconds: number };

  constructor(machine: Machine, params: KernelParams, host: HostInputs) {
    this.machine = machine;
    this.params = params;
    this.host = host;
    this.hostname = host.hostname;
    this.random = new Prng(host.seed, 'kernel-random');
    this.epoch = { seconds: host.epochSeconds, nanoseconds: 0 };
    this.system = new MmSystem(machine, params);
    for (const [i, { image, latency }] of (host.disks ?? []).entries()) {
      this.system.addDisk(new BlockDevice(this.system, image, latency, `vd${String.fromCharCode(97 + i)}`, VIRTIO_BLK_MAJOR, i * MINORS_PER_DISK));
    }
    this.vfs = new Vfs(this.system, this);
    this.vdso = makeVdso(this.system) ?? bug('no memory for the vDSO after boot');
  }

  /** One past the highest user address that programs are given without asking: 2^38, or 2^47 (Sv48 and Sv57). */
  get taskSize(): number {
    return this.machine.sv === 39 ? 2 ** 38 : 2 ** 47;
  }
  /** Tasks there may be at once. */
  get maxTasks(): number {
    const { threads_max, pid_max } = this.params.vm;
    const byMemory = Math.max(64, Math.floor(this.system.memTotalBytes / BYTES_PER_TASK));
    return Math.min(threads_max === 0 ? byMemory : threads_max, pid_max - PIDS_AFTER_WRAP);
  }

  /** Makes the first task and gives it a program of the guest's root. Call once, then run().
   *  Throws UserError: 127 when there is no such program, 126 when it cannot be run, each with one sentence. */
  start(argv: readonly string[], env: readonly string[], path: string): void {
    if (this.first !== null) bug('start() called twice');
    const file = openProgram(this, null, path);
    if (typeof file === 'number') throw cannotOpen(path, -file);
    const tid = this.allocateTid() ?? bug('no task number at boot');
    const t = new Task(tid);
    const p = new Process(tid, null);
    p.leader = t;
    p.group = this.system.memcg.active;
    p.limits = defaultLimits(this.maxTasks);
    p.threads.push(t);
    p.exitSignal = 17;
    t.process = p;
    t.handlers = new SignalHandlers();
    t.credentials = rootCredentials();
    t.fs = new FsContext(this.vfs.root);
    t.files = new FileTable();
    t.hasFiles = true;
    this.vfs.openStandardStreams(t.files);
    this.host.console.tty.foreground = this.host.console.tty.session = tid;
    t.runQueue = this.runQueue;
    t.startCycle = this.machine.clockCycles;
    const error = exec(this, t, { file, path, argv, env });
    if (error !== null) throw startError(path, error);
    this.tasks.set(tid, t);
    this.processes.set(tid, p);
    this.first = p;
    t.makeRunnable();
  }

  /** Runs until the first program has ended, until all tasks sleep, or for exactly `budgetInstrs` instructions. */
  run(budgetInstrs: number): RunResult {
    return run(this, budgetInstrs);
  }

  /** A signal from the terminal, to every process of a group (Ctrl-C: SIGINT to the foreground group). */
  signalGroup(pgid: number, signo: number): void {
    for (const p of processesInGroup(this, pgid)) sendToProcess(this, p, kernelInfo(signo));
    this.interruptHart();
  }
  /** Something came from outside between two runs, input or a signal: the kernel takes the hart back at the next instruction, as from a
   *  device's interrupt. Without it a program that makes no system call would keep the hart from those that were woken. */
  interruptHart(): void {
    this.stopAt = Math.min(this.stopAt, this.machine.instret);
  }

  killProcess(p: Process): void {
    exitGroup(this, p, Signal.KILL);
  }
  /** Adds a message for the user. */
  say(line: string): void {
    if (this.logLines < MAX_LOG_LINES) this.log.push(line);
    if (this.logLines === MAX_LOG_LINES) this.log.push('further kernel messages are left out');
    this.logLines++;
  }

  /** The next free thread id, in Linux's order: upwards, then again from 300. Null: none is free. */
  allocateTid(): number | null {
    const max = this.params.vm.pid_max;
    for (let tries = 0; tries < max; tries++) {
      if (this.nextTid >= max) this.nextTid = PIDS_AFTER_WRAP;
      const tid = this.nextTid++;
      if (!this.isIdInUse(tid)) return tid;
    }
    return null;
  }
  /** A number also stays taken while it names a group or a session. */
  private isIdInUse(id: number): boolean {
    if (this.tasks.has(id) || this.processes.has(id)) return true;
    for (const p of this.processes.values()) if (p.pgid === id || p.sid === id) return true;
    return false;
  }

  // --- The hart's context ---

  /** Brings the hart to this task: registers and address space. */
  useContext(t: Task): void {
    if (this.loadedTask !== t) {
      if (this.loadedTask !== null) this.machine.saveContext(this.loadedTask.context);
      this.machine.loadContext(t.context);
      this.machine.clearReservation();
      this.loadedTask = t;
    }
    t.mm.counts = t;
    t.mm.ranSinceWalk = true;
    this.system.runningMm = t.mm;
    this.system.memcg.active = t.process.group;
    if (this.activeMm !== t.mm) {
      t.mm.activate();
      this.activeMm = t.mm;
    }
  }
  /** Makes t.context true: copies the registers out if they are on the hart. */
  saveContext(t: Task): void {
    if (this.loadedTask === t) this.machine.saveContext(t.context);
  }
  /** What the hart holds is no longer this task's: its context was replaced, or it is gone. */
  forgetContext(t: Task): void {
    if (this.loadedTask === t) this.loadedTask = null;
  }
  forgetMm(mm: Mm): void {
    if (this.activeMm === mm) this.activeMm = null;
  }

  // --- Time ---

  /** Time starts to count for the current task. */
  startTime(): void {
    this.accountedTo = this.machine.clockCycles;
  }
  /** What has passed since the last reckoning was kernel work for `t`; nothing happens when it is not its turn. */
  accountTime(t: Task): void {
    if (this.current !== t) return;
    t.systemCycles += this.machine.clockCycles - this.accountedTo;
    this.accountedTo = this.machine.clockCycles;
  }
  accountUserTime(t: Task): void {
    t.userCycles += this.machine.clockCycles - this.accountedTo;
    this.accountedTo = this.machine.clockCycles;
  }

  /** Nanoseconds since boot: CLOCK_MONOTONIC. */
  uptimeNs(): number {
    return nsOfCycles(this.machine.clockCycles);
  }
  /** CLOCK_REALTIME. Nanoseconds since 1970 would not be exact, so whole seconds and the rest. */
  realtime(): { seconds: number; nanoseconds: number } {
    const ns = this.uptimeNs();
    const nanoseconds = (ns % NS_PER_SECOND) + this.epoch.nanoseconds;
    const carry = nanoseconds >= NS_PER_SECOND ? 1 : 0;
    return { seconds: this.epoch.seconds + Math.floor(ns / NS_PER_SECOND) + carry, nanoseconds: nanoseconds - carry * NS_PER_SECOND };
  }
  /** clock_settime(CLOCK_REALTIME). */
  setRealtime(seconds: number, nanoseconds: number): void {
    const ns = this.uptimeNs();
    const rest = nanoseconds - (ns % NS_PER_SECOND);
    const borrow = rest < 0 ? 1 : 0;
    this.epoch = { seconds: seconds - Math.floor(ns / NS_PER_SECOND) - borrow, nanoseconds: rest + borrow * NS_PER_SECOND };
  }
  /** The clock cycle at which CLOCK_REALTIME shows this. */
  cycleOfRealtime(seconds: number, nanoseconds: number): number {
    return (seconds - this.epoch.seconds) * NS_PER_SECOND + nanoseconds - this.epoch.nanoseconds;
  }

  hasCpuLimit(p: Process): boolean {
    const { cur, max } = p.limits[Rlimit.Cpu]!;
    return Math.min(cur, max) !== Number.POSITIVE_INFINITY;
  }

  /** Adds all kernel state that decides what happens next and is not in RAM: memory tables, files, tasks, signals, timers. */
  hash(into: StateHash): void {
    if (this.loadedTask !== null) this.saveContext(this.loadedTask);
    this.system.hash(into);
    this.vfs.hash(into);
    this.shm.hash(into);
    hashTasks(this, into);
    this.load.hash(into);
    into.int32s(this.random.state);
    into.number(this.machine.clockCycles);
    into.number(this.machine.instret);
    into.numbers([this.epoch.seconds, this.epoch.nanoseconds, this.nextTid, this.idleCycles, this.stopAt]);
  }
}

function cannotOpen(path: string, errno: number): UserError {
  switch (errno) {
    case Errno.ENOENT:
    case Errno.ENOTDIR:
      return new UserError(`${path}: no such program in the guest's root. Bring it in with --file HOST:GUEST or --root DIR.`, 127);
    case Errno.EACCES:
      return new UserError(`${path}: not an executable file (a directory, a device, or without the x bit: chmod +x).`, 126);
    default:
      return new UserError(`${path}: cannot be opened (${errnoName(errno)}).`, 126);
  }
}
