// The compressor of zswap: one page at a time, by what it has said before. Here: compressing, and back. Not here: where the result lies (zsmalloc.ts).
// Our own, of the family of Lempel and Ziv (1977), in the manner of LZ4: sequences of bytes to be copied as they are, and of bytes to be copied from
// further back. Linux has many to choose from (lzo, lz4, zstd); ratios are near lz4's, times are a modelled cost.
//
// A sequence:   token: literals (high four bits), match length - 4 (low four bits); 15 goes on in the next bytes, each 255 but the last
//               the literals | distance, two bytes, low one first; the last sequence has neither distance nor match
import { bug } from '#base';

const MIN_MATCH = 4;
const HASH_BITS = 11;
/** The last bytes are always literals, so that four can be looked at from any place before. */
const TAIL = 5;
/** Where a hash of four bytes was met last; -1: nowhere. */
const places = new Int16Array(1 << HASH_BITS);

const word = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
const hash = (w: number): number => Math.imul(w, 0x9e37_79b1) >>> (32 - HASH_BITS);

/** @param from at most 64 KiB  @param into at least as long  @returns bytes written; 0: it does not get smaller than `into` */
export function compress(from: Uint8Array, into: Uint8Array): number {
  places.fill(-1);
  let out = 0;
  let anchor = 0;
  for (let at = 0; at < from.length - TAIL; ) {
    const w = word(from, at);
    const place = hash(w);
    const before = places[place]!;
    places[place] = at;
    if (before < 0 || word(from, before) !== w) {
      at++;
      continue;
    }
    let length = MIN_MATCH;
    while (at + length < from.length - TAIL && from[before + length] === from[at + length]) length++;
    out = putSequence(from, anchor, at, length, at - before, into, out);
    if (out === 0) return 0;
    at += length;
    anchor = at;
  }
  return putSequence(from, anchor, from.length, 0, 0, into, out);
}
/** Literals [anchor, at), then a match, if it has a length. @returns where the next one goes; 0: there is no room */
function putSequence(from: Uint8Array, anchor: number, at: number, length: number, distance: number, into: Uint8Array, start: number): number {
  const literals = at - anchor;
  const more = length === 0 ? 0 : length - MIN_MATCH;
  const size = 1 + Math.floor((literals + 240) / 255) + literals + (length === 0 ? 0 : 2 + Math.floor((more + 240) / 255));
  if (start + size > into.length) return 0;
  let out = start;
  into[out++] = (Math.min(15, literals) << 4) | Math.min(15, more);
  out = putLength(literals, into, out);
  for (let i = anchor; i < at; i++) into[out++] = from[i]!;
  if (length === 0) return out;
  into[out++] = distance & 0xff;
  into[out++] = distance >>> 8;
  return putLength(more, into, out);
}
function putLength(n: number, into: Uint8Array, start: number): number {
  if (n < 15) return start;
  let out = start;
  let left = n - 15;
  for (; left >= 255; left -= 255) into[out++] = 255;
  into[out++] = left;
  return out;
}

/** Fills `into` with what was compressed. */
export function decompress(from: Uint8Array, into: Uint8Array): void {
  let out = 0;
  let at = 0;
  const takeLength = (low: number): number => {
    let n = low;
    if (low < 15) return n;
    for (;;) {
      const byte = from[at++] ?? bug('a compressed page ends in the middle');
      n += byte;
      if (byte < 255) return n;
    }
  };
  while (at < from.length) {
    const token = from[at++]!;
    const literals = takeLength(token >>> 4);
    if (at + literals > from.length || out + literals > into.length) bug('a compressed page has too many literals');
    for (let i = 0; i < literals; i++) into[out++] = from[at++]!;
    if (at === from.length) break;
    const distance = from[at]! | (from[at + 1]! << 8);
    at += 2;
    const length = takeLength(token & 15) + MIN_MATCH;
    if (distance === 0 || distance > out || out + length > into.length) bug('a compressed page refers to what it has not');
    for (let i = 0; i < length; i++, out++) into[out] = into[out - distance]!;
  }
  if (out !== into.length) bug(`a compressed page has ${out} bytes`);
}
