// POSIX threads through a real C library: the same lines as on Linux (golden/threads.c says how they were recorded).
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { scratch } from '../../support/cli.ts';
import { bootKernel } from '../../support/kernel-rig.ts';

const folder = join(import.meta.dirname, 'golden');
const expected = readFileSync(join(folder, 'threads-linux-6.18.txt'), 'utf8');
const files = scratch();
afterAll(files.remove);

const works = (command: string, ...version: string[]): boolean => spawnSync(command, version).status === 0;
const compilers: readonly (readonly [library: string, command: string, args: readonly string[], version: string])[] = [
  ['glibc', 'riscv64-linux-gnu-gcc', [], '--version'],
  ['musl', process.env['QUIRE_ZIG'] ?? 'zig', ['cc', '-target', 'riscv64-linux-musl'], 'version'],
];
for (const [library, command, args, version] of compilers) {
  const isThere = works(command, version);
  if (!isThere) console.warn(`skipped: threads with ${library}, because ${command} is missing`);
  test.skipIf(!isThere)(`threads of ${library} find what Linux promises them`, () => {
    const program = files.path(`threads-${library}`);
    const { status, stderr } = spawnSync(command, [...args, '-std=gnu11', '-O1', '-w', '-static', '-pthread', '-o', program, join(folder, 'threads.c')], { encoding: 'utf8' });
    expect(stderr + status).toBe('0');
    const rig = bootKernel({ ramBytes: 64 << 20, files: { '/threads': readFileSync(program) } });
    rig.kernel.start(['threads'], [], '/threads');
    expect(rig.run(100_000_000)).toBe('exited');
    expect(rig.text()).toBe(expected);
    rig.kernel.system.check();
    expect(rig.kernel.futexes.nrWaiting).toBe(0);
  });
}
