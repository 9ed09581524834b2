#!/usr/bin/env node
// What `quire` is: loads the bundle that lies beside it, piece by piece, with what V8 compiled of it when it was built, for reading two megabytes of
// JavaScript takes longer than a small guest does. Where that does not fit (another Node, no such file) V8 compiles as it always would. Node's own modules
// are loaded when something of them is first used, for the same reason; and this is no ES module, for which Node would load some more.
'use strict';
const { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const isNode20 = process.versions.v8.startsWith('11.3.');
const v8 = isNode20 ? { setFlagsFromString: lent(() => process.binding('v8').setFlagsFromString) ?? require('node:v8').setFlagsFromString } : null;
/** After so many bytes of bytecode V8 considers to compile a function well, in Node 20. What runs once at a start is not worth it: that compiler would take
 *  time of the second processor, and some of the first's. */
const [INTERRUPT_BUDGET, INTERRUPT_BUDGET_AT_START, START_MS] = [67_584, 300_000, 200];
// V8 takes compiled code only under the flags that it was compiled with, and the first two the command would set (host.ts, askForWasmFeatures).
const startFlags = isNode20 ? ['--experimental-wasm-relaxed-simd', '--experimental-wasm-branch-hinting', `--interrupt-budget=${INTERRUPT_BUDGET_AT_START}`] : [];
const setStartFlags = () => { for (const flag of startFlags) v8.setFlagsFromString(flag); };
setStartFlags();
if (isNode20) setTimeout(() => { v8.setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`); }, START_MS).unref();

const isBuild = process.env['QUIRE_BUILD'] === '1';
/** By name, what pieces of the bundle export. */
const loaded = new Map();
if (process.sourceMapsEnabled || process.execArgv.includes('--enable-source-maps')) require('./cli.cjs'); // Node maps lines of modules alone
else load('./cli.cjs');

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
/** A piece of the bundle, or a module of Node's. */
function load(name) {
  if (name === 'node:v8' && v8 !== null) return v8;
  if (!name.startsWith('./')) return new Proxy({}, { get: (_, key) => require(name)[key] });
  if (!loaded.has(name)) {
    const module = { exports: {} };
    loaded.set(name, module);
    const filename = join(__dirname, name);
    compiled(filename).runInThisContext()(load, module, filename);
  }
  return loaded.get(name).exports;
}
function compiled(filename) {
  const path = `${filename}.compiled`;
  let cachedData;
  try {
    if (!isBuild) cachedData = readFileSync(path);
  } catch {
    // Then without.
  }
  const script = new Script(readBetween('(function (require, module, __filename) {', filename, '\n})'), { filename, cachedData });
  if (isBuild) process.on('exit', () => { keepCompiled(script, path); });
  return script;
}
function keepCompiled(script, path) {
  if (existsSync(path)) return; // of a run that needed less
  setStartFlags();
  writeFileSync(path, script.createCachedData());
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
