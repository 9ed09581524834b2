// Guests that are hard on whoever keeps translated code: much of it, each part hot for a while; and code that is written again while it runs. Both
// are made of instructions here, since a binary of that size is not for the repository.
import { assemble, call, exitWithErrno, go, label, li, reg, CODE, DATA } from './guests.ts';
import type { Line } from './guests.ts';
import { staticElf } from './elf.ts';

/** Where the many functions lie, and the code that is written again. */
const BODIES = 0x100_0000;
const { a0, a1, t0, t1, t2, ra, s0, s1 } = reg;
const s2 = 18, s3 = 19;

export interface ManyFunctions {
  /** All functions together, in bytes. */
  readonly lenBytes: number;
  /** Instructions of one function, at least 16. */
  readonly instrs: number;
  /** How often each goes through its body when it is called. */
  readonly iterations: number;
  /** How often all are called, one after the other. */
  readonly rounds: number;
}

/** A program of many functions, no two alike, that calls them in turn. */
export function manyFunctions({ lenBytes, instrs, iterations, rounds }: ManyFunctions): Uint8Array {
  const functionBytes = 4 * instrs;
  const nr = Math.floor(lenBytes / functionBytes);
  const main: Line[] = [
    ...li(s0, rounds), ...li(s3, functionBytes), ...li(a1, DATA),
    label('round'), ...li(s1, BODIES), ...li(s2, nr),
    label('next'), ...li(t0, iterations), ['jalr', { rd: ra, rs1: s1, imm: 0 }], ['add', { rd: s1, rs1: s1, rs2: s3 }], ['addi', { rd: s2, rs1: s2, imm: -1 }], go('bne', 'next', { rs1: s2, rs2: 0 }),
    ['addi', { rd: s0, rs1: s0, imm: -1 }], go('bne', 'round', { rs1: s0, rs2: 0 }),
    ...call(93, 0),
  ];
  // The others differ in their first immediate: V8 compiles modules of equal bytes once.
  const middle: Line[] = [
    ['ld', { rd: t1, rs1: a1, imm: 8 }], ['add', { rd: a0, rs1: a0, rs2: t1 }], ['xor', { rd: t1, rs1: t1, rs2: a0 }], ['slli', { rd: t2, rs1: a0, imm: 3 }],
    ['sd', { rs1: a1, rs2: t1, imm: 8 }], ['sub', { rd: a0, rs1: a0, rs2: t2 }], ['lw', { rd: t2, rs1: a1, imm: 64 }], ['mul', { rd: a0, rs1: a0, rs2: t2 }],
  ];
  const body: Line[] = [label('again'), ['addi', { rd: a0, rs1: a0, imm: 1 }]];
  while (body.length - 1 < instrs - 3) body.push(middle[(body.length - 2) % middle.length]!);
  const one = assemble([...body, ['addi', { rd: t0, rs1: t0, imm: -1 }], go('bne', 'again', { rs1: t0, rs2: 0 }), ['jalr', { rd: 0, rs1: ra, imm: 0 }]]);
  const all = new Uint8Array(nr * functionBytes);
  for (let i = 0; i < nr; i++) {
    all.set(one, i * functionBytes);
    all.set(assemble([['addi', { rd: a0, rs1: a0, imm: (i % 4000) - 2000 }]]), i * functionBytes);
  }
  return staticElf(CODE, [{ address: CODE, bytes: assemble(main), flags: 5 }, { address: DATA, bytes: new Uint8Array(4096), flags: 6 }, { address: BODIES, bytes: all, flags: 5 }]);
}

export interface Rewriter {
  /** Functions, each in a page of its own. */
  readonly pages: number;
  /** How often the function goes through its body between two changes. */
  readonly iterations: number;
  /** How often each function is changed. */
  readonly rounds: number;
  /** Whether the program says fence.i after each change. */
  readonly fences: boolean;
}

/** A program that changes an instruction of a function before each call; exit status: rewriterAnswer(). */
export function rewriter({ pages, iterations, rounds, fences }: Rewriter): Uint8Array {
  const [addi] = new Uint32Array(assemble([['addi', { rd: a0, rs1: a0, imm: 0 }]]).buffer);
  const main: Line[] = [
    ...li(s0, rounds), ...li(s3, 4096), ['addi', { rd: a0, rs1: 0, imm: 0 }],
    label('round'), ...li(s1, BODIES), ...li(s2, pages),
    label('next'), ...li(t1, addi!), ['andi', { rd: t2, rs1: s0, imm: 15 }], ['slli', { rd: t2, rs1: t2, imm: 20 }], ['add', { rd: t1, rs1: t1, rs2: t2 }], ['sw', { rs1: s1, rs2: t1, imm: 0 }],
    ...(fences ? [['fence.i'] as const] : []),
    ...li(t0, iterations), ['jalr', { rd: ra, rs1: s1, imm: 0 }], ['add', { rd: s1, rs1: s1, rs2: s3 }], ['addi', { rd: s2, rs1: s2, imm: -1 }], go('bne', 'next', { rs1: s2, rs2: 0 }),
    ['addi', { rd: s0, rs1: s0, imm: -1 }], go('bne', 'round', { rs1: s0, rs2: 0 }),
    ['andi', { rd: a0, rs1: a0, imm: 63 }], ['sub', { rd: a0, rs1: 0, rs2: a0 }], ...exitWithErrno,
  ];
  const body: Line[] = [
    label('again'), ['addi', { rd: a0, rs1: a0, imm: 0 }], ['xori', { rd: t1, rs1: a0, imm: 7 }], ['slli', { rd: t2, rs1: t1, imm: 1 }], ['sub', { rd: t2, rs1: t2, rs2: t1 }],
    ['add', { rd: a1, rs1: a1, rs2: t2 }], ['addi', { rd: t0, rs1: t0, imm: -1 }], go('bne', 'again', { rs1: t0, rs2: 0 }), ['jalr', { rd: 0, rs1: ra, imm: 0 }],
  ];
  const one = assemble(body);
  const all = new Uint8Array(pages * 4096);
  for (let i = 0; i < pages; i++) all.set(one, i * 4096);
  return staticElf(CODE, [{ address: CODE, bytes: assemble(main), flags: 5 }, { address: BODIES, bytes: all, flags: 7 }]);
}

/** What `rewriter` ends with: the sum of all immediates that ran, modulo 64. */
export function rewriterAnswer({ pages, iterations, rounds }: Rewriter): number {
  let sum = 0;
  for (let round = rounds; round > 0; round--) sum += (round & 15) * iterations * pages;
  return sum % 64;
}
