// Memory pressure: what is done when an allocation finds too little, or nothing in one piece. Here: the answers to the allocator's slow path
// and what is left for later. Not here: the slow path (page-alloc.ts), the means (deferred-split.ts, compaction.ts), background compaction
// (kcompactd.ts), reclaim itself (reclaim/vmscan.ts). Mirrors wakeup_kswapd() and kswapd() (mm/vmscan.c), 6.18.
//
// The slow path may stand anywhere that allocates. What it asks of us there may take any page out of its mappings that nobody holds or has locked,
// and when the order is more than 0 it may move pages: whoever allocates looks again afterwards at what it had found before
// (vmscan.nrRuns tells). What would move pages on its own account (kcompactd) waits until the kernel is about to return to a program.
import type { StateHash } from '#base';
import { CompactPriority, CompactResult } from './compaction.ts';
import { VmItem } from './events.ts';
import { GfpFlag } from './gfp.ts';
import type { CompactAnswer, PressureHooks } from './page-alloc.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import type { MmSystem } from './system.ts';

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
  /** It has something to do now. */
  get isKswapdAwake(): boolean {
    return this.kswapdOrder !== ASLEEP && this.system.vmscan.kswapdSleepsUntil <= this.system.machine.clockCycles;
  }
  /** The clock cycle at which it has; Infinity: it sleeps. */
  get kswapdDeadline(): number {
    return this.kswapdOrder === ASLEEP ? Infinity : this.system.vmscan.kswapdSleepsUntil;
  }
  /** kswapd has given up: everything that could be freed is gone. */
  get isHopeless(): boolean {
    return this.kswapdFailures >= MAX_KSWAPD_FAILURES;
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
  reclaim(order: number, gfp: number): number {
    const { pages, vmscan, vmstat } = this.system;
    // Below half of the reserve it is kswapd that must make room first: throttle_direct_reclaim().
    if (!this.isHopeless && pages.freePagesAndStock < pages.watermarks.min / 2) {
      vmstat.add(VmItem.pgscan_direct_throttle, 1);
      this.kswapdOrder = Math.max(this.kswapdOrder, order);
      this.kswapd();
    }
    const before = pages.freePagesAndStock;
    const freed = Math.max(vmscan.direct(order, gfp), pages.freePagesAndStock - before);
    if (freed > 0) this.kswapdFailures = 0;
    return freed;
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
    const order = Math.max(this.kswapdOrder, 0);
    const { isDone, reclaimed } = this.system.vmscan.balance(order, (at) => this.isBalanced(at));
    if (reclaimed > 0 || this.isBalanced(order)) this.kswapdFailures = 0;
    else if (isDone && this.kswapdFailures < MAX_KSWAPD_FAILURES) this.kswapdFailures++;
    if (!isDone) return;
    // What was asked of it meanwhile, or is still missing, is the next run's.
    this.kswapdOrder = reclaimed > 0 && !this.isBalanced(0) ? 0 : ASLEEP;
    if (this.kswapdOrder !== ASLEEP) return;
    this.system.compaction.kswapdSleeps();
    this.system.kcompactd.wake(order);
  }

  hash(into: StateHash): void {
    into.numbers([this.kswapdOrder, this.kswapdFailures]);
  }
}
