// A disk image in a file of the host. Here: DiskImage over a file, which stays sparse where nothing but zeros was ever written. Node's.
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { DiskImage } from '#kernel/block/image.ts';

export class FileImage implements DiskImage {
  readonly sizeBytes: number;
  readonly isReadOnly: boolean;
  /** Node's error of the last read or write that failed. */
  error: unknown = null;
  private readonly fd: number;
  /** Of a new file: offsets that were written; elsewhere it reads as zeros. null: anything may stand in the file. */
  private readonly written: Set<number> | null;

  /** @throws Node's errors */
  private constructor(fd: number, sizeBytes: number, isReadOnly: boolean, isNew: boolean) {
    this.fd = fd;
    this.sizeBytes = sizeBytes;
    this.isReadOnly = isReadOnly;
    this.written = isNew ? new Set() : null;
  }
  /** A file of zeros; what was there is gone. @throws Node's errors */
  static create(path: string, sizeBytes: number): FileImage {
    const fd = openSync(path, 'w+');
    ftruncateSync(fd, sizeBytes);
    return new FileImage(fd, sizeBytes, false, true);
  }
  /** @throws Node's errors */
  static open(path: string, isReadOnly: boolean): FileImage {
    const fd = openSync(path, isReadOnly ? 'r' : 'r+');
    return new FileImage(fd, fstatSync(fd).size, isReadOnly, false);
  }

  read(offset: number, into: Uint8Array): boolean {
    return this.trying(() => {
      for (let done = 0; done < into.length; ) {
        const n = readSync(this.fd, into, done, into.length - done, offset + done);
        if (n === 0) return false;
        done += n;
      }
      return true;
    });
  }
  write(offset: number, from: Uint8Array): boolean {
    if (this.written !== null) {
      if (!this.written.has(offset) && from.every((byte) => byte === 0)) return true;
      this.written.add(offset);
    }
    return this.trying(() => {
      for (let done = 0; done < from.length; ) done += writeSync(this.fd, from, done, from.length - done, offset + done);
      return true;
    });
  }
  flush(): boolean {
    return this.trying(() => {
      fsyncSync(this.fd);
      return true;
    });
  }
  close(): void {
    closeSync(this.fd);
  }
  private trying(action: () => boolean): boolean {
    try {
      return action();
    } catch (error) {
      this.error = error;
      return false;
    }
  }
}
