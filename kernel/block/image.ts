// Where the sectors of a disk are. Here: the interface, an image in memory, and one that fails on purpose. Not here: time (device.ts), files of
// the host (a tool's: this room knows no host).
import { Prng } from '#base';
import { SECTOR_BYTES } from './bio.ts';

/** The medium. Offsets and lengths are bytes, multiples of 512, inside the image: the device has checked. */
export interface DiskImage {
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  /** false: the medium could not be read (EIO). */
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
  /** Everything written is durable from now on. */
  flush(): boolean;
}

/** An image that lives and dies with the machine. */
export class MemoryImage implements DiskImage {
  readonly isReadOnly: boolean;
  /** The image itself: a tool may keep it after the run. */
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array, isReadOnly = false) {
    this.bytes = bytes;
    this.isReadOnly = isReadOnly;
  }
  get sizeBytes(): number {
    return this.bytes.length;
  }
  read(offset: number, into: Uint8Array): boolean {
    into.set(this.bytes.subarray(offset, offset + into.length));
    return true;
  }
  write(offset: number, from: Uint8Array): boolean {
    this.bytes.set(from, offset);
    return true;
  }
  flush(): boolean {
    return true;
  }
}

const CHUNK_BYTES = 1 << 14;

/** A part of a sparse image. Once it is kept by a copy of the machine its bytes never change again: a write makes another. */
export class ImageChunk {
  readonly bytes: Uint8Array;
  isKept = false;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

/** The same for what is mostly never written, as swap: memory of the host goes only to the parts that were. Over another image it takes what is
 *  written, and leaves that one as it is. */
export class SparseImage implements DiskImage {
  readonly isReadOnly: boolean;
  readonly sizeBytes: number;
  private readonly base: DiskImage | null;
  private readonly chunks = new Map<number, ImageChunk>();
  constructor(sizeBytes: number, base: DiskImage | null = null) {
    this.sizeBytes = sizeBytes;
    this.base = base;
    this.isReadOnly = base?.isReadOnly ?? false;
  }
  read(offset: number, into: Uint8Array): boolean {
    let isRead = true;
    this.visit(offset, into.length, (at, inChunk, nr) => {
      const part = into.subarray(inChunk.done, inChunk.done + nr);
      const chunk = this.chunks.get(at);
      if (chunk !== undefined) part.set(chunk.bytes.subarray(inChunk.from, inChunk.from + nr));
      else if (this.base === null) part.fill(0);
      else isRead = this.base.read(at * CHUNK_BYTES + inChunk.from, part) && isRead;
    });
    return isRead;
  }
  write(offset: number, from: Uint8Array): boolean {
    let isWritten = true;
    this.visit(offset, from.length, (at, inChunk, nr) => {
      const chunk = this.chunkToWrite(at);
      if (chunk === null) isWritten = false;
      else chunk.bytes.set(from.subarray(inChunk.done, inChunk.done + nr), inChunk.from);
    });
    return isWritten;
  }
  /** null: what lies below it cannot be read. */
  private chunkToWrite(at: number): ImageChunk | null {
    const old = this.chunks.get(at);
    if (old !== undefined && !old.isKept) return old;
    const bytes = old?.bytes.slice() ?? new Uint8Array(Math.min(CHUNK_BYTES, this.sizeBytes - at * CHUNK_BYTES));
    if (old === undefined && this.base !== null && !this.base.read(at * CHUNK_BYTES, bytes)) return null;
    const chunk = new ImageChunk(bytes);
    this.chunks.set(at, chunk);
    return chunk;
  }
  flush(): boolean {
    return true;
  }
  private visit(offset: number, lenBytes: number, part: (chunk: number, at: { readonly from: number; readonly done: number }, nr: number) => void): void {
    for (let done = 0; done < lenBytes; ) {
      const from = (offset + done) % CHUNK_BYTES;
      const nr = Math.min(CHUNK_BYTES - from, lenBytes - done);
      part(Math.floor((offset + done) / CHUNK_BYTES), { from, done }, nr);
      done += nr;
    }
  }
}

export interface Faults {
  /** Sectors that can neither be read nor written. */
  readonly badSectors?: readonly number[];
  /** The power fails in the n-th write (counted from 1), of which a seeded number of sectors still arrives: the disk answers nothing more. */
  readonly crashAtWrite?: number;
  /** Writes are in a cache until a flush: a crash loses any of them, in whole or in part, in any order. false: each is durable at once. */
  readonly isVolatile?: boolean;
  /** Where a write may tear: at multiples of this, from the beginning of the disk. A disk of 4096-byte sectors writes those whole. Absent: 512. */
  readonly tearBytes?: number;
  readonly seed?: number;
}

/** An image that fails on purpose, for tests. */
export class FaultyImage implements DiskImage {
  readonly isReadOnly = false;
  /** Writes so far, the one that met the crash included. */
  nrWrites = 0;
  nrFlushes = 0;
  isCrashed = false;
  private readonly inner: MemoryImage;
  private readonly bad: ReadonlySet<number>;
  private readonly crashAt: number;
  private readonly isVolatile: boolean;
  private readonly random: Prng;
  private readonly tearBytes: number;
  /** What a crash cannot take any more. */
  private readonly durable: Uint8Array;
  /** Written since the last flush. */
  private unflushed: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  constructor(inner: MemoryImage, faults: Faults) {
    this.inner = inner;
    this.bad = new Set(faults.badSectors);
    this.crashAt = faults.crashAtWrite ?? Infinity;
    this.isVolatile = faults.isVolatile ?? true;
    this.random = new Prng(faults.seed ?? 1, 'faulty-image');
    this.tearBytes = faults.tearBytes ?? SECTOR_BYTES;
    this.durable = inner.bytes.slice();
  }
  get sizeBytes(): number {
    return this.inner.sizeBytes;
  }
  private isBad(offset: number, lenBytes: number): boolean {
    if (this.isCrashed) return true;
    for (let sector = offset / SECTOR_BYTES; sector < (offset + lenBytes) / SECTOR_BYTES; sector++) if (this.bad.has(sector)) return true;
    return false;
  }
  /** How much of a write arrives. */
  private tear(offset: number, lenBytes: number): number {
    const at = offset + this.random.below(lenBytes / SECTOR_BYTES + 1) * SECTOR_BYTES;
    return at === offset + lenBytes ? lenBytes : Math.max(0, at - (at % this.tearBytes) - offset);
  }
  read(offset: number, into: Uint8Array): boolean {
    return !this.isBad(offset, into.length) && this.inner.read(offset, into);
  }
  write(offset: number, from: Uint8Array): boolean {
    if (this.isBad(offset, from.length)) return false;
    const isLast = ++this.nrWrites === this.crashAt;
    const bytes = isLast ? from.slice(0, this.tear(offset, from.length)) : from.slice();
    if (this.isVolatile) this.unflushed.push({ offset, bytes });
    else this.durable.set(bytes, offset);
    if (!isLast) return this.inner.write(offset, from);
    this.isCrashed = true;
    return false;
  }
  flush(): boolean {
    if (this.isCrashed) return false;
    this.nrFlushes++;
    for (const { offset, bytes } of this.unflushed) this.durable.set(bytes, offset);
    this.unflushed = [];
    return true;
  }

  /** What the disk holds after the power failed now: all that was flushed, and of the rest what chance left. */
  afterCrash(): Uint8Array {
    const bytes = this.durable.slice();
    const left = [...this.unflushed];
    while (left.length > 0) {
      const [write] = left.splice(this.random.below(left.length), 1);
      const { offset, bytes: from } = write!;
      // Lost, torn, or whole.
      const fate = this.random.below(3);
      const kept = fate === 0 ? 0 : fate === 1 ? this.tear(offset, from.length) : from.length;
      bytes.set(from.subarray(0, kept), offset);
    }
    return bytes;
  }
}
