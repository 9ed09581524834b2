// The MMU as a whole: closed forms of miss counts, the cost of walks and fences, A and D bits, and mistakes that other implementations made.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asAsid, highHalf, lowHalf } from '#base';
import { Access, Privilege, Pte, presetNamed, presets } from '#mmu';
import type { CoalescingName, PageSizeName, ReplacementName, TlbArrayDescription, TlbDescription } from '#mmu';
import { LEAF, rigWith } from '../support/mmu-rig.ts';
import type { Rig } from '../support/mmu-rig.ts';

const VA = 0x4000_0000;
const PA = 0x8040_0000;

/** A hierarchy of one data array and no L2, so that an L1 miss is a walk. */
const flat = (array: Partial<TlbArrayDescription>, more: Partial<TlbDescription> = {}): TlbDescription => {
  const full: TlbArrayDescription = { entries: 64, ways: array.entries ?? 64, pageSizes: ['4K', '2M'], replacement: 'lru', ...array };
  return {
    name: 'flat', source: '', l1i: { arrays: [full], hitCycles: 0 }, l1d: { arrays: [full], hitCycles: 0 }, l2: null,
    inclusion: 'neither', pwc: {}, walkCycles: 0, pteReadCycles: 0, ...more,
  };
};
const walksOf = (rig: Rig): number => rig.mmu.report().walks.count;
const fence = (rig: Rig, va: number | null, asid: number | null = null): void =>
  rig.mmu.fence(va === null ? null : { hi: highHalf(va), lo: lowHalf(va) }, asid === null ? null : asAsid(asid));

/** Misses of one access per page, cyclic over `pages` addresses. */
function cyclicMisses(rig: Rig, pages: number, rounds: number, stride = 4096, va = VA): number {
  let faults = 0;
  for (let round = 0; round < rounds; round++) for (let i = 0; i < pages; i++) if (rig.access(va + i * stride) < 0) faults++;
  expect(faults).toBe(0);
  return rig.mmu.report().l1d.misses;
}
function mapped(tlb: TlbDescription, pages: number, shift = 0): Rig {
  const rig = rigWith(tlb);
  for (let i = 0; i < pages; i++) rig.map(VA + i * 4096, PA + (i + shift) * 4096, LEAF | Pte.A);
  return rig;
}

describe('misses of a cyclic walk over N pages with E entries', () => {
  const ordered: readonly ReplacementName[] = ['lru', 'fifo', 'plru'];
  test.each(ordered)('fully associative, %s: N in total while N fits', (replacement) => {
    for (const [entries, pages] of [[4, 4], [8, 5], [16, 16], [64, 64], [64, 33]] as const) {
      expect(cyclicMisses(mapped(flat({ entries, replacement }), pages), pages, 5)).toBe(pages);
    }
  });
  test.each(ordered)('fully associative, %s: every access once N is larger', (replacement) => {
    for (const [entries, pages] of [[4, 5], [8, 9], [16, 17], [16, 40]] as const) {
      expect(cyclicMisses(mapped(flat({ entries, replacement }), pages), pages, 5)).toBe(pages * 5);
    }
    if (replacement !== 'plru') expect(cyclicMisses(mapped(flat({ entries: 64, replacement }), 65), 65, 5)).toBe(65 * 5);
  });
  test.each([[80, 0.373], [128, 0.799], [256, 0.981]])('random replacement, 64 entries, %i pages: a miss ratio of %f', (pages, ratio) => {
    const rounds = 300;
    const misses = cyclicMisses(mapped(flat({ replacement: 'random' }), pages), pages, rounds);
    expect(Math.abs(misses / (pages * rounds) - ratio)).toBeLessThan(0.012);
  });
  test('sets and ways, LRU, consecutive pages: all hit exactly if ceil(N / S) fits the ways', () => {
    for (const [sets, ways] of [[4, 2], [8, 4], [16, 4]] as const) {
      const tlb = flat({ entries: sets * ways, ways });
      expect(cyclicMisses(mapped(tlb, sets * ways), sets * ways, 4)).toBe(sets * ways);
      // One page more: its set has ways + 1 pages and always misses, the other sets always hit.
      expect(cyclicMisses(mapped(tlb, sets * ways + 1), sets * ways + 1, 4)).toBe(sets * ways + 1 + 3 * (ways + 1));
    }
  });
  test('sets and ways, LRU, a stride of S pages: all in one set', () => {
    const tlb = flat({ entries: 32, ways: 4 });
    expect(cyclicMisses(mapped(tlb, 64), 4, 5, 8 * 4096)).toBe(4);
    expect(cyclicMisses(mapped(tlb, 64), 5, 5, 8 * 4096)).toBe(25);
  });

  const groups: readonly [string, CoalescingName, number, number][] = [
    ['zen, aligned', 'zen', 0, 4], ['zen, frames shifted by one', 'zen', 1, 1], ['CoLT-SA, aligned', 'colt-sa', 0, 4], ['CoLT-SA, frames shifted by one', 'colt-sa', 1, 4],
    ['CoLT-FA, frames shifted by one', 'colt-fa', 1, 8], ['clustered, aligned', 'clustered', 0, 8],
  ];
  test.each(groups)('%s: as if ceil(N / group) pages', (_, coalescing, shift, group) => {
    const pageSizes: PageSizeName[] = coalescing === 'zen' ? ['4K', '16K'] : ['4K'];
    for (const [entries, pages] of [[8, 8 * group], [8, 8 * group + 1], [8, 5 * group]] as const) {
      const misses = cyclicMisses(mapped(flat({ entries, coalescing, pageSizes }), 128, shift), pages, 4);
      const blocks = Math.ceil(pages / group);
      expect(misses).toBe(blocks <= entries ? blocks : blocks * 4);
    }
  });
  test('clustered, frames shifted by one: each eight splits into seven and one', () => {
    const rig = mapped(flat({ entries: 64, coalescing: 'clustered', pageSizes: ['4K'] }), 64, 1);
    expect(cyclicMisses(rig, 64, 3)).toBe(16);
    const { pagesPerEntry } = rig.mmu.report().coalescing;
    expect([pagesPerEntry[1], pagesPerEntry[7]]).toEqual([8, 8]);
  });
  // From so many ways on, victims and free ways are found otherwise than by searching all.
  test.each(['lru', 'fifo'] as const)('300 entries, %s, with fences of single pages: as a list says', (replacement) => {
    const [entries, pages] = [300, 400];
    const page = fc.nat(pages - 1);
    const step = fc.oneof({ weight: 3, arbitrary: fc.record({ op: fc.constant('touch'), page, nr: fc.nat(200) }) }, { weight: 2, arbitrary: fc.record({ op: fc.constant('fence'), page, nr: fc.nat(20) }) });
    fc.assert(fc.property(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), (steps) => {
      const rig = mapped(flat({ entries, replacement }), pages);
      const held: number[] = []; // the next to go first
      let misses = 0;
      for (const { op, page: from, nr } of steps) {
        for (let i = from; i < Math.min(from + nr, pages); i++) {
          const at = held.indexOf(i);
          if (op === 'fence') fence(rig, VA + 4096 * i);
          else rig.access(VA + 4096 * i);
          if (at >= 0 && (op === 'fence' || replacement === 'lru')) held.splice(at, 1);
          if (op === 'fence' || (at >= 0 && replacement === 'fifo')) continue;
          if (at < 0) misses++;
          if (at < 0 && held.length === entries) held.shift();
          held.push(i);
        }
      }
      expect(rig.mmu.report().l1d.misses).toBe(misses);
    }), { numRuns: 50 });
  });
  test('Svnapot regions: ceil(N / 16), where they are honoured; N where not', () => {
    for (const [svnapot, pages, misses] of [[true, 64, 4], [true, 65, 5], [false, 64, 64]] as const) {
      const rig = rigWith(flat({ entries: 64, svnapot }));
      for (let i = 0; i < 8; i++) rig.map(VA + i * 65536, PA + i * 65536, LEAF | Pte.A, 4);
      expect(cyclicMisses(rig, pages, 3)).toBe(misses);
    }
  });
  test('2M pages: ceil(N / 512), or N where no array holds them', () => {
    for (const [pageSizes, misses] of [[['4K', '2M'], 2], [['4K'], 64]] as const) {
      const rig = rigWith(flat({ entries: 64, pageSizes }));
      for (let i = 0; i < 2; i++) rig.map(VA + i * 0x20_0000, PA + i * 0x20_0000, LEAF | Pte.A, 9);
      expect(cyclicMisses(rig, 64, 3, 65536)).toBe(misses);
      expect(rig.mmu.report().coalescing.partialReach.l1d).toBe(misses === 64 ? 64 : 0);
    }
  });
});

describe('what walks and fences cost', () => {
  const one = (pwc: TlbDescription['pwc'], more: Partial<TlbDescription> = {}): TlbDescription => flat({ entries: 1 }, { pwc, ...more });
  test('N pages through one entry: 3N reads without page-walk caches', () => {
    const rig = mapped(one({}), 600);
    cyclicMisses(rig, 600, 1);
    expect(rig.mmu.report().walks).toMatchObject({ count: 600, pteReads: 1800, pwcHits: 0, byLevel: [600, 600, 600, 0, 0] });
  });
  test('with a level-1 cache: N reads, and two more for each 512 pages', () => {
    const rig = mapped(one({ 1: 4 }), 600);
    cyclicMisses(rig, 600, 1);
    expect(rig.mmu.report().walks).toMatchObject({ count: 600, pteReads: 600 + 2 * 2, pwcHits: 598 });
    const two = mapped(one({ 1: 4, 2: 2 }), 600);
    cyclicMisses(two, 600, 1);
    expect(two.mmu.report().walks.pteReads).toBe(600 + 2 + 1);
  });
  test('a fence of one address between rounds: one walk, of one read where pointers are kept and of three where they are dropped', () => {
    for (const [pageFenceDropsPwc, reads] of [[false, 1], [true, 3]] as const) {
      const rig = mapped(flat({ entries: 16 }, { pwc: { 1: 4, 2: 4 }, pageFenceDropsPwc }), 8);
      cyclicMisses(rig, 8, 1);
      const before = rig.mmu.report().walks;
      fence(rig, VA + 3 * 4096);
      cyclicMisses(rig, 8, 1);
      expect(rig.mmu.report().walks.count).toBe(before.count + 1);
      expect(rig.mmu.report().walks.pteReads).toBe(before.pteReads + reads);
    }
  });
  test('a fence without an address drops pointers too', () => {
    for (const asid of [null, 0]) {
      const rig = mapped(flat({ entries: 16 }, { pwc: { 1: 4, 2: 4 } }), 1);
      rig.access(VA);
      fence(rig, null, asid);
      rig.access(VA);
      expect(rig.mmu.report().walks.pteReads).toBe(6);
    }
  });
  test('a fence of one page of a Svnapot entry costs one walk, and fifteen neighbours go with it', () => {
    const rig = rigWith(flat({ svnapot: true }));
    rig.map(VA, PA, LEAF | Pte.A, 4);
    cyclicMisses(rig, 16, 2);
    fence(rig, VA + 5 * 4096);
    cyclicMisses(rig, 16, 1);
    expect(walksOf(rig)).toBe(2);
    expect(rig.mmu.report().coalescing.collateral).toBe(15);
  });
  test.each([['zen', 2, 3], ['colt-sa', 2, 3], ['colt-fa', 2, 7], ['clustered', 2, 0]] as const)('a fence of one page of a %s entry', (coalescing, walks, collateral) => {
    const rig = mapped(flat({ coalescing, pageSizes: coalescing === 'zen' ? ['4K', '16K'] : ['4K'] }), 8);
    rig.access(VA);
    fence(rig, VA + 4096);
    rig.access(VA + 4096);
    rig.access(VA);
    expect(walksOf(rig)).toBe(walks);
    expect(rig.mmu.report().coalescing.collateral).toBe(collateral);
  });
  test('every form of the fence drops what the spec says', () => {
    // Pages: own of space 1, own of space 2 at the same address, global.
    const kernel = -0x1000_0000;
    const remaining = (va: number | null, asid: number | null): string => {
      const rig = rigWith(presetNamed('generic'));
      for (const space of [1, 2]) {
        rig.map(VA, PA + space * 4096, LEAF, 0, space);
        rig.map(kernel, PA, LEAF | Pte.G, 0, space);
        rig.useSpace(space, space);
        rig.access(VA);
        rig.access(kernel);
      }
      fence(rig, va, asid);
      const hits: string[] = [];
      for (const [name, space, at] of [['own1', 1, VA], ['own2', 2, VA], ['global', 2, kernel]] as const) {
        rig.useSpace(space, space);
        const before = walksOf(rig);
        rig.access(at);
        if (walksOf(rig) === before) hits.push(name);
      }
      return hits.join(' ');
    };
    expect(remaining(null, null)).toBe('');
    expect(remaining(null, 1)).toBe('own2 global');
    expect(remaining(VA, null)).toBe('global');
    expect(remaining(VA, 2)).toBe('own1 global');
    expect(remaining(kernel, null)).toBe('own1 own2');
    expect(remaining(kernel, 2)).toBe('own1 own2 global');
    // Not canonical: no effect, though the low bits are those of a cached page.
    expect(remaining(VA + 2 ** 40, null)).toBe('own1 own2 global');
  });
  test('cycles are walks, reads and L2 hits at the description\'s latencies', () => {
    const rig = mapped({ ...presetNamed('tiny') }, 8);
    cyclicMisses(rig, 8, 2); // L1 has 4 entries, L2 holds all 8: 8 walks of 3 reads, then 8 L2 hits
    expect(rig.mmu.cycles).toBe(8 * 5 + 24 * 10 + 8 * 5);
  });
});

describe('A and D', () => {
  test.each([true, false])('a cached translation does not set A again (Svadu %s)', (svadu) => {
    const rig = rigWith(presetNamed('generic'), { svadu });
    rig.map(VA, PA, LEAF | Pte.A);
    expect(rig.access(VA)).toBe(PA);
    const at = rig.leafAt(VA);
    rig.setWord(at, rig.word(at) & ~BigInt(Pte.A));
    expect(rig.access(VA)).toBe(PA);
    expect(rig.word(at) & BigInt(Pte.A)).toBe(0n);
    fence(rig, VA);
    if (svadu) {
      expect(rig.access(VA)).toBe(PA);
      expect(rig.word(at) & BigInt(Pte.A)).toBe(BigInt(Pte.A));
    } else {
      expect(rig.access(VA)).toBe(-13);
    }
  });
  test('a store to a page cached clean sets D in memory, after looking at memory again', () => {
    const rig = rigWith(presetNamed('generic'));
    rig.map(VA, PA, LEAF | Pte.A);
    rig.access(VA);
    const at = rig.leafAt(VA);
    // The page was remapped read-only without a fence: loads go on, the store finds out.
    rig.setWord(at, rig.word(at) & ~BigInt(Pte.W));
    expect(rig.access(VA)).toBe(PA);
    expect(rig.access(VA, Access.Store)).toBe(-15);
    expect(rig.word(at) & BigInt(Pte.D)).toBe(0n);
    rig.setWord(at, rig.word(at) | BigInt(Pte.W));
    expect(rig.access(VA, Access.Store)).toBe(PA);
    expect(rig.word(at) & BigInt(Pte.D)).toBe(BigInt(Pte.D));
    expect(rig.mmu.report().ad).toEqual({ accessed: 0, dirty: 1, assists: 2, assistPteReads: 6 });
  });
  /** The D bits of sixteen pages, dirty ones drawn as d. */
  const drawn = (rig: Rig, bit: number): string =>
    Array.from({ length: 16 }, (_, i) => ((rig.word(rig.leafAt(VA + i * 4096)) & BigInt(bit)) !== 0n ? (bit === Pte.D ? 'd' : 'a') : '-')).join('');
  test.each(presets().map((p) => [p.name, p] as const))('%s: no page that was not accessed gets A, none not stored to gets D', (_, preset) => {
    const rig = rigWith(preset);
    for (let i = 0; i < 16; i++) rig.map(VA + i * 4096, PA + i * 4096);
    for (const i of [0, 1, 2, 3, 9]) rig.access(VA + i * 4096);
    for (const i of [1, 3, 12]) rig.access(VA + i * 4096, Access.Store);
    expect(drawn(rig, Pte.A)).toBe('aaaa-----a--a---');
    expect(drawn(rig, Pte.D)).toBe('-d-d--------d---');
  });
  test.each([['strict', 2], ['d-evict', 0], ['d-split', 0]] as const)('under %s, after a store to one of four joined clean pages the other three cost %i walks', (adRule, walks) => {
    const rig = mapped(flat({ coalescing: 'colt-sa', adRule, pageSizes: ['4K'] }), 4);
    rig.access(VA);
    rig.access(VA + 2 * 4096, Access.Store);
    const before = walksOf(rig);
    for (const i of [0, 1, 3]) rig.access(VA + i * 4096);
    // strict dropped the entry, and pages 0 and 1 come back as one, page 3 as another; the other rules kept what was clean.
    expect(walksOf(rig) - before).toBe(walks);
    expect(rig.mmu.report().ad).toMatchObject({ dirty: 1, assists: 1 });
  });
});

describe('mistakes that others made', () => {
  test('a fence in the high half matches its sign-extended page', () => {
    const rig = rigWith(presetNamed('generic'));
    rig.map(-0x2000, PA);
    rig.access(-0x2000);
    fence(rig, -0x2000, 0);
    rig.access(-0x2000);
    expect(walksOf(rig)).toBe(2);
  });
  test.each([39, 48, 57] as const)('Sv%i has a TLB too', (sv) => {
    const rig = rigWith(presetNamed('generic'), { sv });
    const va = 2 ** (sv - 1) - 0x5000;
    rig.map(va, PA);
    rig.map(-(2 ** (sv - 1)), PA + 4096);
    for (let i = 0; i < 3; i++) {
      expect(rig.access(va)).toBe(PA);
      expect(rig.access(-(2 ** (sv - 1)))).toBe(PA + 4096);
    }
    expect(walksOf(rig)).toBe(2);
    expect(rig.mmu.report().walks.byLevel.reduce((a, b) => a + b)).toBe(sv === 39 ? 6 : sv === 48 ? 8 : 10);
    expect(rig.access(2 ** (sv - 1))).toBe(-13);
  });
  test('a fence whose register holds 0 is a fence of address 0, or of space 0', () => {
    const rig = rigWith(presetNamed('generic'));
    rig.map(VA, PA);
    rig.map(-0x2000, PA, LEAF | Pte.G);
    rig.access(VA);
    rig.access(-0x2000);
    fence(rig, 0);
    rig.access(VA);
    expect(walksOf(rig)).toBe(2);
    fence(rig, null, 0);
    rig.access(VA);
    rig.access(-0x2000);
    expect(walksOf(rig)).toBe(3);
  });
  test('an address that is not canonical faults at once, and stval is the address', () => {
    const rig = rigWith(presetNamed('generic'));
    expect(rig.access(2 ** 40 + 8, Access.Fetch)).toBe(-12);
    expect(rig.mmu.fault).toEqual({ cause: 12, vaHi: 256, vaLo: 8 });
    expect(rig.mmu.report().walks).toMatchObject({ count: 1, pteReads: 0, faults: 1 });
  });
});

describe('on request', () => {
  const classed = (tlb: TlbDescription, pages: number, stride = 4096): unknown => {
    const rig = mapped(tlb, 128);
    rig.mmu.classifyMisses();
    cyclicMisses(rig, pages, 3, stride);
    return rig.mmu.report().l1d.missClasses;
  };
  test('misses are classed: first touches, too many pages, too many in one set, fenced', () => {
    expect(classed(flat({ entries: 16 }), 16)).toEqual({ compulsory: 16, capacity: 0, conflict: 0, invalidated: 0 });
    expect(classed(flat({ entries: 16 }), 17)).toEqual({ compulsory: 17, capacity: 34, conflict: 0, invalidated: 0 });
    expect(classed(flat({ entries: 16, ways: 2 }), 3, 8 * 4096)).toEqual({ compulsory: 3, capacity: 0, conflict: 6, invalidated: 0 });
    const rig = mapped(presetNamed('tiny'), 4);
    rig.mmu.classifyMisses();
    cyclicMisses(rig, 4, 1);
    fence(rig, VA);
    cyclicMisses(rig, 4, 1);
    const { l1d, l2 } = rig.mmu.report();
    expect([l1d.missClasses, l2!.missClasses]).toEqual(Array(2).fill({ compulsory: 4, capacity: 0, conflict: 0, invalidated: 1 }));
  });
  test('misses and walks are attributed to the pc that the engine sets', () => {
    const rig = mapped(presetNamed('tiny'), 8);
    rig.mmu.attributeMisses();
    rig.mmu.pcLo = 0x10000;
    cyclicMisses(rig, 5, 1);
    rig.mmu.pcLo = 0x10004;
    cyclicMisses(rig, 5, 1);
    expect([...rig.mmu.missesByPc!]).toEqual([[0x10000, 5], [0x10004, 5]]);
    expect([...rig.mmu.walksByPc!]).toEqual([[0x10000, 5]]);
  });
});

describe('satp and privilege', () => {
  test('an unsupported mode changes nothing', () => {
    const rig = rigWith(presetNamed('generic'), { sv: 48 });
    const { satpHi, satpLo } = rig.mmu;
    for (const mode of [1, 7, 10, 11, 15]) rig.mmu.writeSatp((mode << 28) | 0x1000, 0x1234);
    expect([rig.mmu.satpHi, rig.mmu.satpLo]).toEqual([satpHi, satpLo]);
    rig.mmu.writeSatp((8 << 28) | 0x1000, 0x1234);
    expect([rig.mmu.satpHi >>> 0, rig.mmu.satpLo]).toEqual([0x8000_1000, 0x1234]);
  });
  test('switching spaces flushes nothing, and ASIDs keep them apart', () => {
    const rig = rigWith(presetNamed('generic'));
    for (const space of [1, 2]) rig.map(VA, PA + space * 4096, LEAF, 0, space);
    for (let i = 0; i < 3; i++) {
      for (const space of [1, 2]) {
        rig.useSpace(space, space);
        expect(rig.access(VA)).toBe(PA + space * 4096);
      }
    }
    expect(walksOf(rig)).toBe(2);
  });
  test('SUM and MXR act on cached translations at once', () => {
    const rig = rigWith(presetNamed('generic'));
    rig.map(VA, PA, LEAF | Pte.A);
    rig.map(VA + 4096, PA, Pte.V | Pte.X | Pte.U | Pte.A);
    expect(rig.access(VA)).toBe(PA);
    expect(rig.access(VA + 4096)).toBe(-13);
    rig.mmu.setPrivilege(Privilege.User, false, true);
    expect(rig.access(VA + 4096)).toBe(PA);
    rig.mmu.setPrivilege(Privilege.Supervisor, false, true);
    expect(rig.access(VA)).toBe(-13);
    rig.mmu.setPrivilege(Privilege.Supervisor, true, false);
    expect(rig.access(VA)).toBe(PA);
    expect(rig.access(VA + 4096)).toBe(-13);
    expect(rig.access(VA, Access.Fetch)).toBe(-12);
  });
  test('a page table, or a page, outside RAM is an access fault of the kind of access', () => {
    const rig = rigWith(presetNamed('generic'));
    rig.map(VA, 0x4000_0000);
    for (const [kind, cause] of [[Access.Fetch, 1], [Access.Load, 5], [Access.Store, 7], [Access.Amo, 7]] as const) expect(rig.access(VA, kind)).toBe(-cause);
    rig.mmu.writeSatp((8 << 28) | 0, 0x1234);
    expect(rig.access(VA, Access.Fetch)).toBe(-1);
  });
  test('with translation off, addresses are physical and nothing is counted', () => {
    const rig = rigWith(presetNamed('generic'));
    rig.mmu.writeSatp(0, 0);
    expect(rig.access(PA + 5)).toBe(PA + 5);
    expect(rig.access(0x1000)).toBe(-5);
    expect(rig.mmu.report().l1d.lookups).toBe(0);
  });
});
