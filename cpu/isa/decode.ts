// Word -> Decoded: which line of the table, and its operands. Here: the search, and the inverse (encode) that tests and tools assemble with.
// Not here: 16-bit forms (compressed.ts), the engines' packed records (reference/block.ts).
import { bug } from '#base';
import { expand } from './compressed.ts';
import { immOf, placeOperands } from './formats.ts';
import type { Operands } from './formats.ts';
import { ILLEGAL, INSTRUCTIONS, opOf } from './table.ts';

/** One decoded instruction. Of 32 bits register numbers are taken from their places whether or not the instruction uses them (the table tells). */
export interface Decoded {
  /** Index into INSTRUCTIONS, or ILLEGAL. */
  readonly op: number;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly rs3: number;
  /** Sign-extended; U formats with the low 12 bits zero; CSR number; shift amount; aq << 1 | rl. */
  readonly imm: number;
  /** Rounding mode, bits 14:12. */
  readonly rm: number;
  /** 2 or 4 bytes. */
  readonly length: number;
  /** The bits as fetched, 16 or 32 of them, zero-extended into a signed word: stval of an illegal instruction. */
  readonly bits: number;
}

/** What the search goes by first: opcode (bits 6:2) and funct3 (bits 14:12). */
const keyOf = (word: number): number => ((word >>> 2) & 31) | ((word >>> 7) & 0xe0);

/** Lines by key. Masks may nest, so narrower ones are tried first; a line that does not look at funct3 stands at every one. */
const byKey: readonly (readonly number[])[] = (() => {
  const lists: number[][] = Array.from({ length: 256 }, () => []);
  const widths = INSTRUCTIONS.map(({ mask }) => bitsIn(mask));
  for (const op of [...widths.keys()].sort((a, b) => widths[b]! - widths[a]!)) {
    const { mask, match } = INSTRUCTIONS[op]!;
    if ((mask & 0x7000) !== 0) lists[keyOf(match)]!.push(op);
    else for (let funct3 = 0; funct3 < 8; funct3++) lists[keyOf(match | (funct3 << 12))]!.push(op);
  }
  return lists;
})();

function bitsIn(mask: number): number {
  let n = 0;
  for (let m = mask; m !== 0; m &= m - 1) n++;
  return n;
}

/** The op of a 32-bit word, or ILLEGAL. */
function find(word: number): number {
  for (const op of byKey[keyOf(word)]!) {
    const row = INSTRUCTIONS[op]!;
    if ((word & row.mask) === row.match) return op;
  }
  return ILLEGAL;
}

/** True when these 16 bits are a whole instruction; otherwise the next 16 belong to it. */
export const isCompressed = (low16: number): boolean => (low16 & 3) !== 3;

/** What was decoded last of those words that share a place here. Programs repeat themselves: half of what is met is known. */
const MEMO_BITS = 12;
const memo: (Decoded | undefined)[] = new Array<undefined>(1 << MEMO_BITS).fill(undefined);

/** Decodes. @param word 32 bits from memory; of a 16-bit instruction only the low half is looked at. Reserved encodings are ILLEGAL. */
export function decode(word: number): Decoded {
  const bits = isCompressed(word) ? word & 0xffff : word | 0;
  const place = Math.imul(bits, 0x9e3779b1) >>> (32 - MEMO_BITS); // 2^32 / golden ratio: words that differ in few bits go apart
  const known = memo[place];
  return known !== undefined && known.bits === bits ? known : (memo[place] = decodeAnew(bits));
}
function decodeAnew(bits: number): Decoded {
  if (isCompressed(bits)) {
    const { op, rd, rs1, rs2, imm } = expand(bits);
    return { op, rd, rs1, rs2, rs3: 0, imm, rm: 0, length: 2, bits };
  }
  const op = find(bits);
  const imm = op === ILLEGAL ? 0 : immOf(bits, INSTRUCTIONS[op]!.format);
  return { op, rd: (bits >>> 7) & 31, rs1: (bits >>> 15) & 31, rs2: (bits >>> 20) & 31, rs3: bits >>> 27, imm, rm: (bits >>> 12) & 7, length: 4, bits };
}

/** The 32-bit word of an instruction by name. Operands out of range are cut to their field. */
export function encode(name: string, operands: Operands = {}): number {
  const row = INSTRUCTIONS[opOf(name)];
  if (row === undefined) return bug(`no instruction ${name}`);
  return placeOperands(row.match, row.format, operands);
}
