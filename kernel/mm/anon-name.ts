// Names for anonymous memory: prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME), shown in maps as [anon:NAME]. Mirrors madvise_set_anon_name().
import { PAGE_SIZE } from '#base';
import { Errno } from '../syscall/errno.ts';
import type { Mm } from './mm.ts';

/** Names the anonymous memory of a range; null takes names away. Shared anonymous memory may be named, files not (EBADF). Holes are ENOMEM,
 *  after what is there got its name. @returns 0 or -errno */
export function setAnonName(mm: Mm, start: number, lenBytes: number, name: string | null): number {
  if (start % PAGE_SIZE !== 0) return -Errno.EINVAL;
  const end = start + Math.ceil(lenBytes / PAGE_SIZE) * PAGE_SIZE;
  if (start < 0 || lenBytes < 0 || end > mm.taskSize) return -Errno.ENOMEM;
  let at = start;
  let result = 0;
  for (const found of mm.vmaList.overlapping(start, end)) {
    const vma = mm.vmaList.at(Math.max(found.start, start))!; // the one before may have merged with it
    if (vma.start > at) result = -Errno.ENOMEM;
    at = Math.min(found.end, end);
    if (vma.file !== null && !vma.file.path.startsWith('/dev/zero')) return -Errno.EBADF;
    if (vma.anonName === name) continue;
    if (mm.modifyVma(vma, Math.max(vma.start, start), Math.min(vma.end, end), vma.flags, name) === null) return -Errno.ENOMEM;
  }
  return at < end ? -Errno.ENOMEM : result;
}
