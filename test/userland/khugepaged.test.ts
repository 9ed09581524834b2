// khugepaged beside a real program: it takes the hart when it is due, changes nothing that the program can see, and costs it no time of its own.
import { expect, test } from 'vitest';
import { runGuest } from '../support/run-guest.ts';

const KHUGEPAGED = '/sys/kernel/mm/transparent_hugepage/khugepaged';
const kv = (...options: string[]) => runGuest(['--mem', '128M', '--thp', 'always', ...options, '--', 'kv', '--keys', '8192', '--operations', '30000']);

test('collapses what a copy on write has split, while the program runs; the program prints the same', () => {
  const plain = kv();
  const scanned = kv('--set', `${KHUGEPAGED}/scan_sleep_millisecs=1`);
  expect([scanned.stdout, scanned.status]).toEqual([plain.stdout, 0]);
  const { vmstat, clock } = scanned.report();
  expect(vmstat['thp_collapse_alloc']).toBeGreaterThan(0);
  const { khugepaged } = scanned.session.kernel.system;
  expect(khugepaged.cycles).toBeGreaterThan(0);
  expect(clock.kernelCycles).toBeGreaterThan(khugepaged.cycles);
  scanned.session.kernel.system.check();
});
test('with its default sleep of ten seconds a short run never sees it', () => {
  const { session } = kv();
  expect([session.kernel.system.khugepaged.cycles, session.kernel.system.vmstat.get('thp_collapse_alloc')]).toEqual([0, 0]);
});
