// Which addresses something covers when it is not one piece: .debug_ranges (DWARF 4) and .debug_rnglists (DWARF 5).
import { Rle } from './constants.ts';
import { indexedAddress } from './forms.ts';
import type { ValueContext } from './forms.ts';
import { ByteReader, Damaged } from './reader.ts';
import type { Budget } from './reader.ts';

/** Half open. */
export interface CodeRange { readonly start: number; readonly end: number }

/** Linkers leave what they have thrown away at 0 or at the very end of all addresses. */
export const isKept = ({ start, end }: CodeRange): boolean => start > 1 && end > start && end < 2 ** 52;
export const contains = (ranges: readonly CodeRange[], address: number): boolean => ranges.some((r) => address >= r.start && address < r.end);

/** A list of DWARF 4 and before. @param base the unit's own lowest address @throws Damaged */
export function readRanges(c: ValueContext, offset: number, base: number, budget: Budget): CodeRange[] {
  const r = new ByteReader(c.sections.ranges, '.debug_ranges', offset);
  const ranges: CodeRange[] = [];
  const selectsBase = 2 ** (8 * c.addressBytes) - 1;
  for (;;) {
    budget.spend();
    const start = r.unsigned(c.addressBytes);
    const end = r.unsigned(c.addressBytes);
    if (start === 0 && end === 0) return ranges;
    if (start >= selectsBase) base = end;
    else ranges.push({ start: base + start, end: base + end });
  }
}

/** A list of DWARF 5. @throws Damaged */
export function readRnglist(c: ValueContext, offset: number, base: number, budget: Budget): CodeRange[] {
  const r = new ByteReader(c.sections.rnglists, '.debug_rnglists', offset);
  const ranges: CodeRange[] = [];
  const add = (start: number, end: number): void => { ranges.push({ start, end }); };
  for (;;) {
    budget.spend();
    const kind = r.u8();
    switch (kind) {
      case Rle.EndOfList: return ranges;
      case Rle.BaseAddressx: base = indexedAddress(c, r.uleb()); break;
      case Rle.BaseAddress: base = r.unsigned(c.addressBytes); break;
      case Rle.OffsetPair: {
        const start = base + r.uleb();
        add(start, base + r.uleb());
        break;
      }
      case Rle.StartxEndx: {
        const start = indexedAddress(c, r.uleb());
        add(start, indexedAddress(c, r.uleb()));
        break;
      }
      case Rle.StartxLength: {
        const start = indexedAddress(c, r.uleb());
        add(start, start + r.uleb());
        break;
      }
      case Rle.StartEnd: {
        const start = r.unsigned(c.addressBytes);
        add(start, r.unsigned(c.addressBytes));
        break;
      }
      case Rle.StartLength: {
        const start = r.unsigned(c.addressBytes);
        add(start, start + r.uleb());
        break;
      }
      default: throw new Damaged(`.debug_rnglists has an entry of kind ${kind}`);
    }
  }
}
/** Where the list of this number begins. @param base the unit's DW_AT_rnglists_base */
export function rnglistOffset(c: ValueContext, base: number, index: number): number {
  return base + new ByteReader(c.sections.rnglists, '.debug_rnglists', base + index * c.offsetBytes).unsigned(c.offsetBytes);
}
