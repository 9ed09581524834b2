// Why folios of files have their orders, and what read-ahead decided: each reason by the calls that bring it about, on disks and in memory.
import { describe, expect, test } from 'vitest';
import { MemoryImage } from '#kernel/block/image.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import { diskFileOf } from '#kernel/fs/disk-file.ts';
import { pathOf } from '#kernel/fs/dentry.ts';
import { mkfs, mkfsDefaults } from '#kernel/fs/ext/mkfs.ts';
import { regularOf } from '#kernel/fs/regular.ts';
import { cachedFile, cachedFiles, cachedFolios } from '#kernel/mm/cache-inspect.ts';
import type { AddressSpace } from '#kernel/mm/filemap.ts';
import { bootGuest, type GuestTask } from '../../support/fs-fixture.ts';

const O = { RDWR: 2, CREAT: 0o100 };
const FILE_BYTES = 4 << 20;
const PAGE = 4096;
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function guestWith(type: 'ext2' | 'ext4' = 'ext4'): GuestTask {
  const image = new MemoryImage(new Uint8Array(16 << 20));
  expect(mkfs(image, { ...mkfsDefaults, type })).toBe(null);
  const guest = bootGuest({ ramBytes: 64 << 20, disks: [{ image, latency: diskPresets[0]! }] });
  expect(guest.kernel.vfs.mountDisk(guest.kernel.system.disks[0]!, '/mnt', { isReadOnly: false })).toBe(null);
  guest.kernel.system.cacheLog.start();
  return guest;
}
/** A file of 4 MiB on the disk, of which nothing is in memory. */
function coldFile(guest: GuestTask): number {
  const fd = guest.fd('/mnt/a', O.RDWR | O.CREAT);
  for (let at = 0; at < FILE_BYTES; at += 1 << 20) guest.patiently('pwrite64', fd, guest.buffer, 1 << 20, at);
  guest.patiently('fsync', fd);
  drop(guest);
  guest.kernel.system.cacheLog.take();
  return fd;
}
const drop = (guest: GuestTask): void => { guest.kernel.vfs.writeWhole('/proc/sys/vm/drop_caches', encode('1')); };
function spaceOf(guest: GuestTask, path: string): AddressSpace {
  const at = guest.kernel.vfs.lookup(path);
  if (typeof at === 'number') throw new Error(path);
  return diskFileOf(at.inode)?.space ?? regularOf(at.inode)!.pages;
}
/** 'order x times: reason', neighbours alike together. */
function orders(guest: GuestTask, space: AddressSpace): string[] {
  const lines: { text: string; times: number }[] = [];
  for (const { folio, order } of cachedFolios(space)) {
    const birth = guest.kernel.system.cacheLog.birthOf(folio);
    const text = birth === null ? `${order} unknown` : `${order} of ${birth.wantedOrder} ${birth.reasons.join('+')}`;
    const last = lines.at(-1);
    if (last?.text === text) last.times++;
    else lines.push({ text, times: 1 });
  }
  return lines.map(({ text, times }) => `${times} x ${text}`);
}
const decisions = (guest: GuestTask): string[] => guest.kernel.system.cacheLog.take()
  .map(({ kind, reason, index, request, start, size, asyncSize, order, pages }) => `${kind} ${reason} ${index}+${request}: ${start}+${size} (${asyncSize} ahead) order ${order}, ${pages} read`);


const sizes = (guest: GuestTask, size: string, value: string): void => {
  expect(guest.kernel.vfs.writeWhole(`/sys/kernel/mm/transparent_hugepage/${size}`, encode(value))).toBe(0);
};
const anonymous = (guest: GuestTask, bytes: number, touched: number): string[] => {
  const address = guest.call('mmap', 0, bytes, 3, 0x21, -1, 0) as number;
  guest.task.user.write(address + touched, new Uint8Array(8));
  const { file } = guest.task.mm.findVma(address)!;
  return orders(guest, file!.space);
};

describe('read-ahead', () => {
  test('a sequential reader: a first window of single pages, then a larger one at every mark, of folios as large as it allows', () => {
    const guest = guestWith();
    const fd = coldFile(guest);
    guest.call('lseek', fd, 0, 0);
    for (let i = 0; i < 24; i++) guest.patiently('read', fd, guest.buffer, 16384);
    expect(decisions(guest)).toEqual([
      'sync ra-first 0+4: 0+8 (4 ahead) order 0, 8 read', 'async ra-mark 4+4: 8+16 (16 ahead) order 2, 16 read', 'async ra-mark 8+4: 24+24 (24 ahead) order 4, 24 read',
      'async ra-mark 24+4: 48+16 (16 ahead) order 4, 16 read', 'async ra-mark 48+4: 64+32 (32 ahead) order 5, 32 read', 'async ra-mark 64+4: 96+32 (32 ahead) order 5, 32 read',
    ]);
    // 24 pages from page 8 on, for folios of 16: half of one until page 16, then one whole.
    expect(orders(guest, spaceOf(guest, '/mnt/a'))).toEqual([
      '8 x 0 of 0 ra-first-order', '4 x 2 of 2 ra-order', '1 x 3 of 4 index-alignment', '1 x 4 of 4 ra-order', '1 x 4 of 6 ra-window-size', '1 x 5 of 6 ra-window-size', '1 x 5 of 7 ra-window-size',
    ]);
    // 128 pages were brought, 96 read: four because they were asked for.
    expect(guest.kernel.system.cacheLog.readahead).toEqual({ needed: 4, ahead: 124, aheadUsed: 92 });
  });
  test('the same without large folios: the same marks, single pages, and the file system is the reason', () => {
    const guest = guestWith('ext2');
    const fd = coldFile(guest);
    guest.call('lseek', fd, 0, 0);
    for (let i = 0; i < 4; i++) guest.patiently('read', fd, guest.buffer, 16384);
    expect(decisions(guest)).toEqual(['sync ra-first 0+4: 0+8 (4 ahead) order 0, 8 read', 'async ra-mark 4+4: 8+16 (16 ahead) order 0, 16 read', 'async ra-mark 8+4: 24+32 (32 ahead) order 0, 32 read']);
    expect(orders(guest, spaceOf(guest, '/mnt/a'))).toEqual(['8 x 0 of 0 no-large-folios', '48 x 0 of 2 no-large-folios']);
  });
  test('random, interleaved, oversized, by advice, forced and switched off', () => {
    const guest = guestWith();
    coldFile(guest);
    const fd = guest.fd('/mnt/a', O.RDWR);
    const at = (page: number, pages: number): string[] => {
      guest.patiently('pread64', fd, guest.buffer, pages * PAGE, page * PAGE);
      while (guest.kernel.system.waits.passTime());
      return decisions(guest);
    };
    expect(at(400, 2)).toEqual(['sync ra-random 400+2: 400+0 (0 ahead) order 0, 2 read']);
    expect(at(402, 1)).toEqual(['sync ra-sequential 402+1: 402+4 (3 ahead) order 0, 4 read']);
    expect([...at(600, 2), ...at(100, 2), ...at(602, 1)].at(-1)).toBe('sync ra-interleaved 602+1: 602+3 (1 ahead) order 0, 3 read');
    guest.kernel.vfs.writeWhole('/sys/block/vda/queue/max_sectors_kb', encode('128'));
    expect(at(700, 64)).toEqual([expect.stringMatching(/^sync ra-(oversized|random) 700\+64/)]);
    guest.call('fadvise64', fd, 0, 0, 1);
    expect(at(300, 3)).toEqual(['sync ra-random-advice 300+3: 300+0 (0 ahead) order 0, 3 read']);
    guest.patiently('readahead', fd, 200 * PAGE, 40 * PAGE);
    expect(decisions(guest)).toEqual(['forced ra-forced 200+40: 200+0 (0 ahead) order 0, 40 read']);
    guest.kernel.vfs.writeWhole('/sys/block/vda/queue/read_ahead_kb', encode('0'));
    const without = guest.fd('/mnt/a', O.RDWR);
    guest.patiently('pread64', without, guest.buffer, PAGE, 900 * PAGE);
    expect(decisions(guest)).toEqual(['sync ra-off 900+1: 900+0 (0 ahead) order 0, 1 read']);
    expect(orders(guest, spaceOf(guest, '/mnt/a')).join('; ')).toMatch(/4\d x 0 of 0 ra-exact/);
  });
  test('faults of a mapping: around, sequential, random, huge; what is mapped is used', () => {
    const guest = guestWith();
    const fd = coldFile(guest);
    const map = (advice: number): number => {
      const address = guest.call('mmap', 0, FILE_BYTES, 1, 1, fd, 0) as number;
      if (advice !== 0) expect(guest.call('madvise', address, FILE_BYTES, advice)).toBe(0);
      return address;
    };
    const touch = (address: number, page: number): string[] => {
      drop(guest);
      guest.kernel.system.cacheLog.take();
      guest.bytes(8, address + page * PAGE);
      while (guest.kernel.system.waits.passTime());
      return decisions(guest);
    };
    expect(touch(map(0), 100)).toEqual(['fault ra-fault-around 100+1: 84+32 (8 ahead) order 0, 32 read']);
    expect(guest.kernel.system.cacheLog.readahead.aheadUsed).toBeGreaterThan(0);
    expect(touch(map(2), 200)[0]).toMatch(/^fault ra-fault-sequential 200\+32: /);
    expect(touch(map(1), 300)).toEqual(['fault ra-fault-random 300+1: 300+0 (0 ahead) order 0, 0 read']);
    expect(orders(guest, spaceOf(guest, '/mnt/a')).at(-1)).toBe('1 x 0 of 0 read-alone');
    expect(touch(map(14), 600)).toEqual(['fault ra-fault-huge 600+1: 512+1024 (512 ahead) order 9, 512 read']);
    expect(orders(guest, spaceOf(guest, '/mnt/a')).at(-1)).toBe('1 x 9 of 9 ra-order');
  });
});

describe('writes', () => {
  test('the length of a write, alignment, what is cached already, and the largest order decide', () => {
    const guest = guestWith();
    const fd = guest.fd('/mnt/b', O.RDWR | O.CREAT);
    const write = (page: number, pages: number): void => { guest.patiently('pwrite64', fd, guest.buffer, pages * PAGE, page * PAGE); };
    write(0, 16);
    write(17, 3);
    expect(orders(guest, spaceOf(guest, '/mnt/b'))).toEqual(['1 x 4 of 4 write-length', '1 x 0 of 1 index-alignment', '1 x 1 of 1 write-length']);
    write(32, 8);
    guest.patiently('fsync', fd);
    drop(guest);
    guest.call('fadvise64', fd, 0, 0, 1);
    guest.patiently('pread64', fd, guest.buffer, 1, 36 * PAGE);
    write(32, 8);
    expect(orders(guest, spaceOf(guest, '/mnt/b'))).toEqual(['1 x 2 of 3 neighbour-cached', '1 x 0 of 0 ra-exact', '1 x 0 of 1 index-alignment', '1 x 1 of 1 write-length']);
  });
  test('a folio that a truncate has cut says what it was, and that it was split', () => {
    const guest = guestWith();
    const fd = guest.fd('/mnt/b', O.RDWR | O.CREAT);
    guest.patiently('pwrite64', fd, guest.buffer, 16 * PAGE, 0);
    guest.patiently('fsync', fd);
    guest.call('ftruncate', fd, 5 * PAGE);
    expect(orders(guest, spaceOf(guest, '/mnt/b'))).toEqual(['1 x 2 of 4 split-file+write-length', '1 x 0 of 4 split-file+write-length']);
  });
  test('no free block of the size is a reason, too, for writes, for windows and in memory alone', () => {
    const guest = guestWith();
    const { system } = guest.kernel;
    const fd = coldFile(guest);
    const allocFolio = system.allocFolio.bind(system);
    const allocZeroed = system.allocZeroed.bind(system);
    system.allocFolio = (order, ...more) => (order > 0 ? 0 : allocFolio(order, ...more));
    system.allocZeroed = (order, ...more) => (order > 0 ? 0 : allocZeroed(order, ...more));
    for (let page = 0; page < 8; page += 4) guest.patiently('pread64', fd, guest.buffer, 4 * PAGE, page * PAGE);
    expect(orders(guest, spaceOf(guest, '/mnt/a'))).toEqual(['8 x 0 of 0 ra-first-order', '16 x 0 of 2 fragmented']);
    const other = guest.fd('/mnt/b', O.RDWR | O.CREAT);
    guest.patiently('pwrite64', other, guest.buffer, 4 * PAGE, 0);
    expect(orders(guest, spaceOf(guest, '/mnt/b'))).toEqual(['1 x 0 of 2 fragmented', '1 x 0 of 1 index-alignment', '1 x 0 of 1 fragmented', '1 x 0 of 0 write-length']);
    sizes(guest, 'hugepages-64kB/shmem_enabled', 'always');
    expect(anonymous(guest, 1 << 20, 0)).toEqual(['1 x 0 of 4 fragmented']);
  });
});

describe('memory alone', () => {
  test('no size enabled; a size enabled; a mapping too small for it', () => {
    const guest = guestWith();
    expect(anonymous(guest, 1 << 20, 0)).toEqual(['1 x 0 of 0 shmem-off']);
    sizes(guest, 'hugepages-64kB/shmem_enabled', 'always');
    expect(anonymous(guest, 1 << 20, 0)).toEqual(['1 x 4 of 4 order-wanted']);
    expect(anonymous(guest, 32768, 0)).toEqual(['1 x 0 of 4 vma-too-small']);
    sizes(guest, 'hugepages-64kB/shmem_enabled', 'within_size');
    expect(anonymous(guest, 32768, 0)).toEqual(['1 x 0 of 4 shmem-size']);
  });
  test('what a memfd holds already, what fallocate sets aside', () => {
    const guest = guestWith();
    const fd = guest.call('memfd_create', 'm', 0) as number;
    const space = regularOf(guest.task.files.get(fd)!.dentry.inode)!.pages;
    guest.call('pwrite64', fd, guest.buffer, PAGE, 5 * PAGE);
    sizes(guest, 'shmem_enabled', 'always');
    guest.call('pwrite64', fd, guest.buffer, PAGE, 6 * PAGE);
    guest.call('pwrite64', fd, guest.buffer, PAGE, 512 * PAGE);
    expect(orders(guest, space)).toEqual(['1 x 0 of 0 shmem-off', '1 x 1 of 9 neighbour-cached', '1 x 9 of 9 order-wanted']);
    const other = guest.call('memfd_create', 'n', 0) as number;
    guest.call('fallocate', other, 0, 0, 2 * PAGE);
    expect(orders(guest, regularOf(guest.task.files.get(other)!.dentry.inode)!.pages)).toEqual(['2 x 0 of 0 shmem-set-aside']);
  });
});

describe('what is cached', () => {
  test('files by the name they were last opened by, with sizes, dirt and mappings that add up to the kernel\'s own gauges', () => {
    const guest = guestWith();
    const fd = guest.fd('/mnt/b', O.RDWR | O.CREAT);
    guest.patiently('pwrite64', fd, guest.buffer, 20 * PAGE, 0);
    const address = guest.call('mmap', 0, 8 * PAGE, 3, 1, fd, 0) as number;
    guest.bytes(8, address);
    guest.call('linkat', -100, '/mnt/b', -100, '/mnt/c', 0);
    guest.fd('/mnt/c');
    const space = spaceOf(guest, '/mnt/b');
    expect(pathOf(space.openedAs!)).toBe('/mnt/c');
    const files = cachedFiles(guest.kernel.system);
    const file = files.find((each) => each.space === space)!;
    expect(file).toMatchObject({ backEnd: 'iomap', pages: 20, foliosByOrder: [0, 0, 1, 0, 1, 0, 0, 0, 0, 0], dirtyPages: 20, writebackPages: 0, xarrayNodes: 1 });
    const { vmstat } = guest.kernel.system;
    const sum = (of: 'pages' | 'mappedPages' | 'dirtyPages'): number => files.reduce((all, each) => all + each[of], 0);
    expect([sum('pages'), sum('mappedPages'), sum('dirtyPages')]).toEqual([vmstat.get('nr_file_pages'), vmstat.get('nr_mapped'), vmstat.get('nr_dirty')]);
    guest.call('unlinkat', -100, '/mnt/b', 0);
    guest.call('unlinkat', -100, '/mnt/c', 0);
    expect(pathOf(cachedFile(space).space.openedAs!)).toBe('/mnt/c (deleted)');
  });
  test('nobody listens: nothing is kept', () => {
    const guest = guestWith();
    guest.kernel.system.cacheLog.stop();
    const fd = guest.fd('/mnt/b', O.RDWR | O.CREAT);
    guest.patiently('pwrite64', fd, guest.buffer, 20 * PAGE, 0);
    drop(guest);
    guest.patiently('pread64', fd, guest.buffer, 20 * PAGE, 0);
    expect(guest.kernel.system.cacheLog.take()).toEqual([]);
    expect(orders(guest, spaceOf(guest, '/mnt/b')).every((line) => line.endsWith('unknown'))).toBe(true);
  });
});
