// What each policy costs.   node tools/bench/reclaim.mjs [POLICY,...]
// Runs the patterns of userland/bin/reclaim at twice the memory under a limit of 64 MiB, as userland/record-reclaim.mjs asks Linux, once for each policy, and
// prints refaults and pages looked at for each page reclaimed, as Markdown. Then swap with 64 kB folios against base pages: requests and splits.
// The counts are exact: the same on every machine. Needs `npm run build` (or npm ci) for dist/quire.mjs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const quire = join(dirname(fileURLToPath(import.meta.url)), '../../dist/quire.mjs');
const policies = (process.argv[2] ?? 'two-list,mglru,fifo,clock,random,lru,opt').split(',');
const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
const image = join(folder, 'disk.img');
/** As record-reclaim.mjs has them. Linux 6.12's ext4 has single pages only. */
const workloads = {
  zipf: ['--pattern', 'zipf'], 'loop, 72 MiB': ['--pattern', 'loop', '--size', '72M', '--touches', '75000'], 'hot and scan': ['--pattern', 'hotscan'], phases: ['--pattern', 'phases'],
  'zipf on a file': ['--pattern', 'zipf', '--touches', '500000', ...onFile()], 'hot and scan on a file': ['--pattern', 'hotscan', ...onFile()],
};
function onFile() {
  return ['--memory', 'file', '--file', '/mnt/data', '--write', '0'];
}
function run(command, options, words) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [quire, command, ...options, '--', 'reclaim', ...words], { maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`quire ${command} ${options.join(' ')} -- reclaim ${words.join(' ')}: status ${status}\n${stderr}`);
  return stdout.toString();
}
const limits = ['--memory-max', '64M', '--swap', '512M', '--set', '/proc/sys/vm/page-cluster=0'];
const disk = ['--set', '/sys/kernel/mm/quire/file_folio_order=0', '--set', '/sys/block/vda/queue/read_ahead_kb=0', '--disk', `${image}:rw@/mnt`];
const stat = (policy, words, more = []) => JSON.parse(run('stat', ['--json', '--lru', policy, ...limits, ...(words.includes('file') ? disk : []), ...more], words)).vmstat;
const row = (cells) => console.log(`| ${cells.join(' | ')} |`);
const thousands = (n) => n.toLocaleString('en-US');

try {
  spawnSync(process.execPath, [quire, 'mkfs', image, '--size', '160M'], { stdio: 'inherit' });
  run('run', ['--mem', '1G', '--disk', `${image}:rw@/mnt`], ['--memory', 'file', '--file', '/mnt/data', '--fill', '1', '--touches', '0']);
  row(['refaults (looked at for each reclaimed)', ...policies]);
  row(['---', ...policies.map(() => '---:')]);
  for (const [title, words] of Object.entries(workloads)) {
    row([title, ...policies.map((policy) => {
      const v = stat(policy, words);
      const steal = v.pgsteal_anon + v.pgsteal_file;
      return `${thousands(v.workingset_refault_anon + v.workingset_refault_file)} (${((v.pgscan_anon + v.pgscan_file) / steal).toFixed(2)})`;
    })]);
  }
  console.log();
  row(['swap, zipf', 'pages out', 'pages in', 'requests', 'split for want of a run', 'fences of everything']);
  row(['---', '---:', '---:', '---:', '---:', '---:']);
  for (const [title, more] of [['base pages', []], ['64 kB folios', ['--mthp', '64k=always']], ['64 kB folios, swap of 96M', ['--mthp', '64k=always', '--swap', '96M']]]) {
    const options = more.includes('--swap') ? limits.filter((word, i) => word !== '--swap' && limits[i - 1] !== '--swap') : limits;
    const report = JSON.parse(run('stat', ['--json', '--lru', 'mglru', ...options, ...more], ['--pattern', 'zipf']));
    const sizes = Object.values(report.thp);
    row([title, thousands(report.vmstat.pswpout), thousands(report.vmstat.pswpin), thousands(report.swap?.requests ?? NaN), thousands(sizes.reduce((sum, { swpout_fallback: n }) => sum + (n ?? 0), 0)), thousands(report.vmstat.nr_tlb_local_flush_all)]);
  }
} finally {
  rmSync(folder, { recursive: true });
}
