// What the instructions of F and D mean, but for loads and stores: OP-FP and the fused multiply-adds. Each first tries the host's doubles
// (hostfloat.ts), for that is what a guest's loops meet: nearest-even, ordinary numbers. Whatever those cannot answer for certain goes to
// softfloat.ts. Here: operands and results in registers, NaN boxing, flags, comparisons, moves. Not here: flw, fld, fsw, fsd (memory.ts).
// Unprivileged spec, chapters "F" and "D".
import { bug } from '#base';
import { FFlag, Rm, X_SINK } from '../hart.ts';
import type { Hart } from '../hart.ts';
import type { Decoded } from '../isa/decode.ts';
import { INSTRUCTIONS, Kind, opOf } from '../isa/table.ts';
import { addDoubles, divDoubles, fuseDoubles, mulDoubles, subDoubles } from './doubles.ts';
import { fused, fusedSingle, isTrustedRoot, isTrustedSingle, rootError, roundToWhole, sumError } from './hostfloat.ts';
import * as soft from './softfloat.ts';
import { Double, Single } from './softfloat.ts';
import type { Format, FpContext } from './softfloat.ts';

type FloatOp = (hart: Hart, d: Decoded, rm: number) => void;
/** By op of the table; only this file's instructions have one. */
const meanings: (FloatOp | undefined)[] = [];
const hasRm: readonly boolean[] = INSTRUCTIONS.map((row) => (row.kind & Kind.Rm) !== 0);

/** Does one instruction of OP-FP or of the fused multiply-adds. d.rd may be x0: that write has no effect.
 *  @returns false: illegal, the rounding mode is reserved; nothing has changed. */
export function executeFloat(hart: Hart, d: Decoded): boolean {
  let rm = d.rm;
  if (hasRm[d.op]!) {
    if (rm === Rm.DYN) rm = hart.frm;
    if (rm > Rm.RMM) return false;
  }
  const meaning = meanings[d.op];
  if (meaning === undefined) bug(`op ${d.op} is no floating-point computation`);
  meaning(hart, d, rm);
  return true;
}
/** Is it this file that gives the op its meaning? */
export const isFloatOp = (op: number): boolean => meanings[op] !== undefined;

function define(name: string, meaning: FloatOp): void {
  meanings[opOf(name)] = meaning;
}

// ---- registers ----

const CANONICAL_SINGLE = 0x7fc00000;

const double = (hart: Hart, r: number): number => hart.fDoubles[r]!;
/** A single that is not boxed reads as NaN. */
const single = (hart: Hart, r: number): number => (hart.fHalves[2 * r + 1] === -1 ? hart.fSingles[2 * r]! : NaN);
const singleBits = (hart: Hart, r: number): number => (hart.fHalves[2 * r + 1] === -1 ? hart.fHalves[2 * r]! : CANONICAL_SINGLE);

/** @param value not NaN, whose bits the host may change */
function setDouble(hart: Hart, rd: number, value: number): void {
  hart.fDoubles[rd] = value;
}
function setSingle(hart: Hart, rd: number, value: number): void {
  hart.fSingles[2 * rd] = value;
  hart.fHalves[2 * rd + 1] = -1;
}
function setF(hart: Hart, rd: number, lo: number, hi: number): void {
  hart.fHalves[2 * rd] = lo;
  hart.fHalves[2 * rd + 1] = hi;
}
function setX(hart: Hart, rd: number, lo: number, hi: number): void {
  const r = rd === 0 ? X_SINK : rd;
  hart.xAndSink[2 * r] = lo;
  hart.xAndSink[2 * r + 1] = hi;
}

// ---- the exact path ----

const ctx: FpContext = { rm: 0, flags: 0 };

const bitsOf = (hart: Hart, f: Format, r: number): bigint => (f === Double ? BigInt.asUintN(64, hart.f[r]!) : BigInt(singleBits(hart, r) >>> 0));

function setBits(hart: Hart, f: Format, rd: number, bits: bigint): void {
  if (f === Double) hart.f[rd] = bits;
  else setF(hart, rd, Number(BigInt.asIntN(32, bits)), -1);
}
function begin(rm: number): FpContext {
  ctx.rm = rm;
  ctx.flags = 0;
  return ctx;
}
/** Stores what an operation of softfloat made since begin(). */
function finish(hart: Hart, f: Format, rd: number, bits: bigint): void {
  setBits(hart, f, rd, bits);
  hart.raise(ctx.flags);
}
type Binary = (f: Format, ctx: FpContext, a: bigint, b: bigint) => bigint;
function exactly(operation: Binary, f: Format, hart: Hart, d: Decoded, rm: number): void {
  finish(hart, f, d.rd, operation(f, begin(rm), bitsOf(hart, f, d.rs1), bitsOf(hart, f, d.rs2)));
}

// ---- double: + - * / sqrt ----

type Ordinary = (hart: Hart, f: Float64Array, d: number, a: number, b: number) => boolean;
const doubles: readonly (readonly [string, Ordinary, Binary])[] = [
  ['fadd.d', addDoubles, soft.add], ['fsub.d', subDoubles, soft.sub], ['fmul.d', mulDoubles, soft.mul], ['fdiv.d', divDoubles, soft.div],
];
for (const [name, ordinary, operation] of doubles) {
  define(name, (hart, d, rm) => {
    if (rm === Rm.RNE && ordinary(hart, hart.fDoubles, d.rd, d.rs1, d.rs2)) return;
    exactly(operation, Double, hart, d, rm);
  });
}
define('fsqrt.d', (hart, d, rm) => {
  const a = double(hart, d.rs1);
  const root = Math.sqrt(a);
  const error = rootError(a, root);
  if (rm !== Rm.RNE || !isTrustedRoot(root) || error !== error) return finish(hart, Double, d.rd, soft.sqrt(Double, begin(rm), bitsOf(hart, Double, d.rs1)));
  if (error !== 0) hart.raise(FFlag.NX);
  setDouble(hart, d.rd, root);
});

// ---- single: + - * / sqrt. Each is done in double and rounded again, which gives the same as one rounding (Figueroa, 1995) ----

/** Stores a result that was computed in double, if it can be trusted. `exact`: nothing was lost before the last rounding. */
function settleSingle(hart: Hart, rd: number, wide: number, exact: boolean): boolean {
  const result = Math.fround(wide);
  if (!isTrustedSingle(result, wide)) return false;
  if (result !== wide || !exact) hart.raise(FFlag.NX);
  setSingle(hart, rd, result);
  return true;
}
define('fadd.s', (hart, d, rm) => addSingle(hart, d, rm, single(hart, d.rs2), soft.add));
define('fsub.s', (hart, d, rm) => addSingle(hart, d, rm, -single(hart, d.rs2), soft.sub));
function addSingle(hart: Hart, d: Decoded, rm: number, b: number, operation: Binary): void {
  const a = single(hart, d.rs1);
  const sum = a + b;
  if (rm === Rm.RNE && settleSingle(hart, d.rd, sum, sumError(a, b, sum) === 0)) return;
  exactly(operation, Single, hart, d, rm);
}
define('fmul.s', (hart, d, rm) => {
  const product = single(hart, d.rs1) * single(hart, d.rs2); // 24 bits by 24: a double holds it whole
  if (rm === Rm.RNE && settleSingle(hart, d.rd, product, true)) return;
  exactly(soft.mul, Single, hart, d, rm);
});
define('fdiv.s', (hart, d, rm) => {
  const a = single(hart, d.rs1);
  const b = single(hart, d.rs2);
  const quotient = a / b;
  // An exact quotient of singles that rounds to itself has a product with b that a double holds whole.
  if (rm === Rm.RNE && settleSingle(hart, d.rd, quotient, quotient === 0 || quotient * b === a)) return;
  exactly(soft.div, Single, hart, d, rm);
});
define('fsqrt.s', (hart, d, rm) => {
  const a = single(hart, d.rs1);
  const root = Math.sqrt(a);
  if (rm === Rm.RNE && settleSingle(hart, d.rd, root, root * root === a)) return;
  finish(hart, Single, d.rd, soft.sqrt(Single, begin(rm), bitsOf(hart, Single, d.rs1)));
});

// ---- fused multiply-add: four names, by the signs of product and addend ----

for (const [name, negateProduct, negateAddend] of [['fmadd', false, false], ['fmsub', false, true], ['fnmsub', true, false], ['fnmadd', true, true]] as const) {
  const signOf = (f: Format, negate: boolean): bigint => (negate ? f.sign : 0n);
  const fuseExactly = (f: Format, hart: Hart, d: Decoded, rm: number): void => {
    const a = bitsOf(hart, f, d.rs1) ^ signOf(f, negateProduct);
    const c = bitsOf(hart, f, d.rs3) ^ signOf(f, negateAddend);
    finish(hart, f, d.rd, soft.fma(f, begin(rm), a, bitsOf(hart, f, d.rs2), c));
  };
  define(`${name}.d`, (hart, d, rm) => {
    const done = rm === Rm.RNE && fuseDoubles(hart, hart.fDoubles, d.rd, d.rs1, d.rs2, d.rs3, negateProduct ? -1 : 1, negateAddend ? -1 : 1);
    if (!done) fuseExactly(Double, hart, d, rm);
  });
  define(`${name}.s`, (hart, d, rm) => {
    const a = single(hart, d.rs1);
    const c = single(hart, d.rs3);
    const wide = fusedSingle(negateProduct ? -a : a, single(hart, d.rs2), negateAddend ? -c : c);
    if (rm === Rm.RNE && settleSingle(hart, d.rd, wide, !fused.inexact)) return;
    fuseExactly(Single, hart, d, rm);
  });
}

// ---- between the formats ----

define('fcvt.s.d', (hart, d, rm) => {
  const wide = double(hart, d.rs1);
  if (rm === Rm.RNE && settleSingle(hart, d.rd, wide, true)) return;
  finish(hart, Single, d.rd, soft.convert(Double, Single, begin(rm), bitsOf(hart, Double, d.rs1)));
});
define('fcvt.d.s', (hart, d, rm) => {
  const value = single(hart, d.rs1);
  if (value === value) setDouble(hart, d.rd, value); // every single is a double
  else finish(hart, Double, d.rd, soft.convert(Single, Double, begin(rm), bitsOf(hart, Single, d.rs1)));
});

// ---- whole numbers: [min, limit) is what the type holds ----

const integers = [
  { letter: 'w', unsigned: false, wide: false, min: -(2 ** 31), limit: 2 ** 31 },
  { letter: 'wu', unsigned: true, wide: false, min: 0, limit: 2 ** 32 },
  { letter: 'l', unsigned: false, wide: true, min: -(2 ** 63), limit: 2 ** 63 },
  { letter: 'lu', unsigned: true, wide: true, min: 0, limit: 2 ** 64 },
] as const;

/** A whole number as it stands in an x register: 32-bit results are sign-extended, unsigned ones too. */
function setWhole(hart: Hart, rd: number, value: number, wide: boolean): void {
  const low = value | 0; // modulo 2^32, whatever the size
  setX(hart, rd, low, wide ? Math.floor(value / 0x1_0000_0000) | 0 : low >> 31);
}
/** Out of range, or NaN: the nearer end (NaN: the upper) and NV alone. */
function setEnd(hart: Hart, rd: number, upper: boolean, unsigned: boolean, wide: boolean): void {
  hart.raise(FFlag.NV);
  if (unsigned) setX(hart, rd, upper ? -1 : 0, upper ? -1 : 0);
  else if (wide) setX(hart, rd, upper ? -1 : 0, upper ? 0x7fffffff : -0x80000000);
  else setX(hart, rd, upper ? 0x7fffffff : -0x80000000, upper ? 0 : -1);
}

for (const { letter, unsigned, wide, min, limit } of integers) {
  const toWhole = (hart: Hart, rd: number, value: number, rm: number): void => {
    const whole = roundToWhole(value, rm);
    if (whole >= min && whole < limit) {
      if (whole !== value) hart.raise(FFlag.NX);
      setWhole(hart, rd, whole, wide);
    } else {
      setEnd(hart, rd, !(whole < min), unsigned, wide);
    }
  };
  define(`fcvt.${letter}.d`, (hart, d, rm) => toWhole(hart, d.rd, double(hart, d.rs1), rm));
  define(`fcvt.${letter}.s`, (hart, d, rm) => toWhole(hart, d.rd, single(hart, d.rs1), rm));

  /** The two parts whose sum is the integer; 32-bit sources are their own low part. */
  const highPart = (hart: Hart, r: number): number => {
    const high = hart.xHalves[2 * r + 1]!;
    return wide ? (unsigned ? high >>> 0 : high) * 0x1_0000_0000 : 0;
  };
  const lowPart = (hart: Hart, r: number): number => {
    const low = hart.xHalves[2 * r]!;
    return wide || unsigned ? low >>> 0 : low;
  };
  const convertExactly = (f: Format, hart: Hart, rd: number, high: number, low: number, rm: number): void =>
    finish(hart, f, rd, soft.fromInteger(f, begin(rm), BigInt(high) + BigInt(low)));

  define(`fcvt.d.${letter}`, (hart, d, rm) => {
    const high = highPart(hart, d.rs1);
    const low = lowPart(hart, d.rs1);
    const sum = high + low;
    const exact = sumError(high, low, sum) === 0;
    if (!exact && rm !== Rm.RNE) return convertExactly(Double, hart, d.rd, high, low, rm);
    if (!exact) hart.raise(FFlag.NX);
    setDouble(hart, d.rd, sum);
  });
  define(`fcvt.s.${letter}`, (hart, d, rm) => {
    const high = highPart(hart, d.rs1);
    const low = lowPart(hart, d.rs1);
    const sum = high + low;
    const result = Math.fround(sum);
    // Rounding an inexact double again would be rounding twice.
    const exact = sumError(high, low, sum) === 0;
    if (!exact || (result !== sum && rm !== Rm.RNE)) return convertExactly(Single, hart, d.rd, high, low, rm);
    if (result !== sum) hart.raise(FFlag.NX);
    setSingle(hart, d.rd, result);
  });
}

// ---- comparing ----

const isSignalingDouble = (hart: Hart, r: number): boolean => {
  const value = double(hart, r);
  return value !== value && (hart.fHalves[2 * r + 1]! & 0x00080000) === 0;
};
const isSignalingSingle = (hart: Hart, r: number): boolean => {
  const value = single(hart, r);
  return value !== value && (singleBits(hart, r) & 0x00400000) === 0;
};

for (const [suffix, valueOf, isSignaling] of [['d', double, isSignalingDouble], ['s', single, isSignalingSingle]] as const) {
  const setBoolean = (hart: Hart, rd: number, value: boolean): void => setX(hart, rd, value ? 1 : 0, 0);
  define(`feq.${suffix}`, (hart, d) => {
    const equal = valueOf(hart, d.rs1) === valueOf(hart, d.rs2);
    if (!equal && (isSignaling(hart, d.rs1) || isSignaling(hart, d.rs2))) hart.raise(FFlag.NV);
    setBoolean(hart, d.rd, equal);
  });
  // The ordered comparisons signal on quiet NaNs too.
  define(`flt.${suffix}`, (hart, d) => {
    const a = valueOf(hart, d.rs1);
    const b = valueOf(hart, d.rs2);
    if (a !== a || b !== b) hart.raise(FFlag.NV);
    setBoolean(hart, d.rd, a < b);
  });
  define(`fle.${suffix}`, (hart, d) => {
    const a = valueOf(hart, d.rs1);
    const b = valueOf(hart, d.rs2);
    if (a !== a || b !== b) hart.raise(FFlag.NV);
    setBoolean(hart, d.rd, a <= b);
  });

  const f = suffix === 'd' ? Double : Single;
  /** The register whose number goes into the result, bits unchanged; -1: neither, both are NaN. */
  const chosen = (hart: Hart, rs1: number, rs2: number, larger: boolean): number => {
    const a = valueOf(hart, rs1);
    const b = valueOf(hart, rs2);
    if (a !== a || b !== b) {
      if (isSignaling(hart, rs1) || isSignaling(hart, rs2)) hart.raise(FFlag.NV);
      return a === a ? rs1 : b === b ? rs2 : -1;
    }
    // -0 counts as less than +0.
    const isLess = a < b || (a === b && Object.is(a, -0));
    return isLess === larger ? rs2 : rs1;
  };
  const put = (hart: Hart, rd: number, from: number): void => {
    if (from < 0) setBits(hart, f, rd, f.nan);
    else setF(hart, rd, hart.fHalves[2 * from]!, hart.fHalves[2 * from + 1]!); // a number, so a single is boxed already
  };
  define(`fmin.${suffix}`, (hart, d) => put(hart, d.rd, chosen(hart, d.rs1, d.rs2, false)));
  define(`fmax.${suffix}`, (hart, d) => put(hart, d.rd, chosen(hart, d.rs1, d.rs2, true)));

  /** fclass: one bit of ten. */
  const classOf = (hart: Hart, r: number): number => {
    const value = valueOf(hart, r);
    if (value !== value) return isSignaling(hart, r) ? 8 : 9;
    if (value === 0) return Object.is(value, -0) ? 3 : 4;
    const magnitude = Math.abs(value);
    const rank = magnitude === Infinity ? 3 : magnitude < 2 ** f.minNormal ? 1 : 2;
    return value < 0 ? 3 - rank : 4 + rank;
  };
  define(`fclass.${suffix}`, (hart, d) => setX(hart, d.rd, 1 << classOf(hart, d.rs1), 0));
}

// ---- bits: sign injection and moves. No value is looked at, no flag raised ----

const SIGN = -0x80000000;
const signs = {
  fsgnj: (_mine: number, other: number): number => other & SIGN,
  fsgnjn: (_mine: number, other: number): number => ~other & SIGN,
  fsgnjx: (mine: number, other: number): number => (mine ^ other) & SIGN,
};
for (const [name, signFrom] of Object.entries(signs)) {
  define(`${name}.d`, (hart, d) => {
    const high = hart.fHalves[2 * d.rs1 + 1]!;
    setF(hart, d.rd, hart.fHalves[2 * d.rs1]!, (high & ~SIGN) | signFrom(high, hart.fHalves[2 * d.rs2 + 1]!));
  });
  define(`${name}.s`, (hart, d) => {
    const bits = singleBits(hart, d.rs1);
    setF(hart, d.rd, (bits & ~SIGN) | signFrom(bits, singleBits(hart, d.rs2)), -1);
  });
}
define('fmv.x.d', (hart, d) => setX(hart, d.rd, hart.fHalves[2 * d.rs1]!, hart.fHalves[2 * d.rs1 + 1]!));
define('fmv.d.x', (hart, d) => setF(hart, d.rd, hart.xHalves[2 * d.rs1]!, hart.xHalves[2 * d.rs1 + 1]!));
define('fmv.x.w', (hart, d) => setX(hart, d.rd, hart.fHalves[2 * d.rs1]!, hart.fHalves[2 * d.rs1]! >> 31));
define('fmv.w.x', (hart, d) => setF(hart, d.rd, hart.xHalves[2 * d.rs1]!, -1));
