// A debugging session: a timeline, the points that stop it, the task that is looked at, and the moves between places. What is typed is read in commands/;
// what a place looks like in views/. Nothing here prints.
import { Bug, UserError } from '#base';
import type { FaultRecord, Task } from '#kernel';
import type { Session } from '../boot.ts';
import { factsOf, counterFields, faultFields, scopeOf, taskFields } from './fields.ts';
import type { Fields, Moment } from './fields.ts';
import type { GuestCode } from './guest-code.ts';
import { kernelLineOf } from './kernel-line.ts';
import { Points } from './points.ts';
import type { Point } from './points.ts';
import { comparePlaces } from './timeline.ts';
import type { Place, Stop, Timeline, Until } from './timeline.ts';
import { Words } from './words.ts';

export const START: Place = { instret: 0, event: 0, phase: -1 };
export type Direction = 'forward' | 'backward';
/** Where a move ended, and why. */
export interface Arrival { readonly stop: Stop; readonly points: readonly Point[] }

/** Between two looks at whether a person wants it to stop. */
const PATIENCE_MS = 200;
/** A run that comes to the same condition over and over without its holding would never answer. */
const MAX_TRIES = 1_000_000;

export class Debugger {
  readonly timeline: Timeline;
  readonly points = new Points();
  readonly words: Words;
  /** What is known of a task's code. */
  private readonly codeOf: (session: Session, task: Task | null) => GuestCode;
  /** The thread that is looked at, by its number; null: the one that runs. Moves forget it. */
  selected: number | null = null;
  /** Where the last move came from: `seek -` goes there. */
  previous: Place | null = null;
  last: Arrival;
  /** What the kernel found wrong with itself at the end of the last move: where it would have gone on. */
  bug: { readonly message: string; readonly event: number; readonly line: string | null } | null = null;
  /** The question that the last move asked; null: none, it went to a place. */
  private asked: Until | null = null;
  /** Asked now and then on a long way forward; null: nobody can want that. */
  wantsStop: (() => boolean) | null = null;

  constructor(timeline: Timeline, codeOf: (session: Session, task: Task | null) => GuestCode) {
    this.timeline = timeline;
    this.codeOf = codeOf;
    this.words = new Words(() => ({ session: this.session, task: this.task, code: this.code, scope: this.scope, facts: factsOf(this.moment({}), ...this.fields) }));
    this.last = { stop: timeline.stop, points: [] };
  }
  get session(): Session {
    return this.timeline.session;
  }
  /** The task that is looked at; null: none is there. */
  get task(): Task | null {
    const { kernel } = this.session;
    if (this.selected !== null) return kernel.tasks.get(this.selected) ?? null;
    return kernel.current ?? kernel.loadedTask ?? kernel.first?.leader ?? null;
  }
  get code(): GuestCode {
    return this.codeOf(this.session, this.task);
  }
  get isInside(): boolean {
    return this.timeline.place.phase >= 0;
  }
  /** Only between two instructions of a program can anything be changed from outside. @throws UserError */
  needsOutside(command: string): void {
    if (this.isInside) throw new UserError(`${command}: the kernel is in the middle of its work, which can only be looked at. Write out to go on to the program, or reverse-out to go back to it.`);
  }
  /** Fields that `print` and addresses may name here. */
  get fields(): readonly Fields[] {
    return this.timeline.fault === null ? [taskFields, counterFields] : [taskFields, counterFields, faultFields];
  }
  get scope() {
    return scopeOf(...this.fields);
  }
  moment(more: Partial<Moment>): Moment {
    return { session: this.session, place: this.timeline.place, task: this.task, fault: this.timeline.fault, ...more };
  }

  // Moving.

  /** To the first (last) place after (before) this one at which a point or `extra` holds. */
  move(direction: Direction, extra: Until): Arrival {
    this.leave();
    this.points.problem = null;
    const moment = (more: Partial<Moment>): Moment => this.moment(more);
    const { wantsStop } = this;
    const until: Until = { ...this.points.until(moment, extra), ...(direction === 'forward' && wantsStop !== null ? { patienceMs: PATIENCE_MS } : {}) };
    this.asked = until;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const stop = this.guard(() => this.timeline[direction](until));
      if (stop.kind === 'interrupted' && wantsStop?.() === false) continue;
      const points = this.points.at(stop, moment);
      if (points.length > 0 || isWanted(stop, extra)) {
        for (const point of points) point.hits++;
        return (this.last = { stop, points });
      }
    }
    throw new UserError(`after ${MAX_TRIES} tries no condition has held. Write a narrower one.`);
  }
  seek(place: Place): Arrival {
    this.leave();
    return (this.last = { stop: this.guard(() => this.timeline.seek(place)), points: [] });
  }
  /** To an event, inside the kernel; beyond the last one: to the end. */
  seekEvent(event: number): Arrival {
    this.leave();
    return (this.last = { stop: this.guard(() => (event <= 0 ? this.timeline.seek(START) : this.timeline.seekEvent(event))), points: [] });
  }
  stepInstructions(n: number): Arrival {
    this.leave();
    return (this.last = { stop: this.guard(() => this.timeline.stepInstructions(n)), points: [] });
  }
  /** The kernel may find a bug of its own. The run ends there, and this is the last place before it, from which one can go back to what led there. */
  private guard(move: () => Stop): Stop {
    try {
      return move();
    } catch (error) {
      if (!(error instanceof Bug)) throw error;
      const { instret, event } = this.timeline.place;
      this.bug = { message: error.message, event, line: kernelLineOf(error.stack ?? '') };
      return this.timeline.seek({ instret, event: 0, phase: -1 });
    }
  }
  private leave(): void {
    this.bug = null;
    this.previous = this.timeline.place;
    this.asked = null;
    this.selected = null;
  }

  /** Looks around elsewhere and comes back: nothing of it is seen by who asks next. */
  excursion<T>(look: (timeline: Timeline) => T): T {
    const { place } = this.timeline;
    const { selected } = this;
    try {
      return look(this.timeline);
    } finally {
      this.comeBack(place);
      this.selected = selected;
    }
  }
  /** A store to watched memory has its number among those that were asked about: it is found by asking again. */
  private comeBack(place: Place): void {
    const { timeline, asked } = this;
    const { store, ...near } = place;
    timeline.seek(near);
    if (store === undefined || asked === null) return;
    while (comparePlaces(timeline.place, place) < 0) if (timeline.forward({ ...asked, place: { ...near, event: near.event + 1, phase: 0 } }).kind !== 'memory') return;
  }
  /** The fault under way, else the last one before this place, with all its phases up to here; null: there was none. */
  recentFault(): FaultRecord | null {
    if (this.timeline.fault !== null) return this.timeline.fault;
    return this.excursion((timeline) => {
      const stop = timeline.backward({ phases: (_, phase) => phase.name === 'return' });
      return stop.kind === 'phase' ? stop.fault : null;
    });
  }
}

/** Did a move end where `extra` asked, rather than at a point's place? */
function isWanted(stop: Stop, extra: Until): boolean {
  switch (stop.kind) {
    case 'pc': return extra.pcs?.addresses.has(stop.pc) === true && extra.pcs.at(stop.pc);
    case 'event': return extra.events?.points.has(stop.point) === true && extra.events.at(stop.point, stop.values);
    case 'phase': return extra.phases?.(stop.fault, stop.phase) === true;
    case 'memory': return extra.memory?.some(({ id }) => id === stop.watch.id) === true;
    case 'value': return extra.values?.some(({ id }) => id === stop.watch.id) === true;
    default: return true;
  }
}
