// A report made by hand: numbers chosen so that every line of the text shows something, and lookups are hits plus misses.
import { presetNamed, type LevelReport } from '#mmu';
import type { StatReport } from '#tools/schema.ts';

const level = (rows: Record<string, [hits: number, misses: number]>): LevelReport => {
  const byKind = Object.fromEntries(Object.entries(rows).map(([kind, [hits, misses]]) => [kind, { lookups: hits + misses, hits, misses }]));
  const [hits, misses] = [0, 1].map((i) => Object.values(rows).reduce((n, row) => n + row[i]!, 0)) as [number, number];
  return { lookups: hits + misses, hits, misses, byKind, byPageSize: { '4K': { misses } } };
};

export function handMadeReport(): StatReport {
  return {
    schema: 'quire.stat/1', tool: 'quire 0.1.0',
    config: {
      preset: 'skylake', tlb: presetNamed('skylake'), memBytes: 512 * 1024 ** 2, sv: 39, svadu: true, engine: 'reference', seed: 1, maxInsn: null,
      thp: null, mthp: { 'hugepages-64kB': 'always' }, set: [], costs: { trap: 160 }, memmap: 64, allocStrategy: 'loop', lru: { policy: 'two-list', file: null, sha256: null }, memoryMax: null, env: ['HOME=/root'], files: [{ path: '/bin/gups', sha256: 'ab' }], disks: [], diskLatency: {}, swap: [], swapLatency: {}, stdinSha256: null,
    },
    program: { argv: ['gups', '--words', '4096'], sha256: 'ab' },
    exit: { reason: 'exited', status: 0, signal: null },
    clock: { instructions: 1_234_567, cycles: 2_345_678, tlbCycles: 1_000_000, kernelCycles: 111_111 },
    tlb: {
      l1i: level({ fetch: [1_234_500, 67] }),
      l1d: level({ load: [300_000, 12_345], store: [200_000, 655], amo: [0, 0] }),
      l2: level({ fetch: [60, 7], load: [10_000, 2_345], store: [600, 55], amo: [0, 0] }),
      walks: { count: 2_407, pteReads: 2_500, pwcHits: 2_390, faults: 99, byPageSize: { '64K': 8, '4K': 2_300 }, byLevel: [2_407, 60, 33, 0, 0] },
      coalescing: { fills: 8, pagesPerEntry: [0, 2_300, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8], collateral: 0, partialReach: { l1i: 0, l1d: 0, l2: 0 } },
      flushes: { all: 0, asid: 2, page: 14 },
      ad: { accessed: 1_024, dirty: 900, assists: 12, assistPteReads: 12 },
      faults: { page: 99, access: 0 },
    },
    faults: { minor: 99, major: 0, byKind: { anon: 90, 'file-read': 9 } },
    vmstat: { pgfault: 99, pgmajfault: 0 },
    thp: { 'hugepages-16kB': { anon_fault_alloc: 0, anon_fault_fallback: 0 }, 'hugepages-64kB': { anon_fault_alloc: 8, anon_fault_fallback: 1 } },
    memory: { maxRssKb: 740, memmapBytes: 8 * 1024 ** 2 },
    lru: { policy: 'two-list', youngSampling: null }, memcg: null, swap: null,
    notModelled: ['data and instruction caches', 'a disk'],
    unknownSyscalls: ['io_uring_setup'],
    stateHash: '0123456789abcdef',
    host: { wallSeconds: 0.0213, mips: 57.96, translation: null },
  };
}
