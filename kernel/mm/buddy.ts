// The buddy system: free frames by order. Here: splitting and merging, the free lists, the counts of /proc/buddyinfo. Not here: whether an
// allocation is allowed to succeed (watermark.ts), what the frames become (folio.ts). Mirrors mm/page_alloc.c without migrate types.
// Invariant: no two free buddies of one order stand unmerged; a frame is in at most one free block.
import { asPfn, bug, hex } from '#base';
import type { Pfn, StateHash } from '#base';

/** Blocks of order 0 to 10: 4 KiB to 4 MiB. */
export const MAX_PAGE_ORDER = 10;
const NR_ORDERS = MAX_PAGE_ORDER + 1;
const NONE = -1;

export class Buddy {
  readonly firstPfn: Pfn;
  readonly nrFrames: number;
  freePages = 0;
  private readonly nrFree = new Int32Array(NR_ORDERS);
  private readonly head = new Int32Array(NR_ORDERS).fill(NONE);
  private readonly tail = new Int32Array(NR_ORDERS).fill(NONE);
  // By row (frame less first frame); meaningful at the first frame of a free block only.
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  private readonly freeOrder: Uint8Array; // order + 1; 0: not the first frame of a free block

  /** All frames start out taken; addRange() frees them. */
  constructor(firstPfn: Pfn, nrFrames: number) {
    if (firstPfn % (1 << MAX_PAGE_ORDER) !== 0) bug(`RAM starts at frame ${hex(firstPfn)}, inside a largest block`);
    this.firstPfn = firstPfn;
    this.nrFrames = nrFrames;
    this.next = new Int32Array(nrFrames);
    this.prev = new Int32Array(nrFrames);
    this.freeOrder = new Uint8Array(nrFrames);
  }

  /** Frees [start, end) in the largest aligned blocks, lowest first in the lists, as memblock does at boot. */
  addRange(start: Pfn, end: Pfn): void {
    let at = start - this.firstPfn;
    const stop = end - this.firstPfn;
    while (at < stop) {
      let order = MAX_PAGE_ORDER;
      while (at % (1 << order) !== 0 || at + (1 << order) > stop) order--;
      this.link(at, order, true);
      this.freePages += 1 << order;
      at += 1 << order;
    }
  }

  /** The first frame of 2^order free frames, aligned to 2^order; 0 when there is none. Mirrors __rmqueue_smallest() and expand(). */
  alloc(order: number): Pfn | 0 {
    let at = order;
    while (at <= MAX_PAGE_ORDER && this.head[at] === NONE) at++;
    if (at > MAX_PAGE_ORDER) return 0;
    const row = this.head[at]!;
    this.unlink(row, at);
    // The upper halves go back, so that the next allocations continue upwards in memory.
    while (at > order) {
      at--;
      this.link(row + (1 << at), at, false);
    }
    this.freePages -= 1 << order;
    return asPfn(this.firstPfn + row);
  }

  /** Gives 2^order frames back and merges them with their buddy as long as that is free. Mirrors __free_one_page(). */
  free(first: Pfn, order: number): void {
    let row = first - this.firstPfn;
    let at = order;
    if (row < 0 || row + (1 << order) > this.nrFrames || row % (1 << order) !== 0) bug(`free of ${hex(first)} order ${order}`);
    if (this.freeOrder[row] !== 0) bug(`frame ${hex(first)} freed twice`);
    this.freePages += 1 << order;
    while (at < MAX_PAGE_ORDER) {
      const buddy = row ^ (1 << at);
      if (!this.isFreeBlock(buddy, at)) break;
      this.unlink(buddy, at);
      row &= buddy;
      at++;
    }
    // If the next larger pair is likely to complete soon, leave the block for last.
    const higher = row & ~(1 << at);
    const mergeLikely = at < MAX_PAGE_ORDER - 1 && this.isFreeBlock(higher ^ (1 << (at + 1)), at + 1);
    this.link(row, at, mergeLikely);
  }

  /** Free blocks of one order. */
  countOf(order: number): number {
    return this.nrFree[order]!;
  }
  /** Free blocks by order: the numbers of /proc/buddyinfo. */
  counts(): number[] {
    return Array.from(this.nrFree);
  }
  /** Is there a block of at least this order? */
  canAlloc(order: number): boolean {
    for (let at = order; at <= MAX_PAGE_ORDER; at++) if (this.head[at] !== NONE) return true;
    return false;
  }
  /** The order of the free block that starts at a frame; -1: none starts there. */
  blockAt(pfn: Pfn): number {
    return this.freeOrder[pfn - this.firstPfn]! - 1;
  }
  /** Every free block of an order, in list order: the next to be handed out first. */
  blocksOf(order: number): Pfn[] {
    const list: Pfn[] = [];
    for (let row = this.head[order]!; row !== NONE; row = this.next[row]!) list.push(asPfn(this.firstPfn + row));
    return list;
  }

  private isFreeBlock(row: number, order: number): boolean {
    return row + (1 << order) <= this.nrFrames && this.freeOrder[row] === order + 1;
  }
  private link(row: number, order: number, atTail: boolean): void {
    const neighbour = atTail ? this.tail[order]! : this.head[order]!;
    this.freeOrder[row] = order + 1;
    this.next[row] = atTail ? NONE : neighbour;
    this.prev[row] = atTail ? neighbour : NONE;
    if (atTail) {
      if (neighbour === NONE) this.head[order] = row;
      else this.next[neighbour] = row;
      this.tail[order] = row;
    } else {
      if (neighbour === NONE) this.tail[order] = row;
      else this.prev[neighbour] = row;
      this.head[order] = row;
    }
    this.nrFree[order]!++;
  }
  private unlink(row: number, order: number): void {
    const next = this.next[row]!;
    const prev = this.prev[row]!;
    if (prev === NONE) this.head[order] = next;
    else this.next[prev] = next;
    if (next === NONE) this.tail[order] = prev;
    else this.prev[next] = prev;
    this.freeOrder[row] = 0;
    this.nrFree[order]!--;
  }

  hash(into: StateHash): void {
    for (let order = 0; order < NR_ORDERS; order++) {
      into.word(this.nrFree[order]!);
      for (let row = this.head[order]!; row !== NONE; row = this.next[row]!) into.word(row);
    }
  }
}
