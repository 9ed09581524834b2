// How fast is Quire beside qemu-riscv64?   npm run bench -- [--quick] [--only NAME,...] [--runs N] [--engine NAME] [--quire FILE] [--no-counts] [--json FILE]
// Runs each workload in both, in turn, and prints the CPU seconds of `quire run` and of qemu-riscv64 (user and system, start-up and translation
// included), million guest instructions a CPU second, and qemu's seconds over Quire's: 1 is as fast, 0.5 half as fast. Quire counts every TLB access,
// qemu none. A ratio is the median of those of the pairs, so that a host that others use, too, slows both sides of it. Both must print the same.
// Last, how long short programs take by the clock with each engine (a greeting, and `hello`, which tries all of a C library), and what a TLB miss and a
// fault cost (misses-run.ts). --quire names another build, to compare two. --no-counts leaves out the untimed run of each workload that counts its
// instructions and TLB misses.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const STARTUP_RUNS = 9;
const shortPrograms = [['sh', '-c', 'echo hello, world'], ['hello']];

const compute = (rounds, quickRounds) => (kernel) => ({ program: 'compute', words: [kernel, rounds], quickWords: [kernel, quickRounds] });
/** Two to five seconds of qemu each; --quick about a tenth. */
const workloads = {
  alu: compute(600, 60)('alu'),
  crc32: compute(900, 90)('crc32'),
  sha256: compute(900, 90)('sha256'),
  sieve: compute(500, 50)('sieve'),
  memcpy: compute(400, 40)('memcpy'),
  qsort: compute(24, 2)('qsort'),
  core: compute(250, 25)('core'),
  chase: { program: 'chase', words: ['--nodes', '1M', '--spacing', '256', '--steps', '8M'], quickWords: ['--nodes', '1M', '--spacing', '256', '--steps', '800K'] },
  stride: { program: 'stride', words: ['--bytes', '256M', '--stride', '4K', '--passes', 1300], quickWords: ['--bytes', '256M', '--stride', '4K', '--passes', 130] },
  mixed: compute(20, 2)('mixed'),
  matmul: compute(6, 1)('matmul'),
  records: compute(120, 12)('records'),
};

class BenchError extends Error {}

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false }, only: { type: 'string' }, runs: { type: 'string', default: '5' }, engine: { type: 'string' },
      quire: { type: 'string', default: join(root, 'dist/quire.cjs') }, 'no-counts': { type: 'boolean', default: false }, json: { type: 'string' },
    },
  });
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new BenchError(`--runs ${values.runs}: not a number of runs. Write a whole number, as in --runs 5.`);
  const known = [...Object.keys(workloads), 'hello', 'misses'];
  const names = values.only?.split(',') ?? known;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new BenchError(`--only ${unknown}: no such workload. There are: ${known.join(', ')}.`);
  return { ...values, runs, names, quire: resolve(values.quire) };
}

/** Without certificates that some hosts tell Node to read whenever it starts: no part of either side. */
const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;

/** Runs a command under bash's `time`. @returns what it printed, its status, and its CPU seconds with those of its threads and children. */
function timed(command) {
  const { stdout, stderr, status, error } = spawnSync('bash', ['-c', 'TIMEFORMAT="%3U %3S"; time "$@"', 'bash', ...command.map(String)], { encoding: 'utf8', maxBuffer: 1 << 26, env });
  if (error !== undefined) throw new BenchError(`bash: ${error.message}`);
  const lines = stderr.trimEnd().split('\n');
  const [user, system] = lines.pop().split(' ').map(Number);
  return { stdout, stderr: lines.join('\n'), status, cpuSeconds: user + system };
}
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}
const geometricMean = (numbers) => Math.exp(numbers.reduce((sum, n) => sum + Math.log(n), 0) / numbers.length);

/** Why two answers are not both right and the same; null: they are. */
function problemWith(ours, theirs) {
  if (ours.status !== 0) return `Quire ended with status ${ours.status}: ${ours.stderr.split('\n').slice(0, 5).join(' / ')}`;
  if (theirs === null) return null;
  if (theirs.status !== 0) return `qemu-riscv64 ended with status ${theirs.status}: ${theirs.stderr}`;
  return ours.stdout === theirs.stdout ? null : `the outputs differ: Quire has ${JSON.stringify(ours.stdout)}, qemu-riscv64 ${JSON.stringify(theirs.stdout)}`;
}

/** Runs one workload. @returns its figures, or { name, problem } */
function measure(name, { quick, runs, engine, quire, 'no-counts': noCounts }, hasQemu, folder) {
  const { program, words, quickWords } = workloads[name];
  const guest = [join(root, 'userland/bin', program), ...(quick ? quickWords : words)];
  const ours = [process.execPath, quire, 'run', ...(engine === undefined ? [] : ['--engine', engine]), '--', ...guest];
  const theirs = ['qemu-riscv64', ...guest];
  const answers = { ours: [], theirs: [] };
  for (let run = 0; run < runs; run++) {
    const askQemu = () => { if (hasQemu) answers.theirs.push(timed(theirs)); };
    if (run % 2 === 0) askQemu();
    answers.ours.push(timed(ours));
    if (run % 2 === 1) askQemu();
    const problem = problemWith(answers.ours[run], answers.theirs[run] ?? null);
    if (problem !== null) return { name, problem };
  }
  const seconds = answers.ours.map(({ cpuSeconds }) => cpuSeconds);
  const qemuSeconds = answers.theirs.map(({ cpuSeconds }) => cpuSeconds);
  const ratios = qemuSeconds.map((theirs, i) => theirs / seconds[i]);
  return { name, command: [program, ...guest.slice(1)].join(' '), counts: noCounts ? null : countsOf(guest, quire, folder), seconds, qemuSeconds, ratios };
}

/** Instructions and TLB misses: the same in every run and with every engine, so that one run tells, which is not timed. */
function countsOf(guest, quire, folder) {
  const file = join(folder, 'counts.json');
  const { status, stderr } = spawnSync(process.execPath, [quire, 'stat', '--json', '-o', file, '--', ...guest.map(String)], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new BenchError(`quire stat -- ${guest.join(' ')}: status ${status}\n${stderr}`);
  const { clock, tlb } = JSON.parse(readFileSync(file, 'utf8'));
  return { instructions: clock.instructions, accesses: tlb.l1d.lookups, l1Misses: tlb.l1i.misses + tlb.l1d.misses, walks: tlb.walks.count };
}

const mips = (counts, seconds) => (counts === null || seconds.length === 0 ? '' : (counts.instructions / 1e6 / median(seconds)).toFixed(0));
const seconds = (numbers) => (numbers.length === 0 ? '' : median(numbers).toFixed(2));
const thousands = (count) => count?.toLocaleString('en-US') ?? '';
/** A negative width: set to the left. */
const columns = [
  { title: 'workload', width: -9, cell: ({ name }) => name },
  { title: 'M instr', width: 9, cell: ({ counts }) => (counts === null ? '' : thousands(Math.round(counts.instructions / 1e6))) },
  { title: 'L1 misses', width: 13, cell: ({ counts }) => thousands(counts?.l1Misses) },
  { title: 'walks', width: 13, cell: ({ counts }) => thousands(counts?.walks) },
  { title: 'quire s', width: 10, cell: (row) => seconds(row.seconds) },
  { title: 'MIPS', width: 6, cell: (row) => mips(row.counts, row.seconds) },
  { title: 'qemu s', width: 9, cell: (row) => seconds(row.qemuSeconds) },
  { title: 'MIPS', width: 6, cell: (row) => mips(row.counts, row.qemuSeconds) },
  { title: 'ratio', width: 8, cell: ({ ratios }) => (ratios.length > 0 ? median(ratios).toFixed(3) : '') },
  { title: 'from .. to', width: 15, cell: ({ ratios }) => (ratios.length > 1 ? `${Math.min(...ratios).toFixed(3)}..${Math.max(...ratios).toFixed(3)}` : '') },
];
const line = (cells) => cells.map((cell, i) => (columns[i].width < 0 ? cell.padEnd(-columns[i].width) : cell.padStart(columns[i].width))).join('').trimEnd();

const ms = (number) => `${number.toFixed(0).padStart(6)} ms`;
/** Milliseconds by the clock and of CPU that a bundled program takes with each engine, in turn, medians. */
function startUp([program, ...words], quire, hasQemu) {
  const help = spawnSync(process.execPath, [quire, 'help', 'run'], { encoding: 'utf8' }).stdout;
  const engines = /--engine (\S+)/.exec(help)?.[1].split('|') ?? [];
  const guest = [join(root, 'userland/bin', program), ...words];
  const kinds = [...engines.map((engine) => [engine, [process.execPath, quire, 'run', '--engine', engine, '--', ...guest]]), ...(hasQemu ? [['qemu-riscv64', ['qemu-riscv64', ...guest]]] : [])];
  const found = new Map(kinds.map(([name]) => [name, { wall: [], cpu: [] }]));
  let first;  // says how it ends and what it prints: the same with all of them
  for (let run = 0; run < STARTUP_RUNS; run++) {
    for (const [name, command] of kinds) {
      const started = performance.now();
      const answer = timed(command);
      first ??= answer;
      if (answer.status !== first.status || answer.stdout !== first.stdout) throw new BenchError(`${program} with ${name}: status ${answer.status}\n${answer.stdout}${answer.stderr}`);
      found.get(name).wall.push(performance.now() - started);
      found.get(name).cpu.push(1000 * answer.cpuSeconds);
    }
  }
  return [...found].map(([name, { wall, cpu }]) => ({ name, wallMs: median(wall), bestWallMs: Math.min(...wall), cpuMs: median(cpu) }));
}

/** Prints what an L1 miss that hits L2, a walk, and a fault that is answered at once cost: the best of three, for noise only adds. */
async function misses(engine) {
  const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
  try {
    const runner = join(folder, 'misses.mjs');
    await build({ entryPoints: [join(root, 'tools/bench/misses-run.ts')], outfile: runner, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });
    const answers = [1, 2, 3].map(() => JSON.parse(spawnSync(process.execPath, [runner, engine], { encoding: 'utf8' }).stdout));
    const best = (what) => Math.min(...answers.map((answer) => answer[what]));
    console.log(`\na miss, beyond a hit: ${best('l2Hit').toFixed(0)} ns to L2, ${best('walk').toFixed(0)} ns with a walk; ${(1000 / best('fault')).toFixed(1)} million faults a second, to whoever maps the page and back`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main() {
  const options = readOptions();
  const hasQemu = spawnSync('qemu-riscv64', ['--version']).error === undefined;
  if (!hasQemu) console.error('qemu-riscv64 is missing: Quire\'s times alone. (Debian and Ubuntu: qemu-user.)');
  const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
  const rows = [];
  const startUps = [];
  try {
    const names = options.names.filter((name) => name in workloads);
    if (names.length > 0) console.log(line(columns.map(({ title }) => title)));
    for (const name of names) {
      const row = measure(name, options, hasQemu, folder);
      rows.push(row);
      console.log(row.problem === undefined ? line(columns.map(({ cell }) => cell(row))) : `${name.padEnd(9)}  ${row.problem}`);
    }
    const ratios = rows.filter((row) => (row.ratios ?? []).length > 0).map((row) => median(row.ratios));
    if (ratios.length > 1) console.log(`geometric mean of ${ratios.length} ratios: ${geometricMean(ratios).toFixed(3)}`);
    if (options.names.includes('hello')) {
      for (const words of shortPrograms) {
        const times = startUp(words, options.quire, hasQemu);
        startUps.push({ words, times });
        console.log(`\nstart-up: ${words.join(' ')}, medians of ${STARTUP_RUNS}`);
        for (const { name, wallMs, bestWallMs, cpuMs } of times) console.log(`  ${name.padEnd(13)}${ms(wallMs)} by the clock (best ${ms(bestWallMs).trim()}) ${ms(cpuMs)} of CPU`);
      }
    }
    if (options.names.includes('misses')) await misses(options.engine ?? 'jit');
    if (options.json !== undefined) {
      const about = { cpu: cpus()[0]?.model, node: process.version, engine: options.engine ?? 'jit', quick: options.quick, runs: options.runs };
      writeFileSync(options.json, `${JSON.stringify({ ...about, workloads: rows, geometricMean: ratios.length > 0 ? geometricMean(ratios) : null, startUps }, null, 2)}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const wrong = rows.filter(({ problem }) => problem !== undefined);
  if (wrong.length > 0) throw new BenchError(`not measured: ${wrong.map(({ name }) => name).join(', ')}.`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BenchError) && !error.code?.startsWith('ERR_PARSE_ARGS')) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
