// The bundle is in pieces (tools/build.mjs): what a run loads, and what it does without.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundle, root, scratch } from '../support/cli.ts';

const files = scratch();
afterAll(() => files.remove());

test('quire run needs nothing of the other commands, and no compiled code; quire stat needs them', () => {
  const dist = files.path('dist');
  mkdirSync(dist);
  copyFileSync(join(root, 'package.json'), files.path('package.json'));
  for (const name of readdirSync(dirname(bundle))) if (name.endsWith('.cjs') && name !== 'commands.cjs') copyFileSync(join(dirname(bundle), name), join(dist, name));
  const answer = (command: string): (number | string | null)[] => {
    const { status, stdout } = spawnSync(process.execPath, [join(dist, 'quire.cjs'), command, '--', join(root, 'userland/bin/hello')], { encoding: 'utf8' });
    return [status, stdout.split('\n')[0]!];
  };
  expect(answer('run')).toEqual([42, 'hello, world']);
  expect(answer('stat')).toEqual([125, '']);
});
