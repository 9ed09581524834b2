// mm: physical memory and address spaces.
//
// Reading order: params and facts first, then bottom up, then the fault.
//   ../params.ts     tunables and costs
//   reasons.ts       why something fell back, split or was refused: code, sentence, what to try
//   events.ts        tracepoints and vmstat counters under Linux's names
//   folio.ts         FolioTable: flags, references, mapcounts, order, the memdesc word; a row a frame
//   buddy.ts         free frames by order
//   system.ts        MmSystem: what all address spaces share (Linux's node and zone): buddy, folios, vmstat, THP controls, zero pages
//   pagetable.ts     entries in guest RAM: set, clear, walk a range, Svnapot runs, PMD entries; batched fences
//   vma.ts           Vma; when two merge, how one splits
//   mm.ts            Mm: VMAs, page-table root, counters; mmap.ts, mprotect.ts, mremap.ts, madvise.ts, brk in mmap.ts
//   filemap.ts       AddressSpace: the pages of a file; file faults, fault-around, copy on write of file pages
//   fault.ts         handlePageFault, handleMmFault: the decision; fault-record.ts its phases
//   anon.ts          first touch, zero page, copy on write; huge.ts the PMD-size folio; folio-order.ts which order
//   fork.ts          dupMm: copying an address space
//   uaccess.ts       UserMemory: the kernel's own reads and writes of user memory, which fault like the program's
//   inspect.ts       numbers of smaps, pagemap, kpageflags
//   check.ts         checkMm, checkBuddy, checkFolios: invariants for tests and fuzzers
export * from './events.ts';
export * from './system.ts';
export * from './vma.ts';
export * from './mm.ts';
export * from './filemap.ts';
export * from './fault.ts';
export * from './fork.ts';
export * from './uaccess.ts';
export * from './inspect.ts';
