// The part of the state hash that tasks and processes make up: everything that decides what they do next. Two runs that differ anywhere differ
// here or in RAM.
import type { StateHash } from '#base';
import type { Kernel } from '../kernel.ts';
import type { Process } from './process.ts';
import type { PendingSignals } from './sigset.ts';
import type { Task } from './task.ts';

export function hashTasks(k: Kernel, into: StateHash): void {
  for (const p of k.processes.values()) hashProcess(p, into);
  for (const t of k.tasks.values()) hashTask(t, into);
  into.word(k.current?.tid ?? -1);
  into.word(k.loadedTask?.tid ?? -1);
  for (const t of k.runQueue) into.word(t.tid);
  into.word(k.isInUser ? 1 : 0);
}

function hashTask(t: Task, into: StateHash): void {
  into.text(t.comm);
  into.int32s(new Int32Array(t.context.buffer));
  into.numbers([t.tid, t.process.tgid, t.state, t.minFlt, t.majFlt, t.deadline ?? -1, t.timedOut ? 1 : 0, t.sliceLeft, t.userCycles, t.systemCycles,
    t.voluntarySwitches, t.involuntarySwitches, t.clearChildTid, t.setChildTid, t.robustList?.head ?? -1, t.exitCode, t.nice,
    t.altStack.sp, t.altStack.size, t.altStack.flags, t.signalPending ? 1 : 0, t.hasMm ? t.mm.id : -1]);
  set(t.blocked, into);
  set(t.savedMask ?? -1n, into);
  pending(t.pending, into);
  if (t.pendingCall !== null) into.numbers([t.pendingCall.nr, ...t.pendingCall.args]);
  if (t.pendingFault !== null) into.numbers([t.pendingFault.va, t.pendingFault.access]);
  for (const [note, value] of Object.entries(t.restart ?? {})) {
    into.text(note);
    into.number(value);
  }
  if (t.futex !== null) into.numbers([t.futex.key.offset, t.futex.bitset, t.futex.isWoken ? 1 : 0]);
  for (const action of t.handlers.actions) {
    into.numbers([action.handler, action.flags]);
    set(action.mask, into);
  }
  const c = t.credentials;
  into.numbers([c.uid, c.euid, c.suid, c.fsuid, c.gid, c.egid, c.sgid, c.fsgid, ...c.groups]);
}

function hashProcess(p: Process, into: StateHash): void {
  into.numbers([p.tgid, p.parentPid, p.pgid, p.sid, p.exitSignal, p.groupExit ?? -1, p.stopSignal, p.isZombie ? 1 : 0, p.exitStatus, p.nextTimerId,
    p.vdso, p.oomScoreAdj, p.unreported === null ? 0 : p.unreported === 'stopped' ? 1 : 2, p.maxRssPages]);
  for (const { cur, max } of p.limits) into.numbers([cur, max]);
  for (const timer of p.timers) into.numbers([timer.id, timer.clock, timer.deadline ?? -1, timer.interval, timer.signo, timer.overruns, timer.isQueued ? 1 : 0]);
  pending(p.pending, into);
  for (const usage of [p.deadUsage, p.childUsage]) into.numbers([usage.userCycles, usage.systemCycles, usage.minFlt, usage.majFlt, ...usage.switches]);
}

function set(bits: bigint, into: StateHash): void {
  into.word(Number(BigInt.asIntN(32, bits)));
  into.word(Number(BigInt.asIntN(32, bits >> 32n)));
}
function pending(signals: PendingSignals, into: StateHash): void {
  set(signals.set, into);
  for (const info of signals.queue) into.int32s(new Int32Array(info.bytes.buffer, info.bytes.byteOffset, info.bytes.byteLength / 4));
}
