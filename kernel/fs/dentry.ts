// A name in a directory, and through it the tree of names across mounts: what Linux calls a dentry. Here: the tree and the path of a name.
// Not here: walking a path (walk.ts). Mirrors struct dentry and d_path() (fs/d_path.c), without the cache: a tmpfs keeps its dentries in its
// directories, /proc and /sys make theirs when asked.
import type { Inode } from './inode.ts';

export class Dentry {
  name: string;
  /** The directory it stands in; null for the root of a file system and for nameless files (pipes, memfds). */
  parent: Dentry | null;
  readonly inode: Inode;
  /** The root of the file system mounted here. */
  mounted: Dentry | null = null;
  /** For the root of a mounted file system: where it is mounted. */
  covers: Dentry | null = null;
  /** The name is gone (unlink, rmdir, rename over it) while somebody still uses the file. */
  unlinked = false;
  /** Made by O_TMPFILE without O_EXCL: has no name, and may be given one. */
  isTemporary = false;
  /** Where it stands in its directory's order. */
  position = 0;

  constructor(name: string, parent: Dentry | null, inode: Inode) {
    this.name = name;
    this.parent = parent;
    this.inode = inode;
  }

  /** Follows mounts down: the directory that is seen here. */
  top(): Dentry {
    let at: Dentry = this;
    while (at.mounted !== null) at = at.mounted;
    return at;
  }

  /** What '..' means here; the root of all is its own parent, and so is `root` (chroot). */
  up(root: Dentry): Dentry {
    let at: Dentry = this;
    while (at !== root && at.parent === null && at.covers !== null) at = at.covers;
    if (at === root || at.parent === null) return at;
    return at.parent.top();
  }

  /** True when `other` is this directory or lies below it. */
  holds(other: Dentry): boolean {
    for (let at: Dentry | null = other; at !== null; at = at.parent ?? at.covers) if (at === this) return true;
    return false;
  }
}

/**
 * The path of a file as Linux prints it (d_path): absolute from `root`, ' (deleted)' after a name that is gone; a nameless file prints its
 * name alone ('pipe:[7]', 'anon_inode:[eventpoll]', '/memfd:x (deleted)').
 */
export function pathOf(dentry: Dentry, root: Dentry | null = null): string {
  const path = bareFilePath(dentry, root);
  return dentry.unlinked ? `${path} (deleted)` : path;
}

/** The same without ' (deleted)'. */
export function bareFilePath(dentry: Dentry, root: Dentry | null = null): string {
  const names: string[] = [];
  let at = dentry;
  for (;;) {
    if (at === root) break;
    if (at.parent === null) {
      if (at.covers !== null) {
        at = at.covers;
        continue;
      }
      if (at.name !== '') return at.name; // a nameless file
      break;
    }
    names.push(at.name);
    at = at.parent;
  }
  return `/${names.reverse().join('/')}`;
}
