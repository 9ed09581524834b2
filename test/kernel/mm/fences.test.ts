// Fences and address-space identifiers: what is fenced, how widely, and when nothing needs to be.
import { describe, expect, test } from 'vitest';
import { asAsid, asVpn } from '#base';
import { Mm, MremapFlag, Prot } from '#kernel/mm/mm.ts';
import { Program, boot, bootSystem } from '../../support/mm-fixture.ts';
import type { FakeMachine } from '../../support/fake-machine.ts';

const BASE = 0x10_0000_0000;
const shown = (machine: FakeMachine): string[] => machine.fences.splice(0).map(({ asid, vpn }) => (vpn === null ? `all of ${asid ?? 'everybody'}` : `0x${(vpn * 4096).toString(16)} of ${asid}`));

describe('how widely', () => {
  test('a fresh mapping needs none', () => {
    const { program, machine } = boot({ orders: [4] });
    program.map(0x10000, BASE);
    program.touch(BASE, 0x10000);
    program.map(0x1000, BASE + 0x10000, Prot.Read);
    program.read(BASE + 0x10000);
    expect(shown(machine)).toEqual([]);
  });
  test('up to 64 pages are fenced one by one, more by one fence for all; freed tables always by one for all', () => {
    const { program, machine } = boot();
    program.map(0x200000, BASE);
    program.touch(BASE, 0x200000);
    program.mm.mprotect(BASE, 64 * 4096, Prot.Read);
    expect(machine.fences.length).toBe(64);
    shown(machine);
    program.mm.mprotect(BASE, 65 * 4096, Prot.None);
    expect(shown(machine)).toEqual(['all of 1']);
    program.mm.munmap(BASE + 0x1000, 0x2000);
    expect(shown(machine)).toEqual(['0x1000001000 of 1', '0x1000002000 of 1']);
    program.mm.munmap(BASE, 0x200000);
    expect(shown(machine)).toEqual(['all of 1']);
  });
  test('only the range that had pages counts', () => {
    const { program, machine } = boot();
    program.map(0x200000, BASE);
    program.write(BASE + 0x5000);
    program.write(BASE + 0x7000);
    program.mm.mprotect(BASE, 0x100000, Prot.Read);
    expect(shown(machine)).toEqual(['0x1000005000 of 1', '0x1000006000 of 1', '0x1000007000 of 1']);
  });
  test('2 MiB entries take one fence each', () => {
    const { program, machine } = boot({ orders: [9] });
    program.map(6 << 20, BASE);
    program.touch(BASE, 6 << 20);
    program.mm.mprotect(BASE, 6 << 20, Prot.Read);
    expect(shown(machine)).toEqual(['0x1000000000 of 1', '0x1000200000 of 1', '0x1000400000 of 1']);
    program.mm.mremap(BASE, 2 << 20, 2 << 20, MremapFlag.MayMove | MremapFlag.Fixed, BASE + (64 << 20));
    expect(shown(machine).length).toBe(1);
  });
  test('an address space that never ran needs none', () => {
    const { system, machine } = bootSystem();
    const mm = Mm.create(system)!;
    const program = new Program(mm);
    program.map(0x4000, BASE);
    program.touch(BASE, 0x4000);
    mm.munmap(BASE, 0x4000);
    expect(shown(machine)).toEqual([]);
  });
});

describe('address-space identifiers', () => {
  test('are kept while they last; then everybody gets a new one after one fence of everything', () => {
    const { system, machine } = bootSystem({ maxAsid: 2 });
    const [a, b, c] = [Mm.create(system)!, Mm.create(system)!, Mm.create(system)!];
    for (const mm of [a, b, a]) mm.activate();
    expect([a.asid, b.asid, machine.asid, shown(machine)]).toEqual([1, 2, 1, []]);
    c.activate();
    expect([c.asid, shown(machine)]).toEqual([1, ['all of everybody']]);
    expect(machine.root).toBe(c.root);
    b.activate();
    expect([b.asid, shown(machine)]).toEqual([2, []]);
    a.activate();
    expect([a.asid, shown(machine)]).toEqual([1, ['all of everybody']]);
  });
  test('a machine without them flushes at every change of address space', () => {
    const { system, machine } = bootSystem({ maxAsid: 0 });
    const [a, b] = [Mm.create(system)!, Mm.create(system)!];
    a.activate();
    b.activate();
    a.activate();
    a.activate();
    expect([machine.asid, shown(machine).length]).toEqual([asAsid(0), 3]);
    const program = new Program(a);
    program.map(0x1000, BASE);
    program.read(BASE);
    program.write(BASE);
    expect(machine.fences).toEqual([{ asid: asAsid(0), vpn: asVpn(BASE / 4096) }]);
  });
});
