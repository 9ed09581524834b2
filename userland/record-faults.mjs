// Asks the running Linux for the golden fault counts: builds programs/faults.c for this host, runs it under four settings of multi-size THP,
// several times each, and writes test/golden/faults-linux-VERSION.json.   sudo node userland/record-faults.mjs [--out FILE] [--runs 5]
// Needs root (it sets /sys/kernel/mm/transparent_hugepage and puts everything back), a C compiler, and a Linux of 6.8 or later with a few hundred MB free.
// A line that differs between two runs of the same setting is an error: only what the kernel's rules decide may become golden.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const userland = dirname(fileURLToPath(import.meta.url));
const controls = '/sys/kernel/mm/transparent_hugepage';
/** Sizes that are `always`; every other size and the global control are `never`. */
const settings = { never: [], '16K': ['16kB'], '64K': ['64kB'], '16K+64K+2M': ['16kB', '64kB', '2048kB'] };

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const version = /^\d+\.\d+/.exec(release())[0];
const outFile = option('--out', join(userland, `../test/golden/faults-linux-${version}.json`));
const runs = Number(option('--runs', '5'));

const sizes = readdirSync(controls).filter((name) => existsSync(join(controls, name, 'enabled')));  // 8 kB is for tmpfs only
const files = ['enabled', 'khugepaged/scan_sleep_millisecs', ...sizes.map((size) => `${size}/enabled`)];
/** The value in force: the word in brackets, or the whole text. */
const inForce = (file) => {
  const text = readFileSync(join(controls, file), 'utf8').trim();
  return /\[(.*)\]/.exec(text)?.[1] ?? text;
};
const set = (file, value) => writeFileSync(join(controls, file), `${value}\n`);

const folder = mkdtempSync(join(tmpdir(), 'faults-'));
const program = join(folder, 'faults');
const before = new Map(files.map((file) => [file, inForce(file)]));
const recorded = {};
try {
  execFileSync('cc', ['-std=gnu11', '-O2', '-static', '-o', program, join(userland, 'programs/faults.c')], { stdio: 'inherit' });
  set('khugepaged/scan_sleep_millisecs', 4_000_000_000);  // a collapse in the background is not the pattern's doing
  set('enabled', 'never');
  for (const [name, always] of Object.entries(settings)) {
    for (const size of sizes) set(`${size}/enabled`, always.some((kb) => size === `hugepages-${kb}`) ? 'always' : 'never');
    for (let run = 0; run < runs; run++) {
      writeFileSync('/proc/sys/vm/compact_memory', '1\n');  // large folios must not fall back for want of contiguous memory
      const text = execFileSync(program, { encoding: 'utf8', maxBuffer: 1 << 24 });
      recorded[name] ??= text;
      if (recorded[name] === text) continue;
      const was = recorded[name].split('\n');
      const differs = text.split('\n').map((line, i) => (line === was[i] ? '' : `  ${was[i]}  |  ${line}\n`)).join('');
      throw new Error(`setting ${name}: run ${run + 1} differs from the first:\n${differs}`);
    }
  }
} finally {
  for (const [file, value] of before) set(file, value);
  rmSync(folder, { recursive: true });
}

// One row a line of output: what was done, then "faults present" under each setting in turn.
const linesOf = (text) => text.trimEnd().split('\n').map((line) => /^(\S+ \S+ \d+ \d+) (.*)$/.exec(line));
const columns = Object.values(recorded).map(linesOf);
const rows = columns[0].map((match, i) => JSON.stringify([match[1], ...columns.map((column) => column[i][2])]));
const head = {
  kernel: release(), machine: process.arch === 'x64' ? 'x86_64' : process.arch,
  command: 'node userland/record-faults.mjs', program: 'userland/programs/faults.c',
  sysfs: Object.fromEntries(Object.entries(settings).map(([name, always]) => [name, `enabled=never, hugepages-*kB/enabled=never${always.map((kb) => `, hugepages-${kb}/enabled=always`).join('')}`])),
  columns: ['pattern step first-page pages', ...Object.keys(settings)],
};
writeFileSync(outFile, `${JSON.stringify(head, null, 1).slice(0, -2)},\n "rows": [\n  ${rows.join(',\n  ')}\n ]\n}\n`);
console.error(`${relative(process.cwd(), outFile)}: ${rows.length} rows, each equal in ${runs} runs.`);
