// ext2's way: i_block holds twelve block numbers, then one block of numbers, one of blocks of numbers, one more level. Here: find, allocate, free.
// Mirrors ext4/indirect.c. Every number read is checked before it is used; a block of numbers is freed before what it names, so that a damaged
// tree that names a block twice is walked once.
import { bug } from '#base';
import { Errno } from '../../syscall/errno.ts';
import type { BlockMapper } from '../mapping.ts';
import type { MetaBuffer } from '../buffers.ts';
import { takeMetaBlock } from './alloc.ts';
import type { FileMap, MapOwner, MappedBlock } from './filemap.ts';

const DIRECT = 12;

/** A place where a block number stands: in i_block (buffer null) or in a block of numbers. */
interface Slot { readonly view: DataView; readonly at: number; readonly buffer: MetaBuffer | null }

export class BlockMap implements BlockMapper, FileMap {
  private readonly owner: MapOwner;
  private readonly root: DataView;
  private readonly perBlock: number;

  constructor(owner: MapOwner) {
    this.owner = owner;
    this.root = new DataView(owner.iBlock.buffer, owner.iBlock.byteOffset, owner.iBlock.length);
    this.perBlock = owner.volume.pointersPerBlock;
  }
  get blockSize(): number {
    return this.owner.volume.blockSize;
  }

  /** Which numbers lead to a block: the first in i_block, each next in the block before; null: beyond what three levels reach. */
  private pathTo(index: number): number[] | null {
    const { perBlock } = this;
    if (index < DIRECT) return [index];
    let rest = index - DIRECT;
    for (let level = 1, span = perBlock; level <= 3; level++, span *= perBlock) {
      if (rest < span) {
        const path = [DIRECT + level - 1];
        for (let below = span / perBlock; path.length <= level; below /= perBlock) path.push(Math.floor(rest / below) % perBlock);
        return path;
      }
      rest -= span;
    }
    return null;
  }
  /** Blocks a file can have at most. */
  get maxBlocks(): number {
    return DIRECT + this.perBlock + this.perBlock ** 2 + this.perBlock ** 3;
  }

  getBlock(index: number, create: boolean): MappedBlock | number {
    const path = this.pathTo(index);
    if (path === null) return -Errno.EFBIG;
    const { volume } = this.owner;
    let slot: Slot = { view: this.root, at: 4 * path[0]!, buffer: null };
    let goal = 0;
    for (let level = 0; ; level++) {
      const isData = level === path.length - 1;
      const block = slot.view.getUint32(slot.at, true);
      if (block !== 0 && !volume.isData(block)) return volume.corrupt(`inode ${this.owner.ino}: block ${block} cannot be its`);
      if (block !== 0 && isData) return { block, isNew: false };
      let buffer: MetaBuffer | null;
      if (block === 0) {
        if (!create) return 0;
        goal = this.goalAt(slot, goal);
        if (isData) return this.takeData(slot, goal);
        const taken = this.takeNumbers(slot, goal);
        if (typeof taken === 'number') return taken;
        buffer = taken;
      } else {
        buffer = volume.meta.read(block);
        if (buffer === null) return -Errno.EIO;
      }
      goal = buffer.block + 1;
      slot = { view: buffer.view, at: 4 * path[level + 1]!, buffer };
    }
  }

  /** Behind the block before; else behind the block of numbers; else where the inode is. */
  private goalAt(slot: Slot, above: number): number {
    const lowest = slot.buffer === null ? 0 : slot.at - 4 * 16;
    for (let at = slot.at - 4; at >= Math.max(0, lowest); at -= 4) {
      const before = slot.view.getUint32(at, true);
      if (before !== 0) return before + 1;
    }
    return above !== 0 ? above : this.owner.allocator.homeOf(this.owner.ino);
  }
  private takeData(slot: Slot, goal: number): MappedBlock | number {
    const run = this.owner.allocator.takeBlocks(goal, 1, this.owner.ino);
    if (typeof run === 'number') return run;
    this.store(slot, run.block);
    this.owner.countBlocks(1);
    return { block: run.block, isNew: true };
  }
  private takeNumbers(slot: Slot, goal: number): MetaBuffer | number {
    const { owner } = this;
    const buffer = takeMetaBlock(owner.volume, owner.allocator, goal, owner, owner.ino);
    if (typeof buffer === 'number') return buffer;
    this.store(slot, buffer.block);
    owner.countBlocks(1);
    return buffer;
  }
  private store(slot: Slot, block: number): void {
    slot.view.setUint32(slot.at, block, true);
    if (slot.buffer !== null) this.owner.volume.dirty(slot.buffer, this.owner);
    else this.owner.mapChanged();
  }

  free(first: number, end: number): number {
    let error = 0;
    let start = 0;
    for (let i = 0; i < DIRECT + 3; i++) {
      const level = Math.max(0, i - DIRECT + 1);
      const span = this.perBlock ** level;
      if (start < end && start + span > first) error = this.freeUnder({ view: this.root, at: 4 * i, buffer: null }, level, start, first, end) || error;
      start += span;
    }
    return error;
  }
  /** Frees what lies in [first, end) of the subtree behind a slot, whose first block is number `start` of the file. */
  private freeUnder(slot: Slot, level: number, start: number, first: number, end: number): number {
    const { volume, allocator } = this.owner;
    const block = slot.view.getUint32(slot.at, true);
    if (block === 0) return 0;
    if (!volume.isData(block)) {
      this.store(slot, 0);
      return volume.corrupt(`inode ${this.owner.ino}: block ${block} cannot be its`);
    }
    const span = this.perBlock ** level;
    const isWhole = first <= start && end >= start + span;
    if (level === 0 || isWhole) {
      this.store(slot, 0);
      const buffer = level === 0 ? null : volume.meta.read(block);
      const error = allocator.freeBlocks(block, 1, level === 0 && this.owner.holdsMetadata);
      if (error !== 0) return error; // freed before: another part of the tree has named it
      this.owner.countBlocks(-1);
      if (level === 0) return 0;
      if (buffer === null) return -Errno.EIO;
      const below = this.freeNumbers(buffer, level, start, first, end, false);
      volume.meta.forget(block);
      this.owner.touched.delete(block);
      return below;
    }
    const buffer = volume.meta.read(block);
    if (buffer === null) return -Errno.EIO;
    const error = this.freeNumbers(buffer, level, start, first, end, true);
    if (error !== 0 || buffer.data.some((byte) => byte !== 0)) return error;
    this.store(slot, 0);
    this.owner.countBlocks(-1);
    this.owner.touched.delete(block);
    return allocator.freeBlocks(block, 1, true);
  }
  private freeNumbers(buffer: MetaBuffer, level: number, start: number, first: number, end: number, keeps: boolean): number {
    const span = this.perBlock ** (level - 1);
    let error = 0;
    for (let i = 0; i < this.perBlock; i++) {
      const at = start + i * span;
      if (buffer.view.getUint32(4 * i, true) === 0 || at >= end || at + span <= first) continue;
      // A block that is freed itself is not written: its numbers are only read.
      const slot = keeps ? { view: buffer.view, at: 4 * i, buffer } : { view: copyOf(buffer, i), at: 0, buffer: null };
      error = this.freeUnder(slot, level - 1, at, first, end) || error;
    }
    return error;
  }

  eachRun(visit: (block: number, count: number) => boolean): number {
    const { volume } = this.owner;
    const seen = new Set<number>();
    const walk = (block: number, level: number): boolean | number => {
      if (block === 0) return true;
      if (!volume.isData(block) || seen.has(block)) return -Errno.EUCLEAN;
      if (!visit(block, 1)) return false;
      if (level === 0) return true;
      seen.add(block);
      const buffer = volume.meta.read(block);
      if (buffer === null) return -Errno.EIO;
      for (let i = 0; i < this.perBlock; i++) {
        const answer = walk(buffer.view.getUint32(4 * i, true), level - 1);
        if (answer !== true) return answer;
      }
      return true;
    };
    for (let i = 0; i < DIRECT + 3; i++) {
      const answer = walk(this.root.getUint32(4 * i, true), Math.max(0, i - DIRECT + 1));
      if (typeof answer === 'number') return answer;
      if (!answer) return 0;
    }
    return 0;
  }
}

/** One number of a block that is no longer the file's, by itself. */
function copyOf(buffer: MetaBuffer, i: number): DataView {
  if (4 * i + 4 > buffer.data.length) bug(`number ${i} of a block`);
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, buffer.view.getUint32(4 * i, true), true);
  return view;
}
