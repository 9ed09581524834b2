// F and D: what each floating-point instruction does to registers and fcsr. Loads and stores of f registers are in memory.ts.
import type { Hart } from '../hart.ts';
import type { Decoded } from '../isa/decode.ts';

/** Executes one OP-FP or fused multiply-add instruction, rd = x0 included (that write has no effect).
 *  @returns false: illegal (reserved rounding mode); nothing has changed. */
export function executeFloat(_hart: Hart, _d: Decoded): boolean {
  return false;
}
