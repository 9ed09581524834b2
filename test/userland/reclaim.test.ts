// userland/programs/reclaim.c where memory is not short: what it checks, and that its answer depends on the parameters alone. What it says of reclaim
// is compared with a real Linux by userland/compare-reclaim.mjs, whose verdicts are tested here too.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runGuest } from '../support/run-guest.ts';

const size = '--size 1M --hot 200K --window 300K --phase 800 --touches 5000 --seed 7';
const sh = (script: string): { stdout: string; stderr: string; status: number } => {
  const { stdout, stderr, status } = runGuest(['--', 'sh', '-c', script]);
  return { stdout, stderr, status };
};

describe('reclaim', () => {
  test.each(['zipf', 'loop', 'hotscan', 'phases'])('%s reads and writes the same words in a mapped file as in anonymous memory', (pattern) => {
    const common = `--pattern ${pattern} ${size} --verify 1`;
    const { stdout, stderr, status } = sh(`reclaim ${common}; reclaim --memory file --file /tmp/f --fill 1 ${common}`);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    const [anon, anonSum, file, fileSum] = stdout.split('\n');
    expect(file).toBe(anon!.replace('anon', 'file'));
    expect(fileSum).toBe(anonSum);
  });

  test('without --fill a file is read as an earlier run has left it', () => {
    const file = '--memory file --file /tmp/f';
    const { stdout, status } = sh(`reclaim ${file} ${size} --fill 1 --touches 0 && reclaim ${file} ${size} && reclaim ${file} ${size} --verify 1 && reclaim ${size}`);
    expect(status).toBe(0);
    const sums = stdout.split('\n').filter((line) => line.startsWith('checksum'));
    expect(sums[1]).toBe(sums[3]);  // the first to touch what was filled reads what anonymous memory holds
    expect(sums[2]).not.toBe(sums[1]);  // the next finds the writes of the one before
  });

  test('--verify names the page that holds something else, and ends with status 1', () => {
    const { stderr, status } = sh(`reclaim --memory file --file /tmp/f ${size} --write 0 --verify 1`);
    expect(stderr).toMatch(/^reclaim: page 0 holds 0{16}, which must begin with [0-9a-f]{8}\.\n$/);
    expect(status).toBe(1);
    // The file of another seed: the hash of each page is another one.
    const other = sh(`reclaim --memory file --file /tmp/f ${size} --fill 1 --touches 0; reclaim --memory file --file /tmp/f ${size} --seed 8 --write 0 --verify 1`);
    expect({ stderr: other.stderr.replace(/[0-9a-f]{8,16}/g, '#'), status: other.status }).toEqual({ stderr: 'reclaim: page 0 holds #, which must begin with #.\n', status: 1 });
  });

  test.each([
    ['--hot 1M --pattern hotscan --size 1M', '--hot: must be less than --size.'],
    ['--window 2M --pattern phases --size 1M', '--window: must not be more than --size.'],
    ['--memory swap', '--memory swap: must be anon or file.'],
    ['--memory file --file /nowhere/f', '/nowhere/f: No such file or directory.'],
  ])('%s is refused', (words, sentence) => {
    expect(sh(`reclaim ${words}`)).toEqual({ stdout: '', stderr: `reclaim: ${sentence}\n`, status: 1 });
  });

  test('--hold waits for a byte, or for the end of the input', () => {
    expect(sh(`echo | reclaim ${size} --hold 1; reclaim ${size} --hold 1 < /dev/null`).stdout).toBe(sh(`reclaim ${size}; reclaim ${size}`).stdout);
  });
});

interface Answer { readonly runs: number; readonly killed: number; readonly output: string[]; readonly stat: Readonly<Record<string, number[]>> }
interface Golden { readonly argv: string[]; readonly settings: { readonly lruGenEnabled: Readonly<Record<string, string>> }; readonly answers: Readonly<Record<string, Readonly<Record<string, Answer>>>> }
const folder = join(import.meta.dirname, '../golden/reclaim');
const goldens = readdirSync(folder).map((name) => [name.replace(/-linux-.*/, ''), JSON.parse(readFileSync(join(folder, name), 'utf8')) as Golden] as const);

describe('what Linux counted', () => {
  test.each(goldens)('%s: MGLRU did not use the accessed bits of upper tables, which the machine has not', (_, { settings }) => {
    expect(settings.lruGenEnabled).toEqual({ 'two-list': 'n', mglru: '3' });
  });
  test.each(goldens)('%s: every run printed one thing, and what was scanned, stolen and faulted fits together', (_, { answers }) => {
    expect(Object.keys(answers)).toEqual(['two-list', 'mglru']);
    const outputs = new Map<string, string>();
    for (const seeds of Object.values(answers))
      for (const [seed, { runs, killed, output, stat }] of Object.entries(seeds)) {
        expect(output.join(' ')).toMatch(/ checksum [0-9a-f]{16}$/);
        expect(outputs.get(seed) ?? output.join()).toBe(output.join());
        outputs.set(seed, output.join());
        for (let run = 0; run < runs - killed; run++) {
          const of = (name: string): number => stat[name]?.[run] ?? 0;
          expect(of('pgscan')).toBeGreaterThanOrEqual(of('pgsteal'));
          expect(of('pgscan')).toBe(of('pgscan_direct'));  // no kswapd: the machine has memory enough, only the group has not
          expect(of('pgfault')).toBeGreaterThanOrEqual(of('pgmajfault'));
          expect(of('pgsteal') + 64).toBeGreaterThanOrEqual(of('workingset_refault_anon') + of('workingset_refault_file'));
          expect(of('anon') + of('file') + of('kernel')).toBeLessThanOrEqual(64 << 20);
        }
      }
  });
  // What the program prints natively on Linux is what it prints in the machine.
  test.each(goldens.filter(([, { argv }]) => !argv.includes('file')))('%s prints the same here', (_, { argv, answers }) => {
    const { output } = answers['mglru']!['1']!;
    expect(runGuest(['--', ...argv, '--seed', '1']).stdout.trimEnd().split('\n')).toEqual(output);
  });
});

describe('userland/compare-reclaim.mjs', () => {
  type Mine = Record<string, Record<string, { output: string[]; stat: Record<string, number> }>>;
  /** Linux's first runs, as if they were Quire's. */
  const linux = (): Mine => Object.fromEntries(goldens.map(([name, { answers }]) => [name, Object.fromEntries(Object.entries(answers).map(([policy, seeds]) => {
    const { output, stat } = seeds['1']!;
    return [policy, { output, stat: Object.fromEntries(Object.entries(stat).map(([counter, values]) => [counter, values[0]!])) }];
  }))]));
  function verdict(mine: Mine): { stdout: string; status: number | null } {
    const temporary = mkdtempSync(join(tmpdir(), 'reclaim-test-'));
    try {
      writeFileSync(join(temporary, 'mine.json'), JSON.stringify(mine));
      const { stdout, status } = spawnSync(process.execPath, [join(import.meta.dirname, '../../userland/compare-reclaim.mjs'), '--results', join(temporary, 'mine.json')], { encoding: 'utf8' });
      return { stdout, status };
    } finally {
      rmSync(temporary, { recursive: true });
    }
  }
  test('Linux itself passes, in all six workloads and the others', () => {
    const { stdout, status } = verdict(linux());
    expect(stdout.split('\n').filter((line) => /[A-Z]{4}/.test(line))).toEqual([]);
    expect(status).toBe(0);
  });
  test.each([
    ['pgmajfault', 1.2, 'MORE THAN 15 %'], ['workingset_refault_anon', 0.8, 'MORE THAN 15 %'], ['pgscan', 1.35, 'MORE THAN 30 %'], ['pgscan', 0.6, 'MORE THAN 30 %'],
  ])('%s times %d: %s', (counter, factor, words) => {
    const mine = linux();
    mine['zipf-anon']!['mglru']!.stat[counter]! *= factor;
    const { stdout, status } = verdict(mine);
    expect(stdout.split('\n').filter((line) => line.startsWith('zipf-anon ') && line.includes(words)).length).toBe(1);
    expect(status).toBe(1);
  });
  test('policies that differ the other way round, and output that is another, are seen', () => {
    const mine = linux();
    const [two, mglru] = [mine['hotscan-anon']!['two-list']!, mine['hotscan-anon']!['mglru']!];
    [two.stat, mglru.stat] = [mglru.stat, two.stat];
    mglru.output = ['checksum 0'];
    const { stdout, status } = verdict(mine);
    expect(stdout).toMatch(/hotscan-anon +mglru by +pgmajfault .* THE OTHER SIGN/);
    expect(stdout).toMatch(/hotscan-anon +mglru +output .* DIFFERS/);
    expect(status).toBe(1);
  });
});
