// /proc/PID/mem: a program's memory as a file, by address. Mirrors mem_rw() (fs/proc/base.c), 6.18: rights of mappings do not bind who may open it
// (proc_mem.force_override=always), but what could never be had is EIO.
import { accessRemoteVm } from '../../mm/remote.ts';
import type { Mm } from '../../mm/mm.ts';
import type { Task } from '../../proc/task.ts';
import { Errno } from '../../syscall/errno.ts';
import { type FileOps, type OpenFile, Seek } from '../file.ts';
import type { Inode, Openable } from '../inode.ts';
import type { IoBuffer } from '../io-buffer.ts';

const CHUNK_BYTES = 4096;
const nobody = { minFlt: 0, majFlt: 0 };

export function memOf(task: Task): Openable {
  return { open: (_inode: Inode) => (task.hasMm ? new MemFile(task.mm) : -Errno.ESRCH) };
}

class MemFile implements FileOps {
  readonly seekable = true;
  /** The address space at the time of open: an execve leaves it behind. */
  private readonly mm: Mm;
  constructor(mm: Mm) {
    this.mm = mm;
  }
  private get isGone(): boolean {
    return !this.mm.system.mms.includes(this.mm);
  }
  read(_file: OpenFile, io: IoBuffer, pos: number, t: Task | null): number {
    if (this.isGone) return 0;
    let done = 0;
    while (io.left > 0) {
      const bytes = new Uint8Array(Math.min(CHUNK_BYTES, io.left));
      const had = accessRemoteVm(this.mm, t ?? nobody, pos + done, bytes, false, true);
      if (had === 0) return done > 0 ? done : -Errno.EIO;
      if (io.put(bytes.subarray(0, had)) < had) return -Errno.EFAULT;
      done += had;
    }
    return done;
  }
  write(_file: OpenFile, io: IoBuffer, pos: number, t: Task | null): number {
    if (this.isGone) return 0;
    let done = 0;
    while (io.left > 0) {
      const asked = Math.min(CHUNK_BYTES, io.left);
      const bytes = io.take(asked);
      if (bytes.length < asked) return -Errno.EFAULT;
      const had = accessRemoteVm(this.mm, t ?? nobody, pos + done, bytes, true, true);
      done += had;
      if (had === 0) return done > 0 ? done : -Errno.EIO;
      if (had < asked) return done;
    }
    return done;
  }
  seek(file: OpenFile, offset: number, whence: number): number {
    const to = whence === Seek.Set ? offset : whence === Seek.Cur ? file.pos + offset : -1;
    return to < 0 ? -Errno.EINVAL : to;
  }
}
