// .debug_abbrev: which attributes the entries of .debug_info have, and in which form. A table serves one unit or many.
import { Form } from './constants.ts';
import { Budget, ByteReader, Damaged } from './reader.ts';

export interface Abbreviation {
  readonly tag: number;
  readonly hasChildren: boolean;
  /** Attribute, form, and the value itself where the form is an implicit constant: three numbers each. */
  readonly attributes: readonly number[];
}
export type AbbreviationTable = ReadonlyMap<number, Abbreviation>;

export class Abbreviations {
  private readonly section: Uint8Array;
  private readonly tables = new Map<number, AbbreviationTable>();
  private readonly budget: Budget;

  constructor(section: Uint8Array) {
    this.section = section;
    this.budget = new Budget(8 * section.length + 1000, '.debug_abbrev');
  }
  /** The table at an offset. @throws Damaged */
  tableAt(offset: number): AbbreviationTable {
    let table = this.tables.get(offset);
    if (table === undefined) {
      table = this.read(offset);
      this.tables.set(offset, table);
    }
    return table;
  }
  private read(offset: number): AbbreviationTable {
    const r = new ByteReader(this.section, '.debug_abbrev', offset);
    const table = new Map<number, Abbreviation>();
    for (let code = r.uleb(); code !== 0; code = r.uleb()) {
      const tag = r.uleb();
      const hasChildren = r.u8() !== 0;
      const attributes: number[] = [];
      for (;;) {
        this.budget.spend();
        const attribute = r.uleb();
        const form = r.uleb();
        if (attribute === 0 && form === 0) break;
        attributes.push(attribute, form, form === Form.ImplicitConst ? r.sleb() : 0);
      }
      // One that is given twice is not a table.
      if (table.has(code)) throw new Damaged(`.debug_abbrev gives code ${code} twice`);
      table.set(code, { tag, hasChildren, attributes });
    }
    return table;
  }
}
