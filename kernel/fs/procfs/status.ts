// What a task is: status, stat, statm, limits, cmdline and their like. Formats byte for byte those of Linux 6.18 for the fields that are
// modelled (fs/proc/array.c, task_mmu.c, base.c); fields of what is not modelled are absent from status and zero in stat.
import { PAGE_SIZE } from '#base';
import { ticksOfCycles } from '../../proc/clock.ts';
import { oomPoints } from '../../proc/oom.ts';
import type { Process } from '../../proc/process.ts';
import { type Limit, Rlimit } from '../../proc/rlimit.ts';
import { NR_SIGNALS, SigAction, sigBit } from '../../proc/sigset.ts';
import { type Task, TaskState } from '../../proc/task.ts';
import { Errno } from '../../syscall/errno.ts';
import { parseNumber, PART_BYTES, type TextPart, type TextRow } from '../pseudo.ts';
import { mountsText } from './system.ts';
import type { TaskSubject } from './task-dir.ts';

const stateLetters: Readonly<Record<number, string>> = {
  [TaskState.Runnable]: 'R (running)', [TaskState.Sleeping]: 'S (sleeping)', [TaskState.Stopped]: 'T (stopped)',
  [TaskState.Zombie]: 'Z (zombie)', [TaskState.Dead]: 'X (dead)',
};
const stateOf = (t: Task): string => stateLetters[t.state]!;

const kb = (label: string, kilobytes: number): string => `${label}:\t${String(kilobytes).padStart(8)} kB\n`;
const pagesKb = (label: string, pages: number): string => kb(label, pages * (PAGE_SIZE / 1024));
const mask = (set: bigint): string => set.toString(16).padStart(16, '0');

/** Sets of ignored and of caught signals. */
function actionSets(t: Task): { ignored: bigint; caught: bigint } {
  let ignored = 0n;
  let caught = 0n;
  for (let signo = 1; signo <= NR_SIGNALS; signo++) {
    const { handler } = t.handlers.get(signo);
    if (handler === SigAction.Ignore) ignored |= sigBit(signo);
    else if (handler !== SigAction.Default) caught |= sigBit(signo);
  }
  return { ignored, caught };
}
const queuedSignals = (p: Process): number => p.threads.reduce((n, t) => n + t.pending.queue.length, p.pending.queue.length);
const limitWord = (n: number): number | string => (n === Number.POSITIVE_INFINITY ? '18446744073709551615' : n);
/** All that Linux 6.18 has: CAP_CHOWN to CAP_CHECKPOINT_RESTORE. */
const ALL_CAPABILITIES = '000001ffffffffff';

function status({ task: t }: TaskSubject): string {
  const { process: p, credentials: c } = t;
  const alive = t.hasFiles;
  const { ignored, caught } = actionSets(t);
  const caps = (isRoot: boolean): string => (isRoot ? ALL_CAPABILITIES : '0'.padStart(16, '0'));
  return `Name:\t${escapeComm(t.comm)}\n${alive ? `Umask:\t${t.fs.umask.toString(8).padStart(4, '0')}\n` : ''}State:\t${stateOf(t)}\n` +
    `Tgid:\t${t.tgid}\nNgid:\t0\nPid:\t${t.tid}\nPPid:\t${t.ppid}\nTracerPid:\t0\n` +
    `Uid:\t${c.uid}\t${c.euid}\t${c.suid}\t${c.fsuid}\nGid:\t${c.gid}\t${c.egid}\t${c.sgid}\t${c.fsgid}\n` +
    `FDSize:\t${alive ? t.files.capacity : 0}\nGroups:\t${c.groups.join(' ')} \n` +
    `NStgid:\t${t.tgid}\nNSpid:\t${t.tid}\nNSpgid:\t${p.pgid}\nNSsid:\t${p.sid}\nKthread:\t0\n` +
    (t.hasMm ? memoryStatus(t) : '') +
    `Threads:\t${p.threads.length}\nSigQ:\t${queuedSignals(p)}/${limitWord(p.limits[Rlimit.Sigpending]!.cur)}\n` +
    `SigPnd:\t${mask(t.pending.set)}\nShdPnd:\t${mask(p.pending.set)}\nSigBlk:\t${mask(t.blocked)}\nSigIgn:\t${mask(ignored)}\nSigCgt:\t${mask(caught)}\n` +
    `CapInh:\t${caps(false)}\nCapPrm:\t${caps(c.uid === 0 || c.euid === 0)}\nCapEff:\t${caps(c.euid === 0)}\nCapBnd:\t${caps(true)}\nCapAmb:\t${caps(false)}\n` +
    `NoNewPrivs:\t${p.noNewPrivs ? 1 : 0}\nSeccomp:\t0\nSeccomp_filters:\t0\n` +
    `Cpus_allowed:\t1\nCpus_allowed_list:\t0\nMems_allowed:\t1\nMems_allowed_list:\t0\n` +
    `voluntary_ctxt_switches:\t${t.voluntarySwitches}\nnonvoluntary_ctxt_switches:\t${t.involuntarySwitches}\n`;
}

/** Blanks and backslashes of a name that would break the line. */
const escapeComm = (comm: string): string => comm.replace(/\\/g, '\\\\').replace(/\n/g, '\\n');

function memoryStatus(t: Task): string {
  const { mm } = t;
  const { rss } = mm;
  const resident = rss.anonPages + rss.filePages + rss.shmemPages;
  const textKb = textBytes(t) / 1024;
  return pagesKb('VmPeak', Math.max(mm.hiwaterVm, mm.totalVm)) + pagesKb('VmSize', mm.totalVm) + pagesKb('VmLck', mm.lockedVm) + kb('VmPin', 0) +
    pagesKb('VmHWM', Math.max(mm.hiwaterRss, resident)) + pagesKb('VmRSS', resident) +
    pagesKb('RssAnon', rss.anonPages) + pagesKb('RssFile', rss.filePages) + pagesKb('RssShmem', rss.shmemPages) +
    pagesKb('VmData', mm.dataVm) + pagesKb('VmStk', mm.stackVm) + kb('VmExe', textKb) + kb('VmLib', mm.execVm * (PAGE_SIZE / 1024) - textKb) +
    kb('VmPTE', mm.pgtablesBytes / 1024) + pagesKb('VmSwap', rss.swapEntries) + kb('HugetlbPages', 0) +
    `CoreDumping:\t0\nTHP_enabled:\t${mm.thpDisabled ? 0 : 1}\n`;
}
/** Bytes of the program's own text, as task_mem() has them. */
function textBytes({ mm }: Task): number {
  const text = Math.ceil(mm.endCode / PAGE_SIZE) * PAGE_SIZE - Math.floor(mm.startCode / PAGE_SIZE) * PAGE_SIZE;
  return Math.min(text, mm.execVm * PAGE_SIZE);
}

/** The 52 fields of stat (proc_pid_stat(5)). @param wholeProcess counts and times of all threads instead of this one's */
function stat({ task: t, view }: TaskSubject, wholeProcess: boolean): string {
  const { process: p } = t;
  const { tty } = view.host.console;
  const hasTty = view.host.console.isControllingTty && tty.session === p.sid;
  const own = wholeProcess ? groupUsage(p) : { minFlt: t.minFlt, majFlt: t.majFlt, userCycles: t.userCycles, systemCycles: t.systemCycles };
  const child = wholeProcess ? p.childUsage : { minFlt: 0, majFlt: 0, userCycles: 0, systemCycles: 0 };
  const mm = t.hasMm ? t.mm : null;
  const { ignored, caught } = actionSets(t);
  const resident = mm === null ? 0 : mm.rss.anonPages + mm.rss.filePages + mm.rss.shmemPages;
  const low31 = (set: bigint): bigint => set & 0x7fff_ffffn;
  const fields = [
    t.tid, `(${t.comm})`, stateOf(t)[0], t.ppid, p.pgid, p.sid, hasTty ? TTY_NUMBER : 0, hasTty ? tty.foreground : -1, p.hasExeced ? 0x40_0000 : 0x40_0040,
    own.minFlt, child.minFlt, own.majFlt, child.majFlt,
    ticksOfCycles(own.userCycles), ticksOfCycles(own.systemCycles), ticksOfCycles(child.userCycles), ticksOfCycles(child.systemCycles),
    20 + t.nice, t.nice, p.threads.length, 0, ticksOfCycles(t.startCycle),
    mm === null ? 0 : mm.totalVm * PAGE_SIZE, resident, limitWord(p.limits[Rlimit.Rss]!.cur),
    mm?.startCode ?? 0, mm?.endCode ?? 0, mm?.startStack ?? 0, 0, 0,
    low31(t.pending.set | p.pending.set), low31(t.blocked), low31(ignored), low31(caught),
    t.state === TaskState.Sleeping ? 1 : 0, 0, 0, p.exitSignal === 0 && t !== p.leader ? -1 : p.exitSignal, 0, 0, 0, 0, 0, 0,
    mm?.startData ?? 0, mm?.endData ?? 0, mm?.startBrk ?? 0, mm?.argStart ?? 0, mm?.argEnd ?? 0, mm?.envStart ?? 0, mm?.envEnd ?? 0, t.exitCode,
  ];
  return `${fields.join(' ')}\n`;
}
/** /dev/ttyS0 as a number. */
const TTY_NUMBER = 1088;

function groupUsage(p: Process): { minFlt: number; majFlt: number; userCycles: number; systemCycles: number } {
  const sum = { minFlt: p.deadUsage.minFlt, majFlt: p.deadUsage.majFlt, userCycles: p.deadUsage.userCycles, systemCycles: p.deadUsage.systemCycles };
  for (const t of p.threads) {
    sum.minFlt += t.minFlt;
    sum.majFlt += t.majFlt;
    sum.userCycles += t.userCycles;
    sum.systemCycles += t.systemCycles;
  }
  return sum;
}

function statm({ task: t }: TaskSubject): string {
  if (!t.hasMm) return '0 0 0 0 0 0 0\n';
  const { mm } = t;
  const shared = mm.rss.filePages + mm.rss.shmemPages;
  return `${mm.totalVm} ${shared + mm.rss.anonPages} ${shared} ${textBytes(t) / PAGE_SIZE} 0 ${mm.dataVm + mm.stackVm} 0\n`;
}

const limitRows: readonly (readonly [name: string, which: number, unit: string])[] = [
  ['Max cpu time', Rlimit.Cpu, 'seconds'], ['Max file size', Rlimit.Fsize, 'bytes'], ['Max data size', Rlimit.Data, 'bytes'],
  ['Max stack size', Rlimit.Stack, 'bytes'], ['Max core file size', Rlimit.Core, 'bytes'], ['Max resident set', Rlimit.Rss, 'bytes'],
  ['Max processes', Rlimit.Nproc, 'processes'], ['Max open files', Rlimit.Nofile, 'files'], ['Max locked memory', Rlimit.Memlock, 'bytes'],
  ['Max address space', Rlimit.As, 'bytes'], ['Max file locks', Rlimit.Locks, 'locks'], ['Max pending signals', Rlimit.Sigpending, 'signals'],
  ['Max msgqueue size', Rlimit.Msgqueue, 'bytes'], ['Max nice priority', Rlimit.Nice, ''], ['Max realtime priority', Rlimit.Rtprio, ''],
  ['Max realtime timeout', Rlimit.Rttime, 'us'],
];
function limits({ task: t }: TaskSubject): string {
  const word = (n: number): string => (n === Number.POSITIVE_INFINITY ? 'unlimited' : `${n}`).padEnd(20);
  const line = (name: string, l: Limit, unit: string): string => `${name.padEnd(25)} ${word(l.cur)} ${word(l.max)} ${unit === '' ? '' : unit.padEnd(10)}\n`;
  return `${'Limit'.padEnd(25)} ${'Soft Limit'.padEnd(20)} ${'Hard Limit'.padEnd(20)} ${'Units'.padEnd(10)}\n` +
    limitRows.map(([name, which, unit]) => line(name, t.process.limits[which]!, unit)).join('');
}

/** Bytes of the program's own memory between two addresses; what cannot be read ends it. */
function memoryBytes(t: Task, start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, end - start));
  return t.user.read(start, bytes) ? bytes : bytes.subarray(0, t.user.readPrefix(start, bytes));
}
/** The same in parts; the cursor is a distance from `start`. */
function memoryPart(t: Task, start: number, end: number, cursor: number): TextPart {
  const from = start + cursor;
  const bytes = memoryBytes(t, from, Math.min(end, from + PART_BYTES));
  const isLast = bytes.length < PART_BYTES || from + bytes.length >= end;
  return { text: bytes, next: isLast ? null : cursor + bytes.length };
}
/** Arguments; a program that wrote over the NUL at their end shows its new text up to the first NUL (get_mm_cmdline). */
function cmdline({ task: t }: TaskSubject, cursor: number): TextPart {
  const { argStart, argEnd, envEnd } = t.mm;
  if (!t.hasMm || argEnd <= argStart) return { text: '', next: null };
  if (t.user.u8(argEnd - 1) === 0) return memoryPart(t, argStart, argEnd, cursor);
  const part = memoryPart(t, argStart, Math.max(argEnd, envEnd), cursor);
  const nul = (part.text as Uint8Array).indexOf(0, Math.max(0, argEnd - argStart - cursor));
  return nul < 0 ? part : { text: part.text.slice(0, nul), next: null };
}
function environ({ task: t }: TaskSubject, cursor: number): TextPart {
  return t.hasMm ? memoryPart(t, t.mm.envStart, t.mm.envEnd, cursor) : { text: '', next: null };
}

/** 0 to 2000: what the OOM killer would make of it, scaled as fs/proc/base.c does. */
function oomScore({ task: t, view }: TaskSubject): string {
  const points = oomPoints(view, t.process);
  const total = Math.floor(view.system.memTotalBytes / PAGE_SIZE);
  const score = points === null ? 0 : Math.floor(((1000 + Math.trunc((points * 1000) / total)) * 2) / 3);
  return `${Math.max(0, score)}\n`;
}
function setOomScoreAdj({ task: t, view }: TaskSubject, text: string, writer: Task | null): number {
  const n = parseNumber(text);
  if (n === null || n < -1000 || n > 1000) return -Errno.EINVAL;
  if (n < t.process.oomScoreAdj && writer !== null && writer.credentials.euid !== 0) return -Errno.EACCES;
  for (const p of view.processes.values()) {
    const sharesMemory = p === t.process || (t.hasMm && p.threads.some((other) => other.hasMm && other.mm === t.mm));
    if (sharesMemory) p.oomScoreAdj = n;
  }
  return 0;
}
function setComm({ task: t }: TaskSubject, text: string, writer: Task | null): number {
  if (writer !== null && writer.tgid !== t.tgid) return -Errno.EINVAL;
  const line = text.endsWith('\n') ? text.slice(0, -1) : text;
  t.comm = line.slice(0, 15);
  return 0;
}

/** In every task's directory. */
export const statusRows: Readonly<Record<string, TextRow<TaskSubject>>> = {
  environ: { mode: 0o400, showPart: environ },
  auxv: { mode: 0o400, show: ({ task }) => auxv(task) },
  status: { mode: 0o444, show: status },
  personality: { mode: 0o400, show: ({ task }) => `${task.process.personality.toString(16).padStart(8, '0')}\n` },
  limits: { mode: 0o444, show: limits },
  comm: { mode: 0o644, show: ({ task }) => `${task.comm}\n`, store: setComm },
  cmdline: { mode: 0o444, showPart: cmdline },
  stat: { mode: 0o444, show: (s) => stat(s, s.task.isLeader) },
  statm: { mode: 0o444, show: statm },
  mounts: { mode: 0o444, show: ({ vfs }) => mountsText(vfs) },
  cgroup: { mode: 0o444, show: ({ task }) => `0::${task.process.group.path}\n` },
  oom_score: { mode: 0o444, show: oomScore },
  oom_score_adj: { mode: 0o644, show: ({ task }) => `${task.process.oomScoreAdj}\n`, store: setOomScoreAdj },
};
/** Only in a process's. */
export const processRows: Readonly<Record<string, TextRow<TaskSubject>>> = {};

/** The auxiliary vector: it stands on the first stack above the environment's pointers; found there, as the program would. */
function auxv(t: Task): Uint8Array {
  if (!t.hasMm) return new Uint8Array(0);
  const { user, mm } = t;
  const argc = user.word(mm.startStack);
  if (argc === null || argc < 0 || argc > 1 << 22) return new Uint8Array(0);
  let at = mm.startStack + 8 * (argc + 2);
  for (;;) {
    const word = user.word(at);
    if (word === null) return new Uint8Array(0);
    at += 8;
    if (word === 0) break;
  }
  const pairs: number[] = [];
  for (let i = 0; i < 64; i++) {
    const bytes = memoryBytes(t, at + 16 * i, at + 16 * (i + 1));
    pairs.push(...bytes);
    if (bytes.length < 16 || bytes.subarray(0, 8).every((byte) => byte === 0)) break;
  }
  return new Uint8Array(pairs);
}
