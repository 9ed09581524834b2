// The memory map: what is known of each frame, a column a field, a row a frame. Here: flags, references, mapcounts, order, head, the
// memdesc word. Not here: which frames are free (buddy.ts), what a mapping does to the counts (rmap.ts).
// Mirrors struct page and struct folio (include/linux/mm_types.h). A count here is the number itself; Linux stores mapcounts less one.
import { asFolio, bug, hex } from '#base';
import type { Folio, Pfn, StateHash } from '#base';

/** Flags of a folio (of a page: AnonExclusive), with Linux 6.12's bit numbers. From bit 24 on: what Linux keeps in tail records. */
export const FolioFlag = {
  Locked: 1 << 0, Writeback: 1 << 1, Referenced: 1 << 2, Uptodate: 1 << 3, Dirty: 1 << 4, Lru: 1 << 5, Head: 1 << 6, Waiters: 1 << 7,
  Active: 1 << 8, Workingset: 1 << 9, SwapCache: 1 << 10, AnonExclusive: 1 << 11, Reserved: 1 << 13, Private: 1 << 14, Reclaim: 1 << 16,
  SwapBacked: 1 << 17, Unevictable: 1 << 18, Mlocked: 1 << 19,
  PartiallyMapped: 1 << 24, DeferredSplit: 1 << 25, MaybeShared: 1 << 26,
  /** Ours: a read of this folio alone, after one together with others, is under way or has failed. */
  ReadAlone: 1 << 27,
} as const;

/** The low four bits of the memdesc word: what an allocation is. 0, 4, 8 and 12 all mean free, for a free-list pointer overlays the word. */
export const MemdescType = {
  Buddy: 0, Misc: 1, FileFolio: 2, AnonFolio: 3, Slab: 5, Bump: 6, Movable: 7, Hwpoison: 9, Accounted: 10, Zpdesc: 11, Ksm: 13, PageTable: 14,
} as const;
export type MemdescType = (typeof MemdescType)[keyof typeof MemdescType];

/** Added to nrPagesMapped while a PMD maps the folio whole. */
export const ENTIRELY_MAPPED = 0x80_0000;

export class FolioTable {
  readonly firstPfn: Pfn;
  readonly nrFrames: number;
  /** Look-ups of a frame's head: made, where all that was known was a frame; saved, where a function that is given a folio would have made one
   *  if it were given a page (page_folio(), compound_head()). */
  readonly headLookups = { made: 0, saved: 0 };
  private readonly flagBits: Uint32Array;
  private readonly refs: Int32Array; // 0: free; heads only
  private readonly types: Uint8Array;
  private readonly orders: Uint8Array; // heads only
  private readonly headDistance: Uint16Array; // how far the head lies below; 0: a head
  private readonly mapcounts: Int32Array; // PTEs that map this page
  private readonly entireMapcounts: Int32Array; // PMDs that map the folio whole; heads
  private readonly largeMapcounts: Int32Array; // all mappings of any page of a large folio; heads
  private readonly pagesMapped: Int32Array; // pages with a PTE mapping, plus ENTIRELY_MAPPED; heads of large folios
  private readonly mmIds: Int32Array; // two slots a folio; 0: empty
  private readonly mmIdMapcounts: Int32Array;
  private readonly mappings: Int32Array; // address-space id, or minus the anon_vma's id; 0: none
  private readonly indices: Float64Array; // page offset in the file or in the VMA's numbering
  private readonly mlockCounts: Int32Array;
  private readonly groups: Uint16Array; // memory control group that is charged; 0: none
  private readonly swaps: Int32Array; // swap entry of the folio's first page while it is in the swap cache; 0: it is not
  private readonly lruWords: Uint16Array; // what a reclaim policy keeps with a folio

  constructor(firstPfn: Pfn, nrFrames: number) {
    this.firstPfn = firstPfn;
    this.nrFrames = nrFrames;
    this.flagBits = new Uint32Array(nrFrames);
    this.refs = new Int32Array(nrFrames);
    this.types = new Uint8Array(nrFrames);
    this.orders = new Uint8Array(nrFrames);
    this.headDistance = new Uint16Array(nrFrames);
    this.mapcounts = new Int32Array(nrFrames);
    this.entireMapcounts = new Int32Array(nrFrames);
    this.largeMapcounts = new Int32Array(nrFrames);
    this.pagesMapped = new Int32Array(nrFrames);
    this.mmIds = new Int32Array(nrFrames * 2);
    this.mmIdMapcounts = new Int32Array(nrFrames * 2);
    this.mappings = new Int32Array(nrFrames);
    this.indices = new Float64Array(nrFrames);
    this.mlockCounts = new Int32Array(nrFrames);
    this.groups = new Uint16Array(nrFrames);
    this.swaps = new Int32Array(nrFrames);
    this.lruWords = new Uint16Array(nrFrames);
  }

  private row(pfn: Pfn): number {
    const row = pfn - this.firstPfn;
    if (row < 0 || row >= this.nrFrames) bug(`frame ${hex(pfn)} is not RAM`);
    return row;
  }
  has(pfn: number): boolean {
    return pfn >= this.firstPfn && pfn < this.firstPfn + this.nrFrames;
  }

  // What an allocation is.

  /** Makes 2^order free frames one allocation with one reference. Every frame's memdesc word names the same descriptor. */
  prepare(first: Pfn, order: number, type: MemdescType): Folio {
    const row = this.row(first);
    const nr = 1 << order;
    if (this.refs[row] !== 0) bug(`allocated frame ${hex(first)} handed out again`);
    this.refs[row] = 1;
    this.orders[row] = order;
    this.flagBits[row] = order > 0 ? FolioFlag.Head : 0;
    this.types[row] = type;
    for (let i = 1; i < nr; i++) {
      this.types[row + i] = type;
      this.headDistance[row + i] = i;
    }
    return asFolio(first);
  }
  /** The reverse: the frames belong to nobody. The caller gives them to the buddy system. */
  retire(folio: Folio): void {
    const row = this.row(folio);
    const nr = 1 << this.orders[row]!;
    if (this.refs[row] !== 0) bug(`folio ${hex(folio)} freed with ${this.refs[row]} references`);
    if (this.largeMapcounts[row] !== 0) bug(`folio ${hex(folio)} freed while mapped`);
    for (let i = 0; i < nr; i++) {
      if (this.mapcounts[row + i] !== 0) bug(`frame ${hex(folio + i)} freed while mapped`);
      this.flagBits[row + i] = 0;
      this.types[row + i] = MemdescType.Buddy;
      this.headDistance[row + i] = 0;
    }
    this.orders[row] = 0;
    this.mappings[row] = 0;
    this.indices[row] = 0;
    this.pagesMapped[row] = 0;
    this.mlockCounts[row] = 0;
    this.groups[row] = 0;
    this.lruWords[row] = 0;
    if (this.swaps[row] !== 0) bug(`folio ${hex(folio)} freed in the swap cache`);
    this.mmIds.fill(0, row * 2, row * 2 + 2);
    this.mmIdMapcounts.fill(0, row * 2, row * 2 + 2);
  }
  /** Makes a folio that nobody maps, and to which only the caller holds a reference, folios of the given orders, which follow each other
   *  and fill it. Each has one reference, the flags of the old one but for what was the large folio's own, and its place in the file or
   *  VMA. Mirrors __split_folio_to_order(). */
  split(folio: Folio, orders: readonly number[]): void {
    const row = this.row(folio);
    const end = row + (1 << this.orders[row]!);
    if (this.refs[row] !== 1 || this.largeMapcounts[row] !== 0 || this.pagesMapped[row] !== 0) bug(`split of folio ${hex(folio)} in use`);
    // AnonExclusive is the first page's own, which may have no mapping left to carry it.
    const own = FolioFlag.Head | FolioFlag.PartiallyMapped | FolioFlag.DeferredSplit | FolioFlag.MaybeShared | FolioFlag.AnonExclusive;
    const flags = this.flagBits[row]! & ~own;
    const index = this.indices[row]!;
    const swap = this.swaps[row]!;
    let at = row;
    for (const order of orders) {
      this.flagBits[at] = flags | (order > 0 ? FolioFlag.Head : 0);
      this.refs[at] = 1;
      this.orders[at] = order;
      this.mappings[at] = this.mappings[row]!;
      this.indices[at] = index + at - row;
      this.mlockCounts[at] = 0;
      this.groups[at] = this.groups[row]!;
      this.swaps[at] = swap === 0 ? 0 : swap + at - row;
      this.lruWords[at] = this.lruWords[row]!;
      this.mmIds.fill(0, at * 2, at * 2 + 2);
      this.mmIdMapcounts.fill(0, at * 2, at * 2 + 2);
      for (let i = 0; i < 1 << order; i++) this.headDistance[at + i] = i;
      at += 1 << order;
    }
    if (at !== end) bug(`pieces of folio ${hex(folio)} do not fill it`);
  }
  /** The contents of a folio have moved to another one of its size, and neither is mapped: what is known of them moves, too; references do
   *  not. Mirrors folio_migrate_flags(). */
  moveState(from: Folio, to: Folio): void {
    const [a, b] = [this.row(from), this.row(to)];
    const own = FolioFlag.Head | FolioFlag.MaybeShared | FolioFlag.PartiallyMapped | FolioFlag.DeferredSplit | FolioFlag.AnonExclusive;
    this.flagBits[b]! |= this.flagBits[a]! & ~own;
    this.flagBits[a]! &= own;
    this.mappings[b] = this.mappings[a]!;
    this.indices[b] = this.indices[a]!;
    this.mlockCounts[b] = this.mlockCounts[a]!;
    this.mlockCounts[a] = 0;
    this.groups[b] = this.groups[a]!;
    this.groups[a] = 0;
    this.swaps[b] = this.swaps[a]!;
    this.swaps[a] = 0;
    this.lruWords[b] = this.lruWords[a]!;
  }
  typeOf(pfn: Pfn): MemdescType {
    return this.types[this.row(pfn)] as MemdescType;
  }
  /** Is the frame's owner user memory, which can be moved (PageLRU)? */
  isMovable(pfn: Pfn): boolean {
    const type = this.types[this.row(pfn)]!;
    return type === MemdescType.AnonFolio || type === MemdescType.FileFolio;
  }
  /** The folio that a frame belongs to: Linux's page_folio(). */
  folioOf(pfn: Pfn): Folio {
    this.headLookups.made++;
    return asFolio(pfn - this.headDistance[this.row(pfn)]!);
  }
  isTail(pfn: Pfn): boolean {
    return this.headDistance[this.row(pfn)] !== 0;
  }
  order(folio: Folio): number {
    this.headLookups.saved++;
    return this.orders[this.row(folio)]!;
  }
  nrPages(folio: Folio): number {
    return 1 << this.orders[this.row(folio)]!;
  }
  isLarge(folio: Folio): boolean {
    return this.orders[this.row(folio)] !== 0;
  }
  isAnon(folio: Folio): boolean {
    this.headLookups.saved++;
    return this.types[this.row(folio)] === MemdescType.AnonFolio;
  }

  // References.

  refCount(folio: Folio): number {
    return this.refs[this.row(folio)]!;
  }
  get(folio: Folio, nr = 1): void {
    const row = this.row(folio);
    this.headLookups.saved++;
    if (this.refs[row]! <= 0) bug(`reference to free folio ${hex(folio)}`);
    this.refs[row]! += nr;
  }
  /** @returns true: that was the last reference, and the caller frees the folio. */
  put(folio: Folio, nr = 1): boolean {
    const row = this.row(folio);
    this.headLookups.saved++;
    if (this.refs[row]! < nr) bug(`put of folio ${hex(folio)} with ${this.refs[row]} references`);
    this.refs[row]! -= nr;
    return this.refs[row] === 0;
  }

  // Flags.

  flags(pfn: Pfn): number {
    return this.flagBits[this.row(pfn)]!;
  }
  test(pfn: Pfn, flag: number): boolean {
    if (flag !== FolioFlag.AnonExclusive) this.headLookups.saved++; // that one is a page's own
    return (this.flagBits[this.row(pfn)]! & flag) !== 0;
  }
  set(pfn: Pfn, flag: number): void {
    if (flag !== FolioFlag.AnonExclusive) this.headLookups.saved++; // that one is a page's own
    this.flagBits[this.row(pfn)]! |= flag;
  }
  clear(pfn: Pfn, flag: number): void {
    if (flag !== FolioFlag.AnonExclusive) this.headLookups.saved++; // that one is a page's own
    this.flagBits[this.row(pfn)]! &= ~flag;
  }
  isAnonExclusive(page: Pfn): boolean {
    return (this.flagBits[this.row(page)]! & FolioFlag.AnonExclusive) !== 0;
  }

  // Where it belongs.

  mapping(folio: Folio): number {
    this.headLookups.saved++;
    return this.mappings[this.row(folio)]!;
  }
  index(folio: Folio): number {
    this.headLookups.saved++;
    return this.indices[this.row(folio)]!;
  }
  /** @param mapping address-space id, or minus an anon_vma's id */
  setMapping(folio: Folio, mapping: number, index: number): void {
    this.headLookups.saved++;
    const row = this.row(folio);
    this.mappings[row] = mapping;
    this.indices[row] = index;
  }

  // Mapcounts. rmap.ts keeps them in step with each other.

  /** PTEs that map this very page, in all address spaces. */
  mapcount(page: Pfn): number {
    return this.mapcounts[this.row(page)]!;
  }
  addMapcount(page: Pfn, n: number): number {
    return (this.mapcounts[this.row(page)]! += n);
  }
  /** Every page of a fresh folio has its first mapping, which no other address space shares. */
  mapFresh(folio: Folio): void {
    const row = this.row(folio);
    const end = row + (1 << this.orders[row]!);
    const { mapcounts, flagBits } = this;
    for (let at = row; at < end; at++) {
      mapcounts[at]! += 1;
      flagBits[at]! |= FolioFlag.AnonExclusive;
    }
  }
  entireMapcount(folio: Folio): number {
    return this.entireMapcounts[this.row(folio)]!;
  }
  addEntireMapcount(folio: Folio, n: number): number {
    return (this.entireMapcounts[this.row(folio)]! += n);
  }
  nrPagesMapped(folio: Folio): number {
    return this.pagesMapped[this.row(folio)]!;
  }
  addPagesMapped(folio: Folio, n: number): number {
    return (this.pagesMapped[this.row(folio)]! += n);
  }
  /** All mappings of a folio, of any of its pages: folio_mapcount(). */
  folioMapcount(folio: Folio): number {
    this.headLookups.saved++;
    const row = this.row(folio);
    return this.orders[row] === 0 ? this.mapcounts[row]! : this.largeMapcounts[row]!;
  }
  /** Mappings of one page, PMDs included: what Pss divides by. */
  pageMapcount(page: Pfn): number {
    return this.mapcounts[this.row(page)]! + this.entireMapcounts[this.row(this.folioOf(page))]!;
  }

  /** Counts n more mappings of a large folio by one address space. A folio remembers two owners exactly, and whether it may have more
   *  (6.15's mm ids). Mirrors folio_add_return_large_mapcount(). */
  addLargeMapcount(folio: Folio, n: number, mmId: number): void {
    this.headLookups.saved++;
    const row = this.row(folio);
    const total = (this.largeMapcounts[row]! += n);
    const slot = row * 2;
    if (this.mmIds[slot] === mmId) this.mmIdMapcounts[slot]! += n;
    else if (this.mmIds[slot + 1] === mmId) this.mmIdMapcounts[slot + 1]! += n;
    else if (this.mmIds[slot] === 0) {
      this.mmIds[slot] = mmId;
      this.mmIdMapcounts[slot] = n;
      if (total !== n) this.flagBits[row]! |= FolioFlag.MaybeShared;
    } else if (this.mmIds[slot + 1] === 0) {
      this.mmIds[slot + 1] = mmId;
      this.mmIdMapcounts[slot + 1] = n;
      this.flagBits[row]! |= FolioFlag.MaybeShared;
    }
  }
  /** Counts n mappings less. Mirrors folio_sub_return_large_mapcount(). */
  subLargeMapcount(folio: Folio, n: number, mmId: number): void {
    this.headLookups.saved++;
    const row = this.row(folio);
    const total = (this.largeMapcounts[row]! -= n);
    if (total < 0) bug(`folio ${hex(folio)} unmapped more often than mapped`);
    for (const slot of [row * 2, row * 2 + 1]) {
      if (this.mmIds[slot] !== mmId) continue;
      this.mmIdMapcounts[slot]! -= n;
      if (this.mmIdMapcounts[slot]! <= 0) {
        this.mmIds[slot] = 0;
        this.mmIdMapcounts[slot] = 0;
      }
      break;
    }
    // One owner of all mappings: exclusive again (also when nobody maps it any more).
    if (this.mmIdMapcounts[row * 2] === total || this.mmIdMapcounts[row * 2 + 1] === total) this.flagBits[row]! &= ~FolioFlag.MaybeShared;
  }
  /** folio_maybe_mapped_shared(): exact while at most two address spaces map a large folio, errs towards "shared" after. */
  maybeMappedShared(folio: Folio): boolean {
    const count = this.folioMapcount(folio);
    return count > 1 && (!this.isLarge(folio) || this.test(folio, FolioFlag.MaybeShared));
  }

  /** The address space that a slot of a large folio names; 0: the slot is empty. */
  mmIdAt(folio: Folio, slot: 0 | 1): number {
    return this.mmIds[this.row(folio) * 2 + slot]!;
  }
  /** Mappings by the address space in a slot, as far as they were counted. */
  mmIdMapcountAt(folio: Folio, slot: 0 | 1): number {
    return this.mmIdMapcounts[this.row(folio) * 2 + slot]!;
  }

  mlockCount(folio: Folio): number {
    return this.mlockCounts[this.row(folio)]!;
  }
  addMlockCount(folio: Folio, n: number): number {
    this.headLookups.saved++;
    return (this.mlockCounts[this.row(folio)]! += n);
  }

  /** The memory control group that pays for the folio, by its number; 0: nobody does. folio_memcg() */
  group(folio: Folio): number {
    return this.groups[this.row(folio)]!;
  }
  setGroup(folio: Folio, id: number): void {
    this.groups[this.row(folio)] = id;
  }
  /** The swap entry of the first page, the others follow; 0: not in the swap cache. folio->swap */
  swapEntry(folio: Folio): number {
    return this.swaps[this.row(folio)]!;
  }
  setSwapEntry(folio: Folio, entry: number): void {
    this.swaps[this.row(folio)] = entry;
  }
  /** Sixteen bits that the reclaim policy in force keeps with a folio; 0 for a folio that it has not seen. */
  lruWord(folio: Folio): number {
    return this.lruWords[this.row(folio)]!;
  }
  setLruWord(folio: Folio, word: number): void {
    this.lruWords[this.row(folio)] = word;
  }
  /** Is the folio's home a file (folio_is_file_lru())? Anonymous memory that was freed lazily counts as that, for it needs no swap. */
  isFileLru(folio: Folio): boolean {
    return (this.flagBits[this.row(folio)]! & FolioFlag.SwapBacked) === 0;
  }

  hash(into: StateHash): void {
    into.int32s(this.flagBits);
    into.int32s(this.refs);
    into.int32s(this.mapcounts);
    into.int32s(this.largeMapcounts);
    into.int32s(this.entireMapcounts);
    into.int32s(this.mappings);
    into.int32s(this.swaps);
    into.int32s(new Int32Array(this.groups.buffer, 0, this.nrFrames >> 1));
    into.int32s(new Int32Array(this.lruWords.buffer, 0, this.nrFrames >> 1));
    into.int32s(new Int32Array(this.types.buffer, 0, this.nrFrames >> 2));
    into.int32s(new Int32Array(this.orders.buffer, 0, this.nrFrames >> 2));
  }
}
