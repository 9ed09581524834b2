// Ctrl-C: stat ends with what was counted so far; run hands it to the program.
import { spawn } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { checkStat, type StatReport } from '#tools/schema.ts';
import { bundle, scratch } from '../support/cli.ts';
import { call, DATA, go, guest, label, Nr } from '../support/guests.ts';

const host = scratch();
afterAll(() => { host.remove(); });
/** Writes one byte, so that one knows that it runs, and then makes no system call any more. */
const endless = host.file('endless', guest([...call(Nr.write, 1, DATA, 1), label('loop'), go('jal', 'loop', { rd: 0 })]));

/** Starts quire, and sends one SIGINT when the program has written. */
function interrupted(...words: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [bundle, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr, sent] = ['', '', false];
    const interrupt = (): void => {
      if (!sent) setTimeout(() => child.kill('SIGINT'), 200);
      sent = true;
    };
    child.stdout.on('data', (bytes: Buffer) => { stdout += bytes.toString(); interrupt(); });
    child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString(); interrupt(); });
    child.on('close', (status) => { resolve({ status, stdout, stderr }); });
  });
}

test('quire stat reports what was counted when it is interrupted', async () => {
  const { status, stdout } = await interrupted('stat', '--json', '--mem', '64M', '--', endless);
  const report = JSON.parse(stdout) as StatReport;
  expect([status, report.exit]).toEqual([130, { reason: 'interrupted', status: null, signal: null }]);
  expect(checkStat(report)).toEqual([]);
  expect(report.clock.instructions).toBeGreaterThan(100_000);
});
test('quire run ends as its program does, by SIGINT', async () => {
  expect(await interrupted('run', '--mem', '64M', '--', endless)).toEqual({ status: 130, stdout: '\0', stderr: '' });
});
