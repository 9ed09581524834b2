// The page cache of one file: frames of guest RAM by page of the file, as order-0 folios. Here: reading, writing, truncating, and who maps
// it. Not here: faults on mappings of it (filefault.ts), disks (there are none yet: every page that was ever written is in memory).
// Mirrors struct address_space and mm/shmem.c. A hole reads as zeros and takes no frame until it is written or mapped.
import { PAGE_SIZE, asPfn, bug } from '#base';
import type { Folio, Pfn, StateHash } from '#base';
import { ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import { VmItem } from './events.ts';
import { FenceBatch } from './fences.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { Gfp } from './system.ts';
import type { MmSystem } from './system.ts';
import { zapRange } from './unmap.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

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
}

/** A limit on pages that several address spaces share, as a tmpfs mount has with size=. */
export interface PageQuota {
  usedPages: number;
  readonly maxPages: number;
}

export class AddressSpace {
  readonly system: MmSystem;
  /** 'shmem': counted in RssShmem and Shmem, as files of tmpfs are; 'file': in RssFile. */
  readonly kind: 'file' | 'shmem';
  readonly id: number;
  private readonly quota: PageQuota | null;
  private size = 0;
  private readonly pages = new Map<number, Folio>();
  /** Every VMA that maps the file, with its address space: i_mmap. */
  private readonly vmas = new Map<Vma, Mm>();
  private ownerGone = false;
  /** Pages of Committed_AS. */
  promisedPages = 0;

  /** @param quota counted and obeyed by pages of this space; null: only RAM limits them. */
  constructor(system: MmSystem, kind: 'file' | 'shmem', quota: PageQuota | null = null) {
    this.system = system;
    this.kind = kind;
    this.quota = quota;
    this.id = system.newMappingId();
  }
  get sizeBytes(): number {
    return this.size;
  }
  /** Pages of the file that are in memory: what st_blocks counts. */
  get nrPages(): number {
    return this.pages.size;
  }
  /** Indices of the pages in memory, ascending. */
  indices(): number[] {
    return [...this.pages.keys()].sort((a, b) => a - b);
  }

  /** The frame of one page of the file; 0: a hole, or no memory (or quota) for a page when `create`. Does not look at the size. */
  pageFor(index: number, create: boolean): Pfn | 0 {
    const there = this.pages.get(index);
    if (there !== undefined) return there;
    if (!create || (this.quota !== null && this.quota.usedPages >= this.quota.maxPages)) return 0;
    const { system } = this;
    const folio = system.allocZeroed(0, MemdescType.FileFolio, Gfp.UserZero);
    if (folio === 0) return 0;
    system.folios.set(folio, FolioFlag.Uptodate | (this.kind === 'shmem' ? FolioFlag.SwapBacked : 0));
    system.folios.setMapping(folio, this.id, index);
    system.vmstat.add(VmItem.nr_file_pages, 1);
    if (this.kind === 'shmem') system.vmstat.add(VmItem.nr_shmem, 1);
    if (this.quota !== null) this.quota.usedPages++;
    if (this.pages.size === 0) system.addressSpaces.set(this.id, this);
    this.pages.set(index, folio);
    return folio;
  }

  /** @returns bytes copied: short at the end of the file; holes read as zeros. */
  read(pos: number, into: Uint8Array): number {
    const len = Math.max(0, Math.min(into.length, this.size - pos));
    for (let done = 0; done < len; ) {
      const at = pos + done;
      const offset = at % PAGE_SIZE;
      const chunk = Math.min(PAGE_SIZE - offset, len - done);
      const pfn = this.pageFor(Math.floor(at / PAGE_SIZE), false);
      if (pfn === 0) into.fill(0, done, done + chunk);
      else this.system.machine.readFrame(pfn, offset, into.subarray(done, done + chunk));
      done += chunk;
    }
    this.system.machine.charge(this.system.params.cost.copy_byte * len);
    return len;
  }
  /** Extends the file. @returns bytes written (fewer when memory ends in the middle), or -ENOSPC when there is room for none. */
  write(pos: number, from: Uint8Array): number {
    let done = 0;
    while (done < from.length) {
      const at = pos + done;
      const offset = at % PAGE_SIZE;
      const chunk = Math.min(PAGE_SIZE - offset, from.length - done);
      const pfn = this.pageFor(Math.floor(at / PAGE_SIZE), true);
      if (pfn === 0) break;
      this.system.machine.writeFrame(pfn, offset, from.subarray(done, done + chunk));
      this.system.folios.set(pfn, FolioFlag.Dirty);
      done += chunk;
    }
    if (done > 0) this.size = Math.max(this.size, pos + done);
    this.system.machine.charge(this.system.params.cost.copy_byte * done);
    return done === 0 && from.length > 0 ? -Errno.ENOSPC : done;
  }
  /** Sets the size. What lies beyond is unmapped everywhere, private copies included, and freed; the rest of the last page is zeroed, so
   *  that growing again shows zeros. Mirrors truncate_setsize(). */
  truncate(sizeBytes: number): void {
    const shrinks = sizeBytes < this.size;
    this.size = sizeBytes;
    if (!shrinks) return;
    const keep = Math.ceil(sizeBytes / PAGE_SIZE);
    this.unmapFrom(keep, Infinity, true);
    for (const index of this.indices()) if (index >= keep) this.dropPage(index);
    this.zeroTail(sizeBytes, PAGE_SIZE - (sizeBytes % PAGE_SIZE));
  }
  /** Frees the whole pages of [start, end) and zeroes the rest: fallocate's FALLOC_FL_PUNCH_HOLE, MADV_REMOVE. In bytes. Private copies of
   *  what is gone stay with those who made them. */
  punchHole(start: number, end: number): void {
    const first = Math.ceil(start / PAGE_SIZE);
    const last = Math.floor(end / PAGE_SIZE);
    if (first < last) {
      this.unmapFrom(first, last, false);
      for (const index of this.indices()) if (index >= first && index < last) this.dropPage(index);
    }
    this.zeroTail(start, Math.min(end, first * PAGE_SIZE) - start);
    if (last >= first) this.zeroTail(last * PAGE_SIZE, end - last * PAGE_SIZE);
  }
  private zeroTail(start: number, lenBytes: number): void {
    const pfn = this.pageFor(Math.floor(start / PAGE_SIZE), false);
    const offset = start % PAGE_SIZE;
    if (pfn !== 0 && lenBytes > 0 && lenBytes < PAGE_SIZE) this.system.machine.writeFrame(pfn, offset, new Uint8Array(lenBytes));
  }
  /** A page has moved to another frame; the reference that the file held comes and goes with the caller. */
  replacePage(index: number, to: Folio): void {
    if (!this.pages.has(index)) bug(`no page ${index}`);
    this.pages.set(index, to);
  }
  private dropPage(index: number): void {
    const folio = this.pages.get(index) ?? bug(`no page ${index}`);
    this.pages.delete(index);
    if (this.pages.size === 0) this.system.addressSpaces.delete(this.id);
    this.system.vmstat.add(VmItem.nr_file_pages, -1);
    if (this.kind === 'shmem') this.system.vmstat.add(VmItem.nr_shmem, -1);
    if (this.quota !== null) this.quota.usedPages--;
    // Somebody else may still hold the page; it is no longer the file's.
    this.system.folios.setMapping(folio, 0, 0);
    this.system.putFolio(folio, 1, true);
  }
  /** unmap_mapping_pages(). @param evenCopies private copies as well */
  private unmapFrom(firstIndex: number, lastIndex: number, evenCopies: boolean): void {
    for (const [vma, mm] of this.vmas) {
      const start = Math.max(vma.start, vma.start + (firstIndex - vma.pgoff) * PAGE_SIZE);
      const end = Math.min(vma.end, vma.start + (lastIndex - vma.pgoff) * PAGE_SIZE);
      if (start >= end) continue;
      const batch = new FenceBatch(mm.fences);
      if (evenCopies || vma.has(VmFlag.Shared)) zapRange(mm, vma, start / PAGE_SIZE, end / PAGE_SIZE, batch);
      else this.zapPages(mm, vma, start / PAGE_SIZE, end / PAGE_SIZE, batch);
      batch.flush();
    }
  }
  /** Of a private mapping: what is still the file's own. */
  private zapPages(mm: Mm, vma: Vma, start: number, end: number, batch: FenceBatch): void {
    const { folios } = this.system;
    for (let vpn = mm.tables.skipAbsent(start, end); vpn < end; vpn = mm.tables.skipAbsent(vpn + 1, end)) {
      const low = mm.tables.get(vpn);
      if (low !== 0 && ptePresent(low) && !folios.isAnon(folios.folioOf(ptePfn(low)))) zapRange(mm, vma, vpn, vpn + 1, batch);
    }
  }

  /** Nobody but its mappings will ever want the file: it goes with the last of them. For a file that is about to be mapped.
   *  @param promisedPages what Committed_AS counts for it, until it goes */
  ownerUnneeded(promisedPages: number): void {
    this.ownerGone = true;
    this.promisedPages = promisedPages;
  }
  /** The file's owner lets go (no name, no open file): the pages are freed now, or with the last VMA that maps them. */
  release(): void {
    this.ownerGone = true;
    this.freeIfUnused();
  }
  addVma(mm: Mm, vma: Vma): void {
    this.vmas.set(vma, mm);
  }
  removeVma(vma: Vma): void {
    this.vmas.delete(vma);
    this.freeIfUnused();
  }
  private freeIfUnused(): void {
    if (!this.ownerGone || this.vmas.size > 0) return;
    for (const index of this.indices()) this.dropPage(index);
    this.size = 0;
    this.system.uncommit(this.promisedPages);
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
  /** Every page with its frame, by index: for check() and the hash. */
  hash(into: StateHash): void {
    into.number(this.size);
    for (const index of this.indices()) into.numbers([index, this.pages.get(index) ?? asPfn(0)]);
  }
}
