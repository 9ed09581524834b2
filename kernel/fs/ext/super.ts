// Mounting: reading the superblock and the group descriptors, and believing nothing of them. Here: every check before the first inode is read;
// the state that says whether the file system was left in order. Mirrors __ext4_fill_super(), ext4_check_descriptors(), ext4_setup_super().
// Left out: the journal. An image with one is mounted when the journal is empty, and the journal is not used.
import { isPowerOfTwo } from '#base';
import { Errno } from '../../syscall/errno.ts';
import type { MetaBlocks } from '../buffers.ts';
import type { Timespec } from '../inode.ts';
import { Compat, CRC32C_TYPE, EXT_MAGIC, GroupTable, Incompat, Ino, KNOWN_INCOMPAT, KNOWN_RO_COMPAT, RoCompat, Sb, State, Superblock, SUPER_BYTES, SUPER_OFFSET } from './layout.ts';
import { superSum, Volume } from './volume.ts';

/** Why an image is not mounted: -errno, and a sentence for whoever asked. */
export interface MountFailure { readonly error: number; readonly sentence: string }

export interface VolumeOptions {
  /** The device's metadata in blocks of this size; null: it cannot be opened so. Called twice: the size is known only after the superblock is read. */
  open(blockSize: number): MetaBlocks | null;
  readonly isReadOnly: boolean;
  now(): Timespec;
}

const MIN_BLOCK_BYTES = 1024;
const MAX_LOG_BLOCK_SIZE = 2;

const refuse = (sentence: string, errno: number = Errno.EUCLEAN): MountFailure => ({ error: -errno, sentence });
const foreign = (sentence: string): MountFailure => refuse(sentence, Errno.EINVAL);

/** Names of the features that are refused, for the sentence. */
const unknownNames = (word: number, names: Readonly<Record<string, number>>): string =>
  Object.entries(names).filter(([, bit]) => (word & bit) !== 0).map(([name]) => name).join(', ') || `0x${word.toString(16)}`;

/** Reads and judges superblock and descriptors. Nothing is written. */
export function openVolume(options: VolumeOptions): Volume | MountFailure {
  const first = options.open(MIN_BLOCK_BYTES);
  if (first === null || first.nrBlocks < 2) return foreign('The device is too small to hold a file system.');
  const raw = first.read(SUPER_OFFSET / MIN_BLOCK_BYTES);
  if (raw === null) return refuse('The superblock cannot be read.', Errno.EIO);
  const sb = new Superblock(raw.data.slice(0, SUPER_BYTES));
  const refused = judgeFeatures(sb, options.isReadOnly) ?? judgeGeometry(sb);
  if (refused !== null) return refused;
  const meta = options.open(sb.blockSize);
  if (meta === null) return foreign(`The device cannot be read in blocks of ${sb.blockSize} bytes.`);
  if (sb.nrBlocks > meta.nrBlocks) return refuse(`The file system has ${sb.nrBlocks} blocks, the device only ${meta.nrBlocks}.`);
  return openGroups(sb, meta, options);
}

function judgeFeatures(sb: Superblock, isReadOnly: boolean): MountFailure | null {
  if (sb.u16(Sb.Magic) !== EXT_MAGIC) return foreign('This is no ext2 or ext4 file system: its magic number is not there.');
  if (sb.u32(Sb.RevLevel) > 1) return foreign(`Revision ${sb.u32(Sb.RevLevel)} of the format is not known.`);
  if (sb.has('incompat', Incompat.Recover)) return refuse('The journal holds changes that must be replayed first, and journals are not replayed here. Run e2fsck on the image.');
  const incompat = sb.incompat & ~KNOWN_INCOMPAT;
  if (incompat !== 0) return foreign(`The image needs features that are not there: ${unknownNames(incompat, Incompat)}.`);
  if (sb.has('roCompat', RoCompat.Bigalloc)) return foreign('The image needs a feature that is not there: Bigalloc.');
  const roCompat = sb.roCompat & ~KNOWN_RO_COMPAT;
  if (roCompat !== 0 && !isReadOnly) return refuse(`The image can only be mounted read-only: it has ${unknownNames(roCompat, RoCompat)}.`, Errno.EROFS);
  if (sb.hasMetadataCsum) {
    if (sb.bytes[Sb.ChecksumType] !== CRC32C_TYPE) return foreign('The image has checksums of an unknown type.');
    if (superSum(sb) !== sb.u32(Sb.Checksum)) return refuse('The superblock does not match its checksum.');
  }
  return null;
}

function judgeGeometry(sb: Superblock): MountFailure | null {
  const logBlockSize = sb.u32(Sb.LogBlockSize);
  if (logBlockSize > MAX_LOG_BLOCK_SIZE) return foreign('The block size is larger than a page of 4096 bytes.');
  const { blockSize, inodeSize } = sb;
  if (sb.u32(Sb.LogClusterSize) !== logBlockSize && sb.isDynamic) return refuse('Blocks and clusters differ in size.');
  if (inodeSize < 128 || inodeSize > blockSize || !isPowerOfTwo(inodeSize)) return refuse(`Inodes of ${inodeSize} bytes are impossible.`);
  if (sb.is64 && (sb.descSize < 64 || sb.descSize > blockSize || !isPowerOfTwo(sb.descSize))) return refuse(`Group descriptors of ${sb.descSize} bytes are impossible.`);
  const blocksPerGroup = sb.u32(Sb.BlocksPerGroup);
  const inodesPerGroup = sb.u32(Sb.InodesPerGroup);
  if (blocksPerGroup === 0 || blocksPerGroup > 8 * blockSize || blocksPerGroup % 8 !== 0) return refuse(`Groups of ${blocksPerGroup} blocks are impossible.`);
  if (inodesPerGroup < blockSize / inodeSize || inodesPerGroup > 8 * blockSize || inodesPerGroup % 8 !== 0) return refuse(`Groups of ${inodesPerGroup} inodes are impossible.`);
  const first = sb.u32(Sb.FirstDataBlock);
  if (first !== (blockSize === MIN_BLOCK_BYTES ? 1 : 0)) return refuse(`Block ${first} cannot be the first one.`);
  const { nrBlocks } = sb;
  if (!Number.isSafeInteger(nrBlocks) || nrBlocks <= first) return refuse(`A file system of ${nrBlocks} blocks is impossible.`);
  const nrGroups = Math.ceil((nrBlocks - first) / blocksPerGroup);
  if (sb.nrInodes !== nrGroups * inodesPerGroup) return refuse(`There are ${sb.nrInodes} inodes, not ${nrGroups} groups of ${inodesPerGroup}.`);
  if (sb.firstIno < Ino.FirstOfOld || sb.firstIno > inodesPerGroup) return refuse(`Inode ${sb.firstIno} cannot be the first one for files.`);
  if (sb.u16(Sb.ReservedGdtBlocks) > blockSize / 4) return refuse('More blocks are set aside for group descriptors than can be.');
  if (sb.bytes[Sb.LogGroupsPerFlex]! > 31) return refuse('The size of flexible groups is impossible.');
  if (sb.freeBlocks > nrBlocks || sb.reservedBlocks > nrBlocks || sb.freeInodes > sb.nrInodes) return refuse('More is free than there is.');
  return null;
}

function openGroups(sb: Superblock, meta: MetaBlocks, options: VolumeOptions): Volume | MountFailure {
  const first = sb.u32(Sb.FirstDataBlock);
  const nrGroups = Math.ceil((sb.nrBlocks - first) / sb.u32(Sb.BlocksPerGroup));
  const gdtBlocks = Math.ceil((nrGroups * sb.descSize) / sb.blockSize);
  if (first + 1 + gdtBlocks > sb.nrBlocks) return refuse('The group descriptors reach beyond the end.');
  const groups = new GroupTable(nrGroups, sb.descSize);
  for (let i = 0; i < gdtBlocks; i++) {
    const buffer = meta.read(first + 1 + i);
    if (buffer === null) return refuse('The group descriptors cannot be read.', Errno.EIO);
    groups.bytes.set(buffer.data.subarray(0, Math.min(sb.blockSize, groups.bytes.length - i * sb.blockSize)), i * sb.blockSize);
  }
  const volume = new Volume(meta, sb, groups, options);
  return judgeGroups(volume) ?? volume;
}

/** Every descriptor's places and counts; what they name becomes known as metadata, so that an overlap shows. Mirrors ext4_check_descriptors(). */
function judgeGroups(volume: Volume): MountFailure | null {
  const { groups, sb } = volume;
  for (let group = 0; group < volume.nrGroups; group++) {
    if (volume.superBlocks(group) > volume.groupBlocks(group) || !volume.addZone(volume.groupStart(group), volume.superBlocks(group))) return refuse(`Group ${group} is too small for its copy of the superblock.`);
  }
  const isFlexible = sb.has('incompat', Incompat.FlexBg);
  for (let group = 0; group < volume.nrGroups; group++) {
    if (sb.hasGroupCsum && groups.checksum(group) !== volume.groupSum(group)) return refuse(`The descriptor of group ${group} does not match its checksum.`);
    const places = [['block bitmap', groups.blockBitmap(group), 1], ['inode bitmap', groups.inodeBitmap(group), 1], ['inode table', groups.inodeTable(group), volume.itableBlocks]] as const;
    const start = volume.groupStart(group);
    const end = start + volume.groupBlocks(group);
    for (const [name, block, count] of places) {
      if (!isFlexible && (block < start || block + count > end)) return refuse(`The ${name} of group ${group} (block ${block}) is not in the group.`);
      if (!volume.addZone(block, count)) return refuse(`The ${name} of group ${group} (block ${block}) is outside, or on top of other metadata.`);
    }
    const tooMany = groups.freeBlocks(group) > volume.groupBlocks(group) || groups.freeInodes(group) > volume.inodesPerGroup
      || groups.usedDirs(group) > volume.inodesPerGroup || (sb.hasGroupCsum && groups.itableUnused(group) > volume.inodesPerGroup);
    if (tooMany) return refuse(`The counts of group ${group} are larger than the group.`);
  }
  return null;
}

/** Writing begins: until the end of the mount the disk says that it is in use. Mirrors ext4_setup_super(). @returns 0 or -EIO */
export function beginWriting(volume: Volume): number {
  const { sb } = volume;
  const state = sb.u16(Sb.State);
  if ((state & State.Error) !== 0) volume.note('ext: mounting a file system with errors; running e2fsck is recommended');
  else if ((state & State.Valid) === 0) volume.note('ext: mounting an unchecked file system; running e2fsck is recommended');
  sb.set16(Sb.State, state & ~State.Valid);
  sb.set16(Sb.MountCount, sb.u16(Sb.MountCount) + 1);
  sb.set32(Sb.MountTime, volume.now().sec % 2 ** 32);
  return volume.writeSuper() || volume.meta.syncBlock(Math.floor(SUPER_OFFSET / volume.blockSize));
}

/** Writing ends: everything is on the disk, then the state says so. @param before the state that was found at the mount @returns 0 or -EIO */
export function endWriting(volume: Volume, before: number): number {
  const error = volume.syncAll();
  if (error !== 0) return error;
  const { sb } = volume;
  const state = sb.u16(Sb.State);
  sb.set16(Sb.State, (state & State.Error) !== 0 ? state : state | (before & State.Valid));
  return volume.writeSuper() || volume.meta.syncAll();
}

/** Is there a journal in a file of this file system? Its blocks are not for others. */
export function journalIno(sb: Superblock): number {
  return sb.has('compat', Compat.HasJournal) ? sb.u32(Sb.JournalInum) : 0;
}
