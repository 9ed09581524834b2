// Where the sectors of a disk are. Here: the interface, an image in memory, and one that fails on purpose. Not here: time (device.ts), files of
// the host (a tool's: this room knows no host).

/** The medium. Offsets and lengths are bytes, multiples of 512, inside the image: the device has checked. */
export interface DiskImage {
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  /** false: the medium could not be read (EIO). */
  read(offset: number, into: Uint8Array): boolean;
  write(offset: number, from: Uint8Array): boolean;
  /** Everything written is durable from now on. */
  flush(): boolean;
}

/** An image that lives and dies with the machine. */
export class MemoryImage implements DiskImage {
  readonly isReadOnly: boolean;
  /** The image itself: a tool may keep it after the run. */
  readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array, isReadOnly = false) {
    this.bytes = bytes;
    this.isReadOnly = isReadOnly;
  }
  get sizeBytes(): number {
    return this.bytes.length;
  }
  read(offset: number, into: Uint8Array): boolean {
    into.set(this.bytes.subarray(offset, offset + into.length));
    return true;
  }
  write(offset: number, from: Uint8Array): boolean {
    this.bytes.set(from, offset);
    return true;
  }
  flush(): boolean {
    return true;
  }
}
