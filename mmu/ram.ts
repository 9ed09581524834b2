// Guest RAM: frames in the arena, from physical 0x8000_0000 on. Here: where a frame lies, its words, zeroing and copying, and which frames
// somebody has to hear of when they are written to: instructions that an engine has decoded, page tables that walks have read. Not here:
// translation (mmu.ts).
//
// A *host offset* is the byte offset in the arena. It is passed as a signed 32-bit number (`| 0`), because that is what V8 keeps in a
// register; NO_HOST is -1, which no byte of RAM has. Index typed arrays with `host >>> 0` (bytes) or `host >>> 2` (words).
import { PAGE_SIZE, asPfn, bug } from '#base';
import type { Pfn } from '#base';
import type { Arena } from './arena.ts';
import { Pte } from './pte.ts';

export const NO_HOST = -1;
export const RAM_FIRST_PFN: Pfn = asPfn(0x80000);
const NOT_ZERO = 1;
const CHANGED = 2;
/** What a first write to a frame leaves in the column that engines are told of (Ram.writtenAt). */
export const WRITTEN = NOT_ZERO | CHANGED;

/** Why stores to a frame take the slow path, as bits. Code: an engine holds decoded or translated instructions of it. Table: walks have read PTEs of it. */
export const Guard = { Code: 1, Table: 2 } as const;
/** What has become of page tables since somebody asked: some leaf that was valid is another now; or some pointer is, or what was a table is none. */
export const TableChange = { None: 0, Leaf: 1, Pointer: 2 } as const;
export type TableChange = (typeof TableChange)[keyof typeof TableChange];

export class Ram {
  readonly arena: Arena;
  readonly firstPfn: Pfn = RAM_FIRST_PFN;
  readonly nrFrames: number;
  /** Host offset of the first byte of RAM, a multiple of 64 KiB. */
  readonly hostBase: number;
  /** One byte a frame: Guard bits. */
  readonly guards: Uint8Array;
  /** One byte a frame, of two bits. NOT_ZERO: it may hold something; while it is known to hold zeros, as at the beginning, zeroing it is no work.
   *  CHANGED: somebody may have written to it since takeChanged() last asked. */
  private readonly written: Uint8Array;
  /** Frame indices with decoded instructions that somebody other than the engine wrote to; the engine drops them when it next runs. */
  readonly dirtyCode: number[] = [];
  /** One word: what has become of tables. In the arena, so that going back to an image of the machine's objects does not undo it. */
  private readonly tables: Int32Array;

  /** @param nrFrames RAM in 4 KiB frames. Call last: RAM takes the rest of the arena. */
  constructor(arena: Arena, nrFrames: number) {
    this.arena = arena;
    this.nrFrames = nrFrames;
    this.guards = arena.uint8(nrFrames);
    this.written = arena.uint8(nrFrames);
    this.tables = arena.int32(1);
    this.hostBase = arena.reserve(nrFrames * PAGE_SIZE, 65536);
  }

  /** Where the bytes of `written` lie in the arena, for an engine that says engineWrites() itself. */
  get writtenAt(): number {
    return this.written.byteOffset;
  }

  has(ppn: number): boolean {
    return ppn >= this.firstPfn && ppn < this.firstPfn + this.nrFrames;
  }
  /** Host offset of a frame, signed. The caller knows that the frame is RAM. */
  hostOf(pfn: Pfn): number {
    return (this.hostBase + (pfn - this.firstPfn) * PAGE_SIZE) | 0;
  }
  /** The frame that a host offset lies in. */
  pfnOfHost(host: number): Pfn {
    return asPfn(this.firstPfn + (((host >>> 0) - this.hostBase) >>> 12));
  }
  /** The word at `index` (0 to 1023) of a frame. */
  word(pfn: Pfn, index: number): number {
    return this.arena.i32[((this.hostOf(pfn) >>> 2) + index)]!;
  }
  /** The bytes of `nr` frames, live. */
  bytes(pfn: Pfn, nr = 1): Uint8Array {
    if (!this.has(pfn) || !this.has(pfn + nr - 1)) bug(`frames ${pfn}+${nr} are not RAM`);
    const host = this.hostOf(pfn) >>> 0;
    return this.arena.u8.subarray(host, host + nr * PAGE_SIZE);
  }
  /** To be called before anyone but the engine writes to a frame. */
  willWrite(pfn: Pfn): void {
    const index = pfn - this.firstPfn;
    this.written[index] = WRITTEN;
    this.unguard(index);
  }
  /** The same, before a PTE that was `low` becomes another. One that was not valid cannot have been cached. */
  willStorePte(table: Pfn, low: number): void {
    const index = table - this.firstPfn;
    this.written[index] = WRITTEN;
    const guard = this.guards[index]!;
    if (guard === 0) return;
    if ((guard & Guard.Code) !== 0) this.dirtyCode.push(index);
    if ((guard & Guard.Table) === 0 || (low & Pte.V) === 0) return;
    if ((low & (Pte.R | Pte.X)) === 0) this.noteTables();
    else if (this.tables[0] === TableChange.None) this.tables[0] = TableChange.Leaf;
  }
  /** Somebody writes to a frame, whatever it held. */
  private unguard(index: number): void {
    const guard = this.guards[index]!;
    if (guard === 0) return;
    if ((guard & Guard.Code) !== 0) this.dirtyCode.push(index);
    if ((guard & Guard.Table) !== 0) this.tableGoes(index);
  }
  /** A frame, by index, is no table any more. */
  tableGoes(index: number): void {
    this.guards[index]! &= ~Guard.Table;
    this.noteTables();
  }
  /** Any table may be another than it was. */
  noteTables(): void {
    this.tables[0] = TableChange.Pointer;
  }
  /** A walk reads PTEs of a frame. @returns whether it is the first one to: then the frame must leave the write filter */
  guardTable(table: Pfn): boolean {
    const index = table - this.firstPfn;
    if ((this.guards[index]! & Guard.Table) !== 0) return false;
    this.guards[index]! |= Guard.Table;
    return true;
  }
  /** What has become of guarded tables since the last call. */
  takeTableChange(): TableChange {
    const change = this.tables[0] as TableChange;
    this.tables[0] = TableChange.None;
    return change;
  }
  /** To be called before the engine first writes to a frame, which it knows by the frame's index. */
  engineWrites(index: number): void {
    this.written[index] = WRITTEN;
  }
  /** Are frames known to hold zeros? Then nobody can write to them without being asked first. */
  isKnownZero(first: Pfn, nr: number): boolean {
    for (let at = first - this.firstPfn; at < first - this.firstPfn + nr; at++) if ((this.written[at]! & NOT_ZERO) !== 0) return false;
    return true;
  }
  /** Does a frame hold nothing but zeros? Its last word is looked at first, which mostly tells. */
  isZero(pfn: Pfn): boolean {
    if (!this.has(pfn)) bug(`frame ${pfn} is not RAM`);
    if ((this.written[pfn - this.firstPfn]! & NOT_ZERO) === 0) return true;
    const { i32, f64 } = this.arena;
    const first = this.hostOf(pfn) >>> 2;
    if (i32[first + PAGE_SIZE / 4 - 1] !== 0) return false;
    // As doubles, eight bytes a look; -0 is zero to them, so that the signs are looked at apart.
    for (let at = first >>> 1, end = at + PAGE_SIZE / 8; at < end; at++) if (f64[at] !== 0) return false;
    for (let at = first + 1; at < first + PAGE_SIZE / 4; at += 2) if (i32[at] !== 0) return false;
    return true;
  }
  /** Makes frames zero, and passes over those that are known to be so: the host need not give memory for them yet.
   *  @param isAnnounced the engine will say engineWrites() before it writes to them again */
  zero(first: Pfn, nr: number, isAnnounced: boolean): void {
    if (!this.has(first) || !this.has(first + nr - 1)) bug(`frames ${first}+${nr} are not RAM`);
    const { written } = this;
    const begin = first - this.firstPfn;
    const end = begin + nr;
    for (let from = begin, to = begin; from < end; from = to) {
      while (to < end && (written[to]! & NOT_ZERO) === 0) to++;
      for (from = to; to < end && (written[to]! & NOT_ZERO) !== 0; to++) this.unguard(to);
      if (to > from) this.arena.u8.fill(0, this.hostBase + from * PAGE_SIZE, this.hostBase + to * PAGE_SIZE);
    }
    for (let at = begin; at < end; at++) written[at] = isAnnounced ? (written[at] === 0 ? 0 : CHANGED) : WRITTEN;
  }

  // Images (#cpu, image.ts).

  /** Indices of the frames that may have been written to since the last call, in order. Whoever asks sees to it that engines announce their next
   *  write to each frame anew. */
  takeChanged(): number[] {
    const { written } = this;
    const four = new Int32Array(written.buffer, written.byteOffset, written.length >>> 2);
    const frames: number[] = [];
    const look = (index: number): void => {
      if ((written[index]! & CHANGED) === 0) return;
      frames.push(index);
      written[index]! &= ~CHANGED;
    };
    for (let i = 0; i < four.length; i++) if ((four[i]! & 0x02020202) !== 0) for (let k = 4 * i; k < 4 * i + 4; k++) look(k);
    for (let k = 4 * four.length; k < written.length; k++) look(k);
    return frames;
  }
  /** A copy of a frame, by index; null: it is known to hold zeros. */
  frameImage(index: number): Uint8Array | null {
    if ((this.written[index]! & NOT_ZERO) === 0) return null;
    const at = this.hostBase + index * PAGE_SIZE;
    return this.arena.u8.slice(at, at + PAGE_SIZE);
  }
  /** Makes a frame what frameImage() gave. It counts as unchanged. */
  setFrame(index: number, image: Uint8Array | null): void {
    const at = this.hostBase + index * PAGE_SIZE;
    this.unguard(index);
    if (image !== null) this.arena.u8.set(image, at);
    else if ((this.written[index]! & NOT_ZERO) !== 0) this.arena.u8.fill(0, at, at + PAGE_SIZE);
    this.written[index] = image === null ? 0 : NOT_ZERO;
  }

  copy(to: Pfn, from: Pfn): void {
    this.willWrite(to);
    const source = this.hostOf(from) >>> 0;
    this.arena.u8.copyWithin(this.hostOf(to) >>> 0, source, source + PAGE_SIZE);
  }
}
