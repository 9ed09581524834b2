// What going through a run costs.   node tools/bench/timeline.mjs [runs]
// Programs of a thousand million instructions, of page faults and of reclaim: run, recorded, and gone through under the debugger; the worst of many
// seeks, of steps back, of going to the fault before. CPU time, because the machine may be shared; the best of the runs, because noise only adds.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const runs = Number(process.argv[2] ?? 3);
const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
// Where it finds the bundled programs.
const runner = join(here, '../../dist/bench-timeline.mjs');
const quire = join(here, '../../dist/quire.cjs');
const programs = [
  ['compute', ['--', 'compute', '--kernel', 'core', '--rounds', '40']],
  ['gups', ['--', 'gups', '--updates', '20M']],
  ['faults', ['--', 'faults']],
  ['reclaim', ['--mem', '64M', '--swap', '128M', '--memory-max', '24M', '--', 'reclaim', '--size', '80M']],
];

/** CPU seconds of a child, and what it printed. */
function timed(words) {
  const { stdout, status } = spawnSync('bash', ['-c', 'TIMEFORMAT="%U %S"; { time "$@" 2>/dev/null; } 2>&1', 'bash', process.execPath, ...words], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status === null) throw new Error(`${words.join(' ')} was killed`);
  const lines = stdout.trimEnd().split('\n');
  const seconds = lines.pop().trim().split(' ').reduce((sum, part) => sum + Number(part), 0);
  return { seconds, text: lines.join('\n') };
}
const best = (ask) => Array.from({ length: runs }, ask).reduce((a, b) => (a < b ? a : b));

try {
  await build({ entryPoints: [join(here, 'timeline-run.ts')], outfile: runner, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });
  for (const [name, words] of programs) {
    const plain = best(() => timed([quire, 'run', ...words]).seconds);
    const recorded = best(() => timed([quire, 'record', '-o', join(folder, 'a.qrec'), ...words]).seconds);
    const moves = Array.from({ length: runs }, () => JSON.parse(timed([runner, ...words]).text.split('\n').pop()));
    const least = (key) => Math.min(...moves.map((move) => move[key]));
    console.log(`${name.padEnd(9)} ${(moves[0].instret / 1e6).toFixed(0).padStart(5)} million instructions   run ${plain.toFixed(2)} s   recorded x${(recorded / plain).toFixed(2)}   under the debugger x${(least('forwardMs') / 1000 / plain).toFixed(2)}`
      + `   seek ${least('seekMs').toFixed(0)} ms   step back ${least('stepBackMs').toFixed(0)} ms   fault before ${least('eventBackMs').toFixed(0)} ms   phase before ${least('phaseBackMs').toFixed(0)} ms`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
  rmSync(runner, { force: true });
}
