// Memory pressure: what is done when an allocation finds too little, or nothing in one piece. Here: the answers to the allocator's slow path
// and what is left for later. Not here: the slow path (page-alloc.ts), the means (deferred-split.ts, compaction.ts), background compaction
// (kcompactd.ts). Mirrors do_try_to_free_pages() and kswapd as far as there is anything to shrink: pages of files on disks
// (vmscan.ts), and the shrinkers. Anonymous memory has nowhere to go.
//
// The slow path may stand anywhere that allocates. What it asks of us there leaves every page that is held, locked or anonymous
// in its frame when the order is 0, and
// when it is more the asker is a fault or a collapse, which looks again afterwards. What would move pages on its own account (kcompactd)
// waits until the kernel is about to return to a program.
import type { StateHash } from '#base';
import { CompactPriority, CompactResult } from './compaction.ts';
import { GfpFlag } from './gfp.ts';
import type { CompactAnswer, PressureHooks } from './page-alloc.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import type { MmSystem } from './system.ts';

/** Folios that a shrinker looks at in one go: SHRINK_BATCH. */
const SHRINK_BATCH = 128;
/** Pages that an allocation wants freed before it tries again: SWAP_CLUSTER_MAX. */
const DIRECT_GOAL = 32;
const ASLEEP = -1;
/** MAX_RECLAIM_RETRIES: after so many runs of kswapd that freed nothing it is not woken any more, until somebody frees something. */
const MAX_KSWAPD_FAILURES = 16;

export class Pressure implements PressureHooks {
  private readonly system: MmSystem;
  /** The largest order that kswapd was woken for; -1: it sleeps. */
  private kswapdOrder = ASLEEP;
  private kswapdFailures = 0;

  constructor(system: MmSystem) {
    this.system = system;
  }
  get isKswapdAwake(): boolean {
    return this.kswapdOrder !== ASLEEP;
  }
  /** Where kswapd is of no use, or not needed, kcompactd may be; who may reclaim compacts for himself. Mirrors wakeup_kswapd(). */
  wakeKswapd(order: number, gfp: number): void {
    const { pages, kcompactd } = this.system;
    if (this.kswapdFailures < MAX_KSWAPD_FAILURES && (pages.boost > 0 || !this.isBalanced(order))) this.kswapdOrder = Math.max(this.kswapdOrder, order);
    else if ((gfp & GfpFlag.DirectReclaim) === 0) kcompactd.wake(order);
  }
  /** pgdat_balanced(). */
  private isBalanced(order: number): boolean {
    const { pages } = this.system;
    return pages.isAbove(order, pages.watermarks.high + pages.boost);
  }
  wakeKcompactd(order: number): void {
    this.system.kcompactd.wake(order);
  }
  reclaim(): number {
    return this.shrink(SHRINK_BATCH, DIRECT_GOAL, 'direct');
  }
  /** Costly orders are not worth the hardest try. */
  compact(order: number, gfp: number, mode: 'async' | 'sync'): CompactAnswer {
    let result = this.system.compaction.direct(order, gfp, mode === 'async' ? CompactPriority.Async : CompactPriority.SyncLight);
    if (mode === 'sync' && order <= PAGE_ALLOC_COSTLY_ORDER && result !== CompactResult.Success) result = this.system.compaction.direct(order, gfp, CompactPriority.SyncFull);
    if (result === CompactResult.Skipped || result === CompactResult.NotSuitableZone) return 'skipped';
    if (result === CompactResult.Deferred) return 'deferred';
    return result === CompactResult.Success ? 'done' : 'failed';
  }
  /** What kswapd was woken for. Called where nothing is half done: before a program runs on. Freed memory may still be in small pieces, so that
   *  kcompactd goes on where kswapd stops. Mirrors balance_pgdat() and kswapd_try_to_sleep(). */
  kswapd(): void {
    const order = this.kswapdOrder;
    if (this.kswapdFailures < MAX_KSWAPD_FAILURES) this.kswapdFailures++;
    while (!this.isBalanced(order) && this.shrink(SHRINK_BATCH, Math.max(this.system.watermarks.high, DIRECT_GOAL), 'kswapd') > 0);
    if (this.isBalanced(order)) this.kswapdFailures = 0;
    this.kswapdOrder = ASLEEP;
    this.system.compaction.kswapdSleeps();
    this.system.kcompactd.wake(order);
  }

  /** @returns pages that became free */
  private shrink(nrToScan: number, goal: number, by: 'direct' | 'kswapd'): number {
    const { pages, deferredSplit, vmscan } = this.system;
    const before = pages.freePagesAndStock;
    vmscan.shrink(goal, by);
    deferredSplit.shrink(nrToScan);
    this.system.shrinkHugeZeroFolio();
    this.system.accessSplit.underPressure();
    const freed = pages.freePagesAndStock - before;
    if (freed > 0) this.kswapdFailures = 0;
    return freed;
  }
  hash(into: StateHash): void {
    into.numbers([this.kswapdOrder, this.kswapdFailures]);
  }
}
