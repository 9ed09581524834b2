// A TLB hierarchy as data: what `--tlb FILE.json` holds and what a preset is. Here: the types, the checks, and the sentences for what is wrong.

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
  readonly pageSizes: readonly PageSizeName[];
  readonly replacement: ReplacementName;
  readonly coalescing?: CoalescingName;
  readonly adRule?: AdRule;
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
  /** Cycles of a walk before its first read, and of each PTE read. */
  readonly walkCycles: number;
  readonly pteReadCycles: number;
}
