// reclaim: which pages go when memory is short.
//
// Reading order, which is that of one pass:
//   scan.ts          ScanControl: what is wanted, how hard, what it came to
//   lruvec.ts        Lruvec: the folios of one group under one policy; lru.ts the door through which they come and go; folio-list.ts lists
//   vmscan.ts        kswapd, direct reclaim, a group's reclaim: priorities, groups, shrinkers, throttling
//   two-list.ts      active and inactive; workingset.ts when a page that comes back was evicted too early
//   lru-gen.ts       MGLRU: generations; lru-gen-folio.ts uses and tiers of a folio; lru-gen-pid.ts the feedback of refaults
//   lru-gen-walk.ts  aging by a sweep of page tables; lru-gen-evict.ts what goes; lru-gen-node.ts groups among each other; lru-gen-files.ts its files
//   policy.ts        ReclaimPolicy, the small interface; chosen.ts runs one; policies.ts fifo, clock, random, lru, opt;
//                    uses.ts which pages a run used, for the last two; page-numbers.ts
//   shrink.ts        what is done with the folios that a policy has taken off its lists; referenced.ts were they used; try-to-unmap.ts out of every table
//   eviction-record.ts  who went, from where, and when it came back: recorded while somebody asks
//
// One eviction on paper. A charge finds the group full -> vmscan.reclaimGroup -> lruvec.shrink: 32 folios off the inactive list's tail ->
// shrinkFolioList: lock; referenced? no; anonymous: slots in swap; unmapped, a swap entry in the PTE's place; one fence; written; unlocked -> putBack.
// The write ends, rotate() brings the folio to the tail; the next pass finds it clean: out of the swap cache, a shadow in its place, freed.
export * from './scan.ts';
export * from './lruvec.ts';
export * from './policy.ts';
export type { SamplingObserver } from './referenced.ts';
export type { LruLists } from './lru.ts';
export { twoList } from './two-list.ts';
export { mglru } from './lru-gen.ts';
export * from './lru-gen-files.ts';
export { chosen } from './chosen.ts';
export type { Eviction, EvictionLog, EvictionStory } from './eviction-record.ts';
export { recordedPolicies, smallPolicies } from './policies.ts';
export { USE_WINDOW, UseRecorder } from './uses.ts';
export type { RecordedUses, UseObserver } from './uses.ts';
