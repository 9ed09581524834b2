// One block of a directory: entries one behind the other, each saying how long it is, the last one reaching to the end (or to the checksum's place).
// Here: judging a block, finding room, putting in and taking out, the checksum. Not here: directories (dir.ts). Mirrors ext4/dir.c, namei.c.
//
// A hashed index hides in blocks that look empty to who reads entry by entry: behind '..' in the first block, behind one empty entry in others.
import { utf8Decode } from '#base';
import { crc32c } from './checksum.ts';
import type { Volume } from './volume.ts';

const HEADER_BYTES = 8;
/** The entry that holds the checksum: no inode, no name, this type. */
const TAIL_BYTES = 12;
const TAIL_TYPE = 0xde;
/** Shortest entry. */
const MIN_BYTES = 12;

export interface Entry { readonly at: number; readonly ino: number; readonly recLen: number; readonly nameLen: number; readonly type: number }

/** What entries need to know of their directory. */
export interface DirFormat {
  readonly volume: Volume;
  /** Begins the checksums of its blocks. */
  readonly seed: number;
  readonly isIndexed: boolean;
}

export const entryBytes = (nameLen: number): number => HEADER_BYTES + Math.ceil(nameLen / 4) * 4;

export function entryAt(view: DataView, at: number): Entry {
  return { at, ino: view.getUint32(at, true), recLen: view.getUint16(at + 4, true), nameLen: view.getUint8(at + 6), type: view.getUint8(at + 7) };
}
export const nameOf = (bytes: Uint8Array, { at, nameLen }: Entry): string => utf8Decode(bytes, at + HEADER_BYTES, at + HEADER_BYTES + nameLen);
export const isDot = (bytes: Uint8Array, { at, nameLen }: Entry): boolean =>
  (nameLen === 1 || (nameLen === 2 && bytes[at + HEADER_BYTES + 1] === 0x2e)) && bytes[at + HEADER_BYTES] === 0x2e;

/** Where the entries of a block end: before its checksum, if it has one. */
const entriesEnd = (dir: DirFormat): number => dir.volume.blockSize - (dir.volume.hasCsum ? TAIL_BYTES : 0);

/** Entries of a judged block, empty ones too. Ends early if the block has changed since, as on a damaged disk where it is another file's too. */
export function entriesOf(dir: DirFormat, view: DataView): Entry[] {
  const entries: Entry[] = [];
  const { blockSize } = dir.volume;
  for (let at = 0; at + MIN_BYTES <= blockSize; ) {
    const entry = entryAt(view, at);
    if (entry.recLen < Math.max(MIN_BYTES, entryBytes(entry.nameLen)) || at + entry.recLen > blockSize) break;
    entries.push(entry);
    at += entry.recLen;
  }
  return entries;
}

/** Is this a block of the index? Answers where its count and limit stand, or 0. */
function indexOffset(dir: DirFormat, view: DataView): number {
  if (!dir.isIndexed) return 0;
  const first = entryAt(view, 0);
  const { blockSize } = dir.volume;
  if (first.ino === 0 && first.recLen === blockSize) return HEADER_BYTES;
  if (first.recLen !== MIN_BYTES) return 0;
  return entryAt(view, MIN_BYTES).recLen === blockSize - MIN_BYTES ? 2 * MIN_BYTES + HEADER_BYTES : 0;
}
export const isIndexBlock = (dir: DirFormat, view: DataView): boolean => indexOffset(dir, view) !== 0;

/** What is wrong with a block that was just read; null: nothing. Mirrors __ext4_check_dir_entry() and ext4_dirblock_csum_verify(). */
export function judgeBlock(dir: DirFormat, bytes: Uint8Array, view: DataView): string | null {
  const { blockSize, hasCsum, sb } = dir.volume;
  for (let at = 0; at < blockSize; ) {
    if (at + HEADER_BYTES > blockSize) return `an entry at ${at}`;
    const { ino, recLen, nameLen } = entryAt(view, at);
    if (recLen < MIN_BYTES || recLen % 4 !== 0 || recLen < entryBytes(nameLen) || at + recLen > blockSize) return `length ${recLen} of the entry at ${at}`;
    if (ino > sb.nrInodes) return `inode ${ino} of the entry at ${at}`;
    if (ino !== 0 && nameLen === 0) return `no name in the entry at ${at}`;
    at += recLen;
  }
  if (!hasCsum) return null;
  const index = indexOffset(dir, view);
  if (index !== 0) return judgeIndex(dir, bytes, view, index);
  const tail = entryAt(view, blockSize - TAIL_BYTES);
  if (tail.ino !== 0 || tail.recLen !== TAIL_BYTES || tail.nameLen !== 0 || tail.type !== TAIL_TYPE) return 'no checksum';
  return view.getUint32(blockSize - 4, true) === leafSum(dir, bytes) ? null : 'wrong checksum';
}
function judgeIndex(dir: DirFormat, bytes: Uint8Array, view: DataView, offset: number): string | null {
  const [limit, count] = [view.getUint16(offset, true), view.getUint16(offset + 2, true)];
  const tail = offset + 8 * limit;
  if (limit === 0 || count > limit || tail + 8 > dir.volume.blockSize) return 'an index of impossible length';
  let sum = crc32c(dir.seed, bytes, 0, offset + 8 * count);
  sum = crc32c(sum, bytes, tail, tail + 4);
  return crc32c(sum, zeros) === view.getUint32(tail + 4, true) ? null : 'wrong checksum of the index';
}
const zeros = new Uint8Array(4);
const leafSum = (dir: DirFormat, bytes: Uint8Array): number => crc32c(dir.seed, bytes, 0, dir.volume.blockSize - TAIL_BYTES);

/** Computes the checksum anew; the block has its place. */
export function sealBlock(dir: DirFormat, bytes: Uint8Array, view: DataView): void {
  if (dir.volume.hasCsum) view.setUint32(dir.volume.blockSize - 4, leafSum(dir, bytes), true);
}
function putTail(dir: DirFormat, view: DataView): void {
  if (!dir.volume.hasCsum) return;
  const at = dir.volume.blockSize - TAIL_BYTES;
  view.setUint32(at, 0, true);
  view.setUint16(at + 4, TAIL_BYTES, true);
  view.setUint16(at + 6, TAIL_TYPE << 8, true);
}
export function putEntry(bytes: Uint8Array, view: DataView, at: number, recLen: number, ino: number, type: number, name: Uint8Array): void {
  view.setUint32(at, ino, true);
  view.setUint16(at + 4, recLen, true);
  view.setUint8(at + 6, name.length);
  view.setUint8(at + 7, type);
  bytes.set(name, at + HEADER_BYTES);
}

/** Makes zeros a block with one empty entry. */
export function formatBlock(dir: DirFormat, view: DataView): void {
  view.setUint16(4, entriesEnd(dir), true);
  putTail(dir, view);
}
/** Makes zeros the first block of a directory. */
export function formatFirst(dir: DirFormat, bytes: Uint8Array, view: DataView, ino: number, parent: number, type: number): void {
  putEntry(bytes, view, 0, MIN_BYTES, ino, type, dot);
  putEntry(bytes, view, MIN_BYTES, entriesEnd(dir) - MIN_BYTES, parent, type, dotdot);
  putTail(dir, view);
}
/** Makes a block of the index an ordinary one, without names but '.' and '..'. */
export function unindexBlock(dir: DirFormat, bytes: Uint8Array, view: DataView): void {
  const isRoot = indexOffset(dir, view) !== HEADER_BYTES;
  const last = isRoot ? MIN_BYTES : 0;
  bytes.fill(0, last + (isRoot ? MIN_BYTES : HEADER_BYTES));
  view.setUint16(last + 4, entriesEnd(dir) - last, true);
  putTail(dir, view);
}
const dot = new Uint8Array([0x2e]);
const dotdot = new Uint8Array([0x2e, 0x2e]);

/** Bytes that an entry could give to a new one, itself included when it is empty. */
const slack = (entry: Entry): number => (entry.ino === 0 ? entry.recLen : entry.recLen - entryBytes(entry.nameLen));
const usable = (dir: DirFormat, view: DataView): Entry[] => {
  if (isIndexBlock(dir, view)) return [];
  const end = entriesEnd(dir);
  return entriesOf(dir, view).filter(({ at }) => at < end);
};
/** The largest entry that the block has room for, in bytes. */
export const roomIn = (dir: DirFormat, view: DataView): number => usable(dir, view).reduce((most, entry) => Math.max(most, slack(entry)), 0);

/** Puts a new entry where there is room for it. @returns where it stands, or -1 */
export function insertInto(dir: DirFormat, bytes: Uint8Array, view: DataView, ino: number, type: number, name: Uint8Array): number {
  const need = entryBytes(name.length);
  const host = usable(dir, view).find((entry) => slack(entry) >= need);
  if (host === undefined) return -1;
  const taken = host.ino === 0 ? 0 : entryBytes(host.nameLen);
  if (taken > 0) view.setUint16(host.at + 4, taken, true);
  putEntry(bytes, view, host.at + taken, host.recLen - taken, ino, type, name);
  sealBlock(dir, bytes, view);
  return host.at + taken;
}
/** Takes the entry at `at` out: its bytes go to the one before it; the first of a block stays, without an inode. false: no entry stands there. */
export function eraseFrom(dir: DirFormat, bytes: Uint8Array, view: DataView, at: number): boolean {
  const entries = entriesOf(dir, view);
  const i = entries.findIndex((entry) => entry.at === at);
  if (i < 0) return false;
  const { recLen } = entries[i]!;
  if (i === 0) {
    bytes.fill(0, HEADER_BYTES, recLen);
    view.setUint32(0, 0, true);
    view.setUint16(6, 0, true);
  } else {
    view.setUint16(entries[i - 1]!.at + 4, entries[i - 1]!.recLen + recLen, true);
    bytes.fill(0, at, at + recLen);
  }
  sealBlock(dir, bytes, view);
  return true;
}
