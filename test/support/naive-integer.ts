// What the integer instructions mean, said a second time: 64-bit bigints, one line each, after the manual's prose. Slow and plain.

const mask = (1n << 64n) - 1n;
const u = (v: bigint): bigint => v & mask;
const s = (v: bigint): bigint => BigInt.asIntN(64, v);
const u32 = (v: bigint): bigint => v & 0xffff_ffffn;
const s32 = (v: bigint): bigint => BigInt.asIntN(32, v);
const bits = (v: bigint, n: number): number[] => Array.from({ length: n }, (_, i) => Number((v >> BigInt(i)) & 1n));
const leading = (v: bigint, n: number): bigint => BigInt([...bits(v, n)].reverse().concat(1).indexOf(1));
const trailing = (v: bigint, n: number): bigint => BigInt([...bits(v, n), 1].indexOf(1));
const ones = (v: bigint, n: number): bigint => BigInt(bits(v, n).reduce((a, b) => a + b, 0));
const bytes = (v: bigint): bigint[] => Array.from({ length: 8 }, (_, i) => (u(v) >> BigInt(8 * i)) & 255n);
const fromBytes = (list: readonly bigint[]): bigint => list.reduceRight((n, b) => (n << 8n) | b, 0n);
const rotate = (v: bigint, n: bigint): bigint => (u(v) >> n) | (u(v) << (64n - n));
const rotateW = (v: bigint, n: bigint): bigint => s32((u32(v) >> n) | (u32(v) << (32n - n)));

/** Results of div and rem for one width. */
function divide(a: bigint, b: bigint, min: bigint): { q: bigint; r: bigint } {
  if (b === 0n) return { q: -1n, r: a };
  if (a === min && b === -1n) return { q: min, r: 0n };
  return { q: a / b, r: a % b };
}
const MIN = -(1n << 63n);
const MIN_W = -(1n << 31n);

/** By name: rd from rs1 and rs2 (or the immediate, or shift amount), signed 64-bit. Results are cut to 64 bits by the caller. */
export const naive: Readonly<Record<string, (a: bigint, b: bigint) => bigint>> = {
  addi: (a, b) => a + b, slti: (a, b) => (a < b ? 1n : 0n), sltiu: (a, b) => (u(a) < u(b) ? 1n : 0n),
  xori: (a, b) => a ^ b, ori: (a, b) => a | b, andi: (a, b) => a & b,
  slli: (a, b) => a << b, srli: (a, b) => u(a) >> b, srai: (a, b) => a >> b,
  add: (a, b) => a + b, sub: (a, b) => a - b, sll: (a, b) => a << (b & 63n), slt: (a, b) => (a < b ? 1n : 0n),
  sltu: (a, b) => (u(a) < u(b) ? 1n : 0n), xor: (a, b) => a ^ b, srl: (a, b) => u(a) >> (b & 63n), sra: (a, b) => a >> (b & 63n),
  or: (a, b) => a | b, and: (a, b) => a & b,
  addiw: (a, b) => s32(a + b), slliw: (a, b) => s32(a << b), srliw: (a, b) => s32(u32(a) >> b), sraiw: (a, b) => s32(a) >> b,
  addw: (a, b) => s32(a + b), subw: (a, b) => s32(a - b), sllw: (a, b) => s32(a << (b & 31n)), srlw: (a, b) => s32(u32(a) >> (b & 31n)),
  sraw: (a, b) => s32(a) >> (b & 31n),
  mul: (a, b) => a * b, mulh: (a, b) => (a * b) >> 64n, mulhsu: (a, b) => (a * u(b)) >> 64n, mulhu: (a, b) => (u(a) * u(b)) >> 64n,
  div: (a, b) => divide(a, b, MIN).q, rem: (a, b) => divide(a, b, MIN).r,
  divu: (a, b) => divide(u(a), u(b), MIN).q, remu: (a, b) => divide(u(a), u(b), MIN).r,
  mulw: (a, b) => s32(a * b), divw: (a, b) => divide(s32(a), s32(b), MIN_W).q, remw: (a, b) => divide(s32(a), s32(b), MIN_W).r,
  divuw: (a, b) => s32(divide(u32(a), u32(b), MIN_W).q), remuw: (a, b) => s32(divide(u32(a), u32(b), MIN_W).r),
  sh1add: (a, b) => (a << 1n) + b, sh2add: (a, b) => (a << 2n) + b, sh3add: (a, b) => (a << 3n) + b, 'add.uw': (a, b) => u32(a) + b,
  'sh1add.uw': (a, b) => (u32(a) << 1n) + b, 'sh2add.uw': (a, b) => (u32(a) << 2n) + b, 'sh3add.uw': (a, b) => (u32(a) << 3n) + b,
  'slli.uw': (a, b) => u32(a) << b,
  andn: (a, b) => a & ~b, orn: (a, b) => a | ~b, xnor: (a, b) => ~(a ^ b),
  clz: (a) => leading(a, 64), ctz: (a) => trailing(a, 64), cpop: (a) => ones(a, 64),
  clzw: (a) => leading(a, 32), ctzw: (a) => trailing(a, 32), cpopw: (a) => ones(a, 32),
  min: (a, b) => (a < b ? a : b), minu: (a, b) => (u(a) < u(b) ? a : b), max: (a, b) => (a > b ? a : b), maxu: (a, b) => (u(a) > u(b) ? a : b),
  'sext.b': (a) => BigInt.asIntN(8, a), 'sext.h': (a) => BigInt.asIntN(16, a), 'zext.h': (a) => a & 0xffffn,
  rol: (a, b) => rotate(a, -b & 63n), ror: (a, b) => rotate(a, b & 63n), rori: rotate,
  rolw: (a, b) => rotateW(a, -b & 31n), rorw: (a, b) => rotateW(a, b & 31n), roriw: rotateW,
  'orc.b': (a) => fromBytes(bytes(a).map((b) => (b === 0n ? 0n : 255n))), rev8: (a) => fromBytes(bytes(a).reverse()),
  bclr: (a, b) => a & ~(1n << (b & 63n)), bset: (a, b) => a | (1n << (b & 63n)), binv: (a, b) => a ^ (1n << (b & 63n)), bext: (a, b) => (u(a) >> (b & 63n)) & 1n,
  bclri: (a, b) => a & ~(1n << b), bseti: (a, b) => a | (1n << b), binvi: (a, b) => a ^ (1n << b), bexti: (a, b) => (u(a) >> b) & 1n,
  'czero.eqz': (a, b) => (b === 0n ? 0n : a), 'czero.nez': (a, b) => (b !== 0n ? 0n : a),
};
/** The value a read-modify-write leaves in memory, from the old one and rs2, both sign-extended from the access's width. */
export const naiveAmo: Readonly<Record<string, (old: bigint, b: bigint) => bigint>> = {
  amoswap: (_old, b) => b, amoadd: (old, b) => old + b, amoxor: (old, b) => old ^ b, amoand: (old, b) => old & b, amoor: (old, b) => old | b,
  amomin: (old, b) => (old < b ? old : b), amomax: (old, b) => (old > b ? old : b),
  amominu: (old, b) => (u(old) < u(b) ? old : b), amomaxu: (old, b) => (u(old) > u(b) ? old : b),
};
/** Is a branch taken? */
export const naiveBranch: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  beq: (a, b) => a === b, bne: (a, b) => a !== b, blt: (a, b) => a < b, bge: (a, b) => a >= b, bltu: (a, b) => u(a) < u(b), bgeu: (a, b) => u(a) >= u(b),
};
export const signed = s;
