// Commands that move: by instructions, lines, phases of the kernel, to breakpoints, to places; each in both directions.
import { UserError } from '#base';
import { sysEnter } from '#kernel';
import type { Debugger, Direction } from '../debugger.ts';
import { readPlace } from '../places.ts';
import type { Until } from '../timeline.ts';
import { faultHead, phaseText, stopText, stopView } from '../views/stop.ts';
import type { StopView } from '../views/stop.ts';
import { answer, said } from './command.ts';
import type { Answer, DebugCommand } from './command.ts';
import { finish, stepLine } from './lines.ts';

/** What every move answers: where it ended. */
export function arrived(d: Debugger): Answer {
  const view: StopView = stopView(d);
  return answer('stop', { ...view }, (ink) => stopText(view, d, ink));
}
function none(name: string, rest: string): void {
  if (rest !== '') throw new UserError(`${name} ${rest}: ${name} takes nothing after it. Write ${name} alone.`);
}
function steps(d: Debugger, name: string, rest: string): number {
  const n = rest === '' ? 1 : d.words.number(rest, name);
  if (n < 1) throw new UserError(`${name} ${rest}: not a number of steps. Write 1 or more.`);
  return n;
}
/** One command for each direction. */
function both(row: Omit<DebugCommand, 'run' | 'group' | 'aliases'>, aliases: { readonly forward: readonly string[]; readonly backward: readonly string[] }, back: string, run: (d: Debugger, direction: Direction, name: string, rest: string) => Answer): DebugCommand[] {
  return (['forward', 'backward'] as const).map((direction) => {
    const name = direction === 'forward' ? row.name : `reverse-${row.name}`;
    return { ...row, name, group: 'going', aliases: aliases[direction], summary: direction === 'forward' ? row.summary : back, run: (d, rest) => run(d, direction, name, rest) };
  });
}
const times = (d: Debugger, n: number, step: () => void): Answer => {
  for (let i = 0; i < n; i++) {
    step();
    if (d.last.points.length > 0 || ['start', 'exited', 'deadlock', 'input', 'interrupted'].includes(d.last.stop.kind)) break;
  }
  return arrived(d);
};
/** The first phase of a fault, or the entry of a system call. */
const entries = (direction: Direction): Until => ({ phases: (_, phase) => direction === 'forward' || phase.name === 'trap', events: { points: new Set([sysEnter]), at: () => true } });
const anyInstruction: Until = { instructions: () => true };

export const goingCommands: readonly DebugCommand[] = [
  ...both({ name: 'continue', usage: '', summary: 'on to the next point, or to the end' }, { forward: ['c'], backward: ['rc'] }, 'back to the last point, or to the start', (d, direction, name, rest) => {
    none(name, rest);
    d.move(direction, {});
    return arrived(d);
  }),
  ...both({
    name: 'stepi', usage: '[N]', summary: 'one instruction on, or N', details: ['Instructions of whoever runs. From inside the kernel: the next one of a program. Points in between are not asked.'],
  }, { forward: ['si'], backward: ['rsi'] }, 'one instruction back, or N', (d, direction, name, rest) => {
    const n = steps(d, name, rest);
    d.stepInstructions(direction === 'forward' ? n : -n);
    return arrived(d);
  }),
  ...both({ name: 'step', usage: '[N]', summary: 'to another line of the source, into calls' }, { forward: ['s'], backward: ['rs'] }, 'back to the line before, into calls', (d, direction, name, rest) =>
    times(d, steps(d, name, rest), () => { stepLine(d, direction, false); })),
  ...both({ name: 'next', usage: '[N]', summary: 'to another line of the source, over calls' }, { forward: ['n'], backward: ['rn'] }, 'back to the line before, over calls', (d, direction, name, rest) =>
    times(d, steps(d, name, rest), () => { stepLine(d, direction, true); })),
  ...both({ name: 'finish', usage: '', summary: 'on until the function has returned' }, { forward: ['fin'], backward: ['rfin'] }, 'back to the call of the function', (d, direction, name, rest) => {
    none(name, rest);
    finish(d, direction);
    return arrived(d);
  }),
  ...both({
    name: 'into', usage: '', summary: 'into the kernel: the next fault, or the next system call',
    details: ['At an instruction that faults that is this fault. phases shows what it has come to; step phase goes on in it, out leaves it.'],
  }, { forward: [], backward: [] }, 'back to where the kernel was entered last', (d, direction, name, rest) => {
    none(name, rest);
    d.move(direction, entries(direction));
    return arrived(d);
  }),
  ...both({ name: 'step phase', usage: '', summary: 'to the end of the next phase of a fault' }, { forward: ['sp'], backward: ['rsp', 'step phase back'] }, 'back to the end of the phase before', (d, direction, name, rest) => {
    none(name, rest);
    d.move(direction, { phases: () => true });
    return arrived(d);
  }),
  ...both({ name: 'out', usage: '', summary: 'out of the kernel: to the next instruction of a program' }, { forward: ['user'], backward: [] }, 'back to the instruction at which the kernel was entered', (d, direction, name, rest) => {
    none(name, rest);
    if (!d.isInside) throw new UserError(`${name}: this is between two instructions of the program. into goes into the kernel, stepi to the next instruction.`);
    d.move(direction, anyInstruction);
    return arrived(d);
  }),
  ...both({ name: 'event', usage: '[N]', summary: 'to the next event, or the Nth from here' }, { forward: ['e'], backward: ['re'] }, 'back to the event before', (d, direction, name, rest) => {
    const n = steps(d, name, rest);
    d.seekEvent(d.timeline.place.event + (direction === 'forward' ? n : -n));
    return arrived(d);
  }),
  {
    name: 'seek', usage: '#EVENT|INSN|start|end|-', group: 'going', summary: 'to an event, an instruction, the start, the end; - is back',
    details: ['seek #120: the event of that number, inside the kernel. seek 1M: when a million instructions have retired (k, M, G: thousand, million, billion).',
      'seek #120.3: the third phase of the fault at event 120. seek -: back to where the last move began.'],
    complete: () => ['start', 'end', '-'],
    run(d, rest) {
      readPlace(d, rest, 'seek')();
      return arrived(d);
    },
  },
  {
    name: 'where', aliases: ['w'], usage: '', group: 'going', summary: 'where this is, and why it stopped',
    run(d, rest) {
      none('where', rest);
      return arrived(d);
    },
  },
  {
    name: 'phases', aliases: ['ph'], usage: '', group: 'kernel', summary: 'phases of the fault under way, or of the last one',
    details: ['Of each phase its inputs, what was decided, why, and the page-table words that changed.'],
    run(d, rest) {
      none('phases', rest);
      const fault = d.recentFault();
      if (fault === null) return said('phases', { fault: null, phases: [] }, 'No fault so far.');
      return answer('phases', { fault: { ...fault } }, (ink) => [ink.head(faultHead(fault)), ...fault.phases.flatMap((phase, i) => phaseText(phase, i, ink))]);
    },
  },
  {
    name: 'input', usage: '[TEXT]', group: 'other', summary: 'what the program reads next; alone: the input\'s end', details: ['TEXT may be in quotes, with \\n in it; a line end is added to what is not quoted.'],
    run(d, rest) {
      d.needsOutside('input');
      let text = `${rest}\n`;
      if (rest.startsWith('"')) {
        try {
          text = JSON.parse(rest) as string;
        } catch {
          throw new UserError(`input ${rest}: the quoted text cannot be read. Write it as in input "two lines\\nof text\\n".`);
        }
      }
      d.timeline.feed(rest === '' ? new Uint8Array(0) : new TextEncoder().encode(text));
      return said('input', { bytes: rest === '' ? 0 : text.length }, rest === '' ? 'The program\'s input has ended.' : '');
    },
  },
];
