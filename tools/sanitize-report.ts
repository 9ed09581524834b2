// What a person is told of a sanitizer's finding: the finding, the instruction at which it happened, the command that leads there. Node's side: the command
// line as it was typed. Not here: finding (sanitize.ts), the moment (sanitize-place.ts).
import { guestGroups } from './commands/command.ts';
import { optionRows, parseCommandLine } from './options.ts';
import type { OptionName } from './options.ts';
import type { Session } from './boot.ts';
import { placeOfFinding } from './sanitize-place.ts';
import { originLines } from './sanitize.ts';
import type { SanitizerStop } from './sanitize.ts';
import { sourceStack } from './source-map.ts';
import { thousands } from './text.ts';

/** @param wasFed standard input came while the program ran: the run cannot be had again */
export function findingText({ config }: Session, { finding }: SanitizerStop, wasFed: boolean): string {
  const cannot = wasFed ? 'standard input came while it ran; --stdin FILE gives it again' : config.inputs.disks.some(({ isWritable }) => isWritable) ? 'its disks have changed; leave :rw out' : null;
  const place = cannot === null ? placeOfFinding(config, finding) : null;
  const lines = [...(place ?? finding).lines, ...(finding.origin === null ? [] : originLines(sourceStack(finding.origin)))];
  if (place !== null) lines.push(`at instruction ${thousands(place.instret)}: ${place.at}`);
  else lines.push(`between instruction ${thousands(finding.lastGood)}, when all was well, and ${thousands(finding.instret)}${cannot === null ? '' : ` (not looked at again, since ${cannot})`}`);
  lines.push(`reach it: quire debug ${debugWords()}`, `and there: seek ${place?.instret ?? finding.lastGood}`);
  return `sanitize ${finding.sanitizer}: ${lines.join('\n  ')}`;
}

/** The run's own options and words, as one types them again. */
function debugWords(): string {
  const typed = process.argv.slice(3);
  const groups = [...new Set(optionRows().map(([, row]) => row.group))];
  const { spelled, rest } = parseCommandLine('run', groups, typed);
  const isOfGuest = (name: OptionName): boolean => name !== 'sanitize' && optionRows().some(([each, row]) => each === name && guestGroups.includes(row.group));
  return [...spelled.filter(({ name }) => isOfGuest(name)).flatMap(({ words }) => words), '--', ...rest].map(quoted).join(' ');
}
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replace(/'/g, "'\\''")}'`);
