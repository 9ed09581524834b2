// ReclaimPolicy: the small interface for one's own policy (`--lru ./mine.ts`), and for fifo, clock, random, lru and opt. It answers one
// question, which folios go next, and touches nothing. Here: that interface. Not here: who asks (chosen.ts), what is done to the
// folios that it names (shrink.ts). The kernel's own two, which weigh files against anonymous memory by what comes back, implement Lruvec.
import type { Folio } from '#base';

export type { Folio } from '#base';

/** What a policy may know and ask. A folio is a number; it names another page when it has gone and come again (pageId() tells). */
export interface PolicyServices {
  /** Base pages of a folio. */
  nrPages(folio: Folio): number;
  /** Its way out is swap: anonymous memory, and files that live in memory alone. What has its home in a file, or was freed lazily, does not. */
  needsSwap(folio: Folio): boolean;
  /** Was the folio used since the last time that this was asked: through a mapping, or by read(2) and write(2)? Reads and clears the A bits of all
   *  its entries, without a fence, as Linux does: a use that a TLB still serves is not seen. Costs what a walk of the reverse map costs,
   *  and counts as scanned. */
  testAndClearYoung(folio: Folio): boolean;
  /** One generator for the policy, seeded by --seed: a whole number in [0, below). */
  random(below: number): number;
  /** User instructions retired so far: the only clock that all policies share. */
  now(): number;
  /** A number for the page that a folio begins with, the same as when that page was here before: what ghost lists are made of. */
  pageId(folio: Folio): number;
  /** What an earlier run of the program recorded; null, unless the policy is one that needs it. */
  readonly recorded: RecordedTimes | null;
}
/** Uses of a folio's pages in the whole run, past and to come, to a thousand instructions: by accesses of the program and for its system calls. */
export interface RecordedTimes {
  /** Instructions retired when it is used next, now included; Infinity: never again. */
  nextUse(folio: Folio): number;
  /** When it was used last, now included; -1: it has not been (what was read ahead). */
  lastUse(folio: Folio): number;
}
/** How a folio began to be reclaimable.
 *  'new': read in, or touched for the first time. 'refault': it had been evicted before, and is back.
 *  'kept': it was named a victim and could not go (dirty, under I/O, held). 'written': its writing, begun because it was named, has ended,
 *  and nobody has used it meanwhile: it can go at once. 'moved': a piece of a folio that was split, a folio that was moved to other frames, or the policy has just begun. */
export type Arrival = 'new' | 'refault' | 'kept' | 'written' | 'moved';

/** What is asked for: pages in all. `maySwap` false: folios that need swap cannot go now; naming them is in vain. */
export interface Wanted { readonly pages: number; readonly maySwap: boolean; readonly mayDropFiles: boolean }

/** One policy for one group. All calls are about folios that it has been told of by onAdd and not yet by onRemove: those that it holds. */
export interface ReclaimPolicy {
  onAdd(folio: Folio, arrival: Arrival): void;
  /** Freed, locked in memory, or named and about to be evicted. */
  onRemove(folio: Folio): void;
  /** Used by read(2) or write(2). Uses through mappings are not reported: testAndClearYoung() is how one learns of them, and of these, too. */
  onAccess?(folio: Folio): void;
  /** The program said that it will not need it soon: MADV_COLD. */
  onCold?(folio: Folio): void;
  /** Names folios to evict, best first, into `out`: of at least wanted.pages pages in all, if it holds so many that may go; else all those.
   *  Each one at most once. All that are named are tried. */
  victims(wanted: Wanted, out: Folio[]): void;
  /** Where a folio stands, in words that `quire why` prints. */
  standing?(folio: Folio): string;
}
/** What the module behind --lru exports by default. Called once for each memory control group. A module that also exports `needsRecording = true`
 *  has the program run twice, and gets services.recorded. */
export type ReclaimPolicyMaker = (services: PolicyServices) => ReclaimPolicy;
