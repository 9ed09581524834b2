// Memory descriptors: what is said of an allocation rather than of each of its frames. Here: the layouts of the memory map, each descriptor's
// fields and size, the slab caches that hold the descriptors when the map's records are too small for them, and how many are live. Not here: the
// values of the fields (folio.ts keeps them as columns, whatever the layout). Follows the planned layouts of Matthew Wilcox's memdesc pages.
//
// With 64 bytes a frame (Linux today) the record is the descriptor, and nothing is allocated. With 32, 16 or 8 the record holds little more than the
// memdesc word, and every folio and page table has a descriptor of its own, in a slab: a frame taken from the guest's RAM. The slab's own descriptor
// lies at its start. A free block needs none: its list pointer overlays the word. Misc frames carry a subtype in the word.
import { asPfn, bug } from '#base';
import type { Pfn, StateHash } from '#base';
import { MemdescType } from './folio.ts';

/** Bytes a frame that the memory map can take. */
export const memmapLayouts = [64, 32, 16, 8] as const;
export type MemmapLayout = (typeof memmapLayouts)[number];

/** A descriptor's fields in bytes. Sizes are rounded up to 16: the low four bits of its address are the type. */
const folioFields = { flags: 8, lru: 16, mapping: 8, index: 8, private: 8, refcount: 4, mapcount: 4, pincount: 4, order: 4, pfn: 8, memcg: 8 };
const largeFields = { ...folioFields, large_mapcount: 4, entire_mapcount: 4, nr_pages_mapped: 4, mm_id_mapcounts: 8, mm_ids: 8 };
const kindRows = [
  { name: 'folio', fields: folioFields },
  { name: 'large file folio', fields: largeFields },
  /** Which may wait to be split. */
  { name: 'large anon folio', fields: { ...largeFields, deferred_list: 16 } },
  { name: 'page table', fields: { flags: 8, list: 16, mapping: 8, mm: 8, lock: 8, refcount: 4, type: 4, memcg: 8 } },
  { name: 'slab', fields: { flags: 8, cache: 8, list: 16, freelist: 8, counters: 8, obj_exts: 8 } },
  { name: 'misc', fields: {} },
] as const satisfies readonly { readonly name: string; readonly fields: Readonly<Record<string, number>> }[];
const sizeOf = (fields: Readonly<Record<string, number>>): number => Math.ceil(Object.values(fields).reduce((sum, n) => sum + n, 0) / 16) * 16;
/** Every kind of descriptor with its size in bytes; 0: the word says it all. */
export const descriptorKinds: readonly { readonly name: string; readonly bytes: number }[] = kindRows.map(({ name, fields }) => ({ name, bytes: sizeOf(fields) }));
const Kind = { Folio: 0, LargeFile: 1, LargeAnon: 2, PageTable: 3, Slab: 4, Misc: 5 } as const;
const SLAB_HEADER = descriptorKinds[Kind.Slab]!.bytes;

export function kindOf(type: MemdescType, order: number): number {
  switch (type) {
    case MemdescType.AnonFolio: return order > 0 ? Kind.LargeAnon : Kind.Folio;
    case MemdescType.FileFolio: return order > 0 ? Kind.LargeFile : Kind.Folio;
    case MemdescType.PageTable: return Kind.PageTable;
    case MemdescType.Slab: return Kind.Slab;
    default: return Kind.Misc;
  }
}

/** Bytes that describe a file or a region of N pages in folios of one order: N records of P bytes, and a descriptor of F bytes a folio. */
export const overheadBytes = (nrPages: number, order: number, recordBytes: number, folioBytes: (order: number) => number): number =>
  nrPages * recordBytes + Math.ceil(nrPages / 2 ** order) * folioBytes(order);

/** Where slabs come from. */
export interface SlabSource {
  takeSlab(): Pfn | 0;
  returnSlab(pfn: Pfn): void;
}
/** A slab: which of its slots are free, the last freed first. */
interface SlabPage { readonly pfn: Pfn; readonly kind: number; readonly free: number[]; readonly slots: number }

export class Descriptors {
  readonly layout: MemmapLayout;
  /** Allocations of each kind, and the frames they have. */
  readonly live = new Int32Array(kindRows.length);
  readonly frames = new Int32Array(kindRows.length);
  /** Slabs of each kind of descriptor. */
  readonly slabs = new Int32Array(kindRows.length);
  /** The same three when most frames were in use. */
  readonly peak = { total: 0, live: new Int32Array(kindRows.length), frames: new Int32Array(kindRows.length), slabs: new Int32Array(kindRows.length) };
  private total = 0;
  private readonly source: SlabSource;
  private readonly firstPfn: Pfn;
  /** Of each head: 1 + row of the slab * 64 + slot; 0: none. Empty with 64 bytes a frame. */
  private readonly places: Int32Array;
  private readonly pages = new Map<number, SlabPage>();
  private readonly partial: SlabPage[][] = kindRows.map(() => []);

  constructor(layout: MemmapLayout, firstPfn: Pfn, nrFrames: number, source: SlabSource) {
    this.layout = layout;
    this.firstPfn = firstPfn;
    this.source = source;
    this.places = new Int32Array(layout === 64 ? 0 : nrFrames);
  }

  /** An allocation begins. @returns false: there is no memory for its descriptor */
  attach(first: Pfn, type: MemdescType, order: number): boolean {
    const kind = kindOf(type, order);
    if (this.layout !== 64 && !this.place(first, kind)) return false;
    this.live[kind]!++;
    this.frames[kind]! += 1 << order;
    this.total += 1 << order;
    if (this.total > this.peak.total) this.notePeak();
    return true;
  }
  /** It ends. */
  detach(first: Pfn, type: MemdescType, order: number): void {
    const kind = kindOf(type, order);
    this.live[kind]!--;
    this.frames[kind]! -= 1 << order;
    this.total -= 1 << order;
    if (this.layout !== 64) this.displace(first);
  }
  /** A folio becomes several. @returns false: there is no memory for their descriptors, and nothing has changed */
  split(folio: Pfn, type: MemdescType, order: number, pieces: readonly number[]): boolean {
    if (this.layout !== 64) {
      const old = this.places[folio - this.firstPfn]!;
      this.places[folio - this.firstPfn] = 0;
      let at = folio;
      for (const piece of pieces) {
        if (!this.place(at, kindOf(type, piece))) {
          for (let back: number = folio; back < at; back++) if (this.places[back - this.firstPfn] !== 0) this.displace(asPfn(back));
          this.places[folio - this.firstPfn] = old;
          return false;
        }
        at = asPfn(at + (1 << piece));
      }
      this.giveBack(old);
    }
    this.live[kindOf(type, order)]!--;
    this.frames[kindOf(type, order)]! -= 1 << order;
    for (const piece of pieces) {
      this.live[kindOf(type, piece)]!++;
      this.frames[kindOf(type, piece)]! += 1 << piece;
    }
    return true;
  }
  /** Physical address of a head's descriptor where it has one of its own; 0: it has none. */
  addressOf(first: Pfn, type: MemdescType): number {
    if (this.layout === 64) return 0;
    if (type === MemdescType.Slab) return first * 4096;
    const place = this.places[first - this.firstPfn]!;
    if (place === 0) return 0;
    const row = (place - 1) >> 6;
    const page = this.pages.get(row) ?? bug('a descriptor in no slab');
    return (this.firstPfn + row) * 4096 + SLAB_HEADER + ((place - 1) & 63) * descriptorKinds[page.kind]!.bytes;
  }

  private place(first: Pfn, kind: number): boolean {
    const { bytes } = descriptorKinds[kind]!;
    if (bytes === 0 || kind === Kind.Slab) return true;
    const partial = this.partial[kind]!;
    let page = partial[partial.length - 1];
    if (page === undefined) {
      const pfn = this.source.takeSlab();
      if (pfn === 0) return false;
      const slots = Math.floor((4096 - SLAB_HEADER) / bytes);
      page = { pfn, kind, slots, free: Array.from({ length: slots }, (_, i) => slots - 1 - i) };
      this.pages.set(pfn - this.firstPfn, page);
      partial.push(page);
      this.slabs[kind]!++;
    }
    this.places[first - this.firstPfn] = 1 + (page.pfn - this.firstPfn) * 64 + page.free.pop()!;
    if (page.free.length === 0) partial.pop();
    return true;
  }
  private displace(first: Pfn): void {
    const place = this.places[first - this.firstPfn]!;
    if (place === 0) return;
    this.places[first - this.firstPfn] = 0;
    this.giveBack(place);
  }
  private giveBack(place: number): void {
    const row = (place - 1) >> 6;
    const page = this.pages.get(row) ?? bug('a descriptor given back to no slab');
    const partial = this.partial[page.kind]!;
    if (page.free.length === 0) partial.push(page);
    page.free.push((place - 1) & 63);
    if (page.free.length < page.slots) return;
    partial.splice(partial.indexOf(page), 1);
    this.pages.delete(row);
    this.slabs[page.kind]!--;
    this.source.returnSlab(page.pfn);
  }
  private notePeak(): void {
    const { peak } = this;
    peak.total = this.total;
    for (let kind = 0; kind < kindRows.length; kind++) {
      peak.live[kind] = this.live[kind]!;
      peak.frames[kind] = this.frames[kind]!;
      peak.slabs[kind] = this.slabs[kind]!;
    }
  }

  /** Throws when what is counted is not what the slabs hold. */
  check(): void {
    if (this.layout === 64) return;
    const held = kindRows.map(() => 0);
    for (const page of this.pages.values()) held[page.kind]! += page.slots - page.free.length;
    for (const kind of [Kind.Folio, Kind.LargeFile, Kind.LargeAnon, Kind.PageTable]) {
      if (held[kind] !== this.live[kind]) bug(`${held[kind]} descriptors of kind ${kindRows[kind].name} in slabs, ${this.live[kind]} allocations of it`);
    }
    if (this.pages.size !== this.live[Kind.Slab]) bug(`${this.pages.size} slabs, ${this.live[Kind.Slab]} counted`);
  }
  hash(into: StateHash): void {
    into.int32s(this.live);
    into.int32s(this.slabs);
    into.int32s(this.places);
  }
}
