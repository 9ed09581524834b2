// Writing pages to their slots, and reading them. Here: one folio, one request; pages of zeros, which cost none; what an error means. Not here: when
// (../reclaim/shrink.ts, swap-readahead.ts), the disk (kernel/block/).
// Mirrors mm/page_io.c, 6.18. A write that fails leaves the folio dirty in memory: nothing is lost, and it is tried again with the next pass. A read
// that fails leaves it not up to date: who needs the page gets SIGBUS, and never another page's contents.
import { asPfn } from '#base';
import type { Folio } from '#base';
import { Bio, BioOp } from '../../block/bio.ts';
import type { BioEnd } from '../../block/bio.ts';
import { VmItem } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MmSystem } from '../system.ts';
import { PMD_ORDER, ThpStat } from '../thp.ts';
import { swapOffset } from './entry.ts';
import type { SwapEntry } from './entry.ts';
import type { SwapInfo } from './swap-info.ts';
import type { Swap } from './swap.ts';

/** What became of a folio's write: pageout(). 'unneeded': nobody wants it any more, it has left the swap cache. 'sync': its contents are kept already.
 *  'async': under writeback, whose end clears that. 'failed': stays dirty, in memory. */
export type SwapWrite = 'unneeded' | 'sync' | 'async' | 'failed';

const PAGE = 4096;

/** Who is told that the request for a folio has ended. */
class FolioEnd implements BioEnd {
  private readonly io: SwapIo;
  private readonly folio: Folio;
  constructor(io: SwapIo, folio: Folio) {
    this.io = io;
    this.folio = folio;
  }
  endBio(bio: Bio): void {
    this.io.ended(this.folio, bio);
  }
}

export class SwapIo {
  private readonly system: MmSystem;
  private readonly swap: Swap;
  constructor(system: MmSystem, swap: Swap) {
    this.system = system;
    this.swap = swap;
  }

  /** A locked folio of the swap cache that is dirty; it stays locked. swap_writeout() */
  write(folio: Folio): SwapWrite {
    const { folios, memcg } = this.system;
    folios.clear(folio, FolioFlag.Dirty);
    if (this.swap.cache.freeFolio(folio)) return 'unneeded';
    const { info, offset, nr } = this.placeOf(folio);
    if (this.isZeroFolio(folio, nr)) {
      info.setZero(offset, nr, true);
      for (let i = 0; i < nr; i++) this.swap.zswap.invalidate(folios.swapEntry(folio) + i);
      memcg.countFolio(folio, VmItem.swpout_zero, nr);
      return 'sync';
    }
    info.setZero(offset, nr, false);
    if (this.swap.zswap.store(folio, folios.swapEntry(folio))) return 'sync';
    if (!this.swap.zswap.mayWriteBack(memcg.of(folio))) {
      folios.set(folio, FolioFlag.Dirty);
      return 'failed';
    }
    this.writeToDevice(folio);
    // A device that works at once is done with it.
    if (folios.test(folio, FolioFlag.Writeback)) return 'async';
    return folios.test(folio, FolioFlag.Dirty) ? 'failed' : 'sync';
  }
  /** The rest of it, past zswap. __swap_writepage() */
  writeToDevice(folio: Folio): void {
    const { folios, memcg, waits, writeback } = this.system;
    const { info, offset, nr } = this.placeOf(folio);
    const order = folios.order(folio);
    if (order === PMD_ORDER) memcg.countFolio(folio, VmItem.thp_swpout, 1);
    this.system.thp.count(order, ThpStat.swpout);
    memcg.countFolio(folio, VmItem.pswpout, nr);
    waits.startWriteback(folio);
    writeback.folioWriting(folio);
    this.submit(BioOp.Write, folio, info, offset, nr);
  }
  /** A request for a folio has ended. end_swap_bio_write(), end_swap_bio_read() */
  ended(folio: Folio, { op, error }: Bio): void {
    if (op === BioOp.Read) this.system.waits.endRead(folio, error === 0);
    else this.wrote(folio, error);
  }
  private wrote(folio: Folio, error: number): void {
    const { folios, waits, writeback } = this.system;
    if (error !== 0) {
      folios.set(folio, FolioFlag.Dirty);
      folios.clear(folio, FolioFlag.Reclaim);
    }
    writeback.folioWrote(folio);
    waits.endWriteback(folio);
  }

  /** Fills a locked folio of the swap cache, which is unlocked when that has ended, perhaps at once. swap_read_folio() */
  read(folio: Folio): void {
    this.readSlots(folio, this.system.folios.swapEntry(folio));
  }
  /** The same for a locked folio that may be in no cache. @param entry of its first page */
  readSlots(folio: Folio, entry: SwapEntry): void {
    const { folios, memcg, thp, waits } = this.system;
    const info = this.swap.infoOf(entry)!;
    const offset = swapOffset(entry);
    const nr = folios.nrPages(folio);
    if (info.isZero(offset)) {
      this.system.zeroFolio(folio, nr);
      memcg.countFolio(folio, VmItem.swpin_zero, nr);
      waits.endRead(folio, true);
      return;
    }
    if (this.swap.zswap.load(folio, entry)) {
      waits.endRead(folio, true);
      return;
    }
    this.swap.zswap.readFromDevice(folio);
    thp.count(folios.order(folio), ThpStat.swpin);
    memcg.countFolio(folio, VmItem.pswpin, nr);
    this.submit(BioOp.Read, folio, info, offset, nr);
  }
  private submit(op: BioOp, folio: Folio, info: SwapInfo, offset: number, nr: number): void {
    info.target.device.submit(new Bio(op, info.sectorOf(offset), [{ pfn: folio, offset: 0, lenBytes: nr * PAGE }], new FolioEnd(this, folio)));
  }
  private placeOf(folio: Folio): { info: SwapInfo; offset: number; nr: number } {
    const entry = this.system.folios.swapEntry(folio);
    return { info: this.swap.infoOf(entry)!, offset: swapOffset(entry), nr: this.system.folios.nrPages(folio) };
  }
  /** is_folio_zero_filled() */
  private isZeroFolio(folio: Folio, nr: number): boolean {
    for (let i = 0; i < nr; i++) if (!this.system.machine.holdsZeros(asPfn(folio + i))) return false;
    return true;
  }
  /** Neighbours on a disk find each other: what is written or read between these two is joined. */
  plug(): void {
    for (const { target } of this.swap.devices) target.device.plug();
  }
  unplug(): void {
    for (const { target } of this.swap.devices) target.device.unplug();
  }
}
