// What mm tells the outside: the counters of /proc/vmstat and the tracepoints, under Linux's names. Here: their declaration and the
// counters' storage. Not here: who bumps them. Only what is modelled is declared, and so only that prints.
import { tracepoint } from '#base';
import type { StateHash } from '#base';

/** The modelled lines of /proc/vmstat, in the order in which Linux 6.18 prints them. nr_* are gauges in pages, the rest count events. */
const names = [
  'nr_free_pages', 'nr_zone_write_pending', 'nr_mlock', 'nr_zspages', 'nr_inactive_anon', 'nr_active_anon', 'nr_inactive_file', 'nr_active_file', 'nr_unevictable', 'nr_slab_unreclaimable',
  'nr_isolated_anon', 'nr_isolated_file', 'workingset_nodes', 'workingset_refault_anon', 'workingset_refault_file', 'workingset_activate_anon', 'workingset_activate_file', 'workingset_restore_anon', 'workingset_restore_file',
  'workingset_nodereclaim', 'nr_anon_pages', 'nr_mapped', 'nr_file_pages', 'nr_dirty', 'nr_writeback', 'nr_shmem', 'nr_anon_transparent_hugepages', 'nr_vmscan_write', 'nr_vmscan_immediate_reclaim',
  'nr_dirtied', 'nr_written', 'nr_throttled_written', 'nr_page_table_pages', 'nr_swapcached', 'nr_dirty_threshold', 'nr_dirty_background_threshold', 'nr_memmap_boot_pages',
  'pgpgin', 'pgpgout', 'pswpin', 'pswpout', 'pgalloc_normal', 'allocstall_normal', 'pgskip_normal', 'pgfree', 'pgactivate', 'pgdeactivate', 'pglazyfree', 'pgfault', 'pgmajfault', 'pglazyfreed', 'pgrefill', 'pgreuse',
  'pgsteal_kswapd', 'pgsteal_direct', 'pgsteal_khugepaged', 'pgsteal_proactive', 'pgscan_kswapd', 'pgscan_direct', 'pgscan_khugepaged', 'pgscan_proactive', 'pgscan_direct_throttle', 'pgscan_anon', 'pgscan_file', 'pgsteal_anon', 'pgsteal_file',
  'slabs_scanned', 'kswapd_low_wmark_hit_quickly', 'kswapd_high_wmark_hit_quickly', 'pageoutrun', 'pgrotated', 'drop_pagecache', 'drop_slab', 'oom_kill',
  'pgmigrate_success', 'pgmigrate_fail', 'thp_migration_success', 'thp_migration_fail', 'thp_migration_split',
  'compact_migrate_scanned', 'compact_free_scanned', 'compact_isolated', 'compact_stall', 'compact_fail', 'compact_success',
  'compact_daemon_wake', 'compact_daemon_migrate_scanned', 'compact_daemon_free_scanned',
  'unevictable_pgs_culled', 'unevictable_pgs_scanned', 'unevictable_pgs_rescued', 'unevictable_pgs_mlocked', 'unevictable_pgs_munlocked', 'unevictable_pgs_cleared', 'unevictable_pgs_stranded',
  'thp_fault_alloc', 'thp_fault_fallback', 'thp_fault_fallback_charge', 'thp_collapse_alloc', 'thp_collapse_alloc_failed', 'thp_file_alloc', 'thp_file_fallback', 'thp_split_page', 'thp_split_page_failed', 'thp_deferred_split_page',
  'thp_underused_split_page', 'thp_split_pmd', 'thp_scan_exceed_none_pte', 'thp_scan_exceed_swap_pte', 'thp_scan_exceed_share_pte',
  'thp_zero_page_alloc', 'thp_zero_page_alloc_failed', 'thp_swpout', 'thp_swpout_fallback',
  'swap_ra', 'swap_ra_hit', 'swpin_zero', 'swpout_zero', 'zswpin', 'zswpout', 'zswpwb',
  'nr_tlb_local_flush_all',
] as const;
export type VmName = (typeof names)[number];

/** A counter's place, by its name: VmItem.pgfault. */
export const VmItem = Object.fromEntries(names.map((name, i) => [name, i])) as { readonly [N in VmName]: number };

export class VmStat {
  private readonly counts = new Float64Array(names.length);
  /** Brings gauges up to date that are too costly to keep so; called before anybody reads. */
  beforeRead: (() => void) | null = null;

  /** @param item VmItem.something */
  add(item: number, n: number): void {
    this.counts[item]! += n;
  }
  /** Of a gauge: what it stands at now. */
  set(item: number, n: number): void {
    this.counts[item] = n;
  }
  get(name: VmName): number {
    this.beforeRead?.();
    return this.counts[VmItem[name]]!;
  }
  /** '/proc/vmstat', a line an element: 'pgfault 120'. */
  lines(): string[] {
    this.beforeRead?.();
    return names.map((name, i) => `${name} ${this.counts[i]}`);
  }
  /** Every counter by name, in order: for reports. */
  entries(): [VmName, number][] {
    this.beforeRead?.();
    return names.map((name, i) => [name, this.counts[i]!]);
  }
  hash(into: StateHash): void {
    this.beforeRead?.();
    into.numbers(this.counts);
  }
}

// kmem. Linux also prints the address of the page's record, which is nowhere here.
export const mmPageAlloc = tracepoint('mm_page_alloc', 'kmem', { pfn: 'pfn', order: 'dec', migratetype: 'dec', gfp_flags: 'hex' });
/** Freed with others of a batch, as unmapping does; Linux prints order=0 whatever the order. */
export const mmPageFreeBatched = tracepoint('mm_page_free_batched', 'kmem', { pfn: 'pfn' });
export const mmPageFree = tracepoint('mm_page_free', 'kmem', { pfn: 'pfn', order: 'dec' });
/** A block came off a free list of its own type. percpu_refill: 1 for orders and types that are kept in per-cpu stock. */
export const mmPageAllocZoneLocked = tracepoint('mm_page_alloc_zone_locked', 'kmem', { pfn: 'pfn', order: 'dec', migratetype: 'dec', percpu_refill: 'dec' });
export const mmPagePcpuDrain = tracepoint('mm_page_pcpu_drain', 'kmem', { pfn: 'pfn', order: 'dec', migratetype: 'dec' });
/** An allocation took from another migrate type: fragmenting, when the block was smaller than a pageblock; change_ownership, when the pageblock came along. */
export const mmPageAllocExtfrag = tracepoint('mm_page_alloc_extfrag', 'kmem', {
  pfn: 'pfn', alloc_order: 'dec', fallback_order: 'dec', pageblock_order: 'dec', alloc_migratetype: 'dec', fallback_migratetype: 'dec', fragmenting: 'dec', change_ownership: 'dec',
});
/** member: 0 MM_FILEPAGES, 1 MM_ANONPAGES, 2 MM_SWAPENTS, 3 MM_SHMEMPAGES; size in bytes. */
export const rssStat = tracepoint('rss_stat', 'kmem', { mm_id: 'dec', curr: 'dec', member: 'dec', size: 'dec' });
// migrate and thp: pte and pmd are the entry's word before it is taken out, and as it is written again.
export const setMigrationPte = tracepoint('set_migration_pte', 'migrate', { addr: 'va', pte: 'hex', order: 'dec' });
export const removeMigrationPte = tracepoint('remove_migration_pte', 'migrate', { addr: 'va', pte: 'hex', order: 'dec' });
export const setMigrationPmd = tracepoint('set_migration_pmd', 'thp', { addr: 'va', pmd: 'hex' });
export const removeMigrationPmd = tracepoint('remove_migration_pmd', 'thp', { addr: 'va', pmd: 'hex' });
/** mode: 0 async, 1 sync-light, 2 sync; reason: enum migrate_reason (0 compaction). Folios but for succeeded and failed, which are pages. */
export const mmMigratePagesStart = tracepoint('mm_migrate_pages_start', 'migrate', { mode: 'dec', reason: 'dec' });
export const mmMigratePages = tracepoint('mm_migrate_pages', 'migrate', { succeeded: 'dec', failed: 'dec', thp_succeeded: 'dec', thp_failed: 'dec', thp_split: 'dec', large_folio_split: 'dec', mode: 'dec', reason: 'dec' });
// compaction: ret is a CompactResult, prio a CompactPriority (compaction.ts); nid and idx are the one node and the one zone.
const scan = { start_pfn: 'pfn', end_pfn: 'pfn', nr_scanned: 'dec', nr_taken: 'dec' } as const;
const verdict = { nid: 'dec', idx: 'dec', order: 'dec', ret: 'dec' } as const;
const deferral = { nid: 'dec', idx: 'dec', order: 'dec', considered: 'dec', defer_shift: 'dec', order_failed: 'dec' } as const;
const kcompactd = { nid: 'dec', order: 'dec', highest_zoneidx: 'dec' } as const;
export const mmCompactionBegin = tracepoint('mm_compaction_begin', 'compaction', { zone_start: 'pfn', migrate_pfn: 'pfn', free_pfn: 'pfn', zone_end: 'pfn', sync: 'dec' });
export const mmCompactionEnd = tracepoint('mm_compaction_end', 'compaction', { zone_start: 'pfn', migrate_pfn: 'pfn', free_pfn: 'pfn', zone_end: 'pfn', sync: 'dec', status: 'dec' });
export const mmCompactionIsolateMigratepages = tracepoint('mm_compaction_isolate_migratepages', 'compaction', scan);
export const mmCompactionIsolateFreepages = tracepoint('mm_compaction_isolate_freepages', 'compaction', scan);
export const mmCompactionMigratepages = tracepoint('mm_compaction_migratepages', 'compaction', { nr_migrated: 'dec', nr_failed: 'dec' });
export const mmCompactionTryToCompactPages = tracepoint('mm_compaction_try_to_compact_pages', 'compaction', { order: 'dec', gfp_mask: 'hex', prio: 'dec' });
export const mmCompactionSuitable = tracepoint('mm_compaction_suitable', 'compaction', verdict);
export const mmCompactionFinished = tracepoint('mm_compaction_finished', 'compaction', verdict);
export const mmCompactionDeferred = tracepoint('mm_compaction_deferred', 'compaction', deferral);
export const mmCompactionDefer = tracepoint('mm_compaction_defer_compaction', 'compaction', deferral);
export const mmCompactionDeferReset = tracepoint('mm_compaction_defer_reset', 'compaction', deferral);
export const mmCompactionKcompactdSleep = tracepoint('mm_compaction_kcompactd_sleep', 'compaction', { nid: 'dec' });
export const mmCompactionKcompactdWake = tracepoint('mm_compaction_kcompactd_wake', 'compaction', kcompactd);
export const mmCompactionWakeupKcompactd = tracepoint('mm_compaction_wakeup_kcompactd', 'compaction', kcompactd);
// filemap. Linux prints the device as major:minor, ofs in bytes.
const cacheEvent = { major: 'dec', minor: 'dec', ino: 'hex', pfn: 'pfn', ofs: 'dec', order: 'dec' } as const;
export const mmFilemapAddToPageCache = tracepoint('mm_filemap_add_to_page_cache', 'filemap', cacheEvent);
export const mmFilemapDeleteFromPageCache = tracepoint('mm_filemap_delete_from_page_cache', 'filemap', cacheEvent);
// readahead: windows in pages; prev_pos in bytes, -1 before the first read.
const window = { index: 'dec', req_count: 'dec', order: 'dec', size: 'dec', async_size: 'dec', ra_pages: 'dec', mmap_miss: 'dec', prev_pos: 'dec' } as const;
export const pageCacheSyncRa = tracepoint('page_cache_sync_ra', 'readahead', { major: 'dec', minor: 'dec', ino: 'hex', ...window });
export const pageCacheAsyncRa = tracepoint('page_cache_async_ra', 'readahead', { major: 'dec', minor: 'dec', ino: 'hex', ...window });
export const pageCacheRaOrder = tracepoint('page_cache_ra_order', 'readahead', { major: 'dec', minor: 'dec', ino: 'hex', index: 'dec', order: 'dec', size: 'dec', async_size: 'dec', ra_pages: 'dec' });
export const pageCacheRaUnbounded = tracepoint('page_cache_ra_unbounded', 'readahead', { major: 'dec', minor: 'dec', ino: 'hex', index: 'dec', nr_to_read: 'dec', lookahead_size: 'dec' });
// writeback. Linux names the backing device as major:minor; rates are in kB a second, pauses in milliseconds.
const wbWork = { major: 'dec', minor: 'dec', nr_pages: 'dec', sync_mode: 'dec', kupdate: 'dec', range_cyclic: 'dec', background: 'dec', reason: 'dec' } as const;
export const writebackDirtyFolio = tracepoint('writeback_dirty_folio', 'writeback', { major: 'dec', minor: 'dec', ino: 'dec', index: 'dec' });
export const writebackStart = tracepoint('writeback_start', 'writeback', wbWork);
export const writebackWritten = tracepoint('writeback_written', 'writeback', wbWork);
export const balanceDirtyPages = tracepoint('balance_dirty_pages', 'writeback', { major: 'dec', minor: 'dec', limit: 'dec', setpoint: 'dec', dirty: 'dec', dirty_ratelimit: 'dec', task_ratelimit: 'dec',
  dirtied: 'dec', dirtied_pause: 'dec', paused: 'dec', pause: 'dec', period: 'dec', think: 'dec' });
export const globalDirtyState = tracepoint('global_dirty_state', 'writeback', { dirty: 'dec', writeback: 'dec', bg_thresh: 'dec', thresh: 'dec', limit: 'dec', dirtied: 'dec', written: 'dec' });
// vmscan. gfp_flags are not known this far down the path, and left out. reclaim_flags: RECLAIM_WB_* bits (reclaim/shrink.ts).
export const mmVmscanKswapdSleep = tracepoint('mm_vmscan_kswapd_sleep', 'vmscan', { nid: 'dec' });
export const mmVmscanKswapdWake = tracepoint('mm_vmscan_kswapd_wake', 'vmscan', { nid: 'dec', order: 'dec' });
export const mmVmscanWakeupKswapd = tracepoint('mm_vmscan_wakeup_kswapd', 'vmscan', { nid: 'dec', order: 'dec', gfp_flags: 'hex' });
export const mmVmscanDirectReclaimBegin = tracepoint('mm_vmscan_direct_reclaim_begin', 'vmscan', { order: 'dec', gfp_flags: 'hex' });
export const mmVmscanDirectReclaimEnd = tracepoint('mm_vmscan_direct_reclaim_end', 'vmscan', { nr_reclaimed: 'dec' });
export const mmVmscanMemcgReclaimBegin = tracepoint('mm_vmscan_memcg_reclaim_begin', 'vmscan', { order: 'dec', gfp_flags: 'hex' });
export const mmVmscanMemcgReclaimEnd = tracepoint('mm_vmscan_memcg_reclaim_end', 'vmscan', { nr_reclaimed: 'dec' });
/** lru: enum lru_list, 0 inactive_anon to 3 active_file. */
export const mmVmscanLruIsolate = tracepoint('mm_vmscan_lru_isolate', 'vmscan', { highest_zoneidx: 'dec', order: 'dec', nr_requested: 'dec', nr_scanned: 'dec', nr_skipped: 'dec', nr_taken: 'dec', lru: 'dec' });
export const mmVmscanLruShrinkInactive = tracepoint('mm_vmscan_lru_shrink_inactive', 'vmscan', { nid: 'dec', nr_scanned: 'dec', nr_reclaimed: 'dec', nr_dirty: 'dec', nr_writeback: 'dec', nr_congested: 'dec', nr_immediate: 'dec',
  nr_activate_anon: 'dec', nr_activate_file: 'dec', nr_ref_keep: 'dec', nr_unmap_fail: 'dec', priority: 'dec', reclaim_flags: 'hex' });
export const mmVmscanLruShrinkActive = tracepoint('mm_vmscan_lru_shrink_active', 'vmscan', { nid: 'dec', nr_taken: 'dec', nr_active: 'dec', nr_deactivated: 'dec', nr_referenced: 'dec', priority: 'dec', reclaim_flags: 'hex' });
export const mmVmscanWriteFolio = tracepoint('mm_vmscan_write_folio', 'vmscan', { pfn: 'pfn', reclaim_flags: 'hex' });
/** reason: enum vmscan_throttle_state's bit: 1 writeback, 2 isolated, 4 noprogress, 8 congested. */
export const mmVmscanThrottled = tracepoint('mm_vmscan_throttled', 'vmscan', { nid: 'dec', usec_timeout: 'dec', usec_delayed: 'dec', reason: 'dec' });
// oom. Sizes are in kB, but for uid and oom_score_adj.
export const markVictim = tracepoint('mark_victim', 'oom', { pid: 'dec', total_vm: 'dec', anon_rss: 'dec', file_rss: 'dec', shmem_rss: 'dec', uid: 'dec', pgtables: 'dec', oom_score_adj: 'dec' });
// pagemap
export const mmLruInsertion = tracepoint('mm_lru_insertion', 'pagemap', { pfn: 'pfn', lru: 'dec' });
export const mmLruActivate = tracepoint('mm_lru_activate', 'pagemap', { pfn: 'pfn' });
// exceptions: error_code is scause, as riscv has it.
export const pageFaultUser = tracepoint('page_fault_user', 'exceptions', { address: 'va', ip: 'va', error_code: 'hex' });
export const pageFaultKernel = tracepoint('page_fault_kernel', 'exceptions', { address: 'va', ip: 'va', error_code: 'hex' });
/** quire, our own: the kernel takes up a fault, tried: once more, after it waited. from: 0 a program's, 1 the kernel's on its behalf. */
export const faultEnter = tracepoint('fault_enter', 'quire', { mm_id: 'dec', address: 'va', ip: 'va', access: 'dec', from: 'dec', tried: 'dec' });
/** A fault is settled, or (result 5, Retry) waits for I/O. kind: a place in faultKinds; result: a FaultResult; major: it needed I/O. */
export const faultReturn = tracepoint('fault_return', 'quire', { mm_id: 'dec', address: 'va', kind: 'dec', result: 'dec', major: 'dec' });
// tlb: pages is -1 for a whole address space; reason: 0 task switch, 3 mm shootdown (enum tlb_flush_reason).
export const tlbFlush = tracepoint('tlb_flush', 'tlb', { reason: 'dec', pages: 'dec' });
// mmap
export const vmUnmappedArea = tracepoint('vm_unmapped_area', 'mmap', { addr: 'va', len: 'hex', flags: 'hex' });
export const exitMmap = tracepoint('exit_mmap', 'mmap', { mm_id: 'dec' });
// quire, our own: a mapping became larger or smaller other than by a first touch: 2 MiB split, Svnapot unfolded, pages collapsed.
// reason is the place of its code in reasons.ts.
export const mappingChanged = tracepoint('mapping_changed', 'quire', { mm: 'dec', address: 'va', pages: 'dec', reason: 'dec' });
/** khugepaged would have collapsed a range, and was kept from it. */
export const collapseRefused = tracepoint('collapse_refused', 'quire', { mm: 'dec', address: 'va', pages: 'dec', reason: 'dec' });
/** Threads of the kernel, which take the hart between programs; kthread_begin and kthread_end name one by its place. */
export const kernelThreads = ['khugepaged', 'access_split', 'kswapd0', 'kcompactd0', 'flusher', 'zswap-shrink'] as const;
export type KernelThread = (typeof kernelThreads)[number];
export const kthreadBegin = tracepoint('kthread_begin', 'quire', { thread: 'dec' });
export const kthreadEnd = tracepoint('kthread_end', 'quire', { thread: 'dec' });
// huge_memory: mm is the address space's number; status a ScanResult (collapse.ts), which traces print as Linux's word for it.
export const mmKhugepagedScanPmd = tracepoint('mm_khugepaged_scan_pmd', 'huge_memory', { mm: 'dec', pfn: 'pfn', referenced: 'dec', none_or_zero: 'dec', status: 'dec', unmapped: 'dec' });
export const mmCollapseHugePage = tracepoint('mm_collapse_huge_page', 'huge_memory', { mm: 'dec', isolated: 'dec', status: 'dec' });
export const mmCollapseHugePageIsolate = tracepoint('mm_collapse_huge_page_isolate', 'huge_memory', { pfn: 'pfn', none_or_zero: 'dec', referenced: 'dec', status: 'dec' });
