// Taking a folio's mappings out and putting them back, elsewhere or in other sizes: the two halves that splitting and migrating share.
// Here: every entry that maps a folio is cleared, fenced and remembered; later it is written again. Not here: what happens in between
// (split.ts, migrate.ts). Mirrors try_to_migrate() and remove_migration_ptes() (mm/rmap.c, mm/migrate.c), 6.18.
//
// Linux leaves migration entries in the page tables meanwhile, on which faults wait. Here one hart runs, and a split or a migration is one
// step that nothing can interrupt: the entries are remembered beside the tables, and no fault, fork or unmapping ever meets one. What they
// carry is the same: whether the page was writable, exclusive, young, dirty; a dirty entry marks the folio dirty, which it stays.
import { asFolio, asPfn } from '#base';
import type { Folio, Pfn } from '#base';
import { NAPOT_ORDER, Pte, PteSoft, makePte } from '#mmu';
import { VmItem, removeMigrationPmd, removeMigrationPte, setMigrationPmd, setMigrationPte } from './events.ts';
import { FenceBatch } from './fences.ts';
import { FolioFlag } from './folio.ts';
import type { Mm } from './mm.ts';
import { mappingsOf } from './rmap-walk.ts';
import type { Mapping } from './rmap-walk.ts';
import { resumePmdRmap, resumePteRmap, suspendPmdRmap, suspendPteRmap } from './rmap.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

const NAPOT_PAGES = 1 << NAPOT_ORDER;
const bitsOf = (low: number): number => low & 0x3ff;

/** What an entry said, to be said again. */
export interface MigrationEntry {
  readonly mm: Mm;
  readonly vma: Vma;
  readonly vpn: number;
  /** The frame that `vpn` mapped, and how many followed. */
  readonly page: Pfn;
  readonly nr: number;
  readonly kind: Mapping['kind'];
  /** The low ten bits: rights, A and D. */
  readonly bits: number;
  /** AnonExclusive of each page; of a PMD entry one for all. */
  readonly exclusive: readonly boolean[];
}

/** Clears every entry that maps the folio, and fences. The folio loses their mapcounts and references, of which the caller holds one of
 *  its own; rss stays, for the entries will come back. */
export function tryToMigrate(system: MmSystem, folio: Folio): MigrationEntry[] {
  const batches = new Map<Mm, FenceBatch>();
  const entries: MigrationEntry[] = [];
  for (const mapping of mappingsOf(system, folio)) {
    const { mm } = mapping;
    let batch = batches.get(mm);
    if (batch === undefined) batches.set(mm, (batch = new FenceBatch(mm.fences)));
    if (mapping.kind === 'pmd') entries.push(takeOutPmd(mapping, batch));
    else takeOutPtes(mapping, batch, entries);
  }
  for (const batch of batches.values()) batch.flush();
  // Linux takes single entries out one by one, and counts the folio as partially mapped on the way.
  if (system.folios.isAnon(folio) && entries.filter(({ kind }) => kind !== 'pmd').reduce((sum, { nr }) => sum + nr, 0) > 1) system.deferredSplit.add(folio, true);
  return entries;
}
function takeOutPmd(mapping: Mapping, batch: FenceBatch): MigrationEntry {
  const { mm, vma, vpn, page, nr, kind, low } = mapping;
  const folio = asFolio(page);
  const entry: MigrationEntry = { mm, vma, vpn, page, nr, kind, bits: bitsOf(low), exclusive: [mm.system.folios.isAnonExclusive(folio)] };
  mm.tables.setPmdLeaf(vpn, 0);
  if ((low & Pte.D) !== 0) mm.system.dirtyFolio(folio);
  batch.add(vpn, nr, true);
  suspendPmdRmap(mm, folio);
  if (setMigrationPmd.enabled) setMigrationPmd.emit(vpn * 4096, low);
  return entry;
}
function takeOutPtes({ mm, vma, vpn: start, page: first, nr: count }: Mapping, batch: FenceBatch, entries: MigrationEntry[]): void {
  const { tables } = mm;
  const { folios } = mm.system;
  for (let at = 0; at < count; ) {
    // A run that reaches beyond the VMA is unfolded here, and its pages handled one by one.
    const vpn = start + at;
    const nr = tables.unitAt(vpn, start + count);
    const low = tables.get(vpn);
    const page = asPfn(first + at);
    const exclusive: boolean[] = [];
    tables.setUnit(vpn, 0, nr);
    if ((low & Pte.D) !== 0) mm.system.dirtyFolio(folios.folioOf(page));
    batch.add(vpn, nr);
    for (let i = 0; i < nr; i++) {
      exclusive.push(folios.isAnonExclusive(asPfn(page + i)));
      suspendPteRmap(mm, asPfn(page + i));
    }
    entries.push({ mm, vma, vpn, page, nr, kind: nr > 1 ? 'folded' : 'pte', bits: bitsOf(low), exclusive });
    if (setMigrationPte.enabled) setMigrationPte.emit(vpn * 4096, low, nr > 1 ? NAPOT_ORDER : 0);
    at += nr;
  }
}

/** Writes the entries again, for the frames `shift` above the old ones. What was mapped by a PMD becomes a table when its folio is no longer
 *  of that size. @param sharesZeros single pages that hold nothing but zeros are not mapped: the zero page takes their place, as in splits */
export function removeMigrationEntries(system: MmSystem, entries: readonly MigrationEntry[], shift: number, sharesZeros = false): void {
  const zeros = sharesZeros ? new Map<Pfn, boolean>() : null;
  for (const entry of entries) {
    const page = asPfn(entry.page + shift);
    if (entry.kind === 'pmd' && system.folios.order(system.folios.folioOf(page)) === PMD_ORDER) putBackPmd(entry, page);
    else putBackPtes(entry, page, zeros);
  }
}
function putBackPmd({ mm, vpn, bits, exclusive }: MigrationEntry, page: Pfn): void {
  const low = makePte(page, bits);
  mm.tables.setPmdLeaf(vpn, low);
  resumePmdRmap(mm, asFolio(page), exclusive[0]!);
  if (removeMigrationPmd.enabled) removeMigrationPmd.emit(vpn * 4096, low);
}
function putBackPtes(entry: MigrationEntry, first: Pfn, zeros: Map<Pfn, boolean> | null): void {
  const { mm, vma, bits, exclusive } = entry;
  const { system, tables } = mm;
  const { folios } = system;
  const wasPmd = entry.kind === 'pmd';
  if (wasPmd) {
    tables.replacePmdLeaf(entry.vpn, tables.withdraw());
    system.vmstat.add(VmItem.thp_split_pmd, 1);
  }
  const folds = entry.kind === 'folded' || (wasPmd && system.params.vm.svnapot_fold !== 0 && (bits & Pte.V) !== 0);
  for (let at = 0; at < entry.nr; ) {
    const vpn = entry.vpn + at;
    const page = asPfn(first + at);
    const folio = folios.folioOf(page);
    if (zeros !== null && !folios.isLarge(folio) && mapsZeros(system, vma, folio, zeros)) {
      tables.setUnit(vpn, makePte(system.zeroPage, vma.pageProt | PteSoft.Special), 1);
      mm.addAnonPages(-1);
      at++;
      continue;
    }
    const nr = folds && folios.order(folio) >= NAPOT_ORDER ? NAPOT_PAGES : 1;
    tables.setUnit(vpn, makePte(page, bits), nr);
    for (let i = 0; i < nr; i++) resumePteRmap(mm, asPfn(page + i), exclusive[wasPmd ? 0 : at + i]!);
    // A small folio counts the locked VMAs that map it; the large one had one for all.
    if (vma.has(VmFlag.Locked) && !folios.isLarge(folio) && folios.test(folio, FolioFlag.Mlocked) && zeros !== null) folios.addMlockCount(folio, 1);
    if (removeMigrationPte.enabled) removeMigrationPte.emit(vpn * 4096, makePte(page, bits), nr > 1 ? NAPOT_ORDER : 0);
    at += nr;
  }
}
/** Mirrors the conditions of try_to_map_unused_to_zeropage(). */
function mapsZeros(system: MmSystem, vma: Vma, folio: Folio, zeros: Map<Pfn, boolean>): boolean {
  if (vma.has(VmFlag.Locked) || system.folios.test(folio, FolioFlag.Mlocked)) return false;
  let known = zeros.get(folio);
  if (known === undefined) zeros.set(folio, (known = system.machine.holdsZeros(folio)));
  return known;
}
