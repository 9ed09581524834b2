// Making files safe: fsync and its family. Here: the steps, each of which a call may sleep in and begin again after. Not here: what is written of
// an inode (its format), which calls there are (syscall/sync.ts). Mirrors ext4_sync_file(), sync_file_range() and ksys_sync() (fs/sync.c).
//
//   1  everything dirty of the range begins to be written
//   2  until all of it has arrived (with what is put off until then: unwritten extents become written)
//   3  the inode, and what leads to it, are written; nothing else runs meanwhile
//   4  the disk's cache is flushed
import type { Folio } from '#base';
import { Bio, BioOp } from '../block/bio.ts';
import type { BioEnd } from '../block/bio.ts';
import type { BlockDevice } from '../block/device.ts';
import type { AddressSpace } from '../mm/filemap.ts';
import { FolioFlag } from '../mm/folio.ts';
import { Mark } from '../mm/xarray.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK, WaitQueue } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { Interrupted } from '../syscall/row.ts';

/** Flushes of one disk, so that tasks can wait for theirs. */
export class DiskFlushes implements BioEnd {
  private readonly device: BlockDevice;
  private readonly queue = new WaitQueue();
  private issued = 0;
  private ended = 0;
  /** Those that failed, and whose task has not asked yet. */
  private readonly failed = new Set<number>();

  constructor(device: BlockDevice) {
    this.device = device;
  }
  /** @returns the flush's number */
  start(): number {
    const ticket = ++this.issued;
    this.device.submit(new Bio(BioOp.Flush, 0, [], this, { isSync: true }));
    return ticket;
  }
  /** They end in the order in which they began. */
  endBio({ error }: Bio): void {
    this.ended++;
    if (error !== 0) this.failed.add(this.ended);
    this.queue.wake();
  }
  /** 0 or -EIO once a flush has ended, else BLOCK, with `t` asleep. */
  wait(t: Task, ticket: number): number {
    if (this.ended < ticket) {
      sleepOnDisk(t, this.queue);
      return BLOCK;
    }
    return this.failed.delete(ticket) ? -Errno.EIO : 0;
  }
  /** The same with nothing else running. */
  now(): number {
    const bio = new Bio(BioOp.Flush, 0, [], null, { isSync: true });
    this.device.submit(bio);
    return this.device.wait(bio);
  }
}

/** Only a deadly signal ends a sleep on a disk (TASK_KILLABLE). */
export function sleepOnDisk(t: Task, queue: WaitQueue | null, deadline: number | null = null): void {
  t.interrupted = Interrupted.Never;
  t.sleepOn(queue === null ? [] : [queue], deadline);
}

/** Begins to write what is dirty of [start, end), in pages. @returns 0 or -errno */
export function startWriting(space: AddressSpace, start: number, end: number, isIntegrity = true): number {
  return space.ops?.writepages({ start, end, isIntegrity, isCyclic: false, nrToWrite: Infinity }) ?? 0;
}
/** The first folio of [start, end) that is on its way to the disk; 0: none. */
export const writebackIn = (space: AddressSpace, start: number, end: number): Folio | 0 => space.nextFolio(start, end, Mark.Writeback);

/** Waits until nothing of the ranges is on its way. @returns 0, or BLOCK with `t` asleep; null for `t`: waits with nothing else running */
export function waitWritten(t: Task | null, ranges: readonly { readonly space: AddressSpace; readonly start: number; readonly end: number }[]): number {
  for (const { space, start, end } of ranges) {
    const { waits } = space.system;
    if (t !== null) waits.runDeferred();
    for (let folio = writebackIn(space, start, end); folio !== 0; folio = writebackIn(space, start, end)) {
      if (t === null) waits.waitNow(folio, FolioFlag.Writeback);
      else {
        sleepOnDisk(t, waits.queueOf(folio));
        return BLOCK;
      }
    }
  }
  return 0;
}
