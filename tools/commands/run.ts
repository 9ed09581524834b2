// quire run: the guest's own output and exit status, and nothing else.
import { boot } from '../boot.ts';
import { drive } from '../drive.ts';
import { watchRegion, writeRegion } from '../dump-region.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { hostTerminal } from '../host.ts';
import { guestGroups, type Command } from './command.ts';

export const run: Command = {
  name: 'run',
  usage: '[OPTIONS] -- PROG [ARGS]',
  summary: 'run a program: its own output, its own exit status',
  groups: [...guestGroups, 'translator'],
  async run({ values, rest }) {
    const session = boot(await prepareRun(values, rest, hostTerminal()), (created) => watchRegion(created, values));
    const { end } = await drive(session, { output: { 1: 1, 2: 2 }, stdin: 'lines', progress: false, passInterrupt: true });
    writeRegion(session, values);
    return exitStatus(session, end, true);
  },
};
