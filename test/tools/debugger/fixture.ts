// Runs for the debugger's tests: the same guest as a plain session and as a timeline.
import { Prng } from '#base';
import { boot, type Session } from '#tools/boot.ts';
import { NO_TERMINAL, type RunConfig } from '#tools/config.ts';
import { openTimeline, type Place, type Timeline, type TimelineOptions } from '#tools/debugger/index.ts';
import { overlayDisks } from '#tools/debugger/overlay.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';

/** @param words options, `--`, program and arguments, apart by blanks; a blank that belongs to a word is a no-break space */
export function configOf(words: string): RunConfig {
  const { values, rest } = parseCommandLine('run', ['machine', 'kernel', 'inputs'], words.split(' ').map((word) => word.replaceAll('\u00a0', ' ')));
  return prepare(values, rest, NO_TERMINAL);
}
export const openGuest = (words: string, options: TimelineOptions = {}): Timeline => openTimeline(configOf(words), options);

/** Hashes of a plain run where it first comes to some instructions, and at its end. */
export function plainHashes(words: string, instrets: readonly number[]): { hashes: string[]; end: string; instructions: number } {
  const session = boot(overlayDisks(configOf(words)).config); // a disk is found as it was, by the next run, too
  const hashes = instrets.map((instret) => {
    stepTo(session, instret);
    return session.stateHash();
  });
  stepTo(session, Infinity);
  return { hashes, end: session.stateHash(), instructions: session.instructions };
}
function stepTo(session: Session, instret: number): void {
  while (session.instructions < instret) {
    const result = session.step(Math.min(instret - session.instructions, 1_000_000));
    session.takeOutput();
    if (result === 'input') session.feed(new Uint8Array(0));
    else if (result !== 'running') return;
  }
}

export const at = (instret: number): Place => ({ instret, event: 0, phase: -1 });
export const START: Place = at(0);
export const END: Place = at(Number.MAX_SAFE_INTEGER);
/** For fuzzers: a seed of their own, or the one to be replayed. */
export const seeds = (name: string, nr: number): number[] => {
  const given = process.env['QUIRE_SEED'];
  if (given !== undefined) return [Number(given)];
  return Array.from({ length: process.env['QUIRE_LONG'] === undefined ? nr : nr * 10 }, (_, i) => new Prng(i + 1, name).below(1_000_000));
};
