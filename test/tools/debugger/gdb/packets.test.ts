import { describe, expect, test } from 'vitest';
import { Prng } from '#base';
import { frame, fromLatin, latin, PacketReader, type Received } from '#tools/debugger/gdb/packets.ts';
import { gdbSignal, linuxSignal } from '#tools/debugger/gdb/signals.ts';
import { gdbAddress } from '#tools/debugger/gdb/server.ts';

function read(text: string, reader = new PacketReader()): { got: string[]; replies: string } {
  let replies = '';
  const received = reader.feed(fromLatin(text), (bytes) => { replies += latin(bytes); });
  return { got: received.map((r: Received) => (r.kind === 'packet' ? latin(r.body) : `<${r.kind}>`)), replies };
}

/** A packet as gdb sends it: what is to be escaped is. */
const sent = (body: string): string => `$${body}#${(fromLatin(body).reduce((sum, byte) => sum + byte, 0) & 255).toString(16).padStart(2, '0')}`;
test('a packet is taken with its right sum, in whatever pieces it comes, and asked for again otherwise', () => {
  expect(read('$g#67')).toEqual({ got: ['g'], replies: '+' });
  expect(read('$g#68')).toEqual({ got: [], replies: '-' });
  expect(read('$g#zz')).toEqual({ got: [], replies: '-' });
  const reader = new PacketReader();
  const pieces = [...sent('m40,4')].map((letter) => read(letter, reader).got);
  expect([pieces.slice(0, -1).flat(), pieces.at(-1)]).toEqual([[], ['m40,4']]);
  expect(read('+$g#67+$?#3f').got).toEqual(['g', '?']);
  expect(read('\x03').got).toEqual(['<interrupt>']);
  expect(read('-').got).toEqual(['<resend>']);
  expect(read('rubbish#00$g#67').got).toEqual(['g']);
  expect(read('$lost$g#67').got).toEqual(['g']);
});
test('escapes become the bytes they stand for, and a 3 inside a packet is no interrupt', () => {
  expect(read(sent('X0,1:}\x03')).got).toEqual(['X0,1:#']);
  expect(read(sent('a\x03b')).got).toEqual(['a\x03b']);
});
test('without acknowledgements nothing is said of sums', () => {
  const reader = new PacketReader();
  reader.acknowledges = false;
  expect(read('$g#00-', reader)).toEqual({ got: ['g'], replies: '' });
});
test('one that is too long is lost, and the next one is read', () => {
  expect(read(`$${'a'.repeat(0x5000)}#00$g#67`).got).toEqual(['g']);
});

/** What gdb makes of a reply. */
function unframed(bytes: Uint8Array): Uint8Array {
  const text = latin(bytes);
  expect(text).toMatch(/^\$[^#$]*#[0-9a-f]{2}$/);
  const body = bytes.subarray(1, -3);
  expect(body.reduce((sum, byte) => (sum + byte) & 255, 0)).toBe(parseInt(text.slice(-2), 16));
  const out: number[] = [];
  for (let i = 0; i < body.length; i++) {
    if (body[i] === 0x7d) out.push(body[++i]! ^ 0x20);
    else if (body[i] === 0x2a) out.push(...new Array<number>(body[++i]! - 29).fill(out.at(-1)!));
    else out.push(body[i]!);
  }
  return Uint8Array.from(out);
}
test('what is sent comes out the same, escaped and with its runs shortened', () => {
  expect(latin(frame(fromLatin('OK')))).toBe('$OK#9a');
  expect(frame(fromLatin('0'.repeat(90))).length).toBeLessThan(10);
  const random = new Prng(1, 'packets');
  for (let n = 0; n < 2000; n++) {
    const body = new Uint8Array(random.below(300));
    for (let i = 0; i < body.length;) {
      const byte = [0x30, 0x23, 0x24, 0x2a, 0x7d, random.below(256)][random.below(6)]!;
      for (let run = random.below(random.below(3) === 0 ? 120 : 3); run >= 0 && i < body.length; run--) body[i++] = byte;
    }
    expect(unframed(frame(body))).toEqual(body);
  }
});

test('signals have gdb\'s numbers, and come back', () => {
  expect([7, 10, 12, 17, 19, 31, 32, 33, 63, 64].map(gdbSignal)).toEqual([10, 30, 31, 20, 17, 12, 77, 45, 75, 78]);
  for (let signo = 1; signo <= 64; signo++) if (signo !== 16) expect(linuxSignal(gdbSignal(signo))).toBe(signo);
});

describe('--gdb', () => {
  test('listens on this machine alone', () => {
    expect(gdbAddress('1234')).toEqual({ host: '127.0.0.1', port: 1234 });
    expect(gdbAddress(':1234')).toEqual({ host: '127.0.0.1', port: 1234 });
    expect(gdbAddress('localhost:0')).toEqual({ host: '127.0.0.1', port: 0 });
    expect(gdbAddress('[::1]:9')).toEqual({ host: '::1', port: 9 });
    expect(gdbAddress('unix:/tmp/x')).toEqual({ path: '/tmp/x' });
  });
  test.each(['0.0.0.0:1234', '[::]:1234', '192.168.1.1:80', 'example.org:1', '65536', 'x', '', 'unix:', '-1'])('%s is refused with a sentence', (text) => {
    expect(() => gdbAddress(text)).toThrow(/^--gdb .*: .*\. Write a port of this machine/);
  });
});
