// Files that live in memory alone: tmpfs, memfd, shared anonymous memory. Here: making pages, writing. Not here: names and seals
// (kernel/fs/), faults (filefault.ts). Mirrors mm/shmem.c, 6.18. A hole reads as zeros and takes no frame until it is written or mapped.
import { PAGE_SIZE, asPfn } from '#base';
import type { Pfn } from '#base';
import { Errno } from '../syscall/errno.ts';
import type { AddressSpace } from './filemap.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { Gfp } from './gfp.ts';

/** A page where there was a hole, zeroed, and not up to date before somebody uses it; 0: no memory, or the quota is used up. Mirrors
 *  shmem_get_folio(SGP_FALLOC). */
export function pageForShmem(space: AddressSpace, index: number): Pfn | 0 {
  const { system, quota } = space;
  if (quota !== null && quota.usedPages >= quota.maxPages) return 0;
  const folio = system.allocZeroed(0, MemdescType.FileFolio, Gfp.UserZero);
  if (folio === 0) return 0;
  if (space.kind === 'shmem') system.folios.set(folio, FolioFlag.SwapBacked);
  space.addFolio(folio, index);
  return asPfn(folio);
}

/** Extends the file. @returns bytes written (fewer when memory ends in the middle), or -ENOSPC when there is room for none. */
export function shmemWrite(space: AddressSpace, pos: number, from: Uint8Array): number {
  const { system } = space;
  let done = 0;
  while (done < from.length) {
    const at = pos + done;
    const offset = at % PAGE_SIZE;
    const chunk = Math.min(PAGE_SIZE - offset, from.length - done);
    const pfn = space.pageFor(Math.floor(at / PAGE_SIZE), true);
    if (pfn === 0) break;
    system.machine.writeFrame(pfn, offset, from.subarray(done, done + chunk));
    space.dirtyFolio(system.folios.folioOf(pfn));
    done += chunk;
  }
  if (done > 0) space.sizeBytes = Math.max(space.sizeBytes, pos + done);
  system.machine.charge(system.params.cost.copy_byte * done);
  return done === 0 && from.length > 0 ? -Errno.ENOSPC : done;
}
