// quire mm lru: the lists, or generations, that reclaim works on, of each control group, as they stand at some time of a run. Here: taking the listing, the
// report with its text. Host-free. Not here: the command (commands/mm.ts), where single folios stand (evictions.ts).
import { showSize, tracepoints } from '#base';
import type { LruDescription } from '#kernel';
import type { Session } from './boot.ts';
import type { Outcome } from './drive.ts';
import { configReport } from './report.ts';
import type { ConfigReport, FieldRow } from './schema.ts';
import { thousands } from './text.ts';

export const LRU_SCHEMA = 'quire.lru/1';
const PAGE_BYTES = 4096;

export interface GroupLists {
  readonly path: string;
  readonly currentBytes: number;
  /** null: no limit. */
  readonly maxBytes: number | null;
  readonly policy: string;
  /** From old to young. */
  readonly lists: readonly LruDescription[];
}
export interface LruListing { readonly cycles: number; readonly instructions: number; readonly groups: readonly GroupLists[]; readonly unevictablePages: number; readonly scannedPages: number; readonly reclaimedPages: number }
export interface LruReport extends LruListing {
  readonly schema: typeof LRU_SCHEMA;
  readonly tool: string;
  readonly config: ConfigReport;
  readonly program: { readonly argv: readonly string[]; readonly sha256: string };
}
export const lruFields: readonly FieldRow[] = [
  ['schema', 'text', 'name and version of this shape'], ['tool', 'text', 'name and version of the program that made the report'], ['config', 'free', 'as in quire.stat/1'], ['program', 'free', 'as in quire.stat/1'],
  ['cycles', 'count', 'the modelled clock when the listing was made: as the program ended, or at --at'], ['instructions', 'count', 'instructions that had retired by then'],
  ['groups', 'free', 'control groups: path, currentBytes, maxBytes (null: no limit), policy, and lists from old to young, each with name, ageMs (null: not known), anonPages, anonFolios, filePages, fileFolios'],
  ['unevictablePages', 'count', 'pages that are locked in memory, on no list that reclaim looks at'],
  ['scannedPages', 'count', 'pages that reclaim had looked at by then'], ['reclaimedPages', 'count', 'pages that it had freed'],
];

export const lruListing = ({ kernel: { system }, cycles, instructions }: Session): LruListing => ({
  cycles, instructions, unevictablePages: system.lru.unevictablePages,
  scannedPages: system.vmstat.get('pgscan_anon') + system.vmstat.get('pgscan_file'), reclaimedPages: system.vmstat.get('pgsteal_anon') + system.vmstat.get('pgsteal_file'),
  groups: [...system.memcg].map(({ path, usage, max, lruvec }): GroupLists => ({
    path, currentBytes: usage * PAGE_BYTES, maxBytes: max === Infinity ? null : max * PAGE_BYTES, policy: lruvec.policy, lists: lruvec.describe(),
  })),
});
/** Makes the listing when the first program's memory is about to go. Changes nothing of the run. */
export class LruWatch {
  private readonly session: Session;
  private readonly stop: () => void;
  private answer: LruListing | null = null;
  constructor(session: Session) {
    this.session = session;
    this.stop = tracepoints().get('exit_mmap')!.listen((_, [mmId]) => {
      if (session.kernel.first?.leader.mm.id === mmId) this.answer = lruListing(session);
    });
  }
  /** As the program ended; or now, if it has not. */
  end(): LruListing {
    this.stop();
    return this.answer ?? lruListing(this.session);
  }
}

export function lruReport(session: Session, outcome: Outcome, tool: string, listing: LruListing): LruReport {
  const { argv, programSha256 } = session.config.inputs;
  return { schema: LRU_SCHEMA, tool, config: configReport(session.config.machine, session, outcome.stdinSha256), program: { argv, sha256: programSha256 }, ...listing };
}
/** The lists of one group. */
export function groupText({ path, currentBytes, maxBytes, policy, lists }: GroupLists): string[] {
  const count = (n: number): string => (n === 0 ? '.' : thousands(n));
  return [
    ` ${path}: ${showSize(currentBytes)} in use${maxBytes === null ? '' : ` of ${showSize(maxBytes)}`}, ${policy}`,
    `   ${'from old to young'.padEnd(22)}${'age'.padStart(10)}${'anon pages'.padStart(12)}${'folios'.padStart(9)}${'file pages'.padStart(12)}${'folios'.padStart(9)}`,
    ...lists.map(({ name, ageMs, anonPages, anonFolios, filePages, fileFolios }) =>
      `   ${name.padEnd(22)}${(ageMs === null ? '-' : `${thousands(ageMs)} ms`).padStart(10)}${count(anonPages).padStart(12)}${count(anonFolios).padStart(9)}${count(filePages).padStart(12)}${count(fileFolios).padStart(9)}`),
  ];
}
export function lruText({ program, groups, instructions, cycles, unevictablePages, scannedPages, reclaimedPages }: LruReport): string {
  const table = groups.flatMap((group) => ['', ...groupText(group)]);
  return [
    ` What reclaim works on, of ${program.argv.join(' ')}, at instruction ${thousands(instructions)}, cycle ${thousands(cycles)}`, ...table, '',
    `${thousands(unevictablePages).padStart(12)}  pages are locked in memory`, `${thousands(scannedPages).padStart(12)}  pages scanned so far`, `${thousands(reclaimedPages).padStart(12)}  pages reclaimed so far`,
  ].map((line) => line.trimEnd()).join('\n') + '\n';
}
