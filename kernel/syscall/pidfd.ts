// System calls about descriptors that stand for processes. Here: making one, sending a signal through one. Not here: waitid on one (waitpid.ts).
// Left out: pidfd_getfd, CLONE_PIDFD, signals with a siginfo of the sender's.
import { Open } from '../fs/file.ts';
import { PidFd, pidfdProcess } from '../fs/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { installFile } from './paths.ts';
import type { SyscallRow } from './row.ts';
import { signalProcess } from './signal.ts';

/** Always closed on exec. PIDFD_THREAD, for a thread that leads no process, is refused. */
function pidfdOpen(k: Kernel, t: Task, [pidArg, flags]: readonly number[]): number {
  const pid = pidArg! | 0;
  if ((flags! & ~Open.NONBLOCK) !== 0 || pid <= 0) return -Errno.EINVAL;
  const process = k.processes.get(pid);
  if (process === undefined) return k.tasks.has(pid) ? -Errno.ENOENT : -Errno.ESRCH;
  return installFile(t, k.vfs.newAnonymous('pidfd', new PidFd(process), Open.RDWR | (flags! & Open.NONBLOCK)), true);
}

function pidfdSendSignal(k: Kernel, t: Task, [fd, signo, info, flags]: readonly number[]): number {
  if (flags !== 0) return -Errno.EINVAL;
  const file = t.files.get(fd! | 0);
  const process = pidfdProcess(file);
  if (process === null) return -Errno.EBADF;
  if (info !== 0) return -Errno.EINVAL;
  return process.isReaped ? -Errno.ESRCH : signalProcess(k, t, process, signo! | 0);
}

export const pidfdSyscalls: readonly SyscallRow[] = [
  { nr: 424, name: 'pidfd_send_signal', args: 'fd sig ptr uint', run: pidfdSendSignal },
  { nr: 434, name: 'pidfd_open', args: 'pid uint', run: pidfdOpen },
];
