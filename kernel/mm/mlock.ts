// mlock and its sisters, mincore, msync: system calls that look at pages or pin them. Mirrors mm/mlock.c, mm/mincore.c, mm/msync.c.
import { PAGE_SIZE, asFolio } from '#base';
import { PteSoft, ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import type { AddressSpace } from './filemap.ts';
import type { Mm } from './mm.ts';
import { pageAlignUp } from './mmap.ts';
import { ptePresent } from './pagetable.ts';
import { populateVma } from './populate.ts';
import { FaultResult } from './fault.ts';
import { mlockFolio, munlockFolio } from './rmap.ts';
import { entryOfPte, isSwapPte } from './swap/entry.ts';
import { shmemEntry } from './swap/shmem-swap.ts';
import { VM_ACCESS, VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

const LOCK_FLAGS = VmFlag.Locked | VmFlag.LockOnFault;
const MCL = { Current: 1, Future: 2, OnFault: 4 } as const;

export function mlock(mm: Mm, addr: number, rawLen: number, onFault: boolean): number {
  if (mm.limits.memlock === 0) return -Errno.EPERM;
  const { start, end } = pageRange(addr, rawLen);
  if (end < start) return -Errno.EINVAL;
  if (start === end) return 0;
  const already = mm.vmaList.overlapping(start, end).filter((vma) => vma.has(VmFlag.Locked))
    .reduce((sum, vma) => sum + (Math.min(end, vma.end) - Math.max(start, vma.start)) / PAGE_SIZE, 0);
  if (!mm.mayLock((end - start) / PAGE_SIZE - already)) return -Errno.ENOMEM;
  const failed = applyLock(mm, start, end, VmFlag.Locked | (onFault ? VmFlag.LockOnFault : 0));
  if (failed !== 0) return failed;
  return populateLocked(mm, start, end);
}
export function munlock(mm: Mm, addr: number, rawLen: number): number {
  const { start, end } = pageRange(addr, rawLen);
  if (end < start) return -Errno.EINVAL;
  return start === end ? 0 : applyLock(mm, start, end, 0);
}
export function mlockAll(mm: Mm, flags: number): number {
  if (flags === 0 || (flags & ~(MCL.Current | MCL.Future | MCL.OnFault)) !== 0 || flags === MCL.OnFault) return -Errno.EINVAL;
  if (mm.limits.memlock === 0) return -Errno.EPERM;
  if ((flags & MCL.Current) !== 0 && mm.totalVm > mm.limits.memlock / PAGE_SIZE) return -Errno.ENOMEM;
  const lock = VmFlag.Locked | ((flags & MCL.OnFault) !== 0 ? VmFlag.LockOnFault : 0);
  mm.defFlags = (flags & MCL.Future) !== 0 ? lock : 0;
  if ((flags & MCL.Current) === 0) return 0;
  for (const vma of [...mm.vmaList.all]) lockVma(mm, vma, vma.start, vma.end, lock);
  for (const vma of [...mm.vmaList.all]) populateLocked(mm, vma.start, vma.end);
  return 0;
}
export function munlockAll(mm: Mm): number {
  mm.defFlags = 0;
  for (const vma of [...mm.vmaList.all]) lockVma(mm, vma, vma.start, vma.end, 0);
  return 0;
}

function pageRange(addr: number, rawLen: number): { start: number; end: number } {
  const start = addr - (addr % PAGE_SIZE);
  return { start, end: start + pageAlignUp(rawLen + (addr % PAGE_SIZE)) };
}
/** apply_vma_lock_flags(): a hole ends it with ENOMEM; what lies before has changed. */
function applyLock(mm: Mm, start: number, end: number, lock: number): number {
  for (let at = start; at < end; ) {
    const vma = mm.vmaList.at(at);
    if (vma === null) return -Errno.ENOMEM;
    const stop = Math.min(end, vma.end);
    if (!lockVma(mm, vma, at, stop, lock)) return -Errno.ENOMEM;
    at = stop;
  }
  return 0;
}
function lockVma(mm: Mm, vma: Vma, start: number, end: number, lock: number): boolean {
  if (vma.has(VmFlag.DontExpand | VmFlag.Droppable)) return true; // never locked, and no error
  const flags = (vma.flags & ~LOCK_FLAGS) | lock;
  if (flags === vma.flags) return true;
  const wasLocked = vma.has(VmFlag.Locked);
  const changed = mm.modifyVma(vma, start, end, flags);
  if (changed === null) return false;
  const isLocked = (lock & VmFlag.Locked) !== 0;
  if (wasLocked === isLocked) return true;
  mm.lockedVm += ((end - start) / PAGE_SIZE) * (isLocked ? 1 : -1);
  markResident(mm, start / PAGE_SIZE, end / PAGE_SIZE, isLocked);
  return true;
}
/** Pages that are there already: small folios one by one, large ones only when they lie wholly in the range. */
function markResident(mm: Mm, start: number, end: number, lock: boolean): void {
  const { tables, system } = mm;
  const { folios } = system;
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const leaf = tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : tables.get(vpn);
    let step = leaf !== 0 ? 512 - (vpn % 512) : 1;
    if (low !== 0 && ptePresent(low) && (low & PteSoft.Special) === 0) {
      const folio = folios.folioOf(ptePfn(low));
      const nr = folios.nrPages(folio);
      const whole = leaf !== 0 ? vpn % 512 === 0 && vpn + 512 <= end : ptePfn(low) === folio && vpn + nr <= end;
      if (whole) {
        if (lock) mlockFolio(system, asFolio(folio));
        else munlockFolio(system, asFolio(folio));
        step = Math.max(step, leaf === 0 ? nr : step);
      }
    }
    vpn += step;
  }
}
/** __mm_populate() as mlock sees it: what may not be touched at all is no error, running out of memory is. */
function populateLocked(mm: Mm, start: number, end: number): number {
  for (const vma of mm.vmaList.overlapping(start, end)) {
    if (vma.has(VmFlag.LockOnFault)) continue;
    if ((vma.flags & VM_ACCESS) === 0) return -Errno.ENOMEM;
    const write = (vma.flags & (VmFlag.Write | VmFlag.Shared)) === VmFlag.Write;
    const result = populateVma(mm, vma, Math.max(start, vma.start), Math.min(end, vma.end), write);
    if (result === FaultResult.OutOfMemory) return -Errno.EAGAIN;
    if (result !== FaultResult.Done) return -Errno.ENOMEM;
  }
  return 0;
}

/** One byte a page, bit 0: the next access needs no I/O. A private page counts when it is mapped, a file's also when it is cached. */
export function mincore(mm: Mm, addr: number, rawLen: number, into: Uint8Array): number {
  if (addr % PAGE_SIZE !== 0) return -Errno.EINVAL;
  if (addr < 0 || rawLen < 0 || addr + rawLen > mm.taskSize) return -Errno.ENOMEM;
  const pages = pageAlignUp(rawLen) / PAGE_SIZE;
  for (let i = 0; i < pages; i++) {
    const va = addr + i * PAGE_SIZE;
    const vma = mm.vmaList.at(va);
    if (vma === null) return -Errno.ENOMEM;
    const low = mm.tables.pmdLeaf(va / PAGE_SIZE) || mm.tables.get(va / PAGE_SIZE);
    const mapped = low !== 0 && ptePresent(low);
    into[i] = mapped || (isSwapPte(low) && mm.system.swap.cache.isUptodate(entryOfPte(low))) || (vma.file !== null && isIncore(mm, vma.file.space, vma.pgoffOf(va))) ? 1 : 0;
  }
  return 0;
}

/** A page of a file in swap counts while the swap cache has it: filemap_get_incore_folio(). */
function isIncore({ system }: Mm, space: AddressSpace, index: number): boolean {
  return space.isUptodate(index) || (space.isSwapped(index) && system.swap.cache.isUptodate(shmemEntry(space, index)));
}

const MS = { Async: 1, Invalidate: 2, Sync: 4 } as const;

/** Files here live in memory, so there is nothing to write: only the arguments count. */
export function msync(mm: Mm, addr: number, rawLen: number, flags: number): number {
  if ((flags & ~(MS.Async | MS.Invalidate | MS.Sync)) !== 0 || addr % PAGE_SIZE !== 0) return -Errno.EINVAL;
  if ((flags & MS.Async) !== 0 && (flags & MS.Sync) !== 0) return -Errno.EINVAL;
  const end = addr + pageAlignUp(rawLen);
  let result = 0;
  for (let at = addr; at < end; ) {
    const vma = mm.vmaList.firstEndingAbove(at);
    if (vma === null || vma.start >= end) return -Errno.ENOMEM;
    if (vma.start > at) result = -Errno.ENOMEM;
    if ((flags & MS.Invalidate) !== 0 && vma.has(VmFlag.Locked)) return -Errno.EBUSY;
    at = vma.end;
  }
  return result;
}
