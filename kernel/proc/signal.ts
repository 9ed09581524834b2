// Signals: sending them, and what a task does about them before it goes back to its program. Here: send, force, take, stop, continue; masks.
// Not here: the frame on the user's stack (sigframe.ts); system calls (syscall/signal.ts). Mirrors kernel/signal.c: prepare_signal(),
// complete_signal(), get_signal().
import { tracepoint } from '#base';
import type { Kernel } from '../kernel.ts';
import { ticksOfCycles } from './clock.ts';
import { isOrphanedGroup } from './groups.ts';
import type { Process } from './process.ts';
import { Rlimit } from './rlimit.ts';
import { ChildCode, childInfo, kernelInfo } from './siginfo.ts';
import { isSignal, NR_SIGNALS, SaFlag, SigAction, sigBit, SIGRTMIN, Signal, UNBLOCKABLE } from './sigset.ts';
import type { PendingSignals, SigInfo, SignalAction } from './sigset.ts';
import { type Task, TaskState } from './task.ts';
import { noteTaken } from './timers.ts';

export const signalGenerate = tracepoint('signal_generate', 'signal', { sig: 'dec', code: 'dec', pid: 'dec', group: 'dec' });
export const signalDeliver = tracepoint('signal_deliver', 'signal', { sig: 'dec', code: 'dec', sa_handler: 'va' });

const bits = (...signals: number[]): bigint => signals.reduce((set, n) => set | sigBit(n), 0n);
const STOPPERS = bits(Signal.STOP, Signal.TSTP, Signal.TTIN, Signal.TTOU);
const IGNORED_BY_DEFAULT = bits(Signal.CONT, Signal.CHLD, Signal.WINCH, Signal.URG);
/** Taken before others: they belong to the instruction at hand. */
const SYNCHRONOUS = bits(Signal.SEGV, Signal.BUS, Signal.ILL, Signal.TRAP, Signal.FPE, Signal.SYS);

const isIn = (set: bigint, signo: number): boolean => (set & sigBit(signo)) !== 0n;

/** Would the task drop this signal unseen? A blocked one is kept: its action may change before it is taken. */
function isIgnored(t: Task, signo: number): boolean {
  if (isIn(t.blocked | t.realBlocked, signo)) return false;
  const { handler } = t.handlers.get(signo);
  return handler === SigAction.Ignore || (handler === SigAction.Default && isIn(IGNORED_BY_DEFAULT, signo));
}

/** Sends to one thread. @returns false when there was no room to queue it (RLIMIT_SIGPENDING) */
export function sendToTask(k: Kernel, t: Task, info: SigInfo): boolean {
  return send(k, t, info, t.pending, false);
}
/** Sends to a program: some thread that does not block it will take it, the leader first. */
export function sendToProcess(k: Kernel, p: Process, info: SigInfo): boolean {
  const target = p.threads.includes(p.leader) ? p.leader : p.threads[0];
  return target === undefined ? true : send(k, target, info, p.pending, true);
}

function send(k: Kernel, t: Task, info: SigInfo, into: PendingSignals, isGroup: boolean): boolean {
  const { signo } = info;
  if (!prepare(k, t.process, t, signo)) return true;
  if (signalGenerate.enabled) signalGenerate.emit(signo, info.code, t.tid, isGroup ? 1 : 0);
  if (signo === Signal.KILL) {
    killProcess(t.process, Signal.KILL);
    return true;
  }
  if (signo < SIGRTMIN && into.has(signo)) return true;
  if (signo >= SIGRTMIN && queuedSignals(t.process) >= t.process.limits[Rlimit.Sigpending]!.cur) {
    if (info.code < 0) return false; // a siginfo that must not be lost: EAGAIN
    into.addBare(signo);
  } else {
    into.add(info);
  }
  const taker = chooseTaker(t, signo, isGroup);
  if (taker !== null) notice(taker);
  return true;
}
/** From now on every thread ends with this wait status when it next comes by; stopped and sleeping ones come by at once. */
export function killProcess(p: Process, status: number): void {
  p.groupExit ??= status;
  p.stopSignal = 0;
  for (const t of p.threads) notice(t, true);
}
const queuedSignals = (p: Process): number => p.threads.reduce((n, t) => n + t.pending.queue.length, p.pending.queue.length);

/** Stop signals and SIGCONT undo each other, whatever is done about them later. @returns whether the signal is kept at all */
function prepare(k: Kernel, p: Process, t: Task, signo: number): boolean {
  if (p.isZombie || p.groupExit !== null) return false;
  if (isIn(STOPPERS, signo)) {
    forAllPending(p, (pending) => pending.discard(sigBit(Signal.CONT)));
  } else if (signo === Signal.CONT) {
    forAllPending(p, (pending) => pending.discard(STOPPERS));
    resumeProcess(k, p);
  }
  return !isIgnored(t, signo);
}
function forAllPending(p: Process, act: (pending: PendingSignals) => void): void {
  act(p.pending);
  for (const t of p.threads) act(t.pending);
}

/** complete_signal(): the thread asked for, else any that does not block the signal. */
function chooseTaker(t: Task, signo: number, isGroup: boolean): Task | null {
  const couldTake = (other: Task): boolean => !isIn(other.blocked, signo) && other.state !== TaskState.Stopped;
  if (couldTake(t)) return t;
  const wants = (other: Task): boolean => couldTake(other) && !other.signalPending;
  return isGroup ? (t.process.threads.find(wants) ?? null) : null;
}
/** signal_wake_up(): the task looks at its signals before it runs its program again; its sleep ends. */
export function notice(t: Task, evenStopped = false): void {
  t.signalPending = true;
  if (t.state === TaskState.Sleeping) t.wake();
  else if (evenStopped && t.state === TaskState.Stopped) t.makeRunnable();
}

/** A signal that the task cannot go on without (a fault): unblocked, and deadly if ignored or blocked. Mirrors force_sig_info(). */
export function forceSignal(k: Kernel, t: Task, info: SigInfo): void {
  const action = t.handlers.get(info.signo);
  if (isIn(t.blocked, info.signo) || action.handler === SigAction.Ignore) {
    action.handler = SigAction.Default;
    t.blocked &= ~sigBit(info.signo);
  }
  sendToTask(k, t, info);
  recalcPending(t);
}
/** A frame that could not be written or read. If SIGSEGV itself was to be delivered, it is deadly now. Mirrors force_sigsegv(). */
export function forceSegv(k: Kernel, t: Task, during: number): void {
  if (during === Signal.SEGV) t.handlers.get(Signal.SEGV).handler = SigAction.Default;
  forceSignal(k, t, kernelInfo(Signal.SEGV));
}

export function recalcPending(t: Task): void {
  const p = t.process;
  const waiting = (t.pending.set | p.pending.set) & ~t.blocked;
  t.signalPending = waiting !== 0n || p.groupExit !== null || (p.stopSignal !== 0 && t.state !== TaskState.Stopped);
}
/** Sets the mask. Signals of the program that only this thread would have taken are offered to the others. */
export function setBlocked(t: Task, mask: bigint): void {
  const newlyBlocked = mask & ~t.blocked & t.process.pending.set;
  t.blocked = mask & ~UNBLOCKABLE;
  if (newlyBlocked !== 0n) offerToOthers(t, newlyBlocked);
  recalcPending(t);
}
/** retarget_shared_pending(): wakes threads that would take what `t` no longer does. */
export function offerToOthers(t: Task, which: bigint): void {
  let left = which & t.process.pending.set;
  for (const other of t.process.threads) {
    if (left === 0n) return;
    if (other === t || (left & ~other.blocked) === 0n) continue;
    left &= other.blocked;
    if (!other.signalPending) notice(other);
  }
}
/** A mask for the length of one call (sigsuspend, ppoll); harmless when the call runs again. */
export function useTemporaryMask(t: Task, mask: bigint): void {
  if (t.savedMask !== null) return;
  t.savedMask = t.blocked;
  setBlocked(t, mask);
}
export function restoreMask(t: Task): void {
  if (t.savedMask === null) return;
  const mask = t.savedMask;
  t.savedMask = null;
  setBlocked(t, mask);
}

/** Takes the next signal in `wanted`: faults first, then the lowest number; the thread's own before the program's. Null: none. */
export function takeSignal(t: Task, wanted: bigint): SigInfo | null {
  for (const pending of [t.pending, t.process.pending]) {
    const set = pending.set & wanted;
    if (set === 0n) continue;
    const signo = lowest((set & SYNCHRONOUS) !== 0n ? set & SYNCHRONOUS : set);
    const info = pending.take(signo) ?? kernelInfo(signo);
    if (info.timer !== undefined) noteTaken(info.timer, info);
    recalcPending(t);
    return info;
  }
  recalcPending(t);
  return null;
}
function lowest(set: bigint): number {
  for (let n = 1; n <= NR_SIGNALS; n++) if (isIn(set, n)) return n;
  return 0;
}

/** What getSignal() found. */
export type SignalVerdict =
  | { readonly kind: 'none' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'handler'; readonly info: SigInfo; readonly action: SignalAction };

/** Works through the task's signals until one needs a handler, or stops or ends it. Mirrors get_signal(). */
export function getSignal(k: Kernel, t: Task): SignalVerdict {
  const p = t.process;
  for (;;) {
    if (p.groupExit !== null) return { kind: 'exit', status: p.groupExit };
    if (p.stopSignal !== 0) {
      park(k, t);
      return { kind: 'stopped' };
    }
    const info = takeSignal(t, ~t.blocked);
    if (info === null) return { kind: 'none' };
    const { signo } = info;
    const action = t.handlers.get(signo);
    t.lastSiginfo = info;
    if (isIn(t.keptSignals, signo) && signo !== Signal.KILL) {
      t.keptSignals &= ~sigBit(signo);
      continue;
    }
    if (signalDeliver.enabled) signalDeliver.emit(signo, info.code, action.handler);
    if (action.handler === SigAction.Ignore && signo !== Signal.KILL && signo !== Signal.STOP) continue;
    if (action.handler !== SigAction.Default) {
      const taken = { ...action };
      if ((action.flags & SaFlag.ResetHand) !== 0) action.handler = SigAction.Default;
      return { kind: 'handler', info, action: taken };
    }
    if (isIn(IGNORED_BY_DEFAULT, signo)) continue;
    if (isIn(STOPPERS, signo)) {
      if (signo !== Signal.STOP && isOrphanedGroup(k, p.pgid)) continue; // nobody could continue it
      stopProcess(p, signo);
      continue;
    }
    return { kind: 'exit', status: signo };
  }
}

/** Begins a group stop: every thread parks when it next comes by. */
function stopProcess(p: Process, signo: number): void {
  p.stopSignal = signo;
  for (const t of p.threads) notice(t);
}
/** One thread of a stopping program stands still; the last one tells the parent. */
function park(k: Kernel, t: Task): void {
  const p = t.process;
  t.state = TaskState.Stopped;
  t.signalPending = false;
  if (p.threads.some((other) => other.state !== TaskState.Stopped)) return;
  p.unreported = 'stopped';
  p.reportedSignal = p.stopSignal;
  tellParent(k, p, ChildCode.Stopped, p.stopSignal);
}
/** A thread that ends while the program stops may be the last that was waited for. */
export function finishStop(k: Kernel, p: Process): void {
  if (p.stopSignal === 0 || p.unreported === 'stopped' || p.threads.length === 0) return;
  if (p.threads.some((other) => other.state !== TaskState.Stopped)) return;
  p.unreported = 'stopped';
  p.reportedSignal = p.stopSignal;
  tellParent(k, p, ChildCode.Stopped, p.stopSignal);
}
function resumeProcess(k: Kernel, p: Process): void {
  if (p.stopSignal === 0) return;
  p.stopSignal = 0;
  for (const t of p.threads) {
    if (t.state === TaskState.Stopped) t.makeRunnable();
    recalcPending(t);
  }
  p.unreported = 'continued';
  tellParent(k, p, ChildCode.Continued, Signal.CONT);
}

/** SIGCHLD for a stop or a continue, and a wake for those who wait. Mirrors do_notify_parent_cldstop(). */
function tellParent(k: Kernel, p: Process, code: number, status: number): void {
  const parent = p.parent;
  if (parent === null || parent.threads.length === 0) return;
  const action = parent.leader.handlers.get(Signal.CHLD);
  if (action.handler !== SigAction.Ignore && (action.flags & SaFlag.NoCldStop) === 0) {
    const { userCycles, systemCycles } = p.leader;
    sendToProcess(k, parent, childInfo(Signal.CHLD, code, p.tgid, p.leader.credentials.uid, status, ticksOfCycles(userCycles), ticksOfCycles(systemCycles)));
  }
  parent.childQueue.wake();
}

/** A new action: what is ignored from now on is not kept either. POSIX 3.3.1.3; mirrors do_sigaction(). */
export function setAction(t: Task, signo: number, action: SignalAction): void {
  const entry = t.handlers.get(signo);
  entry.handler = action.handler;
  entry.flags = action.flags;
  entry.mask = action.mask & ~UNBLOCKABLE;
  const ignored = action.handler === SigAction.Ignore || (action.handler === SigAction.Default && isIn(IGNORED_BY_DEFAULT, signo));
  if (!ignored) return;
  forAllPending(t.process, (pending) => pending.discard(sigBit(signo)));
}
export const canCatch = (signo: number): boolean => isSignal(signo) && !isIn(UNBLOCKABLE, signo);
