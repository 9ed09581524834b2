import { describe, expect, test } from 'vitest';
import { checkStat, statFields } from '#tools/schema.ts';
import { handMadeReport } from './fixture.ts';

const damaged = (change: (report: any) => void): string[] => {
  const report = structuredClone(handMadeReport());
  change(report);
  return checkStat(report);
};

describe('the checker of quire.stat/1', () => {
  test('finds nothing wrong with a whole report', () => expect(checkStat(handMadeReport())).toEqual([]));
  test('accepts a hierarchy without a second level', () => expect(damaged((r) => { r.tlb.l2 = null; })).toEqual([]));
  test('accepts a second level for fetches', () => expect(damaged((r) => { r.tlb.l2i = r.tlb.l1i; })).toEqual([]));
  test.each([
    ['a missing field', (r: any) => { delete r.stateHash; }, 'stateHash: missing'],
    ['a whole missing part', (r: any) => { delete r.tlb.ad; }, 'tlb.ad.dirty: missing'],
    ['a field that nobody declared', (r: any) => { r.clock.ticks = 1; }, 'clock.ticks: not declared in the schema'],
    ['a count that is negative', (r: any) => { r.faults.minor = -1; }, 'faults.minor: -1 is not a count'],
    ['a count with a fraction', (r: any) => { r.clock.instructions = 1.5; }, 'clock.instructions: 1.5 is not a count'],
    ['lookups that are not hits plus misses', (r: any) => { r.tlb.l1d.hits++; }, 'tlb.l1d: 513000 lookups are not 500001 hits + 13000 misses'],
  ])('finds %s', (_, change, problem) => expect(damaged(change)).toContain(problem));
});

test('every field is declared once and has a meaning', () => {
  const paths = statFields.map(([path]) => path);
  expect(new Set(paths).size).toBe(paths.length);
  for (const [path, , meaning] of statFields) expect(meaning.length, path).toBeGreaterThan(10);
});
