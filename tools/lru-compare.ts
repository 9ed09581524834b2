// Reclaim policies side by side: one program, one run for each policy and memory limit. Here: what such a comparison is, where two runs part, and the
// text. Host-free. Not here: running (commands/compare-lru.ts), curves (curves.ts).
import { hex, PAGE_SIZE, showSize, tracepoints } from '#base';
import type { Mm } from '#kernel';
import type { Session } from './boot.ts';
import { nameOf } from './evictions.ts';
import type { StatReport } from './schema.ts';
import { relative, thousands } from './text.ts';

export const LRU_COMPARE_SCHEMA = 'quire.compare-lru/1';

export interface PolicyRun {
  readonly policy: string;
  /** In bytes; null: RAM alone. */
  readonly memoryMax: number | null;
  readonly report: StatReport;
  /** Where it parts from the first policy's run under the same limit; null: nowhere, or it is that run. */
  readonly divergence: Divergence | null;
}
export interface PolicyComparison {
  readonly schema: typeof LRU_COMPARE_SCHEMA;
  readonly tool: string;
  readonly program: { readonly argv: readonly string[]; readonly sha256: string };
  readonly policies: readonly string[];
  readonly limits: readonly (number | null)[];
  readonly sameOutput: boolean;
  readonly runs: readonly PolicyRun[];
  /** Policies that could not be compared, each with the reason. */
  readonly refused: readonly { readonly policy: string; readonly why: string }[];
}

// Where two runs part.

/** The first thing that happens in one run and not in the other: a page evicted, or a page fault. */
export interface Divergence { readonly instructions: number; readonly here: string; readonly there: string }
const Kind = { Eviction: 0, Fault: 1 } as const;

/** Page faults and evictions of a run, in their order, as rows of four numbers. */
export class EventLog {
  private rows = new Float64Array(1 << 12);
  length = 0;
  push(kind: number, instructions: number, a: number, b: number): void {
    if (4 * this.length === this.rows.length) {
      const larger = new Float64Array(this.rows.length * 2);
      larger.set(this.rows);
      this.rows = larger;
    }
    this.rows.set([kind, instructions, a, b], 4 * this.length++);
  }
  at(i: number): [kind: number, instructions: number, a: number, b: number] | null {
    return i < this.length ? (Array.from(this.rows.subarray(4 * i, 4 * i + 4)) as [number, number, number, number]) : null;
  }
}

/** Follows a run: keeps its events for others to compare theirs with, or compares them with those of the first run. */
export class EventWatch {
  readonly log = new EventLog();
  divergence: Divergence | null = null;
  private readonly session: Session;
  private readonly other: EventLog | null;
  private readonly stops: (() => void)[] = [];
  private next = 0;

  /** @param other of the first run; null: this is the first */
  constructor(session: Session, other: EventLog | null) {
    this.session = session;
    this.other = other;
    const { evictions } = session.kernel.system.lru;
    evictions.start();
    evictions.listener = ({ instructions, mapping, index }) => { this.happens(Kind.Eviction, instructions, mapping, index); };
    this.stops.push(tracepoints().get('page_fault_user')!.listen((_, [address = 0]) => {
      this.happens(Kind.Fault, session.instructions, session.kernel.current?.tid ?? 0, Math.floor(address / PAGE_SIZE));
    }));
  }
  private happens(kind: number, instructions: number, a: number, b: number): void {
    if (this.other === null) this.log.push(kind, instructions, a, b);
    else if (this.divergence === null) {
      const there = this.other.at(this.next++);
      if (there !== null && there[0] === kind && there[1] === instructions && there[2] === a && there[3] === b) return;
      // Until now both runs were the same, so that names of this one serve for the other, too.
      this.divergence = { instructions, here: this.tell([kind, instructions, a, b]), there: there === null ? 'is at its end' : this.tell(there) };
    }
  }
  private tell([kind, instructions, a, b]: [number, number, number, number]): string {
    const what = kind === Kind.Fault ? `faults at ${hex(b * PAGE_SIZE)}` : `evicts ${this.pageName(a, b)}`;
    return this.divergence === null && instructions === this.session.instructions ? what : `${what} (instruction ${thousands(instructions)})`;
  }
  private pageName(mapping: number, index: number): string {
    const { current, system } = this.session.kernel;
    if (mapping > 0) {
      const space = system.addressSpaces.get(mapping);
      const path = space?.openedAs === undefined || space.openedAs === null ? `file ${mapping}` : space.openedAs.name;
      return `page ${index} of ${path}`;
    }
    const mm: Mm | undefined = current?.mm;
    const vma = mm?.vmas.find((each) => each.anonVmaChain.some(({ id }) => id === -mapping) && index >= each.pgoff && index < each.pgoff + each.nrPages);
    return vma === undefined ? `anonymous page ${hex(index * PAGE_SIZE)}` : `${hex(vma.start + (index - vma.pgoff) * PAGE_SIZE)} of ${nameOf(mm!, vma)}`;
  }
  /** The run is over. */
  end(): void {
    const { evictions } = this.session.kernel.system.lru;
    evictions.listener = null;
    evictions.stop();
    for (const stop of this.stops) stop();
    const there = this.divergence === null && this.other !== null ? this.other.at(this.next) : null;
    if (there !== null) this.divergence = { instructions: this.session.instructions, here: 'is at its end', there: this.tell(there) };
  }
}

// What is compared.

const stat = (name: string) => ({ vmstat }: StatReport): number => vmstat[name] ?? 0;
const sum = (...names: string[]) => (r: StatReport): number => names.reduce((all, name) => all + stat(name)(r), 0);
export const majorFaults = ({ faults }: StatReport): number => faults.major;
export const refaults = sum('workingset_refault_anon', 'workingset_refault_file');
const scanned = sum('pgscan_anon', 'pgscan_file');
const reclaimed = sum('pgsteal_anon', 'pgsteal_file');
const flushes = ({ tlb: { flushes: { all, asid, page } } }: StatReport): number => all + asid + page;
interface Measure { readonly head: string; readonly width: number; show(r: StatReport, first: StatReport): string }
const count = (head: string, width: number, value: (r: StatReport) => number): Measure => ({ head, width, show: (r) => thousands(value(r)) });
const measures: readonly Measure[] = [
  count('majors', 10, majorFaults), { head: '', width: 8, show: (r, first) => (r === first ? '' : relative(majorFaults(r), majorFaults(first))) }, count('refaults', 10, refaults),
  { head: 'scan/free', width: 10, show: (r) => (reclaimed(r) === 0 ? '-' : (scanned(r) / reclaimed(r)).toFixed(2)) },
  count('flushes', 9, flushes), count('swap out', 10, stat('pswpout')), count('swap in', 10, stat('pswpin')),
  { head: 'ms', width: 8, show: (r) => (r.clock.cycles / 1e6).toFixed(r.clock.cycles < 1e8 ? 1 : 0) },
];

export function lruCompareText({ program, policies, limits, runs, sameOutput, refused }: PolicyComparison): string {
  const lines: string[] = [];
  const name = Math.max(8, ...policies.map((policy) => policy.length));
  const [any] = runs;
  if (any !== undefined) {
    const { config, swap } = any.report;
    lines.push(` ${program.argv.join(' ')}: ${showSize(config.memBytes)} RAM, ${swap === null ? 'no swap' : `${showSize(config.swap.reduce((a, b) => a + b, 0))} swap`}`,
      sameOutput ? ' It printed the same in every run.' : ' It did not print the same in every run: it looks at time or at memory.');
  }
  for (const limit of limits) {
    const rows = runs.filter(({ memoryMax }) => memoryMax === limit);
    const [first] = rows;
    if (first === undefined) continue;
    lines.push('', ` ${limit === null ? 'no limit but RAM' : `at most ${showSize(limit)}`}`.padEnd(name + 2) + '', ` ${''.padEnd(name)}${measures.map(({ head, width }) => head.padStart(width)).join('')}`);
    for (const { policy, report } of rows) lines.push(` ${policy.padEnd(name)}${measures.map(({ width, show }) => show(report, first.report).padStart(width)).join('')}${endOf(report)}`);
    for (const { policy, divergence } of rows.slice(1)) {
      lines.push(divergence === null ? `   ${policy} does the same as ${first.policy}` : `   ${policy} ${divergence.here}, where ${first.policy} ${divergence.there}; instruction ${thousands(divergence.instructions)}`);
    }
  }
  if (limits.length > 1) lines.push('', ...curveTable('Major faults', majorFaults, policies, limits, runs), '', ...curveTable('Refaults', refaults, policies, limits, runs));
  for (const { policy, why } of refused) lines.push('', ` ${policy}: ${why}`);
  lines.push('', ' majors: major faults; refaults: pages that were evicted and came back; scan/free: pages', ' scanned for each one reclaimed; flushes: of TLBs; swap: pages; ms: modelled time.');
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}
/** What a reader has to know of a run that did not end well. */
function endOf({ exit, vmstat }: StatReport): string {
  if ((vmstat['oom_kill'] ?? 0) > 0) return '  killed: no memory';
  return exit.reason === 'exited' && exit.signal === null ? '' : `  ${exit.signal ?? exit.reason}`;
}
function curveTable(title: string, value: (r: StatReport) => number, policies: readonly string[], limits: readonly (number | null)[], runs: readonly PolicyRun[]): string[] {
  const width = Math.max(11, ...policies.map((policy) => policy.length + 2));
  const cell = (policy: string, limit: number | null): string => {
    const run = runs.find((each) => each.policy === policy && each.memoryMax === limit);
    return (run === undefined ? '-' : thousands(value(run.report))).padStart(width);
  };
  return [` ${title.padEnd(14)}${policies.map((policy) => policy.padStart(width)).join('')}`, ...limits.map((limit) => ` ${(limit === null ? 'RAM' : showSize(limit)).padEnd(14)}${policies.map((policy) => cell(policy, limit)).join('')}`)];
}
