// Files that are not stored but told: what /proc and /sys are made of. Here: directories of fixed names with room for names that come and go,
// text files with show and store, links. Not here: what any file says (procfs/, sysfs.ts). Mirrors fs/proc/generic.c, fs/seq_file.c and
// fs/kernfs/file.c: a text is made whole when a read begins at offset 0, and later reads of the same open file go on in that text.
import { utf8Decode, utf8Encode } from '#base';
import type { Task } from '../proc/task.ts';
import { Errno } from '../syscall/errno.ts';
import { Dentry } from './dentry.ts';
import { type FileOps, Open, type OpenFile, Seek } from './file.ts';
import { type Directory, type DirEntry, type FileSystem, FileType, type FsUsage, Inode, type LinkTarget, type Openable, type Timespec } from './inode.ts';
import type { IoBuffer } from './io-buffer.ts';
import { FIRST_POSITION } from './tmpfs.ts';
import { type KernelView, stamp } from './view.ts';

const PAGE_BYTES = 4096;

/** What a text file says and takes. `S` is what it is about: nothing for most of /proc, a task below /proc/PID. */
export interface TextRow<S> {
  readonly mode: number;
  /** Its mode binds root too, as everywhere in /sys and /proc/sys (kernfs_fop_open, sysctl_perm). */
  readonly isStrict?: boolean;
  /** The whole text (or bytes), or -errno. */
  show?(subject: S, reader: Task | null): string | Uint8Array | number;
  /** Instead of show, for what may be long: the text from a cursor on, as much as is convenient. The first cursor is 0. */
  showPart?(subject: S, cursor: number, reader: Task | null): TextPart | number;
  /** What one write(2) of this text comes to: 0 or -errno. At most a page of text arrives. */
  store?(subject: S, text: string, writer: Task | null): number;
  /** What a command of the file's own answers; without it ENOTTY. */
  ioctl?(subject: S, t: Task, command: number, arg: number): number;
}

export interface TextPart {
  readonly text: string | Uint8Array;
  /** Where the next part begins; null: that was the last one. */
  readonly next: number | null;
}
/** Parts are about this long. */
export const PART_BYTES = 65536;

export class PseudoFs implements FileSystem {
  readonly type: string;
  readonly magic: number;
  readonly devMajor = 0;
  readonly devMinor: number;
  readonly options = '';
  readonly refusal: number;
  /** st_size of every text file here. */
  readonly textSize: number;
  private readonly view: KernelView;
  private nextIno: number;

  constructor(view: KernelView, type: 'proc' | 'sysfs' | 'cgroup2', magic: number, devMinor: number) {
    this.view = view;
    this.type = type;
    this.magic = magic;
    this.devMinor = devMinor;
    this.refusal = type === 'proc' ? -Errno.ENOENT : -Errno.EPERM;
    this.textSize = type === 'sysfs' ? PAGE_BYTES : 0;
    this.nextIno = type === 'proc' ? 0xf000_0000 : 2;
  }
  get now(): Timespec {
    return stamp(this.view);
  }
  /** A fixed file's inode number. */
  number(): number {
    return this.nextIno++;
  }
  directory(mode: number, names: PseudoDirectory, ino = this.number()): Inode {
    const inode = new Inode(this, ino, FileType.Directory | mode, this.now, { dir: names });
    inode.nlink = 2;
    return inode;
  }
  file<S>(row: TextRow<S>, subject: S, ino = this.number()): Inode {
    return new Inode(this, ino, FileType.Regular | row.mode, this.now, { content: new TextContent(row, subject, this.textSize) });
  }
  usage(): FsUsage {
    return { blockSize: PAGE_BYTES, blocks: 0, blocksFree: 0, files: 0, filesFree: 0 };
  }
}

/** Names that come and go, as processes do. */
export interface LiveNames {
  /** null: not there now. */
  find(name: string): Inode | null;
  /** Positions are above those of the fixed names (2 and up), and stay the same while the name is there. */
  list(): readonly DirEntry[];
}

/** Names that the kernel gives: some fixed, made at boot; perhaps some that come and go. */
export class PseudoDirectory implements Directory {
  private readonly fixed = new Map<string, Inode>();
  private readonly live: LiveNames | null;
  /** Names on the way to a mount, which must stay the same place: those that were looked up. */
  private readonly kept = new Map<string, Dentry | null>();

  constructor(live: LiveNames | null = null) {
    this.live = live;
  }
  put(name: string, inode: Inode): void {
    this.fixed.set(name, inode);
  }
  get(name: string): Inode | null {
    return this.fixed.get(name) ?? null;
  }
  /** The name leads to a mount. */
  keep(name: string): void {
    this.kept.set(name, null);
  }
  lookup(at: Dentry, name: string): Dentry | null {
    const kept = this.kept.get(name);
    if (kept !== undefined) {
      const there = kept ?? new Dentry(name, at, this.fixed.get(name)!);
      this.kept.set(name, there);
      return there;
    }
    const inode = this.fixed.get(name) ?? this.live?.find(name) ?? null;
    return inode === null ? null : new Dentry(name, at, inode);
  }
  list(_at: Dentry, position: number): readonly DirEntry[] {
    const entries: DirEntry[] = [];
    let at = FIRST_POSITION;
    for (const [name, { ino, mode }] of this.fixed) entries.push({ name, ino, mode, position: at++ });
    if (this.live !== null) entries.push(...this.live.list());
    return entries.filter((entry) => entry.position >= position);
  }
}

/** A link of the kernel's: its text is told, and it may lead to a place rather than to a path. */
export class PseudoLink implements LinkTarget {
  readonly size: number;
  private readonly tell: (t: Task | null) => string | number;
  private readonly place: ((t: Task | null) => Dentry | number | null) | null;
  constructor(tell: (t: Task | null) => string | number, place: ((t: Task | null) => Dentry | number | null) | null = null, size = 0) {
    this.tell = tell;
    this.place = place;
    this.size = size;
  }
  text(t: Task | null): string | number {
    return this.tell(t);
  }
  jump(t: Task | null): Dentry | number | null {
    return this.place?.(t) ?? null;
  }
}

class TextContent<S> implements Openable {
  private readonly row: TextRow<S>;
  private readonly subject: S;
  private readonly shownSize: number;
  constructor(row: TextRow<S>, subject: S, shownSize: number) {
    this.row = row;
    this.subject = subject;
    this.shownSize = shownSize;
  }
  open(inode: Inode, flags: number): FileOps | number {
    const isStrict = inode.fs.type === 'sysfs' || inode.fs.type === 'cgroup2' || this.row.isStrict === true;
    const access = flags & Open.ACCMODE;
    if (isStrict && access !== Open.RDONLY && (inode.mode & 0o222) === 0) return -Errno.EACCES;
    if (isStrict && access !== Open.WRONLY && (inode.mode & 0o444) === 0) return -Errno.EACCES;
    return new TextFile(this.row, this.subject);
  }
  size(): number {
    return this.shownSize;
  }
}

const noText = new Uint8Array(0);
const whole = (told: string | Uint8Array | number): TextPart | number => (typeof told === 'number' ? told : { text: told, next: null });

class TextFile<S> implements FileOps {
  readonly seekable = true;
  private readonly row: TextRow<S>;
  private readonly subject: S;
  /** The part that was read last: its bytes, where it begins in the whole, where the next one comes from. */
  private text: Uint8Array = noText;
  private start = 0;
  private next: number | null = 0;
  constructor(row: TextRow<S>, subject: S) {
    this.row = row;
    this.subject = subject;
  }

  read(_file: OpenFile, io: IoBuffer, pos: number, t: Task | null): number {
    if (this.row.show === undefined && this.row.showPart === undefined) return -Errno.EINVAL;
    if (pos === 0 || pos < this.start) {
      this.text = noText;
      this.start = 0;
      this.next = 0;
    }
    let done = 0;
    while (io.left > 0) {
      while (pos + done >= this.start + this.text.length && this.next !== null) {
        const error = this.tellMore(this.next, t);
        if (error !== 0) return done > 0 ? done : error;
      }
      const bytes = this.text.subarray(pos + done - this.start, pos + done - this.start + io.left);
      if (bytes.length === 0) break;
      const moved = io.put(bytes);
      done += moved;
      if (moved < bytes.length) break;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }
  private tellMore(cursor: number, t: Task | null): number {
    const told = this.row.showPart?.(this.subject, cursor, t) ?? whole(this.row.show!(this.subject, t));
    if (typeof told === 'number') return told;
    this.start += this.text.length;
    this.text = typeof told.text === 'string' ? utf8Encode(told.text) : told.text;
    this.next = told.next;
    return 0;
  }
  write(file: OpenFile, io: IoBuffer, _pos: number, t: Task | null): number {
    if (this.row.store === undefined) return file.inode.fs.type === 'sysfs' ? -Errno.EIO : -Errno.EINVAL;
    if (io.left === 0 && file.inode.fs.type === 'proc') return 0; // proc_dointvec() is not asked
    const wanted = Math.min(io.left, PAGE_BYTES);
    const bytes = io.take(wanted);
    if (bytes.length < wanted) return -Errno.EFAULT;
    const error = this.row.store(this.subject, utf8Decode(bytes), t);
    return error < 0 ? error : bytes.length;
  }
  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    return this.row.ioctl?.(this.subject, t, command, arg) ?? -Errno.ENOTTY;
  }
  seek(file: OpenFile, offset: number, whence: number): number {
    const to = whence === Seek.Set ? offset : whence === Seek.Cur ? file.pos + offset : -1;
    return to < 0 ? -Errno.EINVAL : to;
  }
}

/** Puts a text file at a path below `root`, making the directories above it. @returns its inode */
export function putText<S>(fs: PseudoFs, root: PseudoDirectory, path: string, row: TextRow<S>, subject: S): Inode {
  const names = path.split('/');
  const last = names.pop()!;
  let at = root;
  for (const name of names) {
    const next = at.get(name)?.dir;
    if (next instanceof PseudoDirectory) {
      at = next;
    } else {
      const made = new PseudoDirectory();
      at.put(name, fs.directory(fs.type === 'proc' ? 0o555 : 0o755, made));
      at = made;
    }
  }
  const inode = fs.file(row, subject);
  at.put(last, inode);
  return inode;
}

/** A number as /proc/sys takes it: decimal or 0x, blanks around it; null: not one. Mirrors proc_get_long(). */
export function parseNumber(text: string): number | null {
  const word = text.trim();
  if (!/^-?(?:0[xX][0-9a-fA-F]+|[0-9]+)$/.test(word)) return null;
  const n = word.startsWith('-') ? -Number(word.slice(1)) : Number(word);
  return Number.isSafeInteger(n) ? n : null;
}
/** A truth value by its first letters: y, t, 1 or on; n, f, 0 or off. null: none of these. kstrtobool() */
export function parseBool(text: string): boolean | null {
  const word = text.toLowerCase();
  if (/^(?:[yt1]|on)/.test(word)) return true;
  return /^(?:[nf0]|of)/.test(word) ? false : null;
}
