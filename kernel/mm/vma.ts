// VMAs: the ranges of an address space, each with one set of rights and one backing. Here: Vma, the ordered list of them, when two may merge,
// how one splits. Not here: which system call does that (mmap.ts, mprotect.ts, ...). Mirrors mm/vma.c of 6.18; the maple tree is a sorted array.
import { PAGE_SIZE, bug, hex } from '#base';
import type { StateHash } from '#base';
import { Pte } from '#mmu';
import { linkAnonVmas, setAnonVmas, unlinkAnonVmas } from './anon-vma.ts';
import type { AnonVma } from './anon-vma.ts';
import type { FileMapping } from './filemap.ts';
import type { Mm } from './mm.ts';
import type { VmaReadahead } from './swap/swap-readahead.ts';

export type { AnonVma } from './anon-vma.ts';

/** vm_flags, with Linux's bits (include/linux/mm.h); but Droppable and Sealed, which are bits 40 and 63 there, take two that riscv leaves free. */
export const VmFlag = {
  Read: 1, Write: 2, Exec: 4, Shared: 8, MayRead: 0x10, MayWrite: 0x20, MayExec: 0x40, MayShare: 0x80, GrowsDown: 0x100, MaybeGuard: 0x800,
  Locked: 0x2000, SeqRead: 0x8000, RandRead: 0x1_0000, DontCopy: 0x2_0000, DontExpand: 0x4_0000, LockOnFault: 0x8_0000,
  Account: 0x10_0000, NoReserve: 0x20_0000, Droppable: 0x80_0000, Sealed: 0x100_0000, WipeOnFork: 0x200_0000, DontDump: 0x400_0000, HugePage: 0x2000_0000, NoHugePage: 0x4000_0000,
} as const;
export const VM_ACCESS = VmFlag.Read | VmFlag.Write | VmFlag.Exec;
/** What does not keep two VMAs apart, and the merged one has if either had it: VM_STICKY. */
export const VM_STICKY = VmFlag.MaybeGuard;

/** What a VMA is to those who only look (procfs). */
export interface VmaView {
  /** Byte addresses, half-open. */
  readonly start: number;
  readonly end: number;
  /** VmFlag bits. */
  readonly flags: number;
  /** Page offset in the file; for anonymous memory the page number of `start` when it was mapped. */
  readonly pgoff: number;
  readonly file: FileMapping | null;
  /** What prctl(PR_SET_VMA_ANON_NAME) called it; null: nothing. */
  readonly anonName: string | null;
}

export class Vma implements VmaView {
  start: number;
  end: number;
  flags: number;
  pgoff: number;
  readonly file: FileMapping | null;
  anonName: string | null = null;
  /** The one that new pages join; null before the first anonymous fault. */
  anonVma: AnonVma | null = null;
  /** Every one through which a page of this VMA may be reached: its own, and those of its forebears. */
  anonVmaChain: readonly AnonVma[] = [];
  /** How its pages have come back from swap of late; null: none has. swap_readahead_info */
  swapRa: VmaReadahead | null = null;

  constructor(start: number, end: number, flags: number, pgoff: number, file: FileMapping | null) {
    this.start = start;
    this.end = end;
    this.flags = flags;
    this.pgoff = pgoff;
    this.file = file;
  }
  get nrPages(): number {
    return (this.end - this.start) / PAGE_SIZE;
  }
  /** vma_is_anonymous(): private memory without a file. Shared anonymous memory has a file of its own. */
  get isAnonymous(): boolean {
    return this.file === null;
  }
  has(flag: number): boolean {
    return (this.flags & flag) !== 0;
  }
  /** The page offset of an address: linear_page_index(). */
  pgoffOf(va: number): number {
    return this.pgoff + Math.floor((va - this.start) / PAGE_SIZE);
  }
  /** PTE bits for a page mapped here: vm_page_prot. Private memory never gets W from here, so that the first write faults. A is set: a
   *  page is mapped because it is used. Rights of PROT_NONE: invalid to the hart, present to the kernel (G without V). */
  get pageProt(): number {
    // The first write to a page of a disk's file must be noticed: vma_wants_writenotify().
    return this.file !== null && this.file.space.ops !== null ? pageProt(this.flags) & ~Pte.W : pageProt(this.flags);
  }
}

export function pageProt(flags: number): number {
  if ((flags & VM_ACCESS) === 0) return Pte.G | Pte.R | Pte.A;
  let bits = Pte.V | Pte.U | Pte.A;
  if ((flags & (VmFlag.Read | VmFlag.Write)) !== 0) bits |= Pte.R;
  if ((flags & VmFlag.Exec) !== 0) bits |= Pte.X;
  if ((flags & VmFlag.Write) !== 0 && (flags & VmFlag.Shared) !== 0) bits |= Pte.W;
  return bits;
}

/** How a range is counted: data_vm, exec_vm and stack_vm of mm_struct. Mirrors is_data_mapping() and its sisters. */
export const isStackMapping = (flags: number): boolean => (flags & VmFlag.GrowsDown) !== 0;
export const isExecMapping = (flags: number): boolean => (flags & (VmFlag.Exec | VmFlag.Write)) === VmFlag.Exec && !isStackMapping(flags);
export const isDataMapping = (flags: number): boolean => (flags & (VmFlag.Write | VmFlag.Shared)) === VmFlag.Write && !isStackMapping(flags);
/** Does the range promise memory? Private writable memory without NORESERVE. */
export const isAccountable = (flags: number): boolean => (flags & (VmFlag.NoReserve | VmFlag.Shared | VmFlag.Write)) === VmFlag.Write;

/** The VMAs of one address space, in order of address. */
export class VmaList {
  private readonly mm: Mm;
  readonly all: Vma[] = [];
  private last = 0; // index of the VMA that was found last

  constructor(mm: Mm) {
    this.mm = mm;
  }

  /** The first VMA that ends above `va`: find_vma(). It may begin above it, too. */
  firstEndingAbove(va: number): Vma | null {
    return this.all[this.indexAbove(va)] ?? null;
  }
  /** The VMA that holds `va`. */
  at(va: number): Vma | null {
    const vma = this.firstEndingAbove(va);
    return vma !== null && vma.start <= va ? vma : null;
  }
  /** Index of the first VMA that ends above `va`; the number of VMAs if none does. */
  indexAbove(va: number): number {
    const hit = this.all[this.last];
    if (hit !== undefined && hit.start <= va && va < hit.end) return this.last;
    let low = 0;
    let high = this.all.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (this.all[mid]!.end > va) high = mid;
      else low = mid + 1;
    }
    this.last = low;
    return low;
  }
  /** The neighbours of an address range: the last VMA that ends at or below `start`, the first that begins at or above `end`. */
  prevOf(start: number): Vma | null {
    const index = this.indexAbove(start);
    const vma = this.all[index];
    return vma !== undefined && vma.end <= start ? vma : (this.all[index - 1] ?? null);
  }
  nextOf(end: number): Vma | null {
    const index = this.indexAbove(end);
    const vma = this.all[index];
    return vma === undefined || vma.start >= end ? (vma ?? null) : (this.all[index + 1] ?? null);
  }
  /** The VMAs that overlap [start, end), in order. A copy: the list may change meanwhile. */
  overlapping(start: number, end: number): Vma[] {
    const found: Vma[] = [];
    for (let i = this.indexAbove(start); i < this.all.length && this.all[i]!.start < end; i++) found.push(this.all[i]!);
    return found;
  }
  insert(vma: Vma): void {
    const index = this.indexAbove(vma.start);
    const next = this.all[index];
    if (next !== undefined && next.start < vma.end) bug(`VMA at ${hex(vma.start)} overlaps the one at ${hex(next.start)}`);
    this.all.splice(index, 0, vma);
    linkAnonVmas(this.mm, vma);
    if (vma.file !== null) vma.file.space.addVma(this.mm, vma);
  }
  remove(vma: Vma): void {
    const index = this.all.indexOf(vma, this.indexAbove(vma.start));
    if (index < 0) bug(`VMA at ${hex(vma.start)} is not there`);
    this.all.splice(index, 1);
    unlinkAnonVmas(vma);
    if (vma.file !== null) vma.file.space.removeVma(vma);
  }
  /** Gives a VMA of the list another anon_vma and chain. */
  setAnonVmas(vma: Vma, own: AnonVma | null, chain: readonly AnonVma[]): void {
    setAnonVmas(this.mm, vma, own, chain);
  }
  get count(): number {
    return this.all.length;
  }
  hash(into: StateHash): void {
    for (const vma of this.all) {
      into.numbers([vma.start, vma.end, vma.flags, vma.pgoff, vma.anonVma?.id ?? 0]);
      if (vma.anonName !== null) into.text(vma.anonName);
    }
  }
}

// Merging.

/** What a range that wants to join a neighbour is like. */
export interface VmaKind {
  readonly start: number;
  readonly end: number;
  readonly flags: number;
  readonly pgoff: number;
  readonly file: FileMapping | null;
  readonly anonVma: AnonVma | null;
  readonly anonVmaChain: readonly AnonVma[];
  /** Missing: no name. */
  readonly anonName?: string | null;
}

/** May pages of one join the other's anon_vma? Equal ones may; a missing one may be taken over from a VMA that fork never copied.
 *  Mirrors is_mergeable_anon_vma(). */
function anonCompatible(a: Pick<VmaKind, 'anonVma' | 'anonVmaChain'>, b: Pick<VmaKind, 'anonVma' | 'anonVmaChain'>): boolean {
  if (a.anonVma === b.anonVma) return true;
  if (a.anonVma === null) return b.anonVmaChain.length === 1;
  if (b.anonVma === null) return a.anonVmaChain.length === 1;
  return false;
}
function alike(a: VmaKind, b: VmaKind): boolean {
  return ((a.flags ^ b.flags) & ~VM_STICKY) === 0 && a.file === b.file && (a.anonName ?? null) === (b.anonName ?? null) && (a.flags & VmFlag.DontExpand) === 0;
}
/** May `right`, which begins where `left` ends, be one with it? */
export function canMerge(left: VmaKind, right: VmaKind): boolean {
  return left.end === right.start && alike(left, right) && left.pgoff + (left.end - left.start) / PAGE_SIZE === right.pgoff && anonCompatible(left, right);
}

/** `into` takes over the pages of `from`: what is known of them, and the anon_vma of the anonymous ones. */
function adoptPages(list: VmaList, into: Vma, from: VmaKind): void {
  into.flags |= from.flags & VM_STICKY;
  if (into.anonVma !== null || from.anonVma === null) return;
  list.setAnonVmas(into, from.anonVma, from.anonVmaChain);
}

/** Gives a range that no VMA covers to its neighbours, if it is like them. @returns the VMA that now covers it; null: make a new one.
 *  Mirrors vma_merge_new_range(). */
export function mergeNewRange(list: VmaList, range: VmaKind): Vma | null {
  const prev = list.prevOf(range.start);
  const next = list.nextOf(range.end);
  const left = prev !== null && canMerge(prev, range);
  const right = next !== null && canMerge(range, next);
  if (left && right && anonCompatible(prev, next)) {
    const end = next.end;
    adoptPages(list, prev, range);
    adoptPages(list, prev, next);
    list.remove(next);
    prev.end = end;
    return prev;
  }
  if (left) {
    prev.end = range.end;
    adoptPages(list, prev, range);
    return prev;
  }
  if (right) {
    next.start = range.start;
    next.pgoff = range.pgoff;
    adoptPages(list, next, range);
    return next;
  }
  return null;
}

/** Makes [start, end) of `vma` a VMA of its own with other flags (and another name), or part of a neighbour that has them. @returns the VMA that now covers
 *  the range; null: it would take more VMAs than are allowed. Mirrors vma_modify(). @param mayAdd how many VMAs may be added */
export function modifyVma(list: VmaList, vma: Vma, start: number, end: number, flags: number, mayAdd: number, anonName: string | null = vma.anonName): Vma | null {
  const range: VmaKind = { start, end, flags, pgoff: vma.pgoffOf(start), file: vma.file, anonVma: vma.anonVma, anonVmaChain: vma.anonVmaChain, anonName };
  const prev = start === vma.start ? list.prevOf(start) : null;
  const next = end === vma.end ? list.nextOf(end) : null;
  const left = prev !== null && canMerge(prev, range);
  const right = next !== null && canMerge(range, next);
  if (left && right && anonCompatible(prev, next)) {
    adoptPages(list, prev, range);
    adoptPages(list, prev, next);
    const newEnd = next.end;
    list.remove(vma);
    list.remove(next);
    prev.end = newEnd;
    return prev;
  }
  if (left) {
    adoptPages(list, prev, range);
    if (end === vma.end) list.remove(vma);
    else moveStart(vma, end);
    prev.end = end;
    return prev;
  }
  if (right) {
    adoptPages(list, next, range);
    if (start === vma.start) list.remove(vma);
    else vma.end = start;
    moveStart(next, start);
    return next;
  }
  if ((start > vma.start ? 1 : 0) + (end < vma.end ? 1 : 0) > mayAdd) return null;
  let middle = vma;
  if (start > middle.start) middle = splitVma(list, middle, start);
  if (end < middle.end) splitVma(list, middle, end);
  middle.flags = flags;
  middle.anonName = anonName;
  return middle;
}
function moveStart(vma: Vma, start: number): void {
  vma.pgoff += (start - vma.start) / PAGE_SIZE;
  vma.start = start;
}

/** Cuts a VMA in two at `at`. @returns the upper part. Page tables stay as they are. */
export function splitVma(list: VmaList, vma: Vma, at: number): Vma {
  if (at <= vma.start || at >= vma.end) bug(`split of VMA ${hex(vma.start)}-${hex(vma.end)} at ${hex(at)}`);
  const upper = new Vma(at, vma.end, vma.flags, vma.pgoffOf(at), vma.file);
  upper.anonVma = vma.anonVma;
  upper.anonVmaChain = vma.anonVmaChain;
  upper.anonName = vma.anonName;
  vma.end = at;
  list.insert(upper);
  return upper;
}
