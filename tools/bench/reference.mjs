// How fast is the reference engine?   node tools/bench/reference.mjs [rounds]
// Compiles guests/mix.c, runs it under qemu-riscv64 and on the engine in turn, five times, and prints the best of each: million guest instructions
// a CPU second with exact TLB counts, and the ratio. CPU time, because the machine may be shared; best, because noise only adds.
import { build } from 'esbuild';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const rounds = Number(process.argv[2] ?? 300);
const RUNS = 5;
const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
const guest = join(folder, 'mix');
const engine = join(folder, 'reference.mjs');

try {
  const compiled = spawnSync('riscv64-linux-gnu-gcc', ['-O2', '-march=rv64gc', '-nostdlib', '-static', '-ffreestanding', '-fno-builtin', `-DROUNDS=${rounds}`, '-o', guest, join(here, 'guests/mix.c')], { stdio: 'inherit' });
  if (compiled.error !== undefined) throw new Error('riscv64-linux-gnu-gcc is missing: install gcc-riscv64-linux-gnu to build the guest');
  if (compiled.status !== 0) throw new Error('the guest does not compile');
  await build({ entryPoints: [join(here, 'reference-run.ts')], outfile: engine, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });
  const hasQemu = spawnSync('qemu-riscv64', ['--version']).error === undefined;
  if (!hasQemu) console.error('qemu-riscv64 is missing: no ratio');

  let ours = null;
  let qemuSeconds = Infinity;
  let checksum = '';
  for (let run = 0; run < RUNS; run++) {
    if (hasQemu) {
      const timed = spawnSync('bash', ['-c', 'TIMEFORMAT="%U %S"; time qemu-riscv64 "$0"', guest]);
      const [user, system] = timed.stderr.toString().trim().split(/\s+/).map(Number);
      qemuSeconds = Math.min(qemuSeconds, user + system);
      checksum = timed.stdout.toString().trim();
    }
    const result = JSON.parse(execFileSync(process.execPath, [engine, guest]).toString());
    if (hasQemu && result.output.trim() !== checksum) throw new Error(`checksums differ: ${result.output} and ${checksum}`);
    if (ours === null || result.cpuSeconds < ours.cpuSeconds) ours = result;
  }
  const mips = ours.instructions / 1e6 / ours.cpuSeconds;
  console.log(`guest        mix.c, ${rounds} rounds, ${ours.instructions} instructions, checksum ${ours.output.trim()}`);
  console.log(`look-ups     ${ours.lookups.join(' ')} (fetch load store amo), L1 misses ${ours.misses.join(' ')}`);
  console.log(`reference    ${ours.cpuSeconds.toFixed(2)} s CPU, ${mips.toFixed(0)} MIPS`);
  if (hasQemu) console.log(`qemu-riscv64 ${qemuSeconds.toFixed(2)} s CPU, ${(ours.instructions / 1e6 / qemuSeconds).toFixed(0)} MIPS; ratio ${(qemuSeconds / ours.cpuSeconds).toFixed(4)}`);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
