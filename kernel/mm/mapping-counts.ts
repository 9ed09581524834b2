// What files ask of their formats and of disks, counted: where the articles say that extents and large folios save work, this is the work.

/** How far what is asked of files and disks agrees with the claims: counted over all back ends. */
export interface MappingCounts {
  /** Questions to formats: get_block() and iomap_begin(). */
  getBlock: number;
  iomapBegin: number;
  readBios: number;
  writeBios: number;
  readBytes: number;
  writtenBytes: number;
  /** Bytes of state beside folios, as Linux would need them, now and at most. */
  stateBytes: number;
  stateBytesMax: number;
}
export const newMappingCounts = (): MappingCounts =>
  ({ getBlock: 0, iomapBegin: 0, readBios: 0, writeBios: 0, readBytes: 0, writtenBytes: 0, stateBytes: 0, stateBytesMax: 0 });
export function countState(counts: MappingCounts, bytes: number): void {
  counts.stateBytes += bytes;
  counts.stateBytesMax = Math.max(counts.stateBytesMax, counts.stateBytes);
}
