// The worker's side of test/e2e/browser.test.ts, bundled for a browser: runs what it is told to and posts what came of it.
import { runHostFree } from './host-free-run.ts';

interface Job { readonly options: string[]; readonly argv: string[] }

async function work(): Promise<void> {
  const jobs = await (await fetch('/jobs')).json() as Job[];
  const results: unknown[] = [];
  for (const { options, argv } of jobs) {
    const program = new Uint8Array(await (await fetch(`/program/${argv[0]!}`)).arrayBuffer());
    results.push(runHostFree(options, argv, program));
  }
  await fetch('/result', { method: 'POST', body: JSON.stringify(results) });
}
work().catch((error: unknown) => fetch('/result', { method: 'POST', body: JSON.stringify({ error: `${(error as Error).stack ?? error}` }) }));
