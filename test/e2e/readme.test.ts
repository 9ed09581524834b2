// The README's example is what the command prints.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { quire, root } from '../support/cli.ts';

test('the example in the README is the output of npm start', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, example] = /<!-- The next block is the output of `npm start`;.*-->\n```\n([^]*?)```/.exec(readme) ?? [];
  const { status, stdout, stderr } = quire(['compare']);
  expect(status, stderr).toBe(0);
  expect(example).toBe(stdout);
});
