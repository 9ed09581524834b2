// The remote protocol's frames: $body#checksum, acknowledged or not, with escapes and run lengths. Here: from bytes to packets and back. Not here: what
// packets mean (stub.ts). Whatever comes that is no packet is thrown away, as gdb's own stubs do.
// Source: "GDB Remote Serial Protocol", Overview, in gdb's manual.

const [DOLLAR, HASH, ESCAPE, STAR, PLUS, MINUS, INTERRUPT] = [0x24, 0x23, 0x7d, 0x2a, 0x2b, 0x2d, 0x03] as const;
/** Longest packet that is taken, in bytes between $ and #: qSupported says so. */
export const MAX_PACKET_BYTES = 0x4000;

export type Received =
  | { readonly kind: 'packet'; readonly body: Uint8Array }
  /** The other side saw a wrong checksum: what was sent last is to be sent again. */
  | { readonly kind: 'resend' }
  | { readonly kind: 'interrupt' };

/** Takes what a socket gives, in whatever pieces. */
export class PacketReader {
  /** Packets are acknowledged, and those with a wrong checksum asked for again; off after QStartNoAckMode. */
  acknowledges = true;
  private readonly body: number[] = [];
  private state: 'between' | 'body' | 'checksum' | 'too long' = 'between';
  private digits = '';
  private isEscaped = false;
  private sum = 0;

  /** @param reply what is to be written back at once: acknowledgements */
  feed(bytes: Uint8Array, reply: (bytes: Uint8Array) => void): Received[] {
    const received: Received[] = [];
    for (const byte of bytes) {
      switch (this.state) {
        case 'between': this.between(byte, received); break;
        case 'body': case 'too long': this.inBody(byte); break;
        case 'checksum': this.inChecksum(byte, received, reply); break;
      }
    }
    return received;
  }
  private between(byte: number, received: Received[]): void {
    if (byte === DOLLAR) this.begin();
    else if (byte === INTERRUPT) received.push({ kind: 'interrupt' });
    else if (byte === MINUS && this.acknowledges) received.push({ kind: 'resend' });
  }
  private begin(): void {
    this.body.length = 0;
    this.state = 'body';
    this.isEscaped = false;
    this.sum = 0;
    this.digits = '';
  }
  private inBody(byte: number): void {
    if (byte === HASH) {
      // The end of one that is too long is found, so that the next one is read; what it said is lost.
      this.state = this.state === 'body' ? 'checksum' : 'between';
      return;
    }
    // A $ begins anew: the rest of the packet before was lost on the way.
    if (byte === DOLLAR) {
      this.begin();
      return;
    }
    this.sum = (this.sum + byte) & 0xff;
    if (byte === ESCAPE && !this.isEscaped) {
      this.isEscaped = true;
      return;
    }
    this.body.push(this.isEscaped ? byte ^ 0x20 : byte);
    this.isEscaped = false;
    if (this.body.length > MAX_PACKET_BYTES) {
      this.body.length = 0;
      this.state = 'too long';
    }
  }
  private inChecksum(byte: number, received: Received[], reply: (bytes: Uint8Array) => void): void {
    this.digits += String.fromCharCode(byte);
    if (this.digits.length < 2) return;
    this.state = 'between';
    const isRight = /^[0-9a-fA-F]{2}$/.test(this.digits) && parseInt(this.digits, 16) === this.sum;
    if (this.acknowledges) reply(Uint8Array.of(isRight ? PLUS : MINUS));
    // Without acknowledgements the channel is trusted, as the protocol asks.
    if (isRight || !this.acknowledges) received.push({ kind: 'packet', body: Uint8Array.from(this.body) });
  }
}

/** A packet as it is sent: escaped, runs of one byte shortened, with its checksum. */
export function frame(body: Uint8Array): Uint8Array {
  const out: number[] = [DOLLAR];
  let sum = 0;
  const put = (byte: number): void => {
    out.push(byte);
    sum = (sum + byte) & 0xff;
  };
  for (let i = 0; i < body.length;) {
    const byte = body[i]!;
    if (byte === DOLLAR || byte === HASH || byte === ESCAPE || byte === STAR) {
      put(ESCAPE);
      put(byte ^ 0x20);
      i++;
      continue;
    }
    put(byte);
    const repeats = runAfter(body, i);
    if (repeats >= 3) {
      put(STAR);
      put(repeats + 29);
      i += repeats;
    }
    i++;
  }
  out.push(HASH, ...hexDigits(sum));
  return Uint8Array.from(out);
}
/** How often the byte at `at` comes again behind it, as far as one count can say: counts are printable, and # $ + - are taken. */
function runAfter(body: Uint8Array, at: number): number {
  let n = 0;
  while (n < 97 && body[at + n + 1] === body[at]) n++;
  while (n >= 3 && (n + 29 === HASH || n + 29 === DOLLAR || n + 29 === PLUS || n + 29 === MINUS)) n--;
  return n;
}
const hexDigits = (byte: number): number[] => [...byte.toString(16).padStart(2, '0')].map((digit) => digit.charCodeAt(0));

// --- Hex, as packets write it ---

export const toHex = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
};
/** null: not pairs of digits */
export function fromHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
/** A number without sign or 0x; null: none, or none that a double holds. Addresses of 64 bits are read as signed, so that kernel addresses stay apart. */
export function hexNumber(text: string): number | null {
  if (!/^[0-9a-fA-F]{1,16}$/.test(text)) return null;
  const n = Number(BigInt.asIntN(64, BigInt(`0x${text}`)));
  return Number.isSafeInteger(n) ? n : null;
}
/** Bytes of a packet as text, a character a byte. */
export const latin = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
};
export const fromLatin = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
/** Numbers as registers stand in packets: little-endian. */
export function wordHex(word: bigint, lenBytes: number): string {
  let text = '';
  for (let i = 0; i < lenBytes; i++) text += Number((word >> BigInt(8 * i)) & 0xffn).toString(16).padStart(2, '0');
  return text;
}
export function hexWord(text: string): bigint | null {
  const bytes = fromHex(text);
  return bytes === null || bytes.length === 0 ? null : bytes.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
}
