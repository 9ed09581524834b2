// quire why for evictions, and quire mm lru: what they say of a run, as data and as text.
import { describe, expect, test } from 'vitest';
import { boot } from '#tools/boot.ts';
import type { Session } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { evictionsText } from '#tools/evictions.ts';
import { prepare } from '#tools/guest.ts';
import { lruListing, lruReport, lruText } from '#tools/lru.ts';
import { type OptionGroup, parseCommandLine } from '#tools/options.ts';
import { pieceText, WhyLog } from '#tools/why.ts';
import { quire } from '../support/cli.ts';

const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs'];
const program = ['--memory-max', '1536K', '--swap', '32M', '--mem', '32M', '--', 'hotscan', '--hot', '512K', '--cold', '3M', '--uses', '100'];
function watch(where: number | null, ...words: string[]) {
  const { values, rest } = parseCommandLine('why', groups, words);
  let log: WhyLog | null = null;
  const session = boot(prepare(values, rest, NO_TERMINAL), (created) => {
    log = new WhyLog(created, where);
    return null;
  });
  while (session.step(500_000) === 'running') log!.gather();
  const pieces = log!.look(where) ?? [];
  const { evictions } = log!;
  log!.end();
  return { session, pieces, evictions };
}

describe.each(['two-list', 'mglru', 'clock'])('evictions by %s', (policy) => {
  test('are told by whose pages they were; every one is counted', () => {
    const { session, evictions } = watch(null, '--lru', policy, ...program);
    const { vmstat } = session.kernel.system;
    const sum = (of: (row: (typeof evictions.owners)[number]) => number): number => evictions.owners.reduce((all, row) => all + of(row), 0);
    expect(sum(({ evictions: n }) => n)).toBe(vmstat.get('pgsteal_anon') + vmstat.get('pgsteal_file'));
    expect(sum(({ returns }) => returns)).toBe(vmstat.get('workingset_refault_anon') + vmstat.get('workingset_refault_file'));
    expect(Object.values(evictions.standings).reduce((a, b) => a + b, 0)).toBe(sum(({ evictions: n }) => n));
    expect(evictions.owners[0]).toMatchObject({ pages: 896 });
    const text = evictionsText(evictions).join('\n');
    expect(text).toMatch(/^ +896 +[\d,]+ +[\d,]+ +[\d,]+ {2}\[anon\] 0x3f[\da-f]+-0x3f[\da-f]+$/m);
    expect(text).toMatch({ 'two-list': /inactive_anon/, mglru: /the oldest generation; tier 0/, clock: /held by clock/ }[policy]!);
  });
});
test('a page that was evicted says by whom, from where, last seen when, and how far away it was when it came back', () => {
  const { pieces } = watch(null, ...program);
  const swapped = pieces.find(({ backing, eviction }) => backing.what === 'in swap' && eviction !== null && eviction.times > 1)!;
  const back = pieces.find(({ backing, eviction }) => backing.what === 'anonymous folio' && eviction?.back != null)!;
  const text = pieceText(swapped).join('\n');
  expect(text).toContain('The page is in swap');
  expect(text).toMatch(/^ {2}evicted \d+ times, last at cycle \d+ \(instruction \d+\), for the limit of \/quire, by two-list$/m);
  expect(text).toMatch(/^ {4}it stood: inactive_anon(, referenced)?$/m);
  expect(text).toMatch(/^ {4}last seen in use at cycle \d+, by its accessed bit$/m);
  expect(text).toMatch(/^ {4}it has not come back$/m);
  expect(pieceText(back).join('\n')).toMatch(/^ {4}back at cycle \d+ \(instruction \d+\): refault distance [\d,]+, pages evicted in between$/m);
  // The same page, asked for by its address.
  const [same] = watch(swapped.start + 5, ...program).pieces;
  expect(same!.eviction).toEqual(swapped.eviction);
});
test('of a run in which memory was never short, that is said', () => {
  expect(evictionsText(watch(null, '--', 'hello').evictions)).toEqual([expect.stringMatching(/^Nothing was evicted/)]);
});

describe('mm lru', () => {
  const at = (instructions: number, policy: string): Session => {
    const { values, rest } = parseCommandLine('mm', groups, ['--lru', policy, ...program]);
    const session = boot(prepare(values, rest, NO_TERMINAL));
    session.step(instructions);
    return session;
  };
  test.each(['two-list', 'mglru', 'fifo'])('lists of %s add up to what /proc/vmstat says', (policy) => {
    const session = at(1_000_000, policy);
    const { vmstat } = session.kernel.system;
    const { groups: listed } = lruListing(session);
    expect(listed.map(({ path }) => path)).toEqual(['/', '/quire']);
    const pages = (key: 'anonPages' | 'filePages'): number => listed.reduce((sum, { lists }) => sum + lists.reduce((n, list) => n + list[key], 0), 0);
    expect(pages('anonPages')).toBe(vmstat.get('nr_active_anon') + vmstat.get('nr_inactive_anon'));
    expect(pages('filePages')).toBe(vmstat.get('nr_active_file') + vmstat.get('nr_inactive_file'));
    expect(listed[1]!.lists.reduce((n, { anonPages }) => n + anonPages, 0)).toBeGreaterThan(200);
  });
  test('generations are told with their ages, oldest first', () => {
    const session = at(1_000_000, 'mglru');
    const report = lruReport(session, { end: 'exited', wallSeconds: 0, stdinSha256: null }, 'quire', lruListing(session));
    const { lists } = report.groups[1]!;
    const ages = lists.map(({ ageMs }) => ageMs!);
    expect(ages).toEqual([...ages].sort((a, b) => b - a));
    expect(lruText(report)).toMatch(/^ {3}generation \d+ +[\d,]+ ms +(\.|[\d,]+) +(\.|[\d,]+) +\. +\.$/m);
    expect(lruText(report)).toMatch(/^ \/quire: 1[\d]+K in use of 1536K, mglru$/m);
  });
  test('--at looks in the middle of a run and ends it there', () => {
    const ended = quire(['mm', 'lru', '--at', '1M', '--json', ...program]);
    expect(ended.status).toBe(0);
    expect(JSON.parse(ended.stdout)).toMatchObject({ schema: 'quire.lru/1', instructions: 1_000_000 });
    expect(quire(['mm', 'lru', '--at', '1M', '--max-insn', '2M', '--', 'hello']).stderr).toMatch(/both say where the run ends/);
  });
});
