// Names for places in the guest's files. Here: which file, and from an offset in it to its function. Not here: reading executables (debugger/elf.ts).
import type { GuestFile } from '../config.ts';
import { Damaged } from '../debugger/dwarf/reader.ts';
import { ElfFile } from '../debugger/elf.ts';
import type { NameOffset } from './samples.ts';

/** @param files of the guest, of which executables may have symbols @returns the names of the file at a path; null: it has none */
export const namesOf = (files: readonly GuestFile[]) => (path: string): NameOffset | null => {
  const file = files.find((each) => each.path === path);
  const elf = file === undefined ? null : readElf(file.bytes);
  if (elf === null || elf.symbols.length === 0) return null;
  return (offset) => {
    const home = elf.segments.find((segment) => offset >= segment.offset && offset < segment.offset + segment.fileBytes);
    return home === undefined ? null : elf.symbolAt(home.address + offset - home.offset)?.symbol.name ?? null;
  };
};
function readElf(bytes: Uint8Array): ElfFile | null {
  try {
    return new ElfFile(bytes);
  } catch (error) {
    if (error instanceof Damaged) return null;
    throw error;
  }
}
