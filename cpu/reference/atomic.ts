// A: load-reserved, store-conditional, and the read-modify-write operations. Here: alignment, the reservation, the arithmetic. One hart runs at
// a time, so aq and rl ask for nothing. Unprivileged spec, "A" extension; riscv-mmu facts, section 8.
//
// A misaligned address is a misaligned exception (4 for LR, 6 for SC and AMO) before anything is looked up. An SC is translated as a store,
// and may fault, before the reservation is tested.
import { Access, NO_HOST } from '#mmu';
import { Cause } from '../trap.ts';
import { X_SINK } from '../hart.ts';
import type { Hart } from '../hart.ts';
import type { Decoded } from '../isa/decode.ts';
import { INSTRUCTIONS } from '../isa/table.ts';
import { Outcome } from './core.ts';
import type { Core, Meaning } from './core.ts';
import * as integer from './integer.ts';

/** Host offset of the aligned bytes at x[rs1], or NO_HOST with core.exit filled. */
function locate(core: Core, d: Decoded, access: Access): number {
  const { hart, mmu, exit } = core;
  const lo = hart.xHalves[2 * d.rs1]!;
  const hi = hart.xHalves[2 * d.rs1 + 1]!;
  if ((lo & (INSTRUCTIONS[d.op]!.accessBytes - 1)) !== 0) {
    exit.trap(access === Access.Load ? Cause.LoadMisaligned : Cause.StoreMisaligned, hi, lo);
    return NO_HOST;
  }
  const host = mmu.lookup(hi, lo, access);
  if (host === NO_HOST) exit.fault(mmu.fault);
  return host;
}
function setX(hart: Hart, rd: number, low: number, high: number): void {
  const to = 2 * (rd === 0 ? X_SINK : rd);
  hart.xAndSink[to] = low;
  hart.xAndSink[to + 1] = high;
}
/** A word, sign-extended, or a double word goes from memory to a register. */
function fromMemory(core: Core, d: Decoded, host: number): void {
  const words = core.ram.arena.i32;
  const low = words[host >>> 2]!;
  setX(core.hart, d.rd, low, INSTRUCTIONS[d.op]!.accessBytes === 8 ? words[(host >>> 2) + 1]! : low >> 31);
}

const loadReserved: Meaning = (core, d) => {
  const host = locate(core, d, Access.Load);
  if (host === NO_HOST) return Outcome.Trap;
  fromMemory(core, d, host);
  core.hart.reserve(host, INSTRUCTIONS[d.op]!.accessBytes);
  return Outcome.Next;
};

const storeConditional: Meaning = (core, d) => {
  const { hart } = core;
  const host = locate(core, d, Access.Store);
  if (host === NO_HOST) return Outcome.Trap;
  const lenBytes = INSTRUCTIONS[d.op]!.accessBytes;
  const holds = hart.reservation === host && lenBytes <= hart.reservationBytes;
  hart.clearReservation();
  let codeChanged = false;
  if (holds) {
    const words = core.ram.arena.i32;
    words[host >>> 2] = hart.xHalves[2 * d.rs2]!;
    if (lenBytes === 8) words[(host >>> 2) + 1] = hart.xHalves[2 * d.rs2 + 1]!;
    codeChanged = core.blocks.stored(host, lenBytes);
  }
  setX(hart, d.rd, holds ? 0 : 1, 0);
  return codeChanged ? Outcome.Leave : Outcome.Next;
};

/** New value of a word in memory, from the old one and rs2. */
const wordOps: Readonly<Record<string, (old: number, operand: number) => number>> = {
  'amoswap.w': (_old, operand) => operand,
  'amoadd.w': (old, operand) => old + operand,
  'amoxor.w': (old, operand) => old ^ operand,
  'amoand.w': (old, operand) => old & operand,
  'amoor.w': (old, operand) => old | operand,
  'amomin.w': (old, operand) => Math.min(old, operand),
  'amomax.w': (old, operand) => Math.max(old, operand),
  'amominu.w': (old, operand) => Math.min(old >>> 0, operand >>> 0),
  'amomaxu.w': (old, operand) => Math.max(old >>> 0, operand >>> 0),
};
/** The same for double words: memory and registers lie in one arena, so the register instructions' functions serve. */
const doubleOps: Readonly<Record<string, (m: Int32Array, d: number, a: number, b: number) => void>> = {
  'amoswap.d': (m, d, _a, b) => integer.addi(m, d, b, 0),
  'amoadd.d': integer.add, 'amoxor.d': integer.xor, 'amoand.d': integer.and, 'amoor.d': integer.or,
  'amomin.d': integer.min, 'amomax.d': integer.max, 'amominu.d': integer.minu, 'amomaxu.d': integer.maxu,
};

function readModifyWrite(name: string): Meaning {
  const onWord = wordOps[name];
  const onDouble = doubleOps[name]!;
  return (core, d) => {
    const { hart } = core;
    const host = locate(core, d, Access.Amo);
    if (host === NO_HOST) return Outcome.Trap;
    const words = core.ram.arena.i32;
    const at = host >>> 2;
    const oldLow = words[at]!;
    const oldHigh = onWord === undefined ? words[at + 1]! : oldLow >> 31;
    if (onWord === undefined) onDouble(words, at, at, (hart.x.byteOffset >>> 2) + 2 * d.rs2);
    else words[at] = onWord(oldLow, hart.xHalves[2 * d.rs2]!);
    setX(hart, d.rd, oldLow, oldHigh);
    return core.blocks.stored(host, onWord === undefined ? 8 : 4) ? Outcome.Leave : Outcome.Next;
  };
}

/** The meaning of an instruction of A, or null. */
export function atomicMeaning(op: number): Meaning | null {
  const { name, extension } = INSTRUCTIONS[op]!;
  if (extension !== 'A') return null;
  if (name.startsWith('lr.')) return loadReserved;
  return name.startsWith('sc.') ? storeConditional : readModifyWrite(name);
}
