// Recordings: run again they are the run that was recorded; what is broken, changed or of another kind is refused with one sentence.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { Prng, UserError } from '#base';
import { ENGINES } from '#cpu';
import { boot, type Session } from '#tools/boot.ts';
import { overlayDisks } from '#tools/debugger/overlay.ts';
import { openTimeline } from '#tools/debugger/index.ts';
import { VarintReader, VarintWriter } from '#tools/debugger/qrec.ts';
import { readRecording } from '#tools/debugger/recorded-run.ts';
import { decodeRecording, RunRecorder, type RecordingHost } from '#tools/debugger/recording.ts';
import { readPolicy } from '#tools/policy-file.ts';
import { quire, scratch } from '../../support/cli.ts';
import { at, configOf, plainHashes, seeds } from './fixture.ts';

const folder = scratch();
afterAll(() => folder.remove());
const noDisks: RecordingHost = { openDisk: () => { throw new Error('no disks here'); }, readPolicy };

/** Records a run; `play` feeds and interrupts it between steps. */
function record(words: string, play: (session: Session, result: string, step: number) => void = () => {}): { bytes: Uint8Array; hash: string } {
  const config = configOf(words);
  const session = boot(overlayDisks(config).config);
  const recorder = new RunRecorder(session, config);
  for (let i = 0; ; i++) {
    const result = session.step(1000 + 137 * (i % 11));
    session.takeOutput();
    if (result === 'running' || result === 'input') play(session, result, i);
    else return { bytes: recorder.finish(result), hash: session.stateHash() };
  }
}
const textOf = (chunks: readonly { readonly bytes: Uint8Array }[]): string => new TextDecoder().decode(Buffer.concat(chunks.map(({ bytes }) => bytes)));

describe('a recorded run', () => {
  for (const engine of ENGINES) {
    test(`${engine}: recorded, gone through and run plainly it passes the same states`, () => {
      const words = `--engine ${engine} --mem 64M -- hello`;
      const { bytes, hash } = record(words);
      const { config, inputs, end, events } = decodeRecording(bytes, 'a.qrec', noDisks);
      const instrets = [0.2, 0.5, 0.9].map((share) => Math.floor(end.place.instret * share));
      const plain = plainHashes(words, instrets);
      const timeline = openTimeline(config, { inputs });
      for (const i of [1, 0, 2]) {
        timeline.seek(at(instrets[i]!));
        expect(timeline.session.stateHash()).toBe(plain.hashes[i]);
      }
      timeline.forward({});
      expect([timeline.place, timeline.session.stateHash()]).toEqual([end.place, end.stateHash]);
      expect([hash, plain.end]).toEqual([end.stateHash, end.stateHash]);
      expect(events.length).toBe(end.place.event);
      // The index and the run agree on where an event is.
      for (const n of [1, 17, events.length - 1]) {
        timeline.seekEvent(n);
        expect([timeline.place.event, timeline.place.instret]).toEqual([n, events.instrets[n - 1]]);
      }
      timeline.close();
    });
  }
  test('input comes where it came, in the pieces in which it came', () => {
    const lines = ['one\n', 'two and\n', 'three\n', ''];
    const made = record('--mem 64M -- cat', (session, result) => {
      if (result === 'input') session.feed(new TextEncoder().encode(lines.shift() ?? ''));
    });
    const { config, inputs, end } = decodeRecording(made.bytes, 'a.qrec', noDisks);
    expect(inputs.map(({ kind }) => kind)).toEqual(['bytes', 'bytes', 'bytes', 'bytes']);
    const timeline = openTimeline(config, { inputs });
    expect(timeline.forward({})).toEqual({ kind: 'exited' });
    expect(textOf(timeline.takeOutput())).toBe('one\ntwo and\nthree\n');
    expect([timeline.place, timeline.session.stateHash()]).toEqual([end.place, made.hash]);
    // Back between two of them, and forward again: nothing is shown twice.
    timeline.seek({ ...inputs[1]!.place });
    timeline.forward({});
    expect([textOf(timeline.takeOutput()), timeline.session.stateHash()]).toEqual(['', made.hash]);
    timeline.close();
  });
  test('Ctrl-C comes at the same instruction', () => {
    const made = record('--mem 64M -- gups --updates 100M', (session, _, step) => { if (step === 40) session.interrupt(); });
    const { config, inputs, end } = decodeRecording(made.bytes, 'a.qrec', noDisks);
    expect(inputs.map(({ kind }) => kind)).toEqual(['interrupt']);
    const timeline = openTimeline(config, { inputs });
    timeline.forward({});
    expect([timeline.place, timeline.session.stateHash(), timeline.session.kernel.exitStatus?.signal]).toEqual([end.place, made.hash, 2]);
    timeline.seek(at(inputs[0]!.place.instret - 10));
    timeline.forward({});
    expect(timeline.session.stateHash()).toBe(made.hash);
    timeline.close();
  });
});

describe('the command', () => {
  test('prints where it went, and leaves the program its output and status', () => {
    const path = folder.path('run.qrec');
    const { stdout, stderr, status } = quire(['record', '-o', path, '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect([stdout, status]).toEqual(['out\n', 7]);
    expect(stderr).toMatch(/^err\nquire: recorded [\d,]+ instructions and [\d,]+ events in .*run\.qrec \(\d+ kB\)\. Go through it with: quire debug .*run\.qrec\n$/);
    const { config, inputs, end } = readRecording(path);
    const timeline = openTimeline(config, { inputs });
    timeline.forward({});
    expect(timeline.session.stateHash()).toBe(end.stateHash);
    timeline.close();
  });
  test('wants to know where to, and no policy that knows the future', () => {
    expect(quire(['record', '--', 'hello'])).toMatchObject({ status: 2, stderr: 'quire: quire record: where to? Write a file, as in quire record -o run.qrec -- PROG.\n' });
    expect(quire(['record', '-o', folder.path('no.qrec'), '--lru', 'opt', '--', 'hello']).stderr).toMatch(/--lru opt: it knows the run's future/);
  });
  test('a disk that has changed since is refused', () => {
    const image = folder.path('disk.img');
    expect(quire(['mkfs', image, '--size', '4M']).status).toBe(0);
    const path = folder.path('disk.qrec');
    const made = quire(['record', '-o', path, '--disk', `${image}:rw`, '--', 'sh', '-c', 'echo hello > /mnt/a; cat /mnt/a']);
    expect(made).toMatchObject({ status: 0, stdout: 'hello\n' });
    const { config, inputs, end } = readRecording(path); // it was written to in memory only
    const timeline = openTimeline(config, { inputs });
    timeline.forward({});
    expect(timeline.session.stateHash()).toBe(end.stateHash);
    timeline.close();
    writeFileSync(image, Buffer.concat([Buffer.from('x'), Buffer.alloc((4 << 20) - 1)]));
    expect(() => readRecording(path)).toThrow(/disk\.qrec: the disk .*disk\.img is not as it was when the run was recorded\. Bring the old image back, or record the run again\./);
  });
});

describe('what is no recording', () => {
  const { bytes } = record('--mem 64M -- hello');
  const whole = Buffer.from(bytes);
  /** With a checksum that is right again. */
  const resealed = (change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(whole);
    change(copy);
    createHash('sha256').update(copy.subarray(0, -32)).digest().copy(copy, copy.length - 32);
    return copy;
  };
  test.each([
    ['nothing', Buffer.alloc(0), /^a\.qrec: not a recording\. quire record -o a\.qrec -- PROG makes one\.$/],
    ['another file', Buffer.from('\x7fELF and so on, and so on'), /: not a recording\./],
    ['a piece', whole.subarray(0, 5), /: it ends too early: 5 bytes are there\./],
    ['the beginning', whole.subarray(0, 20), /: it ends too early: 20 bytes are there\./],
    ['all but the last byte', whole.subarray(0, -1), new RegExp(`: it ends too early: ${whole.length - 1} bytes are there of ${whole.length}\\. Copy it again, or record the run again\\.$`)],
    ['more than all', Buffer.concat([whole, Buffer.from('x')]), /: damaged: its bytes are not those that were written \(checksum\)\./],
    ['another version', resealed((copy) => copy.writeUInt32LE(9, 8)), /: a recording of format 9, and this quire reads format 1\. Record the run again with this one\.$/],
  ])('%s', (_, broken, sentence) => {
    expect(() => decodeRecording(broken, 'a.qrec', noDisks)).toThrow(sentence);
    expect(() => decodeRecording(broken, 'a.qrec', noDisks)).toThrow(UserError);
  });
  test.each(seeds('qrec', 3))('whatever is changed in it, an error is a sentence (QUIRE_SEED=%i replays it)', (seed) => {
    const random = new Prng(seed, 'qrec');
    for (let i = 0; i < 40; i++) {
      const isSealed = random.below(2) === 0;
      const change = (copy: Buffer): void => {
        for (let k = random.below(4); k >= 0; k--) copy[random.below(random.below(2) === 0 ? 60 : copy.length)] = random.below(256);
      };
      const broken = isSealed ? resealed(change) : Buffer.from(whole.subarray(0, random.below(whole.length)));
      if (!isSealed) change(broken.length === 0 ? Buffer.alloc(60) : broken);
      try {
        decodeRecording(broken, 'a.qrec', noDisks);
      } catch (error) {
        expect(error).toBeInstanceOf(UserError);
        expect((error as Error).message).toMatch(/^a\.qrec: [^\n]+\.$/);
      }
    }
  });
});

test('numbers of any size go through the packed form', () => {
  const random = new Prng(5, 'varints');
  const numbers = [0, 1, 127, 128, 16383, 16384, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER, ...Array.from({ length: 40_000 }, () => random.below(2 ** (1 + random.below(31))))];
  const writer = new VarintWriter();
  for (const n of numbers) writer.put(n);
  const reader = new VarintReader(writer.bytes());
  expect(numbers.map(() => reader.next())).toEqual(numbers);
  expect([reader.isAtEnd, reader.next()]).toEqual([true, null]);
});
