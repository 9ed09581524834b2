// The system call table, and the kernel's patience with programs that call anything with anything.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { syscallName, syscallTable } from '#kernel/syscall/table.ts';
import { call, CODE, DATA, go, guest, label, type Line } from '../../support/guests.ts';
import { bootKernel, emit, exit, runLines, startGuest } from '../../support/kernel-rig.ts';

const rows = syscallTable.filter((row) => row !== undefined);

describe('the table', () => {
  test('names every call as Linux does, at its number', () => {
    expect(rows.filter((row) => syscallName(row.nr) !== row.name).map((row) => `${row.nr} ${row.name}`)).toEqual([]);
    expect(rows.every((row, _i) => syscallTable[row.nr] === row)).toBe(true);
  });
  test('has at most six arguments a call', () => {
    expect(rows.filter((row) => row.args.split(' ').length > 6).map((row) => row.name)).toEqual([]);
  });
  test('has what static musl and glibc programs, a shell, Lua and SQLite call', () => {
    // By number of programs in a count over real ones: every call of start-up, and those that more than one kind of program makes.
    const needed = ['set_tid_address', 'exit_group', 'brk', 'mprotect', 'write', 'prlimit64', 'getrandom', 'readlinkat', 'set_robust_list', 'newfstatat', 'clock_gettime', 'openat', 'close',
      'read', 'mmap', 'munmap', 'getpid', 'unlinkat', 'lseek', 'futex', 'rt_sigaction', 'fcntl', 'sysinfo', 'mremap', 'ioctl', 'getcwd', 'clone', 'wait4', 'rt_sigreturn', 'pipe2', 'dup3',
      'getdents64', 'fsync', 'pread64', 'pwrite64', 'fchown', 'uname', 'ftruncate', 'rt_sigprocmask', 'writev', 'execve', 'kill', 'chdir', 'ppoll', 'rt_sigsuspend', 'exit', 'msync', 'mlock',
      'mlockall', 'munlock', 'madvise', 'setitimer', 'clock_nanosleep', 'tkill', 'faccessat', 'statfs', 'setpgid', 'gettid', 'fchmodat', 'capget', 'mkdirat', 'prctl', 'sigaltstack', 'sched_yield',
      'getuid', 'geteuid', 'getppid', 'fallocate', 'memfd_create', 'mincore', 'mlock2', 'munlockall', 'readv', 'truncate', 'fdatasync', 'pselect6', 'waitid', 'tgkill', 'get_robust_list',
      'sched_getaffinity', 'sched_setaffinity', 'getrusage', 'times', 'umask', 'linkat', 'symlinkat', 'utimensat', 'clone3', 'riscv_hwprobe'];
    const there = new Set(rows.map((row) => row.name));
    expect(needed.filter((name) => !there.has(name))).toEqual([]);
  });
  test('answers ENOSYS for the rest, and says so once by name', () => {
    const rig = runLines([...call(425, 1, 0), ...emit(), ...call(425, 1, 0), ...emit(), ...call(1999), ...emit(), ...exit(0)]);
    expect(rig.words()).toEqual([-38n, -38n, -38n]);
    expect(rig.kernel.log).toEqual([
      'guest[2]: system call 425 (io_uring_setup) is not implemented; the program got ENOSYS',
      'guest[2]: system call 1999 is not implemented; the program got ENOSYS',
    ]);
  });
});

describe('any call with any arguments', () => {
  // A program that does nothing but call: the test is its brain, through the registers.
  const caller: Line[] = [label('again'), ['ecall'], go('jal', 'again', { rd: 0 })];
  const interesting = [0n, 1n, 2n, 3n, 7n, 8n, 16n, 64n, 100n, 4095n, 4096n, 4097n, 65536n, BigInt(CODE), BigInt(DATA), BigInt(DATA + 4090), BigInt(DATA) + 4096n, 0x3f_ffff_f000n, 0x3f_ffff_fff8n,
    0x40_0000_0000n, 1n << 31n, (1n << 31n) - 1n, 1n << 32n, 1n << 47n, 1n << 53n, (1n << 53n) - 1n, (1n << 63n) - 1n, -(1n << 63n), -1n, -2n, -100n, -4096n];
  const argument = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...interesting) }, fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: BigInt(DATA), max: BigInt(DATA) + 4200n }));
  // These end the program or its run, which is their work and not what is asked here.
  const enders = new Set([93, 94, 139]);
  const number = fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...rows.map((row) => row.nr).filter((nr) => !enders.has(nr))) }, fc.integer({ min: -5, max: 2000 }).filter((nr) => !enders.has(nr)));
  const calls = fc.array(fc.tuple(number, argument, argument, argument, argument, argument, argument), { minLength: 1, maxLength: 60 });

  test('ends in an answer, a sleep or a signal: the host never stumbles, memory stays sound', () => {
    fc.assert(fc.property(calls, fc.infiniteStream(fc.integer({ min: 0, max: 255 })), (sequence, noise) => {
      const rig = startGuest(caller, { params: (params) => { params.vm.threads_max = 12; } });
      const first = rig.kernel.tasks.get(2)!;
      const page = new Uint8Array(4096);
      for (let i = 0; i < 512; i++) page[i] = noise.next().value!;
      first.user.write(DATA, page);
      for (const [nr, ...args] of sequence) {
        if (rig.kernel.exitStatus !== null) break;
        rig.run(1);
        const { current } = rig.kernel;
        if (current !== null && rig.kernel.isInUser && rig.machine.pc === BigInt(CODE)) {
          args.forEach((value, i) => { rig.machine.x[10 + i] = value; });
          rig.machine.x[17] = BigInt(nr);
        }
        rig.run(2);
      }
      rig.kernel.system.check();
    }), { numRuns: 120 });
  });

  test('costs no host memory for lengths that no memory has', () => {
    const rig = bootKernel({ files: { '/guest': guest(caller) } });
    rig.kernel.start(['guest'], [], '/guest');
    const sizes = [1n << 31n, (1n << 31n) - 1n, 1n << 40n, 1n << 52n, (1n << 63n) - 1n, -1n];
    for (const { nr } of rows) {
      if (enders.has(nr) || rig.kernel.exitStatus !== null) continue;
      for (const size of sizes) {
        rig.run(1);
        if (!rig.kernel.isInUser || rig.machine.pc !== BigInt(CODE)) continue;
        [1n, BigInt(DATA), size, size, BigInt(DATA), size].forEach((value, i) => { rig.machine.x[10 + i] = value; });
        rig.machine.x[17] = BigInt(nr);
        rig.run(2);
      }
    }
    expect(process.memoryUsage().rss).toBeLessThan(1 << 30);
  });
});
