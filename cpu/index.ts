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
//   reference/stops.ts  breakpoints and watched memory: where a run ends because somebody asked
//   reference/integer.ts, memory.ts, atomic.ts, float.ts (doubles.ts, hostfloat.ts, softfloat.ts), system.ts   what each instruction means
//   emit/wasm.ts        WebAssembly as bytes: instructions, structure, modules; emit/expr.ts: expressions over it; emit/text.ts: read back as text
//   emit/lower.ts, float.ts   what each computing instruction means as WebAssembly, written once for the two engines below
//   emit/memory.ts      the TLB probe inline; emit/layout.ts: where emitted code finds the columns; emit/jumps.ts: where indirect jumps have gone
//   emit/atomic.ts      LR, SC and AMO behind the probe
//   emit/refill.ts      the common misses: L1 at once, emit/behind.ts (L2 and the walk) at once or, of pages that known.ts knows, later, many together
//   emit/neighbours.ts  the same misses where pages may share an entry, all of it at once; joined.ts has a level of such entries
//   emit/large.ts       what L2 serves with entries of Svnapot regions and superpages
//   emit/level.ts       a TLB level, pointers.ts a page-walk cache, scan.ts and oldest.ts searching ways: what refill.ts is made of
//   interp.ts           the emitted interpreter: one loop over decoded records, the same steps as reference/loop.ts
//   jit/region.ts       which instructions are translated together; jit/groups.ts: accesses that share a probe
//   jit/translate.ts    a region as one function; jit/sites.ts: what accesses in loops remember; jit/cache.ts, hotness.ts: when it is made, kept, dropped; jit/dump.ts: how it reads
//   engine.ts           the TypeScript side of interpreter and regions
//   image.ts            what is needed to put the machine back to a moment: columns, and frames shared between images
//   machine.ts          arena, RAM, MMU and hart put together: run(budget) -> Exit; fits kernel/machine.ts by shape
export * from './isa/table.ts';
export { Format } from './isa/formats.ts';
export type { Operands } from './isa/formats.ts';
export * from './isa/decode.ts';
export { disassemble, fName, show, xName } from './isa/disasm.ts';
export * from './hart.ts';
export * from './csr.ts';
export * from './trap.ts';
export { columnBytes } from './image.ts';
export type { MachineImage } from './image.ts';
export * from './machine.ts';
export * from './jit/hotness.ts';
export type { WatchedRegion } from './jit/dump.ts';
export { hostFuses, setPatience } from './wasm-host.ts';
