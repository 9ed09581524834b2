// The debugger over a real timeline: moves, points, lines, what can be asked; and that no line that can be typed breaks it.
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UserError } from '#base';
import { NO_TERMINAL } from '#tools/config.ts';
import { completionsOf, debugCommands } from '#tools/debugger/commands/index.ts';
import { Debugger } from '#tools/debugger/debugger.ts';
import { codeOf } from '#tools/debugger/guest-code.ts';
import { Programs } from '#tools/debugger/programs.ts';
import { openTimeline } from '#tools/debugger/replay.ts';
import { answerLine, runScript } from '#tools/debugger/script.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';

/** No disk: the program's read of a file is a SIGSEGV, and the session's first half is what is looked at. */
const words = ['--mem', '32M', '--mthp', '64k=always', '--thp', 'madvise', '--swap', '1M', '--', 'test/golden/debug/paths'];
function open(): Debugger {
  const { values, rest } = parseCommandLine('debug', ['machine', 'kernel', 'inputs'], words);
  const programs = new Programs(null);
  return new Debugger(openTimeline(prepare(values, rest, NO_TERMINAL)), (session, task) => codeOf(programs, session, task, () => null));
}
let d: Debugger;
beforeAll(() => { d = open(); });
afterAll(() => { d.timeline.close(); });
beforeEach(() => { for (const line of ['delete', 'seek start']) answerLine(d, line, false); });
const says = (line: string): string => answerLine(d, line, false).text;
const gives = (line: string): Record<string, never> => JSON.parse(answerLine(d, line, true).text) as Record<string, never>;
const refuses = (line: string): string => {
  try {
    answerLine(d, line, false);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return '';
};
const TOUCHED = '0x2000005000';

describe('moves', () => {
  test('into a fault, phase by phase, back, and out to the instruction behind', () => {
    says('break first_touch');
    says('continue');
    expect(says('into')).toContain('1 trap         user (cause 15');
    const names = ['vma lookup', 'order choice', 'allocate', 'zero', 'rmap+lru', 'map', 'return'];
    for (const [i, name] of names.entries()) expect(says('step phase')).toContain(`  ${i + 2} ${name}`);
    for (const [i, name] of names.slice(0, -1).reverse().entries()) expect(says('reverse-step phase')).toContain(`  ${7 - i} ${name}`);
    expect(says('phases').split('\n').filter((line) => /^ {2}\d/.test(line))).toHaveLength(2);
    expect(says('out')).toContain('first_touch+0xa: ret');
    expect(refuses('reverse-out')).toContain('between two instructions');
    says('reverse-into');
    expect(says('reverse-out')).toContain('first_touch+0x6: sb a5,0(a0)');
  });
  test('to an event and back to where the move began; to an instruction; to both ends', () => {
    expect(gives('seek #12')['at']).toMatchObject({ event: 12 });
    expect(gives('event 3')['at']).toMatchObject({ event: 15 });
    expect(gives('reverse-event')['at']).toMatchObject({ event: 14 });
    expect(gives('seek -')['at']).toMatchObject({ event: 15 });
    expect(gives('seek 20')['at']).toMatchObject({ insn: 20, phase: -1 });
    expect(gives('seek end')['stop']).toEqual({ kind: 'exited' });
    expect(gives('seek start')['at']).toEqual({ insn: 0, event: 0, phase: -1 });
  });
  test('n instructions on and n back is the same place', () => {
    const before = gives('seek 10');
    says('stepi 7');
    expect(gives('reverse-stepi 7')['at']).toEqual(before['at']);
  });
  test('lines: over a call, into one, out of it, and the same way back', () => {
    const lines = (...all: string[]): unknown[] => all.map((line) => (gives(line)['source'] as unknown as { line: number }).line);
    expect(lines('next', 'next', 'next', 'step', 'finish', 'reverse-next', 'reverse-next')).toEqual([72, 73, 74, 11, 74, 74, 73]);
  });
});

describe('points', () => {
  test('a fault by its kind and a condition over its fields', () => {
    says('break fault anon if order < 4 && vma.len < 64K');
    const { fault } = gives('continue')['stop'] as unknown as { fault: number };
    expect(says('phases')).toContain('vma-too-small');
    expect(says('info breakpoints')).toContain('if order < 4 && vma.len < 64K; 1 stop');
    says('continue');
    expect((gives('reverse-continue')['stop'] as unknown as { fault: number }).fault).toBe(fault);
  });
  test('a system call by the names of its arguments', () => {
    says('break syscall mmap if len < 64K && addr == 0x2010000000');
    expect(says('continue')).toContain('raw_syscalls:sys_enter (mmap)');
    expect(gives('print a1')['value']).toBe(40960);
  });
  test('a tracepoint by its fields', () => {
    says('break mm_page_alloc if order == 4 && pfn > 0');
    expect(says('continue')).toMatch(/kmem:mm_page_alloc: pfn=0x[\da-f]+ order=4/);
  });
  test('a phase by its name', () => {
    says('break phase allocate if va == 0x2000005000');
    expect((gives('continue')['stop'] as unknown as { phase: { name: string; facts: { order: number } } }).phase).toMatchObject({ name: 'allocate', facts: { order: 4 } });
  });
  test('a counter when it passes a number, both ways', () => {
    says('watch counter pgfault if after == 4');
    expect(says('continue')).toMatch(/counter pgfault.*: 3 -> 4/);
    says('stepi');
    expect(says('reverse-continue')).toMatch(/counter pgfault.*: 3 -> 4/);
  });
  test('memory when it is written, and a page-table entry by whoever writes it, both ways', () => {
    says('watch 0x2000005000 1 w');
    const [there, pc] = [gives('continue')['at'], gives('print pc')['value']];
    expect(says('where')).toMatch(/0x2000005000 1 write: written at 0x2000005000 by the program/);
    says('stepi 3');
    expect([gives('reverse-continue')['at'], gives('print pc')['value']]).toEqual([there, pc]);
    says('delete');
    says(`watch pte ${TOUCHED} if pid == 2`);
    says('reverse-continue');
    expect(says('where')).toMatch(/pte 0x2000005000: written at 0x8[\da-f]+ by kernel\/mm\/pagetable\.ts:\d+ store/);
    expect(gives('where')['stop']).toMatchObject({ kind: 'memory', isWrite: true });
  });
  test('a fault with a condition, too, is stopped at when all is known of it', () => {
    says('break fault if order == 0 && access == "write" && va > 0x2000000000');
    expect((gives('continue')['stop'] as unknown as { phase: { name: string } }).phase.name).toBe('return');
    expect(gives('print va')['value']).toBe(0x2010000000);
  });
  test('code of another program at the same address is not meant', () => {
    says('break first_touch');
    says('continue');
    const [pc, moment] = [gives('print pc')['value'] as unknown as number, d.moment({})];
    const other = { ...moment, session: { kernel: { current: { mm: { exePath: '/bin/other' } } } } as unknown as typeof moment.session };
    expect([d.points.at({ kind: 'pc', pc }, () => moment).length, d.points.at({ kind: 'pc', pc }, () => other).length]).toEqual([1, 0]);
  });
  test('two that hold at one place are both told', () => {
    says('break fault');
    says('break phase trap');
    expect((gives('continue')['points'] as unknown as number[]).length).toBe(2);
  });
  test('a condition that cannot be reckoned stops the run and says so', () => {
    says('break mm_page_alloc if 1 / (order - order) == 1');
    expect(says('continue')).toMatch(/the condition of point \d+ cannot be reckoned here: division by zero\.\n {2}1 \/ \(order - order\)/);
  });
  test.each([
    ['break', 'break: what to break on is missing.'], ['break fault anom', 'break fault anom: not a kind of fault. Did you mean anon'], ['break phase mapp', 'Did you mean map?'], ['break syscall mmpa', 'Did you mean mmap'],
    ['break mm_page_aloc', 'Did you mean mm_page_alloc'], ['break firsttouch', 'Did you mean first_touch?'], ['break paths.c:9999', 'no code of such a line'], ['break fault if ordr == 1', 'ordr: there is no such field here. Did you mean order?'],
    ['watch', 'what to watch is missing'], ['watch counter pgfalt', 'Did you mean pgfault'], ['watch folio 1.mapcount', 'not a frame of RAM'], ['watch folio 0x80100.mapcoun', 'Did you mean mapcount'], ['watch 0x1000 0', 'not a length that can be watched'], ['watch 0x7fffffffffff', 'not an address of a program'],
    ['delete 9', 'no such point'], ['seek nowhere', 'not a place'], ['seek', 'a place is missing'], ['stepi 0', 'not a number of steps'], ['pt', 'an address is missing'], ['folio', 'a frame number is missing'], ['cache /nothing', 'no page of such a file'], ['why 0x10', 'nothing is mapped at this address'],
    ['x/0xw sp', 'not a format'], ['set a0', 'there is no = in it'], ['set q7 = 1', 'neither a register nor memory'], ['thread 77', 'no such task'], ['help nothing', 'no such command'], ['list 0', 'belongs to no line'], ['print', 'an expression is missing'],
  ])('%s is refused', (line, message) => { expect(refuses(line)).toContain(message); });
});

describe('what can be asked', () => {
  test('what changed over a fault: the entry, the folio, the counters', () => {
    says('break first_touch');
    says('continue');
    const here = gives('where')['at'] as unknown as { event: number };
    const { changes } = gives(`diff #${here.event} #${here.event + 7}`) as unknown as { changes: Record<string, { name: string; before: string | null; after: string | null }[]> };
    expect(changes['entries']!.map(({ name, before }) => [name, before])).toContainEqual([TOUCHED, null]);
    expect(changes['folios']!.some(({ after }) => after?.startsWith('anon 64K') === true)).toBe(true);
    expect(changes['counters']).toContainEqual(expect.objectContaining({ name: 'pgfault' }));
    expect(gives('where')['at']).toEqual(here);
  });
  test('the walk, the folio behind it, and who maps that', () => {
    says('seek 40');
    const { levels, backing } = gives(`pt ${TOUCHED} nowriters`) as unknown as { levels: { kind: string }[]; backing: { folio: number } };
    expect(levels.map(({ kind }) => kind)).toEqual(['table', 'table', 'folded']);
    expect(gives(`folio ${backing.folio}`)['mappers']).toMatchObject([{ address: 0x2000000000, pages: 16 }]);
  });
  test('looking moves nothing, whatever is looked at', () => {
    says('seek 40');
    const before = d.session.stateHash();
    for (const line of ['vmas', 'tlb', 'tlb all', 'lru', 'buddy', 'swap', 'cache', 'info mm', 'info threads', 'info processes', 'info counters', 'info registers all', 'bt', 'disas', `x/8xg ${TOUCHED}`, 'print sp', 'info fields', 'help']) expect(says(line).length, line).toBeGreaterThan(0);
    expect(d.session.stateHash()).toBe(before);
    for (const line of ['info events', 'phases', 'diff #5 #9', `last-write counter pgfault`]) says(line);
    expect(d.session.stateHash()).toBe(before);
  });
  test('a register and memory can be set; what lay ahead is another run', () => {
    says('seek 19');
    says('set u8(sp) = 7');
    says('set a5 = 0x41');
    expect(gives('print a5 + u8(sp)')['value']).toBe(0x48);
    says('stepi');
    expect(gives(`print u8(${TOUCHED})`)['value']).toBe(0x41);
    says('seek 19');
    expect(gives('print a5')['value']).toBe(0x41);
    says('seek 18');
    says('set a5 = 1'); // as it was: the other tests' run
  });
});

test('what the program prints, and what the kernel says of it, is told once, in text and in JSON', () => {
  const fresh = open();
  const told = answerLine(fresh, 'seek end', false).text;
  expect(told).toMatch(/^\| kernel: paths\[2\]: unhandled signal 11 code 0x1 at 0x[\da-f]+, pc 0x[\da-f]+\n#\d+ /);
  answerLine(fresh, 'seek start', false);
  expect(answerLine(fresh, 'seek end', false).text).not.toContain('kernel:');
  fresh.timeline.close();
  const again = open();
  expect(JSON.parse(answerLine(again, 'seek end', true).text)).toMatchObject({ messages: [expect.stringContaining('unhandled signal 11') as string] });
  again.timeline.close();
});
test('a script ends at its first error, with the file and the line', () => {
  let text = '';
  const run = (script: string, isJson: boolean): string => {
    text = '';
    try {
      runScript(d, 'steps.txt', script, isJson, (piece) => { text += piece; });
    } catch (error) {
      if (error instanceof UserError) return `${error.status} ${error.message}`;
      throw error;
    }
    return '';
  };
  expect(run('# to begin with\nwhere\n\nbraek fault\nwhere\n', false)).toMatch(/^2 steps\.txt:4: braek: not a command\. Did you mean break/);
  expect(text.match(/^\(quire\) /gm)).toHaveLength(2);
  expect(run('where\npt\n', true)).toMatch(/^2 steps\.txt:2: /);
  expect(text.trim().split('\n').map((line) => (JSON.parse(line) as { schema: string }).schema)).toEqual(['quire.debug.stop/1', 'quire.debug.error/1']);
  expect(run('where\nquit\nbraek\n', false)).toBe('');
});

/** Replays with QUIRE_SEED=n. */
const seed = Number(process.env['QUIRE_SEED'] ?? 20260102);
const numRuns = process.env['QUIRE_LONG'] === undefined ? 250 : 20_000;
const oneOf = (...all: string[]): fc.Arbitrary<string> => fc.constantFrom(...all);
/** What makes another run of it is tried by itself. */
const changing = ['set', 'input'];
const names = debugCommands.flatMap(({ name, aliases = [] }) => [name, ...aliases]).filter((name) => !['quit', 'q', 'exit', ...changing].includes(name));
const operand = fc.oneof(
  oneOf(TOUCHED, '0x2010000000', '0x2020000000', 'sp', 'main', 'first_touch', 'paths.c:30', '*0x100fc', '0x80100', '0x80100.mapcount', 'pte', 'folio', 'counter', 'pgfault', 'fault', 'anon', 'phase', 'map', 'syscall', 'mmap', 'mm_page_alloc', 'if', 'order', '<', '==', '&&', '4', '(', ')', '"heap"', '#12', '#12.3', '#999999', '1M', '-', 'start', 'end', 'all', 'nowriters', '/8xw', '=', 'a0', 'u32(sp)'),
  fc.string({ unit: 'binary', maxLength: 12 }), fc.integer().map(String), fc.double().map(String),
);
const lineOf = (commands: readonly string[]): fc.Arbitrary<string> => fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom(...commands), fc.array(operand, { maxLength: 4 })).map(([name, rest]) => [name, ...rest].join(' ')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => !/^\s*(set|i|in|inp|inpu|input|se)\b/.test(text)) },
);
function tryLine(on: Debugger, typed: string, isJson: boolean): void {
  if (on.points.all.length > 5) on.points.all.length = 0;
  completionsOf(on, typed);
  if (typed.trim() === '') return;
  try {
    const { text } = answerLine(on, typed, isJson);
    if (isJson) expect(Object.keys(JSON.parse(text) as object)).toEqual(expect.arrayContaining(['schema', 'command', 'at']));
    else for (const shown of text.split('\n')) if (!shown.startsWith('|')) expect(shown.trim().split(' ').length === 1 || shown.length <= 80, shown).toBe(true);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).toMatch(/\w/);
  }
}
test(`any line gives an answer or a sentence, as text of 80 columns and as JSON, and completes to words; the run stays what it was (QUIRE_SEED=${seed})`, () => {
  const fresh = open();
  const hashAtEnd = (): string => {
    for (const typed of ['delete', 'seek end']) answerLine(fresh, typed, false);
    return fresh.session.stateHash();
  };
  const before = hashAtEnd();
  fc.assert(fc.property(lineOf(names), fc.boolean(), (typed, isJson) => { tryLine(fresh, typed, isJson); }), { seed, numRuns, verbose: 1 });
  expect(hashAtEnd()).toBe(before);
  fresh.timeline.close();
});
test(`whatever is set and fed, the debugger goes on (QUIRE_SEED=${seed})`, () => {
  const fresh = open();
  fc.assert(fc.property(lineOf([...changing, 'seek', 'stepi', 'out', 'into', 'continue', 'reverse-continue']), (typed) => { tryLine(fresh, typed, false); }), { seed, numRuns, verbose: 1 });
  expect(answerLine(fresh, 'seek start', false).text).toContain('#0  insn 0');
  fresh.timeline.close();
});
