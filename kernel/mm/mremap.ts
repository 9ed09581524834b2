// mremap: a mapping grows, shrinks or moves; pages move by their entries, never by copying. Mirrors mm/mremap.c, 6.18.
// A move to a fixed address without a change of size may take several VMAs at once, with the gaps between them (6.17).
import { PAGE_SIZE, asPfn } from '#base';
import { makePte, ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import { FenceBatch } from './fences.ts';
import { splitHugePmd } from './huge.ts';
import { MremapFlag } from './mman.ts';
import type { Mm } from './mm.ts';
import { munmap, pageAlignUp, unmappedArea } from './mmap.ts';
import { populate } from './populate.ts';
import { pmdEnd } from './unmap.ts';
import { VmFlag, Vma, mergeNewRange } from './vma.ts';

const { MayMove, Fixed, DontUnmap } = MremapFlag;

export function mremap(mm: Mm, old: number, rawOldLen: number, rawNewLen: number, flags: number, newAddr: number): number {
  const oldLen = pageAlignUp(rawOldLen);
  const newLen = pageAlignUp(rawNewLen);
  if ((flags & ~(MayMove | Fixed | DontUnmap)) !== 0 || old % PAGE_SIZE !== 0) return -Errno.EINVAL;
  if ((flags & Fixed) !== 0 && (flags & MayMove) === 0) return -Errno.EINVAL;
  if ((flags & DontUnmap) !== 0 && ((flags & MayMove) === 0 || oldLen !== newLen)) return -Errno.EINVAL;
  if (newLen <= 0 || newLen > mm.taskSize || oldLen < 0) return -Errno.EINVAL;
  const placed = (flags & (Fixed | DontUnmap)) !== 0;
  if ((flags & Fixed) !== 0) {
    if (newAddr % PAGE_SIZE !== 0 || newAddr < 0 || newAddr > mm.taskSize - newLen) return -Errno.EINVAL;
    if (old + oldLen > newAddr && newAddr + newLen > old) return -Errno.EINVAL;
  }
  if ((flags & Fixed) !== 0 && oldLen === newLen) return moveAll(mm, old, oldLen, flags, newAddr);
  const vma = mm.vmaList.at(old);
  if (vma === null) return -Errno.EFAULT;
  if (vma.has(VmFlag.Sealed)) return -Errno.EPERM;
  if (placed) return moveOne(mm, old, oldLen, newLen, flags, newAddr);

  if (newLen === oldLen) return old;
  if (newLen < oldLen) {
    const failed = munmap(mm, old + newLen, oldLen - newLen);
    return failed !== 0 ? failed : old;
  }
  const refused = mayResize(mm, vma, old, oldLen, newLen, flags);
  if (refused !== 0) return refused;
  if (old + oldLen === vma.end && growInPlace(mm, vma, newLen - oldLen)) {
    if (vma.has(VmFlag.Locked)) populate(mm, old + oldLen, old + newLen);
    return old;
  }
  return (flags & MayMove) === 0 ? -Errno.ENOMEM : move(mm, vma, old, oldLen, newLen, flags, 0);
}

/** Every VMA of [old, old + len) goes to the same place relative to `newAddr`. A gap at the start is an error, later ones are kept.
 *  What has moved before an error stays moved. Mirrors remap_move(). */
function moveAll(mm: Mm, old: number, len: number, flags: number, newAddr: number): number {
  const vmas = mm.vmaList.overlapping(old, old + len);
  if (vmas.length === 0 || vmas[0]!.start > old) return -Errno.EFAULT;
  // Places first: moving changes the VMAs.
  const parts = vmas.map((vma) => ({ at: Math.max(vma.start, old), end: Math.min(vma.end, old + len) }));
  for (const { at, end } of parts) {
    const result = moveOne(mm, at, end - at, end - at, flags, newAddr + at - old);
    if (result < 0) return result;
  }
  return newAddr;
}
/** MREMAP_FIXED, or DONTUNMAP with a wish: mremap_to(). */
function moveOne(mm: Mm, old: number, oldLen: number, newLen: number, flags: number, newAddr: number): number {
  if (mm.vmaList.at(old)?.has(VmFlag.Sealed) === true) return -Errno.EPERM;
  if ((flags & Fixed) !== 0) {
    if (newAddr < mm.system.params.vm.mmap_min_addr && !mm.limits.mapsLow) return -Errno.EPERM;
    const whole = mm.vmaList.at(old);
    if (whole === null || Math.min(oldLen, newLen) > whole.end - old) return -Errno.EFAULT;
    if (oldLen > newLen) {
      const failed = munmap(mm, old + newLen, oldLen - newLen);
      if (failed !== 0) return failed;
    }
  }
  const vma = mm.vmaList.at(old);
  if (vma === null) return -Errno.EFAULT;
  const moving = (flags & Fixed) !== 0 ? Math.min(oldLen, newLen) : oldLen;
  const refused = mayResize(mm, vma, old, moving, newLen, flags);
  return refused !== 0 ? refused : move(mm, vma, old, moving, newLen, flags, newAddr);
}

/** vma_to_resize() and its successors: may this be done to this VMA at all? */
function mayResize(mm: Mm, vma: Vma, old: number, oldLen: number, newLen: number, flags: number): number {
  // Old length 0 asks for a second mapping of the same pages, which only shared memory can have.
  if (oldLen === 0 && !vma.has(VmFlag.Shared | VmFlag.MayShare)) return -Errno.EINVAL;
  if ((flags & DontUnmap) !== 0 && vma.has(VmFlag.DontExpand)) return -Errno.EINVAL;
  if (oldLen > vma.end - old) return -Errno.EFAULT;
  if (newLen === oldLen) return 0;
  if (vma.has(VmFlag.DontExpand)) return -Errno.EFAULT;
  const grow = (newLen - oldLen) / PAGE_SIZE;
  if (vma.has(VmFlag.Locked) && !mm.mayLock(grow)) return -Errno.EAGAIN;
  return mm.mayExpand(vma.flags, grow) ? 0 : -Errno.ENOMEM;
}

function growInPlace(mm: Mm, vma: Vma, bytes: number): boolean {
  const pages = bytes / PAGE_SIZE;
  const end = vma.end + bytes;
  const next = mm.vmaList.nextOf(vma.end);
  if (end > mm.taskSize || (next !== null && next.start < end)) return false;
  if (vma.has(VmFlag.Account) && !mm.system.commit(pages, mm)) return false;
  mm.chargeVmaOp();
  const range = { start: vma.end, end, flags: vma.flags, pgoff: vma.pgoffOf(vma.end), file: vma.file, anonVma: vma.anonVma, anonVmaChain: vma.anonVmaChain };
  if (mergeNewRange(mm.vmaList, range) === null) vma.end = end;
  mm.accountVm(vma.flags, pages);
  if (vma.has(VmFlag.Locked)) mm.lockedVm += pages;
  return true;
}

function move(mm: Mm, source: Vma, old: number, oldLen: number, newLen: number, flags: number, newAddr: number): number {
  const { system } = mm;
  const fixed = (flags & Fixed) !== 0;
  const keepsOld = (flags & DontUnmap) !== 0;
  // The move may cut the old VMA twice and adds one.
  if (mm.mapCountLeft < 3) return -Errno.ENOMEM;
  if (keepsOld && !mm.mayExpand(source.flags, newLen / PAGE_SIZE)) return -Errno.ENOMEM;
  const hint = keepsOld ? newAddr - (newAddr % PAGE_SIZE) : 0;
  const target = unmappedArea(mm, fixed ? newAddr : hint, newLen, fixed, null);
  if (target < 0) return target;
  const pages = newLen / PAGE_SIZE;
  const accounted = source.has(VmFlag.Account);
  // What moves is promised already, unless the old mapping stays.
  const moreCommit = accounted ? (keepsOld || oldLen === 0 ? pages : pages - oldLen / PAGE_SIZE) : 0;
  if (!system.commit(moreCommit, mm)) return -Errno.ENOMEM;
  if (fixed) {
    const failed = munmap(mm, target, newLen);
    if (failed !== 0) {
      system.uncommit(moreCommit);
      return failed;
    }
  }
  const copy = copyVma(mm, mm.vmaList.at(old)!, old, target, target + newLen); // unmapping the target cannot have touched the source
  const vma = mm.vmaList.at(old)!; // which may be one with the copy now
  const stop = moveTables(mm, vma, old, target, oldLen);
  if (stop < oldLen) {
    // No memory for a table: move back what has moved, for which there are tables, and give the new place up.
    moveTables(mm, copy, target, old, stop);
    mm.accountVm(copy.flags, pages);
    if (copy.has(VmFlag.Locked)) mm.lockedVm += pages;
    if (accounted) system.promise(pages - moreCommit);
    munmap(mm, target, newLen);
    return -Errno.ENOMEM;
  }
  const locked = vma.has(VmFlag.Locked);
  mm.accountVm(copy.flags, pages);
  if (locked) mm.lockedVm += pages;
  if (keepsOld) {
    // The old mapping stays, empty and unlocked; if all of it has moved, without a tie to the pages that left.
    if (locked) mm.lockedVm -= vma.nrPages;
    vma.flags &= ~(VmFlag.Locked | VmFlag.LockOnFault);
    if (vma !== copy && vma.start === old && vma.end === old + oldLen) {
      mm.vmaList.setAnonVmas(vma, null, []);
    }
  } else if (oldLen > 0) {
    // munmap gives back the promise for the old range; its pages' promise has moved along.
    if (accounted) system.promise(oldLen / PAGE_SIZE);
    munmap(mm, old, oldLen);
  }
  if (locked) populate(mm, target + oldLen, target + newLen);
  return target;
}

/** copy_vma(): the VMA at the new place. Memory that has no pages yet is renumbered, so that it may merge there. */
function copyVma(mm: Mm, vma: Vma, old: number, start: number, end: number): Vma {
  const pgoff = vma.isAnonymous && vma.anonVma === null ? start / PAGE_SIZE : vma.pgoffOf(old);
  const range = { start, end, flags: vma.flags, pgoff, file: vma.file, anonVma: vma.anonVma, anonVmaChain: vma.anonVmaChain, anonName: vma.anonName };
  mm.chargeVmaOp();
  const merged = mergeNewRange(mm.vmaList, range);
  if (merged !== null) return merged;
  const fresh = new Vma(start, end, vma.flags, pgoff, vma.file);
  fresh.anonVma = vma.anonVma;
  fresh.anonVmaChain = vma.anonVmaChain;
  fresh.anonName = vma.anonName;
  mm.vmaList.insert(fresh);
  return fresh;
}

/** Moves the entries of `len` bytes. Whole tables and 2 MiB entries move as they are where both places are aligned alike.
 *  @returns bytes moved; less than `len` when a table could not be had. Mirrors move_page_tables(). */
function moveTables(mm: Mm, from: Vma, fromAddr: number, toAddr: number, len: number): number {
  const { tables } = mm;
  const shift = (toAddr - fromAddr) / PAGE_SIZE;
  const end = (fromAddr + len) / PAGE_SIZE;
  const batch = new FenceBatch(mm.fences);
  let vpn = tables.skipAbsent(fromAddr / PAGE_SIZE, end);
  for (; vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const stop = Math.min(end, pmdEnd(vpn), pmdEnd(vpn + shift) - shift);
    const whole = vpn % 512 === 0 && shift % 512 === 0 && stop - vpn === 512;
    if (tables.pmdLeaf(vpn) !== 0 && whole) {
      if (tables.makeTableAt(vpn + shift, 1) === 0) break;
      if (tables.pmdLeaf(vpn) === 0) continue; // the search for memory has split it: there is a table now
      // The target may hold an empty table from earlier days; a leaf takes its place.
      if (tables.freeRange(vpn + shift, vpn + shift + 512, vpn + shift, vpn + shift + 512)) batch.tablesFreed();
      tables.setPmdLeaf(vpn + shift, tables.clearPmdLeaf(vpn));
      batch.add(vpn, 512, true);
    } else {
      if (tables.pmdLeaf(vpn) !== 0) splitHugePmd(mm, from, vpn, 'split-move');
      if (whole && tables.pmd(vpn + shift) === 0 && tables.makeTableAt(vpn + shift, 1) !== 0) {
        const table = tables.detachTable(vpn);
        if (table !== 0) tables.replacePmdLeaf(vpn + shift, table);
        batch.tablesFreed(); // a pointer entry changed
      } else {
        if (tables.makeTableAt(vpn + shift, 0) === 0) break;
        for (let at = vpn; at < stop; ) at += moveUnit(mm, at, stop, shift, batch);
      }
    }
    vpn = stop;
  }
  batch.flush();
  return vpn >= end ? len : vpn * PAGE_SIZE - fromAddr;
}
/** One entry, or a folded run that is a run at the new place, too. @returns pages handled */
function moveUnit(mm: Mm, vpn: number, end: number, shift: number, batch: FenceBatch): number {
  const { tables } = mm;
  if (shift % 16 !== 0 && tables.isFolded(vpn)) tables.unfold(vpn);
  const nr = tables.unitAt(vpn, end);
  const low = tables.get(vpn);
  if (low === 0) return 1;
  tables.setUnit(vpn, 0, nr);
  batch.add(vpn, nr);
  tables.setUnit(vpn + shift, makePte(asPfn(ptePfn(low)), low & 0x3ff), nr);
  if (nr === 1) tables.tryFold(vpn + shift);
  return nr;
}
