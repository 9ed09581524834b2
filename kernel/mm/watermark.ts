// How much memory must stay free: min_free_kbytes and the three marks. Mirrors init_per_zone_wmark_min(),
// set_recommended_min_free_kbytes() and __setup_per_zone_wmarks(), for a machine with one zone.

/** Marks in pages. An allocation may take memory down to `min`; below `low` Linux wakes kswapd, until `high` is free again. */
export interface Watermarks { readonly min: number; readonly low: number; readonly high: number; readonly promo: number }

const PAGEBLOCK_PAGES = 512;

/** Pages to keep free on a machine of so many. @param thpPossible some PMD-size folio may be asked for */
export function minFreeKbytes(managedPages: number, thpPossible: boolean): number {
  const lowmemKb = managedPages * 4;
  const base = Math.min(Math.max(Math.floor(Math.sqrt(lowmemKb * 16)), 128), 262144);
  if (!thpPossible) return base;
  // Two pageblocks a zone, and three times three migrate types' worth to keep them apart; at most 5 % of memory.
  const recommendedPages = Math.min(PAGEBLOCK_PAGES * (2 + 9), Math.floor(managedPages / 20));
  return Math.max(base, recommendedPages * 4);
}

export function watermarks(managedPages: number, minFreeKb: number, scaleFactor: number): Watermarks {
  const min = Math.floor(minFreeKb / 4);
  const gap = Math.max(Math.floor(min / 4), Math.floor((managedPages * scaleFactor) / 10000));
  return { min, low: min + gap, high: min + 2 * gap, promo: min + 3 * gap };
}
