// The end of tasks and processes. Here: a thread ends, a program ends, what becomes of its children, telling the parent, reaping. A task has no
// stack in the kernel, so another one can be ended on the spot, wherever it slept. Mirrors kernel/exit.c.
import { tracepoint } from '#base';
import type { Kernel } from '../kernel.ts';
import { ticksOfCycles } from './clock.ts';
import { cpuCycles, userCycles } from './expiry.ts';
import { futexKey, leaveFutex, walkRobustList } from './futex.ts';
import { isOrphanedGroup, processesInGroup } from './groups.ts';
import type { Process } from './process.ts';
import { ChildCode, childInfo, kernelInfo, senderInfo, SiCode } from './siginfo.ts';
import { finishStop, offerToOthers, sendToProcess } from './signal.ts';
import { NR_SIGNALS, SaFlag, SigAction, Signal } from './sigset.ts';
import { type Task, TaskState } from './task.ts';

export const schedProcessExit = tracepoint('sched_process_exit', 'sched', { pid: 'dec', status: 'dec' });

/** wait status words (wait.h). */
export const exitedStatus = (code: number): number => (code & 0xff) << 8;
export const statusSignal = (status: number): number => status & 0x7f;
export const statusCode = (status: number): number => (status >> 8) & 0xff;

/** Ends the whole program: every thread, then the process. @param status wait status word */
export function exitGroup(k: Kernel, p: Process, status: number): void {
  p.groupExit ??= status;
  p.stopSignal = 0;
  for (const t of [...p.threads].reverse()) exitTask(k, t, p.groupExit); // the oldest last, so that it stands for the program to the end
}

/** Ends one thread; with the last one the program ends. */
export function exitTask(k: Kernel, t: Task, status: number): void {
  const p = t.process;
  k.accountTime(t);
  t.cancelSleep();
  k.runQueue.remove(t);
  k.timedSleepers.delete(t);
  leaveFutex(k, t);
  if (t.hasMm) {
    leaveMm(k, t);
    releaseOldMm(k, t);
  }
  t.hasFiles = false;
  t.files.unref();
  t.fs.unref();
  t.state = TaskState.Zombie;
  t.pendingCall = null;
  t.restart = null;
  t.exitCode = status;
  if (k.current === t) k.current = null;
  k.forgetContext(t);
  if (schedProcessExit.enabled) schedProcessExit.emit(t.tid, status);

  p.threads.splice(p.threads.indexOf(t), 1);
  const dead = p.deadUsage;
  dead.userCycles += t.userCycles;
  dead.systemCycles += t.systemCycles;
  dead.minFlt += t.minFlt;
  dead.majFlt += t.majFlt;
  dead.switches[0] += t.voluntarySwitches;
  dead.switches[1] += t.involuntarySwitches;
  if (t !== p.leader) {
    k.tasks.delete(t.tid);
    t.state = TaskState.Dead;
  }
  if (p.threads.length > 0) {
    offerToOthers(t, ~t.blocked);
    finishStop(k, p);
  } else {
    endProcess(k, p, p.groupExit ?? p.leader.exitCode);
  }
}

/** execve: the other threads end, and the caller becomes the leader. Mirrors de_thread(). */
export function becomeOnlyThread(k: Kernel, t: Task): void {
  const p = t.process;
  for (const other of [...p.threads]) if (other !== t) exitTask(k, other, 0);
  if (t === p.leader) return;
  k.tasks.delete(t.tid);
  p.leader.state = TaskState.Dead;
  t.tid = p.tgid;
  k.tasks.set(t.tid, t);
  p.leader = t;
}

/** What user memory learns before a task leaves it: robust mutexes, the cleared tid word, vfork's parent. Mirrors mm_release(). */
export function leaveMm(k: Kernel, t: Task): void {
  if (!t.hasMm) return;
  walkRobustList(k, t);
  if (t.clearChildTid !== 0 && isMmShared(k, t)) {
    const va = t.clearChildTid;
    if (t.user.setU32(va, 0)) k.futexes.wake(futexKey(t, va, false), 1);
  }
  t.clearChildTid = 0;
  t.vforkQueue?.wake();
  t.vforkQueue = null;
}
/** Lets go of the address space; the last user's departure frees it. Mirrors exit_mm() and mmput(). */
export function releaseOldMm(k: Kernel, t: Task): void {
  if (!t.hasMm) return;
  const { mm, process } = t;
  process.maxRssPages = Math.max(process.maxRssPages, mm.hiwaterRss);
  const isLast = !isMmShared(k, t);
  t.hasMm = false;
  if (!isLast) return;
  mm.dispose();
  k.forgetMm(mm);
}
export function isMmShared(k: Kernel, t: Task): boolean {
  for (const other of k.tasks.values()) if (other !== t && other.hasMm && other.mm === t.mm) return true;
  return false;
}

/** The last thread is gone. Mirrors exit_notify(). */
function endProcess(k: Kernel, p: Process, status: number): void {
  p.isZombie = true;
  p.exitStatus = status;
  p.exitQueue.wake();
  p.timers.length = 0;
  k.armed.delete(p);
  giveAwayChildren(k, p);
  hangUpOrphans(k, p);
  if (p === k.first) endMachine(k, p, status);
  const { parent } = p;
  if (parent === null || tellParent(k, p, parent)) reap(k, p);
}

/** The machine ends with its first program, as a container does. */
function endMachine(k: Kernel, first: Process, status: number): void {
  k.exitStatus = { status: statusCode(status), signal: statusSignal(status) };
  const left = [...k.processes.values()].filter((p) => p !== first && !p.isZombie).length;
  if (left > 0) k.say(`${left} ${left === 1 ? 'process was' : 'processes were'} still running when ${first.leader.comm}, the first program, ended; the machine ends with it`);
}

/** Orphans go to the nearest ancestor that asked for them, else to init, which waits for all. */
function giveAwayChildren(k: Kernel, p: Process): void {
  let heir = p.parent;
  while (heir !== null && !(heir.isSubreaper && !heir.isZombie)) heir = heir.parent;
  for (const child of p.children.splice(0)) {
    child.parent = heir;
    heir?.children.push(child);
    if (child.parentDeathSignal !== 0) sendToProcess(k, child, senderInfo(child.parentDeathSignal, SiCode.User, p.tgid, p.leader.credentials.uid));
    if (!child.isZombie) continue;
    if (heir === null || tellParent(k, child, heir)) reap(k, child);
  }
}
/** Stopped programs that nobody is left to continue get SIGHUP and SIGCONT. POSIX exit(); mirrors kill_orphaned_pgrp(). */
function hangUpOrphans(k: Kernel, p: Process): void {
  const groups = new Set([p.pgid, ...[...k.processes.values()].filter((other) => other.parent === null && other.sid === p.sid && other !== p).map((other) => other.pgid)]);
  for (const pgid of groups) {
    const members = processesInGroup(k, pgid).filter((other) => other !== p);
    if (!members.some((other) => other.stopSignal !== 0) || !isOrphanedGroup(k, pgid, p)) continue;
    for (const member of members) {
      sendToProcess(k, member, kernelInfo(Signal.HUP));
      sendToProcess(k, member, kernelInfo(Signal.CONT));
    }
  }
}

/** Sends the exit signal and wakes who waits. @returns whether the parent does not care, so that nobody will wait (SIG_IGN, SA_NOCLDWAIT) */
function tellParent(k: Kernel, p: Process, parent: Process): boolean {
  if (parent.threads.length === 0) return false;
  const status = p.exitStatus;
  const killer = statusSignal(status);
  const action = parent.leader.handlers.get(Signal.CHLD);
  const isIgnored = p.exitSignal === Signal.CHLD && (action.handler === SigAction.Ignore || (action.flags & SaFlag.NoCldWait) !== 0);
  // clone(2) takes any number below 256 for the exit signal; one that is no signal is not sent (do_notify_parent: valid_signal).
  if (p.exitSignal !== 0 && p.exitSignal <= NR_SIGNALS && !(isIgnored && action.handler === SigAction.Ignore)) {
    const code = killer === 0 ? ChildCode.Exited : ChildCode.Killed;
    const user = userCycles(p);
    sendToProcess(k, parent, childInfo(p.exitSignal, code, p.tgid, p.leader.credentials.uid, killer === 0 ? statusCode(status) : killer,
      ticksOfCycles(user), ticksOfCycles(cpuCycles(p) - user)));
  }
  parent.childQueue.wake();
  return isIgnored;
}

/** The zombie goes; what it used counts for its parent (wait_task_zombie). */
export function reap(k: Kernel, p: Process): void {
  const { parent } = p;
  if (parent !== null) {
    parent.children.splice(parent.children.indexOf(p), 1);
    const into = parent.childUsage;
    for (const from of [p.deadUsage, p.childUsage]) {
      into.userCycles += from.userCycles;
      into.systemCycles += from.systemCycles;
      into.minFlt += from.minFlt;
      into.majFlt += from.majFlt;
      into.switches[0] += from.switches[0];
      into.switches[1] += from.switches[1];
    }
    into.maxRssPages = Math.max(into.maxRssPages, p.maxRssPages, p.childUsage.maxRssPages);
  }
  p.leader.state = TaskState.Dead;
  k.tasks.delete(p.leader.tid);
  k.processes.delete(p.tgid);
  p.isReaped = true;
  p.exitQueue.wake();
}
