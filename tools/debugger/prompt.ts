// The debugger's prompt: lines with history and completion. An empty line repeats the last move. Not here: what commands do (commands/).
import { readSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { UserError } from '#base';
import { commandOf, completionsOf } from './commands/index.ts';
import type { Debugger } from './debugger.ts';
import type { Ink } from './ink.ts';
import { answerLine, PROMPT } from './script.ts';

/** Talks until `quit` or the end of input. @param write to the terminal */
export async function talk(d: Debugger, ink: Ink, write: (text: string) => void): Promise<void> {
  const lines = createInterface({
    input: process.stdin, output: process.stdout, prompt: PROMPT, historySize: 1000, removeHistoryDuplicates: true,
    completer: (line: string): [string[], string] => {
      const { words, word } = completionsOf(d, line);
      return [words.map((each) => (words.length === 1 ? `${each} ` : each)), word];
    },
  });
  // At the prompt Ctrl-C drops what was typed, as in a shell.
  lines.on('SIGINT', () => {
    write('\n');
    lines.write(null, { ctrl: true, name: 'u' });
    lines.prompt();
  });
  let ahead = '';
  d.wantsStop = () => {
    const keys = keysNow();
    ahead += keys.replaceAll(CTRL_C, '');
    return keys.includes(CTRL_C);
  };
  let last = '';
  lines.prompt();
  for await (const typed of lines) {
    const line = typed.trim() === '' ? last : typed.trim();
    if (line !== '') {
      try {
        const { text, isEnd } = answerLine(d, line, false, ink);
        write(text);
        if (isEnd) break;
        last = commandOf(line).command.group === 'going' && !/^(seek|where|w)\b/.test(line) ? line : '';
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        write(`${ink.bad(error.message)}\n`);
        last = '';
      }
    }
    lines.prompt();
    if (ahead !== '') lines.write(ahead);
    ahead = '';
  }
  lines.close();
}

const CTRL_C = '\x03';
/** What was typed while nobody read. The terminal is raw, so that Ctrl-C is a character; and whoever runs a machine hears no event of Node's. */
function keysNow(): string {
  const bytes = new Uint8Array(256);
  try {
    return new TextDecoder().decode(bytes.subarray(0, readSync(process.stdin.fd, bytes)));
  } catch {
    return ''; // EAGAIN: nothing
  }
}
