// What a command is. cli.ts has the list of them.
import type { CommandLine, OptionGroup } from '../options.ts';

export interface Command {
  readonly name: string;
  /** After 'quire NAME'. */
  readonly usage: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** Paragraphs of its own help, below the usage. */
  readonly details?: string;
  readonly groups: readonly OptionGroup[];
  /** The command reads its own words: options are not parsed for it (cc passes the compiler's on). */
  readonly raw?: true;
  /** @returns the exit status */
  run(line: CommandLine): Promise<number> | number;
}
export const guestGroups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs'];
