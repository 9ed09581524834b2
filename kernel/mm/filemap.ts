// The pages of a file, and faults on them.
import { bug } from '#base';
import type { Pfn } from '#base';
import type { MmSystem } from './system.ts';

/** What a VMA holds of a file. */
export interface FileMapping {
  readonly space: AddressSpace;
  readonly path: string;
  readonly ino: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** The open file may be written to: a shared mapping of it may become writable. */
  readonly mayWrite: boolean;
}

/** A limit on pages that several address spaces share, as a tmpfs mount has with size=. */
export interface PageQuota {
  usedPages: number;
  readonly maxPages: number;
}

/** struct address_space: the page cache of one file; frames of guest RAM, order-0 folios. */
export class AddressSpace {
  readonly system: MmSystem;
  readonly kind: 'file' | 'shmem';
  sizeBytes = 0;
  /** @param quota counted and obeyed by pages of this space; null: only RAM limits them. */
  constructor(system: MmSystem, kind: 'file' | 'shmem', _quota: PageQuota | null = null) {
    this.system = system;
    this.kind = kind;
  }
  get nrPages(): number { return bug('unwritten'); }
  /** @returns bytes copied: short at end of file; holes read as zeros. */
  read(_pos: number, _into: Uint8Array): number { return bug('unwritten'); }
  /** Extends the file. @returns bytes written (short when memory ends in the middle) or -ENOSPC. */
  write(_pos: number, _from: Uint8Array): number { return bug('unwritten'); }
  /** Sets the size; unmaps and frees what lies beyond, zeroes the rest of the last page. */
  truncate(_sizeBytes: number): void { bug('unwritten'); }
  /** The file's owner lets go: the pages are freed now, or when the last VMA that maps them goes. */
  release(): void { bug('unwritten'); }
  /** The frame of one page of the file; 0: a hole (or no memory, when `create`). */
  pageFor(_index: number, _create: boolean): Pfn | 0 { return bug('unwritten'); }
}
