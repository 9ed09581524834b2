// Reclaim: pages of files that are in memory for speed alone make room. Here: which folios go, by a second chance on two lists; kswapd's and direct
// reclaim's loops. Not here: the lists (lru.ts), who is short of memory (pressure.ts, page-alloc.ts).
// Mirrors shrink_lruvec(), shrink_active_list(), shrink_folio_list() and folio_check_references() (mm/vmscan.c), 6.18, for files of disks.
//
// Left out: anonymous and shared memory, which has nowhere to go without swap; refault distances; cgroups. Dirty folios are the flusher's, which
// is woken when it meets them: reclaim never writes by itself, as Linux has not since 6.16.
import type { Folio } from '#base';
import { Pte } from '#mmu';
import { VmItem } from './events.ts';
import { FolioFlag } from './folio.ts';
import { Lru } from './lru.ts';
import { mappingsOf } from './rmap-walk.ts';
import type { MmSystem } from './system.ts';
import { VmFlag } from './vma.ts';
import { WbReason } from './writeback.ts';

/** Where it begins: a list is looked at by its 2^-12th part. */
const DEF_PRIORITY = 12;
/** Folios looked at in one go, and pages that direct reclaim wants: SWAP_CLUSTER_MAX. */
const CLUSTER = 32;
const GIB_PAGES = 2 ** 18;

/** What becomes of a folio that is looked at. */
type Verdict = 'reclaim' | 'keep' | 'activate';

export class Vmscan {
  private readonly system: MmSystem;
  constructor(system: MmSystem) {
    this.system = system;
  }

  /** Frees up to `goal` pages or a little more, looking at ever larger parts of the lists. @returns pages freed. Mirrors do_try_to_free_pages() and
   *  balance_pgdat()'s inner loop */
  shrink(goal: number, by: 'direct' | 'kswapd'): number {
    let freed = 0;
    for (let priority = DEF_PRIORITY; priority >= 0 && freed < goal; priority--) freed += this.shrinkLists(priority, goal - freed, by);
    return freed;
  }
  /** One priority. Mirrors shrink_lruvec(). */
  private shrinkLists(priority: number, goal: number, by: 'direct' | 'kswapd'): number {
    const { lru } = this.system;
    let inactive = Math.floor(lru.pages(Lru.InactiveFile) / 2 ** priority);
    let active = Math.floor(lru.pages(Lru.ActiveFile) / 2 ** priority);
    let freed = 0;
    while (freed < goal && (inactive > 0 || active > 0)) {
      if (active > 0) {
        if (this.isInactiveLow()) this.shrinkActive(Math.min(active, CLUSTER));
        active -= CLUSTER;
      }
      if (inactive > 0) {
        freed += this.shrinkInactive(Math.min(inactive, CLUSTER), by);
        inactive -= CLUSTER;
      }
    }
    return freed;
  }
  /** Is the inactive list too short to tell who is used twice? inactive_is_low(). */
  private isInactiveLow(): boolean {
    const { lru } = this.system;
    const [inactive, active] = [lru.pages(Lru.InactiveFile), lru.pages(Lru.ActiveFile)];
    const gib = Math.floor((inactive + active) / GIB_PAGES);
    return inactive * (gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1) < active;
  }

  /** The oldest active folios become inactive, but for pages of programs that were executed since. Mirrors shrink_active_list(). */
  private shrinkActive(nrToScan: number): void {
    const { system } = this;
    const { folios, lru, vmstat } = system;
    for (let scanned = 0; scanned < nrToScan; ) {
      const folio = lru.tail(Lru.ActiveFile);
      if (folio === 0) return;
      const nr = folios.nrPages(folio);
      scanned += nr;
      vmstat.add(VmItem.pgrefill, nr);
      const { used, executable } = this.references(folio);
      if (used > 0 && executable) {
        lru.move(folio, true);
        continue;
      }
      lru.move(folio, false);
      folios.set(folio, FolioFlag.Workingset);
      vmstat.add(VmItem.pgdeactivate, nr);
    }
  }

  /** The oldest inactive folios go, or get another chance. Mirrors shrink_inactive_list() and shrink_folio_list(). @returns pages freed */
  private shrinkInactive(nrToScan: number, by: 'direct' | 'kswapd'): number {
    const { system } = this;
    const { folios, lru, vmstat } = system;
    let freed = 0;
    let dirty = 0;
    let scanned = 0;
    while (scanned < nrToScan) {
      const folio = lru.tail(Lru.InactiveFile);
      if (folio === 0) break;
      const nr = folios.nrPages(folio);
      scanned += nr;
      const verdict = this.judge(folio);
      if (folios.test(folio, FolioFlag.Dirty)) dirty += nr;
      if (verdict === 'reclaim' && this.free(folio)) freed += nr;
      else if (verdict === 'activate') {
        lru.move(folio, true);
        vmstat.add(VmItem.pgactivate, nr);
      } else lru.move(folio, false);
    }
    vmstat.add(by === 'direct' ? VmItem.pgscan_direct : VmItem.pgscan_kswapd, scanned);
    vmstat.add(VmItem.pgscan_file, scanned);
    vmstat.add(by === 'direct' ? VmItem.pgsteal_direct : VmItem.pgsteal_kswapd, freed);
    vmstat.add(VmItem.pgsteal_file, freed);
    if (dirty > 0) system.writeback.wake(WbReason.Vmscan, dirty);
    return freed;
  }
  /** folio_check_references(), after what cannot go now. */
  private judge(folio: Folio): Verdict {
    const { folios, waits } = this.system;
    if (waits.isLocked(folio)) return 'keep';
    if (folios.test(folio, FolioFlag.Mlocked)) return 'activate';
    const { used, executable } = this.references(folio);
    const wasReferenced = folios.test(folio, FolioFlag.Referenced);
    folios.clear(folio, FolioFlag.Referenced);
    if (used > 0) {
      folios.set(folio, FolioFlag.Referenced);
      return wasReferenced || used > 1 || executable ? 'activate' : 'keep';
    }
    return folios.test(folio, FolioFlag.Dirty | FolioFlag.Writeback) ? 'activate' : 'reclaim';
  }
  /** Entries through which the folio was used since the last look, which begins anew: of a folded run any of its bits counts for all. No fence:
   *  a translation that a TLB still holds goes unseen, as on Linux. Mirrors folio_referenced(). */
  private references(folio: Folio): { used: number; executable: boolean } {
    let used = 0;
    let executable = false;
    const { system } = this;
    for (const { mm, vma, vpn, nr, kind, low } of system.folios.folioMapcount(folio) > 0 ? mappingsOf(system, folio) : []) {
      if ((low & Pte.A) === 0 || vma.has(VmFlag.SeqRead | VmFlag.RandRead)) continue;
      used++;
      executable ||= vma.has(VmFlag.Exec);
      if (kind === 'pmd') mm.tables.setPmdLeaf(vpn, low & ~Pte.A);
      else if (kind === 'pte') mm.tables.setUnit(vpn, low & ~Pte.A, 1);
      else if (vpn % 16 === 0 && nr === 16) mm.tables.setUnit(vpn, low & ~Pte.A, 16);
    }
    return { used, executable };
  }
  /** Takes a clean folio out of all mappings and of its file. @returns false: somebody else holds it. Mirrors the end of shrink_folio_list() */
  private free(folio: Folio): boolean {
    const { folios, waits, addressSpaces } = this.system;
    const space = addressSpaces.get(folios.mapping(folio));
    const nr = folios.nrPages(folio);
    const state = folios.test(folio, FolioFlag.Private) ? 1 : 0;
    if (space === undefined || space.ops === null || folios.refCount(folio) !== folios.folioMapcount(folio) + nr + state || !waits.tryLock(folio)) return false;
    const index = folios.index(folio);
    if (folios.folioMapcount(folio) > 0) space.unmapPages(index, index + nr, false);
    // An entry may have been written through without the folio's knowing.
    const goes = !folios.test(folio, FolioFlag.Dirty) && (state === 0 || space.ops.releaseFolio(folio)) && folios.refCount(folio) === nr;
    waits.unlock(folio);
    if (goes) space.removeFolio(folio);
    return goes;
  }
}
