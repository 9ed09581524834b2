// System V shared memory: what ipc/shm.c answers, as LTP's shmget, shmat, shmctl and shmdt groups ask Linux.
import { describe, expect, test } from 'vitest';
import { call, DATA, type Line, li, reg } from '../../support/guests.ts';
import { emit, emitWord, exit, fork, put, runLines, Sys } from '../../support/kernel-rig.ts';

const { a0, t0, t1 } = reg;
const Errno = { ENOENT: 2, EACCES: 13, EEXIST: 17, EINVAL: 22, ENOSPC: 28 } as const;
const [shmget, shmctl, shmat, shmdt, mprotect, mremap] = [194, 195, 196, 197, 226, 216];
const [CREAT, EXCL] = [0o1000, 0o2000];
const [RDONLY, RND, REMAP] = [0o10000, 0o20000, 0o40000];
const [RMID, STAT, STAT_AT, INFO] = [0, 2, 13, 14];
const PAGE = 4096;
const PLACE = 0x4000_0000;
const KEY = 0x1234;
const [DEST_MODE, NATTCH_AT, MODE_AT, SIZE_AT] = [0o1000, 88, 20, 48];
const err = (n: number): bigint => BigInt(-n);
const ask = (nr: number, ...args: number[]): Line[] => [...call(nr, ...args), ...emit()];
const load = (at: number): Line[] => [...li(t0, at), ['ld', { rd: a0, rs1: t0, imm: 0 }], ...emit()];
const store = (at: number, value: number): Line[] => [...li(t0, at), ...li(t1, value), ['sd', { rs1: t0, rs2: t1, imm: 0 }]];
/** IPC_STAT, then one word of the structure. */
const stat = (id: number, offset: number): Line[] => [...call(shmctl, id, STAT, DATA + 0x100), ...emitWord(0x100 + offset)];
const run = (...lines: Line[][]): ReturnType<typeof runLines> => runLines([...lines.flat(), ...exit(0)]);

describe('shmget', () => {
  test('finds by key, makes when asked to, and says why not', () => {
    const rig = run(ask(shmget, KEY, PAGE, 0), ask(shmget, KEY, PAGE + 1, CREAT | 0o600), ask(shmget, KEY, 0, 0), ask(shmget, KEY, PAGE + 2, 0), ask(shmget, KEY, PAGE, CREAT | EXCL),
      ask(shmget, KEY + 1, 0, CREAT), stat(0, SIZE_AT));
    expect(rig.words()).toEqual([err(Errno.ENOENT), 0n, 0n, err(Errno.EINVAL), err(Errno.EEXIST), err(Errno.EINVAL), BigInt(PAGE + 1)]);
  });
  test('a place that is used again gives another number', () => {
    const rig = run(ask(shmget, 0, PAGE, 0o600), ask(shmget, 0, PAGE, 0o600), ask(shmctl, 1, RMID, 0), ask(shmget, 0, PAGE, 0o600), ask(shmctl, 1, STAT, DATA + 0x100), ask(shmctl, 1, STAT_AT, DATA + 0x100));
    expect(rig.words()).toEqual([0n, 1n, 0n, 32769n, err(Errno.EINVAL), 32769n]);
  });
  test('a segment is promised while nobody has it attached, and until it is gone', () => {
    const promised = (...lines: Line[][]): number => {
      const { kernel: { system } } = run(...lines);
      system.check();
      return system.committedPages;
    };
    const nothing = promised();
    expect(promised(ask(shmget, 0, 3 * PAGE, 0o600)) - nothing).toBe(3);
    expect(promised(ask(shmget, 0, 3 * PAGE, 0o600), ask(shmctl, 0, RMID, 0)) - nothing).toBe(0);
  });
  test('there are no more than kernel.shmmni', () => {
    const rig = runLines([...ask(shmget, 0, PAGE, 0o600), ...ask(shmget, 0, PAGE, 0o600), ...ask(shmget, 0, PAGE, 0o600), ...exit(0)], { params: (p) => { p.vm.shmmni = 2; } });
    expect(rig.words()).toEqual([0n, 1n, err(Errno.ENOSPC)]);
  });
});

describe('shmat and shmdt', () => {
  test('two processes see the same bytes, and both are counted', () => {
    const rig = run(call(shmget, KEY, PAGE, CREAT | 0o600), call(shmat, 0, PLACE, 0), emit(), fork('c', [...store(PLACE, 7), ...stat(0, NATTCH_AT), ...exit(0)]),
      call(Sys.wait4, -1, DATA, 0, 0), load(PLACE), stat(0, NATTCH_AT), ask(shmdt, PLACE), stat(0, NATTCH_AT));
    expect(rig.words()).toEqual([BigInt(PLACE), 2n, 7n, 1n, 0n, 0n]);
  });
  test('the place must be free and aligned, unless it is to be replaced or rounded', () => {
    const rig = run(call(shmget, KEY, 2 * PAGE, CREAT | 0o600), ask(shmat, 0, PLACE, 0), ask(shmat, 0, PLACE + PAGE, 0), ask(shmat, 0, PLACE + PAGE, REMAP), ask(shmat, 0, PLACE + 4 * PAGE + 5, 0),
      ask(shmat, 0, PLACE + 4 * PAGE + 5, RND), ask(shmat, 0, 0, REMAP), ask(shmat, 5, PLACE, 0), stat(0, NATTCH_AT));
    expect(rig.words()).toEqual([BigInt(PLACE), err(Errno.EINVAL), BigInt(PLACE + PAGE), err(Errno.EINVAL), BigInt(PLACE + 4 * PAGE), err(Errno.EINVAL), err(Errno.EINVAL), 3n]);
  });
  test('attached read-only it never becomes writable', () => {
    const rig = run(call(shmget, KEY, PAGE, CREAT | 0o600), call(shmat, 0, PLACE, RDONLY), load(PLACE), ask(mprotect, PLACE, PAGE, 3));
    expect(rig.words()).toEqual([0n, err(Errno.EACCES)]);
  });
  test('detaching takes what is left of one attachment, however it was cut, and nothing else', () => {
    const rig = run(call(shmget, KEY, 4 * PAGE, CREAT | 0o600), call(shmat, 0, PLACE, 0), call(Sys.munmap, PLACE + PAGE, PAGE), call(shmat, 0, PLACE + 4 * PAGE, 0), stat(0, NATTCH_AT), ask(shmdt, PLACE + 1),
      ask(shmdt, PLACE + 2 * PAGE), ask(shmdt, PLACE), stat(0, NATTCH_AT), ask(shmdt, PLACE), store(PLACE + 4 * PAGE, 3), load(PLACE + 4 * PAGE));
    expect(rig.words()).toEqual([3n, err(Errno.EINVAL), err(Errno.EINVAL), 0n, 1n, err(Errno.EINVAL), 3n]);
  });
  test('mremap of length none attaches once more', () => {
    const rig = run(call(shmget, KEY, PAGE, CREAT | 0o600), call(shmat, 0, PLACE, 0), store(PLACE, 9), ask(mremap, PLACE, 0, PAGE, 3, PLACE + 8 * PAGE), load(PLACE + 8 * PAGE), stat(0, NATTCH_AT));
    expect(rig.words()).toEqual([BigInt(PLACE + 8 * PAGE), 9n, 2n]);
  });
});

describe('shmctl', () => {
  test('what is removed keeps its number until the last one detaches, and then gives back its memory', () => {
    const before = run([]).kernel.system.pages.freePagesAndStock;
    const rig = run(call(shmget, KEY, 3 * PAGE, CREAT | 0o640), call(shmat, 0, PLACE, 0), store(PLACE, 1), store(PLACE + PAGE, 1), call(shmctl, 0, INFO, DATA + 0x100), emit(), emitWord(0x108), emitWord(0x110),
      ask(shmctl, 0, RMID, 0), ask(shmget, KEY, PAGE, 0), call(shmctl, 0, STAT, DATA + 0x100), emitWord(0x100 + MODE_AT - 4), ask(shmdt, PLACE), ask(shmctl, 0, STAT, DATA + 0x100));
    const words = rig.words();
    expect(words.map((word, i) => (i === 5 ? Number(word >> 32n) : word))).toEqual([0n, 3n, 2n, 0n, err(Errno.ENOENT), DEST_MODE | 0o640, 0n, err(Errno.EINVAL)]);
    expect(rig.kernel.system.pages.freePagesAndStock).toBe(before);
  });
  test('the end of a process detaches', () => {
    const rig = run(call(shmget, KEY, PAGE, CREAT | 0o600), fork('c', [...call(shmat, 0, PLACE, 0), ...stat(0, NATTCH_AT), ...exit(0)]), call(Sys.wait4, -1, DATA, 0, 0), stat(0, NATTCH_AT), stat(0, 84 - 4));
    const [during, after, pids] = rig.words();
    expect([during, after, Number(pids! & 0xffff_ffffn), Number(pids! >> 32n)]).toEqual([1n, 0n, 2, 3]);
  });
  test('strangers may not', () => {
    const setuid = 146;
    const rig = run(call(shmget, KEY, PAGE, CREAT | 0o644), call(setuid, 1000), ask(shmat, 0, PLACE, 0), ask(shmat, 0, PLACE, RDONLY), ask(shmget, KEY, PAGE, 0o666), ask(shmctl, 0, RMID, 0), [...put(0x40, 0)]);
    expect(rig.words()).toEqual([err(Errno.EACCES), BigInt(PLACE), err(Errno.EACCES), -1n]);
  });
});
