// The simplest format there is, for tests of what lies above formats: files whose blocks are taken at random from one device, by a map in the
// host's memory. It answers one block at a time or whole extents, so that both mapping back ends run over it.
import { Prng } from '#base';
import { BlockDevice } from '#kernel/block/device.ts';
import { MemoryImage, type DiskImage } from '#kernel/block/image.ts';
import { diskPresets, type DiskLatency } from '#kernel/block/latency.ts';
import { BufferHeadOps } from '#kernel/fs/buffer-head.ts';
import { IoBuffer } from '#kernel/fs/io-buffer.ts';
import { IomapOps } from '#kernel/fs/iomap.ts';
import { type BlockMapper, type Iomap, IomapPurpose, type IomapSource, IomapType } from '#kernel/fs/mapping.ts';
import { filemapRead } from '#kernel/mm/filemap-read.ts';
import { AddressSpace, type FileRa, type IoProgress } from '#kernel/mm/filemap.ts';
import { FolioFlag } from '#kernel/mm/folio.ts';
import { newRa } from '#kernel/mm/readahead.ts';
import { guardEdges } from '#kernel/fs/folio-io.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { truncate, punchHole } from '#kernel/mm/truncate.ts';
import { Mark } from '#kernel/mm/xarray.ts';
import { bootSystem, type Options } from './mm-fixture.ts';
import type { FakeMachine } from './fake-machine.ts';

export type BackEnd = 'buffer_head' | 'iomap';

/** Free blocks of a device, taken in runs of random length. */
export class SimpleVolume {
  readonly blockSize: number;
  private readonly free: Set<number>;
  private readonly random: Prng;
  private readonly inOrder: boolean;
  /** Where the next block is taken if it is free. */
  private next = 1;
  /** @param seed null: blocks are taken in order */
  constructor(blockSize: number, nrBlocks: number, seed: number | null) {
    this.blockSize = blockSize;
    this.inOrder = seed === null;
    this.random = new Prng(seed ?? 0, 'simple-volume');
    this.free = new Set(Array.from({ length: nrBlocks - 1 }, (_, i) => i + 1));
  }
  get nrFree(): number {
    return this.free.size;
  }
  take(): number {
    if (this.free.size === 0) return -28;
    if (!this.free.has(this.next) || (!this.inOrder && this.random.below(8) === 0)) {
      const all = [...this.free];
      this.next = all[this.random.below(all.length)]!;
    }
    const block = this.next++;
    this.free.delete(block);
    return block;
  }
  give(block: number): void {
    this.free.add(block);
  }
}

export class SimpleMap implements BlockMapper, IomapSource {
  readonly blockSize: number;
  /** By block of the file. */
  readonly blocks = new Map<number, { block: number; isUnwritten: boolean }>();
  private readonly volume: SimpleVolume;
  constructor(volume: SimpleVolume) {
    this.volume = volume;
    this.blockSize = volume.blockSize;
  }
  getBlock(index: number, create: boolean): { readonly block: number; readonly isNew: boolean } | number {
    const there = this.blocks.get(index);
    if (there !== undefined) return { block: there.block, isNew: false };
    if (!create) return 0;
    const block = this.volume.take();
    if (block < 0) return block;
    this.blocks.set(index, { block, isUnwritten: false });
    return { block, isNew: true };
  }
  begin(offset: number, lenBytes: number, purpose: IomapPurpose): Iomap | number {
    const first = Math.floor(offset / this.blockSize);
    const end = Math.ceil((offset + Math.max(1, lenBytes)) / this.blockSize);
    let isNew = false;
    if (purpose === IomapPurpose.Write && !this.blocks.has(first)) {
      for (let at = first; at < end && !this.blocks.has(at); at++) {
        const block = this.volume.take();
        if (block < 0) {
          if (at === first) return block;
          break;
        }
        this.blocks.set(at, { block, isUnwritten: true });
      }
      isNew = true;
    }
    const start = this.blocks.get(first);
    let at = first + 1;
    if (start === undefined) while (at < end && !this.blocks.has(at)) at++;
    else {
      for (let next = this.blocks.get(at); at < end && next !== undefined && next.block === start.block + at - first && next.isUnwritten === start.isUnwritten; ) next = this.blocks.get(++at);
    }
    const type = start === undefined ? IomapType.Hole : start.isUnwritten ? IomapType.Unwritten : IomapType.Mapped;
    return { type, offset: first * this.blockSize, lenBytes: (at - first) * this.blockSize, addrBytes: (start?.block ?? 0) * this.blockSize, isNew };
  }
  written(offset: number, lenBytes: number): number {
    for (let at = Math.floor(offset / this.blockSize); at * this.blockSize < offset + lenBytes; at++) {
      const there = this.blocks.get(at);
      if (there !== undefined) there.isUnwritten = false;
    }
    return 0;
  }
  free(first: number, end: number): number {
    for (const [index, { block }] of [...this.blocks]) {
      if (index < first || index >= end) continue;
      this.volume.give(block);
      this.blocks.delete(index);
    }
    return 0;
  }
}

export interface SimpleOptions extends Options {
  backEnd: BackEnd;
  blockSize: number;
  diskBytes?: number;
  latency?: DiskLatency;
  maxOrder?: number;
  /** null: blocks of the disk in order. */
  seed?: number | null;
  image?: DiskImage;
}

/** A machine with a disk and one file on it; calls wait by letting time pass. */
export class SimpleFile {
  readonly machine: FakeMachine;
  readonly system: MmSystem;
  readonly disk: BlockDevice;
  readonly volume: SimpleVolume;
  readonly map: SimpleMap;
  readonly space: AddressSpace;
  readonly ra: FileRa;
  /** What a writer does that is to pause until a clock cycle; null: it goes on. */
  pause: ((until: number) => void) | null = null;
  constructor(options: SimpleOptions) {
    const { machine, system } = bootSystem(options);
    this.machine = machine;
    this.system = system;
    const { blockSize } = options;
    const image = options.image ?? new MemoryImage(new Uint8Array(options.diskBytes ?? 4 << 20).fill(0xee)); // what is free is garbage
    this.disk = new BlockDevice(system, image, options.latency ?? diskPresets[0]!);
    system.addDisk(this.disk);
    this.volume = new SimpleVolume(blockSize, Math.floor(image.sizeBytes / blockSize), options.seed === undefined ? 1 : options.seed);
    this.map = new SimpleMap(this.volume);
    const ops = options.backEnd === 'iomap' ? new IomapOps(system, this.disk, this.map, blockSize, options.maxOrder ?? 9) : new BufferHeadOps(system, this.disk, this.map);
    this.space = ops.space = new AddressSpace(system, 'file', null, ops, { ino: 12, devMajor: 254, devMinor: 0 });
    this.ra = newRa(32, 320);
  }

  /** Lets time pass until the folio that a call waits for is free, and calls again. @returns bytes, or -errno when there are none */
  private finish(step: (done: number) => IoProgress): number {
    let done = 0;
    for (;;) {
      const { moved, error, wait, until } = step(done);
      done += moved;
      if (until !== undefined) {
        this.pause?.(until);
        continue;
      }
      if (wait === 0) return done > 0 ? done : error;
      const busy = FolioFlag.Locked | FolioFlag.Writeback;
      while (this.system.folios.test(wait, busy)) if (!this.system.waits.runDeferred() && !this.system.waits.passTime()) throw new Error('a call waits for nothing');
    }
  }
  write(pos: number, bytes: Uint8Array): number {
    const ops = this.space.ops!;
    return this.finish((done) => ops.write(IoBuffer.of(bytes.subarray(done)), pos + done));
  }
  read(pos: number, lenBytes: number): Uint8Array | number {
    const into = new Uint8Array(lenBytes);
    const n = this.finish((done) => filemapRead(this.space, this.ra, pos + done, IoBuffer.of(into.subarray(done))));
    return n < 0 ? n : into.subarray(0, n);
  }
  truncate(size: number): void {
    const { space, map, volume: { blockSize } } = this;
    if (size < space.sizeBytes) {
      space.ops!.zeroRange(size, Math.ceil(size / blockSize) * blockSize - size);
      truncate(space, size);
      map.free(Math.ceil(size / blockSize), Infinity);
    } else {
      // As a write there would: what a mapping wrote behind the old end does not come to light.
      space.ops!.extending(size);
      truncate(space, size);
    }
  }
  punch(start: number, end: number): void {
    const { space, map, volume: { blockSize } } = this;
    const first = Math.ceil(start / blockSize);
    const last = Math.floor(end / blockSize);
    if (first > last) space.ops!.zeroRange(start, end - start);
    else {
      space.ops!.zeroRange(start, first * blockSize - start);
      space.ops!.zeroRange(last * blockSize, end - last * blockSize);
    }
    guardEdges(space, start, end, blockSize);
    punchHole(space, start, end);
    map.free(first, last);
  }
  /** Starts writing back. */
  flush(nrPages = Infinity): void {
    this.space.ops!.writepages({ start: 0, end: Infinity, isIntegrity: nrPages === Infinity, nrToWrite: nrPages, isCyclic: nrPages !== Infinity });
  }
  drain(): void {
    while (this.system.waits.runDeferred() || this.system.waits.passTime());
  }
  /** @returns the error that fsync would tell */
  sync(since = 0): number {
    this.flush();
    this.drain();
    if (this.space.nextFolio(0, Infinity, Mark.Dirty) !== 0 || this.space.nextFolio(0, Infinity, Mark.Writeback) !== 0) throw new Error('something is dirty after a sync');
    return this.space.writebackErrors.check(since);
  }
  /** The file as the disk alone has it. */
  onDisk(bytes: Uint8Array): Uint8Array {
    const { space, map, volume: { blockSize } } = this;
    const found = new Uint8Array(space.sizeBytes);
    for (const [index, { block, isUnwritten }] of map.blocks) {
      const at = index * blockSize;
      if (!isUnwritten && at < found.length) found.set(bytes.subarray(block * blockSize, block * blockSize + Math.min(blockSize, found.length - at)), at);
    }
    return found;
  }
  /** The folios in memory, by order: '3 0 0 2'. */
  orders(): string {
    return [...this.space.pages].map(({ order }) => order).join(' ');
  }
}
