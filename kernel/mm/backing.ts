// What lies behind one page of an address space, for those who explain it (`quire why`): the entry, the folio, everybody who maps it.
// Facts only: why it came to be so is in the fault records and events. Here nothing changes.
import { PAGE_SIZE } from '#base';
import type { Folio, Pfn } from '#base';
import { PteSoft, ptePfn } from '#mmu';
import { FolioFlag } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { mappingsOf } from './rmap-walk.ts';
import { isSwapPte } from './swap/entry.ts';

export interface Backing {
  readonly what: 'nothing' | 'in swap' | 'zero page' | 'huge zero folio' | 'anonymous folio' | 'file page';
  /** How the translation is written: one entry of the page's own, one of sixteen folded by Svnapot, or 2 MiB by one entry. */
  readonly entry: 'none' | 'pte' | 'folded' | 'pmd';
  readonly pfn: Pfn | 0;
  readonly folio: Folio | 0;
  readonly order: number;
  /** Which page of the folio it is. */
  readonly pageOfFolio: number;
  /** May only this address space reach the page (PG_anon_exclusive)? */
  readonly exclusive: boolean;
  /** Has the folio lost mappings of some of its pages, so that it waits to be split? */
  readonly partiallyMapped: boolean;
}

export function backingOf(mm: Mm, vpn: number): Backing {
  const { tables, system } = mm;
  const { folios } = system;
  const leaf = tables.pmdLeaf(vpn);
  const low = leaf !== 0 ? leaf : tables.get(vpn);
  const none: Backing = { what: 'nothing', entry: 'none', pfn: 0, folio: 0, order: 0, pageOfFolio: 0, exclusive: false, partiallyMapped: false };
  if (low !== 0 && !ptePresent(low) && isSwapPte(low)) return { ...none, what: 'in swap' };
  if (low === 0 || !ptePresent(low)) return none;
  const entry = leaf !== 0 ? 'pmd' : tables.isFolded(vpn) ? 'folded' : 'pte';
  const pfn = (ptePfn(low) + (leaf !== 0 ? vpn % 512 : 0)) as Pfn;
  if ((low & PteSoft.Special) !== 0) return { ...none, what: leaf !== 0 ? 'huge zero folio' : 'zero page', entry, pfn, order: leaf !== 0 ? 9 : 0 };
  if (!folios.has(pfn)) return none; // a damaged entry, of no frame of RAM
  const folio = folios.folioOf(pfn);
  const isAnon = folios.isAnon(folio);
  return {
    what: isAnon ? 'anonymous folio' : 'file page', entry, pfn, folio, order: folios.order(folio), pageOfFolio: pfn - folio,
    exclusive: isAnon && folios.isAnonExclusive(leaf !== 0 ? folio : pfn), partiallyMapped: folios.test(folio, FolioFlag.PartiallyMapped),
  };
}

/** Everybody who maps any page of the folio: address space, first address, the page of the folio there, pages. Found by the reverse map, in its order. */
export function mappersOf(mm: Mm, folio: Folio): { mmId: number; address: number; pageOfFolio: number; pages: number }[] {
  const found: { mmId: number; address: number; pageOfFolio: number; pages: number }[] = [];
  for (const { mm: owner, vpn, page, nr } of mappingsOf(mm.system, folio)) {
    const last = found.at(-1);
    const goesOn = last !== undefined && last.mmId === owner.id && last.address / PAGE_SIZE + last.pages === vpn && last.pageOfFolio + last.pages === page - folio;
    if (goesOn) last.pages += nr;
    else found.push({ mmId: owner.id, address: vpn * PAGE_SIZE, pageOfFolio: page - folio, pages: nr });
  }
  return found;
}
