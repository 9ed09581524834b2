// A new ext2 or ext4 file system, and the files it begins with. Here: the layout that is chosen, the first superblock, descriptors and bitmaps; then it
// is mounted like any other, and filled through the same code that a guest's calls go through. Knows no host: it writes to a DiskImage that reads
// as zeros. Mirrors what mke2fs chooses, in its simple cases.
//
// The same input gives the same bytes: the UUID comes from a seed, every time is given.
import { bug, Prng, utf8Decode, utf8Encode } from '#base';
import type { DiskImage } from '../../block/image.ts';
import { Errno, errnoName } from '../../syscall/errno.ts';
import type { MetaBlocks } from '../buffers.ts';
import type { Dentry } from '../dentry.ts';
import { FileType, type Openable, S_IFMT, type Timespec } from '../inode.ts';
import { IomapPurpose, IomapType } from '../mapping.ts';
import { NAME_MAX } from '../walk.ts';
import { setBits } from './alloc.ts';
import type { ExtDirectory } from './dir.ts';
import { ExtentTree } from './extents.ts';
import { ExtFileSystem } from './file-system.ts';
import { ImageBlocks } from './image-blocks.ts';
import type { ExtInode } from './inode.ts';
import { CRC32C_TYPE, EXT_MAGIC, EXTRA_ISIZE, GroupFlag, GroupTable, Incompat, Ino, OnError, RoCompat, Sb, State, Superblock } from './layout.ts';
import { openVolume } from './super.ts';
import { superSum, Volume } from './volume.ts';

export interface MkfsOptions {
  readonly type: 'ext2' | 'ext4';
  /** 1024, 2048 or 4096. */
  readonly blockSize: number;
  /** 128 to the block size, a power of two. */
  readonly inodeSize: number;
  /** At least so many inodes; absent: one for every 16 kB (4 kB where blocks are smaller than 4 kB). */
  readonly nrInodes?: number;
  readonly label: string;
  readonly seed: number;
  /** Every time stamp, in seconds of the epoch. */
  readonly epochSeconds: number;
  /** ext4 only: checksums of all metadata; 64-bit block numbers. */
  readonly metadataCsum: boolean;
  readonly is64: boolean;
  /** Share of blocks kept for root. */
  readonly reservedPercent: number;
}
export const mkfsDefaults: MkfsOptions = {
  type: 'ext4', blockSize: 4096, inodeSize: 256, label: '', seed: 1, epochSeconds: 0, metadataCsum: true, is64: false, reservedPercent: 5,
};

/** What a file system begins with. Directories come before what is in them; `path` begins with '/'. */
export interface MkfsEntry {
  readonly path: string;
  /** With the type bits: a directory, a regular file, or a link. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: Timespec;
  /** Bytes of a file; text of a link. */
  bytes?(): Uint8Array;
  /** Another name of the file that this path leads to. */
  readonly linkTo?: string;
}

const FEATURES_EXT2 = { compat: 0, incompat: Incompat.Filetype, roCompat: RoCompat.SparseSuper | RoCompat.LargeFile };
const FEATURES_EXT4 = {
  compat: 0, incompat: Incompat.Filetype | Incompat.Extents | Incompat.FlexBg,
  roCompat: RoCompat.SparseSuper | RoCompat.LargeFile | RoCompat.HugeFile | RoCompat.DirNlink | RoCompat.ExtraIsize,
};
const LOG_GROUPS_PER_FLEX = 4;
/** A last group with less room than this beyond its own metadata is left out. */
const MIN_LAST_GROUP_BLOCKS = 50;
const MIN_BLOCKS = 60;

/** Makes a file system of the whole image. @returns null, or why that is impossible */
export function mkfs(image: DiskImage, options: MkfsOptions, entries: readonly MkfsEntry[] = []): string | null {
  const planned = plan(image.sizeBytes, options);
  if (typeof planned === 'string') return planned;
  const meta = new ImageBlocks(image, options.blockSize);
  writeEmpty(meta, planned, options);
  if (meta.syncAll() !== 0) return 'the image cannot be written';
  const now = { sec: options.epochSeconds, nsec: 0 };
  const volume = openVolume({ open: (blockSize) => new ImageBlocks(image, blockSize), isReadOnly: false, now: () => now });
  if (!('meta' in volume)) bug(`a new file system is refused: ${volume.sentence}`);
  const fs = ExtFileSystem.format(volume, { devMajor: 0, devMinor: 0, contentOf: () => closed });
  if (typeof fs === 'number') return 'there is no room for the root directory';
  const problem = new Filler(image, fs).fill(entries, now);
  if (fs.unmount() !== 0 || !writeBackups(image, volume)) return 'the image cannot be written';
  return problem;
}

/** Files are filled here without being opened. */
const closed: Openable = { open: () => -Errno.ENXIO };

/** What the new file system looks like. */
interface Plan { readonly sb: Superblock; readonly groups: GroupTable }

function plan(sizeBytes: number, options: MkfsOptions): Plan | string {
  const { blockSize, inodeSize } = options;
  const firstDataBlock = blockSize === 1024 ? 1 : 0;
  const blocksPerGroup = 8 * blockSize;
  let nrBlocks = Math.floor(sizeBytes / blockSize);
  const isExt4 = options.type === 'ext4';
  const descSize = isExt4 && options.is64 ? 64 : 32;
  const wanted = options.nrInodes ?? Math.floor((nrBlocks * blockSize) / (blockSize < 4096 ? 4096 : 16384));
  for (;;) {
    if (nrBlocks < MIN_BLOCKS) return `${sizeBytes} bytes are too few for a file system in blocks of ${blockSize}`;
    const nrGroups = Math.ceil((nrBlocks - firstDataBlock) / blocksPerGroup);
    const inodesPerGroup = inodesOfGroup(Math.max(wanted, 16), nrGroups, options);
    if (inodesPerGroup > blocksPerGroup) return `${wanted} inodes are more than ${nrGroups} groups can hold`;
    const sb = describe(options, nrBlocks, nrGroups, inodesPerGroup, descSize);
    const groups = new GroupTable(nrGroups, sb.descSize);
    const volume = new Volume(noMeta, sb, groups, { isReadOnly: true, now: () => ({ sec: 0, nsec: 0 }) });
    const last = nrGroups - 1;
    const lastNeeds = volume.superBlocks(last) + 2 + volume.itableBlocks;
    if (volume.groupBlocks(last) < lastNeeds + MIN_LAST_GROUP_BLOCKS) {
      if (last === 0) return `${sizeBytes} bytes are too few for ${inodesPerGroup} inodes of ${inodeSize} bytes and some blocks`;
      nrBlocks = volume.groupStart(last);
      continue;
    }
    place(volume, isExt4);
    return { sb, groups };
  }
}
/** Tables fill whole blocks, and bitmaps whole bytes. */
function inodesOfGroup(wanted: number, nrGroups: number, { blockSize, inodeSize }: MkfsOptions): number {
  const unit = Math.max(8, blockSize / inodeSize);
  return Math.max(16, Math.ceil(wanted / nrGroups / unit) * unit);
}

function describe(options: MkfsOptions, nrBlocks: number, nrGroups: number, inodesPerGroup: number, descSize: number): Superblock {
  const sb = new Superblock();
  const isExt4 = options.type === 'ext4';
  const { compat, incompat, roCompat } = isExt4 ? FEATURES_EXT4 : FEATURES_EXT2;
  const random = new Prng(options.seed, 'mkfs');
  sb.set16(Sb.Magic, EXT_MAGIC);
  sb.set32(Sb.RevLevel, 1);
  sb.set32(Sb.Compat, compat);
  sb.set32(Sb.Incompat, incompat | (descSize === 64 ? Incompat.Bit64 : 0));
  sb.set32(Sb.RoCompat, (roCompat & ~(options.inodeSize === 128 ? RoCompat.ExtraIsize : 0)) | (isExt4 && options.metadataCsum ? RoCompat.MetadataCsum : 0));
  sb.set32(Sb.InodesCount, nrGroups * inodesPerGroup);
  sb.nrBlocks = nrBlocks;
  sb.reservedBlocks = Math.floor((nrBlocks * options.reservedPercent) / 100);
  sb.set32(Sb.FirstDataBlock, options.blockSize === 1024 ? 1 : 0);
  const log = Math.log2(options.blockSize) - 10;
  sb.set32(Sb.LogBlockSize, log);
  sb.set32(Sb.LogClusterSize, log);
  sb.set32(Sb.BlocksPerGroup, 8 * options.blockSize);
  sb.set32(Sb.ClustersPerGroup, 8 * options.blockSize);
  sb.set32(Sb.InodesPerGroup, inodesPerGroup);
  sb.set16(Sb.MaxMountCount, 0xffff);
  sb.set16(Sb.State, State.Valid);
  sb.set16(Sb.Errors, OnError.Continue);
  sb.set32(Sb.FirstIno, Ino.FirstOfOld);
  sb.set16(Sb.InodeSize, options.inodeSize);
  for (let i = 0; i < 16; i += 4) {
    sb.set32(Sb.Uuid + i, random.next32());
    sb.set32(Sb.HashSeed + i, random.next32());
  }
  // Version 4, variant 1, as random UUIDs are marked.
  sb.bytes[Sb.Uuid + 6] = (sb.bytes[Sb.Uuid + 6]! & 0x0f) | 0x40;
  sb.bytes[Sb.Uuid + 8] = (sb.bytes[Sb.Uuid + 8]! & 0x3f) | 0x80;
  sb.bytes[Sb.DefHashVersion] = 1;
  sb.set32(Sb.Flags, 1); // names are hashed as signed bytes
  sb.bytes.set(utf8Encode(options.label).subarray(0, 16), Sb.VolumeName);
  sb.set16(Sb.DescSize, descSize === 64 ? 64 : 0);
  for (const at of [Sb.MkfsTime, Sb.WriteTime, Sb.LastCheck]) sb.set32(at, options.epochSeconds);
  if (isExt4 && options.inodeSize > 128) {
    sb.set16(Sb.MinExtraIsize, EXTRA_ISIZE);
    sb.set16(Sb.WantExtraIsize, EXTRA_ISIZE);
  }
  if (isExt4) sb.bytes[Sb.LogGroupsPerFlex] = LOG_GROUPS_PER_FLEX;
  if (isExt4 && options.metadataCsum) sb.bytes[Sb.ChecksumType] = CRC32C_TYPE;
  return sb;
}

/** Where each group's bitmaps and table are: in the group; in ext4 those of a row of groups together at its beginning, where there is room. */
function place(volume: Volume, isFlexible: boolean): void {
  let perRow = isFlexible ? 1 << LOG_GROUPS_PER_FLEX : 1;
  while (perRow > 1 && perRow * (volume.itableBlocks + 2) > volume.blocksPerGroup / 2) perRow /= 2;
  for (let row = 0; row < volume.nrGroups; row += perRow) {
    const count = Math.min(perRow, volume.nrGroups - row);
    const fits = volume.superBlocks(row) + count * (volume.itableBlocks + 2) <= volume.groupBlocks(row);
    for (let i = 0; i < count; i++) {
      const home = fits ? row : row + i;
      const [n, of] = fits ? [i, count] : [0, 1];
      const at = volume.groupStart(home) + volume.superBlocks(home);
      volume.groups.place(row + i, at + n, at + of + n, at + 2 * of + n * volume.itableBlocks);
    }
  }
}

/** Superblocks, descriptors, bitmaps: everything in use but the inodes that files will have. Tables are zeros already. */
function writeEmpty(meta: ImageBlocks, { sb, groups }: Plan, options: MkfsOptions): void {
  const volume = new Volume(meta, sb, groups, { isReadOnly: false, now: () => ({ sec: options.epochSeconds, nsec: 0 }) });
  const { blockSize, inodesPerGroup, nrGroups } = volume;
  for (let group = 0; group < nrGroups; group++) {
    const isPlaced = volume.addZone(volume.groupStart(group), volume.superBlocks(group)) && volume.addZone(groups.blockBitmap(group), 1)
      && volume.addZone(groups.inodeBitmap(group), 1) && volume.addZone(groups.inodeTable(group), volume.itableBlocks);
    if (!isPlaced) bug(`mkfs places metadata of group ${group} twice`);
  }
  let free = 0;
  for (let group = 0; group < nrGroups; group++) {
    const blocks = meta.fresh(groups.blockBitmap(group))!;
    const nrBlocks = volume.groupBlocks(group);
    let used = 0;
    volume.eachZone(volume.groupStart(group), nrBlocks, (from, to) => {
      setBits(blocks.data, from - volume.groupStart(group), to - from, true);
      used += to - from;
    });
    setBits(blocks.data, nrBlocks, 8 * blockSize - nrBlocks, true);
    const inodes = meta.fresh(groups.inodeBitmap(group))!;
    const reserved = group === 0 ? sb.firstIno - 1 : 0;
    setBits(inodes.data, 0, reserved, true);
    setBits(inodes.data, inodesPerGroup, 8 * blockSize - inodesPerGroup, true);
    groups.setFreeBlocks(group, nrBlocks - used);
    groups.setFreeInodes(group, inodesPerGroup - reserved);
    if (sb.hasGroupCsum) {
      groups.setFlags(group, GroupFlag.InodeZeroed);
      groups.setItableUnused(group, inodesPerGroup - reserved);
      groups.setBitmapCsum(group, 'block', volume.bitmapSum('block', blocks.data));
      groups.setBitmapCsum(group, 'inode', volume.bitmapSum('inode', inodes.data));
    }
    blocks.markDirty();
    inodes.markDirty();
    free += nrBlocks - used;
  }
  sb.freeBlocks = free;
  sb.freeInodes = nrGroups * inodesPerGroup - (sb.firstIno - 1);
  for (let i = 0; i < volume.gdtBlocks; i++) meta.fresh(volume.firstDataBlock + 1 + i);
  for (let group = 0; group < nrGroups; group++) volume.groupChanged(group);
  volume.countsChanged();
  volume.writeBack();
}

/** Copies of the superblock and of the descriptors, for who finds the first ones damaged. */
function writeBackups(image: DiskImage, volume: Volume): boolean {
  const { blockSize, firstDataBlock, sb } = volume;
  for (let group = 1; group < volume.nrGroups; group++) {
    if (!sb.hasSuper(group)) continue;
    const copy = new Superblock(sb.bytes.slice());
    copy.set16(Sb.BlockGroupNr, group);
    if (volume.hasCsum) copy.set32(Sb.Checksum, superSum(copy));
    const start = volume.groupStart(group) * blockSize;
    const block = new Uint8Array(blockSize);
    block.set(copy.bytes);
    const table = new Uint8Array(volume.gdtBlocks * blockSize);
    if (!image.read((firstDataBlock + 1) * blockSize, table) || !image.write(start, block) || !image.write(start + blockSize, table)) return false;
  }
  return image.flush();
}

/** Puts files into a file system that is mounted and that nobody else uses. */
class Filler {
  private readonly image: DiskImage;
  private readonly fs: ExtFileSystem;
  private readonly places = new Map<string, Dentry>();

  constructor(image: DiskImage, fs: ExtFileSystem) {
    this.image = image;
    this.fs = fs;
    this.places.set('', fs.root);
  }
  /** @returns null, or what is wrong */
  fill(entries: readonly MkfsEntry[], now: Timespec): string | null {
    const own: MkfsEntry[] = entries.some(({ path }) => path === '/lost+found') ? [] : [{ path: '/lost+found', mode: FileType.Directory | 0o700 }];
    for (const entry of [...own, ...entries]) {
      const error = this.put(entry, now);
      if (error === -Errno.ENOSPC) return `there is no room for ${entry.path}`;
      if (error !== 0) return `${entry.path} cannot be put in: ${errnoName(-error)}`;
    }
    return null;
  }
  private put(entry: MkfsEntry, now: Timespec): number {
    const slash = entry.path.lastIndexOf('/');
    const parent = this.places.get(entry.path.slice(0, slash));
    const name = entry.path.slice(slash + 1);
    if (parent === undefined || parent.inode.dir === null) return -Errno.ENOENT;
    if (name === '' || this.places.has(entry.path)) return this.dress(parent.inode as ExtInode, entry, now); // the root itself
    const nameBytes = utf8Encode(name).length;
    if (nameBytes > NAME_MAX) return -Errno.ENAMETOOLONG;
    if (entry.linkTo !== undefined) {
      const known = this.places.get(entry.linkTo);
      return known === undefined ? -Errno.ENOENT : this.name(parent, name, entry.path, known.inode as ExtInode);
    }
    const dir = parent.inode.dir as ExtDirectory;
    const isLink = (entry.mode & S_IFMT) === FileType.Symlink;
    const inode = isLink ? dir.makeLink(utf8Decode(entry.bytes?.() ?? new Uint8Array())) : dir.make(entry.mode);
    if (typeof inode === 'number') return inode;
    const made = inode as ExtInode;
    const error = this.name(parent, name, entry.path, made) || (made.type === FileType.Regular ? this.write(made, entry.bytes?.() ?? new Uint8Array()) : 0);
    return error || this.dress(made, entry, now);
  }
  private name(parent: Dentry, name: string, path: string, inode: ExtInode): number {
    const entry = parent.inode.dir!.add!(parent, name, inode);
    if (typeof entry === 'number') return entry;
    const counted = inode.isDirectory ? parent.inode : inode;
    counted.nlink++;
    this.fs.dirtyInode(counted);
    this.places.set(path, entry);
    return 0;
  }
  private dress(inode: ExtInode, { mode, uid = 0, gid = 0, mtime }: MkfsEntry, now: Timespec): number {
    inode.mode = (inode.mode & S_IFMT) | (mode & 0o7777);
    inode.uid = uid;
    inode.gid = gid;
    inode.atime = inode.mtime = inode.ctime = mtime ?? now;
    this.fs.dirtyInode(inode);
    return 0;
  }

  /** Writes the bytes of a new file, in runs as long as they could be had. */
  private write(inode: ExtInode, bytes: Uint8Array): number {
    const { blockSize } = this.fs.volume;
    for (let at = 0; at < bytes.length; ) {
      const run = this.runAt(inode, at, bytes.length - at);
      if (typeof run === 'number') return run;
      const whole = new Uint8Array(Math.ceil(Math.min(run.lenBytes, bytes.length - at) / blockSize) * blockSize);
      whole.set(bytes.subarray(at, at + whole.length));
      if (!this.image.write(run.addrBytes, whole)) return -Errno.EIO;
      const error = inode.map instanceof ExtentTree ? inode.map.written(at, whole.length) : 0;
      if (error !== 0) return error;
      at += whole.length;
    }
    inode.size = bytes.length;
    this.fs.allocator.forgetWindow(inode.ino);
    return 0;
  }
  private runAt(inode: ExtInode, at: number, lenBytes: number): { addrBytes: number; lenBytes: number } | number {
    const { map } = inode;
    if (map instanceof ExtentTree) {
      const iomap = map.begin(at, lenBytes, IomapPurpose.Write);
      return typeof iomap === 'number' ? iomap : iomap.type === IomapType.Hole ? -Errno.EIO : iomap;
    }
    const { blockSize } = this.fs.volume;
    const mapped = map!.getBlock(at / blockSize, true);
    return typeof mapped === 'number' ? mapped : { addrBytes: mapped.block * blockSize, lenBytes: blockSize };
  }
}

const noMeta: MetaBlocks = {
  blockSize: 1024, nrBlocks: 0, isReadOnly: true, read: () => null, fresh: () => null, forget() {}, syncBlock: () => 0, syncAll: () => 0,
};
