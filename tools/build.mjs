// Builds what `quire` runs, in dist/ (Node 20 cannot load TypeScript): quire.cjs starts and loads the bundle, which is in pieces: cli.cjs what a run begins
// with, commands.cjs what other commands need, chunk.cjs what both do. Beside each, .compiled is what V8 made of what a small run needs of it. quire.mjs is for
// those who start it by the name that it had before.   node tools/build.mjs [--debug]
import { build, transform } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const [start, former] = ['quire.cjs', 'quire.mjs'].map((name) => join(dist, name));
const common = {
  platform: 'node',
  target: 'node20',
  charset: 'ascii', // start.cjs reads it as such
  minifyWhitespace: true, // names and statements stay: errors say where they happened, and the inspector goes through the sources line by line
  legalComments: 'none',
  logLevel: 'warning',
};
const { outputFiles } = await build({
  ...common,
  entryPoints: [join(root, 'tools/cli.ts')],
  outdir: dist,
  outExtension: { '.js': '.cjs' },
  chunkNames: '[name]',
  bundle: true,
  splitting: true, // which esbuild does with ES modules alone
  format: 'esm',
  sourcemap: 'inline',
  write: false,
  define: { QUIRE_DEBUG: process.argv.includes('--debug') ? 'true' : 'false', 'import.meta.url': 'bundleUrl' },
});
mkdirSync(dist, { recursive: true });
for (const { path, text } of outputFiles) {
  rmSync(`${path}.compiled`, { force: true }); // V8 would not notice that it is of another bundle
  const { code, map } = await transform(text, {
    ...common,
    format: 'cjs',
    supported: { 'dynamic-import': false }, // what runs as a script has nobody to ask for it: require() instead
    sourcemap: 'external',
    sourcefile: path,
    banner: "'use strict'; var bundleUrl = require('node:url').pathToFileURL(__filename).href;",
  });
  writeFileSync(path, `${code}//# sourceMappingURL=${basename(path)}.map\n`);
  writeFileSync(`${path}.map`, map);
}
copyFileSync(join(root, 'tools/start.cjs'), start);
writeFileSync(former, "#!/usr/bin/env node\nimport './quire.cjs';\n");
for (const path of [start, former]) chmodSync(path, 0o755);
for (const command of ['run', 'stat']) { // the second for the other commands' piece
  spawnSync(process.execPath, [start, command, '--', join(root, 'userland/bin/hello')], { env: { ...process.env, QUIRE_BUILD: '1' }, stdio: 'ignore' });
}
