// What the host's own doubles can be trusted with: rounding to nearest even, where operands and result are ordinary. JavaScript's + - * / and
// Math.sqrt are IEEE 754's; what it does not tell is whether a result is exact, and that an error-free transformation finds out: the
// rounding error of a sum or product is itself a double, and a few more operations compute it (Knuth, Dekker).
// Here: is this result to be trusted, was it exact, fused multiply-add by rounding to odd, whole numbers. A question that these cannot
// answer near overflow and underflow is answered NaN, and softfloat.ts is asked instead. Tests compare the two.
import { Rm } from '../hart.ts';

/** Between these no intermediate result below leaves the normal numbers: an error is at most 2^106 smaller than what it belongs to. */
const SMALL = 2 ** -900;
const LARGE = 2 ** 900;
const MIN_NORMAL_SINGLE = 2 ** -126;

/** Is x neither zero nor anywhere near underflow, overflow, infinity and NaN? */
const isOrdinary = (x: number): boolean => {
  const magnitude = Math.abs(x);
  return magnitude > SMALL && magnitude < LARGE;
};

// ---- trusted results: the only flag they may still raise is NX ----

/** A sum that is subnormal or zero is exact, so only large ones are doubtful. */
export const isTrustedSum = (sum: number): boolean => Math.abs(sum) < LARGE;
/** A product or quotient may be zero only because the first or (of a product) the second operand is. */
export const isTrustedProduct = (product: number, a: number, b: number): boolean =>
  isOrdinary(product) || (product === 0 && (a === 0 || b === 0));
export const isTrustedQuotient = (quotient: number, dividend: number): boolean => isOrdinary(quotient) || (quotient === 0 && dividend === 0);
export const isTrustedRoot = (root: number): boolean => isOrdinary(root) || root === 0;
/** A double rounded to single: `rounded` is not tiny before or after rounding, nor infinite, or it is an exact zero. */
export const isTrustedSingle = (rounded: number, wide: number): boolean => {
  const magnitude = Math.abs(rounded);
  return (magnitude > MIN_NORMAL_SINGLE && magnitude < Infinity) || wide === 0;
};

// ---- was it exact? The error of a trusted result; NaN: cannot say ----

/** a + b = sum + error, without loss. */
export function sumError(a: number, b: number, sum: number): number {
  const b1 = sum - a;
  return a - (sum - b1) + (b - b1);
}

/** a * b = product + error, without loss, if all three are ordinary. Each factor is split into halves whose products are exact. */
export function productError(a: number, b: number, product: number): number {
  if (product === 0) return 0;
  if (!isOrdinary(a) || !isOrdinary(b) || !isOrdinary(product)) return NaN;
  const splitA = 134217729 * a;
  const aHigh = splitA - (splitA - a);
  const aLow = a - aHigh;
  const splitB = 134217729 * b;
  const bHigh = splitB - (splitB - b);
  const bLow = b - bHigh;
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** Not the error itself, but zero if and only if dividend = quotient * divisor. */
export function quotientError(dividend: number, divisor: number, quotient: number): number {
  if (quotient === 0) return 0;
  const back = quotient * divisor;
  return isOrdinary(dividend) ? back - dividend || productError(quotient, divisor, back) : NaN;
}

/** The same for a square root. */
export const rootError = (square: number, root: number): number => quotientError(square, root, root);

// ---- fused multiply-add ----

const bits = new Int32Array(2);
const asDouble = new Float64Array(bits.buffer);

/** x + y rounded to odd: if inexact, the neighbour whose last bit is one, which remembers on which side of it the true sum lies. A sum so
 *  rounded may be rounded again, to nearest and at least two bits shorter, without harm (Boldo and Melquiond, 2008). */
function sumToOdd(x: number, y: number): number {
  const sum = x + y;
  const error = sumError(x, y, sum);
  if (error === 0 || error !== error) return sum; // exact, infinite or NaN
  asDouble[0] = sum;
  if ((bits[0]! & 1) !== 0) return sum;
  if (error > 0 === sum > 0) {
    bits[0]! |= 1;
  } else {
    if (bits[0] === 0) bits[1]!--;
    bits[0]!--;
  }
  return asDouble[0]!;
}

/** Whether the last fusedDouble or fusedSingle had to round: their second result. */
export const fused = { inexact: false };

/** a * b + c with one rounding, or NaN: cannot say. */
export function fusedDouble(a: number, b: number, c: number): number {
  const product = a * b;
  fused.inexact = false;
  if (product === 0) {
    const sum = product + c;
    return (a === 0 || b === 0) && Math.abs(sum) < LARGE ? sum : NaN;
  }
  const productLow = productError(a, b, product); // NaN unless all are ordinary, and then so is all below
  if (c === 0 || productLow !== productLow) {
    fused.inexact = productLow !== 0;
    return productLow === productLow ? product : NaN;
  }
  if (!isOrdinary(c)) return NaN;
  const high = c + productLow;
  const highLow = sumError(c, productLow, high);
  const sum = product + high;
  const sumLow = sumError(product, high, sum);
  const low = sumToOdd(highLow, sumLow);
  const result = sum + low;
  // If highLow + sumLow needs more than one double, so does the whole: `sum` is far above it.
  fused.inexact = sumError(sum, low, result) !== 0 || sumError(highLow, sumLow, low) !== 0;
  return result === 0 ? NaN : result; // the sign of nothing is not worth thinking about here
}

/** The same for singles held in doubles, whose product a double holds whole. The result is yet to be rounded to single. */
export function fusedSingle(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = sumToOdd(product, c);
  fused.inexact = sumError(product, c, sum) !== 0;
  return sum;
}

// ---- whole numbers ----

/** x rounded to a whole number in any mode, exactly. NaN and infinities stay. */
export function roundToWhole(x: number, rm: number): number {
  switch (rm) {
    case Rm.RTZ: return Math.trunc(x);
    case Rm.RDN: return Math.floor(x);
    case Rm.RUP: return Math.ceil(x);
  }
  // To nearest, of the magnitude: there the rest is exact, while of -0.49999999999999994 the way to -1 is not.
  const magnitude = Math.abs(x);
  const below = Math.floor(magnitude);
  const rest = magnitude - below;
  if (!(rest > 0)) return x; // whole already, infinite or NaN
  const up = rest > 0.5 || (rest === 0.5 && (rm === Rm.RMM || below % 2 === 1));
  const whole = up ? below + 1 : below;
  return x < 0 ? -whole : whole;
}
