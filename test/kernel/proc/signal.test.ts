// Signals as a program meets them: the frame, masks and their order, faults that are caught or deadly, sleeps that are cut short.
import { describe, expect, test } from 'vitest';
import { call, DATA, go, label, li, type Line, reg } from '../../support/guests.ts';
import { emit, emitWord, exit, fork, handle, la, put, raiseSelf, runLines, startGuest, Sys } from '../../support/kernel-rig.ts';

const { a0, a1, a2, a7, s0, s1, sp, t0, t1, t2, ra } = reg;
const Errno = { EPERM: 1, ESRCH: 3, EINTR: 4, EAGAIN: 11, ENOMEM: 12, EINVAL: 22 } as const;
const Sig = { ILL: 4, TRAP: 5, BUS: 7, USR1: 10, SEGV: 11, USR2: 12, ALRM: 14, TERM: 15, CHLD: 17, RT1: 33 } as const;
const SA_SIGINFO = 4;
const SA_RESTART = 0x1000_0000;
const SA_RESETHAND = -0x8000_0000 | 0;
/** Loads a word relative to a register and tells it. Changes s1. */
const emitAt = (base: number, offset: number): Line[] => [['ld', { rd: s1, rs1: base, imm: offset }], ...emit(s1)];
const mv = (rd: number, rs1: number): Line => ['addi', { rd, rs1, imm: 0 }];
const ret: Line = ['jalr', { rd: 0, rs1: ra, imm: 0 }];
/** Keeps ra and a1, a2 in s-registers of a handler that calls. */
const enter: Line[] = [mv(18, ra), mv(19, a1), mv(20, a2), mv(21, a0)];
const leave: Line[] = [mv(ra, 18), ret];

describe('the frame', () => {
  test('is 1088 bytes at a 16-aligned sp: siginfo, ucontext 128 above, registers 176 into that; ra is li a7,139; ecall', () => {
    const rig = runLines([
      ...handle(Sig.USR1, 'handler', SA_SIGINFO), mv(s0, sp), ['addi', { rd: 22, rs1: 0, imm: 1234 }], ...raiseSelf(Sig.USR1), ...emit(), ...exit(0),
      label('handler'), ...enter,
      ...emit(21), // a0
      ['sub', { rd: s1, rs1: s0, rs2: sp }], ...emit(s1), // how far below the old sp
      ['sub', { rd: s1, rs1: 19, rs2: sp }], ...emit(s1), ['sub', { rd: s1, rs1: 20, rs2: sp }], ...emit(s1),
      ['lwu', { rd: s1, rs1: 18, imm: 0 }], ...emit(s1), ['lwu', { rd: s1, rs1: 18, imm: 4 }], ...emit(s1),
      ...emitAt(sp, 128 + 176 + 8 * 22), // x22 as it was
      ['ld', { rd: s1, rs1: sp, imm: 128 + 176 + 16 }], ['sub', { rd: s1, rs1: s1, rs2: s0 }], ...emit(s1), // saved sp
      ...leave,
    ]);
    expect(rig.words()).toEqual([10n, 1088n, 0n, 128n, 0x08b00893n, 0x73n, 1234n, 0n, 0n]);
  });
  test('a handler may change the registers it returns to', () => {
    const rig = runLines([
      ...handle(Sig.USR1, 'handler', SA_SIGINFO), ['addi', { rd: 22, rs1: 0, imm: 1 }], ...raiseSelf(Sig.USR1), ...emit(22), ...exit(0),
      label('handler'), ['addi', { rd: t0, rs1: 0, imm: 99 }], ['sd', { rs1: a2, rs2: t0, imm: 176 + 8 * 22 }], ret,
    ]);
    expect(rig.words()).toEqual([99n]);
  });
  test('floating point registers and fcsr come back', () => {
    const rig = runLines([
      ...handle(Sig.USR1, 'handler', SA_SIGINFO), ['addi', { rd: t0, rs1: 0, imm: 77 }], ['fmv.d.x', { rd: 8, rs1: t0 }], ['csrrwi', { rd: 0, rs1: 5, imm: 3 }],
      ...raiseSelf(Sig.USR1), ['fmv.x.d', { rd: s1, rs1: 8 }], ...emit(s1), ['csrrs', { rd: s1, rs1: 0, imm: 3 }], ...emit(s1), ...exit(0),
      label('handler'), ['fmv.d.x', { rd: 8, rs1: 0 }], ['csrrwi', { rd: 0, rs1: 0, imm: 3 }], ret,
    ]);
    expect(rig.words()).toEqual([77n, 5n]);
  });
  test('rt_sigreturn to a frame whose reserved words are set, or that is not there, is SIGSEGV', () => {
    for (const at of [DATA, 0x1000]) {
      const garbage: Line[] = [...li(sp, at), ...put(128 + 176 + 256 + 512, -1), ...call(Sys.sigreturn)];
      const rig = runLines([...fork('c', garbage), ...call(Sys.wait4, -1, DATA, 0, 0), ...emitWord(0), ...exit(0)]);
      expect(rig.words()).toEqual([BigInt(Sig.SEGV)]);
    }
  });
});

describe('faults', () => {
  const told: Line[] = [label('handler'), ...enter, ...emit(21), ['lw', { rd: s1, rs1: 19, imm: 8 }], ...emit(s1), ...emitAt(19, 16), ...exit(0)];
  test.each<[string, number, Line[], bigint[]]>([
    ['a store to nothing is SEGV_MAPERR at the address', Sig.SEGV, [...li(t0, 0x5678), ['sd', { rs1: t0, rs2: 0, imm: 0 }]], [11n, 1n, 0x5678n]],
    ['a store to code is SEGV_ACCERR', Sig.SEGV, [...li(t0, 0x1_0010), ['sd', { rs1: t0, rs2: 0, imm: 0 }]], [11n, 2n, 0x1_0010n]],
    ['a jump into data is SEGV_ACCERR at the target', Sig.SEGV, [...li(t0, DATA), ['jalr', { rd: 0, rs1: t0, imm: 0 }]], [11n, 2n, BigInt(DATA)]],
    ['an address above user memory is SEGV_MAPERR, whole', Sig.SEGV, [['addi', { rd: t0, rs1: 0, imm: -16 }], ['ld', { rd: t1, rs1: t0, imm: 0 }]], [11n, 1n, -16n]],
    ['a misaligned AMO is BUS_ADRALN', Sig.BUS, [...li(t0, DATA + 1), ['amoadd.w', { rd: t1, rs1: t0, rs2: 0 }]], [7n, 1n]],
  ])('%s', (_, signo, lines, expected) => {
    const rig = runLines([...handle(signo, 'handler', SA_SIGINFO), ...lines, ...exit(1), ...told]);
    expect(rig.words().slice(0, expected.length)).toEqual(expected);
  });
  test('illegal instructions and ebreak report the instruction\'s own address', () => {
    for (const [signo, word] of [[Sig.ILL, 0xffff_ffff], [Sig.TRAP, 0x0010_0073]] as const) {
      const rig = runLines([...handle(signo, 'handler', SA_SIGINFO), ...la(22, 'here'), label('here'), word, label('handler'), ...enter, ...emitAt(19, 16), ...emit(22), ...exit(0)]);
      const [addr, here] = rig.words();
      expect(addr).toBe(here);
    }
  });
  test('blocked or ignored, a fault is deadly all the same', () => {
    const deadly: Line[] = [['sd', { rs1: 0, rs2: 0, imm: 0 }]];
    const ignore: Line[] = [...put(0xf00, 1), ...put(0xf08, 0), ...put(0xf10, 0), ...call(Sys.sigaction, Sig.SEGV, DATA + 0xf00, 0, 8)];
    const block: Line[] = [...put(0, -1), ...call(Sys.sigprocmask, 2, DATA, 0, 8)];
    for (const lines of [ignore, block]) {
      const rig = runLines([...fork('c', [...lines, ...deadly]), ...call(Sys.wait4, -1, DATA, 0, 0), ...emitWord(0), ...exit(0)]);
      expect(rig.words()).toEqual([BigInt(Sig.SEGV)]);
    }
  });
  test('when the stack has no room for the frame, the program dies of SIGSEGV', () => {
    const rig = startGuest([...handle(Sig.USR1, 'handler'), ...li(sp, 0x3000), ...raiseSelf(Sig.USR1), label('handler'), ...exit(0)]);
    rig.run();
    expect(rig.kernel.exitStatus).toEqual({ status: 0, signal: Sig.SEGV });
  });
  test('with an alternate stack an overflow can be caught', () => {
    const ALT = 0x3000_0000;
    const rig = runLines([
      ...call(Sys.mmap, ALT, 8192, 3, 0x32, -1, 0), ...li(t0, ALT), ...li(t1, DATA), ['sd', { rs1: t1, rs2: t0, imm: 0 }], ...put(8, 0), ...put(16, 8192),
      ...call(Sys.sigaltstack, DATA, 0), ...handle(Sig.SEGV, 'handler', SA_SIGINFO | 0x0800_0000), ...li(sp, 0x3000), ['sd', { rs1: sp, rs2: 0, imm: 0 }],
      label('handler'), ...li(t0, ALT), ['sub', { rd: s1, rs1: sp, rs2: t0 }], ...emit(s1), ...call(Sys.sigaltstack, 0, DATA + 32), ...emitWord(40), ...exit(0),
    ]);
    expect(rig.words()).toEqual([BigInt(8192 - 1088), 1n]); // at its top; SS_ONSTACK
  });
});

describe('masks and order', () => {
  const tell: Line[] = [label('handler'), ...enter, ...emit(21), ...leave];
  const unblockAll: Line[] = [...put(0, 0), ...call(Sys.sigprocmask, 2, DATA, 0, 8)];
  const blockAll: Line[] = [...put(0, -1), ...call(Sys.sigprocmask, 2, DATA, 0, 8)];
  test('what was blocked comes when unblocked: plain signals once; each frame is on top of the one before', () => {
    const rig = runLines([
      ...handle(Sig.USR1, 'handler'), ...handle(Sig.USR2, 'handler'), ...blockAll, ...raiseSelf(Sig.USR2), ...raiseSelf(Sig.USR1), ...raiseSelf(Sig.USR1),
      ...call(Sys.sigpending, DATA, 8), ...emitWord(0), ...unblockAll, ...exit(0), ...tell,
    ]);
    // 10 is taken first, but its frame lies under that of 12, which runs first: as on Linux.
    expect(rig.words()).toEqual([BigInt((1 << 9) | (1 << 11)), 12n, 10n]);
  });
  test('real-time signals queue', () => {
    const rig = runLines([...handle(Sig.RT1, 'handler'), ...blockAll, ...raiseSelf(Sig.RT1), ...raiseSelf(Sig.RT1), ...raiseSelf(Sig.RT1), ...unblockAll, ...exit(0), ...tell]);
    expect(rig.words()).toEqual([33n, 33n, 33n]);
  });
  test('a full queue is EAGAIN for the sender of a value, never endless memory', () => {
    const info: Line[] = [...put(0x108, -1)];
    const queue: Line[] = [['addi', { rd: a7, rs1: 0, imm: Sys.getpid }], ['ecall'], ...li(a1, Sig.RT1), ...li(a2, DATA + 0x100), ['addi', { rd: a7, rs1: 0, imm: 138 }], ['ecall']];
    const rig = runLines([...blockAll, ...info, ...put(0x20, 2), ...put(0x28, 2), ...call(Sys.prlimit, 0, 11, DATA + 0x20, 0), ...queue, ...emit(), ...queue, ...emit(), ...queue, ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([0n, 0n, BigInt(-Errno.EAGAIN)]);
  });
  test('SA_RESETHAND: the second time is the default', () => {
    const rig = startGuest([...handle(Sig.USR1, 'handler', SA_RESETHAND), ...raiseSelf(Sig.USR1), ...raiseSelf(Sig.USR1), ...exit(0), ...tell]);
    rig.run();
    expect(rig.words()).toEqual([10n]);
    expect(rig.kernel.exitStatus).toEqual({ status: 0, signal: Sig.USR1 });
  });
  test('SIGKILL and SIGSTOP cannot be caught, blocked or ignored', () => {
    const rig = runLines([...handle(9, 'handler'), ...emit(), ...handle(19, 'handler'), ...emit(), ...blockAll, ...call(Sys.sigprocmask, 0, 0, DATA, 8), ...emitWord(0), ...exit(0), ...tell]);
    expect(rig.words()).toEqual([-22n, -22n, BigInt.asIntN(64, ~((1n << 8n) | (1n << 18n)))]);
  });
});

describe('a sleeping call', () => {
  /** Sends itself SIGALRM after `us` microseconds. */
  const alarm = (us: number): Line[] => [...put(0x80, 0), ...put(0x88, 0), ...put(0x90, 0), ...put(0x98, us), ...call(Sys.setitimer, 0, DATA + 0x80, 0)];
  const quiet: Line[] = [label('handler'), ret];
  const sleepMs = (ms: number, remain = 0): Line[] => [...put(0, 0), ...put(8, ms * 1_000_000), ...call(Sys.nanosleep, DATA, remain)];

  test('nanosleep is cut short with EINTR and says what is left', () => {
    const rig = runLines([...handle(Sig.ALRM, 'handler', SA_RESTART), ...alarm(30_000), ...sleepMs(100, DATA + 16), ...emit(), ...emitWord(24), ...exit(0), ...quiet]);
    const [result, left] = rig.words();
    expect(result).toBe(BigInt(-Errno.EINTR));
    expect(Number(left)).toBeGreaterThan(69_000_000);
    expect(Number(left)).toBeLessThan(71_000_000);
  });
  test('read starts again under SA_RESTART, and is EINTR without', () => {
    for (const [flags, expected] of [[SA_RESTART, 1n], [0, BigInt(-Errno.EINTR)]] as const) {
      const writer: Line[] = [...sleepMs(50), ['lw', { rd: a0, rs1: t2, imm: 0 }], ...li(t0, DATA + 0x204), ['lw', { rd: a0, rs1: t0, imm: 0 }], ...li(a1, DATA), ...li(a2, 1), ['addi', { rd: a7, rs1: 0, imm: Sys.write }], ['ecall'], ...exit(0)];
      const rig = runLines([
        ...handle(Sig.ALRM, 'handler', flags), ...call(Sys.pipe2, DATA + 0x200, 0), ...li(t2, DATA + 0x200), ...fork('c', writer), ...alarm(10_000),
        ...li(t0, DATA + 0x200), ['lw', { rd: a0, rs1: t0, imm: 0 }], ...li(a1, DATA + 0x300), ...li(a2, 1), ['addi', { rd: a7, rs1: 0, imm: Sys.read }], ['ecall'], ...emit(), ...exit(0), ...quiet,
      ]);
      expect(rig.words()).toEqual([expected]);
    }
  });
  test('a stop and a continue do not disturb it', () => {
    const rig = runLines([
      ...fork('c', [...sleepMs(20), ...emit(), ...exit(0)]), mv(s0, a0), ...sleepMs(5),
      mv(a0, s0), ...li(a1, 19), ['addi', { rd: a7, rs1: 0, imm: Sys.kill }], ['ecall'], ...sleepMs(5),
      mv(a0, s0), ...li(a1, 18), ['addi', { rd: a7, rs1: 0, imm: Sys.kill }], ['ecall'], ...call(Sys.wait4, -1, 0, 0, 0), ...exit(0),
    ]);
    expect(rig.words()).toEqual([0n]);
    expect(rig.kernel.uptimeNs()).toBeLessThan(25_000_000);
  });
  test('sigsuspend lets a blocked signal in and puts the mask back', () => {
    const rig = runLines([
      ...handle(Sig.ALRM, 'handler'), ...put(0, 1 << 13), ...call(Sys.sigprocmask, 0, DATA, 0, 8), ...alarm(1000), ...put(0, 0), ...call(Sys.sigsuspend, DATA, 8), ...emit(),
      ...call(Sys.sigprocmask, 0, 0, DATA, 8), ...emitWord(0), ...exit(0), ...quiet,
    ]);
    expect(rig.words()).toEqual([BigInt(-Errno.EINTR), BigInt(1 << 13)]);
  });
  test('sigtimedwait takes a signal that would be ignored, and gives up at its time', () => {
    const wait: Line[] = [...put(0, 1 << 16), ...put(16, 0), ...put(24, 1_000_000), ...call(Sys.sigtimedwait, DATA, 0, DATA + 16, 8), ...emit()];
    const rig = runLines([...put(0, 1 << 16), ...call(Sys.sigprocmask, 0, DATA, 0, 8), ...wait, ...fork('c', exit(0)), ...wait, ...exit(0)]);
    expect(rig.words()).toEqual([BigInt(-Errno.EAGAIN), BigInt(Sig.CHLD)]);
  });
});

describe('kill', () => {
  test('0 asks only whether there is somebody; nobody is ESRCH; init takes no notice', () => {
    const rig = runLines([...call(Sys.kill, 2, 0), ...emit(), ...call(Sys.kill, 999, 0), ...emit(), ...call(Sys.kill, 1, 9), ...emit(), ...call(Sys.kill, 2, 65), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([0n, BigInt(-Errno.ESRCH), 0n, BigInt(-Errno.EINVAL)]);
  });
  test('a group gets it together', () => {
    const child = (name: string): Line[] => fork(name, [label(name), ...call(Sys.ppoll, 0, 0, 0, 0, 8), go('jal', name, { rd: 0 })]);
    const ignoreTerm: Line[] = [...put(0xf00, 1), ...put(0xf08, 0), ...put(0xf10, 0), ...call(Sys.sigaction, Sig.TERM, DATA + 0xf00, 0, 8)];
    const rig = runLines([
      ...child('x'), ...child('y'), ...ignoreTerm, ...call(Sys.kill, 0, Sig.TERM), ...call(Sys.wait4, -1, DATA, 0, 0), ...emitWord(0), ...call(Sys.wait4, -1, DATA, 0, 0), ...emitWord(0), ...exit(0),
    ]);
    expect(rig.words()).toEqual([15n, 15n]);
  });
});
