// Reading and writing: read, write and their vectors and positions, lseek, sendfile, copy_file_range. Here: arguments, limits,
// signals. Not here: what a file does with it (fs/), making it safe (sync.ts). Mirrors fs/read_write.c.
import { MAX_OFFSET, MAX_RW_COUNT, Open, type OpenFile, Seek, sizeOf } from '../fs/file.ts';
import { diskFileOf } from '../fs/disk-file.ts';
import { IoBuffer, type IoVec } from '../fs/io-buffer.ts';
import { PipeEnd } from '../fs/pipe.ts';
import { regularOf } from '../fs/regular.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { breakPipe, fileAt, fsizeLimit, isUserRange, refuseSize } from './paths.ts';
import type { SyscallRow } from './row.ts';

/** UIO_MAXIOV. */
export const MAX_IOVS = 1024;
/** Bytes that pass through the kernel at a time between two files. */
const RELAY_BYTES = 65536;

/** One piece of memory as read(2) names it, or -EFAULT; lengths from 2^63 up, which come as negative, fit nowhere. */
function single(t: Task, base: number, len: number): IoBuffer | number {
  if (!isUserRange(t, base, len)) return -Errno.EFAULT;
  return IoBuffer.user(t.user, [{ base, len: Math.min(len, MAX_RW_COUNT) }]);
}
/** An array of struct iovec; pieces of no length are left out. Mirrors import_iovec(). */
export function iovecs(t: Task, at: number, count: number): IoVec[] | number {
  const nr = count | 0;
  if (nr < 0 || nr > MAX_IOVS) return -Errno.EINVAL;
  const bytes = new Uint8Array(nr * 16);
  if (nr > 0 && !t.user.read(at, bytes)) return -Errno.EFAULT;
  const words = new DataView(bytes.buffer);
  const pieces: IoVec[] = [];
  let total = 0;
  for (let i = 0; i < nr; i++) {
    const base = Number(words.getBigInt64(16 * i, true));
    const len = Number(words.getBigInt64(16 * i + 8, true));
    if (len < 0) return -Errno.EINVAL;
    if (!isUserRange(t, base, len)) return -Errno.EFAULT;
    const used = Math.min(len, MAX_RW_COUNT - total);
    if (used > 0) pieces.push({ base, len: used });
    total += used;
  }
  return pieces;
}
export function vector(t: Task, at: number, count: number): IoBuffer | number {
  const pieces = iovecs(t, at, count);
  return typeof pieces === 'number' ? pieces : IoBuffer.user(t.user, pieces);
}

/** A regular file of a file system that has files of its own. */
const isRegular = ({ inode }: OpenFile): boolean => regularOf(inode) !== null || diskFileOf(inode) !== null;

/** What RLIMIT_FSIZE leaves of a write at `pos`; a negative answer is the call's. Only regular files have a size to limit. */
function limitWrite(k: Kernel, t: Task, file: OpenFile, pos: number, io: IoBuffer): number {
  const limit = fsizeLimit(t);
  if (limit === Number.POSITIVE_INFINITY || !isRegular(file)) return 0;
  // What a write that slept has moved already is no longer to be judged.
  const at = (file.flags & Open.APPEND) !== 0 ? sizeOf(file.inode) - (t.restart?.moved ?? 0) : pos;
  if (io.left > 0 && at >= limit) return refuseSize(k, t);
  io.shorten(limit - at);
  return 0;
}

function doRead(t: Task, fd: number, io: IoBuffer | number): number {
  const file = fileAt(t, fd);
  if (file === null || !file.canRead) return -Errno.EBADF;
  return typeof io === 'number' ? io : file.read(t, io);
}
function doWrite(k: Kernel, t: Task, fd: number, io: IoBuffer | number): number {
  const file = fileAt(t, fd);
  if (file === null || !file.canWrite) return -Errno.EBADF;
  if (typeof io === 'number') return io;
  const error = limitWrite(k, t, file, file.pos, io);
  if (error !== 0) return error;
  const n = file.write(t, io);
  if (io.brokenPipe) breakPipe(k, t);
  return n;
}
function doPread(t: Task, fd: number, io: IoBuffer | number, pos: number): number {
  if (pos < 0) return -Errno.EINVAL;
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  if (!file.hasPositions) return -Errno.ESPIPE;
  if (!file.canRead) return -Errno.EBADF;
  return typeof io === 'number' ? io : file.readOrSleep(t, io, pos);
}
function doPwrite(k: Kernel, t: Task, fd: number, io: IoBuffer | number, pos: number): number {
  if (pos < 0) return -Errno.EINVAL;
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  if (!file.hasPositions) return -Errno.ESPIPE;
  if (!file.canWrite) return -Errno.EBADF;
  if (typeof io === 'number') return io;
  const at = (file.flags & Open.APPEND) !== 0 ? sizeOf(file.inode) : pos;
  return limitWrite(k, t, file, at, io) || file.writeOrSleep(t, io, at);
}

const Rwf = { Hipri: 1, Dsync: 2, Sync: 4, NoWait: 8, Append: 0x10, NoAppend: 0x20 } as const;
/** preadv2 and pwritev2: position -1 is the file's own. Most flags ask for what is so, or for what open(2) can ask for, for this call alone. */
function vectored(k: Kernel, t: Task, a: readonly number[], isWrite: boolean): number {
  const [fd, at, count, pos, , flags] = a as [number, number, number, number, number, number];
  const known = Rwf.Hipri | Rwf.Dsync | Rwf.Sync | (isWrite ? Rwf.Append | Rwf.NoAppend : Rwf.NoWait);
  if ((flags & ~known) !== 0) return -Errno.EOPNOTSUPP;
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  const io = vector(t, at, count);
  if (!isWrite) return pos === -1 ? doRead(t, fd, io) : doPread(t, fd, io, pos);
  const { flags: before } = file;
  file.flags |= ((flags & Rwf.Dsync) !== 0 ? Open.DSYNC : 0) | ((flags & Rwf.Sync) !== 0 ? Open.SYNC : 0) | ((flags & Rwf.Append) !== 0 ? Open.APPEND : 0);
  const n = pos === -1 ? doWrite(k, t, fd, io) : doPwrite(k, t, fd, io, pos);
  file.flags = before;
  return n;
}

function lseek(t: Task, fd: number, offset: number, whence: number): number {
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  if (whence < Seek.Set || whence > Seek.Hole) return -Errno.EINVAL;
  const { ops } = file;
  if (ops.seek === undefined && !ops.seekable) return -Errno.ESPIPE;
  const handled = ops.seek?.(file, offset, whence) ?? null;
  const to = handled ?? seekBySize(file, offset, whence);
  if (to < 0) return to;
  if (to > MAX_OFFSET) return -Errno.EINVAL;
  if (ops.seekable) file.pos = to;
  return to;
}
/** The common rule (generic_file_llseek): everything before the end is data, and the only hole is there. */
function seekBySize(file: OpenFile, offset: number, whence: number): number {
  const size = sizeOf(file.inode);
  const base = whence === Seek.Set ? 0 : whence === Seek.Cur ? file.pos : size;
  if (whence <= Seek.End) return base + offset < 0 ? -Errno.EINVAL : base + offset;
  if (offset < 0 || offset >= size) return -Errno.ENXIO;
  return whence === Seek.Data ? offset : size;
}

/** From a file with positions to any other. What the other side does not take now is not lost: it was read by position. */
function sendfile(k: Kernel, t: Task, [outFd, inFd, offsetAt, count]: readonly number[]): number {
  const from = fileAt(t, inFd!);
  const to = fileAt(t, outFd!);
  if (from === null || to === null || !from.canRead || !to.canWrite) return -Errno.EBADF;
  if (count! < 0) return -Errno.EINVAL;
  let pos = from.pos;
  if (offsetAt !== 0) {
    const given = t.user.word(offsetAt!);
    if (given === null) return -Errno.EFAULT;
    if (!from.ops.seekable) return -Errno.ESPIPE;
    if (given < 0) return -Errno.EINVAL;
    pos = given;
  }
  if (!from.ops.seekable || from.inode.isDirectory || (to.flags & Open.APPEND) !== 0) return -Errno.EINVAL;
  const wanted = Math.min(count!, MAX_RW_COUNT);
  const before = t.restart?.sent ?? 0;
  const outcome = relay(k, t, from, to, pos + (offsetAt === 0 ? 0 : before), wanted - before);
  const done = before + outcome.done;
  if (offsetAt === 0) from.pos += outcome.done;
  // A pipe that is full after a part ends the call; other files are waited for (splice_file_to_pipe, splice_direct_to_actor).
  const mayEnd = done > 0 && (t.signalPending || to.ops instanceof PipeEnd);
  const mustWait = outcome.error === -Errno.EAGAIN && !to.nonBlocking && !mayEnd;
  if (mustWait) {
    t.restart = { sent: done };
    t.sleepOn(to.waitQueues());
    return BLOCK;
  }
  if (offsetAt !== 0 && !t.user.setU64(offsetAt!, pos + done)) return -Errno.EFAULT;
  return done > 0 ? done : outcome.error;
}
function relay(k: Kernel, t: Task, from: OpenFile, to: OpenFile, start: number, wanted: number): { done: number; error: number } {
  let done = 0;
  const bytes = new Uint8Array(Math.min(wanted, RELAY_BYTES));
  while (done < wanted) {
    const got = from.readAt(t, bytes.subarray(0, Math.min(bytes.length, wanted - done)), start + done);
    if (got <= 0) return { done, error: got };
    const io = IoBuffer.of(bytes.subarray(0, got));
    const limited = limitWrite(k, t, to, to.pos, io);
    if (limited !== 0) return { done, error: limited };
    const put = to.writeAt(t, io, to.pos);
    if (io.brokenPipe) breakPipe(k, t);
    if (put < 0) return { done, error: put };
    if (to.ops.seekable) to.pos += put;
    done += put;
    // A pipe is waited for; of a file that took less, the next write tells why.
    if (put === 0 || (put < got && !to.ops.seekable)) return { done, error: to.ops.seekable ? 0 : -Errno.EAGAIN };
  }
  return { done, error: 0 };
}

function copyFileRange(k: Kernel, t: Task, [inFd, inAt, outFd, outAt, len, flags]: readonly number[]): number {
  const from = fileAt(t, inFd!);
  const to = fileAt(t, outFd!);
  if (from === null || to === null) return -Errno.EBADF;
  const places = [[from, inAt!], [to, outAt!]] as const;
  const offsets: number[] = [];
  for (const [file, at] of places) {
    const given = at === 0 ? file.pos : t.user.word(at);
    if (given === null) return -Errno.EFAULT;
    if (given < 0) return -Errno.EINVAL;
    offsets.push(given);
  }
  if (flags !== 0) return -Errno.EINVAL;
  if (from.inode.isDirectory || to.inode.isDirectory) return -Errno.EISDIR;
  if (!isRegular(from) || !isRegular(to)) return -Errno.EINVAL;
  if (!from.canRead || !to.canWrite || (to.flags & Open.APPEND) !== 0) return -Errno.EBADF;
  if (len! < 0) return -Errno.EOVERFLOW;
  const [inPos, outPos] = offsets as [number, number];
  const wanted = Math.min(len!, MAX_RW_COUNT, Math.max(0, sizeOf(from.inode) - inPos));
  if (from.inode === to.inode && outPos + wanted > inPos && outPos < inPos + wanted) return -Errno.EINVAL;
  let done = 0;
  while (done < wanted) {
    const bytes = new Uint8Array(Math.min(RELAY_BYTES, wanted - done));
    const got = from.readAt(t, bytes, inPos + done);
    if (got < 0 && done === 0) return got;
    if (got <= 0) break;
    const io = IoBuffer.of(bytes.subarray(0, got));
    const put = limitWrite(k, t, to, outPos + done, io) || to.writeAt(t, io, outPos + done);
    if (put < 0) {
      if (done === 0) return put;
      break;
    }
    done += put;
    if (put < got) break;
  }
  if (inAt === 0) from.pos = inPos + done;
  else if (!t.user.setU64(inAt!, inPos + done)) return -Errno.EFAULT;
  if (outAt === 0) to.pos = outPos + done;
  else if (!t.user.setU64(outAt!, outPos + done)) return -Errno.EFAULT;
  return done;
}

export const ioSyscalls: readonly SyscallRow[] = [
  { nr: 62, name: 'lseek', args: 'fd off seek', run: (_k, t, [fd, offset, whence]) => lseek(t, fd!, offset!, whence! >>> 0) },
  { nr: 63, name: 'read', args: 'fd buf len', run: (_k, t, [fd, base, len]) => doRead(t, fd!, single(t, base!, len!)) },
  { nr: 64, name: 'write', args: 'fd buf len', run: (k, t, [fd, base, len]) => doWrite(k, t, fd!, single(t, base!, len!)) },
  { nr: 65, name: 'readv', args: 'fd iovec int', run: (_k, t, [fd, at, count]) => doRead(t, fd!, vector(t, at!, count!)) },
  { nr: 66, name: 'writev', args: 'fd iovec int', run: (k, t, [fd, at, count]) => doWrite(k, t, fd!, vector(t, at!, count!)) },
  { nr: 67, name: 'pread64', args: 'fd buf len off', run: (_k, t, [fd, base, len, pos]) => doPread(t, fd!, single(t, base!, len!), pos!) },
  { nr: 68, name: 'pwrite64', args: 'fd buf len off', run: (k, t, [fd, base, len, pos]) => doPwrite(k, t, fd!, single(t, base!, len!), pos!) },
  { nr: 69, name: 'preadv', args: 'fd iovec int off', run: (_k, t, [fd, at, count, pos]) => doPread(t, fd!, vector(t, at!, count!), pos!) },
  { nr: 70, name: 'pwritev', args: 'fd iovec int off', run: (k, t, [fd, at, count, pos]) => doPwrite(k, t, fd!, vector(t, at!, count!), pos!) },
  { nr: 71, name: 'sendfile', args: 'fd fd ptr len', run: sendfile },
  { nr: 285, name: 'copy_file_range', args: 'fd ptr fd ptr len flags', run: copyFileRange },
  { nr: 286, name: 'preadv2', args: 'fd iovec int off int flags', run: (k, t, a) => vectored(k, t, a, false) },
  { nr: 287, name: 'pwritev2', args: 'fd iovec int off int flags', run: (k, t, a) => vectored(k, t, a, true) },
];
