// Which pages a program used, and when: recorded in one run, known in the next. Here: the recording, and what the policies lru and opt ask of it.
// Not here: who sees the accesses: the hart's (the MMU's observer, by way of the tools), the kernel's own copies for system calls (noteUse()).
//
// Time is user instructions retired, in windows of a thousand: a page that is used in a window, however often, is there once. That is what makes a
// recording cheap: the engine is asked once for each page and window, and what is lost is the order of uses inside one window, which
// decides nothing where hundreds of pages compete. Instructions do not depend on the policy as long as the program does the same.
import type { Folio, Pfn } from '#base';
import type { FolioTable } from '../folio.ts';
import type { MmSystem } from '../system.ts';
import { PageNumbers } from './page-numbers.ts';

/** Instructions whose uses are one. */
export const USE_WINDOW = 1000;

/** Somebody who wants to know which pages are used, through mappings and by system calls. */
export interface UseObserver { used(pfn: Pfn): void }

/** The kernel copies to or from a part of a folio for a program. */
export function noteUse(system: MmSystem, folio: Folio, offset: number, lenBytes: number): void {
  const { uses } = system;
  if (uses === null) return;
  for (let at = offset - (offset % 4096); at < offset + lenBytes; at += 4096) uses.used((folio + at / 4096) as Pfn);
}

/** A growing column of whole numbers below 2^31. */
class Column {
  private chunk = new Int32Array(1 << 16);
  length = 0;
  push(n: number): void {
    if (this.length === this.chunk.length) {
      const larger = new Int32Array(this.length * 2);
      larger.set(this.chunk);
      this.chunk = larger;
    }
    this.chunk[this.length++] = n;
  }
  at(i: number): number {
    return this.chunk[i]!;
  }
}

export class UseRecorder implements UseObserver {
  private readonly folios: FolioTable;
  private readonly machine: { readonly instret: number };
  private readonly numbers = new PageNumbers();
  private readonly lastWindows: number[] = [-1];
  // A row a use.
  private readonly pages = new Column();
  private readonly windows = new Column();

  constructor(system: MmSystem) {
    this.folios = system.folios;
    this.machine = system.machine;
  }
  used(pfn: Pfn): void {
    const folio = this.folios.folioOf(pfn);
    const mapping = this.folios.mapping(folio);
    // Frames of the kernel's own: no program's page.
    if (mapping === 0) return;
    const page = this.numbers.of(mapping, this.folios.index(folio) + pfn - folio);
    const window = Math.floor(this.machine.instret / USE_WINDOW);
    if (this.lastWindows[page] === window) return;
    this.lastWindows[page] = window;
    this.pages.push(page);
    this.windows.push(window);
  }
  /** How many pages were used in how many windows, in all. */
  get length(): number {
    return this.pages.length;
  }
  finish(): RecordedUses {
    const { numbers, pages, windows } = this;
    const starts = new Int32Array(numbers.count + 2);
    for (let i = 0; i < pages.length; i++) starts[pages.at(i) + 1]!++;
    for (let page = 0; page <= numbers.count; page++) starts[page + 1]! += starts[page]!;
    const fill = starts.slice();
    const sorted = new Int32Array(pages.length);
    for (let i = 0; i < pages.length; i++) sorted[fill[pages.at(i)]!++] = windows.at(i);
    return new RecordedUses(numbers, starts, sorted);
  }
}

/** All uses of a run, by page. Read only, so that several runs can follow one recording. */
export class RecordedUses {
  readonly numbers: PageNumbers;
  /** Page n's windows, ascending, are [starts[n], starts[n + 1]) of `windows`. */
  readonly starts: Int32Array;
  readonly windows: Int32Array;
  constructor(numbers: PageNumbers, starts: Int32Array, windows: Int32Array) {
    this.numbers = numbers;
    this.starts = starts;
    this.windows = windows;
  }
}

/** One run's place in a recording. Time goes forward only. */
export class UseReader {
  private readonly recorded: RecordedUses;
  private readonly cursors: Int32Array;
  constructor(recorded: RecordedUses) {
    this.recorded = recorded;
    this.cursors = recorded.starts.slice();
  }
  /** The instruction at which a page of the folio is used next, now included; Infinity: never. To a window. */
  nextUse(mapping: number, index: number, nrPages: number, now: number): number {
    let next = Infinity;
    for (let i = 0; i < nrPages && next > now; i++) next = Math.min(next, this.nextOf(this.recorded.numbers.find(mapping, index + i), now));
    return next;
  }
  /** The instruction at which a page of the folio was used last, now included; -1: it has not been. */
  lastUse(mapping: number, index: number, nrPages: number, now: number): number {
    let last = -1;
    for (let i = 0; i < nrPages; i++) last = Math.max(last, this.lastOf(this.recorded.numbers.find(mapping, index + i), now));
    return last;
  }
  private nextOf(page: number, now: number): number {
    if (page === 0) return Infinity;
    const at = this.advance(page, Math.floor(now / USE_WINDOW));
    return at < this.recorded.starts[page + 1]! ? this.recorded.windows[at]! * USE_WINDOW : Infinity;
  }
  private lastOf(page: number, now: number): number {
    if (page === 0) return -1;
    const { windows, starts } = this.recorded;
    const window = Math.floor(now / USE_WINDOW);
    const at = this.advance(page, window);
    if (at < starts[page + 1]! && windows[at] === window) return windows[at]! * USE_WINDOW;
    return at > starts[page]! ? windows[at - 1]! * USE_WINDOW : -1;
  }
  /** The page's first use in this window or later. */
  private advance(page: number, window: number): number {
    const { windows, starts } = this.recorded;
    const end = starts[page + 1]!;
    let at = this.cursors[page]!;
    while (at < end && windows[at]! < window) at++;
    this.cursors[page] = at;
    return at;
  }
}
