// The power goes at a random write: what fsync had promised until then is there once e2fsck has repaired the rest. Files come and go meanwhile, so that
// blocks and inodes are used again. Needs e2fsprogs.
//   QUIRE_CRASHES=500 QUIRE_SEED=n npx vitest run test/kernel/fs/ext/crash.test.ts
import { expect, test } from 'vitest';
import { Prng } from '#base';
import { MemoryImage } from '#kernel/block/image.ts';
import { Dentry } from '#kernel/fs/dentry.ts';
import type { ExtFileSystem, ExtInode } from '#kernel/fs/ext/index.ts';
import type { MkfsOptions } from '#kernel/fs/ext/mkfs.ts';
import { dropName, FileType, type Inode } from '#kernel/fs/inode.ts';
import { e2fsck, e2fsprogsNote, hasE2fsprogs, repair } from '../../../support/e2fsprogs.ts';
import { madeImage, mounted, readAt, truncateTo, writeAt } from '../../../support/ext-direct.ts';

const crashes = Number(process.env['QUIRE_CRASHES'] ?? 8);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const MIB = 2 ** 20;

/** After so many writes nothing reaches the medium any more. */
class Failing extends MemoryImage {
  left = Infinity;
  override write(offset: number, from: Uint8Array): boolean {
    return this.left-- > 0 ? super.write(offset, from) : true;
  }
}

const kinds: [string, Partial<MkfsOptions>][] = [['ext2, 1K', { type: 'ext2', blockSize: 1024 }], ['ext4, 1K', { blockSize: 1024 }], ['ext4, 4K', {}], ['ext4 without checksums', { metadataCsum: false }]];

test.skipIf(!hasE2fsprogs).each(kinds)(`%s: fsync's promise outlives a crash${e2fsprogsNote}`, (_, options) => {
  for (let run = 0; run < crashes; run++) {
    const random = new Prng(seed * 1000 + run, 'crash');
    const image = new Failing(madeImage(options, 6 * MIB).bytes);
    const fs = mounted(image);
    const promised = new Map<string, Uint8Array>();
    image.left = random.below(random.below(3) === 0 ? 2000 : 400);
    const dirs: Dentry[] = [fs.root];
    const churn: Dentry[] = [];
    for (let i = 0; i < 150 && image.left > 0; i++) {
      const dir = dirs[random.below(dirs.length)]!;
      switch (random.below(7)) {
        case 0: dirs.push(create(fs, dir, `dir-${i}`, FileType.Directory | 0o755)); break;
        case 1: case 2: { // a file that is promised
          const at = create(fs, dir, `kept-${i}`);
          const bytes = new Uint8Array(1 + random.below(30_000)).fill(1 + (i % 250));
          for (let done = 0; done < bytes.length; done += 5000) writeAt(image, at.inode as ExtInode, done, bytes.subarray(done, done + 5000));
          expect((at.inode as ExtInode).syncMetadata(random.below(2) === 0)).toBe(0);
          if (image.left > 0) promised.set(pathOf(at), bytes);
          break;
        }
        case 3: case 4: {
          const at = create(fs, dir, `other-${i}-${'x'.repeat(random.below(100))}`);
          writeAt(image, at.inode as ExtInode, random.below(60_000), new Uint8Array(1 + random.below(20_000)).fill(0xee));
          churn.push(at);
          break;
        }
        case 5: if (churn.length > 0) {
          const [gone] = churn.splice(random.below(churn.length), 1);
          expect(gone!.parent!.inode.dir!.remove!(gone!.parent!, gone!)).toBe(0);
          dropName(gone!.inode);
        } break;
        default:
          if (churn.length > 0 && random.below(2) === 0) truncateTo(image, churn[random.below(churn.length)]!.inode as ExtInode, random.below(30_000));
          else if (random.below(3) === 0) expect(fs.sync()).toBe(0);
      }
    }
    const { bytes, isRepaired, log } = repair(image.bytes);
    expect(isRepaired, log).toBe(true);
    expect(e2fsck(bytes)).toBe('clean');
    const after = new MemoryImage(bytes);
    const again = mounted(after);
    for (const [path, expected] of promised) {
      const found = lookup(again, path);
      expect(found, `${path} of run ${run}, seed ${seed}: ${log}`).toBeInstanceOf(Dentry);
      const read = readAt(after, (found as Dentry).inode as ExtInode, 0, expected.length + 1);
      expect(typeof read !== 'number' && Buffer.compare(read, expected) === 0, `bytes of ${path}, run ${run}, seed ${seed}: ${log}`).toBe(true);
    }
  }
}, 3600_000);

function create(fs: ExtFileSystem, dir: Dentry, name: string, mode: number = FileType.Regular | 0o644): Dentry {
  const inode = dir.inode.dir!.make!(mode) as Inode;
  const entry = dir.inode.dir!.add!(dir, name, inode) as Dentry;
  const counted = inode.isDirectory ? dir.inode : inode;
  counted.nlink++;
  fs.dirtyInode(counted);
  return entry;
}
const pathOf = (at: Dentry): string => (at.parent === null ? '' : `${pathOf(at.parent)}/${at.name}`);
function lookup(fs: ExtFileSystem, path: string): Dentry | null | number {
  let at: Dentry = fs.root;
  for (const name of path.split('/').slice(1)) {
    const next = at.inode.dir!.lookup(at, name, null);
    if (!(next instanceof Dentry)) return next;
    at = next;
  }
  return at;
}
