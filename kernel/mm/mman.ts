// The numbers that programs pass to mmap, mprotect and mremap (asm-generic/mman.h), and what mmap is asked.
import type { FileMapping } from './filemap.ts';

export const Prot = { None: 0, Read: 1, Write: 2, Exec: 4, Sem: 8, GrowsDown: 0x0100_0000, GrowsUp: 0x0200_0000 } as const;
export const MapFlag = {
  Shared: 1, Private: 2, SharedValidate: 3, Droppable: 8, Type: 0xf, Fixed: 0x10, Anonymous: 0x20, GrowsDown: 0x100, DenyWrite: 0x800, Executable: 0x1000,
  Locked: 0x2000, NoReserve: 0x4000, Populate: 0x8000, NonBlock: 0x1_0000, Stack: 0x2_0000, HugeTlb: 0x4_0000, Sync: 0x8_0000, FixedNoReplace: 0x10_0000,
} as const;
/** What prctl(PR_SET_MDWE) refuses: rights to execute that come later; not for children (PR_MDWE_*). */
export const Mdwe = { RefuseExecGain: 1, NoInherit: 2 } as const;
export const MremapFlag = { MayMove: 1, Fixed: 2, DontUnmap: 4 } as const;

export interface MmapRequest {
  addr: number;
  len: number;
  /** Prot bits. */
  prot: number;
  /** MapFlag bits. */
  flags: number;
  /** null: anonymous, whatever the flags say about it. */
  file: FileMapping | null;
  /** In pages. */
  pgoff: number;
  /** What is mapped was opened without write access; of a file, its mayWrite says so too. */
  readOnly?: boolean;
}
