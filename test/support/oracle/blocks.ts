// Chunks made into one program: each starts from its own random registers and memory and leaves what became of them in the same block of data,
// so that the data at the end of the program holds every state. Here: the layout of a block, the code around a chunk, comparing, drawing.
import { StateHash, Prng } from '#base';
import { Assembly, DATA, finishProgram } from './program.ts';
import type { Program } from './program.ts';
import { WINDOW_BYTES } from './sequences.ts';
import type { Chunk } from './sequences.ts';
import { floatValue, integerValue } from './values.ts';

// A block: the window, then fcsr and x1 to x31, then f0 to f31. The base register points to the window's middle.
const X_AT = WINDOW_BYTES;
const F_AT = X_AT + 32 * 8;
export const BLOCK_BYTES = F_AT + 32 * 8;
const BASE_AT = WINDOW_BYTES / 2;

/** The program of some chunks. @param seed of the states that they start from; @param firstIndex the first chunk's number in the whole run */
export function programOf(chunks: readonly Chunk[], seed: number, firstIndex = 0): Program {
  const assembly = new Assembly();
  const data = new Uint8Array(chunks.length * BLOCK_BYTES);
  chunks.forEach((chunk, i) => {
    const base = DATA + i * BLOCK_BYTES + BASE_AT;
    fillBlock(new DataView(data.buffer, i * BLOCK_BYTES, BLOCK_BYTES), base, chunk, new Prng(seed, `state ${firstIndex + i}`));
    const rs1 = chunk.base;
    const other = rs1 === 1 ? 2 : 1;
    assembly.li(rs1, base);
    assembly.emit('ld', { rd: other, rs1, imm: X_AT - BASE_AT });
    assembly.emit('csrrw', { rd: 0, imm: 3, rs1: other });
    for (let r = 0; r < 32; r++) assembly.emit('fld', { rd: r, rs1, imm: F_AT - BASE_AT + 8 * r });
    for (let r = 1; r < 32; r++) if (r !== rs1) assembly.emit('ld', { rd: r, rs1, imm: X_AT - BASE_AT + 8 * r });
    assembly.raw(chunk.code);
    for (let r = 1; r < 32; r++) assembly.emit('sd', { rs2: r, rs1, imm: X_AT - BASE_AT + 8 * r });
    for (let r = 0; r < 32; r++) assembly.emit('fsd', { rs2: r, rs1, imm: F_AT - BASE_AT + 8 * r });
    assembly.emit('csrrs', { rd: other, imm: 3, rs1: 0 });
    assembly.emit('sd', { rs2: other, rs1, imm: X_AT - BASE_AT });
  });
  return finishProgram(assembly, data);
}

function fillBlock(block: DataView, base: number, chunk: Chunk, random: Prng): void {
  for (let at = 0; at < WINDOW_BYTES; at += 8) block.setBigUint64(at, random.below(2) === 0 ? integerValue(random) : floatValue(random), true);
  block.setBigUint64(X_AT, BigInt((random.below(5) << 5) | random.below(32)), true);
  for (let r = 1; r < 32; r++) block.setBigUint64(X_AT + 8 * r, r === chunk.base ? BigInt(base) : integerValue(random), true);
  for (let r = 0; r < 32; r++) block.setBigUint64(F_AT + 8 * r, floatValue(random), true);
}

/** Eight hex digits that stand for a chunk's final state. */
export function hashOfBlock(data: Uint8Array, index: number): string {
  const hash = new StateHash();
  hash.int32s(new Int32Array(data.slice(index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES).buffer));
  return hash.digest().slice(0, 8);
}

/** Every word of the state that differs, one line each: 'x5 ours 0000000000000001 qemu 0000000000000002'. */
export function differences(ours: Uint8Array, theirs: Uint8Array, index: number): string[] {
  const blockOf = (data: Uint8Array): DataView => new DataView(data.buffer, data.byteOffset + index * BLOCK_BYTES, BLOCK_BYTES);
  const [a, b] = [blockOf(ours), blockOf(theirs)];
  const lines: string[] = [];
  for (let at = 0; at < BLOCK_BYTES; at += 8) {
    const [mine, his] = [a.getBigUint64(at, true), b.getBigUint64(at, true)];
    if (mine !== his) lines.push(`${slotName(at)} ours ${hex(mine)} qemu ${hex(his)}`);
  }
  return lines;
}
const hex = (bits: bigint): string => bits.toString(16).padStart(16, '0');
function slotName(at: number): string {
  if (at >= F_AT) return `f${(at - F_AT) / 8}`;
  if (at === X_AT) return 'fcsr';
  if (at > X_AT) return `x${(at - X_AT) / 8}`;
  return `memory base${at < BASE_AT ? '-' : '+'}${Math.abs(at - BASE_AT)}`;
}
