import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UserError } from '#base';
import { optionHelp, optionRows, parseCommandLine, type OptionGroup } from '#tools/options.ts';

const groups: readonly OptionGroup[] = ['machine', 'kernel', 'inputs', 'result'];
const parse = (...words: string[]) => parseCommandLine('stat', groups, words);
const complaint = (...words: string[]): string => {
  try {
    parse(...words);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'no complaint';
};

describe('what is accepted', () => {
  test('absent options have their defaults, repeated ones are lists', () => {
    const { values, rest, given } = parse('--', 'gups');
    expect(values).toMatchObject({ mem: 512 * 1024 ** 2, sv: '39', seed: 1, engine: 'jit', env: [] });
    expect(values.preset).toBeUndefined();
    expect([rest, [...given]]).toEqual([['gups'], []]);
  });
  test('a value may stand behind a blank or an equals sign', () => {
    expect(parse('--mem', '64M').values.mem).toBe(parse('--mem=64M').values.mem);
    expect(parse('-o', 'x').values.output).toBe(parse('-ox').values.output);
  });
  test('the first word that is not an option begins the program; its own options stay its own', () => {
    expect(parse('--json', 'gups', '--mem', '12Q').rest).toEqual(['gups', '--mem', '12Q']);
  });
  test('everything behind -- belongs to the program', () => expect(parse('--', '--json', '--').rest).toEqual(['--json', '--']));
  test('folio sizes are a list of kilobytes and modes', () => {
    expect(parse('--mthp', '64k=always,16K=madvise', '--mthp', '1M=inherit').values.mthp.flat())
      .toEqual([{ kb: 64, mode: 'always' }, { kb: 16, mode: 'madvise' }, { kb: 1024, mode: 'inherit' }]);
  });
  test('counts take k, M and G as powers of ten', () => expect(parse('--max-insn', '3M').values['max-insn']).toBe(3_000_000));
  test('a pair is split at its first separator', () => {
    expect(parse('--env', 'A=b=c').values.env).toEqual([{ name: 'A', value: 'b=c' }]);
    expect(parse('--set', '/proc/sys/vm/x=1').values.set).toEqual([{ name: '/proc/sys/vm/x', value: '1' }]);
  });
});

describe('what is refused, with what to write instead', () => {
  test.each([
    [['--ram', '1G'], '--ram: not an option.'],
    [['--jsn'], '--jsn: not an option. Did you mean --json? See quire stat --help.'],
    [['--strace'], '--strace: not an option of quire stat.'],
    [['-x'], '-x: not an option.'],
    [['--mem', '12Q'], '--mem 12Q: not a size. Write a whole number with K, M or G, as in 512M.'],
    [['--mem', ''], "--mem '': not a size."],
    [['--mem'], '--mem: its value is missing. Write --mem SIZE.'],
    [['--mem', '--', 'gups'], '--mem: its value is missing.'],
    [['--mem', '64M', '--mem', '1G'], '--mem: given twice. Write it once.'],
    [['--sv', '32'], '--sv 32: not one of the choices. Write 39, 48 or 57.'],
    [['--thp', 'sometimes'], '--thp sometimes: not one of the choices. Write always, madvise or never.'],
    [['--mthp', '64k'], '--mthp 64k: not a list of folio sizes.'],
    [['--mthp', '8k=always'], '--mthp 8k=always: not a list of folio sizes.'],
    [['--mthp', '48k=always'], '--mthp 48k=always: not a list of folio sizes.'],
    [['--mthp', '4M=always'], '--mthp 4M=always: not a list of folio sizes.'],
    [['--seed', '-1'], '--seed -1: not a count.'],
    [['--seed', '1e3'], '--seed 1e3: not a count.'],
    [['--max-insn', '99999999999999999999'], '--max-insn 99999999999999999999: not a count.'],
    [['--env', 'HOME'], "--env HOME: no '=' with something before it. Write NAME=VALUE, as in LANG=C."],
    [['--env', '=x'], "--env =x: no '=' with something before it."],
    [['--json=yes'], '--json=yes: --json takes no value. Write --json alone.'],
    [['--swap', '128Q'], '--swap 128Q: not a size.'],
    [['--memory-max', '12Q'], '--memory-max 12Q: not a size.'],
    [['--disk', ':rw'], '--disk :rw: no image. Write a file, as in disk.img, disk.img:rw or disk.img:rw@/data.'],
  ])('%j', (words, start) => expect(complaint(...words)).toContain(start));

  test('no words whatever do more than raise a UserError', () => {
    const word = fc.oneof(fc.constantFrom(...optionRows().map(([name]) => `--${name}`)), fc.constantFrom('-o', '-F', '--', '-', '', '='), fc.string());
    fc.assert(fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      const message = complaint(...words);
      expect(message).not.toMatch(/\n.*\n/);
    }));
  });
});

test('help names every option of its groups, each line short enough for a terminal', () => {
  const help = optionHelp(groups);
  for (const [name, row] of optionRows()) if (row.isHidden !== true) expect(help.includes(`--${name}`)).toBe(groups.includes(row.group));
  for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(125);
});
