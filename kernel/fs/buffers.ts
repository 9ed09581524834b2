// Metadata blocks of a mounted file system: the face that an on-disk format works with. Here: the interface. Not here: where the blocks are kept
// (the page cache of the block device, buffer-head.ts).
// Mirrors sb_bread(), mark_buffer_dirty(), sync_dirty_buffer() (fs/buffer.c).

/** One metadata block in memory. `data` is a working copy: markDirty() carries it into RAM, from where it is written back. */
export interface MetaBuffer {
  /** In units of the file system's block size. */
  readonly block: number;
  readonly data: Uint8Array;
  readonly view: DataView;
  /** `data` was changed: it will be written back (by sync, by the flusher). */
  markDirty(): void;
}

/** The metadata blocks of one device. Every call waits where it must. */
export interface MetaBlocks {
  readonly blockSize: number;
  /** Blocks of the device, rounded down. */
  readonly nrBlocks: number;
  readonly isReadOnly: boolean;
  /** A block's contents; null: outside the device, or it cannot be read (EIO). The same object as long as it stays in memory. */
  read(block: number): MetaBuffer | null;
  /** A block that is about to be overwritten whole: not read, zeros. null: outside the device, or no memory. */
  fresh(block: number): MetaBuffer | null;
  /** Is no metadata any more (its block is free, or becomes data): what was to be written of it need not be. Mirrors bforget(). */
  forget(block: number): void;
  /** Writes one dirty block, and waits. @returns 0 or -EIO */
  syncBlock(block: number): number;
  /** Writes all dirty blocks, waits, and flushes the device. @returns 0 or -EIO */
  syncAll(): number;
}
