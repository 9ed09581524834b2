// The page fault: the decision. One page fault on paper: handlePageFault finds the VMA (growing the stack if need be) and asks whether it
// allows the access; handleMmFault makes the translation: fixFault at the 2 MiB level, fixPte at the page. Each outcome is in its own
// file: anon.ts, huge.ts, cow.ts, filefault.ts. Mirrors arch/riscv/mm/fault.c and handle_mm_fault() (mm/memory.c), 6.18.
import { vpnOfVa } from '#base';
import type { Folio, Vpn } from '#base';
import { Pte } from '#mmu';
import type { FaultCounts } from '../proc/task.ts';
import { doAnonymousPage } from './anon.ts';
import { doWpPage } from './cow.ts';
import { VmItem, faultEnter, faultReturn, pageFaultKernel, pageFaultUser } from './events.ts';
import { faultKinds } from './fault-record.ts';
import type { FaultKind } from './fault-record.ts';
import { doFileFault } from './filefault.ts';
import { FolioFlag } from './folio.ts';
import { pmdOrderEnabled } from './folio-order.ts';
import { createHugePmd, markHugeYoung, wpHugePmd } from './huge.ts';
import type { Mm } from './mm.ts';
import { ptePresent, pteWritable } from './pagetable.ts';
import { vmaHasRecency } from './reclaim/referenced.ts';
import { isPoisonMarker } from './pte-marker.ts';
import { expandStack } from './stack.ts';
import { isSwapPte } from './swap/entry.ts';
import { doSwapPage } from './swap/swap-in.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

export const FaultAccess = { Read: 0, Write: 1, Exec: 2 } as const;
export type FaultAccess = (typeof FaultAccess)[keyof typeof FaultAccess];

/** MapErr becomes SIGSEGV with SEGV_MAPERR, AccErr with SEGV_ACCERR, BusError SIGBUS with BUS_ADRERR. Retry: the same fault again, when the
 *  folio in system.faultWait is unlocked. */
export const FaultResult = { Done: 0, MapErr: 1, AccErr: 2, BusError: 3, OutOfMemory: 4, Retry: 5 } as const;
export type FaultResult = (typeof FaultResult)[keyof typeof FaultResult];
/** An answer of huge.ts only: 2 MiB cannot be had, go on with less. */
export const FALLBACK = -1;

/** One fault under way. */
export interface Fault {
  readonly mm: Mm;
  readonly vma: Vma;
  readonly vpn: Vpn;
  readonly write: boolean;
  /** What it turns out to be; set by whoever settles it. */
  kind: FaultKind;
  /** It waited for a folio, and is tried again (FAULT_FLAG_TRIED). */
  tried: boolean;
  /** It needs, or needed, I/O: VM_FAULT_MAJOR. */
  isMajor: boolean;
}
export const newFault = (mm: Mm, vma: Vma, vpn: Vpn, write: boolean, tried = false): Fault => ({ mm, vma, vpn, write, kind: 'failed', tried, isMajor: tried });

/** scause of the access, which is also what the tracepoints show. */
const causeOf = [13, 15, 12] as const;

/** One page fault of a program, or of the kernel on its behalf. @param va any number: what is no user address answers MapErr.
 *  @param ip pc of the access, for tracepoints.
 *  @param tried the same fault waited for a folio before. Retry is answered to a program's own faults only. */
export function handlePageFault(mm: Mm, counts: FaultCounts, va: number, access: FaultAccess, from: 'user' | 'kernel', ip: number, tried = false): FaultResult {
  const { system } = mm;
  const { faults, params } = system;
  const point = from === 'user' ? pageFaultUser : pageFaultKernel;
  if (point.enabled && !tried) point.emit(va, ip, causeOf[access]);
  if (faultEnter.enabled) faultEnter.emit(mm.id, va, ip, access, from === 'user' ? 0 : 1, tried ? 1 : 0);
  faults.begin(mm.id, va, access, from, ip);
  if (faults.current !== null) faults.phase('trap', { cause: causeOf[access], va, ip }, from);
  if (!tried) system.machine.charge(params.cost.fault + params.cost.vma_lookup);
  const vma = mm.vmaList.firstEndingAbove(va);
  const covering = vma !== null && (vma.start <= va || expandStack(mm, vma, va)) ? vma : null;
  let kind: FaultKind = 'failed';
  let isMajor = false;
  let result: FaultResult;
  if (covering === null) {
    result = FaultResult.MapErr;
    if (faults.current !== null) faults.phase('vma lookup', { va }, 'none', vma !== null && vma.has(VmFlag.GrowsDown) ? 'stack-limit' : 'no-vma');
  } else if (!allows(covering, access)) {
    result = FaultResult.AccErr;
    if (faults.current !== null) faults.phase('vma lookup', { start: covering.start, end: covering.end, flags: covering.flags }, 'refused', 'no-right');
  } else {
    if (faults.current !== null) faults.phase('vma lookup', { start: covering.start, end: covering.end, flags: covering.flags }, 'found');
    const fault = newFault(mm, covering, vpnOfVa(va), access === FaultAccess.Write, tried);
    result = handleMmFault(fault, counts, from === 'user');
    kind = fault.kind;
    isMajor = fault.isMajor;
  }
  if (faults.current !== null) {
    faults.settle(result, kind);
    faults.phase('return', { result }, result === FaultResult.Done ? 'retry the access' : result === FaultResult.Retry ? 'sleep, then the same fault again' : 'signal', result === FaultResult.BusError ? 'beyond-eof' : result === FaultResult.OutOfMemory ? 'out-of-memory' : null);
    faults.end();
  }
  if (faultReturn.enabled) faultReturn.emit(mm.id, va, faultKinds.indexOf(kind), result, isMajor ? 1 : 0);
  return result;
}

/** riscv's access_error(): writable implies readable. */
function allows(vma: Vma, access: FaultAccess): boolean {
  switch (access) {
    case FaultAccess.Read: return vma.has(VmFlag.Read | VmFlag.Write);
    case FaultAccess.Write: return vma.has(VmFlag.Write);
    case FaultAccess.Exec: return vma.has(VmFlag.Exec);
  }
}

/** Makes the translation for an access that the VMA allows, and counts the fault, once it is settled. Mirrors handle_mm_fault() and
 *  mm_account_fault(). @param mayRetry the asker can sleep and come again; else I/O is waited for here, with nothing else running */
export function handleMmFault(fault: Fault, counts: FaultCounts, mayRetry = false): FaultResult {
  const { system } = fault.mm;
  system.lru.inFault = vmaHasRecency(fault.vma);
  let result = fixFault(fault);
  while (result === FaultResult.Retry && !mayRetry) {
    system.waits.waitNow(system.faultWait as Folio, FolioFlag.Locked);
    fault.tried = true;
    result = fixFault(fault);
  }
  system.lru.inFault = false;
  if (result === FaultResult.Retry) return result;
  system.memcg.countActive(VmItem.pgfault, 1);
  if (result === FaultResult.Done) {
    if (fault.isMajor) counts.majFlt++;
    else counts.minFlt++;
  }
  system.countFault(result === FaultResult.Done ? fault.kind : 'failed');
  return result;
}

/** Decides at the 2 MiB level. Mirrors __handle_mm_fault(). */
function fixFault(fault: Fault): FaultResult {
  const { mm, vma, vpn } = fault;
  if (mm.tables.makeTableAt(vpn, 1) === 0) return FaultResult.OutOfMemory;
  const pmd = mm.tables.pmd(vpn);
  if (pmd === 0) {
    if (!vma.isAnonymous || !pmdOrderEnabled(mm, vma, vpn)) return fixPte(fault);
    const result = createHugePmd(fault);
    return result === FALLBACK ? fixPte(fault) : result;
  }
  const leaf = mm.tables.pmdLeaf(vpn);
  if (leaf === 0) return fixPte(fault);
  if (!fault.write || pteWritable(leaf)) return markHugeYoung(fault);
  const result = wpHugePmd(fault);
  return result === FALLBACK ? fixPte(fault) : result;
}

/** One decision a line. Mirrors handle_pte_fault(). What is neither empty nor present nor a place in swap is a guard. */
function fixPte(fault: Fault): FaultResult {
  const low = fault.mm.tables.get(fault.vpn);
  if (low === 0) return fault.vma.isAnonymous ? doAnonymousPage(fault) : doFileFault(fault);
  if (!ptePresent(low)) return isSwapPte(low) ? doSwapPage(fault, low) : handlePteMarker(fault, low);
  if (fault.write && !pteWritable(low)) return doWpPage(fault, low);
  return markYoung(fault, low);
}

/** handle_pte_marker(): to the program a guard is memory that is not there, and what was lost in swap memory that cannot be read. */
function handlePteMarker({ mm: { system: { faults } } }: Fault, low: number): FaultResult {
  if (isPoisonMarker(low)) {
    if (faults.current !== null) faults.phase('map', {}, 'refused', 'swap-error');
    return FaultResult.BusError;
  }
  if (faults.current !== null) faults.phase('map', {}, 'refused', 'guard');
  return FaultResult.MapErr;
}

/** The entry allows the access: its A or D bit was missing (Svade), or a stale translation was in the way. */
function markYoung(fault: Fault, low: number): FaultResult {
  const { mm, vpn } = fault;
  const marked = low | Pte.A | (fault.write ? Pte.D : 0);
  if (marked !== low) {
    const nr = mm.tables.unitAt(vpn - (vpn & 15), vpn - (vpn & 15) + 16);
    if (nr === 1) mm.tables.setUnit(vpn, marked, 1);
    else markRunYoung(fault, nr, marked & (Pte.A | Pte.D));
  }
  mm.fences.page(vpn);
  fault.kind = marked !== low ? 'young' : 'spurious';
  if (mm.system.faults.current !== null) mm.system.faults.phase('map', { pages: 1 }, marked !== low ? 'A or D set' : 'unchanged', fault.kind === 'young' ? 'young' : 'spurious');
  return FaultResult.Done;
}
/** A folded run is one entry to the hart: the bits of one are the bits of all. */
function markRunYoung({ mm, vpn }: Fault, nr: number, bits: number): void {
  const start = vpn - (vpn & 15);
  mm.tables.setUnit(start, mm.tables.get(start) | bits, nr);
}
