// Waiting for files: poll, select, epoll, eventfd, timerfd, and the console's input.
import { beforeEach, expect, test } from 'vitest';
import { utf8Encode } from '#base';
import { bootGuest, type GuestTask, type Outcome } from '../../support/fs-fixture.ts';

const P = { IN: 1, OUT: 4, ERR: 8, HUP: 0x10, NVAL: 0x20 } as const;
let g: GuestTask;
let r: number;
let w: number;
beforeEach(() => {
  g = bootGuest();
  g.call('pipe2', g.buffer, 0o4000);
  const view = new DataView(g.bytes(8).buffer);
  [r, w] = [view.getInt32(0, true), view.getInt32(4, true)];
});
const ms = (n: number): Uint8Array => new Uint8Array(new BigInt64Array([0n, BigInt(n) * 1_000_000n]).buffer);
function setPolls(task: GuestTask, fds: readonly (readonly [number, number])[]): number {
  const view = new DataView(new ArrayBuffer(8 * fds.length));
  fds.forEach(([fd, events], i) => {
    view.setInt32(8 * i, fd, true);
    view.setInt16(8 * i + 4, events, true);
  });
  task.task.user.write(task.buffer, new Uint8Array(view.buffer));
  return task.buffer;
}
/** The answer, and the events of each descriptor. */
function poll(fds: readonly (readonly [number, number])[], timeout: Uint8Array | number): [Outcome, number[]] {
  const n = g.call('ppoll', setPolls(g, fds), fds.length, timeout, 0, 8);
  const view = new DataView(g.bytes(8 * fds.length).buffer);
  return [n, fds.map((_, i) => view.getUint16(8 * i + 6, true))];
}

test('poll tells what each descriptor can do', () => {
  expect(poll([[r, P.IN], [w, P.OUT], [-1, P.IN], [99, P.IN]], ms(0))).toEqual([2, [0, P.OUT, 0, P.NVAL]]);
  g.write(w, 'x');
  expect(poll([[r, P.IN | P.OUT]], ms(0))).toEqual([1, [P.IN]]);
  g.read(r);
  g.call('close', w);
  expect(poll([[r, P.IN]], ms(0))).toEqual([1, [P.HUP]]);
  expect(poll([[g.fd('/f', 0o102), P.IN | P.OUT | 0x40], [g.fd('/dev/null', 2), 0x45]], ms(0))).toEqual([2, [0x45, 0x45]]);
});

test('poll sleeps until something happens, or until its time is up', () => {
  const { machine } = g.kernel;
  expect(g.call('ppoll', setPolls(g, [[r, P.IN]]), 1, ms(10), 0, 8)).toBe('asleep');
  expect(g.task.deadline).toBe(machine.clockCycles + 10_000_000);
  g.child().write(w, 'x');
  expect(g.again()).toBe(1);
  g.read(r);
  expect(g.call('ppoll', setPolls(g, [[r, P.IN]]), 1, ms(10), 0, 8)).toBe('asleep');
  machine.charge(10_000_001);
  g.task.wake(true);
  expect(g.again()).toBe(0);
});

test('select marks the ready ones and counts them', () => {
  const set = (...fds: readonly number[]): Uint8Array => {
    const bytes = new Uint8Array(8);
    for (const fd of fds) bytes[fd >> 3]! |= 1 << (fd & 7);
    return bytes;
  };
  const [inAt, outAt] = [g.buffer, g.buffer + 8];
  g.task.user.write(inAt, set(r));
  g.task.user.write(outAt, set(w));
  expect(g.call('pselect6', 64, inAt, outAt, 0, ms(0), 0)).toBe(1);
  expect([g.bytes(8, inAt), g.bytes(8, outAt)]).toEqual([set(), set(w)]);
  g.task.user.write(inAt, set(r, 20));
  expect(g.call('pselect6', 64, inAt, 0, 0, ms(0), 0)).toBe('EBADF');
  expect(g.call('pselect6', -1, 0, 0, 0, 0, 0)).toBe('EINVAL');
});

test('epoll: level, edge, one shot, and what it refuses', () => {
  const e = g.call('epoll_create1', 0) as number;
  const event = (events: number, data: number): Uint8Array => new Uint8Array(new Uint32Array([events, 0, data, 0]).buffer);
  const ctl = (operation: number, fd: number, events: number = P.IN): Outcome => g.call('epoll_ctl', e, operation, fd, event(events, 77));
  const wait = (): Outcome => g.call('epoll_pwait', e, g.buffer, 4, 0, 0, 8);
  const [EDGE, ONESHOT] = [0x8000_0000, 1 << 30];
  expect([ctl(1, r), ctl(1, r), ctl(1, g.fd('/f', 0o102)), ctl(1, e), ctl(3, w), ctl(2, w), wait()]).toEqual([0, 'EEXIST', 'EPERM', 'EINVAL', 'ENOENT', 'ENOENT', 0]);
  g.write(w, 'ab');
  expect([wait(), g.words(2)]).toEqual([1, [P.IN, 77]]);
  expect(wait()).toBe(1);
  expect([ctl(3, r, P.IN | EDGE), wait(), wait()]).toEqual([0, 1, 0]);
  g.write(w, 'c');
  expect([wait(), wait()]).toEqual([1, 0]);
  expect([ctl(3, r, P.IN | ONESHOT), wait(), wait(), ctl(3, r, P.IN), wait()]).toEqual([0, 1, 0, 0, 1]);
  const outer = g.call('epoll_create1', 0) as number;
  expect(g.call('epoll_ctl', outer, 1, e, event(P.IN, 1))).toBe(0);
  expect(ctl(1, outer)).toBe('ELOOP');
  g.call('close', r);
  expect(wait()).toBe(0); // closed: it has left the set
  g.call('pipe2', g.buffer, 0);
});

test('eventfd counts, blocks at zero and before it overflows', () => {
  const e = g.call('eventfd2', 2, 1 | 0o4000) as number; // EFD_SEMAPHORE
  const word = (n: bigint): Uint8Array => new Uint8Array(new BigUint64Array([n]).buffer);
  expect([g.call('read', e, g.buffer, 8), g.words(1)[0], g.call('read', e, g.buffer, 8), g.call('read', e, g.buffer, 8)]).toEqual([8, 1, 8, 'EAGAIN']);
  expect([g.call('write', e, word(2n ** 64n - 2n), 8), g.call('write', e, word(1n), 8), g.call('write', e, word(2n ** 64n - 1n), 8), g.call('write', e, word(1n), 4)])
    .toEqual([8, 'EAGAIN', 'EINVAL', 'EINVAL']);
});

test('timerfd is ready by the clock alone', () => {
  const t = g.call('timerfd_create', 1, 0) as number;
  const spec = (value: number, interval: number): Uint8Array => new Uint8Array(new BigInt64Array([0n, BigInt(interval), 0n, BigInt(value)]).buffer);
  expect(g.call('timerfd_settime', t, 0, spec(1_000_000, 500_000), 0)).toBe(0);
  expect(g.call('read', t, g.buffer, 8)).toBe('asleep');
  const left = g.task.deadline! - g.kernel.machine.clockCycles;
  expect(left).toBeLessThanOrEqual(1_000_000);
  g.kernel.machine.charge(left + 1_100_000);
  g.task.wake(true);
  expect([g.again(), g.words(1)[0]]).toEqual([8, 3]);
  expect(poll([[t, P.IN]], ms(0))).toEqual([0, [0]]);
  g.call('timerfd_gettime', t, g.buffer);
  const [, interval, , rest] = g.words(4);
  expect(interval).toBe(500_000);
  expect(rest).toBeLessThanOrEqual(400_000);
  expect(rest).toBeGreaterThan(390_000); // copying the answers took some cycles
});

test('input from the host wakes its readers; closing it is the end', () => {
  const { console } = g.kernel.host;
  expect(g.call('read', 0, g.buffer, 10)).toBe('asleep');
  expect(console.isWaitedFor).toBe(true);
  console.feed(utf8Encode('hi there'));
  expect([g.again(), g.text(8)]).toEqual([8, 'hi there']);
  console.feed(utf8Encode('more'));
  expect([g.read(0, 2), g.read(0)]).toEqual(['mo', 're']);
  console.close();
  expect(g.read(0)).toBe('');
  expect(poll([[0, P.IN]], ms(0))).toEqual([1, [P.HUP]]);
  g.write(1, 'out');
  g.write(2, 'err');
  expect(console.takeOutput().map(({ fd, bytes }) => `${fd}:${String.fromCharCode(...bytes)}`)).toEqual(['1:out', '2:err']);
});
