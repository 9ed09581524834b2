// Pipes, fifos and sockets: what waits, what is split, what is lost. Capacities recorded on Linux 6.18.
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { Signal } from '#kernel/proc/sigset.ts';
import { AT_FDCWD, bootGuest, type GuestTask, type Outcome } from '../../support/fs-fixture.ts';

const NONBLOCK = 0o4000;
let g: GuestTask;
let r: number;
let w: number;
const two = (at = g.buffer): [number, number] => {
  const view = new DataView(g.bytes(8, at).buffer);
  return [view.getInt32(0, true), view.getInt32(4, true)];
};
function pipe(flags = 0): void {
  expect(g.call('pipe2', g.buffer, flags)).toBe(0);
  [r, w] = two();
}
const fill = (size: number): number => {
  let total = 0;
  for (;;) {
    const n = g.call('write', w, g.buffer, size);
    if (typeof n === 'string') return total;
    total += n;
  }
};
beforeEach(() => {
  g = bootGuest();
  pipe();
});

test.each([[4097, 45066], [5000, 54096], [1, 65536], [3000, 48000], [65536, 65536]])('writes of %i bytes fill a pipe at %i', (size, total) => {
  pipe(NONBLOCK);
  expect(fill(size)).toBe(total);
  expect(g.call('write', w, g.buffer, size)).toBe('EAGAIN');
});

test('F_SETPIPE_SZ rounds up to a power of two pages, and not below what is in use', () => {
  const size = (bytes: number): Outcome => g.call('fcntl', r, 1031, bytes);
  expect([g.call('fcntl', r, 1032), size(5000), size(0), size(4096), size(2 ** 31 + 1)]).toEqual([65536, 8192, 4096, 4096, 'EINVAL']);
  size(65536);
  g.write(w, 'x'.repeat(5000));
  expect(size(4096)).toBe('EBUSY');
});

test('a reader sleeps until somebody writes, and meets the end when no writer is left', () => {
  const child = g.child();
  g.call('close', w);
  expect(g.call('read', r, g.buffer, 10)).toBe('asleep');
  expect(child.write(w, 'hey')).toBe(3);
  expect(g.isAsleep).toBe(false);
  expect([g.again(), g.text(3)]).toEqual([3, 'hey']);
  expect(g.call('read', r, g.buffer, 10)).toBe('asleep');
  child.call('close', w);
  expect(g.again()).toBe(0);
});

test('a long write sleeps until all is taken; a signal leaves it with the part', () => {
  const child = g.child();
  expect(child.call('write', w, child.buffer, 100_000)).toBe('asleep');
  expect(g.call('read', r, g.buffer, 4096)).toBe(4096);
  expect(child.isAsleep).toBe(false);
  expect(child.again()).toBe('asleep');
  child.task.signalPending = true;
  child.task.wake();
  expect(child.again()).toBe(65536 + 4096);
});

test('nobody to read: EPIPE and SIGPIPE', () => {
  g.call('close', r);
  expect(g.write(w, 'x')).toBe('EPIPE');
  expect(g.task.pending.has(Signal.PIPE)).toBe(true);
});

test('packets stay apart, and what does not fit is lost', () => {
  pipe(0o40000);
  g.write(w, 'abc');
  g.write(w, 'defg');
  expect([g.read(r, 2), g.read(r)]).toEqual(['ab', 'defg']);
});

test('the frames of a pipe are free again when it is empty or closed', () => {
  const { system } = g.kernel;
  g.task.user.zero(g.buffer, 65536);
  const free = system.freeBytes;
  g.call('write', w, g.buffer, 20_000);
  expect(free - system.freeBytes).toBe(5 * 4096);
  g.read(r, 8192);
  expect(free - system.freeBytes).toBe(3 * 4096);
  g.call('close', w);
  g.call('close', r);
  expect(system.freeBytes).toBe(free);
  system.check();
});

test('bytes come out in order, however they are split', () => {
  const step = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9000 }));
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    g = bootGuest({ ramBytes: 8 << 20 });
    pipe(NONBLOCK);
    let next = 0;
    let expected: number[] = [];
    for (const [writes, len] of steps) {
      if (writes) {
        const bytes = Uint8Array.from({ length: len }, (_, i) => (next + i) % 251);
        const n = g.call('write', w, bytes, len);
        if (n === 'EAGAIN') continue;
        // Up to PIPE_BUF bytes go whole or not at all.
        if (len <= 4096) expect(n).toBe(len);
        expected = expected.concat([...bytes.subarray(0, n as number)]);
        next += n as number;
      } else {
        const n = g.call('read', r, g.buffer, len);
        expect(n).toBe(expected.length === 0 ? 'EAGAIN' : Math.min(len, expected.length));
        if (typeof n === 'number') expect([...g.bytes(n)]).toEqual(expected.splice(0, n));
      }
    }
    g.call('ioctl', r, 0x541b, g.buffer);
    expect(new DataView(g.bytes(4).buffer).getUint32(0, true)).toBe(expected.length);
  }), { numRuns: 100 });
});

test('the two sides of a fifo wait for each other, and a side that has gone again still counts', () => {
  g.call('mknodat', AT_FDCWD, '/ff', 0o010644, 0);
  expect(g.open('/ff', 1 | NONBLOCK)).toBe('ENXIO');
  expect(g.open('/ff', 0)).toBe('asleep');
  const child = g.child();
  const out = child.fd('/ff', 1);
  expect(child.write(out, 'from child')).toBe(10);
  child.call('close', out);
  const inFd = g.again() as number;
  expect([g.read(inFd), g.read(inFd)]).toEqual(['from child', '']);
});

test('who gave up waiting at a fifo is not counted', () => {
  g.call('mknodat', AT_FDCWD, '/ff', 0o010644, 0);
  const child = g.child();
  expect(child.open('/ff', 0)).toBe('asleep');
  child.task.signalPending = true;
  child.task.wake();
  expect(child.again()).toBe('interrupted');
  child.task.pendingCall = null;
  expect(g.open('/ff', 1 | NONBLOCK)).toBe('ENXIO');
});

test('a stream pair carries bytes, a datagram pair messages', () => {
  const pair = (type: number): [number, number] => {
    expect(g.call('socketpair', 1, type, 0, g.buffer)).toBe(0);
    return two();
  };
  const [a, b] = pair(1);
  g.write(a, 'hello');
  expect(g.call('recvfrom', b, g.buffer, 3, 2, 0, 0)).toBe(3); // MSG_PEEK
  expect(g.read(b, 3) + g.read(b)).toBe('hello');
  expect(g.call('recvfrom', b, g.buffer, 3, 0x40, 0, 0)).toBe('EAGAIN');
  g.call('shutdown', a, 1);
  expect([g.read(b), g.write(a, 'x')]).toEqual(['', 'EPIPE']);
  const [c, d] = pair(2);
  for (const message of ['one', '', 'three']) g.write(c, message);
  expect([g.read(d, 2), g.read(d), g.call('recvfrom', d, g.buffer, 2, 0x20, 0, 0)]).toEqual(['on', '', 5]); // MSG_TRUNC tells the whole length
  g.call('close', c);
  expect(g.write(d, 'x')).toBe('ECONNREFUSED');
  expect([g.call('socket', 2, 1, 0), g.call('socketpair', 1, 99 & 15, 0, g.buffer)]).toEqual(['EAFNOSUPPORT', 'ESOCKTNOSUPPORT']);
});
