// quire stat: runs a program and reports what was counted. The report goes to standard output or -o FILE; the guest's own output then goes
// where it does not mix with it: to standard error, or with -o to standard output.
import { boot } from '../boot.ts';
import { NO_TERMINAL } from '../config.ts';
import { drive, showsProgress } from '../drive.ts';
import { watchRegion, writeRegion } from '../dump-region.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { openResult, toolVersion } from '../host.ts';
import { statReport } from '../report.ts';
import { statText } from '../text.ts';
import { YoungSampling } from '../young.ts';
import { guestGroups, type Command } from './command.ts';

export const stat: Command = {
  name: 'stat',
  usage: '[OPTIONS] -- PROG [ARGS]',
  summary: 'run a program and report TLB misses, page walks, page faults and cycles',
  details: 'The report goes to standard output, the program\'s own output to standard error; with -o FILE the report goes to FILE\nand the program keeps standard output. Ctrl-C ends the run and reports what was counted so far.',
  groups: [...guestGroups, 'result', 'translator'],
  async run({ values, rest }) {
    const session = boot(await prepareRun(values, rest, NO_TERMINAL), (created) => {
      new YoungSampling(created);
      return watchRegion(created, values);
    });
    const out = openResult(values.output);
    const outcome = await drive(session, {
      output: { 1: values.output === undefined ? 2 : 1, 2: 2 }, stdin: 'blocks', progress: showsProgress(values),
    });
    const report = statReport(session, outcome, toolVersion());
    out.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : statText(report));
    out.close();
    writeRegion(session, values);
    return exitStatus(session, outcome.end, false);
  },
};
