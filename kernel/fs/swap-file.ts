// Which swap device a name stands for: a disk, or a file on one. Here: where the pages of a file lie on its disk, and what is refused. Not here: the
// header (mm/swap/swapon.ts), the system calls (syscall/swap.ts).
// Mirrors claim_swapfile() (mm/swapfile.c) and iomap_swapfile_activate() (fs/iomap/swapfile.c), 6.18.
import { PAGE_SIZE } from '#base';
import { SECTOR_BYTES } from '../block/bio.ts';
import type { SwapExtent, SwapTarget } from '../mm/swap/swap-info.ts';
import { wholeDisk } from '../mm/swap/swapon.ts';
import { Errno } from '../syscall/errno.ts';
import { type Dentry, pathOf } from './dentry.ts';
import { DiskFile } from './disk-file.ts';
import { startWriting, waitWritten } from './disk-sync.ts';
import { extentAt } from './extent.ts';
import { deviceMajor, deviceMinor, FileType } from './inode.ts';
import { IomapPurpose, IomapType } from './mapping.ts';
import type { Vfs } from './vfs.ts';
import type { KernelView } from './view.ts';

/** @returns -errno: it is none that could be swapped on */
export function swapTargetOf(view: KernelView, vfs: Vfs, place: Dentry): SwapTarget | number {
  const { inode } = place;
  if (inode.type === FileType.Block) {
    const disk = view.system.disks.find(({ major, minor }) => major === deviceMajor(inode.rdev) && minor === deviceMinor(inode.rdev));
    if (disk === undefined) return -Errno.ENXIO;
    if (disk.isReadOnly) return -Errno.EACCES;
    return vfs.disks.some(({ device }) => device === disk) ? -Errno.EBUSY : wholeDisk(disk);
  }
  if (inode.isSwapFile) return -Errno.EBUSY;
  if (!(inode.content instanceof DiskFile)) return -Errno.EINVAL;
  const pieces = piecesOf(inode.content);
  if (typeof pieces === 'number') return pieces;
  const { disk: { device }, space: { sizeBytes } } = inode.content;
  return { device, kind: 'file', file: inode, path: pathOf(place), sizePages: Math.floor(sizeBytes / PAGE_SIZE), extents: pagesOf(pieces), header: firstOf(pieces, PAGE_SIZE) };
}

/** Bytes [start, end) of the disk. */
interface Piece { readonly start: number; readonly end: number }

/** Where the file lies, as it goes on. A hole is refused: nothing could be allocated there when memory is short. */
function piecesOf({ space, inode: { mapper } }: DiskFile): Piece[] | number {
  startWriting(space, 0, Infinity);
  waitWritten(null, [{ space, start: 0, end: Infinity }]);
  const pieces: Piece[] = [];
  for (let at = 0; at < space.sizeBytes; ) {
    const found = extentAt(mapper, at, space.sizeBytes - at, IomapPurpose.Report);
    if (typeof found === 'number') return found;
    if (found.type === IomapType.Hole) return -Errno.EINVAL;
    const start = found.addrBytes + at - found.offset;
    at = found.offset + found.lenBytes;
    const end = found.addrBytes + found.lenBytes;
    const last = pieces.at(-1);
    if (last?.end === start) pieces[pieces.length - 1] = { start: last.start, end };
    else pieces.push({ start, end });
  }
  return pieces;
}
/** Whole pages of the disk, one slot after the other. What a piece has before its first and behind its last one is lost. iomap_swapfile_add_extent() */
function pagesOf(pieces: readonly Piece[]): SwapExtent[] {
  const extents: SwapExtent[] = [];
  let slots = 0;
  for (const { start, end } of pieces) {
    const first = Math.ceil(start / PAGE_SIZE);
    const nr = Math.floor(end / PAGE_SIZE) - first;
    if (nr <= 0) continue;
    extents.push({ start: slots, nr, sector: (first * PAGE_SIZE) / SECTOR_BYTES });
    slots += nr;
  }
  return extents;
}
/** Where the first bytes of the file are. */
function firstOf(pieces: readonly Piece[], lenBytes: number): { sector: number; lenBytes: number }[] {
  const found: { sector: number; lenBytes: number }[] = [];
  let left = lenBytes;
  for (const { start, end } of pieces) {
    const here = Math.min(left, end - start);
    if (here > 0) found.push({ sector: start / SECTOR_BYTES, lenBytes: here });
    left -= here;
  }
  return found;
}
