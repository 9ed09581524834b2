// Searching a few neighbouring entries of a column at once, in 128-bit steps and without a branch that could be guessed wrong: which words equal a
// value, which double is the least.
import type { Expr } from './expr.ts';
import { Code, Op, Simd, Type } from './wasm.ts';

/** Starts of steps of `lanes` that cover `n` entries: the last one overlaps the one before, where n is no multiple. */
const stepsOver = (n: number, lanes: number): number[] =>
  Array.from({ length: Math.ceil(n / lanes) }, (_, i) => Math.max(0, Math.min(lanes * i, n - lanes)));
/** Pushes the address of an entry, less the column's place. */
const offsetOf = (c: Code, first: Expr, log2Bytes: number): number => {
  const at = c.local(Type.I32);
  first(c);
  c.i32(log2Bytes).op(Op.i32_shl).set(at);
  return at;
};

/** Bit i of what is left on the stack: entry first + i of `n` holds the value, in a column of words. */
export const matches = (column: number, first: Expr, n: number, value: Expr): Expr => (c) => {
  const wanted = c.local(Type.V128);
  const at = offsetOf(c, first, 2);
  value(c);
  c.simd(Simd.i32x4_splat).set(wanted);
  stepsOver(n, 4).forEach((start, i) => {
    c.get(at).loadVector(column + 4 * start).get(wanted).simd(Simd.i32x4_eq).simd(Simd.i32x4_bitmask);
    if (start !== 0) c.i32(start).op(Op.i32_shl);
    if (i !== 0) c.op(Op.i32_or);
  });
  if (n < 4) c.i32((1 << n) - 1).op(Op.i32_and);
};

/** The number of the entry with the least double among `n` from `first` on; of several that have it, any. */
export const leastOf = (column: number, first: Expr, n: number): Expr => (c) => {
  first(c);
  if (n === 1) return;
  const least = c.local(Type.V128), at = offsetOf(c, first, 3), steps = stepsOver(n, 2);
  steps.forEach((start, i) => {
    c.get(at).loadVector(column + 8 * start);
    if (i !== 0) c.simd(Simd.f64x2_pmin);
  });
  c.tee(least).get(least).simd(Simd.f64x2_extract_lane, 1).simd(Simd.f64x2_splat).simd(Simd.f64x2_pmin);
  c.simd(Simd.f64x2_extract_lane, 0).simd(Simd.f64x2_splat).set(least);
  steps.forEach((start, i) => {
    c.get(at).loadVector(column + 8 * start).get(least).simd(Simd.f64x2_eq).simd(Simd.i64x2_bitmask);
    if (start !== 0) c.i32(start).op(Op.i32_shl);
    if (i !== 0) c.op(Op.i32_or);
  });
  c.op(Op.i32_ctz, Op.i32_add);
};
