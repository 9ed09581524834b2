// Stale translations are found when they are used, all of them and no others, and looking for them changes nothing that is counted.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StateHash, asAsid, asPfn, highHalf, lowHalf, toNumber } from '#base';
import { Access, NO_HOST, Pte, presets, slotOf, stampAt, withCoalescing } from '#mmu';
import type { StaleUse, TlbDescription } from '#mmu';
import { LEAF, rigWith } from '../support/mmu-rig.ts';
import type { Rig } from '../support/mmu-rig.ts';

const tiny = presets().find((p) => p.name === 'tiny')!;
const BASE = 0x4000_0000;
const NAPOT = BASE + 0x80_0000;
const HUGE = BASE + 0xa0_0000;
/** Single pages, some of them rights less, a Svnapot region, a 2 MiB page. */
const POOL = [...Array.from({ length: 12 }, (_, i) => BASE + i * 4096), ...[0, 1, 7, 15].map((i) => NAPOT + i * 4096), ...[0, 3, 511].map((i) => HUGE + i * 4096)];

interface Watched { readonly rig: Rig; readonly uses: StaleUse<string>[]; store(pa: number, word: bigint): void }
function watched(tlb: TlbDescription, isOn = true, seed = 1): Watched {
  const rig = rigWith(tlb, { seed });
  for (let i = 0; i < 12; i++) rig.map(BASE + i * 4096, 0x8040_0000 + i * 4096, i % 5 === 4 ? LEAF & ~Pte.W : LEAF);
  rig.map(NAPOT, 0x8050_0000, LEAF, 4);
  rig.map(HUGE, 0x8060_0000, LEAF, 9);
  const uses: StaleUse<string>[] = [];
  let stores = 0;
  if (isOn) rig.mmu.watchStale<string>({ used: (use) => { uses.push(use); }, where: () => `store ${stores}` });
  return { rig, uses, store(pa, word) {
    stores++;
    rig.mmu.stale?.willStore(asPfn(Math.floor(pa / 4096)), (pa % 4096) / 8, 1, Number(word & 0xffff_ffffn) | 0, Number(word >> 32n) | 0, 0);
    rig.setWord(pa, word);
  } };
}
const change = (w: Watched, va: number, flip: number): void => { w.store(w.rig.leafAt(va), w.rig.word(w.rig.leafAt(va)) ^ BigInt(flip)); };
const fence = ({ rig }: Watched, va: number): void => { rig.mmu.fence({ hi: highHalf(va), lo: lowHalf(va) }, null); };

describe('one translation', () => {
  const used = (flip: number, kind: Access, before: Access = Access.Store): StaleUse<string>[] => {
    const w = watched(tiny);
    w.rig.access(BASE, before);
    change(w, BASE, flip);
    w.rig.access(BASE, kind);
    return w.uses;
  };
  test('that lost its entry, its right or its frame is found at the next use, with what served it and who took it', () => {
    const [use, ...more] = used(Pte.V, Access.Load);
    expect(more).toEqual([]);
    expect(use).toMatchObject({ kind: 'stale', access: Access.Load, servedFrame: 0x80400, level: 0, change: { where: 'store 1' }, tick: 2 });
    expect([toNumber(use!.vaHi, use!.vaLo), use!.change!.oldLow & Pte.V, use!.change!.newLow & Pte.V, use!.low & Pte.V]).toEqual([BASE, 1, 0, 0]);
    expect(used(Pte.W, Access.Store).length).toBe(1);
    expect(used(1 << 10, Access.Load).length).toBe(1);
    expect(used(Pte.X, Access.Fetch, Access.Fetch).length).toBe(1);
  });
  test('whose lost right is not used is not found', () => {
    expect(used(Pte.W, Access.Load)).toEqual([]);
    expect(used(Pte.X, Access.Store)).toEqual([]);
  });
  test('whose A bit is cleared without a fence is what Linux does; a lost D bit loses what is written', () => {
    expect(used(Pte.A, Access.Load)).toEqual([]);
    expect(used(Pte.D, Access.Load)).toEqual([]);
    expect(used(Pte.D, Access.Store).length).toBe(1);
  });
  test('that allows less than memory does faults, and is no use', () => {
    const w = watched(tiny);
    const readOnly = BASE + 4 * 4096;
    w.rig.access(readOnly);
    change(w, readOnly, Pte.W);
    expect(w.rig.access(readOnly, Access.Store)).toBe(-15);
    expect(w.uses).toEqual([]);
  });
  test('that was fenced is not found, whoever changed it', () => {
    const w = watched(tiny);
    w.rig.access(BASE);
    change(w, BASE, 1 << 10);
    fence(w, BASE);
    expect(w.rig.access(BASE)).toBe(0x8040_1000);
    expect(w.uses).toEqual([]);
  });
  test('that L2 gives, or that was walked through a cached pointer to a table that hangs there no more', () => {
    const w = watched({ ...tiny, pwc: { 1: 4 } });
    w.rig.access(BASE);
    for (let i = 1; i < 12; i++) w.rig.access(BASE + i * 4096); // out of L1
    const middle = w.rig.leafAt(BASE, 0, 1);
    w.store(middle, 0n);
    w.rig.access(BASE + 5 * 4096);
    expect(w.uses.map(({ level, low }) => [level, low])).toEqual([[1, 0]]);
    w.rig.mmu.fence(null, null);
    expect(w.rig.access(BASE + 5 * 4096)).toBe(-13);
    expect(w.uses.length).toBe(1);
  });
  test('of a Svnapot region whose entries disagree', () => {
    const w = watched(tiny);
    w.rig.access(NAPOT);
    change(w, NAPOT + 9 * 4096, Pte.W);
    w.rig.access(NAPOT + 4096);
    expect(w.uses.map(({ kind }) => kind)).toEqual(['napot']);
  });
  test('changed by somebody who does not write tables: bytes over an entry', () => {
    const w = watched(tiny);
    w.rig.access(BASE, Access.Store);
    const leaf = w.rig.leafAt(BASE);
    w.rig.mmu.stale!.willWrite(asPfn(Math.floor(leaf / 4096)), leaf % 4096, 8, () => 0);
    w.rig.setWord(leaf, 0n);
    w.rig.access(BASE, Access.Store);
    expect(w.uses.map(({ change: by }) => [by!.newLow, by!.where])).toEqual([[0, 'store 0']]);
  });
});

/** What memory says of an access, read off the words alone. null: a fault. */
function memorySays({ rig }: Watched, va: number, kind: Access): { frame: number; agrees: boolean; dirty: boolean } | null {
  const isHuge = va >= HUGE;
  const isNapot = va >= NAPOT && !isHuge;
  const pa = rig.leafAt(va, 0, isHuge ? 1 : 0);
  const word = rig.word(pa);
  const flags = Number(word & 0x3ffn);
  const needed = Pte.V | Pte.U | [Pte.X, Pte.R, Pte.W, Pte.W][kind]!;
  if ((flags & needed) !== needed || (flags & (Pte.R | Pte.W)) === Pte.W) return null;
  const ppn = Number((word >> 10n) & 0xfff_ffff_ffffn);
  if (isHuge) return (ppn & 511) !== 0 ? null : { frame: ppn + ((va >> 12) & 511), agrees: true, dirty: (flags & Pte.D) !== 0 };
  if (!isNapot) return { frame: ppn, agrees: true, dirty: (flags & Pte.D) !== 0 };
  if ((ppn & 15) !== 8) return null;
  const group = Array.from({ length: 16 }, (_, i) => rig.word(rig.leafAt(NAPOT + i * 4096)));
  const ad = BigInt(Pte.A | Pte.D);
  return { frame: ppn - 8 + ((va >> 12) & 15), agrees: group.every((each) => (each & ~ad) === (word & ~ad)), dirty: group.some((each) => (each & BigInt(Pte.D)) !== 0n) };
}

type Op = { page: number; kind: number } | { page: number; flip: number; isFenced: boolean } | { all: true };
const opOf: fc.Arbitrary<Op> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ page: fc.nat(POOL.length - 1), kind: fc.nat(3) }) },
  { weight: 4, arbitrary: fc.record({ page: fc.nat(POOL.length - 1), flip: fc.constantFrom(Pte.A, Pte.D, Pte.W, Pte.V, Pte.X, 1 << 10, 1 << 19), isFenced: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ all: true as const }) },
);
/** @param viaFilter as an engine does, which asks nobody while the filter shows a page @returns the numbers of uses that memory would not have served so */
function play(w: Watched, script: readonly Op[], viaFilter: boolean): { wrong: number[]; found: number[]; hash: string } {
  const { rig, uses } = w;
  const wrong: number[] = [];
  for (const op of script) {
    if ('all' in op) rig.mmu.fence(null, asAsid(0));
    else if ('flip' in op) {
      change(w, POOL[op.page]!, op.flip);
      if (op.isFenced) fence(w, POOL[op.page]!);
    } else {
      const va = POOL[op.page]! + 8;
      const kind = op.kind as Access;
      const table = kind === Access.Load ? rig.mmu.filter.read : kind === Access.Fetch ? rig.mmu.filter.exec : rig.mmu.filter.write;
      const slot = slotOf(lowHalf(va));
      let at: number;
      rig.mmu.tick++;
      if (viaFilter && (lowHalf(va) & ~4095) === table[slot] && highHalf(va) === table[slot + 1]) {
        rig.mmu.counters.lookups[kind]!++;
        rig.ram.arena.f64[table[slot + 3]! >>> 3] = stampAt(rig.mmu.tick);
        at = (lowHalf(va) + table[slot + 2]!) | 0;
      } else at = rig.mmu.lookup(highHalf(va), lowHalf(va), kind);
      if (at === NO_HOST) continue;
      const says = memorySays(w, va, kind);
      if (says === null || says.frame !== rig.ram.pfnOfHost(at) || !says.agrees || (kind >= Access.Store && !says.dirty)) wrong.push(rig.mmu.tick);
    }
  }
  const hash = new StateHash();
  rig.mmu.hash(hash);
  return { wrong, found: uses.map(({ tick }) => tick), hash: hash.digest() };
}

describe('against memory, read word by word', () => {
  const shapes: readonly TlbDescription[] = [tiny, { ...tiny, name: 'tiny, exclusive', inclusion: 'exclusive' }, withCoalescing(tiny, 'colt-sa', 'd-split'), withCoalescing(tiny, 'clustered', 'd-evict'), withCoalescing(tiny, 'zen', 'strict')];
  test.each(shapes.map((tlb) => [tlb.name, tlb] as const))('%s: every wrong use is found, nothing else is, and no count knows of it', (_, tlb) => {
    fc.assert(fc.property(fc.array(opOf, { minLength: 40, maxLength: 120 }), fc.nat(), (script, seed) => {
      const asked = play(watched(tlb, true, seed), script, false);
      expect(asked.found).toEqual(asked.wrong.slice(0, 16));
      // An engine asks for each page once after a change: the first wrong use of each is among those, so the first of all is.
      const shown = play(watched(tlb, true, seed), script, true);
      expect(shown.wrong).toEqual(asked.wrong);
      expect(shown.found.slice(0, 1)).toEqual(asked.wrong.slice(0, 1));
      const unwatched = play(watched(tlb, false, seed), script, true);
      expect([asked.hash, shown.hash]).toEqual([unwatched.hash, unwatched.hash]);
    }), { numRuns: Number(process.env['QUIRE_STALE_RUNS'] ?? 20) });
  });
});
