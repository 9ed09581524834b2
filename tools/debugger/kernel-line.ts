// Which line of the kernel's TypeScript is at work: read off a stack trace of the host. Here: that text alone. Of sources that run as they are the trace
// has their lines; the bundle's are looked up in the source map beside it, for Node itself maps only what was loaded after it was told to.
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Files that are shown, innermost first, each with its innermost call: what one file calls in itself is soon found there. */
const MAX_FILES = 4;
const MAX_STACK = 40;
/** A line of a trace: its function, its file, line and column. */
const CALL = /^\s*at (?:(?:new |async )?(\S+) \()?(.*?):(\d+):(\d+)\)?$/;

/** 'kernel/mm/pagetable.ts:120 store, from kernel/mm/anon.ts:48 doAnonymousPage, ...' of the kernel's functions that are under way; null: none is. */
export function kernelLine(): string | null {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = MAX_STACK;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = stackTraceLimit;
  const calls = stack.split('\n').flatMap((line) => callOf(line) ?? []);
  const ofFiles = calls.filter((call, i) => fileOf(call) !== fileOf(calls[i - 1] ?? ''));
  return ofFiles.length === 0 ? null : ofFiles.slice(0, MAX_FILES).join(', from ');
}
const fileOf = (call: string): string => call.slice(0, call.indexOf(':'));
/** By their lines of the trace: the same ones come again and again. */
const known = new Map<string, string | null>();
function callOf(line: string): string | null {
  let call = known.get(line);
  if (call === undefined) {
    const [, name, file, at, column] = CALL.exec(line) ?? [];
    call = file === undefined ? null : nameOf(sourceOf(file, Number(at), Number(column)), name);
    known.set(line, call);
  }
  return call;
}
function nameOf(place: string, name: string | undefined): string | null {
  const inKernel = /(?:^|\/)(kernel\/[\w/-]+\.ts:\d+)$/.exec(place)?.[1];
  return inKernel === undefined ? null : `${inKernel}${name === undefined || name.startsWith('(') ? '' : ` ${name.replace(/^.*\./, '')}`}`;
}
/** undefined: not looked for yet; null: there is none. */
let map: SourceMap | null | undefined;
const bundle = fileURLToPath(import.meta.url);
function sourceOf(file: string, line: number, column: number): string {
  if (file !== bundle || bundle.endsWith('.ts')) return `${file}:${line}`;
  if (map === undefined) map = readMap();
  const entry = map?.findEntry(line - 1, column - 1) as { originalSource?: string; originalLine?: number } | undefined;
  return entry?.originalSource === undefined ? `${file}:${line}` : `${entry.originalSource}:${entry.originalLine! + 1}`;
}
function readMap(): SourceMap | null {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${bundle}.map`, 'utf8')) as never);
  } catch {
    return null; // installed without it
  }
}
