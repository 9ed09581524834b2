// IEEE 754 arithmetic bit by bit, as the F and D extensions want it: every rounding mode, every flag. A finite number is taken for what it
// is, significand * 2^exponent with a whole significand; an operation is done on those without any loss, and one function rounds.
// Whole numbers have no limit here (BigInt), so there is nothing to get wrong and nothing is fast: hostfloat.ts has the common case.
// Not here: floating point to integer, which the host's doubles do without loss (hostfloat.ts); comparisons, NaN boxing (float.ts).
import { FFlag, Rm } from '../hart.ts';

/** How to round, and what was raised since `flags` was last cleared. */
export interface FpContext {
  rm: number;
  flags: number;
}

export interface Format {
  /** Bits of the significand as stored, and with the hidden one. */
  readonly fractionBits: number;
  readonly precision: number;
  /** The last place of subnormal numbers is 2^minExponent; the numbers below 2^minNormal are the subnormal ones. */
  readonly minExponent: number;
  readonly minNormal: number;
  /** Bit patterns: of infinity (also the mask of the exponent), the sign bit, the quiet bit of a NaN, the canonical NaN. */
  readonly infinity: bigint;
  readonly sign: bigint;
  readonly quiet: bigint;
  readonly nan: bigint;
}

function format(exponentBits: number, fractionBits: number): Format {
  const bias = (1 << (exponentBits - 1)) - 1;
  const infinity = ((1n << BigInt(exponentBits)) - 1n) << BigInt(fractionBits);
  const quiet = 1n << BigInt(fractionBits - 1);
  return {
    fractionBits,
    precision: fractionBits + 1,
    minExponent: 1 - bias - fractionBits,
    minNormal: 1 - bias,
    infinity,
    sign: 1n << BigInt(exponentBits + fractionBits),
    quiet,
    nan: infinity | quiet,
  };
}
export const Single: Format = format(8, 23);
export const Double: Format = format(11, 52);

/** (-1)^negative * significand * 2^exponent. */
interface Finite {
  readonly negative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

const isNan = (f: Format, a: bigint): boolean => (a & (f.sign - 1n)) > f.infinity;
const isSignaling = (f: Format, a: bigint): boolean => isNan(f, a) && (a & f.quiet) === 0n;
const isInfinite = (f: Format, a: bigint): boolean => (a & (f.sign - 1n)) === f.infinity;
const isZero = (f: Format, a: bigint): boolean => (a & (f.sign - 1n)) === 0n;
const isNegative = (f: Format, a: bigint): boolean => (a & f.sign) !== 0n;
const signed = (f: Format, negative: boolean, magnitude: bigint): bigint => (negative ? f.sign | magnitude : magnitude);

function finite(f: Format, a: bigint): Finite {
  const field = Number((a & f.infinity) >> BigInt(f.fractionBits));
  const fraction = a & ((1n << BigInt(f.fractionBits)) - 1n);
  return {
    negative: isNegative(f, a),
    significand: field === 0 ? fraction : fraction | (1n << BigInt(f.fractionBits)),
    exponent: f.minExponent + (field === 0 ? 0 : field - 1),
  };
}

/** Position of the highest one bit, plus one. */
function bitLength(n: bigint): number {
  const digits = n.toString(16);
  return digits.length * 4 + 28 - Math.clz32(parseInt(digits[0]!, 16));
}

/** Divides by 2^places and rounds to a whole number; places may be negative. */
function roundAt(significand: bigint, places: number, negative: boolean, rm: number): { whole: bigint; inexact: boolean } {
  if (places <= 0) return { whole: significand << BigInt(-places), inexact: false };
  const whole = significand >> BigInt(places);
  const rest = significand - (whole << BigInt(places));
  if (rest === 0n) return { whole, inexact: false };
  const half = 1n << BigInt(places - 1);
  const up =
    rm === Rm.RNE ? rest > half || (rest === half && (whole & 1n) === 1n)
    : rm === Rm.RMM ? rest >= half
    : rm === Rm.RDN ? negative
    : rm === Rm.RUP ? !negative
    : false;
  return { whole: up ? whole + 1n : whole, inexact: true };
}

/** The one place that rounds to a format: (-1)^negative * significand * 2^exponent, where significand is not 0. */
function round(f: Format, ctx: FpContext, negative: boolean, significand: bigint, exponent: number): bigint {
  const length = bitLength(significand);
  const lastPlace = Math.max(exponent + length - f.precision, f.minExponent);
  const { whole, inexact } = roundAt(significand, lastPlace - exponent, negative, ctx.rm);
  // The stored exponent is one less for a subnormal; a normal's hidden bit supplies that one by the addition, and so does a carry out of
  // the rounding, which leaves the significand's bits zero.
  const magnitude = (BigInt(lastPlace - f.minExponent) << BigInt(f.fractionBits)) + whole;
  if (magnitude >= f.infinity) {
    ctx.flags |= FFlag.OF | FFlag.NX;
    const away = ctx.rm === Rm.RNE || ctx.rm === Rm.RMM || ctx.rm === (negative ? Rm.RDN : Rm.RUP);
    return signed(f, negative, away ? f.infinity : f.infinity - 1n);
  }
  if (inexact) {
    ctx.flags |= FFlag.NX;
    if (isTiny(f, ctx.rm, negative, significand, exponent)) ctx.flags |= FFlag.UF;
  }
  return signed(f, negative, magnitude);
}

/** Tininess is detected after rounding: would the result be subnormal if it were rounded to full precision with an endless exponent? */
function isTiny(f: Format, rm: number, negative: boolean, significand: bigint, exponent: number): boolean {
  const length = bitLength(significand);
  const { whole } = roundAt(significand, length - f.precision, negative, rm);
  return exponent + length - f.precision + bitLength(whole) <= f.minNormal;
}

/** The canonical NaN; NV if an operand was signaling or there is no sensible answer. */
function nanFrom(f: Format, ctx: FpContext, invalid: boolean, ...operands: bigint[]): bigint {
  if (invalid || operands.some((a) => isSignaling(f, a))) ctx.flags |= FFlag.NV;
  return f.nan;
}

/** The sum of two finite numbers, rounded. */
function addFinite(f: Format, ctx: FpContext, a: Finite, b: Finite): bigint {
  const exponent = Math.min(a.exponent, b.exponent);
  const whole = (n: Finite): bigint => (n.negative ? -n.significand : n.significand) << BigInt(n.exponent - exponent);
  const sum = whole(a) + whole(b);
  if (sum === 0n) {
    // Two zeros of one sign keep it; any other sum of nothing is +0, rounding down -0.
    const negative = a.significand === 0n && a.negative === b.negative ? a.negative : ctx.rm === Rm.RDN;
    return signed(f, negative, 0n);
  }
  return round(f, ctx, sum < 0n, sum < 0n ? -sum : sum, exponent);
}

export function add(f: Format, ctx: FpContext, a: bigint, b: bigint): bigint {
  if (isNan(f, a) || isNan(f, b)) return nanFrom(f, ctx, false, a, b);
  if (isInfinite(f, a)) return isInfinite(f, b) && a !== b ? nanFrom(f, ctx, true) : a;
  if (isInfinite(f, b)) return b;
  return addFinite(f, ctx, finite(f, a), finite(f, b));
}

export function sub(f: Format, ctx: FpContext, a: bigint, b: bigint): bigint {
  return add(f, ctx, a, b ^ f.sign);
}

export function mul(f: Format, ctx: FpContext, a: bigint, b: bigint): bigint {
  if (isNan(f, a) || isNan(f, b)) return nanFrom(f, ctx, false, a, b);
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a) || isInfinite(f, b)) {
    return isZero(f, a) || isZero(f, b) ? nanFrom(f, ctx, true) : signed(f, negative, f.infinity);
  }
  if (isZero(f, a) || isZero(f, b)) return signed(f, negative, 0n);
  const x = finite(f, a);
  const y = finite(f, b);
  return round(f, ctx, negative, x.significand * y.significand, x.exponent + y.exponent);
}

export function div(f: Format, ctx: FpContext, a: bigint, b: bigint): bigint {
  if (isNan(f, a) || isNan(f, b)) return nanFrom(f, ctx, false, a, b);
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a)) return isInfinite(f, b) ? nanFrom(f, ctx, true) : signed(f, negative, f.infinity);
  if (isInfinite(f, b)) return signed(f, negative, 0n);
  if (isZero(f, b)) {
    if (isZero(f, a)) return nanFrom(f, ctx, true);
    ctx.flags |= FFlag.DZ;
    return signed(f, negative, f.infinity);
  }
  if (isZero(f, a)) return signed(f, negative, 0n);
  const x = finite(f, a);
  const y = finite(f, b);
  // A quotient of at least precision + 2 bits, then one more that says whether a remainder is left: rounding needs to know no more.
  const places = Math.max(0, f.precision + 2 + bitLength(y.significand) - bitLength(x.significand));
  const dividend = x.significand << BigInt(places);
  const quotient = dividend / y.significand;
  const sticky = quotient * y.significand === dividend ? 0n : 1n;
  return round(f, ctx, negative, (quotient << 1n) | sticky, x.exponent - y.exponent - places - 1);
}

export function sqrt(f: Format, ctx: FpContext, a: bigint): bigint {
  if (isNan(f, a)) return nanFrom(f, ctx, false, a);
  if (isZero(f, a)) return a;
  if (isNegative(f, a)) return nanFrom(f, ctx, true);
  if (isInfinite(f, a)) return a;
  const x = finite(f, a);
  // A root of at least precision + 2 bits, of a number whose exponent is even, then the sticky bit as in div.
  let places = Math.max(0, 2 * (f.precision + 2) - bitLength(x.significand));
  if (((x.exponent - places) & 1) !== 0) places++;
  const square = x.significand << BigInt(places);
  const root = integerSqrt(square);
  const sticky = root * root === square ? 0n : 1n;
  return round(f, ctx, false, (root << 1n) | sticky, (x.exponent - places) / 2 - 1);
}

/** The largest whole number whose square is not above n, by Newton's iteration from above. */
function integerSqrt(n: bigint): bigint {
  let root = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (root + n / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** a * b + c with one rounding. The other three fused forms are this one with signs flipped first. */
export function fma(f: Format, ctx: FpContext, a: bigint, b: bigint, c: bigint): bigint {
  // Infinity times zero is invalid even where a NaN addend would have decided the result.
  const invalid = (isInfinite(f, a) && isZero(f, b)) || (isZero(f, a) && isInfinite(f, b));
  if (invalid || isNan(f, a) || isNan(f, b) || isNan(f, c)) return nanFrom(f, ctx, invalid, a, b, c);
  const negative = isNegative(f, a) !== isNegative(f, b);
  if (isInfinite(f, a) || isInfinite(f, b)) {
    return isInfinite(f, c) && isNegative(f, c) !== negative ? nanFrom(f, ctx, true) : signed(f, negative, f.infinity);
  }
  if (isInfinite(f, c)) return c;
  const x = finite(f, a);
  const y = finite(f, b);
  const product = { negative, significand: x.significand * y.significand, exponent: x.exponent + y.exponent };
  return addFinite(f, ctx, product, finite(f, c));
}

/** fcvt.s.d and fcvt.d.s: the same number in the other format. */
export function convert(from: Format, to: Format, ctx: FpContext, a: bigint): bigint {
  if (isNan(from, a)) {
    nanFrom(from, ctx, false, a);
    return to.nan;
  }
  const negative = isNegative(from, a);
  if (isInfinite(from, a)) return signed(to, negative, to.infinity);
  if (isZero(from, a)) return signed(to, negative, 0n);
  const x = finite(from, a);
  return round(to, ctx, negative, x.significand, x.exponent);
}

/** A whole number in a format. */
export function fromInteger(f: Format, ctx: FpContext, n: bigint): bigint {
  if (n === 0n) return 0n;
  return round(f, ctx, n < 0n, n < 0n ? -n : n, 0);
}
