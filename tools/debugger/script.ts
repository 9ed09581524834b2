// The debugger without a person: commands from a file or a pipe, a line each, answers as text or one JSON object a command. What goes wrong is said with
// its line, and ends the script. Not here: the prompt (prompt.ts).
import { UserError, utf8Decode } from '#base';
import { runLine } from './commands/index.ts';
import type { Debugger } from './debugger.ts';
import { plainInk } from './ink.ts';
import type { Ink } from './ink.ts';
import { printable, wrapLine } from './views/text.ts';

export interface Answered {
  /** Text with its line ends, or one line of JSON. */
  readonly text: string;
  readonly isEnd: boolean;
}
/** Lines of a script that say something: with their numbers, without blank ones and those that begin with #. */
export function scriptLines(text: string): { readonly line: string; readonly number: number }[] {
  return text.split(/\r?\n/).map((line, i) => ({ line: line.trim(), number: i + 1 })).filter(({ line }) => line !== '' && !line.startsWith('#'));
}

/** Runs one line. @throws UserError */
export function answerLine(d: Debugger, line: string, isJson: boolean, ink: Ink = plainInk): Answered {
  const { command, answer } = runLine(d, line);
  const output = d.timeline.takeOutput();
  const messages = d.timeline.takeMessages();
  const isEnd = command.name === 'quit';
  if (isJson) {
    const { instret, event, phase } = d.timeline.place;
    const outputs = output.map(({ fd, bytes }) => ({ fd, text: utf8Decode(bytes) }));
    return { text: `${JSON.stringify({ schema: answer.schema, command: line, at: { insn: instret, event, phase }, ...answer.data, ...(outputs.length === 0 ? {} : { output: outputs }), ...(messages.length === 0 ? {} : { messages }) })}\n`, isEnd };
  }
  const lines = answer.text(ink).filter((each, _, all) => each !== '' || all.length > 1).flatMap(wrapLine).map((each) => `${each.trimEnd()}\n`).join('');
  return { text: `${outputText(output, ink)}${messages.map((message) => `${ink.faint('| kernel:')} ${message}\n`).join('')}${lines}`, isEnd };
}
/** What the program has printed, on lines of its own. */
function outputText(output: readonly { readonly fd: 1 | 2; readonly bytes: Uint8Array }[], ink: Ink): string {
  if (output.length === 0) return '';
  const text = output.map(({ bytes }) => utf8Decode(bytes)).join('').replace(/\r\n/g, '\n').replace(/[^\n\t\x20-\x7e\x80-\uffff]/g, '?');
  return text.replace(/\n?$/, '\n').split('\n').slice(0, -1).map((line) => `${ink.faint('|')} ${line}\n`).join('');
}

export const PROMPT = '(quire) ';
/** Runs a script. @param name of the file, for errors  @param write called with each answer, and before it with the command as it was typed
 *  @throws UserError 'FILE:LINE: ...' */
export function runScript(d: Debugger, name: string, text: string, isJson: boolean, write: (text: string) => void, ink: Ink = plainInk): void {
  for (const { line, number } of scriptLines(text)) {
    if (!isJson) write(`${ink.faint(PROMPT)}${printable(line)}\n`);
    let answered: Answered;
    try {
      answered = answerLine(d, line, isJson, ink);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (isJson) write(`${JSON.stringify({ schema: 'quire.debug.error/1', command: line, file: name, line: number, message: error.message })}\n`);
      throw new UserError(`${name}:${number}: ${error.message}`, error.status);
    }
    write(answered.text);
    if (answered.isEnd) return;
  }
}
