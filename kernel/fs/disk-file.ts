// A regular file on a disk, as programs open it: read, write, sync, direct I/O, holes, mappings. Here: what a call does and where it sleeps. Not
// here: the pages (mm/filemap.ts and its back ends), the format (ext/). Mirrors fs/ext4/file.c and mm/filemap.c's callers, 6.18.
//
// A call that must wait for the disk, or that dirties more than there may be, sleeps and runs again from its arguments, with a note of how many
// bytes it has moved: none is moved twice. Linux holds the inode's lock for a whole write; here a write that sleeps in its middle may find that
// another one came between, and one that appends goes on at the end as it is then.
import { PAGE_SIZE } from '#base';
import type { Folio, StateHash } from '#base';
import { Bio, BioOp, SECTOR_BYTES } from '../block/bio.ts';
import type { BlockDevice } from '../block/device.ts';
import { filemapRead } from '../mm/filemap-read.ts';
import { AddressSpace, type FileMapping, type FileRa, type IoProgress, type SpaceOwner } from '../mm/filemap.ts';
import { FolioFlag } from '../mm/folio.ts';
import type { DeferredEnd } from '../mm/folio-wait.ts';
import { newRa } from '../mm/readahead.ts';
import type { MmSystem } from '../mm/system.ts';
import { invalidateMapping, punchHole, truncate } from '../mm/truncate.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { BufferHeadOps } from './buffer-head.ts';
import { type Dentry, pathOf } from './dentry.ts';
import { DiskFlushes, sleepOnDisk, startWriting, waitWritten } from './disk-sync.ts';
import { extentAt, isIomapSource } from './extent.ts';
import { type FileOps, Open, type OpenFile, Seek } from './file.ts';
import { guardEdges } from './folio-io.ts';
import { attributesChanged, dropInode, type Inode, type Openable } from './inode.ts';
import type { IoBuffer } from './io-buffer.ts';
import { IomapOps } from './iomap.ts';
import { type BlockMapper, type Iomap, IomapPurpose, type IomapSource, IomapType } from './mapping.ts';
import { touchAccess } from './regular.ts';
import { type KernelView, stamp } from './view.ts';

/** What a format keeps of a regular file. */
export interface DiskInode extends Inode {
  /** i_size, as it goes to the disk. */
  size: number;
  readonly maxBytes: number;
  /** Room used, in units of 512 bytes. */
  readonly blocks: number;
  readonly mapper: BlockMapper | IomapSource;
  /** These answer 0 or -errno. The bytes at the edges of blocks are the caller's. */
  truncateBlocks(sizeBytes: number): number;
  punch(start: number, end: number): number;
  allocateUnwritten(start: number, end: number): number;
  zeroRange(start: number, end: number): number;
  syncMetadata(dataOnly: boolean): number;
}

/** What all files of a mounted disk share. */
export interface DiskContext {
  readonly system: MmSystem;
  readonly view: KernelView;
  readonly device: BlockDevice;
  readonly flushes: DiskFlushes;
  readonly blockSize: number;
  /** Largest order of a folio, where the format knows extents. */
  readonly maxOrder: number;
}

/** Modes of fallocate(2) that files on disks know. */
const Falloc = { KeepSize: 1, PunchHole: 2, ZeroRange: 0x10 } as const;

export class DiskFile implements Openable, SpaceOwner, DeferredEnd {
  readonly disk: DiskContext;
  readonly inode: DiskInode;
  readonly space: AddressSpace;
  /** Mappings hold the inode, as open files do. */
  private isHeld = false;

  constructor(disk: DiskContext, inode: DiskInode) {
    this.disk = disk;
    this.inode = inode;
    const { system, device, blockSize, maxOrder } = disk;
    const { mapper } = inode;
    const ops = isIomapSource(mapper) ? new IomapOps(system, device, mapper, blockSize, maxOrder) : new BufferHeadOps(system, device, mapper);
    this.space = ops.space = new AddressSpace(system, 'file', null, ops, { ino: inode.ino, devMajor: device.major, devMinor: device.minor });
    this.space.sizeBytes = inode.size;
    this.space.owner = this;
  }
  open(): FileOps {
    return new OpenDiskFile(this);
  }
  size(): number {
    return this.space.sizeBytes;
  }
  blocks(): number {
    return this.inode.blocks;
  }
  /** Data, or the size alone, came to the file. */
  changed(): void {
    const { inode, disk: { view } } = this;
    inode.size = this.space.sizeBytes;
    inode.mtime = inode.ctime = stamp(view);
    attributesChanged(inode);
  }

  truncate(_inode: Inode, size: number): number {
    const { space, inode, disk: { blockSize } } = this;
    if (inode.isSwapFile) return -Errno.ETXTBSY;
    if (size > inode.maxBytes) return -Errno.EFBIG;
    const shrinks = size < space.sizeBytes;
    if (shrinks) {
      const error = space.ops!.zeroRange(size, Math.ceil(size / blockSize) * blockSize - size);
      if (error < 0) return error;
    } else space.ops!.extending(size);
    truncate(space, size);
    this.changed();
    return shrinks ? inode.truncateBlocks(size) : 0;
  }
  fallocate(mode: number, offset: number, len: number): number {
    const { space, inode } = this;
    if ((mode & ~(Falloc.KeepSize | Falloc.PunchHole | Falloc.ZeroRange)) !== 0) return -Errno.EOPNOTSUPP;
    if (inode.isSwapFile) return -Errno.ETXTBSY;
    const end = offset + len;
    if (end > inode.maxBytes) return -Errno.EFBIG;
    let error: number;
    if ((mode & Falloc.PunchHole) !== 0) error = (mode & Falloc.ZeroRange) !== 0 ? -Errno.EOPNOTSUPP : this.empty(offset, end) || inode.punch(offset, end);
    else if (!isIomapSource(inode.mapper)) return -Errno.EOPNOTSUPP;
    else if ((mode & Falloc.ZeroRange) !== 0) error = this.empty(offset, end) || inode.zeroRange(offset, end);
    else error = inode.allocateUnwritten(offset, end);
    if (error !== 0) return error;
    if ((mode & Falloc.KeepSize) === 0 && end > space.sizeBytes) {
      space.ops!.extending(end);
      space.sizeBytes = end;
    }
    this.changed();
    return 0;
  }
  /** [start, end) reads as zeros in memory, and so do the bytes at its edges that share a block with others, on the disk, too. What lies behind the
   *  end of the file counts: blocks there go as well, and nothing in memory may still lead to them. */
  private empty(start: number, end: number): number {
    const { space, disk: { blockSize } } = this;
    const first = Math.ceil(start / blockSize) * blockSize;
    const last = Math.floor(end / blockSize) * blockSize;
    const error = first > last ? space.ops!.zeroRange(start, end - start) : space.ops!.zeroRange(start, first - start) || space.ops!.zeroRange(last, end - last);
    if (error !== 0) return error;
    guardEdges(space, start, end, blockSize);
    punchHole(space, start, end);
    return 0;
  }

  /** The steps of fsync for [start, end) in bytes. `t.restart` keeps the place; `notes` are the caller's own. @returns 0, -errno, or BLOCK */
  sync(t: Task | null, start: number, end: number, dataOnly: boolean, notes: Readonly<Record<string, number>> = {}): number {
    const { space, inode, disk: { flushes } } = this;
    const range = { space, start: Math.floor(start / PAGE_SIZE), end: Math.ceil(end / PAGE_SIZE) };
    if (t === null) {
      startWriting(space, range.start, range.end);
      waitWritten(null, [range]);
      return inode.syncMetadata(dataOnly) || flushes.now();
    }
    if (t.restart?.ticket === undefined) {
      if (t.restart?.writing === undefined) startWriting(space, range.start, range.end);
      t.restart = { ...notes, writing: 1 };
      if (waitWritten(t, [range]) === BLOCK) return BLOCK;
      const error = inode.syncMetadata(dataOnly);
      if (error !== 0) return error;
      t.restart = { ...notes, ticket: flushes.start() };
    }
    return flushes.wait(t, t.restart.ticket!);
  }

  // Life.

  mapped(): void {
    if (this.isHeld) return;
    this.isHeld = true;
    this.inode.users++;
  }
  /** VMAs come and go while they are split and moved: whether the last one is gone is asked when all that is over. */
  unmapped(): void {
    this.disk.system.waits.defer(this);
  }
  runDeferred(): void {
    if (!this.isHeld || this.space.isMapped) return;
    this.isHeld = false;
    dropInode(this.inode);
  }
  /** The inode is about to be deleted: what is in memory of it need not be written. */
  evict(): void {
    truncate(this.space, 0);
  }
}

/** One open file: how it is read, and what it knows of errors. */
class OpenDiskFile implements FileOps {
  readonly seekable = true;
  readonly sleepsOnIo = true;
  readonly file: DiskFile;
  readonly ra: FileRa;
  private errorsSeen: number;

  constructor(file: DiskFile) {
    this.file = file;
    const { limits } = file.disk.device;
    this.ra = newRa((limits.readAheadKb * 1024) / PAGE_SIZE, (limits.maxSectorsKb * 1024) / PAGE_SIZE);
    this.errorsSeen = file.space.writebackErrors.sample();
  }
  get space(): AddressSpace {
    return this.file.space;
  }

  read(open: OpenFile, io: IoBuffer, pos: number, t: Task | null): number {
    const { space, file: { disk } } = this;
    if ((open.flags & Open.DIRECT) !== 0 && io.isUser) {
      const n = this.direct(io, pos, false);
      if (n >= 0) touchAccess(open, disk.view);
      return n;
    }
    const before = t?.restart?.moved ?? 0;
    io.skip(before);
    return this.move(t, before, (done) => filemapRead(space, this.ra, pos + done, io), (done) => {
      touchAccess(open, disk.view);
      return done;
    });
  }
  write(open: OpenFile, io: IoBuffer, pos: number, t: Task | null): number {
    const { space, file } = this;
    const isSync = (open.flags & Open.DSYNC) !== 0;
    const dataOnly = (open.flags & Open.SYNC) !== Open.SYNC;
    const before = t?.restart?.moved ?? 0;
    // Where it appends, `pos` is the end as it is now, what was written so far included.
    const from = (open.flags & Open.APPEND) !== 0 ? pos - before : pos;
    if (t?.restart?.sync !== undefined) return this.syncWritten(t, before, from, dataOnly);
    if (file.inode.isSwapFile) return -Errno.ETXTBSY;
    if (io.left === 0) return 0;
    if (pos >= file.inode.maxBytes) return -Errno.EFBIG;
    io.shorten(file.inode.maxBytes - pos);
    if ((open.flags & Open.DIRECT) !== 0 && io.isUser) {
      const n = this.direct(io, pos, true);
      return n > 0 && isSync ? this.syncWritten(t, n, pos, dataOnly) : n;
    }
    io.skip(before);
    return this.move(t, before, (done) => {
      const progress = space.ops!.write(io, from + done);
      if (progress.moved > 0) file.changed();
      return progress;
    }, (done) => (isSync && done > 0 ? this.syncWritten(t, done, from, dataOnly) : done));
  }
  /** Moves bytes until all are, or something stops it; sleeps where it must, if there is somebody to sleep. */
  private move(t: Task | null, before: number, step: (done: number) => IoProgress, end: (done: number) => number): number {
    let done = before;
    if (t?.restart?.paused !== undefined) {
      // At the limit itself it waits on, until there is room.
      const until = this.file.disk.system.writeback.balance();
      if (until !== null) {
        pause(t, done, until);
        return BLOCK;
      }
    }
    for (;;) {
      const { moved, error, wait, until } = step(done);
      done += moved;
      if (wait !== 0) {
        if (this.sleepsOn(t, wait, done)) return BLOCK;
        continue;
      }
      if (until !== undefined) {
        if (t === null) continue;
        pause(t, done, until);
        return BLOCK;
      }
      return done > 0 ? end(done) : error;
    }
  }
  /** Waits for a folio's lock or writeback. @returns true: `t` sleeps */
  private sleepsOn(t: Task | null, folio: Folio, done: number): boolean {
    const { waits, folios } = this.file.disk.system;
    const isBusy = (): boolean => folios.test(folio, FolioFlag.Locked | FolioFlag.Writeback);
    if (t === null) {
      while (isBusy()) waits.waitNow(folio, folios.flags(folio) & (FolioFlag.Locked | FolioFlag.Writeback));
      return false;
    }
    if (!isBusy()) return false;
    t.restart = { moved: done };
    sleepOnDisk(t, waits.queueOf(folio));
    return true;
  }
  /** O_SYNC, O_DSYNC: what was just written is safe before the call answers. */
  private syncWritten(t: Task | null, done: number, pos: number, dataOnly: boolean): number {
    const error = this.synced(this.file.sync(t, pos, pos + done, dataOnly, { moved: done, sync: 1 }));
    return error === 0 ? done : error;
  }
  /** A sync also tells, once, of what failed since this file was opened or told the last time. */
  private synced(result: number): number {
    if (result === BLOCK) return BLOCK;
    const { writebackErrors } = this.space;
    const error = writebackErrors.check(this.errorsSeen);
    this.errorsSeen = writebackErrors.seq;
    return error || result;
  }
  sync(t: Task | null, dataOnly: boolean, start = 0, end = Infinity): number {
    return this.synced(this.file.sync(t, start, end, dataOnly));
  }
  /** sync_file_range: pages alone, in up to three steps. */
  syncRange(t: Task, start: number, end: number, flags: number): number {
    const WAIT_BEFORE = 1;
    const WRITE = 2;
    const WAIT_AFTER = 4;
    const { space } = this;
    const range = { space, start: Math.floor(start / PAGE_SIZE), end: Math.ceil(end / PAGE_SIZE) };
    if (t.restart?.written === undefined) {
      if ((flags & WAIT_BEFORE) !== 0 && waitWritten(t, [range]) === BLOCK) return BLOCK;
      if ((flags & WRITE) !== 0) startWriting(space, range.start, range.end, false);
      t.restart = { written: 1 };
    }
    if ((flags & WAIT_AFTER) !== 0 && waitWritten(t, [range]) === BLOCK) return BLOCK;
    return (flags & (WAIT_BEFORE | WAIT_AFTER)) !== 0 ? this.synced(0) : 0;
  }

  // O_DIRECT: between the disk and the program's own frames. What the page cache holds of the range is written and given up first. The clock goes
  // on to the end of the I/O with nothing else running, so that nobody touches the frames meanwhile.

  private direct(io: IoBuffer, pos: number, isWrite: boolean): number {
    const { space, file: { disk, inode } } = this;
    if (pos % SECTOR_BYTES !== 0 || !io.isAligned(SECTOR_BYTES)) return -Errno.EINVAL;
    const len = isWrite ? io.left : Math.min(io.left, Math.ceil(Math.max(0, space.sizeBytes - pos) / SECTOR_BYTES) * SECTOR_BYTES);
    if (len === 0) return 0;
    const pages = { space, start: Math.floor(pos / PAGE_SIZE), end: Math.ceil((pos + len) / PAGE_SIZE) };
    startWriting(space, pages.start, pages.end);
    waitWritten(null, [pages]);
    // Parts of blocks go through the page cache, and out of it again.
    if (isWrite && (pos % disk.blockSize !== 0 || len % disk.blockSize !== 0)) {
      const n = this.move(null, 0, (done) => space.ops!.write(io, pos + done), (done) => done);
      if (n > 0) this.file.changed();
      startWriting(space, pages.start, pages.end);
      waitWritten(null, [pages]);
      giveUp(space, pages.start, pages.end);
      return n;
    }
    if (isWrite) {
      giveUp(space, pages.start, pages.end);
      space.ops!.extending(pos + len);
    }
    let done = 0;
    let error = 0;
    while (done < len && error === 0) {
      const extent = extentAt(inode.mapper, pos + done, len - done, isWrite ? IomapPurpose.Write : IomapPurpose.Read);
      if (typeof extent === 'number') {
        error = extent;
        break;
      }
      const nr = Math.min(len - done, extent.offset + extent.lenBytes - pos - done);
      const moved = !isWrite && extent.type !== IomapType.Mapped ? io.putZeros(nr) : this.directBio(io, extent, pos + done, nr, isWrite);
      if (moved < 0) error = moved;
      else done += moved;
      if (moved < nr) break;
    }
    if (isWrite && done > 0) {
      if (pos + done > space.sizeBytes) space.sizeBytes = pos + done;
      this.file.changed();
    }
    // The last sector of a file is read whole, and what lies behind the end is not told.
    const told = isWrite ? done : Math.min(done, Math.max(0, space.sizeBytes - pos));
    return told > 0 ? told : error !== 0 ? error : io.faulted ? -Errno.EFAULT : 0;
  }
  /** @returns bytes, or -errno */
  private directBio(io: IoBuffer, extent: Iomap, pos: number, lenBytes: number, isWrite: boolean): number {
    const { inode, disk: { device, system } } = this.file;
    const ranges = io.pin(lenBytes, !isWrite);
    const got = ranges.reduce((sum, range) => sum + range.lenBytes, 0);
    const nr = got - (got % SECTOR_BYTES);
    if (nr < got) io.back(got - nr);
    for (const { pfn } of ranges) system.holdPage(pfn);
    let error = 0;
    if (nr > 0) {
      const bio = new Bio(isWrite ? BioOp.Write : BioOp.Read, (extent.addrBytes + pos - extent.offset) / SECTOR_BYTES, cutRanges(ranges, nr), null, { isSync: true });
      device.submit(bio);
      error = device.wait(bio);
    }
    for (const { pfn } of ranges) system.releasePage(pfn);
    if (error === 0 && nr > 0 && isWrite && extent.type === IomapType.Unwritten && isIomapSource(inode.mapper)) error = inode.mapper.written(pos, nr);
    return error !== 0 ? error : nr;
  }

  // The rest.

  /** SEEK_DATA and SEEK_HOLE: by extents; of one that is unwritten, what is in memory and up to date is data. */
  seek(_open: OpenFile, offset: number, whence: number): number | null {
    if (whence < Seek.Data) return null;
    const { space, file: { inode } } = this;
    const size = space.sizeBytes;
    if (offset < 0 || offset >= size) return -Errno.ENXIO;
    for (let at = offset; at < size; ) {
      const extent = extentAt(inode.mapper, at, size - at, IomapPurpose.Report);
      if (typeof extent === 'number') return extent;
      const end = Math.min(size, extent.offset + extent.lenBytes);
      if (extent.type === IomapType.Unwritten) {
        const found = this.seekInCache(at, end, whence === Seek.Data);
        if (found >= 0) return found;
      } else if ((extent.type === IomapType.Mapped) === (whence === Seek.Data)) return at;
      at = end;
    }
    return whence === Seek.Data ? -Errno.ENXIO : size;
  }
  private seekInCache(start: number, end: number, wantsData: boolean): number {
    const { space } = this;
    const { folios } = space.system;
    for (let at = start; at < end; at = (Math.floor(at / PAGE_SIZE) + 1) * PAGE_SIZE) {
      const folio = space.folioAt(Math.floor(at / PAGE_SIZE));
      // A page of which only some blocks are up to date is dirty, or was until a moment ago.
      if ((folio !== 0 && folios.test(folio, FolioFlag.Uptodate | FolioFlag.Dirty | FolioFlag.Writeback)) === wantsData) return at;
    }
    return -1;
  }
  fallocate(_open: OpenFile, mode: number, offset: number, len: number): number {
    return this.file.fallocate(mode, offset, len);
  }
  mapping(open: OpenFile): FileMapping {
    return new MappedDiskFile(this, open.dentry, open.canWrite);
  }
  hash(into: StateHash): void {
    const { start, size, asyncSize, order, raPages, mmapMiss, prevPos } = this.ra;
    into.numbers([start, size, asyncSize, order, raPages, mmapMiss, prevPos, this.errorsSeen]);
  }
}
/** Clean folios with a page in [start, end) go, large ones whole. Mirrors invalidate_inode_pages2_range(). */
function giveUp(space: AddressSpace, start: number, end: number): void {
  const { folios } = space.system;
  const [first, last] = [space.folioAt(start), space.folioAt(end - 1)];
  const from = first === 0 ? start : folios.index(first);
  const to = last === 0 ? end : folios.index(last) + folios.nrPages(last);
  space.unmapPages(from, to, false);
  invalidateMapping(space, from, to);
}
/** A writer sleeps for a while, with `done` bytes moved. */
function pause(t: Task, done: number, until: number): void {
  t.restart = { moved: done, paused: 1 };
  sleepOnDisk(t, null, until);
}
function cutRanges<R extends { readonly lenBytes: number }>(ranges: readonly R[], lenBytes: number): R[] {
  const kept: R[] = [];
  let left = lenBytes;
  for (const range of ranges) {
    if (left === 0) break;
    kept.push(range.lenBytes <= left ? range : { ...range, lenBytes: left });
    left -= kept.at(-1)!.lenBytes;
  }
  return kept;
}

/** A file on a disk as its mappings hold it. */
class MappedDiskFile implements FileMapping {
  readonly ra: FileRa;
  readonly space: AddressSpace;
  readonly dentry: Dentry;
  readonly mayWrite: boolean;
  constructor(ops: OpenDiskFile, dentry: Dentry, mayWrite: boolean) {
    this.ra = ops.ra;
    this.space = ops.space;
    this.dentry = dentry;
    this.mayWrite = mayWrite;
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

/** The content of a regular file on a disk; null for everything else. */
export const diskFileOf = (inode: Inode): DiskFile | null => (inode.content instanceof DiskFile ? inode.content : null);
/** The same, opened. */
export const openDiskFileOf = ({ ops }: OpenFile): OpenDiskFile | null => (ops instanceof OpenDiskFile ? ops : null);
export type { OpenDiskFile };
