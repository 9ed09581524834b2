// Changing names: mkdir, mknod, symlink, link, unlink, rmdir, rename. Here: who may, what is refused and in which order. Not here: opening
// (open.ts), walking (walk.ts). Mirrors the do_*at() functions of fs/namei.c; the order of checks decides which errno a program sees.
import { isPrivileged } from '../proc/credentials.ts';
import { Errno } from '../syscall/errno.ts';
import { Dentry } from './dentry.ts';
import { attributesChanged, discardInode, dropName, FileType, type Inode, S_IFMT, S_ISGID } from './inode.ts';
import { Access, type Asker, type LastName, mayAccess, Walk } from './walk.ts';
import { type KernelView, stamp } from './view.ts';

export const Rename = { NoReplace: 1, Exchange: 2, Whiteout: 4 } as const;

export class Names {
  private readonly view: KernelView;
  constructor(view: KernelView) {
    this.view = view;
  }

  /** A new name for something not there yet. @param isDir whether a slash may follow */
  private newName(walk: Walk, who: Asker, base: Dentry, path: string, isDir: boolean): LastName | number {
    const last = walk.toParent(base, path);
    if (typeof last === 'number') return last;
    if (last.kind !== 'name') return -Errno.EEXIST;
    const found = walk.peek(last);
    if (typeof found === 'number') return found;
    if (found !== null) return -Errno.EEXIST;
    if (last.slash && !isDir) return -Errno.ENOENT;
    return this.mayAdd(last.dir, who) || last;
  }

  /** May a name be added to this directory? 0 or -errno. */
  mayAdd(dir: Dentry, who: Asker): number {
    if (dir.inode.dir?.add === undefined) return dir.inode.fs.refusal ?? -Errno.EPERM;
    if (dir.unlinked) return -Errno.ENOENT;
    if (dir.inode.fs.isReadOnly) return -Errno.EROFS;
    return mayAccess(dir.inode, who.credentials, Access.Write | Access.Exec) ? 0 : -Errno.EACCES;
  }

  /** Gives an inode a name. The directory was checked with mayAdd. @returns the entry, or -errno: then the inode has no name more */
  attach(last: LastName, inode: Inode): Dentry | number {
    const { dir, name } = last;
    const counted = inode.isDirectory ? dir.inode : inode;
    if (isFullOfLinks(counted)) return -Errno.EMLINK;
    const entry = dir.inode.dir!.add!(dir, name, inode);
    if (typeof entry === 'number') return entry;
    counted.nlink++;
    attributesChanged(inode);
    this.changed(dir.inode);
    return entry;
  }
  /** The same for an inode that was made for this name, and is worth nothing without. */
  attachNew(last: LastName, inode: Inode): Dentry | number {
    const entry = this.attach(last, inode);
    if (typeof entry === 'number') discardInode(inode);
    return entry;
  }
  private changed(...inodes: Inode[]): void {
    const now = stamp(this.view);
    for (const inode of inodes) {
      inode.mtime = inode.ctime = now;
      attributesChanged(inode);
    }
  }

  /** Makes an inode in a directory's file system, owned by who asks for it; setgid directories pass their group on. */
  makeInode(dir: Dentry, who: Asker, mode: number): Inode | number {
    const inode = dir.inode.dir!.make!(mode);
    if (typeof inode !== 'number') own(inode, dir.inode, who);
    return inode;
  }

  /** mkdirat, mknodat. @param mode with the type bits; the umask has been applied @returns the new entry or -errno */
  make(who: Asker, base: Dentry, path: string, mode: number, rdev = 0): Dentry | number {
    const walk = new Walk(who);
    const last = this.newName(walk, who, base, path, (mode & S_IFMT) === FileType.Directory);
    if (typeof last === 'number') return last;
    const isDevice = (mode & S_IFMT) === FileType.Char || (mode & S_IFMT) === FileType.Block;
    if (isDevice && !isPrivileged(who.credentials)) return -Errno.EPERM;
    const inode = this.makeInode(last.dir, who, mode);
    if (typeof inode === 'number') return inode;
    inode.rdev = rdev;
    return this.attachNew(last, inode);
  }

  /** symlinkat. @param sizeBytes length of `text` in bytes */
  symlink(who: Asker, base: Dentry, path: string, text: string, sizeBytes: number): number {
    const last = this.newName(new Walk(who), who, base, path, false);
    if (typeof last === 'number') return last;
    const inode = last.dir.inode.dir!.makeLink!(text, sizeBytes);
    if (typeof inode === 'number') return inode;
    own(inode, last.dir.inode, who);
    const entry = this.attachNew(last, inode);
    return typeof entry === 'number' ? entry : 0;
  }

  /** linkat: another name for `source`. */
  link(who: Asker, source: Dentry, base: Dentry, path: string): number {
    const last = this.newName(new Walk(who), who, base, path, false);
    if (typeof last === 'number') return last;
    const { inode } = source;
    if (inode.fs !== last.dir.inode.fs) return -Errno.EXDEV;
    if (inode.isDirectory) return -Errno.EPERM;
    if (inode.nlink === 0 && !source.isTemporary) return -Errno.ENOENT;
    if (inode.nlink > 0 && inode.fs.reserveName?.() === false) return -Errno.ENOSPC;
    const entry = this.attach(last, inode);
    if (typeof entry === 'number') return entry;
    inode.ctime = stamp(this.view);
    attributesChanged(inode);
    return 0;
  }

  /** May this name be taken out of its directory? Mirrors may_delete(). */
  private mayRemove(entry: Dentry, who: Asker, wantsDir: boolean): number {
    const dir = entry.parent!.inode;
    if (!mayAccess(dir, who.credentials, Access.Write | Access.Exec)) return -Errno.EACCES;
    const { fsuid } = who.credentials;
    if ((dir.mode & 0o1000) !== 0 && fsuid !== 0 && fsuid !== dir.uid && fsuid !== entry.inode.uid) return -Errno.EPERM;
    if (entry.inode.isSwapFile) return -Errno.EPERM;
    if (wantsDir && !entry.inode.isDirectory) return -Errno.ENOTDIR;
    if (!wantsDir && entry.inode.isDirectory) return -Errno.EISDIR;
    if (dir.dir?.remove === undefined) return -Errno.EPERM;
    return 0;
  }
  /** A file system that takes no changes says so before a name is looked for (mnt_want_write). */
  private refusesRemoval(dir: Dentry): boolean {
    return dir.inode.fs.isReadOnly === true;
  }

  unlink(who: Asker, base: Dentry, path: string): number {
    const walk = new Walk(who);
    const last = walk.toParent(base, path);
    if (typeof last === 'number') return last;
    if (last.kind !== 'name') return -Errno.EISDIR;
    if (this.refusesRemoval(last.dir)) return -Errno.EROFS;
    const entry = walk.peek(last);
    if (typeof entry === 'number') return entry;
    if (entry === null) return -Errno.ENOENT;
    if (last.slash) return entry.inode.isDirectory ? -Errno.EISDIR : -Errno.ENOTDIR;
    return this.mayRemove(entry, who, false) || this.detach(entry);
  }

  rmdir(who: Asker, base: Dentry, path: string): number {
    const walk = new Walk(who);
    const last = walk.toParent(base, path);
    if (typeof last === 'number') return last;
    if (last.kind !== 'name') return last.kind === 'dot' ? -Errno.EINVAL : last.kind === 'dotdot' ? -Errno.ENOTEMPTY : -Errno.EBUSY;
    if (this.refusesRemoval(last.dir)) return -Errno.EROFS;
    const entry = walk.peek(last);
    if (typeof entry === 'number') return entry;
    if (entry === null) return -Errno.ENOENT;
    const error = this.mayRemove(entry, who, true);
    if (error !== 0) return error;
    if (entry.mounted !== null) return -Errno.EBUSY;
    if (!entry.inode.dir!.isEmpty!()) return -Errno.ENOTEMPTY;
    return this.detach(entry);
  }

  /** Takes a name away. The file lives on while somebody uses it. @returns 0 or -errno */
  private detach(entry: Dentry): number {
    const error = entry.parent!.inode.dir!.remove!(entry.parent!, entry);
    if (error !== 0) return error;
    this.nameGone(entry);
    return 0;
  }
  /** The directory no longer has this name. */
  private nameGone(entry: Dentry): void {
    const dir = entry.parent!.inode;
    const { inode } = entry;
    entry.unlinked = true;
    if (inode.isDirectory) {
      looseLink(dir);
      inode.nlink = 1; // without its own '.', and whatever a damaged disk says
    } else if (inode.nlink > 1) {
      inode.fs.releaseName?.();
    }
    this.changed(dir);
    inode.ctime = dir.ctime;
    dropName(inode);
  }

  /** renameat2. Mirrors do_renameat2() and vfs_rename(). */
  rename(who: Asker, fromBase: Dentry, fromPath: string, toBase: Dentry, toPath: string, flags: number): number {
    const walk = new Walk(who);
    const from = walk.toParent(fromBase, fromPath);
    if (typeof from === 'number') return from;
    const to = walk.toParent(toBase, toPath);
    if (typeof to === 'number') return to;
    if (from.dir.inode.fs !== to.dir.inode.fs) return -Errno.EXDEV;
    if (from.kind !== 'name') return -Errno.EBUSY;
    if (to.kind !== 'name') return (flags & Rename.NoReplace) !== 0 ? -Errno.EEXIST : -Errno.EBUSY;
    if (this.refusesRemoval(from.dir)) return -Errno.EROFS;
    const source = walk.peek(from);
    if (typeof source === 'number') return source;
    if (source === null) return -Errno.ENOENT;
    const target = walk.peek(to);
    if (typeof target === 'number') return target;
    if (target === null && to.dir.inode.fs.refusal === -Errno.ENOENT) return -Errno.ENOENT; // /proc knows no names that are not there
    if ((flags & Rename.NoReplace) !== 0 && target !== null) return -Errno.EEXIST;
    const exchanges = (flags & Rename.Exchange) !== 0;
    if (exchanges) {
      if (target === null) return -Errno.ENOENT;
      if (to.slash && !target.inode.isDirectory) return -Errno.ENOTDIR;
    }
    if (!source.inode.isDirectory && (from.slash || (!exchanges && to.slash))) return -Errno.ENOTDIR;
    if (source.holds(to.dir)) return -Errno.EINVAL;
    if (target !== null && target.holds(from.dir)) return exchanges ? -Errno.EINVAL : -Errno.ENOTEMPTY;
    if (target !== null && target.inode === source.inode) return 0;
    return this.move(who, source, target, to, exchanges);
  }

  private move(who: Asker, source: Dentry, target: Dentry | null, to: LastName, exchanges: boolean): number {
    const isDir = source.inode.isDirectory;
    const error = this.mayRemove(source, who, isDir)
      || (target === null ? this.mayAdd(to.dir, who) : this.mayRemove(target, who, exchanges ? target.inode.isDirectory : isDir));
    if (error !== 0) return error;
    if (source.mounted !== null || target?.mounted != null) return -Errno.EBUSY;
    const fromDir = source.parent!;
    const fromName = source.name;
    if (!exchanges && target !== null && isDir && !target.inode.dir!.isEmpty!()) return -Errno.ENOTEMPTY;
    const arrives = (entry: Dentry, replaced: Dentry | null): boolean => entry.inode.isDirectory && !replaced?.inode.isDirectory;
    if (fromDir !== to.dir && (arrives(source, target) ? isFullOfLinks(to.dir.inode) : exchanges && arrives(target!, source) && isFullOfLinks(fromDir.inode))) return -Errno.EMLINK;
    const failed = fromDir.inode.dir!.rename!(source, target, to.dir, to.name, exchanges);
    if (failed !== 0) return failed;
    if (target !== null && !exchanges) this.nameGone(target);
    this.moved(source, to.dir, to.name);
    if (exchanges) this.moved(target!, fromDir, fromName);
    this.changed(fromDir.inode, to.dir.inode);
    for (const entry of exchanges ? [source, target!] : [source]) {
      entry.inode.ctime = fromDir.inode.ctime;
      attributesChanged(entry.inode);
    }
    return 0;
  }
  /** An entry has another name and parent now. */
  private moved(entry: Dentry, dir: Dentry, name: string): void {
    if (entry.inode.isDirectory) {
      looseLink(entry.parent!.inode);
      dir.inode.nlink++;
    }
    entry.parent = dir;
    entry.name = name;
  }
}

const isFullOfLinks = ({ fs, isDirectory, nlink }: Inode): boolean => nlink >= ((isDirectory ? fs.maxDirectories : fs.maxLinks) ?? Infinity);
/** One directory fewer below `dir`; its own two names stay, whatever a damaged disk says. */
function looseLink(dir: Inode): void {
  if (dir.nlink > 2) dir.nlink--;
}

function own(inode: Inode, dir: Inode, who: Asker): void {
  inode.uid = who.credentials.fsuid;
  inode.gid = who.credentials.fsgid;
  if ((dir.mode & S_ISGID) === 0) return;
  inode.gid = dir.gid;
  if (inode.isDirectory) inode.mode |= S_ISGID;
}
