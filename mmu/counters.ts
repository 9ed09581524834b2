// What is counted, exactly as the design defines it: a look-up is a hit or a miss at L1, an L1 miss is one look-up at L2, an L2 miss is one
// walk. Here: the columns and the report made from them. Not here: who counts (mmu.ts; engines add filter hits to `lookups`).
//
// Hits are never stored: they are look-ups minus misses, so `lookups = hits + misses` holds by construction at every level.
import type { StateHash } from '#base';
import type { Arena } from './arena.ts';
import type { MissClassCounts } from './classes.ts';
import { LEAF_SIZES } from './description.ts';

/** Sides of a hierarchy. */
export const Side = { Fetch: 0, Data: 1 } as const;
const KINDS = ['fetch', 'load', 'store', 'amo'] as const;
const SIZES = LEAF_SIZES.length;
/** Entries of base pages hold 1 to 8 pages, or the 16 of a Svnapot region. */
export const MAX_PAGES_PER_ENTRY = 16;

export class TlbCounters {
  /** By Access: look-ups at L1. Engines add their filter hits here. */
  readonly lookups: Float64Array;
  /** By Access. */
  readonly l1Misses: Float64Array;
  readonly l2Lookups: Float64Array;
  readonly l2Misses: Float64Array;
  /** By side and leaf size, [side * 6 + size]: only accesses whose translation was found. */
  readonly l1MissesBySize: Float64Array;
  readonly l2HitsBySize: Float64Array;
  readonly l2MissesBySize: Float64Array;
  readonly walksBySize: Float64Array;
  /** Entries by the number of base pages they got when a walk filled them. */
  readonly pagesPerEntry: Float64Array;
  /** By side: entries filled that cover less than the page-table leaf behind them. */
  readonly partialReach: Float64Array;
  private readonly single: Float64Array;
  /** Of all walks, by level; owned by the walker. */
  readonly readsByLevel: Float64Array;

  constructor(arena: Arena, readsByLevel: Float64Array) {
    this.lookups = arena.float64(4);
    this.l1Misses = arena.float64(4);
    this.l2Lookups = arena.float64(4);
    this.l2Misses = arena.float64(4);
    this.l1MissesBySize = arena.float64(2 * SIZES);
    this.l2HitsBySize = arena.float64(2 * SIZES);
    this.l2MissesBySize = arena.float64(2 * SIZES);
    this.walksBySize = arena.float64(SIZES);
    this.pagesPerEntry = arena.float64(MAX_PAGES_PER_ENTRY + 1);
    this.partialReach = arena.float64(4);
    this.single = arena.float64(Object.keys(Count).length);
    this.readsByLevel = readsByLevel;
  }

  /** Where a single count lies, as a byte offset in the arena. */
  place(what: Count): number {
    return this.single.byteOffset + 8 * what;
  }
  add(what: Count, n = 1): void {
    this.single[what]! += n;
  }
  get(what: Count): number {
    return this.single[what]!;
  }
  hash(into: StateHash): void {
    for (const column of [this.lookups, this.l1Misses, this.l2Lookups, this.l2Misses, this.l1MissesBySize, this.l2HitsBySize,
      this.l2MissesBySize, this.walksBySize, this.pagesPerEntry, this.partialReach, this.single]) into.numbers(column);
  }
}

export const Count = {
  /** Walks: one for each miss of the last level. */
  Walks: 0,
  PteReads: 1,
  /** Walks that a page-walk cache let start below the root. */
  PwcHits: 2,
  WalkFaults: 3,
  /** A or D had to be set for a translation that was cached: a second walk on memory, no miss. */
  Assists: 4,
  AssistPteReads: 5,
  Accessed: 6,
  Dirty: 7,
  /** Fills of more than one page by coalescing or a Svnapot mark. */
  CoalescedFills: 8,
  /** Pages dropped by a fence that asked for a neighbour. */
  Collateral: 9,
  FlushAll: 10,
  FlushAsid: 11,
  FlushPage: 12,
  PageFaults: 13,
  AccessFaults: 14,
} as const;
export type Count = (typeof Count)[keyof typeof Count];

/** One level in the report. */
export interface LevelReport {
  lookups: number; hits: number; misses: number;
  byKind: Record<string, { lookups: number; hits: number; misses: number }>;
  byPageSize: Record<string, { hits?: number; misses: number }>;
  /** Where asked for; only misses whose translation was found. */
  missClasses?: MissClassCounts;
}
/** `tlb` of the report quire.stat/1. */
export interface TlbReport {
  l1i: LevelReport; l1d: LevelReport; l2: LevelReport | null; l2i?: LevelReport | null;
  walks: { count: number; pteReads: number; pwcHits: number; faults: number; byPageSize: Record<string, number>; byLevel: number[] };
  coalescing: { fills: number; pagesPerEntry: number[]; collateral: number; partialReach: { l1i: number; l1d: number; l2: number } };
  flushes: { all: number; asid: number; page: number };
  ad: { accessed: number; dirty: number; assists: number; assistPteReads: number };
  faults: { page: number; access: number };
}

/** Writes the report. @param shape which L2s there are */
export function reportOf(c: TlbCounters, shape: { readonly l2: boolean; readonly l2i: boolean | 'unified' }): TlbReport {
  const fetch = [0];
  const data = [1, 2, 3];
  const l2Level = (kinds: readonly number[], sides: readonly number[]): LevelReport =>
    levelReport(c.l2Lookups, c.l2Misses, kinds, sides, c.l2MissesBySize, c.l2HitsBySize);
  const unified = shape.l2i === 'unified';
  const report: TlbReport = {
    l1i: levelReport(c.lookups, c.l1Misses, fetch, [Side.Fetch], c.l1MissesBySize, null),
    l1d: levelReport(c.lookups, c.l1Misses, data, [Side.Data], c.l1MissesBySize, null),
    l2: !shape.l2 ? null : unified ? l2Level([...fetch, ...data], [Side.Fetch, Side.Data]) : l2Level(data, [Side.Data]),
    walks: {
      count: c.get(Count.Walks), pteReads: c.get(Count.PteReads), pwcHits: c.get(Count.PwcHits), faults: c.get(Count.WalkFaults),
      byPageSize: sizes((s) => c.walksBySize[s]!, (n) => n > 0), byLevel: [...c.readsByLevel],
    },
    coalescing: {
      fills: c.get(Count.CoalescedFills), pagesPerEntry: [...c.pagesPerEntry], collateral: c.get(Count.Collateral),
      partialReach: { l1i: c.partialReach[0]!, l1d: c.partialReach[1]!, l2: c.partialReach[2]! + c.partialReach[3]! },
    },
    flushes: { all: c.get(Count.FlushAll), asid: c.get(Count.FlushAsid), page: c.get(Count.FlushPage) },
    ad: { accessed: c.get(Count.Accessed), dirty: c.get(Count.Dirty), assists: c.get(Count.Assists), assistPteReads: c.get(Count.AssistPteReads) },
    faults: { page: c.get(Count.PageFaults), access: c.get(Count.AccessFaults) },
  };
  if (!unified) report.l2i = shape.l2i ? l2Level(fetch, [Side.Fetch]) : null;
  return report;
}

function levelReport(lookups: Float64Array, misses: Float64Array, kinds: readonly number[], sides: readonly number[],
  missesBySize: Float64Array, hitsBySize: Float64Array | null): LevelReport {
  const sum = (column: Float64Array): number => kinds.reduce((n, k) => n + column[k]!, 0);
  const sumSides = (column: Float64Array, size: number): number => sides.reduce((n, s) => n + column[s * SIZES + size]!, 0);
  const byKind: LevelReport['byKind'] = {};
  for (const k of kinds) byKind[KINDS[k]!] = { lookups: lookups[k]!, hits: lookups[k]! - misses[k]!, misses: misses[k]! };
  return {
    lookups: sum(lookups), hits: sum(lookups) - sum(misses), misses: sum(misses), byKind,
    byPageSize: sizes(
      (s) => (hitsBySize === null ? { misses: sumSides(missesBySize, s) } : { hits: sumSides(hitsBySize, s), misses: sumSides(missesBySize, s) }),
      (row) => row.misses > 0 || (row.hits ?? 0) > 0),
  };
}

/** A row for each leaf size that occurred, smallest first. */
function sizes<T>(of: (size: number) => T, occurred: (value: T) => boolean): Record<string, T> {
  const rows: Record<string, T> = {};
  LEAF_SIZES.forEach((name, s) => {
    const value = of(s);
    if (occurred(value)) rows[name] = value;
  });
  return rows;
}
