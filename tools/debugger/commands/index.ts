// All commands of the debugger, and which one a line means: by name, alias, or a beginning that only one has.
import { Bug, UserError } from '#base';
import { didYouMean } from '../../suggest.ts';
import type { Debugger } from '../debugger.ts';
import { printable } from '../views/text.ts';
import { askingCommands } from './asking.ts';
import type { Answer, DebugCommand } from './command.ts';
import { goingCommands } from './going.ts';
import { kernelCommands } from './kernel.ts';
import { otherCommands } from './other.ts';
import { programCommands } from './program.ts';
import { stoppingCommands } from './stopping.ts';

export type { Answer, DebugCommand } from './command.ts';
export const debugCommands: readonly DebugCommand[] = [...goingCommands, ...stoppingCommands, ...kernelCommands, ...askingCommands, ...programCommands, ...otherCommands(() => debugCommands)];

const namesOf = ({ name, aliases = [] }: DebugCommand): readonly string[] => [name, ...aliases];
/** The form in which names are compared: one blank between words. */
const tidy = (line: string): string => line.trim().replace(/\s+/g, ' ');

/** The command that a line begins with, and what follows; x/8xw is x with /8xw. @throws UserError */
export function commandOf(typed: string): { readonly command: DebugCommand; readonly rest: string } {
  const line = tidy(typed).replace(/^(x)\//, '$1 /');
  let best: { command: DebugCommand; length: number } | null = null;
  for (const command of debugCommands) {
    for (const name of namesOf(command)) if ((line === name || line.startsWith(`${name} `)) && name.length > (best?.length ?? 0)) best = { command, length: name.length };
  }
  if (best !== null) return { command: best.command, rest: restOf(typed, line.slice(0, best.length)) };
  const words = line.split(' ');
  for (const nrWords of [2, 1]) {
    const start = words.slice(0, nrWords);
    if (start.length < nrWords) continue;
    const found = debugCommands.filter(({ name }) => beginsWith(name, start));
    if (found.length === 1) return { command: found[0]!, rest: restOf(typed, start.join(' ')) };
    // Of names that begin alike the ways back are left out: 'ste' is step or stepi, 'reverse' says so.
    if (found.length > 1) throw new UserError(`${start.join(' ')}: could be ${found.slice(0, 6).map(({ name }) => name).join(', ')}${found.length > 6 ? ' ...' : ''}. Write more of it.`);
  }
  const first = words[0]!;
  const longer = debugCommands.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (longer.length > 0) throw new UserError(`${printable(line.slice(0, 40))}: ${words.length === 1 ? 'says too little' : 'not a command'}. Write ${longer.slice(0, -1).join(', ')} or ${longer.at(-1)!}.`);
  throw new UserError(`${printable(first.slice(0, 40))}: not a command.${didYouMean(first.slice(0, 40), debugCommands.flatMap(namesOf))} help lists them.`);
}
/** Are the words the beginnings of the name's? All of them, so that `info` alone is no command. */
function beginsWith(name: string, words: readonly string[]): boolean {
  const own = name.split(' ');
  return own.length === words.length && own.every((word, i) => word.startsWith(words[i]!));
}
/** What follows the name, as it was typed: blanks inside quotes are kept. */
function restOf(typed: string, name: string): string {
  let rest = typed.trim();
  for (const word of name.split(' ')) rest = rest.trimStart().slice(word.length);
  return rest.trim();
}

/** Runs a line. @throws UserError */
export function runLine(d: Debugger, line: string): { readonly command: DebugCommand; readonly answer: Answer } {
  const { command, rest } = commandOf(line);
  try {
    return { command, answer: command.run(d, rest) };
  } catch (error) {
    if (!(error instanceof Bug)) throw error;
    // Moves end before what the kernel finds wrong with itself (debugger.ts); this is a look at it.
    throw new UserError(`${command.name}: what is looked at is damaged: ${error.message.replace(/^bug in Quire: /, '')}.`);
  }
}

/** What could stand at the end of a line, each as the whole word, and the word that it completes. */
export function completionsOf(d: Debugger, line: string): { readonly words: readonly string[]; readonly word: string } {
  const word = /\S*$/.exec(line)![0];
  const before = tidy(line.slice(0, line.length - word.length));
  const names = debugCommands.map(({ name }) => name).filter((name) => (before === '' ? true : name.startsWith(`${before} `))).map((name) => name.slice(before === '' ? 0 : before.length + 1).split(' ')[0]!);
  const matching = (words: readonly string[]): string[] => [...new Set(words)].filter((each) => each.startsWith(word)).sort();
  const own = matching(names);
  if (before === '' || own.length > 0) return { words: own, word };
  try {
    const { command, rest } = commandOf(before);
    return { words: matching(command.complete?.(d, rest === '' ? [] : rest.split(/\s+/)) ?? []), word };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { words: [], word };
  }
}
