// zswap and swap for memory groups: each group's oldest pages, its limit, its switch for writing back, what becomes of a removed group's, memory.swap.high.
import { describe, expect, test } from 'vitest';
import { Prng, StateHash, asVpn } from '#base';
import type { MemCgroup } from '#kernel/mm/memcg.ts';
import { entryOfPte } from '#kernel/mm/swap/entry.ts';
import type { SwapEntry } from '#kernel/mm/swap/entry.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program } from '../../../support/mm-fixture.ts';
import { pageOut, reclaimCached, settle, withZswap } from '../../../support/swap-fixture.ts';

const PAGE = 4096;
const SECOND = 1e9;

/** A program of a new group, with pages that compress to less than half each and differ. */
class Member {
  readonly system: MmSystem;
  readonly group: MemCgroup;
  readonly program: Program;
  readonly at: number;
  private readonly pages: number;
  private readonly noise: Uint8Array;

  constructor(system: MmSystem, name: string, pages: number, noiseBytes = 1500) {
    const random = new Prng(7, name);
    this.system = system;
    this.pages = pages;
    this.noise = Uint8Array.from({ length: noiseBytes }, () => random.below(256));
    this.group = name === '/' ? system.memcg.root : system.memcg.create(name)!;
    system.memcg.active = this.group;
    this.program = Program.on(system);
    this.at = this.program.map(pages * PAGE);
    for (let page = 0; page < pages; page++) this.program.user.write(this.at + page * PAGE, this.contents(page));
  }
  private contents(page: number): Uint8Array {
    const bytes = new Uint8Array(PAGE).fill(7);
    bytes.set(this.noise);
    bytes[0] = page;
    return bytes;
  }
  out(from: number, to = from + 1): void {
    this.run();
    pageOut(this.program, this.at + from * PAGE, (to - from) * PAGE);
  }
  private run(): void {
    this.system.memcg.active = this.group.isOnline ? this.group : this.system.memcg.root;
    this.program.mm.activate();
  }
  entry(page: number): SwapEntry {
    return entryOfPte(this.program.mm.tables.get(asVpn(this.at / PAGE + page)));
  }
  /** Pages that zswap keeps. */
  kept(): number[] {
    return Array.from({ length: this.pages }, (_, i) => i).filter((page) => this.program.frame(this.at + page * PAGE) === 0 && this.system.swap.zswap.contentsOf(this.entry(page), new Uint8Array(PAGE)));
  }
  expectIntact(): void {
    this.run();
    for (let page = 0; page < this.pages; page++) {
      const back = new Uint8Array(PAGE);
      expect(this.program.user.read(this.at + page * PAGE, back)).toBe(true);
      expect(Buffer.compare(back, this.contents(page)), `page ${page}`).toBe(0);
    }
  }
}
const events = (group: MemCgroup, name: 'zswpout' | 'zswpwb' | 'pswpout'): number => group.stat.get(name);

describe('memory.zswap.max', () => {
  test('at the limit the oldest page goes to the device for a new one, when it has had its second chance', () => {
    const { system } = withZswap(1024);
    const g = new Member(system, 'g', 40);
    g.group.zswapMax = 4;
    let page = 0;
    while (Math.floor(g.group.zswapBytes / PAGE) < 4) g.out(page++);
    const full = page;
    expect(g.kept()).toEqual(Array.from({ length: full }, (_, i) => i));
    // None has been looked at yet: as many go to the device themselves as there are, and each look takes one's chance.
    for (; page < 2 * full; page++) g.out(page);
    expect([g.kept().length, events(g.group, 'zswpwb'), events(g.group, 'pswpout')]).toEqual([full, 0, full]);
    g.out(page);
    system.check();
    expect([events(g.group, 'zswpwb'), system.vmstat.get('zswpwb'), events(g.group, 'pswpout')]).toEqual([1, 1, full + 1]);
    expect(g.kept()).toEqual([...Array.from({ length: full - 1 }, (_, i) => i + 1), page]);
    g.out(++page);
    expect(g.kept()).toEqual([...Array.from({ length: full - 2 }, (_, i) => i + 2), page - 1, page]);
    expect(g.group.zswapBytes).toBeLessThan(5 * PAGE);
    g.expectIntact();
    system.check();
  });
  test('is one group\'s: another stores as before, and of 0 nothing is stored', () => {
    const { system } = withZswap(1024);
    const [g, h] = [new Member(system, 'g', 20), new Member(system, 'h', 20)];
    g.group.zswapMax = 0;
    g.out(0, 20);
    h.out(0, 20);
    expect([events(g.group, 'zswpout'), events(g.group, 'pswpout'), events(h.group, 'zswpout'), events(h.group, 'pswpout')]).toEqual([0, 20, 20, 0]);
    expect([g.group.zswapBytes, h.group.zswappedPages]).toEqual([0, 20]);
    system.check();
    for (const member of [g, h]) member.expectIntact();
  });
});

describe('memory.zswap.writeback of 0', () => {
  test('keeps what is beyond the limit in memory, and the device hears nothing', () => {
    const { system, device } = withZswap(1024);
    const g = new Member(system, 'g', 40);
    Object.assign(g.group, { zswapMax: 4, zswapWriteback: false });
    const { bios } = device;
    g.out(0, 40);
    g.out(0, 40);
    const kept = g.kept().length;
    expect(kept).toBeGreaterThan(5);
    expect(kept).toBeLessThan(20);
    expect([device.bios - bios, events(g.group, 'zswpwb'), events(g.group, 'pswpout')]).toEqual([0, 0, 0]);
    for (let page = kept; page < 40; page++) expect(g.program.frame(g.at + page * PAGE) || system.swap.cache.folioAt(g.entry(page))).not.toBe(0);
    system.check();
    g.expectIntact();
    expect(device.bios).toBe(bios);
  });
  test('refuses a page that does not get smaller, which stays in memory', () => {
    const { system, device } = withZswap(1024);
    const g = new Member(system, 'g', 4, PAGE);
    g.group.zswapWriteback = false;
    const { bios } = device;
    g.out(0, 4);
    expect([g.kept(), device.bios - bios]).toEqual([[], 0]);
    expect(system.swap.zswap.counts.reject_compress_poor).toBeGreaterThanOrEqual(4);
    g.group.zswapWriteback = true;
    g.out(0, 4);
    reclaimCached(system);
    expect(g.kept()).toEqual([0, 1, 2, 3]);
    g.expectIntact();
  });
  test('in the root holds for all groups; while zswap is off it holds for none', () => {
    const { system, device } = withZswap(1024);
    const g = new Member(system, 'g', 20);
    g.group.zswapMax = 0;
    system.memcg.root.zswapWriteback = false;
    const { bios } = device;
    g.out(0, 20);
    expect(device.bios).toBe(bios);
    system.swap.zswap.params.enabled = false;
    g.out(0, 20);
    settle(system);
    reclaimCached(system);
    expect(events(g.group, 'pswpout')).toBe(20);
    g.expectIntact();
    system.check();
  });
});

test('with the pool full the groups give their oldest in turn, except those that keep off the device', () => {
  const { system } = withZswap(4096);
  const { zswap } = system.swap;
  const members = ['g', 'h', 'stays'].map((name) => new Member(system, name, 60));
  const [g, h, stays] = members as [Member, Member, Member];
  stays.group.zswapWriteback = false;
  for (const member of members) member.out(0, 60);
  // Half of it is too much now.
  zswap.params.max_pool_percent = (zswap.poolPages / 2 / system.managedPages) * 100;
  const late = new Member(system, 'late', 40);
  for (let page = 0; page < 40 && events(h.group, 'zswpwb') < 10; page++) {
    late.out(page);
    system.runDaemons();
    settle(system);
  }
  const [fromG, fromH] = [events(g.group, 'zswpwb'), events(h.group, 'zswpwb')];
  expect([Math.abs(fromG - fromH) <= 1, fromH >= 10, events(stays.group, 'zswpwb')]).toEqual([true, true, 0]);
  // The oldest of each, and nothing else.
  expect(g.kept()).toEqual(Array.from({ length: 60 - fromG }, (_, i) => i + fromG));
  expect(stays.kept()).toHaveLength(60);
  system.check();
  for (const member of [...members, late]) member.expectIntact();
});

test('under pressure a group below memory.min keeps its compressed pages', () => {
  const { system } = withZswap(1024);
  const { zswap } = system.swap;
  const [g, safe] = [new Member(system, 'g', 40), new Member(system, 'safe', 40)];
  for (const member of [g, safe]) member.out(0, 40);
  safe.group.min = 1000;
  zswap.params.shrinker_enabled = true;
  for (let i = 0; i < 20; i++) system.vmscan.direct(0, 0);
  settle(system);
  expect(events(g.group, 'zswpwb')).toBeGreaterThan(20);
  expect(events(safe.group, 'zswpwb')).toBe(0);
  system.check();
});

test('a page that comes back from the device spares the compressed pages of its own group', () => {
  const { system } = withZswap(1024);
  const { zswap } = system.swap;
  const [g, h] = [new Member(system, 'g', 20), new Member(system, 'h', 20)];
  zswap.params.enabled = false;
  g.out(0, 10);
  zswap.params.enabled = true;
  g.out(10, 20);
  h.out(0, 20);
  system.params.vm.page_cluster = 0;
  for (let page = 0; page < 10; page++) g.program.read(g.at + page * PAGE);
  zswap.params.shrinker_enabled = true;
  expect([g.group.diskSwapins, h.group.diskSwapins, zswap.countFreeable(g.group), g.group.diskSwapins]).toEqual([10, 0, 0, 0]);
  expect(zswap.countFreeable(h.group)).toBe(Math.floor(h.group.zswapBytes / PAGE));
});

describe('writing back', () => {
  test('for reclaim takes its page from a group that is at its limit, which is exceeded and says so', () => {
    const { system } = withZswap(1024);
    const g = new Member(system, 'g', 20);
    g.out(0, 20);
    system.memcg.drainStock(g.group);
    g.group.max = g.group.usage;
    const { max } = g.group.events;
    // Each is looked at twice, and the page that each needs is more than what it took.
    system.swap.zswap.shrink(g.group, 25);
    expect(events(g.group, 'zswpwb')).toBe(5);
    expect([g.group.usage > g.group.max, g.group.peak >= g.group.usage, g.group.events.max - max]).toEqual([true, true, 5]);
    system.check();
    settle(system);
    reclaimCached(system);
    expect(g.group.usage).toBeLessThanOrEqual(g.group.max);
    system.check();
  });
  test('finds a page that the search for memory has written already on the device', () => {
    const { system } = withZswap(1024);
    const { zswap } = system.swap;
    const g = new Member(system, 'g', 3);
    g.out(0, 3);
    zswap.shrink(g.group, 3);
    const allocate = system.allocFolio.bind(system);
    system.allocFolio = (...facts) => {
      system.allocFolio = allocate;
      zswap.shrink(g.group, 3);
      settle(system);
      reclaimCached(system);
      return allocate(...facts);
    };
    zswap.shrink(g.group, 1);
    settle(system);
    expect([events(g.group, 'zswpwb'), g.kept()]).toEqual([3, []]);
    system.check();
    g.expectIntact();
  });
});

test('what zswap keeps for a removed group is the root\'s from then on, and the next to go', () => {
  const { system } = withZswap(1024);
  const { zswap } = system.swap;
  const { memcg } = system;
  const [old, g] = [new Member(system, '/', 10), new Member(system, 'g', 10)];
  old.out(0, 10);
  g.out(0, 8);
  const [rootBytes, bytes] = [memcg.root.zswapBytes, g.group.zswapBytes];
  memcg.active = memcg.root;
  memcg.offline(g.group);
  system.check();
  expect([g.group.zswapBytes, g.group.zswappedPages, memcg.root.zswapBytes, memcg.root.zswappedPages]).toEqual([0, 0, rootBytes + bytes, 18]);
  // Pages that it has in memory still are stored for the root, too.
  g.out(8, 10);
  expect([g.group.zswappedPages, memcg.root.zswappedPages, g.kept().length]).toEqual([0, 20, 10]);
  zswap.shrink(memcg.root, 20);
  expect(memcg.root.zswappedPages).toBe(20);
  zswap.shrink(memcg.root, 3);
  settle(system);
  expect([g.kept(), old.kept().length]).toEqual([[3, 4, 5, 6, 7, 8, 9], 10]);
  system.check();
  for (const member of [g, old]) member.expectIntact();
  g.program.mm.dispose();
  settle(system);
  reclaimCached(system);
  system.check();
  expect(memcg.byId(g.group.id)).toBe(null);
});

describe('memory.swap.high', () => {
  test('counts, and puts the program to sleep, the longer the more it is exceeded; memory.high has no part in it', () => {
    const { system } = withZswap(4096);
    const g = new Member(system, 'g', 200);
    g.out(0, 100);
    const { group } = g;
    expect([group.swapUsage, group.overHigh]).toEqual([100, 0]);
    const sleep = (high: number): number => {
      group.swapHigh = high;
      group.swapEvents.high = 0;
      system.memcg.drainStock(group);
      const at = g.program.map(PAGE);
      g.program.write(at);
      const cycles = group.overHigh > 0 ? system.memcg.handleOverHigh(group) : -1;
      expect(group.overHigh).toBe(0);
      return cycles;
    };
    expect([sleep(Infinity), group.swapEvents.high]).toEqual([-1, 0]);
    expect([sleep(100), group.swapEvents.high]).toEqual([-1, 0]);
    // A hundredth too much is not worth sleeping for.
    expect([sleep(99), group.swapEvents.high]).toEqual([0, 1]);
    // (20 / 80)^2 * 2^40 / 2^34 = 4 seconds, cut to 2; it looks again 16 times before.
    expect([sleep(80), group.swapEvents.high]).toEqual([2 * SECOND, 17]);
    // (10 / 90)^2 * 64 seconds, in steps of 2^-20 of the overage.
    expect(sleep(90)).toBeCloseTo(((10 / 90) ** 2 * 64 * SECOND), -5);
    expect([group.events.high, group.events.max]).toEqual([0, 0]);
  });
});

test('the state knows the limits, and whose pages zswap keeps in which order', () => {
  const hashAfter = (change: (g: Member) => void): string => {
    const { system } = withZswap(1024);
    const g = new Member(system, 'g', 10);
    g.out(0, 10);
    change(g);
    const into = new StateHash();
    system.hash(into);
    return into.digest();
  };
  const hashes = [
    () => {}, (g) => { g.group.swapHigh = 10; }, (g) => { g.group.zswapMax = 10; }, (g) => { g.group.zswapWriteback = false; }, (g) => { g.group.diskSwapins++; },
    (g) => { g.system.swap.zswap.shrink(g.group, 1); }, (g) => { g.system.swap.zswap.shrink(g.group, 2); },
  ] satisfies ((g: Member) => void)[];
  expect(new Set(hashes.map(hashAfter)).size).toBe(hashes.length);
  expect(hashAfter(() => {})).toBe(hashAfter(() => {}));
});
