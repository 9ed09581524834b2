// Turning a swap device off: everything that has a place there comes back into memory first. Here: one device, from its first user to its last slot. Not here:
// the system call (kernel/syscall/swap.ts). Mirrors swapoff() and try_to_unuse() (mm/swapfile.c), 6.18. Nothing else runs meanwhile.
//
// What cannot be read leaves a marker in its entry, on which the program meets SIGBUS: the device goes all the same.
import { asPfn, asVpn, bug } from '#base';
import type { Folio } from '#base';
import { Pte, makePte } from '#mmu';
import { Errno } from '../../syscall/errno.ts';
import { newFault } from '../fault.ts';
import { FolioFlag } from '../folio.ts';
import type { Mm } from '../mm.ts';
import { POISON_MARKER } from '../pte-marker.ts';
import { addSwappedInRmaps } from '../rmap.ts';
import type { MmSystem } from '../system.ts';
import type { Vma } from '../vma.ts';
import { entryOfPte, isExclusiveSwapPte, isSwapPte, swapType } from './entry.ts';
import type { SwapInfo } from './swap-info.ts';
import { unuseShmem } from './shmem-swap.ts';
import { lookupSwapCache, swapinReadahead } from './swap-readahead.ts';

/** @param mm of who asks  @returns 0, or -ENOMEM: it is on, as before, with what has come back already in memory */
export function swapOff(system: MmSystem, info: SwapInfo, mm: Mm | null): number {
  const { swap } = system;
  // What is promised must fit without it.
  if (!system.commit(info.nrPages, mm)) return -Errno.ENOMEM;
  system.uncommit(info.nrPages);
  swap.disable(info);
  const error = tryToUnuse(system, info);
  if (error !== 0) {
    swap.enable(info);
    return error;
  }
  swap.remove(info);
  return 0;
}

function tryToUnuse(system: MmSystem, info: SwapInfo): number {
  while (info.inUse > 0) {
    const before = info.inUse;
    const failed = unuseShmem(system, info.type);
    if (failed !== 0) return failed;
    for (const mm of [...system.mms]) {
      const error = info.inUse > 0 ? unuseMm(mm, info) : 0;
      if (error !== 0) return error;
    }
    for (let offset = info.nextInUse(1); offset > 0; offset = info.nextInUse(offset + 1)) dropCached(system, info.folioAt(offset));
    if (info.inUse === before) bug(`${before} slots of swap device ${info.type} are in use, and nobody names them`);
  }
  return 0;
}
/** A folio that only the swap cache keeps there. */
function dropCached(system: MmSystem, folio: Folio | 0): void {
  if (folio === 0) return;
  system.folios.get(folio);
  lockWritten(system, folio);
  system.swap.freeFolio(folio);
  system.waits.unlock(folio);
  system.putFolio(folio);
}
function lockWritten({ waits }: MmSystem, folio: Folio): void {
  waits.lockNow(folio);
  waits.waitNow(folio, FolioFlag.Writeback);
}
/** unuse_mm() */
function unuseMm(mm: Mm, info: SwapInfo): number {
  for (const vma of mm.vmaList.all) {
    if (vma.anonVma === null) continue;
    const end = vma.end / 4096;
    for (let vpn = mm.tables.skipAbsent(vma.start / 4096, end); vpn < end; vpn = mm.tables.skipAbsent(vpn + 1, end)) {
      const low = mm.tables.pmdLeaf(vpn) === 0 ? mm.tables.get(vpn) : 0;
      if (isSwapPte(low) && swapType(entryOfPte(low)) === info.type && !unusePte(mm, vma, vpn, low)) return -Errno.ENOMEM;
    }
  }
  return 0;
}
/** One entry becomes a mapping, which nobody has used yet. @returns false: no memory. unuse_pte() */
function unusePte(mm: Mm, vma: Vma, vpn: number, low: number): boolean {
  const { system, tables } = mm;
  const { folios, swap, waits } = system;
  const entry = entryOfPte(low);
  const folio = lookupSwapCache(system, entry, vma) || swapinReadahead(newFault(mm, vma, asVpn(vpn), false), entry);
  if (folio === 0) return false;
  folios.get(folio);
  lockWritten(system, folio);
  mm.addSwapEntries(-1);
  if (folios.test(folio, FolioFlag.Uptodate)) {
    const page = asPfn(folio + entry - folios.swapEntry(folio));
    addSwappedInRmaps(mm, vma, page, 1, vpn, isExclusiveSwapPte(low));
    tables.set(vpn, makePte(page, vma.pageProt & ~Pte.A));
  } else tables.set(vpn, POISON_MARKER);
  swap.free(entry, 1);
  swap.freeFolio(folio);
  waits.unlock(folio);
  system.putFolio(folio);
  return true;
}
