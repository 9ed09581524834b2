// What theorems say about page replacement holds for the policies that ship: nobody has fewer misses than opt, and lru's memory of n pages is part of
// its memory of n + 1. On random strings of references, one page at a time.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { recordedPolicies, smallPolicies } from '#kernel/mm/reclaim/policies.ts';
import type { ReclaimPolicyMaker } from '#kernel/mm/reclaim/policy.ts';
import makeStarter from '#tools/lru-starter.ts';
import { fewestMisses, page } from '../../../support/paging.ts';

const { lru, opt } = recordedPolicies;
const others: Readonly<Record<string, ReclaimPolicyMaker>> = { ...smallPolicies, lru, starter: makeStarter };

/** Pages with a hot part, loops, or none of both. */
const references = fc.oneof(
  fc.array(fc.nat(11), { minLength: 1, maxLength: 150 }),
  fc.array(fc.oneof({ weight: 4, arbitrary: fc.nat(3) }, fc.nat(20)), { minLength: 1, maxLength: 200 }),
  fc.tuple(fc.integer({ min: 2, max: 14 }), fc.integer({ min: 10, max: 200 })).map(([pages, n]) => Array.from({ length: n }, (_, i) => i % pages)),
);
const frames = fc.integer({ min: 1, max: 9 });

describe('opt', () => {
  test.each(Object.entries(others))('is never beaten by %s', (_, make) => {
    fc.assert(fc.property(references, frames, (string, n) => {
      expect(page(opt, string, n).misses).toBeLessThanOrEqual(page(make, string, n).misses);
    }), { numRuns: 300 });
  });
  test('has as few misses as any choice of victims could have', () => {
    fc.assert(fc.property(fc.array(fc.nat(6), { minLength: 1, maxLength: 24 }), fc.integer({ min: 1, max: 4 }), (string, n) => {
      expect(page(opt, string, n).misses).toBe(fewestMisses(string, n));
    }), { numRuns: 200 });
  });
  test('never has more misses with one frame more', () => {
    fc.assert(fc.property(references, frames, (string, n) => {
      expect(page(opt, string, n + 1).misses).toBeLessThanOrEqual(page(opt, string, n).misses);
    }), { numRuns: 200 });
  });
});

describe('lru', () => {
  test('obeys inclusion: with one frame more it holds the same pages and perhaps another one, and never misses more', () => {
    fc.assert(fc.property(references, frames, (string, n) => {
      const [small, large] = [page(lru, string, n), page(lru, string, n + 1)];
      expect(large.misses).toBeLessThanOrEqual(small.misses);
      small.contents.forEach((memory, i) => { for (const held of memory) expect(large.contents[i]!.has(held)).toBe(true); });
    }), { numRuns: 300 });
  });
  test('holds the pages that a stack says: those used last', () => {
    fc.assert(fc.property(references, frames, (string, n) => {
      const stack: number[] = [];
      const { contents } = page(lru, string, n);
      string.forEach((used, i) => {
        if (stack.includes(used)) stack.splice(stack.indexOf(used), 1);
        stack.unshift(used);
        expect([...contents[i]!].sort()).toEqual(stack.slice(0, n).sort());
      });
    }), { numRuns: 100 });
  });
});

test('fifo obeys no inclusion: with Belady\'s string it has more misses with four frames than with three', () => {
  const string = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5];
  expect([3, 4].map((n) => page(smallPolicies.fifo, string, n).misses)).toEqual([9, 10]);
});
test('clock spares what was used, where fifo does not', () => {
  const string = Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? 0 : 1 + (i % 7)));
  expect(page(smallPolicies.clock, string, 4).misses).toBeLessThan(page(smallPolicies.fifo, string, 4).misses);
});
test('the starter is clock', () => {
  fc.assert(fc.property(references, frames, (string, n) => {
    expect(page(makeStarter, string, n).misses).toBe(page(smallPolicies.clock, string, n).misses);
  }));
});
