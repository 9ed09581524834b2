// ChosenLruvec: the folios of one group under a ReclaimPolicy, one of policies.ts or the user's. Here: keeping book, asking the policy, checking
// what it answers, handing that to the mechanism, counting. Not here: the policies, how a folio goes (shrink.ts), when (vmscan.ts).
//
// The policy keeps its own order; ours, by time of arrival, is what reports show, and what serves in its place once it has given a wrong answer.
// That is the user's to know and must leave the kernel whole: the first wrong answer is noted (LruLists.policyFailure), reclaim goes on in our
// order, and whoever runs the kernel stops when the kernel has come to rest.
import { Prng, bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { mmLruInsertion, mmVmscanLruIsolate, mmVmscanLruShrinkInactive } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import { WbReason } from '../writeback.ts';
import { FolioList } from './folio-list.ts';
import { LruAdd, LruType } from './lruvec.ts';
import type { LruDescription, Lruvec, LruvecKind, Shadow } from './lruvec.ts';
import { PageNumbers } from './page-numbers.ts';
import type { Arrival, PolicyServices, ReclaimPolicy, ReclaimPolicyMaker, Wanted } from './policy.ts';
import { folioReferenced } from './referenced.ts';
import { SWAPPINESS_ANON_ONLY, SWAP_CLUSTER_MAX, Verdict, newReclaimStat } from './scan.ts';
import type { References, ScanControl } from './scan.ts';
import { shrinkFolioList } from './shrink.ts';
import { UseReader } from './uses.ts';
import type { RecordedUses } from './uses.ts';
import { refaultItem } from './workingset.ts';

/** Of a folio's lruWord: it has come back, and has not been added yet. */
const CAME_BACK = 1;
const types = [LruType.Anon, LruType.File] as const;
/** enum lru_list: all stand on the inactive ones. */
const listOfType = [0, 2] as const;

export class ChosenLruvec implements Lruvec {
  readonly policy: string;
  readonly group: MemCgroup;
  private readonly system: MmSystem;
  private readonly numbers: PageNumbers;
  private readonly uses: UseReader | null;
  private readonly random: Prng;
  /** By LruType, in order of arrival: the youngest at the head. */
  private readonly lists: readonly [FolioList, FolioList];
  /** Pages of folios that are on their way in again, by folio: their number is known from before. */
  private readonly returning = new Map<Folio, number>();
  private chosen: ReclaimPolicy | null = null;
  /** Folios on the lists that the policy does not hold for the moment: named in this pass, and still here; or under writeback. */
  private readonly aside = new Set<Folio>();
  private readonly asidePages: [number, number] = [0, 0];
  /** Folios whose A bits the policy has asked for in this batch, with their pages. */
  private readonly tested = new Map<Folio, number>();
  private sc: ScanControl | null = null;
  private isShrinking = false;

  constructor(group: MemCgroup, name: string, make: ReclaimPolicyMaker, { seed, numbers, uses }: Shared) {
    this.group = group;
    this.system = group.system;
    this.policy = name;
    this.numbers = numbers;
    this.uses = uses;
    this.random = new Prng(seed, `reclaim ${group.path}`);
    const { links } = this.system.lru;
    this.lists = [new FolioList(links), new FolioList(links)];
    try {
      const made: Partial<ReclaimPolicy> | null | undefined = make(this.services());
      const missing = (['onAdd', 'onRemove', 'victims'] as const).find((call) => typeof made?.[call] !== 'function');
      if (missing === undefined) this.chosen = made as ReclaimPolicy;
      else this.fail(`the policy it makes has no ${missing}()`);
    } catch (error) {
      this.fail(`making the policy ended in an error: ${messageOf(error)}`);
    }
  }

  // What the policy may ask.

  private services(): PolicyServices {
    const { system, uses } = this;
    const { folios } = system;
    return {
      nrPages: (folio) => folios.nrPages(this.held(folio)),
      needsSwap: (folio) => !folios.isFileLru(this.held(folio)),
      testAndClearYoung: (folio) => this.testAndClearYoung(this.held(folio)),
      random: (below) => {
        if (!Number.isInteger(below) || below < 1 || below > 2 ** 32) throw new Error(`random(${below}): not a number of choices from 1 to 2^32`);
        return this.random.below(below);
      },
      now: () => system.machine.instret,
      pageId: (folio) => this.numberOf(this.held(folio)),
      recorded: uses === null ? null : {
        nextUse: (folio) => this.recordedTime(uses.nextUse, this.held(folio)),
        lastUse: (folio) => this.recordedTime(uses.lastUse, this.held(folio)),
      },
    };
  }
  /** A folio that the policy asks about is one that it holds, or that comes or goes just now. */
  private held(folio: Folio): Folio {
    const { folios } = this.system;
    if (!folios.has(folio) || folios.folioOf(folio) !== folio || !folios.isMovable(folio)) throw new Error(`it asks about folio ${String(folio)}, which it does not hold`);
    return folio;
  }
  private testAndClearYoung(folio: Folio): boolean {
    const { system } = this;
    const { folios, machine, params } = system;
    machine.charge(params.cost.lru_scan);
    this.tested.set(folio, folios.nrPages(folio));
    const wasRead = folios.test(folio, FolioFlag.Referenced);
    folios.clear(folio, FolioFlag.Referenced);
    const { ptes, isLocked } = folioReferenced(system, folio, null, this.sc);
    return wasRead || ptes > 0 || isLocked;
  }
  private numberOf(folio: Folio): number {
    const { folios } = this.system;
    const mapping = folios.mapping(folio);
    if (mapping !== 0) return this.numbers.of(mapping, folios.index(folio));
    // In the swap cache, and not mapped again yet.
    return this.returning.get(folio) ?? this.numbers.of(0, folios.swapEntry(folio));
  }
  private recordedTime(ask: UseReader['nextUse'], folio: Folio): number {
    const { folios, machine } = this.system;
    let mapping = folios.mapping(folio);
    let index = folios.index(folio);
    if (mapping === 0) {
      const number = this.returning.get(folio) ?? 0;
      mapping = this.numbers.mappingOf(number);
      index = this.numbers.indexOf(number);
    }
    return ask.call(this.uses!, mapping, index, folios.nrPages(folio), machine.instret);
  }

  // Asking it.

  /** Calls the policy, unless it has failed. What it throws is the first wrong answer. */
  private tell(call: (policy: ReclaimPolicy) => void, what: string): void {
    if (this.chosen === null) return;
    try {
      call(this.chosen);
    } catch (error) {
      this.fail(`${what}() ended in an error: ${messageOf(error)}`);
    }
  }
  private fail(how: string): void {
    this.chosen = null;
    this.system.lru.policyFailure ??= how;
  }
  /** The folios that are to go now, checked; off their lists. */
  private takeVictims(wanted: Wanted, sc: ScanControl): Folio[] {
    const named: Folio[] = [];
    this.tested.clear();
    this.sc = sc;
    this.tell((policy) => { policy.victims(wanted, named); }, 'victims');
    this.sc = null;
    const taken: Folio[] = [];
    for (const folio of named) {
      const wrong = this.whatIsWrongWith(folio, taken);
      if (wrong !== null) {
        this.fail(wrong);
        break;
      }
      this.system.lru.isolate(folio);
      taken.push(folio);
    }
    if (named.length === 0 && this.chosen !== null) this.fail(`victims() named nothing, although ${wanted.pages} pages were asked for and the policy holds folios that may go`);
    // In its place, from now on: the oldest.
    if (taken.length === 0) {
      for (const folio of this.oldest(wanted)) {
        this.system.lru.isolate(folio);
        taken.push(folio);
      }
    }
    return taken;
  }
  private whatIsWrongWith(folio: Folio, taken: readonly Folio[]): string | null {
    const { folios, lru } = this.system;
    if (!Number.isInteger(folio)) return `victims() named ${JSON.stringify(folio) ?? String(folio)}, which is no folio`;
    if (taken.includes(folio)) return `victims() named folio ${hex(folio)} twice`;
    const isHeld = folios.has(folio) && folios.folioOf(folio) === folio && lru.isListed(folio) && lru.lruvecOf(folio) === this && !this.aside.has(folio);
    return isHeld ? null : `victims() named folio ${hex(folio)}, which it does not hold`;
  }
  private oldest({ pages, maySwap, mayDropFiles }: Wanted): Folio[] {
    const { folios } = this.system;
    const found: Folio[] = [];
    let left = pages;
    for (const type of [LruType.File, LruType.Anon] as const) {
      if (type === LruType.File ? !mayDropFiles : !maySwap) continue;
      for (const folio of this.lists[type]) {
        if (left <= 0) return found;
        if (this.aside.has(folio)) continue;
        found.push(folio);
        left -= folios.nrPages(folio);
      }
    }
    return found;
  }

  // Coming and going.

  add(folio: Folio, how: LruAdd, _isFault: boolean, behind?: Folio): void {
    const { folios } = this.system;
    const type = this.typeOf(folio);
    const nr = folios.nrPages(folio);
    folios.clear(folio, FolioFlag.Active);
    if (behind !== undefined && this.typeOf(behind) === type) this.lists[type].addBehind(folio, behind, nr);
    else if (how === LruAdd.Rotate) this.lists[type].addTail(folio, nr);
    else this.lists[type].addHead(folio, nr);
    if (mmLruInsertion.enabled && how === LruAdd.New) mmLruInsertion.emit(folio, listOfType[type]);
    const cameBack = folios.lruWord(folio) === CAME_BACK;
    folios.setLruWord(folio, 0);
    if (how === LruAdd.PutBack && (this.isShrinking || folios.test(folio, FolioFlag.Writeback))) {
      this.aside.add(folio);
      this.asidePages[type] += nr;
      return;
    }
    if (!cameBack && how !== LruAdd.PutBack) this.returning.delete(folio);
    // Used again while it was written: no better than others.
    const isInUse = how === LruAdd.Rotate && folios.folioMapcount(folio) > 0;
    this.offer(folio, cameBack ? 'refault' : isInUse ? 'kept' : arrivals[how]);
  }
  private offer(folio: Folio, arrival: Arrival): void {
    this.tell((policy) => { policy.onAdd(folio, arrival); }, 'onAdd');
  }
  remove(folio: Folio): void {
    const type = this.typeOf(folio);
    const nr = this.system.folios.nrPages(folio);
    this.lists[type].remove(folio, nr);
    if (this.aside.delete(folio)) this.asidePages[type] -= nr;
    else this.tell((policy) => { policy.onRemove(folio); }, 'onRemove');
  }
  /** A pass ends: what was named in it, and is not being written, may be named again. What is comes back when its write has ended. */
  private offerAgain(): void {
    const { folios } = this.system;
    for (const folio of this.aside) {
      if (folios.test(folio, FolioFlag.Writeback)) continue;
      this.aside.delete(folio);
      this.asidePages[this.typeOf(folio)] -= folios.nrPages(folio);
      this.offer(folio, 'kept');
    }
  }
  private typeOf(folio: Folio): LruType {
    return this.system.folios.isFileLru(folio) ? LruType.File : LruType.Anon;
  }
  markAccessed(folio: Folio): void {
    const { folios } = this.system;
    folios.set(folio, FolioFlag.Referenced);
    if (folios.test(folio, FolioFlag.Lru)) this.tell((policy) => { policy.onAccess?.(folio); }, 'onAccess');
  }
  activate(folio: Folio): void {
    this.markAccessed(folio);
  }
  deactivate(folio: Folio): void {
    this.system.folios.clear(folio, FolioFlag.Referenced);
    this.tell((policy) => { policy.onCold?.(folio); }, 'onCold');
  }
  /** Never asked in reclaim: the policy has seen the A bits itself, if it cares. */
  judge(_folio: Folio, { isLocked }: References): Verdict {
    return isLocked ? Verdict.Activate : Verdict.Reclaim;
  }

  // What comes back: a shadow is the page's number.

  evicted(folio: Folio): Shadow {
    const id = this.numberOf(folio);
    this.returning.delete(folio);
    return id;
  }
  refault(folio: Folio, shadow: Shadow): void {
    const { folios, memcg } = this.system;
    memcg.countFolio(folio, refaultItem(folios.isFileLru(folio)), folios.nrPages(folio));
    folios.setLruWord(folio, CAME_BACK);
    this.returning.set(folio, shadow);
  }
  isRecent(): boolean {
    return false;
  }

  // One pass.

  /** Batches of 32 pages, until so much of the lists has been looked at as the priority says, at least one batch; or enough is freed. No folio is
   *  tried twice. */
  shrink(sc: ScanControl): void {
    this.isShrinking = true;
    this.shrinkBatches(sc);
    this.isShrinking = false;
    this.offerAgain();
  }
  private shrinkBatches(sc: ScanControl): void {
    const { system } = this;
    const { swap } = system;
    const maySwap = sc.maySwap && sc.swappiness > 0 && swap.freePagesFor(this.group) > 0;
    const mayDropFiles = sc.swappiness !== SWAPPINESS_ANON_ONLY;
    const eligible = (): number => types.reduce<number>((sum, type) => sum + ((type === LruType.Anon ? maySwap : mayDropFiles) ? this.pages(type) - this.asidePages[type] : 0), 0);
    // All that might go is on its way to the disk already: that is what there is to wait for.
    const writing = this.asidePages[0] + this.asidePages[1];
    if (writing > 0 && eligible() === 0) {
      for (const key of ['taken', 'writeback'] as const) sc.nr[key] += writing;
      if (sc.by === 'kswapd' && system.vmscan.isWritebackBound) sc.nr.immediate += writing;
    }
    const goal = Math.max(SWAP_CLUSTER_MAX, Math.floor(eligible() / 2 ** sc.priority));
    let reclaimed = 0;
    for (let scanned = 0; scanned < goal && reclaimed < sc.nrToReclaim && eligible() > 0; ) {
      const batch = this.shrinkBatch({ pages: SWAP_CLUSTER_MAX, maySwap, mayDropFiles }, sc);
      scanned += batch.scanned;
      reclaimed += batch.reclaimed;
    }
    sc.nrReclaimed += reclaimed;
  }
  private shrinkBatch(wanted: Wanted, sc: ScanControl): { scanned: number; reclaimed: number } {
    const { system, group } = this;
    const { folios, lru, vmscan } = system;
    const taken = this.takeVictims(wanted, sc);
    const lists: [Folio[], Folio[]] = [[], []];
    const inVain: Folio[] = [];
    const pages: [number, number] = [0, 0];
    let chances = 0;
    for (const folio of taken) {
      const type = this.typeOf(folio);
      (type === LruType.Anon && !wanted.maySwap) || (type === LruType.File && !wanted.mayDropFiles) ? inVain.push(folio) : lists[type].push(folio);
      pages[type] += folios.nrPages(folio);
      this.tested.delete(folio);
    }
    // Those that were looked at and got another chance.
    for (const [folio, nr] of this.tested) {
      chances += nr;
      pages[this.typeOf(folio)] += nr;
    }
    sc.nrScanned += chances;
    for (const folio of inVain) lru.putBack(folio);
    let reclaimed = 0;
    for (const type of types) {
      if (pages[type] > 0) vmscan.countScan(group, type, sc, pages[type]);
      if (lists[type].length > 0) reclaimed += this.shrinkType(type, lists[type], sc);
    }
    return { scanned: pages[0] + pages[1], reclaimed };
  }
  private shrinkType(type: LruType, list: Folio[], sc: ScanControl): number {
    const { system } = this;
    const stat = newReclaimStat();
    const before = sc.nrScanned;
    const pages = list.reduce((sum, folio) => sum + system.folios.nrPages(folio), 0);
    if (mmVmscanLruIsolate.enabled) mmVmscanLruIsolate.emit(0, sc.order, SWAP_CLUSTER_MAX, pages, 0, pages, listOfType[type]);
    const reclaimed = shrinkFolioList(system, this, list, sc, stat, true);
    for (const folio of list) system.lru.putBack(folio);
    system.vmscan.countSteal(this.group, type, sc, reclaimed);
    if (stat.unqueuedDirty === pages) system.writeback.wake(WbReason.Vmscan);
    stat.taken = pages;
    if (type === LruType.File) stat.fileTaken = pages;
    for (const key of ['dirty', 'congested', 'unqueuedDirty', 'writeback', 'immediate', 'taken', 'fileTaken'] as const) sc.nr[key] += stat[key];
    if (mmVmscanLruShrinkInactive.enabled) {
      mmVmscanLruShrinkInactive.emit(0, sc.nrScanned - before, reclaimed, stat.dirty, stat.writeback, stat.congested, stat.immediate, stat.activateAnon, stat.activateFile, stat.refKeep, stat.unmapFail, sc.priority, type === LruType.File ? 2 : 1);
    }
    return reclaimed;
  }
  age(): void {}

  // For those who look.

  pages(type: LruType): number {
    return this.lists[type].nrPages;
  }
  activePages(): number {
    return 0;
  }
  all(type: LruType): Iterable<Folio> {
    return this.lists[type];
  }
  describe(): LruDescription[] {
    const [anon, file] = this.lists;
    return [{ name: this.policy, ageMs: null, anonPages: anon.nrPages, anonFolios: anon.nrFolios, filePages: file.nrPages, fileFolios: file.nrFolios }];
  }
  standing(folio: Folio): string {
    let said = '';
    this.tell((policy) => { said = policy.standing?.(folio) ?? ''; }, 'standing');
    return said === '' ? `held by ${this.policy}` : `${this.policy}: ${said}`;
  }
  check(): void {
    const { folios } = this.system;
    for (const type of types) {
      let pages = 0;
      for (const folio of this.lists[type]) {
        if (this.typeOf(folio) !== type) bug(`folio ${hex(folio)} stands on the other list than its flags say, ${hex(folios.flags(folio))}`);
        pages += folios.nrPages(folio);
      }
      if (pages !== this.lists[type].nrPages) bug(`a list of ${this.group.path} has ${pages} pages, ${this.lists[type].nrPages} are counted`);
      const aside = [...this.aside].filter((folio) => this.typeOf(folio) === type);
      if (aside.some((folio) => !folios.test(folio, FolioFlag.Lru))) bug(`a folio of ${this.group.path} is set aside and on no list`);
      if (aside.reduce((sum, folio) => sum + folios.nrPages(folio), 0) !== this.asidePages[type]) bug(`${this.asidePages[type]} pages of ${this.group.path} are said to be set aside`);
    }
  }
  /** What the policy keeps is its own; that it is the same after the same calls is all that can be asked of it. */
  hash(into: StateHash): void {
    for (const list of this.lists) into.numbers(list);
    into.int32s(this.random.state);
    this.numbers.hash(into);
  }
}
const arrivals: Readonly<Record<LruAdd, Arrival>> = { [LruAdd.New]: 'new', [LruAdd.PutBack]: 'kept', [LruAdd.Rotate]: 'written', [LruAdd.Moved]: 'moved', [LruAdd.Split]: 'moved' };
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!;

interface Shared { readonly seed: number; readonly numbers: PageNumbers; readonly uses: UseReader | null }
/** The kind of lruvec that runs a policy. @param seed of what is random to it @param recorded what an earlier run used, for a policy that asks */
export function chosen(name: string, make: ReclaimPolicyMaker, seed: number, recorded: RecordedUses | null = null): LruvecKind {
  const shared: Shared = { seed, numbers: new PageNumbers(), uses: recorded === null ? null : new UseReader(recorded) };
  return { name, create: (group) => new ChosenLruvec(group, name, make, shared) };
}
