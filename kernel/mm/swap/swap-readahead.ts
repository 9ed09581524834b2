// What is read from swap along with a page that is needed. Here: the window, by the neighbours in the address space or, where an arm moves, by those on
// the disk; one page into the swap cache. Not here: the fault (swap-in.ts). Mirrors swapin_readahead() and __read_swap_cache_async()
// (mm/swap_state.c), 6.12 and 6.18.
//
//   window: as many pages as the last one had hits, and 2; 1 if there were none and the fault is not next to the last one; else rounded up to a power of
//   two, 4 at least; 2^page-cluster at most; never less than half of the last window
import { asVpn } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem } from '../events.ts';
import type { Fault } from '../fault.ts';
import { FolioFlag, MemdescType } from '../folio.ts';
import { Gfp } from '../gfp.ts';
import type { MmSystem } from '../system.ts';
import type { Vma } from '../vma.ts';
import { entryOfPte, isSwapPte, swapEntry, swapOffset, swapType } from './entry.ts';
import type { SwapEntry } from './entry.ts';

/** Windows by address are no larger than 2^this, whatever page-cluster says: SWAP_RA_ORDER_CEILING. */
const MAX_VMA_ORDER = 5;
const MAX_HITS = 63;

/** What windows by place on the disk go by, for all programs together; and whether those by address may be used. */
export class ReadaheadState {
  /** /sys/kernel/mm/swap/vma_ra_enabled */
  vmaEnabled = true;
  hits = 4;
  prevOffset = 0;
  lastPages = 0;
  hash(into: StateHash): void {
    into.numbers([this.vmaEnabled ? 1 : 0, this.hits, this.prevOffset, this.lastPages]);
  }
}
/** The same for one VMA: where the last fault was, the last window, how many of its pages were used. */
export interface VmaReadahead { readonly vpn: number; readonly window: number; hits: number }
const raOf = (vma: Vma): VmaReadahead => (vma.swapRa ??= { vpn: 0, window: 0, hits: 4 });

/** swap_use_vma_readahead(): not while some device has an arm to move. */
function usesAddresses({ swap }: MmSystem): boolean {
  return swap.cache.ra.vmaEnabled && !swap.devices.some(({ isRotational }) => isRotational);
}

/** The folio of an entry, if the swap cache has it; that it was read ahead and is wanted now is counted. swap_cache_get_folio() */
export function lookupSwapCache(system: MmSystem, entry: SwapEntry, vma: Vma | null): Folio | 0 {
  const { folios, swap, vmstat } = system;
  const folio = swap.cache.folioAt(entry);
  // Reclaim means Readahead to who is not being written.
  if (folio === 0 || folios.isLarge(folio) || (folios.flags(folio) & (FolioFlag.Reclaim | FolioFlag.Writeback)) !== FolioFlag.Reclaim) return folio;
  folios.clear(folio, FolioFlag.Reclaim);
  vmstat.add(VmItem.swap_ra_hit, 1);
  if (vma !== null && usesAddresses(system)) {
    const ra = raOf(vma);
    ra.hits = Math.min(MAX_HITS, ra.hits + 1);
  } else swap.cache.ra.hits++;
  return folio;
}

/** Reads the page of a fault, and what may be wanted next. @returns its folio, locked until it is read; 0: no memory */
export function swapinReadahead(fault: Fault, entry: SwapEntry): Folio | 0 {
  const { mm: { system } } = fault;
  return readWindow(system, entry, usesAddresses(system) ? vmaWindow(fault) : clusterWindow(system, entry));
}
/** The same for who knows of no address: swap_cluster_readahead(). */
export function clusterReadahead(system: MmSystem, entry: SwapEntry): Folio | 0 {
  return readWindow(system, entry, clusterWindow(system, entry));
}
function readWindow(system: MmSystem, entry: SwapEntry, window: readonly Wanted[]): Folio | 0 {
  system.swap.io.plug();
  for (const { entry: next, isTarget } of window) {
    const read = readSwapCache(system, next);
    if (read === null || !read.isNew || isTarget) continue;
    system.folios.set(read.folio, FolioFlag.Reclaim);
    system.vmstat.add(VmItem.swap_ra, 1);
  }
  system.swap.io.unplug();
  // The search for memory for the others may have taken it away again.
  return readSwapCache(system, entry)?.folio ?? 0;
}

/** A page comes into the swap cache, and is read. @returns null: nobody names the slot any more, or no memory. read_swap_cache_async() */
export function readSwapCache(system: MmSystem, entry: SwapEntry): Brought | null {
  const brought = bringIntoCache(system, entry, Gfp.User);
  if (brought?.isNew === true) system.swap.io.read(brought.folio);
  return brought;
}
/** isNew: the folio is locked, and holds nothing yet. */
export interface Brought { readonly folio: Folio; readonly isNew: boolean }
/** __read_swap_cache_async() */
export function bringIntoCache(system: MmSystem, entry: SwapEntry, gfp: number): Brought | null {
  const { swap, folios, lru, memcg, waits } = system;
  const there = swap.cache.folioAt(entry);
  if (there !== 0) return { folio: there, isNew: false };
  const info = swap.infoOf(entry);
  const offset = swapOffset(entry);
  if (info === null || info.count(offset) === 0) return null;
  const owner = memcg.byId(info.owner(offset));
  const type = info.isShmem(offset) ? MemdescType.FileFolio : MemdescType.AnonFolio;
  const folio = system.allocFolio(0, type, gfp, owner?.isOnline === true ? owner : null);
  if (folio === 0) return null;
  // The search for memory may have brought it in.
  const meanwhile = swap.cache.folioAt(entry);
  if (meanwhile !== 0) {
    system.putFolio(folio);
    return { folio: meanwhile, isNew: false };
  }
  waits.tryLock(folio);
  folios.set(folio, FolioFlag.SwapBacked);
  const shadow = swap.cache.add(folio, entry);
  if (shadow !== 0) lru.refault(folio, shadow);
  lru.addNew(folio);
  system.putFolio(folio); // the cache has its own
  return { folio, isNew: true };
}

/** Mirrors __swapin_nr_pages(). @param prev, at where the last fault was, and this one */
function windowPages(prev: number, at: number, hits: number, most: number, last: number): number {
  let pages = hits + 2;
  if (pages === 2) pages = at === prev + 1 || at === prev - 1 ? 2 : 1;
  else pages = 2 ** Math.max(2, Math.ceil(Math.log2(pages)));
  return Math.max(Math.min(pages, most), last >> 1);
}

interface Wanted { readonly entry: SwapEntry; readonly isTarget: boolean }
/** Entries around the address: in the direction of the last two faults, else on both sides; within VMA and page table. swap_vma_readahead() */
function vmaWindow({ mm, vma, vpn }: Fault): Wanted[] {
  const { page_cluster: cluster } = mm.system.params.vm;
  const most = 1 << Math.min(cluster, MAX_VMA_ORDER);
  if (most === 1) return [];
  const { vpn: prev, window: last, hits } = raOf(vma);
  const pages = windowPages(prev, vpn, hits, most, last);
  vma.swapRa = { vpn, window: pages, hits: 0 };
  if (pages === 1) return [];
  const left = vpn === prev + 1 ? vpn : prev === vpn + 1 ? vpn - pages + 1 : vpn - ((pages - 1) >> 1);
  const table = vpn - (vpn % 512);
  const start = Math.max(left, vma.start / 4096, table);
  const end = Math.min(left + pages, vma.end / 4096, table + 512);
  const wanted: Wanted[] = [];
  for (let at = start; at < end; at++) {
    const low = mm.tables.get(asVpn(at));
    if (isSwapPte(low)) wanted.push({ entry: entryOfPte(low), isTarget: at === vpn });
  }
  return wanted;
}
/** The aligned block of slots around it: swap_cluster_readahead(). */
function clusterWindow(system: MmSystem, entry: SwapEntry): Wanted[] {
  const { swap: { cache: { ra } }, params: { vm } } = system;
  const most = 2 ** vm.page_cluster;
  if (most === 1) return [];
  const info = system.swap.infoOf(entry);
  const offset = swapOffset(entry);
  const { hits } = ra;
  ra.hits = 0;
  const pages = windowPages(ra.prevOffset, offset, hits, most, ra.lastPages);
  if (hits === 0) ra.prevOffset = offset;
  ra.lastPages = pages;
  if (pages === 1 || info === null) return [];
  const start = Math.max(1, offset - (offset % pages));
  const end = Math.min(offset - (offset % pages) + pages, info.nrSlots);
  return Array.from({ length: end - start }, (_, i) => ({ entry: swapEntry(swapType(entry), start + i), isTarget: start + i === offset }));
}
