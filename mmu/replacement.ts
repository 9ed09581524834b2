// Which way a full set gives up: LRU, tree-PLRU, FIFO, random. Here: pure choices from stamps and fill order. Not here: who stamps (mmu.ts
// and the engines, through the filter).
//
// The fast path of an engine writes one stamp per access and knows no policy, so LRU and tree-PLRU are read off the stamps at miss time.
// Tree-PLRU keeps a bit per inner node that points away from the half touched last; the half touched last is the half that holds the
// larger greatest stamp, so the bit is a comparison of two maxima. Ties can only be between ways never touched: the bit then has its reset
// value, which points left. Ways that a fence invalidated keep their stamps, as the hardware's bits keep their state.
//
// A free way is used before any victim: the lowest, but under tree-PLRU the one that the bits lead to (so that a cold set fills in the order
// 0, 2, 1, 3 in which it will be replaced, and a cyclic walk over one page too many misses always, as the closed form says).
import type { Prng } from '#base';
import type { Arena } from './arena.ts';

export const Policy = { Lru: 0, Plru: 1, Fifo: 2, Random: 3 } as const;
export type Policy = (typeof Policy)[keyof typeof Policy];
export const policyNamed = { lru: Policy.Lru, plru: Policy.Plru, fifo: Policy.Fifo, random: Policy.Random } as const;

/** The way to replace among ways [first, first + ways), all of them valid. Ties go to the lowest way.
 *  @param stamps last touch of each entry; @param filled order in which each was filled */
export function victimOf(policy: Policy, stamps: Float64Array, filled: Float64Array, first: number, ways: number, random: Prng): number {
  switch (policy) {
    case Policy.Lru: return smallest(stamps, first, ways);
    case Policy.Plru: return treeVictim(stamps, first, ways);
    case Policy.Fifo: return smallest(filled, first, ways);
    case Policy.Random: return first + random.below(ways);
  }
}

/** The free way to use among [first, first + ways), or -1. @param probe an entry is free where this is `free` */
export function freeWay(policy: Policy, stamps: Float64Array, probe: Int32Array, free: number, first: number, ways: number): number {
  let at = lowestFree(probe, free, first, ways);
  if (policy !== Policy.Plru || at < 0) return at;
  at = first;
  for (let half = ways >> 1; half > 0; half >>= 1) {
    const right = greatest(stamps, at, half) > greatest(stamps, at + half, half);
    if (lowestFree(probe, free, right ? at + half : at, half) < 0 ? !right : right) at += half;
  }
  return at;
}
function lowestFree(probe: Int32Array, free: number, first: number, ways: number): number {
  for (let e = first; e < first + ways; e++) if (probe[e] === free) return e;
  return -1;
}

const KEPT = 8;

/** The oldest few of many ways, in order, so that a fully associative array is scanned once for eight victims instead of for each.
 *  Exact, because stamps only grow: an entry not among the oldest eight at the scan cannot be older than one of them that was not touched
 *  since. It is a cache of what a scan would say, and no part of the state. */
export class Oldest {
  private readonly first: number;
  private readonly ways: number;
  /** [0] position of the next candidate; then the candidates. In the arena, so that they go back with the stamps when memory does. */
  private readonly queue: Int32Array;
  private readonly stamps: Float64Array;

  constructor(arena: Arena, first: number, ways: number) {
    this.first = first;
    this.ways = ways;
    this.queue = arena.int32(1 + KEPT).fill(first);
    this.queue[0] = KEPT;
    this.stamps = arena.float64(KEPT);
  }

  /** The oldest way; all are valid, and no two stamps of valid ways are equal. */
  take(stamps: Float64Array): number {
    const { queue } = this;
    for (;;) {
      for (let i = queue[0]!; i < KEPT; i++) {
        const e = queue[1 + i]!;
        if (stamps[e] === this.stamps[i]) {
          queue[0] = i + 1;
          return e;
        }
      }
      this.scan(stamps);
    }
  }
  /** From behind the last candidate on: ways that are filled in turn are then met in the order of their stamps, so that few are moved on. */
  private scan(stamps: Float64Array): void {
    const { queue } = this;
    const kept = this.stamps;
    kept.fill(Infinity);
    const end = this.first + this.ways;
    for (let n = this.ways, e = queue[KEPT]! + 1; n > 0; n--, e++) {
      if (e >= end) e = this.first;
      const stamp = stamps[e]!;
      if (stamp >= kept[KEPT - 1]!) continue;
      let at = KEPT - 1;
      for (; at > 0 && kept[at - 1]! > stamp; at--) {
        kept[at] = kept[at - 1]!;
        queue[1 + at] = queue[at]!;
      }
      kept[at] = stamp;
      queue[1 + at] = e;
    }
    queue[0] = 0;
  }
}

function smallest(values: Float64Array, first: number, ways: number): number {
  let at = first;
  let least = values[first]!;
  for (let e = first + 1; e < first + ways; e++) {
    const v = values[e]!;
    if (v < least) {
      least = v;
      at = e;
    }
  }
  return at;
}

function greatest(values: Float64Array, first: number, ways: number): number {
  let most = values[first]!;
  for (let e = first + 1; e < first + ways; e++) if (values[e]! > most) most = values[e]!;
  return most;
}

/** From the root, always into the half touched longer ago. */
function treeVictim(stamps: Float64Array, first: number, ways: number): number {
  let at = first;
  for (let half = ways >> 1; half > 0; half >>= 1) {
    if (greatest(stamps, at, half) > greatest(stamps, at + half, half)) at += half;
  }
  return at;
}
