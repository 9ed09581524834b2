// System calls about tasks: making and ending them, waiting, who they are. Here: arguments and results. Not here: what clone, execve and exit
// do (proc/), limits and usage (resource.ts), prctl (prctl.ts).
import { utf8Encode } from '#base';
import { FileType } from '../fs/inode.ts';
import type { Kernel } from '../kernel.ts';
import type { Credentials } from '../proc/credentials.ts';
import { isPrivileged } from '../proc/credentials.ts';
import { checkProgram, exec, openProgram } from '../proc/exec.ts';
import { exitedStatus, exitGroup, exitTask } from '../proc/exit.ts';
import { CloneFlag, cloneTask, type CloneRequest, hasFlag } from '../proc/fork.ts';
import { sessionOfGroup } from '../proc/groups.ts';
import type { Process } from '../proc/process.ts';
import { applyLimits } from '../proc/rlimit.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { wait4, waitid } from '../proc/waitpid.ts';
import { Errno } from './errno.ts';
import { readPath } from './paths.ts';
import { Interrupted, NO_RESULT, type SyscallRow } from './row.ts';

// --- clone ---

function finishClone(k: Kernel, t: Task, request: CloneRequest): number {
  const child = cloneTask(k, t, request);
  if (typeof child === 'number') return child;
  if (child.vforkQueue === null) return child.tid;
  t.restart = { child: child.tid };
  return waitForVfork(k, t, child.tid);
}
/** vfork: the parent sleeps until the child has another address space or is gone; only SIGKILL ends it sooner. */
function waitForVfork(k: Kernel, t: Task, tid: number): number {
  const queue = k.tasks.get(tid)?.vforkQueue ?? null;
  if (queue === null) return tid;
  t.interrupted = Interrupted.Never;
  t.sleepOn([queue]);
  return BLOCK;
}

function clone(k: Kernel, t: Task, a: readonly number[]): number {
  if (t.restart !== null) return waitForVfork(k, t, t.restart.child!);
  const [flags, stack, parentTid, tls, childTid] = a as [number, number, number, number, number];
  // The old call has one place for both the number and the descriptor.
  if (hasFlag(flags >>> 0, CloneFlag.PidFd) && hasFlag(flags >>> 0, CloneFlag.ParentSetTid)) return -Errno.EINVAL;
  return finishClone(k, t, { flags: (flags >>> 0) - (flags & 0xff), exitSignal: flags & 0xff, stack, tls, parentTid, childTid, pidFd: parentTid });
}

const CLONE_ARGS_MIN = 64;
const CLONE_ARGS_BYTES = 88;
function clone3(k: Kernel, t: Task, [va, size]: readonly number[]): number {
  if (t.restart !== null) return waitForVfork(k, t, t.restart.child!);
  if (size! < CLONE_ARGS_MIN) return -Errno.EINVAL;
  if (size! > 4096) return -Errno.E2BIG;
  const bytes = new Uint8Array(Math.max(size!, CLONE_ARGS_BYTES));
  if (!t.user.read(va!, bytes.subarray(0, size!))) return -Errno.EFAULT;
  if (bytes.subarray(CLONE_ARGS_BYTES).some((b) => b !== 0)) return -Errno.E2BIG;
  const view = new DataView(bytes.buffer);
  const word = (i: number): number => Number(view.getBigInt64(8 * i, true));
  const [flags, pidFd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize] = Array.from({ length: 11 }, (_, i) => word(i)) as number[] as
    [number, number, number, number, number, number, number, number, number, number];
  if (flags < 0 || flags >= 2 ** 34 || (flags & 0xff) !== 0 || hasFlag(flags, CloneFlag.Detached)) return -Errno.EINVAL;
  if (exitSignal < 0 || exitSignal > 64) return -Errno.EINVAL;
  const isThread = hasFlag(flags, CloneFlag.Thread) || hasFlag(flags, CloneFlag.Parent);
  if (isThread && exitSignal !== 0) return -Errno.EINVAL;
  if ((stack === 0) !== (stackSize === 0) || stackSize < 0) return -Errno.EINVAL;
  if (hasFlag(flags, CloneFlag.PidFd) && hasFlag(flags, CloneFlag.ParentSetTid) && pidFd === parentTid) return -Errno.EINVAL;
  if (setTid !== 0 || setTidSize !== 0) return -Errno.EPERM; // choosing pids needs CAP_CHECKPOINT_RESTORE in a namespace of one's own
  return finishClone(k, t, { flags, exitSignal, stack: stack === 0 ? 0 : stack + stackSize, tls, parentTid, childTid, pidFd });
}

// --- execve ---

const MAX_ARG_STRLEN = 131072;
const MAX_ARG_STRINGS = 0x7fff_ffff;
/** The strings of an argv or envp; a number is -errno. @param budget bytes that may still be read, so that no list is endless */
function readStrings(t: Task, list: number, budget: { bytes: number }): string[] | number {
  const strings: string[] = [];
  if (list === 0) return strings;
  for (let i = 0; i < MAX_ARG_STRINGS; i++) {
    const va = t.user.word(list + 8 * i);
    if (va === null) return -Errno.EFAULT;
    if (va === 0) return strings;
    const s = t.user.cstring(va, MAX_ARG_STRLEN);
    if (s === null) return t.user.readPrefix(va, new Uint8Array(MAX_ARG_STRLEN)) === MAX_ARG_STRLEN ? -Errno.E2BIG : -Errno.EFAULT;
    strings.push(s);
    budget.bytes -= utf8Encode(s).length + 1 + 8;
    if (budget.bytes < 0) return -Errno.E2BIG;
  }
  return strings;
}
function execve(k: Kernel, t: Task, [pathAt, argvAt, envAt]: readonly number[]): number {
  const path = readPath(t, pathAt!);
  if (typeof path === 'number') return path;
  const file = openProgram(k, t, path);
  return typeof file === 'number' ? file : runProgram(k, t, file, path, argvAt!, envAt!);
}

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
function execveat(k: Kernel, t: Task, [dirfd, pathAt, argvAt, envAt, flags]: readonly number[]): number {
  if ((flags! & ~(AT_EMPTY_PATH | 0x100)) !== 0) return -Errno.EINVAL;
  const path = readPath(t, pathAt!);
  if (typeof path === 'number') return path;
  if (path.startsWith('/') || dirfd === AT_FDCWD) return execve(k, t, [pathAt!, argvAt!, envAt!]);
  const base = t.files.get(dirfd! | 0);
  if (base === null) return -Errno.EBADF;
  if (path === '' && (flags! & AT_EMPTY_PATH) === 0) return -Errno.ENOENT;
  if (path !== '' && base.inode.type !== FileType.Directory) return -Errno.ENOTDIR;
  const full = path === '' ? base.path : `${base.path}/${path}`;
  const file = path === '' ? checkProgram(base.ref()) : openProgram(k, t, full);
  return typeof file === 'number' ? file : runProgram(k, t, file, full, argvAt!, envAt!);
}

function runProgram(k: Kernel, t: Task, file: Parameters<typeof checkProgram>[0], path: string, argvAt: number, envAt: number): number {
  const budget = { bytes: 8 << 20 };
  const argv = readStrings(t, argvAt, budget);
  const env = typeof argv === 'number' ? argv : readStrings(t, envAt, budget);
  if (typeof argv === 'number' || typeof env === 'number') {
    file.unref();
    return env as number;
  }
  k.machine.charge(k.params.cost.exec);
  const error = exec(k, t, { file, path, argv: argv.length === 0 ? [''] : argv, env });
  if (error === null) return NO_RESULT;
  if (error.errno !== Errno.E2BIG && error.errno !== Errno.ENOMEM) k.say(`${t.comm}[${t.tid}]: execve ${path}: ${error.sentence}`);
  return -error.errno;
}

// --- exit ---

function exit(k: Kernel, t: Task, [code]: readonly number[]): number {
  k.machine.charge(k.params.cost.task_exit);
  exitTask(k, t, exitedStatus(code!));
  return NO_RESULT;
}
function exitGroupCall(k: Kernel, t: Task, [code]: readonly number[]): number {
  k.machine.charge(k.params.cost.task_exit);
  exitGroup(k, t.process, exitedStatus(code!));
  return NO_RESULT;
}

// --- Groups and sessions ---

function setpgid(k: Kernel, t: Task, [pidArg, pgidArg]: readonly number[]): number {
  const pid = pidArg! | 0;
  const p = pid === 0 ? t.process : k.processes.get(pid);
  const pgid = (pgidArg! | 0) === 0 ? (p?.tgid ?? 0) : pgidArg! | 0;
  if (pgid < 0) return -Errno.EINVAL;
  if (p === undefined) return -Errno.ESRCH;
  if (p !== t.process) {
    if (p.parent !== t.process) return -Errno.ESRCH;
    if (p.sid !== t.process.sid) return -Errno.EPERM;
    if (p.hasExeced) return -Errno.EACCES;
  }
  if (p.sid === p.tgid) return -Errno.EPERM; // a session's leader stays
  if (pgid !== p.tgid && sessionOfGroup(k, pgid) !== t.process.sid) return -Errno.EPERM;
  p.pgid = pgid;
  return 0;
}
const processOf = (k: Kernel, t: Task, pid: number): Process | undefined => (pid === 0 ? t.process : k.tasks.get(pid)?.process);
function setsid(k: Kernel, t: Task): number {
  const p = t.process;
  if (p.sid === p.tgid || [...k.processes.values()].some((other) => other.pgid === p.tgid)) return -Errno.EPERM;
  p.sid = p.pgid = p.tgid;
  return p.tgid;
}

// --- Users and groups ---

type IdField = 'uid' | 'gid';
const KEEP = -1;
/** setres[ug]id: each of the three may become any of the three, or anything for root; -1 keeps. The file system's id follows the effective. */
function setres(t: Task, which: IdField, [r, e, s]: readonly number[]): number {
  const c = t.credentials;
  const [real, effective, saved] = which === 'uid' ? [c.uid, c.euid, c.suid] : [c.gid, c.egid, c.sgid];
  const wanted = [r!, e!, s!].map((n) => n | 0);
  const mine = [real, effective, saved];
  if (!isPrivileged(c) && wanted.some((n) => n !== KEEP && !mine.includes(n >>> 0))) return -Errno.EPERM;
  const pick = (n: number, old: number): number => (n === KEEP ? old : n >>> 0);
  setIds(t, which, pick(wanted[0]!, real), pick(wanted[1]!, effective), pick(wanted[2]!, saved));
  return 0;
}
function setIds(t: Task, which: IdField, real: number, effective: number, saved: number): void {
  const c: Credentials = t.credentials;
  t.credentials = which === 'uid'
    ? { ...c, uid: real, euid: effective, suid: saved, fsuid: effective }
    : { ...c, gid: real, egid: effective, sgid: saved, fsgid: effective };
  if (t.hasMm) applyLimits(t.mm, t.process.limits, t.credentials); // root may lock more
}
/** set[ug]id: root sets all three, others their effective one. */
function setOne(t: Task, which: IdField, id: number): number {
  const c = t.credentials;
  if ((id | 0) === -1) return -Errno.EINVAL;
  const [real, saved] = which === 'uid' ? [c.uid, c.suid] : [c.gid, c.sgid];
  const to = id >>> 0;
  if (isPrivileged(c)) setIds(t, which, to, to, to);
  else if (to === real || to === saved) setIds(t, which, real, to, saved);
  else return -Errno.EPERM;
  return 0;
}
/** setre[ug]id: the saved id becomes the effective one when the real one is set, or the effective one to something else than the real. */
function setre(t: Task, which: IdField, [r, e]: readonly number[]): number {
  const c = t.credentials;
  const [real, effective, saved] = which === 'uid' ? [c.uid, c.euid, c.suid] : [c.gid, c.egid, c.sgid];
  const [newReal, newEffective] = [r! | 0, e! | 0];
  if (!isPrivileged(c)) {
    if (newReal !== KEEP && newReal >>> 0 !== real && newReal >>> 0 !== effective) return -Errno.EPERM;
    if (newEffective !== KEEP && ![real, effective, saved].includes(newEffective >>> 0)) return -Errno.EPERM;
  }
  const toReal = newReal === KEEP ? real : newReal >>> 0;
  const toEffective = newEffective === KEEP ? effective : newEffective >>> 0;
  const savesToo = newReal !== KEEP || (newEffective !== KEEP && toEffective !== real);
  setIds(t, which, toReal, toEffective, savesToo ? toEffective : saved);
  return 0;
}
function getres(t: Task, a: readonly number[], ids: readonly number[]): number {
  return ids.every((id, i) => t.user.setU32(a[i]!, id)) ? 0 : -Errno.EFAULT;
}
/** setfs[ug]id answers the old id whether or not it changed anything. */
function setFsId(t: Task, which: 'fsuid' | 'fsgid', id: number): number {
  const c = t.credentials;
  const old = c[which];
  const allowed = which === 'fsuid' ? [c.uid, c.euid, c.suid, c.fsuid] : [c.gid, c.egid, c.sgid, c.fsgid];
  if ((id | 0) !== -1 && (isPrivileged(c) || allowed.includes(id >>> 0))) t.credentials = { ...c, [which]: id >>> 0 };
  return old;
}
const NGROUPS_MAX = 65536;
function getgroups(_k: Kernel, t: Task, [size, list]: readonly number[]): number {
  const { groups } = t.credentials;
  if (size! < 0) return -Errno.EINVAL;
  if (size === 0) return groups.length;
  if (groups.length > size!) return -Errno.EINVAL;
  return groups.every((g, i) => t.user.setU32(list! + 4 * i, g)) ? groups.length : -Errno.EFAULT;
}
function setgroups(_k: Kernel, t: Task, [size, list]: readonly number[]): number {
  if (!isPrivileged(t.credentials)) return -Errno.EPERM;
  if (size! < 0 || size! > NGROUPS_MAX) return -Errno.EINVAL;
  const groups: number[] = [];
  for (let i = 0; i < size!; i++) {
    const g = t.user.u32(list! + 4 * i);
    if (g === null) return -Errno.EFAULT;
    groups.push(g);
  }
  t.credentials = { ...t.credentials, groups };
  return 0;
}

// --- Capabilities: all or nothing ---

const CAP_VERSION_3 = 0x2008_0522;
const ALL_CAPS = [0xffff_ffff, 0x1ff] as const;
const CAP_IPC_LOCK = 1 << 14;
/** The words of data a header's version has; 0: unknown version, which is corrected in place. */
function capWords(t: Task, header: number): number | null {
  const version = t.user.u32(header);
  if (version === null) return null;
  if (version === 0x1998_0330) return 1;
  if (version === 0x2007_1026 || version === CAP_VERSION_3) return 2;
  return t.user.setU32(header, CAP_VERSION_3) ? 0 : null;
}
function capget(k: Kernel, t: Task, [header, data]: readonly number[]): number {
  const words = capWords(t, header!);
  if (words === null) return -Errno.EFAULT;
  if (words === 0) return data === 0 ? 0 : -Errno.EINVAL;
  const pid = t.user.i32(header! + 4);
  if (pid === null) return -Errno.EFAULT;
  if (pid < 0) return -Errno.EINVAL;
  const of = pid === 0 ? t : k.tasks.get(pid);
  if (of === undefined) return -Errno.ESRCH;
  if (data === 0) return 0;
  for (let i = 0; i < words; i++) {
    const caps = isPrivileged(of.credentials) ? ALL_CAPS[i]! : 0;
    const at = data! + 12 * i;
    const effective = i === 0 && of.credentials.lockLimited === true ? caps & ~CAP_IPC_LOCK : caps;
    if (!t.user.setU32(at, effective) || !t.user.setU32(at + 4, caps) || !t.user.setU32(at + 8, 0)) return -Errno.EFAULT;
  }
  return 0;
}
/** Capabilities are all or nothing here, but for CAP_IPC_LOCK, which programs put down to be bound by RLIMIT_MEMLOCK. Asking for what one has is
 *  fine, for anything else refused. */
function capset(_k: Kernel, t: Task, [header, data]: readonly number[]): number {
  const words = capWords(t, header!);
  if (words === null) return -Errno.EFAULT;
  if (words === 0) return -Errno.EINVAL;
  let lockLimited = t.credentials.lockLimited === true;
  for (let i = 0; i < words; i++) {
    const effective = t.user.u32(data! + 12 * i);
    const permitted = t.user.u32(data! + 12 * i + 4);
    if (effective === null || permitted === null) return -Errno.EFAULT;
    const mine = isPrivileged(t.credentials) ? ALL_CAPS[i]! : 0;
    if ((permitted & ~mine) !== 0 || (effective & ~permitted) !== 0) return -Errno.EPERM;
    if (i === 0) lockLimited = (effective & CAP_IPC_LOCK) === 0;
  }
  t.credentials = { ...t.credentials, lockLimited };
  if (t.hasMm) applyLimits(t.mm, t.process.limits, t.credentials);
  return 0;
}

// --- The rest ---

function getRobustList(k: Kernel, t: Task, [pid, headAt, lenAt]: readonly number[]): number {
  const of = pid === 0 ? t : k.tasks.get(pid!);
  if (of === undefined) return -Errno.ESRCH;
  return t.user.setU64(lenAt!, 24) && t.user.setU64(headAt!, of.robustList?.head ?? 0) ? 0 : -Errno.EFAULT;
}
function setRobustList(_k: Kernel, t: Task, [head, len]: readonly number[]): number {
  if (len !== 24) return -Errno.EINVAL;
  t.robustList = head === 0 ? null : { head: head!, len: len! };
  return 0;
}
const FILE_OR_FS = 0x600; // CLONE_FILES | CLONE_FS: what may be unshared without privileges here
function unshare(_k: Kernel, t: Task, [flags]: readonly number[]): number {
  const namespaces = [CloneFlag.NewNs, CloneFlag.NewCgroup, CloneFlag.NewUts, CloneFlag.NewIpc, CloneFlag.NewUser, CloneFlag.NewPid, CloneFlag.NewNet];
  if (namespaces.some((flag) => hasFlag(flags! >>> 0, flag))) return -Errno.EPERM;
  if ((flags! & ~(FILE_OR_FS | CloneFlag.SysvSem)) !== 0) return -Errno.EINVAL;
  if ((flags! & CloneFlag.Files) !== 0 && t.files.isShared) {
    const own = t.files.dup();
    t.files.unref();
    t.files = own;
  }
  if ((flags! & CloneFlag.Fs) !== 0) {
    const own = t.fs.dup();
    t.fs.unref();
    t.fs = own;
  }
  return 0;
}
const PER_QUERY = 0xffff_ffff;
function personality(_k: Kernel, t: Task, [persona]: readonly number[]): number {
  const old = t.process.personality;
  if (persona! >>> 0 !== PER_QUERY) t.process.personality = persona! >>> 0;
  return old;
}

export const processSyscalls: readonly SyscallRow[] = [
  { nr: 90, name: 'capget', args: 'ptr ptr', run: capget },
  { nr: 91, name: 'capset', args: 'ptr ptr', run: capset },
  { nr: 92, name: 'personality', args: 'hex', run: personality },
  { nr: 93, name: 'exit', args: 'int', run: exit },
  { nr: 94, name: 'exit_group', args: 'int', run: exitGroupCall },
  { nr: 95, name: 'waitid', args: 'int pid ptr wait-flags ptr', run: waitid },
  { nr: 96, name: 'set_tid_address', args: 'ptr', run: (_k, t, [va]) => { t.clearChildTid = va!; return t.tid; } },
  { nr: 97, name: 'unshare', args: 'hex', run: unshare },
  { nr: 99, name: 'set_robust_list', args: 'ptr size', run: setRobustList },
  { nr: 100, name: 'get_robust_list', args: 'pid ptr ptr', run: getRobustList },
  { nr: 143, name: 'setregid', args: 'int int', run: (_k, t, a) => setre(t, 'gid', a) },
  { nr: 144, name: 'setgid', args: 'int', run: (_k, t, [id]) => setOne(t, 'gid', id!) },
  { nr: 145, name: 'setreuid', args: 'int int', run: (_k, t, a) => setre(t, 'uid', a) },
  { nr: 146, name: 'setuid', args: 'int', run: (_k, t, [id]) => setOne(t, 'uid', id!) },
  { nr: 147, name: 'setresuid', args: 'int int int', run: (_k, t, a) => setres(t, 'uid', a) },
  { nr: 148, name: 'getresuid', args: 'ptr ptr ptr', run: (_k, t, a) => getres(t, a, [t.credentials.uid, t.credentials.euid, t.credentials.suid]) },
  { nr: 149, name: 'setresgid', args: 'int int int', run: (_k, t, a) => setres(t, 'gid', a) },
  { nr: 150, name: 'getresgid', args: 'ptr ptr ptr', run: (_k, t, a) => getres(t, a, [t.credentials.gid, t.credentials.egid, t.credentials.sgid]) },
  { nr: 151, name: 'setfsuid', args: 'int', run: (_k, t, [id]) => setFsId(t, 'fsuid', id!) },
  { nr: 152, name: 'setfsgid', args: 'int', run: (_k, t, [id]) => setFsId(t, 'fsgid', id!) },
  { nr: 154, name: 'setpgid', args: 'pid pid', run: setpgid },
  { nr: 155, name: 'getpgid', args: 'pid', run: (k, t, [pid]) => processOf(k, t, pid! | 0)?.pgid ?? -Errno.ESRCH },
  { nr: 156, name: 'getsid', args: 'pid', run: (k, t, [pid]) => processOf(k, t, pid! | 0)?.sid ?? -Errno.ESRCH },
  { nr: 157, name: 'setsid', args: '', run: setsid },
  { nr: 158, name: 'getgroups', args: 'int ptr', run: getgroups },
  { nr: 159, name: 'setgroups', args: 'int ptr', run: setgroups },
  { nr: 172, name: 'getpid', args: '', run: (_k, t) => t.tgid },
  { nr: 173, name: 'getppid', args: '', run: (_k, t) => t.ppid },
  { nr: 174, name: 'getuid', args: '', run: (_k, t) => t.credentials.uid },
  { nr: 175, name: 'geteuid', args: '', run: (_k, t) => t.credentials.euid },
  { nr: 176, name: 'getgid', args: '', run: (_k, t) => t.credentials.gid },
  { nr: 177, name: 'getegid', args: '', run: (_k, t) => t.credentials.egid },
  { nr: 178, name: 'gettid', args: '', run: (_k, t) => t.tid },
  { nr: 220, name: 'clone', args: 'clone-flags ptr ptr ptr ptr', run: clone },
  { nr: 221, name: 'execve', args: 'path argv ptr', run: execve },
  { nr: 260, name: 'wait4', args: 'pid ptr wait-flags ptr', run: wait4 },
  { nr: 281, name: 'execveat', args: 'dirfd path argv ptr hex', run: execveat },
  { nr: 435, name: 'clone3', args: 'ptr size', run: clone3 },
];
