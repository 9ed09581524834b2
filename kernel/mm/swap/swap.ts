// Swap: what the rest of mm asks of swap. Here: the devices there are, whose turn it is, who names a slot, whose it is. Not here: the slots of one device
// (swap-info.ts), folios in the swap cache (swap-cache.ts), reading and writing (swap-io.ts), faults (swap-in.ts), turning on and off (swapon.ts, swapoff.ts).
// Mirrors get_swap_pages(), folio_alloc_swap(), swap_duplicate() and free_swap_and_cache_nr() (mm/swapfile.c), 6.18. Linux 6.12 sets 64 slots aside
// for each processor; here, as since 6.15, none are.
import { bug } from '#base';
import type { Folio, StateHash } from '#base';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import { MAX_SWAPFILES, swapEntry, swapOffset, swapType } from './entry.ts';
import type { SwapEntry } from './entry.ts';
import { swapOutShmem } from './shmem-swap.ts';
import { SwapCache } from './swap-cache.ts';
import { SwapInfo } from './swap-info.ts';
import type { SwapTarget } from './swap-info.ts';
import { SwapIo } from './swap-io.ts';
import type { SwapWrite } from './swap-io.ts';
import { Zswap } from './zswap.ts';

export class Swap {
  readonly cache: SwapCache;
  readonly io: SwapIo;
  readonly zswap: Zswap;
  private readonly system: MmSystem;
  /** By type; null: swapped off, or never on. */
  private readonly infos: (SwapInfo | null)[] = [];
  /** Those that have free slots to give, of the highest priority first; among equals the one whose turn it is: swap_avail_heads. */
  private readonly order: SwapInfo[] = [];
  private total = 0;
  private inUse = 0;
  /** The priority of the next device that is turned on without one: least_priority. */
  private leastPriority = -1;

  constructor(system: MmSystem) {
    this.system = system;
    this.cache = new SwapCache(system, this);
    this.io = new SwapIo(system, this);
    this.zswap = new Zswap(system);
  }

  // How much there is.

  /** SwapTotal and SwapFree, in pages: total_swap_pages, nr_swap_pages. */
  get totalPages(): number {
    return this.total;
  }
  get freePages(): number {
    return this.total - this.inUse;
  }
  /** Slots that a group may still take: mem_cgroup_get_nr_swap_pages(). */
  freePagesFor(group: MemCgroup): number {
    let free = this.freePages;
    for (let at: MemCgroup | null = group; at !== null && !at.isRoot; at = at.parent) free = Math.min(free, at.swapMax - at.swapUsage);
    return free;
  }
  /** More than half of swap is in use: vm_swap_full(). */
  get isFull(): boolean {
    return this.freePages * 2 < this.total;
  }
  /** The same for the group of a folio: mem_cgroup_swap_full(). */
  isFullFor(folio: Folio): boolean {
    if (this.isFull) return true;
    for (let at: MemCgroup | null = this.system.memcg.of(folio); at !== null && !at.isRoot; at = at.parent) {
      if (at.swapUsage * 2 >= at.swapHigh || at.swapUsage * 2 >= at.swapMax) return true;
    }
    return false;
  }
  /** Those that are on, in order of type. */
  get devices(): SwapInfo[] {
    return this.infos.filter((info) => info !== null);
  }
  /** The device of an entry; null: there is none, or it has no such slot. */
  infoOf(entry: SwapEntry): SwapInfo | null {
    const info = this.infos[swapType(entry)] ?? null;
    return info !== null && info.isUsable(swapOffset(entry)) ? info : null;
  }
  private slotOf(entry: SwapEntry): SwapInfo {
    return this.infoOf(entry) ?? bug(`swap entry ${entry} is of no device`);
  }
  /** The search of a device for slots: what it may ask. */
  reclaimCached(entry: SwapEntry): number {
    return this.cache.reclaim(entry, false);
  }

  // Devices.

  /** @param pages of the target, header included  @param bad slots that must not be used  @param priority null: below all there are
   *  @returns null: there are too many */
  add(target: SwapTarget, pages: number, bad: readonly number[], priority: number | null): SwapInfo | null {
    let type = this.infos.findIndex((info) => info === null);
    if (type < 0) type = this.infos.length;
    if (type >= MAX_SWAPFILES) return null;
    const info = new SwapInfo(type, target, priority ?? --this.leastPriority, pages, bad, this);
    this.infos[type] = info;
    this.enable(info);
    return info;
  }
  /** Its slots may be taken. */
  enable(info: SwapInfo): void {
    info.isWritable = true;
    this.total += info.nrPages;
    this.inUse += info.inUse;
    const at = this.order.findIndex(({ priority }) => priority < info.priority);
    this.order.splice(at < 0 ? this.order.length : at, 0, info);
  }
  /** In the order in which they are used. */
  get byPriority(): readonly SwapInfo[] {
    return this.order;
  }
  /** No slot of it is given out any more: the beginning of swapoff. */
  disable(info: SwapInfo): void {
    info.isWritable = false;
    this.total -= info.nrPages;
    this.inUse -= info.inUse;
    this.order.splice(this.order.indexOf(info), 1);
    if (info.priority >= 0) return;
    // Those that were turned on later, without a priority, move up.
    for (const other of this.order) if (other.priority < info.priority) other.priority++;
    this.leastPriority++;
  }
  /** All of its slots are free: its end. */
  remove(info: SwapInfo): void {
    if (info.inUse !== 0 || info.isWritable) bug(`swap device ${info.type} goes with ${info.inUse} slots in use`);
    this.infos[info.type] = null;
  }

  // Slots.

  /** Gives an anonymous (or shared-memory) folio a run of slots, and puts it into the swap cache, dirty. It is locked. @returns false: no run of that length,
   *  or its group has as much as it may. folio_alloc_swap() */
  allocate(folio: Folio): boolean {
    const { folios, memcg } = this.system;
    const order = folios.order(folio);
    const group = memcg.of(folio);
    const entry = this.takeSlots(order, group.id);
    if (entry === 0) {
      group.swapEvents.fail++;
      return false;
    }
    if (!memcg.chargeSwap(group, 1 << order)) {
      const info = this.slotOf(entry);
      for (let i = 0; i < 1 << order; i++) this.release(info, swapOffset(entry) + i, null);
      return false;
    }
    this.cache.add(folio, entry);
    this.system.dirtyFolio(folio);
    return true;
  }
  /** The device whose turn it is; for a single page the next one, where that has none. get_swap_pages() */
  private takeSlots(order: number, owner: number): SwapEntry | 0 {
    for (const info of this.order.length === 1 ? this.order : [...this.order]) {
      // The last slot is gone: what only the swap cache keeps must do (swap_reclaim_work()).
      if (info.inUse === info.nrPages && info.cacheOnly > 0) info.clusters.reclaimAllFull();
      if (info.inUse === info.nrPages) continue;
      if (this.order.length > 1) this.requeue(info);
      const offset = info.alloc(order, owner);
      if (offset !== 0) {
        this.inUse += 1 << order;
        return swapEntry(info.type, offset);
      }
      if (order > 0) return 0;
    }
    return 0;
  }
  /** Behind its equals: they take turns. */
  private requeue(info: SwapInfo): void {
    const at = this.order.indexOf(info);
    let end = at + 1;
    while (end < this.order.length && this.order[end]!.priority === info.priority) end++;
    this.order.splice(end - 1, 0, ...this.order.splice(at, 1));
  }
  /** PTEs, and places in files of memory, that name a slot: swp_swapcount(). */
  count(entry: SwapEntry): number {
    return this.infoOf(entry)?.count(swapOffset(entry)) ?? 0;
  }
  /** One more PTE names the slots [entry, entry + nr). swap_duplicate() */
  duplicate(entry: SwapEntry, nr: number): void {
    const info = this.slotOf(entry);
    for (let i = 0; i < nr; i++) info.addCount(swapOffset(entry) + i, 1);
  }
  /** A file of memory alone names them, where a folio of it was: swap_shmem_alloc(). */
  duplicateShmem(entry: SwapEntry, nr: number): void {
    this.duplicate(entry, nr);
    const info = this.slotOf(entry);
    for (let i = 0; i < nr; i++) info.setShmem(swapOffset(entry) + i);
  }
  /** One PTE less does each. The last one frees a slot that the swap cache does not hold. swap_free_nr() */
  free(entry: SwapEntry, nr: number): void {
    const info = this.slotOf(entry);
    for (let i = 0; i < nr; i++) {
      const offset = swapOffset(entry) + i;
      if (info.addCount(offset, -1) === 0 && info.folioAt(offset) === 0) this.releaseCharged(info, offset);
    }
  }
  /** The same, and what the swap cache has of them goes, too, if nobody maps it: their owner will not want it back. free_swap_and_cache_nr() */
  freeAndCache(entry: SwapEntry, nr: number): void {
    this.free(entry, nr);
    const info = this.slotOf(entry);
    for (let i = 0; i < nr; ) {
      const offset = swapOffset(entry) + i;
      const isLeft = info.count(offset) === 0 && info.folioAt(offset) !== 0;
      i += isLeft ? Math.max(1, this.cache.reclaim(entry + i, true)) : 1;
    }
  }
  /** The swap cache has let a slot go. put_swap_folio() */
  uncached(info: SwapInfo, offset: number): void {
    if (info.count(offset) === 0) this.releaseCharged(info, offset);
  }
  private releaseCharged(info: SwapInfo, offset: number): void {
    this.release(info, offset, this.system.memcg.byId(info.owner(offset)) ?? bug(`swap slot ${offset} is charged to group ${info.owner(offset)}, which is gone`));
  }
  private release(info: SwapInfo, offset: number, group: MemCgroup | null): void {
    this.zswap.invalidate(swapEntry(info.type, offset));
    info.release(offset);
    if (info.isWritable) this.inUse--;
    if (group !== null) this.system.memcg.unchargeSwap(group, 1);
  }

  // The swap cache, as reclaim and those who move or split folios know it.

  /** Takes a folio out of the swap cache and frees its slots, if nobody else names them. It is locked, and the caller holds it. folio_free_swap() */
  freeFolio(folio: Folio): boolean {
    return this.cache.freeFolio(folio);
  }
  /** A mapping of the folio is gone: if it was the last one, and nobody will want it from the swap cache, it leaves that. free_swap_cache() */
  freeIfUnused(folio: Folio): void {
    this.cache.freeIfUnused(folio);
  }
  /** A clean, unmapped folio goes: out of the swap cache, leaving a shadow; its slots stay. The caller's reference is the last then.
   *  __delete_from_swap_cache(), put_swap_folio() */
  removeFromCache(folio: Folio, shadow: number): void {
    this.cache.remove(folio, shadow);
  }
  /** Starts writing a locked, dirty folio of the swap cache, which stays locked. swap_writeout() */
  write(folio: Folio): SwapWrite {
    return this.io.write(folio);
  }
  /** The same for a folio of shared memory, which moves from its file to the swap cache first. @param split makes pages of it. shmem_writeout() */
  writeShmem(folio: Folio, split: () => boolean): SwapWrite {
    return swapOutShmem(this.system, folio, split);
  }
  /** The swap cache's folio was split into pieces that follow each other. */
  splitFolio(folio: Folio, orders: readonly number[]): void {
    this.cache.split(folio, orders);
  }
  /** It has moved to other frames. */
  replaceFolio(from: Folio, to: Folio): void {
    this.cache.replace(from, to);
  }

  check(): void {
    let [total, inUse] = [0, 0];
    for (const info of this.devices) {
      info.check();
      if (!info.isWritable) continue;
      total += info.nrPages;
      inUse += info.inUse;
    }
    this.zswap.check((entry) => this.count(entry) > 0 || this.cache.folioAt(entry) !== 0);
    if (total !== this.total || inUse !== this.inUse) bug(`swap has ${inUse} of ${total} pages in use, counts ${this.inUse} of ${this.total}`);
  }
  hash(into: StateHash): void {
    into.numbers([this.total, this.inUse, this.leastPriority, ...this.order.map(({ type }) => type)]);
    for (const info of this.devices) info.hash(into);
    this.cache.hash(into);
    this.zswap.hash(into);
  }
}
