// A trace under way: lines that have been made and not yet written. Listeners only read; nothing of the run changes.
import type { Session } from '../boot.ts';

export interface Trace {
  /** Lines made since the last call. */
  take(): string[];
  /** Stops listening, and makes the last lines. */
  end(): string[];
}

/** What every line begins with: who is on the hart. Before the first program runs that is nobody. */
export function currentTask({ kernel }: Session): { comm: string; tid: number } {
  return kernel.current === null ? { comm: 'swapper', tid: 0 } : { comm: kernel.current.comm, tid: kernel.current.tid };
}
