// The lists that reclaim works on: folios of disks' files, those used lately apart from those that were not. Here: the lists, who stands where,
// marking use. Not here: what is taken from them (vmscan.ts). Mirrors struct lruvec, lru_add_fn() and folio_mark_accessed() (mm/swap.c), 6.18.
//
//   active_file     head [ . . . . . . . ] tail --- not used since the last look ---+
//                     ^                                                              v
//                     +-- used twice --  inactive_file   head [ . . . . . . . ] tail --- taken
//   A folio that is read in begins at the inactive list's head. Counts are base pages; a large folio is one entry.
//
// Left out, since there is no swap: lists of anonymous memory, which nothing could be done with. Folios that are locked in memory stay where they
// are and are passed over; metadata of a mounted file system is never on a list.
import { bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem } from './events.ts';
import { FolioFlag } from './folio.ts';
import type { MmSystem } from './system.ts';

/** A list, as enum lru_list numbers it. */
export const Lru = { InactiveFile: 2, ActiveFile: 3 } as const;
export type Lru = (typeof Lru)[keyof typeof Lru];
const NR_LISTS = 4;
const gaugeOf = (list: Lru): number => (list === Lru.ActiveFile ? VmItem.nr_active_file : VmItem.nr_inactive_file);

export class LruLists {
  private readonly system: MmSystem;
  private readonly first: number;
  /** By frame of the head: the neighbours, as frame numbers; 0: none. */
  private readonly towardsHead: Int32Array;
  private readonly towardsTail: Int32Array;
  private readonly heads = new Int32Array(NR_LISTS);
  private readonly tails = new Int32Array(NR_LISTS);
  private readonly nrPages = new Float64Array(NR_LISTS);

  constructor(system: MmSystem) {
    this.system = system;
    this.first = system.folios.firstPfn;
    this.towardsHead = new Int32Array(system.folios.nrFrames);
    this.towardsTail = new Int32Array(system.folios.nrFrames);
  }
  /** Base pages on a list. */
  pages(list: Lru): number {
    return this.nrPages[list]!;
  }
  /** The folio that has been on a list longest; 0: it is empty. */
  tail(list: Lru): Folio | 0 {
    return this.tails[list] as Folio | 0;
  }
  private listOf(folio: Folio): Lru {
    return this.system.folios.test(folio, FolioFlag.Active) ? Lru.ActiveFile : Lru.InactiveFile;
  }
  /** Puts a folio at the head of the list that its Active flag names. */
  add(folio: Folio): void {
    const { folios } = this.system;
    if (folios.test(folio, FolioFlag.Lru)) bug(`folio ${hex(folio)} is on a list already`);
    folios.set(folio, FolioFlag.Lru);
    const list = this.listOf(folio);
    const head = this.heads[list]!;
    this.towardsHead[folio - this.first] = 0;
    this.towardsTail[folio - this.first] = head;
    if (head === 0) this.tails[list] = folio;
    else this.towardsHead[head - this.first] = folio;
    this.heads[list] = folio;
    this.count(list, folios.nrPages(folio));
  }
  /** Takes a folio off its list, if it is on one. */
  remove(folio: Folio): void {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Lru)) return;
    folios.clear(folio, FolioFlag.Lru);
    const list = this.listOf(folio);
    const before = this.towardsHead[folio - this.first]!;
    const after = this.towardsTail[folio - this.first]!;
    if (before === 0) this.heads[list] = after;
    else this.towardsTail[before - this.first] = after;
    if (after === 0) this.tails[list] = before;
    else this.towardsHead[after - this.first] = before;
    this.count(list, -folios.nrPages(folio));
  }
  private count(list: Lru, nr: number): void {
    this.nrPages[list]! += nr;
    this.system.vmstat.add(gaugeOf(list), nr);
  }
  /** To the head of the active list, or of the inactive one. */
  move(folio: Folio, isActive: boolean): void {
    const { folios } = this.system;
    this.remove(folio);
    if (isActive) folios.set(folio, FolioFlag.Active);
    else folios.clear(folio, FolioFlag.Active);
    this.add(folio);
  }

  /** A program has used the folio other than through a mapping: seen once, then referenced, then active. Mirrors folio_mark_accessed(). */
  markAccessed(folio: Folio): void {
    const { folios, vmstat } = this.system;
    if (!folios.test(folio, FolioFlag.Referenced)) {
      folios.set(folio, FolioFlag.Referenced);
      return;
    }
    if (folios.test(folio, FolioFlag.Active) || !folios.test(folio, FolioFlag.Lru)) return;
    this.move(folio, true);
    folios.clear(folio, FolioFlag.Referenced);
    vmstat.add(VmItem.pgactivate, folios.nrPages(folio));
  }

  /** Every folio of a list from the tail on: for check(). */
  * folios(list: Lru): Generator<Folio> {
    for (let at = this.tails[list]!; at !== 0; at = this.towardsHead[at - this.first]!) yield at as Folio;
  }
  hash(into: StateHash): void {
    for (const list of [Lru.InactiveFile, Lru.ActiveFile]) into.numbers(this.folios(list));
  }
}
