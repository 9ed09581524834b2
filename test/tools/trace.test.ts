// The line formats of traces, against lines that the real tools printed.
import { describe, expect, test } from 'vitest';
import { tracepoint, tracepoints } from '#base';
import '#kernel'; // declares its tracepoints
import { flagNames } from '#tools/trace/flags.ts';
import { eventFields, eventsNamed, ftraceLine, showGfpFlags } from '#tools/trace/ftrace.ts';
import { quoteBytes } from '#tools/trace/peek.ts';
import { perfFaultLine } from '#tools/trace/perf.ts';

test('a page fault prints as perf 6.1 printed it on Linux 6.18', () => {
  // perf trace -F all --no-syscalls true
  expect(perfFaultLine({ ns: 322_000, comm: 'true', tid: 10298, major: false, ip: 0x1ab70, place: '/usr/lib/ld.so@0x1ab70', fromKernel: false }))
    .toBe('     0.322 ( 0.000 ms): true/10298 minfault [0x1ab70] => /usr/lib/ld.so@0x1ab70 (d.)');
  // perf trace -F all --no-syscalls python3 -c 'x=bytearray(30<<20)'
  expect(perfFaultLine({ ns: 228_649_000, comm: 'python3', tid: 13300, major: false, ip: 0x7a, place: '//anon@0x7fccece28000', fromKernel: false }))
    .toBe('   228.649 ( 0.000 ms): python3/13300 minfault [0x7a] => //anon@0x7fccece28000 (d.)');
});

describe('ftrace lines', () => {
  // Held against `print fmt` of /sys/kernel/tracing/events/{kmem,compaction,migrate}/*/format of Linux 6.18.
  test('events of kmem, compaction and migrate print as Linux 6.18 prints them, but for addresses of page records', () => {
    const lines = Object.entries({
      mm_page_alloc: [0x80012, 0, 1, 0x10_0dca], mm_page_free_batched: [0x80012], mm_page_alloc_zone_locked: [0x80012, 3, 1, 1], mm_page_pcpu_drain: [0x80012, 0, 1],
      mm_page_alloc_extfrag: [0x80200, 0, 9, 9, 0, 1, 0, 1],
      mm_compaction_begin: [0x80000, 0x80010, 0x87e00, 0x88000, 0], mm_compaction_end: [0x80000, 0x80200, 0x87e00, 0x88000, 1, 8],
      mm_compaction_isolate_migratepages: [0x80000, 0x80020, 32, 30], mm_compaction_migratepages: [30, 2],
      mm_compaction_try_to_compact_pages: [9, 0x1c_24ca, 2], mm_compaction_suitable: [0, 0, 9, 4], mm_compaction_defer_compaction: [0, 0, 9, 0, 3, 9],
      mm_compaction_kcompactd_sleep: [0], mm_compaction_wakeup_kcompactd: [0, 9, 0],
      mm_migrate_pages: [30, 2, 0, 0, 0, 1, 1, 0], mm_migrate_pages_start: [2, 0], set_migration_pte: [0x3f_0000_0000, 0x2000_0d7, 0], remove_migration_pmd: [0x3f_0020_0000, 0xc7],
    }).map(([name, values]) => `${name}: ${eventFields(tracepoints().get(name)!, values)}`);
    expect(lines).toEqual([
      'mm_page_alloc: pfn=0x80012 order=0 migratetype=1 gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_ZERO', 'mm_page_free_batched: pfn=0x80012 order=0',
      'mm_page_alloc_zone_locked: pfn=0x80012 order=3 migratetype=1 percpu_refill=1', 'mm_page_pcpu_drain: pfn=0x80012 order=0 migratetype=1',
      'mm_page_alloc_extfrag: pfn=0x80200 alloc_order=0 fallback_order=9 pageblock_order=9 alloc_migratetype=0 fallback_migratetype=1 fragmenting=0 change_ownership=1',
      'mm_compaction_begin: zone_start=0x80000 migrate_pfn=0x80010 free_pfn=0x87e00 zone_end=0x88000, mode=async',
      'mm_compaction_end: zone_start=0x80000 migrate_pfn=0x80200 free_pfn=0x87e00 zone_end=0x88000, mode=sync status=success',
      'mm_compaction_isolate_migratepages: range=(0x80000 ~ 0x80020) nr_scanned=32 nr_taken=30', 'mm_compaction_migratepages: nr_migrated=30 nr_failed=2',
      'mm_compaction_try_to_compact_pages: order=9 gfp_mask=GFP_TRANSHUGE priority=2', 'mm_compaction_suitable: node=0 zone=Normal   order=9 ret=continue',
      'mm_compaction_defer_compaction: node=0 zone=Normal   order=9 order_failed=9 consider=0 limit=8',
      'mm_compaction_kcompactd_sleep: nid=0', 'mm_compaction_wakeup_kcompactd: nid=0 order=9 classzone_idx=Normal  ',
      'mm_migrate_pages: nr_succeeded=30 nr_failed=2 nr_thp_succeeded=0 nr_thp_failed=0 nr_thp_split=0 nr_split=1 mode=MIGRATE_SYNC_LIGHT reason=compaction',
      'mm_migrate_pages_start: mode=MIGRATE_SYNC reason=compaction', 'set_migration_pte: addr=3f00000000, pte=20000d7 order=0', 'remove_migration_pmd: addr=3f00200000, pmd=c7',
    ]);
  });
  // Held against `print fmt` of events/{filemap,readahead,block,writeback}/*/format of Linux 6.18, and lines of ext4 on a loop device there.
  test('events of the page cache and of disks print as Linux 6.18 prints them', () => {
    const [flush, syncWrite, metaRead, readahead] = [2 + 16, 1 + 16, 0 + 32, 0 + 8];
    const lines = ([
      ['mm_filemap_add_to_page_cache', [7, 0, 12, 0x11d393, 12288, 0]], ['mm_filemap_delete_from_page_cache', [0, 3, 0x700000, 0x1d68e0, 0, 2]],
      ['page_cache_sync_ra', [7, 0, 12, 0, 32, 0, 0, 0, 1280, 0, -1]], ['page_cache_async_ra', [7, 0, 12, 32, 32, 0, 128, 96, 1280, 0, 131072]],
      ['page_cache_ra_order', [7, 0, 12, 128, 2, 256, 256, 1280]], ['page_cache_ra_unbounded', [254, 0, 0x3fa2b, 0, 15, 512]],
      ['block_bio_queue', [7, 0, 65408, 8, readahead]], ['block_bio_queue', [7, 0, 0, 0, flush]], ['block_rq_issue', [7, 0, 2, 2, syncWrite, 1024]], ['block_rq_issue', [7, 0, 0, 0, flush, 0]],
      ['block_rq_complete', [7, 0, 516, 2, metaRead, 0]], ['block_rq_complete', [7, 0, 0, 0, flush, 0]],
      ['writeback_dirty_folio', [7, 0, 7340032, 65]], ['writeback_start', [7, 0, 2047, 0, 0, 1, 0, 2]],
      ['balance_dirty_pages', [254, 0, 1000, 750, 700, 102400, 51200, 32, 64, 0, 10, 12, 2]], ['global_dirty_state', [87, 0, 576448, 1154307, 160220, 21273448, 20327151]],
    ] as const).map(([name, values]) => `${name}: ${eventFields(tracepoints().get(name)!, values, 'sh')}`);
    expect(lines).toEqual([
      'mm_filemap_add_to_page_cache: dev 7:0 ino c pfn=0x11d393 ofs=12288 order=0', 'mm_filemap_delete_from_page_cache: dev 0:3 ino 700000 pfn=0x1d68e0 ofs=0 order=2',
      'page_cache_sync_ra: dev=7:0 ino=c index=0 req_count=32 order=0 size=0 async_size=0 ra_pages=1280 mmap_miss=0 prev_pos=-1',
      'page_cache_async_ra: dev=7:0 ino=c index=32 req_count=32 order=0 size=128 async_size=96 ra_pages=1280 mmap_miss=0 prev_pos=131072',
      'page_cache_ra_order: dev=7:0 ino=c index=128 order=2 size=256 async_size=256 ra_pages=1280', 'page_cache_ra_unbounded: dev=254:0 ino=3fa2b index=0 nr_to_read=15 lookahead_size=512',
      'block_bio_queue: 7,0 RA 65408 + 8 [sh]', 'block_bio_queue: 7,0 FWS 0 + 0 [sh]', 'block_rq_issue: 7,0 WS 1024 () 2 + 2 be,0,4 [sh]', 'block_rq_issue: 7,0 FF 0 () 0 + 0 none,0,0 [sh]',
      'block_rq_complete: 7,0 RM () 516 + 2 be,0,4 [0]', 'block_rq_complete: 7,0 FF () 18446744073709551615 + 0 none,0,0 [0]',
      'writeback_dirty_folio: bdi 7:0: ino=7340032 index=65',
      'writeback_start: bdi 7:0: sb_dev 0:0 nr_pages=2047 sync_mode=0 kupdate=0 range_cyclic=1 background=0 reason=sync cgroup_ino=1',
      'balance_dirty_pages: bdi 254:0: limit=1000 setpoint=750 dirty=700 wb_setpoint=750 wb_dirty=700 dirty_ratelimit=102400 task_ratelimit=51200 dirtied=32 dirtied_pause=64 paused=0 pause=10 period=12 think=2 cgroup_ino=1',
      'global_dirty_state: dirty=87 writeback=0 bg_thresh=576448 thresh=1154307 limit=160220 dirtied=21273448 written=20327151',
    ]);
  });
  test('gfp_flags print as names, whole masks first', () => {
    expect([0, 0xcc0, 0x820, 0x40_0dc0, 0x1c_20ca, 0x1c_2cca, 0x10_0cca, 0x1d_24ca].map(showGfpFlags)).toEqual(['none', 'GFP_KERNEL', 'GFP_ATOMIC', 'GFP_KERNEL_ACCOUNT|__GFP_ZERO',
      'GFP_TRANSHUGE_LIGHT', 'GFP_TRANSHUGE|__GFP_KSWAPD_RECLAIM', 'GFP_HIGHUSER_MOVABLE', 'GFP_TRANSHUGE|__GFP_NORETRY']);
  });
  test('a task, a time in seconds and the event', () => {
    expect(ftraceLine('gups', 2, 33_060_025_999, 'mm_page_free', 'pfn=0x80012 order=4'))
      .toBe('            gups-2       [000] .....    33.060025: mm_page_free: pfn=0x80012 order=4');
  });
  test('system calls and resident sets print as Linux prints them', () => {
    const [enter, exit, rss] = ['sys_enter', 'sys_exit', 'rss_stat'].map((name) => eventsNamed([name])[0]!);
    expect(eventFields(enter!, [2, 222, 0, 4096, 3, 34, -1, 0])).toBe('NR 222 (0, 1000, 3, 22, ffffffffffffffff, 0)');
    expect(eventFields(exit!, [2, 222, -12])).toBe('NR 222 = -12');
    expect(eventFields(rss!, [7, 1, 1, 106496])).toBe('mm_id=7 curr=1 type=MM_ANONPAGES size=106496B');
  });
  test('events are named alone, with their system, by system, or all', () => {
    const [a, b] = [tracepoint('test_alpha', 'testing', {}), tracepoint('test_beta', 'testing', {})];
    expect(eventsNamed(['test_alpha'])).toEqual([a]);
    expect(eventsNamed(['testing:test_beta'])).toEqual([b]);
    expect(eventsNamed(['testing'])).toEqual([a, b]);
    expect(eventsNamed(['testing:*', 'test_alpha'])).toEqual([a, b]);
    expect(eventsNamed(['all'])).toEqual(expect.arrayContaining([a, b]));
    expect(() => eventsNamed(['test_alpha', 'test_gamma'])).toThrow('-e test_gamma: no such event.');
  });
});

describe('strace values', () => {
  test.each([
    ['prot', 0, 'PROT_NONE'], ['prot', 3, 'PROT_READ|PROT_WRITE'], ['prot', 0x8001, 'PROT_READ|0x8000'],
    ['mmap-flags', 0x22, 'MAP_PRIVATE|MAP_ANONYMOUS'], ['mmap-flags', 0x100032, 'MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS|MAP_FIXED_NOREPLACE'],
    ['clone-flags', 0x01200011, 'CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD'], ['clone-flags', 17, 'SIGCHLD'], ['clone-flags', 0, '0'],
    ['futex-op', 0x189, 'FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME'], ['madvice', 4, 'MADV_DONTNEED'], ['madvice', 99, '99'],
    ['open', 0o2001101, 'O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC'],
  ])('%s %i prints as %s', (kind, value, text) => expect(flagNames(kind, value)).toBe(text));
  test('advice and flags of files print as strace 6.1 prints them', () => {
    expect([0, 4, 5, 6].map((v) => flagNames('fadvice', v))).toEqual(['POSIX_FADV_NORMAL', 'POSIX_FADV_DONTNEED', 'POSIX_FADV_NOREUSE', '0x6 /* POSIX_FADV_??? */']);
    expect([0, 2, 7, 8].map((v) => flagNames('sync-range', v))).toEqual(['0', 'SYNC_FILE_RANGE_WRITE', 'SYNC_FILE_RANGE_WAIT_BEFORE|SYNC_FILE_RANGE_WRITE|SYNC_FILE_RANGE_WAIT_AFTER', '0x8 /* SYNC_FILE_RANGE_??? */']);
    expect([0, 3, 0x11, 0x80].map((v) => flagNames('falloc', v))).toEqual(['0', 'FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE', 'FALLOC_FL_KEEP_SIZE|FALLOC_FL_ZERO_RANGE', '0x80 /* FALLOC_FL_??? */']);
  });
  test('data is quoted as strace 6.1 quotes it', () => {
    expect(quoteBytes(new TextEncoder().encode('a"b\\c\n\t'))).toBe('"a\\"b\\\\c\\n\\t"');
    expect(quoteBytes(Uint8Array.of(0, 0x31, 0, 0x78, 0xff))).toBe('"\\0001\\0x\\377"');
  });
});
