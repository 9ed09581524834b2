// How fast is a file read that is in memory?   npm run build && node tools/bench/read.mjs [MiB] [runs]
// Reads a file of an ext4 image (large folios) and of an ext2 image (single pages) by read(2) and through a mapping; the second pass is measured.
// Prints the best of each in bytes a CPU second of the host. CPU time, because the machine may be shared; best, because noise only adds.
import { build } from 'esbuild';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const quire = join(here, '../../dist/quire.cjs');
const mib = Number(process.argv[2] ?? 1024);
const runs = Number(process.argv[3] ?? 2);
const folder = mkdtempSync(join(tmpdir(), 'quire-read-'));
const node = (...words) => execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });

try {
  const guest = join(folder, 'readfile');
  const cross = spawnSync('riscv64-linux-gnu-gcc', ['-O2', '-static', '-w', '-o', guest, join(here, 'guests/readfile.c')], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (cross.error !== undefined) throw new Error('riscv64-linux-gnu-gcc is missing: install gcc-riscv64-linux-gnu to build the guest');
  mkdirSync(join(folder, 'files'));
  const piece = new Uint8Array(1 << 20).map((_, i) => (i * 7) & 255);
  for (let i = 0; i < Math.min(mib, 64); i++) writeFileSync(join(folder, 'files/data'), piece, { flag: 'a' });
  truncateSync(join(folder, 'files/data'), mib << 20);
  const runner = join(folder, 'read-run.mjs');
  await build({ entryPoints: [join(here, 'read-run.ts')], outfile: runner, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });
  for (const [type, what] of [['ext4', 'large folios'], ['ext2', 'single pages']]) {
    const image = join(folder, `${type}.img`);
    node(quire, 'mkfs', image, '--type', type, '--from', join(folder, 'files'), '--size', `${mib + 64}M`);
    for (const mode of ['read', 'mmap']) {
      let best = Infinity;
      for (let run = 0; run < runs; run++) {
        const { status, cpuSeconds } = JSON.parse(node(runner, '--mem', `${Math.min(3500, mib + 512)}M`, '--disk', image, '--', guest, '/mnt/data', mode));
        if (status !== 0) throw new Error(`readfile ends with ${status}`);
        best = Math.min(best, cpuSeconds);
      }
      console.log(`${type}, ${what}, ${mode === 'read' ? 'read(2)' : 'mmap'}: ${best.toFixed(3)} s CPU for ${mib} MiB, ${((mib / 1024 / best) * 1.073741824).toFixed(2)} GB a second`);
    }
    rmSync(image);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
