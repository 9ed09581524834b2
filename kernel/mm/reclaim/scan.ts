// One run of reclaim: what is wanted, by whom, and how hard; what it came to. Here: the two records that go from the driver (vmscan.ts)
// through a policy (lruvec.ts) to the mechanism (shrink.ts) and back. Mirrors struct scan_control and struct reclaim_stat (mm/vmscan.c), 6.18.
import type { Folio } from '#base';
import type { MemCgroup } from '../memcg.ts';

/** Folios taken off a list in one go, and pages that direct reclaim wants: SWAP_CLUSTER_MAX. */
export const SWAP_CLUSTER_MAX = 32;
/** Where reclaim begins: with the 2^-12th part of each list. */
export const DEF_PRIORITY = 12;

/** Who reclaims, as counters name it. */
export type Reclaimer = 'kswapd' | 'direct' | 'khugepaged' | 'proactive';

export interface ScanControl {
  /** Pages wanted. */
  readonly nrToReclaim: number;
  /** The allocation's order; 0 when pages are wanted wherever they are. kswapd lowers it to 0 when enough is free. */
  order: number;
  readonly by: Reclaimer;
  /** The group whose limit is in the way; null: memory itself is short. cgroup_reclaim() */
  readonly target: MemCgroup | null;
  /** 12 down to 0: ever larger parts of the lists are looked at. */
  priority: number;
  /** vm.swappiness, or what the asker of proactive reclaim wants; SWAPPINESS_ANON_ONLY: anonymous memory alone. */
  swappiness: number;
  /** Anonymous memory may go to swap; pages may be taken out of mappings. */
  readonly maySwap: boolean;
  readonly mayUnmap: boolean;
  // The two lists' balance, of one pass (prepare_scan_control()).
  mayDeactivateAnon: boolean;
  mayDeactivateFile: boolean;
  forceDeactivate: boolean;
  skippedDeactivate: boolean;
  cacheTrimMode: boolean;
  fileIsTiny: boolean;
  /** memory.low may be broken: everything else was tried. */
  memcgLowReclaim: boolean;
  memcgLowSkipped: boolean;
  // What it came to, in pages.
  nrScanned: number;
  nrReclaimed: number;
  nr: ReclaimStat;
}
/** Swap alone: a swappiness above 200 (6.14). */
export const SWAPPINESS_ANON_ONLY = 201;
export const MAX_SWAPPINESS = 200;

/** What shrink_folio_list() met, in pages; summed up by the driver to tell a disk that cannot keep up. */
export interface ReclaimStat {
  dirty: number;
  unqueuedDirty: number;
  congested: number;
  writeback: number;
  immediate: number;
  activateAnon: number;
  activateFile: number;
  refKeep: number;
  unmapFail: number;
  lazyfreeFail: number;
  demoted: number;
  taken: number;
  fileTaken: number;
  pageout: number;
}
export const newReclaimStat = (): ReclaimStat => ({ dirty: 0, unqueuedDirty: 0, congested: 0, writeback: 0, immediate: 0, activateAnon: 0, activateFile: 0, refKeep: 0, unmapFail: 0, lazyfreeFail: 0, demoted: 0, taken: 0, fileTaken: 0, pageout: 0 });

export type ScanRequest = Pick<ScanControl, 'nrToReclaim' | 'by'> & Partial<Pick<ScanControl, 'order' | 'target' | 'priority' | 'maySwap' | 'mayUnmap'>> & { readonly swappiness: number };
export function newScanControl(request: ScanRequest): ScanControl {
  return {
    nrToReclaim: request.nrToReclaim, order: request.order ?? 0, by: request.by, target: request.target ?? null, priority: request.priority ?? DEF_PRIORITY, swappiness: request.swappiness,
    maySwap: request.maySwap ?? true, mayUnmap: request.mayUnmap ?? true, mayDeactivateAnon: false, mayDeactivateFile: false, forceDeactivate: false, skippedDeactivate: false,
    cacheTrimMode: false, fileIsTiny: false, memcgLowReclaim: false, memcgLowSkipped: false, nrScanned: 0, nrReclaimed: 0, nr: newReclaimStat(),
  };
}

/** What the entries that map a folio said of its use since the last look: folio_referenced(). */
export interface References {
  /** Entries through which it was used. -1: could not be found out (rmap contention), never so here. */
  readonly ptes: number;
  /** Some VMA that maps it executes; some locks it in memory. */
  readonly isExec: boolean;
  readonly isLocked: boolean;
}
/** What becomes of a folio that was looked at. enum folio_references: Clean means reclaim, but only if that needs no write. */
export const Verdict = { Reclaim: 0, ReclaimClean: 1, Keep: 2, Activate: 3 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Folios off their list, each with one reference of whoever took it off. */
export type Isolated = Folio[];
