// quire help [COMMAND | programs | status]
import { UserError } from '#base';
import { commandHelp, exitStatuses, overview } from '../help-text.ts';
import { bundledPrograms, programSummary, writeOut } from '../host.ts';
import { didYouMean } from '../suggest.ts';
import type { Command } from './command.ts';

export const helpCommand = (commands: readonly Command[]): Command => ({
  name: 'help',
  usage: '[COMMAND | programs | status]',
  summary: 'more about a command, the bundled programs or the exit statuses',
  groups: [],
  run({ rest }) {
    const [topic] = rest;
    writeOut(1, topic === undefined ? overview(commands) : about(topic, commands));
    return 0;
  },
});

function about(topic: string, commands: readonly Command[]): string {
  const command = commands.find((c) => c.name === topic);
  if (command !== undefined) return commandHelp(command);
  if (topic === 'programs') {
    return `${bundledPrograms().map((name) => `  ${name.padEnd(14)}${programSummary(name)}`.trimEnd()).join('\n')}\n`;
  }
  if (topic === 'status') return `${exitStatuses.map(([code, meaning]) => `  ${code.padEnd(10)}${meaning}`).join('\n')}\n`;
  throw new UserError(`help ${topic}: no such topic.${didYouMean(topic, [...commands.map((c) => c.name), 'programs', 'status'])} Write a command, programs or status.`);
}
