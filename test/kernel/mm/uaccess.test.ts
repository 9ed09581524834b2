// The kernel's own accesses to user memory.
import { describe, expect, test } from 'vitest';
import { Prot } from '#kernel/mm/mman.ts';
import { boot } from '../../support/mm-fixture.ts';
import { picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;

test('words of every width read back, across pages too', () => {
  const { program: { user }, program } = boot();
  program.map(0x3000, BASE);
  expect(user.setU64(BASE + 0xffc, 0x8877665544332211n)).toBe(true);
  expect(user.u64(BASE + 0xffc)).toBe(0x8877665544332211n);
  expect(user.i64(BASE + 0xffc)).toBe(0x8877665544332211n - (1n << 64n));
  expect([user.u8(BASE + 0xffc), user.u16(BASE + 0xfff), user.u32(BASE + 0x1000), user.i32(BASE + 0x1000)]).toEqual([0x11, 0x5544, 0x88776655, 0x88776655 | 0]);
  user.setU64(BASE, -1);
  expect([user.word(BASE), user.u32(BASE)]).toEqual([-1, 0xffffffff]);
  user.setU64(BASE, 2 ** 40 + 5);
  expect(user.word(BASE)).toBe(2 ** 40 + 5);
});
test('reads fault in the zero page, writes a page of its own, and count as faults', () => {
  const { program } = boot();
  program.map(0x4000, BASE);
  program.user.u8(BASE);
  program.user.setU8(BASE + 0x2000, 1);
  program.user.setU8(BASE + 0x2000, 2);
  expect(picture(program.mm)).toBe('0x1000000000 z.0.');
  expect(program.counts.minFlt).toBe(2);
});
describe('EFAULT', () => {
  test('is false or null, with what could be done told', () => {
    const { program: { user }, program } = boot();
    program.map(0x2000, BASE);
    program.map(0x1000, BASE + 0x2000, Prot.Read);
    program.map(0x1000, BASE + 0x4000, Prot.None);
    expect(user.readPrefix(BASE + 0x1f00, new Uint8Array(0x2000))).toBe(0x1100);
    expect(user.writePrefix(BASE + 0x1f00, new Uint8Array(0x2000))).toBe(0x100);
    expect([user.u32(BASE + 0x4000), user.u64(BASE + 0x2ffc), user.word(0), user.u8(-8), user.u8(2 ** 60), user.u8(NaN)]).toEqual([null, null, null, null, null, null]);
    expect([user.setU8(BASE + 0x2000, 1), user.zero(BASE + 0x1000, 0x1001), user.zero(BASE, 0x2000)]).toEqual([false, false, true]);
  });
});
test('strings end at their NUL, and at the limit they are none', () => {
  const { program: { user }, program } = boot();
  program.map(0x1000, BASE);
  const bytes = new Uint8Array([...'käse'].flatMap((c) => [...Buffer.from(c)]));
  user.write(BASE + 0x1000 - bytes.length - 1, bytes);
  expect(user.cstring(BASE + 0x1000 - bytes.length - 1, 100)).toBe('käse');
  expect(user.cstring(BASE + 0x1000 - bytes.length - 1, bytes.length)).toBe(null);
  user.setU8(BASE + 0xfff, 33);
  expect(user.cstring(BASE + 0x1000 - bytes.length - 1, 100)).toBe(null);
});
test('compare and exchange answers the old value and needs a writable page', () => {
  const { program: { user }, program } = boot();
  program.map(0x1000, BASE);
  program.map(0x1000, BASE + 0x1000, Prot.Read);
  user.setU32(BASE, 0xffffffff);
  expect([user.cmpxchgU32(BASE, -1, 5), user.u32(BASE), user.cmpxchgU32(BASE, 4, 6), user.u32(BASE)]).toEqual([0xffffffff, 5, 5, 5]);
  expect(user.cmpxchgU32(BASE + 0x1000, 0, 1)).toBe(null);
});
