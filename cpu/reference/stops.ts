// Ends of a run that somebody asked for: before an instruction, or behind one that touched watched memory. Here: the two questions that both engines put
// to it. Neither changes a count: the first comes before the look-up of a fetch, the second behind an instruction that is done.
import { INSTRUCTIONS } from '../isa/table.ts';
import type { Decoded } from '../isa/decode.ts';
import { Outcome } from './core.ts';
import type { Core } from './core.ts';

/** Does the run end before the instruction at the pc? Asked before anything is counted for it, wherever the filter and the table of blocks do not answer
 *  together. @param first tick of the run's first instruction, which is not asked about */
export function stopsBefore(core: Core, pcHi: number, pcLo: number, tick: number, first: number): boolean {
  const { mmu: { watch }, blocks, exit } = core;
  const stops = (watch !== null && watch.hits.length > 0) || (tick !== first && blocks.isStop(pcHi, pcLo));
  if (stops) exit.breakpoint();
  return stops;
}

/** An instruction that may have touched memory has answered. One that touched what is watched is the last: the next fetch will ask. */
export function settleWatch(core: Core, d: Decoded, outcome: Outcome): Outcome {
  const { watch, filter } = core.mmu;
  if (watch === null) return outcome;
  if (outcome === Outcome.Trap) {
    watch.forget();
    return outcome;
  }
  watch.settle(INSTRUCTIONS[d.op]?.accessBytes ?? 0);
  if (watch.hits.length === 0) return outcome;
  filter.clearExec();
  return Outcome.Leave;
}
