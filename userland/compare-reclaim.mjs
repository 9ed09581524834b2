// Reclaim in Quire against what Linux counted (test/golden/reclaim, by record-reclaim.mjs): runs each workload under the same limit with both policies
// and prints, counter by counter, Linux, Quire, and what is off by how much. Status 1 if anything is off by more than it may be.
//   npm run build && node userland/compare-reclaim.mjs [--only zipf-anon,...] [--seed 1] [--more] [--save FILE] [--results FILE]
// Without --only the workloads that were measured in several runs; --more adds the others. --save keeps Quire's counters as JSON, workload -> policy ->
// { output, stat, events }; --results reads such a file instead of running anything. Workloads on a file need mke2fs.
// What may be off: major faults and refaults by 15 %, pages scanned for each page reclaimed by 30 %. Where the two policies differ by more than 5 % on
// Linux, they must differ in the same direction here. A counter that Linux has below 500 is shown, not judged.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const userland = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const seed = option('--seed', '1');
const least = 500;

const goldens = new Map(readdirSync(join(userland, '../test/golden/reclaim')).filter((name) => name.endsWith('-linux-6.12.json')).sort()
  .map((name) => [name.replace('-linux-6.12.json', ''), JSON.parse(readFileSync(join(userland, '../test/golden/reclaim', name), 'utf8'))]));
const median = (values) => [...values].sort((a, b) => a - b)[(values.length - 1) >> 1];
/** Counter -> value, of one run of Quire or in the median of Linux's. */
const linuxStat = (answer) => Object.fromEntries(Object.entries(answer.stat).map(([name, values]) => [name, median(values)]));

const counters = [
  { name: 'pgmajfault', of: (stat) => stat.pgmajfault ?? 0, enough: (stat) => stat.pgmajfault ?? 0, mayBeOff: 15 },
  { name: 'workingset_refault_anon', of: (stat) => stat.workingset_refault_anon ?? 0, enough: (stat) => stat.workingset_refault_anon ?? 0, mayBeOff: 15 },
  { name: 'workingset_refault_file', of: (stat) => stat.workingset_refault_file ?? 0, enough: (stat) => stat.workingset_refault_file ?? 0, mayBeOff: 15 },
  { name: 'pgscan / pgsteal', of: (stat) => (stat.pgscan ?? 0) / Math.max(1, stat.pgsteal ?? 0), enough: (stat) => stat.pgsteal ?? 0, mayBeOff: 30 },
];
const percentOff = (is, should) => ((is - should) / should) * 100;

/** Runs quire; a refusal ends everything. */
function quire(words) {
  const { stdout, stderr, status, error } = spawnSync(process.execPath, [join(userland, '../dist/quire.cjs'), ...words], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (error !== undefined || status !== 0) throw new Error(`quire ${words.join(' ')}: status ${status}\n${stderr}`);
  return { stdout, stderr };
}
/** The counters of one workload with one policy: what the group of `quire stat` has, and what the program printed. */
function measure(folder, golden, policy) {
  const { memoryMaxBytes, memTotalKb, swap, pageCluster, readAheadKb } = golden.settings;
  const program = [...golden.argv, '--seed', seed];
  const usesFile = program.includes('file');
  // Linux 6.12 has no large folios on ext4: that is what ext2 has here.
  const disk = usesFile ? ['--disk', `${join(folder, 'disk.img')}:rw`] : [];
  if (usesFile) {
    writeFileSync(join(folder, 'disk.img'), '');
    truncateSync(join(folder, 'disk.img'), 256 << 20);
    execFileSync('mke2fs', ['-q', '-F', '-t', 'ext2', '-b', '4096', join(folder, 'disk.img')], { env: { ...process.env, PATH: `${process.env.PATH}:/sbin:/usr/sbin` } });
    quire(['run', ...disk, '--', ...program, '--fill', '1', '--touches', '0']);
  }
  // The rules of the Linux that was asked.
  const release = /^(\d+)\.(\d+)/.exec(golden.kernel).slice(1).join('');
  const { stdout, stderr } = quire(['stat', '--json', '--mem', `${Math.ceil(memTotalKb / (128 << 10)) * 128}M`, '--memory-max', `${memoryMaxBytes >> 20}M`, '--swap', swap, '--lru', policy, '--set', `/sys/kernel/mm/quire/lru_gen_release=${release}`,
    '--thp', 'never', '--mthp', '2m=never', '--set', `/proc/sys/vm/page-cluster=${pageCluster}`, ...(usesFile ? [...disk, '--set', `/sys/block/vda/queue/read_ahead_kb=${readAheadKb}`] : []),
    '--', ...program]);
  const { memcg } = JSON.parse(stdout);
  return { output: stderr.trimEnd().split('\n'), stat: memcg.stat, events: memcg.events };
}

/** Prints the rows of one workload. @returns how many verdicts are bad */
function compare(name, golden, mine) {
  let bad = 0;
  const linux = Object.fromEntries(Object.entries(golden.answers).map(([policy, seeds]) => [policy, linuxStat(seeds[seed])]));
  const row = (...cells) => console.log(cells.map((cell, i) => (i < 3 ? String(cell).padEnd([23, 9, 24][i]) : i < 6 ? String(cell).padStart(10) : ` ${cell}`)).join(' '));
  const show = (value) => (Number.isInteger(value) ? String(value) : value.toFixed(3));
  for (const [policy, answer] of Object.entries(mine)) {
    const expected = golden.answers[policy][seed].output;
    if (JSON.stringify(answer.output) !== JSON.stringify(expected)) {
      bad++;
      row(name, policy, 'output', '', '', '', `DIFFERS: ${JSON.stringify(answer.output)}, Linux ${JSON.stringify(expected)}`);
    }
    for (const { name: counter, of, enough, mayBeOff } of counters) {
      const [should, is] = [of(linux[policy]), of(answer.stat)];
      if (should === 0 && is === 0) continue;
      const judged = enough(linux[policy]) >= least;
      const off = should === 0 ? Infinity : percentOff(is, should);
      const good = !judged || Math.abs(off) <= mayBeOff;
      if (!good) bad++;
      row(name, policy, counter, show(should), show(is), `${off > 0 ? '+' : ''}${off.toFixed(1)} %`, !judged ? 'too few to judge' : good ? `within ${mayBeOff} %` : `MORE THAN ${mayBeOff} %`);
    }
  }
  if (mine['two-list'] === undefined || mine.mglru === undefined) return bad;
  for (const { name: counter, of, enough } of counters) {
    if (enough(linux['two-list']) < least || enough(linux.mglru) < least) continue;
    const [should, is] = [percentOff(of(linux.mglru), of(linux['two-list'])), percentOff(of(mine.mglru.stat), of(mine['two-list'].stat))];
    if (Math.abs(should) <= 5) continue;
    const good = Math.sign(should) === Math.sign(is);
    if (!good) bad++;
    row(name, 'mglru by', counter, `${should.toFixed(1)} %`, `${is.toFixed(1)} %`, '', good ? 'the same sign' : 'THE OTHER SIGN');
  }
  return bad;
}

function main() {
  const results = option('--results', null) === null ? null : JSON.parse(readFileSync(option('--results'), 'utf8'));
  const chosen = option('--only', null)?.split(',') ?? (results !== null ? Object.keys(results) : [...goldens].filter(([, { answers }]) => args.includes('--more') || answers.mglru['2'] !== undefined).map(([name]) => name));
  const unknown = chosen.find((name) => !goldens.has(name));
  if (unknown !== undefined) {
    console.error(`${unknown}: nothing is recorded of it. There are: ${[...goldens.keys()].join(', ')}.`);
    return 2;
  }
  const folder = mkdtempSync(join(tmpdir(), 'reclaim-'));
  const kept = {};
  let bad = 0;
  try {
    console.log('workload                policy    counter                       Linux      Quire        off');
    for (const name of chosen) {
      const golden = goldens.get(name);
      kept[name] = results?.[name] ?? Object.fromEntries(Object.keys(golden.answers).map((policy) => [policy, measure(folder, golden, policy)]));
      bad += compare(name, golden, kept[name]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (option('--save', null) !== null) writeFileSync(option('--save'), `${JSON.stringify(kept, null, 1)}\n`);
  console.log(bad === 0 ? 'Everything is as near as it must be.' : `${bad} of these are not as near as they must be.`);
  return bad === 0 ? 0 : 1;
}

process.exitCode = main();
