// #cpu: one hart, and the machine it sits in. Imports #mmu and #base.
//
// Reading order:
//   isa/table.ts        one line an instruction: name, encoding, format, extension; decoder, disassembler, translator and tests read it
//   isa/formats.ts      where operands and immediates sit in the word, by format
//   isa/compressed.ts   the 16-bit forms: each names the 32-bit instruction it stands for
//   isa/decode.ts       word -> Decoded {op, rd, rs1, rs2, rs3, imm, length}
//   isa/disasm.ts       Decoded -> text, in binutils' manner
//   hart.ts             registers, pc, privilege, fcsr, reservation, retired instructions
//   csr.ts              one line a CSR
//   trap.ts             exception causes; how a trap leaves run()
//   reference/block.ts  decoded blocks by host offset, dropped when their bytes change
//   reference/loop.ts   the readable engine: fetch, dispatch, the common loads and stores, exact budget and fetch counts
//   reference/core.ts   what instructions outside that loop are given, and how they answer
//   reference/integer.ts, memory.ts, atomic.ts, float.ts (doubles.ts, hostfloat.ts, softfloat.ts), system.ts   what each instruction means
//   machine.ts          arena, RAM, MMU and hart put together: run(budget) -> Exit; fits kernel/machine.ts by shape
export * from './isa/table.ts';
export { Format } from './isa/formats.ts';
export type { Operands } from './isa/formats.ts';
export * from './isa/decode.ts';
export { disassemble, fName, show, xName } from './isa/disasm.ts';
export * from './hart.ts';
export * from './csr.ts';
export * from './trap.ts';
export * from './machine.ts';
