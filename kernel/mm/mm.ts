// Mm: one address space (struct mm_struct). Here: what it holds, its counters, its life. Not here: the system calls that change it
// (mmap.ts, mprotect.ts, mremap.ts, madvise.ts, mlock.ts), faults (fault.ts). Tasks that share an address space share the Mm; who uses it
// is process management's to count.
import { PAGE_SIZE, bug } from '#base';
import type { Asid, Pfn, StateHash } from '#base';
import type { FaultCounts } from '../proc/task.ts';
import { exitMmap, rssStat } from './events.ts';
import { FenceBatch, Fences } from './fences.ts';
import type { FileMapping } from './filemap.ts';
import { splitHugeAt } from './huge.ts';
import { madvise } from './madvise.ts';
import { mincore, mlock, mlockAll, msync, munlock, munlockAll } from './mlock.ts';
import { brk, mmap, munmap } from './mmap.ts';
import { Mdwe } from './mman.ts';
import type { MmapRequest } from './mman.ts';
import type { MemCgroup } from './memcg.ts';
import { mprotect } from './mprotect.ts';
import { mseal } from './mseal.ts';
import { mremap } from './mremap.ts';
import { PageTables } from './pagetable.ts';
import type { MmSystem } from './system.ts';
import { unmapRegion } from './unmap.ts';
import { VmFlag, VmaList, isDataMapping, isExecMapping, isStackMapping, modifyVma, splitVma } from './vma.ts';
import type { Vma } from './vma.ts';

export * from './mman.ts';

/** RLIMIT_AS, _DATA, _STACK, _MEMLOCK in bytes; Infinity: none. `mapsLow`: may map below vm.mmap_min_addr (CAP_SYS_RAWIO). */
export interface MmLimits { as: number; data: number; stack: number; memlock: number; mapsLow: boolean }

const STACK_GAP_MIN = 128 << 20;

export class Mm {
  readonly system: MmSystem;
  /** Small and unique: mm_struct's mm_id, and the one that tracepoints print. */
  readonly id: number;
  readonly vmaList: VmaList;
  readonly tables: PageTables;
  readonly fences: Fences;
  exePath = '';
  /** The program's file, while it may not be written. */
  exeFile: FileMapping | null = null;
  startCode = 0; endCode = 0; startData = 0; endData = 0; startBrk = 0;
  /** The break as brk(2) gives it: mm_struct's brk. */
  brkEnd = 0;
  startStack = 0; argStart = 0; argEnd = 0; envStart = 0; envEnd = 0;
  /** Where mappings without a wish are placed below. Set from the stack limit by pickLayout(). */
  mmapBase = 0;
  limits: MmLimits = { as: Infinity, data: Infinity, stack: 8 << 20, memlock: 8 << 20, mapsLow: false };
  /** VmFlag bits that every new mapping gets: mlockall(MCL_FUTURE). */
  defFlags = 0;
  /** prctl(PR_SET_THP_DISABLE): no large folios at all; or, with PR_THP_DISABLE_EXCEPT_ADVISED, only where a program asks for them. */
  thpDisabled = false;
  thpExceptAdvised = false;
  /** prctl(PR_SET_MDWE): Mdwe bits. */
  mdwe = 0;
  /** It has mapped the huge zero folio at some time: MMF_HUGE_ZERO_FOLIO. */
  usesHugeZero = false;
  /** Whose counts grow when the kernel touches pages on its own (MAP_POPULATE, mlock): the task that runs. */
  counts: FaultCounts = { minFlt: 0, majFlt: 0 };
  /** It was put on the hart since MGLRU last swept its tables (lru_gen.bitmap); the round of sweeps that met it last, and the clock cycle at which it did. */
  ranSinceWalk = false;
  sweptIn = 0;
  sweptAt = 0;
  /** Whose memory its pages are: mm->owner's. */
  group: MemCgroup;
  /** Resident pages by kind, and those that are in swap. */
  readonly rss = { filePages: 0, anonPages: 0, swapEntries: 0, shmemPages: 0 };
  /** All in pages. */
  hiwaterRss = 0; totalVm = 0; hiwaterVm = 0; dataVm = 0; stackVm = 0; execVm = 0; lockedVm = 0;

  private constructor(system: MmSystem, tables: PageTables, fences: Fences) {
    this.system = system;
    this.group = system.memcg.active;
    this.id = system.newMmId();
    this.vmaList = new VmaList(this);
    this.tables = tables;
    this.fences = fences;
    this.pickLayout();
  }
  /** An empty address space; null: no memory for its root table. */
  static create(system: MmSystem): Mm | null {
    const fences = new Fences(system.machine, system.params, system.asids);
    const tables = PageTables.create(system, fences);
    if (tables === null) return null;
    const mm = new Mm(system, tables, fences);
    system.mms.push(mm);
    return mm;
  }
  /** exit_mmap(): unmaps everything, frees the tables. The Mm is not to be used afterwards. */
  dispose(): void {
    if (exitMmap.enabled) exitMmap.emit(this.id);
    this.system.khugepaged.exit(this);
    const batch = new FenceBatch(this.fences);
    const vmas = [...this.vmaList.all];
    for (const vma of vmas) this.dropVma(vma);
    unmapRegion(this, vmas, batch);
    this.fences.all();
    if (this.rss.anonPages !== 0 || this.rss.filePages !== 0 || this.rss.shmemPages !== 0 || this.rss.swapEntries !== 0) bug(`rss of address space ${this.id} at exit: ${JSON.stringify(this.rss)}`);
    this.tables.freeRoot();
    this.system.putHugeZeroFolio(this);
    this.system.collapseHistory.forget(this);
    if (this.system.runningMm === this) this.system.runningMm = null;
    this.system.mms.splice(this.system.mms.indexOf(this), 1);
  }

  // Where things are.

  get root(): Pfn {
    return this.tables.root;
  }
  get asid(): Asid {
    return this.fences.asid;
  }
  /** The hart's satp := this address space; hands out an ASID when it needs one. */
  activate(): void {
    this.ranSinceWalk = true;
    this.system.runningMm = this;
    this.fences.activate(this.tables.root);
  }
  /** TASK_SIZE: the first address that is not the program's. */
  get taskSize(): number {
    return this.system.machine.sv === 39 ? 2 ** 38 : this.system.machine.sv === 48 ? 2 ** 47 : 2 ** 52;
  }
  /** Where the stack begins, and above which nothing is placed unasked: DEFAULT_MAP_WINDOW. */
  get stackTop(): number {
    return Math.min(this.taskSize, 2 ** 47);
  }
  get tableCeiling(): number {
    return this.taskSize;
  }
  /** arch_pick_mmap_layout(), without randomness: mappings grow down from below the stack limit. Call again when the limit has changed. */
  pickLayout(): void {
    const gap = this.limits.stack + this.system.params.vm.stack_guard_gap * PAGE_SIZE;
    const clamped = Math.min(Math.max(gap, STACK_GAP_MIN), Math.floor(this.stackTop / 6) * 5);
    this.mmapBase = Math.ceil((this.stackTop - clamped) / PAGE_SIZE) * PAGE_SIZE;
  }
  /** In order of address. */
  get vmas(): readonly Vma[] {
    return this.vmaList.all;
  }
  /** The VMA that holds `va`. */
  findVma(va: number): Vma | null {
    return this.vmaList.at(va);
  }

  // The system calls. Addresses and lengths in bytes as the program gave them; the answer is an address, 0, or -errno.

  mmap(request: MmapRequest): number {
    return mmap(this, request);
  }
  munmap(addr: number, len: number): number {
    return munmap(this, addr, len);
  }
  /** brk(2): the new break, or the old one when it cannot be had. */
  brk(to: number): number {
    return brk(this, to);
  }
  mprotect(addr: number, len: number, prot: number): number {
    return mprotect(this, addr, len, prot);
  }
  mremap(old: number, oldLen: number, newLen: number, flags: number, newAddr: number): number {
    return mremap(this, old, oldLen, newLen, flags, newAddr);
  }
  madvise(addr: number, len: number, advice: number): number {
    return madvise(this, addr, len, advice);
  }
  /** @param into one byte a page, bit 0: in memory. Long enough for the range. */
  mincore(addr: number, len: number, into: Uint8Array): number {
    return mincore(this, addr, len, into);
  }
  msync(addr: number, len: number, flags: number): number {
    return msync(this, addr, len, flags);
  }
  /** @param onFault MLOCK_ONFAULT of mlock2 */
  mlock(addr: number, len: number, onFault = false): number {
    return mlock(this, addr, len, onFault);
  }
  munlock(addr: number, len: number): number {
    return munlock(this, addr, len);
  }
  mlockAll(flags: number): number {
    return mlockAll(this, flags);
  }
  munlockAll(): number {
    return munlockAll(this);
  }
  mseal(addr: number, len: number, flags: number): number {
    return mseal(this, addr, len, flags);
  }

  /** What fork and execve hand on: mmf_init_legacy_flags(). */
  get inheritedMdwe(): number {
    return (this.mdwe & Mdwe.NoInherit) !== 0 ? 0 : this.mdwe;
  }

  // Counting. kB in /proc are these times four.

  get pgtablesBytes(): number {
    return this.tables.bytes;
  }
  get rssPages(): number {
    return this.rss.anonPages + this.rss.filePages + this.rss.shmemPages;
  }
  addFilePages(n: number): void {
    this.rss.filePages += n;
    this.rssChanged(0, this.rss.filePages);
  }
  addAnonPages(n: number): void {
    this.rss.anonPages += n;
    this.rssChanged(1, this.rss.anonPages);
  }
  addShmemPages(n: number): void {
    this.rss.shmemPages += n;
    this.rssChanged(3, this.rss.shmemPages);
  }
  addSwapEntries(n: number): void {
    this.rss.swapEntries += n;
    if (rssStat.enabled) rssStat.emit(this.id, 1, 2, this.rss.swapEntries * PAGE_SIZE);
  }
  private rssChanged(member: number, pages: number): void {
    if (this.rssPages > this.hiwaterRss) this.hiwaterRss = this.rssPages;
    if (rssStat.enabled) rssStat.emit(this.id, 1, member, pages * PAGE_SIZE);
  }
  /** vm_stat_account(). @param pages negative when they go */
  accountVm(flags: number, pages: number): void {
    this.totalVm += pages;
    if (this.totalVm > this.hiwaterVm) this.hiwaterVm = this.totalVm;
    if (isExecMapping(flags)) this.execVm += pages;
    else if (isStackMapping(flags)) this.stackVm += pages;
    else if (isDataMapping(flags)) this.dataVm += pages;
  }
  /** RLIMIT_AS and RLIMIT_DATA: may_expand_vm(). */
  mayExpand(flags: number, pages: number): boolean {
    if (this.totalVm + pages > this.limits.as / PAGE_SIZE) return false;
    return !isDataMapping(flags) || this.dataVm + pages <= this.limits.data / PAGE_SIZE;
  }
  /** Would a range that had `oldFlags` gain a right to execute that PR_SET_MDWE refuses? map_deny_write_exec() */
  deniesWriteExec(oldFlags: number, flags: number): boolean {
    if ((this.mdwe & Mdwe.RefuseExecGain) === 0 || (flags & VmFlag.Exec) === 0) return false;
    return (flags & VmFlag.Write) !== 0 || (oldFlags & VmFlag.Exec) === 0;
  }
  /** Is any VMA of the range sealed? */
  hasSealed(start: number, end: number): boolean {
    return this.vmaList.overlapping(start, end).some((vma) => vma.has(VmFlag.Sealed));
  }
  /** RLIMIT_MEMLOCK: mlock_future_ok(). */
  mayLock(pages: number): boolean {
    return this.lockedVm + pages <= this.limits.memlock / PAGE_SIZE;
  }

  // Changing VMAs. What lies across a new boundary is split first.

  chargeVmaOp(): void {
    this.system.machine.charge(this.system.params.cost.vma_op);
  }
  /** VMAs that may still be added. */
  get mapCountLeft(): number {
    return this.system.params.vm.max_map_count - this.vmaList.count;
  }
  splitVma(vma: Vma, at: number): Vma {
    splitHugeAt(this, vma, at);
    this.chargeVmaOp();
    return splitVma(this.vmaList, vma, at);
  }
  /** Gives [start, end) of a VMA other flags, merging and splitting as needed; null: too many VMAs. */
  modifyVma(vma: Vma, start: number, end: number, flags: number, anonName: string | null = vma.anonName): Vma | null {
    if (start > vma.start) splitHugeAt(this, vma, start);
    if (end < vma.end) splitHugeAt(this, vma, end);
    this.chargeVmaOp();
    return modifyVma(this.vmaList, vma, start, end, flags, this.mapCountLeft, anonName);
  }
  /** Takes a VMA off the list with its accounts; its pages are still mapped. */
  dropVma(vma: Vma): void {
    this.vmaList.remove(vma);
    this.accountVm(vma.flags, -vma.nrPages);
    if (vma.has(VmFlag.Account)) this.system.uncommit(vma.nrPages);
    if (vma.has(VmFlag.Locked)) this.lockedVm -= vma.nrPages;
    this.chargeVmaOp();
  }

  hash(into: StateHash): void {
    this.vmaList.hash(into);
    into.numbers([this.vmaList.count, this.id, this.fences.asid, this.brkEnd, this.mmapBase, this.tables.bytes, this.totalVm, this.lockedVm, this.rss.anonPages, this.rss.filePages, this.rss.shmemPages, this.hiwaterRss, this.ranSinceWalk ? 1 : 0, this.sweptIn, this.sweptAt]);
  }
}
