// #mmu: RAM, and how a virtual address becomes a frame. Imports #base only.
//
// Reading order, which is the order of one load that misses everywhere:
//   arena.ts        one linear memory handed out in columns
//   ram.ts          guest frames in it
//   pte.ts          page-table entry and satp, declared once
//   filter.ts       the engine's fast path: which pages may be touched without asking
//   mmu.ts          lookup(): one counted access; fences; satp
//   watch.ts        memory that somebody watches: kept out of the filter, judged instruction by instruction
//   tlb.ts          one level of recent translations, as columns; entries of any size, asid and global
//   replacement.ts  which way a full set gives up: LRU, tree-PLRU, FIFO, random
//   coalesce.ts     which neighbours of a walked entry join it: Svnapot, Zen, CoLT, clustered; A/D rules
//   walker.ts       the Sv39/48/57 walk in the spec's numbered steps; A and D bits; pwc.ts caches its upper levels
//   description.ts  a TLB hierarchy as data; parse.ts checks a user's JSON, with sentences; presets.ts has the named ones
//   plan.ts         where an engine that does the most common misses itself finds the columns
//   stale.ts        accesses served by translations that memory no longer holds: found, on request
//   counters.ts     what is counted, and the report made from it; classes.ts why an access missed, on request
//
// One load on paper. The engine looks in the read filter: page tag equal -> host offset, one stamp store, done. Otherwise it calls
// mmu.lookup(va, Load): L1 D is searched (hit: refill the filter slot, stamp); miss: L2 is searched (hit: fill L1); miss: the walker reads
// PTEs from RAM, skipping levels the page-walk cache holds; a leaf that allows the access gets A (D) set, coalesces with its neighbours,
// fills L2 and L1 and the filter slot. A fault is -1, with cause and address in mmu.fault. Nothing here calls upward.
export * from './arena.ts';
export * from './ram.ts';
export * from './pte.ts';
export * from './filter.ts';
export * from './mmu.ts';
export * from './watch.ts';
export * from './description.ts';
export * from './parse.ts';
export * from './presets.ts';
export * from './counters.ts';
export * from './plan.ts';
export type { EntryChange, StaleListener, StaleUse } from './stale.ts';
