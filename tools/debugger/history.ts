// Who wrote something last: found by going back to it. Here: last writes of memory, entries, folio fields, counters; the fault that made an entry what
// it is. Not here: the way back itself (replay.ts).
import { asPfn, hex, PAGE_SIZE } from '#base';
import { mappingChanged, MemdescType, reasonCodes, syscallName } from '#kernel';
import type { FaultRecord } from '#kernel';
import type { ChangeStory } from '../why.ts';
import type { Debugger } from './debugger.ts';
import { registersOf } from './programs.ts';
import type { MemoryWatch, Place, Stop, Timeline, ValueWatch } from './timeline.ts';
import type { PtLevel, Writer } from './views/page-table.ts';
import { baseName } from './views/stop.ts';

export interface LastWrite extends Writer {
  readonly place: Place;
  readonly cycle: number;
  readonly pid: number | null;
  readonly comm: string | null;
  /** TypeScript line of the kernel, else null. */
  readonly line: string | null;
  /** What the kernel was about, in words. */
  readonly during: string | null;
  /** Of a program's own write: the instruction. */
  readonly pc: number | null;
  readonly source: { readonly file: string; readonly line: number } | null;
  readonly before: number | null;
  readonly after: number | null;
}

/** What is looked for: one of the two. */
export type WriteTarget = { readonly memory: MemoryWatch } | { readonly value: ValueWatch };
/** Faults are recorded on the way, so that it can be said in which one it was. */
const recordsFaults = { phases: (): boolean => false };

/** null: not since the run began. */
export function lastWrite(d: Debugger, target: WriteTarget): LastWrite | null {
  return d.excursion((timeline) => {
    const stop = timeline.backward({ ...recordsFaults, orHere: true, ...('memory' in target ? { memory: [target.memory] } : { values: [target.value] }) });
    return stop.kind === 'memory' || stop.kind === 'value' ? tell(d, timeline, stop) : null;
  });
}
const entryWatch = ({ address }: PtLevel): MemoryWatch => ({ id: -1, space: 'physical', start: address, lenBytes: 8, on: 'change' });
function tell(d: Debugger, timeline: Timeline, stop: Stop & { kind: 'memory' | 'value' }): LastWrite {
  const { place, session } = timeline;
  const { current, system } = session.kernel;
  const { line } = stop;
  const about = {
    place, event: place.event, insn: place.instret, cycle: session.machine.clockCycles, pid: current?.tgid ?? null, comm: current?.comm ?? null, line, during: during(timeline),
    before: stop.kind === 'value' ? stop.before : null, after: stop.kind === 'value' ? stop.after : null,
  };
  if (line !== null) return { ...about, by: `${stop.kind === 'value' && !stop.isStore ? 'seen in ' : ''}${line}${about.during === null ? '' : ` (${about.during})`}`, pc: null, source: null };
  const isTable = stop.kind === 'memory' && stop.watch.space === 'physical' && system.folios.typeOf(asPfn(Math.floor(stop.address / PAGE_SIZE))) === MemdescType.PageTable;
  // The stop is behind the instruction.
  timeline.stepInstructions(-1);
  const task = session.kernel.current;
  const pc = task === null ? 0 : Number(BigInt.asUintN(64, registersOf(session, task)[0]!));
  const source = d.code.lineAt(pc);
  const symbol = d.code.symbolAt(pc);
  const where = source !== null ? `${baseName(source.file)}:${source.line} (${hex(pc)})` : `${hex(pc)}${symbol === null ? '' : ` ${symbol.name}+${hex(symbol.offset)}`}`;
  return { ...about, by: `${isTable ? 'the page walker (A, D) for the access at' : 'the program at'} ${where}`, pc, source };
}
/** What the kernel is doing, in words; null: nothing for a program that is known of. */
function during({ fault, session: { kernel } }: Timeline): string | null {
  if (fault !== null) return `fault ${fault.number} at ${hex(fault.va)}`;
  const call = kernel.current?.pendingCall ?? null;
  return call === null ? null : `${syscallName(call.nr) ?? 'a system call'}()`;
}

/** The levels of a walk, each with who wrote its entry last. */
export const writersOf = (d: Debugger, levels: readonly PtLevel[]): PtLevel[] => levels.map((level) => {
  const write = lastWrite(d, { memory: entryWatch(level) });
  return { ...level, writer: write === null ? null : { event: write.event, insn: write.insn, by: write.by } };
});

/** What made an entry what it is: a fault, whole; or a change of the mapping that had a reason; or neither, and only where it was written. */
export interface EntryOrigin { readonly fault: FaultRecord | null; readonly change: ChangeStory | null; readonly write: LastWrite | null }
export function originOf(d: Debugger, entry: PtLevel, mmId: number, va: number): EntryOrigin {
  return d.excursion((timeline) => {
    for (let isFirst = true; ; isFirst = false) {
      const stop = timeline.backward({ ...recordsFaults, orHere: isFirst, memory: [entryWatch(entry)] });
      if (stop.kind !== 'memory') return { fault: null, change: null, write: null };
      // The walker only marks what is there.
      if (stop.line === null) continue;
      const write = tell(d, timeline, stop);
      const { fault, place } = timeline;
      if (fault !== null) {
        const end = timeline.forward({ phases: (each, phase) => each.number === fault.number && phase.name === 'return' });
        return { fault: end.kind === 'phase' ? end.fault : fault, change: null, write };
      }
      // Who collapses or splits says so at the end, before a program runs on.
      const covers = ([id, address = 0, pages = 0]: readonly number[]): boolean => id === mmId && address <= va && va < address + pages * PAGE_SIZE;
      const told = timeline.forward({ events: { points: new Set([mappingChanged]), at: (_, values) => covers(values) }, place: { instret: place.instret + 1, event: 0, phase: -1 } });
      if (told.kind !== 'event') return { fault: null, change: null, write };
      const [, address = 0, pages = 0, reason = 0] = told.values;
      return { fault: null, change: { cycle: timeline.session.machine.clockCycles, address, pages, reason: reasonCodes[reason]! }, write };
    }
  });
}
export const lastWriteText = (what: string, write: LastWrite | null): string[] => {
  if (write === null) return [`${what}: not written since the run began.`];
  return [
    `${what}: ${write.before === null ? 'written' : `${write.before} -> ${write.after}`} at #${write.place.event}, insn ${write.insn}, cycle ${write.cycle}${write.pid === null ? '' : `, ${write.comm}[${write.pid}]`}`,
    `  ${write.by.startsWith('seen') ? '' : 'by '}${write.by}`,
  ];
};
