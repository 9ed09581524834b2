// Which neighbours of a translated page join its entry: Zen, CoLT, clustered, with their A and D rules. Here: the translation on its way
// into a level, and the choice of pages. Not here: where the entry goes (tlb.ts). Every model is legal on RISC-V, because the neighbours
// could have been walked speculatively; all look only at the 64-byte line of PTEs that the walk read anyway, at most eight pages.
// (riscv-mmu facts, section 12.)
import type { AdRule, CoalescingName } from './description.ts';
import { Pte, PteHigh, ptePpn } from './pte.ts';

/** Neighbours must have these bits as the walked page has them. */
const ATTRIBUTES = Pte.R | Pte.W | Pte.X | Pte.U | Pte.G;
export const LINE_PAGES = 8;

/** One translation on its way into a level: what a walk found, or what another level gives. Reused; one per MMU. */
export class Translation {
  /** log2 of the pages known to be mapped as one piece: the leaf's, or what the giving entry held of it; 0 where `line` says what is known. */
  order = 0;
  /** First frame of that piece. */
  ppn = 0;
  /** log2 pages of the page-table leaf behind it. */
  leaf = 0;
  /** PTE bits 5:0. */
  flags = 0;
  /** GLOBAL or the address space. */
  asid = 0;
  /** Position of the accessed page in its line. */
  own = 0;
  /** Line positions that may join: valid, and with the accessed page's attributes. Always has `own`. */
  known = 0;
  /** A and D of those, a bit each. */
  accessed = 0;
  dirty = 0;
  readonly frames = new Float64Array(LINE_PAGES);

  /** A line that knows one page. */
  alone(vpnLo: number, ppn: number, low: number): void {
    this.own = vpnLo & 7;
    this.known = 1 << this.own;
    this.accessed = (low & Pte.A) !== 0 ? this.known : 0;
    this.dirty = (low & Pte.D) !== 0 ? this.known : 0;
    this.frames[this.own] = ppn;
  }
  /** All eight pages of the line, as one larger piece maps them. @param firstPpn frame of the line's first page */
  whole(vpnLo: number, firstPpn: number, low: number): void {
    this.own = vpnLo & 7;
    this.known = 0xff;
    this.accessed = (low & Pte.A) !== 0 ? 0xff : 0;
    this.dirty = (low & Pte.D) !== 0 ? 0xff : 0;
    for (let i = 0; i < LINE_PAGES; i++) this.frames[i] = firstPpn + i;
  }
  /** The line in memory around a walked 4 KiB leaf. @param word index of the leaf's low word */
  read(words: Int32Array, word: number, vpnLo: number): void {
    const low = words[word]!;
    this.alone(vpnLo, ptePpn(low, words[word + 1]!), low);
    const line = word - this.own * 2;
    for (let i = 0; i < LINE_PAGES; i++) {
      const neighbour = words[line + i * 2]!;
      const high = words[line + i * 2 + 1]!;
      if ((neighbour & Pte.V) === 0 || ((neighbour ^ low) & ATTRIBUTES) !== 0 || (high & ~PteHigh.Ppn) !== 0) continue;
      const bit = 1 << i;
      this.known |= bit;
      if ((neighbour & Pte.A) !== 0) this.accessed |= bit;
      if ((neighbour & Pte.D) !== 0) this.dirty |= bit;
      this.frames[i] = ptePpn(neighbour, high);
    }
  }
}

/** What an array makes of a translation of base pages. Reused. */
export class Capture {
  /** log2 pages of the entry's aligned group. */
  order = 0;
  /** Line positions held. */
  pages = 0;
  /** Frame of the group's first page, were it held; clustered: the first frame of the aligned eight. */
  ppn = 0;
  /** Clustered: three low frame bits for each of eight pages. */
  sub = 0;
}

/** Chooses the pages. The accessed page is always among them.
 *  @param wide zen: also try groups of eight, 32K */
export function capture(t: Translation, model: CoalescingName, rule: AdRule, wide: boolean, into: Capture): void {
  const own = t.own;
  const frame = t.frames[own]!;
  into.sub = 0;
  const eligible = agreeing(t, rule);
  switch (model) {
    case 'none':
    case 'svnapot':
      break;
    case 'zen':
      if (wide && zenGroup(t, eligible, 3, into)) return;
      if (zenGroup(t, eligible, 2, into)) return;
      break;
    case 'colt-sa':
      run(t, eligible, 2, into);
      return;
    case 'colt-fa':
      run(t, eligible, 3, into);
      return;
    case 'clustered': {
      const cluster = frame - (frame % 8);
      let pages = 0;
      let sub = 0;
      for (let i = 0; i < LINE_PAGES; i++) {
        if (((eligible >> i) & 1) === 0) continue;
        const at = t.frames[i]! - cluster;
        if (at < 0 || at > 7) continue;
        pages |= 1 << i;
        sub |= at << (3 * i);
      }
      into.order = 3;
      into.pages = pages;
      into.ppn = cluster;
      into.sub = sub;
      return;
    }
  }
  into.order = 0;
  into.pages = 1 << own;
  into.ppn = frame;
}

/** The pages whose A and D let them share an entry with the accessed one. */
function agreeing(t: Translation, rule: AdRule): number {
  const own = 1 << t.own;
  const sameD = (t.dirty & own) !== 0 ? t.dirty : ~t.dirty;
  switch (rule) {
    case 'strict':
    case 'd-evict': return (t.known & t.accessed & sameD) | own;
    case 'loose-a': return (t.known & sameD) | own;
    case 'd-split': return (t.known & t.accessed) | own;
  }
}

/** A whole group, aligned in both spaces. */
function zenGroup(t: Translation, eligible: number, order: number, into: Capture): boolean {
  const size = 1 << order;
  const start = t.own & -size;
  const group = ((1 << size) - 1) << start;
  const first = t.frames[t.own]! - (t.own - start);
  if ((eligible & group) !== group || first % size !== 0) return false;
  for (let i = start; i < start + size; i++) if (t.frames[i] !== first + (i - start)) return false;
  into.order = order;
  into.pages = group;
  into.ppn = first;
  return true;
}

/** The consecutive run around the accessed page inside its aligned group; frames need no alignment. */
function run(t: Translation, eligible: number, order: number, into: Capture): void {
  const size = 1 << order;
  const start = t.own & -size;
  const shift = t.frames[t.own]! - t.own;
  let pages = 1 << t.own;
  for (let i = t.own - 1; i >= start && ((eligible >> i) & 1) !== 0 && t.frames[i] === shift + i; i--) pages |= 1 << i;
  for (let i = t.own + 1; i < start + size && ((eligible >> i) & 1) !== 0 && t.frames[i] === shift + i; i++) pages |= 1 << i;
  into.order = order;
  into.pages = pages;
  into.ppn = shift + start;
}
