// The lists that reclaim works on, for all groups: the one door through which folios come to them and go. Here: which lruvec, flags, isolation,
// what is unevictable, changing the policy. Not here: how a policy orders its folios (two-list.ts, lru-gen.ts, chosen.ts), what is
// taken from them (vmscan.ts). Mirrors mm/swap.c and the lruvec half of mm/mmzone.h, 6.18. Linux stages additions in batches of
// 31 a processor; here each is made at once.
import { bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { VmItem } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MmSystem } from '../system.ts';
import { EvictionLog } from './eviction-record.ts';
import { FolioLinks } from './folio-list.ts';
import { LruAdd, LruType } from './lruvec.ts';
import type { Lruvec, LruvecKind, Shadow } from './lruvec.ts';
import { twoList } from './two-list.ts';

export class LruLists {
  private readonly system: MmSystem;
  /** The policy in force. */
  kind: LruvecKind = twoList;
  /** What the user's policy answered first that it must not (chosen.ts); null: nothing. Whoever runs the kernel is to stop and say so. */
  policyFailure: string | null = null;
  /** A fault is under way, and use through its VMA counts: lru_gen_in_fault(). */
  inFault = false;
  readonly links: FolioLinks;
  /** What went, and why: recorded while somebody asks. */
  readonly evictions: EvictionLog;
  private unevictable = 0;

  constructor(system: MmSystem) {
    this.system = system;
    this.evictions = new EvictionLog(system);
    this.links = new FolioLinks(system.folios.firstPfn, system.folios.nrFrames);
    system.vmstat.beforeRead = () => { this.showGauges(); };
  }
  lruvecOf(folio: Folio): Lruvec {
    return this.system.memcg.of(folio).lruvec;
  }
  private isUnevictable(folio: Folio): boolean {
    return this.system.folios.test(folio, FolioFlag.Mlocked | FolioFlag.Unevictable);
  }

  /** A folio is new to the lists. folio_add_lru() */
  addNew(folio: Folio): void {
    this.add(folio, LruAdd.New);
  }
  private add(folio: Folio, how: LruAdd, behind?: Folio): void {
    const { folios } = this.system;
    if (folios.test(folio, FolioFlag.Lru)) bug(`folio ${hex(folio)} is on a list already`);
    if (this.isUnevictable(folio)) {
      folios.clear(folio, FolioFlag.Active);
      folios.set(folio, FolioFlag.Lru | FolioFlag.Unevictable);
      this.unevictable += folios.nrPages(folio);
      return;
    }
    this.lruvecOf(folio).add(folio, how, how === LruAdd.New && this.inFault && !this.system.vmscan.isRunning, behind);
    folios.set(folio, FolioFlag.Lru);
  }
  /** Takes a folio off its list, if it is on one. */
  remove(folio: Folio): void {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Lru)) return;
    folios.clear(folio, FolioFlag.Lru);
    if (folios.test(folio, FolioFlag.Unevictable)) this.unevictable -= folios.nrPages(folio);
    else this.lruvecOf(folio).remove(folio);
  }
  /** Takes it off, with a reference, so that it can be worked on. @returns false: it is on no list. folio_isolate_lru() */
  isolate(folio: Folio): boolean {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Lru)) return false;
    folios.get(folio);
    if (this.evictions.isOn && this.isListed(folio)) this.evictions.isolated(folio);
    this.remove(folio);
    return true;
  }
  /** Puts back what was isolated; the reference goes, and with the last one the folio. folio_putback_lru() */
  putBack(folio: Folio, how: LruAdd = LruAdd.PutBack): void {
    const { folios } = this.system;
    if (folios.refCount(folio) > 1) {
      this.add(folio, how);
      if (this.evictions.isOn) this.evictions.putBack(folio);
    }
    this.system.putFolio(folio);
  }
  /** Something about the folio changes by which its place is chosen (SwapBacked, Mlocked, group): off, change, on. */
  change(folio: Folio, change: () => void, how: LruAdd = LruAdd.Moved): void {
    const wasListed = this.system.folios.test(folio, FolioFlag.Lru);
    if (wasListed) this.remove(folio);
    change();
    if (wasListed) this.add(folio, how);
  }
  /** Takes a folio off for a moment, to be split or moved: what came after it on its list is where its successors go. null: it is on none. */
  suspend(folio: Folio): { readonly behind: Folio | 0 } | null {
    const { folios } = this.system;
    if (!folios.test(folio, FolioFlag.Lru)) return null;
    const behind = this.isListed(folio) ? (this.links.towardsHead[folio - this.links.first]! as Folio | 0) : 0;
    this.remove(folio);
    return { behind };
  }
  /** A piece of a split folio, or one that was moved, takes its place. lru_add_split_folio() */
  resume(folio: Folio, { behind }: { readonly behind: Folio | 0 }, how: LruAdd = LruAdd.Split): void {
    this.add(folio, how, behind === 0 ? undefined : behind);
  }

  /** A program has used the folio other than through a mapping. folio_mark_accessed() */
  markAccessed(folio: Folio): void {
    const { folios } = this.system;
    if (folios.test(folio, FolioFlag.Unevictable)) return;
    if (this.evictions.isOn) this.evictions.seen(folio, 'system call');
    this.lruvecOf(folio).markAccessed(folio);
  }
  activate(folio: Folio): void {
    if (this.isListed(folio)) this.lruvecOf(folio).activate(folio);
  }
  /** MADV_COLD. folio_deactivate() */
  deactivate(folio: Folio): void {
    if (this.isListed(folio)) this.lruvecOf(folio).deactivate(folio);
  }
  /** Is it on a list that reclaim looks at? */
  isListed(folio: Folio): boolean {
    const { folios } = this.system;
    return folios.test(folio, FolioFlag.Lru) && !folios.test(folio, FolioFlag.Unevictable);
  }
  /** MADV_FREE: what has no content worth keeping goes with the files. folio_mark_lazyfree() */
  lazyFree(folio: Folio): void {
    const { folios, memcg } = this.system;
    if (!folios.isAnon(folio) || !folios.test(folio, FolioFlag.SwapBacked) || folios.test(folio, FolioFlag.SwapCache | FolioFlag.Unevictable)) return;
    this.change(folio, () => {
      folios.clear(folio, FolioFlag.SwapBacked | FolioFlag.Active | FolioFlag.Referenced);
      folios.setLruWord(folio, 0);
    });
    memcg.countFolio(folio, VmItem.pglazyfree, folios.nrPages(folio));
  }
  /** Its writing, begun by reclaim, has ended: it is the next to go. folio_rotate_reclaimable() */
  rotate(folio: Folio): void {
    const { folios, vmstat } = this.system;
    if (!this.isListed(folio) || folios.test(folio, FolioFlag.Locked | FolioFlag.Dirty)) return;
    this.remove(folio);
    folios.clear(folio, FolioFlag.Active);
    this.add(folio, LruAdd.Rotate);
    vmstat.add(VmItem.pgrotated, folios.nrPages(folio));
  }

  /** It leaves its file or the swap cache by reclaim: what is remembered. workingset_eviction() */
  evicted(folio: Folio, target: Parameters<Lruvec['evicted']>[1]): Shadow {
    if (this.evictions.isOn) this.evictions.evicted(folio, target);
    return (target ?? this.system.memcg.root).lruvec.policy === this.kind.name ? this.lruvecOf(folio).evicted(folio, target) : 0;
  }
  refault(folio: Folio, shadow: Shadow): void {
    if (this.evictions.isOn) this.evictions.cameBack(folio);
    this.lruvecOf(folio).refault(folio, shadow);
  }

  /** From now on another policy has all folios. Their order is kept as far as it has one: oldest first. lru_gen_change_state() */
  setKind(kind: LruvecKind): void {
    const { memcg, folios } = this.system;
    this.kind = kind;
    for (const group of memcg) {
      const old = group.lruvec;
      const next = kind.create(group);
      for (const type of [LruType.Anon, LruType.File] as const) {
        for (const folio of [...old.all(type)]) {
          old.remove(folio);
          folios.setLruWord(folio, 0);
          next.add(folio, LruAdd.Moved, false);
        }
      }
      old.release?.();
      group.lruvec = next;
    }
  }

  /** Pages on all lists of a type. */
  pages(type: LruType): number {
    let pages = 0;
    for (const group of this.system.memcg) pages += group.lruvec.pages(type);
    return pages;
  }
  activePages(type: LruType): number {
    let pages = 0;
    for (const group of this.system.memcg) pages += group.lruvec.activePages(type);
    return pages;
  }
  get unevictablePages(): number {
    return this.unevictable;
  }
  private showGauges(): void {
    const { vmstat } = this.system;
    for (const type of [LruType.Anon, LruType.File] as const) {
      const active = this.activePages(type);
      vmstat.set(type === LruType.Anon ? VmItem.nr_active_anon : VmItem.nr_active_file, active);
      vmstat.set(type === LruType.Anon ? VmItem.nr_inactive_anon : VmItem.nr_inactive_file, this.pages(type) - active);
    }
    vmstat.set(VmItem.nr_unevictable, this.unevictable);
  }
  hash(into: StateHash): void {
    into.numbers([this.unevictable]);
  }
}
