// One run of guests/touch.c in a whole machine, timed while it touches its pages for the last time. Prints JSON. For faults.mjs.
// Arguments: options of `quire stat`, then -- PROG MIB STEP_KB TIMES.
import { boot } from '../boot.ts';
import { guestGroups } from '../commands/command.ts';
import { NO_TERMINAL } from '../config.ts';
import { prepare } from '../guest.ts';
import { parseCommandLine } from '../options.ts';

const STEP_INSTRS = 4_000;
const { values, rest } = parseCommandLine('bench', guestGroups, process.argv.slice(2));
const session = boot(prepare(values, rest, NO_TERMINAL));
const { vmstat } = session.kernel.system;
// The clock starts in the last mapping: when an eighth of the only one is touched, so that the host's compiler has settled, or when the first
// one of two has been given back. It stops at the last fault.
const most = Number(rest[1]) * 256;
const times = Number(rest[3]);
let isMeasured = false;
let mapped = 0;
let first: { faults: number; cpu: NodeJS.CpuUsage } | null = null;
let last = { faults: 0, cpu: process.cpuUsage() };
while (session.step(STEP_INSTRS) === 'running') {
  const pages = vmstat.get('nr_anon_pages');
  if (!isMeasured) isMeasured = times === 1 ? pages > most / 8 : mapped > most * 0.9 && pages < most * 0.1;
  mapped = pages;
  const faults = vmstat.get('pgfault');
  if (faults === last.faults || !isMeasured) continue;
  last = { faults, cpu: process.cpuUsage() };
  first ??= last;
}
if (first === null) throw new Error('the program touched less than it was told to');
const cpuSeconds = (last.cpu.user + last.cpu.system - first.cpu.user - first.cpu.system) / 1e6;
console.log(JSON.stringify({ faults: last.faults - first.faults, cpuSeconds }));
