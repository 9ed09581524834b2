// One line of the system call table: what dispatcher, strace and the support page read.
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';

/** The work of a system call. @param a six arguments as signed numbers, exact below 2^53 in magnitude.
 *  @returns the value, -errno, or BLOCK after task.sleepOn(): it runs again, from the same arguments, when woken. */
export type SyscallHandler = (k: Kernel, t: Task, a: readonly number[]) => number;

/** What becomes of a sleeping call when a signal arrives before it has an answer (Linux's ERESTART codes). */
export const Interrupted = {
  /** Starts again, unless a handler without SA_RESTART runs: then EINTR. (ERESTARTSYS: read, write, wait4 ...) */
  Restart: 0,
  /** Starts again only if no handler runs, else EINTR. (ERESTARTNOHAND: ppoll, pselect6, sigsuspend) */
  NoHandler: 1,
  /** As NoHandler, and keeps its first deadline. (ERESTART_RESTARTBLOCK: nanosleep, futex with a timeout) */
  KeepDeadline: 2,
  /** EINTR at once. (epoll_pwait, sigtimedwait) */
  Eintr: 3,
  /** Only a deadly signal ends the sleep. (vfork, page waits) */
  Never: 4,
} as const;
export type Interrupted = (typeof Interrupted)[keyof typeof Interrupted];

/** A handler's answer when there is nothing to write to a0: the task has a new context, or is gone. */
export const NO_RESULT = -0x2_0000;

export interface SyscallRow {
  readonly nr: number;
  readonly name: string;
  /** Space-separated kinds of the arguments, for strace: fd dirfd path str ptr buf len int uint hex oct off flags sigset signo pid ... */
  readonly args: string;
  readonly run: SyscallHandler;
  /** Default: Interrupted.Restart. */
  readonly interrupted?: Interrupted;
}
