// The help texts, made from the tables of commands and options.
import type { Command } from './commands/command.ts';
import { optionHelp, type OptionGroup } from './options.ts';

const titles: Readonly<Record<OptionGroup, string>> = {
  machine: 'Machine', kernel: 'Kernel', inputs: 'What the program is given', result: 'Result', trace: 'What is traced', cache: 'The page cache (mm cache)', lists: 'The lists (mm lru)', sweep: 'Policies over memory sizes', image: 'The image', debug: 'Debugging', translator: 'The translator', general: 'General',
};
export const exitStatuses = [
  ['0 to 122', 'the program\'s own exit status'], ['2', 'wrong usage'], ['123', 'a sanitizer found something (--sanitize)'], ['124', 'the instruction budget (--max-insn) is used up'],
  ['125', 'an error of quire itself'], ['126', 'the program cannot be run'], ['127', 'the program is not there'], ['128+N', 'signal N ended the program'],
] as const;

/** `quire help`. */
export function overview(commands: readonly Command[]): string {
  return [
    'quire runs Linux programs for RISC-V and counts every TLB miss, page walk and page fault.',
    '',
    'usage: quire COMMAND [OPTIONS] -- PROG [ARGS]',
    '',
    ...commands.map((c) => `  ${c.name.padEnd(10)}${c.summary}`),
    `  ${'help'.padEnd(10)}more about a command, the bundled programs or the exit statuses`,
    '',
    'PROG is a bundled program by its bare name, or a static riscv64 executable by its path.',
    'quire help COMMAND lists a command\'s options; quire help programs the bundled programs.',
    '',
    'try:  quire stat -- gups        quire compare        quire run -- hello',
    '',
  ].join('\n');
}

/** `quire COMMAND --help`. */
export function commandHelp(command: Command): string {
  const sections = command.groups.map((group) => `${titles[group]}:\n${optionHelp([group])}`);
  return [`usage: quire ${command.name} ${command.usage}`, command.summary.replace(/^./, (c) => c.toUpperCase()) + '.',
    ...(command.details === undefined ? [] : [command.details]), ...sections].join('\n\n') + '\n';
}
