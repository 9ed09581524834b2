// Every bundled program in the machine, against what qemu-riscv64 and a native build printed (test/golden/workloads-qemu.json).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runGuest } from '../support/run-guest.ts';

interface Row { argv: string[]; stdout: string; stderr: string; status: number }
const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../golden/workloads-qemu.json'), 'utf8')) as { rows: Row[] };
/** Workloads with another size than the default: the small ones. */
const small = golden.rows.filter(({ argv, status }) => argv.includes('--seed') && status === 0);
const line = (argv: readonly string[]): string => argv.map((word) => (/^[\w./=-]+$/.test(word) ? word : `'${word}'`)).join(' ');

describe('each program prints what it prints under qemu-riscv64', () => {
  test.each(golden.rows.map((row) => [line(row.argv), row] as const))('%s', (_, { argv, ...expected }) => {
    const { stdout, stderr, status } = runGuest(['--', ...argv]);
    expect({ stdout, stderr, status }).toEqual(expected);
  });
});

describe('the counts of a workload', () => {
  test('there are seventeen workloads to count', () => expect(new Set(small.map(({ argv }) => argv[0])).size).toBe(17));

  test.each(small.map(({ argv }) => [argv[0]!, argv] as const))('%s: lookups are hits plus misses at every level, and misses go one level down', (_, argv) => {
    const { tlb, clock } = runGuest(['--', ...argv]).report();
    for (const level of [tlb.l1i, tlb.l1d, tlb.l2!]) {
      expect(level.lookups).toBe(level.hits + level.misses);
      for (const kind of Object.values(level.byKind)) expect(kind.lookups).toBe(kind.hits + kind.misses);
    }
    expect(tlb.l2!.lookups).toBe(tlb.l1i.misses + tlb.l1d.misses);
    expect(tlb.walks.count).toBe(tlb.l2!.misses);
    expect(tlb.l1i.lookups).toBeGreaterThanOrEqual(clock.instructions);
  });

  test.each(small.map(({ argv }) => [argv[0]!, argv] as const))('%s: two runs give the same report, state hash included', (_, argv) => {
    const options = ['--preset', 'zen2', '--mthp', '64k=always', '--seed', '3', '--'];
    expect(runGuest([...options, ...argv]).report()).toEqual(runGuest([...options, ...argv]).report());
  });
});
