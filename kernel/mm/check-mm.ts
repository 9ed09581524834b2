// Invariants of one address space, found by walking all of its tables. Here: VMAs in order and within their accounts, every entry inside a VMA
// and within its rights, folded runs whole, rss what is mapped; and what the walk saw of each frame, for check.ts to compare with the memory map.
import { asPfn, bug, hex } from '#base';
import type { Pfn } from '#base';
import { ENTRIES_PER_TABLE, NAPOT_ORDER, Pte, PteHigh, PteSoft, napotPfn, pteIsLeaf, ptePfn } from '#mmu';
import { FolioFlag, MemdescType } from './folio.ts';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { isGuardMarker, isPoisonMarker } from './pte-marker.ts';
import { entryOfPte, isExclusiveSwapPte, isSwapPte } from './swap/entry.ts';
import type { SwapEntry } from './swap/entry.ts';
import type { MmSystem } from './system.ts';
import { VmFlag, isDataMapping, isExecMapping, isStackMapping } from './vma.ts';
import type { Vma } from './vma.ts';

/** What a walk of every page table of every address space finds; a row a frame. */
export interface Scan {
  /** PTEs that map the frame, and PMDs that begin at it. */
  readonly ptes: Int32Array;
  readonly pmds: Int32Array;
  /** 1: a page table. */
  readonly tables: Uint8Array;
  nrTables: number;
  /** Of heads of large folios: address spaces that map them; which of the two mm-id slots those confirmed, as bits. */
  readonly owners: Int32Array;
  readonly slots: Uint8Array;
  /** Of heads: mappings by the address space that is being walked. */
  readonly mine: Int32Array;
  /** PTEs that name a place in swap, by the place. */
  readonly swapped: Map<SwapEntry, number>;
}
export const newScan = ({ folios: { nrFrames } }: MmSystem): Scan => ({
  ptes: new Int32Array(nrFrames), pmds: new Int32Array(nrFrames), tables: new Uint8Array(nrFrames), nrTables: 0,
  owners: new Int32Array(nrFrames), slots: new Uint8Array(nrFrames), mine: new Int32Array(nrFrames), swapped: new Map(),
});

/** What is mapped in one address space. */
interface Found { anon: number; file: number; shmem: number; swapped: number; tables: number; leaves: number; readonly heads: number[] }

export function checkMm(mm: Mm, scan: Scan): void {
  checkVmas(mm);
  const found: Found = { anon: 0, file: 0, shmem: 0, swapped: 0, tables: 0, leaves: 0, heads: [] };
  scanTable(mm, scan, mm.tables.root, mm.tables.levels - 1, 0, found);
  checkOwner(mm, scan, found.heads);
  const { rss, tables } = mm;
  if (found.anon !== rss.anonPages || found.file !== rss.filePages || found.shmem !== rss.shmemPages || found.swapped !== rss.swapEntries) {
    bug(`rss of address space ${mm.id} is ${JSON.stringify(rss)}, the tables map ${found.anon} anonymous, ${found.file} file, ${found.shmem} shmem, and name ${found.swapped} in swap`);
  }
  if (mm.hiwaterRss < mm.rssPages || mm.hiwaterVm < mm.totalVm) bug(`a high-water mark of address space ${mm.id} is below the level`);
  if (found.leaves !== tables.nrDeposits) bug(`${found.leaves} PMD leaves and ${tables.nrDeposits} deposited tables`);
  if ((found.tables + tables.nrDeposits) * 4096 !== tables.bytes) bug(`pgtables_bytes is ${tables.bytes}, there are ${found.tables} tables`);
  scan.nrTables += 1 + found.tables + tables.nrDeposits;
}

/** VMAs in order, apart and of whole pages; the accounts of the address space are their sums. */
function checkVmas(mm: Mm): void {
  const sums = { totalVm: 0, lockedVm: 0, dataVm: 0, execVm: 0, stackVm: 0 };
  let before: Vma | null = null;
  for (const vma of mm.vmaList.all) {
    if (vma.start % 4096 !== 0 || vma.end % 4096 !== 0 || vma.start >= vma.end || vma.end > mm.taskSize) bug(`VMA ${hex(vma.start)}-${hex(vma.end)} of address space ${mm.id}`);
    if (before !== null && vma.start < before.end) bug(`VMAs of address space ${mm.id} overlap at ${hex(vma.start)}`);
    if (vma.anonVma !== null && !vma.anonVmaChain.includes(vma.anonVma)) bug(`VMA at ${hex(vma.start)} has an anon_vma outside its chain`);
    if (vma.has(VmFlag.LockOnFault) && !vma.has(VmFlag.Locked)) bug(`VMA at ${hex(vma.start)} is locked on fault and not locked`);
    before = vma;
    sums.totalVm += vma.nrPages;
    if (vma.has(VmFlag.Locked)) sums.lockedVm += vma.nrPages;
    if (isExecMapping(vma.flags)) sums.execVm += vma.nrPages;
    else if (isStackMapping(vma.flags)) sums.stackVm += vma.nrPages;
    else if (isDataMapping(vma.flags)) sums.dataVm += vma.nrPages;
  }
  for (const name of ['totalVm', 'lockedVm', 'dataVm', 'execVm', 'stackVm'] as const) {
    if (mm[name] !== sums[name]) bug(`${name} of address space ${mm.id} is ${mm[name]}, the VMAs have ${sums[name]} pages`);
  }
}

/** A slot of a folio that names this address space has counted no more mappings than there are: the third to come is not counted at all,
 *  and may get a slot for later mappings only. */
function checkOwner(mm: Mm, scan: Scan, heads: readonly number[]): void {
  const { folios } = mm.system;
  for (const head of heads) {
    const row = head - folios.firstPfn;
    const mine = scan.mine[row]!;
    scan.mine[row] = 0;
    if (mine === 0) continue; // listed twice
    scan.owners[row]!++;
    const folio = folios.folioOf(asPfn(head));
    for (const slot of [0, 1] as const) {
      if (folios.mmIdAt(folio, slot) !== mm.id) continue;
      const counted = folios.mmIdMapcountAt(folio, slot);
      if (counted <= 0 || counted > mine) bug(`folio ${hex(head)} counts ${counted} mappings of mm ${mm.id}, which has ${mine}`);
      scan.slots[row]! |= 1 << slot;
    }
  }
}

function scanTable(mm: Mm, scan: Scan, table: Pfn, level: number, base: number, found: Found): void {
  const { machine, folios } = mm.system;
  const row = table - folios.firstPfn;
  if (!folios.has(table)) bug(`page table ${hex(table)} is not RAM`);
  if (scan.tables[row] === 1) bug(`page table ${hex(table)} hangs in two places`);
  if (folios.typeOf(table) !== MemdescType.PageTable) bug(`page table ${hex(table)} is not marked as one`);
  scan.tables[row] = 1;
  let vma: Vma | null = null; // of the entry before
  for (let index = 0; index < ENTRIES_PER_TABLE; index++) {
    const low = machine.pteLow(table, index);
    const high = machine.pteHigh(table, index);
    if (low === 0 && high === 0) continue;
    const vpn = base + index * 2 ** (9 * level);
    if (level > 0 && (low & Pte.V) !== 0 && !pteIsLeaf(low)) {
      found.tables++;
      scanTable(mm, scan, ptePfn(low), level - 1, vpn, found);
      continue;
    }
    if (vma === null || vpn * 4096 >= vma.end) vma = mm.vmaList.at(vpn * 4096);
    if (vma === null) bug(`entry for ${hex(vpn * 4096)} lies in no VMA`);
    if (level > 1) bug(`leaf of level ${level} at ${hex(vpn * 4096)}`);
    if (level === 1) {
      found.leaves++;
      if ((vpn + ENTRIES_PER_TABLE) * 4096 > vma.end || vpn * 4096 < vma.start) bug(`2 MiB mapping at ${hex(vpn * 4096)} leaves its VMA`);
    }
    const pfn = (high & PteHigh.N) !== 0 ? checkFolded(mm, table, index, low, level) : ptePfn(low);
    checkEntry(mm, scan, vma, vpn, low, pfn, level, found);
  }
}
/** A folded entry is one of sixteen alike, of one folio. @returns the frame of this page */
function checkFolded(mm: Mm, table: Pfn, index: number, low: number, level: number): Pfn {
  const { machine, folios } = mm.system;
  const rights = ~(Pte.A | Pte.D);
  const first = asPfn(ptePfn(low) & ~15);
  if (level !== 0) bug(`folded entry in a table of level ${level}`);
  if ((index & 15) === 0) {
    for (let i = index; i < index + 16; i++) {
      if ((machine.pteLow(table, i) & rights) !== (low & rights) || (machine.pteHigh(table, i) & PteHigh.N) === 0) bug(`folded run at entry ${index} of ${hex(table)} is not uniform`);
    }
    const folio = folios.folioOf(first);
    if (folios.order(folio) < NAPOT_ORDER) bug(`folded run over a folio of order ${folios.order(folio)}`);
  } else if ((machine.pteLow(table, index & ~15) & rights) !== (low & rights) || (machine.pteHigh(table, index & ~15) & PteHigh.N) === 0) bug(`folded entry ${index} of ${hex(table)} is unlike its first`);
  if ((ptePfn(low) & 15) !== 8) bug(`folded entry with PPN ${hex(ptePfn(low))}`);
  return napotPfn(low, index);
}
function checkEntry(mm: Mm, scan: Scan, vma: Vma, vpn: number, low: number, pfn: Pfn, level: number, found: Found): void {
  const { system } = mm;
  const { folios } = system;
  if (isGuardMarker(low)) {
    if (level !== 0 || !vma.has(VmFlag.MaybeGuard)) bug(`guard at ${hex(vpn * 4096)} of a VMA that should have none`);
    return;
  }
  if (isPoisonMarker(low)) return;
  if (isSwapPte(low)) {
    const entry = entryOfPte(low);
    found.swapped++;
    scan.swapped.set(entry, (scan.swapped.get(entry) ?? 0) + 1);
    if (level !== 0 || vma.anonVma === null) bug(`swap entry at ${hex(vpn * 4096)} of a VMA that has had no page`);
    // What only one address space may reach has one entry, and no page that is mapped elsewhere.
    if (isExclusiveSwapPte(low) && system.swap.count(entry) !== 1) bug(`exclusive swap entry at ${hex(vpn * 4096)} for a slot with ${system.swap.count(entry)} users`);
    return;
  }
  if (!ptePresent(low)) bug(`entry ${hex(low)} at ${hex(vpn * 4096)} is neither present nor empty`);
  const writable = (low & Pte.W) !== 0;
  if (writable && !vma.has(VmFlag.Write)) bug(`writable entry at ${hex(vpn * 4096)} of a VMA that is not`);
  if ((low & Pte.X) !== 0 && !vma.has(VmFlag.Exec)) bug(`executable entry at ${hex(vpn * 4096)} of a VMA that is not`);
  if ((low & Pte.V) !== 0 && (vma.flags & (VmFlag.Read | VmFlag.Write | VmFlag.Exec)) === 0) bug(`accessible entry at ${hex(vpn * 4096)} of a VMA that is not`);
  if ((low & (Pte.W | Pte.R)) === Pte.W) bug(`entry at ${hex(vpn * 4096)} is writable and not readable`);
  const nr = level === 1 ? ENTRIES_PER_TABLE : 1;
  const special = (low & PteSoft.Special) !== 0;
  if (special !== system.isZeroFrame(pfn)) bug(`entry ${hex(low)} at ${hex(vpn * 4096)} maps frame ${hex(pfn)}: special means zeros, and zeros are special`);
  if (special) {
    if (writable) bug(`the zero page is writable at ${hex(vpn * 4096)}`);
    return;
  }
  const folio = folios.folioOf(pfn);
  const type = folios.typeOf(pfn);
  if (type !== MemdescType.AnonFolio && type !== MemdescType.FileFolio) bug(`frame ${hex(pfn)} mapped at ${hex(vpn * 4096)} is of type ${type}`);
  const row = pfn - folios.firstPfn;
  if (level === 1) scan.pmds[row]!++;
  else scan.ptes[row]!++;
  if (folios.isLarge(folio) && scan.mine[folio - folios.firstPfn]!++ === 0) found.heads.push(folio);
  checkPlace(mm, vma, vpn, pfn);
  if (type === MemdescType.AnonFolio) {
    found.anon += nr;
    if (vma.has(VmFlag.Shared)) bug(`anonymous frame ${hex(pfn)} in a shared mapping at ${hex(vpn * 4096)}`);
    if (writable && !folios.isAnonExclusive(pfn)) bug(`writable entry at ${hex(vpn * 4096)} for shared anonymous frame ${hex(pfn)}`);
  } else {
    if (writable && !vma.has(VmFlag.Shared)) bug(`private mapping of a file page is writable at ${hex(vpn * 4096)}`);
    if (folios.test(folio, FolioFlag.SwapBacked)) found.shmem++;
    else found.file++;
  }
}
/** What rmap needs: the page's offset and its owner lead back to this entry. */
function checkPlace(mm: Mm, vma: Vma, vpn: number, pfn: Pfn): void {
  const { folios } = mm.system;
  const folio = folios.folioOf(pfn);
  const mapping = folios.mapping(folio);
  const anon = folios.isAnon(folio);
  if (anon ? !vma.anonVmaChain.some((owner) => -owner.id === mapping) : mapping !== 0 && mapping !== vma.file?.space.id) bug(`frame ${hex(pfn)} at ${hex(vpn * 4096)} belongs to somebody else`);
  if (mapping === 0) return; // truncated away from its file, or not named
  const index = folios.index(folio) + pfn - folio;
  if (index !== vma.pgoffOf(vpn * 4096)) bug(`frame ${hex(pfn)} at ${hex(vpn * 4096)} is page ${index} of its owner, the VMA says ${vma.pgoffOf(vpn * 4096)}`);
}
