// Files in memory alone, and swap: their pages go out and come back by every way there is to them.
import { describe, expect, test } from 'vitest';
import type { Folio } from '#base';
import { SparseImage } from '#kernel/block/image.ts';
import { FaultResult } from '#kernel/mm/fault.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import { smapsOf } from '#kernel/mm/inspect.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { swapOff } from '#kernel/mm/swap/swapoff.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { bootWithSwap, reclaimCached, settle } from '../../../support/swap-fixture.ts';

const PAGES = 32;
function boot(options: Parameters<typeof bootWithSwap>[1] = {}) {
  const { system, program, device } = bootWithSwap(1024, options);
  const quota = { usedPages: 0, maxPages: 1000 };
  const space = new AddressSpace(system, 'shmem', quota);
  space.truncate(PAGES * 4096);
  const file = { space, path: '/dev/shm/a', ino: 7, devMajor: 0, devMinor: 6, mayWrite: true };
  const map = (flags: number, prot: number = Prot.Read | Prot.Write): number => program.mm.mmap({ addr: 0, len: PAGES * 4096, prot, flags, file, pgoff: 0 });
  return { system, program, device, space, map, quota };
}
const byte = (page: number): number => (100 + page) & 0xff;
function fill(space: AddressSpace, first = 0, end = PAGES): void {
  for (let page = first; page < end; page++) space.write(page * 4096, new Uint8Array(4096).fill(byte(page)));
}
/** Every folio of the file that can, goes out. */
function swapOutAll(system: MmSystem, space: AddressSpace, keepsCached = false): void {
  const list: Folio[] = [];
  for (let folio = space.nextFolio(0); folio !== 0; folio = space.nextFolio(system.folios.index(folio) + system.folios.nrPages(folio))) if (system.lru.isolate(folio)) list.push(folio);
  system.vmscan.reclaimPages(list);
  if (keepsCached) return;
  settle(system);
  reclaimCached(system);
  system.check();
}
function expectBytes(space: AddressSpace, zeros: readonly number[] = []): void {
  const into = new Uint8Array(4096);
  for (let page = 0; page < space.sizePages; page++) {
    expect(space.read(page * 4096, into)).toBe(4096);
    expect([page, into[0], into[4095]]).toEqual([page, ...(zeros.includes(page) ? [0, 0] : [byte(page), byte(page)])]);
  }
}

describe('pages of a file in memory', () => {
  test('go to swap, count as the file\'s still, and come back when they are read', () => {
    const { system, space, quota } = boot();
    fill(space);
    expect(system.vmstat.get('nr_shmem')).toBe(PAGES);
    swapOutAll(system, space);
    expect([space.nrPages, space.nrSwapped, quota.usedPages, system.vmstat.get('nr_shmem'), system.vmstat.get('nr_file_pages')]).toEqual([0, PAGES, PAGES, 0, 0]);
    expectBytes(space);
    settle(system);
    system.check();
    expect([space.nrPages, space.nrSwapped, system.vmstat.get('nr_shmem')]).toEqual([PAGES, 0, PAGES]);
    space.truncate(0);
    system.check();
    expect([quota.usedPages, system.swap.freePages]).toEqual([0, 1023]);
  });
  test('are written over in part where they are', () => {
    const { system, space } = boot();
    fill(space);
    swapOutAll(system, space);
    expect(space.write(5 * 4096 + 10, Uint8Array.of(1, 2, 3))).toBe(3);
    const into = new Uint8Array(14);
    space.read(5 * 4096, into);
    expect([...into]).toEqual([...new Array<number>(10).fill(byte(5)), 1, 2, 3, byte(5)]);
    expect([space.nrSwapped < PAGES, system.folios.order(space.folioAt(5) as Folio)]).toEqual([true, 0]);
    system.check();
  });
  test('come back through mappings, shared and private, with major faults', () => {
    const { system, space, program, map } = boot();
    fill(space);
    const [shared, own] = [map(MapFlag.Shared), map(MapFlag.Private)];
    expect(program.read(shared)).toBe(FaultResult.Done);
    program.mm.munmap(shared, 4096);
    swapOutAll(system, space);
    expect(space.nrSwapped).toBe(PAGES);
    expect(smapsOf(program.mm, program.mm.findVma(shared + 4096)!).swap).toBe((PAGES - 1) * 4096);
    const majors = program.counts.majFlt;
    expect(program.user.u8(shared + 3 * 4096)).toBe(byte(3));
    expect(program.counts.majFlt).toBe(majors + 1);
    expect(program.user.setU8(own + 7 * 4096, 9)).toBe(true);
    expect(program.user.u8(shared + 7 * 4096)).toBe(byte(7));
    expect(program.user.u8(own + 7 * 4096 + 1)).toBe(byte(7));
    settle(system);
    system.check();
    expect(program.user.setU8(shared + 9 * 4096, 1)).toBe(true);
    swapOutAll(system, space);
    expect(program.user.u8(shared + 9 * 4096)).toBe(1);
    system.check();
  });
  test('that are cut off give their slots back; the page that is cut in two keeps its half', () => {
    const { system, space } = boot();
    fill(space);
    swapOutAll(system, space);
    space.truncate(10 * 4096 + 100);
    settle(system);
    system.check();
    expect(space.nrPages + space.nrSwapped).toBe(11);
    space.truncate(12 * 4096);
    const into = new Uint8Array(200);
    space.read(10 * 4096, into);
    expect([into[99], into[100], into[199]]).toEqual([byte(10), 0, 0]);
    space.punchHole(2 * 4096, 5 * 4096);
    system.check();
    expect([1, 2, 4, 5].map((page) => space.hasData(page))).toEqual([true, false, false, true]);
    expect([space.nextData(2), space.nextData(11)]).toEqual([5, -1]);
    space.truncate(0);
    settle(system);
    reclaimCached(system);
    system.check();
    expect(system.swap.freePages).toBe(1023);
  });
  test('that were only set aside are kept, too', () => {
    const { system, space } = boot();
    expect(space.setAside(3)).not.toBe(0);
    swapOutAll(system, space);
    expect([space.nrSwapped, system.vmstat.get('swpout_zero')]).toEqual([1, 1]);
  });
  test('all come back at swapoff, whoever maps them', () => {
    const { system, space, program, map } = boot();
    fill(space);
    const at = map(MapFlag.Shared);
    swapOutAll(system, space);
    expect(program.user.u8(at)).toBe(byte(0));
    expect(swapOff(system, system.swap.devices[0]!, program.mm)).toBe(0);
    system.check();
    expect([space.nrSwapped, space.nrPages, system.swap.totalPages]).toEqual([0, PAGES, 0]);
    expectBytes(space);
  });
});

describe('a large folio of a file', () => {
  test.each([true, false])('goes out whole, and comes back whole only while the swap cache has it (%s)', (keepsCached) => {
    const { system, space, device } = boot();
    system.thp.set('shmem_enabled', 'always');
    space.onKernelMount = true;
    space.truncate(512 * 4096);
    fill(space, 0, 512);
    expect(system.folios.order(space.folioAt(0) as Folio)).toBe(9);
    const bios = device.bios;
    swapOutAll(system, space, keepsCached);
    expect([device.bios - bios, space.nrSwapped, system.thp.stat(9, 'swpout'), system.vmstat.get('thp_swpout')]).toEqual([1, 512, 1, 1]);
    const into = new Uint8Array(1);
    space.read(3 * 4096, into);
    expect(into[0]).toBe(byte(3));
    system.check();
    expect(system.folios.order(space.folioAt(3) as Folio)).toBe(keepsCached ? 9 : 0);
    expectBytes(space);
    settle(system);
    system.check();
  });
  test('that reaches beyond the end of its file is split first', () => {
    const { system, space } = boot();
    system.thp.set('shmem_enabled', 'always');
    space.onKernelMount = true;
    fill(space);
    expect(system.folios.order(space.folioAt(0) as Folio)).toBe(9);
    swapOutAll(system, space);
    expect([system.thp.stat(9, 'swpout'), system.thp.stat(9, 'split'), space.folioAt(3)]).toEqual([0, 1, 0]);
    expectBytes(space);
  });
  test('is cut in part while it is in swap', () => {
    for (const keepsCached of [true, false]) {
      const { system, space } = boot();
      system.thp.set('shmem_enabled', 'always');
      space.onKernelMount = true;
      space.truncate(512 * 4096);
      fill(space, 0, 512);
      swapOutAll(system, space, keepsCached);
      expect(space.nrSwapped).toBe(512);
      space.punchHole(3 * 4096, 6 * 4096);
      system.check();
      expectBytes(space, [3, 4, 5]);
      system.check();
      space.truncate(7 * 4096);
      settle(system);
      reclaimCached(system);
      system.check();
      expectBytes(space, [3, 4, 5]);
      space.truncate(0);
      settle(system);
      reclaimCached(system);
      system.check();
      expect(system.swap.freePages).toBe(1023);
    }
  });
});

test('a page that cannot be read is lost to the file, for good, and nothing else is', () => {
  const memory = new SparseImage(1024 * 4096);
  let isBroken = false;
  const image = { sizeBytes: memory.sizeBytes, isReadOnly: false, flush: () => true, write: (offset: number, from: Uint8Array) => memory.write(offset, from),
    read: (offset: number, into: Uint8Array) => !(isBroken && Math.floor(offset / 4096) % 8 === 5) && memory.read(offset, into) };
  const { system, space, program, map, quota } = boot({ image });
  system.params.vm.page_cluster = 0;
  fill(space);
  const at = map(MapFlag.Shared);
  swapOutAll(system, space);
  isBroken = true;
  const lost: number[] = [];
  for (let page = 0; page < PAGES; page++) {
    const result = program.read(at + page * 4096);
    if (result === FaultResult.BusError) lost.push(page);
    else expect(program.user.u8(at + page * 4096)).toBe(byte(page));
  }
  system.check();
  expect(lost.length).toBe(PAGES / 8);
  isBroken = false;
  const into = new Uint8Array(10);
  expect(space.read(lost[0]! * 4096, into)).toBe(-5);
  expect(space.read(lost[0]! * 4096 - 4, into)).toBe(4);
  expect(space.write(lost[0]! * 4096, into)).toBe(-5);
  expect(quota.usedPages).toBe(PAGES - lost.length);
  space.punchHole(lost[0]! * 4096, (lost[0]! + 1) * 4096);
  expect(space.read(lost[0]! * 4096, into)).toBe(10);
  space.truncate(0);
  expect(quota.usedPages).toBe(0);
  settle(system);
  reclaimCached(system);
  system.check();
  expect(system.swap.freePages).toBe(1023);
});
