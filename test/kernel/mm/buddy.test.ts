// The buddy system against a bitmap, and the watermarks against Linux's numbers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError, asPfn } from '#base';
import type { Folio } from '#base';
import { Buddy, MAX_PAGE_ORDER, MigrateType } from '#kernel/mm/buddy.ts';
import { Gfp, GfpFlag } from '#kernel/mm/gfp.ts';
import { pcpBatch } from '#kernel/mm/pcp.ts';
import { minFreeKbytes, watermarks } from '#kernel/mm/watermark.ts';
import { noPressureHooks } from '#kernel/mm/page-alloc.ts';
import { MmSystem } from '#kernel/mm/system.ts';
import { pagetypeinfo } from '#kernel/fs/procfs/zones.ts';
import { defaultParams, setCost } from '#kernel/params.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { bootSystem } from '../../support/mm-fixture.ts';

const FIRST = asPfn(0x80000);
const types = [MigrateType.Unmovable, MigrateType.Movable, MigrateType.Reclaimable];

/** Free frames as bits; the free blocks of each order are read off it: maximal aligned free runs. */
class Bitmap {
  readonly free: boolean[];
  constructor(nr: number, from: number, to: number) {
    this.free = Array.from({ length: nr }, (_, i) => i >= from && i < to);
  }
  set(row: number, order: number, free: boolean): void {
    for (let i = 0; i < 1 << order; i++) {
      expect(this.free[row + i]).toBe(!free);
      this.free[row + i] = free;
    }
  }
  counts(): number[] {
    const counts = Array<number>(MAX_PAGE_ORDER + 1).fill(0);
    const isFree = (row: number, order: number): boolean => row + (1 << order) <= this.free.length && this.free.slice(row, row + (1 << order)).every(Boolean);
    for (let row = 0; row < this.free.length; ) {
      if (!this.free[row]) {
        row++;
        continue;
      }
      let order = 0;
      while (order < MAX_PAGE_ORDER && row % (2 << order) === 0 && isFree(row, order + 1)) order++;
      counts[order]!++;
      row += 1 << order;
    }
    return counts;
  }
}

describe('the buddy system', () => {
  test('agrees with a bitmap under random allocations and frees of all types', () => {
    const ops = fc.array(fc.record({ alloc: fc.boolean(), order: fc.integer({ min: 0, max: MAX_PAGE_ORDER }), type: fc.constantFrom(...types), pick: fc.nat(1000) }), { maxLength: 120 });
    fc.assert(fc.property(ops, fc.integer({ min: 0, max: 300 }), fc.integer({ min: 3000, max: 4096 }), (list, from, to) => {
      const buddy = new Buddy(FIRST, 4096);
      const bitmap = new Bitmap(4096, from, to);
      buddy.addRange(asPfn(FIRST + from), asPfn(FIRST + to));
      const held: { pfn: number; order: number }[] = [];
      for (const op of list) {
        if (op.alloc || held.length === 0) {
          const possible = bitmap.counts().some((n, order) => n > 0 && order >= op.order);
          const pfn = buddy.alloc(op.order, op.type);
          expect(pfn !== 0).toBe(possible);
          if (pfn === 0) continue;
          expect(pfn % (1 << op.order)).toBe(0);
          bitmap.set(pfn - FIRST, op.order, false);
          held.push({ pfn, order: op.order });
        } else {
          const [gone] = held.splice(op.pick % held.length, 1);
          buddy.free(asPfn(gone!.pfn), gone!.order);
          bitmap.set(gone!.pfn - FIRST, gone!.order, true);
        }
        expect(buddy.freePages).toBe(bitmap.free.filter(Boolean).length);
      }
      expect(buddy.counts()).toEqual(bitmap.counts());
      for (const { pfn, order } of held) buddy.free(asPfn(pfn), order);
      expect(buddy.counts()).toEqual(new Bitmap(4096, from, to).counts());
    }), { numRuns: 60 });
  });
  test('splits the smallest block that will do, and hands out ascending frames', () => {
    const buddy = new Buddy(FIRST, 2048);
    buddy.addRange(FIRST, asPfn(FIRST + 2048));
    expect(buddy.counts()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    expect([0, 0, 0, 2, 0].map((order) => buddy.alloc(order) - FIRST)).toEqual([0, 1, 2, 4, 3]);
    expect(buddy.counts()).toEqual([0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
  });
  test('a block freed twice is our own mistake', () => {
    const buddy = new Buddy(FIRST, 1024);
    buddy.addRange(FIRST, asPfn(FIRST + 1024));
    const pfn = buddy.alloc(3);
    buddy.free(asPfn(pfn), 3);
    expect(() => buddy.free(FIRST, 10)).toThrow('freed twice');
  });
});

describe('pageblocks', () => {
  const fresh = (pages: number): Buddy => {
    const buddy = new Buddy(FIRST, pages);
    buddy.addRange(FIRST, asPfn(FIRST + pages));
    return buddy;
  };
  test('the first unmovable allocation claims the largest block there is, and the next ones stay inside', () => {
    const buddy = fresh(4096);
    expect(buddy.blockTypeCounts()).toEqual([0, 8, 0, 0, 0]);
    const got = [0, 0, 3, 0].map((order) => buddy.alloc(order, MigrateType.Unmovable) - FIRST);
    expect(buddy.blockTypeCounts()).toEqual([2, 6, 0, 0, 0]);
    expect(new Set(got.map((row) => row >> 10)).size).toBe(1);
    // Movable memory goes elsewhere.
    expect((buddy.alloc(0, MigrateType.Movable) - FIRST) >> 10).not.toBe(got[0]! >> 10);
  });
  test('a movable page takes a page of the others without their pageblock, and small blocks of theirs are taken first', () => {
    const buddy = fresh(1024);
    const unmovable = buddy.alloc(0, MigrateType.Unmovable);
    expect(buddy.blockTypeCounts()).toEqual([2, 0, 0, 0, 0]);
    for (let i = 1; i < 300; i++) buddy.alloc(0, MigrateType.Unmovable);
    // Nothing is movable now: an order 9 block is claimed whole, and of the block more than half in use single pages are stolen.
    expect(buddy.alloc(9, MigrateType.Movable)).toBe(FIRST + 512);
    expect(buddy.blockTypeCounts()).toEqual([1, 1, 0, 0, 0]);
    expect(buddy.alloc(0, MigrateType.Movable)).toBe(unmovable + 300);
    expect(buddy.blockTypeCounts()).toEqual([1, 1, 0, 0, 0]);
  });
  test('a pageblock mostly in use by movable pages is not handed over, one mostly free is, with all that is free in it', () => {
    const isMovable = { isMovable: () => true };
    for (const [held, claimed] of [[300, false], [200, true]] as const) {
      const buddy = new Buddy(FIRST, 512, isMovable);
      buddy.addRange(FIRST, asPfn(FIRST + 512));
      for (let i = 0; i < held; i++) buddy.alloc(0, MigrateType.Movable);
      const pfn = buddy.alloc(4, MigrateType.Unmovable);
      expect(pfn).not.toBe(0);
      expect(buddy.blockType(asPfn(FIRST))).toBe(claimed ? MigrateType.Unmovable : MigrateType.Movable);
      expect(buddy.countOfType(8, MigrateType.Unmovable) > 0).toBe(claimed);
    }
  });
  test('without mixing, only whole pageblocks change hands', () => {
    const buddy = fresh(512);
    const one = buddy.alloc(0, MigrateType.Movable);
    expect(buddy.alloc(0, MigrateType.Unmovable, true)).toBe(0);
    buddy.free(asPfn(one), 0);
    expect(buddy.alloc(0, MigrateType.Unmovable, true)).toBe(FIRST);
  });
});

describe('fragmentation', () => {
  test('is complete when every other page is taken, and lack of memory is not called fragmentation', () => {
    const buddy = new Buddy(FIRST, 4096);
    buddy.addRange(FIRST, asPfn(FIRST + 4096));
    expect([buddy.fragmentationIndex(9), buddy.unusableIndex(9)]).toEqual([-1000, 0]);
    for (let i = 0; i < 4096; i++) buddy.alloc(0);
    expect([buddy.fragmentationIndex(9), buddy.unusableIndex(9)]).toEqual([0, 1000]);
    for (let i = 0; i < 4096; i += 2) buddy.free(asPfn(FIRST + i), 0);
    // 2048 pages in 2048 blocks: 1000 - (1000 + 2048 * 1000 / 512) / 2048.
    expect([buddy.fragmentationIndex(9), buddy.fragmentationIndex(1), buddy.fragmentationIndex(0)]).toEqual([998, 500, -1000]);
    expect([buddy.unusableIndex(0), buddy.unusableIndex(1), buddy.unusableIndex(9)]).toEqual([0, 1000, 1000]);
  });
});

describe('per-cpu stock', () => {
  test("its batch is Linux's for small and large zones", () => {
    expect([3840, 16384, 131072, 262144, 8 << 20].map(pcpBatch)).toEqual([1, 3, 31, 63, 63]);
  });
  test('serves frees and allocations of order 0 to 3 and 9 without the zone, and gives everything back when drained', () => {
    const { system } = bootSystem();
    const { pages, buddy } = system;
    const atBoot = buddy.counts();
    const folios = Array.from({ length: 40 }, () => system.allocFolio(0, 3, Gfp.User) as Folio);
    const holds = pages.counts.lockHolds;
    expect(holds).toBeLessThan(10); // refills double
    for (const folio of folios) system.putFolio(folio);
    expect(pages.counts.lockHolds).toBe(holds);
    expect(pages.pcp.count + buddy.freePages).toBe(system.managedPages);
    expect(system.allocFolio(0, 3, Gfp.User)).toBe(folios[39]); // the hottest first
    system.putFolio(folios[39]!);
    system.putFolio(system.allocFolio(5, 3, Gfp.User) as Folio);
    expect(pages.counts.lockHolds).toBe(holds + 2);
    system.check();
    pages.drainStock();
    expect([pages.pcp.count, buddy.freePages, buddy.counts()]).toEqual([0, system.managedPages, atBoot]);
    system.check();
  });
  test('never grows past its limit', () => {
    const { system } = bootSystem({ ramBytes: 64 << 20 });
    const { pages } = system;
    const folios: Folio[] = [];
    for (let i = 0; i < 9000; i++) folios.push(system.allocFolio(i % 3, 3, Gfp.User) as Folio);
    for (const folio of folios) {
      if (folio === 0) continue;
      system.putFolio(folio);
      expect(pages.pcp.count).toBeLessThanOrEqual(Math.max(pages.pcp.highMax, pages.pcp.highMin));
    }
    system.check();
  });
  test('is emptied before an allocation that may wait fails', () => {
    const { system } = bootSystem({ ramBytes: 16 << 20 });
    const held: Folio[] = [];
    for (let folio = system.allocFolio(0, 3, Gfp.User); folio !== 0; folio = system.allocFolio(0, 3, Gfp.User)) held.push(folio);
    for (const folio of held.slice(0, 200)) system.putFolio(folio);
    expect(system.pages.pcp.count).toBeGreaterThan(0);
    let again = 0;
    while (system.allocFolio(0, 3, Gfp.User) !== 0) again++;
    expect(again).toBe(200);
  });
});

/** Takes pages until there is none for these flags, in stock either. */
function exhaust(system: MmSystem, gfp: number): void {
  do {
    system.pages.drainStock();
    while (system.allocFolio(0, 3, gfp) !== 0);
  } while (system.pages.pcp.count > 0);
}

describe('the slow path', () => {
  test('asks kswapd, then compaction, then reclaim, as the flags allow', () => {
    const { system } = bootSystem({ ramBytes: 16 << 20 });
    const asked: string[] = [];
    system.pages.hooks = {
      wakeKswapd: (order) => void asked.push(`kswapd ${order}`), wakeKcompactd: (order) => void asked.push(`kcompactd ${order}`),
      reclaim: () => { asked.push('reclaim'); return 0; }, compact: (_order, _gfp, mode) => { asked.push(`compact ${mode}`); return 'skipped'; },
    };
    exhaust(system, Gfp.ThpLight);
    const after = (order: number, gfp: number): string => {
      asked.length = 0;
      expect(system.allocFolio(order, 3, gfp)).toBe(0);
      return asked.join(', ');
    };
    expect(after(9, Gfp.ThpLight)).toBe('');
    expect(after(9, Gfp.Thp)).toBe('compact async, reclaim, compact sync');
    expect(after(9, Gfp.Thp | GfpFlag.Noretry)).toBe('compact async');
    expect(after(0, Gfp.User | GfpFlag.Noretry)).toBe('kswapd 0, reclaim');
    expect(after(2, Gfp.Kernel | GfpFlag.Noretry)).toBe('kswapd 2, compact async, reclaim, compact sync');
    // Half of the reserve, and a quarter of the rest, is for those that cannot wait.
    const { min } = system.watermarks;
    exhaust(system, Gfp.Atomic);
    expect(system.buddy.freePages).toBe(min - Math.floor(min / 2) - Math.floor((min - Math.floor(min / 2)) / 4));
  });
  test('tries again as long as reclaim makes progress', () => {
    const { system } = bootSystem({ ramBytes: 16 << 20 });
    const held: Folio[] = [];
    for (let folio = system.allocFolio(0, 3, Gfp.User); folio !== 0; folio = system.allocFolio(0, 3, Gfp.User)) held.push(folio);
    let calls = 0;
    const { pages } = system;
    pages.hooks = { ...noPressureHooks, reclaim: () => { if (++calls < 5) return 1; for (const folio of held.splice(0, 64)) system.putFolio(folio); return 64; } };
    expect(system.allocFolio(0, 3, Gfp.User)).not.toBe(0);
    expect(calls).toBe(5);
  });
  test('claiming part of a pageblock raises the marks, up to one and a half times the high mark, and kswapd works that off', () => {
    const { system } = bootSystem({ ramBytes: 64 << 20 });
    const { pages, watermarks } = system;
    // Movable memory takes everything but single pageblocks' halves; page tables then have to claim.
    const held: Folio[] = [];
    for (let folio = system.allocFolio(8, 3, Gfp.ThpLight); folio !== 0; folio = system.allocFolio(8, 3, Gfp.ThpLight)) held.push(folio);
    held.forEach((folio, i) => { if (i % 2 === 0) system.putFolio(folio); });
    const seen: number[] = [];
    for (let i = 0; i < 3000; i++) {
      if (system.allocFolio(0, 14, Gfp.PageTable) === 0) break;
      seen.push(pages.boost);
    }
    expect(Math.max(...seen)).toBeGreaterThanOrEqual(512);
    expect(Math.max(...seen)).toBeLessThanOrEqual(Math.max(512, Math.floor(watermarks.high * 1.5)));
  });
});

describe('the reserve for atomic allocations of several pages', () => {
  const { HighAtomic, Movable } = MigrateType;
  const kept = (system: MmSystem): number => system.buddy.blockTypeCounts()[HighAtomic]!;
  /** As deep in the reserve as an allocation must be that is served by the slow path. */
  function short(ramBytes: number): MmSystem {
    const { system } = bootSystem({ ramBytes });
    exhaust(system, Gfp.ThpLight);
    return system;
  }
  test('the pageblock that served one is kept for its like, up to a hundredth of memory in whole pageblocks; pagetypeinfo shows it', () => {
    const system = short(512 << 20);
    const most = Math.ceil(Math.floor(system.managedPages / 100) / 512);
    expect(most).toBe(3);
    for (let i = 0; i < 12; i++) {
      expect(system.allocFolio(8, 1, Gfp.Atomic)).not.toBe(0);
      expect(kept(system)).toBe(Math.min(most, Math.floor(i / 2) + 1)); // two blocks of order 8 fill a pageblock
    }
    expect(system.pages.reservedHighAtomic).toBe(most * 512);
    expect(pagetypeinfo(system).split('\n').at(-2)).toMatch(/^Node 0, zone {3}Normal +\d+ +\d+ +0 +3 +0 $/);
  });
  test('single pages reserve nothing, nor does what may wait, nor a machine of which a hundredth is no pageblock', () => {
    const system = short(512 << 20);
    system.allocFolio(0, 1, Gfp.Atomic);
    system.allocFolio(3, 1, Gfp.Kernel | GfpFlag.High);
    expect(kept(system)).toBe(0);
    const small = short(128 << 20);
    expect([small.allocFolio(3, 1, Gfp.Atomic) !== 0, kept(small)]).toEqual([true, 0]);
  });
  test('what is kept is free to atomic allocations alone: it counts for their watermark and for no other', () => {
    const system = short(512 << 20);
    system.allocFolio(3, 1, Gfp.Atomic);
    const free = system.buddy.freePagesOfType(HighAtomic);
    expect(free).toBeGreaterThan(0);
    const { min } = system.watermarks;
    const above = system.buddy.freePages - min;
    expect([system.pages.isAbove(0, min + above - free - 1), system.pages.isAbove(0, min + above - free)]).toEqual([true, false]);
    expect(system.pages.isAbove(0, min + above - 1, 1)).toBe(true);
    // With everything else taken, a block of several pages is there for them and for nobody else.
    for (let pfn: number; (pfn = system.pages.buddy.alloc(3, Movable)) !== 0; ) expect(system.buddy.blockType(asPfn(pfn))).not.toBe(HighAtomic);
    system.pages.showFree();
    expect([system.buddy.canAlloc(3), system.buddy.canAlloc(3, true)]).toEqual([false, true]);
    system.params.vm.min_free_kbytes = 1024;
    system.setupWatermarks();
    const pfn = system.pages.alloc(3, Gfp.Atomic);
    expect(system.buddy.blockType(asPfn(pfn))).toBe(HighAtomic);
    // A single page that cannot wait may have the last of it rather than fail.
    while (system.buddy.alloc(0, Movable) !== 0);
    system.pages.showFree();
    expect(system.buddy.blockType(asPfn(system.pages.alloc(0, Gfp.Atomic)))).toBe(HighAtomic);
  });
  test('before another allocation fails all but one pageblock is given up, and before somebody is killed the last one', () => {
    const system = short(512 << 20);
    const [first] = [8, 8, 8, 7].map((order) => system.allocFolio(order, 1, Gfp.Atomic));
    expect(kept(system)).toBe(2);
    system.allocFolio(0, 1, Gfp.User | GfpFlag.Noretry);
    expect(kept(system)).toBe(1);
    system.allocFolio(0, 1, Gfp.User | GfpFlag.Noretry);
    expect(kept(system)).toBe(1);
    exhaust(system, Gfp.ThpLight);
    system.allocFolio(0, 1, Gfp.User);
    expect(kept(system)).toBe(1); // nothing of it is free
    system.putFolio(first as Folio);
    system.allocFolio(0, 1, Gfp.User); // may still fail: the atomic ones went deep below the mark
    expect([kept(system), system.pages.reservedHighAtomic]).toEqual([0, 0]);
  });
});

describe('watermarks', () => {
  test("are Linux's for a zone of 3840 pages", () => {
    expect(watermarks(3840, 36 * 4, 10)).toEqual({ min: 36, low: 45, high: 54, promo: 63 });
  });
  test('min_free_kbytes is the square root of 16 times memory, raised for 2 MiB folios up to a twentieth', () => {
    expect(minFreeKbytes((1 << 30) / 4096, false)).toBe(4096);
    expect(minFreeKbytes((1 << 30) / 4096, true)).toBe(22528);
    expect(minFreeKbytes((64 << 20) / 4096, true)).toBe(3276);
    expect(minFreeKbytes((24 * 2 ** 30) / 4096, true)).toBe(22528);
  });
  test('an allocation that would go below the minimum mark fails, and large ones fail first', () => {
    const { system } = bootSystem({ ramBytes: 16 << 20 });
    const got: number[] = [];
    for (;;) {
      const folio = system.allocFolio(9, 3, 0);
      if (folio === 0) break;
      got.push(folio);
    }
    expect(system.buddy.freePages).toBeGreaterThanOrEqual(system.watermarks.min);
    expect(system.allocFolio(0, 3, 0)).not.toBe(0);
  });
});

describe('boot', () => {
  test('takes the memory map from RAM: 64 bytes a frame, or what the layout needs', () => {
    for (const [bytes, share] of [[64, 1 / 64], [32, 1 / 128], [16, 1 / 256], [8, 1 / 512]] as const) {
      const { system } = bootSystem({ memmapBytesPerFrame: bytes });
      expect(system.memmapBytes / (64 << 20)).toBe(share);
      expect(system.memTotalBytes).toBe((64 << 20) - system.memmapBytes - 4096);
      system.check();
    }
  });
  test('a frame knows what it is: the descriptor it names, and the type in the low four bits', () => {
    const { system } = bootSystem();
    const folio = system.allocFolio(4, 3, 0);
    if (folio === 0) throw new Error('no memory');
    const word = system.memdescWord(folio);
    expect(word & 15).toBe(3);
    expect(word - 3).toBe(system.memmapPfn * 4096 + (folio - FIRST) * 64);
    expect(system.memdescWord(asPfn(folio + 15))).toBe(word);
    expect(system.memdescWord(asPfn(folio + 16))).toBe(0);
    expect(system.memdescWord(system.zeroPage) & 15).toBe(1);
  });
  test('says so when RAM is too small', () => {
    expect(() => new MmSystem(new FakeMachine({ ramBytes: 2 << 20 }), defaultParams())).toThrow(UserError);
  });
  test('a cost of no name is refused with the names there are', () => {
    const params = defaultParams();
    setCost(params, 'fault', 900);
    expect(params.cost.fault).toBe(900);
    expect(() => setCost(params, 'fautl', 900)).toThrow(/page_zero/);
  });
});
