// Ctrl-C: stat ends with what was counted so far; run hands it to the program.
import { spawn } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import { checkStat, type StatReport } from '#tools/schema.ts';
import { bundle, scratch } from '../support/cli.ts';
import { go, guest, label } from '../support/guests.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const endless = host.file('endless', guest([label('loop'), go('jal', 'loop', { rd: 0 })]));

/** Starts quire and sends SIGINT until it ends. */
function interrupted(...words: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [bundle, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (bytes: Buffer) => { stdout += bytes.toString(); });
    child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString(); });
    const timer = setInterval(() => child.kill('SIGINT'), 1500);
    child.on('close', (status) => {
      clearInterval(timer);
      resolve({ status, stdout, stderr });
    });
  });
}

test('quire stat reports what was counted when it is interrupted', async () => {
  const { status, stdout } = await interrupted('stat', '--json', '--mem', '64M', '--', endless);
  const report = JSON.parse(stdout) as StatReport;
  expect([status, report.exit]).toEqual([130, { reason: 'interrupted', status: null, signal: null }]);
  expect(checkStat(report)).toEqual([]);
  expect(report.clock.instructions).toBeGreaterThan(1_000_000);
});
test('quire run ends as its program does, by SIGINT', async () => {
  expect(await interrupted('run', '--mem', '64M', '--', endless)).toMatchObject({ status: 130, stdout: '' });
});
