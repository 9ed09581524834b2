// quire export writes of a recording what quire trace writes of the run itself; what cannot be written is said in a sentence.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quire, scratch } from '../support/cli.ts';
import { readPerfetto } from '../support/perfetto-reader.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const program = ['--mem', '32M', '--swap', '64M', '--memory-max', '1M', '--', 'sh', '-c', 'hello > /tmp/a; gups --words 196608 --updates 50; cat /tmp/a'];
beforeAll(() => { expect(quire(['record', '-o', host.path('run.qrec'), ...program]).status).toBe(0); });

test('a recording and the run itself give the same bytes, binary or text', () => {
  for (const [format, ...options] of [['perfetto'], ['csv', '-e', 'vmscan,fault_return']]) {
    const exported = quire(['export', host.path('run.qrec'), '--format', format!, ...options, '-o', host.path('exported')]);
    expect([exported.status, exported.stdout, exported.stderr], format).toEqual([0, '', '']);
    expect(quire(['trace', '--format', format!, ...options, '-o', host.path('traced'), ...program]).status).toBe(0);
    const [a, b] = ['exported', 'traced'].map((name) => readFileSync(host.path(name)));
    expect(a!.equals(b!), format).toBe(true);
    if (format === 'perfetto') expect(readPerfetto(a!).slices.length).toBeGreaterThan(1000);
  }
});
test('what was typed while it was recorded comes again at its place', () => {
  expect(quire(['record', '-o', host.path('typed.qrec'), '--mem', '32M', '--', 'cat'], 'one\ntwo\n').stdout).toBe('one\ntwo\n');
  const lines = quire(['export', host.path('typed.qrec'), '--format', 'strace']).stdout.split('\n');
  expect(lines.filter((line) => line.startsWith('read(0')).map((line) => line.replace(/ +=/, ' ='))).toEqual(['read(0, "one\\ntwo\\n", 16384) = 8', 'read(0, "", 16384) = 0']);
});
test.each([
  ['no recording', ['export', '--format', 'csv'], /^quire: export: which recording\? .*quire record makes one\.\n$/],
  ['a program instead', ['export', 'gups', '--format', 'csv'], /^quire: export gups: not a recording by its name\. .*\n$/],
  ['two', ['export', 'a.qrec', 'b.qrec'], /^quire: export b\.qrec: one recording at a time\. .*\n$/],
  ['no format', ['export', host.path('run.qrec')], /^quire: export: what is to be traced\? .*\n$/],
  ['a format that there is not', ['export', host.path('run.qrec'), '--format', 'svg'], /^quire: --format svg: not one of the choices\. Write perfetto, chrome, ftrace, perf, strace, csv or folded\.\n$/],
  ['an event that there is not', ['export', host.path('run.qrec'), '--format', 'csv', '-e', 'mm_page_aloc'], /^quire: -e mm_page_aloc: no such event\. Did you mean mm_page_alloc.*\n$/],
  ['a file that is no recording', ['export', host.file('wrong.qrec', 'words'), '--format', 'csv'], /^quire: .*wrong\.qrec.*\n$/],
  ['none at all', ['export', host.path('none.qrec'), '--format', 'csv'], /^quire: .*none\.qrec.*\n$/],
])('%s: a sentence', (_, words, sentence) => {
  const { status, stdout, stderr } = quire(words);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(sentence);
});
