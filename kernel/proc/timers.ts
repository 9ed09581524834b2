// Timers that send signals: setitimer(2) and timer_create(2), on the modelled clock or on a program's own CPU time. Here: what a timer is, when
// it is due. Not here: the calls (syscall/time.ts), what happens when one is due (expiry.ts).
import type { SigInfo } from './sigset.ts';

/** What a timer counts. Real: cycles of the machine. The others: cycles of one process or thread. */
export const TimerClock = { Real: 0, ProcessUser: 1, ProcessCpu: 2, ThreadCpu: 3 } as const;
export type TimerClock = (typeof TimerClock)[keyof typeof TimerClock];

export interface KernelTimer {
  /** timer_t; -1, -2, -3 are ITIMER_REAL, VIRTUAL and PROF. */
  id: number;
  clock: TimerClock;
  /** Absolute times for it are CLOCK_REALTIME's. */
  isRealtime: boolean;
  /** Thread whose time counts (ThreadCpu), or 0. */
  clockTid: number;
  /** Reading of its clock at which it is due; null: not armed. */
  deadline: number | null;
  /** Cycles between repeats; 0: once. */
  interval: number;
  /** Signal sent; 0: none (SIGEV_NONE). */
  signo: number;
  /** SIGEV_THREAD_ID: the thread that gets it, or 0 for the program. */
  targetTid: number;
  /** sigev_value. */
  value: bigint;
  /** Its signal is on a queue: further expiries count as overruns. */
  isQueued: boolean;
  overruns: number;
  /** What timer_getoverrun(2) answers: overruns of the signal taken last. */
  lastOverruns: number;
}

export const newTimer = (id: number, clock: TimerClock, signo: number): KernelTimer =>
  ({ id, clock, isRealtime: false, clockTid: 0, deadline: null, interval: 0, signo, targetTid: 0, value: 0n, isQueued: false, overruns: 0, lastOverruns: 0 });

/** The signal of a POSIX timer leaves the queue: its siginfo learns how often the timer ran out meanwhile (POSIX 2.8.5). */
export function noteTaken(timer: KernelTimer, info: SigInfo): void {
  timer.isQueued = false;
  timer.lastOverruns = timer.overruns;
  timer.overruns = 0;
  new DataView(info.bytes.buffer).setInt32(20, Math.min(timer.lastOverruns, 0x7fff_ffff), true);
}
