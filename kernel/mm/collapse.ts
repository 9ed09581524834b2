// Collapse: the single pages of an aligned window become one large folio. Here: judging a window (scan), collapsing it, to 2 MiB by one PMD
// entry or, as an option, to a smaller size. Not here: who asks, and how often (khugepaged.ts).
// Mirrors hpage_collapse_scan_pmd() and collapse_huge_page() (mm/khugepaged.c), 6.18. Left out: files, userfaultfd.
//
// A window on paper: scan its entries; what is mapped must be anonymous, of nobody else's concern beyond what the limits allow, and recently
// used. Then a folio is allocated, the old entries are taken out of sight and fenced, each page copied or zeroed, the old pages let go, and
// one new mapping put in their place. Nothing is left half done: everything that can fail comes before the first entry changes.
import { asFolio, asPfn, asVpn } from '#base';
import type { Folio, Pfn } from '#base';
import { Pte, PteSoft, makePte, ptePfn } from '#mmu';
import { VmItem, mappingChanged, mmCollapseHugePage, mmCollapseHugePageIsolate, mmKhugepagedScanPmd } from './events.ts';
import { FaultResult, newFault } from './fault.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { reasonIndex } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';
import { addNewAnonRmap, addNewAnonRmapPmd, removePteRmaps } from './rmap.ts';
import { isSwapPte } from './swap/entry.ts';
import { doSwapPage } from './swap/swap-in.ts';
import { Gfp } from './system.ts';
import { PMD_ORDER } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

const PMD_PAGES = 1 << PMD_ORDER;

/** What became of a window: enum scan_result, with Linux's numbers. Those that cannot come about here are left out. */
export const ScanResult = {
  Fail: 0, Succeed: 1, PmdNull: 2, PmdNone: 3, PmdMapped: 4, ExceedNonePte: 5, ExceedSwapPte: 6, ExceedSharedPte: 7, PteNonPresent: 8, LackReferencedPage: 11, PageNull: 12,
  PageCount: 14, PageLock: 16, PageAnon: 17, VmaNull: 20, VmaCheck: 21, AddressRange: 22, AllocHugePageFail: 24,
} as const;
export type ScanResult = (typeof ScanResult)[keyof typeof ScanResult];

/** How generous a collapse is. khugepaged has limits and wants pages that were used lately; a program that asks gets its way. */
export interface CollapseRules {
  readonly maxPtesNone: number;
  readonly maxPtesShared: number;
  readonly maxPtesSwap: number;
  readonly needsReferenced: boolean;
  /** The mask of the allocation: who asks decides whether it may reclaim. */
  readonly gfp: number;
  /** Who asks, as the outside is told. */
  readonly reason: ReasonCode;
}

/** What a look at the entries of a window found. */
interface Window {
  result: ScanResult;
  noneOrZero: number;
  referenced: number;
  /** Entries that are neither present nor empty. Linux takes them all for swapped pages, and fails later when it cannot bring one in: a guard. */
  unmapped: number;
  /** Frame of each page; 0: to be zeroed. */
  readonly frames: number[];
  firstPfn: number;
}

/** Looks at the 512 entries from `vpn` (aligned) on, and collapses them when the rules allow. Mirrors hpage_collapse_scan_pmd(). */
export function collapseScanPmd(mm: Mm, vma: Vma, vpn: number, rules: CollapseRules): ScanResult {
  const { system, tables } = mm;
  const pmd = tables.pmd(vpn);
  let window: Window = { result: ScanResult.Succeed, noneOrZero: 0, referenced: 0, unmapped: 0, frames: [], firstPfn: -1 };
  if (tables.tableAt(vpn, 1) === 0) window.result = ScanResult.PmdNull;
  else if (pmd === 0) window.result = ScanResult.PmdNone;
  else if (tables.pmdLeaf(vpn) !== 0) window.result = ScanResult.PmdMapped;
  else window = scanWindow(mm, vpn, PMD_PAGES, rules);
  const scanned = window.result;
  if (window.result === ScanResult.Succeed) window.result = isKeptFrom(mm, vpn, PMD_PAGES, rules) ? ScanResult.Fail : collapseHugePage(mm, vma, vpn, window, rules);
  if (mmKhugepagedScanPmd.enabled) mmKhugepagedScanPmd.emit(mm.id, window.firstPfn, window.referenced, window.noneOrZero, window.result, window.unmapped);
  if (scanned === ScanResult.ExceedNonePte) system.vmstat.add(VmItem.thp_scan_exceed_none_pte, 1);
  if (scanned === ScanResult.ExceedSwapPte) system.vmstat.add(VmItem.thp_scan_exceed_swap_pte, 1);
  if (scanned === ScanResult.ExceedSharedPte) system.vmstat.add(VmItem.thp_scan_exceed_share_pte, 1);
  return window.result;
}

/** Judges `nr` entries of one table. The charge is for reading them. */
function scanWindow(mm: Mm, vpn: number, nr: number, rules: CollapseRules): Window {
  const { system, tables } = mm;
  const { folios } = system;
  const window: Window = { result: ScanResult.Succeed, noneOrZero: 0, referenced: 0, unmapped: 0, frames: [], firstPfn: -1 };
  let shared = 0;
  const stop = (result: ScanResult): Window => ({ ...window, result });
  for (let i = 0; i < nr; i++) {
    system.machine.charge(system.params.cost.pte_scan);
    const low = tables.get(vpn + i);
    if (low !== 0 && !ptePresent(low)) {
      window.frames.push(0);
      if (++window.unmapped > rules.maxPtesSwap) return stop(ScanResult.ExceedSwapPte);
      continue;
    }
    if (low === 0 || (low & PteSoft.Special) !== 0) {
      window.frames.push(0);
      if (++window.noneOrZero > rules.maxPtesNone) return stop(ScanResult.ExceedNonePte);
      continue;
    }
    const page = ptePfn(low);
    if (window.firstPfn < 0) window.firstPfn = page;
    const folio = folios.folioOf(page);
    if (!folios.isAnon(folio)) return stop(ScanResult.PageAnon);
    if (folios.maybeMappedShared(folio) && ++shared > rules.maxPtesShared) return stop(ScanResult.ExceedSharedPte);
    // A reference that no mapping explains: somebody holds the page, and would not notice that it has moved.
    if (folios.test(folio, FolioFlag.Locked)) return stop(ScanResult.PageLock);
    const cached = folios.test(folio, FolioFlag.SwapCache) ? folios.nrPages(folio) : 0;
    if (folios.refCount(folio) !== folios.folioMapcount(folio) + cached) return stop(ScanResult.PageCount);
    if ((low & Pte.A) !== 0 || folios.test(folio, FolioFlag.Referenced)) window.referenced++;
    window.frames.push(page);
  }
  const least = window.unmapped > 0 ? nr / 2 : 1;
  return rules.needsReferenced && window.referenced < least ? stop(ScanResult.LackReferencedPage) : window;
}

/** Mirrors collapse_huge_page(). The window has been judged; only memory can be missing. */
function collapseHugePage(mm: Mm, vma: Vma, vpn: number, judged: Window, rules: CollapseRules): ScanResult {
  const { system, tables } = mm;
  const { nrRuns } = system.vmscan;
  const { slowPaths } = system.pages.counts;
  const folio = system.memcg.as(mm.group, () => system.allocFolio(PMD_ORDER, MemdescType.AnonFolio, rules.gfp));
  // The search for memory may have moved or split what the window maps.
  let window = folio === 0 || (system.pages.counts.slowPaths === slowPaths && system.vmscan.nrRuns === nrRuns) ? judged : scanWindow(mm, vpn, PMD_PAGES, rules);
  if (folio !== 0 && window.result !== ScanResult.Succeed) {
    system.putFolio(folio);
    return window.result;
  }
  system.vmstat.add(folio === 0 ? VmItem.thp_collapse_alloc_failed : VmItem.thp_collapse_alloc, 1);
  let result: ScanResult = folio === 0 ? ScanResult.AllocHugePageFail : ScanResult.Succeed;
  if (folio !== 0 && window.unmapped > 0) {
    result = swapInWindow(mm, vma, vpn);
    // What came in has moved the others' place in memory, perhaps.
    if (result === ScanResult.Succeed) window = scanWindow(mm, vpn, PMD_PAGES, rules);
    if (result === ScanResult.Succeed) result = window.unmapped > 0 ? ScanResult.Fail : window.result;
  }
  if (folio !== 0 && result !== ScanResult.Succeed) system.putFolio(folio);
  if (folio !== 0 && result === ScanResult.Succeed) {
    if (mmCollapseHugePageIsolate.enabled) mmCollapseHugePageIsolate.emit(window.firstPfn, window.noneOrZero, window.referenced, result);
    // The whole table leaves the tree, so that no access gets in between; it stays as the spare table of the new mapping.
    tables.depositTableOf(vpn);
    mm.fences.all();
    fill(mm, folio, window.frames);
    letGo(mm, vma, window.frames);
    addNewAnonRmapPmd(mm, vma, folio, vpn);
    mm.system.deferredSplit.add(folio, false);
    tables.setPmdLeaf(vpn, makePte(folio, vma.pageProt | Pte.D | (vma.has(VmFlag.Write) ? Pte.W : 0)));
  }
  if (result === ScanResult.Succeed) tell(mm, vpn, PMD_PAGES, rules);
  if (mmCollapseHugePage.enabled) mmCollapseHugePage.emit(mm.id, result === ScanResult.Succeed ? 1 : 0, result);
  return result;
}

/** Brings in what is in swap. What must be read first is not waited for: the next round finds it. A guard cannot be brought in.
 *  Mirrors __collapse_huge_page_swapin(). */
function swapInWindow(mm: Mm, vma: Vma, vpn: number): ScanResult {
  for (let at = vpn; at < vpn + PMD_PAGES; at++) {
    const low = mm.tables.get(at);
    if (low === 0 || ptePresent(low)) continue;
    if (!isSwapPte(low)) return ScanResult.Fail;
    const result = doSwapPage(newFault(mm, vma, asVpn(at), false), low);
    if (result === FaultResult.Retry) return ScanResult.PageLock;
    if (result !== FaultResult.Done) return ScanResult.Fail;
  }
  return ScanResult.Succeed;
}
/** Pressure has split a folio there, and khugepaged is not to undo that yet. */
const isKeptFrom = (mm: Mm, vpn: number, nr: number, { reason }: CollapseRules): boolean => reason === 'collapse-khugepaged' && mm.system.collapseHistory.isGuarded(mm, vpn, nr);
function tell(mm: Mm, vpn: number, nr: number, { reason }: CollapseRules): void {
  if (reason === 'collapse-khugepaged') mm.system.collapseHistory.noteCollapse(mm, vpn, nr);
  if (mappingChanged.enabled) mappingChanged.emit(mm.id, vpn * 4096, nr, reasonIndex(reason));
}

/** The new folio's contents: copies of what was there, zeros elsewhere. */
function fill(mm: Mm, folio: Folio, frames: readonly number[]): void {
  const { system } = mm;
  frames.forEach((from, i) => {
    const to = asPfn(folio + i);
    if (from !== 0) system.copyPage(to, asPfn(from));
    else system.zeroFolio(asFolio(to), 1);
  });
}
/** The old pages lose their mappings, run by run of one folio. */
function letGo(mm: Mm, vma: Vma, frames: readonly number[]): void {
  const { folios } = mm.system;
  for (let i = 0, nr: number; i < frames.length; i += nr) {
    const first = frames[i]! as Pfn;
    nr = 1;
    if (first === 0) continue;
    const folio = folios.folioOf(first);
    while (i + nr < frames.length && frames[i + nr] === first + nr && first + nr < folio + folios.nrPages(folio)) nr++;
    const inSwapCache = folios.test(folio, FolioFlag.SwapCache);
    removePteRmaps(mm, vma, first, nr);
    if (inSwapCache) mm.system.swap.freeIfUnused(folio);
  }
}

/** Collapses windows of smaller enabled sizes inside the 2 MiB from `vpn` on: what the mid-size collapse under discussion for Linux does,
 *  behind khugepaged/any_order. The limits scale with the size. So that it does not work against reclaim, at least half of a window must be
 *  there and have been used lately: a window that is mostly holes would be split again for its zeros.
 *  @param orders a set, without 9 @returns how many windows were collapsed by order, largest first; AllocHugePageFail when memory ran out */
export function collapseSmaller(mm: Mm, vma: Vma, vpn: number, orders: readonly number[], rules: CollapseRules): { collapsed: number; result: ScanResult } {
  const { system, tables } = mm;
  let collapsed = 0;
  if (tables.tableAt(vpn, 0) === 0) return { collapsed, result: ScanResult.PmdNone };
  for (const order of orders) {
    const nr = 1 << order;
    const scaled: CollapseRules = { ...rules, maxPtesNone: rules.maxPtesNone >> (PMD_ORDER - order), maxPtesShared: rules.maxPtesShared >> (PMD_ORDER - order), maxPtesSwap: 0 };
    for (let at = vpn; at < vpn + PMD_PAGES; at += nr) {
      if (at * 4096 < vma.start || (at + nr) * 4096 > vma.end || isLargeAlready(mm, at, order)) continue;
      let window = scanWindow(mm, at, nr, scaled);
      if (window.result !== ScanResult.Succeed || window.referenced * 2 < nr || isKeptFrom(mm, at, nr, rules)) continue;
      const { nrRuns } = system.vmscan;
      const { slowPaths } = system.pages.counts;
      const folio = system.memcg.as(mm.group, () => system.allocFolio(order, MemdescType.AnonFolio, rules.gfp));
      if (folio === 0) return { collapsed, result: ScanResult.AllocHugePageFail };
      if (system.pages.counts.slowPaths !== slowPaths || system.vmscan.nrRuns !== nrRuns) window = scanWindow(mm, at, nr, scaled);
      if (window.result !== ScanResult.Succeed) {
        system.putFolio(folio);
        continue;
      }
      for (let i = 0; i < nr; ) {
        const unit = tables.unitAt(at + i, at + nr);
        tables.setUnit(at + i, 0, unit);
        i += unit;
      }
      mm.fences.range(at, at + nr);
      fill(mm, folio, window.frames);
      letGo(mm, vma, window.frames);
      addNewAnonRmap(mm, vma, folio, asVpn(at));
      tables.setRun(at, folio, vma.pageProt | Pte.D | (vma.has(VmFlag.Write) ? Pte.W : 0), nr, order);
      tell(mm, at, nr, rules);
      collapsed++;
    }
  }
  return { collapsed, result: ScanResult.Succeed };
}
/** Does one folio of that size or more lie behind the window's first page already? */
function isLargeAlready(mm: Mm, vpn: number, order: number): boolean {
  const { folios } = mm.system;
  const low = mm.tables.get(vpn);
  return low !== 0 && (low & PteSoft.Special) === 0 && ptePresent(low) && folios.order(folios.folioOf(ptePfn(low))) >= order;
}
/** The mask of khugepaged's own allocations: with defrag they may reclaim, but not for long. alloc_hugepage_khugepaged_gfpmask(). */
export const khugepagedGfp = (defrag: boolean): number => (defrag ? Gfp.Thp : Gfp.ThpLight);
