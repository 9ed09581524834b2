// block: disks. A disk is an image somewhere (in memory here; in a file of the host, where a tool brings one) behind a queue with a model of
// time. Nothing here knows pages, files or tasks.
//
// Reading order, which is that of one read:
//   image.ts     where the sectors are: DiskImage, MemoryImage; FaultyImage for tests, with bad sectors, torn writes and a crash
//   bio.ts       one request: an operation, a place on the disk, and physical ranges of RAM (the articles' phyr), with who is told at its end
//   latency.ts   how long a device takes: presets nvme, sata-ssd, hdd, with their sources
//   trace.ts     tracepoints block:*
//   device.ts    BlockDevice: the queue, plugging and merging, what is in flight, completion on the modelled clock; /proc/diskstats
//
// One read on paper. A file system makes a Bio(Read, sector, ranges, end) and submits it. Under a plug it waits for its neighbours, with which
// it merges; then the device says when it will be done, and that is all that happens now. Whoever needs the data sleeps on what the bio fills
// (a folio's queue). The kernel's loop asks deadline, and calls complete() when the clock has come there: the bytes move from the image to
// the ranges, and end.endBio(bio) marks what was read, which wakes the sleepers. What cannot sleep (metadata in the middle of a call) uses
// wait(bio): the clock goes forward to the end of the bio, with nothing else running.
export * from './image.ts';
export * from './bio.ts';
export * from './latency.ts';
export * from './device.ts';
export { rwbs } from './trace.ts';
