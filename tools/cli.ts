// quire: what a person types. Here: finding the command, its help, and how everything ends: exit statuses, errors, closed pipes.
// Not here: options (options.ts), the commands (commands/).
import { Bug, UserError } from '#base';
import { cc } from './commands/cc.ts';
import type { Command } from './commands/command.ts';
import { compare } from './commands/compare.ts';
import { debug } from './commands/debug.ts';
import { doctor } from './commands/doctor.ts';
import { explain } from './commands/explain.ts';
import { exportCommand } from './commands/export.ts';
import { helpCommand } from './commands/help.ts';
import { mkfsCommand } from './commands/mkfs.ts';
import { mm } from './commands/mm.ts';
import { presetsCommand } from './commands/presets.ts';
import { record } from './commands/record.ts';
import { run } from './commands/run.ts';
import { stat } from './commands/stat.ts';
import { trace } from './commands/trace.ts';
import { why } from './commands/why.ts';
import { shutdownSessions } from './drive.ts';
import { askForWasmFeatures, closeDisks, PipeClosed, toolVersion, writeOut } from './host.ts';
import { commandHelp, overview } from './help-text.ts';
import { parseCommandLine } from './options.ts';
import { didYouMean } from './suggest.ts';

const commands: readonly Command[] = [run, stat, compare, mm, trace, exportCommand, why, record, debug, cc, mkfsCommand, presetsCommand, explain, doctor];
/** 128 + SIGPIPE: the reader of our output has gone. */
const PIPE_STATUS = 141;

async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === '--help' || name === '-h') {
    writeOut(1, overview(commands));
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') {
    writeOut(1, `${toolVersion()}\n`);
    return 0;
  }
  askForWasmFeatures();
  const all = [...commands, helpCommand(commands)];
  const command = all.find((c) => c.name === name);
  if (command === undefined) {
    const what = name.startsWith('-') ? 'options stand after the command, as in quire stat --preset NAME -- PROG' : 'not a command';
    throw new UserError(`${name}: ${what}.${didYouMean(name, all.map((c) => c.name))} quire help lists them.`);
  }
  if (command.raw) return command.run({ values: {} as never, given: new Set(), spelled: [], rest });
  const line = parseCommandLine(command.name, command.groups, rest);
  if (line.values.help) {
    writeOut(1, commandHelp(command));
    return 0;
  }
  return command.run(line);
}

/** What is printed for an error, and the exit status. A user's mistake is one sentence; our own asks for a report. */
function report(error: unknown): number {
  if (error instanceof PipeClosed) return PIPE_STATUS;
  if (error instanceof UserError) {
    writeOut(2, `quire: ${error.message}\n`);
    return error.status;
  }
  const text = error instanceof Error ? error.message : String(error);
  const stack = process.env['QUIRE_DEBUG'] && error instanceof Error ? `${error.stack}\n` : '';
  if (error instanceof RangeError && /allocat|out of memory/i.test(text)) {
    writeOut(2, 'quire: the host has not enough memory for this guest. Write a smaller --mem.\n');
  } else {
    writeOut(2, `quire: ${error instanceof Bug ? text : `bug in Quire: ${text}`}. Please report it with the command line; QUIRE_DEBUG=1 adds where it happened.\n${stack}`);
  }
  return 125;
}

/** Runs the command. @returns the exit status */
async function runToEnd(): Promise<number> {
  let status: number;
  let isOurFault = false;
  try {
    status = await main(process.argv.slice(2));
  } catch (error) {
    isOurFault = !(error instanceof UserError) && !(error instanceof PipeClosed);
    try {
      status = report(error);
    } catch {
      status = PIPE_STATUS; // standard error is closed too
    }
  }
  // However the run ended, its disks are left in order, unless we can no longer trust what we would write.
  try {
    for (const problem of isOurFault ? [] : shutdownSessions()) {
      writeOut(2, `quire: ${problem}\n`);
      status ||= 125;
    }
    closeDisks();
  } catch (error) {
    try {
      status = report(error);
    } catch {
      status = PIPE_STATUS;
    }
  }
  return status;
}

void runToEnd().then((status) => process.exit(status));
