// Pages of files: reading and writing them, mapping them, cutting them short.
import { describe, expect, test } from 'vitest';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { FileMapping, PageQuota } from '#kernel/mm/filemap.ts';
import { FaultAccess, FaultResult } from '#kernel/mm/fault.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, boot } from '../../support/mm-fixture.ts';
import { picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const RW = Prot.Read | Prot.Write;
const { Shared, Private, Fixed } = MapFlag;

function fileOf(system: MmSystem, pages: number, mayWrite = true): FileMapping {
  const space = new AddressSpace(system, 'file');
  for (let i = 0; i < pages; i++) space.write(i * 4096, new Uint8Array(4096).fill(i + 1));
  return { space, path: '/tmp/file', ino: 5, devMajor: 0, devMinor: 1, mayWrite };
}
const map = (p: Program, file: FileMapping, flags: number, over: { pgoff?: number; len?: number; prot?: number; addr?: number } = {}): number =>
  p.mm.mmap({ addr: over.addr ?? BASE, len: over.len ?? 0x20000, prot: over.prot ?? RW, flags: flags | Fixed, file, pgoff: over.pgoff ?? 0 });

describe('without a mapping', () => {
  test('holes read as zeros and take no memory; writing extends', () => {
    const { system } = boot();
    const space = new AddressSpace(system, 'file');
    expect(space.write(3 * 4096 + 100, Uint8Array.of(1, 2, 3))).toBe(3);
    expect([space.sizeBytes, space.nrPages]).toEqual([3 * 4096 + 103, 1]);
    const bytes = new Uint8Array(8192).fill(9);
    expect(space.read(2 * 4096 + 4000, bytes)).toBe(4096 + 103 - 4000 + 0);
    expect([bytes[0], bytes[196], bytes[197], bytes[198]]).toEqual([0, 1, 2, 3]);
    expect(space.read(1 << 20, bytes)).toBe(0);
  });
  test('cutting frees pages and zeroes the rest of the last; growing again shows zeros', () => {
    const { system } = boot();
    const { space } = fileOf(system, 4);
    space.truncate(4096 + 10);
    space.truncate(3 * 4096);
    const bytes = new Uint8Array(3 * 4096);
    space.read(0, bytes);
    expect([bytes[4095], bytes[4096 + 9], bytes[4096 + 10], bytes[8192]]).toEqual([1, 2, 0, 0]);
    expect(space.nrPages).toBe(2);
    expect(system.vmstat.get('nr_file_pages')).toBe(2);
  });
  test('a quota is obeyed and given back', () => {
    const { system } = boot();
    const quota: PageQuota = { usedPages: 0, maxPages: 2 };
    const space = new AddressSpace(system, 'shmem', quota);
    expect(space.write(0, new Uint8Array(12288))).toBe(8192);
    expect(space.write(8192, new Uint8Array(1))).toBe(-28);
    expect(quota.usedPages).toBe(2);
    space.release();
    expect(quota.usedPages).toBe(0);
    system.check();
  });
});

describe('mapped', () => {
  test('a read maps what is in memory of the sixteen pages around it', () => {
    const { program, system } = boot();
    const file = fileOf(system, 20);
    map(program, file, Private, { pgoff: 1 });
    program.read(BASE + 0x5000);
    expect(picture(program.mm)).toBe('0x1000000000 ffffffffffffffff ................');
    program.read(BASE + 0x10000);
    expect(picture(program.mm)).toBe('0x1000000000 ffffffffffffffff fff.............');
    expect(program.counts.minFlt).toBe(2);
    expect(program.read(BASE + 0x13000)).toBe(FaultResult.BusError);
    system.check();
  });
  test('a private write is seen by nobody else, a shared one by all', () => {
    const { program, system } = boot();
    const file = fileOf(system, 4);
    map(program, file, Private);
    map(program, file, Shared, { addr: BASE + 0x100000 });
    program.user.setU8(BASE, 100);
    program.user.setU8(BASE + 0x101000, 101);
    const bytes = new Uint8Array(8192);
    file.space.read(0, bytes);
    expect([bytes[0], bytes[4096], program.user.u8(BASE + 0x1000), program.user.u8(BASE + 0x100000)]).toEqual([1, 101, 101, 1]);
    expect(program.mm.rss).toEqual({ anonPages: 1, filePages: 7, shmemPages: 0, swapEntries: 0 });
    system.check();
  });
  test('rights come from the open file', () => {
    const { program, system } = boot();
    const file = fileOf(system, 4, false);
    expect(map(program, file, Shared)).toBe(-13);
    expect(map(program, file, Shared, { prot: Prot.Read })).toBe(BASE);
    expect(program.mm.mprotect(BASE, 0x1000, RW)).toBe(-13);
    expect(map(program, file, Private)).toBe(BASE);
    expect(program.write(BASE)).toBe(FaultResult.Done);
  });
  test('pages cut off are gone from every mapping, private copies included', () => {
    const { program, system } = boot();
    const file = fileOf(system, 8);
    map(program, file, Private, { len: 0x8000 });
    map(program, file, Shared, { addr: BASE + 0x100000, len: 0x8000 });
    program.touch(BASE, 0x8000);
    program.touch(BASE + 0x100000, 0x8000);
    file.space.truncate(0x3000);
    expect(picture(program.mm)).toBe('0x1000000000 000..... | 0x1000100000 fff.....');
    expect(program.write(BASE + 0x3000)).toBe(FaultResult.BusError);
    system.check();
  });
  test('MADV_REMOVE punches a hole for everybody', () => {
    const { program, system } = boot();
    const file = fileOf(system, 8);
    map(program, file, Shared, { len: 0x8000 });
    program.touch(BASE, 0x8000);
    expect(program.mm.madvise(BASE + 0x2000, 0x2000, Madvise.Remove)).toBe(0);
    expect([...file.space.pages].flatMap(({ index, order }) => Array.from({ length: 2 ** order }, (_, i) => index + i))).toEqual([0, 1, 4, 5, 6, 7]);
    expect([program.user.u8(BASE + 0x2000), program.user.u8(BASE + 0x4000)]).toEqual([0, 5]);
    system.check();
  });
  test('a hole takes pages of the file out of private mappings, and leaves copies to those who made them', () => {
    const { program, system } = boot();
    const file = fileOf(system, 4);
    map(program, file, Private, { len: 0x4000 });
    map(program, file, Shared, { addr: BASE + 0x100000, len: 0x4000 });
    program.user.setU8(BASE + 0x1000, 77);
    program.read(BASE + 0x2000);
    expect(program.mm.madvise(BASE + 0x100000, 0x4000, Madvise.Remove)).toBe(0);
    expect([program.user.u8(BASE + 0x1000), program.user.u8(BASE + 0x2000), program.user.u8(BASE + 0x101000)]).toEqual([77, 0, 0]);
    file.space.truncate(0);
    file.space.truncate(0x4000);
    expect(program.user.u8(BASE + 0x1000)).toBe(0);
    system.check();
  });
  test('a file outlives its owner as long as somebody maps it', () => {
    const { program, system } = boot();
    const free = system.freeBytes;
    const file = fileOf(system, 4);
    map(program, file, Shared, { len: 0x4000 });
    file.space.release();
    expect(program.user.u8(BASE + 0x2000)).toBe(3);
    program.mm.munmap(BASE, 0x4000);
    expect(system.freeBytes).toBe(free);
    system.check();
  });
  test('fork copies no entries of a mapping that holds pages of the file alone', () => {
    const { program, system } = boot();
    map(program, fileOf(system, 16), Private, { len: 0x10000, prot: Prot.Read | Prot.Exec });
    program.access(BASE, FaultAccess.Exec);
    const child = new Program(dupMm(program.mm)!);
    expect(picture(child.mm)).toBe('0x1000000000 ................');
    expect(child.access(BASE, FaultAccess.Exec)).toBe(FaultResult.Done);
    system.check();
  });
  test('shared anonymous memory is shared with the child, counted as shmem, promised once', () => {
    const { program, system } = boot();
    const at = program.mm.mmap({ addr: 0, len: 0x4000, prot: RW, flags: Shared | MapFlag.Anonymous, file: null, pgoff: 0 });
    program.user.setU8(at, 1);
    const child = new Program(dupMm(program.mm)!);
    child.user.setU8(at, 2);
    expect([program.user.u8(at), program.mm.rss.shmemPages, system.committedPages]).toEqual([2, 1, 4]);
    system.check();
    program.mm.dispose();
    expect(child.user.u8(at)).toBe(2);
    child.mm.dispose();
    expect([system.committedPages, system.vmstat.get('nr_shmem')]).toEqual([0, 0]);
    system.check();
  });
  test('mincore sees what is cached as well as what is mapped', () => {
    const { program, system } = boot();
    map(program, fileOf(system, 2), Private, { len: 0x4000 });
    program.map(0x2000, BASE + 0x4000);
    program.write(BASE + 0x5000);
    const vec = new Uint8Array(6);
    expect(program.mm.mincore(BASE, 0x6000, vec)).toBe(0);
    expect([...vec]).toEqual([1, 1, 0, 0, 0, 1]);
    expect(program.mm.mincore(BASE, 0x7000, new Uint8Array(7))).toBe(-12);
    expect(program.mm.mincore(BASE + 1, 0x1000, vec)).toBe(-22);
  });
});
