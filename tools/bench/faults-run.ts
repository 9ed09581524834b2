// One run of guests/touch.c in a whole machine, timed while it touches the last seven eighths of its pages. Prints JSON. For faults.mjs.
// Arguments: options of `quire stat`, then -- PROG MIB.
import { boot } from '../boot.ts';
import { guestGroups } from '../commands/command.ts';
import { NO_TERMINAL } from '../config.ts';
import { prepare } from '../guest.ts';
import { parseCommandLine } from '../options.ts';

const STEP_INSTRS = 20_000;
const { values, rest } = parseCommandLine('bench', guestGroups, process.argv.slice(2));
const session = boot(prepare(values, rest, NO_TERMINAL));
const { vmstat, buddy } = session.kernel.system;
// The host gives memory to this process at the first write of each page: what is free in the guest is written once, so that the host's own
// page faults, which a longer run has behind it, are not counted as the guest's.
buddy.counts().forEach((_, order) => { for (const block of buddy.blocksOf(order)) session.machine.zeroFrames(block, 1 << order); });
// The clock starts when an eighth is touched, so that the host's compiler has settled, and stops at the last fault.
const warmPages = (Number(rest[1]) * 256) / 8;
let first: { faults: number; cpu: NodeJS.CpuUsage } | null = null;
let last = { faults: 0, cpu: process.cpuUsage() };
while (session.step(STEP_INSTRS) === 'running') {
  const faults = vmstat.get('pgfault');
  if (faults === last.faults) continue;
  last = { faults, cpu: process.cpuUsage() };
  if (first === null && vmstat.get('nr_anon_pages') >= warmPages) first = last;
}
if (first === null) throw new Error('the program touched less than it was told to');
const cpuSeconds = (last.cpu.user + last.cpu.system - first.cpu.user - first.cpu.system) / 1e6;
console.log(JSON.stringify({ faults: last.faults - first.faults, cpuSeconds }));
