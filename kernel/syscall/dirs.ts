// Directories and names: mkdirat and its like, links, rename, getdents64, where the program stands. Here: arguments. Not here: what may be done
// to a name (fs/names.ts). Mirrors the system calls of fs/namei.c, fs/readdir.c and fs/d_path.c.
import { utf8Encode } from '#base';
import { bareFilePath, type Dentry } from '../fs/dentry.ts';
import { deviceNumber, direntType, type DirEntry, FileType, S_IFMT } from '../fs/inode.ts';
import { Rename } from '../fs/names.ts';
import { FIRST_POSITION } from '../fs/tmpfs.ts';
import { Access, mayAccess, Walk } from '../fs/walk.ts';
import type { Kernel } from '../kernel.ts';
import { isPrivileged } from '../proc/credentials.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { At, baseAt, fileAt, placeAt, rawFileAt, readPath } from './paths.ts';
import type { SyscallRow } from './row.ts';

/** (dirfd, path) as text and beginning; -errno. */
function pathAt(t: Task, dirfd: number, va: number): { base: Dentry; path: string } | number {
  const path = readPath(t, va);
  if (typeof path === 'number') return path;
  const base = baseAt(t, dirfd, path);
  return typeof base === 'number' ? base : { base, path };
}

// --- Making and removing names ---

function mkdirat(k: Kernel, t: Task, [dirfd, va, mode]: readonly number[]): number {
  const at = pathAt(t, dirfd!, va!);
  if (typeof at === 'number') return at;
  const made = k.vfs.names.make(k.vfs.asker(t), at.base, at.path, FileType.Directory | (mode! & 0o1777 & ~t.fs.umask));
  return typeof made === 'number' ? made : 0;
}
function mknodat(k: Kernel, t: Task, [dirfd, va, mode, dev]: readonly number[]): number {
  const type = mode! & S_IFMT;
  if (type === FileType.Directory) return -Errno.EPERM;
  if (type !== 0 && !(Object.values(FileType) as number[]).includes(type)) return -Errno.EINVAL;
  if (type === FileType.Symlink) return -Errno.EINVAL;
  const at = pathAt(t, dirfd!, va!);
  if (typeof at === 'number') return at;
  const isDevice = type === FileType.Char || type === FileType.Block;
  const bits = (type === 0 ? FileType.Regular : type) | (mode! & 0o7777 & ~t.fs.umask);
  const rdev = isDevice ? deviceNumber((dev! >>> 8) & 0xfff, (dev! & 0xff) | ((dev! >>> 12) & 0xfff00)) : 0;
  const made = k.vfs.names.make(k.vfs.asker(t), at.base, at.path, bits, rdev);
  return typeof made === 'number' ? made : 0;
}
function symlinkat(k: Kernel, t: Task, [textVa, dirfd, va]: readonly number[]): number {
  const text = readPath(t, textVa!);
  if (typeof text === 'number') return text;
  if (text === '') return -Errno.ENOENT;
  const at = pathAt(t, dirfd!, va!);
  return typeof at === 'number' ? at : k.vfs.names.symlink(k.vfs.asker(t), at.base, at.path, text, utf8Encode(text).length);
}
function linkat(k: Kernel, t: Task, [fromFd, fromVa, toFd, toVa, flags]: readonly number[]): number {
  if ((flags! & ~(At.SymlinkFollow | At.EmptyPath)) !== 0) return -Errno.EINVAL;
  const noFollow = (flags! & At.SymlinkFollow) === 0 ? At.SymlinkNoFollow : 0;
  const from = placeAt(k, t, fromFd!, fromVa!, (flags! & At.EmptyPath) | noFollow);
  if (typeof from === 'number') return from;
  const to = pathAt(t, toFd!, toVa!);
  return typeof to === 'number' ? to : k.vfs.names.link(k.vfs.asker(t), from, to.base, to.path);
}
function unlinkat(k: Kernel, t: Task, [dirfd, va, flags]: readonly number[]): number {
  if ((flags! & ~At.RemoveDir) !== 0) return -Errno.EINVAL;
  const at = pathAt(t, dirfd!, va!);
  if (typeof at === 'number') return at;
  const who = k.vfs.asker(t);
  return (flags! & At.RemoveDir) !== 0 ? k.vfs.names.rmdir(who, at.base, at.path) : k.vfs.names.unlink(who, at.base, at.path);
}
function renameat2(k: Kernel, t: Task, [fromFd, fromVa, toFd, toVa, flags]: readonly number[]): number {
  const how = flags! | 0;
  if ((how & ~(Rename.NoReplace | Rename.Exchange | Rename.Whiteout)) !== 0) return -Errno.EINVAL;
  if ((how & Rename.Exchange) !== 0 && (how & (Rename.NoReplace | Rename.Whiteout)) !== 0) return -Errno.EINVAL;
  if ((how & Rename.Whiteout) !== 0) return -Errno.EINVAL; // for overlay file systems, of which there are none
  const from = pathAt(t, fromFd!, fromVa!);
  if (typeof from === 'number') return from;
  const to = pathAt(t, toFd!, toVa!);
  return typeof to === 'number' ? to : k.vfs.names.rename(k.vfs.asker(t), from.base, from.path, to.base, to.path, how);
}

function readlinkat(k: Kernel, t: Task, [dirfd, va, bufAt, size]: readonly number[]): number {
  if ((size! | 0) <= 0) return -Errno.EINVAL;
  const path = readPath(t, va!);
  if (typeof path === 'number') return path;
  const base = baseAt(t, dirfd!, path);
  if (typeof base === 'number') return base;
  const place = path === '' && base !== t.fs.cwd ? base : new Walk(k.vfs.asker(t)).to(base, path, false);
  if (typeof place === 'number') return place;
  const text = place.inode.link?.text(t) ?? (path === '' ? -Errno.ENOENT : -Errno.EINVAL);
  if (typeof text === 'number') return text;
  const bytes = utf8Encode(text).subarray(0, size!);
  return t.user.write(bufAt!, bytes) ? bytes.length : -Errno.EFAULT;
}

// --- Reading a directory ---

const DIRENT_HEADER = 19;
/** Marks the end of a tmpfs directory (DIR_OFFSET_EOD). */
const END_POSITION = 0x7fff_ffff;

function getdents64(_k: Kernel, t: Task, [fd, at, size]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  const { dentry, inode } = file;
  if (inode.dir === null) return -Errno.ENOTDIR;
  if (dentry.unlinked) return -Errno.ENOENT;
  if (file.pos >= END_POSITION) return 0;
  const names = inode.dir.list(dentry, Math.max(file.pos, FIRST_POSITION), t);
  if (typeof names === 'number') return names;
  const entries = [...dots(dentry, file.pos), ...names];
  const out = new Uint8Array(Math.min(size! >>> 0, 1 << 20));
  const view = new DataView(out.buffer);
  let used = 0;
  let i = 0;
  for (; i < entries.length; i++) {
    const { name, ino, mode } = entries[i]!;
    const bytes = utf8Encode(name);
    const length = Math.ceil((DIRENT_HEADER + bytes.length + 1) / 8) * 8;
    if (used + length > out.length) break;
    view.setBigUint64(used, BigInt(ino), true);
    view.setBigInt64(used + 8, BigInt(entries[i + 1]?.position ?? END_POSITION), true);
    view.setUint16(used + 16, length, true);
    out[used + 18] = direntType(mode);
    out.set(bytes, used + DIRENT_HEADER);
    used += length;
  }
  if (used === 0 && i < entries.length) return -Errno.EINVAL;
  if (!t.user.write(at!, out.subarray(0, used))) return -Errno.EFAULT;
  file.pos = entries[i]?.position ?? END_POSITION;
  return used;
}
function dots(dir: Dentry, position: number): DirEntry[] {
  const parent = dir.parent ?? dir.covers?.parent ?? dir;
  const own = { name: '.', ino: dir.inode.ino, mode: dir.inode.mode, position: 0 };
  const up = { name: '..', ino: parent.inode.ino, mode: parent.inode.mode, position: 1 };
  return position === 0 ? [own, up] : position === 1 ? [up] : [];
}

// --- Where the program stands ---

function enter(t: Task, place: Dentry): number {
  if (!place.inode.isDirectory) return -Errno.ENOTDIR;
  if (!mayAccess(place.inode, t.credentials, Access.Exec)) return -Errno.EACCES;
  t.fs.setCwd(place);
  return 0;
}
function chdir(k: Kernel, t: Task, [va]: readonly number[]): number {
  const place = placeAt(k, t, At.FdCwd, va!, 0);
  return typeof place === 'number' ? place : enter(t, place);
}
function fchdir(_k: Kernel, t: Task, [fd]: readonly number[]): number {
  const file = rawFileAt(t, fd!);
  return file === null ? -Errno.EBADF : enter(t, file.dentry);
}
function chroot(k: Kernel, t: Task, [va]: readonly number[]): number {
  const place = placeAt(k, t, At.FdCwd, va!, 0);
  if (typeof place === 'number') return place;
  if (!place.inode.isDirectory) return -Errno.ENOTDIR;
  if (!isPrivileged(t.credentials)) return -Errno.EPERM;
  t.fs.setRoot(place);
  return 0;
}
/** @returns the length with its NUL, as the system call does */
function getcwd(_k: Kernel, t: Task, [at, size]: readonly number[]): number {
  const { cwd, root } = t.fs;
  if (cwd.unlinked) return -Errno.ENOENT;
  const isReachable = root.holds(cwd);
  const path = utf8Encode(isReachable ? bareFilePath(cwd, root) : `(unreachable)${bareFilePath(cwd)}`);
  if (size! >= 0 && size! < path.length + 1) return -Errno.ERANGE;
  const bytes = new Uint8Array(path.length + 1);
  bytes.set(path);
  return t.user.write(at!, bytes) ? bytes.length : -Errno.EFAULT;
}
function umask(_k: Kernel, t: Task, [mask]: readonly number[]): number {
  const old = t.fs.umask;
  t.fs.umask = mask! & 0o777;
  return old;
}

export const dirSyscalls: readonly SyscallRow[] = [
  { nr: 17, name: 'getcwd', args: 'ptr len', run: getcwd },
  { nr: 33, name: 'mknodat', args: 'dirfd path oct hex', run: mknodat },
  { nr: 34, name: 'mkdirat', args: 'dirfd path oct', run: mkdirat },
  { nr: 35, name: 'unlinkat', args: 'dirfd path at', run: unlinkat },
  { nr: 36, name: 'symlinkat', args: 'path dirfd path', run: symlinkat },
  { nr: 37, name: 'linkat', args: 'dirfd path dirfd path at', run: linkat },
  { nr: 49, name: 'chdir', args: 'path', run: chdir },
  { nr: 50, name: 'fchdir', args: 'fd', run: fchdir },
  { nr: 51, name: 'chroot', args: 'path', run: chroot },
  { nr: 61, name: 'getdents64', args: 'fd ptr len', run: getdents64 },
  { nr: 78, name: 'readlinkat', args: 'dirfd path buf len', run: readlinkat },
  { nr: 166, name: 'umask', args: 'oct', run: umask },
  { nr: 276, name: 'renameat2', args: 'dirfd path dirfd path flags', run: renameat2 },
];
