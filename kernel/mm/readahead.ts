// Read-ahead: which pages of a file are read together, and into folios of which order. Here: the window and how it moves, by read(2) and by
// faults. Not here: who reads (filemap-read.ts, filefault.ts), the I/O (the back ends). Mirrors mm/readahead.c and the mmap part of
// mm/filemap.c, 6.18.
//
//   first miss      |=== asked ===|--- ahead ---|          a window begins; the first folio of the part ahead is marked
//   mark reached                  ^             |------ next window, larger, of larger folios ------|
//
// The mark is Linux's PG_readahead: whoever comes to that folio starts the next window while the rest of this one is still being read.
import type { Folio } from '#base';
import { pageCacheAsyncRa, pageCacheRaOrder, pageCacheRaUnbounded, pageCacheSyncRa } from './events.ts';
import { type AddressSpace, type FileRa, hostOf } from './filemap.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { Gfp, GfpFlag } from './gfp.ts';
import type { ReasonCode } from './reasons.ts';
import { PMD_ORDER } from './thp.ts';
import { VmFlag } from './vma.ts';

/** Misses of mappings over hits beyond which reading around a fault stops: MMAP_LOTSAMISS. */
const MMAP_LOTSAMISS = 100;
/** Pages of one step of a forced read: 2 MiB. */
const FORCED_CHUNK = 512;
/** What reading ahead may do for memory: it gives up early and says nothing. */
const GFP_READAHEAD = Gfp.User | GfpFlag.Noretry | GfpFlag.Nowarn;

/** The state of a file just opened. @param raPages of the device  @param ioPages largest request of the device, in pages */
export const newRa = (raPages: number, ioPages: number): FileRa =>
  ({ start: 0, size: 0, asyncSize: 0, order: 0, raPages, deviceRaPages: raPages, ioPages, mmapMiss: 0, prevPos: -1, isRandom: false });

const log2 = (n: number): number => 31 - Math.clz32(n);
const roundUpPowerOf2 = (n: number): number => (n <= 1 ? 1 : 2 ** (log2(n - 1) + 1));

/** The first window for a request. get_init_ra_size() */
function initialSize(request: number, max: number): number {
  const size = roundUpPowerOf2(request);
  return size <= max / 32 ? size * 4 : size <= max / 4 ? size * 2 : max;
}
/** The window after one of this size. get_next_ra_size() */
function nextSize(size: number, max: number): number {
  return size < Math.floor(max / 16) ? size * 4 : size <= Math.floor(max / 2) ? size * 2 : max;
}
/** ractl_max_pages() */
const maxPages = ({ raPages, ioPages }: FileRa, request: number): number => (request > raPages && ioPages > raPages ? Math.min(request, ioPages) : raPages);

/** A page that is wanted is not in memory. @param request pages wanted from there on @param asked by a fault, the reason. Mirrors
 *  page_cache_sync_ra(). */
export function syncReadahead(space: AddressSpace, ra: FileRa, index: number, request: number, asked: ReasonCode | null = null): void {
  if (pageCacheSyncRa.enabled) emitWindow(pageCacheSyncRa, space, ra, index, request);
  const { cacheLog } = space.system;
  const decide = (reason: ReasonCode): void => {
    if (cacheLog.isOn) cacheLog.decided(space, asked === null ? 'sync' : 'fault', asked ?? reason, index, request, asked === null ? request : 1);
  };
  if (ra.raPages === 0 || ra.isRandom) {
    decide(ra.raPages === 0 ? 'ra-off' : 'ra-random-advice');
    return readExactly(space, ra, index, ra.raPages === 0 ? 1 : request);
  }
  const max = maxPages(ra, request);
  // The beginning of the file, more than fits a window, or the page where the last read ended or the next one.
  const fromLast = index - Math.floor(ra.prevPos / 4096);
  const reason = index === 0 ? 'ra-first' : request > max ? 'ra-oversized' : ra.prevPos >= 0 && fromLast >= 0 && fromLast <= 1 ? 'ra-sequential' : null;
  if (reason !== null) {
    decide(reason);
    ra.start = index;
    ra.size = initialSize(request, max);
    ra.asyncSize = ra.size > request ? ra.size - request : ra.size >> 1;
  } else {
    // What lies before it in memory is what a sequential reader would have left.
    const miss = space.pages.prevMiss(index - 1, max);
    let history = index - miss - 1;
    decide(history <= request ? 'ra-random' : 'ra-interleaved');
    if (history <= request) return readPlain(space, index, request, 0, 0, 'ra-exact');
    if (miss === -1) history *= 2; // read from its beginning: a long run
    ra.start = index;
    ra.size = Math.min(history + request, max);
    ra.asyncSize = 1;
  }
  ra.order = 0;
  readOrdered(space, ra, ra.start);
}

/** A folio with the mark has been reached: the next window is read. @param request pages wanted from the folio on, of which the program itself
 *  needs the first `needed`. Mirrors page_cache_async_ra(). */
export function asyncReadahead(space: AddressSpace, ra: FileRa, folio: Folio, index: number, request: number, needed = request): void {
  const { folios, cacheLog } = space.system;
  if (ra.raPages === 0 || folios.test(folio, FolioFlag.Writeback)) return;
  if (pageCacheAsyncRa.enabled) emitWindow(pageCacheAsyncRa, space, ra, index, request);
  folios.clear(folio, FolioFlag.Reclaim);
  const max = maxPages(ra, request);
  const marked = ra.start + ra.size - ra.asyncSize;
  const isOwn = index === marked - (marked % folios.nrPages(folio));
  if (cacheLog.isOn) cacheLog.decided(space, 'async', isOwn ? 'ra-mark' : space.pages.nextMiss(index + 1, max) - index > max ? 'ra-mark-far' : 'ra-mark-other', index, request, needed);
  if (isOwn) {
    ra.start += ra.size;
    ra.size = Math.max(ra.size, nextSize(ra.size, max)); // MADV_HUGEPAGE windows may exceed the device's
  } else {
    // The mark of another reader: the window goes on where the cache ends.
    const start = space.pages.nextMiss(index + 1, max);
    if (start - index > max) return;
    ra.start = start;
    ra.size = nextSize(start - index + request, max);
  }
  ra.order += 2;
  const align = 2 ** Math.min(ra.order, lowestBit(max));
  const end = ra.start + ra.size;
  const alignedEnd = end - (end % align);
  if (alignedEnd > ra.start) ra.size = alignedEnd - ra.start;
  ra.asyncSize = ra.size;
  readOrdered(space, ra, ra.start);
}
const lowestBit = (n: number): number => log2(n & -n);

/** A fault found its page missing. Mirrors do_sync_mmap_readahead(). @param vmFlags of the VMA */
export function mmapMissed(space: AddressSpace, ra: FileRa, index: number, vmFlags: number): void {
  const { cacheLog } = space.system;
  const decide = (reason: ReasonCode): void => {
    if (cacheLog.isOn) cacheLog.decided(space, 'fault', reason, index, 1);
  };
  if ((vmFlags & VmFlag.HugePage) !== 0 && (space.ops?.maxOrder ?? 0) >= PMD_ORDER) {
    decide('ra-fault-huge');
    const from = index - (index % (1 << PMD_ORDER));
    ra.size = 1 << PMD_ORDER;
    // Two of them, so that there is something ahead.
    if ((vmFlags & VmFlag.RandRead) === 0) ra.size *= 2;
    ra.asyncSize = 1 << PMD_ORDER;
    ra.order = PMD_ORDER;
    return readOrdered(space, ra, from);
  }
  if ((vmFlags & (VmFlag.RandRead | VmFlag.Exec)) === VmFlag.RandRead || ra.raPages === 0) return decide(ra.raPages === 0 ? 'ra-off' : 'ra-fault-random');
  if ((vmFlags & VmFlag.SeqRead) !== 0) return syncReadahead(space, ra, index, ra.raPages, 'ra-fault-sequential');
  if (ra.mmapMiss < MMAP_LOTSAMISS * 10) ra.mmapMiss++;
  if (ra.mmapMiss > MMAP_LOTSAMISS) return decide('ra-fault-misses');
  decide('ra-fault-around');
  ra.start = Math.max(0, index - (ra.raPages >> 1));
  ra.size = ra.raPages;
  ra.asyncSize = ra.raPages >> 2;
  ra.order = 0;
  readOrdered(space, ra, ra.start);
}
/** A fault found its page, in a folio. @returns whether that started the next window. Mirrors do_async_mmap_readahead(). */
export function mmapHit(space: AddressSpace, ra: FileRa, folio: Folio, index: number, vmFlags: number): boolean {
  if ((vmFlags & VmFlag.RandRead) !== 0 || ra.raPages === 0) return false;
  if (ra.mmapMiss > 0) ra.mmapMiss--;
  if (!space.system.folios.test(folio, FolioFlag.Reclaim)) return false;
  asyncReadahead(space, ra, folio, index, ra.raPages, 1);
  return true;
}

/** What readahead(2) and POSIX_FADV_WILLNEED ask for is read. */
export function forceReadahead(space: AddressSpace, ra: FileRa, from: number, nrPages: number): void {
  const { cacheLog } = space.system;
  if (cacheLog.isOn) cacheLog.decided(space, 'forced', 'ra-forced', from, nrPages, 0);
  readExactly(space, ra, from, nrPages);
}
/** Reads exactly what is asked for, in steps. Mirrors force_page_cache_ra(). */
function readExactly(space: AddressSpace, ra: FileRa, from: number, nrPages: number): void {
  let index = from;
  for (let left = Math.min(nrPages, Math.max(ra.ioPages, ra.raPages)); left > 0; ) {
    const chunk = Math.min(left, FORCED_CHUNK);
    readPlain(space, index, chunk, 0, 0, 'ra-exact');
    index += chunk;
    left -= chunk;
  }
}

/** Fills a window with folios of the state's order, as far as alignment and the end of the file allow. Mirrors page_cache_ra_order(). */
function readOrdered(space: AddressSpace, ra: FileRa, start: number): void {
  const { system, ops } = space;
  if (pageCacheRaOrder.enabled) {
    pageCacheRaOrder.emit(...hostOf(space), start, ra.order, ra.size, ra.asyncSize, ra.raPages);
  }
  const { cacheLog } = system;
  const maxOrder = ops?.maxOrder ?? 0;
  const asked = ra.order;
  let index = start;
  if (maxOrder === 0) ra.order = 0;
  else {
    const limit = Math.min(space.sizePages, start + ra.size); // one past the last page
    ra.order = Math.min(ra.order, maxOrder, log2(ra.size));
    if (cacheLog.isOn) cacheLog.window(start, ra);
    const mark = start + ra.size - ra.asyncSize;
    const batch: Folio[] = [];
    let isComplete = true;
    while (index < limit) {
      const aligned = index % 2 ** ra.order === 0 ? ra.order : lowestBitOf(index);
      let order = aligned;
      while (order > 0 && index + 2 ** order > limit) order--;
      const folio = addNew(space, index, order);
      if (folio === 0) {
        isComplete = false;
        break;
      }
      if (cacheLog.isOn) {
        const cut = order < aligned ? (limit < start + ra.size ? 'end-of-file' : 'ra-window-end') : order < ra.order ? 'index-alignment' : null;
        cacheLog.broughtAhead(folio, index, order, Math.min(asked, PMD_ORDER), cut ?? wholeReason(asked, order, maxOrder));
      }
      if (index === mark - (mark % 2 ** order)) system.folios.set(folio, FolioFlag.Reclaim);
      batch.push(folio);
      index += 2 ** order;
    }
    submit(space, batch);
    if (isComplete) return;
  }
  // Something was there already, or memory is short: page by page, around what is there.
  if (maxOrder === 0 && cacheLog.isOn) cacheLog.window(start, ra);
  const why = maxOrder === 0 ? 'no-large-folios' : space.nextFolio(index, start + ra.size) !== 0 ? 'ra-around-cached' : 'fragmented';
  if (ra.size > index - start) readPlain(space, index, ra.size - (index - start), ra.asyncSize, Math.min(asked, PMD_ORDER), why);
}
/** Why a folio that neither its place nor an end has made smaller has its order. @param asked what the run had come to */
function wholeReason(asked: number, order: number, maxOrder: number): ReasonCode {
  if (order < asked) return order === maxOrder ? 'order-largest' : 'ra-window-size';
  return order === 0 ? 'ra-first-order' : 'ra-order';
}
/** The lowest set bit of an index, which may be large. */
function lowestBitOf(index: number): number {
  let bit = 0;
  while (index % 2 ** (bit + 1) === 0) bit++;
  return bit;
}

/** Single pages for what is missing in [from, from + nrPages), within the file; the last `lookahead` of them are ahead of need, and begin with
 *  the mark. Mirrors do_page_cache_ra() and page_cache_ra_unbounded(). @param wanted the order that a window would have had, and `why` it has not */
function readPlain(space: AddressSpace, from: number, nrPages: number, lookahead: number, wanted: number, why: ReasonCode): void {
  if (from >= space.sizePages) return;
  const nr = Math.min(nrPages, space.sizePages - from);
  if (pageCacheRaUnbounded.enabled) {
    pageCacheRaUnbounded.emit(...hostOf(space), from, nr, lookahead);
  }
  const { folios, cacheLog } = space.system;
  const mark = lookahead <= nr ? from + nr - lookahead : -1;
  let batch: Folio[] = [];
  for (let index = from; index < from + nr; index++) {
    const folio = space.folioAt(index) === 0 ? addNew(space, index, 0) : 0;
    if (folio !== 0) {
      if (cacheLog.isOn) cacheLog.broughtAhead(folio, index, 0, wanted, why);
      if (index === mark) folios.set(folio, FolioFlag.Reclaim);
      batch.push(folio);
      continue;
    }
    submit(space, batch);
    batch = [];
    if (space.folioAt(index) === 0) return; // no memory
  }
  submit(space, batch);
}

/** A locked folio in the cache, where nothing was; 0: something is there, or there is no memory. Mirrors ra_alloc_folio(). */
function addNew(space: AddressSpace, index: number, order: number): Folio | 0 {
  if (space.nextFolio(index, index + 2 ** order) !== 0) return 0;
  const folio = space.system.allocFolio(order, MemdescType.FileFolio, GFP_READAHEAD);
  if (folio === 0) return 0;
  space.system.waits.tryLock(folio);
  space.addFolio(folio, index);
  return folio;
}
function submit(space: AddressSpace, batch: readonly Folio[]): void {
  if (batch.length > 0) space.ops?.readFolios(batch, true);
}

function emitWindow(point: typeof pageCacheSyncRa, space: AddressSpace, ra: FileRa, index: number, request: number): void {
  point.emit(...hostOf(space), index, request, ra.order, ra.size, ra.asyncSize, ra.raPages, ra.mmapMiss, ra.prevPos);
}
