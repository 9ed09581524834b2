// Named pipes: how the two ends of a fifo find each other. Here: open, which waits for the other side. Not here: the bytes (pipe.ts).
// Mirrors fifo_open() (fs/pipe.c).
import type { MmSystem } from '../mm/system.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, Open } from './file.ts';
import type { Inode, Openable } from './inode.ts';
import { Pipe, PipeEnd, reads, writes } from './pipe.ts';

export class Fifo implements Openable {
  readonly pipe: Pipe;
  constructor(system: MmSystem) {
    this.pipe = new Pipe(system);
  }

  /**
   * A reader waits for a writer and a writer for a reader, unless O_NONBLOCK or O_RDWR. Whoever sleeps here is not counted yet: the other side
   * finds it on the queue, and it finds the other side by the count of opens, even if that has closed again before it runs.
   */
  open(_inode: Inode, flags: number, t: Task | null): FileOps | number {
    const { pipe } = this;
    const isBoth = reads(flags) && writes(flags);
    const othersNow = writes(flags) ? pipe.readers : pipe.writers;
    const otherOpens = writes(flags) ? pipe.readerOpens : pipe.writerOpens;
    const otherQueue = writes(flags) ? pipe.readQueue : pipe.writeQueue;
    const hasMet = isBoth || othersNow > 0 || !otherQueue.isEmpty || (t?.restart?.opens !== undefined && t.restart.opens !== otherOpens);
    if (!hasMet) {
      if ((flags & Open.NONBLOCK) !== 0) {
        if (writes(flags)) return -Errno.ENXIO;
      } else if (t === null) {
        return -Errno.ENXIO;
      } else {
        t.restart = { opens: otherOpens };
        t.sleepOn([writes(flags) ? pipe.writeQueue : pipe.readQueue]);
        return BLOCK;
      }
    }
    pipe.attach(flags);
    return new PipeEnd(pipe);
  }
}
