// mremap: growing, shrinking, moving; pages move by their entries.
import { describe, expect, test } from 'vitest';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import { FaultResult } from '#kernel/mm/fault.ts';
import { MapFlag, MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { boot } from '../../support/mm-fixture.ts';
import { entryPicture, maps, picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const RW = Prot.Read | Prot.Write;
const { MayMove, Fixed, DontUnmap } = MremapFlag;
const EINVAL = -22, ENOMEM = -12, EFAULT = -14;

test('shrinks and grows in place', () => {
  const { program, system } = boot();
  program.map(0x8000, BASE);
  program.touch(BASE, 0x8000);
  expect(program.mm.mremap(BASE, 0x8000, 0x3000, 0, 0)).toBe(BASE);
  expect(program.mm.mremap(BASE, 0x3000, 0x6000, 0, 0)).toBe(BASE);
  expect(picture(program.mm)).toBe('0x1000000000 000...');
  system.check();
});
test('moves when the way up is taken, keeping contents and frames', () => {
  const { program, system } = boot();
  program.map(0x4000, BASE);
  program.map(0x1000, BASE + 0x4000, Prot.Read);
  program.user.setU32(BASE + 0x2000, 77);
  const frame = program.frame(BASE + 0x2000);
  expect(program.mm.mremap(BASE, 0x4000, 0x8000, 0, 0)).toBe(ENOMEM);
  const to = program.mm.mremap(BASE, 0x4000, 0x8000, MayMove, 0);
  expect(to).toBeGreaterThan(0);
  expect(program.frame(to + 0x2000)).toBe(frame);
  expect(program.user.u32(to + 0x2000)).toBe(77);
  expect(program.read(BASE)).toBe(FaultResult.MapErr);
  system.check();
});
test('errors are those of Linux', () => {
  const { program } = boot();
  program.map(0x4000, BASE);
  const at = (old: number, oldLen: number, newLen: number, flags: number, to = 0): number => program.mm.mremap(old, oldLen, newLen, flags, to);
  expect(at(BASE + 1, 0x1000, 0x2000, 0)).toBe(EINVAL);
  expect(at(BASE, 0x1000, 0, 0)).toBe(EINVAL);
  expect(at(BASE, 0x1000, 0x2000, 8)).toBe(EINVAL);
  expect(at(BASE, 0x1000, 0x2000, Fixed, BASE + 0x100000)).toBe(EINVAL);
  expect(at(BASE, 0x4000, 0x4000, MayMove | Fixed, BASE + 0x1000)).toBe(EINVAL);
  expect(at(BASE, 0x4000, 0x4000, MayMove | Fixed, BASE + 0x100001)).toBe(EINVAL);
  expect(at(BASE, 0x2000, 0x4000, MayMove | DontUnmap)).toBe(EINVAL);
  expect(at(BASE + 0x100000, 0x1000, 0x2000, 0)).toBe(EFAULT);
  expect(at(BASE, 0x8000, 0x9000, MayMove)).toBe(EFAULT);
  expect(at(BASE, 0, 0x1000, MayMove)).toBe(EINVAL);
});
test('DONTUNMAP into a gap that it fills, so that all around it is one mapping afterwards: none of it is locked', () => {
  const { program, system } = boot();
  program.map(0x6000, BASE);
  program.map(0x8000, BASE + 0x8000);
  program.mm.mlock(BASE, 0x6000, true);
  program.mm.mlock(BASE + 0x8000, 0x8000, true);
  expect(program.mm.mremap(BASE + 0x8000, 0x2000, 0x2000, MayMove | Fixed | DontUnmap, BASE + 0x6000)).toBe(BASE + 0x6000);
  expect([maps(program.mm).length, program.mm.lockedVm]).toEqual([1, 0]);
  system.check();
});
test('DONTUNMAP leaves an empty mapping behind', () => {
  const { program, system } = boot();
  program.map(0x4000, BASE);
  program.user.setU32(BASE, 5);
  const to = program.mm.mremap(BASE, 0x4000, 0x4000, MayMove | DontUnmap, 0);
  expect(program.user.u32(to)).toBe(5);
  expect(program.user.u32(BASE)).toBe(0);
  expect(system.committedPages).toBe(8);
  system.check();
});
test('a shared mapping asked for with old length 0 is there twice', () => {
  const { program, system } = boot();
  const at = program.mm.mmap({ addr: 0, len: 0x4000, prot: RW, flags: MapFlag.Shared | MapFlag.Anonymous, file: null, pgoff: 0 });
  program.user.setU32(at + 0x1000, 9);
  const twin = program.mm.mremap(at, 0, 0x4000, MayMove, 0);
  expect(program.user.u32(twin + 0x1000)).toBe(9);
  program.user.setU32(twin, 10);
  expect(program.user.u32(at)).toBe(10);
  system.check();
  program.mm.munmap(at, 0x4000);
  program.mm.munmap(twin, 0x4000);
  expect(system.vmstat.get('nr_shmem')).toBe(0);
  system.check();
});
describe('2 MiB', () => {
  test('entries and whole tables move as they are between aligned places', () => {
    const { program, system } = boot({ orders: [9] });
    program.map(4 << 20, BASE);
    program.write(BASE);
    program.mm.thpDisabled = true;
    program.write(BASE + (2 << 20));
    const frames = [program.frame(BASE), program.frame(BASE + (2 << 20))];
    const free = system.freeBytes;
    const to = program.mm.mremap(BASE, 4 << 20, 4 << 20, MayMove | Fixed, BASE + (64 << 20));
    expect([program.frame(to), program.frame(to + (2 << 20))]).toEqual(frames);
    expect(system.freeBytes).toBe(free);
    expect(entryPicture(program.mm, to, to + 0x2000)).toBe('0x1004000000 MM');
    system.check();
  });
  test('an entry that moves by less splits', () => {
    const { program, system } = boot({ orders: [9] });
    program.map(2 << 20, BASE);
    program.write(BASE);
    const to = program.mm.mremap(BASE, 2 << 20, 2 << 20, MayMove | Fixed, BASE + 0x1001000);
    expect(system.vmstat.get('thp_split_pmd')).toBe(1);
    expect(picture(program.mm, to, to + 0xf000)).toBe('0x1001001000 999999999999999');
    expect(program.mm.rss.anonPages).toBe(512);
    system.check();
  });
});
test('whichever table cannot be had, the mapping is where it was, whole', () => {
  const { program, system } = boot();
  program.map(8 << 20, BASE);
  for (let i = 0; i < 8; i++) program.user.setU32(BASE + i * (1 << 20), i + 1);
  for (let n = 0; ; n++) {
    system.allocationsUntilFailure = n;
    const to = program.mm.mremap(BASE, 8 << 20, 8 << 20, MayMove | Fixed, 0x20_0000_1000);
    system.allocationsUntilFailure = Infinity;
    system.check();
    const at = to > 0 ? to : BASE;
    for (let i = 0; i < 8; i++) expect(program.user.u32(at + i * (1 << 20))).toBe(i + 1);
    if (to > 0) break;
    expect(to).toBe(ENOMEM);
    expect(maps(program.mm)).toEqual(['0x1000000000-0x1000800000 rw-p']);
    expect(n).toBeLessThan(20);
  }
});
test('a file mapping keeps its pages of the file', () => {
  const { program, system } = boot();
  const space = new AddressSpace(system, 'file');
  space.write(0, new Uint8Array(0x8000).fill(3));
  const file = { space, path: '/f', ino: 1, devMajor: 0, devMinor: 1, mayWrite: true };
  program.mm.mmap({ addr: BASE, len: 0x8000, prot: RW, flags: MapFlag.Private | MapFlag.Fixed, file, pgoff: 0 });
  program.user.setU8(BASE + 0x5000, 4);
  const to = program.mm.mremap(BASE + 0x4000, 0x2000, 0x4000, MayMove | Fixed, BASE + 0x100000);
  expect([program.user.u8(to), program.user.u8(to + 0x1000), program.user.u8(to + 0x2000)]).toEqual([3, 4, 3]);
  expect(program.read(BASE + 0x4000)).toBe(FaultResult.MapErr);
  system.check();
});
test('a move inside one mapping that has no pages yet merges with it; left behind, it is unlocked once', () => {
  const { program, system } = boot();
  program.map(0x20000, BASE);
  program.mm.mlock(BASE, 0x20000, true);
  expect(program.mm.mremap(BASE + 0x10000, 0x3000, 0x3000, MayMove | Fixed | DontUnmap, BASE + 0x4000)).toBe(BASE + 0x4000);
  expect([maps(program.mm), program.mm.lockedVm]).toEqual([['0x1000000000-0x1000020000 rw-p'], 0]);
  system.check();
});
