// Signals as data: numbers, sets, what is pending, what is to be done. Not here: sending and delivering (signal.ts), the frame on the user's
// stack (sigframe.ts).
import type { KernelTimer } from './timers.ts';

export const Signal = {
  HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, BUS: 7, FPE: 8, KILL: 9, USR1: 10, SEGV: 11, USR2: 12, PIPE: 13, ALRM: 14, TERM: 15, STKFLT: 16,
  CHLD: 17, CONT: 18, STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26, PROF: 27, WINCH: 28, IO: 29, PWR: 30, SYS: 31,
} as const;
export const NR_SIGNALS = 64;
/** From here on signals queue instead of merging. */
export const SIGRTMIN = 32;

const names: readonly string[] = Object.keys(Signal);
/** 'SIGSEGV'; 'SIGRT2' for real-time signals, counted from 32. */
export const signalName = (signo: number): string => (signo >= SIGRTMIN ? `SIGRT${signo - SIGRTMIN}` : `SIG${names[signo - 1] ?? signo}`);

/** The bit of a signal in a set. */
export const sigBit = (signo: number): bigint => 1n << BigInt(signo - 1);
export const isSignal = (signo: number): boolean => Number.isInteger(signo) && signo >= 1 && signo <= NR_SIGNALS;
/** These two can be neither blocked, caught nor ignored. */
export const UNBLOCKABLE: bigint = sigBit(Signal.KILL) | sigBit(Signal.STOP);

/** One occurrence of a signal: siginfo_t as the program will see it, 128 bytes. */
export interface SigInfo {
  readonly signo: number;
  readonly code: number;
  readonly bytes: Uint8Array;
  /** The POSIX timer it came from: its overruns are counted until the signal is taken. */
  readonly timer?: KernelTimer;
}

export const SigAction = { Default: 0, Ignore: 1 } as const;
export const SaFlag = {
  NoCldStop: 1, NoCldWait: 2, SigInfo: 4, OnStack: 0x0800_0000, Restart: 0x1000_0000, NoDefer: 0x4000_0000, ResetHand: 0x8000_0000,
} as const;

/** struct sigaction of riscv64; `handler` is SigAction.Default, SigAction.Ignore or an address. */
export interface SignalAction { handler: number; flags: number; mask: bigint }

/** Actions of all signals (sighand_struct): shared by the threads of a program, copied by fork. */
export class SignalHandlers {
  readonly actions: SignalAction[];
  constructor(from: SignalHandlers | null = null) {
    this.actions = Array.from({ length: NR_SIGNALS + 1 }, (_, i) => (from === null ? { handler: 0, flags: 0, mask: 0n } : { ...from.actions[i]! }));
  }
  get(signo: number): SignalAction {
    return this.actions[signo]!;
  }
}

/** What was sent and not yet taken (struct sigpending). Signals below SIGRTMIN are there once at most. */
export class PendingSignals {
  set = 0n;
  readonly queue: SigInfo[] = [];

  has(signo: number): boolean {
    return (this.set & sigBit(signo)) !== 0n;
  }
  add(info: SigInfo): void {
    this.set |= sigBit(info.signo);
    this.queue.push(info);
  }
  /** Marks a signal for which there is no room to keep a siginfo. */
  addBare(signo: number): void {
    this.set |= sigBit(signo);
  }
  /** Takes the first occurrence of a signal out; null when it is only marked. */
  take(signo: number): SigInfo | null {
    const at = this.queue.findIndex((info) => info.signo === signo);
    const info = at < 0 ? null : this.queue.splice(at, 1)[0]!;
    if (!this.queue.some((other) => other.signo === signo)) this.set &= ~sigBit(signo);
    return info;
  }
  /** Forgets every occurrence of the signals in `mask`. */
  discard(mask: bigint): void {
    if ((this.set & mask) === 0n) return;
    this.set &= ~mask;
    const kept = this.queue.filter((info) => (mask & sigBit(info.signo)) === 0n);
    this.queue.length = 0;
    this.queue.push(...kept);
  }
}
