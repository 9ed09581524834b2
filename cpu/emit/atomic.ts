// What each instruction of A means as WebAssembly, where the filter shows its page: written once for interpreter and regions. Here: the reservation, and what
// is written to memory. Not here: the probe (memory.ts), and accesses that it cannot answer, or that are misaligned (reference/atomic.ts).
//
// aq and rl ask for nothing: one hart, memory in order.
import { Access, NO_HOST } from '#mmu';
import { INSTRUCTIONS, Kind, opOf } from '../isa/table.ts';
import type { Layout } from './layout.ts';
import { lowerings } from './lower.ts';
import type { Operands } from './lower.ts';
import { Mem, Op, Type } from './wasm.ts';

export interface Atomic {
  /** What its look-up counts as. */
  readonly access: Access;
  /** The write filter is asked, not the read filter. */
  readonly isStore: boolean;
  readonly lenBytes: number;
  /** Does to memory and to the reservation what is to be done, and leaves x[rd] on the stack, an i64. @param host local with the host offset of the bytes, i32 */
  emit(o: Operands, layout: Layout, host: number): void;
}
type Emit = Atomic['emit'];

const loadOf = (lenBytes: number): Mem => (lenBytes === 8 ? Mem.i64_load : Mem.i64_load32_s);
const storeOf = (lenBytes: number): Mem => (lenBytes === 8 ? Mem.i64_store : Mem.i64_store32);

const loadReserved = (lenBytes: number): Emit => ({ code }, { reservation, reservationBytes }, host) => {
  code.i32(0).get(host).mem(Mem.i32_store, reservation);
  code.i32(0).i32(lenBytes).mem(Mem.i32_store, reservationBytes);
  code.get(host).mem(loadOf(lenBytes));
};

const storeConditional = (lenBytes: number): Emit => (o, { reservation, reservationBytes }, host) => {
  const { code } = o;
  const holds = o.temporary(Type.I32, 1);
  code.i32(0).mem(Mem.i32_load, reservation).get(host).op(Op.i32_eq);
  code.i32(0).mem(Mem.i32_load, reservationBytes).i32(lenBytes).op(Op.i32_ge_s, Op.i32_and).set(holds);
  code.i32(0).i32(NO_HOST).mem(Mem.i32_store, reservation);
  code.get(holds);
  code.if();
  code.get(host);
  o.x2();
  code.mem(storeOf(lenBytes));
  code.end();
  code.get(holds).op(Op.i32_eqz, Op.i64_extend_i32_u);
};

/** What 'amoadd.w' writes is what 'add' makes of the old value and rs2; a swap, rs2. Words are compared sign-extended, which keeps their unsigned order, too. */
const readModifyWrite = (name: string, lenBytes: number): Emit => (o, _layout, host) => {
  const { code } = o;
  const old = o.temporary(Type.I64, 0);
  const x1 = (): void => { code.get(old); };
  const x2 = (): void => {
    o.x2();
    if (lenBytes === 4) code.op(Op.i64_extend32_s);
  };
  code.get(host).mem(loadOf(lenBytes)).set(old);
  code.get(host);
  (lowerings.get(opOf(name.slice('amo'.length, -'.w'.length))) ?? o.x2)({ ...o, x1, x2 });
  code.mem(storeOf(lenBytes)).get(old);
};

/** By op. */
export const atomics: ReadonlyMap<number, Atomic> = new Map(INSTRUCTIONS.flatMap(({ name, extension, kind, accessBytes: lenBytes }, op) => {
  if (extension !== 'A') return [];
  const [access, emit] = (kind & Kind.Load) !== 0 ? [Access.Load, loadReserved(lenBytes)] as const
    : (kind & Kind.Store) !== 0 ? [Access.Store, storeConditional(lenBytes)] as const : [Access.Amo, readModifyWrite(name, lenBytes)] as const;
  return [[op, { access, isStore: access !== Access.Load, lenBytes, emit }] as const];
}));
