// Descriptors: opening, closing, duplicating, and the files that are born without a name. Here: arguments and the descriptor table. Not here:
// how a path opens (fs/vfs.ts). Mirrors fs/open.c, fs/file.c and the creating calls of fs/pipe.c and mm/memfd.c.
import { utf8Encode } from '#base';
import { Open, type OpenFile } from '../fs/file.ts';
import { Seal } from '../fs/regular.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { baseAt, installFile, nofileLimit, readPath } from './paths.ts';
import type { SyscallRow } from './row.ts';

const MODE_BITS = 0o7777;

function open(k: Kernel, t: Task, dirfd: number, pathVa: number, flags: number, mode: number): number {
  const path = readPath(t, pathVa);
  if (typeof path === 'number') return path;
  const base = baseAt(t, dirfd, path);
  if (typeof base === 'number') return base;
  // A full table is noticed before anything is opened or made.
  if (t.files.lowestFree() >= nofileLimit(t)) return -Errno.EMFILE;
  return installFile(t, k.vfs.openAt(t, base, path, flags, mode & MODE_BITS), (flags & Open.CLOEXEC) !== 0);
}
function openat(k: Kernel, t: Task, [dirfd, path, flags, mode]: readonly number[]): number {
  return open(k, t, dirfd!, path!, flags! & KNOWN_FLAGS, mode!);
}
/** VALID_OPEN_FLAGS: openat ignores others, openat2 refuses them. */
const KNOWN_FLAGS = Open.ACCMODE | Open.CREAT | Open.EXCL | Open.NOCTTY | Open.TRUNC | Open.APPEND | Open.NONBLOCK | Open.SYNC | Open.ASYNC |
  Open.DIRECT | Open.LARGEFILE | Open.DIRECTORY | Open.NOFOLLOW | Open.NOATIME | Open.CLOEXEC | Open.PATH | Open.TMPFILE;

const OPEN_HOW_BYTES = 24;
/** struct open_how: flags, mode, resolve. Restricted resolution is refused: a program must not take it for done. */
function openat2(k: Kernel, t: Task, [dirfd, path, howAt, size]: readonly number[]): number {
  if (size! < OPEN_HOW_BYTES) return -Errno.EINVAL;
  if (size! > 4096) return -Errno.E2BIG;
  const bytes = new Uint8Array(size!);
  if (!t.user.read(howAt!, bytes)) return -Errno.EFAULT;
  if (bytes.subarray(OPEN_HOW_BYTES).some((byte) => byte !== 0)) return -Errno.E2BIG;
  const words = new BigUint64Array(bytes.slice(0, OPEN_HOW_BYTES).buffer);
  const [flags, mode, resolve] = [...words].map(Number) as [number, number, number];
  if (flags > 0x7fff_ffff || (flags & ~KNOWN_FLAGS) !== 0) return -Errno.EINVAL;
  const makes = (flags & (Open.CREAT | (Open.TMPFILE & ~Open.DIRECTORY))) !== 0;
  if (mode > MODE_BITS || (!makes && mode !== 0)) return -Errno.EINVAL;
  if (resolve !== 0) return -Errno.EOPNOTSUPP;
  return open(k, t, dirfd!, path!, flags, mode);
}

function close(_k: Kernel, t: Task, [fd]: readonly number[]): number {
  return t.files.close(fd! | 0);
}
const CloseRange = { Unshare: 2, Cloexec: 4 } as const;
function closeRange(_k: Kernel, t: Task, [first, last, flags]: readonly number[]): number {
  const [from, to] = [first! >>> 0, last! >>> 0];
  if ((flags! & ~(CloseRange.Unshare | CloseRange.Cloexec)) !== 0 || from > to) return -Errno.EINVAL;
  if ((flags! & CloseRange.Unshare) !== 0 && t.files.isShared) {
    const own = t.files.dup();
    t.files.unref();
    t.files = own;
  }
  for (const fd of t.files.open()) {
    if (fd < from || fd > to) continue;
    if ((flags! & CloseRange.Cloexec) !== 0) t.files.setCloseOnExec(fd, true);
    else t.files.close(fd);
  }
  return 0;
}

function dup(_k: Kernel, t: Task, [fd]: readonly number[]): number {
  const file = t.files.get(fd! | 0);
  return file === null ? -Errno.EBADF : installFile(t, file.ref(), false);
}
function dup3(_k: Kernel, t: Task, [from, to, flags]: readonly number[]): number {
  const how = flags! | 0;
  if ((how & ~Open.CLOEXEC) !== 0 || (from! | 0) === (to! | 0)) return -Errno.EINVAL;
  const fd = to! >>> 0;
  if (fd >= nofileLimit(t)) return -Errno.EBADF;
  const file = t.files.get(from! | 0);
  if (file === null) return -Errno.EBADF;
  t.files.replace(fd, file.ref(), (how & Open.CLOEXEC) !== 0);
  return fd;
}

function pipe2(k: Kernel, t: Task, [at, flags]: readonly number[]): number {
  const how = flags! | 0;
  if ((how & ~(Open.CLOEXEC | Open.NONBLOCK | Open.DIRECT)) !== 0) return -Errno.EINVAL;
  return installPair(t, k.vfs.makePipe(how), at!, (how & Open.CLOEXEC) !== 0);
}
/** Gives two files descriptors and writes them down; all or nothing. */
export function installPair(t: Task, pair: readonly [OpenFile, OpenFile] | number, at: number, cloexec: boolean): number {
  if (typeof pair === 'number') return pair;
  const first = installFile(t, pair[0], cloexec);
  if (first < 0) {
    pair[1].unref();
    return first;
  }
  const second = installFile(t, pair[1], cloexec);
  if (second < 0) {
    t.files.close(first);
    return second;
  }
  if (t.user.setU32(at, first) && t.user.setU32(at + 4, second)) return 0;
  t.files.close(first);
  t.files.close(second);
  return -Errno.EFAULT;
}

const Mfd = { Cloexec: 1, AllowSealing: 2, HugeTlb: 4, NoExecSeal: 8, Exec: 0x10 } as const;
/** NAME_MAX less the length of 'memfd:'. */
const MEMFD_NAME_MAX = 249;
function memfdCreate(k: Kernel, t: Task, [nameAt, flags]: readonly number[]): number {
  const how = flags! >>> 0;
  // Huge pages for files are not there: as on a kernel without hugetlbfs.
  if ((how & ~(Mfd.Cloexec | Mfd.AllowSealing | Mfd.NoExecSeal | Mfd.Exec)) !== 0) return -Errno.EINVAL;
  if ((how & Mfd.NoExecSeal) !== 0 && (how & Mfd.Exec) !== 0) return -Errno.EINVAL;
  const name = t.user.cstring(nameAt!, MEMFD_NAME_MAX + 1);
  if (name === null) return t.user.readPrefix(nameAt!, new Uint8Array(MEMFD_NAME_MAX + 1)) > MEMFD_NAME_MAX ? -Errno.EINVAL : -Errno.EFAULT;
  if (utf8Encode(name).length > MEMFD_NAME_MAX) return -Errno.EINVAL;
  const noExec = (how & Mfd.NoExecSeal) !== 0;
  const seals = noExec ? Seal.Exec : (how & Mfd.AllowSealing) !== 0 ? 0 : Seal.Seal;
  return installFile(t, k.vfs.makeMemfd(name, seals, noExec ? 0o666 : 0o777), (how & Mfd.Cloexec) !== 0);
}

export const descriptorSyscalls: readonly SyscallRow[] = [
  { nr: 23, name: 'dup', args: 'fd', run: dup },
  { nr: 24, name: 'dup3', args: 'fd fd open', run: dup3 },
  { nr: 56, name: 'openat', args: 'dirfd path open oct', run: openat },
  { nr: 57, name: 'close', args: 'fd', run: close },
  { nr: 59, name: 'pipe2', args: 'ptr open', run: pipe2 },
  { nr: 279, name: 'memfd_create', args: 'str flags', run: memfdCreate },
  { nr: 436, name: 'close_range', args: 'uint uint flags', run: closeRange },
  { nr: 437, name: 'openat2', args: 'dirfd path ptr len', run: openat2 },
];
