// VMAs: merging, splitting, placement, limits.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dupMm } from '#kernel/mm/fork.ts';
import { FaultResult } from '#kernel/mm/fault.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { Program, boot, bootSystem } from '../../support/mm-fixture.ts';
import { maps } from '../../support/picture.ts';

const RW = Prot.Read | Prot.Write;
const BASE = 0x10_0000_0000;
const page = (n: number): number => BASE + n * 4096;
const anon = MapFlag.Private | MapFlag.Anonymous;

describe('merging', () => {
  test('every combination of three neighbours comes out as on Linux 6.18 (golden/vma-merge.c)', () => {
    const golden = readFileSync(join(import.meta.dirname, 'golden/vma-merge-linux-6.18.txt'), 'utf8').trim().split('\n');
    const rights = [Prot.Read, RW];
    const parts = [[0, 4], [0, 2], [2, 4], [1, 3]] as const;
    const { system } = bootSystem();
    const found = golden.map((line) => {
      const [, mask, a, b, c, part] = /^(\d) (\d)(\d)(\d) (\d):/.exec(line)!.map(Number) as [number, number, number, number, number, number];
      const p = Program.on(system);
      p.map(4 * 4096, page(0));
      p.map(4 * 4096, page(8));
      if ((mask & 1) !== 0) p.write(page(0));
      if ((mask & 4) !== 0) p.write(page(8));
      p.map(4 * 4096, page(4), RW | Prot.Exec);
      if ((mask & 2) !== 0) p.write(page(4));
      p.mm.mprotect(page(0), 4 * 4096, rights[a]!);
      p.mm.mprotect(page(8), 4 * 4096, rights[c]!);
      p.mm.mprotect(page(4 + parts[part]![0]), (parts[part]![1] - parts[part]![0]) * 4096, rights[b]!);
      system.check();
      const text = maps(p.mm).map((vma) => {
        const [, start, end, right] = /^0x(\w+)-0x(\w+) (..)/.exec(vma)!;
        return ` ${(parseInt(start!, 16) - BASE) / 4096}-${(parseInt(end!, 16) - BASE) / 4096}:${right}`;
      });
      p.mm.dispose();
      return `${mask} ${a}${b}${c} ${part}:${text.join('')}`;
    });
    expect(found).toEqual(golden);
  });
  test('a hole between two like mappings, filled, makes one of the three', () => {
    const { program } = boot();
    program.map(0x4000, page(0));
    program.map(0x4000, page(8));
    program.map(0x4000, page(4));
    expect(maps(program.mm)).toEqual([`0x${page(0).toString(16)}-0x${page(12).toString(16)} rw-p`]);
  });
  test('what fork has copied does not take a neighbour over', () => {
    const { program } = boot();
    program.map(0x4000, page(0));
    program.write(page(0));
    const child = new Program(dupMm(program.mm)!);
    child.map(0x4000, page(4));
    program.map(0x4000, page(4));
    expect(maps(child.mm).length).toBe(2);
    expect(maps(program.mm).length).toBe(1);
  });
  test('advice that differs keeps mappings apart, the same advice joins them', () => {
    const { program } = boot();
    program.map(0x8000, page(0));
    program.mm.madvise(page(2), 0x2000, Madvise.HugePage);
    expect(program.mm.vmas.length).toBe(3);
    program.mm.madvise(page(0), 0x8000, Madvise.HugePage);
    expect(program.mm.vmas.length).toBe(1);
  });
});

describe('placement', () => {
  test('mappings without a wish go top-down from below the stack, 2 MiB ones to 2 MiB boundaries', () => {
    const { program } = boot();
    const top = program.mm.mmapBase;
    expect(top).toBe(2 ** 38 - (128 << 20));
    const a = program.map(0x3000);
    const b = program.map(0x5000);
    const c = program.map(4 << 20);
    expect([top - a, a - b]).toEqual([0x3000, 0x5000]);
    expect(c % (2 << 20)).toBe(0);
    expect(b - c).toBeLessThan(8 << 20);
  });
  test('a free wish is granted, a taken one ignored', () => {
    const { program } = boot();
    expect(program.mm.mmap({ addr: page(0) + 12, len: 0x1000, prot: RW, flags: anon, file: null, pgoff: 0 })).toBe(page(0));
    expect(program.mm.mmap({ addr: page(0), len: 0x1000, prot: RW, flags: anon, file: null, pgoff: 0 })).toBe(program.mm.mmapBase - 0x1000);
    expect(program.mm.mmap({ addr: 0x1000, len: 0x1000, prot: RW, flags: anon, file: null, pgoff: 0 })).toBe(0x10000);
  });
  test('MAP_FIXED replaces, MAP_FIXED_NOREPLACE refuses', () => {
    const { program } = boot();
    program.map(0x8000, page(0));
    const at = (flags: number, addr: number): number => program.mm.mmap({ addr, len: 0x1000, prot: Prot.Read, flags: anon | flags, file: null, pgoff: 0 });
    expect(at(MapFlag.FixedNoReplace, page(1))).toBe(-17);
    expect(at(MapFlag.FixedNoReplace, page(8))).toBe(page(8));
    expect(at(MapFlag.Fixed, page(1))).toBe(page(1));
    expect(at(MapFlag.Fixed, page(1) + 1)).toBe(-22);
    expect(at(MapFlag.Fixed, 0x1000)).toBe(-1);
    expect(at(MapFlag.Fixed, 2 ** 38)).toBe(-12);
    expect(maps(program.mm).map((m) => m.slice(-4))).toEqual(['rw-p', 'r--p', 'rw-p', 'r--p']);
  });
  test('bad lengths, types and addresses get their errno', () => {
    const { program } = boot();
    const map = (over: object): number => program.mm.mmap({ addr: 0, len: 4096, prot: RW, flags: anon, file: null, pgoff: 0, ...over });
    expect(map({ len: 0 })).toBe(-22);
    expect(map({ flags: MapFlag.Anonymous })).toBe(-22);
    expect(map({ len: 2 ** 40 })).toBe(-12);
    expect(program.mm.munmap(page(0) + 1, 4096)).toBe(-22);
    expect(program.mm.munmap(page(0), 0)).toBe(-22);
    expect(program.mm.munmap(page(0), 4096)).toBe(0);
    expect(program.mm.mprotect(page(0), 4096, RW)).toBe(-12);
    expect(program.mm.mprotect(page(0), 4096, 0x40)).toBe(-22);
    expect(program.mm.madvise(page(0), 4096, Madvise.DontNeed)).toBe(-12);
    expect(program.mm.madvise(page(0), 4096, 7)).toBe(-22);
    expect(program.mm.madvise(page(0), 0, Madvise.DontNeed)).toBe(0);
  });
  test('under Sv57 a mapping goes above 2^47 only if a wish asks for it', () => {
    const { program } = boot({ sv: 57 });
    expect(program.map(4096)).toBeLessThan(2 ** 47);
    const high = program.mm.mmap({ addr: 2 ** 50, len: 4096, prot: RW, flags: anon, file: null, pgoff: 0 });
    expect(high).toBe(2 ** 50);
    expect(program.write(high)).toBe(FaultResult.Done);
    program.mm.system.check();
    program.mm.munmap(high, 4096);
    expect(program.mm.pgtablesBytes).toBe(0);
  });
});

describe('limits', () => {
  test('max_map_count', () => {
    const { program } = boot({ params: (p) => { p.vm.max_map_count = 3; } });
    program.map(0x9000, page(0));
    expect(program.mm.mprotect(page(2), 0x1000, Prot.Read)).toBe(0);
    expect(program.mm.vmas.length).toBe(3);
    expect(program.mm.munmap(page(5), 0x1000)).toBe(-12);
    expect(program.mm.mprotect(page(6), 0x1000, Prot.None)).toBe(-12);
    program.mm.system.check();
  });
  test('RLIMIT_AS and RLIMIT_DATA', () => {
    const { program } = boot();
    const map = (prot: number): number => program.mm.mmap({ addr: 0, len: 0x8000, prot, flags: anon, file: null, pgoff: 0 });
    program.mm.limits.data = 0x10000;
    expect([map(RW), map(RW)].every((at) => at > 0)).toBe(true);
    expect(map(RW)).toBe(-12);
    expect(map(Prot.Read)).toBeGreaterThan(0);
    program.mm.limits.as = 0x18000;
    expect(map(Prot.Read)).toBe(-12);
  });
  test('one mapping larger than memory is refused, two that are together are not; strictly, the sum counts', () => {
    const { program, system } = boot();
    const map = (len: number, flags = 0): number => program.mm.mmap({ addr: 0, len, prot: RW, flags: anon | flags, file: null, pgoff: 0 });
    expect(map(65 << 20)).toBe(-12);
    expect(map(65 << 20, MapFlag.NoReserve)).toBeGreaterThan(0);
    expect(map(40 << 20)).toBeGreaterThan(0);
    expect(map(40 << 20)).toBeGreaterThan(0);
    expect(system.committedPages).toBe((80 << 20) / 4096);
    system.params.vm.overcommit_memory = 2;
    expect(map(4096)).toBe(-12);
    system.check();
  });
  test('a refused promise leaves what MAP_FIXED would have replaced, whose own promise counts for the new mapping (6.12)', () => {
    const { program, system } = boot();
    const map = (len: number): number => program.mm.mmap({ addr: page(0), len, prot: RW, flags: anon | MapFlag.Fixed, file: null, pgoff: 0 });
    expect(map(0x10000)).toBe(page(0));
    program.user.setU32(page(1), 5);
    Object.assign(system.params.vm, { overcommit_memory: 2, overcommit_kbytes: 20 * 4 });
    expect(map(0x20000)).toBe(-12);
    expect([program.user.u32(page(1)), system.committedPages]).toEqual([5, 16]);
    expect(map(0x14000)).toBe(page(0));
    expect([program.user.u32(page(1)), system.committedPages]).toEqual([0, 20]);
    system.check();
  });
  test('RLIMIT_MEMLOCK', () => {
    const { program } = boot();
    program.mm.limits.memlock = 0x4000;
    program.map(0x10000, page(0));
    expect(program.mm.mlock(page(0), 0x5000)).toBe(-12);
    expect(program.mm.mlock(page(0), 0x4000)).toBe(0);
    expect(program.counts.minFlt).toBe(4);
    expect(program.mm.mmap({ addr: 0, len: 4096, prot: RW, flags: anon | MapFlag.Locked, file: null, pgoff: 0 })).toBe(-11);
    expect(program.mm.lockedVm).toBe(4);
    expect(program.mm.madvise(page(0), 0x1000, Madvise.DontNeed)).toBe(-22);
    expect(program.mm.munlock(page(0), 0x4000)).toBe(0);
    expect([program.mm.lockedVm, program.mm.system.vmstat.get('nr_mlock')]).toEqual([0, 0]);
    program.mm.system.check();
  });
});

describe('the stack', () => {
  const stack = (p: Program, at: number): void => { p.map(0x4000, at, RW, MapFlag.GrowsDown); };
  test('grows to a fault below it, as far as its limit', () => {
    const { program } = boot();
    stack(program, 0x20_0000_0000);
    expect(program.write(0x20_0000_0000 - 0x100000)).toBe(FaultResult.Done);
    expect(program.mm.vmas[0]!.start).toBe(0x20_0000_0000 - 0x100000);
    expect(program.mm.stackVm).toBe(0x104);
    expect(program.write(0x20_0000_0000 - (8 << 20))).toBe(FaultResult.MapErr);
    program.mm.system.check();
  });
  test('keeps 256 pages away from what lies below', () => {
    const { program } = boot();
    stack(program, 0x20_0000_0000);
    program.map(0x1000, 0x20_0000_0000 - 0x200000);
    expect(program.write(0x20_0000_0000 - 0x200000 + 0x101000)).toBe(FaultResult.Done);
    expect(program.write(0x20_0000_0000 - 0x200000 + 0x100000)).toBe(FaultResult.MapErr);
  });
  test('keeps new mappings away, too', () => {
    const { program } = boot();
    program.map(0x4000, program.mm.mmapBase - 0x4000, RW, MapFlag.GrowsDown);
    expect(program.map(0x1000)).toBe(program.mm.mmapBase - 0x4000 - 0x100000 - 0x1000);
  });
});

describe('brk', () => {
  test('grows, shrinks and refuses', () => {
    const { program } = boot();
    const { mm } = program;
    mm.startBrk = mm.brkEnd = 0x12_3456;
    expect(mm.brk(0)).toBe(0x12_3456);
    expect(mm.brk(0x12_5000)).toBe(0x12_5000);
    expect(mm.brk(0x12_5800)).toBe(0x12_5800);
    expect(maps(mm)).toEqual(['0x124000-0x126000 rw-p']);
    program.write(0x12_5000);
    expect(mm.brk(0x12_4001)).toBe(0x12_4001);
    expect(maps(mm)).toEqual(['0x124000-0x125000 rw-p']);
    expect(mm.rss.anonPages).toBe(0);
    program.map(0x1000, 0x130000);
    expect(mm.brk(0x12_f000)).toBe(0x12_f000);
    expect(mm.brk(0x13_0000)).toBe(0x12_f000);
    mm.limits.data = 0x8000;
    expect(mm.brk(0x12_f001)).toBe(0x12_f000);
    mm.system.check();
  });
});
