// One run of guests/readfile.c, timed between its lines "begin" and "end". Prints CPU seconds as JSON. For read.mjs.
import { boot } from '../boot.ts';
import { guestGroups } from '../commands/command.ts';
import { NO_TERMINAL } from '../config.ts';
import { prepare } from '../guest.ts';
import { parseCommandLine } from '../options.ts';

const { values, rest } = parseCommandLine('bench', guestGroups, process.argv.slice(2));
const session = boot(prepare(values, rest, NO_TERMINAL));
let began: NodeJS.CpuUsage | null = null;
let cpuSeconds = 0;
let text = '';
for (let goesOn = true; goesOn; ) {
  goesOn = session.step(500) === 'running';
  for (const { bytes } of session.takeOutput()) text += new TextDecoder().decode(bytes);
  if (began === null && text.includes('begin')) began = process.cpuUsage();
  if (began !== null && cpuSeconds === 0 && text.includes('end\n')) {
    const { user, system } = process.cpuUsage(began);
    cpuSeconds = (user + system) / 1e6;
  }
}
console.log(JSON.stringify({ status: session.kernel.exitStatus?.status, cpuSeconds }));
session.shutdown();
