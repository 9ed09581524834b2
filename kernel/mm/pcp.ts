// The per-cpu stock: frees and allocations of common sizes that take no zone lock. Here: lists of order 0 to 3 and 9 by migrate type, how much is
// fetched and given back at a time, how large the stock may grow. Not here: the zone behind it (buddy.ts), whether an allocation may succeed
// (page-alloc.ts). Mirrors struct per_cpu_pages, rmqueue_bulk(), free_frozen_page_commit(), free_pcppages_bulk() (mm/page_alloc.c, 6.18).
import { asPfn } from '#base';
import type { Pfn, StateHash } from '#base';
import { MigrateType, NR_BUDDY_LISTS, NR_PCP_TYPES, PAGEBLOCK_ORDER, PAGE_ALLOC_COSTLY_ORDER, isPcpOrder } from './buddy.ts';
import type { Buddy } from './buddy.ts';
import { mmPagePcpuDrain } from './events.ts';

export { PAGE_ALLOC_COSTLY_ORDER, isPcpOrder };
/** Three types of four orders, and order 9 for movable and for the rest. */
export const NR_PCP_LISTS = NR_PCP_TYPES * (PAGE_ALLOC_COSTLY_ORDER + 1) + 2;
const FIRST_HUGE_LIST = NR_PCP_TYPES * (PAGE_ALLOC_COSTLY_ORDER + 1);
/** CONFIG_PCP_BATCH_SCALE_MAX: refills in a row grow up to 2^5 batches. */
const BATCH_SCALE_MAX = 5;
/** The stock may hold an eighth of the zone at most (MIN_PERCPU_PAGELIST_HIGH_FRACTION). */
const HIGH_FRACTION = 8;

/** Frames moved at a time. Mirrors zone_batchsize(). */
export function pcpBatch(managedPages: number): number {
  const quarter = Math.max(1, Math.floor(Math.min(Math.floor(managedPages / 1024), 256) / 4));
  return Math.max(1, (1 << Math.floor(Math.log2(quarter + Math.floor(quarter / 2)))) - 1);
}

export class PerCpuPages {
  readonly batch: number;
  highMin = 0;
  highMax = 0;
  high = 0;
  /** Pages in stock. */
  count = 0;
  private allocFactor = 0;
  private freeCount = 0;
  private previousFreeWasHigh = false;
  private readonly buddy: Buddy;

  constructor(buddy: Buddy, managedPages: number, lowMark: number) {
    this.buddy = buddy;
    this.batch = pcpBatch(managedPages);
    this.setHigh(managedPages, lowMark);
  }
  /** After the watermarks changed. One processor. Mirrors zone_highsize(). */
  setHigh(managedPages: number, lowMark: number): void {
    this.highMin = Math.max(lowMark, this.batch * 4);
    this.highMax = Math.max(Math.floor(managedPages / HIGH_FRACTION), this.batch * 4);
    this.high = this.highMin;
  }

  /** A block out of the stock, fetching more if it is empty; 0: the zone has none either. @param below the zone is below its high mark
   *  @returns refills through `locked`: zone locks taken is its business */
  take(order: number, type: MigrateType, noFragment: boolean, below: boolean): Pfn | 0 {
    this.freeCount >>= 1;
    const list = listFor(order, type);
    const { lists, firstPfn } = this.buddy;
    if (lists.first(list) < 0 && !this.refill(list, order, type, noFragment, below)) return 0;
    const row = lists.first(list);
    lists.remove(list, row);
    this.count -= 1 << order;
    return asPfn(firstPfn + row);
  }
  /** Would take() have to go to the zone? */
  isEmpty(order: number, type: MigrateType): boolean {
    return this.buddy.lists.first(listFor(order, type)) < 0;
  }
  /** Mirrors rmqueue_bulk(): blocks arrive in the zone's order, and leave in it. */
  private refill(list: number, order: number, type: MigrateType, noFragment: boolean, below: boolean): boolean {
    const { buddy } = this;
    const wanted = this.refillCount(order, below);
    let got = 0;
    for (; got < wanted; got++) {
      const pfn = buddy.alloc(order, type, noFragment);
      if (pfn === 0) break;
      buddy.lists.addLast(list, pfn - buddy.firstPfn);
    }
    this.count += got << order;
    return got > 0;
  }
  /** nr_pcp_alloc(): refills that follow each other without a free between them double. */
  private refillCount(order: number, below: boolean): number {
    if (this.high < this.batch) return 1;
    let batch = order > 0 ? this.batch : this.batch << this.allocFactor;
    if (this.highMin !== this.highMax && !below) this.high = Math.min(this.high + batch, this.highMax);
    if (order === 0) {
      const most = Math.max(this.high - this.count - this.batch, this.batch);
      if (batch <= most && this.allocFactor < BATCH_SCALE_MAX) this.allocFactor++;
      batch = Math.min(batch, most);
    }
    return batch > 1 ? Math.max(batch >> order, 2) : batch;
  }

  /** Puts a block in stock, hottest first. @returns how many pages should now go back to the zone: hand them to drain() */
  put(first: Pfn, order: number, type: MigrateType, below: boolean): number {
    this.allocFactor >>= 1;
    this.buddy.lists.addFirst(listFor(order, type), first - this.buddy.firstPfn);
    this.count += 1 << order;
    // Blocks of order 1 to 3 freed one after the other are of more use to the zone, where they merge.
    let flood = false;
    if (order > 0 && order <= PAGE_ALLOC_COSTLY_ORDER) {
      flood = this.freeCount >= this.batch + this.highMin / 2 && this.previousFreeWasHigh;
      this.previousFreeWasHigh = true;
    } else {
      this.previousFreeWasHigh = false;
    }
    if (this.freeCount < this.batch << BATCH_SCALE_MAX) this.freeCount += 1 << order;
    const high = this.limit(flood, below);
    if (this.count < high) return 0;
    if (flood) return Math.min(this.count, this.batch << BATCH_SCALE_MAX);
    if (high < this.batch) return 1;
    return Math.min(Math.max(this.freeCount, this.batch), Math.max(high - this.batch, this.batch));
  }
  /** nr_pcp_high(): smaller while the zone is short, larger while much is freed. */
  private limit(flood: boolean, below: boolean): number {
    const high = Math.min(Math.max(this.high, this.highMin), Math.max(this.highMax, this.highMin));
    if (flood) {
      this.high = Math.max(high - (this.batch << BATCH_SCALE_MAX), this.highMin);
      return 0;
    }
    if (this.highMin >= this.highMax) return high;
    if (below) {
      this.high = Math.max(high - Math.max(this.freeCount, this.batch), this.highMin);
      return Math.max(this.count, this.highMin);
    }
    if (this.count >= high) {
      const needed = this.freeCount + this.batch;
      if (this.high < needed) this.high = Math.min(Math.max(needed, this.highMin), this.highMax);
    }
    return high;
  }

  /** Gives about `nr` pages back to the zone, coldest first, starting with the lists of one order. Mirrors free_pcppages_bulk(). */
  drain(nr: number, order = 0, type: MigrateType = MigrateType.Unmovable): void {
    const { lists, firstPfn } = this.buddy;
    let left = Math.min(nr, this.count);
    let list = listFor(order, type);
    while (left > 0) {
      while (lists.first(list) < 0) list = list + 1 === NR_BUDDY_LISTS + NR_PCP_LISTS ? NR_BUDDY_LISTS : list + 1;
      const at = orderOfList(list);
      while (left > 0 && lists.first(list) >= 0) {
        const row = lists.last(list);
        const pfn = asPfn(firstPfn + row);
        lists.remove(list, row);
        this.count -= 1 << at;
        left -= 1 << at;
        const blockType = this.buddy.blockType(pfn);
        this.buddy.free(pfn, at);
        if (mmPagePcpuDrain.enabled) mmPagePcpuDrain.emit(pfn, at, blockType);
      }
    }
  }
  /** Blocks in stock with their orders. */
  blocks(): { pfn: Pfn; order: number }[] {
    const { lists, firstPfn } = this.buddy;
    const all: { pfn: Pfn; order: number }[] = [];
    for (let list = NR_BUDDY_LISTS; list < NR_BUDDY_LISTS + NR_PCP_LISTS; list++) {
      for (let row = lists.first(list); row >= 0; row = lists.after(row)) all.push({ pfn: asPfn(firstPfn + row), order: orderOfList(list) });
    }
    return all;
  }
  hash(into: StateHash): void {
    for (const { pfn, order } of this.blocks()) {
      into.word(pfn);
      into.word(order);
    }
    into.numbers([this.high, this.highMin, this.highMax, this.count, this.allocFactor, this.freeCount, this.previousFreeWasHigh ? 1 : 0]);
  }
}
/** Blocks of pageblocks that no allocation asks for by type go with the movable ones. */
function listFor(order: number, type: MigrateType): number {
  const kept = type < NR_PCP_TYPES ? type : MigrateType.Movable;
  if (order === PAGEBLOCK_ORDER) return NR_BUDDY_LISTS + FIRST_HUGE_LIST + (kept === MigrateType.Movable ? 1 : 0);
  return NR_BUDDY_LISTS + order * NR_PCP_TYPES + kept;
}
function orderOfList(list: number): number {
  const at = list - NR_BUDDY_LISTS;
  return at >= FIRST_HUGE_LIST ? PAGEBLOCK_ORDER : Math.floor(at / NR_PCP_TYPES);
}
