// Moving folios and making large free blocks: what moves, what stays, that nothing is lost, and when it is not worth trying.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asPfn, tracepoints } from '#base';
import type { Folio } from '#base';
import { CompactPriority, CompactResult } from '#kernel/mm/compaction.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import { MemdescType } from '#kernel/mm/folio.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MigrateMode, migratePages } from '#kernel/mm/migrate.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { splitHugePages } from '#kernel/mm/split-huge-pages.ts';
import { GfpFlag } from '#kernel/mm/gfp.ts';
import { Gfp } from '#kernel/mm/system.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, boot } from '../../support/mm-fixture.ts';
import { entryPicture, picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
function fork(parent: Program): Program {
  const mm = dupMm(parent.mm);
  if (mm === null) throw new Error('fork: no memory');
  mm.activate();
  return new Program(mm);
}
const folioAt = (system: MmSystem, program: Program, va: number): Folio => system.folios.folioOf(asPfn(program.frame(va)));
/** Moves folios to freshly allocated frames. */
function moveAll(system: MmSystem, list: readonly Folio[]): ReturnType<typeof migratePages> {
  for (const folio of list) system.folios.get(folio);
  return migratePages(system, list, (from) => system.allocFolio(system.folios.order(from), system.folios.typeOf(from), Gfp.User), MigrateMode.Sync, 0);
}
const numbers = (program: Program, start: number, pages: number): (number | null)[] => Array.from({ length: pages }, (_, i) => program.user.u32(start + i * 4096));
function number(program: Program, start: number, pages: number): void {
  for (let i = 0; i < pages; i++) program.user.setU32(start + i * 4096, 1000 + i);
}
const counted = (pages: number): number[] => Array.from({ length: pages }, (_, i) => 1000 + i);

/** Fills memory with single pages and frees every other one: no two free frames touch. @returns pages mapped */
function checkerboard(program: Program): number {
  const { system } = program.mm;
  const pages = system.buddy.freePages - system.watermarks.min - 64;
  program.map(pages * 4096, BASE);
  number(program, BASE, pages);
  for (let i = 0; i < pages; i += 2) program.mm.madvise(BASE + i * 4096, 4096, Madvise.DontNeed);
  system.pages.drainStock();
  return pages;
}

describe('migration', () => {
  test('moves single pages, 64 kB whole and folded, 2 MiB whole under one entry; everybody follows', () => {
    for (const [orders, pages, drawn] of [[[], 4, 'rrrr'], [[4], 16, 'NNNNNNNNNNNNNNNN'], [[9], 512, 'MMMMMMMMMMMMMMMM']] as const) {
      const { program, system } = boot({ orders, ramBytes: 32 << 20 });
      program.map(pages * 4096, BASE);
      number(program, BASE, pages);
      const child = fork(program);
      const folios = [...new Set(Array.from({ length: pages }, (_, i) => folioAt(system, program, BASE + i * 4096)))];
      const stats = moveAll(system, folios);
      expect([stats.succeeded, stats.failed, system.vmstat.get('pgmigrate_success'), system.vmstat.get('thp_migration_success')]).toEqual([pages, 0, pages, pages === 512 ? 1 : 0]);
      for (const folio of folios) expect(folioAt(system, program, BASE)).not.toBe(folio);
      expect(child.frame(BASE)).toBe(program.frame(BASE));
      expect(entryPicture(child.mm, BASE, BASE + Math.min(pages, 16) * 4096)).toBe(`0x1000000000 ${drawn}`);
      expect([numbers(program, BASE, pages), numbers(child, BASE, pages)]).toEqual([counted(pages), counted(pages)]);
      system.check();
      child.mm.dispose();
      program.mm.dispose();
      system.check();
    }
  });
  test('a page of a file moves in the page cache and in every mapping', () => {
    const { program, system } = boot();
    const space = new AddressSpace(system, 'file');
    space.write(0, Uint8Array.of(7, 8, 9));
    const file = { space, path: '/tmp/f', ino: 2, devMajor: 0, devMinor: 1, mayWrite: true };
    const at = program.mm.mmap({ addr: 0, len: 4096, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared, file, pgoff: 0 });
    program.user.setU32(at, 1234);
    const before = space.pageFor(0, false);
    expect(moveAll(system, [folioAt(system, program, at)]).succeeded).toBe(1);
    expect(space.pageFor(0, false)).not.toBe(before);
    expect(program.frame(at)).toBe(space.pageFor(0, false));
    expect(program.user.u32(at)).toBe(1234);
    program.user.setU32(at, 4321);
    const bytes = new Uint8Array(4);
    space.read(0, bytes);
    expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(4321);
    system.check();
    program.mm.munmap(at, 4096);
    space.release();
    expect(system.addressSpaces.size).toBe(0);
  });
  test('what somebody holds stays; what has lost some of its pages is split first, and the rest moves page by page', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x20000, BASE);
    number(program, BASE, 32);
    const [held, part] = [folioAt(system, program, BASE), folioAt(system, program, BASE + 0x10000)];
    system.folios.get(held);
    program.mm.munmap(BASE + 0x10000, 0x4000);
    const stats = moveAll(system, [held, part]);
    expect([stats.succeeded, stats.failed, stats.largeSplit, system.vmstat.get('pgmigrate_fail')]).toEqual([13, 16, 1, 16]); // the thirteenth is a page that only we held
    expect(picture(program.mm)).toBe('0x1000000000 4444444444444444 | 0x1000014000 000000000000');
    expect(folioAt(system, program, BASE)).toBe(held);
    system.putFolio(held);
    expect(numbers(program, BASE + 0x14000, 12)).toEqual(counted(32).slice(20));
    system.check();
  });
  test('exclusive, dirty and locked stay so', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE, Prot.Read | Prot.Write, MapFlag.Locked);
    number(program, BASE, 16);
    const low = program.mm.tables.get(BASE / 4096) & 0x3ff;
    moveAll(system, [folioAt(system, program, BASE)]);
    expect(program.mm.tables.get(BASE / 4096) & 0x3ff).toBe(low);
    expect([system.folios.isAnonExclusive(asPfn(program.frame(BASE))), system.vmstat.get('nr_mlock')]).toEqual([true, 16]);
    program.mm.munlock(BASE, 0x10000);
    expect(system.vmstat.get('nr_mlock')).toBe(0);
    system.check();
  });
});

describe('compaction', () => {
  test('turns a checkerboard of movable pages into 2 MiB blocks; free pages are conserved, bytes too', () => {
    const { program, system } = boot({ ramBytes: 64 << 20 });
    const pages = checkerboard(program);
    const { buddy } = system;
    expect(buddy.fragmentationIndex(9)).toBeGreaterThan(990);
    const free = system.pages.freePagesAndStock;
    const blocks = (): number => buddy.countOf(9) + 2 * buddy.countOf(10);
    expect(system.compaction.everything()).toBe(CompactResult.Complete);
    expect(system.pages.freePagesAndStock).toBe(free);
    expect(blocks()).toBeGreaterThan(free / 512 - 4);
    for (let i = 1; i < pages; i += 2) expect(program.user.u32(BASE + i * 4096)).toBe(1000 + i);
    expect(system.vmstat.get('pgmigrate_success')).toBeGreaterThan(pages / 8);
    expect(system.vmstat.get('compact_migrate_scanned')).toBeGreaterThan(0);
    system.check();
    program.mm.dispose();
    system.check();
  });
  test('a fault that may compact gets its 2 MiB where one that may not falls back', () => {
    for (const [advised, drawn] of [[true, 'M'], [false, 'w']] as const) {
      const { program, system } = boot({ ramBytes: 64 << 20 });
      const pages = checkerboard(program);
      takeWhole(system);
      system.thp.enabled = 'always';
      // Room to move into is needed, and single pages give it.
      for (let i = 1; i < pages; i += 8) program.mm.madvise(BASE + i * 4096, 4096, Madvise.DontNeed);
      system.pages.drainStock();
      const at = BASE + 0x1000_0000;
      program.map(0x200000, at);
      if (advised) program.mm.madvise(at, 0x200000, Madvise.HugePage);
      program.write(at);
      expect(entryPicture(program.mm, at, at + 4096)).toBe(`0x${at.toString(16)} ${drawn}`);
      expect([system.vmstat.get('compact_stall') > 0, system.vmstat.get('compact_success') > 0]).toEqual([drawn === 'M', drawn === 'M']);
      system.check();
    }
  });
  test('large folios below the wanted order move whole, unless the rule of old says that they stay', () => {
    for (const moves of [1, 0]) {
      const { program, system } = boot({ orders: [4], ramBytes: 64 << 20, params: (p) => { p.vm.compact_large_folios = moves; } });
      program.map(0x200_0000, BASE);
      program.touch(BASE, 0x200_0000);
      for (let at = 0; at < 0x200_0000; at += 0x20000) program.mm.madvise(BASE + at, 0x10000, Madvise.DontNeed);
      system.pages.drainStock();
      const before = system.buddy.countOf(9) + 2 * system.buddy.countOf(10);
      system.compaction.everything();
      const gained = system.buddy.countOf(9) + 2 * system.buddy.countOf(10) - before;
      expect([gained > 4, system.thp.stat(4, 'split'), system.thp.stat(4, 'nr_anon')]).toEqual([moves === 1, 0, 256]);
      system.check();
    }
  });
  test('is not tried when memory rather than its shape is lacking', () => {
    const { program, system } = boot({ ramBytes: 64 << 20 });
    const pages = system.buddy.freePages - system.watermarks.min - 64;
    program.map(pages * 4096, BASE);
    program.touch(BASE, pages * 4096);
    system.pages.drainStock();
    takeWhole(system);
    expect(system.compaction.direct(9, Gfp.Thp, CompactPriority.SyncLight)).toBe(CompactResult.Skipped);
    expect([system.vmstat.get('compact_stall'), system.vmstat.get('compact_migrate_scanned')]).toEqual([0, 0]);
  });
  test('after a failure it is put off for one attempt, then two, then four', () => {
    const { program, system } = boot({ ramBytes: 64 << 20 });
    checkerboard(program);
    takeWhole(system);
    // Everything is held by somebody: nothing can move.
    for (const folio of new Set(program.mm.vmas.flatMap((vma) => Array.from({ length: vma.nrPages }, (_, i) => program.frame(vma.start + i * 4096))))) {
      if (folio !== 0) system.folios.get(system.folios.folioOf(asPfn(folio)));
    }
    const results: number[] = [];
    while (results.filter((result) => result !== CompactResult.Deferred).length < 8) results.push(system.compaction.direct(9, Gfp.Thp, CompactPriority.SyncLight));
    const failed = results.flatMap((result, i) => (result !== CompactResult.Deferred ? [i] : []));
    const gaps = failed.slice(1).map((at, i) => at - failed[i]!);
    expect(gaps.slice(-7)).toEqual([2, 4, 8, 16, 32, 64, 64]);
  });
  test('says what it does through its tracepoints', () => {
    const { program, system } = boot({ ramBytes: 64 << 20 });
    checkerboard(program);
    const seen = new Set<string>();
    const stops = [...tracepoints().values()].filter((point) => point.system === 'compaction' || point.system === 'migrate').map((point) => point.listen((p) => seen.add(p.name)));
    system.compaction.everything();
    for (const stop of stops) stop();
    expect([...seen].sort()).toEqual(['mm_compaction_begin', 'mm_compaction_end', 'mm_compaction_finished', 'mm_compaction_isolate_freepages', 'mm_compaction_isolate_migratepages',
      'mm_compaction_migratepages', 'mm_migrate_pages', 'mm_migrate_pages_start', 'remove_migration_pte', 'set_migration_pte']);
  });
  test('whatever the mixture of folios, forks and holes, it loses neither a byte nor a frame', () => {
    const hole = fc.record({ at: fc.nat(1023), len: fc.integer({ min: 1, max: 30 }) });
    fc.assert(fc.property(fc.constantFrom([] as number[], [2], [4], [2, 3, 4, 5, 6], [9]), fc.array(hole, { minLength: 10, maxLength: 60 }), fc.boolean(), (orders, holes, forks) => {
      const { program, system } = boot({ orders, ramBytes: 32 << 20 });
      program.map(1024 * 4096, BASE);
      number(program, BASE, 1024);
      const child = forks ? fork(program) : null;
      const kept = new Set(Array.from({ length: 1024 }, (_, i) => i));
      for (const { at, len } of holes) {
        program.mm.madvise(BASE + at * 4096, Math.min(len, 1024 - at) * 4096, Madvise.DontNeed);
        for (let i = at; i < at + len; i++) kept.delete(i);
      }
      const free = system.pages.freePagesAndStock;
      system.compaction.everything();
      system.check();
      expect(system.pages.freePagesAndStock).toBeGreaterThanOrEqual(free); // splits may have let go of pages that nobody mapped
      for (const i of kept) expect(program.user.u32(BASE + i * 4096)).toBe(1000 + i);
      if (child !== null) expect(numbers(child, BASE, 1024)).toEqual(counted(1024));
      system.check();
    }), { numRuns: 12 });
  });
});

describe('kcompactd', () => {
  const MS = 1_000_000;
  /** What compaction says, event by event, with the fields that tell. */
  function listen(...fields: string[]): { lines: string[]; stop: () => void } {
    const lines: string[] = [];
    const stops = [...tracepoints().values()].filter((point) => point.system === 'compaction').map((point) => point.listen((p, values) => {
      lines.push([p.name.replace('mm_compaction_', ''), ...p.fields.flatMap((field, i) => (fields.includes(field.name) ? [values[i]] : []))].join(' '));
    }));
    return { lines, stop: () => { for (const stop of stops) stop(); } };
  }
  test('looks every half second, and compacts while more of free memory is of no use to 2 MiB than vm.compaction_proactiveness likes', () => {
    for (const [proactiveness, runs] of [[20, true], [0, false]] as const) {
      const { program, system, machine } = boot({ ramBytes: 64 << 20, params: (p) => { p.vm.compaction_proactiveness = proactiveness; } });
      checkerboard(program);
      takeWhole(system);
      const { kcompactd, compaction } = system;
      expect([compaction.score, compaction.nodeScore, compaction.scoreMark(false), compaction.scoreMark(true)]).toEqual([100, 99, runs ? 90 : 100, runs ? 80 : 100]);
      expect(kcompactd.deadline).toBe(runs ? 500 * MS : Infinity);
      machine.charge(500 * MS - machine.clockCycles);
      system.runDaemons();
      expect(compaction.score <= 80).toBe(runs);
      expect([system.vmstat.get('compact_daemon_migrate_scanned') > 0, system.vmstat.get('compact_daemon_wake'), system.vmstat.get('compact_stall')]).toEqual([runs, 0, 0]);
      // Well below the mark now: the next look finds nothing, and another one only comes after somebody has allocated or freed.
      if (!runs) continue;
      expect(kcompactd.deadline).toBe(machine.clockCycles + 500 * MS);
      machine.charge(500 * MS);
      system.runDaemons();
      expect(kcompactd.deadline).toBe(Infinity);
      const lookedAt = machine.clockCycles;
      program.mm.madvise(BASE + 4096, 4096, Madvise.DontNeed);
      expect(kcompactd.deadline).toBe(lookedAt + 500 * MS);
      system.check();
    }
  });
  test('waits 64 times as long after a run that was of no use', () => {
    const { program, system, machine } = boot({ ramBytes: 64 << 20 });
    checkerboard(program);
    takeWhole(system);
    for (const frame of new Set(program.mm.vmas.flatMap((vma) => Array.from({ length: vma.nrPages }, (_, i) => program.frame(vma.start + i * 4096))))) {
      if (frame !== 0) system.folios.get(system.folios.folioOf(asPfn(frame))); // nothing can move
    }
    machine.charge(500 * MS);
    system.runDaemons();
    expect(system.kcompactd.deadline).toBe(machine.clockCycles + 64 * 500 * MS);
  });
  test('writing vm.compaction_proactiveness makes it look at once; 0 does not', () => {
    const { program, system } = boot({ ramBytes: 64 << 20 });
    checkerboard(program);
    takeWhole(system);
    const { lines, stop } = listen('order', 'status');
    system.params.vm.compaction_proactiveness = 0;
    system.kcompactd.proactivenessChanged();
    expect([system.kcompactd.deadline, lines]).toEqual([Infinity, []]);
    system.params.vm.compaction_proactiveness = 20;
    system.kcompactd.proactivenessChanged();
    expect(system.kcompactd.deadline).toBe(0);
    system.runDaemons();
    stop();
    expect([lines[0], lines[1], lines.at(-2), lines.at(-1)]).toEqual(['wakeup_kcompactd -1', 'begin', 'end 8', 'kcompactd_sleep']);
  });
  test('is woken for the order by kswapd, which has freed what it can; by the allocation itself once kswapd has failed sixteen times', () => {
    const LIGHT = Gfp.ThpLight | GfpFlag.KswapdReclaim;
    for (const [failures, gfp, woken] of [[0, LIGHT, true], [15, LIGHT, true], [16, LIGHT, true], [16, Gfp.Thp | GfpFlag.KswapdReclaim, false]] as const) {
      const { program, system } = boot({ ramBytes: 64 << 20, params: (p) => { p.vm.extfrag_threshold = 1000; } });
      checkerboard(program);
      takeWhole(system);
      const wake = (): void => { system.pages.hooks.wakeKswapd(9, gfp); };
      // At first every block is ruled out by the threshold, and kswapd has nothing to shrink.
      for (let i = 0; i < failures; i++) {
        wake();
        expect(system.pressure.isKswapdAwake).toBe(true);
        system.runDaemons();
      }
      expect(system.vmstat.get('compact_daemon_wake')).toBe(0);
      system.params.vm.extfrag_threshold = 500;
      const { lines, stop } = listen('order');
      wake();
      expect([system.pressure.isKswapdAwake, lines]).toEqual([failures < 16, woken && failures === 16 ? ['suitable 9', 'wakeup_kcompactd 9'] : []]);
      system.runDaemons();
      stop();
      expect(lines.filter((line) => line.includes('kcompactd'))).toEqual(woken ? ['wakeup_kcompactd 9', 'kcompactd_wake 9', 'kcompactd_sleep'] : []);
      expect([system.vmstat.get('compact_daemon_wake'), system.buddy.countOf(9) + system.buddy.countOf(10) > 0]).toEqual(woken ? [1, true] : [0, false]);
      system.check();
    }
  });
});

test('the page allocator says what comes off a free list, what goes back, and what is freed with others', () => {
  const { program, system } = boot({ orders: [2], ramBytes: 32 << 20 });
  const lines: string[] = [];
  const names = ['mm_page_alloc_zone_locked', 'mm_page_pcpu_drain', 'mm_page_free_batched', 'mm_page_free'];
  const stops = names.map((name) => tracepoints().get(name)!.listen((p, values) => lines.push(`${p.name.slice(8)} ${values.slice(1).join(' ')}`.trim())));
  const first = system.pages.alloc(4, Gfp.User); // an order that has no stock
  expect([first > 0, lines.splice(0)]).toEqual([true, ['alloc_zone_locked 4 1 0']]);
  program.map(0x4000, BASE);
  program.write(BASE);
  // A refill for a table of each kind and for the folio: blocks of order 0 that cannot be moved, of order 2 that can.
  expect(new Set(lines.splice(0))).toEqual(new Set(['alloc_zone_locked 0 0 1', 'alloc_zone_locked 2 1 1']));
  program.mm.munmap(BASE, 0x4000);
  expect(lines.splice(0)).toEqual(['free 2', 'free_batched', 'free 0', 'free 0']); // the folio, then tables, one by one
  system.pages.drainStock();
  expect(new Set(lines.splice(0))).toEqual(new Set(['pcpu_drain 0 0', 'pcpu_drain 2 1']));
  for (const stop of stops) stop();
});

describe('the huge zero folio', () => {
  test('lives as long as somebody who has mapped it, a child included; then the shrinker takes it', () => {
    const { program, system } = boot({ orders: [9], ramBytes: 32 << 20 });
    const free = system.freeBytes;
    program.map(0x200000, BASE);
    program.read(BASE);
    const child = fork(program);
    program.mm.dispose();
    system.pages.hooks.reclaim(0, Gfp.Kernel);
    expect([system.hugeZeroFolio !== 0, child.read(BASE + 0x1000)]).toEqual([true, 0]);
    child.mm.dispose();
    expect(system.hugeZeroFolio).not.toBe(0);
    system.pages.hooks.reclaim(0, Gfp.Kernel);
    expect([system.hugeZeroFolio, system.freeBytes - free]).toEqual([0, 4096]); // the program's root table
    system.check();
  });
});

describe('pressure', () => {
  test('the pages that large folios have lost come back before an allocation fails', () => {
    const { program, system } = boot({ orders: [4], ramBytes: 32 << 20 });
    const pages = (system.buddy.freePages - system.watermarks.min - 128) & ~15;
    program.map(pages * 4096, BASE);
    program.touch(BASE, pages * 4096);
    for (let i = 0; i < pages; i += 16) program.mm.madvise(BASE + i * 4096, 8 * 4096, Madvise.DontNeed);
    expect(system.deferredSplit.length).toBe(pages / 16);
    const more = BASE + 0x1000_0000;
    program.map(1024 * 4096, more);
    program.mm.madvise(more, 1024 * 4096, Madvise.NoHugePage);
    expect(program.touch(more, 1024 * 4096)).toBe(1024);
    expect(system.thp.stat(4, 'split')).toBeGreaterThan(100);
    expect(system.vmstat.get('allocstall_normal')).toBeGreaterThan(0);
    system.check();
  });
});

describe('split_huge_pages', () => {
  test('splits everything, or a range of a process to an order, or around one page', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x30000, BASE);
    number(program, BASE, 48);
    const mmOf = (pid: number): Program['mm'] | null | undefined => (pid === 2 ? program.mm : pid === 3 ? null : undefined);
    expect(splitHugePages(system, `2,0x${BASE.toString(16)},0x${(BASE + 0x10000).toString(16)},2\n`, mmOf)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 2222222222222222 4444444444444444 4444444444444444');
    expect(splitHugePages(system, `2,0x${(BASE + 0x10000).toString(16)},0x${(BASE + 0x11000).toString(16)},0,4`, mmOf)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 2222222222222222 2222000033333333 4444444444444444');
    expect(splitHugePages(system, '1', mmOf)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 0000000000000000 0000000000000000 0000000000000000');
    expect(numbers(program, BASE, 48)).toEqual(counted(48));
    expect(['', 'x', '2', '2,0x1000', '9,0x1000,0x2000', '3,0x1000,0x2000'].map((text) => splitHugePages(system, text, mmOf))).toEqual([-22, -22, -22, -22, -3, -22]);
    system.check();
  });
});

/** Takes every free block of 2 MiB and more, for the kernel's own use: what is left has no such block. */
function takeWhole(system: MmSystem): void {
  for (const order of [10, 9]) {
    for (const pfn of system.buddy.blocksOf(order)) {
      system.buddy.isolate(pfn);
      system.adoptFrames(pfn, order, MemdescType.Misc);
    }
  }
  system.pages.showFree();
}
