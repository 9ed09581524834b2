// What each computing instruction means, as WebAssembly: written once, emitted twice. The interpreter emits every line with operands that it finds in
// the decoded record and registers in the arena; the translator with constants and registers in locals. Here: RV64I's computing part, M, Zba, Zbb, Zbs,
// Zicond, conditions of branches. Not here: memory (memory.ts, atomic.ts), floating point (float.ts), jumps and what is rare (the engines).
//
// The readable definition is reference/integer.ts; test/cpu/engines.test.ts compares the two on random operands and programs.
import { opOf } from '../isa/table.ts';
import { Op, Type } from './wasm.ts';
import type { Code } from './wasm.ts';

/** Where an instruction's operands come from, and the code that is written to. Each method pushes one value. */
export interface Operands {
  readonly code: Code;
  /** x[rs1], x[rs2] as i64. Pushing them again gives the same value. */
  x1(): void;
  x2(): void;
  /** The immediate, sign-extended: i64; and as i32. */
  imm(): void;
  imm32(): void;
  /** pc + immediate, as i64 (auipc). */
  pcPlusImm(): void;
  /** A local for intermediate values, by number: the same number is the same local. */
  temporary(type: Type, number: number): number;
}
/** Leaves the result on the stack, an i64. */
export type Lowering = (o: Operands) => void;

const {
  i32_add, i32_sub, i32_div_s, i32_div_u, i32_rem_s, i32_rem_u, i32_shl, i32_shr_s, i32_shr_u, i32_rotl, i32_rotr, i32_clz, i32_ctz, i32_popcnt, i32_eqz, i32_eq, i32_mul,
  i64_add, i64_sub, i64_mul, i64_div_s, i64_div_u, i64_rem_s, i64_rem_u, i64_and, i64_or, i64_xor, i64_shl, i64_shr_s, i64_shr_u, i64_rotl, i64_rotr, i64_clz, i64_ctz, i64_popcnt,
  i64_eqz, i64_eq, i64_ne, i64_lt_s, i64_lt_u, i64_gt_s, i64_gt_u, i64_ge_s, i64_ge_u, i32_wrap_i64, i64_extend_i32_s, i64_extend_i32_u, i64_extend8_s, i64_extend16_s, select,
} = Op;

/** rs1 op rs2, 64 bits. */
const binary = (...ops: readonly Op[]): Lowering => (o) => {
  o.x1();
  o.x2();
  o.code.op(...ops);
};
/** rs1 op immediate, 64 bits. */
const withImm = (...ops: readonly Op[]): Lowering => (o) => {
  o.x1();
  o.imm();
  o.code.op(...ops);
};
/** On low words; the result is sign-extended. */
const wordBinary = (op: Op): Lowering => (o) => {
  o.x1();
  o.code.op(i32_wrap_i64);
  o.x2();
  o.code.op(i32_wrap_i64, op, i64_extend_i32_s);
};
const wordWithImm = (op: Op): Lowering => (o) => {
  o.x1();
  o.code.op(i32_wrap_i64);
  o.imm32();
  o.code.op(op, i64_extend_i32_s);
};
const unary = (...ops: readonly Op[]): Lowering => (o) => {
  o.x1();
  o.code.op(...ops);
};
const isSet = (compare: Op): Lowering => binary(compare, i64_extend_i32_u);

/** (rs1 << n) + rs2, of rs1 or its low word. */
const shiftAdd = (n: number, ofWord: boolean): Lowering => (o) => {
  o.x1();
  if (ofWord) o.code.op(i32_wrap_i64, i64_extend_i32_u);
  if (n > 0) o.code.i64(n).op(i64_shl);
  o.x2();
  o.code.op(i64_add);
};
/** The one of rs1 and rs2 that the comparison `rs1 ? rs2` is for. */
const either = (compare: Op): Lowering => (o) => {
  o.x1();
  o.x2();
  o.x1();
  o.x2();
  o.code.op(compare, select);
};
/** A single bit, at the place that `place` pushes: `combine` follows with rs1 below it. */
const onBit = (place: 'x2' | 'imm', ...combine: readonly Op[]): Lowering => (o) => {
  o.x1();
  o.code.i64(1);
  o[place]();
  o.code.op(i64_shl);
  if (combine.length === 2) o.code.i64(-1).op(i64_xor);
  o.code.op(combine[combine.length - 1]!);
};
const bitOut = (place: 'x2' | 'imm'): Lowering => (o) => {
  o.x1();
  o[place]();
  o.code.op(i64_shr_u).i64(1).op(i64_and);
};
const NOT = i64_xor;

/** Division in the spec's manner: by zero all ones, or the dividend as the rest; of the least number by -1 itself, rest 0. */
function divide(op: Op, signed: boolean, rest: boolean, word: boolean): Lowering {
  return (o) => {
    const { code } = o;
    const type = word ? Type.I32 : Type.I64;
    const a = o.temporary(type, 0);
    const b = o.temporary(type, 1);
    const constant = (n: number): void => { if (word) code.i32(n); else code.i64(n); };
    o.x1();
    if (word) code.op(i32_wrap_i64);
    code.set(a);
    o.x2();
    if (word) code.op(i32_wrap_i64);
    code.tee(b).op(word ? i32_eqz : i64_eqz);
    code.if(type);
    if (rest) code.get(a);
    else constant(-1);
    code.else();
    if (signed) {
      code.get(b);
      constant(-1);
      code.op(word ? i32_eq : i64_eq);
      code.if(type);
      constant(0);
      if (!rest) code.get(a).op(word ? i32_sub : i64_sub);
      code.else();
    }
    code.get(a).get(b).op(op);
    if (signed) code.end();
    code.end();
    if (word) code.op(i64_extend_i32_s);
  };
}

/** The high half of a product: four of 32 bits, and for signed factors the other factor taken away where one is negative. */
function highProduct(firstSigned: boolean, secondSigned: boolean): Lowering {
  return (o) => {
    const { code } = o;
    const [a, b, aLow, bLow, mid] = [0, 1, 2, 3, 4].map((n) => o.temporary(Type.I64, n)) as [number, number, number, number, number];
    const low = 0xffff_ffffn;
    o.x1();
    code.tee(a).i64(low).op(i64_and).set(aLow);
    o.x2();
    code.tee(b).i64(low).op(i64_and).set(bLow);
    // mid = aHigh * bLow + (aLow * bLow >> 32)
    code.get(a).i64(32).op(i64_shr_u).get(bLow).op(i64_mul);
    code.get(aLow).get(bLow).op(i64_mul).i64(32).op(i64_shr_u, i64_add).set(mid);
    // aHigh * bHigh + (mid >> 32) + (aLow * bHigh + low word of mid >> 32)
    code.get(a).i64(32).op(i64_shr_u).get(b).i64(32).op(i64_shr_u, i64_mul);
    code.get(mid).i64(32).op(i64_shr_u, i64_add);
    code.get(aLow).get(b).i64(32).op(i64_shr_u, i64_mul);
    code.get(mid).i64(low).op(i64_and, i64_add).i64(32).op(i64_shr_u, i64_add);
    if (firstSigned) code.get(a).i64(63).op(i64_shr_s).get(b).op(i64_and, i64_sub);
    if (secondSigned) code.get(b).i64(63).op(i64_shr_s).get(a).op(i64_and, i64_sub);
  };
}

/** Bytes in the other order: neighbours, then pairs, then halves. */
const reverseBytes: Lowering = (o) => {
  const { code } = o;
  const t = o.temporary(Type.I64, 0);
  o.x1();
  for (const [shift, mask] of [[8, 0x00ff00ff00ff00ffn], [16, 0x0000ffff0000ffffn]] as const) {
    code.tee(t).i64(shift).op(i64_shr_u).i64(mask).op(i64_and);
    code.get(t).i64(mask).op(i64_and).i64(shift).op(i64_shl, i64_or);
  }
  code.i64(32).op(i64_rotl);
};
/** Every byte that is not zero becomes 0xff: the top bit of each tells (by a sum that cannot carry out of it), times 255. */
const orBytes: Lowering = (o) => {
  const { code } = o;
  const sevens = 0x7f7f7f7f7f7f7f7fn;
  o.x1();
  code.i64(sevens).op(i64_and).i64(sevens).op(i64_add);
  o.x1();
  code.op(i64_or).i64(~sevens).op(i64_and).i64(7).op(i64_shr_u).i64(255).op(i64_mul);
};

const byName: Readonly<Record<string, Lowering>> = {
  lui: (o) => o.imm(), auipc: (o) => o.pcPlusImm(),
  addi: withImm(i64_add), xori: withImm(i64_xor), ori: withImm(i64_or), andi: withImm(i64_and),
  slti: withImm(i64_lt_s, i64_extend_i32_u), sltiu: withImm(i64_lt_u, i64_extend_i32_u),
  slli: withImm(i64_shl), srli: withImm(i64_shr_u), srai: withImm(i64_shr_s),
  add: binary(i64_add), sub: binary(i64_sub), sll: binary(i64_shl), srl: binary(i64_shr_u), sra: binary(i64_shr_s),
  slt: isSet(i64_lt_s), sltu: isSet(i64_lt_u), xor: binary(i64_xor), or: binary(i64_or), and: binary(i64_and),
  addiw: wordWithImm(i32_add), slliw: wordWithImm(i32_shl), srliw: wordWithImm(i32_shr_u), sraiw: wordWithImm(i32_shr_s),
  addw: wordBinary(i32_add), subw: wordBinary(i32_sub), sllw: wordBinary(i32_shl), srlw: wordBinary(i32_shr_u), sraw: wordBinary(i32_shr_s),

  mul: binary(i64_mul), mulw: wordBinary(i32_mul), mulh: highProduct(true, true), mulhsu: highProduct(true, false), mulhu: highProduct(false, false),
  div: divide(i64_div_s, true, false, false), divu: divide(i64_div_u, false, false, false), rem: divide(i64_rem_s, true, true, false), remu: divide(i64_rem_u, false, true, false),
  divw: divide(i32_div_s, true, false, true), divuw: divide(i32_div_u, false, false, true), remw: divide(i32_rem_s, true, true, true), remuw: divide(i32_rem_u, false, true, true),

  sh1add: shiftAdd(1, false), sh2add: shiftAdd(2, false), sh3add: shiftAdd(3, false),
  'add.uw': shiftAdd(0, true), 'sh1add.uw': shiftAdd(1, true), 'sh2add.uw': shiftAdd(2, true), 'sh3add.uw': shiftAdd(3, true),
  'slli.uw': (o) => {
    o.x1();
    o.code.op(i32_wrap_i64, i64_extend_i32_u);
    o.imm();
    o.code.op(i64_shl);
  },
  andn: (o) => {
    o.x1();
    o.x2();
    o.code.i64(-1).op(NOT, i64_and);
  },
  orn: (o) => {
    o.x1();
    o.x2();
    o.code.i64(-1).op(NOT, i64_or);
  },
  xnor: (o) => {
    binary(i64_xor)(o);
    o.code.i64(-1).op(NOT);
  },
  clz: unary(i64_clz), ctz: unary(i64_ctz), cpop: unary(i64_popcnt),
  clzw: unary(i32_wrap_i64, i32_clz, i64_extend_i32_u), ctzw: unary(i32_wrap_i64, i32_ctz, i64_extend_i32_u), cpopw: unary(i32_wrap_i64, i32_popcnt, i64_extend_i32_u),
  min: either(i64_lt_s), minu: either(i64_lt_u), max: either(i64_gt_s), maxu: either(i64_gt_u),
  'sext.b': unary(i64_extend8_s), 'sext.h': unary(i64_extend16_s),
  'zext.h': (o) => {
    o.x1();
    o.code.i64(0xffff).op(i64_and);
  },
  rol: binary(i64_rotl), ror: binary(i64_rotr), rolw: wordBinary(i32_rotl), rorw: wordBinary(i32_rotr), rori: withImm(i64_rotr), roriw: wordWithImm(i32_rotr),
  'orc.b': orBytes, rev8: reverseBytes,
  bclr: onBit('x2', NOT, i64_and), binv: onBit('x2', i64_xor), bset: onBit('x2', i64_or), bext: bitOut('x2'),
  bclri: onBit('imm', NOT, i64_and), binvi: onBit('imm', i64_xor), bseti: onBit('imm', i64_or), bexti: bitOut('imm'),
  'czero.eqz': (o) => {
    o.code.i64(0);
    o.x1();
    o.x2();
    o.code.op(i64_eqz, select);
  },
  'czero.nez': (o) => {
    o.x1();
    o.code.i64(0);
    o.x2();
    o.code.op(i64_eqz, select);
  },
};
/** By op: what leaves x[rd] on the stack. */
export const lowerings: ReadonlyMap<number, Lowering> = new Map(Object.entries(byName).map(([name, lowering]) => [opOf(name), lowering]));

/** By op: when a branch is taken. Leaves an i32. */
export const conditions: ReadonlyMap<number, Lowering> = new Map(Object.entries({
  beq: binary(i64_eq), bne: binary(i64_ne), blt: binary(i64_lt_s), bge: binary(i64_ge_s), bltu: binary(i64_lt_u), bgeu: binary(i64_ge_u),
}).map(([name, lowering]) => [opOf(name), lowering]));
