// When code is worth a translation. Here: three numbers and why they are what they are. They change no result, only the host's time.

export interface Hotness {
  /** How often a block begins in the interpreter before it is wished for: a region costs what some tens of thousands of interpreted instructions do. */
  readonly blockStarts: number;
  /** Wishes that make a batch: a module for each region would cost a hundred times the memory. */
  readonly batch: number;
  /** And what has waited for so many instructions goes with what there is. */
  readonly patienceInstrs: number;
  /** A region that stops for the interpreter more often than once in so many instructions is made anew, with misses as calls. */
  readonly calmInstrs: number;
}

export const DEFAULT_HOTNESS: Hotness = { blockStarts: 200, batch: 12, patienceInstrs: 300_000, calmInstrs: 1000 };
/** Everything at once: for tests. */
export const EAGER: Hotness = { blockStarts: 2, batch: 1, patienceInstrs: 0, calmInstrs: 1000 };
