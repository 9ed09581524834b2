// A client of Node's inspector, as little as a test needs: the WebSocket handshake, text frames, requests with numbers, events by name. RFC 6455; the
// Chrome DevTools Protocol. Node 20 has no WebSocket of its own.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

type Message = { readonly id?: number; readonly method?: string; readonly params?: Record<string, unknown>; readonly result?: Record<string, unknown> };

export class InspectorClient {
  private readonly socket: Socket;
  private buffer = Buffer.alloc(0);
  private nextId = 1;
  private readonly messages: Message[] = [];
  private waiting: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes) => {
      this.buffer = Buffer.concat([this.buffer, bytes]);
      this.readFrames();
      this.waiting?.();
    });
  }
  /** @param url ws://127.0.0.1:PORT/ID */
  static async attach(url: string): Promise<InspectorClient> {
    const { hostname, port, pathname } = new URL(url);
    const socket = connect(Number(port), hostname);
    await new Promise((resolve, reject) => { socket.once('connect', resolve).once('error', reject); });
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n\r\n`);
    let head = Buffer.alloc(0);
    while (!head.includes('\r\n\r\n')) head = Buffer.concat([head, await new Promise<Buffer>((resolve) => { socket.once('data', resolve); })]);
    if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString('latin1'));
    const client = new InspectorClient(socket);
    client.buffer = Buffer.from(head.subarray(head.indexOf('\r\n\r\n') + 4));
    client.readFrames();
    return client;
  }
  private readFrames(): void {
    while (this.buffer.length >= 2) {
      let [length, at] = [this.buffer[1]! & 127, 2];
      if (length === 126) [length, at] = [this.buffer.length < 4 ? Infinity : this.buffer.readUInt16BE(2), 4];
      else if (length === 127) [length, at] = [this.buffer.length < 10 ? Infinity : Number(this.buffer.readBigUInt64BE(2)), 10];
      if (this.buffer.length < at + length) return;
      if ((this.buffer[0]! & 15) === 1) this.messages.push(JSON.parse(this.buffer.subarray(at, at + length).toString('utf8')) as Message);
      this.buffer = this.buffer.subarray(at + length);
    }
  }
  private async until<T>(find: (message: Message) => T | undefined): Promise<T> {
    for (;;) {
      for (const [i, message] of this.messages.entries()) {
        const found = find(message);
        if (found === undefined) continue;
        this.messages.splice(i, 1);
        return found;
      }
      await new Promise<void>((resolve) => { this.waiting = resolve; });
    }
  }
  async ask(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = this.nextId++;
    const text = Buffer.from(JSON.stringify({ id, method, params }));
    const mask = randomBytes(4);
    const head = text.length < 126 ? Buffer.from([0x81, 0x80 | text.length]) : Buffer.from([0x81, 0xfe, text.length >> 8, text.length & 255]);
    this.socket.write(Buffer.concat([head, mask, text.map((byte, i) => byte ^ mask[i % 4]!)]));
    return this.until((message) => (message.id === id ? message.result ?? {} : undefined));
  }
  event(method: string): Promise<Record<string, unknown>> {
    return this.until((message) => (message.method === method ? message.params ?? {} : undefined));
  }
  /** All of an event's that have come and that nobody has taken. */
  received(method: string): Record<string, unknown>[] {
    return this.messages.filter((message) => message.method === method).map(({ params }) => params ?? {});
  }
  close(): void {
    this.socket.destroy();
  }
}
