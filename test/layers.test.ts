// Who may import whom (DESIGN law 3, STYLE "Rooms"): read off the import lines themselves.
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
/** Walls each room may look through, by name only. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'mmu/base': [],
  mmu: ['#base'],
  cpu: ['#base', '#mmu'],
  kernel: ['#base', '#mmu'],
};
const importLine = /^\s*(?:import|export)\b[^;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));
}
function importsOf(file: string): string[] {
  return [...readFileSync(join(root, file), 'utf8').matchAll(importLine)].map((m) => m[1] ?? m[2] ?? m[3]!);
}
const roomOf = (file: string): string => (file.startsWith('mmu/base/') ? 'mmu/base' : file.split('/')[0]!);
/** A relative path must stay in its room. */
function leavesRoom(file: string, path: string): boolean {
  const target = join(file, '..', path).split(sep).join('/');
  return roomOf(target) !== roomOf(file);
}

for (const [room, walls] of Object.entries(allowed)) {
  describe(`${room}/`, () => {
    const files = filesUnder(room).filter((file) => roomOf(file) === room);
    test('has files to check', () => expect(files.length).toBeGreaterThan(0));
    test.each(files)('%s imports only what its room may see', (file) => {
      const wrong = importsOf(file).filter((path) => (path.startsWith('.') ? leavesRoom(file, path) : !walls.includes(path)));
      expect(wrong).toEqual([]);
    });
  });
}

test('tools and tests cross walls by name', () => {
  const wrong = [...filesUnder('tools'), ...filesUnder('test')]
    .flatMap((file) => importsOf(file).filter((path) => path.startsWith('.') && leavesRoom(file, path)).map((path) => `${file}: ${path}`));
  expect(wrong).toEqual([]);
});

test('the checker itself sees a forbidden import', () => {
  const text = "import { x } from '#kernel';\nexport * from '../tools/a.ts';\n";
  expect([...text.matchAll(importLine)].map((m) => m[1] ?? m[2] ?? m[3]!)).toEqual(['#kernel', '../tools/a.ts']);
});

describe('which engine runs', () => {
  const places = (folders: readonly string[], pattern: RegExp): string[] =>
    folders.flatMap(filesUnder).filter((file) => pattern.test(readFileSync(join(root, file), 'utf8')));
  const anyEngine = /'(?:jit|interp|reference)'|\b(?:EngineName|ENGINES|EmittedEngine|ReferenceEngine|Hotness|DEFAULT_HOTNESS)\b|\bmachine\.(?:translation|watch\w+|busiest\w+)\b/;

  test('neither the MMU nor the kernel knows', () => expect(places(['mmu', 'kernel'], anyEngine)).toEqual([]));
  test('of the tools, the option and what tells of it: its kind, its way to the machine, help, the report, --dump-region', () => {
    expect(places(['tools'], anyEngine).sort()).toEqual(['tools/config.ts', 'tools/dump-region.ts', 'tools/glossary.ts', 'tools/options.ts', 'tools/report.ts']);
  });
  test('the machine chooses, nobody else asks which it is', () => {
    expect(places(['cpu', 'kernel', 'tools'], /\bengine\s*[!=]==|switch \(\w*\.?engine\)/)).toEqual(['cpu/machine.ts']);
    expect(places(['test'], /\b(?:EmittedEngine|ReferenceEngine)\b/).filter((file) => !file.startsWith('test/cpu/'))).toEqual(['test/layers.test.ts']);
  });
});
