// What gdb asks about the target before and between runs: features, threads, objects by qXfer, searches and sums over memory. Here: q and Q packets.
// Not here: files (files.ts).
import type { Task } from '#kernel';
import { utf8Decode, utf8Encode } from '#base';
import { memoryAt } from '../memory.ts';
import { fromHex, fromLatin, hexNumber, MAX_PACKET_BYTES, toHex } from './packets.ts';
import type { Resumption } from './resume.ts';
import { linuxSignal } from './signals.ts';
import { descriptions } from './target.ts';
import { parseThreadId, stateText } from './threads.ts';
import type { Inferiors } from './threads.ts';

const ERROR = 'E01';
const EFAULT = 'E0e';
/** A search or a sum goes no further at once. */
const MAX_SCAN_BYTES = 2 ** 28;
const SCAN_BYTES = 2 ** 16;
const FEATURES = [
  `PacketSize=${MAX_PACKET_BYTES.toString(16)}`, 'QStartNoAckMode+', 'vContSupported+', 'multiprocess+', 'swbreak+', 'hwbreak+', 'fork-events+', 'vfork-events+', 'exec-events+',
  'ReverseStep+', 'ReverseContinue+', 'QPassSignals+', 'qXfer:features:read+', 'qXfer:auxv:read+', 'qXfer:exec-file:read+', 'qXfer:siginfo:read+', 'qXfer:threads:read+',
  'qXfer:libraries-svr4:read+', 'no-resumed+', 'binary-upload+',
];

export class Queries {
  private readonly inferiors: Inferiors;
  private readonly resumption: Resumption;
  private readonly monitor: (line: string) => string;
  private readonly task: () => Task | null;

  constructor(inferiors: Inferiors, resumption: Resumption, monitor: (line: string) => string, task: () => Task | null) {
    this.inferiors = inferiors;
    this.resumption = resumption;
    this.monitor = monitor;
    this.task = task;
  }

  /** A q packet without its q. */
  ask(text: string, body: Uint8Array): string | Uint8Array {
    const name = /^[A-Za-z]*/.exec(text)![0];
    switch (name) {
      case 'Supported': return this.supported(text);
      case 'C': return this.task() === null ? ERROR : `QC${this.inferiors.name(this.task()!)}`;
      case 'Attached': return '0';
      case 'fThreadInfo': return `m${this.inferiors.tasks.map((task) => this.inferiors.name(task)).join(',')}`;
      case 'sThreadInfo': return 'l';
      case 'ThreadExtraInfo': return this.threadExtraInfo(text.slice(name.length + 1));
      case 'Symbol': return 'OK';
      case 'Xfer': return this.transfer(text);
      case 'Rcmd': return this.remoteCommand(text.slice(name.length + 1));
      case 'Search': return this.search(text, body);
      case 'CRC': return this.checksum(text.slice(name.length + 1));
      default: return '';
    }
  }
  /** A Q packet without its Q. */
  set(text: string): string {
    if (text.startsWith('PassSignals:')) {
      const numbers = text.slice('PassSignals:'.length).split(';').filter((digits) => digits !== '').map(hexNumber);
      if (numbers.includes(null)) return ERROR;
      this.resumption.passed = new Set(numbers.map((number) => linuxSignal(number!)));
      return 'OK';
    }
    if (text === 'NonStop:0') return 'OK';
    return text.startsWith('NonStop') ? ERROR : '';
  }

  private supported(text: string): string {
    const asked = new Set(text.slice('Supported:'.length).split(';'));
    this.inferiors.isMultiprocess = asked.has('multiprocess+');
    const { wanted } = this.resumption;
    wanted.fork = asked.has('fork-events+') && this.inferiors.isMultiprocess;
    wanted.vfork = asked.has('vfork-events+') && this.inferiors.isMultiprocess;
    wanted.exec = asked.has('exec-events+');
    wanted.swbreak = asked.has('swbreak+');
    wanted.hwbreak = asked.has('hwbreak+');
    this.resumption.nameAnew();
    return FEATURES.join(';');
  }
  private threadExtraInfo(text: string): string {
    const id = parseThreadId(text);
    const task = id === null ? null : this.inferiors.find(id);
    return task === null ? ERROR : toHex(utf8Encode(`${task.comm}: ${stateText(task)}`));
  }
  private remoteCommand(digits: string): string {
    const bytes = fromHex(digits);
    if (bytes === null) return ERROR;
    const answer = this.monitor(utf8Decode(bytes));
    // An empty answer would mean that there is no such packet.
    return answer === '' ? 'OK' : toHex(utf8Encode(answer.endsWith('\n') ? answer : `${answer}\n`));
  }

  // --- qXfer ---

  /** Xfer:OBJECT:read:ANNEX:OFFSET,LENGTH */
  private transfer(text: string): string | Uint8Array {
    const match = /^Xfer:([a-z0-9-]+):read:([^:]*):([0-9a-fA-F]{1,15}),([0-9a-fA-F]{1,15})$/.exec(text);
    if (match === null) return '';
    const object = this.objectOf(match[1]!, match[2]!);
    if (typeof object === 'string') return object;
    const [offset, lenBytes] = [parseInt(match[3]!, 16), Math.min(parseInt(match[4]!, 16), MAX_PACKET_BYTES / 2)];
    const part = object.subarray(offset, offset + lenBytes);
    return Uint8Array.of((offset + part.length < object.length ? 'm' : 'l').charCodeAt(0), ...part);
  }
  private objectOf(name: string, annex: string): Uint8Array | string {
    const task = this.task();
    switch (name) {
      case 'features': {
        const document = descriptions.get(annex);
        return document === undefined ? 'E00' : fromLatin(document);
      }
      case 'threads': return utf8Encode(this.threadList());
      case 'auxv': return task === null || !task.hasMm ? ERROR : auxiliaryVector(task);
      case 'exec-file': return this.execFile(annex);
      case 'siginfo': return this.resumption.siginfo ?? ERROR;
      // Static programs have none.
      case 'libraries-svr4': return fromLatin('<library-list-svr4 version="1.0"/>');
      default: return '';
    }
  }
  private threadList(): string {
    const rows = this.inferiors.tasks.map((task) => `<thread id="${this.inferiors.name(task)}" core="0" name="${escapeXml(task.comm)}">${escapeXml(stateText(task))}</thread>\n`);
    return `<?xml version="1.0"?>\n<threads>\n${rows.join('')}</threads>\n`;
  }
  private execFile(annex: string): Uint8Array | string {
    const task = annex === '' ? this.task() : (this.inferiors.tasks.find(({ tgid }) => tgid === hexNumber(annex)) ?? null);
    return task === null || !task.hasMm ? ERROR : utf8Encode(task.mm.exePath);
  }

  // --- Over memory ---

  /** Search:memory:ADDRESS;LENGTH;PATTERN, the pattern as it is. */
  private search(text: string, body: Uint8Array): string {
    const match = /^Search:memory:([0-9a-fA-F]{1,16});([0-9a-fA-F]{1,16});/.exec(text);
    const task = this.task();
    if (match === null || task === null || !task.hasMm) return ERROR;
    const start = hexNumber(match[1]!);
    const lenBytes = Math.min(hexNumber(match[2]!) ?? MAX_SCAN_BYTES, MAX_SCAN_BYTES);
    const pattern = body.subarray(match[0].length);
    if (start === null || start < 0 || lenBytes < 0 || pattern.length === 0) return ERROR;
    for (let at = start; at + pattern.length <= start + lenBytes; at += SCAN_BYTES) {
      const bytes = memoryAt(task.mm, at, Math.min(SCAN_BYTES + pattern.length - 1, start + lenBytes - at));
      const found = indexOf(bytes, pattern);
      if (found >= 0) return `1,${(at + found).toString(16)}`;
      if (bytes.length < Math.min(SCAN_BYTES, start + lenBytes - at)) return EFAULT;
    }
    return '0';
  }
  private checksum(text: string): string {
    const [first = '', second = ''] = text.split(',');
    const [start, lenBytes] = [hexNumber(first), hexNumber(second)];
    const task = this.task();
    if (start === null || lenBytes === null || start < 0 || lenBytes < 0 || lenBytes > MAX_SCAN_BYTES || task === null || !task.hasMm) return ERROR;
    let sum = 0xffff_ffff;
    for (let at = start; at < start + lenBytes; at += SCAN_BYTES) {
      const chunk = Math.min(SCAN_BYTES, start + lenBytes - at);
      const bytes = memoryAt(task.mm, at, chunk);
      if (bytes.length < chunk) return EFAULT;
      for (const byte of bytes) sum = ((sum << 8) ^ crcTable[((sum >>> 24) ^ byte) & 255]!) >>> 0;
    }
    return `C${sum.toString(16)}`;
  }
}

/** CRC-32 with the polynomial 0x04c11db7, highest bit first, as compare-sections reckons it. */
const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n << 24;
  for (let i = 0; i < 8; i++) c = c < 0 ? (c << 1) ^ 0x04c1_1db7 : c << 1;
  return c >>> 0;
});
function indexOf(bytes: Uint8Array, pattern: Uint8Array): number {
  for (let at = bytes.indexOf(pattern[0]!); at >= 0 && at + pattern.length <= bytes.length; at = bytes.indexOf(pattern[0]!, at + 1)) {
    if (pattern.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}
const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!).replace(/[\0-\x08\x0b-\x1f]/g, '?');

/** As the kernel put it on the stack: behind the arguments and the environment. */
function auxiliaryVector({ mm }: Task): Uint8Array {
  const bytes = memoryAt(mm, mm.startStack, Math.min(2 ** 20, mm.argStart - mm.startStack));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const word = (at: number): bigint => (at + 8 <= bytes.length ? view.getBigUint64(at, true) : 0n);
  let at = 8 + 8 * Number(word(0)) + 8;
  while (at < bytes.length && word(at) !== 0n) at += 8;
  const start = at + 8;
  for (at = start; at + 16 <= bytes.length && word(at) !== 0n; at += 16) { /* the next pair */ }
  return bytes.subarray(start, Math.min(bytes.length, at + 16));
}
