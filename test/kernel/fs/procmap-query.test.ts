// PROCMAP_QUERY: what /proc/self/maps says of one VMA, without text.
import { expect, test } from 'vitest';
import { call, DATA, type Line, li, reg } from '../../support/guests.ts';
import { emit, emitWord, exit, put, runLines, Sys } from '../../support/kernel-rig.ts';

const AT_FDCWD = -100;
const ioctl = 29;
const PROCMAP_QUERY = 0xc068_6611;
const FREE = 0x4000_0000;
const PRIVATE_ANON_FIXED = 0x32;
const Q = 0x200; // where the struct lies in the data page
const path: Line[] = [...'/proc/self/maps\0'].flatMap((c, i): Line[] => [...li(reg.t0, DATA + 0x100 + i), ...li(reg.t1, c.charCodeAt(0)), ['sb', { rs1: reg.t0, rs2: reg.t1, imm: 0 }]]);
const open = [...path, ...call(Sys.openat, AT_FDCWD, DATA + 0x100, 0, 0), ...call(Sys.mmap, FREE, 0x3000, 3, PRIVATE_ANON_FIXED, -1, 0)];
const ask = (size: number, flags: number, addr: number): Line[] => [...put(Q, size), ...put(Q + 8, flags), ...put(Q + 16, addr), ...call(ioctl, 3, PROCMAP_QUERY, DATA + Q), ...emit()];
const words = (...lines: Line[][]): bigint[] => runLines([...open, ...lines.flat(), ...exit(0)]).words();
const err = (n: number): bigint => BigInt(-n);
const [ENOENT, E2BIG, EINVAL, ENOTTY] = [2, 7, 22, 25] as const;

test('the VMA around an address: its ends, rights and page size', () => {
  expect(words(ask(104, 0, FREE + 0x1234), emitWord(Q + 24), emitWord(Q + 32), emitWord(Q + 40), emitWord(Q + 48))).toEqual([0n, BigInt(FREE), BigInt(FREE + 0x3000), 3n, 4096n]);
});
test('a hole is ENOENT, unless the next one will do; rights and files narrow the search', () => {
  const [EXECUTABLE, NEXT] = [4, 0x10];
  expect(words(ask(104, 0, FREE - 0x1000), ask(104, NEXT, FREE - 0x1000), emitWord(Q + 24), ask(104, EXECUTABLE, FREE), ask(104, NEXT | 0x20, FREE))).toEqual([err(ENOENT), 0n, BigInt(FREE), err(ENOENT), err(ENOENT)]);
});
test('a name that there is none of has no length', () => {
  expect(words(put(Q + 80, 64), put(Q + 88, DATA + 0x400), ask(104, 0, FREE), emitWord(Q + 80))).toEqual([0n, 0n]);
});
test('sizes, flags and other commands that mean nothing are refused', () => {
  expect(words(ask(16, 0, FREE), ask(5000, 0, FREE), ask(104, 0x40, FREE), call(ioctl, 3, 0x1234, 0), emit())).toEqual([err(EINVAL), err(E2BIG), err(EINVAL), err(ENOTTY)]);
});
