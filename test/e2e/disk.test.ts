// --disk as a person uses it: an image made by quire mkfs, read and changed by the bundled shell, looked at by others afterwards.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { quire, root, scratch } from '../support/cli.ts';
import { debugfsCat, e2fsck, hasE2fsprogs } from '../support/e2fsprogs.ts';
import { checkExt } from '../support/ext-check.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const made = (name: string, ...options: string[]): string => {
  const path = host.path(name);
  expect(quire(['mkfs', path, '--size', '16M', '--force', ...options])).toEqual({ status: 0, stdout: '', stderr: '' });
  return path;
};
const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
const run = (disk: string, script: string, ...options: string[]): ReturnType<typeof quire> => quire(['run', '--disk', disk, ...options, '--', 'sh', '-c', script]);

describe.each(['ext2', 'ext4'])('an image of %s', (type) => {
  test('what a program writes is in the image when the run has ended, and the image is in order', () => {
    const path = made(`${type}.img`, '--type', type, '--block-size', '1024');
    expect(run(`${path}:rw`, 'mkdir /mnt/d; seq 1 20000 > /mnt/d/numbers; echo hello > /mnt/hello; echo away > /mnt/x; rm /mnt/x')).toMatchObject({ status: 0, stderr: '' });
    const { problems, bytes } = checkExt(bytesOf(path), { contents: true });
    expect(problems).toEqual([]);
    const numbers = Array.from({ length: 20000 }, (_, i) => `${i + 1}\n`).join('');
    expect(Buffer.from(bytes.get('/d/numbers')!).toString()).toBe(numbers);
    expect(Buffer.from(bytes.get('/hello')!).toString()).toBe('hello\n');
    if (hasE2fsprogs) {
      expect(e2fsck(bytesOf(path))).toBe('clean');
      expect(Buffer.from(debugfsCat(bytesOf(path), ['/d/numbers']).get('/d/numbers')!).toString()).toBe(numbers);
    }
    expect(run(path, 'cat /mnt/hello; wc -l /mnt/d/numbers')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^hello\n\s*20000\b/) as string });
  });
  test('it is left in order however the run ends: by a signal, by the budget, by a program that is not there', () => {
    const path = made(`${type}-ends.img`, '--type', type);
    for (const [words, status] of [
      [['--', 'sh', '-c', 'echo killed > /mnt/a; kill -9 $$'], 137],
      [['--max-insn', '3M', '--', 'sh', '-c', 'echo cut > /mnt/b; while true; do true; done'], 124],
      [['--', 'no-such-program'], 127],
    ] as const) {
      expect(quire(['run', '--disk', `${path}:rw`, ...words]).status).toBe(status);
      expect(checkExt(bytesOf(path)).problems).toEqual([]);
      if (hasE2fsprogs) expect(e2fsck(bytesOf(path))).toBe('clean');
    }
    expect(run(path, 'cat /mnt/a /mnt/b').stdout).toBe('killed\ncut\n');
  });
});

test('programs and scripts run from an image, of which nothing is in memory yet', () => {
  mkdirSync(host.path('programs'));
  host.file('programs/prog', readFileSync(join(root, 'userland/bin/sh')));
  host.file('programs/script', '#!/mnt/prog\necho $0 runs\n');
  const path = made('programs.img', '--from', host.path('programs'));
  expect(run(path, '/mnt/script; /mnt/prog -c "echo so does this"')).toEqual({ status: 0, stdout: '/mnt/script runs\nso does this\n', stderr: '' });
});

test('without :rw nothing is written, whatever the program tries', () => {
  const path = made('ro.img');
  const before = bytesOf(path);
  const { status, stderr } = run(`${path}@/data`, 'echo x > /data/x');
  expect([status === 0, stderr]).toEqual([false, expect.stringMatching(/Read-only file system/i) as string]);
  expect(run(`${path}@/data`, 'cat /proc/mounts').stdout).toContain('/dev/vda /data ext4 ro,relatime 0 0');
  expect(Buffer.compare(bytesOf(path), before)).toBe(0);
});

test('two runs give the same report and the same image; a slower disk takes longer', () => {
  const report = (latency: string): { stateHash: string; clock: { cycles: number }; vmstat: Record<string, number> } => {
    const path = made('same.img');
    const { stdout, status } = quire(['stat', '--json', '--disk', `${path}:rw`, '--disk-latency', latency, '--', 'sh', '-c', 'seq 1 5000 > /mnt/a; echo 1 > /proc/sys/vm/drop_caches; cat /mnt/a > /mnt/b']);
    expect(status).toBe(0);
    const parsed = JSON.parse(stdout) as ReturnType<typeof report> & { host: unknown };
    parsed.host = null;
    return { ...parsed, image: Buffer.from(bytesOf(path)).toString('latin1').length } as never;
  };
  const [first, again, slow] = [report('nvme'), report('nvme'), report('hdd')];
  expect(again).toEqual(first);
  expect(slow.clock.cycles).toBeGreaterThan(2 * first.clock.cycles);
  expect(first.vmstat['pgpgin']).toBeGreaterThan(0);
  expect(first.vmstat['nr_dirtied']).toBeGreaterThan(10);
});

test('what cannot be is said in a sentence', () => {
  const path = made('bad.img');
  const junk = host.path('junk.img');
  writeFileSync(junk, new Uint8Array(1 << 20).fill(7));
  const empty = host.file('empty.img', '');
  for (const [words, sentence] of [
    [['--disk', host.path('none.img')], /none.img: cannot open it: there is no such file/],
    [['--disk', host.path('.')], /not a file/],
    [['--disk', empty], /the file is empty/],
    [['--disk', junk], /cannot be mounted at \/mnt: This is no ext2 or ext4 file system/],
    [['--disk', `${path}@/bin/sh`], /The place is no directory/],
    [['--disk-latency', 'floppy'], /no such preset/],
  ] as const) {
    const { status, stderr } = quire(['run', ...words, '--', 'true']);
    expect([status, stderr]).toEqual([2, expect.stringMatching(sentence) as string]);
  }
});
