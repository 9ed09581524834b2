// One address space's page tables: frames of guest RAM, written through machine.storePte and nowhere else kept. Here: finding, making and
// freeing tables of Sv39, Sv48 and Sv57; reading and changing entries, with Svnapot runs hidden behind them; PMD leaves and the spare
// tables deposited for them. Not here: what an entry's frame is (rmap.ts), when to fence a removal (fences.ts).
//
// An entry is handled as its low word, for RAM ends below 16 GiB. A *folded* entry is one of sixteen that stand for 64 KiB together
// (N = 1, PPN[3:0] = 1000b). Readers never see that: get() gives the page's own frame, with the A and D bits of the sixteen ORed, because
// hardware sets them in any one. A writer that covers part of a run unfolds it first. Modelled on arm64's contpte; mainline riscv does not
// fold transparent folios.
import { asPfn, bug, hex } from '#base';
import type { Pfn } from '#base';
import { ENTRIES_PER_TABLE, NAPOT_ORDER, Pte, PteHigh, makePte, napotLow, napotPfn, pteIsLeaf, ptePfn } from '#mmu';
import { VmItem } from './events.ts';
import type { Fences } from './fences.ts';
import { MemdescType } from './folio.ts';
import { Gfp } from './system.ts';
import type { MmSystem } from './system.ts';

const NAPOT_PAGES = 1 << NAPOT_ORDER;
/** Pages that one entry of a level covers. */
const spans = [1, 2 ** 9, 2 ** 18, 2 ** 27, 2 ** 36] as const;
const pagesAt = (level: number): number => spans[level]!;
/** Index of a page's entry in its table of a level. Bitwise AND takes the low 32 bits of the whole part, which hold the nine that count. */
const indexAt = (vpn: number, level: number): number => (vpn / spans[level]!) & 511;
const AD = Pte.A | Pte.D;
/** What the low words of entries for neighbouring frames differ by. */
const PPN_STEP = 1 << 10;

/** Linux's pte_present(): valid, or valid to the kernel only. PROT_NONE entries are V = 0 with the G bit set. */
export const ptePresent = (low: number): boolean => (low & (Pte.V | Pte.G)) !== 0;
export const pteWritable = (low: number): boolean => (low & Pte.W) !== 0;
/** The entry without what hardware writes, for comparing rights. */
const rights = (low: number): number => low & 0x3ff & ~AD;

export class PageTables {
  readonly root: Pfn;
  /** Number of levels: 3, 4, 5. */
  readonly levels: number;
  /** Bytes of tables below the root, deposits included: mm_struct's pgtables_bytes. */
  bytes = 0;
  private readonly system: MmSystem;
  private readonly fences: Fences;
  /** Spare PTE tables, one for each PMD leaf of anonymous memory, so that splitting it never lacks memory. */
  private readonly deposits: Pfn[] = [];
  // The table that was looked up last, for the pages [cachedBase, cachedBase + 512).
  private cachedBase = -1;
  private cachedTable = asPfn(0);

  private constructor(system: MmSystem, fences: Fences, root: Pfn) {
    this.system = system;
    this.fences = fences;
    this.root = root;
    this.levels = system.machine.sv === 39 ? 3 : system.machine.sv === 48 ? 4 : 5;
  }
  /** null: no memory for the root. */
  static create(system: MmSystem, fences: Fences): PageTables | null {
    const root = allocTable(system);
    return root === 0 ? null : new PageTables(system, fences, root);
  }

  // Tables.

  /** The table that holds a page's entry of a level (0: PTEs, 1: PMDs, ...); 0: absent, or a leaf stands above it. */
  tableAt(vpn: number, level: number): Pfn | 0 {
    if (level === 0 && vpn >= this.cachedBase && vpn < this.cachedBase + ENTRIES_PER_TABLE && this.cachedBase >= 0) return this.cachedTable;
    let table = this.root;
    for (let at = this.levels - 1; at > level; at--) {
      const low = this.system.machine.pteLow(table, indexAt(vpn, at));
      if ((low & Pte.V) === 0 || pteIsLeaf(low)) return 0;
      table = ptePfn(low);
    }
    if (level === 0) {
      this.cachedBase = vpn - (vpn & 511);
      this.cachedTable = table;
    }
    return table;
  }
  /** The same, made if absent; 0: no memory. The caller knows that no leaf stands above. */
  makeTableAt(vpn: number, level: number): Pfn | 0 {
    const there = this.tableAt(vpn, level);
    if (there !== 0) return there;
    let table = this.root;
    for (let at = this.levels - 1; at > level; at--) {
      const index = indexAt(vpn, at);
      const low = this.system.machine.pteLow(table, index);
      if (low !== 0) {
        if (pteIsLeaf(low)) bug(`page table wanted below a leaf at page ${hex(vpn)}`);
        table = ptePfn(low);
        continue;
      }
      const fresh = this.newTable();
      if (fresh === 0) return 0;
      this.store(table, index, makePte(fresh, Pte.V), 0);
      table = fresh;
    }
    return table;
  }
  private newTable(): Pfn | 0 {
    const table = allocTable(this.system);
    if (table !== 0) this.bytes += 4096;
    return table;
  }
  private freeTable(table: Pfn): void {
    this.bytes -= 4096;
    this.cachedBase = -1;
    freeTableFrame(this.system, table);
  }

  /** The first page at or after `vpn` whose PMD entry is not empty; `end` if there is none before it. Skips absent tables of any level. */
  skipAbsent(vpn: number, end: number): number {
    let at = vpn;
    next: while (at < end) {
      if (at >= this.cachedBase && at < this.cachedBase + ENTRIES_PER_TABLE && this.cachedBase >= 0) return at;
      let table = this.root;
      for (let level = this.levels - 1; level >= 1; level--) {
        const low = this.system.machine.pteLow(table, indexAt(at, level));
        if ((low & Pte.V) === 0 && (level > 1 || low === 0)) {
          const span = pagesAt(level);
          at = (Math.floor(at / span) + 1) * span;
          continue next;
        }
        if (level === 1 || pteIsLeaf(low)) return at;
        table = ptePfn(low);
      }
    }
    return end;
  }

  /** Frees the tables that lie wholly inside [floor, ceiling) and touch [start, end): nothing is mapped there any more, all in pages.
   *  @returns whether any was freed; then everything must be fenced. Mirrors free_pgtables(). */
  freeRange(start: number, end: number, floor: number, ceiling: number): boolean {
    const before = this.bytes;
    this.freeBelow(this.root, this.levels - 1, start, end, floor, ceiling);
    return this.bytes !== before;
  }
  /** Visits the entries of one table of `level` that touch [start, end), and frees what they point at when that is wholly inside. */
  private freeBelow(table: Pfn, level: number, start: number, end: number, floor: number, ceiling: number): void {
    if (level === 0) return;
    const span = pagesAt(level);
    for (let at = Math.floor(start / span) * span; at < end; at += span) {
      const index = indexAt(at, level);
      const low = this.system.machine.pteLow(table, index);
      if ((low & Pte.V) === 0 || pteIsLeaf(low)) continue;
      const child = ptePfn(low);
      this.freeBelow(child, level - 1, Math.max(start, at), Math.min(end, at + span), floor, ceiling);
      if (at < floor || at + span > ceiling) continue;
      this.store(table, index, 0, 0);
      this.freeTable(child);
    }
  }
  /** The root goes last: exit_mmap. Everything below has been freed. */
  freeRoot(): void {
    if (this.bytes !== 0 || this.deposits.length !== 0) bug(`${this.bytes} bytes of page tables left at exit`);
    freeTableFrame(this.system, this.root);
  }

  // PMD entries.

  /** A page's PMD entry as it stands; 0: empty or no table. A leaf maps 512 pages, otherwise it points at a table. */
  pmd(vpn: number): number {
    const table = this.tableAt(vpn, 1);
    return table === 0 ? 0 : this.system.machine.pteLow(table, indexAt(vpn, 1));
  }
  /** The leaf that maps the page's 2 MiB; 0: none, or a table. PROT_NONE leaves count. */
  pmdLeaf(vpn: number): number {
    const low = this.pmd(vpn);
    return pteIsLeaf(low) && ptePresent(low) ? low : 0;
  }
  /** Writes a leaf where there was none or another leaf. The PMD's table exists. */
  setPmdLeaf(vpn: number, low: number): void {
    const table = this.tableAt(vpn, 1);
    if (table === 0) bug(`no PMD table at page ${hex(vpn)}`);
    this.cachedBase = -1;
    this.store(table, indexAt(vpn, 1), low, 0);
  }
  /** Removes a leaf. @returns what it was */
  clearPmdLeaf(vpn: number): number {
    const low = this.pmdLeaf(vpn);
    this.setPmdLeaf(vpn, 0);
    return low;
  }
  /** Puts a table in a leaf's place: the entries for its 512 pages are in it already. */
  replacePmdLeaf(vpn: number, table: Pfn): void {
    const upper = this.tableAt(vpn, 1);
    if (upper === 0) bug(`no PMD table at page ${hex(vpn)}`);
    this.store(upper, indexAt(vpn, 1), makePte(table, Pte.V), 0);
  }
  /** Takes a whole PTE table out, to be put in elsewhere: mremap of aligned 2 MiB. 0: none. */
  detachTable(vpn: number): Pfn | 0 {
    const table = this.tableAt(vpn, 0);
    const upper = this.tableAt(vpn, 1);
    if (table === 0 || upper === 0) return 0;
    this.store(upper, indexAt(vpn, 1), 0, 0);
    this.cachedBase = -1;
    return table;
  }
  /** Takes a whole PTE table out, emptied, as the spare table of the leaf that will take its place: collapse. */
  depositTableOf(vpn: number): void {
    const table = this.detachTable(vpn);
    if (table === 0) bug(`no page table at page ${hex(vpn)}`);
    for (let i = 0; i < ENTRIES_PER_TABLE; i++) if (this.system.machine.pteLow(table, i) !== 0) this.store(table, i, 0, 0);
    this.deposits.push(table);
  }
  /** One entry of a table that stands in no tree yet: splitting a leaf. */
  storeInto(table: Pfn, index: number, low: number, high = 0): void {
    this.store(table, index, low, high);
  }
  /** Sets a spare table aside; false: no memory. */
  deposit(): boolean {
    const table = this.newTable();
    if (table === 0) return false;
    this.deposits.push(table);
    return true;
  }
  withdraw(): Pfn {
    return this.deposits.pop() ?? bug('no deposited page table for a PMD leaf');
  }
  /** A leaf is gone for good: so is its spare table. */
  dropDeposit(): void {
    this.freeTable(this.withdraw());
  }
  get nrDeposits(): number {
    return this.deposits.length;
  }

  // PTEs.

  /** The entry as it stands in RAM. */
  rawLow(vpn: number): number {
    const table = this.tableAt(vpn, 0);
    return table === 0 ? 0 : this.system.machine.pteLow(table, vpn & 511);
  }
  isFolded(vpn: number): boolean {
    const table = this.tableAt(vpn, 0);
    return table !== 0 && (this.system.machine.pteHigh(table, vpn & 511) & PteHigh.N) !== 0;
  }
  /** A page's entry; 0: none. Of a folded run: the page's own frame, and A and D if any of the sixteen has them. */
  get(vpn: number): number {
    const table = this.tableAt(vpn, 0);
    if (table === 0) return 0;
    const { machine } = this.system;
    const low = machine.pteLow(table, vpn & 511);
    if ((machine.pteHigh(table, vpn & 511) & PteHigh.N) === 0) return low;
    const first = vpn & 511 & ~(NAPOT_PAGES - 1);
    let ad = 0;
    for (let i = 0; i < NAPOT_PAGES; i++) ad |= machine.pteLow(table, first + i) & AD;
    return makePte(napotPfn(low, vpn & 511), (low & 0x3ff) | ad);
  }
  /** Pages that may be handled as one from `vpn` on: 16 for a folded run that [vpn, end) covers, else 1. Unfolds a run covered in part. */
  unitAt(vpn: number, end: number): number {
    if (!this.isFolded(vpn)) return 1;
    if ((vpn & (NAPOT_PAGES - 1)) === 0 && vpn + NAPOT_PAGES <= end) return NAPOT_PAGES;
    this.unfold(vpn);
    return 1;
  }
  /** Writes the entries of one unit as unitAt() gave it. @param low the first page's; 0 clears */
  setUnit(vpn: number, low: number, nr: number): void {
    const table = this.tableAt(vpn, 0);
    if (table === 0) bug(`no page table at page ${hex(vpn)}`);
    const folded = nr === NAPOT_PAGES && low !== 0;
    const word = folded ? napotLow(ptePfn(low), low & 0x3ff) : low;
    this.storeRun(table, vpn & 511, nr, word, folded ? PteHigh.N : 0, 0);
  }
  /** Sets A and D in a page's own entry as the hart does: of a folded run in that one only. */
  orRaw(vpn: number, bits: number): void {
    const table = this.tableAt(vpn, 0);
    if (table === 0) bug(`no page table at page ${hex(vpn)}`);
    const { machine } = this.system;
    machine.storePte(table, vpn & 511, machine.pteLow(table, vpn & 511) | bits, machine.pteHigh(table, vpn & 511));
  }
  /** Changes one page's entry. */
  set(vpn: number, low: number): void {
    if (this.isFolded(vpn)) this.unfold(vpn);
    this.setUnit(vpn, low, 1);
  }
  /** Removes one page's entry. @returns what get() gave before */
  clear(vpn: number): number {
    const low = this.get(vpn);
    this.set(vpn, 0);
    return low;
  }
  /** Maps `nr` consecutive frames of one folio where no entry is; within one table, which exists. Aligned runs of sixteen are folded at
   *  once. Mirrors set_ptes(). @param folioOrder of the folio they belong to */
  setRun(vpn: number, first: Pfn, flags: number, nr: number, folioOrder: number): void {
    const mayFold = folioOrder >= NAPOT_ORDER && this.system.params.vm.svnapot_fold !== 0 && (flags & Pte.V) !== 0;
    const table = this.tableAt(vpn, 0);
    if (table === 0) bug(`no page table at page ${hex(vpn)}`);
    for (let i = 0; i < nr; ) {
      const toFold = mayFold && ((vpn ^ first) & (NAPOT_PAGES - 1)) === 0 ? -(vpn + i) & (NAPOT_PAGES - 1) : nr;
      if (toFold === 0 && nr - i >= NAPOT_PAGES) {
        this.setUnit(vpn + i, makePte(asPfn(first + i), flags), NAPOT_PAGES);
        i += NAPOT_PAGES;
        continue;
      }
      const unit = Math.min(nr - i, toFold === 0 ? nr : toFold);
      this.storeRun(table, (vpn + i) & 511, unit, makePte(asPfn(first + i), flags), 0, PPN_STEP);
      i += unit;
    }
    // A run that was not mapped in one piece may be complete now.
    if (mayFold && nr < NAPOT_PAGES) this.tryFold(vpn);
  }
  /** Are `nr` entries from `vpn` on empty? They lie in one table. */
  rangeNone(vpn: number, nr: number): boolean {
    const table = this.tableAt(vpn, 0);
    if (table === 0) return true;
    for (let i = 0; i < nr; i++) if (this.system.machine.pteLow(table, (vpn & 511) + i) !== 0) return false;
    return true;
  }

  /** Do the `nr` pages from `vpn` on map `nr` consecutive frames from `first` on? A PMD leaf does, from its first page. */
  isRun(vpn: number, first: Pfn, nr: number): boolean {
    if (this.pmdLeaf(vpn) !== 0) return ptePfn(this.pmdLeaf(vpn)) === first;
    for (let i = 0; i < nr; i++) {
      const low = this.get(vpn + i);
      if (!ptePresent(low) || ptePfn(low) !== first + i) return false;
    }
    return true;
  }

  /** Folds the aligned sixteen pages around `vpn` if they are valid, consecutive, of one folio and have one protection (A and D aside).
   *  Order as the spec asks: clear all, fence all, write all. */
  tryFold(vpn: number): void {
    const table = this.tableAt(vpn, 0);
    if (table === 0 || this.system.params.vm.svnapot_fold === 0) return;
    const { machine, folios } = this.system;
    const index = vpn & 511 & ~(NAPOT_PAGES - 1);
    const low0 = machine.pteLow(table, index);
    const first = ptePfn(low0);
    if ((low0 & Pte.V) === 0 || (first & (NAPOT_PAGES - 1)) !== 0 || (machine.pteHigh(table, index) & PteHigh.N) !== 0) return;
    if (!folios.has(first) || this.system.isZeroFrame(first) || folios.order(folios.folioOf(first)) < NAPOT_ORDER) return;
    let ad = 0;
    for (let i = 0; i < NAPOT_PAGES; i++) {
      const low = machine.pteLow(table, index + i);
      if (ptePfn(low) !== first + i || rights(low) !== rights(low0)) return;
      ad |= low & AD;
    }
    const start = vpn - (vpn & (NAPOT_PAGES - 1));
    this.setUnit(start, 0, NAPOT_PAGES);
    this.fences.range(start, start + NAPOT_PAGES);
    this.setUnit(start, low0 | ad, NAPOT_PAGES);
  }
  /** Writes a folded run as sixteen single entries, each with the A and D bits that any of them had. */
  unfold(vpn: number): void {
    const start = vpn - (vpn & (NAPOT_PAGES - 1));
    const low = this.get(start);
    this.setUnit(start, 0, NAPOT_PAGES);
    this.fences.range(start, start + NAPOT_PAGES);
    for (let i = 0; i < NAPOT_PAGES; i++) this.setUnit(start + i, makePte(asPfn(ptePfn(low) + i), low & 0x3ff), 1);
    if (this.system.faults.current !== null) this.system.faults.phase('flush', { start: start * 4096, pages: NAPOT_PAGES }, 'the folded run becomes single entries', 'unfold-part');
  }

  /** Several entries in a row, each low word `step` above the one before. */
  private storeRun(table: Pfn, index: number, nr: number, low: number, high: number, step: number): void {
    const { machine, faults, params } = this.system;
    if (nr === 1 || faults.current !== null) {
      for (let i = 0; i < nr; i++) this.store(table, index + i, low + i * step, high);
      return;
    }
    machine.storePtes(table, index, nr, low, high, step);
    machine.charge(params.cost.pte_set * nr);
  }
  private store(table: Pfn, index: number, low: number, high: number): void {
    const { machine, faults, params } = this.system;
    if (faults.current !== null) faults.pteChanged(table, index, machine.pteLow(table, index), machine.pteHigh(table, index), low, high);
    machine.storePte(table, index, low, high);
    machine.charge(params.cost.pte_set);
  }
}

function allocTable(system: MmSystem): Pfn | 0 {
  const table = system.allocZeroed(0, MemdescType.PageTable, Gfp.PageTable);
  if (table !== 0) system.vmstat.add(VmItem.nr_page_table_pages, 1);
  return table;
}
function freeTableFrame(system: MmSystem, table: Pfn): void {
  system.vmstat.add(VmItem.nr_page_table_pages, -1);
  system.putFolio(system.folios.folioOf(table));
}
