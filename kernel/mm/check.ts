// Invariants. Here: everything that must hold between two operations, found by walking everything: for tests, fuzzers and --sanitize.
// Not here: checks that are cheap enough to stand where the work is done.
import { asFolio, asPfn, bug, hex } from '#base';
import type { Pfn } from '#base';
import { NAPOT_ORDER, Pte, PteHigh, napotPfn, pteIsLeaf, ptePfn } from '#mmu';
import { checkAnonVmas } from './anon-vma.ts';
import { MAX_PAGE_ORDER } from './buddy.ts';
import { ENTIRELY_MAPPED, FolioFlag, MemdescType } from './folio.ts';
import type { AddressSpace } from './filemap.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { countMappings } from './rmap-walk.ts';
import type { MmSystem } from './system.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** What a scan of every page table of every address space finds. */
interface Scan {
  /** PTEs that map a frame, and PMDs that map a folio from its head. */
  readonly ptes: Map<number, number>;
  readonly pmds: Map<number, number>;
  readonly tables: Set<number>;
}

export function checkSystem(system: MmSystem): void {
  checkBuddy(system);
  const scan: Scan = { ptes: new Map(), pmds: new Map(), tables: new Set() };
  let committed = 0;
  const shared = new Set<AddressSpace>();
  for (const mm of system.mms) {
    checkMm(mm, scan);
    for (const vma of mm.vmaList.all) {
      if (vma.has(VmFlag.Account)) committed += vma.nrPages;
      if (vma.file !== null) shared.add(vma.file.space);
    }
  }
  for (const space of shared) committed += space.promisedPages;
  if (committed !== system.committedPages) bug(`Committed_AS is ${system.committedPages} pages, accounted VMAs have ${committed}`);
  checkAnonVmas(system.anonVmas, system.mms);
  checkFolios(system, scan);
}

/** Free blocks are aligned, inside RAM, apart from each other, merged where they could be, and unowned. */
function checkBuddy(system: MmSystem): void {
  const { buddy, folios } = system;
  const freeOrderAt = new Map<number, number>();
  let free = 0;
  for (let order = 0; order <= MAX_PAGE_ORDER; order++) {
    const blocks = buddy.blocksOf(order);
    if (blocks.length !== buddy.countOf(order)) bug(`order ${order}: ${blocks.length} blocks listed, ${buddy.countOf(order)} counted`);
    for (const block of blocks) {
      freeOrderAt.set(block, order);
      if (block % (1 << order) !== 0) bug(`free block ${hex(block)} is not aligned to order ${order}`);
      for (let i = 0; i < 1 << order; i++) {
        if (folios.typeOf(asPfn(block + i)) !== MemdescType.Buddy) bug(`free frame ${hex(block + i)} has an owner`);
        if (folios.refCount(asFolio(block + i)) !== 0) bug(`free frame ${hex(block + i)} has references`);
      }
      free += 1 << order;
    }
  }
  for (const [block, order] of freeOrderAt) {
    if (order < MAX_PAGE_ORDER && freeOrderAt.get(block ^ (1 << order)) === order) bug(`free buddies of order ${order} at ${hex(block)} are not merged`);
  }
  if (free !== buddy.freePages) bug(`${free} pages in free lists, ${buddy.freePages} counted`);
  if (free !== system.vmstat.get('nr_free_pages')) bug(`nr_free_pages is ${system.vmstat.get('nr_free_pages')}, ${free} are free`);
}

/** One owner a frame, free + used = RAM, and every count is what the tables say. */
function checkFolios(system: MmSystem, scan: Scan): void {
  const { folios, buddy, vmstat } = system;
  let used = 0;
  let anonMapped = 0;
  let fileMapped = 0;
  let tables = 0;
  const end = folios.firstPfn + folios.nrFrames;
  for (let at: number = folios.firstPfn; at < end; ) {
    const pfn = asPfn(at);
    const type = folios.typeOf(pfn);
    if (type === MemdescType.Buddy) {
      if (scan.ptes.has(at) || scan.tables.has(at)) bug(`free frame ${hex(at)} is mapped`);
      at++;
      continue;
    }
    const folio = asFolio(at);
    if (folios.isTail(pfn)) bug(`frame ${hex(at)} is a tail without its head`);
    const nr = folios.nrPages(folio);
    if (folios.refCount(folio) <= 0) bug(`frame ${hex(at)} has an owner and no reference`);
    if (type === MemdescType.PageTable) tables++;
    else if (scan.tables.has(at)) bug(`frame ${hex(at)} serves as page table and is none`);
    const mapped = type === MemdescType.AnonFolio || type === MemdescType.FileFolio ? checkFolioCounts(system, scan, at, nr) : 0;
    if (type === MemdescType.AnonFolio) anonMapped += mapped;
    else fileMapped += mapped;
    for (let i = 1; i < nr; i++) if (folios.folioOf(asPfn(at + i)) !== folio) bug(`frame ${hex(at + i)} does not name its head ${hex(at)}`);
    used += nr;
    at += nr;
  }
  if (used + buddy.freePages !== folios.nrFrames) bug(`${used} frames used and ${buddy.freePages} free are not the ${folios.nrFrames} of RAM`);
  if (tables !== vmstat.get('nr_page_table_pages')) bug(`nr_page_table_pages is ${vmstat.get('nr_page_table_pages')}, there are ${tables}`);
  if (anonMapped !== vmstat.get('nr_anon_pages')) bug(`nr_anon_pages is ${vmstat.get('nr_anon_pages')}, ${anonMapped} are mapped`);
  if (fileMapped !== vmstat.get('nr_mapped')) bug(`nr_mapped is ${vmstat.get('nr_mapped')}, ${fileMapped} are mapped`);
}
/** @returns pages of the folio that any entry maps */
function checkFolioCounts(system: MmSystem, scan: Scan, head: number, nr: number): number {
  const { folios } = system;
  const folio = asFolio(head);
  const entire = scan.pmds.get(head) ?? 0;
  let total = entire;
  let withPte = 0;
  let mapped = 0;
  for (let i = 0; i < nr; i++) {
    const found = scan.ptes.get(head + i) ?? 0;
    if (folios.mapcount(asPfn(head + i)) !== found) bug(`mapcount of ${hex(head + i)} is ${folios.mapcount(asPfn(head + i))}, the tables map it ${found} times`);
    total += found;
    if (found > 0) withPte++;
    if (found + entire > 0) mapped++;
  }
  const walked = countMappings(system, folio);
  if (walked !== total) bug(`rmap finds ${walked} mappings of folio ${hex(head)}, the tables have ${total}`);
  if (folios.folioMapcount(folio) !== total) bug(`folio ${hex(head)} counts ${folios.folioMapcount(folio)} mappings, the tables have ${total}`);
  if (folios.entireMapcount(folio) !== entire) bug(`folio ${hex(head)} counts ${folios.entireMapcount(folio)} PMD mappings, the tables have ${entire}`);
  const expected = withPte + (entire > 0 ? ENTIRELY_MAPPED : 0);
  if (nr > 1 && folios.nrPagesMapped(folio) !== expected) bug(`folio ${hex(head)} has nr_pages_mapped ${folios.nrPagesMapped(folio)}, should be ${expected}`);
  // A reference for each mapping, and one for the page cache if the folio is a file's.
  const cached = folios.isAnon(folio) || folios.mapping(folio) === 0 ? 0 : 1;
  if (folios.refCount(folio) !== total + cached) bug(`folio ${hex(head)} has ${folios.refCount(folio)} references for ${total} mappings`);
  return mapped;
}

/** VMAs in order and apart; accounts right; every entry inside a VMA and within its rights; rss is what is mapped. */
function checkMm(mm: Mm, scan: Scan): void {
  let end = 0;
  let totalVm = 0;
  let lockedVm = 0;
  for (const vma of mm.vmaList.all) {
    if (vma.start < end || vma.start >= vma.end) bug(`VMAs of address space ${mm.id} overlap at ${hex(vma.start)}`);
    end = vma.end;
    totalVm += vma.nrPages;
    if (vma.has(VmFlag.Locked)) lockedVm += vma.nrPages;
  }
  if (totalVm !== mm.totalVm) bug(`total_vm is ${mm.totalVm}, the VMAs have ${totalVm} pages`);
  if (lockedVm !== mm.lockedVm) bug(`locked_vm is ${mm.lockedVm}, the VMAs have ${lockedVm} pages`);
  const found = { anon: 0, file: 0, shmem: 0, tables: 0, leaves: 0 };
  scanTable(mm, scan, mm.tables.root, mm.tables.levels - 1, 0, found);
  if (found.anon !== mm.rss.anonPages || found.file !== mm.rss.filePages || found.shmem !== mm.rss.shmemPages) {
    bug(`rss of address space ${mm.id} is ${JSON.stringify(mm.rss)}, the tables map ${JSON.stringify(found)}`);
  }
  if (found.leaves !== mm.tables.nrDeposits) bug(`${found.leaves} PMD leaves and ${mm.tables.nrDeposits} deposited tables`);
  if ((found.tables + mm.tables.nrDeposits) * 4096 !== mm.tables.bytes) bug(`pgtables_bytes is ${mm.tables.bytes}, there are ${found.tables} tables`);
}
interface Found { anon: number; file: number; shmem: number; tables: number; leaves: number }

function scanTable(mm: Mm, scan: Scan, table: Pfn, level: number, base: number, found: Found): void {
  const { machine, folios } = mm.system;
  if (scan.tables.has(table)) bug(`page table ${hex(table)} hangs in two places`);
  if (folios.typeOf(table) !== MemdescType.PageTable) bug(`page table ${hex(table)} is not marked as one`);
  scan.tables.add(table);
  for (let index = 0; index < 512; index++) {
    const low = machine.pteLow(table, index);
    const high = machine.pteHigh(table, index);
    if (low === 0 && high === 0) continue;
    const vpn = base + index * 2 ** (9 * level);
    if (level > 0 && (low & Pte.V) !== 0 && !pteIsLeaf(low)) {
      found.tables++;
      scanTable(mm, scan, ptePfn(low), level - 1, vpn, found);
      continue;
    }
    const vma = mm.vmaList.at(vpn * 4096);
    if (vma === null) bug(`entry for ${hex(vpn * 4096)} lies in no VMA`);
    if (level > 1) bug(`leaf of level ${level} at ${hex(vpn * 4096)}`);
    if (level === 1) {
      found.leaves++;
      if ((vpn + 512) * 4096 > vma.end || vpn * 4096 < vma.start) bug(`2 MiB mapping at ${hex(vpn * 4096)} leaves its VMA`);
    }
    const pfn = (high & PteHigh.N) !== 0 ? checkFolded(mm, table, index, low) : ptePfn(low);
    checkEntry(mm, scan, vma, vpn, low, pfn, level, found);
  }
}
/** A folded entry is one of sixteen alike, of one folio. @returns the frame of this page */
function checkFolded(mm: Mm, table: Pfn, index: number, low: number): Pfn {
  const { machine, folios } = mm.system;
  const ad = Pte.A | Pte.D;
  for (let i = index & ~15; i < (index | 15) + 1; i++) {
    if ((machine.pteLow(table, i) & ~ad) !== (low & ~ad) || (machine.pteHigh(table, i) & PteHigh.N) === 0) bug(`folded run at entry ${index} of ${hex(table)} is not uniform`);
  }
  const first = asPfn(ptePfn(low) & ~15);
  if ((ptePfn(low) & 15) !== 8) bug(`folded entry with PPN ${hex(ptePfn(low))}`);
  const folio = folios.folioOf(first);
  if (folios.order(folio) < NAPOT_ORDER) bug(`folded run over a folio of order ${folios.order(folio)}`);
  return napotPfn(low, index);
}
function checkEntry(mm: Mm, scan: Scan, vma: Vma, vpn: number, low: number, pfn: Pfn, level: number, found: Found): void {
  const { system } = mm;
  const { folios } = system;
  if (!ptePresent(low)) bug(`entry ${hex(low)} at ${hex(vpn * 4096)} is neither present nor empty`);
  if ((low & Pte.W) !== 0 && !vma.has(VmFlag.Write)) bug(`writable entry at ${hex(vpn * 4096)} of a VMA that is not`);
  if ((low & (Pte.W | Pte.R)) === Pte.W) bug(`entry at ${hex(vpn * 4096)} is writable and not readable`);
  const nr = level === 1 ? 512 : 1;
  if (system.isZeroFrame(pfn)) {
    if ((low & Pte.W) !== 0) bug(`the zero page is writable at ${hex(vpn * 4096)}`);
    return;
  }
  const folio = folios.folioOf(pfn);
  const type = folios.typeOf(pfn);
  if (type !== MemdescType.AnonFolio && type !== MemdescType.FileFolio) bug(`frame ${hex(pfn)} mapped at ${hex(vpn * 4096)} is of type ${type}`);
  if (level === 1) scan.pmds.set(pfn, (scan.pmds.get(pfn) ?? 0) + 1);
  else scan.ptes.set(pfn, (scan.ptes.get(pfn) ?? 0) + 1);
  // What rmap needs: the page's offset and its owner lead back to this entry.
  const owned = type === MemdescType.AnonFolio ? vma.anonVmaChain.some((owner) => -owner.id === folios.mapping(folio)) : folios.mapping(folio) === 0 || folios.mapping(folio) === vma.file?.space.id;
  if (!owned) bug(`frame ${hex(pfn)} at ${hex(vpn * 4096)} belongs to somebody else`);
  if (folios.mapping(folio) !== 0 && folios.index(folio) + pfn - folio !== vma.pgoffOf(vpn * 4096)) {
    bug(`frame ${hex(pfn)} at ${hex(vpn * 4096)} is page ${folios.index(folio) + pfn - folio} of its owner, the VMA says ${vma.pgoffOf(vpn * 4096)}`);
  }
  if (type === MemdescType.AnonFolio) {
    found.anon += nr;
    if ((low & Pte.W) !== 0 && !folios.isAnonExclusive(pfn)) bug(`writable entry at ${hex(vpn * 4096)} for shared anonymous frame ${hex(pfn)}`);
    if (folios.isAnonExclusive(pfn) && folios.pageMapcount(pfn) !== 1) bug(`exclusive frame ${hex(pfn)} is mapped ${folios.pageMapcount(pfn)} times`);
  } else {
    if ((low & Pte.W) !== 0 && !vma.has(VmFlag.Shared)) bug(`private mapping of a file page is writable at ${hex(vpn * 4096)}`);
    if (folios.test(folio, FolioFlag.SwapBacked)) found.shmem++;
    else found.file++;
  }
}
