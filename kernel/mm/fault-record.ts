// Fault records: one page fault as a list of phases, each with what it was given, what it decided, why, and which page-table words it
// changed. Recorded only while somebody asks; otherwise `log.current` is null and a fault pays one test a phase.
import type { Pfn } from '#base';
import type { ReasonCode } from './reasons.ts';

/** In the order in which a fault goes through them. Not every fault has every phase. */
export const faultPhases = ['trap', 'vma lookup', 'order choice', 'allocate', 'zero', 'copy', 'map', 'rmap+lru', 'flush', 'return'] as const;
export type FaultPhaseName = (typeof faultPhases)[number];

/** What a fault turned out to be; the report counts by it. */
export const faultKinds = ['anon', 'anon-zero-page', 'anon-huge', 'anon-huge-zero', 'file-read', 'file-around', 'file-cow', 'file-shared',
  'cow-copy', 'cow-reuse', 'young', 'spurious', 'failed', 'swap-in'] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One 64-bit word of a page table, before and after. */
export interface PteChange {
  readonly table: Pfn;
  readonly index: number;
  readonly oldLow: number;
  readonly oldHigh: number;
  readonly newLow: number;
  readonly newHigh: number;
}

export interface FaultPhase {
  readonly name: FaultPhaseName;
  /** Modelled cycle at which the phase ended. */
  readonly cycle: number;
  /** What it was given and what came out: numbers (addresses, frames, orders, counts) and words. */
  readonly facts: Readonly<Record<string, number | string>>;
  readonly decision: string;
  readonly reason: ReasonCode | null;
  readonly ptes: readonly PteChange[];
}

export interface FaultRecord {
  /** 0, 1, 2 ... since the machine began, recorded or not. */
  readonly number: number;
  readonly cycle: number;
  readonly mmId: number;
  readonly va: number;
  /** 0 read, 1 write, 2 execute. */
  readonly access: number;
  readonly from: 'user' | 'kernel';
  readonly ip: number;
  readonly phases: FaultPhase[];
  /** FaultResult; -1 until the last phase. */
  result: number;
  kind: FaultKind;
  endCycle: number;
}

export class FaultLog {
  /** The record of the fault under way; null: nobody asked. */
  current: FaultRecord | null = null;
  /** The one that ended last, for who is told of its end by a tracepoint; null: none was recorded. */
  last: FaultRecord | null = null;
  private recording = false;
  private records: FaultRecord[] = [];
  private next = 0;
  private changes: PteChange[] = [];
  /** Told of every phase when it is closed, while recording; null: nobody asks. */
  onPhase: ((fault: FaultRecord, phase: FaultPhase) => void) | null = null;
  private readonly clock: { readonly clockCycles: number };

  constructor(clock: { readonly clockCycles: number }) {
    this.clock = clock;
  }
  start(): void {
    this.recording = true;
  }
  stop(): void {
    this.recording = false;
  }
  get isRecording(): boolean {
    return this.recording;
  }
  /** The finished records since the last call, oldest first. */
  take(): FaultRecord[] {
    const taken = this.records;
    this.records = [];
    return taken;
  }

  /** Opens a record if somebody asked for one. Faults do not nest. */
  begin(mmId: number, va: number, access: number, from: 'user' | 'kernel', ip: number): void {
    const number = this.next++;
    if (!this.recording) return;
    const cycle = this.clock.clockCycles;
    this.current = { number, cycle, mmId, va, access, from, ip, phases: [], result: -1, kind: 'failed', endCycle: cycle };
    this.changes = [];
  }
  /** Closes a phase; it owns the words changed since the last one. */
  phase(name: FaultPhaseName, facts: Readonly<Record<string, number | string>>, decision: string, reason: ReasonCode | null = null): void {
    const { current } = this;
    if (current === null) return;
    const phase = { name, cycle: this.clock.clockCycles, facts, decision, reason, ptes: this.changes };
    current.phases.push(phase);
    this.changes = [];
    this.onPhase?.(current, phase);
  }
  pteChanged(table: Pfn, index: number, oldLow: number, oldHigh: number, newLow: number, newHigh: number): void {
    this.changes.push({ table, index, oldLow, oldHigh, newLow, newHigh });
  }
  /** What the fault has come to is known; its last phase is still to be closed. */
  settle(result: number, kind: FaultKind): void {
    if (this.current === null) return;
    this.current.result = result;
    this.current.kind = kind;
  }
  end(): void {
    if (this.current === null) return;
    this.current.endCycle = this.clock.clockCycles;
    this.records.push(this.current);
    this.last = this.current;
    this.current = null;
  }
}
