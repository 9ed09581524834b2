// epoll: a set of files and what is wanted of them. Here: the set, and what is ready. Not here: sleeping (syscall/poll.ts). Mirrors
// fs/eventpoll.c, but asks every file when somebody wants to know instead of being told by each: the answers are the same. An edge
// (EPOLLET) is a wake-up of one of the file's queues since the last report.
import type { StateHash } from '#base';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type FileRegistry, type OpenFile, Poll } from './file.ts';

export const Epoll = { ExclusiveBit: 1 << 28, WakeupBit: 1 << 29, OneShotBit: 1 << 30, EdgeBit: 0x8000_0000 } as const;
const PRIVATE_BITS = 0xf000_0000;
/** Epoll files inside epoll files: so many levels at most (EP_MAX_NESTS). */
const MAX_NESTS = 4;

interface Interest {
  readonly fd: number;
  readonly file: OpenFile;
  /** Poll bits with Epoll bits; 0 below them: reported once and now silent (EPOLLONESHOT). */
  events: number;
  dataLow: number;
  dataHigh: number;
  /** Wake-ups of its queues at the last report. */
  seenWakes: number;
}
export interface ReadyEvent { readonly events: number; readonly dataLow: number; readonly dataHigh: number }

const keyOf = (fd: number, file: OpenFile): string => `${fd}:${file.id}`;
const wakesOf = (file: OpenFile): number => file.waitQueues().reduce((sum, queue) => sum + queue.wakes, 0);

export class EpollFile implements FileOps {
  readonly seekable = false;
  readonly isStream = true;
  /** In the order in which they will be looked at: what was reported goes to the end. */
  private readonly interests = new Map<string, Interest>();
  private readonly queue = new WaitQueue();
  private readonly registry: FileRegistry;

  constructor(registry: FileRegistry) {
    this.registry = registry;
  }

  /** EPOLL_CTL_ADD. */
  add(fd: number, file: OpenFile, events: number, dataLow: number, dataHigh: number): number {
    if (file.ops.poll === undefined) return -Errno.EPERM;
    if (file.ops === this) return -Errno.EINVAL;
    if (file.ops instanceof EpollFile && (file.ops.reaches(this) || file.ops.depth() >= MAX_NESTS)) return -Errno.ELOOP;
    const key = keyOf(fd, file);
    if (this.interests.has(key)) return -Errno.EEXIST;
    if (this.registry.nrWatches >= this.registry.maxWatches) return -Errno.ENOSPC;
    this.registry.nrWatches++;
    this.interests.set(key, { fd, file, events: events | Poll.ERR | Poll.HUP, dataLow, dataHigh, seenWakes: -1 });
    this.queue.wake();
    return 0;
  }
  /** EPOLL_CTL_MOD. */
  change(fd: number, file: OpenFile, events: number, dataLow: number, dataHigh: number): number {
    const interest = this.interests.get(keyOf(fd, file));
    if (interest === undefined) return -Errno.ENOENT;
    if (((interest.events | events) & Epoll.ExclusiveBit) !== 0) return -Errno.EINVAL;
    interest.events = events | Poll.ERR | Poll.HUP;
    interest.dataLow = dataLow;
    interest.dataHigh = dataHigh;
    interest.seenWakes = -1;
    this.queue.wake();
    return 0;
  }
  /** EPOLL_CTL_DEL. */
  remove(fd: number, file: OpenFile): number {
    return this.drop(keyOf(fd, file)) ? 0 : -Errno.ENOENT;
  }
  private drop(key: string): boolean {
    if (!this.interests.delete(key)) return false;
    this.registry.nrWatches--;
    return true;
  }
  release(): void {
    for (const key of [...this.interests.keys()]) this.drop(key);
  }

  private reaches(target: EpollFile): boolean {
    return this === target || this.nested().some((inner) => inner.reaches(target));
  }
  private depth(): number {
    return 1 + Math.max(0, ...this.nested().map((inner) => inner.depth()));
  }
  private nested(): EpollFile[] {
    return this.live().flatMap(({ file }) => (file.ops instanceof EpollFile ? [file.ops] : []));
  }
  /** A file that was closed has left the set by that. */
  private live(): Interest[] {
    for (const [key, { file }] of this.interests) if (!file.isOpen) this.drop(key);
    return [...this.interests.values()];
  }
  private readyBits(interest: Interest): number {
    const wanted = interest.events & ~PRIVATE_BITS;
    if (wanted === 0) return 0;
    const bits = interest.file.poll() & wanted;
    if ((interest.events & Epoll.EdgeBit) !== 0 && interest.seenWakes === wakesOf(interest.file)) return 0;
    return bits;
  }

  /** Up to `max` events that are ready, each noted as reported. */
  take(max: number): ReadyEvent[] {
    const ready: ReadyEvent[] = [];
    for (const interest of this.live()) {
      if (ready.length >= max) break;
      const events = this.readyBits(interest);
      if (events === 0) continue;
      ready.push({ events, dataLow: interest.dataLow, dataHigh: interest.dataHigh });
      interest.seenWakes = wakesOf(interest.file);
      if ((interest.events & Epoll.OneShotBit) !== 0) interest.events &= PRIVATE_BITS;
      const key = keyOf(interest.fd, interest.file);
      this.interests.delete(key);
      this.interests.set(key, interest);
    }
    return ready;
  }
  seek(): number {
    return 0;
  }
  poll(): number {
    return this.live().some((interest) => this.readyBits(interest) !== 0) ? Poll.IN | Poll.RDNORM : 0;
  }
  queues(): readonly WaitQueue[] {
    return [this.queue, ...this.live().flatMap(({ file }) => file.waitQueues())];
  }
  deadline(): number | null {
    const deadlines = this.live().flatMap(({ file }) => file.ops.deadline?.(file) ?? []);
    return deadlines.length === 0 ? null : Math.min(...deadlines);
  }
  info(): string {
    const hex = (n: number): string => (n >>> 0).toString(16);
    return this.live().map(({ fd, file, events, dataLow, dataHigh }) =>
      `tfd: ${String(fd).padStart(8)} events: ${hex(events).padStart(8)} data: ${(hex(dataHigh) + hex(dataLow).padStart(8, '0')).replace(/^0+(?=.)/, '').padStart(16)} ` +
      ` pos:${file.pos} ino:${file.inode.ino.toString(16)} sdev:${file.inode.fs.devMinor.toString(16)}\n`).join('');
  }
  hash(into: StateHash): void {
    for (const { fd, file, events, dataLow, dataHigh, seenWakes } of this.live()) into.numbers([fd, file.id, events, dataLow, dataHigh, seenWakes]);
  }
}
