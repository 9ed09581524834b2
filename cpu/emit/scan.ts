// Searching a few neighbouring entries of a column at once, in 128-bit steps and without a branch that could be guessed wrong: which words equal a
// value, which double is the least, where a tree of comparisons ends.
import { add, and, doubleAt, local, not, or, set, shl, shr, word } from './expr.ts';
import type { Expr } from './expr.ts';
import { Code, Mem, Op, Simd, Type } from './wasm.ts';

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

/** Pushes whether any double among `n`, at least two, from `first` on is less than the one of an entry of the same column. */
export const anyLess = (column: number, first: Expr, n: number, entry: Expr): Expr => (c) => {
  const than = c.local(Type.V128), at = offsetOf(c, first, 3);
  doubleAt(column, entry)(c);
  c.simd(Simd.f64x2_splat).set(than);
  stepsOver(n, 2).forEach((start, i) => {
    c.get(at).loadVector(column + 8 * start).get(than).simd(Simd.f64x2_lt);
    if (i !== 0) c.simd(Simd.v128_or);
  });
  c.simd(Simd.v128_any_true);
};

/** Pushes the greatest double among `n`, a power of two. @param at local with the first one's place in bytes, less the column's */
const greatest = (column: number, at: number, n: number): Expr => (c) => {
  if (n === 1) {
    c.get(at).mem(Mem.f64_load, column);
    return;
  }
  const most = c.local(Type.V128);
  stepsOver(n, 2).forEach((start, i) => {
    c.get(at).loadVector(column + 8 * start);
    if (i !== 0) c.simd(Simd.f64x2_pmax);
  });
  c.set(most).get(most).simd(Simd.f64x2_extract_lane, 0).get(most).simd(Simd.f64x2_extract_lane, 1).op(Op.f64_max);
};
/** treeVictim() and freeWay() of mmu/replacement.ts, into a local: of two halves always the one whose greatest double is less, the left one of equals. At most 32
 *  ways. @param wanted a local with a bit for each way that may be answered, not 0, which is used up; null: any */
export const leastByHalves = (into: number, column: number, first: Expr, ways: number, wanted: number | null): Expr => (c) => {
  const at = c.local(Type.I32), right = c.local(Type.I32);
  set(into, first)(c);
  for (let half = ways >> 1, log2 = Math.log2(half); half > 0; half >>= 1, log2--) {
    c.get(into).i32(3).op(Op.i32_shl).set(at);
    greatest(column, at, half)(c);
    greatest(column + 8 * half, at, half)(c);
    c.op(Op.f64_gt).set(right);
    if (wanted !== null) {
      const left = (1 << half) - 1;
      // Into the half that has one that is wanted.
      set(right, or(not(and(local(wanted), word(left))), and(local(right), not(not(shr(local(wanted), word(half)))))))(c);
      set(wanted, and(shr(local(wanted), shl(local(right), word(log2))), word(left)))(c);
    }
    set(into, add(local(into), shl(local(right), word(log2))))(c);
  }
};
