// What a debugger command is, and what it answers: data under a schema's name, and the same as text.
import type { Debugger } from '../debugger.ts';
import type { Ink } from '../ink.ts';

export interface Answer {
  /** 'quire.debug.pt/1'. */
  readonly schema: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly text: (ink: Ink) => readonly string[];
}
export type CommandGroup = 'going' | 'stopping' | 'kernel' | 'program' | 'asking' | 'other';
export interface DebugCommand {
  /** One or two words. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** What follows the name. */
  readonly usage: string;
  readonly group: CommandGroup;
  /** A line for the list. */
  readonly summary: string;
  /** More, for `help NAME`. */
  readonly details?: readonly string[];
  /** Words that could stand where one is being typed. @param before words of the command's that are there already */
  readonly complete?: (d: Debugger, before: readonly string[]) => readonly string[];
  /** @param rest what follows the name, trimmed @throws UserError */
  readonly run: (d: Debugger, rest: string) => Answer;
}
export const answer = (name: string, data: Readonly<Record<string, unknown>>, text: (ink: Ink) => readonly string[]): Answer => ({ schema: `quire.debug.${name}/1`, data, text });
/** An answer of words only. */
export const said = (name: string, data: Readonly<Record<string, unknown>>, ...lines: readonly string[]): Answer => answer(name, data, () => lines);
