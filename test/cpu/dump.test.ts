// Emitted code as text: every instruction by its name, and a region beside the guest's instructions.
import { expect, test } from 'vitest';
import { wasmText } from '#cpu/emit/text.ts';
import { Code, Mem, Op, Simd, Type } from '#cpu/emit/wasm.ts';
import { hartRig } from '../support/hart-rig.ts';

const text = (fill: (c: Code) => void): string[] => {
  const c = new Code({ params: [Type.I64], results: [] });
  fill(c);
  return wasmText(c.bytes, (kind, index) => `$${kind}${index}`).map(({ depth, text: line }) => `${'  '.repeat(depth)}${line}`);
};

test('every instruction that can be written has its name in the text format', () => {
  const dotted = (name: string): string => name.replace(/^(.\d+(x\d)?)_/, '$1.');
  for (const [name, op] of Object.entries(Op)) expect(text((c) => c.op(op, Op.drop))).toEqual([dotted(name), 'drop']);
  for (const [name, mem] of Object.entries(Mem)) expect(text((c) => c.mem(mem, 3_000_000_000).op(Op.drop))).toEqual([`${dotted(name)} offset=3000000000`, 'drop']);
  for (const [name, simd] of Object.entries(Simd)) {
    const lane = simd === Simd.f64x2_extract_lane;
    expect(text((c) => (lane ? c.simd(simd, 1) : c.simd(simd)).op(Op.drop))).toEqual([`${dotted(name)}${lane ? ' 1' : ''}`, 'drop']);
  }
});

test('numbers, structure and places read as they were written', () => {
  expect(text((c) => {
    const x = c.local(Type.F64);
    c.i32(-1).i32(2 ** 31 - 1).i64(-(2n ** 63n)).i64(64).f64(-0).f64(0.1).f64(Infinity).f64(NaN).get(0).set(x).tee(200);
    const out = c.block();
    const again = c.loop();
    c.if(Type.I32);
    c.br(again).else().brIf(out).end();
    c.brTable([out, again], out).end().end().call(7).callIndirect(3).loadVector(300);
  })).toEqual([
    'i32.const -1', 'i32.const 2147483647', 'i64.const -9223372036854775808', 'i64.const 64', 'f64.const -0', 'f64.const 0.1', 'f64.const inf', 'f64.const nan',
    'local.get $local0', 'local.set $local1', 'local.tee $local200',
    'block', '  loop', '    if (result i32)', '      br 1', '    else', '      br_if 2', '    end', '    br_table 1 0 1', '  end', 'end', 'call $function7', 'call_indirect (type 3)', 'v128.load offset=300',
  ]);
});

test('a region is told with what it covers, how often it was entered, and its code beside the guest\'s', () => {
  const rig = hartRig();
  const { machine } = rig;
  expect(machine.watchTranslation(0x1008n)).toBe(true);
  rig.map(0x5000);
  rig.code(0x1000, ['addi a0,zero,100', 'ld a1,8(s0)', 'add a2,a2,a1', 'addi a0,a0,-1', 'bne a0,zero,-12', 'ecall']);
  rig.set({ s0: 0x5000 });
  rig.run(50);
  rig.run(); // regions are made between runs
  const [region, ...others] = machine.watchedTranslations();
  expect(others).toEqual([]);
  expect(region).toMatchObject({ pc: 0x1004n, form: 'stops', nrInstrs: 4, ranges: [[0x1004n, 0x1014n]], stands: true });
  expect(region!.entries).toBeGreaterThan(0);
  expect(machine.busiestTranslations(1)).toEqual([{ pc: 0x1004n, entries: region!.entries }]);
  const lines = region!.lines.map((line) => line.trim());
  const at = lines.indexOf('1008: add a2,a2,a1');
  expect(lines.slice(at, at + 5)).toEqual(['1008: add a2,a2,a1', 'local.get $a2', 'local.get $a1', 'i64.add', 'local.set $a2']);
  expect(lines.filter((line) => /^[0-9a-f]+: /.test(line))).toEqual(['1004: ld a1,8(s0)', '1008: add a2,a2,a1', '100c: addi a0,a0,-1', '1010: bnez a0,0x1004']);
  for (const expected of [/remembered page 0, tag$/, /read filter, tag$/, /read filter, delta$/, /;; a2$/, /count of loads$/, /^loop$/]) expect(lines.some((line) => expected.test(line)), `${expected}`).toBe(true);

  // Its bytes change: what was made of them is still told, as dropped.
  rig.write(0x1008, new Uint8Array(4));
  rig.run(1);
  expect(machine.watchedTranslations()).toMatchObject([{ pc: 0x1004n, stands: false, entries: region!.entries }]);
});

test('an address that no region holds gives none, and an engine without regions says so', () => {
  const rig = hartRig();
  rig.machine.watchTranslation(0x1006n);
  rig.code(0x1000, ['addi a0,zero,100', 'addi a0,a0,-1', 'bne a0,zero,-4', 'ecall']);
  rig.run(50);
  rig.run();
  expect(rig.machine.translation!.regions).toBeGreaterThan(0);
  expect(rig.machine.watchedTranslations()).toEqual([]);
  expect(hartRig({ engine: 'interp' }).machine.watchTranslation(0x1000n)).toBe(false);
});
