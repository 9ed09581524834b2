// quire presets: lists the TLB hierarchies that are known by name; with NAME, prints one as JSON, ready to be changed and given to --tlb. What
// --lru can be given to start from is printed here, too.
import { parseCommandLine } from '../options.ts';
import { policyStarter, STARTER } from '../policy-file.ts';
import { writeResult } from '../host.ts';
import { UserError } from '#base';
import { presetNamed, presets } from '#mmu';
import type { TlbDescription, TlbLevelDescription } from '#mmu';
import type { Command } from './command.ts';

export const presetsCommand: Command = {
  name: 'presets',
  usage: `[NAME | ${STARTER}]`,
  summary: 'list the TLBs that are known by name, or print one as JSON for --tlb',
  details: `${STARTER} prints a reclaim policy for --lru, a file of 40 lines to start one's own from, as in quire presets ${STARTER} -o mine.ts.`,
  groups: ['result'],
  run({ values: before, given, rest }) {
    const [name, ...after] = rest;
    // Options may stand behind the name, too.
    const { values, rest: more } = after.length === 0 ? { values: before, rest: [] } : parseCommandLine('presets', ['result'], after);
    if (more.length > 0 || (after.length > 0 && given.size > 0)) throw new UserError(`presets: ${[...more, ...after][0]}: too much. Write quire presets NAME -o FILE.`);
    if (name === STARTER) {
      if (values.json) throw new UserError(`--json: ${STARTER} is a program. Leave it out.`);
      writeResult(policyStarter(), values.output);
      return 0;
    }
    const shown = name === undefined ? (values.json ? json(presets()) : presetTable(presets())) : json(presetNamed(name));
    writeResult(shown, values.output);
    return 0;
  },
};
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** '64' or '64+32+4': entries of each array of a level. */
const entries = (level: TlbLevelDescription | null | undefined): string => (level ? level.arrays.map((a) => a.entries).join('+') : '-');
function presetTable(all: readonly TlbDescription[]): string {
  const rows = all.map((p) => [p.name, entries(p.l1i), entries(p.l1d), entries(p.l2), p.source.replace(/[.:] [^]*$/, '')]);
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]!.length), 6) + 2);
  const lines = [['name', 'L1 I', 'L1 D', 'L2', 'core (entries by array)'], ...rows]
    .map((row) => row.map((cell, i) => (i < 4 ? cell.padEnd(widths[i]!) : cell)).join(''));
  return `${lines.join('\n')}\n\nquire explain NAME says which figures are published and which are assumed; quire presets NAME prints it as JSON.\nquire presets ${STARTER} prints a reclaim policy to start one's own from, for --lru.\n`;
}
