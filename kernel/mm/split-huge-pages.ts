// /sys/kernel/debug/split_huge_pages: splitting by hand. Here: what may be written there. Not here: the split itself (split.ts).
// Mirrors split_huge_pages_write() (mm/huge_memory.c), 6.18. Folios of files are single pages, so that the form with a path finds nothing to do.
import { PAGE_SIZE, asPfn } from '#base';
import type { Pfn } from '#base';
import { PteSoft, ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import { MemdescType } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { splitFolio } from './split.ts';
import type { MmSystem } from './system.ts';

/** '1': every large folio; 'PID,0xSTART,0xEND[,ORDER[,OFFSET]]': those mapped in a range, to pieces of ORDER; with OFFSET only the piece
 *  around that page of each folio becomes that small. @param mmOf the address space of a process; null: it has none, undefined: there is no
 *  such process. @returns 0 whether anything was split or not; -EINVAL, -ESRCH */
export function splitHugePages(system: MmSystem, text: string, mmOf: (pid: number) => Mm | null | undefined): number {
  const match = /^\s*([+-]?\d+)(?:,0x([\da-f]+)(?:,0x([\da-f]+)(?:,([+-]?\d+)(?:,([+-]?\d+))?)?)?)?/i.exec(text);
  if (match === null) return -Errno.EINVAL;
  const [, pid, start, end, order, offset] = match;
  if (start === undefined && Number(pid) === 1) {
    splitAll(system);
    return 0;
  }
  if (end === undefined) return -Errno.EINVAL;
  const mm = mmOf(Number(pid));
  if (mm === undefined) return -Errno.ESRCH;
  if (mm === null) return -Errno.EINVAL;
  splitRange(mm, Math.floor(parseInt(start!, 16) / PAGE_SIZE), Math.floor(parseInt(end, 16) / PAGE_SIZE), Number(order ?? 0), Number(offset ?? -1));
  return 0;
}

function splitAll(system: MmSystem): void {
  const { folios } = system;
  const end = folios.firstPfn + folios.nrFrames;
  for (let pfn: number = folios.firstPfn; pfn < end; pfn++) {
    const page = asPfn(pfn);
    if (folios.typeOf(page) === MemdescType.AnonFolio && !folios.isTail(page) && folios.isLarge(folios.folioOf(page))) splitHeld(system, page, 0, null);
  }
}

/** [start, end) in pages, up to the first hole. */
function splitRange(mm: Mm, start: number, end: number, order: number, offset: number): void {
  const { system, tables } = mm;
  const { folios } = system;
  for (let vpn = start; vpn < end; vpn++) {
    const vma = mm.vmaList.at(vpn * PAGE_SIZE);
    if (vma === null) break;
    if (!vma.isAnonymous) {
      vpn = vma.end / PAGE_SIZE - 1;
      continue;
    }
    const leaf = tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : tables.get(vpn);
    if (!ptePresent(low) || (low & PteSoft.Special) !== 0) continue;
    const folio = folios.folioOf(ptePfn(low));
    if (folios.order(folio) <= Math.max(order, 0)) continue;
    splitHeld(system, folio, order, offset >= 0 && offset < folios.nrPages(folio) ? asPfn(folio + offset) : null);
  }
}
function splitHeld(system: MmSystem, page: Pfn, order: number, at: Pfn | null): void {
  const { folios } = system;
  const folio = folios.folioOf(page);
  folios.get(folio);
  const failed = splitFolio(system, folio, order, at) !== 0;
  system.putFolio(failed ? folio : folios.folioOf(at ?? folio));
}
