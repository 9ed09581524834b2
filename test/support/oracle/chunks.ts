// Random sequences as tests handle them: drawn from a seed, listed, run in one program. The drawing is in sequences.ts.
import { decode, disassemble, isCompressed } from '#cpu';
import type { Decoded } from '#cpu';
import { programOf } from './blocks.ts';
import { runHere } from './ours.ts';
import type { Run } from './ours.ts';
import type { Program } from './program.ts';
import { SequenceGenerator } from './sequences.ts';
import type { Chunk } from './sequences.ts';

/** The instructions of a sequence, in the order of their bytes. */
export function* instructionsOf(code: Uint8Array): Generator<{ at: number; bits: number; d: Decoded }> {
  const view = new DataView(code.buffer, code.byteOffset, code.length);
  for (let at = 0; at < code.length;) {
    const low = view.getUint16(at, true);
    const bits = isCompressed(low) ? low : view.getInt32(at, true);
    const d = decode(bits);
    yield { at, bits, d };
    at += d.length;
  }
}
/** Its disassembly, a line an instruction. */
export const listing = (code: Uint8Array): string[] => [...instructionsOf(code)].map(({ at, bits }) => `  ${at}\t${disassemble(bits, BigInt(at))}`);

/** `count` sequences of a seed; the same ones every time. */
export const generate = (seed: number, count: number): Chunk[] => {
  const generator = new SequenceGenerator(seed);
  return Array.from({ length: count }, (_, i) => generator.chunk(i));
};
/** Runs the whole program; if it goes astray, the sequences one by one to name the first that does. */
export function runAll(chunks: readonly Chunk[], seed: number, program: Program): Run {
  try {
    return runHere(program);
  } catch (error) {
    chunks.forEach((chunk, i) => {
      try {
        runHere(programOf([chunk], seed, i));
      } catch (cause) {
        throw new Error(`sequence ${i}, base x${chunk.base}: ${String(cause)}\n${listing(chunk.code).join('\n')}`, { cause });
      }
    });
    throw error;
  }
}
