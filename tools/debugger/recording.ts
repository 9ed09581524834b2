// A recorded run: all that it read of the world, what came from outside while it ran, and where its events are. Everything else follows, since the
// machine is deterministic. Here: recording a session, what the sections of the file hold, a run made of them again. Not here: the file's
// bytes (qrec.ts), going through the run (replay.ts).
//
// Sections: 0 the configuration, as JSON; 1 the bytes of the guest's files, one after another, each content once; 2 what came from outside, as JSON;
// 3 the events: of each its tracepoint's number and the instructions since the one before.
// The numbering of events is part of what a place means (events.ts), so a recording says which tracepoints counted.
import { createHash } from 'node:crypto';
import { UserError } from '#base';
import type { DiskImage } from '#kernel';
import { parseTlbDescription } from '#mmu';
import type { Session } from '../boot.ts';
import type { GuestDisk, GuestFile, InputConfig, MachineConfig, RunConfig } from '../config.ts';
import { options } from '../options.ts';
import { countedPoints, EventCounter } from './events.ts';
import { packSections, unpackSections, VarintReader, VarintWriter } from './qrec.ts';
import type { Input } from './runner.ts';
import type { Place } from './timeline.ts';

const NR_SECTIONS = 4;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What is known of a run's end. */
export interface RunEnd { readonly kind: string; readonly place: Place; readonly stateHash: string }
/** The events of a run, by number from 1 on. */
export interface EventIndex {
  readonly length: number;
  /** Names of the tracepoints, and of each event which one it is, and after how many instructions. */
  readonly names: readonly string[];
  readonly points: Uint8Array | Uint16Array;
  readonly instrets: Float64Array;
}
export interface Recording {
  readonly config: RunConfig;
  readonly inputs: readonly Input[];
  readonly events: EventIndex;
  readonly end: RunEnd;
}

/** Listens to a session from its start on. */
export class RunRecorder {
  private readonly session: Session;
  private readonly config: RunConfig;
  private readonly counter = new EventCounter();
  private readonly written = new VarintWriter();
  private readonly inputs: Input[] = [];
  private last = 0;

  /** @param config as it was before its disks were covered; the session has not run yet */
  constructor(session: Session, config: RunConfig) {
    this.session = session;
    this.config = config;
    const { machine } = session;
    this.counter.onEvent = (_, __, number) => {
      const { instret } = machine;
      this.written.put(number);
      this.written.put(instret - this.last);
      this.last = instret;
    };
    session.onInput = (bytes) => {
      const { place } = this;
      this.inputs.push(bytes === null ? { place, kind: 'interrupt' } : { place, kind: 'bytes', bytes: new Uint8Array(bytes) });
    };
  }
  get place(): Place {
    return { instret: this.session.machine.instret, event: this.counter.count, phase: -1 };
  }
  /** The recording, as a file's bytes. @param kind how the run ended */
  finish(kind: string): Uint8Array {
    this.session.onInput = null;
    this.counter.close();
    const end: RunEnd = { kind, place: this.place, stateHash: this.session.stateHash() };
    return encodeRecording(this.config, this.inputs, this.written.bytes(), end);
  }
}

export function encodeRecording(config: RunConfig, inputs: readonly Input[], events: Uint8Array, end: RunEnd): Uint8Array {
  const { files, disks, stdin } = config.inputs;
  const contents = new Map<string, { at: number; bytes: Uint8Array }>();
  let at = 0;
  for (const { sha256: key, bytes } of [...files, ...(stdin === null ? [] : [stdin])]) {
    if (contents.has(key)) continue;
    contents.set(key, { at, bytes });
    at += bytes.length;
  }
  const place = ({ sha256: key, bytes }: { sha256: string; bytes: Uint8Array }) => ({ sha256: key, at: contents.get(key)!.at, lenBytes: bytes.length });
  const { lru } = config.machine;
  const head = {
    machine: { ...config.machine, lru: { name: lru.name, file: lru.file } },
    inputs: {
      ...config.inputs,
      files: files.map((file) => ({ path: file.path, mode: file.mode, ...place(file) })),
      disks: disks.map(({ name, path, isWritable, image }) => ({ name, path, isWritable, lenBytes: image.sizeBytes, sha256: hashOfDisk(image) })),
      stdin: stdin === null ? null : place(stdin),
    },
    points: countedPoints().map(({ name }) => name),
    end,
  };
  const given = inputs.map((input) => ({ place: input.place, kind: input.kind, ...(input.kind === 'bytes' ? { base64: Buffer.from(input.bytes).toString('base64') } : {}) }));
  return packSections([utf8(JSON.stringify(head, infinity)), Buffer.concat([...contents.values()].map(({ bytes }) => bytes)), utf8(JSON.stringify(given)), events]);
}
/** JSON has no infinity; speeds of disks have. */
const INFINITY = 'quire:Infinity';
const infinity = (_: string, value: unknown): unknown => (value === Infinity ? INFINITY : value);
const finite = (_: string, value: unknown): unknown => (value === INFINITY ? Infinity : value);

/** What the host does for a recording that is read: the images and policies that it names. */
export interface RecordingHost {
  openDisk(disk: { readonly name: string; readonly path: string; readonly isWritable: boolean }): GuestDisk;
  readPolicy(word: string): MachineConfig['lru'];
}

/** @param name of the file, for its sentences @throws UserError for whatever cannot be read or is no longer as it was */
export function decodeRecording(bytes: Uint8Array, name: string, host: RecordingHost): Recording {
  const [head, contents, given, events] = unpackSections(bytes, name, NR_SECTIONS) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const reader = new Reader(name, contents, host);
  return reader.read(() => {
    const json = reader.object(JSON.parse(text(head), finite));
    const points = reader.list(json['points'], 'string') as string[];
    const counted = countedPoints().map((point) => point.name);
    if (points.join() !== counted.join()) throw new UserError(`${name}: recorded by another version of quire, which numbers other events. Record the run again with this one.`);
    const config: RunConfig = { machine: reader.machine(reader.object(json['machine'])), inputs: reader.inputs(reader.object(json['inputs'])) };
    return { config, inputs: reader.given(JSON.parse(text(given))), events: reader.events(events, points), end: reader.end(reader.object(json['end'])) };
  });
}

type Json = Readonly<Record<string, unknown>>;
class Reader {
  private readonly name: string;
  private readonly contents: Uint8Array;
  private readonly host: RecordingHost;
  constructor(name: string, contents: Uint8Array, host: RecordingHost) {
    this.name = name;
    this.contents = contents;
    this.host = host;
  }
  /** What is wrong in a way that nobody thought of is still the file's fault. */
  read<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof UserError) throw error;
      return this.wrong();
    }
  }
  private wrong(): never {
    throw new UserError(`${this.name}: what it holds makes no run. Record the run again.`);
  }
  object(value: unknown): Json {
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : this.wrong();
  }
  list(value: unknown, kind?: 'string'): unknown[] {
    return Array.isArray(value) && (kind === undefined || value.every((item) => typeof item === kind)) ? value : this.wrong();
  }
  private count(value: unknown): number {
    return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : this.wrong();
  }
  private string(value: unknown): string {
    return typeof value === 'string' ? value : this.wrong();
  }
  private place(value: unknown): Place {
    const { instret, event, phase } = this.object(value);
    return { instret: this.count(instret), event: this.count(event), phase: phase === -1 ? -1 : this.count(phase) };
  }
  private content(value: Json): { bytes: Uint8Array; sha256: string } {
    const at = this.count(value['at']);
    const bytes = this.contents.subarray(at, at + this.count(value['lenBytes']));
    if (sha256(bytes) !== value['sha256']) this.wrong();
    return { bytes, sha256: this.string(value['sha256']) };
  }

  machine(json: Json): MachineConfig {
    const { name, file } = this.object(json['lru']);
    const lru = this.host.readPolicy(file === null ? this.string(name) : this.string(this.object(file)['path']));
    if (file !== null && lru.file?.sha256 !== this.object(file)['sha256']) throw new UserError(`${this.name}: the policy ${lru.file?.path} is not the one that was recorded. Bring the old file back, or record the run again.`);
    for (const option of ['engine', 'sv', 'memmap'] as const) if (options[option].kind.read(String(json[option])) === null) this.wrong();
    for (const key of ['memBytes', 'seed'] as const) this.count(json[key]);
    for (const key of ['mthp', 'set', 'swapBytes'] as const) this.list(json[key]);
    return { ...(json as unknown as MachineConfig), tlb: parseTlbDescription(json['tlb']), lru };
  }
  inputs(json: Json): InputConfig {
    const files = this.list(json['files']).map((value): GuestFile => {
      const file = this.object(value);
      return { path: this.string(file['path']), mode: this.count(file['mode']), ...this.content(file) };
    });
    const disks = this.list(json['disks']).map((value) => this.disk(this.object(value)));
    for (const key of ['argv', 'env', 'folders'] as const) this.list(json[key], 'string');
    this.list(json['links']);
    this.object(json['terminal']);
    return { ...(json as unknown as InputConfig), path: this.string(json['path']), files, disks, stdin: json['stdin'] === null ? null : this.content(this.object(json['stdin'])) };
  }
  private disk(json: Json): GuestDisk {
    const name = this.string(json['name']);
    const disk = this.host.openDisk({ name, path: this.string(json['path']), isWritable: json['isWritable'] === true });
    if (disk.image.sizeBytes !== json['lenBytes'] || hashOfDisk(disk.image) !== json['sha256']) throw new UserError(`${this.name}: the disk ${name} is not as it was when the run was recorded. Bring the old image back, or record the run again.`);
    return disk;
  }
  given(json: unknown): Input[] {
    return this.list(json).map((value): Input => {
      const { place, kind, base64 } = this.object(value);
      if (kind === 'interrupt') return { place: this.place(place), kind };
      if (kind !== 'bytes') return this.wrong();
      return { place: this.place(place), kind, bytes: new Uint8Array(Buffer.from(this.string(base64), 'base64')) };
    });
  }
  events(bytes: Uint8Array, names: readonly string[]): EventIndex {
    const reader = new VarintReader(bytes);
    const points: number[] = [];
    const instrets: number[] = [];
    for (let instret = 0; !reader.isAtEnd;) {
      const point = reader.next();
      const step = reader.next();
      if (point === null || step === null || point >= names.length) return this.wrong();
      instret += step;
      points.push(point);
      instrets.push(instret);
    }
    return { length: points.length, names, points: Uint16Array.from(points), instrets: Float64Array.from(instrets) };
  }
  end(json: Json): RunEnd {
    return { kind: this.string(json['kind']), place: this.place(json['place']), stateHash: this.string(json['stateHash']) };
  }
}

const PIECE_BYTES = 1 << 20;
function hashOfDisk(image: DiskImage): string {
  const hash = createHash('sha256');
  for (let at = 0; at < image.sizeBytes; at += PIECE_BYTES) {
    const piece = new Uint8Array(Math.min(PIECE_BYTES, image.sizeBytes - at));
    if (!image.read(at, piece)) throw new UserError(`a disk of the run cannot be read at byte ${at}, so that it cannot be recorded.`);
    hash.update(piece);
  }
  return hash.digest('hex');
}
