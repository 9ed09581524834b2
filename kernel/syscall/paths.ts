// What calls about files have in common: descriptors, paths and directories as programs pass them. Here: reading those arguments, the errors
// that follow from them alone. Mirrors getname(), fdget(), user_path_at().
import type { Dentry } from '../fs/dentry.ts';
import { Open, type OpenFile } from '../fs/file.ts';
import { Walk } from '../fs/walk.ts';
import type { Kernel } from '../kernel.ts';
import { kernelInfo } from '../proc/siginfo.ts';
import { Rlimit } from '../proc/rlimit.ts';
import { sendToTask } from '../proc/signal.ts';
import { Signal } from '../proc/sigset.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';

/** A path with its NUL. */
export const PATH_MAX = 4096;
export const At = {
  FdCwd: -100, SymlinkNoFollow: 0x100, RemoveDir: 0x200, Eaccess: 0x200, SymlinkFollow: 0x400, NoAutomount: 0x800, EmptyPath: 0x1000, StatSyncType: 0x6000,
} as const;

/** A path argument: the text, -EFAULT, or -ENAMETOOLONG when no NUL comes in time. */
export function readPath(t: Task, va: number): string | number {
  const path = t.user.cstring(va, PATH_MAX);
  if (path !== null) return path;
  return t.user.readPrefix(va, new Uint8Array(PATH_MAX)) === PATH_MAX ? -Errno.ENAMETOOLONG : -Errno.EFAULT;
}

/** An open file that can do something; null (EBADF) for O_PATH too. */
export function fileAt(t: Task, fd: number): OpenFile | null {
  const file = t.files.get(fd | 0);
  return file === null || (file.flags & Open.PATH) !== 0 ? null : file;
}
/** Any open file, O_PATH included: for calls that only ask where it is. */
export const rawFileAt = (t: Task, fd: number): OpenFile | null => t.files.get(fd | 0);

/** Where a path that begins at `dirfd` starts; an absolute path does not look at it. */
export function baseAt(t: Task, dirfd: number, path: string): Dentry | number {
  if (path.startsWith('/') || (dirfd | 0) === At.FdCwd) return t.fs.cwd;
  const file = rawFileAt(t, dirfd);
  if (file === null) return -Errno.EBADF;
  return path === '' || file.inode.isDirectory ? file.dentry : -Errno.ENOTDIR;
}

/** The place that (dirfd, path, AT_* flags) names. AT_EMPTY_PATH with an empty path names the descriptor itself. */
export function placeAt(k: Kernel, t: Task, dirfd: number, pathVa: number, flags: number): Dentry | number {
  const isEmptyOk = (flags & At.EmptyPath) !== 0;
  // A null pointer stands for the empty path since Linux 6.11.
  const path = isEmptyOk && pathVa === 0 ? '' : readPath(t, pathVa);
  if (typeof path === 'number') return path;
  const base = baseAt(t, dirfd, path);
  if (typeof base === 'number') return base;
  if (path === '' && isEmptyOk) return base;
  return new Walk(k.vfs.asker(t)).to(base, path, (flags & At.SymlinkNoFollow) === 0);
}

export const nofileLimit = (t: Task): number => Math.min(t.process.limits[Rlimit.Nofile]!.cur, MAX_FILES);
/** fs.nr_open. */
const MAX_FILES = 1 << 20;

/** Gives a new file a descriptor; closes it again when there is none. @returns the descriptor or -errno */
export function installFile(t: Task, file: OpenFile | number, cloexec: boolean): number {
  if (typeof file === 'number') return file;
  const fd = t.files.install(file, cloexec, 0, nofileLimit(t));
  if (fd < 0) file.unref();
  return fd;
}

/** The program's limit on the size of files; beyond it SIGXFSZ and EFBIG. */
export const fsizeLimit = (t: Task): number => t.process.limits[Rlimit.Fsize]!.cur;
export function refuseSize(k: Kernel, t: Task): number {
  sendToTask(k, t, kernelInfo(Signal.XFSZ));
  return -Errno.EFBIG;
}
export function breakPipe(k: Kernel, t: Task): void {
  sendToTask(k, t, kernelInfo(Signal.PIPE));
}
/** A whole range is the program's to name; its pages may still be missing (access_ok). */
export const isUserRange = (t: Task, va: number, len: number): boolean => va >= 0 && len >= 0 && va + len <= t.mm.taskSize;
