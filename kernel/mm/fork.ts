// fork's copy of an address space. Mirrors dup_mmap() (mm/mmap.c), copy_page_range() (mm/memory.c) and anon_vma_fork(), 6.18.
// Tables are copied only for VMAs that have had anonymous pages, or may have guards: what comes from files alone is faulted in again. A private page that was
// writable loses that in both address spaces, and its AnonExclusive bit with it; the first write on either side decides (cow.ts).
import { PAGE_SIZE } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import { forkAnonVma } from './anon-vma.ts';
import { FolioFlag } from './folio.ts';
import { copyHugePmd } from './huge.ts';
import { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { addPteRmap } from './rmap.ts';
import { entryOfPte, isExclusiveSwapPte, isSwapPte, withoutSwapExclusive } from './swap/entry.ts';
import { pmdEnd } from './unmap.ts';
import { VmFlag, Vma } from './vma.ts';

/** A copy of the address space; null when memory, or the promise of it, runs out (everything taken so far is given back). */
export function dupMm(parent: Mm): Mm | null {
  const child = Mm.create(parent.system);
  if (child === null) return null;
  copyFields(parent, child);
  let complete = true;
  for (const vma of parent.vmaList.all) {
    if (vma.has(VmFlag.DontCopy)) continue;
    if (vma.has(VmFlag.Account) && !child.system.commit(vma.nrPages, child)) {
      complete = false;
      break;
    }
    const copy = copyVma(child, vma);
    if ((vma.anonVma === null && !vma.has(VmFlag.MaybeGuard)) || vma.has(VmFlag.WipeOnFork)) continue;
    if (!copyPages(parent, child, vma, copy)) {
      complete = false;
      break;
    }
  }
  // The parent's translations may still allow what its entries no longer do.
  parent.fences.all();
  if (complete) {
    parent.system.khugepaged.fork(parent, child);
    return child;
  }
  child.dispose();
  return null;
}

function copyFields(parent: Mm, child: Mm): void {
  const fields = ['exePath', 'startCode', 'endCode', 'startData', 'endData', 'startBrk', 'brkEnd', 'startStack', 'argStart', 'argEnd', 'envStart', 'envEnd', 'mmapBase', 'thpDisabled', 'thpExceptAdvised', 'exeFile'] as const;
  for (const field of fields) (child as Record<typeof field, unknown>)[field] = parent[field];
  child.mdwe = parent.inheritedMdwe;
  child.limits = { ...parent.limits };
}

function copyVma(child: Mm, vma: Vma): Vma {
  // Locks are not inherited.
  const copy = new Vma(vma.start, vma.end, vma.flags & ~(VmFlag.Locked | VmFlag.LockOnFault), vma.pgoff, vma.file);
  copy.anonName = vma.anonName;
  if (!vma.has(VmFlag.WipeOnFork)) forkAnonVma(child.system.anonVmas, vma, copy);
  child.vmaList.insert(copy);
  child.accountVm(copy.flags, copy.nrPages);
  child.chargeVmaOp();
  return copy;
}

/** copy_page_range() for one VMA. @returns false: no memory for a table */
function copyPages(parent: Mm, child: Mm, vma: Vma, copy: Vma): boolean {
  const end = vma.end / PAGE_SIZE;
  const { tables } = parent;
  for (let vpn = tables.skipAbsent(vma.start / PAGE_SIZE, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const stop = Math.min(end, pmdEnd(vpn));
    if (tables.pmdLeaf(vpn) !== 0) {
      if (child.tables.makeTableAt(vpn, 1) === 0 || !child.tables.deposit()) return false;
      if (tables.pmdLeaf(vpn) === 0) {
        // The search for memory has split the folio: there are single entries now.
        child.tables.dropDeposit();
        continue;
      }
      copyHugePmd(parent, child, vpn);
    } else {
      if (child.tables.makeTableAt(vpn, 0) === 0) return false;
      for (let at = vpn; at < stop; ) at += copyUnit(parent, child, copy, at, stop);
    }
    vpn = stop;
  }
  return true;
}

/** One entry, or a folded run, which stays folded on both sides. @returns pages handled */
function copyUnit(parent: Mm, child: Mm, copy: Vma, vpn: number, end: number): number {
  const { tables, system } = parent;
  const nr = tables.unitAt(vpn, end);
  const low = tables.get(vpn);
  if (low === 0) return 1;
  if (!ptePresent(low)) {
    // A guard, or a place in swap, which is nobody's alone any more.
    if (isSwapPte(low)) {
      system.swap.duplicate(entryOfPte(low), 1);
      child.addSwapEntries(1);
      if (isExclusiveSwapPte(low)) tables.setUnit(vpn, withoutSwapExclusive(low), 1);
    }
    child.tables.setUnit(vpn, isSwapPte(low) ? withoutSwapExclusive(low) : low, 1);
    return 1;
  }
  let childLow = low & ~Pte.A;
  if ((low & PteSoft.Special) === 0) {
    const first = ptePfn(low);
    const anon = system.folios.isAnon(system.folios.folioOf(first));
    for (let i = 0; i < nr; i++) {
      const page = (first + i) as typeof first;
      if (anon) system.folios.clear(page, FolioFlag.AnonExclusive);
      addPteRmap(child, copy, page);
      if (anon && system.params.plant?.strikes('fork-refcount') === true) system.folios.put(system.folios.folioOf(page));
    }
    if (copy.has(VmFlag.Shared)) childLow &= ~Pte.D;
    else if ((low & Pte.W) !== 0) {
      childLow &= ~Pte.W;
      if (system.params.plant?.strikes('fork-writable') !== true) tables.setUnit(vpn, low & ~Pte.W, nr);
    }
  }
  if (nr === 1) {
    child.tables.setUnit(vpn, childLow, 1);
    child.tables.tryFold(vpn);
  } else child.tables.setUnit(vpn, childLow, nr);
  return nr;
}
