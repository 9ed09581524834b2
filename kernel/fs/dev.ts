// Character devices: null, zero, full, random, and the terminal's nodes. Here: the table from device number to operations. Not here: the
// terminal itself (console.ts). Mirrors drivers/char/mem.c and random.c.
import type { Prng } from '#base';
import type { FileMapping } from '../mm/filemap.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from '../syscall/errno.ts';
import { type FileOps, MAX_RW_COUNT, type OpenFile } from './file.ts';
import { deviceNumber, FileType, type Inode, type Openable } from './inode.ts';
import type { IoBuffer } from './io-buffer.ts';
import type { KernelView } from './view.ts';

/** A device's node in /dev: name, number, permission bits. */
export const deviceNodes = [
  { name: 'null', major: 1, minor: 3, mode: 0o666 },
  { name: 'zero', major: 1, minor: 5, mode: 0o666 },
  { name: 'full', major: 1, minor: 7, mode: 0o666 },
  { name: 'random', major: 1, minor: 8, mode: 0o666 },
  { name: 'urandom', major: 1, minor: 9, mode: 0o666 },
  { name: 'tty', major: 5, minor: 0, mode: 0o666 },
  { name: 'console', major: 5, minor: 1, mode: 0o600 },
  { name: 'ttyS0', major: 4, minor: 64, mode: 0o600 },
] as const;

/** What opens when a device file is opened: found by its number, wherever the file stands. */
export class DeviceNode implements Openable {
  private readonly view: KernelView;
  constructor(view: KernelView) {
    this.view = view;
  }
  open(inode: Inode, _flags: number, t: Task | null): FileOps | number {
    if (inode.type !== FileType.Char) return -Errno.ENXIO;
    switch (inode.rdev) {
      case deviceNumber(1, 3): return nullDevice;
      case deviceNumber(1, 5): return new ZeroDevice(false);
      case deviceNumber(1, 7): return new ZeroDevice(true);
      case deviceNumber(1, 8):
      case deviceNumber(1, 9): return new RandomDevice(this.view.random);
      case deviceNumber(5, 0): return t !== null && this.view.host.console.isControllingTty ? this.view.host.console.terminal() : -Errno.ENXIO;
      case deviceNumber(5, 1):
      case deviceNumber(4, 64): return this.view.host.console.terminal();
      default: return -Errno.ENXIO;
    }
  }
}

/** Reads nothing, swallows everything. */
const nullDevice: FileOps = {
  seekable: false,
  read: () => 0,
  write: (_file, io) => swallow(io),
  seek: () => 0,
};

/** Takes all of a buffer without looking at it: a bad address is not noticed, as with Linux's write_null(). */
function swallow(io: IoBuffer): number {
  const n = io.left;
  io.skip(n);
  return n;
}

/** /dev/zero, and /dev/full, which has no room. A private mapping of /dev/zero is anonymous memory by another name. */
class ZeroDevice implements FileOps {
  readonly seekable = false;
  private readonly isFull: boolean;
  constructor(isFull: boolean) {
    this.isFull = isFull;
  }
  read(_file: OpenFile, io: IoBuffer): number {
    const n = io.putZeros(Math.min(io.left, MAX_RW_COUNT));
    return n === 0 && io.faulted ? -Errno.EFAULT : n;
  }
  write(_file: OpenFile, io: IoBuffer): number {
    return this.isFull ? -Errno.ENOSPC : swallow(io);
  }
  seek(): number {
    return 0;
  }
  /** Null: anonymous memory, which is what a mapping of zeros is (mmap_zero, shmem_zero_setup). */
  mapping(): FileMapping | null | number {
    return this.isFull ? -Errno.ENODEV : null;
  }
}

/** /dev/random and /dev/urandom: the machine's seeded generator; what is written is accepted and changes nothing. */
class RandomDevice implements FileOps {
  readonly seekable = false;
  private readonly random: Prng;
  constructor(random: Prng) {
    this.random = random;
  }
  read(_file: OpenFile, io: IoBuffer): number {
    let done = 0;
    while (io.left > 0) {
      const bytes = randomBytes(this.random, Math.min(io.left, 256));
      const moved = io.put(bytes);
      done += moved;
      if (moved < bytes.length) break;
    }
    return done === 0 && io.faulted ? -Errno.EFAULT : done;
  }
  write(_file: OpenFile, io: IoBuffer): number {
    return swallow(io);
  }
  seek(): number {
    return 0;
  }
  ioctl(_file: OpenFile, t: Task, command: number, arg: number): number {
    if (command !== 0x8004_5200) return -Errno.EINVAL; // RNDGETENTCNT
    return t.user.setU32(arg, 256) ? 0 : -Errno.EFAULT;
  }
}

/** The next bytes of a generator, four to a draw. */
export function randomBytes(random: Prng, nrBytes: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(nrBytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = random.next32();
  return new Uint8Array(words.buffer).subarray(0, nrBytes);
}
