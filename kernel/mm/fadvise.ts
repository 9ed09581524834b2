// What a program says of how it will use a file: posix_fadvise(2), readahead(2). Here: the effects on the page cache and on read-ahead. Not
// here: descriptors. Mirrors generic_fadvise() (mm/fadvise.c), 6.18.
import { PAGE_SIZE } from '#base';
import { Errno } from '../syscall/errno.ts';
import type { AddressSpace, FileRa } from './filemap.ts';
import { forceReadahead } from './readahead.ts';
import { invalidateMapping } from './truncate.ts';

export const Fadvise = { Normal: 0, Random: 1, Sequential: 2, WillNeed: 3, DontNeed: 4, NoReuse: 5 } as const;

/** Advice on [offset, offset + len) in bytes; len 0: to the end. Files in memory alone take it and do nothing. @returns 0 or -EINVAL */
export function fadvise(space: AddressSpace, ra: FileRa, offset: number, len: number, advice: number): number {
  if (len < 0) return -Errno.EINVAL;
  const last = len === 0 ? Infinity : offset + len - 1;
  switch (advice) {
    case Fadvise.Normal:
      ra.raPages = ra.deviceRaPages;
      ra.isRandom = false;
      space.noReuse = false;
      return 0;
    case Fadvise.Random:
      ra.isRandom = true;
      return 0;
    case Fadvise.Sequential:
      ra.raPages = ra.deviceRaPages * 2;
      ra.isRandom = false;
      return 0;
    case Fadvise.WillNeed: {
      if (space.ops === null) return 0;
      const first = Math.floor(offset / PAGE_SIZE);
      forceReadahead(space, ra, first, Math.floor(Math.min(last, 2 ** 52) / PAGE_SIZE) - first + 1);
      return 0;
    }
    case Fadvise.NoReuse:
      space.noReuse = true;
      return 0;
    case Fadvise.DontNeed:
      return dontNeed(space, offset, last);
    default:
      return -Errno.EINVAL;
  }
}
/** What is dirty begins to be written; whole clean pages of the range go, and the last one of the file with them. */
function dontNeed(space: AddressSpace, offset: number, last: number): number {
  if (space.ops === null) return 0;
  space.ops.writepages({ start: Math.floor(offset / PAGE_SIZE), end: Math.floor(last / PAGE_SIZE) + 1, isIntegrity: false, isCyclic: false, nrToWrite: Infinity });
  const isWhole = (last + 1) % PAGE_SIZE === 0 || last === Infinity || last === space.sizeBytes - 1;
  invalidateMapping(space, Math.ceil(offset / PAGE_SIZE), Math.floor(last / PAGE_SIZE) + (isWhole ? 1 : 0));
  return 0;
}
