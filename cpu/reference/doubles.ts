// Double arithmetic where it is ordinary: rounding to nearest even, results far from overflow and underflow. The loop does these without leaving
// its block; float.ts has the instructions whole. Registers are places in a column of doubles: the arena's in the loop, the hart's elsewhere.
// Each function answers false, and has done nothing, when the result is not certain: then exact arithmetic is asked.
import { FFlag, FRM_SHIFT, Rm } from '../hart.ts';
import type { Hart } from '../hart.ts';
import {
  fused, fusedDouble, isTrustedProduct, isTrustedQuotient, isTrustedSum, productError, quotientError, sumError,
} from './hostfloat.ts';

/** Does an instruction with this rm field round to nearest even now? */
export const roundsToNearest = (hart: Hart, rm: number): boolean => rm === Rm.RNE || (rm === Rm.DYN && hart.fcsr >> FRM_SHIFT === Rm.RNE);

/** Whether a result is exact matters only until NX is raised; programs seldom clear it. */
const isInexactKnown = (hart: Hart): boolean => (hart.fcsr & FFlag.NX) !== 0;

function putSum(hart: Hart, f: Float64Array, d: number, a: number, b: number): boolean {
  const sum = a + b;
  if (!isTrustedSum(sum)) return false;
  if (!isInexactKnown(hart) && sumError(a, b, sum) !== 0) hart.raise(FFlag.NX);
  f[d] = sum;
  return true;
}
export function addDoubles(hart: Hart, f: Float64Array, d: number, a: number, b: number): boolean {
  return putSum(hart, f, d, f[a]!, f[b]!);
}
export function subDoubles(hart: Hart, f: Float64Array, d: number, a: number, b: number): boolean {
  return putSum(hart, f, d, f[a]!, -f[b]!);
}
export function mulDoubles(hart: Hart, f: Float64Array, d: number, a: number, b: number): boolean {
  const x = f[a]!;
  const y = f[b]!;
  const product = x * y;
  if (!isTrustedProduct(product, x, y)) return false;
  if (!isInexactKnown(hart)) {
    const error = productError(x, y, product);
    if (error !== error) return false;
    if (error !== 0) hart.raise(FFlag.NX);
  }
  f[d] = product;
  return true;
}
export function divDoubles(hart: Hart, f: Float64Array, d: number, a: number, b: number): boolean {
  const x = f[a]!;
  const y = f[b]!;
  const quotient = x / y;
  if (!isTrustedQuotient(quotient, x)) return false;
  if (!isInexactKnown(hart)) {
    const error = quotientError(x, y, quotient);
    if (error !== error) return false;
    if (error !== 0) hart.raise(FFlag.NX);
  }
  f[d] = quotient;
  return true;
}
/** The product's and the addend's sign are 1 or -1: fmadd 1 1, fmsub 1 -1, fnmsub -1 1, fnmadd -1 -1. */
export function fuseDoubles(hart: Hart, f: Float64Array, d: number, a: number, b: number, c: number, productSign: number, addendSign: number): boolean {
  const result = fusedDouble(productSign * f[a]!, f[b]!, addendSign * f[c]!);
  if (result !== result) return false;
  if (fused.inexact) hart.raise(FFlag.NX);
  f[d] = result;
  return true;
}

/** No NaN among the two: then comparing them raises nothing. */
export const areNumbers = (f: Float64Array, a: number, b: number): boolean => f[a] === f[a] && f[b] === f[b];
