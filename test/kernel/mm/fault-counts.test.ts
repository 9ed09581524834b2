// Fault counts by pattern and setting, against real Linux 6.18: a small C program that did the same to 4 MiB of anonymous memory (aligned to
// 2 MiB), natively on x86-64, with ru_minflt before and after, printed these numbers. Columns: every size off; 16 kB always; 64 kB always;
// 16 kB, 64 kB and 2 MiB always. Defaults else (enabled = madvise).
import { describe, expect, test } from 'vitest';
import { MapFlag, MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';

const N = 4 << 20;
const M2 = 2 << 20;
const settings: Readonly<Record<string, readonly number[]>> = { never: [], '16K': [2], '64K': [4], '16K+64K+2M': [2, 4, 9] };

interface Bench { system: MmSystem; p: Program }
function fork(parent: Program): Program {
  const mm = dupMm(parent.mm);
  if (mm === null) throw new Error('fork: no memory');
  mm.activate();
  return new Program(mm);
}
const area = (p: Program, len = N): number => p.map(len, 0x10_0000_0000);
const file = (p: Program, system: MmSystem, shared: boolean): number => {
  const space = new AddressSpace(system, 'shmem');
  space.write(0, new Uint8Array(N).fill(1));
  const at = p.mm.mmap({ addr: 0x10_0000_0000, len: N, prot: Prot.Read | Prot.Write, flags: (shared ? MapFlag.Shared : MapFlag.Private) | MapFlag.Fixed,
    file: { space, path: '/tmp/x', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true }, pgoff: 0 });
  if (at < 0) throw new Error(`mmap: errno ${-at}`);
  return at;
};
const sharedAnon = (p: Program): number =>
  p.mm.mmap({ addr: 0x10_0000_0000, len: N, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared | MapFlag.Anonymous | MapFlag.Fixed, file: null, pgoff: 0 });
const faultsOf = (p: Program, work: () => number): number => {
  const before = p.counts.minFlt;
  expect(work()).toBeGreaterThanOrEqual(0);
  return p.counts.minFlt - before;
};

/** name, what is done (the counts of its steps), what Linux 6.18 counted for the settings. */
const patterns: readonly (readonly [string, (b: Bench) => readonly number[], readonly (readonly number[])[]])[] = [
  ['writes upwards', ({ p }) => [p.touch(area(p), N)], [[1024], [256], [64], [2]]],
  ['writes downwards', ({ p }) => [p.touch(area(p), N, { backwards: true })], [[1024], [256], [64], [2]]],
  ['reads, then writes', ({ p }) => {
    const at = area(p);
    return [p.touch(at, N, { write: false }), p.touch(at, N)];
  }, [[1024, 1024], [1024, 1024], [1024, 1024], [2, 2]]],
  ['every second page, then the others', ({ p }) => {
    const at = area(p);
    return [p.touch(at, N, { stride: 8192 }), p.touch(at + 4096, N - 4096, { stride: 8192 })];
  }, [[512, 512], [256, 0], [64, 0], [2, 0]]],
  ['every fifth page, then all', ({ p }) => {
    const at = area(p);
    return [p.touch(at, N, { stride: 20480 }), p.touch(at, N)];
  }, [[205, 819], [205, 51], [64, 0], [2, 0]]],
  ['after MADV_DONTNEED of all, then of 21 pages from the fourth on', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    p.mm.madvise(at, N, Madvise.DontNeed);
    const all = p.touch(at, N);
    p.mm.madvise(at + 0x3000, 0x15000, Madvise.DontNeed);
    return [all, p.touch(at, N)];
  }, [[1024, 21], [256, 6], [64, 21], [2, 6]]],
  ['five pages more than 4 MiB', ({ p }) => [p.touch(area(p, N + 0x5000), N + 0x5000)], [[1029], [258], [69], [4]]],
  ['three pages missing at the start', ({ p }) => {
    const at = area(p);
    p.mm.munmap(at, 0x3000);
    return [p.touch(at + 0x3000, N - 0x3000)];
  }, [[1021], [256], [76], [36]]],
  ['one page in sixteen read before all are written', ({ p }) => {
    const at = area(p);
    p.touch(at + 0x5000, N - 0x5000, { write: false, stride: 65536 });
    return [p.touch(at, N)];
  }, [[1024], [448], [1024], [2]]],
  ['fork: child reads and exits, parent writes', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    const child = fork(p);
    const reads = child.touch(at, N, { write: false });
    child.mm.dispose();
    return [reads, p.touch(at, N)];
  }, [[0, 1024], [0, 1024], [0, 1024], [0, 2]]],
  ['fork: child writes and exits, parent writes', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    const child = fork(p);
    const writes = child.touch(at, N);
    child.mm.dispose();
    return [writes, p.touch(at, N)];
  }, [[1024, 1024], [1024, 1024], [1024, 1024], [1024, 2]]],
  ['fork: parent writes while the child lives, and again after', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    const child = fork(p);
    const writes = p.touch(at, N);
    child.mm.dispose();
    return [writes, p.touch(at, N)];
  }, [[1024, 0], [1024, 0], [1024, 0], [1024, 0]]],
  ['fork: child writes every second page and exits, parent writes', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    const child = fork(p);
    const writes = child.touch(at, N, { stride: 8192 });
    child.mm.dispose();
    return [writes, p.touch(at, N)];
  }, [[512, 1024], [512, 1024], [512, 1024], [512, 2]]],
  ['mprotect to read-only and back', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    p.mm.mprotect(at, N, Prot.Read);
    const reads = p.touch(at, N, { write: false });
    p.mm.mprotect(at, N, Prot.Read | Prot.Write);
    const writes = p.touch(at, N);
    p.mm.mprotect(at + 0x6000, 0x3000, Prot.Read);
    p.mm.mprotect(at + 0x6000, 0x3000, Prot.Read | Prot.Write);
    return [reads, writes, p.touch(at, N)];
  }, [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]],
  ['zero pages through mprotect, then writes', ({ p }) => {
    const at = area(p);
    p.touch(at, N, { write: false });
    p.mm.mprotect(at, N, Prot.Read);
    p.mm.mprotect(at, N, Prot.Read | Prot.Write);
    return [p.touch(at, N)];
  }, [[1024], [1024], [1024], [2]]],
  ['mremap to twice the size at another 2 MiB boundary', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    const to = p.mm.mremap(at, N, 2 * N, MremapFlag.MayMove | MremapFlag.Fixed, 0x18_0000_0000);
    return [p.touch(to, 2 * N)];
  }, [[1024], [256], [64], [2]]],
  ['mremap to an address that is aligned otherwise', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    const to = p.mm.mremap(at, N, N, MremapFlag.MayMove | MremapFlag.Fixed, 0x18_0000_3000);
    return [p.touch(to, N)];
  }, [[0], [0], [0], [0]]],
  ['MAP_POPULATE', ({ p }) => {
    const faults = faultsOf(p, () => p.map(N, 0x10_0000_0000, Prot.Read | Prot.Write, MapFlag.Populate));
    return [faults, p.touch(0x10_0000_0000, N)];
  }, [[1024, 0], [256, 0], [64, 0], [2, 0]]],
  ['MADV_POPULATE_READ, then _WRITE', ({ p }) => {
    const at = area(p);
    return [faultsOf(p, () => p.mm.madvise(at, N, Madvise.PopulateRead)), faultsOf(p, () => p.mm.madvise(at, N, Madvise.PopulateWrite))];
  }, [[1024, 1024], [1024, 1024], [1024, 1024], [2, 2]]],
  ['mlock of an eighth', ({ p }) => {
    const at = area(p);
    return [faultsOf(p, () => p.mm.mlock(at, N / 8))];
  }, [[128], [32], [8], [8]]],
  ['MADV_HUGEPAGE: writes; after DONTNEED of one page; of the first 2 MiB', ({ p }) => {
    const at = area(p);
    p.mm.madvise(at, N, Madvise.HugePage);
    const writes = p.touch(at, N);
    p.mm.madvise(at + 0x5000, 0x1000, Madvise.DontNeed);
    const one = p.touch(at, N);
    p.mm.madvise(at, M2, Madvise.DontNeed);
    return [writes, one, p.touch(at, N)];
  }, [[2, 1, 1], [2, 1, 1], [2, 1, 1], [2, 1, 1]]],
  ['MADV_HUGEPAGE: reads, then writes', ({ p }) => {
    const at = area(p);
    p.mm.madvise(at, N, Madvise.HugePage);
    return [p.touch(at, N, { write: false }), p.touch(at, N)];
  }, [[2, 2], [2, 2], [2, 2], [2, 2]]],
  ['MADV_NOHUGEPAGE', ({ p }) => {
    const at = area(p);
    p.mm.madvise(at, N, Madvise.NoHugePage);
    return [p.touch(at, N)];
  }, [[1024], [1024], [1024], [1024]]],
  ['MADV_FREE without pressure', ({ p }) => {
    const at = area(p);
    p.touch(at, N);
    p.mm.madvise(at, N, Madvise.Free);
    return [p.touch(at, N)];
  }, [[0], [0], [0], [0]]],
  ['shared anonymous: writes; after DONTNEED reads, then writes', ({ p }) => {
    const at = sharedAnon(p);
    const writes = p.touch(at, N);
    p.mm.madvise(at, N, Madvise.DontNeed);
    return [writes, p.touch(at, N, { write: false }), p.touch(at, N)];
  }, [[1024, 64, 0], [1024, 64, 0], [1024, 64, 0], [1024, 64, 0]]],
  ['shared anonymous: reads, then writes', ({ p }) => {
    const at = sharedAnon(p);
    return [p.touch(at, N, { write: false }), p.touch(at, N)];
  }, [[1024, 0], [1024, 0], [1024, 0], [1024, 0]]],
  ['private file: reads, then writes', ({ p, system }) => {
    const at = file(p, system, false);
    return [p.touch(at, N, { write: false }), p.touch(at, N)];
  }, [[64, 1024], [64, 1024], [64, 1024], [64, 1024]]],
  ['private file: writes', ({ p, system }) => [p.touch(file(p, system, false), N)], [[1024], [1024], [1024], [1024]]],
  ['shared file: reads, then writes', ({ p, system }) => {
    const at = file(p, system, true);
    return [p.touch(at, N, { write: false }), p.touch(at, N)];
  }, [[64, 0], [64, 0], [64, 0], [64, 0]]],
  ['shared file: writes', ({ p, system }) => [p.touch(file(p, system, true), N)], [[1024], [1024], [1024], [1024]]],
];

describe('fault counts are those of Linux 6.18', () => {
  for (const [name, run, expected] of patterns) {
    test(name, () => {
      const found = Object.values(settings).map((orders) => {
        const { system } = bootSystem({ orders });
        const p = Program.on(system);
        const counts = run({ system, p });
        system.check();
        p.mm.dispose();
        system.check();
        return counts;
      });
      expect(Object.fromEntries(Object.keys(settings).map((s, i) => [s, found[i]]))).toEqual(Object.fromEntries(Object.keys(settings).map((s, i) => [s, expected[i]])));
    });
  }
});
