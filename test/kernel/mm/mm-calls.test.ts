// The memory system calls against Linux 6.18: golden/mm-calls.c made some four thousand calls natively, each on the same layout of mappings;
// here the same calls must answer the same and leave the same mappings behind.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { MapFlag } from '#kernel/mm/mman.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';
import { maps } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const page = (n: number): number => BASE + n * 4096;
const fixed = MapFlag.Fixed | MapFlag.Private | MapFlag.Anonymous;

/** The layout that mm-calls.c lays out anew for each call. */
function lay(system: MmSystem): { p: Program; file: FileMapping } {
  const p = Program.on(system);
  const space = new AddressSpace(system, 'file');
  space.write(0, new Uint8Array(8192));
  const file: FileMapping = { space, path: '/tmp/mm-calls', ino: 1, devMajor: 0, devMinor: 1, mayWrite: false };
  const map = (at: number, pages: number, prot: number, flags: number, of: FileMapping | null = null): void => {
    expect(p.mm.mmap({ addr: page(at), len: pages * 4096, prot, flags, file: of, pgoff: 0 })).toBe(page(at));
  };
  map(0, 4, 3, fixed);
  p.write(page(0));
  p.write(page(1));
  map(4, 2, 1, fixed);
  map(7, 2, 0, fixed);
  map(9, 2, 3, MapFlag.Fixed | MapFlag.Shared | MapFlag.Anonymous);
  map(11, 2, 1, MapFlag.Fixed | MapFlag.Shared, file);
  map(14, 2, 3, fixed);
  expect(p.mm.mlock(page(14), 8192)).toBe(0);
  return { p, file };
}
const layoutOf = (p: Program): string => maps(p.mm).map((line) => {
  const [, start, end, right] = /^0x(\w+)-0x(\w+) (....)/.exec(line)!;
  return ` ${(parseInt(start!, 16) - BASE) / 4096}-${(parseInt(end!, 16) - BASE) / 4096}:${right}`;
}).join('');

/** A golden line's call; numbers as the C program printed them. */
function call({ p, file }: { p: Program; file: FileMapping }, name: string, a: number, b: number, c: number, d: number): number {
  const { mm } = p;
  const at = d === 1 && name !== 'mremap' && name !== 'mmap' ? BASE + a : page(a);
  switch (name) {
    case 'mprotect': return mm.mprotect(at, b, c);
    case 'munmap': return mm.munmap(at, b);
    case 'madvise': return mm.madvise(at, b, c);
    case 'mlock': return mm.mlock(at, b);
    case 'munlock': return mm.munlock(at, b);
    case 'msync': return mm.msync(at, b, c);
    case 'mincore': return mm.mincore(at, b, new Uint8Array(16));
    case 'mremap': return d === 103 ? mm.mremap(at, b, c, 3, page(1)) : mm.mremap(at, b, c, d, page(40));
    case 'mmap': return mm.mmap({ addr: at, len: b, prot: d, flags: c, file: (c & 0x20) !== 0 ? null : file, pgoff: 0 });
  }
  throw new Error(name);
}

test('four thousand calls answer as Linux 6.18 does, and leave the same mappings', () => {
  const golden = readFileSync(join(import.meta.dirname, 'golden/mm-calls-linux-6.18.txt'), 'utf8').trim().split('\n');
  const { system } = bootSystem({ ramBytes: 16 << 20 });
  const free = system.freeBytes;
  const wrong: string[] = [];
  for (const line of golden) {
    const [, name, ...args] = /^(\w+) (\w+) (\w+) (\w+) (\w+)=/.exec(line)! as unknown as [string, string, ...string[]];
    const [a, b, c, d] = args.map((arg) => Number(BigInt.asIntN(64, BigInt(`0x${arg}`)))) as [number, number, number, number];
    const world = lay(system);
    const before = layoutOf(world.p);
    const isMremapTo = name === 'mremap' && d === 0x67;
    const result = call(world, name, a, b, c, isMremapTo ? 103 : d);
    const value = result < 0 ? `E${-result}` : result >= BASE && result < page(128) ? `+${((result - BASE) / 4096).toString(16)}` : result > 4096 ? 'elsewhere' : '0';
    const after = layoutOf(world.p);
    const found = `${line.slice(0, line.indexOf('='))}=${value}${after === before ? '' : after}`;
    if (found !== line) wrong.push(`${line}  <- Linux; here: ${found.slice(found.indexOf('=') + 1)}`);
    world.p.mm.dispose();
    world.file.space.release();
  }
  expect(wrong).toEqual([]);
  expect(system.freeBytes).toBe(free);
  system.check();
});
