// New file systems: e2fsck and the tests' own checker find nothing wrong, and debugfs reads the bytes that were put in.
import { describe, expect, test } from 'vitest';
import { MemoryImage } from '#kernel/block/image.ts';
import { mkfs, mkfsDefaults, type MkfsEntry, type MkfsOptions } from '#kernel/fs/ext/mkfs.ts';
import { debugfs, debugfsCat, e2fsck, e2fsprogsNote, hasE2fsprogs, repair } from '../../../support/e2fsprogs.ts';
import { checkExt } from '../../../support/ext-check.ts';

const [DIR, FILE, LINK] = [0o040000, 0o100000, 0o120000];
const MIB = 2 ** 20;
const text = (words: string): (() => Uint8Array) => () => new TextEncoder().encode(words);
const big = new Uint8Array(1_500_123).map((_, i) => (i * 7 + (i >> 9)) & 255);
const entries: readonly MkfsEntry[] = [
  { path: '/bin', mode: DIR | 0o755 },
  { path: '/bin/tool', mode: FILE | 0o4755, uid: 70000, gid: 80000, bytes: text('#!/bin/sh\n') },
  { path: '/bin/same', mode: FILE, linkTo: '/bin/tool' },
  { path: '/bin/deep', mode: DIR | 0o1777 },
  { path: '/big', mode: FILE | 0o600, bytes: () => big },
  { path: '/empty', mode: FILE | 0o644 },
  { path: '/short', mode: LINK | 0o777, bytes: text('bin/tool') },
  { path: '/fifty-nine', mode: LINK | 0o777, bytes: text('a'.repeat(59)) },
  { path: '/sixty', mode: LINK | 0o777, bytes: text('b'.repeat(60)) },
  ...Array.from({ length: 400 }, (_, i): MkfsEntry => ({ path: `/bin/deep/the-name-of-file-${i}`, mode: FILE | 0o644, bytes: text('x'.repeat(i * 11)) })),
];
function made(options: Partial<MkfsOptions>, sizeBytes: number, files = entries): Uint8Array {
  const image = new MemoryImage(new Uint8Array(sizeBytes));
  expect(mkfs(image, { ...mkfsDefaults, label: 'quire', ...options }, files)).toBe(null);
  return image.bytes;
}

const kinds: [string, Partial<MkfsOptions>, number][] = [];
for (const type of ['ext2', 'ext4'] as const) {
  for (const blockSize of [1024, 2048, 4096]) {
    for (const inodeSize of [128, 256]) kinds.push([`${type}, blocks of ${blockSize}, inodes of ${inodeSize}`, { type, blockSize, inodeSize }, 20 * MIB]);
  }
}
kinds.push(
  ['ext4 without checksums', { metadataCsum: false }, 20 * MIB], ['ext4 with 64-bit block numbers', { is64: true }, 20 * MIB],
  ['many inodes', { nrInodes: 30_000 }, 40 * MIB], ['inodes of 1024 bytes', { inodeSize: 1024 }, 20 * MIB], ['a size that fills no block', { blockSize: 1024 }, 9 * MIB + 12_345],
  ['a last group too small for itself', { type: 'ext2', blockSize: 1024 }, 8 * MIB * 2 + 300 * 1024],
);

describe.each(kinds)('%s', (_, options, sizeBytes) => {
  const image = made(options, sizeBytes);
  test('is in order, and holds what was put in', () => {
    const { problems, tree, bytes } = checkExt(image, { contents: true });
    expect(problems).toEqual([]);
    expect(tree.get('/sixty')).toBe(`link -> ${'b'.repeat(60)}`);
    expect(tree.get('/fifty-nine')).toBe(`link -> ${'a'.repeat(59)}`);
    expect(tree.get('/bin/same')).toBe(tree.get('/bin/tool'));
    expect(tree.size).toBe(entries.length + 2); // and '/', '/lost+found'
    expect(Buffer.compare(bytes.get('/big')!, big)).toBe(0);
    expect(bytes.get('/bin/deep/the-name-of-file-399')!.length).toBe(399 * 11);
  });
  test.skipIf(!hasE2fsprogs)(`e2fsck and debugfs agree${e2fsprogsNote}`, () => {
    expect(e2fsck(image)).toBe('clean');
    const read = debugfsCat(image, ['/big', '/bin/tool', '/bin/deep/the-name-of-file-7']);
    expect(Buffer.compare(read.get('/big')!, big)).toBe(0);
    expect(new TextDecoder().decode(read.get('/bin/tool'))).toBe('#!/bin/sh\n');
    expect(read.get('/bin/deep/the-name-of-file-7')!.length).toBe(77);
    const { text: stat } = debugfs(image, ['stat /bin/tool', 'stat /sixty']);
    expect(stat).toMatch(/Mode: {2}04755/);
    expect(stat).toMatch(/User: 70000 {3}Group: 80000/);
    expect(stat).toMatch(/Links: 2/);
  });
});

test('a file lies in one piece, and is one extent', () => {
  const { problems } = checkExt(made({}, 20 * MIB));
  expect(problems).toEqual([]);
  if (hasE2fsprogs) expect(debugfs(made({}, 20 * MIB), ['stat /big']).text).toMatch(/EXTENTS:\n\(0-366\):\d+-\d+\n/);
});
test('the same input gives the same bytes, another seed another UUID', () => {
  const [a, b, c] = [made({}, 8 * MIB), made({}, 8 * MIB), made({ seed: 2 }, 8 * MIB)];
  expect(Buffer.compare(a, b)).toBe(0);
  expect(Buffer.compare(a.subarray(1024 + 0x68, 1024 + 0x78), c.subarray(1024 + 0x68, 1024 + 0x78))).not.toBe(0);
});
test('the copies of the superblock are as good as the first', () => {
  const image = made({ type: 'ext2', blockSize: 1024 }, 20 * MIB);
  const copy = image.subarray(8193 * 1024, 8194 * 1024);
  const first = image.slice(1024, 2048);
  first[0x5a] = 1; // its group
  expect(Buffer.compare(copy, first)).toBe(0);
  image.fill(0, 1024, 3072);
  if (hasE2fsprogs) expect(repair(image).log).toMatch(/trying backup blocks/);
});
test('what does not fit is said, with the path', () => {
  const image = new MemoryImage(new Uint8Array(MIB));
  expect(mkfs(image, mkfsDefaults, entries)).toBe('there is no room for /big');
  expect(mkfs(new MemoryImage(new Uint8Array(50_000)), mkfsDefaults)).toMatch(/too few/);
  expect(mkfs(new MemoryImage(new Uint8Array(MIB)), { ...mkfsDefaults, nrInodes: 10_000_000 })).toMatch(/inodes/);
});
test('the checker itself sees a wrong count, a lost block and a wrong checksum', () => {
  const image = made({}, 8 * MIB);
  const damaged = image.slice();
  damaged[1024 + 0x0c]! ^= 1;
  expect(checkExt(damaged).problems).toEqual(expect.arrayContaining(['superblock checksum', expect.stringMatching(/free blocks, says/)]));
});
