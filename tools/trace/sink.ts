// A trace under way: lines that have been made and not yet written. Listeners only read; nothing of the run changes.
import type { Session } from '../boot.ts';

export interface Trace {
  /** Lines made since the last call. */
  take(): string[];
  /** Stops listening, and makes the last lines. */
  end(): string[];
}

/** What every line begins with: who is on the hart. While the first program is being started that is init, between programs the idle task. */
export function currentTask({ kernel }: Session): { comm: string; tid: number } {
  if (kernel.current !== null) return { comm: kernel.current.comm, tid: kernel.current.tid };
  return kernel.first === null ? { comm: 'init', tid: 1 } : { comm: 'swapper', tid: 0 };
}
