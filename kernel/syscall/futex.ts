// futex(2): the operations and their arguments. Not here: queues and keys (proc/futex.ts). Priority inheritance (LOCK_PI and kin) is not
// modelled and answers ENOSYS, as on a Linux without CONFIG_FUTEX_PI.
import type { Kernel } from '../kernel.ts';
import { ANY_BITS, type FutexKey, futexKey, leaveFutex } from '../proc/futex.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { Interrupted, type SyscallRow } from './row.ts';
import { deadlineOf } from './time.ts';
import { readTimespec } from './timespec.ts';

const Op = { Wait: 0, Wake: 1, Requeue: 3, CmpRequeue: 4, WakeOp: 5, WaitBitset: 9, WakeBitset: 10 } as const;
const PRIVATE = 128;
const CLOCK_REALTIME = 256;

function futex(k: Kernel, t: Task, a: readonly number[]): number {
  const [va, opArg, value, arg4, va2, value3] = a as [number, number, number, number, number, number];
  const op = opArg & 127;
  const isPrivate = (opArg & PRIVATE) !== 0;
  const isRealtime = (opArg & CLOCK_REALTIME) !== 0;
  if (isRealtime && op !== Op.WaitBitset && op !== Op.Wait) return -Errno.ENOSYS;
  switch (op) {
    case Op.Wait:
      return wait(k, t, va, value >>> 0, arg4, ANY_BITS, isPrivate, isRealtime, false);
    case Op.WaitBitset:
      return wait(k, t, va, value >>> 0, arg4, value3 >>> 0, isPrivate, isRealtime, true);
    case Op.Wake:
      return wake(k, t, va, value | 0, ANY_BITS, isPrivate);
    case Op.WakeBitset:
      return wake(k, t, va, value | 0, value3 >>> 0, isPrivate);
    case Op.Requeue:
      return requeue(k, t, va, va2, value | 0, arg4 | 0, null, isPrivate);
    case Op.CmpRequeue:
      return requeue(k, t, va, va2, value | 0, arg4 | 0, value3 >>> 0, isPrivate);
    case Op.WakeOp:
      return wakeOp(k, t, va, va2, value | 0, arg4 | 0, value3 >>> 0, isPrivate);
    default:
      return -Errno.ENOSYS;
  }
}

/** get_futex_key(): misaligned words are EINVAL, addresses outside user memory EFAULT. */
function keyOf(t: Task, va: number, isPrivate: boolean): FutexKey | number {
  if (va % 4 !== 0) return -Errno.EINVAL;
  if (va < 0 || va + 4 > t.mm.taskSize) return -Errno.EFAULT;
  if (!isPrivate && t.user.u32(va) === null) return -Errno.EFAULT; // a shared key is a page, which has to be there
  return futexKey(t, va, isPrivate);
}

function wait(k: Kernel, t: Task, va: number, value: number, timeoutAt: number, bitset: number, isPrivate: boolean, isRealtime: boolean, isAbsolute: boolean): number {
  if (t.futex === null) {
    if (bitset === 0) return -Errno.EINVAL;
    const span = timeoutAt === 0 ? null : readTimespec(t, timeoutAt);
    if (typeof span === 'number') return span;
    const key = keyOf(t, va, isPrivate);
    if (typeof key === 'number') return key;
    const now = t.user.u32(va);
    if (now === null) return -Errno.EFAULT;
    if (now !== value) return -Errno.EAGAIN;
    t.restart = span === null ? {} : { deadline: deadlineOf(k, isRealtime, isAbsolute, span) };
    t.futex = { task: t, key, bitset, isWoken: false };
    k.futexes.add(t.futex);
  } else if (t.futex.isWoken) {
    t.futex = null;
    return 0;
  }
  const deadline = t.restart?.deadline ?? null;
  if (deadline !== null && k.machine.clockCycles >= deadline) {
    leaveFutex(k, t);
    return -Errno.ETIMEDOUT;
  }
  if (deadline !== null) t.interrupted = Interrupted.KeepDeadline;
  t.sleepOn([], deadline);
  return BLOCK;
}

function wake(k: Kernel, t: Task, va: number, nr: number, bitset: number, isPrivate: boolean): number {
  if (bitset === 0) return -Errno.EINVAL;
  const key = keyOf(t, va, isPrivate);
  return typeof key === 'number' ? key : k.futexes.wake(key, Math.max(1, nr), bitset);
}

/** @param expected CMP_REQUEUE: the word must still be this (EAGAIN); null: not asked */
function requeue(k: Kernel, t: Task, va: number, va2: number, nrWake: number, nrMove: number, expected: number | null, isPrivate: boolean): number {
  if (nrWake < 0 || nrMove < 0) return -Errno.EINVAL;
  const from = keyOf(t, va, isPrivate);
  if (typeof from === 'number') return from;
  const to = keyOf(t, va2, isPrivate);
  if (typeof to === 'number') return to;
  if (expected !== null) {
    const now = t.user.u32(va);
    if (now === null) return -Errno.EFAULT;
    if (now !== expected) return -Errno.EAGAIN;
  }
  const woken = k.futexes.wake(from, nrWake);
  const isSame = from.owner === to.owner && from.offset === to.offset;
  return woken + (isSame ? 0 : k.futexes.requeue(from, to, nrMove));
}

/** Changes the second word, wakes sleepers of the first, and of the second if its old value compares. Encoding: futex(2), FUTEX_WAKE_OP. */
function wakeOp(k: Kernel, t: Task, va: number, va2: number, nr: number, nr2: number, encoded: number, isPrivate: boolean): number {
  const from = keyOf(t, va, isPrivate);
  if (typeof from === 'number') return from;
  const to = keyOf(t, va2, isPrivate);
  if (typeof to === 'number') return to;
  const sign12 = (n: number): number => (n << 20) >> 20;
  const op = (encoded >>> 28) & 7;
  const isShift = ((encoded >>> 28) & 8) !== 0;
  const cmp = (encoded >>> 24) & 15;
  const rawArg = sign12((encoded >>> 12) & 0xfff);
  const arg = isShift ? 1 << (rawArg & 31) : rawArg;
  const cmpArg = sign12(encoded & 0xfff);
  const old = t.user.i32(va2);
  if (old === null) return -Errno.EFAULT;
  const changed = op === 0 ? arg : op === 1 ? old + arg : op === 2 ? old | arg : op === 3 ? old & ~arg : op === 4 ? old ^ arg : null;
  if (changed === null) return -Errno.ENOSYS;
  if (!t.user.setU32(va2, changed >>> 0)) return -Errno.EFAULT;
  const holds = [old === cmpArg, old !== cmpArg, old < cmpArg, old <= cmpArg, old > cmpArg, old >= cmpArg][cmp];
  if (holds === undefined) return -Errno.ENOSYS;
  const woken = k.futexes.wake(from, Math.max(1, nr));
  return woken + (holds ? k.futexes.wake(to, Math.max(1, nr2)) : 0);
}

export const futexSyscalls: readonly SyscallRow[] = [{ nr: 98, name: 'futex', args: 'ptr futex-op int ptr ptr hex', run: futex }];
