#!/usr/bin/env node
// What `quire` is: loads the bundle that lies beside it with what V8 compiled of it when it was built, for reading two megabytes of JavaScript takes
// longer than a small guest does. Where that does not fit (another Node, no such file) V8 compiles as it always would. Node's own modules are loaded when
// something of them is first used, for the same reason; and this is no ES module, for which Node would load some more.
'use strict';
const { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const isNode20 = process.versions.v8.startsWith('11.3.');
const v8 = isNode20 ? { setFlagsFromString: lent(() => process.binding('v8').setFlagsFromString) ?? require('node:v8').setFlagsFromString } : null;
/** After so many bytes of bytecode V8 considers to compile a function well, in Node 20. What runs once at a start is not worth it: that compiler would take
 *  time of the second processor, and some of the first's. */
const [INTERRUPT_BUDGET, INTERRUPT_BUDGET_AT_START, START_MS] = [67_584, 1_000_000, 200];
// V8 takes compiled code only under the flags that it was compiled with, and the first two the command would set (host.ts, askForWasmFeatures).
const startFlags = isNode20 ? ['--experimental-wasm-relaxed-simd', '--experimental-wasm-branch-hinting', `--interrupt-budget=${INTERRUPT_BUDGET_AT_START}`] : [];
const setStartFlags = () => { for (const flag of startFlags) v8.setFlagsFromString(flag); };
setStartFlags();
if (isNode20) setTimeout(() => { v8.setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`); }, START_MS).unref();

const filename = join(__dirname, 'bundle.cjs');
if (process.sourceMapsEnabled || process.execArgv.includes('--enable-source-maps')) require(filename); // Node maps lines of modules alone
else loadCompiled(`${filename}.compiled`, process.env['QUIRE_BUILD'] === '1');

/** node:v8 brings Node's streams with it, which this one function does not need. @returns undefined where Node does not lend it */
function lent(take) {
  const { noDeprecation } = process;
  process.noDeprecation = true;
  try {
    return take();
  } catch {
    return undefined;
  } finally {
    process.noDeprecation = noDeprecation;
  }
}
function loadCompiled(compiled, isBuild) {
  let cachedData;
  try {
    if (!isBuild) cachedData = readFileSync(compiled);
  } catch {
    // Then without.
  }
  const script = new Script(readBetween('(function (require, __filename) {', filename, '\n})'), { filename, cachedData });
  if (isBuild) {
    process.on('exit', () => {
      setStartFlags();
      writeFileSync(compiled, script.createCachedData());
    });
  }
  const requireLate = (name) => (name === 'node:v8' && v8 !== null ? v8 : new Proxy({}, { get: (_, key) => require(name)[key] }));
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
