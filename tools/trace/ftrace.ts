// quire trace -e: tracepoints in the lines of ftrace's trace file: `comm-pid [cpu] flags secs.usecs: event: fields`.
// Mirrors print_trace_line() and trace_print_context() (kernel/trace/trace_output.c). The flags are dots: interrupts are not modelled.
import { tracepoints, UserError } from '#base';
import type { Tracepoint } from '#base';
import { rwbs } from '#kernel';
import type { Session } from '../boot.ts';
import { didYouMean } from '../suggest.ts';
import { currentTask, type Trace } from './sink.ts';

export const FTRACE_HEADER: readonly string[] = [
  '# tracer: nop',
  '#',
  '#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION',
  '#              | |         |   |||||     |         |',
];

/** The events that some words name: 'all', a system ('kmem', 'kmem:*'), 'kmem:mm_page_alloc' or 'mm_page_alloc'. @throws UserError */
export function eventsNamed(words: readonly string[]): Tracepoint[] {
  const all = [...tracepoints().values()];
  for (const word of words) {
    if (all.some((p) => names(word, p))) continue;
    throw new UserError(`-e ${word}: no such event.${didYouMean(word, all.flatMap((p) => [p.name, `${p.system}:${p.name}`, p.system]))} quire explain events lists them.`);
  }
  return all.filter((p) => words.some((word) => names(word, p)));
}
const names = (word: string, p: Tracepoint): boolean =>
  word === 'all' || word === p.name || word === p.system || word === `${p.system}:*` || word === `${p.system}:${p.name}`;

const unsigned = (n: number): string => BigInt.asUintN(64, BigInt(n)).toString(16);
const unsignedDec = (n: number): string => BigInt.asUintN(64, BigInt(n)).toString();
const members = ['MM_FILEPAGES', 'MM_ANONPAGES', 'MM_SWAPENTS', 'MM_SHMEMPAGES'];
/** enum scan_result by number. */
const scanResults = ['failed', 'succeeded', 'pmd_null', 'pmd_none', 'page_pmd_mapped', 'exceed_none_pte', 'exceed_swap_pte', 'exceed_shared_pte', 'pte_non_present', 'pte_uffd_wp',
  'pte_mapped_hugepage', 'lack_referenced_page', 'page_null', 'scan_aborted', 'not_suitable_page_count', 'page_not_in_lru', 'page_locked', 'page_not_anon', 'page_compound',
  'no_process_for_page', 'vma_null', 'vma_check_failed', 'not_suitable_address_range', 'could_not_delete_page_from_lru', 'alloc_huge_page_failed'];
/** enum compact_result by number: COMPACTION_STATUS. */
const compactResults = ['not_suitable_zone', 'skipped', 'deferred', 'no_suitable_page', 'continue', 'complete', 'partial_skipped', 'contended', 'success'];
const migrateModes = ['MIGRATE_ASYNC', 'MIGRATE_SYNC_LIGHT', 'MIGRATE_SYNC'];
const migrateReasons = ['compaction', 'memory_failure', 'memory_hotplug', 'syscall_or_cpuset', 'mempolicy_mbind', 'numa_misplaced', 'contig_range', 'longterm_pin', 'demotion', 'damon'];
/** The one zone, in the eight columns that Linux gives it. */
const ZONE = 'Normal  ';

/** show_gfp_flags(): masks with a name of their own first, as include/trace/events/mmflags.h orders them. */
const gfpNames: readonly (readonly [string, number])[] = [
  ['GFP_TRANSHUGE', 0x1c_24ca], ['GFP_TRANSHUGE_LIGHT', 0x1c_20ca], ['GFP_HIGHUSER_MOVABLE', 0x10_0cca], ['GFP_HIGHUSER', 0x10_0cc2], ['GFP_USER', 0x10_0cc0],
  ['GFP_KERNEL_ACCOUNT', 0x40_0cc0], ['GFP_KERNEL', 0xcc0], ['GFP_NOFS', 0xc40], ['GFP_ATOMIC', 0x820], ['GFP_NOIO', 0xc00], ['GFP_NOWAIT', 0x2800], ['__GFP_RECLAIM', 0xc00],
  ['__GFP_HIGHMEM', 0x2], ['__GFP_MOVABLE', 0x8], ['__GFP_RECLAIMABLE', 0x10], ['__GFP_HIGH', 0x20], ['__GFP_IO', 0x40], ['__GFP_FS', 0x80], ['__GFP_ZERO', 0x100],
  ['__GFP_DIRECT_RECLAIM', 0x400], ['__GFP_KSWAPD_RECLAIM', 0x800], ['__GFP_NOWARN', 0x2000], ['__GFP_RETRY_MAYFAIL', 0x4000], ['__GFP_NOFAIL', 0x8000], ['__GFP_NORETRY', 0x1_0000],
  ['__GFP_MEMALLOC', 0x2_0000], ['__GFP_COMP', 0x4_0000], ['__GFP_NOMEMALLOC', 0x8_0000], ['__GFP_HARDWALL', 0x10_0000], ['__GFP_ACCOUNT', 0x40_0000],
];
export function showGfpFlags(gfp: number): string {
  let left = gfp;
  const names: string[] = [];
  for (const [name, mask] of gfpNames) {
    if ((left & mask) !== mask) continue;
    names.push(name);
    left &= ~mask;
  }
  if (left !== 0) names.push(`0x${unsigned(left)}`);
  return names.length === 0 ? 'none' : names.join('|');
}
const hex = (n: number | undefined): string => `0x${unsigned(n ?? 0)}`;
const compactResult = (ret: number | undefined): string => compactResults[ret ?? 0] ?? `${ret}`;
type Fields = (values: readonly number[], comm: string) => string;
const scanned: Fields = ([start, end, nrScanned, nrTaken]) => `range=(${hex(start)} ~ ${hex(end)}) nr_scanned=${nrScanned} nr_taken=${nrTaken}`;
const verdict: Fields = ([nid, , order, ret]) => `node=${nid} zone=${ZONE} order=${order} ret=${compactResult(ret)}`;
const deferral: Fields = ([nid, , order, considered, shift, failed]) => `node=${nid} zone=${ZONE} order=${order} order_failed=${failed} consider=${considered} limit=${2 ** (shift ?? 0)}`;
const woken: Fields = ([nid, order]) => `nid=${nid} order=${order} classzone_idx=${ZONE}`;
const zoneRange = ([start, migrate, free, end, sync]: readonly number[]): string =>
  `zone_start=${hex(start)} migrate_pfn=${hex(migrate)} free_pfn=${hex(free)} zone_end=${hex(end)}, mode=${sync === 1 ? 'sync' : 'async'}`;
const migrationPte: Fields = ([addr, pte, order]) => `addr=${unsigned(addr ?? 0)}, pte=${unsigned(pte ?? 0)} order=${order}`;
const migrationPmd: Fields = ([addr, pmd]) => `addr=${unsigned(addr ?? 0)}, pmd=${unsigned(pmd ?? 0)}`;
const scanResult = (status: number | undefined): string => scanResults[status ?? 0] ?? `${status}`;
const host = ([major, minor, ino]: readonly number[]): string => `dev=${major}:${minor} ino=${unsigned(ino ?? 0)}`;
const window: Fields = (values) => {
  const [index, request, order, size, asyncSize, raPages, mmapMiss, prevPos] = values.slice(3);
  return `${host(values)} index=${index} req_count=${request} order=${order} size=${size} async_size=${asyncSize} ra_pages=${raPages} mmap_miss=${mmapMiss} prev_pos=${prevPos}`;
};
const cached: Fields = ([major, minor, ino, pfn, ofs, order]) => `dev ${major}:${minor} ino ${unsigned(ino ?? 0)} pfn=${hex(pfn)} ofs=${ofs} order=${order}`;
/** A flush is of no sector and of no task's priority; all else has that of a task that nobody gave another one. */
const priority = (code: number): string => (rwbs(code, true) === 'FF' ? 'none,0,0' : 'be,0,4');
const bioFields: Fields = ([major, minor, sector, nr, code], comm) => `${major},${minor} ${rwbs(code ?? 0)} ${sector} + ${nr} [${comm}]`;
/** enum wb_reason, as writeback events print it. */
const wbReasons = ['background', 'vmscan', 'sync', 'periodic', 'laptop_timer', 'fs_free_space'];
const wbWork: Fields = ([major, minor, nr, mode, kupdate, cyclic, background, reason]) =>
  `bdi ${major}:${minor}: sb_dev 0:0 nr_pages=${nr} sync_mode=${mode} kupdate=${kupdate} range_cyclic=${cyclic} background=${background} reason=${wbReasons[reason ?? 0] ?? reason} cgroup_ino=1`;
/** Events that Linux prints in another way than name=value. */
const special: Readonly<Record<string, Fields>> = {
  mm_page_alloc: ([pfn, order, type, gfp]) => `pfn=${hex(pfn)} order=${order} migratetype=${type} gfp_flags=${showGfpFlags(gfp ?? 0)}`,
  mm_page_free_batched: ([pfn]) => `pfn=${hex(pfn)} order=0`,
  mm_compaction_begin: zoneRange,
  mm_compaction_end: (values) => `${zoneRange(values)} status=${compactResult(values[5])}`,
  mm_compaction_isolate_migratepages: scanned,
  mm_compaction_isolate_freepages: scanned,
  mm_compaction_try_to_compact_pages: ([order, gfp, prio]) => `order=${order} gfp_mask=${showGfpFlags(gfp ?? 0)} priority=${prio}`,
  mm_compaction_suitable: verdict,
  mm_compaction_finished: verdict,
  mm_compaction_deferred: deferral,
  mm_compaction_defer_compaction: deferral,
  mm_compaction_defer_reset: deferral,
  mm_compaction_kcompactd_wake: woken,
  mm_compaction_wakeup_kcompactd: woken,
  mm_migrate_pages: ([ok, failed, thpOk, thpFailed, thpSplit, split, mode, reason]) =>
    `nr_succeeded=${ok} nr_failed=${failed} nr_thp_succeeded=${thpOk} nr_thp_failed=${thpFailed} nr_thp_split=${thpSplit} nr_split=${split} mode=${migrateModes[mode ?? 0]} reason=${migrateReasons[reason ?? 0]}`,
  mm_migrate_pages_start: ([mode, reason]) => `mode=${migrateModes[mode ?? 0]} reason=${migrateReasons[reason ?? 0]}`,
  set_migration_pte: migrationPte,
  remove_migration_pte: migrationPte,
  set_migration_pmd: migrationPmd,
  remove_migration_pmd: migrationPmd,
  sys_enter: ([, nr, ...args]) => `NR ${nr} (${args.map(unsigned).join(', ')})`,
  sys_exit: ([, nr, ret]) => `NR ${nr} = ${ret}`,
  mm_khugepaged_scan_pmd: ([mm, pfn, referenced, none, status, unmapped]) =>
    `mm=${mm}, scan_pfn=0x${unsigned(pfn ?? 0)}, referenced=${referenced}, none_or_zero=${none}, status=${scanResult(status)}, unmapped=${unmapped}`,
  mm_collapse_huge_page: ([mm, isolated, status]) => `mm=${mm}, isolated=${isolated}, status=${scanResult(status)}`,
  mm_collapse_huge_page_isolate: ([pfn, none, referenced, status]) => `scan_pfn=0x${unsigned(pfn ?? 0)}, none_or_zero=${none}, referenced=${referenced}, status=${scanResult(status)}`,
  mm_filemap_add_to_page_cache: cached,
  mm_filemap_delete_from_page_cache: cached,
  page_cache_sync_ra: window,
  page_cache_async_ra: window,
  page_cache_ra_order: (values) => `${host(values)} index=${values[3]} order=${values[4]} size=${values[5]} async_size=${values[6]} ra_pages=${values[7]}`,
  page_cache_ra_unbounded: (values) => `${host(values)} index=${values[3]} nr_to_read=${values[4]} lookahead_size=${values[5]}`,
  block_bio_queue: bioFields,
  block_bio_backmerge: bioFields,
  block_bio_frontmerge: bioFields,
  block_split: ([major, minor, sector, next, code], comm) => `${major},${minor} ${rwbs(code ?? 0)} ${sector} / ${next} [${comm}]`,
  block_plug: (_values, comm) => `[${comm}]`,
  block_unplug: ([nr], comm) => `[${comm}] ${nr}`,
  block_rq_issue: ([major, minor, sector, nr, code, bytes], comm) => `${major},${minor} ${rwbs(code ?? 0, true)} ${bytes} () ${sector} + ${nr} ${priority(code ?? 0)} [${comm}]`,
  block_rq_complete: ([major, minor, sector, nr, code, error]) => `${major},${minor} ${rwbs(code ?? 0, true)} () ${rwbs(code ?? 0, true) === 'FF' ? unsignedDec(-1) : sector} + ${nr} ${priority(code ?? 0)} [${error}]`,
  writeback_dirty_folio: ([major, minor, ino, index]) => `bdi ${major}:${minor}: ino=${ino} index=${index}`,
  writeback_start: wbWork,
  writeback_written: wbWork,
  balance_dirty_pages: ([major, minor, limit, setpoint, dirty, ratelimit, task, dirtied, dirtiedPause, paused, pause, period, think]) =>
    `bdi ${major}:${minor}: limit=${limit} setpoint=${setpoint} dirty=${dirty} wb_setpoint=${setpoint} wb_dirty=${dirty} dirty_ratelimit=${ratelimit} task_ratelimit=${task} dirtied=${dirtied} dirtied_pause=${dirtiedPause} paused=${paused} pause=${pause} period=${period} think=${think} cgroup_ino=1`,
  rss_stat: ([mmId, curr, member, size]) => `mm_id=${mmId} curr=${curr} type=${members[member ?? 0]} size=${size}B`,
};
/** The fields of an event, as the trace file shows them. */
export const eventFields = (p: Tracepoint, values: readonly number[], comm = ''): string => special[p.name]?.(values, comm) ?? p.format(values);

/** One line of the trace file. @param ns nanoseconds of the modelled clock */
export function ftraceLine(comm: string, tid: number, ns: number, event: string, fields: string): string {
  const micros = Math.floor(ns / 1000);
  const seconds = `${Math.floor(micros / 1e6)}`.padStart(5);
  return `${comm.padStart(16)}-${`${tid}`.padEnd(7)} [000] ..... ${seconds}.${`${micros % 1e6}`.padStart(6, '0')}: ${event}: ${fields}`.trimEnd();
}

export function traceEvents(session: Session, points: readonly Tracepoint[]): Trace {
  const lines: string[] = [];
  const stops = points.map((point) => point.listen((p, values) => {
    const { comm, tid } = currentTask(session);
    lines.push(ftraceLine(comm, tid, session.kernel.uptimeNs(), p.name, eventFields(p, values, comm)));
  }));
  const take = (): string[] => lines.splice(0);
  return {
    take,
    end() {
      for (const stop of stops) stop();
      return take();
    },
  };
}
