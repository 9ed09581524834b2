// userland/programs/reclaim.c where memory is not short: what it checks, and that its answer depends on the parameters alone. What it says of reclaim
// is compared with a real Linux by userland/compare-reclaim.mjs, whose verdicts are tested here too.
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
