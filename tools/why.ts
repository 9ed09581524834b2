// quire why: for any page of the program, the folio behind it, and why it is no larger and no smaller. Here: gathering what the kernel says
// during a run (fault records, events), and putting an answer together. Host-free. Not here: the command (commands/why.ts), reasons (#kernel).
import { hex, PAGE_SIZE, tracepoints } from '#base';
import { backingOf, mappersOf, pathOf, reasonCodes, reasons, VmFlag } from '#kernel';
import type { Backing, FaultRecord, Mm, ReadaheadDecision, ReasonCode, VmaView } from '#kernel';
import type { Session } from './boot.ts';
import { evictionAt, evictionText, EvictionWatch, nameOf } from './evictions.ts';
import type { EvictionsReport, EvictionView } from './evictions.ts';

export const WHY_SCHEMA = 'quire.why/1';
export const READAHEAD_SCHEMA = 'quire.readahead/1';

/** What a page fault decided for the pages it mapped. */
export interface FaultStory {
  readonly number: number;
  readonly cycle: number;
  readonly access: 'read' | 'write' | 'execute';
  readonly from: 'user' | 'kernel';
  /** pc of the access. */
  readonly ip: number;
  readonly address: number;
  readonly kind: string;
  /** The largest order that settings and advice allowed, and the one that was used. */
  readonly wantedOrder: number;
  readonly gotOrder: number;
  /** Why these differ; or, where they do not, why nothing larger was wanted. */
  readonly reasons: readonly ReasonCode[];
}
/** A later change of the mapping: split, unfolded, collapsed. */
export interface ChangeStory { readonly cycle: number; readonly address: number; readonly pages: number; readonly reason: ReasonCode }

/** How a folio of a file came into the page cache. */
export interface CacheStory {
  readonly cycle: number;
  /** Its first page in the file. */
  readonly index: number;
  readonly order: number;
  readonly wantedOrder: number;
  readonly reasons: readonly ReasonCode[];
  /** What read-ahead decided when it brought the folio; null: a write or a fault made it. */
  readonly readahead: ReadaheadStory | null;
}
/** One decision of read-ahead. Pages; size 0: there was no window. */
export interface ReadaheadStory {
  readonly number: number;
  readonly cycle: number;
  readonly path: string;
  readonly kind: ReadaheadDecision['kind'];
  readonly reason: ReasonCode;
  readonly index: number;
  readonly request: number;
  readonly start: number;
  readonly size: number;
  readonly asyncSize: number;
  readonly order: number;
  readonly pages: number;
}

/** One stretch of pages that belong together: pages of one folio, or alike without a folio. */
export interface Piece {
  readonly start: number;
  readonly pages: number;
  readonly vma: { readonly start: number; readonly end: number; readonly name: string; readonly rights: string };
  /** Of a mapping of a file: which page of it the first one is; else null. */
  readonly filePage: number | null;
  /** The folio behind the first page. */
  readonly backing: Backing;
  readonly mappedBy: readonly { readonly pids: readonly number[]; readonly address: number; readonly pages: number }[];
  readonly fault: FaultStory | null;
  /** Of a page of a file; null also when the folio is from before the start. */
  readonly cache: CacheStory | null;
  readonly changes: readonly ChangeStory[];
  /** Of the page that was asked for, else of the first one; null: it was never evicted. */
  readonly eviction: EvictionView | null;
}

/** Mappings next to an address at which there is none. */
export interface Neighbours { readonly below: Piece['vma'] | null; readonly above: Piece['vma'] | null; readonly addressSpaceEnd: number }

const accesses = ['read', 'write', 'execute'] as const;
const LARGEST_ORDER = 9;
/** Lines that follow each other again and again are shown once: so many at most, if they come so often at least. */
const LONGEST_REPEAT = 4;
const FEWEST_REPEATS = 4;

/** Listens to a run from its start. Changes nothing of it. */
export class WhyLog {
  private readonly session: Session;
  private readonly byStart = new Map<string, FaultStory>();
  private readonly changes: (ChangeStory & { mmId: number })[] = [];
  private readonly stops: (() => void)[] = [];
  private answer: Piece[] | null = null;
  private readonly decisions: ReadaheadStory[] = [];
  private readonly watch: EvictionWatch;
  private evicted: EvictionsReport | null = null;
  /** Around the address that was asked for, as it was when looked at. */
  neighbours: Neighbours | null = null;

  /** @param where an address, or null for every page; asked when the program ends, unless look() has asked before */
  constructor(session: Session, where: number | null) {
    this.session = session;
    const on = (name: string, heard: (values: readonly number[]) => void): void => {
      const stop = tracepoints().get(name)?.listen((_, values) => { heard(values); });
      if (stop !== undefined) this.stops.push(stop);
    };
    for (const name of ['mapping_changed', 'collapse_refused']) {
      on(name, ([mmId = 0, address = 0, pages = 0, reason = 0]) => {
        this.changes.push({ mmId, cycle: session.kernel.machine.clockCycles, address, pages, reason: reasonCodes[reason]! });
      });
    }
    // The pages of the first program are about to go: the last moment to look. A program that replaced itself is asked at its own end.
    on('exit_mmap', ([mmId]) => {
      const mm = this.mm;
      if (mm === null || mm.id !== mmId) return;
      this.answer = this.explain(mm, where);
      this.evicted = this.watch.report(mm);
    });
    session.kernel.system.faults.start();
    session.kernel.system.cacheLog.start();
    this.watch = new EvictionWatch(session);
  }
  /** Whose pages were evicted, when the program's memory was about to go, or now. */
  get evictions(): EvictionsReport {
    return this.evicted ?? this.watch.report(this.mm);
  }
  private get mm(): Mm | null {
    return this.session.kernel.first?.leader.mm ?? null;
  }
  /** Takes over the fault records made since the last call. To be called now and then, so that they do not pile up. */
  gather(): void {
    for (const record of this.session.kernel.system.faults.take()) this.note(record);
    for (const decision of this.session.kernel.system.cacheLog.take()) this.decisions.push(readaheadStory(decision));
  }
  /** What read-ahead has decided so far. */
  readahead(): readonly ReadaheadStory[] {
    this.gather();
    return this.decisions;
  }
  private note(record: FaultRecord): void {
    const map = record.phases.findLast((phase) => phase.name === 'map');
    // What only changed rights says nothing of where the page came from.
    if (record.result !== 0 || map === undefined || record.kind === 'young' || record.kind === 'spurious' || record.kind === 'cow-reuse') return;
    const pages = Number(map.facts['pages'] ?? 1);
    const vpn = Math.floor(record.va / PAGE_SIZE);
    const start = map.facts['start'] === undefined ? vpn - (vpn % pages) : Number(map.facts['start']) / PAGE_SIZE;
    if (!record.kind.startsWith('file')) this.byStart.set(`${record.mmId} ${start} ${pages}`, storyOf(record, pages, vpn));
    else for (let i = 0; i < pages; i++) this.byStart.set(`${record.mmId} ${start + i} 1`, storyOf(record, 1, vpn));
  }
  /** What is there now, while the program still runs; null: it has ended. */
  look(where: number | null): Piece[] | null {
    const mm = this.mm;
    return this.answer ?? (mm === null || this.session.kernel.exitStatus !== null ? null : this.explain(mm, where));
  }
  end(): void {
    for (const stop of this.stops) stop();
    this.session.kernel.system.faults.stop();
    this.session.kernel.system.cacheLog.stop();
    this.watch.end();
  }

  private explain(mm: Mm, where: number | null): Piece[] {
    this.gather();
    if (where !== null) {
      const vma = mm.findVma(where);
      const [below, above] = [mm.vmas.findLast(({ end }) => end <= where), mm.vmas.find(({ start }) => start > where)];
      this.neighbours = { below: below === undefined ? null : vmaViewOf(mm, below), above: above === undefined ? null : vmaViewOf(mm, above), addressSpaceEnd: mm.taskSize };
      return vma === null ? [] : [this.pieceAt(mm, Math.floor(where / PAGE_SIZE), vma.start, vma.end)];
    }
    const pieces: Piece[] = [];
    for (const vma of mm.vmas) {
      for (let vpn = vma.start / PAGE_SIZE; vpn < vma.end / PAGE_SIZE;) {
        const piece = this.pieceAt(mm, vpn, vma.start, vma.end);
        pieces.push(piece);
        vpn = piece.start / PAGE_SIZE + piece.pages;
      }
    }
    return pieces;
  }
  /** The piece around a page: as far as folio, entry and history go in both directions. */
  private pieceAt(mm: Mm, vpn: number, vmaStart: number, vmaEnd: number): Piece {
    const asked = backingOf(mm, vpn);
    const fault = this.faultOf(mm, vpn);
    let start = vpn;
    let end = vpn + 1;
    if (asked.what === 'nothing') end = Math.min(vmaEnd / PAGE_SIZE, Math.max(end, nextMapped(mm, end, vmaEnd / PAGE_SIZE)));
    const belongs = (at: number): boolean => {
      const other = backingOf(mm, at);
      if (other.what !== asked.what || other.entry !== asked.entry || other.exclusive !== asked.exclusive || this.faultOf(mm, at)?.number !== fault?.number) return false;
      return asked.folio === 0 || (other.folio === asked.folio && other.pageOfFolio - asked.pageOfFolio === at - vpn);
    };
    if (asked.what !== 'nothing') {
      while (start > vmaStart / PAGE_SIZE && belongs(start - 1)) start--;
      while (end < vmaEnd / PAGE_SIZE && belongs(end)) end++;
    }
    const vma = mm.findVma(vpn * PAGE_SIZE)!;
    const backing = backingOf(mm, start);
    return {
      start: start * PAGE_SIZE, pages: end - start, vma: vmaViewOf(mm, vma), filePage: vma.file === null ? null : vma.pgoff + start - vma.start / PAGE_SIZE, backing,
      mappedBy: backing.folio === 0 ? [] : mappersOf(mm, backing.folio).map(({ mmId, address, pages }) => ({ pids: this.pidsOf(mmId), address, pages })),
      // What happened before the fault that brought the page is another page's history.
      fault, cache: cacheStoryOf(this.session, backing), changes: this.changesAt(mm, start, end).filter(({ cycle }) => cycle >= (fault?.cycle ?? 0))
        .map(({ cycle, address, pages, reason }) => ({ cycle, address, pages, reason })),
      eviction: evictionAt(this.session, mm, vpn),
    };
  }
  private changesAt(mm: Mm, start: number, end: number): (ChangeStory & { mmId: number })[] {
    return this.changes.filter((c) => c.mmId === mm.id && c.address < end * PAGE_SIZE && c.address + c.pages * PAGE_SIZE > start * PAGE_SIZE);
  }
  /** The latest fault that mapped the page in this address space; null also when a collapse has brought another one since. */
  private faultOf(mm: Mm, vpn: number): FaultStory | null {
    let latest: FaultStory | null = null;
    for (let order = 0; order <= LARGEST_ORDER; order++) {
      const found = this.byStart.get(`${mm.id} ${vpn - (vpn % 2 ** order)} ${2 ** order}`);
      if (found !== undefined && (latest === null || found.number > latest.number)) latest = found;
    }
    const collapsed = this.changesAt(mm, vpn, vpn + 1).findLast(({ reason }) => reason === 'collapse-asked' || reason === 'collapse-khugepaged');
    return latest === null || (collapsed !== undefined && collapsed.cycle > latest.cycle) ? null : latest;
  }
  private pidsOf(mmId: number): number[] {
    const found = [...this.session.kernel.processes.values()].filter((p) => p.leader.mm.id === mmId).map((p) => p.tgid);
    return found;
  }
}

export const vmaViewOf = (mm: Mm, vma: VmaView): Piece['vma'] => ({ start: vma.start, end: vma.end, name: nameOf(mm, vma), rights: rightsOf(vma) });
function readaheadStory({ space, number, cycle, kind, reason, index, request, start, size, asyncSize, order, pages }: ReadaheadDecision): ReadaheadStory {
  return { number, cycle, path: space.openedAs === null ? `[inode ${space.host.ino}]` : pathOf(space.openedAs), kind, reason, index, request, start, size, asyncSize, order, pages };
}
/** How a page of a file came into memory; null: it is none, or nobody recorded it. */
export function cacheStoryOf({ kernel: { system: { folios, cacheLog } } }: Session, { what, folio }: Backing): CacheStory | null {
  if (what !== 'file page' || folio === 0) return null;
  const birth = cacheLog.birthOf(folio);
  if (birth === null) return null;
  const { cycle, wantedOrder, reasons: codes, decision } = birth;
  return { cycle, index: folios.index(folio), order: folios.order(folio), wantedOrder, reasons: codes, readahead: decision === null ? null : readaheadStory(decision) };
}

/** 'rw-p', as /proc/PID/maps has it. */
export const rightsOf = ({ flags }: VmaView): string => ['r', 'w', 'x'].map((letter, i) => ((flags & (1 << i)) !== 0 ? letter : '-')).join('') + ((flags & VmFlag.Shared) !== 0 ? 's' : 'p');

function nextMapped(mm: Mm, from: number, end: number): number {
  for (let vpn = mm.tables.skipAbsent(from, end); vpn < end; vpn = mm.tables.skipAbsent(vpn + 1, end)) if (backingOf(mm, vpn).what !== 'nothing') return vpn;
  return end;
}

/** A fault's choice of an order, read off its phases. */
export function storyOf(record: FaultRecord, pages: number, vpn: number): FaultStory {
  const choices = record.phases.filter((phase) => phase.name === 'order choice');
  const enabled = choices.map((phase) => Number(phase.facts['enabled'] ?? 0)).reduce((a, b) => a | b, 0);
  const huge = choices.find((phase) => phase.facts['wanted'] === LARGEST_ORDER);
  const gotOrder = Math.log2(pages);
  const fromEnabled = enabled === 0 ? 0 : 31 - Math.clz32(enabled);
  const wantedOrder = Math.max(gotOrder, fromEnabled, huge === undefined ? 0 : LARGEST_ORDER);
  const said = record.phases.flatMap((phase) => (phase.name !== 'trap' && phase.reason !== null ? [phase.reason] : []));
  // 2 MiB was allowed and not tried, for the window has a table of single entries already.
  if (wantedOrder === LARGEST_ORDER && gotOrder < LARGEST_ORDER && huge === undefined) said.unshift(windowFits(record, vpn) ? 'ptes-not-none' : 'vma-too-small');
  const telling = gotOrder < wantedOrder ? said.filter((reason) => reason !== 'order-wanted' && reason !== 'thp-off') : said;
  return {
    number: record.number, cycle: record.cycle, access: accesses[record.access] ?? 'read', from: record.from, ip: record.ip, address: vpn * PAGE_SIZE + (record.va % PAGE_SIZE),
    kind: record.kind, wantedOrder, gotOrder, reasons: [...new Set(telling)],
  };
}

/** Do the aligned 2 MiB around a page lie inside the mapping that the fault found? */
function windowFits(record: FaultRecord, vpn: number): boolean {
  const { start = 0, end = 0 } = record.phases.find((phase) => phase.name === 'vma lookup')?.facts ?? {};
  const first = vpn - (vpn % 2 ** LARGEST_ORDER);
  return first * PAGE_SIZE >= Number(start) && (first + 2 ** LARGEST_ORDER) * PAGE_SIZE <= Number(end);
}

// Text.

const sizeOf = (order: number): string => (order >= 8 ? `${2 ** (order - 8)}M` : `${4 * 2 ** order}K`);
const entryWords = { none: 'no entry', pte: 'entries of their own', folded: 'folded by Svnapot, sixteen pages an entry', pmd: 'one PMD entry' } as const;
export const vmaText = ({ name, rights, start, end }: Piece['vma']): string => `${name} ${rights} ${hex(start)}-${hex(end)}`;

/** What there is instead of a mapping. */
export function emptyText(where: number, around: Neighbours | null): string {
  if (around !== null && where >= around.addressSpaceEnd) return `programs\' addresses end at ${hex(around.addressSpaceEnd)}; what lies above is the kernel\'s, which has no page table of its own here.`;
  const near = [around?.below == null ? null : `below it ends ${vmaText(around.below)}`, around?.above == null ? null : `above it begins ${vmaText(around.above)}`].filter((text) => text !== null);
  return `nothing is mapped at this address${near.length === 0 ? '' : `; ${near.join(', ')}`}.`;
}


export const NO_FAULT = 'No fault of this address space is on record';
/** The long answer for one piece. */
export function pieceText(piece: Piece): string[] {
  const { backing, fault } = piece;
  const lines = [`${hex(piece.start)}-${hex(piece.start + piece.pages * PAGE_SIZE)} in ${vmaText(piece.vma)}`];
  if (backing.what === 'nothing') lines.push(`  Nothing is mapped: ${piece.eviction === null ? 'no access has faulted here, or the pages were given back' : 'the page was evicted, or given back'}.`);
  else if (backing.what === 'in swap') lines.push(`  ${piece.pages === 1 ? 'The page is' : `${piece.pages} pages are`} in swap: the next access faults, and brings it back.`);
  else {
    const part = piece.pages === 2 ** backing.order ? '' : `, ${piece.pages === 1 ? `its page ${backing.pageOfFolio}` : `its pages ${backing.pageOfFolio} to ${backing.pageOfFolio + piece.pages - 1}`}`;
    const folio = backing.folio === 0 ? '' : ` of ${sizeOf(backing.order)} (order ${backing.order}), frame ${hex(backing.folio)}${part}`;
    const ofFile = piece.filePage === null || backing.what !== 'file page' ? '' : `, page ${piece.filePage} of the file`;
    lines.push(`  ${backing.what}${folio}${ofFile}; ${piece.pages === 1 && backing.entry === 'pte' ? 'an entry of its own' : entryWords[backing.entry]}${backing.exclusive ? '; exclusive' : ''}${backing.partiallyMapped ? '; partially mapped' : ''}`);
  }
  for (const { pids, address, pages } of piece.mappedBy) lines.push(`  mapped at ${hex(address)}, ${pages} ${pages === 1 ? 'page' : 'pages'}, by ${pids.length === 0 ? 'a process that is ending' : `process ${pids.join(', ')}`}`);
  if (fault !== null) {
    lines.push(`  fault ${fault.number}: ${fault.access} of ${hex(fault.address)} by ${fault.from === 'user' ? `the program at ${hex(fault.ip)}` : 'the kernel'}, cycle ${fault.cycle}: ${fault.kind}`);
    // The zero page comes in one size, whatever larger ones are enabled.
    if (!backing.what.includes('zero') && piece.cache === null) lines.push(`  wanted ${sizeOf(fault.wantedOrder)} (order ${fault.wantedOrder}), got ${sizeOf(fault.gotOrder)} (order ${fault.gotOrder})`);
    for (const code of fault.reasons) if (piece.cache?.reasons.includes(code) !== true) lines.push(...reasonText(code));
  } else if (backing.what !== 'nothing' && backing.what !== 'in swap' && !piece.changes.some(({ reason }) => reason.startsWith('collapse-'))) lines.push(`  ${NO_FAULT}: from before a fork, or moved here.`);
  if (piece.cache !== null) lines.push(...cacheStoryText(piece.cache));
  if (piece.eviction !== null) lines.push(...evictionText(piece.eviction));
  for (const change of piece.changes) lines.push(`  cycle ${change.cycle}: ${hex(change.address)}, ${change.pages} pages:`, ...reasonText(change.reason));
  return lines;
}
function cacheStoryText({ cycle, index, order, wantedOrder, reasons: codes, readahead }: CacheStory): string[] {
  const pages = order === 0 ? `page ${index}` : `pages ${index} to ${index + 2 ** order - 1}`;
  return [
    `  in the page cache since cycle ${cycle}, ${pages} of the file: wanted ${sizeOf(wantedOrder)} (order ${wantedOrder}), got ${sizeOf(order)} (order ${order})`, ...codes.flatMap(reasonText),
    ...(readahead === null ? [] : [`  read-ahead ${readahead.number}: ${windowText(readahead)}`, ...reasonText(readahead.reason)]),
  ];
}
const windowText = ({ kind, index, request, start, size, asyncSize, order }: ReadaheadStory): string =>
  `${kind}, ${request} ${request === 1 ? 'page' : 'pages'} from ${index} on; ${size === 0 ? 'no window' : `window of ${size} from ${start} on, ${asyncSize} ahead, order ${order}`}`;

/** Decisions of read-ahead, a line each, those of one file together where they follow each other; what comes again and again once. */
export function readaheadText(decisions: readonly ReadaheadStory[]): string[] {
  if (decisions.length === 0) return ['Read-ahead decided nothing: no page of a file had to be read from a disk.'];
  const lines = [' number            cycle  kind       asked  window          ahead  order  read  why'];
  const tell = ({ kind, request, size, asyncSize, order, pages, reason }: ReadaheadStory): string => [kind, request, size, asyncSize, order, pages, reason].join(' ');
  for (let i = 0, next: number; i < decisions.length; i = next) {
    const first = decisions[i]!;
    if (decisions[i - 1]?.path !== first.path) lines.push(first.path);
    const { number, cycle, kind, index, request, start, size, asyncSize, order, pages, reason } = first;
    const window = size === 0 ? '-' : `${start}+${size}`;
    lines.push(` ${`${number}`.padStart(6)}  ${`${cycle}`.padStart(15)}  ${kind.padEnd(6)} ${`${index}+${request}`.padStart(9)}  ${window.padEnd(13)} ${`${size === 0 ? '-' : asyncSize}`.padStart(7)} ${`${order}`.padStart(6)} ${`${pages}`.padStart(5)}  ${reason}`);
    for (next = i + 1; next < decisions.length && decisions[next]!.path === first.path && tell(decisions[next]!) === tell(first); next++);
    if (next - i < FEWEST_REPEATS) next = i + 1;
    else lines.push(`     ... ${next - i - 1} times more like the last line, up to page ${decisions[next - 1]!.index}`);
  }
  const used = new Set(decisions.map(({ reason }) => reason));
  return [...lines, '', ...meanings(used)];
}
const meanings = (used: ReadonlySet<ReasonCode>): string[] =>
  reasonCodes.filter((code) => used.has(code)).flatMap((code) => [`${code}: ${reasons[code].sentence}`, `  ${reasons[code].hint}`]);
const reasonText = (code: ReasonCode): string[] => {
  const { sentence, hint } = reasons[code];
  return [`    ${code}: ${sentence}`, `      ${hint}`];
};

/** The short answer for all pieces: alike neighbours on one line, what comes again and again once, and what the reasons mean below. */
export function piecesText(pieces: readonly Piece[]): string[] {
  const lines = ['   address range               pieces  pages  what             order  wanted  entry   why'];
  const mapped = pieces.filter((piece) => piece.backing.what !== 'nothing');
  const rows = rowsOf(mapped);
  for (let i = 0; i < rows.length; ) {
    const row = rows[i]!;
    if (i === 0 || rows[i - 1]!.first.vma.start !== row.first.vma.start) lines.push(`${row.first.vma.name} ${row.first.vma.rights}`);
    const repeat = repeatAt(rows, i);
    for (const { text } of rows.slice(i, i + repeat.length)) lines.push(text);
    i += repeat.length * repeat.times;
    if (repeat.times > 1) lines.push(`   ... ${repeat.times - 1} times more like the last ${repeat.length === 1 ? 'line' : `${repeat.length} lines`}, up to ${hex(endOf(rows[i - 1]!.last))}`);
  }
  const used = new Set(mapped.flatMap(codesOf));
  return [...lines, '', ...meanings(used)];
}
/** Neighbours that are alike. `key`: all of the line but the address. */
interface Row { readonly first: Piece; readonly last: Piece; readonly key: string; readonly text: string }
const endOf = ({ start, pages }: Piece): number => start + pages * PAGE_SIZE;
const codesOf = (piece: Piece): ReasonCode[] => [...new Set([...(piece.cache?.reasons ?? []), ...(piece.fault?.reasons ?? []), ...piece.changes.map((c) => c.reason)])];

function rowsOf(pieces: readonly Piece[]): Row[] {
  const rows: Row[] = [];
  for (let i = 0, next: number; i < pieces.length; i = next) {
    const first = pieces[i]!;
    const tell = (piece: Piece): string => `${`${piece.pages}`.padStart(6)}  ${piece.backing.what.padEnd(15)} ${`${piece.backing.order}`.padStart(6)}  ${`${piece.cache?.wantedOrder ?? piece.fault?.wantedOrder ?? '-'}`.padStart(6)}  ${
      piece.backing.entry.padEnd(6)}  ${codesOf(piece).join(', ')}`.trimEnd();
    const said = tell(first);
    for (next = i + 1; next < pieces.length && pieces[next]!.vma.start === first.vma.start && tell(pieces[next]!) === said; next++);
    const last = pieces[next - 1]!;
    const key = `${`${next - i}`.padStart(6)} ${said}`;
    rows.push({ first, last, key, text: `   ${`${hex(first.start)}-${hex(endOf(last))}`.padEnd(27)} ${key}` });
  }
  return rows;
}
/** Rows that come again at once, in the same mapping: `length` of them, `times` times. One row: once. */
function repeatAt(rows: readonly Row[], at: number): { length: number; times: number } {
  const same = (a: Row | undefined, b: Row | undefined): boolean => a !== undefined && b !== undefined && a.key === b.key && a.first.vma.start === b.first.vma.start;
  for (let length = 1; length <= LONGEST_REPEAT; length++) {
    let times = 1;
    while (rows.slice(at, at + length).every((row, i) => same(row, rows[at + times * length + i]))) times++;
    if (times >= FEWEST_REPEATS) return { length, times };
  }
  return { length: 1, times: 1 };
}
