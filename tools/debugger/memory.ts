// A program's memory as a debugger reads it: without a fault, a bit or a count. Here: pages wherever they are, mapped, in the page cache, in swap, or
// still nothing but zeros. Not here: writing, which changes the run (Timeline.edit()).
import { asFolio, asPfn, PAGE_SIZE } from '#base';
import type { Pfn } from '#base';
import { entryOfPte, isSwapPte, shmemEntry, swapOffset } from '#kernel';
import type { AddressSpace, Mm, MmSystem, SwapEntry } from '#kernel';
import { Pte, ptePfn } from '#mmu';

const SECTOR_BYTES = 512;
type Page = { readonly frame: Pfn } | { readonly bytes: Uint8Array } | null;
const zeros = new Uint8Array(PAGE_SIZE);

/** Bytes at an address; fewer, where a page is none of the program's or cannot be had without changing the run (those of a disk's file
 *  that were not read yet). */
export function memoryAt(mm: Mm, va: number, lenBytes: number): Uint8Array {
  return pieces(mm.system, va, Math.min(lenBytes, mm.taskSize - va), (vpn) => pageAt(mm, vpn));
}
/** The same of a file, as far as its pages are in memory or in swap. */
export function fileBytesAt(space: AddressSpace, pos: number, lenBytes: number): Uint8Array {
  return pieces(space.system, pos, Math.min(lenBytes, space.sizeBytes - pos), (index) => filePage(space, index));
}
/** Page by page, up to the first that cannot be had. */
function pieces({ machine }: MmSystem, start: number, lenBytes: number, pageOf: (page: number) => Page): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, lenBytes));
  let done = 0;
  while (done < bytes.length) {
    const offset = (start + done) % PAGE_SIZE;
    const chunk = bytes.subarray(done, done + Math.min(PAGE_SIZE - offset, bytes.length - done));
    const page = pageOf(Math.floor((start + done) / PAGE_SIZE));
    if (page === null) break;
    if ('frame' in page) machine.readFrame(page.frame, offset, chunk);
    else chunk.set(page.bytes.subarray(offset, offset + chunk.length));
    done += chunk.length;
  }
  return bytes.subarray(0, done);
}

function pageAt(mm: Mm, vpn: number): Page {
  if (!(vpn >= 0)) return null;
  const { tables, system } = mm;
  const leaf = tables.pmdLeaf(vpn);
  if (leaf !== 0) return { frame: asPfn(ptePfn(leaf) + (vpn % 512)) };
  const low = tables.get(vpn);
  // PROT_NONE keeps the page, and a debugger may see it: Linux's own do.
  if ((low & (Pte.V | Pte.G)) !== 0) return { frame: ptePfn(low) };
  if (isSwapPte(low)) return swapPage(system, entryOfPte(low));
  const vma = low !== 0 ? null : mm.findVma(vpn * PAGE_SIZE);
  if (vma === null) return null;
  if (vma.file === null) return { bytes: zeros };
  const index = vma.pgoff + vpn - vma.start / PAGE_SIZE;
  return index < vma.file.space.sizePages ? filePage(vma.file.space, index) : null;
}
function filePage(space: AddressSpace, index: number): Page {
  if (space.isUptodate(index)) return { frame: asPfn(space.frameAt(index)) };
  if (space.ops !== null) return null;
  const entry = shmemEntry(space, index);
  if (entry !== 0) return swapPage(space.system, entry);
  // Of a file in memory what has no page is a hole, if it was not lost.
  return space.isSwapped(index) ? null : { bytes: zeros };
}
function swapPage({ swap, folios }: MmSystem, entry: SwapEntry): Page {
  const info = swap.infoOf(entry);
  if (info === null) return null;
  const offset = swapOffset(entry);
  const folio = info.folioAt(offset);
  if (folio !== 0) return swap.cache.isUptodate(entry) ? { frame: asPfn(folio + entry - folios.swapEntry(asFolio(folio))) } : null;
  if (info.isZero(offset)) return { bytes: zeros };
  const bytes = new Uint8Array(PAGE_SIZE);
  if (swap.zswap.contentsOf(entry, bytes)) return { bytes };
  return info.target.device.image.read(info.sectorOf(offset) * SECTOR_BYTES, bytes) ? { bytes } : null;
}
