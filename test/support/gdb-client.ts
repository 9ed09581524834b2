// The other end of gdb's protocol, for tests without gdb: a stub over a run in this process, asked packet by packet.
import { NO_TERMINAL, type RunConfig } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';
import { fromHex, fromLatin, hexWord, latin, toHex } from '#tools/debugger/gdb/packets.ts';
import { GdbStub } from '#tools/debugger/gdb/stub.ts';
import { openTimeline } from '#tools/debugger/replay.ts';
import type { Timeline } from '#tools/debugger/timeline.ts';

/** @param words options, then `--`, then program and arguments */
export function guestConfig(...words: string[]): RunConfig {
  const { values, rest } = parseCommandLine('debug', ['machine', 'kernel', 'inputs'], words);
  return prepare(values, rest, NO_TERMINAL);
}

const FEATURES = 'multiprocess+;swbreak+;hwbreak+;fork-events+;vfork-events+;exec-events+;no-resumed+';
/** Of 30 ms: no test's program runs that long. */
const MAX_SLICES = 400;
export class GdbClient {
  readonly timeline: Timeline;
  readonly stub: GdbStub;
  /** What the program has printed. */
  output = '';
  /** What `monitor` was asked. */
  readonly monitored: string[] = [];

  constructor(config: RunConfig, features: string = FEATURES) {
    this.timeline = openTimeline(config);
    this.stub = new GdbStub(this.timeline, (line) => {
      this.monitored.push(line);
      return `asked: ${line}`;
    });
    this.ask(`qSupported:${features}`);
  }
  close(): void {
    this.timeline.close();
  }
  /** Sends a packet, lets the program run if it asks for that, and gives the answer. */
  ask(packet: string | Uint8Array): string {
    const answer = this.stub.answer(typeof packet === 'string' ? fromLatin(packet) : packet);
    if (answer.kind === 'reply') return latin(answer.body);
    if (answer.kind === 'end') return `${answer.how}${answer.body === null ? '' : ` ${latin(answer.body)}`}`;
    for (let slices = 0; ; slices++) {
      if (slices > MAX_SLICES) throw new Error(`after ${typeof packet === 'string' ? packet : latin(packet)} the program runs on`);
      const reply = this.stub.resumption.run();
      for (const { bytes } of this.timeline.takeOutput()) this.output += new TextDecoder().decode(bytes);
      if (reply === 'input') this.timeline.feed(new Uint8Array(0));
      else if (reply !== null) return reply;
    }
  }
  register(number: number): bigint {
    return hexWord(this.ask(`p${number.toString(16)}`)) ?? -1n;
  }
  get pc(): number {
    return Number(this.register(32));
  }
  memory(address: number, lenBytes: number): Uint8Array {
    return fromHex(this.ask(`m${address.toString(16)},${lenBytes.toString(16)}`)) ?? new Uint8Array(0);
  }
  /** An object by qXfer, from its parts. */
  object(name: string, annex = ''): string {
    let text = '';
    for (;;) {
      const part = this.ask(`qXfer:${name}:read:${annex}:${text.length.toString(16)},200`);
      if (!/^[ml]/.test(part)) return part;
      text += part.slice(1);
      if (part.startsWith('l')) return text;
    }
  }
  /** A guest file by vFile. */
  file(path: string): string {
    const opened = /^F([0-9a-f]+)$/.exec(this.ask(`vFile:open:${toHex(fromLatin(path))},0,0`));
    if (opened === null) return 'not opened';
    let text = '';
    for (;;) {
      const part = /^F([0-9a-f]+);([^]*)$/.exec(this.ask(`vFile:pread:${opened[1]},400,${text.length.toString(16)}`));
      if (part === null || part[1] === '0') break;
      text += part[2]!;
    }
    this.ask(`vFile:close:${opened[1]}`);
    return text;
  }
}
