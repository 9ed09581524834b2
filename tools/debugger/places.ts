// Places as they are typed: #120, #120.3, 1M, start, end, -. Here: reading them; going there asks no points.
import { UserError } from '#base';
import { START } from './debugger.ts';
import type { Debugger } from './debugger.ts';
import type { Place } from './timeline.ts';

const END: Place = { instret: Number.MAX_SAFE_INTEGER, event: Number.MAX_SAFE_INTEGER, phase: Number.MAX_SAFE_INTEGER };
const units: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** Reads a place; the answer goes there. Breakpoints on the way are passed over. @throws UserError */
export function readPlace(d: Debugger, word: string, command: string): () => void {
  const event = /^#(\d{1,15})(?:\.(\d{1,6}))?$/.exec(word);
  if (event !== null) {
    return () => {
      d.seekEvent(Number(event[1]));
      if (event[2] !== undefined) d.seek({ ...d.timeline.place, phase: Number(event[2]) });
    };
  }
  const insn = /^(\d[\d,]*)([kKmMgG]?)$/.exec(word);
  if (insn !== null) {
    const instret = Number(insn[1]!.replaceAll(',', '')) * units[insn[2]!.toLowerCase()]!;
    if (!Number.isSafeInteger(instret)) throw new UserError(`${command} ${word}: beyond every run.`);
    return () => { d.seek({ instret, event: 0, phase: -1 }); };
  }
  switch (word) {
    case 'start': return () => { d.seek(START); };
    case 'end': return () => { d.seek(END); };
    case '-': {
      const { previous } = d;
      if (previous === null) throw new UserError(`${command} -: nothing has moved yet.`);
      return () => { d.seek(previous); };
    }
  }
  throw new UserError(`${command}${word === '' ? ': a place is missing' : ` ${word}: not a place`}. Write #120 (an event), 1M (instructions), start, end, or - (where the last move began).`);
}
