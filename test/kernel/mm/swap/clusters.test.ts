// The cluster allocator beside a naive model: a Map of the slots in use.
import { describe, expect, test } from 'vitest';
import { Prng } from '#base';
import { CLUSTER_SLOTS, SlotUse, SwapClusters } from '#kernel/mm/swap/clusters.ts';

/** Slots by what they are: absent is free. */
class Slots {
  readonly used = new Map<number, SlotUse>([[0, SlotUse.Used]]);
  isFull = false;
  clusters!: SwapClusters;
  use(offset: number): SlotUse {
    return this.used.get(offset) ?? SlotUse.Free;
  }
  reclaimCached(offset: number): number {
    this.used.delete(offset);
    this.clusters.free(offset, 1);
    return 1;
  }
}
function device(nrSlots: number): { slots: Slots; clusters: SwapClusters; take: (order: number, use?: SlotUse) => number; free: (offset: number, nr: number) => void } {
  const slots = new Slots();
  const clusters = slots.clusters = new SwapClusters(nrSlots, slots);
  const take = (order: number, use: SlotUse = SlotUse.Used): number => {
    const offset = clusters.alloc(order);
    if (offset === 0) return 0;
    for (let i = 0; i < 1 << order; i++) {
      expect(slots.use(offset + i)).toBe(SlotUse.Free);
      slots.used.set(offset + i, use);
    }
    return offset;
  };
  const free = (offset: number, nr: number): void => {
    for (let i = 0; i < nr; i++) slots.used.delete(offset + i);
    clusters.free(offset, nr);
  };
  return { slots, clusters, take, free };
}

describe('a swap device of clusters', () => {
  test('gives out single pages one after the other, and runs of each order in clusters of their own', () => {
    const { take } = device(4 * CLUSTER_SLOTS);
    expect([take(0), take(0), take(4), take(0), take(4), take(2)]).toEqual([512, 513, 1024, 514, 1040, 1536]);
  });
  test('is used up to the last slot by single pages, and says so', () => {
    const { take, clusters } = device(3 * CLUSTER_SLOTS - 7);
    let taken = 0;
    while (take(0) !== 0) taken++;
    expect(taken).toBe(3 * CLUSTER_SLOTS - 8);
    clusters.check();
  });
  test('has no run for a large folio when every cluster has lost a page of each run, though most slots are free', () => {
    const { take, free, clusters } = device(8 * CLUSTER_SLOTS);
    const got: number[] = [];
    for (let at = take(0); at !== 0; at = take(0)) got.push(at);
    for (const at of got) if (at % 16 !== 3) free(at, 1);
    expect(take(4)).toBe(0);
    expect(take(2)).toBe(0); // clusters of single pages are theirs until they are empty
    expect(take(0)).not.toBe(0);
    clusters.check();
  });
  test('lets single pages have the holes of larger runs, once nothing else is left', () => {
    const { take, free } = device(2 * CLUSTER_SLOTS);
    const runs = Array.from({ length: 32 }, () => take(4)).filter((at) => at !== 0);
    while (take(0) !== 0);
    free(runs[5]!, 1);
    expect(take(4)).toBe(0);
    expect(take(0)).toBe(runs[5]);
  });
  test('gives up what only the swap cache keeps when swap is short, and not before', () => {
    const { slots, take } = device(2 * CLUSTER_SLOTS);
    while (take(0, SlotUse.CacheOnly) !== 0);
    expect(take(0)).toBe(0);
    slots.isFull = true;
    expect(take(0)).not.toBe(0);
  });
  test.each([1, 2, 3, 4])('agrees with a map of slots under any operations, seed %i', (seed) => {
    const random = new Prng(seed, 'clusters');
    const { slots, clusters, take, free } = device(6 * CLUSTER_SLOTS + 100);
    const runs: { at: number; nr: number }[] = [];
    for (let step = 0; step < 6000; step++) {
      slots.isFull = slots.used.size > 3 * CLUSTER_SLOTS;
      const order = random.below(8) === 0 ? random.below(10) : random.below(5);
      if (random.below(100) < 55 - (slots.isFull ? 10 : 0)) {
        const use = random.below(4) === 0 ? SlotUse.CacheOnly : SlotUse.Used;
        const at = take(order, use);
        const nr = 1 << order;
        expect(at % nr).toBe(0);
        if (at === 0) {
          // Order 0 fails only when nothing is free.
          if (order === 0) expect(slots.used.size).toBe(6 * CLUSTER_SLOTS + 100);
          continue;
        }
        if (use === SlotUse.Used) runs.push({ at, nr });
      } else if (runs.length > 0) {
        const [run] = runs.splice(random.below(runs.length), 1);
        const part = 1 + random.below(run!.nr);
        free(run!.at, part);
        if (part < run!.nr) runs.push({ at: run!.at + part, nr: run!.nr - part });
      }
      if (step % 50 === 0) clusters.check();
    }
    for (const offset of [...slots.used.keys()]) if (offset > 0) free(offset, 1);
    clusters.check();
    expect(clusters.describe().free).toBe(6 - 1);
  });
});
