// quire trace: what the kernel did, event by event, in the line formats of the tools that people know.
import { UserError } from '#base';
import { boot } from '../boot.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive } from '../drive.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { openResult } from '../host.ts';
import { FTRACE_HEADER, eventsNamed, traceEvents } from '../trace/ftrace.ts';
import { traceFaults } from '../trace/perf.ts';
import { traceSyscalls } from '../trace/strace.ts';
import { guestGroups, type Command } from './command.ts';

export const trace: Command = {
  name: 'trace',
  usage: '[OPTIONS] (-F all|min|maj | -e EVENT,... | --strace) -- PROG [ARGS]',
  summary: 'print page faults, kernel events or system calls as they happen',
  details: 'The trace goes to standard output or -o FILE, the program\'s own output to standard error. Times are the modelled clock\'s.',
  groups: [...guestGroups, 'trace', 'result'],
  async run({ values, rest }) {
    const kinds = [values.faults, values.events, values.strace].filter((kind) => kind !== undefined);
    if (kinds.length !== 1) throw new UserError('trace: what is to be traced? Write one of -F all, -e EVENT,... and --strace, as in quire trace -F all -- hello.');
    if (values.json) throw new UserError('--json: traces are lines of text only. Leave it out.');
    if (values.events !== undefined) eventsNamed(values.events);
    const config = await prepareRun(values, rest, NO_TERMINAL);
    const session = boot(config, (created) => (values.faults !== undefined ? traceFaults(created, values.faults)
      : values.events !== undefined ? traceEvents(created, values.events) : traceSyscalls(created)));
    const out = openResult(values.output);
    const write = (lines: readonly string[]): void => { out.write(lines.map((line) => `${line}\n`).join('')); };
    if (values.events !== undefined) write(FTRACE_HEADER);
    const outcome = await drive(session, {
      output: { 1: 2, 2: 2 }, stdin: 'blocks', progress: false, onStep: () => { write(session.trace!.take()); },
    });
    write(session.trace!.end());
    out.close();
    return exitStatus(session, outcome.end, true);
  },
};
