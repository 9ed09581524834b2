// Who wrote something last: found by going back to it. Here: last writes of memory, entries, folio fields, counters; the fault that made an entry what
// it is. Not here: the way back itself (replay.ts).
import { asPfn, hex, PAGE_SIZE } from '#base';
import { MemdescType, syscallName } from '#kernel';
import type { FaultRecord } from '#kernel';
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

/** Looked for together; told by the watch's id. null: not since the run began. */
export function lastWrites(d: Debugger, memory: readonly MemoryWatch[], values: readonly ValueWatch[] = []): Map<number, LastWrite | null> {
  const found = new Map<number, LastWrite | null>([...memory, ...values].map(({ id }) => [id, null]));
  d.excursion((timeline) => {
    const missing = (watch: { readonly id: number }): boolean => found.get(watch.id) === null;
    while (memory.some(missing) || values.some(missing)) {
      const stop = timeline.backward({ memory: memory.filter(missing), values: values.filter(missing) });
      if (stop.kind !== 'memory' && stop.kind !== 'value') return;
      const { place } = timeline;
      found.set(stop.watch.id, tell(d, timeline, stop));
      timeline.seek(place);
    }
  });
  return found;
}
function tell(d: Debugger, timeline: Timeline, stop: Stop & { kind: 'memory' | 'value' }): LastWrite {
  const { place, session } = timeline;
  const { current, system } = session.kernel;
  const { line } = stop;
  const about = {
    place, event: place.event, insn: place.instret, cycle: session.machine.clockCycles, pid: current?.tgid ?? null, comm: current?.comm ?? null, line, during: during(timeline),
    before: stop.kind === 'value' ? stop.before : null, after: stop.kind === 'value' ? stop.after : null,
  };
  if (line !== null) return { ...about, by: `${line}${about.during === null ? '' : ` (${about.during})`}`, pc: null, source: null };
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
export function writersOf(d: Debugger, levels: readonly PtLevel[]): PtLevel[] {
  const found = lastWrites(d, levels.map((level, i) => ({ id: -1 - i, space: 'physical', start: level.address, lenBytes: 8, on: 'change' })));
  return levels.map((level, i) => {
    const write = found.get(-1 - i) ?? null;
    return { ...level, writer: write === null ? null : { event: write.event, insn: write.insn, by: write.by } };
  });
}

/** The last fault before here that changed one of some words of page tables, whole; null: something else changed them last, or nothing. */
export function faultBehind(d: Debugger, entry: PtLevel): { readonly fault: FaultRecord | null; readonly write: LastWrite | null } {
  return d.excursion((timeline) => {
    for (;;) {
      const stop = timeline.backward({ memory: [{ id: -1, space: 'physical', start: entry.address, lenBytes: 8, on: 'change' }] });
      if (stop.kind !== 'memory') return { fault: null, write: null };
      // The walker only marks what is there.
      if (stop.line === null) continue;
      const write = tell(d, timeline, stop);
      const { fault } = timeline;
      if (fault === null) return { fault: null, write };
      const end = timeline.forward({ phases: (each, phase) => each.number === fault.number && phase.name === 'return' });
      return { fault: end.kind === 'phase' ? end.fault : fault, write };
    }
  });
}
export const lastWriteText = (what: string, write: LastWrite | null): string[] => {
  if (write === null) return [`${what}: not written since the run began.`];
  return [
    `${what}: ${write.before === null ? 'written' : `${write.before} -> ${write.after}`} at #${write.place.event}, insn ${write.insn}, cycle ${write.cycle}${write.pid === null ? '' : `, ${write.comm}[${write.pid}]`}`,
    `  by ${write.by}`,
  ];
};
