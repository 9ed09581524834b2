// The two checksums of the format: crc32c over everything (metadata_csum), crc16 over group descriptors alone (uninit_bg). Here: the sums.
// Not here: what they are taken over (each structure's own file). Mirrors lib/crc/crc32.c and crc16.c: neither inverts at its ends; callers
// hand on a running value, which begins as all ones.

/** Table k answers for a byte that k more bytes follow, so that four bytes are one step. */
const tables = makeTables();
function makeTables(): readonly Int32Array[] {
  const first = new Int32Array(256);
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
    first[n] = c;
  }
  const all = [first];
  for (let k = 1; k < 4; k++) all.push(all[k - 1]!.map((c) => (c >>> 8) ^ first[c & 0xff]!));
  return all;
}
const [t0, t1, t2, t3] = tables as [Int32Array, Int32Array, Int32Array, Int32Array];

/** Goes on from `sum` over bytes[start, end). @returns an unsigned 32-bit number */
export function crc32c(sum: number, bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let c = sum | 0;
  let at = start;
  for (; at + 4 <= end; at += 4) {
    c ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    c = t3[c & 0xff]! ^ t2[(c >>> 8) & 0xff]! ^ t1[(c >>> 16) & 0xff]! ^ t0[c >>> 24]!;
  }
  for (; at < end; at++) c = (c >>> 8) ^ t0[(c ^ bytes[at]!) & 0xff]!;
  return c >>> 0;
}

const word = new Uint8Array(4);
/** The same over one little-endian word. */
export function crc32cWord(sum: number, value: number): number {
  for (let i = 0; i < 4; i++) word[i] = value >>> (8 * i);
  return crc32c(sum, word);
}

export function crc16(sum: number, bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  let c = sum;
  for (let at = start; at < end; at++) {
    c ^= bytes[at]!;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0xa001 : c >>> 1;
  }
  return c;
}
/** The same over one little-endian word. */
export function crc16Word(sum: number, value: number): number {
  for (let i = 0; i < 4; i++) word[i] = value >>> (8 * i);
  return crc16(sum, word);
}
