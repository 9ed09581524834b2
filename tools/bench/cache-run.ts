// One run of a program over a mounted disk in a whole machine. Prints as JSON what the page cache and the disk had to do for it. For cache.mjs and
// read.mjs. Arguments: options of `quire stat`, then -- PROG ARGS.
import { boot } from '../boot.ts';
import { guestGroups } from '../commands/command.ts';
import { NO_TERMINAL } from '../config.ts';
import { prepare } from '../guest.ts';
import { parseCommandLine } from '../options.ts';

const { values, rest } = parseCommandLine('bench', guestGroups, process.argv.slice(2));
const session = boot(prepare(values, rest, NO_TERMINAL));
const { kernel } = session;
const { system } = kernel;
/** Bytes of one node of the tree of a file's folios, on Linux. */
const XA_NODE_BYTES = 576;
let folios = 0;
let pages = 0;
let treeBytes = 0;
/** The most that was there at any time: programs remove their files in the end. */
function look(): void {
  let [nrFolios, nrPages, nrNodes] = [0, 0, 0];
  for (const space of system.addressSpaces.values()) {
    if (space.ops === null) continue;
    for (const _ of space.pages) nrFolios++;
    nrPages += space.nrPages;
    nrNodes += space.pages.nrNodes;
  }
  if (nrPages <= pages) return;
  [pages, folios, treeBytes] = [nrPages, nrFolios, nrNodes * XA_NODE_BYTES];
}
const cpu = process.cpuUsage();
while (session.step(2_000_000) === 'running') look();
look();
const { user, system: kernelTime } = process.cpuUsage(cpu);
const { mapping, waits } = system;
const { lock, unlock, endRead, writeback, buffers } = waits.atomics;
console.log(JSON.stringify({
  status: kernel.exitStatus?.status, cycles: session.cycles, instructions: session.instructions, cpuSeconds: (user + kernelTime) / 1e6,
  translations: mapping.getBlock + mapping.iomapBegin, bios: system.disks.reduce((sum, disk) => sum + disk.bios, 0),
  requests: system.disks.reduce((sum, disk) => sum + disk.stats.reduce((n, { ios }) => n + ios, 0), 0),
  atomics: lock + unlock + endRead + writeback + buffers, stateBytes: mapping.stateBytesMax, treeBytes, folios, pages,
  faults: system.vmstat.get('pgfault'), output: session.takeOutput().map(({ bytes }) => new TextDecoder().decode(bytes)).join(''),
}));
session.shutdown();
