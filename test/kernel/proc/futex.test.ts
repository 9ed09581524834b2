// Futexes: queues beside a naive list, and the system call's operations as threads use them.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FutexTable, type FutexWaiter } from '#kernel/proc/futex.ts';
import { Task } from '#kernel/proc/task.ts';
import type { Mm } from '#kernel/mm/mm.ts';
import { call, DATA, go, label, type Line, reg } from '../../support/guests.ts';
import { emit, emitWord, exit, put, runLines, Sys } from '../../support/kernel-rig.ts';

describe('the queues', () => {
  const owner = {} as Mm;
  test('wake in order of arrival, by bits, and move: as a naive list does', () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), word: fc.integer({ min: 0, max: 2 }), bits: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('wake' as const), word: fc.integer({ min: 0, max: 2 }), nr: fc.integer({ min: 0, max: 3 }), bits: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('requeue' as const), word: fc.integer({ min: 0, max: 2 }), to: fc.integer({ min: 0, max: 2 }), nr: fc.integer({ min: 0, max: 3 }) }),
    );
    fc.assert(fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const table = new FutexTable();
      let naive: { id: number; word: number; bits: number }[] = [];
      const waiters: FutexWaiter[] = [];
      for (const a of actions) {
        const key = { owner, offset: a.word * 4 };
        if (a.kind === 'add') {
          const waiter = { task: new Task(waiters.length), key, bitset: a.bits, isWoken: false };
          naive.push({ id: waiters.length, word: a.word, bits: a.bits });
          waiters.push(waiter);
          table.add(waiter);
        } else if (a.kind === 'wake') {
          const chosen = naive.filter((w) => w.word === a.word && (w.bits & a.bits) !== 0).slice(0, a.nr);
          naive = naive.filter((w) => !chosen.includes(w));
          expect(table.wake(key, a.nr, a.bits)).toBe(chosen.length);
          for (const { id } of chosen) expect(waiters[id]!.isWoken).toBe(true);
        } else if (a.word !== a.to) {
          const moved = naive.filter((w) => w.word === a.word).slice(0, a.nr);
          naive = [...naive.filter((w) => !moved.includes(w)), ...moved.map((w) => ({ ...w, word: a.to }))];
          expect(table.requeue(key, { owner, offset: a.to * 4 }, a.nr)).toBe(moved.length);
        }
        expect(table.nrWaiting).toBe(naive.length);
        expect(waiters.filter((w) => !w.isWoken).length).toBe(naive.length);
      }
    }), { numRuns: 300 });
  });
});

const { a0 } = reg;
const STACKS = 0x3000_0000;
const Op = { Wait: 0, Wake: 1, Requeue: 3, CmpRequeue: 4, WakeOp: 5, WaitBitset: 9, WakeBitset: 10, Private: 128 } as const;
const sleepMs = (ms: number): Line[] => [...put(0x40, 0), ...put(0x48, ms * 1_000_000), ...call(Sys.nanosleep, DATA + 0x40, 0)];
/** A thread that runs `body` and ends. */
const thread = (name: string, slot: number, body: readonly Line[]): Line[] => [
  ...call(Sys.clone, 0x10f00, STACKS + 4096 * (slot + 1), 0, 0, 0), go('bne', `${name}-after`, { rs1: a0, rs2: 0 }), ...body, ...call(Sys.exit, 0), label(`${name}-after`),
];
const withStacks = (lines: readonly Line[]): Line[] => [...call(Sys.mmap, STACKS, 65536, 3, 0x32, -1, 0), ...lines];

describe('futex(2)', () => {
  test('WAIT is EAGAIN when the word differs, EINVAL misaligned, EFAULT outside, ETIMEDOUT after its time', () => {
    const rig = runLines([
      ...put(0, 5), ...call(Sys.futex, DATA, Op.Wait, 4, 0), ...emit(), ...call(Sys.futex, DATA + 2, Op.Wait, 5, 0), ...emit(), ...call(Sys.futex, 0x1000, Op.Wait, 5, 0), ...emit(),
      ...put(16, 0), ...put(24, 1_000_000), ...call(Sys.futex, DATA, Op.Wait, 5, DATA + 16), ...emit(), ...call(Sys.futex, DATA, 99, 0, 0), ...emit(), ...exit(0),
    ]);
    expect(rig.words()).toEqual([-11n, -22n, -14n, -110n, -38n]);
  });
  test('WAKE answers how many it woke', () => {
    const waiter: Line[] = [...call(Sys.futex, DATA, Op.Wait | Op.Private, 0, 0)];
    const rig = runLines(withStacks([
      ...thread('a', 0, waiter), ...thread('b', 1, waiter), ...thread('c', 2, waiter), ...sleepMs(1),
      ...call(Sys.futex, DATA, Op.Wake | Op.Private, 2), ...emit(), ...call(Sys.futex, DATA, Op.Wake | Op.Private, 2), ...emit(), ...call(Sys.futex, DATA, Op.Wake | Op.Private, 2), ...emit(), ...exit(0),
    ]));
    expect(rig.words()).toEqual([2n, 1n, 0n]);
  });
  test('CMP_REQUEUE wakes some and moves the rest, if the word still holds', () => {
    const waiter: Line[] = [...call(Sys.futex, DATA, Op.Wait, 0, 0)];
    const rig = runLines(withStacks([
      ...thread('a', 0, waiter), ...thread('b', 1, waiter), ...thread('c', 2, waiter), ...sleepMs(1),
      ...call(Sys.futex, DATA, Op.CmpRequeue, 1, 5, DATA + 4, 1), ...emit(), ...call(Sys.futex, DATA, Op.CmpRequeue, 1, 5, DATA + 4, 0), ...emit(),
      ...call(Sys.futex, DATA, Op.Wake, 9), ...emit(), ...call(Sys.futex, DATA + 4, Op.Wake, 9), ...emit(), ...exit(0),
    ]));
    expect(rig.words()).toEqual([-11n, 3n, 0n, 2n]);
  });
  test('WAKE_OP changes the second word and wakes by its old value', () => {
    const waiter = (word: number): Line[] => [...call(Sys.futex, DATA + word, Op.Wait, 7, 0)];
    const addOneIfSeven = (1 << 28) | (0 << 24) | (1 << 12) | 7; // FUTEX_OP_ADD 1, FUTEX_OP_CMP_EQ 7
    const rig = runLines(withStacks([
      ...put(0, 7), ...put(8, 7), ...thread('a', 0, waiter(0)), ...thread('b', 1, waiter(8)), ...sleepMs(1),
      ...call(Sys.futex, DATA, Op.WakeOp, 1, 1, DATA + 8, addOneIfSeven), ...emit(), ...emitWord(8), ...exit(0),
    ]));
    expect(rig.words()).toEqual([2n, 8n]);
  });
  test('a thread that ends clears its tid word and wakes who joins it', () => {
    const CHILD_CLEARTID = 0x20_0000;
    const rig = runLines(withStacks([
      ...put(0, 1), ...call(Sys.clone, 0x10f00 | CHILD_CLEARTID, STACKS + 4096, 0, 0, DATA), go('bne', 'join', { rs1: a0, rs2: 0 }), ...sleepMs(2), ...call(Sys.exit, 0),
      label('join'), ...call(Sys.futex, DATA, Op.Wait, 1, 0), ...emit(), ...emitWord(0), ...exit(0),
    ]));
    expect(rig.words()).toEqual([0n, 0n]);
  });
});
