// PAGEMAP_SCAN: asking /proc/PID/pagemap for ranges of pages that are alike (6.7). Here: the ioctl, its structs, the ranges. Not here: what a
// page is (mm/inspect.ts). Mirrors do_pagemap_scan() (fs/proc/task_mmu.c), 6.18. No VMA is watched by userfaultfd here, so that nothing is ever
// write-protected: every entry counts as written, and who insists on protecting is refused.
import { PAGE_SIZE } from '#base';
import { PageIs, pageCategories } from '../../mm/inspect.ts';
import type { Mm } from '../../mm/mm.ts';
import type { Task } from '../../proc/task.ts';
import { Errno } from '../../syscall/errno.ts';

/** _IOWR('f', 16, struct pm_scan_arg) */
export const PAGEMAP_SCAN = 0xc060_6610;
/** Words of struct pm_scan_arg. */
const At = { size: 0, flags: 1, start: 2, end: 3, walkEnd: 4, vec: 5, vecLen: 6, maxPages: 7, inverted: 8, mask: 9, anyOf: 10, returned: 11 } as const;
const ARG_BYTES = 96;
const Flag = { WpMatching: 1, CheckWpAsync: 2 } as const;
const REGION_BYTES = 24;

interface Region { start: number; end: number; categories: number }
interface Scan {
  readonly inverted: number; readonly mask: number; readonly anyOf: number; readonly returned: number;
  readonly maxPages: number; readonly maxRegions: number;
  readonly regions: Region[];
  foundPages: number;
  /** Where there was no more room; null: nowhere. */
  stoppedAt: number | null;
}

export function pagemapScan(mm: Mm | null, t: Task, argAt: number): number {
  const bytes = new Uint8Array(ARG_BYTES);
  if (!t.user.read(argAt, bytes)) return -Errno.EFAULT;
  const view = new DataView(bytes.buffer);
  const word = (at: number): bigint => view.getBigUint64(8 * at, true);
  const [flags, start, vec, vecLen] = [word(At.flags), word(At.start), word(At.vec), word(At.vecLen)];
  const end = BigInt.asUintN(64, (word(At.end) + 4095n) & ~4095n);
  if (word(At.size) !== BigInt(ARG_BYTES) || flags > 3n) return -Errno.EINVAL;
  if ((word(At.inverted) | word(At.mask) | word(At.anyOf) | word(At.returned)) > BigInt(PageIs.All)) return -Errno.EINVAL;
  if (start % BigInt(PAGE_SIZE) !== 0n) return -Errno.EINVAL;
  const top = BigInt(t.mm.taskSize);
  if (start > top || word(At.end) < start || word(At.end) > top) return -Errno.EFAULT;
  if (vec === 0n && vecLen !== 0n) return -Errno.EINVAL;
  if (vec !== 0n && vec + vecLen * BigInt(REGION_BYTES) > top) return -Errno.EFAULT;
  if (mm === null) return -Errno.ESRCH;
  const maxPages = word(At.maxPages);
  const scan: Scan = {
    inverted: Number(word(At.inverted)), mask: Number(word(At.mask)), anyOf: Number(word(At.anyOf)), returned: Number(word(At.returned)),
    maxPages: maxPages === 0n ? Infinity : Number(maxPages), maxRegions: Number(vecLen), regions: [], foundPages: 0, stoppedAt: null,
  };
  let result = walk(mm, Number(start) / PAGE_SIZE, Number(end) / PAGE_SIZE, Number(flags), scan);
  const out = new BigUint64Array(scan.regions.flatMap(({ start: from, end: to, categories }) => [BigInt(from * PAGE_SIZE), BigInt(to * PAGE_SIZE), BigInt(categories)]));
  if (!t.user.write(Number(vec), new Uint8Array(out.buffer))) result = -Errno.EFAULT;
  view.setBigUint64(8 * At.walkEnd, scan.stoppedAt === null ? end : BigInt(scan.stoppedAt * PAGE_SIZE), true);
  if (!t.user.write(argAt, bytes)) return -Errno.EFAULT;
  return result < 0 ? result : scan.regions.length;
}

/** [start, end) in pages. Mirrors walk_page_range() with pagemap_scan_ops. @returns 0 or -EPERM */
function walk(mm: Mm, start: number, end: number, flags: number, scan: Scan): number {
  for (const vma of mm.vmaList.overlapping(start * PAGE_SIZE, end * PAGE_SIZE)) {
    if ((flags & Flag.CheckWpAsync) !== 0) return -Errno.EPERM;
    if ((flags & Flag.WpMatching) !== 0 || (scan.mask & PageIs.WpAllowed & ~scan.inverted) !== 0) continue;
    const last = Math.min(end, vma.end / PAGE_SIZE);
    for (let vpn = Math.max(start, vma.start / PAGE_SIZE); vpn < last; ) {
      const { categories, nr } = pageCategories(mm, vpn, last);
      if (isWanted(scan, categories) && !output(scan, categories & scan.returned, vpn, vpn + nr)) return 0;
      vpn += nr;
    }
  }
  return 0;
}
/** pagemap_scan_is_interesting_page() */
function isWanted({ inverted, mask, anyOf }: Scan, categories: number): boolean {
  const seen = categories ^ inverted;
  return (seen & mask) === mask && (anyOf === 0 || (seen & anyOf) !== 0);
}
/** pagemap_scan_output(). @returns false: that is all there is room for */
function output(scan: Scan, categories: number, start: number, wantedEnd: number): boolean {
  const { regions } = scan;
  if (scan.maxRegions === 0) return true;
  let end = Math.min(wantedEnd, start + scan.maxPages - scan.foundPages);
  const last = regions.at(-1);
  if (last !== undefined && last.end === start && last.categories === categories) last.end = end;
  else if (regions.length >= scan.maxRegions || end === start) end = start;
  else regions.push({ start, end, categories });
  scan.foundPages += end - start;
  if (end < wantedEnd) scan.stoppedAt = end;
  return end === wantedEnd;
}
