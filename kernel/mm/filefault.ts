// Faults on mappings of files. Here: reads with fault-around, private writes (copied at once), shared writes. Not here: the pages
// themselves (filemap.ts), writes to a page that is already mapped (cow.ts). Mirrors do_fault(), do_fault_around() and filemap_map_pages().
// Shared writable pages are mapped writable at once, as shmem does: nothing is written back, so nobody need know of the first write.
import { PAGE_SIZE, asVpn } from '#base';
import type { Pfn } from '#base';
import { Pte, makePte } from '#mmu';
import { anonVmaFor } from './anon.ts';
import { FaultResult } from './fault.ts';
import type { Fault } from './fault.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { addNewAnonRmap, addPteRmap } from './rmap.ts';
import { Gfp } from './system.ts';
import { VmFlag } from './vma.ts';

/** Nothing is mapped at the page, and the VMA has a file. */
export function doFileFault(fault: Fault): FaultResult {
  const { mm, vma } = fault;
  if (fault.write && !vma.has(VmFlag.Shared)) return copyFromFile(fault);
  if (mm.tables.makeTableAt(fault.vpn, 0) === 0) return FaultResult.OutOfMemory;
  if (!fault.write && faultAround(fault)) return FaultResult.Done;
  const page = pageOf(fault);
  if (typeof page === 'object') return page.failed;
  mapPage(fault, fault.vpn, page);
  fault.kind = fault.write ? 'file-shared' : 'file-read';
  const { faults } = mm.system;
  if (faults.current !== null) faults.phase('map', { pages: 1, pfn: page }, fault.write ? 'one entry, writable and dirty' : 'one entry', 'file-page');
  return FaultResult.Done;
}

/** The file's page at the fault, read in or made; or why not. */
function pageOf({ mm, vma, vpn }: Fault): Pfn | { failed: FaultResult } {
  const { space } = vma.file!;
  const index = vma.pgoffOf(vpn * PAGE_SIZE);
  if (index >= Math.ceil(space.sizeBytes / PAGE_SIZE)) return { failed: FaultResult.BusError };
  const page = space.pageFor(index, true);
  const { faults } = mm.system;
  if (faults.current !== null) faults.phase('allocate', { index, pfn: page }, page === 0 ? 'no page' : 'the page of the file', 'order-file');
  return page === 0 ? { failed: FaultResult.OutOfMemory } : page;
}

function mapPage(fault: Fault, vpn: number, page: Pfn): void {
  const { mm, vma } = fault;
  addPteRmap(mm, vma, page);
  const dirty = fault.write && vpn === fault.vpn;
  if (dirty) mm.system.folios.set(page, FolioFlag.Dirty);
  mm.tables.set(vpn, makePte(page, vma.pageProt | (dirty ? Pte.W | Pte.D : 0)));
}

/** Maps the pages in memory of the aligned window around the fault that are not mapped yet; all young. @returns whether the page that
 *  faulted is mapped now. The window starts no earlier than the VMA and ends no later than VMA and page table. */
function faultAround(fault: Fault): boolean {
  const { mm, vma, vpn } = fault;
  const { space } = vma.file!;
  const nrPages = 2 ** Math.floor(Math.log2(mm.system.params.vm.fault_around_bytes / PAGE_SIZE));
  if (nrPages <= 1) return false;
  const inTable = vpn & 511;
  const inVma = vpn - vma.start / PAGE_SIZE;
  const from = Math.max(inTable - (inTable % nrPages), inTable - Math.min(inTable, inVma));
  const to = Math.min(from + nrPages, 512, inTable + vma.nrPages - inVma);
  const filePages = Math.ceil(space.sizeBytes / PAGE_SIZE);
  let mapped = 0;
  for (let at = vpn - inTable + from; at < vpn - inTable + to; at++) {
    const index = vma.pgoffOf(at * PAGE_SIZE);
    if (index >= filePages) break;
    const page = space.pageFor(index, false);
    if (page === 0 || !space.isUptodate(index) || mm.tables.rawLow(at) !== 0) continue;
    mapPage(fault, at, page);
    mapped++;
  }
  if (mm.tables.rawLow(vpn) === 0) return false;
  fault.kind = 'file-around';
  const { faults } = mm.system;
  if (faults.current !== null) faults.phase('map', { pages: mapped, start: (vpn - inTable + from) * PAGE_SIZE, window: to - from }, `${mapped} entries`, 'map-around');
  return true;
}

/** do_cow_fault(): a private mapping is written where nothing is mapped; the copy is made at once. */
function copyFromFile(fault: Fault): FaultResult {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  anonVmaFor(mm, vma);
  const page = pageOf(fault);
  if (typeof page === 'object') return page.failed;
  if (mm.tables.makeTableAt(vpn, 0) === 0) return FaultResult.OutOfMemory;
  const folio = system.allocFolio(0, MemdescType.AnonFolio, Gfp.User);
  if (folio === 0) return FaultResult.OutOfMemory;
  system.copyPage(folio, page);
  if (system.faults.current !== null) system.faults.phase('copy', { from: page, to: folio }, 'one page', 'copy-file');
  addNewAnonRmap(mm, vma, folio, asVpn(vpn));
  mm.tables.set(vpn, makePte(folio, vma.pageProt | (vma.has(VmFlag.Write) ? Pte.W | Pte.D : 0)));
  fault.kind = 'file-cow';
  if (system.faults.current !== null) system.faults.phase('map', { pages: 1, pfn: folio }, 'the copy, writable', 'copy-file');
  return FaultResult.Done;
}
