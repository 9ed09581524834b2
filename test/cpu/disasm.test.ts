// The disassembler beside objdump (binutils 2.40). Golden: words drawn at random from every line of the table, and 16-bit forms; live, where the
// cross tools are installed: the same and all 49,152 16-bit forms.   QUIRE_RECORD=1 npx vitest run test/cpu/disasm.test.ts   writes the golden.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Prng } from '#base';
import { INSTRUCTIONS, disassemble } from '#cpu';

const GOLDEN = join(import.meta.dirname, '../golden/disasm-objdump-2.40.txt');
const AS = 'riscv64-linux-gnu-as';
const OBJDUMP = 'riscv64-linux-gnu-objdump';

/** Where 2.40 and we part on purpose. Zicond came with 2.41. */
const skipped = new Set(['czero.eqz', 'czero.nez']);
/** objdump names the immediate form of some instructions by the register form ('add a0,a0,1'); we keep the true name. */
const withoutI = (text: string): string => text.replace(/^(add|xor|or|and|sll|srl|sra|addi?w|ror|bclr|bext|binv|bset|csrrw|csrrs|csrrc|csrw|csrs|csrc)i(w?)\t/, '$1$2\t');
const agree = (ours: string, theirs: string): boolean => ours === theirs || withoutI(ours) === theirs;
/** HINTs: objdump gives the 16-bit name ('c.li zero,1'), we the instruction that it expands to. */
const isHint = (theirs: string): boolean => theirs.startsWith('c.') || theirs === 'add\tsp,sp,0';

/** Random words of every line, with the operands that make aliases more often than chance would. */
function sampleWords(): number[] {
  const random = new Prng(40, 'disasm');
  const words: number[] = [];
  for (const row of INSTRUCTIONS) {
    if (skipped.has(row.name)) continue;
    for (let i = 0; i < 8; i++) {
      let word = random.next32();
      if (i % 4 === 1) word &= ~(31 << 15);
      if (i % 4 === 2) word &= ~(31 << 7);
      if (i === 3) word |= 7 << 12;
      if (i === 5) word &= ~(31 << 20);
      if (i === 7) word = (word & ~(0xfff << 20)) | (random.below(3) << 20);
      // Reserved fields that we ignore and objdump prints as data; rounding modes of exact conversions; CSRs with names we do not keep.
      if (row.name === 'fence') word = (word & 0x0ff00000) | 0x0f;
      if (row.name === 'fence.i') word = 0;
      if (row.name.startsWith('fcvt.d.')) word &= ~(7 << 12);
      if (row.name.startsWith('csr')) word = (word & 0x000fffff) | ([0x001, 0x002, 0x003, 0xc00, 0xc01, 0xc02, 0x300, 0x180][i]! << 20);
      words.push(((word & ~row.mask) | row.match) >>> 0);
    }
  }
  return words;
}
const shortForms = Array.from({ length: 65536 }, (_, form) => form).filter((form) => (form & 3) !== 3);

/** What objdump says of each: words at 0, 4, ..., then the 16-bit forms. */
function objdump(words: readonly number[], forms: readonly number[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'quire-'));
  try {
    const source = join(folder, 'a.s');
    const object = join(folder, 'a.o');
    writeFileSync(source, [...words.map((w) => `.4byte ${w}`), ...forms.map((f) => `.2byte ${f}`), ''].join('\n'));
    execFileSync(AS, ['-march=rv64gc_zba_zbb_zbs_svinval', '-o', object, source]);
    // Without symbols the bytes count as instructions, not as the data they were assembled from.
    execFileSync('riscv64-linux-gnu-objcopy', ['-w', '--strip-symbol=*', object]);
    const out = execFileSync(OBJDUMP, ['-D', '-j', '.text', '--no-show-raw-insn', object], { maxBuffer: 1 << 28 }).toString();
    return [...out.matchAll(/^\s+[0-9a-f]+:\t(.*)$/gm)].map((m) => m[1]!.replace(/\s+#.*$/, '').replace(/ <.*>$/, '').trimEnd());
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const has = (tool: string): boolean => {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const live = has(AS) && has(OBJDUMP);
if (!live) console.log(`live comparison skipped: ${AS} and ${OBJDUMP} are not installed`);

if (process.env.QUIRE_RECORD !== undefined && live) {
  const words = sampleWords();
  const forms = shortForms.filter((form) => form % 89 === 0 || form % 97 === 0);
  const texts = objdump(words, forms);
  writeFileSync(GOLDEN, [...words, ...forms].map((bits, i) => `${bits.toString(16)} ${(i < words.length ? 4 * i : 4 * words.length + 2 * (i - words.length)).toString(16)} ${texts[i]}\n`).join(''));
}

test('every recorded line of objdump is what we print', () => {
  const lines = readFileSync(GOLDEN, 'utf8').trimEnd().split('\n');
  expect(lines.length).toBeGreaterThan(2000);
  const wrong = lines.map((line) => /^(\w+) (\w+) (.*)$/.exec(line)!).filter(([, bits, pc, theirs]) => {
    return !isHint(theirs!) && !agree(disassemble(Number.parseInt(bits!, 16), BigInt(`0x${pc}`)), theirs!);
  });
  expect(wrong.map(([line, bits, pc]) => `${line} | ${disassemble(Number.parseInt(bits!, 16), BigInt(`0x${pc}`))}`)).toEqual([]);
});

describe.skipIf(!live)('live', () => {
  test('objdump agrees on fresh words and on all 16-bit forms but HINTs', () => {
    const words = sampleWords();
    const theirs = objdump(words, shortForms);
    expect(theirs.length).toBe(words.length + shortForms.length);
    const wrong: string[] = [];
    let hints = 0;
    [...words, ...shortForms].forEach((bits, i) => {
      const pc = i < words.length ? 4 * i : 4 * words.length + 2 * (i - words.length);
      const ours = disassemble(bits, BigInt(pc));
      if (isHint(theirs[i]!)) hints++;
      else if (!agree(ours, theirs[i]!)) wrong.push(`${bits.toString(16)}: ${ours} | ${theirs[i]}`);
    });
    expect(wrong).toEqual([]);
    expect(hints).toBeLessThan(500);
  });
});

test('jumps print where they go, from pc', () => {
  expect(disassemble(0xfeb50ce3, 0x10000n)).toBe('beq\ta0,a1,0xfff8');
  expect(disassemble(0xffdff06f, 0n)).toBe('j\t0xfffffffffffffffc');
  expect(disassemble(0x00008067, 0n)).toBe('ret');
  expect(disassemble(0xffffffff, 0n)).toBe('.4byte\t0xffffffff');
});
