// The README's example is what the command prints.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { quire, root, scratch } from '../support/cli.ts';

test('the example in the README is the output of npm start', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, example] = /<!-- The next block is the output of `npm start`;.*-->\n```\n([^]*?)```/.exec(readme) ?? [];
  const { status, stdout, stderr } = quire(['compare']);
  expect(status, stderr).toBe(0);
  expect(example).toBe(stdout);
});

test('what the README shows of a disk and of the page cache is what the commands print, but for the clock', () => {
  const host = scratch();
  mkdirSync(host.path('files'));
  writeFileSync(host.path('files/numbers'), Array.from({ length: 300_000 }, (_, i) => `${i + 1}\n`).join(''));
  const image = host.path('disk.img');
  expect(quire(['mkfs', image, '--from', host.path('files')]).status).toBe(0);
  const wc = ['--', 'sh', '-c', 'wc /mnt/numbers'];
  const [commands, cache, readahead] = [...readFileSync(join(root, 'README.md'), 'utf8').split('## Disks and the page cache')[1]!.matchAll(/```\n([^]*?)```/g)].map((match) => match[1]!);
  expect(commands).toContain(`quire mm cache --disk disk.img ${wc.join(' ').replace('wc /mnt/numbers', "'wc /mnt/numbers'")}`);
  const clock = /^( +\d+ ) +\d+(?=  (a?sync|fault|forced))/;
  for (const [text, words] of [[cache!, ['mm', 'cache']], [readahead!, ['why']]] as const) {
    const printed = quire([...words, '--disk', image, ...(words[0] === 'why' ? ['readahead'] : []), ...wc]).stdout.split('\n').map((line) => line.replace(clock, '$1'));
    for (const line of text.split('\n')) expect(printed).toContain(line.replace(clock, '$1'));
  }
  expect(quire(['mkfs', host.path('blocks.img'), '--from', host.path('files'), '--type', 'ext2']).status).toBe(0);
  expect(quire(['mm', 'cache', '--disk', host.path('blocks.img'), ...wc]).stdout).toMatch(/^ +486 {2}get_block /m);
  host.remove();
});

test('the session that the README shows is what quire debug answers, but for line numbers of the kernel', () => {
  const example = readFileSync(join(root, 'README.md'), 'utf8').split('## Going back and forth')[1]!.split('```\n')[1]!;
  const host = scratch();
  const script = host.file('steps.txt', [...example.matchAll(/^\(quire\) (.*)$/gm)].map(([, line]) => `${line}\n`).join(''));
  const { status, stdout, stderr } = quire(['debug', '--mthp', '64k=always', '-x', script, '--', 'gups', '--words', '65536']);
  const withoutLines = (text: string): string => text.replace(/\.ts:\d+/g, '.ts:N');
  expect([status, stderr, withoutLines(stdout)]).toEqual([0, '', withoutLines(example)]);
  host.remove();
});
