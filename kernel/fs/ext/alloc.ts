// Free space: which blocks and inodes of each group are in use, and which of the free ones a file gets. Here: bitmaps, counts, the choice: blocks
// from where the file's last ones are, in one piece as long as possible; directories apart, files near their directory. Not here: what maps the
// blocks (blockmap.ts, extents.ts). Mirrors balloc.c, ialloc.c and the intent of mballoc.c: contiguous blocks are what large folios, long
// extents and few translations need.
//
// A file that grows has a window after its last block, in memory only, which others leave alone while there is room elsewhere: so two files that
// grow at once stay in long pieces (struct ext4_prealloc_space).
//
// What was freed is not given to others before the disk knows: until then a crash would bring back the old owner, and e2fsck, which finds the block or
// the inode in two places, might repair the wrong one. Linux has its journal for this, and without one at least keeps deleted inodes for some seconds
// (recently_deleted()). When there is nothing else left, everything is written first.
import { Errno } from '../../syscall/errno.ts';
import type { MetaBuffer } from '../buffers.ts';
import { GroupFlag } from './layout.ts';
import type { Toucher, Volume } from './volume.ts';

export interface Run { readonly block: number; readonly count: number }

/** Blocks kept free after the end of a growing file. */
const WINDOW_BLOCKS = 128;
/** Windows kept; the oldest goes first. */
const MAX_WINDOWS = 64;

export class Allocator {
  private readonly volume: Volume;
  /** Groups whose bitmaps were checked against checksum and count. */
  private readonly goodBlocks = new Set<number>();
  private readonly goodInodes = new Set<number>();
  /** Groups that nothing is taken from: their bitmaps are damaged. */
  private readonly bad = new Set<number>();
  /** No longer free run is known to be in the group. */
  private readonly longest = new Map<number, number>();
  /** By inode: where a growing file goes on. */
  private readonly windows = new Map<number, Run>();
  /** By group: blocks that are free, but perhaps not yet on the disk. */
  private readonly freedBlocks = new Map<number, Uint8Array>();
  private readonly freedInodes = new Set<number>();
  /** Writes all metadata: afterwards the disk knows what is free. false: it could not. */
  private readonly settle: () => boolean;

  constructor(volume: Volume, settle: () => boolean) {
    this.volume = volume;
    this.settle = settle;
  }
  /** Everything that was freed until now is free on the disk too. */
  settled(): void {
    this.freedBlocks.clear();
    this.freedInodes.clear();
    this.longest.clear();
  }

  // --- Blocks ---

  /**
   * Takes up to `want` blocks in one piece, at `goal` if it is free, else after it or in the groups behind. @param ino whose window may be used;
   * 0: nobody's @returns the run, or -ENOSPC, -EROFS, -EIO
   */
  takeBlocks(goal: number, want: number, ino = 0): Run | number {
    const { volume } = this;
    if (volume.isReadOnly) return -Errno.EROFS;
    if (volume.sb.freeBlocks === 0) return -Errno.ENOSPC;
    const from = volume.isData(goal) ? goal : volume.firstDataBlock;
    const exact = this.takeAt(from, want, ino);
    if (exact !== null) return exact;
    const start = volume.groupOf(from);
    // First a place that holds all of it, then the longest one; at last what is kept for others.
    for (const wanted of want > 1 ? [want, 1] : [1]) {
      for (let i = 0; i <= volume.nrGroups; i++) {
        const group = (start + i) % volume.nrGroups;
        const run = this.takeInGroup(group, i === 0 ? from : volume.groupStart(group), wanted, want, ino);
        if (run !== null) return run;
      }
    }
    if (this.windows.size > 0) {
      this.windows.clear();
      this.longest.clear();
      return this.takeBlocks(goal, want, ino);
    }
    return this.freedBlocks.size > 0 && this.settle() ? this.takeBlocks(goal, want, ino) : -Errno.ENOSPC;
  }
  /** Takes what is free from `block` on, if that block is. */
  private takeAt(block: number, want: number, ino: number): Run | null {
    const { volume } = this;
    const group = volume.groupOf(block);
    const bitmap = this.blockBitmap(group);
    if (bitmap === null) return null;
    const start = volume.groupStart(group);
    const count = this.freeRun(bitmap.data, block - start, Math.min(want, volume.groupBlocks(group) - (block - start)), start, ino);
    return count === 0 ? null : this.mark(group, bitmap, block - start, count, ino);
  }
  /** @param wanted a shorter run is not taken, but for the longest of the group when wanted is 1 */
  private takeInGroup(group: number, from: number, wanted: number, want: number, ino: number): Run | null {
    const { volume } = this;
    if (volume.groups.freeBlocks(group) < wanted || (this.longest.get(group) ?? Infinity) < wanted) return null;
    const bitmap = this.blockBitmap(group);
    if (bitmap === null) return null;
    const start = volume.groupStart(group);
    const end = volume.groupBlocks(group);
    let bestAt = 0;
    let best = 0;
    for (let bit = from - start; bit < end; bit++) {
      bit = nextClear(bitmap.data, bit, end);
      if (bit >= end) break;
      const count = this.freeRun(bitmap.data, bit, Math.min(want, end - bit), start, ino);
      if (count > best) [bestAt, best] = [bit, count];
      if (best >= want) break;
      bit += count;
    }
    if (from === start && best < want) this.longest.set(group, best);
    return best === 0 || best < wanted ? null : this.mark(group, bitmap, bestAt, best, ino);
  }
  /** Free bits from `bit` on, up to `max`, not in another file's window. */
  private freeRun(bits: Uint8Array, bit: number, max: number, start: number, ino: number): number {
    let count = 0;
    const freed = this.freedBlocks.get(this.volume.groupOf(start));
    while (count < max && !testBit(bits, bit + count) && (freed === undefined || !testBit(freed, bit + count))) count++;
    for (const [owner, window] of this.windows) {
      if (owner === ino) continue;
      const at = start + bit;
      if (window.block < at + count && at < window.block + window.count) count = Math.max(0, window.block - at);
      if (count === 0) break;
    }
    return count;
  }
  private mark(group: number, bitmap: MetaBuffer, bit: number, count: number, ino: number): Run {
    const { volume } = this;
    const block = volume.groupStart(group) + bit;
    setBits(bitmap.data, bit, count, true);
    this.countBlocks(group, bitmap, -count);
    if (ino !== 0) {
      this.windows.delete(ino);
      this.windows.set(ino, { block: block + count, count: Math.max(WINDOW_BLOCKS, count) });
      if (this.windows.size > MAX_WINDOWS) this.windows.delete(this.windows.keys().next().value!);
    }
    return { block, count };
  }
  /** The file stops growing: what was kept for it is anybody's. */
  forgetWindow(ino: number): void {
    if (this.windows.delete(ino)) this.longest.clear();
  }

  /** Gives blocks back. They need not be in one group. @param isMeta what was to be written of them need not be @returns 0, -EUCLEAN, -EIO */
  freeBlocks(block: number, count: number, isMeta = false): number {
    const { volume } = this;
    if (!volume.isData(block, count)) return volume.corrupt(`blocks ${block}+${count} cannot be freed: they are no file's`);
    let error = 0;
    for (let at = block; at < block + count; ) {
      const group = volume.groupOf(at);
      const bit = at - volume.groupStart(group);
      const here = Math.min(block + count - at, volume.groupBlocks(group) - bit);
      error = this.freeInGroup(group, bit, here) || error;
      at += here;
    }
    if (isMeta) for (let i = 0; i < count; i++) volume.meta.forget(block + i);
    return error;
  }
  private freeInGroup(group: number, bit: number, count: number): number {
    const { volume } = this;
    const bitmap = this.blockBitmap(group);
    if (bitmap === null) return -Errno.EIO;
    let freed = 0;
    let recent = this.freedBlocks.get(group);
    if (recent === undefined) this.freedBlocks.set(group, recent = new Uint8Array(volume.blockSize));
    for (let i = bit; i < bit + count; i++) {
      if (!testBit(bitmap.data, i)) continue;
      setBits(bitmap.data, i, 1, false);
      setBits(recent, i, 1, true);
      freed++;
    }
    this.longest.delete(group);
    this.countBlocks(group, bitmap, freed);
    return freed === count ? 0 : volume.corrupt(`${count - freed} of blocks ${volume.groupStart(group) + bit}+${count} were freed before`);
  }
  private countBlocks(group: number, bitmap: MetaBuffer, change: number): void {
    const { volume } = this;
    const { groups, sb } = volume;
    groups.setFreeBlocks(group, groups.freeBlocks(group) + change);
    sb.freeBlocks = Math.max(0, sb.freeBlocks + change);
    if (sb.hasMetadataCsum) groups.setBitmapCsum(group, 'block', volume.bitmapSum('block', bitmap.data));
    volume.countsChanged();
    volume.dirtyBitmap(bitmap, group);
  }

  /** The block bitmap of a group, made when it was never written, checked once; null: damaged, or not readable. */
  private blockBitmap(group: number): MetaBuffer | null {
    const { volume } = this;
    const { groups, sb } = volume;
    if (this.bad.has(group)) return null;
    const block = groups.blockBitmap(group);
    if (sb.hasGroupCsum && (groups.flags(group) & GroupFlag.BlockUninit) !== 0) return this.makeBlockBitmap(group, block);
    const buffer = volume.meta.read(block);
    if (buffer === null || this.goodBlocks.has(group)) return buffer;
    const problem = this.judgeBlockBitmap(group, buffer.data);
    if (problem !== null) {
      this.bad.add(group);
      volume.corrupt(`group ${group}: ${problem}`);
      return null;
    }
    this.goodBlocks.add(group);
    return buffer;
  }
  private judgeBlockBitmap(group: number, bits: Uint8Array): string | null {
    const { volume } = this;
    const { groups, sb } = volume;
    if (sb.hasMetadataCsum && groups.bitmapCsum(group, 'block') !== volume.bitmapSum('block', bits)) return 'the block bitmap does not match its checksum';
    const nrBlocks = volume.groupBlocks(group);
    const start = volume.groupStart(group);
    let isMissing = false;
    volume.eachZone(start, nrBlocks, (from, to) => {
      for (let block = from; block < to; block++) if (!testBit(bits, block - start)) isMissing = true;
    });
    if (isMissing) return 'metadata is marked as free blocks';
    const free = nrBlocks - countSet(bits, nrBlocks);
    return free === groups.freeBlocks(group) ? null : `${free} blocks are free in the bitmap, ${groups.freeBlocks(group)} in the descriptor`;
  }
  /** Mirrors ext4_init_block_bitmap(). */
  private makeBlockBitmap(group: number, block: number): MetaBuffer | null {
    const { volume } = this;
    const buffer = volume.meta.fresh(block);
    if (buffer === null) return null;
    const start = volume.groupStart(group);
    const nrBlocks = volume.groupBlocks(group);
    volume.eachZone(start, nrBlocks, (from, to) => { setBits(buffer.data, from - start, to - from, true); });
    setBits(buffer.data, nrBlocks, 8 * volume.blockSize - nrBlocks, true);
    volume.groups.setFlags(group, volume.groups.flags(group) & ~GroupFlag.BlockUninit);
    volume.groups.setFreeBlocks(group, nrBlocks - countSet(buffer.data, nrBlocks));
    this.goodBlocks.add(group);
    this.countBlocks(group, buffer, 0);
    return buffer;
  }

  // --- Inodes ---

  /**
   * Takes a free inode. Directories at the top go to the emptiest group, others near their parent; files to their directory's group.
   * @param isUsed inodes that are in memory, whatever the bitmap says @returns the number, or -ENOSPC, -EUCLEAN. Mirrors __ext4_new_inode() and find_group_orlov().
   */
  takeInode(parentIno: number, isDir: boolean, isUsed: (ino: number) => boolean): number {
    const { volume } = this;
    if (volume.isReadOnly) return -Errno.EROFS;
    if (volume.sb.freeInodes === 0) return -Errno.ENOSPC;
    const parentGroup = Math.floor((parentIno - 1) / volume.inodesPerGroup);
    const first = isDir ? this.directoryGroup(parentGroup, parentIno === 2) : parentGroup;
    for (let i = 0; i < volume.nrGroups; i++) {
      const group = (first + i) % volume.nrGroups;
      if (volume.groups.freeInodes(group) === 0) continue;
      const bitmap = this.inodeBitmap(group);
      if (bitmap === null) continue;
      const base = group * volume.inodesPerGroup + 1;
      let bit = nextClear(bitmap.data, 0, volume.inodesPerGroup);
      while (this.freedInodes.has(base + bit)) bit = nextClear(bitmap.data, bit + 1, volume.inodesPerGroup);
      if (bit >= volume.inodesPerGroup) continue;
      const ino = base + bit;
      if (ino < volume.sb.firstIno || isUsed(ino)) {
        setBits(bitmap.data, bit, 1, true);
        this.countInodes(group, bitmap, 0, 0);
        return volume.corrupt(`inode ${ino} is in use, but marked as free`);
      }
      setBits(bitmap.data, bit, 1, true);
      this.leaveUnused(group, bit);
      this.countInodes(group, bitmap, -1, isDir ? 1 : 0);
      return ino;
    }
    return this.freedInodes.size > 0 && this.settle() ? this.takeInode(parentIno, isDir, isUsed) : -Errno.ENOSPC;
  }
  /** Where a new directory goes: spread at the top, else the parent's group or the next one that is not fuller than most. */
  private directoryGroup(parentGroup: number, isTop: boolean): number {
    const { groups, nrGroups, sb } = this.volume;
    const averageInodes = sb.freeInodes / nrGroups;
    const averageBlocks = sb.freeBlocks / nrGroups;
    if (isTop) {
      let best = parentGroup;
      let fewest = Infinity;
      for (let i = 0; i < nrGroups; i++) {
        const group = (parentGroup + i) % nrGroups;
        if (groups.freeInodes(group) < averageInodes || groups.freeBlocks(group) < averageBlocks || groups.usedDirs(group) >= fewest) continue;
        best = group;
        fewest = groups.usedDirs(group);
      }
      return best;
    }
    for (let i = 0; i < nrGroups; i++) {
      const group = (parentGroup + i) % nrGroups;
      if (groups.freeInodes(group) >= averageInodes / 4 && groups.freeBlocks(group) >= averageBlocks / 4 && groups.freeInodes(group) > 0) return group;
    }
    return parentGroup;
  }
  /** Inodes before `bit` are no longer known to be unused: the table is read up to here by others. */
  private leaveUnused(group: number, bit: number): void {
    const { groups, inodesPerGroup, sb } = this.volume;
    if (sb.hasGroupCsum) groups.setItableUnused(group, Math.min(groups.itableUnused(group), inodesPerGroup - bit - 1));
  }

  /** Gives an inode back. @returns 0, -EUCLEAN, -EIO */
  freeInode(ino: number, isDir: boolean): number {
    const { volume } = this;
    const group = Math.floor((ino - 1) / volume.inodesPerGroup);
    const bitmap = this.inodeBitmap(group);
    if (bitmap === null) return -Errno.EIO;
    const bit = (ino - 1) % volume.inodesPerGroup;
    if (!testBit(bitmap.data, bit)) return volume.corrupt(`inode ${ino} was freed before`);
    setBits(bitmap.data, bit, 1, false);
    this.freedInodes.add(ino);
    this.countInodes(group, bitmap, 1, isDir ? -1 : 0);
    return 0;
  }
  private countInodes(group: number, bitmap: MetaBuffer, change: number, dirs: number): void {
    const { volume } = this;
    const { groups, sb } = volume;
    groups.setFreeInodes(group, groups.freeInodes(group) + change);
    groups.setUsedDirs(group, Math.max(0, groups.usedDirs(group) + dirs));
    sb.freeInodes = Math.max(0, sb.freeInodes + change);
    if (sb.hasMetadataCsum) groups.setBitmapCsum(group, 'inode', volume.bitmapSum('inode', bitmap.data));
    volume.countsChanged();
    volume.dirtyBitmap(bitmap, group);
  }
  /** As blockBitmap(). */
  private inodeBitmap(group: number): MetaBuffer | null {
    const { volume } = this;
    const { groups, inodesPerGroup, sb } = volume;
    if (this.bad.has(group)) return null;
    const block = groups.inodeBitmap(group);
    if (sb.hasGroupCsum && (groups.flags(group) & GroupFlag.InodeUninit) !== 0) {
      const made = volume.meta.fresh(block);
      if (made === null) return null;
      setBits(made.data, inodesPerGroup, 8 * volume.blockSize - inodesPerGroup, true);
      groups.setFlags(group, groups.flags(group) & ~GroupFlag.InodeUninit);
      groups.setFreeInodes(group, inodesPerGroup);
      this.goodInodes.add(group);
      this.countInodes(group, made, 0, 0);
      return made;
    }
    const buffer = volume.meta.read(block);
    if (buffer === null || this.goodInodes.has(group)) return buffer;
    const free = inodesPerGroup - countSet(buffer.data, inodesPerGroup);
    const isTorn = sb.hasMetadataCsum && groups.bitmapCsum(group, 'inode') !== volume.bitmapSum('inode', buffer.data);
    if (isTorn || free !== groups.freeInodes(group)) {
      this.bad.add(group);
      volume.corrupt(`group ${group}: the inode bitmap does not match its ${isTorn ? 'checksum' : 'count'}`);
      return null;
    }
    this.goodInodes.add(group);
    return buffer;
  }

  /** Where the blocks of an inode's file begin to be looked for. */
  homeOf(ino: number): number {
    const { volume } = this;
    const group = Math.floor((ino - 1) / volume.inodesPerGroup);
    return Math.min(volume.groupStart(group), volume.nrBlocks - 1);
  }
  /** Inodes of the group that were never written: what stands in the table there means nothing. */
  isNeverWritten(ino: number): boolean {
    const { groups, inodesPerGroup, sb } = this.volume;
    const group = Math.floor((ino - 1) / inodesPerGroup);
    if (!sb.hasGroupCsum) return false;
    return (groups.flags(group) & GroupFlag.InodeUninit) !== 0 || (ino - 1) % inodesPerGroup >= inodesPerGroup - groups.itableUnused(group);
  }
}

/** A block for metadata of a file, zeroed, counted to the file by the caller. @param ino among its data; 0: away from it, so that data stays in one
 *  piece @returns the buffer, or -ENOSPC, -EIO */
export function takeMetaBlock(volume: Volume, allocator: Allocator, goal: number, who: Toucher, ino = 0): MetaBuffer | number {
  const run = allocator.takeBlocks(goal, 1, ino);
  if (typeof run === 'number') return run;
  const buffer = volume.meta.fresh(run.block);
  if (buffer === null) {
    allocator.freeBlocks(run.block, 1);
    return -Errno.EIO;
  }
  volume.dirty(buffer, who);
  return buffer;
}

export const testBit = (bits: Uint8Array, bit: number): boolean => (bits[bit >> 3]! & (1 << (bit & 7))) !== 0;
export function setBits(bits: Uint8Array, from: number, count: number, on: boolean): void {
  for (let bit = from; bit < from + count; bit++) {
    if ((bit & 7) === 0 && bit + 8 <= from + count) {
      bits[bit >> 3] = on ? 0xff : 0;
      bit += 7;
    } else if (on) bits[bit >> 3]! |= 1 << (bit & 7);
    else bits[bit >> 3]! &= ~(1 << (bit & 7));
  }
}
/** The first clear bit of [from, end); `end` when there is none. */
function nextClear(bits: Uint8Array, from: number, end: number): number {
  let bit = from;
  while (bit < end) {
    if ((bit & 7) === 0 && bits[bit >> 3] === 0xff) bit += 8;
    else if (testBit(bits, bit)) bit++;
    else return bit;
  }
  return end;
}
/** Bits that are set among the first `nrBits`. */
export function countSet(bits: Uint8Array, nrBits: number): number {
  let count = 0;
  for (let i = 0; i < nrBits >> 3; i++) {
    let b = bits[i]!;
    b -= (b >> 1) & 0x55;
    b = (b & 0x33) + ((b >> 2) & 0x33);
    count += (b + (b >> 4)) & 0x0f;
  }
  for (let bit = nrBits & ~7; bit < nrBits; bit++) if (testBit(bits, bit)) count++;
  return count;
}
