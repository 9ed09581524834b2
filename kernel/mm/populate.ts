// Touching pages on a program's behalf: MAP_POPULATE, mlock, MADV_POPULATE_*. Mirrors populate_vma_page_range() (mm/gup.c).
import { PAGE_SIZE, asVpn } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import { FaultResult, handleMmFault, newFault } from './fault.ts';
import type { Mm } from './mm.ts';
import { ptePresent, pteWritable } from './pagetable.ts';
import { VM_ACCESS, VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** Makes every page of [start, end) present as far as that goes; errors do not matter: mm_populate(). */
export function populate(mm: Mm, start: number, end: number): void {
  for (const vma of mm.vmaList.overlapping(start, end)) {
    if (vma.has(VmFlag.LockOnFault) || (vma.flags & VM_ACCESS) === 0) continue;
    // Private writable pages are touched by writing, so that no copy on write is left for later.
    const write = (vma.flags & (VmFlag.Write | VmFlag.Shared)) === VmFlag.Write;
    if (populateVma(mm, vma, Math.max(start, vma.start), Math.min(end, vma.end), write) !== FaultResult.Done) return;
  }
}

/** Makes the pages of a range of one VMA present, writable if `write`. Stops at the first that cannot be. */
export function populateVma(mm: Mm, vma: Vma, start: number, end: number, write: boolean): FaultResult {
  for (let vpn = start / PAGE_SIZE; vpn < end / PAGE_SIZE; vpn++) {
    // A fault may have to be taken twice: a split first, then the page.
    while (!isPresent(mm, vpn, write)) {
      const result = handleMmFault(newFault(mm, vma, asVpn(vpn), write), mm.counts);
      if (result !== FaultResult.Done) return result;
    }
    if (write) markDirty(mm, vpn);
  }
  return FaultResult.Done;
}
/** Pages that were present and clean count as written: FOLL_TOUCH with FOLL_WRITE. A 2 MiB entry says so itself, a page is marked. */
function markDirty({ tables, system }: Mm, vpn: number): void {
  const leaf = tables.pmdLeaf(vpn);
  const low = leaf !== 0 ? leaf : tables.get(vpn);
  if ((low & (Pte.D | PteSoft.Special)) !== 0) return;
  if (leaf !== 0) tables.setPmdLeaf(vpn - (vpn % 512), leaf | Pte.A | Pte.D);
  else system.dirtyFolio(system.folios.folioOf(ptePfn(low)));
}
function isPresent(mm: Mm, vpn: number, write: boolean): boolean {
  const low = mm.tables.pmdLeaf(vpn) || mm.tables.get(vpn);
  return low !== 0 && ptePresent(low) && (!write || pteWritable(low));
}
