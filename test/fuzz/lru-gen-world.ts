// A machine under MGLRU, a seeded storm of what programs and administrators do to it, and the naive model of each group beside it (naive-mglru.ts).
// Here: the world and its operations, the spy that tells the models of every event, the comparison. Not here: how long, with what seed (lru-gen.test.ts).
//
// The spy stands at the doors of LruGen. What goes in is told to the model, which draws its own conclusions; what comes out is compared. Eviction is
// predicted: when a batch has been taken, the model takes its own from its own lists, and both must have taken the same folios in the same order.
import { Prng, asPfn } from '#base';
import type { Folio } from '#base';
import { FaultAccess } from '#kernel/mm/fault.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import type { MemCgroup } from '#kernel/mm/memcg.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { LruGen } from '#kernel/mm/reclaim/lru-gen.ts';
import { lruGenCommands } from '#kernel/mm/reclaim/lru-gen-files.ts';
import { genOf, listOf, refsFieldOf } from '#kernel/mm/reclaim/lru-gen-folio.ts';
import { LruAdd, LruType } from '#kernel/mm/reclaim/lruvec.ts';
import type { LruvecKind } from '#kernel/mm/reclaim/lruvec.ts';
import type { ScanControl } from '#kernel/mm/reclaim/scan.ts';
import { DEF_PRIORITY, Verdict } from '#kernel/mm/reclaim/scan.ts';
import { mglru } from '#kernel/mm/reclaim/lru-gen.ts';
import { twoList } from '#kernel/mm/reclaim/two-list.ts';
import { unpackShadow } from '#kernel/mm/reclaim/workingset.ts';
import { vmaHasRecency } from '#kernel/mm/reclaim/referenced.ts';
import { ptePresent } from '#kernel/mm/pagetable.ts';
import { VM_ACCESS, VmFlag } from '#kernel/mm/vma.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Pte, ptePfn } from '#mmu';
import { Program } from '../support/mm-fixture.ts';
import { NaiveMglru } from '../support/naive-mglru.ts';
import type { Facts, Kind } from '../support/naive-mglru.ts';
import { SimpleFile } from '../support/simple-file.ts';
import { addSwap } from '../support/swap-fixture.ts';

const PAGE = 4096;
const MIB = 1 << 20;
const ANON_AT = 0x4000_0000;
const ANON_PAGES = 900;
const FILE_AT = 0x5000_0000;
const FILE_PAGES = 1024;
const verdicts = { [Verdict.Reclaim]: 'reclaim', [Verdict.ReclaimClean]: 'clean', [Verdict.Keep]: 'keep', [Verdict.Activate]: 'activate' } as const;
const kindOf = (type: LruType): Kind => (type === LruType.Anon ? 'anon' : 'file');

export interface Setting { readonly release: 612 | 618; readonly swapPages: number; readonly orders: readonly number[] }
export const settingName = ({ release, swapPages, orders }: Setting): string => `rules of ${release}, ${swapPages} pages of swap, orders ${orders.join(' ')}`;

/** One group's lruvec with its model. */
class Spy {
  readonly lruvec: LruGen;
  readonly model: NaiveMglru;
  private readonly world: LruGenWorld;
  private readonly isOld: boolean;
  /** Taken since the last batch, and the kinds that were scanned. */
  private taken: number[] = [];
  private scans: { kind: Kind; sc: ScanControl }[] = [];
  private scannedKind: Kind = 'file';
  /** Folios of the batch under way, and those that were tried twice. */
  private readonly batch = new Set<number>();
  private readonly retried = new Set<number>();
  private depth = 0;
  sc: ScanControl | null = null;
  /** Folios that the sweep under way has seen. */
  swept = new Set<number>();

  constructor(world: LruGenWorld, lruvec: LruGen) {
    this.world = world;
    this.lruvec = lruvec;
    this.isOld = world.setting.release === 612;
    const { folios, machine } = world.system;
    // Of a folio that it meets for the first time the model takes over what flags say: nothing of a fresh one, but the other policy may have left something.
    this.model = new NaiveMglru(this.isOld, machine.clockCycles, (folio) => ({
      referenced: folios.test(folio as Folio, FolioFlag.Referenced), workingset: folios.test(folio as Folio, FolioFlag.Workingset), refs: refsFieldOf(folios.lruWord(folio as Folio)),
    }));
    this.watch();
  }
  private facts(folio: Folio, active?: boolean): Facts {
    const { folios } = this.world.system;
    const flags = folios.flags(folio);
    const has = (flag: number): boolean => (flags & flag) !== 0;
    return {
      kind: folios.isFileLru(folio) ? 'file' : 'anon', nr: folios.nrPages(folio), active: active ?? has(FolioFlag.Active), swapCache: has(FolioFlag.SwapCache), reclaimMark: has(FolioFlag.Reclaim),
      dirty: has(FolioFlag.Dirty), writeback: has(FolioFlag.Writeback), locked: has(FolioFlag.Locked),
    };
  }
  private same(what: string, kernel: unknown, model: unknown): void {
    const [a, b] = [JSON.stringify(kernel), JSON.stringify(model)];
    if (a !== b) throw new Error(`${this.world.where()}: ${what} of ${this.lruvec.group.path}: the kernel says ${a}, the model ${b}`);
  }
  /** Runs the kernel's part with events inside it unheard. */
  private inside<T>(work: () => T): T {
    this.depth++;
    try {
      return work();
    } finally {
      this.depth--;
    }
  }
  private watch(): void {
    const { lruvec, model, world } = this;
    const { system } = world;
    const { folios } = system;
    const real = {
      add: lruvec.add.bind(lruvec), remove: lruvec.remove.bind(lruvec), detach: lruvec.detach.bind(lruvec), markAccessed: lruvec.markAccessed.bind(lruvec), activate: lruvec.activate.bind(lruvec),
      deactivate: lruvec.deactivate.bind(lruvec), judge: lruvec.judge.bind(lruvec), evicted: lruvec.evicted.bind(lruvec), refault: lruvec.refault.bind(lruvec), incMaxSeq: lruvec.incMaxSeq.bind(lruvec),
      tryToIncMinSeq: lruvec.tryToIncMinSeq.bind(lruvec), updateGen: lruvec.updateGen.bind(lruvec), setRefs: lruvec.setRefs.bind(lruvec), makeYoung: lruvec.makeYoung.bind(lruvec), shrink: lruvec.shrink.bind(lruvec),
    };
    const named = (folio: Folio): string => `folio ${folio - folios.firstPfn}`;
    lruvec.add = (folio, how, isFault, behind) => {
      if (this.depth === 0) {
        if (how === LruAdd.PutBack && this.batch.delete(folio) && !this.expectedYoung.delete(folio)) this.settles(folio, 'asItIs');
        model.add(folio, { ...this.facts(folio), active: isFault || folios.test(folio, FolioFlag.Active) }, how === LruAdd.Rotate ? 'rotated' : how === LruAdd.Split ? 'piece' : 'head', behind ?? null);
      }
      this.inside(() => { real.add(folio, how, isFault, behind); });
      this.same(`generation of ${named(folio)}`, genOf(folios.lruWord(folio)), model.of(folio).gen);
    };
    lruvec.remove = (folio) => {
      const isYoung = model.remove(folio);
      this.inside(() => { real.remove(folio); });
      this.same(`youth of ${named(folio)}, removed`, folios.test(folio, FolioFlag.Active), isYoung);
    };
    lruvec.detach = (folio) => {
      if (this.depth === 0) this.taken.push(folio);
      return this.inside(() => real.detach(folio));
    };
    lruvec.markAccessed = (folio) => {
      model.markAccessed(folio);
      this.inside(() => { real.markAccessed(folio); });
    };
    lruvec.activate = (folio) => {
      model.activate(folio, (active) => this.facts(folio, active));
      this.inside(() => { real.activate(folio); });
    };
    lruvec.deactivate = (folio) => {
      model.deactivate(folio, (active) => this.facts(folio, active));
      this.inside(() => { real.deactivate(folio); });
    };
    lruvec.judge = (folio, references) => {
      const wanted = model.judge(folio, references.ptes, references.isExec, references.isLocked, folios.folioMapcount(folio) > 0, folios.isFileLru(folio));
      const got = this.inside(() => real.judge(folio, references));
      this.same(`verdict on ${named(folio)}`, verdicts[got], wanted);
      return got;
    };
    lruvec.evicted = (folio) => {
      const wanted = model.evicted(folio);
      const shadow = this.inside(() => real.evicted(folio));
      const { group, age, isWorkingset } = unpackShadow(shadow);
      this.same(`shadow of ${named(folio)}`, { group, seq: Math.floor(age / 4), refs: age % 4, workingset: isWorkingset }, { group: lruvec.group.id, ...wanted });
      return shadow;
    };
    lruvec.refault = (folio, shadow) => {
      const { group, age, isWorkingset } = unpackShadow(shadow);
      if (group === lruvec.group.id) model.refault(folio, folios.isFileLru(folio) ? 'file' : 'anon', folios.nrPages(folio), { seq: Math.floor(age / 4), refs: age % 4, workingset: isWorkingset }, system.lru.inFault);
      this.inside(() => { real.refault(folio, shadow); });
    };
    lruvec.updateGen = (folio, gen) => {
      this.swept.add(folio);
      model.sweptYoung(folio);
      return this.inside(() => real.updateGen(folio, gen));
    };
    lruvec.setRefs = (folio) => {
      if (this.depth > 0) return real.setRefs(folio);
      const wanted = model.foundYoung(folio);
      const got = this.inside(() => real.setRefs(folio));
      this.same(`second sighting of ${named(folio)}`, got, wanted);
      return got;
    };
    lruvec.makeYoung = (folio) => {
      this.settles(folio, 'young');
      this.expectedYoung.add(folio);
      this.inside(() => { real.makeYoung(folio); });
    };
    lruvec.incMaxSeq = (swappiness) => {
      if (this.sc !== null) this.same('need of a new generation', [this.sc.priority !== DEF_PRIORITY, model.agingIsDue(swappiness)], [true, true]);
      model.beginsGeneration(swappiness, system.machine.clockCycles);
      this.inside(() => { real.incMaxSeq(swappiness); });
      this.compare(true);
    };
    lruvec.tryToIncMinSeq = (swappiness) => {
      this.predictBatch(swappiness);
      model.dropEmptyGenerations(swappiness);
      return this.inside(() => real.tryToIncMinSeq(swappiness));
    };
    lruvec.shrink = (sc) => {
      this.sc = sc;
      real.shrink(sc);
      this.sc = null;
    };
  }
  private readonly expectedYoung = new Set<number>();
  /** A folio that did not go: what the model would do with it is what was done. */
  private settles(folio: Folio, done: 'young' | 'asItIs'): void {
    const { folios } = this.world.system;
    const isUnevictable = folios.test(folio, FolioFlag.Mlocked | FolioFlag.Unevictable);
    const wanted = this.model.survivor(folio, this.facts(folio), this.scannedKind, this.retried.has(folio), folios.folioMapcount(folio) > 0, isUnevictable);
    this.same(`end of folio ${folio - folios.firstPfn}, which did not go`, done, wanted);
  }
  scanned(type: LruType, sc: ScanControl): void {
    this.scans.push({ kind: kindOf(type), sc });
  }
  /** The mechanism has been through the batch: who has neither gone nor come back goes through it again, once. */
  passed(): void {
    const { folios } = this.world.system;
    for (const folio of this.batch as Set<Folio>) {
      if (this.retried.has(folio)) throw new Error(`${this.world.where()}: folio ${folio - folios.firstPfn} is tried a third time`);
      this.same(`second try of folio ${folio - folios.firstPfn}`, 'retry', this.model.survivor(folio, this.facts(folio), this.scannedKind, false, folios.folioMapcount(folio) > 0, false));
      this.retried.add(folio);
    }
  }
  gone(folio: number): void {
    this.batch.delete(folio);
    this.model.forget(folio);
  }
  cut(folio: number, orders: readonly number[]): void {
    const whole = this.model.folios.get(folio);
    if (whole === undefined) return;
    const isBatch = this.batch.has(folio);
    let at = folio;
    for (const order of orders) {
      this.model.folios.set(at, { ...whole, nr: 1 << order });
      if (isBatch) this.batch.add(at);
      at += 1 << order;
    }
  }
  private predictBatch(swappiness: number): void {
    const { model } = this;
    const sc = this.scans[0]?.sc ?? null;
    let limit = Infinity;
    if (this.sc !== null && sc !== null) {
      this.same('there is something to evict', [model.isOut(swappiness), model.agingIsDue(swappiness) && sc.priority !== DEF_PRIORITY], [false, false]);
      limit = this.lruvec.group.isOnline ? Math.floor(model.size(swappiness) / 2 ** sc.priority) : model.size(swappiness);
    }
    const tried = model.isolate(swappiness, limit, (folio) => this.facts(folio as Folio));
    this.same('kinds that were scanned', this.scans.map(({ kind }) => kind), tried.map(({ kind }) => kind));
    this.same('folios that were taken', this.taken, tried.flatMap(({ taken }) => taken));
    this.scannedKind = tried.at(-1)?.kind ?? 'file';
    this.batch.clear();
    for (const folio of this.taken) this.batch.add(folio);
    this.retried.clear();
    this.expectedYoung.clear();
    this.taken = [];
    this.scans = [];
  }
  /** @param isFull every folio of every list, too */
  compare(isFull: boolean): void {
    const { lruvec, model } = this;
    const { folios } = this.world.system;
    this.same('generations', [lruvec.maxSeq, ...lruvec.minSeq], [model.maxSeq, model.minSeq.anon, model.minSeq.file]);
    for (const type of [LruType.Anon, LruType.File] as const) {
      const nr = lruvec.maxSeq - lruvec.minSeq[type] + 1;
      if (nr < 2 || nr > 4) throw new Error(`${this.world.where()}: ${nr} generations`);
      for (let tier = 0; tier < 4; tier++) {
        const { counters } = lruvec;
        const at = type * 4 + tier;
        const t = model.tiers[kindOf(type)][tier]!;
        if (counters.refaulted[at] !== t.refaulted || counters.evicted[at] !== t.evicted || counters.protected[at] !== t.protected || counters.avgRefaulted[at] !== t.avgRefaulted || counters.avgTotal[at] !== t.avgTotal) {
          this.same(`tier ${tier} of ${kindOf(type)}`, { refaulted: counters.refaulted[at], evicted: counters.evicted[at], protected: counters.protected[at], avgRefaulted: counters.avgRefaulted[at], avgTotal: counters.avgTotal[at] }, t);
        }
      }
      if (!isFull) continue;
      const pages = [0, 0, 0, 0];
      for (let list = 0; list < 4; list++) {
        const standing = [...lruvec.lists[list * 2 + type]!];
        const wanted = model.lists[kindOf(type)][list]!;
        if (standing.length !== wanted.length || standing.some((folio, i) => folio !== wanted[i])) this.same(`list ${list} of ${kindOf(type)}`, standing, wanted);
        for (const folio of standing) {
          const word = folios.lruWord(folio);
          const t = model.of(folio);
          pages[genOf(word)]! += folios.nrPages(folio);
          const flags = folios.flags(folio);
          if (genOf(word) !== t.gen || listOf(word) !== t.list || refsFieldOf(word) !== t.refs || ((flags & FolioFlag.Referenced) !== 0) !== t.referenced || ((flags & FolioFlag.Workingset) !== 0) !== t.workingset || folios.nrPages(folio) !== t.nr) {
            this.same(`folio ${folio - folios.firstPfn}`, { gen: genOf(word), list: listOf(word), refs: refsFieldOf(word), referenced: (flags & FolioFlag.Referenced) !== 0, workingset: (flags & FolioFlag.Workingset) !== 0, nr: folios.nrPages(folio) }, t);
          }
        }
      }
      for (let gen = 0; gen < 4; gen++) if (pages[gen] !== lruvec.nrPages[gen * 2 + type] && this.world.system.lruGen.walk === null) this.same(`pages in generation ${gen} of ${kindOf(type)}`, lruvec.nrPages[gen * 2 + type], pages[gen]);
    }
  }
}

export class LruGenWorld {
  readonly setting: Setting;
  readonly system: MmSystem;
  readonly counts: Record<string, number> = {};
  private readonly random: Prng;
  private readonly seed: number;
  private readonly file: SimpleFile;
  private readonly mapping: FileMapping;
  private readonly kind: LruvecKind;
  private readonly group: MemCgroup;
  private spies = new Map<LruGen, Spy>();
  private programs: Program[] = [];
  private step = 0;
  private operation = 'boot';
  private depthOfOthers = 0;

  constructor(seed: number, setting: Setting) {
    this.seed = seed;
    this.setting = setting;
    this.random = new Prng(seed, `lru-gen ${settingName(setting)}`);
    this.file = new SimpleFile({ backEnd: 'iomap', blockSize: PAGE, diskBytes: 6 * MIB, maxOrder: 3, seed: null, ramBytes: 16 * MIB, orders: setting.orders });
    this.system = this.file.system;
    this.system.params.vm.lru_gen_release = setting.release;
    if (setting.swapPages > 0) addSwap(this.system, setting.swapPages);
    this.group = this.system.memcg.create('w')!;
    this.group.max = 600;
    this.kind = { ...mglru, create: (group) => {
      const lruvec = new LruGen(group);
      this.spies.set(lruvec, new Spy(this, lruvec));
      return lruvec;
    } };
    this.spyOnMechanism();
    this.system.lru.setKind(this.kind);
    this.mapping = { space: this.file.space, path: '/f', ino: 12, devMajor: 254, devMinor: 0, mayWrite: true, ra: this.file.ra };
    const bytes = new Uint8Array(MIB).map((_, i) => i * 31);
    for (let at = 0; at < FILE_PAGES * PAGE; at += MIB) this.file.write(at, bytes);
    this.file.sync();
    for (const group of [this.system.memcg.root, this.group]) this.programs.push(this.newProgram(group));
  }
  where(): string {
    return `seed ${this.seed}, ${settingName(this.setting)}, step ${this.step} (${this.operation})`;
  }
  private newProgram(group: MemCgroup): Program {
    const { memcg } = this.system;
    memcg.active = group;
    const program = Program.on(this.system);
    program.map(ANON_PAGES * PAGE, ANON_AT);
    program.mm.mmap({ addr: FILE_AT, len: FILE_PAGES * PAGE, prot: Prot.Read | Prot.Write, flags: MapFlag.Fixed | (this.random.below(2) === 0 ? MapFlag.Shared : MapFlag.Private), file: this.mapping, pgoff: 0 });
    return program;
  }
  /** What happens outside the lruvecs, and matters to them. */
  private spyOnMechanism(): void {
    const { system } = this;
    const { folios, vmscan, lruGen, memcg } = system;
    const countScan = vmscan.countScan.bind(vmscan);
    vmscan.countScan = (group, type, sc, pages) => {
      this.spies.get(group.lruvec as LruGen)?.scanned(type, sc);
      countScan(group, type, sc, pages);
    };
    const countSteal = vmscan.countSteal.bind(vmscan);
    vmscan.countSteal = (group, type, sc, pages) => {
      this.spies.get(group.lruvec as LruGen)?.passed();
      countSteal(group, type, sc, pages);
    };
    const retire = folios.retire.bind(folios);
    folios.retire = (folio) => {
      for (const spy of this.spies.values()) spy.gone(folio);
      retire(folio);
    };
    const moveState = folios.moveState.bind(folios);
    folios.moveState = (from, to) => {
      moveState(from, to);
      for (const { model } of this.spies.values()) {
        const known = model.folios.get(from);
        if (known !== undefined) model.folios.set(to, { ...known });
      }
    };
    const split = folios.split.bind(folios);
    folios.split = (folio, orders) => {
      split(folio, orders);
      for (const spy of this.spies.values()) spy.cut(folio, orders);
    };
    // MADV_FREE and MADV_COLD forget uses on their own.
    const clear = folios.clear.bind(folios);
    folios.clear = (pfn, flag) => {
      clear(pfn, flag);
      if ((flag & FolioFlag.Referenced) === 0 || vmscan.isRunning || this.depthOfOthers === 0) return;
      for (const spy of this.spies.values()) if (spy.model.folios.has(pfn)) spy.model.of(pfn).referenced = false;
    };
    const lazyFree = system.lru.lazyFree.bind(system.lru);
    system.lru.lazyFree = (folio) => {
      lazyFree(folio);
      const t = this.spies.get(memcg.of(folio).lruvec as LruGen)?.model.of(folio);
      if (t !== undefined) Object.assign(t, { refs: refsFieldOf(folios.lruWord(folio)), referenced: folios.test(folio, FolioFlag.Referenced) });
    };
    const shrink = lruGen.shrink.bind(lruGen);
    lruGen.shrink = (sc) => {
      for (const spy of this.spies.values()) spy.sc = sc;
      shrink(sc);
      for (const spy of this.spies.values()) spy.sc = null;
    };
  }
  private below(n: number): number {
    return this.random.below(n);
  }
  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.one();
    this.compare(true);
    this.system.check();
  }
  private one(): void {
    this.step++;
    const [name, , operation] = this.pick(operations);
    this.operation = name;
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    const { memcg } = this.system;
    operation(this);
    memcg.active = memcg.root;
    memcg.overLimit = null;
    this.system.oomRequested = false;
    const isHeavy = name.startsWith('reclaim') || name.startsWith('age') || this.step % 16 === 0;
    this.compare(isHeavy);
    if (this.step % 64 === 0) this.system.check();
  }
  private compare(isFull: boolean): void {
    for (const group of this.system.memcg) if (group.lruvec instanceof LruGen) this.spies.get(group.lruvec)!.compare(isFull);
  }

  // What programs do.

  /** A program gets the hart. */
  on(): Program {
    const program = this.pick(this.programs);
    this.system.memcg.active = program.mm.group;
    program.mm.activate();
    return program;
  }
  touch(write: boolean): void {
    const program = this.on();
    const isFile = this.below(2) === 0;
    const pages = isFile ? FILE_PAGES : ANON_PAGES;
    const start = this.below(pages);
    const nr = 1 + this.below(this.below(4) === 0 ? 48 : 4);
    for (let i = 0; i < nr; i++) program.access((isFile ? FILE_AT : ANON_AT) + ((start + i) % pages) * PAGE, write ? FaultAccess.Write : FaultAccess.Read);
  }
  read(): void {
    this.on();
    this.file.read(this.below(FILE_PAGES) * PAGE, 1 + this.below(this.below(3) === 0 ? 64 * PAGE : 100));
  }
  readHot(): void {
    this.on();
    for (let i = 0; i < 6; i++) this.file.read(((this.below(12) * 8) % FILE_PAGES) * PAGE, 8);
  }
  write(): void {
    this.on();
    this.file.write(this.below(FILE_PAGES - 8) * PAGE, new Uint8Array(1 + this.below(3 * PAGE)).fill(this.step));
  }
  flush(): void {
    if (this.below(2) === 0) this.file.flush();
    for (let i = this.below(20); i > 0; i--) this.system.waits.passTime();
  }
  fork(): void {
    const parent = this.on();
    if (this.programs.length >= 4) return;
    const mm = dupMm(parent.mm);
    if (mm !== null) this.programs.push(new Program(mm));
  }
  exit(): void {
    if (this.programs.length <= 2) return;
    const i = 2 + this.below(this.programs.length - 2);
    const [program] = this.programs.splice(i, 1);
    this.system.memcg.active = program!.mm.group;
    program!.mm.dispose();
  }
  advise(): void {
    const { mm } = this.on();
    const start = ANON_AT + this.below(ANON_PAGES - 40) * PAGE;
    this.depthOfOthers++;
    mm.madvise(this.below(4) === 0 ? FILE_AT + this.below(FILE_PAGES - 40) * PAGE : start, (1 + this.below(40)) * PAGE, this.pick([4, 8, 20, 21]));
    this.depthOfOthers--;
  }
  lock(): void {
    const { mm } = this.on();
    const start = this.below(2) === 0 ? ANON_AT + this.below(ANON_PAGES - 8) * PAGE : FILE_AT + this.below(FILE_PAGES - 8) * PAGE;
    const len = (1 + this.below(8)) * PAGE;
    if (this.below(2) === 0) mm.mlock(start, len);
    else mm.munlock(this.below(2) === 0 ? ANON_AT : FILE_AT, ANON_PAGES * PAGE);
  }
  remap(): void {
    const program = this.on();
    const at = ANON_AT + this.below(ANON_PAGES - 64) * PAGE;
    const len = (1 + this.below(64)) * PAGE;
    program.mm.munmap(at, len);
    program.map(len, at);
  }

  // What administrators and the kernel do.

  limit(): void {
    this.group.max = 300 + this.below(500);
    if (this.group.usage > this.group.max) this.system.vmscan.reclaimGroup(this.group, this.group.usage - this.group.max, true);
  }
  reclaimGroup(): void {
    this.system.vmscan.reclaimGroup(this.group, 1 + this.below(200), this.below(4) > 0, this.pick(['direct', 'proactive'] as const), this.pick([null, 0, 1, 60, 100, 199, 200, 201]));
  }
  reclaimAll(): void {
    if (this.below(3) === 0) this.system.runDaemons();
    else this.system.vmscan.direct(this.pick([0, 0, 0, 2, 4]), 0);
  }
  swappiness(): void {
    this.system.params.vm.swappiness = this.pick([0, 1, 30, 60, 100, 150, 200]);
  }
  private target(): { group: MemCgroup; lruvec: LruGen } | null {
    const group = this.pick([this.system.memcg.root, this.group]);
    return group.lruvec instanceof LruGen ? { group, lruvec: group.lruvec } : null;
  }
  age(): void {
    const target = this.target();
    if (target === null) return;
    const { group, lruvec } = target;
    const force = this.below(2);
    const swappiness = this.pick([0, 1, 60, 200]);
    for (const program of this.programs) if (this.below(2) === 0) program.mm.activate();
    const spy = this.spies.get(lruvec)!;
    const wanted = force === 1 ? this.youngFolios(group, swappiness) : null;
    spy.swept = new Set();
    const seq = lruvec.maxSeq;
    const answer = lruGenCommands(this.system, `+ ${group.id} 0 ${seq} ${swappiness} ${force}`);
    if (answer !== 0 || wanted === null) return;
    const [got, all] = [[...spy.swept].sort((a, b) => a - b), [...wanted].sort((a, b) => a - b)];
    if (got.join() !== all.join()) throw new Error(`${this.where()}: the sweep saw folios ${got.join()}, young were ${all.join()}`);
    if (this.youngFolios(group, swappiness).size > 0) throw new Error(`${this.where()}: entries are young after a sweep`);
  }
  /** By looking at every page of every program. */
  private youngFolios(group: MemCgroup, swappiness: number): Set<number> {
    const { folios, memcg, lru } = this.system;
    const found = new Set<number>();
    for (const mm of this.system.mms) {
      if (mm.group !== group) continue;
      const pages = mm.rss.filePages + (swappiness > 0 ? mm.rss.anonPages + mm.rss.shmemPages : 0);
      if (this.setting.release === 612 && pages < 64) continue;
      for (const vma of mm.vmas) {
        if (!vma.has(VM_ACCESS) || !vmaHasRecency(vma) || vma.has(VmFlag.Locked) || (vma.file === null && swappiness === 0)) continue;
        for (let vpn = vma.start / PAGE; vpn < vma.end / PAGE; vpn++) {
          const low = mm.tables.pmdLeaf(vpn) !== 0 ? mm.tables.pmdLeaf(vpn) + ((vpn & 511) << 10) : mm.tables.get(vpn);
          if (!ptePresent(low) || (low & Pte.A) === 0 || this.system.isZeroFrame(ptePfn(low))) continue;
          const folio = folios.folioOf(asPfn(ptePfn(low)));
          if (memcg.of(folio) === group && (lru.isListed(folio) || this.setting.release === 612)) found.add(folio);
        }
      }
    }
    return found;
  }
  evictByHand(): void {
    const target = this.target();
    if (target !== null) lruGenCommands(this.system, `- ${target.group.id} 0 ${target.lruvec.maxSeq - 2} ${this.pick([0, 60, 200])}`);
  }
  /** The other lists and back: nothing may be lost. */
  toggle(): void {
    const { lru } = this.system;
    const before = [lru.pages(LruType.Anon), lru.pages(LruType.File)];
    if (lru.kind === this.kind) {
      this.spies.clear();
      lru.setKind(twoList);
    } else {
      lru.setKind(this.kind);
    }
    const after = [lru.pages(LruType.Anon), lru.pages(LruType.File)];
    if (before.join() !== after.join()) throw new Error(`${this.where()}: ${before.join()} pages became ${after.join()}`);
    this.system.check();
  }
}

type Operation = readonly [name: string, weight: number, run: (world: LruGenWorld) => void];
const weighted: readonly Operation[] = [
  ['touch for writing', 6, (w) => { w.touch(true); }], ['touch for reading', 6, (w) => { w.touch(false); }], ['read', 4, (w) => { w.read(); }], ['read what is hot', 2, (w) => { w.readHot(); }],
  ['write', 1, (w) => { w.write(); }], ['write back', 2, (w) => { w.flush(); }], ['fork', 1, (w) => { w.fork(); }], ['exit', 1, (w) => { w.exit(); }], ['madvise', 1, (w) => { w.advise(); }],
  ['mlock', 1, (w) => { w.lock(); }], ['map anew', 1, (w) => { w.remap(); }], ['limit', 1, (w) => { w.limit(); }], ['reclaim of a group', 2, (w) => { w.reclaimGroup(); }],
  ['reclaim of the machine', 2, (w) => { w.reclaimAll(); }], ['swappiness', 1, (w) => { w.swappiness(); }], ['age by hand', 2, (w) => { w.age(); }], ['reclaim by hand', 1, (w) => { w.evictByHand(); }],
  ['off and on', 1, (w) => { w.toggle(); }],
];
const operations = weighted.flatMap((operation) => Array<Operation>(operation[1]).fill(operation));
