// What a region takes in: callees, near, far or through a register, and where jumps through registers go. Here: that control stays in it, and that it is the
// reference engine's program all the same. Not here: random programs (lockstep-random.test.ts), cost (translator.test.ts).
import { expect, test } from 'vitest';
import { hartRig } from '../support/hart-rig.ts';
import type { HartRig } from '../support/hart-rig.ts';

const CODE = 0x10000, NEAR = 0x10100, OTHER = 0x10140, THIRD = 0x10180, FAR = 0x14000, ROUNDS = 2000;
/** a0 += 3; a0 += 5; a0 += 7, and back. */
const adding = (n: number): string[] => [`addi a0,a0,${n}`, 'xor a3,a0,a3', 'jalr zero,0(ra)'];
/** a0 and a3 at the loop's end. */
function answerOf(rig: HartRig): [bigint, bigint] {
  rig.set({ t0: ROUNDS, s8: NEAR, s9: OTHER, s10: THIRD });
  for (let left = 1000; left > 0; left--) {
    const ended = rig.run(400);
    if (ended.startsWith('ecall')) return [rig.x('a0'), rig.x('a3')];
    if (ended !== 'budget') throw new Error(ended);
  }
  throw new Error('the loop has not come to its end');
}
/** @param other code by address, instead of what stands there or beside it */
function rigWith(loop: readonly string[], engine: 'jit' | 'reference', other: Readonly<Record<number, readonly string[]>> = {}): HartRig {
  const rig = hartRig({ engine });
  for (const [at, lines] of Object.entries({ [NEAR]: adding(3), [OTHER]: adding(5), [THIRD]: adding(7), [FAR]: adding(11), ...other })) rig.code(Number(at), lines);
  rig.code(CODE, [...loop, 'addi t0,t0,-1', `bne t0,zero,${-4 * (loop.length + 1)}`, 'ecall']);
  return rig;
}
/** Runs the loop with both engines. @returns how often regions were left by jumps, and the ranges of the one that holds the loop's end */
function play(loop: readonly string[]) {
  const rig = rigWith(loop, 'jit');
  expect(rig.machine.watchTranslation(BigInt(CODE + 4 * loop.length))).toBe(true);
  expect(answerOf(rig)).toEqual(answerOf(rigWith(loop, 'reference')));
  return { jumped: rig.machine.translation!.exits.Jumped, ranges: rig.machine.watchedTranslations().flatMap(({ ranges }) => ranges.map(([from, to]) => [Number(from), Number(to)])) };
}
const isIn = (ranges: readonly number[][], at: number): boolean => ranges.some(([from, to]) => from! <= at && at < to!);

test.each([
  ['a near callee', [`jal ra,${NEAR - CODE}`], NEAR],
  ['a callee that auipc and jalr reach, as linkers leave calls', ['auipc ra,4', 'jalr ra,0(ra)'], FAR],
  ['one that is called through a register', ['jalr ra,0(s8)'], NEAR],
])('%s is part of the loop that calls it', (_, loop, callee) => {
  const { jumped, ranges } = play(loop);
  expect(isIn(ranges, callee)).toBe(true);
  expect(jumped).toBeLessThan(ROUNDS / 30);
});

test('a jump that auipc and jalr make goes on in the region', () => {
  // To FAR by way of a jump that leaves no link: a tail call.
  const rig = rigWith([`jal ra,${NEAR - CODE}`], 'jit', { [NEAR]: ['auipc t1,4', `jalr zero,${FAR - NEAR - 0x4000}(t1)`] });
  const [a0] = answerOf(rig);
  expect(a0).toBe(11n * BigInt(ROUNDS));
  expect(rig.machine.translation!.exits.Jumped).toBeLessThan(ROUNDS / 30);
});

// Which of two: t0's lowest bit tells.
const either = ['andi t2,t0,1', 'slli t2,t2,6', 'add t2,t2,s8', 'jalr ra,0(t2)'];
test('callees that are called in turn are both expected', () => {
  const { jumped, ranges } = play(either);
  expect([isIn(ranges, NEAR), isIn(ranges, OTHER), isIn(ranges, THIRD)]).toEqual([true, true, false]);
  expect(jumped).toBeLessThan(ROUNDS / 30);
});

test('a callee that comes later is found as well, whatever was expected', () => {
  // 64 bytes further in the last rounds alone.
  const loop = ['sltiu t1,t0,64', 'slli t1,t1,6', ...either.slice(0, 3), 'add t2,t2,t1', 'jalr ra,0(t2)'];
  const { ranges } = play(loop);
  expect(isIn(ranges, NEAR)).toBe(true);
});

test('where a switch goes is part of the loop', () => {
  // Cases of 16 bytes; each jumps back behind the switch.
  const cases = [3, 5, 7, 11];
  const rigs = (['jit', 'reference'] as const).map((engine) => {
    const other = Object.fromEntries(cases.map((n, i) => [0x10200 + 16 * i, [`addi a0,a0,${n}`, 'xor a3,a0,a3', `jal zero,${CODE + 16 - (0x10200 + 16 * i + 8)}`]]));
    const rig = rigWith(['andi t2,t0,3', 'slli t2,t2,4', 'add t2,t2,s7', 'jalr zero,0(t2)'], engine, other);
    rig.set({ s7: 0x10200 });
    return rig;
  });
  const [a, b] = rigs.map(answerOf);
  expect(a).toEqual(b);
  expect(rigs[0]!.machine.translation!.exits.Jumped).toBeLessThan(ROUNDS / 30);
});

test('a callee of many instructions keeps a region of its own', () => {
  const rig = rigWith(['auipc ra,4', 'jalr ra,0(ra)'], 'jit', { [FAR]: [...Array.from({ length: 100 }, () => 'addi a0,a0,1'), 'jalr zero,0(ra)'] });
  expect(rig.machine.watchTranslation(BigInt(CODE + 8))).toBe(true);
  expect(answerOf(rig)[0]).toBe(100n * BigInt(ROUNDS));
  const ranges = rig.machine.watchedTranslations().flatMap(({ ranges }) => ranges.map(([from, to]) => [Number(from), Number(to)]));
  expect(isIn(ranges, CODE + 8)).toBe(true);
  expect(isIn(ranges, FAR)).toBe(false);
});

test('a jump that is two gigabytes away goes there', () => {
  const BACK = 0x900;
  const ends = (['jit', 'reference'] as const).map((engine) => {
    const rig = hartRig({ engine });
    rig.code(CODE + BACK, ['addi t0,t0,-1', `bne t0,zero,${-BACK - 4}`, 'auipc t1,524287', 'jalr ra,2047(t1)']);
    rig.code(CODE, ['addi t2,t2,-1', 'blt zero,t2,-4', `jal zero,${BACK - 8}`]); // hot first, so that the region begins here
    rig.set({ t0: 100, t2: 10 });
    for (let left = 200; left > 0; left--) {
      const ended = rig.run(50);
      if (ended !== 'budget') return ended;
    }
    return 'no end';
  });
  expect(ends[1]).toBe(`fetch page fault at 0x${(CODE + BACK + 8 + 0x7fff_f000 + 2046).toString(16)}, pc 0x${(CODE + BACK + 8 + 0x7fff_f000 + 2046).toString(16)}`);
  expect(ends[0]).toBe(ends[1]);
});
