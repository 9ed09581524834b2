// All commands, and what is printed about them. Loaded when somebody wants another command than `run` (cli.ts).
import { UserError } from '#base';
import { didYouMean } from '../suggest.ts';
import { cc } from './cc.ts';
import type { Command } from './command.ts';
import { compare } from './compare.ts';
import { debug } from './debug.ts';
import { doctor } from './doctor.ts';
import { explain } from './explain.ts';
import { exportCommand } from './export.ts';
import { helpCommand } from './help.ts';
import { mkfsCommand } from './mkfs.ts';
import { mm } from './mm.ts';
import { presetsCommand } from './presets.ts';
import { record } from './record.ts';
import { run } from './run.ts';
import { stat } from './stat.ts';
import { trace } from './trace.ts';
import { why } from './why.ts';

export { commandHelp, overview } from '../help-text.ts';

export const commands: readonly Command[] = [run, stat, compare, mm, trace, exportCommand, why, record, debug, cc, mkfsCommand, presetsCommand, explain, doctor];

/** @throws UserError for what is none */
export function commandNamed(name: string): Command {
  const all = [...commands, helpCommand(commands)];
  const command = all.find((c) => c.name === name);
  if (command !== undefined) return command;
  const what = name.startsWith('-') ? 'options stand after the command, as in quire stat --preset NAME -- PROG' : 'not a command';
  throw new UserError(`${name}: ${what}.${didYouMean(name, all.map((c) => c.name))} quire help lists them.`);
}
