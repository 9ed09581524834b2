// mprotect: other rights for a range, in VMAs and in the entries that exist. Mirrors mm/mprotect.c, 6.18.
import { PAGE_SIZE } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import { Errno } from '../syscall/errno.ts';
import { FenceBatch } from './fences.ts';
import { splitHugePmd } from './huge.ts';
import { Prot } from './mman.ts';
import type { Mm } from './mm.ts';
import { pageAlignUp, protFlags } from './mmap.ts';
import { ptePresent } from './pagetable.ts';
import { populate } from './populate.ts';
import { pmdEnd } from './unmap.ts';
import { VM_ACCESS, VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

export function mprotect(mm: Mm, addr: number, rawLen: number, rawProt: number): number {
  const grows = rawProt & (Prot.GrowsDown | Prot.GrowsUp);
  const prot = rawProt & ~grows;
  if (grows === (Prot.GrowsDown | Prot.GrowsUp) || addr % PAGE_SIZE !== 0) return -Errno.EINVAL;
  if (rawLen === 0) return 0;
  const len = pageAlignUp(rawLen);
  const end = addr + len;
  if (len < 0 || addr < 0) return -Errno.ENOMEM;
  if ((prot & ~(Prot.Read | Prot.Write | Prot.Exec | Prot.Sem)) !== 0) return -Errno.EINVAL;
  const first = mm.vmaList.firstEndingAbove(addr);
  if (first === null) return -Errno.ENOMEM;
  let start = addr;
  if ((grows & Prot.GrowsDown) !== 0) {
    if (first.start >= end) return -Errno.ENOMEM;
    if (!first.has(VmFlag.GrowsDown)) return -Errno.EINVAL;
    start = first.start;
  } else if ((grows & Prot.GrowsUp) !== 0) return -Errno.EINVAL;
  else if (first.start > start) return -Errno.ENOMEM;

  const batch = new FenceBatch(mm.fences);
  const result = protectVmas(mm, start, end, prot, batch);
  batch.flush();
  return result;
}

/** Up to the first VMA that may not have the rights, or the first hole: what lies before it has changed. */
function protectVmas(mm: Mm, start: number, end: number, prot: number, batch: FenceBatch): number {
  let at = start;
  while (at < end) {
    const vma = mm.vmaList.at(at);
    if (vma === null) return -Errno.ENOMEM;
    const flags = (vma.flags & ~VM_ACCESS) | protFlags(prot);
    // The rights a mapping may ever have stand four bits above those it has.
    if ((flags & ~(flags >> 4) & VM_ACCESS) !== 0 || mm.deniesWriteExec(vma.flags, flags)) return -Errno.EACCES;
    const stop = Math.min(end, vma.end);
    const failed = protectVma(mm, vma, at, stop, flags, batch);
    if (failed !== 0) return failed;
    at = stop;
  }
  return 0;
}

/** mprotect_fixup(). */
function protectVma(mm: Mm, vma: Vma, start: number, end: number, wanted: number, batch: FenceBatch): number {
  const oldFlags = vma.flags;
  if (vma.has(VmFlag.Sealed)) return -Errno.EPERM;
  if (oldFlags === wanted) return 0;
  const pages = (end - start) / PAGE_SIZE;
  let flags = wanted;
  let charged = 0;
  if ((flags & VmFlag.Write) !== 0) {
    if (!mm.mayExpand(flags, pages) && mm.mayExpand(oldFlags, pages)) return -Errno.ENOMEM;
    if ((oldFlags & (VmFlag.Account | VmFlag.Write | VmFlag.Shared | VmFlag.NoReserve)) === 0) {
      // Private memory that becomes writable may need pages of its own from now on.
      if (!mm.system.commit(pages, mm)) return -Errno.ENOMEM;
      charged = pages;
      flags |= VmFlag.Account;
    }
  } else if ((oldFlags & VmFlag.Account) !== 0 && vma.isAnonymous && vma.anonVma === null) flags &= ~VmFlag.Account;

  const changed = mm.modifyVma(vma, start, end, flags);
  if (changed === null) {
    mm.system.uncommit(charged);
    return -Errno.ENOMEM;
  }
  changeProtection(mm, changed, start / PAGE_SIZE, end / PAGE_SIZE, batch);
  if ((oldFlags & VmFlag.Account) !== 0 && (flags & VmFlag.Account) === 0) mm.system.uncommit(pages);
  if ((oldFlags & (VmFlag.Write | VmFlag.Shared | VmFlag.Locked)) === VmFlag.Locked && (flags & VmFlag.Write) !== 0) populate(mm, start, end);
  mm.accountVm(oldFlags, -pages);
  mm.accountVm(flags, pages);
  return 0;
}

const RIGHTS = Pte.V | Pte.R | Pte.W | Pte.X | Pte.U | Pte.G;

/** Rewrites the entries of [start, end), in pages, with the VMA's rights; A and D stay. Mirrors change_protection(). */
function changeProtection(mm: Mm, vma: Vma, start: number, end: number, batch: FenceBatch): void {
  const { tables, system } = mm;
  for (let vpn = tables.skipAbsent(start, end); vpn < end; vpn = tables.skipAbsent(vpn, end)) {
    const stop = Math.min(end, pmdEnd(vpn));
    const leaf = tables.pmdLeaf(vpn);
    if (leaf !== 0 && stop - vpn === 512) {
      const exclusive = (leaf & PteSoft.Special) === 0 && system.folios.isAnonExclusive(ptePfn(leaf));
      const low = withRights(vma, leaf, exclusive);
      if (low !== leaf) {
        tables.setPmdLeaf(vpn, low);
        batch.add(vpn, 512, true);
      }
      vpn = stop;
      continue;
    }
    if (leaf !== 0) splitHugePmd(mm, vma, vpn, 'split-partial-protect');
    for (let at = vpn; at < stop; at += 1) at += protectUnit(mm, vma, at, stop, batch) - 1;
    for (let at = vpn - (vpn & 15); at < stop; at += 16) tables.tryFold(at);
    vpn = stop;
  }
}
/** One entry, or a folded run whose pages all get the same. @returns pages handled */
function protectUnit(mm: Mm, vma: Vma, vpn: number, end: number, batch: FenceBatch): number {
  const { tables } = mm;
  const nr = tables.unitAt(vpn, end);
  const low = tables.get(vpn);
  if (low === 0 || !ptePresent(low)) return 1;
  const wanted = withRights(vma, low, isExclusive(mm, low));
  for (let i = 1; i < nr; i++) {
    const other = tables.get(vpn + i);
    if ((withRights(vma, other, isExclusive(mm, other)) & RIGHTS) === (wanted & RIGHTS)) continue;
    tables.unfold(vpn);
    return protectUnit(mm, vma, vpn, vpn + 1, batch);
  }
  if (wanted !== low) {
    tables.setUnit(vpn, wanted, nr);
    batch.add(vpn, nr);
  }
  return nr;
}
function isExclusive(mm: Mm, low: number): boolean {
  const { folios } = mm.system;
  return (low & PteSoft.Special) === 0 && folios.isAnon(folios.folioOf(ptePfn(low))) && folios.isAnonExclusive(ptePfn(low));
}
/** A private page gets write permission at once only if it is exclusive: can_change_pte_writable(). Else the first write faults. */
function withRights(vma: Vma, low: number, exclusive: boolean): number {
  const bits = (low & ~RIGHTS) | (vma.pageProt & RIGHTS);
  if (!vma.has(VmFlag.Write)) return bits;
  // A shared page that is dirty has been noticed: can_change_shared_pte_writable().
  return (vma.has(VmFlag.Shared) ? (low & Pte.D) !== 0 : exclusive) ? bits | Pte.W : bits;
}
