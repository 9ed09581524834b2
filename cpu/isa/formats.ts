// Where operands and immediates sit in a 32-bit instruction word, by format. Here: one extraction and one insertion per immediate; registers
// are always at the same places. Unprivileged spec, "Base instruction formats" and "Immediate encoding variants".

/** The shape of a word: which bits name the instruction (see FORMAT_MASK) and which immediate it carries. */
export const Format = {
  /** funct7 | rs2 | rs1 | funct3 | rd */
  R: 0,
  /** imm[11:0] | rs1 | funct3 | rd */
  I: 1,
  S: 2,
  B: 3,
  U: 4,
  J: 5,
  /** shift by 6 bits: funct6 | shamt | rs1 | funct3 | rd */
  Shift6: 6,
  /** shift by 5 bits: funct7 | shamt | rs1 | funct3 | rd */
  Shift5: 7,
  /** funct12 | rs1 | funct3 | rd */
  Unary: 8,
  /** rs3 | fmt | rs2 | rs1 | rm | rd */
  R4: 9,
  /** as R, with a rounding mode in place of funct3 */
  RRm: 10,
  /** as Unary, with a rounding mode in place of funct3 */
  UnaryRm: 11,
  /** funct5 | aq | rl | rs2 | rs1 | funct3 | rd; imm is aq << 1 | rl */
  Amo: 12,
  /** as Amo, with rs2 fixed at 0 */
  Lr: 13,
  /** csr | rs1 or uimm[4:0] | funct3 | rd; imm is the CSR number */
  Csr: 14,
  /** fm | pred | succ | rs1 | funct3 | rd; imm is all twelve bits. rs1 and rd are reserved for finer fences and ignored. */
  Fence: 15,
  /** funct7 | rs2 | rs1 | 0 | 0: the fences of address translation */
  Sfence: 16,
  /** the whole word is fixed */
  Fixed: 17,
} as const;
export type Format = (typeof Format)[keyof typeof Format];

/** The bits that name the instruction, by format. */
export const FORMAT_MASK: readonly number[] = [
  0xfe00707f, 0x0000707f, 0x0000707f, 0x0000707f, 0x0000007f, 0x0000007f, 0xfc00707f, 0xfe00707f, 0xfff0707f,
  0x0600007f, 0xfe00007f, 0xfff0007f, 0xf800707f, 0xf9f0707f, 0x0000707f, 0x0000707f, 0xfe007fff, 0xffffffff,
].map((mask) => mask | 0);

const immI = (w: number): number => w >> 20;
const immS = (w: number): number => ((w >> 25) << 5) | ((w >>> 7) & 31);
const immB = (w: number): number => ((w >> 31) << 12) | ((w << 4) & 0x800) | ((w >>> 20) & 0x7e0) | ((w >>> 7) & 0x1e);
const immU = (w: number): number => w & ~0xfff;
const immJ = (w: number): number => ((w >> 31) << 20) | (w & 0xff000) | ((w >>> 9) & 0x800) | ((w >>> 20) & 0x7fe);
const none = (): number => 0;

const immediates: readonly ((word: number) => number)[] = [
  none, immI, immS, immB, immU, immJ, (w) => (w >>> 20) & 63, (w) => (w >>> 20) & 31, none,
  none, none, none, (w) => (w >>> 25) & 3, (w) => (w >>> 25) & 3, (w) => w >>> 20, (w) => w >>> 20, none, none,
];
/** The immediate of a word, sign-extended where the format's is signed. U: the value that is added or loaded, low 12 bits zero. */
export const immOf = (word: number, format: Format): number => immediates[format]!(word);

/** Operands to put into a word; absent ones are zero. */
export interface Operands {
  readonly rd?: number;
  readonly rs1?: number;
  readonly rs2?: number;
  readonly rs3?: number;
  readonly rm?: number;
  readonly imm?: number;
}

/** The bits of an immediate in their places: the inverse of immOf. The caller has checked the range. */
function placeImm(imm: number, format: Format): number {
  switch (format) {
    case Format.I: case Format.Csr: case Format.Fence: return imm << 20;
    case Format.S: return ((imm >> 5) << 25) | ((imm & 31) << 7);
    case Format.B: return ((imm >> 12) << 31) | ((imm & 0x800) >>> 4) | ((imm & 0x7e0) << 20) | ((imm & 0x1e) << 7);
    case Format.U: return imm & ~0xfff;
    case Format.J: return ((imm >> 20) << 31) | (imm & 0xff000) | ((imm & 0x800) << 9) | ((imm & 0x7fe) << 20);
    case Format.Shift6: return (imm & 63) << 20;
    case Format.Shift5: return (imm & 31) << 20;
    case Format.Amo: case Format.Lr: return (imm & 3) << 25;
    default: return 0;
  }
}

/** The word of an instruction: the fixed bits `match`, and operands in their places. What the format has no room for is dropped. */
export function placeOperands(match: number, format: Format, operands: Operands): number {
  const { rd = 0, rs1 = 0, rs2 = 0, rs3 = 0, rm = 0, imm = 0 } = operands;
  const registers = (rs3 << 27) | (rs2 << 20) | (rs1 << 15) | (rm << 12) | (rd << 7);
  return match | ((registers & ~FORMAT_MASK[format]!) & ~immediateBits(format)) | placeImm(imm, format);
}
/** Bits that the format's immediate takes. */
const immediateBits = (format: Format): number => placeImm(-1, format);
