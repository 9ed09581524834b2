// Swap: what the rest of mm asks of swap. Here: the interface with no device behind it yet: nothing can go out.
import { bug } from '#base';
import type { Folio, StateHash } from '#base';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import type { SwapEntry } from './entry.ts';

/** What became of a folio's write: pageout(). 'clean': nothing had to be written. 'sync': it is written already. 'async': under writeback. 'failed': stays dirty. */
export type SwapWrite = 'clean' | 'sync' | 'async' | 'failed';

export class Swap {
  private readonly system: MmSystem;
  constructor(system: MmSystem) {
    this.system = system;
  }
  /** SwapTotal and SwapFree, in pages: total_swap_pages, nr_swap_pages. */
  get totalPages(): number {
    return 0;
  }
  get freePages(): number {
    return 0;
  }
  /** Slots that a group may still take: mem_cgroup_get_nr_swap_pages(). */
  freePagesFor(_group: MemCgroup): number {
    return 0;
  }
  /** More than half of swap is in use: vm_swap_full(). */
  get isFull(): boolean {
    return false;
  }
  /** Gives an anonymous (or shared-memory) folio a run of slots, and puts it into the swap cache, dirty. It is locked. @returns false: no run of that length. folio_alloc_swap() */
  allocate(_folio: Folio): boolean {
    return false;
  }
  /** One more PTE names the slots [entry, entry + nr). swap_duplicate() */
  duplicate(_entry: SwapEntry, _nr: number): void {
    bug('no swap');
  }
  /** nr PTEs less do. The last one frees a slot that the swap cache does not hold. swap_free_nr() */
  free(_entry: SwapEntry, _nr: number): void {
    bug('no swap');
  }
  /** Takes a folio out of the swap cache and frees its slots, if nobody else names them. It is locked. folio_free_swap() */
  freeFolio(_folio: Folio): boolean {
    return false;
  }
  /** A clean, unmapped folio goes: out of the swap cache, leaving a shadow; its slots stay. __delete_from_swap_cache(), put_swap_folio() */
  removeFromCache(_folio: Folio, _shadow: number): void {
    bug('no swap');
  }
  /** Starts writing a locked, dirty folio of the swap cache; unlocks it unless 'failed' or 'clean'. swap_writeout() */
  write(_folio: Folio): SwapWrite {
    return 'failed';
  }
  /** The same for a folio of shared memory, which moves from its file to the swap cache first. shmem_writeout() */
  writeShmem(_folio: Folio): SwapWrite {
    return 'failed';
  }
  /** The swap cache's folio was split into pieces that follow each other. */
  splitFolio(_folio: Folio, _orders: readonly number[]): void {}
  /** It has moved to other frames. */
  replaceFolio(_from: Folio, _to: Folio): void {}
  hash(_into: StateHash): void {
    void this.system;
  }
}
