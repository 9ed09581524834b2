// System calls about signals. Here: arguments and results. Not here: what sending and taking a signal does (proc/signal.ts).
import type { Kernel } from '../kernel.ts';
import { isPrivileged } from '../proc/credentials.ts';
import { processesInGroup } from '../proc/groups.ts';
import type { Process } from '../proc/process.ts';
import { popSignalFrame, setAltStack, isOnAltStack, SsFlag } from '../proc/sigframe.ts';
import { givenInfo, kernelInfo, senderInfo, SiCode, SIGINFO_BYTES } from '../proc/siginfo.ts';
import { canCatch, forceSignal, recalcPending, sendToProcess, sendToTask, setAction, setBlocked, takeSignal, useTemporaryMask } from '../proc/signal.ts';
import { isSignal, Signal, type SigInfo, UNBLOCKABLE } from '../proc/sigset.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { Interrupted, NO_RESULT, type SyscallRow } from './row.ts';
import { readTimespec } from './timespec.ts';

/** The only size of a signal set. */
const SIGSET_BYTES = 8;

function rtSigaction(_k: Kernel, t: Task, [signo, actAt, oldAt, size]: readonly number[]): number {
  if (size !== SIGSET_BYTES) return -Errno.EINVAL;
  if (!isSignal(signo!)) return -Errno.EINVAL;
  const old = { ...t.handlers.get(signo!) };
  if (actAt !== 0) {
    const bytes = new Uint8Array(24);
    if (!t.user.read(actAt!, bytes)) return -Errno.EFAULT;
    if (!canCatch(signo!)) return -Errno.EINVAL;
    const view = new DataView(bytes.buffer);
    setAction(t, signo!, { handler: Number(view.getBigInt64(0, true)), flags: view.getUint32(8, true), mask: view.getBigUint64(16, true) });
  }
  if (oldAt === 0) return 0;
  const out = new Uint8Array(24);
  const view = new DataView(out.buffer);
  view.setBigInt64(0, BigInt(old.handler), true);
  view.setBigUint64(8, BigInt(old.flags), true);
  view.setBigUint64(16, old.mask, true);
  return t.user.write(oldAt!, out) ? 0 : -Errno.EFAULT;
}

const How = { Block: 0, Unblock: 1, Set: 2 } as const;
function rtSigprocmask(_k: Kernel, t: Task, [how, setAt, oldAt, size]: readonly number[]): number {
  if (size !== SIGSET_BYTES) return -Errno.EINVAL;
  const old = t.blocked;
  if (setAt !== 0) {
    const set = t.user.u64(setAt!);
    if (set === null) return -Errno.EFAULT;
    if (how === How.Block) setBlocked(t, old | set);
    else if (how === How.Unblock) setBlocked(t, old & ~set);
    else if (how === How.Set) setBlocked(t, set);
    else return -Errno.EINVAL;
  }
  return oldAt === 0 || t.user.setU64(oldAt!, old) ? 0 : -Errno.EFAULT;
}

function rtSigpending(_k: Kernel, t: Task, [setAt, size]: readonly number[]): number {
  if (size! > SIGSET_BYTES || size! < 0) return -Errno.EINVAL;
  const bytes = new Uint8Array(SIGSET_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, (t.pending.set | t.process.pending.set) & t.blocked, true);
  return t.user.write(setAt!, bytes.subarray(0, size!)) ? 0 : -Errno.EFAULT;
}

function rtSigsuspend(_k: Kernel, t: Task, [setAt, size]: readonly number[]): number {
  if (size !== SIGSET_BYTES) return -Errno.EINVAL;
  if (t.savedMask === null) {
    const set = t.user.u64(setAt!);
    if (set === null) return -Errno.EFAULT;
    useTemporaryMask(t, set);
  }
  t.sleepOn([]);
  return BLOCK;
}

/** Takes a signal of a set without running a handler; sleeps until one comes. */
function rtSigtimedwait(k: Kernel, t: Task, [setAt, infoAt, timeoutAt, size]: readonly number[]): number {
  if (size !== SIGSET_BYTES) return -Errno.EINVAL;
  const set = t.user.u64(setAt!);
  if (set === null) return -Errno.EFAULT;
  const wanted = set & ~UNBLOCKABLE;
  let notes = t.restart;
  if (notes === null) {
    const timeout = timeoutAt === 0 ? null : readTimespec(t, timeoutAt!);
    if (typeof timeout === 'number') return timeout;
    notes = { deadline: timeout === null ? Number.POSITIVE_INFINITY : k.machine.clockCycles + timeout.ns };
  } else {
    setBlocked(t, t.blocked | t.realBlocked); // awake: the signals waited for are blocked again
    t.realBlocked = 0n;
  }
  const info = takeSignal(t, wanted);
  if (info !== null) return infoAt === 0 || t.user.write(infoAt!, info.bytes) ? info.signo : -Errno.EFAULT;
  if (notes.deadline! <= k.machine.clockCycles) return -Errno.EAGAIN;
  if (t.signalPending) return -Errno.EINTR;
  t.restart = notes;
  t.realBlocked = t.blocked & wanted;
  setBlocked(t, t.blocked & ~wanted); // so that senders see somebody who wants them
  t.interrupted = Interrupted.Never; // an arriving signal runs this again, which finds it
  t.sleepOn([], notes.deadline === Number.POSITIVE_INFINITY ? null : notes.deadline);
  return BLOCK;
}

function rtSigreturn(k: Kernel, t: Task): number {
  k.saveContext(t);
  if (!popSignalFrame(t)) {
    k.say(`${t.comm}[${t.tid}]: bad frame in rt_sigreturn`);
    forceSignal(k, t, kernelInfo(Signal.SEGV));
    return NO_RESULT;
  }
  k.machine.loadContext(t.context);
  recalcPending(t);
  return NO_RESULT;
}

function sigaltstack(k: Kernel, t: Task, [newAt, oldAt]: readonly number[]): number {
  const sp = Number(k.machine.x[2]!);
  const old = t.altStack;
  if (newAt !== 0) {
    const bytes = new Uint8Array(24);
    if (!t.user.read(newAt!, bytes)) return -Errno.EFAULT;
    const view = new DataView(bytes.buffer);
    const to = { sp: Number(view.getBigUint64(0, true)), flags: view.getUint32(8, true), size: Number(view.getBigUint64(16, true)) };
    const error = setAltStack(t, to, sp);
    if (error !== 'ok') return error === 'on-stack' ? -Errno.EPERM : error === 'too-small' ? -Errno.ENOMEM : -Errno.EINVAL;
  }
  if (oldAt === 0) return 0;
  const out = new Uint8Array(24);
  const view = new DataView(out.buffer);
  const mode = old.size === 0 ? SsFlag.Disable : isOnAltStack(old, sp) ? SsFlag.OnStack : 0;
  view.setBigUint64(0, BigInt(old.sp), true);
  view.setUint32(8, (mode | (old.flags & SsFlag.AutoDisarm)) >>> 0, true);
  view.setBigUint64(16, BigInt(old.size), true);
  return t.user.write(oldAt!, out) ? 0 : -Errno.EFAULT;
}

/** May `t` signal the process? POSIX kill(): root, or the same user; SIGCONT within the session. */
function maySignal(t: Task, p: Process, signo: number): boolean {
  const c = t.credentials;
  const of = p.leader.credentials;
  if (isPrivileged(c) || p === t.process) return true;
  return [c.euid, c.uid].some((id) => id === of.uid || id === of.suid) || (signo === Signal.CONT && p.sid === t.process.sid);
}
const isValid = (signo: number): boolean => signo === 0 || isSignal(signo);
const fromUser = (t: Task, signo: number, code: number): SigInfo => senderInfo(signo, code, t.tgid, t.credentials.uid);

function kill(k: Kernel, t: Task, [pidArg, signoArg]: readonly number[]): number {
  const pid = pidArg! | 0;
  const signo = signoArg! | 0;
  if (pid === -0x8000_0000) return -Errno.ESRCH;
  if (pid > 0) {
    const p = k.processes.get(pid);
    if (p === undefined) return pid === 1 ? signalInit(t, signo) : -Errno.ESRCH;
    return signalProcess(k, t, p, signo);
  }
  if (!isValid(signo)) return -Errno.EINVAL;
  const targets = pid === -1 ? [...k.processes.values()].filter((p) => p !== t.process && !p.isZombie) : processesInGroup(k, pid === 0 ? t.process.pgid : -pid);
  return signalAll(k, t, targets, signo, null);
}
/** The machine's own init takes no notice. */
function signalInit(t: Task, signo: number): number {
  if (!isValid(signo)) return -Errno.EINVAL;
  return isPrivileged(t.credentials) ? 0 : -Errno.EPERM;
}
/** kill() of one process that is known. @param info what the sender says of it; null: that it was kill() */
export function signalProcess(k: Kernel, t: Task, p: Process, signo: number, info: SigInfo | null = null): number {
  if (!isValid(signo)) return -Errno.EINVAL;
  if (!maySignal(t, p, signo)) return -Errno.EPERM;
  return signo === 0 || sendToProcess(k, p, info ?? fromUser(t, signo, SiCode.User)) ? 0 : -Errno.EAGAIN;
}
/** kill() of a group: the first answer, unless some member could be signalled. */
export function signalGroup(k: Kernel, t: Task, pgid: number, signo: number, info: SigInfo | null = null): number {
  if (!isValid(signo)) return -Errno.EINVAL;
  return signalAll(k, t, processesInGroup(k, pgid), signo, info);
}
function signalAll(k: Kernel, t: Task, targets: readonly Process[], signo: number, info: SigInfo | null): number {
  if (targets.length === 0) return -Errno.ESRCH;
  const results = targets.map((p) => signalProcess(k, t, p, signo, info));
  return results.includes(0) ? 0 : results[0]!;
}

/** tkill and tgkill: one thread. @param tgid 0: of any program */
function signalThread(k: Kernel, t: Task, tgid: number, tid: number, info: (signo: number) => SigInfo, signo: number): number {
  if (tid <= 0 || tgid < 0) return -Errno.EINVAL;
  const to = k.tasks.get(tid);
  if (to === undefined || (tgid !== 0 && to.tgid !== tgid)) return -Errno.ESRCH;
  return signalTask(k, t, to, signo, info(signo));
}
/** One thread that is known. */
export function signalTask(k: Kernel, t: Task, to: Task, signo: number, info: SigInfo | null = null): number {
  if (!isValid(signo)) return -Errno.EINVAL;
  if (!maySignal(t, to.process, signo)) return -Errno.EPERM;
  if (signo === 0 || !to.process.threads.includes(to)) return 0;
  return sendToTask(k, to, info ?? fromUser(t, signo, SiCode.Tkill)) ? 0 : -Errno.EAGAIN;
}
function tkill(k: Kernel, t: Task, [tid, signo]: readonly number[]): number {
  return signalThread(k, t, 0, tid! | 0, (n) => fromUser(t, n, SiCode.Tkill), signo! | 0);
}
function tgkill(k: Kernel, t: Task, [tgid, tid, signo]: readonly number[]): number {
  if ((tgid! | 0) <= 0) return -Errno.EINVAL;
  return signalThread(k, t, tgid! | 0, tid! | 0, (n) => fromUser(t, n, SiCode.Tkill), signo! | 0);
}

/** A siginfo of the program's own making: only towards itself may it claim to come from the kernel or from kill(). */
function readInfo(t: Task, at: number, signo: number, toSelf: boolean): SigInfo | number {
  const bytes = new Uint8Array(SIGINFO_BYTES);
  if (!t.user.read(at, bytes)) return -Errno.EFAULT;
  const info = givenInfo(signo, bytes);
  return !toSelf && (info.code >= 0 || info.code === SiCode.Tkill) ? -Errno.EPERM : info;
}
function rtSigqueueinfo(k: Kernel, t: Task, [pidArg, signoArg, infoAt]: readonly number[]): number {
  const signo = signoArg! | 0;
  const info = readInfo(t, infoAt!, signo, (pidArg! | 0) === t.tgid);
  if (typeof info === 'number') return info;
  const p = k.processes.get(pidArg! | 0);
  if (p === undefined) return -Errno.ESRCH;
  if (!isValid(signo)) return -Errno.EINVAL;
  if (!maySignal(t, p, signo)) return -Errno.EPERM;
  return signo === 0 || sendToProcess(k, p, info) ? 0 : -Errno.EAGAIN;
}
function rtTgsigqueueinfo(k: Kernel, t: Task, [tgid, tid, signoArg, infoAt]: readonly number[]): number {
  if ((tgid! | 0) <= 0) return -Errno.EINVAL;
  const signo = signoArg! | 0;
  const info = readInfo(t, infoAt!, signo, (tid! | 0) === t.tid);
  if (typeof info === 'number') return info;
  return signalThread(k, t, tgid! | 0, tid! | 0, () => info, signo);
}

export const signalSyscalls: readonly SyscallRow[] = [
  { nr: 129, name: 'kill', args: 'pid signo', run: kill },
  { nr: 130, name: 'tkill', args: 'pid signo', run: tkill },
  { nr: 131, name: 'tgkill', args: 'pid pid signo', run: tgkill },
  { nr: 132, name: 'sigaltstack', args: 'ptr ptr', run: sigaltstack },
  { nr: 133, name: 'rt_sigsuspend', args: 'sigset size', run: rtSigsuspend, interrupted: Interrupted.NoHandler },
  { nr: 134, name: 'rt_sigaction', args: 'signo sigaction ptr size', run: rtSigaction },
  { nr: 135, name: 'rt_sigprocmask', args: 'sig-how sigset ptr size', run: rtSigprocmask },
  { nr: 136, name: 'rt_sigpending', args: 'ptr size', run: rtSigpending },
  { nr: 137, name: 'rt_sigtimedwait', args: 'sigset ptr timespec size', run: rtSigtimedwait, interrupted: Interrupted.Eintr },
  { nr: 138, name: 'rt_sigqueueinfo', args: 'pid signo ptr', run: rtSigqueueinfo },
  { nr: 139, name: 'rt_sigreturn', args: '', run: rtSigreturn },
  { nr: 240, name: 'rt_tgsigqueueinfo', args: 'pid pid signo ptr', run: rtTgsigqueueinfo },
];
