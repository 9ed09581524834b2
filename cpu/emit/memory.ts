// The TLB probe, inline: how emitted code touches memory. Here: the filter's test (mmu/filter.ts says what a slot holds), the stamp, what loads and stores move,
// for both engines. Not here: LR, SC and AMO (atomic.ts); accesses that the filter cannot answer: those are the readable engine's (reference/memory.ts).
//
// One load on paper: slot = page number modulo the table; its tag must equal the address without its offset, but with the bits below the
// access's size, so that a misaligned one fails the same test; then the entry's stamp takes the tick of this instruction, and the host offset is address + delta.
import { FILTER_SLOTS, SLOT_WORDS } from '#mmu';
import { INSTRUCTIONS, Kind } from '../isa/table.ts';
import { Mem, Op, Type } from './wasm.ts';
import type { Code } from './wasm.ts';

/** Bytes into a slot: tag, delta, stamp's place. */
export const Slot = { Tag: 0, Delta: 8, Stamp: 12 } as const;
/** Shift and mask that make a page's slot, in bytes, of an address's low half. */
export const SLOT_BYTES = SLOT_WORDS * 4;
export const SLOT_SHIFT = 12 - Math.log2(SLOT_BYTES);
export const SLOT_MASK = (FILTER_SLOTS - 1) * SLOT_BYTES;

/** Where the value of a load or store lives. */
export const Value = { Integer: 0, Double: 1, Single: 2 } as const;
export type Value = (typeof Value)[keyof typeof Value];

export interface Access {
  readonly isStore: boolean;
  readonly lenBytes: number;
  readonly value: Value;
  readonly mem: Mem;
}

const integerLoads: Readonly<Record<string, Mem>> = {
  lb: Mem.i64_load8_s, lh: Mem.i64_load16_s, lw: Mem.i64_load32_s, ld: Mem.i64_load, lbu: Mem.i64_load8_u, lhu: Mem.i64_load16_u, lwu: Mem.i64_load32_u,
};
const integerStores: Readonly<Record<string, Mem>> = { sb: Mem.i64_store8, sh: Mem.i64_store16, sw: Mem.i64_store32, sd: Mem.i64_store };

/** By op: loads and stores, those of A aside. */
export const accesses: ReadonlyMap<number, Access> = new Map(INSTRUCTIONS.flatMap(({ name, extension, kind, accessBytes: lenBytes, writesFrd, readsFrs2 }, op) => {
  if (extension === 'A' || lenBytes === 0) return [];
  const isStore = (kind & Kind.Store) !== 0;
  const value = !writesFrd && !readsFrs2 ? Value.Integer : lenBytes === 8 ? Value.Double : Value.Single;
  const mem = value === Value.Integer ? (isStore ? integerStores : integerLoads)[name]!
    : value === Value.Double ? (isStore ? Mem.f64_store : Mem.f64_load) : isStore ? Mem.i64_store32 : Mem.i64_load32_u;
  return [[op, { isStore, lenBytes, value, mem }] as const];
}));

export interface Probe {
  /** Byte offset of the filter's table. */
  readonly table: number;
  /** Local with the address, i64; and one to use, i32. */
  readonly address: number;
  readonly slot: number;
}

/** Leaves on the stack whether the filter has no answer, i32; the address's slot stands in probe.slot then. */
export function emitMissTest(code: Code, { table, address, slot }: Probe, lenBytes: number): void {
  code.get(address).op(Op.i32_wrap_i64).i32(SLOT_SHIFT).op(Op.i32_shr_u).i32(SLOT_MASK).op(Op.i32_and).tee(slot);
  code.mem(Mem.i64_load, table + Slot.Tag);
  code.get(address).i64(~4095 | (lenBytes - 1)).op(Op.i64_and);
  code.op(Op.i64_ne);
}
/** After a test that has not missed: stamps the entry, and leaves the host offset on the stack, i32. @param stamp pushes it, i64 */
export function emitStampAndHost(code: Code, { table, address, slot }: Probe, stamp: () => void): void {
  code.get(slot).mem(Mem.i32_load, table + Slot.Stamp);
  stamp();
  code.mem(Mem.i64_store);
  code.get(address).op(Op.i32_wrap_i64).get(slot).mem(Mem.i32_load, table + Slot.Delta).op(Op.i32_add);
}
/** After a test that has missed: leaves 1 on the stack if the page is in the filter now, at the same slot; 0: ask somebody else. Misaligned accesses do that.
 *  @param kind of access, as REFILL has it */
export function emitRefillCall(code: Code, refill: number, address: number, lenBytes: number, kind: number): void {
  const call = (): void => { code.get(address).i32(kind).call(refill); };
  if (lenBytes === 1) {
    call();
    return;
  }
  code.get(address).i64(lenBytes - 1).op(Op.i64_and, Op.i64_eqz);
  code.if(Type.I32);
  call();
  code.else();
  code.i32(0);
  code.end();
}
