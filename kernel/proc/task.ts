// A task: what Linux calls task_struct, one thread of a program. Here: its state and how it sleeps. Not here: what the threads of a program
// share (process.ts), how a task is made (fork.ts) and ends (exit.ts), which task runs (sched.ts), signals (signal.ts).
import type { FileTable, FsContext } from '../fs/file.ts';
import { CONTEXT_WORDS } from '../machine.ts';
import type { Mm } from '../mm/mm.ts';
import type { UserMemory } from '../mm/uaccess.ts';
import { Interrupted } from '../syscall/row.ts';
import type { Credentials } from './credentials.ts';
import type { FutexWaiter } from './futex.ts';
import type { Process } from './process.ts';
import type { RunQueue } from './sched.ts';
import { PendingSignals, type SigInfo, type SignalHandlers } from './sigset.ts';
import type { WaitQueue } from './wait.ts';

export const TaskState = { Runnable: 0, Sleeping: 1, Stopped: 2, Zombie: 3, Dead: 4 } as const;
export type TaskState = (typeof TaskState)[keyof typeof TaskState];

/** Fault counts of one task, as /proc/self/stat fields 10 and 12 and getrusage give them. mm adds to it. */
export interface FaultCounts { minFlt: number; majFlt: number }

/** An alternate signal stack; flags are SS_* as sigaltstack(2) last set them. */
export interface AltStack { sp: number; size: number; flags: number }

/** A system call that has not answered yet: it runs again, from these, when its task is woken. */
export interface PendingCall { nr: number; args: readonly number[] }

/** A robust futex list as set_robust_list(2) registered it. */
export interface RobustList { head: number; len: number }

export class Task implements FaultCounts {
  /** Thread id. Changes once in a life at most: execve() by a thread makes it the leader. */
  tid: number;
  /** pc, x1..x31, f0..f31, fcsr while the task is not on the hart. */
  readonly context = new BigInt64Array(CONTEXT_WORDS);
  state: TaskState = TaskState.Runnable;
  minFlt = 0;
  majFlt = 0;
  /** A blocked handler's own notes for its next run (a deadline already computed, bytes already moved); null at a fresh system call. */
  restart: Record<string, number> | null = null;
  /** Clock cycle at which a sleep ends by itself; null: never. */
  deadline: number | null = null;
  /** Set by wake() when the deadline ended the sleep, so that the handler can answer ETIMEDOUT or 0. */
  timedOut = false;
  /** The call that is asleep or about to run again; null while the program's own instructions run. */
  pendingCall: PendingCall | null = null;
  /** What a signal does to the call that is asleep: the table's word for it, unless the handler knows better (a futex with a timeout). */
  interrupted: Interrupted = Interrupted.Restart;
  private readonly queues: WaitQueue[] = [];

  /** Valid while hasMm: from the first execve or clone to the exit. */
  declare mm: Mm;
  hasMm = false;
  /** The kernel's access to this task's memory: may fault like the program. */
  declare user: UserMemory;
  /** These two are valid while hasFiles: until the exit. */
  declare files: FileTable;
  declare fs: FsContext;
  hasFiles = false;
  /** What it shares with the other threads of its program. */
  declare process: Process;
  /** Signal actions; shared under CLONE_SIGHAND. */
  declare handlers: SignalHandlers;
  declare credentials: Credentials;

  /** At most 15 bytes: the program's base name, or what prctl(PR_SET_NAME) gave. */
  comm = '';
  /** Blocked signals; bit n-1 is signal n. */
  blocked = 0n;
  /** The mask to come back to when a call with a temporary one (sigsuspend, ppoll) ends; null: none is in force. */
  savedMask: bigint | null = null;
  /** Signals that sigtimedwait unblocked for its sleep: not to be dropped as ignored meanwhile (Linux's real_blocked). */
  realBlocked = 0n;
  /** The last signal that was taken for it, as a debugger asks: Linux's last_siginfo. */
  lastSiginfo: SigInfo | null = null;
  /** A debugger keeps the next signal of each of these numbers from the program; bit n-1 is signal n. */
  keptSignals = 0n;
  /** A debugger lets it stand still: it is runnable and gets no turn. */
  isHeld = false;
  /** Signals sent to this thread alone. */
  readonly pending = new PendingSignals();
  /** Some unblocked signal waits: a sleeping handler may give up with what it has. Linux's TIF_SIGPENDING. */
  signalPending = false;
  altStack: AltStack = { sp: 0, size: 0, flags: 2 };

  /** CLONE_CHILD_CLEARTID: this word is zeroed and its futex woken when the task ends; 0: none. */
  clearChildTid = 0;
  /** CLONE_CHILD_SETTID: this word gets the tid when the task first runs; 0: none. */
  setChildTid = 0;
  robustList: RobustList | null = null;
  /** Its place on a futex's queue. */
  futex: FutexWaiter | null = null;
  /** Somebody's vfork() sleeps on this queue until this task has another address space or is gone; null: nobody. */
  vforkQueue: WaitQueue | null = null;

  /** Where it waits for the hart when it becomes runnable. */
  runQueue: RunQueue | null = null;
  /** A page fault that waits for I/O: it is taken up again, in the kernel, when the task runs. access: a FaultAccess; null: none. */
  pendingFault: { readonly va: number; readonly access: 0 | 1 | 2 } | null = null;
  /** Instructions left of its time slice. */
  sliceLeft = 0;
  /** Clock cycles it has used in user mode and in the kernel. */
  userCycles = 0;
  systemCycles = 0;
  voluntarySwitches = 0;
  involuntarySwitches = 0;
  /** Clock cycle at which the task was made. */
  startCycle = 0;
  nice = 0;
  timerSlackNs = 50_000;
  /** SCHED_*, kept for sched_getscheduler(2): all tasks take turns. */
  policy = 0;
  rtPriority = 0;
  /** wait status word once it is a zombie. */
  exitCode = 0;

  constructor(tid: number) {
    this.tid = tid;
  }

  get tgid(): number {
    return this.process.tgid;
  }
  /** The parent process's id; 0 has no parent. */
  get ppid(): number {
    return this.process.parentPid;
  }
  get isLeader(): boolean {
    return this.tid === this.process.tgid;
  }

  /** Puts the task to sleep; the caller returns BLOCK. @param deadline absolute clock cycle, or null */
  sleepOn(queues: readonly WaitQueue[], deadline: number | null = null): void {
    this.state = TaskState.Sleeping;
    this.deadline = deadline;
    this.timedOut = false;
    for (const queue of queues) {
      queue.add(this);
      this.queues.push(queue);
    }
  }
  wake(timedOut = false): void {
    for (const queue of this.queues) queue.remove(this);
    this.queues.length = 0;
    this.timedOut = timedOut;
    this.deadline = null;
    if (this.state === TaskState.Sleeping) this.makeRunnable();
  }
  /** Takes back a sleepOn() of the task on the hart: it goes on running. */
  cancelSleep(): void {
    this.state = TaskState.Runnable;
    this.wake();
  }
  makeRunnable(): void {
    this.state = TaskState.Runnable;
    this.runQueue?.add(this);
  }
}
