// The terminal: settings, line editing, echo, and the keys that are signals. Here: the line discipline and the terminal's ioctls. Not here: how
// bytes reach the host (console.ts). Mirrors drivers/tty/n_tty.c and tty_ioctl.c for one serial line without modem control.
import type { StateHash } from '#base';
import { NS_PER_SECOND } from '../proc/clock.ts';
import { Signal } from '../proc/sigset.ts';
import type { Task } from '../proc/task.ts';
import type { WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type Console, MAX_OUTPUT_BYTES } from './console.ts';
import { type FileOps, type OpenFile, Poll } from './file.ts';
import type { IoBuffer } from './io-buffer.ts';

const Iflag = { ISTRIP: 0o40, INLCR: 0o100, IGNCR: 0o200, ICRNL: 0o400 } as const;
const Oflag = { OPOST: 0o1, ONLCR: 0o4, OCRNL: 0o10, ONLRET: 0o40 } as const;
const Lflag = { ISIG: 0o1, ICANON: 0o2, ECHO: 0o10, ECHOE: 0o20, ECHOK: 0o40, ECHONL: 0o100, NOFLSH: 0o200, ECHOCTL: 0o1000, ECHOKE: 0o4000, IEXTEN: 0o100000 } as const;
const Cc = { INTR: 0, QUIT: 1, ERASE: 2, KILL: 3, EOF: 4, TIME: 5, MIN: 6, SUSP: 10, EOL: 11, WERASE: 14, LNEXT: 15, EOL2: 16 } as const;
const NR_CC = 19;
/** sizeof(struct termios) as TCGETS moves it: four words of flags, the discipline, the control characters. */
const TERMIOS_BYTES = 36;
/** A line that nobody reads holds this much; further input is dropped (N_TTY_BUF_SIZE). */
const BUFFER_BYTES = 4096;

const NEWLINE = 10;
const RETURN = 13;
/** Stands in the queue for end of file: it ends a read without being part of it. */
const END_OF_FILE = 256;

export class Tty {
  iflag = 0o2000 | Iflag.ICRNL; // IXON is shown as set; there is no flow control on this line
  oflag = Oflag.OPOST | Oflag.ONLCR;
  cflag = 0o2275; // 9600 bits a second, CS8, CREAD, HUPCL
  lflag = Lflag.ISIG | Lflag.ICANON | Lflag.ECHO | Lflag.ECHOE | Lflag.ECHOK | Lflag.ECHOCTL | Lflag.ECHOKE | Lflag.IEXTEN;
  readonly cc = new Uint8Array([3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0]);
  rows: number;
  columns: number;
  xpixels = 0;
  ypixels = 0;
  /** The foreground process group: keys signal it. 0: nobody's yet. */
  foreground = 0;
  session = 0;
  private readonly queue: number[] = []; // input that may be read: bytes and END_OF_FILE
  private line: number[] = []; // the line being edited
  private signals: { pgid: number; signo: number }[] = [];
  private isLiteral = false;
  private isHungUp = false;
  private readonly readers: WaitQueue;

  constructor(readers: WaitQueue, rows: number, columns: number) {
    this.readers = readers;
    this.rows = rows;
    this.columns = columns;
  }

  private has(flag: number): boolean {
    return (this.lflag & flag) !== 0;
  }

  /** Keys arrive. @returns what the terminal echoes */
  receive(bytes: Uint8Array): Uint8Array {
    const echo: number[] = [];
    for (const byte of bytes) this.key(byte, echo);
    this.readers.wake();
    return this.cook(new Uint8Array(echo));
  }
  private key(byte: number, echo: number[]): void {
    let c = (this.iflag & Iflag.ISTRIP) !== 0 ? byte & 0x7f : byte;
    if (this.isLiteral) {
      this.isLiteral = false;
      this.accept(c, echo);
      return;
    }
    if (c === RETURN) {
      if ((this.iflag & Iflag.IGNCR) !== 0) return;
      if ((this.iflag & Iflag.ICRNL) !== 0) c = NEWLINE;
    } else if (c === NEWLINE && (this.iflag & Iflag.INLCR) !== 0) {
      c = RETURN;
    }
    if (this.has(Lflag.ISIG) && this.signalKey(c, echo)) return;
    if (this.has(Lflag.ICANON) && this.editKey(c, echo)) return;
    this.accept(c, echo);
  }
  private is(c: number, which: number): boolean {
    return c !== 0 && this.cc[which] === c;
  }
  private signalKey(c: number, echo: number[]): boolean {
    const signo = this.is(c, Cc.INTR) ? Signal.INT : this.is(c, Cc.QUIT) ? Signal.QUIT : this.is(c, Cc.SUSP) ? Signal.TSTP : 0;
    if (signo === 0) return false;
    if (!this.has(Lflag.NOFLSH)) {
      this.line = [];
      this.queue.length = 0;
    }
    this.echoKey(c, echo);
    if (this.foreground !== 0) this.signals.push({ pgid: this.foreground, signo });
    return true;
  }
  private editKey(c: number, echo: number[]): boolean {
    if (this.is(c, Cc.ERASE)) {
      this.erase(echo);
    } else if (this.is(c, Cc.KILL)) {
      while (this.line.length > 0) this.erase(echo);
    } else if (this.has(Lflag.IEXTEN) && this.is(c, Cc.WERASE)) {
      while (this.line.at(-1) === 0x20) this.erase(echo);
      while (this.line.length > 0 && this.line.at(-1) !== 0x20) this.erase(echo);
    } else if (this.has(Lflag.IEXTEN) && this.is(c, Cc.LNEXT)) {
      this.isLiteral = true;
    } else if (this.is(c, Cc.EOF)) {
      this.endLine(END_OF_FILE);
    } else if (c === NEWLINE || this.is(c, Cc.EOL) || this.is(c, Cc.EOL2)) {
      if (this.has(Lflag.ECHO) || (c === NEWLINE && this.has(Lflag.ECHONL))) echo.push(c);
      this.endLine(c);
    } else {
      return false;
    }
    return true;
  }
  /** Takes the last character of the line back: all bytes of it, if it is UTF-8. */
  private erase(echo: number[]): void {
    let last: number | undefined;
    do last = this.line.pop();
    while (last !== undefined && (last & 0xc0) === 0x80);
    if (last === undefined || !this.has(Lflag.ECHO)) return;
    const width = isControl(last) && this.has(Lflag.ECHOCTL) ? 2 : 1;
    for (let i = 0; i < width; i++) echo.push(8, 0x20, 8);
  }
  private endLine(end: number): void {
    this.queue.push(...this.line, end);
    this.line = [];
  }
  private accept(c: number, echo: number[]): void {
    if (this.queue.length + this.line.length >= BUFFER_BYTES - 1) return;
    this.echoKey(c, echo);
    if (this.has(Lflag.ICANON)) this.line.push(c);
    else this.queue.push(c);
  }
  private echoKey(c: number, echo: number[]): void {
    if (!this.has(Lflag.ECHO)) return;
    if (isControl(c) && c !== NEWLINE && c !== 9 && this.has(Lflag.ECHOCTL)) echo.push(0x5e, c ^ 0x40);
    else echo.push(c);
  }

  /** Output processing: newline becomes return and newline. */
  cook(bytes: Uint8Array): Uint8Array {
    if ((this.oflag & Oflag.OPOST) === 0) return bytes;
    const addsReturn = (this.oflag & Oflag.ONLCR) !== 0;
    const dropsReturn = (this.oflag & Oflag.OCRNL) !== 0;
    if (!(addsReturn && bytes.includes(NEWLINE)) && !(dropsReturn && bytes.includes(RETURN))) return bytes;
    const out: number[] = [];
    for (const byte of bytes) {
      if (byte === NEWLINE && addsReturn) out.push(RETURN, NEWLINE);
      else out.push(byte === RETURN && dropsReturn ? NEWLINE : byte);
    }
    return new Uint8Array(out);
  }

  /** Moves input to a reader: at most one line in canonical mode. @returns bytes, 0 at end of file, -EAGAIN while there is none */
  take(io: IoBuffer): number {
    if (this.queue.length === 0) return this.isHungUp || this.isImmediate ? 0 : -Errno.EAGAIN;
    if (!this.has(Lflag.ICANON) && this.queue.length < Math.min(this.cc[Cc.MIN]!, io.left) && !this.isHungUp) return -Errno.EAGAIN;
    const bytes: number[] = [];
    while (bytes.length < io.left && this.queue.length > 0) {
      const c = this.queue.shift()!;
      if (c === END_OF_FILE) {
        if (this.has(Lflag.ICANON)) break;
        continue;
      }
      bytes.push(c);
      if (!this.has(Lflag.ICANON)) continue;
      if (c === NEWLINE || this.is(c, Cc.EOL) || this.is(c, Cc.EOL2)) break;
      // A line that just fills the buffer: its end of file goes with it.
      if (bytes.length === io.left && this.queue[0] === END_OF_FILE) this.queue.shift();
    }
    const moved = io.put(new Uint8Array(bytes));
    return moved === 0 && io.faulted ? -Errno.EFAULT : moved;
  }
  /** Raw, MIN 0 and TIME 0: a read never waits. */
  private get isImmediate(): boolean {
    return !this.has(Lflag.ICANON) && this.cc[Cc.MIN] === 0 && this.cc[Cc.TIME] === 0;
  }
  /** Raw, MIN 0: how long a read waits for the first byte before it answers 0, in tenths of a second; 0: it does not end by time. */
  get readTenths(): number {
    return !this.has(Lflag.ICANON) && this.cc[Cc.MIN] === 0 ? this.cc[Cc.TIME]! : 0;
  }
  /** The host's window changed: programs in the foreground are told (SIGWINCH). */
  resize(rows: number, columns: number): void {
    if (rows === this.rows && columns === this.columns) return;
    this.rows = rows;
    this.columns = columns;
    if (this.foreground !== 0) this.signals.push({ pgid: this.foreground, signo: Signal.WINCH });
  }
  get hasInput(): boolean {
    return this.queue.length > 0 || this.isHungUp;
  }
  get nrReadable(): number {
    return this.queue.filter((c) => c !== END_OF_FILE).length;
  }
  hangUp(): void {
    if (this.line.length > 0) this.endLine(END_OF_FILE);
    this.isHungUp = true;
  }
  takeSignals(): { pgid: number; signo: number }[] {
    const taken = this.signals;
    this.signals = [];
    return taken;
  }
  /** TCFLSH: forgets input. */
  flushInput(): void {
    this.queue.length = 0;
    this.line = [];
  }

  /** struct termios in bytes. */
  settings(): Uint8Array {
    const bytes = new Uint8Array(TERMIOS_BYTES);
    const view = new DataView(bytes.buffer);
    [this.iflag, this.oflag, this.cflag, this.lflag].forEach((word, i) => view.setUint32(i * 4, word, true));
    bytes.set(this.cc, 17);
    return bytes;
  }
  applySettings(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const wasCanonical = this.has(Lflag.ICANON);
    [this.iflag, this.oflag, this.cflag, this.lflag] = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [number, number, number, number];
    this.cc.set(bytes.subarray(17, 17 + NR_CC));
    if (wasCanonical && !this.has(Lflag.ICANON)) {
      this.queue.push(...this.line);
      this.line = [];
    }
    this.readers.wake();
  }

  hash(into: StateHash): void {
    into.numbers([this.iflag, this.oflag, this.cflag, this.lflag, this.rows, this.columns, this.foreground, this.session, ...this.cc]);
    into.numbers([this.queue.length, ...this.queue, this.line.length, ...this.line, this.isHungUp ? 1 : 0]);
  }
}

const isControl = (c: number): boolean => c < 0x20 || c === 0x7f;

const Ioctl = {
  TCGETS: 0x5401, TCSETS: 0x5402, TCSETSW: 0x5403, TCSETSF: 0x5404, TCSBRK: 0x5409, TCXONC: 0x540a, TCFLSH: 0x540b, TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f, TIOCSPGRP: 0x5410, TIOCOUTQ: 0x5411, TIOCGWINSZ: 0x5413, TIOCSWINSZ: 0x5414, FIONREAD: 0x541b, TIOCNOTTY: 0x5422,
  TCSBRKP: 0x5425, TIOCGSID: 0x5429,
} as const;

/** An open file on the terminal. @param fd where its output goes on the host's side */
export class TerminalFile implements FileOps {
  readonly seekable = false;
  private readonly console: Console;
  private readonly fd: 1 | 2;
  /** When the read that now begins to wait gives up; null: it does not. */
  private until: number | null = null;
  constructor(console: Console, fd: 1 | 2) {
    this.console = console;
    this.fd = fd;
  }

  read(_file: OpenFile, io: IoBuffer, _pos: number, t: Task | null): number {
    if (io.left === 0) return 0;
    const { tty } = this.console;
    const n = tty.take(io);
    this.until = null;
    if (n !== -Errno.EAGAIN || t === null || tty.readTenths === 0) return n;
    const { clockCycles } = t.mm.system.machine;
    t.restart ??= { until: clockCycles + tty.readTenths * (NS_PER_SECOND / 10) };
    if (clockCycles >= t.restart.until!) return 0;
    this.until = t.restart.until!;
    return n;
  }
  deadline(): number | null {
    return this.until;
  }
  write(_file: OpenFile, io: IoBuffer): number {
    let done = 0;
    io.shorten(MAX_OUTPUT_BYTES);
    while (io.left > 0 && !io.faulted) {
      const bytes = io.take(65536);
      this.console.put(this.fd, this.console.tty.cook(bytes));
      done += bytes.length;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }
  poll(): number {
    return (this.console.tty.hasInput ? Poll.IN | Poll.RDNORM : 0) | Poll.OUT | Poll.WRNORM;
  }
  queues(): readonly WaitQueue[] {
    return [this.console.waitQueue];
  }

  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    const { tty } = this.console;
    const give = (bytes: Uint8Array): number => (t.user.write(arg, bytes) ? 0 : -Errno.EFAULT);
    const giveWord = (n: number): number => (t.user.setU32(arg, n) ? 0 : -Errno.EFAULT);
    switch (command) {
      case Ioctl.TCGETS:
        return give(tty.settings());
      case Ioctl.TCSETS:
      case Ioctl.TCSETSW:
      case Ioctl.TCSETSF: {
        const bytes = new Uint8Array(TERMIOS_BYTES);
        if (!t.user.read(arg, bytes)) return -Errno.EFAULT;
        if (command === Ioctl.TCSETSF) tty.flushInput();
        tty.applySettings(bytes);
        return 0;
      }
      case Ioctl.TIOCGWINSZ:
        return give(new Uint8Array(new Uint16Array([tty.rows, tty.columns, tty.xpixels, tty.ypixels]).buffer));
      case Ioctl.TIOCSWINSZ:
        return this.setWindow(t, arg);
      case Ioctl.FIONREAD:
        return giveWord(tty.nrReadable);
      case Ioctl.TIOCOUTQ:
        return giveWord(0);
      case Ioctl.TCFLSH:
        if (arg < 0 || arg > 2) return -Errno.EINVAL;
        if (arg !== 1) tty.flushInput();
        return 0;
      case Ioctl.TCSBRK:
      case Ioctl.TCSBRKP:
      case Ioctl.TCXONC:
        return 0;
      default:
        return this.jobControl(t, command, arg, giveWord);
    }
  }
  private setWindow(t: Task, arg: number): number {
    const bytes = new Uint8Array(8);
    if (!t.user.read(arg, bytes)) return -Errno.EFAULT;
    const { tty } = this.console;
    [tty.rows, tty.columns, tty.xpixels, tty.ypixels] = new Uint16Array(bytes.buffer) as unknown as [number, number, number, number];
    return 0;
  }
  private jobControl(t: Task, command: number, arg: number, giveWord: (n: number) => number): number {
    const { tty } = this.console;
    const { process } = t;
    switch (command) {
      case Ioctl.TIOCSCTTY:
        if (process.sid !== process.tgid) return -Errno.EPERM;
        tty.session = process.sid;
        tty.foreground = process.pgid;
        return 0;
      case Ioctl.TIOCNOTTY:
        if (tty.session !== process.sid) return -Errno.ENOTTY;
        if (process.sid === process.tgid) tty.session = tty.foreground = 0;
        return 0;
      case Ioctl.TIOCGPGRP:
        return tty.session === process.sid ? giveWord(tty.foreground) : -Errno.ENOTTY;
      case Ioctl.TIOCGSID:
        return tty.session === process.sid ? giveWord(tty.session) : -Errno.ENOTTY;
      case Ioctl.TIOCSPGRP: {
        const pgid = t.user.i32(arg);
        if (pgid === null) return -Errno.EFAULT;
        if (tty.session !== process.sid) return -Errno.ENOTTY;
        if (pgid < 0) return -Errno.EINVAL;
        tty.foreground = pgid;
        return 0;
      }
      default:
        return -Errno.ENOTTY;
    }
  }
}
