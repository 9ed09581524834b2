// The machine in a browser's worker: bundled for it by esbuild, run by a headless Chromium with the engine jit, compared with the same run here.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { root } from '../support/cli.ts';
import { runHostFree } from '../support/host-free-run.ts';

const chromium = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));
const note = chromium === undefined ? ' (skipped: chromium is not installed)' : '';
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'];
const TIMEOUT_MS = 120_000;

const jobs = [
  { options: ['--engine', 'jit', '--mem', '64M'], argv: ['compute', 'core', '1'] },
  { options: ['--engine', 'jit', '--mem', '64M', '--mthp', '64k=always'], argv: ['hello'] },
  { options: ['--engine', 'interp', '--mem', '64M'], argv: ['hello'] },
];
const program = (name: string): Uint8Array => new Uint8Array(readFileSync(join(root, 'userland/bin', name)));

/** Serves a page whose worker is `script`, opens it, and waits for what the worker posts. (In a worker modules of any size may be compiled at once; on a page's
 *  main thread 4 kB is the limit.) */
async function inBrowser(script: string): Promise<unknown> {
  const profile = mkdtempSync(join(tmpdir(), 'quire-chromium-'));
  let answered: (text: string) => void;
  const answer = new Promise<string>((resolve) => { answered = resolve; });
  const server = createServer((request, response) => {
    const { url = '' } = request;
    const send = (type: string, body: string | Uint8Array): void => { response.setHeader('content-type', type).end(body); };
    if (url === '/') send('text/html', '<!doctype html><script>new Worker("/worker.js")</script>');
    else if (url === '/worker.js') send('text/javascript', script);
    else if (url === '/jobs') send('application/json', JSON.stringify(jobs));
    else if (/^\/program\/[a-z]+$/.test(url)) send('application/octet-stream', program(url.split('/')[2]!));
    else if (url === '/result') {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece)).on('end', () => {
        answered(Buffer.concat(pieces).toString());
        send('text/plain', '');
      });
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address() as AddressInfo;
  const browser = spawn(chromium!, [...FLAGS, `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/`], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const said: string[] = [];
  browser.stderr.on('data', (piece: Buffer) => said.push(piece.toString()));
  const ended = new Promise<void>((resolve) => { browser.once('exit', () => { resolve(); }); });
  const late = setTimeout(() => { answered(JSON.stringify({ error: `no answer in ${TIMEOUT_MS / 1000} s: ${said.join('').slice(-2000)}` })); }, TIMEOUT_MS);
  try {
    return JSON.parse(await answer);
  } finally {
    clearTimeout(late);
    // The browser and its helpers, which write to the profile, too.
    try {
      process.kill(-browser.pid!, 'SIGKILL');
    } catch { /* it has ended by itself */ }
    await ended;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

const bundle = () => build({
  entryPoints: [join(root, 'test/support/browser-worker.ts')], bundle: true, write: false, metafile: true, platform: 'browser', format: 'iife', target: 'es2022', define: { QUIRE_DEBUG: 'false' }, logLevel: 'silent',
});

test('the machine, the kernel and what boots them are bundled for a browser without a module of Node or of anybody else', async () => {
  const { metafile } = await bundle();
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.length).toBeGreaterThan(100);
  expect(inputs.filter((path) => !/^(cpu|mmu|kernel|tools|test\/support)\//.test(path))).toEqual([]);
});

test.skipIf(chromium === undefined)(`programs run in a browser's worker as they do here, state for state${note}`, async () => {
  const bundled = await bundle();
  const here = jobs.map(({ options, argv }) => runHostFree(options, argv, program(argv[0]!)));
  const there = await inBrowser(bundled.outputFiles[0]!.text);
  expect(there).not.toHaveProperty('error');
  // How much is translated may differ: that depends on nothing but the host's pieces of work.
  const seen = (runs: readonly object[]): object[] => runs.map((run) => ({ ...run, regions: 0 }));
  expect(seen(there as object[])).toEqual(seen(here));
  expect((there as { regions: number }[])[0]!.regions).toBeGreaterThan(10);
  expect(here[1]!.stdout).toContain('hello, world');
}, 2 * TIMEOUT_MS);
