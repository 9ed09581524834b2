// How fast are first-touch faults?   node tools/bench/faults.mjs [MiB] [runs]
// Compiles guests/touch.c twice, for the guest and for this host, and runs it in Quire with base pages and with 64K folios, and natively, in turn.
// Prints the best of each: faults a CPU second. CPU time, because the machine may be shared; best, because noise only adds.
import { build } from 'esbuild';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const mib = Number(process.argv[2] ?? 768);
const runs = Number(process.argv[3] ?? 5);
const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
const source = join(here, 'guests/touch.c');
const [guest, native, runner] = ['touch-riscv64', 'touch', 'faults.mjs'].map((name) => join(folder, name));
/** What this host's own kernel gives the program: with /sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled at always, 64K folios, too. */
function hostFolios() {
  const setting = '/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled';
  return existsSync(setting) && readFileSync(setting, 'utf8').includes('[always]') ? '64K folios' : 'base pages';
}
const compile = (compiler, out, ...flags) => spawnSync(compiler, ['-O2', ...flags, '-o', out, source], { stdio: ['ignore', 'inherit', 'inherit'] });

try {
  const cross = compile('riscv64-linux-gnu-gcc', guest, '-static');
  if (cross.error !== undefined) throw new Error('riscv64-linux-gnu-gcc is missing: install gcc-riscv64-linux-gnu to build the guest');
  if (cross.status !== 0) throw new Error('the guest does not compile');
  const hasNative = compile('gcc', native).status === 0;
  if (!hasNative) console.error('gcc is missing: no native figures');
  await build({ entryPoints: [join(here, 'faults-run.ts')], outfile: runner, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });

  const ask = (options, stepKb, times) =>
    JSON.parse(execFileSync(process.execPath, [runner, '--mem', `${mib + 256}M`, '--thp', 'never', ...options, '--', guest, `${mib}`, `${stepKb}`, `${times}`]).toString());
  const large = ['--mthp', '64k=always'];
  const kinds = [
    ['base pages', () => ask([], 4, 2), 500_000],
    ['64K folios, memory used before, each page written', () => ask(large, 4, 2), 100_000],
    ['64K folios, fresh memory, one write a folio', () => ask(large, 64, 1), 100_000],
    ...(hasNative ? [[`this host, ${hostFolios()}`, () => {
      const [faults, cpuSeconds] = execFileSync(native, [`${mib}`]).toString().trim().split(' ').map(Number);
      return { faults, cpuSeconds };
    }, null]] : []),
  ];
  const best = new Map();
  for (let run = 0; run < runs; run++) {
    for (const [name, once] of kinds) {
      const result = once();
      const rate = result.faults / result.cpuSeconds;
      if (rate > (best.get(name)?.rate ?? 0)) best.set(name, { ...result, rate });
    }
  }
  for (const [name, , goal] of kinds) {
    const { faults, cpuSeconds, rate } = best.get(name);
    console.log(`${name.padEnd(50)} ${`${faults}`.padStart(7)} faults  ${cpuSeconds.toFixed(3)} s CPU  ${`${Math.round(rate)}`.padStart(8)} a second${goal === null ? '' : `  (goal ${goal})`}`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
