// Memory control groups: whose memory a page is, how much a group may have, and what reclaim has done to it. Here: groups, charging and
// uncharging, limits, the counters of memory.stat and memory.events. Not here: the files (kernel/fs/cgroupfs.ts), a group's lists
// (reclaim/lruvec.ts), reclaim for a limit (reclaim/vmscan.ts), who is killed (proc/oom.ts).
// Mirrors struct mem_cgroup, page_counter and try_charge_memcg() (mm/memcontrol.c), 6.18, for the root and one level below it.
//
// Charged are pages of anonymous memory, of files, and page tables; what else the kernel keeps for a program (stacks, slab) is not modelled as
// memory of its own. One processor's stock of 64 pages (MEMCG_CHARGE_BATCH) is counted as used, as on Linux.
import { bug } from '#base';
import type { Folio, StateHash } from '#base';
import { VmStat } from './events.ts';
import { GfpFlag } from './gfp.ts';
import type { Lruvec } from './reclaim/lruvec.ts';
import { SWAP_CLUSTER_MAX } from './reclaim/scan.ts';
import { PAGE_ALLOC_COSTLY_ORDER } from './pcp.ts';
import type { MmSystem } from './system.ts';

/** Pages charged at once, so that the next ones come from stock: MEMCG_CHARGE_BATCH. */
const CHARGE_BATCH = 64;
const MAX_RECLAIM_RETRIES = 16;
/** Of the modelled clock, in cycles. */
const SECOND = 1e9;
/** The penalty grows with the square of the share by which the group is over: calculate_high_delay(), with its two shifts of 20 and 14 bits. */
function highDelay(usage: number, high: number, pages: number): number {
  if (usage <= high) return 0;
  const overage = Math.floor(((usage - high) * 2 ** 20) / Math.max(high, 1));
  return (((overage * overage) / 2 ** 34) * SECOND * pages) / CHARGE_BATCH;
}

/** Lines of memory.events, in Linux's order. */
export const memcgEvents = ['low', 'high', 'max', 'oom', 'oom_kill', 'oom_group_kill'] as const;
export type MemcgEvent = (typeof memcgEvents)[number];

export class MemCgroup {
  readonly id: number;
  /** '/' for the root, '/name' below it. */
  readonly path: string;
  readonly parent: MemCgroup | null;
  readonly system: MmSystem;
  /** Pages charged, stock included: memory.current. */
  usage = 0;
  peak = 0;
  /** In pages; Infinity: 'max'. */
  max = Infinity;
  high = Infinity;
  low = 0;
  min = 0;
  /** Compressed in memory: bytes that the pool takes, pages that it stands for. */
  zswapBytes = 0;
  zswappedPages = 0;
  /** Pages that the pool may take for it; Infinity: 'max'. memory.zswap.max */
  zswapMax = Infinity;
  /** May what the pool does not keep go to a device? memory.zswap.writeback */
  zswapWriteback = true;
  /** Pages that had to be read from a device since zswap's shrinker last looked: nr_disk_swapins. */
  diskSwapins = 0;
  swapUsage = 0;
  swapPeak = 0;
  swapMax = Infinity;
  swapHigh = Infinity;
  /** memory.oom.group: all die or none. */
  oomGroup = false;
  /** Page tables, in pages. */
  kernelPages = 0;
  readonly events: Record<MemcgEvent, number> = { low: 0, high: 0, max: 0, oom: 0, oom_kill: 0, oom_group_kill: 0 };
  /** memory.swap.events. */
  readonly swapEvents = { high: 0, max: 0, fail: 0 };
  /** Events of this group alone, by vmstat's names; gauges are counted when asked for (memcg-stat.ts). */
  readonly stat = new VmStat();
  /** Its reclaimable folios. Replaced when the policy is. */
  lruvec!: Lruvec;
  /** Pages charged while it was above memory.high or memory.swap.high since the task last returned to its program: memcg_nr_pages_over_high. */
  overHigh = 0;
  /** Pages of the last batch that nobody has used yet. */
  stock = 0;
  /** rmdir was said: nobody can join, and what is still charged is reclaimed first. */
  isOnline = true;
  /** Dirty pages met by reclaim were all on their way to the disk already: LRUVEC_CGROUP_CONGESTED. */
  isCongested = false;

  constructor(system: MmSystem, id: number, path: string, parent: MemCgroup | null) {
    this.system = system;
    this.id = id;
    this.path = path;
    this.parent = parent;
  }
  get isRoot(): boolean {
    return this.parent === null;
  }
  /** Pages that are charged for what zswap keeps. */
  get zswapCharge(): number {
    return Math.ceil(this.zswapBytes / 4096);
  }
  /** Pages that may still be charged: mem_cgroup_margin(). */
  get margin(): number {
    return Math.max(0, this.max - this.usage);
  }
  /** An event of this group: count_memcg_events(). The machine's own counter is the caller's to bump. */
  count(item: number, n: number): void {
    this.stat.add(item, n);
  }
  hash(into: StateHash): void {
    into.numbers([this.id, this.usage, this.stock, this.kernelPages, this.max, this.high, this.low, this.min, this.swapUsage, this.swapMax, this.isOnline ? 1 : 0, this.isCongested ? 1 : 0]);
    // What nobody has set adds nothing: so the states of runs that know nothing of it are what they were.
    if (this.swapHigh !== Infinity || this.zswapMax !== Infinity || !this.zswapWriteback) into.numbers([this.swapHigh, this.zswapMax, this.zswapWriteback ? 1 : 0]);
    into.numbers(Object.values(this.events));
    this.stat.hash(into);
    this.lruvec.hash(into);
  }
}

export class MemCgroups {
  readonly root: MemCgroup;
  /** Whose task is on the hart: who is charged for what is allocated now. */
  active: MemCgroup;
  /** The group whose limit made the last allocation fail for good; null: it was not a limit. The OOM killer asks. */
  overLimit: MemCgroup | null = null;
  private readonly system: MmSystem;
  private readonly groups = new Map<number, MemCgroup>();
  private nextId = 1;

  constructor(system: MmSystem) {
    this.system = system;
    this.root = this.make('/', null);
    this.active = this.root;
  }
  private make(path: string, parent: MemCgroup | null): MemCgroup {
    const group = new MemCgroup(this.system, this.nextId++, path, parent);
    this.groups.set(group.id, group);
    return group;
  }
  /** A group below the root; null: there is one of that name. */
  create(name: string): MemCgroup | null {
    const path = `/${name}`;
    for (const group of this.groups.values()) if (group.path === path && group.isOnline) return null;
    const group = this.make(path, this.root);
    group.lruvec = this.system.lru.kind.create(group);
    return group;
  }
  /** rmdir of an empty group. It lives on as long as pages are charged to it (a dying memcg). */
  offline(group: MemCgroup): void {
    group.isOnline = false;
    group.lruvec.offline?.();
    this.system.swap.zswap.reparent(group);
    this.drainStock(group);
    this.forgetIfEmpty(group);
  }
  /** What was charged ahead is given back: drain_all_stock(). */
  drainStock(group: MemCgroup): void {
    const { stock } = group;
    group.stock = 0;
    this.uncharge(group, stock);
  }
  private forgetIfEmpty(group: MemCgroup): void {
    if (group.isOnline || group.usage !== 0 || group.swapUsage !== 0) return;
    group.lruvec.release?.();
    this.groups.delete(group.id);
  }
  /** In order of making. */
  * [Symbol.iterator](): Generator<MemCgroup> {
    yield* this.groups.values();
  }
  byId(id: number): MemCgroup | null {
    return this.groups.get(id) ?? null;
  }
  of(folio: Folio): MemCgroup {
    return this.groups.get(this.system.folios.group(folio)) ?? this.root;
  }

  // Charging.

  /** The folio is from now on the group's. @param group null: the group of the task on the hart @returns false: its limit is in the way */
  chargeFolio(folio: Folio, gfp: number, group: MemCgroup | null = null): boolean {
    const payer = group ?? this.active;
    const nr = this.system.folios.nrPages(folio);
    if (!this.charge(payer, nr, gfp)) return false;
    this.system.folios.setGroup(folio, payer.id);
    return true;
  }
  /** The folio is free, or not the group's any more. */
  unchargeFolio(folio: Folio): void {
    const { folios } = this.system;
    const id = folios.group(folio);
    if (id === 0) return;
    const group = this.groups.get(id) ?? bug(`folio is charged to group ${id}, which is gone`);
    folios.setGroup(folio, 0);
    this.uncharge(group, folios.nrPages(folio));
  }
  /** Mirrors try_charge_memcg(). */
  charge(group: MemCgroup, nr: number, gfp: number): boolean {
    if (group.isRoot) {
      group.usage += nr;
      return true;
    }
    if (group.stock >= nr) {
      group.stock -= nr;
      return true;
    }
    if (this.take(group, Math.max(CHARGE_BATCH, nr))) {
      group.stock += Math.max(CHARGE_BATCH, nr) - nr;
      return true;
    }
    return this.take(group, nr) || this.chargeByReclaim(group, nr, gfp);
  }
  private take(group: MemCgroup, pages: number): boolean {
    if (group.usage + pages > group.max) return false;
    this.force(group, pages);
    if (group.usage > group.high || group.swapUsage > group.swapHigh) group.overHigh += pages;
    return true;
  }
  /** Whatever the limit: page_counter_charge(). */
  private force(group: MemCgroup, pages: number): void {
    group.usage += pages;
    if (group.usage > group.peak) group.peak = group.usage;
  }
  private chargeByReclaim(group: MemCgroup, nr: number, gfp: number): boolean {
    // Reclaim itself needs a page to free more: the limit is exceeded for a while.
    if ((gfp & GfpFlag.Memalloc) !== 0) {
      group.events.max++;
      this.force(group, nr);
      return true;
    }
    if ((gfp & GfpFlag.DirectReclaim) === 0) return false;
    for (let retries = MAX_RECLAIM_RETRIES, drained = false; ; ) {
      group.events.max++;
      const freed = this.system.vmscan.reclaimGroup(group, nr, true);
      if (group.margin < nr && !drained) {
        drained = true;
        this.drainStock(group);
      }
      if (group.stock >= nr) {
        group.stock -= nr;
        return true;
      }
      if (this.take(group, nr)) return true;
      if ((gfp & GfpFlag.Noretry) !== 0) return false;
      if (freed > 0 && nr <= 1 << PAGE_ALLOC_COSTLY_ORDER) continue;
      if (retries-- > 0) {
        // Linux goes round again while the disk works; here time must pass for that, and it does.
        if (freed === 0) this.system.waits.passTime();
        continue;
      }
      if ((gfp & GfpFlag.RetryMayfail) === 0) this.overLimit = group;
      return false;
    }
  }
  uncharge(group: MemCgroup, nr: number): void {
    group.usage -= nr;
    if (group.usage < 0) bug(`group ${group.path} uncharged below zero`);
    if (!group.isOnline) this.forgetIfEmpty(group);
  }
  /** Page tables. */
  chargeKernel(nr: number, gfp: number, folio: Folio): boolean {
    if (!this.chargeFolio(folio, gfp)) return false;
    this.of(folio).kernelPages += nr;
    return true;
  }

  /** What is allocated meanwhile is the group's: set_active_memcg(). */
  as<T>(group: MemCgroup, work: () => T): T {
    const { active } = this;
    this.active = group;
    const result = work();
    this.active = active;
    return result;
  }

  // memory.high and memory.swap.high.

  /** The task is about to return to its program, and its group has more than one of them: reclaims what was charged above the first. @returns for how
   *  many cycles it must sleep, for the group is growing faster than it is reclaimed; 0: not at all. __mem_cgroup_handle_over_high() */
  handleOverHigh(group: MemCgroup): number {
    const pages = group.overHigh;
    group.overHigh = 0;
    let wanted = pages;
    for (let retries = MAX_RECLAIM_RETRIES; ; wanted = SWAP_CLUSTER_MAX) {
      let freed = 0;
      if (group.usage > group.high) {
        group.events.high++;
        freed = this.system.vmscan.reclaimGroup(group, wanted, true);
      }
      if (group.swapUsage > group.swapHigh) group.swapEvents.high++;
      const delay = Math.min(2 * SECOND, highDelay(group.usage, group.high, pages) + highDelay(group.swapUsage, group.swapHigh, pages));
      if (delay <= SECOND / 100) return 0;
      if (freed === 0 && retries-- <= 0) return delay;
    }
  }
  /** Slots in swap. @returns false: it has as many as it may. __mem_cgroup_try_charge_swap() */
  chargeSwap(group: MemCgroup, nr: number): boolean {
    if (group.swapUsage + nr > group.swapMax) {
      group.swapEvents.max++;
      group.swapEvents.fail++;
      return false;
    }
    group.swapUsage += nr;
    if (group.swapUsage > group.swapPeak) group.swapPeak = group.swapUsage;
    return true;
  }
  /** Compressed pages that zswap keeps for a group: what they take is memory of the group, in whole pages, and never refused, for it frees more. @param bytes, pages
   *  less than 0 when they go. obj_cgroup_charge_zswap() */
  chargeZswap(group: MemCgroup, bytes: number, pages: number): void {
    const before = group.zswapCharge;
    group.zswapBytes += bytes;
    group.zswappedPages += pages;
    this.force(group, group.zswapCharge - before);
  }
  unchargeSwap(group: MemCgroup, nr: number): void {
    group.swapUsage -= nr;
    if (group.swapUsage < 0) bug(`swap of group ${group.path} uncharged below zero`);
    this.forgetIfEmpty(group);
  }

  // Counting.

  /** An event for the group of a folio and for the machine: __count_vm_events() with count_memcg_folio_events(). */
  countFolio(folio: Folio, item: number, n: number): void {
    this.system.vmstat.add(item, n);
    this.of(folio).count(item, n);
  }
  /** An event for the group of the task on the hart and for the machine. */
  countActive(item: number, n: number): void {
    this.system.vmstat.add(item, n);
    this.active.count(item, n);
  }

  hash(into: StateHash): void {
    for (const group of this.groups.values()) group.hash(into);
    into.numbers([this.nextId, this.active.id]);
  }
}
