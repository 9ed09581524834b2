// Units of .debug_info: what was compiled together. Here: their headers, their first entry (name, folder, where code and lines are), and reading
// one entry after another. Not here: functions (functions.ts), line programs (line.ts). DWARF 2 to 5.
import type { Abbreviation, Abbreviations, AbbreviationTable } from './abbrev.ts';
import { At, Form, Tag, UnitType } from './constants.ts';
import { readValue, skipValue } from './forms.ts';
import type { DwarfSections, Value, ValueContext } from './forms.ts';
import { isKept, readRanges, readRnglist, rnglistOffset } from './ranges.ts';
import type { CodeRange } from './ranges.ts';
import { Budget, ByteReader, Damaged } from './reader.ts';

export interface Unit extends ValueContext {
  /** One past its last byte. */
  readonly end: number;
  /** Its first entry. */
  readonly firstEntry: number;
  readonly abbreviations: AbbreviationTable;
  readonly rnglistsBase: number;
  readonly name: string;
  /** The compiler and, of GCC's, its options. */
  readonly producer: string;
  /** The folder in which it was compiled: file names are relative to it. */
  readonly compDir: string;
  /** Its line program in .debug_line; null: none. */
  readonly lineOffset: number | null;
  readonly lowPc: number;
  /** Its code, as far as it says; what a linker threw away is left out. */
  readonly ranges: readonly CodeRange[];
  /** For lists of ranges, of all units together: they may share them. */
  readonly rangeBudget: Budget;
}

/** An attribute as it stands: a value is not all, for forms say whether a number is an address or a length. */
export interface Attribute { readonly form: number; readonly value: Value }
export interface Entry {
  readonly offset: number;
  readonly tag: number;
  readonly hasChildren: boolean;
  /** Empty, if nobody wanted them. */
  readonly attributes: ReadonlyMap<number, Attribute>;
}
const noAttributes: ReadonlyMap<number, Attribute> = new Map();

/** Takes one entry; null: the end of a list of children. @param wants whether the attributes of this tag are asked for @throws Damaged */
export function readEntry(r: ByteReader, c: ValueContext, abbreviations: AbbreviationTable, budget: Budget, wants: (tag: number) => boolean): Entry | null {
  const offset = r.at;
  const code = r.uleb();
  if (code === 0) return null;
  const abbreviation = abbreviations.get(code);
  if (abbreviation === undefined) throw new Damaged(`.debug_info has an entry of code ${code} at byte ${offset}, and .debug_abbrev does not`);
  const { tag, hasChildren } = abbreviation;
  budget.spend(1 + abbreviation.attributes.length / 3);
  if (wants(tag)) return { offset, tag, hasChildren, attributes: readAttributes(r, abbreviation, c, budget) };
  const { attributes } = abbreviation;
  for (let i = 0; i < attributes.length; i += 3) skipValue(r, attributes[i + 1]!, c);
  return { offset, tag, hasChildren, attributes: noAttributes };
}
function readAttributes(r: ByteReader, { attributes }: Abbreviation, c: ValueContext, budget: Budget): Map<number, Attribute> {
  const values = new Map<number, Attribute>();
  for (let i = 0; i < attributes.length; i += 3) {
    const form = attributes[i + 1]!;
    const value = readValue(r, form, attributes[i + 2]!, c);
    if (typeof value === 'string') budget.spend(value.length / 16);
    values.set(attributes[i]!, { form, value });
  }
  return values;
}
/** What entries of one unit may cost: each takes a byte or more, and attributes that take none are few. */
export const entryBudget = (unit: { readonly offset: number; readonly end: number }): Budget =>
  new Budget(16 * (unit.end - unit.offset) + 10_000, `the unit at byte ${unit.offset} of .debug_info`);

/** All units with code. What cannot be read is told to `problem`, and the next unit is taken. */
export function readUnits(sections: DwarfSections, abbreviations: Abbreviations, problem: (sentence: string) => void): Unit[] {
  const units: Unit[] = [];
  const r = new ByteReader(sections.info, '.debug_info');
  const rangeBudget = new Budget(8 * (sections.ranges.length + sections.rnglists.length) + 10_000, '.debug_ranges');
  while (!r.isAtEnd) {
    const offset = r.at;
    try {
      const { lenBytes, offsetBytes } = r.initialLength();
      const start = r.at;
      r.skip(lenBytes);
      const unit = readUnit(sections, abbreviations, new ByteReader(sections.info, '.debug_info', start, r.at), offset, offsetBytes, rangeBudget);
      if (unit !== null) units.push(unit);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      problem(error.message);
      if (r.at <= offset + 12) return units; // where the next one begins is not known
    }
  }
  return units;
}

function readUnit(sections: DwarfSections, tables: Abbreviations, r: ByteReader, offset: number, offsetBytes: 4 | 8, rangeBudget: Budget): Unit | null {
  const version = r.u16();
  if (version < 2 || version > 5) throw new Damaged(`the unit at byte ${offset} of .debug_info is of DWARF ${version}: 2 to 5 are known`);
  let addressBytes = 8;
  let abbrevOffset = 0;
  if (version >= 5) {
    const type = r.u8();
    addressBytes = r.u8();
    abbrevOffset = r.unsigned(offsetBytes);
    if (type === UnitType.Type || type === UnitType.SplitType) return null;
    if (type === UnitType.Skeleton || type === UnitType.SplitCompile) r.skip(8);
  } else {
    abbrevOffset = r.unsigned(offsetBytes);
    addressBytes = r.u8();
  }
  if (addressBytes !== 4 && addressBytes !== 8) throw new Damaged(`the unit at byte ${offset} of .debug_info has addresses of ${addressBytes} bytes`);
  const abbreviations = tables.tableAt(abbrevOffset);
  const firstEntry = r.at;
  if (r.isAtEnd) return null;
  const plain = { sections, version, offsetBytes, addressBytes, offset, end: r.end, strOffsetsBase: 0, addrBase: 0, rangeBudget };
  return { ...plain, firstEntry, abbreviations, ...readRoot(r, plain, abbreviations) };
}

type Root = Pick<Unit, 'strOffsetsBase' | 'addrBase' | 'rnglistsBase' | 'name' | 'producer' | 'compDir' | 'lineOffset' | 'lowPc' | 'ranges'>;
/** The first entry: its bases first, because the other attributes may stand before them and need them. */
function readRoot(r: ByteReader, plain: ValueContext & Pick<Unit, 'end' | 'rangeBudget'>, abbreviations: AbbreviationTable): Root {
  const bases = readBases(r.from(r.at), plain, abbreviations);
  const c = { ...plain, ...bases };
  const budget = entryBudget(plain);
  const entry = readEntry(r, c, abbreviations, budget, () => true);
  const attributes = entry === null || (entry.tag !== Tag.CompileUnit && entry.tag !== Tag.PartialUnit && entry.tag !== Tag.SkeletonUnit) ? noAttributes : entry.attributes;
  const lineOffset = attributes.get(At.StmtList)?.value;
  const lowPc = numberOf(attributes, At.LowPc) ?? 0;
  const unit = { ...c, lowPc };
  return {
    ...bases, name: textOf(attributes, At.Name), producer: textOf(attributes, At.Producer), compDir: textOf(attributes, At.CompDir), lowPc,
    lineOffset: typeof lineOffset === 'number' ? lineOffset : null, ranges: rangesOf(unit, attributes),
  };
}
function readBases(r: ByteReader, plain: ValueContext, abbreviations: AbbreviationTable): Pick<Unit, 'strOffsetsBase' | 'addrBase' | 'rnglistsBase'> {
  // Without a base, .debug_str_offsets and its like begin behind their header.
  const header = plain.version >= 5 ? (plain.offsetBytes === 8 ? 16 : 8) : 0;
  const bases = { strOffsetsBase: header, addrBase: header, rnglistsBase: plain.offsetBytes === 8 ? 20 : 12 };
  const { attributes } = abbreviations.get(r.uleb()) ?? { attributes: [] };
  for (let i = 0; i < attributes.length; i += 3) {
    const [attribute, form] = [attributes[i]!, attributes[i + 1]!];
    if (form !== Form.SecOffset) {
      skipValue(r, form, plain);
      continue;
    }
    const value = r.unsigned(plain.offsetBytes);
    if (attribute === At.StrOffsetsBase) bases.strOffsetsBase = value;
    if (attribute === At.AddrBase || attribute === At.GnuAddrBase) bases.addrBase = value;
    if (attribute === At.RnglistsBase) bases.rnglistsBase = value;
  }
  return bases;
}

export function numberOf(attributes: ReadonlyMap<number, Attribute>, at: number): number | null {
  const value = attributes.get(at)?.value;
  return typeof value === 'number' ? value : null;
}
export function textOf(attributes: ReadonlyMap<number, Attribute>, at: number): string {
  const value = attributes.get(at)?.value;
  return typeof value === 'string' ? value : '';
}

/** The code of an entry: one piece, a list of pieces, or none. @throws Damaged */
export function rangesOf(unit: ValueContext & Pick<Unit, 'rnglistsBase' | 'lowPc' | 'rangeBudget'>, attributes: ReadonlyMap<number, Attribute>): CodeRange[] {
  const list = attributes.get(At.Ranges);
  if (list !== undefined && typeof list.value === 'number') {
    const { value, form } = list;
    const ranges = unit.version < 5 ? readRanges(unit, value, unit.lowPc, unit.rangeBudget)
      : readRnglist(unit, form === Form.Rnglistx ? rnglistOffset(unit, unit.rnglistsBase, value) : value, unit.lowPc, unit.rangeBudget);
    return ranges.filter(isKept);
  }
  const start = numberOf(attributes, At.LowPc);
  const high = attributes.get(At.HighPc);
  if (start === null || high === undefined || typeof high.value !== 'number') return [];
  const range = { start, end: isAddressForm(high.form) ? high.value : start + high.value };
  return isKept(range) ? [range] : [];
}
const isAddressForm = (form: number): boolean =>
  form === Form.Addr || form === Form.Addrx || (form >= Form.Addrx1 && form <= Form.Addrx4) || form === Form.GnuAddrIndex;
