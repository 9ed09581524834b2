// What the loader says of files: sentences for what cannot run, and no file that makes it stumble.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ElfImage, type ExecError, isExecError, parseElf } from '#kernel/proc/elf.ts';
import { parseScript } from '#kernel/proc/exec.ts';
import { staticElf } from '../../support/elf.ts';
import { Header, patched, phdr } from '../../support/guests.ts';

const TASK_SIZE = 2 ** 38;
const good = staticElf(0x1_0000, [
  { address: 0x1_0000, bytes: new Uint8Array(100), flags: 5 },
  { address: 0x2_0000, bytes: new Uint8Array(5000), flags: 6 },
]);
const parse = (bytes: Uint8Array): ElfImage | ExecError =>
  parseElf({ sizeBytes: bytes.length, read: (pos, into) => { const part = bytes.subarray(pos, pos + into.length); into.set(part); return part.length; } }, TASK_SIZE);
const sentence = (bytes: Uint8Array): string => {
  const result = parse(bytes);
  return isExecError(result) ? result.sentence : 'runs';
};

describe('an ELF file', () => {
  test('that is sound gives its segments, entry and program headers', () => {
    const image = parse(good) as ElfImage;
    expect(image).toMatchObject({ isPie: false, entry: 0x1_0000, phnum: 2 });
    expect(image.segments.map(({ vaddr, fileBytes, memBytes, rights }) => [vaddr, fileBytes, memBytes, rights])).toEqual([[0x1_0000, 100, 100, 5], [0x2_0000, 5000, 5000, 6]]);
  });
  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /neither with an ELF header nor with #!/],
    ['text', new Uint8Array([0x68, 0x69]), /neither with an ELF header nor with #!/],
    ['half a header', good.subarray(0, 40), /cut short: 40 bytes/],
    ['for x86-64', patched(good, [Header.machine, 2, 62]), /x86-64, not for riscv64.*quire cc/],
    ['for a machine without a name', patched(good, [Header.machine, 2, 999]), /machine 999/],
    ['for RV32', (() => { const f = good.slice(); f[4] = 1; return f; })(), /32-bit RISC-V/],
    ['an object file', patched(good, [Header.type, 2, 1]), /link it first/],
    ['a core dump', patched(good, [Header.type, 2, 4]), /core dump/],
    ['with headers of a wrong size', patched(good, [Header.phentsize, 2, 32]), /claim 32 bytes/],
    ['without headers', patched(good, [Header.phnum, 2, 0]), /without program headers/],
    ['with 65535 headers', patched(good, [Header.phnum, 2, 65535]), /65535 program headers/],
    ['with headers beyond its end', patched(good, [Header.phoff, 8, 1n << 40n]), /beyond the end of the file/],
    ['with headers at an offset that wraps', patched(good, [Header.phoff, 8, -64n]), /beyond the end of the file/],
    ['that wants an interpreter', patched(good, [phdr(1).type, 4, 3]), /dynamically linked .*-static/],
    ['with nothing to load', patched(good, [phdr(0).type, 4, 4], [phdr(1).type, 4, 4]), /without loadable segments/],
    ['cut off in its data', good.subarray(0, good.length - 4096), /cut short: segment 1/],
    ['with more in the file than in memory', patched(good, [phdr(0).memsz, 8, 50]), /more bytes from the file/],
    ['with a segment above user memory', patched(good, [phdr(1).vaddr, 8, 1n << 50n]), /does not fit below/],
    ['with a segment of 2^63 bytes', patched(good, [phdr(1).memsz, 8, 1n << 63n]), /does not fit below/],
    ['with segments that overlap', patched(good, [phdr(1).vaddr, 8, 0x1_0000]), /overlap/],
    ['with an offset that does not fit its address', patched(good, [phdr(0).vaddr, 8, 0x1_0010]), /differ within the page/],
    ['that begins outside itself', patched(good, [Header.entry, 8, 0x9_0000]), /entry point 0x90000 lies in no segment/],
    ['that begins in its data', patched(good, [Header.entry, 8, 0x2_0000]), /not executable/],
  ])('%s is refused, with the reason', (_, bytes, reason) => {
    expect(sentence(bytes)).toMatch(reason);
  });
  test('with any bytes changed is refused, or has segments that lie in the file and in user memory', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 175 }), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 12 }), fc.integer({ min: 0, max: good.length }), (changes, length) => {
      const file = good.slice(0, length);
      for (const [at, byte] of changes) if (at < file.length) file[at] = byte;
      const result = parse(file);
      if (isExecError(result)) {
        expect(result.sentence).toMatch(/\.$/);
        expect(result.errno).toBeGreaterThan(0);
        return;
      }
      for (const s of result.segments) {
        expect(s.offset + s.fileBytes).toBeLessThanOrEqual(file.length);
        expect(s.vaddr + s.memBytes).toBeLessThanOrEqual(TASK_SIZE);
        expect(s.fileBytes).toBeLessThanOrEqual(s.memBytes);
      }
    }), { numRuns: 2000 });
  });
});

test.each<[string, ReturnType<typeof parseScript>]>([
  ['#!/bin/sh\necho', { interpreter: '/bin/sh', argument: null }],
  ['#! /bin/sh  -e  x \n', { interpreter: '/bin/sh', argument: '-e  x' }],
  ['#!/bin/sh', { interpreter: '/bin/sh', argument: null }],
  ['#!\n', null],
  ['#!   ', null],
  [`#!/${'x'.repeat(300)}`, null],
])('the first line %j of a script', (text, expected) => {
  expect(parseScript(new TextEncoder().encode(text).subarray(0, 256))).toEqual(expected);
});
