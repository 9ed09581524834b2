// From bytes of a file to blocks of a device: what an on-disk format answers to the two mapping back ends. Here: the interfaces. Not here: the
// back ends (iomap.ts, buffer-head.ts), which own the page cache's side, nor a format (ext/).

/** What a part of a file is. Unwritten: blocks are set aside, and read as zeros. */
export const IomapType = { Hole: 0, Mapped: 1, Unwritten: 2 } as const;
export type IomapType = (typeof IomapType)[keyof typeof IomapType];

/** One extent: [offset, offset + lenBytes) of the file lies at `addrBytes` of the device, in one piece (struct iomap). */
export interface Iomap {
  readonly type: IomapType;
  readonly offset: number;
  readonly lenBytes: number;
  /** Byte address on the device; meaningless for a hole. */
  readonly addrBytes: number;
  /** These blocks were allocated by this very call: what is not written of them must be zeroed. */
  readonly isNew: boolean;
}

/** Report: look only. Read: for filling a folio. Write: blocks will be written to, so allocate them. Zero: like Write, but leaves holes holes. */
export const IomapPurpose = { Report: 0, Read: 1, Write: 2, Zero: 3 } as const;
export type IomapPurpose = (typeof IomapPurpose)[keyof typeof IomapPurpose];

/** What a format answers to iomap. Mirrors struct iomap_ops. Counted: one begin() an extent is the claim. */
export interface IomapSource {
  /** The extent that holds `offset`, as long as it goes within `lenBytes` (rounded out to blocks); -errno (ENOSPC, EIO, EUCLEAN). */
  begin(offset: number, lenBytes: number, purpose: IomapPurpose): Iomap | number;
  /** Data of an unwritten extent has reached the disk: [offset, offset + lenBytes) becomes written. @returns 0 or -errno. Mirrors ext4's end_io conversion. */
  written(offset: number, lenBytes: number): number;
}

/** What a format answers to buffer heads: one block at a time. Mirrors get_block_t. */
export interface BlockMapper {
  readonly blockSize: number;
  /** The device's block for a block of the file. 0: a hole (and `create` is false); -errno. `isNew` is left at true when this call allocated it. */
  getBlock(index: number, create: boolean): { readonly block: number; readonly isNew: boolean } | number;
}
