// What mmap, mprotect and mlock answer before or besides mm: as LTP's mmap06, mmap08, mmap20, mprotect01 and mlock01 ask Linux.
import { describe, expect, test } from 'vitest';
import { call, DATA, li, type Line, reg } from '../../support/guests.ts';
import { emit, exit, runLines, Sys } from '../../support/kernel-rig.ts';

const { a0, s0 } = reg;
const Errno = { EPERM: 1, EBADF: 9, ENOMEM: 12, EACCES: 13, EINVAL: 22, EOPNOTSUPP: 95 } as const;
const AT_FDCWD = -100;
const PAGE = 4096;
const [R, W, RW] = [1, 2, 3];
const [SHARED, PRIVATE, VALIDATE, ANON, FIXED] = [1, 2, 3, 0x20, 0x10];
const FREE = 0x4000_0000;
const name = '/dev/zero';
const keep: Line[] = [['add', { rd: s0, rs1: a0, rs2: 0 }]];
/** Opens `/guest` or /dev/zero by a path put into the data page; the descriptor is 3. */
const open = (path: string, flags: number): Line[] => [
  ...[...`${path}\0`].flatMap((c, i): Line[] => [['addi', { rd: reg.t1, rs1: 0, imm: c.charCodeAt(0) }], ...liData(0x100 + i), ['sb', { rs1: reg.t0, rs2: reg.t1, imm: 0 }]]),
  ...call(Sys.openat, AT_FDCWD, DATA + 0x100, flags, 0o600), ...keep,
];
const liData = (offset: number): Line[] => [['lui', { rd: reg.t0, imm: DATA }], ['addi', { rd: reg.t0, rs1: reg.t0, imm: offset }]];
const words = (...lines: Line[][]): bigint[] => runLines([...lines.flat(), ...exit(0)]).words();
const err = (n: number): bigint => BigInt(-n);

describe('mmap', () => {
  test('a descriptor that is not open comes before a length of none', () => {
    expect(words(call(Sys.mmap, 0, 0, W, SHARED, 9, 0), emit(), call(Sys.mmap, 0, 0, W, SHARED | ANON, -1, 0), emit())).toEqual([err(Errno.EBADF), err(Errno.EINVAL)]);
  });
  test('no type at all comes before what the file was opened for', () => {
    const writeOnly = 0o101;
    expect(words(open('/new', writeOnly), call(Sys.mmap, 0, PAGE, RW, 0, 3, 0), emit(), call(Sys.mmap, 0, PAGE, R, PRIVATE, 3, 0), emit()))
      .toEqual([err(Errno.EINVAL), err(Errno.EACCES)]);
  });
  test('MAP_SHARED_VALIDATE refuses flags that it does not know, MAP_SHARED passes over them', () => {
    const unknown = 1 << 7;
    expect(words(open('/new', 0o102), call(Sys.mmap, FREE, PAGE, RW, VALIDATE | FIXED | unknown, 3, 0), emit(), call(Sys.mmap, FREE, PAGE, RW, SHARED | FIXED | unknown, 3, 0), emit()))
      .toEqual([err(Errno.EOPNOTSUPP), BigInt(FREE)]);
  });
  test('zeros opened read-only and mapped shared never become writable', () => {
    const mprotect = 226;
    expect(words(open(name, 0), call(Sys.mmap, FREE, PAGE, R, SHARED | FIXED, 3, 0), emit(), call(mprotect, FREE, PAGE, RW), emit(), call(mprotect, FREE, PAGE, 0), emit(),
      call(Sys.mmap, FREE, PAGE, W, SHARED | FIXED, 3, 0), emit())).toEqual([BigInt(FREE), err(Errno.EACCES), 0n, err(Errno.EACCES)]);
  });
});

describe('RLIMIT_MEMLOCK', () => {
  const mlock = 228;
  const setuid = 146;
  const lockTenMb = [...call(mlock, FREE, 10 << 20), ...emit()];
  const map = call(Sys.mmap, FREE, 10 << 20, R, PRIVATE | ANON | FIXED, -1, 0);
  const big = { ramBytes: 32 << 20 };
  test('does not bind root', () => {
    expect(runLines([...map, ...lockTenMb, ...exit(0)], big).words()).toEqual([0n]);
  });
  test('binds others, from the moment that they are', () => {
    expect(runLines([...map, ...call(setuid, 1000), ...lockTenMb, ...exit(0)], big).words()).toEqual([err(Errno.ENOMEM)]);
  });
});

describe('remap_file_pages', () => {
  const remap = 234;
  const store = (at: number, value: number): Line[] => [...li(reg.t0, at), ...li(reg.t1, value), ['sd', { rs1: reg.t0, rs2: reg.t1, imm: 0 }]];
  const load = (at: number): Line[] => [...li(reg.t0, at), ['ld', { rd: a0, rs1: reg.t0, imm: 0 }], ...emit()];
  test('shows another page of the same file at a place, and only in shared memory', () => {
    expect(words(call(Sys.mmap, FREE, 4 * PAGE, RW, SHARED | ANON | FIXED, -1, 0), ...[0, 1, 2, 3].map((i) => store(FREE + i * PAGE, i + 1)), call(remap, FREE, PAGE, 0, 3, 0), emit(), call(remap, FREE + PAGE, 2 * PAGE, 0, 0, 0), emit(),
      ...[0, 1, 2, 3].map((i) => load(FREE + i * PAGE)), call(remap, FREE, 2 * PAGE, R, 0, 0), emit(), call(Sys.mmap, FREE, PAGE, RW, PRIVATE | ANON | FIXED, -1, 0), call(remap, FREE, PAGE, 0, 1, 0), emit()))
      .toEqual([0n, 0n, 4n, 1n, 2n, 4n, err(Errno.EINVAL), err(Errno.EINVAL)]);
  });
});
