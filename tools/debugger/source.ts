// One executable as a person reads it: from an address to function, file, line and the calls that were inlined there; from a function's name or a
// line to the addresses where it begins. Works with what there is: DWARF, else symbols, else nothing but numbers.
// Not here: reading the file (elf.ts, dwarf/), where the program was put (every address here is as linked), walking up a stack (unwind.ts).
import { hex } from '#base';
import { Abbreviations, CallFrames, contains, Damaged, lastAtOrBefore, readFunctions, readLineTable, readUnits } from './dwarf/index.ts';
import type { CodeRange, DebugFunction, DwarfSections, FrameRules, InlinedCall, LineRow, LineSequence, LineTable, Unit } from './dwarf/index.ts';
import { ElfFile } from './elf.ts';
import type { Inflate } from './elf.ts';

export interface SourcePlace { readonly file: string; readonly line: number; /** 0: not said */ readonly column: number }
/** A function as one call of it is seen at an address. */
export interface CodeFrame {
  /** Empty: nobody knows. */
  readonly name: string;
  /** Where in its source; null: not known. */
  readonly place: SourcePlace | null;
  /** It has no frame of its own: its code stands in the next one's. */
  readonly isInlined: boolean;
}
/** Instructions [start, end) that belong to one line in one piece. */
export interface LineBlock extends CodeRange { readonly place: SourcePlace }
/** A function's code, whoever told of it. */
export interface FunctionPlace extends CodeRange { readonly name: string; readonly ranges: readonly CodeRange[] }

export class ProgramSource {
  readonly elf: ElfFile;
  /** What of the file could not be read, a sentence each; more may come when more of it is asked for. */
  readonly problems: string[];
  private readonly units: readonly Unit[];
  private readonly unitRanges: readonly { readonly start: number; readonly end: number; /** Largest end up to here. */ readonly reach: number; readonly unit: Unit }[];
  private readonly functions = new Map<Unit, readonly DebugFunction[]>();
  private readonly lines = new Map<number, LineTable>();
  private readonly frames: readonly CallFrames[];

  /** @param inflate for compressed sections @throws Damaged if it is no ELF file of RISC-V */
  constructor(bytes: Uint8Array, inflate: Inflate | null = null) {
    this.elf = new ElfFile(bytes, inflate);
    this.problems = this.elf.problems;
    const sections = sectionsOf(this.elf);
    const problem = (sentence: string): void => this.note(sentence);
    this.units = sections.info.length === 0 ? [] : readUnits(sections, new Abbreviations(sections.abbrev), problem);
    const ranges = this.units.flatMap((unit) => unit.ranges.map((range) => ({ ...range, unit }))).sort((a, b) => a.start - b.start);
    let reach = 0;
    this.unitRanges = ranges.map((range) => ({ ...range, reach: (reach = Math.max(reach, range.end)) }));
    this.frames = ['.debug_frame', '.eh_frame'].flatMap((name) => {
      const section = this.elf.section(name);
      return section === null ? [] : [new CallFrames(section, name === '.eh_frame', this.elf.sectionHeader(name)!.address, problem)];
    });
  }
  private note(sentence: string): void {
    if (this.problems.length < 20 && !this.problems.includes(sentence)) this.problems.push(sentence);
  }
  private attempt<T>(instead: T, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      this.note(error.message);
      return instead;
    }
  }
  /** Does the file tell lines? */
  get hasLines(): boolean {
    return this.units.some((unit) => unit.lineOffset !== null);
  }

  // --- From an address ---

  /** 'main', 'main+0x1c', or the bare number where no symbol is near. */
  symbolText(address: number): string {
    const at = this.elf.symbolAt(address);
    if (at !== null) return at.offset === 0 ? at.symbol.name : `${at.symbol.name}+${hex(at.offset)}`;
    const known = this.functionAt(address);
    if (known === null) return hex(address);
    return address === known.start ? known.name : `${known.name}+${hex(address - known.start)}`;
  }
  /** The line of an address; null: none. */
  placeAt(address: number): SourcePlace | null {
    return this.blockAt(address)?.place ?? null;
  }
  /** The line of an address, with all neighbours that belong to it. */
  blockAt(address: number): LineBlock | null {
    for (const unit of this.unitsAt(address)) {
      const table = this.lineTable(unit);
      const sequence = sequenceAt(table.sequences, address);
      if (sequence === null) continue;
      const i = lastRowAt(sequence.rows, address);
      const row = sequence.rows[i]!;
      if (row.line === 0) return null;
      let [from, to] = [i, i + 1];
      while (from > 0 && isSameLine(sequence.rows[from - 1]!, row)) from--;
      while (to < sequence.rows.length && isSameLine(sequence.rows[to]!, row)) to++;
      return { start: sequence.rows[from]!.address, end: sequence.rows[to]?.address ?? sequence.end, place: placeOf(table, row) };
    }
    return null;
  }
  /** The calls that an address is inside, the innermost first: inlined ones, and last the function that has the frame. Never empty. */
  framesAt(address: number): readonly CodeFrame[] {
    let place = this.placeAt(address);
    const found = this.debugFunctionAt(address);
    if (found === null) return [{ name: this.functionAt(address)?.name ?? '', place, isInlined: false }];
    const { files } = this.lineTable(found.unit);
    const frames: CodeFrame[] = [];
    for (const call of inlinedAt(found.function.inlined, address).reverse()) {
      frames.push({ name: call.name, place, isInlined: true });
      place = call.callLine === 0 ? null : { file: files[call.callFile] ?? '', line: call.callLine, column: call.callColumn };
    }
    frames.push({ name: nameOf(found.function), place, isInlined: false });
    return frames;
  }
  /** The function that an address belongs to: by DWARF, else by symbols; null: nobody knows. */
  functionAt(address: number): FunctionPlace | null {
    const found = this.debugFunctionAt(address);
    if (found !== null) {
      const { entry, ranges } = found.function;
      return { name: nameOf(found.function), start: entry, end: ranges[0]!.end, ranges };
    }
    const symbol = this.elf.symbolAt(address)?.symbol;
    if (symbol === undefined || symbol.kind === 'object') return null;
    const range = { start: symbol.address, end: symbol.sizeBytes > 0 ? symbol.address + symbol.sizeBytes : address + 1 };
    return { name: symbol.name, ...range, ranges: [range] };
  }
  /** How to leave the frame of the function at an address, as the file tells; null: it does not. */
  frameRulesAt(address: number): FrameRules | null {
    for (const frames of this.frames) {
      const rules = frames.rulesAt(address);
      if (rules !== null) return rules;
    }
    return null;
  }

  // --- To addresses ---

  /** Where calls of a function of this name begin to do what it is for: behind the prologue, if lines tell where that is. Several, if several
   *  functions have the name or it was inlined; none: no such function. */
  addressesOfFunction(name: string): number[] {
    const found = new Set<number>();
    for (const unit of this.units) {
      for (const f of this.functionsOf(unit)) {
        if (f.name === name || f.linkageName === name) found.add(this.afterPrologue(f.entry));
        for (const call of inlinedNamed(f.inlined, name)) found.add(call.ranges[0]!.start);
      }
    }
    if (found.size === 0) {
      const symbol = this.elf.symbolNamed(name);
      if (symbol !== null && symbol.kind !== 'object') found.add(this.afterPrologue(symbol.address));
    }
    return [...found].sort((a, b) => a - b);
  }
  /** The first instruction behind a function's prologue, if lines tell; else the entry itself. */
  afterPrologue(entry: number): number {
    const found = this.debugFunctionAt(entry);
    if (found === null) return entry;
    const end = found.function.ranges[0]!.end;
    const sequence = sequenceAt(this.lineTable(found.unit).sequences, entry);
    const rows = sequence?.rows.slice(lastRowAt(sequence.rows, entry)).filter((row) => row.address < end && row.line !== 0) ?? [];
    const marked = rows.find((row) => row.isPrologueEnd);
    if (marked !== undefined) return marked.address;
    // GCC does not mark its end. Without optimisation a second line begins there; with it lines are mixed, and arguments can be had from the entry on.
    return isOptimizedByGcc(found.unit) ? entry : (rows.find((row) => row.isStmt && row.address > entry)?.address ?? entry);
  }
  /** Where a line begins, once for every function that has code of it; if it has none, the next line that does. @param file its path, or the end of
   *  that @returns none: no such file, or no code from there on */
  addressesOfLine(file: string, line: number): { readonly line: number; readonly addresses: readonly number[] } {
    let best = Number.POSITIVE_INFINITY;
    let rows: { address: number; unit: Unit }[] = [];
    for (const [unit, table] of this.tablesWith(file)) {
      const isWanted = table.files.map((path) => isFile(path, file));
      for (const { rows: all } of table.sequences) {
        for (const [i, row] of all.entries()) {
          if (!row.isStmt || row.line < line || row.line > best || isWanted[row.file] !== true || all[i - 1]?.line === row.line) continue;
          if (row.line < best) rows = [];
          best = row.line;
          rows.push({ address: row.address, unit });
        }
      }
    }
    // A loop's line begins at several places of one function: the lowest is where one comes in.
    const first = new Map<string, number>();
    for (const { address } of rows) {
      const home = this.callPathAt(address);
      first.set(home, Math.min(first.get(home) ?? Number.POSITIVE_INFINITY, address));
    }
    const addresses = [...new Set([...first.values()].map((address) => (this.functionAt(address)?.start === address ? this.afterPrologue(address) : address)))];
    return { line: Number.isFinite(best) ? best : line, addresses: addresses.sort((a, b) => a - b) };
  }
  /** Tells one inlined copy of code from another. */
  private callPathAt(address: number): string {
    const found = this.debugFunctionAt(address);
    if (found === null) return `${this.functionAt(address)?.start ?? address}`;
    return [found.function.entry, ...inlinedAt(found.function.inlined, address).map((call) => call.ranges[0]!.start)].join(' ');
  }
  /** Names that breakpoints can be put on, for completion. */
  functionNames(): string[] {
    const names = new Set(this.elf.symbols.filter((s) => s.kind === 'function').map((s) => s.name));
    for (const unit of this.units) for (const f of this.functionsOf(unit)) if (f.name !== '') names.add(f.name);
    return [...names].sort();
  }
  /** Source files that have code, whole paths. */
  fileNames(): string[] {
    const names = new Set<string>();
    for (const table of this.allTables().values()) for (const { rows } of table.sequences) for (const row of rows) names.add(table.files[row.file] ?? '');
    names.delete('');
    return [...names].sort();
  }

  // --- What is read when it is first asked for ---

  private* unitsAt(address: number): Generator<Unit> {
    for (let i = lastAtOrBefore(this.unitRanges, address, (range) => range.start); i >= 0 && this.unitRanges[i]!.reach > address; i--) if (address < this.unitRanges[i]!.end) yield this.unitRanges[i]!.unit;
  }
  private functionsOf(unit: Unit): readonly DebugFunction[] {
    let functions = this.functions.get(unit);
    if (functions === undefined) {
      functions = this.attempt([], () => readFunctions(unit, (offset) => this.units.find((u) => offset >= u.offset && offset < u.end) ?? null));
      this.functions.set(unit, functions);
    }
    return functions;
  }
  private debugFunctionAt(address: number): { readonly function: DebugFunction; readonly unit: Unit } | null {
    for (const unit of this.unitsAt(address)) {
      const found = this.functionsOf(unit).find((f) => contains(f.ranges, address));
      if (found !== undefined) return { function: found, unit };
    }
    return null;
  }
  private lineTable(unit: Unit): LineTable {
    if (unit.lineOffset === null) return noLines;
    let table = this.lines.get(unit.lineOffset);
    if (table === undefined) {
      table = this.attempt(noLines, () => readLineTable(unit.sections, unit.lineOffset!, unit));
      this.lines.set(unit.lineOffset, table);
    }
    return table;
  }
  private allTables(): Map<Unit, LineTable> {
    return new Map(this.units.map((unit) => [unit, this.lineTable(unit)]));
  }
  private tablesWith(file: string): [Unit, LineTable][] {
    return [...this.allTables()].filter(([, table]) => table.files.some((path) => isFile(path, file)));
  }
}

const noLines: LineTable = { files: [], sequences: [] };
const empty = new Uint8Array(0);
function sectionsOf(elf: ElfFile): DwarfSections {
  const section = (name: string): Uint8Array => elf.section(name) ?? empty;
  return {
    info: section('.debug_info'), abbrev: section('.debug_abbrev'), line: section('.debug_line'), str: section('.debug_str'), lineStr: section('.debug_line_str'),
    strOffsets: section('.debug_str_offsets'), addr: section('.debug_addr'), ranges: section('.debug_ranges'), rnglists: section('.debug_rnglists'),
  };
}
function isOptimizedByGcc({ producer }: Unit): boolean {
  const level = [...producer.matchAll(/ -O(\S*)/g)].at(-1)?.[1];
  return producer.startsWith('GNU ') && level !== undefined && level !== '0';
}
const nameOf = (f: DebugFunction): string => f.name || f.linkageName;
const isSameLine = (a: LineRow, b: LineRow): boolean => a.line === b.line && a.file === b.file;
const placeOf = ({ files }: LineTable, { file, line, column }: LineRow): SourcePlace => ({ file: files[file] ?? '', line, column });
/** 'sum.c' and 'src/sum.c' both mean '/home/me/src/sum.c'. */
const isFile = (path: string, asked: string): boolean => path === asked || path.endsWith(`/${asked.replace(/^(\.?\/)+/, '')}`);

function sequenceAt(sequences: readonly LineSequence[], address: number): LineSequence | null {
  const found = sequences[lastAtOrBefore(sequences, address, (sequence) => sequence.start)];
  return found !== undefined && address < found.end ? found : null;
}
/** The last row that begins at or before an address of its sequence: of several at one address the last one holds. */
const lastRowAt = (rows: readonly LineRow[], address: number): number => Math.max(0, lastAtOrBefore(rows, address, (row) => row.address));
/** Inlined calls that hold an address, the outermost first. */
function inlinedAt(calls: readonly InlinedCall[], address: number): InlinedCall[] {
  const path: InlinedCall[] = [];
  for (let level = calls; ;) {
    const inner = level.find((call) => contains(call.ranges, address));
    if (inner === undefined) return path;
    path.push(inner);
    level = inner.inlined;
  }
}
function inlinedNamed(calls: readonly InlinedCall[], name: string): InlinedCall[] {
  return calls.flatMap((call) => [...(call.name === name ? [call] : []), ...inlinedNamed(call.inlined, name)]);
}
