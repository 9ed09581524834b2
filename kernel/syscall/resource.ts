// System calls about what programs may use, have used, and how they are scheduled.
import type { Kernel } from '../kernel.ts';
import { isPrivileged } from '../proc/credentials.ts';
import { processesInGroup } from '../proc/groups.ts';
import { applyLimits, type Limit, NR_RLIMITS, Rlimit } from '../proc/rlimit.ts';
import type { Task } from '../proc/task.ts';
import { processUsage, taskUsage, type Usage, usageBytes } from '../proc/usage.ts';
import { Errno } from './errno.ts';
import type { SyscallRow } from './row.ts';
import { writeTimespec } from './timespec.ts';

// --- Limits ---

const U64 = 2n ** 64n - 1n;
const toWord = (n: number): bigint => (n === Number.POSITIVE_INFINITY ? U64 : BigInt(n));
/** Limits from 2^63 up mean none, as Linux's RLIM_INFINITY; between 2^53 and there they stay what doubles make of them. */
const fromWord = (w: bigint): number => (w >= 2n ** 63n ? Number.POSITIVE_INFINITY : Number(w));

function prlimit(k: Kernel, t: Task, pid: number, which: number, newAt: number, oldAt: number): number {
  if (which < 0 || which >= NR_RLIMITS) return -Errno.EINVAL;
  let wanted: Limit | null = null;
  if (newAt !== 0) {
    const cur = t.user.u64(newAt);
    const max = t.user.u64(newAt + 8);
    if (cur === null || max === null) return -Errno.EFAULT;
    wanted = { cur: fromWord(cur), max: fromWord(max) };
    if (wanted.cur > wanted.max) return -Errno.EINVAL;
  }
  const of = pid === 0 ? t : k.tasks.get(pid);
  if (of === undefined) return -Errno.ESRCH;
  const p = of.process;
  const old = { ...p.limits[which]! };
  if (wanted !== null) {
    if (wanted.max > old.max && !isPrivileged(t.credentials)) return -Errno.EPERM;
    if (which === Rlimit.Nofile && wanted.max > MAX_OPEN_FILES) return -Errno.EPERM;
    p.limits[which] = wanted;
    for (const thread of p.threads) if (thread.hasMm) applyLimits(thread.mm, p.limits, thread.credentials);
    if (k.hasCpuLimit(p)) k.armed.add(p);
  }
  if (oldAt === 0) return 0;
  return t.user.setU64(oldAt, toWord(old.cur)) && t.user.setU64(oldAt + 8, toWord(old.max)) ? 0 : -Errno.EFAULT;
}
/** fs.nr_open */
const MAX_OPEN_FILES = 1048576;

// --- Usage ---

function getrusage(k: Kernel, t: Task, [who, at]: readonly number[]): number {
  k.accountTime(t);
  const p = t.process;
  const { childUsage } = p;
  const usage: Usage | null = who === 0 ? processUsage(p) : who === 1 ? taskUsage(t) : who === -1 ? { ...childUsage } : null;
  if (usage === null) return -Errno.EINVAL;
  return t.user.write(at!, usageBytes(usage)) ? 0 : -Errno.EFAULT;
}

// --- Scheduling: one policy, one hart ---

const SCHED_OTHER = 0;
const SCHED_FIFO = 1;
const SCHED_RR = 2;
const SCHED_BATCH = 3;
const SCHED_IDLE = 5;
const isPolicy = (n: number): boolean => [SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE].includes(n);
const isRealtimePolicy = (n: number): boolean => n === SCHED_FIFO || n === SCHED_RR;
const taskOf = (k: Kernel, t: Task, pid: number): Task | undefined => (pid === 0 ? t : k.tasks.get(pid));

/** The policy is remembered and shown; tasks take turns all the same. */
function schedSetscheduler(k: Kernel, t: Task, pid: number, policy: number, paramAt: number): number {
  if (pid < 0 || paramAt === 0) return -Errno.EINVAL;
  const priority = t.user.i32(paramAt);
  if (priority === null) return -Errno.EFAULT;
  const of = taskOf(k, t, pid);
  if (of === undefined) return -Errno.ESRCH;
  const wanted = policy === -1 ? of.policy : policy & ~0x4000_0000; // SCHED_RESET_ON_FORK
  if (!isPolicy(wanted)) return -Errno.EINVAL;
  if (isRealtimePolicy(wanted) ? priority < 1 || priority > 99 : priority !== 0) return -Errno.EINVAL;
  if (isRealtimePolicy(wanted) && !isPrivileged(t.credentials)) return -Errno.EPERM;
  of.policy = wanted;
  of.rtPriority = priority;
  return 0;
}
function schedGetparam(k: Kernel, t: Task, [pid, at]: readonly number[]): number {
  if (pid! < 0 || at === 0) return -Errno.EINVAL;
  const of = taskOf(k, t, pid!);
  if (of === undefined) return -Errno.ESRCH;
  return t.user.setU32(at!, of.rtPriority) ? 0 : -Errno.EFAULT;
}
/** struct sched_attr, version 0: 48 bytes. */
function schedGetattr(k: Kernel, t: Task, [pid, at, size, flags]: readonly number[]): number {
  if (pid! < 0 || at === 0 || size! < 48 || size! > 4096 || flags !== 0) return -Errno.EINVAL;
  const of = taskOf(k, t, pid!);
  if (of === undefined) return -Errno.ESRCH;
  const bytes = new Uint8Array(48);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 48, true);
  view.setUint32(4, of.policy, true);
  view.setInt32(16, of.nice, true);
  view.setUint32(20, of.rtPriority, true);
  return t.user.write(at!, bytes) ? 0 : -Errno.EFAULT;
}
function schedSetaffinity(k: Kernel, t: Task, [pid, len, at]: readonly number[]): number {
  const first = len === 0 ? 0 : t.user.u8(at!);
  if (first === null) return -Errno.EFAULT;
  if (taskOf(k, t, pid!) === undefined) return -Errno.ESRCH;
  return (first & 1) === 0 ? -Errno.EINVAL : 0; // hart 0 is all there is
}
function schedGetaffinity(k: Kernel, t: Task, [pid, len, at]: readonly number[]): number {
  if (len! < 8 || len! % 8 !== 0) return -Errno.EINVAL;
  if (taskOf(k, t, pid!) === undefined) return -Errno.ESRCH;
  return t.user.setU64(at!, 1) ? 8 : -Errno.EFAULT;
}
function priorityLimit(policy: number, ifRealtime: number): number {
  return !isPolicy(policy) ? -Errno.EINVAL : isRealtimePolicy(policy) ? ifRealtime : 0;
}
function schedYield(_k: Kernel, t: Task): number {
  t.sliceLeft = 0;
  return 0;
}
function schedRrGetInterval(k: Kernel, t: Task, [pid, at]: readonly number[]): number {
  if (pid! < 0) return -Errno.EINVAL;
  if (taskOf(k, t, pid!) === undefined) return -Errno.ESRCH;
  return writeTimespec(t, at!, k.params.vm.slice_instructions) ? 0 : -Errno.EFAULT;
}

const Prio = { Process: 0, Group: 1, User: 2 } as const;
function prioTargets(k: Kernel, t: Task, which: number, who: number): Task[] | null {
  const all = [...k.tasks.values()];
  if (which === Prio.Process) return who === 0 ? [t] : all.filter((other) => other.tid === who);
  if (which === Prio.Group) return processesInGroup(k, who === 0 ? t.process.pgid : who).flatMap((p) => p.threads);
  if (which === Prio.User) return all.filter((other) => other.credentials.uid === (who === 0 ? t.credentials.uid : who));
  return null;
}
function getpriority(k: Kernel, t: Task, [which, who]: readonly number[]): number {
  const targets = prioTargets(k, t, which!, who! | 0);
  if (targets === null) return -Errno.EINVAL;
  return targets.length === 0 ? -Errno.ESRCH : 20 - Math.min(...targets.map((of) => of.nice));
}
function setpriority(k: Kernel, t: Task, [which, who, nice]: readonly number[]): number {
  const targets = prioTargets(k, t, which!, who! | 0);
  if (targets === null) return -Errno.EINVAL;
  if (targets.length === 0) return -Errno.ESRCH;
  const to = Math.max(-20, Math.min(19, nice! | 0));
  if (!isPrivileged(t.credentials) && targets.some((of) => to < of.nice)) return -Errno.EACCES;
  for (const of of targets) of.nice = to;
  return 0;
}
function getcpu(_k: Kernel, t: Task, [cpuAt, nodeAt]: readonly number[]): number {
  return (cpuAt === 0 || t.user.setU32(cpuAt!, 0)) && (nodeAt === 0 || t.user.setU32(nodeAt!, 0)) ? 0 : -Errno.EFAULT;
}

export const resourceSyscalls: readonly SyscallRow[] = [
  { nr: 118, name: 'sched_setparam', args: 'pid ptr', run: (k, t, [pid, at]) => schedSetscheduler(k, t, pid! | 0, -1, at!) },
  { nr: 119, name: 'sched_setscheduler', args: 'pid int ptr', run: (k, t, [pid, policy, at]) => (policy! < 0 ? -Errno.EINVAL : schedSetscheduler(k, t, pid! | 0, policy! | 0, at!)) },
  { nr: 120, name: 'sched_getscheduler', args: 'pid', run: (k, t, [pid]) => (pid! < 0 ? -Errno.EINVAL : (taskOf(k, t, pid!)?.policy ?? -Errno.ESRCH)) },
  { nr: 121, name: 'sched_getparam', args: 'pid ptr', run: schedGetparam },
  { nr: 122, name: 'sched_setaffinity', args: 'pid size ptr', run: schedSetaffinity },
  { nr: 123, name: 'sched_getaffinity', args: 'pid size ptr', run: schedGetaffinity },
  { nr: 124, name: 'sched_yield', args: '', run: schedYield },
  { nr: 125, name: 'sched_get_priority_max', args: 'int', run: (_k, _t, [policy]) => priorityLimit(policy!, 99) },
  { nr: 126, name: 'sched_get_priority_min', args: 'int', run: (_k, _t, [policy]) => priorityLimit(policy!, 1) },
  { nr: 127, name: 'sched_rr_get_interval', args: 'pid ptr', run: schedRrGetInterval },
  { nr: 140, name: 'setpriority', args: 'int int int', run: setpriority },
  { nr: 141, name: 'getpriority', args: 'int int', run: getpriority },
  { nr: 163, name: 'getrlimit', args: 'rlimit ptr', run: (k, t, [which, at]) => (at === 0 ? -Errno.EFAULT : prlimit(k, t, 0, which!, 0, at!)) },
  { nr: 164, name: 'setrlimit', args: 'rlimit ptr', run: (k, t, [which, at]) => (at === 0 ? -Errno.EFAULT : prlimit(k, t, 0, which!, at!, 0)) },
  { nr: 165, name: 'getrusage', args: 'int ptr', run: getrusage },
  { nr: 168, name: 'getcpu', args: 'ptr ptr ptr', run: getcpu },
  { nr: 261, name: 'prlimit64', args: 'pid rlimit ptr ptr', run: (k, t, [pid, which, newAt, oldAt]) => prlimit(k, t, pid! | 0, which! | 0, newAt!, oldAt!) },
  { nr: 275, name: 'sched_getattr', args: 'pid ptr size hex', run: schedGetattr },
];
