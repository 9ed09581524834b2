// zswap: pages on their way to swap are compressed and kept in memory instead, as long as they get smaller and there is room; the oldest of them go on to
// the device when there is none. Here: storing, loading, limits, writing back. Not here: the compressor (lz.ts), where the bytes lie (zsmalloc.ts).
// Mirrors mm/zswap.c, 6.18. Left out: one LRU a group (there is one), the choice of a compressor, memory.zswap.max.
//
// A page lies compressed in place of its slot's contents, which the device does not hold then. Who reads it takes it out again (what is in the swap cache is
// kept once), and it is dirty there. At the pool's limit (max_pool_percent of RAM) nothing more is taken until it has come down to
// accept_threshold_percent of that, for which the oldest are written: each comes into the swap cache, and goes to the device like any other page.
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
/** Inside reclaim nobody may reclaim. */
const GFP_IN_RECLAIM = (Gfp.User & ~GfpFlag.DirectReclaim) | GfpFlag.Memalloc;

interface ZswapEntry {
  readonly handle: ZsHandle;
  /** Compressed bytes; PAGE_SIZE: as it is, for it does not get smaller. */
  readonly lenBytes: number;
  readonly group: MemCgroup;
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

export class Zswap {
  /** /sys/module/zswap/parameters. */
  readonly params = { enabled: false, max_pool_percent: 20, accept_threshold_percent: 90, shrinker_enabled: false };
  /** /sys/kernel/debug/zswap. */
  readonly counts = { pool_limit_hit: 0, reject_alloc_fail: 0, reject_compress_poor: 0, written_back_pages: 0, stored_incompressible_pages: 0 };
  private readonly system: MmSystem;
  private readonly pool: Zsmalloc;
  /** By slot, oldest first. */
  private readonly entries = new Map<SwapEntry, ZswapEntry>();
  /** It has been on: a large folio that went out may lie here in part. !zswap_never_enabled() */
  wasEnabled = false;
  /** The limit was met, and the pool has not come down since. */
  private reachedFull = false;
  /** Pages that had to be read from the device lately, against which the shrinker weighs: nr_disk_swapins. */
  private diskSwapins = 0;
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
    if (this.isFull()) return false;
    const group = memcg.of(folio);
    for (let i = 0; i < nr; i++) {
      if (this.storePage(asFolio(folio + i), entry + i, group)) continue;
      while (i-- > 0) this.invalidate(entry + i);
      return false;
    }
    memcg.countFolio(folio, VmItem.zswpout, nr);
    thp.count(folios.order(folio), ThpStat.zswpout);
    return true;
  }
  private storePage(page: Folio, entry: SwapEntry, group: MemCgroup): boolean {
    const { machine, params: { cost } } = this.system;
    machine.readFrame(page, 0, this.plain);
    machine.charge(cost.zswap_compress);
    const lenBytes = compress(this.plain, this.packed);
    const bytes = lenBytes === 0 ? this.plain : this.packed.subarray(0, lenBytes);
    const handle = this.pool.store(bytes);
    if (handle === null) {
      this.counts.reject_alloc_fail++;
      return false;
    }
    if (lenBytes === 0) this.counts.stored_incompressible_pages++;
    this.entries.set(entry, { handle, lenBytes: bytes.length, group, isReferenced: true });
    this.system.memcg.chargeZswap(group, bytes.length, 1);
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
  /** A page had to be read from the device: it was sent there too soon. */
  readFromDevice(): void {
    this.diskSwapins++;
  }
  /** The slot is free, or gets other contents. zswap_invalidate() */
  invalidate(entry: SwapEntry): void {
    const found = this.entries.get(entry);
    if (found === undefined) return;
    this.entries.delete(entry);
    this.system.memcg.chargeZswap(found.group, -found.lenBytes, -1);
    if (found.lenBytes === PAGE_SIZE) this.counts.stored_incompressible_pages--;
    this.pool.free(found.handle);
  }

  // On to the device.

  /** The pool was full, and has not come down yet: run() has something to do. */
  get deadline(): number {
    return this.reachedFull && this.poolPages > this.acceptPages && this.entries.size > 0 ? 0 : Infinity;
  }
  /** shrink_worker(): the oldest go until there is room again, some at a time, for the device must keep up. */
  run(): void {
    let written = 0;
    for (let looked = 2 * this.entries.size; looked > 0 && written < MAX_WRITEBACKS && this.deadline === 0; looked--) {
      const fate = this.lookAtOldest(Gfp.User);
      if (fate === 'no memory') break;
      if (fate === 'written') written++;
    }
    // What cannot come down waits for the next page that finds it full.
    if (written === 0 || this.poolPages <= this.acceptPages) this.reachedFull = false;
  }
  /** What the shrinker may take under pressure: as much of the oldest as their compression pays for, less what had to be read lately.
   *  zswap_shrinker_count() */
  countFreeable(): number {
    if (!this.params.shrinker_enabled || this.entries.size === 0) return 0;
    const spared = Math.min(this.entries.size, this.diskSwapins);
    this.diskSwapins -= spared;
    return Math.floor(((this.entries.size - spared) * this.poolPages) / this.entries.size);
  }
  /** Looks at so many of the oldest. zswap_shrinker_scan() */
  shrink(nr: number): void {
    for (let i = 0; i < nr && this.entries.size > 0; i++) {
      const fate = this.lookAtOldest(GFP_IN_RECLAIM);
      // What is in the swap cache again says that the warm ones begin here.
      if (fate === 'no memory' || fate === 'cached') return;
    }
  }
  /** The oldest goes to the device, by way of the swap cache; or to the young end, for what was stored since it was last looked at has a second chance.
   *  shrink_memcg_cb(), zswap_writeback_entry() */
  private lookAtOldest(gfp: number): 'rotated' | 'written' | 'cached' | 'no memory' {
    const { system } = this;
    const { folios, swap, memcg, waits } = system;
    const [entry, found] = this.entries.entries().next().value ?? bug('zswap is empty');
    this.entries.delete(entry);
    this.entries.set(entry, found);
    if (found.isReferenced) {
      found.isReferenced = false;
      return 'rotated';
    }
    const brought = bringIntoCache(system, entry, gfp);
    if (brought === null) return 'no memory';
    if (!brought.isNew) return 'cached';
    const { folio } = brought;
    this.unpack(entry, folio);
    this.invalidate(entry);
    // The next to go, when it is written.
    folios.set(folio, FolioFlag.Uptodate | FolioFlag.Reclaim);
    memcg.countFolio(folio, VmItem.zswpwb, 1);
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
    for (const group of this.system.memcg) if (group.zswapBytes !== (bytes.get(group) ?? 0)) bug(`group ${group.path} has ${bytes.get(group) ?? 0} bytes in zswap, counts ${group.zswapBytes}`);
  }
  hash(into: StateHash): void {
    const { params } = this;
    into.numbers([params.enabled ? 1 : 0, params.max_pool_percent, params.accept_threshold_percent, params.shrinker_enabled ? 1 : 0, this.wasEnabled ? 1 : 0, this.reachedFull ? 1 : 0, this.diskSwapins]);
    for (const [entry, { lenBytes, group, isReferenced }] of this.entries) into.numbers([entry, lenBytes, group.id, isReferenced ? 1 : 0]);
    this.pool.hash(into);
  }
}
