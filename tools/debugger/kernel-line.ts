// Which line of the kernel's TypeScript is at work: read off a stack trace of the host, mapped back to the sources. Here: that text alone.
/** Calls that are shown, innermost first. */
const MAX_CALLS = 4;

/** 'kernel/mm/pagetable.ts:120 setPte, from kernel/mm/anon.ts:48 doAnonymousPage, ...' of the kernel's functions that are under way; null: none is. */
export function kernelLine(): string | null {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 40;
  process.setSourceMapsEnabled(true);
  const stack = new Error().stack ?? '';
  Error.stackTraceLimit = stackTraceLimit;
  const calls = stack.split('\n').flatMap((line) => {
    const [, name, file, at] = /^\s*at (?:(?:new |async )?(\S+) )?.*?(kernel\/[\w/-]+\.ts):(\d+)/.exec(line) ?? [];
    return file === undefined ? [] : [`${file}:${at}${name === undefined || name.startsWith('(') ? '' : ` ${name.replace(/^.*\./, '')}`}`];
  });
  return calls.length === 0 ? null : calls.slice(0, MAX_CALLS).join(', from ');
}
