// MGLRU, the multi-generational LRU: folios ordered by when they were last used, in up to four generations a kind of memory.
// Here: the generations of one group, who comes into which, aging and dying of generations, what is remembered of folios that were evicted. Not here: finding out
// what was used (lru-gen-walk.ts), evicting (lru-gen-evict.ts), the feedback's arithmetic (lru-gen-pid.ts), groups among each other (lru-gen-node.ts),
// the files (lru-gen-files.ts). Mirrors struct lru_gen_folio, lru_gen_add_folio() (include/linux/mm_inline.h), inc_max_seq() and inc_min_seq()
// (mm/vmscan.c), lru_gen_inc_refs() (mm/swap.c) and lru_gen_refault() (mm/workingset.c), 6.18.
//
//        min_seq                                 max_seq
//           |                                       |
//       +-------+     +-------+     +-------+   +-------+        aging: a sweep over page tables moves what was used since the last one into the
//       | gen 4 |     | gen 5 |     | gen 6 |   | gen 7 |        youngest generation; then a new one begins (8), and the others are one older
//       +-------+     +-------+     +-------+   +-------+
//   tail  ^  ^  \____________________________\____^  ^           faults and workingset refaults come in among the young, files that are read among
//         |  |           promoted by a sweep         |           the old: a page that is used once never pushes out one that is used again
//         |  +-- read(2)                             |
//         v                                          fault       eviction: takes the oldest from the tail. Empty, the generation is over: min_seq grows.
//   evicted, a shadow stays                                      Fewer than two generations are never left, so that there is aging to wait for.
//
// Two clocks, then, not two lists. The clock of *aging* (max_seq) ticks when eviction has little left to take, and each tick costs a sweep; between ticks all use
// is alike. The clock of *eviction* (min_seq) follows. That is why a generation is an age: what sits in the oldest was in use neither in the last
// sweep nor in the one before. The classic lists, in contrast, learn a page's use one reverse-map walk at a time, when its turn has come.
//
// Not all use leaves bits in page tables. What goes through read(2) and write(2) is counted with the folio, up to five times, and the counts make *tiers*
// (0..3, logarithmic) within a generation. Nothing is moved on such use: eviction meets the folio and asks then whether its tier is protected. Whether
// it is, is no constant: refaults answer. If pages of tier 2 come back more often than those of tier 0, tier 2 stays (lru-gen-pid.ts).
//
// Laziness everywhere. A sweep changes a folio's generation, a number in its word, and leaves it where it stands; eviction finds it on the old list and moves it
// then ("sorts" it). So lists and counts disagree on purpose: nrPages goes by the number, and each folio's word says on whose list it stands.
//
// One round on paper. 100 pages, max_seq 7, min_seq 4. Reclaim takes from generation 4: 64 are isolated. 60 go; for 4 the reverse map finds an A bit:
// a first sighting, they get Referenced and come back to generation 6. Generation 4 is empty now: min_seq 5, refaulted and evicted fold into their averages.
// When min_seq + 2 = max_seq aging is due: the sweep reads and clears the A bits of every program that ran since; a page that was seen before
// goes to generation 7, one that was not is only marked; then max_seq is 8.
//
// How 6.12 differs (vm.lru_gen_release; facts: 8.10): one sighting is enough to be promoted, faults come into max_seq itself, tiers start at the second use with
// the working-set flag counted among the uses, kinds are chosen by their first tiers alone, aging also waits for the shares of young and old.
import { bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem, mmLruActivate, mmLruInsertion } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MemCgroup } from '../memcg.ts';
import type { Mapping } from '../rmap-walk.ts';
import type { MmSystem } from '../system.ts';
import { FolioList } from './folio-list.ts';
import { LruAdd, LruType } from './lruvec.ts';
import type { LruDescription, Lruvec, LruvecKind, Shadow } from './lruvec.ts';
import { shrinkForLimit } from './lru-gen-evict.ts';
import { MAX_NR_GENS, MIN_NR_GENS, ONE_REF, REFS_MASK, genOf, isSaturated, left, leftGenOf, listOf, placed, refsOf, tierOf, withGen, withList, withRefsField } from './lru-gen-folio.ts';
import { LruGenCounters, MAX_NR_TIERS, maxType, minType } from './lru-gen-pid.ts';
import { MmState, lookAround } from './lru-gen-walk.ts';
import { MAX_SWAPPINESS, Verdict } from './scan.ts';
import type { References, ScanControl } from './scan.ts';
import { activateItem, packShadow, refaultItem, restoreItem, unpackShadow } from './workingset.ts';

/** From this release on the rules are those of 6.18; before it, of 6.12. */
const NEW_RULES = 614;
/** enum lru_list: what the classic lists would call a folio that comes in. */
const listNumber = [0, 2] as const;
const types = [LruType.Anon, LruType.File] as const;
/** Sequence numbers that a shadow has room for. */
const TOKEN_SEQS = 2 ** 22;

export class LruGen implements Lruvec {
  readonly policy = 'mglru';
  readonly group: MemCgroup;
  readonly system: MmSystem;
  maxSeq = MIN_NR_GENS + 1;
  /** By LruType. */
  readonly minSeq: [number, number] = [0, 0];
  /** When each generation began, by its number modulo four, in clock cycles. */
  readonly timestamps = new Float64Array(MAX_NR_GENS);
  /** By generation * 2 + type: where folios stand. */
  readonly lists: readonly FolioList[];
  /** By the same: base pages of folios that say they are of this generation, wherever they stand. */
  readonly nrPages = new Int32Array(MAX_NR_GENS * 2);
  readonly counters = new LruGenCounters();
  readonly mmState: MmState;
  /** Of the node's list of groups (lru-gen-node.ts): its generation there, -1 when it is on it no more; and its segment. */
  memcgGen = -1;
  memcgSeg = 0;
  memcgBin = 0;

  constructor(group: MemCgroup) {
    this.group = group;
    this.system = group.system;
    this.lists = Array.from({ length: MAX_NR_GENS * 2 }, () => new FolioList(this.system.lru.links));
    this.timestamps.fill(this.system.machine.clockCycles);
    this.mmState = new MmState(MIN_NR_GENS);
    this.system.lruGen.online(this);
  }
  /** The rules of 6.12 are in force. */
  get isOld(): boolean {
    return this.system.params.vm.lru_gen_release < NEW_RULES;
  }
  typeOf(folio: Folio): LruType {
    return this.system.folios.isFileLru(folio) ? LruType.File : LruType.Anon;
  }
  nrGens(type: LruType): number {
    return this.maxSeq - this.minSeq[type] + 1;
  }
  /** The oldest generation of the kinds that may be taken: evictable_min_seq(). */
  evictableMinSeq(swappiness: number): number {
    return Math.min(this.minSeq[minType(swappiness)], this.minSeq[maxType(swappiness)]);
  }
  isActive(gen: number): boolean {
    return gen === this.maxSeq % MAX_NR_GENS || gen === (this.maxSeq - 1) % MAX_NR_GENS;
  }
  updateSize(type: LruType, from: number, to: number, pages: number): void {
    if (from >= 0) this.nrPages[from * 2 + type]! -= pages;
    if (to >= 0) this.nrPages[to * 2 + type]! += pages;
  }

  // Coming and going.

  add(folio: Folio, how: LruAdd, isFault: boolean, behind?: Folio): void {
    const { folios } = this.system;
    const word = folios.lruWord(folio);
    if (genOf(word) >= 0) bug(`folio ${hex(folio)} has a generation and is on no list`);
    const type = this.typeOf(folio);
    const nr = folios.nrPages(folio);
    const isPiece = how === LruAdd.Split && leftGenOf(word) >= 0;
    const gen = isPiece ? leftGenOf(word) : this.folioSeq(folio, how === LruAdd.Rotate, isFault) % MAX_NR_GENS;
    // A piece stands where the whole stood: next to its neighbour.
    const own = isPiece && behind !== undefined && this.typeOf(behind) === type ? listOf(folios.lruWord(behind)) : gen;
    const list = this.system.params.plant?.strikes('lru-slip') === true ? (own + 1) % MAX_NR_GENS : own;
    if (isPiece && behind !== undefined && this.typeOf(behind) === type) this.lists[list * 2 + type]!.addBehind(folio, behind, nr);
    else if (how === LruAdd.Rotate) this.lists[list * 2 + type]!.addTail(folio, nr);
    else this.lists[list * 2 + type]!.addHead(folio, nr);
    // 6.12 (fixed late) forgets the uses of what comes in among the young, but for the working set, which refaults are told by.
    const forgets = this.isOld && (isFault || folios.test(folio, FolioFlag.Active));
    folios.setLruWord(folio, placed(forgets ? withRefsField(word, 0) : word, gen, own));
    folios.clear(folio, forgets ? FolioFlag.Active | FolioFlag.Referenced : FolioFlag.Active);
    this.updateSize(type, -1, gen, nr);
    if (mmLruInsertion.enabled && how === LruAdd.New) mmLruInsertion.emit(folio, listNumber[type]);
  }
  /** The generation for a folio that comes in. lru_gen_folio_seq() @param reclaiming its writing has ended: it goes next */
  folioSeq(folio: Folio, reclaiming: boolean, isFault = false): number {
    const { folios } = this.system;
    const flags = folios.flags(folio);
    const type = this.typeOf(folio);
    const isYoung = isFault || (flags & FolioFlag.Active) !== 0;
    // Anonymous memory has to be written first, and what is marked for reclaim is being written.
    const mustWait = (type === LruType.Anon && (flags & FolioFlag.SwapCache) === 0) || ((flags & FolioFlag.Reclaim) !== 0 && (flags & (FolioFlag.Dirty | FolioFlag.Writeback)) !== 0);
    if (this.isOld) {
      if (isYoung) return this.maxSeq;
      if (mustWait) return this.maxSeq - 1;
      const isLow = this.minSeq[type] + MIN_NR_GENS >= this.maxSeq;
      return reclaiming || isLow ? this.minSeq[type] : this.minSeq[type] + 1;
    }
    const workingset = (flags & FolioFlag.Workingset) !== 0 ? 1 : 0;
    let distance = MAX_NR_GENS - workingset;
    if (isYoung) distance = MIN_NR_GENS - workingset;
    else if (reclaiming) distance = MAX_NR_GENS;
    else if (mustWait) distance = MIN_NR_GENS;
    return Math.max(this.maxSeq - distance + 1, this.minSeq[type]);
  }
  remove(folio: Folio): void {
    if (this.isActive(this.detach(folio))) this.system.folios.set(folio, FolioFlag.Active);
  }
  /** Off its list. @returns the generation it was of */
  detach(folio: Folio): number {
    const { folios } = this.system;
    const word = folios.lruWord(folio);
    const gen = genOf(word);
    if (gen < 0) bug(`folio ${hex(folio)} has no generation`);
    const type = this.typeOf(folio);
    const nr = folios.nrPages(folio);
    this.lists[listOf(word) * 2 + type]!.remove(folio, nr);
    folios.setLruWord(folio, left(word));
    this.updateSize(type, gen, -1, nr);
    return gen;
  }
  /** To an end of the list of the generation that the folio says it is of. */
  moveToOwnList(folio: Folio, type: LruType, toTail: boolean): void {
    const { folios } = this.system;
    const word = folios.lruWord(folio);
    const gen = genOf(word);
    const nr = folios.nrPages(folio);
    this.lists[listOf(word) * 2 + type]!.remove(folio, nr);
    if (toTail) this.lists[gen * 2 + type]!.addTail(folio, nr);
    else this.lists[gen * 2 + type]!.addHead(folio, nr);
    folios.setLruWord(folio, withList(word, gen));
  }

  // Use.

  /** Counted with the folio, up to where counting ends; it stays where it stands. lru_gen_inc_refs() */
  markAccessed(folio: Folio): void {
    const { folios } = this.system;
    const flags = folios.flags(folio);
    const word = folios.lruWord(folio);
    if ((flags & FolioFlag.Referenced) === 0) {
      folios.set(folio, FolioFlag.Referenced);
      if (!this.isOld) folios.setLruWord(folio, withRefsField(word, 0));
      return;
    }
    // 6.12 sets the flag at the second use and counts on; later releases when there is no counting on.
    const isFull = (word & REFS_MASK) === REFS_MASK;
    if ((this.isOld || isFull) && (flags & FolioFlag.Workingset) === 0) folios.set(folio, FolioFlag.Workingset);
    else if (!isFull) folios.setLruWord(folio, word + ONE_REF);
  }
  /** Use was seen in an entry that the reverse map led to. lru_gen_set_refs() @returns whether the folio belongs to the young now: it was seen before; up to
   *  6.13, at once */
  setRefs(folio: Folio): boolean {
    const { folios } = this.system;
    if (this.isOld) {
      const word = folios.lruWord(folio);
      if (genOf(word) < 0) folios.set(folio, FolioFlag.Referenced);
      else if (genOf(word) !== this.maxSeq % MAX_NR_GENS) {
        folios.clear(folio, FolioFlag.Referenced | FolioFlag.Workingset);
        folios.setLruWord(folio, withRefsField(word, 0));
      }
      return true;
    }
    const wasSeen = (folios.flags(folio) & (FolioFlag.Referenced | FolioFlag.Workingset)) !== 0;
    folios.setLruWord(folio, withRefsField(folios.lruWord(folio), 0));
    if (wasSeen) folios.clear(folio, FolioFlag.Referenced);
    folios.set(folio, wasSeen ? FolioFlag.Workingset : FolioFlag.Referenced);
    return wasSeen;
  }
  /** Use was seen by a sweep: the folio is of the generation from now on. folio_update_gen() @returns that which it was of, -1: no change */
  updateGen(folio: Folio, gen: number): number {
    const { folios } = this.system;
    const flags = folios.flags(folio);
    const word = folios.lruWord(folio);
    const old = genOf(word);
    if (this.isOld) {
      if (old < 0) {
        folios.set(folio, FolioFlag.Referenced);
        return -1;
      }
      folios.clear(folio, FolioFlag.Referenced | FolioFlag.Workingset);
    } else {
      if ((flags & (FolioFlag.Referenced | FolioFlag.Workingset)) === 0) {
        folios.set(folio, FolioFlag.Referenced);
        folios.setLruWord(folio, withRefsField(word, 0));
        return -1;
      }
      if (old < 0) return -1;
      folios.clear(folio, FolioFlag.Referenced);
      folios.set(folio, FolioFlag.Workingset);
    }
    folios.setLruWord(folio, withGen(withRefsField(word, 0), gen));
    return old;
  }
  activate(folio: Folio): void {
    const { folios, memcg } = this.system;
    this.detach(folio);
    folios.set(folio, FolioFlag.Active);
    this.add(folio, LruAdd.Moved, false);
    memcg.countFolio(folio, VmItem.pgactivate, folios.nrPages(folio));
    if (mmLruActivate.enabled) mmLruActivate.emit(folio);
  }
  /** Its uses are forgotten; if it is not of the oldest generation, it comes in anew. lru_gen_clear_refs(), lru_deactivate() */
  deactivate(folio: Folio): void {
    const { folios, memcg } = this.system;
    if (!this.isOld) {
      const word = withRefsField(folios.lruWord(folio), 0);
      folios.setLruWord(folio, word);
      folios.clear(folio, FolioFlag.Referenced | FolioFlag.Workingset);
      if (genOf(word) === this.minSeq[this.typeOf(folio)] % MAX_NR_GENS) return;
    }
    this.detach(folio);
    folios.clear(folio, FolioFlag.Referenced);
    this.add(folio, LruAdd.Moved, false);
    memcg.countFolio(folio, VmItem.pgdeactivate, folios.nrPages(folio));
  }
  judge(folio: Folio, { ptes, isExec, isLocked }: References): Verdict {
    if (!this.isOld) {
      if (isLocked) return Verdict.Activate;
      if (ptes === 0) return Verdict.Reclaim;
      return this.setRefs(folio) ? Verdict.Activate : Verdict.Keep;
    }
    const { folios } = this.system;
    // Set since it was isolated: the look-around of a neighbour found it young.
    const wasSeen = folios.test(folio, FolioFlag.Referenced);
    if (isLocked) return Verdict.Activate;
    if (ptes > 0) {
      folios.set(folio, FolioFlag.Referenced);
      return wasSeen || ptes > 1 || (isExec && folios.isFileLru(folio)) ? Verdict.Activate : Verdict.Keep;
    }
    if (wasSeen && folios.folioMapcount(folio) > 0) return Verdict.Keep;
    folios.clear(folio, FolioFlag.Referenced);
    return wasSeen && folios.isFileLru(folio) ? Verdict.ReclaimClean : Verdict.Reclaim;
  }
  lookAround(mapping: Mapping): boolean {
    return lookAround(this, mapping);
  }

  // Generations.

  /** A new youngest generation. inc_max_seq() */
  incMaxSeq(swappiness: number): void {
    for (const type of types) if (this.nrGens(type) === MAX_NR_GENS) this.incMinSeq(type, swappiness);
    this.timestamps[(this.maxSeq + 1) % MAX_NR_GENS] = this.system.machine.clockCycles;
    this.maxSeq++;
  }
  /** Room for another generation of a type that has four: the oldest joins the next, at the end that goes first. A type that may not be evicted is not worth the
   *  trouble: what is in its oldest generation will be called youngest. inc_min_seq() */
  private incMinSeq(type: LruType, swappiness: number): void {
    const isEvictable = type >= minType(swappiness) && type <= maxType(swappiness);
    if (isEvictable) {
      const { folios } = this.system;
      const { isOld } = this;
      const from = this.lists[(this.minSeq[type] % MAX_NR_GENS) * 2 + type]!;
      for (let folio = from.tail; folio !== 0; folio = from.tail) {
        const flags = folios.flags(folio);
        const refs = refsOf(flags, folios.lruWord(folio), isOld);
        this.incGen(folio, type, false);
        this.moveToOwnList(folio, type, true);
        // What a sweep has promoted was not protected by its tier.
        if (!isOld && !isSaturated(flags, refs, isOld)) this.counters.protected[type * MAX_NR_TIERS + tierOf(flags, refs, isOld)]! += folios.nrPages(folio);
      }
    }
    this.counters.carryOver(type);
    this.minSeq[type]++;
  }
  /** From the oldest generation to the next, unless it was promoted meanwhile; its uses are forgotten. folio_inc_gen() @param reclaiming it is to be
   *  rotated when its writing ends */
  incGen(folio: Folio, type: LruType, reclaiming: boolean): void {
    const { folios } = this.system;
    const word = folios.lruWord(folio);
    const old = this.minSeq[type] % MAX_NR_GENS;
    if (genOf(word) !== old) return;
    const next = (old + 1) % MAX_NR_GENS;
    folios.setLruWord(folio, withGen(withRefsField(word, 0), next));
    folios.clear(folio, this.isOld ? FolioFlag.Referenced | FolioFlag.Workingset : FolioFlag.Referenced);
    if (reclaiming) folios.set(folio, FolioFlag.Reclaim);
    this.updateSize(type, old, next, folios.nrPages(folio));
  }
  /** Generations on whose lists nothing is left are over; two are always left, and neither type runs ahead of the other. try_to_inc_min_seq()
   *  @returns whether any was */
  tryToIncMinSeq(swappiness: number): boolean {
    const next: [number, number] = [this.minSeq[0], this.minSeq[1]];
    let isAny = false;
    for (let type = minType(swappiness); type <= maxType(swappiness); type++) {
      while (next[type as LruType] + MIN_NR_GENS <= this.maxSeq && this.lists[(next[type as LruType] % MAX_NR_GENS) * 2 + type]!.tail === 0) {
        next[type as LruType]++;
        isAny = true;
      }
    }
    if (!isAny) return false;
    if (this.isOld) {
      if (swappiness > 0) {
        next[LruType.Anon] = Math.min(next[LruType.Anon], next[LruType.File]);
        next[LruType.File] = Math.max(next[LruType.Anon], this.minSeq[LruType.File]);
      }
    } else if (swappiness > 0 && swappiness <= MAX_SWAPPINESS) {
      const seq = this.maxSeq - MIN_NR_GENS;
      if (next[LruType.Anon] > seq && next[LruType.File] < seq) next[LruType.Anon] = seq;
      else if (next[LruType.File] > seq && next[LruType.Anon] < seq) next[LruType.File] = seq;
    }
    let success = false;
    for (let type = minType(swappiness); type <= maxType(swappiness); type++) {
      if (next[type as LruType] <= this.minSeq[type as LruType]) continue;
      this.counters.carryOver(type as LruType);
      this.minSeq[type as LruType] = next[type as LruType];
      success = true;
    }
    return success;
  }

  /** It is off its list, and is to come back among the young as if it were new. */
  makeYoung(folio: Folio): void {
    const { folios } = this.system;
    folios.setLruWord(folio, withRefsField(folios.lruWord(folio), 0));
    folios.clear(folio, this.isOld ? FolioFlag.Referenced | FolioFlag.Workingset : FolioFlag.Referenced);
    folios.set(folio, FolioFlag.Active);
  }

  // Reclaim, of this group alone. The machine's goes through the node (lru-gen-node.ts).

  shrink(sc: ScanControl): void {
    shrinkForLimit(this, sc);
  }
  /** Reclaim ages on its own; kswapd's part is the node's. */
  age(): void {}

  // What comes back. A shadow's token: the oldest generation when the folio went, and its uses.

  evicted(folio: Folio): Shadow {
    const { folios } = this.system;
    const { isOld } = this;
    const flags = folios.flags(folio);
    const type = this.typeOf(folio);
    const refs = refsOf(flags, folios.lruWord(folio), isOld);
    this.counters.evicted[type * MAX_NR_TIERS + tierOf(flags, refs, isOld)]! += folios.nrPages(folio);
    const token = (this.minSeq[type] % TOKEN_SEQS) * 4 + Math.max(refs - 1, 0);
    return packShadow(this.group.id, token, isOld ? refs > 0 : (flags & FolioFlag.Workingset) !== 0);
  }
  refault(folio: Folio, shadow: Shadow): void {
    const { system, counters, isOld } = this;
    const { folios, memcg, lru } = system;
    const { group, age: token, isWorkingset } = unpackShadow(shadow);
    if (group !== this.group.id) return;
    const type = this.typeOf(folio);
    const isFile = type === LruType.File;
    const nr = folios.nrPages(folio);
    memcg.countFolio(folio, refaultItem(isFile), nr);
    if (!this.isRecentToken(token, type)) return;
    const refs = (token % 4) + (isOld ? Number(isWorkingset) : 1);
    const tier = tierOf(isWorkingset ? FolioFlag.Workingset : 0, refs, isOld);
    counters.refaulted[type * MAX_NR_TIERS + tier]! += nr;
    const word = folios.lruWord(folio);
    if (isOld) {
      memcg.countFolio(folio, activateItem(isFile), nr);
      if (!lru.inFault && refs < 3) return;
      folios.set(folio, FolioFlag.Workingset);
      folios.setLruWord(folio, word | REFS_MASK);
      memcg.countFolio(folio, restoreItem(isFile), nr);
      return;
    }
    // Whoever faults adds it to the young.
    if (lru.inFault) memcg.countFolio(folio, activateItem(isFile), nr);
    if (isWorkingset) {
      folios.set(folio, FolioFlag.Workingset);
      memcg.countFolio(folio, restoreItem(isFile), nr);
    } else folios.setLruWord(folio, withRefsField(word, refs - 1));
  }
  /** lru_gen_test_recent(). */
  private isRecentToken(token: number, type: LruType): boolean {
    const seq = Math.floor(token / 4);
    if (this.isOld) return seq === this.minSeq[type] % TOKEN_SEQS;
    return Math.abs((this.maxSeq % TOKEN_SEQS) - seq) < MAX_NR_GENS;
  }
  isRecent(shadow: Shadow, isFile: boolean): boolean {
    const { group, age: token } = unpackShadow(shadow);
    const lruvec = this.system.memcg.byId(group)?.lruvec;
    return lruvec instanceof LruGen && lruvec.isRecentToken(token, isFile ? LruType.File : LruType.Anon);
  }

  // Of the group.

  offline(): void {
    this.system.lruGen.offline(this);
  }
  release(): void {
    this.system.lruGen.release(this);
  }

  // For those who look.

  pages(type: LruType): number {
    return this.nrPages[type]! + this.nrPages[2 + type]! + this.nrPages[4 + type]! + this.nrPages[6 + type]!;
  }
  activePages(type: LruType): number {
    return this.nrPages[(this.maxSeq % MAX_NR_GENS) * 2 + type]! + this.nrPages[((this.maxSeq - 1) % MAX_NR_GENS) * 2 + type]!;
  }
  /** The generation's age in whole milliseconds, as files show it. */
  ageMs(seq: number): number {
    return Math.floor((this.system.machine.clockCycles - this.timestamps[seq % MAX_NR_GENS]!) / 1e6);
  }
  * all(type: LruType): Generator<Folio> {
    for (let seq = this.maxSeq - MAX_NR_GENS + 1; seq <= this.maxSeq; seq++) yield* this.lists[(seq % MAX_NR_GENS) * 2 + type]!;
  }
  describe(): LruDescription[] {
    const from = Math.min(...this.minSeq);
    return Array.from({ length: this.maxSeq - from + 1 }, (_, i) => {
      const at = ((from + i) % MAX_NR_GENS) * 2;
      return {
        name: `generation ${from + i}`, ageMs: this.ageMs(from + i), anonPages: this.nrPages[at]!, filePages: this.nrPages[at + 1]!,
        anonFolios: this.lists[at]!.nrFolios, fileFolios: this.lists[at + 1]!.nrFolios,
      };
    });
  }
  /** The number of the generation that a folio is of. */
  seqOf(folio: Folio): number {
    const gen = genOf(this.system.folios.lruWord(folio));
    return this.maxSeq - ((this.maxSeq - gen) % MAX_NR_GENS);
  }
  standing(folio: Folio): string {
    const { folios } = this.system;
    const flags = folios.flags(folio);
    const tier = tierOf(flags, refsOf(flags, folios.lruWord(folio), this.isOld), this.isOld);
    const seq = this.seqOf(folio);
    return `generation ${seq} of ${this.minSeq[this.typeOf(folio)]} to ${this.maxSeq}, begun ${this.ageMs(seq)} ms ago; tier ${tier}`;
  }
  check(): void {
    const { folios } = this.system;
    const pages = new Int32Array(MAX_NR_GENS * 2);
    for (const type of types) {
      const gens = this.nrGens(type);
      if (gens < MIN_NR_GENS || gens > MAX_NR_GENS) bug(`${this.group.path} has ${gens} generations`);
      for (let list = 0; list < MAX_NR_GENS; list++) {
        let standing = 0;
        for (const folio of this.lists[list * 2 + type]!) {
          const word = folios.lruWord(folio);
          const gen = genOf(word);
          if (listOf(word) !== list) bug(`folio ${hex(folio)} stands on list ${list}, its word says ${listOf(word)}`);
          if (gen < 0 || gen >= MAX_NR_GENS) bug(`folio ${hex(folio)} is of generation ${gen}`);
          if (this.typeOf(folio) !== type || folios.test(folio, FolioFlag.Active)) bug(`folio ${hex(folio)} stands on a list with flags ${hex(folios.flags(folio))}`);
          pages[gen * 2 + type]! += folios.nrPages(folio);
          standing += folios.nrPages(folio);
        }
        if (standing !== this.lists[list * 2 + type]!.nrPages) bug(`a list of ${this.group.path} has ${standing} pages, ${this.lists[list * 2 + type]!.nrPages} are counted`);
      }
    }
    this.system.lruGen.checkListed(this);
    for (const [at, count] of pages.entries()) if (this.nrPages[at] !== count) bug(`${this.nrPages[at]} pages of ${this.group.path} are counted in generation ${at >> 1}, there are ${count}`);
  }
  hash(into: StateHash): void {
    into.numbers([this.maxSeq, ...this.minSeq, ...this.timestamps, ...this.nrPages, this.memcgGen, this.memcgSeg, this.memcgBin]);
    for (const list of this.lists) into.numbers(list);
    this.counters.hash(into);
    this.mmState.hash(into);
  }
}
export const mglru: LruvecKind = {
  name: 'mglru',
  create: (group) => new LruGen(group),
  shrinkNode: (system, sc) => { system.lruGen.shrink(sc); },
  ageNode: (system, sc) => { system.lruGen.age(sc); },
};
