// quire trace: what the kernel did, event by event, in the formats of the tools that people know.
import { UserError } from '#base';
import { boot } from '../boot.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive } from '../drive.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { isTerminal, openResult } from '../host.ts';
import type { Values } from '../options.ts';
import { checkRequest, formats, openExport, type Export, type FormatName, type TraceRequest } from '../trace/formats.ts';
import { guestGroups, type Command } from './command.ts';

export const trace: Command = {
  name: 'trace',
  usage: '[OPTIONS] (-F all|min|maj | -e EVENT,... | --strace | --format FORMAT) -- PROG [ARGS]',
  summary: 'write down page faults, kernel events or system calls as they happen',
  details: `Formats:\n${Object.entries(formats).map(([name, { meaning }]) => `  ${name.padEnd(10)}${meaning}`).join('\n')}\n-F alone means --format perf, -e alone --format ftrace.\nThe trace goes to standard output or -o FILE, the program's own output to standard error. Times are the modelled clock's.`,
  groups: [...guestGroups, 'trace', 'result'],
  async run({ values, rest }) {
    const { format, request } = traceRequest('trace', values);
    const config = await prepareRun(values, rest, NO_TERMINAL);
    let made: Export | null = null;
    const session = boot(config, (created) => {
      made = openExport(format, created, request);
      return null;
    });
    const written = made as Export | null;
    const out = openResult(values.output);
    const every = written?.everyInstrs;
    const outcome = await drive(session, {
      output: { 1: 2, 2: 2 }, stdin: 'blocks', progress: false, ...(every === undefined ? {} : { everyInstrs: every }), onStep: () => { out.write(written!.take()); },
    });
    out.write(written!.finish());
    out.close();
    return exitStatus(session, outcome.end, true);
  },
};

/** What the options of tracing ask for. @throws UserError when they do not go together */
export function traceRequest(command: string, values: Values): { format: FormatName; request: TraceRequest } {
  const kinds = [values.faults, values.events, values.strace].filter((kind) => kind !== undefined);
  if (kinds.length > 1 || (kinds.length === 0 && values.format === undefined)) {
    throw new UserError(`${command}: what is to be traced? Write one of -F all, -e EVENT,..., --strace and --format FORMAT, as in quire trace -F all -- hello.`);
  }
  if (values.json) throw new UserError('--json: traces have formats of their own. Leave it out, or write --format chrome, which is JSON.');
  if (values.strace && values.format !== undefined && values.format !== 'strace') throw new UserError(`--strace: --format ${values.format} says otherwise. Write one of them.`);
  const format = values.format ?? (values.faults !== undefined ? 'perf' : values.strace ? 'strace' : 'ftrace');
  const request: TraceRequest = { events: values.events ?? null, faults: values.faults ?? null, everyInstrs: values.every ?? null, stacks: values.stacks ?? null };
  checkRequest(format, request);
  if ('isBinary' in formats[format] && values.output === undefined && isTerminal(1)) throw new UserError(`--format ${format}: this is nothing for a terminal. Write -o FILE.`);
  return { format, request };
}
