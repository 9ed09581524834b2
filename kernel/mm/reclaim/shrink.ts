// Shrinking a list of folios: each goes, or stays for a reason. Here: what is done with folios that a policy has taken off its lists. Not here:
// which those are (two-list.ts, lru-gen.ts, chosen.ts), taking them out of page tables (try-to-unmap.ts), writing them (../swap/).
// Mirrors shrink_folio_list(), pageout() and __remove_mapping() (mm/vmscan.c), 6.18.
//
//   locked? -> keep      unevictable? -> activate     under writeback? -> mark it to be rotated when that ends, activate
//   used since the last look (the policy judges)? -> keep or activate
//   anonymous, and not in the swap cache? -> slots for it, split where there is no run that long
//   mapped? -> out of every table             dirty? a file's: mark it, activate, the flusher writes; swap's: write it now
//   clean, and held by nobody else? -> out of its file or the swap cache, which keeps a shadow; free
//
// Left out: demotion to slower memory, journal heads of ext3.
import { asPfn } from '#base';
import type { Folio } from '#base';
import { VmItem, mmVmscanWriteFolio } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import { splitFolio } from '../split.ts';
import type { MmSystem } from '../system.ts';
import { PMD_ORDER, ThpStat } from '../thp.ts';
import type { Lruvec } from './lruvec.ts';
import { folioReferenced } from './referenced.ts';
import { Verdict } from './scan.ts';
import type { Isolated, ReclaimStat, ScanControl } from './scan.ts';
import { UnmapBatch, tryToUnmap } from './try-to-unmap.ts';

/** RECLAIM_WB_ANON, _FILE, _ASYNC of the tracepoint. */
const WB_ANON = 1;
const WB_FILE = 2;
const WB_ASYNC = 8;

/** What is done with one folio at the end. 'gone': it is freed. */
type Fate = 'gone' | 'keep' | 'activate';

/** @param list isolated folios; afterwards those that stay, with the pieces of what was split, to be put back by the caller
 *  @param ignoreReferences nobody is asked whether they are in use  @returns pages freed */
export function shrinkFolioList(system: MmSystem, lruvec: Lruvec, list: Isolated, sc: ScanControl, stat: ReclaimStat, ignoreReferences: boolean): number {
  const { folios, memcg, machine, params } = system;
  // What the disks have finished meanwhile is finished: they interrupt.
  system.waits.complete();
  const batch = new UnmapBatch(system);
  system.swap.io.plug();
  const work = list.splice(0).reverse();
  const gone: Folio[] = [];
  let reclaimed = 0;
  for (let folio = work.pop(); folio !== undefined; folio = work.pop()) {
    machine.charge(params.cost.lru_scan);
    const nr = folios.nrPages(folio);
    sc.nrScanned += nr;
    if (!system.waits.tryLock(folio)) {
      list.push(folio);
      continue;
    }
    const fate = shrinkFolio(system, lruvec, folio, work, sc, stat, batch, ignoreReferences);
    // It may have been split on the way: the pieces are at the end of `work`, and this one is a page.
    const left = folios.nrPages(folio);
    if (nr > left) sc.nrScanned -= nr - left;
    if (fate === 'gone') {
      reclaimed += left;
      gone.push(folio);
      continue;
    }
    if (fate === 'activate') {
      // Swap that is kept for a page which is in use again is wasted where swap is scarce.
      if (folios.test(folio, FolioFlag.SwapCache) && (system.swap.isFull || folios.test(folio, FolioFlag.Mlocked))) system.swap.freeFolio(folio);
      if (!folios.test(folio, FolioFlag.Mlocked)) {
        folios.set(folio, FolioFlag.Active);
        if (folios.isFileLru(folio)) stat.activateFile += left;
        else stat.activateAnon += left;
        memcg.countFolio(folio, VmItem.pgactivate, left);
      }
    }
    system.waits.unlock(folio);
    list.push(folio);
  }
  batch.flush();
  system.swap.io.unplug();
  for (const folio of gone) {
    system.waits.unlock(folio);
    system.putFolio(folio, 1, true);
  }
  return reclaimed;
}

function shrinkFolio(system: MmSystem, lruvec: Lruvec, folio: Folio, work: Folio[], sc: ScanControl, stat: ReclaimStat, batch: UnmapBatch, ignoreReferences: boolean): Fate {
  const { folios, vmstat } = system;
  const nr = folios.nrPages(folio);
  if (folios.test(folio, FolioFlag.Mlocked | FolioFlag.Unevictable)) return 'activate';
  if (!sc.mayUnmap && folios.folioMapcount(folio) > 0) return 'keep';
  const isAnon = folios.isAnon(folio);
  const isFile = folios.isFileLru(folio);
  const isWriteback = folios.test(folio, FolioFlag.Writeback);
  if (isFile && !isAnon) {
    const isDirty = folios.test(folio, FolioFlag.Dirty);
    if (isDirty || isWriteback) stat.dirty += nr;
    if (isDirty && !isWriteback) stat.unqueuedDirty += nr;
  }
  if (isWriteback) {
    const wasMarked = folios.test(folio, FolioFlag.Reclaim);
    if (wasMarked) stat.congested += nr;
    if (wasMarked && sc.by === 'kswapd' && system.vmscan.isWritebackBound) stat.immediate += nr;
    else {
      folios.set(folio, FolioFlag.Reclaim);
      stat.writeback += nr;
    }
    return 'activate';
  }
  const verdict = ignoreReferences ? Verdict.Reclaim : lruvec.judge(folio, folioReferenced(system, folio, lruvec, sc), sc);
  if (verdict === Verdict.Activate) return 'activate';
  if (verdict === Verdict.Keep) {
    stat.refKeep += nr;
    return 'keep';
  }
  if (isAnon && folios.test(folio, FolioFlag.SwapBacked) && !folios.test(folio, FolioFlag.SwapCache)) {
    // Held by somebody whom no mapping explains: it could not go in the end.
    if (folios.refCount(folio) !== folios.folioMapcount(folio) + 1) return folios.isLarge(folio) ? 'activate' : 'keep';
    if (!prepareSwap(system, folio, work)) return 'activate';
  }
  const held = cacheReferences(system, folio);
  if (folios.refCount(folio) !== folios.folioMapcount(folio) + held + 1) return 'keep';
  if (folios.folioMapcount(folio) > 0) {
    const wasSwapBacked = folios.test(folio, FolioFlag.SwapBacked);
    if (!tryToUnmap(system, folio, batch)) {
      stat.unmapFail += folios.nrPages(folio);
      if (!wasSwapBacked && folios.test(folio, FolioFlag.SwapBacked)) stat.lazyfreeFail += folios.nrPages(folio);
      return 'activate';
    }
  }
  // (Droppable memory that was written comes here, too: it is unmapped, and gone when it is put back.)
  if (folios.test(folio, FolioFlag.Dirty)) {
    if (isFile) {
      vmstat.add(VmItem.nr_vmscan_immediate_reclaim, nr);
      folios.set(folio, FolioFlag.Reclaim);
      return 'activate';
    }
    if (verdict === Verdict.ReclaimClean) return 'keep';
    batch.flush();
    const fate = pageout(system, folio, work, stat);
    if (fate !== null) return fate;
  }
  return removeMapping(system, folio, sc) ? 'gone' : 'keep';
}
/** References that are explained by the page cache, the swap cache, and what a file system keeps for the folio. */
function cacheReferences({ folios }: MmSystem, folio: Folio): number {
  const cached = folios.test(folio, FolioFlag.SwapCache) || (!folios.isAnon(folio) && folios.mapping(folio) !== 0);
  return (cached ? folios.nrPages(folio) : 0) + (folios.test(folio, FolioFlag.Private) ? 1 : 0);
}

/** Slots in swap for an anonymous folio: one run for a large one; where there is none it is split, and its pages go one by one. What has lost some of its
 *  pages is split at once. @returns false: it stays */
function prepareSwap(system: MmSystem, folio: Folio, work: Folio[]): boolean {
  const { folios, thp, vmstat } = system;
  const order = folios.order(folio);
  if (order > 0 && folios.test(folio, FolioFlag.PartiallyMapped) && !splitToList(system, folio, work)) return false;
  if (system.swap.allocate(folio)) return true;
  if (!folios.isLarge(folio)) return false;
  if (!splitToList(system, folio, work)) return false;
  if (order === PMD_ORDER) vmstat.add(VmItem.thp_swpout_fallback, 1);
  thp.count(order, ThpStat.swpout_fallback);
  return system.swap.allocate(folio);
}
/** Splits a locked, isolated folio into pages; the tails are isolated, too, and come next. split_folio_to_list() */
function splitToList(system: MmSystem, folio: Folio, work: Folio[]): boolean {
  const { folios } = system;
  const nr = folios.nrPages(folio);
  if (splitFolio(system, folio, 0, null, 'split-swap') !== 0) return false;
  for (let i = nr - 1; i > 0; i--) {
    const piece = folios.folioOf(asPfn(folio + i));
    // A piece that nobody maps was freed by the split.
    if (folios.refCount(piece) === 0) continue;
    folios.clear(piece, FolioFlag.Locked);
    folios.get(piece);
    work.push(piece);
  }
  return true;
}

/** Writes a dirty, unmapped folio to swap. @returns null: it is clean and locked now, and may go. pageout() */
function pageout(system: MmSystem, folio: Folio, work: Folio[], stat: ReclaimStat): Fate | null {
  const { folios, vmstat, swap } = system;
  folios.set(folio, FolioFlag.Reclaim);
  const result = folios.isAnon(folio) || folios.test(folio, FolioFlag.SwapCache) ? swap.write(folio) : swap.writeShmem(folio, () => splitToList(system, folio, work));
  const nr = folios.nrPages(folio);
  if (result !== 'async') folios.clear(folio, FolioFlag.Reclaim);
  if (result === 'failed') return 'activate';
  if (result === 'unneeded') return 'keep';
  if (mmVmscanWriteFolio.enabled) mmVmscanWriteFolio.emit(folio, (folios.isFileLru(folio) ? WB_FILE : WB_ANON) | WB_ASYNC);
  vmstat.add(VmItem.nr_vmscan_write, nr);
  stat.pageout += nr;
  return result === 'async' ? 'keep' : null;
}

/** Takes a clean, unmapped folio out of what holds it, leaving a shadow. The caller's reference is the last one then. __remove_mapping() */
function removeMapping(system: MmSystem, folio: Folio, sc: ScanControl): boolean {
  const { folios, memcg, addressSpaces, lru } = system;
  const nr = folios.nrPages(folio);
  if (folios.isAnon(folio) && !folios.test(folio, FolioFlag.SwapCache)) {
    // Freed lazily: nothing is lost.
    if (folios.refCount(folio) !== 1) return false;
    memcg.countFolio(folio, VmItem.pglazyfreed, nr);
    return true;
  }
  if (folios.test(folio, FolioFlag.SwapCache)) {
    if (folios.refCount(folio) !== nr + 1 || folios.test(folio, FolioFlag.Dirty)) return false;
    system.swap.removeFromCache(folio, lru.evicted(folio, sc.target));
    return true;
  }
  const space = addressSpaces.get(folios.mapping(folio));
  if (space === undefined) return false;
  if (folios.test(folio, FolioFlag.Private) && (space.ops === null || !space.ops.releaseFolio(folio))) return false;
  if (folios.refCount(folio) !== nr + 1 || folios.test(folio, FolioFlag.Dirty)) return false;
  space.evictFolio(folio, folios.isFileLru(folio) ? lru.evicted(folio, sc.target) : 0);
  return true;
}
