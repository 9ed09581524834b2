// Turning a swap device on. Here: the header that mkswap writes, reading it, what is refused. Not here: which slots are given out (clusters.ts), turning
// off (swapoff.ts), the system calls (kernel/syscall/swap.ts). Mirrors swapon() and read_swap_header() (mm/swapfile.c), 6.18.
//
// The header fills slot 0:  byte 1024: version 1, last page, number of bad pages (32 bits each), uuid, label (16 bytes each); byte 1536: bad pages;
// the last ten bytes: SWAPSPACE2
import { utf8Decode, utf8Encode } from '#base';
import { Bio, BioOp } from '../../block/bio.ts';
import type { BlockDevice } from '../../block/device.ts';
import { Errno } from '../../syscall/errno.ts';
import { MemdescType } from '../folio.ts';
import { Gfp } from '../gfp.ts';
import type { MmSystem } from '../system.ts';
import { MAX_SWAP_SLOTS } from './entry.ts';
import type { SwapTarget } from './swap-info.ts';

const PAGE = 4096;
const SECTORS_PER_PAGE = PAGE / 512;
const MAGIC = 'SWAPSPACE2';
const MAGIC_AT = PAGE - MAGIC.length;
const VERSION_AT = 1024;
const LAST_PAGE_AT = 1028;
const NR_BAD_AT = 1032;
const UUID_AT = 1036;
const BAD_PAGES_AT = 1536;
const MAX_BAD_PAGES = (MAGIC_AT - BAD_PAGES_AT) / 4;

/** What mkswap writes at the beginning of a device of so many pages. */
export function swapHeader(pages: number, uuid: Uint8Array = new Uint8Array(16)): Uint8Array {
  const header = new Uint8Array(PAGE);
  const view = new DataView(header.buffer);
  view.setUint32(VERSION_AT, 1, true);
  view.setUint32(LAST_PAGE_AT, pages - 1, true);
  header.set(uuid.subarray(0, 16), UUID_AT);
  header.set(utf8Encode(MAGIC), MAGIC_AT);
  return header;
}

/** A whole disk as a swap device. */
export function wholeDisk(device: BlockDevice): SwapTarget {
  const sizePages = Math.floor(device.nrSectors / SECTORS_PER_PAGE);
  return { device, kind: 'partition', file: null, path: `/dev/${device.name}`, sizePages, extents: [{ start: 0, nr: sizePages, sector: 0 }], header: [{ sector: 0, lenBytes: PAGE }] };
}

/** Waits for the disk, with nothing else running. @param priority null: below all that are on @returns 0, or -errno */
export function swapOn(system: MmSystem, target: SwapTarget, priority: number | null): number {
  const last = target.extents.at(-1);
  const pages = last === undefined ? 0 : last.start + last.nr;
  if (pages < 2) return -Errno.EINVAL;
  const header = readHeader(system, target);
  if (typeof header === 'number') return header;
  const view = new DataView(header.buffer);
  const lastPage = view.getUint32(LAST_PAGE_AT, true);
  const nrBad = view.getUint32(NR_BAD_AT, true);
  if (utf8Decode(header.subarray(MAGIC_AT)) !== MAGIC || view.getUint32(VERSION_AT, true) !== 1) return -Errno.EINVAL;
  if (lastPage === 0 || lastPage >= target.sizePages || nrBad > MAX_BAD_PAGES || (nrBad > 0 && target.kind === 'file')) return -Errno.EINVAL;
  const usable = Math.min(lastPage + 1, pages, MAX_SWAP_SLOTS);
  const bad: number[] = [];
  for (let i = 0; i < nrBad; i++) {
    const slot = view.getUint32(BAD_PAGES_AT + 4 * i, true);
    if (slot === 0 || slot > lastPage) return -Errno.EINVAL;
    if (slot < usable) bad.push(slot);
  }
  if (bad.length >= usable - 1) return -Errno.EINVAL;
  return system.swap.add(target, usable, bad, priority) === null ? -Errno.EPERM : 0;
}
function readHeader(system: MmSystem, { device, header: pieces }: SwapTarget): Uint8Array<ArrayBuffer> | number {
  const frame = system.allocFolio(0, MemdescType.Misc, Gfp.Kernel);
  if (frame === 0) return -Errno.ENOMEM;
  let [at, error] = [0, 0];
  for (const { sector, lenBytes } of pieces) {
    const bio = new Bio(BioOp.Read, sector, [{ pfn: frame, offset: at, lenBytes }], null, { isSync: true });
    device.submit(bio);
    error = device.wait(bio) || error;
    at += lenBytes;
  }
  const header = new Uint8Array(PAGE);
  system.machine.readFrame(frame, 0, header);
  system.putFolio(frame);
  return error < 0 ? error : header;
}
