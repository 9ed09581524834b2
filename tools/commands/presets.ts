// quire presets: lists the TLB hierarchies that are known by name; with NAME, prints one as JSON, ready to be changed and given to --tlb.
import { writeResult } from '../host.ts';
import { presetNamed, presets } from '#mmu';
import type { TlbDescription, TlbLevelDescription } from '#mmu';
import type { Command } from './command.ts';

export const presetsCommand: Command = {
  name: 'presets',
  usage: '[NAME]',
  summary: 'list the TLBs that are known by name, or print one as JSON for --tlb',
  groups: ['result'],
  run({ values, rest }) {
    const [name] = rest;
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
  return `${lines.join('\n')}\n\nquire explain NAME says which figures are published and which are assumed; quire presets NAME prints it as JSON.\n`;
}
