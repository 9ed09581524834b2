// quire record: runs a program as quire run does, and keeps what it takes to run it again exactly.
import { UserError } from '#base';
import { boot } from '../boot.ts';
import { overlayDisks } from '../debugger/overlay.ts';
import { RunRecorder } from '../debugger/recording.ts';
import { drive } from '../drive.ts';
import { exitStatus, prepareRun } from '../guest.ts';
import { hostTerminal, openResult, writeOut } from '../host.ts';
import { thousands } from '../text.ts';
import { guestGroups, type Command } from './command.ts';

export const record: Command = {
  name: 'record',
  usage: '-o FILE.qrec [OPTIONS] -- PROG [ARGS]',
  summary: 'run a program, and keep the run to go through it with quire debug',
  details: 'The program runs as under quire run: its own input, output and exit status. FILE holds what it read of the world, what was typed and when, and\nwhere its events are. Disks are not changed, even with :rw: the recording needs them as they are.',
  groups: [...guestGroups, 'result'],
  async run({ values, rest }) {
    const path = values.output;
    if (path === undefined) throw new UserError('quire record: where to? Write a file, as in quire record -o run.qrec -- PROG.');
    const config = await prepareRun(values, rest, hostTerminal());
    const { lru } = config.machine;
    if (lru.needsRecording) throw new UserError(`--lru ${lru.name}: it knows the run's future, and a recording does not hold that. Record with another policy.`);
    const session = boot(overlayDisks(config).config);
    const recorder = new RunRecorder(session, config);
    const out = openResult(path);
    const { end } = await drive(session, { output: { 1: 1, 2: 2 }, stdin: 'lines', progress: false, passInterrupt: true });
    const { instret, event } = recorder.place;
    const bytes = recorder.finish(end);
    out.write(bytes);
    out.close();
    writeOut(2, `quire: recorded ${thousands(instret)} instructions and ${thousands(event)} events in ${path} (${thousands(Math.ceil(bytes.length / 1024))} kB). Go through it with: quire debug ${path}\n`);
    return exitStatus(session, end, true);
  },
};
