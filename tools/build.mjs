// Builds what `quire` runs, in dist/: quire.mjs starts, quire.cjs is all the rest in one file (Node 20 cannot load TypeScript), quire.cjs.compiled what V8
// made of what a small run needs of it.   node tools/build.mjs [--debug]
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [start, bundle] = ['quire.mjs', 'quire.cjs'].map((name) => join(root, 'dist', name));
rmSync(`${bundle}.compiled`, { force: true }); // V8 would not notice that it is of another bundle
await build({
  entryPoints: [join(root, 'tools/cli.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  charset: 'ascii', // start.mjs reads it as such
  sourcemap: true,
  minifyWhitespace: true, // names and statements stay: errors say where they happened, and the inspector goes through the sources line by line
  legalComments: 'none',
  banner: { js: "'use strict'; var bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { QUIRE_DEBUG: process.argv.includes('--debug') ? 'true' : 'false', 'import.meta.url': 'bundleUrl' },
  logLevel: 'warning',
});
copyFileSync(join(root, 'tools/start.mjs'), start);
chmodSync(start, 0o755);
spawnSync(process.execPath, [start, 'run', '--', join(root, 'userland/bin/hello')], { env: { ...process.env, QUIRE_BUILD: '1' }, stdio: 'ignore' });
