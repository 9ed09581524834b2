// Processes and threads as gdb names them: p2.3 is thread 3 of process 2, hexadecimal, -1 means all and 0 any. Here: names, who is there, in which
// address space. Not here: who may run (resume.ts).
import type { Process, Task } from '#kernel';
import { syscallName, TaskState } from '#kernel';
import type { Session } from '../../boot.ts';

/** -1: all; 0: any. pid null: not said. */
export interface ThreadId { readonly pid: number | null; readonly tid: number }

/** @returns null: no thread id */
export function parseThreadId(text: string): ThreadId | null {
  const match = /^(?:p(-1|[0-9a-fA-F]{1,8})(?:\.(-1|[0-9a-fA-F]{1,8}))?|(-1|[0-9a-fA-F]{1,8}))$/.exec(text);
  if (match === null) return null;
  const number = (digits: string): number => (digits === '-1' ? -1 : parseInt(digits, 16));
  const [, pid, tid, bare] = match;
  return pid === undefined ? { pid: null, tid: number(bare!) } : { pid: number(pid), tid: tid === undefined ? -1 : number(tid) };
}
export const covers = ({ pid, tid }: ThreadId, task: Task): boolean =>
  (pid === null || pid <= 0 || pid === task.tgid) && (tid <= 0 || tid === task.tid);

/** The processes that gdb knows of, and threads of them. */
export class Inferiors {
  /** Process names stand before thread names: gdb's multiprocess extension. */
  isMultiprocess = false;
  private readonly session: () => Session;
  private readonly known = new Set<number>();

  constructor(session: () => Session) {
    this.session = session;
    const first = session().kernel.first;
    if (first !== null) this.known.add(first.tgid);
  }
  add(tgid: number): void {
    this.known.add(tgid);
  }
  remove(tgid: number): void {
    this.known.delete(tgid);
  }
  has(process: Process): boolean {
    return this.known.has(process.tgid);
  }
  get tgids(): readonly number[] {
    return [...this.known];
  }
  /** Those that live, the first one first. */
  get processes(): Process[] {
    const { processes } = this.session().kernel;
    return [...this.known].map((tgid) => processes.get(tgid)).filter((p) => p !== undefined && p.threads.length > 0) as Process[];
  }
  get tasks(): Task[] {
    return this.processes.flatMap((p) => p.threads);
  }
  /** The thread of an id; the first one that it covers. Null: none. */
  find(id: ThreadId): Task | null {
    return this.tasks.find((task) => covers(id, task)) ?? null;
  }
  /** The thread whose turn it is, if gdb knows it; else the first one. Null: all are gone. */
  get running(): Task | null {
    const { current } = this.session().kernel;
    return current !== null && this.has(current.process) ? current : (this.tasks[0] ?? null);
  }
  name(task: Task): string {
    return this.nameOf(task.tgid, task.tid);
  }
  nameOf(tgid: number, tid: number): string {
    return this.isMultiprocess ? `p${tgid.toString(16)}.${tid.toString(16)}` : tid.toString(16);
  }
}

/** What a thread does, for people. */
export function stateText(task: Task): string {
  switch (task.state) {
    case TaskState.Runnable: return 'runnable';
    case TaskState.Stopped: return 'stopped';
    case TaskState.Sleeping: return task.pendingCall === null ? 'waits for a page' : `sleeps in ${syscallName(task.pendingCall.nr) ?? `system call ${task.pendingCall.nr}`}`;
    default: return 'has ended';
  }
}
