// Compaction: making large free blocks by moving what is movable out of the way. Here: the two scanners, when it is worth it, when it is
// done, putting it off after failures; asked for directly, by kcompactd, by vm.compact_memory. Not here: moving (migrate.ts), the thread
// (kcompactd.ts), who is short of memory (pressure.ts). Mirrors mm/compaction.c, 6.18.
//
//   low end of RAM                                                            high end
//   |  migrate scanner -->  isolates movable folios     free blocks  <-- free scanner  |
// They meet somewhere in the middle: what was in use below lies above then, and what is free lies below, in one piece.
//
// Left out: the quick looks through the free lists for a place to start. Blocks are given the skip hint as on Linux.
import { asPfn, bug } from '#base';
import type { Folio, Pfn, StateHash } from '#base';
import { MAX_PAGE_ORDER, MigrateType, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy.ts';
import { VmItem, mmCompactionBegin, mmCompactionDefer, mmCompactionDeferReset, mmCompactionDeferred, mmCompactionEnd, mmCompactionFinished, mmCompactionIsolateFreepages, mmCompactionIsolateMigratepages, mmCompactionMigratepages, mmCompactionSuitable, mmCompactionTryToCompactPages } from './events.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { GfpFlag, migrateTypeOf } from './gfp.ts';
import { MigrateMode, MigrateReason, isMigratable, migratePages } from './migrate.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import type { MmSystem } from './system.ts';

/** enum compact_result. */
export const CompactResult = { NotSuitableZone: 0, Skipped: 1, Deferred: 2, NoSuitablePage: 3, Continue: 4, Complete: 5, PartialSkipped: 6, Contended: 7, Success: 8 } as const;
export type CompactResult = (typeof CompactResult)[keyof typeof CompactResult];
/** enum compact_priority: lower tries harder. */
export const CompactPriority = { SyncFull: 0, SyncLight: 1, Async: 2 } as const;
export type CompactPriority = (typeof CompactPriority)[keyof typeof CompactPriority];

/** The order of a run for its own sake: all of memory, to the end. */
const NO_ORDER = -1;
/** Pages that are isolated before they are moved: COMPACT_CLUSTER_MAX. */
const CLUSTER_PAGES = 32;
export const MAX_DEFER_SHIFT = 6;
const blockStart = (pfn: number): number => pfn & ~(PAGEBLOCK_PAGES - 1);
/** The end of the pageblock that a frame lies in; of the one before, for the first frame of one: pageblock_end_pfn(pfn - 1). */
const blockEnd = (pfn: number): number => blockStart(pfn) + PAGEBLOCK_PAGES;

/** One run: struct compact_control. */
interface Control {
  readonly order: number;
  readonly type: MigrateType;
  readonly mode: MigrateMode;
  readonly isDirect: boolean;
  readonly ignoresHints: boolean;
  readonly anyTarget: boolean;
  /** Not for an order: until free memory is no more fragmented than vm.compaction_proactiveness likes. */
  readonly proactive: boolean;
  wholeZone: boolean;
  migratePfn: number;
  freePfn: number;
  migrateScanned: number;
  freeScanned: number;
  /** Free blocks taken out of the lists, by order, and their pages. */
  readonly free: Pfn[][];
  freePages: number;
}

export class Compaction {
  private readonly system: MmSystem;
  private readonly start: number;
  private readonly end: number;
  // Where the last runs came to: the migrate scanner's by kind (async, sync).
  private cachedMigrate: [number, number];
  private cachedFree: number;
  /** Pageblocks in which a scanner found nothing: PB_migrate_skip. */
  private readonly skip: Uint8Array;
  /** Forget the hints when kswapd next goes to sleep: a direct run has come to its end. compact_blockskip_flush. */
  private flushHints = false;
  // Putting off: compact_considered, compact_defer_shift, compact_order_failed.
  private considered = 0;
  private deferShift = 0;
  private orderFailed = 0;

  constructor(system: MmSystem) {
    this.system = system;
    this.start = system.folios.firstPfn;
    this.end = this.start + system.folios.nrFrames;
    this.cachedMigrate = [this.start, this.start];
    this.cachedFree = blockStart(this.end - 1);
    this.skip = new Uint8Array(Math.ceil(system.folios.nrFrames / PAGEBLOCK_PAGES));
  }

  // Who asks.

  /** For an allocation that found no block. Mirrors try_to_compact_pages() and the counting of __alloc_pages_direct_compact(). */
  direct(order: number, gfp: number, priority: CompactPriority): CompactResult {
    if ((gfp & GfpFlag.Io) === 0) return CompactResult.Skipped;
    if (mmCompactionTryToCompactPages.enabled) mmCompactionTryToCompactPages.emit(order, gfp, priority);
    if (priority > CompactPriority.SyncFull && this.isDeferred(order)) return CompactResult.Deferred;
    const hardest = priority === CompactPriority.SyncFull;
    const result = this.zone(this.control(order, migrateTypeOf(gfp), priority === CompactPriority.Async ? MigrateMode.Async : MigrateMode.SyncLight, true, hardest, hardest, hardest));
    const { vmstat } = this.system;
    if (result === CompactResult.Skipped || result === CompactResult.NotSuitableZone) return result;
    vmstat.add(VmItem.compact_stall, 1);
    if (result === CompactResult.Success) {
      this.flushHints = false;
      this.deferReset(order, true);
      vmstat.add(VmItem.compact_success, 1);
    } else {
      if (priority !== CompactPriority.Async && (result === CompactResult.Complete || result === CompactResult.PartialSkipped)) this.defer(order);
      vmstat.add(VmItem.compact_fail, 1);
    }
    return result;
  }
  /** In the background, for an order that will be wanted: a zone's part of kcompactd_do_work(). */
  forDaemon(order: number): void {
    if (this.isDeferred(order)) return;
    const cc = this.control(order, MigrateType.Unmovable, MigrateMode.SyncLight, false, false, false, false);
    const result = this.zone(cc);
    if (result === CompactResult.Success) this.deferReset(order, false);
    else if (result === CompactResult.PartialSkipped || result === CompactResult.Complete) {
      this.system.pages.drainStock();
      this.defer(order);
    }
    this.countDaemon(cc);
  }
  /** All of memory, until it is as little fragmented as vm.compaction_proactiveness wants it. Mirrors compact_node(pgdat, true). */
  proactively(): CompactResult {
    const cc = this.control(NO_ORDER, MigrateType.Unmovable, MigrateMode.SyncLight, false, true, true, false, true);
    const result = this.zone(cc);
    this.countDaemon(cc);
    return result;
  }
  private countDaemon({ migrateScanned, freeScanned }: Control): void {
    this.system.vmstat.add(VmItem.compact_daemon_migrate_scanned, migrateScanned);
    this.system.vmstat.add(VmItem.compact_daemon_free_scanned, freeScanned);
  }
  /** How much of free memory is of no use to 2 MiB, in percent: fragmentation_score_zone(). */
  get score(): number {
    return this.system.buddy.unusablePercent(PAGEBLOCK_ORDER);
  }
  /** The same weighted by the zone's share of the node, which for the only zone is all but one page of it: fragmentation_score_node(). */
  get nodeScore(): number {
    const { nrFrames } = this.system.folios;
    return Math.floor((nrFrames * this.score) / (nrFrames + 1));
  }
  /** Proactive compaction begins above the high mark and stops at the low one: fragmentation_score_wmark(). */
  scoreMark(low: boolean): number {
    const mark = Math.max(100 - this.system.params.vm.compaction_proactiveness, 5);
    return low ? mark : Math.min(mark + 10, 100);
  }
  /** kswapd goes to sleep: reset_isolation_suitable(). */
  kswapdSleeps(): void {
    if (this.flushHints) this.forgetHints();
  }
  /** All of memory: writing 1 to vm.compact_memory. Mirrors compact_node(). */
  everything(): CompactResult {
    this.system.pages.drainStock();
    return this.zone(this.control(NO_ORDER, MigrateType.Movable, MigrateMode.Sync, false, true, true, false));
  }
  private control(order: number, type: MigrateType, mode: MigrateMode, isDirect: boolean, wholeZone: boolean, ignoresHints: boolean, anyTarget: boolean, proactive = false): Control {
    return { order, type, mode, isDirect, wholeZone, ignoresHints, anyTarget, proactive, migratePfn: 0, freePfn: 0, migrateScanned: 0, freeScanned: 0, free: Array.from({ length: MAX_PAGE_ORDER + 1 }, () => []), freePages: 0 };
  }

  // One run.

  private zone(cc: Control): CompactResult {
    if (cc.order !== NO_ORDER) {
      const verdict = this.suitable(cc.order);
      if (verdict !== CompactResult.Continue) return verdict;
      if (this.isRestarting(cc.order)) this.forgetHints();
    }
    this.setPositions(cc);
    const isSync = cc.mode !== MigrateMode.Async;
    if (mmCompactionBegin.enabled) mmCompactionBegin.emit(this.start, cc.migratePfn, cc.freePfn, this.end, isSync ? 1 : 0);
    let result: CompactResult;
    while ((result = this.finished(cc)) === CompactResult.Continue) {
      const list = this.isolateMigratepages(cc);
      if (list.length > 0) {
        const stats = migratePages(this.system, list, (from) => this.allocTarget(cc, from, list), cc.mode, MigrateReason.Compaction);
        if (mmCompactionMigratepages.enabled) mmCompactionMigratepages.emit(stats.succeeded, stats.failed);
      }
      // What was moved away waits in the per-cpu stock; only in the zone's lists does it merge.
      if (cc.order > 0 || cc.order === NO_ORDER) this.system.pages.drainStock();
    }
    this.releaseFree(cc);
    const { vmstat } = this.system;
    vmstat.add(VmItem.compact_migrate_scanned, cc.migrateScanned);
    vmstat.add(VmItem.compact_free_scanned, cc.freeScanned);
    if (mmCompactionEnd.enabled) mmCompactionEnd.emit(this.start, cc.migratePfn, cc.freePfn, this.end, isSync ? 1 : 0, result);
    return result;
  }

  /** Continue: there is room to move things into, and it is fragmentation that the order suffers from. Success: there is a block already.
   *  Mirrors compaction_suit_allocation_order() and compaction_suitable(), whose tracepoint knows one more answer. */
  suitable(order: number): CompactResult {
    const { buddy, watermarks: marks, params, pages } = this.system;
    if (pages.isAbove(order, marks.min)) return CompactResult.Success;
    const isCostly = order > PAGE_ALLOC_COSTLY_ORDER;
    let result: CompactResult = CompactResult.Continue;
    if (!pages.isAbove(0, (isCostly ? marks.low : marks.min) + (2 << order))) result = CompactResult.Skipped;
    else if (isCostly) {
      const index = buddy.fragmentationIndex(order);
      if (index >= 0 && index <= params.vm.extfrag_threshold) result = CompactResult.NotSuitableZone;
    }
    if (mmCompactionSuitable.enabled) mmCompactionSuitable.emit(0, 0, order, result);
    return result === CompactResult.Continue ? result : CompactResult.Skipped;
  }

  private setPositions(cc: Control): void {
    cc.migratePfn = this.start;
    cc.freePfn = blockStart(this.end - 1);
    if (cc.wholeZone) return;
    cc.migratePfn = this.cachedMigrate[cc.mode === MigrateMode.Async ? 0 : 1];
    cc.freePfn = this.cachedFree;
    if (cc.freePfn < this.start || cc.freePfn >= this.end) this.cachedFree = cc.freePfn = blockStart(this.end - 1);
    if (cc.migratePfn < this.start || cc.migratePfn >= this.end) {
      cc.migratePfn = this.start;
      this.cachedMigrate = [this.start, this.start];
    }
    if (cc.migratePfn <= this.start) cc.wholeZone = true;
  }

  /** Mirrors __compact_finished(). */
  private finished(cc: Control): CompactResult {
    const result = this.judge(cc);
    if (mmCompactionFinished.enabled) mmCompactionFinished.emit(0, 0, cc.order, result);
    return result === CompactResult.NoSuitablePage ? CompactResult.Continue : result;
  }
  private judge(cc: Control): CompactResult {
    if (cc.freePfn >> PAGEBLOCK_ORDER <= cc.migratePfn >> PAGEBLOCK_ORDER) {
      this.cachedMigrate = [this.start, this.start];
      this.cachedFree = blockStart(this.end - 1);
      if (cc.isDirect) this.flushHints = true;
      return cc.wholeZone ? CompactResult.Complete : CompactResult.PartialSkipped;
    }
    if (cc.proactive) {
      if (this.system.pressure.isKswapdAwake) return CompactResult.PartialSkipped;
      return this.score > this.scoreMark(true) ? CompactResult.Continue : CompactResult.Success;
    }
    if (cc.order === NO_ORDER) return CompactResult.Continue;
    // A pageblock is finished once begun: half of one helps nobody.
    if (cc.migratePfn % PAGEBLOCK_PAGES !== 0) return CompactResult.Continue;
    const { buddy } = this.system;
    for (let order = cc.order; order <= MAX_PAGE_ORDER; order++) {
      if (buddy.countOfType(order, cc.type) > 0) return CompactResult.Success;
      // Of another type, the block could be claimed.
      const claimable = order >= PAGEBLOCK_ORDER >> 1 || cc.type !== MigrateType.Movable;
      if (claimable && (buddy.countOfType(order, MigrateType.Movable) > 0 || buddy.countOfType(order, MigrateType.Unmovable) > 0 || buddy.countOfType(order, MigrateType.Reclaimable) > 0)) return CompactResult.Success;
    }
    return CompactResult.NoSuitablePage;
  }

  // The migrate scanner.

  /** Isolates the movable folios of the next pageblock worth looking at, up to about a cluster. Each has a reference of ours. */
  private isolateMigratepages(cc: Control): Folio[] {
    let at = cc.migratePfn;
    for (let end = blockEnd(at); end <= cc.freePfn; at = end, end += PAGEBLOCK_PAGES) {
      const wholeBlock = at % PAGEBLOCK_PAGES === 0;
      if (wholeBlock && !cc.ignoresHints && this.skip[this.blockOf(at)] === 1) continue;
      if (!this.isSource(cc, at)) {
        this.rememberMigrate(cc, end);
        continue;
      }
      const list: Folio[] = [];
      cc.migratePfn = this.isolateBlock(cc, at, end, list);
      return list;
    }
    cc.migratePfn = at;
    return [];
  }
  /** An asynchronous run for an allocation keeps to the pageblocks of its own kind. Mirrors suitable_migration_source(). */
  private isSource(cc: Control, pfn: number): boolean {
    return cc.mode !== MigrateMode.Async || !cc.isDirect || this.system.buddy.blockType(asPfn(pfn)) === cc.type;
  }
  /** @returns where it stopped. Mirrors isolate_migratepages_block() */
  private isolateBlock(cc: Control, from: number, end: number, list: Folio[]): number {
    const { system } = this;
    const { folios, buddy, vmstat } = system;
    // An asynchronous run gives a window of the order up as soon as something in it cannot move.
    const window = cc.mode === MigrateMode.Async && cc.isDirect ? 1 << cc.order : 0;
    let taken = 0;
    let inWindow = 0; // folios at the end of the list that lie in this window
    let isolated = 0;
    let scanned = 0;
    let at = from;
    while (at < end) {
      if (window > 0 && at % window === 0) inWindow = 0;
      scanned++;
      const pfn = asPfn(at);
      const freeOrder = buddy.blockAt(pfn);
      if (freeOrder >= 0) {
        at += 1 << freeOrder;
        continue;
      }
      if (folios.typeOf(pfn) === MemdescType.Buddy) {
        // Free, too: in the per-cpu stock, or in a block that has merged since its first frame was passed.
        at++;
        continue;
      }
      const folio = folios.folioOf(pfn);
      const nr = folios.nrPages(folio) - (at - folio);
      if (!this.isolate(cc, pfn)) {
        at += nr;
        if (window === 0) continue;
        for (; inWindow > 0; inWindow--) {
          const back = list.pop()!;
          taken -= folios.nrPages(back);
          system.putFolio(back);
        }
        at = Math.min(end, Math.max(at, (Math.floor((at - 1) / window) + 1) * window));
        continue;
      }
      list.push(folio);
      inWindow++;
      taken += nr;
      isolated += nr;
      at += nr;
      if (taken >= CLUSTER_PAGES) break;
    }
    if (at >= end && isolated === 0) {
      if (!cc.ignoresHints) this.skip[this.blockOf(from)] = 1;
      this.rememberMigrate(cc, end);
    }
    cc.migrateScanned += scanned;
    vmstat.add(VmItem.compact_isolated, isolated);
    if (mmCompactionIsolateMigratepages.enabled) mmCompactionIsolateMigratepages.emit(from, at, scanned, isolated);
    return Math.min(at, end);
  }
  /** Takes a reference to the folio at a frame if it may move. */
  private isolate(cc: Control, pfn: Pfn): boolean {
    const { folios, params } = this.system;
    const type = folios.typeOf(pfn);
    if ((type !== MemdescType.AnonFolio && type !== MemdescType.FileFolio) || folios.isTail(pfn)) return false;
    const folio = folios.folioOf(pfn);
    const order = folios.order(folio);
    if (order > 0 && params.vm.compact_large_folios === 0) return false;
    if (order >= PAGEBLOCK_ORDER || (cc.order !== NO_ORDER && order >= cc.order)) return false;
    if (params.vm.compact_unevictable_allowed === 0 && folios.test(folio, FolioFlag.Unevictable)) return false;
    folios.get(folio);
    if (isMigratable(this.system, folio)) return true;
    if (folios.put(folio)) bug('a folio in use had no reference but ours');
    return false;
  }
  private rememberMigrate(cc: Control, pfn: number): void {
    if (cc.ignoresHints) return;
    if (pfn > this.cachedMigrate[0]) this.cachedMigrate[0] = pfn;
    if (cc.mode !== MigrateMode.Async && pfn > this.cachedMigrate[1]) this.cachedMigrate[1] = pfn;
  }

  // The free scanner.

  /** Frames for a folio to move into, of its size: from what has been isolated, else from the next free blocks below.
   *  Mirrors compaction_alloc(). */
  private allocTarget(cc: Control, from: Folio, waiting: readonly Folio[]): Folio | 0 {
    const { folios } = this.system;
    const order = folios.order(from);
    let pfn = this.takeIsolated(cc, order);
    if (pfn === 0) {
      const wanted = waiting.reduce((sum, folio) => sum + (folios.refCount(folio) > 0 ? folios.nrPages(folio) : 0), 0);
      this.isolateFreepages(cc, wanted);
      pfn = this.takeIsolated(cc, order);
    }
    if (pfn === 0) return 0;
    const target = this.system.adoptFrames(pfn, order, folios.typeOf(from));
    if (target === 0) {
      cc.free[order]!.unshift(pfn);
      cc.freePages += 1 << order;
    }
    return target;
  }
  private takeIsolated(cc: Control, order: number): Pfn | 0 {
    for (let at = order; at <= MAX_PAGE_ORDER; at++) {
      const pfn = cc.free[at]!.shift();
      if (pfn === undefined) continue;
      for (let half = at - 1; half >= order; half--) cc.free[half]!.unshift(asPfn(pfn + (1 << half)));
      cc.freePages -= 1 << order;
      return pfn;
    }
    return 0;
  }
  /** Takes free blocks out of the lists, pageblock by pageblock downwards, until it has as many pages as are to be moved. */
  private isolateFreepages(cc: Control, wantPages: number): void {
    let block = blockStart(cc.freePfn);
    let at = cc.freePfn;
    const lowest = blockEnd(cc.migratePfn);
    for (; block >= lowest; block -= PAGEBLOCK_PAGES, at = block) {
      if (!this.isTarget(cc, block) || (!cc.ignoresHints && this.skip[this.blockOf(block)] === 1)) continue;
      const end = Math.min(block + PAGEBLOCK_PAGES, this.end);
      const before = cc.freePages;
      at = this.isolateFreeBlock(cc, at, end, wantPages);
      if (cc.freePages >= wantPages) {
        // The rest of the block is for the next time.
        cc.freePfn = at >= end ? block - PAGEBLOCK_PAGES : at;
        return;
      }
      if (cc.freePages === before && !cc.ignoresHints) {
        this.skip[this.blockOf(block)] = 1;
        if (block < this.cachedFree) this.cachedFree = block;
      }
    }
    cc.freePfn = Math.max(block, blockStart(cc.migratePfn));
  }
  private isolateFreeBlock(cc: Control, from: number, end: number, wantPages: number): number {
    const { buddy, folios, watermarks: marks } = this.system;
    let at = from;
    let scanned = 0;
    let isolated = 0;
    while (at < end && cc.freePages < wantPages) {
      scanned++;
      const pfn = asPfn(at);
      const order = buddy.blockAt(pfn);
      if (order < 0) {
        const inUse = folios.typeOf(pfn) !== MemdescType.Buddy;
        at += inUse ? folios.folioOf(pfn) + folios.nrPages(folios.folioOf(pfn)) - at : 1;
        continue;
      }
      // Taking it must not eat into the reserve.
      if (buddy.freePages - (1 << order) > marks.min) {
        buddy.isolate(pfn);
        cc.free[order]!.push(pfn);
        cc.freePages += 1 << order;
        isolated += 1 << order;
      }
      at += 1 << order;
    }
    cc.freeScanned += scanned;
    this.system.pages.showFree();
    this.system.vmstat.add(VmItem.compact_isolated, isolated);
    if (mmCompactionIsolateFreepages.enabled) mmCompactionIsolateFreepages.emit(from, at, scanned, isolated);
    return Math.min(at, end);
  }
  /** Mirrors suitable_migration_target(): a block that is large enough stays, and only movable pageblocks are filled. */
  private isTarget(cc: Control, block: number): boolean {
    const { buddy } = this.system;
    if (buddy.blockAt(asPfn(block)) >= (cc.order > 0 ? cc.order : PAGEBLOCK_ORDER)) return false;
    return cc.anyTarget || buddy.blockType(asPfn(block)) === MigrateType.Movable;
  }
  /** What was isolated and not needed goes back, and the free scanner's place with it. Mirrors release_free_list(). */
  private releaseFree(cc: Control): void {
    const { buddy, pages } = this.system;
    let highest = 0;
    cc.free.forEach((list, order) => {
      for (const pfn of list) {
        buddy.free(pfn, order);
        highest = Math.max(highest, pfn);
      }
    });
    if (highest > 0 && blockStart(highest) > this.cachedFree) this.cachedFree = blockStart(highest);
    pages.showFree();
  }
  private blockOf(pfn: number): number {
    return (pfn - this.start) >> PAGEBLOCK_ORDER;
  }
  /** __reset_isolation_suitable(). */
  private forgetHints(): void {
    this.flushHints = false;
    this.skip.fill(0);
    this.cachedMigrate = [this.start, this.start];
    this.cachedFree = blockStart(this.end - 1);
  }

  // Putting off, by ever more attempts the more often it failed.

  private isDeferred(order: number): boolean {
    if (order < this.orderFailed) return false;
    const limit = 1 << this.deferShift;
    if (++this.considered >= limit) {
      this.considered = limit;
      return false;
    }
    if (mmCompactionDeferred.enabled) mmCompactionDeferred.emit(0, 0, order, this.considered, this.deferShift, this.orderFailed);
    return true;
  }
  private defer(order: number): void {
    this.considered = 0;
    this.deferShift = Math.min(this.deferShift + 1, MAX_DEFER_SHIFT);
    if (order < this.orderFailed) this.orderFailed = order;
    if (mmCompactionDefer.enabled) mmCompactionDefer.emit(0, 0, order, this.considered, this.deferShift, this.orderFailed);
  }
  private deferReset(order: number, allocated: boolean): void {
    if (allocated) {
      this.considered = 0;
      this.deferShift = 0;
    }
    if (order >= this.orderFailed) this.orderFailed = order + 1;
    if (mmCompactionDeferReset.enabled) mmCompactionDeferReset.emit(0, 0, order, this.considered, this.deferShift, this.orderFailed);
  }
  private isRestarting(order: number): boolean {
    return order >= this.orderFailed && this.deferShift === MAX_DEFER_SHIFT && this.considered >= 1 << this.deferShift;
  }

  hash(into: StateHash): void {
    into.numbers([...this.cachedMigrate, this.cachedFree, this.flushHints ? 1 : 0, this.considered, this.deferShift, this.orderFailed]);
    into.numbers(this.skip);
  }
}
