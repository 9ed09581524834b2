// Draws address spaces, so that a failing test shows a picture.
import { PteHigh, PteSoft, ptePfn } from '#mmu';
import type { Mm } from '#kernel/mm/mm.ts';
import { VmFlag } from '#kernel/mm/vma.ts';

/** One group of 16 characters for 16 pages, a run of groups for each VMA, VMAs apart by '|': '0x10000 4444444444444444 ................'.
 *  A digit is the order of the folio that the page maps, z the zero page, f a page of a file, '.' nothing; from `start` on if given. */
export function picture(mm: Mm, start = 0, end = Infinity): string {
  return draw(mm, start, end, (vpn) => {
    const leaf = mm.tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : mm.tables.get(vpn);
    if (low === 0) return '.';
    if ((low & PteSoft.Special) !== 0) return leaf !== 0 ? 'Z' : 'z';
    const folio = mm.system.folios.folioOf(ptePfn(low));
    return mm.system.folios.isAnon(folio) ? String(mm.system.folios.order(folio)) : 'f';
  });
}
/** The same by entry: N folded by Svnapot, M part of a 2 MiB entry, w and r single entries, writable or not; p PROT_NONE; '.' nothing. */
export function entryPicture(mm: Mm, start = 0, end = Infinity): string {
  return draw(mm, start, end, (vpn) => {
    if (mm.tables.pmdLeaf(vpn) !== 0) return 'M';
    const table = mm.tables.tableAt(vpn, 0);
    if (table === 0) return '.';
    const low = mm.system.machine.pteLow(table, vpn & 511);
    if (low === 0) return '.';
    if ((mm.system.machine.pteHigh(table, vpn & 511) & PteHigh.N) !== 0) return 'N';
    return (low & 1) === 0 ? 'p' : (low & 4) !== 0 ? 'w' : 'r';
  });
}
function draw(mm: Mm, start: number, end: number, letter: (vpn: number) => string): string {
  const parts: string[] = [];
  for (const vma of mm.vmas) {
    const from = Math.max(vma.start, start);
    const to = Math.min(vma.end, end);
    if (from >= to) continue;
    let text = `0x${from.toString(16)} `;
    for (let va = from; va < to; va += 4096) {
      if (va > from && va % 65536 === 0) text += ' ';
      text += letter(va / 4096);
    }
    parts.push(text);
  }
  return parts.join(' | ');
}

/** VMAs in the manner of /proc/self/maps: '0x10000-0x30000 rw-p'. */
export function maps(mm: Mm, from = 0): string[] {
  return mm.vmas.filter((vma) => vma.end > from).map((vma) => {
    const right = (flag: number, name: string): string => ((vma.flags & flag) !== 0 ? name : '-');
    return `0x${vma.start.toString(16)}-0x${vma.end.toString(16)} ${right(VmFlag.Read, 'r')}${right(VmFlag.Write, 'w')}${right(VmFlag.Exec, 'x')}${(vma.flags & VmFlag.MayShare) !== 0 ? 's' : 'p'}`;
  });
}
