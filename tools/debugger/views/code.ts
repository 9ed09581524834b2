// A program's code and memory as text: disassembly, hex dumps. Read without touching anything (memory.ts).
import { hex } from '#base';
import { disassemble, isCompressed } from '#cpu';
import type { Task } from '#kernel';
import { memoryAt } from '../memory.ts';

export interface InstructionView { readonly address: number; readonly lenBytes: number; readonly word: string; readonly text: string }

/** null: nothing is mapped there */
export function instructionAt(task: Task, pc: number): InstructionView | null {
  if (!task.hasMm || !Number.isSafeInteger(pc) || pc < 0) return null;
  const bytes = memoryAt(task.mm, pc, 4);
  if (bytes.length < 2) return null;
  const half = bytes[0]! | (bytes[1]! << 8);
  if (!isCompressed(half) && bytes.length < 4) return null;
  const word = isCompressed(half) ? half : half | (bytes[2]! << 16) | (bytes[3]! << 24);
  const lenBytes = isCompressed(half) ? 2 : 4;
  return { address: pc, lenBytes, word: (word >>> 0).toString(16).padStart(2 * lenBytes, '0'), text: disassemble(word, BigInt(pc)).replace(/\t/g, ' ') };
}
export function disassembly(task: Task, from: number, nr: number): InstructionView[] {
  const found: InstructionView[] = [];
  for (let at = from; found.length < nr;) {
    const instruction = instructionAt(task, at);
    if (instruction === null) break;
    found.push(instruction);
    at += instruction.lenBytes;
  }
  return found;
}

export type MemoryFormat = 'x' | 'd' | 'u' | 'c' | 's';
export interface MemoryView { readonly address: number; readonly sizeBytes: number; readonly format: MemoryFormat; readonly values: readonly string[]; readonly isWhole: boolean }
const PER_LINE: Readonly<Record<number, number>> = { 1: 8, 2: 8, 4: 4, 8: 2 };
const MAX_STRING = 4096;

export function memoryView(task: Task, address: number, nr: number, sizeBytes: number, format: MemoryFormat): MemoryView {
  if (format === 's') {
    const values: string[] = [];
    let at = address;
    for (let i = 0; i < nr; i++) {
      const bytes = memoryAt(task.mm, at, MAX_STRING);
      const end = bytes.indexOf(0);
      if (bytes.length === 0) break;
      values.push(JSON.stringify(String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end))));
      at += (end < 0 ? bytes.length : end) + 1;
    }
    return { address, sizeBytes: 1, format, values, isWhole: values.length === nr };
  }
  const bytes = memoryAt(task.mm, address, nr * sizeBytes);
  const values: string[] = [];
  for (let i = 0; i + sizeBytes <= bytes.length; i += sizeBytes) {
    const word = bytes.subarray(i, i + sizeBytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    values.push(format === 'x' ? `0x${word.toString(16).padStart(2 * sizeBytes, '0')}` : format === 'd' ? `${BigInt.asIntN(8 * sizeBytes, word)}` : format === 'u' ? `${word}` : JSON.stringify(String.fromCharCode(Number(word & 0xffn))));
  }
  return { address, sizeBytes, format, values, isWhole: values.length === nr };
}
export function memoryText({ address, sizeBytes, format, values }: MemoryView): string[] {
  if (format === 's') return values.map((value) => `${hex(address)}: ${value}`);
  const perLine = PER_LINE[sizeBytes]! / (format === 'x' ? 1 : 2) || 1;
  const lines: string[] = [];
  for (let i = 0; i < values.length; i += perLine) lines.push(`${hex(address + i * sizeBytes)}: ${values.slice(i, i + perLine).join(' ')}`);
  return lines;
}
