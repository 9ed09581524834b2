// Splitting a folio: 2^n pages that were one allocation become smaller folios where they are. Here: when it may be done, into which pieces,
// and the doing. Not here: who decides that it is worth it (deferred-split.ts, migrate.ts), splitting a PMD entry without its folio (huge.ts).
// Mirrors __folio_split() and __split_unmapped_folio() (mm/huge_memory.c), 6.18. Mappings of an anonymous folio are written again for its
// pieces; those of a file's folio go, and fault in again.
import { asFolio, bug, hex } from '#base';
import type { Folio, Pfn } from '#base';
import { Errno } from '../syscall/errno.ts';
import { VmItem, mappingChanged } from './events.ts';
import { FolioFlag } from './folio.ts';
import { removeMigrationEntries, tryToMigrate } from './migration-entries.ts';
import type { MigrationEntry } from './migration-entries.ts';
import { reasonIndex } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';
import { countMappings } from './rmap-walk.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER, ThpStat } from './thp.ts';

/** Splits a folio to pieces of `newOrder`; with `at`, a page of the folio, only the piece that holds it becomes that small, and the others
 *  as large as halving leaves them. The caller holds one reference, which afterwards is one to the piece that holds `at` (without: to the
 *  first); all other pieces live by their mappings, and those that nobody maps are free. Single pages of zeros are given up for the zero page.
 *  @param reason what the outside is told
 *  @returns 0; -EINVAL: no such split (anonymous folios have no order 1; those of files may); -EAGAIN: somebody holds the folio; -EBUSY: it is a disk's, and dirty; -ENOMEM: no memory for descriptors */
export function splitFolio(system: MmSystem, folio: Folio, newOrder = 0, at: Pfn | null = null, reason: ReasonCode = 'split-asked'): number {
  const { folios, thp, vmstat } = system;
  const order = folios.order(folio);
  const isAnon = folios.isAnon(folio);
  const inSwapCache = folios.test(folio, FolioFlag.SwapCache);
  if (newOrder < 0 || newOrder >= order || (isAnon && newOrder === 1) || (inSwapCache && newOrder > 0)) return -Errno.EINVAL;
  if (!canSplit(system, folio)) {
    if (order === PMD_ORDER) vmstat.add(VmItem.thp_split_page_failed, 1);
    thp.count(order, ThpStat.split_failed);
    return -Errno.EAGAIN;
  }
  // What a file system keeps for a folio can be let go only when it is clean: filemap_release_folio().
  const ops = isAnon ? null : (system.addressSpaces.get(folios.mapping(folio))?.ops ?? null);
  if (ops !== null && (folios.test(folio, FolioFlag.Dirty) || !ops.releaseFolio(folio))) {
    thp.count(order, ThpStat.split_failed);
    return -Errno.EBUSY;
  }
  const orders = pieces(order, newOrder, at === null ? null : at - folio, isAnon);
  if (!system.descriptors.split(folio, folios.typeOf(folio), order, orders)) {
    thp.count(order, ThpStat.split_failed);
    return -Errno.ENOMEM;
  }
  if (!isAnon) return splitFileFolio(system, folio, orders, at);
  const entries = tryToMigrate(system, folio);
  system.deferredSplit.remove(folio);
  const place = system.lru.suspend(folio);
  if (inSwapCache) folios.put(folio, 1 << order);
  folios.split(folio, orders);
  if (inSwapCache) system.swap.splitFolio(folio, orders);
  thp.count(order, ThpStat.split);
  thp.count(order, ThpStat.nr_anon, -1);
  for (const piece of orders) thp.count(piece, ThpStat.nr_anon);
  if (order === PMD_ORDER) vmstat.add(VmItem.thp_split_page, 1);
  tell(system, entries, reason);
  removeMigrationEntries(system, entries, 0, true);
  const kept = folios.folioOf(at ?? folio);
  let piece = folio;
  for (const pieceOrder of orders) {
    if (pieceOrder > 0 && folios.test(piece, FolioFlag.Mlocked)) folios.addMlockCount(piece, 1);
    // What nobody maps is about to be free.
    if (place !== null && (piece === kept || folios.refCount(piece) > 1)) system.lru.resume(piece, place);
    if (inSwapCache && piece !== kept) dropFromSwapCache(system, piece);
    if (piece !== kept) system.putFolio(piece);
    piece = asFolio(piece + (1 << pieceOrder));
  }
  return 0;
}
/** A page that nobody maps and nobody will want from swap goes with the split: free_folio_and_swap_cache(). It may be locked, as the folio was. */
function dropFromSwapCache(system: MmSystem, piece: Folio): void {
  if (system.folios.folioMapcount(piece) === 0) system.swap.freeFolio(piece);
}

/** The pieces of a file's folio stay in the page cache, locked and dirty as it was. */
function splitFileFolio(system: MmSystem, folio: Folio, orders: readonly number[], at: Pfn | null): number {
  const { folios, thp, vmstat } = system;
  const space = system.addressSpaces.get(folios.mapping(folio)) ?? bug(`folio ${hex(folio)} is no file's`);
  const order = folios.order(folio);
  const first = folios.index(folio);
  space.unmapPages(first, first + (1 << order), false);
  folios.put(folio, 1 << order);
  const place = system.lru.suspend(folio);
  folios.split(folio, orders);
  space.splitFolio(folio, orders);
  thp.count(order, ThpStat.split);
  if (order === PMD_ORDER) vmstat.add(VmItem.thp_split_page, 1);
  const kept = folios.folioOf(at ?? folio);
  let piece = folio;
  for (const pieceOrder of orders) {
    // The allocation's reference is the cache's first; the caller's stays with the piece it asked for.
    folios.get(piece, (1 << pieceOrder) - (piece === kept ? 0 : 1));
    if (place !== null) system.lru.resume(piece, place);
    piece = asFolio(piece + (1 << pieceOrder));
  }
  return 0;
}

/** Every stretch of addresses that mapped the folio, once. */
function tell(system: MmSystem, entries: readonly MigrationEntry[], reason: ReasonCode): void {
  for (let i = 0, next: number; i < entries.length; i = next) {
    const { mm, vpn } = entries[i]!;
    let end = vpn;
    for (next = i; entries[next]?.mm === mm && entries[next]!.vpn === end; next++) end += entries[next]!.nr;
    system.collapseHistory.noteSplit(mm, vpn, end - vpn, reason);
    if (mappingChanged.enabled) mappingChanged.emit(mm.id, vpn * 4096, end - vpn, reasonIndex(reason));
  }
}

/** References are the mappings', the page cache's and the caller's, and every mapping can be found: folio_expected_ref_count() + 1. */
function canSplit(system: MmSystem, folio: Folio): boolean {
  const { folios } = system;
  const inCache = !folios.isAnon(folio) || folios.test(folio, FolioFlag.SwapCache);
  const cached = (inCache ? folios.nrPages(folio) : 0) + (folios.test(folio, FolioFlag.Private) ? 1 : 0);
  if (folios.mapping(folio) === 0) return false;
  return !folios.test(folio, FolioFlag.Writeback) && folios.refCount(folio) === folios.folioMapcount(folio) + cached + 1
    && countMappings(system, folio) === folios.folioMapcount(folio);
}

/** The orders of the pieces, in order of address. @param at offset of the page that is to lie in a piece of `newOrder`; null: all are */
function pieces(order: number, newOrder: number, at: number | null, isAnon: boolean): number[] {
  if (order === newOrder) return [order];
  if (at === null) return new Array<number>(1 << (order - newOrder)).fill(newOrder);
  // Anonymous folios of order 1 do not exist: the last step is from four pages to single ones.
  const half = isAnon && order === 2 ? 0 : order - 1;
  const result: number[] = [];
  for (let from = 0; from < 1 << order; from += 1 << half) {
    if (at >= from && at < from + (1 << half)) result.push(...pieces(half, newOrder, at - from, isAnon));
    else result.push(half);
  }
  return result;
}
