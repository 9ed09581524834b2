// A guest run in this process with a trace in one of --format's formats, as `quire trace` writes it.
import { boot, type Session } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';
import { type FormatName, openExport, type TraceRequest } from '#tools/trace/formats.ts';

export interface Exported { readonly bytes: Buffer; readonly text: string; readonly session: Session }
const NOTHING: TraceRequest = { events: null, faults: null, everyInstrs: null, stacks: null };

/** @param words options, then `--`, then program and arguments @param sliceInstrs between two looks of the host, which nothing may depend on */
export function exportRun(format: FormatName, words: readonly string[], request: Partial<TraceRequest> = {}, sliceInstrs = 2_000_000): Exported {
  const { values, rest } = parseCommandLine('trace', ['machine', 'kernel', 'inputs'], words);
  const made: { export?: ReturnType<typeof openExport> } = {};
  const session = boot(prepare(values, rest, NO_TERMINAL), (created) => {
    made.export = openExport(format, created, { ...NOTHING, ...request });
    return null;
  });
  const written = made.export!;
  const parts: Uint8Array[] = [];
  const put = (part: Uint8Array | string): void => { parts.push(Buffer.from(part)); };
  for (;;) {
    const every = written.everyInstrs;
    const result = session.step(every === undefined ? sliceInstrs : Math.min(sliceInstrs, every - (session.instructions % every)));
    session.takeOutput();
    put(written.take());
    if (result === 'input') session.feed(new Uint8Array(0));
    else if (result !== 'running') break;
  }
  put(written.finish());
  const bytes = Buffer.concat(parts);
  return { bytes, text: bytes.toString('utf8'), session };
}
