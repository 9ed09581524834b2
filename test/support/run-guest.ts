// Runs a guest in this process, as `quire stat` would: the same options, the same report, nothing printed.
import { utf8Decode } from '#base';
import { boot, type Session } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { type OptionGroup, parseCommandLine } from '#tools/options.ts';
import { statReport } from '#tools/report.ts';
import type { StatReport } from '#tools/schema.ts';

export interface GuestRun {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status, or 128 + the number of the signal that ended it. */
  readonly status: number;
  readonly session: Session;
  /** Everything but `host`, which alone may differ between two runs. */
  report(): Omit<StatReport, 'host'>;
}

const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs', 'trace'];
const join = (pieces: readonly Uint8Array[]): Uint8Array => Buffer.concat(pieces);

export interface RunOptions {
  /** All of standard input. */
  readonly input?: string;
  /** Called after every so many instructions, and at the end. */
  readonly every?: { readonly instrs: number; look(session: Session): void };
}

/** Runs to the end. @param words options, then `--`, then program and arguments */
export function runGuest(words: readonly string[], { input = '', every }: RunOptions = {}): GuestRun {
  const { values, rest } = parseCommandLine('stat', groups, words);
  const session = boot(prepare(values, rest, NO_TERMINAL));
  const output: Record<1 | 2, Uint8Array[]> = { 1: [], 2: [] };
  let unread: string | null = input;
  for (;;) {
    const result = session.step(every?.instrs ?? 50_000_000);
    every?.look(session);
    for (const { fd, bytes } of session.takeOutput()) output[fd].push(bytes.slice());
    if (result === 'input') {
      if (unread === null) throw new Error(`${words.join(' ')}: waits for more input than there is`);
      if (unread !== '') session.feed(new TextEncoder().encode(unread));
      session.feed(new Uint8Array(0));
      unread = null;
    } else if (result !== 'running') {
      if (result !== 'exited') throw new Error(`${words.join(' ')}: ended by ${result}`);
      const { status, signal } = session.kernel.exitStatus!;
      return {
        stdout: utf8Decode(join(output[1])), stderr: utf8Decode(join(output[2])), status: signal === 0 ? status : 128 + signal, session,
        report() {
          const { host: _, ...report } = statReport(session, { end: 'exited', wallSeconds: 0, stdinSha256: null }, 'quire');
          return report;
        },
      };
    }
  }
}
