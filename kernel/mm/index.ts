// mm: physical memory and address spaces.
//
// Reading order: numbers and names first, then bottom up, then the fault, then what programs ask for.
//   ../params.ts     tunables and costs
//   reasons.ts       why something fell back, split or was refused: code, sentence, what to try
//   events.ts        tracepoints and vmstat counters under Linux's names
//   folio.ts         FolioTable: flags, references, mapcounts, order, the memdesc type; a row a frame
//   memdesc.ts       descriptors apart from the memory map, for its smaller layouts
//   page-alloc.ts    who may have frames, and what is done when there are none; gfp.ts its flags, watermark.ts how much must stay free
//   buddy.ts         free frames by order and migrate type; pcp.ts the per-cpu stock before it; frame-lists.ts the lists of both
//   thp.ts           the transparent_hugepage tree: controls and per-size counters
//   system.ts        MmSystem: what all address spaces share (Linux's node and zone)
//   fences.ts        address-space identifiers, fences and batches of them
//   pagetable.ts     entries in guest RAM: find, set, clear, walk; Svnapot runs; PMD leaves
//   rmap.ts          what a mapping does to a folio's counts; anon-vma.ts, rmap-walk.ts from a folio back to its mappings
//   split.ts         a folio becomes smaller ones; deferred-split.ts those worth it when memory is short; access-split.ts those of which few pages are used; migration-entries.ts mappings out and in again
//   migrate.ts       a folio moves to other frames; split-huge-pages.ts splitting by hand
//   reclaim/         which pages go when memory is short; memcg.ts whose they are, and how many a group may have; swap/ where anonymous ones go
//   compaction.ts    large free blocks by moving what is in the way; kcompactd.ts the thread that does so unasked; pressure.ts what is done when memory is short
//   vma.ts           Vma; when two merge, how one splits
//   mm.ts            Mm: one address space; mman.ts the numbers of mmap and its sisters
//   fault.ts         handlePageFault, handleMmFault: the decision; fault-record.ts its phases; stack.ts growing a stack
//   folio-order.ts   which order a first touch gets; anon.ts the first touch; cow.ts writing to what is shared; huge.ts 2 MiB by one entry
//   collapse.ts      single pages become one large folio; collapse-history.ts whether that works against reclaim; khugepaged.ts the thread that looks for them, and MADV_COLLAPSE; khugepaged-controls.ts
//   filemap.ts       AddressSpace: the pages of a file; xarray.ts where they stand; filefault.ts faults on mappings of it; truncate.ts cutting
//   folio-wait.ts    locks of folios, and who waits for I/O; mapping-counts.ts what files ask of formats and disks
//   filemap-read.ts  reading through the page cache; readahead.ts what is read together, and into folios of which order
//   writeback.ts     what is dirty, and when it is written; writeback-iter.ts which folios; mkclean.ts so that the next write is known of;
//                    errseq.ts telling what failed meanwhile
//   mmap.ts          mmap, munmap, brk; mprotect.ts, mremap.ts, madvise.ts, mlock.ts; unmap.ts takes pages out, populate.ts puts them in
//   pte-marker.ts    guards; mseal.ts what may not change any more
//   fork.ts          dupMm: copying an address space
//   uaccess.ts       UserMemory: the kernel's own reads and writes of user memory, which fault like the program's
//   remote.ts        other programs' memory, whatever its rights
//   cache-record.ts  why folios of files have their orders, what read-ahead decided: recorded while somebody asks; cache-inspect.ts what is cached
//   inspect.ts       the numbers of smaps, pagemap, kpageflags; clear-refs.ts forgetting what smaps calls referenced
//   table-walk.ts    the entries on the way to a page, and what they mean: for those who look
//   backing.ts       what lies behind one page, and who else maps it: for those who explain
//   check.ts         invariants, for tests and fuzzers; check-mm.ts those of one address space; check-cow.ts who may write what others have
export * from './reasons.ts';
export * from './events.ts';
export { FolioFlag, MemdescType } from './folio.ts';
export type { FolioTable } from './folio.ts';
export { MAX_PAGE_ORDER, migrateTypeNames } from './buddy.ts';
export type { AllocCounts, CompactAnswer, PressureHooks } from './page-alloc.ts';
export { descriptorKinds, memmapLayouts, overheadBytes } from './memdesc.ts';
export * from './thp.ts';
export * from './system.ts';
export * from './memcg.ts';
export { memcgStat } from './memcg-stat.ts';
export * from './reclaim/index.ts';
export * from './swap/index.ts';
export { faultKinds, faultPhases } from './fault-record.ts';
export type { FaultKind, FaultLog, FaultPhase, FaultPhaseName, FaultRecord, PteChange } from './fault-record.ts';
export type { CacheLog, FolioBirth, ReadaheadDecision, ReadaheadKind, ReadaheadPages } from './cache-record.ts';
export * from './cache-inspect.ts';
export type { FolioAtomics } from './folio-wait.ts';
export type { MappingCounts } from './mapping-counts.ts';
export { VM_ACCESS, VmFlag, Vma } from './vma.ts';
export type { VmaView } from './vma.ts';
export * from './mman.ts';
export * from './mm.ts';
export * from './filemap.ts';
export { FaultAccess, FaultResult, handlePageFault } from './fault.ts';
export { linuxFolioOrder } from './folio-order.ts';
export type { FolioOrderPolicy } from './folio-order.ts';
export { Madvise } from './madvise.ts';
export { dupMm } from './fork.ts';
export { accessRemoteVm } from './remote.ts';
export { UserMemory } from './uaccess.ts';
export * from './inspect.ts';
export * from './table-walk.ts';
export { backingOf, mappersOf } from './backing.ts';
export type { Backing } from './backing.ts';
export { checkFolioState } from './check.ts';
export { checkCow } from './check-cow.ts';
