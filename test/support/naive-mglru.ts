// MGLRU of one group as plain arrays and objects, written from the facts (linux-mm.md, section 8) and not from the kernel's code. Here: what becomes of each folio
// and of each counter on every event. What only the mechanism knows is told with the event: which entry was young, what is dirty, what went. The kernel must
// come to the same, list by list, in the same order.

export type Kind = 'anon' | 'file';
const kinds: readonly Kind[] = ['anon', 'file'];
export interface Facts {
  readonly kind: Kind;
  readonly nr: number;
  readonly active: boolean;
  readonly swapCache: boolean;
  readonly reclaimMark: boolean;
  readonly dirty: boolean;
  readonly writeback: boolean;
  readonly locked: boolean;
}
export interface Tracked {
  nr: number;
  kind: Kind;
  referenced: boolean;
  workingset: boolean;
  /** The refs field, 0 to 3. */
  refs: number;
  /** The generation that it is of, a sequence number modulo four; null: it is on no list. And that on whose list it stands. */
  gen: number | null;
  list: number | null;
  /** Where it was when it left. */
  lastGen: number | null;
}
interface Tier { refaulted: number; evicted: number; protected: number; avgRefaulted: number; avgTotal: number }
const newTiers = (): Tier[] => [0, 1, 2, 3].map(() => ({ refaulted: 0, evicted: 0, protected: 0, avgRefaulted: 0, avgTotal: 0 }));

export class NaiveMglru {
  maxSeq = 3;
  readonly minSeq: Record<Kind, number> = { anon: 0, file: 0 };
  readonly folios = new Map<number, Tracked>();
  /** By generation number modulo four; the first is the one that goes first. */
  readonly lists: Record<Kind, number[][]> = { anon: [[], [], [], []], file: [[], [], [], []] };
  readonly tiers: Record<Kind, Tier[]> = { anon: newTiers(), file: newTiers() };
  readonly births: number[];
  private readonly old: boolean;
  private readonly firstSight: (folio: number) => Pick<Tracked, 'referenced' | 'workingset' | 'refs'>;

  /** @param old the rules of 6.8 to 6.13  @param firstSight what a folio looks like when it is met for the first time */
  constructor(old: boolean, now: number, firstSight: (folio: number) => Pick<Tracked, 'referenced' | 'workingset' | 'refs'>) {
    this.old = old;
    this.firstSight = firstSight;
    this.births = [now, now, now, now];
  }
  of(folio: number): Tracked {
    const found = this.folios.get(folio);
    if (found !== undefined) return found;
    const fresh: Tracked = { nr: 1, kind: 'anon', ...this.firstSight(folio), gen: null, list: null, lastGen: null };
    this.folios.set(folio, fresh);
    return fresh;
  }

  // Uses.

  uses({ referenced, workingset, refs }: Tracked): number {
    if (this.old) return refs + Number(workingset);
    return referenced ? refs + 1 : 0;
  }
  tier(t: Tracked): number {
    const uses = this.uses(t);
    if (this.old) return [0, 1, 2, 2, 3][uses]!;
    if (t.workingset) return 3;
    return Math.ceil(Math.log2(Math.max(uses, 1)));
  }
  private saturated(t: Tracked): boolean {
    return this.uses(t) === 4 && (this.old || t.workingset);
  }
  markAccessed(folio: number): void {
    const t = this.of(folio);
    if (!t.referenced) {
      t.referenced = true;
      if (!this.old) t.refs = 0;
    } else if (this.old && !t.workingset) t.workingset = true;
    else if (t.refs < 3) t.refs++;
    else t.workingset = true;
  }

  // Lists.

  private take(folio: number, t: Tracked): void {
    const list = this.lists[t.kind][t.list!]!;
    list.splice(list.indexOf(folio), 1);
  }
  /** @returns whether it belongs to the young */
  remove(folio: number): boolean {
    const t = this.of(folio);
    if (t.gen === null) throw new Error(`model: folio ${folio} is on no list`);
    this.take(folio, t);
    t.lastGen = t.gen;
    t.gen = t.list = null;
    return t.lastGen === this.maxSeq % 4 || t.lastGen === (this.maxSeq - 1) % 4;
  }
  seqFor(t: Tracked, { kind, active, swapCache, reclaimMark, dirty, writeback }: Facts, rotated: boolean): number {
    const min = this.minSeq[kind];
    const cannotGoYet = (kind === 'anon' && !swapCache) || (reclaimMark && (dirty || writeback));
    if (this.old) {
      if (active) return this.maxSeq;
      if (cannotGoYet) return this.maxSeq - 1;
      return rotated || min + 2 >= this.maxSeq ? min : min + 1;
    }
    const w = Number(t.workingset);
    const distance = active ? 2 - w : rotated ? 4 : cannotGoYet ? 2 : 4 - w;
    return Math.max(this.maxSeq - distance + 1, min);
  }
  add(folio: number, facts: Facts, how: 'head' | 'rotated' | 'piece', behind: number | null): void {
    const t = this.of(folio);
    if (t.gen !== null) throw new Error(`model: folio ${folio} is on a list already`);
    t.nr = facts.nr;
    t.kind = facts.kind;
    const isPiece = how === 'piece' && t.lastGen !== null;
    t.gen = isPiece ? t.lastGen! : this.seqFor(t, facts, how === 'rotated') % 4;
    t.list = t.gen;
    if (this.old && facts.active) Object.assign(t, { referenced: false, refs: 0 });
    if (isPiece && behind !== null) {
      t.list = this.of(behind).list!;
      const list = this.lists[t.kind][t.list]!;
      list.splice(list.indexOf(behind), 0, folio);
    } else if (how === 'rotated') this.lists[t.kind][t.list]!.unshift(folio);
    else this.lists[t.kind][t.list]!.push(folio);
    t.lastGen = null;
  }
  private move(folio: number, t: Tracked, to: number, end: 'head' | 'tail'): void {
    this.take(folio, t);
    t.list = to;
    if (end === 'head') this.lists[t.kind][to]!.push(folio);
    else this.lists[t.kind][to]!.unshift(folio);
  }
  forget(folio: number): void {
    this.folios.delete(folio);
  }

  // Seen young.

  /** By a sweep. @returns whether the folio is of another generation now */
  sweptYoung(folio: number): void {
    const t = this.of(folio);
    if (this.old) {
      if (t.gen === null) t.referenced = true;
      else Object.assign(t, { referenced: false, workingset: false, refs: 0, gen: this.maxSeq % 4 });
    } else if (!t.referenced && !t.workingset) Object.assign(t, { referenced: true, refs: 0 });
    else if (t.gen !== null) Object.assign(t, { referenced: false, workingset: true, refs: 0, gen: this.maxSeq % 4 });
  }
  /** By the reverse map. @returns whether it belongs to the young */
  foundYoung(folio: number): boolean {
    const t = this.of(folio);
    if (this.old) {
      if (t.gen === null) t.referenced = true;
      else if (t.gen !== this.maxSeq % 4) Object.assign(t, { referenced: false, workingset: false, refs: 0 });
      return true;
    }
    const again = t.referenced || t.workingset;
    Object.assign(t, again ? { referenced: false, workingset: true, refs: 0 } : { referenced: true, refs: 0 });
    return again;
  }
  judge(folio: number, ptes: number, isExec: boolean, isLocked: boolean, isMapped: boolean, isFile: boolean): 'reclaim' | 'clean' | 'keep' | 'activate' {
    const t = this.of(folio);
    if (!this.old) {
      if (isLocked) return 'activate';
      if (ptes === 0) return 'reclaim';
      return this.foundYoung(folio) ? 'activate' : 'keep';
    }
    if (isLocked) return 'activate';
    const was = t.referenced;
    if (ptes > 0) {
      t.referenced = true;
      return was || ptes > 1 || (isExec && isFile) ? 'activate' : 'keep';
    }
    if (was && isMapped) return 'keep';
    t.referenced = false;
    return was && isFile ? 'clean' : 'reclaim';
  }

  // Generations.

  beginsGeneration(swappiness: number, now: number): void {
    for (const kind of kinds) {
      if (this.maxSeq - this.minSeq[kind] + 1 < 4) continue;
      const from = this.minSeq[kind] % 4;
      const mayGo = kind === 'anon' ? swappiness > 0 : swappiness <= 200;
      while (mayGo && this.lists[kind][from]!.length > 0) {
        const folio = this.lists[kind][from]![0]!;
        const t = this.of(folio);
        if (!this.old && !this.saturated(t)) this.tiers[kind][this.tier(t)]!.protected += t.nr;
        this.incGen(t);
        this.move(folio, t, t.gen!, 'tail');
      }
      this.endsGeneration(kind);
    }
    this.maxSeq++;
    this.births[this.maxSeq % 4] = now;
  }
  private endsGeneration(kind: Kind): void {
    for (const tier of this.tiers[kind]) {
      tier.avgRefaulted = Math.floor((tier.avgRefaulted + tier.refaulted) / 2);
      tier.avgTotal = Math.floor((tier.avgTotal + tier.evicted + tier.protected) / 2);
      tier.refaulted = tier.evicted = tier.protected = 0;
    }
    this.minSeq[kind]++;
  }
  private incGen(t: Tracked): void {
    if (t.gen !== this.minSeq[t.kind] % 4) return;
    t.gen = (t.gen + 1) % 4;
    t.refs = 0;
    t.referenced = false;
    if (this.old) t.workingset = false;
  }
  private mayGo(swappiness: number): Kind[] {
    return kinds.filter((kind) => (kind === 'anon' ? swappiness > 0 : swappiness <= 200));
  }
  dropEmptyGenerations(swappiness: number): void {
    const wanted = { ...this.minSeq };
    for (const kind of this.mayGo(swappiness)) while (wanted[kind] + 2 <= this.maxSeq && this.lists[kind][wanted[kind] % 4]!.length === 0) wanted[kind]++;
    if (wanted.anon === this.minSeq.anon && wanted.file === this.minSeq.file) return;
    const second = this.maxSeq - 2;
    if (this.old) {
      // Anonymous memory never overtakes files, and files wait for it.
      if (swappiness > 0) {
        wanted.anon = Math.min(wanted.anon, wanted.file);
        wanted.file = Math.max(wanted.anon, this.minSeq.file);
      }
    } else if (swappiness > 0 && swappiness <= 200) {
      if (wanted.anon > second && wanted.file < second) wanted.anon = second;
      else if (wanted.file > second && wanted.anon < second) wanted.file = second;
    }
    // However many generations end at once, their counters are folded once.
    for (const kind of this.mayGo(swappiness)) {
      if (wanted[kind] <= this.minSeq[kind]) continue;
      this.endsGeneration(kind);
      this.minSeq[kind] = wanted[kind];
    }
  }

  // The feedback.

  private sum(kind: Kind, tiers: number[]): { refaulted: number; total: number } {
    let refaulted = 0;
    let total = 0;
    for (const i of tiers) {
      const t = this.tiers[kind][i]!;
      refaulted += t.avgRefaulted + t.refaulted;
      total += t.avgTotal + t.protected + t.evicted;
    }
    return { refaulted, total };
  }
  private fine(sp: { refaulted: number; total: number }, spGain: number, pv: { refaulted: number; total: number }, pvGain: number): boolean {
    if (pv.refaulted < 64) return true;
    return pv.refaulted * (sp.total + 64) * spGain <= (sp.refaulted + 1) * pv.total * pvGain;
  }
  highestTier(kind: Kind, base: { refaulted: number; total: number } = this.sum(kind, [0]), baseGain = this.old ? 1 : 2, gain = this.old ? 2 : 3): number {
    let limit = 0;
    while (limit < 3 && this.fine(base, baseGain, this.sum(kind, [limit + 1]), gain)) limit++;
    return limit;
  }
  private choose(swappiness: number): { kind: Kind; limit: number } {
    const all = [0, 1, 2, 3];
    if (!this.old) {
      if (swappiness <= 1) return { kind: 'file', limit: this.highestTier('file') };
      if (swappiness >= 200) return { kind: 'anon', limit: this.highestTier('anon') };
      const kind = this.fine(this.sum('anon', all), swappiness, this.sum('file', all), 200 - swappiness) ? 'file' : 'anon';
      return { kind, limit: this.highestTier(kind) };
    }
    const plain = (kind: Kind) => ({ kind, limit: this.highestTier(kind) });
    if (swappiness === 0) return plain('file');
    if (this.minSeq.anon < this.minSeq.file) return plain('anon');
    if (swappiness === 1) return plain('file');
    if (swappiness >= 200) return plain('anon');
    const gains = { anon: swappiness, file: 200 - swappiness };
    const kind = this.fine(this.sum('anon', [0]), gains.anon, this.sum('file', [0]), gains.file) ? 'file' : 'anon';
    const rival = kind === 'file' ? 'anon' : 'file';
    return { kind, limit: this.highestTier(kind, this.sum(rival, [0]), gains[rival], gains[kind]) };
  }

  // Eviction.

  evictableMin(swappiness: number): number {
    return Math.min(...this.mayGo(swappiness).map((kind) => this.minSeq[kind]));
  }
  pages(kind: Kind, gen: number): number {
    let pages = 0;
    for (const t of this.folios.values()) if (t.gen === gen && t.kind === kind) pages += t.nr;
    return pages;
  }
  /** Pages that reclaim may look at. */
  size(swappiness: number): number {
    let pages = 0;
    for (const kind of this.mayGo(swappiness)) for (let seq = this.minSeq[kind]; seq <= this.maxSeq; seq++) pages += this.pages(kind, seq % 4);
    return pages;
  }
  isOut(swappiness: number): boolean {
    return this.evictableMin(swappiness) + 2 > this.maxSeq;
  }
  agingIsDue(swappiness: number): boolean {
    if (this.isOut(swappiness)) return true;
    if (this.evictableMin(swappiness) + 2 < this.maxSeq) return false;
    if (!this.old) return true;
    let young = 0;
    let oldest = 0;
    for (const kind of this.mayGo(swappiness)) {
      young += this.pages(kind, this.maxSeq % 4);
      if (this.minSeq[kind] <= this.maxSeq - 2) oldest += this.pages(kind, (this.maxSeq - 2) % 4);
    }
    const all = this.size(swappiness);
    return young * 2 > all || oldest * 4 < all;
  }
  /** @param limit folios to meet at most  @returns what is taken, by kind in the order of trying */
  isolate(swappiness: number, limit: number, factsOf: (folio: number) => Facts): { kind: Kind; taken: number[] }[] {
    const tried: { kind: Kind; taken: number[] }[] = [];
    let choice = this.choose(swappiness);
    for (let i = 0; i < this.mayGo(swappiness).length; i++) {
      const { taken, isEnough } = this.scan(choice.kind, choice.limit, this.old ? 4096 : Math.min(limit, 4096), factsOf);
      if (taken !== null) tried.push({ kind: choice.kind, taken });
      if (isEnough) break;
      const kind = choice.kind === 'anon' ? 'file' : 'anon';
      choice = { kind, limit: this.highestTier(kind) };
    }
    return tried;
  }
  private scan(kind: Kind, tierLimit: number, limit: number, factsOf: (folio: number) => Facts): { taken: number[] | null; isEnough: boolean } {
    if (this.maxSeq - this.minSeq[kind] + 1 === 2) return { taken: null, isEnough: false };
    const list = this.lists[kind][this.minSeq[kind] % 4]!;
    const taken: number[] = [];
    let pages = 0;
    let met = 0;
    while (list.length > 0 && met < limit && pages < 64) {
      const folio = list[0]!;
      met++;
      if (this.sort(folio, tierLimit, factsOf(folio))) continue;
      const t = this.of(folio);
      if (!t.referenced) {
        t.refs = 0;
        if (this.old) t.workingset = false;
      }
      if (this.old) t.referenced = false;
      this.remove(folio);
      taken.push(folio);
      pages += t.nr;
    }
    return { taken, isEnough: pages > 0 || met >= limit };
  }
  /** @returns whether it was moved instead */
  private sort(folio: number, tierLimit: number, facts: Facts): boolean {
    const t = this.of(folio);
    const oldest = this.minSeq[t.kind] % 4;
    if (t.gen !== oldest) {
      this.move(folio, t, t.gen!, 'head');
      return true;
    }
    const tier = this.tier(t);
    const saturated = this.saturated(t);
    if (tier > tierLimit || saturated) {
      if (this.old || !saturated) this.tiers[t.kind][tier]!.protected += t.nr;
      this.incGen(t);
      this.move(folio, t, t.gen, this.old ? 'tail' : 'head');
      return true;
    }
    if (facts.writeback || (t.kind === 'file' && facts.dirty) || (this.old && facts.locked)) {
      this.incGen(t);
      this.move(folio, t, t.gen, 'head');
      return true;
    }
    return false;
  }
  /** A folio that was taken and did not go: is it tried again, or made young before it comes back? */
  survivor(folio: number, facts: Facts, scanned: Kind, isRetry: boolean, isMapped: boolean, isUnevictable: boolean): 'retry' | 'young' | 'asItIs' {
    const t = this.of(folio);
    if (isUnevictable) return 'asItIs';
    const busy = facts.dirty || facts.writeback;
    if (this.old) {
      if (facts.reclaimMark && busy) {
        if (t.workingset) t.referenced = true;
        return 'asItIs';
      }
      if (!isRetry && !facts.active && !t.referenced && !isMapped && !facts.locked && !busy) return 'retry';
      Object.assign(t, { refs: 0, referenced: false, workingset: false });
      return 'young';
    }
    if (!isRetry && !facts.active && !isMapped && !busy) return 'retry';
    if (this.seqFor(t, facts, false) !== this.minSeq[scanned]) return 'asItIs';
    Object.assign(t, { refs: 0, referenced: false });
    return 'young';
  }

  // What is remembered.

  evicted(folio: number): { seq: number; refs: number; workingset: boolean } {
    const t = this.of(folio);
    const uses = this.uses(t);
    this.tiers[t.kind][this.tier(t)]!.evicted += t.nr;
    return { seq: this.minSeq[t.kind], refs: Math.max(uses - 1, 0), workingset: this.old ? uses > 0 : t.workingset };
  }
  refault(folio: number, kind: Kind, nr: number, shadow: { seq: number; refs: number; workingset: boolean }, inFault: boolean): void {
    const t = this.of(folio);
    const recent = this.old ? shadow.seq === this.minSeq[kind] : Math.abs(this.maxSeq - shadow.seq) < 4;
    if (!recent) return;
    const ghost: Tracked = { ...t, referenced: true, workingset: shadow.workingset, refs: shadow.refs };
    const uses = this.old ? shadow.refs + Number(shadow.workingset) : shadow.refs + 1;
    const tier = this.old ? [0, 1, 2, 2, 3][uses]! : this.tier(ghost);
    this.tiers[kind][tier]!.refaulted += nr;
    if (this.old) {
      if (inFault || uses >= 3) Object.assign(t, { workingset: true, refs: 3 });
    } else if (shadow.workingset) t.workingset = true;
    else t.refs = shadow.refs;
  }
  deactivate(folio: number, factsOf: (active: boolean) => Facts): void {
    const t = this.of(folio);
    if (!this.old) {
      Object.assign(t, { refs: 0, referenced: false, workingset: false });
      if (t.gen === this.minSeq[t.kind] % 4) return;
    }
    this.remove(folio);
    t.referenced = false;
    this.add(folio, factsOf(false), 'head', null);
  }
  activate(folio: number, factsOf: (active: boolean) => Facts): void {
    this.remove(folio);
    this.add(folio, factsOf(true), 'head', null);
  }
}
