// Metadata blocks straight from an image: for tools that make or read a file system without a machine (quire mkfs), and for tests. Here: MetaBlocks
// over a DiskImage; what is dirty stays in memory until it is synced. A machine's own are in its RAM (buffer-head.ts).
import type { DiskImage } from '../../block/image.ts';
import { Errno } from '../../syscall/errno.ts';
import type { MetaBlocks, MetaBuffer } from '../buffers.ts';

class ImageBuffer implements MetaBuffer {
  readonly block: number;
  readonly data: Uint8Array;
  readonly view: DataView;
  isDirty = false;
  constructor(block: number, data: Uint8Array) {
    this.block = block;
    this.data = data;
    this.view = new DataView(data.buffer);
  }
  markDirty(): void {
    this.isDirty = true;
  }
}

export class ImageBlocks implements MetaBlocks {
  readonly blockSize: number;
  readonly nrBlocks: number;
  private readonly image: DiskImage;
  private readonly buffers = new Map<number, ImageBuffer>();

  constructor(image: DiskImage, blockSize: number) {
    this.image = image;
    this.blockSize = blockSize;
    this.nrBlocks = Math.floor(image.sizeBytes / blockSize);
  }
  get isReadOnly(): boolean {
    return this.image.isReadOnly;
  }
  private isInside(block: number): boolean {
    return Number.isInteger(block) && block >= 0 && block < this.nrBlocks;
  }
  read(block: number): MetaBuffer | null {
    const known = this.buffers.get(block);
    if (known !== undefined) return known;
    const data = new Uint8Array(this.blockSize);
    if (!this.isInside(block) || !this.image.read(block * this.blockSize, data)) return null;
    return this.keep(new ImageBuffer(block, data));
  }
  fresh(block: number): MetaBuffer | null {
    return this.isInside(block) ? this.keep(new ImageBuffer(block, new Uint8Array(this.blockSize))) : null;
  }
  private keep(buffer: ImageBuffer): ImageBuffer {
    this.buffers.set(buffer.block, buffer);
    return buffer;
  }
  forget(block: number): void {
    this.buffers.delete(block);
  }
  syncBlock(block: number): number {
    const buffer = this.buffers.get(block);
    if (buffer === undefined || !buffer.isDirty) return 0;
    if (!this.image.write(block * this.blockSize, buffer.data)) return -Errno.EIO;
    buffer.isDirty = false;
    return 0;
  }
  syncAll(): number {
    let error = 0;
    for (const block of [...this.buffers.keys()].sort((a, b) => a - b)) error = this.syncBlock(block) || error;
    return error || (this.image.flush() ? 0 : -Errno.EIO);
  }
}
