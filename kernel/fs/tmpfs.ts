// tmpfs: directories, links and regular files in memory. Here: directories and links, what a mount counts. Not here: the bytes of regular
// files (regular.ts), which are pages of guest RAM. Mirrors mm/shmem.c, and fs/libfs.c for the order of a directory: newest name first.
import type { PageQuota } from '../mm/filemap.ts';
import type { MmSystem } from '../mm/system.ts';
import { Errno } from '../syscall/errno.ts';
import { Dentry } from './dentry.ts';
import { type Directory, type DirEntry, type FileSystem, FileType, type FsUsage, Inode, type LinkTarget, S_IFMT } from './inode.ts';
import { DeviceNode } from './dev.ts';
import { Fifo } from './fifo.ts';
import { RegularFile } from './regular.ts';
import { type KernelView, stamp } from './view.ts';

const PAGE_BYTES = 4096;
/** What a name adds to the size of its directory (BOGO_DIRENT_SIZE). */
const DIRENT_BYTES = 20;
/** '.' and '..' stand at 0 and 1, as cookies of getdents64 go. */
export const FIRST_POSITION = 2;

export interface TmpfsLimits {
  readonly maxPages: number;
  readonly maxInodes: number;
}

export class Tmpfs implements FileSystem {
  readonly type: string;
  readonly magic = 0x01021994;
  readonly devMajor = 0;
  readonly devMinor: number;
  readonly options: string;
  readonly quota: PageQuota;
  readonly root: Dentry;
  private readonly system: MmSystem;
  private readonly maxInodes: number;
  private usedInodes = 0;
  private nextIno = 1;
  private readonly view: KernelView;

  constructor(view: KernelView, system: MmSystem, devMinor: number, limits: TmpfsLimits, options = '', type = 'tmpfs', rootMode = 0o755) {
    this.system = system;
    this.type = type;
    this.devMinor = devMinor;
    this.options = options;
    this.quota = { usedPages: 0, maxPages: limits.maxPages };
    this.maxInodes = limits.maxInodes;
    this.view = view;
    const root = this.make(FileType.Directory | rootMode) as Inode;
    this.root = new Dentry('', null, root);
  }

  /** An inode without a name yet (nlink 0, directories 2); -ENOSPC when the mount has no more. */
  make(mode: number): Inode | number {
    if (this.usedInodes >= this.maxInodes) return -Errno.ENOSPC;
    this.usedInodes++;
    const ino = this.nextIno++;
    const type = mode & S_IFMT;
    switch (type) {
      case FileType.Directory: {
        const inode = new Inode(this, ino, mode, stamp(this.view), { dir: new TmpfsDirectory(this) });
        inode.nlink = 2;
        return inode;
      }
      case FileType.Regular:
        return this.nameless(new Inode(this, ino, mode, stamp(this.view), { content: new RegularFile(this.system, this.quota, this.view) }));
      case FileType.Fifo:
        return this.nameless(new Inode(this, ino, mode, stamp(this.view), { content: new Fifo(this.system) }));
      default:
        return this.nameless(new Inode(this, ino, mode, stamp(this.view), { content: new DeviceNode(this.view) }));
    }
  }
  /** A symbolic link without a name yet. */
  makeLink(text: string, sizeBytes: number): Inode | number {
    if (this.usedInodes >= this.maxInodes) return -Errno.ENOSPC;
    this.usedInodes++;
    return this.nameless(new Inode(this, this.nextIno++, FileType.Symlink | 0o777, stamp(this.view), { link: new StoredLink(text, sizeBytes) }));
  }
  private nameless(inode: Inode): Inode {
    inode.nlink = 0;
    return inode;
  }

  /** A second name pins memory like an inode, and counts as one (shmem_link). */
  reserveName(): boolean {
    if (this.usedInodes >= this.maxInodes) return false;
    this.usedInodes++;
    return true;
  }
  releaseName(): void {
    this.usedInodes--;
  }
  evict(inode: Inode): void {
    if (inode.content instanceof RegularFile) inode.content.pages.release();
    this.usedInodes--;
  }

  usage(): FsUsage {
    const { maxPages, usedPages } = this.quota;
    return { blockSize: PAGE_BYTES, blocks: maxPages, blocksFree: maxPages - usedPages, files: this.maxInodes, filesFree: this.maxInodes - this.usedInodes };
  }
}

/** A link whose text is kept. */
export class StoredLink implements LinkTarget {
  readonly size: number;
  private readonly target: string;
  constructor(target: string, sizeBytes: number) {
    this.target = target;
    this.size = sizeBytes;
  }
  text(): string {
    return this.target;
  }
}

/** Names in memory. A name's position counts up as names are made; the newest comes first in a listing, as in Linux since 6.14. */
class TmpfsDirectory implements Directory {
  private readonly names = new Map<string, Dentry>();
  private nextPosition = 3;
  private readonly fs: Tmpfs;

  constructor(fs: Tmpfs) {
    this.fs = fs;
  }
  lookup(_at: Dentry, name: string): Dentry | null {
    return this.names.get(name) ?? null;
  }
  /** Newest first: positions descend, so "from here on" is what has this position or a lower one. */
  list(_at: Dentry, position: number): readonly DirEntry[] {
    const entries: DirEntry[] = [];
    for (const [name, { inode, position: own }] of this.names) {
      if (position === FIRST_POSITION || own <= position) entries.push({ name, ino: inode.ino, mode: inode.mode, position: own });
    }
    return entries.reverse();
  }
  add(at: Dentry, name: string, inode: Inode): Dentry {
    const entry = new Dentry(name, at, inode);
    this.place(name, entry);
    return entry;
  }
  private place(name: string, entry: Dentry): void {
    entry.position = this.nextPosition++;
    this.names.set(name, entry);
  }
  remove(_at: Dentry, entry: Dentry): number {
    this.names.delete(entry.name);
    return 0;
  }
  rename(source: Dentry, target: Dentry | null, to: Dentry, name: string, exchanges: boolean): number {
    const toDir = to.inode.dir as TmpfsDirectory;
    this.names.delete(source.name);
    if (target !== null) toDir.names.delete(name);
    toDir.place(name, source);
    if (exchanges) this.place(source.name, target!);
    return 0;
  }
  isEmpty(): boolean {
    return this.names.size === 0;
  }
  size(): number {
    return (this.names.size + 2) * DIRENT_BYTES;
  }
  make(mode: number): Inode | number {
    return this.fs.make(mode);
  }
  makeLink(text: string, sizeBytes: number): Inode | number {
    return this.fs.makeLink(text, sizeBytes);
  }
}
