// Copy on write, checked from outside: may anybody write to a page that others have, too? Here: that question alone, answered from entries and counts
// of entries, whatever the kernel's own marks say (AnonExclusive is check-mm.ts's affair). For --sanitize cow.
import { PAGE_SIZE, asPfn, bug, hex } from '#base';
import { ptePfn } from '#mmu';
import type { Mm } from './mm.ts';
import { ptePresent, pteWritable } from './pagetable.ts';
import type { MmSystem } from './system.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** An entry of a private mapping. */
interface Entry { readonly mm: Mm; readonly va: number }
const placeOf = ({ mm, va }: Entry): string => `${hex(va)} of address space ${mm.id} (${mm.exePath})`;

/** Throws Bug for the first page that one may write and another one reads. */
export function checkCow(system: MmSystem): void {
  const { folios, swap } = system;
  const readers = new Map<number, Entry>();
  const writers = new Map<number, Entry>();
  for (const mm of system.mms) {
    for (const vma of mm.vmaList.all) {
      if (vma.has(VmFlag.Shared)) continue;
      forEachPresent(mm, vma, (vpn, pfn, isWritable) => {
        const entry = { mm, va: vpn * PAGE_SIZE };
        if (isWritable && (system.isZeroFrame(asPfn(pfn)) || !folios.isAnon(folios.folioOf(asPfn(pfn))))) {
          bug(`frame ${hex(pfn)}, which is the zero page or a file's, may be written at ${placeOf(entry)}, a private mapping`);
        }
        const other = writers.get(pfn) ?? (isWritable ? readers.get(pfn) : undefined);
        if (other !== undefined) bug(`frame ${hex(pfn)} is mapped at ${placeOf(other)} and at ${placeOf(entry)}, and may be written at ${placeOf(isWritable ? entry : other)}`);
        (isWritable ? writers : readers).set(pfn, entry);
      });
    }
  }
  for (const [pfn, entry] of writers) {
    const folio = folios.folioOf(asPfn(pfn));
    const slot = folios.swapEntry(folio);
    if (slot !== 0 && swap.count(slot + pfn - folio) > 0) bug(`frame ${hex(pfn)} may be written at ${placeOf(entry)}, and somebody's entry names its place in swap`);
  }
}

function forEachPresent({ tables }: Mm, vma: Vma, visit: (vpn: number, pfn: number, isWritable: boolean) => void): void {
  const end = vma.end / PAGE_SIZE;
  for (let vpn = tables.skipAbsent(vma.start / PAGE_SIZE, end); vpn < end; vpn = tables.skipAbsent(vpn + 1, end)) {
    const leaf = tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : tables.get(vpn);
    if (ptePresent(low)) visit(vpn, ptePfn(low) + (leaf !== 0 ? vpn & 511 : 0), pteWritable(low));
  }
}
