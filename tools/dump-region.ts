// --dump-region PC: how the translator has read a piece of the program, printed to standard error when the run is over.
import { UserError } from '#base';
import type { WatchedRegion } from '#cpu';
import type { Session } from './boot.ts';
import { writeOut } from './host.ts';
import type { Values } from './options.ts';
import { thousands } from './text.ts';

/** Heads named where no region holds the address. */
const BUSIEST = 5;
const hex = (n: bigint): string => `0x${n.toString(16)}`;

/** Called before the program starts. @returns no trace of its own @throws UserError if the engine translates nothing */
export function watchRegion({ machine, config }: Session, values: Values): null {
  const pc = values['dump-region'];
  if (pc !== undefined && !machine.watchTranslation(pc)) {
    throw new UserError(`--dump-region ${hex(pc)}: the engine ${config.machine.engine} translates nothing. Leave --engine out, or write --engine jit.`);
  }
  return null;
}

/** Called when the run is over. @throws UserError if no region ever held the address */
export function writeRegion({ machine }: Session, values: Values): void {
  const pc = values['dump-region'];
  if (pc === undefined) return;
  const regions = machine.watchedTranslations();
  if (regions.length === 0) {
    const busiest = machine.busiestTranslations(BUSIEST).map((region) => `${hex(region.pc)} (${thousands(region.entries)})`);
    const others = busiest.length === 0 ? 'Nothing was translated: the program ran too short.' : `Entered most, and how often: ${busiest.join(', ')}.`;
    throw new UserError(`--dump-region ${hex(pc)}: never translated: no instruction begins there, or it was not run often. ${others}`);
  }
  for (const region of regions) writeOut(2, `${regionText(region)}\n`);
}

function regionText({ pc, form, nrInstrs, lenBytes, ranges, entries, stands, lines }: WatchedRegion): string {
  return [
    `region at ${hex(pc)}: ${nrInstrs} guest instructions, ${lenBytes} bytes of WebAssembly; entered ${thousands(entries)} times${stands ? '' : '; dropped before the end'}`,
    `  covers ${ranges.map(([start, end]) => `${hex(start)}-${hex(end)}`).join(', ')}`,
    `  an access that the TLB filter does not answer ${form === 'stops' ? 'leaves it for the interpreter' : 'calls the refill'}`,
    ...lines, '',
  ].join('\n');
}
