// Tracks as Chrome's trace viewers read them (chrome://tracing, Perfetto, speedscope): JSON, an object an event. Here: the format. Not here: what
// happens on which track (tracks.ts). Format: "Trace Event Format" of the Catapult project. Times are microseconds, with three decimals.
import type { Arg, Track, TrackWriter } from './tracks.ts';

/** Tracks that belong to no process of the guest stand under this one, which no guest has. */
const KERNEL_PID = 0;

export class ChromeWriter implements TrackWriter {
  private parts: string[] = [];
  private isFirst = true;

  describe({ id, kind, pid, tid, name, parent }: Track): void {
    if (kind === 'process') this.put({ ph: 'M', name: 'process_name', pid, tid: pid, args: { name } });
    if (kind === 'thread') this.put({ ph: 'M', name: 'thread_name', pid, tid, args: { name } });
    if (kind !== 'row') return;
    // A row that only holds others is the process they stand under.
    if (parent === null) this.put({ ph: 'M', name: 'process_name', pid: KERNEL_PID, tid: 0, args: { name: 'kernel' } });
    this.put({ ph: 'M', name: 'thread_name', pid: KERNEL_PID, tid: id, args: { name } });
  }
  begin(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.put({ ph: 'B', name, cat: category, ...this.place(track, ns), args: valuesOf(args) });
  }
  end(track: Track, ns: number, args: readonly Arg[]): void {
    this.put({ ph: 'E', ...this.place(track, ns), args: valuesOf(args) });
  }
  instant(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.put({ ph: 'i', s: 't', name, cat: category, ...this.place(track, ns), args: valuesOf(args) });
  }
  counter(track: Track, ns: number, value: number): void {
    this.put({ ph: 'C', name: track.name, ...this.place(track, ns), args: { value } });
  }
  take(): string {
    const text = this.parts.join('');
    this.parts = [];
    return text;
  }
  finish(): string {
    return `${this.take()}${this.isFirst ? HEAD : ''}\n]}\n`;
  }

  private place(track: Track, ns: number): { pid: number; tid: number; ts: number } {
    const ts = ns / 1000;
    if (track.kind === 'process' || track.kind === 'thread') return { pid: track.pid, tid: track.tid, ts };
    return { pid: track.parent?.kind === 'process' ? track.parent.pid : KERNEL_PID, tid: track.id, ts };
  }
  private put(event: object): void {
    this.parts.push(`${this.isFirst ? HEAD : ',\n'}${JSON.stringify(event)}`);
    this.isFirst = false;
  }
}
const HEAD = '{"displayTimeUnit":"ns","otherData":{"clock":"the modelled clock, one cycle a nanosecond"},"traceEvents":[\n';

const valuesOf = (args: readonly Arg[]): Record<string, number | string> =>
  Object.fromEntries(args.map(({ name, value, isAddress }) => [name, isAddress === true && typeof value === 'number' ? `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}` : value]));
