// An inode of an ext file system: the VFS's inode, and the bytes it comes from and goes back to. Here: decoding and encoding, the file's blocks,
// what fsync writes. Not here: names (dir.ts), which inodes there are (file-system.ts). Mirrors ext4_iget() and ext4_do_update_inode() (inode.c).
import { Errno } from '../../syscall/errno.ts';
import { FileType, Inode, S_IFMT, type Timespec } from '../inode.ts';
import type { BlockMapper, IomapSource } from '../mapping.ts';
import type { Allocator } from './alloc.ts';
import { BlockMap } from './blockmap.ts';
import { ExtentTree } from './extents.ts';
import type { ExtFileSystem } from './file-system.ts';
import { MAX_FILE_BLOCKS, type MapOwner } from './filemap.ts';
import { EXTRA_ISIZE, GOOD_OLD_INODE_BYTES, I_BLOCK_BYTES, In, InodeFlag, RoCompat, Sb } from './layout.ts';
import { hasHighSum, type Volume } from './volume.ts';

const SECTOR_BYTES = 512;
/** Without the huge_file feature, i_blocks has 32 bits. */
const MAX_OLD_SECTORS = 2 ** 32;
/** Longest text of a link that stands in the inode itself, plus one. */
export const FAST_LINK_BYTES = I_BLOCK_BYTES;

/** What of an inode differs from the disk. Times: nothing that fdatasync has to write. */
const Dirty = { Nothing: 0, Times: 1, Data: 2 } as const;

export class ExtInode extends Inode implements MapOwner {
  declare readonly fs: ExtFileSystem;
  /** The inode as it stands in the table; attributes go into it when it is written. */
  readonly raw: Uint8Array;
  readonly view: DataView;
  /** Which way the file's blocks are mapped: by the EXTENTS flag. null: it has none (devices, short links). */
  readonly map: BlockMap | ExtentTree | null;
  readonly generation: number;
  readonly seed: number;
  readonly touched = new Set<number>();
  flags: number;
  /** The next inode of the orphan list, 0 at its end; null: not on the list. */
  nextOrphan: number | null = null;
  /** For directories: the one name it has in memory. */
  hasPlace = false;
  /** A directory with more directories than can be counted: its nlink is 1 (dir_nlink). */
  isUncounted: boolean;
  /** The directory that got a name of this inode which may not be on the disk yet. */
  unsyncedParent: ExtInode | null = null;
  private sizeBytes: number;
  private nrSectors: number;
  private dirt: number = Dirty.Nothing;

  constructor(fs: ExtFileSystem, ino: number, raw: Uint8Array) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    super(fs, ino, view.getUint16(In.Mode, true), readTime(raw, view, In.Crtime, In.CrtimeExtra));
    this.raw = raw;
    this.view = view;
    this.generation = view.getUint32(In.Generation, true);
    this.seed = fs.volume.inodeSeed(ino, this.generation);
    this.flags = view.getUint32(In.Flags, true);
    this.nlink = view.getUint16(In.Links, true);
    this.uid = view.getUint16(In.Uid, true) + view.getUint16(In.UidHi, true) * 0x1_0000;
    this.gid = view.getUint16(In.Gid, true) + view.getUint16(In.GidHi, true) * 0x1_0000;
    this.atime = readTime(raw, view, In.Atime, In.AtimeExtra);
    this.mtime = readTime(raw, view, In.Mtime, In.MtimeExtra);
    this.ctime = readTime(raw, view, In.Ctime, In.CtimeExtra);
    this.sizeBytes = view.getUint32(In.Size, true) + (this.type === FileType.Regular ? view.getUint32(In.SizeHi, true) * 2 ** 32 : 0);
    const blocks = view.getUint32(In.Blocks, true) + (fs.volume.sb.has('roCompat', RoCompat.HugeFile) ? view.getUint16(In.BlocksHi, true) * 2 ** 32 : 0);
    this.nrSectors = blocks * ((this.flags & InodeFlag.HugeFile) !== 0 ? fs.volume.blockSize / SECTOR_BYTES : 1);
    const isDevice = this.type === FileType.Char || this.type === FileType.Block;
    if (isDevice) this.rdev = readDevice(view);
    this.isUncounted = this.isDirectory && this.nlink === 1 && !fs.volume.isDirCountLimited;
    const hasMap = this.isDirectory || this.type === FileType.Regular || (this.type === FileType.Symlink && !this.isFastLink);
    this.map = !hasMap ? null : (this.flags & InodeFlag.Extents) !== 0 ? new ExtentTree(this) : new BlockMap(this);
  }

  get volume(): Volume {
    return this.fs.volume;
  }
  get allocator(): Allocator {
    return this.fs.allocator;
  }
  get holdsMetadata(): boolean {
    return this.type !== FileType.Regular;
  }
  get iBlock(): Uint8Array {
    return this.raw.subarray(In.Block, In.Block + I_BLOCK_BYTES);
  }
  /** Is the link's text in the inode itself? Then no block is its, but perhaps one of attributes. */
  get isFastLink(): boolean {
    return this.type === FileType.Symlink && this.sizeBytes < FAST_LINK_BYTES && this.nrSectors === (this.fileAcl === 0 ? 0 : this.fs.volume.blockSize / SECTOR_BYTES);
  }
  /** The block of extended attributes, kept as it is; 0: none. */
  get fileAcl(): number {
    return this.view.getUint32(In.FileAcl, true) + (this.fs.volume.sb.is64 ? this.view.getUint16(In.FileAclHi, true) * 2 ** 32 : 0);
  }

  // --- What the page cache asks of a regular file ---

  get size(): number {
    return this.sizeBytes;
  }
  set size(bytes: number) {
    if (bytes === this.sizeBytes) return;
    this.sizeBytes = bytes;
    this.mapChanged();
  }
  /** Longest file that its map and its fields can hold. */
  get maxBytes(): number {
    const { blockSize, sb } = this.volume;
    if (!sb.isDynamic) return 2 ** 31 - 1;
    const mapped = this.map instanceof BlockMap ? this.map.maxBlocks : MAX_FILE_BLOCKS - 1;
    return Math.min(mapped * blockSize, sb.has('roCompat', RoCompat.HugeFile) ? Infinity : MAX_OLD_SECTORS * SECTOR_BYTES);
  }
  /** Room used, in units of 512 bytes: st_blocks. */
  get blocks(): number {
    return this.nrSectors;
  }
  get mapper(): BlockMapper | IomapSource {
    return this.map!;
  }
  /** Frees the blocks behind the first `sizeBytes` bytes; a block they end in stays whole. The size is the caller's to set. @returns 0 or -errno */
  truncateBlocks(sizeBytes: number): number {
    const error = this.map?.free(Math.ceil(sizeBytes / this.volume.blockSize), Infinity) ?? 0;
    this.allocator.forgetWindow(this.ino);
    return error;
  }
  /** Makes a hole of the blocks that lie within [start, end) whole; the bytes at its edges are the caller's to zero. @returns 0 or -errno */
  punch(start: number, end: number): number {
    const [first, last] = this.blocksWithin(start, end);
    return last > first ? (this.map?.free(first, last) ?? 0) : 0;
  }
  /** Sets blocks aside for all of [start, end); what was a hole still reads as zeros. Block maps have no unwritten blocks. @returns 0 or -errno */
  allocateUnwritten(start: number, end: number): number {
    if (!(this.map instanceof ExtentTree)) return -Errno.EOPNOTSUPP;
    const { blockSize } = this.volume;
    return this.map.fill(Math.floor(start / blockSize), Math.ceil(end / blockSize));
  }
  /** The same, and what was written of the blocks that lie within whole reads as zeros too. @returns 0 or -errno */
  zeroRange(start: number, end: number): number {
    if (!(this.map instanceof ExtentTree)) return -Errno.EOPNOTSUPP;
    const [first, last] = this.blocksWithin(start, end);
    return this.allocateUnwritten(start, end) || (last > first ? this.map.mark(first, last, true) : 0);
  }
  private blocksWithin(start: number, end: number): [number, number] {
    const { blockSize } = this.volume;
    return [Math.ceil(start / blockSize), Math.floor(end / blockSize)];
  }

  /**
   * Writes what fsync promises besides the data: the inode, the blocks of its map (or of its entries), bitmaps and descriptors; and, when a name of it is
   * new, the same of the directory that has it, so that the file can be found. The device's cache is the caller's to flush. @param dataOnly
   * fdatasync: times alone are not worth a write @returns 0 or -EIO
   */
  syncMetadata(dataOnly: boolean): number {
    let error = 0;
    if (!dataOnly || this.dirt === Dirty.Data) error = this.write();
    for (const block of this.touched) error = this.volume.meta.syncBlock(block) || error;
    this.touched.clear();
    error = this.volume.syncAllocation() || error;
    const place = this.fs.placeOf(this.ino);
    error = this.volume.meta.syncBlock(place.block) || error;
    const parent = this.unsyncedParent;
    this.unsyncedParent = null;
    return (parent === null ? 0 : parent.syncMetadata(false)) || error;
  }

  // --- What the maps ask ---

  mapChanged(): void {
    this.dirt = Dirty.Data;
    this.fs.noteDirty(this);
  }
  countBlocks(change: number): void {
    this.nrSectors = Math.max(0, this.nrSectors + change * (this.volume.blockSize / SECTOR_BYTES));
    this.mapChanged();
  }
  /** Attributes were changed. */
  attributesChanged(): void {
    if (this.dirt === Dirty.Nothing) this.dirt = Dirty.Times;
    this.fs.noteDirty(this);
  }
  get isDirty(): boolean {
    return this.dirt !== Dirty.Nothing;
  }

  // --- Back into bytes ---

  /** Puts the inode into its block of the table, if it differs. @returns 0 or -EIO */
  write(): number {
    if (!this.isDirty) return 0;
    this.encode();
    const error = this.fs.writeRaw(this.ino, this.raw);
    if (error === 0) this.dirt = Dirty.Nothing;
    return error;
  }
  private encode(): void {
    const { raw, view, volume } = this;
    view.setUint16(In.Mode, this.mode, true);
    view.setUint16(In.Uid, this.uid & 0xffff, true);
    view.setUint16(In.UidHi, this.uid >>> 16, true);
    view.setUint16(In.Gid, this.gid & 0xffff, true);
    view.setUint16(In.GidHi, this.gid >>> 16, true);
    view.setUint16(In.Links, this.nlink, true);
    view.setUint32(In.Size, this.sizeBytes % 2 ** 32, true);
    if (this.type === FileType.Regular) view.setUint32(In.SizeHi, Math.floor(this.sizeBytes / 2 ** 32), true);
    if (this.sizeBytes >= 2 ** 31) this.fs.needLargeFile();
    this.flags &= ~InodeFlag.HugeFile;
    view.setUint32(In.Blocks, this.nrSectors % 2 ** 32, true);
    if (volume.sb.has('roCompat', RoCompat.HugeFile)) view.setUint16(In.BlocksHi, Math.floor(this.nrSectors / 2 ** 32), true);
    view.setUint32(In.Flags, this.flags, true);
    if (this.type === FileType.Char || this.type === FileType.Block) writeDevice(view, this.rdev);
    writeTime(raw, view, In.Atime, In.AtimeExtra, this.atime);
    writeTime(raw, view, In.Mtime, In.MtimeExtra, this.mtime);
    writeTime(raw, view, In.Ctime, In.CtimeExtra, this.ctime);
    // i_dtime of an orphan is a link of the list; else when it was deleted.
    view.setUint32(In.Dtime, this.nextOrphan ?? (this.nlink === 0 ? this.ctime.sec >>> 0 : 0), true);
    sealInode(volume, this.seed, raw);
  }
}

/** Puts the checksum of an inode into it. */
export function sealInode(volume: Volume, seed: number, raw: Uint8Array): void {
  if (!volume.hasCsum) return;
  const sum = volume.inodeSum(seed, raw);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  view.setUint16(In.ChecksumLo, sum & 0xffff, true);
  if (hasHighSum(raw)) view.setUint16(In.ChecksumHi, sum >>> 16, true);
}
/** Does an inode match the checksum in it? */
export function isSealed(volume: Volume, ino: number, raw: Uint8Array): boolean {
  if (!volume.hasCsum) return true;
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const sum = view.getUint16(In.ChecksumLo, true) + (hasHighSum(raw) ? view.getUint16(In.ChecksumHi, true) * 0x1_0000 : 0);
  return sum === volume.inodeSum(volume.inodeSeed(ino, view.getUint32(In.Generation, true)), raw);
}

/** The bytes of a new inode, all attributes but mode, flags, times of birth and generation still zero. */
export function newRaw(volume: Volume, mode: number, flags: number, generation: number, now: Timespec): Uint8Array {
  const raw = new Uint8Array(volume.inodeSize);
  const view = new DataView(raw.buffer);
  if (raw.length > GOOD_OLD_INODE_BYTES) {
    const wanted = volume.sb.u16(Sb.WantExtraIsize);
    const isPossible = wanted >= 4 && wanted % 4 === 0 && wanted <= raw.length - GOOD_OLD_INODE_BYTES;
    view.setUint16(In.ExtraIsize, isPossible ? wanted : Math.min(EXTRA_ISIZE, raw.length - GOOD_OLD_INODE_BYTES), true);
  }
  view.setUint16(In.Mode, mode, true);
  view.setUint32(In.Flags, flags, true);
  view.setUint32(In.Generation, generation, true);
  for (const [low, extra] of [[In.Atime, In.AtimeExtra], [In.Mtime, In.MtimeExtra], [In.Ctime, In.CtimeExtra], [In.Crtime, In.CrtimeExtra]] as const) {
    writeTime(raw, view, low, extra, now);
  }
  return raw;
}
/** What is wrong with the bytes of an inode before anything else is asked of them; null: nothing. */
export function judgeRaw(volume: Volume, ino: number, raw: Uint8Array): string | null {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  if (raw.length > GOOD_OLD_INODE_BYTES) {
    const extra = view.getUint16(In.ExtraIsize, true);
    if (extra % 4 !== 0 || extra > raw.length - GOOD_OLD_INODE_BYTES) return `extra size ${extra}`;
  }
  if (!isSealed(volume, ino, raw)) return 'wrong checksum';
  const mode = view.getUint16(In.Mode, true);
  if (!(Object.values(FileType) as number[]).includes(mode & S_IFMT)) return `mode 0${mode.toString(8)}`;
  const flags = view.getUint32(In.Flags, true);
  if ((flags & (InodeFlag.InlineData | InodeFlag.Encrypt | InodeFlag.Casefold | InodeFlag.EaInode)) !== 0) return `flags 0x${flags.toString(16)}`;
  return null;
}

// --- Fields ---

/** Fields behind the first 128 bytes are there as far as i_extra_isize goes. */
const hasField = (raw: Uint8Array, end: number): boolean => raw.length > GOOD_OLD_INODE_BYTES && end <= GOOD_OLD_INODE_BYTES + (raw[In.ExtraIsize]! | (raw[In.ExtraIsize + 1]! << 8)) && end <= raw.length;

/** Seconds are signed 32 bits, two more bits above them and the nanoseconds are in the extra word. */
function readTime(raw: Uint8Array, view: DataView, low: number, extra: number): Timespec {
  if (low >= GOOD_OLD_INODE_BYTES && !hasField(raw, low + 4)) return { sec: 0, nsec: 0 };
  const seconds = view.getInt32(low, true);
  if (!hasField(raw, extra + 4)) return { sec: seconds, nsec: 0 };
  const word = view.getUint32(extra, true);
  return { sec: seconds + (word & 3) * 2 ** 32, nsec: Math.min(word >>> 2, 999_999_999) };
}
function writeTime(raw: Uint8Array, view: DataView, low: number, extra: number, { sec, nsec }: Timespec): void {
  if (low >= GOOD_OLD_INODE_BYTES && !hasField(raw, low + 4)) return;
  const hasExtra = hasField(raw, extra + 4);
  const kept = Math.max(-(2 ** 31), Math.min(sec, hasExtra ? 2 ** 31 + 3 * 2 ** 32 - 1 : 2 ** 31 - 1));
  view.setInt32(low, kept | 0, true);
  if (hasExtra) view.setUint32(extra, ((Math.floor((kept - (kept | 0)) / 2 ** 32) & 3) | (nsec << 2)) >>> 0, true);
}

/** Device numbers: an old form of 8:8 bits in the first word, a new one in the second. */
function readDevice(view: DataView): number {
  const old = view.getUint32(In.Block, true);
  return old !== 0 ? old & 0xffff : view.getUint32(In.Block + 4, true);
}
function writeDevice(view: DataView, rdev: number): void {
  const isOld = rdev <= 0xffff;
  view.setUint32(In.Block, isOld ? rdev : 0, true);
  view.setUint32(In.Block + 4, isOld ? 0 : rdev, true);
}

