// Every instruction executed, and its result compared: integer instructions with a second telling of them (support/naive-integer.ts), loads,
// stores and AMOs with bytes in memory. What the floating-point ones compute is float.test.ts's; here each runs once through the engine.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Format, ILLEGAL, INSTRUCTIONS, Kind, encode, opOf } from '#cpu';
import type { Instruction } from '#cpu';
import { hartRig } from '../support/hart-rig.ts';
import type { HartRig } from '../support/hart-rig.ts';
import { naive, naiveAmo, naiveBranch, signed } from '../support/naive-integer.ts';

const CODE = 0x10000;
const DATA = 0x20000;

/** Values where carries, signs and widths show. */
const interesting = [0n, 1n, -1n, 2n, -2n, 31n, 32n, 63n, 64n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, -0x8000_0000n, -0x8000_0001n,
  (1n << 53n) - 1n, 1n << 53n, -(1n << 53n), (1n << 63n) - 1n, -(1n << 63n), 0x0123_4567_89ab_cdefn, -0x0123_4567_89ab_cdefn, 0x00ff_0000_ff00_0001n];
const value = fc.oneof(fc.constantFrom(...interesting), fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), fc.bigInt({ min: -300n, max: 300n }),
  fc.bigInt({ min: -(1n << 32n), max: 1n << 32n }));

function rigWithData(): HartRig {
  const rig = hartRig();
  rig.map(CODE, 'rx');
  rig.map(DATA, 'rw');
  return rig;
}
/** Runs one instruction at CODE. */
function runOne(rig: HartRig, word: number): void {
  rig.write(CODE, new Uint8Array(Int32Array.of(word).buffer));
  rig.machine.pc = BigInt(CODE);
  expect(rig.run(1)).toBe('budget');
}
const immediateRange: Partial<Record<Format, readonly [number, number]>> = { [Format.I]: [-2048, 2047], [Format.Shift6]: [0, 63], [Format.Shift5]: [0, 31] };

const ran = new Set<string>();
const computing = INSTRUCTIONS.filter((row) => row.name in naive);

describe('computing instructions give what the manual says', () => {
  const rig = rigWithData();
  test.each(computing.map((row) => [row.name, row] as const))('%s', (name, row) => {
    ran.add(name);
    const range = immediateRange[row.format];
    fc.assert(fc.property(value, value, fc.integer({ min: range?.[0] ?? 0, max: range?.[1] ?? 0 }), fc.constantFrom([10, 11, 12], [11, 11, 12], [12, 11, 12], [10, 10, 10], [10, 0, 12], [10, 11, 0]),
      (a, b, imm, [rd, rs1, rs2]) => {
        const { x } = rig.machine;
        x.fill(0x5555n);
        x[11] = a;
        x[10] = a ^ b;
        x[12] = b;
        x[0] = 0n;
        const left = x[rs1!]!;
        const right = range === undefined ? x[rs2!]! : BigInt(imm);
        runOne(rig, encode(name, range === undefined ? { rd: rd!, rs1: rs1!, rs2: row.readsRs2 ? rs2! : 0 } : { rd: rd!, rs1: rs1!, imm }));
        expect(x[rd!], `${name} ${left} ${right}`).toBe(signed(naive[name]!(left, right)));
      }), { numRuns: 60 });
  });
});

test('what is written to x0 is lost', () => {
  const rig = rigWithData();
  for (const row of INSTRUCTIONS.filter((r) => r.writesRd && (r.kind & (Kind.Jump | Kind.System)) === 0)) {
    rig.set({ a1: DATA, a2: 5 });
    runOne(rig, encode(row.name, { rd: 0, rs1: 11, rs2: row.format === Format.R || row.format === Format.Amo ? 12 : 0, imm: 0 }));
    expect(rig.x('zero'), row.name).toBe(0n);
  }
});

test('lui and auipc put twenty bits up, sign-extended; auipc adds the pc of its own', () => {
  const rig = hartRig();
  ran.add('lui').add('auipc');
  rig.code(0x7ffff000, ['lui a0,0x80000', 'lui a1,0x7ffff', 'auipc a2,1', 'auipc a3,0x80000', 'auipc a4,0']);
  expect(rig.run(5)).toBe('budget');
  expect(rig.x('a0')).toBe(-0x8000_0000n);
  expect(rig.x('a1')).toBe(0x7fff_f000n);
  expect(rig.x('a2')).toBe(0x8000_0008n);
  expect(rig.x('a3')).toBe(0x7fff_f00cn - 0x8000_0000n);
  expect(rig.x('a4')).toBe(0x7fff_f010n);
});

describe('branches go where the comparison says', () => {
  const rig = rigWithData();
  test.each(Object.keys(naiveBranch))('%s', (name) => {
    ran.add(name);
    fc.assert(fc.property(value, fc.oneof(value, fc.constant(null)), fc.constantFrom(-4, 8, 2, 4094, -4096), (a, other, imm) => {
      const b = other ?? a;
      rig.set({ a0: a, a1: b });
      runOne(rig, encode(name, { rs1: 10, rs2: 11, imm }));
      expect(rig.machine.pc).toBe(BigInt(CODE + (naiveBranch[name]!(a, b) ? imm : 4)));
    }), { numRuns: 60 });
  });
});

test('jumps link the next instruction, also when the target register is the link; jalr drops bit 0', () => {
  const rig = hartRig();
  ran.add('jal').add('jalr');
  const { machine } = rig;
  rig.code(CODE, ['jal ra,-2048', 'jalr ra,3(ra)', 'jalr zero,-5(a0)']);
  rig.run(1);
  expect([machine.pc, rig.x('ra')]).toEqual([BigInt(CODE - 2048), BigInt(CODE + 4)]);
  machine.pc = BigInt(CODE + 4);
  rig.run(1);
  expect([machine.pc, rig.x('ra')]).toEqual([BigInt(CODE + 6), BigInt(CODE + 8)]);
  machine.pc = BigInt(CODE + 8);
  rig.set({ a0: 0x1_0000_0000 });
  rig.run(1);
  expect(machine.pc).toBe(0xffff_fffan);
  // The compressed form links two bytes on, and pc carries into its high half.
  rig.code(0xffff_fffc, [0x9582 /* c.jalr a1 */]);
  rig.set({ a1: 0x2_0000_0000 });
  rig.run(1);
  expect([machine.pc, rig.x('ra')]).toEqual([0x2_0000_0000n, 0xffff_fffen]);
  rig.code(0xffff_fffc, ['addi a0,zero,9', 'addi a0,a0,1']);
  rig.run(2);
  expect([machine.pc, rig.x('a0')]).toEqual([0x1_0000_0004n, 10n]);
});

const memoryRows = INSTRUCTIONS.filter((row) => row.accessBytes > 0 && row.extension !== 'A');
const sample = Uint8Array.of(0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8, 0x09, 0x1a, 0x2b, 0x3c, 0x4d, 0x5e, 0x6f, 0x70);

/** What a load of these bytes leaves in an x register. */
function extended(name: string, little: bigint, lenBytes: number): bigint {
  return name.endsWith('u') ? little : BigInt.asIntN(8 * lenBytes, little);
}
const littleEndian = (bytes: Uint8Array): bigint => bytes.reduceRight((n, b) => (n << 8n) | BigInt(b), 0n);

describe('loads and stores move the right bytes at every alignment, in a page and across two', () => {
  const rig = rigWithData();
  rig.map(DATA + 4096, 'rw');
  test.each(memoryRows.map((row) => [row.name, row] as const))('%s', (name, row: Instruction) => {
    ran.add(name);
    const { machine } = rig;
    const lenBytes = row.accessBytes;
    for (const warm of [false, true]) {
      for (let shift = 0; shift < 8; shift++) {
        for (const base of [DATA + 16, DATA + 4096 - 8]) {
          const at = base + shift;
          if (!warm) machine.fence(null, null);
          rig.write(base, new Uint8Array(16));
          rig.set({ a1: at + 100 });
          if ((row.kind & Kind.Load) !== 0) {
            rig.write(base, sample);
            runOne(rig, encode(name, { rd: 10, rs1: 11, imm: -100 }));
            const little = littleEndian(sample.subarray(shift, shift + lenBytes));
            const boxed = lenBytes === 4 ? BigInt.asIntN(64, little | (0xffff_ffffn << 32n)) : signed(little);
            if (row.writesFrd) expect(machine.hart.f[10], `at +${shift}`).toBe(boxed);
            else expect(rig.x('a0'), `at +${shift}`).toBe(extended(name, little, lenBytes));
          } else {
            machine.hart.f[12] = machine.x[12] = littleEndian(sample.subarray(0, 8));
            runOne(rig, encode(name, { rs2: 12, rs1: 11, imm: -100 }));
            const expected = new Uint8Array(16);
            expected.set(sample.subarray(0, lenBytes), shift);
            expect(rig.read(base, 16), `at +${shift}`).toEqual(expected.slice());
          }
        }
      }
    }
  });
});

describe('AMOs leave the new value in memory and the old one, sign-extended, in rd', () => {
  const rig = rigWithData();
  test.each(INSTRUCTIONS.filter((row) => (row.kind & Kind.Amo) !== 0).map((row) => [row.name, row.accessBytes] as const))('%s', (name, lenBytes) => {
    ran.add(name);
    fc.assert(fc.property(value, value, fc.constantFrom(10, 12, 11), (memory, operand, rd) => {
      const width = 8 * lenBytes;
      rig.write(DATA + 8, new Uint8Array(BigInt64Array.of(memory).buffer));
      rig.set({ a1: DATA + 8, a2: operand });
      runOne(rig, encode(name, { rd, rs1: 11, rs2: 12, imm: 3 }));
      const old = BigInt.asIntN(width, memory);
      const next = BigInt.asUintN(width, naiveAmo[name.split('.')[0]!]!(old, BigInt.asIntN(width, operand)));
      const kept = width === 32 ? (BigInt.asUintN(64, memory) >> 32n) << 32n : 0n;
      expect(littleEndian(rig.read(DATA + 8, 8)), `${name} ${memory} ${operand}`).toBe(kept | next);
      expect(rig.machine.x[rd]).toBe(old);
    }), { numRuns: 60 });
  });
});

describe('LR and SC', () => {
  const rig = rigWithData();
  const set = (): void => {
    rig.write(DATA, new Uint8Array(BigInt64Array.of(-2n).buffer));
    rig.set({ a1: DATA, a2: 0x1_0000_0007, a0: 99 });
  };
  test('a pair at one address succeeds once', () => {
    for (const [w, loaded, stored] of [['w', -2n, 0xffff_ffff_0000_0007n], ['d', -2n, 0x1_0000_0007n]] as const) {
      ran.add(`lr.${w}`).add(`sc.${w}`);
      set();
      rig.code(CODE, [`lr.${w} a3,(a1)`, `sc.${w} a0,a2,(a1)`, `sc.${w} a4,zero,(a1)`]);
      expect(rig.run(3)).toBe('budget');
      expect([rig.x('a3'), rig.x('a0'), rig.x('a4')]).toEqual([loaded, 0n, 1n]);
      expect(littleEndian(rig.read(DATA, 8))).toBe(stored);
    }
  });
  test('another address, a broken reservation and none at all fail, and memory keeps its bytes', () => {
    set();
    rig.code(CODE, ['lr.d a3,(a1)', 'addi a1,a1,8', 'sc.d a0,a2,(a1)', 'addi a1,a1,-8', 'sc.d a4,a2,(a1)']);
    rig.run(5);
    expect([rig.x('a0'), rig.x('a4')]).toEqual([1n, 1n]);
    set();
    rig.code(CODE, ['lr.d a3,(a1)', 'sc.d a0,a2,(a1)']);
    rig.run(1);
    rig.machine.clearReservation();
    rig.run(1);
    expect(rig.x('a0')).toBe(1n);
    expect(signed(littleEndian(rig.read(DATA, 8)))).toBe(-2n);
  });
  test('a store of its own between them does no harm, nor does single-stepping', () => {
    set();
    rig.code(CODE, ['lr.d a3,(a1)', 'sd zero,64(a1)', 'sc.d a0,a2,(a1)']);
    for (let i = 0; i < 3; i++) rig.run(1);
    expect(rig.x('a0')).toBe(0n);
  });
});

test('every floating-point instruction reaches its meaning, in registers and in fcsr', () => {
  const rig = rigWithData();
  for (const row of INSTRUCTIONS.filter((r) => (r.kind & Kind.Float) !== 0 && r.accessBytes === 0)) {
    ran.add(row.name);
    const { hart } = rig.machine;
    hart.f.fill(0x3ff8_0000_0000_0000n, 1);   // 1.5
    hart.f[2] = signed(0xffff_ffff_3fc0_0000n); // 1.5, boxed
    const single = row.name.includes('.s') && !row.name.startsWith('fcvt.d') || row.name === 'fmv.x.w' || row.name === 'fcvt.d.s';
    const source = single && row.name !== 'fcvt.s.d' ? 2 : 1;
    rig.set({ a0: 3, a1: 3 });
    hart.f[10] = 0n;
    rig.machine.x[10] = 0x5555n;
    runOne(rig, encode(row.name, { rd: 10, rs1: row.readsRs1 ? 11 : source, rs2: row.readsFrs2 ? source : 0, rs3: row.readsFrs3 ? source : 0, rm: (row.kind & Kind.Rm) !== 0 ? 1 : 0 }));
    if (row.writesRd) expect(rig.x('a0'), row.name).not.toBe(0x5555n);
    else if (!['fsub.s', 'fsub.d'].includes(row.name) && !row.name.startsWith('fmsub') && !row.name.startsWith('fnmsub')) expect(hart.f[10], row.name).not.toBe(0n);
  }
});

test('fences are no-ops for one hart; what the system instructions do is in trap.test.ts', () => {
  const rig = hartRig();
  ran.add('fence').add('fence.i');
  rig.code(CODE, ['fence', 'fence.i', 'addi a0,zero,1']);
  expect(rig.run(3)).toBe('budget');
  expect(rig.x('a0')).toBe(1n);
});

test('nothing of the table was left out', () => {
  const elsewhere = INSTRUCTIONS.filter((row) => (row.kind & Kind.System) !== 0).map((row) => row.name);
  const missing = INSTRUCTIONS.filter((row) => !ran.has(row.name) && !elsewhere.includes(row.name)).map((row) => row.name);
  expect(missing).toEqual([]);
  expect(opOf('no such')).toBe(ILLEGAL);
});
