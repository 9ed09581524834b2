// Builds what `quire` runs, in dist/: quire.cjs starts, bundle.cjs is all the rest in one file (Node 20 cannot load TypeScript), bundle.cjs.compiled what
// V8 made of what a small run needs of it; quire.mjs is for those who start it by the name that it had before.   node tools/build.mjs [--debug]
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [start, former, bundle] = ['quire.cjs', 'quire.mjs', 'bundle.cjs'].map((name) => join(root, 'dist', name));
rmSync(join(root, 'dist'), { recursive: true, force: true }); // V8 would not notice that compiled code is of another bundle
await build({
  entryPoints: [join(root, 'tools/cli.ts')],
  outfile: bundle,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  charset: 'ascii', // start.cjs reads it as such
  sourcemap: true,
  minifyWhitespace: true, // names and statements stay: errors say where they happened, and the inspector goes through the sources line by line
  legalComments: 'none',
  banner: { js: "'use strict'; var bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { QUIRE_DEBUG: process.argv.includes('--debug') ? 'true' : 'false', 'import.meta.url': 'bundleUrl' },
  logLevel: 'warning',
});
copyFileSync(join(root, 'tools/start.cjs'), start);
writeFileSync(former, "#!/usr/bin/env node\nimport './quire.cjs';\n");
for (const path of [start, former]) chmodSync(path, 0o755);
spawnSync(process.execPath, [start, 'run', '--', join(root, 'userland/bin/hello')], { env: { ...process.env, QUIRE_BUILD: '1' }, stdio: 'ignore' });
