// Files that live in memory alone: tmpfs, memfd, shared anonymous memory. Here: making pages, writing. Not here: names and seals
// (kernel/fs/), faults (filefault.ts). Mirrors mm/shmem.c, 6.18. A hole reads as zeros and takes no frame until it is written or mapped.
import { PAGE_SIZE } from '#base';
import type { Folio, Pfn } from '#base';
import { Errno } from '../syscall/errno.ts';
import { VmItem } from './events.ts';
import type { AddressSpace } from './filemap.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { gfpFor, isThpDisabled } from './folio-order.ts';
import { Gfp } from './gfp.ts';
import type { Mm } from './mm.ts';
import type { ReasonCode } from './reasons.ts';
import { noteUse } from './reclaim/uses.ts';
import { PMD_ORDER, ThpStat, highestOrder } from './thp.ts';
import { SWAP_ERROR, shmemSwapin } from './swap/shmem-swap.ts';
import type { OrderSet } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** Who asks: a fault through a VMA, or (vma null) a write that ends at `writeEnd` bytes; 0: neither. */
export interface ShmemAsker { readonly mm: Mm | null; readonly vma: Vma | null; readonly writeEnd: number }

/** The folio of a page, up to date; brought in, where it is in swap; made, zeroed and of the largest order allowed, where there was a hole. 0: no memory, or the
 *  quota is used up; SWAP_ERROR: it is lost. Mirrors shmem_get_folio(). */
export function shmemFolio(space: AddressSpace, index: number, asker: ShmemAsker): Folio | 0 | typeof SWAP_ERROR {
  const { system } = space;
  const { folios } = system;
  if (space.isSwapped(index)) return shmemSwapin(space, index);
  let folio = space.folioAt(index);
  if (folio === 0) folio = makeFolio(space, index, asker);
  if (folio !== 0) folios.set(folio, FolioFlag.Uptodate);
  return folio;
}
/** A page where there was a hole, which is a hole still: what fallocate promises. Mirrors shmem_get_folio(SGP_FALLOC). */
export function setAsideShmem(space: AddressSpace, index: number): Pfn | 0 {
  const folio = allocAndAdd(space, index, 0, Gfp.UserZero);
  const { cacheLog } = space.system;
  // It is promised, and must not be dropped for being clean.
  if (folio !== 0) space.dirtyFolio(folio);
  if (folio !== 0 && cacheLog.isOn) cacheLog.made(folio, 0, 0, 'shmem-set-aside');
  return folio;
}
function makeFolio(space: AddressSpace, index: number, asker: ShmemAsker): Folio | 0 {
  const { cacheLog, folios } = space.system;
  const allowed = cacheLog.isOn ? largestAllowed(space, index, asker) : null;
  const folio = allocLarge(space, index, asker) || allocAndAdd(space, index, 0, Gfp.UserZero);
  if (folio === 0 || allowed === null) return folio;
  const order = folios.order(folio);
  cacheLog.made(folio, order, allowed.wanted, order < allowed.most ? 'fragmented' : allowed.reason);
  return folio;
}
/** For those who ask why: the order that settings allow, what is left of it at this page, and what has made the last difference. */
function largestAllowed(space: AddressSpace, index: number, asker: ShmemAsker): { wanted: number; most: number; reason: ReasonCode } {
  const { mm, vma } = asker;
  const largest = (orders: OrderSet): number => (orders === 0 ? 0 : highestOrder(orders));
  if (mm !== null && vma !== null && isThpDisabled(mm, vma)) return { wanted: 0, most: 0, reason: 'thp-no-vma' };
  const wanted = largest(allowedOrders(space, asker, (orders) => orders));
  let most = wanted;
  let reason: ReasonCode = wanted === 0 ? 'shmem-off' : 'order-wanted';
  const cutTo = (order: number, why: ReasonCode): void => {
    if (order >= most) return;
    most = order;
    reason = why;
  };
  cutTo(largest(allowedOrders(space, asker, sizeFilter(space, index, asker))), 'shmem-size');
  const suitable = suitableOrders(space, index, asker);
  cutTo(largest(suitable), 'vma-too-small');
  const isFree = (order: number): boolean => isEmpty(space, index - (index % 2 ** order), 2 ** order);
  const keep = (test: (order: number) => boolean): OrderSet => {
    let kept = 0;
    for (let left = suitable; left !== 0; left &= ~(1 << highestOrder(left))) if (test(highestOrder(left))) kept |= 1 << highestOrder(left);
    return kept;
  };
  cutTo(largest(keep(isFree)), 'neighbour-cached');
  cutTo(largest(keep((order) => isFree(order) && hasQuota(space, order))), 'shmem-quota');
  return { wanted, most, reason };
}
/** Is nothing there, neither in memory nor in swap? */
const isEmpty = (space: AddressSpace, start: number, nr: number): boolean => space.pages.next(start, start + nr) === null;
/** One after the other the allowed orders, from the largest down, where nothing lies in the window. 0: none of them can be had. */
function allocLarge(space: AddressSpace, index: number, asker: ShmemAsker): Folio | 0 {
  const { system } = space;
  const gfp = gfpFor(asker.vma, system.thp.defrag);
  for (let orders = suitableOrders(space, index, asker); orders !== 0; orders &= ~(1 << highestOrder(orders))) {
    const order = highestOrder(orders);
    const start = index - (index % 2 ** order);
    // The first free window ends the search for one, for smaller ones lie inside it.
    if (!isEmpty(space, start, 2 ** order)) continue;
    const folio = allocAndAdd(space, start, order, gfp);
    if (folio === 0) {
      system.thp.count(order, ThpStat.shmem_fallback);
      if (order === PMD_ORDER) system.vmstat.add(VmItem.thp_file_fallback, 1);
      continue;
    }
    system.thp.count(order, ThpStat.shmem_alloc);
    if (order === PMD_ORDER) system.vmstat.add(VmItem.thp_file_alloc, 1);
    return folio;
  }
  return 0;
}
/** Mirrors shmem_allowable_huge_orders() and shmem_suitable_orders(), but for what lies in the cache. */
function suitableOrders(space: AddressSpace, index: number, asker: ShmemAsker): OrderSet {
  const { mm, vma } = asker;
  if (mm !== null && vma !== null && isThpDisabled(mm, vma)) return 0;
  let orders = allowedOrders(space, asker, sizeFilter(space, index, asker));
  while (vma !== null && orders !== 0 && !fitsVma(vma, index, highestOrder(orders))) orders &= ~(1 << highestOrder(orders));
  return orders;
}
function allowedOrders({ system: { thp }, isAnonymousShmem, onKernelMount }: AddressSpace, { vma, writeEnd }: ShmemAsker, fitsSize: (orders: OrderSet) => OrderSet): OrderSet {
  if (vma === null && writeEnd === 0) return 0;
  return thp.shmemOrdersFor({ isAnonymous: isAnonymousShmem, onKernelMount, isFault: vma !== null, advised: vma?.has(VmFlag.HugePage) ?? false }, fitsSize);
}
/** Of a set of orders, those whose window around a page lies inside the file: within_size. */
function sizeFilter(space: AddressSpace, index: number, { writeEnd }: ShmemAsker): (orders: OrderSet) => OrderSet {
  const sizePages = Math.max(space.sizePages, Math.ceil(writeEnd / PAGE_SIZE));
  return (orders) => {
    for (let left = orders; left !== 0; left &= ~(1 << highestOrder(left))) {
      if (sizePages >= index - (index % 2 ** highestOrder(left)) + 2 ** highestOrder(left)) return left;
    }
    return 0;
  };
}
const hasQuota = ({ quota }: AddressSpace, order: number): boolean => quota === null || quota.usedPages + 2 ** order <= quota.maxPages;
/** thp_vma_suitable_order() for a file: the mapping is aligned as the file is, and holds the window whole. */
function fitsVma(vma: Vma, index: number, order: number): boolean {
  const size = 2 ** order;
  const first = vma.start / PAGE_SIZE;
  const start = first + index - (index % size) - vma.pgoff;
  return (first - vma.pgoff) % size === 0 && start >= first && start + size <= first + vma.nrPages;
}
/** Zeroed, in the cache, not up to date; 0: no memory or quota. Mirrors shmem_alloc_and_add_folio(). */
function allocAndAdd(space: AddressSpace, index: number, order: number, gfp: number): Folio | 0 {
  const { system } = space;
  if (!hasQuota(space, order)) return 0;
  const folio = system.allocZeroed(order, MemdescType.FileFolio, gfp);
  if (folio === 0) return 0;
  if (space.kind === 'shmem') system.folios.set(folio, FolioFlag.SwapBacked);
  space.addFolio(folio, index);
  return folio;
}

/** Extends the file. @param writeEnd where the whole write ends, of which this is a part: large folios are chosen by it. @returns bytes written (fewer when memory ends in the middle), or -ENOSPC when there is room for none, -EIO when what was there is lost in swap. */
export function shmemWrite(space: AddressSpace, pos: number, from: Uint8Array, writeEnd = pos + from.length): number {
  const { system } = space;
  let done = 0;
  let isLost = false;
  while (done < from.length) {
    const at = pos + done;
    const offset = at % PAGE_SIZE;
    const index = Math.floor(at / PAGE_SIZE);
    const folio = shmemFolio(space, index, { mm: null, vma: null, writeEnd });
    isLost = folio === SWAP_ERROR;
    if (folio === 0 || folio === SWAP_ERROR) break;
    const into = index - system.folios.index(folio);
    const chunk = Math.min((system.folios.nrPages(folio) - into) * PAGE_SIZE - offset, from.length - done);
    system.machine.writeFrame(folio, into * PAGE_SIZE + offset, from.subarray(done, done + chunk));
    noteUse(system, folio, into * PAGE_SIZE + offset, chunk);
    space.dirtyFolio(folio);
    done += chunk;
  }
  if (done > 0) space.sizeBytes = Math.max(space.sizeBytes, pos + done);
  system.machine.charge(system.params.cost.copy_byte * done);
  if (isLost && done === 0) return -Errno.EIO;
  return done === 0 && from.length > 0 ? -Errno.ENOSPC : done;
}
