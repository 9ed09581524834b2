// Growing a stack downwards, when a fault lies below it. Mirrors expand_downwards() and acct_stack_growth() (mm/vma.c), 6.18.
import { PAGE_SIZE } from '#base';
import type { Mm } from './mm.ts';
import { VM_ACCESS, VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** Makes `vma` reach down to `va`, if it is a stack and limits, promised memory and the guard gap allow. */
export function expandStack(mm: Mm, vma: Vma, va: number): boolean {
  const { params } = mm.system;
  if (!vma.has(VmFlag.GrowsDown)) return false;
  const start = va - (va % PAGE_SIZE);
  if (start < params.vm.mmap_min_addr) return false;
  const prev = mm.vmaList.prevOf(vma.start);
  if (prev !== null && !prev.has(VmFlag.GrowsDown) && (prev.flags & VM_ACCESS) !== 0 && start - prev.end < params.vm.stack_guard_gap * PAGE_SIZE) return false;
  if (prev !== null && start < prev.end) return false;
  const grow = (vma.start - start) / PAGE_SIZE;
  if (vma.pgoff < grow) return false;
  if (vma.end - start > mm.limits.stack || !mm.mayExpand(vma.flags, grow)) return false;
  if (vma.has(VmFlag.Locked) && !mm.mayLock(grow)) return false;
  if (vma.has(VmFlag.Account) && !mm.system.commit(grow, mm)) return false;
  vma.start = start;
  vma.pgoff -= grow;
  if (vma.has(VmFlag.Locked)) mm.lockedVm += grow;
  mm.accountVm(vma.flags, grow);
  return true;
}
