import { describe, expect, test } from 'vitest';
import type { StatReport } from '#tools/schema.ts';
import { compareText, percent, statText, thousands } from '#tools/text.ts';
import { handMadeReport } from './fixture.ts';

test('large numbers have separators, shares as many digits as tell small ones apart', () => {
  expect([0, 999, 1000, 1234567, 1e12].map(thousands)).toEqual(['0', '999', '1,000', '1,234,567', '1,000,000,000,000']);
  expect([percent(0, 0), percent(0, 9), percent(1, 8), percent(1, 1000), percent(1, 1e9)]).toEqual(['0 %', '0 %', '12.5 %', '0.10 %', '<0.01 %']);
});

describe('the report as text', () => {
  const text = statText(handMadeReport());
  const lineOf = (label: string): string => text.split('\n').find((l) => l.includes(label)) ?? '';

  test('is a column of numbers with their names and what they mean as a share', () => {
    expect(text.split('\n').slice(3, 7)).toEqual([
      '           1,234,567  instructions',
      '           2,345,678  cycles (modelled)           # 1.90 per instruction',
      '           1,000,000    of TLB hits and walks     # 42.6 %',
      '             111,111    of the kernel             # 4.74 %',
    ]);
    expect(text).toContain('             513,000  lookups\n              13,000  misses                      # 2.53 %, 10.53 MPKI\n');
    expect(lineOf('folios of 64K')).toBe('                   8  folios of 64K');
    expect(lineOf('folios of 16K')).toBe('');
    expect(lineOf('entries of 16 pages')).toBe('                   8    entries of 16 pages');
    expect(lineOf('to 64K pages')).toBe('                   8    to 64K pages');
  });
  test('is plain ASCII of at most 80 columns without blanks at the ends of lines', () => {
    expect(text).toMatch(/^[\n\x20-\x7e]*$/);
    for (const l of text.split('\n')) expect(l.length, l).toBeLessThanOrEqual(80);
    expect(text).not.toMatch(/ \n/);
  });
  test('says how the program ended, what it missed and what is not modelled', () => {
    const ended = (exit: StatReport['exit']): string => statText({ ...handMadeReport(), exit }).split('\n')[1]!;
    expect(ended({ reason: 'exited', status: 3, signal: null })).toContain('exit status 3');
    expect(ended({ reason: 'exited', status: null, signal: 'SIGSEGV' })).toContain('ended by SIGSEGV');
    expect(ended({ reason: 'budget', status: null, signal: null })).toContain('budget used up');
    expect(text).toContain('io_uring_setup, which answered ENOSYS');
    expect(text).toContain('Not modelled: data and instruction caches, a disk.');
  });
  test('an absent level leaves no lines', () => {
    const without = statText({ ...handMadeReport(), tlb: { ...handMadeReport().tlb, l2: null } });
    expect([text.includes('L2 TLB'), without.includes('L2 TLB')]).toEqual([true, false]);
  });
});

test('a comparison shows every column with its change against the first', () => {
  const base = handMadeReport();
  const other: StatReport = { ...base, clock: { ...base.clock, cycles: 1_172_839 }, faults: { ...base.faults, minor: 990 }, thp: { 'hugepages-16kB': { anon_fault_alloc: 5 } } };
  const text = compareText({
    schema: 'quire.compare/1', sameOutput: true, columns: [{ title: '4K pages', meaning: 'one', report: base }, { title: 'merged', meaning: 'two', report: other }],
  });
  expect(text).toBe([
    ' gups --words 4096: skylake TLBs, 512M RAM, Sv39',
    ' It printed the same in every run.',
    '',
    ' 4K pages     one',
    ' merged       two',
    '',
    '                       4K pages               merged',
    ' instructions         1,234,567    1,234,567       =',
    ' cycles               2,345,678    1,172,839  -50.0%',
    ' L1 D TLB misses         13,000       13,000       =',
    ' L2 TLB misses            2,407        2,407       =',
    ' page walks               2,407        2,407       =',
    ' PTE reads                2,500        2,500       =',
    ' coalesced fills              8            8       =',
    ' page faults                 99          990   x10.0',
    ' 16K folios                   0            5     new',
    ' 64K folios                   8            0 -100.0%',
    '',
  ].join('\n'));
});
