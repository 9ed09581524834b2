// Register values worth trying: corners of integers and of floating point, and now and then anything at all. Seeded, so that a seed is a test.
import type { Prng } from '#base';

export const pick = <T>(random: Prng, from: readonly T[]): T => from[random.below(from.length)]!;
export const random64 = (random: Prng): bigint => (BigInt(random.next32()) << 32n) | BigInt(random.next32());

export const INTEGER_CORNERS: readonly bigint[] = [
  0n, 1n, 2n, 3n, -1n, -2n, 1n << 63n, (1n << 63n) - 1n, 1n << 31n, (1n << 31n) - 1n, -(1n << 31n), (1n << 32n) - 1n, 1n << 32n, -(1n << 31n) - 1n,
  (1n << 53n) + 1n, (1n << 53n) - 1n, -(1n << 53n) - 1n, (1n << 24n) + 1n, 0x8000_0000_8000_0000n, 0x0123_4567_89ab_cdefn, 0xff00n, 63n, 64n, 31n, 32n,
];

/** 64 bits for an x register or memory. */
export function integerValue(random: Prng): bigint {
  switch (random.below(8)) {
    case 0: case 1: case 2: return BigInt.asUintN(64, pick(random, INTEGER_CORNERS));
    case 3: return BigInt.asUintN(64, BigInt(random.below(129) - 64));
    case 4: return BigInt.asUintN(64, BigInt(random.next32() | 0));
    case 5: return BigInt.asUintN(64, (1n << BigInt(random.below(64))) - BigInt(random.below(3)));
    default: return random64(random);
  }
}

/** The corners of a format: zeros, subnormals, powers of two, ones with a last bit, the ends, infinities, quiet and signaling NaNs. */
function corners(exponentBits: number, fractionBits: number): bigint[] {
  const bias = (1n << BigInt(exponentBits - 1)) - 1n;
  const one = 1n << BigInt(fractionBits);
  const of = (exponent: bigint, fraction: bigint): bigint => (exponent * one) | fraction;
  const positive = [
    0n, 1n, one - 1n, of(1n, 0n), of(1n, 1n), of(bias, 0n), of(bias, 1n), of(bias - 1n, one - 1n), of(bias + 1n, one >> 1n), of(bias - 1n, 0n),
    of(2n * bias, one - 1n), of(2n * bias, 0n), of(2n * bias + 1n, 0n), of(2n * bias + 1n, one >> 1n), of(2n * bias + 1n, 1n),
  ];
  return positive.flatMap((bits) => [bits, bits | (1n << BigInt(exponentBits + fractionBits))]);
}
export const DOUBLE_CORNERS: readonly bigint[] = corners(11, 52);
export const SINGLE_CORNERS: readonly bigint[] = corners(8, 23);
/** Where conversions to integers change their minds: halves, and the limits of the four types. */
export const WHOLE_CORNERS: readonly number[] = [
  0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994, -0.49999999999999994, -1.4999999999999998, 0.75, -0.75, -1, 2147483647, 2147483647.5, 2147483648, -2147483648, -2147483648.5, -2147483649,
  4294967295, 4294967295.5, 4294967296, 9223372036854774784, 9223372036854775808, -9223372036854775808, -9223372036854777856, 18446744073709549568,
  18446744073709551616, 4503599627370497.5, 4503599627370496.5, 9007199254740993, 3e9, 1e300, -1e300,
];

const scratch = new DataView(new ArrayBuffer(8));
export function bitsOfDouble(value: number): bigint {
  scratch.setFloat64(0, value);
  return scratch.getBigUint64(0);
}
export function bitsOfSingle(value: number): bigint {
  scratch.setFloat32(0, value);
  return BigInt(scratch.getUint32(0));
}
export const boxed = (single: bigint): bigint => 0xffff_ffff_0000_0000n | single;

/** A double near 1, so that sums and products of two stay interesting. */
const nearOne = (random: Prng): bigint => (BigInt(random.below(2)) << 63n) | (BigInt(1023 - 30 + random.below(61)) << 52n) | (random64(random) >> 12n);
const nearOneSingle = (random: Prng): bigint => BigInt(((random.below(2) << 31) | ((127 - 14 + random.below(29)) << 23) | (random.next32() >>> 9)) >>> 0);
/** Few significant bits, so that results come out exact. */
const short = (random: Prng): bigint => bitsOfDouble((random.below(513) - 256) * 2 ** (random.below(9) - 4));

/** 64 bits for an f register: doubles, boxed singles, and singles whose box is broken. */
export function floatValue(random: Prng): bigint {
  switch (random.below(16)) {
    case 0: case 1: case 2: return pick(random, DOUBLE_CORNERS);
    case 3: return bitsOfDouble(pick(random, WHOLE_CORNERS));
    case 4: case 5: return nearOne(random);
    case 6: return short(random);
    case 7: return random64(random);
    case 8: case 9: return boxed(pick(random, SINGLE_CORNERS));
    case 10: return boxed(bitsOfSingle(pick(random, WHOLE_CORNERS)));
    case 11: case 12: return boxed(nearOneSingle(random));
    case 13: return boxed(bitsOfSingle((random.below(513) - 256) * 2 ** (random.below(9) - 4)));
    case 14: return boxed(BigInt(random.next32()));
    default: return (random64(random) & 0xffff_ffff_0000_0000n) | nearOneSingle(random);
  }
}
