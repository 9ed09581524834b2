// ReclaimPolicy: the small interface for one's own policy (`--lru ./mine.ts`), and for fifo, clock, random, lru and opt. It answers one
// question, which folios go next, and touches nothing. Here: that interface. Not here: who asks (chosen.ts), what is done to the
// folios that it names (shrink.ts). The kernel's own two, which weigh files against anonymous memory by what comes back, implement Lruvec.
import type { Folio } from '#base';

/** What a policy may know and ask. */
export interface PolicyServices {
  /** Base pages of a folio. */
  nrPages(folio: Folio): number;
  isAnon(folio: Folio): boolean;
  /** Was the folio used through a mapping since the last time that this was asked? Reads and clears the A bits of all its entries, without a
   *  fence, as Linux does: a use that a TLB still serves is not seen. Costs what a walk of the reverse map costs. */
  testAndClearYoung(folio: Folio): boolean;
  /** One generator for the policy, seeded by --seed: a whole number in [0, below). */
  random(below: number): number;
  /** User instructions retired so far: the only clock that all policies share. */
  now(): number;
  /** The page that a folio holds, the same in every run: address space or file, and index; for policies that know the future. */
  pageKey(folio: Folio): string;
}
/** How a folio began to be reclaimable. */
export interface Arrival {
  /** It had been evicted before, and is back. */
  readonly isRefault: boolean;
  /** It was named a victim and could not go (dirty, under I/O, held): it stays where it was, as far as the kernel is concerned. */
  readonly isPutBack: boolean;
}
/** One policy for one group. All calls are about folios that it has been told of by onAdd and not yet by onRemove. */
export interface ReclaimPolicy {
  readonly name: string;
  onAdd(folio: Folio, arrival: Arrival): void;
  /** Freed, locked in memory, or about to be evicted. */
  onRemove(folio: Folio): void;
  /** Used by read(2) or write(2). Uses through mappings are not reported: testAndClearYoung() is how one learns of them. */
  onAccess?(folio: Folio): void;
  /** Names folios to evict, best first, of at least `wantPages` pages in all if it has them, into `out`. Only folios that it holds, each once.
   *  `mayTakeAnon` false: there is no swap, anonymous folios would be wasted. */
  victims(wantPages: number, out: Folio[], mayTakeAnon: boolean): void;
}
/** What the module behind --lru exports by default. */
export type ReclaimPolicyMaker = (services: PolicyServices) => ReclaimPolicy;
