// What the two ways of mapping a file's blocks have in common: whose they are, and what the rest of the driver asks of either. Here: interfaces.
// Not here: the ways (blockmap.ts, extents.ts).
import type { Allocator } from './alloc.ts';
import type { Toucher, Volume } from './volume.ts';

/** The inode, as its map sees it. */
export interface MapOwner extends Toucher {
  readonly ino: number;
  readonly volume: Volume;
  readonly allocator: Allocator;
  /** Begins the checksums of what belongs to the inode. */
  readonly seed: number;
  /** Its blocks hold metadata (a directory's entries, a link's text): what was to be written of them is nothing once they are free. */
  readonly holdsMetadata: boolean;
  /** i_block: fifteen block numbers, or the root of the tree. */
  readonly iBlock: Uint8Array;
  /** i_block was changed. */
  mapChanged(): void;
  /** So many blocks of the file system more, or fewer, are the inode's. */
  countBlocks(change: number): void;
}

/** One block of a file: where it is, and whether it was allocated by this very call. */
export interface MappedBlock { readonly block: number; readonly isNew: boolean }

export interface FileMap {
  /** The device's block for a block of the file; 0: a hole; -errno. */
  getBlock(index: number, create: boolean): MappedBlock | number;
  /** Frees the blocks of [first, end) of the file; `end` may be Infinity. @returns 0 or -errno: then what could not be freed stays */
  free(first: number, end: number): number;
  /** Calls `visit` with every run of blocks that is the file's, metadata of the map too, until it answers false. @returns 0 or -errno */
  eachRun(visit: (block: number, count: number) => boolean): number;
}

/** Numbers of blocks in a file stay below this. */
export const MAX_FILE_BLOCKS = 2 ** 32;
