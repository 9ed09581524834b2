// zswap: pages on their way to swap are compressed and kept in memory instead, as long as they get smaller and there is room; the oldest of them go on to
// the device when there is none. Here: storing, loading, limits, writing back. Not here: the compressor (lz.ts), where the bytes lie (zsmalloc.ts).
// Mirrors mm/zswap.c, 6.18. Left out: the choice of a compressor.
//
// A page lies compressed in place of its slot's contents, which the device does not hold then. Who reads it takes it out again (what is in the swap cache is
// kept once), and it is dirty there. At the pool's limit (max_pool_percent of RAM) nothing more is taken until it has come down to
// accept_threshold_percent of that, for which the oldest of each group are written, in turn: each comes into the swap cache, and goes to the device like any other page.
import { PAGE_SIZE, asFolio, bug } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import { Gfp, GfpFlag } from '../gfp.ts';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import { ThpStat } from '../thp.ts';
import { compress, decompress } from './lz.ts';
import type { SwapEntry } from './entry.ts';
import { bringIntoCache } from './swap-readahead.ts';
import { Zsmalloc } from './zsmalloc.ts';
import type { ZsHandle } from './zsmalloc.ts';

/** What compresses, by an honest name. */
export const COMPRESSOR = 'quire-lz';
/** Pages that the daemon writes before others have their turn. */
const MAX_WRITEBACKS = 64;
/** Pages that it looks at in vain before it gives up, until a page finds the pool full again: MAX_RECLAIM_RETRIES. */
const MAX_FAILURES = 16;
/** Inside reclaim nobody may reclaim. */
const GFP_IN_RECLAIM = (Gfp.User & ~GfpFlag.DirectReclaim) | GfpFlag.Memalloc;

interface ZswapEntry {
  readonly handle: ZsHandle;
  /** Compressed bytes; PAGE_SIZE: as it is, for it does not get smaller. */
  readonly lenBytes: number;
  /** Who is charged. */
  group: MemCgroup;
  /** Not looked at by writeback since it was stored: it gets a second chance. */
  isReferenced: boolean;
}

/** What the files of /sys/module/zswap/parameters are for. */
export const zswapMeanings: Readonly<Record<keyof Zswap['params'] | 'compressor', string>> = {
  enabled: 'default N, as Linux\'s: Y keeps pages compressed in memory on their way to swap; needs a swap device (--swap), of which each of them holds a slot',
  max_pool_percent: 'Linux default 20: share of memory that the pool may take, in percent',
  accept_threshold_percent: 'Linux default 90: a pool that was full takes pages again when it is down to that share of its limit',
  shrinker_enabled: 'default N: Y has reclaim write the oldest pages on to the device, unless few come back from there',
  compressor: `always ${COMPRESSOR}: our own, by repeats within a page; Linux's lzo, lz4 and zstd are not here`,
};

/** Who is charged for what is kept of a group's pages: a parent, when it is gone. get_obj_cgroup_from_folio() */
const payerOf = (group: MemCgroup): MemCgroup => (group.isOnline ? group : (group.parent ?? group));

export class Zswap {
  /** /sys/module/zswap/parameters. */
  readonly params = { enabled: false, max_pool_percent: 20, accept_threshold_percent: 90, shrinker_enabled: false };
  /** /sys/kernel/debug/zswap. */
  readonly counts = { pool_limit_hit: 0, reject_alloc_fail: 0, reject_compress_poor: 0, written_back_pages: 0, stored_incompressible_pages: 0 };
  private readonly system: MmSystem;
  private readonly pool: Zsmalloc;
  private readonly entries = new Map<SwapEntry, ZswapEntry>();
  /** Slots of each group, oldest first: zswap_list_lru. */
  private readonly lrus = new Map<MemCgroup, Set<SwapEntry>>();
  /** The group that the daemon looked at last, by its number: zswap_next_shrink. */
  private lastShrunk = 0;
  /** The daemon has something to do. */
  private isWorkQueued = false;
  /** It has been on: a large folio that went out may lie here in part. !zswap_never_enabled() */
  wasEnabled = false;
  /** The limit was met, and the pool has not come down since. */
  private reachedFull = false;
  private readonly plain = new Uint8Array(PAGE_SIZE);
  private readonly packed = new Uint8Array(PAGE_SIZE - 1);

  constructor(system: MmSystem) {
    this.system = system;
    this.pool = new Zsmalloc(system);
  }
  /** Frames of the pool: Zswap of /proc/meminfo. */
  get poolPages(): number {
    return this.pool.nrFrames;
  }
  /** Pages kept there: Zswapped. */
  get storedPages(): number {
    return this.entries.size;
  }
  private get maxPages(): number {
    return Math.floor((this.system.managedPages * this.params.max_pool_percent) / 100);
  }
  private get acceptPages(): number {
    return Math.floor((this.maxPages * this.params.accept_threshold_percent) / 100);
  }
  /** zswap_check_limits() */
  private isFull(): boolean {
    if (this.poolPages >= this.maxPages) {
      this.counts.pool_limit_hit++;
      this.reachedFull = true;
    } else if (this.reachedFull && this.poolPages <= this.acceptPages) this.reachedFull = false;
    return this.reachedFull;
  }

  // In and out.

  /** All pages of a folio on its way out, or none. @returns whether they are kept here. zswap_store() */
  store(folio: Folio, entry: SwapEntry): boolean {
    const { folios, memcg, thp } = this.system;
    const nr = folios.nrPages(folio);
    // What an earlier write has left there is out of date.
    for (let i = 0; i < nr; i++) this.invalidate(entry + i);
    if (!this.params.enabled) return false;
    this.wasEnabled = true;
    if (!this.hasRoom(payerOf(memcg.of(folio))) || !this.storePages(folio, nr, entry)) {
      if (this.reachedFull) this.isWorkQueued = true;
      return false;
    }
    memcg.countFolio(folio, VmItem.zswpout, nr);
    thp.count(folios.order(folio), ThpStat.zswpout);
    return true;
  }
  /** May what is not kept here go to a device? Not if the group, or one above it, has forbidden that. mem_cgroup_zswap_writeback_enabled() */
  mayWriteBack(group: MemCgroup): boolean {
    if (!this.params.enabled) return true;
    for (let at: MemCgroup | null = group; at !== null; at = at.parent) if (!at.zswapWriteback) return false;
    return true;
  }
  /** A group at its limit gives its oldest page to the device for this one: not if that was stored since it was last looked at, then this one goes there.
   *  obj_cgroup_may_zswap(), zswap_check_limits() */
  private hasRoom(group: MemCgroup): boolean {
    if (Math.floor(group.zswapBytes / PAGE_SIZE) >= group.zswapMax && (!this.mayWriteBack(group) || this.shrinkGroup(group, GFP_IN_RECLAIM) !== 'written')) return false;
    return !this.isFull();
  }
  private storePages(folio: Folio, nr: number, entry: SwapEntry): boolean {
    const group = this.system.memcg.of(folio);
    for (let i = 0; i < nr; i++) {
      if (this.storePage(asFolio(folio + i), entry + i, group)) continue;
      while (i-- > 0) this.invalidate(entry + i);
      return false;
    }
    return true;
  }
  private storePage(page: Folio, entry: SwapEntry, group: MemCgroup): boolean {
    const { machine, params: { cost } } = this.system;
    machine.readFrame(page, 0, this.plain);
    machine.charge(cost.zswap_compress);
    const lenBytes = compress(this.plain, this.packed);
    // As it is, a page is kept only for its place among the oldest, which is nothing where they do not go on.
    if (lenBytes === 0 && !this.mayWriteBack(group)) {
      this.counts.reject_compress_poor++;
      return false;
    }
    const bytes = lenBytes === 0 ? this.plain : this.packed.subarray(0, lenBytes);
    const handle = this.pool.store(bytes);
    if (handle === null) {
      this.counts.reject_alloc_fail++;
      return false;
    }
    if (lenBytes === 0) this.counts.stored_incompressible_pages++;
    const payer = payerOf(group);
    this.entries.set(entry, { handle, lenBytes: bytes.length, group: payer, isReferenced: true });
    const lru = this.lrus.get(payer);
    if (lru === undefined) this.lrus.set(payer, new Set([entry]));
    else lru.add(entry);
    this.system.memcg.chargeZswap(payer, bytes.length, 1);
    return true;
  }
  /** The contents of a folio of one page come from here, and are from now on nowhere else. false: they are not here. zswap_load() */
  load(folio: Folio, entry: SwapEntry): boolean {
    const { folios, memcg } = this.system;
    if (!this.entries.has(entry)) return false;
    if (folios.isLarge(folio)) bug('a large folio is read from zswap');
    this.unpack(entry, folio);
    this.invalidate(entry);
    folios.set(folio, FolioFlag.Dirty);
    memcg.countFolio(folio, VmItem.zswpin, 1);
    return true;
  }
  private unpack(entry: SwapEntry, folio: Folio): void {
    const { machine, params: { cost } } = this.system;
    if (!this.contentsOf(entry, this.plain)) bug(`zswap has nothing of slot ${entry}`);
    machine.charge(cost.zswap_decompress);
    machine.writeFrame(folio, 0, this.plain);
  }
  /** What is kept of a slot, a page of it. @returns false: nothing is */
  contentsOf(entry: SwapEntry, into: Uint8Array): boolean {
    const found = this.entries.get(entry);
    if (found === undefined) return false;
    const { handle, lenBytes } = found;
    const bytes = lenBytes === PAGE_SIZE ? into : this.packed.subarray(0, lenBytes);
    this.pool.read(handle, bytes);
    if (lenBytes < PAGE_SIZE) decompress(bytes, into);
    return true;
  }
  /** A page had to be read from the device: it was sent there too soon. zswap_folio_swapin() */
  readFromDevice(folio: Folio): void {
    this.system.memcg.of(folio).diskSwapins++;
  }
  /** The slot is free, or gets other contents. zswap_invalidate() */
  invalidate(entry: SwapEntry): void {
    const found = this.entries.get(entry);
    if (found === undefined) return;
    this.entries.delete(entry);
    const lru = this.lrus.get(found.group)!;
    lru.delete(entry);
    if (lru.size === 0) this.lrus.delete(found.group);
    this.system.memcg.chargeZswap(found.group, -found.lenBytes, -1);
    if (found.lenBytes === PAGE_SIZE) this.counts.stored_incompressible_pages--;
    this.pool.free(found.handle);
  }

  /** The group is removed: what is kept for it is its parent's from now on, and the next to go there. memcg_reparent_objcgs(), memcg_reparent_list_lrus() */
  reparent(group: MemCgroup): void {
    const lru = this.lrus.get(group);
    if (lru === undefined) return;
    const parent = payerOf(group);
    this.lrus.delete(group);
    this.lrus.set(parent, new Set([...lru, ...(this.lrus.get(parent) ?? [])]));
    for (const entry of lru) this.entries.get(entry)!.group = parent;
    const { zswapBytes, zswappedPages } = group;
    this.system.memcg.chargeZswap(group, -zswapBytes, -zswappedPages);
    this.system.memcg.chargeZswap(parent, zswapBytes, zswappedPages);
  }

  // On to the device.

  /** The pool was full: run() has something to do. */
  get deadline(): number {
    return this.isWorkQueued ? 0 : Infinity;
  }
  /** The oldest of each group go in turn, until there is room again; some at a time, for the device must keep up. shrink_worker() */
  run(): void {
    this.isWorkQueued = false;
    let written = 0;
    for (let failures = 0; failures < MAX_FAILURES && this.poolPages > this.acceptPages; ) {
      const group = this.nextToShrink();
      if (group === null) return;
      if (this.shrinkGroup(group, Gfp.User) !== 'written') failures++;
      else if (++written === MAX_WRITEBACKS) {
        this.isWorkQueued = true;
        return;
      }
    }
  }
  /** The next group that has pages here and lets them go to the device. */
  private nextToShrink(): MemCgroup | null {
    const groups = [...this.system.memcg].filter((group) => this.lrus.has(group) && this.mayWriteBack(group));
    const next = groups.find(({ id }) => id > this.lastShrunk) ?? groups[0] ?? null;
    this.lastShrunk = next?.id ?? 0;
    return next;
  }
  /** What the shrinker may take of a group under pressure: as much of the oldest as their compression pays for, less what had to be read lately.
   *  The root's own pages count like a group's; Linux, which charges nobody for them, spares them. zswap_shrinker_count() */
  countFreeable(group: MemCgroup): number {
    const nr = this.lrus.get(group)?.size ?? 0;
    if (!this.params.shrinker_enabled || !this.mayWriteBack(group) || nr === 0) return 0;
    const spared = Math.min(nr, group.diskSwapins);
    group.diskSwapins -= spared;
    return Math.floor(((nr - spared) * Math.floor(group.zswapBytes / PAGE_SIZE)) / nr);
  }
  /** Looks at so many of the oldest of a group. zswap_shrinker_scan() */
  shrink(group: MemCgroup, nr: number): void {
    for (let i = 0; i < nr; i++) {
      const fate = this.shrinkGroup(group, GFP_IN_RECLAIM);
      // What is in the swap cache again says that the warm ones begin here; without memory the next would fare no better.
      if (fate !== 'written' && fate !== 'rotated') return;
    }
  }
  /** The oldest goes to the device, by way of the swap cache; or to the young end, for what was stored since it was last looked at has a second chance.
   *  shrink_memcg(), shrink_memcg_cb(), zswap_writeback_entry() */
  private shrinkGroup(group: MemCgroup, gfp: number): 'rotated' | 'written' | 'cached' | 'no memory' | 'nothing' {
    const { system } = this;
    const { folios, swap, vmstat, waits } = system;
    const lru = this.lrus.get(group);
    if (lru === undefined) return 'nothing';
    const entry = lru.values().next().value ?? bug('a group without pages in zswap has a list there');
    lru.delete(entry);
    lru.add(entry);
    const found = this.entries.get(entry)!;
    if (found.isReferenced) {
      found.isReferenced = false;
      return 'rotated';
    }
    const brought = bringIntoCache(system, entry, gfp);
    if (brought === null) return 'no memory';
    if (!brought.isNew) return 'cached';
    const { folio } = brought;
    // The search for memory has written it already, and it has left the swap cache since: the device has it.
    if (this.entries.get(entry) !== found) {
      swap.io.read(folio);
      return 'cached';
    }
    this.unpack(entry, folio);
    this.invalidate(entry);
    // The next to go, when it is written.
    folios.set(folio, FolioFlag.Uptodate | FolioFlag.Reclaim);
    // The group's whose page it was: the folio may be charged to somebody else.
    vmstat.add(VmItem.zswpwb, 1);
    found.group.count(VmItem.zswpwb, 1);
    this.counts.written_back_pages++;
    swap.io.writeToDevice(folio);
    waits.unlock(folio);
    return 'written';
  }

  /** Every page kept is of a slot in use, and the groups' sums are theirs. */
  check(isInUse: (entry: SwapEntry) => boolean): void {
    const bytes = new Map<MemCgroup, number>();
    for (const [entry, { group, lenBytes }] of this.entries) {
      if (!isInUse(entry)) bug(`zswap keeps a page of slot ${entry}, which is free`);
      bytes.set(group, (bytes.get(group) ?? 0) + lenBytes);
    }
    let listed = 0;
    for (const [group, lru] of this.lrus) {
      listed += lru.size;
      if (!group.isOnline) bug(`zswap keeps pages of group ${group.path}, which is gone`);
      for (const entry of lru) if (this.entries.get(entry)?.group !== group) bug(`zswap lists slot ${entry} for group ${group.path}, whose it is not`);
    }
    if (listed !== this.entries.size) bug(`zswap lists ${listed} pages of ${this.entries.size}`);
    for (const group of this.system.memcg) if (group.zswapBytes !== (bytes.get(group) ?? 0)) bug(`group ${group.path} has ${bytes.get(group) ?? 0} bytes in zswap, counts ${group.zswapBytes}`);
  }
  hash(into: StateHash): void {
    const { params } = this;
    const swapins = [...this.system.memcg].map(({ diskSwapins }) => diskSwapins);
    into.numbers([params.enabled ? 1 : 0, params.max_pool_percent, params.accept_threshold_percent, params.shrinker_enabled ? 1 : 0, this.wasEnabled ? 1 : 0, this.reachedFull ? 1 : 0,
      swapins.reduce((sum, n) => sum + n, 0)]);
    if (this.wasEnabled) into.numbers([this.isWorkQueued ? 1 : 0, this.lastShrunk, ...swapins]);
    for (const [group, lru] of this.lrus) for (const entry of lru) {
      const { lenBytes, isReferenced } = this.entries.get(entry)!;
      into.numbers([entry, lenBytes, group.id, isReferenced ? 1 : 0]);
    }
    this.pool.hash(into);
  }
}
