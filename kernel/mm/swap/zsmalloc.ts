// Where compressed pages lie: objects of any size up to a page, in frames of the machine. Here: size classes, zspages, taking and giving back objects,
// reading and writing them. Not here: what they are (zswap.ts). Mirrors mm/zsmalloc.c, 6.18. Left out: moving objects together (compaction),
// migration of its frames.
//
// Objects of one class lie one behind the other in a zspage: up to eight frames, which need not follow each other; an object may reach from one into
// the next. A class has as many frames a zspage as waste the least at its end.
//
//   class of 1360 bytes, one frame   [ object ][ object ][ object ]|.        three, 16 bytes lost
//   class of 2720 bytes, two frames  [   object   ][ object | of two frames ][   object   ]
import { PAGE_SIZE, asPfn, bug } from '#base';
import type { Folio, Pfn, StateHash } from '#base';
import { VmItem } from '../events.ts';
import { MemdescType } from '../folio.ts';
import { GfpFlag } from '../gfp.ts';
import type { MmSystem } from '../system.ts';

/** Sizes are multiples of this: ZS_SIZE_CLASS_DELTA. */
const DELTA = PAGE_SIZE >> 8;
const MIN_SIZE = 32;
const MAX_CHAIN = 8;
/** From reclaim: without waiting, and from the reserves, for what is stored frees a page. */
const GFP = GfpFlag.Highmem | GfpFlag.Movable | GfpFlag.KswapdReclaim | GfpFlag.Nowarn | GfpFlag.Noretry | GfpFlag.Memalloc;

interface SizeClass {
  readonly size: number;
  readonly framesPerZspage: number;
  readonly objectsPerZspage: number;
  /** Zspages with room. */
  readonly partial: Set<Zspage>;
}
interface Zspage {
  readonly id: number;
  readonly sizeClass: SizeClass;
  readonly frames: readonly Folio[];
  /** Free places, the one freed last at the end. */
  readonly free: number[];
}
/** An object: its zspage, and its place there. */
export interface ZsHandle { readonly zspage: Zspage; readonly place: number }

/** Frames of a zspage: those of 1 to 8 that leave the least at their end. calculate_zspage_chain_size() */
function chainOf(size: number): number {
  let [best, least] = [1, PAGE_SIZE];
  if (PAGE_SIZE % size === 0) return 1;
  for (let nr = 1; nr <= MAX_CHAIN; nr++) {
    const waste = (nr * PAGE_SIZE) % size;
    if (waste < least) [best, least] = [nr, waste];
  }
  return best;
}

/** By size / DELTA. Those whose zspages are alike share one (can_merge()). */
function sizeClasses(): SizeClass[] {
  const classes: SizeClass[] = [];
  let above: SizeClass | null = null;
  for (let size = PAGE_SIZE; size >= 0; size -= DELTA) {
    const wanted = Math.max(MIN_SIZE, size);
    const framesPerZspage = chainOf(wanted);
    const objectsPerZspage = Math.floor((framesPerZspage * PAGE_SIZE) / wanted);
    if (above === null || above.framesPerZspage !== framesPerZspage || above.objectsPerZspage !== objectsPerZspage) above = { size: wanted, framesPerZspage, objectsPerZspage, partial: new Set() };
    classes[size / DELTA] = above;
  }
  return classes;
}

export class Zsmalloc {
  /** Frames taken. */
  nrFrames = 0;
  private readonly system: MmSystem;
  /** By size / DELTA, made when the first object comes. */
  private classes: readonly SizeClass[] = [];
  private nextId = 1;

  constructor(system: MmSystem) {
    this.system = system;
  }
  private classFor(lenBytes: number): SizeClass {
    if (this.classes.length === 0) this.classes = sizeClasses();
    return this.classes[Math.ceil(lenBytes / DELTA)] ?? bug(`no size class for ${lenBytes} bytes`);
  }

  /** Puts bytes somewhere. null: no memory. zs_malloc() */
  store(bytes: Uint8Array): ZsHandle | null {
    const sizeClass = this.classFor(bytes.length);
    const zspage = this.fullest(sizeClass) ?? this.grow(sizeClass);
    if (zspage === null) return null;
    const place = zspage.free.pop()!;
    if (zspage.free.length === 0) sizeClass.partial.delete(zspage);
    this.visit({ zspage, place }, bytes.length, (pfn, offset, at, nr) => { this.system.machine.writeFrame(pfn, offset, bytes.subarray(at, at + nr)); });
    return { zspage, place };
  }
  /** The one with the least room: find_get_zspage(). */
  private fullest({ partial }: SizeClass): Zspage | null {
    let best: Zspage | null = null;
    for (const zspage of partial) {
      if (best === null || zspage.free.length < best.free.length) best = zspage;
      if (zspage.free.length === 1) break;
    }
    return best;
  }
  private grow(sizeClass: SizeClass): Zspage | null {
    const { system } = this;
    const frames: Folio[] = [];
    while (frames.length < sizeClass.framesPerZspage) {
      const frame = system.allocFolio(0, MemdescType.Zpdesc, GFP);
      if (frame === 0) {
        for (const each of frames) system.putFolio(each);
        return null;
      }
      frames.push(frame);
    }
    this.count(frames.length);
    const free = Array.from({ length: sizeClass.objectsPerZspage }, (_, i) => sizeClass.objectsPerZspage - 1 - i);
    const zspage = { id: this.nextId++, sizeClass, frames, free };
    sizeClass.partial.add(zspage);
    return zspage;
  }
  private count(nr: number): void {
    this.nrFrames += nr;
    this.system.vmstat.add(VmItem.nr_zspages, nr);
  }
  read(handle: ZsHandle, into: Uint8Array): void {
    this.visit(handle, into.length, (pfn, offset, at, nr) => { this.system.machine.readFrame(pfn, offset, into.subarray(at, at + nr)); });
  }
  /** Gives an object up; an empty zspage's frames are free. zs_free() */
  free({ zspage, place }: ZsHandle): void {
    const { sizeClass, free, frames } = zspage;
    if (free.includes(place)) bug('a compressed page is freed twice');
    free.push(place);
    if (free.length < sizeClass.objectsPerZspage) {
      sizeClass.partial.add(zspage);
      return;
    }
    sizeClass.partial.delete(zspage);
    this.count(-frames.length);
    for (const frame of frames) this.system.putFolio(frame);
  }
  /** The pieces of an object, frame by frame: where in the frame, where in the object, bytes. */
  private visit({ zspage: { sizeClass, frames }, place }: ZsHandle, lenBytes: number, piece: (pfn: Pfn, offset: number, at: number, nr: number) => void): void {
    const start = place * sizeClass.size;
    for (let at = 0; at < lenBytes; ) {
      const offset = (start + at) % PAGE_SIZE;
      const nr = Math.min(PAGE_SIZE - offset, lenBytes - at);
      piece(asPfn(frames[Math.floor((start + at) / PAGE_SIZE)]!), offset, at, nr);
      at += nr;
    }
  }
  hash(into: StateHash): void {
    into.numbers([this.nrFrames, this.nextId]);
    for (const { partial } of new Set(this.classes)) for (const { id, frames, free } of partial) into.numbers([id, ...frames, ...free]);
  }
}
