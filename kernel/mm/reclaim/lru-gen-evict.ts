// Eviction of MGLRU: which folios of the oldest generation go. Here: how much to look at and when to age instead, sorting and isolating, what becomes of those
// that stay. Not here: how a folio goes (shrink.ts), the choice of kind and tier (lru-gen-pid.ts), which group (lru-gen-node.ts).
// Mirrors sort_folio(), scan_folios(), evict_folios(), should_run_aging() and try_to_shrink_lruvec() (mm/vmscan.c), 6.18, and of 6.12.
import type { Folio } from '#base';
import { VmItem, mmVmscanLruIsolate, mmVmscanLruShrinkInactive } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import { WbReason } from '../writeback.ts';
import type { LruGen } from './lru-gen.ts';
import { MAX_NR_GENS, MIN_NR_GENS, genOf, isSaturated, refsOf, tierOf, withRefsField } from './lru-gen-folio.ts';
import { MAX_NR_TIERS, MIN_LRU_BATCH, maxType, minType } from './lru-gen-pid.ts';
import { MAX_LRU_BATCH, tryToIncMaxSeq } from './lru-gen-walk.ts';
import { LruType } from './lruvec.ts';
import { DEF_PRIORITY, MAX_SWAPPINESS, newReclaimStat } from './scan.ts';
import type { Isolated, ReclaimStat, ScanControl } from './scan.ts';
import { shrinkFolioList } from './shrink.ts';
import { applyProportionalProtection } from './two-list.ts';

/** enum lru_list of the tracepoints: these kinds are inactive ones to them. */
const listNumber = [0, 2] as const;
const other = (type: LruType): LruType => (type === LruType.Anon ? LruType.File : LruType.Anon);

/** What reclaim may take of the group: 0, files alone, when there is nowhere to swap to. get_swappiness() */
export function swappinessOf({ system, group }: LruGen, sc: ScanControl): number {
  if (!sc.maySwap || system.swap.freePagesFor(group) < MIN_LRU_BATCH) return 0;
  return sc.swappiness;
}

/** Reclaim for a group's limit. lru_gen_shrink_lruvec() */
export function shrinkForLimit(lruvec: LruGen, sc: ScanControl): void {
  const { lruGen } = lruvec.system;
  if (!sc.mayUnmap) return;
  if (sc.by === 'proactive') lruGen.setWalk();
  if (tryToShrinkLruvec(lruvec, sc)) lruGen.rotate(lruvec, 'young');
  lruGen.clearWalk();
}
/** One pass at sc.priority. @returns whether aging was done instead: the group has little that is cold */
export function tryToShrinkLruvec(lruvec: LruGen, sc: ScanControl): boolean {
  const { system } = lruvec;
  const swappiness = swappinessOf(lruvec, sc);
  let scanned = 0;
  let nrToScan: number;
  for (;;) {
    nrToScan = nrToScanOf(lruvec, sc, swappiness);
    if (nrToScan <= 0) break;
    const delta = evictFolios(lruvec, nrToScan, sc, swappiness);
    scanned += delta;
    if (delta === 0 || scanned >= nrToScan || shouldAbortScan(lruvec, sc)) break;
  }
  // All that would have been next are dirty files' folios that nobody writes.
  if (sc.nr.unqueuedDirty > 0 && sc.nr.unqueuedDirty === sc.nr.fileTaken) system.writeback.wake(WbReason.Vmscan);
  return nrToScan < 0;
}
/** Pages to look at in this pass; -1: aging was done, or the group is protected; 0: nothing to do. get_nr_to_scan() */
function nrToScanOf(lruvec: LruGen, sc: ScanControl, swappiness: number): number {
  const { group } = lruvec;
  if (group !== sc.target && !group.isRoot && group.usage <= group.min) return -1;
  const { maxSeq } = lruvec;
  const isOut = lruvec.evictableMinSeq(swappiness) + MIN_NR_GENS > maxSeq;
  const size = isOut ? 0 : evictablePages(lruvec, swappiness);
  // Whatever is left of a group that is gone goes.
  if (size > 0 && !group.isOnline) return size;
  const pages = applyProportionalProtection(group, size, sc);
  if (!(isOut || isAgingDue(lruvec, swappiness, size)) || sc.priority === DEF_PRIORITY) return Math.floor(pages / 2 ** sc.priority);
  return tryToIncMaxSeq(lruvec, maxSeq, swappiness, false) ? -1 : 0;
}
function evictablePages(lruvec: LruGen, swappiness: number): number {
  let pages = 0;
  for (let type = minType(swappiness); type <= maxType(swappiness); type++) {
    for (let seq = lruvec.minSeq[type as LruType]; seq <= lruvec.maxSeq; seq++) pages += Math.max(0, lruvec.nrPages[(seq % MAX_NR_GENS) * 2 + type]!);
  }
  return pages;
}
/** Eviction is possible, and would soon not be. should_run_aging() */
function isAgingDue(lruvec: LruGen, swappiness: number, size: number): boolean {
  const { maxSeq } = lruvec;
  if (lruvec.evictableMinSeq(swappiness) + MIN_NR_GENS < maxSeq) return false;
  if (!lruvec.isOld) return true;
  // Up to 6.13: only if the youngest generation has more than half of all, or the last one that can be evicted less than a quarter.
  let young = 0;
  let old = 0;
  for (let type = minType(swappiness); type <= maxType(swappiness); type++) {
    young += Math.max(0, lruvec.nrPages[(maxSeq % MAX_NR_GENS) * 2 + type]!);
    if (lruvec.minSeq[type as LruType] <= maxSeq - MIN_NR_GENS) old += Math.max(0, lruvec.nrPages[((maxSeq - MIN_NR_GENS) % MAX_NR_GENS) * 2 + type]!);
  }
  return young * MIN_NR_GENS > size || old * (MIN_NR_GENS + 2) < size;
}
/** Is enough free? Never so in reclaim for a limit, so that no group is let off. should_abort_scan() */
export function shouldAbortScan({ system: { pages } }: LruGen, sc: ScanControl): boolean {
  if (sc.target !== null && !sc.target.isRoot) return false;
  if (sc.nrReclaimed >= Math.max(sc.nrToReclaim, 2 * 2 ** sc.order)) return true;
  return sc.by === 'kswapd' && sc.order === 0 && pages.isAbove(0, pages.watermarks.high + MIN_LRU_BATCH);
}
/** Is there enough to be worth a pass? lruvec_is_sizable() */
export function isSizable(lruvec: LruGen, sc: ScanControl): boolean {
  const pages = evictablePages(lruvec, swappinessOf(lruvec, sc));
  return (lruvec.group.isOnline ? Math.floor(pages / 2 ** sc.priority) : pages) > 0;
}

// Taking folios.

/** Not yet: it is moved to where it belongs. sort_folio() @returns false: it may go */
function sortFolio(lruvec: LruGen, folio: Folio, type: LruType, tierIdx: number, isOld: boolean, sc: ScanControl): boolean {
  const { system, counters } = lruvec;
  const { folios } = system;
  const flags = folios.flags(folio);
  const word = folios.lruWord(folio);
  const nr = folios.nrPages(folio);
  if ((flags & (FolioFlag.Mlocked | FolioFlag.Unevictable)) !== 0) {
    system.lru.isolate(folio);
    system.lru.putBack(folio);
    system.vmstat.add(VmItem.unevictable_pgs_culled, nr);
    return true;
  }
  // A sweep has promoted it.
  if (genOf(word) !== lruvec.minSeq[type] % MAX_NR_GENS) {
    lruvec.moveToOwnList(folio, type, false);
    return true;
  }
  const refs = refsOf(flags, word, isOld);
  const tier = tierOf(flags, refs, isOld);
  const isFull = isSaturated(flags, refs, isOld);
  if (tier > tierIdx || isFull) {
    lruvec.incGen(folio, type, false);
    lruvec.moveToOwnList(folio, type, isOld);
    if (isOld || !isFull) counters.protected[type * MAX_NR_TIERS + tier]! += nr;
    return true;
  }
  const isDirtyFile = type === LruType.File && (flags & FolioFlag.Dirty) !== 0;
  const isWriteback = (flags & FolioFlag.Writeback) !== 0;
  if (isDirtyFile) {
    sc.nr.fileTaken += nr;
    if (!isWriteback) sc.nr.unqueuedDirty += nr;
  }
  if (isWriteback || isDirtyFile || (isOld && (flags & FolioFlag.Locked) !== 0)) {
    lruvec.incGen(folio, type, true);
    lruvec.moveToOwnList(folio, type, false);
    return true;
  }
  return false;
}
/** isolate_folio(). */
function isolateFolio(lruvec: LruGen, folio: Folio, isOld: boolean): void {
  const { folios, lru: { evictions } } = lruvec.system;
  if (evictions.isOn) evictions.isolated(folio);
  folios.get(folio);
  if (!folios.test(folio, FolioFlag.Referenced)) {
    folios.setLruWord(folio, withRefsField(folios.lruWord(folio), 0));
    if (isOld) folios.clear(folio, FolioFlag.Workingset);
  }
  folios.clear(folio, FolioFlag.Lru | FolioFlag.Reclaim | (isOld ? FolioFlag.Referenced : 0));
  lruvec.detach(folio);
}
/** From the tail of the oldest generation, until 64 pages are taken or 4096 folios met. @returns pages looked at, 0 when that led to nothing. scan_folios() */
function scanFolios(lruvec: LruGen, nrToScan: number, type: LruType, tierIdx: number, sc: ScanControl, into: Isolated): number {
  const { system, isOld, group } = lruvec;
  const { folios } = system;
  if (lruvec.nrGens(type) === MIN_NR_GENS) return 0;
  const list = lruvec.lists[(lruvec.minSeq[type] % MAX_NR_GENS) * 2 + type]!;
  let remaining = isOld ? MAX_LRU_BATCH : Math.min(nrToScan, MAX_LRU_BATCH);
  let scanned = 0;
  let sorted = 0;
  let nrSorted = 0;
  let isolated = 0;
  for (let folio = list.tail; folio !== 0 && remaining > 0 && isolated < MIN_LRU_BATCH; folio = list.tail) {
    const nr = folios.nrPages(folio);
    scanned += nr;
    remaining--;
    if (sortFolio(lruvec, folio, type, tierIdx, isOld, sc)) {
      sorted += nr;
      nrSorted++;
    } else {
      isolateFolio(lruvec, folio, isOld);
      into.push(folio);
      isolated += nr;
    }
  }
  if (nrSorted > 0) system.machine.charge(system.params.cost.lru_scan * nrSorted);
  system.vmscan.countScan(group, type, sc, isolated);
  if (sc.target === null) system.vmstat.add(VmItem.pgrefill, sorted);
  group.count(VmItem.pgrefill, sorted);
  if (mmVmscanLruIsolate.enabled) mmVmscanLruIsolate.emit(0, sc.order, MAX_LRU_BATCH, scanned, 0, isolated, listNumber[type]);
  if (type === LruType.File) sc.nr.fileTaken += isolated;
  return isolated > 0 || remaining === 0 ? scanned : 0;
}
/** Of the kind that the feedback names, else of the other. isolate_folios() @returns pages looked at; the kind is in `taken` */
function isolateFolios(lruvec: LruGen, nrToScan: number, sc: ScanControl, swappiness: number, into: Isolated): { scanned: number; type: LruType } {
  const { counters, isOld, minSeq } = lruvec;
  let tierIdx = -1;
  let type: LruType;
  if (!isOld) type = counters.typeToScan(swappiness);
  else if (swappiness === 0) type = LruType.File;
  else if (minSeq[LruType.Anon] < minSeq[LruType.File]) type = LruType.Anon;
  else if (swappiness === 1) type = LruType.File;
  else if (swappiness >= MAX_SWAPPINESS) type = LruType.Anon;
  else {
    type = counters.oldTypeToScan(swappiness);
    tierIdx = counters.oldTierIdx(type, swappiness);
  }
  for (let tries = maxType(swappiness) - minType(swappiness); tries >= 0; tries--) {
    if (tierIdx < 0) tierIdx = counters.tierIdx(type, isOld);
    const scanned = scanFolios(lruvec, nrToScan, type, tierIdx, sc, into);
    if (scanned > 0) return { scanned, type };
    type = other(type);
    tierIdx = -1;
  }
  return { scanned: 0, type };
}

// Evicting them.

/** Up to 64 pages go. @returns pages looked at; 0: there is nothing to be had without aging. evict_folios() */
export function evictFolios(lruvec: LruGen, nrToScan: number, sc: ScanControl, swappiness: number): number {
  const { system, group } = lruvec;
  const list: Isolated = [];
  const { scanned: looked, type } = isolateFolios(lruvec, nrToScan, sc, swappiness, list);
  let scanned = looked + (lruvec.tryToIncMinSeq(swappiness) ? 1 : 0);
  const isOut = lruvec.isOld ? lruvec.nrGens(minType(swappiness)) === MIN_NR_GENS : lruvec.evictableMinSeq(swappiness) + MIN_NR_GENS > lruvec.maxSeq;
  if (isOut) scanned = 0;
  for (let isRetry = false; list.length > 0; isRetry = true) {
    const stat = newReclaimStat();
    const reclaimed = shrinkFolioList(system, lruvec, list, sc, stat, false);
    sc.nr.unqueuedDirty += stat.unqueuedDirty;
    sc.nrReclaimed += reclaimed;
    traceShrink(scanned, reclaimed, stat, sc, type);
    const clean: Folio[] = [];
    for (const folio of list) if (!lruvec.isOld ? settle(lruvec, folio, type, isRetry) : settleOld(lruvec, folio, isRetry)) clean.push(folio);
    system.lruGen.walk?.flush(lruvec);
    system.vmscan.countSteal(group, type, sc, reclaimed);
    list.length = 0;
    list.push(...clean);
  }
  return scanned;
}
/** A folio that did not go comes back, but not to the oldest generation. @returns true: it is clean and nobody's, its writing has ended meanwhile; it is tried
 *  once more */
function settle(lruvec: LruGen, folio: Folio, type: LruType, isRetry: boolean): boolean {
  const { folios, lru } = lruvec.system;
  const flags = folios.flags(folio);
  if ((flags & (FolioFlag.Mlocked | FolioFlag.Unevictable)) === 0) {
    if (!isRetry && (flags & (FolioFlag.Active | FolioFlag.Dirty | FolioFlag.Writeback)) === 0 && folios.folioMapcount(folio) === 0) return true;
    if (lruvec.folioSeq(folio, false) === lruvec.minSeq[type]) lruvec.makeYoung(folio);
  }
  lru.putBack(folio);
  return false;
}
/** Up to 6.13: what is to be written comes back as it is, everything else to the youngest generation. */
function settleOld(lruvec: LruGen, folio: Folio, isRetry: boolean): boolean {
  const { folios, lru } = lruvec.system;
  const flags = folios.flags(folio);
  const isBusy = (flags & (FolioFlag.Dirty | FolioFlag.Writeback)) !== 0;
  if ((flags & (FolioFlag.Mlocked | FolioFlag.Unevictable)) !== 0) lru.putBack(folio);
  else if ((flags & FolioFlag.Reclaim) !== 0 && isBusy) {
    if ((flags & FolioFlag.Workingset) !== 0) folios.set(folio, FolioFlag.Referenced);
    lru.putBack(folio);
  } else if (isRetry || isBusy || (flags & (FolioFlag.Active | FolioFlag.Referenced | FolioFlag.Locked)) !== 0 || folios.folioMapcount(folio) > 0) {
    lruvec.makeYoung(folio);
    lru.putBack(folio);
  } else return true;
  return false;
}
function traceShrink(scanned: number, reclaimed: number, stat: ReclaimStat, { priority }: ScanControl, type: LruType): void {
  if (!mmVmscanLruShrinkInactive.enabled) return;
  mmVmscanLruShrinkInactive.emit(0, scanned, reclaimed, stat.dirty, stat.writeback, stat.congested, stat.immediate, stat.activateAnon, stat.activateFile, stat.refKeep, stat.unmapFail, priority, type === LruType.File ? 2 : 1);
}
