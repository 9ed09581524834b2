// Builds dist/quire.mjs, the one file that `quire` runs: Node 20 cannot load TypeScript.   node tools/build.mjs [--debug]
import { build } from 'esbuild';
import { chmod } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
await build({
  entryPoints: [join(root, 'tools/cli.ts')],
  outfile: join(root, 'dist/quire.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: true,
  banner: { js: '#!/usr/bin/env node' },
  define: { QUIRE_DEBUG: process.argv.includes('--debug') ? 'true' : 'false' },
  logLevel: 'warning',
});
await chmod(join(root, 'dist/quire.mjs'), 0o755);
