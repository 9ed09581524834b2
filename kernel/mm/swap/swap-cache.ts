// The swap cache: pages that have a place in swap and are in memory, too: on their way out, or back and not written since. Here: folios by slot, what
// is left of those that went (shadows), references, who drops out and when. Not here: slots (swap-info.ts), I/O (swap-io.ts), what is read in
// and ahead (swap-readahead.ts). Mirrors mm/swap_state.c and folio_free_swap(), __try_to_reclaim_swap() (mm/swapfile.c), 6.18.
//
// A folio of the cache has SwapCache, its first page's entry in folios.swapEntry(), and one reference of the cache for each page. Its pages and its
// slots follow each other. While it is there it is charged to its group, and the slots to whoever owned the pages when they went out.
import { asFolio, bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MmSystem } from '../system.ts';
import { swapOffset } from './entry.ts';
import type { SwapEntry } from './entry.ts';
import type { SwapInfo } from './swap-info.ts';
import { ReadaheadState } from './swap-readahead.ts';
import type { Swap } from './swap.ts';

export class SwapCache {
  readonly ra = new ReadaheadState();
  private readonly system: MmSystem;
  private readonly swap: Swap;

  constructor(system: MmSystem, swap: Swap) {
    this.system = system;
    this.swap = swap;
  }
  /** The folio that holds the page of a slot; 0: it is not in memory. */
  folioAt(entry: SwapEntry): Folio | 0 {
    return this.swap.infoOf(entry)?.folioAt(swapOffset(entry)) ?? 0;
  }
  /** Is the page of a slot in memory, with its contents? */
  isUptodate(entry: SwapEntry): boolean {
    const folio = this.folioAt(entry);
    return folio !== 0 && this.system.folios.test(folio, FolioFlag.Uptodate);
  }
  private placeOf(folio: Folio): { info: SwapInfo; offset: number; nr: number } {
    const { folios } = this.system;
    const entry = folios.swapEntry(folio);
    const info = this.swap.infoOf(entry) ?? bug(`folio ${hex(folio)} is not in the swap cache`);
    return { info, offset: swapOffset(entry), nr: folios.nrPages(folio) };
  }

  /** @returns what was remembered of the pages that were there before; 0: nothing. add_to_swap_cache() */
  add(folio: Folio, entry: SwapEntry): number {
    const { folios } = this.system;
    const nr = folios.nrPages(folio);
    folios.get(folio, nr);
    folios.set(folio, FolioFlag.SwapCache);
    folios.setSwapEntry(folio, entry);
    const { info, offset } = this.placeOf(folio);
    let shadow = 0;
    for (let i = 0; i < nr; i++) {
      if (info.folioAt(offset + i) !== 0) bug(`slot ${offset + i} of swap device ${info.type} is in the swap cache already`);
      shadow = info.shadow(offset + i) || shadow;
      info.setShadow(offset + i, 0);
      info.setFolio(offset + i, folio);
    }
    this.count(nr);
    return shadow;
  }
  private count(nr: number): void {
    const { vmstat } = this.system;
    vmstat.add(VmItem.nr_swapcached, nr);
    vmstat.add(VmItem.nr_file_pages, nr);
  }
  /** Out of the cache. Slots that nobody names are free. The cache's references go: somebody else's is left. */
  remove(folio: Folio, shadow: number): void {
    const { folios } = this.system;
    if (folios.test(folio, FolioFlag.Writeback)) bug(`folio ${hex(folio)} leaves the swap cache while it is written`);
    const { info, offset, nr } = this.placeOf(folio);
    for (let i = 0; i < nr; i++) {
      info.setFolio(offset + i, 0);
      info.setShadow(offset + i, shadow);
      this.swap.uncached(info, offset + i);
    }
    folios.clear(folio, FolioFlag.SwapCache);
    folios.setSwapEntry(folio, 0);
    this.count(-nr);
    if (folios.put(folio, nr)) bug(`folio ${hex(folio)} left the swap cache, and nobody held it`);
  }
  /** Does anybody but the cache name one of its slots? folio_swapped() */
  isNamed(folio: Folio): boolean {
    const { info, offset, nr } = this.placeOf(folio);
    for (let i = 0; i < nr; i++) if (info.count(offset + i) > 0) return true;
    return false;
  }
  /** folio_free_swap(): what only memory holds from now on is dirty. */
  freeFolio(folio: Folio): boolean {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.SwapCache) || folios.test(folio, FolioFlag.Writeback) || this.isNamed(folio)) return false;
    this.remove(folio, 0);
    folios.set(folio, FolioFlag.Dirty);
    return true;
  }
  freeIfUnused(folio: Folio): void {
    const { folios, waits } = this.system;
    if (!folios.test(folio, FolioFlag.SwapCache) || folios.folioMapcount(folio) > 0 || !waits.tryLock(folio)) return;
    folios.get(folio);
    this.freeFolio(folio);
    waits.unlock(folio);
    this.system.putFolio(folio);
  }
  /** Nobody but the cache names a slot any more: its folio gives its slots up, if that may be. @param onlyUnmapped unless swap is short, what is mapped keeps
   *  them, for it may go out again without being written  @returns the folio's pages; 0: it stays. __try_to_reclaim_swap() */
  reclaim(entry: SwapEntry, onlyUnmapped: boolean): number {
    const { folios, waits } = this.system;
    const folio = this.folioAt(entry);
    if (folio === 0 || !waits.tryLock(folio)) return 0;
    folios.get(folio);
    const nr = folios.nrPages(folio);
    const wanted = !onlyUnmapped || folios.folioMapcount(folio) === 0 || this.swap.isFullFor(folio);
    const isFreed = wanted && this.freeFolio(folio);
    waits.unlock(folio);
    this.system.putFolio(folio);
    return isFreed ? nr : 0;
  }

  /** The folio is pages now, or smaller folios, each with its own slots. The split has given each its entry and its flags; the cache's references went before it. */
  split(folio: Folio, orders: readonly number[]): void {
    const { folios } = this.system;
    let piece = folio;
    for (const order of orders) {
      const { info, offset, nr } = this.placeOf(piece);
      for (let i = 0; i < nr; i++) info.setFolio(offset + i, piece);
      folios.get(piece, nr);
      piece = asFolio(piece + (1 << order));
    }
  }
  /** Its contents and its entry have moved to another folio; the references follow. */
  replace(from: Folio, to: Folio): void {
    const { folios } = this.system;
    const { info, offset, nr } = this.placeOf(to);
    for (let i = 0; i < nr; i++) info.setFolio(offset + i, to);
    folios.get(to, nr);
    if (folios.put(from, nr)) bug(`folio ${hex(from)} was let go while it moved`);
  }
  hash(into: StateHash): void {
    this.ra.hash(into);
  }
}
