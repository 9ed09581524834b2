// One TLB level: recent translations as columns. Here: lookup, choosing a way, writing and dropping entries, pages of coalesced entries.
// Not here: the order of levels, the walk and fences (mmu.ts), which way to evict (replacement.ts), which pages to join (coalesce.ts).
//
// A level is one or more arrays searched in parallel; their entries share the columns. A *probe* is one size in one array: the index and
// tag of an access differ by size, so each size is looked for on its own, smallest first (a rehash, where one array holds several).
// An entry covers an aligned group of 1 << order pages: 4K pages alone (order 0), groups of four or eight coalesced pages (orders 2 and 3:
// a valid, an A and a D bit for each page), Svnapot regions (4) and superpages (9, 18, 27, 36), which have one A and one D.
// Invariant: at most one valid entry of order 3 or less for (asid, page). A larger entry may overlap smaller ones, when page tables changed
// without a fence; the smallest is found first, as long as it lives.
import { Prng, bug } from '#base';
import type { StateHash } from '#base';
import type { Arena } from './arena.ts';
import { Capture, capture } from './coalesce.ts';
import type { Translation } from './coalesce.ts';
import { ORDER_OF_SIZE, honoursNapot } from './description.ts';
import type { AdRule, CoalescingName, TlbLevelDescription } from './description.ts';
import { EMPTY_TAG, FILTER_SLOTS, SHOWN_BLOCK, SLOT_WORDS } from './filter.ts';
import { NAPOT_ORDER, Pte } from './pte.ts';
import { GLOBAL } from './pwc.ts';
import { MAX_SCAN } from './plan.ts';
import type { LevelPlan } from './plan.ts';
import { Oldest, Policy, freeWay, outlives, policyNamed, victimOf } from './replacement.ts';

/** Fully associative arrays above this many ways are found through a hash chain instead of a scan. */
const SCAN_WAYS = 16;
const FREE = -1;

/** The fixed shape of one array. */
interface TlbArray {
  readonly index: number;
  readonly first: number;
  readonly entries: number;
  readonly ways: number;
  readonly setMask: number;
  readonly policy: Policy;
  readonly random: Prng;
  readonly model: CoalescingName;
  readonly rule: AdRule;
  readonly wide: boolean;
  /** Chain heads, where the array is hashed. */
  readonly heads: Int32Array | null;
  /** The next victims, where they are found by scanning many ways. */
  readonly oldest: Oldest | null;
  /** [0]: no way before it is free. Of arrays that have too many ways for emitted code and to look for a free one from the first on; else null. */
  readonly freeFrom: Int32Array | null;
  /** Probe of each order, or -1. */
  readonly probeOf: Int32Array;
}

export class TlbLevel {
  readonly entries: number;
  /** Cycles of a hit. */
  readonly hitCycles: number;
  /** Whether some array looks at neighbours. */
  readonly coalesces: boolean;
  private readonly arrays: readonly TlbArray[];
  /** Where single base pages go; and the array, if any, that takes longer runs (CoLT-FA's superpage TLB). */
  private readonly baseArray: TlbArray;
  private readonly runArray: TlbArray | null;
  /** Array that holds entries of each large order, or null. */
  private readonly largeArray: readonly (TlbArray | null)[];
  /** Largest held order of 4 or more that is not above each order; 0: none. */
  private readonly heldBelow: Int32Array;

  // Probes, smallest order first.
  private readonly nrProbes: number;
  private readonly probeOrder: Int32Array;
  /** Frames that an entry of a probe may give from its first one on, at most. */
  private readonly probeSpan: Float64Array;
  private readonly probeMaskLo: Int32Array;
  private readonly probeMaskHi: Int32Array;
  /** Low page-number bits that tell the pages of an entry of order 2 or 3 apart. */
  private readonly probePageMask: Int32Array;
  private readonly probeArray: readonly TlbArray[];
  /** Valid entries of each probe: what holds none need not be searched. */
  private readonly live: Int32Array;

  // Columns.
  private readonly tagLo: Int32Array;
  private readonly tagHi: Int32Array;
  /** See LevelPlan; L1 alone. Of valid entries of base pages it is tagLo, whenever no engine runs. */
  private readonly held: Int32Array;
  /** Probe an entry was made for; FREE when invalid. */
  private readonly probe: Int32Array;
  private readonly asid: Int32Array;
  private readonly flags: Int32Array;
  /** Bits 7:0 valid pages, 15:8 their A, 23:16 their D. */
  private readonly pages: Int32Array;
  private readonly ppn: Float64Array;
  /** Clustered entries: three frame bits for each page. */
  private readonly sub: Int32Array;
  private readonly leaf: Int32Array;
  /** Time of last touch, -1 for never. L1: stampAt() of the access, one more for the second half of a split one; engines write it through the filter. */
  readonly stamp: Float64Array;
  /** Order of fills, where an array is FIFO. */
  private readonly filled: Float64Array;
  private readonly agesByFill: boolean;
  /** Of entries of superpages: where in the filter their pages may stand, a bit for each SHOWN_BLOCK slots. */
  private readonly shownIn: Int32Array;
  private readonly next: Int32Array;
  /** See LevelPlan. */
  private readonly turns: Int32Array;

  /** L1: the filter tables that may show pages of this level. */
  private readonly shown: readonly Int32Array[];
  /** Inclusive L2: the L1s that hold nothing which this level does not. */
  private readonly over: readonly TlbLevel[];
  private readonly stampBase: number;
  /** [0] fills so far (where an array is FIFO), [1] touches so far (L2). */
  private readonly clock: Float64Array;
  /** Valid entries of each array, and those of order 4 and more in the level. */
  private readonly nrValid: Int32Array;
  private readonly large: Int32Array;
  private readonly captured = new Capture();
  private readonly capturedRun = new Capture();

  /** @param shown the filter's tables for an L1, none for an L2. @param over the L1s that an inclusive L2 contains.
   *  @param name keeps random streams apart. */
  constructor(arena: Arena, d: TlbLevelDescription, shown: readonly Int32Array[], over: readonly TlbLevel[], seed: number, name: string) {
    const entries = d.arrays.reduce((n, a) => n + a.entries, 0);
    this.entries = entries;
    this.hitCycles = d.hitCycles;
    this.shown = shown;
    this.over = over;
    let first = 0;
    const probes: { order: number; array: number }[] = [];
    this.arrays = d.arrays.map((a, index) => {
      const model = a.coalescing ?? 'none';
      const orders = ordersOf(model, a.pageSizes.map((s) => ORDER_OF_SIZE[s]), honoursNapot(a));
      for (const order of orders) probes.push({ order, array: index });
      const sets = a.entries / a.ways;
      const hashed = sets === 1 && a.ways > SCAN_WAYS;
      const oldest = hashed && (a.replacement === 'lru' || a.replacement === 'fifo') ? new Oldest(arena, first, a.ways) : null;
      const array: TlbArray = {
        index, first, entries: a.entries, ways: a.ways, setMask: sets - 1, policy: policyNamed[a.replacement],
        random: new Prng(seed, `tlb ${name} ${index}`), model, rule: a.adRule ?? 'strict', wide: a.pageSizes.includes('32K'),
        heads: hashed ? arena.int32(1 << Math.ceil(Math.log2(a.ways * 2))).fill(FREE) : null,
        oldest, freeFrom: oldest !== null && oldest.plan === null ? arena.int32(1).fill(first) : null,
        probeOf: new Int32Array(64).fill(FREE),
      };
      first += a.entries;
      return array;
    });
    probes.sort((a, b) => a.order - b.order || a.array - b.array);
    this.nrProbes = probes.length;
    this.probeOrder = Int32Array.from(probes, (p) => p.order);
    this.probeSpan = Float64Array.from(probes, (p) => Math.max(8, 2 ** p.order));
    this.probeMaskLo = Int32Array.from(probes, (p) => (p.order < 32 ? -1 << p.order : 0));
    this.probeMaskHi = Int32Array.from(probes, (p) => (p.order < 32 ? -1 : -1 << (p.order - 32)));
    this.probePageMask = Int32Array.from(probes, (p) => (p.order < NAPOT_ORDER ? (1 << p.order) - 1 : 0));
    this.probeArray = probes.map((p) => this.arrays[p.array]!);
    probes.forEach((p, i) => { this.arrays[p.array]!.probeOf[p.order] = i; });
    this.live = arena.int32(probes.length);
    this.clock = arena.float64(2);
    this.nrValid = arena.int32(d.arrays.length);
    this.large = arena.int32(1);

    this.agesByFill = this.arrays.some(({ policy }) => policy === Policy.Fifo);
    this.coalesces = this.arrays.some((a) => a.model !== 'none' && a.model !== 'svnapot');
    const base = d.arrays.findIndex((a) => a.pageSizes.includes('4K'));
    this.baseArray = this.arrays[base] ?? bug('a TLB level without 4K pages');
    this.runArray = this.arrays.find((a, i) => i !== base && a.model === 'colt-fa') ?? null;
    this.largeArray = Array.from({ length: 37 }, (_, order) => this.arrays.find((a) => order >= NAPOT_ORDER && a.probeOf[order] !== FREE) ?? null);
    this.heldBelow = new Int32Array(37);
    for (let order = NAPOT_ORDER, held = 0; order <= 36; order++) {
      if (this.largeArray[order] !== null) held = order;
      this.heldBelow[order] = held;
    }

    this.tagLo = arena.int32(entries);
    this.tagHi = arena.int32(entries);
    this.held = arena.int32(entries);
    this.probe = arena.int32(entries).fill(FREE);
    this.asid = arena.int32(entries);
    this.flags = arena.int32(entries);
    this.pages = arena.int32(entries);
    this.ppn = arena.float64(entries);
    this.sub = arena.int32(entries);
    this.leaf = arena.int32(entries);
    this.stamp = arena.float64(entries).fill(-1);
    this.filled = arena.float64(entries);
    this.shownIn = arena.int32(entries);
    this.next = arena.int32(entries);
    this.turns = arena.int32(this.baseArray.setMask + 1);
    this.stampBase = this.stamp.byteOffset;
  }

  /** The columns, if base pages need nothing of them but one of three replacements, and no other array joins pages; else null. */
  plan(): LevelPlan | null {
    const { baseArray: base, arrays } = this;
    const joins = base.model === 'none' || base.model === 'svnapot' ? null : { model: base.model, rule: base.rule };
    if (arrays.some((a) => a !== base && a.model !== 'none' && a.model !== 'svnapot') || base.policy === Policy.Random || this.over.length !== 0) return null;
    if (base.policy === Policy.Plru && base.ways > MAX_SCAN) return null;
    if (base.oldest !== null && base.oldest.plan === null) return null;
    if (this.probeArray.some(({ ways, heads }) => heads === null && ways > MAX_SCAN)) return null;
    const offset = (column: Int32Array | Float64Array): number => column.byteOffset;
    return {
      joins,
      probes: this.probeArray.map(({ first, ways, setMask, heads }, p) => ({
        probe: p, order: this.probeOrder[p]!, first, ways, setMask, heads: heads === null ? null : { at: heads.byteOffset, mask: heads.length - 1 },
      })),
      nrValid: this.nrValid.byteOffset + 4 * base.index, entries: base.entries, nrLarge: this.large.byteOffset,
      age: offset(base.policy === Policy.Fifo ? this.filled : this.stamp), isTree: base.policy === Policy.Plru, outlives: joins !== null ? 1 : outlives(base.policy, base.ways), oldest: base.oldest?.plan ?? null,
      turns: offset(this.turns),
      tagLo: offset(this.tagLo), tagHi: offset(this.tagHi), held: offset(this.held), probe: offset(this.probe), asid: offset(this.asid), flags: offset(this.flags), pages: offset(this.pages),
      sub: offset(this.sub), leaf: offset(this.leaf), shownIn: offset(this.shownIn), next: offset(this.next),
      ppn: offset(this.ppn), stamp: offset(this.stamp), filled: this.agesByFill ? offset(this.filled) : null, live: offset(this.live), clock: offset(this.clock), shown: this.shown.map(offset),
    };
  }

  /** The entry that serves a page of an address space, or -1. Touches nothing. */
  find(vpnLo: number, vpnHi: number, asid: number): number {
    for (let p = 0; p < this.nrProbes; p++) {
      if (this.live[p] === 0) continue;
      const e = this.findIn(p, vpnLo, vpnHi, asid);
      if (e >= 0) return e;
    }
    return -1;
  }

  private findIn(p: number, vpnLo: number, vpnHi: number, asid: number): number {
    const array = this.probeArray[p]!;
    const lo = vpnLo & this.probeMaskLo[p]!;
    const hi = vpnHi & this.probeMaskHi[p]!;
    const page = vpnLo & this.probePageMask[p]!;
    const heads = array.heads;
    if (heads !== null) {
      for (let e = heads[bucketOf(lo, hi, p, heads.length - 1)]!; e >= 0; e = this.next[e]!) {
        if (this.tagLo[e] === lo && this.serves(e, p, hi, page, asid)) return e;
      }
      return -1;
    }
    const first = array.first + (setIndex(vpnLo, vpnHi, this.probeOrder[p]!) & array.setMask) * array.ways;
    const end = first + array.ways;
    for (let e = first; e < end; e++) {
      if (this.tagLo[e] === lo && this.serves(e, p, hi, page, asid)) return e;
    }
    return -1;
  }
  private serves(e: number, p: number, hi: number, page: number, asid: number): boolean {
    if (this.probe[e] !== p || this.tagHi[e] !== hi || ((this.pages[e]! >> page) & 1) === 0) return false;
    const owner = this.asid[e]!;
    return owner === asid || owner === GLOBAL;
  }

  // Reading an entry. `page` is its index among the entry's pages.
  pageIn(e: number, vpnLo: number): number {
    return vpnLo & this.probePageMask[this.probe[e]!]!;
  }
  flagsOf(e: number): number {
    return this.flags[e]!;
  }
  leafOf(e: number): number {
    return this.leaf[e]!;
  }
  /** Whether an access must set A, or D, of the page in memory first. */
  needsUpdate(e: number, vpnLo: number, store: boolean): boolean {
    const bits = this.pages[e]! >> this.pageIn(e, vpnLo);
    return (bits & 0x100) === 0 || (store && (bits & 0x10000) === 0);
  }
  isDirty(e: number, page: number): boolean {
    return ((this.pages[e]! >> (16 + page)) & 1) !== 0;
  }
  isSinglePiece(e: number): boolean {
    const valid = this.pages[e]! & 0xff;
    return (valid & (valid - 1)) === 0;
  }
  isValid(e: number): boolean {
    return this.probe[e] !== FREE;
  }
  ruleOf(e: number): AdRule {
    return this.probeArray[this.probe[e]!]!.rule;
  }
  /** The frame that an entry gives for a page it serves. */
  frameOf(e: number, vpnLo: number, vpnHi: number): number {
    const p = this.probe[e]!;
    const order = this.probeOrder[p]!;
    const ppn = this.ppn[e]!;
    if (order === 0) return ppn;
    if (order >= NAPOT_ORDER) return ppn + pagesInto(order, vpnLo, vpnHi);
    const page = vpnLo & this.probePageMask[p]!;
    return this.probeArray[p]!.model === 'clustered' ? ppn + ((this.sub[e]! >> (3 * page)) & 7) : ppn + page;
  }
  /** Could an entry give one of `nr` frames? Errs towards yes: entries of neighbours count with all that they could hold. */
  mayServeFrames(first: number, nr: number): boolean {
    for (let e = 0; e < this.entries; e++) {
      const p = this.probe[e]!;
      if (p === FREE) continue;
      const ppn = this.ppn[e]!;
      if (ppn < first + nr + 8 && ppn + this.probeSpan[p]! > first) return true;
    }
    return false;
  }
  /** Byte offset of an entry's stamp in the arena, for the filter: signed 32 bits, as its slots hold it (columns lie above 2 GiB of RAM). */
  stampByte(e: number): number {
    return (this.stampBase + e * 8) | 0;
  }
  /** Marks a page of an L1 entry as possibly shown by the filter, so that dropping the entry finds it. */
  noteShown(e: number, vpnLo: number): void {
    if (this.probeOrder[this.probe[e]!]! > NAPOT_ORDER) this.shownIn[e]! |= 1 << ((vpnLo & (FILTER_SLOTS - 1)) / SHOWN_BLOCK);
  }
  /** L2: a hit makes the entry the most recent. */
  touch(e: number): void {
    this.stamp[e] = ++this.clock[1]!;
  }
  /** L2: hits and fills so far, which is its clock. */
  get touches(): number {
    return this.clock[1]!;
  }
  nextStamp(): number {
    return ++this.clock[1]!;
  }

  /** Sets D (and A) of one page of an entry. */
  markDirty(e: number, page: number): void {
    this.pages[e]! |= (0x10100 << page);
  }
  markAccessed(e: number, page: number): void {
    this.pages[e]! |= (0x100 << page);
  }

  /** Turns an entry into a translation of one page of it, for another level. */
  give(e: number, vpnLo: number, vpnHi: number, to: Translation): void {
    const p = this.probe[e]!;
    const order = this.probeOrder[p]!;
    const pages = this.pages[e]!;
    to.leaf = this.leaf[e]!;
    to.flags = this.flags[e]!;
    to.asid = this.asid[e]!;
    if (order >= NAPOT_ORDER) {
      to.order = order;
      to.ppn = this.ppn[e]!;
      const low = ((pages >> 8) & 1) * Pte.A | ((pages >> 16) & 1) * Pte.D;
      to.whole(vpnLo, to.ppn + pagesInto(order, vpnLo & ~7, vpnHi), low);
      return;
    }
    to.order = 0;
    if (order === 0) {
      to.alone(vpnLo, this.ppn[e]!, ((pages >> 8) & 1) * Pte.A | ((pages >> 16) & 1) * Pte.D);
      return;
    }
    to.own = vpnLo & 7;
    const start = to.own & ~this.probePageMask[p]!;
    to.known = (pages & 0xff) << start;
    to.accessed = ((pages >> 8) & 0xff) << start;
    to.dirty = ((pages >> 16) & 0xff) << start;
    for (let i = start, n = this.probePageMask[p]!; i <= start + n; i++) {
      if (((to.known >> i) & 1) !== 0) to.frames[i] = this.frameOf(e, (vpnLo & ~7) | i, vpnHi);
    }
  }

  /** Decides where a translation goes; afterwards `chosenProbe`, `chosenPages` and the captured frame describe the entry to write. */
  choose(t: Translation, vpnLo: number, vpnHi: number): void {
    const held = t.order >= NAPOT_ORDER ? this.heldBelow[t.order]! : 0;
    if (held !== 0) {
      const array = this.largeArray[held]!;
      this.chosenProbe = array.probeOf[held]!;
      const own = 1 << t.own;
      this.chosenPages = 1 | ((t.accessed & own) !== 0 ? 0x100 : 0) | ((t.dirty & own) !== 0 ? 0x10000 : 0);
      this.chosenLine = 0;
      const maskLo = this.probeMaskLo[this.chosenProbe]!;
      const maskHi = this.probeMaskHi[this.chosenProbe]!;
      this.chosenPpn = t.ppn + pagesInto(t.order, vpnLo & maskLo, vpnHi & maskHi);
      this.chosenSub = 0;
      return;
    }
    let array = this.baseArray;
    if (!this.coalesces) {
      const own = 1 << t.own;
      this.chosenProbe = array.probeOf[0]!;
      this.chosenLine = own;
      this.chosenPages = 1 | ((t.accessed & own) !== 0 ? 0x100 : 0) | ((t.dirty & own) !== 0 ? 0x10000 : 0);
      this.chosenPpn = t.frames[t.own]!;
      this.chosenSub = 0;
      return;
    }
    let c = this.captured;
    capture(t, array.model, array.rule, array.wide, c);
    const run = this.runArray;
    if (run !== null) {
      capture(t, run.model, run.rule, run.wide, this.capturedRun);
      if (countBits(this.capturedRun.pages) > countBits(c.pages)) {
        array = run;
        c = this.capturedRun;
      }
    }
    const start = t.own & -(1 << c.order);
    this.chosenProbe = array.probeOf[c.order]!;
    this.chosenLine = c.pages;
    this.chosenPages = (c.pages >> start) | (((t.accessed & c.pages) >> start) << 8) | (((t.dirty & c.pages) >> start) << 16);
    this.chosenPpn = c.ppn;
    this.chosenSub = c.sub;
  }
  private chosenProbe = 0;
  private chosenPages = 0;
  /** Line positions of the chosen pages; 0 for a large entry. */
  private chosenLine = 0;
  private chosenPpn = 0;
  private chosenSub = 0;

  /** Base pages in the chosen entry: 1 to 8, 16 for a Svnapot region, 0 for a superpage's. */
  get chosenCount(): number {
    if (this.chosenLine !== 0) return countBits(this.chosenLine);
    return this.probeOrder[this.chosenProbe] === NAPOT_ORDER ? 1 << NAPOT_ORDER : 0;
  }
  get chosenOrder(): number {
    return this.probeOrder[this.chosenProbe]!;
  }

  /** Whether the chosen entry will cover every page of entry `e` of another level, around the same access. */
  chosenHolds(other: TlbLevel, e: number): boolean {
    if (this.chosenOrder >= NAPOT_ORDER) return this.chosenOrder >= other.orderOf(e);
    if (other.orderOf(e) >= NAPOT_ORDER) return false;
    const theirs = (other.pages[e]! & 0xff) << (other.tagLo[e]! & 7);
    return (theirs & ~this.chosenLine) === 0;
  }

  /** Takes from older entries the pages that the chosen one will hold, so that no page has two. Before victim(). */
  takeOver(t: Translation, vpnLo: number, vpnHi: number): void {
    const line = this.chosenLine;
    if ((line & (line - 1)) !== 0) {
      for (let i = 0; i < 8; i++) {
        if (((line >> i) & 1) === 0 || i === t.own) continue;
        const at = (vpnLo & ~7) | i;
        for (let p = 0; p < this.nrProbes && this.probeOrder[p]! < NAPOT_ORDER; p++) {
          if (this.live[p] === 0) continue;
          for (let e = this.findIn(p, at, vpnHi, t.asid); e >= 0; e = this.findIn(p, at, vpnHi, t.asid)) {
            this.dropPage(e, at, this.hasPageBits(e));
          }
        }
      }
    }
    this.hideUnder(vpnLo);
    if (t.asid === GLOBAL) this.hideLine(line & ~(1 << t.own), vpnLo);
  }

  /** The way for the chosen entry: a free one, else the policy's. The caller sees to what the victim held, then calls write(). */
  victim(vpnLo: number, vpnHi: number): number {
    const p = this.chosenProbe;
    const array = this.probeArray[p]!;
    const first = array.first + (setIndex(vpnLo, vpnHi, this.probeOrder[p]!) & array.setMask) * array.ways;
    if (this.nrValid[array.index] !== array.entries) {
      const from = array.freeFrom?.[0] ?? first;
      const free = freeWay(array.policy, this.stamp, this.probe, FREE, from, first + array.ways - from);
      if (array.freeFrom !== null) array.freeFrom[0] = free < 0 ? first + array.ways : free;
      if (free >= 0) return free;
    }
    if (array.oldest !== null) return array.oldest.take(array.policy === Policy.Lru ? this.stamp : this.filled);
    return victimOf(array.policy, this.stamp, this.filled, first, array.ways, array.random);
  }

  /** Writes the chosen entry over way `e`, which is dropped first. */
  write(e: number, t: Translation, vpnLo: number, vpnHi: number, stamp: number): void {
    if (this.probe[e] !== FREE) this.drop(e);
    const p = this.chosenProbe;
    const lo = vpnLo & this.probeMaskLo[p]!;
    const hi = vpnHi & this.probeMaskHi[p]!;
    this.tagLo[e] = lo;
    this.held[e] = lo;
    this.tagHi[e] = hi;
    this.probe[e] = p;
    this.asid[e] = t.asid;
    this.flags[e] = t.flags;
    this.pages[e] = this.chosenPages;
    this.ppn[e] = this.chosenPpn;
    this.sub[e] = this.chosenSub;
    this.leaf[e] = t.leaf;
    this.stamp[e] = stamp;
    if (this.agesByFill) this.filled[e] = ++this.clock[0]!;
    this.shownIn[e] = 0;
    this.live[p]!++;
    if (this.probeOrder[p]! >= NAPOT_ORDER) this.large[0]!++;
    const { heads, index } = this.probeArray[p]!;
    this.nrValid[index]!++;
    if (heads !== null) {
      // Chains are kept in the order of ways, so that of two entries that match (a space's own and a global one) the lowest way serves,
      // as in a scanned set.
      const bucket = bucketOf(lo, hi, p, heads.length - 1);
      let before = FREE;
      let after = heads[bucket]!;
      while (after !== FREE && after < e) {
        before = after;
        after = this.next[after]!;
      }
      this.next[e] = after;
      if (before === FREE) heads[bucket] = e;
      else this.next[before] = e;
    }
  }

  /** Invalidates an entry. Its stamp stays: a fence does not change the order of the others. */
  drop(e: number): void {
    const p = this.probe[e]!;
    for (let i = 0; i < this.over.length; i++) this.over[i]!.dropOverlapping(this, e, this.pages[e]! & 0xff);
    this.hide(e, p);
    if (this.probeOrder[p]! >= NAPOT_ORDER) this.large[0]!--;
    const { heads, index, freeFrom } = this.probeArray[p]!;
    this.nrValid[index]!--;
    if (freeFrom !== null) freeFrom[0] = Math.min(freeFrom[0]!, e);
    if (heads !== null) {
      const bucket = bucketOf(this.tagLo[e]!, this.tagHi[e]!, p, heads.length - 1);
      if (heads[bucket] === e) heads[bucket] = this.next[e]!;
      else {
        let before = heads[bucket]!;
        while (this.next[before] !== e) before = this.next[before]!;
        this.next[before] = this.next[e]!;
      }
    }
    this.probe[e] = FREE;
    this.live[p]!--;
  }

  /** Whether an entry can lose one page and keep the rest: CoLT-SA and clustered entries have a valid bit for each page. */
  hasPageBits(e: number): boolean {
    const model = this.probeArray[this.probe[e]!]!.model;
    return this.probePageMask[this.probe[e]!] !== 0 && (model === 'clustered' || model === 'colt-sa');
  }
  /** Removes one page from an entry, or with it the whole entry. @returns how many other base pages went too */
  dropPage(e: number, vpnLo: number, keepOthers: boolean): number {
    const page = this.pageIn(e, vpnLo);
    const others = (this.pages[e]! & 0xff) & ~(1 << page);
    if (keepOthers && others !== 0) {
      this.hidePage(e, vpnLo);
      for (let i = 0; i < this.over.length; i++) this.over[i]!.dropOverlapping(this, e, 1 << page);
      this.pages[e]! &= ~(0x10101 << page);
      return 0;
    }
    const order = this.probeOrder[this.probe[e]!]!;
    this.drop(e);
    return order === NAPOT_ORDER ? (1 << NAPOT_ORDER) - 1 : countBits(others);
  }

  /** sfence.vma with an address. @param asid null: every space, and global entries. @returns neighbours lost with coalesced entries */
  fencePage(vpnLo: number, vpnHi: number, asid: number | null): number {
    let collateral = 0;
    for (let p = 0; p < this.nrProbes; p++) {
      if (this.live[p] === 0) continue;
      const array = this.probeArray[p]!;
      const lo = vpnLo & this.probeMaskLo[p]!;
      const hi = vpnHi & this.probeMaskHi[p]!;
      const page = vpnLo & this.probePageMask[p]!;
      // Several spaces may have the page, so the search goes on after a hit.
      if (array.heads !== null) {
        for (let e = array.heads[bucketOf(lo, hi, p, array.heads.length - 1)]!, after = 0; e >= 0; e = after) {
          after = this.next[e]!;
          if (this.fenced(e, p, lo, hi, page, asid)) collateral += this.dropPage(e, vpnLo, array.model === 'clustered');
        }
        continue;
      }
      const first = array.first + (setIndex(vpnLo, vpnHi, this.probeOrder[p]!) & array.setMask) * array.ways;
      for (let e = first; e < first + array.ways; e++) {
        if (this.fenced(e, p, lo, hi, page, asid)) collateral += this.dropPage(e, vpnLo, array.model === 'clustered');
      }
    }
    return collateral;
  }
  private fenced(e: number, p: number, lo: number, hi: number, page: number, asid: number | null): boolean {
    return this.tagLo[e] === lo && this.probe[e] === p && this.tagHi[e] === hi && ((this.pages[e]! >> page) & 1) !== 0
      && (asid === null || this.asid[e] === asid);
  }
  /** sfence.vma without an address. @param asid null: everything; else that space's entries, not the global ones */
  fenceSpace(asid: number | null): void {
    if (this.isEmpty()) return;
    for (let e = 0; e < this.entries; e++) {
      if (this.probe[e] !== FREE && (asid === null || this.asid[e] === asid)) this.drop(e);
    }
  }

  private isEmpty(): boolean {
    for (let i = 0; i < this.nrValid.length; i++) if (this.nrValid[i] !== 0) return false;
    return true;
  }

  /** Drops every entry that shares one of `pages` with entry `e` of another level, in the same space: what an inclusive L2 does to L1. */
  dropOverlapping(other: TlbLevel, e: number, pages: number): void {
    const p = other.probe[e]!;
    const maskLo = other.probeMaskLo[p]!;
    const maskHi = other.probeMaskHi[p]!;
    const small = other.probeOrder[p]! < NAPOT_ORDER;
    for (let mine = 0; mine < this.entries; mine++) {
      const q = this.probe[mine]!;
      if (q === FREE || this.asid[mine] !== other.asid[e]) continue;
      const lo = maskLo & this.probeMaskLo[q]!;
      const hi = maskHi & this.probeMaskHi[q]!;
      if (((this.tagLo[mine]! ^ other.tagLo[e]!) & lo) !== 0 || ((this.tagHi[mine]! ^ other.tagHi[e]!) & hi) !== 0) continue;
      if (small && this.probeOrder[q]! < NAPOT_ORDER) {
        const theirs = pages << (other.tagLo[e]! & 7);
        const ours = (this.pages[mine]! & 0xff) << (this.tagLo[mine]! & 7);
        if ((theirs & ours) === 0) continue;
      }
      this.drop(mine);
    }
  }
  /** First page held by an entry, as a page number's halves; then the caller may give() it on. */
  firstPageLo(e: number): number {
    const order = this.probeOrder[this.probe[e]!]!;
    return order >= NAPOT_ORDER ? this.tagLo[e]! : this.tagLo[e]! + (31 - Math.clz32(this.pages[e]! & -this.pages[e]!));
  }
  firstPageHi(e: number): number {
    return this.tagHi[e]!;
  }
  /** First page number of an entry's aligned group. */
  startOf(e: number): number {
    return this.tagHi[e]! * 0x1_0000_0000 + (this.tagLo[e]! >>> 0);
  }
  ownerOf(e: number): number {
    return this.asid[e]!;
  }
  orderOf(e: number): number {
    return this.probeOrder[this.probe[e]!]!;
  }
  /** Places of valid entries. */
  valid(): number[] {
    return Array.from(this.probe.keys()).filter((e) => this.isValid(e));
  }
  /** An entry as mmu.ts's TlbEntry has it. */
  show(e: number): { order: number; asid: number | null; vpn: number; pages: number; accessed: number; dirty: number; frame: number; flags: number; leaf: number } {
    const pages = this.pages[e]!;
    const asid = this.ownerOf(e);
    return {
      order: this.orderOf(e), asid: asid === GLOBAL ? null : asid, vpn: this.startOf(e), pages: pages & 0xff, accessed: (pages >> 8) & 0xff, dirty: (pages >> 16) & 0xff,
      frame: this.frameOf(e, this.firstPageLo(e), this.firstPageHi(e)), flags: this.flags[e]!, leaf: this.leaf[e]!,
    };
  }
  /** Removes from the filter whatever stands on an entry's stamp. */
  private hide(e: number, p: number): void {
    if (this.shown.length === 0) return;
    const order = this.probeOrder[p]!;
    const lo = this.tagLo[e]!;
    if (order === 0) {
      this.hidePage(e, lo);
      return;
    }
    if (order <= NAPOT_ORDER) {
      for (let i = 0; i < 1 << order; i++) this.hidePage(e, lo + i);
      return;
    }
    const stamp = this.stampByte(e);
    for (let left = this.shownIn[e]!; left !== 0; left &= left - 1) {
      const first = (31 - Math.clz32(left & -left)) * SHOWN_BLOCK * SLOT_WORDS;
      for (let i = 0; i < this.shown.length; i++) {
        const table = this.shown[i]!;
        for (let slot = first; slot < first + SHOWN_BLOCK * SLOT_WORDS; slot += SLOT_WORDS) if (table[slot + 3] === stamp) table[slot] = EMPTY_TAG;
      }
    }
  }
  private hidePage(e: number, vpnLo: number): void {
    const slot = (vpnLo & (FILTER_SLOTS - 1)) * SLOT_WORDS;
    const stamp = this.stampByte(e);
    for (let i = 0; i < this.shown.length; i++) {
      const table = this.shown[i]!;
      if (table[slot + 3] === stamp) table[slot] = EMPTY_TAG;
    }
  }
  /** A space's own entries keep pages that a new global one has, too, and this one may stand before them then (find()): the filter must not go on showing
   *  the pages under those. Both can only live when page tables changed without a fence. @param pages bits of the line of eight that a page number is in */
  private hideLine(pages: number, vpnLo: number): void {
    if (this.shown.length === 0) return;
    for (let left = pages; left !== 0; left &= left - 1) {
      const slot = (((vpnLo & ~7) | (31 - Math.clz32(left & -left))) & (FILTER_SLOTS - 1)) * SLOT_WORDS;
      for (const table of this.shown) table[slot] = EMPTY_TAG;
    }
  }
  /** A new entry stands before a larger one for its pages. Both can only live when page tables changed without a fence and an assist found
   *  out; then the filter must not go on showing the new entry's pages under the larger one. */
  private hideUnder(vpnLo: number): void {
    const order = this.probeOrder[this.chosenProbe]!;
    if (this.shown.length === 0 || order === 0 || this.large[0] === 0 || !this.hasLarger(order)) return;
    const nr = order > 9 ? FILTER_SLOTS : 1 << order;
    const start = vpnLo & this.probeMaskLo[this.chosenProbe]!;
    for (let i = 0; i < nr; i++) {
      const slot = ((start + i) & (FILTER_SLOTS - 1)) * SLOT_WORDS;
      for (const table of this.shown) table[slot] = EMPTY_TAG;
    }
  }

  /** Is there an entry of a higher order, a Svnapot region or a superpage? */
  private hasLarger(order: number): boolean {
    for (let p = this.nrProbes - 1; p >= 0 && this.probeOrder[p]! > order && this.probeOrder[p]! >= NAPOT_ORDER; p--) if (this.live[p] !== 0) return true;
    return false;
  }

  hash(into: StateHash): void {
    for (const column of [this.tagLo, this.tagHi, this.probe, this.asid, this.flags, this.pages, this.sub, this.leaf]) into.int32s(column);
    into.numbers(this.ppn);
    into.numbers(this.stamp);
    into.numbers(this.filled);
    into.numbers(this.clock);
    for (const a of this.arrays) into.int32s(a.random.state);
  }
}

/** Bytes of arena that a level takes, an upper bound. */
export const levelBytes = (d: TlbLevelDescription): number => d.arrays.reduce((n, a) => n + a.entries * 108, 0) + 4096;

/** The orders of entry that an array holds: base pages in the model's shape, and larger sizes. */
function ordersOf(model: CoalescingName, named: readonly number[], napot: boolean): number[] {
  const orders = new Set(named.filter((o) => o >= 9));
  if (napot) orders.add(NAPOT_ORDER);
  if (model === 'colt-fa') orders.add(3);
  if (named.includes(0)) {
    if (model === 'colt-sa') orders.add(2);
    else if (model === 'clustered') orders.add(3);
    else if (model !== 'colt-fa') orders.add(0);
    if (model === 'zen') {
      orders.add(2);
      if (named.includes(3)) orders.add(3);
    }
  }
  return [...orders].sort((a, b) => a - b);
}

/** Low bits of the page number at a size. */
function setIndex(vpnLo: number, vpnHi: number, order: number): number {
  if (order === 0) return vpnLo;
  return order < 32 ? (vpnLo >>> order) | (vpnHi << (32 - order)) : vpnHi >> (order - 32);
}
/** How many pages a page number lies above the start of its aligned group. */
function pagesInto(order: number, vpnLo: number, vpnHi: number): number {
  if (order < 32) return vpnLo & ((1 << order) - 1);
  return (vpnHi & ((1 << (order - 32)) - 1)) * 0x1_0000_0000 + (vpnLo >>> 0);
}
function bucketOf(lo: number, hi: number, probe: number, mask: number): number {
  const mixed = lo ^ hi ^ (probe << 4);
  return (mixed ^ (mixed >>> 9)) & mask;
}
export function countBits(mask: number): number {
  let n = 0;
  for (let m = mask; m !== 0; m &= m - 1) n++;
  return n;
}
