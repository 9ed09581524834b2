// Memory descriptors: their bytes and words, against the frames that say what they are; the articles' arithmetic; allocation strategies.
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import { dupMm } from '#kernel/mm/fork.ts';
import { kpageflagsWord } from '#kernel/mm/inspect.ts';
import { descriptorKinds, memmapLayouts, overheadBytes } from '#kernel/mm/memdesc.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import type { AllocStrategy } from '#kernel/params.ts';
import { splitFolio } from '#kernel/mm/split.ts';
import { Program, boot } from '../../support/mm-fixture.ts';

const BASE = 0x10_0000_0000;
const MIB = 2 ** 20;

/** What every frame's word says, counted by type; and that the word leads to one descriptor an allocation. */
function census(system: MmSystem): { folios: number; large: number; tables: number; slabs: number } {
  const found = { folios: 0, large: 0, tables: 0, slabs: 0 };
  const owners = new Map<number, number>();
  const { firstPfn, nrFrames } = system.folios;
  for (let at: number = firstPfn; at < firstPfn + nrFrames; at++) {
    const pfn = asPfn(at);
    const word = system.memdescWord(pfn);
    const flags = BigInt(kpageflagsWord(system, pfn));
    const has = (bit: bigint): boolean => (flags & (1n << bit)) !== 0n;
    const type = word % 16;
    expect([type === 3, type === 14, type === 5]).toEqual([has(12n), has(26n), has(7n)]); // ANON, PGTABLE, SLAB
    if (type === 0 || type === 1) continue;
    const head = system.folios.folioOf(pfn);
    expect(system.folios.folioOf(asPfn(head + (at - head)))).toBe(head);
    expect(owners.get(word) ?? head).toBe(head);
    owners.set(word, head);
    if (head !== at) continue;
    if (type === 14) found.tables++;
    else if (type === 5) found.slabs++;
    else if (system.folios.isLarge(head)) found.large++;
    else found.folios++;
  }
  return found;
}

describe('descriptors', () => {
  test('are of the sizes that their fields have, sixteen bytes a step', () => {
    expect(descriptorKinds.map(({ name, bytes }) => [name, bytes])).toEqual([['folio', 80], ['large file folio', 112], ['large anon folio', 128], ['page table', 64], ['slab', 64], ['misc', 0]]);
  });
  test('live as many as there are allocations, in every layout, through fork, split and exit; slabs are frames and come back', () => {
    for (const layout of memmapLayouts) {
      const { system } = boot({ orders: [2, 4], memmapBytesPerFrame: layout });
      const { descriptors } = system;
      const atStart = { free: system.freeBytes, slabs: descriptors.slabs.reduce((a, b) => a + b) };
      const program = Program.on(system);
      program.map(2 * MIB, BASE);
      program.map(0x5000, BASE + 4 * MIB);
      program.touch(BASE, MIB);
      program.touch(BASE + 4 * MIB, 0x5000);
      const child = dupMm(program.mm)!;
      new Program(child).write(BASE);
      const compare = (): void => {
        const { folios, large, tables, slabs } = census(system);
        expect([descriptors.live[0], descriptors.live[2], descriptors.live[3], descriptors.live[4]]).toEqual([folios, large, tables, slabs]);
        expect(slabs).toBe(descriptors.slabs.reduce((a, b) => a + b));
        const held = [0, 1, 2, 3].map((kind) => descriptors.live[kind]! * descriptorKinds[kind]!.bytes);
        if (layout !== 64) expect(slabs * 4096).toBeGreaterThanOrEqual(held.reduce((a, b) => a + b, 0));
        else expect(slabs).toBe(0);
        expect(system.vmstat.get('nr_slab_unreclaimable')).toBe(slabs);
        system.check();
      };
      compare();
      const folio = system.folios.folioOf(asPfn(program.frame(BASE + 0x20000)));
      system.folios.get(folio);
      expect(splitFolio(system, folio, 0)).toBe(0);
      system.putFolio(folio);
      compare();
      child.dispose();
      program.mm.dispose();
      compare();
      expect({ free: system.freeBytes, slabs: descriptors.slabs.reduce((a, b) => a + b) }).toEqual(atStart);
    }
  });
  test('that cannot be had make the allocation fail, and nothing is lost', () => {
    const { system } = boot({ memmapBytesPerFrame: 8, ramBytes: 16 << 20 });
    const folios: number[] = [];
    for (let folio = system.allocFolio(0, 14, 0xcc0); folio !== 0; folio = system.allocFolio(0, 14, 0xcc0)) folios.push(folio);
    const { live } = system.descriptors;
    expect(live[3]! - 1).toBe(folios.length);
    expect(system.pages.freePagesAndStock + live.reduce((a, b) => a + b) - live[5]!).toBe(system.managedPages);
  });
});

describe('one GiB', () => {
  const mib = (layout: number, order: number, folio: number, large: number): number => overheadBytes(2 ** 18, order, layout, (o) => (o === 0 ? folio : large)) / MIB;
  test("costs what the articles say: 16 MiB today, 23 with base pages, 9 with four-page folios, and as today with two-page ones", () => {
    expect([0, 2, 9].map((order) => mib(64, order, 0, 0))).toEqual([16, 16, 16]);
    expect([0, 1, 2].map((order) => mib(8, order, 84, 112))).toEqual([23, 16, 9]);
  });
  test('of a file costs as the articles say with the descriptors that there are, two-page folios as today; base pages 22 MiB, which are 23 million bytes', () => {
    const [folio, file, anon] = descriptorKinds.map(({ bytes }) => bytes) as [number, number, number];
    expect([0, 1, 2, 4].map((order) => mib(8, order, folio, file))).toEqual([22, 16, 9, 3.75]);
    expect([2, 4].map((order) => mib(8, order, folio, anon))).toEqual([10, 4]);
  });
  test('costs 22 MiB with the printed folio of 80 bytes, which is 23 million bytes', () => {
    expect(mib(8, 0, 80, 80)).toBe(22);
    expect(overheadBytes(2 ** 18, 0, 8, () => 80) / 1e6).toBeCloseTo(23.07, 2);
    expect(mib(8, 2, 80, 80)).toBe(7);
  });
});

describe('allocation strategies', () => {
  /** 64 pages touched in an address space of its own, where no block above order 2 is free. */
  const run = (strategy: AllocStrategy): { entries: number; failures: number; lockHolds: number; picture: number[] } => {
    const { program, system } = boot({ orders: [2, 3, 4, 5, 6, 7, 8], params: (p) => { p.allocStrategy = strategy; p.vm.min_free_kbytes = 4; } });
    program.map(MIB, BASE);
    program.map(4096, BASE + MIB);
    program.write(BASE + MIB); // the page table
    const held: number[] = [];
    for (let folio = system.allocFolio(2, 1, 0xcca); folio !== 0; folio = system.allocFolio(2, 1, 0xcca)) held.push(folio);
    held.forEach((folio, i) => { if (i % 2 === 0 && i < 2000) system.putFolio(system.folios.folioOf(asPfn(folio))); });
    system.pages.drainStock();
    const before = { ...system.pages.counts };
    for (let va = BASE; va < BASE + 0x40000; va += 4096) if (program.frame(va) === 0) program.write(va);
    const { counts } = system.pages;
    const orders = Array.from({ length: 64 }, (_, i) => system.folios.order(system.folios.folioOf(asPfn(program.frame(BASE + i * 4096)))));
    return { entries: counts.entries - before.entries, failures: counts.failures - before.failures, lockHolds: counts.lockHolds - before.lockHolds, picture: [...new Set(orders)] };
  };
  test('a loop over the orders asks many times where one call finds the largest there is; two sizes give single pages', () => {
    const [loop, sizes, largest] = (['loop', 'sizes', 'largest'] as const).map(run);
    expect([loop!.picture, sizes!.picture, largest!.picture]).toEqual([[2], [0], [2]]);
    // Sixteen faults of four pages each. The first tries orders 8 to 2; the i-th after it, as many as its empty windows have: one more than
    // i has twos. With two sizes every page is a fault, and the first of each 64K window tries that size too.
    expect([largest!.entries, largest!.failures]).toEqual([16, 0]);
    expect([loop!.entries, loop!.failures]).toEqual([7 + 26, 6 + 11]);
    expect([sizes!.entries, sizes!.failures]).toEqual([64 + 4, 4]);
  });
});
