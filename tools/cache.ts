// The report of `quire mm cache`: what the page cache holds, file by file, and what it took to fill it. Here: its shape, filling it, its text. Not
// here: the counters (kernel). The listing is of the moment when the program's memory is about to go: what it maps is still mapped, and what it
// has deleted is still open.
import { showSize, tracepoints } from '#base';
import { cachedFiles, cachedFolios, pathOf } from '#kernel';
import type { AddressSpace, CacheBackEnd, FolioAtomics, MappingCounts } from '#kernel';
import type { Session } from './boot.ts';
import type { Outcome } from './drive.ts';
import { configReport } from './report.ts';
import type { ConfigReport, FieldRow } from './schema.ts';
import { percent, thousands } from './text.ts';

export const CACHE_SCHEMA = 'quire.cache/1';
const PAGE_BYTES = 4096;
/** What a node of the xarray takes on Linux. */
const XARRAY_NODE_BYTES = 576;

export interface CacheFileReport {
  /** The name it was last opened by, as /proc/PID/maps has it. */
  readonly path: string;
  readonly device: string;
  readonly ino: number;
  readonly sizeBytes: number;
  readonly pages: number;
  /** By order, 0 to 9. */
  readonly folios: readonly number[];
  readonly dirtyPages: number;
  readonly writebackPages: number;
  readonly mappedPages: number;
  readonly backEnd: CacheBackEnd;
  readonly xarrayNodes: number;
  /** Opened or grown since the program was started. */
  readonly isUsed: boolean;
}
export interface CacheFolioReport { readonly index: number; readonly order: number; readonly flags: readonly string[]; readonly mappedPages: number; readonly reasons: readonly string[] }
export interface CacheReport {
  readonly schema: typeof CACHE_SCHEMA;
  readonly tool: string;
  readonly config: ConfigReport;
  readonly program: { readonly argv: readonly string[]; readonly sha256: string };
  readonly cycles: number;
  readonly files: readonly CacheFileReport[];
  /** Of --path, its folios; null: it was not asked for. */
  readonly listed: { readonly path: string; readonly folios: readonly CacheFolioReport[] } | null;
  readonly total: { readonly files: number; readonly pages: number; readonly folios: number; readonly xarrayNodes: number; readonly xarrayBytes: number };
  readonly mapping: Readonly<MappingCounts>;
  readonly disks: { readonly bios: number; readonly requests: number; readonly merges: number; readonly flushes: number; readonly readBytes: number; readonly writtenBytes: number };
  readonly atomics: Readonly<FolioAtomics>;
  readonly readahead: { readonly decisions: number; readonly neededPages: number; readonly aheadPages: number; readonly usedPages: number; readonly unusedPages: number };
}

export const cacheFields: readonly FieldRow[] = [
  ['schema', 'text', 'name and version of this shape'], ['tool', 'text', 'name and version of the program that made the report'],
  ['config', 'free', 'as in quire.stat/1'], ['program', 'free', 'as in quire.stat/1'], ['cycles', 'count', 'the modelled clock when the listing was made: as the program ended'],
  ['files', 'free', 'every file with pages in memory: path (that it was last opened by), device, ino, sizeBytes, pages, folios by order 0 to 9, dirtyPages, writebackPages, mappedPages, backEnd, xarrayNodes, isUsed (opened or grown since the start)'],
  ['listed', 'free', 'the folios of the file of --path: index (its first page), order, flags, mappedPages, reasons of its order'],
  ['total.files', 'count', 'files with pages in memory'], ['total.pages', 'count', 'pages in the page cache'],
  ['total.folios', 'count', 'folios in the page cache: entries of LRU lists, one for a folio of any order'],
  ['total.xarrayNodes', 'count', 'nodes of the trees that hold the folios by their place in the file'], ['total.xarrayBytes', 'count', 'what the nodes take on Linux: 576 bytes each'],
  ['mapping.getBlock', 'count', 'questions of buffer heads where a block of a file lies: one a block'],
  ['mapping.iomapBegin', 'count', 'questions of iomap where a part of a file lies: one an extent'],
  ['mapping.readBios', 'count', 'bios that read pages of files'], ['mapping.writeBios', 'count', 'bios that wrote pages of files'],
  ['mapping.readBytes', 'count', 'bytes of files that were read from disks into the page cache'], ['mapping.writtenBytes', 'count', 'bytes of files that were written from the page cache'],
  ['mapping.stateBytes', 'count', 'state of blocks beside folios (buffer heads, iomap_folio_state), as large as Linux\'s, now'],
  ['mapping.stateBytesMax', 'count', 'the same, when it was most'],
  ['disks.bios', 'count', 'bios given to disks, those of metadata, of direct I/O and flushes included'], ['disks.requests', 'count', 'requests that disks have worked on'],
  ['disks.merges', 'count', 'bios, or pieces of them, that joined a request that was waiting'], ['disks.flushes', 'count', 'flushes of disks\' caches'],
  ['disks.readBytes', 'count', 'bytes that disks have read'], ['disks.writtenBytes', 'count', 'bytes that disks have written'],
  ['atomics.lock', 'count', 'atomic operations that lock a folio'], ['atomics.unlock', 'count', 'atomic operations that unlock a folio'],
  ['atomics.endRead', 'count', 'reads that ended with one atomic operation: up to date, unlocked and waiters found (folio_end_read)'],
  ['atomics.endReadSaved', 'count', 'atomic operations that this has saved: three were needed before'],
  ['atomics.writeback', 'count', 'atomic operations that begin or end the writeback of a folio'], ['atomics.buffers', 'count', 'atomic operations on buffer heads'],
  ['readahead.decisions', 'count', 'times that read-ahead decided what to read (quire why readahead lists them)'],
  ['readahead.neededPages', 'count', 'pages it brought that the reader asked for'], ['readahead.aheadPages', 'count', 'pages it brought ahead of need'],
  ['readahead.usedPages', 'count', 'of those ahead, pages that were then read by a call or mapped by a fault, that around it included'],
  ['readahead.unusedPages', 'count', 'of those ahead, pages that nobody has used so far, or before they went'],
];

/** Listens to a run from its start, and makes the listing when the program's memory is about to go. Changes nothing of it. */
export class CacheWatch {
  private readonly session: Session;
  private readonly path: string | null;
  private readonly before = new Map<AddressSpace, { opens: number; pages: number }>();
  private readonly stop: () => void;
  private nrDecisions = 0;
  private answer: Listing | null = null;

  /** @param path of the file whose folios are wanted, too; null: none */
  constructor(session: Session, path: string | null) {
    this.session = session;
    this.path = path;
    const { system } = session.kernel;
    for (const space of system.addressSpaces.values()) this.before.set(space, { opens: space.nrOpens, pages: space.nrPages });
    this.stop = tracepoints().get('exit_mmap')!.listen((_, [mmId]) => {
      if (session.kernel.first?.leader.mm.id === mmId) this.answer = this.list();
    });
    system.cacheLog.start();
  }
  /** Takes over the decisions made since the last call, so that they do not pile up. */
  gather(): void {
    this.nrDecisions += this.session.kernel.system.cacheLog.take().length;
  }
  /** What was there when the program ended; or what is there now, if it has not. */
  end(): Listing {
    const listing = this.answer ?? this.list();
    this.stop();
    this.session.kernel.system.cacheLog.stop();
    return listing;
  }

  private list(): Listing {
    this.gather();
    const { system } = this.session.kernel;
    const { cacheLog, mapping, waits, disks } = system;
    const files = fileReports(this.session, (space, pages, mappedPages) => {
      const before = this.before.get(space);
      return before === undefined || before.opens !== space.nrOpens || before.pages !== pages || mappedPages > 0;
    });
    const sum = (of: (file: CacheFileReport) => number): number => files.reduce((all, file) => all + of(file), 0);
    const nodes = sum((file) => file.xarrayNodes);
    const stats = (pick: (s: { ios: number; merges: number; sectors: number }) => number, ...ops: number[]): number => disks.reduce((all, disk) => ops.reduce((n, op) => n + pick(disk.stats[op]!), all), 0);
    const [read, write, flush, discard] = [0, 1, 2, 3] as const;
    const { needed, ahead, aheadUsed } = cacheLog.readahead;
    return {
      cycles: this.session.cycles, files, listed: this.listed(),
      total: { files: files.length, pages: sum((file) => file.pages), folios: sum(({ folios }) => folios.reduce((a, b) => a + b, 0)), xarrayNodes: nodes, xarrayBytes: nodes * XARRAY_NODE_BYTES },
      mapping: { ...mapping },
      disks: {
        bios: disks.reduce((all, disk) => all + disk.bios, 0), requests: stats(({ ios }) => ios, read, write, flush, discard), merges: stats(({ merges }) => merges, read, write), flushes: stats(({ ios }) => ios, flush),
        readBytes: stats(({ sectors }) => sectors * 512, read), writtenBytes: stats(({ sectors }) => sectors * 512, write),
      },
      atomics: { ...waits.atomics },
      readahead: { decisions: this.nrDecisions, neededPages: needed, aheadPages: ahead, usedPages: aheadUsed, unusedPages: ahead - aheadUsed },
    };
  }
  private listed(): CacheReport['listed'] {
    const folios = this.path === null ? null : folioReports(this.session, this.path);
    return folios === null ? null : { path: this.path!, folios };
  }
}
/** Every file with pages in memory, as it is now. @param isUsed what to say of it: opened, grown or mapped since the start */
export function fileReports(session: Session, isUsed: (space: AddressSpace, pages: number, mappedPages: number) => boolean = () => true): CacheFileReport[] {
  return cachedFiles(session.kernel.system).map(({ space, pages, foliosByOrder, dirtyPages, writebackPages, mappedPages, backEnd, xarrayNodes }) => ({
    path: nameOfFile(session, space), device: `${space.host.devMajor}:${space.host.devMinor}`, ino: space.host.ino, sizeBytes: space.sizeBytes, pages, folios: foliosByOrder, dirtyPages, writebackPages, mappedPages, backEnd,
    xarrayNodes, isUsed: isUsed(space, pages, mappedPages),
  }));
}
/** The folios of one file; null: no page of such a file is in memory. */
export function folioReports(session: Session, path: string): CacheFolioReport[] | null {
  const { system } = session.kernel;
  const space = [...system.addressSpaces.values()].find((each) => nameOfFile(session, each) === path);
  return space === undefined ? null : cachedFolios(space).map(({ folio, index, order, isUptodate, isDirty, isWriteback, isLocked, isMarked, mappedPages }) => ({
    index, order, mappedPages,
    flags: [isUptodate ? 'uptodate' : 'not up to date', ...(isDirty ? ['dirty'] : []), ...(isWriteback ? ['writeback'] : []), ...(isLocked ? ['locked'] : []), ...(isMarked ? ['readahead'] : [])],
    reasons: system.cacheLog.birthOf(folio)?.reasons ?? [],
  }));
}
/** The name by which a file was last opened. */
function nameOfFile({ kernel: { system } }: Session, space: AddressSpace): string {
  if (space.openedAs !== null) return pathOf(space.openedAs);
  const disk = system.disks.find(({ cache }) => cache === space);
  if (disk !== undefined) return `/dev/${disk.name}`;
  return space.kind === 'shmem' ? '/dev/zero (deleted)' : `[inode ${space.host.ino}]`;
}
export type Listing = Omit<CacheReport, 'schema' | 'tool' | 'config' | 'program'>;

export function cacheReport(session: Session, outcome: Outcome, tool: string, listing: Listing): CacheReport {
  const { argv, programSha256 } = session.config.inputs;
  return { schema: CACHE_SCHEMA, tool, config: configReport(session.config.machine, session, outcome.stdinSha256), program: { argv, sha256: programSha256 }, ...listing };
}

// Text.

const ORDERS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
const PATH_COLUMNS = 18;
/** '4K', '1.5M'. */
const shortSize = (bytes: number): string => (bytes < 2 ** 10 ? `${bytes}` : bytes < 2 ** 20 ? `${+(bytes / 2 ** 10).toFixed(1)}K` : `${+(bytes / 2 ** 20).toFixed(1)}M`);

export function cacheText(r: CacheReport): string {
  const shown = r.files.filter(({ isUsed }) => isUsed);
  const rest = r.files.filter(({ isUsed }) => !isUsed);
  const orders = ORDERS.filter((order) => shown.some(({ folios }) => folios[order]! > 0));
  const table = [
    ['size', 'pages', 'dirty', 'writing', 'mapped', ...orders.map((order) => showSize(PAGE_BYTES << order))],
    ...shown.map((f) => [shortSize(f.sizeBytes), ...[f.pages, f.dirtyPages, f.writebackPages, f.mappedPages].map(thousands), ...orders.map((order) => (f.folios[order] === 0 ? '.' : thousands(f.folios[order]!)))]),
  ];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((cells) => cells[column]!.length)) + 1);
  const row = (name: string, cells: readonly string[], last: string): string[] => {
    const line = `${cells.map((cell, column) => cell.padStart(widths[column]!)).join('')}  ${last}`;
    return name.length > PATH_COLUMNS ? [` ${name}`, ` ${''.padEnd(PATH_COLUMNS)}${line}`] : [` ${name.padEnd(PATH_COLUMNS)}${line}`];
  };
  const count = (n: number, what: string, note = ''): string => `${thousands(n).padStart(16)}  ${note === '' ? what : `${what.padEnd(30)} # ${note}`}`;
  const { mapping, disks, total, atomics, readahead } = r;
  const translations = mapping.getBlock + mapping.iomapBegin;
  const each = translations === 0 ? '' : `${((mapping.readBytes + mapping.writtenBytes) / PAGE_BYTES / translations).toFixed(1)} pages moved for each`;
  return [
    ` The page cache as ${r.program.argv.join(' ')} ends: ${showSize(r.config.memBytes)} RAM`, '',
    ...row('file', table[0]!, 'back end'), ...shown.flatMap((f, i) => row(f.path, table[i + 1]!, f.backEnd)),
    ...(rest.length === 0 ? [] : [` and ${rest.length} files that were there before the start and were not touched: ${thousands(rest.reduce((n, f) => n + f.pages, 0))} pages`]),
    '', ' In memory',
    count(total.folios, 'folios (LRU entries)', `${thousands(total.pages)} pages`),
    count(total.xarrayNodes, 'xarray nodes', `${thousands(total.xarrayBytes)} bytes on Linux`),
    count(mapping.stateBytesMax, 'bytes of block state at most', `now ${thousands(mapping.stateBytes)}`),
    '', ' Asked of formats and disks',
    count(mapping.getBlock, 'get_block (buffer heads)', mapping.iomapBegin === 0 ? each : ''),
    count(mapping.iomapBegin, 'iomap begin (extents)', mapping.iomapBegin === 0 ? '' : mapping.getBlock === 0 ? each : `${each}, both together`),
    count(mapping.readBios + mapping.writeBios, 'bios for pages of files', `${shortSize(mapping.readBytes)} read, ${shortSize(mapping.writtenBytes)} written`),
    count(disks.bios, 'bios in all', `${thousands(disks.requests)} requests, ${thousands(disks.merges)} merged, ${thousands(disks.flushes)} flushes`),
    count(disks.readBytes + disks.writtenBytes, 'bytes moved by disks', `${shortSize(disks.readBytes)} read, ${shortSize(disks.writtenBytes)} written`),
    '', ' Atomic operations on folios',
    count(atomics.lock + atomics.unlock, 'lock and unlock'), count(atomics.endRead, 'end of a read', `${thousands(atomics.endReadSaved)} saved`), count(atomics.writeback, 'writeback'),
    count(atomics.buffers, 'buffer heads'),
    '', ' Read-ahead',
    count(readahead.decisions, 'decisions'), count(readahead.neededPages, 'pages asked for'),
    count(readahead.aheadPages, 'pages ahead of need', `${thousands(readahead.usedPages)} used (${percent(readahead.usedPages, readahead.aheadPages)}), ${thousands(readahead.unusedPages)} not`),
    ...(r.listed === null ? [] : listedText(r.listed)),
  ].map((line) => line.trimEnd()).join('\n') + '\n';
}
/** A line a folio; neighbours alike together. */
export function listedText({ path, folios }: NonNullable<CacheReport['listed']>): string[] {
  const lines = ['', ` Folios of ${path}`, `   ${'pages'.padEnd(20)}folios  order  mapped  flags; why`];
  const tell = (f: CacheFolioReport): string => `${`${f.order}`.padStart(7)}${`${f.mappedPages}`.padStart(8)}  ${f.flags.join(' ')}${f.reasons.length === 0 ? '' : `; ${f.reasons.join(', ')}`}`;
  for (let i = 0, next: number; i < folios.length; i = next) {
    const first = folios[i]!;
    for (next = i + 1; next < folios.length && tell(folios[next]!) === tell(first) && folios[next]!.index === folios[next - 1]!.index + 2 ** first.order; next++);
    const last = folios[next - 1]!;
    lines.push(`   ${`${first.index}-${last.index + 2 ** last.order - 1}`.padEnd(20)}${`${next - i}`.padStart(6)}${tell(first)}`);
  }
  return lines;
}
