// Decoded blocks: straight runs of instructions, decoded once and kept until their bytes change. Here: the records, finding a block by the
// host offset of its first byte (physical, so that remapping needs no care), dropping blocks of frames that were written. Not here:
// executing them (loop.ts). A cache and nothing else: dropping all of it at any moment changes no result and no count.
import { PAGE_SIZE } from '#base';
import type { Mmu, Ram } from '#mmu';
import type { Hart } from '../hart.ts';
import { X_SINK } from '../hart.ts';
import { decode, isCompressed } from '../isa/decode.ts';
import type { Decoded } from '../isa/decode.ts';
import { ILLEGAL, INSTRUCTIONS, Kind } from '../isa/table.ts';

/** A record is this many words, the fields at the places below. */
export const RECORD = 8;
export const Field = {
  /** Op of the table. */
  Op: 0,
  /** Places of the low halves of rd, rs1, rs2 among the arena's words. rd: x0 is the sink. Loads and stores of f registers name those. */
  D: 1, A: 2, B: 3,
  /** Immediate; of branches and jal counted from the block's first byte. */
  Imm: 4,
  /** Byte of the block where the instruction starts, and where the next one does. */
  At: 5, Next: 6,
  /** Loads and stores: the address bits that a filter tag must equal, page number and alignment. */
  Mask: 7,
} as const;

const POOL_RECORDS = 1 << 18;
/** Longest block: what is left of a budget is counted in blocks, and a page holds 2048 instructions. */
const MAX_BLOCK = 64;
const TABLE_SLOTS = 1 << 15;
const HEADER = RECORD;
/** A word no host offset equals: they are even. */
const NO_KEY = -1;

/** Where blocks lie in one code frame. */
interface FrameCode {
  readonly hosts: number[];
  /** Bits of the 64-byte lines that hold decoded bytes: lines 0 to 31, 32 to 63. */
  linesLow: number;
  linesHigh: number;
}

export class BlockCache {
  /** All records. A block is a header record, whose first word is the number of instructions, and its instructions. */
  readonly code = new Int32Array(POOL_RECORDS * RECORD);
  /** The same instructions as objects, by record number, for those that the loop hands on. */
  readonly decoded: Decoded[] = [];

  private readonly ram: Ram;
  private readonly mmu: Mmu;
  private readonly xWords: number;
  private readonly fWords: number;
  private nextRecord = 1;
  // Finding: a direct-mapped table, behind it the complete map.
  private readonly tableKeys = new Int32Array(TABLE_SLOTS).fill(NO_KEY);
  private readonly tableBlocks = new Int32Array(TABLE_SLOTS);
  private readonly blocks = new Map<number, number>();
  private readonly straddling = new Map<number, number>();
  private readonly frames = new Map<number, FrameCode>();

  constructor(ram: Ram, mmu: Mmu, hart: Hart) {
    this.ram = ram;
    this.mmu = mmu;
    this.xWords = hart.xAndSink.byteOffset >>> 2;
    this.fWords = hart.fHalves.byteOffset >>> 2;
  }

  /** The block that starts at a host offset, as the place of its first instruction in `code`; codeLength() tells how many follow.
   *  The instruction there does not straddle pages. */
  find(host: number): number {
    const slot = (host >>> 1) & (TABLE_SLOTS - 1);
    if (this.tableKeys[slot] === host) return this.tableBlocks[slot]!;
    const block = this.blocks.get(host) ?? this.decodeBlock(host);
    this.tableKeys[slot] = host;
    this.tableBlocks[slot] = block;
    return block;
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
    const block = this.begin();
    const pageEnd = (host & ~(PAGE_SIZE - 1)) + PAGE_SIZE;
    let at = 0;
    let count = 0;
    while (count < MAX_BLOCK && host + at < pageEnd) {
      const low = this.ram.arena.view.getUint16((host + at) >>> 0, true);
      if (!isCompressed(low) && host + at + 2 >= pageEnd) break;
      const d = decode(isCompressed(low) ? low : this.ram.arena.view.getInt32((host + at) >>> 0, true));
      this.append(d, at);
      at += d.length;
      count++;
      if (d.op === ILLEGAL || (INSTRUCTIONS[d.op]!.kind & Kind.EndsBlock) !== 0) break;
    }
    this.finish(block, count);
    this.blocks.set(host, block);
    this.markFrame(host, at);
    return block;
  }

  private begin(): number {
    this.nextRecord++;
    return this.nextRecord * RECORD;
  }
  private finish(block: number, count: number): void {
    this.code[block - HEADER] = count;
  }
  private append(d: Decoded, at: number): void {
    const k = this.nextRecord * RECORD;
    const row = INSTRUCTIONS[d.op];
    const kind = row?.kind ?? 0;
    const memory = row !== undefined && row.accessBytes !== 0 && row.extension !== 'A';
    const x = this.xWords;
    const f = this.fWords;
    this.code[k + Field.Op] = d.op;
    this.code[k + Field.D] = memory && row.writesFrd ? f + 2 * d.rd : x + 2 * (d.rd === 0 ? X_SINK : d.rd);
    this.code[k + Field.A] = x + 2 * d.rs1;
    this.code[k + Field.B] = memory && row.readsFrs2 ? f + 2 * d.rs2 : x + 2 * d.rs2;
    this.code[k + Field.Imm] = (kind & Kind.Branch) !== 0 || row?.name === 'jal' || row?.name === 'auipc' ? d.imm + at : d.imm;
    this.code[k + Field.At] = at;
    this.code[k + Field.Next] = at + d.length;
    this.code[k + Field.Mask] = memory ? ~(PAGE_SIZE - 1) | (row.accessBytes - 1) : 0;
    this.decoded[this.nextRecord] = d;
    this.nextRecord++;
  }
  /** When the pool could not hold another block, all are forgotten: the next ones are decoded anew. */
  private makeRoom(): void {
    if (this.nextRecord + MAX_BLOCK + 1 < POOL_RECORDS) return;
    for (const frame of [...this.frames.keys()]) this.dropFrame(frame);
    this.straddling.clear();
    this.decoded.length = 0;
    this.nextRecord = 1;
  }

  /** From now on stores to these bytes must take the slow path: the frame leaves the write filter, under whatever addresses it stands there. */
  private markFrame(host: number, lenBytes: number): void {
    const frame = this.ram.pfnOfHost(host) - this.ram.firstPfn;
    let here = this.frames.get(frame);
    if (here === undefined) {
      here = { hosts: [], linesLow: 0, linesHigh: 0 };
      this.frames.set(frame, here);
      this.ram.codeFrames[frame] = 1;
      this.mmu.filter.clearWrite();
    }
    here.hosts.push(host);
    const first = (host & (PAGE_SIZE - 1)) >>> 6;
    const last = ((host & (PAGE_SIZE - 1)) + Math.max(lenBytes, 4) - 1) >>> 6;
    for (let line = first; line <= last; line++) {
      if (line < 32) here.linesLow |= 1 << line;
      else here.linesHigh |= 1 << line;
    }
  }

  private dropFrame(frame: number): void {
    const here = this.frames.get(frame);
    if (here === undefined) return;
    for (const host of here.hosts) {
      this.blocks.delete(host);
      const slot = (host >>> 1) & (TABLE_SLOTS - 1);
      if (this.tableKeys[slot] === host) this.tableKeys[slot] = NO_KEY;
    }
    this.frames.delete(frame);
    this.ram.codeFrames[frame] = 0;
  }

  /** The hart stored to these bytes of one frame: what was decoded from them is dropped.
   *  @returns true: something was, so the block that is running may be no longer what memory says. */
  stored(host: number, lenBytes: number): boolean {
    const frame = this.ram.pfnOfHost(host) - this.ram.firstPfn;
    if (this.ram.codeFrames[frame] === 0) return false;
    const here = this.frames.get(frame)!;
    const first = (host & (PAGE_SIZE - 1)) >>> 6;
    const last = ((host & (PAGE_SIZE - 1)) + lenBytes - 1) >>> 6;
    const touched = (line: number): boolean => (((line < 32 ? here.linesLow : here.linesHigh) >>> line) & 1) !== 0;
    if (!touched(first) && !touched(last)) return false;
    this.dropFrame(frame);
    return true;
  }

  /** Drops what somebody other than the hart wrote to since the last call (ram.dirtyCode). */
  drain(): void {
    for (const frame of this.ram.dirtyCode) this.dropFrame(frame);
    this.ram.dirtyCode.length = 0;
  }
}
