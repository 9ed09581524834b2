// The three engines against one another on random programs in a random world (test/support/lockstep-world.ts): small TLBs of every kind, address spaces of
// every width, code that changes, fences that come late, pieces of any length. QUIRE_LOCKSTEP_PROGRAMS=20000 runs so many; QUIRE_LOCKSTEP_SEED=n begins
// with that one, so that a failure's seed and QUIRE_LOCKSTEP_PROGRAMS=1 replay it.
import { expect, test } from 'vitest';
import { Prng } from '#base';
import { hostFuses } from '#cpu';
import { randomHotness, randomTlb, runWorld } from '../support/lockstep-world.ts';
import type { LockstepOptions } from '../support/lockstep-world.ts';
import { rigWith } from '../support/mmu-rig.ts';

const PROGRAMS = Number(process.env['QUIRE_LOCKSTEP_PROGRAMS'] ?? 40);
const FIRST = Number(process.env['QUIRE_LOCKSTEP_SEED'] ?? 1);
const instrs = 3000;

function compare(seed: number): void {
  const expected = runWorld(seed, { engine: 'reference', budget: () => 1e9, instrs });
  const chunks = new Prng(seed, 'chunks');
  const some = (most: number) => () => 1 + chunks.below(most);
  const check = (what: string, options: Omit<LockstepOptions, 'instrs'>): void =>
    expect(runWorld(seed, { ...options, instrs }), `${what}; QUIRE_LOCKSTEP_SEED=${seed} QUIRE_LOCKSTEP_PROGRAMS=1`).toBe(expected);
  for (const engine of ['interp', 'jit'] as const) check(engine, { engine, budget: some(400) });
  switch (seed % 4) {
    case 0: check('jit, long pieces', { engine: 'jit', budget: some(3000), fuses: hostFuses() && chunks.below(2) === 0 }); break;
    case 1: case 2: check('jit, another hotness', { engine: 'jit', hotness: randomHotness(chunks), budget: some(2000) }); break;
    default: check('reference, cut', { engine: 'reference', budget: some(300) });
  }
  if (seed % 8 !== 0) return;
  check('the MMU asked each time', { engine: 'reference', budget: () => 1, asksAlways: true });
  check('jit, steps', { engine: 'jit', budget: () => 1 });
}

test(`${PROGRAMS} random programs end in the same state with every engine`, () => {
  for (let seed = FIRST; seed < FIRST + PROGRAMS; seed++) compare(seed);
}, 24 * 3600 * 1000);

test('the lots leave out no replacement, coalescing model, A/D rule or inclusion', () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 1500; seed++) {
    const tlb = randomTlb(new Prng(seed, 'world'));
    seen.add(tlb.inclusion);
    for (const [name, level] of Object.entries({ l1i: tlb.l1i, l1d: tlb.l1d, l2: tlb.l2 })) {
      for (const { replacement, coalescing, adRule } of level?.arrays ?? []) {
        seen.add(`${name} ${replacement} ${coalescing}`);
        seen.add(`${name} ${coalescing} ${adRule}`);
      }
    }
  }
  const models = ['none', 'svnapot', 'zen', 'colt-sa', 'colt-fa', 'clustered'];
  const wanted = ['l1i', 'l1d', 'l2'].flatMap((level) => models.flatMap((model) => [
    ...['lru', 'plru', 'fifo', 'random'].map((replacement) => `${level} ${replacement} ${model}`),
    ...['strict', 'loose-a', 'd-split', 'd-evict'].map((rule) => `${level} ${model} ${rule}`),
  ]));
  expect([...wanted, 'inclusive', 'exclusive', 'neither'].filter((what) => !seen.has(what))).toEqual([]);
});

test('nor any replacement or coalescing among those that emitted code does misses for', () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 600; seed++) {
    const tlb = randomTlb(new Prng(seed, 'world'), true);
    if (rigWith(tlb, { frames: 16 }).mmu.plan() === null) continue;
    for (const [name, level] of Object.entries({ l1d: tlb.l1d, l2: tlb.l2 })) {
      for (const { replacement, ways, coalescing, adRule, pageSizes } of level?.arrays ?? []) {
        seen.add(`${name} ${replacement} ${ways > 16 ? 'many' : ways > 1 ? 'some' : 'one'}`);
        seen.add(`${name} ${adRule} ${coalescing}${pageSizes.includes('32K') ? ', wide' : ''}`);
      }
    }
  }
  const wanted = ['l1d', 'l2'].flatMap((level) => [
    ...['lru', 'plru', 'fifo'].flatMap((replacement) => ['one', 'some', 'many'].map((ways) => `${level} ${replacement} ${ways}`)),
    ...['strict', 'loose-a', 'd-split', 'd-evict'].flatMap((rule) => ['zen', 'zen, wide', 'colt-sa', 'colt-fa', 'clustered'].map((model) => `${level} ${rule} ${model}`)),
  ]);
  expect(wanted.filter((what) => !seen.has(what))).toEqual([]);
});
