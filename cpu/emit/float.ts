// What the instructions of F and D mean where they are ordinary, as WebAssembly: written once, for the interpreter and for regions. Here: the common
// case, to nearest even (conversions to integers in other modes too), results far from overflow and underflow, no NaN. Not here: everything else. There
// a lowering gives up with nothing done, and reference/float.ts does the instruction: what each means is said there.
//
// Flags. An ordinary result can raise nothing but NX, NX is sticky, and programs seldom clear it: where fcsr has it already, nobody asks whether
// a result is exact. Where it has not, each operation must know. Sums and all that is single find out here. A product, a quotient or a root that is not
// plainly exact gives up instead of paying for an error-free transformation in every copy of the code: the readable engine
// raises NX, once. A program that stays exact stays here; one that clears fcsr left its region to do so.
// Rounding. WebAssembly's arithmetic is IEEE 754's to nearest even, single and double. What it lacks is the fused multiply-add: see fuse().
import { FCSR_MASK, FFLAGS_MASK, FFlag, FRM_SHIFT, Rm } from '../hart.ts';
import type { Decoded } from '../isa/decode.ts';
import { INSTRUCTIONS, opOf } from '../isa/table.ts';
import type { Operands } from './lower.ts';
import { Op, Simd, Type } from './wasm.ts';
import type { Code, Label } from './wasm.ts';

export interface FloatOperands extends Operands {
  /** f[rs1], f[rs2], f[rs3]: raw bits as f64. */
  f1(): void;
  f2(): void;
  f3(): void;
  /** rs1 and rs2 are one register: then fsgnj is a move. False where it is not known when emitting. */
  readonly sameSources: boolean;
  /** The number of a CSR within fcsr; null: it stands in the immediate. */
  readonly csr: number | null;
  /** The 5-bit immediate in rs1's place (csrrwi), i32. */
  zimm(): void;
  /** The host's WebAssembly has a fused multiply-add (../wasm-host.ts). */
  readonly fuses: boolean;
  /** fcsr, i32; and its new value. */
  fcsr(): void;
  setFcsr(push: () => void): void;
  /** The rounding mode, where it is known when emitting; null: it stands in the immediate. */
  readonly rm: number | null;
}
type Lower = (o: FloatOperands, giveUp: Label) => void;
/** Leaves the result on the stack, or branches to `giveUp` with nothing done: then the readable engine answers. */
export interface FloatLowering {
  readonly lowering: Lower;
  /** F64: the bits of an f register; I64: an x register's. */
  readonly result: typeof Type.F64 | typeof Type.I64;
}

const {
  select, i32_eqz, i32_eq, i32_ne, i32_lt_u, i32_gt_u, i32_ge_u, i32_add, i32_sub, i32_and, i32_or, i32_xor, i32_shl, i32_shr_u, i32_wrap_i64,
  i64_ne, i64_lt_u, i64_gt_u, i64_ge_u, i64_clz, i64_ctz, i64_add, i64_and, i64_or, i64_xor, i64_shl, i64_shr_s, i64_shr_u,
  f32_eq, f32_ne, f32_lt, f32_le, f32_ge, f32_neg, f32_abs, f32_sqrt, f32_add, f32_sub, f32_mul, f32_div, f32_min, f32_max,
  f64_eq, f64_ne, f64_lt, f64_le, f64_ge, f64_abs, f64_neg, f64_ceil, f64_floor, f64_trunc, f64_nearest, f64_sqrt, f64_add, f64_sub, f64_mul, f64_div, f64_min, f64_max, f64_copysign,
  i32_trunc_f64_s, i32_trunc_f64_u, i64_extend_i32_s, i64_extend_i32_u, i64_trunc_f64_s, i64_trunc_f64_u,
  f32_convert_i32_s, f32_convert_i32_u, f32_convert_i64_s, f32_convert_i64_u, f32_demote_f64, f64_convert_i32_s, f64_convert_i32_u, f64_convert_i64_s, f64_convert_i64_u, f64_promote_f32,
  i32_reinterpret_f32, i64_reinterpret_f64, f32_reinterpret_i32, f64_reinterpret_i64,
} = Op;

// ---- Modes and flags

/** Gives up unless this instruction rounds to nearest even now. */
function nearest(o: FloatOperands, giveUp: Label): void {
  const { code: c, rm } = o;
  if (rm === Rm.RNE) return;
  if (rm === Rm.DYN) {
    o.fcsr();
    c.i32(1 << FRM_SHIFT).op(i32_ge_u).brIfSeldom(giveUp);
  } else if (rm === null) {
    o.imm32();
    c.if();
    o.imm32();
    c.i32(Rm.DYN).op(i32_ne);
    o.fcsr();
    c.i32(1 << FRM_SHIFT).op(i32_ge_u, i32_or).brIfSeldom(giveUp);
    c.end();
  } else {
    c.br(giveUp);
  }
}
/** Gives up if the mode is reserved: for what is exact in all the others. */
function legal(o: FloatOperands, giveUp: Label): void {
  const { code: c, rm } = o;
  const frm = (): void => {
    o.fcsr();
    c.i32(FRM_SHIFT).op(i32_shr_u);
  };
  if (rm === Rm.DYN) frm();
  else if (rm === null) {
    frm();
    o.imm32();
    o.imm32();
    c.i32(Rm.DYN).op(i32_eq, select);
  } else {
    if (rm > Rm.RMM) c.br(giveUp);
    return;
  }
  c.i32(Rm.RMM).op(i32_gt_u).brIfSeldom(giveUp);
}
/** Gives up unless the instruction rounds to nearest even; where NX is not raised yet, does what `emit` says. One test where it is. */
function unlessInexact(o: FloatOperands, giveUp: Label, emit: () => void): void {
  const { code: c } = o;
  if (o.rm !== Rm.DYN) nearest(o, giveUp);
  o.fcsr();
  c.i32(o.rm === Rm.DYN ? FFlag.NX | (7 << FRM_SHIFT) : FFlag.NX).op(i32_and).i32(FFlag.NX).op(i32_ne);
  c.ifSeldom();
  if (o.rm === Rm.DYN) nearest(o, giveUp);
  emit();
  c.end();
}
/** Raises NX if what `push` leaves is not zero. A branch: where this is asked NX is not raised, and soon will be or never. */
function raise(o: FloatOperands, push: () => void): void {
  push();
  o.code.if();
  o.setFcsr(() => {
    o.fcsr();
    o.code.i32(FFlag.NX).op(i32_or);
  });
  o.code.end();
}
/** Gives up if what is on the stack is zero. */
const orGiveUp = (c: Code, giveUp: Label): void => { c.op(i32_eqz).brIfSeldom(giveUp); };

// ---- Doubles

// Temporaries by number.
const A = 0, B = 1, C = 2, RESULT = 3, PRODUCT = 4, LOST = 5, ERROR = 6, LOW = 7, SPARE = 8, A_HIGH = 10, A_LOW = 11, B_HIGH = 12, B_LOW = 13;
const f64 = (o: FloatOperands, n: number): number => o.temporary(Type.F64, n);
const f32 = (o: FloatOperands, n: number): number => o.temporary(Type.F32, n);

const SMALL = 2 ** -900;
const LARGE = 2 ** 900;
const FRACTION = (1n << 52n) - 1n;

/** Pushes whether a local's exponent is between -899 and 899: neither zero nor near underflow, overflow, infinity and NaN. */
function ordinary(c: Code, x: number): void {
  c.get(x).op(i64_reinterpret_f64).i64(52).op(i64_shr_u, i32_wrap_i64).i32(0x7ff).op(i32_and).i32(1023 - 899).op(i32_sub).i32(2 * 899 + 1).op(i32_lt_u);
}
/** Gives up unless a local is below LARGE. */
function notLarge(c: Code, x: number, giveUp: Label): void {
  c.get(x).op(f64_abs).f64(LARGE).op(f64_lt);
  orGiveUp(c, giveUp);
}
/** Pushes the low zeros of the significand of a local, 53 of zero and of powers of two: i64. */
function lowZeros(c: Code, x: number): void {
  c.get(x).op(i64_reinterpret_f64).i64(FRACTION).op(i64_and).i64(1n << 53n).op(i64_or, i64_ctz);
}
/** Pushes whether x * y is certainly exact: the bits that both have in use are at most 53. What a product of 54 bits could still be is not asked. */
function plainlyExact(c: Code, x: number, y: number): void {
  lowZeros(c, x);
  if (x === y) c.i64(1).op(i64_shl);
  else {
    lowZeros(c, y);
    c.op(i64_add);
  }
  c.i64(53).op(i64_ge_u);
}
/** Pushes the error of sum = a + b (Knuth's TwoSum). */
function sumError(c: Code, a: number, b: number, sum: number, spare: number): void {
  c.get(a).get(sum).get(sum).get(a).op(f64_sub).tee(spare).op(f64_sub, f64_sub).get(b).get(spare).op(f64_sub, f64_add);
}
/** Pushes a * b + addend with one rounding, where the host can. */
function hostFused(c: Code, a: number, b: number, addend: () => void): void {
  c.get(a).simd(Simd.f64x2_splat).get(b).simd(Simd.f64x2_splat);
  addend();
  c.simd(Simd.f64x2_splat).simd(Simd.f64x2_relaxed_madd).simd(Simd.f64x2_extract_lane, 0);
}
/** Pushes whether a * b is not `whole`, if the host can fuse and their difference is far from underflow. */
function differs(c: Code, a: number, b: number, whole: number): void {
  hostFused(c, a, b, () => c.get(whole).op(f64_neg));
  c.f64(0).op(f64_ne);
}

function sumOfDoubles(op: Op): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    const a = f64(o, A), b = f64(o, B), sum = f64(o, RESULT);
    o.f1();
    c.tee(a);
    o.f2();
    c.tee(b).op(op).set(sum);
    notLarge(c, sum, giveUp);
    unlessInexact(o, giveUp, () => {
      if (op === f64_sub) c.get(b).op(f64_neg).set(b);
      raise(o, () => {
        sumError(c, a, b, sum, f64(o, SPARE));
        c.f64(0).op(f64_ne);
      });
    });
    c.get(sum);
  };
}
const productOfDoubles: Lower = (o, giveUp) => {
  const { code: c } = o;
  const a = f64(o, A), b = f64(o, B), product = f64(o, RESULT);
  o.f1();
  c.tee(a);
  o.f2();
  c.tee(b).op(f64_mul).set(product);
  ordinary(c, product);
  c.op(i32_eqz).if();
  c.get(product).f64(0).op(f64_ne).brIfSeldom(giveUp);
  c.get(a).f64(0).op(f64_ne).get(b).f64(0).op(f64_ne, i32_and).brIfSeldom(giveUp);
  c.end();
  unlessInexact(o, giveUp, () => {
    if (o.fuses) return raise(o, () => differs(c, a, b, product));
    plainlyExact(c, a, b);
    orGiveUp(c, giveUp);
  });
  c.get(product);
};
/** For a trusted quotient: raises NX if quotient * divisor is not the dividend, or gives up if it is not plainly so. The dividend must be large enough for
 *  a product or a difference that is exact; of zero the quotient is exact. */
function checkQuotient(o: FloatOperands, dividend: number, divisor: number, quotient: number, giveUp: Label): void {
  const { code: c } = o;
  c.get(dividend).f64(0).op(f64_ne).if();
  c.get(dividend).op(f64_abs).f64(SMALL).op(f64_lt).brIfSeldom(giveUp);
  if (o.fuses) raise(o, () => differs(c, quotient, divisor, dividend));
  else {
    plainlyExact(c, quotient, divisor);
    orGiveUp(c, giveUp);
    c.get(quotient).get(divisor).op(f64_mul).get(dividend).op(f64_ne).brIfSeldom(giveUp);
  }
  c.end();
}
const quotientOfDoubles: Lower = (o, giveUp) => {
  const { code: c } = o;
  const a = f64(o, A), b = f64(o, B), quotient = f64(o, RESULT);
  o.f1();
  c.tee(a);
  o.f2();
  c.tee(b).op(f64_div).set(quotient);
  ordinary(c, quotient);
  c.op(i32_eqz).if();
  c.get(quotient).f64(0).op(f64_ne).get(a).f64(0).op(f64_ne, i32_or).brIfSeldom(giveUp);
  c.end();
  unlessInexact(o, giveUp, () => checkQuotient(o, a, b, quotient, giveUp));
  c.get(quotient);
};
/** A root is far from the ends of the range, or zero as its square is. */
const rootOfDouble: Lower = (o, giveUp) => {
  const { code: c } = o;
  const a = f64(o, A), root = f64(o, RESULT);
  o.f1();
  c.tee(a).op(f64_sqrt).tee(root).f64(LARGE).op(f64_lt);
  orGiveUp(c, giveUp);
  unlessInexact(o, giveUp, () => checkQuotient(o, a, root, root, giveUp));
  c.get(root);
};

/** Gives up if x * y may have lost bits to underflow: it is below SMALL, and not because a factor is zero. */
function notTiny(c: Code, x: number, y: number, pushProduct: () => void, giveUp: Label): void {
  pushProduct();
  c.op(f64_abs).f64(SMALL).op(f64_ge, i32_eqz).if();
  c.get(x).f64(0).op(f64_ne).get(y).f64(0).op(f64_ne, i32_and).brIfSeldom(giveUp);
  c.end();
}
/** a * b + c with one rounding. */
function fuse(negateProduct: boolean, negateAddend: boolean): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    const a = f64(o, A), b = f64(o, B), addend = f64(o, C);
    o.f1();
    if (negateProduct) c.op(f64_neg);
    c.set(a);
    o.f2();
    c.set(b);
    o.f3();
    if (negateAddend) c.op(f64_neg);
    c.set(addend);
    if (o.fuses) fuseOnHost(o, giveUp);
    else fuseInParts(o, giveUp);
    c.get(f64(o, RESULT));
  };
}
/** The host does it. A result near zero comes of cancellation, so it is exact if the product has lost nothing; or both product and addend are small. */
function fuseOnHost(o: FloatOperands, giveUp: Label): void {
  const { code: c } = o;
  const a = f64(o, A), b = f64(o, B), addend = f64(o, C), product = f64(o, PRODUCT), result = f64(o, RESULT);
  hostFused(c, a, b, () => c.get(addend));
  c.set(result);
  ordinary(c, result);
  c.op(i32_eqz).if();
  notLarge(c, result, giveUp);
  notTiny(c, a, b, () => c.get(a).get(b).op(f64_mul), giveUp);
  c.end();
  unlessInexact(o, giveUp, () => {
    // Where the product is exact the sum's rounding is the only one. For others this does not try to find out.
    notTiny(c, a, b, () => c.get(a).get(b).op(f64_mul).tee(product), giveUp);
    differs(c, a, b, product);
    c.brIfSeldom(giveUp);
    raise(o, () => {
      sumError(c, product, addend, result, f64(o, SPARE));
      c.f64(0).op(f64_ne);
    });
  });
}
/** A product that is plainly exact leaves the sum's rounding as the only one. For others, if NX is raised already: with product + lost = a * b
 *  (Dekker) and sum + error = product + c (Knuth) the result is sum + (error + lost). That inner sum is wrong by less than `margin`; where adding or
 *  taking away as much makes no difference to the outer sum, nor does the error. Where it does, the inner sum may still be exact, as it is in
 *  whole-number work. A result of zero is exact, and x - x is +0 here as there.
 *  Why no underflow or overflow spoils the errors: the product is at least SMALL, so its last bit is at least 2^-1006, whatever the factors; and a
 *  product or an addend near overflow makes the result large, infinite or NaN. */
function fuseInParts(o: FloatOperands, giveUp: Label): void {
  const { code: c } = o;
  const a = f64(o, A), b = f64(o, B), addend = f64(o, C), product = f64(o, PRODUCT), result = f64(o, RESULT), spare = f64(o, SPARE);
  notTiny(c, a, b, () => c.get(a).get(b).op(f64_mul).tee(product), giveUp);
  c.get(product).get(addend).op(f64_add).set(result);
  plainlyExact(c, a, b);
  c.if();
  notLarge(c, result, giveUp);
  unlessInexact(o, giveUp, () => raise(o, () => {
    sumError(c, product, addend, result, spare);
    c.f64(0).op(f64_ne);
  }));
  c.else();
  unlessInexact(o, giveUp, () => c.br(giveUp));
  const aHigh = f64(o, A_HIGH), aLow = f64(o, A_LOW), bHigh = f64(o, B_HIGH), bLow = f64(o, B_LOW);
  const lost = f64(o, LOST), error = f64(o, ERROR), low = f64(o, LOW), margin = spare;
  split(c, a, aHigh, aLow);
  split(c, b, bHigh, bLow);
  c.get(aLow).get(bLow).op(f64_mul);
  c.get(product).get(aHigh).get(bHigh).op(f64_mul, f64_sub).get(aLow).get(bHigh).op(f64_mul, f64_sub).get(aHigh).get(bLow).op(f64_mul, f64_sub);
  c.op(f64_sub).set(lost);
  sumError(c, product, addend, result, spare);
  c.tee(error).get(lost).op(f64_add).tee(low).op(f64_abs).f64(2 ** -52).op(f64_mul).set(margin);
  c.get(result).get(low).get(margin).op(f64_add, f64_add).get(result).get(low).get(margin).op(f64_sub, f64_add, f64_ne).if();
  sumError(c, error, lost, low, spare);
  c.f64(0).op(f64_ne).brIfSeldom(giveUp);
  c.end();
  c.get(result).get(low).op(f64_add).set(result);
  notLarge(c, result, giveUp);
  c.end();
}
/** x = high + low, each of 26 bits: x rounded to so many, and what that leaves. */
function split(c: Code, x: number, high: number, low: number): void {
  c.get(x).get(x).op(i64_reinterpret_f64).i64(1 << 26).op(i64_add).i64(-(1 << 27)).op(i64_and, f64_reinterpret_i64).tee(high).op(f64_sub).set(low);
}

// ---- Singles. One is boxed: the high half of its register is all ones; what is not boxed gives up.

const BOX = -(2n ** 32n);

/** The operands' singles into the temporaries A, B, C. */
function singles(o: FloatOperands, giveUp: Label, ...operands: readonly (() => void)[]): number[] {
  const { code: c } = o;
  operands.forEach((push, i) => {
    push();
    c.op(i64_reinterpret_f64);
    if (i > 0) c.op(i64_and);
  });
  c.i64(BOX).op(i64_lt_u).brIfSeldom(giveUp);
  return operands.map((push, i) => {
    push();
    c.op(i64_reinterpret_f64, i32_wrap_i64, f32_reinterpret_i32).set(f32(o, i));
    return f32(o, i);
  });
}
function box(c: Code): void {
  c.op(i32_reinterpret_f32, i64_extend_i32_u).i64(BOX).op(i64_or, f64_reinterpret_i64);
}
/** Pushes whether a local is a normal number, and not the smallest: it was not tiny before rounding either. */
function normal(c: Code, x: number): void {
  c.get(x).op(i32_reinterpret_f32).i32(0x7fffffff).op(i32_and).i32(0x00800001).op(i32_sub).i32(0x7f800000 - 0x00800001).op(i32_lt_u);
}
const wide = (c: Code, x: number): Code => c.get(x).op(f64_promote_f32);

/** @param isZero pushes whether a result of zero is one that is exact. @param inexact pushes whether a normal result, or such a zero, is not */
function single(o: FloatOperands, giveUp: Label, result: number, isZero: () => void, inexact: () => void): void {
  const { code: c } = o;
  normal(c, result);
  c.op(i32_eqz).if();
  isZero();
  orGiveUp(c, giveUp);
  c.end();
  unlessInexact(o, giveUp, () => raise(o, inexact));
  c.get(result);
  box(c);
}
function sumOfSingles(op: Op): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    const [a, b] = singles(o, giveUp, () => o.f1(), () => o.f2()) as [number, number];
    if (op === f32_sub) c.get(b).op(f32_neg).set(b);
    const sum = f32(o, RESULT);
    c.get(a).get(b).op(f32_add).tee(sum);
    // Sums below the normal numbers are exact.
    c.op(f32_abs, f64_promote_f32).f64(Infinity).op(f64_lt);
    orGiveUp(c, giveUp);
    unlessInexact(o, giveUp, () => raise(o, () => {
      const x = f64(o, A), y = f64(o, B), exact = f64(o, RESULT);
      wide(c, a).set(x);
      wide(c, b).set(y);
      c.get(x).get(y).op(f64_add).tee(exact);
      wide(c, sum).op(f64_ne);
      sumError(c, x, y, exact, f64(o, SPARE));
      c.f64(0).op(f64_ne, i32_or);
    }));
    c.get(sum);
    box(c);
  };
}
const productOfSingles: Lower = (o, giveUp) => {
  const { code: c } = o;
  const [a, b] = singles(o, giveUp, () => o.f1(), () => o.f2()) as [number, number];
  const product = f32(o, RESULT);
  c.get(a).get(b).op(f32_mul).set(product);
  const push = (): void => { wide(c, a); wide(c, b).op(f64_mul); }; // 24 bits by 24: a double holds it whole
  single(o, giveUp, product, () => {
    push();
    c.f64(0).op(f64_eq);
  }, () => {
    push();
    wide(c, product).op(f64_ne);
  });
};
const quotientOfSingles: Lower = (o, giveUp) => {
  const { code: c } = o;
  const [a, b] = singles(o, giveUp, () => o.f1(), () => o.f2()) as [number, number];
  const quotient = f32(o, RESULT);
  c.get(a).get(b).op(f32_div).set(quotient);
  single(o, giveUp, quotient, () => {
    wide(c, a).f64(0).op(f64_eq).get(quotient).get(quotient).op(f32_eq, i32_and); // not 0 / 0
  }, () => {
    wide(c, quotient);
    wide(c, b).op(f64_mul);
    wide(c, a).op(f64_ne);
    wide(c, quotient).f64(0).op(f64_ne, i32_and); // 0 / infinity
  });
};
const rootOfSingle: Lower = (o, giveUp) => {
  const { code: c } = o;
  const [a] = singles(o, giveUp, () => o.f1()) as [number];
  const root = f32(o, RESULT);
  c.get(a).op(f32_sqrt).tee(root).get(root).op(f32_ne).brIfSeldom(giveUp);
  unlessInexact(o, giveUp, () => raise(o, () => {
    wide(c, root);
    wide(c, root).op(f64_mul);
    wide(c, a).op(f64_ne);
  }));
  c.get(root);
  box(c);
};
/** The product as a double, exact; the sum as a double, rounded; that rounded again. Twice is once unless the first has come to lie halfway between two
 *  singles. */
function fuseSingles(negateProduct: boolean, negateAddend: boolean): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    const [a, b, addend] = singles(o, giveUp, () => o.f1(), () => o.f2(), () => o.f3()) as [number, number, number];
    const product = f64(o, PRODUCT), wideAddend = f64(o, C), sum = f64(o, RESULT), result = f32(o, RESULT);
    wide(c, a);
    if (negateProduct) c.op(f64_neg);
    wide(c, b).op(f64_mul).tee(product);
    wide(c, addend);
    if (negateAddend) c.op(f64_neg);
    c.tee(wideAddend).op(f64_add).tee(sum).op(f32_demote_f64).set(result);
    const error = (): void => {
      sumError(c, product, wideAddend, sum, f64(o, SPARE));
      c.f64(0).op(f64_ne);
    };
    c.get(sum).op(i64_reinterpret_f64, i32_wrap_i64).i32(0x1fffffff).op(i32_and).i32(0x10000000).op(i32_eq).if();
    error();
    c.brIfSeldom(giveUp);
    c.end();
    single(o, giveUp, result, () => c.get(sum).f64(0).op(f64_eq), () => {
      wide(c, result).get(sum).op(f64_ne);
      error();
      c.op(i32_or);
    });
  };
}

// ---- Comparing

type Compare = 'eq' | 'lt' | 'le';
/** Of two numbers; a NaN gives up. */
function compare(what: Compare, isDouble: boolean): Lower {
  const [eq, lt, le, ge] = isDouble ? [f64_eq, f64_lt, f64_le, f64_ge] : [f32_eq, f32_lt, f32_le, f32_ge];
  const op = { eq, lt, le }[what];
  return (o, giveUp) => {
    const { code: c } = o;
    const [a, b] = isDouble ? [() => o.f1(), () => o.f2()] : singles(o, giveUp, () => o.f1(), () => o.f2()).map((x) => () => { c.get(x); }) as [() => void, () => void];
    const both = (how: Op): void => {
      a();
      b();
      c.op(how);
    };
    const answer = o.temporary(Type.I32, A);
    both(op);
    c.tee(answer);
    both(ge);
    c.op(i32_or);
    if (what === 'eq') {
      both(le);
      c.op(i32_or);
    }
    orGiveUp(c, giveUp);
    c.get(answer).op(i64_extend_i32_u);
  };
}
/** WebAssembly's min and max have -0 below +0, as RISC-V's do. */
function extreme(op64: Op, op32: Op, isDouble: boolean): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    if (isDouble) {
      const result = f64(o, RESULT);
      o.f1();
      o.f2();
      c.op(op64).tee(result).get(result).op(f64_ne).brIfSeldom(giveUp);
      c.get(result);
    } else {
      const [a, b] = singles(o, giveUp, () => o.f1(), () => o.f2()) as [number, number];
      const result = f32(o, RESULT);
      c.get(a).get(b).op(op32).tee(result).get(result).op(f32_ne).brIfSeldom(giveUp);
      c.get(result);
      box(c);
    }
  };
}
/** One bit of ten, by the magnitude's rank: zero, subnormal, normal, infinite. */
function classify(isDouble: boolean): Lower {
  const infinity = isDouble ? 0x7ffn << 52n : 0xffn << 23n;
  const [signBit, normalBit, quietBit] = isDouble ? [63, 52, 51] : [31, 23, 22];
  return (o, giveUp) => {
    const { code: c } = o;
    const bits = o.temporary(Type.I64, A), magnitude = o.temporary(Type.I64, B), place = o.temporary(Type.I32, A);
    o.f1();
    c.op(i64_reinterpret_f64).tee(bits);
    if (!isDouble) {
      c.i64(BOX).op(i64_lt_u).brIfSeldom(giveUp);
      c.get(bits);
    }
    c.i64((1n << BigInt(signBit)) - 1n).op(i64_and).tee(magnitude);
    c.i64(infinity).op(i64_gt_u).if(Type.I32);
    c.get(bits).i64(quietBit).op(i64_shr_u, i32_wrap_i64).i32(1).op(i32_and).i32(8).op(i32_add);
    c.else();
    c.get(magnitude).i64(0).op(i64_ne).get(magnitude).i64(1n << BigInt(normalBit)).op(i64_ge_u, i32_add).get(magnitude).i64(infinity).op(i64_ge_u, i32_add).set(place);
    c.i32(3).get(place).op(i32_sub).i32(4).get(place).op(i32_add);
    c.get(bits).i64(signBit).op(i64_shr_u, i32_wrap_i64).i32(1).op(i32_and, select);
    c.end();
    c.set(place);
    c.i64(1).get(place).op(i64_extend_i32_u, i64_shl);
  };
}

// ---- Bits

const signOfDoubles = {
  fsgnj: (o: FloatOperands): void => {
    o.f1();
    if (o.sameSources) return;
    o.f2();
    o.code.op(f64_copysign);
  },
  fsgnjn: (o: FloatOperands): void => {
    o.f1();
    if (o.sameSources) {
      o.code.op(f64_neg);
      return;
    }
    o.f2();
    o.code.op(f64_neg, f64_copysign);
  },
  fsgnjx: (o: FloatOperands): void => {
    o.f1();
    if (o.sameSources) {
      o.code.op(f64_abs);
      return;
    }
    o.code.op(i64_reinterpret_f64);
    o.f2();
    o.code.op(i64_reinterpret_f64).i64(-(2n ** 63n)).op(i64_and, i64_xor, f64_reinterpret_i64);
  },
};
/** @param combine leaves the bits of one boxed single with the sign it gets, from the bits of two */
function signOfSingles(combine: (c: Code, mine: () => void, other: () => void) => void): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    const mine = (): void => {
      o.f1();
      c.op(i64_reinterpret_f64);
    };
    const other = (): void => {
      o.f2();
      c.op(i64_reinterpret_f64);
    };
    mine();
    if (!o.sameSources) {
      other();
      c.op(i64_and);
    }
    c.i64(BOX).op(i64_lt_u).brIfSeldom(giveUp);
    combine(c, mine, other);
    c.op(f64_reinterpret_i64);
  };
}
const SIGN = 1n << 31n;

// ---- Whole numbers

/** [min, limit) is what the type holds. */
const integers = [
  { letter: 'w', min: -(2 ** 31), limit: 2 ** 31, trunc: [i32_trunc_f64_s, i64_extend_i32_s], toDouble: [i32_wrap_i64, f64_convert_i32_s], toSingle: [i32_wrap_i64, f32_convert_i32_s], extend: [i32_wrap_i64, i64_extend_i32_s], isWide: false, isSigned: true },
  { letter: 'wu', min: 0, limit: 2 ** 32, trunc: [i32_trunc_f64_u, i64_extend_i32_s], toDouble: [i32_wrap_i64, f64_convert_i32_u], toSingle: [i32_wrap_i64, f32_convert_i32_u], extend: [i32_wrap_i64, i64_extend_i32_u], isWide: false, isSigned: false },
  { letter: 'l', min: -(2 ** 63), limit: 2 ** 63, trunc: [i64_trunc_f64_s], toDouble: [f64_convert_i64_s], toSingle: [f32_convert_i64_s], extend: [], isWide: true, isSigned: true },
  { letter: 'lu', min: 0, limit: 2 ** 64, trunc: [i64_trunc_f64_u], toDouble: [f64_convert_i64_u], toSingle: [f32_convert_i64_u], extend: [], isWide: true, isSigned: false },
] as const;

const roundings: Readonly<Record<number, Op>> = { [Rm.RNE]: f64_nearest, [Rm.DYN]: f64_nearest, [Rm.RTZ]: f64_trunc, [Rm.RDN]: f64_floor, [Rm.RUP]: f64_ceil };

/** In any mode that is known when emitting and that WebAssembly has; in the interpreter to nearest and towards zero. */
function toWhole({ min, limit, trunc }: (typeof integers)[number], isDouble: boolean): Lower {
  return (o, giveUp) => {
    const { code: c, rm } = o;
    const value = f64(o, A), whole = f64(o, RESULT);
    if (isDouble) o.f1();
    else wide(c, singles(o, giveUp, () => o.f1())[0]!);
    c.set(value);
    if (rm === null) {
      o.imm32();
      c.i32(Rm.RTZ).op(i32_eq).if(Type.F64);
      c.get(value).op(f64_trunc).else();
      nearest(o, giveUp);
      c.get(value).op(f64_nearest).end();
    } else {
      if (rm === Rm.DYN) nearest(o, giveUp);
      const rounding = roundings[rm];
      if (rounding === undefined) c.br(giveUp);
      c.get(value).op(rounding ?? f64_nearest);
    }
    c.tee(whole).f64(min).op(f64_ge).get(whole).f64(limit).op(f64_lt, i32_and);
    orGiveUp(c, giveUp);
    o.setFcsr(() => {
      o.fcsr();
      c.get(whole).get(value).op(f64_ne, i32_or); // NX, without a branch: this is asked whether it is raised or not
    });
    c.get(whole).op(...trunc);
  };
}
/** What needs no more bits than the format has is exact, in every mode. */
function fromWhole({ toDouble, toSingle, extend, isWide, isSigned }: (typeof integers)[number], isDouble: boolean): Lower {
  const precision = isDouble ? 53 : 24;
  return (o, giveUp) => {
    const { code: c } = o;
    const push = (): void => {
      o.x1();
      c.op(...(isDouble ? toDouble : toSingle));
      if (!isDouble) box(c);
    };
    if (!isWide && isDouble) {
      legal(o, giveUp);
      push();
      return;
    }
    const n = o.temporary(Type.I64, A);
    o.x1();
    c.op(...extend).tee(n);
    // Of a negative number its complement: one less, which makes a difference only to powers of two, and those are exact.
    if (isSigned) c.get(n).i64(63).op(i64_shr_s, i64_xor);
    c.op(i64_clz).get(n).op(i64_ctz, i64_add).i64(64 - precision).op(i64_lt_u).if();
    nearest(o, giveUp);
    o.setFcsr(() => {
      o.fcsr();
      c.i32(FFlag.NX).op(i32_or);
    });
    c.else();
    legal(o, giveUp);
    c.end();
    push();
  };
}

// ---- fcsr: what compilers write around comparisons and roundings whose flags nobody is to see

/** CSR numbers that lie in fcsr, and where. */
const fields: Readonly<Record<number, { readonly shift: number; readonly mask: number }>> = {
  1: { shift: 0, mask: FFLAGS_MASK }, 2: { shift: FRM_SHIFT, mask: 7 }, 3: { shift: 0, mask: FCSR_MASK },
};
/** Reading has no side effect, nor has writing the same value: so csrrs from x0 is like any other. @param combine of old value and source, i32 */
function csr(isImmediate: boolean, combine: (c: Code, old: () => void, source: () => void) => void): Lower {
  return (o, giveUp) => {
    const { code: c } = o;
    const number = o.csr;
    const field = number === null ? null : fields[number]!;
    const old = o.temporary(Type.I32, A);
    const is = (n: number): void => {
      o.imm32();
      c.i32(n).op(i32_eq);
    };
    const shift = (): void => {
      if (field !== null) c.i32(field.shift);
      else {
        c.i32(FRM_SHIFT).i32(0);
        is(2);
        c.op(select);
      }
    };
    const mask = (): void => {
      if (field !== null) c.i32(field.mask);
      else {
        c.i32(FFLAGS_MASK).i32(7).i32(FCSR_MASK);
        is(2);
        c.op(select);
        is(1);
        c.op(select);
      }
    };
    if (field === null) {
      o.imm32();
      c.i32(1).op(i32_sub).i32(3).op(i32_ge_u).brIfSeldom(giveUp);
    }
    o.fcsr();
    shift();
    c.op(i32_shr_u);
    mask();
    c.op(i32_and).set(old);
    o.setFcsr(() => {
      o.fcsr();
      mask();
      shift();
      c.op(i32_shl).i32(-1).op(i32_xor, i32_and);
      combine(c, () => c.get(old), () => {
        if (isImmediate) return o.zimm();
        o.x1();
        c.op(i32_wrap_i64);
      });
      mask();
      c.op(i32_and);
      shift();
      c.op(i32_shl, i32_or);
    });
    c.get(old).op(i64_extend_i32_u);
  };
}

function set(c: Code, old: () => void, source: () => void): void {
  old();
  source();
  c.op(i32_or);
}
function clear(c: Code, old: () => void, source: () => void): void {
  old();
  source();
  c.i32(-1).op(i32_xor, i32_and);
}

// ---- The table

const byName: Record<string, Lower> = {
  'fadd.d': sumOfDoubles(f64_add), 'fsub.d': sumOfDoubles(f64_sub), 'fmul.d': productOfDoubles, 'fdiv.d': quotientOfDoubles, 'fsqrt.d': rootOfDouble,
  'fmadd.d': fuse(false, false), 'fmsub.d': fuse(false, true), 'fnmsub.d': fuse(true, false), 'fnmadd.d': fuse(true, true),
  'fadd.s': sumOfSingles(f32_add), 'fsub.s': sumOfSingles(f32_sub), 'fmul.s': productOfSingles, 'fdiv.s': quotientOfSingles, 'fsqrt.s': rootOfSingle,
  'fmadd.s': fuseSingles(false, false), 'fmsub.s': fuseSingles(false, true), 'fnmsub.s': fuseSingles(true, false), 'fnmadd.s': fuseSingles(true, true),
  csrrw: csr(false, (_c, _old, source) => source()), csrrwi: csr(true, (_c, _old, source) => source()),
  csrrs: csr(false, set), csrrsi: csr(true, set), csrrc: csr(false, clear), csrrci: csr(true, clear),
  'fsgnj.d': signOfDoubles.fsgnj, 'fsgnjn.d': signOfDoubles.fsgnjn, 'fsgnjx.d': signOfDoubles.fsgnjx,
  'fsgnj.s': signOfSingles((c, mine, other) => {
    mine();
    c.i64(~SIGN).op(i64_and);
    other();
    c.i64(SIGN).op(i64_and, i64_or);
  }),
  'fsgnjn.s': signOfSingles((c, mine, other) => {
    mine();
    c.i64(~SIGN).op(i64_and);
    other();
    c.i64(-1).op(i64_xor).i64(SIGN).op(i64_and, i64_or);
  }),
  'fsgnjx.s': signOfSingles((c, mine, other) => {
    mine();
    other();
    c.i64(SIGN).op(i64_and, i64_xor);
  }),
  'fcvt.s.d': (o, giveUp) => {
    const { code: c } = o;
    const value = f64(o, A), result = f32(o, RESULT);
    o.f1();
    c.tee(value).op(f32_demote_f64).set(result);
    single(o, giveUp, result, () => c.get(value).f64(0).op(f64_eq), () => wide(c, result).get(value).op(f64_ne));
  },
  'fcvt.d.s': (o, giveUp) => {
    const { code: c } = o;
    legal(o, giveUp);
    const [a] = singles(o, giveUp, () => o.f1()) as [number];
    c.get(a).get(a).op(f32_ne).brIfSeldom(giveUp);
    wide(c, a);
  },
  'fmv.x.d': (o) => {
    o.f1();
    o.code.op(i64_reinterpret_f64);
  },
  'fmv.d.x': (o) => {
    o.x1();
    o.code.op(f64_reinterpret_i64);
  },
  'fmv.x.w': (o) => {
    o.f1();
    o.code.op(i64_reinterpret_f64, i32_wrap_i64, i64_extend_i32_s);
  },
  'fmv.w.x': (o) => {
    o.x1();
    o.code.i64(BOX).op(i64_or, f64_reinterpret_i64);
  },
};
for (const isDouble of [true, false]) {
  const suffix = isDouble ? 'd' : 's';
  for (const what of ['eq', 'lt', 'le'] as const) byName[`f${what}.${suffix}`] = compare(what, isDouble);
  byName[`fmin.${suffix}`] = extreme(f64_min, f32_min, isDouble);
  byName[`fmax.${suffix}`] = extreme(f64_max, f32_max, isDouble);
  byName[`fclass.${suffix}`] = classify(isDouble);
  for (const type of integers) {
    byName[`fcvt.${type.letter}.${suffix}`] = toWhole(type, isDouble);
    byName[`fcvt.${suffix}.${type.letter}`] = fromWhole(type, isDouble);
  }
}
const toInteger = /^(feq|flt|fle|fclass|fmv\.x|fcvt\.(w|wu|l|lu))\.|^csr/;
/** By op: what F and D compute, but for loads and stores; and the CSR instructions on fcsr. */
export const floatLowerings: ReadonlyMap<number, FloatLowering> = new Map(Object.entries(byName).map(([name, lowering]) =>
  [opOf(name), { lowering, result: toInteger.test(name) ? Type.I64 : Type.F64 }]));

/** Is an instruction one that a region can hold? Of CSR instructions those on fcsr and its parts. */
export const isFloatTranslated = ({ op, imm }: Decoded): boolean => floatLowerings.has(op) && (INSTRUCTIONS[op]!.extension !== 'Zicsr' || fields[imm] !== undefined);
