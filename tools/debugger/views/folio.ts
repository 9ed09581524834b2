// The debugger's `folio`: what the memory map says of a frame and its folio, where it belongs, who maps it, where it stands on the lists.
import { asPfn, hex, PAGE_SIZE } from '#base';
import type { Folio } from '#base';
import { FolioFlag, mappersOf, MemdescType, pathOf, swapOffset, swapType } from '#kernel';
import type { Session } from '../../boot.ts';
import type { Ink } from '../ink.ts';
import { plural, sizeOfOrder } from './text.ts';

/** Fields that can be watched: numbers of a folio (`watch folio 0x80100.mapcount`). */
export const folioFields = ['refcount', 'mapcount', 'flags', 'order', 'type', 'mapping', 'index', 'entire_mapcount', 'pages_mapped', 'mlock_count', 'group', 'swap', 'lru_word'] as const;
export type FolioField = (typeof folioFields)[number];

/** @param pfn a frame of RAM; mapcount is the whole folio's, all else the head's */
export function folioField({ kernel: { system: { folios } } }: Session, pfn: number, field: FolioField): number {
  const folio = folios.folioOf(asPfn(pfn));
  switch (field) {
    case 'refcount': return folios.refCount(folio);
    case 'mapcount': return folios.folioMapcount(folio);
    case 'flags': return folios.flags(folio);
    case 'order': return folios.order(folio);
    case 'type': return folios.typeOf(folio);
    case 'mapping': return folios.mapping(folio);
    case 'index': return folios.index(folio);
    case 'entire_mapcount': return folios.entireMapcount(folio);
    case 'pages_mapped': return folios.nrPagesMapped(folio);
    case 'mlock_count': return folios.mlockCount(folio);
    case 'group': return folios.group(folio);
    case 'swap': return folios.swapEntry(folio);
    case 'lru_word': return folios.lruWord(folio);
  }
}

export interface FolioView {
  readonly pfn: number;
  readonly folio: number;
  readonly type: string;
  readonly order: number;
  readonly flags: readonly string[];
  readonly refcount: number;
  readonly mapcount: number;
  readonly pageMapcount: number;
  readonly isExclusive: boolean;
  readonly owner: string;
  readonly index: number | null;
  readonly swap: { readonly device: number; readonly slot: number } | null;
  readonly group: string | null;
  /** Its place on the lists of reclaim; null: on none. */
  readonly standing: string | null;
  readonly mappers: readonly { readonly mmId: number; readonly pids: readonly number[]; readonly address: number; readonly pages: number }[];
}
const typeNames: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(MemdescType).map(([name, type]) => [type, name]));
const typeWords: Readonly<Record<string, string>> = { Buddy: 'free', Misc: 'kernel memory', FileFolio: 'file folio', AnonFolio: 'anonymous folio', Slab: 'slab', PageTable: 'page table' };
export const folioFlagNames = (flags: number): string[] => Object.entries(FolioFlag).filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name.toLowerCase());

/** null: not a frame of RAM */
export function folioView(session: Session, pfn: number): FolioView | null {
  const { system } = session.kernel;
  const { folios } = system;
  if (!folios.has(pfn)) return null;
  const frame = asPfn(pfn);
  const folio = folios.folioOf(frame);
  const type = typeNames[folios.typeOf(frame)] ?? `${folios.typeOf(frame)}`;
  const isUser = type === 'AnonFolio' || type === 'FileFolio';
  const swap = folios.swapEntry(folio);
  const anyMm = system.mms[0];
  return {
    pfn, folio, type: system.isZeroFrame(frame) ? 'zero page' : typeWords[type] ?? type, order: folios.order(folio), flags: folioFlagNames(folios.flags(folio)), refcount: folios.refCount(folio),
    mapcount: isUser ? folios.folioMapcount(folio) : 0, pageMapcount: isUser ? folios.pageMapcount(frame) : 0, isExclusive: folios.isAnonExclusive(frame), owner: ownerOf(session, folio, type),
    index: isUser ? folios.index(folio) : null, swap: swap === 0 ? null : { device: swapType(swap), slot: swapOffset(swap) },
    group: folios.group(folio) === 0 ? null : system.memcg.byId(folios.group(folio))?.path ?? null, standing: isUser && system.lru.isListed(folio) ? system.lru.lruvecOf(folio).standing(folio) : null,
    mappers: isUser && anyMm !== undefined ? mappersOf(anyMm, folio).map(({ mmId, address, pages }) => ({ mmId, pids: pidsOf(session, mmId), address, pages })) : [],
  };
}
export const pidsOf = ({ kernel }: Session, mmId: number): number[] => [...kernel.processes.values()].filter((p) => p.leader.hasMm && p.leader.mm.id === mmId).map((p) => p.tgid);
function ownerOf({ kernel: { system } }: Session, folio: Folio, type: string): string {
  const mapping = system.folios.mapping(folio);
  if (type === 'AnonFolio') return mapping === 0 ? 'nobody' : `anon_vma ${-mapping}`;
  if (type !== 'FileFolio') return type === 'Buddy' ? 'the buddy system, or the per-cpu stock' : 'the kernel';
  const space = system.addressSpaces.get(mapping);
  return space === undefined ? 'no file' : space.openedAs === null ? `[inode ${space.host.ino}]` : pathOf(space.openedAs);
}

export function folioText(v: FolioView, ink: Ink): string[] {
  const tail = v.pfn === v.folio ? '' : `, its page ${v.pfn - v.folio}`;
  return [
    ink.head(`Frame ${hex(v.pfn)}: ${v.type} of ${sizeOfOrder(v.order)} (order ${v.order})${tail === '' ? '' : `, frame ${hex(v.folio)}${tail}`}`),
    `  flags      ${v.flags.join(' ') || '-'}`,
    `  references ${v.refcount}; mapped ${plural(v.mapcount, 'time')}, this page ${plural(v.pageMapcount, 'time')}${v.isExclusive ? '; exclusive' : ''}`,
    `  owner      ${v.owner}${v.index === null ? '' : `, from page ${v.index} on`}`,
    ...(v.swap === null ? [] : [`  swap       device ${v.swap.device}, slot ${v.swap.slot}`]),
    ...(v.group === null ? [] : [`  group      ${v.group}`]),
    `  lists      ${v.standing ?? 'on none that reclaim looks at'}`,
    ...v.mappers.map(({ mmId, pids, address, pages }) => `  mapped     at ${hex(address)}-${hex(address + pages * PAGE_SIZE)} by ${pids.length === 0 ? `address space ${mmId}` : `process ${pids.join(', ')}`}`),
  ];
}
