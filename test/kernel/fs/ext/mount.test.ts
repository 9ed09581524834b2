// Mounting: images that mke2fs made are read as debugfs reads them and stay in order when written to; what cannot be mounted is refused with a sentence;
// what a crash left behind is put right.
import { describe, expect, test } from 'vitest';
import { MemoryImage } from '#kernel/block/image.ts';
import { Dentry } from '#kernel/fs/dentry.ts';
import { ExtFileSystem, type ExtInode } from '#kernel/fs/ext/index.ts';
import { type DirEntry, dropInode, dropName, FileType } from '#kernel/fs/inode.ts';
import { Errno } from '#kernel/syscall/errno.ts';
import { debugfs, debugfsCat, e2fsck, e2fsprogsNote, hasE2fsprogs, mke2fs, repair } from '../../../support/e2fsprogs.ts';
import { checkExt } from '../../../support/ext-check.ts';
import { madeImage, mounted, mountImage, readAt, writeAt } from '../../../support/ext-direct.ts';

const MIB = 2 ** 20;
const place = (fs: ExtFileSystem, path: string): Dentry => {
  let at = fs.root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const next = at.inode.dir!.lookup(at, name, null);
    if (!(next instanceof Dentry)) throw new Error(`${path}: ${next}`);
    at = next;
  }
  return at;
};
const inodeAt = (fs: ExtFileSystem, path: string): ExtInode => place(fs, path).inode as ExtInode;
const namesIn = (at: Dentry): string[] => {
  const entries = at.inode.dir!.list(at, 2, null);
  if (typeof entries === 'number') throw new Error(`list: ${entries}`);
  return entries.map(({ name }) => name);
};
function create(fs: ExtFileSystem, dir: Dentry, name: string, mode: number = FileType.Regular | 0o644): Dentry {
  const inode = dir.inode.dir!.make!(mode);
  if (typeof inode === 'number') throw new Error(`make: ${inode}`);
  const entry = dir.inode.dir!.add!(dir, name, inode);
  if (typeof entry === 'number') throw new Error(`add: ${entry}`);
  const counted = inode.isDirectory ? dir.inode : inode;
  counted.nlink++;
  fs.dirtyInode(counted);
  return entry;
}
const remove = (at: Dentry): void => {
  expect(at.parent!.inode.dir!.remove!(at.parent!, at)).toBe(0);
  dropName(at.inode);
};
const pattern = (n: number): Uint8Array => new Uint8Array(n).map((_, i) => (i * 7 + (i >> 9)) & 255);

const files: Record<string, Uint8Array> = { big: pattern(1_000_003), 'sub/deep/small': pattern(100), empty: new Uint8Array() };
for (let i = 0; i < 1500; i++) files[`many/some-rather-long-name-of-a-file-number-${i}`] = pattern(i % 7);

const kinds: string[][] = [
  ['-t', 'ext2'], ['-t', 'ext2', '-b', '1024'], ['-t', 'ext2', '-b', '2048', '-I', '128'], ['-t', 'ext2', '-r', '0'], ['-t', 'ext3'], ['-t', 'ext4'], ['-t', 'ext4', '-O', '^has_journal'],
  ['-t', 'ext4', '-b', '1024'], ['-t', 'ext4', '-b', '2048', '-O', '^has_journal'], ['-t', 'ext4', '-O', '^metadata_csum'], ['-t', 'ext4', '-b', '1024', '-O', '^metadata_csum,uninit_bg,^64bit'],
  ['-t', 'ext4', '-O', '^64bit,^flex_bg'], ['-t', 'ext4', '-N', '30000'], ['-t', 'ext4', '-b', '1024', '-O', '^resize_inode', '-I', '512'],
];
describe.skipIf(!hasE2fsprogs).each(kinds.map((args) => [args.join(' '), args] as const))(`mke2fs %s${e2fsprogsNote}`, (_, args) => {
  const made = mke2fs(args, '40M', files);
  test('reads as debugfs reads it', () => {
    const image = new MemoryImage(made.slice(), true);
    const fs = mounted(image, true);
    expect(Buffer.compare(readAt(image, inodeAt(fs, '/big'), 0, 2 * MIB) as Uint8Array, files['big']!)).toBe(0);
    expect(readAt(image, inodeAt(fs, '/sub/deep/small'), 0, 1000)).toEqual(files['sub/deep/small']);
    expect(namesIn(place(fs, '/many')).length).toBe(1500);
    const listed = debugfs(made, ['ls -l /many']).text.split('\n').flatMap((line) => (/^\s*(\d+) +\S+ .* (some-\S+)\s*$/.exec(line)?.slice(1, 3).join(' ') ?? []));
    const entries = inodeAt(fs, '/many').dir!.list(place(fs, '/many'), 2, null) as readonly DirEntry[];
    expect(entries.map(({ name, ino }) => `${ino} ${name}`)).toEqual(listed);
    expect(fs.volume.messages).toEqual([]);
    expect(Buffer.compare(image.bytes, made)).toBe(0);
  });
  test('stays in order when it is written to, indexed directories too', () => {
    const indexed = args.includes('-r') ? made : repairIndexed(made);
    const image = new MemoryImage(indexed.slice());
    const fs = mounted(image);
    const many = place(fs, '/many');
    for (let i = 0; i < 300; i++) remove(place(fs, `/many/some-rather-long-name-of-a-file-number-${i * 5}`));
    for (let i = 0; i < 40; i++) create(fs, many, `new-${i}`);
    const dir = create(fs, fs.root, 'new-dir', FileType.Directory | 0o755);
    writeAt(image, create(fs, dir, 'file').inode as ExtInode, 50_000, pattern(70_000));
    expect(fs.unmount()).toBe(0);
    expect(e2fsck(image.bytes)).toBe('clean');
    expect(checkExt(image.bytes).problems).toEqual([]);
    const read = debugfsCat(image.bytes, ['/big', '/new-dir/file']);
    expect(Buffer.compare(read.get('/big')!, files['big']!)).toBe(0);
    expect(Buffer.compare(read.get('/new-dir/file')!.subarray(50_000), pattern(70_000))).toBe(0);
  });
});
/** The image with hashed indexes in its larger directories, as a Linux that wrote it would leave them. */
function repairIndexed(bytes: Uint8Array): Uint8Array {
  const { bytes: indexed } = repair(bytes, ['-D']);
  return indexed;
}
test.skipIf(!hasE2fsprogs)(`an indexed directory keeps its index while names only go${e2fsprogsNote}`, () => {
  const image = new MemoryImage(repairIndexed(mke2fs(['-t', 'ext4'], '40M', files)));
  const fs = mounted(image);
  const many = place(fs, '/many').inode as ExtInode;
  expect(many.flags & 0x1000).toBe(0x1000);
  remove(place(fs, '/many/some-rather-long-name-of-a-file-number-7'));
  expect(many.flags & 0x1000).toBe(0x1000);
  create(fs, place(fs, '/many'), 'a new name');
  expect(many.flags & 0x1000).toBe(0);
  expect(namesIn(place(fs, '/many')).length).toBe(1500);
  expect(fs.unmount()).toBe(0);
  expect(e2fsck(image.bytes)).toBe('clean');
});

describe('what is refused', () => {
  const sentence = (bytes: Uint8Array, isReadOnly = false): string => {
    const fs = mountImage(new MemoryImage(bytes), isReadOnly);
    return fs instanceof ExtFileSystem ? 'mounted' : `${-fs.error} ${fs.sentence}`;
  };
  const sound = madeImage({ metadataCsum: false, is64: true }, 8 * MIB).bytes;
  const changed = (change: (view: DataView) => void): Uint8Array => {
    const copy = sound.slice();
    change(new DataView(copy.buffer));
    return copy;
  };
  test.each([
    ['no file system', new Uint8Array(8 * MIB), /^22 .*magic/], ['an empty device', new Uint8Array(512), /^22 .*too small/],
    ['a device cut off', sound.slice(0, 4 * MIB), /^117 The file system has 2048 blocks, the device only 1024/],
    ['a journal to replay', changed((v) => { v.setUint32(1024 + 0x60, v.getUint32(1024 + 0x60, true) | 4, true); }), /^117 The journal holds changes/],
    ['encryption', changed((v) => { v.setUint32(1024 + 0x60, v.getUint32(1024 + 0x60, true) | 0x10000, true); }), /^22 .*Encrypt/],
    ['clusters', changed((v) => { v.setUint32(1024 + 0x64, v.getUint32(1024 + 0x64, true) | 0x200, true); }), /^22 .*Bigalloc/],
    ['quotas, to write', changed((v) => { v.setUint32(1024 + 0x64, v.getUint32(1024 + 0x64, true) | 0x100, true); }), /^30 .*Quota/],
    ['blocks of 8 kB', changed((v) => { v.setUint32(1024 + 0x18, 3, true); }), /^22 .*block size/], ['inodes of 100 bytes', changed((v) => { v.setUint16(1024 + 0x58, 100, true); }), /^117 Inodes of 100/],
    ['a table on top of a bitmap', changed((v) => { v.setUint32(4096 + 8, v.getUint32(4096, true), true); }), /^117 The inode table of group 0/],
    ['a bitmap outside', changed((v) => { v.setUint32(4096, 1_000_000, true); }), /^117 The block bitmap of group 0/],
    ['more free than there is', changed((v) => { v.setUint16(4096 + 12, 60_000, true); }), /^117 The counts of group 0/],
    ['a root that is no directory', changed((v) => { v.setUint16(v.getUint32(4096 + 8, true) * 4096 + 256, 0o100644, true); }), /^117 The root directory is damaged/],
  ] as const)('%s', (_, bytes, expected) => { expect(sentence(bytes)).toMatch(expected); });
  test('quotas are no hindrance to reading', () => {
    expect(sentence(changed((v) => { v.setUint32(1024 + 0x64, v.getUint32(1024 + 0x64, true) | 0x100, true); }), true)).toBe('mounted');
  });
  test('a superblock that does not match its checksum', () => {
    const bytes = madeImage({}, 8 * MIB).bytes;
    bytes[1024 + 0x88]! ^= 1;
    expect(sentence(bytes)).toMatch(/^117 The superblock does not match its checksum/);
  });
  test('a read-only device can only be mounted read-only', () => {
    expect(mountImage(new MemoryImage(sound.slice(), true))).toMatchObject({ error: -Errno.EROFS });
    expect(mountImage(new MemoryImage(sound.slice(), true), true)).toBeInstanceOf(ExtFileSystem);
  });
});

describe('state', () => {
  test('the image says that it is in use until it is unmounted', () => {
    const image = madeImage({}, 8 * MIB);
    const state = (): number => image.bytes[1024 + 0x3a]!;
    expect(state()).toBe(1);
    const fs = mounted(image);
    expect(state()).toBe(0);
    expect(fs.unmount()).toBe(0);
    expect(state()).toBe(1);
    expect(checkExt(image.bytes).problems).toEqual([]);
  });
  test('damage is remembered, and makes a file system read-only whose superblock asks for it', () => {
    for (const [policy, isReadOnly] of [[1, false], [2, true]] as const) {
      const image = madeImage({ metadataCsum: false }, 8 * MIB, [{ path: '/f', mode: 0o100644 }]);
      image.bytes[1024 + 0x3c] = policy;
      const fs = mounted(image);
      const { block, offset } = fs.placeOf(inodeAt(fs, '/lost+found').ino + 1);
      fs.unmount();
      image.bytes.fill(0xee, block * 4096 + offset, block * 4096 + offset + 128);
      const again = mounted(image);
      expect(again.root.inode.dir!.lookup(again.root, 'f', null)).toBe(-Errno.EUCLEAN);
      expect(again.isReadOnly).toBe(isReadOnly);
      expect(again.volume.messages[0]).toMatch(/inode 12/);
      again.unmount();
      expect(image.bytes[1024 + 0x3a]! & 2).toBe(2);
    }
  });
  test('a read-only mount writes nothing', () => {
    const image = madeImage({}, 8 * MIB, [{ path: '/f', mode: 0o100644 }]);
    const before = image.bytes.slice();
    const fs = mounted(image, true);
    inodeAt(fs, '/f').atime = { sec: 1, nsec: 1 };
    fs.dirtyInode(inodeAt(fs, '/f'));
    expect(fs.sync()).toBe(0);
    expect(fs.unmount()).toBe(0);
    expect(Buffer.compare(image.bytes, before)).toBe(0);
  });
  test('attributes come back as they were, nanoseconds and times after 2038 too', () => {
    const image = madeImage({ inodeSize: 256 }, 8 * MIB, [{ path: '/f', mode: 0o100644 }]);
    const fs = mounted(image);
    const times = { atime: { sec: 5_000_000_000, nsec: 123_456_789 }, mtime: { sec: -5, nsec: 1 }, ctime: { sec: 2 ** 31, nsec: 999_999_999 } };
    Object.assign(inodeAt(fs, '/f'), { uid: 100_000, gid: 4_000_000_000, mode: 0o104751, ...times });
    fs.dirtyInode(inodeAt(fs, '/f'));
    fs.unmount();
    expect(inodeAt(mounted(image), '/f')).toMatchObject({ uid: 100_000, gid: 4_000_000_000, mode: 0o104751, nlink: 1, ...times });
  });
  test('device nodes, fifos and sockets come back', () => {
    const image = madeImage({}, 8 * MIB);
    const fs = mounted(image);
    for (const [name, mode, rdev] of [['null', FileType.Char, 0x103], ['disk', FileType.Block, 0x12_3456_78], ['fifo', FileType.Fifo, 0], ['socket', FileType.Socket, 0]] as const) {
      create(fs, fs.root, name, mode | 0o600).inode.rdev = rdev;
    }
    fs.unmount();
    const again = mounted(image);
    expect(['null', 'disk', 'fifo', 'socket'].map((name) => [inodeAt(again, name).type, inodeAt(again, name).rdev])).toEqual([[FileType.Char, 0x103], [FileType.Block, 0x12_3456_78], [FileType.Fifo, 0], [FileType.Socket, 0]]);
    again.unmount();
    if (hasE2fsprogs) expect(e2fsck(image.bytes)).toBe('clean');
  });
});

describe('after a crash', () => {
  test('files without a name that were open are deleted by the next mount', () => {
    const image = madeImage({ blockSize: 1024 }, 8 * MIB);
    const fs = mounted(image);
    const free = fs.usage();
    const gone = [0, 1, 2].map((i) => create(fs, fs.root, `f${i}`));
    for (const at of gone) {
      writeAt(image, at.inode as ExtInode, 0, pattern(50_000));
      at.inode.users++;
      remove(at);
    }
    dropInode(gone[1]!.inode); // out of the middle of the list
    expect(fs.sync()).toBe(0);
    const crashed = new MemoryImage(image.bytes.slice());
    const again = mounted(crashed);
    expect(again.volume.messages.filter((line) => /orphan \d+ deleted/.test(line)).length).toBe(2);
    expect(again.usage()).toEqual(free);
    expect(again.unmount()).toBe(0);
    // Not valid before, so not valid now: only e2fsck says that all is well.
    expect(checkExt(crashed.bytes).problems).toEqual(['not marked as clean']);
    if (hasE2fsprogs) expect(e2fsck(crashed.bytes)).toBe('clean');
  });
  test.skipIf(!hasE2fsprogs)(`what fsync has written is there after e2fsck has put the rest right${e2fsprogsNote}`, () => {
    for (const options of [{ type: 'ext2', blockSize: 1024 }, { blockSize: 1024 }, {}] as const) {
      const image = madeImage(options, 8 * MIB);
      const fs = mounted(image);
      const dir = create(fs, fs.root, 'd', FileType.Directory | 0o755);
      const kept = create(fs, dir, 'kept').inode as ExtInode;
      const data = pattern(123_456);
      for (let at = 0; at < data.length; at += 3000) {
        writeAt(image, kept, at, data.subarray(at, at + 3000));
        writeAt(image, create(fs, dir, `other-${at}`).inode as ExtInode, 0, pattern(2000));
      }
      expect(kept.syncMetadata(false)).toBe(0);
      // Nothing else reaches the disk.
      const { bytes, isRepaired } = repair(image.bytes.slice());
      expect(isRepaired).toBe(true);
      const after = new MemoryImage(bytes);
      const found = readAt(after, inodeAt(mounted(after), '/d/kept'), 0, 200_000) as Uint8Array;
      expect(Buffer.compare(found, data)).toBe(0);
    }
  });
});

test('a file behind three levels of block numbers', () => {
  const image = madeImage({ type: 'ext2', blockSize: 1024 }, 8 * MIB);
  const fs = mounted(image);
  const file = create(fs, fs.root, 'far').inode as ExtInode;
  const before = fs.usage().blocksFree;
  for (const at of [5, 11_000, 270_000, 68_000_000, 15_000_000_000]) expect(writeAt(image, file, at, pattern(3000))).toBe(3000);
  expect(file.blocks).toBe((before - fs.usage().blocksFree) * 2);
  fs.unmount();
  expect(checkExt(image.bytes).problems).toEqual([]);
  const again = mounted(image);
  const found = inodeAt(again, '/far');
  expect(found.size).toBe(15_000_003_000);
  expect(readAt(image, found, 68_000_000, 3000)).toEqual(pattern(3000));
  expect(readAt(image, found, 69_000_000, 100)).toEqual(new Uint8Array(100));
  expect(found.truncateBlocks(12_000)).toBe(0);
  found.size = 12_000;
  expect(again.unmount()).toBe(0);
  expect(checkExt(image.bytes).problems).toEqual([]);
});

test('files that grow together stay in long pieces', () => {
  const image = madeImage({}, 32 * MIB);
  const fs = mounted(image);
  const two = ['a', 'b'].map((name) => create(fs, fs.root, name).inode as ExtInode);
  for (let i = 0; i < 512; i++) for (const file of two) writeAt(image, file, i * 4096, pattern(4096));
  for (const file of two) {
    let runs = 0;
    file.map!.eachRun(() => { runs++; return true; });
    expect(runs).toBeLessThanOrEqual(6); // 512 blocks, windows of 128 and more
  }
});
