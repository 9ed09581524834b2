// Where in Quire's own sources something was done: the stack of an Error, as lines that a person can open. Host-free: of a bundle the lines are the
// bundle's, unless the host has mapped them back (source-map.ts).

/** What every way to memory goes through tells nothing. */
const passages = /\b(mmu\/stale|cpu\/machine|tools\/sanitize|kernel\/mm\/pagetable)\.ts:/;
const MAX_FRAMES = 5;

/** 'zapPtes (kernel/mm/unmap.ts:81)', the innermost first. @param stack of an Error */
export function kernelFrames(stack: string): string[] {
  const frames = stack.split('\n').slice(1).filter((line) => /\b(kernel|cpu|mmu)\/[\w/-]+\.ts:|\.cjs:/.test(line) && !passages.test(line));
  return frames.slice(0, MAX_FRAMES).map((line) => {
    const [, name = '', path = '', number = ''] = /at (?:(.*?) \()?(?:file:\/\/)?(.*?):(\d+):\d+\)?$/.exec(line.trim()) ?? [];
    const where = /((?:kernel|cpu|mmu)\/[\w/-]+\.ts)$/.exec(path)?.[1] ?? path.replace(/^.*\//, '');
    return name === '' ? `${where}:${number}` : `${name.replace(/^(new |Object\.|Array\.)/, '')} (${where}:${number})`;
  });
}
