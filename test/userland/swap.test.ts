// Programs whose memory is larger than RAM: what is swapped comes back as it was, through disks that fail, too; and programs print what they print where
// memory is plenty.
import { describe, expect, test } from 'vitest';
import { Prng } from '#base';
import type { Session } from '#tools/boot.ts';
import { runGuest } from '../support/run-guest.ts';

/** From now on some sectors of the swap device cannot be read, more and more of them; whatever was written there. */
function failReads(session: Session, seed: number, oneIn: number): { failed: number } {
  const { image } = session.kernel.system.disks.at(-1)!;
  const random = new Prng(seed, 'bad-sectors');
  const bad = new Set<number>();
  const counts = { failed: 0 };
  const read = image.read.bind(image);
  image.read = (offset, into) => {
    let isGood = true;
    for (let sector = offset / 512; sector < (offset + into.length) / 512; sector++) {
      if (random.below(oneIn * 8) === 0) bad.add(sector);
      if (bad.has(sector)) isGood = false;
    }
    if (!isGood) counts.failed++;
    return isGood && read(offset, into);
  };
  return counts;
}
const check = ({ kernel }: Session): void => { kernel.system.check(); };
const options = (...more: readonly string[]): string[] => [...(more.includes('--mem') ? [] : ['--mem', '16M']), '--swap', '64M', ...more, '--', 'swapcheck', '--size', '14M', '--steps', '1500'];
const OUTPUT = 'swapcheck: 3584 private and 512 shared pages, 1500 steps, 3 children killed: 0 wrong\n';

describe('every page of a program that does not fit into memory', () => {
  test.each([
    ['two-list', []], ['two-list', ['--mthp', '64k=always']], ['two-list', ['--mthp', '2m=always,16k=always']], ['two-list', ['--swap-latency', 'hdd']], ['two-list', ['--swap-latency', 'pmem', '--mthp', '64k=always']],
    ['mglru', ['--mthp', '64k=always']], ['clock', []], ['random', []], ['two-list', ['--set', '/sys/module/zswap/parameters/enabled=1']], ['two-list', ['--memory-max', '6M', '--mem', '64M']],
  ] as const)('comes back as it was: %s %j', (lru, more) => {
    const { stdout, stderr, status, session } = runGuest(options('--lru', lru, ...more), { every: { instrs: 1_500_000, look: check } });
    expect({ stdout, stderr, status }).toEqual({ stdout: OUTPUT, stderr: '', status: 0 });
    const { vmstat, swap } = session.kernel.system;
    expect(vmstat.get('pswpout') + vmstat.get('zswpout')).toBeGreaterThan(1000);
    expect(vmstat.get('oom_kill')).toBe(0);
    // All have gone: so has what they had in swap, but for what was on its way. (Files in memory are the root file system's.)
    while (session.kernel.system.waits.passTime());
    const ofFiles = [...session.kernel.system.addressSpaces.values()].reduce((sum, { nrSwapped }) => sum + nrSwapped, 0);
    for (const info of swap.devices) expect(info.inUse - info.cacheOnly).toBe(ofFiles);
  });
  test.each([[1, 200, []], [2, 40, []], [3, 60, ['--mthp', '64k=always']], [4, 60, ['--swap-latency', 'hdd']], [5, 40, ['--lru', 'random']], [6, 60, ['--swap-latency', 'pmem', '--mthp', '16k=always']]] as const)('is right or SIGBUS when the disk fails, seed %i, one read in %i, %j', (seed, oneIn, more) => {
    let counts: { failed: number } | null = null;
    const { stdout, stderr, status, session } = runGuest(options(...more), { every: { instrs: 1_000_000, look(running) {
      counts ??= failReads(running, seed, oneIn);
      check(running);
    } } });
    expect(counts!.failed).toBeGreaterThan(3);
    expect({ stdout, status }).toEqual({ stdout: OUTPUT, status: 0 });
    expect(stderr).toMatch(/^swapcheck: \d+ pages were lost\n$/);
    session.kernel.system.check();
  });
});

describe('programs print the same where most of their memory is in swap', () => {
  test.each([['gups', '--words', '2M', '--updates', '6K'], ['kv', '--keys', '40K', '--operations', '9K']])('%s', (...argv) => {
    const plenty = runGuest(['--mem', '256M', '--', ...argv]);
    const scarce = runGuest(['--mem', '16M', '--swap', '128M', '--', ...argv]);
    expect([scarce.stdout, scarce.stderr, scarce.status]).toEqual([plenty.stdout, plenty.stderr, 0]);
    expect(scarce.session.kernel.system.vmstat.get('pswpin')).toBeGreaterThan(100);
    expect(scarce.session.kernel.system.vmstat.get('oom_kill')).toBe(0);
  });
});
