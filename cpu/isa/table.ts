// The instruction set, one line an instruction. Decoder, assembler, disassembler, engines, debugger and random-test generators read it; nobody
// writes an encoding down a second time. Here: names, bits, operands, what an instruction does to the flow of control and to memory. Not here:
// what it computes (reference/), the 16-bit forms (compressed.ts: they stand for lines of this table).
//
// The place of a line is the instruction's op, a small dense number that engines switch on: new instructions go to the end.
import { FORMAT_MASK, Format } from './formats.ts';

/** What an instruction does beside computing, as flags. */
export const Kind = {
  /** Reads memory (an LR too). */
  Load: 1 << 0,
  /** Writes memory (an SC too). */
  Store: 1 << 1,
  /** Both, as one access of the store kind. */
  Amo: 1 << 2,
  /** Conditional jump to pc + imm. */
  Branch: 1 << 3,
  /** jal, jalr. */
  Jump: 1 << 4,
  /** Reads or writes f registers or fcsr: illegal while mstatus.FS is off. */
  Float: 1 << 5,
  /** Has a rounding mode; reserved values of it are illegal when executed. */
  Rm: 1 << 6,
  /** What stands behind it does not simply come next: jumps, traps, fences of code. (Behind a branch it may.) */
  EndsBlock: 1 << 7,
  /** CSR instruction or of the privileged architecture. */
  System: 1 << 8,
} as const;

export type Extension = 'I' | 'M' | 'A' | 'F' | 'D' | 'Zicsr' | 'Zifencei' | 'Zba' | 'Zbb' | 'Zbs' | 'Zicond' | 'S' | 'Svinval';

export interface Instruction {
  /** binutils' name: 'amoadd.w'; aq and rl are operands, not names. */
  readonly name: string;
  readonly extension: Extension;
  readonly format: Format;
  /** A word is this instruction when (word & mask) === match, both signed 32-bit. */
  readonly match: number;
  readonly mask: number;
  /** The operands as text, in binutils' letters (disasm.ts has the list): the order of assembly. */
  readonly operands: string;
  /** Kind flags. */
  readonly kind: number;
  /** Bytes that a load, store or AMO moves; 0 otherwise. */
  readonly accessBytes: number;
  readonly writesRd: boolean;
  readonly readsRs1: boolean;
  readonly readsRs2: boolean;
  readonly writesFrd: boolean;
  readonly readsFrs1: boolean;
  readonly readsFrs2: boolean;
  readonly readsFrs3: boolean;
}

const rows: Instruction[] = [];

/** One line. What is read and written follows from the operand letters: d s t are x registers, D S T R are f registers. */
function line(extension: Extension, format: Format, match: number, name: string, operands: string, kind = 0, accessBytes = 0): void {
  // In o(s), q(s), 0(s) and E the other letters are displacements and CSRs; they stand for no register.
  rows.push({
    name, extension, format, match: match | 0, mask: FORMAT_MASK[format]!, operands, accessBytes,
    kind: kind | (operands.includes('m') ? Kind.Rm : 0),
    writesRd: operands.includes('d'), readsRs1: operands.includes('s'), readsRs2: operands.includes('t'),
    writesFrd: operands.includes('D'), readsFrs1: operands.includes('S'), readsFrs2: operands.includes('T'), readsFrs3: operands.includes('R'),
  });
}

// The fixed bits, by the fields' names in the manual.
const f3 = (opcode: number, funct3: number): number => opcode | (funct3 << 12);
const f7 = (opcode: number, funct3: number, funct7: number): number => opcode | (funct3 << 12) | (funct7 << 25);
const f6 = (opcode: number, funct3: number, funct6: number): number => opcode | (funct3 << 12) | (funct6 << 26);
const f12 = (opcode: number, funct3: number, funct12: number): number => opcode | (funct3 << 12) | (funct12 << 20);
const amo = (funct5: number, funct3: number): number => 0x2f | (funct3 << 12) | (funct5 << 27);
const fp = (funct5: number, fmt: number, rs2 = 0, rm = 0): number => 0x53 | (rm << 12) | (rs2 << 20) | (fmt << 25) | (funct5 << 27);

const { R, I, S, B, U, J, Shift6, Shift5, Unary, R4, RRm, UnaryRm, Amo, Lr, Csr, Fence, Sfence, Fixed } = Format;
const { Load, Store, Branch, Jump, Float, EndsBlock, System } = Kind;

// RV64I: computing
line('I', U, 0x37, 'lui', 'd,u');
line('I', U, 0x17, 'auipc', 'd,u');
line('I', I, f3(0x13, 0), 'addi', 'd,s,j');
line('I', I, f3(0x13, 2), 'slti', 'd,s,j');
line('I', I, f3(0x13, 3), 'sltiu', 'd,s,j');
line('I', I, f3(0x13, 4), 'xori', 'd,s,j');
line('I', I, f3(0x13, 6), 'ori', 'd,s,j');
line('I', I, f3(0x13, 7), 'andi', 'd,s,j');
line('I', Shift6, f6(0x13, 1, 0x00), 'slli', 'd,s,>');
line('I', Shift6, f6(0x13, 5, 0x00), 'srli', 'd,s,>');
line('I', Shift6, f6(0x13, 5, 0x10), 'srai', 'd,s,>');
line('I', R, f7(0x33, 0, 0x00), 'add', 'd,s,t');
line('I', R, f7(0x33, 0, 0x20), 'sub', 'd,s,t');
line('I', R, f7(0x33, 1, 0x00), 'sll', 'd,s,t');
line('I', R, f7(0x33, 2, 0x00), 'slt', 'd,s,t');
line('I', R, f7(0x33, 3, 0x00), 'sltu', 'd,s,t');
line('I', R, f7(0x33, 4, 0x00), 'xor', 'd,s,t');
line('I', R, f7(0x33, 5, 0x00), 'srl', 'd,s,t');
line('I', R, f7(0x33, 5, 0x20), 'sra', 'd,s,t');
line('I', R, f7(0x33, 6, 0x00), 'or', 'd,s,t');
line('I', R, f7(0x33, 7, 0x00), 'and', 'd,s,t');
line('I', I, f3(0x1b, 0), 'addiw', 'd,s,j');
line('I', Shift5, f7(0x1b, 1, 0x00), 'slliw', 'd,s,<');
line('I', Shift5, f7(0x1b, 5, 0x00), 'srliw', 'd,s,<');
line('I', Shift5, f7(0x1b, 5, 0x20), 'sraiw', 'd,s,<');
line('I', R, f7(0x3b, 0, 0x00), 'addw', 'd,s,t');
line('I', R, f7(0x3b, 0, 0x20), 'subw', 'd,s,t');
line('I', R, f7(0x3b, 1, 0x00), 'sllw', 'd,s,t');
line('I', R, f7(0x3b, 5, 0x00), 'srlw', 'd,s,t');
line('I', R, f7(0x3b, 5, 0x20), 'sraw', 'd,s,t');
// RV64I: memory
line('I', I, f3(0x03, 0), 'lb', 'd,o(s)', Load, 1);
line('I', I, f3(0x03, 1), 'lh', 'd,o(s)', Load, 2);
line('I', I, f3(0x03, 2), 'lw', 'd,o(s)', Load, 4);
line('I', I, f3(0x03, 3), 'ld', 'd,o(s)', Load, 8);
line('I', I, f3(0x03, 4), 'lbu', 'd,o(s)', Load, 1);
line('I', I, f3(0x03, 5), 'lhu', 'd,o(s)', Load, 2);
line('I', I, f3(0x03, 6), 'lwu', 'd,o(s)', Load, 4);
line('I', S, f3(0x23, 0), 'sb', 't,q(s)', Store, 1);
line('I', S, f3(0x23, 1), 'sh', 't,q(s)', Store, 2);
line('I', S, f3(0x23, 2), 'sw', 't,q(s)', Store, 4);
line('I', S, f3(0x23, 3), 'sd', 't,q(s)', Store, 8);
// RV64I: control
line('I', B, f3(0x63, 0), 'beq', 's,t,p', Branch);
line('I', B, f3(0x63, 1), 'bne', 's,t,p', Branch);
line('I', B, f3(0x63, 4), 'blt', 's,t,p', Branch);
line('I', B, f3(0x63, 5), 'bge', 's,t,p', Branch);
line('I', B, f3(0x63, 6), 'bltu', 's,t,p', Branch);
line('I', B, f3(0x63, 7), 'bgeu', 's,t,p', Branch);
line('I', J, 0x6f, 'jal', 'd,a', Jump | EndsBlock);
line('I', I, f3(0x67, 0), 'jalr', 'd,o(s)', Jump | EndsBlock);
line('I', Fence, f3(0x0f, 0), 'fence', 'P,Q');
line('I', Fixed, 0x00000073, 'ecall', '', System | EndsBlock);
line('I', Fixed, 0x00100073, 'ebreak', '', System | EndsBlock);
// M
line('M', R, f7(0x33, 0, 0x01), 'mul', 'd,s,t');
line('M', R, f7(0x33, 1, 0x01), 'mulh', 'd,s,t');
line('M', R, f7(0x33, 2, 0x01), 'mulhsu', 'd,s,t');
line('M', R, f7(0x33, 3, 0x01), 'mulhu', 'd,s,t');
line('M', R, f7(0x33, 4, 0x01), 'div', 'd,s,t');
line('M', R, f7(0x33, 5, 0x01), 'divu', 'd,s,t');
line('M', R, f7(0x33, 6, 0x01), 'rem', 'd,s,t');
line('M', R, f7(0x33, 7, 0x01), 'remu', 'd,s,t');
line('M', R, f7(0x3b, 0, 0x01), 'mulw', 'd,s,t');
line('M', R, f7(0x3b, 4, 0x01), 'divw', 'd,s,t');
line('M', R, f7(0x3b, 5, 0x01), 'divuw', 'd,s,t');
line('M', R, f7(0x3b, 6, 0x01), 'remw', 'd,s,t');
line('M', R, f7(0x3b, 7, 0x01), 'remuw', 'd,s,t');
// Zba
line('Zba', R, f7(0x33, 2, 0x10), 'sh1add', 'd,s,t');
line('Zba', R, f7(0x33, 4, 0x10), 'sh2add', 'd,s,t');
line('Zba', R, f7(0x33, 6, 0x10), 'sh3add', 'd,s,t');
line('Zba', R, f7(0x3b, 0, 0x04), 'add.uw', 'd,s,t');
line('Zba', R, f7(0x3b, 2, 0x10), 'sh1add.uw', 'd,s,t');
line('Zba', R, f7(0x3b, 4, 0x10), 'sh2add.uw', 'd,s,t');
line('Zba', R, f7(0x3b, 6, 0x10), 'sh3add.uw', 'd,s,t');
line('Zba', Shift6, f6(0x1b, 1, 0x02), 'slli.uw', 'd,s,>');
// Zbb
line('Zbb', R, f7(0x33, 7, 0x20), 'andn', 'd,s,t');
line('Zbb', R, f7(0x33, 6, 0x20), 'orn', 'd,s,t');
line('Zbb', R, f7(0x33, 4, 0x20), 'xnor', 'd,s,t');
line('Zbb', Unary, f12(0x13, 1, 0x600), 'clz', 'd,s');
line('Zbb', Unary, f12(0x13, 1, 0x601), 'ctz', 'd,s');
line('Zbb', Unary, f12(0x13, 1, 0x602), 'cpop', 'd,s');
line('Zbb', Unary, f12(0x1b, 1, 0x600), 'clzw', 'd,s');
line('Zbb', Unary, f12(0x1b, 1, 0x601), 'ctzw', 'd,s');
line('Zbb', Unary, f12(0x1b, 1, 0x602), 'cpopw', 'd,s');
line('Zbb', R, f7(0x33, 4, 0x05), 'min', 'd,s,t');
line('Zbb', R, f7(0x33, 5, 0x05), 'minu', 'd,s,t');
line('Zbb', R, f7(0x33, 6, 0x05), 'max', 'd,s,t');
line('Zbb', R, f7(0x33, 7, 0x05), 'maxu', 'd,s,t');
line('Zbb', Unary, f12(0x13, 1, 0x604), 'sext.b', 'd,s');
line('Zbb', Unary, f12(0x13, 1, 0x605), 'sext.h', 'd,s');
line('Zbb', Unary, f12(0x3b, 4, 0x080), 'zext.h', 'd,s');
line('Zbb', R, f7(0x33, 1, 0x30), 'rol', 'd,s,t');
line('Zbb', R, f7(0x33, 5, 0x30), 'ror', 'd,s,t');
line('Zbb', R, f7(0x3b, 1, 0x30), 'rolw', 'd,s,t');
line('Zbb', R, f7(0x3b, 5, 0x30), 'rorw', 'd,s,t');
line('Zbb', Shift6, f6(0x13, 5, 0x18), 'rori', 'd,s,>');
line('Zbb', Shift5, f7(0x1b, 5, 0x30), 'roriw', 'd,s,<');
line('Zbb', Unary, f12(0x13, 5, 0x287), 'orc.b', 'd,s');
line('Zbb', Unary, f12(0x13, 5, 0x6b8), 'rev8', 'd,s');
// Zbs
line('Zbs', R, f7(0x33, 1, 0x24), 'bclr', 'd,s,t');
line('Zbs', R, f7(0x33, 5, 0x24), 'bext', 'd,s,t');
line('Zbs', R, f7(0x33, 1, 0x34), 'binv', 'd,s,t');
line('Zbs', R, f7(0x33, 1, 0x14), 'bset', 'd,s,t');
line('Zbs', Shift6, f6(0x13, 1, 0x12), 'bclri', 'd,s,>');
line('Zbs', Shift6, f6(0x13, 5, 0x12), 'bexti', 'd,s,>');
line('Zbs', Shift6, f6(0x13, 1, 0x1a), 'binvi', 'd,s,>');
line('Zbs', Shift6, f6(0x13, 1, 0x0a), 'bseti', 'd,s,>');
// Zicond
line('Zicond', R, f7(0x33, 5, 0x07), 'czero.eqz', 'd,s,t');
line('Zicond', R, f7(0x33, 7, 0x07), 'czero.nez', 'd,s,t');
// A
line('A', Lr, amo(0x02, 2), 'lr.w', 'd,0(s)', Load, 4);
line('A', Amo, amo(0x03, 2), 'sc.w', 'd,t,0(s)', Store, 4);
line('A', Amo, amo(0x01, 2), 'amoswap.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x00, 2), 'amoadd.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x04, 2), 'amoxor.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x0c, 2), 'amoand.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x08, 2), 'amoor.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x10, 2), 'amomin.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x14, 2), 'amomax.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x18, 2), 'amominu.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Amo, amo(0x1c, 2), 'amomaxu.w', 'd,t,0(s)', Kind.Amo, 4);
line('A', Lr, amo(0x02, 3), 'lr.d', 'd,0(s)', Load, 8);
line('A', Amo, amo(0x03, 3), 'sc.d', 'd,t,0(s)', Store, 8);
line('A', Amo, amo(0x01, 3), 'amoswap.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x00, 3), 'amoadd.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x04, 3), 'amoxor.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x0c, 3), 'amoand.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x08, 3), 'amoor.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x10, 3), 'amomin.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x14, 3), 'amomax.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x18, 3), 'amominu.d', 'd,t,0(s)', Kind.Amo, 8);
line('A', Amo, amo(0x1c, 3), 'amomaxu.d', 'd,t,0(s)', Kind.Amo, 8);
// F
line('F', I, f3(0x07, 2), 'flw', 'D,o(s)', Load | Float, 4);
line('F', S, f3(0x27, 2), 'fsw', 'T,q(s)', Store | Float, 4);
line('F', R4, 0x43, 'fmadd.s', 'D,S,T,R,m', Float);
line('F', R4, 0x47, 'fmsub.s', 'D,S,T,R,m', Float);
line('F', R4, 0x4b, 'fnmsub.s', 'D,S,T,R,m', Float);
line('F', R4, 0x4f, 'fnmadd.s', 'D,S,T,R,m', Float);
line('F', RRm, fp(0x00, 0), 'fadd.s', 'D,S,T,m', Float);
line('F', RRm, fp(0x01, 0), 'fsub.s', 'D,S,T,m', Float);
line('F', RRm, fp(0x02, 0), 'fmul.s', 'D,S,T,m', Float);
line('F', RRm, fp(0x03, 0), 'fdiv.s', 'D,S,T,m', Float);
line('F', UnaryRm, fp(0x0b, 0), 'fsqrt.s', 'D,S,m', Float);
line('F', R, fp(0x04, 0, 0, 0), 'fsgnj.s', 'D,S,T', Float);
line('F', R, fp(0x04, 0, 0, 1), 'fsgnjn.s', 'D,S,T', Float);
line('F', R, fp(0x04, 0, 0, 2), 'fsgnjx.s', 'D,S,T', Float);
line('F', R, fp(0x05, 0, 0, 0), 'fmin.s', 'D,S,T', Float);
line('F', R, fp(0x05, 0, 0, 1), 'fmax.s', 'D,S,T', Float);
line('F', R, fp(0x14, 0, 0, 2), 'feq.s', 'd,S,T', Float);
line('F', R, fp(0x14, 0, 0, 1), 'flt.s', 'd,S,T', Float);
line('F', R, fp(0x14, 0, 0, 0), 'fle.s', 'd,S,T', Float);
line('F', Unary, fp(0x1c, 0, 0, 1), 'fclass.s', 'd,S', Float);
line('F', Unary, fp(0x1c, 0, 0, 0), 'fmv.x.w', 'd,S', Float);
line('F', Unary, fp(0x1e, 0, 0, 0), 'fmv.w.x', 'D,s', Float);
line('F', UnaryRm, fp(0x18, 0, 0), 'fcvt.w.s', 'd,S,m', Float);
line('F', UnaryRm, fp(0x18, 0, 1), 'fcvt.wu.s', 'd,S,m', Float);
line('F', UnaryRm, fp(0x18, 0, 2), 'fcvt.l.s', 'd,S,m', Float);
line('F', UnaryRm, fp(0x18, 0, 3), 'fcvt.lu.s', 'd,S,m', Float);
line('F', UnaryRm, fp(0x1a, 0, 0), 'fcvt.s.w', 'D,s,m', Float);
line('F', UnaryRm, fp(0x1a, 0, 1), 'fcvt.s.wu', 'D,s,m', Float);
line('F', UnaryRm, fp(0x1a, 0, 2), 'fcvt.s.l', 'D,s,m', Float);
line('F', UnaryRm, fp(0x1a, 0, 3), 'fcvt.s.lu', 'D,s,m', Float);
// D
line('D', I, f3(0x07, 3), 'fld', 'D,o(s)', Load | Float, 8);
line('D', S, f3(0x27, 3), 'fsd', 'T,q(s)', Store | Float, 8);
line('D', R4, 0x02000043, 'fmadd.d', 'D,S,T,R,m', Float);
line('D', R4, 0x02000047, 'fmsub.d', 'D,S,T,R,m', Float);
line('D', R4, 0x0200004b, 'fnmsub.d', 'D,S,T,R,m', Float);
line('D', R4, 0x0200004f, 'fnmadd.d', 'D,S,T,R,m', Float);
line('D', RRm, fp(0x00, 1), 'fadd.d', 'D,S,T,m', Float);
line('D', RRm, fp(0x01, 1), 'fsub.d', 'D,S,T,m', Float);
line('D', RRm, fp(0x02, 1), 'fmul.d', 'D,S,T,m', Float);
line('D', RRm, fp(0x03, 1), 'fdiv.d', 'D,S,T,m', Float);
line('D', UnaryRm, fp(0x0b, 1), 'fsqrt.d', 'D,S,m', Float);
line('D', R, fp(0x04, 1, 0, 0), 'fsgnj.d', 'D,S,T', Float);
line('D', R, fp(0x04, 1, 0, 1), 'fsgnjn.d', 'D,S,T', Float);
line('D', R, fp(0x04, 1, 0, 2), 'fsgnjx.d', 'D,S,T', Float);
line('D', R, fp(0x05, 1, 0, 0), 'fmin.d', 'D,S,T', Float);
line('D', R, fp(0x05, 1, 0, 1), 'fmax.d', 'D,S,T', Float);
line('D', R, fp(0x14, 1, 0, 2), 'feq.d', 'd,S,T', Float);
line('D', R, fp(0x14, 1, 0, 1), 'flt.d', 'd,S,T', Float);
line('D', R, fp(0x14, 1, 0, 0), 'fle.d', 'd,S,T', Float);
line('D', Unary, fp(0x1c, 1, 0, 1), 'fclass.d', 'd,S', Float);
line('D', Unary, fp(0x1c, 1, 0, 0), 'fmv.x.d', 'd,S', Float);
line('D', Unary, fp(0x1e, 1, 0, 0), 'fmv.d.x', 'D,s', Float);
line('D', UnaryRm, fp(0x08, 0, 1), 'fcvt.s.d', 'D,S,m', Float);
line('D', UnaryRm, fp(0x08, 1, 0), 'fcvt.d.s', 'D,S,m', Float);
line('D', UnaryRm, fp(0x18, 1, 0), 'fcvt.w.d', 'd,S,m', Float);
line('D', UnaryRm, fp(0x18, 1, 1), 'fcvt.wu.d', 'd,S,m', Float);
line('D', UnaryRm, fp(0x18, 1, 2), 'fcvt.l.d', 'd,S,m', Float);
line('D', UnaryRm, fp(0x18, 1, 3), 'fcvt.lu.d', 'd,S,m', Float);
line('D', UnaryRm, fp(0x1a, 1, 0), 'fcvt.d.w', 'D,s,m', Float);
line('D', UnaryRm, fp(0x1a, 1, 1), 'fcvt.d.wu', 'D,s,m', Float);
line('D', UnaryRm, fp(0x1a, 1, 2), 'fcvt.d.l', 'D,s,m', Float);
line('D', UnaryRm, fp(0x1a, 1, 3), 'fcvt.d.lu', 'D,s,m', Float);
// Zicsr (Zicntr and the fcsr are CSRs: csr.ts), Zifencei
line('Zicsr', Csr, f3(0x73, 1), 'csrrw', 'd,E,s', System);
line('Zicsr', Csr, f3(0x73, 2), 'csrrs', 'd,E,s', System);
line('Zicsr', Csr, f3(0x73, 3), 'csrrc', 'd,E,s', System);
line('Zicsr', Csr, f3(0x73, 5), 'csrrwi', 'd,E,Z', System);
line('Zicsr', Csr, f3(0x73, 6), 'csrrsi', 'd,E,Z', System);
line('Zicsr', Csr, f3(0x73, 7), 'csrrci', 'd,E,Z', System);
line('Zifencei', Fence, f3(0x0f, 1), 'fence.i', '', EndsBlock);
// Supervisor and machine level: decoded, illegal in U mode
line('S', Fixed, 0x10200073, 'sret', '', System | EndsBlock);
line('S', Fixed, 0x30200073, 'mret', '', System | EndsBlock);
line('S', Fixed, 0x10500073, 'wfi', '', System | EndsBlock);
line('S', Sfence, f7(0x73, 0, 0x09), 'sfence.vma', 's,t', System | EndsBlock);
line('Svinval', Sfence, f7(0x73, 0, 0x0b), 'sinval.vma', 's,t', System | EndsBlock);
line('Svinval', Fixed, 0x18000073, 'sfence.w.inval', '', System | EndsBlock);
line('Svinval', Fixed, 0x18100073, 'sfence.inval.ir', '', System | EndsBlock);

/** Every instruction, in the order of its op. */
export const INSTRUCTIONS: readonly Instruction[] = rows;
/** The op that no instruction has: what decoding an illegal word answers. */
export const ILLEGAL: number = rows.length;

const ops = new Map(rows.map((row, op) => [row.name, op]));
/** The op of a name. @returns ILLEGAL for a name that is no instruction's. */
export const opOf = (name: string): number => ops.get(name) ?? ILLEGAL;
