// The report of `quire mm memmap`: what the memory map costs, from the live descriptors. Here: its shape, filling it, its text, the arithmetic of
// one GiB. Not here: the descriptors (kernel/mm/memdesc.ts). The figures are those of the moment when most frames were in use.
import { showSize } from '#base';
import { descriptorKinds, memmapLayouts, overheadBytes } from '#kernel';
import type { AllocCounts } from '#kernel';
import type { Session } from './boot.ts';
import type { Outcome } from './drive.ts';
import { configReport } from './report.ts';
import type { ConfigReport, FieldRow } from './schema.ts';

export const MEMMAP_SCHEMA = 'quire.memmap/1';
const GIB_PAGES = 2 ** 18;
const MIB = 2 ** 20;
/** Pages in the folios of the articles' examples: base pages, two, four, sixteen, 2 MiB. */
const EXAMPLE_ORDERS = [0, 1, 2, 4, 9] as const;
/** Sizes that give the articles' printed results for 8 bytes a frame: 23, 16 and 9 MiB. */
const SEED = { recordBytes: 8, folioBytes: 84, largeFolioBytes: 112 };

export interface KindReport {
  readonly type: string;
  /** Of one descriptor outside the memory map; 0: it has none. */
  readonly bytes: number;
  readonly live: number;
  readonly frames: number;
  readonly liveBytes: number;
  /** Guest RAM in slabs that hold them, free slots included. */
  readonly slabBytes: number;
}
/** What one GiB of a file (or, where it says so, of anonymous memory, which has no folios of two pages) costs, by the order of its folios. */
export interface Arithmetic {
  readonly name: string;
  readonly recordBytes: number;
  readonly folioBytes: number;
  readonly largeFolioBytes: number;
  readonly bytesByOrder: Readonly<Record<string, number>>;
  /** The smallest order that costs no more than the 64 bytes a page of today; null: none up to 10. */
  readonly breakEvenOrder: number | null;
}
export interface MemmapReport {
  readonly schema: typeof MEMMAP_SCHEMA;
  readonly tool: string;
  readonly config: ConfigReport;
  readonly program: { readonly argv: readonly string[]; readonly sha256: string };
  readonly memmap: { readonly bytesPerFrame: number; readonly frames: number; readonly bytes: number; readonly shareOfRam: number };
  readonly descriptors: readonly KindReport[];
  readonly total: { readonly bytes: number; readonly shareOfRam: number; readonly framesInUse: number; readonly bytesToday: number };
  readonly gibibyte: readonly Arithmetic[];
  readonly headLookups: { readonly made: number; readonly saved: number };
  readonly allocator: { readonly strategy: string; readonly faults: number; readonly stealing: number } & Readonly<AllocCounts>;
}
export const memmapFields: readonly FieldRow[] = [
  ['schema', 'text', 'name and version of this shape'], ['tool', 'text', 'name and version of the program that made the report'],
  ['config', 'free', 'as in quire.stat/1'], ['program', 'free', 'as in quire.stat/1'],
  ['memmap.bytesPerFrame', 'count', 'bytes that the memory map takes for each frame: 64 today, 32, 16 or 8'],
  ['memmap.frames', 'count', 'frames of RAM'], ['memmap.bytes', 'count', 'guest RAM that the map takes, whatever is in use'],
  ['memmap.shareOfRam', 'number', 'memmap.bytes over RAM'],
  ['descriptors', 'free', 'by type: bytes of one descriptor of its own, allocations live, their frames, bytes of their descriptors, guest RAM of the slabs that hold those'],
  ['total.bytes', 'count', 'memory map and slabs together'], ['total.shareOfRam', 'number', 'total.bytes over RAM'],
  ['total.framesInUse', 'count', 'frames in use at that moment, the most of the run'], ['total.bytesToday', 'count', 'what 64 bytes for each frame take'],
  ['gibibyte', 'free', 'what describes one GiB, by the order of its folios: as configured, in every layout, and with the sizes that give the articles\' results'],
  ['headLookups.made', 'count', 'times that the head of a frame was looked up (page_folio)'],
  ['headLookups.saved', 'count', 'times that a function was given a folio, and would have looked up the head of a page'],
  ['allocator.strategy', 'text', 'how a fault asks for a large folio: loop, sizes, largest'], ['allocator.faults', 'count', 'page faults of the run'],
  ['allocator.entries', 'count', 'calls of the page allocator'], ['allocator.failures', 'count', 'calls that came back with nothing'],
  ['allocator.lockHolds', 'count', 'times that the zone\'s lock was taken'], ['allocator.stockHits', 'count', 'allocations and frees that per-cpu stock served'],
  ['allocator.slowPaths', 'count', 'calls that went beyond the fast path'], ['allocator.stealing', 'count', 'pageblocks that are not movable at the end'],
];

/** @param isAnon there are no folios of two pages */
export function gibibyte(name: string, recordBytes: number, folioBytes: number, largeFolioBytes: number, isAnon = false): Arithmetic {
  const cost = (order: number): number => isAnon && order === 1 ? Infinity : overheadBytes(GIB_PAGES, order, recordBytes, (o) => (o === 0 ? folioBytes : largeFolioBytes));
  let breakEvenOrder: number | null = null;
  for (let order = 10; order >= 0 && cost(order) <= GIB_PAGES * 64; order--) breakEvenOrder = order;
  return { name, recordBytes, folioBytes, largeFolioBytes, bytesByOrder: Object.fromEntries(EXAMPLE_ORDERS.filter((order) => !isAnon || order !== 1).map((order) => [order, cost(order)])), breakEvenOrder };
}

/** @param tool name and version of this program */
export function memmapReport(session: Session, outcome: Outcome, tool: string): MemmapReport {
  const { system, params } = session.kernel;
  const { peak } = system.descriptors;
  const ramBytes = session.config.machine.memBytes;
  const isSeparate = system.memmapBytesPerFrame !== 64;
  const descriptors = descriptorKinds.map(({ name, bytes }, kind) => ({
    type: name, bytes: isSeparate ? bytes : 0, live: peak.live[kind]!, frames: peak.frames[kind]!,
    liveBytes: isSeparate ? bytes * peak.live[kind]! : 0, slabBytes: peak.slabs[kind]! * 4096,
  }));
  const bytes = system.memmapBytes + descriptors.reduce((sum, d) => sum + d.slabBytes, 0);
  const [folio, file, anon] = ['folio', 'large file folio', 'large anon folio'].map((kind) => descriptorKinds.find(({ name }) => name === kind)!.bytes) as [number, number, number];
  return {
    schema: MEMMAP_SCHEMA, tool, config: configReport(session.config.machine, session, outcome.stdinSha256),
    program: { argv: session.config.inputs.argv, sha256: session.config.inputs.programSha256 },
    memmap: { bytesPerFrame: system.memmapBytesPerFrame, frames: system.folios.nrFrames, bytes: system.memmapBytes, shareOfRam: system.memmapBytes / ramBytes },
    descriptors,
    total: { bytes, shareOfRam: bytes / ramBytes, framesInUse: peak.total, bytesToday: system.folios.nrFrames * 64 },
    gibibyte: [
      ...memmapLayouts.map((layout) => gibibyte(`${layout} bytes a frame`, layout, layout === 64 ? 0 : folio, layout === 64 ? 0 : file)),
      gibibyte('8, anonymous', 8, folio, anon, true),
      gibibyte('the articles', SEED.recordBytes, SEED.folioBytes, SEED.largeFolioBytes),
    ],
    headLookups: { ...system.folios.headLookups },
    allocator: {
      strategy: params.allocStrategy, faults: system.vmstat.get('pgfault'), ...system.pages.counts,
      stealing: system.buddy.blockTypeCounts().reduce((sum, n, type) => (type === 1 ? sum : sum + n), 0),
    },
  };
}

const thousands = (n: number): string => `${n}`.replace(/\B(?=(\d{3})+$)/g, ',');
const percent = (share: number): string => `${(share * 100).toFixed(3)} %`;

export function memmapText(r: MemmapReport): string {
  const row = (...cells: string[]): string => ` ${cells[0]!.padEnd(22)}${cells.slice(1).map((c) => c.padStart(12)).join('')}`;
  const { memmap, total, allocator, headLookups } = r;
  return [
    ` Memory map of ${r.program.argv.join(' ')}: ${showSize(r.config.memBytes)} RAM, ${memmap.bytesPerFrame} bytes a frame`, '',
    row('', 'live', 'frames', 'bytes each', 'bytes', 'in slabs'),
    row('map', thousands(memmap.frames), thousands(memmap.frames), `${memmap.bytesPerFrame}`, thousands(memmap.bytes), '-'),
    ...r.descriptors.filter((d) => d.live > 0).map((d) => row(d.type, thousands(d.live), thousands(d.frames), d.bytes === 0 ? '-' : `${d.bytes}`, thousands(d.liveBytes), thousands(d.slabBytes))),
    row('together', '', thousands(total.framesInUse), '', thousands(total.bytes), ''),
    ` ${percent(total.shareOfRam)} of RAM; 64 bytes a frame take ${thousands(total.bytesToday)} bytes, ${percent(total.bytesToday / r.config.memBytes)}.`,
    '', ' One GiB of a file, MiB by folio size',
    row('', ...EXAMPLE_ORDERS.map((order) => showSize(4096 << order)), 'pays from'),
    ...r.gibibyte.map((a) => row(a.name, ...EXAMPLE_ORDERS.map((order) => (a.bytesByOrder[order] === undefined ? '-' : (a.bytesByOrder[order] / MIB).toFixed(1))), a.breakEvenOrder === null ? 'never' : showSize(4096 << a.breakEvenOrder))),
    '', ` Allocator, strategy ${allocator.strategy}`,
    row('page faults', thousands(allocator.faults)), row('entries', thousands(allocator.entries)), row('failures', thousands(allocator.failures)),
    row('zone lock holds', thousands(allocator.lockHolds)), row('stock hits', thousands(allocator.stockHits)), row('slow paths', thousands(allocator.slowPaths)),
    '', ' Heads of frames',
    row('looked up', thousands(headLookups.made)), row('saved by folios', thousands(headLookups.saved)),
  ].map((line) => line.trimEnd()).join('\n') + '\n';
}
