// eventfd: a 64-bit counter that can be waited for. Mirrors fs/eventfd.c.
import type { StateHash } from '#base';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type OpenFile, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';

const ULLONG_MAX = 0xffff_ffff_ffff_ffffn;

export class EventFd implements FileOps {
  readonly seekable = false;
  readonly isStream = true;
  private count: bigint;
  private readonly isSemaphore: boolean;
  private readonly queue = new WaitQueue();

  constructor(initial: number, isSemaphore: boolean) {
    this.count = BigInt(initial);
    this.isSemaphore = isSemaphore;
  }

  read(_file: OpenFile, io: IoBuffer): number {
    if (io.left < 8) return -Errno.EINVAL;
    if (this.count === 0n) return -Errno.EAGAIN;
    const given = this.isSemaphore ? 1n : this.count;
    this.count -= given;
    this.queue.wake();
    return io.put(new Uint8Array(new BigUint64Array([given]).buffer)) < 8 ? -Errno.EFAULT : 8;
  }
  write(_file: OpenFile, io: IoBuffer): number {
    if (io.left < 8) return -Errno.EINVAL;
    const bytes = io.take(8);
    if (bytes.length < 8) return -Errno.EFAULT;
    const added = new BigUint64Array(bytes.slice().buffer)[0]!;
    if (added === ULLONG_MAX) return -Errno.EINVAL;
    if (ULLONG_MAX - this.count <= added) return -Errno.EAGAIN;
    this.count += added;
    this.queue.wake();
    io.shorten(0); // eight bytes are all it takes
    return 8;
  }
  seek(): number {
    return 0;
  }
  poll(): number {
    const readable = this.count > 0n ? Poll.IN : 0;
    return readable | (this.count < ULLONG_MAX - 1n ? Poll.OUT : 0);
  }
  queues(): readonly WaitQueue[] {
    return [this.queue];
  }
  info(): string {
    return `eventfd-count: ${this.count.toString(16).padStart(16)}\neventfd-semaphore: ${this.isSemaphore ? 1 : 0}\n`;
  }
  hash(into: StateHash): void {
    into.text(this.count.toString(16));
  }
}
