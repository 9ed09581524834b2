// What do reclaim policies cost, and what do accessed bits not tell?   npm run build && node tools/bench/policies.mjs
// Prints two Markdown tables: programs under a memory limit with each policy, and hot sets that aging takes for idle. Every number is a count or of the modelled
// clock, so it is the same on every machine; the README has the tables.
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const quire = join(dirname(fileURLToPath(import.meta.url)), '../../dist/quire.cjs');
const run = (...words) => JSON.parse(execFileSync(process.execPath, [quire, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 28 }));
const thousands = (n) => `${Math.round(n)}`.replace(/\B(?=(\d{3})+$)/g, ',');
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);

const policies = ['two-list', 'mglru', 'clock', 'fifo', 'random', 'lru', 'opt'];
/** Programs, each with a limit that is about half of what it uses. */
const programs = { '3M': ['hotscan', '--hot', '1M', '--cold', '4M', '--uses', '32'], '2M': ['mergesort', '--count', '256K'], '4M': ['gups', '--words', '1M', '--updates', '100K'], '2560K': ['phases', '--window', '4M', '--accesses', '50K'] };

row('program, limit', 'what', ...policies);
row('---', '---', ...policies.map(() => '---'));
for (const [limit, program] of Object.entries(programs)) {
  const { runs, sameOutput } = run('compare', '--lru', policies.join(','), '--memory-max', limit, '--mem', '64M', '--swap', '64M', '--json', '--', ...program);
  if (!sameOutput) throw new Error(`${program.join(' ')} printed different things`);
  const cells = (of) => policies.map((name) => of(runs.find(({ policy }) => policy === name).report));
  row(`\`${program.join(' ')}\`, ${limit}`, 'major faults', ...cells(({ faults }) => thousands(faults.major)));
  row('', 'refaults', ...cells(({ vmstat }) => thousands(vmstat.workingset_refault_anon + vmstat.workingset_refault_file)));
  row('', 'scanned / reclaimed', ...cells(({ vmstat: v }) => ((v.pgscan_anon + v.pgscan_file) / (v.pgsteal_anon + v.pgsteal_file)).toFixed(1)));
  row('', 'TLB flushes', ...cells(({ tlb: { flushes: { all, asid, page } } }) => thousands(all + asid + page)));
  row('', 'milliseconds, modelled', ...cells(({ clock }) => thousands(clock.cycles / 1e6)));
}

// Aging by hand, every ten milliseconds, as working-set estimators do: nothing is evicted, so nothing is fenced.
console.log();
row('hot set', 'its pages', 'bits read', 'young', 'old', 'old, though in use', 'of these in 2M pages');
row('---', '---', '---', '---', '---', '---', '---');
for (const [what, pages, thp, words, updates] of [['16 MiB', '2M', 'always', '2M', '20M'], ['16 MiB', '4K', 'never', '2M', '20M'], ['64 MiB', '4K', 'never', '8M', '8M']]) {
  const aging = Array.from({ length: 11 }, (_, i) => `sleep 0.01; echo '+ 2 0 ${3 + i} 1 1' > /sys/kernel/debug/lru_gen`).join('; ');
  const { lru: { youngSampling: y } } = run('stat', '--json', '--preset', 'skylake', '--thp', thp, '--mem', '256M', '--lru', 'mglru', '--memory-max', '200M', '--',
    'sh', '-c', `gups --words ${words} --updates ${updates} & sleep 0.15; ${aging}; wait`);
  row(what, pages, thousands(y.samples), thousands(y.young), thousands(y.old), thousands(y.blind), thousands(y.blindByPageSize['2M'] ?? 0));
}
