// quire export: a recorded run, run again and written down in one of the formats of quire trace.
import { UserError } from '#base';
import { boot, type Session, type StepResult } from '../boot.ts';
import { EventCounter } from '../debugger/events.ts';
import { overlayDisks } from '../debugger/overlay.ts';
import { isRecording, readRecording } from '../debugger/recorded-run.ts';
import type { Recording } from '../debugger/recording.ts';
import { comparePlaces } from '../debugger/timeline.ts';
import { commandHelp } from '../help-text.ts';
import { openResult, writeOut } from '../host.ts';
import { parseCommandLine, type Values } from '../options.ts';
import { formats, openExport, type Export } from '../trace/formats.ts';
import type { Command } from './command.ts';
import { traceRequest } from './trace.ts';

const SLICE_INSTRS = 2_000_000;

export const exportCommand: Command = {
  name: 'export',
  usage: 'FILE.qrec --format FORMAT [-e EVENT,...] [-o FILE]',
  summary: 'write a recorded run in a format of other tools',
  details: `The run is run again from its recording (quire record), exactly, and written as quire trace would have written it.\nFormats:\n${Object.entries(formats).map(([name, { meaning }]) => `  ${name.padEnd(10)}${meaning}`).join('\n')}`,
  groups: ['trace', 'result'],
  raw: true,
  run({ rest: words }) {
    const { values, path } = fileAndOptions(words);
    if (values.help) {
      writeOut(1, commandHelp(exportCommand));
      return 0;
    }
    if (path === null) throw new UserError('export: which recording? Write it first, as in quire export run.qrec --format perfetto -o run.pftrace; quire record makes one.');
    const { format, request } = traceRequest('export', values);
    const recording = readRecording(path);
    let made: Export | null = null;
    const session = boot(overlayDisks(recording.config).config, (created) => {
      made = openExport(format, created, request);
      return null;
    });
    const out = openResult(values.output);
    runAgain(session, recording, made!, (data) => { out.write(data); });
    out.close();
    if (session.stateHash() !== recording.end.stateHash) throw new UserError(`${path}: the run did not end as it did when it was recorded; this is another version of quire. Record it again.`, 125);
    return 0;
  },
};

/** The recording may stand before the options or behind them. */
function fileAndOptions(words: readonly string[]): { values: Values; path: string | null } {
  const first = words[0]?.startsWith('-') === false ? words[0] : null;
  const { values, rest } = parseCommandLine('export', ['trace', 'result'], first === null ? words : words.slice(1));
  const [behind, ...more] = first === null ? rest : [first, ...rest];
  if (more.length > 0) throw new UserError(`export ${more[0]}: one recording at a time. Write quire export FILE.qrec --format FORMAT -o FILE.`);
  if (behind !== undefined && !isRecording([behind])) throw new UserError(`export ${behind}: not a recording by its name. Write a .qrec file of quire record; quire trace --format FORMAT -- ${behind} runs a program.`);
  return { values, path: behind ?? null };
}

/** To the end, with what came from outside at its places. */
function runAgain(session: Session, { inputs, end }: Recording, written: Export, write: (data: Uint8Array | string) => void): void {
  const counter = new EventCounter();
  let next = 0;
  const give = (): boolean => {
    const input = inputs[next];
    if (input === undefined || comparePlaces(input.place, { instret: session.instructions, event: counter.count, phase: -1 }) > 0) return false;
    next++;
    if (input.kind === 'bytes') session.feed(input.bytes);
    else if (input.kind === 'interrupt') session.interrupt();
    return true;
  };
  for (let result: StepResult = 'running'; ; ) {
    if (give()) continue;
    if (result !== 'running') break; // and nothing came that would wake anybody
    const { instructions } = session;
    const isCut = end.kind === 'interrupted'; // the person ended it, not the program
    if (isCut && comparePlaces({ instret: instructions, event: counter.count, phase: -1 }, end.place) >= 0) break;
    const every = written.everyInstrs ?? SLICE_INSTRS;
    const until = Math.min(instructions + every - (instructions % every), inputs[next]?.place.instret ?? Infinity, isCut ? end.place.instret : Infinity);
    result = session.step(Math.max(1, Math.min(SLICE_INSTRS, until - instructions)));
    session.takeOutput();
    session.takeLog();
    write(written.take());
    if (result === 'input' && give()) result = 'running';
  }
  counter.close();
  write(written.finish());
}
