// From words on the command line to a run, and from its end to an exit status: what every command that runs a guest does.
import { UserError } from '#base';
import { parseTlbDescription } from '#mmu';
import type { TlbDescription } from '#mmu';
import { boot, type Session } from './boot.ts';
import { machineConfig, type GuestStdin, type RunConfig, type TerminalConfig } from './config.ts';
import { drive, showsProgress, type DriveEnd } from './drive.ts';
import { readAllStdin, readHostFile, readInputs, withHash, writeOut } from './host.ts';
import type { Values } from './options.ts';
import { readPolicy } from './policy-file.ts';
import { Recorder, type Recording } from './recording.ts';

/** Reads every host input of a run. @throws UserError */
export function prepare(values: Values, rest: readonly string[], terminal: TerminalConfig): RunConfig {
  const machine = machineConfig(values, values.tlb === undefined ? null : readTlb(values.tlb), readPolicy(values.lru));
  const stdinBytes = values.stdin === undefined ? null : readHostFile(values.stdin, `--stdin ${values.stdin}`);
  const stdin = stdinBytes === null ? null : withHash({ bytes: stdinBytes });
  return { machine, inputs: readInputs(values, rest, terminal, stdin) };
}

/** The same; and where the policy of --lru knows the run's future, the program is run once before, with all the memory there is, and recorded. */
export async function prepareRun(values: Values, rest: readonly string[], terminal: TerminalConfig): Promise<RunConfig> {
  const config = prepare(values, rest, terminal);
  if (!config.machine.lru.needsRecording) return config;
  const { inputs } = config;
  const stdin = inputs.stdin ?? readAllStdin() ?? NO_STDIN;
  const recording = await record({ ...config, inputs: { ...inputs, stdin } }, showsProgress(values));
  return { machine: { ...config.machine, lru: { ...config.machine.lru, recording } }, inputs: { ...inputs, stdin } };
}
/** Runs a program without its limit, and under another policy. Its output goes nowhere. @throws UserError */
export async function record(config: RunConfig, progress: boolean): Promise<Recording> {
  const { lru } = config.machine;
  if (config.inputs.disks.some(({ isWritable }) => isWritable)) throw new UserError(`--lru ${lru.name}: the program is run twice, once to record what it uses, and the second run would find what the first one wrote to the disk. Leave :rw out.`);
  let recorder: Recorder | null = null;
  const session = boot({ ...config, machine: { ...config.machine, lru: readPolicy('two-list'), memoryMax: null, sanitize: [] } }, (created) => {
    recorder = new Recorder(created, lru.name);
    return null;
  });
  const { end } = await drive(session, { output: { 1: null, 2: null }, stdin: 'blocks', progress, label: 'recording' });
  if (end === 'interrupted') throw new UserError('interrupted while the program was recorded.', 130);
  return recorder!.end();
}
/** Standard input of a program that is run more than once, where there is none. */
export const NO_STDIN: GuestStdin = withHash({ bytes: new Uint8Array(0) });

/** The file of --tlb, checked; what is wrong with it is said after its name. */
function readTlb(path: string): TlbDescription {
  const text = new TextDecoder().decode(readHostFile(path, `--tlb ${path}`));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UserError(`--tlb ${path}: not JSON (${(error as Error).message.replace(/\s+/g, ' ')}). quire presets NAME prints a file to start from.`);
  }
  try {
    return parseTlbDescription(json);
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`--tlb ${path}: ${error.message}`);
    throw error;
  }
}

/** The exit status that stands for the end of a run. @param tell whether to say on standard error what no status can */
export function exitStatus(session: Session, end: DriveEnd, tell: boolean): number {
  if (end === 'budget') {
    if (tell) writeOut(2, `quire: the budget of ${session.config.machine.maxInsn} instructions is used up (--max-insn).\n`);
    return 124;
  }
  if (end === 'deadlock') {
    if (tell) writeOut(2, 'quire: every task of the program sleeps, and nothing is left that could wake one.\n');
    return 125;
  }
  if (end === 'interrupted') return 130;
  const { status, signal } = session.kernel.exitStatus!;
  return signal === 0 ? status : 128 + signal;
}
