// Regular files: bytes, holes, positions, sizes, seals. Errno tables recorded on Linux 6.18 (tmpfs).
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { Signal } from '#kernel/proc/sigset.ts';
import { AT_FDCWD, bootGuest, type GuestTask, type Outcome } from '../../support/fs-fixture.ts';

const RDWR_CREAT = 0o102;
const [SET, CUR, END, DATA, HOLE] = [0, 1, 2, 3, 4];
let g: GuestTask;
let fd: number;
beforeEach(() => {
  g = bootGuest();
  fd = g.fd('/f', RDWR_CREAT);
});
const lseek = (offset: number, whence: number): Outcome => g.call('lseek', fd, offset, whence);
const pread = (len: number, pos: number): string => {
  const n = g.call('pread64', fd, g.buffer, len, pos);
  return typeof n === 'string' ? `<${n}>` : g.text(n);
};
const stat = (): { size: number; blocks: number } => {
  g.call('fstat', fd, g.buffer);
  const words = g.words(16);
  return { size: words[6]!, blocks: words[8]! };
};

test('what fallocate set aside is not in memory to mincore, and a hole to SEEK_DATA, until somebody uses it', () => {
  const g = bootGuest();
  const fd = g.fd('/file', 0o102);
  g.call('fallocate', fd, 0, 0, 4 * 4096);
  const at = g.call('mmap', 0, 4 * 4096, 3, 1, fd, 0) as number;
  const resident = (): number[] => (g.call('mincore', at, 4 * 4096, g.buffer), [...g.bytes(4)]);
  expect([resident(), g.call('lseek', fd, 0, 3)]).toEqual([[0, 0, 0, 0], 'ENXIO']);
  g.task.user.u8(at + 2 * 4096);
  expect([resident(), g.call('lseek', fd, 0, 3), g.call('lseek', fd, 8192, 4)]).toEqual([[0, 0, 1, 0], 8192, 12288]);
});
test('holes read as zeros, take no room, and SEEK_DATA and SEEK_HOLE find their edges', () => {
  expect(lseek(0, DATA)).toBe('ENXIO');
  expect(lseek(0, HOLE)).toBe('ENXIO');
  g.call('ftruncate', fd, 8192);
  expect([lseek(0, DATA), lseek(0, HOLE), lseek(8192, HOLE), lseek(9000, DATA)]).toEqual(['ENXIO', 0, 'ENXIO', 'ENXIO']);
  g.call('pwrite64', fd, 'x', 1, 4096);
  expect([lseek(0, DATA), lseek(5000, DATA), lseek(5000, HOLE), lseek(0, HOLE)]).toEqual([4096, 5000, 8192, 0]);
  expect(g.call('fallocate', fd, 0, 0, 8192)).toBe(0);
  expect([lseek(0, DATA), stat()]).toEqual([4096, { size: 8192, blocks: 16 }]);
  expect(g.call('fallocate', fd, 3, 4096, 4096)).toBe(0);
  expect([pread(1, 4096), lseek(0, DATA), stat()]).toEqual(['\0', 'ENXIO', { size: 8192, blocks: 8 }]);
  expect(lseek(10, 7)).toBe('EINVAL');
});

test.each<[string, (mode: number) => Outcome, Outcome]>([
  ['a negative offset', () => g.call('fallocate', fd, 0, -1, 1), 'EINVAL'],
  ['no length', () => g.call('fallocate', fd, 0, 0, 0), 'EINVAL'],
  ['punching without keeping the size', () => g.call('fallocate', fd, 2, 0, 4096), 'EOPNOTSUPP'],
  ['zeroing, which tmpfs does not do', () => g.call('fallocate', fd, 0x10, 0, 4096), 'EOPNOTSUPP'],
  ['collapsing, neither', () => g.call('fallocate', fd, 8, 0, 4096), 'EOPNOTSUPP'],
  ['more than memory', () => g.call('fallocate', fd, 0, 0, 2 ** 40), 'ENOSPC'],
])('fallocate: %s', (_what, make, answer) => {
  expect(make(0)).toBe(answer);
  expect(stat().blocks).toBe(0);
});

test('O_APPEND writes at the end, pwrite too; the position follows write alone', () => {
  const ap = g.fd('/ap', RDWR_CREAT | 0o2000);
  g.write(ap, 'abc');
  g.call('lseek', ap, 0, SET);
  g.write(ap, 'def');
  g.call('pwrite64', ap, 'XY', 2, 0);
  expect(g.call('lseek', ap, 0, CUR)).toBe(6);
  expect(g.cat('/ap')).toBe('abcdefXY');
  expect(g.call('lseek', ap, 100, END)).toBe(108);
});

test('shrinking and growing again shows zeros, also within a page', () => {
  g.write(fd, 'hello world');
  g.call('ftruncate', fd, 5);
  g.call('ftruncate', fd, 11);
  expect(pread(20, 0)).toBe('hello\0\0\0\0\0\0');
});

describe('bad memory', () => {
  test('a read or write stops at the first bad page, and only what moved counts', () => {
    const { mm } = g.task;
    const two = mm.mmap({ addr: 0, len: 8192, prot: Prot.Read | Prot.Write, flags: MapFlag.Private | MapFlag.Anonymous, file: null, pgoff: 0 });
    mm.munmap(two + 4096, 4096);
    expect(g.call('write', fd, two + 4090, 20)).toBe(6);
    expect(lseek(0, CUR)).toBe(6);
    lseek(0, SET);
    expect(g.call('read', fd, two + 4094, 5)).toBe(2);
    expect(lseek(0, CUR)).toBe(2);
    lseek(0, SET);
    expect(g.call('read', fd, two + 4096, 5)).toBe('EFAULT');
    expect(lseek(0, CUR)).toBe(0);
  });
  test.each<[string, () => Outcome, Outcome]>([
    ['writing from nowhere', () => g.call('write', fd, 8, 4), 'EFAULT'],
    ['reading at the end to nowhere', () => g.call('read', fd, 8, 4), 0],
    ['an address of the kernel', () => g.call('read', fd, -8, 4), 'EFAULT'],
    ['a length beyond everything', () => g.call('read', fd, g.buffer, -1), 'EFAULT'],
    ['nothing to nowhere', () => g.call('read', fd, 8, 0), 0],
    ['too many pieces', () => g.call('readv', fd, g.buffer, 1025), 'EINVAL'],
    ['a negative number of pieces', () => g.call('readv', fd, g.buffer, -1), 'EINVAL'],
    ['no pieces', () => g.call('readv', fd, g.buffer, 0), 0],
    ['a negative position', () => g.call('pread64', fd, g.buffer, 1, -1), 'EINVAL'],
  ])('%s', (_what, make, answer) => {
    expect(make()).toBe(answer);
  });
});

test('writev and readv go through their pieces in order', () => {
  const iov = (pieces: readonly (readonly [number, number])[]): Uint8Array => new Uint8Array(new BigInt64Array(pieces.flat().map(BigInt)).buffer);
  g.task.user.write(g.buffer, new TextEncoder().encode('abcdefgh'));
  expect(g.call('writev', fd, iov([[g.buffer + 4, 2], [g.buffer, 0], [g.buffer, 3]]), 3)).toBe(5);
  expect(g.cat('/f')).toBe('efabc');
  lseek(0, SET);
  expect(g.call('readv', fd, iov([[g.buffer + 100, 1], [g.buffer + 200, 9]]), 2)).toBe(5);
  expect(g.text(1, g.buffer + 100) + g.text(4, g.buffer + 200)).toBe('efabc');
});

test('RLIMIT_FSIZE cuts a write short, then sends SIGXFSZ', () => {
  g.task.process.limits[1] = { cur: 20, max: 20 };
  expect(g.write(fd, 'x'.repeat(30))).toBe(20);
  expect(g.task.pending.has(Signal.XFSZ)).toBe(false);
  expect(g.write(fd, 'x')).toBe('EFBIG');
  expect(g.task.pending.has(Signal.XFSZ)).toBe(true);
  expect(g.call('ftruncate', fd, 21)).toBe('EFBIG');
  expect(g.call('ftruncate', fd, 5)).toBe(0);
});

test('sendfile and copy_file_range move bytes and positions', () => {
  const to = g.fd('/to', RDWR_CREAT);
  g.write(fd, '0123456789');
  lseek(2, SET);
  expect([g.call('sendfile', to, fd, 0, 5), lseek(0, CUR)]).toEqual([5, 7]);
  const [at1, at2] = [g.buffer, g.buffer + 8];
  g.task.user.setU64(at1, 8);
  g.task.user.setU64(at2, 1);
  expect(g.call('copy_file_range', fd, at1, to, at2, 100, 0)).toBe(2);
  expect([g.words(2), g.cat('/to')]).toEqual([[10, 3], '28956']);
  g.task.user.setU64(at1, 0);
  g.task.user.setU64(at2, 3);
  expect(g.call('copy_file_range', fd, at1, fd, at2, 5, 0)).toBe('EINVAL');
});

test('seals say what may no longer be done', () => {
  const m = g.call('memfd_create', 's', 2) as number;
  const seal = (bits: number): Outcome => g.call('fcntl', m, 1033, bits);
  const mmap = (prot: number): Outcome => g.call('mmap', 0, 4096, prot, 1, m, 0);
  g.call('ftruncate', m, 4096);
  expect([seal(2), g.call('ftruncate', m, 0), g.call('ftruncate', m, 8192)]).toEqual([0, 'EPERM', 0]);
  const map = mmap(3) as number;
  expect(seal(8)).toBe('EBUSY');
  g.call('munmap', map, 4096);
  expect([seal(8), g.write(m, 'x'), mmap(3), typeof mmap(1)]).toEqual([0, 'EPERM', 'EPERM', 'number']);
  expect([seal(4 | 1), g.call('ftruncate', m, 10000), seal(4), g.call('fcntl', m, 1034)]).toEqual([0, 'EPERM', 'EPERM', 15]);
  const plain = g.call('memfd_create', 'p', 0) as number;
  expect(g.call('fcntl', plain, 1034)).toBe(1);
});

test('times: relatime, utimensat, and what a write changes', () => {
  const times = (): number[] => {
    g.call('fstat', fd, g.buffer);
    return [9, 11, 13].map((i) => g.words(16)[i]! );
  };
  const [a0] = times();
  g.kernel.machine.charge(5_000_000_000);
  g.write(fd, 'x');
  const [a1, m1, c1] = times();
  expect([a1, m1, c1]).toEqual([a0, a0! + 5, a0! + 5]);
  g.kernel.machine.charge(1_000_000_000);
  pread(1, 0);
  expect(times()).toEqual([a0! + 6, m1, c1]);
  g.kernel.machine.charge(1_000_000_000);
  pread(1, 0);
  expect(times()).toEqual([a0! + 6, m1, c1]); // newer than the last change already: relatime leaves it
  const spec = new Uint8Array(new BigInt64Array([100n, 5n, 0n, 0x3ffffffen]).buffer);
  expect(g.call('utimensat', AT_FDCWD, '/f', spec, 0)).toBe(0);
  expect(times().slice(0, 2)).toEqual([100, m1]);
});

/** Random writes, cuts, holes and reads against a plain array; pages count what was touched. */
test('a file holds what an array holds', () => {
  const size = fc.integer({ min: 0, max: 40000 });
  const step = fc.oneof(
    fc.record({ what: fc.constant('write' as const), at: size, len: fc.integer({ min: 1, max: 9000 }) }),
    fc.record({ what: fc.constant('cut' as const), at: size, len: size }),
    fc.record({ what: fc.constant('punch' as const), at: size, len: fc.integer({ min: 1, max: 20000 }) }),
    fc.record({ what: fc.constant('read' as const), at: size, len: fc.integer({ min: 1, max: 9000 }) }),
  );
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
    g = bootGuest({ ramBytes: 8 << 20 });
    fd = g.fd('/f', RDWR_CREAT);
    let model = new Uint8Array(0);
    const grow = (to: number): void => {
      if (to <= model.length) return;
      const more = new Uint8Array(to);
      more.set(model);
      model = more;
    };
    for (const [i, { what, at, len }] of steps.entries()) {
      if (what === 'write') {
        const bytes = new Uint8Array(len).fill(i + 1);
        expect(g.call('pwrite64', fd, bytes, len, at)).toBe(len);
        grow(at + len);
        model.set(bytes, at);
      } else if (what === 'cut') {
        expect(g.call('ftruncate', fd, at)).toBe(0);
        grow(at);
        model = model.slice(0, at);
      } else if (what === 'punch') {
        expect(g.call('fallocate', fd, 3, at, len)).toBe(0);
        model.fill(0, Math.min(at, model.length), Math.min(at + len, model.length));
      } else {
        const n = g.call('pread64', fd, g.buffer, len, at) as number;
        expect(n).toBe(Math.max(0, Math.min(len, model.length - at)));
        expect(g.bytes(n)).toEqual(model.slice(at, at + n));
      }
      expect(stat().size).toBe(model.length);
    }
    expect(g.kernel.vfs.readWhole('/f')).toEqual(model);
    // Every byte that is not zero lies in what SEEK_DATA and SEEK_HOLE call data.
    const isData = new Array<boolean>(Math.ceil(model.length / 4096)).fill(false);
    for (let at = 0; ;) {
      const data = lseek(at, DATA);
      if (typeof data === 'string') break;
      const hole = lseek(data, HOLE) as number;
      for (let page = Math.floor(data / 4096); page * 4096 < hole; page++) isData[page] = true;
      at = hole;
    }
    model.forEach((byte, i) => {
      if (byte !== 0 && !isData[i >> 12]) expect.fail(`byte ${i} is in a hole`);
    });
    g.kernel.system.check();
  }), { numRuns: 60 });
});

test('an open directory and an O_PATH file do not read', () => {
  const dir = g.fd('/');
  expect([g.read(dir), g.write(dir, 'x'), g.call('lseek', dir, 0, END), g.call('ftruncate', dir, 0)]).toEqual(['<EISDIR>', 'EBADF', 'EINVAL', 'EINVAL']);
  const path = g.fd('/f', 0o10000000);
  expect([g.read(path), g.call('fchmod', path, 0o600), g.call('ioctl', path, 0, 0), g.call('lseek', path, 0, 0), g.call('fchdir', path)])
    .toEqual(['<EBADF>', 'EBADF', 'EBADF', 'EBADF', 'ENOTDIR']);
  expect(g.call('fcntl', path, 3, 0)).toBe(0o10000000);
});
