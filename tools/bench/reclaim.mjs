// Policies on the workloads that Linux was asked about.   npm run build && node tools/bench/reclaim.mjs [POLICY,...]
// Runs the patterns of userland/bin/reclaim at twice the memory under a limit of 64 MiB, as userland/record-reclaim.mjs asks Linux, once for each policy, and
// prints refaults and pages looked at for each page reclaimed, as Markdown. Then swap with 64 kB folios against base pages: requests and splits.
// The counts are exact: the same on every machine. A dot: not to be had.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const quire = join(dirname(fileURLToPath(import.meta.url)), '../../dist/quire.cjs');
const policies = (process.argv[2] ?? 'two-list,mglru,fifo,clock,random,lru,opt').split(',');
const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
const image = join(folder, 'disk.img');
/** As record-reclaim.mjs has them. Linux 6.12's ext4 has single pages only. */
const workloads = {
  zipf: ['--pattern', 'zipf'], 'loop, 72 MiB': ['--pattern', 'loop', '--size', '72M', '--touches', '75000'], 'hot and scan': ['--pattern', 'hotscan'], phases: ['--pattern', 'phases', '--window', '40M', '--phase', '30000', '--touches', '240000'],
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
/** They run a program twice, which a disk that is written to does not allow. */
const recorded = ['lru', 'opt'];
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
      if (words.includes('file') && recorded.includes(policy)) return '.';
      const v = stat(policy, words);
      const steal = v.pgsteal_anon + v.pgsteal_file;
      return `${thousands(v.workingset_refault_anon + v.workingset_refault_file)} (${((v.pgscan_anon + v.pgscan_file) / steal).toFixed(2)})`;
    })]);
  }
  console.log();
  row(['to swap', 'pages out', 'in', 'write requests', 'read', 'folios whole', 'split for want of a run', 'split in all']);
  row(['---', '---:', '---:', '---:', '---:', '---:', '---:', '---:']);
  for (const [what, words] of [['written once', ['--touches', '0']], ['zipf', ['--pattern', 'zipf']]]) {
    for (const [title, more] of [['base pages', []], ['64 kB folios', ['--mthp', '64k=always']], ['64 kB folios, swap nearly full', ['--mthp', '64k=always', '--swap', '80M']]]) {
      const options = more.includes('--swap') ? limits.filter((word, i) => word !== '--swap' && limits[i - 1] !== '--swap') : limits;
      const report = JSON.parse(run('stat', ['--json', '--lru', 'mglru', ...options, ...more], words));
      const sizes = Object.values(report.thp);
      const ofSizes = (name) => thousands(sizes.reduce((sum, size) => sum + (size[name] ?? 0), 0));
      const { outPages, inPages, outRequests, inRequests } = report.swap;
      row([`${what}, ${title}`, ...[outPages, inPages, outRequests, inRequests].map(thousands), ofSizes('swpout'), ofSizes('swpout_fallback'), ofSizes('split')]);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
