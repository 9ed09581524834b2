// A kernel on the fake machine with tasks that run no instruction: a test makes their system calls. Strings and bytes among the arguments are
// put into the task's memory first; results come back as numbers, or as the name of the errno.
import { utf8Decode, utf8Encode } from '#base';
import { Console, type ConsoleOptions } from '#kernel/fs/console.ts';
import { FileTable, FsContext } from '#kernel/fs/file.ts';
import { type DiskInput, Kernel } from '#kernel/kernel.ts';
import { Mm } from '#kernel/mm/mm.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { UserMemory } from '#kernel/mm/uaccess.ts';
import { defaultParams, type KernelParams } from '#kernel/params.ts';
import { rootCredentials } from '#kernel/proc/credentials.ts';
import { expire, nextWork } from '#kernel/proc/expiry.ts';
import { Process } from '#kernel/proc/process.ts';
import { defaultLimits } from '#kernel/proc/rlimit.ts';
import { SignalHandlers } from '#kernel/proc/sigset.ts';
import { Task, TaskState } from '#kernel/proc/task.ts';
import { BLOCK } from '#kernel/proc/wait.ts';
import { errnoName } from '#kernel/syscall/errno.ts';
import { syscallTable } from '#kernel/syscall/table.ts';
import { FakeMachine } from './fake-machine.ts';

export const AT_FDCWD = -100;
const SCRATCH_BYTES = 1 << 20;

export type Argument = number | string | Uint8Array;
/** What a call came to: its value, an errno's name, or that the task sleeps. */
export type Outcome = number | string;

export class GuestTask {
  readonly kernel: Kernel;
  readonly task: Task;
  /** Memory of the task that a test may name in arguments. */
  readonly buffer: number;
  private readonly scratch: number;
  private used = 0;

  constructor(kernel: Kernel, tid: number, parent: GuestTask | null) {
    this.kernel = kernel;
    const t = new Task(tid);
    const p = new Process(tid, parent?.task.process ?? null);
    p.leader = t;
    p.threads.push(t);
    p.limits = defaultLimits(1000);
    p.group = kernel.system.memcg.active;
    if (parent !== null) {
      p.pgid = parent.task.process.pgid;
      p.sid = parent.task.process.sid;
    }
    t.process = p;
    t.handlers = new SignalHandlers();
    t.credentials = parent === null ? rootCredentials() : { ...parent.task.credentials };
    t.fs = parent === null ? new FsContext(kernel.vfs.root) : parent.task.fs.dup();
    t.files = parent === null ? new FileTable() : parent.task.files.dup();
    t.hasFiles = true;
    t.comm = `task${tid}`;
    if (parent === null) kernel.vfs.openStandardStreams(t.files);
    const mm = Mm.create(kernel.system);
    if (mm === null) throw new Error('no memory for an address space');
    t.mm = mm;
    t.hasMm = true;
    t.user = new UserMemory(mm, t);
    const flags = MapFlag.Private | MapFlag.Anonymous;
    this.scratch = mm.mmap({ addr: 0, len: SCRATCH_BYTES, prot: Prot.Read | Prot.Write, flags, file: null, pgoff: 0 });
    this.buffer = mm.mmap({ addr: 0, len: SCRATCH_BYTES, prot: Prot.Read | Prot.Write, flags, file: null, pgoff: 0 });
    this.task = t;
    kernel.tasks.set(tid, t);
    kernel.processes.set(tid, p);
  }

  /** A child with copies of the descriptors and the working directory. */
  child(): GuestTask {
    return new GuestTask(this.kernel, Math.max(...this.kernel.tasks.keys()) + 1, this);
  }

  /** Makes a system call by name. */
  call(name: string, ...args: readonly Argument[]): Outcome {
    const row = syscallTable.find((r) => r?.name === name);
    if (row === undefined) throw new Error(`no system call ${name}`);
    this.used = 0;
    const words = [...args.map((arg) => (typeof arg === 'number' ? arg : this.place(arg))), 0, 0, 0, 0, 0, 0].slice(0, 6);
    this.task.pendingCall = { nr: row.nr, args: words };
    this.task.restart = null;
    return this.again();
  }
  /** Runs the pending call, for the first time or after it was woken. */
  again(): Outcome {
    const { task } = this;
    const call = task.pendingCall;
    if (call === null) throw new Error('no call is pending');
    this.kernel.current = task;
    const n = syscallTable[call.nr]!.run(this.kernel, task, call.args);
    if (n === BLOCK) return task.signalPending ? 'interrupted' : 'asleep';
    task.pendingCall = null;
    task.restart = null;
    return n < 0 && n > -4096 ? errnoName(-n) : n;
  }
  /** The same, and lets time pass for as long as the call sleeps. */
  patiently(name: string, ...args: readonly Argument[]): Outcome {
    let outcome = this.call(name, ...args);
    while (outcome === 'asleep') {
      this.passTime();
      outcome = this.again();
    }
    return outcome;
  }
  /** All sleep: the clock goes on until this task wakes. */
  private passTime(): void {
    const { kernel, task } = this;
    if (task.deadline !== null) kernel.timedSleepers.add(task);
    while (this.isAsleep) {
      const next = nextWork(kernel);
      if (next === Infinity) throw new Error('the task sleeps for ever');
      kernel.machine.charge(Math.max(0, next - kernel.machine.clockCycles));
      expire(kernel);
    }
  }
  get isAsleep(): boolean {
    return this.task.state === TaskState.Sleeping;
  }

  private place(arg: string | Uint8Array): number {
    const bytes = typeof arg === 'string' ? utf8Encode(`${arg}\0`) : arg;
    const at = this.scratch + this.used;
    this.used += Math.ceil(bytes.length / 16) * 16;
    if (!this.task.user.write(at, bytes)) throw new Error('scratch memory is full');
    return at;
  }
  /** Memory of the task. */
  bytes(nr: number, at = this.buffer): Uint8Array {
    const bytes = new Uint8Array(nr);
    if (!this.task.user.read(at, bytes)) throw new Error(`no memory at 0x${at.toString(16)}`);
    return bytes;
  }
  text(nr: number, at = this.buffer): string {
    return utf8Decode(this.bytes(nr, at));
  }
  words(nr: number, at = this.buffer): number[] {
    return [...new BigInt64Array(this.bytes(nr * 8, at).buffer)].map(Number);
  }

  // What most tests need.
  open(path: string, flags = 0, mode = 0o644): Outcome {
    return this.call('openat', AT_FDCWD, path, flags, mode);
  }
  /** The same where it must work. */
  fd(path: string, flags = 0, mode = 0o644): number {
    const fd = this.open(path, flags, mode);
    if (typeof fd === 'string') throw new Error(`open ${path}: ${fd}`);
    return fd;
  }
  write(fd: number, text: string): Outcome {
    return this.call('write', fd, text, utf8Encode(text).length);
  }
  /** What a read of up to `max` bytes gives: the text, or an errno's name in brackets. */
  read(fd: number, max = 4096): string {
    const n = this.call('read', fd, this.buffer, max);
    return typeof n === 'string' ? `<${n}>` : this.text(n);
  }
  /** A whole file of the guest as text. */
  cat(path: string): string {
    const bytes = this.kernel.vfs.readWhole(path);
    return typeof bytes === 'number' ? `<${errnoName(-bytes)}>` : utf8Decode(bytes);
  }
  /** Names in a directory, in its order, with '/' after directories and '@' after links. */
  ls(path: string): string {
    const fd = this.fd(path, 0o200000);
    const names: string[] = [];
    for (;;) {
      const n = this.call('getdents64', fd, this.buffer, 512);
      if (typeof n === 'string') throw new Error(n);
      if (n === 0) break;
      const bytes = this.bytes(n);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < n; at += view.getUint16(at + 16, true)) {
        const mark = bytes[at + 18] === 4 ? '/' : bytes[at + 18] === 10 ? '@' : '';
        names.push(utf8Decode(bytes, at + 19, bytes.indexOf(0, at + 19)) + mark);
      }
    }
    this.call('close', fd);
    return names.filter((name) => name !== './' && name !== '../').join(' ');
  }
}

export interface FsOptions { readonly ramBytes?: number; readonly console?: ConsoleOptions; readonly disks?: readonly DiskInput[]; readonly params?: (params: KernelParams) => void }

export function bootGuest(options: FsOptions = {}): GuestTask {
  const machine = new FakeMachine({ ramBytes: options.ramBytes ?? 32 << 20 });
  const params = defaultParams();
  options.params?.(params);
  const kernel = new Kernel(machine, params, { console: new Console(options.console), seed: 1, epochSeconds: 1_700_000_000, hostname: 'quire', disks: options.disks ?? [] });
  return new GuestTask(kernel, 2, null);
}
