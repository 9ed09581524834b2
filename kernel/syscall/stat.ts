// Attributes of files: stat in its forms, statfs, access, mode, owner, times, size. Here: the layouts of riscv64 and who may change what.
// Mirrors fs/stat.c, fs/statfs.c, fs/open.c, fs/utimes.c.
import type { Dentry } from '../fs/dentry.ts';
import { MAX_OFFSET, sizeOf } from '../fs/file.ts';
import { attributesChanged, deviceMajor, deviceMinor, deviceNumber, FileType, type Inode, S_IFMT, S_ISGID, S_ISUID, type Timespec } from '../fs/inode.ts';
import { Access, mayAccess, ownsInode, Walk } from '../fs/walk.ts';
import { stamp } from '../fs/view.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { At, fileAt, fsizeLimit, placeAt, rawFileAt, readPath, refuseSize } from './paths.ts';
import type { SyscallRow } from './row.ts';

// --- stat, statx, statfs ---

const STAT_BYTES = 128;
const STATX_BYTES = 256;
const STATFS_BYTES = 120;

const blocksOf = (inode: Inode): number => inode.content?.blocks?.(inode) ?? 0;
/** st_blksize: /proc's inodes keep the 1024 of old. */
const blockSizeOf = (inode: Inode): number => (inode.fs.type === 'proc' ? 1024 : 4096);

/** struct stat of asm-generic/stat.h. */
function statBytes(inode: Inode): Uint8Array {
  const bytes = new Uint8Array(STAT_BYTES);
  const view = new DataView(bytes.buffer);
  const word = (at: number, n: number): void => view.setBigInt64(at, BigInt(n), true);
  const time = (at: number, { sec, nsec }: Timespec): void => {
    word(at, sec);
    word(at + 8, nsec);
  };
  word(0, deviceNumber(inode.fs.devMajor, inode.fs.devMinor));
  word(8, inode.ino);
  view.setUint32(16, inode.mode, true);
  view.setUint32(20, inode.nlink, true);
  view.setUint32(24, inode.uid, true);
  view.setUint32(28, inode.gid, true);
  word(32, inode.rdev);
  word(48, sizeOf(inode));
  view.setUint32(56, blockSizeOf(inode), true);
  word(64, blocksOf(inode));
  time(72, inode.atime);
  time(88, inode.mtime);
  time(104, inode.ctime);
  return bytes;
}

const give = (t: Task, at: number, bytes: Uint8Array): number => (t.user.write(at, bytes) ? 0 : -Errno.EFAULT);

function fstat(_k: Kernel, t: Task, [fd, at]: readonly number[]): number {
  const file = rawFileAt(t, fd!);
  return file === null ? -Errno.EBADF : give(t, at!, statBytes(file.inode));
}
function newfstatat(k: Kernel, t: Task, [dirfd, path, at, flags]: readonly number[]): number {
  if ((flags! & ~(At.SymlinkNoFollow | At.NoAutomount | At.EmptyPath | At.StatSyncType)) !== 0) return -Errno.EINVAL;
  const place = placeAt(k, t, dirfd!, path!, flags!);
  return typeof place === 'number' ? place : give(t, at!, statBytes(place.inode));
}

/** STATX_BASIC_STATS and STATX_BTIME (tmpfs knows when a file was made), STATX_MNT_ID left out. */
const STATX_BASIC = 0x7ff;
const STATX_BTIME = 0x800;
const STATX_RESERVED = 0x8000_0000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;
function statx(k: Kernel, t: Task, [dirfd, path, flags, mask, at]: readonly number[]): number {
  if ((mask! & STATX_RESERVED) !== 0) return -Errno.EINVAL;
  if ((flags! & At.StatSyncType) === At.StatSyncType) return -Errno.EINVAL;
  if ((flags! & ~(At.SymlinkNoFollow | At.NoAutomount | At.EmptyPath | At.StatSyncType)) !== 0) return -Errno.EINVAL;
  const place = placeAt(k, t, dirfd!, path!, flags!);
  if (typeof place === 'number') return place;
  const { inode } = place;
  const hasBirth = inode.fs.type !== 'proc' && inode.fs.type !== 'sysfs';
  const bytes = new Uint8Array(STATX_BYTES);
  const view = new DataView(bytes.buffer);
  const word = (offset: number, n: number): void => view.setBigInt64(offset, BigInt(n), true);
  const time = (offset: number, { sec, nsec }: Timespec): void => {
    word(offset, sec);
    view.setUint32(offset + 8, nsec, true);
  };
  view.setUint32(0, STATX_BASIC | (hasBirth ? STATX_BTIME : 0), true);
  view.setUint32(4, blockSizeOf(inode), true);
  word(8, place.parent === null && (place.covers !== null || place === k.vfs.root) ? STATX_ATTR_MOUNT_ROOT : 0);
  view.setUint32(16, inode.nlink, true);
  view.setUint32(20, inode.uid, true);
  view.setUint32(24, inode.gid, true);
  view.setUint16(28, inode.mode, true);
  word(32, inode.ino);
  word(40, sizeOf(inode));
  word(48, blocksOf(inode));
  word(56, STATX_ATTR_MOUNT_ROOT);
  time(64, inode.atime);
  if (hasBirth) time(80, inode.btime);
  time(96, inode.ctime);
  time(112, inode.mtime);
  view.setUint32(128, deviceMajor(inode.rdev), true);
  view.setUint32(132, deviceMinor(inode.rdev), true);
  view.setUint32(136, inode.fs.devMajor, true);
  view.setUint32(140, inode.fs.devMinor, true);
  return give(t, at!, bytes);
}

const ST_RDONLY = 0x1;
const ST_VALID = 0x20;
const ST_RELATIME = 0x1000;
function statfsOf(t: Task, place: Dentry, at: number): number {
  const { fs } = place.inode;
  const usage = fs.usage();
  const bytes = new Uint8Array(STATFS_BYTES);
  const view = new DataView(bytes.buffer);
  const { blockSize, blocks, blocksFree, files, filesFree, blocksAvailable = blocksFree } = usage;
  // f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_fsid, f_namelen, f_frsize, f_flags
  const words = [fs.magic, blockSize, blocks, blocksFree, blocksAvailable, files, filesFree, deviceNumber(fs.devMajor, fs.devMinor), 255, blockSize, ST_VALID | ST_RELATIME | (fs.isReadOnly ? ST_RDONLY : 0)];
  words.forEach((n, i) => view.setBigInt64(8 * i, BigInt(n), true));
  return give(t, at, bytes);
}
function statfs(k: Kernel, t: Task, [path, at]: readonly number[]): number {
  const place = placeAt(k, t, At.FdCwd, path!, 0);
  return typeof place === 'number' ? place : statfsOf(t, place, at!);
}
function fstatfs(_k: Kernel, t: Task, [fd, at]: readonly number[]): number {
  const file = rawFileAt(t, fd!);
  return file === null ? -Errno.EBADF : statfsOf(t, file.dentry, at!);
}

// --- access ---

/** Kinds of files whose contents are on the disk: a read-only file system refuses to have them written (sb_permission). */
const isStored = (inode: Inode): boolean => inode.isDirectory || inode.type === FileType.Regular || inode.type === FileType.Symlink;

function faccessat(k: Kernel, t: Task, dirfd: number, path: number, mode: number, flags: number): number {
  if ((mode & ~7) !== 0 || (flags & ~(At.Eaccess | At.SymlinkNoFollow | At.EmptyPath)) !== 0) return -Errno.EINVAL;
  const place = placeAt(k, t, dirfd, path, flags);
  if (typeof place === 'number') return place;
  const { inode } = place;
  if ((mode & Access.Write) !== 0 && inode.fs.isReadOnly && isStored(inode)) return -Errno.EROFS;
  const c = t.credentials;
  // access(2) asks for the real ids, so that a set-uid program can ask on its user's behalf.
  const who = (flags & At.Eaccess) !== 0 ? c : { ...c, fsuid: c.uid, fsgid: c.gid };
  return mode === 0 || mayAccess(inode, who, mode) ? 0 : -Errno.EACCES;
}

// --- mode, owner, times ---

function chmod(k: Kernel, t: Task, inode: Inode, mode: number): number {
  if (inode.fs.isReadOnly) return -Errno.EROFS;
  if (inode.type === FileType.Symlink) return -Errno.EOPNOTSUPP;
  if (!ownsInode(inode, t.credentials)) return -Errno.EPERM;
  let bits = mode & 0o7777;
  const { fsuid, fsgid, groups } = t.credentials;
  if (fsuid !== 0 && fsgid !== inode.gid && !groups.includes(inode.gid)) bits &= ~S_ISGID;
  inode.mode = (inode.mode & S_IFMT) | bits;
  inode.ctime = stamp(k);
  attributesChanged(inode);
  return 0;
}
function fchmod(k: Kernel, t: Task, [fd, mode]: readonly number[]): number {
  const file = fileAt(t, fd!);
  return file === null ? -Errno.EBADF : chmod(k, t, file.inode, mode!);
}
function fchmodat(k: Kernel, t: Task, dirfd: number, path: number, mode: number, flags: number): number {
  if ((flags & ~(At.SymlinkNoFollow | At.EmptyPath)) !== 0) return -Errno.EINVAL;
  const place = placeAt(k, t, dirfd, path, flags);
  return typeof place === 'number' ? place : chmod(k, t, place.inode, mode);
}

/** -1 leaves an id as it is. A change takes the set-id bits away (setattr_should_drop_suidgid). */
function chown(k: Kernel, t: Task, inode: Inode, uid: number, gid: number): number {
  if (inode.fs.isReadOnly) return -Errno.EROFS;
  const { fsuid, fsgid, groups } = t.credentials;
  const toUid = (uid | 0) === -1 ? inode.uid : uid >>> 0;
  const toGid = (gid | 0) === -1 ? inode.gid : gid >>> 0;
  if (fsuid !== 0) {
    const isOwner = fsuid === inode.uid;
    if (toUid !== inode.uid || ((gid | 0) !== -1 && !(isOwner && (toGid === inode.gid || toGid === fsgid || groups.includes(toGid))))) return -Errno.EPERM;
  }
  inode.uid = toUid;
  inode.gid = toGid;
  if (inode.type === FileType.Regular) inode.mode &= ~(S_ISUID | ((inode.mode & 0o010) !== 0 ? S_ISGID : 0));
  inode.ctime = stamp(k);
  attributesChanged(inode);
  return 0;
}
function fchown(k: Kernel, t: Task, [fd, uid, gid]: readonly number[]): number {
  const file = fileAt(t, fd!);
  return file === null ? -Errno.EBADF : chown(k, t, file.inode, uid!, gid!);
}
function fchownat(k: Kernel, t: Task, [dirfd, path, uid, gid, flags]: readonly number[]): number {
  if ((flags! & ~(At.SymlinkNoFollow | At.EmptyPath)) !== 0) return -Errno.EINVAL;
  const place = placeAt(k, t, dirfd!, path!, flags!);
  return typeof place === 'number' ? place : chown(k, t, place.inode, uid!, gid!);
}

const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;
function utimensat(k: Kernel, t: Task, [dirfd, path, at, flags]: readonly number[]): number {
  const now = stamp(k);
  let times: (Timespec | null)[] = [now, now];
  let isNow = true;
  if (at !== 0) {
    const words = [0, 8, 16, 24].map((offset) => t.user.word(at! + offset));
    if (words.includes(null)) return -Errno.EFAULT;
    const [asec, ansec, msec, mnsec] = words as [number, number, number, number];
    for (const nsec of [ansec, mnsec]) if (nsec !== UTIME_NOW && nsec !== UTIME_OMIT && (nsec < 0 || nsec > 999_999_999)) return -Errno.EINVAL;
    if (ansec === UTIME_OMIT && mnsec === UTIME_OMIT) return 0;
    isNow = ansec === UTIME_NOW && mnsec === UTIME_NOW;
    times = [[asec, ansec], [msec, mnsec]].map(([sec, nsec]) => (nsec === UTIME_OMIT ? null : nsec === UTIME_NOW ? now : { sec: sec!, nsec: nsec! }));
  }
  if ((flags! & ~(At.SymlinkNoFollow | At.EmptyPath)) !== 0) return -Errno.EINVAL;
  let inode: Inode;
  if (path === 0 && (dirfd! | 0) !== At.FdCwd) {
    const file = fileAt(t, dirfd!);
    if (flags !== 0) return -Errno.EINVAL;
    if (file === null) return -Errno.EBADF;
    ({ inode } = file);
  } else {
    const place = placeAt(k, t, dirfd!, path!, flags!);
    if (typeof place === 'number') return place;
    ({ inode } = place);
  }
  if (inode.fs.isReadOnly) return -Errno.EROFS;
  if (!ownsInode(inode, t.credentials) && !(isNow && mayAccess(inode, t.credentials, Access.Write))) return isNow ? -Errno.EACCES : -Errno.EPERM;
  inode.atime = times[0] ?? inode.atime;
  inode.mtime = times[1] ?? inode.mtime;
  inode.ctime = now;
  attributesChanged(inode);
  return 0;
}

// --- size ---

function cut(k: Kernel, t: Task, inode: Inode, size: number): number {
  if (inode.isDirectory) return -Errno.EISDIR;
  if (inode.type !== FileType.Regular || inode.content?.truncate === undefined) return -Errno.EINVAL;
  if (size > sizeOf(inode) && size > fsizeLimit(t)) return refuseSize(k, t);
  return size > MAX_OFFSET ? -Errno.EFBIG : inode.content.truncate(inode, size);
}
function truncate(k: Kernel, t: Task, [pathAt, size]: readonly number[]): number {
  if (size! < 0) return -Errno.EINVAL;
  const path = readPath(t, pathAt!);
  if (typeof path === 'number') return path;
  const place = new Walk(k.vfs.asker(t)).to(t.fs.cwd, path, true);
  if (typeof place === 'number') return place;
  const { inode } = place;
  if (inode.isDirectory) return -Errno.EISDIR;
  if (inode.type !== FileType.Regular) return -Errno.EINVAL;
  if (inode.fs.isReadOnly) return -Errno.EROFS;
  if (!mayAccess(inode, t.credentials, Access.Write)) return -Errno.EACCES;
  if (k.vfs.isExecuted(inode)) return -Errno.ETXTBSY;
  return cut(k, t, inode, size!);
}
function ftruncate(k: Kernel, t: Task, [fd, size]: readonly number[]): number {
  if (size! < 0) return -Errno.EINVAL;
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  if (file.inode.type !== FileType.Regular || !file.canWrite) return -Errno.EINVAL;
  return cut(k, t, file.inode, size!);
}
function fallocate(k: Kernel, t: Task, [fd, mode, offset, len]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  if (offset! < 0 || len! <= 0) return -Errno.EINVAL;
  const how = mode! | 0;
  if ((how & ~0x7f) !== 0) return -Errno.EOPNOTSUPP;
  const KEEP_SIZE = 1;
  const PUNCH_HOLE = 2;
  if ((how & PUNCH_HOLE) !== 0 && (how & KEEP_SIZE) === 0) return -Errno.EOPNOTSUPP;
  if (!file.canWrite) return -Errno.EBADF;
  const { inode } = file;
  if (inode.type === FileType.Fifo) return -Errno.ESPIPE;
  if (inode.isDirectory) return -Errno.EISDIR;
  if (inode.type !== FileType.Regular) return -Errno.ENODEV;
  if ((how & KEEP_SIZE) === 0 && offset! + len! > fsizeLimit(t)) return refuseSize(k, t);
  return file.ops.fallocate?.(file, how, offset!, len!) ?? -Errno.EOPNOTSUPP;
}

/** Extended attributes are not kept: every file system here answers as one built without them. */
const noAttributes = (): number => -Errno.EOPNOTSUPP;
const xattrNames = ['setxattr', 'lsetxattr', 'fsetxattr', 'getxattr', 'lgetxattr', 'fgetxattr', 'listxattr', 'llistxattr', 'flistxattr', 'removexattr', 'lremovexattr', 'fremovexattr'] as const;

export const statSyscalls: readonly SyscallRow[] = [
  ...xattrNames.map((name, i) => ({ nr: 5 + i, name, args: name.startsWith('f') ? 'fd str ptr len flags' : 'path str ptr len flags', run: noAttributes })),
  { nr: 43, name: 'statfs', args: 'path ptr', run: statfs },
  { nr: 44, name: 'fstatfs', args: 'fd ptr', run: fstatfs },
  { nr: 45, name: 'truncate', args: 'path off', run: truncate },
  { nr: 46, name: 'ftruncate', args: 'fd off', run: ftruncate },
  { nr: 47, name: 'fallocate', args: 'fd falloc off off', run: fallocate },
  { nr: 48, name: 'faccessat', args: 'dirfd path access', run: (k, t, [dirfd, path, mode]) => faccessat(k, t, dirfd!, path!, mode! | 0, 0) },
  { nr: 52, name: 'fchmod', args: 'fd oct', run: fchmod },
  { nr: 53, name: 'fchmodat', args: 'dirfd path oct', run: (k, t, [dirfd, path, mode]) => fchmodat(k, t, dirfd!, path!, mode!, 0) },
  { nr: 54, name: 'fchownat', args: 'dirfd path int int at', run: fchownat },
  { nr: 55, name: 'fchown', args: 'fd int int', run: fchown },
  { nr: 79, name: 'newfstatat', args: 'dirfd path stat at', run: newfstatat },
  { nr: 80, name: 'fstat', args: 'fd stat', run: fstat },
  { nr: 88, name: 'utimensat', args: 'dirfd path ptr at', run: utimensat },
  { nr: 291, name: 'statx', args: 'dirfd path at hex ptr', run: statx },
  { nr: 439, name: 'faccessat2', args: 'dirfd path access at', run: (k, t, [dirfd, path, mode, flags]) => faccessat(k, t, dirfd!, path!, mode! | 0, flags! | 0) },
  { nr: 452, name: 'fchmodat2', args: 'dirfd path oct at', run: (k, t, [dirfd, path, mode, flags]) => fchmodat(k, t, dirfd!, path!, mode!, flags! | 0) },
];
