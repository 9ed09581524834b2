// swapon and swapoff by system calls: on a disk, on a file of a disk; what is refused; what a swap file may still be used for.
import { describe, expect, test } from 'vitest';
import { MemoryImage, SparseImage } from '#kernel/block/image.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import { mkfs, mkfsDefaults } from '#kernel/fs/ext/mkfs.ts';
import { swapHeader } from '#kernel/mm/swap/swapon.ts';
import { reclaimCached, settle, swappedPages } from '../../support/swap-fixture.ts';
import { type GuestTask, bootGuest } from '../../support/fs-fixture.ts';

const O = { RDONLY: 0, RDWR: 2, CREAT: 0o100 };
const latency = diskPresets[0]!;
const HEADER = 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n';

/** vda: a file system, at /mnt; vdb: swap of 1000 pages with a header; vdc: a disk of zeros. */
function machine(type: 'ext2' | 'ext4' = 'ext4', blockSize = 4096): GuestTask {
  const files = new MemoryImage(new Uint8Array(8 << 20));
  expect(mkfs(files, { ...mkfsDefaults, type, blockSize })).toBe(null);
  const swap = new SparseImage(1000 * 4096);
  swap.write(0, swapHeader(1000));
  const guest = bootGuest({ ramBytes: 24 << 20, disks: [files, swap, new SparseImage(64 * 4096)].map((image) => ({ image, latency })) });
  expect(guest.kernel.vfs.mountDisk(guest.kernel.system.disks[0]!, '/mnt', { isReadOnly: false, maxOrder: 9 })).toBe(null);
  return guest;
}
/** A file of so many pages with a swap header, all of it written. */
function swapFile(guest: GuestTask, path: string, pages: number): void {
  const fd = guest.fd(path, O.RDWR | O.CREAT);
  for (let page = 0; page < pages; page++) {
    expect(guest.task.user.write(guest.buffer, page === 0 ? swapHeader(pages) : new Uint8Array(4096).fill(page & 0xff))).toBe(true);
    expect(guest.patiently('pwrite64', fd, guest.buffer, 4096, page * 4096)).toBe(4096);
  }
  guest.call('close', fd);
}
/** Anonymous memory, each page with its number in it, sent to swap. */
function swappedOut(guest: GuestTask, pages: number): number {
  const { mm, user } = guest.task;
  const at = mm.mmap({ addr: 0, len: pages * 4096, prot: 3, flags: 0x22, file: null, pgoff: 0 });
  for (let i = 0; i < pages; i++) user.setU32(at + i * 4096, 1000 + i);
  mm.madvise(at, pages * 4096, 21);
  settle(guest.kernel.system);
  reclaimCached(guest.kernel.system);
  expect(swappedPages(mm, at, pages * 4096)).toBe(pages);
  return at;
}
function expectBack(guest: GuestTask, at: number, pages: number): void {
  for (let i = 0; i < pages; i++) expect(guest.task.user.u32(at + i * 4096)).toBe(1000 + i);
}

describe('a disk', () => {
  test('is swapped on, shows, and is swapped off with everything in memory again', () => {
    const guest = machine();
    const { system } = guest.kernel;
    expect(guest.call('swapon', '/dev/vdb', 0)).toBe(0);
    expect(guest.cat('/proc/swaps')).toBe(`${HEADER}/dev/vdb                                partition\t3996\t\t0\t\t-2\n`);
    expect([/SwapTotal: +3996 kB/.test(guest.cat('/proc/meminfo')), system.swap.freePages]).toEqual([true, 999]);
    const at = swappedOut(guest, 40);
    expect(guest.cat('/proc/swaps')).toContain('\t160\t\t-2\n');
    system.check();
    expect(guest.call('swapoff', '/dev/vdb')).toBe(0);
    system.check();
    expect([guest.cat('/proc/swaps'), system.swap.totalPages, guest.task.mm.rss.swapEntries]).toEqual([HEADER, 0, 0]);
    expect(swappedPages(guest.task.mm, at, 40 * 4096)).toBe(0);
    expectBack(guest, at, 40);
    expect(guest.call('swapon', '/dev/vdb', 0x8000 | 5)).toBe(0);
    expect(guest.cat('/proc/swaps')).toContain('\t0\t\t5\n');
  });
  test('is refused without a header, while it is mounted or on already, and to who is nobody', () => {
    const guest = machine();
    expect(guest.call('swapon', '/dev/vdc', 0)).toBe('EINVAL');
    expect(guest.call('swapon', '/dev/vda', 0)).toBe('EBUSY');
    expect(guest.call('swapon', '/dev/vdb', 0x10_0000)).toBe('EINVAL');
    expect(guest.call('swapon', '/dev/vdd', 0)).toBe('ENOENT');
    expect(guest.call('swapon', '/dev', 0)).toBe('EISDIR');
    expect(guest.call('swapon', '/dev/null', 0)).toBe('EINVAL');
    expect(guest.call('swapoff', '/dev/vdb')).toBe('EINVAL');
    expect(guest.call('swapon', '/dev/vdb', 0)).toBe(0);
    expect(guest.call('swapon', '/dev/vdb', 0)).toBe('EBUSY');
    guest.task.credentials = { ...guest.task.credentials, euid: 1000, fsuid: 1000 };
    expect(guest.call('swapon', '/dev/vdc', 0)).toBe('EPERM');
    expect(guest.call('swapoff', '/dev/vdb')).toBe('EPERM');
  });
  test('stays on when what it holds does not fit into memory', () => {
    const guest = machine();
    const { system } = guest.kernel;
    expect(guest.call('swapon', '/dev/vdb', 0)).toBe(0);
    const at = swappedOut(guest, 200);
    system.allocationsUntilFailure = 50;
    expect(guest.call('swapoff', '/dev/vdb')).toBe('ENOMEM');
    system.allocationsUntilFailure = Infinity;
    system.check();
    expect(guest.cat('/proc/swaps')).toContain('/dev/vdb');
    expectBack(guest, at, 200);
    expect(guest.call('swapoff', '/dev/vdb')).toBe(0);
  });
  test('with a priority of its own moves those without one up when it goes', () => {
    const guest = machine();
    guest.kernel.system.disks[2]!.image.write(0, swapHeader(64));
    expect([guest.call('swapon', '/dev/vdb', 0), guest.call('swapon', '/dev/vdc', 0)]).toEqual([0, 0]);
    expect(guest.cat('/proc/swaps')).toMatch(/vdb .*-2\n.*vdc .*-3\n/);
    expect(guest.call('swapoff', '/dev/vdb')).toBe(0);
    expect(guest.cat('/proc/swaps')).toMatch(/vdc .*-2\n/);
    expect(guest.call('swapon', '/dev/vdb', 0)).toBe(0);
    expect(guest.cat('/proc/swaps')).toMatch(/vdb .*-3\n.*vdc .*-2\n/);
  });
});

describe.each([['ext2', 1024], ['ext2', 4096], ['ext4', 1024], ['ext4', 4096]] as const)('a file of %s with blocks of %i bytes', (type, blockSize) => {
  test('takes pages and gives them back, wherever its blocks lie', () => {
    const guest = machine(type, blockSize);
    const { system } = guest.kernel;
    swapFile(guest, '/mnt/swap', 300);
    expect(guest.call('swapon', '/mnt/swap', 0)).toBe(0);
    expect(guest.cat('/proc/swaps')).toMatch(blockSize === 4096 ? /^\/mnt\/swap {31}file\t\t1196\t\t0\t\t-2$/m : /^\/mnt\/swap {31}file\t\t1\d\d\d\t\t0\t\t-2$/m);
    const at = swappedOut(guest, 250);
    system.check();
    expectBack(guest, at, 250);
    guest.task.mm.munmap(at, 250 * 4096);
    settle(system);
    expect(guest.call('swapoff', '/mnt/swap')).toBe(0);
    system.check();
    expect(guest.patiently('sync')).toBe(0);
    expect(guest.kernel.vfs.unmountDisks()).toBe(0);
  });
  test('may not be changed or removed meanwhile', () => {
    const guest = machine(type, blockSize);
    swapFile(guest, '/mnt/swap', 20);
    expect(guest.call('swapon', '/mnt/swap', 0)).toBe(0);
    expect(guest.call('swapon', '/mnt/swap', 0)).toBe('EBUSY');
    const fd = guest.fd('/mnt/swap', O.RDWR);
    expect(guest.call('pwrite64', fd, 'x', 1, 0)).toBe('ETXTBSY');
    expect(guest.call('ftruncate', fd, 0)).toBe('ETXTBSY');
    expect(guest.call('fallocate', fd, 0, 0, 1 << 20)).toBe('ETXTBSY');
    expect(guest.call('unlinkat', -100, '/mnt/swap', 0)).toBe('EPERM');
    expect(guest.call('swapoff', '/mnt/swap')).toBe(0);
    expect(guest.call('pwrite64', fd, 'x', 1, 0)).toBe(1);
    expect(guest.call('unlinkat', -100, '/mnt/swap', 0)).toBe(0);
  });
  test('with a hole is refused', () => {
    const guest = machine(type, blockSize);
    const fd = guest.fd('/mnt/swap', O.RDWR | O.CREAT);
    guest.task.user.write(guest.buffer, swapHeader(30));
    expect(guest.patiently('pwrite64', fd, guest.buffer, 4096, 0)).toBe(4096);
    expect(guest.call('ftruncate', fd, 30 * 4096)).toBe(0);
    expect(guest.call('swapon', '/mnt/swap', 0)).toBe('EINVAL');
    expect(guest.kernel.system.swap.totalPages).toBe(0);
  });
});

test('a file in memory is none that could be swapped to', () => {
  const guest = machine();
  swapFile(guest, '/tmp/swap', 20);
  expect(guest.call('swapon', '/tmp/swap', 0)).toBe('EINVAL');
});

test('what cannot be read at swapoff is SIGBUS afterwards, until the program gives it up', () => {
  const guest = machine();
  const { system } = guest.kernel;
  const bad = new Set<number>();
  const memory = new SparseImage(100 * 4096);
  memory.write(0, swapHeader(100));
  const image = { sizeBytes: memory.sizeBytes, isReadOnly: false, flush: () => true, write: (offset: number, from: Uint8Array) => memory.write(offset, from),
    read: (offset: number, into: Uint8Array) => { for (let s = offset / 512; s < (offset + into.length) / 512; s++) if (bad.has(s)) return false; return memory.read(offset, into); } };
  const other = bootGuest({ ramBytes: 24 << 20, disks: [{ image, latency }] });
  expect(other.call('swapon', '/dev/vda', 0)).toBe(0);
  const at = swappedOut(other, 10);
  for (let slot = 1; slot < 100; slot += 4) bad.add(slot * 8);
  expect(other.call('swapoff', '/dev/vda')).toBe(0);
  other.kernel.system.check();
  expect(other.kernel.system.swap.totalPages).toBe(0);
  const lost = [];
  for (let i = 0; i < 10; i++) {
    const word = other.task.user.u32(at + i * 4096);
    if (word === null) lost.push(i);
    else expect(word).toBe(1000 + i);
  }
  expect(lost.length).toBeGreaterThan(1);
  expect(other.task.mm.madvise(at, 10 * 4096, 4)).toBe(0);
  for (let i = 0; i < 10; i++) expect(other.task.user.u32(at + i * 4096)).toBe(0);
  other.kernel.system.check();
  system.check();
});
