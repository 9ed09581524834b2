// System calls about descriptors that stand for processes. Here: making one, sending a signal through one. Not here: waitid on one (waitpid.ts).
// CLONE_PIDFD is clone's (proc/fork.ts). Left out: pidfd_getfd, descriptors that stand for one thread.
import { Open } from '../fs/file.ts';
import { PidFd, pidfdProcess } from '../fs/pidfd.ts';
import { processOfDirectory } from '../fs/procfs/task-dir.ts';
import type { Kernel } from '../kernel.ts';
import { givenInfo, SiCode, SIGINFO_BYTES } from '../proc/siginfo.ts';
import type { SigInfo } from '../proc/sigset.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { installFile } from './paths.ts';
import type { SyscallRow } from './row.ts';
import { signalGroup, signalProcess, signalTask } from './signal.ts';

/** Always closed on exec. PIDFD_THREAD, for a thread that leads no process, is refused. */
function pidfdOpen(k: Kernel, t: Task, [pidArg, flags]: readonly number[]): number {
  const pid = pidArg! | 0;
  if ((flags! & ~Open.NONBLOCK) !== 0 || pid <= 0) return -Errno.EINVAL;
  const process = k.processes.get(pid);
  if (process === undefined) return k.tasks.has(pid) ? -Errno.ENOENT : -Errno.ESRCH;
  return installFile(t, k.vfs.newAnonymous('pidfd', new PidFd(process), Open.RDWR | (flags! & Open.NONBLOCK)), true);
}

/** To whom: what the descriptor stands for, here always a whole program; its first thread alone; the program; its group. */
const Scope = { Default: 0, Thread: 1, ThreadGroup: 2, ProcessGroup: 4 } as const;
/** Through a pidfd, or through an open directory /proc/PID. With a siginfo of the sender's own, which may claim to be the kernel's only to itself. */
function pidfdSendSignal(k: Kernel, t: Task, [fd, signoArg, infoAt, scope]: readonly number[]): number {
  const signo = signoArg! | 0;
  if (scope !== Scope.Default && scope !== Scope.Thread && scope !== Scope.ThreadGroup && scope !== Scope.ProcessGroup) return -Errno.EINVAL;
  const file = t.files.get(fd! | 0);
  const process = pidfdProcess(file) ?? (file === null ? null : processOfDirectory(file));
  if (process === null) return -Errno.EBADF;
  let info: SigInfo | null = null;
  if (infoAt !== 0) {
    const bytes = new Uint8Array(SIGINFO_BYTES);
    if (!t.user.read(infoAt!, bytes)) return -Errno.EFAULT;
    if (new DataView(bytes.buffer).getInt32(0, true) !== signo) return -Errno.EINVAL;
    info = givenInfo(signo, bytes);
    if ((process !== t.process || scope === Scope.ProcessGroup) && (info.code >= 0 || info.code === SiCode.Tkill)) return -Errno.EPERM;
  }
  if (process.isReaped) return -Errno.ESRCH;
  if (scope === Scope.ProcessGroup) return signalGroup(k, t, process.tgid, signo, info);
  return scope === Scope.Thread ? signalTask(k, t, process.leader, signo, info) : signalProcess(k, t, process, signo, info);
}

export const pidfdSyscalls: readonly SyscallRow[] = [
  { nr: 424, name: 'pidfd_send_signal', args: 'fd sig ptr uint', run: pidfdSendSignal },
  { nr: 434, name: 'pidfd_open', args: 'pid uint', run: pidfdOpen },
];
