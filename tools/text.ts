// Reports as text, from the JSON alone: what is not in a StatReport cannot be printed. Plain ASCII, at most 80 columns.
// Here: numbers, the report of one run, the comparison of several. Not here: what the fields mean (schema.ts).
import { showSize } from '#base';
import type { LevelReport } from '#mmu';
import type { StatReport } from './schema.ts';

/** 1234567 to '1,234,567'. */
export const thousands = (n: number): string => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ',');
/** A share with enough digits to tell small ones apart: '12.3 %', '0.53 %', '0 %'. */
export function percent(part: number, whole: number): string {
  if (part === 0 || whole === 0) return '0 %';
  const p = (100 * part) / whole;
  return `${p >= 10 ? p.toFixed(1) : p >= 0.01 ? p.toFixed(2) : '<0.01'} %`;
}
/** Per thousand instructions. */
const perKilo = (n: number, instructions: number): string => `${((1000 * n) / Math.max(1, instructions)).toFixed(2)} MPKI`;

const line = (value: number, label: string, note = ''): string =>
  `${thousands(value).padStart(20)}  ${note === '' ? label : `${label.padEnd(28)}# ${note}`}`;

/** Sizes in order of bytes: 4K, 16K, 64K, 2M. */
const sizeOrder = (name: string): number => Number(name.slice(0, -1)) * 1024 ** ('KMGT'.indexOf(name.at(-1)!) + 1);
const bySize = (sizes: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(sizes).filter(([, n]) => n > 0).sort(([a], [b]) => sizeOrder(a) - sizeOrder(b));

function levelLines(title: string, level: LevelReport | null | undefined, instructions: number): string[] {
  if (level === null || level === undefined || level.lookups === 0) return [];
  return [
    '', ` ${title}`,
    line(level.lookups, 'lookups'),
    line(level.misses, 'misses', `${percent(level.misses, level.lookups)}, ${perKilo(level.misses, instructions)}`),
  ];
}

/** Folios that faults allocated, by size: from hugepages-<size>kB/stats/anon_fault_alloc. */
export function foliosBySize(report: StatReport): [string, number][] {
  return bySize(Object.fromEntries(Object.entries(report.thp).map(([directory, stats]) =>
    [showSize(Number(/[0-9]+/.exec(directory)?.[0] ?? 0) * 1024), stats['anon_fault_alloc'] ?? 0])));
}

/** What became of memory that was short; nothing where it never was. */
function reclaimLines({ lru, memcg, swap, vmstat }: StatReport): string[] {
  const { pgscan_anon: scannedAnon = 0, pgscan_file: scannedFile = 0, pgsteal_anon: anon = 0, pgsteal_file: file = 0, workingset_refault_anon: backAnon = 0, workingset_refault_file: backFile = 0 } = vmstat;
  const scanned = scannedAnon + scannedFile;
  if (scanned === 0 && memcg === null) return [];
  const young = lru.youngSampling;
  return [
    '', ` Reclaim by ${lru.policy}${memcg === null ? '' : `, at most ${showSize(memcg.maxBytes)}`}`,
    line(scanned, 'pages scanned', anon + file === 0 ? '' : `${(scanned / (anon + file)).toFixed(1)} for each reclaimed`),
    line(anon + file, 'pages reclaimed', `${thousands(anon)} anonymous, ${thousands(file)} of files`),
    line(backAnon + backFile, 'pages came back (refaults)', percent(backAnon + backFile, anon + file)),
    ...(swap === null ? [] : [line(swap.outPages, 'pages written to swap', `in ${thousands(swap.outRequests)} requests`), line(swap.inPages, 'pages read from swap', `${thousands(swap.readaheadPages)} ahead, ${thousands(swap.readaheadHits)} of them used`)]),
    ...((vmstat['zswpout'] ?? 0) === 0 ? [] : [line(vmstat['zswpout']!, 'pages compressed (zswap)', `${thousands(vmstat['zswpin'] ?? 0)} came back, ${thousands(vmstat['zswpwb'] ?? 0)} written on`)]),
    ...(memcg === null ? [] : [line(memcg.events['max'] ?? 0, 'times at the limit'), line(memcg.peakBytes / 1024, 'kB at most')]),
    ...((vmstat['oom_kill'] ?? 0) === 0 ? [] : [line(vmstat['oom_kill']!, 'programs killed for want of memory')]),
    ...(young === null || young.samples === 0 ? [] : [line(young.samples, 'accessed bits sampled', `${percent(young.blind, young.old)} of ${thousands(young.old)} old: in use by TLB`)]),
  ];
}

const describeExit = ({ exit }: StatReport): string => {
  if (exit.reason === 'budget') return 'instruction budget used up';
  if (exit.reason === 'interrupted') return 'interrupted';
  if (exit.reason === 'deadlock') return 'every task sleeps and nothing can wake one';
  return exit.signal === null ? `exit status ${exit.status}` : `ended by ${exit.signal}`;
};
const describeTlb = ({ config }: StatReport): string => config.preset ?? config.tlb.name;

/** The report of one run, in the manner of perf stat. */
export function statText(r: StatReport): string {
  const { instructions, cycles, tlbCycles, kernelCycles } = r.clock;
  const { walks, coalescing, flushes, ad } = r.tlb;
  const pagesPerEntry = coalescing.pagesPerEntry.map((n, pages) => [pages, n] as const).filter(([pages, n]) => pages > 1 && n > 0);
  const folios = foliosBySize(r);
  const lines = [
    ` ${r.program.argv.join(' ')}`,
    ` ${describeTlb(r)} TLBs, ${showSize(r.config.memBytes)} RAM, Sv${r.config.sv}: ${describeExit(r)}`,
    '',
    line(instructions, 'instructions'),
    line(cycles, 'cycles (modelled)', `${(cycles / Math.max(1, instructions)).toFixed(2)} per instruction`),
    line(tlbCycles, '  of TLB hits and walks', percent(tlbCycles, cycles)),
    line(kernelCycles, '  of the kernel', percent(kernelCycles, cycles)),
    ...levelLines('L1 data TLB', r.tlb.l1d, instructions),
    ...levelLines('L1 instruction TLB', r.tlb.l1i, instructions),
    ...levelLines('L2 TLB', r.tlb.l2, instructions),
    ...levelLines('L2 instruction TLB', r.tlb.l2i, instructions),
    '', ' Page walks',
    line(walks.count, 'walks', perKilo(walks.count, instructions)),
    ...bySize(walks.byPageSize).map(([size, n]) => line(n, `  to ${size} pages`)),
    line(walks.pteReads, 'page-table reads', `${(walks.pteReads / Math.max(1, walks.count)).toFixed(2)} per walk`),
    line(walks.pwcHits, 'page-walk cache hits', percent(walks.pwcHits, walks.count)),
    line(ad.accessed, 'accessed bits set'),
    line(ad.dirty, 'dirty bits set'),
    line(coalescing.fills, 'coalesced fills', percent(coalescing.fills, walks.count)),
    ...pagesPerEntry.map(([pages, n]) => line(n, `  entries of ${pages} pages`)),
    '', ' Fences',
    line(flushes.page, 'of one page'),
    line(flushes.asid, 'of an address space'),
    line(flushes.all, 'of everything'),
    '', ' Page faults',
    line(r.faults.minor, 'minor'),
    line(r.faults.major, 'major'),
    ...Object.entries(r.faults.byKind).filter(([, n]) => n > 0).map(([kind, n]) => line(n, `  ${kind}`)),
    ...folios.map(([size, n]) => line(n, `folios of ${size}`)),
    line(r.memory.maxRssKb, 'kB largest resident set'),
    ...reclaimLines(r),
    '',
    ...r.unknownSyscalls.map((name) => ` Not there: the program called ${name}, which answered ENOSYS.`),
    ...wrap(` Not modelled: ${r.notModelled.join(', ')}.`),
    ` State ${r.stateHash}`,
    ` Host  ${r.host.wallSeconds.toFixed(2)} s, ${r.host.mips.toFixed(1)} million instructions per second`,
  ];
  return `${lines.map((l) => l.trimEnd()).join('\n')}\n`;
}

/** Breaks at blanks, 80 columns, the later lines indented. */
function wrap(text: string): string[] {
  const lines: string[] = [];
  let at = '';
  for (const word of text.trim().split(' ')) {
    if (at.length + word.length + 2 > 80) {
      lines.push(` ${at}`);
      at = `  ${word}`;
    } else {
      at = at === '' ? word : `${at} ${word}`;
    }
  }
  return [...lines, ` ${at}`];
}

/** One column of a comparison. */
export interface Column {
  readonly title: string;
  /** What the column stands for, one line. */
  readonly meaning: string;
  readonly report: StatReport;
}
/** Several runs of one program: `quire.compare/1`. */
export interface Comparison {
  readonly schema: 'quire.compare/1';
  /** Whether the program printed the same in every run. */
  readonly sameOutput: boolean;
  readonly columns: readonly Column[];
}
type Row = readonly [label: string, value: (r: StatReport) => number];

/** The rows of a comparison; folios by size are added for the sizes that occur. */
const comparedRows: readonly Row[] = [
  ['instructions', (r) => r.clock.instructions],
  ['cycles', (r) => r.clock.cycles],
  ['L1 D TLB misses', (r) => r.tlb.l1d.misses],
  ['L2 TLB misses', (r) => r.tlb.l2?.misses ?? 0],
  ['page walks', (r) => r.tlb.walks.count],
  ['PTE reads', (r) => r.tlb.walks.pteReads],
  ['coalesced fills', (r) => r.tlb.coalescing.fills],
  ['page faults', (r) => r.faults.minor + r.faults.major],
];

/** '+3.1 %' of `n` against `base`; a factor where percentages stop to be readable. */
export function relative(n: number, base: number): string {
  if (n === base) return '=';
  if (base === 0) return 'new';
  const ratio = n / base;
  if (ratio >= 3) return `x${ratio >= 100 ? Math.round(ratio) : ratio.toFixed(1)}`;
  const change = (ratio - 1) * 100;
  return `${change > 0 ? '+' : ''}${Math.abs(change) < 0.05 ? (change > 0 ? '0.0' : '-0.0') : change.toFixed(1)}%`;
}

/** Several runs side by side; every column but the first with its change against the first. */
export function compareText({ columns, sameOutput }: Comparison): string {
  const [base, ...others] = columns;
  if (base === undefined) return '';
  const sizes = new Set(columns.flatMap((c) => foliosBySize(c.report).map(([size]) => size)));
  const rows: Row[] = [
    ...comparedRows,
    ...[...sizes].sort((a, b) => sizeOrder(a) - sizeOrder(b)).map((size): Row =>
      [`${size} folios`, (r) => foliosBySize(r).find(([s]) => s === size)?.[1] ?? 0]),
  ];
  const [valueWidth, changeWidth] = [13, 8];
  const head = ['', base.title.padStart(valueWidth), ...others.map((c) => c.title.padStart(valueWidth + changeWidth))];
  const body = rows.map(([label, value]) => [
    label, thousands(value(base.report)).padStart(valueWidth),
    ...others.map((c) => thousands(value(c.report)).padStart(valueWidth) + relative(value(c.report), value(base.report)).padStart(changeWidth)),
  ]);
  const { config, program } = base.report;
  const about = [
    ` ${program.argv.join(' ')}: ${config.tlb.name.replace(/\+.*/, '')} TLBs, ${showSize(config.memBytes)} RAM, Sv${config.sv}`,
    sameOutput ? ' It printed the same in every run.' : ' It did not print the same in every run: it looks at time, addresses or page sizes.',
    '',
  ];
  const legend = columns.map((c) => ` ${c.title.padEnd(12)} ${c.meaning}`);
  const table = [head, ...body].map(([label, ...cells]) => ` ${label!.padEnd(17)}${cells.join('')}`.trimEnd());
  return `${[...about, ...legend, '', ...table].join('\n')}\n`;
}
