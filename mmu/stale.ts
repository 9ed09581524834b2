// Stale translations, found as they are used: an access that a TLB or a page-walk cache served, and that memory no longer allows or would send elsewhere.
// Here: the comparison, and who changed which entry. Not here: the access itself (mmu.ts). Off unless somebody watches; then nothing is counted otherwise.
//
// An engine touches a page without asking while the filter shows it. Between two changes of page tables the answer for a page cannot change, so it is
// enough to look at the first access to each page after a change: whoever is about to change a table empties the filter.
//
// What hardware and Linux allow is no finding: an entry that allows less than memory does (Svvptc: the access faults, and is tried again); A bits that
// were cleared without a fence (the page only looks older than it is). A cached D that memory lacks is one: what is written then is known to nobody.
import { asPfn } from '#base';
import type { Pfn } from '#base';
import type { Arena } from './arena.ts';
import { ENTRIES_PER_TABLE, NAPOT_ORDER, Pte, PteHigh, pteIsLeaf, ptePpn } from './pte.ts';
import type { Ram } from './ram.ts';
import { WalkStatus, Walker, vpnIndex } from './walker.ts';

/** The last time that a valid entry was made to say something else. */
export interface EntryChange<Where> {
  readonly oldLow: number;
  readonly oldHigh: number;
  readonly newLow: number;
  readonly newHigh: number;
  /** As the listener's where() said. */
  readonly where: Where;
}
export interface StaleUse<Where> {
  /** stale: as above. napot: the sixteen entries of a Svnapot region do not agree, so that it is open which one holds. */
  readonly kind: 'stale' | 'napot';
  readonly vaHi: number;
  readonly vaLo: number;
  /** Access of the look-up (mmu.ts). */
  readonly access: number;
  readonly asid: number;
  /** What served it: frame of the page, PTE bits 5:0. */
  readonly servedFrame: number;
  readonly servedFlags: number;
  /** The entry in memory at which a walk ends now, and its level. */
  readonly level: number;
  readonly low: number;
  readonly high: number;
  /** The change of an entry on this path that nobody fenced; null: it was not seen. */
  readonly change: EntryChange<Where> | null;
  /** Engine's clock of the access (Mmu.tick). */
  readonly tick: number;
}
export interface StaleListener<Where> {
  used(use: StaleUse<Where>): void;
  /** Where the program that simulates stands: whatever a report can be made of later. */
  where(): Where;
}
/** What an access was translated under. */
export interface Translating { readonly levels: number; readonly rootPpn: number; readonly asid: number; readonly allowed: number; readonly store: boolean }

/** Findings after which no more are told: one is enough to know. */
const MAX_FINDINGS = 16;
const HARDWARE_BITS = Pte.A | Pte.D;

export class StaleWatch<Where = unknown> {
  private readonly ram: Ram;
  private readonly words: Int32Array;
  private readonly walker: Walker;
  private readonly listener: StaleListener<Where>;
  private readonly emptyFilter: () => void;
  /** By place of the low word. */
  private readonly changes = new Map<number, EntryChange<Where>>();
  /** Frames that walks have read. */
  private readonly tables = new Set<number>();
  private isFilterEmpty = false;
  private nrFindings = 0;

  constructor(arena: Arena, ram: Ram, listener: StaleListener<Where>, emptyFilter: () => void) {
    this.ram = ram;
    this.words = arena.i32;
    this.walker = new Walker(arena, ram, {}, false);
    this.walker.observes = true;
    this.listener = listener;
    this.emptyFilter = emptyFilter;
  }

  /** Entries of a table are about to be written, each low word `step` above the one before. */
  willStore(table: Pfn, index: number, nr: number, low: number, high: number, step: number): void {
    this.tablesChange();
    let where: Where | null = null;
    const first = (this.ram.hostOf(table) >>> 2) + 2 * index;
    for (let i = 0, at = first, newLow = low; i < nr; i++, at += 2, newLow += step) {
      const [oldLow, oldHigh] = [this.words[at]!, this.words[at + 1]!];
      const loses = (oldLow & Pte.V) !== 0 && (((oldLow ^ newLow) & ~HARDWARE_BITS) !== 0 || oldHigh !== high || (oldLow & ~newLow & Pte.D) !== 0);
      if (loses) this.changes.set(at, { oldLow, oldHigh, newLow, newHigh: high, where: where ??= this.listener.where() });
    }
  }
  /** Bytes of frames are about to be written by somebody who does not think of them as a table. @param offset in bytes from the first frame on */
  willWrite(first: Pfn, offset: number, lenBytes: number, newWord: (at: number) => number): void {
    for (let frame = first + (offset >>> 12); frame * 4096 < first * 4096 + offset + lenBytes; frame++) {
      if (!this.tables.has(frame)) continue;
      this.tablesChange();
      const host = this.ram.hostOf(asPfn(frame)) >>> 2;
      const begin = Math.max(0, offset - (frame - first) * 4096);
      const end = Math.min(4096, offset + lenBytes - (frame - first) * 4096);
      let where: Where | null = null;
      for (let entry = begin >> 3; entry < Math.ceil(end / 8) && entry < ENTRIES_PER_TABLE; entry++) {
        const at = host + 2 * entry;
        const [oldLow, oldHigh] = [this.words[at]!, this.words[at + 1]!];
        const byteAt = (frame - first) * 4096 + entry * 8 - offset;
        if ((oldLow & Pte.V) !== 0) this.changes.set(at, { oldLow, oldHigh, newLow: newWord(byteAt), newHigh: newWord(byteAt + 4), where: where ??= this.listener.where() });
      }
    }
  }
  private tablesChange(): void {
    if (this.isFilterEmpty) return;
    this.isFilterEmpty = true;
    this.emptyFilter();
  }

  /** An access has been served. @param frame of its page, which is RAM; @param flags PTE bits 5:0 as the TLB has them */
  check(vaHi: number, vaLo: number, access: number, under: Translating, frame: number, flags: number, tick: number): void {
    this.isFilterEmpty = false;
    if (this.nrFindings >= MAX_FINDINGS) return;
    const { walker } = this;
    const status = walker.walk(vaHi, vaLo, under.levels, under.rootPpn, under.asid, under.allowed, under.store, false);
    const path = this.pathOf(vaHi, vaLo, under);
    let kind: StaleUse<Where>['kind'] = 'stale';
    if (status === WalkStatus.Found && this.frameOf(vaHi, vaLo) === frame) {
      if (walker.order === NAPOT_ORDER && !this.agrees(walker.pteWord)) kind = 'napot';
      else if (!under.store || this.isDirty()) return;
    }
    this.nrFindings++;
    const end = path[path.length - 1]!;
    const change = path.map(({ at }) => this.changes.get(at)).findLast((each) => each !== undefined) ?? null;
    this.listener.used({ kind, vaHi, vaLo, access, asid: under.asid, servedFrame: frame, servedFlags: flags, level: end.level, low: this.words[end.at]!, high: this.words[end.at + 1]!, change, tick });
  }

  /** The entries that a walk reads, from the root down, without judging them. */
  private pathOf(vaHi: number, vaLo: number, { levels, rootPpn }: Translating): { at: number; level: number }[] {
    const vpnLo = (vaHi << 20) | (vaLo >>> 12);
    const path: { at: number; level: number }[] = [];
    for (let level = levels - 1, table = rootPpn; level >= 0 && this.ram.has(table); level--) {
      this.tables.add(table);
      const at = (this.ram.hostOf(asPfn(table)) >>> 2) + vpnIndex(vpnLo, vaHi >> 12, level) * 2;
      path.push({ at, level });
      const low = this.words[at]!;
      if ((low & Pte.V) === 0 || pteIsLeaf(low)) break;
      table = ptePpn(low, this.words[at + 1]!);
    }
    return path;
  }
  /** Of what the walker found. */
  private frameOf(vaHi: number, vaLo: number): number {
    const { order, ppn } = this.walker;
    const vpn = (vaHi >> 12) * 0x1_0000_0000 + (((vaHi << 20) | (vaLo >>> 12)) >>> 0);
    const size = 2 ** order;
    return ppn + (((vpn % size) + size) % size);
  }
  /** Have the sixteen entries around one the same frame and the same rights? */
  private agrees(pteWord: number): boolean {
    const first = pteWord - (pteWord % (2 << NAPOT_ORDER));
    for (let at = first; at < first + (2 << NAPOT_ORDER); at += 2) {
      if (((this.words[at]! ^ this.words[pteWord]!) & ~HARDWARE_BITS) !== 0 || this.words[at + 1] !== this.words[pteWord + 1]) return false;
    }
    return true;
  }
  /** Does memory know that the page is written? Of a Svnapot region any of its entries may say so. */
  private isDirty(): boolean {
    const { pteWord, pteHigh } = this.walker;
    const nr = (pteHigh & PteHigh.N) !== 0 ? 2 << NAPOT_ORDER : 2;
    const first = pteWord - (pteWord % nr);
    for (let at = first; at < first + nr; at += 2) if ((this.words[at]! & Pte.D) !== 0) return true;
    return false;
  }
}
