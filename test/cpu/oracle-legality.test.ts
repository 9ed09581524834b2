// Which words are instructions: all 16-bit forms, the neighbours of every 32-bit instruction, reserved rounding modes, CSRs; what is privileged
// or absent is illegal in U mode. As under qemu-riscv64.
import { describe, expect, test } from 'vitest';
import { INSTRUCTIONS, ILLEGAL, Cause, ExitKind, decode, disassemble, encode, isCompressed } from '#cpu';
import { Pte } from '#mmu';
import { isRecording, readGolden, writeGolden } from '../support/oracle/golden.ts';
import { Signal, legalityProgram, longWords, shortWords } from '../support/oracle/legality.ts';
import { Rig } from '../support/oracle/ours.ts';
import { CODE, DATA } from '../support/oracle/program.ts';
import { runOnQemu } from '../support/oracle/qemu.ts';

/** Words in hexadecimal, many a line. */
interface Golden { readonly shortIllegal: readonly string[]; readonly longLegal: readonly string[]; readonly longIllegal: readonly string[] }
const PER_LINE = 16;
const hex = (word: number): string => (word >>> 0).toString(16);
function pack(words: readonly number[]): string[] {
  const lines: string[] = [];
  for (let i = 0; i < words.length; i += PER_LINE) lines.push(words.slice(i, i + PER_LINE).map(hex).join(' '));
  return lines;
}
const unpack = (lines: readonly string[]): number[] => lines.flatMap((line) => line.split(' ').map((digits) => parseInt(digits, 16) | 0));

const EBREAKS = [encode('ebreak'), 0x9002];

if (isRecording) test('qemu-riscv64 is asked which words are instructions', () => {
  const ask = (words: readonly number[]): ((word: number) => number) => {
    const { program, resultsAt } = legalityProgram(words);
    const data = runOnQemu(program);
    const signals = new Map(words.map((word, i) => [word, data[resultsAt + i]!]));
    return (word) => signals.get(word)!;
  };
  const [short, long] = [shortWords(), longWords()];
  const [ofShort, ofLong] = [ask(short), ask(long)];
  const odd = [...short.filter((w) => ofShort(w) !== Signal.None && ofShort(w) !== Signal.SIGILL), ...long.filter((w) => ofLong(w) !== Signal.None && ofLong(w) !== Signal.SIGILL)];
  expect(odd.map(hex).sort(), 'nothing else traps').toEqual(EBREAKS.map(hex).sort());
  writeGolden('legality', 'Illegal 16-bit forms (all others are legal); legal and illegal words among the neighbours of every instruction', {
    shortIllegal: pack(short.filter((w) => ofShort(w) === Signal.SIGILL)),
    longLegal: pack(long.filter((w) => ofLong(w) === Signal.None)),
    longIllegal: pack(long.filter((w) => ofLong(w) === Signal.SIGILL)),
  });
});

/** Executes one word with all registers pointing into memory that may be read and written. */
const SCRATCH = DATA + 0x8000;
class WordRunner {
  private readonly rig = new Rig(16 << 20);
  private readonly words: readonly number[];
  constructor(words: readonly number[]) {
    this.words = words;
    const code = new Uint8Array(words.length * 8);
    const view = new DataView(code.buffer);
    words.forEach((word, i) => {
      view.setInt32(8 * i, word, true);
      if (isCompressed(word)) view.setInt32(8 * i + 2, encode('ebreak'), true);
      else view.setInt32(8 * i + 4, encode('ebreak'), true);
    });
    this.rig.load(CODE, code, Pte.R | Pte.X);
    this.rig.load(DATA, new Uint8Array(0x10000), Pte.R | Pte.W);
  }
  outcome(index: number): string {
    const { machine } = this.rig;
    for (let r = 1; r < 32; r++) machine.x[r] = BigInt(SCRATCH);
    machine.hart.fcsr = 0;
    machine.pc = BigInt(CODE + 8 * index);
    const exit = machine.run(1);
    if (exit.kind === ExitKind.Budget) return 'legal';
    if (exit.cause !== Cause.Illegal) return `cause ${exit.cause}`;
    return exit.tvalLo === (isCompressed(this.words[index]!) ? this.words[index]! & 0xffff : this.words[index]!) ? 'illegal' : 'illegal with a wrong stval';
  }
}
function outcomes(words: readonly number[]): Map<number, string> {
  const runner = new WordRunner(words);
  return new Map(words.map((word, i) => [word, runner.outcome(i)]));
}
const named = (words: readonly number[]): string[] => words.map((word) => `${hex(word)} ${disassemble(word, 0n)}`);

if (!isRecording) describe('golden', () => {
  const golden = readGolden<Golden>('legality');
  test('the 16-bit forms that are instructions', () => {
    const illegal = new Set(unpack(golden.shortIllegal));
    const forms = Array.from({ length: 0x10000 }, (_, form) => form).filter(isCompressed);
    // c.ebreak traps otherwise; jumps go where they go, so they are only decoded.
    const isJump = (form: number): boolean => decode(form).op !== ILLEGAL && /^(jalr?|beq|bne|ebreak)$/.test(INSTRUCTIONS[decode(form).op]!.name);
    const seen = outcomes(forms.filter((form) => !isJump(form)));
    const wrong = forms.filter((form) => (isJump(form) ? illegal.has(form) : seen.get(form) !== (illegal.has(form) ? 'illegal' : 'legal')));
    expect(named(wrong)).toEqual([]);
    expect(forms.length).toBe(0xc000);
  });
  test('instructions, and words that differ from one in a bit', () => {
    const [legal, illegal] = [unpack(golden.longLegal), unpack(golden.longIllegal)];
    const [ours, notOurs] = [outcomes(legal), outcomes(illegal)];
    expect(named(legal.filter((word) => ours.get(word) !== 'legal'))).toEqual([]);
    expect(named(illegal.filter((word) => notOurs.get(word) !== 'illegal'))).toEqual([]);
    expect(legal.length + illegal.length).toBeGreaterThan(10_000);
  });
  test('what is of supervisor or machine level is illegal in U mode', () => {
    const illegal = new Set(unpack(golden.longIllegal));
    const privileged = INSTRUCTIONS.filter((row) => row.extension === 'S' || row.extension === 'Svinval');
    expect(privileged.filter((row) => !illegal.has(encode(row.name, { rd: 10, rs1: 11, rs2: 12, rs3: 13 }))).map(({ name }) => name)).toEqual([]);
    expect(privileged.length).toBe(7);
  });
  test('ebreak is a breakpoint, in both lengths', () => {
    expect([...outcomes(EBREAKS).values()]).toEqual([`cause ${Cause.Breakpoint}`, `cause ${Cause.Breakpoint}`]);
  });
});
