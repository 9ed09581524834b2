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
   * A reader waits for a writer and a writer for a reader, unless O_NONBLOCK or O_RDWR. Whoever waits counts as open already; it learns that the
   * other side came from the count of opens, even if that side has closed again before it runs.
   */
  open(_inode: Inode, flags: number, t: Task | null): FileOps | number {
    const { pipe } = this;
    const isWriter = writes(flags);
    const isBoth = reads(flags) && isWriter;
    const hasWaited = t !== null && pipe.removeOpener(t);
    const others = isWriter ? pipe.readers : pipe.writers;
    const otherOpens = isWriter ? pipe.readerOpens : pipe.writerOpens;
    const hasMet = isBoth || others > 0 || (hasWaited && t.restart?.opens !== otherOpens);
    if (!hasMet && (flags & Open.NONBLOCK) !== 0 && isWriter) return -Errno.ENXIO;
    if (!hasMet && (flags & Open.NONBLOCK) === 0) {
      if (t === null) return -Errno.ENXIO; // the machine itself does not wait
      t.restart = { opens: otherOpens };
      if (!t.signalPending) pipe.addOpener(t, flags);
      t.sleepOn([isWriter ? pipe.writeQueue : pipe.readQueue]);
      return BLOCK;
    }
    pipe.attach(flags);
    if (!hasWaited) pipe.count(flags);
    return new PipeEnd(pipe);
  }
}
