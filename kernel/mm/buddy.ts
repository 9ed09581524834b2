// The buddy system: free frames by order and migrate type. Here: splitting and merging, pageblocks, claiming and stealing from other types,
// the counts of /proc/buddyinfo and pagetypeinfo, the fragmentation measures. Not here: whether an allocation may succeed (page-alloc.ts),
// the per-cpu stock before it (pcp.ts), what the frames become (folio.ts). Mirrors __rmqueue(), __free_one_page() (mm/page_alloc.c, 6.18).
// Invariant: no two free buddies of one order stand unmerged; a frame is in at most one free block.
import { asPfn, bug, hex } from '#base';
import type { Pfn, StateHash } from '#base';
import { mmPageAllocExtfrag, mmPageAllocZoneLocked } from './events.ts';
import { FrameLists } from './frame-lists.ts';

/** Blocks of order 0 to 10: 4 KiB to 4 MiB. */
export const MAX_PAGE_ORDER = 10;
export const NR_ORDERS = MAX_PAGE_ORDER + 1;
/** A pageblock is what one migrate type owns at a time: 2 MiB. */
export const PAGEBLOCK_ORDER = 9;
export const PAGEBLOCK_PAGES = 1 << PAGEBLOCK_ORDER;

/** Blocks above this order are costly to make. */
export const PAGE_ALLOC_COSTLY_ORDER = 3;
/** Orders that the per-cpu stock keeps. */
export const isPcpOrder = (order: number): boolean => order <= PAGE_ALLOC_COSTLY_ORDER || order === PAGEBLOCK_ORDER;

/** What the frames of a pageblock are for: keeping apart what can be moved and what cannot. */
export const MigrateType = { Unmovable: 0, Movable: 1, Reclaimable: 2, HighAtomic: 3, Isolate: 4 } as const;
export type MigrateType = (typeof MigrateType)[keyof typeof MigrateType];
/** As /proc/pagetypeinfo prints them. */
export const migrateTypeNames = ['Unmovable', 'Movable', 'Reclaimable', 'HighAtomic', 'Isolate'] as const;
export const NR_MIGRATE_TYPES = migrateTypeNames.length;
/** The first three are the ones that allocations ask for. */
export const NR_PCP_TYPES = 3;

/** Where each type looks when its own lists are empty. */
const fallbacks: readonly (readonly MigrateType[])[] = [
  [MigrateType.Reclaimable, MigrateType.Movable],
  [MigrateType.Reclaimable, MigrateType.Unmovable],
  [MigrateType.Unmovable, MigrateType.Movable],
];
const NONE = -1;
/** findFallback(): there is none of this order; a block of this order or less may not be claimed. */
const NOTHING = -1;
const TOO_SMALL = -2;

/** What buddy asks about frames in use: which of them could be moved (PageLRU). */
export interface FrameUse { isMovable(pfn: Pfn): boolean }
const nothingMovable: FrameUse = { isMovable: () => false };

export class Buddy {
  readonly firstPfn: Pfn;
  readonly nrFrames: number;
  freePages = 0;
  /** A claim below a whole pageblock raises the watermarks; the allocator takes note and clears it. */
  claimedPart = false;
  readonly lists: FrameLists;
  private readonly frames: FrameUse;
  private readonly nrFree = new Int32Array(NR_ORDERS);
  // By row (frame less first frame); meaningful at the first frame of a free block only.
  private readonly freeOrder: Uint8Array; // order + 1; 0: not the first frame of a free block
  private readonly blockTypes: Uint8Array; // a pageblock each
  private readonly listTypes: Uint8Array; // the type whose list holds the block

  /** All frames start out taken; addRange() frees them. @param extraLists further lists that share the columns: the per-cpu stock's */
  constructor(firstPfn: Pfn, nrFrames: number, frames: FrameUse = nothingMovable, extraLists = 0) {
    if (firstPfn % (1 << MAX_PAGE_ORDER) !== 0) bug(`RAM starts at frame ${hex(firstPfn)}, inside a largest block`);
    this.firstPfn = firstPfn;
    this.nrFrames = nrFrames;
    this.frames = frames;
    this.lists = new FrameLists(NR_ORDERS * NR_MIGRATE_TYPES + extraLists, nrFrames);
    this.freeOrder = new Uint8Array(nrFrames);
    this.listTypes = new Uint8Array(nrFrames);
    this.blockTypes = new Uint8Array(Math.ceil(nrFrames / PAGEBLOCK_PAGES)).fill(MigrateType.Movable);
  }

  /** Frees [start, end) in the largest aligned blocks, lowest first in the lists, as memblock does at boot. */
  addRange(start: Pfn, end: Pfn): void {
    let at = start - this.firstPfn;
    const stop = end - this.firstPfn;
    while (at < stop) {
      let order = MAX_PAGE_ORDER;
      while (at % (1 << order) !== 0 || at + (1 << order) > stop) order--;
      this.link(at, order, this.blockTypes[at >> PAGEBLOCK_ORDER]!, true);
      this.freePages += 1 << order;
      at += 1 << order;
    }
  }

  /** The first frame of 2^order free frames, aligned to 2^order; 0 when there is none. Its own type's lists first, then by claiming a
   *  pageblock of another type, then by stealing. @param noFragment leave other types' pageblocks whole (ALLOC_NOFRAGMENT)
   *  Mirrors __rmqueue(). */
  alloc(order: number, type: MigrateType = MigrateType.Movable, noFragment = false): Pfn | 0 {
    let row = this.takeSmallest(order, type);
    if (row === NONE) row = this.claim(order, type, noFragment);
    if (row === NONE && !noFragment) row = this.steal(order, type);
    if (row === NONE) return 0;
    this.freePages -= 1 << order;
    return asPfn(this.firstPfn + row);
  }
  /** The same from the lists of one type alone. */
  allocFrom(order: number, type: MigrateType): Pfn | 0 {
    const row = this.takeSmallest(order, type);
    if (row === NONE) return 0;
    this.freePages -= 1 << order;
    return asPfn(this.firstPfn + row);
  }
  /** The smallest block of one type that will do. Mirrors __rmqueue_smallest(). */
  private takeSmallest(order: number, type: number): number {
    for (let at = order; at <= MAX_PAGE_ORDER; at++) {
      const row = this.lists.first(listOf(at, type));
      if (row === NONE) continue;
      this.unlink(row, at);
      this.expand(row, order, at, type);
      if (mmPageAllocZoneLocked.enabled) mmPageAllocZoneLocked.emit(this.firstPfn + row, order, type, isPcpOrder(order) && type < NR_PCP_TYPES ? 1 : 0);
      return row;
    }
    return NONE;
  }
  /** The upper halves go back, so that the next allocations continue upwards in memory. */
  private expand(row: number, order: number, from: number, type: number): void {
    for (let at = from; at > order; ) {
      at--;
      this.link(row + (1 << at), at, type, false);
    }
  }

  // Other types' blocks.

  /** Takes over a pageblock of another type, largest block first, so that the two mix in as few pageblocks as can be.
   *  Mirrors __rmqueue_claim(). */
  private claim(order: number, type: MigrateType, noFragment: boolean): number {
    const least = noFragment && order < PAGEBLOCK_ORDER ? PAGEBLOCK_ORDER : order;
    for (let at = MAX_PAGE_ORDER; at >= least; at--) {
      const other = this.findFallback(at, type, true);
      if (other === NOTHING) continue;
      if (other === TOO_SMALL) break;
      const found = this.lists.first(listOf(at, other));
      const row = this.tryClaim(found, at, order, type, other);
      if (row === NONE) continue;
      this.reportFallback(row, order, at, type, other);
      return row;
    }
    return NONE;
  }
  /** The smallest block of another type, its pageblock left as it is. Mirrors __rmqueue_steal(). */
  private steal(order: number, type: MigrateType): number {
    for (let at = order; at <= MAX_PAGE_ORDER; at++) {
      const other = this.findFallback(at, type, false);
      if (other < 0) continue;
      const row = this.lists.first(listOf(at, other));
      this.unlink(row, at);
      this.expand(row, order, at, other);
      this.reportFallback(row, order, at, type, other);
      return row;
    }
    return NONE;
  }
  /** The type to take a block of this order from; NOTHING, or TOO_SMALL to claim. Mirrors find_suitable_fallback(). */
  private findFallback(order: number, type: MigrateType, claiming: boolean): number {
    const mayClaim = order >= PAGEBLOCK_ORDER || order >= PAGEBLOCK_ORDER >> 1 || type !== MigrateType.Movable;
    if (claiming && !mayClaim) return TOO_SMALL;
    if (this.nrFree[order] === 0) return NOTHING;
    for (const other of fallbacks[type] ?? []) if (this.lists.first(listOf(order, other)) !== NONE) return other;
    return NOTHING;
  }
  /** Turns the pageblock around a free block over to `type` if at least half of it is free or of a like kind. Mirrors
   *  try_to_claim_block(). @returns the row allocated; -1: the block keeps its type */
  private tryClaim(row: number, at: number, order: number, type: MigrateType, other: number): number {
    if (at >= PAGEBLOCK_ORDER) {
      this.unlink(row, at);
      this.blockTypes.fill(type, row >> PAGEBLOCK_ORDER, (row + (1 << at)) >> PAGEBLOCK_ORDER);
      this.expand(row, order, at, type);
      return row;
    }
    this.claimedPart = true;
    const start = row & ~(PAGEBLOCK_PAGES - 1);
    const end = start + PAGEBLOCK_PAGES;
    if (end > this.nrFrames) return NONE;
    const { free, movable } = this.surveyBlock(start, end);
    const alike = type === MigrateType.Movable ? movable : other === MigrateType.Movable ? PAGEBLOCK_PAGES - free - movable : 0;
    if (free + alike < PAGEBLOCK_PAGES >> 1) return NONE;
    this.setBlockType(asPfn(this.firstPfn + start), type);
    return this.takeSmallest(order, type);
  }
  /** Free and movable pages of a pageblock. */
  private surveyBlock(start: number, end: number): { free: number; movable: number } {
    let [free, movable] = [0, 0];
    for (let row = start; row < end; ) {
      const order = this.freeOrder[row]! - 1;
      if (order >= 0) {
        free += 1 << order;
        row += 1 << order;
      } else {
        if (this.frames.isMovable(asPfn(this.firstPfn + row))) movable++;
        row++;
      }
    }
    return { free, movable };
  }
  private reportFallback(row: number, order: number, at: number, type: MigrateType, other: number): void {
    if (!mmPageAllocExtfrag.enabled) return;
    const owner = this.blockTypes[row >> PAGEBLOCK_ORDER]!;
    mmPageAllocExtfrag.emit(this.firstPfn + row, order, at, PAGEBLOCK_ORDER, type, other, at < PAGEBLOCK_ORDER ? 1 : 0, owner === type ? 1 : 0);
  }

  /** Gives 2^order frames back and merges them with their buddy as long as that is free. Mirrors __free_one_page(). */
  free(first: Pfn, order: number): void {
    let row = first - this.firstPfn;
    let at = order;
    if (row < 0 || row + (1 << order) > this.nrFrames || row % (1 << order) !== 0) bug(`free of ${hex(first)} order ${order}`);
    if (this.freeOrder[row] !== 0) bug(`frame ${hex(first)} freed twice`);
    const type = this.blockTypes[row >> PAGEBLOCK_ORDER]!;
    this.freePages += 1 << order;
    while (at < MAX_PAGE_ORDER) {
      const buddy = row ^ (1 << at);
      if (!this.isFreeBlock(buddy, at)) break;
      const other = this.blockTypes[buddy >> PAGEBLOCK_ORDER]!;
      if (other !== type) {
        // Above a pageblock two types may meet. Those that allocations ask for merge, and the freed one's name holds.
        if (other >= NR_PCP_TYPES || type >= NR_PCP_TYPES) break;
        this.blockTypes.fill(type, buddy >> PAGEBLOCK_ORDER, (buddy + (1 << at)) >> PAGEBLOCK_ORDER);
      }
      this.unlink(buddy, at);
      row &= buddy;
      at++;
    }
    // If the next larger pair is likely to complete soon, leave the block for last.
    const higher = row & ~(1 << at);
    const mergeLikely = at < MAX_PAGE_ORDER - 1 && this.isFreeBlock(higher ^ (1 << (at + 1)), at + 1);
    this.link(row, at, type, mergeLikely);
  }

  // Pageblocks.

  /** The migrate type of the pageblock around a frame. */
  blockType(pfn: Pfn): MigrateType {
    return this.blockTypes[(pfn - this.firstPfn) >> PAGEBLOCK_ORDER] as MigrateType;
  }
  /** Changes it, and moves the pageblock's free blocks to the new type's lists. Mirrors move_freepages_block(). */
  setBlockType(pfn: Pfn, type: MigrateType): void {
    const start = (pfn - this.firstPfn) & ~(PAGEBLOCK_PAGES - 1);
    const end = Math.min(start + PAGEBLOCK_PAGES, this.nrFrames);
    this.blockTypes[start >> PAGEBLOCK_ORDER] = type;
    for (let row = start; row < end; ) {
      const order = this.freeOrder[row]! - 1;
      if (order < 0) {
        row++;
        continue;
      }
      this.unlink(row, order);
      this.link(row, order, type, false);
      row += 1 << order;
    }
  }
  /** Changes it for all pageblocks of a block in use: change_pageblock_range(). */
  setRangeType(pfn: Pfn, order: number, type: MigrateType): void {
    const row = pfn - this.firstPfn;
    this.blockTypes.fill(type, row >> PAGEBLOCK_ORDER, (row + (1 << order)) >> PAGEBLOCK_ORDER);
  }
  /** Takes a free block out of the lists as it stands, for compaction. Mirrors __isolate_free_page(). @returns its order; -1: none starts here */
  isolate(pfn: Pfn): number {
    const row = pfn - this.firstPfn;
    const order = this.freeOrder[row]! - 1;
    if (order < 0) return NONE;
    this.unlink(row, order);
    this.freePages -= 1 << order;
    return order;
  }
  /** Whole pageblocks by type: the last table of /proc/pagetypeinfo. */
  blockTypeCounts(): number[] {
    const counts = Array<number>(NR_MIGRATE_TYPES).fill(0);
    for (const type of this.blockTypes) counts[type]!++;
    return counts;
  }

  // What is free.

  /** Free blocks of one order. */
  countOf(order: number): number {
    return this.nrFree[order]!;
  }
  /** Free blocks of one order in the lists of one type. */
  countOfType(order: number, type: number): number {
    return this.lists.length(listOf(order, type));
  }
  /** Free blocks by order: the numbers of /proc/buddyinfo. */
  counts(): number[] {
    return Array.from(this.nrFree);
  }
  /** Pages in the lists of one type. */
  freePagesOfType(type: number): number {
    let pages = 0;
    for (let at = 0; at <= MAX_PAGE_ORDER; at++) pages += this.countOfType(at, type) << at;
    return pages;
  }
  /** The first free block of a type, smallest order first; null: there is none. */
  firstOfType(type: number): { pfn: Pfn; order: number } | null {
    for (let order = 0; order <= MAX_PAGE_ORDER; order++) {
      const row = this.lists.first(listOf(order, type));
      if (row !== NONE) return { pfn: asPfn(this.firstPfn + row), order };
    }
    return null;
  }
  /** Is there a block of at least this order that an allocation may take? @param atomic the blocks reserved for atomic allocations too */
  canAlloc(order: number, atomic = false): boolean {
    for (let at = order; at <= MAX_PAGE_ORDER; at++) {
      if (this.nrFree[at] === 0) continue;
      for (let type = 0; type < NR_PCP_TYPES; type++) if (this.lists.first(listOf(at, type)) !== NONE) return true;
      if (atomic && this.lists.first(listOf(at, MigrateType.HighAtomic)) !== NONE) return true;
    }
    return false;
  }
  /** The order of the free block that starts at a frame; -1: none starts there. */
  blockAt(pfn: Pfn): number {
    return this.freeOrder[pfn - this.firstPfn]! - 1;
  }
  /** Every free block of an order, by type and in list order: the next to be handed out first. */
  blocksOf(order: number): Pfn[] {
    const list: Pfn[] = [];
    for (let type = 0; type < NR_MIGRATE_TYPES; type++) {
      for (let row = this.lists.first(listOf(order, type)); row !== NONE; row = this.lists.after(row)) list.push(asPfn(this.firstPfn + row));
    }
    return list;
  }

  /** Why a block of an order cannot be had, in thousandths: towards 0 for lack of memory, towards 1000 because what is free lies apart;
   *  -1000: it can be had. Mirrors __fragmentation_index(). */
  fragmentationIndex(order: number): number {
    let blocks = 0;
    for (let at = 0; at <= MAX_PAGE_ORDER; at++) {
      if (at >= order && this.nrFree[at]! > 0) return -1000;
      blocks += this.nrFree[at]!;
    }
    if (blocks === 0) return 0;
    return 1000 - Math.floor((1000 + Math.floor((this.freePages * 1000) / (1 << order))) / blocks);
  }
  /** The share of free memory that is of no use to an order, in thousandths. Mirrors unusable_free_index(). */
  unusableIndex(order: number): number {
    if (this.freePages === 0) return 1000;
    let usable = 0;
    for (let at = order; at <= MAX_PAGE_ORDER; at++) usable += this.nrFree[at]! << at;
    return Math.floor(((this.freePages - usable) * 1000) / this.freePages);
  }

  /** The same in percent, as compaction's score counts it: 0 when nothing is free. Mirrors extfrag_for_order(). */
  unusablePercent(order: number): number {
    if (this.freePages === 0) return 0;
    let usable = 0;
    for (let at = order; at <= MAX_PAGE_ORDER; at++) usable += this.nrFree[at]! << at;
    return Math.floor(((this.freePages - usable) * 100) / this.freePages);
  }

  private isFreeBlock(row: number, order: number): boolean {
    return row + (1 << order) <= this.nrFrames && this.freeOrder[row] === order + 1;
  }
  private link(row: number, order: number, type: number, atTail: boolean): void {
    this.freeOrder[row] = order + 1;
    this.listTypes[row] = type;
    if (atTail) this.lists.addLast(listOf(order, type), row);
    else this.lists.addFirst(listOf(order, type), row);
    this.nrFree[order]!++;
  }
  private unlink(row: number, order: number): void {
    this.lists.remove(listOf(order, this.listTypes[row]!), row);
    this.freeOrder[row] = 0;
    this.nrFree[order]!--;
  }

  hash(into: StateHash): void {
    for (let order = 0; order < NR_ORDERS; order++) {
      into.word(this.nrFree[order]!);
      for (const pfn of this.blocksOf(order)) into.word(pfn - this.firstPfn);
    }
    for (const type of this.blockTypes) into.word(type);
  }
}
const listOf = (order: number, type: number): number => order * NR_MIGRATE_TYPES + type;
/** Lists that the buddy system itself uses; extra ones come after. */
export const NR_BUDDY_LISTS = NR_ORDERS * NR_MIGRATE_TYPES;
