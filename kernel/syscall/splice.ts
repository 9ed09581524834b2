// vmsplice and tee: pages into pipes without copying. Here: arguments, waiting for room, holding the program's pages. Not here: the ring (fs/pipe.ts),
// splice(2), which is not there yet. Mirrors fs/splice.c, 6.18.
//
// A spliced page is referenced, not pinned and not copied: what the program writes later into its page is what the reader sees, until a copy on
// write gives the program another page.
import type { Pfn } from '#base';
import { Open, type OpenFile } from '../fs/file.ts';
import { IoBuffer, type IoVec } from '../fs/io-buffer.ts';
import { type Pipe, PipeEnd } from '../fs/pipe.ts';
import type { Kernel } from '../kernel.ts';
import { remotePage } from '../mm/remote.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { iovecs } from './io.ts';
import { breakPipe, fileAt } from './paths.ts';
import type { SyscallRow } from './row.ts';

const SpliceFlag = { Move: 1, NonBlock: 2, More: 4, Gift: 8 } as const;
const KNOWN_FLAGS = 15;
const PAGE_BYTES = 4096;
/** Pages that are faulted in before the first of them goes into the pipe. */
const BATCH = 16;

const pipeOf = ({ ops }: OpenFile): Pipe | null => (ops instanceof PipeEnd ? ops.pipe : null);

function vmsplice(k: Kernel, t: Task, [fd, at, count, flags]: readonly number[]): number {
  if ((flags! & ~KNOWN_FLAGS) !== 0) return -Errno.EINVAL;
  const file = fileAt(t, fd!);
  if (file === null || (!file.canWrite && !file.canRead)) return -Errno.EBADF;
  const pieces = iovecs(t, at!, count!);
  if (typeof pieces === 'number') return pieces;
  if (pieces.length === 0) return 0;
  const pipe = pipeOf(file);
  if (pipe === null) return -Errno.EBADF;
  const waits = (flags! & SpliceFlag.NonBlock) === 0;
  if (!file.canWrite) {
    const n = file.readAt(t, IoBuffer.user(t.user, pieces), 0);
    return n === -Errno.EAGAIN && waits ? sleepOn(t, file) : n;
  }
  if (pipe.readers > 0 && pipe.pages.isFull) return waits ? sleepOn(t, file) : -Errno.EAGAIN;
  const n = pagesToPipe(t, pipe, pieces);
  if (n === -Errno.EPIPE) breakPipe(k, t);
  if (n > 0) pipe.readQueue.wake();
  return n;
}
function sleepOn(t: Task, file: OpenFile): number {
  t.sleepOn(file.waitQueues());
  return BLOCK;
}

/** iter_to_pipe() */
function pagesToPipe(t: Task, pipe: Pipe, pieces: readonly IoVec[]): number {
  if (pipe.readers === 0) return -Errno.EPIPE;
  let done = 0;
  for (const { base, len } of pieces) {
    for (let at = base; at < base + len; ) {
      const pages = firstPages(t, at, base + len);
      if (pages.length === 0) return done > 0 ? done : -Errno.EFAULT;
      for (const pfn of pages) {
        if (pipe.pages.isFull) return done;
        const nr = Math.min(PAGE_BYTES - (at % PAGE_BYTES), base + len - at);
        pipe.pages.link(pfn, at % PAGE_BYTES, nr);
        done += nr;
        at += nr;
      }
    }
  }
  return done;
}
/** Up to BATCH frames behind [at, end), as far as they can be had for reading. */
function firstPages(t: Task, at: number, end: number): Pfn[] {
  const found: Pfn[] = [];
  for (let va = at; va < end && found.length < BATCH; va += PAGE_BYTES - (va % PAGE_BYTES)) {
    const pfn = remotePage(t.mm, t, va, false, false);
    if (pfn === 0) break;
    found.push(pfn);
  }
  return found;
}

/** Copies what is in one pipe to another by holding its pages twice. Mirrors do_tee() and link_pipe(). */
function tee(k: Kernel, t: Task, [inFd, outFd, len, flags]: readonly number[]): number {
  if ((flags! & ~KNOWN_FLAGS) !== 0) return -Errno.EINVAL;
  if (len === 0) return 0;
  const [from, to] = [fileAt(t, inFd!), fileAt(t, outFd!)];
  if (from === null || to === null || !from.canRead || !to.canWrite) return -Errno.EBADF;
  const [source, target] = [pipeOf(from), pipeOf(to)];
  if (source === null || target === null || source === target) return -Errno.EINVAL;
  const waits = (flags! & SpliceFlag.NonBlock) === 0 && ((from.flags | to.flags) & Open.NONBLOCK) === 0;
  if (source.pages.isEmpty) {
    if (source.writers === 0) return 0;
    return waits ? sleepOn(t, from) : -Errno.EAGAIN;
  }
  if (target.readers === 0) {
    breakPipe(k, t);
    return -Errno.EPIPE;
  }
  if (target.pages.isFull) return waits ? sleepOn(t, to) : -Errno.EAGAIN;
  const n = target.pages.linkFrom(source.pages, len! < 0 ? Infinity : len!);
  target.readQueue.wake();
  return n;
}

export const spliceSyscalls: readonly SyscallRow[] = [
  { nr: 75, name: 'vmsplice', args: 'fd iovec ulong hex', run: vmsplice },
  { nr: 77, name: 'tee', args: 'fd fd size hex', run: tee },
];
