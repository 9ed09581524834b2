// Everything that has a name, with its meaning, collected from the tables where it is declared: what `quire explain` answers from.
// Only Linux's counters get their sentences here, since the kernel declares just their names.
import { tracepoints } from '#base';
import type { EngineName } from '#cpu';
import type { GroupFile, ThpStatName, VmName } from '#kernel';
import { costs, reasons, syscallTable, tunables, VmStat, zswapMeanings } from '#kernel';
import { presets } from '#mmu';
import { adviceOn } from './advice.ts';
import { eventInLinux, eventMeanings } from './event-meanings.ts';
import { exitStatuses } from './help-text.ts';
import { optionRows } from './options.ts';
import { cacheFields } from './cache.ts';
import { lruFields } from './lru.ts';
import { SANITIZER_STATUS, sanitizers } from './sanitize.ts';
import { statFields } from './schema.ts';
import { formats } from './trace/formats.ts';

export interface Entry {
  readonly topic: Topic;
  readonly name: string;
  readonly text: string;
  /** Its counterpart in Linux, and what to try: of reasons, counters and events (advice.ts). */
  readonly linux?: string;
  readonly advice?: string;
}
export const topics = {
  counters: 'fields of the report quire.stat/1',
  cache: 'fields of the report quire.cache/1 (quire mm cache)',
  lists: 'fields of the report quire.lru/1 (quire mm lru)',
  vmstat: 'lines of /proc/vmstat',
  thp: 'files of hugepages-<size>kB/stats',
  groups: 'files of a memory group, in /sys/fs/cgroup/<name>',
  options: 'options of the commands',
  presets: 'TLB hierarchies by name',
  policies: 'reclaim policies, for --lru',
  engines: 'how instructions are executed, for --engine',
  sanitizers: 'what --sanitize checks',
  costs: 'costs of the cycle model, for --cost',
  tunables: 'numbers of /proc/sys/vm and the like, for --set',
  reasons: 'why the kernel did one thing rather than another',
  syscalls: 'system calls that programs can use',
  events: 'tracepoints, for quire trace -e',
  formats: 'formats of traces, for quire trace --format',
  status: 'exit statuses',
} as const;
export type Topic = keyof typeof topics;

const vmstatMeanings: Readonly<Record<VmName, string>> = {
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
  nr_swapcached: 'pages of the swap cache: in memory, with their place in swap kept for them, now',
  nr_shmem: 'pages of tmpfs and shared anonymous memory, now',
  nr_anon_transparent_hugepages: 'anonymous folios of 2 MiB, now',
  nr_page_table_pages: 'pages that hold page tables, now',
  nr_memmap_boot_pages: 'pages that the memory map took at boot',
  pgpgin: 'kB read from disks',
  pgpgout: 'kB written to disks',
  pgalloc_normal: 'pages allocated (a folio of order n counts 2^n)',
  allocstall_normal: 'allocations that found too little free memory and had to wait or fail',
  pgskip_normal: 'pages that reclaim passed over since their zone was not asked for: 0 here, there is one zone',
  pgfree: 'pages freed',
  pglazyfree: 'pages marked by madvise(MADV_FREE)',
  pglazyfreed: 'of these, pages that reclaim then dropped without writing them',
  pgfault: 'page faults handled, minor and major',
  pgmajfault: 'page faults that had to wait for I/O',
  pgreuse: 'copy-on-write faults that needed no copy, since nobody else had the page',
  oom_kill: 'programs that the out-of-memory killer ended',
  pgmigrate_success: 'pages that were moved to other frames',
  pgmigrate_fail: 'pages that could not be moved: somebody used them',
  thp_migration_success: 'folios of 2 MiB that were moved whole',
  thp_migration_fail: 'folios of 2 MiB that could not be moved',
  thp_migration_split: 'folios of 2 MiB that were split, for there was no room to move them whole',
  compact_migrate_scanned: 'frames that compaction looked at for pages to move',
  compact_free_scanned: 'frames that compaction looked at for room to move pages to',
  compact_isolated: 'pages that compaction took off the lists, to move them or to move others there',
  compact_stall: 'allocations that compacted memory themselves',
  compact_fail: 'of these, those that still found no run of frames',
  compact_success: 'of these, those that found one',
  compact_daemon_wake: 'times that kcompactd began to work',
  compact_daemon_migrate_scanned: 'of compact_migrate_scanned, by kcompactd',
  compact_daemon_free_scanned: 'of compact_free_scanned, by kcompactd',
  unevictable_pgs_culled: 'pages that became unevictable',
  unevictable_pgs_scanned: 'unevictable pages that were looked at again; not counted here',
  unevictable_pgs_rescued: 'unevictable pages that became evictable again; not counted here',
  unevictable_pgs_mlocked: 'pages that mlock() made unevictable',
  unevictable_pgs_munlocked: 'pages that munlock() made evictable again',
  unevictable_pgs_cleared: 'mlocked pages that were unmapped',
  unevictable_pgs_stranded: 'pages that munlock() could not take off the unevictable list; 0 here',
  nr_inactive_anon: 'anonymous pages (and pages of memory files) that reclaim holds for old, now',
  nr_active_anon: 'anonymous pages (and pages of memory files) that reclaim holds for young, now',
  nr_inactive_file: 'pages of files that reclaim holds for old, now',
  nr_active_file: 'pages of files that reclaim holds for young, now',
  nr_unevictable: 'pages that are locked in memory, now',
  nr_isolated_anon: 'anonymous pages that somebody has taken off the lists for a while; 0 here, since that is over before anybody can look',
  nr_isolated_file: 'pages of files that somebody has taken off the lists for a while; 0 here, since that is over before anybody can look',
  nr_slab_unreclaimable: 'frames that hold descriptors of folios, where the memory map is split from them (--memmap), now',
  nr_throttled_written: 'pages that reached their disk while reclaim waited for that; not counted here',
  nr_vmscan_write: 'pages that reclaim gave to swap to be written',
  nr_vmscan_immediate_reclaim: 'dirty pages of files that reclaim met, and that go when they have been written',
  workingset_nodes: 'nodes of page-cache trees that hold nothing but shadows of evicted pages, now',
  workingset_refault_anon: 'anonymous pages that were evicted, and came back (refaults)',
  workingset_refault_file: 'pages of files that were evicted, and came back (refaults)',
  workingset_activate_anon: 'of these refaults, those that came back so soon that they are held for young',
  workingset_activate_file: 'of these refaults, those that came back so soon that they are held for young',
  workingset_restore_anon: 'of these refaults, those of pages that had been held for young before they went',
  workingset_restore_file: 'of these refaults, those of pages that had been held for young before they went',
  workingset_nodereclaim: 'such nodes that were given up since there were too many',
  pgscan_anon: 'anonymous pages that reclaim looked at, to free them',
  pgscan_file: 'pages of files that reclaim looked at, to free them',
  pgsteal_anon: 'anonymous pages that reclaim freed',
  pgsteal_file: 'pages of files that reclaim freed',
  pgscan_kswapd: 'pages that kswapd looked at',
  pgscan_direct: 'pages that an allocation looked at for itself, since free memory was too short',
  pgsteal_kswapd: 'pages that kswapd freed',
  pgsteal_direct: 'pages that an allocation freed for itself',
  pgscan_khugepaged: 'pages that khugepaged looked at for its own allocations',
  pgsteal_khugepaged: 'pages that khugepaged freed for its own allocations',
  pgscan_proactive: 'pages that were looked at since somebody wrote to memory.reclaim',
  pgsteal_proactive: 'pages that were freed since somebody wrote to memory.reclaim',
  pgscan_direct_throttle: 'allocations that waited for kswapd, since it was about to fall behind',
  slabs_scanned: 'objects that shrinkers looked at',
  pgrefill: 'young pages that were looked at, to make some of them old',
  pgactivate: 'pages that became young',
  pgdeactivate: 'pages that became old',
  pgrotated: 'pages that were written for reclaim, and go next',
  pageoutrun: 'times that kswapd began to work',
  kswapd_low_wmark_hit_quickly: 'times that free memory fell below the low mark again soon after kswapd was done; not counted here',
  kswapd_high_wmark_hit_quickly: 'times that it fell below the high mark again soon; not counted here',
  drop_pagecache: 'times that 1 or 3 was written to drop_caches',
  drop_slab: 'times that 2 or 3 was written to drop_caches',
  pswpin: 'pages read from swap',
  pswpout: 'pages written to swap',
  swap_ra: 'pages read from swap ahead of need',
  swap_ra_hit: 'of these, pages that were then used',
  swpin_zero: 'pages of zeros that came back from swap without a read',
  swpout_zero: 'pages of zeros that went to swap without a write',
  zswpin: 'pages that came back from zswap, where they were kept compressed in memory',
  zswpout: 'pages that zswap took on their way to swap, and kept compressed in memory',
  zswpwb: 'of these, pages that zswap wrote to the device after all, to have room for others',
  thp_swpout: 'folios of 2 MiB that were written to swap whole',
  thp_swpout_fallback: 'folios of 2 MiB that were split, since swap had no room for them in one piece',
  thp_fault_alloc: 'page faults that mapped a folio of 2 MiB',
  thp_fault_fallback: 'page faults that wanted a folio of 2 MiB and found none free',
  thp_fault_fallback_charge: 'page faults that wanted a folio of 2 MiB and met a memory limit',
  thp_file_alloc: 'folios of 2 MiB allocated for tmpfs and shared anonymous memory',
  thp_file_fallback: 'times that tmpfs wanted such a folio and found none free',
  thp_split_page: 'folios of 2 MiB that were split',
  thp_split_page_failed: 'splits of folios of 2 MiB that failed',
  thp_underused_split_page: 'folios of 2 MiB that were split since most of their pages held nothing but zeros',
  thp_deferred_split_page: 'folios of 2 MiB that became partially mapped and wait to be split',
  thp_split_pmd: '2 MiB mappings that were written as page tables, the folio left whole',
  thp_collapse_alloc: 'folios of 2 MiB allocated to collapse single pages into, by khugepaged or MADV_COLLAPSE',
  thp_collapse_alloc_failed: 'collapses that found no 2 MiB free',
  thp_scan_exceed_none_pte: 'ranges that khugepaged left alone for more than max_ptes_none missing pages',
  thp_scan_exceed_swap_pte: 'ranges that khugepaged left alone for more than max_ptes_swap swapped pages',
  thp_scan_exceed_share_pte: 'ranges that khugepaged left alone for more than max_ptes_shared shared pages',
  thp_zero_page_alloc: 'huge zero folios allocated',
  thp_zero_page_alloc_failed: 'huge zero folios that could not be allocated',
  nr_tlb_local_flush_all: 'fences that emptied the whole TLB, or all of one address space',
};
export const thpMeanings: Readonly<Record<ThpStatName, string>> = {
  anon_fault_alloc: 'page faults that mapped a new anonymous folio of this size',
  anon_fault_fallback: 'page faults that wanted this size and had to take a smaller one',
  anon_fault_fallback_charge: 'fallbacks because of a memory limit',
  split: 'folios of this size that were split',
  split_failed: 'splits of this size that failed',
  split_deferred: 'folios of this size that became partially mapped and wait to be split',
  nr_anon: 'anonymous folios of this size, now',
  nr_anon_partially_mapped: 'of those, partially mapped ones, now',
  shmem_alloc: 'folios of this size allocated for tmpfs and shared anonymous memory',
  shmem_fallback: 'times that tmpfs wanted this size and had to take a smaller one',
  shmem_fallback_charge: 'fallbacks of tmpfs because of a memory limit',
  swpin: 'folios of this size that came back from swap whole',
  swpin_fallback: 'pages in swap that could have come back with a folio of this size, and had to take a smaller one',
  swpin_fallback_charge: 'such fallbacks because of a memory limit',
  swpout: 'folios of this size that were written to swap whole',
  swpout_fallback: 'folios of this size that were split, since swap had no room for them in one piece',
  zswpout: 'folios of this size that zswap took whole',
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

const groupMeanings: Readonly<Record<GroupFile, string>> = {
  'cgroup.controllers': 'controllers there are: memory, always',
  'cgroup.events': 'populated: 1 while a process is in the group; frozen: always 0',
  'cgroup.kill': '1 kills all processes of the group',
  'cgroup.procs': 'processes of the group; a number written moves that process here, 0 the writer; what it was charged for stays where it was',
  'cgroup.subtree_control': 'controllers of the groups below: memory, always; groups below a group are not modelled',
  'cgroup.type': 'domain, always',
  'memory.current': 'bytes charged now: pages of anonymous memory and of files, page tables, what zswap keeps, and up to 64 pages ahead',
  'memory.events': 'times that low was broken by reclaim, high and max were exceeded, the group was out of memory, and processes were killed for that',
  'memory.events.local': 'the same for this group alone, which is the same: there are none below it',
  'memory.high': 'bytes or max; what is charged above is reclaimed before the program runs on, which sleeps up to 2 seconds if that does not help',
  'memory.low': 'bytes that reclaim leaves alone as long as others have something to give',
  'memory.max': 'bytes or max; at it pages are reclaimed, and if that does not help a process of the group is killed',
  'memory.min': 'bytes that reclaim leaves alone, whatever happens',
  'memory.numa_stat': 'the lines of memory.stat that are counted by node, of which there is one',
  'memory.oom.group': '1: out of memory, all processes of the group are killed, or none',
  'memory.peak': 'most bytes that were charged at a time; a write begins anew',
  'memory.reclaim': 'SIZE [swappiness=N|max]: so many bytes are reclaimed now, or EAGAIN',
  'memory.stat': 'what the charged memory is, in bytes, and what reclaim has done, in pages and times; lines by the names of /proc/vmstat are explained there',
  'memory.swap.current': 'bytes of slots in swap that are charged; pages that zswap keeps have slots, too',
  'memory.swap.events': 'high: times that the program was about to run on with more slots than memory.swap.high; max: times that a slot was refused for memory.swap.max; fail: times that one was refused for that or another reason',
  'memory.swap.high': 'bytes or max; while more slots are charged, the program sleeps after each allocation, the longer the more it is over, up to 2 seconds',
  'memory.swap.max': 'bytes of slots or max; at it pages of the group no longer go to swap',
  'memory.swap.peak': 'most bytes of slots that were charged at a time',
  'memory.zswap.current': 'bytes that the group\'s compressed pages take in zswap, as compressed; memory.current has them in whole pages',
  'memory.zswap.max': 'bytes of compressed pages or max; at it the oldest is written to the device to make room, and a page for which there is none goes there itself; 0 keeps the group out of zswap',
  'memory.zswap.writeback': '1: pages may go to the device; 0, here or in the root: what zswap does not keep stays in memory, and what it keeps stays there. Nothing while zswap is off',
};

const engineMeanings: Readonly<Record<EngineName, string>> = {
  jit: 'code that runs often becomes WebAssembly, region by region, every access with its TLB probe inline; the rest goes through interp. Counters of the translator stand under host in the report',
  interp: 'one loop of WebAssembly over decoded instructions, emitted from the same table as jit\'s regions',
  reference: 'plain TypeScript, the definition that the others are compared with: for reading and stepping',
};

/** Explained where quire.stat/1 is. */
const ofEveryReport = new Set(['schema', 'tool', 'config', 'program']);
/** Every entry, in the order of the topics. */
export function glossary(): Entry[] {
  const entries: Entry[] = [];
  const add = (topic: Topic, name: string, text: string, more: Partial<Pick<Entry, 'linux' | 'advice'>> = adviceOn(topic, name) ?? {}): void => { entries.push({ topic, name, text, ...more }); };
  for (const [path, , meaning] of statFields) add('counters', path, meaning);
  for (const [path, , meaning] of cacheFields) if (!ofEveryReport.has(path)) add('cache', path, meaning);
  for (const [path, , meaning] of lruFields) if (!ofEveryReport.has(path)) add('lists', path, meaning);
  for (const [name] of new VmStat().entries()) add('vmstat', name, vmstatMeanings[name]);
  for (const [name, text] of Object.entries(thpMeanings)) add('thp', name, text);
  for (const [name, text] of Object.entries(groupMeanings)) add('groups', name, text);
  for (const [name, row] of optionRows()) if (row.isHidden !== true) add('options', `--${name}`, `${row.help}${row.byDefault === undefined ? '' : ` (default ${row.byDefault})`}`);
  add('options', 'lru-starter', 'quire presets lru-starter -o mine.ts writes a reclaim policy of 40 lines to start one\'s own from; then quire stat --lru ./mine.ts --memory-max 8M -- PROG');
  for (const preset of presets()) add('presets', preset.name, preset.source);
  for (const [name, text] of Object.entries(policyMeanings)) add('policies', name, text);
  for (const [name, text] of Object.entries(engineMeanings)) add('engines', name, `${text}. Results and counts are the same with every engine.`);
  for (const [name, text] of Object.entries(sanitizers)) add('sanitizers', name, `${text}. A finding ends the run with status ${SANITIZER_STATUS}, and says where`);
  for (const { name, cycles, of, source } of costs) add('costs', name, `${cycles} cycles: ${of}. Source: ${source}`);
  for (const { name, value, path, source } of tunables) add('tunables', name, `${path ?? 'no file'}; default ${value}. Source: ${source}`);
  for (const [name, text] of Object.entries(zswapMeanings)) add('tunables', `zswap.${name}`, `/sys/module/zswap/parameters/${name}; ${text}`);
  add('tunables', 'vma_ra_enabled', '/sys/kernel/mm/swap/vma_ra_enabled; default true. Swap without seeks is read ahead by addresses near the fault; false: by slots near its own, as on a disk with seeks. How many: page_cluster');
  for (const [name, { sentence, hint, linux }] of Object.entries(reasons)) add('reasons', name, sentence, { linux, advice: hint });
  for (const row of syscallTable) if (row !== undefined) add('syscalls', row.name, `number ${row.nr}; arguments: ${row.args === '' ? 'none' : row.args.split(' ').join(', ')}`);
  for (const [name, { system, fields }] of tracepoints()) {
    const linux = eventInLinux(system, name);
    const text = `${eventMeanings[name] ?? 'not described'}; fields: ${fields.length === 0 ? 'none' : fields.map((f) => f.name).join(', ')}`;
    add('events', `${system}:${name}`, text, { ...adviceOn('events', `${system}:${name}`), ...(linux === null ? {} : { linux }) });
  }
  for (const [name, { meaning }] of Object.entries(formats)) add('formats', name, meaning);
  for (const [code, meaning] of exitStatuses) add('status', code, meaning);
  return entries;
}

/** The topic of a word: 'engines', and 'engine', too. */
export const topicNamed = (word: string): Topic | undefined => [word, `${word}s`].find((name): name is Topic => name in topics);

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
