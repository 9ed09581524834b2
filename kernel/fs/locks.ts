// Locks on files: record locks of fcntl (owned by a process's descriptor table), the same owned by an open file (F_OFD_*), and flock. Here: who
// holds what, what conflicts, when waiting would never end. Mirrors fs/locks.c.
import type { StateHash } from '#base';
import { type Task, TaskState } from '../proc/task.ts';
import { WaitQueue } from '../proc/wait.ts';
import type { FileTable, OpenFile } from './file.ts';

export const LockType = { Read: 0, Write: 1, Unlock: 2 } as const;

/** Who holds a lock: a process's descriptors, or one open file. */
export type LockOwner = FileTable | OpenFile;

/** Bytes [start, end) of a file; end is Infinity for "to the end, wherever that goes". */
export interface RecordLock {
  readonly owner: LockOwner;
  /** What F_GETLK reports: the process id, -1 for locks of an open file. */
  readonly pid: number;
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

const MAX_RECORDS = 8192;

export class FileLocks {
  /** The locks of one owner stand together, in order of their start. */
  private records: RecordLock[] = [];
  private flocks: { readonly file: OpenFile; readonly type: number }[] = [];
  readonly recordQueue = new WaitQueue();
  readonly flockQueue = new WaitQueue();

  /** The first lock that stands in the way of `wanted`; null: none. */
  conflict(wanted: RecordLock): RecordLock | null {
    return this.records.find((held) => held.owner !== wanted.owner && overlaps(held, wanted)
      && (held.type === LockType.Write || wanted.type === LockType.Write)) ?? null;
  }

  /** Makes the owner's locks on the range be `change`: replaces, splits and merges what it held. The caller has checked for conflicts. */
  apply(change: RecordLock): void {
    const at = this.records.findIndex((held) => held.owner === change.owner);
    const others = this.records.filter((held) => held.owner !== change.owner);
    const own: RecordLock[] = [];
    let { start, end } = change;
    for (const held of this.records) {
      if (held.owner !== change.owner) continue;
      if (held.type === change.type && held.start <= end && held.end >= start) {
        start = Math.min(start, held.start);
        end = Math.max(end, held.end);
      } else if (held.type === change.type || !overlaps(held, change)) {
        own.push(held);
      } else {
        if (held.start < change.start) own.push({ ...held, end: change.start });
        if (held.end > change.end) own.push({ ...held, start: change.end });
      }
    }
    if (change.type !== LockType.Unlock) own.push({ ...change, start, end });
    own.sort((a, b) => a.start - b.start);
    others.splice(at < 0 ? others.length : Math.min(at, others.length), 0, ...own);
    this.records = others;
    this.recordQueue.wake();
  }

  /** A process closed a descriptor of this file: its record locks go. */
  releaseOwner(owner: LockOwner): void {
    if (!this.records.some((held) => held.owner === owner)) return;
    this.records = this.records.filter((held) => held.owner !== owner);
    this.recordQueue.wake();
  }
  /** The last descriptor of an open file is gone. */
  releaseFile(file: OpenFile): void {
    this.releaseOwner(file);
    this.unflock(file);
  }

  /** flock(2). @returns false when another open file's lock is in the way. The old lock of the same file is gone either way, as in Linux. */
  flock(file: OpenFile, type: number): boolean {
    if (this.flocks.some((held) => held.file === file && held.type === type)) return true;
    this.unflock(file);
    if (this.flocks.some((held) => held.type === LockType.Write || type === LockType.Write)) return false;
    this.flocks.push({ file, type });
    return true;
  }
  unflock(file: OpenFile): void {
    if (!this.flocks.some((held) => held.file === file)) return;
    this.flocks = this.flocks.filter((held) => held.file !== file);
    this.flockQueue.wake();
  }

  /** No more locks are kept on one file than this: a program that asks for more gets ENOLCK. */
  get isFull(): boolean {
    return this.records.length >= MAX_RECORDS;
  }
  list(): readonly RecordLock[] {
    return this.records;
  }
  hash(into: StateHash): void {
    for (const lock of this.records) into.numbers([lock.pid, lock.type, lock.start, lock.end]);
    for (const lock of this.flocks) into.numbers([lock.file.id, lock.type]);
  }
}

const overlaps = (a: RecordLock, b: RecordLock): boolean => a.start < b.end && b.start < a.end;

/** Processes that sleep for a record lock: whom each waits for. */
export class LockWaiters {
  private readonly waits = new Map<LockOwner, { readonly task: Task; readonly holder: LockOwner }>();

  /** Would `owner` waiting for `holder` close a circle? Mirrors posix_locks_deadlock(). */
  wouldDeadlock(owner: LockOwner, holder: LockOwner): boolean {
    let at: LockOwner | null = holder;
    for (let steps = 0; at !== null && steps <= this.waits.size; steps++) {
      if (at === owner) return true;
      const wait = this.waits.get(at);
      at = wait !== undefined && wait.task.state === TaskState.Sleeping ? wait.holder : null;
    }
    return false;
  }
  set(owner: LockOwner, task: Task, holder: LockOwner): void {
    this.waits.set(owner, { task, holder });
  }
  clear(owner: LockOwner): void {
    this.waits.delete(owner);
  }
}
