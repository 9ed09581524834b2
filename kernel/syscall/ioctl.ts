// ioctl: the commands that mean the same on every file; the rest is the file's own. Mirrors do_vfs_ioctl() (fs/ioctl.c).
import { Open, sizeOf } from '../fs/file.ts';
import { regularOf } from '../fs/regular.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { fileAt } from './paths.ts';
import type { SyscallRow } from './row.ts';

const Command = {
  FIGETBSZ: 2, FIONREAD: 0x541b, FIONBIO: 0x5421, FIOCLEX: 0x5451, FIONCLEX: 0x5450, FIOASYNC: 0x5452, FICLONE: 0x4004_9409,
} as const;

function ioctl(_k: Kernel, t: Task, [fd, commandArg, arg]: readonly number[]): number {
  const file = fileAt(t, fd!);
  if (file === null) return -Errno.EBADF;
  const command = commandArg! >>> 0;
  const give = (n: number): number => (t.user.setU32(arg!, n) ? 0 : -Errno.EFAULT);
  const flag = (bit: number): number => {
    const on = t.user.i32(arg!);
    if (on === null) return -Errno.EFAULT;
    file.flags = on !== 0 ? file.flags | bit : file.flags & ~bit;
    return 0;
  };
  switch (command) {
    case Command.FIOCLEX:
    case Command.FIONCLEX:
      t.files.setCloseOnExec(fd! | 0, command === Command.FIOCLEX);
      return 0;
    case Command.FIONBIO:
      return flag(Open.NONBLOCK);
    case Command.FIOASYNC:
      return -Errno.ENOTTY; // no file here sends SIGIO
    case Command.FIGETBSZ:
      return give(4096);
    case Command.FIONREAD:
      if (regularOf(file.inode) !== null) return give(Math.max(0, sizeOf(file.inode) - file.pos));
      break;
    case Command.FICLONE:
      return regularOf(file.inode) !== null ? -Errno.EOPNOTSUPP : -Errno.EINVAL;
  }
  return file.ops.ioctl?.(file, t, command, arg!) ?? -Errno.ENOTTY;
}

export const ioctlSyscalls: readonly SyscallRow[] = [{ nr: 29, name: 'ioctl', args: 'fd ioctl hex', run: ioctl }];
