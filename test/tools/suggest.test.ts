import { describe, expect, test } from 'vitest';
import { didYouMean, editDistance, nearMisses } from '#tools/suggest.ts';

describe('editDistance', () => {
  test.each([
    ['', 'abc', 3], ['kitten', 'sitting', 3], ['gups', 'gups', 0], ['gusp', 'gups', 1], ['preset', 'presets', 1], ['abc', 'cab', 2],
  ])('%s to %s is %i edits', (a, b, edits) => {
    expect(editDistance(a, b)).toBe(edits);
    expect(editDistance(b, a)).toBe(edits);
  });
});

describe('near misses', () => {
  const names = ['preset', 'presets', 'mem', 'max-insn', 'mthp', 'thp'];
  test('the nearest name comes first', () => expect(nearMisses('perset', names)[0]).toBe('preset'));
  test('a word inside a name is near enough', () => expect(nearMisses('insn', names)).toEqual(['max-insn']));
  test('what resembles nothing suggests nothing', () => expect(didYouMean('zzzzzz', names)).toBe(''));
  test('a suggestion is a question with the prefix before each name', () => expect(didYouMean('thpp', ['thp', 'mthp'], '--')).toBe(' Did you mean --thp?'));
});
