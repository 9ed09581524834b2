// The MMU's columns, for an engine that does the most common misses itself. Here: their places, and what such an engine can search. Who reads them keeps to mmu.ts and tlb.ts, and asks
// mmu.lookup() for everything else; tests compare both ways on every counter.
//
// A plan covers hierarchies that join unmarked pages by one model or not at all, whose L2 neither includes nor excludes L1, and no random replacement. All
// places are byte offsets in the arena.
import type { AdRule } from './description.ts';

/** An array of a level, as the entries of one order in it are found: a probe of tlb.ts. */
export interface ProbePlan {
  /** Its number. */
  readonly probe: number;
  readonly order: number;
  readonly first: number;
  readonly ways: number;
  readonly setMask: number;
  /** Where heads of hash chains lie, and how many less one; null: the set is scanned. */
  readonly heads: { readonly at: number; readonly mask: number } | null;
}
/** Neighbouring entries that are searched at once, at most. */
export const MAX_SCAN = 32;
/** Many ways in the order of their age, as far as it is remembered: Oldest of replacement.ts. */
export interface OldestPlan {
  readonly ways: number;
  readonly queue: number;
  readonly stamps: number;
}
export interface LevelPlan {
  readonly probes: readonly ProbePlan[];
  /** How base pages' array joins them; orders 2 and 3 among the probes are entries of joined pages. Those of 'zen' hold all of a group, and single pages have
   *  entries of their own, of order 0; of the other models any page may be missing, and there are no others. null: it does not. */
  readonly joins: { readonly model: 'zen' | 'colt-sa' | 'colt-fa' | 'clustered'; readonly rule: AdRule } | null;
  /** The array of base pages: valid entries in it (one word) of how many. In the level, valid entries that are none of base pages (one word). */
  readonly nrValid: number;
  readonly entries: number;
  readonly nrLarge: number;
  /** Which base page's way goes: that with the least double in a column, stamps (LRU) or the order of fills (FIFO); or (isTree) halves choose, by their greatest. */
  readonly age: number;
  readonly isTree: boolean;
  /** See outlives() of replacement.ts: of base pages. Where they are joined, any fill may put a page under another entry. */
  readonly outlives: number;
  /** Words, by set of base pages' array: the way whose turn it would be if ways went in turn. Guesses, for whoever makes them, and no part of the state. */
  readonly turns: number;
  /** Of base pages' array, where its ways are more than MAX_SCAN or so. */
  readonly oldest: OldestPlan | null;
  /** Columns of words, by entry; `pages` as in tlb.ts. */
  readonly tagLo: number;
  readonly tagHi: number;
  /** Of an L1, low halves of the page numbers that base pages' ways hold as of now, where such an engine has the rest of a fill still to do. */
  readonly held: number;
  readonly probe: number;
  readonly asid: number;
  readonly flags: number;
  readonly pages: number;
  readonly sub: number;
  readonly leaf: number;
  readonly shownIn: number;
  readonly next: number;
  /** Columns of doubles, by entry. */
  readonly ppn: number;
  readonly stamp: number;
  /** null: the order of fills is not kept. */
  readonly filled: number | null;
  /** Words by probe: valid entries. Doubles: fills (where their order is kept), touches. */
  readonly live: number;
  readonly clock: number;
  /** Filter tables that show pages of this level. */
  readonly shown: readonly number[];
}
export interface PointerPlan {
  /** Low bits of a page number that its tag has not. */
  readonly shift: number;
  readonly entries: number;
  /** One word. */
  readonly nrValid: number;
  readonly oldest: OldestPlan | null;
  readonly tagLo: number;
  readonly tagHi: number;
  readonly asid: number;
  readonly table: number;
  readonly used: number;
  /** A double: uses so far. A word: the entry used last. */
  readonly clock: number;
  readonly last: number;
}
export interface MissPlan {
  readonly l1: LevelPlan;
  readonly l2: LevelPlan;
  /** Pointers to the leaves' tables, and to the tables above. */
  readonly pointers: PointerPlan | null;
  readonly upperPointers: PointerPlan | null;
  /** Words, written by Mmu.publish(): is a plan good at all now, the bits that canonical addresses repeat, the address space, rights to load, to store;
   *  may what a walk finds be remembered (DeferredMisses). */
  readonly state: { readonly isOn: number; readonly signShift: number; readonly asid: number; readonly mayLoad: number; readonly mayStore: number; readonly mayLearn: number };
  /** Words, for Mmu.settle() to add to the counters: L1 misses of base pages that hit L2, by loads, stores and AMOs; walks to base pages that a pointer to the
   *  leaves' table shortened, likewise; pointers read before those leaves; of the walks, those whose largest entry got two pages, three, and so on up to eight; L1 misses of Svnapot regions
   *  and superpages that hit L2, and by their order, as those of base pages. */
  readonly unsettled: {
    readonly hits: number; readonly walks: number; readonly pointerReads: number; readonly joined: number; readonly allLargeHits: number;
    readonly largeHits: readonly { readonly order: number; readonly at: number }[];
  };
}

/** An engine that shows pages at once when they miss L1, and sees to the TLBs later, in the order of the misses. It may do so for pages of which it knows
 *  what will be found behind L1: what a walk found, or would find (Mmu.walkWouldFind), as long as no table changes and no page-walk cache holds a pointer that
 *  memory does not. */
export interface DeferredMisses {
  /** Does what is left to do. The MMU asks before each look-up of its own and when it settles; between two runs nothing is left. */
  settle(): void;
  /** A look-up has filled an entry of L1 D. */
  filled(vpnLo: number, vpnHi: number, entry: number): void;
  /** Nothing is known any more. */
  forget(): void;
}
