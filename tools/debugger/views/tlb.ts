// The debugger's `tlb`: every valid entry of every level, of one address space or of all.
import { hex, PAGE_SIZE } from '#base';
import { Pte, showPte } from '#mmu';
import type { TlbEntry } from '#mmu';
import type { Session } from '../../boot.ts';
import type { Ink } from '../ink.ts';
import { columns, plural, runs, sizeOfOrder } from './text.ts';

export interface TlbView {
  /** null: of all address spaces. */
  readonly asid: number | null;
  /** The address space on the hart. */
  readonly current: number;
  readonly entries: readonly (TlbEntry & { readonly address: number })[];
}

/** @param asid entries of one address space and global ones; null: all  @param va entries that serve this address; null: all */
export function tlbView({ machine: { mmu }, kernel: { system } }: Session, asid: number | null, va: number | null): TlbView {
  const vpn = va === null ? null : Math.floor(va / PAGE_SIZE);
  const entries = mmu.entries()
    .filter((e) => (asid === null || e.asid === null || e.asid === asid) && (vpn === null || serves(e, vpn)))
    .sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level) || a.vpn - b.vpn)
    .map((e) => ({ ...e, address: e.vpn * PAGE_SIZE }));
  return { asid, current: system.runningMm?.asid ?? 0, entries };
}
const order: readonly TlbEntry['level'][] = ['l1i', 'l1d', 'l2', 'l2i'];
const COALESCED_ORDERS = 4;
const serves = ({ vpn, order: log2, pages }: TlbEntry, page: number): boolean =>
  page >= vpn && page < vpn + 2 ** log2 && (log2 >= COALESCED_ORDERS || ((pages >> (page - vpn)) & 1) !== 0);

/** Rights and G of the entry, with A and D as the entry knows them: of several pages '*' where some have it. */
export function tlbFlags({ flags, pages, accessed, dirty }: Pick<TlbEntry, 'flags' | 'pages' | 'accessed' | 'dirty'>): string {
  const known = (bits: number, letter: string): string => (bits === 0 ? '-' : bits === pages ? letter : '*');
  return `${showPte(flags & ~(Pte.A | Pte.D)).slice(0, 6)}${known(accessed, 'a')}${known(dirty, 'd')}`;
}
const names = { l1i: 'L1 I', l1d: 'L1 D', l2: 'L2', l2i: 'L2 I' } as const;

export function tlbText({ asid, entries }: TlbView, ink: Ink): string[] {
  if (entries.length === 0) return ['No entry: nothing has been looked up since the last fence, or the address is in none.'];
  const lines: string[] = [];
  const perLevel = order.filter((level) => entries.some((e) => e.level === level));
  for (const level of perLevel) {
    const mine = entries.filter((e) => e.level === level);
    lines.push(ink.head(`${names[level]}: ${plural(mine.length, 'entry', 'entries')}${asid === null ? '' : ` of ASID ${asid}`}`));
    const next = (a: TlbEntry, b: TlbEntry): boolean => b.vpn === a.vpn + 2 ** a.order && b.frame === a.frame + 2 ** a.order && a.order === b.order && a.asid === b.asid && tlbFlags(a) === tlbFlags(b) && a.pages === b.pages && a.leaf === b.leaf;
    const rows = runs(mine, next).map(({ first, last, times }) => [
      `${hex(first.address)}-${hex(last.address + 2 ** last.order * PAGE_SIZE)}`, `${times}`, sizeOfOrder(first.order), first.asid === null ? 'global' : `${first.asid}`, tlbFlags(first), hex(first.frame),
      first.leaf === first.order ? '' : `leaf ${sizeOfOrder(first.leaf)}`,
    ]);
    lines.push(...columns([['address', 'entries', 'size', 'asid', 'vrwxugad', 'frame', ''], ...rows], new Set([0, 4, 5, 6])).map((line, i) => ` ${i === 0 ? ink.faint(line) : line}`));
  }
  return lines;
}
