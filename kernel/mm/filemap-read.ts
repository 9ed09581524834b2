// Reading a file of a disk through the page cache. Here: the walk over its folios, what starts read-ahead, what is waited for. Not here:
// windows (readahead.ts). Mirrors filemap_read() and filemap_get_pages() (mm/filemap.c), 6.18.
import { PAGE_SIZE } from '#base';
import type { Folio } from '#base';
import type { IoBuffer } from '../fs/io-buffer.ts';
import { Errno } from '../syscall/errno.ts';
import type { AddressSpace, FileRa, IoProgress } from './filemap.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { Gfp } from './gfp.ts';
import { asyncReadahead, syncReadahead } from './readahead.ts';
import { noteUse } from './reclaim/uses.ts';

/** Bytes moved at a time between pages and program. */
const CHUNK_BYTES = 65536;
const chunk = new Uint8Array(CHUNK_BYTES);

/** Copies [pos, pos + io.left) of the file into `io`, as far as the file goes. Where a folio is still being read in, it answers so, with what it
 *  has copied until then: call again, for the rest, when the folio is unlocked. */
export function filemapRead(space: AddressSpace, ra: FileRa, pos: number, io: IoBuffer): IoProgress {
  const { system } = space;
  const { folios, machine, params, cacheLog } = system;
  const end = Math.min(pos + io.left, space.sizeBytes);
  const lastIndex = Math.ceil((pos + io.left) / PAGE_SIZE);
  let at = pos;
  let error = 0;
  while (at < end && !io.faulted) {
    const index = Math.floor(at / PAGE_SIZE);
    const found = getFolio(space, ra, index, lastIndex);
    if (typeof found !== 'number') {
      error = found.error;
      break;
    }
    if (!folios.test(found, FolioFlag.Uptodate)) {
      machine.charge(params.cost.copy_byte * (at - pos));
      return { moved: at - pos, error: 0, wait: found };
    }
    const first = folios.index(found) * PAGE_SIZE;
    const stop = Math.min(end, first + folios.nrPages(found) * PAGE_SIZE);
    if (cacheLog.isOn) cacheLog.used(found, index - first / PAGE_SIZE, Math.ceil((stop - first) / PAGE_SIZE) - (index - first / PAGE_SIZE));
    // A read that goes on in the folio where the last one ended is the same use of it.
    const goesOn = at === pos && ra.prevPos > first && ra.prevPos <= first + folios.nrPages(found) * PAGE_SIZE;
    // Held meanwhile: a fault of the program's buffer may want memory.
    folios.get(found);
    while (at < stop && !io.faulted) {
      const part = chunk.subarray(0, Math.min(CHUNK_BYTES, stop - at));
      machine.readFrame(found, at - first, part);
      noteUse(system, found, at - first, part.length);
      at += io.put(part);
    }
    if (!goesOn) system.lru.markAccessed(found);
    system.putFolio(found);
  }
  machine.charge(params.cost.copy_byte * (at - pos));
  if (at > pos) ra.prevPos = at;
  return { moved: at - pos, error: at > pos ? 0 : error !== 0 ? error : io.faulted && at === pos && pos < end ? -Errno.EFAULT : 0, wait: 0 };
}

/** The folio of a page: there and up to date, or locked while it is being read in. */
function getFolio(space: AddressSpace, ra: FileRa, index: number, lastIndex: number): Folio | { error: number } {
  const { folios, waits } = space.system;
  let folio = space.folioAt(index);
  if (folio === 0) {
    syncReadahead(space, ra, index, lastIndex - index);
    folio = space.folioAt(index);
  }
  if (folio === 0) {
    folio = createFolio(space, index);
    if (folio === 0) return { error: -Errno.ENOMEM };
  }
  // Held meanwhile: reading ahead wants memory, and whoever makes room for it may choose this very folio.
  folios.get(folio);
  if (folios.test(folio, FolioFlag.Reclaim) && !folios.test(folio, FolioFlag.Writeback)) asyncReadahead(space, ra, folio, folios.index(folio), lastIndex - folios.index(folio));
  const isReadable = folios.test(folio, FolioFlag.Uptodate) || waits.isLocked(folio) || readAlone(space, folio);
  space.system.putFolio(folio);
  return isReadable ? folio : { error: -Errno.EIO };
}
/** One page, not read yet; 0: no memory. Mirrors filemap_create_folio(). */
export function createFolio(space: AddressSpace, index: number): Folio | 0 {
  const { system } = space;
  const folio = system.allocFolio(0, MemdescType.FileFolio, Gfp.User);
  if (folio === 0) return 0;
  space.addFolio(folio, index);
  if (system.cacheLog.isOn) system.cacheLog.made(folio, 0, 0, space.ops?.maxOrder === 0 ? 'no-large-folios' : 'read-alone');
  return folio;
}
/** An unlocked folio is not up to date: it was read ahead in vain, or never. Reads it for itself, once. @returns false: that has failed (EIO);
 *  the next one to ask tries again */
export function readAlone(space: AddressSpace, folio: Folio): boolean {
  const { folios, waits } = space.system;
  if (folios.test(folio, FolioFlag.ReadAlone)) {
    folios.clear(folio, FolioFlag.ReadAlone);
    return false;
  }
  folios.set(folio, FolioFlag.ReadAlone);
  waits.lockNow(folio);
  space.ops?.readFolios([folio], false);
  if (waits.isLocked(folio) || folios.test(folio, FolioFlag.Uptodate)) return true;
  folios.clear(folio, FolioFlag.ReadAlone);
  return false;
}
