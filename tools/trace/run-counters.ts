// Counters over time, for traces: declared once, with what they count. Here: the table, and telling what has changed. Not here: formats.
import type { VmName } from '#kernel';
import { PAGE_SIZE } from '#base';
import type { Session } from '../boot.ts';
import type { Track, Tracks } from './tracks.ts';

interface CounterRow {
  readonly name: string;
  readonly unit: Track['unit'];
  /** It never goes down. */
  readonly isTotal: boolean;
  read(session: Session): number;
}
const vmstat = (...names: readonly VmName[]) => ({ kernel: { system } }: Session): number => names.reduce((sum, name) => sum + system.vmstat.get(name), 0);
const inBytes = (read: (session: Session) => number) => (session: Session): number => read(session) * PAGE_SIZE;
/** Loads, stores and AMOs of a column by kind of access. */
const ofData = (column: Float64Array): number => column[1]! + column[2]! + column[3]!;

export const counterRows: readonly CounterRow[] = [
  { name: 'free memory', unit: 'bytes', isTotal: false, read: inBytes(({ kernel: { system } }) => system.pages.freePagesAndStock) },
  { name: 'page cache', unit: 'bytes', isTotal: false, read: inBytes(vmstat('nr_file_pages')) },
  { name: 'anonymous memory', unit: 'bytes', isTotal: false, read: inBytes(vmstat('nr_anon_pages')) },
  { name: 'dTLB misses', unit: 'count', isTotal: true, read: ({ machine: { mmu } }) => ofData(mmu.counters.l1Misses) },
  { name: 'iTLB misses', unit: 'count', isTotal: true, read: ({ machine: { mmu } }) => mmu.counters.l1Misses[0]! },
  { name: 'L2 TLB misses', unit: 'count', isTotal: true, read: ({ machine: { mmu } }) => mmu.counters.l2Misses.reduce((a, b) => a + b, 0) },
  { name: 'page faults', unit: 'count', isTotal: true, read: vmstat('pgfault') },
  { name: 'major faults', unit: 'count', isTotal: true, read: vmstat('pgmajfault') },
  { name: 'refaults', unit: 'count', isTotal: true, read: vmstat('workingset_refault_anon', 'workingset_refault_file') },
  { name: 'pages scanned', unit: 'count', isTotal: true, read: vmstat('pgscan_anon', 'pgscan_file') },
  { name: 'pages reclaimed', unit: 'count', isTotal: true, read: vmstat('pgsteal_anon', 'pgsteal_file') },
  { name: 'instructions', unit: 'count', isTotal: true, read: ({ instructions }) => instructions },
];

/** Between two looks, where events follow each other closely: 20 microseconds. */
const LOOK_EVERY_NS = 20_000;

/** Tells counters when they have changed. */
export class RunCounters {
  private readonly session: Session;
  private readonly tracks: Tracks;
  private readonly tell: (track: Track, ns: number, value: number) => void;
  private readonly rows: { readonly row: CounterRow; readonly track: Track }[];
  private readonly told = new Map<Track, number>();
  /** By the track of its program. */
  private readonly rss = new Map<Track, Track>();
  private lookAt = 0;

  constructor(session: Session, tracks: Tracks, tell: (track: Track, ns: number, value: number) => void) {
    this.session = session;
    this.tracks = tracks;
    this.tell = tell;
    this.rows = counterRows.map((row) => ({ row, track: tracks.add({ kind: 'counter', name: row.name, unit: row.unit }) }));
  }
  /** @param processes with their tracks @param isForced look even if the last look was a moment ago */
  look(ns: number, processes: Iterable<readonly [track: Track, rssPages: number]>, isForced = false): void {
    if (ns < this.lookAt && !isForced) return;
    this.lookAt = ns + LOOK_EVERY_NS;
    for (const { row, track } of this.rows) this.changed(track, ns, row.read(this.session));
    for (const [process, pages] of processes) {
      const track = this.rss.get(process) ?? this.tracks.add({ kind: 'counter', name: 'resident set', unit: 'bytes', parent: process });
      this.rss.set(process, track);
      this.changed(track, ns, pages * PAGE_SIZE);
    }
  }
  private changed(track: Track, ns: number, value: number): void {
    if (this.told.get(track) === value) return;
    this.told.set(track, value);
    this.tell(track, ns, value);
  }
}
