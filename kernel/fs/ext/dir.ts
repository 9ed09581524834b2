// Directories of an ext file system: names over blocks of entries. Here: the VFS's Directory, what is kept of a directory in memory, symbolic links.
// Not here: single blocks (dirblock.ts). Mirrors ext4/dir.c and namei.c, without their hashed index: names are found through a table in memory that
// the first lookup fills. A directory that has an index on disk keeps it while names only go; the first new name makes it an ordinary one.
//
// The position of an entry, for getdents64, is its byte offset in the directory.
import { utf8Decode, utf8Encode } from '#base';
import { Errno } from '../../syscall/errno.ts';
import type { MetaBuffer } from '../buffers.ts';
import { Dentry } from '../dentry.ts';
import { type Directory, type DirEntry, FileType, type Inode, type LinkTarget, S_IFMT } from '../inode.ts';
import { type DirFormat, entriesOf, entryAt, eraseFrom, formatBlock, formatFirst, insertInto, entryBytes, isDot, isIndexBlock, judgeBlock, nameOf, roomIn, sealBlock, unindexBlock } from './dirblock.ts';
import type { ExtInode } from './inode.ts';
import { DIRENT_TYPES, Incompat, InodeFlag } from './layout.ts';
import { FAST_LINK_BYTES } from './inode.ts';

/** Positions stay below what getdents64 takes for the end. */
const MAX_DIR_BYTES = 0x7fff_0000;
const NO_ROOM = -1;

/** One name, as the table in memory has it. */
interface Name { ino: number; type: number; readonly position: number; dentry: Dentry | null }
interface Table {
  readonly names: Map<string, Name>;
  /** By block: the largest entry it has room for. */
  readonly room: number[];
}

export class ExtDirectory implements Directory, DirFormat {
  private readonly owner: ExtInode;
  private table: Table | null = null;

  constructor(owner: ExtInode) {
    this.owner = owner;
  }
  get volume(): ExtInode['volume'] {
    return this.owner.volume;
  }
  get seed(): number {
    return this.owner.seed;
  }
  get isIndexed(): boolean {
    return (this.owner.flags & InodeFlag.Index) !== 0;
  }
  private get nrBlocks(): number {
    return this.owner.size / this.volume.blockSize;
  }

  // --- Blocks ---

  /** A block of entries, judged; -EUCLEAN, -EIO. */
  private block(index: number): MetaBuffer | number {
    const { volume, owner } = this;
    const mapped = owner.map!.getBlock(index, false);
    if (typeof mapped === 'number') return mapped < 0 ? mapped : volume.corrupt(`directory ${owner.ino}: block ${index} is a hole`);
    const buffer = volume.meta.read(mapped.block);
    if (buffer === null) return -Errno.EIO;
    if (!volume.judged.entries.has(buffer)) {
      const wrong = judgeBlock(this, buffer.data, buffer.view);
      if (wrong !== null) return volume.corrupt(`directory ${owner.ino}, block ${index}: ${wrong}`);
      volume.judged.entries.add(buffer);
    }
    return buffer;
  }
  /** One more block at the end, zeros. */
  private append(): MetaBuffer | number {
    const { volume, owner } = this;
    const index = this.nrBlocks;
    if (owner.size + volume.blockSize > MAX_DIR_BYTES) return -Errno.ENOSPC;
    const mapped = owner.map!.getBlock(index, true);
    if (typeof mapped === 'number') return mapped;
    const buffer = volume.meta.fresh(mapped.block);
    if (buffer === null) {
      owner.map!.free(index, index + 1);
      return -Errno.EIO;
    }
    volume.judged.entries.add(buffer);
    owner.size += volume.blockSize;
    return buffer;
  }
  /** Makes the first block of a new directory. @returns 0 or -errno */
  format(parentIno: number): number {
    const buffer = this.append();
    if (typeof buffer === 'number') return buffer;
    formatFirst(this, buffer.data, buffer.view, this.owner.ino, parentIno, this.typeOf(FileType.Directory));
    sealBlock(this, buffer.data, buffer.view);
    this.volume.dirty(buffer, this.owner);
    return 0;
  }
  /** The type byte of an entry; without the feature there is none. */
  private typeOf(mode: number): number {
    return this.volume.sb.has('incompat', Incompat.Filetype) ? DIRENT_TYPES[(mode & S_IFMT) >> 12]! : 0;
  }

  /** All names; -errno when a block is damaged. */
  private load(): Table | number {
    if (this.table !== null) return this.table;
    const names = new Map<string, Name>();
    const room: number[] = [];
    for (let i = 0; i < this.nrBlocks; i++) {
      const buffer = this.block(i);
      if (typeof buffer === 'number') return buffer;
      room.push(roomIn(this, buffer.view));
      for (const entry of entriesOf(this, buffer.view)) {
        if (entry.ino === 0 || isDot(buffer.data, entry)) continue;
        const name = nameOf(buffer.data, entry);
        if (!names.has(name)) names.set(name, { ino: entry.ino, type: entry.type, position: i * this.volume.blockSize + entry.at, dentry: null });
      }
    }
    this.table = { names, room };
    return this.table;
  }

  // --- What the VFS asks ---

  lookup(at: Dentry, name: string): Dentry | null | number {
    const table = this.load();
    if (typeof table === 'number') return table;
    const found = table.names.get(name);
    if (found === undefined) return null;
    const { volume, owner } = this;
    if (found.dentry !== null) return found.dentry.inode.nlink > 0 ? found.dentry : volume.corrupt(`directory ${owner.ino}: '${name}' names inode ${found.ino}, which is gone`);
    const inode = owner.fs.inodeOf(found.ino);
    if (typeof inode === 'number') return inode;
    if (inode.nlink === 0) return volume.corrupt(`directory ${owner.ino}: '${name}' names inode ${found.ino}, which is gone`);
    // A directory has one place: with two it could hold itself.
    if (inode.isDirectory && inode.hasPlace) return volume.corrupt(`directory ${owner.ino}: '${name}' names a directory that has another name`);
    inode.hasPlace = true;
    found.dentry = new Dentry(name, at, inode);
    return found.dentry;
  }

  list(_at: Dentry, position: number): readonly DirEntry[] | number {
    const entries: DirEntry[] = [];
    const { blockSize } = this.volume;
    for (let i = Math.floor(position / blockSize); i < this.nrBlocks; i++) {
      const buffer = this.block(i);
      if (typeof buffer === 'number') return buffer;
      for (const entry of entriesOf(this, buffer.view)) {
        const here = i * blockSize + entry.at;
        if (entry.ino === 0 || here < position || isDot(buffer.data, entry)) continue;
        const name = nameOf(buffer.data, entry);
        if (name.includes('/')) return -Errno.EIO;
        entries.push({ name, ino: entry.ino, mode: modeOf(entry.type), position: here });
      }
    }
    return entries;
  }

  add(at: Dentry, name: string, inode: Inode): Dentry | number {
    const made = this.insert(name, inode.ino, this.typeOf(inode.mode));
    if (typeof made === 'number') return made;
    const child = inode as ExtInode;
    child.hasPlace = true;
    child.unsyncedParent = this.owner;
    made.dentry = new Dentry(name, at, inode);
    return made.dentry;
  }
  remove(_at: Dentry, entry: Dentry): number {
    const error = this.erase(entry.name);
    if (error === 0) (entry.inode as ExtInode).hasPlace = false;
    return error;
  }

  /** Nothing is changed unless all of it can be, but for a disk that fails half way. Mirrors ext4_rename() and ext4_cross_rename(). */
  rename(source: Dentry, target: Dentry | null, to: Dentry, name: string, exchanges: boolean): number {
    const toDir = to.inode.dir as ExtDirectory;
    const [child, other] = [source.inode as ExtInode, target === null ? null : (target.inode as ExtInode)];
    const movesUp = toDir !== this && child.isDirectory;
    const otherMovesUp = toDir !== this && exchanges && other!.isDirectory;
    const up = movesUp ? (child.dir as ExtDirectory).parentBlock() : 0;
    if (typeof up === 'number' && up !== 0) return up;
    const otherUp = otherMovesUp ? (other!.dir as ExtDirectory).parentBlock() : 0;
    if (typeof otherUp === 'number' && otherUp !== 0) return otherUp;
    let error: number;
    if (other !== null) error = toDir.redirect(name, source);
    else {
      const made = toDir.insert(name, child.ino, toDir.typeOf(child.mode));
      error = typeof made === 'number' ? made : 0;
      if (typeof made !== 'number') made.dentry = source;
    }
    if (error === 0) error = exchanges ? this.redirect(source.name, target!) : this.erase(source.name);
    if (error !== 0) return error;
    if (movesUp) error = (child.dir as ExtDirectory).setParent(toDir.owner.ino);
    if (otherMovesUp) error = (other!.dir as ExtDirectory).setParent(this.owner.ino) || error;
    if (other !== null && !exchanges) other.hasPlace = false;
    child.unsyncedParent = toDir.owner;
    if (exchanges) other!.unsyncedParent = this.owner;
    return error;
  }

  isEmpty(): boolean {
    const table = this.load();
    return typeof table !== 'number' && table.names.size === 0; // what cannot be read is not taken away
  }
  size(): number {
    return this.owner.size;
  }
  make(mode: number): Inode | number {
    return this.owner.fs.make(this.owner, mode);
  }
  makeLink(text: string): Inode | number {
    return this.owner.fs.makeLink(this.owner, utf8Encode(text));
  }

  // --- Entries ---

  private insert(name: string, ino: number, type: number): Name | number {
    const table = this.load();
    if (typeof table === 'number') return table;
    if (this.isIndexed) {
      const error = this.unindex(table);
      if (error !== 0) return error;
    }
    const bytes = utf8Encode(name);
    const need = entryBytes(bytes.length);
    let index = table.room.findIndex((room) => room >= need);
    if (index < 0) {
      const buffer = this.append();
      if (typeof buffer === 'number') return buffer;
      formatBlock(this, buffer.view);
      sealBlock(this, buffer.data, buffer.view);
      this.volume.dirty(buffer, this.owner);
      index = table.room.push(roomIn(this, buffer.view)) - 1;
    }
    const buffer = this.block(index);
    if (typeof buffer === 'number') return buffer;
    const at = insertInto(this, buffer.data, buffer.view, ino, type, bytes);
    if (at === NO_ROOM) return this.volume.corrupt(`directory ${this.owner.ino}: block ${index} has changed by itself`);
    this.volume.dirty(buffer, this.owner);
    table.room[index] = roomIn(this, buffer.view);
    const made: Name = { ino, type, position: index * this.volume.blockSize + at, dentry: null };
    table.names.set(name, made);
    return made;
  }
  private erase(name: string): number {
    const found = this.find(name);
    if (typeof found === 'number') return found;
    const { buffer, at, index, table } = found;
    if (!eraseFrom(this, buffer.data, buffer.view, at)) return this.volume.corrupt(`directory ${this.owner.ino}: '${name}' has gone by itself`);
    this.volume.dirty(buffer, this.owner);
    table.room[index] = roomIn(this, buffer.view);
    table.names.delete(name);
    return 0;
  }
  /** Makes a name lead to another inode, in its place. */
  private redirect(name: string, dentry: Dentry): number {
    const found = this.find(name);
    if (typeof found === 'number') return found;
    const { buffer, at, entry } = found;
    entry.ino = dentry.inode.ino;
    entry.type = this.typeOf(dentry.inode.mode);
    entry.dentry = dentry;
    buffer.view.setUint32(at, entry.ino, true);
    buffer.view.setUint8(at + 7, entry.type);
    sealBlock(this, buffer.data, buffer.view);
    this.volume.dirty(buffer, this.owner);
    return 0;
  }
  /** A name that is there: its entry in memory, and where it stands on the disk. */
  private find(name: string): { table: Table; entry: Name; buffer: MetaBuffer; index: number; at: number } | number {
    const table = this.load();
    if (typeof table === 'number') return table;
    const entry = table.names.get(name);
    if (entry === undefined) return -Errno.ENOENT;
    const { blockSize } = this.volume;
    const index = Math.floor(entry.position / blockSize);
    const buffer = this.block(index);
    if (typeof buffer === 'number') return buffer;
    return { table, entry, buffer, index, at: entry.position % blockSize };
  }

  /** The first block, when '..' stands in it where it must. */
  private parentBlock(): MetaBuffer | number {
    const buffer = this.block(0);
    if (typeof buffer === 'number') return buffer;
    const second = entryAt(buffer.view, entryAt(buffer.view, 0).recLen % this.volume.blockSize);
    const isThere = second.nameLen === 2 && isDot(buffer.data, second);
    return isThere ? buffer : this.volume.corrupt(`directory ${this.owner.ino}: there is no '..'`);
  }
  /** Where '..' leads on the disk. */
  private setParent(ino: number): number {
    const table = this.load();
    if (typeof table === 'number') return table;
    const error = this.isIndexed ? this.unindex(table) : 0;
    if (error !== 0) return error;
    const buffer = this.parentBlock();
    if (typeof buffer === 'number') return buffer;
    buffer.view.setUint32(entryAt(buffer.view, 0).recLen, ino, true);
    sealBlock(this, buffer.data, buffer.view);
    this.volume.dirty(buffer, this.owner);
    return 0;
  }
  /** Gives the hashed index up. */
  private unindex(table: Table): number {
    for (let i = 0; i < this.nrBlocks; i++) {
      const buffer = this.block(i);
      if (typeof buffer === 'number') return buffer;
      if (!isIndexBlock(this, buffer.view)) continue;
      unindexBlock(this, buffer.data, buffer.view);
      sealBlock(this, buffer.data, buffer.view);
      this.volume.dirty(buffer, this.owner);
    }
    this.owner.flags &= ~InodeFlag.Index;
    this.owner.mapChanged();
    for (let i = 0; i < this.nrBlocks; i++) {
      const buffer = this.block(i);
      if (typeof buffer === 'number') return buffer;
      table.room[i] = roomIn(this, buffer.view);
    }
    return 0;
  }
}

/** The type bits that the type byte of an entry stands for; 0: not known. */
function modeOf(type: number): number {
  const found = Object.entries(DIRENT_TYPES).find(([, byte]) => byte === type);
  return found === undefined ? 0 : Number(found[0]) << 12;
}

/** A symbolic link: short texts stand in the inode, longer ones in a block. */
export class ExtLink implements LinkTarget {
  private readonly owner: ExtInode;
  constructor(owner: ExtInode) {
    this.owner = owner;
  }
  get size(): number {
    return this.owner.size;
  }
  text(): string | number {
    const { owner } = this;
    const { volume, size } = owner;
    if (owner.map === null) return utf8Decode(owner.iBlock, 0, size);
    if (size === 0 || size >= volume.blockSize) return volume.corrupt(`link ${owner.ino}: ${size} bytes of text`);
    const mapped = owner.map.getBlock(0, false);
    if (typeof mapped === 'number') return mapped < 0 ? mapped : volume.corrupt(`link ${owner.ino}: no text`);
    const buffer = volume.meta.read(mapped.block);
    return buffer === null ? -Errno.EIO : utf8Decode(buffer.data, 0, size);
  }
  /** Stores the text of a new link. @returns 0 or -errno */
  store(text: Uint8Array): number {
    const { owner } = this;
    if (text.length < FAST_LINK_BYTES) {
      owner.iBlock.set(text);
      owner.size = text.length;
      return 0;
    }
    if (text.length >= owner.volume.blockSize) return -Errno.ENAMETOOLONG;
    const mapped = owner.map!.getBlock(0, true);
    if (typeof mapped === 'number') return mapped;
    const buffer = owner.volume.meta.fresh(mapped.block);
    if (buffer === null) return -Errno.EIO;
    buffer.data.set(text);
    owner.volume.dirty(buffer, owner);
    owner.size = text.length;
    return 0;
  }
}
