// Where indirect jumps have gone: the interpreter notes it, and whoever makes a region (jit/region.ts) expects the same again. Here: the column, noting.
// Not here: what is made of it. A guess and nothing else: no part of the state.
import type { Arena } from '#mmu';
import { add, and, below, block, eq, local, loopWhile, ne, or, set, setWord, shl, shr, when, word, wordAt } from './expr.ts';
import type { Expr } from './expr.ts';
import { Type } from './wasm.ts';
import type { Code } from './wasm.ts';

/** A jump's set of words: its address, then targets as they came, 0 where there are no more. A jump that has more than fit keeps the first. */
const SET_SHIFT = 3;
const SET_WORDS = 1 << SET_SHIFT;
const NR_SETS = 1 << 9;
/** Bytes of arena. */
export const JUMP_BYTES = 4 * NR_SETS * SET_WORDS;
/** Of an address's low half: it is even, so that a set that is empty is no jump's. */
const TAG = 1;

export class JumpTargets {
  readonly words: Int32Array;

  constructor(arena: Arena) {
    this.words = arena.int32(NR_SETS * SET_WORDS);
  }
  /** Low halves of the addresses that a jump has gone to. @param pcLo the jump's own */
  of(pcLo: number): number[] {
    const at = ((pcLo >>> 1) & (NR_SETS - 1)) << SET_SHIFT;
    if (this.words[at] !== (pcLo | TAG)) return [];
    return [...this.words.subarray(at + 1, at + SET_WORDS)].filter((target) => target !== 0);
  }
}

/** A jump goes somewhere. Its target falls out of use if it is 0. @param pcLo, to low halves of the two addresses, pushed more than once */
export function emitNoteJump(c: Code, { words }: JumpTargets, pcLo: Expr, to: Expr): void {
  const column = words.byteOffset;
  const at = c.local(Type.I32), end = c.local(Type.I32);
  const claim = block(setWord(column, local(at), or(pcLo, word(TAG))), ...Array.from({ length: SET_WORDS - 1 }, (_, i) => setWord(column, add(local(at), word(i + 1)), word(0))));
  block(
    set(at, shl(and(shr(pcLo, word(1)), word(NR_SETS - 1)), word(SET_SHIFT))),
    when(ne(wordAt(column, local(at)), or(pcLo, word(TAG))), claim),
    set(end, add(local(at), word(SET_WORDS))), set(at, add(local(at), word(1))),
    loopWhile(and(below(local(at), local(end)), ne(wordAt(column, local(at)), to)), block(
      when(eq(wordAt(column, local(at)), word(0)), block(setWord(column, local(at), to), set(end, word(0)))),
      set(at, add(local(at), word(1))),
    )),
  )(c);
}
