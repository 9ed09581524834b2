// Pages of anonymous memory go to swap and come back: contents, counts, slots, what others see of it.
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import { FaultyImage, MemoryImage } from '#kernel/block/image.ts';
import { BioOp } from '#kernel/block/bio.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import { FaultAccess, FaultResult } from '#kernel/mm/fault.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { smapsOf, pagemapWord } from '#kernel/mm/inspect.ts';
import { isExclusiveSwapPte, entryOfPte } from '#kernel/mm/swap/entry.ts';
import { readSwapCache } from '#kernel/mm/swap/swap-readahead.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program } from '../../../support/mm-fixture.ts';
import { addSwap, bootWithSwap, pageOut, settle, swappedByte, swappedPages } from '../../../support/swap-fixture.ts';

const KB64 = 64 << 10;
const fill = (program: Program, start: number, pages: number, seed = 1): void => {
  for (let i = 0; i < pages; i++) program.user.setU32(start + i * 4096 + 8, seed + i);
};
const expectFilled = (program: Program, start: number, pages: number, seed = 1): void => {
  for (let i = 0; i < pages; i++) expect(program.user.u32(start + i * 4096 + 8)).toBe(seed + i);
};
const stat = (system: MmSystem, ...names: Parameters<MmSystem['vmstat']['get']>[0][]): number[] => names.map((name) => system.vmstat.get(name));

describe('pages in swap', () => {
  test('come back as they went, with a major fault where the disk was read', () => {
    const { system, program } = bootWithSwap(256);
    const at = program.map(16 * 4096);
    fill(program, at, 16);
    pageOut(program, at, 16 * 4096);
    system.check();
    expect(swappedPages(program.mm, at, 16 * 4096)).toBe(16);
    expect([program.mm.rss.anonPages, program.mm.rss.swapEntries, system.swap.freePages]).toEqual([0, 16, 255 - 16]);
    expect(stat(system, 'pswpout', 'nr_swapcached', 'nr_anon_pages')).toEqual([16, 0, 0]);
    expectFilled(program, at, 16);
    system.check();
    expect(program.mm.rss.swapEntries).toBe(0);
    expect(stat(system, 'pswpin')).toEqual([16]);
    expect(program.counts.majFlt).toBe(system.vmstat.get('pgmajfault'));
    expect(program.counts.majFlt).toBeLessThan(16); // neighbours were read along
    expect(stat(system, 'swap_ra')[0]! + program.counts.majFlt).toBe(16);
  });
  test('give their slots back when the program exits', () => {
    const { system, program } = bootWithSwap(256);
    const at = program.map(32 * 4096);
    fill(program, at, 32);
    pageOut(program, at, 32 * 4096);
    program.read(at); // some are in the swap cache, too
    settle(system);
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(255);
    expect(stat(system, 'nr_swapcached', 'nr_file_pages')).toEqual([0, 0]);
  });
  test('that were only read are dropped again without being written', () => {
    const { system, program } = bootWithSwap(256);
    const at = program.map(8 * 4096);
    fill(program, at, 8);
    pageOut(program, at, 8 * 4096);
    expectFilled(program, at, 8);
    const before = system.vmstat.get('pswpout');
    pageOut(program, at, 8 * 4096);
    expect(swappedPages(program.mm, at, 8 * 4096)).toBe(8);
    expect(system.vmstat.get('pswpout')).toBe(before);
    expectFilled(program, at, 8);
    fill(program, at, 8, 100);
    pageOut(program, at, 8 * 4096);
    expect(system.vmstat.get('pswpout')).toBe(before + 8);
    expectFilled(program, at, 8, 100);
    system.check();
  });
  test('of zeros cost no I/O in either direction', () => {
    const { system, program, device } = bootWithSwap(256);
    const at = program.map(8 * 4096);
    for (let i = 0; i < 8; i++) program.write(at + i * 4096);
    fill(program, at + 3 * 4096, 1);
    pageOut(program, at, 8 * 4096);
    expect(stat(system, 'swpout_zero', 'pswpout')).toEqual([7, 1]);
    const reads = device.stats[BioOp.Read]!.sectors;
    for (const i of [0, 1, 2, 4, 5, 6, 7]) expect(program.user.u32(at + i * 4096 + 8)).toBe(0);
    expect(system.vmstat.get('swpin_zero')).toBe(7);
    expectFilled(program, at + 3 * 4096, 1);
    expect(device.stats[BioOp.Read]!.sectors - reads).toBe(8);
    system.check();
  });
  test('are shared after fork, and each side writes to its own', () => {
    const { system, program } = bootWithSwap(256);
    const at = program.map(4 * 4096);
    fill(program, at, 4);
    pageOut(program, at, 4 * 4096);
    expect(isExclusiveSwapPte(program.mm.tables.get(at / 4096))).toBe(true);
    const child = new Program(dupMm(program.mm)!);
    system.check();
    expect([child.mm.rss.swapEntries, system.swap.count(entryOfPte(program.mm.tables.get(at / 4096)))]).toEqual([4, 2]);
    expect(isExclusiveSwapPte(program.mm.tables.get(at / 4096))).toBe(false);
    child.mm.activate();
    child.user.setU32(at + 8, 77);
    system.check();
    program.mm.activate();
    expect(program.user.u32(at + 8)).toBe(1);
    program.user.setU32(at + 4096 + 8, 88);
    expectFilled(child, at + 4096, 3, 2);
    child.mm.dispose();
    system.check();
    expect(program.user.u32(at + 4096 + 8)).toBe(88);
    expectFilled(program, at + 2 * 4096, 2, 3);
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(255);
  });
  test('show in smaps and pagemap', () => {
    const { program } = bootWithSwap(256);
    const at = program.map(4 * 4096);
    fill(program, at, 4);
    pageOut(program, at, 4 * 4096);
    const vma = program.mm.findVma(at)!;
    expect([smapsOf(program.mm, vma).swap, smapsOf(program.mm, vma).swapPss, smapsOf(program.mm, vma).rss]).toEqual([16384, 16384, 0]);
    const child = new Program(dupMm(program.mm)!);
    expect(smapsOf(program.mm, vma).swapPss).toBe(8192);
    const word = pagemapWord(program.mm, at);
    expect([word >> 61n, word & 31n, (word >> 5n) & 0xff_ffffn]).toEqual([2n, 0n, BigInt(entryOfPte(program.mm.tables.get(at / 4096)))]);
    child.mm.dispose();
  });
  test('move with mremap, keep their contents under mprotect, and are forgotten by MADV_FREE and DONTNEED', () => {
    const { system, program: { mm }, program } = bootWithSwap(256);
    const at = program.map(8 * 4096);
    fill(program, at, 8);
    pageOut(program, at, 8 * 4096);
    const to = mm.mremap(at, 8 * 4096, 8 * 4096, 3, at + (1 << 21) + 4096);
    expect(to).toBeGreaterThan(0);
    expect(mm.mprotect(to, 8 * 4096, 1)).toBe(0);
    expect(mm.mprotect(to, 8 * 4096, 3)).toBe(0);
    system.check();
    expect(mm.madvise(to, 4096, 8)).toBe(0);
    expect(mm.madvise(to + 4096, 4096, 4)).toBe(0);
    expect([mm.rss.swapEntries, system.swap.freePages]).toEqual([6, 255 - 6]);
    expect([program.user.u32(to + 8), program.user.u32(to + 4096 + 8)]).toEqual([0, 0]);
    expectFilled(program, to + 2 * 4096, 6, 3);
    system.check();
  });
});

describe('a large folio', () => {
  test('goes out by one request of all its pages, and comes back into one mapping while it is in memory', () => {
    const { system, program, device } = bootWithSwap(2048, { orders: [4] });
    const at = program.map(KB64, 0x40_0000);
    fill(program, at, 16);
    program.mm.madvise(at, KB64, 21);
    expect([device.bios - 1, device.segments - 1, system.thp.stat(4, 'swpout'), system.thp.stat(4, 'swpout_fallback')]).toEqual([1, 1, 1, 0]);
    expect(swappedPages(program.mm, at, KB64)).toBe(16);
    // Still being written: the fault finds it in the swap cache, whole.
    expect(program.read(at + 5 * 4096)).toBe(FaultResult.Done);
    expect(swappedPages(program.mm, at, KB64)).toBe(0);
    expect(program.counts.majFlt).toBe(0);
    system.check();
    settle(system);
    pageOut(program, at, KB64);
    expectFilled(program, at, 16);
    system.check();
  });
  test('is split where swap has no run for it, and counted so', () => {
    const { system, program } = bootWithSwap(2 * 512, { orders: [4] });
    const small = program.map(800 * 4096, 0x1000_0000 + 4096);
    program.mm.madvise(small, 800 * 4096, 15);
    fill(program, small, 800);
    pageOut(program, small, 800 * 4096);
    // Every second page comes back for good.
    for (let i = 0; i < 800; i += 2) program.user.setU32(small + i * 4096 + 8, 7);
    settle(system);
    system.check();
    const at = program.map(KB64, 0x40_0000);
    fill(program, at, 16);
    let fillers = 0;
    for (; system.swap.freePages > 0 && fillers < 12; fillers++) pageOut(program, program.map(KB64, 0x2000_0000 + fillers * KB64), KB64);
    const [whole, split] = [system.thp.stat(4, 'swpout'), system.thp.stat(4, 'swpout_fallback')];
    pageOut(program, at, KB64);
    system.check();
    expect(swappedPages(program.mm, at, KB64)).toBe(16);
    expect([system.thp.stat(4, 'swpout'), system.thp.stat(4, 'swpout_fallback')]).toEqual([whole, split + 1]);
    expectFilled(program, at, 16);
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(2 * 512 - 1);
  });
  test('of 2 MiB goes out whole', () => {
    const { system, program, device } = bootWithSwap(4096, { orders: [9] });
    const at = program.map(2 << 20, 0x40_0000);
    fill(program, at, 512);
    expect(program.mm.tables.pmdLeaf(at / 4096)).not.toBe(0);
    const bios = device.bios;
    pageOut(program, at, 2 << 20);
    expect([device.bios - bios, ...stat(system, 'thp_swpout', 'thp_swpout_fallback', 'pswpout')]).toEqual([1, 1, 0, 512]);
    system.check();
    expectFilled(program, at, 512);
    system.check();
  });
});

describe('swap that the processor reads itself', () => {
  const latency = diskPresets.find(({ name }) => name === 'pmem')!;
  test('gives pages at once, past the swap cache, and nothing ahead; their slots are free then', () => {
    const { system, program, device } = bootWithSwap(256, { latency });
    const at = program.map(8 * 4096);
    fill(program, at, 8);
    program.mm.madvise(at, 8 * 4096, 21);
    // Written when it was asked for: nobody waits, and the pages have gone.
    expect([device.nrPending, swappedPages(program.mm, at, 8 * 4096), ...stat(system, 'nr_swapcached', 'nr_anon_pages', 'pswpout')]).toEqual([0, 8, 0, 0, 8]);
    system.check();
    const before = system.machine.clockCycles;
    expect(program.read(at + 3 * 4096)).toBe(FaultResult.Done);
    expect(system.machine.clockCycles - before).toBeGreaterThanOrEqual(305 + Math.ceil(4096 / 6.6));
    expect([program.counts.majFlt, swappedPages(program.mm, at, 8 * 4096), system.swap.freePages, ...stat(system, 'pswpin', 'swap_ra', 'nr_swapcached', 'pgmajfault')]).toEqual([1, 7, 255 - 7, 1, 0, 0, 1]);
    expectFilled(program, at, 8);
    system.check();
    expect([program.mm.rss.swapEntries, system.swap.freePages, device.stats[BioOp.Read]!.ios]).toEqual([0, 255, 9]);
  });
  test('gives a large folio back whole, and page by page where one of them is back already', () => {
    const { system, program, device } = bootWithSwap(1024, { orders: [4], latency });
    const at = program.map(2 * KB64, 0x40_0000);
    fill(program, at, 32);
    pageOut(program, at, 2 * KB64);
    expect(system.thp.stat(4, 'swpout')).toBe(2);
    const reads = device.stats[BioOp.Read]!.ios;
    program.user.setU32(at + 5 * 4096 + 8, 6);
    expect([swappedPages(program.mm, at, KB64), device.stats[BioOp.Read]!.ios - reads, program.counts.majFlt, system.thp.stat(4, 'swpin'), system.thp.stat(4, 'nr_anon')]).toEqual([0, 1, 1, 1, 1]);
    expect(system.folios.order(system.folios.folioOf(asPfn(program.frame(at))))).toBe(4);
    system.check();
    expectFilled(program, at, 16);
    // 64 KiB are not enabled for one fault: that page is alone, and the rest cannot be one folio any more.
    system.thp.set('hugepages-64kB/enabled', 'never');
    expect(program.user.u32(at + KB64 + 8)).toBe(17);
    system.thp.set('hugepages-64kB/enabled', 'always');
    expectFilled(program, at + KB64, 16, 17);
    expect([system.thp.stat(4, 'swpin'), program.counts.majFlt]).toEqual([1, 17]);
    system.check();
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(1023);
  });
  test('takes smaller folios where there is no memory for a large one, and counts that', () => {
    const { system, program } = bootWithSwap(1024, { orders: [4], latency });
    const at = program.map(KB64, 0x40_0000);
    fill(program, at, 16);
    pageOut(program, at, KB64);
    system.allocationsUntilFailure = 0;
    expect(program.access(at, FaultAccess.Read)).toBe(FaultResult.OutOfMemory);
    system.allocationsUntilFailure = Infinity;
    expect([swappedPages(program.mm, at, KB64), system.thp.stat(4, 'swpin_fallback'), system.thp.stat(4, 'swpin_fallback_charge')]).toEqual([16, 1, 0]);
    system.check();
    expectFilled(program, at, 16);
  });
  test('makes no folio of pages whose slots follow each other by chance: they begin elsewhere than the address does', () => {
    const { system, program } = bootWithSwap(1024, { latency });
    const at = program.map(KB64, 0x40_0000);
    fill(program, at, 16);
    const other = program.map(4096);
    fill(program, other, 1);
    pageOut(program, other, 4096);
    for (let i = 0; i < 16; i++) pageOut(program, at + i * 4096, 4096);
    const slots = Array.from({ length: 16 }, (_, i) => entryOfPte(program.mm.tables.get(at / 4096 + i)));
    expect(slots).toEqual(slots.map((_, i) => slots[0]! + i));
    expect(slots[0]! % 16).not.toBe(0);
    system.thp.set('hugepages-64kB/enabled', 'always');
    expectFilled(program, at, 16);
    expect([system.thp.stat(4, 'swpin'), program.counts.majFlt]).toEqual([0, 16]);
  });
  test('takes a page from the swap cache that came there while memory was looked for', () => {
    const { system, program } = bootWithSwap(1024, { orders: [4], latency });
    const at = program.map(KB64, 0x40_0000);
    fill(program, at, 16);
    pageOut(program, at, KB64);
    // As zswap does, to have room for others.
    const original = system.allocFolio.bind(system);
    system.allocFolio = (...args) => {
      system.allocFolio = original;
      readSwapCache(system, entryOfPte(program.mm.tables.get(at / 4096 + 3)));
      return original(...args);
    };
    program.user.setU32(at + 3 * 4096 + 8, 4);
    system.check();
    expect([swappedPages(program.mm, at, KB64), system.thp.stat(4, 'nr_anon')]).toEqual([15, 0]);
    expectFilled(program, at, 16);
    system.check();
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(1023);
  });
  test('reads by the swap cache what others name, too, and each side writes to its own', () => {
    const { system, program } = bootWithSwap(1024, { orders: [4], latency });
    const at = program.map(KB64, 0x40_0000);
    fill(program, at, 16);
    pageOut(program, at, KB64);
    const child = new Program(dupMm(program.mm)!);
    child.mm.activate();
    child.user.setU32(at + 8, 77);
    system.check();
    program.mm.activate();
    expectFilled(program, at, 16);
    program.user.setU32(at + 4096 + 8, 88);
    child.mm.activate();
    expect(child.user.u32(at + 8)).toBe(77);
    expectFilled(child, at + 4096, 15, 2);
    system.check();
    child.mm.dispose();
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(1023);
  });
  test('has pages of zeros, which are not read, and does not mix them with others in one folio', () => {
    const { system, program } = bootWithSwap(1024, { orders: [4], latency });
    const at = program.map(KB64, 0x40_0000);
    for (let i = 0; i < 16; i++) program.write(at + i * 4096);
    pageOut(program, at, KB64);
    expect(stat(system, 'swpout_zero', 'pswpout')).toEqual([16, 0]);
    expect(program.read(at)).toBe(FaultResult.Done);
    expect([swappedPages(program.mm, at, KB64), ...stat(system, 'swpin_zero', 'pswpin')]).toEqual([0, 16, 0]);
    // Single pages have gone to slots that follow each other, one of them not of zeros; then 64 KiB would be allowed.
    system.thp.set('hugepages-64kB/enabled', 'never');
    const small = program.map(KB64, 0x80_0000);
    for (let i = 0; i < 16; i++) program.write(small + i * 4096);
    fill(program, small + 9 * 4096, 1);
    for (let i = 0; i < 16; i++) pageOut(program, small + i * 4096, 4096);
    system.thp.set('hugepages-64kB/enabled', 'always');
    expect(entryOfPte(program.mm.tables.get(small / 4096 + 15)) - entryOfPte(program.mm.tables.get(small / 4096))).toBe(15);
    expect(program.read(small)).toBe(FaultResult.Done);
    expect(swappedPages(program.mm, small, KB64)).toBe(15);
    expectFilled(program, small + 9 * 4096, 1);
    expect(program.user.u32(small + 10 * 4096 + 8)).toBe(0);
    system.check();
  });
  test('is SIGBUS where it cannot be read, writes again what it could not write, and nothing is lost of that', () => {
    const memory = new MemoryImage(new Uint8Array(256 * 4096));
    const bad = new Set<number>();
    const any = (offset: number, nr: number): boolean => [...bad].some((sector) => sector * 512 >= offset && sector * 512 < offset + nr);
    const image = { sizeBytes: memory.sizeBytes, isReadOnly: false, flush: () => true,
      write: (offset: number, from: Uint8Array) => !any(offset, from.length) && memory.write(offset, from), read: (offset: number, into: Uint8Array) => !any(offset, into.length) && memory.read(offset, into) };
    const { system, program } = bootWithSwap(256, { image, latency });
    const at = program.map(8 * 4096);
    fill(program, at, 8);
    bad.add(2 * 8);
    pageOut(program, at, 8 * 4096);
    // What could not be written is in memory yet, in the swap cache.
    expect([swappedPages(program.mm, at, 8 * 4096), ...stat(system, 'nr_swapcached')]).toEqual([8, 1]);
    system.check();
    const page = Array.from({ length: 8 }, (_, i) => i).find((i) => system.swap.cache.folioAt(entryOfPte(program.mm.tables.get(at / 4096 + i))) === 0)!;
    bad.add(entryOfPte(program.mm.tables.get(at / 4096 + page)) * 8);
    const free = system.freeBytes;
    expect(program.read(at + page * 4096)).toBe(FaultResult.BusError);
    expect([system.freeBytes, swappedPages(program.mm, at, 8 * 4096)]).toEqual([free, 8]);
    system.check();
    bad.clear();
    expectFilled(program, at, 8);
    system.check();
  });
});

describe('errors of the disk', () => {
  test('a page that cannot be read is SIGBUS, and its neighbours are right', () => {
    const memory = new MemoryImage(new Uint8Array(256 * 4096));
    const bad = Array.from({ length: 256 }, (_, i) => i).filter((slot) => slot % 5 === 3 && slot > 1).map((slot) => slot * 8 + 2);
    const image = new FaultyImage(memory, { badSectors: bad, isVolatile: false });
    const { system, program } = bootWithSwap(256, { image });
    const at = program.map(64 * 4096);
    fill(program, at, 64);
    for (let round = 0; round < 4; round++) {
      pageOut(program, at, 64 * 4096);
      system.check();
    }
    // Slots that could not be written have stayed in memory.
    for (let i = 0; i < 64; i++) expect(program.user.u32(at + i * 4096 + 8)).toBe(1 + i);
    program.mm.dispose();
    system.check();
  });
  test('what was written well and goes bad later is never read as something else', () => {
    const memory = new MemoryImage(new Uint8Array(256 * 4096));
    const bad = new Set<number>();
    const image = { sizeBytes: memory.sizeBytes, isReadOnly: false, flush: () => true, write: (offset: number, from: Uint8Array) => memory.write(offset, from),
      read: (offset: number, into: Uint8Array) => { for (let s = offset / 512; s < (offset + into.length) / 512; s++) if (bad.has(s)) return false; return memory.read(offset, into); } };
    const { system, program } = bootWithSwap(256, { image });
    const at = program.map(32 * 4096);
    fill(program, at, 32);
    pageOut(program, at, 32 * 4096);
    const badPages = new Set<number>();
    for (const i of [3, 4, 11, 30]) {
      badPages.add(i);
      bad.add(entryOfPte(program.mm.tables.get(at / 4096 + i)) * 8 + 1);
    }
    for (let i = 0; i < 32; i++) {
      const result = program.read(at + i * 4096);
      expect([i, result]).toEqual([i, badPages.has(i) ? FaultResult.BusError : FaultResult.Done]);
      if (result === FaultResult.Done) expect(program.user.u32(at + i * 4096 + 8)).toBe(1 + i);
    }
    system.check();
    // The disk is well again: memory gives up what it could not read, and reads it.
    bad.clear();
    pageOut(program, at, 32 * 4096);
    expectFilled(program, at, 32);
    program.mm.dispose();
    system.check();
    expect(system.swap.freePages).toBe(255);
  });
});

describe('several devices', () => {
  test('of one priority take turns, and one of a higher priority comes first', () => {
    const { system, program } = bootWithSwap(64);
    addSwap(system, 64, { priority: 10 });
    addSwap(system, 64, { priority: 10 });
    const at = program.map(150 * 4096);
    fill(program, at, 150);
    pageOut(program, at, 100 * 4096);
    expect(system.swap.devices.map(({ inUse }) => inUse)).toEqual([0, 50, 50]);
    pageOut(program, at, 150 * 4096);
    expect(system.swap.devices.map(({ inUse }) => inUse)).toEqual([24, 63, 63]);
    system.check();
    expectFilled(program, at, 150);
    system.check();
  });
  test('where one has an arm, neighbours on the disk are read along', () => {
    const { system, program } = bootWithSwap(256, { latency: diskPresets[2]! });
    const at = program.map(32 * 4096);
    fill(program, at, 32);
    // Out in an order that the address space does not know.
    for (let i = 0; i < 32; i++) pageOut(program, at + ((i * 7) % 32) * 4096, 4096);
    expect(program.read(at)).toBe(FaultResult.Done);
    settle(system);
    const slot = entryOfPte(program.mm.tables.get(at / 4096 + 7));
    expect(system.swap.cache.folioAt(slot)).not.toBe(0);
    expectFilled(program, at, 32);
    system.check();
  });
});

test('memory that is larger than RAM is there when swap is', () => {
  const { system, program } = bootWithSwap(16384, { ramBytes: 16 << 20 });
  const pages = (40 << 20) / 4096;
  const at = program.map(pages * 4096);
  fill(program, at, pages);
  system.check();
  expect(system.vmstat.get('pswpout')).toBeGreaterThan(pages / 2);
  for (let i = 0; i < pages; i += 7) expect(program.user.u32(at + i * 4096 + 8)).toBe(1 + i);
  for (let i = 0; i < pages; i += 97) {
    const low = program.mm.tables.get(at / 4096 + i);
    if (program.frame(at + i * 4096) === 0) expect(swappedByte(system, low, 8)).toBe((1 + i) & 0xff);
  }
  system.check();
  program.access(at, FaultAccess.Write);
  program.mm.dispose();
  settle(system);
  system.check();
});
