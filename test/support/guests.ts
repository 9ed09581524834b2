// Guests of a few instructions that no compiler would make: code at one address, data at another, as an ELF file. Instructions come from the
// instruction table; branch targets are labels.
import { encode, type Operands } from '#cpu';
import { staticElf } from './elf.ts';

export const CODE = 0x1_0000;
export const DATA = 0x2_0000;
export const reg = { zero: 0, ra: 1, sp: 2, t0: 5, t1: 6, t2: 7, s0: 8, s1: 9, a0: 10, a1: 11, a2: 12, a3: 13, a4: 14, a5: 15, a7: 17 } as const;
export const Nr = { exit: 93, mmap: 222, write: 64, clone: 220, rtSigaction: 134 } as const;

/** An instruction, a raw word, a label, or a branch or jump to one. */
export type Line = readonly [name: string, operands?: Operands] | number | { readonly label: string } | { readonly to: string; readonly name: string; readonly operands: Operands };
export const label = (name: string): Line => ({ label: name });
export const go = (name: string, to: string, operands: Operands): Line => ({ name, to, operands });
/** rd = n, below 2^31, always two instructions. */
export function li(rd: number, n: number): Line[] {
  const high = (n + 0x800) & ~0xfff;
  return [['lui', { rd, imm: high }], ['addi', { rd, rs1: rd, imm: n - high }]];
}
/** System call `nr` with the arguments that are given; the others stay as they are. */
export const call = (nr: number, ...args: number[]): Line[] =>
  [...args.flatMap((n, i) => (n === -1 ? [['addi', { rd: reg.a0 + i, rs1: 0, imm: -1 }] as const] : li(reg.a0 + i, n))), ['addi', { rd: reg.a7, rs1: 0, imm: nr }], ['ecall']];
/** exit(-a0): the errno of the last call is the exit status. */
export const exitWithErrno: readonly Line[] = [['sub', { rd: reg.a0, rs1: 0, rs2: reg.a0 }], ...call(Nr.exit)];

/** The instructions of some lines, four bytes each. */
export function assemble(lines: readonly Line[]): Uint8Array {
  const places = new Map<string, number>();
  let at = 0;
  for (const line of lines) {
    if (typeof line === 'object' && 'label' in line) places.set(line.label, at);
    else at += 4;
  }
  const bytes = new Uint8Array(at);
  const view = new DataView(bytes.buffer);
  at = 0;
  for (const line of lines) {
    if (typeof line === 'object' && 'label' in line) continue;
    let word: number;
    if (typeof line === 'number') word = line;
    else if ('to' in line) word = encode(line.name, { ...line.operands, imm: places.get(line.to)! - at });
    else word = encode(line[0], line[1]);
    view.setUint32(at, word, true);
    at += 4;
  }
  return bytes;
}

/** The ELF file of a guest: its code, and a page of data that may be written but not run. */
export const guest = (lines: readonly Line[]): Uint8Array =>
  staticElf(CODE, [{ address: CODE, bytes: assemble(lines), flags: 5 }, { address: DATA, bytes: new Uint8Array(4096), flags: 6 }]);

/** The same file with some little-endian fields changed: [offset, size in bytes, value]. */
export function patched(file: Uint8Array, ...fields: readonly (readonly [at: number, size: 2 | 4 | 8, value: number | bigint])[]): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  for (const [at, size, value] of fields) {
    if (size === 2) view.setUint16(at, Number(value), true);
    else if (size === 4) view.setUint32(at, Number(value), true);
    else view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  }
  return copy;
}
/** Offsets in an ELF header, and in program header i. */
export const Header = { type: 16, machine: 18, entry: 24, phoff: 32, phentsize: 54, phnum: 56 } as const;
export const phdr = (i: number) => ({ type: 64 + 56 * i, flags: 68 + 56 * i, offset: 72 + 56 * i, vaddr: 80 + 56 * i, filesz: 96 + 56 * i, memsz: 104 + 56 * i }) as const;
