// The two-list policy: what was used lately apart from what was not, for anonymous memory and for files. Here: the lists and who moves between
// them, the balance of the two kinds, one pass of reclaim. Not here: how a folio goes (shrink.ts), refault distances (workingset.ts).
// Mirrors shrink_lruvec(), get_scan_count(), shrink_active_list() and shrink_inactive_list() (mm/vmscan.c), lru_note_cost() and
// folio_mark_accessed() (mm/swap.c), 6.18.
//
//   active      head [ . . . . . . . ] tail --- not used since the last look ---+        anonymous memory begins at the inactive list's head,
//                 ^                                                              v       too, and what comes back soon after it was evicted at
//                 +-- used twice --  inactive   head [ . . . . . . . ] tail --- taken    the active list's
//
// Counts are base pages; a large folio is one entry.
import { bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem, mmLruActivate, mmLruInsertion, mmVmscanLruIsolate, mmVmscanLruShrinkActive, mmVmscanLruShrinkInactive } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import { WbReason } from '../writeback.ts';
import { FolioList } from './folio-list.ts';
import { LruAdd, LruType } from './lruvec.ts';
import type { LruDescription, Lruvec, LruvecKind, Shadow } from './lruvec.ts';
import { folioReferenced } from './referenced.ts';
import { MAX_SWAPPINESS, SWAPPINESS_ANON_ONLY, SWAP_CLUSTER_MAX, DEF_PRIORITY, Verdict, newReclaimStat } from './scan.ts';
import type { References, ScanControl } from './scan.ts';
import { shrinkFolioList } from './shrink.ts';
import { activateItem, ageNonresident, refaultItem, restoreItem, workingsetEviction, workingsetRecent } from './workingset.ts';
import type { ListSizes, NonresidentClock } from './workingset.ts';

/** enum lru_list: type * 2 + active. */
const listNames = ['inactive_anon', 'active_anon', 'inactive_file', 'active_file'] as const;
const ACTIVE = 1;
const GIB_PAGES = 2 ** 18;
const types = [LruType.Anon, LruType.File] as const;

export class TwoListLruvec implements Lruvec, NonresidentClock {
  readonly policy = 'two-list';
  readonly group: MemCgroup;
  nonresidentAge = 0;
  /** What reclaim of each kind has cost of late, by LruType: a page written out, or read in again after all, counts 32, one that was kept counts one. */
  readonly cost: [number, number] = [0, 0];
  private readonly system: MmSystem;
  private readonly lists: readonly FolioList[];
  /** workingset_activate_* when reclaim of this group last ended, by LruType: snapshot_refaults(). */
  private readonly activatedThen: [number, number] = [0, 0];
  /** Of this group's own folios. */
  private readonly activated: [number, number] = [0, 0];
  /** What the kernel's own heuristics know of the group and those below it: taken every two seconds. */
  private view: GroupView = { inactiveAnon: 0, activeAnon: 0, inactiveFile: 0, activeFile: 0, activated: [0, 0] };
  private viewedAt = -1;

  constructor(group: MemCgroup) {
    this.group = group;
    this.system = group.system;
    this.lists = listNames.map(() => new FolioList(this.system.lru.links));
  }
  private listOf(folio: Folio): number {
    const { folios } = this.system;
    return (folios.isFileLru(folio) ? 2 : 0) + (folios.test(folio, FolioFlag.Active) ? ACTIVE : 0);
  }
  add(folio: Folio, how: LruAdd, _isFault: boolean, behind?: Folio): void {
    const list = this.listOf(folio);
    const nr = this.system.folios.nrPages(folio);
    if (behind !== undefined) this.lists[list]!.addBehind(folio, behind, nr);
    else if (how === LruAdd.Rotate) this.lists[list]!.addTail(folio, nr);
    else this.lists[list]!.addHead(folio, nr);
    if (mmLruInsertion.enabled && how === LruAdd.New) mmLruInsertion.emit(folio, list);
  }
  remove(folio: Folio): void {
    this.lists[this.listOf(folio)]!.remove(folio, this.system.folios.nrPages(folio));
  }

  // Use.

  /** Seen once, then referenced, then active. */
  markAccessed(folio: Folio): void {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Referenced)) {
      folios.set(folio, FolioFlag.Referenced);
      return;
    }
    if (folios.test(folio, FolioFlag.Active)) return;
    if (folios.test(folio, FolioFlag.Lru)) this.activate(folio);
    else folios.set(folio, FolioFlag.Active);
    folios.clear(folio, FolioFlag.Referenced);
    ageNonresident(this.group, clockOf, folios.nrPages(folio));
  }
  activate(folio: Folio): void {
    const { folios, memcg } = this.system;
    if (folios.test(folio, FolioFlag.Active)) return;
    this.remove(folio);
    folios.set(folio, FolioFlag.Active);
    this.add(folio, LruAdd.Moved, false);
    memcg.countFolio(folio, VmItem.pgactivate, folios.nrPages(folio));
    if (mmLruActivate.enabled) mmLruActivate.emit(folio);
  }
  /** lru_deactivate(): to the inactive list's head, as if never used. */
  deactivate(folio: Folio): void {
    const { folios, memcg } = this.system;
    if (!folios.test(folio, FolioFlag.Active)) return;
    this.remove(folio);
    folios.clear(folio, FolioFlag.Active | FolioFlag.Referenced);
    this.add(folio, LruAdd.Moved, false);
    memcg.countFolio(folio, VmItem.pgdeactivate, folios.nrPages(folio));
  }
  judge(folio: Folio, { ptes, isExec, isLocked }: References): Verdict {
    const { folios } = this.system;
    const wasReferenced = folios.test(folio, FolioFlag.Referenced);
    folios.clear(folio, FolioFlag.Referenced);
    if (isLocked) return Verdict.Activate;
    if (ptes > 0) {
      folios.set(folio, FolioFlag.Referenced);
      if (wasReferenced || ptes > 1) return Verdict.Activate;
      return isExec && folios.isFileLru(folio) ? Verdict.Activate : Verdict.Keep;
    }
    return wasReferenced && folios.isFileLru(folio) ? Verdict.ReclaimClean : Verdict.Reclaim;
  }

  // What comes back.

  evicted(folio: Folio, target: MemCgroup | null): Shadow {
    return workingsetEviction(this.system, folio, target, clockOf);
  }
  refault(folio: Folio, shadow: Shadow): void {
    const { folios, memcg } = this.system;
    const isFile = folios.isFileLru(folio);
    const nr = folios.nrPages(folio);
    memcg.countFolio(folio, refaultItem(isFile), nr);
    const { isRecent, isWorkingset } = workingsetRecent(this.system, shadow, isFile, clockOf, viewOf);
    if (!isRecent) return;
    folios.set(folio, FolioFlag.Active);
    ageNonresident(this.group, clockOf, nr);
    memcg.countFolio(folio, activateItem(isFile), nr);
    this.activated[isFile ? LruType.File : LruType.Anon] += nr;
    if (!isWorkingset) return;
    folios.set(folio, FolioFlag.Workingset);
    this.noteCost(isFile ? LruType.File : LruType.Anon, nr, 0);
    memcg.countFolio(folio, restoreItem(isFile), nr);
  }
  isRecent(shadow: Shadow, isFile: boolean): boolean {
    return workingsetRecent(this.system, shadow, isFile, clockOf, viewOf).isRecent;
  }
  /** lru_note_cost(): for this group and those above. @param io pages written or read @param rotated pages that were looked at and kept */
  private noteCost(type: LruType, io: number, rotated: number): void {
    const cost = io * SWAP_CLUSTER_MAX + rotated;
    if (cost === 0) return;
    for (let at: MemCgroup | null = this.group; at !== null; at = at.parent) {
      const lruvec = clockOf(at);
      lruvec.cost[type] += cost;
      const { inactiveAnon, activeAnon, inactiveFile, activeFile } = sizesOf(at);
      if (lruvec.cost[0] + lruvec.cost[1] > (inactiveAnon + activeAnon + inactiveFile + activeFile) / 4) {
        lruvec.cost[0] = Math.floor(lruvec.cost[0] / 2);
        lruvec.cost[1] = Math.floor(lruvec.cost[1] / 2);
      }
    }
  }

  // One pass.

  shrink(sc: ScanControl): void {
    const targets = this.scanCounts(sc);
    const left = [...targets];
    const isProportional = sc.target === null && sc.by !== 'kswapd' && sc.priority === DEF_PRIORITY;
    let reclaimed = 0;
    while (left[0]! > 0 || left[2]! > 0 || left[3]! > 0) {
      for (let list = 0; list < 4; list++) {
        const nr = Math.min(left[list]!, SWAP_CLUSTER_MAX);
        if (nr === 0) continue;
        left[list]! -= nr;
        reclaimed += this.shrinkList(list, nr, sc);
      }
      if (reclaimed < sc.nrToReclaim || isProportional) continue;
      // Enough: the smaller kind is let off, and the larger one looked at as much as the other was, in proportion.
      const nrAnon = left[0]! + left[1]!;
      const nrFile = left[2]! + left[3]!;
      if (nrAnon === 0 || nrFile === 0) break;
      const small = nrFile > nrAnon ? 0 : 2;
      const percentage = Math.floor(((small === 0 ? nrAnon : nrFile) * 100) / (targets[small]! + targets[small + ACTIVE]! + 1));
      left[small] = left[small + ACTIVE] = 0;
      for (const list of [2 - small, 2 - small + ACTIVE]) {
        const scanned = targets[list]! - left[list]!;
        left[list] = Math.floor((targets[list]! * (100 - percentage)) / 100);
        left[list]! -= Math.min(left[list]!, scanned);
      }
    }
    sc.nrReclaimed += reclaimed;
    if (this.canAgeAnon() && this.isInactiveLow(LruType.Anon)) this.shrinkActive(1, SWAP_CLUSTER_MAX, sc);
  }
  age(sc: ScanControl): void {
    if (this.canAgeAnon() && this.isInactiveLow(LruType.Anon)) this.shrinkActive(1, SWAP_CLUSTER_MAX, sc);
  }
  /** can_age_anon_pages(): does it make sense to tell old from young where nothing can be swapped? */
  private canAgeAnon(): boolean {
    return this.system.swap.totalPages > 0;
  }
  private shrinkList(list: number, nr: number, sc: ScanControl): number {
    if ((list & ACTIVE) === 0) return this.shrinkInactive(list, nr, sc);
    if (list > 1 ? sc.mayDeactivateFile : sc.mayDeactivateAnon) this.shrinkActive(list, nr, sc);
    else sc.skippedDeactivate = true;
    return 0;
  }
  /** Pages to look at, by list. get_scan_count() */
  private scanCounts(sc: ScanControl): number[] {
    const { swap } = this.system;
    let which: 'anon' | 'file' | 'equal' | 'fraction';
    let fractions: readonly [number, number] = [1, 1];
    if (!sc.maySwap || swap.freePagesFor(this.group) <= 0) which = 'file';
    else if (sc.target !== null && sc.swappiness === 0) which = 'file';
    else if (sc.swappiness === SWAPPINESS_ANON_ONLY) which = 'anon';
    else if (sc.priority === 0 && sc.swappiness > 0) which = 'equal';
    else if (sc.fileIsTiny) which = 'anon';
    else if (sc.cacheTrimMode) which = 'file';
    else {
      which = 'fraction';
      fractions = this.pressureBalance(sc);
    }
    return this.lists.map((_, list) => {
      const type = list > 1 ? LruType.File : LruType.Anon;
      const scan = applyProportionalProtection(this.group, this.lists[list]!.nrPages, sc) / 2 ** sc.priority;
      const whole = Math.floor(scan);
      if (which === 'equal') return whole;
      if (which === 'fraction') return Math.floor((whole * fractions[type]) / (fractions[0] + fractions[1]));
      return (which === 'file') === (type === LruType.File) ? whole : 0;
    });
  }
  /** How much of the pressure goes to each kind. calculate_pressure_balance() */
  private pressureBalance(sc: ScanControl): readonly [number, number] {
    const lruvec = clockOf(sc.target ?? this.system.memcg.root);
    const both = lruvec.cost[0] + lruvec.cost[1];
    const anonCost = both + lruvec.cost[0];
    const fileCost = both + lruvec.cost[1];
    const total = anonCost + fileCost;
    return [Math.floor((sc.swappiness * (total + 1)) / (anonCost + 1)), Math.floor(((MAX_SWAPPINESS - sc.swappiness) * (total + 1)) / (fileCost + 1))];
  }
  /** Is the inactive list too short to tell who is used twice? inactive_is_low() */
  private isInactiveLow(type: LruType): boolean {
    const view = this.seen;
    return type === LruType.Anon ? isLow(view.inactiveAnon, view.activeAnon) : isLow(view.inactiveFile, view.activeFile);
  }

  /** The oldest active folios become inactive, but for pages of programs that were executed since. */
  private shrinkActive(list: number, nrToScan: number, sc: ScanControl): void {
    const { folios, vmstat, machine, params } = this.system;
    const from = this.lists[list]!;
    const { taken, scanned } = this.isolate(from, nrToScan, list, sc);
    const pgrefill = scanned;
    if (sc.target === null) vmstat.add(VmItem.pgrefill, pgrefill);
    this.group.count(VmItem.pgrefill, pgrefill);
    let rotated = 0;
    let deactivated = 0;
    for (const folio of taken) {
      machine.charge(params.cost.lru_scan);
      const nr = folios.nrPages(folio);
      const { ptes, isExec } = folioReferenced(this.system, folio, this, sc);
      if (ptes > 0 && isExec && folios.isFileLru(folio)) {
        rotated += nr;
        this.system.lru.putBack(folio);
        continue;
      }
      folios.clear(folio, FolioFlag.Active);
      folios.set(folio, FolioFlag.Workingset);
      deactivated += nr;
      this.system.lru.putBack(folio);
    }
    vmstat.add(VmItem.pgdeactivate, deactivated);
    this.group.count(VmItem.pgdeactivate, deactivated);
    this.noteCost(list > 1 ? LruType.File : LruType.Anon, 0, rotated);
    if (mmVmscanLruShrinkActive.enabled) mmVmscanLruShrinkActive.emit(0, rotated + deactivated, rotated, deactivated, rotated, sc.priority, list > 1 ? 2 : 1);
  }
  /** Takes folios off the tail. isolate_lru_folios() */
  private isolate(from: FolioList, nrToScan: number, list: number, sc: ScanControl): { taken: Folio[]; scanned: number; pages: number } {
    const { folios, lru } = this.system;
    const taken: Folio[] = [];
    let scanned = 0;
    let pages = 0;
    let skipped = 0;
    for (let at = from.tail; at !== 0 && scanned < nrToScan; ) {
      const folio = at;
      at = from.younger(folio);
      const nr = folios.nrPages(folio);
      scanned += nr;
      if (!sc.mayUnmap && folios.folioMapcount(folio) > 0) {
        skipped += nr;
        from.remove(folio, nr);
        from.addHead(folio, nr);
        continue;
      }
      lru.isolate(folio);
      pages += nr;
      taken.push(folio);
    }
    if (mmVmscanLruIsolate.enabled) mmVmscanLruIsolate.emit(0, sc.order, nrToScan, scanned, skipped, pages, list);
    return { taken, scanned, pages };
  }
  /** The oldest inactive folios go, or get another chance. @returns pages freed */
  private shrinkInactive(list: number, nrToScan: number, sc: ScanControl): number {
    const { system } = this;
    const type = list > 1 ? LruType.File : LruType.Anon;
    const { taken, scanned, pages } = this.isolate(this.lists[list]!, nrToScan, list, sc);
    system.vmscan.countScan(this.group, type, sc, scanned);
    if (taken.length === 0) return 0;
    const stat = newReclaimStat();
    const reclaimed = shrinkFolioList(system, this, taken, sc, stat, false);
    for (const folio of taken) system.lru.putBack(folio);
    system.vmscan.countSteal(this.group, type, sc, reclaimed);
    this.noteCost(type, stat.pageout, scanned - reclaimed);
    if (stat.unqueuedDirty === pages) system.writeback.wake(WbReason.Vmscan);
    stat.taken = pages;
    if (type === LruType.File) stat.fileTaken = pages;
    for (const key of ['dirty', 'congested', 'unqueuedDirty', 'writeback', 'immediate', 'taken', 'fileTaken'] as const) sc.nr[key] += stat[key];
    if (mmVmscanLruShrinkInactive.enabled) {
      mmVmscanLruShrinkInactive.emit(0, scanned, reclaimed, stat.dirty, stat.writeback, stat.congested, stat.immediate, stat.activateAnon, stat.activateFile, stat.refKeep, stat.unmapFail, sc.priority, type === LruType.File ? 2 : 1);
    }
    return reclaimed;
  }

  // What the driver asks, of the group whose limit or memory it works for: prepare_scan_control(), snapshot_refaults().

  /** Whether active folios may be made inactive, and whether files alone would do, or will not do at all. */
  prepare(sc: ScanControl): void {
    const { pages } = this.system;
    const sizes = this.seen;
    const now = sizes.activated;
    sc.mayDeactivateAnon = sc.forceDeactivate || now[0] !== this.activatedThen[0] || isLow(sizes.inactiveAnon, sizes.activeAnon);
    sc.mayDeactivateFile = sc.forceDeactivate || now[1] !== this.activatedThen[1] || isLow(sizes.inactiveFile, sizes.activeFile);
    sc.cacheTrimMode = sizes.inactiveFile >> sc.priority > 0 && !sc.mayDeactivateFile;
    const { high } = pages.watermarks;
    sc.fileIsTiny = sc.target === null && sizes.inactiveFile + sizes.activeFile + pages.freePagesAndStock <= high && !sc.mayDeactivateAnon && sizes.inactiveAnon >> sc.priority > 0;
  }
  snapshot(): void {
    const now = this.seen.activated;
    this.activatedThen[0] = now[0];
    this.activatedThen[1] = now[1];
  }
  /** The statistics of groups are summed up by a worker, every two seconds; reclaim and refaults look at what that has found, and no further.
   *  mem_cgroup_flush_stats_ratelimited() */
  get seen(): GroupView {
    const { machine, params } = this.system;
    const interval = params.vm.memcg_flush_interval * 1e6;
    const tick = interval === 0 ? machine.clockCycles : Math.floor(machine.clockCycles / interval);
    if (tick === this.viewedAt) return this.view;
    // At boot there is nothing to be seen yet.
    if (this.viewedAt >= 0 || interval === 0) this.view = { ...sizesOf(this.group), activated: [...activatedOf(this.group)] };
    this.viewedAt = tick;
    return this.view;
  }
  get activatedPages(): readonly [number, number] {
    return this.activated;
  }

  // For those who look.

  pages(type: LruType): number {
    return this.lists[type * 2]!.nrPages + this.lists[type * 2 + ACTIVE]!.nrPages;
  }
  activePages(type: LruType): number {
    return this.lists[type * 2 + ACTIVE]!.nrPages;
  }
  get listSizes(): ListSizes {
    const [a, b, c, d] = this.lists;
    return { inactiveAnon: a!.nrPages, activeAnon: b!.nrPages, inactiveFile: c!.nrPages, activeFile: d!.nrPages };
  }
  * all(type: LruType): Generator<Folio> {
    yield* this.lists[type * 2]!;
    yield* this.lists[type * 2 + ACTIVE]!;
  }
  describe(): LruDescription[] {
    return [0, ACTIVE].map((active) => ({
      name: active === 0 ? 'inactive' : 'active', ageMs: null, anonPages: this.lists[active]!.nrPages, anonFolios: this.lists[active]!.nrFolios,
      filePages: this.lists[2 + active]!.nrPages, fileFolios: this.lists[2 + active]!.nrFolios,
    }));
  }
  standing(folio: Folio): string {
    return `${listNames[this.listOf(folio)]!}${this.system.folios.test(folio, FolioFlag.Referenced) ? ', referenced' : ''}`;
  }
  check(): void {
    const { folios } = this.system;
    for (const [list, name] of listNames.entries()) {
      let pages = 0;
      for (const folio of this.lists[list]!) {
        if (this.listOf(folio) !== list) bug(`folio ${hex(folio)} stands on ${name} with flags ${hex(folios.flags(folio))}`);
        pages += folios.nrPages(folio);
      }
      if (pages !== this.lists[list]!.nrPages) bug(`${name} of ${this.group.path} has ${pages} pages, ${this.lists[list]!.nrPages} are counted`);
    }
  }
  hash(into: StateHash): void {
    into.numbers([this.viewedAt, this.view.activeAnon, this.view.inactiveAnon, this.view.activeFile, this.view.inactiveFile, ...this.view.activated]);
    into.numbers([this.nonresidentAge, ...this.cost, ...this.activatedThen, ...this.activated]);
    for (const list of this.lists) into.numbers(list);
  }
}
/** Pages of a group without what memory.min and memory.low keep back: apply_proportional_protection(). */
export function applyProportionalProtection(group: MemCgroup, pages: number, sc: ScanControl): number {
  const { usage, min, low } = group;
  const protection = sc.memcgLowReclaim ? min : Math.max(min, low);
  if (protection === 0 || sc.target === group) return pages;
  const kept = Math.floor((pages * Math.min(protection, usage)) / (usage + 1));
  if (!sc.memcgLowReclaim && low > min) sc.memcgLowSkipped = true;
  return Math.max(pages - kept, SWAP_CLUSTER_MAX);
}
function isLow(inactive: number, active: number): boolean {
  const gib = Math.floor((inactive + active) / GIB_PAGES);
  return inactive * (gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1) < active;
}
interface GroupView extends ListSizes { readonly activated: readonly [number, number] }
const viewOf = (group: MemCgroup): ListSizes => clockOf(group).seen;
const clockOf = (group: MemCgroup): TwoListLruvec => group.lruvec as TwoListLruvec;
/** The lists of a group and of those below it. */
function sizesOf(group: MemCgroup): ListSizes {
  const own = clockOf(group).listSizes;
  if (!group.isRoot) return own;
  const sum = { ...own };
  for (const other of group.system.memcg) {
    if (other === group) continue;
    const { inactiveAnon, activeAnon, inactiveFile, activeFile } = clockOf(other).listSizes;
    sum.inactiveAnon += inactiveAnon;
    sum.activeAnon += activeAnon;
    sum.inactiveFile += inactiveFile;
    sum.activeFile += activeFile;
  }
  return sum;
}
function activatedOf(group: MemCgroup): readonly [number, number] {
  if (!group.isRoot) return clockOf(group).activatedPages;
  const sum: [number, number] = [0, 0];
  for (const other of group.system.memcg) for (const type of types) sum[type] += clockOf(other).activatedPages[type];
  return sum;
}
export const twoList: LruvecKind = { name: 'two-list', create: (group) => new TwoListLruvec(group) };
