// One swap device: a disk, or a file on one, cut into slots of a page. Here: what is known of each slot, and where it is on the disk. Not here: which
// slots are given out (clusters.ts), several devices (swap.ts), reading and writing (swap-io.ts).
// Mirrors struct swap_info_struct, swap_map, zeromap and swap_cgroup (include/linux/swap.h, mm/swapfile.c), 6.18. The map's counts are numbers:
// what Linux keeps in further pages when more than 62 entries name a slot (COUNT_CONTINUED) needs no page here.
import { bug } from '#base';
import type { Folio, StateHash } from '#base';
import type { BlockDevice } from '../../block/device.ts';
import { CLUSTER_SLOTS, SlotUse, SwapClusters } from './clusters.ts';
import type { SlotMap } from './clusters.ts';
import { swapEntry } from './entry.ts';
import type { SwapEntry } from './entry.ts';

/** The count of a slot that must not be used: the header's. SWAP_MAP_BAD */
const BAD = 0xffff_ffff;
/** Zero: holds nothing but zeros, and is not on the disk (zeromap). Shmem: it is a file's page that went (SWAP_MAP_SHMEM). */
const SlotFlag = { Zero: 1, Shmem: 2 } as const;
/** Slots [start, start + nr) lie on the disk from a sector on, one behind the other. struct swap_extent */
export interface SwapExtent { readonly start: number; readonly nr: number; readonly sector: number }
const SECTORS_PER_PAGE = 8;
const contents = new Uint8Array(4096);
const words = new Int32Array(contents.buffer);

export interface SwapTarget {
  readonly device: BlockDevice;
  /** In order of slots, without holes. */
  readonly extents: readonly SwapExtent[];
  /** Whole pages of the disk or file. */
  readonly sizePages: number;
  /** Where its first page, the header, lies: sectors and bytes. Not slot 0 where blocks are smaller than pages and begin in the middle of one. */
  readonly header: readonly { readonly sector: number; readonly lenBytes: number }[];
  /** As /proc/swaps shows it. */
  readonly path: string;
  readonly kind: 'partition' | 'file';
  /** What swapoff(2) knows it by: the file's inode; null: the device is enough. */
  readonly file: object | null;
}

export class SwapInfo {
  readonly type: number;
  readonly target: SwapTarget;
  /** Higher ones are used first. Below 0: nobody has given one, and it rises when an earlier one of these is turned off. */
  priority: number;
  /** Slots, the header's included. */
  readonly nrSlots: number;
  /** Those that can hold a page. */
  readonly nrPages: number;
  readonly clusters: SwapClusters;
  inUse = 0;
  /** Of those, the ones that only the swap cache keeps: they can be given up. */
  cacheOnly = 0;
  /** Slots may be taken: SWP_WRITEOK. swapoff clears it first. */
  isWritable = true;
  /** SWP_BLKDEV: large folios go to devices alone, for a file's blocks may lie apart. */
  readonly isDevice: boolean;
  /** An arm has to move: neighbours on the disk are read along, rather than neighbours in the address space. */
  readonly isRotational: boolean;
  /** The processor does the copying: what is read has been read when it is asked for, and nothing is read ahead. SWP_SYNCHRONOUS_IO */
  readonly isSynchronous: boolean;
  // A row a slot.
  private readonly counts: Uint32Array; // PTEs and places in files of memory that name it: swap_map
  private readonly folios: Int32Array; // the page that the swap cache has of it, as its folio's head; 0: none
  private readonly shadows: Float64Array; // what is remembered of a page that the swap cache had; 0: nothing
  private readonly flags: Uint8Array; // SlotFlag bits
  private readonly owners: Uint16Array; // the group that is charged: swap_cgroup

  /** @param pages of the target, the header's included  @param bad slots that must not be used  @param pressure what the search for slots asks of all of swap */
  constructor(type: number, target: SwapTarget, priority: number, pages: number, bad: readonly number[], pressure: { readonly isFull: boolean; reclaimCached(entry: SwapEntry): number }) {
    this.type = type;
    this.target = target;
    this.priority = priority;
    this.nrSlots = pages;
    this.isDevice = target.kind === 'partition';
    this.isRotational = target.device.latency.fullSeekNs > 0;
    this.isSynchronous = target.device.latency.synchronous !== 0;
    this.counts = new Uint32Array(pages);
    this.folios = new Int32Array(pages);
    this.shadows = new Float64Array(pages);
    this.flags = new Uint8Array(pages);
    this.owners = new Uint16Array(pages);
    for (const slot of [0, ...bad]) this.counts[slot] = BAD;
    this.nrPages = pages - 1 - bad.length;
    const map: SlotMap = {
      use: (offset) => (this.counts[offset] !== 0 ? SlotUse.Used : this.folios[offset] !== 0 ? SlotUse.CacheOnly : SlotUse.Free),
      get isFull() { return pressure.isFull; },
      reclaimCached: (offset) => pressure.reclaimCached(swapEntry(type, offset)),
    };
    this.clusters = new SwapClusters(pages, map);
  }

  // Slots.

  /** A run of 2^order slots for a group's pages; 0: there is none. The caller puts a folio there at once. */
  alloc(order: number, owner: number): number {
    if (!this.isWritable || (order > 0 && !this.isDevice)) return 0;
    const offset = this.clusters.alloc(order);
    if (offset === 0) return 0;
    this.inUse += 1 << order;
    this.owners.fill(owner, offset, offset + (1 << order));
    return offset;
  }
  isUsable(offset: number): boolean {
    return offset > 0 && offset < this.nrSlots;
  }
  count(offset: number): number {
    const count = this.counts[offset]!;
    return count === BAD ? 0 : count;
  }
  addCount(offset: number, n: number): number {
    if (this.counts[offset] === BAD) bug(`slot ${offset} of swap device ${this.type} is none`);
    if (this.counts[offset]! + n < 0) bug(`slot ${offset} of swap device ${this.type} freed once too often`);
    this.cacheOnly -= this.isCacheOnly(offset) ? 1 : 0;
    this.counts[offset]! += n;
    this.cacheOnly += this.isCacheOnly(offset) ? 1 : 0;
    return this.counts[offset]!;
  }
  folioAt(offset: number): Folio | 0 {
    return this.folios[offset]! as Folio | 0;
  }
  /** @param folio 0: the swap cache has the slot no more */
  setFolio(offset: number, folio: Folio | 0): void {
    this.cacheOnly -= this.isCacheOnly(offset) ? 1 : 0;
    this.folios[offset] = folio;
    this.cacheOnly += this.isCacheOnly(offset) ? 1 : 0;
  }
  private isCacheOnly(offset: number): boolean {
    return this.counts[offset] === 0 && this.folios[offset] !== 0;
  }
  shadow(offset: number): number {
    return this.shadows[offset]!;
  }
  setShadow(offset: number, shadow: number): void {
    this.shadows[offset] = shadow;
  }
  isZero(offset: number): boolean {
    return (this.flags[offset]! & SlotFlag.Zero) !== 0;
  }
  setZero(offset: number, nr: number, isZero: boolean): void {
    for (let at = offset; at < offset + nr; at++) this.flags[at] = isZero ? this.flags[at]! | SlotFlag.Zero : this.flags[at]! & ~SlotFlag.Zero;
  }
  isShmem(offset: number): boolean {
    return (this.flags[offset]! & SlotFlag.Shmem) !== 0;
  }
  setShmem(offset: number): void {
    this.flags[offset]! |= SlotFlag.Shmem;
  }
  owner(offset: number): number {
    return this.owners[offset]!;
  }
  /** Nobody names a slot any more, and the swap cache has let it go. swap_range_free() */
  release(offset: number): void {
    this.shadows[offset] = 0;
    this.flags[offset] = 0;
    this.owners[offset] = 0;
    this.inUse--;
    this.clusters.free(offset, 1);
  }

  /** The disk's first sector of a slot. swap_folio_sector() */
  sectorOf(offset: number): number {
    const { extents } = this.target;
    let [low, high] = [0, extents.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (extents[middle]!.start <= offset) low = middle;
      else high = middle - 1;
    }
    const extent = extents[low]!;
    if (offset >= extent.start + extent.nr) bug(`slot ${offset} of swap device ${this.type} is nowhere on its disk`);
    return extent.sector + (offset - extent.start) * SECTORS_PER_PAGE;
  }
  private isInUse(offset: number): boolean {
    return (this.counts[offset] !== 0 && this.counts[offset] !== BAD) || this.folios[offset] !== 0;
  }
  /** The first slot from `offset` on that is in use; 0: none. find_next_to_unuse() */
  nextInUse(offset: number): number {
    for (let at = Math.max(1, offset); at < this.nrSlots; at++) if (this.isInUse(at)) return at;
    return 0;
  }

  /** Throws Bug when clusters, counts and the slots disagree. */
  check(): void {
    this.clusters.check();
    let [inUse, cacheOnly] = [0, 0];
    for (let offset = 1; offset < this.nrSlots; offset++) {
      if (this.isCacheOnly(offset)) cacheOnly++;
      if (this.isInUse(offset)) inUse++;
      else if (this.shadows[offset] !== 0 || this.flags[offset] !== 0 || this.owners[offset] !== 0) bug(`slot ${offset} of swap device ${this.type} is free and remembers something`);
    }
    if (inUse !== this.inUse || cacheOnly !== this.cacheOnly) bug(`swap device ${this.type} has ${inUse} slots in use, ${cacheOnly} by the swap cache alone, counts ${this.inUse} and ${this.cacheOnly}`);
  }
  hash(into: StateHash): void {
    into.numbers([this.type, this.priority, this.nrSlots, this.inUse, this.isWritable ? 1 : 0]);
    this.clusters.hash(into);
    for (let cluster = 0; cluster < this.clusters.nrClusters; cluster++) {
      // What was never used is zeros, and most of a large device is.
      if (this.clusters.isFree(cluster)) continue;
      const [start, end] = [cluster * CLUSTER_SLOTS, Math.min(this.nrSlots, (cluster + 1) * CLUSTER_SLOTS)];
      for (let offset = start; offset < end; offset++) this.hashSlot(offset, into);
    }
  }
  /** What the device has of it is state, too, where memory has not the same. */
  private hashSlot(offset: number, into: StateHash): void {
    into.numbers([this.counts[offset]!, this.folios[offset]!, this.shadows[offset]!, this.flags[offset]!, this.owners[offset]!]);
    const isOnDevice = this.isInUse(offset) && this.folios[offset] === 0 && !this.isZero(offset);
    if (isOnDevice && this.target.device.image.read(this.sectorOf(offset) * 512, contents)) into.int32s(words);
  }
}
