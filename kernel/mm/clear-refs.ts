// /proc/PID/clear_refs: forgetting that pages were used. Mirrors clear_refs_write() (fs/proc/task_mmu.c), 6.18. Soft-dirty bits, which 4 clears,
// are not there on riscv: 4 is accepted and does nothing. The TLB is not fenced: what it holds goes on being used unseen, as in Linux.
import { PAGE_SIZE } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import { FolioFlag } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import type { Vma } from './vma.ts';

const Clear = { All: 1, Anon: 2, Mapped: 3, SoftDirty: 4, HiwaterRss: 5 } as const;

/** @param text a number as kstrtoint() reads it, blanks around it aside */
export function clearRefs(mm: Mm, text: string): number {
  const type = /^\s*\+?\d{1,10}\s*$/.test(text) ? Number(text) : 0;
  if (type < Clear.All || type > Clear.HiwaterRss) return -Errno.EINVAL;
  if (type === Clear.HiwaterRss) mm.hiwaterRss = mm.rssPages;
  if (type > Clear.Mapped) return 0;
  for (const vma of mm.vmaList.all) {
    if ((type === Clear.Anon && vma.file !== null) || (type === Clear.Mapped && vma.file === null)) continue;
    clearVma(mm, vma);
  }
  return 0;
}
function clearVma({ tables, system: { folios } }: Mm, vma: Vma): void {
  const end = vma.end / PAGE_SIZE;
  for (let vpn = tables.skipAbsent(vma.start / PAGE_SIZE, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const leaf = tables.pmdLeaf(vpn);
    const nr = leaf !== 0 ? 512 : tables.unitAt(vpn, end);
    const low = leaf !== 0 ? leaf : tables.get(vpn);
    if (low !== 0 && ptePresent(low) && (low & PteSoft.Special) === 0) {
      if (leaf !== 0) tables.setPmdLeaf(vpn, low & ~Pte.A);
      else tables.setUnit(vpn, low & ~Pte.A, nr);
      folios.clear(folios.folioOf(ptePfn(low)), FolioFlag.Referenced);
    }
    vpn += nr;
  }
}
