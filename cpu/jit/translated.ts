// Which instructions regions hold. Here: the question alone; the answers are the lowerings'.
import { atomics } from '../emit/atomic.ts';
import { accesses } from '../emit/memory.ts';
import { isFloatTranslated } from '../emit/float.ts';
import { conditions, lowerings } from '../emit/lower.ts';
import type { Decoded } from '../isa/decode.ts';
import { opOf } from '../isa/table.ts';

const others = new Set(['jal', 'jalr', 'fence'].map(opOf));
export const isTranslated = (d: Decoded): boolean =>
  lowerings.has(d.op) || accesses.has(d.op) || atomics.has(d.op) || conditions.has(d.op) || others.has(d.op) || isFloatTranslated(d);
