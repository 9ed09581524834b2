// The feedback of MGLRU: what was evicted or protected, and what came back, by tier; which kind of memory and which tiers eviction may take.
// Here: the counters of one lruvec, and the arithmetic on them. Not here: who counts (lru-gen-evict.ts, lru-gen.ts), what a tier is
// (lru-gen-folio.ts). Mirrors struct ctrl_pos, read_ctrl_pos(), reset_ctrl_pos(), positive_ctrl_err(), get_tier_idx() and get_type_to_scan()
// (mm/vmscan.c), 6.18, and 6.12 where params say so. One history slot, as in a kernel without CONFIG_LRU_GEN_STATS.
//
// Called a PID controller after its model. P: refaulted / (evicted + protected) of the generation that is being evicted; I: the same, averaged over
// the generations before with weight 1/2; there is no D. The setpoint is tier 0; a tier whose pages come back more readily than tier 0's
// is protected. Fewer than 64 refaults prove nothing.
import type { StateHash } from '#base';
import { LruType } from './lruvec.ts';
import { MAX_SWAPPINESS, SWAPPINESS_ANON_ONLY } from './scan.ts';

export const MAX_NR_TIERS = 4;
/** A few pages are no evidence: MIN_LRU_BATCH, the bits of a long. */
export const MIN_LRU_BATCH = 64;

/** The kinds that reclaim can take at some swappiness: min_type(), max_type(). */
export const minType = (swappiness: number): LruType => (swappiness === 0 ? LruType.File : LruType.Anon);
export const maxType = (swappiness: number): LruType => (swappiness < SWAPPINESS_ANON_ONLY ? LruType.File : LruType.Anon);

/** What is compared: pages that came back, of how many, and what a page of this sort weighs. */
interface CtrlPos { refaulted: number; total: number; gain: number }

/** Is it fine to evict what pv stands for? Few of it have come back, or no larger a share than of sp. */
export function positiveCtrlErr(sp: Readonly<CtrlPos>, pv: Readonly<CtrlPos>): boolean {
  return pv.refaulted < MIN_LRU_BATCH || pv.refaulted * (sp.total + MIN_LRU_BATCH) * sp.gain <= (sp.refaulted + 1) * pv.total * pv.gain;
}

/** In base pages, by type * MAX_NR_TIERS + tier. */
export class LruGenCounters {
  /** Of generations that have gone. */
  readonly avgRefaulted = new Float64Array(2 * MAX_NR_TIERS);
  readonly avgTotal = new Float64Array(2 * MAX_NR_TIERS);
  /** Since min_seq of the type last grew. */
  readonly refaulted = new Float64Array(2 * MAX_NR_TIERS);
  readonly evicted = new Float64Array(2 * MAX_NR_TIERS);
  readonly protected = new Float64Array(2 * MAX_NR_TIERS);
  /** Reused, so that eviction makes no objects. */
  private readonly sp: CtrlPos = { refaulted: 0, total: 0, gain: 0 };
  private readonly pv: CtrlPos = { refaulted: 0, total: 0, gain: 0 };

  /** @param from, end tiers that are summed up, half-open */
  private read(pos: CtrlPos, type: LruType, from: number, end: number, gain: number): void {
    pos.refaulted = pos.total = 0;
    pos.gain = gain;
    for (let at = type * MAX_NR_TIERS + from; at < type * MAX_NR_TIERS + end; at++) {
      pos.refaulted += this.avgRefaulted[at]! + this.refaulted[at]!;
      pos.total += this.avgTotal[at]! + this.protected[at]! + this.evicted[at]!;
    }
  }
  /** The oldest generation of a type is over: what happened to it becomes part of the average. */
  carryOver(type: LruType): void {
    for (let at = type * MAX_NR_TIERS; at < (type + 1) * MAX_NR_TIERS; at++) {
      this.avgRefaulted[at] = Math.floor((this.avgRefaulted[at]! + this.refaulted[at]!) / 2);
      this.avgTotal[at] = Math.floor((this.avgTotal[at]! + this.protected[at]! + this.evicted[at]!) / 2);
      this.refaulted[at] = this.evicted[at] = this.protected[at] = 0;
    }
  }
  /** The highest tier that may be evicted. get_tier_idx() */
  tierIdx(type: LruType, isOld: boolean): number {
    this.read(this.sp, type, 0, 1, isOld ? 1 : 2);
    return this.highestLike(type, isOld ? 2 : 3);
  }
  private highestLike(type: LruType, gain: number): number {
    let tier = 1;
    for (; tier < MAX_NR_TIERS; tier++) {
      this.read(this.pv, type, tier, tier + 1, gain);
      if (!positiveCtrlErr(this.sp, this.pv)) break;
    }
    return tier - 1;
  }
  /** Which kind to take: all that came back of one against all of the other, weighed by swappiness. get_type_to_scan() of 6.14 and later */
  typeToScan(swappiness: number): LruType {
    if (swappiness <= 1) return LruType.File;
    if (swappiness >= MAX_SWAPPINESS) return LruType.Anon;
    this.read(this.sp, LruType.Anon, 0, MAX_NR_TIERS, swappiness);
    this.read(this.pv, LruType.File, 0, MAX_NR_TIERS, MAX_SWAPPINESS - swappiness);
    return positiveCtrlErr(this.sp, this.pv) ? LruType.File : LruType.Anon;
  }
  /** Up to 6.13: first tiers only. get_type_to_scan() */
  oldTypeToScan(swappiness: number): LruType {
    this.read(this.sp, LruType.Anon, 0, 1, swappiness);
    this.read(this.pv, LruType.File, 0, 1, MAX_SWAPPINESS - swappiness);
    return positiveCtrlErr(this.sp, this.pv) ? LruType.File : LruType.Anon;
  }
  /** Up to 6.13: a kind that was chosen so has its tiers held against the other kind's first one. */
  oldTierIdx(type: LruType, swappiness: number): number {
    const gainOf = (t: LruType): number => (t === LruType.Anon ? swappiness : MAX_SWAPPINESS - swappiness);
    const other = type === LruType.Anon ? LruType.File : LruType.Anon;
    this.read(this.sp, other, 0, 1, gainOf(other));
    return this.highestLike(type, gainOf(type));
  }

  hash(into: StateHash): void {
    for (const counts of [this.avgRefaulted, this.avgTotal, this.refaulted, this.evicted, this.protected]) into.numbers(counts);
  }
}
