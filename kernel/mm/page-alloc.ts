// The page allocator: whether and how 2^order frames are handed out. Here: watermarks with their boost, the fast path, the slow path with
// its hooks for reclaim and compaction, per-cpu stock before the zone, the counters by which allocation strategies are compared. Not here: the
// free lists (buddy.ts), the stock (pcp.ts), what the frames become (system.ts). Mirrors get_page_from_freelist() and
// __alloc_pages_slowpath() (mm/page_alloc.c, 6.18), for a node of one zone and one processor.
//
// An allocation of several pages that cannot wait finds its pageblock kept for its like afterwards (HighAtomic): up to about a hundredth of
// memory, given up again before others fail. Nothing here allocates from interrupts yet, so that only tests and future devices come to it.
//
// Left out: memory policies, cpusets. kswapd is no task of its own: what it would do is done when it is woken.
import { asPfn, bug } from '#base';
import type { Pfn, StateHash } from '#base';
import { Buddy, MigrateType, NR_PCP_TYPES, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy.ts';
import type { FrameUse } from './buddy.ts';
import { VmItem } from './events.ts';
import type { VmStat } from './events.ts';
import { GfpFlag, migrateTypeOf } from './gfp.ts';
import { NR_PCP_LISTS, PAGE_ALLOC_COSTLY_ORDER, PerCpuPages, isPcpOrder } from './pcp.ts';
import { watermarks } from './watermark.ts';
import type { Watermarks } from './watermark.ts';

/** What an attempt at compaction came to, as far as the slow path asks. */
export type CompactAnswer = 'skipped' | 'deferred' | 'done' | 'failed';
/** Who can make memory free when there is none. Each is asked from the slow path, and may allocate and free in between. */
export interface PressureHooks {
  /** kswapd's turn: free memory is below the low mark (plus boost), or there is no block, for an allocation of this order. */
  wakeKswapd(order: number, gfp: number): void;
  /** Background compaction: a pageblock has been claimed by another type. */
  wakeKcompactd(order: number): void;
  /** Direct reclaim. @returns pages freed */
  reclaim(order: number, gfp: number): number;
  /** Direct compaction for an order. */
  compact(order: number, gfp: number, mode: 'async' | 'sync'): CompactAnswer;
}
/** A machine that can reclaim nothing and moves nothing. */
export const noPressureHooks: PressureHooks = { wakeKswapd: () => {}, wakeKcompactd: () => {}, reclaim: () => 0, compact: () => 'skipped' };

/** How far an allocation may reach: not into reserves; into what is kept free; into the pageblocks kept for atomic allocations as well. */
const Reach = { Usual: 0, Reserves: 1, HighAtomic: 2 } as const;
type Reach = (typeof Reach)[keyof typeof Reach];

const MAX_RECLAIM_RETRIES = 16;
const MAX_COMPACT_RETRIES = 16;

/** What allocating cost, to compare strategies by. */
export interface AllocCounts {
  /** Calls of the allocator: alloc_pages() and its like. */
  entries: number;
  /** Calls that came back empty-handed. */
  failures: number;
  /** Times that the zone's lock was taken, to allocate, fetch, free or give back. */
  lockHolds: number;
  /** Allocations and frees that the per-cpu stock served without it. */
  stockHits: number;
  /** Calls that went beyond the fast path. */
  slowPaths: number;
}

export interface PageAllocParams { readonly vm: { min_free_kbytes: number; watermark_scale_factor: number; watermark_boost_factor: number; defrag_mode: number } }

export class PageAllocator {
  readonly buddy: Buddy;
  readonly pcp: PerCpuPages;
  /** Frames that are ever free: the zone's managed pages. */
  readonly managedPages: number;
  /** Who is asked under pressure; whoever can reclaim or compact puts itself here. */
  hooks: PressureHooks;
  readonly counts: AllocCounts = { entries: 0, failures: 0, lockHolds: 0, stockHits: 0, slowPaths: 0 };
  /** Pages by which the marks are raised, because pageblocks have begun to mix. */
  boost = 0;
  /** Pages of the pageblocks that are kept for atomic allocations: nr_reserved_highatomic. */
  reservedHighAtomic = 0;
  private marks: Watermarks;
  private shownFree = -1;
  private readonly vmstat: VmStat;
  private readonly params: PageAllocParams;

  /** @param free what is free at boot  @param minFreeKbytes for the managed pages, when the user has not chosen */
  constructor(ram: { firstPfn: Pfn; nrFrames: number }, free: { start: Pfn; end: Pfn }, frames: FrameUse, params: PageAllocParams, vmstat: VmStat,
    minFreeKbytes: (managedPages: number) => number, hooks: PressureHooks = noPressureHooks) {
    this.buddy = new Buddy(ram.firstPfn, ram.nrFrames, frames, NR_PCP_LISTS);
    this.buddy.addRange(free.start, free.end);
    this.managedPages = this.buddy.freePages;
    this.params = params;
    this.vmstat = vmstat;
    this.hooks = hooks;
    if (params.vm.min_free_kbytes === 0) params.vm.min_free_kbytes = minFreeKbytes(this.managedPages);
    this.marks = watermarks(this.managedPages, params.vm.min_free_kbytes, params.vm.watermark_scale_factor);
    this.pcp = new PerCpuPages(this.buddy, this.managedPages, this.marks.low);
    this.showFree();
  }
  get watermarks(): Watermarks {
    return this.marks;
  }
  /** After min_free_kbytes or watermark_scale_factor changed. Mirrors __setup_per_zone_wmarks(), which also ends a boost. */
  setupWatermarks(): void {
    const { vm } = this.params;
    this.marks = watermarks(this.managedPages, vm.min_free_kbytes, vm.watermark_scale_factor);
    this.boost = 0;
    this.pcp.setHigh(this.managedPages, this.marks.low);
  }
  /** Pages that nobody owns, the per-cpu stock included. */
  get freePagesAndStock(): number {
    return this.buddy.freePages + this.pcp.count;
  }
  /** nr_free_pages is what the lists hold: after compaction has taken blocks out, or put them back. */
  showFree(): void {
    this.shownFree = this.buddy.freePages;
    this.vmstat.set(VmItem.nr_free_pages, this.buddy.freePages);
  }

  // Allocating.

  /** The first of 2^order frames; 0: they cannot be had under these rules. Mirrors __alloc_frozen_pages(). */
  alloc(order: number, gfp: number): Pfn | 0 {
    this.counts.entries++;
    const type = migrateTypeOf(gfp);
    const noFragment = this.params.vm.defrag_mode !== 0;
    let pfn = this.isAbove(order, this.marks.low + this.boost) ? this.take(order, type, noFragment) : 0;
    if (pfn === 0) pfn = this.slowPath(order, gfp, type, noFragment);
    if (pfn === 0) this.counts.failures++;
    return pfn;
  }

  /** The largest of several orders that can be had, in one call and under one hold of the lock; order 0 by the whole of alloc(). Not in
   *  Linux: Wilcox's proposal of an allocator that is told how much is welcome. @param orders a bit an order  @returns null: not even one page */
  allocUpTo(orders: number, gfp: number, gfpOfOne: number): { pfn: Pfn; order: number } | null {
    const large = orders & ~1;
    if (large !== 0) {
      this.counts.entries++;
      this.counts.lockHolds++;
      const type = migrateTypeOf(gfp);
      for (let order = 31 - Math.clz32(large); order > 0; order--) {
        if ((large & (1 << order)) === 0 || !this.isAbove(order, this.marks.min + this.boost)) continue;
        const pfn = this.buddy.alloc(order, type, this.params.vm.defrag_mode !== 0);
        if (pfn === 0) continue;
        this.afterZone();
        return { pfn, order };
      }
    }
    const pfn = this.alloc(0, gfpOfOne);
    if (large !== 0) this.counts.entries--; // the page came with the same call
    return pfn === 0 ? null : { pfn, order: 0 };
  }

  /** Would memory stay above a mark, and is there a block? What is kept for atomic allocations is not free to others. Mirrors __zone_watermark_ok(). */
  isAbove(order: number, mark: number, reach: Reach = Reach.Usual): boolean {
    const kept = this.reservedHighAtomic > 0 && reach === Reach.Usual ? this.buddy.freePagesOfType(MigrateType.HighAtomic) : 0;
    if (this.buddy.freePages - kept - ((1 << order) - 1) <= mark) return false;
    return order === 0 || this.buddy.canAlloc(order, reach === Reach.HighAtomic);
  }
  /** Takes the frames, whatever the marks say. Mirrors rmqueue(). */
  private take(order: number, type: MigrateType, noFragment: boolean, mayTakeKept = false, reach: Reach = Reach.Usual): Pfn | 0 {
    if (isPcpOrder(order)) {
      if (this.pcp.isEmpty(order, type)) this.counts.lockHolds++;
      else this.counts.stockHits++;
      const pfn = this.pcp.take(order, type, noFragment, this.isShort);
      if (this.buddy.freePages !== this.shownFree) this.afterZone();
      if (pfn !== 0 || !mayTakeKept) return pfn;
    }
    this.counts.lockHolds++;
    let pfn = reach === Reach.HighAtomic ? this.buddy.allocFrom(order, MigrateType.HighAtomic) : 0;
    if (pfn === 0) pfn = this.buddy.alloc(order, type, noFragment);
    // Better than that one who cannot wait fails now: failing a larger one later.
    if (pfn === 0 && mayTakeKept) pfn = this.buddy.allocFrom(order, MigrateType.HighAtomic);
    this.afterZone();
    return pfn;
  }
  /** ZONE_BELOW_HIGH. */
  private get isShort(): boolean {
    return this.buddy.freePages < this.marks.high + this.boost;
  }
  /** What the zone's lists have changed is shown, and a claim of part of a pageblock raises the marks. Mirrors boost_watermark(). */
  private afterZone(): void {
    this.showFree();
    if (!this.buddy.claimedPart) return;
    this.buddy.claimedPart = false;
    const most = Math.floor((this.marks.high * this.params.vm.watermark_boost_factor) / 10000);
    if (most === 0 || PAGEBLOCK_PAGES * 4 > this.managedPages) return;
    this.boost = Math.min(this.boost + PAGEBLOCK_PAGES, Math.max(PAGEBLOCK_PAGES, most));
  }

  private minMark(order: number, gfp: number): number {
    if ((gfp & GfpFlag.High) === 0) return this.marks.min + this.boost;
    // A boost is about fragmentation, and no reason to fail a single page that may use the reserve.
    let min = order === 0 ? this.marks.min : this.marks.min + this.boost;
    min -= Math.floor(min / 2);
    if (cannotWait(gfp)) min -= Math.floor(min / 4);
    return min;
  }
  /** Once more at the min mark, with whatever the flags open. */
  private tryAtMin(order: number, gfp: number, type: MigrateType, noFragment: boolean): Pfn | 0 {
    const reach = order > 0 && (gfp & GfpFlag.High) !== 0 && cannotWait(gfp) ? Reach.HighAtomic : (gfp & GfpFlag.High) !== 0 || cannotWait(gfp) ? Reach.Reserves : Reach.Usual;
    if (!this.isAbove(order, this.minMark(order, gfp), reach)) return 0;
    const pfn = this.take(order, type, noFragment, cannotWait(gfp), reach);
    if (pfn !== 0 && reach === Reach.HighAtomic) this.reserveHighAtomic(pfn, order);
    return pfn;
  }

  // The pageblocks kept for atomic allocations.

  /** Keeps the pageblock of a block that was just allocated. Mirrors reserve_highatomic_pageblock(). */
  private reserveHighAtomic(pfn: Pfn, order: number): void {
    const hundredth = Math.floor(this.managedPages / 100);
    const most = Math.ceil(hundredth / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES;
    if (hundredth < PAGEBLOCK_PAGES || this.reservedHighAtomic >= most || this.buddy.blockType(pfn) >= NR_PCP_TYPES) return;
    if (order < PAGEBLOCK_ORDER) this.buddy.setBlockType(pfn, MigrateType.HighAtomic);
    else this.buddy.setRangeType(pfn, order, MigrateType.HighAtomic);
    this.reservedHighAtomic += Math.max(PAGEBLOCK_PAGES, 1 << order);
  }
  /** Gives one of them up for an ordinary type. @param force the last one, too @returns whether anything became free for it. Mirrors
   *  unreserve_highatomic_pageblock(). */
  private unreserveHighAtomic(type: MigrateType, force: boolean): boolean {
    if (this.reservedHighAtomic === 0 || (!force && this.reservedHighAtomic <= PAGEBLOCK_PAGES)) return false;
    const block = this.buddy.firstOfType(MigrateType.HighAtomic);
    if (block === null) return false;
    this.reservedHighAtomic -= Math.min(this.reservedHighAtomic, Math.max(PAGEBLOCK_PAGES, 1 << block.order));
    for (let at = 0; at < 1 << block.order; at += PAGEBLOCK_PAGES) this.buddy.setBlockType(asPfn(block.pfn + at), type);
    return true;
  }

  /** Memory is below the low mark, or no block of the order is there. Mirrors __alloc_pages_slowpath(). */
  private slowPath(order: number, gfp: number, type: MigrateType, noFragment: boolean): Pfn | 0 {
    this.counts.slowPaths++;
    if ((gfp & GfpFlag.KswapdReclaim) !== 0 || this.boost > 0) this.kswapd(order, gfp);
    let pfn = this.tryAtMin(order, gfp, type, noFragment);
    // Who frees memory may use the last of it: PF_MEMALLOC.
    if (pfn === 0 && (gfp & GfpFlag.Memalloc) !== 0 && this.isAbove(order, 0, Reach.Reserves)) pfn = this.take(order, type, noFragment, false, Reach.Reserves);
    if (pfn !== 0 || (gfp & GfpFlag.DirectReclaim) === 0) return pfn;

    const isCostly = order > PAGE_ALLOC_COSTLY_ORDER;
    const noRetry = (gfp & GfpFlag.Noretry) !== 0;
    if (isCostly || (order > 0 && type !== MigrateType.Movable)) {
      const answer = this.hooks.compact(order, gfp, 'async');
      pfn = this.afterCompaction(answer, order, gfp, type, noFragment);
      if (pfn !== 0) return pfn;
      if (isCostly && noRetry && (answer === 'skipped' || answer === 'deferred')) return 0;
    }
    for (let [idle, compactions] = [0, 0]; ; ) {
      this.vmstat.add(VmItem.allocstall_normal, 1);
      const freed = this.hooks.reclaim(order, gfp);
      pfn = this.tryAtMin(order, gfp, type, noFragment);
      if (pfn !== 0) return pfn;
      // What lies in stock, or is kept for others, may be all that was missing.
      if (this.unreserveHighAtomic(type, false) || this.pcp.count > 0) {
        this.drainStock();
        pfn = this.tryAtMin(order, gfp, type, noFragment);
        if (pfn !== 0) return pfn;
      }
      let answer: CompactAnswer = 'skipped';
      if (order > 0) {
        answer = this.hooks.compact(order, gfp, 'sync');
        pfn = this.afterCompaction(answer, order, gfp, type, noFragment);
        if (pfn !== 0) return pfn;
      }
      if (noRetry || (isCostly && (gfp & GfpFlag.RetryMayfail) === 0)) return 0;
      idle = freed > 0 && !isCostly ? 0 : idle + 1;
      if (freed > 0 && idle <= MAX_RECLAIM_RETRIES) continue;
      if (order > 0 && answer === 'done' && ++compactions <= (isCostly ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES)) continue;
      // Everything that is kept for others goes before somebody is killed; and mixing pageblocks is better than failing.
      if (this.unreserveHighAtomic(type, true)) continue;
      return noFragment ? this.tryAtMin(order, gfp, type, false) : 0;
    }
  }
  private afterCompaction(answer: CompactAnswer, order: number, gfp: number, type: MigrateType, noFragment: boolean): Pfn | 0 {
    return answer === 'skipped' || answer === 'deferred' ? 0 : this.tryAtMin(order, gfp, type, noFragment);
  }
  /** kswapd's turn. At its end it has worked off the boost, and asks for whole pageblocks to be made again. Mirrors balance_pgdat(). */
  private kswapd(order: number, gfp: number): void {
    this.hooks.wakeKswapd(order, gfp);
    if (this.boost === 0) return;
    this.boost = 0;
    this.hooks.wakeKcompactd(PAGEBLOCK_ORDER);
  }

  // Freeing.

  /** Takes back 2^order frames. Mirrors __free_frozen_pages(). */
  free(first: Pfn, order: number): void {
    if (!isPcpOrder(order)) {
      this.counts.lockHolds++;
      this.buddy.free(first, order);
      this.showFree();
      return;
    }
    this.counts.stockHits++;
    const type = this.buddy.blockType(first);
    const tooMany = this.pcp.put(first, order, type, this.isShort);
    if (tooMany > 0) this.giveBack(tooMany, order, type);
  }
  private giveBack(pages: number, order: number, type: MigrateType): void {
    this.counts.lockHolds++;
    this.pcp.drain(pages, order, type);
    this.showFree();
  }
  /** Everything in stock goes back to the zone: drain_all_pages(). */
  drainStock(): void {
    if (this.pcp.count > 0) this.giveBack(this.pcp.count, 0, MigrateType.Unmovable);
    if (this.pcp.count !== 0) bug(`${this.pcp.count} pages left in stock after a drain`);
  }

  hash(into: StateHash): void {
    this.buddy.hash(into);
    this.pcp.hash(into);
    into.numbers([this.boost, this.reservedHighAtomic]);
  }
}
/** ALLOC_NON_BLOCK. */
const cannotWait = (gfp: number): boolean => (gfp & (GfpFlag.DirectReclaim | GfpFlag.Nomemalloc)) === 0;
