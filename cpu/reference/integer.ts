// What the integer instructions mean, one function each: RV64I's computing part, M, Zba, Zbb, Zbs, Zicond. Here: results only. Not here: which
// operands (the decoded record says), memory, jumps.
//
// All work on `m`, the arena's 32-bit words: d, a and b are the places of the low halves of rd, rs1 and rs2, the high half is one further. A
// source is read in full before d is written, for they may be the same register. Bigints appear only where halves would be a page of code.

const carryOf = (sum: number, addend: number): number => ((sum >>> 0) < (addend >>> 0) ? 1 : 0);
/** The high 32 bits of an unsigned 32 x 32 product. */
export function mulHigh32(p: number, q: number): number {
  const pLow = p & 0xffff, pHigh = p >>> 16, qLow = q & 0xffff, qHigh = q >>> 16;
  const low = Math.imul(pLow, qLow);
  const mid = ((Math.imul(pHigh, qLow) >>> 0) + (low >>> 16)) >>> 0;
  const cross = ((Math.imul(pLow, qHigh) >>> 0) + (mid & 0xffff)) >>> 0;
  return (Math.imul(pHigh, qHigh) + (mid >>> 16) + (cross >>> 16)) | 0;
}

// ---- Adding, comparing, logic

export function addi(m: Int32Array, d: number, a: number, imm: number): void {
  const low = m[a]!, sum = (low + imm) | 0;
  m[d + 1] = m[a + 1]! + (imm >> 31) + carryOf(sum, low);
  m[d] = sum;
}
export function add(m: Int32Array, d: number, a: number, b: number): void {
  const low = m[a]!, sum = (low + m[b]!) | 0;
  m[d + 1] = m[a + 1]! + m[b + 1]! + carryOf(sum, low);
  m[d] = sum;
}
export function sub(m: Int32Array, d: number, a: number, b: number): void {
  const low = m[a]!, minus = m[b]!;
  m[d + 1] = m[a + 1]! - m[b + 1]! - ((low >>> 0) < (minus >>> 0) ? 1 : 0);
  m[d] = low - minus;
}
/** rs1 < rs2 as signed 64-bit numbers. */
export function less(m: Int32Array, a: number, b: number): boolean {
  const high = m[a + 1]!, otherHigh = m[b + 1]!;
  return high < otherHigh || (high === otherHigh && (m[a]! >>> 0) < (m[b]! >>> 0));
}
/** rs1 < rs2 as unsigned 64-bit numbers. */
export function lessUnsigned(m: Int32Array, a: number, b: number): boolean {
  const high = m[a + 1]!, otherHigh = m[b + 1]!;
  return (high >>> 0) < (otherHigh >>> 0) || (high === otherHigh && (m[a]! >>> 0) < (m[b]! >>> 0));
}
/** A result below 2^31, zero or above. */
function setSmall(m: Int32Array, d: number, value: number): void {
  m[d] = value;
  m[d + 1] = 0;
}
/** A result that is a sign-extended word. */
function setWord(m: Int32Array, d: number, value: number): void {
  m[d] = value;
  m[d + 1] = value >> 31;
}
export function slt(m: Int32Array, d: number, a: number, b: number): void {
  setSmall(m, d, less(m, a, b) ? 1 : 0);
}
export function sltu(m: Int32Array, d: number, a: number, b: number): void {
  setSmall(m, d, lessUnsigned(m, a, b) ? 1 : 0);
}
export function slti(m: Int32Array, d: number, a: number, imm: number): void {
  const high = m[a + 1]!, otherHigh = imm >> 31;
  setSmall(m, d, high < otherHigh || (high === otherHigh && (m[a]! >>> 0) < (imm >>> 0)) ? 1 : 0);
}
export function sltiu(m: Int32Array, d: number, a: number, imm: number): void {
  const high = m[a + 1]!, otherHigh = imm >> 31;
  setSmall(m, d, (high >>> 0) < (otherHigh >>> 0) || (high === otherHigh && (m[a]! >>> 0) < (imm >>> 0)) ? 1 : 0);
}
export function xori(m: Int32Array, d: number, a: number, imm: number): void {
  m[d] = m[a]! ^ imm;
  m[d + 1] = m[a + 1]! ^ (imm >> 31);
}
export function ori(m: Int32Array, d: number, a: number, imm: number): void {
  m[d] = m[a]! | imm;
  m[d + 1] = m[a + 1]! | (imm >> 31);
}
export function andi(m: Int32Array, d: number, a: number, imm: number): void {
  m[d] = m[a]! & imm;
  m[d + 1] = m[a + 1]! & (imm >> 31);
}
export function xor(m: Int32Array, d: number, a: number, b: number): void {
  m[d] = m[a]! ^ m[b]!;
  m[d + 1] = m[a + 1]! ^ m[b + 1]!;
}
export function or(m: Int32Array, d: number, a: number, b: number): void {
  m[d] = m[a]! | m[b]!;
  m[d + 1] = m[a + 1]! | m[b + 1]!;
}
export function and(m: Int32Array, d: number, a: number, b: number): void {
  m[d] = m[a]! & m[b]!;
  m[d + 1] = m[a + 1]! & m[b + 1]!;
}

// ---- Shifts. JavaScript shifts by the count modulo 32, so a count of 32 or more moves a whole half first. `<< 1 << (31 - n)` is `<< (32 - n)`
// that is zero for n = 0.

export function slli(m: Int32Array, d: number, a: number, count: number): void {
  const low = m[a]!, high = m[a + 1]!;
  m[d + 1] = count >= 32 ? low << count : (high << count) | (low >>> 1 >>> (31 - count));
  m[d] = count >= 32 ? 0 : low << count;
}
export function srli(m: Int32Array, d: number, a: number, count: number): void {
  const low = m[a]!, high = m[a + 1]!;
  m[d] = count >= 32 ? high >>> count : (low >>> count) | (high << 1 << (31 - count));
  m[d + 1] = count >= 32 ? 0 : high >>> count;
}
export function srai(m: Int32Array, d: number, a: number, count: number): void {
  const low = m[a]!, high = m[a + 1]!;
  m[d] = count >= 32 ? high >> count : (low >>> count) | (high << 1 << (31 - count));
  m[d + 1] = count >= 32 ? high >> 31 : high >> count;
}
export function sll(m: Int32Array, d: number, a: number, b: number): void { slli(m, d, a, m[b]! & 63); }
export function srl(m: Int32Array, d: number, a: number, b: number): void { srli(m, d, a, m[b]! & 63); }
export function sra(m: Int32Array, d: number, a: number, b: number): void { srai(m, d, a, m[b]! & 63); }
function rotateRight(m: Int32Array, d: number, a: number, count: number): void {
  const swap = count & 32;
  const low = swap === 0 ? m[a]! : m[a + 1]!, high = swap === 0 ? m[a + 1]! : m[a]!;
  const rest = 31 - (count & 31);
  m[d] = (low >>> count) | (high << 1 << rest);
  m[d + 1] = (high >>> count) | (low << 1 << rest);
}
export function rori(m: Int32Array, d: number, a: number, count: number): void { rotateRight(m, d, a, count); }
export function ror(m: Int32Array, d: number, a: number, b: number): void { rotateRight(m, d, a, m[b]! & 63); }
export function rol(m: Int32Array, d: number, a: number, b: number): void { rotateRight(m, d, a, -m[b]! & 63); }

// ---- Words: the low halves, the result sign-extended

export function addiw(m: Int32Array, d: number, a: number, imm: number): void { setWord(m, d, (m[a]! + imm) | 0); }
export function addw(m: Int32Array, d: number, a: number, b: number): void { setWord(m, d, (m[a]! + m[b]!) | 0); }
export function subw(m: Int32Array, d: number, a: number, b: number): void { setWord(m, d, (m[a]! - m[b]!) | 0); }
export function slliw(m: Int32Array, d: number, a: number, count: number): void { setWord(m, d, m[a]! << count); }
export function srliw(m: Int32Array, d: number, a: number, count: number): void { setWord(m, d, (m[a]! >>> count) | 0); }
export function sraiw(m: Int32Array, d: number, a: number, count: number): void { setWord(m, d, m[a]! >> count); }
export function sllw(m: Int32Array, d: number, a: number, b: number): void { setWord(m, d, m[a]! << m[b]!); }
export function srlw(m: Int32Array, d: number, a: number, b: number): void { setWord(m, d, (m[a]! >>> m[b]!) | 0); }
export function sraw(m: Int32Array, d: number, a: number, b: number): void { setWord(m, d, m[a]! >> m[b]!); }
export function roriw(m: Int32Array, d: number, a: number, count: number): void {
  setWord(m, d, (m[a]! >>> count) | (m[a]! << 1 << (31 - count)));
}
export function rorw(m: Int32Array, d: number, a: number, b: number): void { roriw(m, d, a, m[b]! & 31); }
export function rolw(m: Int32Array, d: number, a: number, b: number): void { roriw(m, d, a, -m[b]! & 31); }

// ---- M. Division never traps: by zero the quotient is all ones and the remainder the dividend; min / -1 is min, remainder 0.

export function mul(m: Int32Array, d: number, a: number, b: number): void {
  const p = m[a]!, q = m[b]!;
  m[d + 1] = mulHigh32(p, q) + Math.imul(p, m[b + 1]!) + Math.imul(m[a + 1]!, q);
  m[d] = Math.imul(p, q);
}
export function mulw(m: Int32Array, d: number, a: number, b: number): void { setWord(m, d, Math.imul(m[a]!, m[b]!)); }

const signed = (m: Int32Array, a: number): bigint => (BigInt(m[a + 1]!) << 32n) | BigInt(m[a]! >>> 0);
const unsigned = (m: Int32Array, a: number): bigint => (BigInt(m[a + 1]! >>> 0) << 32n) | BigInt(m[a]! >>> 0);
/** Low 64 bits of any whole number. */
function setBig(m: Int32Array, d: number, value: bigint): void {
  m[d] = Number(BigInt.asIntN(32, value));
  m[d + 1] = Number(BigInt.asIntN(32, value >> 32n));
}
export function mulh(m: Int32Array, d: number, a: number, b: number): void { setBig(m, d, (signed(m, a) * signed(m, b)) >> 64n); }
export function mulhsu(m: Int32Array, d: number, a: number, b: number): void { setBig(m, d, (signed(m, a) * unsigned(m, b)) >> 64n); }
export function mulhu(m: Int32Array, d: number, a: number, b: number): void { setBig(m, d, (unsigned(m, a) * unsigned(m, b)) >> 64n); }

/** Both registers, taken as unsigned, are below 2^53: then a quotient of doubles, rounded down, is exact. */
const bothExact = (m: Int32Array, a: number, b: number): boolean => ((m[a + 1]! | m[b + 1]!) >>> 21) === 0;
/** The same for signed registers, whose magnitude must be below 2^53. */
const bothExactSigned = (m: Int32Array, a: number, b: number): boolean =>
  m[a + 1]! >> 21 === m[a + 1]! >> 31 && m[b + 1]! >> 21 === m[b + 1]! >> 31;
const asDouble = (m: Int32Array, a: number): number => m[a + 1]! * 0x1_0000_0000 + (m[a]! >>> 0);
/** A whole number below 2^53 in magnitude. */
function setDouble(m: Int32Array, d: number, value: number): void {
  m[d] = value;
  m[d + 1] = Math.floor(value / 0x1_0000_0000);
}
const isZero = (m: Int32Array, a: number): boolean => (m[a]! | m[a + 1]!) === 0;
function copy(m: Int32Array, d: number, a: number): void {
  const high = m[a + 1]!;
  m[d] = m[a]!;
  m[d + 1] = high;
}

export function divu(m: Int32Array, d: number, a: number, b: number): void {
  if (isZero(m, b)) setWord(m, d, -1);
  else if (bothExact(m, a, b)) setDouble(m, d, Math.floor(asDouble(m, a) / asDouble(m, b)));
  else setBig(m, d, unsigned(m, a) / unsigned(m, b));
}
export function remu(m: Int32Array, d: number, a: number, b: number): void {
  if (isZero(m, b)) copy(m, d, a);
  else if (bothExact(m, a, b)) {
    const p = asDouble(m, a), q = asDouble(m, b);
    setDouble(m, d, p - Math.floor(p / q) * q);
  } else setBig(m, d, unsigned(m, a) % unsigned(m, b));
}
export function div(m: Int32Array, d: number, a: number, b: number): void {
  if (isZero(m, b)) setWord(m, d, -1);
  else if (bothExactSigned(m, a, b)) setDouble(m, d, Math.trunc(asDouble(m, a) / asDouble(m, b)));
  else setBig(m, d, signed(m, a) / signed(m, b));
}
export function rem(m: Int32Array, d: number, a: number, b: number): void {
  if (isZero(m, b)) copy(m, d, a);
  else if (bothExactSigned(m, a, b)) {
    const p = asDouble(m, a), q = asDouble(m, b);
    setDouble(m, d, p - Math.trunc(p / q) * q);
  } else setBig(m, d, signed(m, a) % signed(m, b));
}
export function divw(m: Int32Array, d: number, a: number, b: number): void {
  setWord(m, d, m[b] === 0 ? -1 : (m[a]! / m[b]!) | 0);
}
export function divuw(m: Int32Array, d: number, a: number, b: number): void {
  setWord(m, d, m[b] === 0 ? -1 : ((m[a]! >>> 0) / (m[b]! >>> 0)) | 0);
}
export function remw(m: Int32Array, d: number, a: number, b: number): void {
  setWord(m, d, m[b] === 0 ? m[a]! : (m[a]! % m[b]!) | 0);
}
export function remuw(m: Int32Array, d: number, a: number, b: number): void {
  setWord(m, d, m[b] === 0 ? m[a]! : ((m[a]! >>> 0) % (m[b]! >>> 0)) | 0);
}

// ---- Zba

function shiftAdd(m: Int32Array, d: number, a: number, b: number, count: number, highMask: number): void {
  const low = m[a]!, shifted = low << count, addend = m[b]!;
  const sum = (shifted + addend) | 0;
  m[d + 1] = (((m[a + 1]! & highMask) << count) | (low >>> 1 >>> (31 - count))) + m[b + 1]! + carryOf(sum, addend);
  m[d] = sum;
}
export function sh1add(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 1, -1); }
export function sh2add(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 2, -1); }
export function sh3add(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 3, -1); }
export function addUw(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 0, 0); }
export function sh1addUw(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 1, 0); }
export function sh2addUw(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 2, 0); }
export function sh3addUw(m: Int32Array, d: number, a: number, b: number): void { shiftAdd(m, d, a, b, 3, 0); }
export function slliUw(m: Int32Array, d: number, a: number, count: number): void {
  const low = m[a]!;
  m[d + 1] = count >= 32 ? low << count : low >>> 1 >>> (31 - count);
  m[d] = count >= 32 ? 0 : low << count;
}

// ---- Zbb

export function andn(m: Int32Array, d: number, a: number, b: number): void {
  m[d] = m[a]! & ~m[b]!;
  m[d + 1] = m[a + 1]! & ~m[b + 1]!;
}
export function orn(m: Int32Array, d: number, a: number, b: number): void {
  m[d] = m[a]! | ~m[b]!;
  m[d + 1] = m[a + 1]! | ~m[b + 1]!;
}
export function xnor(m: Int32Array, d: number, a: number, b: number): void {
  m[d] = ~(m[a]! ^ m[b]!);
  m[d + 1] = ~(m[a + 1]! ^ m[b + 1]!);
}
/** Trailing zeros of a word, 32 for 0. */
const ctz32 = (word: number): number => (word === 0 ? 32 : 31 - Math.clz32(word & -word));
function bitCount(word: number): number {
  let pairs = word - ((word >>> 1) & 0x55555555);
  pairs = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
export function clz(m: Int32Array, d: number, a: number): void {
  setSmall(m, d, m[a + 1] === 0 ? 32 + Math.clz32(m[a]!) : Math.clz32(m[a + 1]!));
}
export function ctz(m: Int32Array, d: number, a: number): void { setSmall(m, d, m[a] === 0 ? 32 + ctz32(m[a + 1]!) : ctz32(m[a]!)); }
export function cpop(m: Int32Array, d: number, a: number): void { setSmall(m, d, bitCount(m[a]!) + bitCount(m[a + 1]!)); }
export function clzw(m: Int32Array, d: number, a: number): void { setSmall(m, d, Math.clz32(m[a]!)); }
export function ctzw(m: Int32Array, d: number, a: number): void { setSmall(m, d, ctz32(m[a]!)); }
export function cpopw(m: Int32Array, d: number, a: number): void { setSmall(m, d, bitCount(m[a]!)); }
export function min(m: Int32Array, d: number, a: number, b: number): void { copy(m, d, less(m, a, b) ? a : b); }
export function minu(m: Int32Array, d: number, a: number, b: number): void { copy(m, d, lessUnsigned(m, a, b) ? a : b); }
export function max(m: Int32Array, d: number, a: number, b: number): void { copy(m, d, less(m, a, b) ? b : a); }
export function maxu(m: Int32Array, d: number, a: number, b: number): void { copy(m, d, lessUnsigned(m, a, b) ? b : a); }
export function sextB(m: Int32Array, d: number, a: number): void { setWord(m, d, (m[a]! << 24) >> 24); }
export function sextH(m: Int32Array, d: number, a: number): void { setWord(m, d, (m[a]! << 16) >> 16); }
export function zextH(m: Int32Array, d: number, a: number): void { setSmall(m, d, m[a]! & 0xffff); }
/** 0xff in each byte of a word that is not zero: its bits are gathered in the byte's lowest and spread again. */
function orCombine(word: number): number {
  let bits = word | (word >>> 4);
  bits |= bits >>> 2;
  bits |= bits >>> 1;
  return Math.imul(bits & 0x01010101, 0xff);
}
const swapBytes = (w: number): number => (w << 24) | ((w & 0xff00) << 8) | ((w >>> 8) & 0xff00) | (w >>> 24);
export function orcB(m: Int32Array, d: number, a: number): void {
  m[d] = orCombine(m[a]!);
  m[d + 1] = orCombine(m[a + 1]!);
}
export function rev8(m: Int32Array, d: number, a: number): void {
  const low = m[a]!;
  m[d] = swapBytes(m[a + 1]!);
  m[d + 1] = swapBytes(low);
}

// ---- Zbs. The bit as a mask for each half; one of them is zero.

const bitLow = (index: number): number => ((index & 32) === 0 ? 1 << index : 0);
const bitHigh = (index: number): number => ((index & 32) === 0 ? 0 : 1 << index);

export function bclri(m: Int32Array, d: number, a: number, index: number): void {
  m[d] = m[a]! & ~bitLow(index);
  m[d + 1] = m[a + 1]! & ~bitHigh(index);
}
export function bseti(m: Int32Array, d: number, a: number, index: number): void {
  m[d] = m[a]! | bitLow(index);
  m[d + 1] = m[a + 1]! | bitHigh(index);
}
export function binvi(m: Int32Array, d: number, a: number, index: number): void {
  m[d] = m[a]! ^ bitLow(index);
  m[d + 1] = m[a + 1]! ^ bitHigh(index);
}
export function bexti(m: Int32Array, d: number, a: number, index: number): void {
  setSmall(m, d, (((index & 32) === 0 ? m[a]! : m[a + 1]!) >>> index) & 1);
}
export function bclr(m: Int32Array, d: number, a: number, b: number): void { bclri(m, d, a, m[b]!); }
export function bset(m: Int32Array, d: number, a: number, b: number): void { bseti(m, d, a, m[b]!); }
export function binv(m: Int32Array, d: number, a: number, b: number): void { binvi(m, d, a, m[b]!); }
export function bext(m: Int32Array, d: number, a: number, b: number): void { bexti(m, d, a, m[b]!); }

// ---- Zicond

export function czeroEqz(m: Int32Array, d: number, a: number, b: number): void {
  if (isZero(m, b)) setSmall(m, d, 0);
  else copy(m, d, a);
}
export function czeroNez(m: Int32Array, d: number, a: number, b: number): void {
  if (isZero(m, b)) copy(m, d, a);
  else setSmall(m, d, 0);
}
