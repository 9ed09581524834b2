// The fault on a page that is in swap. Here: one fault, from the entry to the mapping. Not here: reading (swap-readahead.ts, swap-io.ts),
// devices that read at once (swap-direct.ts), writing to what turns out to be shared (../cow.ts). Mirrors do_swap_page() (mm/memory.c), 6.18. Left out: KSM,
// userfaultfd, checked backing devices.
//
// A fault on paper: the entry names slot 7. The swap cache has nothing there: a page is allocated for whoever owned slot 7, read with its neighbours,
// and the fault sleeps (Retry). The same fault again finds it: locked by itself, still slot 7's, up to date. The slot has one user less; is swap short, or
// was this the last user and a write, the page leaves the swap cache as well. The entry was exclusive: it is mapped writable.
import { asPfn } from '#base';
import type { Folio } from '#base';
import { Pte } from '#mmu';
import { doWpPage } from '../cow.ts';
import { FaultResult } from '../fault.ts';
import type { Fault } from '../fault.ts';
import { FolioFlag } from '../folio.ts';
import { addSwappedInRmaps } from '../rmap.ts';
import { VmFlag } from '../vma.ts';
import { entryOfPte, isExclusiveSwapPte, swapPte } from './entry.ts';
import type { SwapEntry } from './entry.ts';
import { countMajor, swapInDirect } from './swap-direct.ts';
import { lookupSwapCache, swapinReadahead } from './swap-readahead.ts';

/** @param low the entry: a place in swap */
export function doSwapPage(fault: Fault, low: number): FaultResult {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  const { folios, waits, faults } = system;
  const entry = entryOfPte(low);
  const info = system.swap.infoOf(entry);
  if (info === null) return FaultResult.BusError;
  let folio = lookupSwapCache(system, entry, vma);
  if (folio === 0 && info.isSynchronous && system.swap.count(entry) === 1) {
    const result = swapInDirect(fault, low);
    if (result !== null) return wpIfNeeded(fault, result);
    folio = system.swap.cache.folioAt(entry);
  }
  if (folio === 0) {
    folio = swapinReadahead(fault, entry);
    // Nobody else runs meanwhile: the entry is what it was.
    if (folio === 0) return FaultResult.OutOfMemory;
    countMajor(fault, entry, folio);
  }
  if (!waits.tryLock(folio)) {
    system.faultWait = folio;
    if (faults.current !== null) faults.phase('allocate', { pfn: folio, va: vpn * 4096 }, 'sleeps until the folio is read in', 'swap-in');
    return FaultResult.Retry;
  }
  if (!folios.test(folio, FolioFlag.Uptodate)) {
    waits.unlock(folio);
    return FaultResult.BusError;
  }
  folios.get(folio);
  const result = mapSwapped(fault, folio, entry, low);
  waits.unlock(folio);
  system.putFolio(folio);
  return wpIfNeeded(fault, result);
}
/** A write to what others may reach, too, or to what the VMA does not let be written. */
function wpIfNeeded(fault: Fault, result: FaultResult): FaultResult {
  const now = fault.mm.tables.get(fault.vpn);
  return fault.write && result === FaultResult.Done && (now & Pte.W) === 0 ? doWpPage(fault, now) : result;
}

/** Maps the page, or all of its folio if every entry still names it. The folio is locked, and held by the caller. */
function mapSwapped(fault: Fault, folio: Folio, entry: SwapEntry, low: number): FaultResult {
  const { mm, vma, vpn } = fault;
  const { system, tables } = mm;
  const { folios, swap } = system;
  const inFolio = entry - folios.swapEntry(folio);
  const whole = folios.isLarge(folio) && isWhole(fault, vpn - inFolio, folio);
  const start = whole ? vpn - inFolio : vpn;
  const nr = whole ? folios.nrPages(folio) : 1;
  const page = asPfn(folio + (whole ? 0 : inFolio));
  const first = whole ? folios.swapEntry(folio) : entry;
  let isExclusive = isExclusiveSwapPte(low);
  swap.free(first, nr);
  if (shouldFreeSwap(fault, folio)) swap.freeFolio(folio);
  mm.addSwapEntries(-nr);
  // The caller's reference is the only one: nobody else can reach it.
  if (folios.refCount(folio) === 1) isExclusive = true;
  const mayWrite = isExclusive && vma.has(VmFlag.Write);
  addSwappedInRmaps(mm, vma, page, nr, start, isExclusive);
  tables.setRun(start, page, vma.pageProt | (mayWrite ? Pte.W | (fault.write ? Pte.D : 0) : 0), nr, folios.order(folio));
  fault.kind = 'swap-in';
  if (system.faults.current !== null) system.faults.phase('map', { pages: nr, pfn: page }, `${nr === 1 ? 'one entry' : `${nr} entries`}${mayWrite ? ', writable' : ''}`, isExclusive ? 'swap-in' : 'swap-in-shared');
  return FaultResult.Done;
}
/** Does every entry of the folio's range name its slots, exclusive as this one or not, in one VMA and one page table? */
function isWhole({ mm, vma, vpn }: Fault, start: number, folio: Folio): boolean {
  const { folios } = mm.system;
  const nr = folios.nrPages(folio);
  const table = vpn - (vpn % 512);
  if (start < Math.max(table, vma.start / 4096) || start + nr > Math.min(table + 512, vma.end / 4096)) return false;
  const isExclusive = isExclusiveSwapPte(mm.tables.get(vpn));
  for (let i = 0; i < nr; i++) if ((mm.tables.get(start + i) | 0) !== swapPte(folios.swapEntry(folio) + i, isExclusive)) return false;
  return true;
}
/** should_try_to_free_swap() */
function shouldFreeSwap({ mm: { system }, vma, write }: Fault, folio: Folio): boolean {
  const { folios, swap } = system;
  if (swap.isFullFor(folio) || vma.has(VmFlag.Locked) || folios.test(folio, FolioFlag.Mlocked)) return true;
  return write && folios.refCount(folio) === 1 + folios.nrPages(folio);
}
