// The deferred split queue: large folios that have lost some of their pages to munmap and the like, or that may hold mostly zeros, and are
// worth splitting when memory gets tight. Here: the queue, and its shrinker. Not here: the split (split.ts), who is short of memory
// (direct-reclaim.ts). Mirrors deferred_split_folio(), deferred_split_scan() and thp_underused() (mm/huge_memory.c), 6.18.
import { asPfn } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem } from './events.ts';
import { FolioFlag } from './folio.ts';
import { splitFolio } from './split.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER, ThpStat } from './thp.ts';

const PMD_PAGES = 1 << PMD_ORDER;

export class DeferredSplitQueue {
  private readonly system: MmSystem;
  /** Oldest first: a Set keeps the order of insertion. */
  private readonly queue = new Set<Folio>();

  constructor(system: MmSystem) {
    this.system = system;
  }
  get length(): number {
    return this.queue.size;
  }
  /** Queues a large folio. @param partially some of its pages have lost their last mapping; false: it might turn out to be underused.
   *  Mirrors deferred_split_folio(). */
  add(folio: Folio, partially: boolean): void {
    const { folios, thp, vmstat } = this.system;
    const order = folios.order(folio);
    // Of a folio on its way to swap every entry goes, one after the other.
    if (order <= 1 || folios.test(folio, FolioFlag.SwapCache) || (!partially && !thp.shrinkUnderused)) return;
    if (partially && !folios.test(folio, FolioFlag.PartiallyMapped)) {
      folios.set(folio, FolioFlag.PartiallyMapped);
      if (order === PMD_ORDER) vmstat.add(VmItem.thp_deferred_split_page, 1);
      thp.count(order, ThpStat.split_deferred);
      thp.count(order, ThpStat.nr_anon_partially_mapped);
    }
    folios.set(folio, FolioFlag.DeferredSplit);
    this.queue.add(folio);
  }
  /** The folio is freed, or has been split: folio_unqueue_deferred_split(). */
  remove(folio: Folio): void {
    const { folios, thp } = this.system;
    if (folios.test(folio, FolioFlag.PartiallyMapped)) thp.count(folios.order(folio), ThpStat.nr_anon_partially_mapped, -1);
    folios.clear(folio, FolioFlag.PartiallyMapped | FolioFlag.DeferredSplit);
    this.queue.delete(folio);
  }
  /** The folio has moved to other frames, in whatever state it was. */
  replace(from: Folio, to: Folio): void {
    const { folios } = this.system;
    const flags = folios.flags(from) & (FolioFlag.PartiallyMapped | FolioFlag.DeferredSplit);
    folios.clear(from, flags);
    folios.set(to, flags);
    if (this.queue.delete(from)) this.queue.add(to);
  }

  /** Splits what is worth it among the oldest `nrToScan`. What could not be split waits its turn again if it is partially mapped, and is
   *  forgotten otherwise. @returns folios split. Mirrors deferred_split_scan(). */
  shrink(nrToScan: number): number {
    const { folios, vmstat } = this.system;
    let split = 0;
    for (const folio of [...this.queue].slice(0, nrToScan)) {
      // An earlier split may have freed nothing of this one; but a folio that is gone has left the queue.
      if (!this.queue.has(folio)) continue;
      const partially = folios.test(folio, FolioFlag.PartiallyMapped);
      folios.get(folio);
      const worthIt = partially || (!folios.test(folio, FolioFlag.Mlocked) && this.isUnderused(folio));
      if (worthIt && splitFolio(this.system, folio, 0, null, partially ? 'split-partial' : 'split-zeros') === 0) {
        split++;
        if (!partially) vmstat.add(VmItem.thp_underused_split_page, 1);
      } else if (partially) {
        this.queue.delete(folio);
        this.queue.add(folio);
      } else this.remove(folio);
      this.system.putFolio(folio);
    }
    return split;
  }

  /** Are more than max_ptes_none of its pages zeros? At the default, 511, none ever is: what khugepaged would fill with zeros again is not
   *  worth splitting. Mirrors thp_underused(). */
  private isUnderused(folio: Folio): boolean {
    const { folios, thp, machine } = this.system;
    const maxPtesNone = thp.khugepaged.values.max_ptes_none;
    if (maxPtesNone === PMD_PAGES - 1) return false;
    let zeros = 0;
    let filled = 0;
    for (let i = 0; i < folios.nrPages(folio); i++) {
      if (machine.holdsZeros(asPfn(folio + i))) {
        if (++zeros > maxPtesNone) return true;
      } else if (++filled >= PMD_PAGES - maxPtesNone) return false;
    }
    return false;
  }
  hash(into: StateHash): void {
    into.numbers(this.queue);
  }
}
