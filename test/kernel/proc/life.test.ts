// Processes from fork to wait: what parents learn, who inherits whom, and when no more are made.
import { describe, expect, test } from 'vitest';
import { call, DATA, go, guest, label, li, type Line, reg } from '../../support/guests.ts';
import { bootKernel, emit, emitWord, exit, fork, put, raiseSelf, runLines, startGuest, Sys } from '../../support/kernel-rig.ts';

const { a0, s0, s1, t0, zero } = reg;
const Errno = { ECHILD: 10, EAGAIN: 11, EPERM: 1, ESRCH: 3, EINVAL: 22 } as const;
/** wait4(-1, DATA, options, 0), then its result and the status word. */
const waitAny = (options = 0): Line[] => [...call(Sys.wait4, -1, DATA, options, 0), ...emit(a0), ...emitWord(0)];

describe('wait4', () => {
  test('a child that exits gives its code in bits 8 to 15', () => {
    const rig = runLines([...fork('c', exit(42)), ...waitAny(), ...exit(0)]);
    expect(rig.words()).toEqual([3n, 0x2a00n]);
  });
  test('a child that a signal kills gives its number', () => {
    const rig = runLines([...fork('c', [...raiseSelf(15), ...exit(1)]), ...waitAny(), ...exit(0)]);
    expect(rig.words()).toEqual([3n, 15n]);
  });
  test('without children it is ECHILD, also after the last one was waited for', () => {
    const rig = runLines([...call(Sys.wait4, -1, 0, 0, 0), ...emit(), ...fork('c', exit(0)), ...waitAny(), ...call(Sys.wait4, -1, 0, 0, 0), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([BigInt(-Errno.ECHILD), 3n, 0n, BigInt(-Errno.ECHILD)]);
  });
  test('WNOHANG answers 0 while the child runs', () => {
    const rig = runLines([...fork('c', [...put(0, 0), ...put(8, 1000), ...call(Sys.nanosleep, DATA, 0), ...exit(0)]), ...waitAny(1), ...waitAny(), ...exit(0)]);
    expect(rig.words()).toEqual([0n, 0n, 3n, 0n]);
  });
  test('a stopped child is news under WUNTRACED once, a continued one under WCONTINUED once', () => {
    const rig = runLines([
      ...fork('c', [...raiseSelf(19), ...exit(7)]), ['add', { rd: s0, rs1: a0, rs2: zero }],
      ...waitAny(2), ...call(Sys.wait4, -1, DATA, 3, 0), ...emit(),
      ['add', { rd: a0, rs1: s0, rs2: zero }], ...li(reg.a1, 18), ['addi', { rd: reg.a7, rs1: 0, imm: Sys.kill }], ['ecall'],
      ...waitAny(8), ...waitAny(), ...exit(0),
    ]);
    expect(rig.words()).toEqual([3n, 0x137fn, 0n, 3n, 0xffffn, 3n, 0x700n]);
  });
  test('unknown options are EINVAL', () => {
    expect(runLines([...call(Sys.wait4, -1, 0, 0x100, 0), ...emit(), ...exit(0)]).words()).toEqual([BigInt(-Errno.EINVAL)]);
  });
});

describe('the family', () => {
  test('a child knows its parent; an orphan belongs to init, which is process 1', () => {
    const grandchild: Line[] = [...put(0, 0), ...put(8, 1_000_000), ...call(Sys.nanosleep, DATA, 0), ['addi', { rd: reg.a7, rs1: 0, imm: Sys.getppid }], ['ecall'], ...emit(), ...exit(0)];
    const child: Line[] = [...call(Sys.getppid), ...emit(), ...fork('g', grandchild), ...exit(0)];
    const rig = runLines([...fork('c', child), ...waitAny(), ...put(8, 9_000_000), ...put(0, 0), ...call(Sys.nanosleep, DATA, 0), ...exit(0)]);
    expect(rig.words()).toEqual([2n, 3n, 0n, 1n]);
    expect([...rig.kernel.processes.keys()]).toEqual([]); // init waited for the grandchild, nobody is left but the ended machine
  });
  test('when the first program ends the machine ends, and the log names who was left', () => {
    const rig = runLines([...fork('c', [label('spin'), go('jal', 'spin', { rd: 0 })]), ...exit(5)]);
    expect(rig.kernel.exitStatus).toEqual({ status: 5, signal: 0 });
    expect(rig.kernel.log).toEqual(['1 process was still running when guest, the first program, ended; the machine ends with it']);
  });
  test('a group and a session of one\'s own; a leader stays in its session', () => {
    const child: Line[] = [...call(Sys.setsid), ...emit(), ...call(Sys.setpgid, 0, 0), ...emit(), ...exit(0)];
    const rig = runLines([...fork('c', child), ...waitAny(), ...call(Sys.setsid), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([3n, BigInt(-Errno.EPERM), 3n, 0n, BigInt(-Errno.EPERM)]);
  });
});

describe('the number of tasks', () => {
  const bomb: Line[] = [
    ['addi', { rd: s1, rs1: 0, imm: 0 }], label('again'), ...call(Sys.clone, 17, 0, 0, 0, 0), go('beq', 'child', { rs1: a0, rs2: 0 }), go('blt', 'enough', { rs1: a0, rs2: 0 }),
    ['addi', { rd: s1, rs1: s1, imm: 1 }], go('jal', 'again', { rd: 0 }),
    label('child'), ...li(t0, 0), label('sleep'), ...call(Sys.ppoll, 0, 0, 0, 0, 8), go('jal', 'sleep', { rd: 0 }),
    label('enough'), ...emit(), ...emit(s1), ...exit(0),
  ];
  test('is bounded: a fork bomb gets EAGAIN and the machine goes on', () => {
    const rig = startGuest(bomb, { params: (params) => { params.vm.threads_max = 20; } });
    expect(rig.run()).toBe('exited');
    expect(rig.words()).toEqual([BigInt(-Errno.EAGAIN), 19n]);
    rig.kernel.system.check();
  });
  test('a number is not given out again while it names a task', () => {
    const rig = startGuest(bomb, { params: (params) => { params.vm.threads_max = 12; params.vm.pid_max = 301; } });
    expect(rig.run()).toBe('exited');
    expect(new Set(rig.kernel.tasks.keys()).size).toBe(rig.kernel.tasks.size);
  });
});

test('a number that is no signal may be the exit signal, and is not sent: only __WALL or __WCLONE finds the child', () => {
  const rig = runLines([
    ...call(Sys.clone, 200, 0, 0, 0, 0), go('bne', 'parent', { rs1: a0, rs2: 0 }), ...exit(0),
    label('parent'), ...call(Sys.wait4, -1, 0, 0, 0), ...emit(), ...call(Sys.wait4, -1, 0, 0x4000_0000, 0), ...emit(), ...exit(0),
  ]);
  expect(rig.words()).toEqual([-10n, 3n]);
});

describe('vfork', () => {
  test('the parent sleeps until the child has exited, and sees what it wrote', () => {
    const rig = runLines([
      ...call(Sys.clone, 0x4111, 0, 0, 0, 0), go('bne', 'parent', { rs1: a0, rs2: 0 }), ...put(0, 77), ...exit(0),
      label('parent'), ...emit(), ...emitWord(0), ...exit(0),
    ]);
    expect(rig.words()).toEqual([3n, 77n]);
  });
});

describe('memory', () => {
  test('a child writes to its own copy', () => {
    const rig = runLines([...put(0, 1), ...fork('c', [...put(0, 2), ...emitWord(0), ...exit(0)]), ...call(Sys.wait4, -1, 0, 0, 0), ...emitWord(0), ...exit(0)]);
    expect(rig.words()).toEqual([2n, 1n]);
  });
  test('every frame is given back when the programs have ended', () => {
    const lines = [...fork('c', [...put(0, 2), ...exit(0)]), ...call(Sys.wait4, -1, 0, 0, 0), ...call(Sys.mmap, 0, 1 << 20, 3, 0x8022, -1, 0), ...exit(0)];
    const rig = bootKernel({ files: { '/guest': guest(lines) } });
    const before = rig.kernel.system.freeBytes;
    rig.kernel.start(['guest'], [], '/guest');
    rig.run();
    rig.kernel.system.check();
    expect(rig.kernel.system.freeBytes).toBe(before);
    expect([rig.kernel.processes.size, rig.kernel.tasks.size, rig.kernel.futexes.nrWaiting]).toEqual([0, 0, 0]);
  });
});
