// Programs that change themselves or are changed: what was decoded must never outlive the bytes it was decoded from.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Guard } from '#mmu';
import { assemble } from '../support/assemble.ts';
import { hartRig } from '../support/hart-rig.ts';

const CODE = 0x10000;
const li = (n: number): number => assemble(`addi a0,zero,${n}`);

test('a store into the block that is running is seen by the next instruction', () => {
  const rig = hartRig();
  rig.map(CODE, 'rwx');
  rig.code(CODE, ['addi a0,zero,1', 'sw a2,8(a1)', 'addi a0,zero,1', 'ecall']);
  rig.set({ a1: CODE, a2: li(2) });
  expect(rig.run()).toMatch(/^ecall/);
  expect(rig.x('a0')).toBe(2n);
});

// Each makes the immediate of the instruction behind it 17, or 257 where it reaches the top byte alone.
test.each([
  ['sh a2,10(a1)', 0x0110, 17n],
  ['sd a2,4(a1)', (0x0110_0513n << 32n) | BigInt(assemble('sd a2,4(a1)') >>> 0), 17n],
  ['sb a2,11(a1)', 0x10, 257n],
  ['amoor.w zero,a2,(a6)', 0x0100_0000, 17n],
  ['amoadd.d zero,a2,(a6)', 0x0100_0000, 17n],
] as const)('so is one by %s', (line, a2, expected) => {
  const rig = hartRig();
  rig.map(CODE, 'rwx');
  rig.code(CODE + 4, [line, 'addi a0,zero,1', 'ecall']);
  rig.set({ a1: CODE, a6: CODE + 8, a2 });
  expect(rig.run()).toMatch(/^ecall/);
  expect(rig.x('a0')).toBe(expected);
});

test('a store through another view of the frame, or across into it, is seen too', () => {
  const rig = hartRig();
  const frame = rig.map(CODE, 'rx');
  rig.map(0x40000, 'rw', frame);
  rig.map(0x3f000, 'rw');
  rig.code(CODE, ['addi a0,zero,1', 'ecall']);
  rig.code(0x50000, ['sw a2,0(a1)', 'jalr zero,0(s0)', 'sd a3,-4(a1)', 'jalr zero,0(s0)']);
  rig.set({ a1: 0x40000, s0: CODE, a2: li(5), a3: BigInt.asIntN(64, BigInt(li(6)) << 32n) });
  rig.machine.pc = BigInt(CODE);
  rig.run();
  expect(rig.x('a0')).toBe(1n);
  rig.machine.pc = 0x50000n;
  expect(rig.run()).toMatch(/^ecall/);
  expect(rig.x('a0')).toBe(5n);
  rig.machine.pc = 0x50008n;
  expect(rig.run()).toMatch(/^ecall/);
  expect(rig.x('a0')).toBe(6n);
});

test('a page that is in the write filter leaves it when it becomes code', () => {
  const rig = hartRig();
  rig.map(CODE, 'rwx');
  rig.code(0x50000, ['sw a2,0(a1)', 'jalr ra,0(a1)', 'sw a3,0(a1)', 'jalr ra,0(a1)', 'ecall']);
  rig.write(CODE + 4, new Uint8Array(Int32Array.of(assemble('jalr zero,0(ra)')).buffer));
  rig.set({ a1: CODE, a2: li(11), a3: assemble('addi a4,zero,12') });
  expect(rig.run()).toMatch(/^ecall/);
  expect([rig.x('a0'), rig.x('a4')]).toEqual([11n, 12n]);
});

test('what the kernel writes, zeroes, copies or enters as a PTE is seen when it next runs', () => {
  const rig = hartRig();
  const { machine } = rig;
  const frame = rig.map(CODE, 'rx');
  const other = rig.map(0x60000, 'rx');
  const again = (): string => {
    machine.pc = BigInt(CODE);
    return rig.run(1);
  };
  rig.code(CODE, ['addi a0,zero,1']);
  rig.write(0x60000, new Uint8Array(Int32Array.of(li(3)).buffer));
  again();
  rig.write(CODE, new Uint8Array(Int32Array.of(li(2)).buffer));
  again();
  expect(rig.x('a0')).toBe(2n);
  machine.copyFrame(frame, other);
  again();
  expect(rig.x('a0')).toBe(3n);
  machine.storePte(frame, 0, li(4), 0);
  again();
  expect(rig.x('a0')).toBe(4n);
  machine.zeroFrames(frame, 1);
  expect(again()).toBe('illegal bits 0x0, pc 0x10000');
});

test('a page mapped to another frame runs the other frame\'s instructions after the fence, and not before', () => {
  const rig = hartRig();
  const { machine } = rig;
  rig.code(CODE, ['addi a0,zero,1']);
  rig.run(1);
  const other = rig.map(0x60000, 'rx');
  rig.write(0x60000, new Uint8Array(Int32Array.of(li(9)).buffer));
  rig.map(CODE, 'rx', other);
  machine.pc = BigInt(CODE);
  rig.run(1);
  expect(rig.x('a0')).toBe(1n);
  machine.fence(null, null);
  machine.pc = BigInt(CODE);
  rig.run(1);
  expect(rig.x('a0')).toBe(9n);
});

test('more code than the pool holds is decoded anew, and runs as before', () => {
  const rig = hartRig({ ramBytes: 64 * 2 ** 20 });
  const { machine } = rig;
  // 520 pages of c.addi a0,1, each ending in a jump to the next: 1.06 million instructions, four times what the pool takes.
  const pages = 520;
  const page = new Uint8Array(4096);
  for (let i = 0; i < 4092; i += 2) page.set([0x05, 0x05], i);
  page.set(new Uint8Array(Int32Array.of(assemble('jal zero,4')).buffer), 4092);
  for (let i = 0; i < pages; i++) machine.writeFrame(rig.map(0x100_0000 + 4096 * i, 'rx'), 0, page);
  rig.code(0x100_0000 + 4096 * pages, ['ecall']);
  for (let round = 1; round <= 2; round++) {
    machine.pc = 0x100_0000n;
    expect(rig.run(2e6)).toMatch(/^ecall/);
    expect(rig.x('a0')).toBe(BigInt(round * pages * 2046));
  }
  expect(machine.instret).toBe(2 * pages * 2047);
  expect(machine.ram.guards.reduce((n, guard) => n + (guard & Guard.Code), 0)).toBeLessThan(pages);
});

// Dropped blocks are decoded where they were, if they fit, beside those of a page that was not written.
test.each(['reference', 'interp', 'jit'] as const)('code that is written again with blocks of other lengths runs as it now is (%s)', (engine) => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 15 })), { minLength: 1, maxLength: 40 }), (changes) => {
    const rig = hartRig({ engine });
    // A part adds something so many times, and jumps to the next.
    const part = (what: number, times: number): string[] => [...Array.from({ length: times }, () => `addi a0,a0,${what}`), `jal zero,${4096 - 4 * times}`];
    const times = [0, 0];
    rig.code(CODE + 8192, ['ecall']);
    rig.code(CODE + 4096, part(100, 0));
    rig.code(CODE, part(1, 0));
    for (const [isFirst, now] of [[true, 0] as const, ...changes]) {
      times[isFirst ? 0 : 1] = now;
      rig.code(isFirst ? CODE : CODE + 4096, part(isFirst ? 1 : 100, now));
      rig.set({ a0: 0 });
      rig.machine.pc = BigInt(CODE);
      expect(rig.run()).toMatch(/^ecall/);
      expect(rig.x('a0')).toBe(BigInt(times[0]! + 100 * times[1]!));
    }
  }), { numRuns: 40 });
});

test('what a region took in without its ever having run is given up, too, when it changes', () => {
  const rig = hartRig();
  const { machine } = rig;
  const frame = rig.map(CODE, 'rx');
  rig.map(0x40000, 'rw', frame);
  // Behind the loop more than a block of instructions, so that nothing but the region has read the last of them.
  const behind = 100;
  rig.code(CODE, ['addi a0,a0,-1', 'bne a0,zero,-4', ...Array.from({ length: behind }, () => 'addi zero,zero,0'), 'addi a1,zero,1', 'ecall']);
  rig.code(0x50000, ['sw a2,0(a3)', 'ecall']);
  rig.set({ a0: 1000, a2: assemble('addi a1,zero,2'), a3: 0x40000 + 4 * (2 + behind) });
  machine.pc = BigInt(CODE);
  machine.watchTranslation(BigInt(CODE + 4 * (2 + behind)));
  rig.run(100);
  rig.run(100);
  expect(machine.watchedTranslations()).toMatchObject([{ stands: true }]);
  const { pc } = machine;
  machine.pc = 0x50000n;
  expect(rig.run()).toMatch(/^ecall/);
  machine.pc = pc;
  expect(rig.run(3000)).toMatch(/^ecall/);
  expect(rig.x('a1')).toBe(2n);
});
