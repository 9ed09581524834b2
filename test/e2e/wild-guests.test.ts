// Guests that run wild: each is stopped with the signal or the errno that Linux has for it, and the host stays up.
import { afterAll, describe, expect, test } from 'vitest';
import { quire, scratch, type Ended } from '../support/cli.ts';
import { call, DATA, exitWithErrno, go, guest, label, li, Nr, reg, type Line } from '../support/guests.ts';

const host = scratch();
afterAll(() => { host.remove(); });
let serial = 0;
const runGuest = (lines: readonly Line[], ...options: string[]): Ended =>
  quire(['run', '--mem', '64M', ...options, '--', host.file(`guest${serial++}`, guest(lines))]);

const { zero, sp, t0, t1, a0, a1, a2, a7 } = reg;
/** Exit status of a program that signal N ended. */
const signalled = { SIGILL: 132, SIGTRAP: 133, SIGBUS: 135, SIGKILL: 137, SIGSEGV: 139 } as const;
const Errno = { EAGAIN: 11, ENOMEM: 12, EFAULT: 14, ENOSYS: 38 } as const;
const PROT_RW = 3;
const MAP_PRIVATE_ANON = 0x22;
const MAP_NORESERVE = 0x4000;

describe('ended by a signal', () => {
  test.each<[string, keyof typeof signalled, Line[]]>([
    ['a jump into data', 'SIGSEGV', [...li(t0, DATA), ['jalr', { rd: 0, rs1: t0, imm: 0 }]]],
    ['a jump to nowhere', 'SIGSEGV', [['jalr', { rd: 0, rs1: zero, imm: 0 }]]],
    ['a jump to an address that is not canonical', 'SIGSEGV', [['addi', { rd: t0, rs1: 0, imm: 1 }], ['slli', { rd: t0, rs1: t0, imm: 50 }], ['jalr', { rd: 0, rs1: t0, imm: 0 }]]],
    ['a store to a kernel address', 'SIGSEGV', [['addi', { rd: t0, rs1: 0, imm: -2048 }], ['sd', { rs1: t0, rs2: 0, imm: 0 }]]],
    ['a load from a kernel address', 'SIGSEGV', [['addi', { rd: t0, rs1: 0, imm: -8 }], ['ld', { rd: t1, rs1: t0, imm: 0 }]]],
    ['a store to an address that is not canonical', 'SIGSEGV', [['addi', { rd: t0, rs1: 0, imm: 1 }], ['slli', { rd: t0, rs1: t0, imm: 45 }], ['sd', { rs1: t0, rs2: 0, imm: 0 }]]],
    ['a store into the program\'s own code', 'SIGSEGV', [...li(t0, 0x1_0000), ['sd', { rs1: t0, rs2: 0, imm: 0 }]]],
    ['a store that straddles the end of the mapped data', 'SIGSEGV', [...li(t0, DATA + 4092), ['sd', { rs1: t0, rs2: 0, imm: 0 }]]],
    ['a word that is no instruction', 'SIGILL', [0]],
    ['all ones', 'SIGILL', [0xffff_ffff]],
    ['a privileged instruction', 'SIGILL', [0x3020_0073 /* mret */]],
    ['a supervisor CSR', 'SIGILL', [0x1800_2573 /* csrr a0, satp */]],
    ['ebreak', 'SIGTRAP', [['ebreak']]],
    ['code that falls off its end', 'SIGILL', [['addi', { rd: t0, rs1: 0, imm: 1 }]]],
    ['recursion without end', 'SIGSEGV', [label('again'), ['addi', { rd: sp, rs1: sp, imm: -2048 }], ['sd', { rs1: sp, rs2: 0, imm: 0 }], go('jal', 'again', { rd: 0 })]],
    ['a stack pointer of zero when a signal comes', 'SIGILL', [['addi', { rd: sp, rs1: 0, imm: 0 }], 0]],
  ])('%s is %s, which the user is told', (_, signal, lines) => {
    const ended = runGuest(lines);
    expect([ended.status, ended.stdout]).toEqual([signalled[signal], '']);
    expect(ended.stderr).toMatch(new RegExp(`^quire: guest[0-9]+\\[2\\]: unhandled signal ${signalled[signal] - 128} code 0x[0-9a-f]+ at 0x[0-9a-f]+, pc 0x[0-9a-f]+\n$`));
  });

  test('memory that is promised and does not exist: the out-of-memory killer ends the program', () => {
    const ended = runGuest([
      ['addi', { rd: a1, rs1: 0, imm: 1 }], ['slli', { rd: a1, rs1: a1, imm: 32 }], ['addi', { rd: a0, rs1: 0, imm: 0 }],
      ...li(a2, PROT_RW), ...li(reg.a3, MAP_PRIVATE_ANON | MAP_NORESERVE), ['addi', { rd: reg.a4, rs1: 0, imm: -1 }], ['addi', { rd: reg.a5, rs1: 0, imm: 0 }],
      ...call(Nr.mmap), ...li(t1, 4096),
      label('touch'), ['sd', { rs1: a0, rs2: a0, imm: 0 }], ['add', { rd: a0, rs1: a0, rs2: t1 }], go('jal', 'touch', { rd: 0 }),
    ], '--set', '/proc/sys/vm/overcommit_memory=1');
    expect([ended.status, ended.stdout]).toEqual([signalled.SIGKILL, '']);
  });
});

describe('answered with an errno', () => {
  test('a mapping larger than memory', () => {
    const lines: Line[] = [
      ['addi', { rd: a1, rs1: 0, imm: 1 }], ['slli', { rd: a1, rs1: a1, imm: 34 }], ['addi', { rd: a0, rs1: 0, imm: 0 }],
      ...li(a2, PROT_RW), ...li(reg.a3, MAP_PRIVATE_ANON), ['addi', { rd: reg.a4, rs1: 0, imm: -1 }], ['addi', { rd: reg.a5, rs1: 0, imm: 0 }],
      ...call(Nr.mmap), ...exitWithErrno,
    ];
    expect(runGuest(lines).status).toBe(Errno.ENOMEM);
  });
  test.each<[string, Line[]]>([
    ['zero', [['addi', { rd: a1, rs1: 0, imm: 0 }]]],
    ['a kernel address', [['addi', { rd: a1, rs1: 0, imm: -4 }]]],
    ['an address that is not canonical', [['addi', { rd: a1, rs1: 0, imm: 1 }], ['slli', { rd: a1, rs1: a1, imm: 60 }]]],
  ])('write() from %s', (_, pointer) => {
    expect(runGuest([['addi', { rd: a0, rs1: 0, imm: 1 }], ...pointer, ...li(a2, 16), ...call(Nr.write), ...exitWithErrno]).status).toBe(Errno.EFAULT);
  });
  test('a system call that does not exist, which the user is told', () => {
    const ended = runGuest([...li(a7, 1000), ['ecall'], ...exitWithErrno]);
    expect(ended.status).toBe(Errno.ENOSYS);
    expect(ended.stderr).toMatch(/^quire: .*1000.*\n$/);
  });
  test('a system call number far outside the table', () => {
    expect(runGuest([['addi', { rd: a7, rs1: 0, imm: -1 }], ['ecall'], ...exitWithErrno]).status).toBe(Errno.ENOSYS);
  });
  test('one program that forks until it may not: memory or task numbers run out', () => {
    const lines: Line[] = [
      label('fork'), ...li(a0, 17), ['addi', { rd: a1, rs1: 0, imm: 0 }], ...call(Nr.clone),
      go('beq', 'child', { rs1: a0, rs2: 0 }), go('blt', 'refused', { rs1: a0, rs2: 0 }), go('jal', 'fork', { rd: 0 }),
      label('child'), go('jal', 'child', { rd: 0 }),
      label('refused'), ...exitWithErrno,
    ];
    expect([Errno.EAGAIN, Errno.ENOMEM]).toContain(runGuest(lines).status);
  });
});

describe('stopped by the budget', () => {
  test('a loop without end', () => {
    const ended = runGuest([label('loop'), go('jal', 'loop', { rd: 0 })], '--max-insn', '100k');
    expect(ended).toEqual({ status: 124, stdout: '', stderr: 'quire: the budget of 100000 instructions is used up (--max-insn).\n' });
  });
  test('children that fork without end', () => {
    const lines: Line[] = [label('fork'), ...li(a0, 17), ['addi', { rd: a1, rs1: 0, imm: 0 }], ...call(Nr.clone), go('jal', 'fork', { rd: 0 })];
    expect([124, signalled.SIGKILL]).toContain(runGuest(lines, '--max-insn', '3M').status);
  });
});
