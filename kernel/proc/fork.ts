// New tasks: clone(2) in all its forms, from fork to pthread_create. Mirrors kernel/fork.c: copy_process().
import { tracepoint } from '#base';
import { Open } from '../fs/file.ts';
import { PidFd } from '../fs/pidfd.ts';
import type { Kernel } from '../kernel.ts';
import { dupMm } from '../mm/fork.ts';
import { UserMemory } from '../mm/uaccess.ts';
import { Errno } from '../syscall/errno.ts';
import { Process } from './process.ts';
import { copyLimits, Rlimit } from './rlimit.ts';
import { SigAction, SignalHandlers } from './sigset.ts';
import { Task } from './task.ts';
import { WaitQueue } from './wait.ts';

export const schedProcessFork = tracepoint('sched_process_fork', 'sched', { parent_pid: 'dec', child_pid: 'dec' });

/** Flags of clone(2). Those from 2^32 on are clone3's alone, so flags are numbers, tested with hasFlag(). */
export const CloneFlag = {
  Vm: 0x100, Fs: 0x200, Files: 0x400, SigHand: 0x800, PidFd: 0x1000, Ptrace: 0x2000, Vfork: 0x4000, Parent: 0x8000, Thread: 0x1_0000,
  NewNs: 0x2_0000, SysvSem: 0x4_0000, SetTls: 0x8_0000, ParentSetTid: 0x10_0000, ChildClearTid: 0x20_0000, Detached: 0x40_0000,
  Untraced: 0x80_0000, ChildSetTid: 0x100_0000, NewCgroup: 0x200_0000, NewUts: 0x400_0000, NewIpc: 0x800_0000, NewUser: 0x1000_0000,
  NewPid: 0x2000_0000, NewNet: 0x4000_0000, Io: 0x8000_0000, ClearSigHand: 0x1_0000_0000, IntoCgroup: 0x2_0000_0000,
} as const;
const NAMESPACES = [CloneFlag.NewNs, CloneFlag.NewCgroup, CloneFlag.NewUts, CloneFlag.NewIpc, CloneFlag.NewUser, CloneFlag.NewPid, CloneFlag.NewNet];
export const hasFlag = (flags: number, flag: number): boolean => Math.floor(flags / flag) % 2 === 1;

export interface CloneRequest {
  /** CloneFlag bits, without the exit signal. */
  flags: number;
  exitSignal: number;
  /** New stack pointer; 0: the caller's. */
  stack: number;
  tls: number;
  parentTid: number;
  childTid: number;
  /** Where CLONE_PIDFD puts the descriptor. */
  pidFd: number;
}

/** Makes a task that continues after the caller's system call, with 0 as its result. @returns the task or -errno */
export function cloneTask(k: Kernel, parent: Task, request: CloneRequest): Task | number {
  const { flags } = request;
  const has = (flag: number): boolean => hasFlag(flags, flag);
  if (has(CloneFlag.SigHand) && !has(CloneFlag.Vm)) return -Errno.EINVAL;
  if (has(CloneFlag.Thread) && !has(CloneFlag.SigHand)) return -Errno.EINVAL;
  if (has(CloneFlag.ClearSigHand) && has(CloneFlag.SigHand)) return -Errno.EINVAL;
  if (has(CloneFlag.NewNs) && has(CloneFlag.Fs)) return -Errno.EINVAL;
  if (NAMESPACES.some(has)) return -Errno.EPERM; // there is one of each, as in a container without privileges
  if (has(CloneFlag.IntoCgroup)) return -Errno.EINVAL; // not configured
  // A thread's descriptor would be one that stands for a thread alone (PIDFD_THREAD), which is left out.
  if (has(CloneFlag.PidFd) && (has(CloneFlag.Thread) || has(CloneFlag.Detached))) return -Errno.EINVAL;
  if (parent.process.groupExit !== null) return -Errno.EINTR;
  if (k.tasks.size >= k.maxTasks) return -Errno.EAGAIN;
  const tid = k.allocateTid();
  if (tid === null) return -Errno.EAGAIN;

  const child = new Task(tid);
  if (has(CloneFlag.Vm)) child.mm = parent.mm;
  else {
    const mm = dupMm(parent.mm);
    if (mm === null) return -Errno.ENOMEM;
    child.mm = mm;
    mm.counts = child;
  }
  child.hasMm = true;
  child.user = new UserMemory(child.mm, child);
  child.files = has(CloneFlag.Files) ? parent.files.ref() : parent.files.dup();
  child.fs = has(CloneFlag.Fs) ? parent.fs.ref() : parent.fs.dup();
  child.hasFiles = true;
  child.process = has(CloneFlag.Thread) ? parent.process : newProcess(parent, child, request);
  const refused = has(CloneFlag.PidFd) ? givePidFd(k, parent, child.process, request.pidFd) : 0;
  if (refused !== 0) {
    if (!has(CloneFlag.Vm)) child.mm.dispose();
    child.files.unref();
    child.fs.unref();
    return refused;
  }
  child.handlers = has(CloneFlag.SigHand) ? parent.handlers : new SignalHandlers(parent.handlers);
  if (has(CloneFlag.ClearSigHand)) clearHandlers(child.handlers);
  child.credentials = parent.credentials;
  child.comm = parent.comm;
  child.nice = parent.nice;
  child.policy = parent.policy;
  child.rtPriority = parent.rtPriority;
  child.blocked = parent.blocked;
  if (!has(CloneFlag.Vm) || has(CloneFlag.Vfork)) child.altStack = { ...parent.altStack };
  child.runQueue = k.runQueue;
  child.startCycle = k.machine.clockCycles;
  if (has(CloneFlag.ChildSetTid)) child.setChildTid = request.childTid;
  if (has(CloneFlag.ChildClearTid)) child.clearChildTid = request.childTid;

  k.saveContext(parent);
  child.context.set(parent.context);
  child.context[0]! += 4n; // past the ecall
  child.context[10] = 0n;
  if (request.stack !== 0) child.context[2] = BigInt(request.stack);
  if (has(CloneFlag.SetTls)) child.context[4] = BigInt(request.tls);

  if (has(CloneFlag.ParentSetTid)) parent.user.setU32(request.parentTid, tid);
  if (has(CloneFlag.Vfork)) child.vforkQueue = new WaitQueue();
  if (!has(CloneFlag.Thread)) register(k, child.process);
  child.process.threads.push(child);
  k.tasks.set(tid, child);
  k.machine.charge(k.params.cost.task_create);
  child.makeRunnable();
  if (schedProcessFork.enabled) schedProcessFork.emit(parent.tid, tid);
  return child;
}

/** CLONE_PIDFD: a descriptor for the process that is about to be, closed on exec, which the child has only if it shares all of them. Its number
 *  is written when the child's memory is a copy already. @returns 0 or -errno */
function givePidFd(k: Kernel, parent: Task, process: Process, va: number): number {
  const file = k.vfs.newAnonymous('pidfd', new PidFd(process), Open.RDWR);
  if (typeof file === 'number') return file;
  const fd = parent.files.install(file, true, 0, parent.process.limits[Rlimit.Nofile]!.cur);
  if (fd < 0) file.unref();
  else if (!parent.user.setU32(va, fd)) parent.files.close(fd);
  else return 0;
  return fd < 0 ? fd : -Errno.EFAULT;
}

/** What the threads of the new program will share; nobody knows of it yet. */
function newProcess(parent: Task, child: Task, request: CloneRequest): Process {
  const from = parent.process;
  const isSibling = hasFlag(request.flags, CloneFlag.Parent);
  const p = new Process(child.tid, isSibling ? from.parent : from);
  p.leader = child;
  p.pgid = from.pgid;
  p.sid = from.sid;
  p.exitSignal = isSibling ? from.exitSignal : request.exitSignal;
  p.limits = copyLimits(from.limits);
  p.group = from.group;
  p.vdso = from.vdso;
  p.oomScoreAdj = from.oomScoreAdj;
  p.dumpable = from.dumpable;
  p.noNewPrivs = from.noNewPrivs;
  p.personality = from.personality;
  return p;
}
function register(k: Kernel, p: Process): void {
  p.parent?.children.push(p);
  k.processes.set(p.tgid, p);
  if (k.hasCpuLimit(p)) k.armed.add(p);
}

/** CLONE_CLEAR_SIGHAND: what was caught is default again; what was ignored stays ignored. */
function clearHandlers(handlers: SignalHandlers): void {
  for (const action of handlers.actions) {
    if (action.handler === SigAction.Ignore) continue;
    action.handler = SigAction.Default;
    action.flags = 0;
    action.mask = 0n;
  }
}

