// A program that passes anything to any call about files: the kernel answers a number or an errno, never throws, and leaks no frame.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fileSyscalls } from '#kernel/syscall/files.ts';
import { pollSyscalls } from '#kernel/syscall/poll.ts';
import { type Argument, AT_FDCWD, bootGuest, type GuestTask } from '../../support/fs-fixture.ts';

const rows = [...fileSyscalls, ...pollSyscalls];
const paths = ['/', '.', '..', '', 'a', 'a/', 'd', 'd/b', '/tmp/x', '/proc/self/fd/3', '/proc/self/maps', '/proc/self/fd', '/proc/self/cwd/a', '/dev/null', '/dev/zero', '/dev/full',
  '/dev/tty', '/dev/stdin', '/proc/self/exe', '/proc/self/pagemap', '/proc/2/task/2/stat', '/sys/kernel/mm/transparent_hugepage/enabled', '/proc/sys/vm/overcommit_memory', 'f', 'l', 'l/x',
  '/proc/meminfo', '/proc/vmstat', 'x'.repeat(300), '/'.repeat(5000), '//d//../d/./b', '/dev/shm/s', '\udc80\udcff'];

const number = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -2, max: 12 }) },
  { weight: 2, arbitrary: fc.constantFrom(AT_FDCWD, 0o102, 0o2000, 0o4000, 0o200000, 0o400000, 0o10000000, 0o20200002, 4096, 65536, 0x1000, 0x5401, 0x5413, 0x541b, 1024, 1031, 1033) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 31 - 1, -(2 ** 31), 2 ** 32 - 1, 2 ** 38, 2 ** 40, 2 ** 52, -(2 ** 52), 2 ** 60, -1, 2 ** 63, -(2 ** 63)) },
  { weight: 1, arbitrary: fc.maxSafeInteger() },
);
/** 'buffer' stands for memory of the program, 'path' for one of the paths. */
const argument = fc.oneof(
  { weight: 5, arbitrary: number },
  { weight: 3, arbitrary: fc.constantFrom(...paths) },
  { weight: 3, arbitrary: fc.constant('buffer' as const) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 32, maxLength: 64 }) },
);
const call = fc.record({ row: fc.constantFrom(...rows), args: fc.array(argument, { minLength: 6, maxLength: 6 }) });

/** Arguments that fit what the row says of them, most of the time. */
function shaped(guest: GuestTask, kinds: string, args: readonly (number | string | Uint8Array)[]): Argument[] {
  return args.map((arg, i) => {
    const kind = kinds.split(' ')[i] ?? '';
    if (arg === 'buffer') return guest.buffer + (i % 3) * 64;
    if (kind === 'dirfd' && typeof arg !== 'number') return AT_FDCWD;
    if (typeof arg === 'string' && !['path', 'str'].includes(kind)) return kind === 'len' ? arg.length : guest.buffer;
    if (arg instanceof Uint8Array && kind.match(/^(fd|int|len|off|flags)$/) !== null) return arg[0]! % 8;
    return arg;
  });
}

test('no sequence of calls throws, and closing everything gives all memory back', () => {
  fc.assert(fc.property(fc.array(call, { minLength: 1, maxLength: 60 }), (calls) => {
    const guest = bootGuest({ ramBytes: 8 << 20 });
    const { vfs, system } = guest.kernel;
    guest.call('mkdirat', AT_FDCWD, 'd', 0o777);
    guest.fd('a', 0o102);
    guest.call('pipe2', guest.buffer, 0o4000);
    for (const { row, args } of calls) {
      const outcome = guest.call(row.name, ...shaped(guest, row.args, args));
      if (outcome === 'asleep') guest.task.wake(true);
      if (typeof outcome === 'string') expect(outcome).toMatch(/^(E[A-Z0-9]+|asleep|interrupted)$/);
    }
    guest.task.files.closeAll();
    system.check();
    expect(vfs.registry.nrOpen).toBe(0);
  }), { numRuns: 150 });
});

test('descriptors run out at RLIMIT_NOFILE, and a full machine says ENFILE', () => {
  const guest = bootGuest();
  const made: (number | string)[] = [];
  for (let i = 0; i < 1030; i++) made.push(guest.open('/dev/null'));
  expect(made.slice(1019, 1023)).toEqual([1022, 1023, 'EMFILE', 'EMFILE']);
  guest.kernel.vfs.registry.maxFiles = guest.kernel.vfs.registry.nrOpen;
  guest.call('close', 500);
  guest.kernel.vfs.registry.maxFiles = guest.kernel.vfs.registry.nrOpen;
  expect(guest.open('/dev/null')).toBe('ENFILE');
  expect(guest.call('pipe2', guest.buffer, 0)).toBe('ENFILE');
  expect(guest.call('memfd_create', 'm', 0)).toBe('ENFILE');
});

test('files fill half of memory, pipes what is left, and the program gets ENOSPC and ENOMEM', () => {
  const guest = bootGuest({ ramBytes: 8 << 20 });
  const fd = guest.fd('/big', 0o102);
  let written = 0;
  for (;;) {
    const n = guest.call('write', fd, guest.buffer, 65536);
    if (typeof n === 'string') {
      expect(n).toBe('ENOSPC');
      break;
    }
    written += n;
  }
  const { system } = guest.kernel;
  expect(written).toBeLessThanOrEqual(system.memTotalBytes / 2 + 65536);
  expect(written).toBeGreaterThan(system.memTotalBytes / 4);
  let last: number | string = 0;
  for (let i = 0; i < 200 && last !== 'ENOMEM'; i++) {
    guest.call('pipe2', guest.buffer, 0o4000);
    const [ends = 0] = guest.words(1);
    last = guest.call('write', Math.floor(ends / 2 ** 32), guest.buffer, 65536);
  }
  expect(last).toBe('ENOMEM');
  guest.task.files.closeAll();
  guest.call('unlinkat', AT_FDCWD, '/big', 0);
  system.check();
});

test('inodes run out before the host does', () => {
  const guest = bootGuest({ ramBytes: 8 << 20 });
  let made = 0;
  while (guest.call('mkdirat', AT_FDCWD, `/d${made}`, 0o755) === 0) made++;
  expect(guest.call('mkdirat', AT_FDCWD, '/more', 0o755)).toBe('ENOSPC');
  expect(made).toBeLessThan(guest.kernel.system.memTotalBytes / 4096);
});
