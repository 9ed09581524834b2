// quire trace --strace: one line a system call, in the manner of strace: name(arguments) = result. The kinds of the arguments are the table's
// (kernel/syscall/row.ts). A call that sleeps while others run is cut in two: `<unfinished ...>` and `<... resumed>`.
import { tracepoints } from '#base';
import { errnoName, signalName, syscallName, syscallTable } from '#kernel';
import type { Session } from '../boot.ts';
import { flagNames } from './flags.ts';
import { peek, peekString, quoteBytes } from './peek.ts';
import type { Trace } from './sink.ts';
import { errnoText } from './errno-text.ts';

const MAX_STRING = 4096;
/** strace's -s default for data. */
const MAX_DATA = 32;
/** Kernel-internal restart codes start here; strace prints them with their meaning. */
const ERESTARTSYS = 512;

interface Open { readonly tid: number; readonly name: string; readonly kinds: readonly string[]; readonly args: readonly number[]; readonly early: readonly (string | null)[]; cut: boolean }

export function traceSyscalls(session: Session): Trace {
  const lines: string[] = [];
  const open = new Map<number, Open>();
  /** The call whose line would be next on the terminal: printed only once it is known whether it ends first. */
  let last: Open | null = null;
  const several = (): boolean => session.kernel.tasks.size > 1;
  const head = (tid: number): string => (several() || tid !== session.kernel.first?.tgid ? `[pid ${`${tid}`.padStart(5)}] ` : '');

  const cutLast = (): void => {
    if (last === null) return;
    lines.push(`${head(last.tid)}${last.name}(${argsText(session, last, null).join(', ')} <unfinished ...>`);
    last.cut = true;
    last = null;
  };
  const onEnter = (values: readonly number[]): void => {
    const [tid = 0, nr = 0, ...args] = values;
    cutLast();
    const row = syscallTable[nr];
    const kinds = row === undefined ? Array(6).fill('hex') as string[] : row.args.split(' ').filter((kind) => kind !== '');
    const name = row?.name ?? syscallName(nr) ?? `syscall_${nr}`;
    // What execve() and exit() take away is read before they run.
    const early = kinds.map((kind, i) => (kind === 'path' || kind === 'str' ? stringAt(session, args[i] ?? 0) : kind === 'argv' ? stringsAt(session, args[i] ?? 0) : null));
    last = { tid, name, kinds, args, early, cut: false };
    open.set(tid, last);
  };
  const onExit = (values: readonly number[]): void => {
    const [tid = 0, , ret = 0] = values;
    const call = open.get(tid);
    if (call === undefined) return;
    open.delete(tid);
    if (last !== null && last !== call) cutLast();
    last = null;
    const body = call.cut ? `<... ${call.name} resumed>` : `${call.name}(${argsText(session, call, ret).join(', ')}`;
    lines.push(`${head(tid)}${`${body})`.padEnd(39)} = ${resultText(call.name, ret)}`);
  };
  /** exit() and exit_group() have no answer. */
  const onTaskEnd = (values: readonly number[]): void => {
    const [tid = 0, status = 0] = values;
    const call = open.get(tid);
    if (call !== undefined) {
      open.delete(tid);
      if (last !== null && last !== call) cutLast();
      last = null;
      lines.push(`${head(tid)}${`${call.cut ? `<... ${call.name} resumed>` : `${call.name}(${argsText(session, call, null).join(', ')}`})`.padEnd(39)} = ?`);
    }
    const signal = status & 0x7f;
    lines.push(`${head(tid)}+++ ${signal === 0 ? `exited with ${(status >> 8) & 0xff}` : `killed by ${signalName(signal)}`} +++`);
  };
  const onSignal = (values: readonly number[]): void => {
    const [signo = 0] = values;
    cutLast();
    lines.push(`${head(session.kernel.current?.tid ?? 0)}--- ${signalName(signo)} ---`);
  };

  const listeners: Readonly<Record<string, (values: readonly number[]) => void>> = {
    sys_enter: onEnter, sys_exit: onExit, sched_process_exit: onTaskEnd, signal_deliver: onSignal,
  };
  const stops = [...tracepoints().values()].filter((p) => p.name in listeners).map((p) => p.listen((_, values) => { listeners[p.name]!(values); }));
  const take = (): string[] => lines.splice(0);
  return {
    take,
    end() {
      cutLast();
      for (const stop of stops) stop();
      return take();
    },
  };
}

/** @param ret null while the call has not answered: what it will write is not known then */
function argsText(session: Session, call: Open, ret: number | null): string[] {
  return call.kinds.slice(0, usedArgs(call)).map((kind, i) => {
    const value = call.args[i] ?? 0;
    const named = flagNames(kind === 'open' && call.name !== 'openat' ? 'fd-flags' : kind, value);
    if (named !== null) return named;
    switch (kind) {
      case 'fd': case 'int': case 'pid': case 'off': return `${value}`;
      case 'flags': case 'hex': return value === 0 ? '0' : pointer(value);
      case 'uint': case 'len': case 'size': return value < 0 ? `${BigInt.asUintN(64, BigInt(value))}` : `${value}`;
      case 'dirfd': return value === -100 ? 'AT_FDCWD' : `${value}`;
      case 'oct': return `0${(value >>> 0).toString(8)}`;
      case 'signo': return value > 0 && value <= 64 ? signalName(value) : `${value}`;
      case 'path': case 'str': return call.early[i] ?? stringAt(session, value) ?? pointer(value);
      case 'argv': return call.early[i] ?? pointer(value);
      case 'buf': {
        // Written by the program before the call, or by the kernel with what it answered.
        const asked = call.args[i + 1] ?? 0;
        const isInput = /write|send/.test(call.name);
        const length = isInput ? asked : ret ?? 0;
        if (length < 0 || (ret === null && !isInput)) return pointer(value);
        return dataAt(session, value, length);
      }
      case 'iovec': return vectorAt(session, value, call.args[i + 1] ?? 0, /write/.test(call.name) ? Infinity : ret ?? -1) ?? pointer(value);
      case 'sigset': return signalsAt(session, value) ?? pointer(value);
      case 'timespec': return timespecAt(session, value) ?? pointer(value);
      default: return pointer(value);
    }
  });
}
/** Arguments that the call reads: openat()'s mode counts only when it makes a file. */
const usedArgs = (call: Open): number => (call.name === 'openat' && ((call.args[2] ?? 0) & (O_CREAT | O_TMPFILE)) === 0 ? 3 : call.kinds.length);
const O_CREAT = 0o100;
const O_TMPFILE = 0o20000000;

const pointer = (value: number): string => (value === 0 ? 'NULL' : `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`);

function stringAt(session: Session, va: number): string | null {
  const found = va === 0 ? null : peekString(session, va, MAX_STRING);
  return found === null ? null : quoteBytes(found.text) + (found.whole ? '' : '...');
}
function dataAt(session: Session, va: number, lenBytes: number): string {
  const bytes = peek(session, va, Math.min(lenBytes, MAX_DATA));
  if (lenBytes > 0 && bytes.length === 0) return pointer(va);
  return quoteBytes(bytes) + (lenBytes > MAX_DATA ? '...' : '');
}
/** struct iovec[]. @param lenBytes what of it holds data */
function vectorAt(session: Session, va: number, count: number, lenBytes: number): string | null {
  if (va === 0 || count < 0 || count > 16 || lenBytes < 0) return null;
  const bytes = peek(session, va, 16 * count);
  if (bytes.length < 16 * count) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let left = lenBytes;
  const parts = Array.from({ length: count }, (_, i) => {
    const [base, length] = [Number(view.getBigUint64(16 * i, true)), Number(view.getBigUint64(16 * i + 8, true))];
    const data = dataAt(session, base, Math.min(length, left));
    left -= Math.min(length, left);
    return `{iov_base=${data}, iov_len=${length}}`;
  });
  return `[${parts.join(', ')}]`;
}
/** sigset_t: the names in it, or with ~ those that are not. */
function signalsAt(session: Session, va: number): string | null {
  const bytes = va === 0 ? null : peek(session, va, 8);
  if (bytes === null || bytes.length < 8) return null;
  const set = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  const all = Array.from({ length: 64 }, (_, i) => i + 1);
  const isIn = (signo: number): boolean => ((set >> BigInt(signo - 1)) & 1n) === 1n;
  const [inside, outside] = [all.filter(isIn), all.filter((signo) => !isIn(signo))];
  const show = (list: readonly number[]): string => `[${list.map((signo) => signalName(signo).replace(/^SIG/, '')).join(' ')}]`;
  return inside.length <= 32 ? show(inside) : `~${show(outside)}`;
}
function timespecAt(session: Session, va: number): string | null {
  const bytes = va === 0 ? va : peek(session, va, 16);
  if (bytes === 0 || bytes.length < 16) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  return `{tv_sec=${view.getBigInt64(0, true)}, tv_nsec=${view.getBigInt64(8, true)}}`;
}
/** A list of strings that ends with NULL: argv. */
function stringsAt(session: Session, va: number): string | null {
  const parts: string[] = [];
  for (let i = 0; i < 32; i++) {
    const word = peek(session, va + 8 * i, 8);
    if (word.length < 8) return null;
    const address = Number(new DataView(word.buffer, word.byteOffset, 8).getBigUint64(0, true));
    if (address === 0) return `[${parts.join(', ')}]`;
    parts.push(stringAt(session, address) ?? pointer(address));
  }
  return `[${parts.join(', ')}, ...]`;
}

/** Calls whose answer is an address. */
const addressCalls = new Set(['mmap', 'mremap', 'brk', 'shmat']);
function resultText(name: string, ret: number): string {
  if (ret === -ERESTARTSYS) return '? ERESTARTSYS (To be restarted if SA_RESTART is set)';
  if (ret < 0 && ret >= -4095) {
    const error = errnoName(-ret);
    const text = errnoText[error];
    return `-1 ${error}${text === undefined ? '' : ` (${text})`}`;
  }
  return addressCalls.has(name) && ret !== 0 ? pointer(ret) : `${ret}`;
}
