// quire debug: a program, or a recording, gone through forwards and backwards.
import { readFileSync, readSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { UserError } from '#base';
import { NO_TERMINAL } from '../config.ts';
import { Debugger } from '../debugger/debugger.ts';
import { codeOf } from '../debugger/guest-code.ts';
import { inspectRun } from '../debugger/inspect.ts';
import { inkFor, plainInk } from '../debugger/ink.ts';
import { monitorAnswer } from '../debugger/gdb/monitor.ts';
import { gdbAddress, serveGdb } from '../debugger/gdb/server.ts';
import type { GdbAddress } from '../debugger/gdb/server.ts';
import { Programs } from '../debugger/programs.ts';
import { talk } from '../debugger/prompt.ts';
import { isRecording, readRecording } from '../debugger/recorded-run.ts';
import { openTimeline } from '../debugger/replay.ts';
import { runScript } from '../debugger/script.ts';
import type { Timeline } from '../debugger/timeline.ts';
import { prepareRun } from '../guest.ts';
import { isTerminal, openResult, readHostFile, reasonOf, writeOut } from '../host.ts';
import { type CommandLine, options, parseCommandLine, type Values } from '../options.ts';
import { guestGroups, type Command } from './command.ts';

/** A script that a shell pipes in without an end is no script. */
const MAX_SCRIPT_BYTES = 2 ** 24;
const PIECE_BYTES = 65536;
const MAX_PORT = 65535;

export const debug: Command = {
  name: 'debug',
  usage: '[OPTIONS] -- PROG [ARGS] | [OPTIONS] FILE.qrec',
  summary: 'go through a run, forwards and backwards, into the kernel\'s page faults and out',
  details: 'Stops before the first instruction and asks what to do: break fault anon, continue, into, phases, why, last-write, reverse-continue ...\n`help` lists the commands, `help COMMAND` tells of one. -x FILE takes them from a file, one a line (# begins a comment), as does a pipe;\nwith --json each answer is one JSON object on a line. A script ends at its first error, with exit status 2.\nWith --inspect WHAT the run stands still in Node\'s inspector wherever WHAT holds, and the kernel\'s TypeScript can be stepped by line.\nWith --gdb 1234 it is a target for gdb-multiarch: target remote :1234; monitor COMMAND asks the kernel.\nDisks are not changed, even with :rw.',
  groups: [...guestGroups, 'debug', 'result'],
  async run(given) {
    const line = optionsBehind(given);
    const { values, rest } = line;
    refuseTogether(values);
    const scriptName = values.script ?? null;
    const scriptBytes = scriptName === null ? null : readHostFile(scriptName, `-x ${scriptName}`);
    const isTalk = scriptName === null && isTerminal(0);
    if (isTalk && values.json) throw new UserError('--json: answers are for programs here. Write the commands to a file, and name it with -x FILE.');
    const address = values.gdb === undefined ? null : gdbAddress(values.gdb);
    const timeline = await openRun(line);
    const programs = new Programs((bytes, lenBytes) => inflateSync(bytes, { maxOutputLength: lenBytes }));
    const d = new Debugger(timeline, (session, task) => codeOf(programs, session, task, readSource));
    if (address !== null) return serve(d, address);
    if (values.inspect !== undefined) {
      inspectRun(d, values.inspect, values['inspect-port'], (text) => { writeOut(2, text); });
      for (const { fd, bytes } of timeline.takeOutput()) writeOut(fd, bytes);
      timeline.close();
      return 0;
    }
    const out = openResult(values.output);
    const onTerminal = values.output === undefined && isTerminal(1);
    try {
      if (isTalk) {
        const ink = inkFor(onTerminal, process.env);
        writeOut(1, `${ink.head(rest.join(' '))}: stands before its first instruction. help lists the commands.\n`);
        await talk(d, ink, (text) => { writeOut(1, text); });
      } else {
        const text = new TextDecoder().decode(scriptBytes ?? readPipe());
        runScript(d, scriptName ?? 'standard input', text, values.json === true, (piece) => { out.write(piece); }, onTerminal ? inkFor(true, process.env) : plainInk);
      }
    } finally {
      out.close();
      timeline.close();
    }
    return 0;
  },
};

/** A recording takes no arguments: what stands behind it are options. */
function optionsBehind(line: CommandLine): CommandLine {
  const [file, ...behind] = line.rest;
  if (file === undefined || !isRecording([file]) || behind.length === 0) return line;
  return parseCommandLine('debug', debug.groups, [...line.spelled.flatMap(({ words }) => words), ...behind, '--', file]);
}
/** Options that cannot stand together. @throws UserError */
function refuseTogether(values: Values): void {
  const hasCommands = values.script !== undefined || values.json === true;
  if (values.sanitize !== undefined) throw new UserError('--sanitize: quire debug does not check a run. quire run --sanitize finds the place, and says how to come there.');
  if (values.gdb !== undefined && hasCommands) throw new UserError('--gdb: commands come from gdb. Leave -x and --json out; monitor COMMAND asks the kernel.');
  if (values.gdb !== undefined && values.inspect !== undefined) throw new UserError('--gdb and --inspect: the run can be in one hand only. Write one of them.');
  if (values.inspect !== undefined && hasCommands) throw new UserError('--inspect: the inspector takes over, and no commands are read. Leave -x and --json out.');
  if (values['inspect-port'] > MAX_PORT) throw new UserError(`--inspect-port ${values['inspect-port']}: not a port. Write 0 to ${MAX_PORT}.`);
}
/** A program, or a recording with the machine, kernel and inputs that it has. @throws UserError */
async function openRun({ values, given, rest }: CommandLine): Promise<Timeline> {
  if (!isRecording(rest)) return openTimeline(await prepareRun(values, rest, NO_TERMINAL));
  const own = [...given].find((name) => guestGroups.includes(options[name].group));
  if (own !== undefined) throw new UserError(`--${own}: the recording ${rest[0]} has its machine, its kernel and its inputs. Leave the option out, or name a program.`);
  const { config, inputs } = readRecording(rest[0]!);
  return openTimeline(config, { inputs });
}

/** For gdb: until it has killed the program, or let go of it and it has ended. */
async function serve(d: Debugger, address: GdbAddress): Promise<number> {
  const say = (sentence: string): void => { writeOut(2, `quire debug: ${sentence}\n`); };
  try {
    await serveGdb(d.timeline, {
      address, monitor: (line, tid) => monitorAnswer(d, line, tid), say,
      onListening: (at) => say(`waits for gdb: gdb-multiarch ${d.session.config.inputs.argv[0] ?? ''} -ex 'target remote ${at.replace(/^unix:/, '')}'`),
    });
  } finally {
    d.timeline.close();
  }
  return 0;
}
/** All of standard input. @throws UserError */
function readPipe(): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (let length = 0; length <= MAX_SCRIPT_BYTES;) {
    const piece = new Uint8Array(PIECE_BYTES);
    const bytes = readPiece(piece);
    if (bytes === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, bytes));
    length += bytes;
  }
  throw new UserError('standard input: too long for a script of commands.');
}
/** @returns bytes; 0: the end */
function readPiece(piece: Uint8Array): number {
  for (;;) {
    try {
      return readSync(0, piece);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw new UserError(`standard input: cannot be read: ${reasonOf(error)}. Name a file of commands with -x FILE.`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5); // a parent set O_NONBLOCK, and has nothing yet
    }
  }
}
const sources = new Map<string, string | null>();
/** A source by the path that the compiler wrote down; where that is another machine's, by as much of its end as is a file below this folder. */
function readSource(path: string): string | null {
  let text = sources.get(path);
  if (text === undefined) {
    text = null;
    for (let at = path; text === null && at !== ''; at = at.replace(/^\/*[^/]*\/*/, '')) text = tryRead(at);
    sources.set(path, text);
  }
  return text;
}
function tryRead(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // not there, or no file
  }
}
