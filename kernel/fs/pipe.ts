// A pipe: bytes on their way from writers to readers, in frames of guest RAM. Here: the ring of pages (PipePages), the two ends as open files.
// Not here: named pipes (fifo.ts), making a pair of descriptors (vfs.ts). Mirrors fs/pipe.c: a write of up to PIPE_BUF bytes is never split,
// because it either joins the last page whole or starts one of its own.
import type { Pfn } from '#base';
import { MemdescType } from '../mm/folio.ts';
import { Gfp, type MmSystem } from '../mm/system.ts';
import type { Task } from '../proc/task.ts';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type OpenFile, Open, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';

const PAGE_BYTES = 4096;
export const DEFAULT_PIPE_PAGES = 16;
/** fs.pipe-max-size: what an unprivileged F_SETPIPE_SZ may ask for. */
export const PIPE_MAX_BYTES = 1 << 20;

/** One page's worth of bytes in the ring. */
interface PipePage { readonly pfn: Pfn; offset: number; len: number; readonly isPacket: boolean }

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
    if (odd !== 0 && last !== undefined && !last.isPacket && last.offset + last.len + odd <= PAGE_BYTES) {
      const got = io.takeInto(page.subarray(0, odd));
      this.system.machine.writeFrame(last.pfn, last.offset + last.len, page.subarray(0, got));
      last.len += got;
      this.bytes += got;
      done += got;
      if (got < odd) return done > 0 ? done : -Errno.EFAULT;
    }
    while (io.left > 0 && !this.isFull) {
      const folio = this.system.allocFolio(0, MemdescType.Misc, Gfp.User);
      if (folio === 0) return done > 0 ? done : -Errno.ENOMEM;
      const got = io.takeInto(page.subarray(0, Math.min(PAGE_BYTES, io.left)));
      if (got === 0) {
        this.system.putFolio(folio);
        return done > 0 ? done : -Errno.EFAULT;
      }
      this.system.machine.writeFrame(folio, 0, page.subarray(0, got));
      this.pages.push({ pfn: folio, offset: 0, len: got, isPacket });
      this.bytes += got;
      done += got;
      if (io.faulted) break;
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
      const moved = io.put(bytes);
      done += moved;
      this.drop(first, first.isPacket ? first.len : moved);
      if (first.isPacket || moved < bytes.length) break;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }

  /** Looks at the next bytes without taking them (MSG_PEEK, tee); at most one page. */
  peek(max: number): Uint8Array {
    const first = this.pages[0];
    if (first === undefined) return new Uint8Array(0);
    const bytes = new Uint8Array(Math.min(max, first.len));
    this.system.machine.readFrame(first.pfn, first.offset, bytes);
    return bytes;
  }

  private drop(first: PipePage, nrBytes: number): void {
    first.offset += nrBytes;
    first.len -= nrBytes;
    this.bytes -= nrBytes;
    if (first.len > 0) return;
    this.pages.shift();
    this.system.putFolio(this.system.folios.folioOf(first.pfn));
  }
  clear(): void {
    while (this.pages.length > 0) this.drop(this.pages[0]!, this.pages[0]!.len);
  }
}

export class Pipe {
  readonly pages: PipePages;
  readers = 0;
  writers = 0;
  /** How many ends were ever opened: a fifo's open waits for the other count to move. */
  readerOpens = 0;
  writerOpens = 0;
  readonly readQueue = new WaitQueue();
  readonly writeQueue = new WaitQueue();

  constructor(system: MmSystem) {
    this.pages = new PipePages(system);
  }

  /** One more open file uses it, in the directions that its flags say. */
  attach(flags: number): void {
    if (reads(flags)) {
      this.readers++;
      this.readerOpens++;
      this.writeQueue.wake();
    }
    if (writes(flags)) {
      this.writers++;
      this.writerOpens++;
      this.readQueue.wake();
    }
  }
  /** An open file is closed; the other side learns of it. */
  detach(flags: number): void {
    if (reads(flags)) this.readers--;
    if (writes(flags)) this.writers--;
    if (this.readers === 0) this.writeQueue.wake();
    if (this.writers === 0) this.readQueue.wake();
    if (this.readers === 0 && this.writers === 0) this.pages.clear();
  }
  get isUnused(): boolean {
    return this.readers === 0 && this.writers === 0;
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
}
