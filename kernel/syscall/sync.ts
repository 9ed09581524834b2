// Making safe what was written: sync, fsync and their sisters, msync; and advice on files. Here: arguments, and which files they mean. Not here:
// the steps (fs/disk-sync.ts, fs/disk-file.ts). Mirrors fs/sync.c, mm/msync.c, mm/fadvise.c, mm/readahead.c. Files in memory are as safe as they
// will be.
import { PAGE_SIZE } from '#base';
import { openDiskFileOf } from '../fs/disk-file.ts';
import type { DiskMount } from '../fs/disk-mount.ts';
import { startWriting, waitWritten } from '../fs/disk-sync.ts';
import { ExtInode } from '../fs/ext/index.ts';
import type { OpenFile } from '../fs/file.ts';
import type { FileSystem } from '../fs/inode.ts';
import { regularOf } from '../fs/regular.ts';
import { Tmpfs } from '../fs/tmpfs.ts';
import type { Kernel } from '../kernel.ts';
import { fadvise, Fadvise } from '../mm/fadvise.ts';
import { DiskFile } from '../fs/disk-file.ts';
import { VmFlag } from '../mm/vma.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { fileAt, isUserRange } from './paths.ts';
import type { SyscallRow } from './row.ts';

const mountOf = (k: Kernel, fs: FileSystem): DiskMount | null => k.vfs.disks.find((mount) => mount.fs === fs) ?? null;

function fsync(k: Kernel, t: Task, fd: number, dataOnly: boolean): number {
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  const { inode } = file;
  const onDisk = openDiskFileOf(file);
  if (onDisk !== null) return inode.fs.isReadOnly ? 0 : onDisk.sync(t, dataOnly);
  const mount = mountOf(k, inode.fs);
  if (mount !== null && inode instanceof ExtInode && inode.isDirectory) return syncDirectory(t, mount, inode, dataOnly);
  const isStored = inode.fs instanceof Tmpfs && (inode.isDirectory || regularOf(inode) !== null);
  return isStored ? 0 : -Errno.EINVAL;
}
/** A directory has no pages: its blocks are metadata. */
function syncDirectory(t: Task, mount: DiskMount, inode: ExtInode, dataOnly: boolean): number {
  if (mount.fs.isReadOnly) return 0;
  if (t.restart === null) {
    const error = inode.syncMetadata(dataOnly);
    if (error !== 0) return error;
    t.restart = { ticket: mount.flushes.start() };
  }
  return mount.flushes.wait(t, t.restart.ticket!);
}

/** Everything of some disks: first all data on its way, then their metadata, disk by disk. */
function syncMounts(k: Kernel, t: Task, mounts: readonly DiskMount[]): number {
  const { writeback } = k.system;
  const spaces = mounts.flatMap(({ device }) => writeback.spacesOf(device.major, device.minor).filter((space) => space !== device.cache));
  if (t.restart === null) for (const space of spaces) startWriting(space, 0, Infinity);
  t.restart = { writing: 1 };
  if (waitWritten(t, spaces.map((space) => ({ space, start: 0, end: Infinity }))) === BLOCK) return BLOCK;
  let error = 0;
  for (const { fs } of mounts) error = fs.sync() || error;
  return error;
}
function sync(k: Kernel, t: Task): number {
  const result = syncMounts(k, t, k.vfs.disks);
  return result === BLOCK ? BLOCK : 0; // sync(2) tells nobody
}
function syncfs(k: Kernel, t: Task, [fd]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  const mount = mountOf(k, file.inode.fs);
  return mount === null ? 0 : syncMounts(k, t, [mount]);
}

function syncFileRange(_k: Kernel, t: Task, [fd, offset, len, flags]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  if ((flags! & ~7) !== 0 || offset! < 0 || len! < 0 || offset! + len! >= 2 ** 63) return -Errno.EINVAL;
  const onDisk = openDiskFileOf(file);
  if (onDisk !== null) return onDisk.syncRange(t, offset!, len === 0 ? Infinity : offset! + len!, flags!);
  return file.inode.isDirectory || regularOf(file.inode) !== null ? 0 : -Errno.ESPIPE;
}

const MS_ASYNC = 1;
const MS_INVALIDATE = 2;
const MS_SYNC = 4;
/** What is told of a range does not hang on the writing: that comes first, mapping by mapping. */
function msync(_k: Kernel, t: Task, [addr, len, flags]: readonly number[]): number {
  if ((flags! & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || addr! % PAGE_SIZE !== 0) return -Errno.EINVAL;
  if ((flags! & MS_ASYNC) !== 0 && (flags! & MS_SYNC) !== 0) return -Errno.EINVAL;
  if (len === 0) return 0;
  if (!isUserRange(t, addr!, len!)) return -Errno.ENOMEM;
  const result = t.mm.msync(addr!, len!, flags! | 0);
  if ((flags! & MS_SYNC) === 0 || (result !== 0 && result !== -Errno.ENOMEM)) return result;
  // `next`: where the mapping begins that is being written, or comes next.
  const end = addr! + Math.ceil(len! / PAGE_SIZE) * PAGE_SIZE;
  for (let at = t.restart?.next ?? addr!; at < end; ) {
    const vma = t.mm.vmaList.firstEndingAbove(at);
    if (vma === null || vma.start >= end) break;
    const owner = vma.has(VmFlag.Shared) ? vma.file?.space.owner : undefined;
    if (owner instanceof DiskFile && !owner.inode.fs.isReadOnly) {
      const from = Math.max(vma.start, at);
      const start = vma.pgoffOf(from) * PAGE_SIZE;
      const error = owner.sync(t, start, start + Math.min(vma.end, end) - from, true, { next: at });
      if (error !== 0) return error;
    }
    at = vma.end;
    t.restart = { next: at };
  }
  return result;
}

const isSocketOrPipe = ({ ops }: OpenFile): boolean => ops.seekable === false && ops.seek === undefined;
function fadvise64(_k: Kernel, t: Task, [fd, offset, len, advice]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  if (isSocketOrPipe(file)) return -Errno.ESPIPE;
  if (len! < 0 || advice! < 0 || advice! > 5) return -Errno.EINVAL;
  const onDisk = openDiskFileOf(file);
  return onDisk === null ? 0 : fadvise(onDisk.space, onDisk.ra, offset!, len!, advice!);
}
function readahead(_k: Kernel, t: Task, [fd, offset, len]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null || !file.canRead) return -Errno.EBADF;
  const onDisk = openDiskFileOf(file);
  if (onDisk === null) return regularOf(file.inode) === null ? -Errno.EINVAL : 0;
  return len! <= 0 ? 0 : fadvise(onDisk.space, onDisk.ra, Math.max(0, offset!), len!, Fadvise.WillNeed);
}

export const syncSyscalls: readonly SyscallRow[] = [
  { nr: 81, name: 'sync', args: '', run: sync },
  { nr: 82, name: 'fsync', args: 'fd', run: (k, t, [fd]) => fsync(k, t, fd!, false) },
  { nr: 83, name: 'fdatasync', args: 'fd', run: (k, t, [fd]) => fsync(k, t, fd!, true) },
  { nr: 84, name: 'sync_file_range', args: 'fd off off sync-range', run: syncFileRange },
  { nr: 213, name: 'readahead', args: 'fd off len', run: readahead },
  { nr: 223, name: 'fadvise64', args: 'fd off len fadvice', run: fadvise64 },
  { nr: 227, name: 'msync', args: 'ptr size msync-flags', run: msync },
  { nr: 267, name: 'syncfs', args: 'fd', run: syncfs },
];
