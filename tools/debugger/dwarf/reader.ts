// Bytes of a file, taken one after another. Here: numbers and strings as ELF and DWARF write them, and the end of what is there. Not here:
// what they mean. What does not fit is Damaged, and only the part of the file that was being read is lost by it.
import { utf8Decode } from '#base';

/** The file says something that cannot be. Caught where the next part of the file can still be read; a program to be debugged is never the
 *  debugger's mistake. */
export class Damaged extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Damaged';
  }
}

/** Longest name that is kept; what is longer is cut. C++ writes names of hundreds of bytes, nobody of thousands. */
const MAX_NAME_BYTES = 1024;

export class ByteReader {
  readonly bytes: Uint8Array;
  /** For messages: the section's name. */
  readonly name: string;
  /** Where the next byte is taken. */
  at: number;
  readonly end: number;
  private readonly view: DataView;

  /** Reads bytes[start, end). */
  constructor(bytes: Uint8Array, name: string, start = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.name = name;
    this.at = start;
    this.end = end;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw new Damaged(`${name} ends before byte ${Math.max(start, end)}`);
  }
  get isAtEnd(): boolean {
    return this.at >= this.end;
  }
  /** The same bytes, from `start` on. */
  from(start: number, end: number = this.end): ByteReader {
    return new ByteReader(this.bytes, this.name, start, end);
  }
  /** Steps over `lenBytes` and says where they began. */
  skip(lenBytes: number): number {
    const start = this.at;
    if (!(lenBytes >= 0 && start + lenBytes <= this.end)) throw new Damaged(`${this.name} ends in the middle of an entry at byte ${start}`);
    this.at = start + lenBytes;
    return start;
  }
  slice(lenBytes: number): Uint8Array {
    const start = this.skip(lenBytes);
    return this.bytes.subarray(start, start + lenBytes);
  }

  u8(): number {
    return this.view.getUint8(this.skip(1));
  }
  i8(): number {
    return this.view.getInt8(this.skip(1));
  }
  u16(): number {
    return this.view.getUint16(this.skip(2), true);
  }
  u24(): number {
    const start = this.skip(3);
    return this.view.getUint16(start, true) + 0x1_0000 * this.view.getUint8(start + 2);
  }
  u32(): number {
    return this.view.getUint32(this.skip(4), true);
  }
  i32(): number {
    return this.view.getInt32(this.skip(4), true);
  }
  /** Unsigned; from 2^53 on not exact, and beyond every address and length that is compared with it. */
  u64(): number {
    return Number(this.view.getBigUint64(this.skip(8), true));
  }
  i64(): number {
    return Number(this.view.getBigInt64(this.skip(8), true));
  }
  /** An unsigned number of 1, 2, 3, 4 or 8 bytes. */
  unsigned(lenBytes: number): number {
    switch (lenBytes) {
      case 1: return this.u8();
      case 2: return this.u16();
      case 3: return this.u24();
      case 4: return this.u32();
      case 8: return this.u64();
      default: throw new Damaged(`${this.name} has a number of ${lenBytes} bytes`);
    }
  }
  uleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      // Padding after the last digit that counts is allowed; infinities are not, nor what they would make of 0.
      if ((byte & 127) !== 0) value += (byte & 127) * Math.min(scale, 2 ** 70);
      if (byte < 128) return value;
    }
  }
  sleb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.u8();
      const place = Math.min(scale, 2 ** 70);
      const digits = byte < 128 && byte >= 64 ? byte - 128 : byte & 127;
      if (digits !== 0) value += digits * place;
      if (byte < 128) return value;
    }
  }
  /** Up to the next zero byte. */
  cstring(): string {
    const start = this.skipString();
    return utf8Decode(this.bytes, start, Math.min(this.at - 1, start + MAX_NAME_BYTES));
  }
  /** Steps over a string. @returns where it began */
  skipString(): number {
    const start = this.at;
    const nul = this.bytes.indexOf(0, start);
    if (nul < 0 || nul >= this.end) throw new Damaged(`${this.name} has a string without end at byte ${start}`);
    this.at = nul + 1;
    return start;
  }
  /** The length that begins every unit of DWARF, and with it the size of offsets: 4 or 8 bytes. */
  initialLength(): { readonly lenBytes: number; readonly offsetBytes: 4 | 8 } {
    const first = this.u32();
    if (first === 0xffff_ffff) return { lenBytes: this.u64(), offsetBytes: 8 };
    if (first >= 0xffff_fff0) throw new Damaged(`${this.name} has a unit of reserved length`);
    return { lenBytes: first, offsetBytes: 4 };
  }
}

/** Work that one part of a file may cause. Without it entries that take no bytes, or that share what they refer to, could ask for any amount. */
export class Budget {
  private left: number;
  private readonly what: string;
  constructor(left: number, what: string) {
    this.left = left;
    this.what = what;
  }
  spend(amount = 1): void {
    this.left -= amount;
    if (this.left < 0) throw new Damaged(`${this.what} means more than its size allows`);
  }
}

/** The index of the last item at or before an address, of items that ascend; -1: none. */
export function lastAtOrBefore<T>(items: readonly T[], address: number, addressOf: (item: T) => number): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (addressOf(items[middle]!) <= address) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
