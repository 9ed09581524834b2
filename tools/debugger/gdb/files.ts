// vFile: the guest's files, to be read by gdb: programs for their symbols, /proc/PID/maps for `info proc mappings`. Here: open, read, stat, links. Nothing is
// written, and nothing that reading changes in the kernel stays (Timeline.ask()): a file is read whole when it is opened.
// Source: "Host I/O Packets" and "File-I/O Remote Protocol Extension" in gdb's manual.
import { utf8Decode, utf8Encode } from '#base';
import { errnoName } from '#kernel';
import { Open, sizeOf } from '#kernel/fs/file.ts';
import type { Inode } from '#kernel/fs/inode.ts';
import type { Vfs } from '#kernel/fs/vfs.ts';
import type { Timeline } from '../timeline.ts';
import { fromHex, fromLatin, hexNumber, MAX_PACKET_BYTES } from './packets.ts';
import type { Inferiors } from './threads.ts';

/** errno of the File-I/O protocol. */
const FileErrno = { EPERM: 1, ENOENT: 2, EBADF: 9, EACCES: 13, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, EMFILE: 24, EFBIG: 27, EROFS: 30, ENAMETOOLONG: 91, EUNKNOWN: 9999 } as const;
const MAX_FILES = 64;
/** /dev/zero has no end. */
const MAX_FILE_BYTES = 2 ** 26;
const CHUNK_BYTES = 2 ** 16;
const STAT_BYTES = 64;

interface Stat { readonly mode: number; readonly ino: number; readonly nlink: number; readonly uid: number; readonly gid: number; readonly sizeBytes: number }
interface Opened { readonly bytes: Uint8Array; readonly stat: Stat }

export class GuestFiles {
  private readonly timeline: Timeline;
  private readonly inferiors: Inferiors;
  private readonly open = new Map<number, Opened>();

  constructor(timeline: Timeline, inferiors: Inferiors) {
    this.timeline = timeline;
    this.inferiors = inferiors;
  }

  /** What follows vFile: */
  ask(text: string): string | Uint8Array {
    const colon = text.indexOf(':');
    const [name, words] = [text.slice(0, colon), text.slice(colon + 1).split(',')];
    switch (name) {
      case 'setfs': return words.length === 1 && hexNumber(words[0]!) !== null ? 'F0' : failed(FileErrno.EINVAL);
      case 'open': return this.openFile(words);
      case 'pread': return this.read(words);
      case 'close': return this.open.delete(hexNumber(words[0] ?? '') ?? -1) ? 'F0' : failed(FileErrno.EBADF);
      case 'fstat': {
        const file = this.open.get(hexNumber(words[0] ?? '') ?? -1);
        return file === undefined ? failed(FileErrno.EBADF) : withBytes(statBytes(file.stat));
      }
      case 'stat': case 'lstat': return this.stat(words, name === 'stat');
      case 'readlink': return this.readLink(words);
      // What changes files: not from here.
      case 'pwrite': case 'unlink': return failed(FileErrno.EROFS);
      default: return '';
    }
  }
  /** FILENAME,FLAGS,MODE */
  private openFile([name = '', flags = '']: readonly string[]): string {
    const path = pathFrom(name);
    const how = hexNumber(flags);
    if (path === null || how === null) return failed(FileErrno.EINVAL);
    if ((how & Open.ACCMODE) !== 0) return failed(FileErrno.EROFS);
    if (this.open.size >= MAX_FILES) return failed(FileErrno.EMFILE);
    const opened = this.timeline.ask(({ kernel }) => readWhole(kernel.vfs, this.place(path)));
    if (typeof opened === 'number') return failed(opened);
    let fd = 3;
    while (this.open.has(fd)) fd++;
    this.open.set(fd, opened);
    return `F${fd.toString(16)}`;
  }
  /** /proc/self is the program's, not gdb's. */
  private place(path: string): string {
    const tgid = this.inferiors.running?.tgid;
    return tgid === undefined ? path : path.replace(/^\/proc\/self(?=\/|$)/, `/proc/${tgid}`);
  }
  /** FD,COUNT,OFFSET */
  private read([first = '', second = '', third = '']: readonly string[]): string | Uint8Array {
    const [fd, count, offset] = [hexNumber(first), hexNumber(second), hexNumber(third)];
    const file = this.open.get(fd ?? -1);
    if (file === undefined) return failed(FileErrno.EBADF);
    if (count === null || offset === null || count < 0 || offset < 0) return failed(FileErrno.EINVAL);
    return withBytes(file.bytes.subarray(offset, offset + Math.min(count, MAX_PACKET_BYTES / 2)));
  }
  private stat([name = '']: readonly string[], follow: boolean): string | Uint8Array {
    const path = pathFrom(name);
    if (path === null) return failed(FileErrno.EINVAL);
    const found = this.timeline.ask(({ kernel: { vfs } }) => {
      const at = vfs.lookup(this.place(path), null, follow);
      return typeof at === 'number' ? fileErrno(at) : statOf(at.inode, sizeOf(at.inode));
    });
    return typeof found === 'number' ? failed(found) : withBytes(statBytes(found));
  }
  private readLink([name = '']: readonly string[]): string | Uint8Array {
    const path = pathFrom(name);
    if (path === null) return failed(FileErrno.EINVAL);
    const text = this.timeline.ask(({ kernel: { vfs } }) => {
      const at = vfs.lookup(this.place(path), null, false);
      return typeof at === 'number' ? at : (at.inode.link?.text(null) ?? -FileErrno.EINVAL);
    });
    return typeof text === 'number' ? failed(fileErrno(text)) : withBytes(utf8Encode(text));
  }
}

/** @returns a FileErrno if it cannot be read */
function readWhole(vfs: Vfs, path: string): Opened | number {
  // Not of a fifo or a terminal that would make somebody wait.
  const file = vfs.open(null, path, Open.RDONLY | Open.NONBLOCK, 0);
  if (typeof file === 'number') return fileErrno(file);
  if (file.inode.isDirectory) return FileErrno.EISDIR;
  const parts: Uint8Array[] = [];
  let lenBytes = 0;
  for (;;) {
    const part = new Uint8Array(CHUNK_BYTES);
    const n = file.read(null, part);
    if (n < 0) return fileErrno(n);
    if (n === 0) break;
    parts.push(part.subarray(0, n));
    lenBytes += n;
    if (lenBytes > MAX_FILE_BYTES) return FileErrno.EFBIG;
  }
  const bytes = new Uint8Array(lenBytes);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { bytes, stat: statOf(file.inode, lenBytes) };
}
const statOf = ({ mode, ino, nlink, uid, gid }: Inode, sizeBytes: number): Stat => ({ mode, ino, nlink, uid, gid, sizeBytes });

/** struct stat of File-I/O: big-endian, 64 bytes. */
function statBytes({ mode, ino, nlink, uid, gid, sizeBytes }: Stat): Uint8Array {
  const bytes = new Uint8Array(STAT_BYTES);
  const view = new DataView(bytes.buffer);
  [1, ino % 2 ** 32, mode, nlink, uid, gid, 0].forEach((word, i) => { view.setUint32(4 * i, word); });
  view.setBigUint64(28, BigInt(sizeBytes));
  view.setBigUint64(36, 4096n);
  view.setBigUint64(44, BigInt(Math.ceil(sizeBytes / 512)));
  return bytes;
}
function fileErrno(answer: number): number {
  const known: Readonly<Record<string, number>> = FileErrno;
  return known[errnoName(-answer)] ?? FileErrno.EUNKNOWN;
}
const failed = (errno: number): string => `F-1,${errno.toString(16)}`;
const withBytes = (bytes: Uint8Array): Uint8Array => {
  const head = fromLatin(`F${bytes.length.toString(16)};`);
  const whole = new Uint8Array(head.length + bytes.length);
  whole.set(head);
  whole.set(bytes, head.length);
  return whole;
};
function pathFrom(digits: string): string | null {
  const bytes = fromHex(digits);
  return bytes === null || bytes.length === 0 || bytes.length > 4096 ? null : utf8Decode(bytes);
}
