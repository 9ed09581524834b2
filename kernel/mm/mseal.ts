// mseal: mappings that can neither go away nor change, for as long as the program runs. Here: sealing. Not here: who is refused, which each
// call says for itself: munmap, mprotect, mremap, mmap over it, and what would empty read-only memory (madvise.ts). Mirrors mm/mseal.c, 6.18.
import { PAGE_SIZE } from '#base';
import { Errno } from '../syscall/errno.ts';
import type { Mm } from './mm.ts';
import { pageAlignUp } from './mmap.ts';
import { VmFlag } from './vma.ts';

/** All of [start, start + len) must be mapped. */
export function mseal(mm: Mm, start: number, rawLen: number, flags: number): number {
  if (flags !== 0 || start % PAGE_SIZE !== 0) return -Errno.EINVAL;
  const end = start + pageAlignUp(rawLen);
  if (end === start) return 0;
  for (let at = start; at < end; ) {
    const vma = mm.vmaList.at(at);
    if (vma === null) return -Errno.ENOMEM;
    at = vma.end;
  }
  for (let at = start; at < end; ) {
    const vma = mm.vmaList.at(at)!;
    const stop = Math.min(end, vma.end);
    if (!vma.has(VmFlag.Sealed) && mm.modifyVma(vma, at, stop, vma.flags | VmFlag.Sealed) === null) return -Errno.ENOMEM;
    at = stop;
  }
  return 0;
}
