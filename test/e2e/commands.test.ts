// The commands as a person uses them: results on standard output, everything else on standard error, exit statuses as documented.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { findCompiler } from '#tools/commands/cc.ts';
import { checkStat, type StatReport } from '#tools/schema.ts';
import { quire, scratch } from '../support/cli.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const small = ['gups', '--words', '16384', '--updates', '20000'];
const statJson = (...words: string[]): StatReport => {
  const ended = quire(['stat', '--json', '--mem', '64M', ...words]);
  expect(ended.status, ended.stderr).toBe(0);
  return JSON.parse(ended.stdout) as StatReport;
};
const withoutHost = ({ host: _, ...rest }: StatReport): Omit<StatReport, 'host'> => rest;

describe('quire run', () => {
  const run = (...words: string[]) => quire(['run', '--mem', '64M', ...words]);
  test('prints what the program prints, and nothing else', () => {
    expect(run('--', 'sh', '-c', 'echo to out; echo to err >&2')).toEqual({ status: 0, stdout: 'to out\n', stderr: 'to err\n' });
  });
  test('ends with the program\'s exit status', () => { expect(run('--', 'sh', '-c', 'exit 42').status).toBe(42); });
  test('ends with 128 + N when signal N ended the program', () => { expect(run('--', 'sh', '-c', 'kill -TERM $$').status).toBe(128 + 15); });
  test('ends with 124 when the budget is used up', () => { expect(run('--max-insn', '1000', '--', ...small).status).toBe(124); });
  test('hands standard input on', () => { expect(quire(['run', '--mem', '64M', '--', 'cat'], 'one\ntwo\n').stdout).toBe('one\ntwo\n'); });
  test('a large input arrives whole', () => {
    const text = 'a line of some length, again and again\n'.repeat(20_000);
    expect(quire(['run', '--mem', '64M', '--', 'wc', '-c'], text).stdout.trim()).toBe(`${text.length}`);
  });
  test('--stdin takes a file instead', () => { expect(run('--stdin', host.file('in', 'from a file\n'), '--', 'cat').stdout).toBe('from a file\n'); });
  test('--file brings a file in', () => {
    expect(run('--file', `${host.file('data', 'brought in\n')}:/tmp/deep/data`, '--', 'cat', '/tmp/deep/data').stdout).toBe('brought in\n');
  });
  test('--root brings a folder in, programs included', () => {
    mkdirSync(host.path('root/etc'), { recursive: true });
    writeFileSync(host.path('root/etc/motd'), 'welcome\n');
    expect(run('--root', host.path('root'), '--', 'cat', '/etc/motd').stdout).toBe('welcome\n');
  });
  test('--share copies a folder to a guest path, over what --root has there; what the program does to it stays in the guest', () => {
    mkdirSync(host.path('shared/deep'), { recursive: true });
    writeFileSync(host.path('shared/deep/a'), 'one\n');
    writeFileSync(host.path('shared/run.sh'), 'echo ran', { mode: 0o755 });
    symlinkSync('deep/a', host.path('shared/link'));
    const share = `${host.path('shared')}:/data/in/`;
    expect(run('--share', share, '--', 'sh', '-c', 'cat /data/in/link; sh /data/in/run.sh; echo changed > /data/in/deep/a; rm /data/in/run.sh; cat /data/in/deep/a; ls /data/in')).toMatchObject({ status: 0, stdout: 'one\nran\nchanged\ndeep\nlink\n' });
    expect(readFileSync(host.path('shared/deep/a'), 'utf8') + readFileSync(host.path('shared/run.sh'), 'utf8')).toBe('one\necho ran');
    mkdirSync(host.path('etc'));
    writeFileSync(host.path('etc/motd'), 'shared\n');
    expect(run('--root', host.path('root'), '--share', `${host.path('etc')}:/etc`, '--share', `${host.path('shared')}:/`, '--', 'cat', '/etc/motd', '/deep/a').stdout).toBe('shared\none\n');
    const report = JSON.parse(quire(['stat', '--json', '--share', share, '--', 'true']).stdout) as { config: { files: { path: string; sha256: string }[] } };
    expect(report.config.files.map(({ path }) => path)).toEqual(expect.arrayContaining(['/data/in/deep/a', '/data/in/run.sh']));
  });
  test('links of --root lead where they led on the host, and have the place of bundled tools', () => {
    mkdirSync(host.path('linked/usr/bin'), { recursive: true });
    writeFileSync(host.path('linked/usr/bin/hi'), '#!/bin/sh\necho hi from $0\n', { mode: 0o755 });
    symlinkSync('usr/bin', host.path('linked/bin'));
    symlinkSync('hi', host.path('linked/usr/bin/cat'));
    expect(run('--root', host.path('linked'), '--', 'sh', '-c', '/bin/cat; /usr/bin/cat').stdout).toBe('hi from /bin/cat\nhi from /usr/bin/cat\n');
    expect(run('--root', host.path('linked'), '--', '/bin/cat').stdout).toBe('hi from /bin/cat\n');
    expect(run('--root', host.path('linked'), '--', '/usr/bin/true').status).toBe(0);
  });
  test('--env sets the environment, the last one wins', () => {
    expect(run('--env', 'A=1', '--env', 'A=2', '--', 'sh', '-c', 'echo $A').stdout).toBe('2\n');
  });
  test('--set writes a file of the kernel before the program starts', () => {
    const file = '/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled';
    expect(run('--', 'cat', file).stdout).toBe('always inherit madvise [never]\n');
    expect(run('--set', `${file}=madvise`, '--', 'cat', file).stdout).toBe('always inherit [madvise] never\n');
    expect(run('--mthp', '64k=always', '--', 'cat', file).stdout).toBe('[always] inherit madvise never\n');
  });
});

describe('quire stat', () => {
  test('twice the same, byte for byte but for host', () => {
    const [a, b] = [statJson('--', ...small), statJson('--', ...small)];
    expect(JSON.stringify(withoutHost(a))).toBe(JSON.stringify(withoutHost(b)));
  });
  test('another seed or another argument gives another state', () => {
    const hashes = [[], ['--seed', '2']].map((options) => statJson(...options, '--', ...small).stateHash);
    expect(new Set([...hashes, statJson('--', ...small, '--seed', '2').stateHash]).size).toBe(3);
  });
  // One of each kind: a unified L2, none, one for each side, no page-walk cache. Every preset meets every workload in test/userland.
  test.each(['generic', 'ideal', 'zen4', 'tiny'])('the report of preset %s has the declared shape, and every level adds up', (name) => {
    const report = statJson('--preset', name, '--', ...small);
    expect(checkStat(report)).toEqual([]);
    expect(report.tlb.l1i.lookups).toBeGreaterThanOrEqual(report.clock.instructions);
    expect(report.tlb.walks.count).toBe((report.tlb.l2 ?? { misses: report.tlb.l1d.misses + report.tlb.l1i.misses }).misses + (report.tlb.l2i?.misses ?? 0));
  });
  test('a preset printed as JSON and read back counts the same', () => {
    const file = host.file('tlb.json', quire(['presets', 'skylake']).stdout);
    const [named, read] = [statJson('--preset', 'skylake', '--', ...small), statJson('--tlb', file, '--', ...small)];
    expect(read.tlb).toEqual(named.tlb);
    expect(read.clock).toEqual(named.clock);
    expect([named.config.preset, read.config.preset]).toEqual(['skylake', null]);
  });
  test('the report is the result; the program\'s own output does not mix with it', () => {
    const onStdout = quire(['stat', '--mem', '64M', '--', 'echo', 'hello there']);
    expect(onStdout.stderr).toBe('hello there\n');
    expect(onStdout.stdout).toMatch(/instructions\n/);
    const toFile = quire(['stat', '--mem', '64M', '-o', host.path('report'), '--', 'echo', 'hello there']);
    expect([toFile.stdout, toFile.stderr]).toEqual(['hello there\n', '']);
    expect(readFileSync(host.path('report'), 'utf8')).toMatch(/instructions\n/);
  });
  test('a budget that is used up is reported as such', () => {
    const ended = quire(['stat', '--json', '--mem', '64M', '--max-insn', '5k', '--', ...small]);
    const report = JSON.parse(ended.stdout) as StatReport;
    expect([ended.status, report.exit, report.clock.instructions]).toEqual([124, { reason: 'budget', status: null, signal: null }, 5000]);
  });
  test('the budget cuts at an exact instruction: what was counted up to there is a part of the whole', () => {
    const [part, whole] = [quire(['stat', '--json', '--mem', '64M', '--max-insn', '50k', '--', ...small]), statJson('--', ...small)];
    const report = JSON.parse(part.stdout) as StatReport;
    expect(report.tlb.l1d.lookups).toBeLessThan(whole.tlb.l1d.lookups);
    expect(report.clock.instructions).toBe(50_000);
  });
  test('a signal that ended the program is named', () => {
    const ended = quire(['stat', '--json', '--mem', '64M', '--', 'sh', '-c', 'kill -KILL $$']);
    expect([ended.status, (JSON.parse(ended.stdout) as StatReport).exit]).toEqual([137, { reason: 'exited', status: null, signal: 'SIGKILL' }]);
  });
  test('the size of RAM changes no TLB count, not even above 2 GiB', () => {
    const [little, much] = ['64M', '3G'].map((mem) => JSON.parse(quire(['stat', '--json', '--mem', mem, '--', ...small]).stdout) as StatReport);
    expect(much!.tlb).toEqual(little!.tlb);
  });
  test('large folios are fewer faults and fewer misses', () => {
    const [small4k, large] = [statJson('--mthp', '64k=never', '--', ...small), statJson('--mthp', '64k=always', '--', ...small)];
    expect(large.faults.minor).toBeLessThan(small4k.faults.minor);
    expect(large.thp['hugepages-64kB']!['anon_fault_alloc']).toBeGreaterThan(0);
  });
});

describe('quire compare', () => {
  test('puts three configurations of one program side by side', () => {
    const { status, stdout } = quire(['compare', '--json', '--mem', '64M', '--', ...small]);
    const { columns } = JSON.parse(stdout) as { columns: { title: string; report: StatReport }[] };
    expect([status, columns.map((c) => c.title)]).toEqual([0, ['4K pages', '64K Svnapot', '4x4K merged']]);
    for (const { report } of columns) expect(checkStat(report)).toEqual([]);
    const misses = columns.map((c) => c.report.tlb.l2!.misses);
    expect(misses[1]).toBeLessThan(misses[0]!);
    expect(misses[2]).toBeLessThan(misses[0]!);
  });
});

describe('quire trace', () => {
  const traced = (...words: string[]): string[] => {
    const { status, stdout, stderr } = quire(['trace', '--mem', '64M', ...words]);
    expect(status, stderr).toBe(0);
    return stdout.trimEnd().split('\n');
  };
  test('-F all prints as many faults as the report counts', () => {
    const lines = traced('-F', 'all', '--', ...small);
    for (const line of lines) expect(line).toMatch(/^ *[0-9]+\.[0-9]{3} \( 0\.000 ms\): (gups|init)\/[0-9]+ minfault \[(0x[0-9a-f]+|kernel)\] => (\S+@)?0x[0-9a-f]+ \((d\.|\?k)\)$/);
    expect(lines.length).toBe(statJson('--', ...small).faults.minor);
    expect(lines.filter((line) => line.includes('//anon@')).length).toBeGreaterThan(30);
  });
  test('-e prints events as ftrace does', () => {
    const [head, , , , ...lines] = traced('-e', 'kmem:mm_page_alloc,mm_page_free', '--', ...small);
    expect(head).toBe('# tracer: nop');
    expect(lines.length).toBeGreaterThan(40);
    for (const line of lines) expect(line).toMatch(/^ +\S+-[0-9]+ +\[000\] \.\.\.\.\. +[0-9]+\.[0-9]{6}: mm_page_(alloc|free): pfn=0x[0-9a-f]+ order=[0-9]+/);
  });
  test('--strace prints system calls as strace does', () => {
    const lines = traced('--strace', '--', 'echo', 'hello');
    expect(lines.find((l) => l.includes('hello'))).toBe('writev(1, [{iov_base="hello", iov_len=5}, {iov_base="\\n", iov_len=1}], 2) = 6');
    expect(lines.at(-1)).toBe('+++ exited with 0 +++');
  });
  test('tracing changes nothing', () => {
    const plain = quire(['run', '--mem', '64M', '--', ...small]).stdout;
    expect(quire(['trace', '--mem', '64M', '-e', 'all', '--', ...small]).stderr).toBe(plain);
  });
});

describe('--dump-region', () => {
  test('prints the region that holds an address behind the run, guest code beside WebAssembly; the most entered ones are named where none does', () => {
    const nowhere = quire(['stat', '--dump-region', '1', '--', 'compute', 'core', '3']);
    expect(nowhere.status).toBe(2);
    expect(nowhere.stdout).toContain('TLB');
    const heads = [.../(0x[0-9a-f]+) \([\d,]+\)/.exec(nowhere.stderr) ?? []];
    expect(nowhere.stderr).toMatch(/--dump-region 0x1: never translated: .* Entered most, and how often: 0x[0-9a-f]+ \([\d,]+\)/);
    const { status, stdout, stderr } = quire(['run', '--dump-region', heads[1]!, '--', 'compute', 'core', '3']);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^compute: core/)]);
    expect(stderr).toMatch(new RegExp(`^region at ${heads[1]}: \\d+ guest instructions, \\d+ bytes of WebAssembly; entered [\\d,]+ times$`, 'm'));
    expect(stderr).toMatch(new RegExp(`^ +${heads[1]!.slice(2)}: [a-z]`, 'm'));
    expect(stderr).toMatch(/^ +local\.get \$a0$/m);
  });
  test('wants an engine that translates', () => {
    const { status, stderr } = quire(['run', '--engine', 'interp', '--dump-region', '0x10000', '--', 'hello']);
    expect({ status, stderr }).toEqual({ status: 2, stderr: 'quire: --dump-region 0x10000: the engine interp translates nothing. Leave --engine out, or write --engine jit.\n' });
  });
});

describe('what explains itself', () => {
  test('every command has help', () => {
    for (const command of ['run', 'stat', 'compare', 'trace', 'cc', 'presets', 'explain', 'doctor']) {
      const { status, stdout } = quire([command, '--help']);
      expect([status, stdout.startsWith(`usage: quire ${command}`)]).toEqual([0, true]);
    }
    expect(quire(['help']).stdout).toContain('usage: quire COMMAND');
    expect(quire(['help', 'programs']).stdout).toMatch(/^ {2}gups +GUPS: /m);
  });
  test('a topic may be named in the singular: explain engine tells of the option and of every engine', () => {
    const { stdout } = quire(['explain', 'engine']);
    for (const expected of [/^--engine \(option\)$/m, /^  jit +\S/m, /^  interp +\S/m, /^  reference +\S/m]) expect(stdout).toMatch(expected);
    expect(quire(['explain', 'engines']).stdout).not.toContain('--engine (option)');
  });
  test.each([['pgfault'], ['tlb.l2.misses'], ['--mem'], ['skylake'], ['trap'], ['zero-page'], ['mmap'], ['mm_page_alloc'], ['anon_fault_alloc'], ['overcommit_memory'], ['124']])('explain %s', (name) => {
    const { status, stdout } = quire(['explain', name]);
    expect([status, stdout.length > 30]).toEqual([0, true]);
  });
  test('doctor finds nothing wrong', () => {
    const { status, stdout } = quire(['doctor']);
    expect(status, stdout).toBe(0);
    expect(stdout).toMatch(/^ok {3}self test /m);
  });
});

const compiler = findCompiler();
// npx would fetch one from the network: a test does not.
test.skipIf(compiler === null || compiler.command[0] === 'npx')('quire cc compiles a program that quire runs (needs riscv64 gcc, clang or zig)', () => {
  const source = host.file('mine.c', '#include <stdio.h>\nint main(int argc, char **argv) { printf("%d %.3f\\n", argc, 2.0 / 3); return 7; }\n');
  expect(quire(['cc', source, '-o', host.path('mine')])).toMatchObject({ status: 0, stdout: '' });
  expect(quire(['run', '--', host.path('mine'), 'x', 'y'])).toEqual({ status: 7, stdout: '3 0.667\n', stderr: '' });
});
