// What the translator costs the host: work and memory stay within bounds, whatever the guest does, and nothing of it shows in the guest. The long form,
// QUIRE_TRANSLATOR_LONG=1, runs guests of the size that the bounds are for, each in a process of its own, and compares time and memory with interp's.
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, test } from 'vitest';
import { StateHash } from '#base';
import { DEFAULT_HOTNESS, translationWork } from '#cpu';
import { MAX_REGION_INSTRS } from '#cpu/jit/region.ts';
import type { EngineName, Hotness } from '#cpu';
import { bundle, scratch } from '../support/cli.ts';
import { manyFunctions, rewriter, rewriterAnswer } from '../support/code-guests.ts';
import { startGuest } from '../support/kernel-rig.ts';

/** Calls after which a function is translated. */
const HOT = DEFAULT_HOTNESS.blockStarts;

function run(elf: Uint8Array, engine: EngineName, hotness: Partial<Hotness> = {}) {
  const { kernel, machine, run: go } = startGuest([], { files: { '/guest': elf }, ramBytes: 32 << 20, engine, hotness: { ...DEFAULT_HOTNESS, ...hotness } });
  expect(go(1e9)).toBe('exited');
  const hash = new StateHash();
  machine.hash(hash);
  return { state: `${machine.instret} ${machine.clockCycles} ${hash.digest()}`, status: kernel.exitStatus!.status, translation: machine.translation, instrs: machine.instret };
}

describe('functions that are hot for a moment, one after the other', () => {
  const elf = manyFunctions({ lenBytes: 2 ** 19, instrs: 100, iterations: 1.25 * HOT, rounds: 1 });
  const expected = run(elf, 'interp').state;

  test('get no more work than their share of what has been run, and some are refused', () => {
    const hotness = { workInAdvance: 1e6, workShare: 0.1 };
    const { translation, state, instrs } = run(elf, 'jit', hotness);
    const { regions, instrs: translated, refused } = translation!;
    const work = regions * translationWork(0) + translated * (translationWork(1) - translationWork(0));
    expect(regions).toBeGreaterThan(20);
    expect(refused).toBeGreaterThan(500);
    expect(work).toBeLessThan(1e6 + 0.1 * instrs + DEFAULT_HOTNESS.batch * translationWork(MAX_REGION_INSTRS));
    expect(state).toBe(expected);
  });
  test('are dropped again, the oldest first, when they are more than may stand', () => {
    const { translation, state } = run(elf, 'jit', { workInAdvance: Infinity, maxBytes: 200_000 });
    const { bytes, modules, standingBytes, peakBytes, dropped } = translation!;
    expect(bytes).toBeGreaterThan(1e6);
    expect(peakBytes).toBeLessThan(200_000 + 3 * (bytes / modules));
    expect(standingBytes).toBeGreaterThan(50_000);
    expect(standingBytes).toBeLessThanOrEqual(200_000);
    expect(dropped).toBeGreaterThan(500);
    expect(state).toBe(expected);
  });
  test('are translated once each where nothing forbids it: a long function is one region, though it was decoded in pieces', () => {
    const { translation } = run(elf, 'jit', { workInAdvance: Infinity, maxBytes: Infinity });
    const functions = 2 ** 19 / 400;
    expect(translation!.regions).toBeGreaterThan(0.95 * functions);
    expect(translation!.regions).toBeLessThan(1.1 * functions);
  });
});

describe.each([true, false])('a program that changes its functions before each call (fence.i: %s)', (fences) => {
  const what = { pages: 5, iterations: 2.25 * HOT, rounds: 300, fences };
  const elf = rewriter(what);

  test('runs what it wrote, and its pages are given up after a few translations', () => {
    const { translation, state, status } = run(elf, 'jit');
    expect(status).toBe(rewriterAnswer(what));
    expect(state).toBe(run(elf, 'interp').state);
    expect(state).toBe(run(elf, 'reference').state);
    const { regions, refused } = translation!;
    expect(regions).toBeGreaterThan(what.pages);
    expect(regions).toBeLessThan(5 * what.pages);
    expect(refused).toBeGreaterThan(what.pages * what.rounds);
  });
  test('keeps what calls them translated: it is not lost with them, nor with the place that decoded blocks have', () => {
    const often = { pages: 1, iterations: 3, rounds: 60_000, fences };
    const { translation, status } = run(rewriter(often), 'jit', { startInstrs: 0 });
    expect(status).toBe(rewriterAnswer(often));
    expect(translation!.dropped).toBeLessThan(5);
    expect(translation!.exits.Jumped).toBeGreaterThan(30_000);
  });
  test('has them translated again once it leaves them alone for longer', () => {
    const calm = { pages: 1, iterations: 300_000, rounds: 4, fences };
    const { translation, status } = run(rewriter(calm), 'jit', { startInstrs: 0 });
    expect(status).toBe(rewriterAnswer(calm));
    expect(translation!.regions).toBeGreaterThanOrEqual(4);
  });
});

describe.runIf(process.env['QUIRE_TRANSLATOR_LONG'] !== undefined)('at full size, against interp: not 30 % slower, not 256 MB larger', () => {
  const files = scratch();
  afterAll(() => files.remove());
  const MIB = 2 ** 20;
  test.each<[string, () => Uint8Array]>([
    ['20 MiB of code, functions of 100 instructions', () => manyFunctions({ lenBytes: 20 * MIB, instrs: 100, iterations: 1.25 * HOT, rounds: 1 })],
    ['20 MiB of code, functions of 20 instructions', () => manyFunctions({ lenBytes: 20 * MIB, instrs: 20, iterations: 2 * HOT, rounds: 1 })],
    ['20 MiB of code, functions of 1000 instructions', () => manyFunctions({ lenBytes: 20 * MIB, instrs: 1000, iterations: 1.05 * HOT, rounds: 1 })],
    ['20 MiB of code, called eight times', () => manyFunctions({ lenBytes: 20 * MIB, instrs: 100, iterations: 2, rounds: 8 })],
    ['1 MiB of code, hot all the time', () => manyFunctions({ lenBytes: MIB, instrs: 390, iterations: 1.25 * HOT, rounds: 20 })],
    ['a page rewritten 50,000 times with fence.i', () => rewriter({ pages: 1, iterations: 1.5 * HOT, rounds: 50_000, fences: true })],
    ['a page rewritten 50,000 times without', () => rewriter({ pages: 1, iterations: 1.5 * HOT, rounds: 50_000, fences: false })],
    ['a page rewritten a million times', () => rewriter({ pages: 1, iterations: 3, rounds: 1_000_000, fences: true })],
    ['200 pages, each rewritten a thousand times', () => rewriter({ pages: 200, iterations: 1.5 * HOT, rounds: 1000, fences: true })],
  ])('%s', (name, make) => {
    const path = files.file('guest', make());
    const measure = (engine: EngineName): { cpuSeconds: number; megabytes: number } => {
      const { stderr, status } = spawnSync('/usr/bin/time', ['-f', '%U %S %M', process.execPath, bundle, 'run', '--mem', '128M', '--engine', engine, '--', path], { encoding: 'utf8' });
      const [user, system, kb] = stderr.trim().split('\n').at(-1)!.split(' ').map(Number);
      if (status === null) throw new Error(`${name}: ${stderr}`);
      return { cpuSeconds: user! + system!, megabytes: kb! / 1024 };
    };
    // In turn, and the best of each: what else the host does comes and goes.
    const runs = Array.from({ length: 3 }, () => ({ interp: measure('interp'), jit: measure('jit') }));
    const best = (engine: 'interp' | 'jit') => ({ cpuSeconds: Math.min(...runs.map((run) => run[engine].cpuSeconds)), megabytes: Math.max(...runs.map((run) => run[engine].megabytes)) });
    const [interp, jit] = [best('interp'), best('jit')];
    console.log(`${name}: interp ${interp.cpuSeconds.toFixed(2)} s ${interp.megabytes.toFixed(0)} MB, jit ${jit.cpuSeconds.toFixed(2)} s ${jit.megabytes.toFixed(0)} MB`);
    expect(jit.cpuSeconds).toBeLessThan(1.3 * interp.cpuSeconds);
    expect(jit.megabytes - interp.megabytes).toBeLessThan(256);
  }, 3600_000);
});
