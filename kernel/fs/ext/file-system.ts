// A mounted ext file system. Here: mounting and unmounting, which inodes there are and which are in memory, making and deleting them, the list of
// orphans, what sync writes. Not here: the superblock (super.ts), names (dir.ts), bytes of files: their contents are made by whoever mounts, over
// the maps of the inodes. Mirrors ext4/super.c, ialloc.c, orphan.c and inode.c's iget.
//
// An inode is one object as long as the file system is mounted, however many names lead to it. Its attributes go back into the table when it is
// written: by sync, by fsync, at the end. An inode without a name that is still in use is an orphan: a list through the disk names it, so that a
// mount after a crash deletes it.
import { Errno } from '../../syscall/errno.ts';
import { Dentry } from '../dentry.ts';
import { type FileSystem, FileType, type FsUsage, type Inode, type Openable, S_IFMT } from '../inode.ts';
import { Allocator } from './alloc.ts';
import { crc32c, crc32cWord } from './checksum.ts';
import { ExtDirectory, ExtLink } from './dir.ts';
import { ExtentTree } from './extents.ts';
import { ExtInode, FAST_LINK_BYTES, judgeRaw, newRaw } from './inode.ts';
import { EXT_MAGIC, In, Incompat, INHERITED_FLAGS, Ino, InodeFlag, RoCompat, Sb, State } from './layout.ts';
import { beginWriting, endWriting, journalIno, type MountFailure, openVolume, type VolumeOptions } from './super.ts';
import type { Volume } from './volume.ts';

export interface DriverOptions {
  readonly devMajor: number;
  readonly devMinor: number;
  /** What opens, for an inode that is neither a directory nor a link. Called once an inode. */
  contentOf(inode: ExtInode): Openable;
}
export interface MountOptions extends VolumeOptions, DriverOptions {}

const LINK_MAX_EXT2 = 32000;
const LINK_MAX_EXT4 = 65000;
const XATTR_MAGIC = 0xea02_0000;

/** Mounts what `options.open` opens. Damage found here means no mount; later on, errors of single calls. */
export function mountExt(options: MountOptions): ExtFileSystem | MountFailure {
  const volume = openVolume(options);
  if (!('meta' in volume)) return volume;
  if (!options.isReadOnly && volume.meta.isReadOnly) return { error: -Errno.EROFS, sentence: 'The device is read-only; it can only be mounted read-only.' };
  return ExtFileSystem.start(volume, options);
}

export class ExtFileSystem implements FileSystem {
  readonly type: string;
  readonly magic = EXT_MAGIC;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly options = '';
  readonly volume: Volume;
  readonly allocator: Allocator;
  /** Set by start(). */
  root!: Dentry;
  private readonly contentOf: (inode: ExtInode) => Openable;
  private readonly inodes = new Map<number, ExtInode>();
  private readonly dirty = new Set<ExtInode>();
  /** The list of orphans, as it goes through the disk. */
  private readonly orphans: ExtInode[] = [];
  private stateBefore = 0;
  private isMounted = true;
  /** Mounted for writing: what was changed is written in the end, even if damage has made it read-only since. */
  private readonly hasWritten: boolean;

  private constructor(volume: Volume, options: DriverOptions) {
    this.volume = volume;
    this.allocator = new Allocator(volume, () => this.hasWritten && this.sync() === 0);
    this.hasWritten = !volume.isReadOnly;
    this.devMajor = options.devMajor;
    this.devMinor = options.devMinor;
    this.contentOf = (inode) => options.contentOf(inode);
    this.type = volume.sb.has('incompat', Incompat.Extents | Incompat.FlexBg | Incompat.Bit64) || volume.sb.has('roCompat', RoCompat.HugeFile | RoCompat.MetadataCsum) ? 'ext4' : 'ext2';
  }

  static start(volume: Volume, options: DriverOptions): ExtFileSystem | MountFailure {
    const fs = new ExtFileSystem(volume, options);
    const refused = fs.keepJournal();
    if (refused !== null) return refused;
    const root = fs.inodeOf(Ino.Root);
    if (typeof root === 'number' || !root.isDirectory || root.size === 0) return { error: -Errno.EUCLEAN, sentence: `The root directory is damaged${typeof root === 'number' ? `: ${volume.messages.at(-1) ?? 'it cannot be read'}` : ''}.` };
    root.hasPlace = true;
    fs.root = new Dentry('', null, root);
    if (!volume.isReadOnly) {
      fs.stateBefore = volume.sb.u16(Sb.State);
      if (beginWriting(volume) !== 0) return { error: -Errno.EIO, sentence: 'The superblock cannot be written.' };
      fs.deleteOrphans();
    }
    return fs;
  }
  /** The first mount of a file system that has no inode yet: makes the root directory. @returns -ENOSPC when there is no room for it */
  static format(volume: Volume, options: DriverOptions): ExtFileSystem | number {
    const fs = new ExtFileSystem(volume, options);
    fs.stateBefore = State.Valid;
    const { groups, sb } = volume;
    const root = fs.furnish(new ExtInode(fs, Ino.Root, newRaw(volume, FileType.Directory | 0o755, sb.hasExtents ? InodeFlag.Extents : 0, 0, volume.now())));
    root.nlink = 2;
    if (root.map instanceof ExtentTree) root.map.format();
    root.mapChanged();
    root.hasPlace = true;
    fs.inodes.set(Ino.Root, root);
    fs.root = new Dentry('', null, root);
    groups.setUsedDirs(0, 1);
    volume.groupChanged(0);
    const error = (root.dir as ExtDirectory).format(Ino.Root);
    return error === 0 ? fs : error;
  }
  /** The blocks of a journal are metadata: no damaged file may claim them. */
  private keepJournal(): MountFailure | null {
    const ino = journalIno(this.volume.sb);
    if (ino === 0) return null;
    const refused = { error: -Errno.EUCLEAN, sentence: 'The journal is damaged.' };
    const journal = ino >= this.volume.sb.firstIno || ino === Ino.Root ? -Errno.EUCLEAN : this.load(ino);
    if (typeof journal === 'number' || journal.type !== FileType.Regular) return refused;
    const runs: [number, number][] = [];
    if (journal.map!.eachRun((block, count) => runs.push([block, count]) <= this.volume.nrBlocks) !== 0) return refused;
    return runs.every(([block, count]) => this.volume.addZone(block, count)) ? null : refused;
  }

  get isReadOnly(): boolean {
    return this.volume.isReadOnly;
  }
  get maxLinks(): number {
    return this.type === 'ext2' ? LINK_MAX_EXT2 : LINK_MAX_EXT4;
  }
  get maxDirectories(): number {
    return this.volume.isDirCountLimited ? this.maxLinks : Infinity;
  }
  usage(): FsUsage {
    const { sb } = this.volume;
    return {
      blockSize: this.volume.blockSize, blocks: sb.nrBlocks - this.volume.overheadBlocks, blocksFree: sb.freeBlocks, files: sb.nrInodes, filesFree: sb.freeInodes,
      blocksAvailable: Math.max(0, sb.freeBlocks - sb.reservedBlocks),
    };
  }

  // --- Inodes ---

  /** Where an inode stands in the table. The number is in range. */
  placeOf(ino: number): { block: number; offset: number } {
    const { volume } = this;
    const index = (ino - 1) % volume.inodesPerGroup;
    const table = volume.groups.inodeTable(Math.floor((ino - 1) / volume.inodesPerGroup));
    return { block: table + Math.floor(index / volume.inodesPerBlock), offset: (index % volume.inodesPerBlock) * volume.inodeSize };
  }
  private readRaw(ino: number): Uint8Array | number {
    const { block, offset } = this.placeOf(ino);
    const buffer = this.volume.meta.read(block);
    return buffer === null ? -Errno.EIO : buffer.data.slice(offset, offset + this.volume.inodeSize);
  }
  writeRaw(ino: number, raw: Uint8Array): number {
    const { block, offset } = this.placeOf(ino);
    const buffer = this.volume.meta.read(block);
    if (buffer === null) return -Errno.EIO;
    buffer.data.set(raw, offset);
    buffer.markDirty();
    return 0;
  }

  /** The inode of a number that a directory names: the one in memory, or read now; -EUCLEAN, -EIO. */
  inodeOf(ino: number): ExtInode | number {
    const known = this.inodes.get(ino);
    if (known !== undefined) return known;
    const { sb } = this.volume;
    if (ino !== Ino.Root && (ino < sb.firstIno || ino > sb.nrInodes)) return this.volume.corrupt(`inode ${ino} is not there for files`);
    const inode = this.load(ino);
    if (typeof inode === 'number') return inode;
    if (inode.nlink === 0) return this.volume.corrupt(`inode ${ino} is named, but deleted`);
    this.inodes.set(ino, inode);
    return inode;
  }
  /** Reads and judges an inode, whatever it is for. */
  private load(ino: number): ExtInode | number {
    const { volume } = this;
    if (ino < 1 || ino > volume.sb.nrInodes) return volume.corrupt(`there is no inode ${ino}`);
    const raw = this.readRaw(ino);
    if (typeof raw === 'number') return raw;
    const wrong = judgeRaw(volume, ino, raw);
    if (wrong !== null) return volume.corrupt(`inode ${ino}: ${wrong}`);
    const inode = this.furnish(new ExtInode(this, ino, raw));
    const damaged = judgeInode(inode);
    return damaged === null ? inode : volume.corrupt(`inode ${ino}: ${damaged}`);
  }
  /** Gives an inode what makes it a directory, a link, or something that opens. */
  private furnish(inode: ExtInode): ExtInode {
    if (inode.isDirectory) inode.dir = new ExtDirectory(inode);
    else if (inode.type === FileType.Symlink) inode.link = new ExtLink(inode);
    else inode.content = this.contentOf(inode);
    return inode;
  }

  /** An inode without a name yet, in or near `parent`; directories have '.' and '..' already. -ENOSPC, -EIO, -EUCLEAN. */
  make(parent: ExtInode, mode: number, size = 0): ExtInode | number {
    const { volume } = this;
    const type = mode & S_IFMT;
    const isDir = type === FileType.Directory;
    const ino = this.allocator.takeInode(parent.ino, isDir, (n) => this.inodes.has(n));
    if (ino < 0) return ino;
    const before = this.allocator.isNeverWritten(ino) ? 0 : this.readRaw(ino);
    const generation = typeof before === 'number' ? 1 : new DataView(before.buffer).getUint32(In.Generation, true) + 1;
    const hasBlocks = isDir || type === FileType.Regular || (type === FileType.Symlink && size >= FAST_LINK_BYTES);
    const isTree = hasBlocks && volume.sb.hasExtents;
    const raw = newRaw(volume, mode, (parent.flags & INHERITED_FLAGS) | (isTree ? InodeFlag.Extents : 0), generation >>> 0, volume.now());
    new DataView(raw.buffer).setUint32(In.Size, size, true); // a long link is one that has blocks from the start
    const inode = this.furnish(new ExtInode(this, ino, raw));
    inode.nlink = isDir ? 2 : 0;
    if (inode.map instanceof ExtentTree) inode.map.format();
    inode.mapChanged();
    this.inodes.set(ino, inode);
    const error = isDir ? (inode.dir as ExtDirectory).format(parent.ino) : 0;
    if (error === 0) return inode;
    inode.nlink = 0;
    this.evict(inode);
    return error;
  }
  makeLink(parent: ExtInode, text: Uint8Array): ExtInode | number {
    const inode = this.make(parent, FileType.Symlink | 0o777, text.length);
    if (typeof inode === 'number') return inode;
    const error = (inode.link as ExtLink).store(text);
    if (error === 0) return inode;
    this.evict(inode);
    return error;
  }

  /** No name and no user is left: blocks, attributes and number go back. */
  evict(inode: Inode): void {
    const gone = inode as ExtInode;
    gone.content?.evict?.(gone);
    if (this.volume.isReadOnly || !this.isMounted) {
      this.forget(gone);
      return;
    }
    this.unlistOrphan(gone);
    gone.map?.free(0, Infinity);
    this.allocator.forgetWindow(gone.ino);
    this.releaseAttributes(gone);
    gone.size = 0;
    gone.ctime = this.volume.now();
    gone.mapChanged(); // whatever else is new of it, that it is gone must be written
    gone.write();
    this.forget(gone);
    this.allocator.freeInode(gone.ino, gone.isDirectory);
  }
  private forget(inode: ExtInode): void {
    this.inodes.delete(inode.ino);
    this.dirty.delete(inode);
  }
  /** The block of extended attributes may be shared: one user fewer, or free. Mirrors ext4_xattr_release_block(). */
  private releaseAttributes(inode: ExtInode): void {
    const { volume } = this;
    const block = inode.fileAcl;
    if (block === 0) return;
    const buffer = volume.readData(block, `attributes of inode ${inode.ino}`);
    if (typeof buffer === 'number') return;
    inode.view.setUint32(In.FileAcl, 0, true);
    inode.view.setUint16(In.FileAclHi, 0, true);
    const users = buffer.view.getUint32(4, true);
    if (buffer.view.getUint32(0, true) !== XATTR_MAGIC || users === 0) {
      volume.corrupt(`attributes of inode ${inode.ino}: block ${block} holds none`);
    } else if (users === 1) {
      this.allocator.freeBlocks(block, 1, true);
      inode.countBlocks(-1);
    } else {
      buffer.view.setUint32(4, users - 1, true);
      if (volume.hasCsum) {
        const head = crc32cWord(crc32cWord(volume.seed, block % 2 ** 32), Math.floor(block / 2 ** 32));
        buffer.view.setUint32(16, 0, true);
        buffer.view.setUint32(16, crc32c(head, buffer.data), true);
      }
      buffer.markDirty();
      inode.countBlocks(-1);
    }
  }

  // --- Attributes ---

  /** The VFS changed an attribute: it will be written; an inode that lost its last name becomes an orphan, one that got a name none. */
  dirtyInode(inode: Inode): void {
    const changed = inode as ExtInode;
    if (changed.isDirectory && changed.nlink > LINK_MAX_EXT4) changed.isUncounted = true;
    if (changed.isUncounted && changed.nlink > 0) changed.nlink = 1;
    changed.attributesChanged();
    if (changed.nlink === 0) this.listOrphan(changed);
    else this.unlistOrphan(changed);
  }
  /** An inode must be written some time. */
  noteDirty(inode: ExtInode): void {
    if (!this.volume.isReadOnly) this.dirty.add(inode);
  }
  needLargeFile(): void {
    const { sb } = this.volume;
    if (!sb.isDynamic || sb.has('roCompat', RoCompat.LargeFile)) return;
    sb.set32(Sb.RoCompat, sb.roCompat | RoCompat.LargeFile);
    this.volume.countsChanged();
  }

  // --- Orphans ---

  private listOrphan(inode: ExtInode): void {
    if (inode.nextOrphan !== null || this.volume.isReadOnly) return;
    inode.nextOrphan = this.volume.sb.u32(Sb.LastOrphan);
    this.orphans.unshift(inode);
    this.setFirstOrphan(inode.ino);
    inode.mapChanged();
  }
  private unlistOrphan(inode: ExtInode): void {
    if (inode.nextOrphan === null) return;
    const at = this.orphans.indexOf(inode);
    const next = inode.nextOrphan;
    inode.nextOrphan = null;
    inode.mapChanged();
    if (at < 0) return;
    this.orphans.splice(at, 1);
    if (at === 0) {
      this.setFirstOrphan(next);
      return;
    }
    const before = this.orphans[at - 1]!;
    before.nextOrphan = next;
    before.mapChanged();
  }
  private setFirstOrphan(ino: number): void {
    this.volume.sb.set32(Sb.LastOrphan, ino);
    this.volume.countsChanged();
  }
  /** After a crash: deletes what had no name any more, and cuts what was being cut. Mirrors ext4_orphan_cleanup(). */
  private deleteOrphans(): void {
    const { volume } = this;
    const seen = new Set<number>();
    let ino = volume.sb.u32(Sb.LastOrphan);
    while (ino !== 0) {
      const inode = seen.has(ino) || ino < volume.sb.firstIno || this.inodes.has(ino) ? -Errno.EUCLEAN : this.load(ino);
      if (typeof inode === 'number') {
        volume.corrupt(`the list of orphans leads to inode ${ino}`);
        break;
      }
      seen.add(ino);
      ino = inode.view.getUint32(In.Dtime, true);
      inode.mapChanged();
      if (inode.nlink === 0) {
        this.inodes.set(inode.ino, inode);
        this.evict(inode);
      } else {
        inode.truncateBlocks(inode.size);
        inode.write();
        this.dirty.delete(inode);
      }
      volume.note(`ext: orphan ${inode.ino} ${inode.nlink === 0 ? 'deleted' : 'cut'}`);
    }
    this.setFirstOrphan(0);
  }

  // --- Writing back ---

  /** Puts everything that is kept in memory into blocks of the device, which are written when the device's are. @returns 0 or -EIO */
  writeBack(): number {
    if (!this.hasWritten) return 0;
    let error = 0;
    for (const inode of [...this.dirty]) {
      const failed = inode.write();
      if (failed === 0) this.dirty.delete(inode);
      error = failed || error;
    }
    return this.volume.writeBack() || error;
  }
  /** Writes all metadata, and waits. @returns 0 or -EIO */
  sync(): number {
    if (!this.hasWritten) return 0;
    const error = this.writeBack();
    for (const inode of this.inodes.values()) {
      inode.touched.clear();
      inode.unsyncedParent = null;
    }
    const failed = this.volume.syncAll() || error;
    if (failed === 0) this.allocator.settled();
    return failed;
  }
  /** The end: everything is written, and the disk says that it was left in order. Nobody uses a file any more. @returns 0 or -EIO */
  unmount(): number {
    if (!this.isMounted) return 0;
    // Files without names that are still open: nobody can come back to them.
    for (const orphan of [...this.orphans]) this.evict(orphan);
    this.isMounted = false;
    if (!this.hasWritten) return 0;
    return this.sync() || endWriting(this.volume, this.stateBefore);
  }
  /** Was damage found since the mount, or before it? */
  get hasErrors(): boolean {
    return (this.volume.sb.u16(Sb.State) & State.Error) !== 0;
  }
}

/** What is wrong with an inode beyond its checksum; null: nothing. Mirrors the checks of __ext4_iget(). */
function judgeInode(inode: ExtInode): string | null {
  const { volume, size, map } = inode;
  if (inode.fileAcl !== 0 && !volume.isData(inode.fileAcl)) return `attributes in block ${inode.fileAcl}`;
  // Directories have no holes: one larger than the device would be read for ever.
  if (inode.isDirectory && (size % volume.blockSize !== 0 || size > volume.nrBlocks * volume.blockSize)) return `a directory of ${size} bytes`;
  if (inode.type === FileType.Symlink && map !== null && size >= volume.blockSize) return `a link of ${size} bytes`;
  if (inode.type === FileType.Regular && size > inode.maxBytes) return `${size} bytes are more than it can hold`;
  return map instanceof ExtentTree ? map.judgeRoot() : null;
}
