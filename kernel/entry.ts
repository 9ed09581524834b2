// The loop: pick a task, run it, take the Exit, then fault, system call, signal or schedule. Everything that decides is counted in retired
// instructions and modelled cycles, never in the caller's budget: run(1000) ten times is run(10000) once.
// Mirrors arch/riscv/kernel/traps.c, arch/riscv/mm/fault.c and exit_to_user_mode_loop() (kernel/entry/common.c).
import { bug, toNumber, tracepoint } from '#base';
import type { Folio } from '#base';
import type { Kernel, RunResult } from './kernel.ts';
import { type Exit, ExitKind } from './machine.ts';
import { FaultAccess, FaultResult, handlePageFault } from './mm/fault.ts';
import { exitGroup } from './proc/exit.ts';
import { expire, nextCpuDeadline, nextDeadline, nextWork } from './proc/expiry.ts';
import { killForMemory } from './proc/oom.ts';
import { pushSignalFrame } from './proc/sigframe.ts';
import { BusCode, faultInfo, IllCode, SegvCode, TrapCode } from './proc/siginfo.ts';
import { forceSegv, forceSignal, getSignal, restoreMask } from './proc/signal.ts';
import { SaFlag, SigAction, sigBit, Signal, signalName } from './proc/sigset.ts';
import { type Task, TaskState } from './proc/task.ts';
import { CallState, enterSyscall, runSyscall, settleInterrupted } from './syscall/dispatch.ts';

export const schedSwitch = tracepoint('sched_switch', 'sched', { prev_pid: 'dec', prev_state: 'dec', next_pid: 'dec' });

/** Exception codes of the privileged spec that a program can cause. */
export const Cause = {
  FetchMisaligned: 0, FetchAccess: 1, Illegal: 2, Breakpoint: 3, LoadMisaligned: 4, LoadAccess: 5, StoreMisaligned: 6, StoreAccess: 7, EcallU: 8,
  FetchPage: 12, LoadPage: 13, StorePage: 15,
} as const;

/** swapper/0: what the hart runs when nobody is runnable. */
const IDLE_TID = 0;
/** Time that passes while nobody runs is gone through in one call at most this often, so that the host stays in charge. */
const MAX_IDLE_STEPS = 10_000;

/** Runs until the first program has ended, all tasks sleep, or `budgetInstrs` more instructions have retired. */
export function run(k: Kernel, budgetInstrs: number): RunResult {
  const { machine } = k;
  const end = machine.instret + budgetInstrs;
  takeTerminalSignals(k);
  let idleSteps = 0;
  for (;;) {
    if (k.exitStatus !== null) return 'exited';
    const t = k.current ?? pickNext(k);
    if (t === null) {
      const stuck = passTime(k);
      if (stuck !== null) return stuck;
      if (++idleSteps > MAX_IDLE_STEPS) return 'budget';
      continue;
    }
    if (!k.isInUser && !returnToUser(k, t)) continue;
    const before = machine.instret;
    if (before >= end || k.host.console.isFull) return 'budget';
    if (before >= k.stopAt) {
      leaveUser(k);
      continue;
    }
    k.accountTime(t);
    const exit = machine.run(Math.min(end, k.stopAt) - before);
    t.sliceLeft -= machine.instret - before;
    k.accountUserTime(t);
    if (exit.kind === ExitKind.Breakpoint) return 'breakpoint';
    if (exit.kind === ExitKind.Trap) handleTrap(k, t, exit);
  }
}

function leaveUser(k: Kernel): void {
  k.isInUser = false;
  k.machine.clearReservation();
  k.machine.charge(k.params.cost.trap);
}

// --- Scheduling ---

function pickNext(k: Kernel): Task | null {
  const t = k.runQueue.takeFirst();
  if (t === null) return null;
  k.current = t;
  k.isInUser = false;
  t.sliceLeft = k.params.vm.slice_instructions;
  k.startTime();
  if (k.loadedTask !== t) k.machine.charge(k.params.cost.switch);
  if (schedSwitch.enabled) schedSwitch.emit(k.isIdle ? IDLE_TID : k.loadedTask?.tid ?? 0, k.isIdle ? TaskState.Runnable : k.loadedTask?.state ?? 0, t.tid);
  k.isIdle = false;
  return t;
}
/** The task on the hart steps aside: asleep, stopped, or back into the queue. */
function deschedule(k: Kernel, t: Task): void {
  k.accountTime(t);
  k.current = null;
  if (t.state === TaskState.Runnable) {
    t.involuntarySwitches++;
    k.runQueue.add(t);
  } else {
    t.voluntarySwitches++;
  }
}

/** All tasks sleep: the clock moves to the next deadline. @returns why that cannot help, else null */
function passTime(k: Kernel): RunResult | null {
  expire(k);
  if (!k.runQueue.isEmpty) return null;
  if (!k.isIdle && schedSwitch.enabled) schedSwitch.emit(k.loadedTask?.tid ?? 0, k.loadedTask?.state ?? 0, IDLE_TID);
  k.isIdle = true;
  if (nextDeadline(k) !== Number.POSITIVE_INFINITY) {
    const wait = Math.max(0, nextWork(k) - k.machine.clockCycles);
    k.machine.charge(wait);
    k.idleCycles += wait;
    expire(k);
    return null;
  }
  return k.host.console.isWaitedFor ? 'input' : 'deadlock';
}

/** Ctrl-C and its like, typed since the last run. */
function takeTerminalSignals(k: Kernel): void {
  for (const { pgid, signo } of k.host.console.tty.takeSignals()) k.signalGroup(pgid, signo);
}

/** Everything that is to be done before a task's program runs on. @returns false when it does not run on now */
function returnToUser(k: Kernel, t: Task): boolean {
  expire(k);
  for (;;) {
    if (t.isHeld) {
      deschedule(k, t);
      return false;
    }
    if (t.sliceLeft <= 0) {
      t.sliceLeft = k.params.vm.slice_instructions;
      if (!k.runQueue.isEmpty) {
        deschedule(k, t);
        return false;
      }
    }
    k.useContext(t);
    if (t.setChildTid !== 0) {
      t.user.setU32(t.setChildTid, t.tid);
      t.setChildTid = 0;
    }
    if (t.pendingCall !== null) {
      const state = runSyscall(k, t);
      if (k.current !== t) return false; // it has ended
      if (state === CallState.Asleep) {
        deschedule(k, t);
        return false;
      }
      if (state === CallState.Interrupted && !handleSignal(k, t)) return false;
      continue;
    }
    if (t.signalPending) {
      t.pendingFault = null; // the program faults again, if it comes back there
      if (!handleSignal(k, t)) return false;
      continue;
    }
    if (t.pendingFault !== null) {
      const { va, access } = t.pendingFault;
      t.pendingFault = null;
      settleFault(k, t, va, access, BigInt(va), true);
      if (k.current !== t) return false; // it waits again, or has ended
      continue;
    }
    if (t.savedMask !== null) {
      restoreMask(t);
      continue;
    }
    if (t.process.group.overHigh > 0 && throttleOverHigh(k, t)) return false;
    break;
  }
  const wait = Math.min(nextWork(k) - k.machine.clockCycles, nextCpuDeadline(k, t));
  const slice = k.runQueue.isEmpty ? Number.POSITIVE_INFINITY : t.sliceLeft;
  k.stopAt = k.machine.instret + Math.min(slice, Math.max(1, Math.ceil(wait)));
  k.isInUser = true;
  return true;
}

/** Its group has more than memory.high. @returns whether it sleeps for that now */
function throttleOverHigh(k: Kernel, t: Task): boolean {
  const delay = k.system.memcg.handleOverHigh(t.process.group);
  if (delay === 0) return false;
  t.sleepOn([], k.machine.clockCycles + delay);
  k.timedSleepers.add(t);
  deschedule(k, t);
  return true;
}

/** Takes one signal, if there is one to take. @returns false when the task does not run on: it stopped or ended */
function handleSignal(k: Kernel, t: Task): boolean {
  const verdict = getSignal(k, t);
  switch (verdict.kind) {
    case 'none':
      return true;
    case 'stopped':
      deschedule(k, t);
      return false;
    case 'exit':
      exitGroup(k, t.process, verdict.status);
      return false;
    case 'handler': {
      const { info, action } = verdict;
      if (t.pendingCall !== null) settleInterrupted(k, t, (action.flags & SaFlag.Restart) !== 0);
      k.saveContext(t);
      k.machine.charge(k.params.cost.signal);
      const mask = t.savedMask ?? t.blocked;
      let isPushed = pushSignalFrame(t, info, action, mask);
      if (!isPushed && k.system.wantsOomKill) {
        k.system.wantsOomKill = false;
        killForMemory(k, t);
        if (k.current !== t) return false;
        isPushed = pushSignalFrame(t, info, action, mask);
      }
      if (isPushed) {
        t.savedMask = null;
        k.machine.loadContext(t.context);
      } else {
        k.say(`${t.comm}[${t.tid}]: no room on the stack for the frame of ${signalName(info.signo)}`);
        forceSegv(k, t, info.signo);
      }
      return true;
    }
  }
}

// --- Traps ---

function handleTrap(k: Kernel, t: Task, exit: Exit): void {
  leaveUser(k);
  const pc = k.machine.pc;
  switch (exit.cause) {
    case Cause.EcallU:
      enterSyscall(k, t);
      return;
    case Cause.FetchPage:
      pageFault(k, t, exit, FaultAccess.Exec);
      return;
    case Cause.LoadPage:
      pageFault(k, t, exit, FaultAccess.Read);
      return;
    case Cause.StorePage:
      pageFault(k, t, exit, FaultAccess.Write);
      return;
    // For the rest Linux reports the instruction's address, not the access's (traps.c: DO_ERROR_INFO).
    case Cause.Illegal:
      fault(k, t, Signal.ILL, IllCode.IllOpc, pc);
      return;
    case Cause.Breakpoint:
      fault(k, t, Signal.TRAP, TrapCode.Brkpt, pc);
      return;
    case Cause.FetchAccess:
    case Cause.LoadAccess:
    case Cause.StoreAccess:
      fault(k, t, Signal.SEGV, SegvCode.AccErr, pc);
      return;
    case Cause.FetchMisaligned:
    case Cause.LoadMisaligned:
    case Cause.StoreMisaligned:
      fault(k, t, Signal.BUS, BusCode.AdrAln, pc);
      return;
    default:
      bug(`exception ${exit.cause} from user mode`);
  }
}

function pageFault(k: Kernel, t: Task, exit: Exit, access: FaultAccess): void {
  const isUserAddress = exit.tvalHi >= 0 && exit.tvalHi < 0x20_0000;
  const va = toNumber(exit.tvalHi, exit.tvalLo);
  const addr = (BigInt(exit.tvalHi) << 32n) | BigInt(exit.tvalLo >>> 0);
  if (isUserAddress) settleFault(k, t, va, access, addr, false);
  else fault(k, t, Signal.SEGV, SegvCode.MapErr, addr);
}

/** @param tried the fault has waited for I/O and is taken up again */
function settleFault(k: Kernel, t: Task, va: number, access: FaultAccess, addr: bigint, tried: boolean): void {
  switch (handlePageFault(t.mm, t, va, access, 'user', Number(k.machine.pc), tried)) {
    case FaultResult.Done:
      return;
    case FaultResult.Retry:
      t.pendingFault = { va, access };
      t.sleepOn([k.system.waits.queueOf(k.system.faultWait as Folio)]);
      deschedule(k, t);
      return;
    case FaultResult.MapErr:
      fault(k, t, Signal.SEGV, SegvCode.MapErr, addr);
      return;
    case FaultResult.AccErr:
      fault(k, t, Signal.SEGV, SegvCode.AccErr, addr);
      return;
    case FaultResult.BusError:
      fault(k, t, Signal.BUS, BusCode.AdrErr, addr);
      return;
    case FaultResult.OutOfMemory:
      killForMemory(k, t); // whoever lives on tries again
      return;
  }
}

/** A signal for what an instruction did; said in the log when it is deadly, as Linux does (show_unhandled_signals). */
function fault(k: Kernel, t: Task, signo: number, code: number, addr: bigint): void {
  const isCaught = t.handlers.get(signo).handler > SigAction.Ignore && (t.blocked & sigBit(signo)) === 0n;
  if (!isCaught) {
    const hex = (n: bigint): string => BigInt.asUintN(64, n).toString(16).padStart(16, '0');
    k.say(`${t.comm}[${t.tid}]: unhandled signal ${signo} code 0x${code.toString(16)} at 0x${hex(addr)}, pc 0x${hex(k.machine.pc)}`);
  }
  forceSignal(k, t, faultInfo(signo, code, addr));
}
