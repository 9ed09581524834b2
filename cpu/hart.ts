// One hart: what a RISC-V program can see of itself, and the little the machine keeps beside it. Here: registers, pc, privilege, fcsr, the LR
// reservation, how many instructions retired. Not here: what instructions do (reference/), CSR numbers (csr.ts), translation (#mmu).
// Everything lies in the arena, so that emitted WebAssembly will read and write the same bytes.
import type { StateHash } from '#base';
import { NO_HOST, Privilege } from '#mmu';
import type { Arena } from '#mmu';

/** fcsr: accrued exception flags in bits 4:0, rounding mode in 7:5. */
export const FFlag = { NX: 1, UF: 2, OF: 4, DZ: 8, NV: 16 } as const;
export const FFLAGS_MASK = 0x1f;
export const FRM_SHIFT = 5;
export const FCSR_MASK = 0xff;
/** Rounding modes, as frm and an instruction's rm field hold them; 5 and 6 are reserved, in frm 7 too. */
export const Rm = { RNE: 0, RTZ: 1, RDN: 2, RUP: 3, RMM: 4, DYN: 7 } as const;

/** Register number that engines give instead of x0 as a destination: a 33rd register that nobody reads, so that writes need no test. */
export const X_SINK = 32;
/** Where the halves of f0 stand in Hart.registers. */
export const F_WORDS = 66;

// Places in the two columns of scalars.
const PC_LO = 0, PC_HI = 1, FCSR = 2, PRIVILEGE = 3, RESERVATION = 4, RESERVATION_BYTES = 5, NR_WORDS = 6;
const INSTRET = 0, TRAPS = 1, CHARGED = 2, NR_COUNTS = 3;

export class Hart {
  /** x0 to x31. x[0] reads as zero whenever an engine runs, whatever was written to it. */
  readonly x: BigInt64Array;
  /** The same as signed 32-bit halves: low half of x[i] at 2i, high half at 2i + 1. */
  readonly xHalves: Int32Array;
  /** xHalves and behind it the halves of X_SINK: what engines write through. */
  readonly xAndSink: Int32Array;
  /** xAndSink and behind it fHalves (F_WORDS on): every register by one small number, the place of its low half. */
  readonly registers: Int32Array;
  /** The same as doubles, by half that number. */
  readonly registerDoubles: Float64Array;
  /** f0 to f31, raw bits. */
  readonly f: BigInt64Array;
  /** The same as signed 32-bit halves, low half at 2i. A single is boxed when its high half is -1. */
  readonly fHalves: Int32Array;
  /** The same as numbers: the double in f[i] at i; the single in f[i] at 2i. For ordinary values only: a NaN's bits may change on the way. */
  readonly fDoubles: Float64Array;
  readonly fSingles: Float32Array;
  /** Raw columns of the scalars below, for engines that keep them in locals. */
  readonly words: Int32Array;
  readonly counts: Float64Array;

  constructor(arena: Arena) {
    const all = arena.bigInt64(65);
    this.registers = new Int32Array(arena.buffer, all.byteOffset, 130);
    this.registerDoubles = new Float64Array(arena.buffer, all.byteOffset, 65);
    this.x = all.subarray(0, 32);
    this.xAndSink = this.registers.subarray(0, F_WORDS);
    this.xHalves = this.registers.subarray(0, 64);
    this.f = all.subarray(33);
    this.fHalves = this.registers.subarray(F_WORDS);
    this.fDoubles = new Float64Array(arena.buffer, this.f.byteOffset, 32);
    this.fSingles = new Float32Array(arena.buffer, this.f.byteOffset, 64);
    this.words = arena.int32(NR_WORDS);
    this.counts = arena.float64(NR_COUNTS);
    this.words[RESERVATION] = NO_HOST;
  }

  get pcLo(): number { return this.words[PC_LO]!; }
  set pcLo(half: number) { this.words[PC_LO] = half; }
  get pcHi(): number { return this.words[PC_HI]!; }
  set pcHi(half: number) { this.words[PC_HI] = half; }
  get pc(): bigint { return (BigInt(this.pcHi) << 32n) | BigInt(this.pcLo >>> 0); }
  /** Bit 0 is dropped, as sepc and mepc drop it: a signal frame may hold anything. */
  set pc(address: bigint) {
    this.words[PC_LO] = Number(BigInt.asIntN(32, address)) & ~1;
    this.words[PC_HI] = Number(BigInt.asIntN(32, address >> 32n));
  }

  /** frm << 5 | flags. */
  get fcsr(): number { return this.words[FCSR]!; }
  set fcsr(value: number) { this.words[FCSR] = value & FCSR_MASK; }
  get frm(): number { return this.words[FCSR]! >> FRM_SHIFT; }
  get fflags(): number { return this.words[FCSR]! & FFLAGS_MASK; }
  /** Accrues exception flags (FFlag bits): they stay until the program clears them. */
  raise(flags: number): void { this.words[FCSR]! |= flags; }

  get privilege(): Privilege { return this.words[PRIVILEGE] as Privilege; }
  set privilege(level: Privilege) { this.words[PRIVILEGE] = level; }

  /** Instructions retired. One that traps does not retire. */
  get instret(): number { return this.counts[INSTRET]!; }
  set instret(n: number) { this.counts[INSTRET] = n; }
  /** Traps taken; with instret it makes the tick that stamps TLB entries, so that a retried access is a later one. */
  get traps(): number { return this.counts[TRAPS]!; }
  set traps(n: number) { this.counts[TRAPS] = n; }
  /** Cycles that the kernel charged for its work. */
  get chargedCycles(): number { return this.counts[CHARGED]!; }
  set chargedCycles(n: number) { this.counts[CHARGED] = n; }

  /** Host offset of the reserved bytes, or NO_HOST. Over physical bytes: a remapped page keeps its reservation. */
  get reservation(): number { return this.words[RESERVATION]!; }
  get reservationBytes(): number { return this.words[RESERVATION_BYTES]!; }
  reserve(host: number, lenBytes: number): void {
    this.words[RESERVATION] = host;
    this.words[RESERVATION_BYTES] = lenBytes;
  }
  clearReservation(): void { this.words[RESERVATION] = NO_HOST; }

  /** Everything a program's future depends on. */
  hash(into: StateHash): void {
    into.int32s(this.xHalves, 2);
    into.int32s(this.fHalves);
    into.int32s(this.words);
    into.numbers(this.counts);
  }
}
