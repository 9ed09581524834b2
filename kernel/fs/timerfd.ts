// timerfd: a timer that is read instead of sending a signal. Nothing happens when it runs out: whoever asks compares the clock, and whoever waits
// sleeps until then. Mirrors fs/timerfd.c.
import type { StateHash } from '#base';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type OpenFile, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';
import type { KernelView } from './view.ts';

export class TimerFd implements FileOps {
  readonly seekable = false;
  readonly isStream = true;
  readonly isRealtime: boolean;
  /** Cycle of the next expiry; null: disarmed. */
  private next: number | null = null;
  private interval = 0;
  private readonly queue = new WaitQueue();
  private readonly view: KernelView;

  constructor(view: KernelView, isRealtime: boolean) {
    this.view = view;
    this.isRealtime = isRealtime;
  }

  /** @param at cycle of the first expiry; null disarms @param interval cycles between later ones; 0: none */
  set(at: number | null, interval: number): void {
    this.next = at;
    this.interval = interval;
    this.queue.wake();
  }
  /** Cycles until the next expiry (0: disarmed), and between expiries. */
  state(): { left: number; interval: number } {
    if (this.next === null) return { left: 0, interval: this.interval };
    const { clockCycles: now } = this.view.system.machine;
    if (this.next > now) return { left: this.next - now, interval: this.interval };
    if (this.interval === 0) return { left: 0, interval: 0 };
    return { left: this.interval - ((now - this.next) % this.interval), interval: this.interval };
  }
  private expirations(): number {
    const { clockCycles: now } = this.view.system.machine;
    if (this.next === null || now < this.next) return 0;
    return this.interval === 0 ? 1 : Math.floor((now - this.next) / this.interval) + 1;
  }

  read(_file: OpenFile, io: IoBuffer): number {
    if (io.left < 8) return -Errno.EINVAL;
    const n = this.expirations();
    if (n === 0) return -Errno.EAGAIN;
    this.next = this.interval === 0 ? null : this.next! + n * this.interval;
    return io.put(new Uint8Array(new BigUint64Array([BigInt(n)]).buffer)) < 8 ? -Errno.EFAULT : 8;
  }
  seek(): number {
    return 0;
  }
  poll(): number {
    return this.expirations() > 0 ? Poll.IN : 0;
  }
  queues(): readonly WaitQueue[] {
    return [this.queue];
  }
  deadline(): number | null {
    return this.next;
  }
  hash(into: StateHash): void {
    into.numbers([this.next ?? -1, this.interval, this.isRealtime ? 1 : 0]);
  }
}
