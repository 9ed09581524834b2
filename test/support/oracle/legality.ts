// Which words are instructions at all? A program that executes thousands of words, one after another, and notes which signal each one brought:
// SIGILL, SIGTRAP, or none. Here: the words worth asking about, and the program. A signal handler (plain code, at the beginning) writes the
// signal's number into the word's result and goes on behind it.
import { ILLEGAL, INSTRUCTIONS, Kind, decode, encode, isCompressed } from '#cpu';
import { Assembly, DATA, finishProgram } from './program.ts';
import type { Program } from './program.ts';

export const Signal = { None: 0, SIGILL: 4, SIGTRAP: 5 } as const;

/** A jump would lead away, a system call would do something, and what qemu 7.2 cannot know it cannot be asked. */
function isAsked(word: number): boolean {
  const d = decode(word);
  if (d.op === ILLEGAL) return true;
  const row = INSTRUCTIONS[d.op]!;
  return (row.kind & (Kind.Branch | Kind.Jump)) === 0 && row.name !== 'ecall' && row.extension !== 'Zicond';
}

/** All 16-bit forms. */
export function shortWords(): number[] {
  return Array.from({ length: 0x10000 }, (_, form) => form).filter((form) => isCompressed(form) && isAsked(form));
}

/** Every instruction of the table, and every word that differs from one in a single bit of those that name it; reserved rounding modes; all CSRs
 *  but the counters, which an operating system may allow or not. */
export function longWords(): number[] {
  const words = new Set<number>();
  for (const row of INSTRUCTIONS) {
    const word = encode(row.name, { rd: 10, rs1: 11, rs2: 12, rs3: 13, imm: row.extension === 'Zicsr' ? 1 : 0 });
    words.add(word);
    for (let bit = 2; bit < 32; bit++) if (((row.mask >>> bit) & 1) !== 0) words.add(word ^ (1 << bit));
    if ((row.kind & Kind.Rm) !== 0) for (let rm = 1; rm < 8; rm++) words.add(word | (rm << 12));
  }
  for (let csr = 0; csr < 0x1000; csr++) {
    if (csr >= 0xc00 && csr < 0xc20) continue;
    words.add(encode('csrrs', { rd: 10, imm: csr, rs1: 0 }));
    words.add(encode('csrrwi', { rd: 0, imm: csr, rs1: 0 }));
  }
  return [...words].filter(isAsked);
}

// The data: resume address, result address, the handler's sigaction, results, and memory that all registers point into.
const RESUME = 0, RESULT = 8, ACTION = 16, RESULTS = 64;
const SCRATCH_BYTES = 1 << 16;
const X1 = 1, X2 = 2, X5 = 5, X6 = 6, A0 = 10, A1 = 11, A2 = 12, A3 = 13, A7 = 17;
const SYS_RT_SIGACTION = 134;
const SA_SIGINFO = 4, SA_NODEFER = 0x4000_0000;
/** Of the saved pc in struct ucontext: behind flags, link, stack and a signal set of 128 bytes, aligned to 16. */
const UC_PC = 176;
/** Words between two copies of the routine that fills the registers, so that a jal reaches it. */
const WORDS_PER_COPY = 8192;

/** @returns the program, and where in its data the results begin: one byte a word, 0 or the signal. */
export function legalityProgram(words: readonly number[]): { program: Program; resultsAt: number } {
  const scratchAt = Math.ceil((RESULTS + words.length) / 4096) * 4096;
  const data = new Uint8Array(scratchAt + SCRATCH_BYTES);
  const assembly = new Assembly();

  // Over the handler.
  assembly.emit('jal', { rd: 0, imm: 4 + 8 + 6 * 4 });
  const handler = assembly.here;
  assembly.li(X5, DATA);
  assembly.emit('ld', { rd: X6, rs1: X5, imm: RESULT });
  assembly.emit('sb', { rs2: A0, rs1: X6, imm: 0 });
  assembly.emit('ld', { rd: X6, rs1: X5, imm: RESUME });
  assembly.emit('sd', { rs2: X6, rs1: A2, imm: UC_PC });
  assembly.emit('jalr', { rd: 0, rs1: X1 });
  assembly.emit('addi'); // nop
  new DataView(data.buffer).setBigUint64(ACTION, BigInt(handler), true);
  new DataView(data.buffer).setBigUint64(ACTION + 8, BigInt(SA_SIGINFO | SA_NODEFER), true);
  for (const signal of [4, 5, 7, 8, 11]) {
    assembly.emit('addi', { rd: A0, rs1: 0, imm: signal });
    assembly.li(A1, DATA + ACTION);
    assembly.emit('addi', { rd: A2, rs1: 0, imm: 0 });
    assembly.emit('addi', { rd: A3, rs1: 0, imm: 8 });
    assembly.emit('addi', { rd: A7, rs1: 0, imm: SYS_RT_SIGACTION });
    assembly.emit('ecall');
  }

  let fill = 0;
  words.forEach((word, i) => {
    if (i % WORDS_PER_COPY === 0) {
      assembly.emit('jal', { rd: 0, imm: 4 + 8 + 29 * 4 + 4 });
      fill = assembly.here;
      assembly.li(X2, DATA + scratchAt + SCRATCH_BYTES / 2);
      for (let r = 3; r < 32; r++) assembly.emit('addi', { rd: r, rs1: X2, imm: 0 });
      assembly.emit('jalr', { rd: 0, rs1: X1 });
    }
    assembly.li(X6, DATA);
    assembly.li(X5, assembly.here + 9 * 4);
    assembly.emit('sd', { rs2: X5, rs1: X6, imm: RESUME });
    assembly.li(X5, DATA + RESULTS + i);
    assembly.emit('sd', { rs2: X5, rs1: X6, imm: RESULT });
    assembly.emit('jal', { rd: X1, imm: fill - assembly.here });
    assembly.emit('addi', { rd: X1, rs1: X2, imm: 0 });
    assembly.word(word, isCompressed(word) ? 2 : 4);
    if (isCompressed(word)) assembly.word(0x0001, 2); // c.nop
  });
  return { program: finishProgram(assembly, data), resultsAt: RESULTS };
}
