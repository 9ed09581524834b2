// What the browser page will use of the tools must know no host: read off the import lines.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const tools = join(import.meta.dirname, '../../tools');
const hostFree = ['boot.ts', 'config.ts', 'options.ts', 'report.ts', 'schema.ts', 'text.ts', 'suggest.ts', 'glossary.ts', 'help-text.ts', 'recording.ts', 'young.ts', 'lru.ts', 'lru-compare.ts', 'curves.ts', 'evictions.ts', ...readdirSync(join(tools, 'trace')).map((file) => `trace/${file}`)];

test.each(hostFree)('tools/%s imports nothing of Node', (file) => {
  const text = readFileSync(join(tools, file), 'utf8');
  const values = [...text.matchAll(/^import (?!type)[^;]*from '([^']+)'/gm)].map((match) => match[1]!);
  expect(values.filter((path) => path.startsWith('node:') || /\/(host|drive|guest)\.ts$/.test(path))).toEqual([]);
  expect(text).not.toMatch(/\bprocess\.|\bBuffer\b/);
});
