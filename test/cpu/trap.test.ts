// How an instruction fails to happen: cause, stval and pc; what has been looked up and what has not changed. riscv-mmu facts, section 6.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Privilege } from '#mmu';
import { assemble } from '../support/assemble.ts';
import { hartRig } from '../support/hart-rig.ts';
import type { HartRig } from '../support/hart-rig.ts';

const CODE = 0x10000;
const DATA = 0x20000;
const lookups = (rig: HartRig): number[] => [...rig.machine.mmu.counters.lookups];

function rigWith(lines: readonly (string | number)[], registers: Record<string, number | bigint> = {}, at = CODE): HartRig {
  const rig = hartRig();
  rig.map(DATA, 'rw');
  rig.code(at, lines);
  rig.set(registers);
  return rig;
}

describe('instructions that trap by themselves', () => {
  test('ecall: cause 8, stval 0, pc stays on it, and it does not retire', () => {
    const rig = rigWith(['addi a0,zero,1', 'ecall']);
    expect(rig.run()).toBe('ecall at 0x0, pc 0x10004');
    expect([rig.machine.instret, rig.machine.hart.traps, lookups(rig)[0]]).toEqual([1, 1, 2]);
    expect(rig.run()).toBe('ecall at 0x0, pc 0x10004');
  });
  test('ebreak and its short form: stval is their address', () => {
    expect(rigWith(['ebreak']).run()).toBe('breakpoint at 0x10000, pc 0x10000');
    expect(rigWith(['addi a0,zero,1', 0x9002]).run()).toBe('breakpoint at 0x10004, pc 0x10004');
  });
  test('illegal: stval holds the 32 or 16 bits as they stand in memory', () => {
    const rig = hartRig();
    rig.map(CODE, 'rx');
    rig.machine.pc = BigInt(CODE);
    rig.write(CODE, Uint8Array.of(0xff, 0xff, 0xff, 0xff));
    expect(rig.run()).toBe('illegal bits 0xffffffff, pc 0x10000');
    rig.write(CODE, Uint8Array.of(0x00, 0x80, 0xff, 0xff)); // quadrant 0, funct3 4: reserved without Zcb
    expect(rig.run()).toBe('illegal bits 0x8000, pc 0x10000');
    rig.write(CODE, Uint8Array.of(0, 0, 0xff, 0xff));
    expect(rig.run()).toBe('illegal bits 0x0, pc 0x10000');
  });
  test.each(['sret', 'mret', 'wfi', 'sfence.vma a0,a1', 'sinval.vma zero,zero', 'sfence.w.inval', 'sfence.inval.ir'])('%s is illegal in user mode', (line) => {
    expect(rigWith([line]).run()).toBe(`illegal bits 0x${(assemble(line) >>> 0).toString(16)}, pc 0x10000`);
  });
  test('a reserved rounding mode is illegal, in the instruction and in frm, and changes nothing', () => {
    for (const lines of [['fadd.d fa0,fa1,fa2,5'], ['fcvt.w.s a0,fa1,6']]) {
      expect(rigWith(lines).run()).toMatch(/^illegal/);
    }
    const rig = rigWith(['csrrwi zero,frm,5', 'fadd.d fa0,fa1,fa2,rtz', 'fadd.d fa0,fa1,fa2,dyn']);
    rig.machine.hart.f[10] = 42n;
    expect(rig.run()).toMatch(/^illegal bits .*, pc 0x10008$/);
    expect(rig.machine.hart.f[10]).toBe(0n);
    expect(rig.machine.hart.fcsr).toBe(5 << 5);
  });
});

describe('CSRs', () => {
  test('fflags, frm and fcsr are views of one register', () => {
    const rig = rigWith(['csrrwi zero,fflags,31', 'csrrwi a0,frm,3', 'csrrs a1,fcsr,zero', 'csrrci a2,fflags,1', 'csrrsi a3,frm,4', 'csrrw a4,fcsr,s0', 'csrrc a5,fcsr,s1'], { s0: -1, s1: 0x21 });
    expect(rig.run(7)).toBe('budget');
    expect(['a0', 'a1', 'a2', 'a3', 'a4', 'a5'].map(rig.x)).toEqual([0n, 0x7fn, 31n, 3n, 0xfen, 0xffn]);
    expect(rig.machine.hart.fcsr).toBe(0xde);
  });
  test('instret counts what retired before; cycle adds what look-ups cost; time ticks at 10 MHz of a 1 GHz clock', () => {
    const rig = rigWith(['addi t0,zero,1', 'csrrs a0,instret,zero', 'csrrs a1,cycle,zero', 'csrrs a2,time,zero']);
    rig.machine.charge(12_345);
    expect(rig.run(4)).toBe('budget');
    const walk = rig.machine.mmu.cycles;
    expect(walk).toBeGreaterThan(0);
    expect([rig.x('a0'), rig.x('a1'), rig.x('a2')]).toEqual([1n, BigInt(2 + 12_345 + walk), BigInt(Math.floor((3 + 12_345 + walk) / 100))]);
    expect(rig.machine.clockCycles).toBe(4 + 12_345 + walk);
  });
  test('reading a read-only register without writing is allowed; writing one, or touching a privileged or absent one, is illegal', () => {
    expect(rigWith(['csrrs a0,cycle,zero', 'csrrci a0,time,0']).run(2)).toBe('budget');
    for (const line of ['csrrs a0,cycle,a1', 'csrrw zero,cycle,zero', 'csrrwi a0,instret,0', 'csrrs a0,sstatus,zero', 'csrrs a0,satp,zero', 'csrrs a0,mhartid,zero', 'csrrs a0,hpmcounter3,zero', 'csrrw a0,0x800,a0']) {
      expect(rigWith([line]).run(), line).toMatch(/^illegal/);
    }
  });
});

describe('translations that fail', () => {
  test('fetch: stval and pc are the target of the jump', () => {
    const rig = rigWith(['jalr zero,0(a0)'], { a0: 0x40_0002 });
    expect(rig.run()).toBe('fetch page fault at 0x400002, pc 0x400002');
    expect([rig.machine.instret, lookups(rig)[0]]).toEqual([1, 2]);
  });
  test('fetch from a page without x, and from an address that is not canonical', () => {
    expect(rigWith(['jalr zero,0(a0)'], { a0: DATA }).run()).toBe('fetch page fault at 0x20000, pc 0x20000');
    expect(rigWith(['jalr zero,0(a0)'], { a0: 1n << 40n }).run()).toBe('fetch page fault at 0x10000000000, pc 0x10000000000');
  });
  test('load, store and AMO: stval is the address, rd and memory keep their values, the retry counts again', () => {
    for (const [line, text] of [['ld a0,8(a1)', 'load'], ['sd a0,8(a1)', 'store'], ['amoadd.d a0,a2,(a1)', 'store'], ['lr.w a0,(a1)', 'load'], ['sc.w a0,a2,(a1)', 'store'], ['fld fa0,8(a1)', 'load'], ['fsw fa0,8(a1)', 'store']] as const) {
      const offset = line.includes('8(') ? 8 : 0;
      const rig = rigWith(['addi a3,zero,3', line], { a0: 7, a1: 0x50_0000 });
      const expected = `${text} page fault at 0x${(0x50_0000 + offset).toString(16)}, pc 0x10004`;
      expect(rig.run(), line).toBe(expected);
      expect(rig.run(), line).toBe(expected);
      expect(rig.x('a0')).toBe(7n);
      rig.map(0x50_0000, 'rw');
      expect(rig.run(1), line).toBe('budget');
      expect(lookups(rig).slice(1).reduce((a, b) => a + b)).toBe(3);
      expect(rig.machine.instret).toBe(2);
    }
  });
  test('a store to a read-only page faults though loads of it hit, also when the page is in the filter', () => {
    const rig = rigWith(['ld a0,0(a1)', 'ld a0,0(a1)', 'sd a0,0(a1)'], { a1: 0x30_0000 });
    rig.map(0x30_0000, 'r');
    expect(rig.run()).toBe('store page fault at 0x300000, pc 0x10008');
  });
  test('a frame that is not RAM is an access fault of the access\'s own kind', () => {
    const rig = rigWith(['ld a0,0(a1)']);
    rig.map(0x60_0000, 'rw', 0x10 as never);
    rig.set({ a1: 0x60_0010 });
    expect(rig.run()).toBe('load access at 0x600010, pc 0x10000');
    rig.code(CODE, ['sb a0,0(a1)']);
    expect(rig.run()).toBe('store access at 0x600010, pc 0x10000');
  });
});

describe('misaligned addresses', () => {
  test('LR is cause 4, SC and AMOs cause 6, before anything is looked up', () => {
    for (const [line, text] of [['lr.w a0,(a1)', 'load'], ['lr.d a0,(a1)', 'load'], ['sc.w a0,a2,(a1)', 'store'], ['amoswap.d a0,a2,(a1)', 'store']] as const) {
      const rig = rigWith([line], { a1: DATA + 2 });
      expect(rig.run()).toBe(`${text} misaligned at 0x20002, pc 0x10000`);
      expect(lookups(rig)).toEqual([1, 0, 0, 0]);
    }
  });
  test('a load across pages is two look-ups; the second page\'s fault has its first byte in stval', () => {
    const rig = rigWith(['ld a0,0(a1)'], { a0: 5, a1: DATA + 4093 });
    expect(rig.run()).toBe('load page fault at 0x21000, pc 0x10000');
    expect([lookups(rig)[1], rig.x('a0')]).toEqual([2, 5n]);
    rig.map(DATA + 4096, 'r');
    expect(rig.run(1)).toBe('budget');
    expect(lookups(rig)[1]).toBe(4);
  });
  test('the first page\'s fault comes first, and alone', () => {
    const rig = rigWith(['ld a0,0(a1)'], { a1: 0x6fff });
    expect(rig.run()).toBe('load page fault at 0x6fff, pc 0x10000');
    expect(lookups(rig)[1]).toBe(1);
  });
  test('a store across pages writes nothing unless both may be written', () => {
    const rig = rigWith(['sd a0,0(a1)'], { a0: -1, a1: DATA + 4092 });
    rig.map(DATA + 4096, 'r');
    expect(rig.run()).toBe('store page fault at 0x21000, pc 0x10000');
    expect([...rig.read(DATA + 4092, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    rig.map(DATA + 4096, 'rw');
    expect(rig.run(1)).toBe('budget');
    expect([...rig.read(DATA + 4092, 8)]).toEqual([255, 255, 255, 255, 255, 255, 255, 255]);
  });
});

describe('a 32-bit instruction whose halves lie in two pages', () => {
  const at = CODE + 0xffe;
  test('is fetched by two look-ups, one of them counted when the first faults', () => {
    const rig = hartRig();
    rig.code(at, ['addi a0,zero,77', 'addi a0,a0,1']);
    expect(rig.run(2)).toBe('budget');
    expect([rig.x('a0'), lookups(rig)[0]]).toEqual([78n, 3]);
    rig.unmap(CODE);
    rig.machine.fence(null, null);
    rig.machine.pc = BigInt(at);
    expect(rig.run()).toBe('fetch page fault at 0x10ffe, pc 0x10ffe');
    expect(lookups(rig)[0]).toBe(4);
  });
  test('faults with stval pc + 2 when its second page is missing; pc stays at its start', () => {
    const rig = hartRig();
    rig.code(at, ['addi a0,zero,77']);
    rig.unmap(CODE + 4096);
    expect(rig.run()).toBe('fetch page fault at 0x11000, pc 0x10ffe');
    expect([rig.machine.instret, lookups(rig)[0]]).toEqual([0, 2]);
  });
  test('a 16-bit instruction there does not touch the second page', () => {
    const rig = hartRig();
    rig.code(at, [0x4529 /* c.li a0,10 */]);
    expect(rig.run()).toBe('fetch page fault at 0x11000, pc 0x11000');
    expect([rig.x('a0'), lookups(rig)[0]]).toEqual([10n, 2]);
  });
  test('when its pages are mapped anew, or its second half is rewritten, the new bytes run', () => {
    const rig = hartRig();
    rig.code(at, ['addi a0,zero,1']);
    rig.run(1);
    rig.write(CODE + 0x1000, Uint8Array.of(0x20, 0x00)); // the immediate is 2 now
    rig.machine.pc = BigInt(at);
    rig.run(1);
    expect(rig.x('a0')).toBe(2n);
    const other = rig.map(CODE + 0x1000, 'rx');
    rig.machine.fence(null, null);
    rig.machine.writeFrame(other, 0, Uint8Array.of(0x30, 0x00));
    rig.machine.pc = BigInt(at);
    rig.run(1);
    expect(rig.x('a0')).toBe(3n);
  });
  test('can trap itself, with its own pc', () => {
    const rig = hartRig();
    rig.code(at, ['ld a0,0(zero)']);
    expect(rig.run()).toBe('load page fault at 0x0, pc 0x10ffe');
  });
});

test('bit 0 of a pc set from outside is dropped, as sepc drops it', () => {
  const rig = hartRig();
  rig.code(CODE, ['addi a0,zero,5']);
  rig.machine.pc = BigInt(CODE + 1);
  expect(rig.machine.pc).toBe(BigInt(CODE));
  expect(rig.run(1)).toBe('budget');
});

test('whatever the bytes and registers are, run() comes back, within its budget and with pc even', () => {
  const rig = hartRig();
  const { machine } = rig;
  for (let page = 0; page < 4; page++) rig.map(CODE + 4096 * page, 'rwx');
  fc.assert(fc.property(fc.uint8Array({ minLength: 64, maxLength: 400 }), fc.array(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), { minLength: 31, maxLength: 31 }), fc.integer({ min: -2, max: 8190 }),
    (bytes, values, at) => {
      for (let i = 0; i + 1 < bytes.length; i += 4) bytes[i]! |= 3;
      rig.write(CODE + 4096 + (at >> 1), bytes);
      machine.x.set(values, 1);
      for (let i = 1; i < 32; i += 2) machine.x[i] = BigInt(CODE + 4096) + (values[i - 1]! & 4095n);
      machine.pc = BigInt(CODE + 4096 + (at >> 1));
      for (let i = 0; i < 20; i++) {
        const before = machine.instret;
        const exit = machine.run(50);
        expect(machine.instret - before).toBeLessThanOrEqual(50);
        expect(machine.pc & 1n).toBe(0n);
        if (exit.kind === 0) machine.pc += exit.cause === 2 && (exit.tvalLo & 3) !== 3 ? 2n : 4n;
      }
    }), { numRuns: 150 });
});

test('the privilege is user mode', () => {
  expect(hartRig().machine.hart.privilege).toBe(Privilege.User);
});
