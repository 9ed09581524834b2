// The page cache of a file whose format answers in extents: one question for many pages, folios of any order, and a bit for each block of a
// folio that says whether it is up to date, and one whether it is dirty. Here: reading, writing, writing back. Not here: where extents are (a
// format), the disk (kernel/block/), which folios are read ahead (mm/readahead.ts).
// Mirrors fs/iomap/buffered-io.c, 6.18. Blocks are allocated when they are written to, not when they are written back.
//
//   folio of order 2, blocks of 1K   [u u u u|u u u u|. . . .|. . . .]   up to date: the first two pages
//                                    [. . d d|d . . .|. . . .|. . . .]   dirty: one run of three blocks, which one bio writes
import { PAGE_SIZE, bug } from '#base';
import type { Folio, StateHash } from '#base';
import { BioOp } from '../block/bio.ts';
import type { BlockDevice } from '../block/device.ts';
import type { AddressSpace, AddressSpaceOps, IoProgress, WritebackControl } from '../mm/filemap.ts';
import { FolioFlag } from '../mm/folio.ts';
import { countState } from '../mm/mapping-counts.ts';
import { noteUse } from '../mm/reclaim/uses.ts';
import type { MmSystem } from '../mm/system.ts';
import { writebackIter } from '../mm/writeback-iter.ts';
import { Errno } from '../syscall/errno.ts';
import { extendTail, FolioBios, type FolioIoOwner, type FolioPart, folioForWrite, zeroBytes } from './folio-io.ts';
import type { IoBuffer } from './io-buffer.ts';
import { type Iomap, IomapPurpose, type IomapSource, IomapType } from './mapping.ts';

/** What is known of the blocks of one folio that has more than one. Mirrors struct iomap_folio_state; a byte here is a bit there. */
class FolioState {
  readonly uptodate: Uint8Array;
  readonly dirty: Uint8Array;
  /** Bytes under way, and one more while requests are still being made. */
  readPending = 0;
  writePending = 0;
  constructor(nrBlocks: number, isUptodate: boolean, isDirty: boolean) {
    this.uptodate = new Uint8Array(nrBlocks).fill(isUptodate ? 1 : 0);
    this.dirty = new Uint8Array(nrBlocks).fill(isDirty ? 1 : 0);
  }
  get isUptodate(): boolean {
    return this.uptodate.indexOf(0) < 0;
  }
  /** What Linux allocates: a lock, two counters, two bits a block in whole words. */
  get linuxBytes(): number {
    return 16 + 8 * Math.ceil((2 * this.uptodate.length) / 64);
  }
}

/** Bytes of one write that are in hand at a time: the largest folio. */
const MAX_CHUNK = PAGE_SIZE << 9;
const scratch = new Uint8Array(MAX_CHUNK);

export class IomapOps implements AddressSpaceOps, FolioIoOwner {
  readonly name = 'iomap';
  readonly maxOrder: number;
  private readonly system: MmSystem;
  private readonly device: BlockDevice;
  private readonly source: IomapSource;
  private readonly blockSize: number;
  private readonly states = new Map<Folio, FolioState>();
  /** Folios of which a writer had blocks read: whether that failed. */
  private readonly writerReads = new Map<Folio, boolean>();
  /** The file; set once, right after both are made. */
  declare space: AddressSpace;

  constructor(system: MmSystem, device: BlockDevice, source: IomapSource, blockSize: number, maxOrder = 9) {
    this.system = system;
    this.device = device;
    this.source = source;
    this.blockSize = blockSize;
    this.maxOrder = maxOrder;
  }

  private begin(offset: number, lenBytes: number, purpose: IomapPurpose): Iomap | number {
    const { machine, params, mapping } = this.system;
    mapping.iomapBegin++;
    machine.charge(params.cost.block_map);
    return this.source.begin(offset, lenBytes, purpose);
  }
  /** The extent in hand if it holds `pos`, else the one that does. */
  private extentAt(extent: Iomap | null, pos: number, lenBytes: number, purpose: IomapPurpose): Iomap | number {
    return extent !== null && pos >= extent.offset && pos < endOf(extent) ? extent : this.begin(pos, lenBytes, purpose);
  }
  private posOf(folio: Folio): number {
    return this.system.folios.index(folio) * PAGE_SIZE;
  }
  private sizeOf(folio: Folio): number {
    return this.system.folios.nrPages(folio) * PAGE_SIZE;
  }

  // State of blocks.

  /** A folio's state, made at first need; null: it has one block, whose state is the folio's own. */
  private stateOf(folio: Folio): FolioState | null {
    const there = this.states.get(folio);
    if (there !== undefined) return there;
    const { folios, mapping } = this.system;
    const nrBlocks = this.sizeOf(folio) / this.blockSize;
    if (nrBlocks <= 1) return null;
    const state = new FolioState(nrBlocks, folios.test(folio, FolioFlag.Uptodate), folios.test(folio, FolioFlag.Dirty));
    this.states.set(folio, state);
    folios.set(folio, FolioFlag.Private);
    folios.get(folio);
    countState(mapping, state.linuxBytes);
    return state;
  }
  private dropState(folio: Folio): void {
    this.writerReads.delete(folio);
    const state = this.states.get(folio);
    if (state === undefined) return;
    if (state.readPending > 0 || state.writePending > 0) bug('the state of a folio goes while I/O is under way');
    this.states.delete(folio);
    countState(this.system.mapping, -state.linuxBytes);
    this.system.folios.clear(folio, FolioFlag.Private);
    this.system.putFolio(folio);
  }
  /** Blocks that [offset, offset + len) touches are up to date; the folio, when all are. */
  private setUptodate(folio: Folio, offset: number, lenBytes: number): void {
    const { folios } = this.system;
    const state = this.states.get(folio);
    state?.uptodate.fill(1, Math.floor(offset / this.blockSize), Math.ceil((offset + lenBytes) / this.blockSize));
    if (state === undefined || state.isUptodate) folios.set(folio, FolioFlag.Uptodate);
  }

  // Reading.

  readFolios(folios: readonly Folio[], isReadahead: boolean): void {
    const { device } = this;
    const last = folios.at(-1) ?? bug('a read of no folio');
    const end = this.posOf(last) + this.sizeOf(last);
    const bios = new FolioBios(this.system, device, this, BioOp.Read, { isReadahead });
    device.plug();
    let extent: Iomap | null = null;
    for (const folio of folios) extent = this.readBlocks(folio, 0, this.sizeOf(folio), end, extent, bios);
    bios.submit();
    device.unplug();
  }
  /** Fills what is not up to date of [from, to) of a locked folio, whole blocks, and unlocks it when that is done.
   *  @param end how far whoever asks will go on reading @returns the extent in hand */
  private readBlocks(folio: Folio, from: number, to: number, end: number, extentInHand: Iomap | null, bios: FolioBios): Iomap | null {
    const { blockSize } = this;
    const pos = this.posOf(folio);
    const state = this.stateOf(folio);
    // Blocks that begin behind the end of the file are zeros, whatever the disk says.
    const fileEnd = Math.ceil(this.space.sizeBytes / blockSize) * blockSize - pos;
    let extent = extentInHand;
    let sent = 0;
    if (state !== null) state.readPending++;
    for (let at = from; at < to; ) {
      if (state !== null && state.uptodate[at / blockSize] === 1) {
        at += blockSize;
        continue;
      }
      let stop = at + blockSize;
      while (state !== null && stop < to && state.uptodate[stop / blockSize] === 0) stop += blockSize;
      const found = this.extentAt(extent, pos + at, end - pos - at, IomapPurpose.Read);
      if (typeof found === 'number') {
        this.readFailed(folio);
        break;
      }
      extent = found;
      stop = Math.min(stop, endOf(found) - pos);
      if (found.type === IomapType.Mapped && at < fileEnd) {
        stop = Math.min(stop, fileEnd);
        if (state !== null) state.readPending += stop - at;
        sent += stop - at;
        bios.add(folio, at, stop - at, found.addrBytes + pos + at - found.offset);
      } else {
        zeroBytes(this.system, folio, at, stop - at);
        this.setUptodate(folio, at, stop - at);
      }
      at = stop;
    }
    if (state !== null) this.finishRead(folio, state, 1);
    else if (sent === 0) this.unlockRead(folio);
    return extent;
  }
  readEnded({ folio, offset, lenBytes }: FolioPart, error: number): void {
    const state = this.states.get(folio);
    if (error !== 0) this.readFailed(folio);
    else this.setUptodate(folio, offset, lenBytes);
    if (state === undefined) this.unlockRead(folio);
    else this.finishRead(folio, state, lenBytes);
  }
  private readFailed(folio: Folio): void {
    if (this.writerReads.has(folio)) this.writerReads.set(folio, true);
  }
  private finishRead(folio: Folio, state: FolioState, lenBytes: number): void {
    state.readPending -= lenBytes;
    if (state.readPending === 0) this.unlockRead(folio);
  }
  private unlockRead(folio: Folio): void {
    const { waits, folios } = this.system;
    waits.endRead(folio, folios.test(folio, FolioFlag.Uptodate));
  }

  // Writing.

  write(io: IoBuffer, pos: number): IoProgress {
    const folioBytes = PAGE_SIZE << this.maxOrder;
    this.extending(pos + io.left);
    let extent: Iomap | null = null;
    let at = pos;
    while (io.left > 0 && !io.faulted) {
      const found = this.extentAt(extent, at, io.left, IomapPurpose.Write);
      if (typeof found === 'number') return { moved: at - pos, error: found, wait: 0 };
      extent = found;
      const chunk = scratch.subarray(0, Math.min(io.left, endOf(found) - at, folioBytes - (at % folioBytes)));
      const got = io.takeInto(chunk);
      for (let done = 0; done < got; ) {
        const step = this.writePiece(found, at, chunk.subarray(done, got));
        if (typeof step === 'number') {
          done += step;
          at += step;
          continue;
        }
        io.back(got - done);
        return { moved: at - pos, ...step };
      }
      const until = this.system.writeback.balanceRatelimited();
      if (until !== null) return { moved: at - pos, error: 0, wait: 0, until };
    }
    return { moved: at - pos, error: at === pos && io.faulted ? -Errno.EFAULT : 0, wait: 0 };
  }
  /** Writes as much of `bytes` as fits into one folio. @returns bytes, or why not */
  private writePiece(extent: Iomap, at: number, bytes: Uint8Array): number | { error: number; wait: Folio | 0 } {
    const { space, system } = this;
    const { folios, waits, machine } = system;
    const folio = folioForWrite(space, Math.floor(at / PAGE_SIZE), bytes.length, this.maxOrder);
    if (folio === 0) return { error: -Errno.ENOMEM, wait: 0 };
    if (!waits.tryLock(folio)) return { error: 0, wait: folio };
    const offset = at - this.posOf(folio);
    const nr = Math.min(bytes.length, this.sizeOf(folio) - offset);
    if (this.writerReads.get(folio) === true) {
      this.writerReads.delete(folio);
      waits.unlock(folio);
      return { error: -Errno.EIO, wait: 0 };
    }
    if (nr < this.sizeOf(folio) && !this.prepareEdges(folio, extent, offset, nr)) return { error: 0, wait: folio };
    this.writerReads.delete(folio);
    machine.writeFrame(folio, offset, nr === bytes.length ? bytes : bytes.subarray(0, nr));
    noteUse(system, folio, offset, nr);
    this.setUptodate(folio, offset, nr);
    if (nr === this.sizeOf(folio)) folios.set(folio, FolioFlag.Uptodate);
    this.markDirty(folio, offset, nr);
    if (at + nr > space.sizeBytes) space.sizeBytes = at + nr;
    waits.unlock(folio);
    return nr;
  }
  /** The blocks in which a write begins and ends, as far as it leaves something of them as it was: read, or zeroed where nothing was.
   *  @returns false: they are being read, and the folio is unlocked when they are there */
  private prepareEdges(folio: Folio, extent: Iomap, offset: number, nr: number): boolean {
    const { blockSize, system } = this;
    const state = this.stateOf(folio);
    if (system.folios.test(folio, FolioFlag.Uptodate)) return true;
    const first = Math.floor(offset / blockSize) * blockSize;
    const last = Math.floor((offset + nr - 1) / blockSize) * blockSize;
    const toRead: number[] = [];
    for (const block of first === last ? [first] : [first, last]) {
      const before = Math.max(0, offset - block);
      const after = Math.max(0, block + blockSize - offset - nr);
      if (before + after === 0 || (state !== null && state.uptodate[block / blockSize] === 1)) continue;
      const isThere = extent.type === IomapType.Mapped && !extent.isNew && this.posOf(folio) + block < this.space.sizeBytes;
      if (isThere) toRead.push(block);
      else {
        zeroBytes(system, folio, block, before);
        zeroBytes(system, folio, block + blockSize - after, after);
      }
    }
    if (toRead.length === 0) return true;
    this.writerReads.set(folio, false);
    const bios = new FolioBios(system, this.device, this, BioOp.Read, {});
    if (state !== null) state.readPending++;
    for (const block of toRead) {
      if (state !== null) state.readPending += blockSize;
      bios.add(folio, block, blockSize, extent.addrBytes + this.posOf(folio) + block - extent.offset);
    }
    bios.submit();
    if (state !== null) this.finishRead(folio, state, 1);
    return false;
  }
  private markDirty(folio: Folio, offset: number, lenBytes: number): void {
    const { blockSize } = this;
    // Without state, a dirty folio is dirty as a whole.
    const isWhole = lenBytes === this.sizeOf(folio);
    const state = isWhole ? this.states.get(folio) : this.stateOf(folio);
    state?.dirty.fill(1, Math.floor(offset / blockSize), Math.ceil((offset + lenBytes) / blockSize));
    this.space.dirtyFolio(folio);
  }

  pageMkwrite(folio: Folio): number {
    const pos = this.posOf(folio);
    const end = Math.min(pos + this.sizeOf(folio), this.space.sizeBytes);
    if (pos >= end) return -Errno.EFAULT;
    let extent: Iomap | null = null;
    for (let at = pos; at < end; at = endOf(extent)) {
      const found = this.extentAt(extent, at, end - at, IomapPurpose.Write);
      if (typeof found === 'number') return found;
      extent = found;
    }
    this.folioWritten(folio);
    return 0;
  }
  folioWritten(folio: Folio): void {
    this.states.get(folio)?.dirty.fill(1);
  }

  // Writing back.

  writepages(wbc: WritebackControl): number {
    const { device } = this;
    const bios = new FolioBios(this.system, device, this, BioOp.Write, { isSync: wbc.isIntegrity });
    device.plug();
    let error = 0;
    let extent: Iomap | null = null;
    for (const folio of writebackIter(this.space, wbc)) {
      const result = this.writeFolio(folio, extent, bios);
      if (typeof result !== 'number') extent = result;
      else error ||= result;
    }
    bios.submit();
    device.unplug();
    return error;
  }
  /** Sends off the dirty runs of a locked folio, and unlocks it. @returns the extent in hand, or -errno */
  private writeFolio(folio: Folio, extentInHand: Iomap | null, bios: FolioBios): Iomap | null | number {
    const { blockSize, space, system } = this;
    const pos = this.posOf(folio);
    const size = this.sizeOf(folio);
    const hadState = this.states.has(folio);
    const state = this.stateOf(folio);
    const inFile = Math.min(size, space.sizeBytes - pos);
    if (inFile <= 0) {
      state?.dirty.fill(0);
      system.waits.unlock(folio);
      return extentInHand;
    }
    // What a mapping wrote behind the end of the file stays out of it.
    if (inFile < size) zeroBytes(system, folio, inFile, size - inFile);
    const end = Math.ceil(inFile / blockSize) * blockSize;
    if (state !== null && !hadState) state.dirty.fill(1, 0, end / blockSize);
    space.startWriteback(folio);
    if (state !== null) state.writePending++;
    let extent = extentInHand;
    let error = 0;
    let sent = 0;
    for (let at = 0; at < end; ) {
      if (state !== null && state.dirty[at / blockSize] === 0) {
        at += blockSize;
        continue;
      }
      let stop = at + blockSize;
      while (state !== null && stop < end && state.dirty[stop / blockSize] === 1) stop += blockSize;
      const found = this.extentAt(extent, pos + at, Math.ceil(space.sizeBytes / blockSize) * blockSize - pos - at, IomapPurpose.Report);
      if (typeof found === 'number') {
        error = found;
        break;
      }
      extent = found;
      stop = Math.min(stop, endOf(found) - pos);
      if (found.type !== IomapType.Hole) {
        if (state !== null) state.writePending += stop - at;
        sent += stop - at;
        bios.add(folio, at, stop - at, found.addrBytes + pos + at - found.offset, found.type === IomapType.Unwritten ? pos + at : -1);
      }
      at = stop;
    }
    state?.dirty.fill(0);
    system.waits.unlock(folio);
    if (error !== 0) space.writebackErrors.set(error);
    if (state !== null) this.finishWrite(folio, state, 1);
    else if (sent === 0) space.endWriteback(folio);
    return error !== 0 ? error : extent;
  }
  writeEnded({ folio, lenBytes }: FolioPart, error: number): void {
    if (error !== 0) this.space.writebackErrors.set(error);
    const state = this.states.get(folio);
    if (state === undefined) this.space.endWriteback(folio);
    else this.finishWrite(folio, state, lenBytes);
  }
  private finishWrite(folio: Folio, state: FolioState, lenBytes: number): void {
    state.writePending -= lenBytes;
    if (state.writePending === 0) this.space.endWriteback(folio);
  }
  extentWritten(offset: number, lenBytes: number): number {
    return this.source.written(offset, lenBytes);
  }

  // Cutting and moving.

  extending(sizeBytes: number): void {
    if (sizeBytes > this.space.sizeBytes) extendTail(this.space, this.blockSize);
  }
  zeroRange(start: number, lenBytes: number): number {
    const { space, system } = this;
    const { waits, folios } = system;
    const end = Math.min(start + lenBytes, space.sizeBytes);
    for (let at = start; at < end; ) {
      const extent = this.begin(at, end - at, IomapPurpose.Zero);
      if (typeof extent === 'number') return extent;
      const index = Math.floor(at / PAGE_SIZE);
      let folio = space.folioAt(index);
      if (folio === 0 && extent.type !== IomapType.Mapped) {
        at = Math.min(endOf(extent), (index + 1) * PAGE_SIZE);
        continue;
      }
      if (folio === 0) folio = folioForWrite(space, index, 0, 0);
      if (folio === 0) return -Errno.ENOMEM;
      waits.lockNow(folio);
      if (!folios.test(folio, FolioFlag.Uptodate)) {
        this.readFolios([folio], false);
        waits.lockNow(folio);
      }
      const offset = at - this.posOf(folio);
      const nr = Math.min(end - at, this.sizeOf(folio) - offset, endOf(extent) - at);
      const isRead = folios.test(folio, FolioFlag.Uptodate);
      if (isRead) {
        zeroBytes(system, folio, offset, nr);
        if (extent.type !== IomapType.Hole) this.markDirty(folio, offset, nr);
      }
      waits.unlock(folio);
      if (!isRead) return -Errno.EIO;
      at += nr;
    }
    return 0;
  }
  invalidateFolio(folio: Folio, offset: number, lenBytes: number): void {
    if (offset === 0 && lenBytes === this.sizeOf(folio)) this.dropState(folio);
  }
  releaseFolio(folio: Folio): boolean {
    if (this.system.folios.test(folio, FolioFlag.Dirty | FolioFlag.Writeback)) return false;
    this.dropState(folio);
    return true;
  }
  folioMoved(from: Folio, to: Folio): void {
    const state = this.states.get(from) ?? bug('a folio with state of nobody was moved');
    this.states.delete(from);
    this.states.set(to, state);
    this.system.folios.get(to);
    this.system.putFolio(from);
  }
  hash(into: StateHash): void {
    for (const [folio, { uptodate, dirty, readPending, writePending }] of this.states) {
      into.numbers([folio, readPending, writePending]);
      into.numbers(uptodate);
      into.numbers(dirty);
    }
  }
}
const endOf = (extent: Iomap): number => extent.offset + extent.lenBytes;
