// Values of attributes: from a form and bytes to a number or a text. Here: every form that GCC, clang and zig write, and how to step over it.
// Not here: what the attributes mean (units.ts, functions.ts).
import { Form } from './constants.ts';
import { ByteReader, Damaged } from './reader.ts';

/** The sections that a file has; an absent one is empty. */
export interface DwarfSections {
  readonly info: Uint8Array;
  readonly abbrev: Uint8Array;
  readonly line: Uint8Array;
  readonly str: Uint8Array;
  readonly lineStr: Uint8Array;
  readonly strOffsets: Uint8Array;
  readonly addr: Uint8Array;
  readonly ranges: Uint8Array;
  readonly rnglists: Uint8Array;
}
/** What values depend on beside their bytes. The bases stand in the unit's first entry, before which they are not known. */
export interface ValueContext {
  readonly sections: DwarfSections;
  readonly version: number;
  readonly offsetBytes: 4 | 8;
  readonly addressBytes: number;
  /** Offset of the unit in .debug_info: what references inside it are counted from. */
  readonly offset: number;
  readonly strOffsetsBase: number;
  readonly addrBase: number;
}
/** Numbers: constants, flags, addresses; places in sections; entries of .debug_info as offsets in it, -1 for those elsewhere. */
export type Value = number | string;

export function stringAt(section: Uint8Array, name: string, at: number): string {
  return new ByteReader(section, name, at).cstring();
}
/** The address of this number in the unit's part of .debug_addr. @throws Damaged */
export function indexedAddress({ sections, addrBase, addressBytes }: ValueContext, index: number): number {
  return new ByteReader(sections.addr, '.debug_addr', addrBase + index * addressBytes).unsigned(addressBytes);
}
function indexedString({ sections, strOffsetsBase, offsetBytes }: ValueContext, index: number): string {
  const at = new ByteReader(sections.strOffsets, '.debug_str_offsets', strOffsetsBase + index * offsetBytes).unsigned(offsetBytes);
  return stringAt(sections.str, '.debug_str', at);
}

/** Takes a value. Blocks and expressions are stepped over, and are 0. @param implicit the value of DW_FORM_implicit_const @throws Damaged */
export function readValue(r: ByteReader, form: number, implicit: number, c: ValueContext): Value {
  switch (form) {
    case Form.Addr: return r.unsigned(c.addressBytes);
    case Form.Data1: case Form.Flag: return r.u8();
    case Form.Data2: return r.u16();
    case Form.Data4: return r.u32();
    case Form.Data8: return r.u64();
    case Form.Sdata: return r.sleb();
    case Form.Udata: case Form.Loclistx: case Form.Rnglistx: return r.uleb();
    case Form.FlagPresent: return 1;
    case Form.ImplicitConst: return implicit;
    case Form.SecOffset: return r.unsigned(c.offsetBytes);

    case Form.String: return r.cstring();
    case Form.Strp: return stringAt(c.sections.str, '.debug_str', r.unsigned(c.offsetBytes));
    case Form.LineStrp: return stringAt(c.sections.lineStr, '.debug_line_str', r.unsigned(c.offsetBytes));
    case Form.Strx: case Form.GnuStrIndex: return indexedString(c, r.uleb());
    case Form.Strx1: return indexedString(c, r.u8());
    case Form.Strx2: return indexedString(c, r.u16());
    case Form.Strx3: return indexedString(c, r.u24());
    case Form.Strx4: return indexedString(c, r.u32());

    case Form.Addrx: case Form.GnuAddrIndex: return indexedAddress(c, r.uleb());
    case Form.Addrx1: return indexedAddress(c, r.u8());
    case Form.Addrx2: return indexedAddress(c, r.u16());
    case Form.Addrx3: return indexedAddress(c, r.u24());
    case Form.Addrx4: return indexedAddress(c, r.u32());

    case Form.Ref1: return c.offset + r.u8();
    case Form.Ref2: return c.offset + r.u16();
    case Form.Ref4: return c.offset + r.u32();
    case Form.Ref8: return c.offset + r.u64();
    case Form.RefUdata: return c.offset + r.uleb();
    // In DWARF 2 such a reference was an address.
    case Form.RefAddr: return r.unsigned(c.version <= 2 ? c.addressBytes : c.offsetBytes);
    case Form.Indirect: return readIndirect(r, c);
    default:
      skipValue(r, form, c);
      return refersElsewhere(form) ? -1 : 0;
  }
}
/** Type units and supplementary files are not looked into. */
const refersElsewhere = (form: number): boolean => form === Form.RefSig8 || form === Form.RefSup4 || form === Form.RefSup8 || form === Form.GnuRefAlt;

function readIndirect(r: ByteReader, c: ValueContext): Value {
  const form = r.uleb();
  if (form === Form.Indirect || form === Form.ImplicitConst) throw new Damaged(`.debug_info has a value of form ${form} by way of another`);
  return readValue(r, form, 0, c);
}

/** Steps over a value. @throws Damaged, too for forms that are not known: where the next one begins is then not known either */
export function skipValue(r: ByteReader, form: number, c: ValueContext): void {
  switch (form) {
    case Form.FlagPresent: case Form.ImplicitConst: return;
    case Form.Data1: case Form.Flag: case Form.Ref1: case Form.Strx1: case Form.Addrx1: r.skip(1); return;
    case Form.Data2: case Form.Ref2: case Form.Strx2: case Form.Addrx2: r.skip(2); return;
    case Form.Strx3: case Form.Addrx3: r.skip(3); return;
    case Form.Data4: case Form.Ref4: case Form.RefSup4: case Form.Strx4: case Form.Addrx4: r.skip(4); return;
    case Form.Data8: case Form.Ref8: case Form.RefSig8: case Form.RefSup8: r.skip(8); return;
    case Form.Data16: r.skip(16); return;
    case Form.Addr: r.skip(c.addressBytes); return;
    case Form.RefAddr: r.skip(c.version <= 2 ? c.addressBytes : c.offsetBytes); return;
    case Form.SecOffset: case Form.Strp: case Form.LineStrp: case Form.StrpSup: case Form.GnuRefAlt: case Form.GnuStrpAlt: r.skip(c.offsetBytes); return;
    case Form.String: r.skipString(); return;
    case Form.Block1: r.skip(r.u8()); return;
    case Form.Block2: r.skip(r.u16()); return;
    case Form.Block4: r.skip(r.u32()); return;
    case Form.Block: case Form.Exprloc: r.skip(r.uleb()); return;
    case Form.Sdata: case Form.Udata: case Form.RefUdata: case Form.Strx: case Form.Addrx: case Form.Loclistx: case Form.Rnglistx:
    case Form.GnuAddrIndex: case Form.GnuStrIndex: r.uleb(); return;
    case Form.Indirect: readIndirect(r, c); return;
    default: throw new Damaged(`${r.name} has a value of form ${form}, which is not known`);
  }
}
