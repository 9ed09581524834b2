// Writing dirty folios back to their disks. Here: what is dirty, by file; how much may be, and how long a writer pauses when it is much; the
// flusher, a thread of the kernel that writes in the background. Not here: which folios of a file come (writeback-iter.ts), the writes themselves
// (the back ends of kernel/fs/). Mirrors mm/page-writeback.c and fs/fs-writeback.c, 6.18.
//
//   0            background       freerun = (background + dirty) / 2      setpoint               dirty limit
//   |  nobody    |  the flusher writes  |  writers pause, so that all of them together are as fast as the disk: at the setpoint exactly as
//   |  writes    |                      |  fast, up to twice as fast below it, down to not at all at the limit
//
// One disk is reckoned with; the limits of single disks and of cgroups are left out, and so is the time that a writer thinks between pauses by
// task: it is taken over all of them.
import { PAGE_SIZE } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem, balanceDirtyPages, globalDirtyState, writebackDirtyFolio, writebackStart, writebackWritten } from './events.ts';
import type { AddressSpace } from './filemap.ts';
import type { MmSystem } from './system.ts';
import { Mark } from './xarray.ts';

const SECOND = 1e9;
/** Longest pause of a writer, and the length that is aimed at: MAX_PAUSE, and 10 ms. */
const MAX_PAUSE = SECOND / 5;
const GOOD_PAUSE = SECOND / 100;
/** How often bandwidth is estimated: BANDWIDTH_INTERVAL; over what time it is averaged. */
const BANDWIDTH_INTERVAL = SECOND / 5;
const BANDWIDTH_PERIOD = 3 * SECOND;
/** Pages a second that a disk is taken to write before it has: INIT_BW, 100 MB/s. */
const INIT_BANDWIDTH = 100 * (2 ** 20 / PAGE_SIZE);
/** Pages that a writer may dirty before it is looked at first. */
const FIRST_LOOK = 32;
/** The flusher writes a multiple of this many pages of a file at a time: MIN_WRITEBACK_PAGES. */
const CHUNK_PAGES = (4096 * 1024) / PAGE_SIZE;

/** enum wb_reason. */
export const WbReason = { Background: 0, Vmscan: 1, Sync: 2, Periodic: 3, FsFreeSpace: 5 } as const;
export type WbReason = (typeof WbReason)[keyof typeof WbReason];

/** A mounted file system, as the flusher sees it: what it keeps in memory goes into blocks of its device. */
export interface WritebackMount { writeBack(): number }

export class Writeback {
  private readonly system: MmSystem;
  /** Files with dirty folios, in the order in which they became so, with the clock cycle. */
  private readonly dirty = new Map<AddressSpace, number>();
  readonly mounts: WritebackMount[] = [];

  // Estimates. Rates are pages a second.
  private bandwidth = INIT_BANDWIDTH;
  private dirtyRatelimit = INIT_BANDWIDTH;
  private estimatedAt = 0;
  private dirtiedThen = 0;
  private writtenThen = 0;
  /** Pages dirtied since a writer was last looked at, and how many make it time again. */
  private dirtied = 0;
  private lookAfter = FIRST_LOOK;
  private pausedAt = 0;

  // The flusher.
  private periodicAt = Infinity;
  private isWoken = false;
  private reason: WbReason = WbReason.Background;
  /** Pages that somebody wants written whatever the limits say. */
  private wantedPages = 0;

  constructor(system: MmSystem) {
    this.system = system;
  }

  // What is dirty.

  /** A folio of the file was clean and is not any more. Mirrors folio_account_dirtied(). */
  folioDirtied(space: AddressSpace, folio: Folio): void {
    const { vmstat, folios, machine, params } = this.system;
    const nr = folios.nrPages(folio);
    vmstat.add(VmItem.nr_dirty, nr);
    vmstat.add(VmItem.nr_zone_write_pending, nr);
    vmstat.add(VmItem.nr_dirtied, nr);
    this.dirtied += nr;
    if (writebackDirtyFolio.enabled) writebackDirtyFolio.emit(space.host.devMajor, space.host.devMinor, space.host.ino, folios.index(folio));
    if (this.dirty.has(space)) return;
    if (this.dirty.size === 0 && params.vm.dirty_writeback_centisecs > 0) this.periodicAt = machine.clockCycles + params.vm.dirty_writeback_centisecs * 1e7;
    this.dirty.set(space, machine.clockCycles);
  }
  folioCleaned(space: AddressSpace, folio: Folio): void {
    if (!space.pages.hasMark(Mark.Dirty)) this.dirty.delete(space);
    const nr = this.system.folios.nrPages(folio);
    this.system.vmstat.add(VmItem.nr_dirty, -nr);
    this.system.vmstat.add(VmItem.nr_zone_write_pending, -nr);
  }
  folioWriting(folio: Folio): void {
    const nr = this.system.folios.nrPages(folio);
    this.system.vmstat.add(VmItem.nr_writeback, nr);
    this.system.vmstat.add(VmItem.nr_zone_write_pending, nr);
  }
  folioWrote(folio: Folio): void {
    const nr = this.system.folios.nrPages(folio);
    this.system.vmstat.add(VmItem.nr_writeback, -nr);
    this.system.vmstat.add(VmItem.nr_zone_write_pending, -nr);
    this.system.vmstat.add(VmItem.nr_written, nr);
  }
  /** Files of a device with folios that are dirty or on their way to it. */
  spacesOf(devMajor: number, devMinor: number): AddressSpace[] {
    return [...this.system.addressSpaces.values()].filter(({ host, ops, pages }) =>
      ops !== null && host.devMajor === devMajor && host.devMinor === devMinor && (pages.hasMark(Mark.Dirty) || pages.hasMark(Mark.Writeback)));
  }

  // How much may be dirty.

  /** Pages that could be page cache: free but for the reserves, or files' already. global_dirtyable_memory(). */
  private get dirtyablePages(): number {
    const { pages, watermarks, vmstat } = this.system;
    return Math.max(0, pages.freePagesAndStock - watermarks.high) + vmstat.get('nr_file_pages') - vmstat.get('nr_shmem') + 1;
  }
  /** In pages. Mirrors domain_dirty_limits(). */
  limits(): { background: number; dirty: number } {
    const { vm } = this.system.params;
    const available = this.dirtyablePages;
    const dirty = vm.dirty_bytes > 0 ? Math.ceil(vm.dirty_bytes / PAGE_SIZE) : Math.floor((vm.dirty_ratio * available) / 100);
    const background = vm.dirty_background_bytes > 0 ? Math.ceil(vm.dirty_background_bytes / PAGE_SIZE) : Math.floor((vm.dirty_background_ratio * available) / 100);
    return { background: background >= dirty ? Math.floor(dirty / 2) : background, dirty };
  }
  /** nr_dirty_threshold and its sister are reckoned when somebody reads /proc/vmstat. */
  updateThresholds(): void {
    const { background, dirty } = this.limits();
    this.system.vmstat.set(VmItem.nr_dirty_threshold, dirty);
    this.system.vmstat.set(VmItem.nr_dirty_background_threshold, background);
  }

  // Writers.

  /** Asked by whoever dirties folios, after each of them: balance() when enough has been dirtied since the last time. Mirrors
   *  balance_dirty_pages_ratelimited(). */
  balanceRatelimited(): number | null {
    return this.dirtied >= this.lookAfter ? this.balance() : null;
  }
  /** A writer has dirtied its share. Wakes the flusher when much is dirty, and says how long the writer must wait. @returns the clock cycle at
   *  which it goes on; null: at once. Mirrors balance_dirty_pages(). */
  balance(): number | null {
    const { vmstat, machine } = this.system;
    const now = machine.clockCycles;
    const nrDirtied = this.dirtied;
    this.dirtied = 0;
    const { background, dirty: limit } = this.limits();
    const nrDirty = vmstat.get('nr_dirty');
    const pending = nrDirty + vmstat.get('nr_writeback');
    if (nrDirty > background) this.wake(WbReason.Background);
    const freerun = Math.floor((background + limit) / 2);
    // However fast a writer may be, it is looked at after a thirty-second part of the limit: ratelimit_pages.
    const most = Math.max(16, Math.floor(limit / 32));
    if (pending <= freerun) {
      this.lookAfter = Math.min(most, Math.max(1, 2 ** Math.floor(Math.log2(Math.max(1, limit - pending)) / 2)));
      this.pausedAt = now;
      return null;
    }
    if (globalDirtyState.enabled) {
      globalDirtyState.emit(nrDirty, vmstat.get('nr_writeback'), background, limit, limit, vmstat.get('nr_dirtied'), vmstat.get('nr_written'));
    }
    const setpoint = (freerun + limit) / 2;
    const posRatio = positionRatio(setpoint, pending, limit);
    this.estimate(now, posRatio, pending < setpoint);
    const rate = Math.floor(this.dirtyRatelimit * posRatio);
    // No longer than an eighth of the time that the disk needs for what is pending, lest it run dry: wb_max_pause().
    const longest = Math.min(MAX_PAUSE, (Math.floor(pending / (1 + this.bandwidth / 128)) + 1) * 1e6);
    const period = rate === 0 ? longest : Math.floor((SECOND * nrDirtied) / rate);
    const think = now - this.pausedAt;
    const pause = rate === 0 ? longest : Math.min(period - think, longest);
    // Few long pauses rather than many short ones: so many pages that the next one is about ten milliseconds.
    this.lookAfter = Math.min(most, Math.max(1, Math.floor((Math.max(rate, 1) * GOOD_PAUSE) / SECOND)));
    if (balanceDirtyPages.enabled) {
      const kb = (pages: number): number => Math.floor((pages * PAGE_SIZE) / 1024);
      const [disk] = this.system.disks;
      balanceDirtyPages.emit(disk?.major ?? 0, disk?.minor ?? 0, limit, Math.floor(setpoint), pending, kb(Math.floor(this.dirtyRatelimit)), kb(rate), nrDirtied, this.lookAfter, 0, millis(pause), millis(period), millis(think));
    }
    if (pause < GOOD_PAUSE / 2) {
      // Not worth a sleep; what is owed is kept.
      this.pausedAt += Math.min(period, think);
      return null;
    }
    this.pausedAt = now + pause;
    return now + pause;
  }
  /** What the disk writes, and what writers may dirty. Mirrors wb_update_write_bandwidth() and wb_update_dirty_ratelimit(). */
  private estimate(now: number, posRatio: number, isBelowSetpoint: boolean): void {
    const { vmstat } = this.system;
    const elapsed = now - this.estimatedAt;
    if (elapsed < BANDWIDTH_INTERVAL) return;
    const dirtied = vmstat.get('nr_dirtied');
    const written = vmstat.get('nr_written');
    const perSecond = (pages: number): number => (pages * SECOND) / elapsed;
    if (this.estimatedAt > 0 && elapsed <= BANDWIDTH_PERIOD) {
      const bandwidth = perSecond(written - this.writtenThen);
      this.bandwidth = Math.max(1, (bandwidth * elapsed + this.bandwidth * (BANDWIDTH_PERIOD - elapsed)) / BANDWIDTH_PERIOD);
      const dirtyRate = Math.max(1, perSecond(dirtied - this.dirtiedThen));
      const taskRate = this.dirtyRatelimit * posRatio;
      const balanced = Math.min(this.bandwidth, (taskRate * this.bandwidth) / dirtyRate);
      // Towards where both the balance and the present need lie, in small steps.
      const goal = isBelowSetpoint ? Math.min(balanced, taskRate) : Math.max(balanced, taskRate);
      const isOnTheWay = isBelowSetpoint ? this.dirtyRatelimit < goal : this.dirtyRatelimit > goal;
      if (isOnTheWay) this.dirtyRatelimit = Math.max(1, this.dirtyRatelimit + (goal - this.dirtyRatelimit) / 8);
    }
    this.estimatedAt = now;
    this.dirtiedThen = dirtied;
    this.writtenThen = written;
  }

  // The flusher.

  /** @param nrPages to be written whatever the limits say. Mirrors wb_start_background_writeback() and wakeup_flusher_threads(). */
  wake(reason: WbReason, nrPages = 0): void {
    this.isWoken = true;
    this.reason = reason;
    this.wantedPages = Math.max(this.wantedPages, nrPages);
  }
  /** The clock cycle at which run() is due; Infinity: never as things stand. While a disk has all the requests that it takes, the flusher waits
   *  for the end of one. */
  get deadline(): number {
    if (this.dirty.size === 0) return Infinity;
    if (!this.isWoken) return this.periodicAt;
    return this.isCongested ? Math.max(this.system.waits.deadline, this.system.machine.clockCycles + 1) : 0;
  }
  private get isCongested(): boolean {
    return this.system.disks.some((disk) => disk.nrPending >= disk.latency.queueDepth);
  }
  /** One turn of the thread's loop. Mirrors wb_do_writeback(). */
  run(): void {
    const { machine, params } = this.system;
    if (machine.clockCycles >= this.periodicAt) {
      const { dirty_writeback_centisecs: interval, dirty_expire_centisecs: expire } = params.vm;
      for (const mount of this.mounts) mount.writeBack();
      this.write(WbReason.Periodic, Infinity, machine.clockCycles - expire * 1e7);
      this.periodicAt = interval > 0 && this.dirty.size > 0 ? machine.clockCycles + interval * 1e7 : Infinity;
    }
    if (!this.isWoken) return;
    if (this.wantedPages > 0) {
      const wanted = this.wantedPages;
      this.wantedPages -= this.write(this.reason, wanted, Infinity);
      if (this.dirty.size === 0 || this.wantedPages === wanted) this.wantedPages = 0;
    }
    if (this.isOverBackground) this.write(WbReason.Background, Infinity, Infinity);
    this.isWoken = this.wantedPages > 0 || (this.isOverBackground && this.dirty.size > 0);
  }
  private get isOverBackground(): boolean {
    return this.system.vmstat.get('nr_dirty') > this.limits().background;
  }
  /** Writes files that became dirty no later than `before`, oldest first, a chunk of each in turn, until enough is written or the disk has all it
   *  takes. @returns pages. Mirrors wb_writeback(). */
  private write(reason: WbReason, nrPages: number, before: number): number {
    const isBackground = reason === WbReason.Background;
    const { disks } = this.system;
    const dev = [disks[0]?.major ?? 0, disks[0]?.minor ?? 0] as const;
    const asked = nrPages === Infinity ? Number.MAX_SAFE_INTEGER : nrPages;
    if (writebackStart.enabled) writebackStart.emit(...dev, asked, 0, reason === WbReason.Periodic ? 1 : 0, 1, isBackground ? 1 : 0, reason);
    const chunk = Math.ceil(Math.min(this.bandwidth / 2, this.limits().dirty / 8, nrPages) / CHUNK_PAGES + 1) * CHUNK_PAGES;
    let written = 0;
    for (const [space, since] of [...this.dirty]) {
      if (since > before) continue;
      if (written >= nrPages || (isBackground && !this.isOverBackground)) break;
      const wbc = { start: 0, end: Infinity, isIntegrity: false, isCyclic: true, nrToWrite: chunk };
      space.ops?.writepages(wbc);
      written += chunk - wbc.nrToWrite;
      // What is left waits for its next turn; its age begins anew only when all was written.
      if (this.dirty.delete(space)) this.dirty.set(space, since);
      if (this.isCongested) break;
    }
    if (writebackWritten.enabled) writebackWritten.emit(...dev, asked - written, 0, reason === WbReason.Periodic ? 1 : 0, 1, isBackground ? 1 : 0, reason);
    return written;
  }
  /** vm.dirty_writeback_centisecs has been written: dirty_writeback_centisecs_handler(). */
  intervalChanged(): void {
    const isOn = this.system.params.vm.dirty_writeback_centisecs > 0 && this.dirty.size > 0;
    this.periodicAt = isOn ? this.system.machine.clockCycles : Infinity;
  }

  hash(into: StateHash): void {
    for (const [space, since] of this.dirty) into.numbers([space.id, since]);
    into.numbers([this.bandwidth, this.dirtyRatelimit, this.estimatedAt, this.dirtiedThen, this.writtenThen, this.dirtied, this.lookAfter, this.pausedAt, this.periodicAt, this.isWoken ? 1 : 0, this.reason, this.wantedPages]);
  }
}

const millis = (ns: number): number => Math.round(ns / 1e6);

/** How much faster or slower than the balanced rate: 1 at the setpoint, 2 at most below it, 0 at the limit. pos_ratio_polynom(). */
export function positionRatio(setpoint: number, dirty: number, limit: number): number {
  const x = (setpoint - dirty) / Math.max(1, limit - setpoint);
  return Math.min(2, Math.max(0, 1 + x ** 3));
}
