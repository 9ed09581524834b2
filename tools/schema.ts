// The report `quire.stat/1`, declared once: every field's path, kind and meaning. The checker, `quire explain` and the documentation are
// read off the table; text.ts renders from nothing else. Here: the shape. Not here: filling it (report.ts).
import type { Machine } from '#cpu';
import type { TlbDescription, TlbReport } from '#mmu';
import type { YoungReport } from './young.ts';

export const STAT_SCHEMA = 'quire.stat/1';

/** Everything that decides a run, as it was resolved: with the program, it is all that is needed to get the same report again. */
export interface ConfigReport {
  readonly preset: string | null;
  readonly tlb: TlbDescription;
  readonly memBytes: number;
  readonly sv: 39 | 48 | 57;
  readonly svadu: boolean;
  readonly engine: string;
  readonly seed: number;
  readonly maxInsn: number | null;
  readonly thp: string | null;
  readonly mthp: Readonly<Record<string, string>>;
  readonly set: readonly { readonly path: string; readonly value: string }[];
  readonly costs: Readonly<Record<string, number>>;
  readonly memmap: number;
  readonly allocStrategy: string;
  readonly lru: { readonly policy: string; readonly file: string | null; readonly sha256: string | null };
  readonly memoryMax: number | null;
  readonly env: readonly string[];
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  readonly disks: readonly { readonly path: string; readonly isWritable: boolean; readonly sizeBytes: number }[];
  readonly diskLatency: Readonly<Record<string, string | number>>;
  readonly swap: readonly number[];
  readonly swapLatency: Readonly<Record<string, string | number>>;
  readonly stdinSha256: string | null;
}

export interface StatReport {
  readonly schema: typeof STAT_SCHEMA;
  readonly tool: string;
  readonly config: ConfigReport;
  readonly program: { readonly argv: readonly string[]; readonly sha256: string };
  readonly exit: { readonly reason: string; readonly status: number | null; readonly signal: string | null };
  readonly clock: { readonly instructions: number; readonly cycles: number; readonly tlbCycles: number; readonly kernelCycles: number };
  readonly tlb: TlbReport;
  readonly faults: { readonly minor: number; readonly major: number; readonly byKind: Readonly<Record<string, number>> };
  readonly vmstat: Readonly<Record<string, number>>;
  readonly thp: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly memory: { readonly maxRssKb: number; readonly memmapBytes: number };
  readonly lru: { readonly policy: string; readonly youngSampling: YoungReport | null };
  /** null: no limit was set. */
  readonly memcg: MemcgReport | null;
  /** null: there is no swap. */
  readonly swap: SwapReport | null;
  readonly notModelled: readonly string[];
  readonly unknownSyscalls: readonly string[];
  readonly stateHash: string;
  readonly host: { readonly wallSeconds: number; readonly mips: number; readonly translation: Machine['translation'] };
}

/** The program's group at the end. Bytes, but for events and for counts of `stat`. */
export interface MemcgReport {
  readonly path: string;
  readonly currentBytes: number;
  readonly peakBytes: number;
  readonly maxBytes: number;
  readonly swapBytes: number;
  readonly events: Readonly<Record<string, number>>;
  readonly stat: Readonly<Record<string, number>>;
}
export interface SwapReport {
  readonly totalBytes: number;
  readonly usedBytes: number;
  readonly outPages: number;
  readonly inPages: number;
  readonly zeroOutPages: number;
  readonly zeroInPages: number;
  readonly readaheadPages: number;
  readonly readaheadHits: number;
  readonly outRequests: number;
  readonly inRequests: number;
}

type FieldKind = 'text' | 'text?' | 'count' | 'count?' | 'number' | 'flag' | 'texts' | 'counts' | 'free';
/** [path, kind, meaning]. '*' stands for any one key; kind 'free' covers whatever is below; '?' allows null. */
export type FieldRow = readonly [path: string, kind: FieldKind, meaning: string];

const level = (at: string, what: string): FieldRow[] => [
  [`${at}.lookups`, 'count', `lookups in the ${what}; lookups = hits + misses`],
  [`${at}.hits`, 'count', `lookups that found their translation in the ${what}`],
  [`${at}.misses`, 'count', `lookups that did not find their translation in the ${what}`],
  [`${at}.byKind.*.lookups`, 'count', `lookups in the ${what} by this kind of access`],
  [`${at}.byKind.*.hits`, 'count', `hits in the ${what} by this kind of access`],
  [`${at}.byKind.*.misses`, 'count', `misses in the ${what} by this kind of access`],
  [`${at}.byPageSize.*.hits`, 'count', `hits in the ${what} on pages of this size`],
  [`${at}.byPageSize.*.misses`, 'count', `misses in the ${what} on pages of this size; accesses that fault found no page and are in no size`],
];

export const statFields: readonly FieldRow[] = [
  ['schema', 'text', 'name and version of this shape'],
  ['tool', 'text', 'name and version of the program that made the report'],
  ['config.preset', 'text?', 'name of the TLB preset, null when --tlb gave the description'],
  ['config.tlb', 'free', 'the whole TLB description that was used'],
  ['config.memBytes', 'count', 'guest RAM in bytes'],
  ['config.sv', 'count', 'virtual address width: 39, 48 or 57 bits'],
  ['config.svadu', 'flag', 'true: the walker sets A and D bits; false: page faults do'],
  ['config.engine', 'text', 'how instructions were executed'],
  ['config.seed', 'count', 'seed of everything random'],
  ['config.maxInsn', 'count?', 'instruction budget, null: none'],
  ['config.thp', 'text?', 'transparent_hugepage/enabled as asked for, null: the default'],
  ['config.mthp.*', 'text', 'hugepages-<size>kB/enabled as asked for'],
  ['config.set', 'free', 'files of /proc and /sys written before the start'],
  ['config.costs.*', 'number', 'cycles that one such operation of the kernel costs'],
  ['config.memmap', 'count', 'bytes of the memory map for each frame'],
  ['config.allocStrategy', 'text', 'how a fault asks the allocator for a large folio'],
  ['config.lru.policy', 'text', 'reclaim policy: which pages go when memory is short'],
  ['config.lru.file', 'text?', 'the file that the policy was read from, null: one of Quire\'s own'],
  ['config.lru.sha256', 'text?', 'hash of that file'],
  ['config.memoryMax', 'count?', 'memory.max of the program\'s group in bytes, null: no limit'],
  ['config.env', 'texts', 'environment of the program'],
  ['config.files', 'free', 'host files that the guest was given: guest path and hash'],
  ['config.disks', 'free', 'disks, with where they are mounted, whether the run may change them, and their size'],
  ['config.diskLatency', 'free', 'how long the disks take: nanoseconds, bytes a second, channels'],
  ['config.swap', 'free', 'sizes of the swap devices in bytes'],
  ['config.swapLatency', 'free', 'how long the swap devices take'],
  ['config.stdinSha256', 'text?', 'hash of the standard input, null: none or interactive'],
  ['program.argv', 'texts', 'the program and its arguments, as the guest sees them'],
  ['program.sha256', 'text', 'hash of the program file'],
  ['exit.reason', 'text', 'exited, budget (the instruction budget was used up), interrupted, or deadlock (every task sleeps and nothing can wake one)'],
  ['exit.status', 'count?', 'exit status of the program; null when a signal ended it or it has not ended'],
  ['exit.signal', 'text?', 'name of the signal that ended the program'],
  ['clock.instructions', 'count', 'instructions that the guest has retired in user mode'],
  ['clock.cycles', 'count', 'the modelled clock: instructions + tlbCycles + kernelCycles'],
  ['clock.tlbCycles', 'count', 'cycles spent on L2 TLB hits and page walks, at the latencies of the TLB description'],
  ['clock.kernelCycles', 'count', 'cycles charged for work of the kernel, at the costs of the configuration, and for waiting'],
  ...level('tlb.l1i', 'L1 instruction TLB'),
  ...level('tlb.l1d', 'L1 data TLB'),
  ...level('tlb.l2', 'L2 TLB'),
  ...level('tlb.l2i', 'L2 instruction TLB'),
  ['tlb.walks.count', 'count', 'page walks: lookups that missed in every TLB level'],
  ['tlb.walks.pteReads', 'count', 'page-table entries that walks read from memory'],
  ['tlb.walks.pwcHits', 'count', 'walks that started below the root, from a page-walk cache'],
  ['tlb.walks.faults', 'count', 'walks that ended in a page fault'],
  ['tlb.walks.byLevel', 'counts', 'page-table entries read by level; 0 is the level of 4K pages'],
  ['tlb.walks.byPageSize.*', 'count', 'walks by the size of the page they found'],
  ['tlb.coalescing.fills', 'count', 'TLB fills whose entry covers more than the page that was walked for'],
  ['tlb.coalescing.pagesPerEntry', 'counts', 'fills by the number of 4K pages their entry covers: position n counts entries of n pages'],
  ['tlb.coalescing.collateral', 'count', 'pages that lost their translation because a neighbour in the same entry was fenced'],
  ['tlb.coalescing.partialReach.*', 'count', 'entries that cover less than the page-table leaf behind them'],
  ['tlb.flushes.all', 'count', 'fences of every address space'],
  ['tlb.flushes.asid', 'count', 'fences of one whole address space'],
  ['tlb.flushes.page', 'count', 'fences of one page'],
  ['tlb.ad.accessed', 'count', 'A bits that the walker set'],
  ['tlb.ad.dirty', 'count', 'D bits that the walker set'],
  ['tlb.ad.assists', 'count', 'times that a cached translation had to have its A or D bit set in memory'],
  ['tlb.ad.assistPteReads', 'count', 'page-table entries read for that'],
  ['tlb.faults.page', 'count', 'page-fault exceptions that the MMU raised'],
  ['tlb.faults.access', 'count', 'access-fault exceptions that the MMU raised'],
  ['faults.minor', 'count', 'page faults resolved without I/O, of every task, as getrusage counts them'],
  ['faults.major', 'count', 'page faults that had to wait for I/O'],
  ['faults.byKind.*', 'count', 'page faults by what the kernel did about them'],
  ['vmstat.*', 'count', 'the line of this name in /proc/vmstat at the end'],
  ['thp.*.*', 'count', 'the file of this name in transparent_hugepage/hugepages-<size>kB/stats'],
  ['memory.maxRssKb', 'count', 'largest resident set of the program, in kB (ru_maxrss)'],
  ['memory.memmapBytes', 'count', 'guest RAM that holds the memory map: bytes per frame times frames'],
  ['lru.policy', 'text', 'reclaim policy: which pages go when memory is short'],
  ['lru.youngSampling.samples', 'count', 'accessed bits that reclaim read to learn what is in use: one an entry of a page table, or a folded run'],
  ['lru.youngSampling.young', 'count', 'of these, bits that were set: the page was used since the last look'],
  ['lru.youngSampling.old', 'count', 'of these, bits that were not set: the page looks idle'],
  ['lru.youngSampling.blind', 'count', 'samples that looked idle although the page had been used, through a translation that a TLB still held: reclaim clears accessed bits without a fence'],
  ['lru.youngSampling.blindShare', 'number', 'blind / old'],
  ['lru.youngSampling.cached', 'count', 'samples that looked idle, whose translation was in a TLB, and of which it is not known whether it was used'],
  ['lru.youngSampling.blindByLevel.*', 'count', 'blind samples by the TLB level through which the page was used'],
  ['lru.youngSampling.blindByPageSize.*', 'count', 'blind samples by the memory that the accessed bit stands for'],
  ['memcg.path', 'text', 'the program\'s control group, below /sys/fs/cgroup'],
  ['memcg.currentBytes', 'count', 'memory.current at the end: what the group still has'],
  ['memcg.peakBytes', 'count', 'memory.peak: the most it has had'],
  ['memcg.maxBytes', 'count', 'memory.max: the limit of --memory-max'],
  ['memcg.swapBytes', 'count', 'memory.swap.current at the end'],
  ['memcg.events.*', 'count', 'the line of this name in memory.events'],
  ['memcg.stat.*', 'count', 'the line of this name in memory.stat at the end: bytes, or counts of events'],
  ['swap.totalBytes', 'count', 'swap space of all devices, headers left out'],
  ['swap.usedBytes', 'count', 'swap space in use at the end'],
  ['swap.outPages', 'count', 'pages written to swap (pswpout)'],
  ['swap.inPages', 'count', 'pages read from swap (pswpin)'],
  ['swap.zeroOutPages', 'count', 'pages of zeros that went to swap without being written (swpout_zero)'],
  ['swap.zeroInPages', 'count', 'pages of zeros that came from swap without being read (swpin_zero)'],
  ['swap.readaheadPages', 'count', 'pages read from swap ahead of need (swap_ra)'],
  ['swap.readaheadHits', 'count', 'of these, pages that were then used (swap_ra_hit)'],
  ['swap.outRequests', 'count', 'write requests that the devices of swap got'],
  ['swap.inRequests', 'count', 'read requests that they got'],
  ['notModelled', 'texts', 'what the counts and cycles leave out'],
  ['unknownSyscalls', 'texts', 'system calls that the program asked for and that answered ENOSYS'],
  ['stateHash', 'text', 'hash of RAM, registers, kernel tables, TLBs and counters: equal runs have equal hashes'],
  ['host.wallSeconds', 'number', 'host time; host alone may differ between two runs'],
  ['host.mips', 'number', 'millions of guest instructions per second of host time'],
  ['host.translation.regions', 'count', 'regions that the translator made of hot code (engine jit)'],
  ['host.translation.remade', 'count', 'of them, made anew with TLB misses as calls, because they missed often'],
  ['host.translation.dropped', 'count', 'regions given up: their code changed, they were made anew, or there was too much of them'],
  ['host.translation.refused', 'count', 'regions that were not made when they were asked for: enough had been spent on translations for as long as the program had run, or the page is written to too often'],
  ['host.translation.modules', 'count', 'WebAssembly modules that hold them'],
  ['host.translation.instrs', 'count', 'guest instructions in them, inlined ones counted again'],
  ['host.translation.bytes', 'count', 'bytes of WebAssembly'],
  ['host.translation.standingBytes', 'count', 'of these, bytes of modules that hold a region not given up'],
  ['host.translation.peakBytes', 'count', 'the most that standingBytes has been'],
  ['host.translation.milliseconds', 'number', 'host time in which regions were made; the host compiles them further beside the run'],
  ['host.translation.exits.Jumped', 'count', 'times that control left a region for a place it does not hold'],
  ['host.translation.exits.Missed', 'count', 'times that it left for an access that the filter did not answer: a TLB miss, a misaligned address, a store to a page of code'],
  ['host.translation.exits.MovedPage', 'count', 'times that it left since the next page of code was not in the filter, or no longer where it was'],
  ['host.translation.exits.Instruction', 'count', 'times that it left for an instruction that is not translated: a system call, an atomic one, a CSR'],
  ['host.translation.exits.Budget', 'count', 'times that it left in a loop since the budget was about to end'],
  ['host.translation.exits.RareFloat', 'count', 'times that it left for a floating-point operation with operands that are seldom met'],
  ['host.translation.exits.NoFuel', 'count', 'times that a region did not begin, for the budget might have ended in it'],
];

const isCount = (v: unknown): boolean => typeof v === 'number' && Number.isSafeInteger(v) && v >= 0;
const checks: Readonly<Record<FieldKind, (v: unknown) => boolean>> = {
  text: (v) => typeof v === 'string',
  'text?': (v) => v === null || typeof v === 'string',
  count: isCount,
  'count?': (v) => v === null || isCount(v),
  number: (v) => typeof v === 'number' && Number.isFinite(v),
  flag: (v) => typeof v === 'boolean',
  texts: (v) => Array.isArray(v) && v.every((x) => typeof x === 'string'),
  counts: (v) => Array.isArray(v) && v.every(isCount),
  free: () => true,
};
const patterns = statFields.map(([path, kind]) => ({ segments: path.split('.'), kind }));
const covers = (pattern: readonly string[], path: readonly string[]): boolean =>
  pattern.length === path.length && pattern.every((segment, i) => segment === '*' || segment === path[i]);

/** What is wrong with a report: fields of the wrong kind, fields that no row declares, rows without '*' that are missing; levels whose
 *  lookups are not hits plus misses. Empty: nothing. */
export function checkStat(report: unknown): string[] {
  const problems: string[] = [];
  const seen = new Set<string>();
  const visit = (value: unknown, path: readonly string[]): void => {
    const row = patterns.find((p) => covers(p.segments, path));
    if (row !== undefined) {
      seen.add(row.segments.join('.'));
      if (!checks[row.kind](value)) problems.push(`${path.join('.')}: ${JSON.stringify(value)} is not a ${row.kind}`);
    } else if (value === null && patterns.some((p) => covers(p.segments.slice(0, path.length), path))) {
      for (const p of patterns) if (covers(p.segments.slice(0, path.length), path)) seen.add(p.segments.join('.')); // an absent level
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key]);
    } else {
      problems.push(`${path.join('.')}: not declared in the schema`);
    }
    if (typeof value === 'object' && value !== null && 'lookups' in value && 'hits' in value && 'misses' in value) {
      const { lookups, hits, misses } = value as { lookups: number; hits: number; misses: number };
      if (lookups !== hits + misses) problems.push(`${path.join('.')}: ${lookups} lookups are not ${hits} hits + ${misses} misses`);
    }
  };
  visit(report, []);
  for (const [path] of statFields) {
    if (!path.includes('*') && !path.startsWith('tlb.l2i.') && !seen.has(path)) problems.push(`${path}: missing`);
  }
  return problems;
}
