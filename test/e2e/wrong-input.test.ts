// What a person can get wrong: every mistake gets one clear sentence and its exit status, never a stack trace.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { bundle, quire, scratch } from '../support/cli.ts';
import { CODE, call, DATA, guest, Header, Nr, patched, phdr } from '../support/guests.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const good = guest(call(Nr.exit, 0));

/** One sentence on standard error, nothing on standard output. */
function expectSentence(words: readonly string[], status: number, pattern: RegExp): void {
  const ended = quire(words);
  expect({ status: ended.status, stdout: ended.stdout }, ended.stderr).toEqual({ status, stdout: '' });
  expect(ended.stderr).toMatch(/^quire: [^\n]+[.?]\n$/);
  expect(ended.stderr).toMatch(pattern);
  expect(ended.stderr).not.toMatch(/\bat .*\.(mjs|ts|js):|undefined|NaN|\[object/);
}

test('a good program runs, so that what follows is refused for its own reason', () => {
  expect(quire(['run', '--', host.file('good', good)])).toEqual({ status: 0, stdout: '', stderr: '' });
});

describe('programs', () => {
  const elf = (name: string, ...fields: Parameters<typeof patched>[1][]): string => host.file(name, patched(good, ...fields));
  mkdirSync(host.path('folder'));
  symlinkSync(host.path('loop'), host.path('loop'));
  test.each<[string, string, number, RegExp]>([
    ['a file that is not there', host.path('nothing'), 127, /there is no such file/],
    ['a directory', host.path('folder'), 126, /is a directory, not a program/],
    ['a link that points at itself', host.path('loop'), 127, /too many symbolic links/],
    ['a bare name that is no bundled program', 'gusp', 127, /not a bundled program\. Did you mean gups\?/],
    ['an empty file', host.file('empty', ''), 126, /not a program/],
    ['text', host.file('text', 'hello\n'), 126, /not a program/],
    ['an x86-64 program', elf('x86', [Header.machine, 2, 62]), 126, /for x86-64, not for riscv64/],
    ['a 32-bit program', host.file('elf32', good.map((b, i) => (i === 4 ? 1 : b))), 126, /32-bit/],
    ['a big-endian program', host.file('be', good.map((b, i) => (i === 5 ? 2 : i === 18 ? 0 : i === 19 ? 243 : b))), 126, /big-endian/],
    ['an object file', elf('object', [Header.type, 2, 1]), 126, /object file/],
    ['a header that is cut short', host.file('cut1', good.subarray(0, 40)), 126, /cut short/],
    ['program headers that are cut short', host.file('cut2', good.subarray(0, 100)), 126, /cut short/],
    ['segments that are cut short', host.file('cut3', good.subarray(0, good.length - 4096)), 126, /cut short/],
    ['segments that overlap', elf('overlap', [phdr(1).vaddr, 8, CODE]), 126, /overlap/],
    ['a segment in kernel addresses', elf('kernel', [phdr(1).vaddr, 8, -4096n]), 126, /segment 1/],
    ['a segment of 2^62 bytes', elf('huge', [phdr(1).memsz, 8, 1n << 62n]), 126, /segment 1/],
    ['a segment with more in the file than in memory', elf('inverted', [phdr(1).memsz, 8, 1]), 126, /segment 1/],
    ['a segment beyond the end of the file', elf('beyond', [phdr(1).offset, 8, 1n << 40n]), 126, /segment 1/],
    ['an entry point outside of all segments', elf('entry', [Header.entry, 8, 0]), 126, /entry point/],
    ['an entry point in data', elf('entry-data', [Header.entry, 8, DATA]), 126, /entry point/],
    ['no program headers', elf('none', [Header.phnum, 2, 0]), 126, /program headers/],
    ['65535 program headers', elf('many', [Header.phnum, 2, 65535]), 126, /program headers/],
    ['a program that needs a dynamic linker', elf('dynamic', [phdr(1).type, 4, 3]), 126, /dynamically linked/],
    ['a script for an interpreter that is not there', host.file('script', '#!/bin/nonesuch -x\n'), 126, /nonesuch/],
    ['a script without an interpreter', host.file('script2', '#!\n'), 126, /script/],
  ])('%s', (_, program, status, sentence) => { expectSentence(['run', '--', program], status, sentence); });

  test('a program in this folder under a bare name: the sentence says how to write it', () => {
    host.file('mine', good);
    expect(quire(['run', '--', 'mine'], '', host.path('')).stderr).toMatch(/For the file in this folder write \.\/mine\./);
  });
  test('none at all', () => { expectSentence(['run'], 2, /no program is given/); });
});

describe('options and commands', () => {
  const file = (name: string, text: string): string => host.file(name, text, 0o644);
  test.each<[string, string[], RegExp]>([
    ['an unknown command', ['rnu'], /rnu: not a command\. Did you mean run\?/],
    ['an option before the command', ['--mem', '64M', 'run'], /options stand after the command/],
    ['an unknown option', ['run', '--presett', 'x', '--', 'hello'], /--presett: not an option\. Did you mean --preset\?/],
    ['a bad size', ['run', '--mem', '12Q', '--', 'hello'], /--mem 12Q: not a size/],
    ['RAM that is too small', ['run', '--mem', '1M', '--', 'hello'], /--mem 1M: out of range\. Write a size from 16M to 3584M/],
    ['RAM that is too large', ['run', '--mem', '64G', '--', 'hello'], /out of range/],
    ['a bad preset', ['stat', '--preset', 'skylak', '--', 'hello'], /--preset skylak/],
    ['both a preset and a file', ['stat', '--preset', 'skylake', '--tlb', file('ok.json', quire(['presets', 'skylake']).stdout), '--', 'hello'], /--preset and --tlb/],
    ['a TLB file that is not there', ['stat', '--tlb', host.path('no.json'), '--', 'hello'], /no\.json/],
    ['a TLB file that is not JSON', ['stat', '--tlb', file('bad1.json', '{"name": '), '--', 'hello'], /bad1\.json/],
    ['a TLB file of the wrong shape', ['stat', '--tlb', file('bad2.json', '{"name": "x", "l1d": 12}'), '--', 'hello'], /bad2\.json/],
    ['a TLB file that is a list', ['stat', '--tlb', file('bad3.json', '[]'), '--', 'hello'], /bad3\.json/],
    ['swap that is too small', ['run', '--swap', '4K', '--', 'hello'], /--swap 4K: out of range/],
    ['swap of a disk that is not there', ['run', '--swap', '64M', '--swap-latency', 'floppy', '--', 'hello'], /--swap-latency floppy: no such preset/],
    ['both of svade and svadu', ['run', '--svade', '--svadu', '--', 'hello'], /exclude each other/],
    ['an unknown cost', ['stat', '--cost', 'trapp=1', '--', 'hello'], /trapp=1: no such cost\. Did you mean trap\?/],
    ['a cost that is no number', ['stat', '--cost', 'trap=x', '--', 'hello'], /not a number of cycles/],
    ['a file of /sys that is not there', ['run', '--set', '/sys/nothing=1', '--', 'hello'], /\/sys\/nothing/],
    ['a bad value for a file of /sys', ['run', '--set', '/sys/kernel/mm/transparent_hugepage/enabled=perhaps', '--', 'hello'], /perhaps/],
    ['a host file that is not there', ['run', '--file', `${host.path('no')}:/x`, '--', 'hello'], /there is no such file/],
    ['a guest path that is relative', ['run', '--file', `${host.path('ok.json')}:x`, '--', 'hello'], /must begin with \//],
    ['a root that is a file', ['run', '--root', host.path('ok.json'), '--', 'hello'], /not a directory/],
    ['a share that is a file', ['run', '--share', `${host.path('ok.json')}:/x`, '--', 'hello'], /not a directory\. --file .*:\/x copies one file/],
    ['a share that is not there', ['run', '--share', `${host.path('no')}:/x`, '--', 'hello'], /there is no such file/],
    ['a share without a guest path', ['run', '--share', host.path(''), '--', 'hello'], /--share .*: no ':'/],
    ['a share whose guest path is relative', ['run', '--share', `${host.path('')}:x`, '--', 'hello'], /the guest path must begin with \//],
    ['a share where a disk is', ['run', '--disk', `${host.path('ok.json')}`, '--share', `${host.path('')}:/mnt/x`, '--', 'hello'], /\/mnt is where --disk .* is mounted/],
    ['a root that is not there', ['run', '--root', host.path('no'), '--', 'hello'], /there is no such file/],
    ['standard input that is not there', ['run', '--stdin', host.path('no'), '--', 'hello'], /there is no such file/],
    ['nothing to trace', ['trace', '--', 'hello'], /what is to be traced/],
    ['two things to trace', ['trace', '--strace', '-F', 'all', '--', 'hello'], /one of/],
    ['an unknown event', ['trace', '-e', 'mm_page_aloc', '--', 'hello'], /Did you mean mm_page_alloc/],
    ['sizes for a command that sets them itself', ['compare', '--thp', 'always'], /sets folio sizes itself/],
    ['nothing known by that name', ['explain', 'nonesuch'], /nothing has this name/],
    ['help about nothing', ['help', 'rnu'], /no such topic/],
    ['an output file in a folder that is not there', ['presets', '-o', host.path('no/x')], /cannot write it/],
    ['a result for a command that has none', ['run', '--json', '--', 'hello'], /not an option of quire run/],
    ['no file for the compiler', ['cc', '-O2'], /no C file is given/],
  ])('%s', (_, words, sentence) => { expectSentence(words, 2, sentence); });
});

describe('a result that cannot be written', () => {
  test.each<[string, string[]]>([
    ['stat', []], ['compare', []], ['trace', ['-F', 'all']],
  ])('is said by quire %s before the program runs', (command, options) => {
    expectSentence([command, ...options, '-o', host.path('no/x'), '--', 'echo', 'I ran'], 2, /the folder it would be in does not exist/);
  });
  test('costs no older result when the program cannot run', () => {
    const older = host.file('older', 'worth keeping');
    expectSentence(['stat', '-o', older, '--', host.file('no-program', '')], 126, /not a program/);
    expect(readFileSync(older, 'utf8')).toBe('worth keeping');
  });
  test.skipIf(!existsSync('/dev/full')).each<[string, string[]]>([
    ['presets', []], ['stat', ['--', 'true']], ['trace', ['-F', 'all', '--', 'true']],
  ])('because the disk is full gets a sentence from quire %s', (command, rest) => {
    expectSentence([command, '-o', '/dev/full', ...rest], 2, /the disk is full/);
  });
});
test.skipIf(!existsSync('/dev/zero'))('a device without end is not read for ever', () => {
  expectSentence(['run', '--file', '/dev/zero:/zero', '--', 'true'], 2, /gives more than 1 GiB/);
});
test('a reader that goes away ends the command quietly, with the status of SIGPIPE', () => {
  const script = '{ sleep 0.3; "$0" "$1" presets skylake; echo "status $?" >&2; } | true';
  expect(spawnSync('sh', ['-c', script, process.execPath, bundle], { encoding: 'utf8' }).stderr).toBe('status 141\n');
});
