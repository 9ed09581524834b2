// A regular file: bytes in pages of guest RAM. Here: read, write, holes, fallocate, what mmap gets, the seals of a memfd. Not here: the pages
// themselves (mm/filemap.ts). Mirrors shmem_file_operations (mm/shmem.c) and mm/memfd.c.
import { AddressSpace, type FileMapping, type PageQuota } from '../mm/filemap.ts';
import type { MmSystem } from '../mm/system.ts';
import { Errno } from '../syscall/errno.ts';
import { type Dentry, pathOf } from './dentry.ts';
import { type FileOps, MAX_OFFSET, type OpenFile, Open, Seek } from './file.ts';
import { attributesChanged, type Inode, type Openable } from './inode.ts';
import type { IoBuffer } from './io-buffer.ts';
import { type KernelView, stamp } from './view.ts';

const PAGE_BYTES = 4096;
/** Bytes moved at a time between pages and program: the size of the buffer in between. */
const CHUNK_BYTES = 65536;
/** Of a write that is longer, so much at a time decides about folio sizes. */
const MAX_FOLIO_BYTES = 2 << 20;
const chunk = new Uint8Array(CHUNK_BYTES);

/** F_SEAL_*: what may no longer be done to a memfd. */
export const Seal = { Seal: 1, Shrink: 2, Grow: 4, Write: 8, FutureWrite: 0x10, Exec: 0x20 } as const;

/** Modes of fallocate(2). */
export const Falloc = { KeepSize: 1, PunchHole: 2 } as const;

export class RegularFile implements Openable, FileOps {
  readonly seekable = true;
  readonly pages: AddressSpace;
  /** Seal bits; a file that was not made to be sealed has Seal.Seal from the start. */
  seals: number = Seal.Seal;
  private readonly view: KernelView;

  constructor(system: MmSystem, quota: PageQuota | null, view: KernelView) {
    this.pages = new AddressSpace(system, 'shmem', quota);
    this.view = view;
  }

  open(): FileOps {
    return this;
  }
  get isWriteSealed(): boolean {
    return (this.seals & (Seal.Write | Seal.FutureWrite)) !== 0;
  }
  size(): number {
    return this.pages.sizeBytes;
  }
  blocks(): number {
    return (this.pages.nrPages + this.pages.nrSwapped) * (PAGE_BYTES / 512);
  }

  read(file: OpenFile, io: IoBuffer, pos: number): number {
    let done = 0;
    while (io.left > 0) {
      const got = this.pages.read(pos + done, chunk.subarray(0, Math.min(CHUNK_BYTES, io.left)));
      if (got < 0 && done === 0) return got;
      if (got <= 0) break;
      const moved = io.put(chunk.subarray(0, got));
      done += moved;
      if (moved < got) break;
    }
    if (done === 0 && io.faulted) return -Errno.EFAULT;
    touchAccess(file, this.view);
    return done;
  }

  write(file: OpenFile, io: IoBuffer, pos: number): number {
    if (io.left === 0) return 0;
    if (pos >= MAX_OFFSET) return -Errno.EFBIG;
    if (this.isWriteSealed) return -Errno.EPERM;
    if ((this.seals & Seal.Grow) !== 0 && pos + io.left > this.size()) return -Errno.EPERM;
    let done = 0;
    let error = 0;
    const end = pos + Math.min(io.left, MAX_FOLIO_BYTES);
    while (io.left > 0 && pos + done < MAX_OFFSET) {
      const length = io.takeInto(chunk.subarray(0, Math.min(CHUNK_BYTES, io.left, MAX_OFFSET - pos - done)));
      const put = length === 0 ? 0 : this.pages.write(pos + done, chunk.subarray(0, length), Math.max(end, pos + done + length));
      if (put < 0) error = put;
      else done += put;
      if (put < length || io.faulted) break;
    }
    if (done === 0) return error !== 0 ? error : io.faulted ? -Errno.EFAULT : -Errno.ENOSPC;
    const { inode } = file;
    inode.mtime = inode.ctime = stamp(this.view);
    return done;
  }

  /** SEEK_DATA and SEEK_HOLE; the rest goes by size. */
  seek(_file: OpenFile, offset: number, whence: number): number | null {
    if (whence < Seek.Data) return null;
    const size = this.size();
    if (offset < 0 || offset >= size) return -Errno.ENXIO;
    let index: number = Math.floor(offset / PAGE_BYTES);
    if (whence === Seek.Hole) {
      while (this.pages.hasData(index)) index++;
      return Math.min(size, Math.max(offset, index * PAGE_BYTES));
    }
    const found = this.pages.nextData(index);
    if (found < 0 || found * PAGE_BYTES >= size) return -Errno.ENXIO;
    return Math.max(offset, found * PAGE_BYTES);
  }

  /** @returns 0 or -errno. The size limit of the program was checked by the caller. */
  truncate(inode: Inode, size: number): number {
    if (size > MAX_OFFSET) return -Errno.EFBIG;
    const now = this.size();
    if (size < now && (this.seals & Seal.Shrink) !== 0) return -Errno.EPERM;
    if (size > now && (this.seals & Seal.Grow) !== 0) return -Errno.EPERM;
    this.pages.truncate(size);
    inode.mtime = inode.ctime = stamp(this.view);
    return 0;
  }

  fallocate(file: OpenFile, mode: number, offset: number, len: number): number {
    if ((mode & ~(Falloc.KeepSize | Falloc.PunchHole)) !== 0) return -Errno.EOPNOTSUPP;
    const end = offset + len;
    const { inode } = file;
    if ((mode & Falloc.PunchHole) !== 0) {
      if (this.isWriteSealed) return -Errno.EPERM;
      this.pages.punchHole(offset, Math.min(end, MAX_OFFSET));
      inode.mtime = inode.ctime = stamp(this.view);
      return 0;
    }
    if (end > MAX_OFFSET) return -Errno.EFBIG;
    const grows = (mode & Falloc.KeepSize) === 0 && end > this.size();
    if (grows && (this.seals & Seal.Grow) !== 0) return -Errno.EPERM;
    if (!this.makePages(Math.floor(offset / PAGE_BYTES), Math.ceil(end / PAGE_BYTES))) return -Errno.ENOSPC;
    if (grows) this.pages.truncate(end);
    inode.ctime = stamp(this.view);
    if (grows) inode.mtime = inode.ctime;
    return 0;
  }

  /** Makes every page of [first, end); false: no room, and those made here are gone again (shmem_fallocate). */
  private makePages(first: number, end: number): boolean {
    if (end - first > this.pages.system.managedPages) return false;
    const made: number[] = [];
    for (let index = first; index < end; index++) {
      if (this.pages.isSwapped(index) || this.pages.frameAt(index) !== 0) continue;
      if (this.pages.setAside(index) === 0) {
        for (const back of made) this.pages.punchHole(back * PAGE_BYTES, (back + 1) * PAGE_BYTES);
        return false;
      }
      made.push(index);
    }
    return true;
  }

  mapping(file: OpenFile): FileMapping {
    // A file without a name is anonymous memory to the folio sizes (shmem_mmap()).
    if (file.inode.nlink === 0) this.pages.isAnonymousShmem = true;
    return new MappedFile(this, file.dentry, file.canWrite);
  }
}

/** A regular file as its mappings hold it: alive after close and unlink, its name as it stands now. */
export class MappedFile implements FileMapping {
  readonly dentry: Dentry;
  private readonly file: RegularFile;
  private readonly isWritable: boolean;
  constructor(file: RegularFile, dentry: Dentry, isWritable: boolean) {
    this.file = file;
    this.dentry = dentry;
    this.isWritable = isWritable;
  }
  get space(): AddressSpace {
    return this.file.pages;
  }
  /** Seals that come later count too. */
  get mayWrite(): boolean {
    return this.isWritable && !this.file.isWriteSealed;
  }
  get path(): string {
    return pathOf(this.dentry);
  }
  get ino(): number {
    return this.dentry.inode.ino;
  }
  get devMajor(): number {
    return this.dentry.inode.fs.devMajor;
  }
  get devMinor(): number {
    return this.dentry.inode.fs.devMinor;
  }
}

/** The access time, by the rule of relatime: only when it is not newer than the last change, or a day old. */
export function touchAccess(file: OpenFile, view: KernelView): void {
  if ((file.flags & Open.NOATIME) !== 0 || file.inode.fs.isReadOnly) return;
  const { inode } = file;
  const now = stamp(view);
  const isAfter = (a: { sec: number; nsec: number }, b: { sec: number; nsec: number }): boolean => a.sec > b.sec || (a.sec === b.sec && a.nsec > b.nsec);
  if (isAfter(inode.atime, inode.mtime) && isAfter(inode.atime, inode.ctime) && now.sec - inode.atime.sec < 86400) return;
  inode.atime = now;
  attributesChanged(inode);
}

/** The content of a regular file; null for everything else. */
export const regularOf = (inode: Inode): RegularFile | null => (inode.content instanceof RegularFile ? inode.content : null);
