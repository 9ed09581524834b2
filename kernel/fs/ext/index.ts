// ext: the on-disk format of ext2 and ext4, over the blocks of a device. What a file's bytes go through is elsewhere: this room says where they are
// (BlockMapper for block maps, IomapSource for extents), and keeps everything else of the format itself.
//
// Reading order, which is that of a mount, a lookup and a write:
//   layout.ts       the bytes: superblock, group descriptors, fields of an inode; features by name
//   checksum.ts     crc32c and crc16
//   volume.ts       what all share: geometry, which blocks are metadata, checksums, what happens when damage is found
//   super.ts        mounting: everything that is judged before anything is believed
//   file-system.ts  ExtFileSystem: inodes in memory, made, deleted; orphans; sync and unmount
//   inode.ts        ExtInode: from the table and back; what the page cache asks; what fsync writes
//   dir.ts          names of a directory, symbolic links; dirblock.ts one block of entries
//   filemap.ts      what both ways of mapping a file's blocks answer
//   blockmap.ts     ext2: block numbers, and blocks of block numbers
//   extents.ts      ext4: a tree of runs, written or set aside
//   alloc.ts        which blocks and inodes are free, and who gets which
//   mkfs.ts         a new file system, filled; image-blocks.ts metadata blocks straight from an image, for tools
//
// Left out: journals (an image with an empty one is mounted, and the journal is not used), quotas, extended attributes (kept, not read), encryption,
// compression, clusters, data in inodes, hashed lookups (hashed directories are read; a new name makes them ordinary ones).
export { mountExt, ExtFileSystem } from './file-system.ts';
export type { MountOptions } from './file-system.ts';
export type { MountFailure } from './super.ts';
export { ExtInode } from './inode.ts';
