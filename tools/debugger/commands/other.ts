// Commands about the debugger itself: help, the fields there are, events around here, quitting.
import { tracepoints, UserError } from '#base';
import { thousands } from '../../text.ts';
import { didYouMean } from '../../suggest.ts';
import { START } from '../debugger.ts';
import type { Debugger } from '../debugger.ts';
import { countedPoints } from '../events.ts';
import { counterFields, eventFieldsOf, faultFields, phaseFields, syscallFields, taskFields, watchFields } from '../fields.ts';
import type { Fields } from '../fields.ts';
import { pointNamed } from '../points.ts';
import { syscallNumber } from '../syscall-names.ts';
import { eventText } from '../views/stop.ts';
import { columns } from '../views/text.ts';
import { answer, said } from './command.ts';
import type { Answer, CommandGroup, DebugCommand } from './command.ts';

const titles: Readonly<Record<CommandGroup, string>> = { going: 'Going (most also as reverse-...)', stopping: 'Stopping', kernel: 'The kernel', asking: 'How it came to be', program: 'The program', other: 'Other' };

function fieldsNamed(word: string): Fields {
  switch (word) {
    case '': case 'task': return taskFields;
    case 'fault': return faultFields;
    case 'phase': return phaseFields;
    case 'watch': return watchFields;
    case 'counter': return counterFields;
  }
  const point = pointNamed(word);
  if (point !== null) return eventFieldsOf(point);
  const nr = syscallNumber(word.replace(/^syscall\s+/, ''));
  if (nr !== null) return syscallFields(nr);
  throw new UserError(`info fields ${word}: no such thing has fields.${didYouMean(word, [...tracepoints().keys()])} Write info fields fault, phase, watch, counter, the name of a tracepoint or of a system call.`);
}
const DEFAULT_EVENTS = 10;
const MAX_EVENTS = 10_000;

export const otherCommands = (all: () => readonly DebugCommand[]): readonly DebugCommand[] => [
  {
    name: 'help', aliases: ['h', '?'], usage: '[COMMAND]', group: 'other', summary: 'this list, or more about a command', complete: () => all().map(({ name }) => name),
    run: (_, rest) => (rest === '' ? overview(all()) : helpOf(all(), rest)),
  },
  {
    name: 'info fields', usage: '[fault|phase|watch|counter|TRACEPOINT|SYSCALL]', group: 'other', summary: 'what conditions and print can name', complete: () => ['fault', 'phase', 'watch', 'counter', ...tracepoints().keys()],
    run(_, rest) {
      const fields = fieldsNamed(rest);
      const rows = Object.entries(fields).map(([name, { type, help }]) => ({ name, type, help }));
      return answer('fields', { of: rest === '' ? 'task' : rest, fields: rows }, () => [
        ...columns(rows.map(({ name, type, help }) => [name, type, help]), new Set([0, 1, 2])), ...(rest === '' ? ['Everywhere; more with info fields fault, phase, watch, counter, TRACEPOINT or SYSCALL.'] : []),
      ]);
    },
  },
  {
    name: 'info events', aliases: ['events'], usage: '[N]', group: 'other', summary: 'the last N events before here (10)',
    run(d, rest) {
      const n = rest === '' ? DEFAULT_EVENTS : d.words.number(rest, 'info events');
      if (n < 1 || n > MAX_EVENTS) throw new UserError(`info events ${rest}: write 1 to ${MAX_EVENTS}.`);
      const events = eventsBefore(d, n);
      return answer('events', { events }, (ink) => (events.length === 0 ? ['No event so far.'] : events.map(({ event, insn, text }) => `${ink.head(`#${event}`.padEnd(8))} ${thousands(insn).padStart(12)}  ${text}`)));
    },
  },
  { name: 'quit', aliases: ['q', 'exit'], usage: '', group: 'other', summary: 'leave', run: () => said('quit', {}) },
];

function eventsBefore(d: Debugger, n: number): { event: number; insn: number; text: string }[] {
  const { last, previous } = d;
  const here = d.timeline.place;
  const found: { event: number; insn: number; text: string }[] = [];
  d.excursion((timeline) => {
    const note = (point: Parameters<typeof eventText>[1], values: readonly number[]): false => {
      found.push({ event: timeline.place.event, insn: timeline.session.instructions, text: eventText(d, point, values) });
      return false;
    };
    timeline.seek(START);
    if (here.event > n) timeline.seekEvent(here.event - n);
    timeline.forward({ events: { points: new Set(countedPoints()), at: note }, place: here });
  });
  d.last = last;
  d.previous = previous;
  return found.filter(({ event }) => event <= here.event).slice(-n);
}

function overview(all: readonly DebugCommand[]): Answer {
  const shown = all.filter(({ name }) => !name.startsWith('reverse-'));
  return answer('help', { commands: all.map(({ name, aliases = [], usage, summary, group }) => ({ name, aliases, usage, summary, group })) }, (ink) => [
    ...(Object.keys(titles) as CommandGroup[]).flatMap((group) => [ink.head(`${titles[group]}:`), ...shown.filter((c) => c.group === group).map(lineOf)]),
    'A beginning is enough where it is the only one. An empty line repeats the last move. help COMMAND tells more.',
  ]);
}
const NAME_COLUMNS = 19;
function lineOf({ name, aliases = [], summary }: DebugCommand): string {
  const short = aliases.find((alias) => alias.length <= 3);
  const left = `${name}${short === undefined ? '' : `, ${short}`}`;
  return `  ${left.padEnd(NAME_COLUMNS)} ${summary}`;
}
function helpOf(all: readonly DebugCommand[], word: string): Answer {
  const found = all.filter(({ name, aliases = [] }) => name === word || aliases.includes(word) || name.startsWith(`${word} `));
  if (found.length === 0) throw new UserError(`help ${word}: no such command.${didYouMean(word, all.flatMap(({ name, aliases = [] }) => [name, ...aliases]))} help alone lists them.`);
  return answer('help', { commands: found.map(({ name, aliases = [], usage, summary, details = [] }) => ({ name, aliases, usage, summary, details })) }, (ink) => found.flatMap(({ name, aliases = [], usage, summary, details = [] }, i) => [
    ...(i === 0 ? [] : ['']), `${ink.head(`${name} ${usage}`.trim())}${aliases.length === 0 ? '' : `  (${aliases.join(', ')})`}`, `  ${summary.replace(/^./, (c) => c.toUpperCase())}.`, ...details.map((line) => `  ${line}`),
  ]));
}
