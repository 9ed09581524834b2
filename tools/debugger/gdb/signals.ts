// Signal numbers: gdb has its own, which agree with Linux's only by half (gdb's include/gdb/signals.def).

/** gdb's number of Linux's signals 1 to 31. */
const gdbNumbers: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 10, 8, 9, 30, 11, 31, 13, 14, 15, 143, 20, 19, 17, 18, 21, 22, 16, 24, 25, 26, 27, 28, 23, 32, 12];
/** GDB_SIGNAL_UNKNOWN */
const UNKNOWN = 143;
export const GdbSignal = { None: 0, Int: 2, Trap: 5, Kill: 9 } as const;

export function gdbSignal(signo: number): number {
  if (signo < 32) return gdbNumbers[signo] ?? UNKNOWN;
  // Real-time signals: 32 came late, and 33 to 63 have a block of their own; so has 64.
  return signo === 32 ? 77 : signo === 64 ? 78 : signo < 64 ? signo + 12 : UNKNOWN;
}
/** Linux's number; 0: Linux has no such signal. */
export function linuxSignal(number: number): number {
  for (let signo = 1; signo <= 64; signo++) if (gdbSignal(signo) === number && number !== UNKNOWN) return signo;
  return 0;
}
