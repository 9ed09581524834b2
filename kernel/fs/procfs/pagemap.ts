// /proc/PID/pagemap: a word of 64 bits for each page of an address space; /proc/kpagecount and kpageflags: one for each frame of RAM. Here: the
// files. Not here: the words (mm/inspect.ts). Mirrors fs/proc/task_mmu.c and page.c: offsets and counts are multiples of 8.
import { asPfn } from '#base';
import { kpagecountWord, kpageflagsWord, pagemapWord } from '../../mm/inspect.ts';
import type { Task } from '../../proc/task.ts';
import { Errno } from '../../syscall/errno.ts';
import { type FileOps, type OpenFile, Seek } from '../file.ts';
import type { Openable } from '../inode.ts';
import type { IoBuffer } from '../io-buffer.ts';
import type { KernelView } from '../view.ts';
import { PAGEMAP_SCAN, pagemapScan } from './pagemap-scan.ts';

const WORD_BYTES = 8;
/** Words told at a time. */
const CHUNK_WORDS = 512;

/** Where the words come from. */
interface Words {
  /** How many there are. */
  count(): number;
  /** @returns a number where all of them fit into one */
  word(index: number, t: Task | null): bigint | number;
}

type Ioctl = (t: Task, command: number, arg: number) => number;

/** A file of words that are told one by one. */
class WordFile implements Openable, FileOps {
  readonly seekable = true;
  private readonly words: Words;
  private readonly command: Ioctl | null;
  constructor(words: Words, command: Ioctl | null = null) {
    this.words = words;
    this.command = command;
  }
  open(): FileOps {
    return this;
  }
  read(_file: OpenFile, io: IoBuffer, pos: number, t: Task | null): number {
    if (pos % WORD_BYTES !== 0 || io.left % WORD_BYTES !== 0) return -Errno.EINVAL;
    const count = this.words.count();
    let index = pos / WORD_BYTES;
    let done = 0;
    while (io.left >= WORD_BYTES && index < count && !io.faulted) {
      const nr = Math.min(CHUNK_WORDS, io.left / WORD_BYTES, count - index);
      const words = new BigUint64Array(nr);
      const halves = new Uint32Array(words.buffer);
      for (let i = 0; i < nr; i++) {
        const word = this.words.word(index + i, t);
        if (typeof word === 'bigint') words[i] = word;
        else {
          halves[2 * i] = word >>> 0;
          halves[2 * i + 1] = word / 2 ** 32;
        }
      }
      done += io.put(new Uint8Array(words.buffer));
      index += nr;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }
  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    return this.command?.(t, command, arg) ?? -Errno.ENOTTY;
  }
  seek(file: OpenFile, offset: number, whence: number): number {
    const to = whence === Seek.Set ? offset : whence === Seek.Cur ? file.pos + offset : -1;
    return to < 0 ? -Errno.EINVAL : to;
  }
}

/** Bits 0 to 54: the frame; shown to root alone. */
const PFN_BITS = (1n << 55n) - 1n;

/** /proc/PID/pagemap. */
export function pagemapOf(task: Task, view: KernelView): Openable {
  const isThere = (): boolean => view.tasks.get(task.tid) === task && task.hasMm;
  return new WordFile({
    count: () => (isThere() ? task.mm.taskSize / 4096 : 0),
    word(index, t) {
      const word = pagemapWord(task.mm, index * 4096);
      const isRoot = t === null || t.credentials.euid === 0;
      return isRoot ? word : word & ~PFN_BITS;
    },
  }, (t, command, arg) => (command === PAGEMAP_SCAN ? pagemapScan(isThere() ? task.mm : null, t, arg) : -Errno.ENOTTY));
}

/** KPF_NOPAGE: no frame has this number. */
const NOPAGE = 2 ** 20;

/** /proc/kpagecount and /proc/kpageflags, by frame number; RAM begins at 0x80000. */
export function framesFile(view: KernelView, tells: 'count' | 'flags'): Openable {
  const { system } = view;
  const { firstPfn, nrFrames } = system.machine.ram;
  return new WordFile({
    count: () => firstPfn + nrFrames,
    word(index) {
      if (index < firstPfn) return tells === 'count' ? 0 : NOPAGE;
      return tells === 'count' ? kpagecountWord(system, asPfn(index)) : kpageflagsWord(system, asPfn(index));
    },
  });
}
