// Which line of the kernel's TypeScript is at work: read off a stack trace of the host. Here: that text alone. Not here: from the bundle's lines back to
// the sources' (source-map.ts).
import { sourceLine } from '../source-map.ts';

/** Files that are shown, innermost first, each with its innermost call: what one file calls in itself is soon found there. */
const MAX_FILES = 4;
const MAX_STACK = 40;

/** 'kernel/mm/pagetable.ts:120 store, from kernel/mm/anon.ts:48 doAnonymousPage, ...' of the kernel's functions that are under way; null: none is. */
export function kernelLine(): string | null {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = MAX_STACK;
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = stackTraceLimit;
  return kernelLineOf(stack);
}
/** The same of a stack that was taken elsewhere. */
export function kernelLineOf(stack: string): string | null {
  const calls = stack.split('\n').flatMap((line) => {
    const [, name, place] = /^\s*at (?:(?:new |async )?(\S+) )?.*?(kernel\/[\w/-]+\.ts:\d+)/.exec(sourceLine(line)) ?? [];
    // Where phases are announced is not where anything is done.
    return place === undefined || place.startsWith('kernel/mm/fault-record.ts') ? [] : [`${place}${name === undefined || name.startsWith('(') ? '' : ` ${name.replace(/^.*\./, '')}`}`];
  });
  const ofFiles = calls.filter((call, i) => fileOf(call) !== fileOf(calls[i - 1] ?? ''));
  return ofFiles.length === 0 ? null : ofFiles.slice(0, MAX_FILES).join(', from ');
}
const fileOf = (call: string): string => call.slice(0, call.indexOf(':'));
