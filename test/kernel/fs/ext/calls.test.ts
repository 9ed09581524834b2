// System calls on a mounted ext file system: what a read-only one answers (as Linux 6.18 answers on a tmpfs remounted read-only), and errors that come from
// the disk in the middle of a change of names.
import { describe, expect, test } from 'vitest';
import { MemoryImage } from '#kernel/block/image.ts';
import { ExtFileSystem, mountExt } from '#kernel/fs/ext/index.ts';
import { ImageBlocks } from '#kernel/fs/ext/image-blocks.ts';
import { Open } from '#kernel/fs/file.ts';
import { checkExt } from '../../../support/ext-check.ts';
import { madeImage, ticking } from '../../../support/ext-direct.ts';
import { AT_FDCWD, bootGuest, type GuestTask } from '../../../support/fs-fixture.ts';

const MIB = 2 ** 20;
const text = (words: string): (() => Uint8Array) => () => new TextEncoder().encode(words);

function guestWith(image: MemoryImage, isReadOnly: boolean): { guest: GuestTask; fs: ExtFileSystem } {
  const fs = mountExt({
    open: (blockSize) => new ImageBlocks(image, blockSize), isReadOnly, now: ticking(), devMajor: 8, devMinor: 0,
    contentOf: () => ({ open: () => ({ seekable: true }), size: (inode) => (inode as unknown as { size: number }).size }),
  });
  if (!(fs instanceof ExtFileSystem)) throw new Error(fs.sentence);
  const guest = bootGuest({ ramBytes: 16 << 20 });
  expect(guest.kernel.vfs.mount('/dev/vda', '/mnt', fs.root)).toBe(0);
  return { guest, fs };
}

describe('a read-only file system', () => {
  const image = madeImage({}, 8 * MIB, [{ path: '/dir', mode: 0o040755 }, { path: '/file', mode: 0o100644, bytes: text('x') }, { path: '/link', mode: 0o120777, bytes: text('file') }]);
  const { guest } = guestWith(image, true);
  const { CREAT, DIRECTORY, EXCL, RDWR, TMPFILE, TRUNC, WRONLY } = Open;
  test.each([
    ['mkdirat', ['/mnt/new', 0o755], 'EROFS'], ['mkdirat', ['/mnt/dir', 0o755], 'EEXIST'], ['mknodat', ['/mnt/fifo', 0o010644, 0], 'EROFS'],
    ['unlinkat', ['/mnt/none', 0], 'EROFS'], ['unlinkat', ['/mnt/file', 0], 'EROFS'], ['unlinkat', ['/mnt/dir', 0x200], 'EROFS'], ['unlinkat', ['/mnt/none', 0x200], 'EROFS'],
    ['openat', ['/mnt/file', WRONLY, 0], 'EROFS'], ['openat', ['/mnt/file', CREAT | EXCL, 0o644], 'EEXIST'], ['openat', ['/mnt/new', CREAT, 0o644], 'EROFS'],
    ['openat', ['/mnt/file', TRUNC, 0], 'EROFS'], ['openat', ['/mnt/dir', WRONLY, 0], 'EISDIR'], ['openat', ['/mnt/dir', RDWR | TMPFILE | DIRECTORY, 0o644], 'EROFS'],
    ['fchmodat', ['/mnt/file', 0o600], 'EROFS'], ['fchownat', ['/mnt/file', 1, 1, 0], 'EROFS'], ['utimensat', ['/mnt/file', 0, 0], 'EROFS'],
    ['faccessat', ['/mnt/file', 2], 'EROFS'], ['faccessat', ['/mnt/file', 4], 0], ['faccessat', ['/mnt/dir', 2], 'EROFS'],
  ] as const)('%s%j: %s', (name, args, expected) => { expect(guest.call(name, AT_FDCWD, ...args)).toBe(expected); });
  test('opens a file that is there with O_CREAT', () => { expect(guest.open('/mnt/file', CREAT)).toBeTypeOf('number'); });
  test.each([['/mnt/file', '/mnt/b', 'EROFS'], ['/mnt/none', '/mnt/b', 'EROFS'], ['/mnt/file', '/b', 'EXDEV']])('rename %s to %s: %s', (from, to, expected) => {
    expect(guest.call('renameat2', AT_FDCWD, from, AT_FDCWD, to, 0)).toBe(expected);
  });
  test('links, truncate, statfs', () => {
    expect(guest.call('linkat', AT_FDCWD, '/mnt/file', AT_FDCWD, '/mnt/b', 0)).toBe('EROFS');
    expect(guest.call('symlinkat', 'x', AT_FDCWD, '/mnt/b')).toBe('EROFS');
    expect(guest.call('symlinkat', 'x', AT_FDCWD, '/mnt/file')).toBe('EEXIST');
    expect(guest.call('truncate', '/mnt/file', 0)).toBe('EROFS');
    expect(guest.call('truncate', '/mnt/dir', 0)).toBe('EISDIR');
    expect(guest.call('statfs', '/mnt', guest.buffer)).toBe(0);
    const [type, blockSize, blocks, free, available] = guest.words(15);
    expect([type, blockSize]).toEqual([0xef53, 4096]);
    expect(available).toBe(free! - Math.floor(2048 * 0.05));
    expect(blocks).toBeLessThan(2048); // without what metadata takes
    expect(guest.words(15)[10]! & 1).toBe(1);
  });
});

describe('a full disk', () => {
  test('a name that finds no room leaves everything as it was', () => {
    const image = madeImage({ blockSize: 1024, reservedPercent: 0 }, 256 * 1024, [{ path: '/full', mode: 0o040755 }]);
    const { guest, fs } = guestWith(image, false);
    // Names fill directories until no block is left.
    const long = 'n'.repeat(240);
    let made = 0;
    for (; made < 1000; made++) if (guest.call('symlinkat', 'target', AT_FDCWD, `/mnt/full/${made}-${long}`) !== 0) break;
    expect(guest.call('symlinkat', 'target', AT_FDCWD, `/mnt/full/more-${long}`)).toBe('ENOSPC');
    const before = guest.ls('/mnt/full');
    // A name that is no longer than the one it replaces has room; one more for the same file has not.
    expect(guest.call('renameat2', AT_FDCWD, `/mnt/full/0-${long}`, AT_FDCWD, `/mnt/full/1-${long}`, 0)).toBe(0);
    expect(guest.call('renameat2', AT_FDCWD, `/mnt/full/1-${long}`, AT_FDCWD, `/mnt/full/2-${long}`, 2)).toBe(0);
    expect(guest.ls('/mnt/full').split(' ').length).toBe(before.split(' ').length - 1);
    expect(fs.unmount()).toBe(0);
    expect(checkExt(image.bytes).problems).toEqual([]);
  });
});

test('the most links a file may have: 65000, in ext2 32000', () => {
  for (const [type, most] of [['ext4', 65000], ['ext2', 32000]] as const) {
    const { guest, fs } = guestWith(madeImage({ type }, 8 * MIB, [{ path: '/file', mode: 0o100644 }, { path: '/dir', mode: 0o040755 }]), false);
    const { inode } = fs.root.inode.dir!.lookup(fs.root, 'file', null) as { inode: { nlink: number } };
    inode.nlink = most - 1;
    expect(guest.call('linkat', AT_FDCWD, '/mnt/file', AT_FDCWD, '/mnt/last', 0)).toBe(0);
    expect(guest.call('linkat', AT_FDCWD, '/mnt/file', AT_FDCWD, '/mnt/more', 0)).toBe('EMLINK');
  }
});

test('getdents64 goes on where it was, while names come and go', () => {
  const { guest } = guestWith(madeImage({ blockSize: 1024 }, 8 * MIB, Array.from({ length: 200 }, (_, i) => ({ path: `/file-${i}`, mode: 0o100644 }))), false);
  const fd = guest.fd('/mnt', Open.DIRECTORY);
  const seen: string[] = [];
  for (let round = 0; ; round++) {
    const n = guest.call('getdents64', fd, guest.buffer, 300) as number;
    if (n === 0) break;
    const bytes = guest.bytes(n);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < n; at += view.getUint16(at + 16, true)) seen.push(new TextDecoder().decode(bytes.subarray(at + 19, bytes.indexOf(0, at + 19))));
    const last = seen.at(-1)!;
    if (last.startsWith('file')) expect(guest.call('unlinkat', AT_FDCWD, `/mnt/${last}`, 0)).toBe(0);
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((name) => name.startsWith('file-')).length).toBe(200);
});
