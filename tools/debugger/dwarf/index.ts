// DWARF: what compilers tell of a program, as far as addresses, lines, functions and frames go. Variables and types are left to gdb.
//
// Reading order:
//   reader.ts      bytes, and what is wrong with them; constants.ts the standard's numbers
//   abbrev.ts      which attributes entries have; forms.ts their values
//   units.ts       what was compiled together; ranges.ts code in several pieces
//   line.ts        line programs; functions.ts subprograms and inlined calls; frame.ts call frames
export * from './reader.ts';
export { Abbreviations } from './abbrev.ts';
export type { DwarfSections } from './forms.ts';
export * from './ranges.ts';
export { readUnits } from './units.ts';
export type { Unit } from './units.ts';
export * from './line.ts';
export * from './functions.ts';
export * from './frame.ts';
