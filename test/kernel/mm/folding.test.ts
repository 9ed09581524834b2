// Svnapot: which runs of sixteen pages are one entry, and what unfolds and folds them again.
import { describe, expect, test } from 'vitest';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MremapFlag, Prot } from '#kernel/mm/mman.ts';
import { Pte, PteHigh } from '#mmu';
import { boot } from '../../support/mm-fixture.ts';
import { entryPicture, picture } from '../../support/picture.ts';

const BASE = 0x10_0000_0000;
const RW = Prot.Read | Prot.Write;
const N16 = 'NNNNNNNNNNNNNNNN';

test('the sixteen words are equal, with N set and PPN[3:0] = 1000b', () => {
  const { program, machine } = boot({ orders: [4] });
  program.map(0x10000, BASE);
  program.write(BASE);
  const table = program.mm.tables.tableAt(BASE / 4096, 0);
  if (table === 0) throw new Error('no table');
  const first = program.frame(BASE);
  expect(first % 16).toBe(0);
  for (let i = 0; i < 16; i++) {
    expect(machine.pteLow(table, i) >>> 10).toBe(first | 8);
    expect(machine.pteHigh(table, i)).toBe(PteHigh.N);
    expect(program.frame(BASE + i * 4096)).toBe(first + i);
  }
});
test('a folio of 128K is two runs, one of 32K none', () => {
  const { program } = boot({ orders: [3, 5] });
  program.map(0x28000, BASE);
  program.touch(BASE, 0x28000);
  expect(picture(program.mm)).toBe('0x1000000000 5555555555555555 5555555555555555 33333333');
  expect(entryPicture(program.mm)).toBe(`0x1000000000 ${N16} ${N16} wwwwwwww`);
});
test('nothing folds when it is switched off', () => {
  const { program, system } = boot({ orders: [4], params: (p) => { p.vm.svnapot_fold = 0; } });
  program.map(0x10000, BASE);
  program.write(BASE);
  expect(entryPicture(program.mm)).toBe('0x1000000000 wwwwwwwwwwwwwwww');
  system.check();
});

describe('unfolding', () => {
  test('mprotect of a part unfolds, mprotect of the rest folds again', () => {
    const { program, machine, system } = boot({ orders: [4] });
    program.map(0x20000, BASE);
    program.touch(BASE, 0x20000);
    machine.fences.length = 0;
    program.mm.mprotect(BASE + 0x4000, 0x4000, Prot.Read);
    expect(entryPicture(program.mm)).toBe(`0x1000000000 wwww | 0x1000004000 rrrr | 0x1000008000 wwwwwwww ${N16}`);
    // Sixteen for the run before it is rewritten, four for the pages that lost a right.
    expect(machine.fences.length).toBe(20);
    program.mm.mprotect(BASE, 0x20000, Prot.Read);
    expect(entryPicture(program.mm)).toBe(`0x1000000000 ${N16} ${N16}`);
    system.check();
  });
  test('PROT_NONE keeps the run whole, and folded words stay valid to the kernel', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.user.setU32(BASE, 5);
    program.mm.mprotect(BASE, 0x10000, Prot.None);
    expect(program.user.u32(BASE)).toBe(null);
    program.mm.mprotect(BASE, 0x10000, RW);
    expect(program.user.u32(BASE)).toBe(5);
    expect(program.counts.minFlt).toBe(1);
    system.check();
  });
  test('munmap and MADV_DONTNEED of a part unfold, of the whole do not', () => {
    const { program, machine, system } = boot({ orders: [4] });
    program.map(0x30000, BASE);
    program.touch(BASE, 0x30000);
    program.mm.madvise(BASE + 0x3000, 0x2000, Madvise.DontNeed);
    expect(entryPicture(program.mm)).toBe(`0x1000000000 www..wwwwwwwwwww ${N16} ${N16}`);
    machine.fences.length = 0;
    program.mm.madvise(BASE + 0x10000, 0x10000, Madvise.DontNeed);
    expect(machine.fences.length).toBe(16);
    expect(entryPicture(program.mm)).toBe(`0x1000000000 www..wwwwwwwwwww ................ ${N16}`);
    system.check();
  });
  test('A and D of any of the sixteen are those of all when the run is unfolded', () => {
    const { program, machine } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.write(BASE);
    const table = program.mm.tables.tableAt(BASE / 4096, 0);
    if (table === 0) throw new Error('no table');
    for (let i = 0; i < 16; i++) machine.storePte(table, i, machine.pteLow(table, i) & ~(Pte.A | Pte.D), machine.pteHigh(table, i));
    program.mm.tables.orRaw(BASE / 4096 + 7, Pte.A);
    expect(program.mm.tables.get(BASE / 4096 + 2) & (Pte.A | Pte.D)).toBe(Pte.A);
    program.mm.tables.unfold(BASE / 4096);
    for (let i = 0; i < 16; i++) expect(machine.pteLow(table, i) & (Pte.A | Pte.D)).toBe(Pte.A);
  });
});

describe('mremap', () => {
  test('moves folded runs as they are between addresses that are aligned alike', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x20000, BASE);
    program.touch(BASE, 0x20000);
    const frame = program.frame(BASE + 0x3000);
    const to = program.mm.mremap(BASE, 0x20000, 0x20000, MremapFlag.MayMove | MremapFlag.Fixed, BASE + 0x110000);
    expect(to).toBe(BASE + 0x110000);
    expect(entryPicture(program.mm)).toBe(`0x1000110000 ${N16} ${N16}`);
    expect(program.frame(to + 0x3000)).toBe(frame);
    system.check();
  });
  test('unfolds where they are not', () => {
    const { program, system } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.touch(BASE, 0x10000);
    const to = program.mm.mremap(BASE, 0x10000, 0x10000, MremapFlag.MayMove | MremapFlag.Fixed, BASE + 0x113000);
    expect(entryPicture(program.mm)).toBe('0x1000113000 wwwwwwwwwwwww www');
    expect(picture(program.mm)).toBe('0x1000113000 4444444444444 444');
    program.mm.mremap(to, 0x10000, 0x10000, MremapFlag.MayMove | MremapFlag.Fixed, BASE);
    expect(entryPicture(program.mm)).toBe(`0x1000000000 ${N16}`);
    system.check();
  });
});
