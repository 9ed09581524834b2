// Watched memory: somebody wants to know of every access to some bytes. Here: which pages have such bytes, what the hart did to them in the present
// instruction. Pages that are watched stay out of the filter (mmu.ts), so that every access to one is looked up; the look-up counts as it would
// have, hit or miss. An access is noted when it is looked up, and judged when its instruction is done: one that faults has not happened.
// Not here: what the kernel writes (#cpu, machine.ts), stopping (the engines).
import { PAGE_SIZE, toNumber } from '#base';

export interface WatchedRange {
  /** By virtual addresses, in whatever address space is on the hart; or by physical ones, which also sees walks that set A and D. */
  readonly space: 'virtual' | 'physical';
  readonly start: number;
  readonly lenBytes: number;
  readonly reads: boolean;
  readonly writes: boolean;
}
/** Bytes that were touched, by their physical address; the virtual one where there was one: a walk has none. */
export interface WatchedAccess { readonly va: number | null; readonly pa: number; readonly lenBytes: number; readonly isRead: boolean; readonly isWrite: boolean }

interface Noted { readonly va: number; readonly pa: number; readonly isRead: boolean; readonly isWrite: boolean; readonly isSecond: boolean }

export class Watch {
  /** What has been found, until somebody takes it. While there is something the hart stops as soon as the instruction is done. */
  hits: WatchedAccess[] = [];
  private readonly ranges: readonly WatchedRange[];
  private readonly virtualPages: ReadonlySet<number>;
  private readonly physicalPages: ReadonlySet<number>;
  private noted: Noted[] = [];

  constructor(ranges: readonly WatchedRange[]) {
    this.ranges = ranges;
    this.virtualPages = pagesOf(ranges, 'virtual');
    this.physicalPages = pagesOf(ranges, 'physical');
  }

  isWatched(vpn: number, pfn: number): boolean {
    return this.virtualPages.has(vpn) || this.physicalPages.has(pfn);
  }
  /** A look-up for data has found its frame. @param second it is the second half of an access that straddles pages */
  note(vaHi: number, vaLo: number, pfn: number, isRead: boolean, isWrite: boolean, second: boolean): void {
    const va = toNumber(vaHi, vaLo);
    if (!this.isWatched(Math.floor(va / PAGE_SIZE), pfn)) return;
    this.noted.push({ va, pa: pfn * PAGE_SIZE + (vaLo & (PAGE_SIZE - 1)), isRead, isWrite, isSecond: second });
  }
  /** The instruction is done. @param lenBytes of its access */
  settle(lenBytes: number): void {
    if (this.noted.length === 0) return;
    let firstBytes = 0;
    for (const { va, pa, isRead, isWrite, isSecond } of this.noted) {
      const room = PAGE_SIZE - (pa % PAGE_SIZE);
      const length = isSecond ? lenBytes - firstBytes : Math.min(room, lenBytes);
      firstBytes = length;
      this.judge({ va, pa, lenBytes: length, isRead, isWrite });
    }
    this.noted.length = 0;
  }
  /** It has trapped: nothing was done. */
  forget(): void {
    this.noted.length = 0;
  }
  /** A walk has written a page-table entry. */
  walkWrote(pa: number): void {
    this.judge({ va: null, pa, lenBytes: 8, isRead: false, isWrite: true });
  }

  private judge(access: WatchedAccess): void {
    const { va, pa, lenBytes, isRead, isWrite } = access;
    const isHit = this.ranges.some((range) => {
      const at = range.space === 'physical' ? pa : va;
      return at !== null && ((isRead && range.reads) || (isWrite && range.writes)) && overlaps(range, at, lenBytes);
    });
    if (isHit) this.hits.push(access);
  }
}

const overlaps = ({ start, lenBytes }: WatchedRange, at: number, length: number): boolean => at < start + lenBytes && at + length > start;

function pagesOf(ranges: readonly WatchedRange[], space: WatchedRange['space']): Set<number> {
  const pages = new Set<number>();
  for (const range of ranges) {
    if (range.space !== space) continue;
    for (let page = Math.floor(range.start / PAGE_SIZE); page * PAGE_SIZE < range.start + range.lenBytes; page++) pages.add(page);
  }
  return pages;
}
