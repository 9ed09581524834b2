// Waiting for files: ppoll, pselect6, epoll, and the files made to be waited for (eventfd, timerfd). Here: arguments, deadlines, sleeping. Not
// here: what is ready (each file's poll). A call that slept looks at everything again when it is woken. Mirrors fs/select.c, eventpoll.c.
import { Epoll, EpollFile, type ReadyEvent } from '../fs/epoll.ts';
import { EventFd } from '../fs/eventfd.ts';
import { Open, type OpenFile, Poll } from '../fs/file.ts';
import { TimerFd } from '../fs/timerfd.ts';
import type { Kernel } from '../kernel.ts';
import { cyclesOfNs } from '../proc/clock.ts';
import { useTemporaryMask } from '../proc/signal.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { fileAt, installFile, nofileLimit } from './paths.ts';
import { Interrupted, type SyscallRow } from './row.ts';
import { readTimespec, writeTimespec } from './timespec.ts';

const SIGSET_BYTES = 8;
const NS_PER_MS = 1_000_000;

// --- What the calls have in common ---

/** The cycle at which the call gives up, the same for all its runs; Infinity: never. @param ns null: no limit */
function deadlineOf(k: Kernel, t: Task, ns: number | null): number {
  t.restart ??= { deadline: ns === null ? Number.POSITIVE_INFINITY : k.machine.clockCycles + cyclesOfNs(ns) };
  return t.restart.deadline!;
}
/** Sleeps until one of the files may have changed, or the time is up. */
function sleepOnFiles(t: Task, files: Iterable<OpenFile>, deadline: number): number {
  const queues = new Set<ReturnType<OpenFile['waitQueues']>[number]>();
  let first = deadline;
  for (const file of files) {
    for (const queue of file.waitQueues()) queues.add(queue);
    first = Math.min(first, file.ops.deadline?.(file) ?? Number.POSITIVE_INFINITY);
  }
  t.sleepOn([...queues], first === Number.POSITIVE_INFINITY ? null : first);
  return BLOCK;
}
/** A mask for the length of the call; 0 or -errno. */
function maskFor(t: Task, at: number, size: number): number {
  if (at === 0) return 0;
  if (size !== SIGSET_BYTES) return -Errno.EINVAL;
  const mask = t.user.u64(at);
  if (mask === null) return -Errno.EFAULT;
  useTemporaryMask(t, mask);
  return 0;
}
/** Writes what is left of the time, as Linux does when it can; a bad address is not an error. */
function writeLeft(k: Kernel, t: Task, at: number): void {
  const deadline = t.restart?.deadline ?? Number.POSITIVE_INFINITY;
  if (at !== 0 && deadline !== Number.POSITIVE_INFINITY) writeTimespec(t, at, Math.max(0, deadline - k.machine.clockCycles));
}
/** A timespec argument in nanoseconds; null: none given. */
function timeoutAt(t: Task, at: number): { ns: number | null } | number {
  if (at === 0) return { ns: null };
  const span = readTimespec(t, at);
  return typeof span === 'number' ? span : { ns: span.ns };
}

// --- ppoll ---

function ppoll(k: Kernel, t: Task, [at, count, timeAt, maskAt, size]: readonly number[]): number {
  const nr = count! >>> 0;
  const time = t.restart === null ? timeoutAt(t, timeAt!) : { ns: null };
  if (typeof time === 'number') return time;
  const masked = maskFor(t, maskAt!, size!);
  if (masked !== 0) return masked;
  if (nr > nofileLimit(t)) return -Errno.EINVAL;
  const bytes = new Uint8Array(nr * 8);
  if (nr > 0 && !t.user.read(at!, bytes)) return -Errno.EFAULT;
  const deadline = deadlineOf(k, t, time.ns);
  const view = new DataView(bytes.buffer);
  const files: OpenFile[] = [];
  let ready = 0;
  for (let i = 0; i < nr; i++) {
    const fd = view.getInt32(8 * i, true);
    const wanted = view.getUint16(8 * i + 4, true) | Poll.ERR | Poll.HUP;
    const file = fd < 0 ? null : fileAt(t, fd);
    const bits = fd < 0 ? 0 : file === null ? Poll.NVAL : file.poll(t) & wanted;
    view.setUint16(8 * i + 6, bits, true);
    if (bits !== 0) ready++;
    if (file !== null) files.push(file);
  }
  if (ready === 0 && k.machine.clockCycles < deadline) {
    if (t.signalPending) writeLeft(k, t, timeAt!); // the dispatcher will end the call
    return sleepOnFiles(t, files, deadline);
  }
  for (let i = 0; i < nr; i++) if (!t.user.setU16(at! + 8 * i + 6, view.getUint16(8 * i + 6, true))) return -Errno.EFAULT;
  writeLeft(k, t, timeAt!);
  return ready;
}

// --- pselect6 ---

const SETS = ['in', 'out', 'ex'] as const;
/** Which poll bits make a member of each set ready (POLLIN_SET and its like). */
const setBits = {
  in: Poll.RDNORM | Poll.RDBAND | Poll.IN | Poll.HUP | Poll.ERR,
  out: Poll.WRBAND | Poll.WRNORM | Poll.OUT | Poll.ERR,
  ex: Poll.PRI,
} as const;

function pselect6(k: Kernel, t: Task, a: readonly number[]): number {
  const [count, , , , timeAt, sigAt] = a as [number, number, number, number, number, number];
  const time = t.restart === null ? timeoutAt(t, timeAt) : { ns: null };
  if (typeof time === 'number') return time;
  const masked = selectMask(t, sigAt);
  if (masked !== 0) return masked;
  if ((count | 0) < 0) return -Errno.EINVAL;
  const nr = Math.min(count | 0, t.files.capacity);
  const bytes = Math.ceil(nr / 64) * 8;
  const wanted: Uint8Array[] = [];
  const found: Uint8Array[] = [];
  for (let s = 0; s < 3; s++) {
    const set = new Uint8Array(bytes);
    if (a[1 + s] !== 0 && bytes > 0 && !t.user.read(a[1 + s]!, set)) return -Errno.EFAULT;
    wanted.push(set);
    found.push(new Uint8Array(bytes));
  }
  const deadline = deadlineOf(k, t, time.ns);
  const files: OpenFile[] = [];
  let ready = 0;
  for (let fd = 0; fd < nr; fd++) {
    const bit = 1 << (fd & 7);
    const asked = SETS.map((_, s) => (wanted[s]![fd >> 3]! & bit) !== 0);
    if (!asked.includes(true)) continue;
    const file = fileAt(t, fd);
    if (file === null) return -Errno.EBADF;
    files.push(file);
    const bits = file.poll(t);
    for (const [s, name] of SETS.entries()) {
      if (!asked[s] || (bits & setBits[name]) === 0) continue;
      found[s]![fd >> 3]! |= bit;
      ready++;
    }
  }
  const mustWait = ready === 0 && k.machine.clockCycles < deadline;
  if (mustWait) {
    if (t.signalPending) writeLeft(k, t, timeAt);
    return sleepOnFiles(t, files, deadline);
  }
  for (let s = 0; s < 3; s++) if (a[1 + s] !== 0 && bytes > 0 && !t.user.write(a[1 + s]!, found[s]!)) return -Errno.EFAULT;
  writeLeft(k, t, timeAt);
  return ready;
}
/** The sixth argument points at a pointer to the mask and its size. */
function selectMask(t: Task, at: number): number {
  if (at === 0) return 0;
  const mask = t.user.word(at);
  const size = t.user.word(at + 8);
  return mask === null || size === null ? -Errno.EFAULT : maskFor(t, mask, size);
}

// --- epoll ---

const EVENT_BYTES = 16;
const Ctl = { Add: 1, Del: 2, Mod: 3 } as const;
/** EP_MAX_EVENTS. */
const MAX_EVENTS = Math.floor(0x7fff_ffff / EVENT_BYTES);

function epollCreate1(k: Kernel, t: Task, [flags]: readonly number[]): number {
  if ((flags! & ~Open.CLOEXEC) !== 0) return -Errno.EINVAL;
  return installFile(t, k.vfs.newAnonymous('eventpoll', new EpollFile(k.vfs.registry), Open.RDWR), (flags! & Open.CLOEXEC) !== 0);
}
function epollCtl(_k: Kernel, t: Task, [epfd, operation, fd, at]: readonly number[]): number {
  const bytes = new Uint8Array(EVENT_BYTES);
  if (operation !== Ctl.Del && !t.user.read(at!, bytes)) return -Errno.EFAULT;
  const epoll = fileAt(t, epfd!);
  const file = fileAt(t, fd!);
  if (epoll === null || file === null) return -Errno.EBADF;
  if (file.ops.poll === undefined) return -Errno.EPERM;
  if (epoll === file || !(epoll.ops instanceof EpollFile)) return -Errno.EINVAL;
  const view = new DataView(bytes.buffer);
  const [events, low, high] = [view.getUint32(0, true), view.getUint32(8, true), view.getUint32(12, true)];
  const isExclusive = (events & Epoll.ExclusiveBit) !== 0;
  if (isExclusive && (operation === Ctl.Mod || file.ops instanceof EpollFile || (events & Epoll.OneShotBit) !== 0)) return -Errno.EINVAL;
  switch (operation) {
    case Ctl.Add: return epoll.ops.add(fd! | 0, file, events, low, high);
    case Ctl.Mod: return epoll.ops.change(fd! | 0, file, events, low, high);
    case Ctl.Del: return epoll.ops.remove(fd! | 0, file);
    default: return -Errno.EINVAL;
  }
}
function epollWait(k: Kernel, t: Task, epfd: number, at: number, max: number, ns: number | null): number {
  if (max <= 0 || max > MAX_EVENTS) return -Errno.EINVAL;
  const file = fileAt(t, epfd);
  if (file === null) return -Errno.EBADF;
  if (!(file.ops instanceof EpollFile)) return -Errno.EINVAL;
  const deadline = deadlineOf(k, t, ns);
  const ready = file.ops.take(Math.min(max, 4096));
  if (ready.length > 0) return giveEvents(t, at, ready);
  return k.machine.clockCycles < deadline ? sleepOnFiles(t, [file], deadline) : 0;
}
function giveEvents(t: Task, at: number, ready: readonly ReadyEvent[]): number {
  const view = new DataView(new ArrayBuffer(ready.length * EVENT_BYTES));
  ready.forEach(({ events, dataLow, dataHigh }, i) => {
    view.setUint32(EVENT_BYTES * i, events, true);
    view.setUint32(EVENT_BYTES * i + 8, dataLow, true);
    view.setUint32(EVENT_BYTES * i + 12, dataHigh, true);
  });
  return t.user.write(at, new Uint8Array(view.buffer)) ? ready.length : -Errno.EFAULT;
}
function epollPwait(k: Kernel, t: Task, [epfd, at, max, timeout, maskAt, size]: readonly number[]): number {
  const masked = maskFor(t, maskAt!, size!);
  if (masked !== 0) return masked;
  const ms = timeout! | 0;
  return epollWait(k, t, epfd!, at!, max! | 0, ms < 0 ? null : ms * NS_PER_MS);
}
function epollPwait2(k: Kernel, t: Task, [epfd, at, max, timeAt, maskAt, size]: readonly number[]): number {
  const time = t.restart === null ? timeoutAt(t, timeAt!) : { ns: null };
  if (typeof time === 'number') return time;
  const masked = maskFor(t, maskAt!, size!);
  return masked !== 0 ? masked : epollWait(k, t, epfd!, at!, max! | 0, time.ns);
}

// --- eventfd, timerfd ---

const EFD_SEMAPHORE = 1;
function eventfd2(k: Kernel, t: Task, [initial, flags]: readonly number[]): number {
  if ((flags! & ~(EFD_SEMAPHORE | Open.CLOEXEC | Open.NONBLOCK)) !== 0) return -Errno.EINVAL;
  const ops = new EventFd(initial! >>> 0, (flags! & EFD_SEMAPHORE) !== 0);
  return installFile(t, k.vfs.newAnonymous('eventfd', ops, Open.RDWR | (flags! & Open.NONBLOCK)), (flags! & Open.CLOEXEC) !== 0);
}

const CLOCK_REALTIME = 0;
/** MONOTONIC, BOOTTIME and the two ALARM clocks. */
const TIMER_CLOCKS: readonly number[] = [CLOCK_REALTIME, 1, 7, 8, 9];
const REALTIME_CLOCKS: readonly number[] = [CLOCK_REALTIME, 8];
function timerfdCreate(k: Kernel, t: Task, [clock, flags]: readonly number[]): number {
  if ((flags! & ~(Open.CLOEXEC | Open.NONBLOCK)) !== 0 || !TIMER_CLOCKS.includes(clock! | 0)) return -Errno.EINVAL;
  const ops = new TimerFd(k, REALTIME_CLOCKS.includes(clock! | 0));
  return installFile(t, k.vfs.newAnonymous('timerfd', ops, Open.RDWR | (flags! & Open.NONBLOCK)), (flags! & Open.CLOEXEC) !== 0);
}
function timerOf(t: Task, fd: number): TimerFd | number {
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  return file.ops instanceof TimerFd ? file.ops : -Errno.EINVAL;
}
function writeTimer(t: Task, at: number, timer: TimerFd): number {
  const { left, interval } = timer.state();
  return writeTimespec(t, at, interval) && writeTimespec(t, at + 16, left) ? 0 : -Errno.EFAULT;
}
const TFD_ABSTIME = 1;
const TFD_CANCEL_ON_SET = 2;
function timerfdSettime(k: Kernel, t: Task, [fd, flags, at, oldAt]: readonly number[]): number {
  if ((flags! & ~(TFD_ABSTIME | TFD_CANCEL_ON_SET)) !== 0) return -Errno.EINVAL;
  const interval = readTimespec(t, at!);
  const value = typeof interval === 'number' ? interval : readTimespec(t, at! + 16);
  if (typeof interval === 'number') return interval;
  if (typeof value === 'number') return value;
  const timer = timerOf(t, fd!);
  if (typeof timer === 'number') return timer;
  if (oldAt !== 0) {
    const error = writeTimer(t, oldAt!, timer);
    if (error !== 0) return error;
  }
  const isAbsolute = (flags! & TFD_ABSTIME) !== 0;
  const first = isAbsolute && timer.isRealtime ? k.cycleOfRealtime(value.seconds, value.nanoseconds)
    : isAbsolute ? cyclesOfNs(value.ns) : k.machine.clockCycles + cyclesOfNs(value.ns);
  timer.set(value.ns === 0 ? null : first, cyclesOfNs(interval.ns));
  return 0;
}
function timerfdGettime(_k: Kernel, t: Task, [fd, at]: readonly number[]): number {
  const timer = timerOf(t, fd!);
  return typeof timer === 'number' ? timer : writeTimer(t, at!, timer);
}

export const pollSyscalls: readonly SyscallRow[] = [
  { nr: 19, name: 'eventfd2', args: 'uint flags', run: eventfd2 },
  { nr: 20, name: 'epoll_create1', args: 'flags', run: epollCreate1 },
  { nr: 21, name: 'epoll_ctl', args: 'fd int fd ptr', run: epollCtl },
  { nr: 22, name: 'epoll_pwait', args: 'fd ptr int int sigset size', run: epollPwait, interrupted: Interrupted.Eintr },
  { nr: 72, name: 'pselect6', args: 'int ptr ptr ptr timespec ptr', run: pselect6, interrupted: Interrupted.NoHandler },
  { nr: 73, name: 'ppoll', args: 'ptr uint timespec sigset size', run: ppoll, interrupted: Interrupted.NoHandler },
  { nr: 85, name: 'timerfd_create', args: 'int flags', run: timerfdCreate },
  { nr: 86, name: 'timerfd_settime', args: 'fd flags ptr ptr', run: timerfdSettime },
  { nr: 87, name: 'timerfd_gettime', args: 'fd ptr', run: timerfdGettime },
  { nr: 441, name: 'epoll_pwait2', args: 'fd ptr int timespec sigset size', run: epollPwait2, interrupted: Interrupted.Eintr },
];
