// A guest program that a test writes itself, to be run by qemu-riscv64 and by the machine: code at one address, data at another, and at the
// end the whole of the data written to standard output. Its instructions come from the instruction table; no compiler is needed.
import { encode } from '#cpu';
import type { Operands } from '#cpu';
import { staticElf } from '../elf.ts';

export const CODE = 0x10_0000;
export const DATA = 0x2000_0000;
const SYS_WRITE = 64;
const SYS_EXIT = 93;

/** Instructions in a row, 2 or 4 bytes each. */
export class Assembly {
  private bytes = new Uint8Array(1 << 16);
  lenBytes = 0;

  get here(): number {
    return CODE + this.lenBytes;
  }
  emit(name: string, operands: Operands = {}): void {
    this.word(encode(name, operands), 4);
  }
  word(bits: number, lenBytes: number): void {
    if (this.lenBytes + 4 > this.bytes.length) {
      const larger = new Uint8Array(this.bytes.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
    }
    for (let i = 0; i < lenBytes; i++) this.bytes[this.lenBytes++] = bits >>> (8 * i);
  }
  raw(bytes: Uint8Array): void {
    for (const byte of bytes) this.word(byte, 1);
  }
  /** rd = a constant of 31 bits, in two instructions. */
  li(rd: number, value: number): void {
    const high = (value + 0x800) & ~0xfff;
    this.emit('lui', { rd, imm: high });
    this.emit('addi', { rd, rs1: rd, imm: value - high });
  }
  get code(): Uint8Array {
    return this.bytes.subarray(0, this.lenBytes);
  }
}

export interface Program {
  readonly elf: Uint8Array;
  readonly entry: number;
  readonly code: Uint8Array;
  readonly data: Uint8Array;
}

/** Ends the assembly with `write(1, data)` until all is out, and exit(0); exit(1) if a write fails. */
export function finishProgram(assembly: Assembly, data: Uint8Array): Program {
  const a0 = 10, a1 = 11, a2 = 12, a7 = 17, s0 = 8, s1 = 9;
  assembly.li(s0, DATA);
  assembly.li(s1, DATA + data.length);
  assembly.emit('addi', { rd: a0, rs1: 0, imm: 1 });
  assembly.emit('addi', { rd: a1, rs1: s0 });
  assembly.emit('sub', { rd: a2, rs1: s1, rs2: s0 });
  assembly.emit('addi', { rd: a7, rs1: 0, imm: SYS_WRITE });
  assembly.emit('ecall');
  assembly.emit('bge', { rs1: 0, rs2: a0, imm: 24 }); // nothing written: exit(1)
  assembly.emit('add', { rd: s0, rs1: s0, rs2: a0 });
  assembly.emit('bltu', { rs1: s0, rs2: s1, imm: -28 });
  assembly.emit('addi', { rd: a0, rs1: 0, imm: 0 });
  assembly.emit('addi', { rd: a7, rs1: 0, imm: SYS_EXIT });
  assembly.emit('ecall');
  assembly.emit('addi', { rd: a0, rs1: 0, imm: 1 });
  assembly.emit('addi', { rd: a7, rs1: 0, imm: SYS_EXIT });
  assembly.emit('ecall');
  const code = assembly.code;
  const elf = staticElf(CODE, [{ address: CODE, bytes: code, flags: 5 }, { address: DATA, bytes: data, flags: 6 }]);
  return { elf, entry: CODE, code, data };
}
