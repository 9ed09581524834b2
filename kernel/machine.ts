// The hardware, as the kernel sees it: one interface. cpu's Machine fits it by shape; so does test/support/fake-machine.ts, frames and no
// hart, so that memory management is tested without running an instruction. The kernel never looks into a TLB: a fence that is missing here
// misbehaves here, as on hardware.
import type { Asid, Pfn, Vpn } from '#base';

/** Why run() came back. */
export const ExitKind = {
  /** A synchronous exception: `cause`, `tval` as scause and stval; pc is sepc. ecall is cause 8, ebreak 3. */
  Trap: 0,
  /** The budget is spent; nothing else happened. */
  Budget: 1,
  /** A breakpoint or watchpoint of the debugger. */
  Breakpoint: 2,
} as const;
export type ExitKind = (typeof ExitKind)[keyof typeof ExitKind];

/** One record, reused: valid until the next run(). */
export interface Exit {
  kind: ExitKind;
  /** Exception code of the privileged spec (8 ecall from U, 12/13/15 page faults, 2 illegal, 3 breakpoint, 1/5/7 access faults, 4/6 misaligned). */
  cause: number;
  /** stval as signed halves: faulting address, or the instruction's bits for cause 2. */
  tvalHi: number;
  tvalLo: number;
}

/** Number of 64-bit words of a user context: pc, x1..x31, f0..f31, fcsr; x0's place holds pc, as in Linux's user_regs_struct. */
export const CONTEXT_WORDS = 65;
export const CONTEXT_F0 = 32;
export const CONTEXT_FCSR = 64;

export interface Machine {
  /** RAM is the frames [firstPfn, firstPfn + nrFrames). */
  readonly ram: { readonly firstPfn: Pfn; readonly nrFrames: number };

  /** Runs the loaded context in U mode until a trap, or until exactly `budgetInstrs` instructions have retired. */
  run(budgetInstrs: number): Exit;

  // The hart. Registers are live views: x[10] is a0. Writing x[0] has no effect on the program.
  readonly x: BigInt64Array;
  /** The same registers as signed 32-bit halves: low half of x[i] at 2i, high half at 2i + 1. */
  readonly xHalves: Int32Array;
  pc: bigint;
  saveContext(into: BigInt64Array): void;
  loadContext(from: BigInt64Array): void;
  /** Breaks the hart's LR reservation, as Linux does on every return to user mode after a trap or switch. */
  clearReservation(): void;

  // Address spaces.
  /** satp := (mode of the machine, asid, root). No fence is implied. */
  setAddressSpace(root: Pfn, asid: Asid): void;
  /** sfence.vma; vpn null: the whole address space, asid null: every address space and global entries. */
  fence(asid: Asid | null, vpn: Vpn | null): void;
  /** 39, 48 or 57. */
  readonly sv: 39 | 48 | 57;
  /** The hart sets A and D bits itself (Svadu); false: a fault asks the kernel to (Svade). Absent: it does. */
  readonly svadu?: boolean;
  /** Largest usable ASID. */
  readonly maxAsid: number;

  // Frames.
  pteLow(table: Pfn, index: number): number;
  pteHigh(table: Pfn, index: number): number;
  /** One aligned 8-byte store into a page table. */
  storePte(table: Pfn, index: number, low: number, high: number): void;
  /** The same for `nr` entries in a row, each low word `step` above the one before. */
  storePtes(table: Pfn, index: number, nr: number, low: number, high: number, step: number): void;
  zeroFrames(first: Pfn, nr: number): void;
  copyFrame(to: Pfn, from: Pfn): void;
  /** Copies bytes out of and into one frame or a contiguous run; offset and length in bytes from the frame's start. */
  readFrame(pfn: Pfn, offset: number, into: Uint8Array): void;
  writeFrame(pfn: Pfn, offset: number, from: Uint8Array): void;
  /** Does the frame hold nothing but zeros? */
  holdsZeros(pfn: Pfn): boolean;

  // Time. The only clock: instructions plus modelled costs.
  readonly instret: number;
  readonly clockCycles: number;
  /** Ticks a second of the `time` CSR, where there is one. */
  readonly timebaseHz?: number;
  /** Adds the modelled cost of work that the kernel did. */
  charge(cycles: number): void;
}
