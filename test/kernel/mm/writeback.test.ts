// Limits, pauses and the flusher, on the modelled clock.
import { describe, expect, test } from 'vitest';
import { positionRatio, WbReason } from '#kernel/mm/writeback.ts';
import { writebackIter } from '#kernel/mm/writeback-iter.ts';
import { balanceDirtyPages, writebackStart } from '#kernel/mm/events.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { Mark } from '#kernel/mm/xarray.ts';
import type { DiskLatency } from '#kernel/block/latency.ts';
import { SimpleFile } from '../../support/simple-file.ts';

const SECOND = 1e9;
const MIB = 1 << 20;
/** 25 MiB a second, nothing else. */
const slow: DiskLatency = {
  name: 'slow', readNs: 0, writeNs: 0, flushNs: 0, discardNs: 0, readBytesPerSecond: 25 * MIB, writeBytesPerSecond: 25 * MIB,
  channels: 1, queueDepth: 32, trackSeekNs: 0, fullSeekNs: 0, halfTurnNs: 0, synchronous: 0, source: 'made up',
};
const open = (params: Partial<Record<'dirty_bytes' | 'dirty_background_bytes' | 'dirty_expire_centisecs' | 'dirty_writeback_centisecs' | 'dirty_ratio' | 'dirty_background_ratio', number>> = {}, backEnd: 'iomap' | 'buffer_head' = 'iomap'): SimpleFile =>
  new SimpleFile({ backEnd, blockSize: 4096, maxOrder: 4, seed: null, ramBytes: 64 * MIB, diskBytes: 32 * MIB, latency: slow, params: ({ vm }) => { Object.assign(vm, params); } });

/** Lets the clock come to `until`, with daemons and disks doing what is due. */
function passTo(file: SimpleFile, until: number): void {
  const { system, machine } = file;
  for (;;) {
    const next = Math.min(system.waits.deadline, system.writeback.deadline);
    if (next > until) break;
    machine.clockCycles = Math.max(machine.clockCycles, next);
    system.waits.complete();
    system.waits.runDeferred();
    if (system.writeback.deadline <= machine.clockCycles) system.writeback.run();
  }
  machine.clockCycles = Math.max(machine.clockCycles, until);
}
const dirtyOf = ({ system }: SimpleFile): number => system.vmstat.get('nr_dirty');

describe('limits', () => {
  test('ratios are of what could be page cache; bytes stand in their place', () => {
    const { system } = open();
    const available = system.pages.freePagesAndStock - system.watermarks.high + system.vmstat.get('nr_file_pages') - system.vmstat.get('nr_shmem') + 1;
    expect(system.writeback.limits()).toEqual({ dirty: Math.floor(available * 0.2), background: Math.floor(available * 0.1) });
    system.params.vm.dirty_bytes = 4097;
    system.params.vm.dirty_background_bytes = 8192;
    expect(system.writeback.limits()).toEqual({ dirty: 2, background: 1 });
    system.params.vm.dirty_background_bytes = 4096;
    expect(system.writeback.limits()).toEqual({ dirty: 2, background: 1 });
    system.writeback.updateThresholds();
    expect([system.vmstat.get('nr_dirty_threshold'), system.vmstat.get('nr_dirty_background_threshold')]).toEqual([2, 1]);
  });
  test('the rate is balanced at the setpoint, doubled far below, nothing at the limit', () => {
    expect(positionRatio(750, 750, 1000)).toBe(1);
    expect(positionRatio(750, 500, 1000)).toBe(2);
    expect(positionRatio(750, 0, 1000)).toBe(2);
    expect(positionRatio(750, 1000, 1000)).toBe(0);
    expect(positionRatio(750, 2000, 1000)).toBe(0);
    expect(positionRatio(750, 875, 1000)).toBe(1 - 0.125);
  });
});

describe('writers', () => {
  test('below the middle of both limits nobody pauses', () => {
    const file = open({ dirty_bytes: 16 * MIB, dirty_background_bytes: 8 * MIB });
    file.write(0, new Uint8Array(11 * MIB));
    expect(file.system.writeback.balance()).toBe(null);
    expect(file.machine.clockCycles).toBeLessThan(SECOND);
  });
  test('above it they pause, at most 200 ms at a time, and in the end write as fast as the disk', () => {
    const file = open({ dirty_bytes: 4 * MIB, dirty_background_bytes: 2 * MIB });
    const { system, machine, space } = file;
    const pauses: number[] = [];
    const stop = balanceDirtyPages.listen((_p, values) => { pauses.push(values[8]!); });
    const bytes = new Uint8Array(64 << 10);
    file.pause = (until) => {
      expect(until - machine.clockCycles).toBeLessThanOrEqual(SECOND / 5);
      passTo(file, until);
      for (let again = system.writeback.balance(); again !== null; again = system.writeback.balance()) passTo(file, again);
    };
    let most = 0;
    const began: [number, number][] = [];
    for (let at = 0; at < 24 * MIB; at += bytes.length) {
      file.write(at % (16 * MIB), bytes);
      passTo(file, machine.clockCycles);
      most = Math.max(most, dirtyOf(file) + system.vmstat.get('nr_writeback'));
      began.push([at, machine.clockCycles]);
    }
    stop();
    expect(pauses.length).toBeGreaterThan(5);
    expect(most).toBeLessThanOrEqual(1024 + 48);
    // The last 12 MiB, when the estimates have settled: the disk's 25 MiB a second, give or take a third.
    const half = began.find(([at]) => at >= 12 * MIB)!;
    const rate = 12 * MIB / ((machine.clockCycles - half[1]) / SECOND);
    expect(rate / MIB).toBeGreaterThan(25 * 0.66);
    expect(rate / MIB).toBeLessThan(25 * 1.5);
    expect(space.sizeBytes).toBe(16 * MIB);
  });
});

describe('the flusher', () => {
  test.each(['iomap', 'buffer_head'] as const)('writes what has been dirty for thirty seconds, looking every five (%s)', (backEnd) => {
    const file = open({}, backEnd);
    const reasons: number[] = [];
    const stop = writebackStart.listen((_p, values) => { reasons.push(values[7]!); });
    file.write(0, new Uint8Array(MIB).fill(1));
    const since = file.machine.clockCycles;
    passTo(file, since + 29 * SECOND);
    expect(dirtyOf(file)).toBe(256);
    expect(reasons.length).toBe(5);
    passTo(file, since + 31 * SECOND);
    expect(dirtyOf(file)).toBe(0);
    expect(file.system.vmstat.get('nr_written')).toBe(256);
    passTo(file, since + 100 * SECOND);
    stop();
    // Nothing is dirty: nobody looks any more.
    expect(reasons).toEqual(new Array(6).fill(WbReason.Periodic));
    expect(file.system.writeback.deadline).toBe(Infinity);
  });
  test('begins at the background limit, whatever the age, and stops below it', () => {
    const file = open({ dirty_bytes: 16 * MIB, dirty_background_bytes: 4 * MIB });
    file.write(0, new Uint8Array(5 * MIB).fill(1));
    const since = file.machine.clockCycles;
    file.system.writeback.balance();
    passTo(file, since + SECOND);
    expect(dirtyOf(file)).toBeLessThanOrEqual(1024);
    expect(file.system.vmstat.get('nr_written')).toBeGreaterThan(0);
  });
  test('never looks when dirty_writeback_centisecs is 0, and at once when that is taken back', () => {
    const file = open({ dirty_writeback_centisecs: 0, dirty_expire_centisecs: 0 });
    file.write(0, new Uint8Array(MIB).fill(1));
    passTo(file, 1000 * SECOND);
    expect(dirtyOf(file)).toBe(256);
    file.system.params.vm.dirty_writeback_centisecs = 500;
    file.system.writeback.intervalChanged();
    passTo(file, 1001 * SECOND);
    expect(dirtyOf(file)).toBe(0);
  });
});

describe('the walk over dirty folios', () => {
  const indices = (file: SimpleFile, options: { isIntegrity?: boolean; isCyclic?: boolean; nr?: number; start?: number; end?: number }): number[] => {
    const found: number[] = [];
    const wbc = { start: options.start ?? 0, end: options.end ?? Infinity, isIntegrity: options.isIntegrity ?? false, isCyclic: options.isCyclic ?? false, nrToWrite: options.nr ?? Infinity };
    for (const folio of writebackIter(file.space, wbc)) {
      expect(file.system.folios.test(folio, FolioFlag.Locked)).toBe(true);
      expect(file.system.folios.test(folio, FolioFlag.Dirty)).toBe(false);
      found.push(file.system.folios.index(folio));
      // A writer that is faster than the disk: a sync must not follow it for ever.
      if (options.isIntegrity === true) file.space.dirtyFolio(file.space.folioAt(6) as never);
      file.system.waits.unlock(folio);
    }
    return found;
  };
  const eight = (): SimpleFile => {
    const file = new SimpleFile({ backEnd: 'buffer_head', blockSize: 4096, seed: null });
    for (const page of [0, 1, 2, 4, 5, 6]) file.write(page * 4096, new Uint8Array(4096).fill(1));
    return file;
  };
  test('comes in order, within the range', () => {
    expect(indices(eight(), {})).toEqual([0, 1, 2, 4, 5, 6]);
    expect(indices(eight(), { start: 1, end: 5 })).toEqual([1, 2, 4]);
  });
  test('a sync takes what is dirty when it begins, and not what becomes so', () => {
    const file = eight();
    file.space.cleanFolio(file.space.folioAt(6) as never);
    expect(indices(file, { isIntegrity: true })).toEqual([0, 1, 2, 4, 5]);
    expect(file.space.pages.hasMark(Mark.Dirty)).toBe(true);
  });
  test('stops when enough is written, and a cyclic walk goes on there', () => {
    const file = eight();
    expect(indices(file, { nr: 2, isCyclic: true })).toEqual([0, 1]);
    file.space.dirtyFolio(file.space.folioAt(0) as never);
    expect(indices(file, { nr: 2, isCyclic: true })).toEqual([2, 4]);
    expect(indices(file, { isCyclic: true })).toEqual([5, 6]);
    expect(indices(file, { isCyclic: true })).toEqual([0]);
  });
  test('a folio that somebody has locked is passed over, or waited for by a sync', () => {
    const file = eight();
    file.system.waits.tryLock(file.space.folioAt(1) as never);
    expect(indices(file, {})).toEqual([0, 2, 4, 5, 6]);
  });
});
