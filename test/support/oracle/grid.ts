// Every computing instruction on a dense grid of corner operands: one program per instruction. It walks a table of operands, does the instruction
// on each, and stores the result and fcsr; of an AMO, what it left in memory. Floating point goes through every rounding mode, with fflags cleared
// and with NX standing, as loops meet it; an immediate through some corners. Here: operands and program. What it should leave is asked of qemu.
import { Format, INSTRUCTIONS, Kind, encode } from '#cpu';
import type { Instruction } from '#cpu';
import { Prng, StateHash } from '#base';
import { Assembly, DATA, finishProgram } from './program.ts';
import type { Program } from './program.ts';
import { DOUBLE_CORNERS, INTEGER_CORNERS, SINGLE_CORNERS, WHOLE_CORNERS, bitsOfDouble, bitsOfSingle, boxed, floatValue, integerValue } from './values.ts';

/** What this file covers: not loads and stores, control, CSRs, fences; not lui and auipc, which have no operands; not what qemu 7.2 lacks or
 *  gets wrong (oracle-sequences.test.ts has those by hand). */
export const gridInstructions: readonly Instruction[] = INSTRUCTIONS.filter((row) =>
  (row.kind & ~(Kind.Float | Kind.Rm | Kind.Amo)) === 0 && row.format !== Format.Fence && row.format !== Format.U
  && row.extension !== 'Zicond' && row.name !== 'ctzw');

/** One pass over the operands. */
interface Variant { readonly name: string; readonly rm: number; readonly imm: number; readonly fcsr: number }
const MODES = ['rne', 'rtz', 'rdn', 'rup', 'rmm'] as const;
const immediates: Readonly<Partial<Record<Format, readonly number[]>>> = {
  [Format.I]: [0, 1, -1, 5, 255, 2047, -2048], [Format.Shift6]: [0, 1, 7, 31, 32, 33, 63], [Format.Shift5]: [0, 1, 7, 30, 31],
};
function variantsOf(row: Instruction): Variant[] {
  const plain = { rm: 0, imm: 0, fcsr: 0 };
  if ((row.kind & Kind.Rm) === 0) return (immediates[row.format] ?? [0]).map((imm) => ({ ...plain, name: `imm ${imm}`, imm }));
  return [
    ...MODES.map((name, rm) => ({ ...plain, name, rm })),
    { ...plain, name: 'rne, NX set', fcsr: 1 },
    ...MODES.map((name, rm) => ({ ...plain, name: `dyn ${name}`, rm: 7, fcsr: (rm << 5) | 1 })).slice(1),
  ];
}

const ENTRY_BYTES = 32;
const RESULT_BYTES = 16;
/** Where an AMO works: behind the tables. */
const CELL_BYTES = 16;
const S0 = 8, S1 = 9, S2 = 18, S3 = 19;

export interface Grid {
  readonly program: Program;
  readonly variants: readonly string[];
  readonly nrOperands: number;
  /** Byte offset of the results in the data: variant by variant, operand by operand, 16 bytes each (result, fcsr or memory). */
  readonly resultsAt: number;
}

/** The program of one instruction. Operands and results lie in its data. */
export function gridOf(row: Instruction): Grid {
  const operands = operandsOf(row);
  const variants = variantsOf(row);
  const resultsAt = operands.length * ENTRY_BYTES;
  const cellAt = resultsAt + variants.length * operands.length * RESULT_BYTES;
  const data = new Uint8Array(cellAt + CELL_BYTES);
  const isAmo = (row.kind & Kind.Amo) !== 0;
  const view = new DataView(data.buffer);
  operands.forEach((entry, i) => entry.forEach((bits, j) => view.setBigUint64(i * ENTRY_BYTES + j * 8, bits, true)));

  const assembly = new Assembly();
  assembly.li(S2, DATA + resultsAt);
  assembly.li(S3, DATA + cellAt);
  for (const { rm, imm, fcsr } of variants) {
    assembly.li(S0, DATA);
    assembly.li(S1, DATA + resultsAt);
    const loop = assembly.here;
    for (let r = 1; r <= 3; r++) assembly.emit('fld', { rd: r, rs1: S0, imm: 8 * (r - 1) });
    assembly.emit('ld', { rd: 11, rs1: S0, imm: 0 });
    assembly.emit('ld', { rd: 12, rs1: S0, imm: 8 });
    assembly.emit('addi', { rd: 13, rs1: 0, imm: fcsr });
    assembly.emit('csrrw', { rd: 0, imm: 3, rs1: 13 });
    if (isAmo) assembly.emit('sd', { rs2: 11, rs1: S3, imm: 0 });
    const rs1 = isAmo ? S3 : row.readsRs1 ? 11 : 1;
    assembly.word(encode(row.name, { rd: 10, rs1, rs2: row.readsRs2 ? 12 : 2, rs3: 3, rm, imm }), 4);
    if (isAmo) assembly.emit('ld', { rd: 13, rs1: S3, imm: 0 });
    else assembly.emit('csrrs', { rd: 13, imm: 3, rs1: 0 });
    assembly.emit(row.writesRd ? 'sd' : 'fsd', { rs2: 10, rs1: S2, imm: 0 });
    assembly.emit('sd', { rs2: 13, rs1: S2, imm: 8 });
    assembly.emit('addi', { rd: S0, rs1: S0, imm: ENTRY_BYTES });
    assembly.emit('addi', { rd: S2, rs1: S2, imm: RESULT_BYTES });
    assembly.emit('bltu', { rs1: S0, rs2: S1, imm: loop - assembly.here });
  }
  return { program: finishProgram(assembly, data), variants: variants.map(({ name }) => name), nrOperands: operands.length, resultsAt };
}

/** One hash a variant, in their order. */
export function hashesOf(grid: Grid, data: Uint8Array): string[] {
  return grid.variants.map((_name, v) => {
    const at = grid.resultsAt + v * grid.nrOperands * RESULT_BYTES;
    const hash = new StateHash();
    hash.int32s(new Int32Array(data.slice(at, at + grid.nrOperands * RESULT_BYTES).buffer));
    return hash.digest();
  });
}

/** The first few cases in which two runs differ, for a person. */
export function firstDifferences(row: Instruction, grid: Grid, ours: Uint8Array, theirs: Uint8Array, atMost = 5): string[] {
  const lines: string[] = [];
  const words = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset);
  const [a, b] = [words(ours), words(theirs)];
  for (let v = 0; v < grid.variants.length; v++) {
    for (let i = 0; i < grid.nrOperands && lines.length < atMost; i++) {
      const at = grid.resultsAt + (v * grid.nrOperands + i) * RESULT_BYTES;
      const show = (view: DataView): string => `${hex(view.getBigUint64(at, true))} fcsr or memory ${hex(view.getBigUint64(at + 8, true))}`;
      const operands = [0, 8, 16].map((offset) => hex(a.getBigUint64(i * ENTRY_BYTES + offset, true))).join(' ');
      if (show(a) !== show(b)) lines.push(`${row.name} ${grid.variants[v]!} of ${operands}: ours ${show(a)}, qemu ${show(b)}`);
    }
  }
  return lines;
}
const hex = (bits: bigint): string => bits.toString(16).padStart(16, '0');

/** Three operands an entry, those that the instruction does not read being the first again. */
function operandsOf(row: Instruction): (readonly bigint[])[] {
  const random = new Prng(1, `grid ${row.name}`);
  if (row.readsRs1 && row.readsRs2) return integerPairs(random);
  if (row.readsRs1) return unary(integers(random));
  // fcvt.d.s and the like name what they read last.
  const isSingle = row.name.endsWith('.s') || row.name === 'fmv.x.w';
  const corners = isSingle ? SINGLE_CORNERS.map(boxed) : [...DOUBLE_CORNERS];
  const whole = isSingle ? WHOLE_CORNERS.map((n) => boxed(bitsOfSingle(n))) : WHOLE_CORNERS.map(bitsOfDouble);
  const broken = isSingle ? [0x3f800000n, 0xfffffffe_3f800000n] : [];
  const anything = (): bigint => anyOf(random, isSingle);
  const many = (n: number, count: number): bigint[][] => Array.from({ length: count }, () => Array.from({ length: n }, anything));
  if (!row.readsFrs2) return unary([...corners, ...whole, ...broken, ...many(1, 400).map(([a]) => a!), ...(row.name === 'fcvt.s.d' ? narrowing() : [])]);
  const all = [...corners, ...broken, ...whole.slice(0, 6)];
  if (!row.readsFrs3) return [...all.flatMap((a) => all.map((b) => [a, b, a])), ...many(2, 600).map(([a, b]) => [a!, b!, a!])];
  const few = corners.filter((_bits, i) => ![3, 7, 12, 13, 21].includes(i));
  return [
    ...few.flatMap((a) => few.flatMap((b) => few.filter((_c, k) => k % 2 === 0 || a === b).map((c) => [a, b, c]))),
    ...broken.map((a) => [a, few[0]!, few[1]!]), ...many(3, 1500),
  ];
}
const unary = (values: readonly bigint[]): bigint[][] => values.map((a) => [a, a, a]);
function anyOf(random: Prng, isSingle: boolean): bigint {
  for (;;) {
    const bits = floatValue(random);
    if ((bits >> 32n === 0xffff_ffffn) === isSingle) return bits;
  }
}
function integers(random: Prng): bigint[] {
  const values: bigint[] = [];
  // A one, and another one far below: where a significand ends.
  for (let i = 0; i < 64; i++) for (let j = 0; j <= i; j += 3) values.push(BigInt.asUintN(64, (1n << BigInt(i)) + (1n << BigInt(j)) - BigInt(i % 2)));
  for (let i = 0; i < 300; i++) values.push(integerValue(random));
  return [...values, ...values.map((n) => BigInt.asUintN(64, -n))];
}
function integerPairs(random: Prng): bigint[][] {
  const corners = INTEGER_CORNERS.map((n) => BigInt.asUintN(64, n));
  const any = Array.from({ length: 500 }, () => [integerValue(random), integerValue(random)]);
  return [...corners.flatMap((a) => corners.map((b) => [a, b])), ...any].map(([a, b]) => [a!, b!, a!]);
}
/** Doubles around the edges of single: halfway between two, near its smallest and largest. */
function narrowing(): bigint[] {
  const values: bigint[] = [];
  for (const exponent of [-150, -149, -148, -127, -126, -125, 0, 127, 128]) {
    for (const fraction of [0n, 1n, 1n << 28n, (1n << 28n) - 1n, (1n << 28n) + 1n, 3n << 28n, (1n << 52n) - 1n, (1n << 52n) - (1n << 28n), (1n << 52n) - (1n << 29n)]) {
      values.push((BigInt(exponent + 1023) << 52n) | fraction, (1n << 63n) | (BigInt(exponent + 1023) << 52n) | fraction);
    }
  }
  return values;
}
