// The filter is no part of the model: whether an engine uses it or asks the MMU for every access, the same counters, entries and stamps come
// of the same stream. Compared by the state hash, which covers them all.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StateHash, asAsid, asPfn, highHalf, lowHalf } from '#base';
import { Access, Guard, NO_HOST, Privilege, Pte, presets, slotOf, stampAt, withCoalescing } from '#mmu';
import type { CoalescingName, TlbDescription } from '#mmu';
import { LEAF, rigWith } from '../support/mmu-rig.ts';
import type { Rig } from '../support/mmu-rig.ts';

/** What an engine does for one access inside a page. @returns the host offset or NO_HOST; `hits` counts what the filter served */
function fastAccess(rig: Rig, va: number, kind: Access, size: number, second: boolean, hits: { n: number }): number {
  const { mmu } = rig;
  const hi = highHalf(va), lo = lowHalf(va);
  const table = kind === Access.Load ? mmu.filter.read : kind === Access.Fetch ? mmu.filter.exec : mmu.filter.write;
  const slot = slotOf(lo);
  if ((lo & (0xfffff000 | (size - 1))) === table[slot] && hi === table[slot + 1]) {
    mmu.counters.lookups[kind]!++;
    rig.ram.arena.f64[table[slot + 3]! >>> 3] = stampAt(mmu.tick) + (second ? 1 : 0);
    hits.n++;
    return (lo + table[slot + 2]!) | 0;
  }
  return mmu.lookup(hi, lo, kind, second);
}

const BASE = 0x4000_0000;
// Neighbours, pages that share a filter slot (4 MiB apart), superpages, Svnapot regions, a global page.
const POOL = [
  ...Array.from({ length: 24 }, (_, i) => BASE + i * 4096), ...Array.from({ length: 8 }, (_, i) => BASE + 0x40_0000 + i * 4096),
  ...Array.from({ length: 20 }, (_, i) => BASE + 0x80_0000 + i * 4096),
  ...[0, 1, 5, 400, 511, 512, 900].map((i) => BASE + 0xa0_0000 + i * 4096), ...[0, 1, 1024, 2048, 250_000].map((i) => 0xc000_0000 + i * 4096), -0x4000_0000, -0x4000_0000 + 4096,
];
function world(tlb: TlbDescription, seed: number): Rig {
  const rig = rigWith(tlb, { seed });
  for (const space of [0, 1]) {
    for (let i = 0; i < 24; i++) rig.map(BASE + i * 4096, 0x8040_0000 + (i + space * 32) * 4096, i % 7 === 6 ? LEAF & ~Pte.W : LEAF, 0, space);
    for (let i = 0; i < 8; i++) rig.map(BASE + 0x40_0000 + i * 4096, 0x8048_0000 + i * 4096, LEAF, 0, space);
    for (let i = 0; i < 2; i++) rig.map(BASE + 0x80_0000 + i * 65536, 0x8050_0000 + i * 65536, LEAF, 4, space);
    for (let i = 0; i < 2; i++) rig.map(BASE + 0xa0_0000 + i * 0x20_0000, 0x8060_0000 + i * 0x20_0000, LEAF, 9, space);
    rig.map(0xc000_0000, 0x8000_0000, LEAF, 18, space);
    for (let i = 0; i < 2; i++) rig.map(-0x4000_0000 + i * 4096, 0x804a_0000 + i * 4096, LEAF | Pte.G, 0, space);
  }
  return rig;
}

type Op = { page: number; kind: number; straddles: boolean } | { what: 'fence'; page: number | null; asid: number | null } | { what: 'pte'; page: number; bit: number; fenced: boolean }
  | { what: 'space'; space: number } | { what: 'mode'; sum: boolean } | { what: 'code'; page: number };
const opOf: fc.Arbitrary<Op> = fc.oneof(
  { weight: 60, arbitrary: fc.record({ page: fc.nat(POOL.length - 1), kind: fc.nat(3), straddles: fc.constantFrom(false, false, true) }) },
  { weight: 60, arbitrary: fc.record({ page: fc.nat(11), kind: fc.constantFrom(1, 2), straddles: fc.constant(false) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('fence' as const), page: fc.option(fc.nat(POOL.length - 1)), asid: fc.option(fc.nat(1)) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('pte' as const), page: fc.nat(POOL.length - 1), bit: fc.constantFrom(Pte.A, Pte.D, Pte.W, Pte.V, 1 << 10), fenced: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('space' as const), space: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('mode' as const), sum: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('code' as const), page: fc.nat(23) }) },
);

function play(rig: Rig, script: readonly Op[], fast: boolean, hits: { n: number }): number[] {
  const answers: number[] = [];
  const { mmu } = rig;
  const access = (va: number, kind: Access, size: number, second: boolean): number => {
    const at = fast ? fastAccess(rig, va, kind, size, second, hits) : mmu.lookup(highHalf(va), lowHalf(va), kind, second);
    answers.push(at === NO_HOST ? -mmu.fault.cause : at);
    return at;
  };
  for (const op of script) {
    if ('kind' in op) {
      mmu.tick++;
      const kind = op.kind as Access;
      if (!op.straddles) access(POOL[op.page]! + 16, kind, kind === Access.Fetch ? 2 : 8, false);
      else if (access(POOL[op.page]! + 4094, kind, kind === Access.Fetch ? 2 : 4, false) !== NO_HOST) access(POOL[op.page]! + 4096, kind, 2, true);
    } else if (op.what === 'fence' || op.what === 'pte') {
      const va = op.page === null ? null : POOL[op.page]!;
      if (op.what === 'pte') rig.setWord(rig.leafAt(va!), rig.word(rig.leafAt(va!)) ^ BigInt(op.bit));
      if (op.what === 'fence' || op.fenced) mmu.fence(va === null ? null : { hi: highHalf(va), lo: lowHalf(va) }, op.what === 'fence' && op.asid !== null ? asAsid(op.asid) : null);
    } else if (op.what === 'space') {
      rig.useSpace(op.space, op.space);
    } else if (op.what === 'mode') {
      mmu.setPrivilege(op.sum ? Privilege.Supervisor : Privilege.User, true, op.sum);
    } else {
      rig.ram.guards[asPfn(0x80400 + op.page) - rig.ram.firstPfn]! |= Guard.Code;
      mmu.askBeforeStores();
    }
  }
  const state = new StateHash();
  mmu.hash(state);
  answers.push(parseInt(state.digest().slice(0, 12), 16));
  return answers;
}

describe('an engine that uses the filter and one that does not see the same machine', () => {
  const models: readonly CoalescingName[] = ['zen', 'colt-sa', 'colt-fa', 'clustered'];
  const tiny = presets().find((p) => p.name === 'tiny')!;
  const small: readonly TlbDescription[] = [
    tiny, ...models.flatMap((m) => [withCoalescing(tiny, m, 'strict', true), withCoalescing(tiny, m, 'd-split')]), withCoalescing(tiny, 'zen', 'loose-a'), withCoalescing(tiny, 'clustered', 'd-evict'),
    ...(['inclusive', 'exclusive'] as const).map((inclusion) => ({ ...tiny, name: `tiny ${inclusion}`, inclusion })),
    ...(['plru', 'fifo', 'random'] as const).map((replacement) => ({ ...tiny, name: `tiny ${replacement}`, l1d: { hitCycles: 0, arrays: [{ ...tiny.l1d.arrays[0]!, replacement }] } })),
  ];
  test.each([...small, ...presets().filter((p) => ['skylake', 'zen2', 'cortex-a76', 'kunminghu'].includes(p.name))].map((p) => [p.name, p] as const))('%s', (_, tlb) => {
    const hits = { n: 0 };
    fc.assert(fc.property(fc.array(opOf, { minLength: 300, maxLength: 500, size: 'max' }), fc.nat(), (script, seed) => {
      expect(play(world(tlb, seed), script, true, hits)).toEqual(play(world(tlb, seed), script, false, hits));
    }), { numRuns: 8 });
    expect(hits.n).toBeGreaterThan(50);
  });

  test('a coalesced entry that an assist puts before a stale 2M one takes its pages out of the filter', () => {
    const colt = withCoalescing(tiny, 'colt-sa');
    const outcome = (fast: boolean): unknown[] => {
      const rig = rigWith({ ...colt, l2: null });
      const hits = { n: 0 };
      const access = (va: number, kind: Access): number => {
        rig.mmu.tick++;
        return fast ? fastAccess(rig, va, kind, 8, false, hits) : rig.mmu.lookup(highHalf(va), lowHalf(va), kind);
      };
      const [p, q] = [BASE, BASE + 4096];
      rig.map(p, 0x8040_0000);
      const leaf = rig.leafAt(p);
      const answers = [access(p, Access.Load)];                  // a small entry that knows p alone
      const middle = 0x8000_1000 + ((BASE >> 21) & 511) * 8;     // the entry that points to the leaves' table
      const pointer = rig.word(middle);
      rig.setWord(middle, BigInt(0x80600) << 10n | BigInt(LEAF | Pte.A));
      answers.push(access(q, Access.Load), access(q, Access.Load)); // a 2M entry beside it; q is shown under that one
      rig.setWord(middle, pointer);
      rig.setWord(leaf, BigInt(0x80480) << 10n | BigInt(LEAF | Pte.A | Pte.D));
      rig.setWord(leaf + 8, BigInt(0x80481) << 10n | BigInt(LEAF | Pte.A | Pte.D));
      answers.push(access(p, Access.Store));                     // the assist finds p moved, and joins q to it
      answers.push(access(q, Access.Load));
      const state = new StateHash();
      rig.mmu.hash(state);
      return [...answers, state.digest()];
    };
    expect(outcome(true)).toEqual(outcome(false));
  });

  test('a store to a page that holds decoded instructions always asks, and other pages are shown as before', () => {
    const rig = world(tiny, 1);
    const hits = { n: 0 };
    const store = (page: number): number => fastAccess(rig, POOL[page]!, Access.Store, 8, false, hits);
    store(0);
    store(0);
    expect(hits.n).toBe(1);
    rig.ram.guards[0x400]! |= Guard.Code;
    rig.mmu.askBeforeStores();
    for (let i = 0; i < 3; i++) store(0);
    expect(hits.n).toBe(1);
    store(1);
    store(1);
    expect(hits.n).toBe(2);
  });
});
