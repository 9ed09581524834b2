// mmap, munmap, brk: where mappings go and what they are allowed to be. Mirrors mm/mmap.c and mm/vma.c, 6.18.
// Left out: hugetlb, MAP_SYNC, growing upwards: refused with the errno of a kernel built without them.
import { PAGE_SIZE } from '#base';
import { Errno } from '../syscall/errno.ts';
import { vmUnmappedArea } from './events.ts';
import { FenceBatch } from './fences.ts';
import { AddressSpace } from './filemap.ts';
import type { FileMapping } from './filemap.ts';
import { MapFlag, Prot } from './mman.ts';
import type { MmapRequest } from './mman.ts';
import type { Mm } from './mm.ts';
import { populate } from './populate.ts';
import { unmapRegion } from './unmap.ts';
import { VmFlag, Vma, isAccountable, mergeNewRange } from './vma.ts';

const PMD_SIZE = 2 << 20;
export const pageAlignUp = (n: number): number => Math.ceil(n / PAGE_SIZE) * PAGE_SIZE;
const isPageAligned = (n: number): boolean => n % PAGE_SIZE === 0;
const MAY_ALL = VmFlag.MayRead | VmFlag.MayWrite | VmFlag.MayExec;

/** VmFlag bits of Prot bits: calc_vm_prot_bits(). */
export const protFlags = (prot: number): number => prot & (Prot.Read | Prot.Write | Prot.Exec);

export function mmap(mm: Mm, request: MmapRequest): number {
  const { prot, flags, file, pgoff } = request;
  const { system } = mm;
  const type = flags & MapFlag.Type;
  const anonymous = file === null;
  if (request.len === 0) return -Errno.EINVAL;
  const droppable = type === MapFlag.Droppable && anonymous;
  if (type !== MapFlag.Shared && type !== MapFlag.Private && !droppable && (type !== MapFlag.SharedValidate || anonymous)) return -Errno.EINVAL;
  if ((flags & MapFlag.HugeTlb) !== 0) return -Errno.EINVAL;
  if (type === MapFlag.SharedValidate && (flags & MapFlag.Sync) !== 0) return -Errno.ENOTSUP;
  const len = pageAlignUp(request.len);
  if (len < 0 || len > mm.taskSize) return -Errno.ENOMEM;
  if (pgoff + len / PAGE_SIZE > 2 ** 52) return -Errno.EOVERFLOW;
  if (mm.vmaList.count > system.params.vm.max_map_count) return -Errno.ENOMEM;

  const fixed = (flags & (MapFlag.Fixed | MapFlag.FixedNoReplace)) !== 0;
  // /dev/zero opened read-only and mapped shared is private memory that can never become writable (mmap_zero).
  const zerosOnly = anonymous && type !== MapFlag.Private && !droppable && request.readOnly === true;
  const shared = type !== MapFlag.Private && !droppable && !zerosOnly;
  if (zerosOnly && (prot & Prot.Write) !== 0) return -Errno.EACCES;
  const addr = unmappedArea(mm, fixed ? request.addr : roundHint(mm, request.addr), len, fixed, anonymous && !shared ? (len % PMD_SIZE === 0 ? 0 : null) : largeFolioOffset(file, request.pgoff, len));
  if (addr < 0) return addr;
  const end = addr + len;
  if ((flags & MapFlag.FixedNoReplace) !== 0 && mm.vmaList.overlapping(addr, end).length > 0) return -Errno.EEXIST;

  let vmFlags = protFlags(prot) | MAY_ALL | mm.defFlags;
  if ((flags & MapFlag.GrowsDown) !== 0) vmFlags |= VmFlag.GrowsDown;
  if ((flags & MapFlag.Locked) !== 0) vmFlags |= VmFlag.Locked;
  if ((flags & MapFlag.Stack) !== 0) vmFlags |= VmFlag.NoHugePage;
  if ((vmFlags & VmFlag.Locked) !== 0) {
    if (mm.limits.memlock === 0) return -Errno.EPERM;
    if (!mm.mayLock(len / PAGE_SIZE)) return -Errno.EAGAIN;
  }
  if (shared) {
    if (anonymous && (flags & MapFlag.GrowsDown) !== 0) return -Errno.EINVAL;
    if (!anonymous && !file.mayWrite && (prot & Prot.Write) !== 0) return -Errno.EACCES;
    vmFlags |= VmFlag.Shared | VmFlag.MayShare;
    // A shared mapping of a file that may not be written is as good as private: nobody can tell.
    if (!anonymous && !file.mayWrite) vmFlags &= ~(VmFlag.MayWrite | VmFlag.Shared);
  }
  if (droppable) {
    if ((flags & (MapFlag.Locked | MapFlag.GrowsDown)) !== 0) return -Errno.EINVAL;
    // What may go at any time need not be promised, copied or dumped.
    vmFlags |= VmFlag.Droppable | VmFlag.NoReserve | VmFlag.WipeOnFork | VmFlag.DontDump;
  }
  if (zerosOnly) vmFlags = (vmFlags | VmFlag.MayShare) & ~VmFlag.MayWrite;
  if (!anonymous && (vmFlags & VmFlag.GrowsDown) !== 0) return -Errno.EINVAL;
  if ((flags & MapFlag.NoReserve) !== 0 && system.params.vm.overcommit_memory !== 2) vmFlags |= VmFlag.NoReserve;

  const result = mapRegion(mm, addr, end, vmFlags, file, pgoff, shared);
  if (result < 0) return result;
  if ((vmFlags & VmFlag.Locked) !== 0 || (flags & (MapFlag.Populate | MapFlag.NonBlock)) === MapFlag.Populate) populate(mm, addr, end);
  return addr;
}

/** Puts a VMA at a place that has been checked; what is there goes. Mirrors mmap_region(). */
function mapRegion(mm: Mm, addr: number, end: number, vmFlags: number, file: FileMapping | null, pgoff: number, shared: boolean): number {
  const { system } = mm;
  const pages = (end - addr) / PAGE_SIZE;
  if (mm.deniesWriteExec(vmFlags, vmFlags)) return -Errno.EACCES;
  const replaced = mm.vmaList.overlapping(addr, end).reduce((sum, vma) => sum + (Math.min(vma.end, end) - Math.max(vma.start, addr)) / PAGE_SIZE, 0);
  if (!mm.mayExpand(vmFlags, pages - replaced)) return -Errno.ENOMEM;
  // What the new range promises beyond what goes: before anything goes, so that a refusal changes nothing.
  const gone = mm.vmaList.overlapping(addr, end).reduce((sum, vma) => sum + (vma.has(VmFlag.Account) ? (Math.min(vma.end, end) - Math.max(vma.start, addr)) / PAGE_SIZE : 0), 0);
  const accountable = isAccountable(vmFlags);
  const more = accountable ? Math.max(0, pages - gone) : 0;
  if (more > 0 && !system.commit(more, mm)) return -Errno.ENOMEM;
  // One more may be needed where the new range cuts an old one in two.
  if (replaced > 0) {
    const failed = munmap(mm, addr, end - addr);
    if (failed !== 0) {
      system.uncommit(more);
      return failed;
    }
  }
  let flags = vmFlags;
  if (accountable) {
    system.promise(pages - more);
    flags |= VmFlag.Account;
  }
  const backing = file ?? (shared ? sharedAnonFile(mm, pages, flags) : null);
  if (backing === null && shared) return -Errno.ENOMEM;
  mm.chargeVmaOp();
  const firstPage = file !== null ? pgoff : shared ? 0 : addr / PAGE_SIZE;
  const range = { start: addr, end, flags, pgoff: firstPage, file: backing, anonVma: null, anonVmaChain: [] };
  const grown = mergeNewRange(mm.vmaList, range);
  if (grown === null) mm.vmaList.insert(new Vma(addr, end, flags, firstPage, backing));
  else system.khugepaged.enterVma(mm, grown);
  mm.accountVm(flags, pages);
  if ((flags & VmFlag.Locked) !== 0) mm.lockedVm += pages;
  return 0;
}

/** MAP_SHARED|MAP_ANONYMOUS is a file of shmem without a name: shmem_zero_setup(). It lives as long as a VMA maps it.
 *  null: so much memory may not be promised. */
function sharedAnonFile(mm: Mm, pages: number, flags: number): FileMapping | null {
  const promised = (flags & VmFlag.NoReserve) !== 0 ? 0 : pages;
  if (!mm.system.commit(promised, mm)) return null;
  const space = new AddressSpace(mm.system, 'shmem');
  space.isAnonymousShmem = space.onKernelMount = true;
  space.truncate(pages * PAGE_SIZE);
  space.ownerUnneeded(promised);
  return { space, path: '/dev/zero (deleted)', ino: space.id, devMajor: 0, devMinor: 1, mayWrite: true };
}

// Where.

function roundHint(mm: Mm, addr: number): number {
  const hint = addr - (addr % PAGE_SIZE);
  return hint > 0 && hint < mm.system.params.vm.mmap_min_addr ? pageAlignUp(mm.system.params.vm.mmap_min_addr) : hint;
}

/** An address for `len` bytes, or -errno. Mirrors __get_unmapped_area(). @param suits2M offset in bytes
 *  of what is mapped, where 2 MiB folios may back it (0 for private anonymous memory); null: they never will */
export function unmappedArea(mm: Mm, hint: number, len: number, fixed: boolean, suits2M: number | null): number {
  const minAddr = mm.system.params.vm.mmap_min_addr;
  if (len > mm.taskSize - minAddr) return -Errno.ENOMEM;
  if (fixed) {
    if (!isPageAligned(hint)) return -Errno.EINVAL;
    if (hint < 0 || hint > mm.taskSize - len) return -Errno.ENOMEM;
    return hint < minAddr && !mm.limits.mapsLow ? -Errno.EPERM : hint;
  }
  if (hint > 0) {
    const next = mm.vmaList.firstEndingAbove(hint);
    const prev = mm.vmaList.prevOf(hint);
    const free = hint + len <= mm.taskSize && hint >= minAddr && (next === null || hint + len <= gapStart(mm, next)) && (prev === null || hint >= prev.end);
    if (free) return hint;
  }
  // Placed so that 2 MiB of the file are 2 MiB of the address space: __thp_get_unmapped_area().
  if (suits2M !== null && hint <= 0) {
    const padded = topDown(mm, len + PMD_SIZE);
    const shift = (((suits2M - padded) % PMD_SIZE) + PMD_SIZE) % PMD_SIZE;
    if (padded > 0) return shift === 0 ? padded + PMD_SIZE : padded + shift;
  }
  const addr = topDown(mm, len);
  const found = addr > 0 ? addr : bottomUp(mm, len);
  if (vmUnmappedArea.enabled) vmUnmappedArea.emit(found, len, 1);
  return found;
}
/** Where in the file a mapping begins, if its file system may back it with 2 MiB folios and the mapping holds such a piece whole. */
function largeFolioOffset(file: FileMapping | null, pgoff: number, len: number): number | null {
  const offset = pgoff * PAGE_SIZE;
  const holdsPiece = offset + len - Math.ceil(offset / PMD_SIZE) * PMD_SIZE >= PMD_SIZE;
  return file !== null && holdsPiece && (4096 << (file.space.ops?.maxOrder ?? 0)) >= PMD_SIZE ? offset : null;
}
/** Where a VMA's claim begins: a stack keeps the guard gap below it. */
function gapStart(mm: Mm, vma: Vma): number {
  return vma.has(VmFlag.GrowsDown) ? Math.max(0, vma.start - mm.system.params.vm.stack_guard_gap * PAGE_SIZE) : vma.start;
}
/** The highest free place below mmapBase; 0: none. */
function topDown(mm: Mm, len: number): number {
  const lowest = Math.max(PAGE_SIZE, mm.system.params.vm.mmap_min_addr);
  const list = mm.vmaList.all;
  let end = mm.mmapBase;
  for (let i = mm.vmaList.indexAbove(mm.mmapBase - 1); ; i--) {
    const above = list[i];
    if (above !== undefined) end = Math.min(end, gapStart(mm, above));
    const start = Math.max(lowest, i > 0 ? list[i - 1]!.end : 0);
    if (end - len >= start) return end - len;
    if (i <= 0) return 0;
  }
}
/** The fallback when everything below the base is taken: the lowest free place from TASK_UNMAPPED_BASE up. */
function bottomUp(mm: Mm, len: number): number {
  let at = pageAlignUp(Math.floor(mm.stackTop / 3));
  for (let i = mm.vmaList.indexAbove(at); ; i++) {
    const vma = mm.vmaList.all[i];
    if (at + len > mm.stackTop) return -Errno.ENOMEM;
    if (vma === undefined || at + len <= gapStart(mm, vma)) return at;
    at = Math.max(at, vma.end);
  }
}

// munmap and brk.

export function munmap(mm: Mm, addr: number, rawLen: number): number {
  if (!isPageAligned(addr) || addr < 0 || addr > mm.taskSize || rawLen > mm.taskSize - addr) return -Errno.EINVAL;
  const len = pageAlignUp(rawLen);
  if (len <= 0) return -Errno.EINVAL;
  const end = addr + len;
  const vmas = mm.vmaList.overlapping(addr, end);
  const first = vmas[0];
  const last = vmas[vmas.length - 1];
  if (first === undefined || last === undefined) return 0;
  if (vmas.some((vma) => vma.has(VmFlag.Sealed))) return -Errno.EPERM;
  // A hole in the middle of a VMA needs one more.
  if (first.start < addr && first.end > end && mm.mapCountLeft <= 0) return -Errno.ENOMEM;
  if (first.start < addr) vmas[0] = mm.splitVma(first, addr);
  const tail = vmas[vmas.length - 1]!;
  if (tail.end > end) mm.splitVma(tail, end);
  for (const vma of vmas) mm.dropVma(vma);
  unmapRegion(mm, vmas, new FenceBatch(mm.fences));
  return 0;
}

export function brk(mm: Mm, to: number): number {
  if (!(to >= mm.startBrk) || to > mm.taskSize) return mm.brkEnd;
  if (to - mm.startBrk + (mm.endData - mm.startData) > mm.limits.data) return mm.brkEnd;
  const oldEnd = pageAlignUp(mm.brkEnd);
  const newEnd = pageAlignUp(to);
  if (newEnd < oldEnd) {
    if (munmap(mm, newEnd, oldEnd - newEnd) !== 0) return mm.brkEnd;
  } else if (newEnd > oldEnd) {
    const pages = (newEnd - oldEnd) / PAGE_SIZE;
    if (newEnd > mm.taskSize || ((mm.defFlags & VmFlag.Locked) !== 0 && !mm.mayLock(pages))) return mm.brkEnd;
    const next = mm.vmaList.firstEndingAbove(oldEnd);
    if (next !== null && newEnd + PAGE_SIZE > gapStart(mm, next)) return mm.brkEnd;
    if (!extendHeap(mm, oldEnd, newEnd)) return mm.brkEnd;
    if ((mm.defFlags & VmFlag.Locked) !== 0) populate(mm, oldEnd, newEnd);
  }
  mm.brkEnd = to;
  return to;
}
function extendHeap(mm: Mm, start: number, end: number): boolean {
  const pages = (end - start) / PAGE_SIZE;
  const flags = VmFlag.Read | VmFlag.Write | MAY_ALL | VmFlag.Account | mm.defFlags;
  if (!mm.mayExpand(flags, pages) || mm.mapCountLeft < 0 || !mm.system.commit(pages, mm)) return false;
  mm.chargeVmaOp();
  const pgoff = start / PAGE_SIZE;
  const range = { start, end, flags, pgoff, file: null, anonVma: null, anonVmaChain: [] };
  const grown = mergeNewRange(mm.vmaList, range);
  if (grown === null) mm.vmaList.insert(new Vma(start, end, flags, pgoff, null));
  else mm.system.khugepaged.enterVma(mm, grown);
  mm.accountVm(flags, pages);
  if ((flags & VmFlag.Locked) !== 0) mm.lockedVm += pages;
  return true;
}
