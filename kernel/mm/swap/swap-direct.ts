// The fault on a page of swap whose bytes the processor itself copies, as from persistent memory or zram: what is asked for is there at once. Here: a
// page, or a folio as large as what went out, read past the swap cache; nothing is read ahead. Not here: slots that several entries name (swap-in.ts).
// Mirrors alloc_swap_folio() and what do_swap_page() has for SWP_SYNCHRONOUS_IO (mm/memory.c), 6.18. Left out: files of memory, which Linux reads so
// since 6.14; they come back by the swap cache.
//
// A fault on paper: 64 KiB went out whole, and sixteen entries name slots 16 to 31. 64 KiB are enabled, address and slot are aligned alike: one folio, one
// request, sixteen entries; the slots are free. Had one of the pages come back alone meanwhile, the others would come one by one.
import { asPfn, asVpn } from '#base';
import type { Folio } from '#base';
import { Pte } from '#mmu';
import { VmItem } from '../events.ts';
import { FaultResult } from '../fault.ts';
import type { Fault } from '../fault.ts';
import { alignedTo, enabledOrders, fitsVma, gfpFor } from '../folio-order.ts';
import { FolioFlag, MemdescType } from '../folio.ts';
import { Gfp } from '../gfp.ts';
import { addSwappedInRmaps } from '../rmap.ts';
import { PMD_ORDER, ThpStat, highestOrder } from '../thp.ts';
import { VmFlag } from '../vma.ts';
import { entryOfPte, swapOffset } from './entry.ts';
import type { SwapEntry } from './entry.ts';

/** @param low the entry, whose slot no other one names
 *  @returns null: the search for memory has put the page into the swap cache (zswap does) */
export function swapInDirect(fault: Fault, low: number): FaultResult | null {
  const { mm, vma, vpn } = fault;
  const { system, tables } = mm;
  const { folios, swap, lru, waits, faults } = system;
  const got = allocDirect(fault, low);
  if (got === null) return FaultResult.OutOfMemory;
  const { folio, order } = got;
  const nr = 1 << order;
  const start = asVpn(alignedTo(vpn, order));
  const entry = entryOfPte(low) - (vpn - start);
  if (!isRun(fault, low, order)) {
    system.putFolio(folio);
    return (tables.get(vpn) | 0) === (low | 0) ? null : FaultResult.OutOfMemory;
  }
  waits.tryLock(folio);
  folios.set(folio, FolioFlag.SwapBacked);
  const shadow = swap.infoOf(entry)!.shadow(swapOffset(entry));
  if (shadow !== 0) lru.refault(folio, shadow);
  lru.addNew(folio);
  swap.io.readSlots(folio, entry);
  countMajor(fault, entry, folio);
  if (!folios.test(folio, FolioFlag.Uptodate)) {
    system.putFolio(folio);
    return FaultResult.BusError;
  }
  swap.free(entry, nr);
  mm.addSwapEntries(-nr);
  const mayWrite = vma.has(VmFlag.Write);
  addSwappedInRmaps(mm, vma, asPfn(folio), nr, start, true);
  tables.setRun(start, asPfn(folio), vma.pageProt | (mayWrite ? Pte.W | (fault.write ? Pte.D : 0) : 0), nr, order);
  system.putFolio(folio); // the entries have their own
  fault.kind = 'swap-in';
  if (faults.current !== null) faults.phase('map', { pages: nr, pfn: folio }, `${nr === 1 ? 'one entry' : `${nr} entries`}${mayWrite ? ', writable' : ''}`, 'swap-in');
  return FaultResult.Done;
}

/** A page of swap was not in memory. */
export function countMajor(fault: Fault, entry: SwapEntry, folio: Folio): void {
  const { system, group } = fault.mm;
  fault.isMajor = true;
  system.vmstat.add(VmItem.pgmajfault, 1);
  group.count(VmItem.pgmajfault, 1);
  if (system.faults.current !== null) system.faults.phase('allocate', { entry, pfn: folio }, 'read from swap', 'swap-in');
}

/** The largest folio that is enabled, that fits, and all of whose entries name the slots it went to; smaller ones where there is no memory for it. */
function allocDirect(fault: Fault, low: number): { folio: Folio; order: number } | null {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  const { swap, memcg, thp, faults } = system;
  const offset = swapOffset(entryOfPte(low));
  const owner = memcg.byId(swap.infoOf(entryOfPte(low))!.owner(offset));
  const payer = owner?.isOnline === true ? owner : null;
  const enabled = swap.zswap.wasEnabled ? 0 : enabledOrders(mm, vma) & ~(1 << PMD_ORDER);
  let orders = enabled;
  while (orders !== 0) {
    const order = highestOrder(orders);
    if (fitsVma(vma, vpn, order) && (vpn - offset) % (1 << order) === 0 && isRun(fault, low, order)) break;
    orders &= ~(1 << order);
  }
  if (faults.current !== null) faults.phase('order choice', { enabled, wanted: Math.max(0, highestOrder(enabled)), chosen: Math.max(0, highestOrder(orders)) }, `order ${Math.max(0, highestOrder(orders))}`, null);
  const gfp = gfpFor(vma, thp.defrag);
  for (; orders !== 0; orders &= ~(1 << highestOrder(orders))) {
    const order = highestOrder(orders);
    const folio = system.allocFolio(order, MemdescType.AnonFolio, gfp, payer);
    if (folio !== 0) return { folio, order };
    if (system.chargeFailed) thp.count(order, ThpStat.swpin_fallback_charge);
    thp.count(order, ThpStat.swpin_fallback);
  }
  const page = system.allocFolio(0, MemdescType.AnonFolio, Gfp.User, payer);
  return page === 0 ? null : { folio: page, order: 0 };
}

/** Do the entries of the aligned range name slots in a row, all exclusive or all not, all of zeros or all not, none of them in the swap cache? can_swapin_thp() */
function isRun({ mm, vpn }: Fault, low: number, order: number): boolean {
  const { swap } = mm.system;
  const start = alignedTo(vpn, order);
  const info = swap.infoOf(entryOfPte(low))!;
  const first = swapOffset(entryOfPte(low)) - (vpn - start);
  if (first < 1) return false;
  const isZero = info.isZero(first);
  for (let i = 0; i < 1 << order; i++) {
    // One slot further is one more in the field of the offset.
    if ((mm.tables.get(asVpn(start + i)) | 0) !== ((low + ((start + i - vpn) << 12)) | 0)) return false;
    if (info.isZero(first + i) !== isZero || info.folioAt(first + i) !== 0) return false;
  }
  return true;
}
