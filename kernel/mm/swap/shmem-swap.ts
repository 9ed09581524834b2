// Files of memory alone, and swap: their folios go there by way of the swap cache, and come back by it. Here: out, in, what cannot be read, what is cut
// off. Not here: making pages (../shmem.ts), the tree where their places stand (../filemap.ts), I/O (swap-io.ts).
// Mirrors shmem_writeout(), shmem_swapin_folio() and shmem_free_swap() (mm/shmem.c), 6.18.
//
// Out: the folio's slots take its place in the file's tree, as one entry of its order. In: a single page is read, and the entry around it becomes 512 or
// fewer single ones; but a folio that the swap cache still has whole comes back whole, in one step.
import { PAGE_SIZE, bug } from '#base';
import type { Folio } from '#base';
import { Errno } from '../../syscall/errno.ts';
import { VmItem } from '../events.ts';
import type { AddressSpace } from '../filemap.ts';
import { FolioFlag } from '../folio.ts';
import type { MmSystem } from '../system.ts';
import { PMD_ORDER, ThpStat } from '../thp.ts';
import { entryOfSwapValue, isSwapValue, swapValue } from '../xarray.ts';
import { swapEntry, swapType } from './entry.ts';
import type { SwapEntry } from './entry.ts';
import type { SwapWrite } from './swap-io.ts';
import { clusterReadahead, lookupSwapCache } from './swap-readahead.ts';

/** In the place of a page that could not be read: of a type that no device has. */
const POISON = swapEntry(31, 1);

/** A locked, dirty folio that nobody maps leaves its file for the swap cache, and begins to be written. @param split makes pages of a large one, of which the first
 *  is the folio, locked as it was; the others are the caller's to come back to. false: it could not */
export function swapOutShmem(system: MmSystem, folio: Folio, split: () => boolean): SwapWrite {
  const { folios, swap, thp, vmstat } = system;
  const space = system.addressSpaces.get(folios.mapping(folio));
  if (space === undefined || swap.totalPages === 0) return 'failed';
  const order = folios.order(folio);
  const end = space.sizePages;
  const crossesEnd = folios.index(folio) < end && folios.index(folio) + folios.nrPages(folio) > end;
  if (order > 0 && crossesEnd && !split()) return 'failed';
  if (!swap.allocate(folio)) {
    if (!folios.isLarge(folio) || !split()) return 'failed';
    if (order === PMD_ORDER) vmstat.add(VmItem.thp_swpout_fallback, 1);
    thp.count(order, ThpStat.swpout_fallback);
    if (!swap.allocate(folio)) return 'failed';
  }
  // What was only set aside is zeros: there is no other way to keep it.
  folios.set(folio, FolioFlag.Uptodate);
  const entry = folios.swapEntry(folio);
  swap.duplicateShmem(entry, folios.nrPages(folio));
  space.swapOut(folio, swapValue(entry));
  return swap.write(folio);
}

/** Where a page of a file is in swap; 0: it is not. */
export function shmemEntry(space: AddressSpace, index: number): SwapEntry {
  const at = space.pages.find(index);
  return at !== null && isSwapValue(at.entry) ? entryOfSwapValue(at.entry) + (isPoison(at.entry) ? 0 : index - at.index) : 0;
}
const isPoison = (value: number): boolean => entryOfSwapValue(value) === POISON;

/** Finds the page in the swap cache, or begins to read it, with its neighbours on the disk. null: no memory.
 *  @returns the folio, perhaps locked until it is read; -EIO: it is lost */
export function beginShmemSwapin(space: AddressSpace, index: number): { readonly folio: Folio; readonly isRead: boolean } | number | null {
  const { system } = space;
  const entry = shmemEntry(space, index);
  if (entry === POISON) return -Errno.EIO;
  const there = lookupSwapCache(system, entry, null);
  if (there !== 0) return { folio: there, isRead: false };
  const folio = clusterReadahead(system, entry);
  return folio === 0 ? null : { folio, isRead: true };
}
/** A locked folio of the swap cache, which the caller holds, goes back to its file. @returns 0, or -EIO: it could not be read, and is lost */
export function endShmemSwapin(space: AddressSpace, index: number, folio: Folio): number {
  const { system } = space;
  const { folios, swap, waits } = system;
  const entry = shmemEntry(space, index);
  if (!folios.test(folio, FolioFlag.Uptodate)) {
    space.poison(index, swapValue(POISON));
    swap.free(entry, 1);
    swap.freeFolio(folio);
    return -Errno.EIO;
  }
  waits.waitNow(folio, FolioFlag.Writeback);
  const first = folios.swapEntry(folio);
  space.swapIn(folio, index - (entry - first));
  swap.cache.remove(folio, 0);
  system.dirtyFolio(folio);
  swap.free(first, folios.nrPages(folio));
  return 0;
}
/** Both in one, for who cannot sleep. @returns 0: no memory; SWAP_ERROR */
export function shmemSwapin(space: AddressSpace, index: number): Folio | 0 | typeof SWAP_ERROR {
  const { waits, folios } = space.system;
  const got = beginShmemSwapin(space, index);
  if (got === null) return 0;
  if (typeof got === 'number') return SWAP_ERROR;
  const { folio } = got;
  folios.get(folio);
  waits.lockNow(folio);
  const error = endShmemSwapin(space, index, folio);
  waits.unlock(folio);
  space.system.putFolio(folio);
  return error === 0 ? folio : SWAP_ERROR;
}
/** -EIO, told apart from folios. */
export const SWAP_ERROR = -5;

/** [start, end), in pages, of a file is cut off: so are its slots. Of what only reaches into the range, the part outside stays. shmem_free_swap() */
export function forgetSwapped(space: AddressSpace, start: number, end: number): void {
  const { pages, system } = space;
  for (let at = pages.next(start, end); at !== null; ) {
    const { index, order, entry } = at;
    const last = index + 2 ** order;
    if (isSwapValue(entry) && (index < start || last > end)) {
      // Single pages from here on: those in the range are met next.
      pages.split(index, Array.from({ length: 2 ** order }, (_, i) => ({ entry: entry + i, order: 0 })));
      at = pages.next(Math.max(start, index), end);
      continue;
    }
    if (isSwapValue(entry)) {
      space.dropSwapped(index, isPoison(entry) ? 0 : 2 ** order);
      if (!isPoison(entry)) system.swap.freeAndCache(entryOfSwapValue(entry), 2 ** order);
    }
    at = pages.next(last, end);
  }
}
/** What is about to be cut in part comes back first, to be zeroed or split like any other: pages that the range, in bytes, begins or ends in, and large folios
 *  that the swap cache still has whole. What cannot be had stays as it is. shmem_get_partial_folio() */
export function swapInEdges(space: AddressSpace, start: number, end: number): void {
  const { folios, swap } = space.system;
  for (const edge of [start, end]) {
    if (!Number.isFinite(edge)) continue;
    const index = Math.floor(edge / PAGE_SIZE);
    const at = space.pages.find(index);
    if (at === null || !isSwapValue(at.entry)) continue;
    const cached = swap.cache.folioAt(entryOfSwapValue(at.entry));
    if (edge % PAGE_SIZE !== 0 || (at.index < index && cached !== 0 && folios.isLarge(cached))) shmemSwapin(space, index);
  }
}

/** swapoff: every page of files that is on a device comes back. @returns 0 or -ENOMEM. shmem_unuse() */
export function unuseShmem(system: MmSystem, type: number): number {
  for (const space of [...system.addressSpaces.values()]) {
    let from = 0;
    for (let at = space.nrSwapped > 0 ? space.pages.next(0) : null; at !== null; at = space.pages.next(from)) {
      const isThere = isSwapValue(at.entry) && !isPoison(at.entry) && swapType(entryOfSwapValue(at.entry)) === type;
      // One page comes back, or a whole folio.
      const index = Math.max(from, at.index);
      from = isThere ? index + 1 : at.index + 2 ** at.order;
      if (isThere && shmemSwapin(space, index) === 0) return -Errno.ENOMEM;
    }
  }
  return 0;
}
/** Every page of files that is in swap, by slot: for checks. */
export function* shmemEntries(system: MmSystem): Generator<SwapEntry> {
  for (const space of system.addressSpaces.values()) {
    if (space.ops !== null) continue;
    let found = 0;
    for (const { entry, order } of space.pages) {
      if (!isSwapValue(entry) || isPoison(entry)) continue;
      found += 2 ** order;
      for (let i = 0; i < 2 ** order; i++) yield entryOfSwapValue(entry) + i;
    }
    if (found !== space.nrSwapped) bug(`file ${space.id} has ${found} pages in swap, counts ${space.nrSwapped}`);
  }
}
