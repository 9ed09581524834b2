// Writing to a page that is mapped but not writable: reuse it in place, or copy it. Mirrors do_wp_page(), wp_can_reuse_anon_folio() and
// wp_page_copy(), 6.18. The rule behind it: an anonymous page may be written only while its AnonExclusive bit says that nobody else can
// reach it through another entry.
import { Pte, PteSoft, makePte, ptePfn } from '#mmu';
import type { Folio, Pfn } from '#base';
import { anonVmaFor } from './anon.ts';
import { FaultResult } from './fault.ts';
import type { Fault } from './fault.ts';
import { pageMkwrite } from './filefault.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import type { FolioTable } from './folio.ts';
import type { ReasonCode } from './reasons.ts';
import { addNewAnonRmap, removePteRmap } from './rmap.ts';
import { Gfp } from './system.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';
import { VmItem } from './events.ts';

/** @param low the entry: present, not writable */
export function doWpPage(fault: Fault, low: number): FaultResult {
  const { mm, vma, vpn } = fault;
  const { folios, vmstat } = mm.system;
  if (vma.has(VmFlag.Shared)) return wpPageShared(fault, low);
  const page = ptePfn(low);
  const isNormal = (low & PteSoft.Special) === 0;
  if (isNormal && folios.isAnon(folios.folioOf(page))) {
    const exclusive = folios.isAnonExclusive(page);
    if (exclusive || isSoleUser(fault, folios.folioOf(page))) {
      folios.set(page, FolioFlag.AnonExclusive);
      vmstat.add(VmItem.pgreuse, 1);
      const result = makeWritable(fault, low, 'cow-reuse', exclusive ? 'reuse-exclusive' : 'reuse-last');
      mm.tables.tryFold(vpn);
      return result;
    }
  }
  return copyPage(fault, low, isNormal ? page : null);
}

/** A shared page is written for the first time since it was clean: the file system is told, then it is made writable. */
function wpPageShared(fault: Fault, low: number): FaultResult {
  const { system } = fault.mm;
  const folio = system.folios.folioOf(ptePfn(low));
  const result = pageMkwrite(fault, folio);
  if (result !== FaultResult.Done) return result;
  return makeWritable(fault, low, 'file-shared', 'file-page');
}

/** Can nobody else reach a page whose bit says "shared"? Asked of the folio: wp_can_reuse_anon_folio(). */
function isSoleUser(fault: Fault, folio: Folio): boolean {
  const { folios, swap, waits } = fault.mm.system;
  const inSwapCache = folios.test(folio, FolioFlag.SwapCache);
  if (!folios.isLarge(folio)) {
    if (folios.refCount(folio) > (inSwapCache ? 2 : 1) || !waits.tryLock(folio)) return false;
    swap.freeFolio(folio);
    waits.unlock(folio);
    return folios.refCount(folio) === 1;
  }
  // With one page left it is better to copy that page and let the folio go.
  if (folios.folioMapcount(folio) <= 1) return false;
  if (folios.maybeMappedShared(folio)) return false;
  // Its swap cache goes only if no entry elsewhere names its slots.
  if (inSwapCache) {
    if (!waits.tryLock(folio)) return false;
    swap.freeFolio(folio);
    waits.unlock(folio);
  }
  return folios.folioMapcount(folio) === folios.refCount(folio);
}

/** maybe_mkwrite(): a debugger's write to read-only memory leaves it read-only. */
const writeBit = (vma: Vma): number => (vma.has(VmFlag.Write) ? Pte.W : 0);
function makeWritable(fault: Fault, low: number, kind: Fault['kind'], reason: ReasonCode): FaultResult {
  const { mm, vma, vpn } = fault;
  mm.tables.set(vpn, low | Pte.A | Pte.D | writeBit(vma));
  mm.fences.page(vpn);
  fault.kind = kind;
  if (mm.system.faults.current !== null) mm.system.faults.phase('map', { pages: 1 }, 'made writable in place', reason);
  return FaultResult.Done;
}

/** A page of one's own takes the place of a shared one. @param from null: the zero page */
function copyPage(fault: Fault, low: number, from: Pfn | null): FaultResult {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  const { folios, faults } = system;
  anonVmaFor(mm, vma);
  // Held while memory is sought, so that nobody splits or moves it meanwhile.
  if (from !== null) folios.get(folios.folioOf(from));
  const folio = system.allocFolio(0, MemdescType.AnonFolio, from === null ? Gfp.UserZero : Gfp.User);
  if (from !== null) system.putFolio(folios.folioOf(from));
  if (folio === 0) return FaultResult.OutOfMemory;
  const why = from === null ? 'copy-zero' : copyReason(folios, from);
  if (faults.current !== null) faults.phase('allocate', { order: 0, pfn: folio }, 'one page', 'order-cow');
  if (from === null) system.zeroFolio(folio, 1);
  else system.copyPage(folio, from);
  if (faults.current !== null) faults.phase(from === null ? 'zero' : 'copy', from === null ? { pages: 1 } : { from, to: folio }, 'one page', why);
  // Remove, fence, write: the hart must never see two frames at once for the page.
  mm.tables.set(vpn, 0);
  mm.fences.page(vpn);
  if (faults.current !== null) faults.phase('flush', { pages: 1 }, 'the old translation');
  addNewAnonRmap(mm, vma, folio, vpn);
  mm.tables.set(vpn, makePte(folio, vma.pageProt | Pte.D | writeBit(vma)));
  if (from !== null) removePteRmap(mm, vma, from);
  fault.kind = 'cow-copy';
  if (faults.current !== null) faults.phase('map', { pages: 1, oldWord: low >>> 0 }, 'the copy, writable', why);
  return FaultResult.Done;
}
function copyReason(folios: FolioTable, page: Pfn): ReasonCode {
  const source = folios.folioOf(page);
  if (!folios.isAnon(source)) return 'copy-file';
  return folios.isLarge(source) && folios.folioMapcount(source) <= 1 ? 'copy-one-left' : 'copy-shared';
}
