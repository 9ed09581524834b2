// Why an access missed: compulsory (first touch), capacity (a fully associative LRU array of as many entries would have missed too), conflict
// (it would have hit), invalidated (a fence took the entry). Asked for, not always on: the fully associative shadow must see every access, so
// the filter stays empty meanwhile. Here: the shadow. Not here: who asks (mmu.ts).
//
// The unit is the entry that the level uses for the page. Entries that a store split under an A/D rule, or that a fence of a neighbour took
// along, count as conflicts where the shadow still has them.

export interface MissClassCounts { compulsory: number; capacity: number; conflict: number; invalidated: number }

interface Unit { readonly owner: number; readonly order: number; readonly start: number }

export class MissClasses {
  readonly counts: MissClassCounts = { compulsory: 0, capacity: 0, conflict: 0, invalidated: 0 };
  private readonly entries: number;
  /** Least recently used first: a Map keeps insertion order. */
  private readonly shadow = new Map<string, Unit>();
  private readonly seen = new Set<string>();
  private readonly fenced = new Set<string>();

  constructor(entries: number) {
    this.entries = entries;
  }

  /** One access that found its translation. @param owner ASID or GLOBAL; @param order log2 pages of the entry; @param start its first page */
  access(owner: number, order: number, start: number, missed: boolean): void {
    const key = `${owner} ${order} ${start}`;
    const inShadow = this.shadow.delete(key);
    if (missed) {
      if (!this.seen.has(key)) this.counts.compulsory++;
      else if (this.fenced.has(key)) this.counts.invalidated++;
      else if (inShadow) this.counts.conflict++;
      else this.counts.capacity++;
    }
    this.seen.add(key);
    this.fenced.delete(key);
    this.shadow.set(key, { owner, order, start });
    if (this.shadow.size <= this.entries) return;
    for (const oldest of this.shadow.keys()) {
      this.shadow.delete(oldest);
      break;
    }
  }

  /** sfence.vma. @param vpn null: every page; @param asid null: every owner, and the global one */
  fence(vpn: number | null, asid: number | null): void {
    for (const [key, unit] of this.shadow) {
      if (asid !== null && unit.owner !== asid) continue;
      if (vpn !== null && (vpn < unit.start || vpn >= unit.start + 2 ** unit.order)) continue;
      this.shadow.delete(key);
      this.fenced.add(key);
    }
  }
}
