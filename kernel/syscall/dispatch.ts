// From an ecall to its answer. Here: looking the call up, running it again after a sleep, and what a signal does to one that sleeps (Linux's
// ERESTART codes). The program counter stays on the ecall until the answer is known: running the call again needs nothing put back.
// Mirrors do_trap_ecall_u() and the restart half of arch_do_signal_or_restart() (arch/riscv/kernel/signal.c).
import { highHalf, lowHalf, toNumber, tracepoint } from '#base';
import type { Kernel } from '../kernel.ts';
import { leaveFutex } from '../proc/futex.ts';
import { killForMemory } from '../proc/oom.ts';
import { restoreMask } from '../proc/signal.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { Interrupted, NO_RESULT } from './row.ts';
import { syscallName, syscallTable } from './table.ts';

export const sysEnter = tracepoint('sys_enter', 'raw_syscalls',
  { pid: 'dec', id: 'dec', a0: 'hex', a1: 'hex', a2: 'hex', a3: 'hex', a4: 'hex', a5: 'hex' });
export const sysExit = tracepoint('sys_exit', 'raw_syscalls', { pid: 'dec', id: 'dec', ret: 'dec' });

const A0 = 20; // index of a0's low half among the registers' halves
const A7 = 34;

/** A fresh ecall of the task on the hart. */
export function enterSyscall(k: Kernel, t: Task): void {
  const halves = k.machine.xHalves;
  const nr = toNumber(halves[A7 + 1]!, halves[A7]!);
  const args = [arg(halves, 0), arg(halves, 1), arg(halves, 2), arg(halves, 3), arg(halves, 4), arg(halves, 5)];
  t.pendingCall = { nr, args };
  t.restart = null;
  t.timedOut = false;
  k.machine.charge(k.params.cost.syscall);
  if (sysEnter.enabled) sysEnter.emit(t.tid, nr, ...args);
}
const arg = (halves: Int32Array, i: number): number => toNumber(halves[A0 + 2 * i + 1]!, halves[A0 + 2 * i]!);

/** What running the pending call came to. */
export const CallState = { Done: 0, Asleep: 1, Interrupted: 2 } as const;
export type CallState = (typeof CallState)[keyof typeof CallState];

/** Runs the pending call, for the first time or again. Interrupted: it would sleep, and a signal waits. */
export function runSyscall(k: Kernel, t: Task): CallState {
  const call = t.pendingCall!;
  const row = syscallTable[call.nr];
  if (row === undefined) {
    warnUnknown(k, t, call.nr);
    finishSyscall(k, t, -Errno.ENOSYS);
    return CallState.Done;
  }
  t.interrupted = row.interrupted ?? Interrupted.Restart;
  let result = row.run(k, t, call.args);
  while (k.system.wantsOomKill) {
    // The program's memory could not be reached because there is none. EFAULT means that nothing was done: whoever survives tries again.
    k.system.wantsOomKill = false;
    killForMemory(k, t);
    if (t.process.isZombie) return CallState.Done;
    if (result !== -Errno.EFAULT) break;
    result = row.run(k, t, call.args);
  }
  if (result !== BLOCK) {
    finishSyscall(k, t, result);
    return CallState.Done;
  }
  const canInterrupt = t.signalPending && (t.interrupted !== Interrupted.Never || t.process.groupExit !== null);
  if (!canInterrupt) {
    if (t.deadline !== null) k.timedSleepers.add(t);
    return CallState.Asleep;
  }
  t.cancelSleep();
  if (t.interrupted === Interrupted.Eintr && t.process.groupExit === null) {
    finishSyscall(k, t, -Errno.EINTR);
    return CallState.Done;
  }
  return CallState.Interrupted;
}

/** Writes the answer and steps over the ecall. A call that gave the task a whole new context (execve, rt_sigreturn) or ended it has none; who has
 *  ended does not come back from it either. */
function finishSyscall(k: Kernel, t: Task, result: number): void {
  const call = t.pendingCall;
  t.pendingCall = null;
  t.restart = null;
  leaveFutex(k, t);
  if (result !== NO_RESULT) {
    const halves = k.machine.xHalves;
    halves[A0] = lowHalf(result);
    halves[A0 + 1] = highHalf(result);
    k.machine.pc += 4n;
    if (result !== -Errno.EINTR) restoreMask(t);
  }
  if (sysExit.enabled && call !== null) sysExit.emit(t.tid, call.nr, result === NO_RESULT ? 0 : result);
}

/** A handler is about to run and its frame to be written: decides what the interrupted call answers once the handler returns. */
export function settleInterrupted(k: Kernel, t: Task, handlerRestarts: boolean): void {
  if (t.interrupted === Interrupted.Restart && handlerRestarts) {
    const nr = t.pendingCall!.nr;
    t.pendingCall = null; // pc is still on the ecall and a0 untouched: it starts afresh
    t.restart = null;
    leaveFutex(k, t);
    if (sysExit.enabled) sysExit.emit(t.tid, nr, -ERESTARTSYS);
    return;
  }
  finishSyscall(k, t, -Errno.EINTR);
}
/** As strace shows a call that starts again. */
const ERESTARTSYS = 512;

/** Programs may try calls and live without them: said once by name, so that the user knows. */
function warnUnknown(k: Kernel, t: Task, nr: number): void {
  if (k.syscallWarnings.has(nr)) return;
  const name = syscallName(nr);
  k.syscallWarnings.set(nr, name ?? `${nr}`);
  if (k.syscallWarnings.size > 100) return;
  k.say(`${t.comm}[${t.tid}]: system call ${nr}${name === null ? '' : ` (${name})`} is not implemented; the program got ENOSYS`);
}
