// gdb's remote protocol, packet by packet. Here: which packets there are, and what each is answered. Not here: frames (packets.ts), running
// (resume.ts), questions about the target (query.ts), files (files.ts), the socket (server.ts). A packet that is not known has an empty answer, one
// that asks for what cannot be E and a number: nothing that comes over the wire is an error of ours.
// Source: "GDB Remote Serial Protocol" in gdb's manual.
import { accessRemoteVm } from '#kernel';
import type { Task } from '#kernel';
import { memoryAt } from '../memory.ts';
import type { Timeline } from '../timeline.ts';
import { GuestFiles } from './files.ts';
import { fromHex, fromLatin, hexNumber, hexWord, latin, MAX_PACKET_BYTES, toHex, wordHex } from './packets.ts';
import { GdbPoints, PointType } from './points.ts';
import { Queries } from './query.ts';
import { Resumption } from './resume.ts';
import type { Action } from './resume.ts';
import { changeRegisters, generalRegisters, registerOf } from './target.ts';
import type { Register } from './target.ts';
import { covers, Inferiors, parseThreadId } from './threads.ts';
import type { ThreadId } from './threads.ts';

/** What is to be done about a packet. */
export type Answer =
  | { readonly kind: 'reply'; readonly body: Uint8Array }
  /** The program runs: run() until it has a stop reply. */
  | { readonly kind: 'running' }
  /** gdb has let go of it ('detached') or killed it; `body` is sent first, if there is one. */
  | { readonly kind: 'end'; readonly how: 'detached' | 'killed'; readonly body: Uint8Array | null };

/** errno as gdb prints it, or just a number that is not 0. */
const ERROR = 'E01';
const EFAULT = 'E0e';
const MAX_READ_BYTES = MAX_PACKET_BYTES / 2;
const ANY: ThreadId = { pid: null, tid: 0 };

export class GdbStub {
  readonly timeline: Timeline;
  /** After QStartNoAckMode, from the next packet on. */
  acknowledges = true;
  readonly resumption: Resumption;
  private readonly inferiors: Inferiors;
  private readonly points = new GdbPoints();
  private readonly queries: Queries;
  private readonly files: GuestFiles;
  /** The thread that g, m and their like are about. */
  private general: ThreadId = ANY;
  private readonly handlers: Readonly<Record<string, (text: string, body: Uint8Array) => Answer | string | Uint8Array>>;

  /** @param monitor what `monitor LINE` answers, asked in a thread; null: in none */
  constructor(timeline: Timeline, monitor: (line: string, tid: number | null) => string) {
    this.timeline = timeline;
    this.inferiors = new Inferiors(() => timeline.session);
    this.resumption = new Resumption(timeline, this.inferiors, this.points);
    this.files = new GuestFiles(timeline, this.inferiors);
    this.queries = new Queries(this.inferiors, this.resumption, (line) => monitor(line, this.task?.tid ?? null), () => this.task);
    const memory = { m: (t: string) => this.readMemory(t), M: (t: string) => this.writeHex(t), X: (t: string, b: Uint8Array) => this.writeBinary(t, b), x: (t: string) => this.readBinary(t) };
    const registers = { g: () => this.readRegisters(), G: (t: string) => this.writeRegisters(t), p: (t: string) => this.readRegister(t), P: (t: string) => this.writeRegister(t) };
    const running = { c: (t: string) => this.resumeAll('continue', t), s: (t: string) => this.resumeAll('step', t), C: (t: string) => this.resumeWith('continue', t), S: (t: string) => this.resumeWith('step', t), b: (t: string) => this.reverse(t) };
    const points = { Z: (t: string) => this.point(t, true), z: (t: string) => this.point(t, false) };
    const threads = { H: (t: string) => this.choose(t), T: (t: string) => (this.taskNamed(t) === null ? ERROR : 'OK') };
    const life = { '?': () => this.resumption.last, D: (t: string) => this.detach(t), k: (): Answer => ({ kind: 'end', how: 'killed', body: null }), v: (t: string) => this.verbose(t) };
    const queries = { q: (t: string, b: Uint8Array) => this.queries.ask(t, b), Q: (t: string) => this.set(t) };
    this.handlers = { ...memory, ...registers, ...running, ...points, ...threads, ...life, ...queries };
  }

  /** Answers a packet. While the program runs there are none. */
  answer(body: Uint8Array): Answer {
    const text = latin(body);
    const handler = Object.hasOwn(this.handlers, text[0] ?? '') ? this.handlers[text[0]!]! : null;
    const answer = handler === null ? '' : handler(text.slice(1), body.subarray(1));
    if (typeof answer === 'string') return { kind: 'reply', body: fromLatin(answer) };
    return answer instanceof Uint8Array ? { kind: 'reply', body: answer } : answer;
  }

  private get task(): Task | null {
    const { eventTask } = this.resumption;
    return eventTask !== null && covers(this.general, eventTask) ? eventTask : this.inferiors.find(this.general);
  }
  private taskNamed(text: string): Task | null {
    const id = parseThreadId(text);
    return id === null ? null : this.inferiors.find(id);
  }
  private choose(text: string): string {
    const id = parseThreadId(text.slice(1));
    if (id === null || (text[0] !== 'g' && text[0] !== 'c')) return ERROR;
    if ((id.tid > 0 || (id.pid ?? 0) > 0) && this.inferiors.find(id) === null) return ERROR;
    if (text[0] === 'g') this.general = id;
    return 'OK';
  }

  // --- Registers ---

  private readRegisters(): string {
    const { task } = this;
    return task === null ? ERROR : generalRegisters.map((register) => this.valueOf(register, task)).join('');
  }
  private valueOf(register: Register, task: Task): string {
    return wordHex(BigInt.asUintN(64, register.read(this.timeline.session, task)), register.bytes);
  }
  private readRegister(text: string): string {
    const register = registerOf(hexNumber(text) ?? -1);
    const { task } = this;
    return register === undefined || task === null || (!task.hasMm && register.number > generalRegisters.at(-1)!.number) ? ERROR : this.valueOf(register, task);
  }
  private writeRegister(text: string): string {
    const [number = '', digits = ''] = text.split('=');
    const register = registerOf(hexNumber(number) ?? -1);
    const word = hexWord(digits);
    if (register?.write === undefined || word === null || digits.length !== 2 * register.bytes) return ERROR;
    return this.changeRegisters([[register, word]]);
  }
  private writeRegisters(text: string): string {
    const changes: [Register, bigint][] = [];
    let at = 0;
    for (const register of generalRegisters) {
      const word = hexWord(text.slice(at, (at += 2 * register.bytes)));
      if (at > text.length) break;
      if (word === null) return ERROR;
      changes.push([register, word]);
    }
    return this.changeRegisters(changes);
  }
  private changeRegisters(changes: readonly (readonly [Register, bigint])[]): string {
    const tid = this.task?.tid;
    if (tid === undefined) return ERROR;
    this.timeline.edit((session) => {
      const task = session.kernel.tasks.get(tid);
      if (task !== undefined) changeRegisters(session, task, (context) => { for (const [register, word] of changes) register.write?.(context, BigInt.asIntN(64, word)); });
    });
    return 'OK';
  }

  // --- Memory ---

  private readMemory(text: string): string {
    const asked = range(text);
    const { task } = this;
    if (asked === null || task === null || !task.hasMm) return ERROR;
    const bytes = memoryAt(task.mm, asked.address, Math.min(asked.lenBytes, MAX_READ_BYTES));
    return bytes.length === 0 && asked.lenBytes > 0 ? EFAULT : toHex(bytes);
  }
  private readBinary(text: string): string | Uint8Array {
    const asked = range(text);
    const { task } = this;
    if (asked === null || task === null || !task.hasMm) return ERROR;
    const bytes = memoryAt(task.mm, asked.address, Math.min(asked.lenBytes, MAX_READ_BYTES));
    return bytes.length === 0 && asked.lenBytes > 0 ? EFAULT : Uint8Array.of('b'.charCodeAt(0), ...bytes);
  }
  private writeHex(text: string): string {
    const [head = '', digits = ''] = text.split(':');
    const bytes = fromHex(digits);
    return bytes === null ? ERROR : this.writeMemory(head, bytes);
  }
  private writeBinary(text: string, body: Uint8Array): string {
    const colon = text.indexOf(':');
    return colon < 0 ? ERROR : this.writeMemory(text.slice(0, colon), body.slice(colon + 1));
  }
  private writeMemory(head: string, bytes: Uint8Array): string {
    const asked = range(head);
    const { task } = this;
    if (asked === null || task === null || !task.hasMm || asked.lenBytes !== bytes.length) return ERROR;
    if (bytes.length === 0) return 'OK';
    const { address } = asked;
    // What cannot be written is found out first: a change that changes nothing would still be one.
    if (memoryAt(task.mm, address, bytes.length).length < bytes.length) return EFAULT;
    const { tid } = task;
    this.timeline.edit(({ kernel }) => {
      const owner = kernel.tasks.get(tid);
      if (owner?.hasMm === true) accessRemoteVm(owner.mm, owner, address, bytes, true, true);
    });
    return 'OK';
  }

  // --- Points ---

  private point(text: string, isInsert: boolean): string {
    const match = /^([0-4]),([0-9a-fA-F]{1,16}),([0-9a-fA-F]{1,8})/.exec(text);
    if (match === null) return /^[0-4]/.test(text) ? ERROR : '';
    const type = Number(match[1]) as PointType;
    const address = hexNumber(match[2]!);
    const kind = parseInt(match[3]!, 16);
    const tgid = this.task?.tgid;
    if (address === null || tgid === undefined) return ERROR;
    if (!isInsert) this.points.remove(type, tgid, address, kind);
    return !isInsert || this.points.insert(type, tgid, address, kind) ? 'OK' : ERROR;
  }

  // --- Running ---

  private resumeAll(how: Action['how'], text: string): Answer | string {
    // An address to go on at is an old client's.
    if (text !== '') return ERROR;
    return this.resume([{ how, signal: 0, thread: ANY }]);
  }
  private resumeWith(how: Action['how'], text: string): Answer | string {
    const signal = /^[0-9a-fA-F]{2}$/.test(text) ? parseInt(text, 16) : null;
    return signal === null ? ERROR : this.resume([{ how, signal, thread: ANY }]);
  }
  private resume(actions: readonly Action[]): Answer {
    this.general = ANY; // gdb takes it that a stop reply's thread is the one it goes on to ask about
    this.resumption.start({ direction: 'forward', actions });
    return { kind: 'running' };
  }
  private reverse(text: string): Answer | string {
    if (text !== 's' && text !== 'c') return '';
    this.general = ANY;
    this.resumption.start({ direction: 'backward', actions: [{ how: text === 's' ? 'step' : 'continue', signal: 0, thread: ANY }] });
    return { kind: 'running' };
  }
  /** vCont;c:p2.-1;s:p3.3 */
  private vCont(text: string): Answer | string {
    const actions: Action[] = [];
    for (const part of text.split(';').slice(1)) {
      const match = /^(?:([cs])|([CS])([0-9a-fA-F]{2}))(?::(.+))?$/.exec(part);
      const thread = match?.[4] === undefined ? ANY : parseThreadId(match[4]);
      if (match === null || thread === null) return ERROR;
      const how = (match[1] ?? match[2])!.toLowerCase() === 'c' ? 'continue' : 'step';
      actions.push({ how, signal: match[3] === undefined ? 0 : parseInt(match[3], 16), thread });
    }
    return actions.length === 0 ? ERROR : this.resume(actions);
  }
  private verbose(text: string): Answer | string | Uint8Array {
    if (text === 'Cont?') return 'vCont;c;C;s;S';
    if (text.startsWith('Cont;')) return this.vCont(text);
    if (text.startsWith('File:')) return this.files.ask(text.slice('File:'.length));
    if (text.startsWith('Kill;')) return this.kill(text.slice('Kill;'.length));
    return '';
  }

  // --- Ends ---

  private kill(text: string): Answer | string {
    const tgid = hexNumber(text);
    const { first, processes } = this.timeline.session.kernel;
    const process = tgid === null ? undefined : processes.get(tgid);
    if (process === undefined || !this.inferiors.has(process)) return ERROR;
    this.letGo(process.tgid);
    if (process === first || this.inferiors.tgids.length === 0) return { kind: 'end', how: 'killed', body: fromLatin('OK') };
    this.timeline.edit(({ kernel }) => {
      const doomed = kernel.processes.get(process.tgid);
      if (doomed !== undefined && !doomed.isZombie) kernel.killProcess(doomed);
      kernel.interruptHart();
    });
    return 'OK';
  }
  private detach(text: string): Answer | string {
    const tgid = text === '' ? null : hexNumber(text.slice(1));
    if (text !== '' && (tgid === null || !this.inferiors.tgids.includes(tgid))) return ERROR;
    for (const known of this.inferiors.tgids) if (tgid === null || known === tgid) this.letGo(known);
    return this.inferiors.tgids.length === 0 ? { kind: 'end', how: 'detached', body: fromLatin('OK') } : 'OK';
  }
  /** gdb is gone without a word. */
  release(): void {
    for (const tgid of this.inferiors.tgids) this.letGo(tgid);
  }
  /** Nobody stops the process any more, and nobody holds it. */
  private letGo(tgid: number): void {
    const held = this.timeline.session.kernel.processes.get(tgid)?.threads.some(({ isHeld }) => isHeld) ?? false;
    if (held) this.timeline.edit(({ kernel }) => { for (const task of kernel.processes.get(tgid)?.threads ?? []) task.isHeld = false; });
    this.inferiors.remove(tgid);
    this.points.forget(tgid);
  }

  private set(text: string): string {
    if (text === 'StartNoAckMode') {
      this.acknowledges = false;
      return 'OK';
    }
    return this.queries.set(text);
  }
}

/** ADDRESS,LENGTH */
function range(text: string): { address: number; lenBytes: number } | null {
  const [first = '', second = ''] = text.split(',');
  const [address, lenBytes] = [hexNumber(first), hexNumber(second)];
  return address === null || lenBytes === null || lenBytes < 0 ? null : { address, lenBytes };
}
