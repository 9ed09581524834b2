// Breakpoints and watches: what was asked for, as data, and as the question that a Timeline understands. Here: reading `break` and `watch`, putting
// all points into one Until, telling which of them a stop belongs to. Not here: moving (debugger.ts).
import { hex, PAGE_SIZE, tracepoints, UserError } from '#base';
import type { Tracepoint } from '#base';
import { faultKinds, faultPhases, sysEnter, walkTables } from '#kernel';
import type { FaultPhase, FaultPhaseName, FaultRecord, VmName } from '#kernel';
import { didYouMean } from '../suggest.ts';
import { condition, isTrue } from './expression.ts';
import type { Expression } from './expression.ts';
import { counterNames, eventFieldsOf, factsOf, faultFields, memoryFields, phaseFields, scopeOf, syscallFields, taskFields, watchFields } from './fields.ts';
import type { Fields, Moment } from './fields.ts';
import type { Session } from '../boot.ts';
import { syscallNames } from '#kernel';
import { syscallNumber } from './syscall-names.ts';
import type { MemoryWatch, Stop, Until, ValueWatch } from './timeline.ts';
import { folioField, folioFields } from './views/folio.ts';
import type { FolioField } from './views/folio.ts';
import type { Words } from './words.ts';

/** What a point waits for. */
export type Target =
  /** exe: the program that is meant; another one has other code at these addresses. */
  | { readonly kind: 'pc'; readonly addresses: ReadonlySet<number>; readonly exe: string }
  | { readonly kind: 'fault'; readonly of: string | null }
  | { readonly kind: 'phase'; readonly name: FaultPhaseName | null }
  | { readonly kind: 'syscall'; readonly nr: number | null }
  | { readonly kind: 'event'; readonly point: Tracepoint }
  | { readonly kind: 'memory'; readonly watch: MemoryWatch }
  | { readonly kind: 'value'; readonly watch: ValueWatch };
export interface Point {
  readonly id: number;
  /** As it was asked for. */
  readonly text: string;
  readonly target: Target;
  readonly condition: Expression | null;
  readonly fields: readonly Fields[];
  hits: number;
}
/** The phase at which all is known of a fault, and the one at which it begins. */
const LAST_PHASE: FaultPhaseName = 'return';
const FIRST_PHASE: FaultPhaseName = 'trap';

export class Points {
  readonly all: Point[] = [];
  /** A condition that could not be reckoned: where it happened the run stops, and this is said. */
  problem: string | null = null;
  private nextId = 1;

  add(text: string, target: (id: number) => Target, fields: readonly Fields[], ifText: string | null): Point {
    const made = ifText === null ? null : condition(ifText, scopeOf(...fields));
    const point: Point = { id: this.nextId, text, target: target(this.nextId), condition: made, fields, hits: 0 };
    this.nextId++;
    this.all.push(point);
    return point;
  }
  /** @returns whether there was such a one */
  delete(id: number): boolean {
    const at = this.all.findIndex((point) => point.id === id);
    if (at >= 0) this.all.splice(at, 1);
    return at >= 0;
  }

  private holds(point: Point, moment: Moment): boolean {
    if (point.condition === null) return true;
    try {
      return isTrue(point.condition, factsOf(moment, ...point.fields));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.problem = `the condition of point ${point.id} cannot be reckoned here: ${error.message}`;
      return true;
    }
  }
  /** All points as one question, beside another one. @param moment what is asked about, beside what the timeline hands over */
  until(moment: (more: Partial<Moment>) => Moment, extra: Until): Until {
    const pcs = new Set(extra.pcs?.addresses ?? []);
    const events = new Set(extra.events?.points ?? []);
    for (const { target } of this.all) {
      if (target.kind === 'pc') for (const address of target.addresses) pcs.add(address);
      if (target.kind === 'event') events.add(target.point);
      if (target.kind === 'syscall') events.add(sysEnter);
    }
    const asksPhases = extra.phases !== undefined || this.all.some(({ target }) => target.kind === 'fault' || target.kind === 'phase');
    const some = (stop: Stop): boolean => this.all.some((point) => this.matches(point, stop, moment));
    return {
      ...extra,
      ...(pcs.size === 0 ? {} : { pcs: { addresses: pcs, at: (pc: number) => (extra.pcs?.addresses.has(pc) === true && extra.pcs.at(pc)) || some({ kind: 'pc', pc }) } }),
      ...(events.size === 0 ? {} : { events: { points: events, at: (point: Tracepoint, values: readonly number[]) => (extra.events?.points.has(point) === true && extra.events.at(point, values)) || some({ kind: 'event', point, values }) } }),
      ...(asksPhases ? { phases: (fault: FaultRecord, phase: FaultPhase) => extra.phases?.(fault, phase) === true || some({ kind: 'phase', fault, phase }) } : {}),
      memory: [...(extra.memory ?? []), ...this.all.flatMap((point) => (point.target.kind === 'memory' ? [{ ...point.target.watch, accepts: (address: number) => this.holds(point, moment({ address })) }] : []))],
      values: [...(extra.values ?? []), ...this.all.flatMap((point) => (point.target.kind === 'value' ? [{ ...point.target.watch, accepts: (before: number, after: number) => this.holds(point, moment({ before, after })) }] : []))],
    };
  }
  /** The points that a stop belongs to. */
  at(stop: Stop, moment: (more: Partial<Moment>) => Moment): Point[] {
    return this.all.filter((point) => this.matches(point, stop, moment));
  }
  private matches(point: Point, stop: Stop, moment: (more: Partial<Moment>) => Moment): boolean {
    const { target } = point;
    switch (stop.kind) {
      case 'pc': {
        if (target.kind !== 'pc' || !target.addresses.has(stop.pc)) return false;
        const now = moment({});
        return now.session.kernel.current?.mm.exePath === target.exe && this.holds(point, now);
      }
      case 'event':
        if (target.kind === 'syscall') return stop.point === sysEnter && (target.nr === null || stop.values[1] === target.nr) && this.holds(point, moment({ values: stop.values }));
        return target.kind === 'event' && target.point === stop.point && this.holds(point, moment({ values: stop.values }));
      case 'phase': {
        const { fault, phase } = stop;
        const more = { fault, phase };
        if (target.kind === 'phase') return (target.name === null || target.name === phase.name) && this.holds(point, moment(more));
        if (target.kind !== 'fault') return false;
        const wantsAll = target.of !== null || point.condition !== null;
        return phase.name === (wantsAll ? LAST_PHASE : FIRST_PHASE) && isKind(fault.kind, target.of) && this.holds(point, moment(more));
      }
      case 'memory': return target.kind === 'memory' && target.watch.id === stop.watch.id && this.holds(point, moment({ address: stop.address }));
      case 'value': return target.kind === 'value' && target.watch.id === stop.watch.id && this.holds(point, moment({ before: stop.before, after: stop.after }));
      default: return false;
    }
  }
}
/** 'anon' is anon-huge, too; 'file' is all of file-read, file-around ... */
const isKind = (kind: string, wanted: string | null): boolean => wanted === null || kind === wanted || kind.startsWith(`${wanted}-`);

// Reading.

/** The part before ` if `, and the condition behind it. */
function splitIf(text: string): { readonly what: string; readonly ifText: string | null } {
  const match = /(?:^|\s)if(?=\s|$)/.exec(text);
  return match === null ? { what: text.trim(), ifText: null } : { what: text.slice(0, match.index).trim(), ifText: text.slice(match.index + match[0].length).trim() };
}
export const faultWords = [...new Set([...faultKinds, ...faultKinds.map((kind) => kind.split('-')[0]!)])];

/** `break WHAT [if CONDITION]`. @throws UserError */
export function readBreak(points: Points, text: string, words: Words): Point {
  const { what, ifText } = splitIf(text);
  if (what === '') throw new UserError('break: what to break on is missing. Write an address, a symbol, FILE:LINE, fault, phase, syscall or a tracepoint, as in break fault anon if order < 4.');
  const [first = '', ...rest] = what.split(/\s+/);
  const second = rest.join(' ');
  switch (first) {
    case 'fault':
      if (second !== '' && !faultWords.includes(second)) throw new UserError(`break fault ${second}: not a kind of fault.${didYouMean(second, faultWords)} There are ${faultWords.join(', ')}.`);
      return points.add(what, () => ({ kind: 'fault', of: second === '' ? null : second }), [taskFields, faultFields], ifText);
    case 'phase': {
      const name = faultPhases.find((phase) => phase === second);
      if (second !== '' && name === undefined) throw new UserError(`break phase ${second}: not a phase.${didYouMean(second, faultPhases)} There are ${faultPhases.join(', ')}.`);
      return points.add(what, () => ({ kind: 'phase', name: name ?? null }), [taskFields, phaseFields], ifText);
    }
    case 'syscall': {
      const nr = second === '' ? null : syscallNumber(second);
      if (second !== '' && nr === null) throw new UserError(`break syscall ${second}: not a system call.${didYouMean(second, syscallNames.values())} quire explain syscalls lists those that programs can use.`);
      return points.add(what, () => ({ kind: 'syscall', nr }), [taskFields, syscallFields(nr)], ifText);
    }
  }
  const point = pointNamed(first === 'event' ? second : what);
  if (point !== null) return points.add(what, () => ({ kind: 'event', point }), [taskFields, eventFieldsOf(point)], ifText);
  if (first === 'event') throw new UserError(`break event ${second}: no such event.${didYouMean(second, tracepoints().keys())} quire explain events lists them.`);
  const addresses = words.codeAddresses(what, [...tracepoints().keys(), 'fault', 'phase', 'syscall']);
  const exe = words.mm('break').exePath;
  return points.add(what, () => ({ kind: 'pc', addresses: new Set(addresses), exe }), [taskFields], ifText);
}
/** 'mm_page_alloc' or 'kmem:mm_page_alloc'; null: there is none */
export function pointNamed(word: string): Tracepoint | null {
  const point = tracepoints().get(word.slice(word.indexOf(':') + 1));
  return point !== undefined && (point.name === word || `${point.system}:${point.name}` === word) ? point : null;
}

const ways: Readonly<Record<string, MemoryWatch['on']>> = { r: 'read', w: 'write', rw: 'access', read: 'read', write: 'write', access: 'access', change: 'change' };
const MAX_WATCHED = 2 ** 20;

/** `watch WHAT [if CONDITION]`. @throws UserError */
export function readWatch(points: Points, text: string, words: Words): Point {
  const { what, ifText } = splitIf(text);
  const [first = '', second = '', ...more] = what.split(/\s+/);
  const tooMany = (form: string): never => { throw new UserError(`watch ${what}: too many words. Write ${form}.`); };
  switch (first) {
    case '': throw new UserError('watch: what to watch is missing. Write an address, pte ADDRESS, folio FRAME.FIELD or counter NAME, as in watch 0x3f00200000 8 rw.');
    case 'pte': {
      if (more.length > 0) tooMany('watch pte ADDRESS');
      const address = words.address(second, 'watch pte');
      const make = pteTarget(words, address);
      return points.add(`pte ${hex(address)}`, make, [taskFields, memoryFields, watchFields], ifText);
    }
    case 'folio': {
      if (more.length > 0) tooMany('watch folio FRAME.FIELD');
      const { pfn, field } = readFolioField(second, words);
      return points.add(`folio ${hex(pfn)}.${field}`, (id) => ({ kind: 'value', watch: folioWatch(id, pfn, field) }), [taskFields, watchFields], ifText);
    }
    case 'counter': {
      const name = counterNames.find((counter) => counter === second);
      if (more.length > 0) tooMany('watch counter NAME');
      if (name === undefined) throw new UserError(`watch counter${second === '' ? ': a name is missing' : ` ${second}: no such counter`}.${didYouMean(second, counterNames)} quire explain vmstat lists them.`);
      return points.add(what, (id) => ({ kind: 'value', watch: counterWatch(id, name) }), [taskFields, watchFields], ifText);
    }
  }
  const address = words.address(first, 'watch');
  let lenBytes = 8;
  let on: MemoryWatch['on'] = 'write';
  const given = [second, ...more].filter((word) => word !== '' && word !== 'len');
  if (given.length > 2) tooMany('watch ADDRESS [LENGTH] [r|w|rw|change]');
  for (const word of given) {
    const way = ways[word];
    if (way !== undefined) on = way;
    else lenBytes = words.number(word, 'watch: length');
  }
  if (lenBytes < 1 || lenBytes > MAX_WATCHED) throw new UserError(`watch ${hex(address)} ${lenBytes}: not a length that can be watched. Write 1 to ${MAX_WATCHED} bytes.`);
  const { id: mmId } = words.mm('watch');
  return points.add(`${hex(address)} ${lenBytes} ${on}`, (id) => ({ kind: 'memory', watch: { id, space: { mmId }, start: address, lenBytes, on } }), [taskFields, memoryFields], ifText);
}
/** An entry that is there is watched where it stands, whoever writes it; one whose table is not there yet by what a walk finds. */
function pteTarget(words: Words, address: number): (id: number) => Target {
  const mm = words.mm('watch pte');
  const vpn = Math.floor(address / PAGE_SIZE);
  const last = walkTables(mm, vpn).at(-1)!;
  if (last.level === 0 || last.kind !== 'none') return (id) => ({ kind: 'memory', watch: { id, space: 'physical', start: last.table * PAGE_SIZE + 8 * last.index, lenBytes: 8, on: 'change' } });
  return (id) => ({
    kind: 'value', watch: { id, read: ({ kernel: { system } }: Session) => {
      const owner = system.mms.find(({ id: mmId }) => mmId === mm.id);
      const step = owner === undefined ? undefined : walkTables(owner, vpn).at(-1)!;
      return step === undefined ? 0 : (step.high >>> 0) * 2 ** 32 + (step.low >>> 0);
    } },
  });
}
export const folioWatch = (id: number, pfn: number, field: FolioField): ValueWatch => ({ id, read: (session) => folioField(session, pfn, field), heldBy: ({ kernel: { system } }) => system.folios });
export const counterWatch = (id: number, name: VmName): ValueWatch => ({ id, read: ({ kernel: { system } }) => system.vmstat.get(name), heldBy: ({ kernel: { system } }) => system.vmstat });
/** 'FRAME.FIELD'. @throws UserError */
export function readFolioField(word: string, words: Words): { readonly pfn: number; readonly field: FolioField } {
  const dot = word.lastIndexOf('.');
  const name = word.slice(dot + 1);
  const field = folioFields.find((each) => each === name);
  if (dot <= 0 || field === undefined) throw new UserError(`folio ${word}: not a field of a folio.${dot <= 0 ? '' : didYouMean(name, folioFields)} Write FRAME.FIELD, as in folio 0x80100.mapcount; fields: ${folioFields.join(', ')}.`);
  return { pfn: words.frame(word.slice(0, dot), 'folio'), field };
}
