// From a folio back to its entries, and splitting it: the reverse map against a scan of every table, the pieces of a split, who may not be
// split, what is kept of every page, and what waits on the deferred split queue.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import type { Folio } from '#base';
import { PteSoft, ptePfn } from '#mmu';
import { dupMm } from '#kernel/mm/fork.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MapFlag, MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { mappingsOf } from '#kernel/mm/rmap-walk.ts';
import { splitFolio } from '#kernel/mm/split.ts';
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
/** Splits as a caller does who found the folio: with a reference of its own. */
function split(system: MmSystem, folio: Folio, order = 0, at: number | null = null): number {
  system.folios.get(folio);
  const result = splitFolio(system, folio, order, at === null ? null : asPfn(at));
  system.putFolio(system.folios.folioOf(asPfn(result === 0 && at !== null ? at : folio)));
  return result;
}
/** Fills every page with its number, so that moving and splitting can be seen to lose nothing. */
function number(program: Program, start: number, pages: number): void {
  for (let i = 0; i < pages; i++) program.user.setU32(start + i * 4096, 1000 + i);
}
const numbers = (program: Program, start: number, pages: number): (number | null)[] => Array.from({ length: pages }, (_, i) => program.user.u32(start + i * 4096));
const counted = (pages: number): number[] => Array.from({ length: pages }, (_, i) => 1000 + i);

/** Every page that any table of any address space maps: 'mm:vpn' by folio, found without rmap. */
function bruteForce(system: MmSystem): Map<Folio, Set<string>> {
  const found = new Map<Folio, Set<string>>();
  for (const mm of system.mms) {
    for (const vma of mm.vmas) {
      for (let vpn = vma.start / 4096; vpn < vma.end / 4096; vpn++) {
        const leaf = mm.tables.pmdLeaf(vpn);
        const low = leaf !== 0 ? leaf : mm.tables.get(vpn);
        if (low === 0 || (low & PteSoft.Special) !== 0) continue;
        const folio = system.folios.folioOf(asPfn(ptePfn(low) + (leaf !== 0 ? vpn & 511 : 0)));
        if (!found.has(folio)) found.set(folio, new Set());
        found.get(folio)!.add(`${mm.id}:${vpn}`);
      }
    }
  }
  return found;
}
function walked(system: MmSystem, folio: Folio): Set<string> {
  const found = new Set<string>();
  for (const { mm, vpn, nr } of mappingsOf(system, folio)) for (let i = 0; i < nr; i++) found.add(`${mm.id}:${vpn + i}`);
  return found;
}

describe('the reverse map', () => {
  test('a page is found in parent, child and grandchild, a copy only where it was made', () => {
    const { program, system } = boot();
    program.map(0x1000, BASE);
    program.write(BASE);
    const page = folioAt(system, program, BASE);
    const child = fork(program);
    const grandchild = fork(child);
    expect(mappingsOf(system, page).map(({ mm }) => mm.id)).toEqual([program.mm.id, child.mm.id, grandchild.mm.id]);
    child.write(BASE);
    expect(mappingsOf(system, page).map(({ mm }) => mm.id)).toEqual([program.mm.id, grandchild.mm.id]);
    const copy = folioAt(system, child, BASE);
    expect(mappingsOf(system, copy).map(({ mm }) => mm.id)).toEqual([child.mm.id]);
    system.check();
  });
  test('a long line of forks reuses anon_vmas that nobody is active on, so that the chain stays short', () => {
    const { program, system } = boot();
    program.map(0x1000, BASE);
    program.write(BASE);
    let last = program;
    for (let i = 0; i < 20; i++) {
      const child = fork(last);
      child.write(BASE);
      if (last !== program) last.mm.dispose();
      last = child;
      system.check();
    }
    expect(last.mm.findVma(BASE)!.anonVmaChain.length).toBeLessThanOrEqual(4);
    expect([...system.anonVmas.all].length).toBeLessThanOrEqual(4);
  });
  test('after any sequence of fork, write, unmap, move and exit it finds exactly what a scan of all tables finds', () => {
    const PAGES = 96;
    const step = fc.record({ op: fc.constantFrom('write', 'write', 'fork', 'munmap', 'mremap', 'exit', 'split', 'protect', 'shrink'), who: fc.nat(5), page: fc.nat(PAGES - 1), len: fc.integer({ min: 1, max: 40 }), to: fc.nat(PAGES - 1), order: fc.constantFrom(0, 0, 2, 3) });
    fc.assert(fc.property(fc.constantFrom([] as number[], [2], [4], [2, 3, 4, 5]), fc.array(step, { minLength: 5, maxLength: 40 }), (orders, steps) => {
      const { program, system } = boot({ orders });
      const free = system.pages.freePagesAndStock;
      program.map(PAGES * 4096, BASE);
      const programs = [program];
      for (const { op, who, page, len, to, order } of steps) {
        const p = programs[who % programs.length]!;
        const at = BASE + page * 4096;
        const bytes = Math.min(len, PAGES - page) * 4096;
        if (op === 'write') for (let va = at; va < at + bytes; va += 4096) p.write(va);
        else if (op === 'fork' && programs.length < 6) programs.push(fork(p));
        else if (op === 'munmap') p.mm.munmap(at, bytes);
        else if (op === 'mremap') p.mm.mremap(at, bytes, bytes, MremapFlag.MayMove | MremapFlag.Fixed, BASE + to * 4096);
        else if (op === 'protect') p.mm.mprotect(at, bytes, Prot.Read);
        else if (op === 'exit' && programs.length > 1) programs.splice(who % programs.length, 1)[0]!.mm.dispose();
        else if (op === 'shrink') system.deferredSplit.shrink(10);
        else if (op === 'split' && p.frame(at) !== 0 && p.frame(at) !== system.zeroPage) {
          const folio = folioAt(system, p, at);
          if (system.folios.order(folio) > order) expect(split(system, folio, order, len % 2 === 0 ? p.frame(at) : null)).toBe(0);
        }
        const scan = bruteForce(system);
        for (const [folio, places] of scan) expect(walked(system, folio)).toEqual(places);
        system.check();
      }
      for (const p of programs) p.mm.dispose();
      expect([...system.anonVmas.all]).toEqual([]);
      expect(system.deferredSplit.length).toBe(0);
      expect(system.pages.freePagesAndStock).toBeGreaterThanOrEqual(free);
    }), { numRuns: 40 });
  });
});

describe('splitting a folio', () => {
  test('to single pages: same frames, same bytes, same rights', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    number(program, BASE, 16);
    const folio = folioAt(system, program, BASE);
    const frames = Array.from({ length: 16 }, (_, i) => program.frame(BASE + i * 4096));
    expect(entryPicture(program.mm)).toBe('0x1000000000 NNNNNNNNNNNNNNNN');
    expect(split(system, folio)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 0000000000000000');
    expect(entryPicture(program.mm)).toBe('0x1000000000 wwwwwwwwwwwwwwww');
    expect(Array.from({ length: 16 }, (_, i) => program.frame(BASE + i * 4096))).toEqual(frames);
    expect(numbers(program, BASE, 16)).toEqual(counted(16));
    expect([system.thp.stat(4, 'split'), system.thp.stat(4, 'nr_anon'), system.vmstat.get('thp_split_page')]).toEqual([1, 0, 0]);
    system.check();
  });
  test('to order 2 all over, or only along the way to one page', () => {
    for (const [at, drawn] of [[null, '2222222222222222'], [5, '2222222233333333'], [15, '3333333322222222']] as const) {
      const { program, system } = boot({ orders: [4] });
      program.map(0x10000, BASE);
      number(program, BASE, 16);
      const folio = folioAt(system, program, BASE);
      expect(split(system, folio, 2, at === null ? null : folio + at)).toBe(0);
      expect(picture(program.mm)).toBe(`0x1000000000 ${drawn}`);
      expect(numbers(program, BASE, 16)).toEqual(counted(16));
      system.check();
    }
  });
  test('to one single page: anonymous folios of order 1 do not exist, so its three neighbours are single, too', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    number(program, BASE, 16);
    const folio = folioAt(system, program, BASE);
    expect(split(system, folio, 0, folio + 6)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 2222000033333333');
    expect([system.thp.stat(4, 'split'), system.thp.stat(3, 'nr_anon'), system.thp.stat(2, 'nr_anon')]).toEqual([1, 1, 1]);
    expect(split(system, folioAt(system, program, BASE), 1)).toBe(-22);
    system.check();
  });
  test('a 2 MiB mapping becomes a table; pieces of 64 kB and more are folded in it', () => {
    const { program, system } = boot({ orders: [9], ramBytes: 32 << 20 });
    program.map(0x200000, BASE);
    number(program, BASE, 512);
    const before = system.vmstat.get('nr_anon_pages');
    expect(entryPicture(program.mm, BASE, BASE + 0x10000)).toBe('0x1000000000 MMMMMMMMMMMMMMMM');
    expect(split(system, folioAt(system, program, BASE), 4)).toBe(0);
    expect(entryPicture(program.mm, BASE, BASE + 0x10000)).toBe('0x1000000000 NNNNNNNNNNNNNNNN');
    expect(numbers(program, BASE, 512)).toEqual(counted(512));
    expect([system.vmstat.get('thp_split_page'), system.vmstat.get('thp_split_pmd'), system.thp.stat(4, 'nr_anon'), system.vmstat.get('nr_anon_pages') - before]).toEqual([1, 1, 32, 0]);
    system.check();
  });
  test('everybody who maps it sees the pieces, and what was exclusive stays so', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    number(program, BASE, 16);
    const child = fork(program);
    child.mm.munmap(BASE + 0x8000, 0x8000);
    program.write(BASE); // a copy: the first page leaves the folio
    expect(split(system, folioAt(system, child, BASE), 2)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 0222222222222222');
    expect(picture(child.mm)).toBe('0x1000000000 22222222');
    expect([numbers(program, BASE, 16), numbers(child, BASE, 8)]).toEqual([counted(16), counted(8)]);
    program.write(BASE + 0xf000); // the child has let go of these four: they are the parent's own
    expect(system.vmstat.get('pgreuse')).toBe(1);
    system.check();
  });
  test('pages that nobody maps any more are free afterwards; pages of zeros give way to the zero page', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.user.setU32(BASE, 7);
    program.user.setU32(BASE + 0x5000, 8);
    const folio = folioAt(system, program, BASE);
    program.mm.munmap(BASE + 0x8000, 0x8000);
    const free = system.pages.freePagesAndStock;
    expect(split(system, folio)).toBe(0);
    expect(picture(program.mm)).toBe('0x1000000000 0zzzz0zz');
    expect([system.pages.freePagesAndStock - free, program.mm.rss.anonPages]).toEqual([14, 2]);
    expect([program.user.u32(BASE), program.user.u32(BASE + 0x1000), program.user.u32(BASE + 0x5000)]).toEqual([7, 0, 8]);
    program.user.setU32(BASE + 0x1000, 9);
    expect([program.user.u32(BASE + 0x1000), program.user.u32(BASE + 0x2000)]).toEqual([9, 0]);
    system.check();
  });
  test('a first page that is mapped no more does not make its pieces exclusive', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    number(program, BASE, 16);
    program.mm.munmap(BASE, 0x1000); // exclusive when it went
    const child = fork(program);
    expect(split(system, folioAt(system, child, BASE + 0x1000), 2)).toBe(0);
    system.check();
    program.user.setU32(BASE + 0x4000, 5);
    expect(child.user.u32(BASE + 0x4000)).toBe(1004);
  });
  test('who holds it besides keeps it whole', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    const folio = folioAt(system, program, BASE);
    system.folios.get(folio);
    expect(split(system, folio)).toBe(-11);
    expect([system.thp.stat(4, 'split_failed'), picture(program.mm)]).toEqual([1, '0x1000000000 4444444444444444']);
    system.putFolio(folio);
    expect(split(system, folio)).toBe(0);
  });
  test('every address space is fenced before its entries come back', () => {
    const { program, system, machine } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    number(program, BASE, 16);
    const child = fork(program);
    machine.fences.length = 0;
    split(system, folioAt(system, child, BASE));
    expect(new Set(machine.fences.map(({ asid }) => asid))).toEqual(new Set([program.mm.asid, child.mm.asid]));
    expect(machine.fences.filter(({ asid }) => asid === program.mm.asid).map(({ vpn }) => vpn)).toEqual(Array.from({ length: 16 }, (_, i) => BASE / 4096 + i));
  });
  test('locked pages stay locked, and are counted as such until they go', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE, Prot.Read | Prot.Write, MapFlag.Locked);
    expect(system.vmstat.get('nr_mlock')).toBe(16);
    expect(split(system, folioAt(system, program, BASE))).toBe(0);
    expect([system.vmstat.get('nr_mlock'), picture(program.mm)]).toEqual([16, '0x1000000000 0000000000000000']);
    program.mm.munmap(BASE, 0x4000);
    expect(system.vmstat.get('nr_mlock')).toBe(12);
    program.mm.munlock(BASE + 0x4000, 0xc000);
    expect(system.vmstat.get('nr_mlock')).toBe(0);
    system.check();
  });
});

describe('the deferred split queue', () => {
  test('unmapping half queues the folio once; the shrinker frees that half and nothing else', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x20000, BASE);
    number(program, BASE, 32);
    program.mm.munmap(BASE + 0x8000, 0x4000);
    program.mm.munmap(BASE + 0xc000, 0x4000);
    const gauges = (): number[] => [system.thp.stat(4, 'split_deferred'), system.thp.stat(4, 'nr_anon_partially_mapped'), system.deferredSplit.length];
    expect(gauges()).toEqual([1, 1, 1]);
    const free = system.pages.freePagesAndStock;
    expect(system.deferredSplit.shrink(128)).toBe(1);
    expect([system.pages.freePagesAndStock - free, ...gauges()]).toEqual([8, 1, 0, 0]);
    expect(picture(program.mm)).toBe('0x1000000000 00000000 | 0x1000010000 4444444444444444');
    expect(numbers(program, BASE, 8)).toEqual(counted(8));
    expect(system.deferredSplit.shrink(128)).toBe(0);
    system.check();
  });
  test('the last page takes its folio off the queue', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    program.mm.munmap(BASE, 0xf000);
    program.mm.munmap(BASE + 0xf000, 0x1000);
    expect([system.deferredSplit.length, system.thp.stat(4, 'nr_anon_partially_mapped'), system.thp.stat(4, 'nr_anon')]).toEqual([0, 0, 0]);
    system.check();
  });
  test('2 MiB that is mostly zeros is split only when khugepaged would not fill it up again, and only where shrink_underused says so', () => {
    for (const [maxPtesNone, shrinkUnderused, splits] of [[511, true, 0], [255, true, 1], [255, false, 0]] as const) {
      const { program, system } = boot({ orders: [9], ramBytes: 32 << 20 });
      system.thp.khugepaged.values.max_ptes_none = maxPtesNone;
      system.thp.shrinkUnderused = shrinkUnderused;
      program.map(0x200000, BASE);
      number(program, BASE, 200);
      const free = system.pages.freePagesAndStock;
      expect(system.deferredSplit.shrink(128)).toBe(splits);
      expect([system.vmstat.get('thp_underused_split_page'), system.pages.freePagesAndStock - free]).toEqual([splits, splits * 312]);
      expect(numbers(program, BASE, 200)).toEqual(counted(200));
      expect(program.user.u32(BASE + 200 * 4096)).toBe(0);
      system.check();
    }
  });
  test('what cannot be split now waits for the next time if it is partially mapped', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    program.mm.madvise(BASE, 0x1000, Madvise.DontNeed);
    const folio = folioAt(system, program, BASE + 0x1000);
    system.folios.get(folio);
    expect([system.deferredSplit.shrink(8), system.deferredSplit.length]).toEqual([0, 1]);
    system.putFolio(folio);
    expect([system.deferredSplit.shrink(8), system.deferredSplit.length]).toEqual([1, 0]);
  });
});
