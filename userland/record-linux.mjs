// Asks the running Linux: builds programs/faults.c, smaps.c, folios.c and sizes.c for this host, runs each under eight settings of multi-size THP,
// several times each, and writes test/golden/PROGRAM-linux-VERSION.json.   sudo node userland/record-linux.mjs [--out FOLDER] [--runs 5] [--only PROGRAM]
// Needs root (it sets /sys/kernel/mm/transparent_hugepage and puts everything back), a C compiler, and a Linux of 6.8 or later with a few hundred MB free.
// A line that differs between two runs of the same setting is an error: only what the kernel's rules decide may become golden.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const userland = dirname(fileURLToPath(import.meta.url));
const controls = '/sys/kernel/mm/transparent_hugepage';
/** What is not `never`: the word of the global control, and of the sizes. */
const settings = {
  never: {}, '16K': { '16kB': 'always' }, '64K': { '64kB': 'always' }, '16K+64K+2M': { '16kB': 'always', '64kB': 'always', '2048kB': 'always' },
  '2M': { '2048kB': 'always' }, '32K+256K': { '32kB': 'always', '256kB': 'always' },
  advised: { global: 'madvise', '16kB': 'madvise', '64kB': 'inherit', '2048kB': 'inherit' },
  inherited: { global: 'always', '128kB': 'inherit', '1024kB': 'inherit', '512kB': 'madvise' },
};

/** The same for sizes.c, whose counters are the whole machine's: only memory that asks for it gets large folios. */
const advised = {
  never: {}, '16K': { '16kB': 'madvise' }, '64K': { '64kB': 'madvise' }, '16K+64K+2M': { '16kB': 'madvise', '64kB': 'madvise', '2048kB': 'madvise' },
  '2M': { '2048kB': 'madvise' }, '32K+256K': { '32kB': 'madvise', '256kB': 'madvise' },
  inherited: { global: 'madvise', '64kB': 'inherit', '2048kB': 'inherit' }, '128K+512K+1M': { '128kB': 'madvise', '512kB': 'madvise', '1024kB': 'madvise' },
};

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const version = /^\d+\.\d+/.exec(release())[0];
const outFolder = option('--out', join(userland, '../test/golden'));
const runs = Number(option('--runs', '5'));
/** Programs, and what the columns of their lines are. */
const programs = {
  faults: 'pattern step first-page pages: minor-faults present-pages',
  smaps: 'pattern step first-page pages: VMAs Rss Pss Pss_Dirty Shared_Clean Shared_Dirty Private_Clean Private_Dirty Anonymous AnonHugePages THPeligible mincore exclusive',
  folios: 'pattern step first-page pages: the folios, in the words of programs/folios.c',
  sizes: 'pattern step first-page pages: what changed of stats/* by kB and of /proc/vmstat, in the words of programs/sizes.c',
};
const settingsOf = (program) => (program === 'sizes' ? advised : settings);
const wanted = option('--only', null);

const sizes = readdirSync(controls).filter((name) => existsSync(join(controls, name, 'enabled')));  // 8 kB is for tmpfs only
const files = ['enabled', 'khugepaged/scan_sleep_millisecs', ...sizes.map((size) => `${size}/enabled`)];
/** The value in force: the word in brackets, or the whole text. */
const inForce = (file) => {
  const text = readFileSync(join(controls, file), 'utf8').trim();
  return /\[(.*)\]/.exec(text)?.[1] ?? text;
};
const set = (file, value) => writeFileSync(join(controls, file), `${value}\n`);

const folder = mkdtempSync(join(tmpdir(), 'faults-'));
const before = new Map(files.map((file) => [file, inForce(file)]));
/** Program -> setting -> what it printed. */
const recorded = Object.fromEntries(Object.keys(programs).map((program) => [program, {}]));

function runOnce(program, setting, run) {
  writeFileSync('/proc/sys/vm/compact_memory', '1\n');  // large folios must not fall back for want of contiguous memory
  const text = execFileSync(join(folder, program), { encoding: 'utf8', maxBuffer: 1 << 24 });
  const first = (recorded[program][setting] ??= text);
  if (first === text) return;
  const was = first.split('\n');
  const differs = text.split('\n').map((line, i) => (line === was[i] ? '' : `  ${was[i]}  |  ${line}\n`)).join('');
  throw new Error(`${program}, setting ${setting}: run ${run + 1} differs from the first:\n${differs}`);
}

try {
  for (const program of Object.keys(programs)) {
    execFileSync('cc', ['-std=gnu11', '-O2', '-static', '-o', join(folder, program), join(userland, `programs/${program}.c`)], { stdio: 'inherit' });
  }
  set('khugepaged/scan_sleep_millisecs', 4_000_000_000);  // a collapse in the background is not the pattern's doing
  for (const program of Object.keys(programs)) {
    if (wanted !== null && wanted !== program) continue;
    for (const [setting, words] of Object.entries(settingsOf(program))) {
      set('enabled', words.global ?? 'never');
      for (const size of sizes) set(`${size}/enabled`, words[size.slice('hugepages-'.length)] ?? 'never');
      for (let run = 0; run < runs; run++) runOnce(program, setting, run);
    }
  }
} finally {
  for (const [file, value] of before) set(file, value);
  rmSync(folder, { recursive: true });
}

// One row a line of output: its first four words, then the rest of it under each setting in turn.
const linesOf = (text) => text.trimEnd().split('\n').map((line) => /^(\S+ \S+ \d+ \d+) (.*)$/.exec(line));
for (const [program, meaning] of Object.entries(programs)) {
  if (wanted !== null && wanted !== program) continue;
  const columns = Object.values(recorded[program]).map(linesOf);
  const rows = columns[0].map((match, i) => JSON.stringify([match[1], ...columns.map((column) => column[i][2])]));
  const head = {
    kernel: /^[\d.]+/.exec(release())[0], machine: process.arch === 'x64' ? 'x86_64' : process.arch,
    command: 'node userland/record-linux.mjs', program: `userland/programs/${program}.c`, meaning,
    sysfs: Object.fromEntries(Object.entries(settingsOf(program)).map(([name, { global = 'never', ...words }]) =>
      [name, `enabled=${global}, hugepages-*kB/enabled=never${Object.entries(words).map(([kb, word]) => `, hugepages-${kb}/enabled=${word}`).join('')}`])),
    columns: ['line', ...Object.keys(settingsOf(program))],
  };
  const outFile = join(outFolder, `${program}-linux-${version}.json`);
  writeFileSync(outFile, `${JSON.stringify(head, null, 1).slice(0, -2)},\n "rows": [\n  ${rows.join(',\n  ')}\n ]\n}\n`);
  console.error(`${relative(process.cwd(), outFile)}: ${rows.length} rows, each equal in ${runs} runs.`);
}
