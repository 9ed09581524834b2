// Names of anonymous memory: they cut VMAs, keep unlike neighbours apart, and follow their memory.
import { expect, test } from 'vitest';
import { setAnonName } from '#kernel/mm/anon-name.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import type { Mm } from '#kernel/mm/mm.ts';
import { MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { boot } from '../../support/mm-fixture.ts';

const BASE = 0x10_0000_0000;
const ENOMEM = -12;
/** '0-2 - 2-5 heap': pages from BASE on, with their names. */
const names = (mm: Mm): string => mm.vmas.map((v) => `${(v.start - BASE) / 4096}-${(v.end - BASE) / 4096} ${v.anonName ?? '-'}`).join('  ');

test('a name cuts a VMA, equal names join, and without names all is one again', () => {
  const { program, system } = boot();
  program.map(0xa000, BASE);
  const name = (from: number, to: number, text: string | null): number => setAnonName(program.mm, BASE + from * 4096, (to - from) * 4096, text);
  expect(name(2, 5, 'x')).toBe(0);
  expect(names(program.mm)).toBe('0-2 -  2-5 x  5-10 -');
  expect(name(5, 6, 'x')).toBe(0);
  expect(names(program.mm)).toBe('0-2 -  2-6 x  6-10 -');
  expect(name(3, 4, null)).toBe(0);
  expect(names(program.mm)).toBe('0-2 -  2-3 x  3-4 -  4-6 x  6-10 -');
  expect(name(0, 10, null)).toBe(0);
  expect(names(program.mm)).toBe('0-10 -');
  system.check();
});
test('a hole is ENOMEM after the rest got its name', () => {
  const { program } = boot();
  program.map(0x4000, BASE);
  program.mm.munmap(BASE + 0x1000, 0x1000);
  expect(setAnonName(program.mm, BASE, 0x4000, 'x')).toBe(ENOMEM);
  expect(names(program.mm)).toBe('0-1 x  2-4 x');
  expect(setAnonName(program.mm, BASE + 0x3000, 0x4000, 'y')).toBe(ENOMEM);
  expect(names(program.mm)).toBe('0-1 x  2-3 x  3-4 y');
});
test('names go with mprotect, mremap and fork', () => {
  const { program } = boot();
  program.map(0x4000, BASE);
  setAnonName(program.mm, BASE, 0x4000, 'x');
  program.mm.mprotect(BASE + 0x1000, 0x1000, Prot.Read);
  expect(names(program.mm)).toBe('0-1 x  1-2 x  2-4 x');
  expect(names(dupMm(program.mm)!)).toBe('0-1 x  1-2 x  2-4 x');
  const { MayMove, Fixed } = MremapFlag;
  expect(program.mm.mremap(BASE + 0x2000, 0x2000, 0x2000, MayMove | Fixed, BASE + 0x10_0000)).toBe(BASE + 0x10_0000);
  expect(names(program.mm)).toBe('0-1 x  1-2 x  256-258 x');
});
