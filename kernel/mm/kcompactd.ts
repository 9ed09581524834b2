// kcompactd: a kernel thread that makes large free blocks before anybody stands still for them. Here: what wakes it (kswapd, pageblocks that
// begin to mix, its own look every half second, a write to vm.compaction_proactiveness) and what it does then. Not here: a run (compaction.ts).
// Mirrors kcompactd(), wakeup_kcompactd() and proactive compaction (mm/compaction.c), 6.18.
//
// The thread is plain data: what it was woken for, and the cycle of its next look. A look finds the same as the one before while nobody has
// allocated or freed, so that a machine on which all sleep is not woken for it.
import type { StateHash } from '#base';
import { CompactResult, MAX_DEFER_SHIFT } from './compaction.ts';
import { VmItem, mmCompactionKcompactdSleep, mmCompactionKcompactdWake, mmCompactionWakeupKcompactd } from './events.ts';
import type { MmSystem } from './system.ts';

/** HPAGE_FRAG_CHECK_INTERVAL_MSEC, in cycles of a nanosecond. */
const LOOK_EVERY = 500 * 1_000_000;
/** In tracepoints: no order, a wake for proactive work. */
const ANY_ORDER = -1;

export class Kcompactd {
  private readonly system: MmSystem;
  /** The largest order that somebody will want; 0: nobody asked. kcompactd_max_order. */
  private maxOrder = 0;
  private isWoken = false;
  /** vm.compaction_proactiveness was written: look at once. */
  private isTriggered = false;
  private lookAt = LOOK_EVERY;
  /** What the allocator had done at the last look that found nothing to do; -1: there was something. */
  private quietAt = -1;

  constructor(system: MmSystem) {
    this.system = system;
  }
  /** Somebody will want blocks of an order. What cannot be helped now is left for the next look. Mirrors wakeup_kcompactd(). */
  wake(order: number): void {
    if (order === 0) return;
    this.maxOrder = Math.max(this.maxOrder, order);
    if (this.system.compaction.suitable(this.maxOrder) !== CompactResult.Continue) return;
    if (mmCompactionWakeupKcompactd.enabled) mmCompactionWakeupKcompactd.emit(0, order, 0);
    this.isWoken = true;
  }
  /** vm.compaction_proactiveness has been written: compaction_proactiveness_sysctl_handler(). */
  proactivenessChanged(): void {
    if (this.system.params.vm.compaction_proactiveness === 0 || this.isTriggered) return;
    this.isTriggered = true;
    if (mmCompactionWakeupKcompactd.enabled) mmCompactionWakeupKcompactd.emit(0, ANY_ORDER, 0);
  }
  /** The clock cycle at which run() is due; Infinity: never as things stand. */
  get deadline(): number {
    if (this.isWoken || this.isTriggered) return 0;
    return this.system.params.vm.compaction_proactiveness === 0 || this.quietAt === this.activity ? Infinity : this.lookAt;
  }
  private get activity(): number {
    const { entries, lockHolds, stockHits } = this.system.pages.counts;
    return entries + lockHolds + stockHits;
  }

  /** One turn of the thread's loop. */
  run(): void {
    let wait = LOOK_EVERY;
    this.quietAt = -1;
    if (this.maxOrder > 0 && !this.isTriggered) this.work();
    else if (!this.lookProactively()) wait *= 1 << MAX_DEFER_SHIFT;
    this.isWoken = this.isTriggered = false;
    this.lookAt = this.system.machine.clockCycles + wait;
    if (mmCompactionKcompactdSleep.enabled) mmCompactionKcompactdSleep.emit(0);
  }
  /** Mirrors kcompactd_do_work(). */
  private work(): void {
    const { vmstat, compaction } = this.system;
    const order = this.maxOrder;
    if (mmCompactionKcompactdWake.enabled) mmCompactionKcompactdWake.emit(0, order, 0);
    vmstat.add(VmItem.compact_daemon_wake, 1);
    compaction.forDaemon(order);
    if (this.maxOrder <= order) this.maxOrder = 0;
  }
  /** Compacts when free memory is much more fragmented than vm.compaction_proactiveness likes. @returns false: that was of no use, and the
   *  next look should be later */
  private lookProactively(): boolean {
    const { compaction, pressure } = this.system;
    const before = compaction.nodeScore;
    if (this.system.params.vm.compaction_proactiveness === 0 || pressure.isKswapdAwake || before <= compaction.scoreMark(false)) {
      this.quietAt = this.activity;
      return true;
    }
    compaction.proactively();
    return compaction.nodeScore < before;
  }
  hash(into: StateHash): void {
    into.numbers([this.maxOrder, this.isWoken ? 1 : 0, this.isTriggered ? 1 : 0, this.lookAt, this.quietAt]);
  }
}
