// Collapse: MADV_COLLAPSE, and the thread that does it unasked. What MADV_COLLAPSE answers was asked of Linux 6.18.
import { describe, expect, test } from 'vitest';
import { tracepoints } from '#base';
import { mmCollapseHugePage, mmCollapseHugePageIsolate, mmKhugepagedScanPmd } from '#kernel/mm/events.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { Prot } from '#kernel/mm/mman.ts';
import { reasonCodes } from '#kernel/mm/reasons.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, boot } from '../../support/mm-fixture.ts';
import { picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const MIB = 1 << 20;
const MS = 1_000_000;
/** The first sixteen pages of each 2 MiB. */
const sketch = (program: Program, from: number, len: number): string[] =>
  Array.from({ length: len / (2 * MIB) }, (_, i) => picture(program.mm, from + i * 2 * MIB, from + i * 2 * MIB + 65536).split(' ')[1] ?? 'unmapped');
const files = (system: MmSystem, settings: Record<string, number | string>): void => {
  for (const [name, value] of Object.entries(settings)) expect([name, system.thp.set(`khugepaged/${name}`, `${value}\n`)]).toEqual([name, 0]);
};
/** Memory that was touched before it was advised: single pages, which khugepaged is to look through. */
function advised(program: Program, len: number, touched = len): void {
  program.map(len, BASE);
  program.touch(BASE, touched);
  expect(program.mm.madvise(BASE, len, Madvise.HugePage)).toBe(0);
}

describe('MADV_COLLAPSE', () => {
  test('makes one folio of 512 written pages, with their bytes, exclusive and dirty', () => {
    const { program, system } = boot();
    program.map(4 * MIB, BASE);
    program.touch(BASE, 4 * MIB);
    program.user.setU32(BASE + 5 * 4096 + 8, 0xcafe);
    const free = system.pages.freePagesAndStock;
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(0);
    expect(sketch(program, BASE, 4 * MIB)).toEqual(['9999999999999999', '0000000000000000']);
    expect(program.user.u32(BASE + 5 * 4096 + 8)).toBe(0xcafe);
    expect([program.mm.rss.anonPages, system.pages.freePagesAndStock, system.vmstat.get('thp_collapse_alloc'), program.touch(BASE, 2 * MIB)]).toEqual([1024, free, 1, 0]);
    system.check();
  });
  test('fills holes and zero pages with zeros, which then are resident', () => {
    const { program, system } = boot();
    program.map(2 * MIB, BASE);
    program.write(BASE + 7 * 4096);
    program.read(BASE + 8 * 4096);
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(0);
    expect([program.mm.rss.anonPages, program.user.u32(BASE + 8 * 4096), program.user.u32(BASE + 9 * 4096)]).toEqual([512, 0, 0]);
    system.check();
  });
  test('answers as Linux does', () => {
    const { program } = boot();
    const collapse = (from: number, len: number): number => program.mm.madvise(BASE + from, len, Madvise.Collapse);
    program.map(4 * MIB, BASE);
    expect(['untouched', collapse(0, 4 * MIB)]).toEqual(['untouched', -22]);
    program.write(BASE + 3 * MIB);
    expect(['an empty window ends it', collapse(0, 4 * MIB)]).toEqual(['an empty window ends it', -22]);
    expect(sketch(program, BASE, 4 * MIB)).toEqual(['................', '................']);
    expect(['the touched window', collapse(2 * MIB, 2 * MIB)]).toEqual(['the touched window', 0]);
    expect(['once more', collapse(2 * MIB, 2 * MIB)]).toEqual(['once more', 0]);
    expect(['inside one window', collapse(MIB, MIB / 2)]).toEqual(['inside one window', -22]);
    expect(['no whole window, but a boundary', collapse(MIB, 2 * MIB)]).toEqual(['no whole window, but a boundary', 0]);
    expect(['nothing', collapse(0, 0)]).toEqual(['nothing', 0]);
    program.map(MIB, BASE + 8 * MIB);
    program.touch(BASE + 8 * MIB, MIB);
    expect(['a VMA without a window', collapse(8 * MIB, MIB)]).toEqual(['a VMA without a window', -22]);
    expect(['unmapped', collapse(16 * MIB, 4096)]).toEqual(['unmapped', -12]);
    program.mm.madvise(BASE + 2 * MIB, 2 * MIB, Madvise.NoHugePage);
    expect(['advised against', collapse(2 * MIB, 2 * MIB)]).toEqual(['advised against', -22]);
  });
  test('takes no notice of rights, of the settings, or of a child that shares the pages', () => {
    const { program, system } = boot();
    system.thp.set('enabled', 'never');
    program.map(6 * MIB, BASE);
    program.touch(BASE, 6 * MIB);
    program.mm.mprotect(BASE + 2 * MIB, 2 * MIB, Prot.Read);
    program.mm.mprotect(BASE + 4 * MIB, 2 * MIB, 0);
    const child = new Program(dupMm(program.mm)!);
    expect([0, 2, 4].map((at) => program.mm.madvise(BASE + at * MIB, 2 * MIB, Madvise.Collapse))).toEqual([0, 0, 0]);
    expect([sketch(program, BASE, 6 * MIB), sketch(child, BASE, 6 * MIB)]).toEqual([Array(3).fill('9'.repeat(16)), Array(3).fill('0'.repeat(16))]);
    system.check();
    child.mm.dispose();
    system.check();
  });
  test('ENOMEM when no 2 MiB are free; EAGAIN when somebody holds a page; nothing has changed then', () => {
    const { program, system } = boot();
    program.map(2 * MIB, BASE);
    program.touch(BASE, 2 * MIB);
    system.allocationsUntilFailure = 0;
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(-12);
    expect(system.vmstat.get('thp_collapse_alloc_failed')).toBe(1);
    system.allocationsUntilFailure = Infinity;
    const held = system.folios.folioOf(program.frame(BASE) as never);
    system.folios.get(held);
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(-11);
    expect(sketch(program, BASE, 2 * MIB)).toEqual(['0000000000000000']);
    system.putFolio(held);
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(0);
    system.check();
  });
  test('pages of larger folios are collapsed like single ones, folded runs too', () => {
    const { program, system } = boot({ orders: [4, 2] });
    program.map(2 * MIB, BASE);
    program.touch(BASE, 2 * MIB);
    expect(sketch(program, BASE, 2 * MIB)).toEqual(['4444444444444444']);
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(0);
    expect([sketch(program, BASE, 2 * MIB), system.thp.stat(4, 'nr_anon'), system.thp.stat(9, 'nr_anon')]).toEqual([['9999999999999999'], 0, 1]);
    system.check();
  });
});

describe('khugepaged', () => {
  test('looks up after its sleep, scans pages_to_scan entries, and sleeps again', () => {
    const { machine, program, system } = boot({ ramBytes: 64 * MIB });
    const { khugepaged } = system;
    expect(khugepaged.deadline).toBe(Infinity);
    files(system, { pages_to_scan: 1024 });
    system.thp.khugepaged.wantsWake = false;
    advised(program, 8 * MIB);
    expect(khugepaged.deadline).toBeGreaterThan(9_999 * MS);
    machine.charge(khugepaged.deadline - machine.clockCycles);
    const began = machine.clockCycles;
    khugepaged.run();
    // A collapse ends one look at the address space: each costs one entry of the round on top of its 512.
    expect(sketch(program, BASE, 8 * MIB)).toEqual(['9999999999999999', '9999999999999999', '0000000000000000', '0000000000000000']);
    expect([khugepaged.deadline, khugepaged.cycles]).toEqual([machine.clockCycles + 10_000 * MS, machine.clockCycles - began]);
    khugepaged.run();
    khugepaged.run();
    expect(sketch(program, BASE, 8 * MIB)).toEqual(Array(4).fill('9'.repeat(16)));
    expect([system.thp.get('khugepaged/pages_collapsed'), system.thp.get('khugepaged/full_scans')]).toEqual(['4\n', '1\n']);
    system.check();
    program.mm.dispose();
    expect(khugepaged.deadline).toBe(Infinity);
  });
  test('a written sleep wakes it at once', () => {
    const { program, system } = boot();
    advised(program, 2 * MIB);
    files(system, { scan_sleep_millisecs: 5000 });
    expect(system.khugepaged.deadline).toBe(0);
    system.khugepaged.run();
    expect(system.khugepaged.deadline).toBe(system.machine.clockCycles + 5000 * MS);
  });
  test('keeps to max_ptes_none, max_ptes_shared, and to pages that were used', () => {
    const { program, system } = boot();
    const status: number[] = [];
    const stop = mmKhugepagedScanPmd.listen((_, values) => { status.push(values[4]!); });
    advised(program, 2 * MIB, 2 * MIB - 4096);
    files(system, { max_ptes_none: 0 });
    system.khugepaged.run();
    files(system, { max_ptes_none: 1, max_ptes_shared: 10 });
    const child = dupMm(program.mm)!;
    for (let i = 0; i < 501; i++) child.madvise(BASE + i * 4096, 4096, Madvise.DontNeed);
    files(system, { max_ptes_shared: 9 });
    system.khugepaged.run();
    child.dispose();
    program.mm.madvise(BASE, 2 * MIB, Madvise.Free);
    system.khugepaged.run();
    program.write(BASE);
    system.khugepaged.run();
    stop();
    expect(status.filter((s) => s !== 3)).toEqual([5, 7, 5, 11, 1]); // exceed_none_pte, exceed_shared_pte, the child's holes, lack_referenced_page, succeeded
    expect([system.vmstat.get('thp_scan_exceed_none_pte'), system.vmstat.get('thp_scan_exceed_share_pte')]).toEqual([2, 1]);
    system.check();
  });
  test('without memory it sleeps once a round for alloc_sleep_millisecs, then goes on', () => {
    const { machine, program, system } = boot({ ramBytes: 64 * MIB });
    advised(program, 4 * MIB);
    system.allocationsUntilFailure = 0;
    system.khugepaged.run();
    expect(system.khugepaged.deadline).toBe(machine.clockCycles + 60_000 * MS);
    system.allocationsUntilFailure = Infinity;
    system.khugepaged.run();
    expect(system.khugepaged.deadline).toBe(machine.clockCycles + 10_000 * MS);
    expect(sketch(program, BASE, 4 * MIB)).toEqual(['0000000000000000', '9999999999999999']);
  });
  test('leaves alone what may not be large, and follows children', () => {
    const { program, system } = boot();
    program.map(2 * MIB, BASE);
    program.touch(BASE, 2 * MIB);
    expect(system.khugepaged.has(program.mm)).toBe(false);
    program.mm.madvise(BASE, 2 * MIB, Madvise.HugePage);
    const child = dupMm(program.mm)!;
    expect([system.khugepaged.has(program.mm), system.khugepaged.has(child)]).toEqual([true, true]);
    child.dispose();
    expect(system.khugepaged.has(child)).toBe(false);
    program.mm.thpDisabled = true;
    system.khugepaged.run();
    program.mm.thpDisabled = false;
    system.thp.set('enabled', 'never');
    system.khugepaged.run();
    expect(sketch(program, BASE, 2 * MIB)).toEqual(['0000000000000000']);
    program.mm.madvise(BASE, 2 * MIB, Madvise.NoHugePage);
    system.thp.set('enabled', 'always');
    system.khugepaged.run();
    expect(sketch(program, BASE, 2 * MIB)).toEqual(['0000000000000000']);
  });
  test('any_order collapses to smaller sizes that are enabled, where half of a window has been used', () => {
    const { program, system } = boot();
    files(system, { max_ptes_none: 511 });
    program.map(2 * MIB, BASE);
    program.touch(BASE, 65536);
    program.touch(BASE + 65536, 8 * 4096);
    program.touch(BASE + 2 * 65536, 7 * 4096);
    for (const name of ['enabled', 'hugepages-2048kB/enabled']) system.thp.set(name, 'never');
    system.thp.set('hugepages-64kB/enabled', 'madvise');
    files(system, { any_order: 1 });
    program.mm.madvise(BASE, 2 * MIB, Madvise.HugePage);
    system.khugepaged.run();
    expect(picture(program.mm, BASE, BASE + 3 * 65536)).toBe('0x1000000000 4444444444444444 4444444444444444 0000000.........');
    expect([system.khugepaged.smallerCollapsed, system.thp.get('khugepaged/pages_collapsed')]).toEqual([2, '0\n']);
    system.khugepaged.run();
    expect(system.khugepaged.smallerCollapsed).toBe(2);
    system.check();
  });
  test('any_order scales its limits to the size: max_ptes_none of 511 lets all but one page be missing, 255 fewer than half', () => {
    for (const [maxPtesNone, order, there, collapses] of [[511, 4, 8, true], [255, 4, 9, true], [255, 4, 8, false], [255, 6, 33, true], [255, 6, 32, false], [0, 2, 4, true], [0, 2, 3, false]] as const) {
      const { program, system } = boot();
      program.map(2 * MIB, BASE);
      program.touch(BASE, there * 4096);
      for (const name of ['enabled', 'hugepages-2048kB/enabled']) system.thp.set(name, 'never');
      system.thp.set(`hugepages-${4 << order}kB/enabled`, 'madvise');
      files(system, { any_order: 1, max_ptes_none: maxPtesNone });
      program.mm.madvise(BASE, 2 * MIB, Madvise.HugePage);
      system.khugepaged.run();
      expect([maxPtesNone, order, there, system.khugepaged.smallerCollapsed]).toEqual([maxPtesNone, order, there, collapses ? 1 : 0]);
    }
  });
  test('its files take what Linux takes, and read as Linux prints them', () => {
    const { thp } = boot().system;
    const all = ['alloc_sleep_millisecs', 'defrag', 'full_scans', 'max_ptes_none', 'max_ptes_shared', 'max_ptes_swap', 'pages_collapsed', 'pages_to_scan', 'scan_sleep_millisecs'];
    expect(all.map((name) => thp.get(`khugepaged/${name}`))).toEqual(['60000\n', '1\n', '0\n', '511\n', '256\n', '64\n', '0\n', '4096\n', '10000\n']);
    const set = (name: string, text: string): number => thp.set(`khugepaged/${name}`, text);
    expect([set('pages_to_scan', '0'), set('max_ptes_none', '512'), set('max_ptes_none', '511\n'), set('defrag', '2'), set('scan_sleep_millisecs', '-1'),
      set('scan_sleep_millisecs', '4294967296'), set('scan_sleep_millisecs', ''), set('full_scans', '1'), set('nothing', '1')]).toEqual([-22, -22, 0, -22, -22, -22, -22, -13, -2]);
  });
  test('tells what it did by Linux\'s events', () => {
    const { program, system } = boot();
    advised(program, 2 * MIB, MIB);
    const first = program.frame(BASE);
    const seen: string[] = [];
    const stops = [mmKhugepagedScanPmd, mmCollapseHugePage, mmCollapseHugePageIsolate].map((point) => point.listen((p, values) => seen.push(`${p.system}:${p.name}: ${values.join(' ')}`)));
    system.khugepaged.run();
    for (const stop of stops) stop();
    expect(seen).toEqual([
      `huge_memory:mm_collapse_huge_page_isolate: ${first} 256 256 1`,
      `huge_memory:mm_collapse_huge_page: ${program.mm.id} 1 1`,
      `huge_memory:mm_khugepaged_scan_pmd: ${program.mm.id} ${first} 256 256 1 0`,
    ]);
    expect(system.folios.test(system.folios.folioOf(program.frame(BASE) as never), FolioFlag.SwapBacked)).toBe(true);
  });
});

describe('khugepaged beside pressure', () => {
  /** Four times over: splitting by accessed bits, then khugepaged. One page of the first 2 MiB is used all the time, nothing of the second. */
  function contest(needsReferenced: number, guard: number): Record<string, number> {
    const { machine, program, system } = boot({ ramBytes: 64 * MIB, params: (p) => { Object.assign(p.vm, { svnapot_fold: 0, access_split_unmerge: 1, collapse_needs_referenced: needsReferenced, collapse_guard: guard }); } });
    program.map(4 * MIB, BASE);
    for (const at of [BASE, BASE + 2 * MIB]) program.user.setU32(at, 7);
    program.mm.madvise(BASE, 4 * MIB, Madvise.HugePage);
    system.khugepaged.run();
    expect(sketch(program, BASE, 4 * MIB)).toEqual(['9999999999999999', '9999999999999999']);
    for (let round = 0; round < 4; round++) {
      system.accessSplit.watch();
      program.read(BASE);
      machine.charge(MS);
      system.accessSplit.judge();
      machine.charge(MS);
      system.khugepaged.run();
      system.khugepaged.run();
    }
    program.mm.dispose();
    return { ...system.collapseHistory.counts };
  }
  test('undoes each of its splits where a page was used, and where none was if the rule is dropped; with a guard only after its time', () => {
    expect(contest(1, 0)).toEqual({ split_after_collapse: 4 + 1, collapse_after_split: 4, guarded: 0 });
    expect(contest(0, 0)).toEqual({ split_after_collapse: 4 + 4, collapse_after_split: 4 + 4, guarded: 0 });
    const guarded = contest(1, 1000);
    expect([guarded['split_after_collapse'], guarded['collapse_after_split']]).toEqual([2, 0]);
    expect(guarded['guarded']).toBeGreaterThan(0);
    expect(contest(1, 1)['collapse_after_split']).toBeGreaterThan(0);
  });
  test('tells what it left alone, and why; a collapse that was asked for is nobody\'s contest', () => {
    const { program, system } = boot({ params: (p) => { Object.assign(p.vm, { svnapot_fold: 0, collapse_guard: 1000 }); } });
    const told: unknown[] = [];
    const stop = tracepoints().get('collapse_refused')!.listen((_, [mm, address, pages, reason]) => told.push([mm, address, pages, reasonCodes[reason!]]));
    advised(program, 2 * MIB);
    program.user.setU32(BASE + 8192, 7);
    program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse);
    program.mm.madvise(BASE, 4096, Madvise.DontNeed);
    expect(system.deferredSplit.shrink(1)).toBe(1);
    system.khugepaged.run();
    expect([told, system.collapseHistory.counts]).toEqual([[[program.mm.id, BASE, 512, 'collapse-guarded']], { split_after_collapse: 0, collapse_after_split: 0, guarded: 1 }]);
    expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Collapse)).toBe(0);
    expect(system.collapseHistory.counts.collapse_after_split).toBe(0);
    stop();
  });
});

test('MADV_COLD makes pages look unused, so that khugepaged leaves them alone until they are used again', () => {
  const { program, system } = boot();
  advised(program, 2 * MIB);
  expect(program.mm.madvise(BASE, 2 * MIB, Madvise.Cold)).toBe(0);
  system.khugepaged.run();
  expect(sketch(program, BASE, 2 * MIB)).toEqual(['0000000000000000']);
  program.read(BASE);
  system.khugepaged.run();
  expect(sketch(program, BASE, 2 * MIB)).toEqual(['9999999999999999']);
  system.check();
});
