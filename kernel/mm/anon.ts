// Anonymous memory: the first touch. Here: the zero page for reads, a fresh folio for writes, whose anon_vma it joins. Not here: which order
// (folio-order.ts), writing to what is shared (cow.ts), 2 MiB by one entry (huge.ts). Mirrors do_anonymous_page(), 6.18.
import { PteSoft, Pte, makePte } from '#mmu';
import { FaultResult } from './fault.ts';
import type { Fault } from './fault.ts';
import { allocAnonFolio } from './folio-order.ts';
import type { Mm } from './mm.ts';
import { addNewAnonRmap } from './rmap.ts';
import { ThpStat } from './thp.ts';
import { VM_ACCESS, VM_STICKY, VmFlag } from './vma.ts';
import type { AnonVma, Vma } from './vma.ts';

/** Nothing is mapped at the page, and the VMA has no file. */
export function doAnonymousPage(fault: Fault): FaultResult {
  const { mm, vma, vpn } = fault;
  if (mm.tables.makeTableAt(vpn, 0) === 0) return FaultResult.OutOfMemory;
  if (!fault.write) return mapZeroPage(fault);
  anonVmaFor(mm, vma);
  const got = allocAnonFolio(fault);
  if (got === null) return FaultResult.OutOfMemory;
  const { system } = mm;
  const { folio, start, order } = got;
  addNewAnonRmap(mm, vma, folio, start);
  if (system.faults.current !== null) system.faults.phase('rmap+lru', { pages: 1 << order }, 'exclusive to this address space');
  mm.tables.setRun(start, folio, vma.pageProt | (vma.has(VmFlag.Write) ? Pte.W | Pte.D : 0), 1 << order, order);
  system.thp.count(order, ThpStat.anon_fault_alloc);
  fault.kind = 'anon';
  if (system.faults.current !== null) system.faults.phase('map', { start: start * 4096, pages: 1 << order }, `${1 << order} entries, young and dirty`);
  return FaultResult.Done;
}

/** A read of untouched memory: the shared page of zeros, never writable, counted nowhere. */
function mapZeroPage(fault: Fault): FaultResult {
  const { mm, vma, vpn } = fault;
  mm.tables.set(vpn, makePte(mm.system.zeroPage, vma.pageProt | PteSoft.Special));
  fault.kind = 'anon-zero-page';
  if (mm.system.faults.current !== null) mm.system.faults.phase('map', { pages: 1 }, 'the zero page, read-only', 'zero-page');
  return FaultResult.Done;
}

/** The VMA's anon_vma, made at its first anonymous page; a like neighbour's if there is one, so that the two may merge one day.
 *  Mirrors anon_vma_prepare() and find_mergeable_anon_vma(). */
export function anonVmaFor(mm: Mm, vma: Vma): AnonVma {
  if (vma.anonVma !== null) return vma.anonVma;
  const next = mm.vmaList.nextOf(vma.end);
  const prev = mm.vmaList.prevOf(vma.start);
  const shared = (next !== null ? reusable(vma, next, next) : null) ?? (prev !== null ? reusable(prev, vma, prev) : null);
  const own = shared ?? mm.system.anonVmas.create(null);
  mm.vmaList.setAnonVmas(vma, own, [own]);
  return own;
}
function reusable(left: Vma, right: Vma, from: Vma): AnonVma | null {
  const ignored = VM_ACCESS | VM_STICKY;
  const alike = left.end === right.start && left.file === right.file && (left.flags & ~ignored) === (right.flags & ~ignored)
    && left.pgoff + left.nrPages === right.pgoff;
  return alike && from.anonVmaChain.length === 1 ? from.anonVma : null;
}
