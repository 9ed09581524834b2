// Migration: a folio's contents move to other frames, and every entry that mapped the old ones maps the new. Here: moving one folio, and a
// list of them, with what is counted. Not here: why, and where to (compaction.ts). Mirrors migrate_pages() (mm/migrate.c), 6.18.
// One move is one step that nothing interrupts (see migration-entries.ts), so that a folio moves or stays at the first try: what Linux tries
// up to ten times because somebody may be about to let go, fails at once here.
import { asPfn } from '#base';
import type { Folio } from '#base';
import { VmItem, mmMigratePages, mmMigratePagesStart } from './events.ts';
import { FolioFlag } from './folio.ts';
import { removeMigrationEntries, tryToMigrate } from './migration-entries.ts';
import { LruAdd } from './reclaim/lruvec.ts';
import { countMappings } from './rmap-walk.ts';
import { splitFolio } from './split.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER } from './thp.ts';

/** How long one may wait. Without I/O nobody waits, and the modes differ in what is looked at (compaction.ts). enum migrate_mode. */
export const MigrateMode = { Async: 0, SyncLight: 1, Sync: 2 } as const;
export type MigrateMode = (typeof MigrateMode)[keyof typeof MigrateMode];
/** enum migrate_reason, those that are asked for here. */
export const MigrateReason = { Compaction: 0 } as const;

/** succeeded and failed in pages, the rest in folios. thp: of 2 MiB. */
export interface MigrateStats { succeeded: number; failed: number; thpSucceeded: number; thpFailed: number; thpSplit: number; largeSplit: number }

/** Moves folios, each of which comes with one reference of the caller's: that reference is gone afterwards, whether the folio moved (and
 *  was freed) or not. A folio that has lost some of its pages is split first, and so is a large one for which there is no room; the pieces
 *  move one by one. @param getNew frames for a folio: a folio of its order and type with one reference; 0: there are none */
export function migratePages(system: MmSystem, list: readonly Folio[], getNew: (from: Folio) => Folio | 0, mode: MigrateMode, reason: number): MigrateStats {
  const { folios, vmstat } = system;
  const stats: MigrateStats = { succeeded: 0, failed: 0, thpSucceeded: 0, thpFailed: 0, thpSplit: 0, largeSplit: 0 };
  if (mmMigratePagesStart.enabled) mmMigratePagesStart.emit(mode, reason);
  const left = [...list].reverse();
  for (let from = left.pop(); from !== undefined; from = left.pop()) {
    const nr = folios.nrPages(from);
    const isThp = folios.order(from) === PMD_ORDER;
    if (nr > 2 && folios.test(from, FolioFlag.PartiallyMapped) && splitAside(system, from, left, stats)) continue;
    if (folios.refCount(from) === 1) {
      // Everybody else has let go of it: that does as well.
      stats.succeeded += nr;
      if (isThp) stats.thpSucceeded++;
      system.putFolio(from);
      continue;
    }
    if (isMigratable(system, from)) {
      const to = getNew(from);
      if (to === 0 && nr > 1 && splitAside(system, from, left, stats)) continue;
      if (to !== 0) {
        moveFolio(system, from, to);
        system.putFolio(to);
        stats.succeeded += nr;
        if (isThp) stats.thpSucceeded++;
        system.putFolio(from);
        continue;
      }
    }
    stats.failed += nr;
    if (isThp) stats.thpFailed++;
    system.putFolio(from);
  }
  vmstat.add(VmItem.pgmigrate_success, stats.succeeded);
  vmstat.add(VmItem.pgmigrate_fail, stats.failed);
  vmstat.add(VmItem.thp_migration_success, stats.thpSucceeded);
  vmstat.add(VmItem.thp_migration_fail, stats.thpFailed);
  vmstat.add(VmItem.thp_migration_split, stats.thpSplit);
  if (mmMigratePages.enabled) mmMigratePages.emit(stats.succeeded, stats.failed, stats.thpSucceeded, stats.thpFailed, stats.thpSplit, stats.largeSplit, mode, reason);
  return stats;
}

/** Splits the folio and puts its pieces on the list in its place. What nobody maps is freed by the split. */
function splitAside(system: MmSystem, folio: Folio, list: Folio[], stats: MigrateStats): boolean {
  const { folios } = system;
  const nr = folios.nrPages(folio);
  if (splitFolio(system, folio, 0, null, 'split-to-move') !== 0) return false;
  if (nr === 1 << PMD_ORDER) {
    stats.thpSplit++;
    stats.thpFailed++;
  }
  stats.largeSplit++;
  // The first piece has the caller's reference.
  for (let i = nr - 1; i > 0; i--) {
    const piece = folios.folioOf(asPfn(folio + i));
    if (folios.refCount(piece) === 0) continue;
    folios.get(piece);
    list.push(piece);
  }
  list.push(folio);
  return true;
}

/** Are its references the mappings', the page cache's and the caller's, and can all of the mappings be found? */
export function isMigratable(system: MmSystem, folio: Folio): boolean {
  const { folios } = system;
  const mapped = folios.folioMapcount(folio);
  // The page cache holds a reference for each page, and one for state that its back end keeps.
  const inCache = !folios.isAnon(folio) || folios.test(folio, FolioFlag.SwapCache);
  const cached = (inCache ? folios.nrPages(folio) : 0) + (folios.test(folio, FolioFlag.Private) ? 1 : 0);
  // What came in from swap and was not mapped since belongs nowhere yet but to the swap cache.
  const isSomebodys = folios.mapping(folio) !== 0 || folios.test(folio, FolioFlag.SwapCache);
  return isSomebodys && !folios.test(folio, FolioFlag.Writeback | FolioFlag.Locked) && folios.refCount(folio) === mapped + cached + 1
    && countMappings(system, folio) === mapped;
}

/** The old folio keeps the caller's reference and nothing else; the new one has what the old had, and its own. */
function moveFolio(system: MmSystem, from: Folio, to: Folio): void {
  const { folios } = system;
  const entries = tryToMigrate(system, from);
  for (let i = 0; i < folios.nrPages(from); i++) system.copyPage(asPfn(to + i), asPfn(from + i));
  const place = system.lru.suspend(from);
  // The frames are paid for already: the payment moves along.
  system.memcg.unchargeFolio(to);
  folios.moveState(from, to);
  system.deferredSplit.replace(from, to);
  const space = folios.isAnon(to) ? undefined : system.addressSpaces.get(folios.mapping(to));
  if (space !== undefined) {
    space.replaceFolio(from, to);
    folios.get(to, folios.nrPages(to));
    system.putFolio(from, folios.nrPages(from));
  }
  if (folios.test(to, FolioFlag.SwapCache)) system.swap.replaceFolio(from, to);
  if (place !== null) system.lru.resume(to, place, LruAdd.Moved);
  removeMigrationEntries(system, entries, to - from);
}
