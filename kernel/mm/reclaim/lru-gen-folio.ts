// What MGLRU keeps with a folio: its generation, how often it was used, and where it stands. Here: the bits of folios.lruWord(), and what uses and
// tiers follow from them and from the flags. Not here: who changes them (lru-gen.ts). Mirrors LRU_GEN_MASK, LRU_REFS_MASK (include/linux/mmzone.h),
// folio_lru_refs() and lru_tier_from_refs() (include/linux/mm_inline.h), 6.18, and of 6.12.
//
//   bits 0..2  generation + 1; 0: on no list         bits 3..4  uses beyond the first (Linux: the refs field)
//   bits 5..7  the list that it stands on, + 1: that of an earlier generation, if it was promoted and nobody has moved it yet
//   bits 8..10 the generation + 1 that it had when it left its list, for the pieces of a folio that is split
//
// Flags. Referenced: used once. Workingset: used so often that counting has ended, or it came back after eviction. Active is never set on a list; while a
// folio is off its list it means: belongs to the young.
import { FolioFlag } from '../folio.ts';

/** Generations that a type may have at once. */
export const MAX_NR_GENS = 4;
/** The two youngest are what /proc/meminfo calls active; they are not evicted. */
export const MIN_NR_GENS = 2;
export const GEN_MASK = 0b111;
const REFS_SHIFT = 3;
export const REFS_MASK = 0b11 << REFS_SHIFT;
export const ONE_REF = 1 << REFS_SHIFT;
const LIST_SHIFT = 5;
const LEFT_SHIFT = 8;

/** -1: on no list. folio_lru_gen() */
export const genOf = (word: number): number => (word & GEN_MASK) - 1;
/** The generation on whose list it stands. */
export const listOf = (word: number): number => ((word >> LIST_SHIFT) & GEN_MASK) - 1;
/** The generation that it had before it left; -1: none. */
export const leftGenOf = (word: number): number => ((word >> LEFT_SHIFT) & GEN_MASK) - 1;
export const refsFieldOf = (word: number): number => (word & REFS_MASK) >> REFS_SHIFT;
export const withRefsField = (word: number, refs: number): number => (word & ~REFS_MASK) | (refs << REFS_SHIFT);
export const withGen = (word: number, gen: number): number => (word & ~GEN_MASK) | (gen + 1);
export const withList = (word: number, gen: number): number => (word & ~(GEN_MASK << LIST_SHIFT)) | ((gen + 1) << LIST_SHIFT);
/** On a list, of a generation. */
export const placed = (word: number, gen: number, list: number): number => (word & REFS_MASK) | (gen + 1) | ((list + 1) << LIST_SHIFT);
/** Off it. */
export const left = (word: number): number => (word & REFS_MASK) | ((word & GEN_MASK) << LEFT_SHIFT);

/** How often it was used, 0 to 4, the working-set flag aside. Up to 6.13: uses beyond the first, that flag included. */
export function refsOf(flags: number, word: number, isOld: boolean): number {
  if (isOld) return refsFieldOf(word) + ((flags & FolioFlag.Workingset) !== 0 ? 1 : 0);
  return (flags & FolioFlag.Referenced) !== 0 ? refsFieldOf(word) + 1 : 0;
}
/** order_base_2() of 0 to 5. */
const ORDER_BASE_2 = [0, 0, 1, 2, 2, 3] as const;
/** Uses on a logarithmic scale, 0 to 3. @param refs as refsOf() gives them */
export function tierOf(flags: number, refs: number, isOld: boolean): number {
  if (isOld) return ORDER_BASE_2[refs + 1]!;
  return (flags & FolioFlag.Workingset) !== 0 ? 3 : ORDER_BASE_2[refs]!;
}
/** Used as often as can be told: it is promoted, whatever became of its tier. */
export function isSaturated(flags: number, refs: number, isOld: boolean): boolean {
  return refs === 4 && (isOld || (flags & FolioFlag.Workingset) !== 0);
}
