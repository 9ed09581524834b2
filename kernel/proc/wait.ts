// Sleeping. A system call that has to wait puts its task on one or more wait queues and returns BLOCK; when a queue is woken, or the
// deadline passes, or a signal arrives, the task becomes runnable and the same handler runs again from the same arguments (its own notes, if
// it needs any, are in task.restart). No host stack is kept, so the kernel's state stays plain data.
// Mirrors wait_queue_head and prepare_to_wait()/finish_wait() (kernel/sched/wait.c).
import type { Task } from './task.ts';

/** A handler's answer: "the task sleeps; run me again". Outside the range of results and errnos. */
export const BLOCK = -0x1_0000;

export class WaitQueue {
  private readonly sleepers: Task[] = [];
  /** How often it was woken: what an edge-triggered epoll goes by. */
  wakes = 0;

  /** Adds a task once. */
  add(task: Task): void {
    if (!this.sleepers.includes(task)) this.sleepers.push(task);
  }
  remove(task: Task): void {
    const at = this.sleepers.indexOf(task);
    if (at >= 0) this.sleepers.splice(at, 1);
  }
  /** Makes up to `nr` sleepers runnable, in order of arrival. @returns how many. */
  wake(nr = Number.POSITIVE_INFINITY): number {
    let woken = 0;
    this.wakes++;
    while (woken < nr && this.sleepers.length > 0) {
      this.sleepers[0]!.wake(); // wake() takes the task off every queue it is on
      woken++;
    }
    return woken;
  }
  get isEmpty(): boolean {
    return this.sleepers.length === 0;
  }
}
