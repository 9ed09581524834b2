// What is in the page cache, file by file, for reports. Facts only; here nothing changes.
import type { Folio } from '#base';
import type { AddressSpace } from './filemap.ts';
import { FolioFlag } from './folio.ts';
import type { MmSystem } from './system.ts';
import { PMD_ORDER } from './thp.ts';
import { isXaValue } from './xarray.ts';

/** One folio of a file: pages [index, index + 2^order). */
export interface CachedFolio {
  readonly folio: Folio;
  readonly index: number;
  readonly order: number;
  readonly isUptodate: boolean;
  readonly isDirty: boolean;
  readonly isWriteback: boolean;
  readonly isLocked: boolean;
  /** Its first reader starts the next window: PG_readahead. */
  readonly isMarked: boolean;
  /** Its pages that some page table maps. */
  readonly mappedPages: number;
}
/** What stands behind a file's pages: memory alone, extents, blocks. */
export type CacheBackEnd = 'shmem' | 'iomap' | 'buffer_head';
export interface CachedFile {
  readonly space: AddressSpace;
  readonly backEnd: CacheBackEnd;
  readonly pages: number;
  readonly foliosByOrder: readonly number[];
  /** Pages of folios that are dirty, or on their way to a disk; files in memory are dirty by nature, and none is counted. */
  readonly dirtyPages: number;
  readonly writebackPages: number;
  readonly mappedPages: number;
  readonly xarrayNodes: number;
}

export function cachedFolios({ pages, system: { folios } }: AddressSpace): CachedFolio[] {
  const found: CachedFolio[] = [];
  for (const { entry, index, order } of pages) {
    if (isXaValue(entry)) continue; // it was evicted, or is in swap
    const folio = entry as Folio;
    const isWriteback = folios.test(folio, FolioFlag.Writeback);
    let mappedPages = 0;
    if (folios.folioMapcount(folio) > 0) for (let i = 0; i < 2 ** order; i++) if (folios.pageMapcount((folio + i) as Folio) > 0) mappedPages++;
    found.push({
      folio, index, order, isUptodate: folios.test(folio, FolioFlag.Uptodate), isDirty: folios.test(folio, FolioFlag.Dirty), isWriteback,
      // One bit has both meanings: reclaim under writeback, else the mark of read-ahead.
      isLocked: folios.test(folio, FolioFlag.Locked), isMarked: !isWriteback && folios.test(folio, FolioFlag.Reclaim), mappedPages,
    });
  }
  return found;
}
export function cachedFile(space: AddressSpace): CachedFile {
  const foliosByOrder = new Array<number>(PMD_ORDER + 1).fill(0);
  const onDisk = space.ops !== null;
  let [dirtyPages, writebackPages, mappedPages] = [0, 0, 0];
  for (const folio of cachedFolios(space)) {
    foliosByOrder[folio.order]!++;
    if (onDisk && folio.isDirty) dirtyPages += 2 ** folio.order;
    if (folio.isWriteback) writebackPages += 2 ** folio.order;
    mappedPages += folio.mappedPages;
  }
  return { space, backEnd: space.ops?.name ?? 'shmem', pages: space.nrPages, foliosByOrder, dirtyPages, writebackPages, mappedPages, xarrayNodes: space.pages.nrNodes };
}
/** Every file with pages in memory, in the order in which they got their first. */
export const cachedFiles = ({ addressSpaces }: MmSystem): CachedFile[] => [...addressSpaces.values()].map(cachedFile);
