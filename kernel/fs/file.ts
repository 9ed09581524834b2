// Open files. Here: OpenFile (struct file), FileOps (what kinds of files differ in), FileTable (struct files_struct: descriptors), FsContext
// (struct fs_struct: where paths begin). Not here: how a path becomes an OpenFile (vfs.ts), each kind's operations (tmpfs.ts, pipe.ts, ...).
import { bug, type StateHash } from '#base';
import type { FileMapping } from '../mm/filemap.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK, type WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { pathOf, type Dentry } from './dentry.ts';
import { dropInode, type Inode } from './inode.ts';
import { IoBuffer } from './io-buffer.ts';

/** Flags of open(2) on riscv64 (asm-generic/fcntl.h). */
export const Open = {
  RDONLY: 0,
  WRONLY: 0o1,
  RDWR: 0o2,
  ACCMODE: 0o3,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  ASYNC: 0o20000,
  DIRECT: 0o40000,
  LARGEFILE: 0o100000,
  DIRECTORY: 0o200000,
  NOFOLLOW: 0o400000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  SYNC: 0o4010000,
  PATH: 0o10000000,
  TMPFILE: 0o20200000,
} as const;

/** Events of poll(2); epoll uses the same bits. */
export const Poll = {
  IN: 0x1,
  PRI: 0x2,
  OUT: 0x4,
  ERR: 0x8,
  HUP: 0x10,
  NVAL: 0x20,
  RDNORM: 0x40,
  RDBAND: 0x80,
  WRNORM: 0x100,
  WRBAND: 0x200,
  RDHUP: 0x2000,
} as const;

/** Most bytes one read or write moves (MAX_RW_COUNT of 4 KiB pages). */
export const MAX_RW_COUNT = 0x7fff_f000;
/** Offsets and sizes stay below this, so that every sum of two is exact in a double. */
export const MAX_OFFSET = 2 ** 51;

export const Seek = { Set: 0, Cur: 1, End: 2, Data: 3, Hole: 4 } as const;

/**
 * What one kind of open file does. A missing operation is refused as Linux refuses it. Results are counts or -errno; -EAGAIN from read or write
 * means "nothing now": the caller sleeps on the file's queues or answers EAGAIN, as O_NONBLOCK says.
 */
export interface FileOps {
  /** Has a position that lseek moves; else reads and writes ignore it and pread answers ESPIPE. */
  readonly seekable: boolean;
  /** lseek does nothing and succeeds, but there are no positions (eventfd and its like: noop_llseek on a stream). */
  readonly isStream?: boolean;
  /** Waits for disks: read and write may answer BLOCK once `t` sleeps, with t.restart.moved bytes done (the answer counts them in); without
   *  `t` they wait with nothing else running. */
  readonly sleepsOnIo?: boolean;
  read?(file: OpenFile, io: IoBuffer, pos: number, t: Task | null): number;
  write?(file: OpenFile, io: IoBuffer, pos: number, t: Task | null): number;
  /** Where the position goes, -errno, or null for the common rule, which goes by the inode's size. */
  seek?(file: OpenFile, offset: number, whence: number): number | null;
  /** Poll bits that hold now; without it always readable and writable. */
  poll?(file: OpenFile, t: Task | null): number;
  /** Everything that is woken when poll's answer may have changed. */
  queues?(file: OpenFile): readonly WaitQueue[];
  /** Clock cycle at which the answers change by themselves (timerfd); null: never. */
  deadline?(file: OpenFile): number | null;
  ioctl?(file: OpenFile, t: Task, command: number, arg: number): number;
  /** What mmap maps; null: anonymous memory; without it ENODEV. */
  mapping?(file: OpenFile): FileMapping | null | number;
  fallocate?(file: OpenFile, mode: number, offset: number, len: number): number;
  /** The last reference is gone. */
  release?(file: OpenFile): void;
  /** Lines of its own in /proc/PID/fdinfo. */
  info?(file: OpenFile): string;
  /** Adds what decides behaviour and is not in RAM. */
  hash?(into: StateHash): void;
}

/** How many files are open in the machine, and how many may be (fs.file-max); the same for members of epoll sets. */
export class FileRegistry {
  nrOpen = 0;
  nextId = 1;
  maxFiles: number;
  nrWatches = 0;
  /** fs.epoll.max_user_watches. */
  readonly maxWatches: number;
  constructor(maxFiles: number, maxWatches: number) {
    this.maxFiles = maxFiles;
    this.maxWatches = maxWatches;
  }
  get isFull(): boolean {
    return this.nrOpen >= this.maxFiles;
  }
}

/** An open file description: what descriptors and their duplicates share. Made by Vfs.newFile with one reference. */
export class OpenFile {
  readonly dentry: Dentry;
  readonly ops: FileOps;
  /** O_* as F_GETFL gives them: access mode and the flags that stay. */
  flags: number;
  /** Where the next read or write happens, in bytes; for directories the cookie of the next entry. */
  pos = 0;
  private refs = 1;
  /** Epoll instances and lock tables tell files apart by it; counts up from boot. */
  readonly id: number;
  private readonly registry: FileRegistry;
  private mapped: FileMapping | null = null;

  constructor(registry: FileRegistry, dentry: Dentry, ops: FileOps, flags: number) {
    this.registry = registry;
    this.id = registry.nextId++;
    registry.nrOpen++;
    this.dentry = dentry;
    this.ops = ops;
    this.flags = flags;
    dentry.inode.users++;
  }

  get inode(): Inode {
    return this.dentry.inode;
  }
  /** The file's path now, as /proc/self/fd shows it. */
  get path(): string {
    return pathOf(this.dentry);
  }
  get canRead(): boolean {
    return (this.flags & (Open.WRONLY | Open.PATH)) === 0;
  }
  get canWrite(): boolean {
    const access = this.flags & Open.ACCMODE;
    return (access === Open.WRONLY || access === Open.RDWR) && (this.flags & Open.PATH) === 0;
  }
  /** Takes pread and pwrite: has a position, or ignores any (FMODE_PREAD). */
  get hasPositions(): boolean {
    return this.ops.seekable || (this.ops.seek !== undefined && this.ops.isStream !== true);
  }
  get nonBlocking(): boolean {
    return (this.flags & Open.NONBLOCK) !== 0;
  }

  ref(): this {
    this.refs++;
    return this;
  }
  /** Gives a reference back; the last one closes the file. */
  unref(): void {
    if (this.refs <= 0) bug(`unref of closed file ${this.path}`);
    if (--this.refs > 0) return;
    this.registry.nrOpen--;
    this.ops.release?.(this);
    this.inode.locks?.releaseFile(this);
    dropInode(this.inode);
  }
  get isOpen(): boolean {
    return this.refs > 0;
  }

  /** Reads at the position and moves it. @returns bytes, 0 at the end, -errno, or BLOCK once `t` sleeps on the file. */
  read(t: Task | null, into: Uint8Array | IoBuffer): number {
    const n = this.readOrSleep(t, into, this.pos);
    if (n > 0 && this.ops.seekable) this.pos += n;
    if (n !== -Errno.EAGAIN || t === null || this.nonBlocking) return n;
    t.sleepOn(this.waitQueues(), this.ops.deadline?.(this) ?? null);
    return BLOCK;
  }

  /**
   * Writes at the position (at the end under O_APPEND) and moves it. What has room for a part sleeps until all is written, and gives up with
   * the part when a signal comes; `t.restart.moved` counts what earlier runs have written.
   * @returns bytes, -errno, or BLOCK once `t` sleeps on the file
   */
  write(t: Task | null, from: Uint8Array | IoBuffer): number {
    const io = from instanceof IoBuffer ? from : IoBuffer.of(from);
    if (this.ops.seekable) {
      const at = (this.flags & Open.APPEND) !== 0 ? sizeOf(this.inode) : this.pos;
      const n = this.writeOrSleep(t, io, at);
      if (n > 0) this.pos = (this.flags & Open.APPEND) !== 0 ? sizeOf(this.inode) : at + n;
      return n;
    }
    const before = t?.restart?.moved ?? 0;
    io.skip(before);
    const n = this.writeAt(t, io, 0);
    const moved = before + Math.max(n, 0);
    const isStuck = n === -Errno.EAGAIN || (n >= 0 && io.left > 0 && !io.faulted && this.ops.queues !== undefined);
    if (!isStuck) return moved > 0 ? moved : n;
    if (t === null || this.nonBlocking || (moved > 0 && t.signalPending)) return moved > 0 ? moved : -Errno.EAGAIN;
    t.restart = { moved };
    t.sleepOn(this.waitQueues());
    return BLOCK;
  }

  /** Reads at `pos` and leaves the position alone; never sleeps: -EAGAIN where it would, but for disks, which are waited for. */
  readAt(t: Task | null, into: Uint8Array | IoBuffer, pos: number): number {
    return this.readOrSleep(this.ops.sleepsOnIo === true ? null : t, into, pos);
  }
  /** The same for a call that can begin again: BLOCK when `t` sleeps on a disk. */
  readOrSleep(t: Task | null, into: Uint8Array | IoBuffer, pos: number): number {
    if (!this.canRead) return -Errno.EBADF;
    if (this.ops.read === undefined) return this.inode.isDirectory ? -Errno.EISDIR : -Errno.EINVAL;
    return this.ops.read(this, into instanceof IoBuffer ? into : IoBuffer.of(into), pos, t);
  }
  /** Writes at `pos` and leaves the position alone; never sleeps: -EAGAIN where it would, but for disks, which are waited for. */
  writeAt(t: Task | null, from: Uint8Array | IoBuffer, pos: number): number {
    return this.writeOrSleep(this.ops.sleepsOnIo === true ? null : t, from, pos);
  }
  writeOrSleep(t: Task | null, from: Uint8Array | IoBuffer, pos: number): number {
    if (!this.canWrite) return -Errno.EBADF;
    if (this.ops.write === undefined) return -Errno.EINVAL;
    return this.ops.write(this, from instanceof IoBuffer ? from : IoBuffer.of(from), pos, t);
  }

  poll(t: Task | null = null): number {
    return this.ops.poll?.(this, t) ?? Poll.IN | Poll.OUT | Poll.RDNORM | Poll.WRNORM;
  }
  waitQueues(): readonly WaitQueue[] {
    return this.ops.queues?.(this) ?? [];
  }

  /** What mmap maps of this file: its pages and their name; null: anonymous memory (/dev/zero); -errno when it cannot be mapped or was not opened for reading. */
  mapping(): FileMapping | null | number {
    if (!this.canRead) return (this.flags & Open.PATH) !== 0 ? -Errno.EBADF : -Errno.EACCES;
    if (this.mapped !== null) return this.mapped;
    if (this.ops.mapping === undefined) return -Errno.ENODEV;
    const mapping = this.ops.mapping(this);
    if (typeof mapping !== 'number') this.mapped = mapping; // one object an open file: neighbours of it merge
    return mapping;
  }
}

/** The size that stat reports: bytes of a regular file, the text's length of a link, Linux's own idea of a directory. */
export function sizeOf(inode: Inode): number {
  return inode.content?.size?.(inode) ?? inode.link?.size ?? inode.dir?.size?.() ?? 0;
}

/** The descriptors of a process; shared by tasks that were cloned with CLONE_FILES. */
export class FileTable {
  private readonly files: (OpenFile | null)[] = [];
  private readonly cloexec: boolean[] = [];
  /** Linux's next_fd: every descriptor below it is in use. */
  private nextFd = 0;
  private refs = 1;

  /** The open file behind a descriptor; null: EBADF. */
  get(fd: number): OpenFile | null {
    return this.files[fd] ?? null;
  }

  /**
   * Gives the lowest free descriptor from `from` on to a file, taking over the caller's reference.
   * @param limit RLIMIT_NOFILE @returns the descriptor, or -EMFILE (the reference stays the caller's)
   */
  install(file: OpenFile, cloexec: boolean, from = 0, limit = 1024): number {
    const fd = this.lowestFree(from);
    if (fd >= limit) return -Errno.EMFILE;
    this.set(fd, file, cloexec);
    return fd;
  }

  lowestFree(from = 0): number {
    let fd = Math.max(from, this.nextFd);
    while (fd < this.files.length && this.files[fd] !== null) fd++;
    if (from <= this.nextFd) this.nextFd = fd;
    return fd;
  }

  /** Makes `fd` mean `file` (dup3), closing what it meant. The caller has checked the limit; its reference is taken over. */
  replace(fd: number, file: OpenFile, cloexec: boolean): void {
    const old = this.get(fd);
    this.set(fd, file, cloexec);
    if (old !== null) this.letGo(old);
  }

  private set(fd: number, file: OpenFile, cloexec: boolean): void {
    while (this.files.length < fd) {
      this.files.push(null);
      this.cloexec.push(false);
    }
    this.files[fd] = file;
    this.cloexec[fd] = cloexec;
  }

  /** @returns 0 or -EBADF */
  close(fd: number): number {
    const file = this.get(fd);
    if (file === null) return -Errno.EBADF;
    this.files[fd] = null;
    if (fd < this.nextFd) this.nextFd = fd;
    this.letGo(file);
    return 0;
  }
  /** Any close of a file drops all record locks this process holds on it (POSIX's rule, fcntl_setlk). */
  private letGo(file: OpenFile): void {
    file.inode.locks?.releaseOwner(this);
    file.unref();
  }

  closesOnExec(fd: number): boolean {
    return this.cloexec[fd] ?? false;
  }
  setCloseOnExec(fd: number, on: boolean): void {
    if (this.get(fd) !== null) this.cloexec[fd] = on;
  }

  /** The descriptors in use, ascending. */
  open(): number[] {
    return this.files.flatMap((file, fd) => (file === null ? [] : [fd]));
  }
  /** FDSize of /proc/self/status: room for descriptors, which grows by powers of two from 64. */
  get capacity(): number {
    let room = 64;
    while (room < this.files.length) room *= 2;
    return room;
  }

  /** A table of its own with the same open files (fork). */
  dup(): FileTable {
    const copy = new FileTable();
    this.files.forEach((file, fd) => {
      if (file !== null) copy.set(fd, file.ref(), this.cloexec[fd]!);
    });
    return copy;
  }
  /** execve: closes what was opened with O_CLOEXEC. */
  closeOnExec(): void {
    for (const fd of this.open()) if (this.cloexec[fd]) this.close(fd);
  }
  closeAll(): void {
    for (const fd of this.open()) this.close(fd);
  }
  /** One more task shares the table. */
  ref(): this {
    this.refs++;
    return this;
  }
  /** A task lets go of the table; the last one closes everything. */
  unref(): void {
    if (this.refs <= 0) bug('unref of a dead file table');
    if (--this.refs === 0) this.closeAll();
  }
  get isShared(): boolean {
    return this.refs > 1;
  }

  hash(into: StateHash): void {
    this.files.forEach((file, fd) => {
      if (file === null) return;
      into.word(fd);
      into.word(file.id);
      into.word(this.cloexec[fd] ? 1 : 0);
    });
  }
}

/** Where paths begin, and the umask; shared by tasks that were cloned with CLONE_FS. */
export class FsContext {
  root: Dentry;
  cwd: Dentry;
  umask = 0o022;
  private refs = 1;

  constructor(root: Dentry, cwd: Dentry = root) {
    this.root = root;
    this.cwd = cwd;
    root.inode.users++;
    cwd.inode.users++;
  }
  /** A context of its own (fork). */
  dup(): FsContext {
    const copy = new FsContext(this.root, this.cwd);
    copy.umask = this.umask;
    return copy;
  }
  setCwd(to: Dentry): void {
    to.inode.users++;
    dropInode(this.cwd.inode);
    this.cwd = to;
  }
  setRoot(to: Dentry): void {
    to.inode.users++;
    dropInode(this.root.inode);
    this.root = to;
  }
  ref(): this {
    this.refs++;
    return this;
  }
  unref(): void {
    if (this.refs <= 0) bug('unref of a dead fs context');
    if (--this.refs > 0) return;
    dropInode(this.cwd.inode);
    dropInode(this.root.inode);
  }
}
