// Floating point twice: the host's doubles with error-free transformations against exact arithmetic, on the corners and on random bits.
// What both should be is asked of qemu (oracle/); here are the rules that a reader can check by hand, and the reserved rounding modes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena } from '#mmu/arena.ts';
import { opOf } from '#cpu/isa/table.ts';
import { FFlag, Hart, Rm } from '#cpu/hart.ts';
import { executeFloat } from '#cpu/reference/float.ts';
import * as soft from '#cpu/reference/softfloat.ts';
import { Double, Single } from '#cpu/reference/softfloat.ts';
import type { Format } from '#cpu/reference/softfloat.ts';

const hart = new Hart(new Arena(65536));
const BOX = 0xffffffff00000000n;
const registerOf = (f: Format, bits: bigint): bigint => BigInt.asIntN(64, f === Double ? bits : BOX | bits);

/** One instruction of the sources x1 or f1, f2, f3. @returns false: illegal */
const execute = (name: string, rd: number, rm: number): boolean =>
  executeFloat(hart, { op: opOf(name), rd, rs1: 1, rs2: 2, rs3: 3, rm, imm: 0, length: 4, bits: 0 });

/** Runs one instruction on f1, f2, f3 into f0 and shows result and flags. */
function run(name: string, f: Format, operands: readonly bigint[], rm: number = Rm.RNE, flagsBefore = 0): string {
  operands.forEach((bits, i) => { hart.f[i + 1] = registerOf(f, bits); });
  hart.fcsr = flagsBefore;
  if (!execute(name, 0, rm)) return 'illegal';
  return show(hart.f[0]!, hart.fflags);
}
const show = (register: bigint, flags: number): string =>
  `${BigInt.asUintN(64, register).toString(16).padStart(16, '0')}${Object.entries(FFlag).filter(([, bit]) => (flags & bit) !== 0).map(([name]) => ` ${name}`).join('')}`;

/** The same by exact arithmetic alone. */
function exact(f: Format, operation: (ctx: soft.FpContext) => bigint, rm: number, flagsBefore: number): string {
  const ctx = { rm, flags: flagsBefore };
  return show(registerOf(f, operation(ctx)), ctx.flags);
}

/** Bit patterns that lie near something: exponents from a few edges and significands with few ones, or anything at all. */
function patterns(f: Format): fc.Arbitrary<bigint> {
  const exponentBits = f === Double ? 11 : 8;
  const fraction = (1n << BigInt(f.fractionBits)) - 1n;
  const bias = (1 << (exponentBits - 1)) - 1;
  const top = 2 * bias + 1;
  const exponents = fc.oneof(
    fc.constantFrom(0, 1, 2, f.fractionBits, top, top - 1, top - 2, bias, bias + 1, bias - 1, bias - 2),
    fc.integer({ min: bias - 60, max: bias + 60 }),
    fc.integer({ min: 0, max: top }),
  );
  const fractions = fc.oneof(
    fc.constantFrom(0n, 1n, 2n, fraction, fraction - 1n, fraction >> 1n, (fraction >> 1n) + 1n, (fraction >> 1n) + 2n),
    fc.integer({ min: 0, max: f.fractionBits - 1 }).map((n) => 1n << BigInt(n)),
    fc.integer({ min: 0, max: f.fractionBits }).map((n) => fraction ^ (fraction >> BigInt(n))),
    fc.bigInt({ min: 0n, max: fraction }),
  );
  return fc.tuple(fc.boolean(), exponents, fractions)
    .map(([negative, e, m]) => (negative ? f.sign : 0n) | (BigInt(e) << BigInt(f.fractionBits)) | m);
}
const flagsBefore = fc.constantFrom(0, FFlag.NX);
const mode = fc.oneof({ weight: 3, arbitrary: fc.constant(Rm.RNE as number) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 4 }) });
const numRuns = 4000;

for (const [suffix, f] of [['s', Single], ['d', Double]] as const) {
  describe(`.${suffix}: the fast path gives what exact arithmetic gives`, () => {
    const p = patterns(f);
    test.each(['add', 'sub', 'mul', 'div'] as const)('f%s', (name) => {
      fc.assert(fc.property(p, p, mode, flagsBefore, (a, b, rm, flags) => {
        expect(run(`f${name}.${suffix}`, f, [a, b], rm, flags)).toBe(exact(f, (ctx) => soft[name](f, ctx, a, b), rm, flags));
      }), { numRuns });
    });
    test('quotients and products that come out even', () => {
      fc.assert(fc.property(p, p, flagsBefore, (a, b, flags) => {
        const ctx = { rm: Rm.RTZ, flags: 0 };
        const short = (n: bigint): bigint => n & ~((1n << BigInt(f.fractionBits >> 1)) - 1n);
        const product = soft.mul(f, ctx, short(a), short(b));
        expect(run(`fmul.${suffix}`, f, [short(a), short(b)], Rm.RNE, flags)).toBe(exact(f, (c) => soft.mul(f, c, short(a), short(b)), Rm.RNE, flags));
        expect(run(`fdiv.${suffix}`, f, [product, short(b)], Rm.RNE, flags)).toBe(exact(f, (c) => soft.div(f, c, product, short(b)), Rm.RNE, flags));
      }), { numRuns });
    });
    test('fsqrt, also of squares', () => {
      fc.assert(fc.property(p, mode, flagsBefore, fc.boolean(), (a, rm, flags, squared) => {
        const n = squared ? soft.mul(f, { rm: Rm.RTZ, flags: 0 }, a, a) : a;
        expect(run(`fsqrt.${suffix}`, f, [n], rm, flags)).toBe(exact(f, (ctx) => soft.sqrt(f, ctx, n), rm, flags));
      }), { numRuns });
    });
    const signOf = (negate: boolean): bigint => (negate ? f.sign : 0n);
    test.each([['fmadd', false, false], ['fmsub', false, true], ['fnmsub', true, false], ['fnmadd', true, true]] as const)('%s', (name, negateProduct, negateAddend) => {
      // An addend near minus the product is where a second rounding would show.
      fc.assert(fc.property(p, p, p, fc.integer({ min: -3, max: 3 }), fc.boolean(), mode, flagsBefore, (a, b, other, nudge, near, rm, flags) => {
        const product = soft.mul(f, { rm: Rm.RNE, flags: 0 }, a, b);
        const c = near ? ((product ^ signOf(negateProduct === negateAddend)) + BigInt(nudge)) & (f.sign | (f.sign - 1n)) : other;
        expect(run(`${name}.${suffix}`, f, [a, b, c], rm, flags))
          .toBe(exact(f, (ctx) => soft.fma(f, ctx, a ^ signOf(negateProduct), b, c ^ signOf(negateAddend)), rm, flags));
      }), { numRuns: 2 * numRuns });
    });
    test.each([['w', false, 32], ['wu', true, 32], ['l', false, 64], ['lu', true, 64]] as const)('from %s', (letter, unsigned, width) => {
      const word = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
        fc.tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 63 }), fc.integer({ min: -2, max: 2 }))
          .map(([i, j, d]) => BigInt.asUintN(64, (1n << BigInt(i)) + (1n << BigInt(j)) + BigInt(d))));
      fc.assert(fc.property(word, mode, flagsBefore, (n, rm, flags) => {
        hart.x[1] = BigInt.asIntN(64, n);
        const value = unsigned ? BigInt.asUintN(width, n) : BigInt.asIntN(width, n);
        hart.fcsr = flags;
        execute(`fcvt.${suffix}.${letter}`, 0, rm);
        expect(show(hart.f[0]!, hart.fflags)).toBe(exact(f, (ctx) => soft.fromInteger(f, ctx, value), rm, flags));
      }), { numRuns });
    });
  });
}

/** What a finite double rounds to, by whole-number arithmetic. */
function naiveWhole(bits: bigint, rm: number): { whole: bigint; exact: boolean } {
  const field = Number((bits >> 52n) & 0x7ffn);
  const significand = (bits & 0xfffffffffffffn) | (field === 0 ? 0n : 1n << 52n);
  const negative = bits >> 63n === 1n;
  const shift = Math.max(field, 1) - 1075;
  const [scaled, unit] = shift >= 0 ? [significand << BigInt(shift), 1n] : [significand, 1n << BigInt(-shift)];
  const below = scaled / unit;
  const twice = 2n * (scaled - below * unit);
  const up = twice !== 0n && (rm === Rm.RDN ? negative : rm === Rm.RUP ? !negative : rm === Rm.RMM ? twice >= unit
    : rm === Rm.RNE && (twice > unit || (twice === unit && below % 2n === 1n)));
  const magnitude = up ? below + 1n : below;
  return { whole: negative ? -magnitude : magnitude, exact: twice === 0n };
}
test.each([['w', false, 32], ['wu', true, 32], ['l', false, 64], ['lu', true, 64]] as const)('fcvt.%s.d: one rounding, then the limits', (letter, unsigned, width) => {
  const min = unsigned ? 0n : -(1n << BigInt(width - 1));
  const max = (1n << BigInt(unsigned ? width : width - 1)) - 1n;
  fc.assert(fc.property(patterns(Double), fc.integer({ min: 0, max: 4 }), (a, rm) => {
    fc.pre((a & Double.infinity) !== Double.infinity);
    hart.f[1] = registerOf(Double, a);
    hart.fcsr = 0;
    execute(`fcvt.${letter}.d`, 5, rm);
    const { whole, exact } = naiveWhole(a, rm);
    const limited = whole < min ? min : whole > max ? max : whole;
    expect([hart.x[5], hart.fflags]).toEqual([BigInt.asIntN(width, limited), whole !== limited ? FFlag.NV : exact ? 0 : FFlag.NX]);
  }), { numRuns });
});

test('fcvt.s.d: one rounding, whatever the mode', () => {
  fc.assert(fc.property(patterns(Double), mode, flagsBefore, (a, rm, flags) => {
    hart.f[1] = registerOf(Double, a);
    hart.fcsr = flags;
    execute('fcvt.s.d', 0, rm);
    expect(show(hart.f[0]!, hart.fflags)).toBe(exact(Single, (ctx) => soft.convert(Double, Single, ctx, a), rm, flags));
  }), { numRuns });
});

describe('by hand', () => {
  const ONE = 0x3ff0000000000000n;
  const TINY = 1n;
  test('a sum just above one, in each mode', () => {
    expect([0, 1, 2, 3, 4].map((rm) => run('fadd.d', Double, [ONE, TINY], rm))).toEqual([
      '3ff0000000000000 NX', '3ff0000000000000 NX', '3ff0000000000000 NX', '3ff0000000000001 NX', '3ff0000000000000 NX',
    ]);
  });
  test('a difference of equals is +0, and -0 rounding down', () => {
    expect(run('fsub.d', Double, [ONE, ONE])).toBe('0000000000000000');
    expect(run('fsub.d', Double, [ONE, ONE], Rm.RDN)).toBe('8000000000000000');
  });
  test('tininess is detected after rounding: a result that rounds up to the smallest normal number is no underflow', () => {
    const minNormal = 0x0010000000000000n; // 2^-1022
    // 2^-1022 - 2^-1075 has 53 bits, so with an endless exponent it would stay below 2^-1022; 2^-1022 - 2^-1126 would not.
    expect(run('fmul.d', Double, [minNormal, 0x3fefffffffffffffn])).toBe('0010000000000000 NX UF');
    expect(run('fmul.d', Double, [minNormal + 1n, 0x3feffffffffffffen])).toBe('0010000000000000 NX');
    // A subnormal result that is exact is no underflow either.
    expect(run('fmadd.d', Double, [minNormal, ONE, 0x8000000000000001n])).toBe('000fffffffffffff');
  });
  test('what lies just short of a half goes to zero in both modes that round to nearest', () => {
    for (const bits of [0x3fdfffffffffffffn, 0xbfdfffffffffffffn]) {
      for (const rm of [Rm.RNE, Rm.RMM]) {
        hart.f[1] = registerOf(Double, bits);
        hart.fcsr = 0;
        execute('fcvt.l.d', 5, rm);
        expect([hart.x[5], hart.fflags]).toEqual([0n, FFlag.NX]);
      }
    }
  });
  test('dynamic rounding takes frm; reserved modes are illegal and change nothing', () => {
    hart.f[1] = ONE;
    hart.f[2] = TINY;
    hart.f[0] = 7n;
    for (const [frm, rm] of [[0, 5], [0, 6], [5, 7], [6, 7], [7, 7]] as const) {
      hart.fcsr = frm << 5;
      expect(execute('fadd.d', 0, rm)).toBe(false);
      expect([hart.f[0], hart.fcsr]).toEqual([7n, frm << 5]);
    }
    hart.fcsr = Rm.RUP << 5;
    expect(execute('fadd.d', 0, Rm.DYN)).toBe(true);
    expect(hart.f[0]).toBe(0x3ff0000000000001n);
    expect(hart.fcsr).toBe((Rm.RUP << 5) | FFlag.NX);
  });
  test('a single that is not boxed reads as NaN, but moves as it is', () => {
    hart.f[1] = 0x3f800000n;
    hart.f[2] = hart.f[1]!;
    hart.fcsr = 0;
    execute('fsgnj.s', 0, 0);
    expect(show(hart.f[0]!, hart.fflags)).toBe('ffffffff7fc00000');
    execute('fmv.x.w', 5, 0);
    expect(hart.x[5]).toBe(0x3f800000n);
  });
});
