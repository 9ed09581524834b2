// Lines and functions beside binutils: readelf and addr2line say the same of the same file.
import { afterAll, describe, expect, test } from 'vitest';
import { readLineTable } from '#tools/debugger/dwarf/line.ts';
import { Abbreviations, readUnits } from '#tools/debugger/dwarf/index.ts';
import type { ProgramSource } from '#tools/debugger/source.ts';
import { spawnSync } from 'node:child_process';
import { ask, CrossFolder, hasBinutils, hasGcc, hasGdb, hasZig, missing } from '../../support/cross-tools.ts';
import { debugGuest, lineOf, sourceOf } from '../../support/debug-guest.ts';

const folder = new CrossFolder();
afterAll(() => folder.remove());
const breakCases = (['gcc', ...(hasZig ? ['zig' as const] : [])] as const).flatMap((compiler) => ['-O0', '-O2'].map((level) => [compiler, level] as const));
const levels = ['-O0', '-O2'].flatMap((o) => ['-gdwarf-4', '-gdwarf-5'].map((g) => [o, g] as const));

/** Addresses that readelf's table covers, with its rows as 'address line stmt'. */
function decodedLines(path: string): { rows: string[]; ranges: [number, number][] } {
  const rows: string[] = [];
  const ranges: [number, number][] = [];
  let start = -1;
  for (const text of ask('readelf', ['--debug-dump=decodedline', path]).split('\n')) {
    const match = /^\S.*?\s+(\d+|-)\s+(0x[\da-f]+|0)(?:\s+(\d+))?(\s+x)?(\s+END)?\s*$/.exec(text);
    if (match === null) continue;
    const address = Number(match[2]);
    if (match[1] === '-') {
      if (start > 1 && address > start) ranges.push([start, address]);
      start = -1;
      continue;
    }
    if (start < 0) start = address;
    rows.push(`${address.toString(16)} ${match[1]}${match[4] === undefined ? '' : ' x'}`);
  }
  return { rows, ranges };
}
/** The same of ours, sequence by sequence. */
function ourRows(source: ProgramSource): string[] {
  const section = (name: string): Uint8Array => source.elf.section(name) ?? new Uint8Array(0);
  const sections = {
    info: section('.debug_info'), abbrev: section('.debug_abbrev'), line: section('.debug_line'), str: section('.debug_str'), lineStr: section('.debug_line_str'),
    strOffsets: section('.debug_str_offsets'), addr: section('.debug_addr'), ranges: section('.debug_ranges'), rnglists: section('.debug_rnglists'),
  };
  const units = readUnits(sections, new Abbreviations(sections.abbrev), (sentence) => { throw new Error(sentence); });
  return units.flatMap((unit) => (unit.lineOffset === null ? [] : readLineTable(sections, unit.lineOffset, unit).sequences))
    .flatMap(({ rows }) => rows.map((row) => `${row.address.toString(16)} ${row.line}${row.isStmt ? ' x' : ''}`));
}
/** What addr2line -i says of addresses, each as 'name file:line < caller file:line'. */
function addr2line(path: string, addresses: readonly number[]): string[] {
  const answer = ask('addr2line', ['-i', '-f', '-a', '-e', path], addresses.map((a) => `${a.toString(16)}\n`).join(''));
  return answer.split(/^0x/m).slice(1).map((block) => {
    const lines = block.trim().split('\n').slice(1);
    return lines.flatMap((name, i) => (i % 2 === 0 ? [plain(`${name} ${lines[i + 1]!.replace(/ \(discriminator \d+\)/, '')}`)] : [])).join(' < ');
  });
}
const ourFrames = (source: ProgramSource, address: number): string =>
  source.framesAt(address).map(({ name, place }) => plain(`${name || '??'} ${place === null ? '??:?' : `${place.file}:${place.line}`}`)).join(' < ');
/** Without folders; where there is no line the file says nothing, and of a name that a linker knows the last part is the source's. */
const plain = (text: string): string => text.replace(/ (.*\/)?([^/ ]*)$/, ' $2').replace(/ \S*:[0?]$/, ' :?').replace(/^.*\.(?=[^ .]+ )/, '');

function compare(path: string, most: number): void {
  const source = sourceOf(path);
  const { rows, ranges } = decodedLines(path);
  expect(ranges.length).toBeGreaterThan(0);
  // Rows of what the linker threw away lie at 0 and are not ours.
  const sum = (all: readonly string[]): string[] => all.filter((row) => parseInt(row, 16) > 0x1000).sort();
  expect(sum(ourRows(source))).toEqual(sum(rows));
  const all = ranges.flatMap(([start, end]) => Array.from({ length: (end - start) / 2 }, (_, i) => start + 2 * i));
  const some = all.filter((_, i) => i % Math.ceil(all.length / most) === 0);
  // 'L0 ' is a label that clang leaves in assembly: addr2line takes it for a function.
  const answers = addr2line(path, some).map((frames, i) => ({ address: some[i]!, frames })).filter(({ frames }) => !frames.startsWith('L0 '));
  expect(answers.length).toBeGreaterThan(0.99 * some.length);
  expect(answers.map(({ address }) => ({ address, frames: ourFrames(source, address) }))).toEqual(answers);
  expect(source.problems).toEqual([]);
}

describe.skipIf(!hasGcc || !hasBinutils)(`programs of gcc${missing('gcc-riscv64-linux-gnu', 'binutils-riscv64-linux-gnu')}`, () => {
  test.each(levels)('%s %s: every row as readelf, every address as addr2line -i', (o, g) => compare(folder.compile('gcc', debugGuest, [o, g]), 5000));
  test('compressed debug sections read as plain ones', () => compare(folder.compile('gcc', debugGuest, ['-O2', '-g', '-gz']), 5000));

  test.skipIf(!hasGdb).each(breakCases)(`%s %s: a breakpoint on a function is where gdb puts it${missing('gdb-multiarch')}`, (compiler, level) => {
    const program = folder.compile(compiler, debugGuest, [level, '-g']);
    const names = ['sum', 'fib', 'walk', 'leaf', 'large', 'main'];
    const { stdout } = spawnSync('gdb-multiarch', ['-nx', '-batch', ...names.flatMap((name) => ['-ex', `break ${name}`]), program], { encoding: 'utf8' });
    const theirs = [...stdout.matchAll(/^Breakpoint \d+ at (0x[\da-f]+)/gm)].map((match) => Number(match[1]));
    expect(names.flatMap((name) => sourceOf(program).addressesOfFunction(name))).toEqual(theirs);
    expect(theirs.length).toBe(names.length);
  });
  test('a function begins behind its prologue, a line where it is first come to', () => {
    const source = sourceOf(folder.compile('gcc', debugGuest, ['-O0', '-g']));
    const [sum] = source.addressesOfFunction('sum');
    expect(source.placeAt(sum!)?.line).toBe(lineOf('int s = 0'));
    expect(source.functionAt(sum!)?.name).toBe('sum');
    expect(sum).toBeGreaterThan(source.functionAt(sum!)!.start);
    const { line, addresses } = source.addressesOfLine('guest.c', lineOf('for (int i = 0; i < n'));
    expect([line, addresses.length]).toEqual([lineOf('for (int i = 0; i < n'), 1]);
    // A line without code stands for the next one that has some.
    expect(source.addressesOfLine('guest.c', lineOf('struct tree {')).line).toBe(lineOf('__attribute__((noinline)) static int leaf') + 1);
    expect(source.addressesOfLine('other.c', 1).addresses).toEqual([]);
    expect(source.addressesOfFunction('no_such_function')).toEqual([]);
    const block = source.blockAt(sum!)!;
    expect([block.place.line, source.placeAt(block.end)?.line === block.place.line]).toEqual([lineOf('int s = 0'), false]);
  });
  test('an inlined function is found where it was inlined', () => {
    const source = sourceOf(folder.compile('gcc', debugGuest, ['-O2', '-g']));
    const found = source.addressesOfFunction('twice');
    expect(found.length).toBeGreaterThan(0);
    expect(found.map((a) => source.framesAt(a).map(({ name }) => name).at(-1))).toEqual(found.map(() => 'sum'));
  });
  test('without DWARF symbols speak, without symbols numbers', () => {
    const program = folder.compile('gcc', debugGuest, ['-O2', '-g']);
    const [entry] = [sourceOf(program).elf.symbolNamed('sum')!.address];
    const symbols = sourceOf(folder.without(program, '--strip-debug'));
    expect([symbols.symbolText(entry), symbols.symbolText(entry + 4), symbols.placeAt(entry), symbols.hasLines]).toEqual(['sum', 'sum+0x4', null, false]);
    expect(symbols.addressesOfFunction('sum')).toEqual([entry]);
    const stripped = sourceOf(folder.without(program, '--strip-all'));
    expect([stripped.symbolText(entry), stripped.framesAt(entry), stripped.functionAt(entry)]).toEqual([`0x${entry.toString(16)}`, [{ name: '', place: null, isInlined: false }], null]);
    expect(stripped.problems).toEqual([]);
  });
});
describe.skipIf(!hasZig || !hasBinutils)(`programs of clang, with musl${missing('zig (or QUIRE_ZIG)', 'binutils-riscv64-linux-gnu')}`, () => {
  test.each(levels)('%s %s: every row as readelf, every address as addr2line -i', (o, g) => compare(folder.compile('zig', debugGuest, [o, g]), 3000));
});
