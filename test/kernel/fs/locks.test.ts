// Record locks against a naive model: who holds each byte. flock, waiting and deadlock by example.
import fc from 'fast-check';
import { beforeEach, expect, test } from 'vitest';
import { bootGuest, type GuestTask, type Outcome } from '../../support/fs-fixture.ts';

const [RD, WR, UN] = [0, 1, 2];
const [GETLK, SETLK, SETLKW, OFD_SETLK] = [5, 6, 7, 37];
let g: GuestTask;
let fd: number;
beforeEach(() => {
  g = bootGuest();
  fd = g.fd('/lk', 0o102);
});
function flock(type: number, start: number, len: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setInt16(0, type, true);
  view.setBigInt64(8, BigInt(start), true);
  view.setBigInt64(16, BigInt(len), true);
  return bytes;
}
const lock = (task: GuestTask, type: number, start: number, len: number, command = SETLK): Outcome => task.call('fcntl', fd, command, flock(type, start, len));

test('locks of three processes are what a table of bytes says', () => {
  const LENGTH = 24;
  const step = fc.record({
    who: fc.integer({ min: 0, max: 2 }), type: fc.constantFrom(RD, WR, UN),
    start: fc.integer({ min: 0, max: LENGTH - 1 }), len: fc.integer({ min: 0, max: 8 }),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    g = bootGuest({ ramBytes: 8 << 20 });
    fd = g.fd('/lk', 0o102);
    const tasks = [g, g.child(), g.child()];
    const held = tasks.map(() => new Array<number>(LENGTH + 10).fill(UN));
    for (const { who, type, start, len } of steps) {
      const end = len === 0 ? LENGTH + 10 : start + len;
      const clashes = type !== UN && held.some((bytes, other) => other !== who && bytes.slice(start, end).some((b) => b === WR || (b === RD && type === WR)));
      expect(lock(tasks[who]!, type, start, len)).toBe(clashes ? 'EAGAIN' : 0);
      if (!clashes) held[who]!.fill(type, start, end);
    }
    // What is stored is that table in the fewest ranges.
    const { locks } = g.task.files.get(fd)!.inode;
    for (const [who, task] of tasks.entries()) {
      const ranges = (locks?.list() ?? []).filter((l) => l.owner === task.task.files);
      const table = new Array<number>(LENGTH + 10).fill(UN);
      for (const range of ranges) {
        expect(table.slice(range.start, Math.min(range.end, table.length)).every((b) => b === UN)).toBe(true);
        table.fill(range.type, range.start, Math.min(range.end, table.length));
      }
      expect(table).toEqual(held[who]);
      const edges = held[who]!.filter((b, i) => b !== UN && (i === 0 || held[who]![i - 1] !== b)).length;
      expect(ranges.length).toBe(edges);
    }
  }), { numRuns: 200 });
});

test('F_GETLK names the holder and its whole range', () => {
  const child = g.child();
  lock(g, WR, 10, 2);
  const at = child.buffer;
  child.task.user.write(at, flock(RD, 0, 0));
  expect(child.call('fcntl', fd, GETLK, at)).toBe(0);
  const view = new DataView(child.bytes(32).buffer);
  expect([view.getInt16(0, true), Number(view.getBigInt64(8, true)), Number(view.getBigInt64(16, true)), view.getInt32(24, true)]).toEqual([WR, 10, 2, g.task.tgid]);
});

test('F_SETLKW sleeps until the range is free; a circle is refused', () => {
  const child = g.child();
  lock(g, WR, 0, 1);
  lock(child, WR, 1, 1);
  expect(lock(child, WR, 0, 1, SETLKW)).toBe('asleep');
  expect(lock(g, WR, 1, 1, SETLKW)).toBe('EDEADLOCK');
  lock(g, UN, 0, 0);
  expect([child.isAsleep, child.again()]).toEqual([false, 0]);
});

test('closing any descriptor of the file drops the process\'s locks; locks of an open file stay with it', () => {
  const child = g.child();
  lock(g, WR, 0, 5);
  const other = g.fd('/lk', 2);
  g.call('close', other);
  expect(lock(child, WR, 0, 5)).toBe(0);
  lock(child, UN, 0, 0);
  expect(lock(g, WR, 0, 5, OFD_SETLK)).toBe(0);
  const again = g.fd('/lk', 2);
  expect(g.call('fcntl', again, OFD_SETLK, flock(WR, 0, 5))).toBe('EAGAIN');
  g.call('close', again);
  expect(lock(child, WR, 0, 5)).toBe('EAGAIN');
});

test('flock belongs to the open file: duplicates share it, other opens conflict', () => {
  const [SH, EX, NB, OFF] = [1, 2, 4, 8];
  const other = g.fd('/lk', 2);
  expect([g.call('flock', fd, EX), g.call('flock', other, EX | NB), g.call('flock', other, SH | NB)]).toEqual([0, 'EAGAIN', 'EAGAIN']);
  const copy = g.call('dup', fd) as number;
  expect([g.call('flock', copy, SH), g.call('flock', other, SH | NB)]).toEqual([0, 0]);
  expect(g.call('flock', fd, EX)).toBe('asleep');
  g.task.wake();
  g.task.pendingCall = null;
  expect([g.call('flock', other, OFF), g.call('flock', fd, EX | NB), g.call('flock', fd, 77)]).toEqual([0, 0, 'EINVAL']);
});
