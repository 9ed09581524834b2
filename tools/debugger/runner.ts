// The run itself: a session that goes on until something asked for holds. Here: the moments at which anything can hold (the hart about to run in a
// program, an event, a phase that is closed), inputs given again at their places, images of the whole, and stopping in the middle of the kernel's
// work. Not here: where to begin, which checkpoint, backwards (replay.ts).
//
// To stop inside the kernel means to look at a state that no call of it ever returns: an image is taken in the middle, the work is thrown away by an
// exception, and the image put back. It can be looked at; it cannot go on, for the functions that were under way are gone. Whoever goes on begins again
// at a checkpoint before.
import type { MachineImage } from '#cpu';
import type { FaultPhase, FaultRecord } from '#kernel';
import type { Tracepoint } from '#base';
import type { Session } from '../boot.ts';
import { nowMs } from '../clock.ts';
import { EventCounter } from './events.ts';
import { putHeapBack, takeHeap } from './heap.ts';
import type { HeapImage } from './heap.ts';
import { kernelLine } from './kernel-line.ts';
import { ShownOnce } from './shown-once.ts';
import type { Said } from './shown-once.ts';
import { MemoryWatcher } from './watcher.ts';
import { comparePlaces } from './timeline.ts';
import { StoreSpy } from './store-spy.ts';
import type { MemoryWatch, Place, Stop, Until, ValueWatch } from './timeline.ts';

/** What came from outside, and where. */
export type Input = { readonly place: Place } & (
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'interrupt' }
  | { readonly kind: 'edit'; readonly change: (session: Session) => void });

/** A stretch of the run to be gone through. */
export interface Stretch {
  readonly until: Until;
  /** What holds at or before this place is passed over. null: nothing is. */
  readonly after: Place | null;
  /** What holds before this place is passed over. */
  readonly from?: Place;
  /** No further. null: to the end. */
  readonly limit: Place | null;
  /** 'first': it ends where something holds. 'last': it goes on to the limit, and what held last is found. */
  readonly want: 'first' | 'last';
  /** With 'last': what was done on the way to the limit is found, though the place behind it is the limit. */
  readonly comesToLimit?: boolean;
  /** It also ends where an instruction that trapped is done, and the program goes on elsewhere; 'note': these places are noted. */
  readonly traps?: 'stop' | 'note';
  readonly patienceMs?: number;
}
/** Of stops that say nothing more. */
type PlainKind = Exclude<Stop['kind'], 'pc' | 'memory' | 'value' | 'event' | 'phase'>;
export interface Found { readonly place: Place; readonly stop: Stop }

export interface StateImage { readonly heap: HeapImage; readonly machine: MachineImage; readonly rest: Rest }
/** Of the runner's own, what belongs to the state. */
export interface Rest { isStep: boolean; events: number; nextInput: number; said: Said; passed: Passed | null; lastTask: number }
/** A breakpoint that was stopped at, or passed over: the same instruction tried again after a fault is not asked about again. */
interface Passed { readonly instret: number; readonly event: number; readonly pc: number; readonly task: number }

/** Instructions between two looks at the host's clock, at first. */
const FIRST_SLICE = 200_000;
const SLICE_MS = 20;
const [MIN_SLICE, MAX_SLICE] = [10_000, 8_000_000];
/** Unwinds the kernel. No Error: a stack would cost more than the rest. */
const UNWIND = { name: 'unwind' };

export class Runner {
  readonly session: Session;
  readonly inputs: Input[];
  /** Standing in the middle of the kernel's work; the state can only be looked at. */
  inside: Place | null = null;
  /** After each slice, at a place where the state can be kept. */
  onSlice: (() => void) | null = null;
  /** Milliseconds of the host that the run up to here took. */
  hostMs = 0;
  /** Standing where an instruction is come to for the first time, or where the program goes on behind a trap: not where one is tried again. */
  isStep = false;
  /** Places noted in a stretch with `traps`. */
  trapPlaces: Place[] = [];

  readonly output = new ShownOnce();
  private readonly counter: EventCounter;
  private readonly outside: Set<object>;
  private lastHeap: HeapImage | null = null;
  private nextInput = 0;
  private passed: Passed | null = null;
  private lastTask = 0;
  private sliceInstrs = FIRST_SLICE;

  // The stretch under way.
  private stretch: Stretch | null = null;
  private found: Found | null = null;
  private stopped = false;
  /** The hart did not run on: onEnter() said so. */
  private hasRefused = false;
  private insideImage: StateImage | null = null;
  private readonly watched = new Map<ValueWatch, number>();
  private spy: StoreSpy | null = null;
  private memory: MemoryWatcher | null = null;
  /** Stores of the kernel to watched memory since the last event or phase. */
  private stores = 0;

  /** @param outside what is the host's, and not part of the state */
  constructor(session: Session, inputs: readonly Input[], outside: readonly object[]) {
    this.session = session;
    this.inputs = [...inputs];
    const { machine, kernel } = session;
    this.outside = new Set<object>([session.config, ...machine.caches, ...outside]);
    this.counter = new EventCounter();
    this.counter.onEvent = (point, values) => this.onEvent(point, values);
    kernel.system.faults.onPhase = (fault, phase) => this.onPhase(fault, phase);
    machine.onEnter = () => this.onEnter();
  }
  close(): void {
    this.counter.close();
    this.session.machine.onTouch = null;
    this.session.kernel.system.faults.onPhase = null;
    this.session.machine.onEnter = null;
  }

  /** Events so far. */
  get events(): number {
    return this.counter.count;
  }
  get place(): Place {
    return this.inside ?? this.programPlace;
  }
  private get programPlace(): Place {
    return { instret: this.session.machine.instret, event: this.counter.count, phase: -1 };
  }
  private get kernelPlace(): Place {
    const place = { instret: this.session.machine.instret, event: this.counter.count, phase: this.session.kernel.system.faults.current?.phases.length ?? 0 };
    return this.stores === 0 ? place : { ...place, store: this.stores };
  }
  private get task(): number {
    return this.session.kernel.current?.tid ?? 0;
  }

  // --- Images ---

  take(): StateImage {
    const { session, outside } = this;
    const heap = takeHeap([session], outside, this.lastHeap);
    this.lastHeap = heap;
    const rest: Rest = {
      isStep: this.isStep, events: this.counter.count, nextInput: this.nextInput, said: this.output.said, passed: this.passed, lastTask: this.lastTask,
    };
    return { heap, machine: session.machine.takeImage(), rest };
  }
  putBack({ heap, machine, rest }: StateImage): void {
    putHeapBack(heap);
    this.lastHeap = heap;
    this.session.machine.putBack(machine);
    const { isStep, events, nextInput, said, passed, lastTask } = rest;
    this.isStep = isStep;
    this.counter.count = events;
    this.nextInput = nextInput;
    this.output.putBack(said);
    this.passed = passed;
    this.lastTask = lastTask;
    this.inside = null;
  }

  // --- Inputs ---

  /** Something from outside, here and now. What was to come from there on is forgotten. */
  give(input: Input): void {
    this.inputs.length = this.nextInput;
    this.inputs.push(input);
    this.applyNext();
    this.output.forgetAhead();
  }
  private applyNext(): void {
    const input = this.inputs[this.nextInput++]!;
    switch (input.kind) {
      case 'bytes':
        this.session.feed(input.bytes);
        return;
      case 'interrupt':
        this.session.interrupt();
        return;
      case 'edit':
        input.change(this.session);
        return;
    }
  }
  /** Gives the inputs whose place this is: what is to be seen here is what comes after them. */
  settle(): void {
    while (this.applyDue()) { /* the next one */ }
  }
  private applyDue(): boolean {
    const next = this.inputs[this.nextInput];
    if (next === undefined || comparePlaces(next.place, this.programPlace) > 0) return false;
    this.applyNext();
    return true;
  }

  // --- Running ---

  /** Goes through a stretch. The state is not inside. @returns where it ended, and why; with 'last' what held last, or null */
  run(stretch: Stretch): Found | null {
    const { session: { machine, kernel } } = this;
    const { until } = stretch;
    const { faults } = kernel.system;
    this.stretch = stretch;
    this.found = null;
    this.stopped = false;
    this.trapPlaces = [];
    const place = this.programPlace;
    if (stretch.after !== null && comparePlaces(place, stretch.after) <= 0 && kernel.isInUser) this.pass(toPc(machine));
    // On the way back the place where it begins counts. It may have been passed when it was stopped at; one passed before a fault stays so.
    if (stretch.after === null && stretch.want === 'last' && this.passed?.event === place.event) this.passed = null;
    machine.setBreakpoints(until.pcs?.addresses ?? NO_PCS);
    this.watched.clear();
    this.watchMemory(until.memory ?? []);
    for (const watch of until.values ?? []) this.watched.set(watch, watch.read(this.session));
    this.spy = until.values === undefined ? null : new StoreSpy(this.session, until.values);
    const wantsPhases = until.phases !== undefined || until.events !== undefined || until.values !== undefined || until.memory !== undefined || (stretch.limit?.phase ?? -1) >= 0;
    if (wantsPhases) faults.start();
    else faults.stop();
    try {
      return this.loop(stretch);
    } finally {
      this.stretch = null;
      this.spy?.close();
      this.spy = null;
    }
  }

  private watchMemory(watches: readonly MemoryWatch[]): void {
    const { machine } = this.session;
    machine.onTouch = null;
    this.stores = 0;
    this.memory = watches.length === 0 ? null : new MemoryWatcher(this.session, watches);
    machine.setWatch(this.memory?.ranges ?? []);
    if (this.memory !== null) machine.onTouch = this.touched;
  }

  private loop(stretch: Stretch): Found | null {
    const { session: { kernel, machine, config } } = this;
    const { limit, want, until } = stretch;
    const began = nowMs();
    const end = (kind: PlainKind): Found | null => (want === 'last' ? this.found : { place: this.programPlace, stop: { kind } });
    for (;;) {
      if (this.applyDue()) continue;
      const { instret } = machine;
      const here = this.programPlace;
      if (limit !== null && comparePlaces(here, limit) >= 0) return end('place');
      if (until.instructions !== undefined && kernel.isInUser && this.asksInstruction(here) && this.hit(here, { kind: 'instruction' })) return this.found;
      const { maxInsn } = config.machine;
      if (maxInsn !== null && instret >= maxInsn) return end('budget');
      const next = this.inputs[this.nextInput]?.place.instret ?? Infinity;
      const bound = Math.min(limit?.instret ?? Infinity, next, maxInsn ?? Infinity);
      // At the instruction where the stretch ends, or an input comes, what is before it is the kernel's: the hart is stopped as it comes back.
      const budget = bound <= instret ? 1 : Math.min(bound - instret, until.instructions === undefined ? this.sliceInstrs : 1);
      const result = this.slice(budget);
      if (this.stopped) return this.found;
      if (result === 'exited' || (result === 'deadlock' && !this.applyDue())) return end(result);
      if (result === 'input' && !this.applyDue() && !(limit !== null && comparePlaces(this.programPlace, limit) >= 0)) return end('input');
      if (kernel.isInUser && result === 'budget') this.onSlice?.();
      if (stretch.patienceMs !== undefined && nowMs() - began > stretch.patienceMs && kernel.isInUser) return end('interrupted');
    }
  }
  private slice(budget: number): string {
    const { session: { kernel, machine } } = this;
    const started = nowMs();
    const { instret } = machine;
    this.isStep = false;
    this.hasRefused = false;
    let result: string;
    try {
      result = kernel.run(budget);
    } catch (error) {
      if (this.insideImage === null) throw error;
      result = 'inside';
    }
    if (machine.instret > instret && !this.hasRefused) this.isStep = result === 'budget' || result === 'breakpoint';
    const spent = nowMs() - started;
    this.hostMs += spent;
    this.adapt(machine.instret - instret, spent);
    if (this.insideImage !== null) this.standInside();
    this.output.collect(this.session);
    kernel.system.faults.take();
    kernel.system.cacheLog.take();
    if (result === 'breakpoint' && !this.hasRefused && !this.asksMemory(this.programPlace) && this.stretch!.until.pcs !== undefined) this.asksPc(this.programPlace, toPc(machine));
    return result;
  }
  private adapt(instrs: number, spentMs: number): void {
    if (instrs < this.sliceInstrs) return;
    this.sliceInstrs = Math.min(MAX_SLICE, Math.max(MIN_SLICE, Math.floor((this.sliceInstrs * SLICE_MS) / Math.max(SLICE_MS / 4, spentMs))));
  }
  /** The kernel's work was thrown away: back to the middle of it, to be looked at. */
  private standInside(): void {
    const image = this.insideImage!;
    this.insideImage = null;
    this.putBack(image);
    this.inside = this.kernelPlace;
  }

  // --- Moments ---

  /** Does it end here? Something asked for holds at a place. */
  private hit(place: Place, stop: Stop): boolean {
    const { after, from, want, limit, comesToLimit } = this.stretch!;
    if (after !== null && comparePlaces(place, after) <= 0) return false;
    if (from !== undefined && comparePlaces(place, from) < 0) return false;
    if (want === 'last' && isAt(place, limit) && !(comesToLimit === true && isBehind(stop) && comparePlaces(place, limit!) === 0)) return false;
    this.found = { place, stop };
    if (want === 'last') return false;
    this.stopped = true;
    return true;
  }
  private stopInside(): void {
    this.insideImage = this.take();
    throw UNWIND;
  }

  /** The hart is about to run in a program. @returns true: it does not */
  private onEnter(): boolean {
    if (this.stretch === null || this.insideImage !== null) return false;
    this.stores = 0;
    const isTrapEnd = this.isElsewhere(toPc(this.session.machine));
    if (this.endsHere(this.stretch, this.programPlace, isTrapEnd)) {
      this.hasRefused = true;
      this.isStep = isTrapEnd;
      return true;
    }
    this.lastTask = this.task;
    return false;
  }
  private endsHere({ limit, until }: Stretch, place: Place, isTrapEnd: boolean): boolean {
    const next = this.inputs[this.nextInput];
    if (isAt(place, next?.place) || isAt(place, limit)) return true;
    return (isTrapEnd && this.atTrapEnd(place)) || (until.pcs !== undefined && this.asksPc(place, toPc(this.session.machine)))
      || (this.watched.size !== 0 && this.asksValues(place)) || this.asksMemory(place);
  }
  /** Does the program go on where it was not before the trap? */
  private isElsewhere(pc: number): boolean {
    return pc !== this.session.machine.lastPc || this.task !== this.lastTask;
  }
  private atTrapEnd(place: Place): boolean {
    const { traps, after, until } = this.stretch!;
    if (traps === undefined && until.instructions === undefined) return false;
    if (after !== null && comparePlaces(place, after) <= 0) return false;
    if (traps === 'note') this.trapPlaces.push(place);
    if (until.instructions !== undefined && this.asksInstruction(place)) return this.hit(place, { kind: 'instruction' });
    return traps === 'stop' && this.hit(place, { kind: 'place' });
  }
  private asksInstruction(place: Place): boolean {
    const { after, until } = this.stretch!;
    return (after === null || comparePlaces(place, after) > 0) && until.instructions!(toPc(this.session.machine));
  }
  private asksPc(place: Place, pc: number): boolean {
    const { addresses, at } = this.stretch!.until.pcs!;
    if (!addresses.has(pc)) return false;
    const { passed } = this;
    if (passed !== null && passed.instret === place.instret && passed.pc === pc && passed.task === this.task) return false;
    this.pass(pc);
    return at(pc) && this.hit(place, { kind: 'pc', pc });
  }
  private pass(pc: number): void {
    this.passed = { instret: this.session.machine.instret, event: this.counter.count, pc, task: this.task };
  }
  private onEvent(point: Tracepoint, values: readonly number[]): void {
    const { stretch } = this;
    if (stretch === null || this.insideImage !== null) return;
    this.stores = 0;
    const { events } = stretch.until;
    const isAsked = events !== undefined && events.points.has(point);
    if (!isAsked && this.watched.size === 0 && (stretch.limit === null || stretch.limit.event > this.counter.count)) return;
    const place = this.kernelPlace;
    if (isAsked && events.at(point, values) && this.hit(place, { kind: 'event', point, values: [...values] })) this.stopInside();
    this.atKernelPlace(place);
  }
  private onPhase(fault: FaultRecord, phase: FaultPhase): void {
    const { stretch } = this;
    if (stretch === null || this.insideImage !== null) return;
    this.stores = 0;
    const place = this.kernelPlace;
    if (stretch.until.phases?.(fault, phase) === true && this.hit(place, { kind: 'phase', fault, phase })) this.stopInside();
    this.atKernelPlace(place);
  }
  private atKernelPlace(place: Place): void {
    if (this.watched.size !== 0 && this.asksValues(place)) this.stopInside();
    const { limit, want } = this.stretch!;
    if (limit === null || limit.phase < 0 || comparePlaces(place, limit) < 0) return;
    this.stopped = true;
    if (want === 'first') this.found = { place, stop: { kind: 'place' } };
    this.stopInside();
  }
  /** The kernel has written to RAM, or is about to read. */
  private readonly touched = (pa: number, lenBytes: number, isWrite: boolean): void => {
    const { memory, session: { machine } } = this;
    if (this.stretch === null || memory === null || this.insideImage !== null) return;
    machine.onTouch = null; // what is looked at now is not the kernel's
    const hit = memory.byKernel(pa, lenBytes, isWrite);
    machine.onTouch = this.touched;
    if (hit === null) return;
    this.stores++;
    if (this.hit(this.kernelPlace, { kind: 'memory', ...hit, line: kernelLine() })) this.stopInside();
  };
  /** What the hart did to watched memory in its last instruction, or on the way to a trap. */
  private asksMemory(place: Place): boolean {
    const { watch } = this.session.machine.mmu;
    if (watch === null || this.memory === null || watch.hits.length === 0) return false;
    const { hits } = watch;
    watch.hits = [];
    const hit = this.memory.byProgram(hits);
    return hit !== null && this.hit(place, { kind: 'memory', ...hit, line: null });
  }
  private asksValues(place: Place): boolean {
    for (const [watch, before] of this.watched) {
      const after = watch.read(this.session);
      if (after === before) continue;
      this.watched.set(watch, after);
      if (watch.accepts?.(before, after) === false) continue;
      const store = this.spy?.lineOf(watch, after) ?? null;
      if (this.hit(place, { kind: 'value', watch, before, after, line: store ?? kernelLine(), isStore: store !== null })) return true;
    }
    return false;
  }
}

const isAt = (place: Place, bound: Place | null | undefined): boolean => bound !== null && bound !== undefined && comparePlaces(place, bound) >= 0;
/** Some stops are before what they tell of, these behind. */
const isBehind = ({ kind }: Stop): boolean => kind === 'memory' || kind === 'value';
const NO_PCS: ReadonlySet<number> = new Set();
const toPc = ({ hart }: Session['machine']): number => hart.pcHi * 0x1_0000_0000 + (hart.pcLo >>> 0);
