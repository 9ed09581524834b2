#!/usr/bin/env node
// What `quire` is: loads the bundle that lies beside it with what V8 compiled of it when it was built, for reading two megabytes of JavaScript takes
// longer than a small guest does. Where that does not fit (another Node, no such file) V8 compiles as it always would. Node's own modules are loaded when
// something of them is first used, for the same reason.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } = require('node:fs');
const { Script } = require('node:vm');
const requireLate = (name) => new Proxy({}, { get: (_, key) => require(name)[key] });

// V8 takes compiled code only under the flags that it was compiled with, and these the command would set (host.ts, askForWasmFeatures).
if (process.versions.v8.startsWith('11.3.')) for (const feature of ['relaxed-simd', 'branch-hinting']) require('node:v8').setFlagsFromString(`--experimental-wasm-${feature}`);

const filename = require.resolve('./quire.cjs');
if (process.sourceMapsEnabled || process.execArgv.includes('--enable-source-maps')) require(filename); // Node maps lines of modules alone
else loadCompiled(`${filename}.compiled`, process.env['QUIRE_BUILD'] === '1');

function loadCompiled(compiled, isBuild) {
  let cachedData;
  try {
    if (!isBuild) cachedData = readFileSync(compiled);
  } catch {
    // Then without.
  }
  const script = new Script(readBetween('(function (require, __filename) {', filename, '\n})'), { filename, cachedData });
  if (isBuild) process.on('exit', () => writeFileSync(compiled, script.createCachedData()));
  script.runInThisContext()(requireLate, filename);
}
/** An ASCII file's text between two others, copied once. */
function readBetween(head, path, tail) {
  const fd = openSync(path);
  const { size } = fstatSync(fd);
  const bytes = Buffer.allocUnsafe(head.length + size + tail.length);
  bytes.latin1Write(head);
  readSync(fd, bytes, head.length, size);
  closeSync(fd);
  bytes.latin1Write(tail, head.length + size);
  return bytes.latin1Slice();
}
