// The report of quire mm memmap, through the command: its fields, its sums, and that the layout is really taken from guest RAM.
import { expect, test } from 'vitest';
import { gibibyte } from '#tools/memmap.ts';
import type { MemmapReport } from '#tools/memmap.ts';
import { quire } from '../support/cli.ts';

const report = (...options: string[]): MemmapReport => JSON.parse(quire(['mm', 'memmap', '--json', '--mem', '64M', ...options, '--', 'hello']).stdout) as MemmapReport;

test('bytes by descriptor, map and slabs add up to the whole, in every layout', () => {
  for (const layout of ['64', '32', '16', '8']) {
    const r = report('--memmap', layout);
    expect(r.memmap).toMatchObject({ bytesPerFrame: Number(layout), frames: 16384, bytes: 16384 * Number(layout), shareOfRam: Number(layout) / 4096 });
    expect(r.total.bytes).toBe(r.memmap.bytes + r.descriptors.reduce((sum, d) => sum + d.slabBytes, 0));
    for (const d of r.descriptors) expect(d.liveBytes).toBe(d.live * d.bytes);
    const [folios, , , tables, slabs] = r.descriptors;
    expect([folios!.live > 0, tables!.live > 0, slabs!.live > 0]).toEqual([true, true, layout !== '64']);
    expect(r.descriptors.reduce((sum, d) => sum + d.frames, 0)).toBe(r.total.framesInUse);
  }
});
test('the articles\' sizes pay from two-page folios on, today\'s always', () => {
  expect(gibibyte('', 8, 84, 112)).toMatchObject({ breakEvenOrder: 1, bytesByOrder: { 0: 23 * 2 ** 20, 1: 16 * 2 ** 20, 2: 9 * 2 ** 20 } });
  expect(gibibyte('', 64, 0, 0).breakEvenOrder).toBe(0);
  // With the descriptors that there are: files from two pages on, anonymous memory, which has no such folios, from four.
  const rows = report('--memmap', '8').gibibyte.map(({ name, breakEvenOrder, bytesByOrder }) => [name, breakEvenOrder, bytesByOrder['1']]);
  expect(rows.slice(3, 5)).toEqual([['8 bytes a frame', 1, 16 * 2 ** 20], ['8, anonymous', 2, undefined]]);
});
test('a report that does not exist, and options in the wrong place, are answered with what to write', () => {
  expect(quire(['mm', 'frames'])).toMatchObject({ status: 2, stderr: expect.stringContaining('quire mm memmap -- PROG') as string });
  expect(quire(['mm', '--memmap', '8', 'memmap', '--', 'hello'])).toMatchObject({ status: 2, stderr: expect.stringContaining('options stand after') as string });
});
