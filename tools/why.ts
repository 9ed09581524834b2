// quire why: for any page of the program, the folio behind it, and why it is no larger and no smaller. Here: gathering what the kernel says
// during a run (fault records, events), and putting an answer together. Host-free. Not here: the command (commands/why.ts), reasons (#kernel).
import { hex, PAGE_SIZE, tracepoints } from '#base';
import { backingOf, mappersOf, reasonCodes, reasons } from '#kernel';
import type { Backing, FaultRecord, Mm, ReasonCode } from '#kernel';
import type { Session } from './boot.ts';

export const WHY_SCHEMA = 'quire.why/1';

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

/** One stretch of pages that belong together: pages of one folio, or alike without a folio. */
export interface Piece {
  readonly start: number;
  readonly pages: number;
  readonly vma: { readonly start: number; readonly end: number; readonly name: string };
  readonly backing: Backing;
  readonly mappedBy: readonly { readonly pids: readonly number[]; readonly address: number; readonly pages: number }[];
  readonly fault: FaultStory | null;
  readonly changes: readonly ChangeStory[];
}

const accesses = ['read', 'write', 'execute'] as const;
const LARGEST_ORDER = 9;

/** Listens to a run from its start. Changes nothing of it. */
export class WhyLog {
  private readonly session: Session;
  private readonly byStart = new Map<string, FaultStory>();
  private readonly changes: (ChangeStory & { mmId: number })[] = [];
  private readonly stops: (() => void)[] = [];
  private answer: Piece[] | null = null;

  /** @param where an address, or null for every page; asked when the program ends, unless look() has asked before */
  constructor(session: Session, where: number | null) {
    this.session = session;
    const on = (name: string, heard: (values: readonly number[]) => void): void => {
      const stop = tracepoints().get(name)?.listen((_, values) => { heard(values); });
      if (stop !== undefined) this.stops.push(stop);
    };
    on('mapping_changed', ([mmId = 0, address = 0, pages = 0, reason = 0]) => {
      this.changes.push({ mmId, cycle: session.kernel.machine.clockCycles, address, pages, reason: reasonCodes[reason]! });
    });
    // The pages of the first program are about to go: the last moment to look. A program that replaced itself is asked at its own end.
    on('exit_mmap', ([mmId]) => {
      const mm = this.mm;
      if (mm !== null && mm.id === mmId) this.answer = this.explain(mm, where);
    });
    session.kernel.system.faults.start();
  }
  private get mm(): Mm | null {
    return this.session.kernel.first?.leader.mm ?? null;
  }
  /** Takes over the fault records made since the last call. To be called now and then, so that they do not pile up. */
  gather(): void {
    for (const record of this.session.kernel.system.faults.take()) this.note(record);
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
  }

  private explain(mm: Mm, where: number | null): Piece[] {
    this.gather();
    if (where !== null) {
      const vma = mm.findVma(where);
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
    const backing = backingOf(mm, vpn);
    const fault = this.faultOf(mm, vpn);
    let start = vpn;
    let end = vpn + 1;
    if (backing.what === 'nothing') end = Math.min(vmaEnd / PAGE_SIZE, Math.max(end, nextMapped(mm, end, vmaEnd / PAGE_SIZE)));
    const belongs = (at: number): boolean => {
      const other = backingOf(mm, at);
      if (other.what !== backing.what || other.entry !== backing.entry || this.faultOf(mm, at)?.number !== fault?.number) return false;
      return backing.folio === 0 || (other.folio === backing.folio && other.pageOfFolio - backing.pageOfFolio === at - vpn);
    };
    if (backing.what !== 'nothing') {
      while (start > vmaStart / PAGE_SIZE && belongs(start - 1)) start--;
      while (end < vmaEnd / PAGE_SIZE && belongs(end)) end++;
    }
    const vma = mm.findVma(vpn * PAGE_SIZE)!;
    return {
      start: start * PAGE_SIZE, pages: end - start, vma: { start: vma.start, end: vma.end, name: this.nameOf(mm, vma) }, backing,
      mappedBy: backing.folio === 0 ? [] : mappersOf(mm, backing.folio).map(({ mmId, address, pages }) => ({ pids: this.pidsOf(mmId), address, pages })),
      fault, changes: this.changes.filter((c) => c.mmId === mm.id && c.address < end * PAGE_SIZE && c.address + c.pages * PAGE_SIZE > start * PAGE_SIZE)
        .map(({ cycle, address, pages, reason }) => ({ cycle, address, pages, reason })),
    };
  }
  /** The latest fault that mapped the page in this address space. */
  private faultOf(mm: Mm, vpn: number): FaultStory | null {
    let latest: FaultStory | null = null;
    for (let order = 0; order <= LARGEST_ORDER; order++) {
      const found = this.byStart.get(`${mm.id} ${vpn - (vpn % 2 ** order)} ${2 ** order}`);
      if (found !== undefined && (latest === null || found.number > latest.number)) latest = found;
    }
    return latest;
  }
  private nameOf(mm: Mm, vma: { start: number; end: number; file: { path: string } | null; anonName: string | null }): string {
    if (vma.file !== null) return vma.file.path;
    if (vma.start < mm.brkEnd && vma.end > mm.startBrk) return '[heap]';
    if (vma.start <= mm.startStack && mm.startStack < vma.end) return '[stack]';
    return vma.anonName === null ? '[anon]' : `[anon:${vma.anonName}]`;
  }
  private pidsOf(mmId: number): number[] {
    const found = [...this.session.kernel.processes.values()].filter((p) => p.leader.mm.id === mmId).map((p) => p.tgid);
    return found;
  }
}

function nextMapped(mm: Mm, from: number, end: number): number {
  for (let vpn = mm.tables.skipAbsent(from, end); vpn < end; vpn = mm.tables.skipAbsent(vpn + 1, end)) if (backingOf(mm, vpn).what !== 'nothing') return vpn;
  return end;
}

/** A fault's choice of an order, read off its phases. */
function storyOf(record: FaultRecord, pages: number, vpn: number): FaultStory {
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

/** The long answer for one piece. */
export function pieceText(piece: Piece): string[] {
  const { backing, fault } = piece;
  const lines = [`${hex(piece.start)}-${hex(piece.start + piece.pages * PAGE_SIZE)} in ${piece.vma.name} ${hex(piece.vma.start)}-${hex(piece.vma.end)}`];
  if (backing.what === 'nothing') lines.push('  Nothing is mapped: no access has faulted here, or the pages were given back.');
  else {
    const folio = backing.folio === 0 ? '' : ` of ${sizeOf(backing.order)} (order ${backing.order}), frame ${hex(backing.folio)}, from its page ${backing.pageOfFolio} on`;
    lines.push(`  ${backing.what}${folio}; ${entryWords[backing.entry]}${backing.exclusive ? '; exclusive' : ''}${backing.partiallyMapped ? '; partially mapped' : ''}`);
  }
  for (const { pids, address, pages } of piece.mappedBy) lines.push(`  mapped at ${hex(address)}, ${pages} ${pages === 1 ? 'page' : 'pages'}, by ${pids.length === 0 ? 'a process that is ending' : `process ${pids.join(', ')}`}`);
  if (fault !== null) {
    lines.push(`  fault ${fault.number}: ${fault.access} of ${hex(fault.address)} by ${fault.from === 'user' ? `the program at ${hex(fault.ip)}` : 'the kernel'}, cycle ${fault.cycle}: ${fault.kind}`);
    lines.push(`  wanted ${sizeOf(fault.wantedOrder)} (order ${fault.wantedOrder}), got ${sizeOf(fault.gotOrder)} (order ${fault.gotOrder})`);
    for (const code of fault.reasons) lines.push(...reasonText(code));
  } else if (backing.what !== 'nothing') lines.push('  No fault of this address space is on record: from before a fork, or moved here.');
  for (const change of piece.changes) lines.push(`  cycle ${change.cycle}: ${hex(change.address)}, ${change.pages} pages:`, ...reasonText(change.reason));
  return lines;
}
const reasonText = (code: ReasonCode): string[] => {
  const { sentence, hint } = reasons[code];
  return [`    ${code}: ${sentence}`, ...(hint === '' ? [] : [`      ${hint}`])];
};

/** The short answer for all pieces: alike neighbours on one line, and what the reasons mean below. */
export function piecesText(pieces: readonly Piece[]): string[] {
  const lines = ['   address range               pieces  pages  what             order  wanted  entry   why'];
  const used = new Set<ReasonCode>();
  const mapped = pieces.filter((piece) => piece.backing.what !== 'nothing');
  const keyOf = ({ backing, pages, fault, changes, vma }: Piece): string =>
    [vma.name, backing.what, backing.order, backing.entry, pages, fault?.wantedOrder ?? '', ...(fault?.reasons ?? []), '/', ...changes.map((c) => c.reason)].join(' ');
  for (let i = 0, next: number; i < mapped.length; i = next) {
    const piece = mapped[i]!;
    next = i + 1;
    if (i === 0 || mapped[i - 1]!.vma.start !== piece.vma.start) lines.push(`${piece.vma.name}`);
    while (next < mapped.length && mapped[next]!.vma.start === piece.vma.start && keyOf(mapped[next]!) === keyOf(piece)) next++;
    const last = mapped[next - 1]!;
    const codes = [...new Set([...(piece.fault?.reasons ?? []), ...piece.changes.map((c) => c.reason)])];
    for (const code of codes) used.add(code);
    lines.push(`   ${`${hex(piece.start)}-${hex(last.start + last.pages * PAGE_SIZE)}`.padEnd(27)} ${`${next - i}`.padStart(6)} ${`${piece.pages}`.padStart(6)}  ${piece.backing.what.padEnd(15)} ${
      `${piece.backing.order}`.padStart(6)}  ${`${piece.fault?.wantedOrder ?? '-'}`.padStart(6)}  ${piece.backing.entry.padEnd(6)}  ${codes.join(', ')}`.trimEnd());
  }
  return [...lines, '', ...reasonCodes.filter((code) => used.has(code)).flatMap((code) => [`${code}: ${reasons[code].sentence}`, ...(reasons[code].hint === '' ? [] : [`  ${reasons[code].hint}`])])];
}
