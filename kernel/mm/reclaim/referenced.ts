// Who has used a folio since the last look: the A bits of all entries that map it, read and cleared. Here: one entry, and one folio. Not here: what
// follows from it (a policy's judge()), sweeping page tables (lru-gen-walk.ts). Mirrors folio_referenced() (mm/rmap.c), 6.18.
//
// No fence: riscv's (and x86's) ptep_clear_flush_young() does without. A translation that a TLB still holds sets no A bit, so that what
// is used through it looks unused; sampled() is where an observer can count such blindness.
import type { Folio } from '#base';
import { Pte } from '#mmu';
import type { Mm } from '../mm.ts';
import { pageVmaMappedWalk, rmapWalk } from '../rmap-walk.ts';
import type { Mapping } from '../rmap-walk.ts';
import type { MmSystem } from '../system.ts';
import { VmFlag } from '../vma.ts';
import type { Vma } from '../vma.ts';
import type { Lruvec } from './lruvec.ts';
import type { References, ScanControl } from './scan.ts';

/** Somebody who compares what reclaim sees with what the hart did: told of each entry that is looked at. `nr` pages from `vpn` on are one entry. */
export interface SamplingObserver { sampled(mm: Mm, vpn: number, nr: number, wasYoung: boolean): void }

/** Does use through the VMA count at all? vma_has_recency() */
export const vmaHasRecency = (vma: Vma): boolean => !vma.has(VmFlag.SeqRead | VmFlag.RandRead) && vma.file?.space.noReuse !== true;

/** Reads and clears the A bit of one entry, of a folded run as far as the mapping covers it whole: of a run cut by its VMA nothing is
 *  cleared. ptep_test_and_clear_young() @returns whether it was set */
export function testAndClearYoung({ mm, vpn, nr, kind, low }: Mapping): boolean {
  const wasYoung = (low & Pte.A) !== 0;
  const { sampling } = mm.system;
  if (sampling !== null) sampling.sampled(mm, vpn, nr, wasYoung);
  if (!wasYoung) return false;
  if (kind === 'pmd') mm.tables.setPmdLeaf(vpn, low & ~Pte.A);
  else if (kind === 'pte') mm.tables.setUnit(vpn, low & ~Pte.A, 1);
  else if (vpn % 16 === 0 && nr === 16) mm.tables.setUnit(vpn, low & ~Pte.A, 16);
  return true;
}

/** @param lruvec the folio's, for its look-around @param sc whose entries count: in reclaim for a group's limit only its own programs' */
export function folioReferenced(system: MmSystem, folio: Folio, lruvec: Lruvec | null, sc: ScanControl | null): References {
  let ptes = 0;
  let isExec = false;
  if (system.folios.folioMapcount(folio) === 0) return { ptes, isExec, isLocked: false };
  for (const span of rmapWalk(system, folio)) {
    const { mm, vma } = span;
    system.machine.charge(system.params.cost.rmap_walk);
    if (vma.has(VmFlag.Locked)) return { ptes, isExec, isLocked: true };
    if (!vmaHasRecency(vma) || (sc?.target != null && mm.group !== sc.target)) continue;
    let used = 0;
    for (const mapping of pageVmaMappedWalk(folio, span)) {
      // The neighbours may have been looked at, and cleared, together with an earlier entry.
      if (!testAndClearYoung(mapping)) continue;
      used++;
      if (mapping.kind !== 'pmd') lruvec?.lookAround?.(mapping);
    }
    ptes += used;
    isExec ||= used > 0 && vma.has(VmFlag.Exec);
  }
  return { ptes, isExec, isLocked: false };
}
