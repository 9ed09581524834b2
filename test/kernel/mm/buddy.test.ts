// The buddy system against a bitmap, and the watermarks against Linux's numbers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError, asPfn } from '#base';
import { Buddy, MAX_PAGE_ORDER } from '#kernel/mm/buddy.ts';
import { minFreeKbytes, watermarks } from '#kernel/mm/watermark.ts';
import { MmSystem } from '#kernel/mm/system.ts';
import { defaultParams, setCost } from '#kernel/params.ts';
import { FakeMachine } from '../../support/fake-machine.ts';
import { bootSystem } from '../../support/mm-fixture.ts';

const FIRST = asPfn(0x80000);

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
  test('agrees with a bitmap under random allocations and frees', () => {
    const ops = fc.array(fc.record({ alloc: fc.boolean(), order: fc.integer({ min: 0, max: MAX_PAGE_ORDER }), pick: fc.nat(1000) }), { maxLength: 120 });
    fc.assert(fc.property(ops, fc.integer({ min: 0, max: 300 }), fc.integer({ min: 3000, max: 4096 }), (list, from, to) => {
      const buddy = new Buddy(FIRST, 4096);
      const bitmap = new Bitmap(4096, from, to);
      buddy.addRange(asPfn(FIRST + from), asPfn(FIRST + to));
      const held: { pfn: number; order: number }[] = [];
      for (const op of list) {
        if (op.alloc || held.length === 0) {
          const possible = bitmap.counts().some((n, order) => n > 0 && order >= op.order);
          const pfn = buddy.alloc(op.order);
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
