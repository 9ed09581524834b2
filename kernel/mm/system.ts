// MmSystem: what all address spaces share; Linux's node and zone. Here: the frames' owner (memory map, buddy system, watermarks), getting
// and giving back folios with everything that is counted for it, the zero pages, accounting of promised memory. Not here: address spaces.
import { PAGE_SIZE, UserError, asPfn, bug, hex } from '#base';
import type { Folio, Pfn, StateHash } from '#base';
import type { BlockDevice } from '../block/device.ts';
import type { Machine } from '../machine.ts';
import type { KernelParams } from '../params.ts';
import { AccessSplit } from './access-split.ts';
import { AnonVmas } from './anon-vma.ts';
import { CollapseHistory } from './collapse-history.ts';
import type { Buddy } from './buddy.ts';
import { checkSystem } from './check.ts';
import { DeferredSplitQueue } from './deferred-split.ts';
import { VmItem, VmStat, kernelThreads, kthreadBegin, kthreadEnd, mmPageAlloc, mmPageFree, mmPageFreeBatched } from './events.ts';
import type { KernelThread } from './events.ts';
import { Compaction } from './compaction.ts';
import { FaultLog, faultKinds } from './fault-record.ts';
import type { FaultKind } from './fault-record.ts';
import { AsidAllocator } from './fences.ts';
import type { AddressSpace } from './filemap.ts';
import { FolioFlag, FolioTable, MemdescType } from './folio.ts';
import { FolioWaits } from './folio-wait.ts';
import { linuxFolioOrder } from './folio-order.ts';
import type { FolioOrderPolicy } from './folio-order.ts';
import { Kcompactd } from './kcompactd.ts';
import { Khugepaged } from './khugepaged.ts';
import { Gfp, migrateTypeOf } from './gfp.ts';
import { CacheLog } from './cache-record.ts';
import { newMappingCounts } from './mapping-counts.ts';
import type { MappingCounts } from './mapping-counts.ts';
import { Descriptors } from './memdesc.ts';
import type { MemmapLayout } from './memdesc.ts';
import type { Mm } from './mm.ts';
import { PageAllocator } from './page-alloc.ts';
import { isPcpOrder } from './pcp.ts';
import { PMD_ORDER, ThpControls, ThpStat } from './thp.ts';
import { Pressure } from './pressure.ts';
import { minFreeKbytes } from './watermark.ts';
import type { Watermarks } from './watermark.ts';
import { MemCgroups } from './memcg.ts';
import type { MemCgroup } from './memcg.ts';
import { LruLists } from './reclaim/lru.ts';
import { LruGenNode } from './reclaim/lru-gen-node.ts';
import type { SamplingObserver } from './reclaim/referenced.ts';
import { ShadowNodes } from './reclaim/workingset.ts';
import type { UseObserver } from './reclaim/uses.ts';
import { Vmscan } from './reclaim/vmscan.ts';
import { Swap } from './swap/index.ts';
import { Writeback } from './writeback.ts';

export { Gfp } from './gfp.ts';

/** The least RAM that boots: below, the memory map and the marks leave nothing to run a program in. */
const MIN_FRAMES = 1024;

export class MmSystem {
  readonly machine: Machine;
  readonly params: KernelParams;
  readonly folios: FolioTable;
  /** Who hands out frames; buddy is the free lists behind it. */
  readonly pages: PageAllocator;
  readonly buddy: Buddy;
  /** What the memory map says of each allocation, and where it says it. */
  readonly descriptors: Descriptors;
  readonly vmstat = new VmStat();
  /** The kernel's own access to a program's memory failed for want of a frame: who took the system call runs the OOM killer, and clears it. */
  wantsOomKill = false;
  /** kswapd would rather have a program killed than evict what is in use (lru_gen/min_ttl_ms): whoever runs daemons does so, and clears it. */
  oomRequested = false;
  readonly thp = new ThpControls();
  readonly khugepaged: Khugepaged;
  readonly compaction: Compaction;
  readonly kcompactd: Kcompactd;
  /** What happens when memory gets short. */
  readonly pressure: Pressure;
  readonly faults: FaultLog;
  readonly cacheLog: CacheLog;
  readonly asids: AsidAllocator;
  /** Which order the first touch of anonymous memory asks for. */
  orderPolicy: FolioOrderPolicy;
  /** The page of zeros that reads of untouched memory map; never written, never freed. */
  readonly zeroPage: Pfn;
  /** Frames that the buddy system manages: MemTotal. */
  readonly managedPages: number;
  /** The memory map's first frame and its bytes for each frame of RAM. */
  readonly memmapPfn: Pfn;
  readonly memmapBytesPerFrame: number;
  readonly memmapBytes: number;
  /** Committed_AS in pages. */
  committedPages = 0;
  /** Files whose pages are promised as a whole: segments and shared anonymous memory, mapped or not. */
  readonly promisedSpaces = new Set<AddressSpace>();
  /** Every live address space, in order of creation: for check(), the hash, and walks over all. */
  readonly mms: Mm[] = [];
  /** Where rmap looks: anon_vmas by id, and files that have pages in memory by the id that those carry. */
  readonly anonVmas = new AnonVmas();
  readonly addressSpaces = new Map<number, AddressSpace>();
  /** The folio that the fault waits for which last answered Retry. */
  faultWait: Folio | 0 = 0;
  /** Locks of folios, and who waits for I/O. */
  readonly waits = new FolioWaits(this);
  readonly writeback = new Writeback(this);
  /** Folios that may be reclaimed, whose they are, where they can go, and reclaim. */
  readonly lru: LruLists;
  readonly lruGen = new LruGenNode(this);
  readonly memcg: MemCgroups;
  readonly swap: Swap;
  readonly vmscan = new Vmscan(this);
  readonly shadowNodes = new ShadowNodes(this);
  /** The address space on the hart. */
  runningMm: Mm | null = null;
  /** Who compares what reclaim sees with what the hart did; null: nobody. */
  sampling: SamplingObserver | null = null;
  /** Who records which pages the kernel uses for programs; null: nobody. */
  uses: UseObserver | null = null;
  /** What files ask of their formats and disks. */
  readonly mapping: MappingCounts = newMappingCounts();
  /** Disks, in order of their names: vda, vdb ... */
  readonly disks: BlockDevice[] = [];
  /** Large folios that are worth splitting when memory gets tight. */
  readonly deferredSplit = new DeferredSplitQueue(this);
  readonly accessSplit = new AccessSplit(this);
  /** Ranges that khugepaged and pressure pull to and fro. */
  readonly collapseHistory = new CollapseHistory(this);
  /** References to folios that no mapping and no file explains, by folio: pipes hold what was spliced into them. */
  readonly heldFolios = new Map<Folio, number>();
  /** Allocations that still succeed, for tests of what happens when they do not: Linux's fail_page_alloc. */
  allocationsUntilFailure = Infinity;
  /** The last allocation found frames, and no room in the group's limit. */
  chargeFailed = false;
  private hugeZero: Folio | 0 = 0;
  private hugeZeroUsers = 0;
  private readonly kindCounts = new Float64Array(faultKinds.length);
  private nextMmId = 1;
  private nextMappingId = 1;

  /** @param memmapBytesPerFrame what the memory map takes of RAM for each frame: 64 as in Linux today, 32, 16 or 8 as planned. */
  constructor(machine: Machine, params: KernelParams, memmapBytesPerFrame: number = params.memmap) {
    const { firstPfn, nrFrames } = machine.ram;
    if (nrFrames < MIN_FRAMES) throw new UserError(`--mem: ${nrFrames * 4} kB of RAM is too little to boot. Give at least ${MIN_FRAMES * 4 / 1024}M.`);
    this.machine = machine;
    this.params = params;
    this.memmapBytesPerFrame = memmapBytesPerFrame;
    this.memmapBytes = Math.ceil((nrFrames * memmapBytesPerFrame) / PAGE_SIZE) * PAGE_SIZE;
    const memmapPages = this.memmapBytes / PAGE_SIZE;
    this.folios = new FolioTable(firstPfn, nrFrames);
    this.lru = new LruLists(this);
    this.memcg = new MemCgroups(this);
    this.memcg.root.lruvec = this.lru.kind.create(this.memcg.root);
    this.swap = new Swap(this);
    this.faults = new FaultLog(machine);
    this.cacheLog = new CacheLog(machine);
    this.asids = new AsidAllocator(machine);
    this.orderPolicy = linuxFolioOrder;
    this.khugepaged = new Khugepaged(this);
    // The memory map lies at the top of RAM, the zero page below it; the rest is free.
    const end = firstPfn + nrFrames;
    this.memmapPfn = asPfn(end - memmapPages);
    this.zeroPage = asPfn(this.memmapPfn - 1);
    for (let pfn: number = this.zeroPage; pfn < end; pfn++) {
      this.folios.prepare(asPfn(pfn), 0, MemdescType.Misc);
      this.folios.set(asPfn(pfn), FolioFlag.Reserved);
    }
    machine.zeroFrames(this.zeroPage, 1);
    this.pages = new PageAllocator(machine.ram, { start: firstPfn, end: this.zeroPage }, this.folios, params, this.vmstat, (managed) => minFreeKbytes(managed, true));
    this.buddy = this.pages.buddy;
    this.descriptors = new Descriptors(memmapBytesPerFrame as MemmapLayout, firstPfn, nrFrames, this);
    this.compaction = new Compaction(this);
    this.kcompactd = new Kcompactd(this);
    this.pressure = new Pressure(this);
    this.pages.hooks = this.pressure;
    this.managedPages = this.pages.managedPages;
    this.vmstat.add(VmItem.nr_memmap_boot_pages, memmapPages);
  }

  get memTotalBytes(): number {
    return this.managedPages * PAGE_SIZE;
  }
  /** What nobody owns, the per-cpu stock included (which MemFree of /proc/meminfo leaves out). */
  get freeBytes(): number {
    return this.pages.freePagesAndStock * PAGE_SIZE;
  }
  /** Free blocks by order, 0 to 10: /proc/buddyinfo. */
  freeBlocks(): readonly number[] {
    return this.buddy.counts();
  }
  get watermarks(): Watermarks {
    return this.pages.watermarks;
  }
  /** After min_free_kbytes or watermark_scale_factor changed. */
  setupWatermarks(): void {
    this.pages.setupWatermarks();
  }
  /** A disk is there from now on: its requests end as the clock goes. */
  addDisk(disk: BlockDevice): void {
    this.disks.push(disk);
    this.waits.clocks.push(disk);
  }
  newMmId(): number {
    return this.nextMmId++;
  }
  newMappingId(): number {
    return this.nextMappingId++;
  }

  // Frames.

  /** 2^order frames as one folio with one reference, contents undefined; 0: not to be had under the rules of `gfp`.
   *  @param payer null: the group of the task on the hart */
  allocFolio(order: number, type: MemdescType, gfp: number, payer: MemCgroup | null = null): Folio | 0 {
    if (this.allocationsUntilFailure <= 0) return 0;
    this.chargeFailed = false;
    const pfn = this.pages.alloc(order, gfp);
    if (pfn === 0) {
      this.memcg.overLimit = null; // it is the machine that has no memory
      return 0;
    }
    return this.allocated(pfn, order, type, gfp, payer);
  }
  /** The largest of several orders that can be had, by one call of the allocator. @param orders a bit an order; order 0 is always there
   *  @returns null: not even one page */
  allocFolioUpTo(orders: number, type: MemdescType, gfp: number, gfpOfOne: number): { folio: Folio; order: number } | null {
    if (this.allocationsUntilFailure <= 0) return null;
    const got = this.pages.allocUpTo(orders, gfp, gfpOfOne);
    if (got === null) return null;
    const folio = this.allocated(got.pfn, got.order, type, got.order > 0 ? gfp : gfpOfOne, null);
    return folio === 0 ? null : { folio, order: got.order };
  }
  /** Frames become a folio, with all that is counted for it. 0: no memory for its descriptor. */
  private allocated(pfn: Pfn, order: number, type: MemdescType, gfp: number, payer: MemCgroup | null): Folio | 0 {
    if (!this.descriptors.attach(pfn, type, order)) {
      this.pages.free(pfn, order);
      return 0;
    }
    const nr = 1 << order;
    this.allocationsUntilFailure--;
    this.vmstat.add(VmItem.pgalloc_normal, nr);
    this.machine.charge(this.params.cost.page_alloc);
    if (mmPageAlloc.enabled) mmPageAlloc.emit(pfn, order, migrateTypeOf(gfp), gfp);
    const folio = this.folios.prepare(pfn, order, type);
    if (type === MemdescType.AnonFolio) this.thp.count(order, ThpStat.nr_anon, 1);
    this.chargeFailed = !this.chargeFolio(folio, type, gfp, payer);
    if (!this.chargeFailed) return folio;
    this.freeFolio(folio, false);
    return 0;
  }
  /** Who pays: user memory and page tables are the group's whose task is on the hart. false: its limit is in the way. */
  private chargeFolio(folio: Folio, type: MemdescType, gfp: number, payer: MemCgroup | null): boolean {
    switch (type) {
      case MemdescType.AnonFolio: case MemdescType.FileFolio: return this.memcg.chargeFolio(folio, gfp, payer);
      case MemdescType.PageTable: return this.memcg.chargeKernel(1, gfp, folio);
      default: return true;
    }
  }
  /** Frames that compaction has taken out of the free lists become a folio, as allocFolio() makes them. 0: no memory for its descriptor. */
  adoptFrames(pfn: Pfn, order: number, type: MemdescType): Folio | 0 {
    if (!this.descriptors.attach(pfn, type, order)) return 0;
    if (type === MemdescType.AnonFolio) this.thp.count(order, ThpStat.nr_anon, 1);
    return this.folios.prepare(pfn, order, type);
  }
  /** The same with zeroed contents. */
  allocZeroed(order: number, type: MemdescType, gfp: number): Folio | 0 {
    const folio = this.allocFolio(order, type, gfp);
    if (folio !== 0) this.zeroFolio(folio, 1 << order);
    return folio;
  }
  zeroFolio(folio: Folio, nrPages: number): void {
    this.machine.zeroFrames(folio, nrPages);
    this.machine.charge(this.params.cost.page_zero * nrPages);
  }
  copyPage(to: Pfn, from: Pfn): void {
    this.machine.copyFrame(to, from);
    this.machine.charge(this.params.cost.page_copy);
  }
  /** One more reference to the folio behind a page, by somebody who is neither a mapping nor a file. */
  holdPage(pfn: Pfn): void {
    const folio = this.folios.folioOf(pfn);
    this.folios.get(folio);
    this.heldFolios.set(folio, (this.heldFolios.get(folio) ?? 0) + 1);
  }
  /** The reverse. A folio that is held is neither split nor moved, so that its head is the same still. */
  releasePage(pfn: Pfn): void {
    const folio = this.folios.folioOf(pfn);
    const held = this.heldFolios.get(folio) ?? bug(`folio ${hex(folio)} is not held`);
    if (held === 1) this.heldFolios.delete(folio);
    else this.heldFolios.set(folio, held - 1);
    this.putFolio(folio);
  }
  /** Drops references; the last one frees the folio. Mirrors folio_put_refs(). @param batched many go together: folios_put_refs() */
  putFolio(folio: Folio, nr = 1, batched = false): void {
    if (this.folios.put(folio, nr)) this.freeFolio(folio, batched);
  }
  private freeFolio(folio: Folio, batched: boolean): void {
    if (this.folios.refCount(folio) > 0) this.folios.put(folio);
    this.lru.remove(folio);
    const order = this.folios.order(folio);
    const pages = 1 << order;
    if (this.folios.isAnon(folio)) {
      this.thp.count(order, ThpStat.nr_anon, -1);
      if (this.folios.test(folio, FolioFlag.DeferredSplit | FolioFlag.PartiallyMapped)) this.deferredSplit.remove(folio);
    }
    if (this.folios.test(folio, FolioFlag.Mlocked)) {
      this.vmstat.add(VmItem.nr_mlock, -pages);
      this.vmstat.add(VmItem.unevictable_pgs_cleared, pages);
    }
    if (this.folios.group(folio) !== 0) this.memcg.unchargeFolio(folio);
    this.descriptors.detach(folio, this.folios.typeOf(folio), order);
    this.folios.retire(folio);
    this.pages.free(folio, order);
    this.vmstat.add(VmItem.pgfree, pages);
    this.machine.charge(this.params.cost.page_free);
    if (mmPageFree.enabled) mmPageFree.emit(folio, order);
    if (batched && mmPageFreeBatched.enabled && isPcpOrder(order)) mmPageFreeBatched.emit(folio);
  }
  /** A folio holds what the disk, or swap, does not (folio_mark_dirty()): found so in an entry that mapped it, or written by the kernel. */
  dirtyFolio(folio: Folio): void {
    const space = this.folios.isAnon(folio) ? undefined : this.addressSpaces.get(this.folios.mapping(folio));
    if (space === undefined) this.folios.set(folio, FolioFlag.Dirty);
    else {
      space.ops?.folioWritten(folio);
      space.dirtyFolio(folio);
    }
  }
  /** A frame for descriptors. */
  takeSlab(): Pfn | 0 {
    const slab = this.allocFolio(0, MemdescType.Slab, Gfp.Kernel);
    if (slab !== 0) this.vmstat.add(VmItem.nr_slab_unreclaimable, 1);
    return slab;
  }
  returnSlab(pfn: Pfn): void {
    this.vmstat.add(VmItem.nr_slab_unreclaimable, -1);
    this.putFolio(this.folios.folioOf(pfn));
  }
  /** The 2 MiB folio of zeros, made at first use; 0: no memory. The address space counts as a user of it as long as it lives.
   *  Mirrors mm_get_huge_zero_folio(). */
  getHugeZeroFolio(mm: Mm): Folio | 0 {
    if (this.hugeZero === 0) {
      this.hugeZero = this.allocZeroed(PMD_ORDER, MemdescType.Misc, Gfp.Thp);
      this.vmstat.add(this.hugeZero === 0 ? VmItem.thp_zero_page_alloc_failed : VmItem.thp_zero_page_alloc, 1);
      if (this.hugeZero === 0) return 0;
    }
    if (!mm.usesHugeZero) this.hugeZeroUsers++;
    mm.usesHugeZero = true;
    return this.hugeZero;
  }
  /** The address space is about to go: mm_put_huge_zero_folio(). */
  putHugeZeroFolio(mm: Mm): void {
    if (mm.usesHugeZero) this.hugeZeroUsers--;
    mm.usesHugeZero = false;
  }
  /** Frees it if nobody uses it: the huge zero folio's shrinker. */
  shrinkHugeZeroFolio(): void {
    if (this.hugeZero === 0 || this.hugeZeroUsers > 0) return;
    this.putFolio(this.hugeZero);
    this.hugeZero = 0;
  }
  get hugeZeroFolio(): Folio | 0 {
    return this.hugeZero;
  }
  /** Is the frame one of those that stand for zeros, which no mapping counts? */
  isZeroFrame(pfn: Pfn): boolean {
    return pfn === this.zeroPage || (this.hugeZero !== 0 && pfn >= this.hugeZero && pfn < this.hugeZero + (1 << PMD_ORDER));
  }

  /** The memdesc word of a frame: the descriptor's physical address with its type in the low four bits. 0, 4, 8, 12 mean free. */
  memdescWord(pfn: Pfn): number {
    const type = this.folios.typeOf(pfn);
    if (type === MemdescType.Buddy) return 0;
    const head = this.folios.folioOf(pfn);
    if (this.memmapBytesPerFrame !== 64) return this.descriptors.addressOf(head, type) + type;
    const descriptor = this.memmapPfn * PAGE_SIZE + (head - this.folios.firstPfn) * this.memmapBytesPerFrame;
    return Math.floor(descriptor / 16) * 16 + type;
  }

  // Promised memory.

  /** May so many more pages be promised, and if so promises them. Mirrors __vm_enough_memory(). */
  commit(pages: number, mm: Mm | null): boolean {
    const { overcommit_memory: mode } = this.params.vm;
    if (mode === 0 && pages > this.managedPages + this.swap.totalPages) return false;
    if (mode === 2) {
      const reserve = mm === null ? 0 : Math.min(Math.floor(mm.totalVm / 32), this.params.vm.user_reserve_kbytes / 4);
      if (this.committedPages + pages > this.commitLimitPages - reserve) return false;
    }
    this.committedPages += pages;
    return true;
  }
  /** Counts a promise that has been made already, under another name. */
  promise(pages: number): void {
    this.committedPages += pages;
  }
  uncommit(pages: number): void {
    this.committedPages -= pages;
    if (this.committedPages < 0) bug('Committed_AS below zero');
  }
  /** CommitLimit in pages. */
  get commitLimitPages(): number {
    const { overcommit_kbytes: kb, overcommit_ratio: ratio } = this.params.vm;
    return (kb !== 0 ? Math.floor(kb / 4) : Math.floor((this.managedPages * ratio) / 100)) + this.swap.totalPages;
  }

  // The kernel's own threads.

  /** The clock cycle at which runDaemons() has something to do; Infinity: never as things stand. */
  get daemonDeadline(): number {
    return Math.min(this.pressure.kswapdDeadline, this.writeback.deadline, this.khugepaged.deadline, this.kcompactd.deadline, this.accessSplit.deadline, this.swap.zswap.deadline);
  }
  /** Those that are due do their work. Called where nothing is half done: before a program runs on, and while all sleep. */
  runDaemons(): void {
    const { clockCycles } = this.machine;
    // The kernel's own threads are nobody's.
    const { active } = this.memcg;
    this.memcg.active = this.memcg.root;
    if (this.khugepaged.deadline <= clockCycles) this.asThread('khugepaged', () => { this.khugepaged.run(); });
    if (this.accessSplit.deadline <= clockCycles) this.asThread('access_split', () => { this.accessSplit.judge(); });
    if (this.pressure.isKswapdAwake) this.asThread('kswapd0', () => { this.pressure.kswapd(); });
    if (this.kcompactd.deadline <= clockCycles) this.asThread('kcompactd0', () => { this.kcompactd.run(); });
    if (this.writeback.deadline <= clockCycles) this.asThread('flusher', () => { this.writeback.run(); });
    if (this.swap.zswap.deadline <= clockCycles) this.asThread('zswap-shrink', () => { this.swap.zswap.run(); });
    this.memcg.active = active;
  }
  private asThread(name: KernelThread, work: () => void): void {
    if (kthreadBegin.enabled) kthreadBegin.emit(kernelThreads.indexOf(name));
    work();
    if (kthreadEnd.enabled) kthreadEnd.emit(kernelThreads.indexOf(name));
  }

  // Faults by what they turned out to be.

  countFault(kind: FaultKind): void {
    this.kindCounts[faultKinds.indexOf(kind)]!++;
  }
  faultsByKind(): Record<FaultKind, number> {
    return Object.fromEntries(faultKinds.map((kind, i) => [kind, this.kindCounts[i]!])) as Record<FaultKind, number>;
  }

  /** Throws Bug when an invariant fails. Walks everything: for tests, fuzzers and --sanitize. */
  check(): void {
    checkSystem(this);
  }
  hash(into: StateHash): void {
    this.folios.hash(into);
    this.pages.hash(into);
    this.descriptors.hash(into);
    this.vmstat.hash(into);
    this.thp.hash(into);
    this.khugepaged.hash(into);
    this.compaction.hash(into);
    this.kcompactd.hash(into);
    this.pressure.hash(into);
    into.numbers(this.kindCounts);
    into.numbers([this.committedPages, this.hugeZero, this.hugeZeroUsers, this.nextMmId, this.nextMappingId, this.asids.generation, this.asids.next]);
    this.anonVmas.hash(into);
    this.deferredSplit.hash(into);
    this.waits.hash(into);
    this.lru.hash(into);
    this.lruGen.hash(into);
    this.memcg.hash(into);
    this.swap.hash(into);
    this.vmscan.hash(into);
    this.shadowNodes.hash(into);
    this.writeback.hash(into);
    for (const space of this.addressSpaces.values()) if (space.ops !== null || space.nrSwapped > 0) space.hash(into);
    this.accessSplit.hash(into);
    this.collapseHistory.hash(into);
    for (const mm of this.mms) mm.hash(into);
  }
}
