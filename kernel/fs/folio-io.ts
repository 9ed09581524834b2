// What both mapping back ends do with folios and a disk. Here: pieces of folios that follow each other on the disk become bios; getting a folio
// to write to; zeroing. Not here: where anything lies on the disk, and what is up to date or dirty (iomap.ts, buffer-head.ts).
import { PAGE_SIZE } from '#base';
import type { Folio } from '#base';
import { Bio, BioOp, SECTOR_BYTES } from '../block/bio.ts';
import type { BioEnd, BioOptions } from '../block/bio.ts';
import type { BlockDevice } from '../block/device.ts';
import type { AddressSpace } from '../mm/filemap.ts';
import { MemdescType } from '../mm/folio.ts';
import type { DeferredEnd } from '../mm/folio-wait.ts';
import { Gfp, GfpFlag } from '../mm/gfp.ts';
import { folioMkclean } from '../mm/mkclean.ts';
import type { ReasonCode } from '../mm/reasons.ts';
import type { MmSystem } from '../mm/system.ts';

/** Ranges of one bio at most: BIO_MAX_VECS. */
const BIO_MAX_RANGES = 256;

/** [offset, offset + lenBytes) of a folio. */
export interface FolioPart { readonly folio: Folio; readonly offset: number; readonly lenBytes: number }

/** Who is told of the end of each part. */
export interface FolioIoOwner {
  readEnded(part: FolioPart, error: number): void;
  writeEnded(part: FolioPart, error: number): void;
  /** Data of an unwritten extent has reached the disk. @returns 0 or -errno */
  extentWritten?(offset: number, lenBytes: number): number;
}

/** One bio of parts of folios. */
class FolioBio implements BioEnd, DeferredEnd {
  readonly parts: FolioPart[] = [];
  readonly addrBytes: number;
  /** Where in the file it begins, if its extent is unwritten until it ends; -1: it is not. */
  readonly unwrittenAt: number;
  lenBytes = 0;
  private readonly owner: FolioIoOwner;
  private readonly op: BioOp;
  private readonly system: MmSystem;
  private error = 0;

  constructor(system: MmSystem, owner: FolioIoOwner, op: BioOp, addrBytes: number, unwrittenAt: number) {
    this.system = system;
    this.owner = owner;
    this.op = op;
    this.addrBytes = addrBytes;
    this.unwrittenAt = unwrittenAt;
  }
  endBio({ error }: Bio): void {
    this.error = error;
    if (this.unwrittenAt >= 0 && error === 0) this.system.waits.defer(this);
    else this.tell();
  }
  runDeferred(): void {
    this.error = this.owner.extentWritten?.(this.unwrittenAt, this.lenBytes) ?? 0;
    this.tell();
  }
  private tell(): void {
    for (const part of this.parts) {
      if (this.op === BioOp.Read) this.owner.readEnded(part, this.error);
      else this.owner.writeEnded(part, this.error);
    }
  }
}

/** Collects parts of folios: each that goes on, in the file and on the disk, where the last one ended is one bio with it. */
export class FolioBios {
  private readonly system: MmSystem;
  private readonly device: BlockDevice;
  private readonly owner: FolioIoOwner;
  private readonly op: BioOp;
  private readonly options: BioOptions;
  private current: FolioBio | null = null;

  constructor(system: MmSystem, device: BlockDevice, owner: FolioIoOwner, op: typeof BioOp.Read | typeof BioOp.Write, options: BioOptions) {
    this.system = system;
    this.device = device;
    this.owner = owner;
    this.op = op;
    this.options = options;
  }
  /** @param unwrittenAt the place in the file of a part whose extent becomes written by it; -1: it is written */
  add(folio: Folio, offset: number, lenBytes: number, addrBytes: number, unwrittenAt = -1): void {
    let { current } = this;
    const goesOn = current !== null && current.addrBytes + current.lenBytes === addrBytes && current.parts.length < BIO_MAX_RANGES
      && (unwrittenAt < 0 ? current.unwrittenAt < 0 : current.unwrittenAt >= 0 && current.unwrittenAt + current.lenBytes === unwrittenAt);
    if (!goesOn) {
      this.submit();
      current = new FolioBio(this.system, this.owner, this.op, addrBytes, unwrittenAt);
    }
    const last = current!.parts.at(-1);
    if (last !== undefined && last.folio === folio && last.offset + last.lenBytes === offset) current!.parts[current!.parts.length - 1] = { folio, offset: last.offset, lenBytes: last.lenBytes + lenBytes };
    else current!.parts.push({ folio, offset, lenBytes });
    current!.lenBytes += lenBytes;
    this.current = current;
  }
  /** Sends off what was collected. */
  submit(): void {
    const { current } = this;
    if (current === null) return;
    this.current = null;
    const { mapping } = this.system;
    if (this.op === BioOp.Read) {
      mapping.readBios++;
      mapping.readBytes += current.lenBytes;
    } else {
      mapping.writeBios++;
      mapping.writtenBytes += current.lenBytes;
    }
    const ranges = current.parts.map(({ folio, offset, lenBytes }) => ({ pfn: folio, offset, lenBytes }));
    this.device.submit(new Bio(this.op, current.addrBytes / SECTOR_BYTES, ranges, current, this.options));
  }
}

const log2 = (n: number): number => 31 - Math.clz32(n);
/** The largest order to which an index is aligned, up to `most`. */
function alignedOrder(index: number, most: number): number {
  let order = most;
  while (order > 0 && index % 2 ** order !== 0) order--;
  return order;
}

/** The folio of a page that is about to be written to `lenBytes` far: there, or new and not up to date; 0: no memory. A new one is as large as
 *  the write is long, rounded down, as aligned as the page, and as memory allows. Mirrors __filemap_get_folio(FGP_WRITEBEGIN). */
export function folioForWrite(space: AddressSpace, index: number, lenBytes: number, maxOrder: number): Folio | 0 {
  const there = space.folioAt(index);
  if (there !== 0) return there;
  const { cacheLog } = space.system;
  const wanted = Math.min(maxOrder, lenBytes > PAGE_SIZE ? log2(Math.floor(lenBytes / PAGE_SIZE)) : 0);
  let reason: ReasonCode | null = null;
  for (let order = alignedOrder(index, wanted); order >= 0; order--) {
    if (order > 0 && space.nextFolio(index, index + 2 ** order) !== 0) {
      reason = 'neighbour-cached';
      continue;
    }
    const folio = space.system.allocFolio(order, MemdescType.FileFolio, order > 0 ? Gfp.User | GfpFlag.Noretry | GfpFlag.Nowarn : Gfp.User);
    if (folio === 0) {
      reason = 'fragmented';
      continue;
    }
    space.addFolio(folio, index, true);
    if (cacheLog.isOn) cacheLog.made(folio, order, wanted, reason ?? writeReason(order, wanted, lenBytes, maxOrder));
    return folio;
  }
  return 0;
}

/** Why a folio that nothing stood in the way of has its order. */
function writeReason(order: number, wanted: number, lenBytes: number, maxOrder: number): ReasonCode {
  if (maxOrder === 0) return 'no-large-folios';
  if (order < wanted) return 'index-alignment';
  return lenBytes >= PAGE_SIZE * 2 ** (order + 1) ? 'order-largest' : 'write-length';
}

/** Zeros in a folio. */
export function zeroBytes({ machine, params }: MmSystem, folio: Folio, offset: number, lenBytes: number): void {
  if (lenBytes <= 0) return;
  machine.writeFrame(folio, offset, lenBytes === PAGE_SIZE ? zeroPage : new Uint8Array(lenBytes));
  machine.charge(Math.ceil((params.cost.page_zero * lenBytes) / PAGE_SIZE));
}
const zeroPage = new Uint8Array(PAGE_SIZE);

/** The file is about to grow beyond its last page: what lies in memory of that page behind the end, which a mapping may have written, is
 *  nobody's, and becomes zeros. Where a page has several blocks, a mapping must ask anew before it writes to those that come to the file.
 *  Mirrors pagecache_isize_extended(). */
export function extendTail(space: AddressSpace, blockSize: number): void {
  const inPage = space.sizeBytes % PAGE_SIZE;
  if (inPage === 0) return;
  const { system } = space;
  const index = Math.floor(space.sizeBytes / PAGE_SIZE);
  const folio = space.folioAt(index);
  if (folio === 0) return;
  zeroBytes(system, folio, (index - system.folios.index(folio)) * PAGE_SIZE + inPage, PAGE_SIZE - inPage);
  haveAskAnew(space, folio, blockSize);
}
/** [start, end) is about to lose its blocks. The pages at its edges stay mapped, with those of their blocks that stay: a mapping must ask anew before it writes to
 *  the others. Mirrors ext4_truncate_page_cache_block_range() (fs/ext4/inode.c, 6.14). */
export function guardEdges(space: AddressSpace, start: number, end: number, blockSize: number): void {
  for (const edge of [start, end]) {
    const folio = edge % PAGE_SIZE === 0 ? 0 : space.folioAt(Math.floor(edge / PAGE_SIZE));
    if (folio !== 0) haveAskAnew(space, folio, blockSize);
  }
}
/** The next store through a mapping faults, where a page has several blocks; what was stored so far is known of. */
function haveAskAnew(space: AddressSpace, folio: Folio, blockSize: number): void {
  if (blockSize === PAGE_SIZE || folioMkclean(space.system, folio) === 0) return;
  space.ops?.folioWritten(folio);
  space.dirtyFolio(folio);
}
