// When code is worth a translation, and other things that are emitted when they pay. Here: numbers, and why they are what they are. They change no result,
// only the host's time and memory.
//
// Work on translations is counted in instructions, as many as the interpreter would do in that time. It is bounded by what has been run: a program whose
// code is hot for a moment only, or is written again and again, loses a seventh of its time and no more. What is refused begins to count anew, so that
// what is hottest asks oftenest, and gets its turn.

export interface Hotness {
  /** What has run for less is a short run: nothing is translated, and the interpreter has no chains. A program of so many instructions ends before it would
   *  have gained anything. */
  readonly startInstrs: number;
  /** How often a block begins in the interpreter before it is wished for. To make a region of a hundred instructions costs what some tens of thousands of
   *  interpreted ones do, and the host's compiler, once it takes the region up (some 50 microseconds an instruction), what a million do. */
  readonly blockStarts: number;
  /** Wishes that make a batch: a module for each region would cost a hundred times the memory. */
  readonly batch: number;
  /** And what has waited for so many instructions goes with what there is. */
  readonly patienceInstrs: number;
  /** After so many stops of a region, a power of two, it is asked whether it should be made otherwise: */
  readonly stopsAsked: number;
  /** one that has stopped for the interpreter more often than once in so many instructions is made anew, with misses as calls. */
  readonly calmInstrs: number;
  /** Wishes refused (no work is left, or a page is written again and again) from which on much will stay the interpreter's: it takes the form with chains then. */
  readonly refusals: number;
  /** Instructions without a handler in the interpreter that it begins with (rareOps, interp.ts) from which on it has handlers for all: to emit and compile
   *  them takes the time of some ten thousand. 0: it has them from the start. */
  readonly rares: number;
  /** Misses of the TLB from which on the interpreter calls the emitted function for common ones (emit/refill.ts) itself. */
  readonly misses: number;
  /** Hits in L2, of pages whose walks are not remembered, since something was forgotten: from then on it is asked of each whether it may be (KnownPages). */
  readonly hits: number;
  /** Work that may be done on translations for each instruction that has been run. */
  readonly workShare: number;
  /** And in advance: a program of ordinary size has its hot code translated at once. */
  readonly workInAdvance: number;
  /** Bytes of WebAssembly that may stand; the host needs some seven times as much for them. Beyond, the oldest go until half of it is left. */
  readonly maxBytes: number;
}

export const DEFAULT_HOTNESS: Hotness = { startInstrs: 4e6, blockStarts: 1000, batch: 12, patienceInstrs: 300_000, stopsAsked: 1024, calmInstrs: 1000, refusals: 1000, rares: 10_000, misses: 2000, hits: 64, workShare: 0.15, workInAdvance: 120e6, maxBytes: 16e6 };
/** Everything at once: for tests. */
export const EAGER: Hotness = { startInstrs: 0, blockStarts: 2, batch: 1, patienceInstrs: 0, stopsAsked: 16, calmInstrs: 1000, refusals: 1, rares: 0, misses: 2, hits: 1, workShare: 0, workInAdvance: Infinity, maxBytes: Infinity };

/** What a region of so many instructions costs, whether it is worth the host's better compiler or not: 0.2 ms and 5 microseconds an instruction, of which that
 *  compiler's first one takes a few tenths, where the interpreter does 500 million a second. */
export const translationWork = (nrInstrs: number): number => 100_000 + 2500 * nrInstrs;
