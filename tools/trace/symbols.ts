// Names for places in the guest's files. Here: which file, and from an offset in it to its function. Not here: reading executables (debugger/elf.ts).
import type { GuestFile } from '../config.ts';
import type { NameOffset } from './samples.ts';

/** @param files of the guest, of which executables may have symbols @returns the names of the file at a path; null: it has none */
export const namesOf = (files: readonly GuestFile[]) => (path: string): NameOffset | null => {
  void files;
  void path;
  return null;
};
