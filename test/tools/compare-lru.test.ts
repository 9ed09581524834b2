// quire compare --lru: policies side by side, where their runs part, and the curves.
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { curvesSvg, ticksTo } from '#tools/curves.ts';
import { boot } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { EventWatch, lruCompareText } from '#tools/lru-compare.ts';
import type { EventLog, PolicyComparison } from '#tools/lru-compare.ts';
import { type OptionGroup, parseCommandLine } from '#tools/options.ts';
import { checkStat } from '#tools/schema.ts';
import { quire, scratch } from '../support/cli.ts';
import { handMadeReport } from './fixture.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const program = ['--swap', '32M', '--mem', '32M', '--', 'hotscan', '--hot', '512K', '--cold', '2M', '--uses', '20'];

describe('one command', () => {
  const svg = host.path('curves.svg');
  const ended = quire(['compare', '--lru', 'two-list,clock,opt', '--mem-sweep', '1M,2M', '--json', '--svg', svg, ...program]);
  test('runs the program once for each policy and limit; it prints the same every time', () => {
    expect(ended.status, ended.stderr).toBe(0);
    const result = JSON.parse(ended.stdout) as PolicyComparison;
    expect(result).toMatchObject({ schema: 'quire.compare-lru/1', policies: ['two-list', 'clock', 'opt'], limits: [2 ** 20, 2 ** 21], sameOutput: true, refused: [] });
    expect(result.runs.map(({ policy, memoryMax }) => `${policy} ${memoryMax! / 2 ** 20}M`)).toEqual(['two-list 1M', 'clock 1M', 'opt 1M', 'two-list 2M', 'clock 2M', 'opt 2M']);
    for (const { report, policy, memoryMax } of result.runs) {
      expect(checkStat(report)).toEqual([]);
      expect(report.config).toMatchObject({ lru: { policy }, memoryMax });
      expect(report.memcg!.peakBytes).toBeLessThanOrEqual(memoryMax!);
    }
    const major = (policy: string, limit: number): number => result.runs.find((run) => run.policy === policy && run.memoryMax === limit)!.report.faults.major;
    for (const limit of [2 ** 20, 2 ** 21]) for (const policy of ['two-list', 'clock']) expect(major('opt', limit)).toBeLessThanOrEqual(major(policy, limit));
    expect(result.runs.filter(({ divergence }) => divergence === null).map(({ policy }) => policy)).toEqual(['two-list', 'two-list']);
    expect(ended.stderr).toMatch(/^hotscan: 524288 bytes hot/);
    expect(ended.stderr.match(/checksum/g)?.length).toBe(1);
  });
  test('draws a line for each policy, in both panels', () => {
    const picture = readFileSync(svg, 'utf8');
    expect(picture.match(/<polyline class="line c\d"/g)?.length).toBe(2 * 3 * 2); // with the legend's
    for (const text of ['two-list', 'clock', 'opt', '1M', '2M', 'Major faults', 'memory of the group', 'prefers-color-scheme: dark']) expect(picture).toContain(text);
    expect(picture).not.toMatch(/NaN|Infinity|undefined/);
  });
  test('the same comparison as text', () => {
    const text = lruCompareText(JSON.parse(ended.stdout) as PolicyComparison);
    expect(text).toMatch(/^ hotscan --hot 512K --cold 2M --uses 20: 32M RAM, 32M swap\n It printed the same in every run\.\n/);
    expect(text).toMatch(/^ opt +[\d,]+ +-[\d.]+% +[\d,]+ +\d\.\d\d +[\d,]+ +[\d,]+ +[\d,]+ +[\d.]+$/m);
    expect(text).toMatch(/^ {3}clock (evicts|faults).*, where two-list (evicts|faults).*; instruction [\d,]+$/m);
    expect(text).toMatch(/^ Major faults +two-list +clock +opt\n 1M +[\d,]+ +[\d,]+ +[\d,]+\n 2M /m);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(125);
  });
});

describe('where runs part', () => {
  const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs'];
  const follow = (lru: string, other: EventLog | null, ...words: string[]): EventWatch => {
    const { values, rest } = parseCommandLine('compare', groups, ['--lru', lru, '--memory-max', '1M', ...words, ...program]);
    let watch: EventWatch | null = null;
    const session = boot(prepare(values, rest, NO_TERMINAL), (created) => {
      watch = new EventWatch(created, other);
      return null;
    });
    while (session.step(10_000_000) === 'running');
    watch!.end();
    return watch!;
  };
  const first = follow('fifo', null);
  test('a run parts from itself nowhere', () => {
    expect(first.log.length).toBeGreaterThan(500);
    expect(follow('fifo', first.log).divergence).toBeNull();
  });
  test('another policy parts at the first page that it chose otherwise', () => {
    const { divergence } = follow('random', first.log);
    expect(divergence).toMatchObject({ here: expect.stringMatching(/^evicts (0x[\da-f]+ of|page \d+ of) /), there: expect.stringMatching(/^evicts (0x[\da-f]+ of|page \d+ of) /) });
    expect(divergence!.here).not.toBe(divergence!.there);
  });
  test('another seed parts later than another policy', () => {
    const seeds = follow('random', follow('random', null).log, '--seed', '2');
    expect(seeds.divergence!.instructions).toBeGreaterThanOrEqual(follow('random', first.log).divergence!.instructions);
  });
});

test('a policy that cannot be compared is left out, and says why', () => {
  const ended = quire(['compare', '--lru', 'fifo,opt', '--memory-max', '2M', '--mem', '64M', '--swap', '32M', '--', 'kv']);
  expect(ended.stdout).toMatch(/^ fifo /m);
  expect(ended.stdout).toMatch(/^ opt: the program did not do the same twice/m);
});
test('a run that ended by want of memory says so', () => {
  const killed = { ...handMadeReport(), vmstat: { oom_kill: 1 }, exit: { reason: 'exited', status: null, signal: 'SIGKILL' } };
  const text = lruCompareText({ schema: 'quire.compare-lru/1', tool: '', program: { argv: ['x'], sha256: '' }, policies: ['fifo'], limits: [null], sameOutput: true, refused: [], runs: [{ policy: 'fifo', memoryMax: null, report: killed, divergence: null }] });
  expect(text).toMatch(/^ fifo .* {2}killed: no memory$/m);
});

describe('the picture', () => {
  test('its axis begins at nothing, ends above the largest value, and has round numbers', () => {
    for (const most of [1, 3, 7, 10, 99, 101, 2500, 13_532, 1_000_000]) {
      const ticks = ticksTo(most);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(most);
      expect(ticks.length).toBeLessThanOrEqual(10);
      expect(Number.isInteger(ticks[1]!)).toBe(true);
    }
    expect(ticksTo(0)).toEqual([0, 1]);
  });
  test('names are text, whatever they hold, and one size alone is drawn as well', () => {
    const picture = curvesSvg('a & b', [{ title: '<t>', curves: [{ name: 'x"<', points: [{ bytes: 2 ** 20, value: 0 }] }] }]);
    expect(picture).toContain('a &amp; b');
    expect(picture).toContain('x&quot;&lt;');
    expect(picture).not.toMatch(/NaN|<t>/);
  });
});

describe('what is refused, with what to write instead', () => {
  test.each<[readonly string[], RegExp]>([
    [['--lru', 'fifo,fifo'], /fifo stands there twice/],
    [['--lru', 'fifo,cloc'], /--lru cloc: not a policy\. Did you mean clock\?/],
    [['--mem-sweep', '1M,2M'], /--mem-sweep: it compares reclaim policies\. Write them, as in --lru/],
    [['--lru', 'fifo,clock', '--svg', 'x.svg'], /--svg: a curve needs several memory sizes/],
    [['--lru', 'fifo', '--mem-sweep', '1M,2M', '--memory-max', '1M'], /both limit the program's memory/],
    [['--lru', 'fifo', '--mem-sweep', '1M,2Q'], /--mem-sweep 1M,2Q: not a list of sizes\. Write sizes with commas between/],
    [['--lru', 'fifo', '--mem-sweep', '1M,4K'], /--mem-sweep 4K: no program starts in so little/],
  ])('%j', (words, pattern) => {
    const ended = quire(['compare', ...words, '--', 'hello']);
    expect(ended.status).toBe(2);
    expect(ended.stderr).toMatch(pattern);
    expect(existsSync('x.svg')).toBe(false);
  });
});
