// A task: what Linux calls task_struct, one thread of a program. Here: its state and how it sleeps. Not here: how it is made (fork.ts), which
// task runs (sched.ts), signals (signal.ts).
import type { FileTable, FsContext } from '../fs/file.ts';
import { CONTEXT_WORDS } from '../machine.ts';
import type { Mm } from '../mm/mm.ts';
import type { UserMemory } from '../mm/uaccess.ts';
import type { WaitQueue } from './wait.ts';

export const TaskState = { Runnable: 0, Sleeping: 1, Stopped: 2, Zombie: 3, Dead: 4 } as const;
export type TaskState = (typeof TaskState)[keyof typeof TaskState];

/** Fault counts of one task, as /proc/self/stat fields 10 and 12 and getrusage give them. mm adds to it. */
export interface FaultCounts { minFlt: number; majFlt: number }

export class Task implements FaultCounts {
  readonly tid: number;
  /** pc, x1..x31, f0..f31, fcsr while the task is not on the hart. */
  readonly context = new BigInt64Array(CONTEXT_WORDS);
  state: TaskState = TaskState.Runnable;
  minFlt = 0;
  majFlt = 0;
  /** A blocked handler's own notes for its next run (a deadline already computed, bytes already moved); null at a fresh system call. */
  restart: Record<string, number> | null = null;
  /** Clock cycle at which a sleep ends by itself; null: never. */
  deadline: number | null = null;
  /** Set by wake() when the deadline ended the sleep, so that the handler can answer ETIMEDOUT or 0. */
  timedOut = false;
  private readonly queues: WaitQueue[] = [];

  declare mm: Mm;
  /** The kernel's access to this task's memory: may fault like the program. */
  declare user: UserMemory;
  declare files: FileTable;
  declare fs: FsContext;

  constructor(tid: number) {
    this.tid = tid;
  }

  /** Puts the task to sleep; the caller returns BLOCK. @param deadline absolute clock cycle, or null */
  sleepOn(queues: readonly WaitQueue[], deadline: number | null = null): void {
    this.state = TaskState.Sleeping;
    this.deadline = deadline;
    this.timedOut = false;
    for (const queue of queues) {
      queue.add(this);
      this.queues.push(queue);
    }
  }
  wake(timedOut = false): void {
    for (const queue of this.queues) queue.remove(this);
    this.queues.length = 0;
    this.timedOut = timedOut;
    this.deadline = null;
    if (this.state === TaskState.Sleeping) this.state = TaskState.Runnable;
  }
}
