// Decoded -> text, in binutils' manner: objdump's names, operand order and aliases (li, mv, ret, beqz, csrr ...), so that a reader can lay the
// two beside each other. Where objdump prints a symbol or a comment, this prints the bare address and nothing.
import { csrName } from '../csr.ts';
import { decode } from './decode.ts';
import type { Decoded } from './decode.ts';
import { ILLEGAL, INSTRUCTIONS, opOf } from './table.ts';

const X_NAMES = ('zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6').split(' ');
const F_NAMES = ('ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11').split(' ');
const RM_NAMES = ['rne', 'rtz', 'rdn', 'rup', 'rmm', 'unknown', 'unknown', 'dyn'];
/** ABI name of a register: 'a0' for x10, 'fa0' for f10. */
export const xName = (register: number): string => X_NAMES[register & 31]!;
export const fName = (register: number): string => F_NAMES[register & 31]!;

/** '0x1f' of a 32-bit word taken as unsigned. */
const hexWord = (n: number): string => `0x${(n >>> 0).toString(16)}`;
const address = (pc: bigint, offset: number): string => `0x${BigInt.asUintN(64, pc + BigInt(offset)).toString(16)}`;
const fenceSet = (bits: number): string => (bits === 0 ? 'unknown' : ['i', 'o', 'r', 'w'].filter((_, i) => (bits & (8 >> i)) !== 0).join(''));

/** Text of each operand letter. A rounding mode of "as frm says" is not printed. */
const letters: Readonly<Record<string, (d: Decoded, pc: bigint) => string>> = {
  d: (d) => xName(d.rd), s: (d) => xName(d.rs1), t: (d) => xName(d.rs2),
  D: (d) => fName(d.rd), S: (d) => fName(d.rs1), T: (d) => fName(d.rs2), R: (d) => fName(d.rs3),
  j: (d) => `${d.imm}`, o: (d) => `${d.imm}`, q: (d) => `${d.imm}`,
  '>': (d) => hexWord(d.imm), '<': (d) => hexWord(d.imm),
  u: (d) => hexWord((d.imm >>> 12) & 0xfffff),
  a: (d, pc) => address(pc, d.imm), p: (d, pc) => address(pc, d.imm),
  E: (d) => csrName(d.imm), Z: (d) => `${d.rs1}`, m: (d) => RM_NAMES[d.rm]!,
  P: (d) => fenceSet((d.imm >>> 4) & 15), Q: (d) => fenceSet(d.imm & 15),
  '0': () => '',
};

/** An alias: tried in order for its instruction; the first whose condition holds names the text. */
interface Alias {
  readonly when: (d: Decoded) => boolean;
  readonly name: string;
  readonly operands: string;
}
const aliasTable = new Map<number, Alias[]>();
function alias(of: string, name: string, operands: string, when: (d: Decoded) => boolean): void {
  const op = opOf(of);
  aliasTable.set(op, [...(aliasTable.get(op) ?? []), { name, operands, when }]);
}
const csr = (of: string, number: number, name: string, operands: string, when: (d: Decoded) => boolean): void =>
  alias(of, name, operands, (d) => d.imm === number && when(d));
const noRd = (d: Decoded): boolean => d.rd === 0;
const noRs1 = (d: Decoded): boolean => d.rs1 === 0;
const noRs2 = (d: Decoded): boolean => d.rs2 === 0;
const always = (): boolean => true;

alias('addi', 'nop', '', (d) => d.rd === 0 && d.rs1 === 0 && d.imm === 0);
alias('addi', 'li', 'd,j', noRs1);
alias('addi', 'mv', 'd,s', (d) => d.imm === 0 && d.length === 4);
alias('add', 'mv', 'd,t', (d) => d.length === 2 && d.rs1 === 0);
alias('andi', 'zext.b', 'd,s', (d) => d.imm === 255);
alias('xori', 'not', 'd,s', (d) => d.imm === -1);
alias('sltiu', 'seqz', 'd,s', (d) => d.imm === 1);
alias('sltu', 'snez', 'd,t', noRs1);
alias('slt', 'sltz', 'd,s', noRs2);
alias('slt', 'sgtz', 'd,t', noRs1);
alias('sub', 'neg', 'd,t', noRs1);
alias('subw', 'negw', 'd,t', noRs1);
alias('addiw', 'sext.w', 'd,s', (d) => d.imm === 0);
alias('add.uw', 'zext.w', 'd,s', noRs2);
alias('beq', 'beqz', 's,p', noRs2);
alias('bne', 'bnez', 's,p', noRs2);
alias('bge', 'blez', 't,p', noRs1);
alias('bge', 'bgez', 's,p', noRs2);
alias('blt', 'bltz', 's,p', noRs2);
alias('blt', 'bgtz', 't,p', noRs1);
alias('jal', 'j', 'a', noRd);
alias('jal', 'jal', 'a', (d) => d.rd === 1);
alias('jalr', 'ret', '', (d) => d.rd === 0 && d.rs1 === 1 && d.imm === 0);
alias('jalr', 'jr', 's', (d) => d.rd === 0 && d.imm === 0);
alias('jalr', 'jr', 'o(s)', noRd);
alias('jalr', 'jalr', 's', (d) => d.rd === 1 && d.imm === 0);
alias('jalr', 'jalr', 'o(s)', (d) => d.rd === 1);
alias('jalr', 'jalr', 'd,s', (d) => d.imm === 0);
alias('fence', 'pause', '', (d) => d.imm === 0x010 && d.rd === 0 && d.rs1 === 0);
alias('fence', 'fence.tso', '', (d) => d.imm === 0x833);
alias('fence', 'fence', '', (d) => (d.imm & 0xff) === 0xff);
alias('sfence.vma', 'sfence.vma', '', (d) => d.rs1 === 0 && d.rs2 === 0);
alias('sfence.vma', 'sfence.vma', 's', noRs2);
for (const width of ['s', 'd']) {
  alias(`fsgnj.${width}`, `fmv.${width}`, 'D,S', (d) => d.rs1 === d.rs2);
  alias(`fsgnjn.${width}`, `fneg.${width}`, 'D,S', (d) => d.rs1 === d.rs2);
  alias(`fsgnjx.${width}`, `fabs.${width}`, 'D,S', (d) => d.rs1 === d.rs2);
}
// An exact conversion has no use for a rounding mode; binutils assembles 0 and prints none.
for (const name of ['fcvt.d.s', 'fcvt.d.w', 'fcvt.d.wu']) {
  alias(name, name, INSTRUCTIONS[opOf(name)]!.operands.replace(',m', ''), (d) => d.rm === 0);
}
csr('csrrw', 0xc00, 'unimp', '', (d) => d.rd === 0 && d.rs1 === 0);
for (const [number, suffix] of [[1, 'flags'], [2, 'rm'], [3, 'csr']] as const) {
  csr('csrrs', number, `fr${suffix}`, 'd', noRs1);
  csr('csrrw', number, `fs${suffix}`, 's', noRd);
  csr('csrrw', number, `fs${suffix}`, 'd,s', always);
  if (number === 3) continue;
  csr('csrrwi', number, `fs${suffix}i`, 'Z', noRd);
  csr('csrrwi', number, `fs${suffix}i`, 'd,Z', always);
}
for (const [number, name] of [[0xc00, 'rdcycle'], [0xc01, 'rdtime'], [0xc02, 'rdinstret']] as const) csr('csrrs', number, name, 'd', noRs1);
alias('csrrs', 'csrr', 'd,E', noRs1);
for (const [letter, source, suffix] of [['w', 's', ''], ['s', 's', ''], ['c', 's', ''], ['w', 'Z', 'i'], ['s', 'Z', 'i'], ['c', 'Z', 'i']] as const) {
  alias(`csrr${letter}${suffix}`, `csr${letter}${suffix}`, `E,${source}`, noRd);
}

/** What a template with operand letters says of one instruction. */
function fill(template: string, d: Decoded, pc: bigint): string {
  const shown = template.endsWith(',m') && d.rm === 7 ? template.slice(0, -2) : template;
  return shown.replace(/[a-zA-Z0<>]/g, (letter) => letters[letter]!(d, pc));
}
const ORDERINGS = ['', '.rl', '.aq', '.aqrl'];

/** Text of a decoded instruction. @param pc its address, from which jump targets are counted */
export function show(d: Decoded, pc: bigint): string {
  if (d.op === ILLEGAL) {
    if (d.length === 2 && d.bits === 0) return 'unimp';
    return d.length === 2 ? `.2byte\t${hexWord(d.bits)}` : `.4byte\t${hexWord(d.bits)}`;
  }
  const row = INSTRUCTIONS[d.op]!;
  const named = aliasTable.get(d.op)?.find((a) => a.when(d)) ?? row;
  const name = row.extension === 'A' ? named.name + ORDERINGS[d.imm]! : named.name;
  const operands = fill(named.operands, d, pc);
  return operands === '' ? name : `${name}\t${operands}`;
}

/** Text of the instruction at `pc`. @param word its 32 bits (of a 16-bit instruction the low half counts). */
export const disassemble = (word: number, pc: bigint): string => show(decode(word), pc);
