// Taking a folio out of every page table, so that it can go. Here: the entries, with what each leaves behind: nothing for files, a swap entry for
// anonymous memory, nothing for what was freed lazily and not written since. One fence for many folios. Not here: entries that will come
// back in a moment (migration-entries.ts). Mirrors try_to_unmap() and try_to_unmap_flush() (mm/rmap.c), 6.18.
import { asPfn } from '#base';
import type { Folio } from '#base';
import { Pte } from '#mmu';
import { VmItem, tlbFlush } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import { splitHugePmd } from '../huge.ts';
import { pageVmaMappedWalk, rmapWalk } from '../rmap-walk.ts';
import type { Mapping } from '../rmap-walk.ts';
import { removePteRmaps } from '../rmap.ts';
import { swapPte } from '../swap/entry.ts';
import type { MmSystem } from '../system.ts';
import { VmFlag } from '../vma.ts';

/** enum tlb_flush_reason: TLB_REMOTE_SHOOTDOWN's sister for the batch. */
const LOCAL_SHOOTDOWN = 2;

/** Translations that are out of the tables and perhaps still in TLBs. They are fenced all at once, before anything depends on it: before a dirty
 *  page is written, before frames are given away. As on riscv and x86 that is one fence of everything, whatever it was about. */
export class UnmapBatch {
  private readonly system: MmSystem;
  private pending = false;
  constructor(system: MmSystem) {
    this.system = system;
  }
  add(): void {
    this.pending = true;
  }
  /** try_to_unmap_flush(). */
  flush(): void {
    if (!this.pending) return;
    this.pending = false;
    const { machine, params, vmstat } = this.system;
    machine.charge(params.cost.fence_all);
    machine.fence(null, null);
    vmstat.add(VmItem.nr_tlb_local_flush_all, 1);
    if (tlbFlush.enabled) tlbFlush.emit(LOCAL_SHOOTDOWN, -1);
  }
}

/** Removes all mappings of a locked folio, to whose existence the caller holds a reference. Anonymous memory that is to be kept is in the swap cache by
 *  now. Dirty entries make the folio dirty. @returns false: some mapping is left (locked in memory; or a folio that was freed lazily turned
 *  out to be in use, and is SwapBacked again) */
export function tryToUnmap(system: MmSystem, folio: Folio, batch: UnmapBatch): boolean {
  const { folios } = system;
  for (const span of rmapWalk(system, folio)) {
    const { mm, vma } = span;
    system.machine.charge(system.params.cost.rmap_walk);
    let mappings = pageVmaMappedWalk(folio, span);
    if (mappings.length === 0) continue;
    if (vma.has(VmFlag.Locked)) return false;
    if (mappings.some(({ kind }) => kind === 'pmd')) {
      splitHugePmd(mm, vma, mappings[0]!.vpn, 'split-swap');
      mappings = pageVmaMappedWalk(folio, span);
    }
    const isLazy = folios.isAnon(folio) && !folios.test(folio, FolioFlag.SwapBacked);
    if (isLazy && !mayDrop(system, folio, mappings)) return false;
    for (const mapping of mappings) unmapOne(system, folio, mapping, batch);
  }
  return folios.folioMapcount(folio) === 0;
}
/** Lazily freed pages go if nobody wrote to them since, or if the mapping says that they may go anyway (MAP_DROPPABLE). */
function mayDrop(system: MmSystem, folio: Folio, mappings: readonly Mapping[]): boolean {
  const { folios } = system;
  if (mappings.some(({ low }) => (low & Pte.D) !== 0)) system.dirtyFolio(folio);
  if (!folios.test(folio, FolioFlag.Dirty) || mappings[0]!.vma.has(VmFlag.Droppable)) return true;
  folios.set(folio, FolioFlag.SwapBacked);
  return false;
}
/** One entry, or one folded run; a run that reaches beyond the VMA is unfolded first. */
function unmapOne(system: MmSystem, folio: Folio, { mm, vma, vpn: start, page: first, nr: count }: Mapping, batch: UnmapBatch): void {
  const { folios } = system;
  const { tables } = mm;
  const entry = folios.swapEntry(folio);
  for (let at = 0; at < count; ) {
    const vpn = start + at;
    const page = asPfn(first + at);
    const nr = tables.unitAt(vpn, start + count);
    const low = tables.get(vpn);
    if ((low & Pte.D) !== 0) system.dirtyFolio(folio);
    if (entry === 0 || !folios.isAnon(folio)) tables.setUnit(vpn, 0, nr);
    else {
      const place = entry + page - folio;
      system.swap.duplicate(place, nr);
      if (nr > 1) tables.setUnit(vpn, 0, nr);
      for (let i = 0; i < nr; i++) {
        const exclusive = folios.isAnonExclusive(asPfn(page + i));
        tables.setUnit(vpn + i, swapPte(place + i, exclusive), 1);
      }
      for (let i = 0; i < nr; i++) folios.clear(asPfn(page + i), FolioFlag.AnonExclusive);
      mm.addSwapEntries(nr);
    }
    removePteRmaps(mm, vma, page, nr, true);
    batch.add();
    at += nr;
  }
}
