// The reverse map: from a folio to every entry that maps it. Here: which VMAs could (by anon_vma or by file), and which entries there do.
// Not here: what is done to them: split.ts and migrate.ts take them out, reclaim will ask for their A bits.
// Mirrors rmap_walk_anon(), rmap_walk_file() (mm/rmap.c) and page_vma_mapped_walk(), 6.18.
import { asPfn } from '#base';
import type { Folio, Pfn } from '#base';
import { ptePfn } from '#mmu';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import type { MmSystem } from './system.ts';
import type { Vma } from './vma.ts';

/** A stretch of a VMA where pages of the folio would be mapped: `nr` pages from `vpn` on, the first of which is page `offset` of the folio. */
export interface RmapSpan {
  readonly mm: Mm;
  readonly vma: Vma;
  readonly vpn: number;
  readonly offset: number;
  readonly nr: number;
}
/** One entry that maps pages of the folio, or one run of entries that Svnapot folds into one. */
export interface Mapping {
  readonly mm: Mm;
  readonly vma: Vma;
  readonly vpn: number;
  /** The frame that `vpn` maps; `nr` follow each other. */
  readonly page: Pfn;
  /** 512 for a PMD entry, up to 16 for a folded run (fewer where a VMA ends inside it), else 1. */
  readonly nr: number;
  readonly kind: 'pte' | 'folded' | 'pmd';
  /** The entry of `vpn`, with A and D of the whole run. */
  readonly low: number;
}

/** Where an anonymous folio may be mapped: every VMA that hangs on its anon_vma. */
export function rmapWalkAnon(system: MmSystem, folio: Folio): RmapSpan[] {
  const { folios } = system;
  const anonVma = system.anonVmas.get(-folios.mapping(folio));
  if (anonVma === null) return [];
  const first = folios.index(folio);
  return spansOf(anonVma.overlapping(first, first + folios.nrPages(folio)), first, folios.nrPages(folio));
}
/** Where a folio of the page cache may be mapped: every VMA of its file. */
export function rmapWalkFile(system: MmSystem, folio: Folio): RmapSpan[] {
  const { folios } = system;
  const space = system.addressSpaces.get(folios.mapping(folio));
  if (space === undefined) return [];
  const first = folios.index(folio);
  return spansOf(space.mappedBy(first, first + folios.nrPages(folio)), first, folios.nrPages(folio));
}
export function rmapWalk(system: MmSystem, folio: Folio): RmapSpan[] {
  return system.folios.isAnon(folio) ? rmapWalkAnon(system, folio) : rmapWalkFile(system, folio);
}
/** @param first page offset of the folio's first page in the VMAs' numbering */
function spansOf(vmas: readonly { mm: Mm; vma: Vma }[], first: number, nrPages: number): RmapSpan[] {
  return vmas.map(({ mm, vma }) => {
    const from = Math.max(first, vma.pgoff);
    const to = Math.min(first + nrPages, vma.pgoff + vma.nrPages);
    return { mm, vma, vpn: vma.start / 4096 + from - vma.pgoff, offset: from - first, nr: to - from };
  });
}

/** The entries in one span that map pages of the folio. Absent tables are skipped, entries of other folios (a copy made on write) too. */
export function pageVmaMappedWalk(folio: Folio, span: RmapSpan): Mapping[] {
  const { mm, vma } = span;
  const found: Mapping[] = [];
  visitEntries(folio, span, (vpn, nr, kind, low) => { found.push({ mm, vma, vpn, page: ptePfn(low), nr, kind, low }); });
  return found;
}
function visitEntries(folio: Folio, { mm: { tables, system }, vpn: start, nr }: RmapSpan, visit: (vpn: number, nr: number, kind: Mapping['kind'], low: number) => void): void {
  const endFrame = folio + system.folios.nrPages(folio);
  const end = start + nr;
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const leaf = tables.pmdLeaf(vpn);
    if (leaf !== 0) {
      const head = vpn - (vpn % 512);
      if (ptePfn(leaf) >= folio && ptePfn(leaf) < endFrame) visit(head, 512, 'pmd', leaf);
      vpn = head + 512;
      continue;
    }
    const low = tables.get(vpn);
    if (!ptePresent(low) || ptePfn(low) < folio || ptePfn(low) >= endFrame) {
      vpn++;
      continue;
    }
    const folded = tables.isFolded(vpn);
    const run = folded ? Math.min(end, vpn - (vpn % 16) + 16) - vpn : 1;
    visit(vpn, run, folded ? 'folded' : 'pte', low);
    vpn += run;
  }
}
/** Every entry of every address space that maps any page of the folio. */
export function mappingsOf(system: MmSystem, folio: Folio): Mapping[] {
  return rmapWalk(system, folio).flatMap((span) => pageVmaMappedWalk(folio, span));
}
/** How many mappings the walk finds: a PMD counts once, a run of sixteen sixteen times. What folioMapcount() should say. */
export function countMappings(system: MmSystem, folio: Folio): number {
  let count = 0;
  const add = (_vpn: number, nr: number, kind: Mapping['kind']): void => { count += kind === 'pmd' ? 1 : nr; };
  for (const span of rmapWalk(system, folio)) visitEntries(folio, span, add);
  return count;
}
/** The frame of page `i` of a mapping. */
export const mappedPage = ({ page }: Mapping, i: number): Pfn => asPfn(page + i);
