// An inode: a file without its names. Here: its attributes, and the three things an inode can be besides them: a directory, a link, something
// that opens. Not here: names (dentry.ts), what an open file does (file.ts), where regular files keep their bytes (tmpfs.ts).
// Mirrors struct inode and inode_operations (include/linux/fs.h).
import { bug } from '#base';
import type { Task } from '../proc/task.ts';
import type { Dentry } from './dentry.ts';
import type { FileOps } from './file.ts';
import type { FileLocks } from './locks.ts';

/** The type bits of st_mode. */
export const S_IFMT = 0o170000;
export const FileType = {
  Fifo: 0o010000,
  Char: 0o020000,
  Directory: 0o040000,
  Block: 0o060000,
  Regular: 0o100000,
  Symlink: 0o120000,
  Socket: 0o140000,
} as const;
export type FileType = (typeof FileType)[keyof typeof FileType];

export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;

/** What getdents64 says of a file's type: the type bits of its mode, shifted. */
export const direntType = (mode: number): number => (mode & S_IFMT) >> 12;

/** A moment on the modelled clock, as seconds of the epoch; never changed in place. */
export interface Timespec { readonly sec: number; readonly nsec: number }

/** A device number as user space sees it (new_encode_dev). */
export const deviceNumber = (major: number, minor: number): number =>
  ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
export const deviceMajor = (dev: number): number => (dev >>> 8) & 0xfff;
export const deviceMinor = (dev: number): number => (dev & 0xff) | ((dev >>> 12) & 0xfff00);

/** What statfs reports; counts in blocks of `blockSize` bytes. blocksAvailable: without what is kept for root; absent: all that is free. */
export interface FsUsage { blockSize: number; blocks: number; blocksFree: number; files: number; filesFree: number; blocksAvailable?: number }

/** One mounted file system. */
export interface FileSystem {
  /** As in /proc/filesystems: 'tmpfs', 'proc', ... */
  readonly type: string;
  /** statfs f_type. */
  readonly magic: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Mount options after 'rw,relatime' in /proc/mounts, with a leading comma, or empty. */
  readonly options: string;
  usage(): FsUsage;
  /** What a name may not be made for here answers: -EPERM, or -ENOENT for /proc. */
  readonly refusal?: number;
  /** Nothing may be changed (EROFS); a file system that finds itself damaged may become so. */
  readonly isReadOnly?: boolean;
  /** Most names a file may have, and most links a directory may count (EMLINK). */
  readonly maxLinks?: number;
  readonly maxDirectories?: number;
  /** Attributes of the inode have changed, nlink among them: a file system on a disk writes them some time. Mirrors mark_inode_dirty(). */
  dirtyInode?(inode: Inode): void;
  /** Writes all that a file system on a disk keeps in memory but for the data of files, and waits. @returns 0 or -errno */
  sync?(): number;
  /** Neither a name nor a user of the inode is left: gives back what it holds. */
  evict?(inode: Inode): void;
  /** Names beyond an inode's first take room too. reserveName: false, there is none. */
  reserveName?(): boolean;
  releaseName?(): void;
}

export interface DirEntry {
  readonly name: string;
  readonly ino: number;
  /** A file mode of which only the type bits matter. */
  readonly mode: number;
  /** Where this entry stands in its directory's order: a position that getdents64 can go on from. */
  readonly position: number;
}

/** The contents of a directory; -errno where a disk fails or is damaged. Without `add` and `remove` its names come from the kernel and cannot be
 *  changed. */
export interface Directory {
  lookup(at: Dentry, name: string, t: Task | null): Dentry | null | number;
  /** Entries from `position` on (2 is the first; 0 and 1 are '.' and '..', which the caller makes), in the directory's own order. */
  list(at: Dentry, position: number, t: Task | null): readonly DirEntry[] | number;
  add?(at: Dentry, name: string, inode: Inode): Dentry | number;
  /** @returns 0 or -errno */
  remove?(at: Dentry, entry: Dentry): number;
  isEmpty?(): boolean;
  size?(): number;
  /** Moves an entry of this directory to `name` in `to`, in the place of `target` if there is one, which takes the entry's own place when they
   *  exchange. The dentries' names and parents are the caller's to change. @returns 0, or -errno: then nothing has moved */
  rename?(source: Dentry, target: Dentry | null, to: Dentry, name: string, exchanges: boolean): number;
  /** Makes an inode of the same file system, without a name yet; -errno when there is no room. */
  make?(mode: number): Inode | number;
  makeLink?(text: string, sizeBytes: number): Inode | number;
}

/** What a symbolic link leads to: text to be walked, or, for the links of /proc, a place itself. */
export interface LinkTarget {
  /** st_size of the link: the length of a stored text in bytes, 0 or 64 for the links of /proc. */
  readonly size: number;
  /** The text readlink gives; -errno when it cannot be read. */
  text(t: Task | null): string | number;
  /** Where following it arrives, when that is not found by walking the text; null: walk the text. */
  jump?(t: Task | null): Dentry | number | null;
}

/** Something that opens: answers the operations for one more open file. */
export interface Openable {
  /** -errno, or BLOCK once `t` sleeps (fifos). */
  open(inode: Inode, flags: number, t: Task | null): FileOps | number;
  /** Bytes, for stat, append and lseek. */
  size?(inode: Inode): number;
  /** Room used, in units of 512 bytes, for stat. */
  blocks?(inode: Inode): number;
  /** Cuts or grows a regular file; without it EINVAL. */
  truncate?(inode: Inode, size: number): number;
  /** The inode is about to be deleted: what is in memory of it goes. */
  evict?(inode: Inode): void;
}

export interface InodeFacets {
  readonly dir?: Directory;
  readonly link?: LinkTarget;
  readonly content?: Openable;
}

export class Inode {
  readonly fs: FileSystem;
  readonly ino: number;
  /** Type and permission bits, as st_mode. */
  mode: number;
  nlink = 1;
  uid = 0;
  gid = 0;
  /** The device that a character special file stands for (deviceNumber), else 0. */
  rdev = 0;
  atime: Timespec;
  mtime: Timespec;
  ctime: Timespec;
  readonly btime: Timespec;
  // What it is besides its attributes: set when it is made, never again.
  dir: Directory | null;
  link: LinkTarget | null;
  content: Openable | null;
  /** How many open files and mappings hold this inode beyond its names. */
  users = 0;
  /** Memory is swapped to its blocks: nobody may change it (S_SWAPFILE). */
  isSwapFile = false;
  /** Record locks and flocks, from the first one on. */
  locks: FileLocks | null = null;

  constructor(fs: FileSystem, ino: number, mode: number, now: Timespec, facets: InodeFacets = {}) {
    this.fs = fs;
    this.ino = ino;
    this.mode = mode;
    this.atime = this.mtime = this.ctime = this.btime = now;
    this.dir = facets.dir ?? null;
    this.link = facets.link ?? null;
    this.content = facets.content ?? null;
  }

  get type(): number {
    return this.mode & S_IFMT;
  }
  get isDirectory(): boolean {
    return this.type === FileType.Directory;
  }
}

/** A user lets go of an inode; without names and users its contents are given back (iput). */
export function dropInode(inode: Inode): void {
  if (inode.users <= 0) bug(`inode ${inode.ino} dropped too often`);
  inode.users--;
  evictIfUnused(inode);
}
/** One name fewer. */
export function dropName(inode: Inode): void {
  if (inode.nlink > 0) inode.nlink--; // a damaged disk may know of fewer names than there are
  if (inode.users > 0 || inode.nlink > 0) inode.fs.dirtyInode?.(inode);
  evictIfUnused(inode);
}
/** A new inode gets no name after all. */
export function discardInode(inode: Inode): void {
  inode.nlink = 0;
  evictIfUnused(inode);
}
/** Attributes were changed. */
export const attributesChanged = (inode: Inode): void => inode.fs.dirtyInode?.(inode);
function evictIfUnused(inode: Inode): void {
  if (inode.users === 0 && inode.nlink === 0) inode.fs.evict?.(inode);
}
