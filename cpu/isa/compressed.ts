// The 16-bit forms of RV64C: each is expanded to the instruction it stands for, so that nothing behind the decoder knows them.
// Unprivileged spec, "C" extension, RV64 column, with F and D; without Zcb. Reserved forms are
// illegal; HINTs expand to instructions that write x0 or change nothing.
import { ILLEGAL, opOf } from './table.ts';

/** An instruction and its operands; what it has none of is zero. */
export interface Expanded {
  /** Index into INSTRUCTIONS, or ILLEGAL. */
  readonly op: number;
  readonly rd: number;
  readonly rs1: number;
  readonly rs2: number;
  readonly imm: number;
}
type Given = Partial<Omit<Expanded, 'op'>>;
const RESERVED: Expanded = { op: ILLEGAL, rd: 0, rs1: 0, rs2: 0, imm: 0 };

/** Makes one instruction's. Looked up once, at load. */
function builder(name: string): (given: Given) => Expanded {
  const op = opOf(name);
  return ({ rd = 0, rs1 = 0, rs2 = 0, imm = 0 }) => ({ op, rd, rs1, rs2, imm });
}
const addi = builder('addi'), addiw = builder('addiw'), lui = builder('lui'), andi = builder('andi');
const slli = builder('slli'), srli = builder('srli'), srai = builder('srai');
const add = builder('add'), sub = builder('sub'), xor = builder('xor'), or = builder('or'), and = builder('and');
const subw = builder('subw'), addw = builder('addw');
const lw = builder('lw'), ld = builder('ld'), fld = builder('fld');
const sw = builder('sw'), sd = builder('sd'), fsd = builder('fsd');
const jal = builder('jal'), jalr = builder('jalr'), beq = builder('beq'), bne = builder('bne'), ebreak = builder('ebreak');

const SP = 2;
const RA = 1;

/** `count` bits of a form from `at` upwards, put at bit `to`. Immediates are sums of such pieces. */
const piece = (form: number, at: number, count: number, to: number): number => ((form >>> at) & ((1 << count) - 1)) << to;

/** imm[5] at bit 12, imm[4:0] at 6:2, signed. */
const imm6 = (f: number): number => (((f << 19) >> 31) << 5) | piece(f, 2, 5, 0);
const shift6 = (f: number): number => piece(f, 12, 1, 5) | piece(f, 2, 5, 0);
const offset4 = (f: number): number => piece(f, 10, 3, 3) | piece(f, 6, 1, 2) | piece(f, 5, 1, 6);
const offset8 = (f: number): number => piece(f, 10, 3, 3) | piece(f, 5, 2, 6);
const spLoad4 = (f: number): number => piece(f, 12, 1, 5) | piece(f, 4, 3, 2) | piece(f, 2, 2, 6);
const spLoad8 = (f: number): number => piece(f, 12, 1, 5) | piece(f, 5, 2, 3) | piece(f, 2, 3, 6);
const spStore4 = (f: number): number => piece(f, 9, 4, 2) | piece(f, 7, 2, 6);
const spStore8 = (f: number): number => piece(f, 10, 3, 3) | piece(f, 7, 3, 6);
const spAdd4 = (f: number): number => piece(f, 11, 2, 4) | piece(f, 7, 4, 6) | piece(f, 6, 1, 2) | piece(f, 5, 1, 3);
const spAdd16 = (f: number): number => (((f << 19) >> 31) << 9) | piece(f, 6, 1, 4) | piece(f, 5, 1, 6) | piece(f, 3, 2, 7) | piece(f, 2, 1, 5);
const jump = (f: number): number => (((f << 19) >> 31) << 11) | piece(f, 11, 1, 4) | piece(f, 9, 2, 8) | piece(f, 8, 1, 10)
  | piece(f, 7, 1, 6) | piece(f, 6, 1, 7) | piece(f, 3, 3, 1) | piece(f, 2, 1, 5);
const branch = (f: number): number => (((f << 19) >> 31) << 8) | piece(f, 10, 2, 3) | piece(f, 5, 2, 6) | piece(f, 3, 2, 1) | piece(f, 2, 1, 5);

/** What a 16-bit form stands for; reserved ones are ILLEGAL. */
export function expand(form: number): Expanded {
  const rd = piece(form, 7, 5, 0);
  const rs2 = piece(form, 2, 5, 0);
  const low = piece(form, 2, 3, 0) + 8;   // the primed register of bits 4:2
  const high = piece(form, 7, 3, 0) + 8;  // the primed register of bits 9:7
  switch (((form & 3) << 3) | (form >>> 13)) {
    // Quadrant 0
    case 0o00: return spAdd4(form) === 0 ? RESERVED : addi({ rd: low, rs1: SP, imm: spAdd4(form) });
    case 0o01: return fld({ rd: low, rs1: high, imm: offset8(form) });
    case 0o02: return lw({ rd: low, rs1: high, imm: offset4(form) });
    case 0o03: return ld({ rd: low, rs1: high, imm: offset8(form) });
    case 0o05: return fsd({ rs2: low, rs1: high, imm: offset8(form) });
    case 0o06: return sw({ rs2: low, rs1: high, imm: offset4(form) });
    case 0o07: return sd({ rs2: low, rs1: high, imm: offset8(form) });
    // Quadrant 1
    case 0o10: return addi({ rd, rs1: rd, imm: imm6(form) });
    case 0o11: return rd === 0 ? RESERVED : addiw({ rd, rs1: rd, imm: imm6(form) });
    case 0o12: return addi({ rd, rs1: 0, imm: imm6(form) });
    case 0o13:
      if (imm6(form) === 0) return RESERVED;
      return rd === SP ? addi({ rd, rs1: SP, imm: spAdd16(form) }) : lui({ rd, imm: imm6(form) << 12 });
    case 0o14: return arithmetic(form, high, low);
    case 0o15: return jal({ rd: 0, imm: jump(form) });
    case 0o16: return beq({ rs1: high, rs2: 0, imm: branch(form) });
    case 0o17: return bne({ rs1: high, rs2: 0, imm: branch(form) });
    // Quadrant 2
    case 0o20: return slli({ rd, rs1: rd, imm: shift6(form) });
    case 0o21: return fld({ rd, rs1: SP, imm: spLoad8(form) });
    case 0o22: return rd === 0 ? RESERVED : lw({ rd, rs1: SP, imm: spLoad4(form) });
    case 0o23: return rd === 0 ? RESERVED : ld({ rd, rs1: SP, imm: spLoad8(form) });
    case 0o24: return jumpMoveAdd(form, rd, rs2);
    case 0o25: return fsd({ rs2, rs1: SP, imm: spStore8(form) });
    case 0o26: return sw({ rs2, rs1: SP, imm: spStore4(form) });
    case 0o27: return sd({ rs2, rs1: SP, imm: spStore8(form) });
    default: return RESERVED;
  }
}

/** c.srli, c.srai, c.andi and the register-register forms. */
function arithmetic(form: number, rd: number, rs2: number): Expanded {
  switch (piece(form, 10, 2, 0)) {
    case 0: return srli({ rd, rs1: rd, imm: shift6(form) });
    case 1: return srai({ rd, rs1: rd, imm: shift6(form) });
    case 2: return andi({ rd, rs1: rd, imm: imm6(form) });
    default:
  }
  const registers = { rd, rs1: rd, rs2 };
  switch (piece(form, 12, 1, 2) | piece(form, 5, 2, 0)) {
    case 0: return sub(registers);
    case 1: return xor(registers);
    case 2: return or(registers);
    case 3: return and(registers);
    case 4: return subw(registers);
    case 5: return addw(registers);
    default: return RESERVED;
  }
}

/** c.jr, c.mv, c.ebreak, c.jalr, c.add. */
function jumpMoveAdd(form: number, rd: number, rs2: number): Expanded {
  if (piece(form, 12, 1, 0) === 0) {
    if (rs2 !== 0) return add({ rd, rs1: 0, rs2 });
    return rd === 0 ? RESERVED : jalr({ rd: 0, rs1: rd });
  }
  if (rs2 !== 0) return add({ rd, rs1: rd, rs2 });
  return rd === 0 ? ebreak({}) : jalr({ rd: RA, rs1: rd });
}
