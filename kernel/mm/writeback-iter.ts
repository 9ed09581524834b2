// The walk over what is to be written of a file: the folios come one by one, locked and clean by now, and whoever asked writes them. Here: which
// come, and in what order. Not here: the writing (kernel/fs/), why (writeback.ts).
// Mirrors writeback_iter() (mm/page-writeback.c), 6.18, which took the place of a walk that called back for every folio.
import { FolioFlag } from './folio.ts';
import type { AddressSpace, WritebackControl } from './filemap.ts';
import { folioMkclean } from './mkclean.ts';
import type { Folio } from '#base';
import { Mark } from './xarray.ts';

/** The dirty folios of a run, ascending. One that has come must be unlocked, and written or not: it is no longer marked as dirty. */
export function* writebackIter(space: AddressSpace, wbc: WritebackControl): Generator<Folio, void> {
  const { system } = space;
  const { folios, waits } = system;
  let at = wbc.isCyclic ? space.writebackIndex : wbc.start;
  const end = wbc.isCyclic ? Infinity : wbc.end;
  // What becomes dirty while this goes on is for the next one: else a fast writer could keep it here for ever.
  if (wbc.isIntegrity) tagForWriteback(space, at, end);
  const mark = wbc.isIntegrity ? Mark.ToWrite : Mark.Dirty;
  for (let folio = space.nextFolio(at, end, mark); folio !== 0; folio = space.nextFolio(at, end, mark)) {
    at = folios.index(folio) + folios.nrPages(folio);
    if (!wbc.isIntegrity && (waits.isLocked(folio) || folios.test(folio, FolioFlag.Writeback))) continue;
    waits.lockNow(folio);
    waits.waitNow(folio, FolioFlag.Writeback);
    // It may have gone while that lasted.
    if (folios.mapping(folio) !== space.id || !folios.test(folio, FolioFlag.Dirty)) {
      waits.unlock(folio);
      continue;
    }
    folioMkclean(system, folio);
    space.cleanFolio(folio);
    wbc.nrToWrite -= folios.nrPages(folio);
    yield folio;
    if (!wbc.isIntegrity && wbc.nrToWrite <= 0) {
      if (wbc.isCyclic) space.writebackIndex = at;
      return;
    }
  }
  if (wbc.isCyclic) space.writebackIndex = 0;
}
/** tag_pages_for_writeback(). */
function tagForWriteback(space: AddressSpace, start: number, end: number): void {
  const { folios } = space.system;
  for (let folio = space.nextFolio(start, end, Mark.Dirty); folio !== 0; ) {
    space.pages.setMark(folios.index(folio), Mark.ToWrite);
    folio = space.nextFolio(folios.index(folio) + folios.nrPages(folio), end, Mark.Dirty);
  }
}
