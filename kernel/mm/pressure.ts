// Memory pressure: what is done when an allocation finds too little, or nothing in one piece. Here: the answers to the allocator's slow path
// and what is left for later. Not here: the slow path (page-alloc.ts), the means (deferred-split.ts, compaction.ts).
// Mirrors do_try_to_free_pages() and kswapd as far as there is anything to shrink: the shrinkers. Pages in use are not reclaimed yet.
//
// The slow path may stand anywhere that allocates. What it asks of us there leaves every mapped page in its frame when the order is 0, and
// when it is more the asker is a fault or a collapse, which looks again afterwards. What would move pages on its own account (kcompactd)
// waits until the kernel is about to return to a program.
import type { StateHash } from '#base';
import { CompactPriority, CompactResult } from './compaction.ts';
import { mmCompactionWakeupKcompactd } from './events.ts';
import type { CompactAnswer, PressureHooks } from './page-alloc.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import type { MmSystem } from './system.ts';

/** Folios that a shrinker looks at in one go: SHRINK_BATCH. */
const SHRINK_BATCH = 128;

export class Pressure implements PressureHooks {
  private readonly system: MmSystem;
  private kswapdWanted = false;
  /** 0: nobody asked. */
  private kcompactdOrder = 0;

  constructor(system: MmSystem) {
    this.system = system;
  }
  wakeKswapd(): void {
    this.kswapdWanted = true;
  }
  wakeKcompactd(order: number): void {
    this.kcompactdOrder = Math.max(this.kcompactdOrder, order);
    if (mmCompactionWakeupKcompactd.enabled) mmCompactionWakeupKcompactd.emit(0, order, 0);
  }
  reclaim(): number {
    return this.shrink(SHRINK_BATCH);
  }
  /** Costly orders are not worth the hardest try. */
  compact(order: number, gfp: number, mode: 'async' | 'sync'): CompactAnswer {
    let result = this.system.compaction.direct(order, gfp, mode === 'async' ? CompactPriority.Async : CompactPriority.SyncLight);
    if (mode === 'sync' && order <= PAGE_ALLOC_COSTLY_ORDER && result !== CompactResult.Success) result = this.system.compaction.direct(order, gfp, CompactPriority.SyncFull);
    if (result === CompactResult.Skipped || result === CompactResult.NotSuitableZone) return 'skipped';
    if (result === CompactResult.Deferred) return 'deferred';
    return result === CompactResult.Success ? 'done' : 'failed';
  }
  /** What kswapd and kcompactd were woken for. Called where nothing is half done: before a program runs on. */
  background(): void {
    if (this.kswapdWanted) {
      this.kswapdWanted = false;
      const { pages, watermarks } = this.system;
      while (pages.buddy.freePages < watermarks.high && this.shrink(SHRINK_BATCH) > 0);
    }
    if (this.kcompactdOrder > 0) {
      const order = this.kcompactdOrder;
      this.kcompactdOrder = 0;
      this.system.compaction.kcompactd(order);
    }
  }

  /** @returns pages that became free */
  private shrink(nrToScan: number): number {
    const { pages, deferredSplit } = this.system;
    const before = pages.freePagesAndStock;
    deferredSplit.shrink(nrToScan);
    return pages.freePagesAndStock - before;
  }
  hash(into: StateHash): void {
    into.numbers([this.kswapdWanted ? 1 : 0, this.kcompactdOrder]);
  }
}
