// The line formats of traces, against lines that the real tools printed.
import { describe, expect, test } from 'vitest';
import { tracepoint } from '#base';
import '#kernel'; // declares its tracepoints
import { flagNames } from '#tools/trace/flags.ts';
import { eventFields, eventsNamed, ftraceLine } from '#tools/trace/ftrace.ts';
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
  test('data is quoted as strace 6.1 quotes it', () => {
    expect(quoteBytes(new TextEncoder().encode('a"b\\c\n\t'))).toBe('"a\\"b\\\\c\\n\\t"');
    expect(quoteBytes(Uint8Array.of(0, 0x31, 0, 0x78, 0xff))).toBe('"\\0001\\0x\\377"');
  });
});
