// Running a session on this host: slices of instructions, output as it comes, input as it is asked for, Ctrl-C, a progress line.
// Here: the loop around Session.step(). Not here: the session (boot.ts). The size of a slice changes nothing that the guest can see.
import { UserError } from '#base';
import { errnoName } from '#kernel';
import type { Session } from './boot.ts';
import { nowMs } from './clock.ts';
import { isTerminal, openStdin, type StdinReader, writeOut } from './host.ts';
import type { Values } from './options.ts';
import { findingText } from './sanitize-report.ts';
import { SanitizerStop } from './sanitize.ts';
import { thousands } from './text.ts';

/** The first slices are small, for nobody knows yet how long one takes: each is twice as long as the one before, up to the largest. */
const [FIRST_SLICE_INSTRS, SLICE_INSTRS] = [50_000, 2_000_000];
/** Between looks at the host's signals. */
const YIELD_MS = 50;
const PROGRESS_AFTER_MS = 1500;
const PROGRESS_EVERY_MS = 250;

export interface DriveOptions {
  /** Where the guest's two output streams go; null: nowhere. */
  readonly output: { readonly 1: 1 | 2 | null; readonly 2: 1 | 2 | null };
  /** Called with every piece of the guest's standard output, before it goes anywhere. */
  readonly onOutput?: (bytes: Uint8Array) => void;
  /** 'lines': what has arrived is handed on, for people and pipes that answer. 'blocks': whole blocks of 64 KiB until the end, so that read()
   *  returns the same counts in every run. */
  readonly stdin: 'lines' | 'blocks';
  readonly progress: boolean;
  /** Ctrl-C is the program's affair, as in a shell; a second one ends the run. */
  readonly passInterrupt?: boolean;
  /** The run stops at multiples of so many instructions, for onStep; absent: where it likes. */
  readonly everyInstrs?: number;
  /** Called after every slice: what a trace has gathered goes out in pieces. */
  readonly onStep?: () => void;
  /** Begins the progress line. */
  readonly label?: string;
}
/** A progress line belongs on a terminal only. */
export const showsProgress = (values: Values): boolean =>
  isTerminal(2) && process.env['TERM'] !== 'dumb' && !values['no-progress'];
export type DriveEnd = 'exited' | 'budget' | 'deadlock' | 'interrupted';

export interface Outcome {
  readonly end: DriveEnd;
  readonly wallSeconds: number;
  /** Of what standard input gave while the program ran; null: it was not asked. */
  readonly stdinSha256: string | null;
}

/** Sessions whose disks are still mounted: reports come first. */
const sessions: Session[] = [];
/** Unmounts the disks of all sessions. @returns a sentence for each that could not be written */
export function shutdownSessions(): string[] {
  return sessions.splice(0).flatMap((session) => {
    const errno = session.shutdown();
    const names = session.config.inputs.disks.filter(({ isWritable }) => isWritable).map(({ name }) => name).join(', ');
    return errno === 0 ? [] : [`--disk ${names}: not everything could be written (${errnoName(-errno)}); the image needs e2fsck.`];
  });
}

/** Runs to the end. */
export async function drive(session: Session, options: DriveOptions): Promise<Outcome> {
  sessions.push(session);
  const started = nowMs();
  const stdin = openStdin(options.stdin, options.stdin === 'lines' && session.config.inputs.terminal.stdin);
  const end = await loop(session, options, stdin, started).catch((error: unknown) => {
    throw error instanceof SanitizerStop ? new UserError(findingText(session, error, stdin.sha256() !== null), error.status) : error;
  });
  if (end !== 'interrupted') session.checkRecording();
  return { end, wallSeconds: (nowMs() - started) / 1000, stdinSha256: stdin.sha256() };
}

async function loop(session: Session, options: DriveOptions, stdin: StdinReader, started: number): Promise<DriveEnd> {
  let [yielded, shown] = [started, started + PROGRESS_AFTER_MS - PROGRESS_EVERY_MS];
  let slice = FIRST_SLICE_INSTRS;
  let interrupted = false;
  let progressShown = false;
  let signalled = false;
  let passed = !(options.passInterrupt ?? false);
  const onSignal = (name: NodeJS.Signals): void => {
    if (name !== 'SIGINT' || passed) interrupted = true;
    else {
      session.interrupt();
      signalled = true;
    }
    passed = true;
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of signals) process.on(name, onSignal);

  const clearProgress = (): void => {
    if (progressShown) writeOut(2, '\r\x1b[K');
    progressShown = false;
  };
  const { terminal } = session.config.inputs;
  const endsLines = (fd: 1 | 2): boolean => (fd === 1 ? terminal.stdout : terminal.stderr);
  const flush = (): void => {
    for (const { fd, bytes } of session.takeOutput()) {
      if (fd === 1) options.onOutput?.(bytes);
      const to = options.output[fd];
      if (to === null) continue;
      clearProgress();
      writeOut(to, endsLines(to) ? withoutReturns(bytes) : bytes);
    }
    for (const message of session.takeLog()) {
      clearProgress();
      writeOut(2, `quire: ${message}\n`);
    }
  };

  try {
    for (;;) {
      const every = options.everyInstrs;
      const result = session.step(every === undefined ? slice : Math.min(slice, every - (session.instructions % every)));
      slice = Math.min(2 * slice, SLICE_INSTRS);
      flush();
      options.onStep?.();
      if (result === 'input') {
        clearProgress();
        signalled = false;
        const bytes = await stdin.next(() => interrupted || signalled);
        if (interrupted) return 'interrupted';
        if (bytes.length > 0 || !signalled) session.feed(bytes);
      } else if (result !== 'running') {
        return result;
      }
      const now = nowMs();
      if (now - yielded > YIELD_MS) {
        await new Promise((resolve) => { setImmediate(resolve); });
        yielded = now;
        if (interrupted) return 'interrupted';
        const keys = stdin.keys();
        if (keys !== null) session.feed(keys);
      }
      if (options.progress && now - shown > PROGRESS_EVERY_MS) {
        const rate = session.instructions / (now - started) / 1000;
        writeOut(2, `\r\x1b[K${options.label === undefined ? '' : `${options.label}: `}${progressText(session, rate)}`);
        progressShown = true;
        shown = now;
      }
    }
  } finally {
    clearProgress();
    stdin.close();
    for (const name of signals) process.off(name, onSignal);
  }
}

/** The guest's terminal ends lines with CR LF, and so does the host's: one of them is enough. */
function withoutReturns(bytes: Uint8Array): Uint8Array {
  return bytes.includes(13) ? bytes.filter((byte, i) => byte !== 13 || bytes[i + 1] !== 10) : bytes;
}

function progressText(session: Session, mips: number): string {
  const budget = session.config.machine.maxInsn;
  const share = budget === null ? '' : ` of ${thousands(budget)} (${Math.floor((100 * session.instructions) / budget)} %)`;
  return `${thousands(session.instructions)} instructions${share}, ${mips.toFixed(0)} million a second`;
}
