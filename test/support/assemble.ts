// A small assembler, read off the instruction table: 'addi a0,a1,-4', 'lw a0,8(sp)', 'amoadd.w.aq a0,a1,(a2)', 'csrrw a0,fcsr,a1'. True names
// only, no aliases; branch and jump targets are offsets from the instruction ('beq a0,a1,-8').
import { INSTRUCTIONS, csrName, encode, fName, opOf, xName } from '#cpu';
import type { Operands } from '#cpu';

const numberOf = (name: (n: number) => string) => new Map(Array.from({ length: 32 }, (_, n) => [name(n), n]));
const xNumbers = numberOf(xName);
const fNumbers = numberOf(fName);
const rmNames = ['rne', 'rtz', 'rdn', 'rup', 'rmm', '5', '6', 'dyn'];
const csrNumbers = new Map(Array.from({ length: 4096 }, (_, n) => [csrName(n), n]));
const SUFFIXES = ['', '.rl', '.aq', '.aqrl'];

function known<T>(value: T | undefined, what: string, text: string): T {
  if (value === undefined) throw new Error(`${text}: ${what}`);
  return value;
}

/** The word of one instruction. */
export function assemble(text: string): number {
  const [mnemonic = '', rest = ''] = text.trim().split(/\s+(.*)/s);
  const ordering = opOf(mnemonic) < INSTRUCTIONS.length ? 0 : Math.max(0, SUFFIXES.findIndex((s) => s !== '' && mnemonic.endsWith(s) && opOf(mnemonic.slice(0, -s.length)) < INSTRUCTIONS.length));
  const name = mnemonic.slice(0, mnemonic.length - SUFFIXES[ordering]!.length);
  const row = known(INSTRUCTIONS[opOf(name)], 'no such instruction', text);
  const template = row.operands.match(/[a-zA-Z0<>]/g) ?? [];
  const given = rest.match(/[^\s,()]+/g) ?? [];
  const operands: { -readonly [K in keyof Operands]: Operands[K] } = { imm: ordering, rm: 7 };
  if (row.extension !== 'A') operands.imm = 0;
  let next = 0;
  for (const letter of template) {
    if (letter === '0') continue;
    const word = given[next++];
    const x = (): number => known(xNumbers.get(word ?? ''), `${word} is no register`, text);
    const f = (): number => known(fNumbers.get(word ?? ''), `${word} is no f register`, text);
    if (letter === 'd') operands.rd = x();
    else if (letter === 's') operands.rs1 = x();
    else if (letter === 't') operands.rs2 = x();
    else if (letter === 'D') operands.rd = f();
    else if (letter === 'S') operands.rs1 = f();
    else if (letter === 'T') operands.rs2 = f();
    else if (letter === 'R') operands.rs3 = f();
    else if (letter === 'm') operands.rm = word === undefined ? 7 : rmNames.indexOf(word);
    else if (letter === 'E') operands.imm = csrNumbers.get(word ?? '') ?? Number(word);
    else if (letter === 'Z') operands.rs1 = Number(word);
    else if (letter === 'u') operands.imm = Number(word) << 12;
    else if (letter === 'P' || letter === 'Q') operands.imm = 0xff;
    else operands.imm = Number(word);
    if (Number.isNaN(operands.imm)) throw new Error(`${text}: ${word} is no number`);
  }
  return encode(name, operands);
}

/** Bytes of a program; a number stands for a 16-bit form. */
export function assembleAll(lines: readonly (string | number)[]): Uint8Array {
  const bytes: number[] = [];
  for (const line of lines) {
    const word = typeof line === 'number' ? line : assemble(line);
    bytes.push(word & 255, (word >>> 8) & 255);
    if (typeof line === 'string') bytes.push((word >>> 16) & 255, word >>> 24);
  }
  return Uint8Array.from(bytes);
}
