// The xarray beside a map from every index to its entry.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Mark, XArray } from '#kernel/mm/xarray.ts';

interface Held { readonly entry: number; readonly index: number; readonly order: number; readonly marks: Set<Mark> }
const marks = [Mark.Dirty, Mark.Writeback, Mark.ToWrite] as const;

/** Every index to what serves it. */
class Naive {
  readonly at = new Map<number, Held>();
  store(index: number, order: number, entry: number): void {
    const held = { entry, index, order, marks: new Set<Mark>() };
    for (let i = 0; i < 2 ** order; i++) this.at.set(index + i, held);
  }
  isFree(index: number, order: number): boolean {
    for (let i = 0; i < 2 ** order; i++) if (this.at.has(index + i)) return false;
    return true;
  }
  erase(index: number): void {
    const held = this.at.get(index);
    if (held !== undefined) for (let i = 0; i < 2 ** held.order; i++) this.at.delete(held.index + i);
  }
  next(from: number, end: number, mark: Mark | null): Held | null {
    let best: Held | null = null;
    for (const [index, held] of this.at) {
      if (index >= from && index < end && (mark === null || held.marks.has(mark)) && (best === null || index < best.index)) best = held;
    }
    return best;
  }
}

const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('store' as const), base: fc.nat(3), at: fc.nat(600), order: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('erase' as const), base: fc.nat(3), at: fc.nat(1100), order: fc.constant(0) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('split' as const), base: fc.nat(3), at: fc.nat(1100), order: fc.nat(8) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('mark' as const, 'unmark' as const), base: fc.nat(3), at: fc.nat(1100), order: fc.nat(2) }) },
);
const bases = [0, 4096, 2 ** 20, 2 ** 36];

describe('the xarray', () => {
  test('agrees with a map after any operations: entries, ranges, marks, walks; and ends empty', () => {
    fc.assert(fc.property(fc.array(operation, { maxLength: 60 }), fc.array(fc.nat(2 ** 12), { maxLength: 20 }), (operations, questions) => {
      const xa = new XArray();
      const naive = new Naive();
      let entry = 1;
      for (const { kind, base, at, order } of operations) {
        const place = bases[base]! + at;
        const index = place - (place % 2 ** order);
        const held = naive.at.get(place);
        switch (kind) {
          case 'store':
            if (!naive.isFree(index, order)) break;
            xa.store(index, order, entry);
            naive.store(index, order, entry++);
            break;
          case 'erase':
            expect(xa.erase(place)).toBe(held?.entry ?? 0);
            naive.erase(place);
            break;
          case 'split': {
            if (held === undefined || held.order < order) break;
            const pieces = Array.from({ length: 2 ** (held.order - order) }, () => ({ entry: entry++, order }));
            xa.split(place, pieces);
            naive.erase(place);
            pieces.forEach((piece, i) => naive.store(held.index + i * 2 ** order, order, piece.entry));
            for (let i = 0; i < 2 ** held.order; i++) for (const mark of held.marks) naive.at.get(held.index + i)!.marks.add(mark);
            break;
          }
          case 'mark':
            xa.setMark(place, marks[order]!);
            held?.marks.add(marks[order]!);
            break;
          case 'unmark':
            xa.clearMark(place, marks[order]!);
            held?.marks.delete(marks[order]!);
            break;
        }
      }
      for (const question of [...questions, ...naive.at.keys()].slice(0, 200)) {
        for (const base of bases) {
          const held = naive.at.get(base + question);
          expect(xa.load(base + question)).toBe(held?.entry ?? 0);
          expect(xa.find(base + question)).toEqual(held === undefined ? null : { entry: held.entry, index: held.index, order: held.order });
          for (const mark of marks) expect(xa.isMarked(base + question, mark)).toBe(held?.marks.has(mark) ?? false);
        }
      }
      for (const mark of [null, ...marks]) {
        const seen: number[] = [];
        for (let at = xa.next(0, Infinity, mark); at !== null; at = xa.next(at.index + 2 ** at.order, Infinity, mark)) seen.push(at.entry);
        expect(seen).toEqual([...new Set([...naive.at].sort(([a], [b]) => a - b).filter(([, held]) => mark === null || held.marks.has(mark)).map(([, held]) => held.entry))]);
        if (mark !== null) expect(xa.hasMark(mark)).toBe(seen.length > 0);
      }
      const from = questions[0] ?? 0;
      const end = from + (questions[1] ?? 100);
      expect(xa.next(from, end)?.entry ?? 0).toBe(naive.next(from, end, null)?.entry ?? 0);
      for (const index of [...naive.at.keys()]) xa.erase(index);
      expect([...xa]).toEqual([]);
      expect(xa.nrNodes).toBe(0);
    }), { numRuns: 120 });
  });

  test('a 2 MiB entry stands in one node of the second level, sixteen 4 KiB ones in one of the first', () => {
    const xa = new XArray();
    xa.store(512, 9, 7);
    expect([xa.nrNodes, xa.load(511), xa.load(512), xa.load(1023), xa.load(1024)]).toEqual([1, 0, 7, 7, 0]);
    for (let i = 0; i < 16; i++) xa.store(i, 0, 100 + i);
    expect(xa.nrNodes).toBe(2);
  });
});
