// From places in the bundle back to the sources: the stack of an Error with the lines that a person wrote. Node's side. The map is read when somebody
// asks, not at every start.
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from './host.ts';

/** By piece of the bundle, once it was asked for; null: there is none. */
const maps = new Map<string, SourceMap | null>();

/** The stack of an Error, its places in the sources' terms where they are known. */
export const sourceStack = (error: Error): string => (error.stack ?? '').split('\n').map(sourceLine).join('\n');

/** By lines of the bundle's: the same ones come again and again. */
const known = new Map<string, string>();
/** One line of a stack. */
export function sourceLine(line: string): string {
  let mapped = known.get(line);
  if (mapped === undefined) known.set(line, (mapped = mapBack(line)));
  return mapped;
}
function mapBack(line: string): string {
  const [, before = '', file = '', row = '', column = ''] = /^(.*?)(?:file:\/\/)?[^ (]*dist\/([\w-]+\.cjs):(\d+):(\d+)\)?$/.exec(line) ?? [];
  if (row === '') return line;
  if (!maps.has(file)) maps.set(file, readMap(file));
  const entry = maps.get(file)?.findEntry(Number(row) - 1, Number(column) - 1);
  if (entry === undefined || !('originalSource' in entry)) return line;
  return `${before}${entry.originalSource.replace(/^(\.\.\/)+/, '')}:${entry.originalLine + 1}:${entry.originalColumn + 1}${before.endsWith('(') ? ')' : ''}`;
}
function readMap(file: string): SourceMap | null {
  const path = join(packageRoot, 'dist', `${file}.map`);
  return existsSync(path) ? new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as ConstructorParameters<typeof SourceMap>[0]) : null;
}
