// swap: where anonymous memory and files of memory alone go when memory is short, and how they come back. Facts: swap devices are disks.
//
// Reading order, which is that of one page going out and coming back:
//   entry.ts        (type, offset) as a number, as a PTE
//   swap.ts         Swap: what the rest of mm asks of swap; swap-info.ts the slots of one device; clusters.ts which of them are given out
//   swap-cache.ts   folios that are on their way out or in, by entry; what is left of them when they have gone (shadows)
//   swap-io.ts      writing and reading slots: the device, pages of zeros, zswap.ts the compressed pool before the device
//   swap-in.ts      do_swap_page: the fault; swap-readahead.ts what is read along with it; swap-direct.ts devices that read at once
//   swapon.ts       a device is turned on; swapoff.ts everything comes back
//
// One page out, on paper. shrinkFolioList (../reclaim/shrink.ts) has a folio that is anonymous, old, and in no swap cache: allocate() finds a run
// of slots for it and puts it into the swap cache (SwapCache flag, a reference a page, folios.swapEntry). tryToUnmap() replaces each PTE by a
// swap PTE, and duplicate() counts each in the map. write() starts the I/O: Writeback. When that has ended and the folio is met again, clean,
// removeMapping() takes it out of the swap cache, where a shadow stays. The slots stay as long as PTEs name them.
export * from './entry.ts';
export { swapHeader, swapOn, wholeDisk } from './swapon.ts';
export { swapOff } from './swapoff.ts';
export { shmemEntry } from './shmem-swap.ts';
export { Swap } from './swap.ts';
export { zswapMeanings } from './zswap.ts';
export type { SwapInfo } from './swap-info.ts';
export type { SwapWrite } from './swap-io.ts';
