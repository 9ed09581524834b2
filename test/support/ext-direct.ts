// Files of an ext image without a page cache: bytes go straight between an array and the image, through the maps of the inode. For tests of the format.
import { MemoryImage } from '#kernel/block/image.ts';
import type { DiskImage } from '#kernel/block/image.ts';
import { ExtFileSystem, type ExtInode, mountExt, type MountFailure } from '#kernel/fs/ext/index.ts';
import { ExtentTree } from '#kernel/fs/ext/extents.ts';
import { ImageBlocks } from '#kernel/fs/ext/image-blocks.ts';
import { mkfs, mkfsDefaults, type MkfsEntry, type MkfsOptions } from '#kernel/fs/ext/mkfs.ts';
import { IomapPurpose, IomapType } from '#kernel/fs/mapping.ts';

/** A clock that moves on by itself, so that every stamp differs. */
export function ticking(from = 1_700_000_000): () => { sec: number; nsec: number } {
  let ticks = 0;
  return () => ({ sec: from + Math.floor(++ticks / 1000), nsec: (ticks % 1000) * 1_000_000 });
}
const cannotOpen = { open: () => -6 };
export function mountImage(image: DiskImage, isReadOnly = false, now = ticking()): ExtFileSystem | MountFailure {
  return mountExt({ open: (blockSize) => new ImageBlocks(image, blockSize), isReadOnly, now, devMajor: 8, devMinor: 0, contentOf: () => cannotOpen });
}
/** The same where it must work. */
export function mounted(image: DiskImage, isReadOnly = false): ExtFileSystem {
  const fs = mountImage(image, isReadOnly);
  if (!(fs instanceof ExtFileSystem)) throw new Error(fs.sentence);
  return fs;
}
export function madeImage(options: Partial<MkfsOptions>, sizeBytes: number, entries: readonly MkfsEntry[] = []): MemoryImage {
  const image = new MemoryImage(new Uint8Array(sizeBytes));
  const problem = mkfs(image, { ...mkfsDefaults, ...options }, entries);
  if (problem !== null) throw new Error(problem);
  return image;
}

/** Where the block at `index` is, allocated if need be, new ones zeroed; -errno. */
function blockFor(image: DiskImage, inode: ExtInode, index: number, lenBytes: number): { addr: number; lenBytes: number } | number {
  const { blockSize } = inode.volume;
  if (!(inode.map instanceof ExtentTree)) {
    const mapped = inode.map!.getBlock(index, true);
    if (typeof mapped === 'number') return mapped;
    if (mapped.isNew) image.write(mapped.block * blockSize, new Uint8Array(blockSize));
    return { addr: mapped.block * blockSize, lenBytes: blockSize };
  }
  const iomap = inode.map.begin(index * blockSize, lenBytes, IomapPurpose.Write);
  if (typeof iomap === 'number') return iomap;
  if (iomap.type === IomapType.Unwritten) image.write(iomap.addrBytes, new Uint8Array(iomap.lenBytes));
  const error = inode.map.written(iomap.offset, iomap.lenBytes);
  return error !== 0 ? error : { addr: iomap.addrBytes, lenBytes: iomap.lenBytes };
}

/** Writes; the size grows. @returns bytes written, or -errno when none were */
export function writeAt(image: DiskImage, inode: ExtInode, offset: number, bytes: Uint8Array): number {
  const { blockSize } = inode.volume;
  let done = 0;
  while (done < bytes.length) {
    const index = Math.floor((offset + done) / blockSize);
    const within = (offset + done) % blockSize;
    const found = blockFor(image, inode, index, within + bytes.length - done);
    if (typeof found === 'number') {
      if (done === 0) return found;
      break;
    }
    const count = Math.min(bytes.length - done, found.lenBytes - within);
    const whole = new Uint8Array(Math.ceil((within + count) / blockSize) * blockSize);
    image.read(found.addr, whole);
    whole.set(bytes.subarray(done, done + count), within);
    image.write(found.addr, whole);
    done += count;
  }
  if (offset + done > inode.size) inode.size = offset + done;
  return done;
}

/** Reads up to the size; holes and unwritten blocks are zeros. -errno where the map is damaged. */
export function readAt(image: DiskImage, inode: ExtInode, offset: number, lenBytes: number): Uint8Array | number {
  const { blockSize } = inode.volume;
  const bytes = new Uint8Array(Math.max(0, Math.min(lenBytes, inode.size - offset)));
  const block = new Uint8Array(blockSize);
  for (let done = 0; done < bytes.length; ) {
    const index = Math.floor((offset + done) / blockSize);
    const within = (offset + done) % blockSize;
    const count = Math.min(bytes.length - done, blockSize - within);
    let addr = -1;
    if (inode.map instanceof ExtentTree) {
      const iomap = inode.map.begin(index * blockSize, blockSize, IomapPurpose.Read);
      if (typeof iomap === 'number') return iomap;
      if (iomap.type === IomapType.Mapped) addr = iomap.addrBytes + index * blockSize - iomap.offset;
    } else {
      const mapped = inode.map!.getBlock(index, false);
      if (typeof mapped === 'number' && mapped < 0) return mapped;
      if (typeof mapped !== 'number') addr = mapped.block * blockSize;
    }
    if (addr >= 0) {
      if (addr + blockSize > image.sizeBytes) throw new Error(`a map leads outside the image: ${addr}`);
      image.read(addr, block);
      bytes.set(block.subarray(within, within + count), done);
    }
    done += count;
  }
  return bytes;
}

/** Zeros [start, end) where blocks are written; holes stay. */
function zero(image: DiskImage, inode: ExtInode, start: number, end: number): void {
  const { blockSize } = inode.volume;
  for (let at = start; at < end; ) {
    const stop = Math.min(end, (Math.floor(at / blockSize) + 1) * blockSize);
    const found = inode.map instanceof ExtentTree ? inode.map.begin(at, 1, IomapPurpose.Zero) : inode.map!.getBlock(Math.floor(at / blockSize), false);
    const addr = typeof found === 'number' ? -1 : 'type' in found ? (found.type === IomapType.Mapped ? found.addrBytes : -1) : found.block * blockSize;
    if (addr >= 0) {
      const block = new Uint8Array(blockSize);
      image.read(addr, block);
      block.fill(0, at % blockSize, (at % blockSize) + stop - at);
      image.write(addr, block);
    }
    at = stop;
  }
}
export function truncateTo(image: DiskImage, inode: ExtInode, size: number): number {
  const { blockSize } = inode.volume;
  if (size < inode.size) {
    const error = inode.truncateBlocks(size);
    if (error !== 0) return error;
    if (size % blockSize !== 0) zero(image, inode, size, Math.ceil(size / blockSize) * blockSize);
  }
  inode.size = size;
  return 0;
}
export function punchHole(image: DiskImage, inode: ExtInode, start: number, end: number): number {
  zero(image, inode, start, Math.min(end, inode.size));
  return inode.punch(start, end);
}
export function zeroRange(image: DiskImage, inode: ExtInode, start: number, end: number): number {
  zero(image, inode, start, Math.min(end, inode.size));
  return inode.zeroRange(start, end);
}
