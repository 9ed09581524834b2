// Where the debugger stands, and why it stopped there: the lines after every move.
import { hex, hex64 } from '#base';
import type { Tracepoint } from '#base';
import { faultPhases, reasons, syscallName, sysEnter } from '#kernel';
import type { FaultPhase, FaultRecord } from '#kernel';
import { eventFields } from '../../trace/ftrace.ts';
import { thousands } from '../../text.ts';
import type { Arrival, Debugger } from '../debugger.ts';
import { accessName, resultName } from '../fields.ts';
import type { Ink } from '../ink.ts';
import { registersOf } from '../programs.ts';
import type { Stop } from '../timeline.ts';
import { pteChangeText } from './phases.ts';
import { instructionAt } from './code.ts';

export interface StopView {
  readonly place: { readonly insn: number; readonly event: number; readonly phase: number };
  readonly cycle: number;
  readonly task: { readonly pid: number; readonly tid: number; readonly comm: string } | null;
  readonly pc: number | null;
  readonly symbol: string | null;
  readonly source: { readonly file: string; readonly line: number } | null;
  readonly instruction: string | null;
  readonly why: string;
  readonly points: readonly number[];
  readonly stop: Readonly<Record<string, unknown>>;
}

export function stopView(d: Debugger, { stop, points }: Arrival = d.last): StopView {
  const { session, timeline: { place }, task, code } = d;
  const pc = task === null ? null : Number(BigInt.asUintN(64, registersOf(session, task)[0]!));
  const symbol = pc === null ? null : code.symbolAt(pc);
  const source = pc === null ? null : code.lineAt(pc);
  const problem = d.points.problem;
  return {
    place: { insn: place.instret, event: place.event, phase: place.phase }, cycle: session.machine.clockCycles,
    task: task === null ? null : { pid: task.tgid, tid: task.tid, comm: task.comm }, pc, symbol: symbol === null ? null : symbol.offset === 0 ? symbol.name : `${symbol.name}+${hex(symbol.offset)}`,
    source, instruction: pc === null || task === null ? null : instructionAt(task, pc)?.text ?? null,
    why: problem ?? bugText(d) ?? whyText(d, stop, points.map(({ text }) => text)), points: points.map(({ id }) => id), stop: stopData(stop),
  };
}
function stopData(stop: Stop): Record<string, unknown> {
  switch (stop.kind) {
    case 'pc': return { kind: stop.kind, pc: stop.pc };
    case 'memory': return { kind: stop.kind, isWrite: stop.isWrite, address: stop.address, line: stop.line };
    case 'value': return { kind: stop.kind, before: stop.before, after: stop.after, line: stop.line, isStore: stop.isStore };
    case 'event': return { kind: stop.kind, event: stop.point.name, fields: Object.fromEntries(stop.point.fields.map(({ name }, i) => [name, stop.values[i]])) };
    case 'phase': return { kind: stop.kind, fault: stop.fault.number, phase: stop.phase };
    default: return { kind: stop.kind };
  }
}
const bugText = ({ bug }: Debugger): string | null => (bug === null ? null
  : `The kernel finds a bug of its own from here on: ${bug.message.replace(/^bug in Quire: /, '')}\nfound after event #${bug.event}${bug.line === null ? '' : `, in ${bug.line}`}`);
/** What is said of stops that have no more to them. */
const plainStops: Readonly<Record<string, string>> = {
  start: 'The beginning of the run.', deadlock: 'Every task sleeps, and nothing could wake one.', input: 'The program waits for input: write input TEXT, or input alone for its end.',
  interrupted: 'Interrupted.', budget: 'The budget of --max-insn is used up.',
};
function whyText(d: Debugger, stop: Stop, texts: readonly string[]): string {
  switch (stop.kind) {
    case 'exited': return `The program has ended${exitText(d)}.`;
    case 'memory': return `${texts[0] ?? hex(stop.address)}: ${stop.isWrite ? 'written' : 'read'} at ${hex(stop.address)} by ${byText(stop.line)}`;
    case 'value': return `${texts[0] ?? 'the number'}: ${stop.before} -> ${stop.after}, ${stop.line === null ? 'seen as the program goes on' : `${stop.isStore ? 'by' : 'seen in'} ${stop.line}`}`;
    case 'event': return eventText(d, stop.point, stop.values);
    default: return plainStops[stop.kind] ?? '';
  }
}
/** Of a path the file: what fits a line. */
export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const byText = (line: string | null): string => line ?? 'the program';
function exitText({ session }: Debugger): string {
  const { exitStatus } = session.kernel;
  return exitStatus === null ? '' : exitStatus.signal === 0 ? `, status ${exitStatus.status}` : `, by signal ${exitStatus.signal}`;
}
export function eventText({ session }: Debugger, point: Tracepoint, values: readonly number[]): string {
  const call = point === sysEnter ? ` (${syscallName(values[1] ?? 0) ?? 'unknown'})` : '';
  return `${point.system}:${point.name}${call}: ${eventFields(point, values, session.kernel.current?.comm ?? '')}`;
}

/** @param place in front of all: where it is */
function placeText({ place, cycle, task }: StopView): string {
  return `#${place.event}  insn ${thousands(place.insn)}  cycle ${thousands(cycle)}${task === null ? '' : `  ${task.comm}[${task.tid}]`}`;
}
export function stopText(view: StopView, d: Debugger, ink: Ink): string[] {
  const { stop } = d.last;
  const where = view.pc === null ? [] : [`${view.place.phase >= 0 ? 'at ' : ''}${hex64(Math.floor(view.pc / 2 ** 32) | 0, view.pc | 0)}${view.symbol === null ? '' : ` ${view.symbol}`}${view.instruction === null ? '' : `: ${view.instruction}`}`];
  const source = view.source === null ? [] : [ink.faint(`${baseName(view.source.file)}:${view.source.line}${sourceLine(d, view)}`)];
  return [
    ink.head(placeText(view)),
    ...(view.points.length === 0 ? [] : [`Point ${view.points.join(', ')}: ${d.last.points.map(({ text }) => text).join('; ')}`]),
    ...(view.why === '' ? [] : view.why.split('\n')),
    ...(stop.kind === 'phase' ? [faultHead(stop.fault), ...phaseText(stop.phase, stop.fault.phases.indexOf(stop.phase), ink)] : []),
    ...where, ...source,
  ];
}
function sourceLine({ code }: Debugger, { source }: StopView): string {
  const text = source === null ? undefined : code.text(source.file)?.[source.line - 1];
  return text === undefined ? '' : `  ${text.trim()}`;
}

// Faults.

export const faultHead = (f: FaultRecord): string =>
  `Fault ${f.number}: ${accessName(f.access)} of ${hex(f.va)} by ${f.from === 'user' ? 'the program' : 'the kernel'} at ${hex(f.ip)}${f.result < 0 && f.phases.at(-1)?.name !== 'return' ? '' : `: ${f.kind}, ${resultName(f.result)}`}`;

const KNOWN_HEX: ReadonlySet<string> = new Set(['va', 'ip', 'start', 'end', 'pfn', 'from', 'to', 'flags', 'enabled', 'entry', 'oldWord']);
const factText = ([name, value]: [string, number | string]): string => `${name} ${typeof value === 'number' && KNOWN_HEX.has(name) ? hex(value) : value}`;
/** One phase: what it was given, what it decided, why, and the page-table words that it changed. */
export function phaseText(phase: FaultPhase, index: number, ink: Ink): string[] {
  const given = Object.entries(phase.facts).map(factText).join(', ');
  const reason = phase.reason === null ? [] : [`      ${ink.mark(phase.reason)}: ${reasons[phase.reason].sentence}`];
  return [`  ${index + 1} ${phase.name.padEnd(PHASE_COLUMNS)} ${phase.decision}${given === '' ? '' : ink.faint(` (${given})`)}`, ...reason, ...pteChangeText(phase.ptes).map((line) => `      ${line}`)];
}
const PHASE_COLUMNS = Math.max(...faultPhases.map((name) => name.length));
