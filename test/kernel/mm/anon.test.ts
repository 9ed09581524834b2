// First touches of anonymous memory: what is mapped, how many faults it takes.
import { describe, expect, test } from 'vitest';
import { FaultResult } from '#kernel/mm/fault.ts';
import { Prot } from '#kernel/mm/mman.ts';
import { boot } from '../../support/mm-fixture.ts';
import { entryPicture, picture } from '../../support/picture.ts';

const K64 = 65536;
const M2 = 2 << 20;

describe('base pages', () => {
  test('a write maps one page, a read the zero page', () => {
    const { program, system } = boot();
    program.map(K64, 0x100000);
    program.write(0x101000);
    program.read(0x103008);
    expect(picture(program.mm)).toBe('0x100000 .0.z............');
    expect(program.counts.minFlt).toBe(2);
    expect(program.mm.rss.anonPages).toBe(1);
    system.check();
  });
  test('a write after a read takes a second fault and a page of its own', () => {
    const { program, system } = boot();
    program.map(K64, 0x100000);
    program.read(0x100000);
    program.write(0x100000);
    expect(picture(program.mm)).toBe('0x100000 0...............');
    expect(program.counts.minFlt).toBe(2);
    system.check();
  });
  test('fresh pages are zeroed', () => {
    const { program } = boot({ soiled: true });
    program.map(K64, 0x100000);
    const bytes = new Uint8Array(4096).fill(7);
    program.write(0x100000);
    expect(program.user.read(0x100000, bytes)).toBe(true);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
  test('what is not mapped, or not allowed, is refused with the right code', () => {
    const { program } = boot();
    program.map(K64, 0x100000, Prot.Read);
    program.map(K64, 0x200000, Prot.None);
    program.map(K64, 0x300000, Prot.Exec);
    expect(program.write(0x100000)).toBe(FaultResult.AccErr);
    expect(program.read(0x200000)).toBe(FaultResult.AccErr);
    expect(program.read(0x300000)).toBe(FaultResult.AccErr);
    expect(program.read(0x400000)).toBe(FaultResult.MapErr);
    expect(program.read(-4096)).toBe(FaultResult.MapErr);
    expect(program.read(2 ** 38)).toBe(FaultResult.MapErr);
    expect(program.counts.minFlt).toBe(0);
  });
  test('writable implies readable', () => {
    const { program } = boot();
    program.map(K64, 0x100000, Prot.Write);
    expect(program.read(0x100000)).toBe(FaultResult.Done);
    expect(program.write(0x101000)).toBe(FaultResult.Done);
    expect(program.read(0x101000)).toBe(FaultResult.Done);
    expect(program.counts.minFlt).toBe(2);
  });
});

describe('large folios', () => {
  test('the first touch of an aligned 64K hole maps all of its sixteen pages', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(2 * K64, 0x100000);
    program.write(0x100abc);
    expect(picture(program.mm)).toBe('0x100000 4444444444444444 ................');
    expect(entryPicture(program.mm)).toBe('0x100000 NNNNNNNNNNNNNNNN ................');
    expect(program.counts.minFlt).toBe(1);
    system.check();
  });
  test('a window that leaves the VMA or holds a page falls to the next smaller size', () => {
    const { program, system } = boot({ orders: [2, 4] });
    program.map(K64 + 0x4000, 0x10c000);
    program.read(0x112000);
    program.write(0x10c000);
    program.write(0x111000);
    program.write(0x114000);
    expect(picture(program.mm)).toBe('0x10c000 2222 .0z.2222........');
    system.check();
  });
  test('2M by one entry, if the VMA has an aligned 2M', () => {
    const { program, system } = boot({ orders: [9] });
    const at = program.map(2 * M2);
    expect(at % M2).toBe(0);
    expect(program.touch(at, 2 * M2)).toBe(2);
    expect(program.mm.tables.nrDeposits).toBe(2);
    expect(system.vmstat.get('thp_fault_alloc')).toBe(2);
    expect(system.thp.stat(9, 'nr_anon')).toBe(2);
    system.check();
    program.mm.munmap(at, 2 * M2);
    expect(system.thp.stat(9, 'nr_anon')).toBe(0);
    system.check();
  });
});

test('an address space gives everything back at its end', () => {
  const { program, system } = boot({ orders: [2, 4, 9] });
  const free = system.freeBytes + 4096;
  for (const len of [M2 * 3, K64, 0x5000]) program.touch(program.map(len), len);
  system.check();
  program.mm.dispose();
  expect(system.freeBytes).toBe(free);
  expect(system.committedPages).toBe(0);
  system.check();
});
