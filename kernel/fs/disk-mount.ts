// Mounting a disk: where device, page cache, format and names meet. Here: which content the inodes of a format get, mounting and unmounting. Not
// here: the format (ext/), the files (disk-file.ts).
import type { BlockDevice } from '../block/device.ts';
import type { WritebackMount } from '../mm/writeback.ts';
import { DeviceNode } from './dev.ts';
import { DiskFile, type DiskContext } from './disk-file.ts';
import { DiskFlushes, startWriting, waitWritten } from './disk-sync.ts';
import { type ExtFileSystem, type ExtInode, mountExt, type MountFailure } from './ext/index.ts';
import { Fifo } from './fifo.ts';
import { FileType, type Openable } from './inode.ts';
import { DeviceBlocks } from './meta-blocks.ts';
import { type KernelView, stamp } from './view.ts';

export interface DiskMountOptions {
  readonly isReadOnly: boolean;
  /** Largest order of a folio of files that are mapped by extents. */
  readonly maxOrder?: number;
}

/** A mounted disk. */
export class DiskMount implements WritebackMount {
  readonly device: BlockDevice;
  readonly flushes: DiskFlushes;
  private readonly view: KernelView;
  private readonly maxOrder: number;
  private mounted: ExtFileSystem | null = null;
  private context: DiskContext | null = null;

  private constructor(view: KernelView, device: BlockDevice, options: DiskMountOptions) {
    this.view = view;
    this.device = device;
    this.maxOrder = options.maxOrder ?? view.params.vm.file_folio_order;
    this.flushes = new DiskFlushes(device);
  }
  /** Believes nothing of what is on the disk. */
  static mount(view: KernelView, device: BlockDevice, options: DiskMountOptions): DiskMount | MountFailure {
    const mount = new DiskMount(view, device, options);
    const fs = mountExt({
      isReadOnly: options.isReadOnly, devMajor: device.major, devMinor: device.minor, now: () => stamp(view),
      open: (blockSize) => new DeviceBlocks(view.system, device, blockSize), contentOf: (inode) => mount.contentOf(inode),
    });
    if (!('root' in fs)) return fs;
    mount.mounted = fs;
    view.system.writeback.mounts.push(mount);
    return mount;
  }
  get fs(): ExtFileSystem {
    return this.mounted!;
  }
  private contentOf(inode: ExtInode): Openable {
    if (inode.type === FileType.Fifo) return new Fifo(this.view.system);
    if (inode.type !== FileType.Regular) return new DeviceNode(this.view);
    const { view, device, flushes, maxOrder } = this;
    this.context ??= { system: view.system, view, device, flushes, maxOrder, blockSize: inode.volume.blockSize };
    return new DiskFile(this.context, inode);
  }
  writeBack(): number {
    return this.fs.writeBack();
  }
  /** Writes everything, data and metadata, and says on the disk that it was left in order. Whatever is still open may not be used any more.
   *  Nothing else runs meanwhile. @returns 0 or -errno */
  unmount(): number {
    const { system } = this.view;
    system.waits.runDeferred(); // files whose last mapping is gone
    const spaces = system.writeback.spacesOf(this.device.major, this.device.minor).filter((space) => space !== this.device.cache);
    let error = 0;
    const since = spaces.map(({ writebackErrors }) => writebackErrors.seq);
    for (const space of spaces) startWriting(space, 0, Infinity);
    waitWritten(null, spaces.map((space) => ({ space, start: 0, end: Infinity })));
    for (const [i, { writebackErrors }] of spaces.entries()) if (writebackErrors.seq !== since[i]) error = writebackErrors.error;
    const at = system.writeback.mounts.indexOf(this);
    if (at >= 0) system.writeback.mounts.splice(at, 1);
    return this.fs.unmount() || error;
  }
}
