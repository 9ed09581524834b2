// Where emitted code finds everything: byte offsets in the arena. Here: the columns that only emitted code has, and the places of those it shares.
import { SLOT_WORDS } from '#mmu';
import type { Arena, Mmu } from '#mmu';
import type { Hart } from '../hart.ts';
import type { Hotness } from '../jit/hotness.ts';
import type { BlockCache } from '../reference/block.ts';
import { JUMP_BYTES, JumpTargets } from './jumps.ts';
import { KnownPages, knownBytes } from './known.ts';

/** Regions that can stand translated at one time. */
export const MAX_REGIONS = 1 << 14;
/** Accesses of a region that remember their page (jit/sites.ts). */
export const MAX_SITES = 32;
const FIXED_BYTES = 20 * MAX_REGIONS + JUMP_BYTES + 4 * SLOT_WORDS * MAX_SITES + 4096;
/** Bytes of arena that a layout takes, an upper bound. */
export const layoutBytes = (nrFrames: number): number => FIXED_BYTES + knownBytes(nrFrames);

/** Ways out of a region that are told apart (RegionExit), rounded up. */
const EXIT_CAUSES = 8;

export class Layout {
  /** Hart.registers: register i of 64 bits at 8 * i. And the 64 bits of pc, and fcsr. */
  readonly registers: number;
  readonly pc: number;
  readonly fcsr: number;
  /** Host offset of what LR has reserved, and its length. */
  readonly reservation: number;
  readonly reservationBytes: number;
  /** Lookups by Access, doubles. */
  readonly lookups: number;
  readonly read: number;
  readonly write: number;
  readonly exec: number;
  readonly rows: number;
  readonly heat: number;
  readonly tableKeys: number;
  readonly tableRows: number;
  /** The stamp (stampAt) of the next instruction, and where to stop. Doubles, live. */
  readonly stamps: Float64Array;
  /** What an asked-for fetch answers beside the row: instructions of the block to do, fetches of them already counted, and
   *  the place of their page's stamp. */
  readonly fetched: Int32Array;
  /** A stamp's place that is no entry's. */
  readonly nowhere: number;
  /** What emit/refill.ts expects of the next miss: address of the last one, distance from the one before, address at which it looks ahead again (64 bits each).
   *  No part of the state. */
  readonly ahead: Int32Array;
  /** Pages of which it is known what stands behind L1. No part of the state. */
  readonly known: KnownPages;
  /** Slots of what accesses in a region's loops remember. No part of the state. */
  readonly sites: Int32Array;
  /** Where indirect jumps have gone. No part of the state. */
  readonly jumps: JumpTargets;
  /** How often each region has stopped for the interpreter. */
  readonly stops: Int32Array;
  /** How often each region was entered since it was made; how often regions were left, by cause (RegionExit). Doubles, live. */
  readonly entries: Float64Array;
  readonly exits: Float64Array;
  /** The pc that each region begins at, 64 bits. */
  readonly regionPcs: BigInt64Array;

  /** The host's WebAssembly has a fused multiply-add. No place, but what emitting code must know likewise. */
  readonly fuses: boolean;

  constructor(arena: Arena, hart: Hart, mmu: Mmu, blocks: BlockCache, fuses: boolean, nrFrames: number, { hits }: Pick<Hotness, 'hits'>) {
    this.fuses = fuses;
    this.registers = hart.registers.byteOffset;
    this.pc = hart.words.byteOffset;
    this.fcsr = hart.words.byteOffset + 8;
    this.reservation = hart.words.byteOffset + 16;
    this.reservationBytes = hart.words.byteOffset + 20;
    this.lookups = mmu.counters.lookups.byteOffset;
    this.read = mmu.filter.read.byteOffset;
    this.write = mmu.filter.write.byteOffset;
    this.exec = mmu.filter.exec.byteOffset;
    this.rows = blocks.rows.byteOffset;
    this.heat = blocks.heat.byteOffset;
    this.tableKeys = blocks.tableKeys.byteOffset;
    this.tableRows = blocks.tableRows.byteOffset;
    this.stamps = arena.float64(2);
    this.fetched = arena.int32(3);
    this.nowhere = arena.float64(1).byteOffset;
    this.ahead = arena.int32(6);
    this.known = new KnownPages(arena, nrFrames, hits);
    this.sites = arena.int32(SLOT_WORDS * MAX_SITES);
    this.jumps = new JumpTargets(arena);
    this.stops = arena.int32(MAX_REGIONS);
    this.entries = arena.float64(MAX_REGIONS);
    this.exits = arena.float64(EXIT_CAUSES);
    this.regionPcs = arena.bigInt64(MAX_REGIONS);
  }
  get tick(): number { return this.stamps.byteOffset; }
  get end(): number { return this.stamps.byteOffset + 8; }
}
