// Splitting by accessed bits: what is seen of single pages and of merged ones, what is split, what comes back, who begins a pass.
import { describe, expect, test } from 'vitest';
import { asPfn, tracepoints } from '#base';
import { dupMm } from '#kernel/mm/fork.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { reasonCodes } from '#kernel/mm/reasons.ts';
import { Gfp } from '#kernel/mm/system.ts';
import { GfpFlag } from '#kernel/mm/gfp.ts';
import { Program, boot } from '../../support/mm-fixture.ts';
import type { Options } from '../../support/mm-fixture.ts';
import { entryPicture, picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const FOLIO = 0x10000;
const page = (n: number): number => BASE + n * 4096;

/** A sparse program: of each of `nr` folios of 64 kB its first page holds something. */
function sparse(nr: number, options: Options = {}): ReturnType<typeof boot> {
  const world = boot({ orders: [4], ramBytes: 32 << 20, ...options });
  world.program.map(nr * FOLIO, BASE);
  for (let i = 0; i < nr; i++) world.program.user.setU32(BASE + i * FOLIO, 1000 + i);
  return world;
}
const unfolded: Options = { params: (p) => { p.vm.svnapot_fold = 0; } };

describe('a pass', () => {
  test('splits folios of which few pages were used meanwhile, and gives up their pages of zeros', () => {
    const { program, system } = sparse(8, unfolded);
    const { accessSplit } = system;
    accessSplit.watch();
    for (let i = 0; i < 4; i++) program.user.setU32(BASE + i * FOLIO + 4, 5); // one page of sixteen
    program.touch(BASE + 4 * FOLIO, FOLIO); // all
    program.touch(BASE + 5 * FOLIO, 4 * 4096); // a quarter, which is not less than a quarter
    program.touch(BASE + 6 * FOLIO, 3 * 4096);
    expect(accessSplit.judge()).toBe(4 * 15 + 15 + 15); // and the one that nobody touched
    expect(accessSplit.counts).toEqual({ passes: 1, folios_scanned: 8, folios_sparse: 6, folios_split: 6, pages_used: 4 + 16 + 4 + 3, pages_merged: 0, pages_freed: 90 });
    expect(picture(program.mm)).toBe(`0x1000000000 ${[0, 1, 2, 3].map(() => '0zzzzzzzzzzzzzzz').join(' ')} 4444444444444444 4444444444444444 0zzzzzzzzzzzzzzz 0zzzzzzzzzzzzzzz`);
    expect(Array.from({ length: 8 }, (_, i) => program.user.u32(BASE + i * FOLIO))).toEqual([1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007]);
    system.check();
  });
  test('nothing can be seen of a run that Svnapot folds; unmerged for the interval, its pages can, and what stays is folded again', () => {
    for (const [unmerge, split, merged] of [[0, 0, 64], [1, 3, 0]] as const) {
      const { program, system } = sparse(4, { params: (p) => { p.vm.access_split_unmerge = unmerge; } });
      expect(entryPicture(program.mm, BASE, BASE + 4 * 4096)).toBe('0x1000000000 NNNN');
      system.accessSplit.watch();
      expect(entryPicture(program.mm, BASE, BASE + 4 * 4096)).toBe(`0x1000000000 ${unmerge === 1 ? 'wwww' : 'NNNN'}`);
      for (let i = 0; i < 3; i++) program.write(BASE + i * FOLIO);
      program.touch(BASE + 3 * FOLIO, FOLIO);
      expect(system.accessSplit.judge()).toBe(split * 15);
      expect([system.accessSplit.counts.folios_split, system.accessSplit.counts.pages_merged, system.accessSplit.counts.pages_used]).toEqual([split, merged, unmerge === 1 ? 19 : 64]);
      expect(entryPicture(program.mm, BASE + 3 * FOLIO, BASE + 3 * FOLIO + 4 * 4096)).toBe('0x1000030000 NNNN');
      system.check();
    }
  });
  test('a run that nobody used at all shows even when it is merged', () => {
    const { system } = sparse(2);
    system.accessSplit.watch();
    expect([system.accessSplit.judge(), system.accessSplit.counts.folios_split]).toEqual([30, 2]);
  });
  test('a 2 MiB entry merges 512 pages', () => {
    for (const [unmerge, freed] of [[0, 0], [1, 511]] as const) {
      const { program, system } = boot({ orders: [9], ramBytes: 32 << 20, params: (p) => { p.vm.access_split_unmerge = unmerge; } });
      program.map(0x200000, BASE);
      program.user.setU32(BASE, 7);
      system.accessSplit.watch();
      program.write(BASE);
      expect([system.accessSplit.judge(), system.accessSplit.counts.pages_merged, program.user.u32(BASE)]).toEqual([freed, unmerge === 1 ? 0 : 512, 7]);
      system.check();
    }
  });
  test('what is unused and holds something stays: without swap there is nowhere to put it', () => {
    const { program, system } = sparse(1, unfolded);
    for (let i = 0; i < 8; i++) program.user.setU32(page(i), 1000 + i);
    system.accessSplit.watch();
    expect(system.accessSplit.judge()).toBe(8);
    expect([picture(program.mm), program.user.u32(page(7))]).toEqual(['0x1000000000 00000000zzzzzzzz', 1007]);
  });
  test('locked folios stay, and so do those that somebody holds', () => {
    const { program, system } = sparse(2, unfolded);
    program.mm.mlock(BASE, FOLIO);
    const held = system.folios.folioOf(asPfn(program.frame(BASE + FOLIO)));
    system.folios.get(held);
    system.accessSplit.watch();
    expect([system.accessSplit.judge(), system.accessSplit.counts.folios_sparse, system.accessSplit.counts.folios_split]).toEqual([0, 1, 0]);
    system.putFolio(held);
  });
  test('a use by any process counts, and the threshold is a setting', () => {
    for (const [minUsed, split] of [[25, 0], [26, 1], [0, 0]] as const) {
      const { program, system } = sparse(1, { params: (p) => { Object.assign(p.vm, { svnapot_fold: 0, access_split_min_used: minUsed }); } });
      const child = new Program(dupMm(program.mm)!);
      child.mm.activate();
      system.accessSplit.watch();
      program.read(page(0));
      for (const i of [0, 5, 6, 7]) child.read(page(i));
      system.accessSplit.judge();
      expect([system.accessSplit.counts.pages_used, system.accessSplit.counts.folios_split]).toEqual([4, split]);
      system.check();
    }
  });
  test('every address space is fenced before the interval begins, and told the reason when it ends', () => {
    const { program, system, machine } = sparse(1);
    const told: unknown[] = [];
    const stop = tracepoints().get('mapping_changed')!.listen((_, [mm, address, pages, reason]) => told.push([mm, address, pages, reasonCodes[reason!]]));
    machine.fences.length = 0;
    system.accessSplit.watch();
    expect(machine.fences.map(({ asid }) => asid)).toContain(program.mm.asid);
    system.accessSplit.judge();
    stop();
    expect(told).toEqual([[program.mm.id, BASE, 16, 'split-unused']]);
  });
});

describe('who begins a pass', () => {
  const MS = 1_000_000;
  test('kswapd, where it is enabled; the pass ends after its interval, whether memory is still short or not', () => {
    for (const enabled of [0, 1]) {
      const { program, system, machine } = sparse(8, { params: (p) => { Object.assign(p.vm, { svnapot_fold: 0, access_split: enabled, access_split_interval: 200 }); } });
      Object.assign(system.watermarks, { high: system.buddy.freePages + 1 });
      system.pages.hooks.wakeKswapd(0, Gfp.User | GfpFlag.KswapdReclaim);
      system.runDaemons();
      expect(Number.isFinite(system.accessSplit.deadline)).toBe(enabled === 1);
      if (enabled === 0) continue;
      const begun = system.accessSplit.deadline - 200 * MS;
      expect(begun).toBeLessThanOrEqual(machine.clockCycles);
      expect(system.daemonDeadline).toBe(system.accessSplit.deadline);
      program.write(BASE);
      machine.charge(200 * MS);
      system.runDaemons();
      expect([system.accessSplit.counts.pages_freed, system.accessSplit.deadline]).toEqual([8 * 15, Infinity]);
      system.check();
    }
  });
  test('memory that large folios hold for nothing comes back before an allocation fails', () => {
    for (const enabled of [0, 1]) {
      const { program, system, machine } = boot({ orders: [4], ramBytes: 32 << 20, params: (p) => { Object.assign(p.vm, { access_split: enabled, access_split_interval: 1, access_split_unmerge: 1 }); } });
      const folios = Math.floor((system.buddy.freePages - system.watermarks.min - 128) / 16);
      program.map(folios * FOLIO, BASE);
      program.touch(BASE, folios * FOLIO, { stride: FOLIO });
      const more = BASE + 0x1000_0000;
      program.map(2048 * 4096, more, Prot.Read | Prot.Write, MapFlag.Private);
      program.mm.madvise(more, 2048 * 4096, 15);
      let touched = 0;
      while (touched < 2048 && program.write(more + touched * 4096) === 0) {
        touched++;
        machine.charge(MS);
        system.runDaemons();
      }
      expect(touched === 2048).toBe(enabled === 1);
      system.check();
    }
  });
});
