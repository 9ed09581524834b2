// A page fault as a slice with its phases in it. What a fault turns out to be is known when it ends, and a phase when it closes; so what happens meanwhile
// is held back until then. Here: the holding, and the order in which it is let go. Not here: who calls (run-tracks.ts).
import { reasons } from '#kernel';
import type { FaultPhase, FaultRecord } from '#kernel';
import type { Arg, Track, TrackWriter } from './tracks.ts';

/** Something held back: during which phase, and by how much it changes how deep the fault's own track stands. */
interface Held { readonly phase: number; readonly deeper: -1 | 0 | 1; readonly write: () => void }

export class FaultSlices implements TrackWriter {
  private readonly writer: TrackWriter;
  private held: Held[] = [];
  private track: Track | null = null;
  private phasesSoFar: () => number = () => 0;

  constructor(writer: TrackWriter) {
    this.writer = writer;
  }
  /** From here on all is held back. @param phasesSoFar of the fault that have closed */
  hold(track: Track, phasesSoFar: () => number): void {
    this.track = track;
    this.phasesSoFar = phasesSoFar;
  }
  get isHolding(): boolean {
    return this.track !== null;
  }
  /** The fault has ended. Writes it, its phases, and in them what was held back. @param beginNs of the fault, the trap included */
  release(beginNs: number, name: string, args: readonly Arg[], record: FaultRecord): void {
    const { track, held, writer } = this;
    if (track === null) return;
    this.track = null;
    this.held = [];
    writer.begin(track, beginNs, 'fault', name, args);
    let at = 0;
    let startNs = beginNs;
    let isOpen = false;
    let depth = 0;
    for (const [i, phase] of record.phases.entries()) {
      const endNs = Math.max(startNs, Math.floor(phase.cycle));
      if (!isOpen) writer.begin(track, startNs, 'phase', phase.name, argsOf(phase));
      for (isOpen = true; at < held.length && held[at]!.phase <= i; at++) {
        held[at]!.write();
        depth += held[at]!.deeper;
      }
      // What reaches beyond its phase keeps that open; the next one is told of in it.
      if (depth > 0) continue;
      writer.end(track, endNs, []);
      isOpen = false;
      startNs = endNs;
    }
    for (; at < held.length; at++) held[at]!.write();
    if (isOpen) writer.end(track, Math.max(startNs, Math.floor(record.endCycle)), []);
    writer.end(track, Math.max(startNs, Math.floor(record.endCycle)), []);
  }

  describe(track: Track): void {
    this.writer.describe(track);
  }
  begin(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.put(track === this.track ? 1 : 0, () => { this.writer.begin(track, ns, category, name, args); });
  }
  end(track: Track, ns: number, args: readonly Arg[]): void {
    this.put(track === this.track ? -1 : 0, () => { this.writer.end(track, ns, args); });
  }
  instant(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.put(0, () => { this.writer.instant(track, ns, category, name, args); });
  }
  counter(track: Track, ns: number, value: number): void {
    this.put(0, () => { this.writer.counter(track, ns, value); });
  }
  onHart(track: Track | null, ns: number): void {
    this.put(0, () => { this.writer.onHart?.(track, ns); });
  }
  take(): Uint8Array | string {
    return this.writer.take();
  }
  private put(deeper: -1 | 0 | 1, write: () => void): void {
    if (this.track === null) write();
    else this.held.push({ phase: this.phasesSoFar(), deeper, write });
  }
}

function argsOf({ decision, reason, facts, ptes }: FaultPhase): Arg[] {
  return [
    { name: 'decision', value: decision },
    ...(reason === null ? [] : [{ name: 'reason', value: reason }, { name: 'because', value: reasons[reason].sentence }]),
    ...Object.entries(facts).map(([name, value]): Arg => ({ name, value, isAddress: /^(va|ip|start|end|pfn|flags)$/.test(name) })),
    ...(ptes.length === 0 ? [] : [{ name: 'entries changed', value: ptes.length }]),
  ];
}
