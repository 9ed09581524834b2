// Taking pages out of an address space. Here: removing the entries of a range, and with them mappings and references; freeing the tables
// that become empty. Not here: VMAs. Mirrors zap_pte_range() and unmap_region() (mm/memory.c, mm/vma.c).
import { PAGE_SIZE } from '#base';
import type { Pfn } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import type { FenceBatch } from './fences.ts';
import { FolioFlag } from './folio.ts';
import { splitHugePmd, zapHugePmd } from './huge.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { isPoisonMarker } from './pte-marker.ts';
import { vmaHasRecency } from './reclaim/referenced.ts';
import { removePteRmaps } from './rmap.ts';
import { entryOfPte, isSwapPte } from './swap/entry.ts';
import type { Vma } from './vma.ts';

const PMD_PAGES = 512;
export const pmdEnd = (vpn: number): number => (Math.floor(vpn / PMD_PAGES) + 1) * PMD_PAGES;

/** zap_flags and reclaim_pt of struct zap_details. */
export const Zap = {
  /** Guards go, too: the range itself goes. Else they stay. */
  DropMarkers: 1,
  /** Also free the page tables that become empty, so that 2 MiB folios may be mapped there again: what MADV_DONTNEED has done since 6.14 where
   *  PT_RECLAIM is built in (x86 from the start, riscv with 7.0). */
  ReclaimTables: 2,
  /** Private copies of a file's pages stay (even_cows is false). */
  KeepCows: 4,
} as const;

/** Removes every entry of [start, end), in pages, which lies in `vma`. A 2 MiB mapping that is only covered in part is split first.
 *  @param flags Zap bits */
export function zapRange(mm: Mm, vma: Vma, start: number, end: number, batch: FenceBatch, flags = 0): void {
  const { tables } = mm;
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const stop = Math.min(end, pmdEnd(vpn));
    if (tables.pmdLeaf(vpn) !== 0) {
      if (stop - vpn === PMD_PAGES) {
        zapHugePmd(mm, vma, vpn, batch);
        vpn = stop;
        continue;
      }
      splitHugePmd(mm, vma, vpn, 'split-partial-zap');
    }
    const isEmpty = zapPtes(mm, vma, vpn, stop, batch, flags);
    if ((flags & Zap.ReclaimTables) !== 0 && isEmpty && stop - vpn === PMD_PAGES && tables.freeRange(vpn, stop, vpn, stop)) batch.tablesFreed();
    vpn = stop;
  }
}

/** Entries that lead through one folio, page after page, are one batch: folio_pte_batch(). @returns whether no entry is left */
function zapPtes(mm: Mm, vma: Vma, start: number, end: number, batch: FenceBatch, flags: number): boolean {
  const { tables, system } = mm;
  const { folios } = system;
  let run: PteRun | null = null;
  let isEmpty = true;
  for (let vpn = start; vpn < end; ) {
    const nr = tables.unitAt(vpn, end);
    const low = tables.get(vpn);
    const isMapped = low !== 0 && ptePresent(low) && (low & PteSoft.Special) === 0;
    const stays = low !== 0 && (ptePresent(low) ? isMapped && (flags & Zap.KeepCows) !== 0 && folios.isAnon(folios.folioOf(ptePfn(low)))
      : isSwapPte(low) || isPoisonMarker(low) ? (flags & Zap.KeepCows) !== 0 : (flags & Zap.DropMarkers) === 0);
    if (stays) isEmpty = false;
    else if (low !== 0) {
      tables.setUnit(vpn, 0, nr);
      if (ptePresent(low)) batch.add(vpn, nr);
      else if (isSwapPte(low)) dropSwapEntry(mm, low);
    }
    if (run !== null && (stays || !isMapped || !continues(run, low))) run = endRun(mm, vma, run);
    if (isMapped && !stays) {
      const first = ptePfn(low);
      const folio = folios.folioOf(first);
      // What the program wrote through this entry is now known of the page alone.
      if ((low & Pte.D) !== 0 && !folios.isAnon(folio)) system.dirtyFolio(folio);
      if (run === null) run = { first, nr, bits: low & RUN_BITS, end: folio + folios.nrPages(folio), isYoung: false };
      else run.nr += nr;
      // So is that it was used, but of anonymous memory, which is about to be free.
      run.isYoung ||= (low & Pte.A) !== 0 && !folios.isAnon(folio);
    }
    vpn += nr;
  }
  if (run !== null) endRun(mm, vma, run);
  return isEmpty;
}
/** Pages of one folio whose entries are gone and whose mappings are still counted. `end`: the frame after the folio. */
interface PteRun { readonly first: Pfn; nr: number; readonly bits: number; readonly end: number; isYoung: boolean }
/** Bits that must agree in a batch: all but what is written, and what may be. */
const RUN_BITS = 0x3ff & ~(Pte.A | Pte.D | Pte.W);
const continues = ({ first, nr, bits, end }: PteRun, low: number): boolean => ptePfn(low) === first + nr && first + nr < end && (low & RUN_BITS) === bits;
function endRun(mm: Mm, vma: Vma, { first, nr, isYoung }: PteRun): null {
  const { folios, lru, swap } = mm.system;
  const folio = folios.folioOf(first);
  if (isYoung && vmaHasRecency(vma)) lru.markAccessed(folio);
  const inSwapCache = folios.test(folio, FolioFlag.SwapCache);
  removePteRmaps(mm, vma, first, nr, true);
  if (inSwapCache) swap.freeIfUnused(folio);
  return null;
}
/** An entry that named a place in swap is gone. */
export function dropSwapEntry(mm: Mm, low: number): void {
  mm.addSwapEntries(-1);
  mm.system.swap.freeAndCache(entryOfPte(low), 1);
}

/** unmap_region(): empties VMAs that have left the list already, frees the tables that no neighbour needs, fences once.
 *  @param vmas in order of address */
export function unmapRegion(mm: Mm, vmas: readonly Vma[], batch: FenceBatch): void {
  const first = vmas[0];
  const last = vmas[vmas.length - 1];
  if (first === undefined || last === undefined) return;
  for (const vma of vmas) zapRange(mm, vma, vma.start / PAGE_SIZE, vma.end / PAGE_SIZE, batch, Zap.DropMarkers);
  const floor = (mm.vmaList.prevOf(first.start)?.end ?? 0) / PAGE_SIZE;
  const ceiling = (mm.vmaList.nextOf(last.end)?.start ?? mm.tableCeiling) / PAGE_SIZE;
  if (mm.tables.freeRange(first.start / PAGE_SIZE, last.end / PAGE_SIZE, floor, ceiling)) batch.tablesFreed();
  if (mm.system.params.plant?.strikes('munmap-fence') === true) return;
  batch.flush();
}
