// The way through an address space's page tables to one page, level by level, for those who look from outside: where each entry stands, its word, what it
// means to the kernel. Here nothing changes. Not here: the hart's walk, which counts and sets bits (#mmu), handling entries (pagetable.ts).
import type { Pfn } from '#base';
import { ENTRIES_PER_TABLE, PteHigh, pteIsLeaf, ptePfn } from '#mmu';
import type { Mm } from './mm.ts';
import { ptePresent } from './pagetable.ts';
import { isGuardMarker, isPoisonMarker } from './pte-marker.ts';
import { isSwapPte } from './swap/entry.ts';

/** folded: one of sixteen that Svnapot joins. prot none: present to the kernel, invalid to the hart. */
export type PteKind = 'none' | 'table' | 'leaf' | 'folded' | 'prot none' | 'swap' | 'guard' | 'poisoned';
export interface WalkStep {
  /** 0: PTEs, 1: PMDs, ... */
  readonly level: number;
  readonly table: Pfn;
  readonly index: number;
  readonly low: number;
  readonly high: number;
  readonly kind: PteKind;
  /** First page that the entry stands for, and how many. */
  readonly vpn: number;
  readonly pages: number;
}

export function pteKindOf(low: number, high: number): PteKind {
  if (low === 0) return 'none';
  if (ptePresent(low)) return (high & PteHigh.N) !== 0 ? 'folded' : (low & 1) === 0 ? 'prot none' : pteIsLeaf(low) ? 'leaf' : 'table';
  return isGuardMarker(low) ? 'guard' : isPoisonMarker(low) ? 'poisoned' : isSwapPte(low) ? 'swap' : 'none';
}

/** From the root to the entry at which a walk for the page ends. @param vpn a page of a program */
export function walkTables({ tables, system: { machine } }: Mm, vpn: number): WalkStep[] {
  const steps: WalkStep[] = [];
  let table = tables.root;
  for (let level = tables.levels - 1; ; level--) {
    const pages = ENTRIES_PER_TABLE ** level;
    const index = Math.floor(vpn / pages) % ENTRIES_PER_TABLE;
    const low = machine.pteLow(table, index);
    const high = machine.pteHigh(table, index);
    const kind = pteKindOf(low, high);
    steps.push({ level, table, index, low, high, kind, vpn: Math.floor(vpn / pages) * pages, pages });
    if (kind !== 'table' || level === 0) return steps;
    table = ptePfn(low);
  }
}
