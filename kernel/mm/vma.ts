// One range of an address space with one set of rights and one backing.
import type { FileMapping } from './filemap.ts';

/** vm_flags, with Linux's bits (include/linux/mm.h). */
export const VmFlag = {
  Read: 1, Write: 2, Exec: 4, Shared: 8, MayRead: 0x10, MayWrite: 0x20, MayExec: 0x40, MayShare: 0x80, GrowsDown: 0x100,
  Locked: 0x2000, SeqRead: 0x8000, RandRead: 0x1_0000, DontCopy: 0x2_0000, DontExpand: 0x4_0000, LockOnFault: 0x8_0000,
  Account: 0x10_0000, NoReserve: 0x20_0000, WipeOnFork: 0x200_0000, DontDump: 0x400_0000, HugePage: 0x2000_0000, NoHugePage: 0x4000_0000,
} as const;

export interface VmaView {
  /** Byte addresses, half-open. */
  readonly start: number;
  readonly end: number;
  /** VmFlag bits. */
  readonly flags: number;
  /** Page offset in the file; for anonymous memory the page number of `start` when it was mapped. */
  readonly pgoff: number;
  readonly file: FileMapping | null;
}
