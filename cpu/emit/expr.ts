// Expressions and statements over WebAssembly, for code that is more than an instruction's worth. Here: combinators, each a function that appends to a
// Code; arguments are evaluated in the order they stand. Words are i32, addresses byte offsets.
import { Mem, Op, Type } from './wasm.ts';
import type { Code } from './wasm.ts';

/** Appends code that leaves one value, or (statements) none. */
export type Expr = (c: Code) => void;

export const word = (n: number): Expr => (c) => { c.i32(n); };
export const double = (x: number): Expr => (c) => { c.f64(x); };
export const local = (index: number): Expr => (c) => { c.get(index); };
const with2 = (...ops: readonly Op[]) => (a: Expr, b: Expr): Expr => (c) => {
  a(c);
  b(c);
  c.op(...ops);
};
export const apply = (op: Op) => (a: Expr): Expr => (c) => {
  a(c);
  c.op(op);
};
export const add = with2(Op.i32_add), sub = with2(Op.i32_sub), mul = with2(Op.i32_mul), and = with2(Op.i32_and), or = with2(Op.i32_or), xor = with2(Op.i32_xor);
export const shl = with2(Op.i32_shl), shr = with2(Op.i32_shr_u), shrSigned = with2(Op.i32_shr_s);
export const eq = with2(Op.i32_eq), ne = with2(Op.i32_ne), less = with2(Op.i32_lt_s), atLeast = with2(Op.i32_ge_s), below = with2(Op.i32_lt_u);
export const addDoubles = with2(Op.f64_add), equalDoubles = with2(Op.f64_eq), lessDoubles = with2(Op.f64_lt), atLeastDoubles = with2(Op.f64_ge);
/** A whole number from 0 to 2^52 - 1, which a double holds, as 64 bits: added to 2^52 it is the fraction's bits. Truncation would be checked. */
export const wideOf = (x: Expr): Expr => (c) => {
  x(c);
  c.f64(2 ** 52).op(Op.f64_add, Op.i64_reinterpret_f64).i64(2n ** 52n - 1n).op(Op.i64_and);
};
/** The low 32 bits of such a number. */
export const wordOf = (x: Expr): Expr => (c) => {
  x(c);
  c.f64(2 ** 52).op(Op.f64_add, Op.i64_reinterpret_f64, Op.i32_wrap_i64);
};
export const not = apply(Op.i32_eqz), trailingZeros = apply(Op.i32_ctz), leadingZeros = apply(Op.i32_clz), bitsSet = apply(Op.i32_popcnt);
export const all = (first: Expr, ...more: readonly Expr[]): Expr => more.reduce((a, b) => and(a, b), first);

/** Element i of a column of words, or of doubles; of bytes. */
export const wordAt = (column: number, i: Expr): Expr => (c) => {
  shl(i, word(2))(c);
  c.mem(Mem.i32_load, column);
};
export const doubleAt = (column: number, i: Expr): Expr => (c) => {
  shl(i, word(3))(c);
  c.mem(Mem.f64_load, column);
};
export const byteAt = (column: number, i: Expr): Expr => (c) => {
  i(c);
  c.mem(Mem.i32_load8_u, column);
};
export const setWord = (column: number, i: Expr, value: Expr): Expr => (c) => {
  shl(i, word(2))(c);
  value(c);
  c.mem(Mem.i32_store, column);
};
export const setDouble = (column: number, i: Expr, value: Expr): Expr => (c) => {
  shl(i, word(3))(c);
  value(c);
  c.mem(Mem.f64_store, column);
};
export const setByte = (column: number, i: Expr, value: Expr): Expr => (c) => {
  i(c);
  value(c);
  c.mem(Mem.i32_store8, column);
};
const FIRST = word(0);
/** The count of doubles at a place grows. */
export const count = (place: number, by: Expr = double(1)): Expr => setDouble(place, FIRST, addDoubles(doubleAt(place, FIRST), by));
export const addWord = (column: number, i: Expr, n: Expr = word(1)): Expr => setWord(column, i, add(wordAt(column, i), n));

export const set = (index: number, value: Expr): Expr => (c) => {
  value(c);
  c.set(index);
};
export const block = (...statements: readonly Expr[]): Expr => (c) => { for (const s of statements) s(c); };
export const when = (condition: Expr, then: Expr, otherwise?: Expr): Expr => (c) => {
  condition(c);
  c.if();
  then(c);
  if (otherwise !== undefined) {
    c.else();
    otherwise(c);
  }
  c.end();
};
/** The same, of a condition that is seldom true. */
export const seldom = (condition: Expr, then: Expr): Expr => (c) => {
  condition(c);
  c.ifSeldom();
  then(c);
  c.end();
};
/** `body` again and again while the condition holds; it is tested first. */
export const loopWhile = (condition: Expr, body: Expr): Expr => (c) => {
  const out = c.block();
  const again = c.loop();
  condition(c);
  c.op(Op.i32_eqz).brIf(out);
  body(c);
  c.br(again);
  c.end();
  c.end();
};
export const answer = (value: Expr): Expr => (c) => {
  value(c);
  c.op(Op.return);
};
export const call = (index: number, ...values: readonly Expr[]): Expr => (c) => {
  for (const v of values) v(c);
  c.call(index);
};
/** The caller gets what another function answers. */
export const answerOf = (index: number, ...values: readonly Expr[]): Expr => (c) => {
  for (const v of values) v(c);
  c.tailCall(index);
};
export const either = (condition: Expr, yes: Expr, no: Expr, type: Type = Type.I32): Expr => (c) => {
  condition(c);
  c.if(type);
  yes(c);
  c.else();
  no(c);
  c.end();
};
