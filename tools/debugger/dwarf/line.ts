// Line programs: which instruction belongs to which line. Here: the header with its files, the machine that runs the program, rows by address.
// Not here: which row a debugger wants (source.ts). DWARF 2 to 5, section 6.2.
import { Form, Lnct, Lne, Lns } from './constants.ts';
import { readValue } from './forms.ts';
import type { DwarfSections, ValueContext } from './forms.ts';
import { isKept } from './ranges.ts';
import { Budget, ByteReader, Damaged } from './reader.ts';

export interface LineRow {
  readonly address: number;
  /** Index into LineTable.files, as the program counts them: from 1 before DWARF 5, from 0 since. */
  readonly file: number;
  /** 0: belongs to no line. */
  readonly line: number;
  readonly column: number;
  /** A good place to stop: a statement begins here. */
  readonly isStmt: boolean;
  readonly isPrologueEnd: boolean;
}
/** Instructions [start, end) in one piece; its rows ascend. */
export interface LineSequence { readonly start: number; readonly end: number; readonly rows: readonly LineRow[] }
export interface LineTable {
  /** Whole paths; holes are empty. */
  readonly files: readonly string[];
  /** By their start. */
  readonly sequences: readonly LineSequence[];
}

/** What the header says of the program. */
interface Header {
  readonly version: number;
  readonly addressBytes: number;
  readonly offsetBytes: 4 | 8;
  readonly minInstBytes: number;
  readonly maxOps: number;
  readonly defaultIsStmt: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** Operands of each standard opcode, [0] unused. */
  readonly operandCounts: readonly number[];
  readonly files: string[];
  readonly dirs: readonly string[];
}

/** Runs the program at an offset of .debug_line. @param unit whose it is; absent bases and folders are then unknown @throws Damaged */
export function readLineTable(sections: DwarfSections, offset: number, unit: ValueContext & { readonly compDir: string; readonly name: string }): LineTable {
  const r = new ByteReader(sections.line, '.debug_line', offset);
  const { lenBytes, offsetBytes } = r.initialLength();
  const start = r.at;
  r.skip(lenBytes);
  const program = new ByteReader(sections.line, '.debug_line', start, r.at);
  const header = readHeader(program, unit, offsetBytes);
  return { files: header.files, sequences: runProgram(program, header).sort((a, b) => a.start - b.start) };
}

/** Leaves the reader at the first opcode. */
function readHeader(r: ByteReader, unit: ValueContext & { readonly compDir: string }, offsetBytes: 4 | 8): Header {
  const version = r.u16();
  if (version < 2 || version > 5) throw new Damaged(`a line program of DWARF ${version}: 2 to 5 are known`);
  const addressBytes = version >= 5 ? r.u8() : unit.addressBytes;
  if (version >= 5) r.skip(1); // segment selectors
  const headerBytes = r.unsigned(offsetBytes);
  const programStart = r.at + headerBytes;
  const minInstBytes = r.u8();
  const maxOps = version >= 4 ? Math.max(1, r.u8()) : 1;
  const defaultIsStmt = r.u8() !== 0;
  const lineBase = r.i8();
  const lineRange = r.u8();
  const opcodeBase = r.u8();
  if (lineRange === 0) throw new Damaged('a line program whose special opcodes advance by no line');
  const operandCounts = [0];
  for (let i = 1; i < opcodeBase; i++) operandCounts.push(r.u8());
  const c = { ...unit, version, addressBytes, offsetBytes };
  const names = version >= 5 ? readNames(r, c) : readOldNames(r, unit.compDir);
  r.at = r.from(programStart).at;
  return { version, addressBytes, offsetBytes, minInstBytes, maxOps, defaultIsStmt, lineBase, lineRange, opcodeBase, operandCounts, ...names };
}

/** DWARF 2 to 4: folders and files count from 1, folder 0 is the unit's own. */
function readOldNames(r: ByteReader, compDir: string): { files: string[]; dirs: string[] } {
  const dirs = [compDir];
  for (let dir = r.cstring(); dir !== ''; dir = r.cstring()) dirs.push(join(compDir, dir));
  const files = [''];
  for (let name = r.cstring(); name !== ''; name = r.cstring()) {
    const dir = r.uleb();
    r.uleb(); // time
    r.uleb(); // length
    files.push(join(dirs[dir] ?? compDir, name));
  }
  return { files, dirs };
}
/** DWARF 5: both count from 0, and say themselves what is told of each. */
function readNames(r: ByteReader, c: ValueContext & { readonly compDir: string }): { files: string[]; dirs: string[] } {
  const budget = new Budget(16 * (r.end - r.at) + 1000, 'a table of files in .debug_line');
  const dirs: string[] = [];
  for (const { path } of readPaths(r, c, budget)) dirs.push(join(dirs[0] ?? c.compDir, path));
  const files = readPaths(r, c, budget).map(({ path, dir }) => join(dirs[dir] ?? dirs[0] ?? c.compDir, path));
  return { files, dirs };
}
function readPaths(r: ByteReader, c: ValueContext, budget: Budget): { path: string; dir: number }[] {
  const format: (readonly [content: number, form: number])[] = [];
  for (let n = r.u8(); n > 0; n--) format.push([r.uleb(), r.uleb()]);
  const paths: { path: string; dir: number }[] = [];
  for (let n = r.uleb(); n > 0; n--) {
    const found = { path: '', dir: 0 };
    budget.spend(1 + format.length);
    for (const [content, form] of format) {
      // Text that stands elsewhere is looked up through the unit's own bases.
      const value = readValue(r, form, 0, c);
      if (content === Lnct.Path && typeof value === 'string') found.path = value;
      if (content === Lnct.DirectoryIndex && typeof value === 'number') found.dir = value;
      if (form !== Form.String && typeof value === 'string') budget.spend(value.length / 16);
    }
    paths.push(found);
  }
  return paths;
}
const join = (dir: string, name: string): string => (name.startsWith('/') || dir === '' ? name : name === '' ? dir : `${dir}/${name}`);

/** The state machine of section 6.2.2. */
class Registers {
  address = 0;
  opIndex = 0;
  file = 1;
  line = 1;
  column = 0;
  isStmt: boolean;
  isPrologueEnd = false;
  constructor(isStmt: boolean) {
    this.isStmt = isStmt;
  }
  /** Goes on by operations: on machines with one of them an instruction, those are instructions. */
  advance({ minInstBytes, maxOps }: Header, ops: number): void {
    const total = this.opIndex + ops;
    this.address += minInstBytes * Math.floor(total / maxOps);
    this.opIndex = total % maxOps;
  }
  row(): LineRow {
    const row = { address: this.address, file: this.file, line: this.line, column: this.column, isStmt: this.isStmt, isPrologueEnd: this.isPrologueEnd };
    this.isPrologueEnd = false;
    return row;
  }
}

function runProgram(r: ByteReader, header: Header): LineSequence[] {
  const sequences: LineSequence[] = [];
  let rows: LineRow[] = [];
  let state = new Registers(header.defaultIsStmt);
  const endSequence = (): void => {
    // A program that goes backwards in a sequence is against the standard, and still means something: the rows are put in order.
    if (rows.some((row, i) => i > 0 && row.address < rows[i - 1]!.address)) rows.sort((a, b) => a.address - b.address);
    const sequence = { start: rows[0]?.address ?? state.address, end: state.address, rows };
    if (isKept(sequence)) sequences.push(sequence);
    rows = [];
    state = new Registers(header.defaultIsStmt);
  };
  while (!r.isAtEnd) {
    const opcode = r.u8();
    if (opcode >= header.opcodeBase) {
      const special = opcode - header.opcodeBase;
      state.advance(header, Math.floor(special / header.lineRange));
      state.line += header.lineBase + (special % header.lineRange);
      rows.push(state.row());
    } else if (opcode === 0) {
      const lenBytes = r.uleb();
      const start = r.skip(lenBytes);
      if (lenBytes > 0 && runExtended(new ByteReader(r.bytes, r.name, start, r.at), header, state)) endSequence();
    } else {
      runStandard(r, opcode, header, state, rows);
    }
  }
  return sequences;
}
function runStandard(r: ByteReader, opcode: number, header: Header, state: Registers, rows: LineRow[]): void {
  switch (opcode) {
    case Lns.Copy: rows.push(state.row()); return;
    case Lns.AdvancePc: state.advance(header, r.uleb()); return;
    case Lns.AdvanceLine: state.line += r.sleb(); return;
    case Lns.SetFile: state.file = r.uleb(); return;
    case Lns.SetColumn: state.column = r.uleb(); return;
    case Lns.NegateStmt: state.isStmt = !state.isStmt; return;
    case Lns.ConstAddPc: state.advance(header, Math.floor((255 - header.opcodeBase) / header.lineRange)); return;
    case Lns.FixedAdvancePc:
      state.address += r.u16();
      state.opIndex = 0;
      return;
    case Lns.SetPrologueEnd: state.isPrologueEnd = true; return;
    case Lns.SetBasicBlock: case Lns.SetEpilogueBegin: return;
    default: for (let n = header.operandCounts[opcode] ?? 0; n > 0; n--) r.uleb(); // also SetIsa
  }
}
/** @returns whether the sequence is at its end */
function runExtended(r: ByteReader, { addressBytes, files, dirs }: Header, state: Registers): boolean {
  switch (r.u8()) {
    case Lne.EndSequence: return true;
    case Lne.SetAddress:
      state.address = r.unsigned(r.end - r.at === addressBytes ? addressBytes : r.end - r.at);
      state.opIndex = 0;
      return false;
    case Lne.DefineFile: {
      const name = r.cstring();
      files.push(join(dirs[r.uleb()] ?? '', name));
      return false;
    }
    default: return false; // discriminators, and what vendors added
  }
}
