// Before a folio of a file is written to its disk, shared mappings of it lose their right to write: the next write faults, and by that the
// folio is dirty again. Mirrors folio_mkclean() (mm/rmap.c), 6.18.
import { asVpn } from '#base';
import type { Folio } from '#base';
import { Pte } from '#mmu';
import { mappingsOf } from './rmap-walk.ts';
import type { MmSystem } from './system.ts';
import { VmFlag } from './vma.ts';

/** @returns entries that were writable or dirty */
export function folioMkclean(system: MmSystem, folio: Folio): number {
  if (system.folios.folioMapcount(folio) === 0) return 0;
  let cleaned = 0;
  for (const { mm, vma, vpn, nr, kind } of mappingsOf(system, folio)) {
    if (!vma.has(VmFlag.Shared)) continue;
    if (kind === 'pmd') {
      const low = mm.tables.pmdLeaf(vpn);
      if ((low & (Pte.W | Pte.D)) === 0) continue;
      mm.tables.setPmdLeaf(vpn, low & ~(Pte.W | Pte.D));
      mm.fences.range(vpn, vpn + nr, nr);
      cleaned++;
      continue;
    }
    for (let at = vpn; at < vpn + nr; ) {
      const unit = mm.tables.unitAt(at, vpn + nr);
      const low = mm.tables.get(at);
      if ((low & (Pte.W | Pte.D)) !== 0) {
        mm.tables.setUnit(at, low & ~(Pte.W | Pte.D), unit);
        if (unit === 1) mm.fences.page(asVpn(at));
        else mm.fences.range(at, at + unit);
        cleaned++;
      }
      at += unit;
    }
  }
  return cleaned;
}
