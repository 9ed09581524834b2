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
import type { OldestPlan } from './plan.ts';

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

/** Accesses in a row that an entry is sure to outlive, its own the first of them, whatever the others hit or replace. Under LRU a way goes when all others have
 *  been touched since; a tree leads to it once each bit on its path has been turned, one by one; FIFO knows no hits. */
export function outlives(policy: Policy, ways: number): number {
  switch (policy) {
    case Policy.Lru: return ways;
    case Policy.Plru: return 1 + Math.log2(ways);
    case Policy.Fifo: case Policy.Random: return 1;
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

/** More ways than these are not sorted by insertion. */
const FEW_WAYS = 256;

/** Ways in the order of their stamps at some time, so that a fully associative array is not searched for each victim. Exact, because stamps only
 *  grow: of the ways that were not touched since, the first is the oldest of all. When none is left they are put in order again, which costs little where
 *  they were filled in turn: they are in order. It is a cache of what a search would say, and no part of the state. */
export class Oldest {
  private readonly ways: number;
  /** [0] position of the next candidate; then the ways. In the arena, so that they go back with the stamps when memory does. */
  private readonly queue: Int32Array;
  /** By position: the stamp when they were put in order. */
  private readonly stamps: Float64Array;

  constructor(arena: Arena, first: number, ways: number) {
    this.ways = ways;
    this.queue = arena.int32(1 + ways);
    this.queue[0] = ways;
    for (let i = 0; i < ways; i++) this.queue[1 + i] = first + i;
    this.stamps = arena.float64(ways);
  }

  /** Where it keeps them, for an engine that looks ahead: see plan.ts. null: they are too many for it. */
  get plan(): OldestPlan | null {
    return this.ways > FEW_WAYS ? null : { ways: this.ways, queue: this.queue.byteOffset, stamps: this.stamps.byteOffset };
  }

  /** The oldest way; all are valid, and no two stamps of valid ways are equal. */
  take(stamps: Float64Array): number {
    const { queue, ways } = this;
    for (;;) {
      for (let i = queue[0]!; i < ways; i++) {
        const e = queue[1 + i]!;
        if (stamps[e] === this.stamps[i]) {
          queue[0] = i + 1;
          return e;
        }
      }
      this.putInOrder(stamps);
    }
  }
  private putInOrder(stamps: Float64Array): void {
    const { queue, ways, stamps: sorted } = this;
    if (ways > FEW_WAYS) {
      queue.subarray(1).sort((a, b) => stamps[a]! - stamps[b]!);
      for (let i = 0; i < ways; i++) sorted[i] = stamps[queue[1 + i]!]!;
    } else {
      for (let i = 0; i < ways; i++) {
        const e = queue[1 + i]!;
        const stamp = stamps[e]!;
        let at = i;
        for (; at > 0 && sorted[at - 1]! > stamp; at--) {
          sorted[at] = sorted[at - 1]!;
          queue[1 + at] = queue[at]!;
        }
        sorted[at] = stamp;
        queue[1 + at] = e;
      }
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
