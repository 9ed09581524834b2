// Real programs under a memory limit, with every policy: they all print the same, invariants hold all the while, and nobody has fewer major faults than
// the policy that knows what comes.
import { describe, expect, test } from 'vitest';
import { boot } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { drive } from '#tools/drive.ts';
import { prepareRun } from '#tools/guest.ts';
import { type OptionGroup, parseCommandLine } from '#tools/options.ts';
import { policyNames } from '#tools/policy-file.ts';

const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs', 'trace'];

async function run(words: readonly string[]) {
  const { values, rest } = parseCommandLine('stat', groups, words);
  const session = boot(await prepareRun(values, rest, NO_TERMINAL));
  const pieces: Uint8Array[] = [];
  const { end } = await drive(session, { output: { 1: null, 2: null }, onOutput: (bytes) => { pieces.push(bytes.slice()); }, stdin: 'blocks', progress: false });
  const { vmstat } = session.kernel.system;
  session.kernel.system.check();
  return { end, status: session.kernel.exitStatus, text: new TextDecoder().decode(Buffer.concat(pieces)), major: vmstat.get('pgmajfault'), refaults: vmstat.get('workingset_refault_anon'), evictions: vmstat.get('pgsteal_anon'), instructions: session.instructions };
}

describe.each<string[]>([
  ['--sanitize', 'hotscan', '--hot', '512K', '--cold', '3M', '--uses', '40'],
  ['', 'mergesort', '--count', '160K'],
  ['', 'gups', '--words', '256K', '--updates', '15000'],
  ['', 'phases', '--window', '2M', '--phases', '3', '--accesses', '6000'],
])('%s %s', (checked, ...program) => {
  test('prints the same under every policy, and opt has the fewest major faults', async () => {
    const limit = ['--memory-max', '1536K', '--swap', '64M', '--mem', '32M', ...(checked === '' ? [] : [checked!]), '--', ...program];
    const free = await run(['--mem', '32M', '--', ...program]);
    const major: Record<string, number> = {};
    for (const name of policyNames) {
      const limited = await run(['--lru', name, ...limit]);
      expect({ name, end: limited.end, status: limited.status, text: limited.text, instructions: limited.instructions })
        .toEqual({ name, end: 'exited', status: { status: 0, signal: 0 }, text: free.text, instructions: free.instructions });
      expect(limited.evictions).toBeGreaterThan(300);
      major[name] = limited.major;
    }
    for (const name of policyNames) expect(major['opt'], `opt and ${name} of ${JSON.stringify(major)}`).toBeLessThanOrEqual(major[name]!);
  }, 120_000);
});
