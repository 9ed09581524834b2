// A run as a picture of rows: tracks, with slices that nest, instants, counters. Here: what a track is, what a format has to write, slices kept balanced.
// Not here: which events become what (run-tracks.ts), formats (perfetto.ts, chrome.ts, kernel-stacks.ts).

/** What an event says of itself. */
export interface Arg { readonly name: string; readonly value: number | string; /** Printed in hexadecimal. */ readonly isAddress?: boolean }

/** process, thread: of the guest. row: anything else that slices stand on. */
export interface Track {
  /** 1, 2, 3 ... */
  readonly id: number;
  readonly kind: 'process' | 'thread' | 'row' | 'counter';
  name: string;
  /** What it stands below; null: nothing. */
  readonly parent: Track | null;
  /** Of processes and threads; 0: neither. */
  readonly pid: number;
  readonly tid: number;
  /** What a counter counts. */
  readonly unit: 'count' | 'bytes';
}

/** A format. Times are whole nanoseconds of the modelled clock and never go back. Slices of one track nest and are all ended. */
export interface TrackWriter {
  /** A track is new, or has another name. */
  describe(track: Track): void;
  begin(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void;
  end(track: Track, ns: number, args: readonly Arg[]): void;
  instant(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void;
  counter(track: Track, ns: number, value: number): void;
  /** From here on the time is this track's; null: nobody's. For formats that add time up. */
  onHart?(track: Track | null, ns: number): void;
  /** What was written since the last call. */
  take(): Uint8Array | string;
  /** The same, and the end. */
  finish?(): Uint8Array | string;
}

/** Tracks over a writer. Who ends a slice ends those that stand in it, and who ends what is not there does nothing: a trace may begin and end anywhere. */
export class Tracks {
  private readonly writer: TrackWriter;
  private readonly open = new Map<Track, string[]>();
  private nrTracks = 0;

  constructor(writer: TrackWriter) {
    this.writer = writer;
  }
  add(about: Partial<Omit<Track, 'id'>> & Pick<Track, 'kind' | 'name'>): Track {
    const track: Track = { parent: null, pid: 0, tid: 0, unit: 'count', ...about, id: ++this.nrTracks };
    this.writer.describe(track);
    return track;
  }
  rename(track: Track, name: string): void {
    if (track.name === name) return;
    track.name = name;
    this.writer.describe(track);
  }
  begin(track: Track, ns: number, category: string, name: string, args: readonly Arg[] = []): void {
    const names = this.open.get(track) ?? [];
    this.open.set(track, names);
    names.push(name);
    this.writer.begin(track, ns, category, name, args);
  }
  /** @param name of the slice; absent: the innermost */
  end(track: Track, ns: number, name?: string, args: readonly Arg[] = []): void {
    const names = this.open.get(track) ?? [];
    const at = name === undefined ? names.length - 1 : names.lastIndexOf(name);
    if (at < 0) return;
    for (const inner = names.splice(at); inner.length > 0; inner.pop()) this.writer.end(track, ns, inner.length === 1 ? args : []);
  }
  depth(track: Track): number {
    return this.open.get(track)?.length ?? 0;
  }
  endAll(track: Track, ns: number): void {
    while (this.depth(track) > 0) this.end(track, ns);
  }
  /** Of every track. */
  close(ns: number): void {
    for (const track of this.open.keys()) this.endAll(track, ns);
  }
}
