// What a debugger knows of the code of the program that a task runs, at its addresses as they are now: symbols, lines, calls, the text of the source.
// Here: programs.ts and source.ts for one task, with its bias. Sources are read by who is given here: this knows no host.
import type { Task } from '#kernel';
import type { Session } from '../boot.ts';
import { registersOf } from './programs.ts';
import type { Programs } from './programs.ts';
import type { ProgramSource } from './source.ts';

/** One call on the way to where the program is; frame 0 is there itself. */
export interface GuestFrame { readonly pc: number; readonly sp: number; readonly name: string | null; readonly file: string | null; readonly line: number | null; readonly isInlined: boolean }
export interface GuestCode {
  readonly hasLines: boolean;
  /** Names of functions. */
  readonly names: readonly string[];
  /** Of a function or variable. */
  addressOf(name: string): number | null;
  /** Where a breakpoint on a function goes: behind its prologue, once for each that has the name. */
  entriesOf(name: string): number[];
  addressesOf(file: string, line: number): number[];
  symbolAt(pc: number): { readonly name: string; readonly offset: number } | null;
  lineAt(pc: number): { readonly file: string; readonly line: number } | null;
  /** Does a line begin at this instruction? */
  isLineStart(pc: number): boolean;
  /** Where the function of an address begins; null: not known. */
  functionAt(pc: number): number | null;
  /** How many inlined calls the instruction stands in. */
  inlinesAt(pc: number): number;
  /** The calls that led to where the task stands, the innermost first; at least that one. */
  frames(max: number): GuestFrame[];
  /** Lines of a source file, from the first one on; null: it cannot be read. */
  text(file: string): readonly string[] | null;
}

/** @param readSource the text of a file by its whole path; null: not to be had */
export function codeOf(programs: Programs, session: Session, task: Task | null, readSource: (path: string) => string | null): GuestCode {
  const home = task?.hasMm === true ? programs.homeOf(session, task.mm) : null;
  const source = home?.source ?? null;
  const bias = home?.bias ?? 0;
  const at = <T>(pc: number, ask: (source: ProgramSource, linked: number) => T | null): T | null => (source === null || !source.elf.isCode(pc - bias) ? null : ask(source, pc - bias));
  const lineAt: GuestCode['lineAt'] = (pc) => at(pc, (s, linked) => s.placeAt(linked));
  return {
    hasLines: source?.hasLines ?? false,
    get names() { return source?.functionNames() ?? []; },
    addressOf: (name) => { const found = source?.elf.symbolNamed(name)?.address; return found === undefined ? null : found + bias; },
    entriesOf: (name) => (source?.addressesOfFunction(name) ?? []).map((address) => address + bias),
    addressesOf: (file, line) => { const found = source?.addressesOfLine(file, line); return found === undefined ? [] : found.addresses.map((address) => address + bias); },
    symbolAt: (pc) => at(pc, (s, linked) => {
      const symbol = s.elf.symbolAt(linked);
      if (symbol !== null) return { name: symbol.symbol.name, offset: symbol.offset };
      const known = s.functionAt(linked);
      return known === null ? null : { name: known.name, offset: linked - known.start };
    }),
    lineAt,
    isLineStart: (pc) => at(pc, (s, linked) => s.blockAt(linked)?.start === linked) ?? false,
    functionAt: (pc) => { const found = at(pc, (s, linked) => s.functionAt(linked)); return found === null ? null : found.start + bias; },
    inlinesAt: (pc) => (at(pc, (s, linked) => s.framesAt(linked)) ?? [0]).length - 1,
    frames(max) {
      if (task === null) return [];
      const stack = task.hasMm ? programs.stackOf(session, task, max) : [];
      const words = registersOf(session, task);
      if (stack.length === 0) return [{ pc: addressOf(words[0]!), sp: addressOf(words[2]!), name: null, file: null, line: null, isInlined: false }];
      return stack.flatMap(({ pc, lookup, registers }) => {
        const calls = at(lookup, (s, linked) => s.framesAt(linked)) ?? [{ name: '', place: null, isInlined: false }];
        return calls.map(({ name, place, isInlined }) => ({ pc, sp: addressOf(registers[2]!), name: name === '' ? null : name, file: place?.file ?? null, line: place?.line ?? null, isInlined }));
      });
    },
    text: (file) => readSource(file)?.split('\n') ?? null,
  };
}
const addressOf = (word: bigint): number => Number(BigInt.asUintN(64, word));
