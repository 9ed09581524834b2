// The file of a recording, as bytes: sections of compressed data behind a header, a checksum over all of it. Here: writing and reading them, and a
// sentence for each way in which a file is none. Not here: what the sections hold (recording.ts).
//
//   0   'QUIREREC'
//   8   version, u32
//   12  number of sections, u32
//   16  each section: bytes as they lie here, bytes unpacked, u32 each
//       the sections, one after another, deflated
//       SHA-256 of everything before it
import { createHash } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { UserError } from '#base';

const MAGIC = 'QUIREREC';
export const QREC_VERSION = 1;
const TABLE = 16;
const ROW_BYTES = 8;
const CHECKSUM_BYTES = 32;
const MAX_SECTIONS = 64;

const checksum = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

export function packSections(sections: readonly Uint8Array[]): Uint8Array {
  const packed = sections.map((section) => deflateSync(section, { level: 6 }));
  const start = TABLE + sections.length * ROW_BYTES;
  const bytes = new Uint8Array(start + packed.reduce((n, { length }) => n + length, 0) + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, QREC_VERSION, true);
  view.setUint32(12, sections.length, true);
  let at = start;
  packed.forEach((section, i) => {
    view.setUint32(TABLE + i * ROW_BYTES, section.length, true);
    view.setUint32(TABLE + i * ROW_BYTES + 4, sections[i]!.length, true);
    bytes.set(section, at);
    at += section.length;
  });
  bytes.set(checksum(bytes.subarray(0, at)), at);
  return bytes;
}

/** @param name of the file, for its sentences @param wanted how many sections there must be @throws UserError where it is no recording, or a broken one */
export function unpackSections(bytes: Uint8Array, name: string, wanted: number): Uint8Array[] {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, MAGIC.length));
  if (head !== MAGIC && !(bytes.length > 0 && MAGIC.startsWith(head))) throw new UserError(`${name}: not a recording. quire record -o ${name} -- PROG makes one.`);
  const endsEarly = (whole: number | null): never => {
    throw new UserError(`${name}: it ends too early: ${bytes.length} bytes are there${whole === null ? '' : ` of ${whole}`}. Copy it again, or record the run again.`);
  };
  if (bytes.length < TABLE) return endsEarly(null);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(8, true);
  if (version !== QREC_VERSION) throw new UserError(`${name}: a recording of format ${version}, and this quire reads format ${QREC_VERSION}. Record the run again with this one.`);
  const damaged = (): UserError => new UserError(`${name}: damaged: its bytes are not those that were written (checksum). Copy it again, or record the run again.`);
  const nr = view.getUint32(12, true);
  if (nr > MAX_SECTIONS) throw damaged();
  const start = TABLE + nr * ROW_BYTES;
  if (bytes.length < start) return endsEarly(null);
  const sizes = Array.from({ length: nr }, (_, i) => ({ packed: view.getUint32(TABLE + i * ROW_BYTES, true), unpacked: view.getUint32(TABLE + i * ROW_BYTES + 4, true) }));
  const end = sizes.reduce((n, { packed }) => n + packed, start);
  if (bytes.length < end + CHECKSUM_BYTES) return endsEarly(end + CHECKSUM_BYTES);
  if (bytes.length > end + CHECKSUM_BYTES || !checksum(bytes.subarray(0, end)).every((byte, i) => byte === bytes[end + i]) || nr !== wanted) throw damaged();
  let at = start;
  return sizes.map(({ packed, unpacked }) => {
    const section = bytes.subarray(at, at + packed);
    at += packed;
    try {
      const whole = inflateSync(section, { maxOutputLength: Math.max(1, unpacked) });
      if (whole.length === unpacked) return new Uint8Array(whole.buffer, whole.byteOffset, whole.length);
    } catch { /* said below */ }
    throw damaged();
  });
}

/** Bytes of numbers from 0 to 2^53 - 1, small ones short: seven bits a byte, lowest first. */
export class VarintWriter {
  private pieces: Uint8Array[] = [];
  private piece = new Uint8Array(65536);
  private at = 0;

  put(n: number): void {
    if (this.at > this.piece.length - 8) this.turnOver();
    let left = n;
    while (left > 127) {
      this.piece[this.at++] = (left % 128) | 128;
      left = Math.floor(left / 128);
    }
    this.piece[this.at++] = left;
  }
  bytes(): Uint8Array {
    this.turnOver();
    return Buffer.concat(this.pieces);
  }
  private turnOver(): void {
    this.pieces.push(this.piece.slice(0, this.at));
    this.at = 0;
  }
}
export class VarintReader {
  private readonly bytes: Uint8Array;
  private at = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }
  /** The next number; null: what stands there is none. */
  next(): number | null {
    let n = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined || scale > 2 ** 49) return null;
      n += (byte & 127) * scale;
      if (byte < 128) return Number.isSafeInteger(n) ? n : null;
    }
  }
}
