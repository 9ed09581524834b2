// fcntl and flock: a descriptor's flags, duplicates, locks, pipe sizes, seals. Here: arguments and waiting. Not here: who holds what
// (fs/locks.ts). Mirrors fs/fcntl.c and the calls of fs/locks.c.
import { type FileTable, MAX_OFFSET, Open, type OpenFile, sizeOf } from '../fs/file.ts';
import { FileLocks, type LockOwner, LockType, type RecordLock } from '../fs/locks.ts';
import { PipeEnd } from '../fs/pipe.ts';
import { regularOf, Seal } from '../fs/regular.ts';
import type { Kernel } from '../kernel.ts';
import { isPrivileged } from '../proc/credentials.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { nofileLimit } from './paths.ts';
import type { SyscallRow } from './row.ts';

const F = {
  DUPFD: 0, GETFD: 1, SETFD: 2, GETFL: 3, SETFL: 4, GETLK: 5, SETLK: 6, SETLKW: 7, SETOWN: 8, GETOWN: 9, SETSIG: 10, GETSIG: 11,
  OFD_GETLK: 36, OFD_SETLK: 37, OFD_SETLKW: 38, SETLEASE: 1024, GETLEASE: 1025, DUPFD_QUERY: 1027, DUPFD_CLOEXEC: 1030,
  SETPIPE_SZ: 1031, GETPIPE_SZ: 1032, ADD_SEALS: 1033, GET_SEALS: 1034,
} as const;
const FD_CLOEXEC = 1;
const F_UNLCK = 2;
/** What F_SETFL changes; the rest it ignores. */
const CHANGEABLE = Open.APPEND | Open.NONBLOCK | Open.DIRECT | Open.NOATIME | Open.ASYNC;
/** What an O_PATH descriptor allows. */
const ON_PATHS: readonly number[] = [F.DUPFD, F.DUPFD_CLOEXEC, F.DUPFD_QUERY, F.GETFD, F.SETFD, F.GETFL];

function fcntl(k: Kernel, t: Task, [fdArg, commandArg, arg]: readonly number[]): number {
  const fd = fdArg! | 0;
  const command = commandArg! | 0;
  const file = t.files.get(fd);
  if (file === null || ((file.flags & Open.PATH) !== 0 && !ON_PATHS.includes(command))) return -Errno.EBADF;
  switch (command) {
    case F.DUPFD:
    case F.DUPFD_CLOEXEC: {
      const limit = nofileLimit(t);
      if (arg! < 0 || arg! >= limit) return -Errno.EINVAL;
      const made = t.files.install(file.ref(), command === F.DUPFD_CLOEXEC, arg!, limit);
      if (made < 0) file.unref();
      return made;
    }
    case F.DUPFD_QUERY:
      return t.files.get(arg! | 0) === null ? -Errno.EBADF : t.files.get(arg! | 0) === file ? 1 : 0;
    case F.GETFD:
      return t.files.closesOnExec(fd) ? FD_CLOEXEC : 0;
    case F.SETFD:
      t.files.setCloseOnExec(fd, (arg! & FD_CLOEXEC) !== 0);
      return 0;
    case F.GETFL:
      return file.flags;
    case F.SETFL:
      file.flags = (file.flags & ~CHANGEABLE) | (arg! & CHANGEABLE);
      return 0;
    case F.GETLK:
    case F.OFD_GETLK:
      return getLock(t, file, arg!, command === F.OFD_GETLK);
    case F.SETLK:
    case F.SETLKW:
    case F.OFD_SETLK:
    case F.OFD_SETLKW:
      return setLock(k, t, file, arg!, command === F.OFD_SETLK || command === F.OFD_SETLKW, command === F.SETLKW || command === F.OFD_SETLKW);
    case F.GETPIPE_SZ:
      return file.ops instanceof PipeEnd ? file.ops.pipe.pages.maxPages * 4096 : -Errno.EBADF;
    case F.SETPIPE_SZ:
      return file.ops instanceof PipeEnd ? file.ops.pipe.resize(arg! >>> 0, isPrivileged(t.credentials)) : -Errno.EBADF;
    case F.GET_SEALS:
      return regularOf(file.inode)?.seals ?? -Errno.EINVAL;
    case F.ADD_SEALS:
      return addSeals(file, arg! >>> 0);
    case F.GETOWN:
    case F.GETSIG:
      return 0;
    case F.GETLEASE:
      return F_UNLCK;
    default:
      return -Errno.EINVAL;
  }
}

/** Mirrors memfd_add_seals(). */
function addSeals(file: OpenFile, seals: number): number {
  const regular = regularOf(file.inode);
  if (!file.canWrite) return -Errno.EPERM;
  if (regular === null || (seals & ~(Seal.Seal | Seal.Shrink | Seal.Grow | Seal.Write | Seal.FutureWrite | Seal.Exec)) !== 0) return -Errno.EINVAL;
  if ((regular.seals & Seal.Seal) !== 0) return -Errno.EPERM;
  if ((seals & Seal.Write) !== 0 && (regular.seals & Seal.Write) === 0 && regular.pages.hasWritableMapping) return -Errno.EBUSY;
  // A file that may be run must not change either.
  if ((seals & Seal.Exec) !== 0 && (file.inode.mode & 0o111) !== 0) seals |= Seal.Shrink | Seal.Grow | Seal.Write | Seal.FutureWrite;
  regular.seals |= seals;
  return 0;
}

// --- Record locks ---

const FLOCK_BYTES = 32;

/** struct flock as a range of the file; -errno. Mirrors flock_to_posix_lock(). */
function readLock(t: Task, file: OpenFile, at: number, isOfd: boolean): RecordLock | number {
  const bytes = new Uint8Array(FLOCK_BYTES);
  if (!t.user.read(at, bytes)) return -Errno.EFAULT;
  const view = new DataView(bytes.buffer);
  const type = view.getInt16(0, true);
  const whence = view.getInt16(2, true);
  const start = Number(view.getBigInt64(8, true));
  const len = Number(view.getBigInt64(16, true));
  if (isOfd && view.getInt32(24, true) !== 0) return -Errno.EINVAL;
  if (type < LockType.Read || type > LockType.Unlock || whence < 0 || whence > 2) return -Errno.EINVAL;
  let from = start + (whence === 1 ? file.pos : whence === 2 ? sizeOf(file.inode) : 0);
  let end = len === 0 ? Number.POSITIVE_INFINITY : from + len;
  if (len < 0) {
    end = from;
    from += len;
  }
  if (from < 0) return -Errno.EINVAL;
  if (from > MAX_OFFSET * 4096 || (end !== Number.POSITIVE_INFINITY && end - 1 > 2 ** 63)) return -Errno.EOVERFLOW;
  const owner: LockOwner = isOfd ? file : t.files;
  return { owner, pid: isOfd ? -1 : t.tgid, type, start: from, end };
}

function getLock(t: Task, file: OpenFile, at: number, isOfd: boolean): number {
  const wanted = readLock(t, file, at, isOfd);
  if (typeof wanted === 'number') return wanted;
  if (wanted.type === LockType.Unlock) return -Errno.EINVAL;
  const held = file.inode.locks?.conflict(wanted) ?? null;
  const bytes = new Uint8Array(FLOCK_BYTES);
  if (!t.user.read(at, bytes)) return -Errno.EFAULT;
  const view = new DataView(bytes.buffer);
  view.setInt16(0, held?.type ?? F_UNLCK, true);
  if (held !== null) {
    view.setInt16(2, 0, true);
    view.setBigInt64(8, BigInt(held.start), true);
    view.setBigInt64(16, held.end === Number.POSITIVE_INFINITY ? 0n : BigInt(held.end - held.start), true);
    view.setInt32(24, held.pid, true);
  }
  return t.user.write(at, bytes) ? 0 : -Errno.EFAULT;
}

function setLock(k: Kernel, t: Task, file: OpenFile, at: number, isOfd: boolean, waits: boolean): number {
  const { lockWaiters } = k.vfs;
  const owner: FileTable | OpenFile = isOfd ? file : t.files;
  lockWaiters.clear(owner);
  const wanted = readLock(t, file, at, isOfd);
  if (typeof wanted === 'number') return wanted;
  if ((wanted.type === LockType.Read && !file.canRead) || (wanted.type === LockType.Write && !file.canWrite)) return -Errno.EBADF;
  file.inode.locks ??= new FileLocks();
  const { locks } = file.inode;
  const held = wanted.type === LockType.Unlock ? null : locks.conflict(wanted);
  if (held === null) {
    if (locks.isFull && wanted.type !== LockType.Unlock) return -Errno.ENOLCK;
    locks.apply(wanted);
    return 0;
  }
  if (!waits) return -Errno.EAGAIN;
  if (!isOfd && lockWaiters.wouldDeadlock(owner, held.owner)) return -Errno.EDEADLOCK;
  lockWaiters.set(owner, t, held.owner);
  t.sleepOn([locks.recordQueue]);
  return BLOCK;
}

// --- flock ---

const Flock = { Shared: 1, Exclusive: 2, NonBlocking: 4, Unlock: 8 } as const;
function flock(_k: Kernel, t: Task, [fd, operation]: readonly number[]): number {
  const how = operation! & ~Flock.NonBlocking;
  const file = t.files.get(fd! | 0);
  if (how !== Flock.Shared && how !== Flock.Exclusive && how !== Flock.Unlock) return -Errno.EINVAL;
  if (file === null || (file.flags & Open.PATH) !== 0) return -Errno.EBADF;
  file.inode.locks ??= new FileLocks();
  const { locks } = file.inode;
  if (how === Flock.Unlock) {
    locks.unflock(file);
    return 0;
  }
  if (locks.flock(file, how === Flock.Exclusive ? LockType.Write : LockType.Read)) return 0;
  if ((operation! & Flock.NonBlocking) !== 0) return -Errno.EAGAIN;
  t.sleepOn([locks.flockQueue]);
  return BLOCK;
}

export const fcntlSyscalls: readonly SyscallRow[] = [
  { nr: 25, name: 'fcntl', args: 'fd fcntl hex', run: fcntl },
  { nr: 32, name: 'flock', args: 'fd flags', run: flock },
];
