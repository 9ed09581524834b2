// Metadata of a mounted file system, in the page cache of its device. Here: one block read, changed, written, given up. Not here: the heads of
// those pages (buffer-head.ts), what the blocks mean (a format).
// Mirrors sb_bread(), mark_buffer_dirty(), sync_dirty_buffer(), bforget() (fs/buffer.c) and block/fops.c.
//
// Everything that waits here lets time pass with nothing else running, and nothing that was put off done (FolioWaits.defer): whoever asks is in
// the middle of a change.
import { PAGE_SIZE } from '#base';
import type { Folio } from '#base';
import { Bio, BioOp, SECTOR_BYTES } from '../block/bio.ts';
import type { BlockDevice } from '../block/device.ts';
import { AddressSpace } from '../mm/filemap.ts';
import { FolioFlag } from '../mm/folio.ts';
import type { MmSystem } from '../mm/system.ts';
import { invalidateMapping } from '../mm/truncate.ts';
import { Mark } from '../mm/xarray.ts';
import { Errno } from '../syscall/errno.ts';
import { BufferHeadOps } from './buffer-head.ts';
import type { BufferHead } from './buffer-head.ts';
import type { MetaBlocks, MetaBuffer } from './buffers.ts';
import { folioForWrite } from './folio-io.ts';
import type { BlockMapper } from './mapping.ts';

/** The device number, 0:this, of the file system that inodes of devices live in. */
const BDEV_MINOR = 7;

/** A block of the device is itself. */
class DeviceMap implements BlockMapper {
  readonly blockSize: number;
  constructor(blockSize: number) {
    this.blockSize = blockSize;
  }
  getBlock(index: number): { readonly block: number; readonly isNew: boolean } {
    return { block: index, isNew: false };
  }
}

class MetaBlock implements MetaBuffer {
  readonly block: number;
  readonly data: Uint8Array;
  readonly view: DataView;
  private readonly owner: DeviceBlocks;
  constructor(owner: DeviceBlocks, block: number) {
    this.owner = owner;
    this.block = block;
    this.data = new Uint8Array(owner.blockSize);
    this.view = new DataView(this.data.buffer);
  }
  markDirty(): void {
    this.owner.store(this);
  }
}

export class DeviceBlocks implements MetaBlocks {
  readonly blockSize: number;
  readonly nrBlocks: number;
  readonly isReadOnly: boolean;
  /** The device's own page cache: Buffers of /proc/meminfo. */
  readonly space: AddressSpace;
  private readonly system: MmSystem;
  private readonly device: BlockDevice;
  private readonly ops: BufferHeadOps;
  private readonly buffers = new Map<number, MetaBlock>();
  private errorsSeen: number;

  /** Takes the place of what was open of the device before, which must have been written. @param blockSize 1024 to 4096 */
  constructor(system: MmSystem, device: BlockDevice, blockSize: number) {
    this.system = system;
    this.device = device;
    this.blockSize = blockSize;
    this.nrBlocks = Math.floor(device.image.sizeBytes / blockSize);
    this.isReadOnly = device.isReadOnly;
    this.ops = new BufferHeadOps(system, device, new DeviceMap(blockSize), true);
    this.space = this.ops.space = new AddressSpace(system, 'file', null, this.ops, { ino: device.major * 2 ** 20 + device.minor, devMajor: device.major, devMinor: device.minor, bdevMinor: BDEV_MINOR });
    this.space.isUnevictable = true;
    this.space.sizeBytes = this.nrBlocks * blockSize;
    this.errorsSeen = this.space.writebackErrors.sample();
    if (device.cache !== null) invalidateMapping(device.cache, 0, Infinity);
    device.cache = this.space;
  }

  read(block: number): MetaBuffer | null {
    const folio = this.folioOf(block);
    if (folio === 0) return null;
    const head = this.headOf(folio, block);
    const known = this.buffers.get(block);
    if (known !== undefined && head.isUptodate) return known;
    if (!head.isUptodate && !this.readHead(folio, head, block)) return null;
    const buffer = known ?? new MetaBlock(this, block);
    this.system.machine.readFrame(folio, this.offsetOf(block), buffer.data);
    this.buffers.set(block, buffer);
    return buffer;
  }
  fresh(block: number): MetaBuffer | null {
    const folio = this.folioOf(block);
    if (folio === 0) return null;
    const buffer = this.buffers.get(block) ?? new MetaBlock(this, block);
    buffer.data.fill(0);
    this.put(folio, buffer);
    this.buffers.set(block, buffer);
    return buffer;
  }
  /** The page of a block; 0: there is no such block, or no memory. */
  private folioOf(block: number): Folio | 0 {
    if (!(block >= 0 && block < this.nrBlocks)) return 0;
    return folioForWrite(this.space, Math.floor((block * this.blockSize) / PAGE_SIZE), 0, 0);
  }
  private offsetOf(block: number): number {
    return (block * this.blockSize) % PAGE_SIZE;
  }
  private headOf(folio: Folio, block: number): BufferHead {
    const head = this.ops.ringOf(folio).heads[this.offsetOf(block) / this.blockSize]!;
    head.block = block;
    return head;
  }
  private readHead(folio: Folio, head: BufferHead, block: number): boolean {
    const { waits } = this.system;
    while (!waits.tryLock(folio)) waits.passTime();
    const bio = this.bio(BioOp.Read, folio, block);
    this.device.submit(bio);
    head.isUptodate = this.device.wait(bio) === 0;
    this.pageUptodate(folio);
    waits.unlock(folio);
    return head.isUptodate;
  }
  private bio(op: BioOp, folio: Folio, block: number): Bio {
    const range = { pfn: folio, offset: this.offsetOf(block), lenBytes: this.blockSize };
    return new Bio(op, (block * this.blockSize) / SECTOR_BYTES, [range], null, { isSync: true, isMeta: true });
  }
  private pageUptodate(folio: Folio): void {
    if (this.ops.ringOf(folio).heads.every((head) => head.isUptodate)) this.system.folios.set(folio, FolioFlag.Uptodate);
  }
  private put(folio: Folio, { block, data }: MetaBlock): void {
    this.system.machine.writeFrame(folio, this.offsetOf(block), data);
    this.headOf(folio, block).isUptodate = true;
    this.pageUptodate(folio);
  }
  /** A working copy goes into RAM, to be written back. Called by the copy. */
  store(buffer: MetaBlock): void {
    const folio = this.folioOf(buffer.block);
    if (folio === 0) {
      // Its page was dropped meanwhile, and there is no memory for another one: what was to be written is lost, as after a failed write.
      this.space.writebackErrors.set(-Errno.EIO);
      return;
    }
    this.put(folio, buffer);
    this.headOf(folio, buffer.block).isDirty = true;
    this.space.dirtyFolio(folio);
  }
  forget(block: number): void {
    this.buffers.delete(block);
    const folio = this.space.folioAt(Math.floor((block * this.blockSize) / PAGE_SIZE));
    const ring = folio === 0 ? null : this.ops.ringAt(folio);
    if (folio === 0 || ring === null) return;
    this.settle(folio);
    const head = this.headOf(folio, block);
    head.isDirty = head.isUptodate = false;
    this.system.folios.clear(folio, FolioFlag.Uptodate);
    if (!ring.heads.some(({ isDirty }) => isDirty)) this.space.cleanFolio(folio);
  }
  /** Waits for a write of the page that is under way. */
  private settle(folio: Folio): void {
    const { waits, folios } = this.system;
    while (folios.test(folio, FolioFlag.Writeback)) waits.passTime();
  }
  syncBlock(block: number): number {
    const folio = this.space.folioAt(Math.floor((block * this.blockSize) / PAGE_SIZE));
    const ring = folio === 0 ? null : this.ops.ringAt(folio);
    if (folio === 0 || ring === null) return 0;
    const { seq } = this.space.writebackErrors;
    this.settle(folio);
    if (this.space.writebackErrors.seq !== seq) return -Errno.EIO;
    const head = this.headOf(folio, block);
    if (!head.isDirty) return 0;
    head.isDirty = false;
    if (!ring.heads.some(({ isDirty }) => isDirty)) this.space.cleanFolio(folio);
    const bio = this.bio(BioOp.Write, folio, block);
    this.device.submit(bio);
    return this.device.wait(bio);
  }
  syncAll(): number {
    const { space, device, system } = this;
    if (this.isReadOnly) return 0;
    space.ops?.writepages({ start: 0, end: Infinity, isIntegrity: true, nrToWrite: Infinity, isCyclic: false });
    for (let folio = space.nextFolio(0, Infinity, Mark.Writeback); folio !== 0; folio = space.nextFolio(system.folios.index(folio) + 1, Infinity, Mark.Writeback)) this.settle(folio);
    const flush = new Bio(BioOp.Flush, 0, [], null, { isSync: true });
    device.submit(flush);
    const flushError = device.wait(flush);
    const error = space.writebackErrors.check(this.errorsSeen);
    this.errorsSeen = space.writebackErrors.seq;
    return error || flushError;
  }
}
