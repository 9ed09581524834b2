// What a debugger knows of the code of the program that runs.

/** One call on the way to where the program is; frame 0 is there itself. */
export interface GuestFrame { readonly pc: number; readonly sp: number; readonly name: string | null; readonly file: string | null; readonly line: number | null }
export interface GuestCode {
  readonly hasLines: boolean;
  /** Names of functions and variables. */
  readonly names: readonly string[];
  addressOf(name: string): number | null;
  addressesOf(file: string, line: number): number[];
  symbolAt(pc: number): { readonly name: string; readonly offset: number } | null;
  lineAt(pc: number): { readonly file: string; readonly line: number } | null;
  /** Does a line begin at this instruction? */
  isLineStart(pc: number): boolean;
  /** The calls that led to where registers (pc, x1 to x31) stand, the innermost first; at least that one. */
  frames(registers: BigInt64Array, max: number): GuestFrame[];
  /** Lines of a source file, from the first one on; null: it cannot be read. */
  text(file: string): readonly string[] | null;
}
const addressOf = (word: bigint): number => Number(BigInt.asUintN(64, word));
export const noCode: GuestCode = {
  hasLines: false, names: [], addressOf: () => null, addressesOf: () => [], symbolAt: () => null, lineAt: () => null, isLineStart: () => false, text: () => null,
  frames: (registers) => [{ pc: addressOf(registers[0]!), sp: addressOf(registers[2]!), name: null, file: null, line: null }],
};
