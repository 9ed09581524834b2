// Decoded blocks: straight runs of instructions, decoded once and kept until their bytes change. Here: the rows, finding a block by the
// host offset of its first byte (physical, so that remapping needs no care), dropping blocks of frames that were written. Not here:
// executing them: loop.ts goes by the columns, the emitted interpreter (../interp.ts) by records of the same (Row), which lie in the arena like all that it
// reads. A cache and nothing else: dropping all of it at any moment changes no result and no count.
import { PAGE_SIZE, toNumber } from '#base';
import { Guard } from '#mmu';
import type { Arena, Mmu, Ram } from '#mmu';
import { F_WORDS, X_SINK } from '../hart.ts';
import { decode, isCompressed } from '../isa/decode.ts';
import type { Decoded } from '../isa/decode.ts';
import { ILLEGAL, INSTRUCTIONS, Kind } from '../isa/table.ts';

/** Fields of a word in the column of operations: the op of the table, and the places of rd, rs1 and rs2 in Hart.registers, x or f
 *  as the instruction has it (rd: x0 is the sink). Eight bits each. */
export const Packed = { D: 8, A: 16, B: 24, Bits: 255 } as const;

/** A row once more, as the emitted interpreter reads it: what it needs of an instruction side by side, byte offsets in a record. */
export const Row = {
  /** 8 bits: the op; BLOCK_END behind a block's last instruction. */
  Op: 0,
  /** 8 bits: of loads and stores the address bits that must be zero. */
  Align: 1,
  /** 16 bits each: the places of rd, rs1, rs2 in bytes. */
  D: 2, A: 4, B: 6,
  /** 64 bits: the immediate, as in the column. Of a block's header: the number of its instructions, 32 bits. */
  Imm: 8,
  /** 32 bits each: loads and stores of the block before this row, those of A left out. A header has those of all of the block that it follows. */
  Loads: 16, Stores: 20,
  /** 16 bits each: as in the columns. */
  Start: 24, End: 26,
  /** 16 bits: the place of rs3 in bytes. */
  C: 28,
} as const;
export const ROW_BYTES = 32;
const ROW_WORDS = ROW_BYTES / 4;
const [OP_WORD, A_WORD, IMM_WORD, LOADS_WORD, STORES_WORD, START_WORD, C_WORD] = [Row.Op / 4, Row.A / 4, Row.Imm / 4, Row.Loads / 4, Row.Stores / 4, Row.Start / 4, Row.C / 4];
/** An op that stands for no instruction: the header of the next block, in which a block ends. */
export const BLOCK_END = ILLEGAL + 1;

export const POOL_INSTRUCTIONS = 1 << 18;
/** Longest block: what is left of a budget is counted in blocks, and a page holds 2048 instructions. */
const MAX_BLOCK = 64;
export const TABLE_SLOTS = 1 << 15;
/** Arena bytes of the columns. */
export const BLOCK_BYTES = POOL_INSTRUCTIONS * (20 + ROW_BYTES) + TABLE_SLOTS * 8 + 4096;
/** A word no host offset equals: they are even. */
const NO_KEY = -1;

/** Where a host offset stands in the direct-mapped table, if it does. */
export const tableSlot = (host: number): number => (host >>> 1) & (TABLE_SLOTS - 1);

/** What an op's rows have of the table. Decoding is half of what a short run does, and mostly slow, as all that has not run for long. */
interface Shape {
  /** Where its registers' places begin; and rd's place if it is zero. */
  readonly d: number;
  readonly a: number;
  readonly b: number;
  readonly d0: number;
  readonly isRelative: boolean;
  readonly hasRm: boolean;
  readonly hasC: boolean;
  /** Bytes that it accesses, less one; without any, 0. */
  readonly align: number;
  /** Loads and stores, as blocks count them. */
  readonly loads: number;
  readonly stores: number;
  readonly endsBlock: boolean;
}
const shapes: readonly Shape[] = Array.from({ length: ILLEGAL + 1 }, (_, op): Shape => {
  const row = INSTRUCTIONS[op];
  const kind = row?.kind ?? 0;
  const counts = row?.extension !== 'A'; // those count for themselves
  return {
    d: row?.writesFrd === true ? F_WORDS : 0, a: row?.readsFrs1 === true ? F_WORDS : 0, b: row?.readsFrs2 === true ? F_WORDS : 0, d0: row?.writesFrd === true ? F_WORDS : 2 * X_SINK,
    isRelative: (kind & Kind.Branch) !== 0 || row?.name === 'jal' || row?.name === 'auipc', hasRm: (kind & Kind.Rm) !== 0, hasC: row?.readsFrs3 === true,
    align: Math.max(row?.accessBytes ?? 0, 1) - 1, loads: counts && (kind & Kind.Load) !== 0 ? 1 : 0, stores: counts && (kind & Kind.Store) !== 0 ? 1 : 0,
    endsBlock: row === undefined || (kind & Kind.EndsBlock) !== 0,
  };
});

/** Where blocks lie in one code frame. */
interface FrameCode {
  readonly hosts: number[];
  /** Bits of the 64-byte lines that hold decoded bytes: lines 0 to 31, 32 to 63. */
  linesLow: number;
  linesHigh: number;
}

const holdsLine = ({ linesLow, linesHigh }: FrameCode, line: number): boolean => (((line < 32 ? linesLow : linesHigh) >>> line) & 1) !== 0;

export class BlockCache {
  /** Columns, a row an instruction; those of a block follow one another. The row before a block is its header: the number of them, for emitted code, too. */
  readonly operations: Int32Array;
  /** All of a row that emitted code reads, ROW_BYTES each: see Row. For nobody else. */
  readonly rows: Int32Array;
  /** The immediate; of branches, jal and auipc counted from the block's first byte; the rounding mode of what has one. */
  readonly immediates: Int32Array;
  /** Bytes from the start of the block to this instruction (for emitted code, too), and to the next. */
  readonly starts: Uint16Array;
  readonly ends: Uint16Array;
  /** Loads and stores: the address bits that a filter tag must equal, page number and alignment. Fused multiply-adds: the place of rs3. */
  readonly extras: Int32Array;
  /** Of a block's first row: how often it was begun, as far as an engine counts; below zero: ~number of the translated region that begins there. */
  readonly heat: Int32Array;
  /** The same instructions as objects, for those that are handed on. */
  readonly decoded: Decoded[] = [];
  /** Finding: a direct-mapped table by host offset (tableSlot), keys and rows; behind it the complete map. */
  readonly tableKeys: Int32Array;
  readonly tableRows: Int32Array;
  /** Told of every frame whose decoded instructions are dropped, and whether that is because its bytes change. */
  onDrop: ((frame: number, isChanged: boolean) => void) | null = null;

  private readonly ram: Ram;
  private readonly mmu: Mmu;
  private readonly isEmitted: boolean;
  private nextRow = 0;
  /** Of the block that is being made, so far. */
  private nrLoads = 0;
  private nrStores = 0;
  /** By host offset: rows; of those that were dropped, ~row. Code that is written again mostly fits where it was; were it
   *  given other rows each time, the pool would soon be used up, and all blocks lost. */
  private readonly blocks = new Map<number, number>();
  private readonly straddling = new Map<number, number>();
  private readonly frames = new Map<number, FrameCode>();
  /** Addresses to stop before, and their places in a page. */
  private stops: ReadonlySet<number> = new Set();
  private stopPlaces: ReadonlySet<number> = new Set();

  /** @param isEmitted emitted code goes by the blocks: they have rows, and of the columns those alone that say so */
  constructor(arena: Arena, ram: Ram, mmu: Mmu, isEmitted: boolean) {
    this.ram = ram;
    this.mmu = mmu;
    this.isEmitted = isEmitted;
    this.operations = arena.int32(POOL_INSTRUCTIONS);
    this.rows = arena.int32(ROW_WORDS * POOL_INSTRUCTIONS);
    this.immediates = arena.int32(POOL_INSTRUCTIONS);
    this.starts = arena.uint16(POOL_INSTRUCTIONS);
    this.ends = arena.uint16(POOL_INSTRUCTIONS);
    this.extras = arena.int32(POOL_INSTRUCTIONS);
    this.heat = arena.int32(POOL_INSTRUCTIONS);
    this.tableKeys = arena.int32(TABLE_SLOTS).fill(NO_KEY);
    this.tableRows = arena.int32(TABLE_SLOTS);
  }

  /** The block that starts at a host offset, as the row of its first instruction. That one does not straddle pages. */
  find(host: number): number {
    const slot = tableSlot(host);
    if (this.tableKeys[slot] === host) return this.tableRows[slot]!;
    let block = this.known(host);
    if (block < 0) block = this.decodeBlock(host);
    if (this.stopPlaces.has(host & (PAGE_SIZE - 1))) return block;
    this.tableKeys[slot] = host;
    this.tableRows[slot] = block;
    return block;
  }

  /** Engines shall stop before instructions at these addresses. Blocks are physical and addresses are not: what stands at such a place in any page
   *  begins a block, and one that the table above does not have, so that whoever comes there calls and can look at the pc. */
  setStops(pcs: ReadonlySet<number>): void {
    const fresh = [...pcs].filter((pc) => !this.stops.has(pc)).map((pc) => pc % PAGE_SIZE);
    this.stops = new Set(pcs);
    this.stopPlaces = new Set([...pcs].map((pc) => pc % PAGE_SIZE));
    // Where stops have gone blocks stay cut, which does no harm.
    for (const [frame, code] of [...this.frames]) if (fresh.some((place) => holdsLine(code, place >>> 6))) this.dropFrame(frame, false);
  }
  /** To be asked before anything is counted for the instruction, where it begins a block that the table does not have. */
  isStop(pcHi: number, pcLo: number): boolean {
    return this.stops.size !== 0 && this.stops.has(toNumber(pcHi, pcLo));
  }

  /** The block that starts at a host offset if it is decoded, else -1. */
  known(host: number): number {
    return Math.max(this.blocks.get(host) ?? -1, -1);
  }

  /** A block of one 32-bit instruction whose halves lie in two frames. It depends on its word alone, so that is its key. */
  findStraddling(word: number): number {
    const known = this.straddling.get(word);
    if (known !== undefined) return known;
    this.makeRoom();
    const block = this.begin();
    this.append(decode(word), 0);
    this.finish(block, 1);
    this.straddling.set(word, block);
    return block;
  }

  private decodeBlock(host: number): number {
    this.makeRoom();
    const before = this.blocks.get(host) ?? 0;
    const { nextRow } = this;
    if (before < 0) {
      const dropped = ~before;
      this.nextRow = dropped - 1;
      const isWithin = this.decodeAt(host, this.operations[dropped - 1]!);
      this.nextRow = nextRow;
      if (isWithin) return dropped;
    }
    const block = nextRow + 1;
    this.decodeAt(host, MAX_BLOCK);
    return block;
  }
  /** Decodes a block to the next rows. @returns false: they were not enough */
  private decodeAt(host: number, room: number): boolean {
    const block = this.begin();
    const pageEnd = (host & ~(PAGE_SIZE - 1)) + PAGE_SIZE;
    const { view } = this.ram.arena;
    const hasStops = this.stopPlaces.size !== 0;
    let at = 0;
    let count = 0;
    while (count < MAX_BLOCK && host + at < pageEnd) {
      if (hasStops && count > 0 && this.stopPlaces.has((host + at) & (PAGE_SIZE - 1))) break;
      const low = view.getUint16((host + at) >>> 0, true);
      if (!isCompressed(low) && host + at + 2 >= pageEnd) break;
      if (count === room) return false;
      const d = decode(isCompressed(low) ? low : view.getInt32((host + at) >>> 0, true));
      this.append(d, at);
      at += d.length;
      count++;
      if (shapes[d.op]!.endsBlock) break;
    }
    this.finish(block, count);
    this.heat[block] = 0;
    this.blocks.set(host, block);
    this.hold(host, at).hosts.push(host);
    return true;
  }

  /** Leaves a row for the header. */
  private begin(): number {
    this.nextRow++;
    this.nrLoads = 0;
    this.nrStores = 0;
    return this.nextRow;
  }
  private finish(block: number, count: number): void {
    this.operations[block - 1] = count;
    if (!this.isEmitted) return;
    const end = this.nextRow * ROW_WORDS;
    this.rows[(block - 1) * ROW_WORDS + IMM_WORD] = count;
    this.rows[end + OP_WORD] = BLOCK_END;
    this.rows[end + LOADS_WORD] = this.nrLoads;
    this.rows[end + STORES_WORD] = this.nrStores;
  }
  private append(d: Decoded, at: number): void {
    const { op, imm, rd } = d;
    const shape = shapes[op]!;
    const k = this.nextRow++;
    const end = at + d.length;
    const dPlace = rd === 0 ? shape.d0 : shape.d + 2 * rd;
    const aPlace = shape.a + 2 * d.rs1;
    const bPlace = shape.b + 2 * d.rs2;
    const immediate = shape.isRelative ? imm + at : shape.hasRm ? d.rm : imm;
    this.decoded[k] = d;
    this.starts[k] = at;
    if (this.isEmitted) {
      const { rows } = this;
      const w = k * ROW_WORDS;
      rows[w + OP_WORD] = op | (shape.align << (8 * Row.Align)) | (4 * dPlace << 16);
      rows[w + A_WORD] = 4 * aPlace | (4 * bPlace << 16);
      rows[w + IMM_WORD] = immediate;
      rows[w + IMM_WORD + 1] = immediate >> 31;
      rows[w + LOADS_WORD] = this.nrLoads;
      rows[w + STORES_WORD] = this.nrStores;
      rows[w + START_WORD] = at | (end << 16);
      rows[w + C_WORD] = 4 * (F_WORDS + 2 * d.rs3);
      this.nrLoads += shape.loads;
      this.nrStores += shape.stores;
    } else {
      this.operations[k] = op | (dPlace << Packed.D) | (aPlace << Packed.A) | (bPlace << Packed.B);
      this.immediates[k] = immediate;
      this.ends[k] = end;
      this.extras[k] = shape.hasC ? F_WORDS + 2 * d.rs3 : ~(PAGE_SIZE - 1) | shape.align;
    }
  }
  /** When the pool could not hold another block, all are forgotten: the next ones are decoded anew. */
  private makeRoom(): void {
    if (this.nextRow + MAX_BLOCK + 2 < POOL_INSTRUCTIONS) return;
    for (const frame of [...this.frames.keys()]) this.dropFrame(frame, false);
    this.blocks.clear();
    this.straddling.clear();
    this.decoded.length = 0;
    this.nextRow = 0;
  }

  /** From now on stores to these bytes must take the slow path: the frame leaves the write filter, under whatever addresses it stands there. */
  hold(host: number, lenBytes: number): FrameCode {
    const frame = this.ram.pfnOfHost(host) - this.ram.firstPfn;
    let here = this.frames.get(frame);
    if (here === undefined) {
      here = { hosts: [], linesLow: 0, linesHigh: 0 };
      this.frames.set(frame, here);
      this.ram.guards[frame]! |= Guard.Code;
      this.mmu.askBeforeStores();
    }
    const first = (host & (PAGE_SIZE - 1)) >>> 6;
    const last = ((host & (PAGE_SIZE - 1)) + Math.max(lenBytes, 4) - 1) >>> 6;
    for (let line = first; line <= last; line++) {
      if (line < 32) here.linesLow |= 1 << line;
      else here.linesHigh |= 1 << line;
    }
    return here;
  }

  private dropFrame(frame: number, isChanged: boolean): void {
    const here = this.frames.get(frame);
    if (here === undefined) return;
    for (const host of here.hosts) {
      this.blocks.set(host, ~this.blocks.get(host)!);
      const slot = tableSlot(host);
      if (this.tableKeys[slot] === host) this.tableKeys[slot] = NO_KEY;
    }
    this.frames.delete(frame);
    this.ram.guards[frame]! &= ~Guard.Code;
    this.onDrop?.(frame, isChanged);
  }

  /** The hart stored to these bytes of one frame: what was decoded from them is dropped.
   *  @returns true: something was, so the block that is running may be no longer what memory says. */
  stored(host: number, lenBytes: number): boolean {
    const frame = this.ram.pfnOfHost(host) - this.ram.firstPfn;
    if ((this.ram.guards[frame]! & Guard.Code) === 0) return false;
    const here = this.frames.get(frame)!;
    const first = (host & (PAGE_SIZE - 1)) >>> 6;
    const last = ((host & (PAGE_SIZE - 1)) + lenBytes - 1) >>> 6;
    if (!holdsLine(here, first) && !holdsLine(here, last)) return false;
    this.dropFrame(frame, true);
    return true;
  }

  /** Drops what somebody other than the hart wrote to since the last call (ram.dirtyCode). */
  drain(): void {
    const { dirtyCode } = this.ram;
    if (dirtyCode.length === 0) return; // setting a length is a call, and this is asked at each run
    for (const frame of dirtyCode) this.dropFrame(frame, true);
    dirtyCode.length = 0;
  }
}
