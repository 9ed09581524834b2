// An unmodified C program, linked statically with musl and with glibc: the same output as under qemu-riscv64.
// It uses printf of doubles, malloc, qsort, pthread_create and join, fork and wait, and a SIGSEGV handler that reports si_addr and si_code.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { root, scratch } from '../support/cli.ts';
import { runGuest } from '../support/run-guest.ts';

const files = scratch();
afterAll(files.remove);
const works = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const golden = (JSON.parse(readFileSync(join(root, 'test/golden/workloads-qemu.json'), 'utf8')) as { rows: { argv: string[]; stdout: string; status: number }[] })
  .rows.find(({ argv }) => argv.join(' ') === 'hello Quire')!;

const compilers = ['riscv64-linux-gnu-gcc', 'riscv64-unknown-linux-gnu-gcc'];
const compiler = compilers.find(works);
const qemu = works('qemu-riscv64');
if (compiler === undefined) console.warn('skipped: hello with glibc, because riscv64-linux-gnu-gcc is missing');
if (!qemu) console.warn('skipped: hello beside a live qemu, because qemu-riscv64 is missing');

function buildWithGlibc(): string {
  const target = files.path('hello-glibc');
  const { status, stderr } = spawnSync(compiler!, ['-std=gnu11', '-O2', '-static', '-pthread', '-o', target, join(root, 'userland/programs/hello.c'), '-lm'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return target;
}
function answerOf(program: string): { stdout: string; stderr: string; status: number } {
  const { stdout, stderr, status } = runGuest(['--', program, 'Quire']);
  return { stdout, stderr, status };
}

describe('hello prints what it prints under qemu-riscv64', () => {
  const expected = { stdout: golden.stdout, stderr: '', status: golden.status };
  test('with musl, as committed', () => expect(answerOf('hello')).toEqual(expected));
  test('with musl, whatever the width of addresses and the size of folios', () => {
    for (const words of [['--sv', '48'], ['--sv', '57', '--svade'], ['--mthp', '16k=always,64k=always,2m=always'], ['--mem', '32M']]) {
      const { stdout, status } = runGuest([...words, '--', 'hello', 'Quire']);
      expect({ words, stdout, status }).toEqual({ words, stdout: golden.stdout, status: golden.status });
    }
  });
  test('with musl, position-independent', () => expect(answerOf('hello-pie')).toEqual(expected));
  test.skipIf(compiler === undefined)('with glibc', () => {
    const program = buildWithGlibc();
    expect(answerOf(program)).toEqual(expected);
    if (!qemu) return;
    const { stdout, status } = spawnSync('qemu-riscv64', [program, 'Quire'], { encoding: 'utf8' });
    expect({ stdout, stderr: '', status }).toEqual(expected);
  });
  test.skipIf(!qemu)('beside a live qemu', () => {
    const { stdout, status } = spawnSync('qemu-riscv64', [join(root, 'userland/bin/hello'), 'Quire'], { encoding: 'utf8' });
    expect({ stdout, stderr: '', status }).toEqual(expected);
  });
});
