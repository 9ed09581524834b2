// Every TLB model, replacement, coalescing and A/D rule, against the naive model, on random streams of accesses, fences, page-table
// changes with and without fences, address-space switches and privilege changes.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asAsid, highHalf, lowHalf } from '#base';
import { Access, Privilege, Pte } from '#mmu';
import type { AdRule, CoalescingName, PageSizeName, ReplacementName, TlbArrayDescription, TlbDescription, TlbLevelDescription, TlbReport } from '#mmu';
import { LEAF, rigWith } from '../support/mmu-rig.ts';
import type { Rig } from '../support/mmu-rig.ts';
import { NaiveMmu } from '../support/naive-tlb.ts';
import type { NaiveKind } from '../support/naive-tlb.ts';

/** Hierarchies tried; each gets one script. A few hundred take seconds; raise it after a change to the levels. */
const RUNS = 200;
const KINDS: readonly NaiveKind[] = ['fetch', 'load', 'store', 'amo'];

// A world: address spaces 0 and 1 with the same layout and different frames in part; a kernel half that is global.
const FIRST = 0x4000_0000;
const RUN_PAGES = 40;
const NAPOT_VA = 0x4010_0000;
const BIG_VA = 0x4060_0000;
const GIANT_VA = 0x8000_0000;
const KERNEL_VA = -0x4000_0000;
/** Pages that a script may name: base pages of every contiguity, Svnapot regions, superpages, the high half, holes. */
const POOL: readonly number[] = [
  ...Array.from({ length: RUN_PAGES }, (_, i) => FIRST + i * 4096),
  ...Array.from({ length: 36 }, (_, i) => NAPOT_VA + i * 4096),
  ...[0, 1, 2, 3, 7, 64, 511, 512, 513, 700, 1024, 1030].map((i) => BIG_VA + i * 4096),
  ...[0, 5, 600, 262143].map((i) => GIANT_VA + i * 4096),
  ...Array.from({ length: 12 }, (_, i) => KERNEL_VA + i * 4096),
];

function buildWorld(rig: Rig, frames: readonly number[]): void {
  for (const space of [0, 1]) {
    for (let i = 0; i < RUN_PAGES; i++) {
      // frames[]: 0 contiguous and aligned, 1 contiguous but shifted, 2 reversed inside the eight, 3 unmapped, 4 read-only, 5 kernel's
      const kind = frames[i >> 3]!;
      const at = kind === 1 ? i + 65 : kind === 2 ? (i ^ 7) + 128 : i + 192 * space;
      if (kind === 3 && i % 3 === 0) continue;
      const flags = kind === 4 ? LEAF & ~Pte.W : kind === 5 && i % 2 === 0 ? LEAF & ~Pte.U : LEAF;
      rig.map(FIRST + i * 4096, 0x8040_0000 + at * 4096, flags, 0, space);
    }
    rig.map(NAPOT_VA, 0x8080_0000 + space * 0x1_0000, LEAF, 4, space);
    rig.map(NAPOT_VA + 0x1_0000, 0x8082_0000, LEAF | Pte.A | Pte.D, 4, space);
    rig.map(BIG_VA, 0x8060_0000, LEAF, 9, space);
    rig.map(BIG_VA + 0x20_0000, 0x80a0_0000, LEAF & ~Pte.X, 9, space);
    rig.map(GIANT_VA, 0x8000_0000, LEAF, 18, space);
    for (let i = 0; i < 10; i++) rig.map(KERNEL_VA + i * 4096, 0x8050_0000 + i * 4096, (LEAF & ~Pte.U) | Pte.G | (i % 4 === 1 ? Pte.U : 0), 0, space);
  }
}

type Op =
  | { op: 'access'; page: number; kind: number; straddles: boolean }
  | { op: 'pte'; page: number; space: number; change: number; bit: number; fenced: boolean }
  | { op: 'pointer'; page: number; space: number; bit: number }
  | { op: 'fence'; page: number | null; asid: number | null }
  | { op: 'space'; space: number }
  | { op: 'mode'; user: boolean; sum: boolean; mxr: boolean };

const opOf: fc.Arbitrary<Op> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ op: fc.constant('access' as const), page: fc.nat(POOL.length - 1), kind: fc.nat(3), straddles: fc.boolean() }) },
  // Runs of neighbours are what coalescing lives on.
  { weight: 30, arbitrary: fc.record({ op: fc.constant('access' as const), page: fc.nat(15), kind: fc.constantFrom(1, 1, 2), straddles: fc.constant(false) }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('pte' as const), page: fc.nat(POOL.length - 1), space: fc.nat(1), change: fc.nat(9), bit: fc.nat(63), fenced: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('pointer' as const), page: fc.nat(POOL.length - 1), space: fc.nat(1), bit: fc.constantFrom(0, 5, 5, 6, 8) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('fence' as const), page: fc.option(fc.nat(POOL.length - 1)), asid: fc.option(fc.nat(1)) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('space' as const), space: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('mode' as const), user: fc.boolean(), sum: fc.boolean(), mxr: fc.boolean() }) },
);

/** What one change does to a leaf entry. */
function changed(pte: bigint, change: number, bit: number): bigint {
  switch (change) {
    case 0: return pte & ~BigInt(Pte.A);
    case 1: return pte & ~BigInt(Pte.D);
    case 2: return pte & ~BigInt(Pte.A | Pte.D);
    case 3: return pte ^ BigInt(Pte.V);
    case 4: return pte ^ BigInt(Pte.W);
    case 5: return pte ^ BigInt(Pte.U);
    case 6: return pte ^ BigInt(Pte.G);
    case 7: return pte + (1n << 10n);
    case 8: return pte ^ (1n << 63n);
    default: return pte ^ (1n << BigInt(bit));
  }
}

interface Setting { tlb: TlbDescription; svadu: boolean; sv: 39 | 48 | 57; frames: readonly number[]; seed: number }

/** Runs a script on both and compares every answer, every counter and every page table. */
function compare(setting: Setting, script: readonly Op[]): void {
  const rig = rigWith(setting.tlb, { svadu: setting.svadu, sv: setting.sv, seed: setting.seed });
  buildWorld(rig, setting.frames);
  const naive = new NaiveMmu(setting.tlb, setting.seed, rig.ram);
  naive.svadu = setting.svadu;
  naive.levels = setting.sv === 39 ? 3 : setting.sv === 48 ? 4 : 5;
  for (let at = 0x8000_0000; at < 0x8004_0000; at += 8) if (rig.word(at) !== 0n) naive.memory.set(at, rig.word(at));
  const useSpace = (space: number): void => {
    rig.useSpace(space, space);
    naive.asid = space;
    naive.root = rig.mmu.satpLo >>> 0;
  };
  useSpace(0);
  const both = (va: number, kind: number, second: boolean): boolean => {
    const real = rig.access(va, kind as Access, second);
    const wanted = naive.access(BigInt(va), KINDS[kind]!);
    if (real !== wanted) expect(`${show(real)} for ${KINDS[kind]} ${show(va)}`).toBe(`${show(wanted)} for ${KINDS[kind]} ${show(va)}`);
    return real >= 0;
  };
  for (const op of script) {
    switch (op.op) {
      case 'access': {
        const va = POOL[op.page]!;
        if (!op.straddles) both(va + 8, op.kind, false);
        else if (both(va + 4094, op.kind, false)) {
          rig.mmu.tick--; // the halves of one access share its tick
          both(va + 4096, op.kind, true);
        }
        break;
      }
      case 'pte': {
        const at = rig.leafAt(POOL[op.page]!, op.space);
        const value = changed(rig.word(at), op.change, op.bit);
        rig.setWord(at, value);
        naive.memory.set(at, value);
        if (op.fenced) fenceBoth(rig, naive, POOL[op.page]!, null);
        break;
      }
      case 'pointer': {
        const at = rig.leafAt(POOL[op.page]!, op.space, 1);
        const value = rig.word(at) ^ (1n << BigInt(op.bit));
        rig.setWord(at, value);
        naive.memory.set(at, value);
        break;
      }
      case 'fence':
        fenceBoth(rig, naive, op.page === null ? null : POOL[op.page]!, op.asid);
        break;
      case 'space':
        useSpace(op.space);
        break;
      case 'mode':
        rig.mmu.setPrivilege(op.user ? Privilege.User : Privilege.Supervisor, op.sum, op.mxr);
        naive.user = op.user;
        naive.sum = op.sum;
        naive.mxr = op.mxr;
        break;
    }
  }
  expect(countsOf(rig.mmu.report())).toEqual(Object.fromEntries([...naive.counts].filter(([, n]) => n !== 0)));
  for (const [at, word] of naive.memory) if (rig.word(at) !== word) expect(`${show(at)}: ${rig.word(at).toString(16)}`).toBe(`${show(at)}: ${word.toString(16)}`);
}
const show = (n: number): string => (n < 0 && n > -16 ? `fault ${-n}` : `0x${BigInt.asUintN(64, BigInt(n)).toString(16)}`);

function fenceBoth(rig: Rig, naive: NaiveMmu, va: number | null, asid: number | null): void {
  rig.mmu.fence(va === null ? null : { hi: highHalf(va), lo: lowHalf(va) }, asid === null ? null : asAsid(asid));
  naive.fence(va === null ? null : BigInt(va), asid);
}

/** A report under the naive model's names, without zeros. */
function countsOf(report: TlbReport): Record<string, number> {
  const flat: Record<string, number> = {
    walks: report.walks.count, pteReads: report.walks.pteReads, pwcHits: report.walks.pwcHits, walkFaults: report.walks.faults,
    coalesced: report.coalescing.fills, collateral: report.coalescing.collateral,
    'flush.all': report.flushes.all, 'flush.asid': report.flushes.asid, 'flush.page': report.flushes.page,
    accessed: report.ad.accessed, dirty: report.ad.dirty, assists: report.ad.assists, assistReads: report.ad.assistPteReads,
    pageFaults: report.faults.page, accessFaults: report.faults.access,
    'l1i.partial': report.coalescing.partialReach.l1i, 'l1d.partial': report.coalescing.partialReach.l1d, 'l2.partial': report.coalescing.partialReach.l2,
  };
  report.walks.byLevel.forEach((n, level) => { flat[`reads.${level}`] = n; });
  report.coalescing.pagesPerEntry.forEach((n, pages) => { flat[`pages.${pages}`] = n; });
  for (const [size, n] of Object.entries(report.walks.byPageSize)) flat[`walks.${size}`] = n;
  for (const [name, level] of Object.entries({ l1i: report.l1i, l1d: report.l1d, l2: report.l2, l2i: report.l2i ?? null })) {
    if (level === null) continue;
    expect(level.lookups).toBe(level.hits + level.misses);
    for (const [kind, row] of Object.entries(level.byKind)) {
      flat[`${name}.lookups.${kind}`] = row.lookups;
      flat[`${name}.misses.${kind}`] = row.misses;
    }
    for (const [size, row] of Object.entries(level.byPageSize)) {
      flat[`${name}.misses.${size}`] = row.misses;
      flat[`${name}.hits.${size}`] = row.hits ?? 0;
    }
  }
  return Object.fromEntries(Object.entries(flat).filter(([, n]) => n !== 0));
}

// Arbitrary hierarchies.
const array = (entries: number, ways: number, pageSizes: PageSizeName[], more: Partial<TlbArrayDescription> = {}): TlbArrayDescription =>
  ({ entries, ways, pageSizes, replacement: 'lru', ...more });
const level = (hitCycles: number, ...arrays: TlbArrayDescription[]): TlbLevelDescription => ({ arrays, hitCycles });
const MODELS: readonly CoalescingName[] = ['none', 'svnapot', 'zen', 'colt-sa', 'colt-fa', 'clustered'];
const RULES: readonly AdRule[] = ['strict', 'loose-a', 'd-split', 'd-evict'];
const REPLACEMENTS: readonly ReplacementName[] = ['lru', 'plru', 'fifo', 'random'];

const arrayOf = (shapes: readonly (readonly [number, number])[]): fc.Arbitrary<TlbArrayDescription> => fc.record({
  shape: fc.constantFrom(...shapes), replacement: fc.constantFrom(...REPLACEMENTS), coalescing: fc.constantFrom(...MODELS),
  adRule: fc.constantFrom(...RULES), svnapot: fc.boolean(), large: fc.subarray<PageSizeName>(['2M', '1G']), wide: fc.boolean(),
}).map(({ shape: [entries, ways], replacement, coalescing, adRule, svnapot, large, wide }) => array(entries, ways,
  ['4K', ...large, ...(coalescing === 'zen' ? (wide ? ['16K', '32K'] as const : ['16K'] as const) : [])],
  { replacement, coalescing, adRule, svnapot }));
const l1Of = fc.oneof(
  arrayOf([[8, 2], [8, 8], [4, 4], [32, 32], [16, 4]]).map((a) => level(0, a)),
  // An array for each size; CoLT-FA: base pages beside a small array of superpages and runs; CoLT-All: CoLT-SA there.
  arrayOf([[8, 4]]).map((a) => level(0, { ...a, pageSizes: a.pageSizes.filter((s) => s !== '2M' && s !== '1G') }, array(4, 2, ['2M'], { replacement: 'plru' }), array(2, 2, ['1G']))),
  fc.constantFrom<CoalescingName>('none', 'colt-sa').map((coalescing) => level(0, array(8, 4, ['4K'], { coalescing }), array(4, 4, ['2M', '1G'], { coalescing: 'colt-fa' }))),
);
const l2Of = arrayOf([[16, 4], [32, 4], [24, 24], [16, 16], [64, 8]])
  .map((a) => level(7, a.replacement === 'plru' && a.entries === 24 ? { ...a, replacement: 'lru' } : a));
const hierarchy: fc.Arbitrary<TlbDescription> = fc.record({
  l1i: l1Of, l1d: l1Of, l2: fc.option(l2Of, { freq: 5 }), l2i: fc.option(fc.option(l2Of), { nil: undefined }),
  inclusion: fc.constantFrom('inclusive', 'exclusive', 'neither'), pwc: fc.constantFrom({}, { 1: 2 }, { 1: 3, 2: 1 }, { 1: 4, 2: 2, 3: 1, 4: 1 }),
  pageFenceDropsPwc: fc.boolean(),
}).map(({ l2i, ...d }) => ({ name: 'random', source: '', walkCycles: 1, pteReadCycles: 1, ...d, ...(l2i === undefined ? {} : { l2i }) }) as TlbDescription);

const framesOf = fc.array(fc.nat(5), { minLength: 5, maxLength: 5 });

describe('the real MMU and the naive one agree on every answer, counter and page table', () => {
  test('for random hierarchies', () => {
    fc.assert(fc.property(hierarchy, fc.boolean(), fc.constantFrom(39 as const, 39 as const, 48 as const, 57 as const), framesOf, fc.nat(), fc.array(opOf, { minLength: 50, maxLength: 400, size: 'max' }),
      (tlb, svadu, sv, frames, seed, script) => compare({ tlb, svadu, sv, frames, seed }, script)), { numRuns: RUNS });
  });

  const combinations = MODELS.flatMap((coalescing) => RULES.flatMap((adRule) => REPLACEMENTS.map((replacement) => ({ coalescing, adRule, replacement }))));
  test.each(combinations)('for $coalescing with $adRule under $replacement', ({ coalescing, adRule, replacement }) => {
    const sizes: PageSizeName[] = ['4K', '2M', ...(coalescing === 'zen' ? ['16K' as const] : [])];
    const one = array(8, 4, sizes, { coalescing, adRule, replacement });
    const tlb: TlbDescription = {
      name: 'one', source: '', l1i: level(0, one), l1d: level(0, one), l2: level(5, { ...one, entries: 16 }), inclusion: 'neither', pwc: { 1: 2 }, walkCycles: 1, pteReadCycles: 1,
    };
    fc.assert(fc.property(fc.boolean(), framesOf, fc.nat(), fc.array(opOf, { minLength: 200, maxLength: 300, size: 'max' }),
      (svadu, frames, seed, script) => compare({ tlb, svadu, sv: 39, frames, seed }, script)), { numRuns: 2 });
  });
});
