// The MMU of one hart: a counted look-up of one virtual address, fences, satp. Here: probing the TLB levels in order, filling them, faults.
// Not here: how a level stores entries (tlb.ts), the walk (walker.ts), the engine's fast path (filter.ts).
//
// An address goes L1 -> L2 -> walk, and the answer comes back the same way. Two things can happen to a translation that was found: its
// rights may refuse the access (raw rights are cached, so SUM and MXR act at once), and it may lack A or D; then the walk is done again on
// memory (an *assist*), because cached PTEs may not be updated, and every level's entry follows what memory now says.
import { PAGE_SIZE, asPfn, toNumber } from '#base';
import type { Asid, Pfn, StateHash } from '#base';
import type { Arena } from './arena.ts';
import { MissClasses } from './classes.ts';
import { LINE_PAGES, Translation } from './coalesce.ts';
import { Count, Side, TlbCounters, reportOf } from './counters.ts';
import type { TlbReport } from './counters.ts';
import { LEAF_SIZES, ORDER_OF_SIZE } from './description.ts';
import type { TlbDescription } from './description.ts';
import { FILTER_SLOTS, Filter, SLOT_WORDS, stampAt } from './filter.ts';
import type { MissPlan, DeferredMisses } from './plan.ts';
import { StaleWatch } from './stale.ts';
import type { StaleListener } from './stale.ts';
import { Pte, SatpMode, levelsOf } from './pte.ts';
import { GLOBAL } from './pwc.ts';
import { Guard, NO_HOST, TableChange } from './ram.ts';
import type { Ram } from './ram.ts';
import { TlbLevel, levelBytes } from './tlb.ts';
import type { Watch } from './watch.ts';
import { WalkStatus, Walker, isCanonical, rightsFor, signShiftOf } from './walker.ts';

/** What an access is, as the counters tell them apart. LR is a Load, SC a Store. */
export const Access = { Fetch: 0, Load: 1, Store: 2, Amo: 3 } as const;
export type Access = (typeof Access)[keyof typeof Access];

export const Privilege = { User: 0, Supervisor: 1, Machine: 3 } as const;
export type Privilege = (typeof Privilege)[keyof typeof Privilege];

export interface MmuOptions {
  readonly tlb: TlbDescription;
  /** Widest mode that satp accepts; narrower ones come with it. */
  readonly sv: 39 | 48 | 57;
  /** True: hardware sets A and D (Svadu, menvcfg.ADUE=1). False: a page fault asks software to (Svade). */
  readonly svadu: boolean;
  /** For random replacement. */
  readonly seed: number;
}

/** An entry of a level, of 2^order pages. `touched` is that level's time of its last use: in L1 of any use, in L2 of one that missed L1. */
export interface CachedEntry { readonly level: 'l1d' | 'l1i' | 'l2' | 'l2i'; readonly order: number; readonly touched: number }

/** One valid entry of a TLB, for those who look. Pages and bits are by the entry's own pages, the first one lowest; entries of order 4 and more have one. */
export interface TlbEntry {
  readonly level: CachedEntry['level'];
  readonly order: number;
  /** null: global. */
  readonly asid: number | null;
  /** First page number of its aligned group. */
  readonly vpn: number;
  /** Bits of pages that it serves, of which A, of which D are known to be set. */
  readonly pages: number;
  readonly accessed: number;
  readonly dirty: number;
  /** The frame of its first valid page. */
  readonly frame: number;
  /** PTE bits 5:0. */
  readonly flags: number;
  /** log2 pages of the page-table leaf behind it. */
  readonly leaf: number;
}

/** Somebody who watches which frames are used. */
export interface AccessObserver { used(pfn: Pfn): void }

/** The last fault, as trap registers want it. `cause` is an exception code (12, 13, 15 page faults; 1, 5, 7 access faults). */
export interface MmuFault { cause: number; vaHi: number; vaLo: number }

const PAGE_FAULT_CAUSE = [12, 13, 15, 15] as const;
const ACCESS_FAULT_CAUSE = [1, 5, 7, 7] as const;
const RIGHT = [Pte.X, Pte.R, Pte.W, Pte.W] as const;
/** What an entry keeps of a PTE beside the frame; A and D are kept for each page. */
const KEPT_FLAGS = Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.G;
/** An L1 of more entries is not gone through to save a little zeroing. */
const FEW_ENTRIES = 128;
const NR_SIZES = LEAF_SIZES.length;
/** Base pages of the data side, in counts by side and size. */
const BASE_DATA = Side.Data * NR_SIZES;
/** Where in `unsettled` walks stand by the pages that their entry got, from two on. */
const JOINED = 7;
/** Where the hits of large pages stand, all of them, and by size, three each. */
const [ALL_LARGE_HITS, LARGE_HITS] = [JOINED + LINE_PAGES - 1, JOINED + LINE_PAGES];
const sizeOfLeaf = new Int32Array(37);
LEAF_SIZES.forEach((name, i) => { sizeOfLeaf[ORDER_OF_SIZE[name]] = i; });

/** Arena bytes that the MMU's columns take beside RAM, an upper bound. */
export function mmuBytes(d: TlbDescription): number {
  const levels = [d.l1i, d.l1d, d.l2, d.l2i ?? null];
  const pwc = Object.values(d.pwc).reduce((n, entries) => n + entries * 40 + 1024, 0);
  return 3 * FILTER_SLOTS * SLOT_WORDS * 4 + pwc + levels.reduce((n, l) => n + (l === null ? 0 : levelBytes(l)), 0) + 16384;
}

/** Words of MissPlan.state. */
const Published = { IsOn: 0, SignShift: 1, Asid: 2, MayLoad: 3, MayStore: 4, MayLearn: 5 } as const;

export class Mmu {
  readonly ram: Ram;
  readonly filter: Filter;
  readonly fault: MmuFault = { cause: 0, vaHi: 0, vaLo: 0 };
  readonly counters: TlbCounters;
  readonly description: TlbDescription;
  /** The engine's clock for recency stamps: it sets this before it calls lookup(), to instructions retired plus traps taken. An L1 entry
   *  touched by the access is stamped stampAt(tick), or one more (lookup's `second`). */
  tick = 0;
  /** Where an access is from, for missesByPc: an engine that can attribute sets these before it calls lookup(). Halves of the pc. */
  pcHi = 0;
  pcLo = 0;
  /** L1 misses and walks by pc, while attribution is on. */
  missesByPc: Map<number, number> | null = null;
  walksByPc: Map<number, number> | null = null;

  /** Told of every look-up that finds its frame; an engine that may touch the page without asking (filter.ts) asks no more. Whoever wants to see each
   *  page once in a while empties the filter then. null: nobody. */
  observer: AccessObserver | null = null;
  /** Memory that is watched: setWatch(). */
  watch: Watch | null = null;
  /** Looks for accesses that are served by translations which memory no longer holds; null: nobody does. Told of changes of tables by machine.ts. */
  stale: StaleWatch | null = null;

  /** Of an engine that does common misses itself: what it has left to do. null: there is none. */
  deferred: DeferredMisses | null = null;
  /** Whether the page-walk caches were found to say what memory does, of the address space that is set; and whether to look again. */
  private pointersHold = false;
  private looksAtPointers = true;

  private readonly walker: Walker;
  private readonly published: Int32Array;
  /** See MissPlan. */
  private readonly unsettled: Int32Array;
  private readonly words: Int32Array;
  private readonly arena: Arena;
  private readonly l1i: TlbLevel;
  private readonly l1d: TlbLevel;
  private readonly l2d: TlbLevel | null;
  private readonly l2i: TlbLevel | null;
  private readonly exclusive: boolean;
  private readonly found = new Translation();
  private readonly evicted = new Translation();
  private readonly widestMode: SatpMode;

  // satp and what it and the privilege decide.
  private satp = { hi: 0, lo: 0 };
  private levels = 0;
  private signShift = 0;
  private rootPpn = 0;
  private asid = 0;
  private privilege: Privilege = Privilege.User;
  private sum = false;
  private mxr = false;
  private translating = false;
  /** Shadows of L1 D and of L2, while misses are classed. */
  private classesL1: MissClasses | null = null;
  private classesL2: MissClasses | null = null;
  /** By Access: see rightsFor(). */
  private readonly allowed = new Int32Array(4);

  constructor(arena: Arena, ram: Ram, options: MmuOptions) {
    const d = options.tlb;
    this.ram = ram;
    this.words = arena.i32;
    this.arena = arena;
    this.description = d;
    this.filter = new Filter(arena);
    this.published = arena.int32(8);
    this.unsettled = arena.int32(LARGE_HITS + 3 * NR_SIZES);
    this.walker = new Walker(arena, ram, d.pwc, options.svadu);
    this.counters = new TlbCounters(arena, this.walker.readsByLevel);
    this.l1i = new TlbLevel(arena, d.l1i, [this.filter.exec], [], options.seed, 'l1i');
    this.l1d = new TlbLevel(arena, d.l1d, [this.filter.read, this.filter.write], [], options.seed, 'l1d');
    const split = d.l2i !== undefined;
    const under = (levels: readonly TlbLevel[]): readonly TlbLevel[] => (d.inclusion === 'inclusive' ? levels : []);
    const l2 = (level: TlbDescription['l2'], name: string, over: readonly TlbLevel[]): TlbLevel | null =>
      (level === null ? null : new TlbLevel(arena, level, [], under(over), options.seed, name));
    this.l2d = l2(d.l2, 'l2', split ? [this.l1d] : [this.l1i, this.l1d]);
    this.l2i = d.l2i === undefined ? this.l2d : l2(d.l2i, 'l2i', [this.l1i]);
    this.exclusive = d.inclusion === 'exclusive';
    this.widestMode = options.sv === 39 ? SatpMode.Sv39 : options.sv === 48 ? SatpMode.Sv48 : SatpMode.Sv57;
    this.setRights();
  }

  /** One counted look-up for bytes that lie in one page: adds to counters.lookups[access], then hit or miss, walk, fill, A and D.
   *  With translation off (Bare, or machine mode) nothing is looked up and nothing is counted.
   *  @param second the access is the second half of one that straddles two pages
   *  @returns host offset of the byte, signed 32 bits; or NO_HOST with `fault` set. */
  lookup(vaHi: number, vaLo: number, access: Access, second = false): number {
    if (!this.translating) return this.bare(vaHi, vaLo, access);
    this.deferred?.settle();
    this.counters.lookups[access]!++;
    const vpnLo = (vaHi << 20) | (vaLo >>> 12);
    const vpnHi = vaHi >> 12;
    const l1 = access === Access.Fetch ? this.l1i : this.l1d;
    const stamp = stampAt(this.tick) + (second ? 1 : 0);
    let e = isCanonical(vaHi, this.signShift) ? l1.find(vpnLo, vpnHi, this.asid) : -1;
    const missed = e < 0;
    if (missed) {
      e = this.miss(l1, vaHi, vaLo, access, stamp);
      if (e < 0) return NO_HOST;
    } else if (((this.allowed[access]! >>> ((l1.flagsOf(e) >> 1) & 15)) & 1) === 0) {
      l1.stamp[e] = stamp; // a hit is a touch, refused or not
      return this.pageFault(vaHi, vaLo, access);
    } else if (l1.needsUpdate(e, vpnLo, access >= Access.Store)) {
      e = this.assistL1(l1, e, vaHi, vaLo, access, stamp);
      if (e < 0) return NO_HOST;
    }
    l1.stamp[e] = stamp;
    if (this.classesL1 !== null && access !== Access.Fetch) this.classesL1.access(l1.ownerOf(e), l1.orderOf(e), l1.startOf(e), missed);
    const frame = l1.frameOf(e, vpnLo, vpnHi);
    if (!this.ram.has(frame)) return this.accessFault(vaHi, vaLo, access);
    if (access >= Access.Store) this.willStore(frame);
    if (this.observer !== null) this.observer.used(asPfn(frame));
    if (this.watch !== null && access !== Access.Fetch) this.watch.note(vaHi, vaLo, frame, access !== Access.Store, access !== Access.Load, second);
    if (this.stale !== null) {
      const under = { levels: this.levels, rootPpn: this.rootPpn, asid: this.asid, allowed: this.allowed[access]!, store: access >= Access.Store };
      this.stale.check(vaHi, vaLo, access, under, frame, l1.flagsOf(e), this.tick);
    }
    const host = this.ram.hostOf(asPfn(frame));
    this.show(l1, e, vaHi, vaLo, access, frame, host);
    return (host + (vaLo & 4095)) | 0;
  }

  /** The engine is about to write to a frame. */
  private willStore(frame: number): void {
    const index = frame - this.ram.firstPfn;
    this.ram.engineWrites(index);
    if ((this.ram.guards[index]! & Guard.Table) === 0) return;
    // A program writes to its own page tables.
    this.deferred?.forget();
    this.ram.tableGoes(index);
    this.published[Published.MayLearn] = 0;
  }

  /** The columns for an engine that does common misses itself; null: this hierarchy is not one for it. Ask once. */
  plan(): MissPlan | null {
    const l1 = this.l1d.plan();
    const l2 = this.l2d?.plan() ?? null;
    if (l1 === null || l2 === null || this.exclusive) return null;
    if (l1.joins !== null && l2.joins !== null && l1.joins.model !== l2.joins.model) return null;
    const word = (i: number): number => this.published.byteOffset + 4 * i;
    return {
      l1, l2, pointers: this.walker.pointers(1), upperPointers: this.walker.pointers(2),
      state: { isOn: word(Published.IsOn), signShift: word(Published.SignShift), asid: word(Published.Asid), mayLoad: word(Published.MayLoad), mayStore: word(Published.MayStore), mayLearn: word(Published.MayLearn) },
      unsettled: {
        hits: this.unsettled.byteOffset, walks: this.unsettled.byteOffset + 12, pointerReads: this.unsettled.byteOffset + 24, joined: this.unsettled.byteOffset + 4 * JOINED,
        allLargeHits: this.unsettled.byteOffset + 4 * ALL_LARGE_HITS,
        largeHits: LEAF_SIZES.slice(1).map((name, i) => ({ order: ORDER_OF_SIZE[name], at: this.unsettled.byteOffset + 4 * (LARGE_HITS + 3 * (i + 1)) })),
      },
    };
  }
  /** Counts what such an engine has done since the last time. To be called when it has run; `cycles` does it, too. */
  settle(): void {
    this.deferred?.settle();
    const { unsettled, counters: c } = this;
    const nrLarge = unsettled[ALL_LARGE_HITS]!;
    if ((unsettled[0]! | unsettled[1]! | unsettled[2]! | unsettled[3]! | unsettled[4]! | unsettled[5]! | nrLarge) === 0) return;
    for (let access = Access.Load; access <= Access.Amo; access++) {
      const hits = unsettled[access - 1]!;
      const walks = unsettled[access + 2]!;
      if (hits + walks === 0) continue;
      c.l1Misses[access]! += hits + walks;
      c.l2Lookups[access]! += hits + walks;
      c.l2Misses[access]! += walks;
      c.l1MissesBySize[BASE_DATA]! += hits + walks;
      c.l2HitsBySize[BASE_DATA]! += hits;
      c.l2MissesBySize[BASE_DATA]! += walks;
      c.walksBySize[0]! += walks;
      c.pagesPerEntry[1]! += walks;
      c.add(Count.Walks, walks);
      c.add(Count.PteReads, walks);
      c.add(Count.PwcHits, walks);
      c.readsByLevel[0]! += walks;
    }
    for (let size = 1; nrLarge !== 0 && size < NR_SIZES; size++) {
      for (let access = Access.Load; access <= Access.Amo; access++) {
        const hits = unsettled[LARGE_HITS + 3 * size + access - 1]!;
        c.l1Misses[access]! += hits;
        c.l2Lookups[access]! += hits;
        c.l1MissesBySize[BASE_DATA + size]! += hits;
        c.l2HitsBySize[BASE_DATA + size]! += hits;
      }
    }
    c.add(Count.PteReads, unsettled[6]!);
    c.readsByLevel[1]! += unsettled[6]!;
    for (let pages = 2; pages <= LINE_PAGES; pages++) {
      const joined = unsettled[JOINED + pages - 2]!;
      c.pagesPerEntry[1]! -= joined;
      c.pagesPerEntry[pages]! += joined;
      c.add(Count.CoalescedFills, joined);
    }
    for (let i = 0; i < unsettled.length; i++) unsettled[i] = 0;
  }
  /** Brings plan().state up to date: to be called before such an engine runs. Nobody may be watching look-ups. */
  publish(): void {
    const watched = this.classesL1 !== null || this.missesByPc !== null || this.walksByPc !== null || this.observer !== null || this.watch !== null || this.stale !== null;
    this.published[Published.IsOn] = this.translating && !watched ? 1 : 0;
    this.published[Published.SignShift] = this.signShift;
    this.published[Published.Asid] = this.asid;
    this.published[Published.MayLoad] = this.allowed[Access.Load]!;
    this.published[Published.MayStore] = this.allowed[Access.Store]!;
    if (this.deferred === null) return;
    const change = this.ram.takeTableChange();
    if (change !== TableChange.None || this.published[Published.IsOn] === 0) this.deferred.forget();
    if (change === TableChange.Pointer) this.looksAtPointers = true;
    if (this.looksAtPointers) {
      this.pointersHold = this.walker.pointersHold(this.levels, this.rootPpn, this.asid);
      if (this.walker.guarded) this.tablesAreGuarded();
      this.looksAtPointers = false;
    }
    this.published[Published.MayLearn] = this.pointersHold ? 1 : 0;
  }
  /** A page that L2 serves as a base page, by an entry with A: is what this says just what a walk would find? Then the page may be remembered as one that was
   *  walked to (DeferredMisses). Changes nothing, but that tables may be guarded. */
  walkWouldFind(vpnLo: number, vpnHi: number): boolean {
    const l2 = this.l2d;
    if (l2 === null || this.published[Published.MayLearn] === 0) return false;
    const low = this.walker.plainLeaf(this.levels, this.rootPpn, vpnLo, vpnHi);
    if (this.walker.guarded) this.tablesAreGuarded();
    const e = l2.find(vpnLo, vpnHi, this.asid);
    return e >= 0 && l2.ownerOf(e) === this.asid && (low & KEPT_FLAGS) === l2.flagsOf(e) && (low & Pte.A) !== 0
      && ((low & Pte.D) !== 0) === l2.isDirty(e, 0) && low >>> 10 === l2.frameOf(e, vpnLo, vpnHi);
  }
  private tablesAreGuarded(): void {
    this.walker.guarded = false;
    this.askBeforeStores();
  }
  /** TLBs, page-walk caches or tables are others than they were, past all methods. */
  forgetKnown(): void {
    this.deferred?.forget();
    this.ram.noteTables();
  }

  /** Lets the engine touch the page without asking, until the entry goes. */
  private show(l1: TlbLevel, e: number, vaHi: number, vaLo: number, access: Access, frame: number, host: number): void {
    const pageLo = vaLo & ~4095;
    if (this.classesL1 !== null || (this.watch !== null && this.isWatched(this.watch, vaHi, vaLo, access, frame))) return;
    if (access === Access.Load) this.filter.enter(this.filter.read, vaHi, pageLo, host, l1.stampByte(e));
    else if (access === Access.Fetch) this.filter.enter(this.filter.exec, vaHi, pageLo, host, l1.stampByte(e));
    else if (this.ram.guards[frame - this.ram.firstPfn] === 0) this.filter.enter(this.filter.write, vaHi, pageLo, host, l1.stampByte(e));
    else return;
    l1.noteShown(e, pageLo >>> 12 | vaHi << 20);
  }

  /** Must the page stay out of the filter? Code must once something was found, so that the hart asks before the next instruction. */
  private isWatched(watch: Watch, vaHi: number, vaLo: number, access: Access, frame: number): boolean {
    return access === Access.Fetch ? watch.hits.length > 0 : watch.isWatched(toNumber(vaHi >> 12, (vaHi << 20) | (vaLo >>> 12)), frame);
  }
  /** Begins to watch memory, or ends it: null. No count depends on it. */
  setWatch(watch: Watch | null): void {
    if (watch === null && this.watch === null) return;
    this.watch = watch;
    this.filter.clear();
  }

  /** May the engine store to some of `nr` frames without a look-up? It may where an L1 entry is left, which a missing fence can do to frames
   *  that are handed out again. Errs towards yes. */
  mayStoreUnasked(first: Pfn, nr: number): boolean {
    return this.l1d.entries > FEW_ENTRIES || this.l1d.mayServeFrames(first, nr);
  }

  /** The rest of a miss whose page is in L1 by now, for who fills L1 first (DeferredMisses): no access can be refused, no entry lacks A or D. */
  missLater(vaHi: number, vaLo: number, access: Access): void {
    this.miss(null, vaHi, vaLo, access, 0);
  }
  /** An L1 miss: L2, else a walk. @param l1 null: it is filled already. @returns the L1 entry filled, or -1 with `fault` set, or without an L1 */
  private miss(l1: TlbLevel | null, vaHi: number, vaLo: number, access: Access, stamp: number): number {
    const c = this.counters;
    const side = access === Access.Fetch ? Side.Fetch : Side.Data;
    const l2 = access === Access.Fetch ? this.l2i : this.l2d;
    const vpnLo = (vaHi << 20) | (vaLo >>> 12);
    const vpnHi = vaHi >> 12;
    const t = this.found;
    c.l1Misses[access]!++;
    if (this.missesByPc !== null) this.attribute(this.missesByPc);
    if (l2 !== null) {
      c.l2Lookups[access]!++;
      const e2 = isCanonical(vaHi, this.signShift) ? l2.find(vpnLo, vpnHi, this.asid) : -1;
      if (e2 >= 0) {
        const size = side * NR_SIZES + sizeOfLeaf[l2.leafOf(e2)]!;
        c.l1MissesBySize[size]!++;
        c.l2HitsBySize[size]!++;
        l2.touch(e2);
        if (this.classesL2 !== null && l2 === this.l2d) this.classesL2.access(l2.ownerOf(e2), l2.orderOf(e2), l2.startOf(e2), false);
        if (((this.allowed[access]! >>> ((l2.flagsOf(e2) >> 1) & 15)) & 1) === 0) {
          this.pageFault(vaHi, vaLo, access);
          return -1;
        }
        if (l2.needsUpdate(e2, vpnLo, access >= Access.Store)) {
          if (!this.walkAgain(vaHi, vaLo, access)) return -1;
          this.follow(l2, e2, vpnLo, vpnHi, access);
        } else {
          l2.give(e2, vpnLo, vpnHi, t);
        }
        if (l1 === null) return -1;
        if (this.exclusive) this.moveUp(l1, l2, vpnLo, vpnHi);
        return this.fillL1(l1, l2, t, vpnLo, vpnHi, side, stamp);
      }
      c.l2Misses[access]!++;
    }
    if (this.walksByPc !== null) this.attribute(this.walksByPc);
    if (!this.walk(vaHi, vaLo, access)) return -1;
    const size = sizeOfLeaf[t.leaf]!;
    c.l1MissesBySize[side * NR_SIZES + size]!++;
    c.walksBySize[size]!++;
    if (l2 !== null) c.l2MissesBySize[side * NR_SIZES + size]!++;
    let pages = 0;
    if (l2 !== null && !this.exclusive) {
      this.fillL2(l2, t, vpnLo, vpnHi, side);
      pages = l2.chosenCount;
      if (this.classesL2 !== null && l2 === this.l2d) {
        const e2 = l2.find(vpnLo, vpnHi, this.asid);
        this.classesL2.access(l2.ownerOf(e2), l2.orderOf(e2), l2.startOf(e2), true);
      }
    }
    const e = l1 === null ? -1 : this.fillL1(l1, l2, t, vpnLo, vpnHi, side, stamp);
    if (l1 !== null && this.lastL1Pages > pages) pages = this.lastL1Pages;
    if (pages > 0) c.pagesPerEntry[pages]!++;
    if (pages > 1) c.add(Count.CoalescedFills);
    return e;
  }
  private lastL1Pages = 0;
  private attribute(by: Map<number, number>): void {
    const pc = toNumber(this.pcHi, this.pcLo);
    by.set(pc, (by.get(pc) ?? 0) + 1);
  }

  /** A counted walk into `found`. @returns false with `fault` set */
  private walk(vaHi: number, vaLo: number, access: Access): boolean {
    const w = this.walker;
    const c = this.counters;
    const status = w.walk(vaHi, vaLo, this.levels, this.rootPpn, this.asid, this.allowed[access]!, access >= Access.Store, true);
    c.add(Count.Walks);
    c.add(Count.PteReads, w.reads);
    if (w.startedBelow) c.add(Count.PwcHits);
    if (status !== WalkStatus.Found) {
      c.add(Count.WalkFaults);
      this.walkFault(status, vaHi, vaLo, access);
      return false;
    }
    if (w.guarded) this.tablesAreGuarded();
    this.takeWalk((vaHi << 20) | (vaLo >>> 12), vaHi >> 12);
    return true;
  }

  /** Turns what the walker found into a translation. */
  private takeWalk(vpnLo: number, vpnHi: number): void {
    const w = this.walker;
    const t = this.found;
    if (w.setA) this.counters.add(Count.Accessed);
    if (w.setD) this.counters.add(Count.Dirty);
    if (w.setA || w.setD) this.deferred?.forget();
    if (this.watch !== null && (w.setA || w.setD)) this.watch.walkWrote(this.ram.pfnOfHost(w.pteWord << 2) * PAGE_SIZE + ((w.pteWord << 2) & (PAGE_SIZE - 1)));
    t.order = w.order;
    t.leaf = w.order;
    t.ppn = w.ppn;
    t.flags = w.pteLow & KEPT_FLAGS;
    t.asid = w.global ? GLOBAL : this.asid;
    if (w.order > 0) {
      const line = vpnLo & ~7;
      const into = w.order < 32 ? line & ((1 << w.order) - 1) : (vpnHi & ((1 << (w.order - 32)) - 1)) * 0x1_0000_0000 + (line >>> 0);
      t.whole(vpnLo, w.ppn + into, w.pteLow);
    } else if (this.l1d.coalesces || this.l1i.coalesces || (this.l2d !== null && this.l2d.coalesces) || (this.l2i !== null && this.l2i.coalesces)) {
      t.read(this.words, w.pteWord, vpnLo);
    } else {
      t.alone(vpnLo, w.ppn, w.pteLow);
    }
  }

  private fillL1(l1: TlbLevel, l2: TlbLevel | null, t: Translation, vpnLo: number, vpnHi: number, side: number, stamp: number): number {
    l1.choose(t, vpnLo, vpnHi);
    this.lastL1Pages = l1.chosenCount;
    if (l1.chosenOrder < t.leaf) this.counters.partialReach[side]!++;
    l1.takeOver(t, vpnLo, vpnHi);
    const e = l1.victim(vpnLo, vpnHi);
    if (this.exclusive && l2 !== null && l1.isValid(e)) this.moveDown(l1, e, l2, side);
    l1.write(e, t, vpnLo, vpnHi, stamp);
    if (l1 === this.l1d && this.deferred !== null) this.deferred.filled(vpnLo, vpnHi, e);
    return e;
  }

  private fillL2(l2: TlbLevel, t: Translation, vpnLo: number, vpnHi: number, side: number): void {
    l2.choose(t, vpnLo, vpnHi);
    if (l2.chosenOrder < t.leaf) this.counters.partialReach[2 + side]!++;
    l2.takeOver(t, vpnLo, vpnHi);
    l2.write(l2.victim(vpnLo, vpnHi), t, vpnLo, vpnHi, l2.nextStamp());
  }

  /** Exclusive: what L2 gives leaves it, if L1 will hold all of the entry. */
  private moveUp(l1: TlbLevel, l2: TlbLevel, vpnLo: number, vpnHi: number): void {
    const e2 = l2.find(vpnLo, vpnHi, this.asid);
    l1.choose(this.found, vpnLo, vpnHi);
    if (l1.chosenHolds(l2, e2)) l2.drop(e2);
  }
  /** Exclusive: an L1 victim goes to L2. */
  private moveDown(l1: TlbLevel, e: number, l2: TlbLevel, side: number): void {
    const vpnLo = l1.firstPageLo(e);
    const vpnHi = l1.firstPageHi(e);
    const t = this.evicted;
    l1.give(e, vpnLo, vpnHi, t);
    const old = l2.find(vpnLo, vpnHi, t.asid);
    if (old >= 0) l2.drop(old);
    this.fillL2(l2, t, vpnLo, vpnHi, side);
  }

  /** An L1 hit that needs A or D. @returns the L1 entry to use, or -1 with `fault` set */
  private assistL1(l1: TlbLevel, e: number, vaHi: number, vaLo: number, access: Access, stamp: number): number {
    if (!this.walkAgain(vaHi, vaLo, access)) {
      l1.stamp[e] = stamp;
      return -1;
    }
    const vpnLo = (vaHi << 20) | (vaLo >>> 12);
    const vpnHi = vaHi >> 12;
    const side = access === Access.Fetch ? Side.Fetch : Side.Data;
    const l2 = access === Access.Fetch ? this.l2i : this.l2d;
    if (l2 !== null) {
      const e2 = l2.find(vpnLo, vpnHi, this.asid);
      if (e2 >= 0) this.follow(l2, e2, vpnLo, vpnHi, access);
    }
    // An inclusive L2 that dropped the page has taken the L1 entry along.
    if (l1.find(vpnLo, vpnHi, this.asid) === e && this.refresh(l1, e, vpnLo, vpnHi, access)) return e;
    return this.fillL1(l1, l2, this.found, vpnLo, vpnHi, side, stamp);
  }

  /** The access needs A or D that the cached translation lacks: the walk is done on memory, from the root, and judged anew, into `found`.
   *  @returns false with `fault` set */
  private walkAgain(vaHi: number, vaLo: number, access: Access): boolean {
    const w = this.walker;
    if (!w.svadu) {
      this.pageFault(vaHi, vaLo, access);
      return false;
    }
    const status = w.walk(vaHi, vaLo, this.levels, this.rootPpn, this.asid, this.allowed[access]!, access >= Access.Store, false);
    this.counters.add(Count.Assists);
    this.counters.add(Count.AssistPteReads, w.reads);
    if (status !== WalkStatus.Found) {
      this.walkFault(status, vaHi, vaLo, access);
      return false;
    }
    this.takeWalk((vaHi << 20) | (vaLo >>> 12), vaHi >> 12);
    return true;
  }

  /** Brings L2 in line with `found`: its entry is refreshed, or replaced. */
  private follow(l2: TlbLevel, e2: number, vpnLo: number, vpnHi: number, access: Access): void {
    if (this.refresh(l2, e2, vpnLo, vpnHi, access)) return;
    this.fillL2(l2, this.found, vpnLo, vpnHi, access === Access.Fetch ? Side.Fetch : Side.Data);
  }

  /** Brings one entry in line with `found`. @returns false: the page is no longer in the entry, and wants a new one */
  private refresh(level: TlbLevel, e: number, vpnLo: number, vpnHi: number, access: Access): boolean {
    const t = this.found;
    if (level.frameOf(e, vpnLo, vpnHi) !== t.frames[t.own] || level.flagsOf(e) !== t.flags || level.leafOf(e) !== t.leaf || level.ownerOf(e) !== t.asid) {
      level.drop(e); // the page table has changed under the entry
      return false;
    }
    const page = level.pageIn(e, vpnLo);
    level.markAccessed(e, page);
    if (access < Access.Store || level.isDirty(e, page)) return true;
    const rule = level.ruleOf(e);
    if (rule === 'd-split' || level.isSinglePiece(e)) {
      level.markDirty(e, page);
      return true;
    }
    level.dropPage(e, vpnLo, rule === 'd-evict' && level.hasPageBits(e));
    return false;
  }

  /** satp as the CSR: an unsupported MODE changes nothing at all. Drops the filter; neither flushes nor orders anything. */
  writeSatp(hi: number, lo: number): void {
    const mode = (hi >>> 28) as SatpMode;
    if (mode !== SatpMode.Bare && (mode < SatpMode.Sv39 || mode > this.widestMode)) return;
    if (hi === this.satp.hi && lo === this.satp.lo) return;
    this.forgetKnown();
    this.satp = { hi: hi | 0, lo: lo | 0 };
    this.levels = levelsOf(mode);
    this.signShift = this.levels === 0 ? 0 : signShiftOf(this.levels);
    this.asid = (hi >>> 12) & 0xffff;
    this.rootPpn = (hi & 0xfff) * 0x1_0000_0000 + (lo >>> 0);
    this.setRights();
  }
  get satpHi(): number { return this.satp.hi; }
  get satpLo(): number { return this.satp.lo; }

  /** Privilege and sstatus.SUM/MXR for the accesses that follow; they act at once, so a TLB holds raw permission bits. */
  setPrivilege(privilege: Privilege, sum: boolean, mxr: boolean): void {
    if (privilege === this.privilege && sum === this.sum && mxr === this.mxr) return;
    this.privilege = privilege;
    this.sum = sum;
    this.mxr = mxr;
    this.setRights();
  }
  private setRights(): void {
    this.translating = this.levels !== 0 && this.privilege !== Privilege.Machine;
    for (let access = 0; access < 4; access++) {
      this.allowed[access] = rightsFor(RIGHT[access]!, this.privilege === Privilege.User, this.sum, this.mxr);
    }
    this.filter.clear();
    this.deferred?.forget();
  }
  /** menvcfg.ADUE. The spec asks software for sfence.vma x0, x0 after it. */
  setSvadu(on: boolean): void {
    this.walker.svadu = on;
  }
  /** Stores ask again, to whatever page: frames are guarded that were not, or somebody wants to hear of the next write to each. */
  askBeforeStores(): void {
    this.filter.clearWrite();
    this.deferred?.forget();
  }

  /** Begins to class L1 D and L2 misses as compulsory, capacity, conflict, invalidated: `report()` then has the classes. Every access asks
   *  the MMU from here on, so a run takes longer; no other count changes. Not under an exclusive L2, whose fills are L1's victims. */
  classifyMisses(): void {
    this.classesL1 = new MissClasses(this.l1d.entries);
    this.classesL2 = this.l2d === null || this.exclusive ? null : new MissClasses(this.l2d.entries);
    this.filter.clear();
  }
  /** Begins to look for stale translations. No count changes; a run takes longer. */
  watchStale<Where>(listener: StaleListener<Where>): void {
    this.stale = new StaleWatch(this.arena, this.ram, listener, () => { this.filter.clear(); }) as StaleWatch;
    this.filter.clear();
  }
  /** Begins to count L1 misses and walks by the pc that the engine sets. */
  attributeMisses(): void {
    this.missesByPc = new Map();
    this.walksByPc = new Map();
  }

  /** sfence.vma. `va` null: rs1 = x0. `asid` null: rs2 = x0 (spec table: riscv privileged, supervisor memory-management fence). */
  fence(va: { readonly hi: number; readonly lo: number } | null, asid: Asid | null): void {
    this.looksAtPointers ||= !this.pointersHold;
    if (va === null) {
      this.counters.add(asid === null ? Count.FlushAll : Count.FlushAsid);
      this.classesL1?.fence(null, asid);
      this.classesL2?.fence(null, asid);
      this.l1i.fenceSpace(asid);
      this.l1d.fenceSpace(asid);
      this.l2d?.fenceSpace(asid);
      if (this.l2i !== this.l2d) this.l2i?.fenceSpace(asid);
      if (asid === null) this.walker.dropPointers();
      else this.walker.dropPointersOf(asid);
      return;
    }
    if (this.levels !== 0 && !isCanonical(va.hi, this.signShift)) return;
    const vpnLo = (va.hi << 20) | (va.lo >>> 12);
    const vpnHi = va.hi >> 12;
    this.classesL1?.fence(toNumber(vpnHi, vpnLo), asid);
    this.classesL2?.fence(toNumber(vpnHi, vpnLo), asid);
    let collateral = this.l1i.fencePage(vpnLo, vpnHi, asid) + this.l1d.fencePage(vpnLo, vpnHi, asid);
    if (this.l2d !== null) collateral += this.l2d.fencePage(vpnLo, vpnHi, asid);
    if (this.l2i !== null && this.l2i !== this.l2d) collateral += this.l2i.fencePage(vpnLo, vpnHi, asid);
    if (this.description.pageFenceDropsPwc === true) this.walker.dropPointersOnPath(vpnLo, vpnHi, asid);
    this.counters.add(Count.FlushPage);
    this.counters.add(Count.Collateral, collateral);
  }

  /** Every valid entry, level by level. For those who look from outside: nothing is touched or counted. */
  entries(): TlbEntry[] {
    return this.levelsByName().flatMap(([name, level]) => level?.valid().map((e) => ({ level: name, ...level.show(e) })) ?? []);
  }
  private levelsByName(): readonly (readonly [CachedEntry['level'], TlbLevel | null])[] {
    return [['l1d', this.l1d], ['l1i', this.l1i], ['l2', this.l2d], ['l2i', this.l2i === this.l2d ? null : this.l2i]];
  }
  /** The entries that serve a page of an address space, L1 first, and when each was last touched. For those who look from outside: nothing is touched
   *  or counted. @param vpn a page number of a program */
  cachedEntries(vpn: number, asid: number): CachedEntry[] {
    const vpnLo = vpn | 0;
    const vpnHi = Math.floor(vpn / 0x1_0000_0000);
    const found: CachedEntry[] = [];
    for (const [name, level] of this.levelsByName()) {
      const e = level?.find(vpnLo, vpnHi, asid) ?? -1;
      if (e >= 0) found.push({ level: name, order: level!.orderOf(e), touched: level!.stamp[e]! });
    }
    return found;
  }
  /** What a touch from now on exceeds, by level, as CachedEntry tells time. @param tick of the next instruction */
  touchClocks(tick: number): { l1: number; l2: number; l2i: number } {
    return { l1: stampAt(tick) - 1, l2: this.l2d?.touches ?? 0, l2i: this.l2i?.touches ?? 0 };
  }

  /** Cycles that look-ups have cost so far beyond an L1 hit: L2 hits, walks, PTE reads, each at the description's latencies. */
  get cycles(): number {
    this.settle();
    const c = this.counters;
    const dataHits = c.l2Lookups[1]! + c.l2Lookups[2]! + c.l2Lookups[3]! - c.l2Misses[1]! - c.l2Misses[2]! - c.l2Misses[3]!;
    const fetchHits = c.l2Lookups[0]! - c.l2Misses[0]!;
    return dataHits * (this.l2d?.hitCycles ?? 0) + fetchHits * (this.l2i?.hitCycles ?? 0)
      + (c.get(Count.Walks) + c.get(Count.Assists)) * this.description.walkCycles
      + (c.get(Count.PteReads) + c.get(Count.AssistPteReads)) * this.description.pteReadCycles;
  }
  /** `tlb` of the report. */
  report(): TlbReport {
    const report = reportOf(this.counters, { l2: this.l2d !== null, l2i: this.l2i === this.l2d ? 'unified' : this.l2i !== null });
    if (this.classesL1 !== null) report.l1d.missClasses = { ...this.classesL1.counts };
    if (this.classesL2 !== null && report.l2 !== null) report.l2.missClasses = { ...this.classesL2.counts };
    return report;
  }
  /** Everything that decides future behaviour: entries, stamps, page-walk caches, replacement state, counters, satp. */
  hash(into: StateHash): void {
    for (const word of [this.satp.hi, this.satp.lo, this.privilege, this.sum ? 1 : 0, this.mxr ? 1 : 0, this.walker.svadu ? 1 : 0]) into.word(word);
    this.l1i.hash(into);
    this.l1d.hash(into);
    this.l2d?.hash(into);
    if (this.l2i !== this.l2d) this.l2i?.hash(into);
    this.walker.hash(into);
    this.counters.hash(into);
  }

  /** Translation off: an address is a physical one. */
  private bare(vaHi: number, vaLo: number, access: Access): number {
    const frame = (vaHi >>> 0) * 0x10_0000 + (vaLo >>> 12);
    if (!this.ram.has(frame)) return this.accessFault(vaHi, vaLo, access);
    if (access >= Access.Store) this.willStore(frame);
    return (this.ram.hostOf(asPfn(frame)) + (vaLo & 4095)) | 0;
  }
  private walkFault(status: WalkStatus, vaHi: number, vaLo: number, access: Access): void {
    if (status === WalkStatus.PageFault) this.pageFault(vaHi, vaLo, access);
    else this.accessFault(vaHi, vaLo, access);
  }
  private pageFault(vaHi: number, vaLo: number, access: Access): number {
    this.counters.add(Count.PageFaults);
    return this.setFault(PAGE_FAULT_CAUSE[access]!, vaHi, vaLo);
  }
  private accessFault(vaHi: number, vaLo: number, access: Access): number {
    this.counters.add(Count.AccessFaults);
    return this.setFault(ACCESS_FAULT_CAUSE[access]!, vaHi, vaLo);
  }
  private setFault(cause: number, vaHi: number, vaLo: number): number {
    this.fault.cause = cause;
    this.fault.vaHi = vaHi;
    this.fault.vaLo = vaLo;
    return NO_HOST;
  }
}
