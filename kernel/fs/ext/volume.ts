// What everything on one ext file system shares: geometry, the superblock and the descriptors in memory, checksums, where metadata lies, and what
// happens when something on the disk turns out to be damaged. Here: those. Not here: reading them for the first time and judging them (super.ts),
// free space (alloc.ts). Mirrors struct ext4_sb_info, ext4_error() (super.c) and block_validity.c.
import { Errno } from '../../syscall/errno.ts';
import type { MetaBlocks, MetaBuffer } from '../buffers.ts';
import type { Timespec } from '../inode.ts';
import { crc16, crc16Word, crc32c, crc32cWord } from './checksum.ts';
import { Compat, GROUP_CHECKSUM_OFFSET, type GroupTable, In, Incompat, OnError, RoCompat, Sb, State, type Superblock, SUPER_OFFSET } from './layout.ts';

/** What is kept of complaints; older ones go first. */
const MAX_MESSAGES = 100;
const RUNNING_SUM = 0xffff_ffff;

/** Blocks that one change has touched, for fsync. */
export interface Toucher { readonly touched: Set<number> }

export class Volume {
  readonly meta: MetaBlocks;
  readonly sb: Superblock;
  readonly groups: GroupTable;
  readonly now: () => Timespec;
  readonly blockSize: number;
  readonly nrBlocks: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  readonly inodesPerGroup: number;
  readonly inodeSize: number;
  readonly inodesPerBlock: number;
  /** Blocks of one group's inode table. */
  readonly itableBlocks: number;
  readonly hasCsum: boolean;
  /** Begins every checksum: the file system's own. */
  readonly seed: number;
  isReadOnly: boolean;
  /** Complaints since the mount, as the kernel's log would have them. */
  readonly messages: string[] = [];
  /** Buffers that were judged as nodes of extents, or as entries of directories, since they were read: once is enough. */
  readonly judged = { nodes: new WeakSet<MetaBuffer>(), entries: new WeakSet<MetaBuffer>() };
  /** Groups whose descriptors differ from what stands in their blocks. */
  private readonly changedGroups = new Set<number>();
  private superChanged = false;
  /** Blocks of bitmaps and descriptors that were changed since the last sync: what fsync of any file writes. */
  private readonly pending = new Set<number>();
  /** Where metadata lies: [start, end) pairs, ascending, apart. */
  private readonly zones: number[] = [];

  constructor(meta: MetaBlocks, sb: Superblock, groups: GroupTable, options: { isReadOnly: boolean; now: () => Timespec }) {
    this.meta = meta;
    this.sb = sb;
    this.groups = groups;
    this.now = options.now;
    this.isReadOnly = options.isReadOnly;
    this.blockSize = sb.blockSize;
    this.nrBlocks = sb.nrBlocks;
    this.firstDataBlock = sb.u32(Sb.FirstDataBlock);
    this.blocksPerGroup = sb.u32(Sb.BlocksPerGroup);
    this.inodesPerGroup = sb.u32(Sb.InodesPerGroup);
    this.inodeSize = sb.inodeSize;
    this.inodesPerBlock = this.blockSize / this.inodeSize;
    this.itableBlocks = Math.ceil(this.inodesPerGroup / this.inodesPerBlock);
    this.hasCsum = sb.hasMetadataCsum;
    this.seed = sb.has('incompat', Incompat.CsumSeed) ? sb.u32(Sb.ChecksumSeed) : crc32c(RUNNING_SUM, sb.uuid);
  }

  // --- Geometry ---

  get nrGroups(): number {
    return this.groups.nrGroups;
  }
  /** Block numbers in an entry of a block map. */
  get pointersPerBlock(): number {
    return this.blockSize / 4;
  }
  groupStart(group: number): number {
    return this.firstDataBlock + group * this.blocksPerGroup;
  }
  groupOf(block: number): number {
    return Math.floor((block - this.firstDataBlock) / this.blocksPerGroup);
  }
  /** Blocks of a group; the last one may be shorter. */
  groupBlocks(group: number): number {
    return Math.min(this.blocksPerGroup, this.nrBlocks - this.groupStart(group));
  }
  get gdtBlocks(): number {
    return Math.ceil((this.nrGroups * this.groups.descSize) / this.blockSize);
  }
  /** Blocks from a group's beginning that hold the superblock, the descriptors, and what is set aside for more of them. */
  superBlocks(group: number): number {
    if (!this.sb.hasSuper(group)) return 0;
    return 1 + this.gdtBlocks + (this.sb.has('compat', Compat.ResizeInode) ? this.sb.u16(Sb.ReservedGdtBlocks) : 0);
  }
  /** What of the device can never be data (s_overhead). */
  get overheadBlocks(): number {
    let sum = this.firstDataBlock;
    for (let group = 0; group < this.nrGroups; group++) sum += this.superBlocks(group) + 2 + this.itableBlocks;
    return sum;
  }
  get isDirCountLimited(): boolean {
    return !this.sb.has('roCompat', RoCompat.DirNlink);
  }

  // --- Where metadata lies ---

  /** Marks [start, start + count) as metadata. false: some of it is metadata already, or lies outside. Keeps neighbours in one range. */
  addZone(start: number, count: number): boolean {
    const end = start + count;
    if (start < this.firstDataBlock || end > this.nrBlocks) return false;
    if (count === 0) return true;
    const { zones } = this;
    const at = this.zoneAfter(start); // zones[at] is the first end above start
    if (at < zones.length && zones[at - 1]! < end) return false;
    const joinsLeft = at >= 2 && zones[at - 2] === start;
    const joinsRight = at < zones.length && zones[at - 1] === end;
    if (joinsLeft && joinsRight) zones.splice(at - 2, 2);
    else if (joinsLeft) zones[at - 2] = end;
    else if (joinsRight) zones[at - 1] = start;
    else zones.splice(at - 1, 0, start, end);
    return true;
  }
  /** Index of the first end above `block`: odd; beyond the array when there is none. */
  private zoneAfter(block: number): number {
    const { zones } = this;
    let low = 0;
    let high = zones.length / 2;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (zones[2 * middle + 1]! > block) high = middle;
      else low = middle + 1;
    }
    return 2 * low + 1;
  }
  /** May these blocks belong to a file? Mirrors ext4_inode_block_valid(). */
  isData(block: number, count = 1): boolean {
    if (block <= this.firstDataBlock || block + count > this.nrBlocks) return false;
    const at = this.zoneAfter(block);
    return at >= this.zones.length || this.zones[at - 1]! >= block + count;
  }
  /** Calls `visit` for every part of [start, start + count) that is metadata. */
  eachZone(start: number, count: number, visit: (start: number, end: number) => void): void {
    for (let at = this.zoneAfter(start); at < this.zones.length && this.zones[at - 1]! < start + count; at += 2) {
      visit(Math.max(start, this.zones[at - 1]!), Math.min(start + count, this.zones[at]!));
    }
  }

  // --- Damage ---

  note(sentence: string): void {
    this.messages.push(sentence);
    if (this.messages.length > MAX_MESSAGES) this.messages.shift();
  }
  /** The disk does not hold what it must: remembered on it, and followed by what its superblock asks for. @returns -EUCLEAN. Mirrors ext4_error(). */
  corrupt(what: string): number {
    this.note(`ext: ${what}`);
    if (this.isReadOnly) return -Errno.EUCLEAN;
    const { sb } = this;
    const now = this.now().sec;
    sb.set16(Sb.State, sb.u16(Sb.State) | State.Error);
    if (sb.u32(Sb.ErrorCount) === 0) sb.set32(Sb.FirstErrorTime, now);
    sb.set32(Sb.LastErrorTime, now);
    sb.set32(Sb.ErrorCount, sb.u32(Sb.ErrorCount) + 1);
    this.superChanged = true;
    const policy = sb.u16(Sb.Errors);
    if (policy === OnError.RemountReadOnly || policy === OnError.Panic) {
      this.writeSuper();
      this.meta.syncBlock(Math.floor(SUPER_OFFSET / this.blockSize));
      this.isReadOnly = true;
      this.note('ext: remounted read-only');
    }
    return -Errno.EUCLEAN;
  }

  // --- Blocks ---

  /** A metadata block that may be anywhere a file's blocks may be. @returns the buffer, or -EUCLEAN, -EIO */
  readData(block: number, what: string): MetaBuffer | number {
    if (!this.isData(block)) return this.corrupt(`${what}: block ${block} cannot be its`);
    return this.meta.read(block) ?? -Errno.EIO;
  }
  /** Carries a change of a buffer on; fsync of `who` will write it. */
  dirty(buffer: MetaBuffer, who: Toucher | null = null): void {
    buffer.markDirty();
    who?.touched.add(buffer.block);
  }
  /** The same for a bitmap, which belongs to no file. */
  dirtyBitmap(buffer: MetaBuffer, group: number): void {
    buffer.markDirty();
    this.pending.add(buffer.block);
    this.changedGroups.add(group);
  }
  groupChanged(group: number): void {
    this.changedGroups.add(group);
  }
  countsChanged(): void {
    this.superChanged = true;
  }

  // --- Checksums ---

  groupSum(group: number): number {
    const bytes = this.groups.descriptor(group);
    const after = GROUP_CHECKSUM_OFFSET + 2;
    if (this.hasCsum) {
      const head = crc32c(crc32cWord(this.seed, group), bytes, 0, GROUP_CHECKSUM_OFFSET);
      return crc32c(crc32c(head, zeros, 0, 2), bytes, after) & 0xffff;
    }
    const head = crc16(crc16Word(crc16(0xffff, this.sb.uuid), group), bytes, 0, GROUP_CHECKSUM_OFFSET);
    return crc16(head, bytes, after, this.sb.is64 ? bytes.length : after);
  }
  bitmapSum(kind: 'block' | 'inode', data: Uint8Array): number {
    const bits = kind === 'block' ? this.blocksPerGroup : this.inodesPerGroup;
    return (crc32c(this.seed, data, 0, bits >>> 3) & this.groups.bitmapCsumMask) >>> 0;
  }
  /** Begins the checksums of all that belongs to one inode. */
  inodeSeed(ino: number, generation: number): number {
    return crc32cWord(crc32cWord(this.seed, ino), generation);
  }
  /** The checksum of an inode as it stands in the table: 32 bits, or 16 when there is no room for more. */
  inodeSum(seed: number, raw: Uint8Array): number {
    const hasHigh = hasHighSum(raw);
    let sum = crc32c(seed, raw, 0, In.ChecksumLo);
    sum = crc32c(sum, zeros, 0, 2);
    sum = crc32c(sum, raw, In.ChecksumLo + 2, 128);
    if (!hasHigh) return crc32c(sum, raw, 128) & 0xffff;
    sum = crc32c(sum, raw, 128, In.ChecksumHi);
    sum = crc32c(sum, zeros, 0, 2);
    return crc32c(sum, raw, In.ChecksumHi + 2);
  }

  // --- Writing what is kept in memory ---

  /** Puts changed descriptors into their blocks. @returns 0 or -EIO */
  writeGroups(): number {
    let error = 0;
    for (const group of this.changedGroups) {
      if (this.sb.hasGroupCsum) this.groups.setChecksum(group, this.groupSum(group));
      const { descSize } = this.groups;
      const block = this.firstDataBlock + 1 + Math.floor((group * descSize) / this.blockSize);
      const buffer = this.meta.read(block);
      if (buffer === null) {
        error = -Errno.EIO;
        continue;
      }
      buffer.data.set(this.groups.descriptor(group), (group * descSize) % this.blockSize);
      buffer.markDirty();
      this.pending.add(block);
    }
    this.changedGroups.clear();
    return error;
  }
  /** Puts the superblock into its block. @returns 0 or -EIO */
  writeSuper(): number {
    const block = Math.floor(SUPER_OFFSET / this.blockSize);
    const buffer = this.meta.read(block);
    if (buffer === null) return -Errno.EIO;
    this.sb.set32(Sb.WriteTime, this.now().sec % 2 ** 32);
    if (this.hasCsum) this.sb.set32(Sb.Checksum, superSum(this.sb));
    buffer.data.set(this.sb.bytes, SUPER_OFFSET % this.blockSize);
    buffer.markDirty();
    this.superChanged = false;
    return 0;
  }
  /** Puts everything kept here into blocks. @returns 0 or -EIO */
  writeBack(): number {
    return this.writeGroups() || (this.superChanged ? this.writeSuper() : 0);
  }
  /** Writes bitmaps and descriptors that were changed since the last time, and waits (a part of fsync). @returns 0 or -EIO */
  syncAllocation(): number {
    let error = this.writeGroups();
    for (const block of this.pending) error = this.meta.syncBlock(block) || error;
    this.pending.clear();
    return error;
  }
  /** Writes all, and waits. @returns 0 or -EIO */
  syncAll(): number {
    const error = this.writeBack();
    this.pending.clear();
    return this.meta.syncAll() || error;
  }
}

/** The checksum of a superblock: not begun with the file system's seed, which stands in it. */
export const superSum = (sb: Superblock): number => crc32c(RUNNING_SUM, sb.bytes, 0, Sb.Checksum);

/** Has an inode the field for the upper half of its checksum? */
export function hasHighSum(raw: Uint8Array): boolean {
  return raw.length > 128 && (raw[In.ExtraIsize]! | (raw[In.ExtraIsize + 1]! << 8)) >= In.ChecksumHi + 2 - 128;
}
const zeros = new Uint8Array(4);
