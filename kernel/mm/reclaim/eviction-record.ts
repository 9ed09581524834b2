// Evictions, for those who ask why: which page went, where it stood when it was chosen, when it was last seen in use, and how long it stayed away.
// Recorded only while somebody asks; otherwise it costs one test where a folio is taken off its list, goes, comes back, or is used.
//
// Where a folio stood is noted when it is taken off its list for the first time: one that must be written first is taken off once more when that
// has ended, and stands where the written ones stand by then.
import { ptePfn } from '#mmu';
import type { Folio } from '#base';
import type { MemCgroup } from '../memcg.ts';
import type { Mm } from '../mm.ts';
import type { MmSystem } from '../system.ts';
import { FolioFlag } from '../folio.ts';
import { PageNumbers } from './page-numbers.ts';
import type { SamplingObserver } from './referenced.ts';

export interface Eviction {
  /** 0, 1, 2 ... since recording began. */
  readonly number: number;
  readonly cycle: number;
  readonly instructions: number;
  /** The folio: what FolioTable calls mapping and index of its first page, and its pages. */
  readonly mapping: number;
  readonly index: number;
  readonly pages: number;
  /** Whose page it was, and whose limit was in the way; null: memory itself was short. */
  readonly group: string;
  readonly limitOf: string | null;
  readonly policy: string;
  /** Lruvec.standing() when it was chosen. */
  readonly standing: string;
  /** When the kernel last saw it in use; null: not since recording began. Use that only a TLB knows of is not seen. */
  readonly lastSeen: Sighting | null;
  /** Pages evicted before this one. */
  readonly pagesBefore: number;
}
/** How use was seen: by an accessed bit, or since a system call used it. */
export interface Sighting { readonly cycle: number; readonly by: 'accessed bit' | 'system call' }
/** All evictions of one page. Records are frozen: copies of the machine share them, however many there are. */
export interface EvictionStory {
  readonly times: number;
  readonly last: Eviction;
  /** Its return after the last one: after how many other pages had been evicted. null: it has not come back. */
  readonly back: { readonly cycle: number; readonly instructions: number; readonly distance: number } | null;
  /** Returns of all times, and the sum of their distances. */
  readonly returns: number;
  readonly distances: number;
}
/** What is noted of a folio in memory; it is forgotten when the frame holds another page. */
interface Note { mapping: number; index: number; seen: Sighting | null; standing: string | null; isBeingWritten: boolean }

export class EvictionLog implements SamplingObserver {
  isOn = false;
  /** Told of every eviction as it happens. */
  listener: ((eviction: Eviction) => void) | null = null;
  private readonly system: MmSystem;
  private readonly notes = new Map<Folio, Note>();
  private readonly numbers = new PageNumbers();
  private readonly stories: (EvictionStory | undefined)[] = [];
  /** Pages in swap, by slot. */
  private readonly bySlot = new Map<number, number>();
  private next = 0;
  private evictedPages = 0;

  constructor(system: MmSystem) {
    this.system = system;
  }
  start(): void {
    this.isOn = true;
    this.system.sampling ??= this;
  }
  stop(): void {
    this.isOn = false;
    if (this.system.sampling === this) this.system.sampling = null;
  }
  /** Of one page; null: it was never evicted. */
  storyOf(mapping: number, index: number): EvictionStory | null {
    return this.stories[this.numbers.find(mapping, index)] ?? null;
  }
  /** Every page that was evicted, in the order of their first times. */
  * all(): Generator<{ readonly mapping: number; readonly index: number; readonly story: EvictionStory }> {
    for (let page = 1; page <= this.numbers.count; page++) {
      const story = this.stories[page];
      if (story !== undefined) yield { mapping: this.numbers.mappingOf(page), index: this.numbers.indexOf(page), story };
    }
  }

  // What is told.

  sampled(mm: Mm, vpn: number, _nr: number, wasYoung: boolean): void {
    if (!wasYoung) return;
    const { system } = this;
    const low = mm.tables.pmdLeaf(vpn) || mm.tables.get(vpn);
    const pfn = ptePfn(low);
    if (low !== 0 && system.folios.has(pfn)) this.seen(system.folios.folioOf(pfn), 'accessed bit');
  }
  seen(folio: Folio, by: Sighting['by']): void {
    this.noteOf(folio).seen = Object.freeze({ cycle: this.system.machine.clockCycles, by });
  }
  /** It is about to be taken off its list, to be worked on. */
  isolated(folio: Folio): void {
    const note = this.noteOf(folio);
    if (note.isBeingWritten && note.standing !== null) return;
    note.standing = this.system.lru.lruvecOf(folio).standing(folio);
  }
  /** It has been put back: it stays, or is being written. */
  putBack(folio: Folio): void {
    const note = this.noteOf(folio);
    note.isBeingWritten = this.system.folios.test(folio, FolioFlag.Writeback);
  }
  private noteOf(folio: Folio): Note {
    const { folios } = this.system;
    const mapping = folios.mapping(folio);
    const index = folios.index(folio);
    let note = this.notes.get(folio);
    if (note === undefined || note.mapping !== mapping || note.index !== index) this.notes.set(folio, (note = { mapping, index, seen: null, standing: null, isBeingWritten: false }));
    return note;
  }
  /** It goes, into swap or as a page of a file that the disk has. */
  evicted(folio: Folio, target: MemCgroup | null): void {
    const { folios, machine, memcg } = this.system;
    const { mapping, index, seen, standing } = this.noteOf(folio);
    this.notes.delete(folio);
    // In the swap cache without having been mapped: a file's of memory alone, or read ahead in vain. Its page is known by its slot, if it was here before.
    const known = mapping === 0 ? (this.bySlot.get(folios.swapEntry(folio)) ?? 0) : this.numbers.of(mapping, index);
    if (known === 0) return;
    const pages = folios.nrPages(folio);
    const group = memcg.of(folio);
    const eviction: Eviction = Object.freeze({
      number: this.next++, cycle: machine.clockCycles, instructions: machine.instret, mapping: this.numbers.mappingOf(known), index: this.numbers.indexOf(known), pages,
      group: group.path, limitOf: target?.path ?? null, policy: group.lruvec.policy, standing: standing ?? 'on no list', lastSeen: seen, pagesBefore: this.evictedPages,
    });
    for (let i = 0; i < pages; i++) {
      const page = this.numbers.of(eviction.mapping, eviction.index + i);
      if (folios.swapEntry(folio) !== 0) this.bySlot.set(folios.swapEntry(folio) + i, page);
      const story = this.stories[page];
      this.stories[page] = Object.freeze({ times: (story?.times ?? 0) + 1, last: eviction, back: null, returns: story?.returns ?? 0, distances: story?.distances ?? 0 });
    }
    this.evictedPages += pages;
    this.listener?.(eviction);
  }
  /** A page that was remembered is in memory again. */
  cameBack(folio: Folio): void {
    const { folios, machine } = this.system;
    const entry = folios.swapEntry(folio);
    for (let i = 0; i < folios.nrPages(folio); i++) {
      const page = entry !== 0 ? (this.bySlot.get(entry + i) ?? 0) : this.numbers.find(folios.mapping(folio), folios.index(folio) + i);
      const story = this.stories[page];
      if (story === undefined || story.back !== null) continue;
      const distance = this.evictedPages - story.last.pagesBefore;
      const back = Object.freeze({ cycle: machine.clockCycles, instructions: machine.instret, distance });
      this.stories[page] = Object.freeze({ ...story, back, returns: story.returns + 1, distances: story.distances + distance });
    }
  }
}
