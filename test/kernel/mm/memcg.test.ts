// Memory control groups: charging, limits, what happens at them, counters. Swap and policies have their own tests.
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { FaultResult } from '#kernel/mm/fault.ts';
import { filemapRead } from '#kernel/mm/filemap-read.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { memcgStat } from '#kernel/mm/memcg-stat.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { LruType } from '#kernel/mm/reclaim/lruvec.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';
import { SlowDisk } from '../../support/slow-disk.ts';

const MIB = 1 << 20;
const PAGE = 4096;
function boot(maxPages: number) {
  const { system } = bootSystem({ ramBytes: 32 * MIB });
  const group = system.memcg.create('w')!;
  group.max = maxPages;
  system.memcg.active = group;
  const program = Program.on(system);
  const disk = new SlowDisk(system, 8 * MIB);
  const ra = newRa(32, 1024);
  const read = (pos: number, len: number): void => {
    const io = IoBuffer.of(new Uint8Array(len));
    for (let moved = 0; ; ) {
      const { moved: n, error, wait } = filemapRead(disk.space, ra, pos + moved, io);
      moved += n;
      expect(error).toBe(0);
      if (wait === 0) break;
      system.waits.waitNow(wait as Folio, FolioFlag.Locked);
    }
  };
  return { system, group, program, disk, read };
}

describe('charging', () => {
  test('anonymous memory, files and page tables are the group\'s, and go back when they are freed', () => {
    const { system, group, program, read } = boot(Infinity);
    const tables = group.usage - group.stock;
    const at = program.map(100 * PAGE);
    program.touch(at, 100 * PAGE);
    read(0, 50 * PAGE);
    const stat = Object.fromEntries(memcgStat(group));
    expect(stat['anon']).toBe(100 * PAGE);
    expect(stat['file']).toBeGreaterThanOrEqual(50 * PAGE);
    expect(stat['pagetables']).toBeGreaterThan(tables * PAGE - 1);
    expect((group.usage - group.stock) * PAGE).toBe(stat['anon']! + stat['file']! + stat['pagetables']!);
    expect(group.stat.get('pgfault')).toBe(100);
    system.check();
    program.mm.dispose();
    expect(Object.fromEntries(memcgStat(group))['anon']).toBe(0);
    system.check();
  });
  test('a large folio is charged whole, or not at all', () => {
    const { system } = bootSystem({ ramBytes: 32 * MIB, orders: [4] });
    const group = system.memcg.create('w')!;
    system.memcg.active = group;
    const program = Program.on(system);
    const at = program.map(64 * PAGE);
    program.write(at);
    expect(Object.fromEntries(memcgStat(group))['anon']).toBe(16 * PAGE);
    group.max = group.usage; // not one page more than is charged ahead
    system.memcg.drainStock(group);
    group.max = group.usage + 3;
    expect(program.write(at + 16 * PAGE)).toBe(FaultResult.Done);
    expect(Object.fromEntries(memcgStat(group))['anon']).toBe(17 * PAGE);
    system.check();
  });
  test('what a group is charged ahead is one batch at most', () => {
    const { group, program } = boot(Infinity);
    const at = program.map(PAGE);
    program.write(at);
    expect(group.stock).toBeGreaterThan(0);
    expect(group.stock).toBeLessThan(64);
  });
});

describe('at the limit', () => {
  test('pages of files make room, counted for the group and not for the machine', () => {
    const { system, group, read } = boot(512);
    for (let pos = 0; pos < 8 * MIB; pos += 64 * 1024) read(pos, 64 * 1024);
    while (system.waits.passTime());
    expect(group.usage).toBeLessThanOrEqual(512);
    expect(group.events.max).toBeGreaterThan(0);
    expect(group.stat.get('pgsteal_direct')).toBeGreaterThan(1000);
    expect(group.stat.get('pgscan_direct')).toBeGreaterThanOrEqual(group.stat.get('pgsteal_direct'));
    expect(system.vmstat.get('pgsteal_direct')).toBe(0);
    expect(system.vmstat.get('pgsteal_file')).toBe(group.stat.get('pgsteal_direct'));
    expect(group.events.oom).toBe(0);
    system.check();
  });
  test('what is used again and again stays while a scan goes by', () => {
    const { system, group, read, disk } = boot(768);
    for (let pass = 0; pass < 3; pass++) for (let page = 0; page < 100; page++) read(page * PAGE, 8);
    for (let pos = MIB; pos < 8 * MIB; pos += 64 * 1024) read(pos, 64 * 1024);
    while (system.waits.passTime());
    let kept = 0;
    for (let page = 0; page < 100; page++) if (disk.space.folioAt(page) !== 0) kept++;
    expect(kept).toBeGreaterThan(95);
    expect(group.lruvec.activePages(LruType.File)).toBeGreaterThanOrEqual(kept);
  });
  test('a refault is counted, and known to be one of the working set when it comes soon', () => {
    const { system, group, read } = boot(512);
    for (let lap = 0; lap < 3; lap++) for (let pos = 0; pos < 3 * MIB; pos += 64 * 1024) read(pos, 64 * 1024);
    while (system.waits.passTime());
    expect(group.stat.get('workingset_refault_file')).toBeGreaterThan(256);
    system.check();
  });
  test('without swap anonymous memory beyond the limit is refused, and the group named', () => {
    const { system, group, program } = boot(300);
    const at = program.map(400 * PAGE);
    let page = 0;
    while (page < 400 && program.write(at + page * PAGE) === FaultResult.Done) page++;
    expect(page).toBeGreaterThan(250);
    expect(page).toBeLessThan(300);
    expect(system.memcg.overLimit).toBe(group);
    expect(group.usage).toBeLessThanOrEqual(300);
    system.check();
  });
  test('memory.min and memory.low keep a group out of the machine\'s reclaim as long as others have something to give', () => {
    const { system, group, read } = boot(Infinity);
    read(0, MIB);
    while (system.waits.passTime());
    group.low = 4096;
    system.memcg.active = system.memcg.root;
    const before = group.lruvec.pages(LruType.File);
    const other = new SlowDisk(system, 8 * MIB);
    const io = IoBuffer.of(new Uint8Array(MIB));
    filemapRead(other.space, newRa(32, 1024), 0, io);
    while (system.waits.passTime());
    system.vmscan.direct(0, 0);
    expect(group.lruvec.pages(LruType.File)).toBe(before);
    expect(group.events.low).toBe(0);
  });
});

test('lazily freed memory goes first, without swap, unless it was written since', () => {
  const { system, group, program } = boot(400);
  const at = program.map(200 * PAGE);
  program.touch(at, 200 * PAGE);
  expect(program.mm.madvise(at, 200 * PAGE, 8)).toBe(0);
  program.write(at + 7 * PAGE);
  const more = program.map(300 * PAGE);
  program.touch(more, 300 * PAGE);
  expect(group.stat.get('pglazyfreed')).toBeGreaterThan(90);
  expect(program.frame(at + 7 * PAGE)).not.toBe(0);
  system.check();
});
