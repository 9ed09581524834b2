// The page cache of a file whose format answers one block at a time: a ring of buffer heads hangs on each page that is written, a head a block,
// with its place on the disk and its state. Here: heads; reading, writing, writing back. Not here: where blocks are (a format), the metadata of a
// file system (meta-blocks.ts, which uses this over the device itself).
// Mirrors fs/buffer.c and fs/mpage.c, 6.12. Folios are single pages: a large one would have hundreds of heads.
import { PAGE_SIZE, bug, hex } from '#base';
import type { Folio, StateHash } from '#base';
import { BioOp } from '../block/bio.ts';
import type { BioOptions } from '../block/bio.ts';
import type { BlockDevice } from '../block/device.ts';
import type { AddressSpace, AddressSpaceOps, IoProgress, WritebackControl } from '../mm/filemap.ts';
import { FolioFlag, MemdescType } from '../mm/folio.ts';
import { countState } from '../mm/mapping-counts.ts';
import { noteUse } from '../mm/reclaim/uses.ts';
import type { MmSystem } from '../mm/system.ts';
import { writebackIter } from '../mm/writeback-iter.ts';
import { Errno } from '../syscall/errno.ts';
import { extendTail, FolioBios, type FolioIoOwner, type FolioPart, folioForWrite, zeroBytes } from './folio-io.ts';
import type { IoBuffer } from './io-buffer.ts';
import type { BlockMapper } from './mapping.ts';

/** sizeof(struct buffer_head) on 64 bits. */
const BUFFER_HEAD_BYTES = 104;

/** One block of a page. Mirrors struct buffer_head. */
export interface BufferHead {
  /** The device's block; -1: not mapped (or a hole). */
  block: number;
  isUptodate: boolean;
  isDirty: boolean;
}
/** The heads of a page, with what is under way. */
export interface BufferRing {
  readonly heads: readonly BufferHead[];
  /** Bytes under way, and one more while requests are still being made. */
  readPending: number;
  writePending: number;
}

const scratch = new Uint8Array(PAGE_SIZE);

export class BufferHeadOps implements AddressSpaceOps, FolioIoOwner {
  readonly name = 'buffer_head';
  readonly maxOrder = 0;
  readonly blockSize: number;
  /** The file, or the device itself; set once, right after both are made. */
  declare space: AddressSpace;
  private readonly system: MmSystem;
  private readonly device: BlockDevice;
  private readonly mapper: BlockMapper;
  private readonly isMeta: boolean;
  private readonly rings = new Map<Folio, BufferRing>();
  /** Folios of which a writer had blocks read: whether that failed. */
  private readonly writerReads = new Map<Folio, boolean>();

  constructor(system: MmSystem, device: BlockDevice, mapper: BlockMapper, isMeta = false) {
    this.system = system;
    this.device = device;
    this.mapper = mapper;
    this.blockSize = mapper.blockSize;
    this.isMeta = isMeta;
  }
  private bios(op: typeof BioOp.Read | typeof BioOp.Write, options: BioOptions): FolioBios {
    return new FolioBios(this.system, this.device, this, op, this.isMeta ? { ...options, isMeta: true } : options);
  }
  private get blocksPerPage(): number {
    return PAGE_SIZE / this.blockSize;
  }
  /** The file's first block in a page. */
  private firstBlock(folio: Folio): number {
    return this.system.folios.index(folio) * this.blocksPerPage;
  }
  private getBlock(index: number, create: boolean): { readonly block: number; readonly isNew: boolean } | number {
    const { machine, params, mapping } = this.system;
    if (!this.isMeta) {
      mapping.getBlock++;
      machine.charge(params.cost.block_map);
    }
    return this.mapper.getBlock(index, create);
  }

  // Heads.

  ringAt(folio: Folio): BufferRing | null {
    return this.rings.get(folio) ?? null;
  }
  /** The heads of a page, made at first need. Mirrors folio_create_buffers(): heads sit on folios of a file, never on other memory. */
  ringOf(folio: Folio): BufferRing {
    const there = this.rings.get(folio);
    if (there !== undefined) return there;
    const { folios, machine, params, mapping } = this.system;
    if (folios.order(folio) !== 0 || folios.typeOf(folio) !== MemdescType.FileFolio) bug(`buffer heads on ${hex(folio)}, which is no page of a file`);
    const isUptodate = folios.test(folio, FolioFlag.Uptodate);
    const isDirty = folios.test(folio, FolioFlag.Dirty);
    const heads = Array.from({ length: this.blocksPerPage }, () => ({ block: -1, isUptodate, isDirty }));
    const ring = { heads, readPending: 0, writePending: 0 };
    this.rings.set(folio, ring);
    folios.set(folio, FolioFlag.Private);
    folios.get(folio);
    machine.charge(params.cost.buffer_head * heads.length);
    countState(mapping, heads.length * BUFFER_HEAD_BYTES);
    return ring;
  }
  private dropRing(folio: Folio): void {
    this.writerReads.delete(folio);
    const ring = this.rings.get(folio);
    if (ring === undefined) return;
    if (ring.readPending > 0 || ring.writePending > 0) bug('buffer heads go while I/O is under way');
    this.rings.delete(folio);
    countState(this.system.mapping, -ring.heads.length * BUFFER_HEAD_BYTES);
    this.system.folios.clear(folio, FolioFlag.Private);
    this.system.putFolio(folio);
  }

  // Reading. A page whose blocks follow each other on the disk needs no heads, and shares its bio with its neighbours.

  readFolios(folios: readonly Folio[], isReadahead: boolean): void {
    const { device } = this;
    const bios = this.bios(BioOp.Read, { isReadahead });
    device.plug();
    for (const folio of folios) if (this.rings.has(folio) || !this.readPage(folio, bios)) this.readHeads(folio, bios, isReadahead);
    bios.submit();
    device.unplug();
  }
  /** Mirrors do_mpage_readpage(). @returns false: not in one piece, or something failed */
  private readPage(folio: Folio, bios: FolioBios): boolean {
    const { blockSize, blocksPerPage, space } = this;
    const first = this.firstBlock(folio);
    const fileBlocks = Math.ceil(space.sizeBytes / blockSize);
    let start = 0;
    let mapped = 0;
    for (let i = 0; i < blocksPerPage && first + i < fileBlocks; i++) {
      const found = this.getBlock(first + i, false);
      if (typeof found === 'number') {
        if (found < 0) return false;
        continue;
      }
      // Blocks behind a hole, or elsewhere, make it several pieces.
      if (mapped !== i || (mapped > 0 && found.block !== start + mapped)) return false;
      if (mapped === 0) start = found.block;
      mapped++;
    }
    zeroBytes(this.system, folio, mapped * blockSize, PAGE_SIZE - mapped * blockSize);
    if (mapped > 0) bios.add(folio, 0, mapped * blockSize, start * blockSize);
    else this.system.waits.endRead(folio, true);
    return true;
  }
  /** Each block of a page by itself. Mirrors block_read_full_folio(). */
  private readHeads(folio: Folio, bios: FolioBios, isReadahead: boolean): void {
    const { blockSize, space, system } = this;
    const ring = this.ringOf(folio);
    const first = this.firstBlock(folio);
    const fileBlocks = Math.ceil(space.sizeBytes / blockSize);
    bios.submit();
    ring.readPending++;
    for (const [i, head] of ring.heads.entries()) {
      if (head.isUptodate) continue;
      if (head.block < 0 && first + i < fileBlocks) {
        const found = this.getBlock(first + i, false);
        if (typeof found !== 'number') head.block = found.block;
        else if (found < 0) {
          this.readFailed(folio);
          continue;
        }
      }
      if (head.block < 0) {
        zeroBytes(system, folio, i * blockSize, blockSize);
        head.isUptodate = true;
        continue;
      }
      this.readHead(folio, ring, i, isReadahead);
    }
    this.finishRead(folio, ring, 1);
  }
  private readHead(folio: Folio, ring: BufferRing, i: number, isReadahead: boolean): void {
    const { blockSize, system } = this;
    system.machine.charge(system.params.cost.buffer_head);
    ring.readPending += blockSize;
    const bio = this.bios(BioOp.Read, { isReadahead });
    bio.add(folio, i * blockSize, blockSize, ring.heads[i]!.block * blockSize);
    bio.submit();
  }
  readEnded({ folio, offset, lenBytes }: FolioPart, error: number): void {
    const ring = this.rings.get(folio);
    if (error !== 0) this.readFailed(folio);
    if (ring === undefined) {
      this.system.waits.endRead(folio, error === 0);
      return;
    }
    if (error === 0) for (let at = offset; at < offset + lenBytes; at += this.blockSize) ring.heads[at / this.blockSize]!.isUptodate = true;
    this.finishRead(folio, ring, lenBytes);
  }
  private readFailed(folio: Folio): void {
    if (this.writerReads.has(folio)) this.writerReads.set(folio, true);
  }
  private finishRead(folio: Folio, ring: BufferRing, lenBytes: number): void {
    ring.readPending -= lenBytes;
    // The last buffer to end looks at all the others: end_buffer_async_read().
    if (ring.readPending === 0) this.system.waits.endRead(folio, ring.heads.every((head) => head.isUptodate));
  }

  // Writing.

  write(io: IoBuffer, pos: number): IoProgress {
    this.extending(pos + io.left);
    let at = pos;
    while (io.left > 0 && !io.faulted) {
      const chunk = scratch.subarray(0, Math.min(io.left, PAGE_SIZE - (at % PAGE_SIZE)));
      const got = io.takeInto(chunk);
      if (got === 0) break;
      const stop = this.writePage(at, chunk.subarray(0, got));
      if (stop !== null) {
        io.back(got);
        return { moved: at - pos, ...stop };
      }
      at += got;
      const until = this.system.writeback.balanceRatelimited();
      if (until !== null) return { moved: at - pos, error: 0, wait: 0, until };
    }
    return { moved: at - pos, error: at === pos && io.faulted ? -Errno.EFAULT : 0, wait: 0 };
  }
  /** Writes bytes of one page. @returns null, or why not */
  private writePage(at: number, bytes: Uint8Array): { error: number; wait: Folio | 0 } | null {
    const { space, system } = this;
    const { waits, machine } = system;
    const folio = folioForWrite(space, Math.floor(at / PAGE_SIZE), 0, 0);
    if (folio === 0) return { error: -Errno.ENOMEM, wait: 0 };
    if (!waits.tryLock(folio)) return { error: 0, wait: folio };
    const offset = at % PAGE_SIZE;
    const ready = this.writerReads.get(folio) === true ? -Errno.EIO : this.prepare(folio, offset, bytes.length);
    if (ready === 'reading') return { error: 0, wait: folio };
    this.writerReads.delete(folio);
    if (ready !== 0) {
      waits.unlock(folio);
      return { error: ready, wait: 0 };
    }
    machine.writeFrame(folio, offset, bytes);
    noteUse(system, folio, offset, bytes.length);
    this.commit(folio, offset, bytes.length);
    if (at + bytes.length > space.sizeBytes) space.sizeBytes = at + bytes.length;
    waits.unlock(folio);
    return null;
  }
  /** The blocks of a write are on the disk, and what it leaves of them as it was is up to date. Mirrors __block_write_begin_int().
   *  @returns 0, -errno, or that blocks are being read: then the folio is unlocked when they are there */
  private prepare(folio: Folio, offset: number, lenBytes: number): number | 'reading' {
    const { blockSize, system } = this;
    const ring = this.ringOf(folio);
    const toRead: number[] = [];
    for (let i = Math.floor(offset / blockSize); i * blockSize < offset + lenBytes; i++) {
      const head = ring.heads[i]!;
      const error = head.block >= 0 ? 0 : this.mapForWrite(folio, ring, i);
      if (error < 0) return error;
      const isWhole = i * blockSize >= offset && (i + 1) * blockSize <= offset + lenBytes;
      if (!head.isUptodate && !isWhole) toRead.push(i);
    }
    if (toRead.length === 0) return 0;
    system.machine.charge(system.params.cost.buffer_head * toRead.length);
    this.writerReads.set(folio, false);
    ring.readPending++;
    for (const i of toRead) this.readHead(folio, ring, i, false);
    this.finishRead(folio, ring, 1);
    return 'reading';
  }
  /** Finds or allocates the block of a head. A new one is zeros from here on, in memory, and will be on the disk. */
  private mapForWrite(folio: Folio, ring: BufferRing, i: number): number {
    const { blockSize, system } = this;
    const head = ring.heads[i]!;
    const found = this.getBlock(this.firstBlock(folio) + i, true);
    if (typeof found === 'number') return found === 0 ? -Errno.EIO : found;
    head.block = found.block;
    if (!found.isNew) return 0;
    if (!head.isUptodate) zeroBytes(system, folio, i * blockSize, blockSize);
    head.isUptodate = head.isDirty = true;
    this.space.dirtyFolio(folio);
    return 0;
  }
  /** Mirrors block_commit_write(). */
  private commit(folio: Folio, offset: number, lenBytes: number): void {
    const { blockSize, system } = this;
    const { heads } = this.ringOf(folio);
    system.machine.charge(system.params.cost.buffer_head * Math.ceil(lenBytes / blockSize));
    for (let i = Math.floor(offset / blockSize); i * blockSize < offset + lenBytes; i++) heads[i]!.isUptodate = heads[i]!.isDirty = true;
    if (heads.every((head) => head.isUptodate)) system.folios.set(folio, FolioFlag.Uptodate);
    this.space.dirtyFolio(folio);
  }

  pageMkwrite(folio: Folio): number {
    const { space, blockSize } = this;
    const inFile = Math.min(PAGE_SIZE, space.sizeBytes - this.system.folios.index(folio) * PAGE_SIZE);
    if (inFile <= 0) return -Errno.EFAULT;
    const ring = this.ringOf(folio);
    for (let i = 0; i * blockSize < inFile; i++) {
      const error = ring.heads[i]!.block >= 0 ? 0 : this.mapForWrite(folio, ring, i);
      if (error < 0) return error;
      ring.heads[i]!.isDirty = true;
    }
    return 0;
  }
  folioWritten(folio: Folio): void {
    for (const head of this.rings.get(folio)?.heads ?? []) head.isDirty = true;
  }

  // Writing back.

  writepages(wbc: WritebackControl): number {
    const { device } = this;
    const bios = this.bios(BioOp.Write, { isSync: wbc.isIntegrity });
    device.plug();
    let error = 0;
    for (const folio of writebackIter(this.space, wbc)) error = this.writeFolio(folio, bios) || error;
    bios.submit();
    device.unplug();
    return error;
  }
  /** Sends off the dirty blocks of a locked page, and unlocks it. Mirrors __block_write_full_folio(). */
  private writeFolio(folio: Folio, bios: FolioBios): number {
    const { blockSize, space, system } = this;
    const hadHeads = this.rings.has(folio);
    const ring = this.ringOf(folio);
    const first = this.firstBlock(folio);
    const inFile = Math.min(PAGE_SIZE, space.sizeBytes - first * blockSize);
    if (inFile > 0 && inFile < PAGE_SIZE) zeroBytes(system, folio, inFile, PAGE_SIZE - inFile);
    space.startWriteback(folio);
    ring.writePending++;
    let error = 0;
    for (const [i, head] of ring.heads.entries()) {
      const isDirty = head.isDirty || !hadHeads;
      head.isDirty = false;
      if (!isDirty || i * blockSize >= inFile) continue;
      if (head.block < 0) {
        const found = this.getBlock(first + i, true);
        if (typeof found === 'number') {
          error = found === 0 ? -Errno.EIO : found;
          continue;
        }
        head.block = found.block;
      }
      system.machine.charge(system.params.cost.buffer_head);
      ring.writePending += blockSize;
      bios.add(folio, i * blockSize, blockSize, head.block * blockSize);
    }
    system.waits.unlock(folio);
    if (error !== 0) space.writebackErrors.set(error);
    this.finishWrite(folio, ring, 1);
    return error;
  }
  writeEnded({ folio, lenBytes }: FolioPart, error: number): void {
    if (error !== 0) this.space.writebackErrors.set(error);
    this.finishWrite(folio, this.rings.get(folio) ?? bug(`a write of folio ${hex(folio)} ends, which has no heads`), lenBytes);
  }
  private finishWrite(folio: Folio, ring: BufferRing, lenBytes: number): void {
    ring.writePending -= lenBytes;
    if (ring.writePending === 0) this.space.endWriteback(folio);
  }

  // Cutting and moving.

  extending(sizeBytes: number): void {
    if (sizeBytes > this.space.sizeBytes) extendTail(this.space, this.blockSize);
  }
  zeroRange(start: number, lenBytes: number): number {
    const { space, system, blockSize } = this;
    const { waits, folios } = system;
    const end = Math.min(start + lenBytes, space.sizeBytes);
    for (let at = start; at < end; ) {
      const stop = Math.min(end, (Math.floor(at / blockSize) + 1) * blockSize);
      const found = this.getBlock(Math.floor(at / blockSize), false);
      if (typeof found === 'number' && found < 0) return found;
      const index = Math.floor(at / PAGE_SIZE);
      let folio = space.folioAt(index);
      if (folio === 0 && typeof found === 'number') {
        at = stop;
        continue;
      }
      if (folio === 0) folio = folioForWrite(space, index, 0, 0);
      if (folio === 0) return -Errno.ENOMEM;
      waits.lockNow(folio);
      if (!folios.test(folio, FolioFlag.Uptodate)) {
        this.readFolios([folio], false);
        waits.lockNow(folio);
      }
      const isRead = folios.test(folio, FolioFlag.Uptodate);
      if (isRead) {
        zeroBytes(system, folio, at % PAGE_SIZE, stop - at);
        const head = this.ringOf(folio).heads[Math.floor((at % PAGE_SIZE) / blockSize)]!;
        if (typeof found !== 'number') {
          head.block = found.block;
          head.isDirty = true;
          space.dirtyFolio(folio);
        }
      }
      waits.unlock(folio);
      if (!isRead) return -Errno.EIO;
      at = stop;
    }
    return 0;
  }
  /** Mirrors block_invalidate_folio(): blocks that are cut whole are no longer where they were. */
  invalidateFolio(folio: Folio, offset: number, lenBytes: number): void {
    if (offset === 0 && lenBytes === PAGE_SIZE) {
      this.dropRing(folio);
      return;
    }
    const { blockSize } = this;
    for (const [i, head] of (this.rings.get(folio)?.heads ?? []).entries()) {
      if (i * blockSize < offset || (i + 1) * blockSize > offset + lenBytes) continue;
      head.block = -1;
      head.isDirty = false;
    }
  }
  releaseFolio(folio: Folio): boolean {
    if (this.system.folios.test(folio, FolioFlag.Dirty | FolioFlag.Writeback)) return false;
    this.dropRing(folio);
    return true;
  }
  folioMoved(from: Folio, to: Folio): void {
    const ring = this.rings.get(from) ?? bug('a page without heads was moved with them');
    this.rings.delete(from);
    this.rings.set(to, ring);
    this.system.folios.get(to);
    this.system.putFolio(from);
  }
  hash(into: StateHash): void {
    for (const [folio, { heads, readPending, writePending }] of this.rings) {
      into.numbers([folio, readPending, writePending]);
      for (const { block, isUptodate, isDirty } of heads) into.numbers([block, isUptodate ? 1 : 0, isDirty ? 1 : 0]);
    }
  }
}
