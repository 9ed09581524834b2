// Which hierarchies emitted code does misses for. Were they to become fewer, every count would stay and only time tell.
import { expect, test } from 'vitest';
import { presets } from '#mmu';
import { rigWith } from '../support/mmu-rig.ts';

test('of the named hierarchies with an L2, emitted code does misses for all but those that join pages otherwise than in whole groups', () => {
  const withoutPlan = presets().filter((tlb) => rigWith(tlb, { frames: 16 }).mmu.plan() === null).map(({ name }) => name);
  expect(withoutPlan).toEqual(['generic-colt-sa', 'generic-colt-fa', 'generic-clustered', 'ideal', 'kunminghu']);
});
