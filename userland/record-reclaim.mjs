// Asks a Linux under a memory limit: runs programs/reclaim.c in a cgroup of 64 MiB, with the active and inactive lists and with MGLRU, and writes what
// the kernel counted to test/golden/reclaim/WORKLOAD-linux-VERSION.json.
//   QUIRE_LINUX_RUNNER=COMMAND node userland/record-reclaim.mjs [--out FOLDER] [--repeats 3] [--only WORKLOAD,...] [--policies NAME,...] [--kernel NAME]
// --policies asks one of the two; what is recorded of the other with the same arguments is kept.
// The limit, the policy and the swap device want a machine of their own, so a runner starts one: a command that boots a Linux kernel (6.12 is what the
// goldens are from) with a busybox userland, does what it is told, and prints what that prints. It must take
//   --kernel NAME            which kernel, passed on if given here          --mem SIZE, --swap SIZE   RAM; a swap disk, in use
//   --disk ext4              a fresh file system on /dev/vdb, at /mnt       --file HOST:GUEST         a file to copy in (repeated)
//   --set PATH=VALUE         written to a /proc or /sys file first          --sh COMMANDS             run in a shell, as root
// and have cgroup2 at /cg (memory enabled for children), debugfs, page-cluster 0 and every size of transparent huge pages at never. A boot for each policy
// and repeat; in it every run has a fresh cgroup, empty caches and, if it maps a file, a file written anew outside of the group.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const userland = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const runner = process.env.QUIRE_LINUX_RUNNER;
const outFolder = option('--out', join(userland, '../test/golden/reclaim'));
const repeats = Number(option('--repeats', '3'));
const limitBytes = 64 << 20;
/**
 * What /sys/kernel/mm/lru_gen/enabled is set to. 3, not y: without the A bits of upper page-table levels, which x86-64 has and RISC-V has not. Where there
 * are such bits, a sweep passes over whole tables, and what it finds depends on when the TLB was filled last.
 */
const policies = { 'two-list': 'n', mglru: '3' };
const asked = option('--policies', Object.keys(policies).join(',')).split(',');

/**
 * The program's arguments, and the two settings that make the kernel read more than was asked for. The first six are measured with two seeds and in
 * every repeat; the others are further evidence, from one run each.
 */
const plain = { pageCluster: 0, readAheadKb: 0 };
const file = '--memory file --file /mnt/reclaim.data';
const workloads = {
  'zipf-anon': { words: '--pattern zipf', ...plain },
  'loop-anon': { words: '--pattern loop --size 72M --touches 75000', ...plain },
  'hotscan-anon': { words: '--pattern hotscan', ...plain },
  'phases-anon': { words: '--pattern phases --window 40M --phase 30000 --touches 240000', ...plain },
  'zipf-file': { words: `--pattern zipf ${file} --write 0 --touches 500000`, ...plain },
  'hotscan-file': { words: `--pattern hotscan ${file} --write 0`, ...plain },
  'zipf-anon-96M': { words: '--pattern zipf --size 96M', ...plain, more: true },
  'zipf-anon-72M': { words: '--pattern zipf --size 72M', ...plain, more: true },
  'hotscan-anon-96M': { words: '--pattern hotscan --size 96M', ...plain, more: true },
  'loop-anon-128M': { words: '--pattern loop --touches 75000', ...plain, more: true },
  'zipf-anon-cluster3': { words: '--pattern zipf', pageCluster: 3, readAheadKb: 0, more: true },
  'loop-anon-cluster3': { words: '--pattern loop --size 72M --touches 75000', pageCluster: 3, readAheadKb: 0, more: true },
  'zipf-file-written': { words: `--pattern zipf ${file} --write 10`, ...plain, more: true },
  'hotscan-file-written': { words: `--pattern hotscan ${file} --write 10`, ...plain, more: true },
  'zipf-file-readahead': { words: `--pattern zipf ${file} --write 0`, pageCluster: 0, readAheadKb: 128, more: true },
  'hotscan-file-readahead': { words: `--pattern hotscan ${file} --write 0`, pageCluster: 0, readAheadKb: 128, more: true },
};
/** Of /proc/vmstat, which counts the machine: what it grew by during the run. */
const machineWide = ['pswpin', 'pswpout', 'pgscan_kswapd', 'pgsteal_kswapd', 'pageoutrun', 'pgrotated', 'nr_vmscan_write', 'nr_vmscan_immediate_reclaim', 'slabs_scanned', 'swap_ra', 'swap_ra_hit'];
/** What spread is reported of. */
const judged = ['pgfault', 'pgmajfault', 'workingset_refault_anon', 'workingset_refault_file', 'pgscan', 'pgsteal'];

/**
 * The shell's side. The program waits at its end (--hold) until the group has been looked at: memory.stat is exact three seconds later, when the
 * kernel has gathered what its processors counted.
 */
const shellFunctions = `
mkfifo /tmp/go; exec 9<>/tmp/go
vm() { grep -E '^(${machineWide.join('|')}) ' /proc/vmstat | sed "s/^/$1 /"; }
group() {
  group=/cg/$1-$2 cluster=$3 readahead=$4; echo "@@RUN $1 $2"; shift 4
  case "$*" in *"--memory file"*) /bin/reclaim "$@" --fill 1 --touches 0 > /dev/null;; esac
  echo $cluster > /proc/sys/vm/page-cluster; echo $readahead > /sys/block/vdb/queue/read_ahead_kb
  sync; echo 3 > /proc/sys/vm/drop_caches
  mkdir $group; echo ${limitBytes} > $group/memory.max; vm before
  ( echo 0 > $group/cgroup.procs; exec /bin/reclaim "$@" --hold 1 <&9 ) | while read line; do
    echo "out $line"
    case $line in checksum*)
      sleep 3
      for file in stat events current peak swap.current swap.peak; do sed "s/^/$file /" $group/memory.$file; done
      vm after
      awk -v group=\${group#/cg} '$1 == "memcg" { on = $3 == group } on { print "lru_gen " $0 }' /sys/kernel/debug/lru_gen_full
      echo >&9;;
    esac
  done
  grep -E '^oom' $group/memory.events | sed 's/^/events /'
  rmdir $group
}
echo "@@KERNEL $(uname -r) $(uname -m)"; sed -n 's/^MemTotal: *\\([0-9]*\\) kB/@@MEMTOTAL \\1/p' /proc/meminfo
`;

/** One boot. Adds to `found`: workload -> policy -> seed -> the runs. @returns kernel, machine and MemTotal */
function boot(folder, policy, runs, found) {
  const script = shellFunctions + runs.map(({ name, seed }) => {
    const { words, pageCluster, readAheadKb } = workloads[name];
    return `group ${name} ${seed} ${pageCluster} ${readAheadKb} ${words} --seed ${seed}\n`;
  }).join('');
  writeFileSync(join(folder, 'runs.sh'), script);
  const kernel = option('--kernel', null);
  const text = execFileSync(runner, [...(kernel === null ? [] : ['--kernel', kernel]), '--mem', '1024M', '--swap', '512M', '--disk', 'ext4', '--file', `${join(folder, 'reclaim')}:/bin/reclaim`,
    '--file', `${join(folder, 'runs.sh')}:/runs.sh`, '--set', `/sys/kernel/mm/lru_gen/enabled=${policies[policy]}`, '--sh', 'sh /runs.sh'], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const head = {};
  let run = null;
  let before = {};
  for (const line of text.split('\n')) {
    const [first, name, value] = line.trim().split(/\s+/);
    if (first === '@@KERNEL') [head.kernel, head.machine] = [name, value];
    else if (first === '@@MEMTOTAL') head.memTotalKb = Number(name);
    else if (first === '@@RUN') {
      [run, before] = [{ output: [], stat: {}, events: {}, vmstat: {}, memory: {}, lruGen: [] }, {}];
      (((found[name] ??= {})[policy] ??= {})[value] ??= []).push(run);
    } else if (run === null) continue;
    else if (first === 'out') run.output.push(line.slice(4));
    else if (first === 'stat' || first === 'events') run[first][name] = Number(value);
    else if (first === 'before') before[name] = Number(value);
    else if (first === 'after') run.vmstat[name] = Number(value) - before[name];
    else if (first === 'lru_gen') run.lruGen.push(line.slice(8).trimEnd());
    else if (/^(current|peak|swap\.)/.test(first ?? '')) run.memory[first] = Number(name);
  }
  return head;
}

/** Counter -> its value in each run; those that are 0 in all are left out. */
function gather(runs, of) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run[of])))];
  return Object.fromEntries(names.map((name) => [name, runs.map((run) => run[of][name] ?? 0)]).filter(([, values]) => values.some((value) => value !== 0)));
}
/** What the runs of one workload, policy and seed say. A run that the OOM killer ended counts, but has no counters. */
function answer(policy, runs) {
  const finished = runs.filter((run) => run.output.length > 0);
  if (new Set(finished.map((run) => run.output.join('\n'))).size > 1) throw new Error('two runs of the same workload printed differently');
  const stat = gather(finished, 'stat');
  const spread = judged.filter((name) => stat[name] !== undefined).map((name) => {
    const [least, most] = [Math.min(...stat[name]), Math.max(...stat[name])];
    return [name, Number(((most - least) / ((most + least) / 2) * 100).toFixed(2))];
  });
  return {
    runs: runs.length, killed: runs.length - finished.length, output: finished[0]?.output ?? [], spreadPercent: Object.fromEntries(spread),
    stat, events: gather(finished, 'events'), memory: gather(finished, 'memory'), vmstat: gather(finished, 'vmstat'),
    ...(policy === 'mglru' && finished.length > 0 ? { lruGenFull: finished[0].lruGen } : {}),
  };
}
/** As JSON with every innermost list and every list of numbers on one line. */
const pretty = (value) => JSON.stringify(value, null, 1).replace(/\[[^[\]{}"]*\]/g, (list) => list.replace(/\s+/g, '').replaceAll(',', ', '));

function main() {
  if (runner === undefined) {
    console.error('QUIRE_LINUX_RUNNER is not set. It names the command that boots a Linux; the head of this file says what it must do.');
    return 2;
  }
  const only = option('--only', null)?.split(',') ?? Object.keys(workloads);
  const folder = mkdtempSync(join(tmpdir(), 'reclaim-'));
  const found = {};
  let head = {};
  try {
    execFileSync('cc', ['-std=gnu11', '-O2', '-static', '-o', join(folder, 'reclaim'), join(userland, 'programs/reclaim.c')], { stdio: 'inherit' });
    for (let repeat = 0; repeat < repeats; repeat++)
      for (const policy of asked) {
        const runs = only.flatMap((name) => (workloads[name].more ? (repeat === 0 ? [1] : []) : [1, 2]).map((seed) => ({ name, seed })));
        if (runs.length === 0) continue;
        head = boot(folder, policy, runs, found);
        console.error(`${policy}, repeat ${repeat + 1} of ${repeats}: ${runs.length} runs on ${head.kernel}.`);
      }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const version = /^\d+\.\d+/.exec(head.kernel)[0];
  mkdirSync(outFolder, { recursive: true });
  for (const name of only) {
    const { words, pageCluster, readAheadKb } = workloads[name];
    const golden = {
      kernel: head.kernel, machine: head.machine, command: 'node userland/record-reclaim.mjs', program: 'userland/programs/reclaim.c', argv: ['reclaim', ...words.split(' ')],
      settings: { memoryMaxBytes: limitBytes, memTotalKb: head.memTotalKb, swap: '512M', pageCluster, readAheadKb, lruGenEnabled: policies },
      meaning: 'policy, seed (--seed follows argv): counters of the group with the program still there, one number a run; vmstat is the whole machine\'s growth; counters that are 0 are left out',
      answers: Object.fromEntries(Object.entries(found[name]).map(([policy, seeds]) => [policy, Object.fromEntries(Object.entries(seeds).map(([seed, runs]) => [seed, answer(policy, runs)]))])),
    };
    const outFile = join(outFolder, `${name}-linux-${version}.json`);
    const before = existsSync(outFile) ? JSON.parse(readFileSync(outFile, 'utf8')) : null;
    if (before !== null && JSON.stringify(before.argv) === JSON.stringify(golden.argv))
      golden.answers = Object.fromEntries(Object.keys(policies).map((policy) => [policy, golden.answers[policy] ?? before.answers[policy]]).filter(([, answers]) => answers !== undefined));
    writeFileSync(outFile, `${pretty(golden)}\n`);
    console.error(relative(process.cwd(), outFile));
  }
  return 0;
}

process.exitCode = main();
