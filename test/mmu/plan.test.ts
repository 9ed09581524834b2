// Which hierarchies emitted code does misses for. Were they to become fewer, every count would stay and only time tell.
import { expect, test } from 'vitest';
import { presetNamed, presets } from '#mmu';
import type { TlbLevelDescription } from '#mmu';
import { rigWith } from '../support/mmu-rig.ts';

test('of the named hierarchies with an L2, emitted code does misses for all but one with trees of 64 ways', () => {
  const withoutPlan = presets().filter((tlb) => rigWith(tlb, { frames: 16 }).mmu.plan() === null).map(({ name }) => name);
  expect(withoutPlan).toEqual(['ideal', 'kunminghu']);
});

test('not where the levels join pages by two models', () => {
  const joining = presets().filter(({ name }) => /^generic-(zen|colt-sa|colt-fa|clustered)$/.test(name));
  expect(joining.length).toBe(4);
  for (const upper of joining) {
    for (const lower of joining) {
      const plan = rigWith({ ...upper, l2: lower.l2 as TlbLevelDescription }, { frames: 16 }).mmu.plan();
      expect(plan === null, `${upper.name} before ${lower.name}`).toBe(upper !== lower);
    }
  }
});

test('pages that may be joined are sure of their entry for one access; others for as many as the policy grants', () => {
  const outlives = (name: string): number => rigWith(presetNamed(name), { frames: 16 }).mmu.plan()!.l1.outlives;
  expect([outlives('zen4'), outlives('apple-m1'), outlives('skylake'), outlives('sifive-p550'), outlives('golden-cove')]).toEqual([1, 1, 3, 6, 6]);
});
