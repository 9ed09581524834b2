// The Timeline: going to any place of a run by going forward from the last checkpoint before it. Here: the moves, and when checkpoints are taken.
// Not here: the run itself, and stopping in the middle of the kernel (runner.ts); what a checkpoint is (checkpoint.ts).
import { bug, UserError } from '#base';
import type { FaultRecord, OutputChunk } from '#kernel';
import { boot } from '../boot.ts';
import type { Session } from '../boot.ts';
import { nowMs } from '../clock.ts';
import type { RunConfig } from '../config.ts';
import { CheckpointRing, DEFAULT_RING_BYTES } from './checkpoint.ts';
import type { Checkpoint } from './checkpoint.ts';
import { countedPoints } from './events.ts';
import { overlayDisks } from './overlay.ts';
import { Runner } from './runner.ts';
import type { Found, Input, StateImage, Stretch } from './runner.ts';
import { comparePlaces } from './timeline.ts';
import type { Place, Stop, Timeline, Until } from './timeline.ts';

export interface TimelineOptions {
  /** Inputs of a recorded run. */
  readonly inputs?: readonly Input[];
  /** For checkpoints. Default: 768 MiB. */
  readonly ringBytes?: number;
}

const START: Place = { instret: 0, event: 0, phase: -1 };
const NOTHING: Until = {};
/** Host time between checkpoints: at least this, and so many times what taking one costs; where that is long, less often suffices. */
const GAP_MS = 50;
const GAP_COSTS = 12;
const LONG_GAP_MS = 250;
const LONG_GAP_COSTS = 4;
/** Going on from inside the kernel begins at a checkpoint; one that is further away is not near enough to do it often. */
const NEAR_MS = 25;
/** Who steps back will do so again: the checkpoint that it begins at is so many instructions further back than need be. */
const STEPS_BACK = 500;
/** Where every instruction is asked about, going back looks at so many first, then at more and more. */
const FIRST_LOOK_INSTRS = 2000;

/** A run that can be gone through both ways, standing before its first instruction. Disks are written to in memory only: images stay as they are.
 *  @throws UserError for what cannot be started, and for a reclaim policy of the user's own: its state may be in closures, where no image reaches it */
export function openTimeline(config: RunConfig, options: TimelineOptions = {}): Timeline {
  const { file } = config.machine.lru;
  if (file !== null) throw new UserError(`--lru ${file.path}: what a policy of your own remembers cannot be put back to an earlier moment. Use one of Quire's own.`);
  return new Replay(config, options);
}

class Replay implements Timeline {
  readonly session: Session;
  stop: Stop = { kind: 'start' };
  private reached: Place = START;
  private readonly runner: Runner;
  private readonly ring: CheckpointRing;
  private checkpointMs = 0;

  constructor(config: RunConfig, { inputs = [], ringBytes = DEFAULT_RING_BYTES }: TimelineOptions) {
    const { config: covered, below } = overlayDisks(config);
    // Why folios of files have their orders, and why pages went, is asked afterwards: it is recorded from the beginning.
    this.session = boot(covered, ({ kernel: { system } }) => {
      system.lru.evictions.start();
      return null;
    }, true);
    this.runner = new Runner(this.session, inputs, below);
    this.runner.onSlice = () => this.keepNowAndThen();
    this.ring = new CheckpointRing(ringBytes);
    this.keep();
  }
  close(): void {
    this.runner.close();
    this.session.shutdown();
  }

  get place(): Place {
    return this.runner.place;
  }
  get fault(): FaultRecord | null {
    return this.runner.inside === null ? null : this.session.kernel.system.faults.current;
  }
  get furthest(): Place {
    return this.reached;
  }

  // --- Moves ---

  forward(until: Until): Stop {
    const after = this.place;
    if (this.runner.inside !== null) this.approach(after);
    // Who has only looked at a socket in between goes on as before.
    else if (this.asksInside(until) && this.stop.kind !== 'interrupted' && this.distanceMs() > NEAR_MS) this.keep();
    return this.arrive(this.run({ until, after, limit: until.place ?? null, want: 'first', ...(until.patienceMs === undefined ? {} : { patienceMs: until.patienceMs }) })!);
  }

  backward(until: Until): Stop {
    const floor = until.place ?? null;
    const found = until.instructions === undefined ? this.findBack(until, floor) : this.findInstructionBack(until, floor);
    if (found === null) {
      this.seek(floor ?? START);
      return this.arrive({ place: this.place, stop: { kind: floor === null ? 'start' : 'place' } });
    }
    // Gone through once more, so that what the stop shows belongs to the state.
    this.approach(found.place);
    return this.arrive(this.run({ until, after: null, from: found.place, limit: null, want: 'first' })!);
  }

  seek(place: Place): Stop {
    const here = this.place;
    if (comparePlaces(here, place) === 0) return this.arrive({ place: here, stop: { kind: 'place' } });
    const from = this.ring.before(place);
    if (this.runner.inside !== null || comparePlaces(here, place) > 0 || comparePlaces(from.place, here) > 0) this.returnTo(from);
    if (comparePlaces(this.place, place) >= 0) return this.arrive({ place: this.place, stop: { kind: comparePlaces(this.place, START) === 0 ? 'start' : 'place' } });
    return this.arrive(this.run({ until: NOTHING, after: null, limit: place, want: 'first' })!);
  }

  seekEvent(event: number): Stop {
    let at = this.ring.before(this.reached);
    while (at.place.event >= event && at.place.instret + at.place.event > 0) at = this.ring.strictlyBefore(at.place) ?? bug('no start');
    this.returnTo(at);
    const points = new Set(countedPoints());
    const found = this.run({ until: { events: { points, at: () => this.runner.events === event } }, after: null, limit: null, want: 'first' })!;
    return this.arrive(found.stop.kind === 'event' ? { place: found.place, stop: { kind: 'place' } } : found);
  }

  stepInstructions(n: number): Stop {
    if (n < 0) return this.stepBack(-n);
    let after = this.place;
    if (this.runner.inside !== null) {
      this.approach(after);
      const out = this.run({ until: NOTHING, after: null, limit: { ...after, phase: -1 }, want: 'first' })!;
      if (out.stop.kind !== 'place') return this.arrive(out);
      after = this.place;
    }
    for (let left = n; left > 0;) {
      const found = this.run({ until: NOTHING, after, limit: firstAt(after.instret + left), want: 'first', traps: 'stop' })!;
      if (found.stop.kind !== 'place') return this.arrive(found);
      // First arrivals at the instructions on the way; one more where it stopped behind a trap instead.
      const done = found.place.instret - after.instret;
      left -= done === left ? done : done + 1;
      after = found.place;
    }
    return this.arrive({ place: this.place, stop: { kind: 'place' } });
  }

  edit(change: (session: Session) => void): void {
    this.give({ kind: 'edit', place: this.place, change });
  }
  feed(bytes: Uint8Array): void {
    this.give({ kind: 'bytes', place: this.place, bytes: new Uint8Array(bytes) });
  }
  interruptProgram(): void {
    this.give({ kind: 'interrupt', place: this.place });
  }
  private give(input: Input): void {
    if (this.runner.inside !== null) bug('a change from outside in the middle of the kernel\'s work');
    this.ring.dropAfter(this.place);
    this.runner.give(input);
    this.reached = this.place;
  }

  ask<T>(question: (session: Session) => T): T {
    if (this.runner.inside !== null) bug('a question to the kernel in the middle of its work');
    const image = this.runner.take();
    try {
      return question(this.session);
    } finally {
      this.runner.putBack(image);
    }
  }

  takeOutput(): OutputChunk[] {
    return this.runner.output.takeOutput();
  }
  takeMessages(): string[] {
    return this.runner.output.takeMessages();
  }

  // --- Backwards ---

  /** What holds last before the present place, and not before `floor`: stretches between checkpoints, the last one first. */
  private findBack(until: Until, floor: Place | null): Found | null {
    const here = this.place;
    for (let limit = here; ;) {
      const from = this.ring.strictlyBefore(limit);
      if (from === null) return null;
      this.returnTo(from);
      const after = floor !== null && comparePlaces(floor, from.place) > 0 ? floor : null;
      const found = this.run({ until, after, limit, want: 'last', comesToLimit: limit !== here || until.orHere === true });
      if (found !== null) return found;
      if (floor !== null && comparePlaces(floor, from.place) >= 0) return null;
      limit = from.place;
    }
  }
  /** The same where every instruction is asked about, which is slow: a few first. */
  private findInstructionBack(until: Until, floor: Place | null): Found | null {
    let limit = this.place;
    for (let look = FIRST_LOOK_INSTRS; ; look *= 2) {
      const from = firstAt(Math.max(0, limit.instret - look));
      const begin = floor !== null && comparePlaces(floor, from) > 0 ? floor : from;
      this.seek(begin);
      if (comparePlaces(this.place, limit) >= 0) return null;
      const start = this.place;
      const found = this.run({ until, after: begin === floor ? floor : before(start), limit, want: 'last' });
      if (found !== null) return found;
      if (begin === floor || from.instret === 0) return null;
      limit = start;
    }
  }

  private stepBack(n: number): Stop {
    let left = n;
    let upper = this.place;
    for (;;) {
      const from = this.nearBelow(upper, left);
      if (from === null) return this.arrive({ place: this.seekStart(), stop: { kind: 'start' } });
      this.returnTo(from);
      // Where the last instruction before `upper` was come to first; then on, for the places behind traps.
      const notes: Place[] = [];
      const note = (limit: Place): void => {
        const start = this.place;
        if (comparePlaces(start, limit) >= 0) return;
        this.run({ until: NOTHING, after: start, limit, want: 'last', traps: 'note' });
        notes.push(...this.runner.trapPlaces);
      };
      note(firstAt(upper.instret));
      const first = this.place;
      note(upper);
      const target = this.countBack(from, first, upper, notes, left);
      if (typeof target === 'object') {
        this.seek(target);
        return this.arrive({ place: this.place, stop: { kind: 'place' } });
      }
      left = target;
      upper = from.place;
    }
  }
  /** A checkpoint below which going `n` instructions back from a place does not lead, made if there is none; or the last one there is. */
  private nearBelow(place: Place, n: number): Checkpoint | null {
    const from = this.ring.strictlyBefore(place);
    const begin = place.instret - n - STEPS_BACK;
    if (from === null || begin <= from.place.instret) return from;
    this.returnTo(from);
    this.run({ until: NOTHING, after: null, limit: firstAt(begin), want: 'first' });
    this.keep();
    return this.ring.before(this.place);
  }
  /** The `left`-th step place before `upper`: each instruction's first, from `from` on, and those behind traps. @returns how many are wanted still, if
   *  there are not so many. */
  private countBack({ place: from, rest: { isStep } }: Checkpoint, first: Place, upper: Place, traps: readonly Place[], left: number): Place | number {
    let instret = comparePlaces(first, upper) < 0 ? upper.instret : upper.instret - 1;
    let wanted = left;
    for (let i = traps.length - 1; ; i--) {
      const trap = traps[i];
      // First places above the trap's instruction, down to it: the trap's own stands behind the first place of its instruction.
      const lowest = trap === undefined ? from.instret + 1 : trap.instret + 1;
      const nr = Math.max(0, instret - lowest + 1);
      if (wanted <= nr) return firstAt(instret - wanted + 1);
      wanted -= nr;
      instret = Math.min(instret, lowest - 1);
      if (trap === undefined) return !isStep ? wanted : wanted === 1 ? from : wanted - 1;
      if (--wanted === 0) return trap;
    }
  }

  // --- Beneath ---

  private seekStart(): Place {
    this.returnTo(this.ring.before(START));
    return this.place;
  }
  private arrive({ stop }: Found): Stop {
    this.stop = stop;
    return stop;
  }
  private run(stretch: Stretch): Found | null {
    const found = this.runner.run(stretch);
    if (comparePlaces(this.place, this.reached) > 0) this.reached = this.place;
    return found;
  }
  private asksInside(until: Until): boolean {
    return until.events !== undefined || until.phases !== undefined || until.values !== undefined || until.memory !== undefined;
  }

  // --- Checkpoints ---

  private distanceMs(): number {
    return this.runner.hostMs - this.ring.before(this.place).hostMs;
  }
  private keep(): void {
    const started = nowMs();
    const image: StateImage = this.runner.take();
    // The first one of all copies everything, and runs code that is new to the host.
    if (this.ring.length > 0) this.checkpointMs = nowMs() - started;
    this.ring.add({ place: this.place, ...image, hostMs: this.runner.hostMs });
  }
  private keepNowAndThen(): void {
    const costMs = this.checkpointMs;
    const gapMs = Math.max(GAP_MS, Math.min(GAP_COSTS * costMs, Math.max(LONG_GAP_MS, LONG_GAP_COSTS * costMs)));
    if (this.distanceMs() > gapMs) this.keep();
  }
  /** To the instruction before a place, or nearer: from where the run comes by it. It is kept if it was far. */
  private approach(place: Place): void {
    const from = this.ring.strictlyBefore(place) ?? this.ring.before(START);
    this.returnTo(from);
    if (place.instret - 1 <= from.place.instret) return;
    this.run({ until: NOTHING, after: null, limit: firstAt(place.instret - 1), want: 'first' });
    if (this.distanceMs() > NEAR_MS) this.keep();
  }
  private returnTo(checkpoint: Checkpoint): void {
    this.runner.putBack(checkpoint);
    this.runner.hostMs = checkpoint.hostMs;
    this.runner.settle();
  }
}

/** Where the run first comes to an instruction. */
const firstAt = (instret: number): Place => ({ instret, event: 0, phase: -1 });
const before = (place: Place): Place => ({ ...place, event: place.event - 1 });
