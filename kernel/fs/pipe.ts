// A pipe: bytes on their way from writers to readers, in frames of guest RAM. Here: the ring of pages (PipePages), the two ends as open files.
// Not here: named pipes (fifo.ts), making a pair of descriptors (vfs.ts). Mirrors fs/pipe.c: a write of up to PIPE_BUF bytes is never split,
// because it either joins the last page whole or starts one of its own.
import type { Pfn, StateHash } from '#base';
import { MemdescType } from '../mm/folio.ts';
import { Gfp, type MmSystem } from '../mm/system.ts';
import type { PendingCall, Task } from '../proc/task.ts';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type OpenFile, Open, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';

const PAGE_BYTES = 4096;
export const DEFAULT_PIPE_PAGES = 16;
/** fs.pipe-max-size: what an unprivileged F_SETPIPE_SZ may ask for. */
export const PIPE_MAX_BYTES = 1 << 20;

/** At most one page's worth of bytes in the ring. `isOwn`: the page was made for this pipe, which may fill it up; else vmsplice or tee lent it. */
interface PipePage { readonly pfn: Pfn; offset: number; len: number; readonly isPacket: boolean; readonly isOwn: boolean }

const page = new Uint8Array(PAGE_BYTES);

/** Bytes in order, in pages of RAM. */
export class PipePages {
  readonly pages: PipePage[] = [];
  maxPages = DEFAULT_PIPE_PAGES;
  bytes = 0;
  private readonly system: MmSystem;

  constructor(system: MmSystem) {
    this.system = system;
  }
  get isEmpty(): boolean {
    return this.pages.length === 0;
  }
  get isFull(): boolean {
    return this.pages.length >= this.maxPages;
  }

  /** Takes from `io` as much as there is room for. @returns bytes, or -ENOMEM, -EFAULT when there are none; 0: no room */
  append(io: IoBuffer, isPacket: boolean): number {
    let done = 0;
    const odd = io.left % PAGE_BYTES;
    const last = this.pages.at(-1);
    // The odd bytes come first, so that the rest fills whole pages.
    if (odd !== 0 && last !== undefined && last.isOwn && !last.isPacket && last.offset + last.len + odd <= PAGE_BYTES) {
      if (io.takeInto(page.subarray(0, odd)) < odd) return -Errno.EFAULT;
      this.system.machine.writeFrame(last.pfn, last.offset + last.len, page.subarray(0, odd));
      last.len += odd;
      this.bytes += odd;
      done += odd;
    }
    while (io.left > 0 && !this.isFull) {
      const folio = this.system.allocFolio(0, MemdescType.Misc, Gfp.User);
      if (folio === 0) return done > 0 ? done : -Errno.ENOMEM;
      const wanted = Math.min(PAGE_BYTES, io.left);
      if (io.takeInto(page.subarray(0, wanted)) < wanted) {
        this.system.putFolio(folio); // a page that cannot be filled is not sent at all
        return done > 0 ? done : -Errno.EFAULT;
      }
      this.system.machine.writeFrame(folio, 0, page.subarray(0, wanted));
      this.pages.push({ pfn: folio, offset: 0, len: wanted, isPacket, isOwn: true });
      this.bytes += wanted;
      done += wanted;
    }
    return done;
  }

  /** Holds a program's page instead of a copy of its bytes. There is room. */
  link(pfn: Pfn, offset: number, len: number): void {
    this.system.holdPage(pfn);
    this.pages.push({ pfn, offset, len, isPacket: false, isOwn: false });
    this.bytes += len;
  }
  /** Holds the pages of another pipe's first `max` bytes, as far as there is room. @returns bytes */
  linkFrom(from: PipePages, max: number): number {
    let done = 0;
    for (const { pfn, offset, len, isPacket } of from.pages) {
      if (done === max || this.isFull) break;
      const nr = Math.min(len, max - done);
      this.system.holdPage(pfn);
      this.pages.push({ pfn, offset, len: nr, isPacket, isOwn: false });
      this.bytes += nr;
      done += nr;
    }
    return done;
  }

  /** Gives bytes to `io`; a packet ends the read, and what did not fit of it is lost. @returns bytes, or -EFAULT when there are none */
  take(io: IoBuffer): number {
    let done = 0;
    while (io.left > 0 && this.pages.length > 0) {
      const first = this.pages[0]!;
      const bytes = page.subarray(0, Math.min(first.len, io.left));
      this.system.machine.readFrame(first.pfn, first.offset, bytes);
      if (io.put(bytes) < bytes.length) break; // what could not be delivered whole stays
      done += bytes.length;
      this.drop(first, first.isPacket ? first.len : bytes.length);
      if (first.isPacket) break;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }

  /** Copies the next `max` bytes to `io` and leaves them here. @returns bytes, or -EFAULT when there are none */
  peekInto(io: IoBuffer, max: number): number {
    let done = 0;
    for (const { pfn, offset, len } of this.pages) {
      const bytes = page.subarray(0, Math.min(len, max - done, io.left));
      if (bytes.length === 0) break;
      this.system.machine.readFrame(pfn, offset, bytes);
      const moved = io.put(bytes);
      done += moved;
      if (moved < bytes.length) break;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }
  /** Drops the first `nrBytes`. */
  discard(nrBytes: number): void {
    let left = nrBytes;
    while (left > 0) {
      const first = this.pages[0]!;
      const n = Math.min(left, first.len);
      this.drop(first, n);
      left -= n;
    }
  }
  /** Takes back what was appended beyond a total of `nrBytes`. */
  cutBack(nrBytes: number): void {
    while (this.bytes > nrBytes) {
      const last = this.pages.at(-1)!;
      const n = Math.min(this.bytes - nrBytes, last.len);
      last.len -= n;
      this.bytes -= n;
      if (last.len > 0) continue;
      this.pages.pop();
      this.letGo(last);
    }
  }
  hash(into: StateHash): void {
    into.number(this.maxPages);
    for (const { pfn, offset, len, isPacket } of this.pages) into.numbers([pfn, offset, len, isPacket ? 1 : 0]);
  }

  private drop(first: PipePage, nrBytes: number): void {
    first.offset += nrBytes;
    first.len -= nrBytes;
    this.bytes -= nrBytes;
    if (first.len > 0) return;
    this.pages.shift();
    this.letGo(first);
  }
  private letGo({ pfn, isOwn }: PipePage): void {
    if (isOwn) this.system.putFolio(this.system.folios.folioOf(pfn));
    else this.system.releasePage(pfn);
  }
  clear(): void {
    while (this.pages.length > 0) this.drop(this.pages[0]!, this.pages[0]!.len);
  }
}

/** A task whose open of a fifo sleeps for the other side. It counts as open as long as that same call is pending. */
interface Opener { readonly task: Task; readonly call: PendingCall | null; readonly flags: number }

export class Pipe {
  readonly pages: PipePages;
  private openReaders = 0;
  private openWriters = 0;
  private openers: Opener[] = [];
  /** How many ends were ever opened: a fifo's open waits for the other count to move. */
  readerOpens = 0;
  writerOpens = 0;
  readonly readQueue = new WaitQueue();
  readonly writeQueue = new WaitQueue();

  constructor(system: MmSystem) {
    this.pages = new PipePages(system);
  }
  get readers(): number {
    return this.openReaders + this.waiting().filter(({ flags }) => reads(flags)).length;
  }
  get writers(): number {
    return this.openWriters + this.waiting().filter(({ flags }) => writes(flags)).length;
  }
  private waiting(): Opener[] {
    if (this.openers.length > 0) this.openers = this.openers.filter(({ task, call }) => call !== null && task.pendingCall === call);
    return this.openers;
  }

  /** A task begins to wait in open(2); the other side sees it from now on. */
  addOpener(task: Task, flags: number): void {
    this.openers.push({ task, call: task.pendingCall, flags });
    this.count(flags);
  }
  /** Is this very call one that waits here already? Then it does no more. */
  removeOpener(task: Task): boolean {
    const at = this.waiting().findIndex((opener) => opener.task === task);
    if (at < 0) return false;
    this.openers.splice(at, 1);
    return true;
  }
  /** One more open file uses it, in the directions that its flags say. */
  attach(flags: number): void {
    if (reads(flags)) this.openReaders++;
    if (writes(flags)) this.openWriters++;
  }
  /** An end was opened: those who wait for one may go on. */
  count(flags: number): void {
    if (reads(flags)) {
      this.readerOpens++;
      this.writeQueue.wake();
    }
    if (writes(flags)) {
      this.writerOpens++;
      this.readQueue.wake();
    }
  }
  /** An open file is closed; the other side learns of it. */
  detach(flags: number): void {
    if (reads(flags)) this.openReaders--;
    if (writes(flags)) this.openWriters--;
    if (this.readers === 0) this.writeQueue.wake();
    if (this.writers === 0) this.readQueue.wake();
    if (this.readers === 0 && this.writers === 0) this.pages.clear();
  }

  /** F_SETPIPE_SZ. @returns the new size in bytes, or -errno */
  resize(bytes: number, isPrivileged: boolean): number {
    if (bytes > 0x8000_0000) return -Errno.EINVAL;
    let pages = 1;
    while (pages * PAGE_BYTES < bytes) pages *= 2;
    if (pages > this.pages.maxPages && pages * PAGE_BYTES > PIPE_MAX_BYTES && !isPrivileged) return -Errno.EPERM;
    if (pages < this.pages.pages.length) return -Errno.EBUSY;
    this.pages.maxPages = pages;
    this.writeQueue.wake();
    return pages * PAGE_BYTES;
  }
}

export const reads = (flags: number): boolean => (flags & Open.WRONLY) === 0;
export const writes = (flags: number): boolean => (flags & Open.ACCMODE) !== 0;

/** The operations of either end; what an end may do follows from its open flags. */
export class PipeEnd implements FileOps {
  readonly seekable = false;
  readonly pipe: Pipe;
  constructor(pipe: Pipe) {
    this.pipe = pipe;
  }

  read(_file: OpenFile, io: IoBuffer): number {
    if (io.left === 0) return 0;
    const { pipe } = this;
    if (pipe.pages.isEmpty) return pipe.writers === 0 ? 0 : -Errno.EAGAIN;
    const wasFull = pipe.pages.isFull;
    const n = pipe.pages.take(io);
    if (wasFull && !pipe.pages.isFull) pipe.writeQueue.wake();
    return n;
  }

  write(file: OpenFile, io: IoBuffer, _pos: number, _t: Task | null): number {
    if (io.left === 0) return 0;
    const { pipe } = this;
    if (pipe.readers === 0) {
      io.brokenPipe = true;
      return -Errno.EPIPE;
    }
    const n = pipe.pages.append(io, (file.flags & Open.DIRECT) !== 0);
    if (n > 0) pipe.readQueue.wake();
    return n === 0 ? -Errno.EAGAIN : n;
  }

  poll(file: OpenFile): number {
    const { pipe } = this;
    let mask = 0;
    if (file.canRead) {
      if (!pipe.pages.isEmpty) mask |= Poll.IN | Poll.RDNORM;
      if (pipe.writers === 0 && pipe.writerOpens > 0) mask |= Poll.HUP;
    }
    if (file.canWrite) {
      if (!pipe.pages.isFull) mask |= Poll.OUT | Poll.WRNORM;
      if (pipe.readers === 0) mask |= Poll.ERR;
    }
    return mask;
  }
  queues(file: OpenFile): readonly WaitQueue[] {
    if (!file.canWrite) return [this.pipe.readQueue];
    return file.canRead ? [this.pipe.readQueue, this.pipe.writeQueue] : [this.pipe.writeQueue];
  }

  /** FIONREAD; the rest is not for pipes. */
  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    if (command !== 0x541b) return -Errno.ENOTTY;
    return t.user.setU32(arg, this.pipe.pages.bytes) ? 0 : -Errno.EFAULT;
  }
  release(file: OpenFile): void {
    this.pipe.detach(file.flags);
  }
  hash(into: StateHash): void {
    into.numbers([this.pipe.readers, this.pipe.writers, this.pipe.readerOpens, this.pipe.writerOpens]);
    this.pipe.pages.hash(into);
  }
}
