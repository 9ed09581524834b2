// zswap: compressed pages in memory before the device.
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { Prng, StateHash } from '#base';
import { compress, decompress } from '#kernel/mm/swap/lz.ts';
import { Zsmalloc } from '#kernel/mm/swap/zsmalloc.ts';
import type { ZsHandle } from '#kernel/mm/swap/zsmalloc.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { bootSystem } from '../../../support/mm-fixture.ts';
import type { Program } from '../../../support/mm-fixture.ts';
import { pageOut, settle, swappedPages, withZswap } from '../../../support/swap-fixture.ts';

const PAGE = 4096;
const packed = new Uint8Array(PAGE - 1);
function roundTrip(page: Uint8Array): number {
  const len = compress(page, packed);
  if (len === 0) return PAGE;
  const back = new Uint8Array(page.length).fill(0xee);
  decompress(packed.slice(0, len), back);
  expect(Buffer.compare(back, page)).toBe(0);
  return len;
}

describe('the compressor', () => {
  test('gives every page back', () => {
    const pieces = fc.array(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.tuple(fc.nat(255), fc.nat(1500)).map(([byte, n]) => new Uint8Array(n).fill(byte)),
      fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(60)).map(([unit, n]) => Uint8Array.from(Array.from({ length: n }, () => [...unit]).flat()))), { maxLength: 40 });
    fc.assert(fc.property(pieces, (list) => {
      const page = new Uint8Array(PAGE);
      let at = 0;
      for (const piece of list) {
        page.set(piece.subarray(0, PAGE - at), at);
        at = Math.min(PAGE, at + piece.length);
      }
      roundTrip(page);
    }), { numRuns: 300 });
  });
  test('makes zeros, text and tables of pointers small, and says of noise that it does not get smaller', () => {
    const random = new Prng(3, 'noise');
    expect(roundTrip(new Uint8Array(PAGE))).toBeLessThan(40);
    expect(roundTrip(Uint8Array.from({ length: PAGE }, (_, i) => 'the quick brown fox jumps over the lazy dog. '.charCodeAt(i % 45)))).toBeLessThan(120);
    expect(roundTrip(new Uint8Array(BigUint64Array.from({ length: 512 }, (_, i) => 0x20_0000_0000n + BigInt(i * 48)).buffer))).toBeLessThan(3000);
    expect(roundTrip(Uint8Array.from({ length: PAGE }, () => random.below(256)))).toBe(PAGE);
  });
});

test('the pool keeps objects of any size apart, in frames that it takes and gives back: a model beside it', () => {
  const { system } = bootSystem({ ramBytes: 16 << 20 });
  const free = system.freeBytes;
  const pool = new Zsmalloc(system);
  const random = new Prng(5, 'pool');
  const kept: { handle: ZsHandle; bytes: Uint8Array }[] = [];
  let stored = 0;
  for (let step = 0; step < 4000; step++) {
    if (random.below(100) < (step < 2500 ? 60 : 30)) {
      const bytes = Uint8Array.from({ length: 1 + random.below(random.below(2) === 0 ? 4096 : 900) }, () => random.below(256));
      const handle = pool.store(bytes);
      if (handle === null) continue;
      kept.push({ handle, bytes });
      stored += bytes.length;
    } else if (kept.length > 0) {
      const [{ handle, bytes }] = kept.splice(random.below(kept.length), 1) as [(typeof kept)[number]];
      const back = new Uint8Array(bytes.length);
      pool.read(handle, back);
      expect(Buffer.compare(back, bytes)).toBe(0);
      pool.free(handle);
      stored -= bytes.length;
    }
    expect(pool.nrFrames * PAGE).toBeGreaterThanOrEqual(stored);
  }
  // A quarter is the most that is lost to classes and half-empty zspages, with as many objects as there are.
  expect(pool.nrFrames * PAGE).toBeLessThan(stored * 1.25 + 255 * 8 * PAGE);
  system.check();
  for (const { handle, bytes } of kept) {
    const back = new Uint8Array(bytes.length);
    pool.read(handle, back);
    expect(Buffer.compare(back, bytes)).toBe(0);
    pool.free(handle);
  }
  expect([pool.nrFrames, system.freeBytes]).toEqual([0, free]);
});

const expectFilled = (program: Program, start: number, pages: number): void => {
  for (let i = 0; i < pages; i++) expect(program.user.u32(start + i * PAGE + 640)).toBe(i * 1000 + (640 % 256));
};
const fill = (program: Program, start: number, pages: number): void => {
  for (let i = 0; i < pages; i++) for (let at = 0; at < PAGE; at += 64) program.user.setU32(start + i * PAGE + at, i * 1000 + (at % 256));
};
const stat = (system: MmSystem, ...names: Parameters<MmSystem['vmstat']['get']>[0][]): number[] => names.map((name) => system.vmstat.get(name));

describe('zswap', () => {
  test('keeps pages in a fraction of their memory, and the device hears nothing', () => {
    const { system, program, device } = withZswap(1024);
    const { zswap } = system.swap;
    const at = program.map(64 * PAGE);
    fill(program, at, 64);
    const bios = device.bios;
    pageOut(program, at, 64 * PAGE);
    system.check();
    expect([device.bios - bios, zswap.storedPages, ...stat(system, 'zswpout', 'pswpout')]).toEqual([0, 64, 64, 0]);
    expect(zswap.poolPages).toBeLessThan(16);
    expect(system.vmstat.get('nr_zspages')).toBe(zswap.poolPages);
    expectFilled(program, at, 64);
    expect([...stat(system, 'zswpin', 'pswpin'), zswap.storedPages, zswap.poolPages]).toEqual([64, 0, 0, 0]);
    system.check();
    // What came from here is nowhere else: it must be stored again.
    pageOut(program, at, 64 * PAGE);
    expect(stat(system, 'zswpout')).toEqual([128]);
    expectFilled(program, at, 64);
    program.mm.dispose();
    system.check();
    expect([zswap.storedPages, zswap.poolPages, system.swap.freePages]).toEqual([0, 0, 1023]);
  });
  test('takes a large folio page by page, and counts it by its size', () => {
    const { system, program } = withZswap(1024, { orders: [4] });
    const at = program.map(64 << 10, 0x40_0000);
    fill(program, at, 16);
    pageOut(program, at, 64 << 10);
    expect([system.thp.stat(4, 'zswpout'), system.thp.stat(4, 'swpout'), system.swap.zswap.storedPages]).toEqual([1, 0, 16]);
    system.check();
    expectFilled(program, at, 16);
    system.check();
  });
  test('at its limit sends pages to the device, and the oldest go there until there is room', () => {
    const { system, program } = withZswap(4096);
    const { zswap } = system.swap;
    zswap.params.max_pool_percent = 1;
    const random = new Prng(1, 'pages');
    const at = program.map(400 * PAGE);
    const bytes = Uint8Array.from({ length: PAGE }, (_, i) => (i < 1500 ? random.below(256) : 7));
    for (let i = 0; i < 400; i++) {
      bytes[0] = i;
      bytes[1] = i >> 8;
      program.user.write(at + i * PAGE, bytes);
    }
    const expectRead = (i: number): void => {
      bytes[0] = i;
      bytes[1] = i >> 8;
      const back = new Uint8Array(PAGE);
      expect(program.user.read(at + i * PAGE, back)).toBe(true);
      expect(Buffer.compare(back, bytes)).toBe(0);
    };
    for (let i = 0; i < 400; i += 20) pageOut(program, at + i * PAGE, 20 * PAGE);
    const limit = Math.floor(system.managedPages / 100);
    expect(zswap.poolPages).toBeLessThanOrEqual(limit + 8);
    expect([zswap.counts.pool_limit_hit > 0, system.vmstat.get('pswpout') > 0, zswap.deadline]).toEqual([true, true, 0]);
    const before = zswap.storedPages;
    // The daemon gives up where it meets only pages that have their second chance still, until the next page finds the pool full.
    const more = program.map(40 * PAGE);
    for (let turns = 0; turns < 40 && zswap.poolPages > Math.floor(limit * 0.9); turns++) {
      system.runDaemons();
      settle(system);
      program.user.write(more + turns * PAGE, bytes);
      pageOut(program, more + turns * PAGE, PAGE);
    }
    expect(system.vmstat.get('zswpwb')).toBeGreaterThan(0);
    expect(zswap.storedPages).toBeLessThan(before);
    expect(zswap.poolPages).toBeLessThanOrEqual(Math.floor(limit * 0.9));
    system.check();
    for (let i = 0; i < 400; i++) expectRead(i);
    program.mm.dispose();
    settle(system);
    system.check();
  });
  test('keeps what does not get smaller as it is, and zeros not at all', () => {
    const { system, program } = withZswap(1024);
    const random = new Prng(2, 'noise');
    const at = program.map(4 * PAGE);
    const noise = Uint8Array.from({ length: PAGE }, () => random.below(256));
    program.user.write(at, noise);
    program.user.zero(at + PAGE, PAGE);
    pageOut(program, at, 4 * PAGE);
    expect([system.swap.zswap.storedPages, system.swap.zswap.poolPages, system.swap.zswap.counts.stored_incompressible_pages, ...stat(system, 'swpout_zero')]).toEqual([1, 1, 1, 1]);
    const back = new Uint8Array(PAGE);
    program.user.read(at, back);
    expect(Buffer.compare(back, noise)).toBe(0);
    system.check();
  });
  test('charges what it keeps to the group whose pages they were', () => {
    const { system, program } = withZswap(1024);
    const group = system.memcg.create('g')!;
    system.memcg.active = group;
    const at = program.map(64 * PAGE);
    fill(program, at, 64);
    pageOut(program, at, 64 * PAGE);
    system.check();
    expect([group.zswappedPages, group.zswapBytes > 0, group.swapUsage]).toEqual([64, true, 64]);
    expect(group.usage - group.stock).toBeLessThan(20);
    program.mm.munmap(at, 64 * PAGE);
    expect([group.zswappedPages, group.zswapBytes, group.swapUsage]).toEqual([0, 0, 0]);
    system.check();
  });
  test('turned off, gives back what it has and takes nothing more', () => {
    const { system, program } = withZswap(1024);
    const at = program.map(32 * PAGE);
    fill(program, at, 32);
    pageOut(program, at, 16 * PAGE);
    system.swap.zswap.params.enabled = false;
    pageOut(program, at, 32 * PAGE);
    expect([system.swap.zswap.storedPages, system.vmstat.get('pswpout')]).toEqual([16, 16]);
    expect(swappedPages(program.mm, at, 32 * PAGE)).toBe(32);
    expectFilled(program, at, 32);
    system.check();
  });
});

test('two runs that do the same have the same state, and the state knows what is in swap', () => {
  const hashOf = (value: number, isOn: boolean): string => {
    const { system, program } = withZswap(1024);
    system.swap.zswap.params.enabled = isOn;
    const at = program.map(20 * PAGE);
    for (let i = 0; i < 20; i++) program.user.setU32(at + i * PAGE, i === 7 ? value : i);
    pageOut(program, at, 10 * PAGE);
    const into = new StateHash();
    system.hash(into);
    return into.digest();
  };
  expect(hashOf(1, true)).toBe(hashOf(1, true));
  expect(hashOf(1, false)).toBe(hashOf(1, false));
  expect(hashOf(0, false)).not.toBe(hashOf(1, false)); // a page of zeros
  expect(hashOf(1, true)).not.toBe(hashOf(1, false));
  expect(hashOf(1, false)).not.toBe(hashOf(2, false)); // what the device holds
});
