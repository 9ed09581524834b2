// The host's standard input, output and error as the first program's descriptors 0, 1 and 2. Here: the queue of input that the host feeds, the
// chunks of output that it takes away, and what each is: a terminal or not. Not here: line editing and terminal settings (tty.ts).
// The host calls in (feed, close, takeOutput); nothing here calls out.
import type { StateHash } from '#base';
import type { Task } from '../proc/task.ts';
import { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, type OpenFile, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';
import { TerminalFile, Tty } from './tty.ts';

/** Output of the guest: what it wrote and where. fd 1 or 2; what programs write to the terminal itself comes as 1. */
export interface OutputChunk { readonly fd: 1 | 2; readonly bytes: Uint8Array }

export interface ConsoleOptions {
  /** Is the host's end a terminal? Default: no; standard error is what standard output is. */
  readonly inputTty?: boolean;
  readonly outputTty?: boolean;
  readonly errorTty?: boolean;
  readonly rows?: number;
  readonly columns?: number;
}

/** Output that may wait for the host. */
const FULL_BYTES = 16 << 20;
/** One write takes no more: the rest is the program's to write again. */
export const MAX_OUTPUT_BYTES = 64 << 20;

export class Console {
  /** Tasks that wait for input sleep here: when all tasks sleep and this is not empty, input can go on with the run. */
  readonly waitQueue = new WaitQueue();
  /** The terminal; there even when no descriptor of the first program is one, as /dev/console. */
  readonly tty: Tty;
  private readonly ttys: readonly boolean[];
  /** Input that is not from a terminal: chunks as they were fed. */
  private readonly input: Uint8Array[] = [];
  private isClosed = false;
  private output: OutputChunk[] = [];
  private outputBytes = 0;

  constructor(options: ConsoleOptions = {}) {
    const outputTty = options.outputTty ?? false;
    this.ttys = [options.inputTty ?? false, outputTty, options.errorTty ?? outputTty];
    this.tty = new Tty(this.waitQueue, options.rows ?? 24, options.columns ?? 80);
  }

  /** /dev/tty exists for programs when one of their standard descriptors is a terminal. */
  get isControllingTty(): boolean {
    return this.ttys.includes(true);
  }
  isTty(fd: 0 | 1 | 2): boolean {
    return this.ttys[fd]!;
  }

  // The host's side.

  /** More of the host's input; a terminal's keys are edited, echoed and turned into signals here. */
  feed(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.isClosed) return;
    if (this.isTty(0)) this.put(1, this.tty.receive(bytes));
    else this.input.push(bytes.slice());
    this.waitQueue.wake();
  }
  /** No more input will come: reads answer 0 once the queue is empty. */
  close(): void {
    this.isClosed = true;
    this.tty.hangUp();
    this.waitQueue.wake();
  }
  get isInputClosed(): boolean {
    return this.isClosed;
  }
  /** Somebody sleeps until input comes. */
  get isWaitedFor(): boolean {
    return !this.waitQueue.isEmpty && !this.isClosed;
  }
  /** What the guest has written since the last call, in order. */
  takeOutput(): OutputChunk[] {
    const taken = this.output;
    this.output = [];
    this.outputBytes = 0;
    return taken;
  }
  /** So much waits to be taken that the machine should stop for it: run() comes back early, which programs do not notice. */
  get isFull(): boolean {
    return this.outputBytes >= FULL_BYTES;
  }
  /** Signals that keys have asked for since the last call (^C, ^\, ^Z): for the terminal's foreground group. The kernel's loop sends them. */
  takeSignals(): { readonly pgid: number; readonly signo: number }[] {
    return this.tty.takeSignals();
  }

  /** The host's terminal has another size now. */
  resize(rows: number, columns: number): void {
    this.tty.resize(rows, columns);
  }

  // The kernel's side.

  put(fd: 1 | 2, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.output.push({ fd, bytes });
    this.outputBytes += bytes.length;
  }
  /** Operations for descriptor 0, 1 or 2. */
  standard(fd: 0 | 1 | 2): FileOps {
    if (this.isTty(fd)) return new TerminalFile(this, fd === 2 ? 2 : 1);
    return fd === 0 ? new HostInput(this) : new HostOutput(this, fd);
  }
  /** Operations for an open of the terminal by name. */
  terminal(): FileOps {
    return new TerminalFile(this, 1);
  }

  /** Moves input to a reader. @returns bytes, 0 at the end, -EAGAIN while there is none */
  take(io: IoBuffer): number {
    let done = 0;
    while (io.left > 0 && this.input.length > 0) {
      const first = this.input[0]!;
      const moved = io.put(first.subarray(0, io.left));
      done += moved;
      if (moved < first.length) this.input[0] = first.subarray(moved);
      else this.input.shift();
      if (io.faulted) break;
    }
    if (done > 0) return done;
    if (io.faulted) return -Errno.EFAULT;
    return this.isClosed ? 0 : -Errno.EAGAIN;
  }
  get inputBytes(): number {
    return this.input.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  hash(into: StateHash): void {
    for (const chunk of this.input) for (const byte of chunk) into.word(byte);
    into.word(this.isClosed ? 1 : 0);
    this.tty.hash(into);
  }
}

/** Standard input that is no terminal: a pipe from the host, as programs see it. */
class HostInput implements FileOps {
  readonly seekable = false;
  private readonly console: Console;
  constructor(console: Console) {
    this.console = console;
  }
  read(_file: OpenFile, io: IoBuffer): number {
    return io.left === 0 ? 0 : this.console.take(io);
  }
  poll(): number {
    const mask = this.console.inputBytes > 0 ? Poll.IN | Poll.RDNORM : 0;
    return this.console.isInputClosed ? mask | Poll.HUP : mask;
  }
  queues(): readonly WaitQueue[] {
    return [this.console.waitQueue];
  }
  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    if (command !== 0x541b) return -Errno.ENOTTY; // FIONREAD
    return t.user.setU32(arg, this.console.inputBytes) ? 0 : -Errno.EFAULT;
  }
}

/** Standard output or error that is no terminal: a pipe to the host that never fills. */
class HostOutput implements FileOps {
  readonly seekable = false;
  private readonly console: Console;
  private readonly fd: 1 | 2;
  constructor(console: Console, fd: 1 | 2) {
    this.console = console;
    this.fd = fd;
  }
  write(_file: OpenFile, io: IoBuffer): number {
    let done = 0;
    io.shorten(MAX_OUTPUT_BYTES);
    while (io.left > 0 && !io.faulted) {
      const bytes = io.take(65536);
      this.console.put(this.fd, bytes);
      done += bytes.length;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }
  poll(): number {
    return Poll.OUT | Poll.WRNORM;
  }
}
