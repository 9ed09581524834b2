// The debugger's command table: every command has its help, every line means one command or is refused with what to write instead.
import { describe, expect, test } from 'vitest';
import { UserError } from '#base';
import { commandOf, completionsOf, debugCommands } from '#tools/debugger/commands/index.ts';
import type { Debugger } from '#tools/debugger/debugger.ts';
import { scriptLines } from '#tools/debugger/script.ts';
import { wrapLine } from '#tools/debugger/views/text.ts';

const meant = (line: string): string => {
  const { command, rest } = commandOf(line);
  return rest === '' ? command.name : `${command.name}|${rest}`;
};
const refused = (line: string): string => {
  try {
    commandOf(line);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'accepted';
};

test('no two commands have a name or alias in common, and each says what it does in a line', () => {
  const names = debugCommands.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  for (const { name, summary, usage, details = [] } of debugCommands) {
    expect(summary, name).toMatch(/^\S.*[^.]$/);
    expect(`  ${name.padEnd(19)} ${summary}`.length, name).toBeLessThanOrEqual(80);
    for (const line of [usage, ...details]) expect(line.trim().length, name).toBeLessThanOrEqual(240);
  }
});
test('every move has its way back', () => {
  for (const name of ['continue', 'stepi', 'step', 'next', 'finish', 'into', 'step phase', 'out', 'event']) expect(debugCommands.map((c) => c.name)).toEqual(expect.arrayContaining([name, `reverse-${name}`]));
});
test('a line means a command by its name, an alias or a beginning', () => {
  expect(['continue', 'c', 'cont', 'rc', 'reverse-stepi 5', 'rsi', 'si 10', 's', 'step phase', 'sp', 'step  phase', 'step 3', 'info b', 'info breakpoints', 'w', 'info  threads', 'x/8xw sp', 'x sp', 'break fault anon if vma.name == "a  b"', 'b main', 'last-write pte 0x1000'].map(meant)).toEqual([
    'continue', 'continue', 'continue', 'reverse-continue', 'reverse-stepi|5', 'reverse-stepi', 'stepi|10', 'step', 'step phase', 'step phase', 'step phase', 'step|3', 'info breakpoints', 'info breakpoints', 'where', 'info threads',
    'x|/8xw sp', 'x|sp', 'break|fault anon if vma.name == "a  b"', 'break|main', 'last-write|pte 0x1000',
  ]);
});
describe('a line that means nothing, or several things, is refused', () => {
  test.each([['contineu', /^contineu: not a command\. Did you mean continue/], ['info', /^info: says too little\. Write info breakpoints, .* or info events\.$/], ['st', /^st: could be stepi, step/], ['info x', /^info x: not a command\. Write info breakpoints, /], ['\u{1f600}', /not a command/], ['\x1b[31mred', /^\?\[31mred: not a command/], ['a'.repeat(500), /^a{40}: not a command/]])('%s', (line, message) => { expect(refused(line)).toMatch(message); });
});
test('completion knows commands, their second words, and what may follow them', () => {
  const d = { code: { names: ['main'] }, points: { all: [] } } as unknown as Debugger;
  expect(completionsOf(d, 'cont').words).toEqual(['continue']);
  expect(completionsOf(d, 'info br').words).toEqual(['breakpoints']);
  expect(completionsOf(d, 'break fault swap').words).toEqual(['swap', 'swap-in']);
  expect(completionsOf(d, 'watch counter pgfa').words).toEqual(['pgfault']);
  expect(completionsOf(d, 'break ma').words).toContain('main');
  expect(completionsOf(d, 'nothing at all').words).toEqual([]);
});
test('a script has a command a line; blank lines and comments are counted, not run', () => {
  expect(scriptLines('# first\n\nwhere\r\n  seek #12  \n')).toEqual([{ line: 'where', number: 3 }, { line: 'seek #12', number: 4 }]);
});
test('long lines are broken at blanks and indented; colours take no room', () => {
  const words = Array.from({ length: 30 }, (_, i) => `word${i}`).join(' ');
  const pieces = wrapLine(`  ${words}`);
  expect(pieces.length).toBeGreaterThan(2);
  expect(pieces.every((piece) => piece.length <= 80)).toBe(true);
  expect(pieces[1]).toMatch(/^ {6}word/);
  expect(pieces.map((piece) => piece.trim()).join(' ')).toBe(words);
  expect(wrapLine(`\x1b[1m${'x'.repeat(80)}\x1b[22m`)).toHaveLength(1);
  expect(wrapLine('x'.repeat(200))).toHaveLength(1);
});
