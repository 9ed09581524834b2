// /proc and /sys: formats compared with text taken from Linux 6.18, links, writes, and what becomes of files of a task that is gone.
import { beforeEach, describe, expect, test } from 'vitest';
import { TaskState } from '#kernel/proc/task.ts';
import { MapFlag, Prot } from '#kernel/mm/mman.ts';
import { twoList } from '#kernel/mm/reclaim/two-list.ts';
import { AT_FDCWD, bootGuest, type GuestTask, type Outcome } from '../../support/fs-fixture.ts';

let g: GuestTask;
beforeEach(() => {
  g = bootGuest();
});
const labels = (text: string): string[] => text.trimEnd().split('\n').map((line) => line.split(':')[0]!);
const readlink = (path: string): string => {
  const n = g.call('readlinkat', AT_FDCWD, path, g.buffer, 200);
  return typeof n === 'string' ? `<${n}>` : g.text(n);
};
/** `part` in the order of `whole`. */
function expectInOrder(part: readonly string[], whole: readonly string[]): void {
  expect(part).toEqual(whole.filter((label) => part.includes(label)));
}

describe('formats of Linux 6.18', () => {
  test('maps: columns, padding, what names a range', () => {
    const fd = g.fd('/lib', 0o102);
    g.call('ftruncate', fd, 8192);
    const { mm } = g.task;
    mm.mmap({ addr: 0x10000, len: 0x2000, prot: Prot.Read | Prot.Exec, flags: MapFlag.Private | MapFlag.Fixed, file: g.task.files.get(fd)!.mapping() as never, pgoff: 0 });
    mm.mmap({ addr: 0x20000, len: 0x1000, prot: Prot.Read | Prot.Write, flags: MapFlag.Shared | MapFlag.Fixed, file: g.task.files.get(fd)!.mapping() as never, pgoff: 1 });
    mm.mmap({ addr: 0x30000, len: 0x1000, prot: Prot.Read | Prot.Write, flags: MapFlag.Private | MapFlag.Fixed | MapFlag.Anonymous, file: null, pgoff: 0 });
    mm.startBrk = 0x30000;
    mm.brkEnd = 0x31000;
    g.call('unlinkat', AT_FDCWD, '/lib', 0);
    const { ino } = g.task.files.get(fd)!.inode;
    const lines = g.cat('/proc/2/maps').split('\n').slice(0, 3);
    expect(lines).toEqual([
      `00010000-00012000 r-xp 00000000 00:02 ${ino}                                  /lib (deleted)`,
      `00020000-00021000 rw-s 00001000 00:02 ${ino}                                  /lib (deleted)`,
      '00030000-00031000 rw-p 00000000 00:00 0                                  [heap]',
    ]);
    // A line of the real thing, for the width: 55b71a391000-55b71a3b2000 rw-p 00000000 00:00 0                          [heap]
    expect(lines[2]!.indexOf('[heap]')).toBe('55b71a391000-55b71a3b2000 rw-p 00000000 00:00 0                          [heap]'.indexOf('[heap]'));
    expect(g.cat('/proc/2/maps').split('\n')[3]).toMatch(/^[0-9a-f]{10}-[0-9a-f]{10} rw-p 00000000 00:00 0 $/);
  });

  test('smaps has the fields in order, each in its columns, and smaps_rollup their sums', () => {
    const smaps = g.cat('/proc/2/smaps').split('\n');
    const real = ['Size', 'KernelPageSize', 'MMUPageSize', 'Rss', 'Pss', 'Pss_Dirty', 'Shared_Clean', 'Shared_Dirty', 'Private_Clean', 'Private_Dirty', 'Referenced', 'Anonymous', 'KSM',
      'LazyFree', 'AnonHugePages', 'ShmemPmdMapped', 'FilePmdMapped', 'Shared_Hugetlb', 'Private_Hugetlb', 'Swap', 'SwapPss', 'Locked', 'THPeligible', 'VmFlags'];
    const one = smaps.slice(1, 25);
    expect(one.map((line) => line.split(':')[0])).toEqual(real);
    for (const line of one.slice(0, 22)) expect(line).toMatch(/^.{16} {0,8}\d{1,8} kB$/);
    expect(one[3]).toHaveLength('Rss:                   8 kB'.length);
    expect(one[18]).toBe('Private_Hugetlb:       0 kB');
    expect(one[22]).toMatch(/^THPeligible: {11}[01]$/);
    const sum = smaps.filter((line) => line.startsWith('Rss:')).reduce((total, line) => total + Number(line.split(/ +/)[1]), 0);
    const rollup = g.cat('/proc/2/smaps_rollup').split('\n');
    expect(rollup[0]).toMatch(/^[0-9a-f]{8,}-[0-9a-f]{8,} ---p 00000000 00:00 0 +\[rollup\]$/);
    expect(rollup[0]!.indexOf('[rollup]')).toBe(73);
    expect(Number(rollup[1]!.split(/ +/)[1])).toBe(sum);
    expect(labels(rollup.slice(1).join('\n')).slice(0, 6)).toEqual(['Rss', 'Pss', 'Pss_Dirty', 'Pss_Anon', 'Pss_File', 'Pss_Shmem']);
  });

  test('status: names in order, tabs and columns', () => {
    const real = ['Name', 'Umask', 'State', 'Tgid', 'Ngid', 'Pid', 'PPid', 'TracerPid', 'Uid', 'Gid', 'FDSize', 'Groups', 'NStgid', 'NSpid', 'NSpgid', 'NSsid', 'Kthread', 'VmPeak', 'VmSize',
      'VmLck', 'VmPin', 'VmHWM', 'VmRSS', 'RssAnon', 'RssFile', 'RssShmem', 'VmData', 'VmStk', 'VmExe', 'VmLib', 'VmPTE', 'VmSwap', 'HugetlbPages', 'CoreDumping', 'THP_enabled', 'Threads',
      'SigQ', 'SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Seccomp_filters', 'Cpus_allowed',
      'Cpus_allowed_list', 'Mems_allowed', 'Mems_allowed_list', 'voluntary_ctxt_switches', 'nonvoluntary_ctxt_switches'];
    const text = g.cat('/proc/2/status');
    expect(labels(text)).toEqual(real);
    const { rss } = g.task.mm;
    expect(text).toContain(`VmRSS:\t${String((rss.anonPages + rss.filePages + rss.shmemPages) * 4).padStart(8)} kB\n`);
    expect(text).toContain('State:\tR (running)\n');
    g.task.state = TaskState.Zombie;
    expect(g.cat('/proc/2/status')).toContain('State:\tZ (zombie)\n');
  });

  test('stat has 52 fields, statm 7, limits its table', () => {
    const stat = g.cat('/proc/2/stat');
    expect(stat).toMatch(/^2 \(task2\) R 1 2 2 0 -1 \d+ /);
    expect(stat.trimEnd().split(' ')).toHaveLength(52);
    const fields = stat.split(' ');
    expect(Number(fields[22])).toBe(g.task.mm.totalVm * 4096);
    expect(g.cat('/proc/2/statm').trimEnd().split(' ').map(Number).slice(0, 1)).toEqual([g.task.mm.totalVm]);
    const limits = g.cat('/proc/2/limits').split('\n');
    expect(limits[0]).toBe('Limit                     Soft Limit           Hard Limit           Units     ');
    expect(limits[4]).toBe('Max stack size            8388608              unlimited            bytes     ');
    expect(limits[14]).toBe('Max nice priority         0                    0                    ');
  });

  test('meminfo, vmstat and buddyinfo are parts of the real files, in their order', () => {
    const meminfo = ['MemTotal', 'MemFree', 'MemAvailable', 'Buffers', 'Cached', 'SwapCached', 'Active', 'Inactive', 'Active(anon)', 'Inactive(anon)', 'Active(file)', 'Inactive(file)',
      'Unevictable', 'Mlocked', 'SwapTotal', 'SwapFree', 'Zswap', 'Zswapped', 'Dirty', 'Writeback', 'AnonPages', 'Mapped', 'Shmem', 'KReclaimable', 'Slab', 'SReclaimable', 'SUnreclaim',
      'KernelStack', 'PageTables', 'SecPageTables', 'NFS_Unstable', 'Bounce', 'WritebackTmp', 'CommitLimit', 'Committed_AS', 'VmallocTotal', 'VmallocUsed', 'VmallocChunk', 'Percpu',
      'AnonHugePages', 'ShmemHugePages', 'ShmemPmdMapped', 'FileHugePages', 'FilePmdMapped', 'Balloon', 'HugePages_Total', 'HugePages_Free', 'HugePages_Rsvd', 'HugePages_Surp',
      'Hugepagesize', 'Hugetlb', 'DirectMap4k', 'DirectMap2M', 'DirectMap1G'];
    const text = g.cat('/proc/meminfo');
    expectInOrder(labels(text), meminfo);
    for (const line of text.trimEnd().split('\n')) expect(line).toMatch(line.startsWith('HugePages_') ? /^.{16} {7}0$/ : /^.{16} *\d+ kB$/);
    expect(text).toContain(`${'MemFree:'.padEnd(16)}${String(g.kernel.system.buddy.freePages * 4).padStart(8)} kB\n`);
    const free = g.cat('/proc/buddyinfo').trimEnd().split(/ +/).slice(4).map(Number);
    expect(free.reduce((sum, n, order) => sum + n * (4096 << order), 0)).toBe(g.kernel.system.buddy.freePages * 4096);
    expect(g.cat('/proc/buddyinfo')).toMatch(/^Node 0, zone {3}Normal( {0,6}\d{1,6} ){11}\n$/);
    expect(g.cat('/proc/vmstat')).toMatch(/^nr_free_pages \d+\n/);
  });

  test('pagetypeinfo, zoneinfo and the fragmentation measures agree with buddyinfo and the marks', () => {
    const { buddy, pages } = g.kernel.system;
    const types = g.cat('/proc/pagetypeinfo').split('\n');
    expect(types.slice(0, 4)).toEqual(['Page block order: 9', 'Pages per block:  512', '', `Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10 `]);
    const rows = types.slice(4, 9).map((line) => /^Node {4}0, zone {3}Normal, type +(\w+) ((?: {0,6}\d{1,6} ){11})$/.exec(line)!);
    expect(rows.map((row) => row[1])).toEqual(['Unmovable', 'Movable', 'Reclaimable', 'HighAtomic', 'Isolate']);
    const sums = rows.map((row) => row[2]!.trim().split(/ +/).map(Number)).reduce((sum, row) => sum.map((n, i) => n + row[i]!));
    expect(sums).toEqual(buddy.counts());
    expect(types[10]).toBe('Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate ');
    expect(types[11]).toMatch(/^Node 0, zone {3}Normal( +\d+ ){5}$/);
    const zone = g.cat('/proc/zoneinfo');
    expect(zone).toMatch(/^Node 0, zone {3}Normal\n {2}per-node stats\n {6}nr_\w+ +\d+\n/);
    for (const [label, n] of [['low', pages.watermarks.low], ['managed', pages.managedPages], ['boost', 0]] as const) expect(zone).toContain(`        ${label.padEnd(8)} ${n}\n`);
    expect(zone).toContain(`  pages free     ${buddy.freePages}\n`);
    expect(zone).toContain(`              count:    ${pages.pcp.count}\n              high:     ${pages.pcp.high}\n              batch:    ${pages.pcp.batch}\n`);
    expect(g.cat('/sys/kernel/debug/extfrag/extfrag_index')).toBe(`Node 0, zone   Normal ${'-1.000 '.repeat(11)}\n`);
    expect(g.cat('/sys/kernel/debug/extfrag/unusable_index')).toMatch(/^Node 0, zone {3}Normal 0\.000 (0\.\d{3} ){10}\n$/);
    expect(g.cat('/proc/sys/vm/watermark_boost_factor')).toBe('15000\n');
  });

  test('cpuinfo as riscv has it, mounts, uptime', () => {
    expect(g.cat('/proc/cpuinfo')).toMatch(/^processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc_\S+\nmmu\t\t: sv39\n/);
    expect(g.cat('/proc/2/mounts')).toContain('proc /proc proc rw,relatime 0 0\n');
    g.kernel.machine.charge(1_239_000_000);
    expect(g.cat('/proc/uptime')).toMatch(/^1\.2[34] 0\.00\n$/);
    expect(g.cat('/proc/sys/kernel/osrelease')).toMatch(/^6\.18\.0/);
  });
});

describe('links', () => {
  test('self, fd, cwd, and reopening through them', () => {
    const fd = g.fd('/f', 0o102);
    g.write(fd, 'hello');
    expect([readlink('/proc/self'), readlink('/proc/thread-self'), readlink('/proc/mounts'), readlink(`/proc/self/fd/${fd}`)]).toEqual(['2', '2/task/2', 'self/mounts', '/f']);
    g.call('unlinkat', AT_FDCWD, '/f', 0);
    expect(g.read(g.fd(`/proc/self/fd/${fd}`))).toBe('hello');
    expect(readlink('/proc/self/fd/77')).toBe('<ENOENT>');
    g.call('pipe2', g.buffer, 0);
    expect(readlink('/proc/self/fd/5')).toMatch(/^pipe:\[\d+\]$/);
    expect(g.ls('/proc/self/fd')).toMatch(/^(\d+@ ?)+$/);
    expect(g.cat(`/proc/2/fdinfo/${fd}`)).toMatch(/^pos:\t5\nflags:\t0100002\nino:\t\d+\n$/);
  });
  test('an empty pipe reopened through /proc is the same pipe', () => {
    g.call('pipe2', g.buffer, 0);
    const view = new DataView(g.bytes(8).buffer);
    expect(g.write(view.getInt32(4, true), 'via')).toBe(3);
    const again = g.open(`/proc/self/fd/${view.getInt32(0, true)}`, 0);
    expect(typeof again === 'number' ? g.read(again) : again).toBe('via');
  });
});

describe('writing', () => {
  const echo = (text: string, path: string): Outcome => {
    const fd = g.open(path, 1);
    if (typeof fd === 'string') return fd;
    const n = g.write(fd, text);
    g.call('close', fd);
    return n;
  };
  const THP = '/sys/kernel/mm/transparent_hugepage';
  test('the transparent_hugepage tree takes Linux\'s words and refuses others', () => {
    expect(echo('always\n', `${THP}/hugepages-64kB/enabled`)).toBe(7);
    expect(g.cat(`${THP}/hugepages-64kB/enabled`)).toBe('[always] inherit madvise never\n');
    expect(g.kernel.system.thp.modeOf(4)).toBe('always');
    expect(echo('sometimes', `${THP}/enabled`)).toBe('EINVAL');
    expect(echo('1', `${THP}/hugepages-64kB/stats/anon_fault_alloc`)).toBe('EACCES');
    expect(g.ls(THP)).toContain('hugepages-2048kB/');
  });
  test('the lru_gen tree switches MGLRU on and off, and takes its commands', () => {
    const [enabled, ttl, debug] = ['/sys/kernel/mm/lru_gen/enabled', '/sys/kernel/mm/lru_gen/min_ttl_ms', '/sys/kernel/debug/lru_gen'];
    const { system } = g.kernel;
    system.lru.setKind(twoList);
    expect([g.cat(enabled), g.cat(debug)]).toEqual(['0x0002\n', '']);
    expect([echo('y\n', enabled), g.cat(enabled), system.lru.kind.name]).toEqual([2, '0x0003\n', 'mglru']);
    expect([echo('1000\n', ttl), g.cat(ttl), echo('-1', ttl), echo('maybe', enabled)]).toEqual([5, '1000\n', 'EINVAL', 'EINVAL']);
    expect(g.cat(debug)).toMatch(/^memcg {5}1 \/\n node {5}0\n( {10}\d( {10,}\d+){3} \n)+$/);
    expect([echo('+ 1 0 3\n', debug), echo('- 1 0 1\n', debug), echo('+ 1 0 9\n', debug), echo('- 1 0 9\n', debug), echo('+ 77 0 3\n', debug)]).toEqual([8, 8, 'EINVAL', 'EINVAL', 'EINVAL']);
    expect(g.cat('/sys/kernel/debug/lru_gen_full')).toMatch(/0 {10}0r {10}0e {10}0p/);
    expect([echo('n', enabled), system.lru.kind.name]).toEqual([1, 'two-list']);
    system.check();
  });
  test('sysctls take numbers in their range', () => {
    const file = '/proc/sys/vm/overcommit_memory';
    expect([echo('1\n', file), g.cat(file), echo('7', file), echo('x', file), echo('', file)]).toEqual([2, '1\n', 'EINVAL', 'EINVAL', 0]);
    expect([echo('0x2', file), g.kernel.params.vm.overcommit_memory]).toEqual([3, 2]);
    // A switch of what there is only one way of: only that way may be written.
    expect([g.cat('/proc/sys/vm/panic_on_oom'), echo('0', '/proc/sys/vm/panic_on_oom'), echo('1', '/proc/sys/vm/panic_on_oom')]).toEqual(['0\n', 1, 'EINVAL']);
    // More than a number holds.
    const max = '/proc/sys/kernel/shmmax';
    expect([g.cat(max), echo('18446744073709551615', max), g.cat(max), echo('18446744073709551616', max)]).toEqual(['18446744073692774399\n', 20, '18446744073709551615\n', 'EINVAL']);
    expect([echo('9', '/proc/sys/kernel/osrelease'), echo('9', '/proc/version')]).toEqual(['EACCES', 'EINVAL']);
    expect(g.kernel.vfs.writeWhole(file, new TextEncoder().encode('0\n'))).toBe(0);
    expect(g.kernel.vfs.writeWhole('/proc/sys/vm/nonsense', new TextEncoder().encode('0\n'))).toBe(-2);
  });
  test('oom_score_adj and comm', () => {
    expect([echo('-500', '/proc/self/oom_score_adj'), g.task.process.oomScoreAdj, echo('1001', '/proc/self/oom_score_adj')]).toEqual([4, -500, 'EINVAL']);
    expect([echo('a name that is long\n', '/proc/self/comm'), g.cat('/proc/2/comm')]).toEqual([20, 'a name that is \n']);
  });
});

test('pagemap is words by page, in whole words only', () => {
  g.task.user.zero(g.buffer, 1);
  const fd = g.fd('/proc/self/pagemap');
  const at = g.buffer + 8192;
  expect(g.call('pread64', fd, at, 16, (g.buffer / 4096) * 8)).toBe(16);
  const [first, second] = new BigUint64Array(g.bytes(16, at).buffer);
  expect(first! >> 63n).toBe(1n);
  expect(second! >> 63n).toBe(0n);
  const pfn = Number(first! & ((1n << 55n) - 1n));
  const counts = g.fd('/proc/kpagecount');
  expect(g.call('pread64', counts, at, 8, pfn * 8)).toBe(8);
  expect(g.words(1, at)).toEqual([1]);
  expect([g.call('pread64', fd, at, 12, 0), g.call('pread64', fd, at, 8, 4)]).toEqual(['EINVAL', 'EINVAL']);
});

test('a text is made when a read begins at its start, and read on from there', () => {
  const fd = g.fd('/proc/self/comm');
  expect(g.read(fd, 3)).toBe('tas');
  g.task.comm = 'other';
  expect([g.read(fd), g.read(fd)]).toEqual(['k2\n', '']);
  g.call('lseek', fd, 0, 0);
  expect(g.read(fd)).toBe('other\n');
});

test('files of a task that is gone answer ESRCH, its directory is empty', () => {
  const child = g.child();
  const fd = g.fd('/proc/3/status');
  const dir = g.fd('/proc/3', 0o200000);
  expect(g.ls('/proc')).toContain('3/');
  expect(g.cat('/proc/3/stat')).toMatch(/^3 \(task3\)/);
  child.kernel.tasks.delete(3);
  child.kernel.processes.delete(3);
  expect([g.read(fd), g.open('/proc/3/stat'), g.call('openat', dir, 'stat', 0, 0)]).toEqual(['<ESRCH>', 'ENOENT', 'ENOENT']);
});
