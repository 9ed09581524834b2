// A TLB hierarchy as data: what `--tlb FILE.json` holds and what a preset is. Here: the types, and what they mean to the levels built from
// them. Not here: the checks of a user's file (parse.ts), the named hierarchies (presets.ts).

export type PageSizeName = '4K' | '16K' | '32K' | '64K' | '2M' | '1G' | '512G' | '256T';
export type ReplacementName = 'lru' | 'plru' | 'fifo' | 'random';
/** How neighbours of a walked entry join it (riscv-mmu facts, section 12). Svnapot marks are honoured by 'svnapot' and, where `svnapot: true`, beside another model. */
export type CoalescingName = 'none' | 'svnapot' | 'zen' | 'colt-sa' | 'colt-fa' | 'clustered';
/** When captured neighbours' A and D must agree, and what a store to a D=0 page of a coalesced entry does. */
export type AdRule = 'strict' | 'loose-a' | 'd-split' | 'd-evict';

/** One array of entries. A level is one or more arrays looked up in parallel (Intel L1 D: one per page size). */
export interface TlbArrayDescription {
  readonly entries: number;
  /** Equal to `entries`: fully associative. */
  readonly ways: number;
  /** Sizes an entry may have. Larger pages are broken into the largest size that some array of the level holds. 64K is a Svnapot region;
   *  16K and 32K exist only as what 'zen' coalesces to. */
  readonly pageSizes: readonly PageSizeName[];
  readonly replacement: ReplacementName;
  readonly coalescing?: CoalescingName;
  readonly adRule?: AdRule;
  /** Holds a Svnapot region as one entry, whatever `coalescing` does with unmarked pages. Implied by coalescing 'svnapot' and by the page size 64K. */
  readonly svnapot?: boolean;
}
export interface TlbLevelDescription {
  readonly arrays: readonly TlbArrayDescription[];
  /** Cycles that a hit here costs beyond an L1 hit (0 for L1). */
  readonly hitCycles: number;
}
export interface TlbDescription {
  readonly name: string;
  /** Which figures are published, and where; which are assumed. */
  readonly source: string;
  readonly l1i: TlbLevelDescription;
  readonly l1d: TlbLevelDescription;
  /** Unified; null: an L1 miss walks. */
  readonly l2: TlbLevelDescription | null;
  /** Separate L2 for fetches, where `l2` then serves data only (AMD). */
  readonly l2i?: TlbLevelDescription | null;
  /** Of L2 over L1: 'inclusive' (an L2 eviction kills L1), 'exclusive' (L1 victims go to L2), 'neither' (fill both, evict alone). */
  readonly inclusion: 'inclusive' | 'exclusive' | 'neither';
  /** Translation caches for pointer entries, by the level of the pointer read (2 = Sv39 root): entries each, fully associative LRU; absent or 0: none. */
  readonly pwc: Readonly<Partial<Record<1 | 2 | 3 | 4, number>>>;
  /** Whether sfence.vma with an address also drops the pointers on that address's path. Both are legal; the default keeps them. */
  readonly pageFenceDropsPwc?: boolean;
  /** Cycles of a walk before its first read, and of each PTE read. */
  readonly walkCycles: number;
  readonly pteReadCycles: number;
}

/** log2 of the 4 KiB pages in each size. */
export const ORDER_OF_SIZE: Readonly<Record<PageSizeName, number>> =
  { '4K': 0, '16K': 2, '32K': 3, '64K': 4, '2M': 9, '1G': 18, '512G': 27, '256T': 36 };

/** The sizes that a page-table leaf can have, smallest first: what counts are kept by. */
export const LEAF_SIZES = ['4K', '64K', '2M', '1G', '512G', '256T'] as const;

export const honoursNapot = (a: TlbArrayDescription): boolean => a.svnapot ?? (a.coalescing === 'svnapot' || a.pageSizes.includes('64K'));

/** The same hierarchy with another coalescing model in every array that holds 4K pages: how runs of one preset are compared.
 *  @param svnapot whether Svnapot regions are single entries; absent: only under 'svnapot'. */
export function withCoalescing(d: TlbDescription, coalescing: CoalescingName, adRule: AdRule = 'strict', svnapot = coalescing === 'svnapot'): TlbDescription {
  const array = (a: TlbArrayDescription): TlbArrayDescription => {
    const sizes = a.pageSizes.filter((s) => s !== '16K' && s !== '32K' && s !== '64K');
    if (!a.pageSizes.includes('4K')) return { ...a, pageSizes: sizes.length > 0 ? sizes : a.pageSizes };
    const zen: PageSizeName[] = coalescing === 'zen' ? ['16K'] : [];
    return { ...a, pageSizes: [...sizes, ...zen], coalescing, adRule, svnapot };
  };
  const level = (l: TlbLevelDescription): TlbLevelDescription => ({ ...l, arrays: l.arrays.map(array) });
  return {
    ...d, name: `${d.name}+${coalescing}`, l1i: level(d.l1i), l1d: level(d.l1d), l2: d.l2 === null ? null : level(d.l2),
    ...(d.l2i === undefined ? {} : { l2i: d.l2i === null ? null : level(d.l2i) }),
  };
}
