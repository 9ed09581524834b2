// ext4's way: a tree of extents, each a run of blocks that lie together in the file and on the device. Its root is in the inode, its other nodes
// fill a block each. Here: find, allocate, free, mark as written or unwritten; splitting and growing. Mirrors ext4/extents.c.
//
// A change is always the same three steps: find() the leaf, makeRoom() for the entries that it may come to (which alone can fail, and leaves the
// tree as it was), splice() them in. Neighbours that touch become one extent. Nodes are judged when they are first read; depth falls with every
// step down, so that no damaged tree can be walked for ever.
import { Errno } from '../../syscall/errno.ts';
import type { MetaBuffer } from '../buffers.ts';
import { type Iomap, IomapPurpose, type IomapSource, IomapType } from '../mapping.ts';
import { takeMetaBlock } from './alloc.ts';
import { crc32c } from './checksum.ts';
import { type FileMap, MAX_FILE_BLOCKS, type MapOwner, type MappedBlock } from './filemap.ts';
import { I_BLOCK_BYTES } from './layout.ts';

const MAGIC = 0xf30a;
const HEADER_BYTES = 12;
const ENTRY_BYTES = 12;
const MAX_DEPTH = 5;
/** Longest extent; a length above it means an unwritten one, of that much less. */
const MAX_WRITTEN = 32768;
const MAX_UNWRITTEN = 32767;
const ROOT_ENTRIES = (I_BLOCK_BYTES - HEADER_BYTES) / ENTRY_BYTES;

/** Blocks [index, index + count) of the file are blocks [block, block + count) of the device. */
export interface Extent { readonly index: number; readonly count: number; readonly block: number; readonly unwritten: boolean }

/** A node of the tree: its bytes, and the buffer they are in; null: the root, in the inode. */
interface Node { readonly view: DataView; readonly bytes: Uint8Array; readonly buffer: MetaBuffer | null }
/** The entry taken in a node on the way down; -1: before the first one of a leaf. */
interface Step { readonly node: Node; readonly at: number }

const nrEntries = (node: Node): number => node.view.getUint16(2, true);
const maxEntries = (node: Node): number => node.view.getUint16(4, true);
const depthOf = (node: Node): number => node.view.getUint16(6, true);
const entryAt = (at: number): number => HEADER_BYTES + ENTRY_BYTES * at;
const keyOf = (node: Node, at: number): number => node.view.getUint32(entryAt(at), true);
const childOf = ({ view }: Node, at: number): number => view.getUint32(entryAt(at) + 4, true) + view.getUint16(entryAt(at) + 8, true) * 2 ** 32;
const capacity = (bytes: number): number => Math.floor((bytes - HEADER_BYTES) / ENTRY_BYTES);

function extentOf({ view }: Node, at: number): Extent {
  const base = entryAt(at);
  const length = view.getUint16(base + 4, true);
  const unwritten = length > MAX_WRITTEN;
  const block = view.getUint32(base + 8, true) + view.getUint16(base + 6, true) * 2 ** 32;
  return { index: view.getUint32(base, true), count: unwritten ? length - MAX_WRITTEN : length, block, unwritten };
}
function putExtent({ view }: Node, at: number, { index, count, block, unwritten }: Extent): void {
  const base = entryAt(at);
  view.setUint32(base, index, true);
  view.setUint16(base + 4, unwritten ? count + MAX_WRITTEN : count, true);
  view.setUint16(base + 6, Math.floor(block / 2 ** 32), true);
  view.setUint32(base + 8, block % 2 ** 32, true);
}
function putChild({ view }: Node, at: number, key: number, block: number): void {
  const base = entryAt(at);
  view.setUint32(base, key, true);
  view.setUint32(base + 4, block % 2 ** 32, true);
  view.setUint16(base + 8, Math.floor(block / 2 ** 32), true);
  view.setUint16(base + 10, 0, true);
}
function putHeader({ view }: Node, entries: number, max: number, depth: number): void {
  view.setUint16(0, MAGIC, true);
  view.setUint16(2, entries, true);
  view.setUint16(4, max, true);
  view.setUint16(6, depth, true);
}
const part = (e: Extent, from: number, to: number, unwritten: boolean = e.unwritten): Extent => ({ index: from, count: to - from, block: e.block + from - e.index, unwritten });
const touches = (a: Extent, b: Extent): boolean =>
  a.unwritten === b.unwritten && a.index + a.count === b.index && a.block + a.count === b.block && a.count + b.count <= (a.unwritten ? MAX_UNWRITTEN : MAX_WRITTEN);

export class ExtentTree implements IomapSource, FileMap {
  private readonly owner: MapOwner;
  private readonly root: Node;

  constructor(owner: MapOwner) {
    this.owner = owner;
    const bytes = owner.iBlock;
    this.root = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), bytes, buffer: null };
  }
  /** Makes i_block the root of a tree without extents. */
  format(): void {
    this.owner.iBlock.fill(0);
    putHeader(this.root, 0, ROOT_ENTRIES, 0);
  }
  /** The root as it was read from the disk: null when it may stay, else what is wrong. */
  judgeRoot(): string | null {
    return this.judge(this.root, depthOf(this.root), 0, MAX_FILE_BLOCKS);
  }

  // --- What the rest of the kernel asks ---

  begin(offset: number, lenBytes: number, purpose: IomapPurpose): Iomap | number {
    const { blockSize } = this.owner.volume;
    const index = Math.floor(offset / blockSize);
    const end = Math.min(MAX_FILE_BLOCKS, Math.ceil((offset + Math.max(1, lenBytes)) / blockSize));
    if (index >= MAX_FILE_BLOCKS) return purpose === IomapPurpose.Write ? -Errno.EFBIG : { type: IomapType.Hole, offset, lenBytes, addrBytes: 0, isNew: false };
    const found = this.lookup(index);
    if (typeof found === 'number') return found;
    const { extent, next } = found;
    if (extent !== null) return this.answer(part(extent, index, Math.min(end, extent.index + extent.count)), false);
    if (purpose !== IomapPurpose.Write) return { type: IomapType.Hole, offset: index * blockSize, lenBytes: (Math.min(end, next) - index) * blockSize, addrBytes: 0, isNew: false };
    // Unwritten, so that nobody reads what the blocks held before, whatever happens until the data is there.
    const made = this.allocate(index, Math.min(end, next), true);
    return typeof made === 'number' ? made : this.answer(made, true);
  }
  private answer(e: Extent, isNew: boolean): Iomap {
    const { blockSize } = this.owner.volume;
    return { type: e.unwritten ? IomapType.Unwritten : IomapType.Mapped, offset: e.index * blockSize, lenBytes: e.count * blockSize, addrBytes: e.block * blockSize, isNew };
  }
  written(offset: number, lenBytes: number): number {
    const { blockSize } = this.owner.volume;
    return this.mark(Math.floor(offset / blockSize), Math.ceil((offset + lenBytes) / blockSize), false);
  }
  getBlock(index: number, create: boolean): MappedBlock | number {
    if (index >= MAX_FILE_BLOCKS) return -Errno.EFBIG;
    const found = this.lookup(index);
    if (typeof found === 'number') return found;
    if (found.extent !== null) return { block: found.extent.block + index - found.extent.index, isNew: false };
    if (!create) return 0;
    const made = this.allocate(index, index + 1, false);
    return typeof made === 'number' ? made : { block: made.block, isNew: true };
  }

  /** Sets blocks aside for the holes of [first, end); they read as zeros. @returns 0 or -errno: what was set aside until then stays. */
  fill(first: number, end: number): number {
    for (let index = first; index < end; ) {
      const found = this.lookup(index);
      if (typeof found === 'number') return found;
      const { extent, next } = found;
      if (extent === null) {
        const made = this.allocate(index, Math.min(end, next), true);
        if (typeof made === 'number') return made;
        index = made.index + made.count;
      } else index = extent.index + extent.count;
    }
    return 0;
  }
  /** Makes all extents within [first, end) written ones, or unwritten ones. Mirrors ext4_convert_unwritten_extents() and ZERO_RANGE's way back. */
  mark(first: number, end: number, unwritten: boolean): number {
    for (let index = first; index < end; ) {
      const found = this.lookup(index);
      if (typeof found === 'number') return found;
      const { extent, next } = found;
      if (extent === null) {
        index = next;
        continue;
      }
      const to = Math.min(end, extent.index + extent.count, index + MAX_UNWRITTEN);
      if (extent.unwritten !== unwritten) {
        const pieces = [part(extent, extent.index, index), part(extent, index, to, unwritten), part(extent, to, extent.index + extent.count)].filter((p) => p.count > 0);
        const error = this.replace(extent.index, pieces) || this.mergeAround(index);
        if (error !== 0) return error;
      }
      index = to;
    }
    return 0;
  }

  free(first: number, endGiven: number): number {
    let end = Math.min(endGiven, MAX_FILE_BLOCKS);
    let error = 0;
    while (end > first) {
      const path = this.find(end - 1);
      if (typeof path === 'number') return path;
      const { node, at } = path.at(-1)!;
      if (at < 0) {
        const before = keyBefore(path);
        if (before === null) return error;
        end = before;
        continue;
      }
      const extent = extentOf(node, at);
      const from = Math.max(first, extent.index);
      const to = Math.min(end, extent.index + extent.count);
      if (to <= from) return error;
      const rest = [part(extent, extent.index, from), part(extent, to, extent.index + extent.count)].filter((p) => p.count > 0);
      const failed = this.replace(extent.index, rest);
      if (failed !== 0) return failed;
      error = this.owner.allocator.freeBlocks(extent.block + from - extent.index, to - from, this.owner.holdsMetadata) || error;
      this.owner.countBlocks(from - to);
      end = from;
    }
    return error;
  }

  eachRun(visit: (block: number, count: number) => boolean): number {
    const walk = (node: Node, low: number, high: number): boolean | number => {
      const isLeaf = depthOf(node) === 0;
      for (let at = 0; at < nrEntries(node); at++) {
        if (isLeaf) {
          const { block, count } = extentOf(node, at);
          if (!visit(block, count)) return false;
          continue;
        }
        const child = this.child(node, at, at + 1 < nrEntries(node) ? keyOf(node, at + 1) : high);
        if (typeof child === 'number') return child;
        if (!visit(childOf(node, at), 1)) return false;
        const answer = walk(child, low, high);
        if (answer !== true) return answer;
      }
      return true;
    };
    const answer = walk(this.root, 0, MAX_FILE_BLOCKS);
    return typeof answer === 'number' ? answer : 0;
  }

  // --- Finding ---

  /** The extent that holds a block of the file, or null and where the next one begins. */
  private lookup(index: number): { extent: Extent | null; next: number } | number {
    const path = this.find(index);
    if (typeof path === 'number') return path;
    const { node, at } = path.at(-1)!;
    const extent = at >= 0 ? extentOf(node, at) : null;
    const isInside = extent !== null && index < extent.index + extent.count;
    const next = isInside ? extent.index + extent.count : nextKey(path);
    // Judged before, but a damaged disk may have two files write to one block.
    const { volume, ino } = this.owner;
    if (next <= index || (isInside && !volume.isData(extent.block, extent.count))) return volume.corrupt(`extents of inode ${ino}: they have changed by themselves`);
    return { extent: isInside ? extent : null, next };
  }
  /** The way down to the leaf for a block of the file, and its last entry that does not begin behind it. */
  private find(index: number): Step[] | number {
    const path: Step[] = [];
    let node = this.root;
    let high = MAX_FILE_BLOCKS;
    for (;;) {
      let low = 0;
      let above = nrEntries(node);
      while (low < above) {
        const middle = (low + above) >>> 1;
        if (keyOf(node, middle) <= index) low = middle + 1;
        else above = middle;
      }
      const isLeaf = depthOf(node) === 0;
      const at = isLeaf ? low - 1 : Math.max(0, low - 1);
      path.push({ node, at });
      if (isLeaf) return path;
      if (at + 1 < nrEntries(node)) high = keyOf(node, at + 1);
      const child = this.child(node, at, high);
      if (typeof child === 'number') return child;
      node = child;
    }
  }
  /** The node behind an entry, judged. @param high the first block of the file that belongs to the next one */
  private child(parent: Node, at: number, high: number): Node | number {
    const { volume, ino } = this.owner;
    const buffer = volume.readData(childOf(parent, at), `extents of inode ${ino}`);
    if (typeof buffer === 'number') return buffer;
    const node = { view: buffer.view, bytes: buffer.data, buffer };
    const depth = depthOf(parent) - 1;
    const wrong = depthOf(node) !== depth || nrEntries(node) === 0 || nrEntries(node) > capacity(volume.blockSize) || keyOf(node, 0) < keyOf(parent, at)
      ? 'it does not fit its parent' : volume.judged.nodes.has(buffer) ? null : this.judge(node, depth, keyOf(parent, at), high);
    if (wrong !== null) return volume.corrupt(`extents of inode ${ino}, block ${buffer.block}: ${wrong}`);
    volume.judged.nodes.add(buffer);
    return node;
  }
  /** Is this a node of such a depth, for blocks [low, high) of the file? null, or what is wrong. Mirrors __ext4_ext_check(). */
  private judge(node: Node, depth: number, low: number, high: number): string | null {
    const { volume } = this.owner;
    const isRoot = node.buffer === null;
    if (node.view.getUint16(0, true) !== MAGIC) return 'no magic number';
    if (depth > MAX_DEPTH || depthOf(node) !== depth) return 'wrong depth';
    const [entries, max] = [nrEntries(node), maxEntries(node)];
    if (max < ROOT_ENTRIES || max > (isRoot ? ROOT_ENTRIES : capacity(volume.blockSize)) || entries > max) return 'impossible number of entries';
    if (entries === 0 && (!isRoot || depth > 0)) return 'no entries';
    if (!isRoot && volume.hasCsum && this.sumOf(node) !== node.view.getUint32(entryAt(max), true)) return 'wrong checksum';
    let from = low;
    for (let at = 0; at < entries; at++) {
      if (keyOf(node, at) < from) return 'entries out of order';
      if (depth > 0) {
        if (!volume.isData(childOf(node, at))) return 'a child that cannot be its';
        from = keyOf(node, at) + 1;
      } else {
        const extent = extentOf(node, at);
        if (extent.count === 0 || !volume.isData(extent.block, extent.count)) return 'blocks that cannot be its';
        from = extent.index + extent.count;
      }
    }
    return from > high ? 'entries beyond its end' : null;
  }
  private sumOf(node: Node): number {
    return crc32c(this.owner.seed, node.bytes, 0, entryAt(maxEntries(node)));
  }

  // --- Changing ---

  /** Allocates blocks for a hole's beginning: as much of [index, end) as lies together. The caller knows that it is a hole. */
  private allocate(index: number, end: number, unwritten: boolean): Extent | number {
    const path = this.find(index);
    if (typeof path === 'number') return path;
    const { node, at } = path.at(-1)!;
    const left = at >= 0 ? extentOf(node, at) : null;
    const { allocator, ino } = this.owner;
    const goal = left !== null ? left.block + index - left.index
      : nrEntries(node) > 0 ? Math.max(0, extentOf(node, 0).block - (extentOf(node, 0).index - index)) : allocator.homeOf(ino);
    const run = allocator.takeBlocks(goal, Math.min(end - index, MAX_UNWRITTEN), ino);
    if (typeof run === 'number') return run;
    const made: Extent = { index, count: run.count, block: run.block, unwritten };
    const error = this.insert(made);
    if (error !== 0) {
      allocator.freeBlocks(run.block, run.count);
      return error;
    }
    this.owner.countBlocks(run.count);
    return made;
  }
  private insert(extent: Extent): number {
    const path = this.find(extent.index);
    if (typeof path === 'number') return path;
    const { node, at } = path.at(-1)!;
    const left = at >= 0 ? extentOf(node, at) : null;
    if (left !== null && touches(left, extent)) {
      this.splice(path, at, 1, [{ ...left, count: left.count + extent.count }]);
      return this.mergeAround(left.index);
    }
    const roomy = this.makeRoom(path, extent.index, 1);
    if (typeof roomy === 'number') return roomy;
    this.splice(roomy, roomy.at(-1)!.at + 1, 0, [extent]);
    return this.mergeAround(extent.index);
  }
  /** Puts up to three extents in the place of the one that begins at `index`. */
  private replace(index: number, pieces: readonly Extent[]): number {
    const found = this.find(index);
    if (typeof found === 'number') return found;
    const path = this.makeRoom(found, index, Math.max(0, pieces.length - 1));
    if (typeof path === 'number') return path;
    this.splice(path, path.at(-1)!.at, 1, pieces);
    return 0;
  }
  /** Joins the extent at `index` with its neighbours in the leaf, where they touch. */
  private mergeAround(index: number): number {
    for (const offset of [0, -1]) {
      const path = this.find(index);
      if (typeof path === 'number') return path;
      const { node, at } = path.at(-1)!;
      const left = at + offset;
      if (left < 0 || left + 1 >= nrEntries(node)) continue;
      const [a, b] = [extentOf(node, left), extentOf(node, left + 1)];
      if (touches(a, b)) this.splice(path, left, 2, [{ ...a, count: a.count + b.count }]);
    }
    return 0;
  }

  /** Replaces entries of a leaf; there is room. The path is worth nothing afterwards. */
  private splice(path: readonly Step[], at: number, removed: number, extents: readonly Extent[]): void {
    const { node } = path.at(-1)!;
    const entries = nrEntries(node);
    node.bytes.copyWithin(entryAt(at + extents.length), entryAt(at + removed), entryAt(entries));
    extents.forEach((extent, i) => { putExtent(node, at + i, extent); });
    const now = entries - removed + extents.length;
    node.view.setUint16(2, now, true);
    if (now === 0 && path.length > 1) {
      this.dropNode(path, path.length - 1);
      return;
    }
    this.changed(node);
    if (at === 0 && now > 0) this.correctKeys(path, path.length - 1);
    this.shrink();
  }
  /** The node at `level` of the path is empty: gives its block back, and takes it out of its parent. */
  private dropNode(path: readonly Step[], level: number): void {
    const { block } = path[level]!.node.buffer!;
    this.owner.touched.delete(block);
    this.owner.allocator.freeBlocks(block, 1, true);
    this.owner.countBlocks(-1);
    const { node, at } = path[level - 1]!;
    const entries = nrEntries(node);
    node.bytes.copyWithin(entryAt(at), entryAt(at + 1), entryAt(entries));
    node.view.setUint16(2, entries - 1, true);
    if (entries === 1 && level - 1 > 0) {
      this.dropNode(path, level - 1);
      return;
    }
    if (entries === 1) putHeader(node, 0, ROOT_ENTRIES, 0);
    this.changed(node);
    if (at === 0 && entries > 1) this.correctKeys(path, level - 1);
    this.shrink();
  }
  /** The first key of the node at `level` has changed: so does its parent's, as far as it is the first one there too. */
  private correctKeys(path: readonly Step[], level: number): void {
    const key = keyOf(path[level]!.node, 0);
    for (let i = level - 1; i >= 0; i--) {
      const { node, at } = path[i]!;
      node.view.setUint32(entryAt(at), key, true);
      this.changed(node);
      if (at > 0) return;
    }
  }
  /** A root with a single child whose entries it has room for takes them over. Mirrors ext4_ext_try_to_merge_up(). */
  private shrink(): void {
    const { root } = this;
    while (depthOf(root) > 0 && nrEntries(root) === 1) {
      const child = this.child(root, 0, MAX_FILE_BLOCKS);
      if (typeof child === 'number' || nrEntries(child) > ROOT_ENTRIES) return;
      const block = child.buffer!.block;
      root.bytes.set(child.bytes.subarray(0, entryAt(nrEntries(child))));
      putHeader(root, nrEntries(child), ROOT_ENTRIES, depthOf(child));
      this.changed(root);
      this.owner.touched.delete(block);
      this.owner.allocator.freeBlocks(block, 1, true);
      this.owner.countBlocks(-1);
    }
  }
  private changed(node: Node): void {
    if (node.buffer === null) {
      this.owner.mapChanged();
      return;
    }
    if (this.owner.volume.hasCsum) node.view.setUint32(entryAt(maxEntries(node)), this.sumOf(node), true);
    this.owner.volume.dirty(node.buffer, this.owner);
  }

  /** Splits nodes until the leaf for `index` takes `extra` more entries. @returns the way to it, or -errno: then nothing is lost */
  private makeRoom(found: Step[], index: number, extra: number): Step[] | number {
    let path = found;
    for (;;) {
      const leaf = path.at(-1)!.node;
      if (nrEntries(leaf) + extra <= maxEntries(leaf)) return path;
      const error = this.split(path);
      if (error !== 0) return error;
      const again = this.find(index);
      if (typeof again === 'number') return again;
      path = again;
    }
  }
  /** Splits the lowest node whose parent has room, or makes the tree deeper. */
  private split(path: readonly Step[]): number {
    let level = path.length - 1;
    while (level > 0 && nrEntries(path[level - 1]!.node) >= maxEntries(path[level - 1]!.node)) level--;
    if (level === 0) return this.deepen();
    const { node, at } = path[level]!;
    const parent = path[level - 1]!;
    const entries = nrEntries(node);
    // A file that is written from its beginning fills its nodes: only the last entry moves.
    const moved = at === entries - 1 ? 1 : Math.floor(entries / 2);
    const fresh = this.takeNode(node, moved, depthOf(node));
    if (typeof fresh === 'number') return fresh;
    fresh.bytes.set(node.bytes.subarray(entryAt(entries - moved), entryAt(entries)), HEADER_BYTES);
    node.view.setUint16(2, entries - moved, true);
    this.changed(fresh);
    this.changed(node);
    const slot = parent.at + 1;
    parent.node.bytes.copyWithin(entryAt(slot + 1), entryAt(slot), entryAt(nrEntries(parent.node)));
    putChild(parent.node, slot, keyOf(fresh, 0), fresh.buffer!.block);
    parent.node.view.setUint16(2, nrEntries(parent.node) + 1, true);
    this.changed(parent.node);
    return 0;
  }
  /** The root's entries move into a block of their own. Mirrors ext4_ext_grow_indepth(). */
  private deepen(): number {
    const { root } = this;
    const depth = depthOf(root);
    if (depth >= MAX_DEPTH) return -Errno.ENOSPC;
    const entries = nrEntries(root);
    const fresh = this.takeNode(root, entries, depth);
    if (typeof fresh === 'number') return fresh;
    fresh.bytes.set(root.bytes.subarray(HEADER_BYTES, entryAt(entries)), HEADER_BYTES);
    this.changed(fresh);
    putHeader(root, 1, ROOT_ENTRIES, depth + 1);
    putChild(root, 0, keyOf(fresh, 0), fresh.buffer!.block);
    this.changed(root);
    return 0;
  }
  private takeNode(near: Node, entries: number, depth: number): Node | number {
    const { owner } = this;
    const goal = near.buffer?.block ?? owner.allocator.homeOf(owner.ino);
    const buffer = takeMetaBlock(owner.volume, owner.allocator, goal, owner);
    if (typeof buffer === 'number') return buffer;
    owner.countBlocks(1);
    owner.volume.judged.nodes.add(buffer);
    const node = { view: buffer.view, bytes: buffer.data, buffer };
    putHeader(node, entries, capacity(owner.volume.blockSize), depth);
    return node;
  }
}

/** Where the entry after the path's begins: the end of a hole there. */
function nextKey(path: readonly Step[]): number {
  for (let level = path.length - 1; level >= 0; level--) {
    const { node, at } = path[level]!;
    if (at + 1 < nrEntries(node)) return keyOf(node, at + 1);
  }
  return MAX_FILE_BLOCKS;
}
/** Where the part of the file begins that the path's leaf is for; null: it is the first leaf. */
function keyBefore(path: readonly Step[]): number | null {
  const step = path.slice(0, -1).findLast(({ at }) => at > 0);
  return step === undefined ? null : keyOf(step.node, step.at);
}
