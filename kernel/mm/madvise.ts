// madvise: what a program says about its future use of a range. Mirrors mm/madvise.c, 6.18.
// Not there, as in a kernel built without them: MERGEABLE (KSM), HWPOISON.
import { PAGE_SIZE } from '#base';
import type { Folio } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import { FaultResult } from './fault.ts';
import { FenceBatch } from './fences.ts';
import { FolioFlag } from './folio.ts';
import { madviseCollapse } from './khugepaged.ts';
import type { AddressSpace } from './filemap.ts';
import type { Mm } from './mm.ts';
import { pageAlignUp } from './mmap.ts';
import { ptePresent } from './pagetable.ts';
import { populateVma } from './populate.ts';
import { guardInstall, guardRemove, isPoisonMarker } from './pte-marker.ts';
import { splitFolio } from './split.ts';
import { entryOfPte, isSwapPte } from './swap/entry.ts';
import { shmemEntry } from './swap/shmem-swap.ts';
import { readSwapCache } from './swap/swap-readahead.ts';
import { Zap, dropSwapEntry, zapRange } from './unmap.ts';
import { VmFlag } from './vma.ts';
import { isSwapValue } from './xarray.ts';
import type { Vma } from './vma.ts';

export const Madvise = {
  Normal: 0, Random: 1, Sequential: 2, WillNeed: 3, DontNeed: 4, Free: 8, Remove: 9, DontFork: 10, DoFork: 11, HugePage: 14, NoHugePage: 15,
  DontDump: 16, DoDump: 17, WipeOnFork: 18, KeepOnFork: 19, Cold: 20, PageOut: 21, PopulateRead: 22, PopulateWrite: 23, DontNeedLocked: 24, Collapse: 25,
  GuardInstall: 102, GuardRemove: 103,
} as const;
const known: readonly number[] = Object.values(Madvise);

export function madvise(mm: Mm, addr: number, rawLen: number, advice: number): number {
  if (!known.includes(advice) || addr % PAGE_SIZE !== 0) return -Errno.EINVAL;
  const end = addr + pageAlignUp(rawLen);
  if (rawLen < 0 || end < addr) return -Errno.EINVAL;
  if (end === addr) return 0;
  if (advice === Madvise.PopulateRead || advice === Madvise.PopulateWrite) return populateRange(mm, addr, end, advice === Madvise.PopulateWrite);
  // Holes are skipped, and reported at the end.
  let result = 0;
  let at = addr;
  for (;;) {
    const vma = mm.vmaList.firstEndingAbove(at);
    if (vma === null || vma.start >= end) return -Errno.ENOMEM;
    if (vma.start > at) {
      result = -Errno.ENOMEM;
      at = vma.start;
    }
    const stop = Math.min(end, vma.end);
    const failed = adviseVma(mm, vma, at, stop, advice);
    if (failed !== 0) return failed;
    at = stop;
    if (at >= end) return result;
  }
}

/** What empties memory: to a sealed read-only mapping that would be a write. */
const discards: readonly number[] = [Madvise.Free, Madvise.DontNeed, Madvise.DontNeedLocked, Madvise.Remove, Madvise.DontFork, Madvise.WipeOnFork, Madvise.GuardInstall];

function adviseVma(mm: Mm, vma: Vma, start: number, end: number, advice: number): number {
  if (vma.has(VmFlag.Sealed) && vma.isAnonymous && !vma.has(VmFlag.Write) && discards.includes(advice)) return -Errno.EPERM;
  switch (advice) {
    case Madvise.DontNeed:
      return vma.has(VmFlag.Locked) ? -Errno.EINVAL : zap(mm, vma, start, end);
    case Madvise.DontNeedLocked:
      return zap(mm, vma, start, end);
    case Madvise.Free:
      if (!vma.isAnonymous || vma.has(VmFlag.Locked)) return -Errno.EINVAL;
      freeSwapped(mm, start / PAGE_SIZE, end / PAGE_SIZE);
      return lazyFree(mm, start / PAGE_SIZE, end / PAGE_SIZE);
    case Madvise.Remove: {
      if (vma.file === null || vma.has(VmFlag.Locked)) return -Errno.EINVAL;
      if ((vma.flags & (VmFlag.Shared | VmFlag.MayWrite)) !== (VmFlag.Shared | VmFlag.MayWrite)) return -Errno.EACCES;
      const from = vma.pgoffOf(start) * PAGE_SIZE;
      vma.file.space.punchHole(from, from + end - start);
      return 0;
    }
    case Madvise.Collapse:
      return madviseCollapse(mm, vma, start, end);
    case Madvise.GuardInstall:
      return guardInstall(mm, vma, start, end);
    case Madvise.GuardRemove:
      return guardRemove(mm, vma, start, end);
    case Madvise.WillNeed:
      willNeed(mm, vma, start / PAGE_SIZE, end / PAGE_SIZE);
      return 0;
    case Madvise.Cold:
    case Madvise.PageOut:
      return vma.has(VmFlag.Locked) ? -Errno.EINVAL : cool(mm, start / PAGE_SIZE, end / PAGE_SIZE, advice === Madvise.PageOut);
    default: {
      const flags = flagsAfter(vma, advice);
      if (flags < 0) return flags;
      if (flags === vma.flags) return 0;
      const changed = mm.modifyVma(vma, start, end, flags);
      if (changed === null) return -Errno.ENOMEM;
      if (advice === Madvise.HugePage) mm.system.khugepaged.enterVma(mm, changed);
      return 0;
    }
  }
}

/** vm_flags after advice that only changes them; -errno. */
function flagsAfter({ flags, file }: Vma, advice: number): number {
  switch (advice) {
    case Madvise.Normal: return flags & ~(VmFlag.RandRead | VmFlag.SeqRead);
    case Madvise.Sequential: return (flags & ~VmFlag.RandRead) | VmFlag.SeqRead;
    case Madvise.Random: return (flags & ~VmFlag.SeqRead) | VmFlag.RandRead;
    case Madvise.DontFork: return flags | VmFlag.DontCopy;
    case Madvise.DoFork: return flags & ~VmFlag.DontCopy;
    case Madvise.WipeOnFork: return file !== null || (flags & VmFlag.Shared) !== 0 ? -Errno.EINVAL : flags | VmFlag.WipeOnFork;
    case Madvise.KeepOnFork: return (flags & VmFlag.Droppable) !== 0 ? -Errno.EINVAL : flags & ~VmFlag.WipeOnFork;
    case Madvise.DontDump: return flags | VmFlag.DontDump;
    case Madvise.DoDump: return (flags & (VmFlag.Droppable | VmFlag.DontExpand)) !== 0 ? -Errno.EINVAL : flags & ~VmFlag.DontDump;
    case Madvise.HugePage: return (flags & ~VmFlag.NoHugePage) | VmFlag.HugePage;
    case Madvise.NoHugePage: return (flags & ~VmFlag.HugePage) | VmFlag.NoHugePage;
    default: return -Errno.EINVAL;
  }
}

function zap(mm: Mm, vma: Vma, start: number, end: number): number {
  const batch = new FenceBatch(mm.fences);
  zapRange(mm, vma, start / PAGE_SIZE, end / PAGE_SIZE, batch, Zap.ReclaimTables);
  batch.flush();
  return 0;
}
/** Visits what is mapped in a range, folio by folio: `vpn` and the `nr` pages that one folio has there. A large folio of which only a part lies
 *  there in order is split first, if nobody else maps it, and else left alone; so is what cannot be split. Mirrors the walks of madvise_free_pte_range(). */
function forFoliosIn(mm: Mm, start: number, end: number, visit: (folio: Folio, vpn: number, nr: number, isPmd: boolean) => void): void {
  const { tables, system: { folios } } = mm;
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const leaf = tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : tables.get(vpn);
    let step = leaf !== 0 ? 512 - (vpn % 512) : 1;
    if (low !== 0 && ptePresent(low) && (low & PteSoft.Special) === 0) {
      const folio = folios.folioOf(ptePfn(low));
      const nr = folios.nrPages(folio);
      const isWhole = ptePfn(low) === folio && vpn + nr <= end && (leaf === 0 || vpn % 512 === 0) && tables.isRun(vpn, folio, nr);
      if (isWhole && (leaf === 0 || !folios.maybeMappedShared(folio))) {
        visit(folio, vpn, nr, leaf !== 0);
        step = nr;
      } else if (!isWhole && splitPart(mm, folio)) step = 0;
    }
    vpn += step;
  }
}
/** What is in swap is not wanted from there. */
function freeSwapped(mm: Mm, start: number, end: number): void {
  const { tables } = mm;
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn + 1, end)) {
    const low = tables.pmdLeaf(vpn) === 0 ? tables.get(vpn) : 0;
    if (!isSwapPte(low) && !isPoisonMarker(low)) continue;
    tables.setUnit(vpn, 0, 1);
    if (isSwapPte(low)) dropSwapEntry(mm, low);
  }
}
/** MADV_WILLNEED for memory that is in swap: it begins to be read. swapin_walk_pmd_entry() */
function willNeed({ tables, system }: Mm, vma: Vma, start: number, end: number): void {
  system.swap.io.plug();
  if (vma.file?.space.kind === 'shmem') readSwapped(vma.file.space, vma.pgoffOf(start * PAGE_SIZE), vma.pgoffOf(end * PAGE_SIZE));
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn + 1, end)) {
    const low = tables.pmdLeaf(vpn) === 0 ? tables.get(vpn) : 0;
    if (isSwapPte(low)) readSwapCache(system, entryOfPte(low));
  }
  system.swap.io.unplug();
}
/** The same of a file in memory: shmem_swapin_range(). */
function readSwapped(space: AddressSpace, start: number, end: number): void {
  for (let at = space.nrSwapped > 0 ? space.pages.next(start, end) : null; at !== null; at = space.pages.next(at.index + 2 ** at.order, end)) {
    const [from, to] = [Math.max(start, at.index), Math.min(end, at.index + 2 ** at.order)];
    if (isSwapValue(at.entry)) for (let index = from; index < to; index++) readSwapCache(space.system, shmemEntry(space, index));
  }
}
/** MADV_FREE: the pages may be dropped under pressure as long as they stay clean. They lose A and D and PG_swapbacked, and go with the files on the lists of
 *  reclaim. What others map too loses these as well, unless the folio itself is marked dirty. */
function lazyFree(mm: Mm, start: number, end: number): number {
  const { folios, lru, swap, waits } = mm.system;
  const batch = new FenceBatch(mm.fences);
  forFoliosIn(mm, start, end, (folio, vpn, nr, isPmd) => {
    if (folios.test(folio, FolioFlag.Dirty | FolioFlag.SwapCache)) {
      if (folios.folioMapcount(folio) !== (isPmd ? 1 : nr) || !waits.tryLock(folio)) return;
      const isGone = !folios.test(folio, FolioFlag.SwapCache) || swap.freeFolio(folio);
      if (isGone) folios.clear(folio, FolioFlag.Dirty);
      waits.unlock(folio);
      if (!isGone) return;
    }
    clearAccess(mm, vpn, nr, isPmd, Pte.A | Pte.D);
    batch.add(vpn, nr, isPmd);
    lru.lazyFree(folio);
  });
  batch.flush();
  return 0;
}
/** MADV_COLD and MADV_PAGEOUT: the pages have not been used; COLD makes them inactive, PAGEOUT has them reclaimed at once. What others map too is theirs
 *  to judge. Mirrors madvise_cold_or_pageout_pte_range(). */
function cool(mm: Mm, start: number, end: number, pageOut: boolean): number {
  const { folios, lru, vmscan } = mm.system;
  const batch = new FenceBatch(mm.fences);
  const list: Folio[] = [];
  forFoliosIn(mm, start, end, (folio, vpn, nr, isPmd) => {
    if (folios.folioMapcount(folio) !== (isPmd ? 1 : nr)) return;
    if (!pageOut) {
      clearAccess(mm, vpn, nr, isPmd, Pte.A);
      batch.add(vpn, nr, isPmd);
    }
    folios.clear(folio, FolioFlag.Referenced);
    if (!pageOut) lru.deactivate(folio);
    else if (!folios.test(folio, FolioFlag.Unevictable) && lru.isolate(folio)) list.push(folio);
  });
  batch.flush();
  if (list.length > 0) vmscan.reclaimPages(list);
  return 0;
}
/** @returns whether the folio, of which some pages are meant and others not, is now single pages, to be looked at one by one */
function splitPart({ system }: Mm, folio: Folio): boolean {
  const { folios } = system;
  if (!folios.isAnon(folio) || !folios.isLarge(folio) || folios.maybeMappedShared(folio)) return false;
  folios.get(folio);
  const failed = splitFolio(system, folio, 0, null, 'split-advice');
  system.putFolio(folio);
  return failed === 0;
}
function clearAccess({ tables }: Mm, start: number, pages: number, isPmd: boolean, bits: number): void {
  if (isPmd) {
    tables.setPmdLeaf(start, tables.pmdLeaf(start) & ~bits);
    return;
  }
  for (let vpn = start, nr = 0; vpn < start + pages; vpn += nr) {
    nr = tables.unitAt(vpn, start + pages);
    tables.setUnit(vpn, tables.get(vpn) & ~bits, nr);
  }
}

/** MADV_POPULATE_READ and _WRITE: unlike MAP_POPULATE they report what goes wrong. Mirrors faultin_page_range(). */
function populateRange(mm: Mm, start: number, end: number, write: boolean): number {
  for (let at = start; at < end; ) {
    const vma = mm.vmaList.at(at);
    if (vma === null) return -Errno.ENOMEM;
    // By the rights that were asked for, though riscv lets what may be written be read as well.
    if (!vma.has(write ? VmFlag.Write : VmFlag.Read)) return -Errno.EINVAL;
    const stop = Math.min(end, vma.end);
    switch (populateVma(mm, vma, at, stop, write)) {
      case FaultResult.OutOfMemory: return -Errno.ENOMEM;
      case FaultResult.BusError:
      case FaultResult.MapErr: return -Errno.EFAULT;
    }
    at = stop;
  }
  return 0;
}
