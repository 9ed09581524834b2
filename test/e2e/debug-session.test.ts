// quire debug: a whole session, as a person reads it: test/golden/debug/session.txt goes through one fault of each kind, session.out has the answers.
// QUIRE_RECORD=1 npx vitest run test/e2e/debug-session.test.ts writes them anew. Line numbers of the kernel are left out of the comparison.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle, quire, root, scratch } from '../support/cli.ts';

const golden = join(root, 'test/golden/debug');
const files = scratch();
let image: string;
beforeAll(() => {
  // 256 kB to be read by a mapping.
  mkdirSync(files.path('disk'));
  files.file('disk/numbers', Array.from({ length: 32768 }, (_, i) => `${i}`.padStart(7) + '\n').join(''), 0o644);
  image = files.path('disk.img');
  expect(quire(['mkfs', image, '--from', files.path('disk'), '--size', '4M'])).toMatchObject({ status: 0 });
});
afterAll(() => { files.remove(); });

const machine = (): string[] => ['debug', '--mem', '64M', '--mthp', '64k=always', '--thp', 'madvise', '--swap', '16M', '--disk', image, '--set', '/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs=100'];
const program = ['--', 'test/golden/debug/paths'];
const withoutLines = (text: string): string => text.replace(/\.ts:\d+/g, '.ts:N');

test.each(['jit', 'reference'])('first touch, fallback, copy on write, a file\'s page, swap, a collapse: into, phases, why, last-write, back and back again (%s)', (engine) => {
  const { status, stdout, stderr } = quire([...machine(), '--engine', engine, '-x', join(golden, 'session.txt'), ...program]);
  expect([status, stderr]).toEqual([0, '']);
  const path = join(golden, 'session.out');
  if (process.env['QUIRE_RECORD'] !== undefined) writeFileSync(path, withoutLines(stdout));
  expect(existsSync(path), 'no recorded session: run with QUIRE_RECORD=1').toBe(true);
  expect(withoutLines(stdout)).toBe(readFileSync(path, 'utf8'));
  for (const line of stdout.split('\n')) expect(line.trim().split(' ').length === 1 || line.length <= 80, line).toBe(true);
});
test('the line that last-write names is the one that stores', () => {
  const script = files.file('who.txt', 'break first_touch\ncontinue\ninto\nout\nlast-write pte 0x2000005000\nlast-write 0x2000005000 1\n');
  const { status, stdout } = quire([...machine(), '--json', '-x', script, ...program]);
  expect(status).toBe(0);
  const answers = stdout.trim().split('\n').map((line) => JSON.parse(line) as { schema: string; write?: { line: string | null; pc: number | null; during: string | null; source: { line: number } | null } });
  expect(answers.map(({ schema }) => schema)).toEqual(['point', 'stop', 'stop', 'stop', 'last-write', 'last-write'].map((name) => `quire.debug.${name}/1`));
  const [, file, line] = /^(kernel\/[\w/-]+\.ts):(\d+)/.exec(answers[4]!.write!.line!)!;
  expect(readFileSync(join(root, file!), 'utf8').split('\n')[Number(line) - 1]).toContain('machine.storePte(');
  expect(answers[4]!.write!.during).toMatch(/^fault \d+ at 0x2000005000$/);
  // The byte itself is the program's.
  const source = readFileSync(join(golden, 'paths.c'), 'utf8').split('\n');
  expect(source[answers[5]!.write!.source!.line - 1]).toContain('region[5 * PAGE] = 1;');
});
test('files of memory that went to swap are listed with what is left of them', () => {
  const pages = (text: string): number => [...text.matchAll(/^\/bin\/\S+ +(\d+) /gm)].reduce((sum, [, nr]) => sum + Number(nr), 0);
  const script = files.file('swapped.txt', 'cache\nbreak swapped\ncontinue\nfinish\ncache\n');
  const { status, stdout } = quire([...machine(), '-x', script, ...program]);
  expect(status).toBe(0);
  const [before, after] = stdout.split('(quire) finish') as [string, string];
  expect(pages(after)).toBeLessThan(pages(before));
});
test('commands come from a pipe, too, and a first error ends them with status 2', () => {
  const piped = quire([...machine(), ...program], 'break first_touch\ncontinue\nquit\nnever\n');
  expect(piped).toMatchObject({ status: 0, stderr: '' });
  expect(piped.stdout).toContain('Point 1: first_touch');
  const wrong = quire([...machine(), ...program], '\nwhere\npt 0x\n');
  expect([wrong.status, wrong.stderr.split('\n')[0]]).toEqual([2, 'quire: standard input:3: a number ends here. Write it as 4096, 0x1000 or 4K (K, M, G: times 1024).']);
});
test('standard input that is no text of commands is refused', () => {
  const { status, stderr } = spawnSync(process.execPath, [bundle, 'debug', '--', 'hello'], { cwd: root, encoding: 'utf8', stdio: [openSync('/', 'r'), 'pipe', 'pipe'] });
  expect([status, stderr]).toEqual([2, 'quire: standard input: cannot be read: it is a directory. Name a file of commands with -x FILE.\n']);
});
test.each([
  [['-x', '/nothing/steps.txt'], /^quire: -x \/nothing\/steps\.txt: cannot read .*: there is no such file\.\n$/],
  [['-x', '/'], /^quire: -x \/: cannot read \/: it is a directory\.\n$/],
  [['--inspect', 'fault', '--json'], /^quire: --inspect: the inspector takes over/],
  [['--sanitize'], /^quire: --sanitize: quire debug does not check a run/],
  [['--sript', 'x'], /^quire: --sript: not an option of quire debug\. Did you mean --script\?|^quire: --sript: not an option\. Did you mean --script\?/],
])('%s is refused', (words, message) => {
  const { status, stderr } = quire(['debug', ...words, '--', 'hello']);
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});

describe('a recording', () => {
  const record = (): string => {
    const path = files.path('run.qrec');
    expect(quire(['record', '-o', path, '--mem', '32M', '--mthp', '64k=always', '--', 'test/golden/debug/paths']).stderr).toMatch(/^quire: recorded /m);
    return path;
  };
  const script = (): string => files.file('to-the-touch.txt', 'break first_touch\ncontinue\ninto\nphases\nseek end\n');
  test('is gone through as the program is', () => {
    const path = record();
    const [recorded, run] = [quire(['debug', '-x', script(), path]), quire(['debug', '--mem', '32M', '--mthp', '64k=always', '-x', script(), '--', 'test/golden/debug/paths'])];
    expect([recorded.status, recorded.stderr, recorded.stdout]).toEqual([0, '', run.stdout]);
    expect(quire(['debug', path, '-x', script()]).stdout).toBe(run.stdout); // options may stand behind it
  });
  test('has its own machine, and what is broken is refused', () => {
    const path = record();
    expect(quire(['debug', '--mem', '64M', path])).toMatchObject({ status: 2, stderr: expect.stringMatching(/^quire: --mem: the recording .*run\.qrec has its machine/) as string });
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    for (const broken of [bytes, bytes.subarray(0, 100), Buffer.from('no recording'), Buffer.alloc(0)]) {
      const { status, stderr } = quire(['debug', files.file('broken.qrec', broken)], 'where\n');
      expect([status, stderr]).toEqual([2, expect.stringMatching(/^quire: \S*broken\.qrec: .*\n$/)]);
    }
    expect(quire(['debug', files.path('none.qrec')])).toMatchObject({ status: 2 });
  });
});
describe('a planted bug of the kernel', () => {
  const session = (plant: string, words: readonly string[], ...lines: string[]): string => {
    const script = files.file(`${plant}.txt`, lines.map((line) => `${line}\n`).join(''));
    const { status, stdout, stderr } = quire(['debug', '--mem', '32M', '--plant', plant, '-x', script, '--', ...words]);
    expect([status, stderr]).toEqual([0, '']);
    return stdout.replace(/\n {4,}/g, ' ');
  };
  test('that writes over a page-table entry: the kernel stumbles, the entry tells who wrote it, a watch goes back there', () => {
    const told = session('stray-write', ['hello'], 'continue', 'pt a2', 'watch pte a2', 'reverse-continue', 'info events 1');
    expect(told).toMatch(/\nThe kernel finds a bug of its own from here on: frame 0x0 is not RAM\nfound after event #\d+, in kernel\/mm\/folio\.ts:\d+ row, from kernel\/mm\/cow\.ts/);
    expect(told.match(/uaccess\.ts:\d+ strayWrite, from kernel\/syscall\/resource\.ts:\d+ schedGetaffinity/g)).toHaveLength(2);
    expect(told).toMatch(/\n#\d+ +[\d,]+ {2}raw_syscalls:sys_enter \(sched_getaffinity\): .*\n$/);
  });
  test('that loses a reference: the folio has fewer than mappings, and fork made the last of those', () => {
    const words = ['sh', '-c', 'hello; hello'];
    const [, frame] = /: frame (0x[\da-f]+) freed while mapped/.exec(session('fork-refcount', words, 'continue')) ?? [];
    const told = session('fork-refcount', words, 'continue', `folio ${frame}`, `last-write folio ${frame}.mapcount`);
    expect(told).toMatch(/references 1; mapped 2 times/);
    expect(told).toMatch(/mapcount of folio 0x[\da-f]+: 1 -> 2 at .*\n {2}by kernel\/mm\/rmap\.ts:\d+ addPteRmap, from kernel\/mm\/fork\.ts:\d+ copyUnit, .*\(clone\(\)\)/);
  });
});
