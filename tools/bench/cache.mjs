// What do extents and large folios save for files on a disk?   npm run build && node tools/bench/cache.mjs [MiB]
// Prints a Markdown table: three workloads over an image of ext2 (block maps, buffer heads, single pages) and of ext4 (extents, iomap) with folios up to
// several orders. Every number is a count or modelled time, so it is the same on every machine; the README has the table.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const quire = join(here, '../../dist/quire.cjs');
const mib = Number(process.argv[2] ?? 32);
const folder = mkdtempSync(join(tmpdir(), 'quire-cache-'));
const node = (...words) => execFileSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
const thousands = (n) => `${n}`.replace(/\B(?=(\d{3})+$)/g, ',');
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);
/** Bytes that repeat after a prime number, so that no page is like another. */
const pattern = (bytes) => Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i % 65521) ^ (i >> 12)));

try {
  mkdirSync(join(folder, 'files'));
  writeFileSync(join(folder, 'files/data'), pattern(mib << 20));
  const images = {};
  for (const type of ['ext2', 'ext4']) {
    images[type] = join(folder, `${type}.img`);
    node(quire, 'mkfs', images[type], '--type', type, '--from', join(folder, 'files'), '--size', `${3 * mib + 32}M`);
  }
  const runner = join(folder, 'cache-run.mjs');
  await build({ entryPoints: [join(here, 'cache-run.ts')], outfile: runner, bundle: true, platform: 'node', format: 'esm', define: { QUIRE_DEBUG: 'false' }, logLevel: 'warning' });
  const ask = (type, order, program) => {
    const image = join(folder, 'run.img');
    copyFileSync(images[type], image);
    return JSON.parse(node(runner, '--mem', `${4 * mib + 128}M`, '--disk', `${image}:rw`, '--set', `/sys/kernel/mm/quire/file_folio_order=${order}`, '--', join(here, '../../userland/bin', program[0]), ...program.slice(1)));
  };
  const workloads = {
    [`cold read of ${mib} MiB`]: ['sh', '-c', 'cat /mnt/data > /dev/null'],
    [`${mib} MiB written, then scanned`]: ['filescan', '--bytes', `${mib}M`, '--path', '/mnt/scan', '--chunk', '65536'],
    'build of 40 files': ['build', '--units', '40', '--folder', '/mnt/build'],
  };
  const kinds = [['buffer_head', 'ext2', 0], ...[0, 2, 4, 6, 9].map((order) => ['iomap', 'ext4', order])];
  row('workload', 'back end', 'largest order', 'translations', 'bios', 'atomic operations', 'state and tree, bytes', 'folios', 'modelled ms', 'time');
  row(...new Array(10).fill('---'));
  for (const [name, program] of Object.entries(workloads)) {
    let first = null;
    for (const [backEnd, type, order] of kinds) {
      const { status, translations, bios, atomics, stateBytes, treeBytes, folios, cycles } = ask(type, order, program);
      if (status !== 0) throw new Error(`${program.join(' ')} on ${type} ends with ${status}`);
      first ??= cycles;
      row(name, backEnd, order, thousands(translations), thousands(bios), thousands(atomics), thousands(stateBytes + treeBytes), thousands(folios), (cycles / 1e6).toFixed(1), `${((cycles / first - 1) * 100).toFixed(1)} %`);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
