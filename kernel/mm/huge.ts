// Anonymous memory mapped by 2 MiB: one PMD entry. Here: first touch, the huge zero folio, copy on write, splitting the mapping (not the
// folio) into single entries, removing, copying for fork. Not here: whether 2 MiB is wanted (folio-order.ts), khugepaged.
// Mirrors mm/huge_memory.c, 6.18. Each such mapping keeps a spare page table, so that splitting it cannot fail.
import { asFolio, asPfn, hex, bug } from '#base';
import { Pte, PteSoft, makePte, ptePfn } from '#mmu';
import { anonVmaFor } from './anon.ts';
import { VmItem, mappingChanged } from './events.ts';
import type { FaultKind } from './fault-record.ts';
import { FALLBACK, FaultResult } from './fault.ts';
import type { Fault } from './fault.ts';
import type { FenceBatch } from './fences.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { gfpFor } from './folio-order.ts';
import type { Mm } from './mm.ts';
import { reasonIndex } from './reasons.ts';
import type { ReasonCode } from './reasons.ts';
import { addNewAnonRmapPmd, addPmdRmap, removePmdRmap, splitPmdRmap } from './rmap.ts';
import { PMD_ORDER, ThpStat } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

const PMD_PAGES = 1 << PMD_ORDER;
const pmdStart = (vpn: number): number => Math.floor(vpn / PMD_PAGES) * PMD_PAGES;
export const fitsPmd = (vma: Vma, vpn: number): boolean => pmdStart(vpn) * 4096 >= vma.start && (pmdStart(vpn) + PMD_PAGES) * 4096 <= vma.end;
/** Protection bits of a leaf. */
const bitsOf = (low: number): number => low & 0x3ff;

/** The first touch of 2 MiB where nothing is mapped. FALLBACK: try smaller. Mirrors do_huge_pmd_anonymous_page(). */
export function createHugePmd(fault: Fault): FaultResult | typeof FALLBACK {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  if (!fitsPmd(vma, vpn)) return fallBack(fault, 'vma-too-small');
  anonVmaFor(mm, vma);
  system.khugepaged.enterVma(mm, vma);
  if (!fault.write && system.thp.useZeroPage) {
    if (!mm.tables.deposit()) return FaultResult.OutOfMemory;
    const zero = system.getHugeZeroFolio(mm);
    if (zero === 0) {
      mm.tables.dropDeposit();
      system.vmstat.add(VmItem.thp_fault_fallback, 1);
      return fallBack(fault, 'fragmented');
    }
    mm.tables.setPmdLeaf(vpn, makePte(zero, vma.pageProt | PteSoft.Special));
    return done(fault, 'anon-huge-zero', 'huge-zero');
  }
  return mapFreshHuge(fault);
}
function fallBack({ mm: { system: { faults } } }: Fault, reason: ReasonCode): typeof FALLBACK {
  if (faults.current !== null) faults.phase('order choice', { wanted: PMD_ORDER }, 'no 2 MiB', reason);
  return FALLBACK;
}
function mapFreshHuge(fault: Fault): FaultResult | typeof FALLBACK {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  const folio = system.allocFolio(PMD_ORDER, MemdescType.AnonFolio, gfpFor(vma, system.thp.defrag));
  if (folio === 0) {
    system.vmstat.add(VmItem.thp_fault_fallback, 1);
    system.thp.count(PMD_ORDER, ThpStat.anon_fault_fallback);
    if (system.chargeFailed) {
      system.vmstat.add(VmItem.thp_fault_fallback_charge, 1);
      system.thp.count(PMD_ORDER, ThpStat.anon_fault_fallback_charge);
    }
    return fallBack(fault, system.chargeFailed ? 'group-limit' : 'fragmented');
  }
  if (!mm.tables.deposit()) {
    system.putFolio(folio);
    return FaultResult.OutOfMemory;
  }
  if (system.faults.current !== null) system.faults.phase('allocate', { order: PMD_ORDER, pfn: folio }, 'one folio of 2 MiB', 'order-wanted');
  system.zeroFolio(folio, PMD_PAGES);
  if (system.faults.current !== null) system.faults.phase('zero', { pages: PMD_PAGES }, 'the whole folio');
  addNewAnonRmapPmd(mm, vma, folio, pmdStart(vpn));
  if (system.faults.current !== null) system.faults.phase('rmap+lru', { mapcount: 1 }, 'exclusive to this address space');
  mm.tables.setPmdLeaf(vpn, makePte(folio, vma.pageProt | (vma.has(VmFlag.Write) ? Pte.W | Pte.D : 0)));
  system.deferredSplit.add(folio, false);
  system.memcg.countActive(VmItem.thp_fault_alloc, 1);
  system.thp.count(PMD_ORDER, ThpStat.anon_fault_alloc);
  return done(fault, 'anon-huge', 'order-wanted');
}
function done(fault: Fault, kind: FaultKind, reason: ReasonCode): FaultResult {
  const { faults } = fault.mm.system;
  fault.kind = kind;
  if (faults.current !== null) faults.phase('map', { pages: PMD_PAGES }, 'one PMD entry', reason);
  return FaultResult.Done;
}

/** A write to a 2 MiB mapping that is not writable. FALLBACK: it is split now, go on with the single page. Mirrors do_huge_pmd_wp_page(). */
export function wpHugePmd(fault: Fault): FaultResult | typeof FALLBACK {
  const { mm, vma, vpn } = fault;
  const { folios } = mm.system;
  const low = mm.tables.pmdLeaf(vpn);
  if ((low & PteSoft.Special) !== 0) {
    // The huge zero folio: a folio of its own if one can be had (6.13+), else single pages.
    const spare = mm.tables.clearPmdLeaf(vpn);
    const result = mapFreshHuge(fault);
    if (result === FaultResult.Done) {
      mm.tables.dropDeposit(); // the zero mapping's; the new mapping brought its own
      mm.fences.page(vpn as Fault['vpn']);
      return result;
    }
    mm.tables.setPmdLeaf(vpn, spare);
    if (result === FaultResult.OutOfMemory) return result;
  } else {
    const folio = asFolio(ptePfn(low));
    const exclusive = folios.isAnonExclusive(folio);
    if (!exclusive && folios.test(folio, FolioFlag.SwapCache) && mm.system.waits.tryLock(folio)) {
      mm.system.swap.freeFolio(folio);
      mm.system.waits.unlock(folio);
    }
    if (exclusive || folios.refCount(folio) === 1) {
      folios.set(folio, FolioFlag.AnonExclusive);
      mm.tables.setPmdLeaf(vpn, low | Pte.A | Pte.D | (vma.has(VmFlag.Write) ? Pte.W : 0));
      mm.fences.page(vpn as Fault['vpn']);
      return done(fault, 'cow-reuse', exclusive ? 'reuse-exclusive' : 'reuse-last');
    }
  }
  splitHugePmd(mm, vma, vpn, 'split-cow');
  return FALLBACK;
}

/** A present 2 MiB mapping that allows the access: A or D was missing, or a stale translation was in the way. */
export function markHugeYoung(fault: Fault): FaultResult {
  const { mm, vpn } = fault;
  const low = mm.tables.pmdLeaf(vpn);
  const marked = low | Pte.A | (fault.write ? Pte.D : 0);
  if (marked !== low) mm.tables.setPmdLeaf(vpn, marked);
  mm.fences.page(vpn);
  return done(fault, marked !== low ? 'young' : 'spurious', marked !== low ? 'young' : 'spurious');
}

/** Replaces the 2 MiB entry around `vpn` by a table of 512 single ones, with the same rights and A and D bits. The folio stays whole.
 *  Mirrors __split_huge_pmd_locked(). */
export function splitHugePmd(mm: Mm, vma: Vma, vpn: number, reason: ReasonCode): void {
  const { system, tables } = mm;
  const start = pmdStart(vpn);
  const low = tables.pmdLeaf(start);
  if (low === 0) bug(`no 2 MiB mapping at page ${hex(vpn)}`);
  const first = ptePfn(low);
  const table = tables.withdraw();
  const isZero = (low & PteSoft.Special) !== 0;
  if (isZero) {
    // Entries of the huge zero folio become entries of the zero page; whether the program had touched them does not matter to zeros.
    for (let i = 0; i < PMD_PAGES; i++) tables.storeInto(table, i, makePte(system.zeroPage, vma.pageProt | PteSoft.Special));
  } else {
    for (let i = 0; i < PMD_PAGES; i++) tables.storeInto(table, i, makePte(asPfn(first + i), bitsOf(low)));
    if ((low & Pte.D) !== 0) system.folios.set(asFolio(first), FolioFlag.Dirty);
    splitPmdRmap(mm, asFolio(first));
  }
  tables.clearPmdLeaf(start);
  mm.fences.page(start as Fault['vpn']);
  tables.replacePmdLeaf(start, table);
  if (!isZero) for (let i = 0; i < PMD_PAGES; i += 16) tables.tryFold(start + i);
  system.vmstat.add(VmItem.thp_split_pmd, 1);
  if (mappingChanged.enabled) mappingChanged.emit(mm.id, start * 4096, PMD_PAGES, reasonIndex(reason));
  if (system.faults.current !== null) system.faults.phase('map', { pages: PMD_PAGES }, 'split into single entries', reason);
}
/** Splits the 2 MiB mapping that a boundary at `va` would cut, if there is one: vma_adjust_trans_huge(). */
export function splitHugeAt(mm: Mm, vma: Vma, va: number): void {
  const vpn = va / 4096;
  if (vpn % PMD_PAGES !== 0 && vma.isAnonymous && mm.tables.pmdLeaf(vpn) !== 0) splitHugePmd(mm, vma, vpn, 'split-vma');
}

/** Removes a whole 2 MiB mapping. */
export function zapHugePmd(mm: Mm, vma: Vma, vpn: number, batch: FenceBatch): void {
  const low = mm.tables.clearPmdLeaf(vpn);
  mm.tables.dropDeposit();
  batch.add(vpn, PMD_PAGES, true);
  if ((low & PteSoft.Special) !== 0) return;
  const folio = asFolio(ptePfn(low));
  const inSwapCache = mm.system.folios.test(folio, FolioFlag.SwapCache);
  removePmdRmap(mm, vma, folio);
  if (inSwapCache) mm.system.swap.freeIfUnused(folio);
}

/** fork: the child maps the same folio, neither may write. The child has its PMD table and a spare table for this
 *  mapping. Mirrors copy_huge_pmd(). */
export function copyHugePmd(parent: Mm, child: Mm, vpn: number): void {
  const { folios } = parent.system;
  const low = parent.tables.pmdLeaf(vpn);
  if ((low & PteSoft.Special) === 0) {
    const folio = asFolio(ptePfn(low));
    folios.clear(folio, FolioFlag.AnonExclusive);
    addPmdRmap(child, folio);
    if ((low & Pte.W) !== 0) parent.tables.setPmdLeaf(vpn, low & ~Pte.W);
  } else parent.system.getHugeZeroFolio(child);
  child.tables.setPmdLeaf(vpn, low & ~(Pte.W | Pte.A));
}
