// /sys/fs/cgroup: the files of groups, their formats, what may be written, mkdir and rmdir, joining.
import { beforeEach, describe, expect, test } from 'vitest';
import { AT_FDCWD, bootGuest, type GuestTask } from '../../support/fs-fixture.ts';

let g: GuestTask;
beforeEach(() => {
  g = bootGuest();
});
const ROOT = '/sys/fs/cgroup';
const write = (path: string, text: string): number | string => {
  const fd = g.call('openat', AT_FDCWD, path, 1, 0);
  if (typeof fd === 'string') return fd;
  const n = g.write(fd, text);
  g.call('close', fd);
  return n;
};

describe('the tree', () => {
  test('is mounted as cgroup2, and a directory made there is a group with its files', () => {
    expect(g.cat('/proc/2/mounts')).toContain(`cgroup2 ${ROOT} cgroup2 rw`);
    expect(g.call('mkdirat', AT_FDCWD, `${ROOT}/w`, 0o755)).toBe(0);
    expect(g.cat(`${ROOT}/w/memory.max`)).toBe('max\n');
    expect(g.cat(`${ROOT}/w/memory.current`)).toBe('0\n');
    expect(g.cat(`${ROOT}/w/memory.events`)).toBe('low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n');
    expect(g.cat(`${ROOT}/w/cgroup.events`)).toBe('populated 0\nfrozen 0\n');
    expect(g.cat(`${ROOT}/w/memory.stat`).split('\n')[0]).toBe('anon 0');
    expect(g.call('mkdirat', AT_FDCWD, `${ROOT}/w`, 0o755)).toBe('EEXIST');
    expect(g.call('mkdirat', AT_FDCWD, `${ROOT}/w/below`, 0o755)).toBe('EAGAIN');
    expect(g.call('openat', AT_FDCWD, `${ROOT}/w/own`, 0o101, 0o644)).toBe('EPERM');
    expect(g.call('openat', AT_FDCWD, `${ROOT}/memory.max`, 0, 0)).toBe('ENOENT');
  });
  test('a group goes when it is empty, and not before', () => {
    g.call('mkdirat', AT_FDCWD, `${ROOT}/w`, 0o755);
    expect(write(`${ROOT}/w/cgroup.procs`, '0\n')).toBe(2);
    expect(g.cat(`${ROOT}/w/cgroup.procs`)).toBe('2\n');
    expect(g.cat(`${ROOT}/cgroup.procs`)).toBe('');
    expect(g.cat('/proc/2/cgroup')).toBe('0::/w\n');
    expect(g.call('unlinkat', AT_FDCWD, `${ROOT}/w`, 0x200)).toBe('EBUSY');
    expect(write(`${ROOT}/cgroup.procs`, '2')).toBe(1);
    expect(g.call('unlinkat', AT_FDCWD, `${ROOT}/w`, 0x200)).toBe(0);
    expect(g.call('openat', AT_FDCWD, `${ROOT}/w/memory.max`, 0, 0)).toBe('ENOENT');
    expect(write(`${ROOT}/cgroup.procs`, '4711')).toBe('ESRCH');
  });
});

describe('limits', () => {
  beforeEach(() => {
    g.call('mkdirat', AT_FDCWD, `${ROOT}/w`, 0o755);
  });
  test.each([['64M\n', '67108864\n'], ['max', 'max\n'], ['4097', '4096\n'], ['1g', '1073741824\n']])('memory.max takes %j', (text, shown) => {
    expect(write(`${ROOT}/w/memory.max`, text)).toBe(text.length);
    expect(g.cat(`${ROOT}/w/memory.max`)).toBe(shown);
  });
  test.each(['', 'much', '-1', '12Q'])('memory.max refuses %j', (text) => {
    if (text !== '') expect(write(`${ROOT}/w/memory.max`, text)).toBe('EINVAL');
    expect(g.cat(`${ROOT}/w/memory.max`)).toBe('max\n');
  });
  test('memory.reclaim takes a size and a swappiness, and says EAGAIN when so much cannot be had', () => {
    expect(write(`${ROOT}/w/memory.reclaim`, '4K swappiness=300')).toBe('EINVAL');
    expect(write(`${ROOT}/w/memory.reclaim`, '4K size=3')).toBe('EINVAL');
    expect(write(`${ROOT}/w/memory.reclaim`, '1M')).toBe('EAGAIN');
  });
  test.each([['memory.oom.group', 0], ['memory.zswap.writeback', 1]])('%s is a switch, at first %i', (file, first) => {
    expect(g.cat(`${ROOT}/w/${file}`)).toBe(`${first}\n`);
    expect(write(`${ROOT}/w/${file}`, `${1 - first}\n`)).toBe(2);
    expect(g.cat(`${ROOT}/w/${file}`)).toBe(`${1 - first}\n`);
    for (const text of ['2', '-1', 'y']) expect(write(`${ROOT}/w/${file}`, text)).toBe('EINVAL');
    expect(g.cat(`${ROOT}/w/${file}`)).toBe(`${1 - first}\n`);
  });
  test.each(['memory.swap.high', 'memory.zswap.max'])('%s takes bytes or max, and 0', (file) => {
    expect(g.cat(`${ROOT}/w/${file}`)).toBe('max\n');
    for (const [text, shown] of [['8M', '8388608\n'], ['5000', '4096\n'], ['0', '0\n'], ['max', 'max\n']] as const) {
      expect(write(`${ROOT}/w/${file}`, text)).toBe(text.length);
      expect(g.cat(`${ROOT}/w/${file}`)).toBe(shown);
    }
    expect(write(`${ROOT}/w/${file}`, 'some')).toBe('EINVAL');
  });
  test('of zswap the root has the switch for all, and neither limit nor sum', () => {
    expect(g.cat(`${ROOT}/memory.zswap.writeback`)).toBe('1\n');
    expect(write(`${ROOT}/memory.zswap.writeback`, '0')).toBe(1);
    for (const file of ['memory.zswap.max', 'memory.zswap.current', 'memory.swap.high']) expect(g.call('openat', AT_FDCWD, `${ROOT}/${file}`, 0, 0)).toBe('ENOENT');
    expect(g.cat(`${ROOT}/w/memory.zswap.current`)).toBe('0\n');
    expect(write(`${ROOT}/w/memory.zswap.current`, '0')).toBe('EACCES');
    // Each file says what was written to it; the root's counts for all.
    expect(g.cat(`${ROOT}/w/memory.zswap.writeback`)).toBe('1\n');
  });
});
