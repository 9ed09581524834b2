// Call frames: how to come from a function's registers to its caller's. Here: .debug_frame and .eh_frame, found by address and run up to it. Not here:
// walking up a stack, and functions that nothing is said of (../unwind.ts). DWARF 5, section 6.4; LSB for .eh_frame.
import { Cfa, Pe } from './constants.ts';
import { ByteReader, Damaged, lastAtOrBefore } from './reader.ts';

/** What became of a register of the caller's. */
export type Rule =
  | { readonly kind: 'same' | 'undefined' | 'unknown' }
  /** It was saved in memory at the CFA plus this. */
  | { readonly kind: 'offset'; readonly offset: number }
  /** Its value is the CFA plus this. */
  | { readonly kind: 'valueOffset'; readonly offset: number }
  | { readonly kind: 'register'; readonly register: number };

export interface FrameRules {
  /** The canonical frame address, sp as it was before the call: this register plus this. */
  readonly cfaRegister: number;
  readonly cfaOffset: number;
  /** Registers that are not listed have kept their value. */
  readonly rules: ReadonlyMap<number, Rule>;
  readonly returnRegister: number;
  /** The frame of a signal: its caller's pc is where the signal came, not behind a call. */
  readonly isSignalFrame: boolean;
}

interface Cie {
  readonly codeAlign: number;
  readonly dataAlign: number;
  readonly returnRegister: number;
  /** Pe: how its FDEs write addresses. */
  readonly encoding: number;
  readonly hasAugmentationData: boolean;
  readonly isSignalFrame: boolean;
  readonly instructions: ByteReader;
}
interface Fde { readonly cie: Cie; readonly start: number; readonly end: number; readonly instructions: ByteReader }

export class CallFrames {
  private readonly fdes: Fde[] = [];
  private readonly isEh: boolean;
  /** Where the section is loaded: what is relative to its place in .eh_frame counts from there. */
  private readonly address: number;

  /** @param problem told of what cannot be read; the entries before it stay */
  constructor(section: Uint8Array, isEh: boolean, address: number, problem: (sentence: string) => void) {
    this.isEh = isEh;
    this.address = address;
    const cies = new Map<number, Cie>();
    const r = new ByteReader(section, isEh ? '.eh_frame' : '.debug_frame');
    try {
      while (!r.isAtEnd && this.readEntry(r, cies)) { /* the next one */ }
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      problem(error.message);
    }
    this.fdes.sort((a, b) => a.start - b.start);
  }

  /** @returns false at the end of the section */
  private readEntry(r: ByteReader, cies: Map<number, Cie>): boolean {
    const { lenBytes, offsetBytes } = r.initialLength();
    if (lenBytes === 0) return !this.isEh; // .eh_frame ends so
    const start = r.at;
    r.skip(lenBytes);
    const entry = r.from(start, r.at);
    const id = entry.unsigned(this.isEh ? 4 : offsetBytes);
    const isCie = this.isEh ? id === 0 : id === (offsetBytes === 8 ? Number(0xffff_ffff_ffff_ffffn) : 0xffff_ffff);
    if (isCie) return true; // read when one of its FDEs asks
    const cieAt = this.isEh ? start - id : id;
    let cie = cies.get(cieAt);
    if (cie === undefined) {
      cie = this.readCie(r.from(0), cieAt);
      cies.set(cieAt, cie);
    }
    const at = this.pointer(entry, cie.encoding);
    // The length has the format of the address, and is relative to nothing.
    const length = this.pointer(entry, cie.encoding & 15);
    if (cie.hasAugmentationData) entry.skip(entry.uleb());
    if (at > 1 && length > 0 && at + length < 2 ** 52) this.fdes.push({ cie, start: at, end: at + length, instructions: entry });
    return true;
  }
  private readCie(section: ByteReader, at: number): Cie {
    const r = section.from(at, section.bytes.length);
    const { lenBytes, offsetBytes } = r.initialLength();
    const start = r.at;
    r.skip(lenBytes);
    const entry = section.from(start, start + lenBytes);
    entry.skip(this.isEh ? 4 : offsetBytes);
    const version = entry.u8();
    if (version !== 1 && version !== 3 && version !== 4) throw new Damaged(`${section.name} has an entry of version ${version}`);
    const augmentation = entry.cstring();
    if (version === 4) entry.skip(2); // sizes of addresses and segments
    const codeAlign = entry.uleb();
    const dataAlign = entry.sleb();
    const returnRegister = version === 1 ? entry.u8() : entry.uleb();
    let encoding: number = Pe.Absptr;
    const hasAugmentationData = augmentation.startsWith('z');
    if (hasAugmentationData) {
      const data = entry.from(entry.at);
      const dataBytes = data.uleb();
      entry.at = data.at + dataBytes;
      for (const letter of augmentation.slice(1)) {
        if (letter === 'R') encoding = data.u8();
        if (letter === 'L') data.skip(1);
        if (letter === 'P') this.pointer(data, data.u8());
      }
    } else if (augmentation !== '') {
      throw new Damaged(`${section.name} has an augmentation that is not known`);
    }
    return { codeAlign, dataAlign, returnRegister, encoding, hasAugmentationData, isSignalFrame: hasAugmentationData && augmentation.includes('S'), instructions: entry.from(entry.at) };
  }
  private pointer(r: ByteReader, encoding: number): number {
    if (encoding === Pe.Omit) return 0;
    const base = (encoding & 0x70) === Pe.Pcrel ? this.address + r.at : 0;
    switch (encoding & 15) {
      case Pe.Absptr: case Pe.Udata8: return base + r.u64();
      case Pe.Uleb: return base + r.uleb();
      case Pe.Udata2: return base + r.u16();
      case Pe.Udata4: return base + r.u32();
      case Pe.Sleb: return base + r.sleb();
      case Pe.Sdata2: return base + (r.u16() << 16 >> 16);
      case Pe.Sdata4: return base + r.i32();
      case Pe.Sdata8: return base + r.i64();
      default: throw new Damaged(`${r.name} has a pointer of format ${encoding}`);
    }
  }

  /** How to leave the frame of the function at an address; null: nothing is said of it, or not in words that are understood here. */
  rulesAt(address: number): FrameRules | null {
    const fde = this.fdes[lastAtOrBefore(this.fdes, address, ({ start }) => start)];
    if (fde === undefined || address >= fde.end) return null;
    try {
      return this.run(fde, address);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      return null;
    }
  }
  private run({ cie, start, instructions }: Fde, address: number): FrameRules | null {
    const table = new Table(cie);
    this.execute(cie.instructions.from(cie.instructions.at), table, cie, 0, Number.POSITIVE_INFINITY);
    table.initial = new Map(table.rules);
    this.execute(instructions.from(instructions.at), table, cie, start, address);
    if (table.cfaRegister < 0) return null;
    const { cfaRegister, cfaOffset, rules } = table;
    return { cfaRegister, cfaOffset, rules, returnRegister: cie.returnRegister, isSignalFrame: cie.isSignalFrame };
  }

  /** Runs until the row of `address` is complete. */
  private execute(r: ByteReader, table: Table, { codeAlign }: Cie, from: number, address: number): void {
    let at = from;
    while (!r.isAtEnd) {
      const opcode = r.u8();
      const operand = opcode & 63;
      switch (opcode & 0xc0) {
        case Cfa.AdvanceLoc: at += operand * codeAlign; break;
        case Cfa.Offset: table.saved(operand, r.uleb()); break;
        case Cfa.Restore: table.restore(operand); break;
        default:
          switch (opcode) {
            case Cfa.SetLoc: at = this.pointer(r, table.cie.encoding); break;
            case Cfa.AdvanceLoc1: at += r.u8() * codeAlign; break;
            case Cfa.AdvanceLoc2: at += r.u16() * codeAlign; break;
            case Cfa.AdvanceLoc4: at += r.u32() * codeAlign; break;
            default: table.step(opcode, r);
          }
      }
      if (at > address) return;
    }
  }
}

/** One row of the table that the instructions describe. */
class Table {
  readonly cie: Cie;
  cfaRegister = -1;
  cfaOffset = 0;
  rules = new Map<number, Rule>();
  /** As the common entry left it. */
  initial = new Map<number, Rule>();
  private readonly remembered: { cfaRegister: number; cfaOffset: number; rules: Map<number, Rule> }[] = [];
  constructor(cie: Cie) {
    this.cie = cie;
  }
  saved(register: number, factored: number): void {
    this.rules.set(register, { kind: 'offset', offset: factored * this.cie.dataAlign });
  }
  restore(register: number): void {
    const rule = this.initial.get(register);
    if (rule === undefined) this.rules.delete(register);
    else this.rules.set(register, rule);
  }
  /** An instruction that moves no address. */
  step(opcode: number, r: ByteReader): void {
    const { dataAlign } = this.cie;
    switch (opcode) {
      case Cfa.Nop: return;
      case Cfa.OffsetExtended: this.saved(r.uleb(), r.uleb()); return;
      case Cfa.OffsetExtendedSf: this.saved(r.uleb(), r.sleb()); return;
      case Cfa.ValOffset: this.rules.set(r.uleb(), { kind: 'valueOffset', offset: r.uleb() * dataAlign }); return;
      case Cfa.ValOffsetSf: this.rules.set(r.uleb(), { kind: 'valueOffset', offset: r.sleb() * dataAlign }); return;
      case Cfa.RestoreExtended: this.restore(r.uleb()); return;
      case Cfa.Undefined: this.rules.set(r.uleb(), { kind: 'undefined' }); return;
      case Cfa.SameValue: this.rules.set(r.uleb(), { kind: 'same' }); return;
      case Cfa.Register: this.rules.set(r.uleb(), { kind: 'register', register: r.uleb() }); return;
      case Cfa.RememberState:
        if (this.remembered.length > 1000 || this.rules.size > 256) throw new Damaged('call frames remember more than any function has');
        this.remembered.push({ cfaRegister: this.cfaRegister, cfaOffset: this.cfaOffset, rules: new Map(this.rules) });
        return;
      case Cfa.RestoreState: {
        const before = this.remembered.pop();
        if (before === undefined) throw new Damaged('call frames restore what they have not remembered');
        this.cfaRegister = before.cfaRegister;
        this.cfaOffset = before.cfaOffset;
        this.rules = before.rules;
        return;
      }
      case Cfa.DefCfa:
        this.cfaRegister = r.uleb();
        this.cfaOffset = r.uleb();
        return;
      case Cfa.DefCfaSf:
        this.cfaRegister = r.uleb();
        this.cfaOffset = r.sleb() * dataAlign;
        return;
      case Cfa.DefCfaRegister: this.cfaRegister = r.uleb(); return;
      case Cfa.DefCfaOffset: this.cfaOffset = r.uleb(); return;
      case Cfa.DefCfaOffsetSf: this.cfaOffset = r.sleb() * dataAlign; return;
      // Expressions: RISC-V's compilers write none. The unwinder then looks at the code instead.
      case Cfa.DefCfaExpression:
        this.cfaRegister = -1;
        r.skip(r.uleb());
        return;
      case Cfa.Expression: case Cfa.ValExpression:
        this.rules.set(r.uleb(), { kind: 'unknown' });
        r.skip(r.uleb());
        return;
      case Cfa.GnuArgsSize: r.uleb(); return;
      default: throw new Damaged(`${r.name} has an instruction ${opcode}, which is not known`);
    }
  }
}
