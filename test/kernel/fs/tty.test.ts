// The terminal: what a line becomes, what is echoed, which keys are signals. State is drawn as "what programs read | what the screen shows".
import { beforeEach, expect, test } from 'vitest';
import { utf8Decode, utf8Encode } from '#base';
import { bootGuest, type GuestTask } from '../../support/fs-fixture.ts';

let g: GuestTask;
beforeEach(() => {
  g = bootGuest({ console: { inputTty: true, outputTty: true, rows: 30, columns: 100 } });
  g.kernel.host.console.tty.foreground = g.kernel.host.console.tty.session = g.task.tgid;
});
const screen = (): string => g.kernel.host.console.takeOutput().map(({ bytes }) => utf8Decode(bytes)).join('');
const type = (keys: string): void => g.kernel.host.console.feed(utf8Encode(keys));
/** Sets the terminal's words of flags by what to take away. */
function stty(change: (words: Uint32Array) => void): void {
  g.call('ioctl', 0, 0x5401, g.buffer);
  const bytes = g.bytes(36);
  const words = new Uint32Array(bytes.buffer.slice(0, 16));
  change(words);
  bytes.set(new Uint8Array(words.buffer));
  g.call('ioctl', 0, 0x5402, bytes);
}
const LFLAG = 3;

test.each([
  ['a line waits for its end', 'abc', '<asleep> | abc'],
  ['return ends it as a newline', 'abc\r', 'abc\n | abc\r\n'],
  ['erase takes one character back', 'abx\x7fc\n', 'abc\n | abx\b \bc\r\n'],
  ['erase takes a whole UTF-8 character back', 'a\u20ac\x7fb\n', 'ab\n | a\u20ac\b \bb\r\n'],
  ['kill takes the line back', 'wrong\x15ok\n', `ok\n | wrong${'\b \b'.repeat(5)}ok\r\n`],
  ['word erase takes a word back', 'one two\x17three\n', `one three\n | one two${'\b \b'.repeat(3)}three\r\n`],
  ['end of file ends a read without being read', 'ab\x04', 'ab | ab'],
  ['end of file alone is the end', '\x04', ' | '],
  ['a quoted key is itself', 'a\x16\x03b\n', 'a\x03b\n | a^Cb\r\n'],
])('%s', (_what, keys, picture) => {
  type(keys);
  const n = g.call('read', 0, g.buffer, 100);
  expect(`${typeof n === 'string' ? `<${n}>` : g.text(n)} | ${screen()}`).toBe(picture);
});

test('a read takes one line at most, and a short one leaves the rest', () => {
  type('first\nsecond\n');
  expect([g.read(0), g.read(0, 3), g.read(0)]).toEqual(['first\n', 'sec', 'ond\n']);
});

test('keys that are signals go to the foreground group and forget the line', () => {
  type('half\x03');
  type('\x1c\x1a');
  const pgid = g.task.tgid;
  expect(g.kernel.host.console.takeSignals()).toEqual([{ pgid, signo: 2 }, { pgid, signo: 3 }, { pgid, signo: 20 }]);
  expect(screen()).toBe('half^C^\\^Z');
  type('rest\n');
  expect(g.read(0)).toBe('rest\n');
});

test('raw mode gives every key at once, unechoed', () => {
  stty((words) => { words[LFLAG] = 0; words[0] = 0; });
  type('\x03\r\x7f');
  expect([g.read(0), screen()]).toEqual(['\x03\r\x7f', '']);
  expect(g.kernel.host.console.takeSignals()).toEqual([]);
});

test('raw with MIN 0: a read waits for TIME tenths of a second, or not at all', () => {
  const setRaw = (tenths: number): void => {
    g.call('ioctl', 0, 0x5401, g.buffer);
    const bytes = g.bytes(36);
    new DataView(bytes.buffer).setUint32(12, 0, true);
    bytes[17 + 5] = tenths;
    bytes[17 + 6] = 0;
    g.call('ioctl', 0, 0x5402, bytes);
  };
  setRaw(0);
  expect(g.call('read', 0, g.buffer, 9)).toBe(0);
  setRaw(3);
  expect(g.call('read', 0, g.buffer, 9)).toBe('asleep');
  expect(g.task.deadline).toBe(g.kernel.machine.clockCycles + 300_000_000);
  g.kernel.machine.charge(300_000_000);
  g.task.wake(true);
  expect(g.again()).toBe(0);
});

test('a new size is seen, and SIGWINCH told', () => {
  g.kernel.host.console.resize(50, 200);
  g.call('ioctl', 1, 0x5413, g.buffer);
  expect([...new Uint16Array(g.bytes(4).buffer)]).toEqual([50, 200]);
  expect(g.kernel.host.console.takeSignals()).toEqual([{ pgid: g.task.tgid, signo: 28 }]);
});

test('output gets returns before newlines, unless OPOST is off', () => {
  g.write(1, 'a\nb');
  expect(screen()).toBe('a\r\nb');
  stty((words) => { words[1] = 0; });
  g.write(1, 'a\nb');
  expect(screen()).toBe('a\nb');
});

test('it is a terminal: size, name, session', () => {
  expect(g.call('ioctl', 1, 0x5413, g.buffer)).toBe(0);
  expect([...new Uint16Array(g.bytes(4).buffer)]).toEqual([30, 100]);
  expect(g.call('ioctl', 0, 0x540f, g.buffer)).toBe(0);
  expect(new Uint32Array(g.bytes(4).buffer)[0]).toBe(g.task.process.pgid);
  expect(typeof g.open('/dev/tty', 2)).toBe('number');
  const n = g.call('readlinkat', -100, '/proc/self/fd/0', g.buffer, 100) as number;
  expect(g.text(n)).toBe('/dev/console');
});

test('without a terminal the same questions are ENOTTY, and /dev/tty is not there', () => {
  g = bootGuest();
  expect([g.call('ioctl', 0, 0x5401, g.buffer), g.call('ioctl', 1, 0x5413, g.buffer), g.open('/dev/tty')]).toEqual(['ENOTTY', 'ENOTTY', 'ENXIO']);
});
