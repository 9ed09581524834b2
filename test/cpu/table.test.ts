// The instruction table against itself, and the engine's literal case numbers against the table.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ILLEGAL, INSTRUCTIONS, Kind, decode, encode, opOf } from '#cpu';
import { rareOps } from '#cpu/interp.ts';
import { hasMeaning } from '#cpu/reference/loop.ts';
import { assemble } from '../support/assemble.ts';

test('what the interpreter of a short run leaves out can be asked for', () => {
  const rare = INSTRUCTIONS.flatMap(({ name }, op) => (rareOps[op] === 1 ? [{ name, op }] : []));
  expect(rare.map(({ name }) => name)).toEqual(expect.arrayContaining(['fmadd.d', 'csrrw', 'amomax.d']));
  expect(rare.filter(({ op }) => !hasMeaning(op))).toEqual([]);
});

test('no word is two instructions: where masks meet, the fixed bits differ, or one form is the special case of the other', () => {
  const special = new Set(['fence.i']);
  for (const a of INSTRUCTIONS) {
    for (const b of INSTRUCTIONS) {
      if (a === b || special.has(a.name)) continue;
      expect((a.match ^ b.match) & a.mask & b.mask, `${a.name} and ${b.name}`).not.toBe(0);
    }
  }
});

test('decoding finds every instruction, with the operands it was made of', () => {
  fc.assert(fc.property(fc.nat(INSTRUCTIONS.length - 1), fc.integer(), (op, random) => {
    const row = INSTRUCTIONS[op]!;
    const word = (random & ~row.mask) | row.match;
    const d = decode(word);
    expect(INSTRUCTIONS[d.op]?.name).toBe(row.name);
    expect(encode(row.name, d)).toBe(word);
  }), { numRuns: 3000 });
});

test('words that no line has are illegal: reserved funct fields, wide opcodes, all zeros and all ones', () => {
  for (const word of [0, -1, 0x00007003, 0x00002067, 0x40001033, 0x42001013, 0x0000005b, 0x00200073, 0x0200c027, 0x0000001f]) {
    expect(decode(word).op, `0x${(word >>> 0).toString(16)}`).toBe(ILLEGAL);
  }
});

test('the assembler of these tests reads names and operands off the same lines', () => {
  expect(assemble('addi a0,a1,-4') >>> 0).toBe(0xffc58513);
  expect(assemble('sd ra,8(sp)') >>> 0).toBe(0x00113423);
  expect(assemble('amoadd.w.aq a0,a1,(a2)') >>> 0).toBe(0x04b6252f);
  expect(assemble('beq a0,a1,-8') >>> 0).toBe(0xfeb50ce3);
  expect(assemble('fmadd.d fa0,fa1,fa2,fa3,rtz') >>> 0).toBe(0x6ac59543);
});

test('case numbers in the loop are the ops of the names behind them, and every instruction has a meaning in one place', () => {
  const source = readFileSync(join(import.meta.dirname, '../../cpu/reference/loop.ts'), 'utf8');
  const outer = source.slice(source.indexOf('switch (operation'));
  const inLoop = new Set<number>();
  let pairs = 0;
  for (const line of outer.split('\n')) {
    const numbers = [...line.matchAll(/case (\d+):/g)].map((m) => Number(m[1]));
    if (numbers.length === 0) continue;
    const names = line.slice(line.lastIndexOf('//') + 2).split(':')[0]!.trim().split(' ');
    expect(numbers.map((n) => INSTRUCTIONS[n]?.name), line).toEqual(names);
    for (const n of numbers) inLoop.add(n);
    pairs += numbers.length;
  }
  expect(pairs).toBeGreaterThan(100);
  const homeless = INSTRUCTIONS.filter((_row, op) => !inLoop.has(op) && !hasMeaning(op)).map((row) => row.name);
  expect(homeless).toEqual([]);
});

test('flags follow from what an instruction does', () => {
  const kind = (name: string): number => INSTRUCTIONS[opOf(name)]!.kind;
  expect(kind('lr.d')).toBe(Kind.Load);
  expect(kind('sc.d')).toBe(Kind.Store);
  expect(kind('fadd.d') & Kind.Rm).not.toBe(0);
  expect(kind('fsgnj.d') & Kind.Rm).toBe(0);
  expect(INSTRUCTIONS[opOf('fcvt.d.l')]).toMatchObject({ writesFrd: true, readsRs1: true, readsFrs1: false, writesRd: false });
  expect(INSTRUCTIONS[opOf('fsd')]).toMatchObject({ readsFrs2: true, readsRs1: true, readsRs2: false, accessBytes: 8 });
});
