// What happens as time passes: requests to disks end, sleeps end, timers send their signals. Called when the kernel is about to go back to a program, and while all
// sleep. A timer is seen at the end of the run of instructions that its deadline cut short, never in the middle of one.
import type { Kernel } from '../kernel.ts';
import type { Process } from './process.ts';
import { killForMemory } from './oom.ts';
import { Rlimit } from './rlimit.ts';
import { sendToProcess, sendToTask } from './signal.ts';
import { kernelInfo, timerInfo } from './siginfo.ts';
import { Signal } from './sigset.ts';
import type { Task } from './task.ts';
import { type KernelTimer, TimerClock } from './timers.ts';
import { NS_PER_SECOND } from './clock.ts';

export function cpuCycles(p: Process): number {
  return p.threads.reduce((sum, t) => sum + t.userCycles + t.systemCycles, p.deadUsage.userCycles + p.deadUsage.systemCycles);
}
export const userCycles = (p: Process): number => p.threads.reduce((sum, t) => sum + t.userCycles, p.deadUsage.userCycles);

/** The clock a timer counts, now. */
export function timerNow(k: Kernel, p: Process, timer: KernelTimer): number {
  switch (timer.clock) {
    case TimerClock.Real:
      return k.machine.clockCycles;
    case TimerClock.ProcessUser:
      return userCycles(p);
    case TimerClock.ProcessCpu:
      return cpuCycles(p);
    case TimerClock.ThreadCpu: {
      const t = p.threads.find((thread) => thread.tid === timer.clockTid);
      return t === undefined ? 0 : t.userCycles + t.systemCycles;
    }
  }
}

/** Ends the sleeps and fires the timers that are due, earliest first, then in order of creation. */
export function expire(k: Kernel): void {
  const { waits } = k.system;
  if (waits.deadline <= k.machine.clockCycles) waits.complete();
  if (waits.hasDeferred) waits.runDeferred();
  if (k.system.daemonDeadline <= k.machine.clockCycles) runDaemons(k);
  if (k.system.oomRequested) killForKswapd(k);
  const { clockCycles } = k.machine;
  if (k.load.isDue(clockCycles)) k.load.sample(clockCycles, [...k.runQueue].length + (k.current === null ? 0 : 1));
  if (k.timedSleepers.size === 0 && k.armed.size === 0) return;
  const now = k.machine.clockCycles;
  for (const t of [...k.timedSleepers].sort((a, b) => (a.deadline ?? 0) - (b.deadline ?? 0))) {
    if (t.deadline === null) k.timedSleepers.delete(t); // it was woken by something else
    else if (t.deadline <= now) {
      k.timedSleepers.delete(t);
      t.wake(true);
    }
  }
  for (const p of [...k.armed]) {
    let isArmed = false;
    for (const timer of p.timers) {
      if (timer.deadline !== null && timerNow(k, p, timer) >= timer.deadline) fire(k, p, timer);
      isArmed ||= timer.deadline !== null;
    }
    isArmed = checkCpuLimit(k, p) || isArmed;
    if (!isArmed) k.armed.delete(p);
  }
}

/** A thread of the kernel takes the hart for its while. That is the running program's time as little as a switch to another task would be. */
function runDaemons(k: Kernel): void {
  if (k.current !== null) k.accountTime(k.current);
  k.system.runDaemons();
  if (k.current !== null) k.startTime();
}

/** Nobody's allocation failed, but what is left to evict is in use: lru_gen/min_ttl_ms. */
function killForKswapd(k: Kernel): void {
  k.system.oomRequested = false;
  const [anybody] = k.tasks.values();
  const asker = k.current ?? anybody;
  if (asker !== undefined) killForMemory(k, asker);
}

function fire(k: Kernel, p: Process, timer: KernelTimer): void {
  const now = timerNow(k, p, timer);
  const periods = timer.interval === 0 ? 0 : Math.floor((now - timer.deadline!) / timer.interval);
  timer.deadline = timer.interval === 0 ? null : timer.deadline! + (periods + 1) * timer.interval;
  if (timer.signo === 0) return;
  if (timer.id < 0) {
    sendToProcess(k, p, kernelInfo(timer.signo));
    return;
  }
  timer.overruns += periods;
  if (timer.isQueued) {
    timer.overruns++;
    return;
  }
  const info = timerInfo(timer);
  timer.isQueued = true;
  const target = timer.targetTid === 0 ? null : p.threads.find((t) => t.tid === timer.targetTid);
  if (target === null) sendToProcess(k, p, info);
  else if (target !== undefined) sendToTask(k, target, info);
  if (!isWaiting(p, timer)) timer.isQueued = false; // ignored, or the thread is gone
}
const isWaiting = (p: Process, timer: KernelTimer): boolean =>
  p.pending.queue.some((info) => info.timer === timer) || p.threads.some((t) => t.pending.queue.some((info) => info.timer === timer));

/** RLIMIT_CPU: SIGXCPU each second above the soft limit, SIGKILL at the hard one. @returns whether there is such a limit */
function checkCpuLimit(k: Kernel, p: Process): boolean {
  const limit = p.limits[Rlimit.Cpu]!;
  if (limit.cur === Number.POSITIVE_INFINITY && limit.max === Number.POSITIVE_INFINITY) return false;
  const seconds = cpuCycles(p) / NS_PER_SECOND;
  if (seconds >= limit.max) {
    sendToProcess(k, p, kernelInfo(Signal.KILL));
  } else if (seconds >= limit.cur && seconds >= p.nextCpuWarning) {
    p.nextCpuWarning = Math.floor(seconds) + 1;
    sendToProcess(k, p, kernelInfo(Signal.XCPU));
  }
  return true;
}

/** Clock cycle of the next thing that time alone brings about while all sleep; Infinity: nothing. */
export function nextDeadline(k: Kernel): number {
  let next = k.system.waits.deadline;
  for (const t of k.timedSleepers) if (t.deadline !== null && t.deadline < next) next = t.deadline;
  for (const p of k.armed) {
    for (const timer of p.timers) {
      if (timer.deadline !== null && timer.clock === TimerClock.Real && timer.deadline < next) next = timer.deadline;
    }
  }
  return next;
}

/** The same with the kernel's own work, which takes the hart but brings no program on: nobody waits for it. */
export const nextWork = (k: Kernel): number => Math.min(nextDeadline(k), k.system.daemonDeadline);

/** Cycles until something of the running task's own CPU time is due; Infinity: nothing. */
export function nextCpuDeadline(k: Kernel, t: Task): number {
  const p = t.process;
  if (!k.armed.has(p)) return Number.POSITIVE_INFINITY;
  let left = Number.POSITIVE_INFINITY;
  for (const timer of p.timers) {
    if (timer.deadline === null || timer.clock === TimerClock.Real) continue;
    if (timer.clock === TimerClock.ThreadCpu && timer.clockTid !== t.tid) continue;
    left = Math.min(left, Math.max(0, timer.deadline - timerNow(k, p, timer)));
  }
  const { cur, max } = p.limits[Rlimit.Cpu]!;
  const limit = Math.min(Math.max(cur, p.nextCpuWarning), max) * NS_PER_SECOND;
  return Math.min(left, Math.max(0, limit - cpuCycles(p)));
}
