// How fast does reclaim evict?   node tools/bench/evict.mjs [MiB] [runs]
// Fills memory with pages of a file or with anonymous ones, has all of it reclaimed, and times that (evict-run.ts). Prints the best of each: pages a CPU
// second, and how many pages were looked at for each that went. CPU time, because the machine may be shared; best, because noise only adds.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const mib = process.argv[2] ?? '768';
const runs = Number(process.argv[3] ?? 5);
const folder = mkdtempSync(join(tmpdir(), 'quire-bench-'));
const runner = join(folder, 'evict.mjs');
const rows = [
  ['clean pages of a file', 'file', 0, 300_000], ['the same, mapped and used once', 'mapped', 0, null], ['clean 64K folios of a file', 'file', 4, 300_000],
  ['anonymous pages, to swap', 'swap', 0, 150_000], ['anonymous 64K folios, to swap', 'swap', 4, 150_000],
];
try {
  await build({ entryPoints: [join(here, 'evict-run.ts')], outfile: runner, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });
  for (const policy of ['two-list', 'mglru']) {
    for (const [title, what, order, goal] of rows) {
      const asked = Array.from({ length: runs }, () => JSON.parse(execFileSync(process.execPath, [runner, policy, what, `${order}`, mib]).toString()));
      const { pages, cpuSeconds, scanned } = asked.reduce((best, one) => (one.pages / one.cpuSeconds > best.pages / best.cpuSeconds ? one : best));
      const rate = Math.round(pages / cpuSeconds);
      console.log(`${policy.padEnd(9)} ${title.padEnd(32)} ${String(pages).padStart(7)} pages ${cpuSeconds.toFixed(3).padStart(7)} s CPU ${String(rate).padStart(8)} a second${goal === null ? '' : `  (goal ${goal})`}, ${(scanned / pages).toFixed(2)} looked at for each`);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
