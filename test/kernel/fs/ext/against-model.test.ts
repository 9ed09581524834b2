// Random operations on an ext file system, beside two models: names beside a tmpfs, to which the same calls are made, and bytes beside plain arrays. After
// each sequence the image is unmounted, recounted, checked with e2fsck where that is installed, mounted again, and compared once more.
//   QUIRE_EXT_RUNS=2000 QUIRE_SEED=n npx vitest run test/kernel/fs/ext/against-model.test.ts
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MemoryImage } from '#kernel/block/image.ts';
import { Dentry } from '#kernel/fs/dentry.ts';
import type { ExtFileSystem, ExtInode } from '#kernel/fs/ext/index.ts';
import type { MkfsOptions } from '#kernel/fs/ext/mkfs.ts';
import { type DirEntry, dropInode, FileType, type Inode } from '#kernel/fs/inode.ts';
import { errnoName } from '#kernel/syscall/errno.ts';
import { Errno } from '#kernel/syscall/errno.ts';
import { e2fsck, hasE2fsprogs } from '../../../support/e2fsprogs.ts';
import { checkExt } from '../../../support/ext-check.ts';
import { madeImage, mounted, punchHole, readAt, truncateTo, writeAt, zeroRange } from '../../../support/ext-direct.ts';
import { bootGuest } from '../../../support/fs-fixture.ts';

const runs = Number(process.env['QUIRE_EXT_RUNS'] ?? 12);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const MIB = 2 ** 20;

const settings: [string, Partial<MkfsOptions>, number][] = [
  ['ext2, 1K', { type: 'ext2', blockSize: 1024, inodeSize: 128 }, 3 * MIB], ['ext2, 2K', { type: 'ext2', blockSize: 2048 }, 4 * MIB], ['ext2, 4K', { type: 'ext2' }, 6 * MIB],
  ['ext4, 1K', { blockSize: 1024 }, 3 * MIB], ['ext4, 2K, no checksums', { blockSize: 2048, metadataCsum: false }, 4 * MIB], ['ext4, 4K, 64-bit', { is64: true }, 6 * MIB],
  ['ext4, 1K, several groups', { blockSize: 1024, inodeSize: 128 }, 20 * MIB],
];

const names = ['a', 'b', 'name-of-some-length', `${'long-'.repeat(40)}x`, 'd', 'é'];
const path = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
const offset = fc.oneof(fc.nat(5000), fc.nat(300_000), fc.constantFrom(12 * 1024, 268 * 1024, 1_500_000));
const length = fc.oneof(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 120_000 }));
const operation = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('mkdir', 'create', 'create') , path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('unlink', 'rmdir'), path }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('symlink'), path, nr: fc.constantFrom(1, 30, 59, 60, 61, 200, 900) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('link', 'rename', 'rename', 'noreplace', 'exchange'), path, to: path }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constantFrom('write', 'write', 'write', 'truncate', 'punch', 'zero', 'fallocate', 'stripe', 'unstripe'), path, at: offset, nr: length }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom('hold', 'release', 'fsync', 'sync', 'remount', 'chmod', 'many'), path }) },
);
type Operation = { op: string; path: string; to?: string; at?: number; nr?: number };

/** What was done, for whoever wants to know how much a run has tried. */
const done = new Map<string, number>();

class World {
  readonly image: MemoryImage;
  readonly guest = bootGuest({ ramBytes: 16 << 20 });
  fs: ExtFileSystem;
  /** Bytes of files, by inode number. */
  readonly bytes = new Map<number, Uint8Array>();
  readonly held: [Inode, Inode][] = [];
  private serial = 0;

  constructor(options: Partial<MkfsOptions>, sizeBytes: number) {
    this.image = madeImage(options, sizeBytes);
    this.fs = mounted(this.image);
    const { vfs } = this.guest.kernel;
    vfs.mkdirs('/model/lost+found', 0o700);
    expect(vfs.mount('disk', '/ext', this.fs.root)).toBe(0);
  }
  private place(base: string, at: string): Dentry | number {
    return this.guest.kernel.vfs.lookup(base + at, null, false);
  }
  /** The same call on both sides: the answers must agree. @returns whether it was done */
  private both(call: (base: string) => number): boolean {
    const [real, model] = [call('/ext'), call('/model')];
    if (real === -Errno.ENOSPC && model >= 0) throw new NoSpace();
    expect(errnoName(-Math.min(0, real))).toBe(errnoName(-Math.min(0, model)));
    if (real >= 0) done.set('succeeded', (done.get('succeeded') ?? 0) + 1);
    return real >= 0;
  }

  /** What there is, in the model. */
  private get paths(): [string, number][] {
    const found: [string, number][] = [];
    const visit = (dentry: Dentry, at: string): void => {
      found.push([at, dentry.inode.type]);
      for (const { name } of (dentry.inode.dir?.list(dentry, 2, null) ?? []) as readonly DirEntry[]) visit(dentry.inode.dir!.lookup(dentry, name, null) as Dentry, `${at}/${name}`);
    };
    visit(this.place('/model', '') as Dentry, '');
    return found;
  }
  /** Paths that lead to something are more to the point: four times of five a random one stands for one of these. */
  private known(at: string, salt: number): string {
    const lines = this.paths.map(([at]) => at);
    const hash = [...at].reduce((sum, c) => (sum * 31 + c.charCodeAt(0) + salt) % 9973, 7);
    return hash % 5 === 0 ? at : lines[hash % lines.length]!;
  }
  /** Sends an operation to places that are there, or for a new name to a directory that is. */
  aim(o: Operation, salt: number): Operation {
    if (o.nr !== undefined && o.at !== undefined) {
      const files = this.paths.filter(([, type]) => type === FileType.Regular).map(([at]) => at);
      return { ...o, path: files[(o.at + salt) % files.length] ?? '/a' };
    }
    const makes = ['mkdir', 'create', 'symlink'].includes(o.op);
    const under = (at: string): string => {
      const found = this.known(at, salt);
      return this.inode(found)?.isDirectory ? `${found}/${at.split('/').at(-1)!}` : at;
    };
    return { ...o, path: makes ? under(o.path) : this.known(o.path, salt) || '/a', ...(o.to === undefined ? {} : { to: salt % 3 === 0 ? this.known(o.to, salt) || '/b' : under(o.to) }) };
  }

  apply(o: Operation): void {
    done.set(o.op, (done.get(o.op) ?? 0) + 1);
    const { vfs } = this.guest.kernel;
    const { names: calls, root } = vfs;
    const who = vfs.asker(null);
    const ends = (made: Dentry | number): number => (typeof made === 'number' ? made : 0);
    const { path: at, to = '', nr = 0 } = o;
    const rename = (flags: number) => (base: string) => calls.rename(who, root, base + at, root, base + to, flags);
    switch (o.op) {
      case 'mkdir': this.both((base) => ends(calls.make(who, root, base + at, FileType.Directory | 0o755))); break;
      case 'create': if (this.both((base) => ends(calls.make(who, root, base + at, FileType.Regular | 0o644)))) this.bytes.set(this.inode(at)!.ino, new Uint8Array()); break;
      case 'symlink': this.both((base) => calls.symlink(who, root, base + at, 't'.repeat(nr), nr)); break;
      case 'unlink': this.both((base) => calls.unlink(who, root, base + at)); break;
      case 'rmdir': this.both((base) => calls.rmdir(who, root, base + at)); break;
      case 'rename': this.both(rename(0)); break;
      case 'noreplace': this.both(rename(1)); break;
      case 'exchange': this.both(rename(2)); break;
      case 'link': this.both((base) => {
        const source = this.place(base, at);
        return typeof source === 'number' ? source : calls.link(who, source, root, base + to);
      }); break;
      case 'chmod': for (const base of ['/ext', '/model']) {
        const found = this.place(base, at);
        if (typeof found === 'number') continue;
        found.inode.mode = (found.inode.mode & 0o170000) | 0o751;
        found.inode.fs.dirtyInode?.(found.inode);
      } break;
      case 'many': for (let i = 0; i < 60; i++) this.apply({ op: 'create', path: `${at}/entry-with-a-name-${this.serial++}` }); break;
      case 'sync': expect(this.fs.sync()).toBe(0); break;
      case 'fsync': if (this.file(at) !== null) expect(this.file(at)!.syncMetadata(false)).toBe(0); break;
      case 'hold': this.hold(at); break;
      case 'release': this.release(); break;
      case 'remount': this.remount(); break;
      default: this.change(o.op, at, o.at!, nr);
    }
  }
  private inode(at: string): Inode | null {
    const found = this.place('/ext', at);
    return typeof found === 'number' ? null : found.inode;
  }
  private file(at: string): ExtInode | null {
    const inode = this.inode(at);
    return inode?.type === FileType.Regular ? (inode as ExtInode) : null;
  }
  private hold(at: string): void {
    const [real, model] = [this.place('/ext', at), this.place('/model', at)];
    if (typeof real === 'number' || typeof model === 'number') return;
    real.inode.users++;
    model.inode.users++;
    this.held.push([real.inode, model.inode]);
  }
  private release(): void {
    for (const inode of this.held.pop() ?? []) dropInode(inode);
  }

  /** Operations on bytes, beside an array that grows with them. */
  private change(op: string, path: string, from: number, nr: number): void {
    const file = this.file(path);
    if (file === null) return;
    const { image } = this;
    const before = this.bytes.get(file.ino)!;
    const isTree = this.fs.type === 'ext4';
    const filled = (size: number, change: (bytes: Uint8Array) => void): void => {
      const after = new Uint8Array(size);
      after.set(before.subarray(0, size));
      change(after);
      this.bytes.set(file.ino, after);
    };
    switch (op) {
      case 'write': {
        const data = new Uint8Array(nr).map((_, i) => (i + this.serial) % 251);
        this.serial++;
        const n = writeAt(image, file, from, data);
        if (n > 0) filled(Math.max(before.length, from + n), (bytes) => { bytes.set(data.subarray(0, n), from); });
        else expect([-Errno.ENOSPC, -Errno.EFBIG]).toContain(n);
        if (n < nr) throw new NoSpace();
        break;
      }
      case 'truncate': {
        const size = from % 500_000;
        expect(truncateTo(image, file, size)).toBe(0);
        filled(size, () => {});
        break;
      }
      case 'stripe': case 'unstripe': { // every other block written, or gone: many extents, or many holes
        const { blockSize } = file.volume;
        const first = from % 200_000;
        for (let i = 0; i < 20 + (nr % 180); i++) {
          const at = first - (first % blockSize) + 2 * i * blockSize;
          if (op === 'stripe') this.change('write', path, at, blockSize);
          else this.change('punch', path, at, blockSize);
        }
        break;
      }
      case 'punch': {
        const error = punchHole(image, file, from, from + nr);
        if (error === -Errno.ENOSPC) throw new NoSpace();
        expect(error).toBe(0);
        filled(before.length, (bytes) => { bytes.fill(0, from, from + nr); });
        break;
      }
      case 'zero': case 'fallocate': {
        const error = op === 'zero' ? (isTree ? zeroRange(image, file, from, from + nr) : file.zeroRange(from, from + nr)) : file.allocateUnwritten(from, from + nr);
        if (error === -Errno.ENOSPC) throw new NoSpace();
        expect(error).toBe(isTree ? 0 : -Errno.EOPNOTSUPP);
        if (isTree && op === 'zero') filled(before.length, (bytes) => { bytes.fill(0, from, from + nr); });
        break;
      }
      default: throw new Error(op);
    }
    done.set(`${op} done`, (done.get(`${op} done`) ?? 0) + 1);
    expect(file.size).toBe(this.bytes.get(file.ino)!.length);
  }

  /** Both trees in words: types, modes, links, texts; sizes and bytes on one side. */
  private tree(base: string): string[] {
    const lines: string[] = [];
    const visit = (dentry: Dentry, at: string): void => {
      const { inode } = dentry;
      const isDir = inode.isDirectory;
      lines.push(`${at} ${inode.mode.toString(8)} ${inode.nlink}${inode.link === null ? '' : ` -> ${inode.link.text(null)}`}`);
      if (!isDir) return;
      const entries = inode.dir!.list(dentry, 2, null);
      if (typeof entries === 'number') throw new Error(`list ${at}: ${errnoName(-entries)}`);
      for (const { name } of [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))) {
        const child = inode.dir!.lookup(dentry, name, null);
        if (!(child instanceof Dentry)) throw new Error(`lookup ${at}/${name}: ${child}`);
        visit(child, `${at}/${name}`);
      }
    };
    visit((this.place(base, '') as Dentry).top(), '');
    return lines;
  }
  compare(): void {
    expect(this.tree('/ext')).toEqual(this.tree('/model'));
    for (const at of this.tree('/ext').map((line) => line.split(' ')[0]!)) {
      const file = this.file(at);
      if (file === null) continue;
      const bytes = readAt(this.image, file, 0, file.size);
      if (typeof bytes === 'number') throw new Error(`read ${at}: ${bytes}`);
      expect(Buffer.compare(bytes, this.bytes.get(file.ino)!), `bytes of ${at}`).toBe(0);
    }
    expect(this.fs.volume.messages).toEqual([]);
  }
  /** Unmounts, recounts everything, and mounts what is there. */
  remount(): void {
    while (this.held.length > 0) this.release();
    expect(this.fs.unmount()).toBe(0);
    expect(checkExt(this.image.bytes).problems).toEqual([]);
    const at = this.fs.root.covers!;
    this.fs = mounted(this.image);
    at.mounted = this.fs.root;
    this.fs.root.covers = at;
    this.fs.root.inode.users++;
  }
}
/** The disk is full: the models know of no such thing, and the sequence ends. */
class NoSpace extends Error {}

test.each(settings)('%s: names, bytes and counts agree with the models', (setting, options, sizeBytes) => {
  fc.assert(fc.property(fc.array(operation, { minLength: 20, maxLength: 90, size: 'max' }), (operations) => {
    const world = new World(options, sizeBytes);
    let isFull = false;
    for (const [i, o] of operations.entries()) {
      try {
        world.apply(world.aim(o as Operation, i));
      } catch (error) {
        if (!(error instanceof NoSpace)) throw error;
        isFull = true;
        break;
      }
    }
    if (!isFull) world.compare();
    world.remount();
    if (!isFull) world.compare();
    expect(world.fs.unmount()).toBe(0);
    if (hasE2fsprogs && (operations.length % 4 === 0 || isFull)) expect(e2fsck(world.image.bytes)).toBe('clean');
  }), { seed: seed + settings.findIndex(([name]) => name === setting), numRuns: runs, endOnFailure: process.env['QUIRE_SHRINK'] === undefined });
  if (process.env['QUIRE_EXT_RUNS'] !== undefined) console.log([...done].map(([name, n]) => `${name} ${n}`).join(', '));
}, 3600_000);
