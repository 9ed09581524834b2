// Which slots of a swap device are given out: clusters of 512, each for runs of one order, so that a folio of any order finds a run that is
// free and aligned. Here: clusters, the lists they stand on, the search. Not here: what is in a slot (swap-info.ts), several devices (swap.ts).
// Mirrors cluster_alloc_swap_entry() and its neighbours (mm/swapfile.c), 6.12. Left out: discarding, and that a free list begins strewn over
// the device, for there is one hart.
//
//   free --first run--> nonfull[order] --looked at and passed over--> frag[order]
//                            |   ^                                        |
//                 last slot  |   | a slot is freed                        |
//                            v   |                                        |
//                           full-+<---------------------------------------+        all slots freed: free again
//
// A run of order o comes from where the last one of that order ended; else a free cluster; else, with more than half of swap in use, slots that only
// the swap cache keeps in full clusters are given up; else nonfull[o]; else frag[o]. Single pages may take holes of any order last.
import { bug } from '#base';
import type { StateHash } from '#base';
import { PMD_ORDER } from '../thp.ts';

/** SWAPFILE_CLUSTER: a folio of 2 MiB fills one. */
export const CLUSTER_SLOTS = 1 << PMD_ORDER;
const NR_ORDERS = PMD_ORDER + 1;

/** What a slot is to the search. */
export const SlotUse = { Free: 0, CacheOnly: 1, Used: 2 } as const;
export type SlotUse = (typeof SlotUse)[keyof typeof SlotUse];

/** Who knows the slots. */
export interface SlotMap {
  use(offset: number): SlotUse;
  /** More than half of all swap is in use: what only the swap cache keeps is wasted. */
  readonly isFull: boolean;
  /** Tries to free a slot that only the swap cache keeps, with all of its folio's. @returns pages of that folio; 0: it could not be. It calls free(). */
  reclaimCached(offset: number): number;
}

/** Lists by number: free, full, then nonfull and frag of each order. */
const FREE = 0;
const FULL = 1;
const nonfull = (order: number): number => 2 + order;
const frag = (order: number): number => 2 + NR_ORDERS + order;
const NR_LISTS = 2 + 2 * NR_ORDERS;
const NONE = 255;

export class SwapClusters {
  readonly nrClusters: number;
  private readonly nrSlots: number;
  private readonly map: SlotMap;
  /** Slots in use; for runs of which order; on which list. A column a field, a row a cluster. */
  private readonly counts: Uint16Array;
  private readonly orders: Uint8Array;
  private readonly lists: Uint8Array;
  // Rings: a row a cluster, then one a list, its head.
  private readonly next: Int32Array;
  private readonly prev: Int32Array;
  private readonly lengths = new Int32Array(NR_LISTS);
  /** By order: where the search goes on. 0: nowhere. percpu_cluster. */
  private readonly nextOffset = new Int32Array(NR_ORDERS);

  /** @param nrSlots with the header's, slot 0, which `map` calls used, as it does all that cannot be used for another reason */
  constructor(nrSlots: number, map: SlotMap) {
    this.nrSlots = nrSlots;
    this.map = map;
    this.nrClusters = Math.ceil(nrSlots / CLUSTER_SLOTS);
    this.counts = new Uint16Array(this.nrClusters);
    this.orders = new Uint8Array(this.nrClusters);
    this.lists = new Uint8Array(this.nrClusters).fill(NONE);
    this.next = new Int32Array(this.nrClusters + NR_LISTS);
    this.prev = new Int32Array(this.nrClusters + NR_LISTS);
    for (let at = this.nrClusters; at < this.next.length; at++) this.next[at] = this.prev[at] = at;
    for (let cluster = 0; cluster < this.nrClusters; cluster++) {
      const end = (cluster + 1) * CLUSTER_SLOTS;
      for (let offset = cluster * CLUSTER_SLOTS; offset < end; offset++) if (offset >= nrSlots || map.use(offset) === SlotUse.Used) this.counts[cluster]!++;
      this.move(cluster, this.counts[cluster] === 0 ? FREE : this.counts[cluster] === CLUSTER_SLOTS ? FULL : nonfull(0));
    }
  }

  // Lists. A cluster is on one of them at any time.

  private first(list: number): number {
    const at = this.next[this.nrClusters + list]!;
    return at < this.nrClusters ? at : -1;
  }
  /** To the tail of a list. */
  private move(cluster: number, list: number): void {
    const { next, prev, lists, lengths } = this;
    const old = lists[cluster]!;
    if (old !== NONE) {
      next[prev[cluster]!] = next[cluster]!;
      prev[next[cluster]!] = prev[cluster]!;
      lengths[old]!--;
    }
    const head = this.nrClusters + list;
    const tail = prev[head]!;
    next[tail] = cluster;
    prev[cluster] = tail;
    next[cluster] = head;
    prev[head] = cluster;
    lists[cluster] = list;
    lengths[list]!++;
  }

  // Taking.

  /** The first of 2^order slots that follow each other, aligned; they count as in use, and the caller puts something there at once. 0: there is no such run. */
  alloc(order: number): number {
    const at = this.nextOffset[order]!;
    const found = (at !== 0 ? this.scan(at, order) : 0) || this.fromFree(order) || this.fromUsed(order) || (order === 0 ? this.fromLarger() : 0);
    if (found === 0) this.nextOffset[order] = 0;
    return found;
  }
  private fromFree(order: number): number {
    const cluster = this.first(FREE);
    if (cluster < 0) return 0;
    return this.scan(cluster * CLUSTER_SLOTS, order) || bug(`no run of order ${order} in free cluster ${cluster}`);
  }
  private fromUsed(order: number): number {
    if (this.map.isFull) {
      this.reclaimFull(1);
      // What was given up may have been all that a cluster had. (Linux finds that with the next search.)
      const freed = this.fromFree(order);
      if (freed !== 0) return freed;
    }
    if (order === PMD_ORDER) return 0;
    let looked = 0;
    for (let cluster = this.first(nonfull(order)); cluster >= 0; cluster = this.first(nonfull(order))) {
      this.move(cluster, frag(order));
      looked++;
      const found = this.scan(cluster * CLUSTER_SLOTS, order);
      if (found !== 0) return found;
    }
    for (; looked < this.lengths[frag(order)]!; looked++) {
      const cluster = this.first(frag(order));
      this.move(cluster, frag(order));
      const found = this.scan(cluster * CLUSTER_SLOTS, order);
      if (found !== 0) return found;
    }
    return 0;
  }
  /** Holes of clusters for larger runs. */
  private fromLarger(): number {
    for (let order = 1; order < NR_ORDERS; order++) {
      for (const list of [frag(order), nonfull(order)]) {
        for (let left = this.lengths[list]!; left > 0; left--) {
          const cluster = this.first(list);
          if (cluster < 0) break;
          const found = this.scan(cluster * CLUSTER_SLOTS, 0);
          if (found !== 0) return found;
          this.move(cluster, list);
        }
      }
    }
    return 0;
  }
  /** From `from` on in its cluster. Where the next search begins is remembered. alloc_swap_scan_cluster() */
  private scan(from: number, order: number): number {
    const cluster = Math.floor(from / CLUSTER_SLOTS);
    const nr = 1 << order;
    const end = Math.min((cluster + 1) * CLUSTER_SLOTS, this.nrSlots) - nr;
    let next = 0;
    let found = 0;
    if (this.counts[cluster]! + nr <= CLUSTER_SLOTS) {
      for (let offset = from; offset <= end; offset += nr) {
        if (!this.canTake(offset, nr)) continue;
        found = offset;
        this.take(cluster, nr, order);
        if (this.counts[cluster] !== CLUSTER_SLOTS && offset + nr <= end) next = offset + nr;
        break;
      }
    }
    this.nextOffset[order] = next;
    return found;
  }
  /** cluster_scan_range() */
  private canTake(offset: number, nr: number): boolean {
    let needsReclaim = false;
    for (let i = 0; i < nr; i++) {
      const use = this.map.use(offset + i);
      if (use === SlotUse.Used || (use === SlotUse.CacheOnly && !this.map.isFull)) return false;
      if (use === SlotUse.CacheOnly) needsReclaim = true;
    }
    if (!needsReclaim) return true;
    for (let i = 0; i < nr; i++) if (this.map.use(offset + i) === SlotUse.CacheOnly && this.map.reclaimCached(offset + i) === 0) return false;
    return true;
  }
  private take(cluster: number, nr: number, order: number): void {
    if (this.lists[cluster] === FREE) {
      this.orders[cluster] = order;
      if (nr < CLUSTER_SLOTS) this.move(cluster, nonfull(order));
    }
    this.counts[cluster]! += nr;
    if (this.counts[cluster] === CLUSTER_SLOTS) this.move(cluster, FULL);
  }
  /** Gives up what only the swap cache keeps in full clusters. @param toScan how many of them. swap_reclaim_full_clusters() */
  private reclaimFull(toScan: number): void {
    for (let left = toScan; left > 0; left--) {
      const cluster = this.first(FULL);
      if (cluster < 0) return;
      this.move(cluster, FULL);
      const end = Math.min(this.nrSlots, (cluster + 1) * CLUSTER_SLOTS);
      for (let offset = cluster * CLUSTER_SLOTS; offset < end; ) {
        const freed = this.map.use(offset) === SlotUse.CacheOnly ? this.map.reclaimCached(offset) : 0;
        offset += Math.max(1, freed);
      }
    }
  }
  /** All full clusters, when the last slot is gone: swap_reclaim_work(). */
  reclaimAllFull(): void {
    this.reclaimFull(this.lengths[FULL]!);
  }

  // Giving back.

  /** Slots are free, of one cluster or of several. */
  free(offset: number, nr: number): void {
    for (let at = offset; at < offset + nr; ) {
      const cluster = Math.floor(at / CLUSTER_SLOTS);
      const here = Math.min(offset + nr, (cluster + 1) * CLUSTER_SLOTS) - at;
      if (this.counts[cluster]! < here) bug(`swap cluster ${cluster} has ${this.counts[cluster]} slots in use, ${here} are freed`);
      this.counts[cluster]! -= here;
      if (this.counts[cluster] === 0) {
        this.orders[cluster] = 0;
        this.move(cluster, FREE);
      } else if (this.lists[cluster] !== nonfull(this.orders[cluster]!)) this.move(cluster, nonfull(this.orders[cluster]!));
      at += here;
    }
  }

  // Looking.

  /** Is no slot of the cluster in use? */
  isFree(cluster: number): boolean {
    return this.counts[cluster] === 0;
  }
  /** Clusters by list, for reports: free, full, and of each order nonfull and frag. */
  describe(): { free: number; full: number; nonfull: number[]; frag: number[] } {
    const byOrder = (list: (order: number) => number): number[] => Array.from({ length: NR_ORDERS }, (_, order) => this.lengths[list(order)]!);
    return { free: this.lengths[FREE]!, full: this.lengths[FULL]!, nonfull: byOrder(nonfull), frag: byOrder(frag) };
  }
  /** Counts are what the slots say, and each cluster stands where its count says. */
  check(): void {
    let listed = 0;
    for (let list = 0; list < NR_LISTS; list++) {
      let length = 0;
      for (let at = this.next[this.nrClusters + list]!; at < this.nrClusters; at = this.next[at]!) {
        if (this.lists[at] !== list || ++length > this.nrClusters) bug(`swap cluster ${at} stands on list ${list}, and says ${this.lists[at]}`);
      }
      if (length !== this.lengths[list]) bug(`list ${list} of swap clusters has ${length}, counts ${this.lengths[list]}`);
      listed += length;
    }
    if (listed !== this.nrClusters) bug(`${listed} of ${this.nrClusters} swap clusters stand on lists`);
    for (let cluster = 0; cluster < this.nrClusters; cluster++) {
      let used = 0;
      for (let offset = cluster * CLUSTER_SLOTS; offset < (cluster + 1) * CLUSTER_SLOTS; offset++) if (offset >= this.nrSlots || this.map.use(offset) !== SlotUse.Free) used++;
      if (used !== this.counts[cluster]) bug(`swap cluster ${cluster} counts ${this.counts[cluster]} slots, ${used} are in use`);
      const list = this.lists[cluster]!;
      if ((list === FREE) !== (used === 0) || (list === FULL) !== (used === CLUSTER_SLOTS)) bug(`swap cluster ${cluster} with ${used} slots in use stands on list ${list}`);
    }
  }
  hash(into: StateHash): void {
    into.numbers(this.counts);
    into.numbers(this.orders);
    into.numbers(this.nextOffset);
    for (let list = 0; list < NR_LISTS; list++) for (let at = this.next[this.nrClusters + list]!; at < this.nrClusters; at = this.next[at]!) into.number(at);
  }
}
