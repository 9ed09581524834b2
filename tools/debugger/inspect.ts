// Stopping inside Node's own inspector, where the kernel's TypeScript can be stepped line by line: at what `break` could stop at, or at an event of a
// place. The run stands still in the middle of the kernel's work, with its whole stack, until the inspector lets it go on. Source maps beside
// the bundle bring the lines.
import { open, url, waitForDebugger } from 'node:inspector';
import { UserError } from '#base';
import type { Debugger } from './debugger.ts';
import { countedPoints } from './events.ts';
import { readBreak } from './points.ts';
import type { Stop, Until } from './timeline.ts';

/** The way to the kernel from here: step out until its line comes; the names below say where that is. */
function standStill(): void {
  // eslint-disable-next-line no-debugger
  debugger; // Step out (Shift+F11) a few times: through the debugger's own functions, to the line of the kernel that has come here.
}

/** Runs to the end, and stands still in the inspector wherever `what` holds. @param what as after `break`, or #EVENT @param port 0: any
 *  @param say told where to attach @throws UserError */
export function inspectRun(d: Debugger, what: string, port: number, say: (text: string) => void): Stop {
  const { timeline, points } = d;
  let times = 0;
  const stand = (): false => {
    times++;
    standStill();
    return false;
  };
  const until = questionOf(d, what, stand);
  open(port, '127.0.0.1', false);
  say(`Waiting for an inspector at ${url()}: chrome://inspect, VS Code's "attach", or node inspect 127.0.0.1:PORT.\n`);
  waitForDebugger();
  const stop = timeline.forward(until);
  if (points.problem !== null) throw new UserError(points.problem);
  say(times === 0 ? `${what}: never came to pass.\n` : `${what}: stood still ${times} ${times === 1 ? 'time' : 'times'}.\n`);
  return stop;
}
function questionOf(d: Debugger, what: string, stand: () => false): Until {
  const { timeline, points } = d;
  const event = /^#(\d{1,15})$/.exec(what);
  if (event !== null) return { events: { points: new Set(countedPoints()), at: () => timeline.place.event === Number(event[1]) && stand() } };
  readBreak(points, what, d.words);
  const asked = points.until((more) => d.moment(more), {});
  return {
    ...(asked.pcs === undefined ? {} : { pcs: { addresses: asked.pcs.addresses, at: (pc) => asked.pcs!.at(pc) && stand() } }),
    ...(asked.events === undefined ? {} : { events: { points: asked.events.points, at: (point, values) => asked.events!.at(point, values) && stand() } }),
    ...(asked.phases === undefined ? {} : { phases: (fault, phase) => asked.phases!(fault, phase) && stand() }),
  };
}
