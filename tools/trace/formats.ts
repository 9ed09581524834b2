// The formats in which a run can be written down event by event, declared once: --format's words, quire explain, and what makes each. Host-free.
import { UserError } from '#base';
import type { Session } from '../boot.ts';
import { ChromeWriter } from './chrome.ts';
import { CsvEvents } from './csv.ts';
import { FTRACE_HEADER, eventsNamed, traceEvents } from './ftrace.ts';
import { KernelStacks } from './kernel-stacks.ts';
import { traceFaults } from './perf.ts';
import { PerfettoWriter } from './perfetto.ts';
import { DEFAULT_EVERY_INSTRS, GuestSamples } from './samples.ts';
import { RunTracks, usualEvents } from './run-tracks.ts';
import type { Trace } from './sink.ts';
import { traceSyscalls } from './strace.ts';
import { namesOf } from './symbols.ts';

/** A file in the making, while the run goes on. Listens only; nothing of the run changes. */
export interface Export {
  /** The run is to be stopped at multiples of so many instructions; absent: where one likes. */
  readonly everyInstrs?: number;
  /** What there is to be written since the last call. To be called after every step. */
  take(): Uint8Array | string;
  /** The rest; stops listening. */
  finish(): Uint8Array | string;
}
/** What is asked for, as the options say it; null: not said. */
export interface TraceRequest {
  readonly events: readonly string[] | null;
  readonly faults: 'all' | 'min' | 'maj' | null;
  readonly everyInstrs: number | null;
  readonly stacks: 'guest' | 'kernel' | null;
}
type RequestName = keyof TraceRequest;

interface Format {
  readonly meaning: string;
  /** Not to be shown on a terminal. */
  readonly isBinary?: true;
  /** What of a request it can do something with. */
  readonly takes: readonly RequestName[];
  open(session: Session, request: TraceRequest): Export;
}

const listed = (events: TraceRequest['events']) => (events === null ? usualEvents() : eventsNamed(events));
/** Lines of a trace under way. */
function linesOf(trace: Trace, header: readonly string[] = []): Export {
  const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');
  let head = header;
  return {
    take() {
      const lines = [...head, ...trace.take()];
      head = [];
      return text(lines);
    },
    finish: () => text([...head, ...trace.end()]),
  };
}

export const formats = {
  perfetto: {
    meaning: 'Perfetto\'s own (ui.perfetto.dev, trace_processor): a row a process, thread, kernel thread and disk, with system calls, faults and their phases, reclaim and the scheduler as slices; counters',
    isBinary: true, takes: ['events'], open: (session, { events }) => new RunTracks(session, new PerfettoWriter(), listed(events)),
  },
  chrome: {
    meaning: 'the same as JSON of Chrome\'s trace viewer (chrome://tracing, speedscope)',
    takes: ['events'], open: (session, { events }) => new RunTracks(session, new ChromeWriter(), listed(events)),
  },
  ftrace: { meaning: 'a line an event, as in /sys/kernel/tracing/trace', takes: ['events'], open: (session, { events }) => linesOf(traceEvents(session, listed(events)), FTRACE_HEADER) },
  perf: { meaning: 'a line a page fault, as perf trace -F prints it', takes: ['faults'], open: (session, { faults }) => linesOf(traceFaults(session, faults ?? 'all')) },
  strace: { meaning: 'a line a system call, as strace prints it', takes: [], open: (session) => linesOf(traceSyscalls(session)) },
  csv: { meaning: 'a row an event, a column a field (RFC 4180)', takes: ['events'], open: (session, { events }) => new CsvEvents(session, listed(events)) },
  folded: {
    meaning: 'stacks for flamegraph.pl and speedscope: instructions by program and function (--stacks guest), or cycles by program, system call or fault, and phase (--stacks kernel)',
    takes: ['everyInstrs', 'stacks'],
    open(session, { everyInstrs, stacks }) {
      if (stacks === 'kernel') return new RunTracks(session, new KernelStacks(session.kernel.uptimeNs()), usualEvents());
      return new GuestSamples(session, everyInstrs ?? DEFAULT_EVERY_INSTRS, namesOf(session.config.inputs.files));
    },
  },
} as const satisfies Record<string, Format>;
export type FormatName = keyof typeof formats;
export const formatNames = Object.keys(formats) as FormatName[];

const spelled: Readonly<Record<RequestName, string>> = { events: '-e', faults: '-F', everyInstrs: '--every', stacks: '--stacks' };

/** What cannot be done is said before anything runs. @throws UserError */
export function checkRequest(name: FormatName, request: TraceRequest): void {
  const format: Format = formats[name];
  for (const asked of Object.keys(spelled) as RequestName[]) {
    if (request[asked] === null || format.takes.includes(asked)) continue;
    const others = formatNames.filter((other) => (formats[other] as Format).takes.includes(asked));
    throw new UserError(`${spelled[asked]}: --format ${name} has no use for it. Leave it out, or write --format ${others.join(' or ')}.`);
  }
  if (request.events !== null) eventsNamed(request.events);
  if (request.everyInstrs === 0) throw new UserError('--every 0: the place of the program is looked at every N instructions, from 1 on. Write --every 10007.');
  if (request.everyInstrs !== null && request.stacks === 'kernel') throw new UserError('--every: cycles of the kernel are added up exactly, not sampled. Leave it out, or write --stacks guest.');
}
export const openExport = (name: FormatName, session: Session, request: TraceRequest): Export => formats[name].open(session, request);
