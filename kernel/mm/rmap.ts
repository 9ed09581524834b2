// What a mapping does to the counts of a folio: mapcounts, references, exclusivity, rss, the gauges. Here: adding and removing mappings by
// PTE and by PMD. Not here: finding the mappings of a folio (rmap-walk.ts). Mirrors folio_add_*_rmap_*() and folio_remove_rmap_*() (mm/rmap.c), 6.18.
//
// Every mapping by PTE holds one reference of the folio, a mapping by PMD one in all.
import { bug, hex } from '#base';
import type { Folio, Pfn } from '#base';
import { VmItem } from './events.ts';
import { ENTIRELY_MAPPED, FolioFlag } from './folio.ts';
import type { Mm } from './mm.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

const PMD_PAGES = 1 << PMD_ORDER;

/** A fresh anonymous folio, mapped for the first time, whole and by PTEs: every page is exclusive. The allocation's reference becomes the
 *  first page's. Mirrors folio_add_new_anon_rmap(). */
export function addNewAnonRmap(mm: Mm, vma: Vma, folio: Folio, vpn: number): void {
  const { folios, vmstat } = mm.system;
  const nr = folios.nrPages(folio);
  folios.mapFresh(folio);
  if (nr > 1) {
    folios.get(folio, nr - 1);
    folios.addLargeMapcount(folio, nr, mm.id);
    folios.addPagesMapped(folio, nr);
  }
  nameAnon(mm, vma, folio, vpn);
  vmstat.add(VmItem.nr_anon_pages, nr);
  mm.addAnonPages(nr);
  mm.system.machine.charge(mm.system.params.cost.rmap * nr);
}
/** The same for a folio mapped by one PMD entry. */
export function addNewAnonRmapPmd(mm: Mm, vma: Vma, folio: Folio, vpn: number): void {
  const { folios, vmstat } = mm.system;
  folios.addEntireMapcount(folio, 1);
  folios.addPagesMapped(folio, ENTIRELY_MAPPED);
  folios.addLargeMapcount(folio, 1, mm.id);
  folios.set(folio, FolioFlag.AnonExclusive);
  nameAnon(mm, vma, folio, vpn);
  vmstat.add(VmItem.nr_anon_pages, PMD_PAGES);
  vmstat.add(VmItem.nr_anon_transparent_hugepages, 1);
  mm.addAnonPages(PMD_PAGES);
  mm.system.machine.charge(mm.system.params.cost.rmap);
}
function nameAnon(mm: Mm, vma: Vma, folio: Folio, vpn: number): void {
  const { folios } = mm.system;
  // What may be dropped is as good as freed lazily.
  folios.set(folio, FolioFlag.Uptodate | (vma.has(VmFlag.Droppable) ? 0 : FolioFlag.SwapBacked));
  folios.setMapping(folio, -(vma.anonVma?.id ?? 0), vma.pgoff + vpn - vma.start / 4096);
  if ((vma.flags & VmFlag.Locked) !== 0) mlockFolio(mm.system, folio);
  mm.system.lru.addNew(folio);
}

/** One more PTE maps a page that is in use: fork, or a page of a file. Takes the reference. */
export function addPteRmap(mm: Mm, vma: Vma, page: Pfn): void {
  const { system } = mm;
  const { folios } = system;
  const folio = folios.folioOf(page);
  folios.get(folio);
  const first = folios.addMapcount(page, 1) === 1;
  let newlyMapped = first;
  if (folios.isLarge(folio)) {
    folios.addLargeMapcount(folio, 1, mm.id);
    if (first) newlyMapped = folios.addPagesMapped(folio, 1) < ENTIRELY_MAPPED;
  }
  if (newlyMapped) system.vmstat.add(folios.isAnon(folio) ? VmItem.nr_anon_pages : VmItem.nr_mapped, 1);
  countRss(mm, folio, 1);
  if ((vma.flags & VmFlag.Locked) !== 0) mlockFolio(system, folio);
  system.machine.charge(system.params.cost.rmap);
}
/** PTEs map pages of a folio that has come back from swap, and stands on its list. What was mapped before it went out is where it was; what was read in
 *  gets its place now: with the whole family where others may have swap entries for it, too. Takes the references. Mirrors folio_add_anon_rmap_ptes()
 *  and, of what is new, folio_add_new_anon_rmap(). */
export function addSwappedInRmaps(mm: Mm, vma: Vma, first: Pfn, nr: number, vpn: number, exclusive: boolean): void {
  const { folios } = mm.system;
  const folio = folios.folioOf(first);
  if (folios.mapping(folio) === 0) {
    const owner = (exclusive ? vma.anonVma : vma.anonVma?.root) ?? bug(`swap entry at page ${hex(vpn)} of a VMA that has had no page`);
    folios.setMapping(folio, -owner.id, vma.pgoff + vpn - vma.start / 4096 - (first - folio));
  }
  for (let i = 0; i < nr; i++) {
    const page = (first + i) as Pfn;
    addPteRmap(mm, vma, page);
    if (exclusive) folios.set(page, FolioFlag.AnonExclusive);
  }
}
/** One more PMD maps an anonymous folio whole: fork. Takes the reference. */
export function addPmdRmap(mm: Mm, folio: Folio): void {
  countPmd(mm, folio);
  mm.addAnonPages(PMD_PAGES);
}
function countPmd(mm: Mm, folio: Folio): void {
  const { folios, vmstat } = mm.system;
  folios.get(folio);
  folios.addLargeMapcount(folio, 1, mm.id);
  if (folios.addEntireMapcount(folio, 1) === 1) {
    const mapped = folios.addPagesMapped(folio, ENTIRELY_MAPPED) - ENTIRELY_MAPPED;
    vmstat.add(VmItem.nr_anon_pages, PMD_PAGES - mapped);
    vmstat.add(VmItem.nr_anon_transparent_hugepages, 1);
  }
  mm.system.machine.charge(mm.system.params.cost.rmap);
}

/** A PTE no longer maps the page. Drops its reference, which may free the folio. */
export const removePteRmap = (mm: Mm, vma: Vma, page: Pfn): void => { removePteRmaps(mm, vma, page, 1); };
/** PTEs no longer map `nr` consecutive pages of one folio. What loses all its mappings in one go is never partially mapped.
 *  Mirrors folio_remove_rmap_ptes(). @param batched as a part of a range that is unmapped */
export function removePteRmaps(mm: Mm, vma: Vma, first: Pfn, nr: number, batched = false): void {
  const { system } = mm;
  const { folios } = system;
  const folio = folios.folioOf(first);
  let unmapped = 0;
  for (let i = 0; i < nr; i++) if (folios.addMapcount((first + i) as Pfn, -1) === 0) unmapped++;
  let partially = false;
  if (folios.isLarge(folio)) {
    folios.subLargeMapcount(folio, nr, mm.id);
    if (unmapped > 0) {
      const mapped = folios.addPagesMapped(folio, -unmapped);
      if (mapped >= ENTIRELY_MAPPED) unmapped = 0;
      partially = unmapped > 0 && mapped > 0;
    }
  }
  const anon = folios.isAnon(folio);
  if (unmapped > 0) system.vmstat.add(anon ? VmItem.nr_anon_pages : VmItem.nr_mapped, -unmapped);
  if (partially && anon) system.deferredSplit.add(folio, true);
  countRss(mm, folio, -nr);
  if ((vma.flags & VmFlag.Locked) !== 0 && !folios.isLarge(folio)) munlockFolio(system, folio);
  system.machine.charge(system.params.cost.rmap * nr);
  system.putFolio(folio, nr, batched);
}
/** A PMD no longer maps the folio whole. Drops its reference. */
export function removePmdRmap(mm: Mm, vma: Vma, folio: Folio): void {
  const { system } = mm;
  forgetPmd(mm, folio);
  mm.addAnonPages(-PMD_PAGES);
  if ((vma.flags & VmFlag.Locked) !== 0) munlockFolio(system, folio);
  system.machine.charge(system.params.cost.rmap);
  system.putFolio(folio, 1, true);
}
/** One PMD mapping becomes 512 PTE mappings of the same address space; rss stays. Mirrors the counting of __split_huge_pmd_locked(). */
export function splitPmdRmap(mm: Mm, folio: Folio): void {
  const { folios, vmstat } = mm.system;
  const exclusive = folios.isAnonExclusive(folio);
  folios.get(folio, PMD_PAGES - 1);
  folios.addLargeMapcount(folio, PMD_PAGES, mm.id);
  for (let i = 0; i < PMD_PAGES; i++) {
    const page = (folio + i) as Pfn;
    if (folios.addMapcount(page, 1) === 1 && folios.addPagesMapped(folio, 1) < ENTIRELY_MAPPED) vmstat.add(VmItem.nr_anon_pages, 1);
    if (exclusive) folios.set(page, FolioFlag.AnonExclusive);
  }
  forgetPmd(mm, folio);
}
/** @param mayDefer false: the pages will be mapped again in a moment */
function forgetPmd(mm: Mm, folio: Folio, mayDefer = true): void {
  const { system } = mm;
  const { folios, vmstat } = system;
  folios.subLargeMapcount(folio, 1, mm.id);
  if (folios.addEntireMapcount(folio, -1) !== 0) return;
  const stillMapped = folios.addPagesMapped(folio, -ENTIRELY_MAPPED);
  const unmapped = PMD_PAGES - stillMapped;
  vmstat.add(VmItem.nr_anon_pages, -unmapped);
  vmstat.add(VmItem.nr_anon_transparent_hugepages, -1);
  if (mayDefer && unmapped > 0 && stillMapped > 0) system.deferredSplit.add(folio, true);
}

// While a folio is split or moved its mappings are away for a moment: mapcounts, references and gauges follow, rss and locks do not, and
// what is left of the folio meanwhile is nobody's news. AnonExclusive goes, for the entry that comes back to carry.

/** A PTE that maps the page is taken out. The caller holds a reference of its own. */
export function suspendPteRmap({ system, id }: Mm, page: Pfn): void {
  const { folios } = system;
  const folio = folios.folioOf(page);
  let unmapped = folios.addMapcount(page, -1) === 0;
  if (folios.isLarge(folio)) {
    folios.subLargeMapcount(folio, 1, id);
    if (unmapped) unmapped = folios.addPagesMapped(folio, -1) < ENTIRELY_MAPPED;
  }
  if (unmapped) system.vmstat.add(folios.isAnon(folio) ? VmItem.nr_anon_pages : VmItem.nr_mapped, -1);
  folios.clear(page, FolioFlag.AnonExclusive);
  if (folios.put(folio)) bug(`folio ${hex(folio)} let go while it is split or moved`);
  system.machine.charge(system.params.cost.rmap);
}
/** It is back, for this page: the same one, or the one that its contents moved to. */
export function resumePteRmap({ system, id }: Mm, page: Pfn, exclusive: boolean): void {
  const { folios } = system;
  const folio = folios.folioOf(page);
  folios.get(folio);
  let mapped = folios.addMapcount(page, 1) === 1;
  if (folios.isLarge(folio)) {
    folios.addLargeMapcount(folio, 1, id);
    if (mapped) mapped = folios.addPagesMapped(folio, 1) < ENTIRELY_MAPPED;
  }
  if (mapped) system.vmstat.add(folios.isAnon(folio) ? VmItem.nr_anon_pages : VmItem.nr_mapped, 1);
  if (exclusive) folios.set(page, FolioFlag.AnonExclusive);
  system.machine.charge(system.params.cost.rmap);
}
/** The same for a PMD entry. */
export function suspendPmdRmap(mm: Mm, folio: Folio): void {
  const { system } = mm;
  forgetPmd(mm, folio, false);
  system.folios.clear(folio, FolioFlag.AnonExclusive);
  if (system.folios.put(folio)) bug(`folio ${hex(folio)} let go while it is split or moved`);
  system.machine.charge(system.params.cost.rmap);
}
export function resumePmdRmap(mm: Mm, folio: Folio, exclusive: boolean): void {
  countPmd(mm, folio);
  if (exclusive) mm.system.folios.set(folio, FolioFlag.AnonExclusive);
}

function countRss(mm: Mm, folio: Folio, n: number): void {
  const { folios } = mm.system;
  if (folios.isAnon(folio)) mm.addAnonPages(n);
  else if (folios.test(folio, FolioFlag.SwapBacked)) mm.addShmemPages(n);
  else mm.addFilePages(n);
}

/** mlock_folio(): counted once a mapping of a small folio; a large one is marked at most once. */
export function mlockFolio(system: MmSystem, folio: Folio): void {
  const { folios, vmstat } = system;
  folios.addMlockCount(folio, 1);
  if (folios.test(folio, FolioFlag.Mlocked)) return;
  system.lru.change(folio, () => { folios.set(folio, FolioFlag.Mlocked | FolioFlag.Unevictable); });
  vmstat.add(VmItem.nr_mlock, folios.nrPages(folio));
  vmstat.add(VmItem.unevictable_pgs_mlocked, folios.nrPages(folio));
}
/** munlock_folio(). */
export function munlockFolio(system: MmSystem, folio: Folio): void {
  const { folios, vmstat } = system;
  if (!folios.test(folio, FolioFlag.Mlocked)) return;
  if (folios.addMlockCount(folio, -1) > 0) return;
  system.lru.change(folio, () => { folios.clear(folio, FolioFlag.Mlocked | FolioFlag.Unevictable); });
  vmstat.add(VmItem.nr_mlock, -folios.nrPages(folio));
  vmstat.add(VmItem.unevictable_pgs_munlocked, folios.nrPages(folio));
}
