// Mm: one address space (struct mm_struct).
import { bug } from '#base';
import type { Asid, Pfn } from '#base';
import type { FileMapping } from './filemap.ts';
import type { MmSystem } from './system.ts';
import type { VmaView } from './vma.ts';

export const Prot = { None: 0, Read: 1, Write: 2, Exec: 4, GrowsDown: 0x0100_0000 } as const;
export const MapFlag = {
  Shared: 1, Private: 2, SharedValidate: 3, Fixed: 0x10, Anonymous: 0x20, GrowsDown: 0x100, DenyWrite: 0x800, Executable: 0x1000,
  Locked: 0x2000, NoReserve: 0x4000, Populate: 0x8000, NonBlock: 0x1_0000, Stack: 0x2_0000, FixedNoReplace: 0x10_0000,
} as const;
export const MremapFlag = { MayMove: 1, Fixed: 2, DontUnmap: 4 } as const;

export interface MmapRequest {
  addr: number;
  len: number;
  prot: number;
  flags: number;
  file: FileMapping | null;
  /** In pages. */
  pgoff: number;
}

/** RLIMIT_AS, _DATA, _STACK, _MEMLOCK in bytes; Infinity: none. */
export interface MmLimits { as: number; data: number; stack: number; memlock: number }

export class Mm {
  readonly system: MmSystem;
  exePath = '';
  startCode = 0; endCode = 0; startData = 0; endData = 0; startBrk = 0;
  /** The break as brk(2) gives it. */
  brkEnd = 0;
  startStack = 0; argStart = 0; argEnd = 0; envStart = 0; envEnd = 0;
  limits: MmLimits = { as: Infinity, data: Infinity, stack: 8 << 20, memlock: 8 << 20 };
  readonly rss = { anonPages: 0, filePages: 0, shmemPages: 0, swapEntries: 0 };
  hiwaterRss = 0; totalVm = 0; hiwaterVm = 0; dataVm = 0; stackVm = 0; execVm = 0; lockedVm = 0; pgtablesBytes = 0;
  /** Set by prctl(PR_SET_THP_DISABLE). */
  thpDisabled = false;
  readonly id = 0;
  readonly vmas: readonly VmaView[] = [];
  readonly root: Pfn = bug('unwritten');
  asid: Asid = bug('unwritten');

  private constructor(system: MmSystem) { this.system = system; }
  /** An empty address space; null: no memory for its root table. */
  static create(_system: MmSystem): Mm | null { return bug('unwritten'); }

  get taskSize(): number { return bug('unwritten'); }
  /** The VMA that holds `va`. */
  findVma(_va: number): VmaView | null { return bug('unwritten'); }
  /** Address or -errno. */
  mmap(_request: MmapRequest): number { return bug('unwritten'); }
  munmap(_addr: number, _len: number): number { return bug('unwritten'); }
  mprotect(_addr: number, _len: number, _prot: number): number { return bug('unwritten'); }
  mremap(_old: number, _oldLen: number, _newLen: number, _flags: number, _newAddr: number): number { return bug('unwritten'); }
  madvise(_addr: number, _len: number, _advice: number): number { return bug('unwritten'); }
  /** brk(2): the new break, or the old one when it cannot be had. */
  brk(_to: number): number { return bug('unwritten'); }
  mincore(_addr: number, _len: number, _into: Uint8Array): number { return bug('unwritten'); }
  msync(_addr: number, _len: number, _flags: number): number { return bug('unwritten'); }
  mlock(_addr: number, _len: number): number { return bug('unwritten'); }
  munlock(_addr: number, _len: number): number { return bug('unwritten'); }
  /** The hart's satp := this address space; hands out an ASID when it needs one. */
  activate(): void { bug('unwritten'); }
  /** exit_mmap: unmaps everything, frees the tables. */
  dispose(): void { bug('unwritten'); }
}
