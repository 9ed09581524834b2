// Every place in the kernel that asks for frames, read off the sources, so that a fuzzer can tell which of them it has seen fail. A site is
// named `file:line function`. Not here: making them fail (mm-world.ts).
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const KERNEL = join(import.meta.dirname, '../../kernel');
/** The ways to get frames. allocZeroed() passes on to allocFolio(), and is no site itself. */
const CALL = /\.(?:allocFolio|allocZeroed|allocFolioUpTo|adoptFrames|takeSlab)\(/;
const PASSES_ON = 'const folio = this.allocFolio(order, type, gfp);';
/** A function or method begins. */
const HEAD = /^(?:export )?function (\w+)|^ {2}(?:private )?(\w+)\(.*\{$/;

/** By `mm/cow.ts:63`: the site's name. */
export const allocSites: ReadonlyMap<string, string> = new Map(readdirSync(KERNEL, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')).sort().flatMap((file) => {
  let name = '';
  return readFileSync(join(KERNEL, file), 'utf8').split('\n').flatMap((line, i): [string, string][] => {
    const head = HEAD.exec(line);
    if (head !== null) name = head[1] ?? head[2] ?? '';
    return CALL.test(line) && !line.includes(PASSES_ON) ? [[`${file}:${i + 1}`, `${file}:${i + 1} ${name}`]] : [];
  });
}));

/** Files between a site and the allocator: a descriptor's slab is asked for on behalf of the allocation that it describes. */
const PLUMBING = ['mm/system.ts', 'mm/memdesc.ts'];

/** The sites that are told of a failure, innermost first: the last one asked for itself, those before it on its behalf.
 *  @param stack of an Error made where the failure is made */
export function sitesOf(stack: string): string[] {
  const found: string[] = [];
  for (const line of stack.split('\n')) {
    const at = /[/\\]kernel[/\\](.+?\.ts):(\d+):\d+\)?$/.exec(line);
    if (at === null) continue;
    const file = at[1]!.replaceAll('\\', '/');
    const site = allocSites.get(`${file}:${at[2]}`);
    if (site !== undefined) found.push(site);
    if (!PLUMBING.includes(file)) break;
  }
  return found;
}
