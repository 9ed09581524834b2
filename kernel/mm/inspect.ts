// What /proc shows of an address space page by page: smaps, pagemap, kpageflags, kpagecount. Numbers only; the text is procfs's.
// Mirrors fs/proc/task_mmu.c and fs/proc/page.c, 6.18.
import { PAGE_SIZE, asPfn } from '#base';
import type { Pfn } from '#base';
import { Pte, PteSoft, ptePfn } from '#mmu';
import { FolioFlag, MemdescType } from './folio.ts';
import { isThpEligible } from './folio-order.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { GUARD_PAGEMAP_FRAME, POISON_PAGEMAP_FRAME, isPoisonMarker } from './pte-marker.ts';
import { entryOfPte, isSwapPte, swapOffset, swapType } from './swap/entry.ts';
import type { SwapEntry } from './swap/entry.ts';
import type { MmSystem } from './system.ts';
import { VmFlag } from './vma.ts';
import type { Vma, VmaView } from './vma.ts';

/** /proc/PID/smaps of one VMA, in bytes (pss divided already, with its fraction). Fields as Linux names them. */
export interface Smaps {
  size: number; rss: number; pss: number; pssDirty: number; pssAnon: number; pssFile: number; pssShmem: number;
  sharedClean: number; sharedDirty: number; privateClean: number; privateDirty: number;
  referenced: number; anonymous: number; lazyFree: number; anonHugePages: number; swap: number; swapPss: number; locked: number; thpEligible: boolean;
}

/** Mirrors smap_gather_stats(): a walk over the entries of the VMA. */
export function smapsOf(mm: Mm, vma: VmaView): Smaps {
  const s: Smaps = { size: vma.end - vma.start, rss: 0, pss: 0, pssDirty: 0, pssAnon: 0, pssFile: 0, pssShmem: 0, sharedClean: 0, sharedDirty: 0,
    privateClean: 0, privateDirty: 0, referenced: 0, anonymous: 0, lazyFree: 0, anonHugePages: 0, swap: 0, swapPss: 0, locked: 0, thpEligible: isThpEligible(mm, vma as Vma) };
  const end = vma.end / PAGE_SIZE;
  for (let vpn = mm.tables.skipAbsent(vma.start / PAGE_SIZE, end); vpn < end; vpn = mm.tables.skipAbsent(vpn + 1, end)) {
    const leaf = mm.tables.pmdLeaf(vpn);
    const low = leaf !== 0 ? leaf : mm.tables.get(vpn);
    if (isSwapPte(low)) addSwapped(mm.system, s, entryOfPte(low));
    if (low === 0 || !ptePresent(low) || (low & PteSoft.Special) !== 0) continue;
    if (leaf !== 0) s.anonHugePages += PAGE_SIZE;
    addPage(mm.system, s, leaf !== 0 ? asPfn(ptePfn(leaf) + (vpn & 511)) : ptePfn(low), low, (vma.flags & VmFlag.Locked) !== 0);
  }
  if (vma.file?.space.kind === 'shmem' && vma.file.space.nrSwapped > 0) s.swap += shmemSwap(mm, vma) * PAGE_SIZE;
  return s;
}
/** Pages of a file in memory that are in swap and would be seen here: of a private mapping that may be written those without a copy. shmem_swap_usage() */
function shmemSwap({ tables }: Mm, vma: VmaView): number {
  const { space } = vma.file!;
  if ((vma.flags & (VmFlag.Shared | VmFlag.Write)) !== VmFlag.Write) return space.swappedIn(vma.pgoff, vma.pgoff + (vma.end - vma.start) / PAGE_SIZE);
  let found = 0;
  for (let i = 0; i < (vma.end - vma.start) / PAGE_SIZE; i++) if (tables.rawLow(vma.start / PAGE_SIZE + i) === 0 && space.isSwapped(vma.pgoff + i)) found++;
  return found;
}
function addSwapped({ swap }: MmSystem, s: Smaps, entry: SwapEntry): void {
  s.swap += PAGE_SIZE;
  s.swapPss += Math.floor((PAGE_SIZE << PSS_SHIFT) / Math.max(1, swap.count(entry))) / (1 << PSS_SHIFT);
}
/** Bits behind the point of a page's share; what is finer is lost page by page. */
const PSS_SHIFT = 12;
/** smaps_account() for one page. */
function addPage({ folios }: MmSystem, s: Smaps, page: Pfn, low: number, locked: boolean): void {
  const folio = folios.folioOf(page);
  const mapcount = folios.pageMapcount(page);
  const dirty = (low & Pte.D) !== 0 || folios.test(folio, FolioFlag.Dirty);
  const share = Math.floor((PAGE_SIZE << PSS_SHIFT) / mapcount) / (1 << PSS_SHIFT);
  s.rss += PAGE_SIZE;
  s.pss += share;
  if (folios.isAnon(folio)) {
    s.anonymous += PAGE_SIZE;
    s.pssAnon += share;
    if (!folios.test(folio, FolioFlag.SwapBacked) && !dirty) s.lazyFree += PAGE_SIZE;
  } else if (folios.test(folio, FolioFlag.SwapBacked)) s.pssShmem += share;
  else s.pssFile += share;
  if ((low & Pte.A) !== 0 || folios.test(folio, FolioFlag.Referenced)) s.referenced += PAGE_SIZE;
  if (dirty) s.pssDirty += share;
  // One mapping of the page, by whatever kind of entry, is private.
  if (mapcount > 1) {
    if (dirty) s.sharedDirty += PAGE_SIZE;
    else s.sharedClean += PAGE_SIZE;
  } else if (dirty) s.privateDirty += PAGE_SIZE;
  else s.privateClean += PAGE_SIZE;
  if (locked) s.locked += share;
}

/** Codes of smaps' VmFlags, by bit, in the order of the bits. */
const vmFlagCodes: readonly (readonly [number, string])[] = [
  [VmFlag.Read, 'rd'], [VmFlag.Write, 'wr'], [VmFlag.Exec, 'ex'], [VmFlag.Shared, 'sh'], [VmFlag.MayRead, 'mr'], [VmFlag.MayWrite, 'mw'],
  [VmFlag.MayExec, 'me'], [VmFlag.MayShare, 'ms'], [VmFlag.GrowsDown, 'gd'], [VmFlag.MaybeGuard, 'gu'], [VmFlag.Locked, 'lo'], [VmFlag.SeqRead, 'sr'], [VmFlag.RandRead, 'rr'],
  [VmFlag.DontCopy, 'dc'], [VmFlag.DontExpand, 'de'], [VmFlag.LockOnFault, 'lf'], [VmFlag.Account, 'ac'], [VmFlag.NoReserve, 'nr'],
  [VmFlag.WipeOnFork, 'wf'], [VmFlag.DontDump, 'dd'], [VmFlag.HugePage, 'hg'], [VmFlag.NoHugePage, 'nh'], [VmFlag.Droppable, 'dp'], [VmFlag.Sealed, 'sl'],
];
/** VmFlags of smaps, two letters each: 'rd wr mr mw me ac'. Linux prints a blank after each, the last included. */
export const vmFlagsText = (flags: number): string => vmFlagCodes.filter(([bit]) => (flags & bit) !== 0).map(([, code]) => code).join(' ');

/** The u64 of /proc/PID/pagemap for the page at `va`, frame number included (as root sees it). */
export function pagemapWord(mm: Mm, va: number): bigint {
  const vpn = Math.floor(va / PAGE_SIZE);
  const leaf = mm.tables.pmdLeaf(vpn);
  const low = leaf !== 0 ? leaf : mm.tables.get(vpn);
  if (low === 0) return 0n;
  if (isSwapPte(low)) return (1n << 62n) | (BigInt(swapOffset(entryOfPte(low))) << 5n) | BigInt(swapType(entryOfPte(low)));
  if (isPoisonMarker(low)) return (1n << 62n) | BigInt(POISON_PAGEMAP_FRAME);
  if (!ptePresent(low)) return (1n << 62n) | (1n << 58n) | BigInt(GUARD_PAGEMAP_FRAME);
  const { folios } = mm.system;
  const page = leaf !== 0 ? asPfn(ptePfn(leaf) + (vpn & 511)) : ptePfn(low);
  let word = (1n << 63n) | BigInt(page);
  // The zero page has no struct page to be asked; the huge zero folio has one, and it is not anonymous.
  if ((low & PteSoft.Special) !== 0) return leaf !== 0 ? word | (1n << 61n) : word;
  // The page's own count, though its folio be shared. Under a PMD, 6.18 asks the first page for all 512: __folio_page_mapped_exclusively() is given that one.
  if (folios.pageMapcount(leaf !== 0 ? ptePfn(leaf) : page) === 1) word |= 1n << 56n;
  if (!folios.isAnon(folios.folioOf(page))) word |= 1n << 61n;
  return word;
}

/** PAGE_IS_* of PAGEMAP_SCAN. WpAllowed and SoftDirty never hold here. */
export const PageIs = { WpAllowed: 1 << 0, Written: 1 << 1, File: 1 << 2, Present: 1 << 3, Swapped: 1 << 4, PfnZero: 1 << 5, Huge: 1 << 6, SoftDirty: 1 << 7, Guard: 1 << 8, All: 0x1ff } as const;

/** What kind of page it is, and how many from it on, in [vpn, end), share its entry or have no table at all. An empty entry counts as written
 *  since nothing protects it, a missing table does not. Mirrors pagemap_page_category() and pagemap_scan_pte_hole(). */
export function pageCategories({ tables, system: { folios } }: Mm, vpn: number, end: number): { categories: number; nr: number } {
  const inPmd = Math.min(end, vpn - (vpn % 512) + 512) - vpn;
  if (tables.pmd(vpn) === 0) return { categories: 0, nr: inPmd };
  const leaf = tables.pmdLeaf(vpn);
  const low = leaf !== 0 ? leaf : tables.get(vpn);
  const nr = leaf !== 0 ? inPmd : 1;
  if (low === 0) return { categories: PageIs.Written, nr };
  if (!ptePresent(low)) return { categories: PageIs.Swapped | PageIs.Written | (isSwapPte(low) || isPoisonMarker(low) ? 0 : PageIs.Guard), nr };
  const kind = PageIs.Present | PageIs.Written | (leaf !== 0 ? PageIs.Huge : 0);
  if ((low & PteSoft.Special) !== 0) return { categories: kind | PageIs.PfnZero, nr };
  return { categories: folios.isAnon(folios.folioOf(ptePfn(low))) ? kind : kind | PageIs.File, nr };
}

/** Bits of /proc/kpageflags. */
const Kpf = {
  Locked: 2 ** 0, Referenced: 2 ** 2, Uptodate: 2 ** 3, Dirty: 2 ** 4, Lru: 2 ** 5, Slab: 2 ** 7, Writeback: 2 ** 8, Buddy: 2 ** 10, Mmap: 2 ** 11,
  Anon: 2 ** 12, SwapCache: 2 ** 13, SwapBacked: 2 ** 14, CompoundHead: 2 ** 15, CompoundTail: 2 ** 16, Unevictable: 2 ** 18, NoPage: 2 ** 20,
  Thp: 2 ** 22, ZeroPage: 2 ** 24, PgTable: 2 ** 26, Reserved: 2 ** 32, Mlocked: 2 ** 33, Owner2: 2 ** 34,
} as const;

/** A whole number, for a bigint at each step would cost more than all the questions. */
export function kpageflagsWord(system: MmSystem, pfn: Pfn): number {
  const { folios } = system;
  if (!folios.has(pfn)) return Kpf.NoPage;
  const type = folios.typeOf(pfn);
  if (type === MemdescType.Buddy) return system.buddy.blockAt(pfn) >= 0 ? Kpf.Buddy : 0;
  const folio = folios.folioOf(pfn);
  const isFolio = type === MemdescType.AnonFolio || type === MemdescType.FileFolio;
  const isLarge = folios.isLarge(folio);
  const own = folios.flags(pfn);
  const flags = folios.flags(folio);
  let word = 0;
  if (folios.pageMapcount(pfn) > 0) word += Kpf.Mmap;
  if (type === MemdescType.AnonFolio) word += Kpf.Anon;
  if (isLarge) word += folio === pfn ? Kpf.CompoundHead : Kpf.CompoundTail;
  if (isLarge && isFolio) word += Kpf.Thp;
  if (system.isZeroFrame(pfn)) word += Kpf.ZeroPage;
  if (type === MemdescType.Slab) word += Kpf.Slab;
  if (type === MemdescType.PageTable) word += Kpf.PgTable;
  if ((own & FolioFlag.Reserved) !== 0) word += Kpf.Reserved;
  if ((own & FolioFlag.AnonExclusive) !== 0) word += Kpf.Owner2;
  if ((flags & FolioFlag.Locked) !== 0) word += Kpf.Locked;
  if ((flags & FolioFlag.Referenced) !== 0) word += Kpf.Referenced;
  if ((flags & FolioFlag.Uptodate) !== 0) word += Kpf.Uptodate;
  if ((flags & FolioFlag.Dirty) !== 0) word += Kpf.Dirty;
  if ((flags & FolioFlag.Unevictable) !== 0) word += Kpf.Unevictable;
  if ((flags & FolioFlag.Writeback) !== 0) word += Kpf.Writeback;
  if ((flags & FolioFlag.SwapCache) !== 0) word += Kpf.SwapCache;
  if ((flags & FolioFlag.SwapBacked) !== 0) word += Kpf.SwapBacked;
  if ((flags & FolioFlag.Mlocked) !== 0) word += Kpf.Mlocked;
  return word;
}
export function kpagecountWord(system: MmSystem, pfn: Pfn): number {
  return system.folios.has(pfn) ? system.folios.pageMapcount(pfn) : 0;
}
