// Floating point three times: what is emitted, in the interpreter and in regions, with the host's fused multiply-add and without, against the readable
// engine. One loop an instruction goes through a table of operands in memory and does it in every rounding mode, onto other registers and onto
// its own sources; results, fcsr after each, and at the end all registers must be the same bits. Operands are corners, values related to one
// another (an addend near the negated product, a dividend that comes out even) and anything at all.
import { setFlagsFromString } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { Prng } from '#base';
import type { Pfn } from '#base';
import { FFlag, INSTRUCTIONS, Kind, hostFuses } from '#cpu';
import type { Instruction } from '#cpu';
import { EmittedEngine } from '#cpu/engine.ts';
import { floatLowerings } from '#cpu/emit/float.ts';
import { presetNamed } from '#mmu';
import { hartRig } from '../support/hart-rig.ts';
import type { HartRig } from '../support/hart-rig.ts';
import { bitsOfDouble, bitsOfSingle, boxed, floatValue, integerValue, pick, random64 } from '../support/oracle/values.ts';

if (!hostFuses()) setFlagsFromString('--experimental-wasm-relaxed-simd'); // Node 20

const seed = Number(process.env['QUIRE_SEED'] ?? Date.now() % 1_000_000_007);
console.info(`emitted floating point: seed ${seed}; replay with QUIRE_SEED=${seed} npx vitest run test/cpu/emit-float.test.ts`);
/** Random operand sets for each instruction, beside some 600 that are corners. */
const NR_SETS = 300;

// ---- Operands

interface Operands { readonly a: bigint; readonly b: bigint; readonly c: bigint; readonly x: bigint; readonly fcsr: number }

const scratch = new DataView(new ArrayBuffer(8));
function doubleOf(bits: bigint): number {
  scratch.setBigUint64(0, BigInt.asUintN(64, bits));
  return scratch.getFloat64(0);
}
function singleOf(bits: bigint): number {
  scratch.setUint32(0, Number(BigInt.asUintN(32, bits)));
  return scratch.getFloat32(0);
}
/** `doubtful`: exponents whose sums or differences lie where the lowerings stop trusting a result, and where the range ends. */
interface FormatOf { readonly bias: number; readonly fractionBits: number; readonly doubtful: readonly number[]; pack(bits: bigint): bigint; of(value: number): bigint; value(bits: bigint): number }
const formats: Readonly<Record<'d' | 's', FormatOf>> = {
  d: { bias: 1023, fractionBits: 52, doubtful: [123, 1923, 573, 1473, 512, 1534], pack: (bits) => bits, of: bitsOfDouble, value: doubleOf },
  s: { bias: 127, fractionBits: 23, doubtful: [64, 191, 23, 52], pack: boxed, of: (value) => boxed(bitsOfSingle(value)), value: singleOf },
};

/** Fields chosen one by one: exponents near the ends, doubtful, near one; significands with few bits or with all. */
function fromFields(random: Prng, { bias, fractionBits, doubtful, pack }: FormatOf): bigint {
  const top = 2 * bias + 1;
  const exponent = pick(random, [
    () => pick(random, [0, 1, 2, top - 1, top - 2, fractionBits, fractionBits + 1]),
    () => bias - 60 + random.below(121),
    () => bias - 3 + random.below(7),
    () => pick(random, doubtful) - 2 + random.below(5),
    () => random.below(top),
  ])();
  const ones = (1n << BigInt(fractionBits)) - 1n;
  const fraction = pick(random, [
    () => 0n, () => 1n, () => ones, () => 1n << BigInt(random.below(fractionBits)), () => ones ^ (ones >> BigInt(random.below(fractionBits + 1))),
    () => random64(random) & ones, () => (random64(random) & ones) >> 26n << 26n, () => ones ^ (1n << BigInt(random.below(fractionBits))),
  ])();
  return pack((BigInt(random.below(2)) << BigInt(fractionBits === 52 ? 63 : 31)) | (BigInt(exponent) << BigInt(fractionBits)) | fraction);
}
const whole = (random: Prng, f: FormatOf): bigint => f.of((random.below(2 ** 28) - 2 ** 27) * 2 ** (random.below(7) - 3));
const anyValue = (random: Prng, f: FormatOf): bigint => pick(random, [
  () => floatValue(random), () => fromFields(random, f), () => fromFields(random, f), () => whole(random, f), () => whole(random, f),
])();
/** Zero, subnormals, the ends of the normal numbers and one with their neighbours, infinity, NaNs with payloads; of both signs. */
function specials({ bias, fractionBits, pack }: FormatOf): bigint[] {
  const at = (exponent: number, more: bigint): bigint => (BigInt(exponent) << BigInt(fractionBits)) + more;
  const quiet = 1n << BigInt(fractionBits - 1);
  const positive = [0n, 1n, at(1, -1n), at(1, 0n), at(1, 1n), at(bias, -1n), at(bias, 0n), at(bias, 1n), at(2 * bias + 1, -1n), at(2 * bias + 1, 0n), at(2 * bias + 1, 5n), at(2 * bias + 1, quiet | 5n)];
  return positive.flatMap((bits) => [pack(bits), pack(bits | (1n << BigInt(fractionBits === 52 ? 63 : 31)))]);
}
/** Each with each, with nothing raised before. */
const specialPairs = (random: Prng, f: FormatOf): Operands[] =>
  specials(f).flatMap((a) => specials(f).map((b) => ({ a, b, c: pick(random, specials(f)), x: integerValue(random), fcsr: 0 })));
/** A few last places from a power of two. */
const beside = (random: Prng, { fractionBits, pack }: FormatOf, exponent: number): bigint => pack((BigInt(exponent) << BigInt(fractionBits)) + BigInt(random.below(7) - 3));
const INTEGER_BORDERS = [0, 2 ** 24, 2 ** 31, 2 ** 32, 2 ** 52, 2 ** 53, 2 ** 63, 2 ** 64];
/** Near where a conversion to an integer changes its mind. */
const nearBorder = (random: Prng, f: FormatOf): bigint =>
  f.of(pick(random, INTEGER_BORDERS) * pick(random, [1, -1]) + (random.below(17) - 8) / 4) + BigInt(random.below(3));

function operandsOf(random: Prng, f: FormatOf): Operands {
  const a = anyValue(random, f);
  const b = anyValue(random, f);
  const nudge = BigInt(random.below(5) - 2);
  const fcsr = (random.below(2) === 0 ? FFlag.NX : 0) | (random.below(4) === 0 ? random.below(32) : 0) | (random.below(3) === 0 ? random.below(5) << 5 : 0);
  const x = integerValue(random);
  const valueA = f.value(a);
  const valueB = f.value(b);
  switch (random.below(9)) {
    case 0: return { a, b, c: f.of(-valueA * valueB) + nudge, x, fcsr };
    case 1: return { a, b, c: f.of(valueA * valueB * 2 ** (random.below(120) - 60)) + nudge, x, fcsr };
    case 2: return { a: f.of(valueA * valueB), b: random.below(2) === 0 ? a : b, c: b, x, fcsr }; // a quotient
    case 3: return { a: f.of(valueA * valueA) + nudge, b: a, c: b, x, fcsr };                     // a root
    case 4: return { a, b: a + nudge, c: b, x, fcsr };
    case 5: return { a: nearBorder(random, f), b: a, c: b, x, fcsr };
    case 6: return { a: beside(random, f, pick(random, [1, 2, 2 * f.bias])), b: beside(random, f, f.bias), c: beside(random, f, pick(random, [1, f.bias])), x, fcsr };
    default: return { a, b, c: anyValue(random, f), x, fcsr };
  }
}

// ---- The loop

const IN = 0x100000, OUT = 0x200000, CODE = 0x400000;
const IN_BYTES = 40, RESULT_BYTES = 24;

interface Variant { readonly line: string; readonly result: 'f' | 'x' }
function variantsOf(row: Instruction): Variant[] {
  const modes = (row.kind & Kind.Rm) === 0 ? [''] : ['rne', 'rtz', 'rdn', 'rup', 'rmm', 'dyn'];
  const line = (names: Readonly<Record<string, string>>, mode: string): string =>
    `${row.name} ${[...row.operands.matchAll(/[DSTRdst]/g)].map(([letter]) => names[letter]!).concat(mode === '' ? [] : [mode]).join(',')}`;
  const result = row.writesRd ? 'x' : 'f';
  const usual = { D: 'fa0', S: 'ft1', T: 'ft2', R: 'ft3', d: 'a0', s: 'a1' };
  const others = [
    ...(row.writesRd ? [] : [{ ...usual, D: 'ft1' }, { ...usual, D: 'ft2' }, { ...usual, D: 'ft3' }]),
    { ...usual, T: 'ft1' }, { ...usual, D: 'ft1', T: 'ft1', R: 'ft1' }, { ...usual, d: 'a1' }, { ...usual, d: 'zero' }, { ...usual, s: 'zero' },
  ];
  const lines = new Map(modes.map((mode) => [line(usual, mode), usual as Readonly<Record<string, string>>]));
  for (const names of others) lines.set(line(names, modes[modes.length - 1]!), names);
  return [...lines.keys()].map((text) => ({ line: text, result }));
}
/** Each variant: operands and fcsr afresh, the instruction, what it left. @returns lines; the destination is the line's first operand */
function loopOf(variants: readonly Variant[]): string[] {
  const body = variants.flatMap(({ line, result }, i) => {
    const [rd] = line.split(/[ ,]/).slice(1);
    const at = i * RESULT_BYTES;
    return [
      'fld ft1,0(s0)', 'fld ft2,8(s0)', 'fld ft3,16(s0)', 'ld a1,24(s0)', 'ld t0,32(s0)', 'csrrw zero,fcsr,t0',
      line,
      'csrrs t1,fcsr,zero', result === 'f' ? `fsd ${rd},${at}(s1)` : `sd ${rd},${at}(s1)`, `sd t1,${at + 8}(s1)`, `fsd ft2,${at + 16}(s1)`,
    ];
  });
  const head = [...body, `addi s0,s0,${IN_BYTES}`, `addi s1,s1,${variants.length * RESULT_BYTES}`, 'addi s2,s2,-1'];
  return [...head, `bne s2,zero,${-4 * head.length}`, 'ecall'];
}

/** A machine, the frames of its two tables, and what its emitted code asked the readable one for, by instruction. */
interface Engine { readonly name: string; readonly rig: HartRig; readonly input: readonly Pfn[]; readonly output: readonly Pfn[]; readonly slow: Map<string, number>; nextCode: number }
const IN_PAGES = 16, OUT_PAGES = 80;
function engine(name: string, options: Parameters<typeof hartRig>[0]): Engine {
  const rig = hartRig({ tlb: presetNamed('skylake'), ...options });
  const map = (va: number, nr: number): Pfn[] => Array.from({ length: nr }, (_, page) => rig.map(va + 4096 * page, 'rw'));
  const slow = new Map<string, number>();
  const inner = rig.machine['engine'];
  if (inner instanceof EmittedEngine) {
    const ask = inner['slow'];
    (inner as unknown as { slow: typeof ask }).slow = function (row, tick) {
      const what = INSTRUCTIONS[inner.blocks.decoded[row]!.op]!.name;
      slow.set(what, (slow.get(what) ?? 0) + 1);
      return ask.call(inner, row, tick);
    };
  }
  return { name, rig, input: map(IN, IN_PAGES), output: map(OUT, OUT_PAGES), slow, nextCode: CODE };
}
const fusing = hostFuses() ? [true, false] : [false];
const engines: readonly Engine[] = [
  engine('reference', { engine: 'reference' }),
  ...(['interp', 'jit'] as const).flatMap((name) => fusing.map((fuses) => engine(`${name}${fuses ? ' with the host\'s fma' : ''}`, { engine: name, fuses }))),
];

/** Runs a loop on operands. @returns the bytes it left */
function run(e: Engine, lines: readonly string[], table: Uint8Array, nr: number, outBytes: number): Uint8Array {
  const { rig, input, output } = e;
  const { machine } = rig;
  machine.hart.f.fill(0n);
  machine.x.fill(0n);
  input.forEach((pfn, page) => machine.writeFrame(pfn, 0, table.subarray(4096 * page, 4096 * (page + 1))));
  rig.code(e.nextCode, lines);
  e.nextCode += 4096 * Math.ceil((4 * lines.length) / 4096);
  rig.set({ s0: IN, s1: OUT, s2: nr });
  // In pieces at first: regions are made between them.
  let how = 'budget';
  for (let i = 0; how === 'budget'; i++) how = rig.run(i < 6 ? lines.length : 1e6);
  expect(how).toContain('ecall');
  const out = new Uint8Array(outBytes);
  output.forEach((pfn, page) => machine.readFrame(pfn, 0, out.subarray(4096 * page, 4096 * (page + 1))));
  return out;
}
function tableOf(sets: readonly Operands[]): Uint8Array {
  const words = new BigInt64Array(sets.length * 5);
  sets.forEach(({ a, b, c, x, fcsr }, i) => words.set([a, b, c, x, BigInt(fcsr)].map((n) => BigInt.asIntN(64, n)), 5 * i));
  return new Uint8Array(words.buffer);
}
const hex = (n: bigint): string => BigInt.asUintN(64, n).toString(16).padStart(16, '0');
const registers = ({ rig: { machine } }: Engine): string => `x ${[...machine.x].map(hex).join(' ')} f ${[...machine.hart.f].map(hex).join(' ')} fcsr ${machine.hart.fcsr}`;

/** Compares all engines on a loop. */
function compare(variants: readonly Variant[], sets: readonly Operands[]): void {
  const table = tableOf(sets);
  const lines = loopOf(variants);
  const outBytes = sets.length * variants.length * RESULT_BYTES;
  expect(outBytes).toBeLessThanOrEqual(4096 * OUT_PAGES);
  let first: { bytes: Uint8Array; state: string } | null = null;
  for (const e of engines) {
    const bytes = run(e, lines, table, sets.length, outBytes);
    const state = registers(e);
    if (first === null) {
      first = { bytes, state };
      continue;
    }
    if (Buffer.compare(bytes, first.bytes) !== 0) {
      const [mine, theirs] = [bytes, first.bytes].map((all) => new BigInt64Array(all.buffer)) as [BigInt64Array, BigInt64Array];
      const at = mine.findIndex((word, i) => word !== theirs[i]);
      const variant = Math.floor(at / 3) % variants.length;
      const { a, b, c, x, fcsr } = sets[Math.floor(at / 3 / variants.length)]!;
      const show = (words: BigInt64Array): string => `${hex(words[at - (at % 3)]!)} fcsr ${words[at - (at % 3) + 1]}`;
      expect.unreachable(`seed ${seed}: ${variants[variant]!.line} with ft1 ${hex(a)} ft2 ${hex(b)} ft3 ${hex(c)} a1 ${hex(x)} fcsr ${fcsr}: ${e.name} has ${show(mine)}, the reference ${show(theirs)}`);
    }
    expect(state, `registers at the end, ${e.name}`).toBe(first.state);
  }
}

// ---- The tests

const rows = INSTRUCTIONS.filter((row) => (row.kind & Kind.Float) !== 0 && row.accessBytes === 0);
/** Of the sources. */
const formatOf = (row: Instruction): FormatOf => formats[row.name.endsWith('.d') ? 'd' : 's'];

test('every instruction of F and D that computes is lowered', () => {
  expect(rows.filter((row) => !floatLowerings.has(INSTRUCTIONS.indexOf(row))).map((row) => row.name)).toEqual([]);
});

describe(`results, flags and registers are the readable engine's (${engines.map((e) => e.name).join(', ')})`, () => {
  test.each(rows.map((row) => [row.name, row] as const))('%s', (_name, row) => {
    const random = new Prng(seed, row.name);
    compare(variantsOf(row), [...specialPairs(random, formatOf(row)), ...Array.from({ length: NR_SETS }, () => operandsOf(random, formatOf(row)))]);
  });
  test('regions were made of those loops', () => {
    for (const e of engines.filter(({ name }) => name.startsWith('jit'))) {
      const { counts } = (e.rig.machine['engine'] as EmittedEngine).regions!;
      expect(counts.regions).toBeGreaterThanOrEqual(rows.length);
      expect(counts.instrs).toBeGreaterThan(10 * rows.length);
    }
  });
});

test('fcsr and its parts: written, read and changed', () => {
  const random = new Prng(seed, 'fcsr');
  const names = ['fflags', 'frm', 'fcsr'];
  const variants = names.flatMap((name) => [
    ...['csrrw', 'csrrs', 'csrrc'].flatMap((op) => [`${op} a0,${name},a1`, `${op} a1,${name},a1`, `${op} a0,${name},zero`, `${op} zero,${name},a1`]),
    ...['csrrwi', 'csrrsi', 'csrrci'].flatMap((op) => [`${op} a0,${name},0`, `${op} a0,${name},${1 + random.below(31)}`]),
  ]).map((line): Variant => ({ line, result: 'x' }));
  // Short loops: fcsr may hold a reserved mode.
  for (let i = 0; i < variants.length; i += 9) compare(variants.slice(i, i + 9), Array.from({ length: 60 }, () => ({ ...operandsOf(random, formats.d), fcsr: random.below(256) })));
});

test('reserved rounding modes are illegal, in a region too, and change nothing', () => {
  const modes = [['5', 0], ['6', 0], ['dyn', 5], ['dyn', 6], ['dyn', 7]] as const;
  const chosen = rows.filter((row) => (row.kind & Kind.Rm) !== 0);
  for (const row of chosen) {
    const names: Readonly<Record<string, string>> = { D: 'fa0', S: 'ft1', T: 'ft2', R: 'ft3', d: 'a0', s: 'a1' };
    for (const [mode, frm] of modes) {
      const line = `${row.name} ${[...row.operands.matchAll(/[DSTRds]/g)].map(([letter]) => names[letter]!).concat(mode).join(',')}`;
      const states = engines.map((e) => {
        const { rig } = e;
        rig.machine.hart.f.fill(0n);
        rig.machine.x.fill(0n);
        rig.machine.hart.fcsr = frm << 5;
        rig.code(e.nextCode, ['addi t0,t0,-1', 'bne t0,zero,-4', line]);
        rig.set({ t0: 40 });
        const ends = [rig.run(8), rig.run(8), rig.run(1000)].map((end) => end.replace(/, pc.*/, '')).join('; ');
        return `${ends} ${registers(e)}`;
      });
      expect(states[0]).toContain('illegal');
      for (const [i, state] of states.entries()) expect(state, `${line}, ${engines[i]!.name}`).toBe(states[0]);
      for (const e of engines) e.nextCode += 4096;
    }
  }
});

describe('what is ordinary is not given up', () => {
  const ordinary = (random: Prng, f: FormatOf): bigint => f.of((random.below(2) === 0 ? 1 : -1) * (1 + random.next32() / 2 ** 32) * 2 ** (random.below(60) - 30));
  const givenUp = (row: Instruction, lines: readonly string[], sets: readonly Operands[]): Readonly<Record<string, number>> => Object.fromEntries(
    engines.slice(1).map((e) => {
      e.slow.clear();
      run(e, loopOf(lines.map((line): Variant => ({ line, result: row.writesRd ? 'x' : 'f' }))), tableOf(sets), sets.length, 0);
      return [e.name, e.slow.get(row.name) ?? 0] as const;
    }).filter(([, n]) => n > 0));
  const usualModes = (row: Instruction): string[] => variantsOf(row).map(({ line }) => line).filter((line) => !/,(rtz|rdn|rup|rmm|dyn)$/.test(line) || (/,rtz/.test(line) && row.writesRd));

  test('where NX is raised, by any instruction', () => {
    for (const row of rows) {
      const random = new Prng(seed, `ordinary ${row.name}`);
      const f = formatOf(row);
      const sets = Array.from({ length: 100 }, (): Operands => {
        const [a, b, c] = [0, 1, 2].map(() => ordinary(random, f)) as [bigint, bigint, bigint];
        const positive = row.name.startsWith('fsqrt') || row.name.startsWith('fcvt.wu') || row.name.startsWith('fcvt.lu');
        return { a: positive ? f.of(Math.abs(f.value(a))) : a, b, c, x: BigInt(random.next32()), fcsr: FFlag.NX };
      });
      expect(givenUp(row, usualModes(row), sets), row.name).toEqual({});
    }
  });
  test('where it is not, by what is plainly exact', () => {
    for (const row of rows) {
      const random = new Prng(seed, `exact ${row.name}`);
      const f = formatOf(row);
      const small = (): number => (1 + random.below(2000)) * 2 ** (random.below(9) - 4);
      const sets = Array.from({ length: 100 }, (): Operands => {
        const [a, b, c] = [small(), small(), small()];
        const isRoot = row.name.startsWith('fsqrt');
        return { a: f.of(isRoot ? a * a : row.name.startsWith('fdiv') ? a * b : a), b: f.of(b), c: f.of(c), x: BigInt(random.below(1 << 24)), fcsr: 0 };
      });
      expect(givenUp(row, usualModes(row).slice(0, 1), sets), row.name).toEqual({});
    }
  });
});
