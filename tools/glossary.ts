// Everything that has a name, with its meaning, collected from the tables where it is declared: what `quire explain` answers from.
// Only Linux's counters get their sentences here, since the kernel declares just their names.
import { tracepoints } from '#base';
import { costs, reasons, syscallTable, tunables, VmStat } from '#kernel';
import { presets } from '#mmu';
import { exitStatuses } from './help-text.ts';
import { optionRows } from './options.ts';
import { cacheFields } from './cache.ts';
import { lruFields } from './lru.ts';
import { statFields } from './schema.ts';

export interface Entry {
  readonly topic: Topic;
  readonly name: string;
  readonly text: string;
}
export const topics = {
  counters: 'fields of the report quire.stat/1',
  cache: 'fields of the report quire.cache/1 (quire mm cache)',
  lists: 'fields of the report quire.lru/1 (quire mm lru)',
  vmstat: 'lines of /proc/vmstat',
  thp: 'files of hugepages-<size>kB/stats',
  options: 'options of the commands',
  presets: 'TLB hierarchies by name',
  policies: 'reclaim policies, for --lru',
  costs: 'costs of the cycle model, for --cost',
  tunables: 'numbers of /proc/sys/vm and the like, for --set',
  reasons: 'why the kernel did one thing rather than another',
  syscalls: 'system calls that programs can use',
  events: 'tracepoints, for quire trace -e',
  status: 'exit statuses',
} as const;
export type Topic = keyof typeof topics;

const vmstatMeanings: Readonly<Record<string, string>> = {
  nr_free_pages: 'pages that the buddy allocator holds free, now',
  nr_zspages: 'frames that hold compressed pages (zswap), now',
  nr_zone_write_pending: 'pages that are dirty or on their way to a disk, now',
  nr_dirty: 'pages of files on disks that differ from the disk, now',
  nr_writeback: 'pages on their way to a disk, now',
  nr_dirtied: 'pages that became dirty',
  nr_written: 'pages that reached their disk',
  nr_dirty_threshold: 'pages that may be dirty before writers pause, when last asked',
  nr_dirty_background_threshold: 'pages that may be dirty before the flusher writes, when last asked',
  nr_mlock: 'pages that mlock() keeps in memory, now',
  nr_anon_pages: 'anonymous pages that are mapped, now',
  nr_mapped: 'pages of files that are mapped, now',
  nr_file_pages: 'pages in the page cache, those of tmpfs included, now',
  nr_shmem: 'pages of tmpfs and shared anonymous memory, now',
  nr_anon_transparent_hugepages: 'anonymous folios of 2 MiB, now',
  nr_page_table_pages: 'pages that hold page tables, now',
  nr_memmap_boot_pages: 'pages that the memory map took at boot',
  pgpgin: 'kB read from disks',
  pgpgout: 'kB written to disks',
  pgalloc_normal: 'pages allocated (a folio of order n counts 2^n)',
  allocstall_normal: 'allocations that found too little free memory and had to wait or fail',
  pgfree: 'pages freed',
  pglazyfree: 'pages marked by madvise(MADV_FREE)',
  pgfault: 'page faults handled, minor and major',
  pgmajfault: 'page faults that had to wait for I/O',
  pgreuse: 'copy-on-write faults that needed no copy, since nobody else had the page',
  oom_kill: 'programs that the out-of-memory killer ended',
  unevictable_pgs_mlocked: 'pages that mlock() made unevictable',
  unevictable_pgs_munlocked: 'pages that munlock() made evictable again',
  unevictable_pgs_cleared: 'mlocked pages that were unmapped',
  nr_inactive_anon: 'anonymous pages (and pages of memory files) that reclaim holds for old, now',
  nr_active_anon: 'anonymous pages (and pages of memory files) that reclaim holds for young, now',
  nr_inactive_file: 'pages of files that reclaim holds for old, now',
  nr_active_file: 'pages of files that reclaim holds for young, now',
  nr_unevictable: 'pages that are locked in memory, now',
  nr_vmscan_write: 'pages that reclaim gave to swap to be written',
  nr_vmscan_immediate_reclaim: 'dirty pages of files that reclaim met, and that go when they have been written',
  workingset_nodes: 'nodes of page-cache trees that hold nothing but shadows of evicted pages, now',
  workingset_refault_anon: 'anonymous pages that were evicted, and came back (refaults)',
  workingset_refault_file: 'pages of files that were evicted, and came back (refaults)',
  workingset_activate_anon: 'of these refaults, those that came back so soon that they are held for young',
  workingset_activate_file: 'of these refaults, those that came back so soon that they are held for young',
  workingset_restore_anon: 'of these refaults, those of pages that had been held for young before they went',
  workingset_restore_file: 'of these refaults, those of pages that had been held for young before they went',
  pgscan_anon: 'anonymous pages that reclaim looked at, to free them',
  pgscan_file: 'pages of files that reclaim looked at, to free them',
  pgsteal_anon: 'anonymous pages that reclaim freed',
  pgsteal_file: 'pages of files that reclaim freed',
  pgscan_kswapd: 'pages that kswapd looked at',
  pgscan_direct: 'pages that an allocation looked at for itself, since free memory was too short',
  pgsteal_kswapd: 'pages that kswapd freed',
  pgsteal_direct: 'pages that an allocation freed for itself',
  pgrefill: 'young pages that were looked at, to make some of them old',
  pgactivate: 'pages that became young',
  pgdeactivate: 'pages that became old',
  pgrotated: 'pages that were written for reclaim, and go next',
  pageoutrun: 'times that kswapd began to work',
  pswpin: 'pages read from swap',
  pswpout: 'pages written to swap',
  swap_ra: 'pages read from swap ahead of need',
  swap_ra_hit: 'of these, pages that were then used',
  swpin_zero: 'pages of zeros that came back from swap without a read',
  swpout_zero: 'pages of zeros that went to swap without a write',
  thp_swpout: 'folios of 2 MiB that were written to swap whole',
  thp_swpout_fallback: 'folios of 2 MiB that were split, since swap had no room for them in one piece',
  thp_fault_alloc: 'page faults that mapped a folio of 2 MiB',
  thp_fault_fallback: 'page faults that wanted a folio of 2 MiB and found none free',
  thp_deferred_split_page: 'folios of 2 MiB that became partially mapped and wait to be split',
  thp_split_pmd: '2 MiB mappings that were written as page tables, the folio left whole',
  thp_collapse_alloc: 'folios of 2 MiB allocated to collapse single pages into, by khugepaged or MADV_COLLAPSE',
  thp_collapse_alloc_failed: 'collapses that found no 2 MiB free',
  thp_scan_exceed_none_pte: 'ranges that khugepaged left alone for more than max_ptes_none missing pages',
  thp_scan_exceed_swap_pte: 'ranges that khugepaged left alone for more than max_ptes_swap swapped pages',
  thp_scan_exceed_share_pte: 'ranges that khugepaged left alone for more than max_ptes_shared shared pages',
  thp_zero_page_alloc: 'huge zero folios allocated',
  thp_zero_page_alloc_failed: 'huge zero folios that could not be allocated',
};
export const thpMeanings: Readonly<Record<string, string>> = {
  anon_fault_alloc: 'page faults that mapped a new anonymous folio of this size',
  anon_fault_fallback: 'page faults that wanted this size and had to take a smaller one',
  anon_fault_fallback_charge: 'fallbacks because of a memory limit',
  split: 'folios of this size that were split',
  split_failed: 'splits of this size that failed',
  split_deferred: 'folios of this size that became partially mapped and wait to be split',
  nr_anon: 'anonymous folios of this size, now',
  nr_anon_partially_mapped: 'of those, partially mapped ones, now',
};

const policyMeanings: Readonly<Record<string, string>> = {
  'two-list': 'Linux\'s classic one: an active and an inactive list each for anonymous memory and for files; what is used twice, or comes back soon after its eviction, is active',
  mglru: 'Linux\'s multi-generational LRU: up to four generations by time of last use, found out by sweeps of page tables; tiers by use through read(2) and write(2), protected by what refaults',
  fifo: 'first in, first out, used or not',
  clock: 'second chance: a hand goes round, and spares once what was used since it last came by',
  random: 'by lot, seeded by --seed',
  lru: 'least recently used, exactly: the run is recorded first, and the page whose last use is longest ago goes (to a thousand instructions)',
  opt: 'Belady\'s optimum: the run is recorded first, and the page whose next use lies farthest ahead goes; no policy brings pages in less often, where they come one at a time',
  'FILE.ts': 'your own: a module whose default export makes a policy; quire presets lru-starter prints one to start from',
};

/** Explained where quire.stat/1 is. */
const ofEveryReport = new Set(['schema', 'tool', 'config', 'program']);
/** Every entry, in the order of the topics. */
export function glossary(): Entry[] {
  const entries: Entry[] = [];
  const add = (topic: Topic, name: string, text: string): void => { entries.push({ topic, name, text }); };
  for (const [path, , meaning] of statFields) add('counters', path, meaning);
  for (const [path, , meaning] of cacheFields) if (!ofEveryReport.has(path)) add('cache', path, meaning);
  for (const [path, , meaning] of lruFields) if (!ofEveryReport.has(path)) add('lists', path, meaning);
  for (const [name] of new VmStat().entries()) add('vmstat', name, vmstatMeanings[name] ?? 'a line of /proc/vmstat');
  for (const [name, text] of Object.entries(thpMeanings)) add('thp', name, text);
  for (const [name, row] of optionRows()) add('options', `--${name}`, `${row.help}${row.byDefault === undefined ? '' : ` (default ${row.byDefault})`}`);
  add('options', 'lru-starter', 'quire presets lru-starter -o mine.ts writes a reclaim policy of 40 lines to start one\'s own from; then quire stat --lru ./mine.ts --memory-max 8M -- PROG');
  for (const preset of presets()) add('presets', preset.name, preset.source);
  for (const [name, text] of Object.entries(policyMeanings)) add('policies', name, text);
  for (const { name, cycles, of, source } of costs) add('costs', name, `${cycles} cycles: ${of}. Source: ${source}`);
  for (const { name, value, path, source } of tunables) add('tunables', name, `${path ?? 'no file'}; default ${value}. Source: ${source}`);
  for (const [name, { sentence, hint }] of Object.entries(reasons)) add('reasons', name, hint === '' ? sentence : `${sentence} ${hint}`);
  for (const row of syscallTable) if (row !== undefined) add('syscalls', row.name, `number ${row.nr}; arguments: ${row.args === '' ? 'none' : row.args.split(' ').join(', ')}`);
  for (const [name, point] of tracepoints()) add('events', `${point.system}:${name}`, `fields: ${point.fields.map((f) => f.name).join(', ')}`);
  for (const [code, meaning] of exitStatuses) add('status', code, meaning);
  return entries;
}

/** Entries that a word names: by the whole name, by its last part ('misses' for tlb.l2.misses), or without its dashes. */
export function lookUp(word: string, entries: readonly Entry[]): Entry[] {
  const wanted = word.toLowerCase();
  const exact = entries.filter((e) => e.name.toLowerCase() === wanted || e.name.toLowerCase() === `--${wanted}`);
  const byPattern = entries.filter((e) => e.topic === 'counters' && e.name.includes('*') && matches(e.name, word));
  if (exact.length + byPattern.length > 0) return [...exact, ...byPattern];
  return entries.filter((e) => new RegExp(`[.:]${wanted.replace(/[^a-z0-9_]/g, '\\$&')}$`).test(e.name.toLowerCase()));
}
function matches(pattern: string, path: string): boolean {
  const [p, q] = [pattern.split('.'), path.split('.')];
  return p.length === q.length && p.every((segment, i) => segment === '*' || segment === q[i]);
}
