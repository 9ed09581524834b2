// The ring of checkpoints: in the order of the run, within its bytes, thin where one is far from.
import { expect, test } from 'vitest';
import { CheckpointRing, type Checkpoint } from '#tools/debugger/checkpoint.ts';
import { at } from './fixture.ts';

const PAGE = 4096;
/** A checkpoint whose memory is `nr` pages of its own, and those it shares. */
function made(instret: number, nr: number, shared: readonly Uint8Array[] = []): Checkpoint & { pages: Uint8Array[] } {
  const pages = [...shared, ...Array.from({ length: nr }, () => new Uint8Array(PAGE))];
  return {
    place: at(instret), hostMs: instret, pages, rest: {} as never,
    heap: { objects: [], shapes: [], values: [], starts: [], buffers: new Map(), ownBytes: 0 },
    machine: { columns: [], frames: pages.map((page) => [page]), ownBytes: nr * PAGE + 8 * pages.length },
  };
}

test('the last one at or before a place is found, and the one strictly before', () => {
  const ring = new CheckpointRing(1e9);
  for (const instret of [0, 50, 10, 30]) ring.add(made(instret, 1));
  expect([0, 5, 10, 29, 30, 1000].map((n) => ring.before(at(n)).place.instret)).toEqual([0, 0, 10, 10, 30, 50]);
  expect([5, 10, 30, 51].map((n) => ring.strictlyBefore(at(n))?.place.instret)).toEqual([0, 0, 10, 50]);
  expect(ring.strictlyBefore(at(0))).toBeNull();
});
test('there is never a second one at a place', () => {
  const ring = new CheckpointRing(1e9);
  for (const instret of [0, 10, 10, 0]) ring.add(made(instret, 1));
  expect(ring.length).toBe(2);
  expect(ring.strictlyBefore(at(10))!.place.instret).toBe(0);
});
test('it stays within its bytes, keeps the start and the newest, and is dense near the newest', () => {
  const ring = new CheckpointRing(40 * PAGE);
  for (let instret = 0; instret <= 20_000; instret += 100) {
    ring.add(made(instret, 1));
    expect(ring.sizeBytes).toBeLessThanOrEqual(40 * PAGE);
  }
  const places = [];
  for (let c = ring.before(at(1e9)); ; c = ring.strictlyBefore(c.place)!) {
    places.unshift(c.place.instret);
    if (c.place.instret === 0) break;
  }
  expect([places[0], places.at(-1)]).toEqual([0, 20_000]);
  expect(places.filter((n) => n > 18_000).length).toBeGreaterThan(places.filter((n) => n < 10_000).length);
});
test('bytes that neighbours share are counted once, and given back when nobody has them', () => {
  const ring = new CheckpointRing(1e9);
  const first = made(0, 10);
  ring.add(first);
  ring.add(made(10, 0, first.pages));
  ring.add(made(20, 0, first.pages));
  const before = ring.sizeBytes;
  ring.dropAfter(at(5));
  expect(before).toBeLessThan(11 * PAGE);
  expect(ring.sizeBytes).toBe(10 * PAGE + 80);
});
test('another run from a place on forgets what lay ahead', () => {
  const ring = new CheckpointRing(1e9);
  for (const instret of [0, 10, 20, 30]) ring.add(made(instret, 1));
  ring.dropAfter(at(15));
  expect(ring.before(at(100)).place.instret).toBe(10);
});
