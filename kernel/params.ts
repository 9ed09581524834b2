// Every tunable and every cost of the kernel: its name, its default, where that comes from. Here: the two tables, and setting a value by
// name. Not here: the transparent_hugepage tree (mm/thp.ts), which is files of words rather than numbers.
import { UserError } from '#base';
import type { Plant } from './plant.ts';

/** One number that may be set. `path` is where Linux shows it; null: a property of the modelled machine or of Linux's build. */
export interface TunableRow {
  readonly name: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** No others between them. */
  readonly only?: readonly number[];
  readonly path: string | null;
  readonly source: string;
}

const tunableRows = [
  { name: 'overcommit_memory', value: 0, min: 0, max: 2, path: '/proc/sys/vm/overcommit_memory', source: 'Linux default: refuse only what exceeds RAM and swap' },
  { name: 'overcommit_ratio', value: 50, min: 0, max: 1000, path: '/proc/sys/vm/overcommit_ratio', source: 'Linux default, used when overcommit_memory is 2' },
  { name: 'overcommit_kbytes', value: 0, min: 0, max: 2 ** 40, path: '/proc/sys/vm/overcommit_kbytes', source: 'Linux default: 0, the ratio counts' },
  { name: 'admin_reserve_kbytes', value: 8192, min: 0, max: 2 ** 40, path: '/proc/sys/vm/admin_reserve_kbytes', source: 'Linux default (less on machines below 256 MiB)' },
  { name: 'user_reserve_kbytes', value: 131072, min: 0, max: 2 ** 40, path: '/proc/sys/vm/user_reserve_kbytes', source: 'Linux default (at most 1/32 of free memory at boot)' },
  { name: 'max_map_count', value: 65530, min: 0, max: 2 ** 31 - 1, path: '/proc/sys/vm/max_map_count', source: 'Linux default' },
  { name: 'mmap_min_addr', value: 65536, min: 0, max: 2 ** 30, path: '/proc/sys/vm/mmap_min_addr', source: 'CONFIG_DEFAULT_MMAP_MIN_ADDR, the common distribution value' },
  { name: 'min_free_kbytes', value: 0, min: 0, max: 2 ** 31, path: '/proc/sys/vm/min_free_kbytes', source: '0: computed at boot as init_per_zone_wmark_min() and set_recommended_min_free_kbytes() do' },
  { name: 'watermark_scale_factor', value: 10, min: 1, max: 3000, path: '/proc/sys/vm/watermark_scale_factor', source: 'Linux default' },
  { name: 'watermark_boost_factor', value: 15000, min: 0, max: 2 ** 31 - 1, path: '/proc/sys/vm/watermark_boost_factor', source: 'Linux default: up to 150 % of the high mark while pageblocks mix; 0: never' },
  { name: 'compaction_proactiveness', value: 20, min: 0, max: 100, path: '/proc/sys/vm/compaction_proactiveness', source: 'Linux default: kcompactd compacts unasked when more than 90 % of free memory is of no use to 2 MiB; 0: never' },
  { name: 'compact_unevictable_allowed', value: 1, min: 0, max: 1, path: '/proc/sys/vm/compact_unevictable_allowed', source: 'Linux default: compaction moves locked memory, too' },
  { name: 'compact_large_folios', value: 1, min: 0, max: 1, path: null, source: 'Linux since 6.9: compaction moves large folios below the wanted order whole; 0: it skips them, as before' },
  { name: 'extfrag_threshold', value: 500, min: 0, max: 1000, path: '/proc/sys/vm/extfrag_threshold', source: 'Linux default: a fragmentation index up to this is a lack of memory, which compaction does not cure' },
  { name: 'defrag_mode', value: 0, min: 0, max: 1, path: '/proc/sys/vm/defrag_mode', source: 'Linux default (6.15): mixing migrate types in a pageblock is allowed at once' },
  { name: 'dirty_ratio', value: 20, min: 0, max: 100, path: '/proc/sys/vm/dirty_ratio', source: 'Linux default: writers pause when so much of what could be page cache is dirty, in percent; 0: dirty_bytes counts' },
  { name: 'dirty_bytes', value: 0, min: 0, max: 2 ** 40, path: '/proc/sys/vm/dirty_bytes', source: 'Linux default: 0, the ratio counts' },
  { name: 'dirty_background_ratio', value: 10, min: 0, max: 100, path: '/proc/sys/vm/dirty_background_ratio', source: 'Linux default: the flusher begins to write then' },
  { name: 'dirty_background_bytes', value: 0, min: 0, max: 2 ** 40, path: '/proc/sys/vm/dirty_background_bytes', source: 'Linux default: 0, the ratio counts' },
  { name: 'dirty_expire_centisecs', value: 3000, min: 0, max: 2 ** 31 - 1, path: '/proc/sys/vm/dirty_expire_centisecs', source: 'Linux default: what is dirty for longer is written' },
  { name: 'dirty_writeback_centisecs', value: 500, min: 0, max: 2 ** 31 - 1, path: '/proc/sys/vm/dirty_writeback_centisecs', source: 'Linux default: how often the flusher looks for that; 0: never' },
  { name: 'memcg_flush_interval', value: 2000, min: 0, max: 2 ** 31 - 1, path: '/sys/kernel/mm/quire/memcg_flush_millisecs', source: 'mm/memcontrol.c, FLUSH_TIME: how old the sums may be by which reclaim judges a group\'s lists and refaults; 0: always exact, as nowhere in Linux' },
  { name: 'swappiness', value: 60, min: 0, max: 200, path: '/proc/sys/vm/swappiness', source: 'Linux default: 0 swaps only when files are nearly gone, 100 weighs swap and files alike, 200 swaps alone' },
  { name: 'page_cluster', value: 3, min: 0, max: 31, path: '/proc/sys/vm/page-cluster', source: 'Linux default: 2^3 pages are read in at once from swap' },
  { name: 'vfs_cache_pressure', value: 100, min: 0, max: 2 ** 31 - 1, path: '/proc/sys/vm/vfs_cache_pressure', source: 'Linux default; there is no shrinker of directory entries here, so that it has no effect' },
  { name: 'oom_dump_tasks', value: 1, min: 0, max: 1, path: '/proc/sys/vm/oom_dump_tasks', source: 'Linux default: the report of the OOM killer lists all programs' },
  { name: 'laptop_mode', value: 0, min: 0, max: 2 ** 31 - 1, path: '/proc/sys/vm/laptop_mode', source: 'Linux default; no effect here' },
  { name: 'fault_around_bytes', value: 65536, min: 4096, max: 2 ** 21, path: '/sys/kernel/debug/fault_around_bytes', source: 'Linux default: 16 pages' },
  { name: 'stack_guard_gap', value: 256, min: 0, max: 65536, path: null, source: 'Linux default, in pages (boot option stack_guard_gap=)' },
  { name: 'tlb_flush_all_threshold', value: 64, min: 0, max: 2 ** 20, path: null, source: 'arch/riscv/mm/tlbflush.c: a range of more pages than this flushes the whole address space' },
  { name: 'svnapot_fold', value: 1, min: 0, max: 1, path: null, source: 'folds aligned 64 KiB runs of a folio, as contpte does on arm64; mainline riscv uses Svnapot for hugetlb only' },
  { name: 'access_split', value: 0, min: 0, max: 1, path: '/sys/kernel/mm/quire/access_split/enabled', source: 'not in Linux, the articles\' policy: 1 splits folios of which few pages are used, under pressure' },
  { name: 'access_split_interval', value: 1000, min: 0, max: 2 ** 31 - 1, path: '/sys/kernel/mm/quire/access_split/interval_millisecs', source: 'assumed: how long accessed bits gather before a folio is judged' },
  { name: 'access_split_min_used', value: 25, min: 0, max: 100, path: '/sys/kernel/mm/quire/access_split/min_used_percent', source: 'assumed: a folio of which a smaller share was used is split' },
  { name: 'access_split_unmerge', value: 0, min: 0, max: 1, path: '/sys/kernel/mm/quire/access_split/unmerge', source: 'not in Linux: 1 writes Svnapot runs and 2 MiB entries as single ones while folios are watched, for their merged bits tell nothing of pages' },
  { name: 'file_folio_order', value: 9, min: 0, max: 9, path: '/sys/kernel/mm/quire/file_folio_order', source: 'not in Linux, where it is the file system\'s to say: largest order of a folio of files that are mapped by extents, for disks mounted after it is written' },
  { name: 'collapse_guard', value: 0, min: 0, max: 2 ** 31 - 1, path: '/sys/kernel/mm/quire/collapse/guard_millisecs', source: 'not in Linux: how long khugepaged leaves alone what memory pressure has split; 0: not at all' },
  { name: 'collapse_needs_referenced', value: 1, min: 0, max: 1, path: '/sys/kernel/mm/quire/collapse/needs_referenced', source: 'Linux: khugepaged collapses only where some page was used of late; 0 drops that rule' },
  { name: 'lru_gen_release', value: 618, min: 612, max: 618, only: [612, 618], path: '/sys/kernel/mm/quire/lru_gen_release', source: 'which Linux\'s rules MGLRU follows: 618, those of 6.14 and later; 612, those of 6.8 to 6.13' },
  { name: 'pid_max', value: 32768, min: 301, max: 4194304, path: '/proc/sys/kernel/pid_max', source: 'Linux default on small machines' },
  { name: 'threads_max', value: 0, min: 0, max: 4194304, path: '/proc/sys/kernel/threads-max', source: '0: computed at boot as set_max_threads() does, RAM over eight kernel stacks of 16 KiB' },
  { name: 'shmmni', value: 4096, min: 0, max: 32768, path: '/proc/sys/kernel/shmmni', source: 'Linux default: segments of System V shared memory' },
  { name: 'slice_instructions', value: 100_000, min: 1, max: 2 ** 40, path: null, source: 'assumed: 0.1 ms at one instruction a cycle, 1 GHz; round robin in exact instruction counts' },
] as const satisfies readonly TunableRow[];
export type TunableName = (typeof tunableRows)[number]['name'];
/** The tunables, as data. */
export const tunables: readonly TunableRow[] = tunableRows;

/** One modelled cost in cycles. */
export interface CostRow {
  readonly name: string;
  readonly cycles: number;
  readonly of: string;
  readonly source: string;
}

const costRows = [
  { name: 'trap', cycles: 160, of: 'entering the kernel and returning: registers saved and restored, sret', source: 'assumed: 2 x 32 memory operations, CSR accesses, two pipeline refills' },
  { name: 'syscall', cycles: 60, of: 'dispatching one system call, beyond the trap', source: 'assumed' },
  { name: 'fault', cycles: 400, of: 'the fixed part of one page fault, beyond the trap: locks, checks, accounting', source: 'assumed: about 1 us in all on a 1 GHz in-order core, of which zeroing is about half' },
  { name: 'vma_lookup', cycles: 40, of: 'finding the VMA of an address', source: 'assumed: two or three maple tree nodes' },
  { name: 'vma_op', cycles: 500, of: 'making, splitting, merging or removing one VMA', source: 'assumed: slab allocation and tree update' },
  { name: 'page_alloc', cycles: 120, of: 'one allocation from the buddy system, of any order', source: 'assumed: per-cpu list mostly' },
  { name: 'page_free', cycles: 100, of: 'one block given back, of any order', source: 'assumed' },
  { name: 'page_zero', cycles: 512, of: 'zeroing 4 KiB', source: 'assumed: one 8-byte store a cycle' },
  { name: 'page_copy', cycles: 1024, of: 'copying 4 KiB', source: 'assumed: one 8-byte load and store in two cycles' },
  { name: 'pte_set', cycles: 4, of: 'one page-table entry written', source: 'assumed' },
  { name: 'pte_scan', cycles: 4, of: 'one page-table entry looked at by khugepaged or in MGLRU\'s sweeps, with its folio', source: 'assumed' },
  { name: 'rmap', cycles: 20, of: 'one mapping added to or taken from a folio: mapcount, references, rss', source: 'assumed: three atomic operations' },
  { name: 'lru_scan', cycles: 100, of: 'one folio that reclaim looks at: taken off its list, locked, judged, put back or freed', source: 'assumed: a dozen cache lines, atomic operations on two of them' },
  { name: 'rmap_walk', cycles: 60, of: 'one VMA that a walk from a folio to its mappings looks into', source: 'assumed: an interval tree step and a walk of three table levels' },
  { name: 'fence_page', cycles: 20, of: 'sfence.vma of one page', source: 'assumed' },
  { name: 'fence_all', cycles: 100, of: 'sfence.vma of an address space', source: 'assumed; the misses that follow are counted, not assumed' },
  { name: 'switch', cycles: 300, of: 'one context switch between tasks', source: 'assumed' },
  { name: 'task_create', cycles: 4000, of: 'making one task, beyond the copy of its address space', source: 'assumed: stack, descriptors, tables; a few kilobytes written' },
  { name: 'task_exit', cycles: 3000, of: 'ending one task, beyond freeing its address space', source: 'assumed' },
  { name: 'exec', cycles: 6000, of: 'execve, beyond mapping and copying', source: 'assumed: path walk, headers, new tables' },
  { name: 'signal', cycles: 300, of: 'delivering one signal, beyond copying its frame', source: 'assumed' },
  { name: 'bio', cycles: 1500, of: 'one request to a disk, made, queued and ended, beyond the disk\'s own time', source: 'assumed: the block layer of an NVMe disk takes some 1 to 2 us of CPU time a request' },
  { name: 'zswap_compress', cycles: 8000, of: 'compressing one page on its way to swap', source: 'assumed: about 500 MB/s, as lzo and lz4 do on an in-order core at 1 GHz' },
  { name: 'zswap_decompress', cycles: 2500, of: 'the reverse', source: 'assumed: about 1.6 GB/s' },
  { name: 'block_map', cycles: 300, of: 'one question to a file system where a block or an extent lies', source: 'assumed: a look-up in a tree or table in memory, with its locks' },
  { name: 'buffer_head', cycles: 80, of: 'one buffer head made, or taken through one read or write', source: 'assumed: a slab object of 104 bytes, a handful of atomic bit operations' },
  { name: 'copy_byte', cycles: 0.25, of: 'one byte copied between kernel and user memory', source: 'assumed: 8 bytes in two cycles' },
] as const satisfies readonly CostRow[];
export type CostName = (typeof costRows)[number]['name'];
/** The costs, as data: `quire help costs` and the report print them. */
export const costs: readonly CostRow[] = costRows;

/** The values in force. Plain numbers in plain objects: they may be changed while the machine runs, as sysctl does. */
export interface KernelParams {
  readonly vm: Record<TunableName, number>;
  readonly cost: Record<CostName, number>;
  /** Chosen at boot: bytes of the memory map for each frame, and how a fault asks the allocator for a large folio. */
  memmap: 64 | 32 | 16 | 8;
  allocStrategy: AllocStrategy;
  /** A bug on purpose (plant.ts); null, as always but in tests: none. */
  plant: Plant | null;
}
/** 'loop': every enabled order from the largest down, a call each, as Linux does. 'sizes': the sizes that a TLB entry can cover, 2 MiB and 64 KiB,
 *  then one page. 'largest': one call that answers the largest enabled order there is. */
export const allocStrategies = ['loop', 'sizes', 'largest'] as const;
export type AllocStrategy = (typeof allocStrategies)[number];

export function defaultParams(): KernelParams {
  return {
    vm: Object.fromEntries(tunableRows.map((row) => [row.name, row.value])) as Record<TunableName, number>,
    cost: Object.fromEntries(costRows.map((row) => [row.name, row.cycles])) as Record<CostName, number>,
    memmap: 64,
    allocStrategy: 'loop',
    plant: null,
  };
}

/** --cost NAME=CYCLES. Throws UserError for a name that is not in the table, or a number below 0. */
export function setCost(params: KernelParams, name: string, cycles: number): void {
  if (!costRows.some((row) => row.name === name)) {
    throw new UserError(`--cost ${name}: no such cost. There are: ${costRows.map((row) => row.name).join(', ')}.`);
  }
  if (!Number.isFinite(cycles) || cycles < 0) throw new UserError(`--cost ${name}=${cycles}: cycles are a number from 0 up.`);
  params.cost[name as CostName] = cycles;
}

/** The tunable that Linux shows at `path`; null: none. */
export const tunableAt = (path: string): TunableRow | null => tunableRows.find((row) => row.path === path) ?? null;

/** Sets a tunable by name. @returns false when the number is outside its range. Throws UserError for an unknown name. */
export function setTunable(params: KernelParams, name: string, value: number): boolean {
  const row: TunableRow | undefined = tunableRows.find((r) => r.name === name);
  if (row === undefined) throw new UserError(`${name}: no such tunable. There are: ${tunableRows.map((r) => r.name).join(', ')}.`);
  if (!Number.isInteger(value) || value < row.min || value > row.max || row.only?.includes(value) === false) return false;
  params.vm[row.name as TunableName] = value;
  return true;
}
