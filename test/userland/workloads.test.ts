// Every bundled program in the machine, against what qemu-riscv64 and a native build printed (test/golden/workloads-qemu.json).
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { presets } from '#mmu';
import type { Session } from '#tools/boot.ts';
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
  /** Lookups are hits plus misses, by kind and in all; what misses at L1 is looked up at L2, and what misses there walks. */
  function checkCounts({ machine }: Session): void {
    const { l1i, l1d, l2, l2i, walks } = machine.mmu.report();
    const levels = [l1i, l1d, l2 ?? null, l2i ?? null].filter((level) => level !== null);
    for (const level of levels) {
      expect(level.lookups).toBe(level.hits + level.misses);
      const kinds = Object.values(level.byKind);
      for (const kind of kinds) expect(kind.lookups).toBe(kind.hits + kind.misses);
      expect(kinds.reduce((n, kind) => n + kind.lookups, 0)).toBe(level.lookups);
    }
    const secondOfI = l2i === undefined ? l2 : l2i;
    const missesToL2 = (l2 === null ? 0 : l1d.misses) + (secondOfI === null ? 0 : l1i.misses);
    expect((l2?.lookups ?? 0) + (l2i?.lookups ?? 0)).toBe(missesToL2);
    expect(walks.count).toBe((l2 === null ? l1d.misses : 0) + (secondOfI === null ? l1i.misses : 0) + (l2?.misses ?? 0) + (l2i?.misses ?? 0));
    expect(l1i.lookups).toBeGreaterThanOrEqual(machine.instret);
  }
  // Every workload in one run, so small that all presets can be asked.
  const everything = ['chase --nodes 2K --steps 9K', 'stride --bytes 1M --passes 30', 'gups --words 32K --updates 20K', 'stream --elements 5K', 'hashjoin --inner 2K --outer 4K',
    'btree --keys 1K --lookups 1K', 'bfs --nodes 4K', 'spmv --size 4K --per-row 4', 'mergesort --count 4K', 'kv --keys 200 --operations 2K', 'filescan --bytes 30K',
    'filemap --bytes 256K --accesses 9K', 'build --units 2 --lines 9', 'fragment --bytes 2M --then 1M --passes 9', 'sparse --bytes 32M --rounds 20', 'hotscan --cold 1M --uses 20',
    'phases --window 256K --accesses 5K', 'compute core 1', 'reclaim --size 1M --hot 256K --window 256K --touches 5K --verify 1'];
  test('all nineteen workloads are in the small run', () => expect(everything.map((line) => line.split(' ')[0])).toEqual([...new Set(small.map(({ argv }) => argv[0]))]));

  test.each(presets().map(({ name }) => name))('%s: lookups are hits plus misses at every level, at any moment of every workload', (preset) => {
    const words = ['--preset', preset, '--mem', '64M', '--mthp', '64k=always', '--', 'sh', '-c', everything.join(' >/dev/null || exit 1; ')];
    const { stderr, status } = runGuest(words, { every: { instrs: 99_991, look: checkCounts } });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  });

  test.each(small.map(({ argv }) => [argv[0]!, argv] as const))('%s: two runs give the same report, state hash included', (_, argv) => {
    const options = ['--preset', 'zen2', '--mthp', '64k=always', '--seed', '3', '--'];
    expect(runGuest([...options, ...argv]).report()).toEqual(runGuest([...options, ...argv]).report());
  });

  // Least recently used, N pages in a circle: with more pages than entries every access misses, with fewer none. L1 D holds 64 entries of any size,
  // L2 1024 in sets of 8; a folio of 64K is one entry of the preset generic, and sixteen of 4k-only.
  test.each([
    { preset: '4k-only', folios: '4K', pages: 48, missesOfAPass: 0, walksOfAPass: 0 },
    { preset: '4k-only', folios: '4K', pages: 256, missesOfAPass: 256, walksOfAPass: 0 },
    { preset: '4k-only', folios: '4K', pages: 2048, missesOfAPass: 2048, walksOfAPass: 2048 },
    { preset: '4k-only', folios: '64K', pages: 2048, missesOfAPass: 2048, walksOfAPass: 2048 },
    { preset: 'generic', folios: '64K', pages: 2048, missesOfAPass: 128, walksOfAPass: 0 },
    { preset: 'generic', folios: '64K', pages: 512, missesOfAPass: 0, walksOfAPass: 0 },
  ])('stride over $pages pages in folios of $folios on $preset: $missesOfAPass misses and $walksOfAPass walks a pass', ({ preset, folios, pages, missesOfAPass, walksOfAPass }) => {
    const counts = (passes: number): { misses: number; walks: number } => {
      const { tlb } = runGuest(['--preset', preset, '--mthp', `64k=${folios === '64K' ? 'always' : 'never'}`, '--', 'stride', '--bytes', String(pages * 4096), '--passes', String(passes)]).report();
      return { misses: tlb.l1d.misses, walks: tlb.walks.count };
    };
    const [ten, thirty] = [counts(10), counts(30)];  // the difference leaves out how the program starts and ends
    expect({ misses: thirty.misses - ten.misses, walks: thirty.walks - ten.walks }).toEqual({ misses: 20 * missesOfAPass, walks: 20 * walksOfAPass });
  });
});
