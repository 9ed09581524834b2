// The MMU again, as a textbook would have it: page tables in a map, entries as objects that list their pages, one list per set with the
// least recently used first, one explicit bit per node of a PLRU tree. Slow, obvious, and written apart from mmu/: what the real one is
// compared against. Shares only the description's types and the random generator (the draws must be the same).
import { Prng } from '#base';
import type { AdRule, CoalescingName, TlbArrayDescription, TlbDescription, TlbLevelDescription } from '#mmu';

const ORDERS: Record<string, number> = { '4K': 0, '16K': 2, '32K': 3, '64K': 4, '2M': 9, '1G': 18, '512G': 27, '256T': 36 };
const NAMES: Record<number, string> = { 0: '4K', 4: '64K', 9: '2M', 18: '1G', 27: '512G', 36: '256T' };
const V = 1n, R = 2n, W = 4n, X = 8n, U = 16n, G = 32n, A = 64n, D = 128n, N = 1n << 63n;
const PPN = ((1n << 44n) - 1n) << 10n;

type Owner = number | 'global';
interface Page { ppn: number; a: boolean; d: boolean }
/** A translation: of one large piece (order 4 and up, `pages` has its first page), or of some pages of one line of eight. */
interface Known { order: number; leaf: number; owner: Owner; attributes: bigint; pages: Map<number, Page> }
interface Entry extends Known { array: NaiveArray; start: number }
interface Walk { fault: 'page' | 'access' | null; reads: number[]; viaPwc: boolean; known: Known | null; setA: boolean; setD: boolean }

const alignedTo = (vpn: number, order: number): number => Math.floor(vpn / 2 ** order) * 2 ** order;
const mod = (n: number, m: number): number => ((n % m) + m) % m;

/** A set: ways by index, and three ways of remembering history. */
class NaiveSet {
  readonly ways: (Entry | null)[];
  /** Way numbers, least recently touched first. */
  readonly recency: number[] = [];
  readonly fillOrder: number[] = [];
  /** Node 1 is the root, 2n and 2n+1 its children; true: the victim is to the right. */
  readonly bits: boolean[];
  constructor(ways: number) {
    this.ways = new Array<Entry | null>(ways).fill(null);
    this.bits = new Array<boolean>(2 * ways).fill(false);
  }
  touch(way: number): void {
    moveToEnd(this.recency, way);
    for (let node = way + this.ways.length; node > 1; node = Math.floor(node / 2)) this.bits[Math.floor(node / 2)] = node % 2 === 0;
  }
  filled(way: number): void {
    moveToEnd(this.fillOrder, way);
    this.touch(way);
  }
}
function moveToEnd(list: number[], item: number): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  list.push(item);
}

class NaiveArray {
  readonly sets = new Map<number, NaiveSet>();
  readonly random: Prng;
  readonly model: CoalescingName;
  readonly rule: AdRule;
  readonly large: number[];
  readonly d: TlbArrayDescription;
  constructor(d: TlbArrayDescription, seed: number, name: string) {
    this.d = d;
    this.random = new Prng(seed, `tlb ${name}`);
    this.model = d.coalescing ?? 'none';
    this.rule = d.adRule ?? 'strict';
    this.large = d.pageSizes.map((s) => ORDERS[s]!).filter((o) => o >= 9);
    if (d.svnapot === true || (d.svnapot === undefined && (this.model === 'svnapot' || d.pageSizes.includes('64K')))) this.large.push(4);
  }
  get holdsBase(): boolean { return this.d.pageSizes.includes('4K'); }
  setAt(start: number, order: number): NaiveSet {
    const index = mod(Math.floor(start / 2 ** order), this.d.entries / this.d.ways);
    if (!this.sets.has(index)) this.sets.set(index, new NaiveSet(this.d.ways));
    return this.sets.get(index)!;
  }
  *entries(): Generator<{ set: NaiveSet; way: number; entry: Entry }> {
    const sets = [...this.sets.keys()].sort((a, b) => a - b);
    for (const index of sets) {
      const set = this.sets.get(index)!;
      for (let way = 0; way < set.ways.length; way++) {
        const entry = set.ways[way]!;
        if (entry !== null) yield { set, way, entry };
      }
    }
  }
  /** The free way that the bits lead to, where a half without one is not entered. */
  private freeByTree(set: NaiveSet): number {
    const freeUnder = (node: number): boolean =>
      (node >= this.d.ways ? set.ways[node - this.d.ways] === null : freeUnder(node * 2) || freeUnder(node * 2 + 1));
    let node = 1;
    while (node < this.d.ways) {
      const wanted = node * 2 + (set.bits[node]! ? 1 : 0);
      node = freeUnder(wanted) ? wanted : wanted ^ 1;
    }
    return node - this.d.ways;
  }
  victim(set: NaiveSet): number {
    if (set.ways.includes(null)) return this.d.replacement === 'plru' ? this.freeByTree(set) : set.ways.indexOf(null);
    switch (this.d.replacement) {
      case 'lru': return set.recency[0]!;
      case 'fifo': return set.fillOrder[0]!;
      case 'random': return this.random.below(this.d.ways);
      case 'plru': {
        let node = 1;
        while (node < this.d.ways) node = node * 2 + (set.bits[node]! ? 1 : 0);
        return node - this.d.ways;
      }
    }
  }
}

const serves = (entry: Entry, vpn: number, asid: number): boolean =>
  (entry.owner === 'global' || entry.owner === asid) && holds(entry, vpn);
const holds = (entry: Entry, vpn: number): boolean =>
  (entry.order >= 4 ? alignedTo(vpn, entry.order) === entry.start : entry.pages.has(vpn));
const isMasked = (model: CoalescingName): boolean => model === 'colt-sa' || model === 'clustered';

class NaiveLevel {
  readonly arrays: NaiveArray[];
  readonly hitCycles: number;
  over: NaiveLevel[] = [];
  constructor(d: TlbLevelDescription, seed: number, name: string) {
    this.arrays = d.arrays.map((a, i) => new NaiveArray(a, seed, `${name} ${i}`));
    this.hitCycles = d.hitCycles;
  }
  /** The smallest entry that serves the page; then the first array, then the lowest way. */
  find(vpn: number, asid: number): { set: NaiveSet; way: number; entry: Entry } | null {
    let best: { set: NaiveSet; way: number; entry: Entry } | null = null;
    for (const array of this.arrays) {
      for (const at of array.entries()) {
        if (serves(at.entry, vpn, asid) && (best === null || at.entry.order < best.entry.order)) best = at;
      }
    }
    return best;
  }
  remove(entry: Entry): void {
    for (const at of entry.array.entries()) if (at.entry === entry) at.set.ways[at.way] = null;
    const gone = entry.order >= 4 ? null : [...entry.pages.keys()];
    for (const upper of this.over) upper.removeOverlap(entry, gone);
  }
  removePage(entry: Entry, vpn: number): void {
    entry.pages.delete(vpn);
    for (const upper of this.over) upper.removeOverlap(entry, [vpn]);
  }
  private removeOverlap(other: Entry, pages: number[] | null): void {
    for (const array of this.arrays) {
      for (const { entry } of [...array.entries()]) {
        if (entry.owner !== other.owner) continue;
        const overlap = pages === null
          ? (entry.order >= 4 && entry.order > other.order
            ? alignedTo(other.start, entry.order) === entry.start
            : alignedTo(entry.order >= 4 ? entry.start : [...entry.pages.keys()][0]!, other.order) === other.start)
          : pages.some((vpn) => holds(entry, vpn));
        if (overlap) this.remove(entry);
      }
    }
  }

  /** The shape in which this level would hold a translation. */
  shape(known: Known, vpn: number): Entry {
    if (known.order >= 4) {
      const held = Math.max(0, ...this.arrays.flatMap((a) => a.large).filter((o) => o <= known.order));
      if (held > 0) {
        const array = this.arrays.find((a) => a.large.includes(held))!;
        const start = alignedTo(vpn, held);
        const first = known.pages.get(alignedTo(vpn, known.order))!;
        const page = { ...first, ppn: first.ppn + (start - alignedTo(vpn, known.order)) };
        return { ...known, order: held, array, start, pages: new Map([[start, page]]) };
      }
    }
    const base = this.arrays.find((a) => a.holdsBase)!;
    const runs = this.arrays.find((a) => a !== base && a.model === 'colt-fa');
    const inBase = joined(base, lineOf(known, vpn), vpn);
    if (runs !== undefined) {
      const inRuns = joined(runs, lineOf(known, vpn), vpn);
      if (inRuns.pages.size > inBase.pages.size) return { ...known, ...inRuns, array: runs };
    }
    return { ...known, ...inBase, array: base };
  }

  /** Fills; `beforeEvict` sees the victim. */
  fill(entry: Entry, vpn: number, beforeEvict: (victim: Entry) => void): void {
    if (entry.order < 4) {
      for (const page of entry.pages.keys()) {
        if (page === vpn) continue;
        for (const array of this.arrays) {
          for (const { entry: old } of [...array.entries()]) {
            if (old.order >= 4 || !old.pages.has(page)) continue;
            if (old.owner !== entry.owner && old.owner !== 'global') continue;
            if (isMasked(array.model) && old.pages.size > 1) this.removePage(old, page);
            else this.remove(old);
          }
        }
      }
    }
    const set = entry.array.setAt(entry.start, entry.order);
    const way = entry.array.victim(set);
    const old = set.ways[way]!;
    if (old !== null) {
      beforeEvict(old);
      this.remove(old);
    }
    set.ways[way] = entry;
    set.filled(way);
  }
}

/** What is known of the eight pages around one. */
function lineOf(known: Known, vpn: number): Map<number, Page> {
  if (known.order < 4) return known.pages;
  const start = alignedTo(vpn, known.order);
  const first = known.pages.get(start)!;
  const line = alignedTo(vpn, 3);
  return new Map(Array.from({ length: 8 }, (_, i) => [line + i, { ...first, ppn: first.ppn + (line + i - start) }]));
}

/** The pages that join the accessed one under an array's model and rule. */
function joined(array: NaiveArray, line: Map<number, Page>, vpn: number): { order: number; start: number; pages: Map<number, Page> } {
  const own = line.get(vpn)!;
  const may = (at: number): boolean => {
    const page = line.get(at);
    if (page === undefined) return false;
    if (at === vpn) return true;
    const needsA = array.rule !== 'loose-a';
    const needsSameD = array.rule !== 'd-split';
    return (!needsA || page.a) && (!needsSameD || page.d === own.d);
  };
  const inOrder = (at: number): boolean => line.get(at)!.ppn - own.ppn === at - vpn;
  const take = (order: number, pages: number[]) => ({
    order, start: alignedTo(vpn, order), pages: new Map(pages.sort((a, b) => a - b).map((at) => [at, { ...line.get(at)! }])),
  });
  const group = (order: number): number[] => Array.from({ length: 2 ** order }, (_, i) => alignedTo(vpn, order) + i);
  const consecutive = (order: number) => {
    const pages = [vpn];
    const limits = group(order);
    for (let at = vpn - 1; limits.includes(at) && may(at) && inOrder(at); at--) pages.push(at);
    for (let at = vpn + 1; limits.includes(at) && may(at) && inOrder(at); at++) pages.push(at);
    return take(order, pages);
  };
  switch (array.model) {
    case 'colt-sa': return consecutive(2);
    case 'colt-fa': return consecutive(3);
    case 'clustered': return take(3, group(3).filter((at) => may(at) && Math.floor(line.get(at)!.ppn / 8) === Math.floor(own.ppn / 8)));
    case 'zen':
      for (const order of array.d.pageSizes.includes('32K') ? [3, 2] : [2]) {
        const pages = group(order);
        if (pages.every((at) => may(at) && inOrder(at)) && line.get(pages[0]!)!.ppn % 2 ** order === 0) return take(order, pages);
      }
      return take(0, [vpn]);
    default: return take(0, [vpn]);
  }
}

interface Pointer { level: number; prefix: number; owner: Owner; table: number }
export type NaiveKind = 'fetch' | 'load' | 'store' | 'amo';

export class NaiveMmu {
  /** Physical address to word; what is not there is 0. */
  readonly memory = new Map<number, bigint>();
  readonly counts = new Map<string, number>();
  readonly misses: { kind: NaiveKind; vpn: number }[] = [];
  root = 0;
  asid = 0;
  levels = 3;
  user = true;
  sum = false;
  mxr = false;
  svadu = true;
  private readonly d: TlbDescription;
  private readonly l1i: NaiveLevel;
  private readonly l1d: NaiveLevel;
  private readonly l2i: NaiveLevel | null;
  private readonly l2d: NaiveLevel | null;
  /** Most recently used last, by level. */
  private readonly pointers: Pointer[][] = [[], [], [], [], []];
  private readonly firstPfn: number;
  private readonly nrFrames: number;

  constructor(d: TlbDescription, seed: number, ram: { firstPfn: number; nrFrames: number }) {
    this.d = d;
    this.firstPfn = ram.firstPfn;
    this.nrFrames = ram.nrFrames;
    this.l1i = new NaiveLevel(d.l1i, seed, 'l1i');
    this.l1d = new NaiveLevel(d.l1d, seed, 'l1d');
    this.l2d = d.l2 === null ? null : new NaiveLevel(d.l2, seed, 'l2');
    this.l2i = d.l2i === undefined ? this.l2d : d.l2i === null ? null : new NaiveLevel(d.l2i, seed, 'l2i');
    if (d.inclusion === 'inclusive') {
      if (this.l2d !== null) this.l2d.over = this.l2i === this.l2d ? [this.l1i, this.l1d] : [this.l1d];
      if (this.l2i !== null && this.l2i !== this.l2d) this.l2i.over = [this.l1i];
    }
  }

  private count(name: string, n = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + n);
  }
  private isRam(ppn: number): boolean {
    return ppn >= this.firstPfn && ppn < this.firstPfn + this.nrFrames;
  }
  private canonical(va: bigint): boolean {
    return BigInt.asIntN(12 + 9 * this.levels, va) === va;
  }
  private permits(pte: bigint, kind: NaiveKind): boolean {
    const isUser = (pte & U) !== 0n;
    if (this.user !== isUser && !(!this.user && this.sum && kind !== 'fetch')) return false;
    if (kind === 'fetch') return (pte & X) !== 0n;
    if (kind === 'load') return (pte & R) !== 0n || (this.mxr && (pte & X) !== 0n);
    return (pte & W) !== 0n;
  }

  /** @param va signed 64-bit. @returns the physical address, or -cause */
  access(va: bigint, kind: NaiveKind): number {
    const result = this.translate(va, kind);
    if (typeof result === 'number') {
      if (this.isRam(result)) return result * 4096 + Number(va & 4095n);
      this.count('accessFaults');
      return { fetch: -1, load: -5, store: -7, amo: -7 }[kind];
    }
    this.count(`${result}Faults`);
    return (result === 'page' ? { fetch: -12, load: -13, store: -15, amo: -15 } : { fetch: -1, load: -5, store: -7, amo: -7 })[kind];
  }

  private translate(va: bigint, kind: NaiveKind): number | 'page' | 'access' {
    const writes = kind === 'store' || kind === 'amo';
    const vpn = Number(va >> 12n);
    const l1 = kind === 'fetch' ? this.l1i : this.l1d;
    const l2 = kind === 'fetch' ? this.l2i : this.l2d;
    const l1Name = kind === 'fetch' ? 'l1i' : 'l1d';
    const l2Name = this.l2i === this.l2d || kind !== 'fetch' ? 'l2' : 'l2i';
    const find = (level: NaiveLevel | null) => (this.canonical(va) && level !== null ? level.find(vpn, this.asid) : null);
    const pageOf = (entry: Entry): Page => entry.pages.get(entry.order >= 4 ? entry.start : vpn)!;
    const frameIn = (entry: Entry): number => pageOf(entry).ppn + (entry.order >= 4 ? vpn - entry.start : 0);
    const lacks = (entry: Entry): boolean => !pageOf(entry).a || (writes && !pageOf(entry).d);
    const fillL2 = (known: Known, at = vpn): void => {
      const entry = l2!.shape(known, at);
      if (entry.order < entry.leaf) this.count('l2.partial');
      l2!.fill(entry, at, () => {});
    };
    const fillL1 = (known: Known): Entry => {
      const entry = l1.shape(known, vpn);
      if (entry.order < entry.leaf) this.count(`${l1Name}.partial`);
      l1.fill(entry, vpn, (victim) => {
        if (this.d.inclusion !== 'exclusive' || l2 === null) return;
        const first = victim.order >= 4 ? victim.start : Math.min(...victim.pages.keys());
        const old = l2.find(first, victim.owner === 'global' ? NaN : victim.owner);
        if (old !== null) l2.remove(old.entry);
        fillL2({ ...victim, pages: new Map([...victim.pages].map(([at, page]) => [at, { ...page }])) }, first);
      });
      return entry;
    };
    /** After a second walk: false, the page left the entry. */
    const refresh = (level: NaiveLevel, entry: Entry, known: Known): boolean => {
      const now = lineOf(known, vpn).get(vpn)!;
      if (frameIn(entry) !== now.ppn || entry.attributes !== known.attributes || entry.leaf !== known.leaf || entry.owner !== known.owner) {
        level.remove(entry);
        return false;
      }
      pageOf(entry).a = true;
      if (!writes || pageOf(entry).d) return true;
      if (entry.array.rule === 'd-split' || entry.pages.size === 1) {
        pageOf(entry).d = true;
        return true;
      }
      if (entry.array.rule === 'd-evict' && isMasked(entry.array.model)) level.removePage(entry, vpn);
      else level.remove(entry);
      return false;
    };
    const walkAgain = (): Known | 'page' | 'access' => {
      if (!this.svadu) return 'page';
      const walk = this.walk(va, kind, false);
      this.count('assists');
      this.count('assistReads', walk.reads.reduce((a, b) => a + b, 0));
      return walk.known ?? walk.fault!;
    };
    const follow = (known: Known): void => {
      const in2 = find(l2);
      if (in2 !== null && !refresh(l2!, in2.entry, known)) fillL2(known);
    };

    this.count(`${l1Name}.lookups.${kind}`);
    const in1 = find(l1);
    if (in1 !== null) {
      const { entry } = in1;
      if (!this.permits(entry.attributes, kind)) {
        in1.set.touch(in1.way);
        return 'page';
      }
      if (!lacks(entry)) {
        in1.set.touch(in1.way);
        return frameIn(entry);
      }
      const known = walkAgain();
      if (typeof known === 'string') {
        // A hit is a touch, whether or not it could be used.
        if (this.svadu) in1.set.touch(in1.way);
        else in1.set.touch(in1.way);
        return known;
      }
      follow(known);
      if (find(l1)?.entry === entry && refresh(l1, entry, known)) {
        in1.set.touch(in1.way);
        return frameIn(entry);
      }
      return frameIn(fillL1(known));
    }
    this.count(`${l1Name}.misses.${kind}`);
    this.misses.push({ kind, vpn });
    if (l2 !== null) {
      this.count(`${l2Name}.lookups.${kind}`);
      const in2 = find(l2);
      if (in2 !== null) {
        const { entry } = in2;
        this.count(`${l1Name}.misses.${NAMES[entry.leaf]}`);
        this.count(`${l2Name}.hits.${NAMES[entry.leaf]}`);
        in2.set.touch(in2.way);
        if (!this.permits(entry.attributes, kind)) return 'page';
        let known: Known;
        if (lacks(entry)) {
          const walked = walkAgain();
          if (typeof walked === 'string') return walked;
          known = walked;
          follow(known);
        } else {
          known = { ...entry, pages: new Map([...entry.pages].map(([at, page]) => [at, { ...page }])) };
        }
        if (this.d.inclusion === 'exclusive') {
          const old = find(l2)!.entry;
          const future = l1.shape(known, vpn);
          const covered = old.order >= 4 ? future.order >= old.order : future.order >= 4 || [...old.pages.keys()].every((at) => future.pages.has(at));
          if (covered) l2.remove(old);
        }
        return frameIn(fillL1(known));
      }
      this.count(`${l2Name}.misses.${kind}`);
    }
    const walk = this.walk(va, kind, true);
    this.count('walks');
    this.count('pteReads', walk.reads.reduce((a, b) => a + b, 0));
    walk.reads.forEach((n, level) => { if (n > 0) this.count(`reads.${level}`, n); });
    if (walk.viaPwc) this.count('pwcHits');
    if (walk.known === null) {
      this.count('walkFaults');
      return walk.fault!;
    }
    const size = NAMES[walk.known.leaf]!;
    this.count(`${l1Name}.misses.${size}`);
    if (l2 !== null) this.count(`${l2Name}.misses.${size}`);
    this.count(`walks.${size}`);
    let pages = 0;
    const reach = (entry: Entry): number => (entry.order === 4 ? 16 : entry.order > 4 ? 0 : entry.pages.size);
    if (l2 !== null && this.d.inclusion !== 'exclusive') {
      pages = reach(l2.shape(walk.known, vpn));
      fillL2(walk.known);
    }
    const entry = fillL1(walk.known);
    pages = Math.max(pages, reach(entry));
    if (pages > 0) this.count(`pages.${pages}`);
    if (pages > 1) this.count('coalesced');
    return frameIn(entry);
  }

  /** The spec's steps, on whole words. */
  private walk(va: bigint, kind: NaiveKind, usePointers: boolean): Walk {
    const walk: Walk = { fault: 'page', reads: [0, 0, 0, 0, 0], viaPwc: false, known: null, setA: false, setD: false };
    if (!this.canonical(va)) return walk;
    const vpn = Number(va >> 12n);
    const writes = kind === 'store' || kind === 'amo';
    let table = this.root;
    let level = this.levels - 1;
    let global = false;
    for (let l = 1; usePointers && l < this.levels; l++) {
      const list = this.pointers[l]!;
      const hit = list.findLastIndex((p) => p.prefix === Math.floor(vpn / 512 ** l) && (p.owner === 'global' || p.owner === this.asid));
      if (hit < 0) continue;
      const pointer = list.splice(hit, 1)[0]!;
      list.push(pointer);
      table = pointer.table;
      global = pointer.owner === 'global';
      level = l - 1;
      walk.viaPwc = true;
      break;
    }
    for (;; level--) {
      if (level < 0) return walk;
      if (!this.isRam(table)) return { ...walk, fault: 'access' };
      const index = mod(Math.floor(vpn / 512 ** level), 512);
      const at = table * 4096 + index * 8;
      const pte = this.memory.get(at) ?? 0n;
      walk.reads[level]!++;
      const ppn = Number((pte & PPN) >> 10n);
      if ((pte & V) === 0n || (pte & (R | W)) === W || (pte >> 54n & 0x1ffn) !== 0n) return walk;
      if ((pte & G) !== 0n) global = true;
      if ((pte & (R | X)) === 0n) {
        if (level === 0 || (pte & (D | A | U | N)) !== 0n) return walk;
        table = ppn;
        const capacity = this.d.pwc[level as 1 | 2 | 3 | 4] ?? 0;
        if (usePointers && capacity > 0) {
          const list = this.pointers[level]!;
          list.push({ level, prefix: Math.floor(vpn / 512 ** level), owner: global ? 'global' : this.asid, table });
          if (list.length > capacity) list.shift();
        }
        continue;
      }
      if (ppn % 512 ** level !== 0) return walk;
      const napot = (pte & N) !== 0n;
      if (napot && (level > 0 || ppn % 16 !== 8)) return walk;
      if (!this.permits(pte, kind)) return walk;
      const wanted = writes ? A | D : A;
      if ((pte & wanted) !== wanted) {
        if (!this.svadu) return walk;
        if ((pte & A) === 0n) this.count('accessed');
        if ((wanted & D) !== 0n && (pte & D) === 0n) this.count('dirty');
        this.memory.set(at, pte | wanted);
      }
      const order = napot ? 4 : 9 * level;
      const attributes = pte & (V | R | W | X | U | G);
      const known: Known = { order, leaf: order, owner: global ? 'global' : this.asid, attributes, pages: new Map() };
      if (order > 0) {
        known.pages.set(alignedTo(vpn, order), { ppn: napot ? ppn - 8 : ppn, a: true, d: writes || (pte & D) !== 0n });
      } else {
        for (let i = 0; i < 8; i++) {
          const neighbour = this.memory.get(at - (index % 8) * 8 + i * 8) ?? 0n;
          if (i !== index % 8 && ((neighbour & V) === 0n || (neighbour & (R | W | X | U | G)) !== (pte & (R | W | X | U | G)) || neighbour >> 54n !== 0n)) continue;
          known.pages.set(alignedTo(vpn, 3) + i, { ppn: Number((neighbour & PPN) >> 10n), a: (neighbour & A) !== 0n, d: (neighbour & D) !== 0n });
        }
      }
      return { ...walk, fault: null, known };
    }
  }

  fence(va: bigint | null, asid: number | null): void {
    const levels = [this.l1i, this.l1d, this.l2d, this.l2i === this.l2d ? null : this.l2i].filter((l) => l !== null);
    if (va === null) {
      this.count(asid === null ? 'flush.all' : 'flush.asid');
      for (const level of levels) {
        for (const array of level.arrays) {
          for (const { entry } of [...array.entries()]) if (asid === null || entry.owner === asid) level.remove(entry);
        }
      }
      for (const list of this.pointers) {
        const kept = list.filter((p) => asid !== null && p.owner !== asid);
        list.splice(0, list.length, ...kept);
      }
      return;
    }
    if (!this.canonical(va)) return;
    this.count('flush.page');
    const vpn = Number(va >> 12n);
    for (const level of levels) {
      for (const array of level.arrays) {
        for (const { entry } of [...array.entries()]) {
          if (!holds(entry, vpn) || (asid !== null && entry.owner !== asid)) continue;
          if (array.model === 'clustered' && entry.order < 4 && entry.pages.size > 1) {
            level.removePage(entry, vpn);
            continue;
          }
          this.count('collateral', entry.order === 4 ? 15 : entry.order > 4 ? 0 : entry.pages.size - 1);
          level.remove(entry);
        }
      }
    }
    if (this.d.pageFenceDropsPwc === true) {
      this.pointers.forEach((list, l) => {
        const kept = list.filter((p) => p.prefix !== Math.floor(vpn / 512 ** l) || (asid !== null && p.owner !== asid));
        list.splice(0, list.length, ...kept);
      });
    }
  }
}
