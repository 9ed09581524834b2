// Damaged executables: bytes of headers, symbols and debug sections changed, cut off, copied elsewhere. Whatever is asked of them there is an answer or
// a sentence, and soon; nothing is thrown, nothing runs on. The default is a slice; ten thousand:
//   QUIRE_FUZZ_ELFS=10000 npx vitest run test/fuzz/debug-info.test.ts       (QUIRE_SEED=n for others; a failure prints what replays it)
import { afterAll, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { Prng } from '#base';
import { Damaged } from '#tools/debugger/dwarf/index.ts';
import { ElfFile } from '#tools/debugger/elf.ts';
import { ProgramSource } from '#tools/debugger/source.ts';
import { CrossFolder, hasGcc, missing } from '../support/cross-tools.ts';

const nrFiles = Number(process.env['QUIRE_FUZZ_ELFS'] ?? 400);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const only = process.env['QUIRE_FUZZ_ONLY'];
/** One file may take this long; a sound one takes a few. */
const MAX_MS = 3000;
const folder = new CrossFolder();
afterAll(() => folder.remove());

const guest = `
static inline __attribute__((always_inline)) int square(int x) { return x * x; }
static inline __attribute__((always_inline)) int twice(int x) { int y = square(x); return y + square(x + 1); }
__attribute__((noinline)) int sum(int n) { int s = 0; for (int i = 0; i < n; i++) s += twice(i); return s; }
__attribute__((noinline)) int __attribute__((cold)) other(int n) { if (n > 3) __builtin_trap(); return sum(n) + sum(n + 1); }
int _start(void) { return other(3) + sum(2); }
`;
const flags = [['-O0', '-gdwarf-4'], ['-O2', '-gdwarf-5'], ['-O2', '-gdwarf-4', '-ffunction-sections'], ['-O1', '-g', '-gz', '-fasynchronous-unwind-tables']];

/** Places worth damaging: each section's bytes, the tables of both kinds of headers, the header itself. */
function targets(bytes: Uint8Array): (readonly [start: number, end: number])[] {
  const { sections } = new ElfFile(bytes);
  const told = sections.filter((s) => /^\.(debug|eh_frame|symtab|strtab)/.test(s.name)).map((s) => [s.offset, s.offset + s.sizeBytes] as const);
  return [...told, ...told, [0, 64], [64, 64 + 56 * 4], [bytes.length - 64 * sections.length, bytes.length]];
}
function damage(sound: Uint8Array, places: readonly (readonly [number, number])[], random: Prng): Uint8Array {
  let bytes = sound.slice();
  const number = (): number => [0, 1, 0x7f, 0x80, 0xff, random.below(256)][random.below(6)]!;
  for (let n = 1 + random.below(random.below(4) === 0 ? 40 : 4); n > 0; n--) {
    const [start, end] = places[random.below(places.length)]!;
    const at = Math.min(start + random.below(Math.max(1, end - start)), bytes.length - 1);
    switch (random.below(8)) {
      case 0: bytes.fill(number(), at, Math.min(at + 1 + random.below(16), end)); break;
      case 1: bytes.copyWithin(at, start + random.below(Math.max(1, end - start)), end); break;
      case 2: if (bytes.length >= 4) new DataView(bytes.buffer).setUint32(Math.min(at, bytes.length - 4), random.next32(), true); break;
      case 3: if (random.below(8) === 0) bytes = bytes.slice(0, Math.max(1, at)); break;
      case 4: bytes[at] = bytes[at]! ^ (1 << random.below(8)); break;
      default: bytes[at] = number();
    }
  }
  return bytes;
}
/** Everything that is ever asked of a file. @returns what became of it */
function askAll(bytes: Uint8Array, random: Prng): string {
  let source: ProgramSource;
  try {
    source = new ProgramSource(bytes, (packed, lenBytes) => new Uint8Array(inflateSync(packed, { maxOutputLength: Math.max(1, Math.min(lenBytes, 1 << 24)) })));
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    return 'refused';
  }
  const addresses = [0, 1, 2 ** 40, 2 ** 64, ...Array.from({ length: 40 }, () => 0x10000 + random.below(0x400)), ...source.addressesOfFunction('sum'), ...source.addressesOfLine('guest.c', 4).addresses];
  for (const address of addresses) {
    expect(source.framesAt(address).length).toBeGreaterThan(0);
    source.symbolText(address);
    source.blockAt(address);
    source.frameRulesAt(address);
    source.afterPrologue(address);
  }
  source.functionNames();
  source.fileNames();
  for (const problem of source.problems) expect(problem).toMatch(/^[^\n]{5,}$/);
  return source.problems.length > 0 ? 'told of damage' : 'read';
}

test.skipIf(!hasGcc)(`${nrFiles} damaged files are read as far as they go (QUIRE_SEED=${seed})${missing('gcc-riscv64-linux-gnu')}`, () => {
  const sound = flags.map((words) => new Uint8Array(readFileSync(folder.compile('gcc', guest, ['-nostdlib', ...words]))));
  const places = sound.map(targets);
  for (const bytes of sound) expect(askAll(bytes, new Prng(1, 'sound'))).toBe('read');
  const outcomes = new Map<string, number>();
  for (let i = only === undefined ? 0 : Number(only); i < (only === undefined ? nrFiles : Number(only) + 1); i++) {
    const random = new Prng(seed * 1_000_003 + i, 'damaged-elf');
    const which = random.below(sound.length);
    const bytes = damage(sound[which]!, places[which]!, random);
    const began = performance.now();
    let outcome: string;
    try {
      outcome = askAll(bytes, random);
    } catch (error) {
      throw new Error(`file ${i}: QUIRE_SEED=${seed} QUIRE_FUZZ_ONLY=${i} replays it`, { cause: error });
    }
    const ms = performance.now() - began;
    expect(ms, `file ${i} took ${Math.round(ms)} ms: QUIRE_SEED=${seed} QUIRE_FUZZ_ONLY=${i} replays it`).toBeLessThan(MAX_MS);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  if (process.env['QUIRE_FUZZ_ELFS'] !== undefined) console.log([...outcomes].map(([name, n]) => `${name} ${n}`).join(', '));
  if (only === undefined) expect([...outcomes.keys()].sort()).toEqual(['read', 'refused', 'told of damage']);
}, 3_600_000);
