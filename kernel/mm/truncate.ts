// Cutting files: pages leave the page cache, whole folios or parts of one. Here: truncation, holes, invalidation. Not here: the disk's blocks
// (the format's own). Mirrors mm/truncate.c, 6.18.
//
//   folios     [ 4 ][ 4 ][      16      ]      truncated in the middle of the large one: its tail is zeroed, then it is split towards the
//   kept       [ 4 ][ 4 ][ 8 ][ 2 ][1]         cut, so that what lies behind can be freed; if it cannot be split, a clean one goes whole, to be
//                                              read again, and a dirty one stays whole, zeros and all
import { PAGE_SIZE, asPfn } from '#base';
import type { Folio } from '#base';
import type { AddressSpace } from './filemap.ts';
import { FolioFlag } from './folio.ts';
import { splitFolio } from './split.ts';
import { forgetSwapped, swapInEdges } from './swap/shmem-swap.ts';

/** Sets the size. What lies beyond is unmapped everywhere, private copies included, and freed; the rest of the last page is zeroed, so that
 *  growing again shows zeros. Mirrors truncate_setsize(). */
export function truncate(space: AddressSpace, sizeBytes: number): void {
  const shrinks = sizeBytes < space.sizeBytes;
  space.sizeBytes = sizeBytes;
  if (!shrinks) return;
  // Twice, as Linux does: a fault between the two could have mapped a page again. Here nothing comes between.
  space.unmapPages(Math.ceil(sizeBytes / PAGE_SIZE), Infinity, true);
  truncatePages(space, sizeBytes, Infinity);
}

/** Frees the whole pages of [start, end), in bytes, and zeroes the rest of the first and the last one: fallocate's hole, MADV_REMOVE. Private
 *  copies of what is gone stay with those who made them. Mirrors truncate_pagecache_range(). */
export function punchHole(space: AddressSpace, start: number, end: number): void {
  const first = Math.ceil(start / PAGE_SIZE);
  const last = Math.floor(end / PAGE_SIZE);
  if (first < last) space.unmapPages(first, last, false);
  truncatePages(space, start, end);
}

/** Mirrors truncate_inode_pages_range(). */
function truncatePages(space: AddressSpace, start: number, end: number): void {
  const lastPage = end === Infinity ? Infinity : Math.ceil(end / PAGE_SIZE);
  const { folios } = space.system;
  if (space.nrSwapped > 0) swapInEdges(space, start, end);
  for (let at = Math.floor(start / PAGE_SIZE), folio = space.nextFolio(at, lastPage); folio !== 0; folio = space.nextFolio(at, lastPage)) {
    const first = folios.index(folio) * PAGE_SIZE;
    const size = folios.nrPages(folio) * PAGE_SIZE;
    at = (first + size) / PAGE_SIZE;
    if (start <= first && end >= first + size) dropFolio(space, folio);
    else cutFolio(space, folio, start, end);
  }
  space.forgetValues(Math.ceil(start / PAGE_SIZE), lastPage);
  if (space.kind === 'shmem') forgetSwapped(space, Math.ceil(start / PAGE_SIZE), Math.floor(end / PAGE_SIZE));
}
/** A whole folio leaves the cache. Mirrors truncate_inode_folio(). */
function dropFolio(space: AddressSpace, folio: Folio): void {
  const { waits, folios } = space.system;
  settle(space, folio);
  space.ops?.invalidateFolio(folio, 0, folios.nrPages(folio) * PAGE_SIZE);
  space.cleanFolio(folio);
  waits.unlock(folio);
  space.removeFolio(folio);
}
/** Locks a folio and waits until it is not being written. */
function settle({ system: { waits } }: AddressSpace, folio: Folio): void {
  waits.lockNow(folio);
  waits.waitNow(folio, FolioFlag.Writeback);
}
/** A part of a folio is cut: zeroed, and as far as it can be split off, freed. Mirrors truncate_inode_partial_folio(). */
function cutFolio(space: AddressSpace, folio: Folio, start: number, end: number): void {
  const { system } = space;
  const { folios, waits } = system;
  const first = folios.index(folio) * PAGE_SIZE;
  const size = folios.nrPages(folio) * PAGE_SIZE;
  const from = Math.max(0, start - first);
  const to = Math.min(size, end - first);
  settle(space, folio);
  zeroBytes(space, folio, from, to - from);
  if (size === PAGE_SIZE) {
    space.ops?.invalidateFolio(folio, from, to - from);
    waits.unlock(folio);
    return;
  }
  space.ops?.invalidateFolio(folio, from, to - from);
  // Split at both edges of the cut, so that what lies between becomes folios of its own.
  folios.get(folio);
  const edges = [from, to].filter((edge) => edge > 0 && edge < size).map((edge) => asPfn(folio + Math.floor(edge / PAGE_SIZE)));
  let isSplit = true;
  let held = folio;
  for (const page of edges) {
    const piece = folios.folioOf(page);
    if (folios.order(piece) === 0) continue;
    if (piece !== held) {
      folios.get(piece);
      system.putFolio(held);
      held = piece;
    }
    isSplit = splitFolio(system, piece, 0, page) === 0 && isSplit;
    held = folios.folioOf(page);
  }
  unlockAll(space, first / PAGE_SIZE, (first + size) / PAGE_SIZE);
  system.putFolio(held);
  if (!isSplit) {
    const whole = space.folioAt(first / PAGE_SIZE);
    if (whole !== 0 && space.ops !== null && folios.nrPages(whole) * PAGE_SIZE === size && !folios.test(whole, FolioFlag.Dirty)) dropFolio(space, whole);
    return;
  }
  for (let at = Math.ceil(Math.max(start, first) / PAGE_SIZE), last = Math.floor(Math.min(end, first + size) / PAGE_SIZE); at < last; ) {
    const piece = space.folioAt(at);
    if (piece === 0) {
      at++;
      continue;
    }
    at = folios.index(piece) + folios.nrPages(piece);
    if (at <= last) dropFolio(space, piece);
  }
}
/** The pieces of a split folio are locked, as it was. */
function unlockAll(space: AddressSpace, start: number, end: number): void {
  const { folios, waits } = space.system;
  for (let folio = space.nextFolio(start, end); folio !== 0; ) {
    waits.unlock(folio);
    folio = space.nextFolio(folios.index(folio) + folios.nrPages(folio), end);
  }
}
function zeroBytes({ system }: AddressSpace, folio: Folio, offset: number, len: number): void {
  if (len <= 0) return;
  system.machine.writeFrame(folio, offset, new Uint8Array(len));
  system.machine.charge(system.params.cost.page_zero * Math.ceil(len / PAGE_SIZE));
}

/** Drops clean folios of [start, end), in pages, that nobody maps, locks or writes: fadvise's DONTNEED, drop_caches, and O_DIRECT's look at
 *  what the cache holds. @returns pages dropped. Mirrors mapping_try_invalidate(). */
export function invalidateMapping(space: AddressSpace, start: number, end: number): number {
  const { folios, waits } = space.system;
  if (space.ops === null) return 0;
  let dropped = 0;
  for (let at = start, folio = space.nextFolio(at, end); folio !== 0; folio = space.nextFolio(at, end)) {
    const nr = folios.nrPages(folio);
    const index = folios.index(folio);
    at = index + nr;
    // A folio that reaches out of the range is left alone, unless the range ends with it.
    if (index < start || index + nr > end) continue;
    if (folios.test(folio, FolioFlag.Dirty | FolioFlag.Writeback) || folios.folioMapcount(folio) > 0 || !waits.tryLock(folio)) continue;
    space.ops.invalidateFolio(folio, 0, nr * PAGE_SIZE);
    waits.unlock(folio);
    if (folios.refCount(folio) !== nr) continue;
    space.removeFolio(folio);
    dropped += nr;
  }
  return dropped;
}
