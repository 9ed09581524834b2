// Damaged ext images: cut off, or with random bytes in a structure of metadata. Each is mounted, walked, read, written to and unmounted. It may be refused,
// and calls may fail with errors of a disk; nothing may throw, run on for ever, or reach outside the image. The default is a slice; ten thousand and more:
//   QUIRE_FUZZ_IMAGES=12000 QUIRE_FUZZ_MOUNTED=5000 npx vitest run test/fuzz/ext-images.test.ts       (QUIRE_SEED=n for others; a failure prints the number that replays it:
//   QUIRE_FUZZ_ONLY=number)
import { expect, test } from 'vitest';
import { Prng } from '#base';
import { MemoryImage } from '#kernel/block/image.ts';
import { Dentry } from '#kernel/fs/dentry.ts';
import { ExtentTree } from '#kernel/fs/ext/extents.ts';
import { ExtFileSystem, type ExtInode } from '#kernel/fs/ext/index.ts';
import type { MkfsEntry, MkfsOptions } from '#kernel/fs/ext/mkfs.ts';
import { type DirEntry, dropInode, FileType } from '#kernel/fs/inode.ts';
import type { Kernel } from '#kernel/kernel.ts';
import { Errno, errnoName } from '#kernel/syscall/errno.ts';
import { crc32c, crc32cWord } from '#kernel/fs/ext/checksum.ts';
import { madeImage, mountImage, readAt, truncateTo, writeAt } from '../support/ext-direct.ts';
import { bootGuest, type GuestTask, type Outcome } from '../support/fs-fixture.ts';
import { mountedGuest, RefusedDisk } from './disk-world.ts';

const nrImages = Number(process.env['QUIRE_FUZZ_IMAGES'] ?? 300);
/** So many through everything. */
const nrMounted = Number(process.env['QUIRE_FUZZ_MOUNTED'] ?? 60);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const only = process.env['QUIRE_FUZZ_ONLY'];
/** Calls to the disk that one image may cost: far above what a sound one does. */
const MAX_STEPS = 300_000;
const MAX_NAMES = 300;
/** What calls may answer: damage, a full disk, and what names have always answered. */
const allowed = new Set<number>([
  Errno.EIO, Errno.EUCLEAN, Errno.EROFS, Errno.ENOSPC, Errno.ENOENT, Errno.EEXIST, Errno.ENOTDIR, Errno.EISDIR, Errno.ENOTEMPTY, Errno.EINVAL, Errno.EFBIG,
  Errno.EMLINK, Errno.EPERM, Errno.ELOOP, Errno.ENAMETOOLONG, Errno.EXDEV, Errno.EBUSY,
]);

const text = (words: string): (() => Uint8Array) => () => new TextEncoder().encode(words);
const files: MkfsEntry[] = [
  { path: '/dir', mode: 0o040755 }, { path: '/dir/sub', mode: 0o040755 }, { path: '/big', mode: 0o100644, bytes: () => new Uint8Array(400_000).fill(7) },
  { path: '/link', mode: 0o120777, bytes: text('dir/file-3') }, { path: '/long-link', mode: 0o120777, bytes: text('x'.repeat(200)) },
  ...Array.from({ length: 60 }, (_, i): MkfsEntry => ({ path: `/dir/file-${i}-of-many`, mode: 0o100644, bytes: text('y'.repeat(i * 40)) })),
  { path: '/dir/sub/other-name', mode: 0o100644, linkTo: '/dir/file-3-of-many' },
];
const kinds: Partial<MkfsOptions>[] = [
  { type: 'ext2', blockSize: 1024, inodeSize: 128 }, { type: 'ext2' }, { blockSize: 1024, metadataCsum: false }, { blockSize: 1024 }, { metadataCsum: false, is64: true }, { is64: true },
];
/** A file of many extents, so that there is a tree of some depth to damage. */
function prepared(options: Partial<MkfsOptions>): Uint8Array {
  const image = madeImage({ nrInodes: 256, ...options }, 3 << 20, files);
  const fs = mountImage(image);
  if (!(fs instanceof ExtFileSystem)) throw new Error(fs.sentence);
  const inode = fs.make(fs.root.inode as ExtInode, 0o100644) as ExtInode;
  fs.root.inode.dir!.add!(fs.root, 'holes', inode);
  inode.nlink = 1;
  for (let i = 0; i < 200; i++) writeAt(image, inode, i * 2 * fs.volume.blockSize, new Uint8Array(10).fill(i));
  fs.unmount();
  return image.bytes;
}

/** Byte ranges that hold metadata: superblock, descriptors, bitmaps, tables, and what their inodes name. */
function targetsOf(bytes: Uint8Array): [number, number][] {
  const fs = mountImage(new MemoryImage(bytes.slice()), true);
  if (!(fs instanceof ExtFileSystem)) throw new Error(fs.sentence);
  const { volume } = fs;
  const { blockSize, groups } = volume;
  const ranges: [number, number][] = [[1024, 1024 + 0x278], [1024, 1024 + 0x100], [(volume.firstDataBlock + 1) * blockSize, (volume.firstDataBlock + 1) * blockSize + groups.bytes.length]];
  const block = (n: number): void => { ranges.push([n * blockSize, (n + 1) * blockSize]); };
  for (let g = 0; g < volume.nrGroups; g++) {
    block(groups.blockBitmap(g));
    block(groups.inodeBitmap(g));
    ranges.push([groups.inodeTable(g) * blockSize, groups.inodeTable(g) * blockSize + 80 * volume.inodeSize]);
  }
  const visit = (at: Dentry): void => {
    const inode = at.inode as ExtInode;
    const { block: table, offset } = fs.placeOf(inode.ino);
    ranges.push([table * blockSize + offset, table * blockSize + offset + 128], [table * blockSize + offset + 0x28, table * blockSize + offset + 0x64]);
    const data = new Set<number>();
    if (inode.type === FileType.Regular) {
      for (let i = 0; i * blockSize < inode.size; i++) {
        const mapped = inode.map!.getBlock(i, false);
        if (typeof mapped !== 'number') data.add(mapped.block);
      }
    }
    inode.map?.eachRun((first, count) => {
      for (let i = 0; i < count; i++) if (!data.has(first + i)) block(first + i);
      return true;
    });
    if (!inode.isDirectory) return;
    for (const { name } of inode.dir!.list(at, 2, null) as readonly DirEntry[]) visit(inode.dir!.lookup(at, name, null) as Dentry);
  };
  visit(fs.root);
  return ranges;
}

/** One image damaged as `random` says; half of the time checksums are made to fit what was damaged, so that it is believed. */
function damage(whole: Uint8Array, targets: readonly [number, number][], random: Prng): Uint8Array {
  if (random.below(12) === 0) return whole.slice(0, random.below(whole.length));
  const bytes = whole.slice();
  const view = new DataView(bytes.buffer);
  for (let n = 1 + random.below(4); n > 0; n--) {
    const [start, end] = targets[random.below(targets.length)]!;
    const at = start + random.below(Math.max(1, end - start - 4));
    switch (random.below(6)) {
      case 0: bytes[at] = random.below(256); break;
      case 1: bytes[at]! ^= 1 << random.below(8); break;
      case 2: view.setUint32(at & ~3, [0, 1, 0xffff_ffff, 0x7fff_ffff, 0x8000_0000, random.below(4000)][random.below(6)]!, true); break;
      case 3: view.setUint16(at & ~1, [0, 1, 0xffff, 0x8000, random.below(1100)][random.below(5)]!, true); break;
      case 4: for (let i = at; i < Math.min(end, at + 1 + random.below(64)); i++) bytes[i] = random.below(256); break;
      default: { // what belongs elsewhere
        const [from] = targets[random.below(targets.length)]!;
        bytes.copyWithin(start, from, from + Math.min(end - start, 128));
      }
    }
  }
  if (random.below(2) === 0) mend(bytes);
  return bytes;
}
/** Computes the checksums of superblock, descriptors and inodes anew, where the superblock still makes sense. */
function mend(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  const u32 = (at: number): number => view.getUint32(1024 + at, true);
  const [log, first, perGroup, inodes] = [u32(0x18), u32(0x14), u32(0x20), u32(0x28)];
  if ((u32(0x64) & 0x400) === 0 || log > 2 || perGroup === 0 || inodes === 0) return;
  const blockSize = 1024 << log;
  const base = crc32c(0xffff_ffff, bytes, 1024 + 0x68, 1024 + 0x78);
  const descSize = (u32(0x60) & 0x80) !== 0 ? 64 : 32;
  const inodeSize = view.getUint16(1024 + 0x58, true);
  for (let g = 0; g < Math.min(8, Math.ceil((u32(4) - first) / perGroup)); g++) {
    const at = (first + 1) * blockSize + g * descSize;
    const table = view.getUint32(at + 8, true) * blockSize;
    for (let i = 0; i < Math.min(inodes, 90); i++) {
      const raw = table + i * inodeSize;
      if (inodeSize < 128 || raw + inodeSize > bytes.length) break;
      const own = crc32cWord(crc32cWord(base, g * inodes + i + 1), view.getUint32(raw + 0x64, true));
      view.setUint16(raw + 0x7c, 0, true);
      const hasHigh = inodeSize > 128 && view.getUint16(raw + 0x80, true) >= 4;
      if (hasHigh) view.setUint16(raw + 0x82, 0, true);
      const sum = crc32c(own, bytes, raw, raw + inodeSize);
      view.setUint16(raw + 0x7c, sum & 0xffff, true);
      if (hasHigh) view.setUint16(raw + 0x82, sum >>> 16, true);
    }
    view.setUint16(at + 0x1e, 0, true);
    view.setUint16(at + 0x1e, crc32c(crc32cWord(base, g), bytes, at, at + descSize) & 0xffff, true);
  }
  view.setUint32(1024 + 0x3fc, crc32c(0xffff_ffff, bytes, 1024, 1024 + 0x3fc), true);
}

/** Counts what is asked of the disk, and looks at every place. */
class WatchedImage extends MemoryImage {
  steps = 0;
  override read(offset: number, into: Uint8Array): boolean {
    this.watch(offset, into.length);
    return super.read(offset, into);
  }
  override write(offset: number, from: Uint8Array): boolean {
    this.watch(offset, from.length);
    return super.write(offset, from);
  }
  private watch(offset: number, length: number): void {
    if (++this.steps > MAX_STEPS) throw new Error('too many steps');
    if (offset < 0 || length < 0 || offset + length > this.sizeBytes) throw new Error(`bytes ${offset}+${length} are outside the image`);
  }
}

const outcomes = new Map<string, number>();
const count = (name: string): void => { outcomes.set(name, (outcomes.get(name) ?? 0) + 1); };
function check(answer: number, what: string): number {
  if (answer < 0 && !allowed.has(-answer)) throw new Error(`${what} answers ${errnoName(-answer)}`);
  if (answer < 0) count(errnoName(-answer));
  return answer;
}

function exercise(kernel: Kernel, bytes: Uint8Array, isReadOnly: boolean, random: Prng): void {
  const image = new WatchedImage(bytes);
  const fs = mountImage(image, isReadOnly);
  if (!(fs instanceof ExtFileSystem)) {
    expect(fs.sentence).toMatch(/^[A-Z].*\.$/s);
    check(fs.error, 'mount');
    count('refused');
    return;
  }
  count('mounted');
  const found: { path: string; dentry: Dentry }[] = [];
  const walk = (dentry: Dentry, path: string): void => {
    const { inode } = dentry;
    if (found.length > MAX_NAMES) return;
    found.push({ path, dentry });
    if (inode.link !== null) {
      const target = inode.link.text(null);
      if (typeof target === 'number') check(target, 'readlink');
    }
    if (inode.type === FileType.Regular) {
      const file = inode as ExtInode;
      for (const at of [0, Math.max(0, file.size - 5000)]) {
        const read = readAt(image, file, at, 20_000);
        if (typeof read === 'number') check(read, 'read');
      }
    }
    if (inode.dir === null) return;
    const entries = inode.dir.list(dentry, 2, null);
    if (typeof entries === 'number') {
      check(entries, 'list');
      return;
    }
    for (const { name } of entries.slice(0, MAX_NAMES)) {
      const child = inode.dir.lookup(dentry, name, null);
      if (child instanceof Dentry) walk(child, `${path}/${name}`);
      else if (child !== null) check(child, 'lookup');
    }
  };
  walk(fs.root, '/fuzz');
  const { vfs } = kernel;
  check(vfs.mount('disk', '/fuzz', fs.root), 'mount over a directory');
  const { names, root } = vfs;
  const who = vfs.asker(null);
  const ends = (made: Dentry | number): number => (typeof made === 'number' ? made : 0);
  const held: ExtInode[] = [];
  for (let i = 0; i < 25; i++) {
    const { path, dentry } = found[random.below(found.length)]!;
    const other = found[random.below(found.length)]!;
    const dirs = found.filter((f) => f.dentry.inode.isDirectory);
    const dir = dirs[random.below(dirs.length)]!.path;
    const inode = dentry.inode as ExtInode;
    const isFile = inode.type === FileType.Regular && inode.nlink > 0 && !fs.isReadOnly;
    switch (random.below(12)) {
      case 0: check(ends(names.make(who, root, `${dir}/new-${i}`, FileType.Regular | 0o644)), 'create'); break;
      case 1: check(ends(names.make(who, root, `${dir}/dir-${i}`, FileType.Directory | 0o755)), 'mkdir'); break;
      case 2: check(names.unlink(who, root, path), 'unlink'); break;
      case 3: check(names.rmdir(who, root, path), 'rmdir'); break;
      case 4: check(names.rename(who, root, path, root, other.path, random.below(3)), 'rename'); break;
      case 5: check(names.rename(who, root, path, root, `${dir}/moved-${i}`, 0), 'rename'); break;
      case 6: check(names.symlink(who, root, `${dir}/link-${i}`, 'z'.repeat(1 + random.below(100)), 1), 'symlink'); break;
      case 7: check(names.link(who, dentry, root, `${dir}/hard-${i}`), 'link'); break;
      case 8: if (isFile) check(writeAt(image, inode, random.below(600_000), new Uint8Array(1 + random.below(9000)).fill(i)), 'write'); break;
      case 9: if (isFile) check(truncateTo(image, inode, random.below(100_000)), 'truncate'); break;
      case 10: if (isFile && inode.map instanceof ExtentTree) check(inode.zeroRange(random.below(100_000), 100_000 + random.below(100_000)), 'zero'); else if (isFile) check(inode.punch(random.below(100_000), 200_000), 'punch'); break;
      default: if (inode.nlink > 0) {
        inode.users++;
        held.push(inode);
      }
    }
  }
  for (const inode of held) dropInode(inode);
  check(fs.sync(), 'sync');
  check(fs.unmount(), 'unmount');
  const at = fs.root.covers!;
  at.mounted = null;
  vfs.mounts.pop();
}

/** The same by system calls on a mounted disk: through the page cache, both back ends and write-back. Its names are walked again and again, since
 *  what is found may lead in circles. */
function exerciseMounted(bytes: Uint8Array, isReadOnly: boolean, random: Prng): void {
  const image = new WatchedImage(bytes);
  let guest: GuestTask;
  try {
    guest = mountedGuest(image, { ramBytes: 8 << 20, isReadOnly, maxOrder: random.below(10) });
  } catch (error) {
    if (!(error instanceof RefusedDisk)) throw error;
    expect(error.message).toMatch(/^[A-Z].*\.$/s);
    count('refused');
    return;
  }
  count('mounted');
  const { kernel } = guest;
  const found: { path: string; type: string }[] = [{ path: '/mnt', type: '/' }];
  const answer = (outcome: Outcome, what: string): Outcome => {
    if (typeof outcome === 'number') return outcome;
    if (!allowedNames.has(outcome)) throw new Error(`${what} answers ${outcome}`);
    count(outcome);
    return outcome;
  };
  for (let i = 0; i < found.length && found.length < MAX_NAMES; i++) {
    const { path, type } = found[i]!;
    answer(guest.call('newfstatat', -100, path, guest.buffer, 0x100), 'stat');
    if (type === '@') answer(guest.call('readlinkat', -100, path, guest.buffer, 4096), 'readlink');
    if (type !== '/' || path.length > 2000) continue;
    const names = namesIn(guest, path, answer);
    for (const name of names.slice(0, MAX_NAMES)) found.push({ path: `${path}/${name.slice(0, -1)}`, type: name.slice(-1) });
  }
  const dirs = found.filter(({ type }) => type === '/');
  const fds: number[] = [];
  for (let i = 0; i < 40; i++) {
    const { path } = found[random.below(found.length)]!;
    const other = found[random.below(found.length)]!.path;
    const dir = dirs[random.below(dirs.length)]!.path;
    const fd = fds.length === 0 ? -1 : fds[random.below(fds.length)]!;
    const at = random.below(600_000);
    switch (random.below(20)) {
      case 0: case 1: case 2: case 3: {
        const opened = answer(guest.patiently('openat', -100, path, isReadOnly ? 0 : 2, 0), 'open');
        if (typeof opened === 'number') fds.push(opened);
        break;
      }
      case 4: {
        const opened = answer(guest.patiently('openat', -100, `${dir}/new-${i}`, 0o102, 0o644), 'create');
        if (typeof opened === 'number') fds.push(opened);
        break;
      }
      case 5: answer(guest.call('mkdirat', -100, `${dir}/dir-${i}`, 0o755), 'mkdir'); break;
      case 6: answer(guest.call('unlinkat', -100, path, random.below(2) * 0x200), 'unlink'); break;
      case 7: answer(guest.call('renameat2', -100, path, -100, random.below(2) === 0 ? other : `${dir}/moved-${i}`, random.below(3)), 'rename'); break;
      case 8: answer(guest.call('symlinkat', 'z'.repeat(1 + random.below(100)), -100, `${dir}/link-${i}`), 'symlink'); break;
      case 9: answer(guest.call('linkat', -100, path, -100, `${dir}/hard-${i}`, 0), 'link'); break;
      case 10: case 11: answer(guest.patiently('pread64', fd, guest.buffer, 1 + random.below(100_000), at), 'read'); break;
      case 12: answer(guest.patiently('pwrite64', fd, guest.buffer, 1 + random.below(30_000), at), 'write'); break;
      case 13: answer(guest.patiently('ftruncate', fd, at), 'truncate'); break;
      case 14: answer(guest.patiently('fallocate', fd, [0, 1, 3, 0x10, 0x11][random.below(5)]!, at, 1 + random.below(100_000)), 'fallocate'); break;
      case 15: case 16: {
        const addr = answer(guest.call('mmap', 0, 65536, 3, 1 + random.below(2), fd, (at % 100) * 4096), 'mmap');
        if (typeof addr !== 'number') break;
        for (let page = 0; page < 16; page++) guest.task.user.read(addr + page * 4096, new Uint8Array(8));
        for (let page = 0; page < 16; page += 3) guest.task.user.write(addr + page * 4096, new Uint8Array([i]));
        if (random.below(2) === 0) answer(guest.call('munmap', addr, 65536), 'munmap');
        break;
      }
      case 17: answer(guest.patiently(random.below(2) === 0 ? 'fsync' : 'fdatasync', fd), 'fsync'); break;
      case 18: answer(guest.patiently('sync'), 'sync'); break;
      default: kernel.vfs.writeWhole('/proc/sys/vm/drop_caches', new TextEncoder().encode('3'));
    }
  }
  for (const fd of fds) guest.call('close', fd);
  kernel.system.check();
  check(kernel.vfs.unmountDisks(), 'unmount');
  kernel.system.check();
}
function namesIn(guest: GuestTask, path: string, answer: (outcome: Outcome, what: string) => Outcome): string[] {
  const fd = answer(guest.patiently('openat', -100, path, 0o200000, 0), 'open of a directory');
  if (typeof fd !== 'number') return [];
  const names: string[] = [];
  for (let n = answer(guest.call('getdents64', fd, guest.buffer, 4096), 'getdents'); typeof n === 'number' && n > 0 && names.length < MAX_NAMES;) {
    const bytes = guest.bytes(n);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < n; at += view.getUint16(at + 16, true)) {
      const name = new TextDecoder().decode(bytes.subarray(at + 19, bytes.indexOf(0, at + 19)));
      if (name !== '.' && name !== '..') names.push(name + (bytes[at + 18] === 4 ? '/' : bytes[at + 18] === 10 ? '@' : ' '));
    }
    n = answer(guest.call('getdents64', fd, guest.buffer, 4096), 'getdents');
  }
  guest.call('close', fd);
  return names;
}
const allowedNames = new Set([...[...allowed].map(errnoName), 'EBADF', 'EACCES', 'ENXIO', 'ENODEV', 'EOPNOTSUPP', 'ESPIPE']);

const ways = [['straight from the disk', nrImages], ['by system calls through the page cache', nrMounted]] as const;
test.each(ways)(`damaged images %s: %i are refused, or give errors of a disk, and nothing else (QUIRE_SEED=${seed})`, (way, nrImages) => {
  outcomes.clear();
  const sound = kinds.map((options) => prepared(options)).map((bytes) => ({ bytes, targets: targetsOf(bytes) }));
  const { kernel } = bootGuest({ ramBytes: 16 << 20 });
  const numbers = only === undefined ? Array.from({ length: nrImages }, (_, i) => i) : [Number(only)];
  for (const i of numbers) {
    const random = new Prng(seed * 1_000_003 + i, 'ext images');
    const { bytes, targets } = sound[i % sound.length]!;
    const damaged = damage(bytes, targets, random);
    const before = Date.now();
    try {
      const isReadOnly = random.below(5) === 0;
      if (way === ways[0][0]) exercise(kernel, damaged, isReadOnly, random);
      else exerciseMounted(damaged, isReadOnly, random);
    } catch (error) {
      throw new Error(`image ${i} of seed ${seed} (QUIRE_SEED=${seed} QUIRE_FUZZ_ONLY=${i}): ${error instanceof Error ? error.stack : String(error)}`);
    }
    if (Date.now() - before > 20_000) throw new Error(`image ${i} of seed ${seed} took too long`);
  }
  if (process.env['QUIRE_FUZZ_IMAGES'] !== undefined) console.log([...outcomes].map(([name, n]) => `${name} ${n}`).join(', '));
  if (only === undefined) {
    expect(outcomes.get('mounted')!).toBeGreaterThan(nrImages / 4);
    expect(outcomes.get('EUCLEAN')!).toBeGreaterThan(nrImages / 10);
  }
}, 3600_000);
