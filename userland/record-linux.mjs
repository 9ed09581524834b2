// Asks the running Linux: builds programs/faults.c, smaps.c, folios.c, sizes.c and probe.c for this host, runs each (probe.c once for every script of
// probes/) under eight settings of multi-size THP, several times each, and writes test/golden/NAME-linux-VERSION.json.
//   sudo node userland/record-linux.mjs [--out FOLDER] [--runs 5] [--only NAME]
// Needs root (it sets /sys/kernel/mm/transparent_hugepage and puts everything back), a C compiler, and a Linux of 6.8 or later with a few hundred MB free.
// A line that differs between two runs of the same setting is an error: only what the kernel's rules decide may become golden.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join, relative } from 'node:path';
import { advised, settings, sysfsOf, userland, withLinux } from './linux.mjs';

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const version = /^\d+\.\d+/.exec(release())[0];
const outFolder = option('--out', join(userland, '../test/golden'));
const runs = Number(option('--runs', '5'));
/** The first four words of a line say which step it is, the rest what came of it; of a script's line the colon divides the two. */
const numbered = /^(\S+ \S+ \d+ \d+) (.*)$/;
const scripted = /^([^:]*):? ?(.*)$/;
const region = 'pattern step first-page pages: ';
/** What is recorded: program, input, and what the columns of its lines are. */
const subjects = {
  faults: { program: 'faults', form: numbered, meaning: `${region}minor-faults present-pages` },
  smaps: { program: 'smaps', form: numbered, meaning: `${region}VMAs Rss Pss Pss_Dirty Shared_Clean Shared_Dirty Private_Clean Private_Dirty Anonymous AnonHugePages THPeligible mincore exclusive` },
  folios: { program: 'folios', form: numbered, meaning: `${region}the folios, in the words of programs/folios.c` },
  sizes: { program: 'sizes', form: numbered, under: advised, meaning: `${region}what changed of stats/* by kB and of /proc/vmstat, in the words of programs/sizes.c` },
};
for (const file of readdirSync(join(userland, 'probes')).filter((name) => name.endsWith('.txt')).sort()) {
  const meaning = 'a step of the script: what came of it and what changed, in the words of programs/probe.c; null: as in the column before';
  subjects[`probe-${file.slice(0, -4)}`] = { program: 'probe', form: scripted, script: `userland/probes/${file}`, meaning };
}
const wanted = option('--only', null);
const chosen = Object.entries(subjects).filter(([name]) => wanted === null || name === wanted);

/** Setting -> what the program printed, the same in every run. */
function record(linux, { program, script, under = settings }) {
  const input = script === undefined ? '' : readFileSync(join(userland, '..', script), 'utf8');
  const texts = {};
  for (const [setting, words] of Object.entries(under)) {
    linux.apply(words);
    for (let run = 0; run < runs; run++) {
      const text = linux.run(program, [], input);
      const first = (texts[setting] ??= text);
      if (first === text) continue;
      const was = first.split('\n');
      const differs = text.split('\n').map((line, i) => (line === was[i] ? '' : `  ${was[i]}  |  ${line}\n`)).join('');
      throw new Error(`${script ?? program}, setting ${setting}: run ${run + 1} differs from the first:\n${differs}`);
    }
  }
  return texts;
}
const recorded = withLinux((linux) => {
  for (const program of new Set(chosen.map(([, subject]) => subject.program))) linux.build(program);
  return chosen.map(([name, subject]) => [name, subject, record(linux, subject)]);
});

// One row a line of output: which step it is, then the rest of it under each setting in turn.
for (const [name, { program, script, form, under = settings, meaning }, texts] of recorded) {
  const columns = Object.values(texts).map((text) => text.trimEnd().split('\n').map((line) => form.exec(line)));
  const rows = columns[0].map((match, i) => {
    const answers = columns.map((column) => column[i][2]);
    return JSON.stringify([match[1], ...(script === undefined ? answers : answers.map((answer, at) => (at > 0 && answer === answers[at - 1] ? null : answer)))]);
  });
  const head = {
    kernel: /^[\d.]+/.exec(release())[0], machine: process.arch === 'x64' ? 'x86_64' : process.arch,
    command: 'node userland/record-linux.mjs', program: `userland/programs/${program}.c`, ...(script === undefined ? {} : { script }), meaning,
    sysfs: Object.fromEntries(Object.entries(under).map(([setting, words]) => [setting, sysfsOf(words)])),
    columns: ['line', ...Object.keys(under)],
  };
  const outFile = join(outFolder, `${name}-linux-${version}.json`);
  writeFileSync(outFile, `${JSON.stringify(head, null, 1).slice(0, -2)},\n "rows": [\n  ${rows.join(',\n  ')}\n ]\n}\n`);
  console.error(`${relative(process.cwd(), outFile)}: ${rows.length} rows, each equal in ${runs} runs.`);
}
