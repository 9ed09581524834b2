import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError } from '#base';
import { condition, expression, isTrue } from '#tools/debugger/expression.ts';
import type { Facts, FieldType, Scope, Value } from '#tools/debugger/expression.ts';

const fields: Readonly<Record<string, Value | number>> = { order: 4, flags: 6, a0: -1, len: 2 ** 21, 'vma.name': '[heap]', kind: 'anon', isMajor: false };
const types = (value: Value | number): FieldType => (typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'flag' : 'number');
const scope: Scope = { typeOf: (path) => (path in fields ? types(fields[path]!) : undefined), names: Object.keys(fields) };
const facts: Facts = { field: (path) => fields[path]!, memory: (address, lenBytes, isSigned) => (address < 0n ? null : BigInt[isSigned ? 'asIntN' : 'asUintN'](8 * lenBytes, 0xfff0n + address)) };
const value = (text: string): Value => expression(text, scope).evaluate(facts);
const refusal = (text: string): string => {
  try {
    condition(text, scope).evaluate(facts);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  throw new Error(`${text}: was accepted`);
};

test('numbers come in decimal, hexadecimal and with K, M and G', () => {
  expect(['12', '0x1F', '4K', '1m', '2G'].map(value)).toEqual([12n, 31n, 4096n, 1048576n, 2147483648n]);
});
test('operators bind from || to unary, and & before ==', () => {
  expect(value('1 + 2 * 3 - 8 / 3 % 2')).toBe(7n);
  expect(value('1 << 2 + 1')).toBe(8n);
  expect(value('flags & 2 == 2')).toBe(true);
  expect(value('flags | 1 == 7 && order == 4 || 1 / 0')).toBe(true);
  expect(value('!(order < 4) && -a0 == 1')).toBe(true);
  expect(value('10 - 3 - 2')).toBe(5n);
});
test('a name in brackets, as /proc/PID/maps has it, is the name without', () => {
  expect(value('vma.name == "heap"')).toBe(true);
  expect(value('vma.name == "[heap]"')).toBe(true);
  expect(value("vma.name != 'stack'")).toBe(true);
});
test('memory is read with a sign or without', () => {
  expect(value('u8(0)')).toBe(0xf0n);
  expect(value('i8(order)')).toBe(-12n);
  expect(value('u16(1) == 0xfff1')).toBe(true);
});
test('the right side of && and || is asked only when it counts', () => {
  expect(value('order == 5 && 1 / 0 == 1')).toBe(false);
  expect(value('order == 4 || u8(-1) == 1')).toBe(true);
});
test('fields are known by name, with or without a dollar sign', () => {
  expect(expression('$a0 + order > len', scope).fields).toEqual(['a0', 'order', 'len']);
  expect(isTrue(condition('$a0 == -1', scope), facts)).toBe(true);
});

describe('what is wrong has a sentence and a caret under its place', () => {
  const at = (text: string): [sentence: string, column: number] => {
    const [sentence = '', shown = '', caret = ''] = refusal(text).split('\n');
    expect(shown).toBe(`  ${text}`);
    return [sentence, caret.indexOf('^') - 2];
  };
  test.each([
    ['ordre < 4', 'ordre: there is no such field here. Did you mean order?', 0],
    ['order <', 'something is missing at the end: a name, a number or a "text".', 7],
    ['order = 4', 'a single =. Write == to compare.', 6],
    ['order < "x"', '< wants a number, and this is a text.', 8],
    ['order == "x"', '== compares a number with a text. Write texts in quotes, numbers without.', 6],
    ['(order < 4', 'this ( is not closed.', 0],
    ['order < 4)', 'this ) closes nothing.', 9],
    ['1 < order < 4', 'comparisons do not chain. Write a < b && b < c.', 10],
    ['order 4', 'an operator is missing before this.', 6],
    ['vma.name', 'a text is neither true nor false. Write a comparison, as in vma.name == "heap".', 0],
    ['kind && order', '&& wants the answer of a comparison or a number, and this is a text. Write == with it.', 0],
    ['order / (flags - 6)', 'division by zero.', 6],
    ['1 << 65 > 0', 'a shift by 65. Write 0 to 64.', 2],
    ['u32(a0) == 1', 'nothing is mapped at 0xffffffffffffffff.', 0],
    ['read(4) == 1', 'read(...): not a read of memory. Write u8, i8, u16, i16, u32, i32, u64, i64 with an address, as in u32(sp + 8).', 0],
    ['4KB == order', 'a number ends here. Write it as 4096, 0x1000 or 4K (K, M, G: times 1024).', 2],
    ['vma.name == "heap', 'the text that begins here does not end. Write " after it.', 12],
  ])('%s', (text, sentence, column) => { expect(at(text)).toEqual([sentence, column]); });
  test('nothing at all', () => expect(refusal('  ')).toMatch(/^an expression is missing/));
  test('too deep, too long', () => {
    expect(refusal(`${'('.repeat(65)}1${')'.repeat(65)}`)).toMatch(/^nested more than 64 deep/);
    expect(refusal(`${'!'.repeat(65)}1`)).toMatch(/^nested more than 64 deep/);
    expect(refusal('1+'.repeat(2000))).toMatch(/Write at most 2000/);
  });
});

/** Replays with QUIRE_SEED=n. */
const seed = Number(process.env['QUIRE_SEED'] ?? 20260101);
const numRuns = process.env['QUIRE_LONG'] === undefined ? 2000 : 200_000;
const fuzz = { seed, numRuns, verbose: 1 } as const;

test(`whatever is typed gives a value or a sentence, never a crash (QUIRE_SEED=${seed})`, () => {
  const piece = fc.constantFrom('order', 'flags', 'a0', '$len', 'vma.name', 'kind', 'u8', '(', ')', '"heap"', '"', '\'', '1', '0x10', '4K', '1G', '0', '-', '!', '+', '*', '/', '%', '&', '|', '&&', '||', '<<', '>>', '<', '<=', '==', '!=', '=', '.', ' ', '\u{1f600}', '\n');
  fc.assert(fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }), fc.array(piece, { maxLength: 25 }).map((all) => all.join(' ')), fc.array(piece, { maxLength: 25 }).map((all) => all.join(''))), (text) => {
    try {
      expression(text, scope).evaluate(facts);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      expect(error.message.split('\n')[0]).toMatch(/\w/);
    }
  }), fuzz);
});

// Arithmetic against JavaScript's own, fully parenthesised and then with only the parentheses that precedence needs.
type Tree = bigint | readonly [operator: string, left: Tree, right: Tree];
const precedence: Readonly<Record<string, number>> = { '|': 3, '&': 4, '<<': 5, '>>': 5, '+': 6, '-': 6, '*': 7 };
const tree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof({ depthSize: 'small' }, fc.bigInt({ min: 0n, max: 99n }), fc.tuple(fc.constantFrom('|', '&', '+', '-', '*'), tie('tree'), tie('tree'))),
})).tree;
const worth = (t: Tree): bigint => {
  if (typeof t === 'bigint') return t;
  const [a, b] = [worth(t[1]), worth(t[2])];
  return t[0] === '|' ? a | b : t[0] === '&' ? a & b : t[0] === '+' ? a + b : t[0] === '-' ? a - b : a * b;
};
const write = (t: Tree, above: number): string => {
  if (typeof t === 'bigint') return `${t}`;
  const own = precedence[t[0]]!;
  const text = `${write(t[1], own)} ${t[0]} ${write(t[2], own + 1)}`;
  return own < above ? `(${text})` : text;
};
test(`precedence is as declared, for random trees (QUIRE_SEED=${seed})`, () => {
  fc.assert(fc.property(tree, (t) => { expect(value(write(t, 0))).toBe(worth(t)); }), fuzz);
});
