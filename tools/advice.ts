// Of every counter: where Linux counts the same, and what to try. Names that belong together share a row; the first row that fits a name holds. `*` in
// what Linux says stands for the name. A test goes through all names there are.
import type { Topic } from './glossary.ts';

export interface Advice { readonly linux: string; readonly advice: string }
type Row = readonly [names: RegExp, linux: string, advice: string];

const largerFolios = 'Larger folios (--thp always, or --mthp 64k=always)';
const whyAll = 'quire why all -- PROG says which folios a program has, and why no larger ones';

const vmstat: readonly Row[] = [
  [/^nr_free_pages$/, '/proc/vmstat, NR_FREE_PAGES (mm/page_alloc.c)', 'cat /proc/buddyinfo in the guest shows free blocks by order; --mem gives more.'],
  [/^nr_memmap_boot_pages$|^nr_slab_unreclaimable$/, '/proc/vmstat: *', '--memmap 32, 16 or 8 makes the memory map smaller; quire mm memmap compares them.'],
  [/zsp|zswp/, '/proc/vmstat: * (mm/zswap.c, mm/zsmalloc.c)', '--set /sys/module/zswap/parameters/enabled=Y switches zswap on, max_pool_percent beside it says how much it may keep.'],
  [/dirt|writ(e_pending|eback|ten)$/, '/proc/vmstat: * (mm/page-writeback.c)', '--set /proc/sys/vm/dirty_ratio and dirty_background_ratio move the limits; quire trace -e writeback shows who writes and who waits.'],
  [/mlock|unevictable/, '/proc/vmstat: * (mm/mlock.c, mm/vmscan.c)', 'munlock() what need not stay; RLIMIT_MEMLOCK limits what may.'],
  [/^thp_(swpout|split|deferred|underused|zero)|split/, '/proc/vmstat: * (mm/huge_memory.c)', `${whyAll}; unmap, protect and advise whole aligned 2 MiB ranges to have none split.`],
  [/^thp_(collapse|scan)/, '/proc/vmstat: * (mm/khugepaged.c)', '/sys/kernel/mm/transparent_hugepage/khugepaged has its limits and pace; quire trace -e huge_memory shows what it met.'],
  [/^thp_(fault|file)|transparent_hugepages$/, '/proc/vmstat: * (mm/huge_memory.c, mm/shmem.c)', `${largerFolios}; ${whyAll}.`],
  [/^thp_migration|^pgmigrate/, '/proc/vmstat: * (mm/migrate.c)', 'quire trace -e migrate shows each batch, with its reason.'],
  [/^compact_/, '/proc/vmstat: * (mm/compaction.c)', 'quire trace -e compaction shows the runs; /proc/sys/vm/compaction_proactiveness makes kcompactd work ahead of need.'],
  [/^nr_page_table_pages$/, '/proc/vmstat: *; VmPTE in /proc/PID/status', '2 MiB mappings need a table less each: --thp always.'],
  [/^nr_(inactive|active|isolated)_/, '/proc/vmstat: * (mm/vmscan.c)', 'quire mm lru shows the lists from old to young; --lru chooses the policy.'],
  [/^workingset_/, '/proc/vmstat: * (mm/workingset.c)', 'Refaults fall with more memory (--memory-max, --mem) or another policy: quire compare --lru mglru,two-list,opt --mem-sweep 8M,16M -- PROG.'],
  [/^(pgscan|pgsteal|pgrefill|pgactivate|pgdeactivate|pgrotated|pageoutrun|allocstall|pgskip|slabs_scanned|kswapd_|nr_vmscan|pglazyfreed)/, '/proc/vmstat: * (mm/vmscan.c)', 'quire trace -e vmscan shows each pass, quire why evictions whose pages went; pgscan over pgsteal says how hard it was.'],
  [/^(pswp|swap_ra|swpin|swpout|nr_swapcached)/, '/proc/vmstat: * (mm/page_io.c, mm/swap_state.c)', '--swap SIZE and --swap-latency set the device, /proc/sys/vm/page-cluster how much is read ahead, /proc/sys/vm/swappiness how much goes there.'],
  [/^oom_kill$/, '/proc/vmstat: * (mm/oom_kill.c)', 'The kernel\'s log on standard error names the program and why; more --mem, --swap or --memory-max avoid it.'],
  [/^drop_/, '/proc/vmstat: * (fs/drop_caches.c)', '--set /proc/sys/vm/drop_caches=3 begins a run with cold caches.'],
  [/^(pgfault|pgmajfault|pgreuse)$/, '/proc/vmstat: * (mm/memory.c)', `quire trace -F all -- PROG lists faults, quire stat counts them by kind. ${largerFolios} need fewer.`],
  [/^(pgalloc|pgfree)/, '/proc/vmstat: * (mm/page_alloc.c)', 'quire trace -e kmem -- PROG lists allocations and frees with their orders.'],
  [/^pglazyfree$/, '/proc/vmstat: * (mm/swap.c)', 'MADV_FREE marks pages that may go without being written; MADV_DONTNEED frees them at once.'],
  [/^(pgpgin|pgpgout)$/, '/proc/vmstat: * (block/blk-core.c)', 'quire mm cache tells what was read and written for which file, quire trace -e block each request.'],
  [/^nr_tlb_/, '/proc/vmstat: * (CONFIG_DEBUG_TLBFLUSH)', 'quire trace -e tlb shows flushes; ranges of up to 64 pages are flushed page by page.'],
  [/^nr_(anon_pages|mapped|file_pages|shmem)$/, '/proc/vmstat: *; AnonPages, Mapped, Cached, Shmem in /proc/meminfo', 'cat /proc/self/smaps in the guest tells of each mapping; quire mm cache of each file.'],
];

const thp: readonly Row[] = [
  [/swp/, '/sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/stats/*', 'Large folios go whole where swap has runs of free slots: --swap larger; quire why evictions shows what went.'],
  [/shmem/, '/sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/stats/*', '--set /sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/shmem_enabled=always allows the size.'],
  [/./, '/sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/stats/*', `--mthp SIZE=always allows the size; ${whyAll}.`],
];

const report: readonly Row[] = [
  [/^(schema|tool|config|program|stateHash)/, 'none: a run is not repeatable there; perf report --header-only tells of a recording', 'Runs with equal config and program have equal stateHash; where they differ, diff the two configs.'],
  [/^exit/, 'the status that wait(2) gives', 'quire help status tells of quire\'s own; quire trace --strace -- PROG shows the last calls.'],
  [/^clock\.instructions$/, 'perf stat -e instructions:u', 'quire trace --format folded -- PROG shows where they are spent.'],
  [/^clock\.tlbCycles$/, 'perf stat -e dtlb_load_misses.walk_active and its like', `${largerFolios}, another --preset; the latencies stand in the TLB description (quire presets NAME).`],
  [/^clock/, 'perf stat -e cycles:u,cycles:k, which are measured, not modelled', 'quire trace --format folded --stacks kernel -- PROG adds them up by cause; --cost changes single costs (quire explain costs).'],
  [/^tlb\.l1i|^tlb\.l2i/, 'perf stat -e iTLB-loads,iTLB-load-misses', 'Code in larger folios, or a --preset with more entries; quire trace --format folded shows which code runs.'],
  [/^tlb\.l1d/, 'perf stat -e dTLB-loads,dTLB-load-misses,dTLB-stores,dTLB-store-misses', `${largerFolios} reach farther; ${whyAll}.`],
  [/^tlb\.l2/, 'perf stat -e dtlb_load_misses.stlb_hit and its like', `${largerFolios} reach farther; quire compare -- PROG sets folio sizes side by side.`],
  [/^tlb\.walks/, 'perf stat -e dtlb_load_misses.walk_completed, walk_completed_4k and so on', 'Larger folios need fewer walks, and 2 MiB ones shorter walks; pwc in the TLB description sizes the page-walk caches.'],
  [/^tlb\.coalescing/, 'none: processors that coalesce do not count it', 'Presets whose names end in -zen, -colt-sa, -clustered coalesce; contiguous frames come from --mthp 16k=always,64k=always.'],
  [/^tlb\.flushes/, 'tlb:tlb_flush; nr_tlb_local_flush_all in /proc/vmstat', 'quire trace -e tlb -- PROG shows when; unmapping and protecting in few large ranges needs fewer.'],
  [/^tlb\.ad/, 'none: a walker\'s own stores are not counted', '--svade leaves the bits to page faults, which are counted (faults.byKind young).'],
  [/^tlb\.faults/, 'perf stat -e page-faults; exceptions:page_fault_user', 'quire trace -F all -- PROG lists them.'],
  [/^faults\.byKind/, 'none: perf trace -F tells minor from major alone', 'quire trace -e fault_return -- PROG lists them with their kinds; quire why all explains what they mapped.'],
  [/^faults/, 'getrusage(2): ru_minflt, ru_majflt; perf stat -e minor-faults,major-faults', `quire trace -F all -- PROG lists them. ${largerFolios} need fewer.`],
  [/^vmstat/, '/proc/vmstat', 'quire explain NAME tells of each line.'],
  [/^thp/, '/sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/stats', 'quire explain thp tells of each file.'],
  [/^memory\.maxRssKb$/, 'getrusage(2): ru_maxrss; /usr/bin/time -v', 'cat /proc/self/smaps_rollup in the guest says of what it consists.'],
  [/^memory/, 'nr_memmap_boot_pages in /proc/vmstat', '--memmap 32, 16 or 8 makes the memory map smaller.'],
  [/^lru\.youngSampling/, 'none: that is what no other tool shows', 'Fewer TLB entries (--preset tiny) or smaller folios make accessed bits tell more; --lru mglru reads them by sweeps.'],
  [/^lru/, '/sys/kernel/mm/lru_gen/enabled', '--lru chooses; quire compare --lru mglru,two-list -- PROG sets policies side by side.'],
  [/^memcg/, '/sys/fs/cgroup/<group>/memory.*', '--memory-max sets the limit, --set /sys/fs/cgroup/quire/memory.high=SIZE and its sisters the others.'],
  [/^swap/, '/proc/swaps, /proc/vmstat (pswpin, pswpout), /sys/block/*/stat', '--swap SIZE, --swap-latency, /proc/sys/vm/page-cluster; quire why evictions says whose pages went.'],
  [/^unknownSyscalls$/, 'ENOSYS; strace -Z shows failed calls', 'quire trace --strace -- PROG shows what the program does then; most programs do without.'],
  [/^notModelled$/, 'none: there everything is real', 'Compare counts, which are exact, and ratios of cycles, not cycles with a stopwatch.'],
  [/^host/, 'none: it is about the simulator', '--engine jit is the fastest; quire explain engines tells them apart.'],
];

const cache: readonly Row[] = [
  [/^(cycles|files|listed|config|program)/, 'fincore(1), mincore(2), /proc/kpageflags', 'quire mm cache --path FILE lists the folios of one file.'],
  [/^total/, 'Cached in /proc/meminfo; xarray nodes as radix_tree_node in /proc/slabinfo', 'Larger folios need fewer entries: ext4 with extents, longer reads and writes.'],
  [/^mapping/, 'funccount of get_block, iomap_iter; buffer_head in /proc/slabinfo', 'quire mkfs --type ext2 and ext4 make the two back ends to compare.'],
  [/^disks/, '/sys/block/*/stat', 'quire trace -e block -- PROG shows each request; --disk-latency changes the disk.'],
  [/^atomics/, 'none: atomic operations are not counted', 'Larger folios need fewer; compare with file_folio_order=0.'],
  [/^readahead/, 'tracepoints readahead:*, in recent kernels', 'quire why readahead -- PROG lists the decisions; read_ahead_kb and posix_fadvise() change them.'],
];
const lists: readonly Row[] = [[/./, '/sys/kernel/debug/lru_gen; nr_active_file and its sisters in /proc/vmstat', '--at N looks at an earlier moment; quire why evictions says what left the lists.']];
const groups: readonly Row[] = [[/./, '/sys/fs/cgroup/<group>/* (Documentation/admin-guide/cgroup-v2.rst)', '--memory-max makes the group quire; --set /sys/fs/cgroup/quire/FILE=VALUE writes its files before the program starts.']];
const events: readonly Row[] = [
  [/^(vmscan|pagemap|oom):/, '', 'quire mm lru shows the lists, quire why evictions whose pages went; --format perfetto draws reclaim beside the program.'],
  [/^(compaction|migrate):/, '', 'cat /proc/buddyinfo shows what there is to compact; --format perfetto draws the runs.'],
  [/^(huge_memory|thp):|^quire:(mapping|collapse)/, '', `${whyAll}; khugepaged's files in /sys set its pace.`],
  [/^(exceptions:|quire:fault)/, '', '-F all prints faults as perf does; quire debug goes through one, phase by phase.'],
  [/^(filemap|readahead|writeback|block):/, '', 'quire mm cache and quire why readahead tell the same by file.'],
  [/./, '', 'quire trace -e NAME -- PROG prints it; --format csv makes a table of it, --format perfetto a picture.'],
];
const tables: Partial<Readonly<Record<Topic, readonly Row[]>>> = { vmstat, thp, counters: report, cache, lists, groups, events };

/** Topics whose every name has a counterpart in Linux and an advice. */
export const advisedTopics = [...Object.keys(tables), 'reasons'] as readonly Topic[];
/** null: no row fits. */
export function adviceOn(topic: Topic, name: string): Advice | null {
  const row = tables[topic]?.find(([names]) => names.test(name));
  return row === undefined ? null : { linux: row[1].replace('*', name), advice: row[2].replace('-e NAME', `-e ${name}`) };
}
