// quire mm: reports on memory management beyond those of quire stat. So far: memmap, what describing memory costs.
import { UserError } from '#base';
import { boot } from '../boot.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive, showsProgress } from '../drive.ts';
import { exitStatus, prepare } from '../guest.ts';
import { commandHelp } from '../help-text.ts';
import { toolVersion, writeOut, writeResult } from '../host.ts';
import { memmapReport, memmapText } from '../memmap.ts';
import { parseCommandLine } from '../options.ts';
import { guestGroups, type Command } from './command.ts';

export const mm: Command = {
  name: 'mm',
  usage: 'memmap [OPTIONS] -- PROG [ARGS]',
  summary: 'run a program and report what the memory map and its descriptors cost',
  details: 'memmap: descriptors by type when most memory was in use, their share of RAM, the cost of one GiB by folio size in every layout\n(--memmap 64|32|16|8), and what the page allocator did (--alloc-strategy). The report goes to standard output or -o FILE, the\nprogram\'s own output to standard error.',
  groups: [...guestGroups, 'result'],
  async run({ given, rest: words }) {
    const [report, ...after] = words;
    if (report !== 'memmap') throw new UserError(`mm${report === undefined ? '' : ` ${report}`}: not a report. There is one: quire mm memmap -- PROG.`);
    if (given.size > 0) throw new UserError('mm: options stand after the report\'s name, as in quire mm memmap --memmap 8 -- gups.');
    const { values, rest } = parseCommandLine('mm', mm.groups, after);
    if (values.help) {
      writeOut(1, commandHelp(mm));
      return 0;
    }
    const session = boot(prepare(values, rest, NO_TERMINAL));
    const outcome = await drive(session, { output: { 1: values.output === undefined ? 2 : 1, 2: 2 }, stdin: 'blocks', progress: showsProgress(values) });
    const result = memmapReport(session, outcome, toolVersion());
    writeResult(values.json ? `${JSON.stringify(result, null, 2)}\n` : memmapText(result), values.output);
    return exitStatus(session, outcome.end, false);
  },
};
