// Flags as words, and 64-bit numbers as signed 32-bit halves. A bigint stays inside one expression and crosses no call on a hot path.

/** A printer for a table of one-bit flags: lower-case first letters in order, '-' where the bit is clear ('vrw-u-ad'). */
export function flagPrinter(flags: Readonly<Record<string, number>>): (word: number) => string {
  const entries = Object.entries(flags);
  return (word) => entries.map(([name, bit]) => ((word & bit) !== 0 ? name[0]!.toLowerCase() : '-')).join('');
}

/** The number that signed halves mean, as a signed 64-bit value; exact below 2^53 in magnitude. */
export const toNumber = (hi: number, lo: number): number => hi * 0x1_0000_0000 + (lo >>> 0);
export const lowHalf = (n: number): number => n | 0;
/** The high half of a whole number below 2^53 in magnitude, sign-extended. */
export const highHalf = (n: number): number => Math.floor(n / 0x1_0000_0000) | 0;

export const isPowerOfTwo = (n: number): boolean => n > 0 && Number.isInteger(Math.log2(n));
/** Rounds up to a multiple of a power of two; safe above 2^32. */
export const alignUp = (n: number, to: number): number => Math.ceil(n / to) * to;
export const alignDown = (n: number, to: number): number => Math.floor(n / to) * to;
