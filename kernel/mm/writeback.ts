// Writing dirty folios back to their disks. Here: what is dirty, by file, in the order in which files became so, and the gauges. Not here: the
// writes themselves (the back ends of kernel/fs/). Mirrors mm/page-writeback.c and fs/fs-writeback.c, 6.18.
import type { Folio, StateHash } from '#base';
import { VmItem } from './events.ts';
import type { AddressSpace } from './filemap.ts';
import type { MmSystem } from './system.ts';

export class Writeback {
  private readonly system: MmSystem;
  /** Files with dirty folios, oldest first, with the clock cycle at which they became dirty. */
  private readonly dirty = new Map<AddressSpace, number>();

  constructor(system: MmSystem) {
    this.system = system;
  }
  /** A folio of the file was clean and is not any more. Mirrors folio_account_dirtied(). */
  folioDirtied(space: AddressSpace, folio: Folio): void {
    const { vmstat, folios, machine } = this.system;
    const nr = folios.nrPages(folio);
    vmstat.add(VmItem.nr_dirty, nr);
    vmstat.add(VmItem.nr_zone_write_pending, nr);
    vmstat.add(VmItem.nr_dirtied, nr);
    if (!this.dirty.has(space)) this.dirty.set(space, machine.clockCycles);
  }
  folioCleaned(folio: Folio): void {
    const nr = this.system.folios.nrPages(folio);
    this.system.vmstat.add(VmItem.nr_dirty, -nr);
    this.system.vmstat.add(VmItem.nr_zone_write_pending, -nr);
  }
  folioWriting(folio: Folio): void {
    const nr = this.system.folios.nrPages(folio);
    this.system.vmstat.add(VmItem.nr_writeback, nr);
    this.system.vmstat.add(VmItem.nr_zone_write_pending, nr);
  }
  folioWrote(folio: Folio): void {
    const nr = this.system.folios.nrPages(folio);
    this.system.vmstat.add(VmItem.nr_writeback, -nr);
    this.system.vmstat.add(VmItem.nr_zone_write_pending, -nr);
    this.system.vmstat.add(VmItem.nr_written, nr);
  }
  /** Whoever dirties folios should stop and see how much is dirty (balance_dirty_pages_ratelimited). */
  get wantsPause(): boolean {
    return false;
  }
  hash(into: StateHash): void {
    for (const [space, since] of this.dirty) into.numbers([space.id, since]);
  }
}
