// The page cache of one file: folios of any order by their place in the file. Here: finding, adding and removing folios, who maps the file,
// what stands behind the pages. Not here: reading with read-ahead (filemap-read.ts, readahead.ts), cutting (truncate.ts), files that live in
// memory alone (shmem.ts), writing back (writeback.ts), faults on mappings (filefault.ts).
// Mirrors struct address_space and mm/filemap.c, 6.18. A folio holds one reference of the cache's for each of its pages.
import { PAGE_SIZE, asPfn, bug } from '#base';
import type { Folio, Pfn, StateHash } from '#base';
import { Errno } from '../syscall/errno.ts';
import { VmItem, mmFilemapAddToPageCache, mmFilemapDeleteFromPageCache } from './events.ts';
import { ErrorSequence } from './errseq.ts';
import { FenceBatch } from './fences.ts';
import { FolioFlag } from './folio.ts';
import type { Dentry } from '../fs/dentry.ts';
import type { IoBuffer } from '../fs/io-buffer.ts';
import type { Mm } from './mm.ts';
import { setAsideShmem, shmemFolio, shmemWrite } from './shmem.ts';
import { SWAP_ERROR, shmemSwapin } from './swap/shmem-swap.ts';
import type { MmSystem } from './system.ts';
import { punchHole, truncate } from './truncate.ts';
import { Zap, zapRange } from './unmap.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';
import { Mark, XArray, isShadowValue, isSwapValue, isXaValue, shadowOfValue, shadowValue } from './xarray.ts';

/** What a VMA holds of a file; stands for the open file. Make one for each open file and give the same one to every mmap() of it: VMAs
 *  merge only when they hold the same object, as Linux merges only VMAs of the same struct file. */
export interface FileMapping {
  readonly space: AddressSpace;
  readonly path: string;
  readonly ino: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** The open file may be written to: a shared mapping of it may become writable. */
  readonly mayWrite: boolean;
  /** How the open file has been read so far: read-ahead goes by it (file_ra_state). Absent where nothing is ever read in. */
  readonly ra?: FileRa;
}

/** Who keeps book of a file's mappings: a System V segment. */
export interface Attachments { vmaAdded(): void; vmaRemoved(): void }

/** How an open file has been read so far. Mirrors struct file_ra_state (6.16 and later). Pages, but for prevPos, which is bytes. */
export interface FileRa {
  /** The last window: [start, start + size); its last asyncSize pages were not asked for yet. */
  start: number;
  size: number;
  asyncSize: number;
  order: number;
  /** Most pages of a window: from the device's read_ahead_kb; 0: no read-ahead. */
  raPages: number;
  /** The device's own, which POSIX_FADV_NORMAL brings back. */
  readonly deviceRaPages: number;
  /** Most pages that one request of the device can have (bdi->io_pages): a read of more than raPages may go up to it. */
  readonly ioPages: number;
  mmapMiss: number;
  /** Where the last read ended; -1: there was none. */
  prevPos: number;
  /** POSIX_FADV_RANDOM (FMODE_RANDOM): only what is asked for is read. */
  isRandom: boolean;
}

/** A limit on pages that several address spaces share, as a tmpfs mount has with size=. */
export interface PageQuota {
  usedPages: number;
  readonly maxPages: number;
}

/** Where a call got to that may have to wait for I/O: `moved` bytes are done; then `error` (-errno), or `wait`: a folio to sleep on (its lock
 *  or writeback) before the rest is tried, or `until`: so much is dirty that the writer pauses until this clock cycle; none of them: done. */
export interface IoProgress { readonly moved: number; readonly error: number; readonly wait: Folio | 0; readonly until?: number }

/** How much a write-back run should do. Mirrors struct writeback_control. */
export interface WritebackControl {
  /** Pages of the file: [start, end). */
  readonly start: number;
  readonly end: number;
  /** Everything that is dirty now must be written (WB_SYNC_ALL); false: as much as `nrToWrite` says, skipping what is locked or written. */
  readonly isIntegrity: boolean;
  /** Base pages still to write; counts down. */
  nrToWrite: number;
  /** Goes on where the last such run stopped, and starts over at the end (range_cyclic). Never with isIntegrity. */
  readonly isCyclic: boolean;
}

/** What stands behind the pages of a file on a disk. Mirrors struct address_space_operations; null in an AddressSpace: memory alone. */
export interface AddressSpaceOps {
  readonly name: 'iomap' | 'buffer_head';
  /** Largest order of a folio here; 0: single pages (mapping_set_large_folios() was not called). */
  readonly maxOrder: number;
  /** Fills locked folios, which follow each other in the file and are not up to date; each is unlocked by waits.endRead(), perhaps at once.
   *  Never fails: what cannot be read is unlocked as not up to date. Mirrors read_folio() and readahead(). */
  readFolios(folios: readonly Folio[], isReadahead: boolean): void;
  /** A buffered write: bytes of `io` go into the cache at `pos`, blocks are allocated, folios dirtied, the size grows. */
  write(io: IoBuffer, pos: number): IoProgress;
  /** A shared mapping is about to write to a folio, which is locked: blocks behind it must be there. @returns 0 or -errno (SIGBUS) */
  pageMkwrite(folio: Folio): number;
  /** Starts writing dirty folios. @returns 0 or -errno */
  writepages(wbc: WritebackControl): number;
  /** Bytes [offset, offset + len) of a locked folio are about to be cut off, or all of it leaves the cache: state kept for them goes. */
  invalidateFolio(folio: Folio, offset: number, len: number): void;
  /** Gives up the state that is kept for a folio, if that loses nothing; a folio with state (Private, which holds a reference) can be neither
   *  split nor freed. Mirrors filemap_release_folio(). */
  releaseFolio(folio: Folio): boolean;
  /** An entry that mapped the folio was written through: all of it is dirty. dirtyFolio() of the space comes after. */
  folioWritten(folio: Folio): void;
  /** Bytes of the file become zeros, in memory and on the disk; what is a hole stays one. Waits where it must. @returns 0 or -errno */
  zeroRange(pos: number, lenBytes: number): number;
  /** The file is about to grow, to `sizeBytes` at most: what lies in memory behind its end, which a mapping may have written, becomes zeros. */
  extending(sizeBytes: number): void;
  /** A folio was moved to other frames: its state follows, and the reference of that. */
  folioMoved(from: Folio, to: Folio): void;
  hash(into: StateHash): void;
}

/** The file that a space is the pages of, as far as mappings of it concern it. */
export interface SpaceOwner {
  /** The first VMA maps the file; the last one is gone. */
  mapped(): void;
  unmapped(): void;
}

/** The inode behind a space, as traces name it. */
export interface SpaceHost {
  readonly ino: number;
  /** The device behind it: its bdi. */
  readonly devMajor: number;
  readonly devMinor: number;
  /** Of the page cache of a device: st_dev 0:this, of the file system of all devices' inodes. */
  readonly bdevMinor?: number;
}
/** [major, minor, ino]: what events of the page cache begin with. */
export const hostOf = ({ host: { ino, devMajor, devMinor, bdevMinor } }: AddressSpace): readonly [number, number, number] =>
  (bdevMinor === undefined ? [devMajor, devMinor, ino] : [0, bdevMinor, ino]);

export class AddressSpace {
  readonly system: MmSystem;
  /** 'shmem': counted in RssShmem and Shmem, as files of tmpfs are; 'file': in RssFile. */
  readonly kind: 'file' | 'shmem';
  readonly id: number;
  readonly ops: AddressSpaceOps | null;
  readonly host: SpaceHost;
  /** Folios by index. */
  readonly pages = new XArray();
  readonly quota: PageQuota | null;
  private size = 0;
  private nr = 0;
  private swapped = 0;
  private lost = 0;
  /** Every VMA that maps the file, with its address space: i_mmap. */
  private readonly vmas = new Map<Vma, Mm>();
  owner: SpaceOwner | null = null;
  private ownerGone = false;
  /** Pages of Committed_AS. */
  promisedPages = 0;
  attachments: Attachments | null = null;
  /** Where the flusher goes on: writeback_index. */
  writebackIndex = 0;
  /** What failed when it was written back, for those who ask by fsync: wb_err. */
  readonly writebackErrors = new ErrorSequence();
  /** Of a file in memory: shared anonymous memory; on the kernel's own mount, as that and memfds are (ThpControls.shmemOrdersFor). */
  isAnonymousShmem = false;
  onKernelMount = false;
  /** The name that it was last opened by, for reports; null: nobody has opened it. */
  openedAs: Dentry | null = null;
  nrOpens = 0;
  /** Metadata of a mounted file system: never reclaimed (mapping_unevictable()). */
  isUnevictable = false;
  /** POSIX_FADV_NOREUSE: use through this space is no sign of use. */
  noReuse = false;

  /** @param quota counted and obeyed by pages of this space; null: only RAM limits them. @param ops null: memory alone */
  constructor(system: MmSystem, kind: 'file' | 'shmem', quota: PageQuota | null = null, ops: AddressSpaceOps | null = null, host: SpaceHost | null = null) {
    this.system = system;
    this.kind = kind;
    this.quota = quota;
    this.ops = ops;
    this.id = system.newMappingId();
    if (ops !== null) system.shadowNodes.watch(this.pages);
    this.host = host ?? { ino: this.id, devMajor: 0, devMinor: 1 };
  }
  get sizeBytes(): number {
    return this.size;
  }
  /** i_size alone: nothing is cut or zeroed. */
  set sizeBytes(bytes: number) {
    this.size = bytes;
  }
  /** Pages within the size, the last one perhaps in part. */
  get sizePages(): number {
    return Math.ceil(this.size / PAGE_SIZE);
  }
  /** Pages of the file that are in memory. */
  get nrPages(): number {
    return this.nr;
  }
  /** Those of memory alone that are in swap. */
  get nrSwapped(): number {
    return this.swapped;
  }
  /** Is the page in swap, or was it lost there? */
  isSwapped(index: number): boolean {
    return this.swapped + this.lost > 0 && isSwapValue(this.pages.load(index));
  }
  /** Pages of [start, end) that are in swap. */
  swappedIn(start: number, end: number): number {
    let found = 0;
    for (let at = this.swapped > 0 ? this.pages.next(start, end) : null; at !== null; at = this.pages.next(at.index + 2 ** at.order, end)) {
      if (isSwapValue(at.entry)) found += Math.min(end, at.index + 2 ** at.order) - Math.max(start, at.index);
    }
    return found;
  }
  /** Does the page hold something, in memory or in swap: is it no hole? */
  hasData(index: number): boolean {
    return this.isUptodate(index) || isSwapValue(this.pages.load(index));
  }
  /** The first page from `index` on that does; -1: none. */
  nextData(index: number): number {
    for (let at = this.pages.next(index); at !== null; at = this.pages.next(at.index + 2 ** at.order)) {
      if (isSwapValue(at.entry) || (!isXaValue(at.entry) && this.system.folios.test(asPfn(at.entry), FolioFlag.Uptodate))) return Math.max(index, at.index);
    }
    return -1;
  }

  // Folios.

  /** The folio that holds a page of the file; 0: none is in memory. */
  folioAt(index: number): Folio | 0 {
    const entry = this.pages.load(index);
    return isXaValue(entry) ? 0 : (entry as Folio | 0);
  }
  /** The frame of one page of the file; 0: not in memory. */
  frameAt(index: number): Pfn | 0 {
    const folio = this.folioAt(index);
    return folio === 0 ? 0 : asPfn(folio + index - this.system.folios.index(folio));
  }
  /** The first folio with a page in [index, end); 0: none. */
  nextFolio(index: number, end = Infinity, mark: Mark | null = null): Folio | 0 {
    let at = this.pages.next(index, end, mark);
    while (at !== null && isXaValue(at.entry)) at = this.pages.next(at.index + 2 ** at.order, end, mark);
    return (at?.entry ?? 0) as Folio | 0;
  }
  /** The frame of one page of the file; 0: a hole, or no memory (or quota) for a page when `create`; SWAP_ERROR. Does not look at the size.
   *  A page of a disk's file is never made here. */
  pageFor(index: number, create: boolean): Pfn | 0 | typeof SWAP_ERROR {
    if (!create && !this.isSwapped(index)) return this.frameAt(index);
    const folio = create ? shmemFolio(this, index, { mm: null, vma: null, writeEnd: 0 }) : shmemSwapin(this, index);
    return folio === 0 || folio === SWAP_ERROR ? folio : asPfn(folio + index - this.system.folios.index(folio));
  }
  /** Does the page hold what the file does? Not if it is only set aside, not read yet, or not there. */
  isUptodate(index: number): boolean {
    const folio = this.folioAt(index);
    return folio !== 0 && this.system.folios.test(folio, FolioFlag.Uptodate);
  }
  /** A page that is not there yet gets a frame, and is a hole still: what fallocate promises. 0: no memory or quota. */
  setAside(index: number): Pfn | 0 {
    return this.frameAt(index) || setAsideShmem(this, index);
  }

  /** Puts a folio into the cache, aligned to its size. The allocation's reference becomes the cache's, and more are taken to make one a
   *  page. The caller has seen to it that no folio is there. Mirrors filemap_add_folio(). @param isForWrite it is about to be overwritten, so that
   *  nobody missed what was evicted there (__GFP_WRITE) */
  addFolio(folio: Folio, index: number, isForWrite = false): void {
    const { folios, vmstat } = this.system;
    const order = folios.order(folio);
    const nr = 1 << order;
    const value = this.pages.clearValues(index, order);
    this.pages.store(index, order, folio);
    if (nr > 1) folios.get(folio, nr - 1);
    folios.setMapping(folio, this.id, index);
    if (isSwapValue(value)) bug(`page ${index} is in swap, and is made anew`);
    if (this.nr + this.swapped === 0) this.system.addressSpaces.set(this.id, this);
    this.nr += nr;
    vmstat.add(VmItem.nr_file_pages, nr);
    if (this.kind === 'shmem') vmstat.add(VmItem.nr_shmem, nr);
    if (this.quota !== null) this.quota.usedPages += nr;
    // A file of memory alone that is not shmem has nowhere to go (ramfs).
    if (!this.isUnevictable && (this.ops !== null || this.kind === 'shmem')) {
      if (isShadowValue(value) && !isForWrite) this.system.lru.refault(folio, shadowOfValue(value));
      this.system.lru.addNew(folio);
    }
    if (mmFilemapAddToPageCache.enabled) this.emit(mmFilemapAddToPageCache, folio, index, order);
  }
  /** Takes a folio out; nobody maps it. The cache's references go, which may free it. Mirrors filemap_remove_folio(). */
  removeFolio(folio: Folio): void {
    this.takeOut(folio, 0);
  }
  /** The same of memory alone: its place in swap stands where it was. It still counts against the quota. */
  swapOut(folio: Folio, value: number): void {
    this.takeOut(folio, value);
  }
  /** It is back, with as many slots as it has pages; the caller holds it. Takes the cache's references. */
  swapIn(folio: Folio, index: number): void {
    const { folios, vmstat } = this.system;
    const order = folios.order(folio);
    const nr = 1 << order;
    this.pages.clearValues(index, order);
    this.pages.store(index, order, folio);
    folios.get(folio, nr);
    folios.setMapping(folio, this.id, index);
    this.nr += nr;
    this.swapped -= nr;
    vmstat.add(VmItem.nr_file_pages, nr);
    vmstat.add(VmItem.nr_shmem, nr);
    if (mmFilemapAddToPageCache.enabled) this.emit(mmFilemapAddToPageCache, folio, index, order);
  }
  /** The page at an index cannot be read from swap: it is lost. @param value what says so */
  poison(index: number, value: number): void {
    this.pages.clearValues(index, 0);
    this.pages.store(index, 0, value);
    this.lost++;
    this.forgotten(1);
  }
  /** The entry at an index, of so many pages in swap, is cut off; 0: what says that a page is lost. */
  dropSwapped(index: number, nr: number): void {
    this.pages.erase(index);
    if (nr === 0) this.lost--;
    this.forgotten(nr);
  }
  private forgotten(nr: number): void {
    this.swapped -= nr;
    if (this.quota !== null) this.quota.usedPages -= nr;
    if (this.nr + this.swapped === 0) this.system.addressSpaces.delete(this.id);
  }
  /** The same by reclaim: @param shadow what is remembered in its place; 0: nothing. The caller holds a reference. */
  evictFolio(folio: Folio, shadow: number): void {
    this.takeOut(folio, shadow === 0 ? 0 : shadowValue(shadow));
  }
  private takeOut(folio: Folio, value: number): void {
    const { folios, vmstat } = this.system;
    const index = folios.index(folio);
    const order = folios.order(folio);
    const nr = 1 << order;
    if (mmFilemapDeleteFromPageCache.enabled) this.emit(mmFilemapDeleteFromPageCache, folio, index, order);
    this.cleanFolio(folio);
    this.system.lru.remove(folio);
    if (this.system.cacheLog.isOn) this.system.cacheLog.gone(folio);
    if (this.pages.load(index) !== folio) bug(`folio of page ${index} is not in the cache`);
    if (value === 0) this.pages.erase(index);
    else this.pages.replace(index, value);
    this.nr -= nr;
    const isSwapped = isSwapValue(value);
    if (isSwapped) this.swapped += nr;
    if (this.nr + this.swapped === 0) this.system.addressSpaces.delete(this.id);
    vmstat.add(VmItem.nr_file_pages, -nr);
    if (this.kind === 'shmem') vmstat.add(VmItem.nr_shmem, -nr);
    if (this.quota !== null && !isSwapped) this.quota.usedPages -= nr;
    // Somebody else may still hold it; it is no longer the file's.
    folios.setMapping(folio, 0, 0);
    this.system.putFolio(folio, nr);
  }
  private emit(point: typeof mmFilemapAddToPageCache, folio: Folio, index: number, order: number): void {
    point.emit(...hostOf(this), folio, index * PAGE_SIZE, order);
  }
  /** What is remembered of evicted folios in [start, end), in pages, is forgotten: the file is cut there. */
  forgetValues(start: number, end: number): void {
    for (let at = this.pages.next(start, end); at !== null; at = this.pages.next(at.index + 2 ** at.order, end)) {
      if (isShadowValue(at.entry)) this.pages.erase(at.index);
    }
  }
  /** A folio has moved to another one of its size; the cache's references come and go with the caller. */
  replaceFolio(from: Folio, to: Folio): void {
    const { system } = this;
    const index = system.folios.index(to);
    if (this.pages.load(index) !== from) bug(`no folio at page ${index}`);
    this.pages.replace(index, to);
    if (system.cacheLog.isOn) system.cacheLog.moved(from, to);
    if (system.folios.test(to, FolioFlag.Private)) this.ops?.folioMoved(from, to);
  }
  /** A folio has been split into folios that follow each other. */
  splitFolio(folio: Folio, orders: readonly number[]): void {
    const { folios, cacheLog } = this.system;
    const index = folios.index(folio);
    if (cacheLog.isOn) cacheLog.split(folio, orders);
    let at: number = folio;
    this.pages.split(index, orders.map((order) => {
      const piece = { entry: at, order };
      at += 1 << order;
      return piece;
    }));
  }

  // Dirt. What memory alone holds is dirty by nature, and nobody counts it.

  /** A folio holds what the disk does not. @returns whether it was clean. Mirrors filemap_dirty_folio() */
  dirtyFolio(folio: Folio): boolean {
    const { folios, writeback } = this.system;
    if (folios.test(folio, FolioFlag.Dirty)) return false;
    folios.set(folio, FolioFlag.Dirty);
    if (this.ops === null) return true;
    this.pages.setMark(folios.index(folio), Mark.Dirty);
    writeback.folioDirtied(this, folio);
    return true;
  }
  /** It need not be written any more, or is about to be. @returns whether it was dirty. Mirrors folio_clear_dirty_for_io() */
  cleanFolio(folio: Folio): boolean {
    const { folios, writeback } = this.system;
    if (!folios.test(folio, FolioFlag.Dirty)) return false;
    folios.clear(folio, FolioFlag.Dirty);
    if (this.ops === null) return true;
    this.pages.clearMark(folios.index(folio), Mark.Dirty);
    writeback.folioCleaned(this, folio);
    return true;
  }

  /** A locked folio, clean by now, is on its way to the disk. Mirrors folio_start_writeback(). */
  startWriteback(folio: Folio): void {
    const { waits, writeback, folios } = this.system;
    const index = folios.index(folio);
    waits.startWriteback(folio);
    this.pages.setMark(index, Mark.Writeback);
    this.pages.clearMark(index, Mark.ToWrite);
    writeback.folioWriting(folio);
  }
  /** It has arrived, or failed to. Mirrors folio_end_writeback(). */
  endWriteback(folio: Folio): void {
    const { waits, writeback, folios } = this.system;
    this.pages.clearMark(folios.index(folio), Mark.Writeback);
    writeback.folioWrote(folio);
    waits.endWriteback(folio);
  }

  // Whole files.

  /** @returns bytes copied: short at the end of the file, and before what cannot be had from swap, where it is -EIO or -ENOMEM if that comes first;
   *  holes read as zeros. For memory alone. */
  read(pos: number, into: Uint8Array): number {
    const len = Math.max(0, Math.min(into.length, this.size - pos));
    for (let done = 0; done < len; ) {
      const at = pos + done;
      const offset = at % PAGE_SIZE;
      const chunk = Math.min(PAGE_SIZE - offset, len - done);
      const index = Math.floor(at / PAGE_SIZE);
      const wasSwapped = this.isSwapped(index);
      const pfn = this.pageFor(index, false);
      if (pfn === SWAP_ERROR || (pfn === 0 && wasSwapped)) return done > 0 ? done : pfn === 0 ? -Errno.ENOMEM : -Errno.EIO;
      if (pfn === 0) into.fill(0, done, done + chunk);
      else {
        this.system.uses?.used(pfn);
        this.system.machine.readFrame(pfn, offset, into.subarray(done, done + chunk));
      }
      done += chunk;
    }
    this.system.machine.charge(this.system.params.cost.copy_byte * len);
    return len;
  }
  /** Extends the file. @returns bytes written (fewer when memory ends in the middle), or -ENOSPC when there is room for none. For memory alone. */
  write(pos: number, from: Uint8Array, writeEnd?: number): number {
    return shmemWrite(this, pos, from, writeEnd);
  }
  /** Sets the size. What lies beyond is unmapped everywhere, private copies included, and freed; the rest of the last page is zeroed, so
   *  that growing again shows zeros. */
  truncate(sizeBytes: number): void {
    truncate(this, sizeBytes);
  }
  /** Frees the whole pages of [start, end) and zeroes the rest: fallocate's FALLOC_FL_PUNCH_HOLE, MADV_REMOVE. In bytes. */
  punchHole(start: number, end: number): void {
    punchHole(this, start, end);
  }
  /** unmap_mapping_pages(). @param evenCows private copies, too: what truncation does and a hole does not */
  unmapPages(firstIndex: number, lastIndex: number, evenCows: boolean): void {
    for (const [vma, mm] of this.vmas) {
      const start = Math.max(vma.start, vma.start + (firstIndex - vma.pgoff) * PAGE_SIZE);
      const end = Math.min(vma.end, vma.start + (lastIndex - vma.pgoff) * PAGE_SIZE);
      if (start >= end) continue;
      const batch = new FenceBatch(mm.fences);
      zapRange(mm, vma, start / PAGE_SIZE, end / PAGE_SIZE, batch, evenCows ? 0 : Zap.KeepCows);
      batch.flush();
    }
  }

  // Owners.

  /** VMAs that map it, all of it or a part. */
  get nrVmas(): number {
    return this.vmas.size;
  }
  /** Nobody but its mappings will ever want the file: it goes with the last of them. For a file that is about to be mapped.
   *  @param promisedPages what Committed_AS counts for it, until it goes */
  ownerUnneeded(promisedPages: number): void {
    this.ownerGone = true;
    this.promise(promisedPages);
  }
  /** The caller has committed them: Committed_AS counts so many pages for the file, whoever maps it, until it goes. */
  promise(pages: number): void {
    this.promisedPages = pages;
    if (pages > 0) this.system.promisedSpaces.add(this);
  }
  /** The file's owner lets go (no name, no open file): the pages are freed now, or with the last VMA that maps them. */
  release(): void {
    this.ownerGone = true;
    this.freeIfUnused();
  }
  addVma(mm: Mm, vma: Vma): void {
    this.vmas.set(vma, mm);
    this.attachments?.vmaAdded();
    if (this.vmas.size === 1) this.owner?.mapped();
  }
  removeVma(vma: Vma): void {
    const wasMapped = this.vmas.delete(vma);
    if (wasMapped) this.attachments?.vmaRemoved();
    this.freeIfUnused();
    if (wasMapped && this.vmas.size === 0) this.owner?.unmapped();
  }
  private freeIfUnused(): void {
    if (!this.ownerGone || this.vmas.size > 0) return;
    truncate(this, 0);
    this.system.uncommit(this.promisedPages);
    this.system.promisedSpaces.delete(this);
    this.promisedPages = 0;
  }
  /** Some shared mapping may be written, now or after mprotect(): i_mmap_writable, which F_SEAL_WRITE asks. */
  get hasWritableMapping(): boolean {
    return [...this.vmas.keys()].some((vma) => vma.has(VmFlag.Shared) && vma.has(VmFlag.MayWrite));
  }
  /** The VMAs that map any of the file's pages [first, end): the walk of i_mmap. */
  mappedBy(first: number, end: number): { mm: Mm; vma: Vma }[] {
    const found: { mm: Mm; vma: Vma }[] = [];
    for (const [vma, mm] of this.vmas) if (vma.pgoff < end && first < vma.pgoff + vma.nrPages) found.push({ mm, vma });
    return found;
  }
  get isMapped(): boolean {
    return this.vmas.size > 0;
  }
  hash(into: StateHash): void {
    into.numbers([this.size, this.writebackIndex, this.writebackErrors.error, this.writebackErrors.seq]);
    this.ops?.hash(into);
    for (const { index, entry, order } of this.pages) into.numbers([index, entry, order]);
  }
}
