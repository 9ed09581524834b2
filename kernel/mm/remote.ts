// Access to a program's memory by somebody else: /proc/PID/mem, process_vm_readv. Here: getting at one page after another, whatever rights
// its mapping has where that is asked for. Not here: the running program's own memory (uaccess.ts).
// Mirrors access_remote_vm(), check_vma_flags() and can_follow_write_pte() (mm/memory.c, mm/gup.c), 6.18.
//
// With `force` what a mapping might be made readable or writable for is enough (FOLL_FORCE, as debuggers need it): a write to private
// read-only memory breaks copy on write, and leaves an entry that is dirty, exclusive and still read-only.
import { PAGE_SIZE, asPfn, asVpn } from '#base';
import type { Pfn } from '#base';
import { PteSoft, ptePfn } from '#mmu';
import type { FaultCounts } from '../proc/task.ts';
import { FaultResult, handleMmFault, newFault } from './fault.ts';
import { FolioFlag } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent, pteWritable } from './pagetable.ts';
import { expandStack } from './stack.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** Copies between an address space and `bytes`, page by page. @param counts whose faults these are: the caller's
 *  @returns bytes done before the first page that cannot be had */
export function accessRemoteVm(mm: Mm, counts: FaultCounts, va: number, bytes: Uint8Array, write: boolean, force: boolean): number {
  const { machine, params, folios } = mm.system;
  if (!(va >= 0 && va < mm.taskSize)) return 0;
  const above = mm.vmaList.firstEndingAbove(va);
  if (above !== null && above.start > va) expandStack(mm, above, va);
  let done = 0;
  while (done < bytes.length) {
    const at = va + done;
    const chunk = Math.min(PAGE_SIZE - (at % PAGE_SIZE), bytes.length - done);
    const pfn = remotePage(mm, counts, at, write, force);
    if (pfn === 0) break;
    const part = bytes.subarray(done, done + chunk);
    mm.system.uses?.used(pfn);
    if (write) {
      machine.writeFrame(pfn, at % PAGE_SIZE, part);
      mm.system.dirtyFolio(folios.folioOf(pfn));
    } else machine.readFrame(pfn, at % PAGE_SIZE, part);
    done += chunk;
  }
  machine.charge(Math.ceil(params.cost.copy_byte * done));
  return done;
}

/** The frame behind an address, faulted in as need be; 0: it cannot be had. Mirrors __get_user_pages() for one page. */
export function remotePage(mm: Mm, counts: FaultCounts, va: number, write: boolean, force: boolean): Pfn | 0 {
  const vma = mm.findVma(va);
  if (vma === null || !mayFollow(vma, write, force)) return 0;
  const vpn = Math.floor(va / PAGE_SIZE);
  // A fault may have to be taken twice: a 2 MiB mapping splits first.
  for (let tries = 0; tries < 4; tries++) {
    const leaf = mm.tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : mm.tables.get(vpn);
    if (low !== 0 && ptePresent(low) && (!write || canFollowWrite(mm, vma, low, force))) {
      const page = leaf !== 0 ? asPfn(ptePfn(leaf) + (vpn & 511)) : ptePfn(low);
      if ((low & PteSoft.Special) === 0) mm.system.folios.set(mm.system.folios.folioOf(page), FolioFlag.Referenced);
      return page;
    }
    const result = handleMmFault(newFault(mm, vma, asVpn(vpn), write), counts);
    if (result === FaultResult.OutOfMemory) mm.system.wantsOomKill = true;
    if (result !== FaultResult.Done) return 0;
  }
  return 0;
}
/** The entry allows it, or the page is the program's alone, so that nobody else would see the write. */
function canFollowWrite({ system: { folios } }: Mm, { flags }: Vma, low: number, force: boolean): boolean {
  if (pteWritable(low)) return true;
  if (!force || (flags & (VmFlag.Shared | VmFlag.MayShare | VmFlag.Write)) !== 0 || (low & PteSoft.Special) !== 0) return false;
  return folios.isAnonExclusive(ptePfn(low));
}
/** check_vma_flags() */
function mayFollow({ flags }: Vma, write: boolean, force: boolean): boolean {
  if (!write) return (flags & VmFlag.Read) !== 0 || (force && (flags & VmFlag.MayRead) !== 0);
  const isCow = (flags & (VmFlag.Shared | VmFlag.MayWrite)) === VmFlag.MayWrite;
  return (flags & VmFlag.Write) !== 0 || (force && isCow);
}
