// Who runs: round robin on one hart, in the order in which tasks became runnable; a slice is an exact number of instructions. Here: the queue.
// Not here: slices and switches (entry.ts). Linux's fair scheduler is not modelled: nice values are kept and change nothing.
import type { Task } from './task.ts';

/** Tasks that are runnable and not on the hart, first come first served. */
export class RunQueue {
  private readonly waiting: Task[] = [];

  add(t: Task): void {
    if (!this.waiting.includes(t)) this.waiting.push(t);
  }
  remove(t: Task): void {
    const at = this.waiting.indexOf(t);
    if (at >= 0) this.waiting.splice(at, 1);
  }
  /** The first that a debugger does not hold. */
  takeFirst(): Task | null {
    const first = this.waiting.findIndex((t) => !t.isHeld);
    return first < 0 ? null : this.waiting.splice(first, 1)[0]!;
  }
  /** Does nobody wait who may run? */
  get isEmpty(): boolean {
    return this.waiting.every((t) => t.isHeld);
  }
  [Symbol.iterator](): Iterator<Task> {
    return this.waiting[Symbol.iterator]();
  }
}
