// What counts as an event of a run: the tracepoints whose emissions are numbered, so that a place inside the kernel has a name. Here: which do, and one
// listener for all of them. Not here: what is done with them (replay.ts, recording.ts).
//
// The list is part of what a place and a recording mean: another list is another numbering. Left out is what comes many times within one event and tells
// nothing more (a page moved to a per-CPU list, the state of dirty pages beside the event that asked for it).
import { tracepoints } from '#base';
import type { Tracepoint } from '#base';

const leftOut: ReadonlySet<string> = new Set(['rss_stat', 'mm_page_alloc_zone_locked', 'mm_page_pcpu_drain', 'global_dirty_state', 'balance_dirty_pages', 'block_plug', 'block_unplug']);

/** The tracepoints that count, in order of their names: their place in it is their number in a recording. */
export const countedPoints = (): Tracepoint[] =>
  [...tracepoints().values()].filter(({ name }) => !leftOut.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1));

/** Numbers events from 1 on. */
export class EventCounter {
  /** Events so far. */
  count = 0;
  /** Told of each event, after it has been counted, with the tracepoint's number; null: nobody asks. */
  onEvent: ((point: Tracepoint, values: readonly number[], number: number) => void) | null = null;
  private readonly stops: readonly (() => void)[];

  constructor() {
    this.stops = countedPoints().map((point, number) => point.listen((_, values) => {
      this.count++;
      if (this.onEvent !== null) this.onEvent(point, values, number);
    }));
  }
  /** Listens no more. */
  close(): void {
    for (const stop of this.stops) stop();
  }
}
