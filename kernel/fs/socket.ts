// Sockets of AF_UNIX: connected pairs, and unconnected ones that can say why they do not connect. Here: stream, datagram and seqpacket pairs as
// open files; send, receive, shutdown. Not here: listening, names, passing descriptors: a program that asks gets the errno of a kernel that
// refuses. Mirrors net/unix/af_unix.c. Bytes on their way stand in frames of guest RAM, as in a pipe.
import type { StateHash } from '#base';
import type { MmSystem } from '../mm/system.ts';
import type { Task } from '../proc/task.ts';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type OpenFile, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';
import { PipePages } from './pipe.ts';

export const SocketType = { Stream: 1, Datagram: 2, Seqpacket: 5 } as const;
/** net.core.wmem_default as frames: what may be on its way in one direction. */
const BUFFER_PAGES = 52;

/** MSG_* that mean something here. */
export const Msg = { Oob: 1, Peek: 2, Trunc: 0x20, DontWait: 0x40, WaitAll: 0x100, NoSignal: 0x4000 } as const;

export class Socket implements FileOps {
  readonly seekable = false;
  readonly type: number;
  /** What the other side has sent. */
  private readonly incoming: PipePages;
  /** Lengths of the messages in it; unused by streams. */
  private readonly messages: number[] = [];
  private peer: Socket | null = null;
  private isReadShut = false;
  private isWriteShut = false;
  /** The other side has gone. */
  private isPeerGone = false;
  readonly queue = new WaitQueue();

  constructor(system: MmSystem, type: number) {
    this.type = type;
    this.incoming = new PipePages(system);
    this.incoming.maxPages = BUFFER_PAGES;
  }
  /** socketpair(2): two that are connected. */
  static pair(system: MmSystem, type: number): [Socket, Socket] {
    const [a, b] = [new Socket(system, type), new Socket(system, type)];
    a.peer = b;
    b.peer = a;
    return [a, b];
  }
  get isConnected(): boolean {
    return this.peer !== null || this.isPeerGone;
  }
  private get keepsNoBounds(): boolean {
    return this.type === SocketType.Stream;
  }
  /** Nothing more will come: what the other side cannot send any more, or this one does not want. */
  private get isAtEnd(): boolean {
    return this.isReadShut || (this.type !== SocketType.Datagram && (this.isPeerGone || this.peer?.isWriteShut === true));
  }

  read(_file: OpenFile, io: IoBuffer): number {
    return this.receive(io, 0).n;
  }
  /** @returns bytes (the message's whole length under MSG_TRUNC), and whether a message was cut short */
  receive(io: IoBuffer, flags: number): { n: number; isCut: boolean } {
    if (!this.isConnected && this.keepsNoBounds) return { n: -Errno.EINVAL, isCut: false };
    if (!this.isConnected && this.type === SocketType.Seqpacket) return { n: -Errno.ENOTCONN, isCut: false };
    if (this.incoming.isEmpty && this.messages.length === 0) return { n: this.isAtEnd ? 0 : -Errno.EAGAIN, isCut: false };
    const peeks = (flags & Msg.Peek) !== 0;
    if (this.keepsNoBounds) {
      const n = peeks ? this.incoming.peekInto(io, io.left) : this.incoming.take(io);
      if (!peeks) this.peer?.queue.wake();
      return { n, isCut: false };
    }
    const length = this.messages[0]!;
    const room = io.left;
    const n = this.incoming.peekInto(io, length);
    if (!peeks) {
      this.messages.shift();
      this.incoming.discard(length);
      this.peer?.queue.wake();
    }
    const isCut = room < length;
    return { n: n >= 0 && isCut && (flags & Msg.Trunc) !== 0 ? length : n, isCut };
  }

  write(_file: OpenFile, io: IoBuffer): number {
    if (!this.isConnected) return -Errno.ENOTCONN;
    const { peer } = this;
    if (this.isWriteShut || peer === null || peer.isReadShut) {
      if (peer === null && this.type === SocketType.Datagram) return -Errno.ECONNREFUSED;
      io.brokenPipe = this.type !== SocketType.Datagram;
      return -Errno.EPIPE;
    }
    return this.keepsNoBounds ? this.sendBytes(peer, io) : this.sendMessage(peer, io);
  }
  private sendBytes(peer: Socket, io: IoBuffer): number {
    if (io.left === 0) return 0;
    const n = peer.incoming.append(io, false);
    if (n > 0) peer.queue.wake();
    return n === 0 ? -Errno.EAGAIN : n;
  }
  /** All of a message or nothing of it. */
  private sendMessage(peer: Socket, io: IoBuffer): number {
    const length = io.left;
    const pages = Math.ceil(length / 4096);
    if (pages > BUFFER_PAGES) return -Errno.EMSGSIZE;
    if (peer.incoming.pages.length + pages > BUFFER_PAGES || peer.messages.length >= BUFFER_PAGES * 4) return -Errno.EAGAIN;
    const before = peer.incoming.bytes;
    const n = length === 0 ? 0 : peer.incoming.append(io, false);
    if (n < length) {
      peer.incoming.cutBack(before);
      return n < 0 ? n : io.faulted ? -Errno.EFAULT : -Errno.ENOBUFS;
    }
    peer.messages.push(length);
    peer.queue.wake();
    return n;
  }

  /** @param how 0 no more reading, 1 no more writing, 2 neither */
  shutdown(how: number): number {
    if (how < 0 || how > 2) return -Errno.EINVAL;
    if (!this.isConnected) return -Errno.ENOTCONN;
    if (how !== 1) this.isReadShut = true;
    if (how !== 0) this.isWriteShut = true;
    this.queue.wake();
    this.peer?.queue.wake();
    return 0;
  }

  poll(): number {
    let mask = 0;
    if (!this.incoming.isEmpty || this.messages.length > 0 || this.isAtEnd) mask |= Poll.IN | Poll.RDNORM;
    if (this.isAtEnd) mask |= Poll.RDHUP;
    const isDead = this.isPeerGone || (this.isReadShut && this.isWriteShut) || (!this.isConnected && this.type !== SocketType.Datagram);
    if (isDead && this.type !== SocketType.Datagram) mask |= Poll.HUP;
    if (this.peer === null || this.peer.incoming.pages.length < BUFFER_PAGES / 4) mask |= Poll.OUT | Poll.WRNORM | Poll.WRBAND;
    return mask;
  }
  queues(): readonly WaitQueue[] {
    return [this.queue];
  }
  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    const FIONREAD = 0x541b;
    const TIOCOUTQ = 0x5411;
    if (command !== FIONREAD && command !== TIOCOUTQ) return -Errno.ENOTTY;
    const n = command === TIOCOUTQ ? (this.peer?.incoming.bytes ?? 0) : this.keepsNoBounds ? this.incoming.bytes : (this.messages[0] ?? 0);
    return t.user.setU32(arg, n) ? 0 : -Errno.EFAULT;
  }
  release(): void {
    this.incoming.clear();
    const { peer } = this;
    if (peer === null) return;
    peer.peer = null;
    peer.isPeerGone = true;
    peer.queue.wake();
  }
  hash(into: StateHash): void {
    into.numbers([this.type, this.isReadShut ? 1 : 0, this.isWriteShut ? 1 : 0, this.isPeerGone ? 1 : 0, ...this.messages]);
    this.incoming.hash(into);
  }
}
