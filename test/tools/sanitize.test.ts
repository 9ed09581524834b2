// The sanitizers find the bugs that were planted for them (kernel/plant.ts), at their instruction; where there is none they are silent and change nothing.
import { afterAll, describe, expect, test } from 'vitest';
import { plantNames, type PlantName } from '#kernel';
import { boot } from '#tools/boot.ts';
import { NO_TERMINAL } from '#tools/config.ts';
import { prepare } from '#tools/guest.ts';
import { parseCommandLine } from '#tools/options.ts';
import { type Finding, originLines, type SanitizerName, SanitizerStop } from '#tools/sanitize.ts';
import { placeOfFinding } from '#tools/sanitize-place.ts';
import { quire, scratch } from '../support/cli.ts';
import { CODE, call, exitWithErrno, guest, label, li, Nr, reg } from '../support/guests.ts';
import { runGuest } from '../support/run-guest.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const MUNMAP = 215;
/** Maps a page, writes to it, gives it back, and reads it once more: SIGSEGV, if the hart was told. */
const useAfterMunmap = host.file('use-after-munmap', guest([
  ...call(Nr.mmap, 0, 4096, 3, 0x22, -1, 0), ['addi', { rd: reg.s0, rs1: reg.a0, imm: 0 }], ...li(reg.t0, 42), ['sd', { rs1: reg.s0, rs2: reg.t0, imm: 0 }],
  ['addi', { rd: reg.a0, rs1: reg.s0, imm: 0 }], ...li(reg.a1, 4096), ['addi', { rd: reg.a7, rs1: 0, imm: MUNMAP }], ['ecall'],
  label('again'), ['ld', { rd: reg.a0, rs1: reg.s0, imm: 0 }], ...exitWithErrno,
]));
/** The read, in instructions from the beginning. */
const LOAD_AT = 22;
const shell = ['--', 'sh', '-c', 'hello > /tmp/a; gups --words 65536 --updates 3000; cat /tmp/a'];

/** What ends the run; null: nothing does. */
function findingOf(words: readonly string[]): { finding: Finding; place: ReturnType<typeof placeOfFinding> } | null {
  const { values, rest } = parseCommandLine('run', ['machine', 'kernel', 'inputs'], ['--mem', '32M', ...words]);
  const config = prepare(values, rest, NO_TERMINAL);
  const session = boot(config);
  try {
    for (let result = session.step(1e6); result === 'running' || result === 'input'; result = session.step(1e6)) {
      session.takeOutput();
      if (result === 'input') session.feed(new Uint8Array(0));
    }
    return null;
  } catch (error) {
    if (!(error instanceof SanitizerStop)) throw error;
    return { finding: error.finding, place: placeOfFinding(config, error.finding) };
  }
}

describe('a planted bug', () => {
  const cases: readonly (readonly [PlantName, SanitizerName, RegExp, RegExp])[] = [
    ['munmap-fence', 'tlb', /^A load of hello\[3\] at 0x[0-9a-f]+ was served by a translation that memory no longer holds\.$/, /: lbu zero,0\(s1\)$/],
    ['fork-refcount', 'folio', /^Folio 0x[0-9a-f]+ has 1 references for 2 mappings and 0 holders\.$/, /^sh\[2\].*: ecall$/],
    ['fork-refcount', 'mm', /^Folio 0x[0-9a-f]+ has 1 references for 2 mappings and 0 holders\.$/, /^sh\[2\].*: ecall$/],
    ['fork-writable', 'cow', /^Frame 0x[0-9a-f]+ is mapped at .* address space 1 \(\/bin\/sh\) and at .* address space 2 \(\/bin\/sh\), and may be written at .* address space 1 \(\/bin\/sh\)\.$/, /^sh\[2\].*: ecall$/],
    ['stray-write', 'tlb', /^A (load|store) of sh\[2\] at 0x[0-9a-f]+ was served by a translation that memory no longer holds\.$/, /^sh\[2\], pc 0x/],
    ['stray-write', 'folio', /^Frame 0x0 is not RAM\.$/, /^sh\[2\].*: ecall$/],
    ['lru-slip', 'folio', /^Folio 0x[0-9a-f]+ stands on list \d, its word says \d\.$/, /./],
  ];
  test.each(cases)('%s is found by %s', (plant, sanitizer, sentence, where) => {
    const found = findingOf(['--lru', 'mglru', '--plant', plant, `--sanitize=${sanitizer}`, ...shell])!;
    expect(found.finding.sanitizer).toBe(sanitizer);
    expect(found.place!.lines[0]).toMatch(sentence);
    expect(found.place!.at).toMatch(where);
  });
  test('every one of them is found by some', () => { expect(new Set(cases.map(([plant]) => plant))).toEqual(new Set(plantNames)); });
  test('is found by none where it has not been planted, and the run is the one that nobody watches, on the fastest engine and the slowest', () => {
    const hash = (...words: string[]): string => runGuest(['--mem', '32M', ...words, '--lru', 'mglru', '--swap', '32M', '--thp', 'always', ...shell]).session.stateHash();
    for (const engine of ['jit', 'reference']) expect(hash('--engine', engine, '--sanitize=tlb,folio,cow,mm'), engine).toBe(hash('--engine', engine));
  });
});

describe('a fence that is missing after munmap', () => {
  test('is named: the use, what served it, what memory has, who changed the entry', () => {
    const { finding, place } = findingOf(['--plant', 'munmap-fence', '--sanitize=tlb', '--', useAfterMunmap])!;
    expect(finding.lines.map((line) => line.replace(/0x[0-9a-f]+/g, 'X'))).toEqual([
      'A load of use-after-munma[2] at X was served by a translation that memory no longer holds.', 'served: frame X, vrw-u---; address space (ASID) 1', 'memory: no entry at level 0',
      'changed from frame X, vrw-u-ad to no entry', 'and no fence of X (sfence.vma) came after that',
    ]);
    expect(originLines(finding.origin!.stack)[0]).toMatch(/^changed by zapPtes \(kernel\/mm\/unmap\.ts:\d+\)$/);
    expect([place!.at, place!.instret]).toEqual([`use-after-munma[2], pc 0x${(CODE + 4 * LOAD_AT).toString(16)}: ld a0,0(s0)`, finding.instret]);
  });
  test('does what hardware does, if nobody looks: the read answers what was there; with the fence the program is killed', () => {
    expect(runGuest(['--mem', '32M', '--plant', 'munmap-fence', '--', useAfterMunmap]).status).toBe((256 - 42) & 255);
    expect(runGuest(['--mem', '32M', '--sanitize=tlb', '--', useAfterMunmap]).status).toBe(128 + 11);
  });
  test('from the command line: status 123, lines of the sources, and the command that leads there', () => {
    const ended = quire(['stat', '--json', '--mem', '32M', '--plant', 'munmap-fence', '--sanitize=tlb,cow', '--', useAfterMunmap]);
    expect([ended.status, ended.stdout]).toEqual([123, '']);
    expect(ended.stderr).toMatch(/^quire: sanitize tlb: A load of .*\n {2}served: .*\n {2}memory: .*\n {2}changed from .*\n {2}and no fence of .*\n {2}changed by zapPtes \(kernel\/mm\/unmap\.ts:\d+\)\n/);
    expect(ended.stderr).toMatch(/\n {2}at instruction \d+: use-after-munma\[2\], pc 0x[0-9a-f]+: ld a0,0\(s0\)\n {2}reach it: quire debug --mem 32M --plant munmap-fence -- \S+use-after-munmap\n {2}and there: seek \d+\n$/);
  });
});

test('--sanitize takes a list, alone means what it always did, and says what there is', () => {
  const of = (...words: string[]): readonly string[] | undefined => parseCommandLine('run', ['kernel'], words).values.sanitize;
  expect([of(), of('--sanitize'), of('--sanitize=cow,tlb'), of('--sanitize', '--', 'tlb')]).toEqual([undefined, ['mm'], ['cow', 'tlb'], ['mm']]);
  expect(() => of('--sanitize=all')).toThrow('--sanitize all: not a list of sanitizers. Write some of tlb, folio, cow, mm with commas between, as in --sanitize=tlb,cow.');
  expect(() => of('--sanitize', '--sanitize=tlb')).toThrow('given twice');
  expect(quire(['run', '--help']).stdout).not.toContain('plant');
  expect(quire(['run', '--plantt', 'x', '--', 'true']).stderr).not.toContain('mean --plant');
});
