// One block I/O request. Mirrors struct bio (include/linux/blk_types.h), but for its vectors: they are physical ranges, not pages, so that a
// folio of any order is one range (the articles' phyr).
import type { Pfn } from '#base';

export const SECTOR_BYTES = 512;

/** `lenBytes` bytes of RAM from `offset` bytes into frame `pfn` on; may run over many frames. */
export interface PhysRange { readonly pfn: Pfn; readonly offset: number; readonly lenBytes: number }

/** Flush: everything written before is durable when it ends. Discard: the sectors' contents are no longer wanted; they read as zeros. */
export const BioOp = { Read: 0, Write: 1, Flush: 2, Discard: 3 } as const;
export type BioOp = (typeof BioOp)[keyof typeof BioOp];

/** Told once, when a bio has ended; `bio.error` says how. May submit others. */
export interface BioEnd { endBio(bio: Bio): void }

export interface BioOptions { readonly isReadahead?: boolean; readonly isSync?: boolean; readonly isMeta?: boolean; readonly lenBytes?: number }

export class Bio {
  readonly op: BioOp;
  /** First sector of 512 bytes. */
  readonly sector: number;
  readonly ranges: readonly PhysRange[];
  readonly lenBytes: number;
  readonly end: BioEnd | null;
  /** Told apart in traces: read ahead of need; somebody waits for it; metadata of a file system. */
  readonly isReadahead: boolean;
  readonly isSync: boolean;
  readonly isMeta: boolean;
  /** 0 or -EIO; valid once `isDone`. */
  error = 0;
  isDone = false;

  /** @param lenBytes for a Discard, which has no ranges; else the ranges' sum, a multiple of 512 */
  constructor(op: BioOp, sector: number, ranges: readonly PhysRange[], end: BioEnd | null, options: BioOptions = {}) {
    this.op = op;
    this.sector = sector;
    this.ranges = ranges;
    this.lenBytes = options.lenBytes ?? ranges.reduce((sum, range) => sum + range.lenBytes, 0);
    this.end = end;
    this.isReadahead = options.isReadahead ?? false;
    this.isSync = options.isSync ?? false;
    this.isMeta = options.isMeta ?? false;
  }
  get nrSectors(): number {
    return this.lenBytes / SECTOR_BYTES;
  }
}
