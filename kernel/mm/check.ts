// Invariants. Here: everything that must hold between two operations, found by walking everything: for tests, fuzzers and --sanitize.
// check-mm.ts walks the address spaces, this file the frames, and compares. Not here: checks that are cheap enough to stand where the work
// is done. A walk takes about a millisecond for 24 MiB of RAM, so that a fuzzer can afford it after every operation.
import { asFolio, asPfn, bug, hex } from '#base';
import { checkAnonVmas } from './anon-vma.ts';
import { MAX_PAGE_ORDER } from './buddy.ts';
import { checkMm, newScan } from './check-mm.ts';
import type { Scan } from './check-mm.ts';
import type { VmName } from './events.ts';
import { ENTIRELY_MAPPED, FolioFlag, MemdescType } from './folio.ts';
import { LruType } from './reclaim/lruvec.ts';
import { countMappings } from './rmap-walk.ts';
import { swapEntry } from './swap/entry.ts';
import { shmemEntries } from './swap/shmem-swap.ts';
import type { SwapEntry } from './swap/entry.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER } from './thp.ts';
import { VmFlag } from './vma.ts';
import { Mark } from './xarray.ts';

export function checkSystem(system: MmSystem): void {
  checkBuddy(system);
  const scan = newScan(system);
  let committed = 0;
  for (const mm of system.mms) {
    checkMm(mm, scan);
    for (const vma of mm.vmaList.all) if (vma.has(VmFlag.Account)) committed += vma.nrPages;
  }
  for (const space of system.promisedSpaces) committed += space.promisedPages;
  if (committed !== system.committedPages) bug(`Committed_AS is ${system.committedPages} pages, accounted VMAs and files have ${committed}`);
  checkAnonVmas(system.anonVmas, system.mms);
  checkFolios(system, scan);
  for (const entry of shmemEntries(system)) scan.swapped.set(entry, (scan.swapped.get(entry) ?? 0) + 1);
  checkSwap(system, scan.swapped);
  checkLru(system);
}

/** What is known of each folio alone: references and mappings as they are found, lists as they say. For --sanitize folio. */
export function checkFolioState(system: MmSystem): void {
  const scan = newScan(system);
  for (const mm of system.mms) checkMm(mm, scan);
  checkFolios(system, scan);
  checkLru(system);
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
        if (folios.flags(asPfn(block + i)) !== 0) bug(`free frame ${hex(block + i)} has flags ${hex(folios.flags(asPfn(block + i)))}`);
      }
      free += 1 << order;
    }
  }
  for (const [block, order] of freeOrderAt) {
    if (order < MAX_PAGE_ORDER && freeOrderAt.get(block ^ (1 << order)) === order) bug(`free buddies of order ${order} at ${hex(block)} are not merged`);
  }
  if (free !== buddy.freePages) bug(`${free} pages in free lists, ${buddy.freePages} counted`);
  let stock = 0;
  for (const { pfn, order } of system.pages.pcp.blocks()) {
    for (let i = 0; i < 1 << order; i++) {
      if (folios.typeOf(asPfn(pfn + i)) !== MemdescType.Buddy || buddy.blockAt(asPfn(pfn + i)) >= 0) bug(`frame ${hex(pfn + i)} is in per-cpu stock and elsewhere`);
    }
    stock += 1 << order;
  }
  system.descriptors.check();
  if (stock !== system.pages.pcp.count) bug(`${stock} pages in per-cpu stock, ${system.pages.pcp.count} counted`);
  if (free !== system.vmstat.get('nr_free_pages')) bug(`nr_free_pages is ${system.vmstat.get('nr_free_pages')}, ${free} are free`);
}

/** Every folio of user memory, but for metadata and files that have no home but memory, is on one list of its group's lruvec; every count is the
 *  lists'. */
function checkLru(system: MmSystem): void {
  const { folios, lru, memcg } = system;
  const listed = new Set<number>();
  for (const group of memcg) {
    group.lruvec.check();
    for (const type of [LruType.Anon, LruType.File] as const) {
      for (const folio of group.lruvec.all(type)) {
        if (listed.has(folio)) bug(`folio ${hex(folio)} is listed twice`);
        listed.add(folio);
        if (!folios.test(folio, FolioFlag.Lru) || folios.test(folio, FolioFlag.Unevictable)) bug(`folio ${hex(folio)} is listed with flags ${hex(folios.flags(folio))}`);
        if (memcg.of(folio) !== group) bug(`folio ${hex(folio)} of group ${memcg.of(folio).path} is on a list of ${group.path}`);
        if (folios.isFileLru(folio) !== (type === LruType.File)) bug(`folio ${hex(folio)} is on a list of the other kind`);
      }
    }
  }
  let unevictable = 0;
  const charged = new Map<number, number>();
  const end = folios.firstPfn + folios.nrFrames;
  for (let at: number = folios.firstPfn; at < end; ) {
    const folio = asFolio(at);
    const type = folios.typeOf(folio);
    if (type === MemdescType.Buddy) {
      at++;
      continue;
    }
    const nr = folios.nrPages(folio);
    at += nr;
    const group = folios.group(folio);
    if (group !== 0) charged.set(group, (charged.get(group) ?? 0) + nr);
    if (type !== MemdescType.AnonFolio && type !== MemdescType.FileFolio) continue;
    const isListed = folios.test(folio, FolioFlag.Lru);
    if (isListed && folios.test(folio, FolioFlag.Unevictable)) unevictable += nr;
    else if (isListed !== listed.has(folio)) bug(`folio ${hex(folio)} with flags ${hex(folios.flags(folio))} is ${listed.has(folio) ? '' : 'not '}listed`);
    const space = folios.isAnon(folio) ? undefined : system.addressSpaces.get(folios.mapping(folio));
    const belongs = folios.isAnon(folio) ? folios.mapping(folio) !== 0 || folios.test(folio, FolioFlag.SwapCache) : folios.test(folio, FolioFlag.SwapCache) || (space !== undefined && !space.isUnevictable && (space.ops !== null || space.kind === 'shmem'));
    if (belongs && !isListed) bug(`folio ${hex(folio)} is on no list`);
  }
  if (unevictable !== lru.unevictablePages) bug(`${unevictable} pages are unevictable, ${lru.unevictablePages} are counted`);
  for (const group of memcg) {
    const pages = charged.get(group.id) ?? 0;
    if (pages + group.stock + group.zswapCharge !== group.usage) bug(`group ${group.path} is charged ${group.usage} pages, it has ${pages} and ${group.stock} in stock`);
  }
}

/** What the frames say of themselves, to be held against the gauges. */
interface Tally {
  used: number; tables: number; anonMapped: number; fileMapped: number; cached: number; shmem: number; hugeMapped: number; mlocked: number;
  dirty: number; writeback: number; swapCached: number;
  /** By order. */
  readonly anon: number[]; readonly partial: number[];
}

/** One owner a frame, free + used = RAM, and every count is what the tables say. */
function checkFolios(system: MmSystem, scan: Scan): void {
  const { folios, pages } = system;
  const noOrders = (): number[] => new Array<number>(MAX_PAGE_ORDER + 1).fill(0);
  const tally: Tally = { used: 0, tables: 0, anonMapped: 0, fileMapped: 0, cached: 0, shmem: 0, hugeMapped: 0, mlocked: 0, dirty: 0, writeback: 0, swapCached: 0, anon: noOrders(), partial: noOrders() };
  const end = folios.firstPfn + folios.nrFrames;
  for (let at: number = folios.firstPfn; at < end; ) {
    const pfn = asPfn(at);
    const type = folios.typeOf(pfn);
    const row = at - folios.firstPfn;
    if (type === MemdescType.Buddy) {
      if (scan.ptes[row]! > 0 || scan.pmds[row]! > 0 || scan.tables[row] === 1) bug(`free frame ${hex(at)} is mapped`);
      at++;
      continue;
    }
    const folio = asFolio(at);
    if (folios.isTail(pfn)) bug(`frame ${hex(at)} is a tail without its head`);
    const nr = folios.nrPages(folio);
    if (folios.refCount(folio) <= 0) bug(`frame ${hex(at)} has an owner and no reference`);
    if (type === MemdescType.PageTable) {
      tally.tables++;
      if (nr > 1 || folios.refCount(folio) !== 1) bug(`page table ${hex(at)} is of ${nr} frames with ${folios.refCount(folio)} references`);
    } else if (scan.tables[row] === 1) bug(`frame ${hex(at)} serves as page table and is none`);
    if (type === MemdescType.AnonFolio || type === MemdescType.FileFolio) checkFolio(system, scan, at, nr, tally);
    for (let i = 1; i < nr; i++) if (folios.folioOf(asPfn(at + i)) !== folio) bug(`frame ${hex(at + i)} does not name its head ${hex(at)}`);
    tally.used += nr;
    at += nr;
  }
  if (tally.used + pages.freePagesAndStock !== folios.nrFrames) bug(`${tally.used} frames used and ${pages.freePagesAndStock} free are not the ${folios.nrFrames} of RAM`);
  // A table that hangs in no tree and lies in no deposit would never be freed.
  if (tally.tables !== scan.nrTables) bug(`${tally.tables} frames are page tables, the address spaces have ${scan.nrTables}`);
  checkGauges(system, tally);
}

/** The counts of one folio of user memory. */
function checkFolio(system: MmSystem, scan: Scan, head: number, nr: number, tally: Tally): void {
  const { folios } = system;
  const folio = asFolio(head);
  const row = head - folios.firstPfn;
  const entire = scan.pmds[row]!;
  const anon = folios.isAnon(folio);
  let total = entire;
  let withPte = 0;
  let mapped = 0;
  for (let i = 0; i < nr; i++) {
    const page = asPfn(head + i);
    const found = scan.ptes[row + i]!;
    if (folios.mapcount(page) !== found) bug(`mapcount of ${hex(page)} is ${folios.mapcount(page)}, the tables map it ${found} times`);
    if (i > 0 && scan.pmds[row + i]! > 0) bug(`a PMD maps the middle of folio ${hex(head)}`);
    total += found;
    if (found > 0) withPte++;
    if (found + entire > 0) mapped++;
    if (folios.isAnonExclusive(page) && (!anon || found + entire > 1)) bug(`exclusive frame ${hex(page)} is mapped ${found + entire} times`);
  }
  const walked = countMappings(system, folio);
  if (walked !== total) bug(`rmap finds ${walked} mappings of folio ${hex(head)}, the tables have ${total}`);
  if (folios.folioMapcount(folio) !== total) bug(`folio ${hex(head)} counts ${folios.folioMapcount(folio)} mappings, the tables have ${total}`);
  if (folios.entireMapcount(folio) !== entire) bug(`folio ${hex(head)} counts ${folios.entireMapcount(folio)} PMD mappings, the tables have ${entire}`);
  const expected = withPte + (entire > 0 ? ENTIRELY_MAPPED : 0);
  if (nr > 1 && folios.nrPagesMapped(folio) !== expected) bug(`folio ${hex(head)} has nr_pages_mapped ${folios.nrPagesMapped(folio)}, should be ${expected}`);
  // A reference for each mapping, for whoever holds it besides, and one for the page cache if the folio is a file's.
  const cached = !anon && folios.mapping(folio) !== 0;
  const swapCached = folios.test(folio, FolioFlag.SwapCache);
  checkSwapCached(system, head, nr, swapCached);
  const held = (system.heldFolios.get(folio) ?? 0) + (folios.test(folio, FolioFlag.Private) ? 1 : 0);
  if (folios.refCount(folio) !== total + held + (cached ? nr : 0) + (swapCached ? nr : 0)) bug(`folio ${hex(head)} has ${folios.refCount(folio)} references for ${total} mappings and ${held} holders`);
  if (nr > 1) {
    // "Exclusive" may be denied to a folio that is; "shared" must never be.
    if (scan.owners[row]! > 1 && !folios.test(folio, FolioFlag.MaybeShared)) bug(`folio ${hex(head)} of ${scan.owners[row]} address spaces is not marked as shared`);
    for (const slot of [0, 1] as const) {
      if (folios.mmIdAt(folio, slot) !== 0 && (scan.slots[row]! & (1 << slot)) === 0) bug(`slot ${slot} of folio ${hex(head)} names mm ${folios.mmIdAt(folio, slot)}, which does not map it`);
    }
  }
  if (anon) {
    tally.anonMapped += mapped;
    tally.anon[folios.order(folio)]!++;
    const partial = folios.test(folio, FolioFlag.PartiallyMapped);
    if (partial) tally.partial[folios.order(folio)]!++;
    if (partial && nr === 1) bug(`page ${hex(head)} cannot be mapped in part`);
    if (entire > 0 && folios.order(folio) !== PMD_ORDER) bug(`a PMD maps folio ${hex(head)} of order ${folios.order(folio)}`);
    if (total + held === 0 && !swapCached) bug(`anonymous folio ${hex(head)} is mapped nowhere`);
  } else tally.fileMapped += mapped;
  if (entire > 0) tally.hugeMapped++;
  if (swapCached) {
    tally.swapCached += nr;
    if (folios.test(folio, FolioFlag.Writeback)) tally.writeback += nr;
  }
  if (folios.test(folio, FolioFlag.Mlocked)) tally.mlocked += nr;
  if (cached) {
    tally.cached += nr;
    if (folios.test(folio, FolioFlag.SwapBacked)) tally.shmem += nr;
    checkCached(system, head, nr, tally);
  }
}

/** The swap cache and its folios agree, page by page. */
function checkSwapCached({ folios, swap }: MmSystem, head: number, nr: number, swapCached: boolean): void {
  const entry = folios.swapEntry(asFolio(head));
  if (swapCached !== (entry !== 0)) bug(`folio ${hex(head)} ${swapCached ? 'is in the swap cache and has no' : 'is not in the swap cache and has an'} entry`);
  if (!swapCached) return;
  for (let i = 0; i < nr; i++) if (swap.cache.folioAt(entry + i) !== head) bug(`page ${i} of folio ${hex(head)} is not where the swap cache looks for it`);
}
/** A slot is named as often as its count says, and what the swap cache has of it is a folio that knows. */
function checkSwap({ swap, folios }: MmSystem, named: ReadonlyMap<SwapEntry, number>): void {
  swap.check();
  for (const info of swap.devices) {
    for (let offset = info.nextInUse(1); offset > 0; offset = info.nextInUse(offset + 1)) {
      const entry = swapEntry(info.type, offset);
      if (info.count(offset) !== (named.get(entry) ?? 0)) bug(`swap slot ${offset} counts ${info.count(offset)} users, it has ${named.get(entry) ?? 0}`);
      const folio = info.folioAt(offset);
      if (folio !== 0 && (!folios.test(folio, FolioFlag.SwapCache) || folios.swapEntry(folio) > entry || folios.swapEntry(folio) + folios.nrPages(folio) <= entry)) bug(`swap slot ${offset} is cached by folio ${hex(folio)}, which is elsewhere`);
    }
  }
  for (const entry of named.keys()) if (swap.infoOf(entry) === null) bug(`swap entry ${entry} is of no device`);
}

/** A folio of a file is where its file looks for it, and marked there as its flags say. */
function checkCached(system: MmSystem, head: number, nr: number, tally: Tally): void {
  const { folios } = system;
  const folio = asFolio(head);
  const space = system.addressSpaces.get(folios.mapping(folio)) ?? bug(`folio ${hex(head)} is of a file that has none`);
  const index = folios.index(folio);
  if (space.folioAt(index) !== folio || space.folioAt(index + nr - 1) !== folio) bug(`folio ${hex(head)} is not where its file looks for it`);
  if (space.ops === null) return;
  const isDirty = folios.test(folio, FolioFlag.Dirty);
  const isWriteback = folios.test(folio, FolioFlag.Writeback);
  if (space.pages.isMarked(index, Mark.Dirty) !== isDirty) bug(`folio ${hex(head)} is dirty, or so marked, but not both`);
  if (space.pages.isMarked(index, Mark.Writeback) !== isWriteback) bug(`folio ${hex(head)} is written, or so marked, but not both`);
  if (isDirty) tally.dirty += nr;
  if (isWriteback) tally.writeback += nr;
}

/** The gauges of /proc/vmstat and of the per-size files are what the frames say. */
function checkGauges({ vmstat, thp }: MmSystem, tally: Tally): void {
  const gauges: readonly [VmName, number][] = [
    ['nr_page_table_pages', tally.tables], ['nr_anon_pages', tally.anonMapped], ['nr_mapped', tally.fileMapped], ['nr_file_pages', tally.cached + tally.swapCached], ['nr_swapcached', tally.swapCached],
    ['nr_shmem', tally.shmem], ['nr_anon_transparent_hugepages', tally.hugeMapped], ['nr_mlock', tally.mlocked],
    ['nr_dirty', tally.dirty], ['nr_writeback', tally.writeback], ['nr_zone_write_pending', tally.dirty + tally.writeback],
  ];
  for (const [name, found] of gauges) if (vmstat.get(name) !== found) bug(`${name} is ${vmstat.get(name)}, there are ${found}`);
  for (let order = 2; order <= PMD_ORDER; order++) {
    if (thp.stat(order, 'nr_anon') !== tally.anon[order]) bug(`nr_anon of order ${order} is ${thp.stat(order, 'nr_anon')}, there are ${tally.anon[order]}`);
    const partial = thp.stat(order, 'nr_anon_partially_mapped');
    if (partial !== tally.partial[order]) bug(`nr_anon_partially_mapped of order ${order} is ${partial}, there are ${tally.partial[order]}`);
  }
}
