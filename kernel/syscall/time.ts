// System calls about time: clocks, sleeps, timers, all on the modelled clock. Here: arguments and results. Not here: what a due timer does
// (proc/expiry.ts).
import type { Kernel } from '../kernel.ts';
import { cyclesOfNs, NS_PER_SECOND, ticksOfCycles } from '../proc/clock.ts';
import { isPrivileged } from '../proc/credentials.ts';
import { cpuCycles, timerNow } from '../proc/expiry.ts';
import type { Process } from '../proc/process.ts';
import { isSignal, Signal } from '../proc/sigset.ts';
import type { Task } from '../proc/task.ts';
import { type KernelTimer, newTimer, TimerClock } from '../proc/timers.ts';
import { totalUsage, processUsage } from '../proc/usage.ts';
import { BLOCK } from '../proc/wait.ts';
import { Errno } from './errno.ts';
import { Interrupted, type SyscallRow } from './row.ts';
import { readTimespec, readTimeval, type Span, writeTimespec, writeTimeval } from './timespec.ts';

const Clock = {
  Realtime: 0, Monotonic: 1, ProcessCpu: 2, ThreadCpu: 3, MonotonicRaw: 4, RealtimeCoarse: 5, MonotonicCoarse: 6, Boottime: 7, RealtimeAlarm: 8,
  BoottimeAlarm: 9, Tai: 11,
} as const;
const isRealtime = (clock: number): boolean => [Clock.Realtime, Clock.RealtimeCoarse, Clock.RealtimeAlarm, Clock.Tai].includes(clock as never);
const isMonotonic = (clock: number): boolean =>
  [Clock.Monotonic, Clock.MonotonicRaw, Clock.MonotonicCoarse, Clock.Boottime, Clock.BoottimeAlarm].includes(clock as never);

/** The task or process a CPU clock measures; negative ids name one by pid (clock_getcpuclockid): ~pid << 3, bit 2 a thread. */
function cpuClock(k: Kernel, t: Task, clock: number): Task | Process | null {
  if (clock === Clock.ProcessCpu) return t.process;
  if (clock === Clock.ThreadCpu) return t;
  if (clock >= 0 || (clock & 3) === 3) return null;
  const pid = ~(clock >> 3);
  const isThread = (clock & 4) !== 0;
  const of = pid === 0 ? t : k.tasks.get(pid);
  if (of === undefined || (isThread && of.process !== t.process)) return null;
  return isThread ? of : of.process;
}
function cpuTime(k: Kernel, t: Task, of: Task | Process): number {
  k.accountTime(t);
  return 'tid' in of ? of.userCycles + of.systemCycles : cpuCycles(of);
}
/** A clock's reading in seconds and nanoseconds; null: no such clock. */
function read(k: Kernel, t: Task, clock: number): { seconds: number; nanoseconds: number } | null {
  if (isRealtime(clock)) return k.realtime();
  const of = isMonotonic(clock) ? null : cpuClock(k, t, clock);
  if (of === null && !isMonotonic(clock)) return null;
  const ns = of === null ? k.uptimeNs() : Math.floor(cpuTime(k, t, of));
  return { seconds: Math.floor(ns / NS_PER_SECOND), nanoseconds: ns % NS_PER_SECOND };
}

function clockGettime(k: Kernel, t: Task, [clock, at]: readonly number[]): number {
  const now = read(k, t, clock! | 0);
  if (now === null) return -Errno.EINVAL;
  return t.user.setU64(at!, now.seconds) && t.user.setU64(at! + 8, now.nanoseconds) ? 0 : -Errno.EFAULT;
}
function clockGetres(k: Kernel, t: Task, [clock, at]: readonly number[]): number {
  const id = clock! | 0;
  if (read(k, t, id) === null) return -Errno.EINVAL;
  const isCoarse = id === Clock.RealtimeCoarse || id === Clock.MonotonicCoarse;
  return at === 0 || writeTimespec(t, at!, isCoarse ? 4_000_000 : 1) ? 0 : -Errno.EFAULT;
}
function clockSettime(k: Kernel, t: Task, [clock, at]: readonly number[]): number {
  if ((clock! | 0) !== Clock.Realtime) return -Errno.EINVAL;
  const to = readTimespec(t, at!);
  if (typeof to === 'number') return to;
  if (!isPrivileged(t.credentials)) return -Errno.EPERM;
  k.setRealtime(to.seconds, to.nanoseconds);
  return 0;
}
function gettimeofday(k: Kernel, t: Task, [tvAt, tzAt]: readonly number[]): number {
  const { seconds, nanoseconds } = k.realtime();
  if (tvAt !== 0 && !(t.user.setU64(tvAt!, seconds) && t.user.setU64(tvAt! + 8, Math.floor(nanoseconds / 1000)))) return -Errno.EFAULT;
  return tzAt === 0 || t.user.setU64(tzAt!, 0) ? 0 : -Errno.EFAULT;
}
function settimeofday(k: Kernel, t: Task, [tvAt]: readonly number[]): number {
  if (tvAt === 0) return 0;
  const to = readTimeval(t, tvAt!);
  if (typeof to === 'number') return to;
  if (!isPrivileged(t.credentials)) return -Errno.EPERM;
  k.setRealtime(to.seconds, to.nanoseconds);
  return 0;
}

// --- Sleeping ---

const TIMER_ABSTIME = 1;
/** Sleeps until the cycle; when a signal cuts it short, says what is left (relative sleeps only). */
function sleepUntil(k: Kernel, t: Task, deadline: number, remainAt: number): number {
  if (k.machine.clockCycles >= deadline) return 0;
  if (t.signalPending && remainAt !== 0 && !writeTimespec(t, remainAt, deadline - k.machine.clockCycles)) return -Errno.EFAULT;
  t.restart = { deadline };
  t.sleepOn([], deadline);
  return BLOCK;
}
function nanosleep(k: Kernel, t: Task, [at, remainAt]: readonly number[]): number {
  if (t.restart !== null) return sleepUntil(k, t, t.restart.deadline!, remainAt!);
  const span = readTimespec(t, at!);
  if (typeof span === 'number') return span;
  return sleepUntil(k, t, k.machine.clockCycles + cyclesOfNs(span.ns), remainAt!);
}
function clockNanosleep(k: Kernel, t: Task, [clock, flags, at, remainAt]: readonly number[]): number {
  const id = clock! | 0;
  const isAbsolute = (flags! & TIMER_ABSTIME) !== 0;
  if (isAbsolute) t.interrupted = Interrupted.NoHandler;
  if (t.restart !== null) return sleepUntil(k, t, t.restart.deadline!, isAbsolute ? 0 : remainAt!);
  if (id === Clock.ThreadCpu) return -Errno.EINVAL;
  if (!isRealtime(id) && !isMonotonic(id)) return cpuClock(k, t, id) === null ? -Errno.EINVAL : -Errno.ENOTSUP;
  const span = readTimespec(t, at!);
  if (typeof span === 'number') return span;
  return sleepUntil(k, t, deadlineOf(k, isRealtime(id), isAbsolute, span), isAbsolute ? 0 : remainAt!);
}
/** The cycle at which a time on a clock is reached. */
export function deadlineOf(k: Kernel, isRealtimeClock: boolean, isAbsolute: boolean, span: Span): number {
  if (!isAbsolute) return k.machine.clockCycles + cyclesOfNs(span.ns);
  return isRealtimeClock ? k.cycleOfRealtime(span.seconds, span.nanoseconds) : cyclesOfNs(span.ns);
}

// --- Interval timers ---

const itimers = [
  { id: -1, clock: TimerClock.Real, signo: Signal.ALRM },
  { id: -2, clock: TimerClock.ProcessUser, signo: Signal.VTALRM },
  { id: -3, clock: TimerClock.ProcessCpu, signo: Signal.PROF },
] as const;

/** An armed timer that is due already still shows one tick: zero would mean that it does not run. */
const leftOf = (k: Kernel, p: Process, timer: KernelTimer | undefined): number =>
  timer === undefined || timer.deadline === null ? 0 : Math.max(1000, timer.deadline - timerNow(k, p, timer));

function writeItimer(k: Kernel, t: Task, which: number, at: number): boolean {
  const timer = t.process.timers.find((other) => other.id === -1 - which);
  return writeTimeval(t, at, timer?.interval ?? 0) && writeTimeval(t, at + 16, leftOf(k, t.process, timer));
}
function getitimer(k: Kernel, t: Task, [which, at]: readonly number[]): number {
  if (itimers[which!] === undefined) return -Errno.EINVAL;
  k.accountTime(t);
  return writeItimer(k, t, which!, at!) ? 0 : -Errno.EFAULT;
}
function setitimer(k: Kernel, t: Task, [which, newAt, oldAt]: readonly number[]): number {
  const kind = itimers[which!];
  if (kind === undefined) return -Errno.EINVAL;
  k.accountTime(t);
  const zero = { seconds: 0, nanoseconds: 0, ns: 0 };
  const interval = newAt === 0 ? zero : readTimeval(t, newAt!);
  const value = newAt === 0 ? zero : readTimeval(t, newAt! + 16);
  if (typeof interval === 'number') return interval;
  if (typeof value === 'number') return value;
  if (oldAt !== 0 && !writeItimer(k, t, which!, oldAt!)) return -Errno.EFAULT;
  const p = t.process;
  let timer = p.timers.find((other) => other.id === kind.id);
  if (timer === undefined) p.timers.push((timer = newTimer(kind.id, kind.clock, kind.signo)));
  arm(k, p, timer, value.ns === 0 ? null : timerNow(k, p, timer) + cyclesOfNs(value.ns), cyclesOfNs(interval.ns));
  return 0;
}
function arm(k: Kernel, p: Process, timer: KernelTimer, deadline: number | null, interval: number): void {
  timer.deadline = deadline;
  timer.interval = deadline === null ? 0 : interval;
  if (deadline !== null) k.armed.add(p);
}

// --- POSIX timers ---

const Sigev = { Signal: 0, None: 1, Thread: 2, ThreadId: 4 } as const;
const SIGEVENT_BYTES = 64;
/** A program may have this many: as with queued signals, more would be the host's memory. */
const MAX_TIMERS = 4096;

function timerClock(k: Kernel, t: Task, clock: number): { clock: TimerClock; tid: number } | number {
  if (clock === Clock.RealtimeAlarm || clock === Clock.BoottimeAlarm) return -Errno.ENOTSUP;
  if (clock === Clock.RealtimeCoarse || clock === Clock.MonotonicCoarse || clock === Clock.MonotonicRaw) return -Errno.ENOTSUP;
  if (isRealtime(clock) || isMonotonic(clock)) return { clock: TimerClock.Real, tid: 0 };
  const of = cpuClock(k, t, clock);
  if (of === null) return -Errno.EINVAL;
  if ('tid' in of) return { clock: TimerClock.ThreadCpu, tid: of.tid };
  return of === t.process ? { clock: TimerClock.ProcessCpu, tid: 0 } : -Errno.ENOTSUP;
}
function timerCreate(k: Kernel, t: Task, [clock, eventAt, idAt]: readonly number[]): number {
  const p = t.process;
  const counts = timerClock(k, t, clock! | 0);
  if (typeof counts === 'number') return counts;
  if (p.timers.length >= MAX_TIMERS) return -Errno.EAGAIN;
  const timer = newTimer(p.nextTimerId, counts.clock, Signal.ALRM);
  timer.clockTid = counts.tid;
  timer.isRealtime = isRealtime(clock! | 0);
  timer.value = BigInt(timer.id);
  if (eventAt !== 0) {
    const bytes = new Uint8Array(SIGEVENT_BYTES);
    if (!t.user.read(eventAt!, bytes)) return -Errno.EFAULT;
    const view = new DataView(bytes.buffer);
    const notify = view.getInt32(12, true);
    timer.value = view.getBigInt64(0, true);
    timer.signo = view.getInt32(8, true);
    if (notify === Sigev.None) timer.signo = 0;
    else if (notify !== Sigev.Signal && notify !== Sigev.Thread && notify !== Sigev.ThreadId) return -Errno.EINVAL;
    else if (!isSignal(timer.signo)) return -Errno.EINVAL;
    if (notify === Sigev.ThreadId) {
      timer.targetTid = view.getInt32(16, true);
      if (!p.threads.some((thread) => thread.tid === timer.targetTid)) return -Errno.EINVAL;
    }
  }
  if (!t.user.setU32(idAt!, timer.id)) return -Errno.EFAULT;
  p.nextTimerId++;
  p.timers.push(timer);
  return 0;
}
const posixTimer = (t: Task, id: number): KernelTimer | undefined => (id < 0 ? undefined : t.process.timers.find((timer) => timer.id === id));

function timerSettime(k: Kernel, t: Task, [id, flags, newAt, oldAt]: readonly number[]): number {
  const timer = posixTimer(t, id! | 0);
  const interval = readTimespec(t, newAt!);
  const value = readTimespec(t, newAt! + 16);
  if (typeof interval === 'number') return interval;
  if (typeof value === 'number') return value;
  if (timer === undefined) return -Errno.EINVAL;
  k.accountTime(t);
  const p = t.process;
  if (oldAt !== 0 && !writeTimer(k, t, timer, oldAt!)) return -Errno.EFAULT;
  const isAbsolute = (flags! & TIMER_ABSTIME) !== 0;
  const now = timerNow(k, p, timer);
  const at = timer.clock === TimerClock.Real ? deadlineOf(k, timer.isRealtime, isAbsolute, value) : (isAbsolute ? 0 : now) + cyclesOfNs(value.ns);
  timer.overruns = 0;
  arm(k, p, timer, value.ns === 0 ? null : at, cyclesOfNs(interval.ns));
  return 0;
}
function writeTimer(k: Kernel, t: Task, timer: KernelTimer, at: number): boolean {
  const left = timer.deadline === null ? 0 : Math.max(1, timer.deadline - timerNow(k, t.process, timer));
  return writeTimespec(t, at, timer.interval) && writeTimespec(t, at + 16, left);
}
function timerGettime(k: Kernel, t: Task, [id, at]: readonly number[]): number {
  const timer = posixTimer(t, id! | 0);
  if (timer === undefined) return -Errno.EINVAL;
  k.accountTime(t);
  return writeTimer(k, t, timer, at!) ? 0 : -Errno.EFAULT;
}
function timerDelete(_k: Kernel, t: Task, [id]: readonly number[]): number {
  const timer = posixTimer(t, id! | 0);
  if (timer === undefined) return -Errno.EINVAL;
  t.process.timers.splice(t.process.timers.indexOf(timer), 1);
  return 0;
}

function times(k: Kernel, t: Task, [at]: readonly number[]): number {
  k.accountTime(t);
  if (at !== 0) {
    const own = processUsage(t.process);
    const all = totalUsage(t.process);
    const fields = [own.userCycles, own.systemCycles, all.userCycles - own.userCycles, all.systemCycles - own.systemCycles];
    if (!fields.every((cycles, i) => t.user.setU64(at! + 8 * i, ticksOfCycles(cycles)))) return -Errno.EFAULT;
  }
  return ticksOfCycles(k.uptimeNs());
}

export const timeSyscalls: readonly SyscallRow[] = [
  { nr: 101, name: 'nanosleep', args: 'timespec ptr', run: nanosleep, interrupted: Interrupted.KeepDeadline },
  { nr: 102, name: 'getitimer', args: 'itimer ptr', run: getitimer },
  { nr: 103, name: 'setitimer', args: 'itimer itimerval ptr', run: setitimer },
  { nr: 107, name: 'timer_create', args: 'clock ptr ptr', run: timerCreate },
  { nr: 108, name: 'timer_gettime', args: 'int ptr', run: timerGettime },
  { nr: 109, name: 'timer_getoverrun', args: 'int', run: (_k, t, [id]) => posixTimer(t, id! | 0)?.lastOverruns ?? -Errno.EINVAL },
  { nr: 110, name: 'timer_settime', args: 'int hex itimerspec ptr', run: timerSettime },
  { nr: 111, name: 'timer_delete', args: 'int', run: timerDelete },
  { nr: 112, name: 'clock_settime', args: 'clock timespec', run: clockSettime },
  { nr: 113, name: 'clock_gettime', args: 'clock ptr', run: clockGettime },
  { nr: 114, name: 'clock_getres', args: 'clock ptr', run: clockGetres },
  { nr: 115, name: 'clock_nanosleep', args: 'clock hex timespec ptr', run: clockNanosleep, interrupted: Interrupted.KeepDeadline },
  { nr: 153, name: 'times', args: 'ptr', run: times },
  { nr: 169, name: 'gettimeofday', args: 'ptr ptr', run: gettimeofday },
  { nr: 170, name: 'settimeofday', args: 'ptr ptr', run: settimeofday },
];
