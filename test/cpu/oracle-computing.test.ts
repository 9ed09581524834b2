// Every computing instruction on a dense grid of corner operands, floating point in every rounding mode: result, flags and memory as under
// qemu-riscv64.
import { describe, expect, test } from 'vitest';
import { isRecording, readGolden, writeGolden } from '../support/oracle/golden.ts';
import { firstDifferences, gridInstructions, gridOf, hashesOf } from '../support/oracle/grid.ts';
import { runHere } from '../support/oracle/ours.ts';
import { qemuVersion, runOnQemu } from '../support/oracle/qemu.ts';

const version = qemuVersion();
/** By instruction: 'hash variant', one a variant. */
interface Golden { readonly results: Readonly<Record<string, readonly string[]>> }

if (isRecording) test('qemu-riscv64 is asked for the grid', () => {
  const results = Object.fromEntries(gridInstructions.map((row) => {
    const grid = gridOf(row);
    const hashes = hashesOf(grid, runOnQemu(grid.program));
    return [row.name, hashes.map((hash, v) => `${hash} ${grid.variants[v]!}`)];
  }));
  writeGolden('computing', 'Computing instructions on corner operands: by instruction and rounding mode or immediate a hash of all results (test/support/oracle/grid.ts)', { results });
});

if (!isRecording) describe('golden', () => {
  const golden = readGolden<Golden>('computing');
  test.each(gridInstructions.map((row) => [row.name, row] as const))('%s', (name, row) => {
    const grid = gridOf(row);
    const ours = runHere(grid.program).data;
    const hashes = hashesOf(grid, ours).map((hash, v) => `${hash} ${grid.variants[v]!}`);
    const isSame = hashes.join() === golden.results[name]?.join();
    const report = isSame || version === null ? [] : firstDifferences(row, grid, ours, runOnQemu(grid.program));
    expect(hashes, report.join('\n')).toEqual(golden.results[name]);
  });
  test('nothing is in the recording that is no longer in the table', () => {
    expect(Object.keys(golden.results).sort()).toEqual(gridInstructions.map(({ name }) => name).sort());
  });
});
