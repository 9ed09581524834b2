// PTE markers: entries that map nothing and mean something all the same. Here: the two there are, the guard of MADV_GUARD_INSTALL, and what swapoff
// leaves of a page that could not be read; installing guards and removing them. Not here: what others do when they meet one: a fault is refused (fault.ts), unmapping takes it away and MADV_DONTNEED does
// not (unmap.ts), fork copies it, a move moves it, and everything else looks at present entries only.
// Mirrors include/linux/swapops.h and madvise_guard_install() and _remove() (mm/madvise.c), 6.18.
//
// To the hart a marker is an invalid entry; to the kernel it is a swap entry of a type that no swap file has. riscv puts the type in bits 7
// to 11 and the offset above; V and G are clear, so that ptePresent() is false. Bits of the type overlay PteSoft: ask ptePresent() first.
import { PAGE_SIZE } from '#base';
import { Errno } from '../syscall/errno.ts';
import { anonVmaFor } from './anon.ts';
import { FenceBatch } from './fences.ts';
import type { Mm } from './mm.ts';
import { zapRange } from './unmap.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** SWP_PTE_MARKER: the last of the 32 types. */
const MARKER_TYPE = 31;
const POISONED = 1 << 1;
const GUARD = 1 << 2;
/** Its contents are lost: PTE_MARKER_POISONED. The program meets SIGBUS there, until it maps something else or gives the page up. */
export const POISON_MARKER = (POISONED << 12) | (MARKER_TYPE << 7);
export const isPoisonMarker = (low: number): boolean => low === POISON_MARKER;
/** make_pte_marker(PTE_MARKER_GUARD) */
export const GUARD_MARKER = (GUARD << 12) | (MARKER_TYPE << 7);
export const isGuardMarker = (low: number): boolean => low === GUARD_MARKER;
/** What pagemap shows in the place of a frame: type, and offset above its five bits. */
export const GUARD_PAGEMAP_FRAME = (GUARD << 5) | MARKER_TYPE;
export const POISON_PAGEMAP_FRAME = (POISONED << 5) | MARKER_TYPE;

/** From now on every access to [start, end), in bytes, is SIGSEGV; what was there is gone. */
export function guardInstall(mm: Mm, vma: Vma, start: number, end: number): number {
  if (vma.has(VmFlag.DontExpand | VmFlag.Locked)) return -Errno.EINVAL;
  vma.flags |= VmFlag.MaybeGuard;
  // fork copies the tables of VMAs that have an anon_vma; of shared ones, of those that may have guards.
  if (!vma.has(VmFlag.Shared)) anonVmaFor(mm, vma);
  const { tables } = mm;
  const [first, last] = [start / PAGE_SIZE, end / PAGE_SIZE];
  if (!isFreeOrGuarded(mm, first, last)) {
    const batch = new FenceBatch(mm.fences);
    zapRange(mm, vma, first, last, batch);
    batch.flush();
  }
  for (let vpn = first; vpn < last; vpn++) {
    if (tables.makeTableAt(vpn, 0) === 0) return -Errno.ENOMEM;
    if (tables.rawLow(vpn) === 0) tables.setUnit(vpn, GUARD_MARKER, 1);
  }
  return 0;
}
function isFreeOrGuarded({ tables }: Mm, start: number, end: number): boolean {
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn + 1, end)) {
    if (tables.pmdLeaf(vpn) !== 0) return false;
    const low = tables.rawLow(vpn);
    if (low !== 0 && !isGuardMarker(low)) return false;
  }
  return true;
}

/** Takes the guards of [start, end), in bytes, away; pages stay as they are. */
export function guardRemove({ tables }: Mm, vma: Vma, start: number, end: number): number {
  if (vma.has(VmFlag.DontExpand)) return -Errno.EINVAL;
  const last = end / PAGE_SIZE;
  for (let vpn = tables.skipAbsent(start / PAGE_SIZE, last); vpn < last; vpn = tables.skipAbsent(vpn + 1, last)) {
    if (isGuardMarker(tables.rawLow(vpn))) tables.setUnit(vpn, 0, 1);
  }
  return 0;
}
