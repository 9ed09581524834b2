// Lruvec: the reclaimable folios of one memory control group, under one policy. Here: what the kernel tells a policy, and asks of it. Not here:
// policies (two-list.ts, lru-gen.ts; chosen.ts for the small ones, which implement ReclaimPolicy instead), the mechanism that they
// call (shrink.ts), when and how hard (vmscan.ts). Mirrors struct lruvec and the functions that take one (mm/vmscan.c, mm/swap.c), 6.18.
//
// A folio is on at most one list of one lruvec, and then has FolioFlag.Lru. Whoever takes it off to work on it (isolation) holds a reference,
// and puts it back by LruLists.putBack(), or lets it go. While it is off, Active means: to be put back among the young.
import type { Folio, StateHash } from '#base';
import type { MemCgroup } from '../memcg.ts';
import type { Mapping } from '../rmap-walk.ts';
import type { MmSystem } from '../system.ts';
import type { References, ScanControl, Verdict } from './scan.ts';

/** The kinds of memory that are told apart: what goes to swap, and what has its home in a file (freed lazily counts as that). */
export const LruType = { Anon: 0, File: 1 } as const;
export type LruType = (typeof LruType)[keyof typeof LruType];

/** How a folio comes onto a list. */
export const LruAdd = {
  /** It is new: faulted in, read in, or brought in from swap. */
  New: 0,
  /** It was isolated and stays: putback_lru_folio(), move_folios_to_lru(). */
  PutBack: 1,
  /** Its writing, begun by reclaim, has ended: to the end that goes next. lru_move_tail() */
  Rotate: 2,
  /** The policy was changed, or the group went, or what its place depends on; or it was moved to other frames. */
  Moved: 3,
  /** It is a piece of a split folio, which stood on a list: it takes its place there. lru_add_split_folio() */
  Split: 4,
} as const;
export type LruAdd = (typeof LruAdd)[keyof typeof LruAdd];

/** A shadow: what is left in a file's or the swap cache's tree of a folio that was evicted. Any integer in [0, 2^36). */
export type Shadow = number;

export interface Lruvec {
  readonly policy: string;
  readonly group: MemCgroup;

  /** Puts a folio on a list. It has no Lru flag yet; the caller (LruLists) sets it. @param beforeOf a piece of a split folio goes right behind this one */
  add(folio: Folio, how: LruAdd, isFault: boolean, behind?: Folio): void;
  /** Takes it off its list. The Active flag afterwards says whether it belongs to the young (lru_gen_del_folio() does the same). */
  remove(folio: Folio): void;
  /** A folio on a list was used by read(2), write(2) and their like: folio_mark_accessed(). */
  markAccessed(folio: Folio): void;
  /** folio_activate(); deactivate_file_folio() and folio_deactivate() (MADV_COLD, invalidation that could not be); folio_mark_lazyfree(), whose SwapBacked flag is
   *  cleared by the lists' owner, between remove and add. */
  activate(folio: Folio): void;
  deactivate(folio: Folio): void;

  /** One pass at sc.priority: takes folios off, has them shrunk (shrinkFolioList), puts back what stays; adds to sc. shrink_lruvec() */
  shrink(sc: ScanControl): void;
  /** kswapd's background aging: kswapd_age_node(). */
  age(sc: ScanControl): void;
  /** Must this folio stay, go, become young? Its entries' A bits have been read and cleared. folio_check_references() */
  judge(folio: Folio, references: References, sc: ScanControl): Verdict;
  /** rmap met a young entry of a folio that is about to go; the neighbours' bits are cheap to read now. lru_gen_look_around() @returns whether it did anything */
  lookAround?(mapping: Mapping): boolean;

  /** The folio leaves for good, by reclaim: what to remember in its place. workingset_eviction() */
  evicted(folio: Folio, target: MemCgroup | null): Shadow;
  /** It comes back, and that was remembered; before add(). Counts refaults and restores; may set Active and Workingset. workingset_refault() */
  refault(folio: Folio, shadow: Shadow): void;
  /** Of a shadow: would the folio still be in memory if it had been on the active list (workingset_test_recent())? cachestat(2) asks. */
  isRecent(shadow: Shadow, isFile: boolean): boolean;

  /** The group has been removed, and lives on as long as pages are charged to it; it is gone, or has another lruvec from now on. */
  offline?(): void;
  release?(): void;

  /** Base pages on its lists. */
  pages(type: LruType): number;
  /** As /proc/meminfo shows them; with `pages`, inactive = pages - active. */
  activePages(type: LruType): number;
  /** Every folio on a list, oldest first: for moving all to another policy, for reports and checks. */
  all(type: LruType): Iterable<Folio>;
  /** What `quire mm lru` shows: the lists from old to young. */
  describe(): LruDescription[];
  /** Where a folio stands, in words that `quire why` prints. */
  standing(folio: Folio): string;
  /** Throws Bug when a list and its counts disagree. */
  check(): void;
  hash(into: StateHash): void;
}
/** One list, or one generation: pages by type; age in milliseconds of modelled time where the policy knows it. */
export interface LruDescription { readonly name: string; readonly anonPages: number; readonly filePages: number; readonly anonFolios: number; readonly fileFolios: number; readonly ageMs: number | null }

/** Makes the lruvec of a group. */
export interface LruvecKind {
  readonly name: string;
  create(group: MemCgroup): Lruvec;
  /** A pass of reclaim for the machine, where the policy chooses among groups itself; sc.nr is fresh. lru_gen_shrink_node() */
  shrinkNode?(system: MmSystem, sc: ScanControl): void;
  /** kswapd, before a pass, in place of Lruvec.age() of each group. lru_gen_age_node() */
  ageNode?(system: MmSystem, sc: ScanControl): void;
}
