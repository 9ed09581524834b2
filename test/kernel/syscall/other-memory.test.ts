// System calls that reach memory by a pidfd, by /proc/PID/mem or through a pipe. The answers are Linux 6.18's, asked natively.
import { describe, expect, test } from 'vitest';
import { dupMm } from '#kernel/mm/fork.ts';
import { Prot } from '#kernel/mm/mman.ts';
import { UserMemory } from '#kernel/mm/uaccess.ts';
import { type GuestTask, bootGuest } from '../../support/fs-fixture.ts';

const PAGE = 4096;
const iov = (...pieces: readonly (readonly [base: number, len: number])[]): Uint8Array => new Uint8Array(BigInt64Array.from(pieces.flat(), BigInt).buffer);
const [DONTNEED, COLD, PAGEOUT, WILLNEED, COLLAPSE, GUARD] = [4, 20, 21, 3, 25, 102];
const PIDFD_SELF = -10_000;
const SELF_GROUP = -10_001;
/** A child with a copy of the parent's memory, which the fixture's own child() does not give. */
function forked(g: GuestTask): GuestTask {
  const child = g.child();
  const mm = dupMm(g.task.mm)!;
  child.task.mm.dispose();
  child.task.mm = mm;
  child.task.user = new UserMemory(mm, child.task);
  return child;
}

describe('process_madvise', () => {
  test('of oneself, by pidfd or without, takes any advice and answers with bytes', () => {
    const g = bootGuest();
    const fd = g.call('pidfd_open', g.task.tid, 0) as number;
    const pieces = iov([g.buffer, PAGE], [g.buffer + 4 * PAGE, 2 * PAGE]);
    g.task.user.setU8(g.buffer, 1);
    expect([fd, PIDFD_SELF, SELF_GROUP].map((of) => g.call('process_madvise', of, pieces, 2, DONTNEED, 0))).toEqual([3 * PAGE, 3 * PAGE, 3 * PAGE]);
    expect([g.bytes(1)[0], g.call('process_madvise', PIDFD_SELF, pieces, 2, GUARD, 0), g.task.user.u8(g.buffer + 5 * PAGE)]).toEqual([0, 3 * PAGE, null]);
  });
  test('stops at the first piece that fails, and says what came before', () => {
    const g = bootGuest();
    const advise = (pieces: Uint8Array, nr: number, advice = COLD, flags = 0, fd = PIDFD_SELF) => g.call('process_madvise', fd, pieces, nr, advice, flags);
    const good = [g.buffer, PAGE] as const;
    expect([advise(iov(good, [g.buffer + 1, PAGE]), 2), advise(iov(good, [PAGE, PAGE]), 2), advise(iov([PAGE, PAGE]), 1), advise(iov(good, [g.buffer, 0]), 2), advise(iov(good), 0)])
      .toEqual([PAGE, PAGE, 'ENOMEM', PAGE, 0]);
    expect([advise(iov(good), 1, COLD, 1), advise(iov(good), 1025), advise(iov(good), 1, 999), advise(iov([-PAGE, PAGE]), 1), advise(iov(good), 1, COLD, 0, 0), advise(iov(good), 1, COLD, 0, 77)])
      .toEqual(['EINVAL', 'EINVAL', 'EINVAL', 'EFAULT', 'EBADF', 'EBADF']);
  });
  test('of another program takes advice that takes nothing away, from root', () => {
    const g = bootGuest();
    g.bytes(1);
    const child = forked(g);
    const fd = g.call('pidfd_open', child.task.tid, 0) as number;
    const advise = (advice: number) => g.call('process_madvise', fd, iov([g.buffer, PAGE]), 1, advice, 0);
    expect([COLD, PAGEOUT, WILLNEED, COLLAPSE, DONTNEED, GUARD].map(advise)).toEqual([PAGE, PAGE, PAGE, 'EINVAL', 'EINVAL', 'EINVAL']);
    Object.assign(g.task.credentials, { uid: 1, euid: 1, suid: 1, fsuid: 1 });
    expect(advise(COLD)).toBe('EPERM');
  });
});

test('process_vm_readv and _writev move bytes as rights allow; pieces are told apart', () => {
  const g = bootGuest();
  const child = forked(g);
  child.task.user.write(g.buffer, Uint8Array.of(1, 2, 3, 4));
  const local = iov([g.buffer + 100, 2], [g.buffer + 200, 2]);
  expect(g.call('process_vm_readv', child.task.tid, local, 2, iov([g.buffer, 3], [g.buffer + 3, 1]), 2, 0)).toBe(4);
  expect([...g.bytes(2, g.buffer + 100), ...g.bytes(2, g.buffer + 200)]).toEqual([1, 2, 3, 4]);
  expect(g.call('process_vm_writev', child.task.tid, local, 2, iov([g.buffer + 4, 4]), 1, 0)).toBe(4);
  expect([...child.bytes(8)]).toEqual([1, 2, 3, 4, 1, 2, 3, 4]);
  child.task.mm.mprotect(g.buffer, PAGE, Prot.Read);
  expect([g.call('process_vm_writev', child.task.tid, local, 2, iov([g.buffer, 4]), 1, 0), g.call('process_vm_readv', 77, local, 2, iov([g.buffer, 4]), 1, 0), g.call('process_vm_readv', 1, local, 2, iov([g.buffer, 4]), 1, 1)])
    .toEqual(['EFAULT', 'ESRCH', 'EINVAL']);
});

test('/proc/PID/mem is memory by address: rights do not bind, holes are EIO', () => {
  const g = bootGuest();
  const fd = g.fd('/proc/self/mem', 2);
  g.task.mm.mprotect(g.buffer, PAGE, Prot.Read);
  expect([g.call('pwrite64', fd, 'abc', 3, g.buffer + PAGE - 1), g.call('pread64', fd, g.buffer + 3 * PAGE, 4, g.buffer + PAGE - 1), g.text(3, g.buffer + 3 * PAGE)]).toEqual([3, 4, 'abc']);
  expect([g.call('pread64', fd, g.buffer, 1, PAGE), g.call('pwrite64', fd, 'x', 1, PAGE), g.call('lseek', fd, 0, 2), g.call('lseek', fd, g.buffer + PAGE, 0), g.call('read', fd, g.buffer + 4 * PAGE, 2), g.text(2, g.buffer + 4 * PAGE)])
    .toEqual(['EIO', 'EIO', 'EINVAL', g.buffer + PAGE, 2, 'bc']);
  const child = forked(g);
  const other = g.fd(`/proc/${child.task.tid}/mem`);
  child.task.mm.dispose();
  child.task.hasMm = false;
  expect([g.call('pread64', other, g.buffer, 1, g.buffer), g.open(`/proc/${child.task.tid}/mem`)]).toEqual([0, 'ESRCH']);
});

test('clear_refs is written to; smaps then shows what was used since', () => {
  const g = bootGuest();
  g.task.user.setU8(g.buffer, 1);
  const referenced = (): number => g.cat(`/proc/${g.task.tid}/smaps`).split('\n').filter((line) => line.startsWith('Referenced:') && !/ 0 kB/.test(line)).length;
  const before = referenced();
  const fd = g.fd('/proc/self/clear_refs', 1);
  expect([before > 0, g.write(fd, '7'), g.write(fd, '1'), referenced() < before]).toEqual([true, 'EINVAL', 1, true]);
});

describe('PAGEMAP_SCAN', () => {
  const COMMAND = 0xc060_6610;
  const [PRESENT, GUARDED, ALL] = [8, 0x100, 0x1ff];
  interface Ask { flags?: number; start?: number; end?: number; vecLen?: number; max?: number; inverted?: number; mask?: number; any?: number; ret?: number; size?: number }
  /** Pages relative to the mapping: [from, to, categories], then where the walk ended. */
  function scan(g: GuestTask, at: number, ask: Ask): unknown[] {
    const fd = g.fd('/proc/self/pagemap');
    const { flags = 0, start = 0, end = 8, vecLen = 8, max = 0, inverted = 0, mask = 0, any = 0, ret = ALL, size = 96 } = ask;
    const arg = g.buffer + 64;
    const vec = g.buffer + 256;
    g.task.user.write(arg, iov([size, flags], [at + start * PAGE, at + end * PAGE], [0, vec], [vecLen, max], [inverted, mask], [any, ret]));
    const n = g.call('ioctl', fd, COMMAND, arg);
    g.call('close', fd);
    if (typeof n === 'string') return [n];
    const words = g.words(3 * n, vec);
    return [...Array.from({ length: n }, (_, i) => [(words[3 * i]! - at) / PAGE, (words[3 * i + 1]! - at) / PAGE, words[3 * i + 2]]), (g.words(1, arg + 32)[0]! - at) / PAGE];
  }
  /** Pages 0 and 1 and 3 written, 4 a guard, of eight. */
  function laid(): { g: GuestTask; at: number } {
    const g = bootGuest();
    const at = g.call('mmap', 0, 8 * PAGE, 3, 0x22, -1, 0) as number;
    for (const page of [0, 1, 3]) g.task.user.setU8(at + page * PAGE, 1);
    g.task.mm.madvise(at + 4 * PAGE, PAGE, GUARD);
    return { g, at };
  }
  test('gives ranges of pages alike, chosen by category', () => {
    const { g, at } = laid();
    expect(scan(g, at, {})).toEqual([[0, 2, 0xa], [2, 3, 2], [3, 4, 0xa], [4, 5, 0x112], [5, 8, 2], 8]);
    expect(scan(g, at, { mask: PRESENT, ret: 0 })).toEqual([[0, 2, 0], [3, 4, 0], 8]);
    expect(scan(g, at, { any: PRESENT | GUARDED, ret: PRESENT | GUARDED })).toEqual([[0, 2, 8], [3, 4, 8], [4, 5, 0x100], 8]);
    expect(scan(g, at, { mask: PRESENT, inverted: PRESENT, ret: GUARDED })).toEqual([[2, 3, 0], [4, 5, 0x100], [5, 8, 0], 8]);
  });
  test('ends when there is no more room, and says where', () => {
    const { g, at } = laid();
    expect(scan(g, at, { mask: PRESENT, ret: PRESENT, max: 1 })).toEqual([[0, 1, 8], 1]);
    expect(scan(g, at, { mask: PRESENT, ret: PRESENT, max: 2 })).toEqual([[0, 2, 8], 3]);
    expect(scan(g, at, { mask: PRESENT, ret: PRESENT, vecLen: 1 })).toEqual([[0, 2, 8], 3]);
  });
  test('refuses what it cannot do: unknown bits, other sizes, protecting', () => {
    const { g, at } = laid();
    expect([scan(g, at, { flags: 4 }), scan(g, at, { size: 64 }), scan(g, at, { mask: 0x200 }), scan(g, at, { start: 0.5 }), scan(g, at, { start: 8, end: 0 }), scan(g, at, { flags: 2 })])
      .toEqual([['EINVAL'], ['EINVAL'], ['EINVAL'], ['EINVAL'], ['EFAULT'], ['EPERM']]);
    expect([scan(g, at, { flags: 1 }), scan(g, at, { mask: 1 })]).toEqual([[8], [8]]);
  });
});

describe('vmsplice', () => {
  function piped(): { g: GuestTask; from: number; to: number } {
    const g = bootGuest();
    g.call('pipe2', g.buffer, 0);
    const [from, to] = new Int32Array(g.bytes(8).buffer) as unknown as [number, number];
    return { g, from, to };
  }
  test('lends the page itself: later writes are seen, until a copy on write parts them', () => {
    const { g, from, to } = piped();
    const at = g.buffer + PAGE;
    g.task.user.write(at, new TextEncoder().encode('old1old2'));
    expect(g.call('vmsplice', to, iov([at, 8]), 1, 0)).toBe(8);
    g.task.user.write(at, new TextEncoder().encode('new1'));
    expect(g.read(from, 4)).toBe('new1');
    forked(g);
    g.task.user.write(at, new TextEncoder().encode('....new2'));
    expect(g.read(from, 4)).toBe('old2');
    g.kernel.system.check();
  });
  test('keeps a page that the program has given up, and lets it go with the pipe', () => {
    const { g, from, to } = piped();
    const at = g.call('mmap', 0, 2 * PAGE, 3, 0x22, -1, 0) as number;
    g.task.user.write(at, new TextEncoder().encode('kept'));
    const free = g.kernel.system.freeBytes;
    expect(g.call('vmsplice', to, iov([at, 4], [at + PAGE, 4]), 2, 0)).toBe(8);
    g.call('munmap', at, 2 * PAGE);
    g.kernel.system.check();
    expect([g.kernel.system.freeBytes === free, g.read(from, 8)]).toEqual([true, 'kept\0\0\0\0']);
    expect(g.kernel.system.freeBytes).toBe(free + PAGE);
    g.kernel.system.check();
  });
  test('goes as far as there is room; a write starts a page of its own behind it', () => {
    const { g, from, to } = piped();
    g.call('vmsplice', to, iov([g.buffer, 3]), 1, 0);
    g.write(to, 'x');
    expect([g.call('vmsplice', to, iov([g.buffer, 20 * PAGE]), 1, 0), g.call('vmsplice', to, iov([g.buffer, PAGE]), 1, 2), g.call('vmsplice', to, iov([g.buffer, PAGE]), 1, 0)])
      .toEqual([14 * PAGE, 'EAGAIN', 'asleep']);
    expect([g.child().read(from, 4).slice(3), g.again()]).toEqual(['x', PAGE]);
  });
  test('the other way it is a read; holes, other files and lost readers are refused', () => {
    const { g, from, to } = piped();
    g.write(to, 'abcd');
    expect([g.call('vmsplice', from, iov([g.buffer, 4]), 1, 0), g.text(4), g.call('vmsplice', from, iov([g.buffer, 4]), 1, 2), g.call('vmsplice', to, iov([PAGE, 4]), 1, 0), g.call('vmsplice', 1, iov([g.buffer, 4]), 1, 0)])
      .toEqual([4, 'abcd', 'EAGAIN', 'EFAULT', 'EBADF']);
    expect([g.call('vmsplice', to, iov([g.buffer, 4]), 1, 16), g.call('vmsplice', 77, iov([g.buffer, 4]), 1, 0), g.call('vmsplice', to, iov(), 0, 0)]).toEqual(['EINVAL', 'EBADF', 0]);
    g.call('close', from);
    expect(g.call('vmsplice', to, iov([g.buffer, 4]), 1, 0)).toBe('EPIPE');
  });
  test('tee holds the same pages twice', () => {
    const { g, from, to } = piped();
    g.call('pipe2', g.buffer, 0o4000);
    const [second, into] = new Int32Array(g.bytes(8).buffer) as unknown as [number, number];
    g.write(to, 'abcd');
    g.call('vmsplice', to, iov([g.buffer, 4]), 1, 0);
    expect([g.call('tee', from, into, 6, 0), g.read(from, 4), g.read(second, 4), g.call('tee', from, into, 100, 0), g.call('tee', from, to, 4, 0), g.call('tee', second, into, 4, 0)]).toEqual([6, 'abcd', 'abcd', 4, 'EINVAL', 'EINVAL']);
    expect(g.call('read', second, g.buffer + PAGE, 100)).toBe(6);
    expect(g.call('tee', second, to, 4, 0)).toBe('EAGAIN');
    g.kernel.system.check();
  });
});

test('prctl(PR_SET_MDWE) stays as it was set', () => {
  const g = bootGuest();
  const [SET, GET] = [65, 66];
  expect([g.call('prctl', SET, 2, 0, 0, 0), g.call('prctl', SET, 4, 0, 0, 0), g.call('prctl', SET, 1, 1, 0, 0), g.call('prctl', SET, 0, 0, 0, 0), g.call('prctl', SET, 1, 0, 0, 0), g.call('prctl', SET, 1, 0, 0, 0), g.call('prctl', SET, 3, 0, 0, 0),
    g.call('prctl', SET, 0, 0, 0, 0), g.call('prctl', GET, 0, 0, 0, 0), g.call('prctl', GET, 1, 0, 0, 0)]).toEqual(['EINVAL', 'EINVAL', 'EINVAL', 0, 0, 0, 'EPERM', 'EPERM', 1, 'EINVAL']);
  expect(g.call('mmap', 0, PAGE, 7, 0x22, -1, 0)).toBe('EACCES');
});
test('mseal refuses lengths that wrap around, and holes beyond all memory', () => {
  const g = bootGuest();
  expect([g.call('mseal', g.buffer, -1, 0), g.call('mseal', g.buffer, -(2 ** 62), 0), g.call('mseal', g.buffer, PAGE, 0), g.call('munmap', g.buffer, PAGE), g.call('mseal', g.buffer + 1, PAGE, 0)]).toEqual(['EINVAL', 'ENOMEM', 0, 'EPERM', 'EINVAL']);
});
