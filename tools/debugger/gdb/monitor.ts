// gdb's `monitor LINE`: the debugger's own commands, as far as they look and do not move. Here: which may be asked, and their answers as text.
import { UserError } from '#base';
import { commandOf, runLine } from '../commands/index.ts';
import type { Debugger } from '../debugger.ts';
import { plainInk } from '../ink.ts';
import { wrapLine } from '../views/text.ts';

const own: Readonly<Record<string, string>> = {
  going: 'moves the program behind gdb\'s back. Use gdb\'s own: continue, stepi, reverse-continue, reverse-stepi.',
  stopping: 'would stop nothing here. Use gdb\'s own: break, watch, rwatch, awatch, hbreak.',
};

/** Answers a line; what is wrong with it is an answer, too. @param selectedTid the thread that gdb looks at; null: none */
export function monitorAnswer(d: Debugger, line: string, selectedTid: number | null): string {
  const asked = line.trim();
  try {
    const { command } = commandOf(asked === '' ? 'help' : asked);
    const refused = own[command.group];
    if (refused !== undefined) return `monitor ${command.name}: ${refused}\n`;
    d.selected = selectedTid;
    const { answer } = runLine(d, asked === '' ? 'help' : asked);
    return answer.text(plainInk).flatMap(wrapLine).map((text) => `${text.trimEnd()}\n`).join('');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return `${error.message}\n`;
  }
}
