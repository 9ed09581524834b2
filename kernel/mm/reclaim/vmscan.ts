// Reclaim: when, for whom and how hard. Here: kswapd's, direct and a group's reclaim, one pass over the groups, shrinkers, throttling. Not here: who asks
// (../pressure.ts, ../memcg.ts), which folios (the policies), how a folio goes (shrink.ts).
// Mirrors balance_pgdat(), do_try_to_free_pages(), try_to_free_mem_cgroup_pages(), shrink_node() and do_shrink_slab() (mm/vmscan.c, mm/shrinker.c), 6.18.
//
// One page under a limit, on paper. try_charge finds the group full: reclaimGroup(group, 1). A ScanControl for 32 pages, priority 12. shrinkNode():
// the group's lruvec does one pass: it takes folios off its list's tail, shrinkFolioList() judges them, unmaps, writes, frees; what stays
// is put back. Fewer than 32? Priority 11, twice as much of the lists, down to 0. Then active folios are made inactive by force, then memory.low is broken.
//
// Left out: soft limits. One hart runs: while reclaim waits, nothing else does.
import type { StateHash } from '#base';
import { VmItem, mmVmscanDirectReclaimBegin, mmVmscanDirectReclaimEnd, mmVmscanKswapdSleep, mmVmscanKswapdWake, mmVmscanMemcgReclaimBegin, mmVmscanMemcgReclaimEnd, mmVmscanThrottled } from '../events.ts';
import type { MemCgroup } from '../memcg.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from '../pcp.ts';
import type { MmSystem } from '../system.ts';
import { LruType } from './lruvec.ts';
import { DEF_PRIORITY, SWAP_CLUSTER_MAX, newReclaimStat, newScanControl } from './scan.ts';
import type { Isolated, Reclaimer, ScanControl } from './scan.ts';
import { shrinkFolioList } from './shrink.ts';
import { TwoListLruvec } from './two-list.ts';

/** Objects that a shrinker looks at in one go: SHRINK_BATCH. */
const SHRINK_BATCH = 128;
const SHRINKER_SEEKS = 2;
/** Longest sleep of who is throttled, in cycles of a nanosecond: HZ / 10, and HZ / 50 of who makes no progress (enum vmscan_throttle_state). */
const THROTTLE = 1e8;
const compactGap = (order: number): number => 2 * 2 ** order;
const scanItem: Readonly<Record<Reclaimer, number>> = { kswapd: VmItem.pgscan_kswapd, direct: VmItem.pgscan_direct, khugepaged: VmItem.pgscan_khugepaged, proactive: VmItem.pgscan_proactive };
const stealItem: Readonly<Record<Reclaimer, number>> = { kswapd: VmItem.pgsteal_kswapd, direct: VmItem.pgsteal_direct, khugepaged: VmItem.pgsteal_khugepaged, proactive: VmItem.pgsteal_proactive };

export class Vmscan {
  /** All that kswapd met was on its way to the disk: PGDAT_WRITEBACK. */
  isWritebackBound = false;
  /** The clock cycle until which kswapd waits for the disks. */
  kswapdSleepsUntil = 0;
  /** Reclaim is under way: PF_MEMALLOC. */
  isRunning = false;
  /** Runs of reclaim so far: whoever sought memory and finds this changed looks again at what it had looked at before. */
  nrRuns = 0;
  private readonly system: MmSystem;
  private nrDeferred = 0;

  constructor(system: MmSystem) {
    this.system = system;
  }

  // Who reclaims.

  /** An allocation that found nothing. @returns pages freed. try_to_free_pages() */
  direct(order: number, gfp: number): number {
    if (mmVmscanDirectReclaimBegin.enabled) mmVmscanDirectReclaimBegin.emit(order, gfp);
    const freed = this.tryToFree(newScanControl({ nrToReclaim: SWAP_CLUSTER_MAX, by: 'direct', order, swappiness: this.system.params.vm.swappiness }));
    if (mmVmscanDirectReclaimEnd.enabled) mmVmscanDirectReclaimEnd.emit(freed);
    return freed;
  }
  /** A group's limit is in the way, or (proactive) somebody wrote memory.reclaim. @param swappiness null: vm.swappiness. try_to_free_mem_cgroup_pages() */
  reclaimGroup(group: MemCgroup, nrPages: number, maySwap: boolean, by: 'direct' | 'proactive' = 'direct', swappiness: number | null = null): number {
    if (mmVmscanMemcgReclaimBegin.enabled) mmVmscanMemcgReclaimBegin.emit(0, 0);
    const sc = newScanControl({ nrToReclaim: Math.max(nrPages, SWAP_CLUSTER_MAX), by, target: group, maySwap, swappiness: swappiness ?? this.system.params.vm.swappiness });
    const freed = this.tryToFree(sc);
    if (mmVmscanMemcgReclaimEnd.enabled) mmVmscanMemcgReclaimEnd.emit(freed);
    return freed;
  }
  /** Isolated folios go now, whether they are in use or not: MADV_PAGEOUT. Those that stay are put back. @returns pages freed. reclaim_pages() */
  reclaimPages(list: Isolated): number {
    const { lru } = this.system;
    const sc = newScanControl({ nrToReclaim: Infinity, by: 'direct', swappiness: this.system.params.vm.swappiness });
    this.nrRuns++;
    const freed = list.length === 0 ? 0 : shrinkFolioList(this.system, lru.lruvecOf(list[0]!), list, sc, newReclaimStat(), true);
    for (const folio of list) lru.putBack(folio);
    return freed;
  }
  /** do_try_to_free_pages(). */
  private tryToFree(sc: ScanControl): number {
    for (const priority = sc.priority; ; sc.priority = priority) {
      for (; sc.priority >= 0; sc.priority--) {
        sc.nrScanned = 0;
        if (this.isCompactionReady(sc)) return 1;
        this.shrinkNode(sc);
        this.considerThrottle(sc);
        if (sc.nrReclaimed >= sc.nrToReclaim) break;
      }
      this.snapshotRefaults(sc.target);
      if (sc.nrReclaimed > 0) return sc.nrReclaimed;
      if (sc.skippedDeactivate) {
        sc.forceDeactivate = true;
        sc.skippedDeactivate = false;
      } else if (sc.memcgLowSkipped) {
        sc.memcgLowReclaim = true;
        sc.memcgLowSkipped = false;
      } else return 0;
    }
  }
  /** For a costly order memory that is merely in pieces is compaction's to mend. compaction_ready() */
  private isCompactionReady({ order, target }: ScanControl): boolean {
    const { pages } = this.system;
    return target === null && order > PAGE_ALLOC_COSTLY_ORDER && pages.isAbove(0, pages.watermarks.high + compactGap(order));
  }
  /** consider_reclaim_throttle(): no progress at the last but one try. */
  private considerThrottle(sc: ScanControl): void {
    if (sc.by === 'kswapd' || sc.target !== null || sc.nrReclaimed > sc.nrScanned >> 3) return;
    if (sc.priority === 1 && sc.nrReclaimed === 0) this.throttle(THROTTLE / 5, 4);
  }
  /** Waits for the next end of a request, up to a time. reclaim_throttle() */
  private throttle(timeout: number, reason: number): void {
    const { machine, waits } = this.system;
    const begun = machine.clockCycles;
    if (waits.deadline > begun + timeout) {
      // Linux sleeps, and lets others run; with nothing under way that could end, there is nothing to wait for here.
      if (waits.deadline !== Infinity) machine.charge(timeout);
    } else waits.passTime();
    if (mmVmscanThrottled.enabled) mmVmscanThrottled.emit(0, timeout / 1000, Math.floor((machine.clockCycles - begun) / 1000), reason);
  }

  /** kswapd's turn: until memory is above the high mark again, or nothing can be done. @param isBalanced for an order
   *  @returns false: it waits for the disks, and wants to go on at kswapdSleepsUntil. balance_pgdat() */
  balance(order: number, isBalanced: (order: number) => boolean): { isDone: boolean; reclaimed: number } {
    const { vmstat, pages, params } = this.system;
    if (mmVmscanKswapdWake.enabled) mmVmscanKswapdWake.emit(0, order);
    vmstat.add(VmItem.pageoutrun, 1);
    const nrToReclaim = Math.max(pages.watermarks.high, SWAP_CLUSTER_MAX);
    const sc = newScanControl({ nrToReclaim, by: 'kswapd', order, swappiness: params.vm.swappiness });
    this.isWritebackBound = false;
    while (sc.priority >= 1 && !isBalanced(sc.order)) {
      let raises = true;
      const before = sc.nrReclaimed;
      const { kind } = this.system.lru;
      if (kind.ageNode !== undefined) kind.ageNode(this.system, sc);
      else for (const group of this.system.memcg) group.lruvec.age(sc);
      sc.nrScanned = 0;
      this.shrinkNode(sc);
      if (sc.order > 0 && sc.nrReclaimed >= compactGap(sc.order)) sc.order = 0;
      if (sc.nrScanned >= sc.nrToReclaim) raises = false;
      if (this.kswapdSleepsUntil > this.system.machine.clockCycles) return { isDone: false, reclaimed: sc.nrReclaimed };
      if (raises || sc.nrReclaimed === before) sc.priority--;
    }
    this.isWritebackBound = false;
    this.snapshotRefaults(null);
    if (mmVmscanKswapdSleep.enabled) mmVmscanKswapdSleep.emit(0);
    return { isDone: true, reclaimed: sc.nrReclaimed };
  }

  // One pass.

  /** All groups below the target, at one priority. shrink_node() */
  private shrinkNode(sc: ScanControl): void {
    this.nrRuns++;
    this.isRunning = true;
    const { kind } = this.system.lru;
    if (kind.shrinkNode !== undefined && (sc.target === null || sc.target.isRoot)) {
      sc.nr = newReclaimStat();
      kind.shrinkNode(this.system, sc);
      this.shrinkSlab(sc);
    } else this.shrinkPasses(sc);
    this.isRunning = false;
  }
  private shrinkPasses(sc: ScanControl): void {
    const { system } = this;
    for (;;) {
      const before = sc.nrReclaimed;
      sc.nr = newReclaimStat();
      const top = (sc.target ?? system.memcg.root).lruvec;
      if (top instanceof TwoListLruvec) top.prepare(sc);
      this.shrinkGroups(sc);
      const { nr } = sc;
      if (sc.by === 'kswapd') {
        if (nr.writeback > 0 && nr.writeback === nr.taken) this.isWritebackBound = true;
        if (nr.immediate > 0) this.sleepKswapd();
      }
      const group = sc.target ?? system.memcg.root;
      group.isCongested = nr.dirty > 0 && nr.dirty === nr.congested;
      if (sc.by !== 'kswapd' && group.isCongested) this.throttle(THROTTLE, 8);
      if (!this.shouldContinue(sc, sc.nrReclaimed - before)) return;
    }
  }
  /** kswapd waits for writes that it began itself, while programs run on. */
  private sleepKswapd(): void {
    const { machine, waits } = this.system;
    this.kswapdSleepsUntil = Math.min(machine.clockCycles + THROTTLE, waits.deadline);
  }
  /** shrink_node_memcgs(). */
  private shrinkGroups(sc: ScanControl): void {
    const { memcg } = this.system;
    for (const group of sc.target === null || sc.target.isRoot ? [...memcg] : [sc.target]) {
      if (group !== sc.target && !group.isRoot && group.usage > 0) {
        // Below memory.min a group is left alone, below memory.low as long as others have something to give.
        if (group.usage <= group.min) continue;
        if (group.usage <= group.low) {
          if (!sc.memcgLowReclaim) {
            sc.memcgLowSkipped = true;
            continue;
          }
          group.events.low++;
        }
      }
      group.lruvec.shrink(sc);
      this.shrinkZswap(group, sc);
    }
    this.shrinkSlab(sc);
  }
  /** Large folios that are worth splitting, and the huge zero folio. do_shrink_slab() */
  private shrinkSlab(sc: ScanControl): void {
    const { deferredSplit, vmstat } = this.system;
    const before = this.system.pages.freePagesAndStock;
    const freeable = deferredSplit.length;
    if (freeable > 0) {
      const delta = Math.floor((Math.floor(freeable / 2 ** sc.priority) * 4) / SHRINKER_SEEKS);
      let total = Math.min(Math.floor(this.nrDeferred / 2 ** sc.priority) + delta, 2 * freeable);
      let scanned = 0;
      while (total >= SHRINK_BATCH || total >= freeable) {
        const nr = Math.min(SHRINK_BATCH, total);
        if (nr === 0) break;
        deferredSplit.shrink(nr);
        scanned += nr;
        total -= nr;
        vmstat.add(VmItem.slabs_scanned, nr);
      }
      this.nrDeferred = Math.min(Math.max(0, this.nrDeferred + delta - scanned), 2 * freeable);
    }
    this.shrinkShadows();
    this.system.shrinkHugeZeroFolio();
    this.system.accessSplit.underPressure();
    sc.nrReclaimed += Math.max(0, this.system.pages.freePagesAndStock - before);
  }
  /** Compressed pages of a group go on to the device: a shrinker like that of large folios, after every pass over the group's lists. shrink_slab() */
  shrinkZswap(group: MemCgroup, { priority }: ScanControl): void {
    const { swap: { zswap }, vmstat } = this.system;
    const freeable = zswap.countFreeable(group);
    const nr = Math.min(Math.floor((Math.floor(freeable / 2 ** priority) * 4) / SHRINKER_SEEKS), 2 * freeable);
    if (nr < SHRINK_BATCH && nr < freeable) return;
    zswap.shrink(group, nr);
    vmstat.add(VmItem.slabs_scanned, nr);
  }
  /** Whatever the priority, half of what is too much: shadows are cheap to lose (a shrinker of 0 seeks). */
  private shrinkShadows(): void {
    const { shadowNodes, vmstat } = this.system;
    const nr = Math.floor(shadowNodes.freeable / 2);
    if (nr > 0) vmstat.add(VmItem.slabs_scanned, shadowNodes.shrink(nr));
  }
  /** For a large order: as long as something is freed, and compaction could not do with what there is. should_continue_reclaim() */
  private shouldContinue(sc: ScanControl, freed: number): boolean {
    const { pages, lru, swap } = this.system;
    const forCompaction = sc.order > 0 && (sc.order > PAGE_ALLOC_COSTLY_ORDER || sc.priority < DEF_PRIORITY - 2);
    if (!forCompaction || freed === 0 || pages.isAbove(sc.order, pages.watermarks.min)) return false;
    const wanted = compactGap(sc.order);
    if (sc.nrReclaimed >= wanted) return false;
    let inactive = lru.pages(LruType.File) - lru.activePages(LruType.File);
    if (swap.freePages > 0) inactive += lru.pages(LruType.Anon) - lru.activePages(LruType.Anon);
    return inactive > wanted;
  }
  /** Refaults are counted from here on. snapshot_refaults() */
  private snapshotRefaults(target: MemCgroup | null): void {
    const { lruvec } = target ?? this.system.memcg.root;
    if (lruvec instanceof TwoListLruvec) lruvec.snapshot();
  }

  // Counting, for the policies.

  countScan(group: MemCgroup, type: LruType, { by, target }: ScanControl, pages: number): void {
    const { vmstat } = this.system;
    if (target === null) vmstat.add(scanItem[by], pages);
    group.count(scanItem[by], pages);
    vmstat.add(type === LruType.File ? VmItem.pgscan_file : VmItem.pgscan_anon, pages);
  }
  countSteal(group: MemCgroup, type: LruType, { by, target }: ScanControl, pages: number): void {
    const { vmstat } = this.system;
    if (target === null) vmstat.add(stealItem[by], pages);
    group.count(stealItem[by], pages);
    vmstat.add(type === LruType.File ? VmItem.pgsteal_file : VmItem.pgsteal_anon, pages);
  }
  hash(into: StateHash): void {
    into.numbers([this.isWritebackBound ? 1 : 0, this.kswapdSleepsUntil, this.nrDeferred, this.nrRuns]);
  }
}
