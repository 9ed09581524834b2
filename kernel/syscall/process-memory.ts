// System calls on other programs' memory, by pidfd or pid: process_madvise, process_vm_readv and _writev. Here: whose memory, and who may.
// Not here: what advice does (mm/madvise.ts), how pages are had (mm/remote.ts). Mirrors mm/madvise.c, mm/process_vm_access.c, 6.18.
import { MAX_RW_COUNT } from '../fs/file.ts';
import { IoBuffer, type IoVec } from '../fs/io-buffer.ts';
import { pidfdProcess } from '../fs/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import { Madvise } from '../mm/madvise.ts';
import type { Mm } from '../mm/mm.ts';
import { accessRemoteVm } from '../mm/remote.ts';
import { isPrivileged } from '../proc/credentials.ts';
import type { Process } from '../proc/process.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import { MAX_IOVS, iovecs, vector } from './io.ts';
import { adviseMm } from './memory.ts';
import type { SyscallRow } from './row.ts';

/** PIDFD_SELF_THREAD and PIDFD_SELF_THREAD_GROUP (6.14): the caller without a descriptor. */
const PIDFD_SELF = [-10_000, -10_001] as const;
/** What one program may advise of another's memory: process_madvise_remote_valid(). */
const remoteAdvice: readonly number[] = [Madvise.Cold, Madvise.PageOut, Madvise.WillNeed, Madvise.Collapse];

/** May `t` look into the program's memory? __ptrace_may_access(), as far as ids go; -errno if not. */
export function mmAccess(t: Task, task: Task | undefined): Mm | number {
  if (task === undefined || !task.hasMm) return -Errno.ESRCH;
  const [mine, theirs] = [t.credentials, task.credentials];
  const isSame = mine.fsuid === theirs.uid && mine.fsuid === theirs.euid && mine.fsuid === theirs.suid && mine.fsgid === theirs.gid && mine.fsgid === theirs.egid && mine.fsgid === theirs.sgid;
  const mayLook = task.process === t.process || isPrivileged(mine) || (isSame && task.process.dumpable === 1);
  return mayLook ? task.mm : -Errno.EPERM;
}
/** The thread through which a program's memory is reached: any that still has it. */
const anyThread = (process: Process): Task | undefined => process.threads.find((thread) => thread.hasMm);

function processMadvise(_k: Kernel, t: Task, [fd, at, count, adviceArg, flags]: readonly number[]): number {
  if (flags !== 0) return -Errno.EINVAL;
  const pieces = iovecs(t, at!, count!);
  if (typeof pieces === 'number') return pieces;
  const isSelf = PIDFD_SELF.includes((fd! | 0) as never);
  const process = isSelf ? t.process : pidfdProcess(t.files.get(fd! | 0));
  if (process === null) return -Errno.EBADF;
  const mm = isSelf ? t.mm : mmAccess(t, anyThread(process));
  if (typeof mm === 'number') return mm;
  const advice = adviceArg! | 0;
  if (mm !== t.mm && !remoteAdvice.includes(advice)) return -Errno.EINVAL;
  if (mm !== t.mm && !isPrivileged(t.credentials)) return -Errno.EPERM;
  let done = 0;
  for (const { base, len } of pieces) {
    const failed = adviseMm(mm, base, len, advice);
    if (failed !== 0) return done > 0 ? done : failed;
    done += len;
  }
  return done;
}

/** Bytes that are moved at a time. */
const CHUNK_BYTES = 65536;
function processVm(k: Kernel, t: Task, [pid, localAt, localCount, remoteAt, remoteCount, flags]: readonly number[], write: boolean): number {
  if (flags !== 0) return -Errno.EINVAL;
  const local = vector(t, localAt!, localCount!);
  if (typeof local === 'number') return local;
  if (local.left === 0) return 0;
  const remote = remoteVector(t, remoteAt!, remoteCount!);
  if (typeof remote === 'number') return remote;
  const task = k.tasks.get(pid! | 0);
  const mm = mmAccess(t, task);
  if (typeof mm === 'number') return mm;
  let done = 0;
  for (const { base, len } of remote) {
    for (let at = 0; at < len && local.left > 0; ) {
      const nr = Math.min(len - at, local.left, CHUNK_BYTES);
      const moved = write ? accessRemoteVm(mm, t, base + at, local.take(nr), true, false) : putRemote(mm, t, base + at, nr, local);
      done += moved;
      at += moved;
      if (moved < nr) return done > 0 ? done : -Errno.EFAULT;
    }
  }
  return done;
}
function putRemote(mm: Mm, t: Task, va: number, lenBytes: number, local: IoBuffer): number {
  const bytes = new Uint8Array(lenBytes);
  const had = accessRemoteVm(mm, t, va, bytes, false, false);
  return local.put(bytes.subarray(0, had));
}
/** Like import_iovec(), but the addresses are another program's: iovec_from_user(). */
function remoteVector(t: Task, at: number, count: number): IoVec[] | number {
  const nr = count | 0;
  if (nr < 0 || nr > MAX_IOVS) return -Errno.EINVAL;
  const pieces: IoVec[] = [];
  for (let i = 0; i < nr; i++) {
    const base = t.user.word(at + 16 * i);
    const len = t.user.word(at + 16 * i + 8);
    if (base === null || len === null) return -Errno.EFAULT;
    if (len < 0) return -Errno.EINVAL;
    if (len > 0) pieces.push({ base, len: Math.min(len, MAX_RW_COUNT) });
  }
  return pieces;
}

export const processMemorySyscalls: readonly SyscallRow[] = [
  { nr: 270, name: 'process_vm_readv', args: 'pid iovec ulong iovec ulong hex', run: (k, t, a) => processVm(k, t, a, false) },
  { nr: 271, name: 'process_vm_writev', args: 'pid iovec ulong iovec ulong hex', run: (k, t, a) => processVm(k, t, a, true) },
  { nr: 440, name: 'process_madvise', args: 'fd ptr ulong madvice hex', run: processMadvise },
];
