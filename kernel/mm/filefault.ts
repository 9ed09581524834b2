// Faults on mappings of files. Here: reads with fault-around, private writes (copied at once), shared writes. Not here: the pages
// themselves (filemap.ts), writes to a page that is already mapped (cow.ts).
// Mirrors do_fault(), finish_fault() (mm/memory.c), filemap_fault() and filemap_map_pages() (mm/filemap.c), 6.18.
//
// A large folio is mapped whole where it lies inside the VMA, inside one page table and inside the file: its neighbours are in memory anyway.
// Pages of a disk's file are mapped read-only until somebody writes, so that the file system learns of it; shmem needs no such news.
import { PAGE_SIZE, asPfn, asVpn } from '#base';
import type { Folio } from '#base';
import { Pte, makePte } from '#mmu';
import { anonVmaFor } from './anon.ts';
import { VmItem } from './events.ts';
import { FaultResult } from './fault.ts';
import type { Fault } from './fault.ts';
import { createFolio, readAlone } from './filemap-read.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { mmapHit, mmapMissed } from './readahead.ts';
import { addNewAnonRmap, addPteRmap } from './rmap.ts';
import { shmemFolio } from './shmem.ts';
import { SWAP_ERROR, beginShmemSwapin, endShmemSwapin } from './swap/shmem-swap.ts';
import { Gfp } from './system.ts';
import { VmFlag } from './vma.ts';

/** Nothing is mapped at the page, and the VMA has a file. */
export function doFileFault(fault: Fault): FaultResult {
  const { mm, vma } = fault;
  if (fault.write && !vma.has(VmFlag.Shared)) return copyFromFile(fault);
  if (!fault.write && faultAround(fault)) return FaultResult.Done;
  const folio = folioFor(fault);
  if (folio === 'again') return doFileFault(fault);
  if (typeof folio === 'object') return folio.failed;
  if (fault.write) {
    const result = pageMkwrite(fault, folio);
    if (result !== FaultResult.Done) return result;
  }
  if (!makeTable(fault, folio)) return FaultResult.OutOfMemory;
  const nr = mapFolio(fault, folio);
  fault.kind = fault.write ? 'file-shared' : 'file-read';
  const { faults } = mm.system;
  if (faults.current !== null) faults.phase('map', { pages: nr, pfn: folio }, `${nr === 1 ? 'one entry' : `${nr} entries`}${fault.write ? ', writable and dirty' : ''}`, 'file-page');
  return FaultResult.Done;
}

/** A page table is made only for a page that is there: a fault beyond the end of the file leaves none behind. The folio is held while memory for
 *  the table is sought. */
function makeTable({ mm: { system, tables }, vpn }: Fault, folio: Folio): boolean {
  system.folios.get(folio);
  const isMade = tables.makeTableAt(vpn, 0) !== 0;
  system.putFolio(folio);
  return isMade;
}

/** The file's folio at the fault, read in or made, up to date; or why not. 'again': something was read ahead, for which Linux lets go of the
 *  address space, and begins anew with what lies around. Mirrors filemap_fault() and shmem_fault(). */
function folioFor(fault: Fault): Folio | 'again' | { failed: FaultResult } {
  const { mm, vma, vpn } = fault;
  const { space, ra } = vma.file!;
  const { folios, waits, faults, memcg, cacheLog } = mm.system;
  const index = vma.pgoffOf(vpn * PAGE_SIZE);
  if (index >= space.sizePages) return { failed: FaultResult.BusError };
  let folio = space.folioAt(index);
  if (space.isSwapped(index)) {
    const failed = swapInFor(fault, index);
    if (failed !== null) return { failed };
    folio = space.folioAt(index);
  } else if (space.ops === null) {
    const got = shmemFolio(space, index, { mm, vma, writeEnd: 0 });
    if (got === SWAP_ERROR) return { failed: FaultResult.BusError };
    folio = got;
  } else {
    if (folio === 0) {
      memcg.countActive(VmItem.pgmajfault, 1);
      fault.isMajor = true;
      if (ra !== undefined) mmapMissed(space, ra, index, vma.flags);
      folio = space.folioAt(index);
      if (folio === 0) folio = createFolio(space, index);
      else if (folios.test(folio, FolioFlag.Uptodate) && !fault.write) {
        // A hole needed no I/O; Linux has let go of the address space all the same.
        fault.tried = true;
        return 'again';
      }
    } else if (ra !== undefined && !fault.tried && mmapHit(space, ra, folio, index, vma.flags)) {
      // Once a fault: the mark may still be there, for it doubles as that of a folio which reclaim wants.
      fault.tried = true;
      return 'again';
    }
    if (folio !== 0 && !folios.test(folio, FolioFlag.Uptodate)) {
      if (!waits.isLocked(folio) && !readAlone(space, folio)) return { failed: FaultResult.BusError };
      if (!folios.test(folio, FolioFlag.Uptodate)) return waitFor(fault, folio);
    }
  }
  if (faults.current !== null) faults.phase('allocate', { index, pfn: folio }, folio === 0 ? 'no page' : 'the page of the file', cacheLog.reasonOf(folio));
  return folio === 0 ? { failed: FaultResult.OutOfMemory } : folio;
}
/** A page of a file in memory comes back from swap; the fault sleeps until it is read. @returns null: it is there */
function swapInFor(fault: Fault, index: number): FaultResult | null {
  const { mm, vma } = fault;
  const { space } = vma.file!;
  const { waits, vmstat, folios } = mm.system;
  const got = beginShmemSwapin(space, index);
  if (got === null) return FaultResult.OutOfMemory;
  if (typeof got === 'number') return FaultResult.BusError;
  const { folio, isRead } = got;
  if (isRead) {
    fault.isMajor = true;
    vmstat.add(VmItem.pgmajfault, 1);
    mm.group.count(VmItem.pgmajfault, 1);
  }
  if (!waits.tryLock(folio)) return waitFor(fault, folio).failed;
  folios.get(folio);
  const error = endShmemSwapin(space, index, folio);
  waits.unlock(folio);
  mm.system.putFolio(folio);
  return error < 0 ? FaultResult.BusError : null;
}
function waitFor({ mm: { system }, vpn }: Fault, folio: Folio): { failed: FaultResult } {
  system.faultWait = folio;
  if (system.faults.current !== null) system.faults.phase('allocate', { pfn: folio, va: vpn * PAGE_SIZE }, 'sleeps until the folio is read in', 'file-io');
  return { failed: FaultResult.Retry };
}

/** A shared mapping is about to write to a folio: the file system may refuse, and knows from now on. Mirrors do_page_mkwrite(). */
export function pageMkwrite(fault: Fault, folio: Folio): FaultResult {
  const { system } = fault.mm;
  const space = system.addressSpaces.get(system.folios.mapping(folio));
  if (space === undefined) return FaultResult.Done; // it has left its file
  if (space.ops !== null) {
    if (!system.waits.tryLock(folio)) return waitFor(fault, folio).failed;
    const error = space.ops.pageMkwrite(folio);
    system.waits.unlock(folio);
    if (error < 0) return FaultResult.BusError;
  }
  space.dirtyFolio(folio);
  return FaultResult.Done;
}

/** Maps the page that faulted, and with it the rest of its folio where that may be. @returns pages mapped. Mirrors finish_fault(). */
function mapFolio(fault: Fault, folio: Folio): number {
  const { mm, vma, vpn } = fault;
  const { space } = vma.file!;
  const { folios } = mm.system;
  const index = vma.pgoffOf(vpn * PAGE_SIZE);
  const first = folios.index(folio);
  const nr = folios.nrPages(folio);
  const start = vpn - (index - first);
  const whole = nr > 1 && fitsWhole(fault, start, nr) && (space.kind === 'shmem' || first + nr <= space.sizePages);
  return whole ? mapPages(fault, start, folio, 0, nr) : mapPages(fault, vpn, folio, index - first, 1);
}
/** Do `nr` pages from `start` on lie inside the VMA and inside one page table? */
function fitsWhole({ vma, vpn }: Fault, start: number, nr: number): boolean {
  return start * PAGE_SIZE >= vma.start && (start + nr) * PAGE_SIZE <= vma.end && start - (start % 512) === vpn - (vpn % 512) && (start % 512) + nr <= 512;
}
/** Maps pages [from, from + nr) of a folio from `start` on, but for those that have an entry. @returns pages mapped. Mirrors set_pte_range(). */
function mapPages({ mm, vma, write }: Fault, start: number, folio: Folio, from: number, nr: number): number {
  const { tables, system } = mm;
  const flags = write ? vma.pageProt | Pte.W | Pte.D : vma.pageProt;
  if (system.cacheLog.isOn) system.cacheLog.used(folio, from, nr);
  const order = system.folios.order(folio);
  let mapped = 0;
  for (let at = 0; at < nr; ) {
    let end = at;
    while (end < nr && tables.rawLow(start + end) === 0) {
      addPteRmap(mm, vma, asPfn(folio + from + end));
      end++;
    }
    if (end > at) tables.setRun(start + at, asPfn(folio + from + at), flags, end - at, order);
    mapped += end - at;
    at = end + 1;
  }
  return mapped;
}

/** Maps what is in memory of the aligned window around the fault and not mapped yet; all young. @returns whether the page that faulted is
 *  mapped now. The window starts no earlier than the VMA and ends no later than VMA and page table. Mirrors do_fault_around(). */
function faultAround(fault: Fault): boolean {
  const { mm, vma, vpn } = fault;
  const nrPages = 2 ** Math.floor(Math.log2(mm.system.params.vm.fault_around_bytes / PAGE_SIZE));
  if (nrPages <= 1) return false;
  const inTable = vpn & 511;
  const inVma = vpn - vma.start / PAGE_SIZE;
  const from = Math.max(inTable - (inTable % nrPages), inTable - Math.min(inTable, inVma));
  const to = Math.min(from + nrPages, 512, inTable + vma.nrPages - inVma);
  const mapped = mapAround(fault, vpn - inTable + from, vpn - inTable + to);
  if (mm.tables.rawLow(vpn) === 0) return false;
  fault.kind = 'file-around';
  const { faults } = mm.system;
  if (faults.current !== null) faults.phase('map', { pages: mapped, start: (vpn - inTable + from) * PAGE_SIZE, window: to - from }, `${mapped} entries`, 'map-around');
  return true;
}
/** The folios of pages [start, end) of the address space: those that are up to date, unlocked and not marked as the beginning of what was read
 *  ahead, since a fault there is to start the next window. Mirrors filemap_map_pages(). */
function mapAround(fault: Fault, start: number, end: number): number {
  const { mm, vma } = fault;
  const { space, ra } = vma.file!;
  const { folios } = mm.system;
  const lastIndex = Math.min(vma.pgoffOf(start * PAGE_SIZE) + end - start, space.sizePages);
  let mapped = 0;
  let seen = 0;
  for (let index = vma.pgoffOf(start * PAGE_SIZE); index < lastIndex; ) {
    const folio = space.nextFolio(index, lastIndex);
    if (folio === 0) break;
    const first = folios.index(folio);
    const nr = folios.nrPages(folio);
    index = Math.max(index, first);
    const stop = Math.min(first + nr, lastIndex);
    const isReady = (folios.flags(folio) & (FolioFlag.Uptodate | FolioFlag.Locked | FolioFlag.Reclaim)) === FolioFlag.Uptodate;
    if (isReady) {
      if (!makeTable(fault, folio)) break;
      const at = vma.start / PAGE_SIZE + first - vma.pgoff;
      // 6.18 maps the file's last folio around a fault only as far as the window goes, unless one PMD entry would do.
      const inside = first + nr < space.sizePages || (nr === 512 && first + nr === space.sizePages);
      const whole = nr > 1 && (space.kind === 'shmem' || inside) && fitsWhole(fault, at, nr);
      seen += whole ? nr : stop - index;
      mapped += whole ? mapPages(fault, at, folio, 0, nr) : mapPages(fault, at + index - first, folio, index - first, stop - index);
    }
    index = stop;
  }
  if (ra !== undefined) ra.mmapMiss = Math.max(0, ra.mmapMiss - seen);
  return mapped;
}

/** do_cow_fault(): a private mapping is written where nothing is mapped; the copy is made at once. */
function copyFromFile(fault: Fault): FaultResult {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  anonVmaFor(mm, vma);
  const source = folioFor(fault);
  if (source === 'again') return copyFromFile(fault);
  if (typeof source === 'object') return source.failed;
  const page = asPfn(source + vma.pgoffOf(vpn * PAGE_SIZE) - system.folios.index(source));
  if (system.cacheLog.isOn) system.cacheLog.used(source, page - source, 1);
  if (mm.tables.makeTableAt(vpn, 0) === 0) return FaultResult.OutOfMemory;
  // Held while memory is sought.
  system.folios.get(source);
  const folio = system.allocFolio(0, MemdescType.AnonFolio, Gfp.User);
  if (folio !== 0) system.copyPage(folio, page);
  system.putFolio(source);
  if (folio === 0) return FaultResult.OutOfMemory;
  if (system.faults.current !== null) system.faults.phase('copy', { from: page, to: folio }, 'one page', 'copy-file');
  addNewAnonRmap(mm, vma, folio, asVpn(vpn));
  mm.tables.set(vpn, makePte(folio, vma.pageProt | (vma.has(VmFlag.Write) ? Pte.W | Pte.D : 0)));
  fault.kind = 'file-cow';
  if (system.faults.current !== null) system.faults.phase('map', { pages: 1, pfn: folio }, 'the copy, writable', 'copy-file');
  return FaultResult.Done;
}
