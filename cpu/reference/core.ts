// What instructions outside the hot loop are given, and how they answer. Here: types only.
import type { Mmu, Ram } from '#mmu';
import type { Clocks } from '../csr.ts';
import type { Hart } from '../hart.ts';
import type { Decoded } from '../isa/decode.ts';
import type { Exit } from '../trap.ts';
import type { BlockCache } from './block.ts';

/** The parts that an instruction may touch. hart.instret, mmu.tick and the fetch counts are up to date when one is called. */
export interface Core {
  readonly hart: Hart;
  readonly mmu: Mmu;
  readonly ram: Ram;
  readonly blocks: BlockCache;
  readonly clocks: Clocks;
  /** Filled by an instruction that answers Trap. */
  readonly exit: Exit;
}

export const Outcome = {
  /** Done; go on in the block. */
  Next: 0,
  /** Done, but what comes next must be fetched anew: code changed. */
  Leave: 1,
  /** Not done; `exit` says why. */
  Trap: 2,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** What one instruction means. */
export type Meaning = (core: Core, d: Decoded) => Outcome;
