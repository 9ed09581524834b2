// Splitting large folios by the accessed bits of their pages: what the articles propose against the waste of larger sizes, and Linux does not
// have (it splits by zeros alone, deferred-split.ts). Ours, off by default; files in /sys/kernel/mm/quire/access_split. Here: the two halves of
// a pass, watching and judging, and its counts. Not here: the split itself (split.ts), who is short of memory (pressure.ts).
//
// A pass clears the A bits of every large anonymous folio, lets the programs run for an interval, and looks which pages were used again. A
// folio of which fewer than min_used_percent were is split; what holds nothing but zeros then becomes the zero page, and its frame is free.
// What holds more stays where it is, for without swap there is nowhere to put it. A pass begins under pressure, when enabled, or by hand.
//
// Where bits are merged nothing can be seen page by page: one A bit stands for the sixteen pages of a run that Svnapot folds, and for the 512
// of a 2 MiB entry, so that one use makes all of them look used. That is the price of the reach they give. With `unmerge` the watched
// mappings are written as single entries for the interval, and runs are folded again afterwards.
import type { Folio, StateHash } from '#base';
import { asPfn } from '#base';
import { NAPOT_ORDER, Pte } from '#mmu';
import { FenceBatch } from './fences.ts';
import { FolioFlag, MemdescType } from './folio.ts';
import { splitHugePmd } from './huge.ts';
import type { Mm } from './mm.ts';
import { mappingsOf } from './rmap-walk.ts';
import type { Mapping } from './rmap-walk.ts';
import { splitFolio } from './split.ts';
import type { MmSystem } from './system.ts';

const CYCLES_PER_MS = 1_000_000;
const NOT_WATCHING = -1;
const NAPOT_PAGES = 1 << NAPOT_ORDER;

export class AccessSplit {
  /** Folios, and pages. merged: pages that were judged by a bit that stands for others, too. freed: frames that came back. */
  readonly counts = { passes: 0, folios_scanned: 0, folios_sparse: 0, folios_split: 0, pages_used: 0, pages_merged: 0, pages_freed: 0 };
  private readonly system: MmSystem;
  /** The cycle at which the bits were cleared. */
  private since = NOT_WATCHING;

  constructor(system: MmSystem) {
    this.system = system;
  }
  /** The clock cycle at which judge() is due; Infinity: nothing is watched. */
  get deadline(): number {
    return this.since === NOT_WATCHING ? Infinity : this.since + this.system.params.vm.access_split_interval * CYCLES_PER_MS;
  }
  /** Memory is short: a pass begins, or ends if its interval is over. */
  underPressure(): void {
    if (this.system.params.vm.access_split === 0) return;
    if (this.since === NOT_WATCHING) this.watch();
    else if (this.deadline <= this.system.machine.clockCycles) this.judge();
  }

  /** Begins a pass: from now on an A bit means a use. What is mapped later has its bit from the start, and looks used. */
  watch(): void {
    if (this.since !== NOT_WATCHING) return;
    const batches = new Map<Mm, FenceBatch>();
    for (const folio of this.largeFolios()) {
      for (const mapping of mappingsOf(this.system, folio)) {
        let batch = batches.get(mapping.mm);
        if (batch === undefined) batches.set(mapping.mm, (batch = new FenceBatch(mapping.mm.fences)));
        this.clearAccessed(mapping, batch);
      }
    }
    for (const batch of batches.values()) batch.flush();
    this.since = this.system.machine.clockCycles;
  }
  private clearAccessed({ mm, vma, vpn, nr, kind }: Mapping, batch: FenceBatch): void {
    const { tables } = mm;
    const unmerge = this.system.params.vm.access_split_unmerge !== 0;
    this.charge(nr);
    if (kind === 'pmd' && !unmerge) {
      tables.setPmdLeaf(vpn, tables.pmdLeaf(vpn) & ~Pte.A);
      batch.add(vpn, nr, true);
      return;
    }
    if (kind === 'pmd') splitHugePmd(mm, vma, vpn, 'split-watch');
    for (let at = vpn; at < vpn + nr; ) {
      if (unmerge && tables.isFolded(at)) tables.unfold(at);
      const unit = tables.unitAt(at, vpn + nr);
      tables.setUnit(at, tables.get(at) & ~Pte.A, unit);
      at += unit;
    }
    batch.add(vpn, nr);
  }

  /** Ends a pass. @returns frames that became free */
  judge(): number {
    if (this.since === NOT_WATCHING) return 0;
    this.since = NOT_WATCHING;
    const { counts, system } = this;
    const { folios, pages, params } = system;
    counts.passes++;
    let freed = 0;
    for (const folio of this.largeFolios()) {
      const nr = folios.nrPages(folio);
      const mappings = mappingsOf(system, folio);
      const used = this.usedPages(folio, mappings);
      counts.folios_scanned++;
      counts.pages_used += used;
      // Locked pages are wanted whether they are used or not.
      const isSparse = used * 100 < params.vm.access_split_min_used * nr && !folios.test(folio, FolioFlag.Mlocked);
      if (isSparse) counts.folios_sparse++;
      const before = pages.freePagesAndStock;
      folios.get(folio);
      if (isSparse && splitFolio(system, folio, 0, null, 'split-unused') === 0) counts.folios_split++;
      else for (const mapping of mappings) foldAgain(mapping);
      system.putFolio(folio);
      freed += pages.freePagesAndStock - before;
    }
    counts.pages_freed += freed;
    return freed;
  }
  /** Pages of the folio that somebody has used, as far as bits tell. */
  private usedPages(folio: Folio, mappings: readonly Mapping[]): number {
    const used = new Set<number>();
    for (const { page, nr, kind, low } of mappings) {
      this.charge(nr);
      if (kind !== 'pte') this.counts.pages_merged += nr;
      if ((low & Pte.A) !== 0) for (let i = 0; i < nr; i++) used.add(page + i - folio);
    }
    return used.size;
  }

  /** In order of address. A split ahead of the walk leaves nothing large behind. */
  private *largeFolios(): Generator<Folio> {
    const { folios } = this.system;
    const end = folios.firstPfn + folios.nrFrames;
    for (let at: number = folios.firstPfn; at < end; ) {
      const pfn = asPfn(at);
      const type = folios.typeOf(pfn);
      if (type === MemdescType.Buddy) {
        at++;
        continue;
      }
      const folio = folios.folioOf(pfn);
      at = folio + folios.nrPages(folio);
      if (type === MemdescType.AnonFolio && folios.isLarge(folio)) yield folio;
    }
  }
  private charge(entries: number): void {
    this.system.machine.charge(this.system.params.cost.pte_scan * entries);
  }
  hash(into: StateHash): void {
    into.numbers([this.since, ...Object.values(this.counts)]);
  }
}
/** A run that watching has unfolded, seen from the last of its pages. */
function foldAgain({ mm: { tables }, vpn, kind }: Mapping): void {
  if (kind === 'pte' && vpn % NAPOT_PAGES === NAPOT_PAGES - 1) tables.tryFold(vpn);
}
