// The debugger's `pt`: the walk to one address, every level's entry with its bits and, where somebody looked, who wrote it last.
import { Bug, hex, hex64, PAGE_SIZE } from '#base';
import { PteSoft, ptePfn, PteHigh, showPte } from '#mmu';
import { backingOf, entryOfPte, swapOffset, swapType, walkTables } from '#kernel';
import type { Backing, Mm, PteKind } from '#kernel';
import { nameOf } from '../../evictions.ts';
import type { Ink } from '../ink.ts';
import { sizeOfOrder } from './text.ts';

/** Who wrote something last: the place, and the line of the kernel or of the program. */
export interface Writer { readonly event: number; readonly insn: number; readonly by: string }
export interface PtLevel {
  readonly level: number;
  readonly table: number;
  readonly index: number;
  /** Physical address of the entry. */
  readonly address: number;
  readonly word: string;
  readonly flags: string;
  readonly kind: PteKind;
  readonly to: string;
  /** undefined: nobody looked; null: as it was when the recording begins. */
  readonly writer?: Writer | null;
}
export interface PtView {
  readonly address: number;
  readonly mmId: number;
  readonly levels: readonly PtLevel[];
  readonly backing: Backing | null;
  readonly vma: { readonly start: number; readonly end: number; readonly name: string } | null;
}

/** 'vrw-u-ads-': the eight bits of the specification, special, Svnapot. */
export const entryFlags = (low: number, high: number): string => `${showPte(low)}${(low & PteSoft.Special) !== 0 ? 's' : '-'}${(high & PteHigh.N) !== 0 ? 'n' : '-'}`;

/** @param va an address below the end of the program's */
export function ptView(mm: Mm, va: number): PtView {
  const vpn = Math.floor(va / PAGE_SIZE);
  const levels = walkTables(mm, vpn).map(({ level, table, index, low, high, kind }): PtLevel => ({
    level, table, index, address: table * PAGE_SIZE + 8 * index, word: hex64(high, low), flags: kind === 'swap' || kind === 'guard' || kind === 'poisoned' ? '-' : entryFlags(low, high), kind, to: target(kind, low, level, vpn),
  }));
  const vma = mm.findVma(va);
  return { address: va, mmId: mm.id, levels, backing: backingOrNull(mm, vpn), vma: vma === null ? null : { start: vma.start, end: vma.end, name: nameOf(mm, vma) } };
}
/** null also where the entry names no frame of RAM: a damaged one is looked at like any other. */
function backingOrNull(mm: Mm, vpn: number): Backing | null {
  try {
    return backingOf(mm, vpn);
  } catch (error) {
    if (error instanceof Bug) return null;
    throw error;
  }
}
function target(kind: PteKind, low: number, level: number, vpn: number): string {
  switch (kind) {
    case 'none': return 'nothing';
    case 'table': return `table ${hex(ptePfn(low))}`;
    case 'leaf': case 'prot none': return `${kind === 'leaf' ? '' : 'PROT_NONE, '}frame ${hex(ptePfn(low) + (vpn % 512 ** level))}`;
    case 'folded': return `frame ${hex((ptePfn(low) & ~15) + (vpn % 16))}, one of 16`;
    case 'swap': return `swap device ${swapType(entryOfPte(low))}, slot ${swapOffset(entryOfPte(low))}`;
    case 'guard': return 'a guard';
    case 'poisoned': return 'lost contents';
  }
}
const levelNames = ['PTE', 'PMD', 'PUD', 'P4D', 'PGD'] as const;
/** The top level is the PGD, whatever its number. */
const nameOfLevel = (level: number, top: number): string => (level === top ? 'PGD' : levelNames[level] ?? `${level}`);

export function ptText({ address, mmId, levels, backing, vma }: PtView, ink: Ink): string[] {
  const top = levels[0]!.level;
  return [
    ink.head(`${hex(address)} of address space ${mmId}${vma === null ? ', in no mapping' : `, ${vma.name} ${hex(vma.start)}-${hex(vma.end)}`}`),
    ink.faint('level  entry           word                 vrwxugadsn  to'),
    ...levels.flatMap((l) => [
      `${nameOfLevel(l.level, top).padEnd(5)}  ${`${hex(l.table)}[${l.index}]`.padEnd(14)}  ${l.word.padStart(18)}   ${l.flags.padEnd(10)}  ${l.to}`,
      ...(l.writer === undefined ? [] : [ink.faint(`       ${writerText(l.writer)}`)]),
    ]),
    ...(backing === null || backing.folio === 0 ? [] : [`${backing.what} of ${sizeOfOrder(backing.order)}, frame ${hex(backing.folio)}, its page ${backing.pageOfFolio}${backing.exclusive ? '; exclusive' : ''}`]),
  ];
}
const writerText = (writer: Writer | null): string => (writer === null ? 'not written since the start' : `written at #${writer.event}, insn ${writer.insn}: ${writer.by}`);
