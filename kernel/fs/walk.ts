// From a path to a place: components, '..', mounts, symbolic links. Here: the walk, and what a caller may do where it arrives (permissions).
// Not here: opening and changing names (vfs.ts). Mirrors path_lookupat() and filename_parentat() (fs/namei.c).
import { utf8Encode } from '#base';
import { type Credentials, rootCredentials } from '../proc/credentials.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from '../syscall/errno.ts';
import type { Dentry } from './dentry.ts';
import { FileType, type Inode } from './inode.ts';

/** Symbolic links followed in one walk before ELOOP. */
const MAX_LINKS = 40;
export const NAME_MAX = 255;

export const Access = { Exec: 1, Write: 2, Read: 4 } as const;

/** Who asks: a task, or the machine itself at boot (t null). */
export interface Asker {
  readonly t: Task | null;
  readonly root: Dentry;
  readonly credentials: Credentials;
}
export const bootCredentials: Credentials = rootCredentials();

/** May `who` do all of `mask` to the file? Mirrors generic_permission() with the capabilities of root. */
export function mayAccess(inode: Inode, who: Credentials, mask: number): boolean {
  const { mode } = inode;
  if (who.fsuid === 0) return (mask & Access.Exec) === 0 || inode.isDirectory || (mode & 0o111) !== 0;
  const isGroup = inode.gid === who.fsgid || who.groups.includes(inode.gid);
  const bits = inode.uid === who.fsuid ? mode >> 6 : isGroup ? mode >> 3 : mode;
  return (bits & mask) === mask;
}
/** May `who` change the attributes of the file? */
export const ownsInode = (inode: Inode, who: Credentials): boolean => who.fsuid === 0 || who.fsuid === inode.uid;

/** The last component of a path, not looked up yet. */
export interface LastName {
  readonly dir: Dentry;
  readonly name: string;
  /** 'root': the path was '/' alone. */
  readonly kind: 'name' | 'dot' | 'dotdot' | 'root';
  /** A slash follows: only a directory may stand here. */
  readonly slash: boolean;
}

/** One walk; it may be continued from where it arrived, and counts its links over all. */
export class Walk {
  private readonly who: Asker;
  private links = 0;

  constructor(who: Asker) {
    this.who = who;
  }

  /** Where a whole path leads. @param follow whether a symbolic link in the last place is followed */
  to(base: Dentry, path: string, follow: boolean): Dentry | number {
    const last = this.toParent(base, path);
    return typeof last === 'number' ? last : this.finish(last, follow);
  }

  /** The directory in which the last component stands; everything before it is looked up. */
  toParent(base: Dentry, path: string): LastName | number {
    if (path === '') return -Errno.ENOENT;
    let dir = path.startsWith('/') ? this.who.root.top() : base;
    const names = path.split('/').filter((name) => name !== '');
    const slash = path.endsWith('/');
    const name = names.pop();
    if (name === undefined) return { dir, name: '', kind: 'root', slash: true };
    for (const part of names) {
      const next = this.step({ dir, name: part, kind: kindOf(part), slash: true }, true);
      if (typeof next === 'number') return next;
      dir = next;
    }
    const error = this.maySearch(dir);
    if (error !== 0) return error;
    return { dir, name, kind: kindOf(name), slash };
  }

  /** Looks the last component up: the place, -ENOENT when there is none, another -errno. */
  finish(last: LastName, follow: boolean): Dentry | number {
    const at = this.step(last, follow || last.slash);
    if (typeof at === 'number') return at;
    return last.slash && !at.inode.isDirectory ? -Errno.ENOTDIR : at;
  }

  /** The name as it stands, links not followed, mounts not entered; null: no such name. */
  peek(last: LastName): Dentry | null | number {
    if (utf8Length(last.name) > NAME_MAX) return -Errno.ENAMETOOLONG;
    return last.dir.inode.dir!.lookup(last.dir, last.name, this.who.t);
  }

  /** The last name that a link in the last place stands for, so that O_CREAT can make what a dangling link names. */
  through(last: LastName, link: Dentry): LastName | Dentry | number {
    const target = this.followLink(link);
    if (typeof target !== 'string') return target;
    return this.toParent(last.dir, target);
  }

  private maySearch(dir: Dentry): number {
    if (!dir.inode.isDirectory) return -Errno.ENOTDIR;
    return mayAccess(dir.inode, this.who.credentials, Access.Exec) ? 0 : -Errno.EACCES;
  }

  private step(part: LastName, follow: boolean): Dentry | number {
    const { dir } = part;
    const error = this.maySearch(dir);
    if (error !== 0) return error;
    if (part.kind === 'dot' || part.kind === 'root') return dir;
    if (part.kind === 'dotdot') return dir.up(this.who.root);
    const found = this.peek(part);
    if (typeof found === 'number') return found;
    if (found === null) return -Errno.ENOENT;
    const at = found.top();
    if (at.inode.type !== FileType.Symlink || !follow) return at;
    const target = this.followLink(at);
    return typeof target === 'string' ? this.to(dir, target, true) : target;
  }

  /** Counts a link, and says where it leads: text to walk, a place itself, -errno. */
  private followLink(at: Dentry): string | Dentry | number {
    if (++this.links > MAX_LINKS) return -Errno.ELOOP;
    const link = at.inode.link!;
    const place = link.jump?.(this.who.t) ?? null;
    if (place !== null) return place;
    const text = link.text(this.who.t);
    return text === '' ? -Errno.ENOENT : text;
  }
}

const kindOf = (name: string): LastName['kind'] => (name === '.' ? 'dot' : name === '..' ? 'dotdot' : 'name');
/** Bytes of a name; a name of fewer UTF-16 units than a third of the limit needs no counting. */
export const utf8Length = (text: string): number => (text.length * 3 <= NAME_MAX ? text.length : utf8Encode(text).length);
