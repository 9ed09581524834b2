// The machine as the kernel sees it: budgets, contexts, address spaces, clock, hash, and the sizes it accepts.
import { describe, expect, test } from 'vitest';
import { StateHash, UserError, asAsid, asPfn, asVpn } from '#base';
import { Machine } from '#cpu';
import { presets } from '#mmu';
import type { Machine as KernelsMachine } from '#kernel/machine.ts';
import { assembleAll } from '../support/assemble.ts';
import { hartRig, tinyInclusive } from '../support/hart-rig.ts';

const CODE = 0x10000;

test('fits the kernel\'s interface by shape', () => {
  const machine: KernelsMachine = hartRig().machine;
  expect(machine.run(0)).toMatchObject({ kind: 1 });
});

describe('budgets are exact', () => {
  const loop = ['addi a0,a0,1', 'addi a1,a1,1', 'addi a2,a2,1', 'bne a0,zero,-12'];
  test.each([0, 1, 2, 3, 4, 5, 63, 64, 65, 1000])('%i', (budget) => {
    const rig = hartRig();
    rig.code(CODE, loop);
    expect(rig.run(budget)).toBe('budget');
    expect(rig.machine.instret).toBe(budget);
    expect(rig.x('a0')).toBe(BigInt(Math.ceil(budget / 4)));
    expect(rig.machine.pc).toBe(BigInt(CODE + 4 * (budget % 4)));
  });
  test('a trap right behind the last budgeted instruction waits for the next run', () => {
    const rig = hartRig();
    rig.code(CODE, ['addi a0,a0,1', 'ecall']);
    expect(rig.run(1)).toBe('budget');
    expect(rig.run(1)).toBe('ecall at 0x0, pc 0x10004');
  });
  test('more than 32 bits of them are one budget', () => {
    const rig = hartRig();
    rig.code(CODE, ['addi a0,a0,-1', 'bne a0,zero,-4', 'ecall']);
    rig.set({ a0: 1000 });
    expect(rig.run(2 ** 40)).toBe('ecall at 0x0, pc 0x10008');
    expect(rig.machine.instret).toBe(2000);
  });
});

test('a context is pc, x1 to x31, f0 to f31, fcsr, and comes back as it was', () => {
  const rig = hartRig();
  const { machine } = rig;
  machine.pc = 0xffff_ffff_8000_1234n;
  for (let i = 0; i < 32; i++) {
    machine.x[i] = BigInt(-i);
    machine.hart.f[i] = BigInt(1000 + i);
  }
  machine.hart.fcsr = 0x61;
  const saved = new BigInt64Array(65);
  machine.saveContext(saved);
  expect([saved[0], saved[1], saved[31], saved[32], saved[63], saved[64]]).toEqual([-0x7fff_edccn, -1n, -31n, 1000n, 1031n, 0x61n]);
  machine.x.fill(5n);
  machine.hart.f.fill(6n);
  machine.hart.fcsr = 0;
  machine.pc = 0n;
  machine.loadContext(saved);
  const copy = new BigInt64Array(65);
  machine.saveContext(copy);
  expect(copy).toEqual(saved);
  expect(machine.x[0]).toBe(0n);
  expect(machine.xHalves[3]).toBe(-1);
});

test('whatever is written to x[0], the program reads zero', () => {
  const rig = hartRig();
  rig.code(CODE, ['add a0,zero,zero']);
  rig.machine.x[0] = 99n;
  rig.run(1);
  expect(rig.x('a0')).toBe(0n);
});

test('setAddressSpace and fence do what satp and sfence.vma do', () => {
  const rig = hartRig();
  const { machine } = rig;
  rig.code(CODE, ['jal zero,0']);
  rig.run(10);
  expect(machine.mmu.counters.l1Misses[0]).toBe(1);
  machine.fence(asAsid(1), asVpn(CODE / 4096));
  rig.run(10);
  expect(machine.mmu.counters.l1Misses[0]).toBe(2);
  machine.fence(asAsid(2), null);
  rig.run(10);
  expect(machine.mmu.counters.l1Misses[0]).toBe(2);
  machine.setAddressSpace(rig.root, asAsid(0xffff));
  rig.run(10);
  expect(machine.mmu.counters.l1Misses[0]).toBe(3);
  expect([machine.mmu.satpHi >>> 28, (machine.mmu.satpHi >>> 12) & 0xffff, machine.mmu.satpLo]).toEqual([8, 0xffff, rig.root]);
});

test('the clock is instructions, look-ups and charges', () => {
  const rig = hartRig();
  rig.code(CODE, ['jal zero,0']);
  rig.run(100);
  rig.machine.charge(1e9);
  expect(rig.machine.clockCycles).toBe(100 + rig.machine.mmu.cycles + 1e9);
});

test('the state hash tells registers, counters and frames apart, and equal runs alike', () => {
  const digest = (change: (rig: ReturnType<typeof hartRig>) => void): string => {
    const rig = hartRig();
    rig.code(CODE, ['jal zero,0']);
    rig.run(10);
    change(rig);
    const hash = new StateHash();
    rig.machine.hash(hash);
    rig.machine.hashFrames(hash, [asPfn(rig.root), asPfn(rig.root + 1)]);
    return hash.digest();
  };
  const changes: ((rig: ReturnType<typeof hartRig>) => void)[] = [
    () => {}, (r) => { r.machine.x[31] = 1n; }, (r) => { r.machine.hart.f[31] = 1n; }, (r) => { r.machine.pc += 2n; }, (r) => { r.machine.charge(1); },
    (r) => { r.run(1); }, (r) => { r.machine.storePte(r.root, 511, 1, 0); },
  ];
  const digests = changes.map(digest);
  expect(new Set(digests).size).toBe(changes.length);
  expect(changes.map(digest)).toEqual(digests);
});

test('frames are read and written across their borders', () => {
  const { machine } = hartRig();
  const first = asPfn(machine.ram.firstPfn + 100);
  machine.writeFrame(first, 4090, Uint8Array.from({ length: 12 }, (_, i) => i + 1));
  const bytes = new Uint8Array(4);
  machine.readFrame(first, 4094, bytes);
  expect([...bytes]).toEqual([5, 6, 7, 8]);
  machine.readFrame(asPfn(first + 1), 0, bytes);
  expect([...bytes]).toEqual([7, 8, 9, 10]);
});

test('RAM must be whole pages between 16M and 3.5G, and every preset fits beside it', () => {
  for (const ramBytes of [0, 4096, 16 * 2 ** 20 - 4096, 16 * 2 ** 20 + 1, 4 * 2 ** 30, NaN]) {
    expect(() => new Machine({ ramBytes, tlb: tinyInclusive }), `${ramBytes}`).toThrow(UserError);
  }
  for (const tlb of presets()) expect(new Machine({ ramBytes: 16 * 2 ** 20, tlb }).ram.nrFrames).toBe(4096);
});

test('with 3.5G of RAM the last frame works', () => {
  const rig = hartRig({ ramBytes: 3584 * 2 ** 20 });
  const { machine } = rig;
  const last = asPfn(machine.ram.firstPfn + machine.ram.nrFrames - 1);
  rig.map(CODE, 'rwx', last);
  rig.code(CODE, ['addi a0,a0,1', 'sd a0,100(a1)', 'ld a2,100(a1)', 'lbu a3,100(a1)', 'lhu a4,100(a1)', 'sb a0,107(a1)', 'ld a5,101(a1)', 'bne a0,a6,-28', 'ecall']);
  rig.set({ a1: CODE + 0x800, a6: 300 });
  expect(rig.run(5000)).toMatch(/^ecall/);
  expect(['a2', 'a3', 'a4', 'a5'].map(rig.x)).toEqual([300n, 44n, 300n, 0x002c_0000_0000_0001n]);
});

describe('frames that are zeroed hold zeros, whoever wrote to them in between', () => {
  const frames = 32;
  const store = ['sd a0,0(a1)', 'jal zero,-4'];
  const sum = (rig: ReturnType<typeof hartRig>, first: number): number => {
    const bytes = new Uint8Array(frames * 4096);
    rig.machine.readFrame(asPfn(first), 0, bytes);
    return bytes.reduce((n, b) => n + b, 0);
  };
  const writers: Readonly<Record<string, (rig: ReturnType<typeof hartRig>, first: number) => void>> = {
    nobody: () => {},
    'the kernel, bytes': (rig, first) => rig.machine.writeFrame(asPfn(first + 3), 100, Uint8Array.of(1, 2)),
    'the kernel, a copy': (rig, first) => {
      rig.machine.writeFrame(asPfn(first - 1), 0, Uint8Array.of(7));
      rig.machine.copyFrame(asPfn(first + 31), asPfn(first - 1));
    },
    'the kernel, entries': (rig, first) => {
      rig.machine.storePte(asPfn(first), 5, 0x1001, 0);
      rig.machine.storePtes(asPfn(first + 1), 8, 16, 0x2001, 1, 1024);
    },
    'a program': (rig) => { rig.run(2); },
    'a program through a translation that no fence has ended': (rig) => { rig.run(2); rig.unmap(0x40000); },
  };
  for (const [name, write] of Object.entries(writers)) {
    test(name, () => {
      const rig = hartRig();
      const first = rig.machine.ram.firstPfn + 1024;
      rig.map(0x40000, 'rw', asPfn(first + 4));
      rig.code(CODE, store);
      rig.set({ a0: 0x55, a1: 0x40000 });
      for (let round = 0; round < 3; round++) {
        write(rig, first);
        if (name !== 'nobody') expect(sum(rig, first)).toBeGreaterThan(0);
        rig.machine.zeroFrames(asPfn(first), frames);
        expect(sum(rig, first)).toBe(0);
      }
    });
  }
  test('with translation off, too', () => {
    const rig = hartRig();
    const first = rig.machine.ram.firstPfn + 1024;
    rig.machine.mmu.writeSatp(0, 0);
    const bytes = assembleAll(store);
    rig.machine.writeFrame(rig.root, 0, bytes);
    rig.machine.pc = BigInt(rig.root) * 4096n;
    rig.set({ a0: 0x55, a1: (first + 4) * 4096 });
    for (let round = 0; round < 3; round++) {
      rig.run(2);
      expect(sum(rig, first)).toBe(0x55);
      rig.machine.zeroFrames(asPfn(first), frames);
      expect(sum(rig, first)).toBe(0);
    }
  });
});

test('a frame holds zeros until one of its bits is set, wherever that is, and again when it is zeroed', () => {
  const { machine } = hartRig();
  const pfn = asPfn(machine.ram.firstPfn + 5);
  expect(machine.holdsZeros(pfn)).toBe(true);
  for (const at of [0, 3, 7, 8, 2047, 4088, 4091, 4092, 4095]) {
    for (const bit of [1, 0x80]) {
      machine.writeFrame(pfn, at, Uint8Array.of(bit));
      expect([at, bit, machine.holdsZeros(pfn)]).toEqual([at, bit, false]);
      machine.writeFrame(pfn, at, Uint8Array.of(0));
      expect(machine.holdsZeros(pfn)).toBe(true);
    }
  }
  machine.writeFrame(pfn, 100, Uint8Array.of(1));
  machine.zeroFrames(pfn, 1);
  expect(machine.holdsZeros(pfn)).toBe(true);
});
