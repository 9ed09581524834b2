// A machine with swap, and ways to send pages there and look at them.
import { asPfn } from '#base';
import type { Folio } from '#base';
import { BlockDevice } from '#kernel/block/device.ts';
import { SparseImage } from '#kernel/block/image.ts';
import type { DiskImage } from '#kernel/block/image.ts';
import { diskPresets } from '#kernel/block/latency.ts';
import type { DiskLatency } from '#kernel/block/latency.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import type { Mm } from '#kernel/mm/mm.ts';
import { ptePresent } from '#kernel/mm/pagetable.ts';
import { entryOfPte, isSwapPte, swapOffset } from '#kernel/mm/swap/entry.ts';
import type { SwapEntry } from '#kernel/mm/swap/entry.ts';
import { swapHeader, swapOn, wholeDisk } from '#kernel/mm/swap/swapon.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, bootSystem } from './mm-fixture.ts';
import type { Options } from './mm-fixture.ts';

export const MADV_PAGEOUT = 21;

/** A swap device of so many pages, header included, turned on. */
export function addSwap(system: MmSystem, pages: number, options: { image?: DiskImage; latency?: DiskLatency; priority?: number } = {}): BlockDevice {
  const image = options.image ?? new SparseImage(pages * 4096);
  image.write(0, swapHeader(pages));
  const device = new BlockDevice(system, image, options.latency ?? diskPresets[0]!, `vd${String.fromCharCode(97 + system.disks.length)}`, 254, 16 * system.disks.length);
  system.addDisk(device);
  const answer = swapOn(system, wholeDisk(device), options.priority ?? null);
  if (answer !== 0) throw new Error(`swapon gives ${answer}`);
  return device;
}
export function bootWithSwap(pages: number, options: Options & { image?: DiskImage; latency?: DiskLatency } = {}): { system: MmSystem; program: Program; device: BlockDevice } {
  const { system } = bootSystem({ ramBytes: 24 << 20, ...options });
  const device = addSwap(system, pages, options);
  return { system, program: Program.on(system), device };
}

/** The same with zswap before it, turned on. */
export function withZswap(...facts: Parameters<typeof bootWithSwap>): ReturnType<typeof bootWithSwap> {
  const rig = bootWithSwap(...facts);
  rig.system.swap.zswap.params.enabled = true;
  return rig;
}

/** All I/O that is under way ends. */
export function settle(system: MmSystem): void {
  while (system.waits.passTime());
}
/** MADV_PAGEOUT until the pages are out of memory: once to write them, once to let them go. */
export function pageOut({ mm }: Program, start: number, len: number): void {
  mm.madvise(start, len, MADV_PAGEOUT);
  settle(mm.system);
  reclaimCached(mm.system);
}
/** What only the swap cache has goes, as reclaim would let it go. */
export function reclaimCached(system: MmSystem): void {
  const { folios, lru, swap, vmscan } = system;
  const list: Folio[] = [];
  for (const info of swap.devices) {
    for (let offset = info.nextInUse(1); offset > 0; offset = info.nextInUse(offset + 1)) {
      const folio = info.folioAt(offset);
      if (folio !== 0 && folios.folioMapcount(folio) === 0 && !list.includes(folio) && lru.isolate(folio)) list.push(folio);
    }
  }
  vmscan.reclaimPages(list);
}
/** Pages of a range that are in swap. */
export function swappedPages({ tables }: Mm, start: number, len: number): number {
  let count = 0;
  for (let vpn = start / 4096; vpn < (start + len) / 4096; vpn++) {
    const low = tables.get(vpn);
    if (!ptePresent(low) && isSwapPte(low)) count++;
  }
  return count;
}
/** The byte at `at` of a page that is in swap, wherever its contents are: nobody faults. null: cannot be told, for it could not be read. */
export const swappedByte = (system: MmSystem, low: number, at: number): number | null => slotByte(system, entryOfPte(low), at);
/** The same by the slot. */
export function slotByte(system: MmSystem, entry: SwapEntry, at: number): number | null {
  const info = system.swap.infoOf(entry);
  if (info === null) throw new Error(`swap entry ${entry} is of no device`);
  const offset = swapOffset(entry);
  const folio = info.folioAt(offset);
  const bytes = new Uint8Array(1);
  if (folio !== 0 && system.folios.test(folio, FolioFlag.Uptodate)) {
    system.machine.readFrame(asPfn(folio + entry - system.folios.swapEntry(folio)), at, bytes);
    return bytes[0]!;
  }
  if (info.isZero(offset)) return 0;
  const page = new Uint8Array(4096);
  if (system.swap.zswap.contentsOf(entry, page)) return page[at]!;
  const sector = new Uint8Array(512);
  if (!info.target.device.image.read(info.sectorOf(offset) * 512 + at - (at % 512), sector)) return null;
  return sector[at % 512]!;
}
