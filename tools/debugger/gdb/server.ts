// The socket that gdb connects to: on this machine only, one gdb at a time. Here: addresses, connections, the loop that lets the program run and looks at
// the socket in between, the program's own input and output. Not here: what packets mean (stub.ts).
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { UserError } from '#base';
import { openStdin, reasonOf, writeOut } from '../../host.ts';
import type { StdinReader } from '../../host.ts';
import type { Timeline } from '../timeline.ts';
import { frame, fromLatin, PacketReader } from './packets.ts';
import type { Received } from './packets.ts';
import { GdbStub } from './stub.ts';

/** Where to listen. */
export type GdbAddress = { readonly host: '127.0.0.1' | '::1'; readonly port: number } | { readonly path: string };

const hosts: Readonly<Record<string, '127.0.0.1' | '::1'>> = { '': '127.0.0.1', localhost: '127.0.0.1', '127.0.0.1': '127.0.0.1', '[::1]': '::1', '::1': '::1' };
/** '1234', 'localhost:1234', '[::1]:1234', 'unix:/tmp/socket'. @throws UserError */
export function gdbAddress(text: string): GdbAddress {
  const wrong = (why: string): UserError => new UserError(`--gdb ${text}: ${why}. Write a port of this machine, as in --gdb 1234, or a socket, as in --gdb unix:/tmp/quire.`);
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '') throw wrong('the path of the socket is missing');
    return { path };
  }
  const match = /^(?:(.*):)?(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65535) throw wrong('not a port');
  const host = hosts[match[1] ?? ''];
  if (host === undefined) throw wrong('other machines cannot be let in: whoever connects can do what you can');
  return { host, port: Number(match[2]) };
}

export interface ServeOptions {
  readonly address: GdbAddress;
  readonly monitor: (line: string, tid: number | null) => string;
  /** Told where gdb can connect, when it can. */
  readonly onListening: (address: string) => void;
  /** What the user is told on the way. */
  readonly say: (sentence: string) => void;
  /** Where the program's output goes. */
  readonly output?: (fd: 1 | 2, bytes: Uint8Array) => void;
  readonly stdin?: StdinReader;
}

/** Serves until gdb has killed the program, or let go of it and it has ended. @throws UserError if it cannot listen there */
export async function serveGdb(timeline: Timeline, options: ServeOptions): Promise<void> {
  const stdin = options.stdin ?? openStdin('lines', false);
  const service = new Service(timeline, options, stdin);
  const server = createServer((socket) => { service.connect(socket); });
  try {
    options.onListening(await listen(server, options.address));
    await service.done;
  } finally {
    server.close();
    stdin.close();
  }
}
function listen(server: Server, address: GdbAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    const name = 'path' in address ? `unix:${address.path}` : `${address.host === '::1' ? '[::1]' : address.host}:${address.port}`;
    server.once('error', (error) => { reject(new UserError(`--gdb ${name}: cannot listen there: ${listenReason(error)}.`)); });
    server.listen(address, () => {
      const at = server.address();
      resolve(at === null || typeof at === 'string' ? (at ?? name) : `${at.family === 'IPv6' ? '[::1]' : at.address}:${at.port}`);
    });
  });
}
function listenReason(error: Error): string {
  const { code } = error as { code?: string };
  return code === 'EADDRINUSE' ? 'somebody else does already' : reasonOf(error);
}

class Service {
  readonly done: Promise<void>;
  private finish: (error?: unknown) => void = () => undefined;
  private connection: Connection | null = null;
  private readonly timeline: Timeline;
  private readonly options: ServeOptions;
  private readonly stdin: StdinReader;

  constructor(timeline: Timeline, options: ServeOptions, stdin: StdinReader) {
    this.timeline = timeline;
    this.options = options;
    this.stdin = stdin;
    this.done = new Promise((resolve, reject) => { this.finish = (error) => { if (error === undefined) resolve(); else reject(error); }; });
  }
  connect(socket: Socket): void {
    // A second gdb would see a program that moves under its hands.
    if (this.connection !== null) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.timeline, this.options, this.stdin);
    this.connection = connection;
    connection.ended.then((how) => this.disconnected(how), this.finish);
  }
  private disconnected(how: 'detached' | 'killed' | 'lost'): void {
    this.connection = null;
    if (how === 'killed' || this.timeline.stop.kind === 'exited') this.finish();
    else if (how === 'lost') this.options.say('gdb is gone; the program waits for another one. Ctrl-C ends it.');
    else this.runOn().then(() => this.finish(), this.finish);
  }
  /** gdb has let go: the program goes on by itself. */
  private async runOn(): Promise<void> {
    for (;;) {
      const stop = this.timeline.forward({ patienceMs: 50 });
      flushOutput(this.timeline, this.options);
      if (stop.kind === 'input') this.timeline.feed(await this.stdin.next(() => false));
      else if (stop.kind !== 'interrupted') return;
      else await new Promise((resolve) => { setImmediate(resolve); });
    }
  }
}
function flushOutput(timeline: Timeline, { output = writeOut }: ServeOptions): void {
  for (const { fd, bytes } of timeline.takeOutput()) output(fd, bytes);
}

/** One gdb, from its first byte to its last. */
class Connection {
  readonly ended: Promise<'detached' | 'killed' | 'lost'>;
  private resolve: (how: 'detached' | 'killed' | 'lost') => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;
  private readonly socket: Socket;
  private readonly timeline: Timeline;
  private readonly options: ServeOptions;
  private readonly stdin: StdinReader;
  private readonly reader = new PacketReader();
  private readonly stub: GdbStub;
  /** What is sent again when gdb asks for it. */
  private lastSent: Uint8Array | null = null;
  private isLost = false;
  private end: 'detached' | 'killed' | null = null;

  constructor(socket: Socket, timeline: Timeline, options: ServeOptions, stdin: StdinReader) {
    this.socket = socket;
    this.timeline = timeline;
    this.options = options;
    this.stdin = stdin;
    this.stub = new GdbStub(timeline, options.monitor);
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    socket.setNoDelay(true);
    socket.on('data', (bytes) => { this.guard(() => { this.take(bytes); }); });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => { this.guard(() => { this.lost(); }); });
  }
  /** A mistake of ours ends the command, not the process. */
  private guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.socket.destroy();
      this.reject(error);
    }
  }
  private take(bytes: Uint8Array): void {
    for (const received of this.reader.feed(bytes, (reply) => { this.socket.write(reply); })) this.receive(received);
  }
  private receive(received: Received): void {
    const { resumption } = this.stub;
    if (received.kind === 'interrupt') resumption.isInterrupted = true;
    else if (received.kind === 'resend') {
      if (this.lastSent !== null) this.socket.write(this.lastSent);
    } else if (!resumption.isRunning && this.end === null) {
      const answer = this.stub.answer(received.body);
      switch (answer.kind) {
        case 'reply': this.send(answer.body); break;
        case 'running': this.goOn(); break;
        case 'end':
          this.end = answer.how;
          if (answer.body !== null) this.send(answer.body);
          this.socket.end();
      }
      this.reader.acknowledges = this.stub.acknowledges;
    }
  }
  private send(body: Uint8Array): void {
    this.lastSent = frame(body);
    this.socket.write(this.lastSent);
  }
  private goOn(): void {
    setImmediate(() => { this.guard(() => { this.runPart(); }); });
  }
  private runPart(): void {
    const { resumption } = this.stub;
    const result = resumption.run();
    flushOutput(this.timeline, this.options);
    if (this.isLost) {
      this.stub.release();
      this.resolve('lost');
    } else if (result === null) {
      this.goOn();
    } else if (result === 'input') {
      this.stdin.next(() => resumption.isInterrupted).then((bytes) => this.guard(() => {
        if (!resumption.isInterrupted || bytes.length > 0) this.timeline.feed(bytes);
        this.goOn();
      }), this.reject);
    } else {
      this.send(fromLatin(result));
    }
  }
  private lost(): void {
    if (this.end !== null) this.resolve(this.end);
    else if (this.stub.resumption.isRunning) {
      this.isLost = true;
      this.stub.resumption.isInterrupted = true;
    } else {
      this.stub.release();
      this.resolve('lost');
    }
  }
}
