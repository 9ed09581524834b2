// execve: a program takes the place of another. Here: finding the file behind scripts, building the new address space, and the point of no
// return. The new address space is complete before anything of the old one is given up, so a call that fails has changed nothing.
// Not here: judging ELF headers (elf.ts), mapping segments and the first stack (load.ts). Mirrors fs/exec.c and fs/binfmt_script.c.
import { tracepoint, utf8Decode, utf8Encode, UserError } from '#base';
import { Open, type OpenFile, sizeOf } from '../fs/file.ts';
import { IoBuffer } from '../fs/io-buffer.ts';
import { FileType, S_ISGID, S_ISUID } from '../fs/inode.ts';
import type { Kernel } from '../kernel.ts';
import type { FileMapping } from '../mm/filemap.ts';
import { Mm } from '../mm/mm.ts';
import { UserMemory } from '../mm/uaccess.ts';
import { Errno } from '../syscall/errno.ts';
import { type ByteSource, type ElfImage, type ExecError, hasElfMagic, isExecError, parseElf } from './elf.ts';
import { becomeOnlyThread, leaveMm, releaseOldMm } from './exit.ts';
import { buildImage } from './load.ts';
import { applyLimits } from './rlimit.ts';
import { SigAction, SignalHandlers } from './sigset.ts';
import type { Task } from './task.ts';

export const schedProcessExec = tracepoint('sched_process_exec', 'sched', { pid: 'dec', old_pid: 'dec' });

/** BINPRM_BUF_SIZE: as much of a file is looked at to see what it is. */
const HEAD_BYTES = 256;
/** Scripts whose interpreter is a script: so many levels (fs/exec.c: exec_binprm). */
const MAX_SCRIPTS = 5;

export interface ExecRequest {
  /** The open file; this function takes the reference over. */
  file: OpenFile;
  /** The path as it was given: AT_EXECFN, and what a script sees as its name. */
  path: string;
  argv: readonly string[];
  env: readonly string[];
}

/** Opens a program for execve. @param t null: from the root. @returns -errno: ENOENT, EACCES (not a file, no x bit), ... */
export function openProgram(k: Kernel, t: Task | null, path: string): OpenFile | number {
  const file = k.vfs.open(t, path, Open.RDONLY, 0);
  return typeof file === 'number' ? file : checkProgram(file);
}
/** The same for a file that is already open (execveat); takes the reference over. */
export function checkProgram(file: OpenFile): OpenFile | number {
  const isRunnable = file.inode.type === FileType.Regular && (file.inode.mode & 0o111) !== 0;
  if (isRunnable) return file;
  file.unref();
  return -Errno.EACCES;
}

/** Replaces the program of `t`. @returns null, or why not (then nothing has changed). The caller writes no result: the context is new. */
export function exec(k: Kernel, t: Task, request: ExecRequest): ExecError | null {
  const found = findImage(k, t, request);
  if ('errno' in found) return found;
  const { file, mapping, image, argv } = found;
  const mm = Mm.create(k.system);
  if (mm === null) {
    file.unref();
    return { errno: Errno.ENOMEM, sentence: 'no memory is left for its page tables.' };
  }
  applyLimits(mm, t.process.limits, t.credentials);
  mm.pickLayout();
  mm.counts = t;
  if (t.mm !== undefined) [mm.thpDisabled, mm.thpExceptAdvised, mm.mdwe] = [t.mm.thpDisabled, t.mm.thpExceptAdvised, t.mm.inheritedMdwe];
  const user = new UserMemory(mm, t);
  const creds = credentialsFor(t, file);
  const built = buildImage(k, mm, user, { mapping, image, argv, env: request.env, path: request.path, credentials: creds });
  file.unref();
  if ('errno' in built) {
    mm.dispose();
    return built;
  }
  // The point of no return.
  mm.exePath = mapping.path;
  mm.exeFile = mapping;
  const oldTid = t.tid;
  becomeOnlyThread(k, t);
  leaveMm(k, t);
  releaseOldMm(k, t);
  t.mm = mm;
  t.hasMm = true;
  t.user = user;
  t.credentials = creds;
  applyLimits(mm, t.process.limits, creds);
  t.process.vdso = built.vdso;
  t.context.fill(0n);
  t.context[0] = BigInt(built.entry);
  t.context[2] = BigInt(built.sp);
  k.forgetContext(t);
  resetForNewProgram(k, t);
  t.comm = commOf(request.path);
  if (schedProcessExec.enabled) schedProcessExec.emit(t.tid, oldTid);
  return null;
}

/** begin_new_exec() and setup_new_exec(): what does not survive into the new program. */
function resetForNewProgram(k: Kernel, t: Task): void {
  const p = t.process;
  const handlers = new SignalHandlers();
  for (let signo = 1; signo < handlers.actions.length; signo++) {
    if (t.handlers.get(signo).handler === SigAction.Ignore) handlers.get(signo).handler = SigAction.Ignore;
  }
  t.handlers = handlers;
  t.altStack = { sp: 0, size: 0, flags: 2 };
  if (t.files.isShared) {
    const own = t.files.dup();
    t.files.unref();
    t.files = own;
  }
  t.files.closeOnExec();
  p.timers.splice(0, p.timers.length, ...p.timers.filter((timer) => timer.id < 0)); // POSIX timers go, interval timers stay
  p.hasExeced = true;
  p.dumpable = 1;
  if (p.exitSignal !== 0) p.exitSignal = 17;
  k.machine.charge(k.params.cost.syscall);
}

/** comm: the last component, at most 15 bytes. */
export function commOf(path: string): string {
  return utf8Decode(utf8Encode(path.slice(path.lastIndexOf('/') + 1)).subarray(0, 15));
}

function credentialsFor(t: Task, file: OpenFile): Task['credentials'] {
  const creds = { ...t.credentials };
  if (!t.process.noNewPrivs) {
    if ((file.inode.mode & S_ISUID) !== 0) creds.euid = file.inode.uid;
    if ((file.inode.mode & S_ISGID) !== 0 && (file.inode.mode & 0o010) !== 0) creds.egid = file.inode.gid;
  }
  creds.suid = creds.fsuid = creds.euid;
  creds.sgid = creds.fsgid = creds.egid;
  return creds;
}

interface Found { file: OpenFile; mapping: FileMapping; image: ElfImage; argv: readonly string[] }

/** Follows #! lines to an ELF file. On failure the file is closed. */
function findImage(k: Kernel, t: Task, request: ExecRequest): Found | ExecError {
  let { file, argv } = request;
  let path = request.path;
  for (let depth = 0; ; depth++) {
    const mapping = file.mapping();
    if (mapping === null || typeof mapping === 'number') {
      file.unref();
      return { errno: Errno.EACCES, sentence: 'not a regular file.' };
    }
    const head = new Uint8Array(HEAD_BYTES);
    const disk = mapping.space.ops === null ? null : new DiskSource(file);
    const source = disk ?? mapping.space;
    const line = head.subarray(0, source.read(0, head));
    if (line[0] !== 0x23 || line[1] !== 0x21) {
      const image = parseElf(source, k.taskSize);
      const error = disk?.error ?? 0;
      if (error === 0 && !isExecError(image)) return { file, mapping, image, argv };
      file.unref();
      if (error !== 0 || !isExecError(image)) return { errno: -error, sentence: 'it cannot be read from its disk.' };
      return hasElfMagic(line) || depth === 0 ? image : { ...image, sentence: `its interpreter ${path} cannot be run: ${image.sentence}` };
    }
    file.unref();
    if (depth >= MAX_SCRIPTS) return { errno: Errno.ELOOP, sentence: 'a script whose interpreter is a script, too many times over.' };
    const script = parseScript(line);
    if (script === null) return { errno: Errno.ENOEXEC, sentence: 'a script whose first line names no interpreter.' };
    const interpreter = openProgram(k, t, script.interpreter);
    if (typeof interpreter === 'number') {
      return { errno: -interpreter, sentence: `a script for ${script.interpreter}, which is not in the guest's root (or may not be run). Bring it in with --file or --root.` };
    }
    argv = [script.interpreter, ...(script.argument === null ? [] : [script.argument]), path, ...argv.slice(1)];
    file = interpreter;
    path = script.interpreter;
  }
}

/** A program on a disk: what is not in memory is read, with nothing else running. */
class DiskSource implements ByteSource {
  /** What reading failed with; 0: nothing did. */
  error = 0;
  private readonly file: OpenFile;
  constructor(file: OpenFile) {
    this.file = file;
  }
  get sizeBytes(): number {
    return sizeOf(this.file.inode);
  }
  read(pos: number, into: Uint8Array): number {
    const { file } = this;
    // Whoever may run a file need not be allowed to read it: the descriptor's own rights are not asked.
    const n = file.ops.read?.(file, IoBuffer.of(into), pos, null) ?? -Errno.EACCES;
    if (n < 0) this.error = n;
    return Math.max(0, n);
  }
}

/** '#! /bin/sh -e' to its two parts; null: names nothing, or the name does not end within the bytes looked at. */
export function parseScript(head: Uint8Array): { interpreter: string; argument: string | null } | null {
  const newline = head.indexOf(0x0a);
  const nul = head.indexOf(0);
  const isCut = newline < 0 && head.length === HEAD_BYTES;
  const text = utf8Decode(head, 2, newline >= 0 ? newline : nul >= 0 ? nul : head.length).replace(/^[ \t]+|[ \t]+$/g, '');
  const [, interpreter, argument] = /^([^ \t]+)[ \t]*(.*)$/s.exec(text) ?? [];
  if (interpreter === undefined || (isCut && argument === '')) return null;
  return { interpreter, argument: argument === undefined || argument === '' ? null : argument };
}

/** What a failed start tells the user: 127 when there is no such program, else 126. */
export function startError(path: string, error: ExecError): UserError {
  return new UserError(`${path}: ${error.sentence}`, 126);
}
