// The filter: for each access right a direct-mapped table of 4 KiB pages that an engine may touch without asking the MMU. It is no part of
// the model: a slot stands only while the L1 entry behind it is resident and its rights allow the access, so hitting it is an L1 hit by
// construction, and removing a slot never changes a count. (Design and measurements: TLB filter with timestamps.)
//
// A slot is four words: [tag low, tag high, delta, stamp]. tag: the page's virtual address; delta: host offset minus low address half;
// stamp: byte offset in the arena of the L1 entry's recency stamp (a double). An access hits when
//   (vaLo & (0xfffff000 | (size - 1))) === tag low && vaHi === tag high      misaligned accesses fail the first test
// and then does f64[stamp >>> 3] = stampAt(tick) and uses host offset (vaLo + delta) | 0.
// The write filter has a page only if its D bit is set and nobody has to hear of stores to its frame (Ram.guards).
import type { Arena } from './arena.ts';

export const FILTER_SLOTS = 1024;
export const SLOT_WORDS = 4;
/** Slots in a row that a superpage's entry remembers with one bit of 32 to have a page in. */
export const SHOWN_BLOCK = FILTER_SLOTS / 32;
/** A tag no access can match: bit 11 is set, and every mask above clears it. */
export const EMPTY_TAG = -1;

/** What an L1 entry is stamped with: twice the tick of the access, from here on, where doubles are the whole numbers: the bits of the stamp are those of
 *  this plus twice the tick, too, and emitted code counts in 64-bit integers. The second page of a split access is stamped one more. */
export const STAMP_BASE = 2 ** 52;
export const stampAt = (tick: number): number => STAMP_BASE + 2 * tick;
export const tickAt = (stamp: number): number => (stamp - STAMP_BASE) / 2;

/** Index of a page's slot (its first word) in a filter table. */
export const slotOf = (vaLo: number): number => ((vaLo >>> 12) & (FILTER_SLOTS - 1)) * SLOT_WORDS;

export class Filter {
  readonly read: Int32Array;
  readonly write: Int32Array;
  readonly exec: Int32Array;

  constructor(arena: Arena) {
    this.read = arena.int32(FILTER_SLOTS * SLOT_WORDS);
    this.write = arena.int32(FILTER_SLOTS * SLOT_WORDS);
    this.exec = arena.int32(FILTER_SLOTS * SLOT_WORDS);
    this.clear();
  }

  clear(): void {
    this.read.fill(EMPTY_TAG);
    this.write.fill(EMPTY_TAG);
    this.exec.fill(EMPTY_TAG);
  }
  clearWrite(): void {
    this.write.fill(EMPTY_TAG);
  }
  clearExec(): void {
    this.exec.fill(EMPTY_TAG);
  }
  /** Enters one page into one table. @param pageLo low half of the page's address, 12 low bits zero */
  enter(table: Int32Array, pageHi: number, pageLo: number, hostPage: number, stampByte: number): void {
    const slot = slotOf(pageLo);
    table[slot] = pageLo;
    table[slot + 1] = pageHi;
    table[slot + 2] = (hostPage - pageLo) | 0;
    table[slot + 3] = stampByte;
  }
  /** Removes one page from all tables, if it is there. */
  drop(pageHi: number, pageLo: number): void {
    const slot = slotOf(pageLo);
    for (const table of [this.read, this.write, this.exec]) {
      if (table[slot] === pageLo && table[slot + 1] === pageHi) table[slot] = EMPTY_TAG;
    }
  }
}
