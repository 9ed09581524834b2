// Text and bytes. Linux's names, arguments and paths are bytes; here they are strings, and every byte string must survive the way there and
// back. Valid UTF-8 decodes as usual; a byte that is not part of any becomes U+DC80 + (byte - 0x80), a lone surrogate that encodes back to that
// one byte (the scheme Python calls surrogateescape).

/** Decodes bytes[start, end); never fails, and utf8Encode gives the same bytes back. */
export function utf8Decode(bytes: Uint8Array, start = 0, end: number = bytes.length): string {
  let text = '';
  let at = start;
  while (at < end) {
    const first = bytes[at]!;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      at++;
      continue;
    }
    const length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 1;
    const point = length === 1 || at + length > end ? -1 : sequence(bytes, at, length);
    if (point < 0) {
      text += String.fromCharCode(0xdc00 + first);
      at++;
    } else {
      text += String.fromCodePoint(point);
      at += length;
    }
  }
  return text;
}

/** The code point of a sequence of `length` bytes, or -1: continuation bytes wrong, overlong, a surrogate, above U+10FFFF. */
function sequence(bytes: Uint8Array, at: number, length: number): number {
  let point = bytes[at]! & (0x7f >> length);
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i]!;
    if ((next & 0xc0) !== 0x80) return -1;
    point = (point << 6) | (next & 0x3f);
  }
  if (length === 3 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return -1;
  if (length === 4 && (point < 0x10000 || point > 0x10ffff)) return -1;
  return point;
}

/** The bytes of a text; escaped bytes become themselves again, any other lone surrogate U+FFFD. */
export function utf8Encode(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let n = 0;
  for (let i = 0; i < text.length; i++) {
    let point = text.codePointAt(i)!;
    if (point < 0x80) {
      bytes[n++] = point;
      continue;
    }
    if (point >= 0xdc80 && point <= 0xdcff) {
      bytes[n++] = point - 0xdc00;
      continue;
    }
    if (point >= 0xd800 && point < 0xe000) point = 0xfffd;
    if (point < 0x800) {
      bytes[n++] = 0xc0 | (point >> 6);
    } else if (point < 0x10000) {
      bytes[n++] = 0xe0 | (point >> 12);
      bytes[n++] = 0x80 | ((point >> 6) & 0x3f);
    } else {
      bytes[n++] = 0xf0 | (point >> 18);
      bytes[n++] = 0x80 | ((point >> 12) & 0x3f);
      bytes[n++] = 0x80 | ((point >> 6) & 0x3f);
      i++; // two code units
    }
    bytes[n++] = 0x80 | (point & 0x3f);
  }
  return bytes.slice(0, n);
}
