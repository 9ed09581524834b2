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
