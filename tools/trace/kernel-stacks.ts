// Cycles of the modelled clock as folded stacks (flamegraph.pl, speedscope, Perfetto): program;what it does;phase, a line each with its cycles. Here:
// adding up, from the tracks of a run. Not here: what happens on which track (run-tracks.ts), where a program spends its instructions (samples.ts).
//
// Every cycle is somebody's: of the thread on the hart, in the innermost slice that stands on its track, or in user mode; of a thread of the kernel; or
// of nobody. So the lines add up to the clock.
import type { Arg, Track, TrackWriter } from './tracks.ts';

export class KernelStacks implements TrackWriter {
  private readonly cycles = new Map<string, number>();
  private readonly open = new Map<Track, string[]>();
  private holder: Track | null = null;
  private since: number;

  /** @param ns of the clock, from which on is counted */
  constructor(ns: number) {
    this.since = ns;
  }
  describe(_track: Track): void {}
  begin(track: Track, ns: number, category: string, name: string, _args: readonly Arg[]): void {
    if (category === 'sched' || category === 'block') return; // not what a thread does
    this.pass(ns);
    const names = this.open.get(track) ?? [];
    this.open.set(track, names);
    // A thread of the kernel is all of its own slice.
    names.push(category === 'kthread' ? '' : frame(name));
    if (this.holder === null && track.kind === 'thread') this.holder = track; // init, before anybody is scheduled
  }
  end(track: Track, ns: number, _args: readonly Arg[]): void {
    this.pass(ns);
    this.open.get(track)?.pop();
  }
  instant(): void {}
  counter(): void {}
  onHart(track: Track | null, ns: number): void {
    this.pass(ns);
    this.holder = track;
  }
  take(): string {
    return '';
  }
  /** The lines, sorted. */
  finish(): string {
    return [...this.cycles].filter(([, cycles]) => cycles > 0).sort(([a], [b]) => (a < b ? -1 : 1)).map(([stack, cycles]) => `${stack} ${cycles}\n`).join('');
  }

  private pass(ns: number): void {
    const cycles = ns - this.since;
    this.since = ns;
    if (cycles <= 0) return;
    const stack = this.stack();
    this.cycles.set(stack, (this.cycles.get(stack) ?? 0) + cycles);
  }
  private stack(): string {
    if (this.holder === null) return 'idle';
    const names = (this.open.get(this.holder) ?? []).filter((name) => name !== '');
    const isThread = this.holder.kind === 'thread';
    return [isThread ? frame(this.holder.name) : 'kernel', ...(isThread ? [] : [frame(this.holder.name)]), ...(names.length === 0 && isThread ? ['user mode'] : names)].join(';');
  }
}
/** What separates frames, and lines, may be in none. */
const frame = (name: string): string => name.replace(/[;\n]/g, '_');
