// The virtual file system: one tree of names over all mounts, and how a name becomes an open file. Here: mounts at boot, open, files without
// names (pipes, memfds), what the tools put in and take out. Not here: walking (walk.ts), changing names (names.ts), open files (file.ts).
// Mirrors fs/namei.c's path_openat() and fs/open.c's build_open_flags().
import { bug, type StateHash, utf8Encode } from '#base';
import type { MmSystem } from '../mm/system.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from '../syscall/errno.ts';
import { bareFilePath, Dentry } from './dentry.ts';
import type { BlockDevice } from '../block/device.ts';
import { deviceNodes } from './dev.ts';
import { diskFileOf } from './disk-file.ts';
import { DiskMount, type DiskMountOptions } from './disk-mount.ts';
import type { MountFailure } from './ext/index.ts';
import { type FileOps, FileRegistry, type FileTable, Open, OpenFile, Seek, sizeOf } from './file.ts';
import { Fifo } from './fifo.ts';
import { attributesChanged, deviceNumber, FileType, type Inode } from './inode.ts';
import { LockWaiters } from './locks.ts';
import { Names } from './names.ts';
import { AnonymousFs } from './anonymous.ts';
import { PipeEnd } from './pipe.ts';
import { makeProcfs } from './procfs/index.ts';
import { RegularFile, regularOf } from './regular.ts';
import { makeCgroupfs } from './cgroupfs.ts';
import { makeSysfs } from './sysfs.ts';
import { Tmpfs } from './tmpfs.ts';
import type { KernelView } from './view.ts';
import { Access, type Asker, bootCredentials, type LastName, mayAccess, ownsInode, Walk } from './walk.ts';

/** A mounted file system and its place, in the order of /proc/mounts. */
export interface Mount { readonly source: string; readonly root: Dentry }

const MODE_BITS = 0o7777;
/** What F_GETFL does not show of the flags of open(2). */
const ONLY_AT_OPEN = Open.CREAT | Open.EXCL | Open.NOCTTY | Open.TRUNC | Open.CLOEXEC;
/** What Linux reckons one file in one epoll set to take, for fs.epoll.max_user_watches. */
const EPOLL_WATCH_BYTES = 160;
const TMPFILE_ALONE = Open.TMPFILE & ~Open.DIRECTORY;

export class Vfs {
  readonly system: MmSystem;
  readonly view: KernelView;
  /** '/' of the machine. */
  readonly root: Dentry;
  readonly names: Names;
  readonly registry: FileRegistry;
  readonly mounts: Mount[] = [];
  /** The disks among them. */
  readonly disks: DiskMount[] = [];
  readonly lockWaiters = new LockWaiters();
  /** Homes of files without names: pipes, sockets, eventfds and their like, memfds. */
  readonly pipefs: AnonymousFs;
  readonly sockfs: AnonymousFs;
  readonly anonfs: AnonymousFs;
  readonly shmfs: Tmpfs;

  constructor(system: MmSystem, view: KernelView) {
    this.system = system;
    this.view = view;
    this.names = new Names(view);
    const pages = Math.floor(system.memTotalBytes / 4096);
    // fs.file-max is a tenth of memory in kilobytes (files_maxfiles_init).
    this.registry = new FileRegistry(Math.max(8192, Math.floor((pages * 4) / 10)), Math.floor((system.memTotalBytes * 0.04) / EPOLL_WATCH_BYTES));
    const half = { maxPages: Math.floor(pages / 2), maxInodes: Math.floor(pages / 2) };
    this.shmfs = new Tmpfs(view, system, 1, { maxPages: pages, maxInodes: half.maxInodes });
    this.anonfs = new AnonymousFs('anon_inodefs', 0x09041934, 9, view);
    this.pipefs = new AnonymousFs('pipefs', 0x50495045, 10, view);
    this.sockfs = new AnonymousFs('sockfs', 0x534f434b, 11, view);
    const rootFs = new Tmpfs(view, system, 2, half, `,size=${half.maxPages * 4}k,nr_inodes=${half.maxInodes}`);
    this.root = rootFs.root;
    this.root.inode.users++;
    this.mounts.push({ source: 'rootfs', root: this.root });
    this.mount('proc', '/proc', makeProcfs(view, this));
    this.mount('sysfs', '/sys', makeSysfs(view));
    this.mount('cgroup2', '/sys/fs/cgroup', makeCgroupfs(view));
    const devfs = new Tmpfs(view, system, 5, half, `,size=${half.maxPages * 4}k,nr_inodes=${half.maxInodes},mode=755`, 'devtmpfs');
    this.mount('devtmpfs', '/dev', devfs.root);
    this.mount('tmpfs', '/dev/shm', new Tmpfs(view, system, 6, half, '', 'tmpfs', 0o1777).root);
    this.mkdirs('/tmp', 0o1777);
    for (const node of deviceNodes) this.makeNode(`/dev/${node.name}`, FileType.Char | node.mode, deviceNumber(node.major, node.minor));
    for (const { name, major, minor } of system.disks) this.makeNode(`/dev/${name}`, FileType.Block | 0o660, deviceNumber(major, minor));
    this.symlink('/proc/self/fd', '/dev/fd');
    for (const [fd, name] of ['stdin', 'stdout', 'stderr'].entries()) this.symlink(`/proc/self/fd/${fd}`, `/dev/${name}`);
  }

  /** Mounts a file system over a directory, which is made if need be. @returns 0 or -errno */
  mount(source: string, path: string, root: Dentry): number {
    this.mkdirs(path);
    const at = this.lookup(path);
    if (typeof at === 'number') return at;
    if (!at.inode.isDirectory) return -Errno.ENOTDIR;
    at.mounted = root;
    root.covers = at;
    root.inode.users++;
    this.mounts.push({ source, root });
    return 0;
  }

  /** Mounts a disk of the machine. @returns why not: -errno and a sentence; null: it is mounted */
  mountDisk(device: BlockDevice, path: string, options: DiskMountOptions): MountFailure | null {
    const mount = DiskMount.mount(this.view, device, options);
    if (!(mount instanceof DiskMount)) return mount;
    const error = this.mount(`/dev/${device.name}`, path, mount.fs.root);
    if (error !== 0) {
      mount.unmount();
      return { error, sentence: 'The place is no directory.' };
    }
    this.disks.push(mount);
    return null;
  }
  /** The end of the machine: disks are left in order. @returns 0 or the first -errno */
  unmountDisks(): number {
    let error = 0;
    for (const mount of this.disks.splice(0)) error = mount.unmount() || error;
    return error;
  }

  /** Where a task stands; the machine itself stands at the root. */
  asker(t: Task | null): Asker {
    return t === null ? { t, root: this.root, credentials: bootCredentials } : { t, root: t.fs.root, credentials: t.credentials };
  }
  /** Where a relative path of the task begins. */
  cwdOf(t: Task | null): Dentry {
    return t === null ? this.root : t.fs.cwd;
  }
  /** The place a path names, links followed; -errno. */
  lookup(path: string, t: Task | null = null, follow = true): Dentry | number {
    return new Walk(this.asker(t)).to(this.cwdOf(t), path, follow);
  }

  /**
   * Opens a file. @param t who opens; null: the machine itself, from the root @param mode permission bits of a new file, before the umask
   * @returns an open file with one reference, -errno, or BLOCK when `t` sleeps for the other end of a fifo
   */
  open(t: Task | null, path: string, flags: number, mode: number): OpenFile | number {
    return this.openAt(t, this.cwdOf(t), path, flags, mode);
  }

  /** The same from a directory (openat). */
  openAt(t: Task | null, base: Dentry, path: string, openFlags: number, mode: number): OpenFile | number {
    let flags = openFlags;
    if ((flags & Open.PATH) !== 0) flags &= Open.PATH | Open.DIRECTORY | Open.NOFOLLOW | Open.CLOEXEC;
    if ((flags & TMPFILE_ALONE) !== 0) return this.openTemporary(t, base, path, flags, mode);
    if ((flags & Open.CREAT) !== 0 && (flags & Open.DIRECTORY) !== 0) return -Errno.EINVAL;
    const who = this.asker(t);
    const walk = new Walk(who);
    if ((flags & Open.CREAT) !== 0) return this.openOrCreate(walk, who, base, path, flags, mode);
    const at = walk.to(base, path, (flags & Open.NOFOLLOW) === 0);
    return typeof at === 'number' ? at : this.openPlace(who, at, flags, false);
  }

  private openOrCreate(walk: Walk, who: Asker, base: Dentry, path: string, flags: number, mode: number): OpenFile | number {
    const excl = (flags & Open.EXCL) !== 0;
    let last = walk.toParent(base, path);
    for (;;) {
      if (typeof last === 'number') return last;
      if (last.kind !== 'name' || last.slash) return -Errno.EISDIR;
      const found = walk.peek(last);
      if (typeof found === 'number') return found;
      if (found === null) return this.create(who, last, flags, mode);
      if (excl) return -Errno.EEXIST;
      const at = found.top();
      if (at.inode.type !== FileType.Symlink || (flags & Open.NOFOLLOW) !== 0) {
        return at.inode.isDirectory ? -Errno.EISDIR : this.openPlace(who, at, flags, false);
      }
      const next: LastName | Dentry | number = walk.through(last, at);
      if (next instanceof Dentry) return next.inode.isDirectory ? -Errno.EISDIR : this.openPlace(who, next, flags, false);
      last = next;
    }
  }
  private create(who: Asker, last: LastName, flags: number, mode: number): OpenFile | number {
    if (this.registry.isFull) return -Errno.ENFILE;
    const error = this.names.mayAdd(last.dir, who);
    // A directory whose names are the kernel's own refuses a new file with EACCES, but other new names with EPERM (lookup_open).
    if (error !== 0) return error === -Errno.EPERM ? -Errno.EACCES : error;
    const inode = this.names.makeInode(last.dir, who, FileType.Regular | (mode & MODE_BITS & ~umaskOf(who)));
    if (typeof inode === 'number') return inode;
    const entry = this.names.attachNew(last, inode);
    return typeof entry === 'number' ? entry : this.openPlace(who, entry, flags, true);
  }

  private openTemporary(t: Task | null, base: Dentry, path: string, flags: number, mode: number): OpenFile | number {
    if ((flags & Open.DIRECTORY) === 0 || (flags & Open.CREAT) !== 0 || (flags & (Open.WRONLY | Open.RDWR)) === 0) return -Errno.EINVAL;
    if (this.registry.isFull) return -Errno.ENFILE;
    const who = this.asker(t);
    const dir = new Walk(who).to(base, path, true);
    if (typeof dir === 'number') return dir;
    if (!dir.inode.isDirectory) return -Errno.ENOTDIR;
    if (dir.inode.dir?.make === undefined) return -Errno.EOPNOTSUPP;
    const error = this.names.mayAdd(dir, who);
    if (error !== 0) return error;
    const inode = this.names.makeInode(dir, who, FileType.Regular | (mode & MODE_BITS & ~umaskOf(who)));
    if (typeof inode === 'number') return inode;
    const entry = new Dentry(`#${inode.ino}`, dir, inode);
    entry.unlinked = true;
    entry.isTemporary = (flags & Open.EXCL) === 0;
    const file = this.openPlace(who, entry, flags & ~Open.TMPFILE, true);
    attributesChanged(inode);
    return file;
  }

  /** Opens what a walk arrived at. Mirrors may_open() and do_dentry_open(). @param isNew its rights were granted by making it */
  openPlace(who: Asker, at: Dentry, flags: number, isNew: boolean): OpenFile | number {
    const { inode } = at;
    if (this.registry.isFull) return -Errno.ENFILE;
    if ((flags & Open.DIRECTORY) !== 0 && !inode.isDirectory) return -Errno.ENOTDIR;
    if ((flags & Open.PATH) !== 0) return this.newFile(at, pathOps, flags);
    if (inode.type === FileType.Symlink) return -Errno.ELOOP;
    const error = isNew ? 0 : this.mayOpen(inode, who, flags);
    if (error !== 0) return error;
    const ops = inode.content?.open(inode, flags, who.t) ?? (inode.isDirectory ? directoryOps : -Errno.ENXIO);
    if (typeof ops === 'number') return ops;
    if (inode.type === FileType.Regular && (flags & Open.TRUNC) !== 0 && !isNew) {
      const cut = inode.content?.truncate?.(inode, 0) ?? 0;
      if (cut !== 0) return cut;
    }
    return this.newFile(at, ops, (flags & ~ONLY_AT_OPEN) | (inode.type === FileType.Fifo ? 0 : Open.LARGEFILE));
  }
  private mayOpen(inode: Inode, who: Asker, flags: number): number {
    const access = flags & Open.ACCMODE;
    const truncates = (flags & Open.TRUNC) !== 0;
    const writes = access !== 0 || truncates;
    if (inode.isDirectory && writes) return -Errno.EISDIR;
    const mask = (access !== Open.WRONLY ? Access.Read : 0) | (writes ? Access.Write : 0);
    const isStored = inode.isDirectory || inode.type === FileType.Regular;
    if (writes && isStored && inode.fs.isReadOnly) return -Errno.EROFS;
    if (!mayAccess(inode, who.credentials, mask)) return -Errno.EACCES;
    if ((flags & Open.NOATIME) !== 0 && !ownsInode(inode, who.credentials)) return -Errno.EPERM;
    if (writes && this.isExecuted(inode)) return -Errno.ETXTBSY;
    return 0;
  }
  /** Does some process run this file? Then nobody may write it (deny_write_access). */
  isExecuted(inode: Inode): boolean {
    const pages = regularOf(inode)?.pages ?? diskFileOf(inode)?.space;
    if (pages === undefined || !pages.isMapped) return false;
    for (const { hasMm, mm } of this.view.tasks.values()) if (hasMm && mm.findVma(mm.startCode)?.file?.space === pages) return true;
    return false;
  }

  /** An open file at a place. The caller has seen to it that there is room for one more (registry.isFull). */
  newFile(at: Dentry, ops: FileOps, flags: number): OpenFile {
    const pages = regularOf(at.inode)?.pages ?? diskFileOf(at.inode)?.space;
    if (pages !== undefined) {
      pages.openedAs = at;
      pages.nrOpens++;
    }
    return new OpenFile(this.registry, at, ops, flags);
  }
  /** An open file without a name, as eventfd and its like are; -ENFILE. */
  newAnonymous(name: string, ops: FileOps, flags: number): OpenFile | number {
    if (this.registry.isFull) return -Errno.ENFILE;
    return this.newFile(this.anonfs.shared(`anon_inode:[${name}]`), ops, flags);
  }

  /** pipe2: the two ends, read end first; -ENFILE. */
  makePipe(flags: number): [OpenFile, OpenFile] | number {
    if (this.registry.nrOpen + 2 > this.registry.maxFiles) return -Errno.ENFILE;
    const fifo = new Fifo(this.system);
    const { pipe } = fifo;
    const at = this.pipefs.fresh('pipe', FileType.Fifo | 0o600, this.view.current, fifo);
    const ops = new PipeEnd(pipe);
    const kept = flags & (Open.NONBLOCK | Open.DIRECT);
    for (const end of [Open.RDONLY, Open.WRONLY]) {
      pipe.attach(end);
      pipe.count(end);
    }
    return [this.newFile(at, ops, Open.RDONLY | (kept & Open.NONBLOCK)), this.newFile(at, ops, Open.WRONLY | kept)];
  }

  /** memfd_create: a file of tmpfs that never had a name. @param seals Seal bits it begins with */
  makeMemfd(name: string, seals: number, mode: number): OpenFile | number {
    if (this.registry.isFull) return -Errno.ENFILE;
    const inode = this.shmfs.make(FileType.Regular | mode);
    if (typeof inode === 'number') return inode;
    const regular = inode.content as RegularFile;
    regular.seals = seals;
    regular.pages.onKernelMount = regular.pages.isAnonymousShmem = true;
    const entry = new Dentry(`/memfd:${name}`, null, inode);
    entry.unlinked = true;
    return this.newFile(entry, regular, Open.RDWR | Open.LARGEFILE);
  }

  /** Descriptors 0, 1 and 2 of the first program: the host's standard streams. */
  openStandardStreams(files: FileTable): void {
    const { console } = this.view.host;
    const terminal = this.lookup('/dev/console');
    if (typeof terminal === 'number') bug('no /dev/console');
    for (const fd of [0, 1, 2] as const) {
      const isTty = console.isTty(fd);
      const at = isTty ? terminal : this.pipefs.fresh('pipe', FileType.Fifo | 0o600, null, { open: () => console.standard(fd) });
      files.install(this.newFile(at, console.standard(fd), isTty ? Open.RDWR : fd === 0 ? Open.RDONLY : Open.WRONLY), false, fd);
    }
  }

  // What tools do before and after a run. All answer 0 (or what they are for), or -errno.

  /** Puts a file into the guest, with the directories above it. */
  addFile(path: string, bytes: Uint8Array, mode = 0o755): number {
    const slash = path.lastIndexOf('/');
    if (slash > 0) {
      const error = this.mkdirs(path.slice(0, slash));
      if (error < 0) return error;
    }
    const file = this.open(null, path, Open.WRONLY | Open.CREAT | Open.TRUNC, 0o600);
    if (typeof file === 'number') return file;
    let error = 0;
    for (let done = 0; done < bytes.length && error === 0; ) {
      const n = file.write(null, bytes.subarray(done));
      if (n <= 0) error = n === 0 ? -Errno.ENOSPC : n;
      else done += n;
    }
    file.inode.mode = (file.inode.mode & ~MODE_BITS) | (mode & MODE_BITS);
    attributesChanged(file.inode);
    file.unref();
    return error;
  }
  /** Makes a directory and all above it; those that are there stay as they are. */
  mkdirs(path: string, mode = 0o755): number {
    const names = path.split('/').filter((name) => name !== '');
    for (let i = 1; i <= names.length; i++) {
      const made = this.names.make(this.asker(null), this.root, `/${names.slice(0, i).join('/')}`, FileType.Directory | (i === names.length ? mode : 0o755));
      if (typeof made !== 'number') continue;
      if (made !== -Errno.EEXIST) return made;
    }
    const at = this.lookup(`/${names.join('/')}`);
    return typeof at === 'number' ? at : at.inode.isDirectory ? 0 : -Errno.ENOTDIR;
  }
  /** Makes a symbolic link at `path`, and the directories above it. */
  symlink(target: string, path: string): number {
    const slash = path.lastIndexOf('/');
    const error = slash > 0 ? this.mkdirs(path.slice(0, slash)) : 0;
    return error < 0 ? error : this.names.symlink(this.asker(null), this.root, path, target, utf8Encode(target).length);
  }
  private makeNode(path: string, mode: number, rdev: number): void {
    if (typeof this.names.make(this.asker(null), this.root, path, mode, rdev) === 'number') bug(`cannot make ${path}`);
  }
  /** All bytes of a file of the guest, also of /proc and /sys. */
  readWhole(path: string): Uint8Array | number {
    const file = this.open(null, path, Open.RDONLY | Open.NONBLOCK, 0);
    if (typeof file === 'number') return file;
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const part = new Uint8Array(Math.max(65536, Math.min(sizeOf(file.inode), 1 << 24)));
      const n = file.read(null, part);
      if (n < 0) {
        file.unref();
        return n;
      }
      if (n === 0) break;
      parts.push(part.subarray(0, n));
      length += n;
    }
    file.unref();
    const whole = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
  /** Writes a file that is there, from its beginning and in one write(2), as `echo value > file` does. */
  writeWhole(path: string, bytes: Uint8Array): number {
    const file = this.open(null, path, Open.WRONLY | Open.TRUNC, 0);
    if (typeof file === 'number') return file;
    const n = file.write(null, bytes);
    file.unref();
    return n < 0 ? n : 0;
  }

  /** Adds what decides behaviour and is not in RAM: every mount's tree, every task's open files. */
  hash(into: StateHash): void {
    const seen = new Set<Inode>();
    for (const { root } of this.mounts) hashTree(into, root, seen);
    into.numbers([this.registry.nrOpen, this.registry.nextId]);
    const files = new Set<OpenFile>();
    for (const t of this.view.tasks.values()) {
      if (!t.hasFiles) continue;
      t.files.hash(into);
      into.text(bareFilePath(t.fs.cwd));
      into.number(t.fs.umask);
      for (const fd of t.files.open()) files.add(t.files.get(fd)!);
    }
    for (const file of files) hashFile(into, file, seen);
    this.view.host.console.hash(into);
  }
}

const umaskOf = (who: Asker): number => who.t?.fs.umask ?? 0;

/** An O_PATH file does nothing: it only stands for its place. */
const pathOps: FileOps = { seekable: true };
/** Directories are read by getdents64; their position is a cookie. */
const directoryOps: FileOps = {
  seekable: true,
  seek(file, offset, whence) {
    const to = whence === Seek.Set ? offset : whence === Seek.Cur ? file.pos + offset : -1;
    return to < 0 ? -Errno.EINVAL : to;
  },
};

function hashInode(into: StateHash, inode: Inode, seen: Set<Inode>): void {
  into.number(inode.ino);
  if (seen.has(inode)) return;
  seen.add(inode);
  into.numbers([inode.mode, inode.nlink, inode.uid, inode.gid, inode.rdev, inode.users]);
  for (const { sec, nsec } of [inode.atime, inode.mtime, inode.ctime]) into.numbers([sec, nsec]);
  const regular = regularOf(inode);
  regular?.pages.hash(into);
  if (regular !== null) into.word(regular.seals);
  const text = inode.fs instanceof Tmpfs ? inode.link?.text(null) : undefined;
  if (typeof text === 'string') into.text(text);
  inode.locks?.hash(into);
}
/** Only file systems that can change are walked. */
function hashTree(into: StateHash, at: Dentry, seen: Set<Inode>): void {
  if (!(at.inode.fs instanceof Tmpfs)) return;
  into.text(at.name);
  hashInode(into, at.inode, seen);
  if (at.inode.dir === null) return;
  const names = at.inode.dir.list(at, 2, null);
  if (typeof names === 'number') return;
  for (const { name } of names) {
    const child = at.inode.dir.lookup(at, name, null);
    if (child instanceof Dentry && child.mounted === null) hashTree(into, child, seen);
  }
}
function hashFile(into: StateHash, file: OpenFile, seen: Set<Inode>): void {
  into.numbers([file.id, file.flags, file.pos]);
  into.text(file.path);
  hashInode(into, file.inode, seen);
  file.ops.hash?.(into);
}
