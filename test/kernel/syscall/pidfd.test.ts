// Descriptors that stand for processes: kselftest's harness waits for every test through one.
import { describe, expect, test } from 'vitest';
import { call, DATA, go, label, li, type Line, reg } from '../../support/guests.ts';
import { emit, emitWord, exit, fork, put, runLines, Sys } from '../../support/kernel-rig.ts';

const { a0, a1, a7, s0, t0, t1 } = reg;
const Errno = { ESRCH: 3, EBADF: 9, EINVAL: 22, EAGAIN: 11 } as const;
const [pidfdOpen, pidfdSendSignal] = [434, 424];
const P_PIDFD = 3;
const [WEXITED, WNOHANG] = [4, 1];
const err = (n: number): bigint => BigInt(-n);
/** pidfd_open(a0, flags). */
const openChild = (flags = 0): Line[] => [...li(a1, flags), ['addi', { rd: a7, rs1: 0, imm: pidfdOpen }], ['ecall']];
const spin: Line[] = [label('spin'), go('jal', 'spin', { rd: 0 })];
/** struct pollfd {fd 3, POLLIN} at DATA + 0x40, then ppoll with a timeout at `timeoutAt`, and the events that hold. */
const poll = (timeoutAt: number): Line[] => [...put(0x40, 3), ...li(t0, DATA + 0x44), ...li(t1, 1), ['sh', { rs1: t0, rs2: t1, imm: 0 }], ...call(Sys.ppoll, DATA + 0x40, 1, timeoutAt, 0, 8), ...emit(a0),
  ...li(t0, DATA + 0x46), ['lhu', { rd: a0, rs1: t0, imm: 0 }], ...emit(a0)];

describe('pidfd', () => {
  test('is readable once the process has ended, and hung up once it was waited for', () => {
    const rig = runLines([...fork('c', exit(9)), ...openChild(), ...emit(), ...poll(0), ...call(Sys.wait4, -1, DATA, 0, 0), ...emit(), ...poll(0), ...exit(0)]);
    expect(rig.words()).toEqual([3n, 1n, 1n, 3n, 1n, 0x11n]);
  });
  test('does not become readable while the process runs', () => {
    const rig = runLines([...fork('c', spin), ...openChild(), ...put(0x80, 0), ...put(0x88, 1000), ...poll(DATA + 0x80), ...exit(0)]);
    expect(rig.words()).toEqual([0n, 0n]);
  });
  test('waitid takes it, and a signal goes through it', () => {
    const rig = runLines([
      ...fork('c', spin), ...openChild(), ['add', { rd: s0, rs1: a0, rs2: 0 }], ...call(pidfdSendSignal, 3, 9, 0, 0), ...emit(),
      ...call(Sys.waitid, P_PIDFD, 3, DATA, WEXITED, 0), ...emit(), ...emitWord(0x10), ...emitWord(0x18), ...call(pidfdSendSignal, 3, 9, 0, 0), ...emit(), ...exit(0),
    ]);
    const [sent, waited, pidAndUid, status, again] = rig.words();
    expect([sent, waited, pidAndUid! & 0xffff_ffffn, status! & 0xffff_ffffn, again]).toEqual([0n, 0n, 3n, 9n, err(Errno.ESRCH)]);
  });
  test('one that does not block says EAGAIN instead of waiting', () => {
    const rig = runLines([...fork('c', spin), ...openChild(0o4000), ...call(Sys.waitid, P_PIDFD, 3, DATA, WEXITED, 0), ...emit(), ...call(Sys.waitid, P_PIDFD, 3, DATA, WEXITED | WNOHANG, 0), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([err(Errno.EAGAIN), 0n]);
  });
  test('needs a process, known flags, and a descriptor of its kind', () => {
    const rig = runLines([...call(pidfdOpen, 77, 0), ...emit(), ...call(pidfdOpen, 0, 0), ...emit(), ...call(pidfdOpen, 2, 1), ...emit(),
      ...call(pidfdSendSignal, 1, 0, 0, 0), ...emit(), ...call(Sys.waitid, P_PIDFD, 1, DATA, WEXITED, 0), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([err(Errno.ESRCH), err(Errno.EINVAL), err(Errno.EINVAL), err(Errno.EBADF), err(Errno.EBADF)]);
  });
});

describe('CLONE_PIDFD', () => {
  const [CLONE_PIDFD, PARENT_SETTID, THREAD] = [0x1000, 0x10_0000, 0x1_0900];
  /** struct clone_args at DATA + 0x200: flags, pidfd, child_tid, parent_tid, exit_signal. */
  const clone3 = (flags: number, pidfd: number, parentTid = 0): Line[] => [
    ...put(0x200, flags), ...put(0x208, pidfd), ...put(0x218, parentTid), ...put(0x220, flags === (CLONE_PIDFD | THREAD) ? 0 : 17), ...call(Sys.clone3, DATA + 0x200, 64)];
  const child = (lines: readonly Line[]): Line[] => [go('bne', 'parent', { rs1: a0, rs2: 0 }), ...lines, label('parent')];

  test('gives the parent a descriptor, of which the child neither has the number nor the file', () => {
    const rig = runLines([...put(0x300, 77), ...clone3(CLONE_PIDFD, DATA + 0x300), ...child([...emitWord(0x300), ...call(pidfdSendSignal, 3, 0, 0, 0), ...emit(), ...exit(5)]), ...emit(),
      ...call(Sys.waitid, P_PIDFD, 3, DATA, WEXITED, 0), ...emit(), ...emitWord(0x18), ...emitWord(0x300), ...call(25, 3, 1), ...emit(), ...exit(0)]);
    const [pid, numberOfChild, fileOfChild, waited, status, number, cloexec] = rig.words();
    expect([pid, numberOfChild, fileOfChild, waited, status! & 0xffff_ffffn, number! & 0xffff_ffffn, cloexec]).toEqual([3n, 77n, err(Errno.EBADF), 0n, 5n, 3n, 1n]);
  });
  test('clone puts it where the number would go, and gives one of the two', () => {
    const rig = runLines([...call(Sys.clone, CLONE_PIDFD | 17, 0, DATA + 0x300, 0, 0), ...child(exit(0)), ...emit(), ...emitWord(0x300), ...call(Sys.clone, CLONE_PIDFD | PARENT_SETTID | 17, 0, DATA + 0x300, 0, 0), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([3n, 3n, err(Errno.EINVAL)]);
  });
  test('nothing is left of a clone whose descriptor could not be had', () => {
    const rig = runLines([...clone3(CLONE_PIDFD, 0x7000_0000), ...emit(), ...clone3(CLONE_PIDFD | PARENT_SETTID, DATA, DATA), ...emit(), ...clone3(CLONE_PIDFD | THREAD, DATA + 0x300), ...emit(),
      ...call(Sys.wait4, -1, DATA, 0, 0), ...emit(), ...call(Sys.dup, 0), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([err(14), err(Errno.EINVAL), err(Errno.EINVAL), err(10), 3n]);
    expect([rig.kernel.processes.size, rig.kernel.system.mms.length]).toEqual([0, 0]);
  });
});

describe('pidfd_send_signal', () => {
  const [PROCESS_GROUP, SI_QUEUE, SI_USER, USR1] = [4, -1, 0, 10];
  /** struct siginfo at DATA + 0x200: signo, errno, code. */
  const info = (signo: number, code: number): Line[] => [...put(0x200, signo), ...(code < 0 ? [['addi', { rd: t1, rs1: 0, imm: code }] as const] : li(t1, code)), ...li(t0, DATA + 0x208), ['sw', { rs1: t0, rs2: t1, imm: 0 }]];
  test('carries a siginfo, which may not claim to come from the kernel', () => {
    const send = call(pidfdSendSignal, 3, USR1, DATA + 0x200, 0);
    const rig = runLines([...fork('c', spin), ...openChild(), ...info(USR1, SI_USER), ...send, ...emit(), ...info(USR1 + 1, SI_QUEUE), ...send, ...emit(), ...info(USR1, SI_QUEUE), ...send, ...emit(),
      ...call(Sys.wait4, -1, DATA, 0, 0), ...emit(), ...emitWord(0), ...exit(0)]);
    const words = rig.words();
    expect([...words.slice(0, 4), words[4]! & 0x7fn]).toEqual([err(1), err(Errno.EINVAL), 0n, 3n, BigInt(USR1)]);
  });
  test('reaches a group, and goes through a directory of /proc', () => {
    const path = [...'/proc/3\0'].flatMap((c, i): Line[] => [...li(t0, DATA + 0x300 + i), ...li(t1, c.charCodeAt(0)), ['sb', { rs1: t0, rs2: t1, imm: 0 }]]);
    const rig = runLines([...fork('c', spin), ...call(Sys.setpgid, 3, 3), ...path, ...call(Sys.openat, -100, DATA + 0x300, 0o200000, 0), ...emit(), ...call(pidfdSendSignal, 3, 9, 0, 8), ...emit(),
      ...call(pidfdSendSignal, 3, 9, 0, PROCESS_GROUP), ...emit(), ...call(Sys.wait4, -1, DATA, 0, 0), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([3n, err(Errno.EINVAL), 0n, 3n]);
  });
});
