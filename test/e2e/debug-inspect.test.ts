// quire debug --inspect: the run stands still in Node's inspector in the middle of the kernel, and lines are the TypeScript's.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { bundle, quire, root } from '../support/cli.ts';
import { InspectorClient } from '../support/inspector-client.ts';

interface CallFrame { readonly functionName: string; readonly location: { readonly scriptId: string; readonly lineNumber: number; readonly columnNumber: number } }
/** 'kernel/mm/fault.ts:83' of a place in a piece of the bundle. @param files names of the scripts, by number */
function lineOf(files: ReadonlyMap<string, string>, { location }: CallFrame): string {
  const path = join(root, `dist/${basename(files.get(location.scriptId) ?? '')}.map`);
  if (!existsSync(path)) return 'Node itself:0';
  const entry = new SourceMap(JSON.parse(readFileSync(path, 'utf8')) as never).findEntry(location.lineNumber, location.columnNumber) as { originalSource?: string; originalLine?: number };
  return `${(entry.originalSource ?? '').replace(/^(\.\.\/)+/, '')}:${(entry.originalLine ?? 0) + 1}`;
}

test('at a fault the stack goes from the question up through handlePageFault, line by line as the sources have it', async () => {
  const child = spawn(process.execPath, [bundle, 'debug', '--mem', '64M', '--inspect', 'fault anon if order == 0', '--inspect-port', '0', '--', 'hello'], { cwd: root });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => { said += bytes.toString(); });
  const ended = new Promise<number | null>((resolve) => { child.once('exit', resolve); });
  while (!/Waiting for an inspector at (ws:\S+):/.test(said)) await new Promise((resolve) => { setTimeout(resolve, 10); });
  const client = await InspectorClient.attach(/Waiting for an inspector at (ws:\S+):/.exec(said)![1]!);
  await client.ask('Debugger.enable');
  await client.ask('Runtime.runIfWaitingForDebugger');
  const { callFrames } = await client.event('Debugger.paused') as unknown as { callFrames: CallFrame[] };
  const files = new Map(client.received('Debugger.scriptParsed').map(({ scriptId, url }) => [String(scriptId), String(url)]));
  const kernel = callFrames.find(({ functionName }) => functionName === 'handlePageFault')!;
  const [file, line] = lineOf(files, kernel).split(':') as [string, string];
  expect(file).toBe('kernel/mm/fault.ts');
  expect(readFileSync(join(root, file), 'utf8').split('\n')[Number(line) - 1]).toContain("faults.phase('return'");
  expect(lineOf(files, callFrames[0]!)).toMatch(/^tools\/debugger\/inspect\.ts:\d+$/);
  expect(callFrames.map((frame) => lineOf(files, frame).split(':')[0])).toEqual(expect.arrayContaining(['kernel/mm/fault-record.ts', 'kernel/entry.ts', 'tools/debugger/runner.ts']));
  // Out of the questions, to the kernel; then line by line there.
  let frames = callFrames;
  const step = async (how: string): Promise<string> => {
    await client.ask(how);
    frames = (await client.event('Debugger.paused') as unknown as { callFrames: CallFrame[] }).callFrames;
    return lineOf(files, frames[0]!);
  };
  for (let times = 0; times < 20 && frames[0]!.functionName !== 'handlePageFault'; times++) await step('Debugger.stepOut');
  const next = [await step('Debugger.stepOver'), await step('Debugger.stepOver')];
  expect(next.map((place) => readFileSync(join(root, place.split(':')[0]!), 'utf8').split('\n')[Number(place.split(':')[1]) - 1]!.trim())).toEqual([expect.stringContaining('faultReturn'), expect.stringMatching(/faultReturn|return result/)]);
  client.close();
  expect(await ended).toBe(0);
  expect(said).toMatch(/fault anon if order == 0: stood still \d+ times?\.$/m);
});
test('node --enable-source-maps shows lines of the sources in stack traces of the bundle', () => {
  const plant = 'data:text/javascript,process.hrtime=()=>{throw new Error("planted")}';
  const { status, stderr } = spawnSync(process.execPath, ['--enable-source-maps', '--import', plant, bundle, 'run', '--', 'hello'], { cwd: root, encoding: 'utf8', env: { ...process.env, QUIRE_DEBUG: '1' } });
  expect(status).toBe(125);
  const places = [...stderr.matchAll(/at .*?\/((?:tools|kernel)\/[\w/-]+\.ts):(\d+):\d+/g)].map(([, file, line]) => readFileSync(join(root, file!), 'utf8').split('\n')[Number(line) - 1]);
  expect(places[0]).toContain('process.hrtime()');
});
test('what cannot be stopped at is refused', () => {
  const { status, stderr } = quire(['debug', '--inspect', 'fault nothing', '--', 'hello']);
  expect([status, stderr]).toEqual([2, expect.stringMatching(/^quire: break fault nothing: not a kind of fault\./)]);
});
test('an inspector\'s port that is none is refused', () => {
  const { status, stderr } = quire(['debug', '--inspect', 'fault', '--inspect-port', '70000', '--', 'hello']);
  expect([status, stderr]).toEqual([2, 'quire: --inspect-port 70000: not a port. Write 0 to 65535.\n']);
});
