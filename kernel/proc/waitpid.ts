// wait4(2) and waitid(2): learning that a child has ended, stopped or gone on. Mirrors do_wait() and wait_consider_task() (kernel/exit.c).
import { Open } from '../fs/file.ts';
import { pidfdProcess } from '../fs/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import { Errno } from '../syscall/errno.ts';
import { reap, statusCode, statusSignal } from './exit.ts';
import type { Process } from './process.ts';
import { ChildCode, childInfo } from './siginfo.ts';
import { Signal } from './sigset.ts';
import type { Task } from './task.ts';
import { writeUsage } from './usage.ts';
import { BLOCK } from './wait.ts';

const W = { NoHang: 1, Stopped: 2, Exited: 4, Continued: 8, NoWait: 0x0100_0000, NoThread: 0x2000_0000, All: 0x4000_0000, Clone: 0x8000_0000 } as const;

interface Wanted { matches(p: Process): boolean; options: number }
/** What wait() found: a child and what became of it, as siginfo's code and status. */
interface News { child: Process; code: number; status: number; word: number }

/** @returns news, null (there are children, but no news), or -ECHILD */
function look(t: Task, { matches, options }: Wanted): News | null | number {
  let hasChild = false;
  for (const child of t.process.children) {
    if (!matches(child)) continue;
    const isClone = child.exitSignal !== Signal.CHLD;
    if ((options & W.All) === 0 && isClone !== ((options & W.Clone) !== 0)) continue;
    hasChild = true;
    if (child.isZombie) {
      if ((options & W.Exited) === 0) continue;
      const word = child.exitStatus;
      const killer = statusSignal(word);
      return { child, code: killer === 0 ? ChildCode.Exited : ChildCode.Killed, status: killer === 0 ? statusCode(word) : killer, word };
    }
    if (child.unreported === 'stopped' && (options & W.Stopped) !== 0) {
      return { child, code: ChildCode.Stopped, status: child.reportedSignal, word: (child.reportedSignal << 8) | 0x7f };
    }
    if (child.unreported === 'continued' && (options & W.Continued) !== 0) {
      return { child, code: ChildCode.Continued, status: Signal.CONT, word: 0xffff };
    }
  }
  return hasChild ? null : -Errno.ECHILD;
}

function take(k: Kernel, news: News, options: number): void {
  if ((options & W.NoWait) !== 0) return;
  if (news.child.isZombie) reap(k, news.child);
  else news.child.unreported = null;
}

export function wait4(k: Kernel, t: Task, [pidArg, statusAt, optionsArg, usageAt]: readonly number[]): number {
  const pid = pidArg! | 0;
  const options = optionsArg! >>> 0;
  if ((options & ~(W.NoHang | W.Stopped | W.Continued | W.NoThread | W.All | W.Clone)) !== 0) return -Errno.EINVAL;
  if (pid === -0x8000_0000) return -Errno.ESRCH;
  const group = pid === 0 ? t.process.pgid : -pid;
  const matches = (p: Process): boolean => (pid > 0 ? p.tgid === pid : pid === -1 || p.pgid === group);
  const news = look(t, { matches, options: options | W.Exited });
  if (typeof news === 'number') return news;
  if (news === null) return sleep(t, options);
  const { tgid } = news.child;
  if (usageAt !== 0 && !writeUsage(t, usageAt!, news.child)) return -Errno.EFAULT;
  take(k, news, options);
  if (statusAt !== 0 && !t.user.setU32(statusAt!, news.word)) return -Errno.EFAULT;
  return tgid;
}

const IdType = { All: 0, Pid: 1, Group: 2, PidFd: 3 } as const;
export function waitid(k: Kernel, t: Task, [idType, idArg, infoAt, optionsArg, usageAt]: readonly number[]): number {
  const id = idArg! | 0;
  const options = optionsArg! >>> 0;
  if ((options & ~(W.NoHang | W.NoWait | W.Exited | W.Stopped | W.Continued | W.NoThread | W.All | W.Clone)) !== 0) return -Errno.EINVAL;
  if ((options & (W.Exited | W.Stopped | W.Continued)) === 0) return -Errno.EINVAL;
  if (idType !== IdType.All && idType !== IdType.Pid && idType !== IdType.Group && idType !== IdType.PidFd) return -Errno.EINVAL;
  if (idType === IdType.Pid && id <= 0) return -Errno.EINVAL;
  if (idType === IdType.Group && id < 0) return -Errno.EINVAL;
  const file = idType === IdType.PidFd ? t.files.get(id) : null;
  const named = pidfdProcess(file);
  if (idType === IdType.PidFd && named === null) return -Errno.EBADF;
  const group = id === 0 ? t.process.pgid : id;
  const matches = (p: Process): boolean => idType === IdType.All || (named !== null ? p === named : idType === IdType.Pid ? p.tgid === id : p.pgid === group);
  const news = look(t, { matches, options });
  if (typeof news === 'number') return news;
  if (news === null) {
    // A pidfd that does not block says so (pidfd_wait's EAGAIN).
    if (file !== null && (file.flags & Open.NONBLOCK) !== 0 && (options & W.NoHang) === 0) return -Errno.EAGAIN;
    if ((options & W.NoHang) === 0) return sleep(t, options);
    return infoAt === 0 || t.user.write(infoAt!, new Uint8Array(28)) ? 0 : -Errno.EFAULT;
  }
  const { child, code, status } = news;
  const info = childInfo(Signal.CHLD, code, child.tgid, child.leader.credentials.uid, status, 0, 0);
  if (usageAt !== 0 && !writeUsage(t, usageAt!, child)) return -Errno.EFAULT;
  take(k, news, options);
  return infoAt === 0 || t.user.write(infoAt!, info.bytes.subarray(0, 28)) ? 0 : -Errno.EFAULT;
}

function sleep(t: Task, options: number): number {
  if ((options & W.NoHang) !== 0) return 0;
  t.sleepOn([t.process.childQueue]);
  return BLOCK;
}
