// quire: what a person types. Here: finding the command, its help, and how everything ends: exit statuses, errors, closed pipes.
// Not here: options (options.ts), the commands (commands/).
import { Bug, UserError } from '#base';
import type { Command } from './commands/command.ts';
import { run } from './commands/run.ts';
import { shutdownSessions } from './drive.ts';
import { askForWasmFeatures, closeDisks, PipeClosed, toolVersion, writeOut } from './host.ts';
import { parseCommandLine } from './options.ts';

/** `run` comes with this file. All others, and help, are a piece of the bundle of their own (build.mjs), which a run does without: it would take longer to
 *  load than a small guest runs. */
const others = () => import('./commands/index.ts');
/** 128 + SIGPIPE: the reader of our output has gone. */
const PIPE_STATUS = 141;

async function main(words: readonly string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === '--help' || name === '-h') {
    const { commands, overview } = await others();
    writeOut(1, overview(commands));
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') {
    writeOut(1, `${toolVersion()}\n`);
    return 0;
  }
  askForWasmFeatures();
  const command: Command = name === run.name ? run : (await others()).commandNamed(name);
  if (command.raw) return command.run({ values: {} as never, given: new Set(), spelled: [], rest });
  const line = parseCommandLine(command.name, command.groups, rest);
  if (line.values.help) {
    writeOut(1, (await others()).commandHelp(command));
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
