// execve: what a program finds on its stack and in its registers, what survives, and what the user is told when there is nothing to run.
import { UserError, utf8Encode } from '#base';
import { describe, expect, test } from 'vitest';
import { call, CODE, DATA, go, guest, type Line, li, reg } from '../../support/guests.ts';
import { staticElf } from '../../support/elf.ts';
import { bootKernel, emit, exit, handle, type Rig, type RigOptions, runLines, startGuest, Sys } from '../../support/kernel-rig.ts';

const { a0, s0, t0 } = reg;

/** The first stack, read back: argv, env and the auxiliary vector, with pointers followed. */
function initialStack({ kernel }: Rig): { argv: string[]; env: string[]; auxv: Map<number, number>; sp: number; user: (va: number) => string } {
  const task = kernel.tasks.get(2)!;
  const word = (va: number): number => task.user.word(va)!;
  const user = (va: number): string => task.user.cstring(va, 4096)!;
  const at = Number(task.context[2]!);
  let p = at + 8;
  const list = (): string[] => {
    const strings: string[] = [];
    for (; word(p) !== 0; p += 8) strings.push(user(word(p)));
    p += 8;
    return strings;
  };
  const argv = list();
  const env = list();
  const auxv = new Map<number, number>();
  for (; word(p) !== 0; p += 16) auxv.set(word(p), word(p + 8));
  expect(word(at)).toBe(argv.length);
  return { argv, env, auxv, sp: at, user };
}

describe('a new program', () => {
  test('finds arguments, environment and auxiliary vector at a 16-aligned sp, and zeros in every other register', () => {
    const rig = startGuest(exit(0), { argv: ['guest', 'two words', '', 'ü'], env: ['A=1', 'PATH=/bin'] });
    const { argv, env, auxv, sp: at, user } = initialStack(rig);
    expect([argv, env]).toEqual([['guest', 'two words', '', 'ü'], ['A=1', 'PATH=/bin']]);
    expect(at % 16).toBe(0);
    expect([auxv.get(6), auxv.get(9), auxv.get(16), auxv.get(17), auxv.get(4), auxv.get(5), auxv.get(7), auxv.get(23)]).toEqual([4096, CODE, 0x112d, 100, 56, 2, 0, 0]);
    expect(user(auxv.get(31)!)).toBe('/guest');
    const { context } = rig.kernel.tasks.get(2)!;
    expect(Number(context[0])).toBe(CODE);
    expect([...context].filter((word, i) => i !== 0 && i !== 2 && word !== 0n)).toEqual([]);
  });
  test('gets the same sixteen random bytes for the same seed, and others for another', () => {
    const random = (seed: number): string => {
      const rig = startGuest(exit(0), { host: { seed } });
      const bytes = new Uint8Array(16);
      rig.kernel.tasks.get(2)!.user.read(initialStack(rig).auxv.get(25)!, bytes);
      return Buffer.from(bytes).toString('hex');
    };
    expect(random(7)).toBe(random(7));
    expect(random(7)).not.toBe(random(8));
  });
  test('is laid out as file mappings, heap, mmap area with vDSO, and stack', () => {
    const rig = startGuest(exit(0));
    const { mm } = rig.kernel.tasks.get(2)!;
    const picture = mm.vmas.map((v) => `${v.start.toString(16)} ${(v.flags & 1) !== 0 ? 'r' : '-'}${(v.flags & 2) !== 0 ? 'w' : '-'}${(v.flags & 4) !== 0 ? 'x' : '-'} ${v.file?.path ?? ''}`);
    expect(picture.slice(0, 2)).toEqual(['10000 r-x /guest', '20000 rw- /guest']);
    expect(picture[2]).toMatch(/^3f[0-9a-f]{8} r-x \[vdso\]$/);
    expect(picture[3]).toBe('3ffffdf000 rw- '); // 132 kB, as a small program's stack has on Linux
    expect(mm.vmas.at(-1)!.end).toBe(2 ** 38);
    expect([mm.startBrk, mm.brkEnd]).toEqual([0x2_1000, 0x2_1000]);
  });
  test('has zeros in its bss, also where the file goes on in the same page', () => {
    const data = new Uint8Array(4096).fill(0xee);
    const elf = staticElf(CODE, [{ address: CODE, bytes: new Uint8Array(64), flags: 5 }, { address: DATA, bytes: data, flags: 6 }]);
    const view = new DataView(elf.buffer);
    view.setBigUint64(64 + 56 + 32, 100n, true); // p_filesz of the second segment
    view.setBigUint64(64 + 56 + 40, 9000n, true); // p_memsz
    const rig = bootKernel({ files: { '/p': elf } });
    rig.kernel.start(['p'], [], '/p');
    const bytes = new Uint8Array(9000);
    expect(rig.kernel.tasks.get(2)!.user.read(DATA, bytes)).toBe(true);
    expect([bytes[99], bytes[100], bytes[4095], bytes[4096], bytes[8999]]).toEqual([0xee, 0, 0, 0, 0]);
  });
});

describe('execve', () => {
  const other = guest([...call(Sys.getpid), ...emit(), ...call(Sys.write, 7, DATA, 1), ...emit(), ...call(Sys.sigaction, 10, 0, DATA, 8), ['addi', { rd: t0, rs1: 0, imm: 0 }], ...li(t0, DATA), ['ld', { rd: s0, rs1: t0, imm: 0 }], ...emit(s0), ...exit(9)]);
  const path = (text: string, offset = 0x600): Line[] => [...utf8Encode(`${text}\0`)].flatMap((byte, i) => [...li(t0, DATA + offset + i), ...li(reg.t1, byte), ['sb', { rs1: t0, rs2: reg.t1, imm: 0 }] as Line]);
  const execve = (text: string): Line[] => [...path(text), ...call(Sys.execve, DATA + 0x600, 0, 0)];
  const options: RigOptions = { files: { '/other': other } };

  test('keeps the pid, closes O_CLOEXEC, forgets handlers', () => {
    const rig = runLines([...handle(10, 'handler'), ...call(24, 1, 7, 0x80000), ...path('/other'), ...call(Sys.execve, DATA + 0x600, 0, 0), { label: 'handler' }, ...exit(1)], options);
    expect(rig.words()).toEqual([2n, -9n, 0n]);
    expect(rig.kernel.exitStatus).toEqual({ status: 9, signal: 0 });
  });
  test('that fails leaves the program as it was', () => {
    const rig = runLines([...execve('/none'), ...emit(), ...execve('/tmp'), ...emit(), ...execve('/text'), ...emit(), ...call(Sys.execve, 0, 0, 0), ...emit(), ...call(Sys.execve, DATA + 0x600, 8, 0), ...emit(), ...exit(3)],
      { files: { '/text': utf8Encode('hello\n') } });
    expect(rig.words()).toEqual([-2n, -13n, -8n, -14n, -14n]);
    expect(rig.kernel.exitStatus).toEqual({ status: 3, signal: 0 });
  });
  test('wakes the parent of a vfork', () => {
    const rig = runLines([...call(Sys.clone, 0x4111, 0, 0, 0, 0), go('bne', 'parent', { rs1: a0, rs2: 0 }), ...execve('/other'), ...exit(1), { label: 'parent' }, ...emit(), ...call(Sys.wait4, -1, 0, 0, 0), ...exit(0)], options);
    expect(rig.words()[0] === 3n || rig.words()[1] === 3n).toBe(true);
  });
  test('by a thread ends the others and makes it the leader', () => {
    const STACK = 0x3000_0000;
    const rig = runLines([
      ...call(Sys.mmap, STACK, 4096, 3, 0x32, -1, 0), ...call(Sys.clone, 0x10f00, STACK + 4096, 0, 0, 0), go('beq', 'thread', { rs1: a0, rs2: 0 }), { label: 'spin' }, go('jal', 'spin', { rd: 0 }),
      { label: 'thread' }, ...execve('/other'), ...exit(1),
    ], options);
    expect(rig.words()).toEqual([2n, -9n, 0n]);
  });
  test('of a script runs its interpreter with the script as argument', () => {
    const rig = bootKernel({ files: { '/interp': guest(exit(0)), '/script': utf8Encode('#!/interp -x y\n') } });
    rig.kernel.start(['script', 'arg'], [], '/script');
    const { argv, auxv, user } = initialStack(rig);
    expect(argv).toEqual(['/interp', '-x y', '/script', 'arg']);
    expect(user(auxv.get(31)!)).toBe('/script');
    expect(rig.kernel.tasks.get(2)!.comm).toBe('script');
  });
});

describe('the first program', () => {
  const start = (path: string, files: Record<string, Uint8Array>): UserError => {
    const rig = bootKernel({ files });
    try {
      rig.kernel.start([path], [], path);
    } catch (error) {
      if (error instanceof UserError) return error;
      throw error;
    }
    throw new Error('it runs');
  };
  const loop = { '/a': utf8Encode('#!/a\n') };
  test.each<[string, string, Record<string, Uint8Array>, number, RegExp]>([
    ['that is not there', '/none', {}, 127, /^\/none: no such program.*--file/],
    ['that is a directory', '/tmp', {}, 126, /^\/tmp: not an executable file/],
    ['that is text', '/t', { '/t': utf8Encode('hi') }, 126, /^\/t: not a program/],
    ['that is a script for nobody', '/s', { '/s': utf8Encode('#!/bin/python\n') }, 126, /script for \/bin\/python, which is not in the guest's root/],
    ['that is a script of itself', '/a', loop, 126, /interpreter is a script, too many times/],
    ['that needs more memory than there is', '/big', { '/big': (() => { const f = guest(exit(0)); new DataView(f.buffer).setBigUint64(64 + 56 + 40, 1n << 37n, true); return f; })() }, 126, /does not fit into memory/],
  ])('%s is one sentence with its status', (_, path, files, status, sentence) => {
    const error = start(path, files);
    expect([error.status, error.message]).toEqual([status, expect.stringMatching(sentence)]);
    expect(error.message).not.toMatch(/\n/);
  });
  test('too many arguments are refused with numbers', () => {
    const rig = bootKernel({ files: { '/guest': guest(exit(0)) } });
    expect(() => rig.kernel.start(Array.from({ length: 40 }, () => 'x'.repeat(100_000)), [], '/guest')).toThrow(/arguments and environment take 40\d* bytes; 2097152 are allowed/);
  });
});
