// What a function's code has done to its frame, read off the instructions between its beginning and where it stands: how far sp went down, where
// ra and other registers were put. Here: that walk, prologues in code without symbols, calls before a return address. Not here: what is made of it
// (unwind.ts). It knows what compilers write; code by hand may mislead it.
import { decode, ILLEGAL, INSTRUCTIONS, isCompressed } from '#cpu';
import type { Decoded } from '#cpu';

/** Bytes at an address; null: nothing is there, or nothing that can be seen. */
export type ReadMemory = (address: number, lenBytes: number) => Uint8Array | null;

export interface CodeFrameState {
  /** The CFA is sp plus this; null: sp was moved by an amount that the code does not say. */
  readonly depth: number | null;
  /** The CFA is s0 plus this; null: s0 is no frame pointer. */
  readonly framePointer: number | null;
  /** Registers that are saved, by where: the CFA plus this. */
  readonly saved: ReadonlyMap<number, number>;
}

const [RA, SP, FP] = [1, 2, 8] as const;
/** Functions that are longer are not walked through. */
const MAX_WALK_BYTES = 1 << 16;
/** How far before an address without symbols a prologue is looked for. */
const MAX_SEARCH_BYTES = 1 << 14;

interface CodeWord { readonly d: Decoded; readonly name: string }
/** The instruction at an address; null: none. */
export function readCode(read: ReadMemory, address: number): CodeWord | null {
  const low = read(address, 2);
  if (low === null) return null;
  const half = low[0]! | (low[1]! << 8);
  let word = half;
  if (!isCompressed(half)) {
    const high = read(address + 2, 2);
    if (high === null) return null;
    word = half | (high[0]! << 16) | (high[1]! << 24);
  }
  const d = decode(word);
  return d.op === ILLEGAL ? null : { d, name: INSTRUCTIONS[d.op]!.name };
}

/** Goes through the code from a function's first instruction to `pc`, as it stands, not as it jumps: behind a return the frame is again as it was
 *  before the way out began. @returns null: it does not come to pc, or too much lies between */
export function walkCode(read: ReadMemory, entry: number, pc: number): CodeFrameState | null {
  if (!(entry <= pc && pc - entry <= MAX_WALK_BYTES)) return null;
  const walk = new Walk();
  let at = entry;
  while (at < pc) {
    const word = readCode(read, at);
    if (word === null) return null;
    walk.step(word);
    at += word.d.length;
  }
  return at === pc ? walk : null;
}

class Walk implements CodeFrameState {
  depth: number | null = 0;
  framePointer: number | null = null;
  saved = new Map<number, number>();
  /** As it was when everything was saved: what holds behind a return in the middle. */
  private body: { depth: number | null; framePointer: number | null; saved: Map<number, number> } = { depth: 0, framePointer: null, saved: new Map() };
  /** Registers whose value the code says: frames of more than 2 KiB are made with one. */
  private readonly constants = new Map<number, number>();

  step({ d, name }: CodeWord): void {
    switch (name) {
      case 'addi': this.addImmediate(d); break;
      case 'addiw': this.setConstant(d, d.rs1); break;
      case 'lui': this.constants.set(d.rd, d.imm); break;
      case 'add': case 'sub': this.addRegister(d, name === 'add' ? 1 : -1); break;
      case 'sd': this.store(d); break;
      case 'ld': this.load(d); break;
      case 'jalr': case 'jal': if (d.rd === 0) this.leave(); break;
      default: if (INSTRUCTIONS[d.op]!.writesRd) this.constants.delete(d.rd);
    }
    if (this.depth !== null && this.depth >= (this.body.depth ?? 0) && this.saved.size >= this.body.saved.size) {
      this.body = { depth: this.depth, framePointer: this.framePointer, saved: new Map(this.saved) };
    }
  }
  private addImmediate(d: Decoded): void {
    if (d.rd === SP && d.rs1 === SP) this.move(-d.imm);
    else if (d.rd === SP && d.rs1 === FP) this.depth = this.framePointer === null ? null : this.framePointer - d.imm;
    else if (d.rd === FP && d.rs1 === SP && this.depth !== null) this.framePointer = this.depth - d.imm;
    else this.setConstant(d, d.rs1);
  }
  private setConstant(d: Decoded, from: number): void {
    const base = from === 0 ? 0 : this.constants.get(from);
    if (base === undefined) this.constants.delete(d.rd);
    else this.constants.set(d.rd, base + d.imm);
  }
  private addRegister(d: Decoded, sign: 1 | -1): void {
    if (d.rd !== SP) {
      this.constants.delete(d.rd);
      return;
    }
    const other = d.rs1 === SP ? d.rs2 : d.rs1;
    const amount = this.constants.get(other);
    if (amount === undefined) this.depth = null;
    else this.move(-sign * amount);
  }
  private move(down: number): void {
    if (this.depth !== null) this.depth += down;
  }
  private store({ rs1, rs2, imm }: Decoded): void {
    const isPreserved = rs2 === RA || rs2 === FP || rs2 === 9 || (rs2 >= 18 && rs2 <= 27);
    if (isPreserved && rs1 === SP && this.depth !== null && !this.saved.has(rs2)) this.saved.set(rs2, imm - this.depth);
  }
  /** On the way out registers are the caller's again. */
  private load({ rd, rs1 }: Decoded): void {
    if (rs1 === SP || rs1 === FP) this.saved.delete(rd);
    if (rd === FP) this.framePointer = null;
    this.constants.delete(rd);
  }
  /** A return, or a jump that may be one into another function. */
  private leave(): void {
    this.depth = this.body.depth;
    this.framePointer = this.body.framePointer;
    this.saved = new Map(this.body.saved);
  }
}

/** The last place before an address at which sp goes down, as at the beginning of a function; null: none near. */
export function findPrologue(read: ReadMemory, before: number): number | null {
  for (let at = before - 2; at >= before - MAX_SEARCH_BYTES; at -= 2) {
    const word = readCode(read, at);
    if (word !== null && word.name === 'addi' && word.d.rd === SP && word.d.rs1 === SP && word.d.imm < 0) return at;
  }
  return null;
}

/** The call that returns to an address; null: what stands before it is no call. target: null if a register holds it. */
export function callBefore(read: ReadMemory, returnTo: number): { readonly target: number | null } | null {
  const long = readCode(read, returnTo - 4);
  if (long !== null && long.d.length === 4 && long.d.rd === RA) {
    if (long.name === 'jal') return { target: returnTo - 4 + long.d.imm };
    if (long.name === 'jalr') return { target: farTarget(read, returnTo - 8, long.d) };
  }
  const short = readCode(read, returnTo - 2);
  return short !== null && short.d.length === 2 && short.name === 'jalr' && short.d.rd === RA ? { target: null } : null;
}
/** auipc and jalr together name a fixed place. */
function farTarget(read: ReadMemory, at: number, jump: Decoded): number | null {
  const word = readCode(read, at);
  return word !== null && word.name === 'auipc' && word.d.rd === jump.rs1 ? at + word.d.imm + jump.imm : null;
}
