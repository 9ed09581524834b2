// The bytes of ext2 and ext4 on disk: superblock, group descriptors, where the fields of an inode stand. Here: offsets, flags, readers and
// writers of fields. Not here: whether what is read makes sense (super.ts), what it is used for. All numbers are little-endian.
// Mirrors fs/ext4/ext4.h; the format is described in Documentation/filesystems/ext4.

export const EXT_MAGIC = 0xef53;
export const SUPER_BYTES = 1024;
/** The superblock begins here, whatever the block size. */
export const SUPER_OFFSET = 1024;

/** s_feature_compat: may be ignored. */
export const Compat = { DirPrealloc: 1, HasJournal: 4, ExtAttr: 8, ResizeInode: 0x10, DirIndex: 0x20, SparseSuper2: 0x200, OrphanFile: 0x1000 } as const;
/** s_feature_incompat: who does not know one of them must not mount. */
export const Incompat = {
  Compression: 1, Filetype: 2, Recover: 4, JournalDev: 8, MetaBg: 0x10, Extents: 0x40, Bit64: 0x80, Mmp: 0x100, FlexBg: 0x200, EaInode: 0x400,
  DirData: 0x1000, CsumSeed: 0x2000, LargeDir: 0x4000, InlineData: 0x8000, Encrypt: 0x1_0000, Casefold: 0x2_0000,
} as const;
/** s_feature_ro_compat: who does not know one of them must not write. */
export const RoCompat = {
  SparseSuper: 1, LargeFile: 2, HugeFile: 8, GdtCsum: 0x10, DirNlink: 0x20, ExtraIsize: 0x40, Quota: 0x100, Bigalloc: 0x200, MetadataCsum: 0x400,
  ReadOnly: 0x1000, Project: 0x2000, Verity: 0x8000, OrphanPresent: 0x1_0000,
} as const;
export const KNOWN_INCOMPAT = Incompat.Filetype | Incompat.Extents | Incompat.Bit64 | Incompat.FlexBg | Incompat.CsumSeed;
export const KNOWN_RO_COMPAT =
  RoCompat.SparseSuper | RoCompat.LargeFile | RoCompat.HugeFile | RoCompat.GdtCsum | RoCompat.DirNlink | RoCompat.ExtraIsize | RoCompat.MetadataCsum;

/** s_state. */
export const State = { Valid: 1, Error: 2, Orphan: 4 } as const;
/** s_errors: what to do when the structure turns out to be damaged. */
export const OnError = { Continue: 1, RemountReadOnly: 2, Panic: 3 } as const;

/** Inodes with a purpose of their own. */
export const Ino = { BadBlocks: 1, Root: 2, Resize: 7, Journal: 8, FirstOfOld: 11 } as const;

/** Byte offsets in the superblock. */
export const Sb = {
  InodesCount: 0x00, BlocksCount: 0x04, ReservedBlocks: 0x08, FreeBlocks: 0x0c, FreeInodes: 0x10, FirstDataBlock: 0x14, LogBlockSize: 0x18,
  LogClusterSize: 0x1c, BlocksPerGroup: 0x20, ClustersPerGroup: 0x24, InodesPerGroup: 0x28, MountTime: 0x2c, WriteTime: 0x30, MountCount: 0x34,
  MaxMountCount: 0x36, Magic: 0x38, State: 0x3a, Errors: 0x3c, LastCheck: 0x40, CreatorOs: 0x48, RevLevel: 0x4c, FirstIno: 0x54, InodeSize: 0x58,
  BlockGroupNr: 0x5a, Compat: 0x5c, Incompat: 0x60, RoCompat: 0x64, Uuid: 0x68, VolumeName: 0x78, LastMounted: 0x88, ReservedGdtBlocks: 0xce,
  JournalInum: 0xe0, LastOrphan: 0xe8, HashSeed: 0xec, DefHashVersion: 0xfc, DescSize: 0xfe, DefaultMountOpts: 0x100, MkfsTime: 0x108,
  BlocksCountHi: 0x150, ReservedBlocksHi: 0x154, FreeBlocksHi: 0x158, MinExtraIsize: 0x15c, WantExtraIsize: 0x15e, Flags: 0x160,
  LogGroupsPerFlex: 0x174, ChecksumType: 0x175, ErrorCount: 0x194, FirstErrorTime: 0x198, LastErrorTime: 0x1cc, BackupBgs: 0x24c, ChecksumSeed: 0x270,
  Checksum: 0x3fc,
} as const;
export const CRC32C_TYPE = 1;

export class Superblock {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  constructor(bytes: Uint8Array = new Uint8Array(SUPER_BYTES)) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  u16(at: number): number {
    return this.view.getUint16(at, true);
  }
  u32(at: number): number {
    return this.view.getUint32(at, true);
  }
  set16(at: number, n: number): void {
    this.view.setUint16(at, n, true);
  }
  set32(at: number, n: number): void {
    this.view.setUint32(at, n, true);
  }
  private wide(low: number, high: number): number {
    return this.u32(low) + (this.is64 ? this.u32(high) * 2 ** 32 : 0);
  }
  private setWide(low: number, high: number, n: number): void {
    this.set32(low, n % 2 ** 32);
    if (this.is64) this.set32(high, Math.floor(n / 2 ** 32));
  }

  /** Revision 0 has no features, and inodes of 128 bytes. */
  get isDynamic(): boolean {
    return this.u32(Sb.RevLevel) > 0;
  }
  has(set: 'compat' | 'incompat' | 'roCompat', flag: number): boolean {
    return (this[set] & flag) !== 0;
  }
  get compat(): number {
    return this.isDynamic ? this.u32(Sb.Compat) : 0;
  }
  get incompat(): number {
    return this.isDynamic ? this.u32(Sb.Incompat) : 0;
  }
  get roCompat(): number {
    return this.isDynamic ? this.u32(Sb.RoCompat) : 0;
  }
  get is64(): boolean {
    return this.has('incompat', Incompat.Bit64);
  }
  get hasMetadataCsum(): boolean {
    return this.has('roCompat', RoCompat.MetadataCsum);
  }
  /** Group descriptors carry a checksum, and flags that say what was never written. */
  get hasGroupCsum(): boolean {
    return this.has('roCompat', RoCompat.MetadataCsum | RoCompat.GdtCsum);
  }
  get hasExtents(): boolean {
    return this.has('incompat', Incompat.Extents);
  }

  get blockSize(): number {
    return 1024 << this.u32(Sb.LogBlockSize);
  }
  get nrInodes(): number {
    return this.u32(Sb.InodesCount);
  }
  get nrBlocks(): number {
    return this.wide(Sb.BlocksCount, Sb.BlocksCountHi);
  }
  set nrBlocks(n: number) {
    this.setWide(Sb.BlocksCount, Sb.BlocksCountHi, n);
  }
  get reservedBlocks(): number {
    return this.wide(Sb.ReservedBlocks, Sb.ReservedBlocksHi);
  }
  set reservedBlocks(n: number) {
    this.setWide(Sb.ReservedBlocks, Sb.ReservedBlocksHi, n);
  }
  get freeBlocks(): number {
    return this.wide(Sb.FreeBlocks, Sb.FreeBlocksHi);
  }
  set freeBlocks(n: number) {
    this.setWide(Sb.FreeBlocks, Sb.FreeBlocksHi, n);
  }
  get freeInodes(): number {
    return this.u32(Sb.FreeInodes);
  }
  set freeInodes(n: number) {
    this.set32(Sb.FreeInodes, n);
  }
  get inodeSize(): number {
    return this.isDynamic ? this.u16(Sb.InodeSize) : 128;
  }
  get firstIno(): number {
    return this.isDynamic ? this.u32(Sb.FirstIno) : Ino.FirstOfOld;
  }
  get descSize(): number {
    return this.is64 ? this.u16(Sb.DescSize) : 32;
  }
  get uuid(): Uint8Array {
    return this.bytes.subarray(Sb.Uuid, Sb.Uuid + 16);
  }
  /** Groups that hold a copy of the superblock and of the descriptors. */
  hasSuper(group: number): boolean {
    if (group === 0) return true;
    if (this.has('compat', Compat.SparseSuper2)) return group === this.u32(Sb.BackupBgs) || group === this.u32(Sb.BackupBgs + 4);
    return !this.has('roCompat', RoCompat.SparseSuper) || group === 1 || [3, 5, 7].some((base) => isPowerOf(group, base));
  }
}
function isPowerOf(n: number, base: number): boolean {
  let power = base;
  while (power < n) power *= base;
  return power === n;
}

/** bg_flags: parts of a group that were never written, and read as if they were empty. */
export const GroupFlag = { InodeUninit: 1, BlockUninit: 2, InodeZeroed: 4 } as const;

const Gd = {
  BlockBitmap: 0x00, InodeBitmap: 0x04, InodeTable: 0x08, FreeBlocks: 0x0c, FreeInodes: 0x0e, UsedDirs: 0x10, Flags: 0x12, BlockBitmapCsum: 0x18,
  InodeBitmapCsum: 0x1a, ItableUnused: 0x1c, Checksum: 0x1e,
} as const;
/** The upper halves, in descriptors of 64 bytes and more. */
const GdHi = { BlockBitmap: 0x20, InodeBitmap: 0x24, InodeTable: 0x28, FreeBlocks: 0x2c, FreeInodes: 0x2e, UsedDirs: 0x30, ItableUnused: 0x32, BlockBitmapCsum: 0x38, InodeBitmapCsum: 0x3a } as const;
export const GROUP_CHECKSUM_OFFSET = Gd.Checksum;

/** All group descriptors, in memory while a file system is mounted. */
export class GroupTable {
  readonly bytes: Uint8Array;
  readonly descSize: number;
  readonly nrGroups: number;
  private readonly view: DataView;
  private readonly isWide: boolean;
  constructor(nrGroups: number, descSize: number) {
    this.nrGroups = nrGroups;
    this.descSize = descSize;
    this.bytes = new Uint8Array(nrGroups * descSize);
    this.view = new DataView(this.bytes.buffer);
    this.isWide = descSize >= 64;
  }
  descriptor(group: number): Uint8Array {
    return this.bytes.subarray(group * this.descSize, (group + 1) * this.descSize);
  }
  private block(group: number, low: number, high: number): number {
    const at = group * this.descSize;
    return this.view.getUint32(at + low, true) + (this.isWide ? this.view.getUint32(at + high, true) * 2 ** 32 : 0);
  }
  private setBlock(group: number, low: number, high: number, n: number): void {
    const at = group * this.descSize;
    this.view.setUint32(at + low, n % 2 ** 32, true);
    if (this.isWide) this.view.setUint32(at + high, Math.floor(n / 2 ** 32), true);
  }
  private count(group: number, low: number, high: number): number {
    const at = group * this.descSize;
    return this.view.getUint16(at + low, true) + (this.isWide ? this.view.getUint16(at + high, true) * 0x1_0000 : 0);
  }
  private setCount(group: number, low: number, high: number, n: number): void {
    const at = group * this.descSize;
    this.view.setUint16(at + low, n & 0xffff, true);
    if (this.isWide) this.view.setUint16(at + high, n >>> 16, true);
  }
  blockBitmap(group: number): number {
    return this.block(group, Gd.BlockBitmap, GdHi.BlockBitmap);
  }
  inodeBitmap(group: number): number {
    return this.block(group, Gd.InodeBitmap, GdHi.InodeBitmap);
  }
  inodeTable(group: number): number {
    return this.block(group, Gd.InodeTable, GdHi.InodeTable);
  }
  place(group: number, blockBitmap: number, inodeBitmap: number, inodeTable: number): void {
    this.setBlock(group, Gd.BlockBitmap, GdHi.BlockBitmap, blockBitmap);
    this.setBlock(group, Gd.InodeBitmap, GdHi.InodeBitmap, inodeBitmap);
    this.setBlock(group, Gd.InodeTable, GdHi.InodeTable, inodeTable);
  }
  freeBlocks(group: number): number {
    return this.count(group, Gd.FreeBlocks, GdHi.FreeBlocks);
  }
  setFreeBlocks(group: number, n: number): void {
    this.setCount(group, Gd.FreeBlocks, GdHi.FreeBlocks, n);
  }
  freeInodes(group: number): number {
    return this.count(group, Gd.FreeInodes, GdHi.FreeInodes);
  }
  setFreeInodes(group: number, n: number): void {
    this.setCount(group, Gd.FreeInodes, GdHi.FreeInodes, n);
  }
  usedDirs(group: number): number {
    return this.count(group, Gd.UsedDirs, GdHi.UsedDirs);
  }
  setUsedDirs(group: number, n: number): void {
    this.setCount(group, Gd.UsedDirs, GdHi.UsedDirs, n);
  }
  itableUnused(group: number): number {
    return this.count(group, Gd.ItableUnused, GdHi.ItableUnused);
  }
  setItableUnused(group: number, n: number): void {
    this.setCount(group, Gd.ItableUnused, GdHi.ItableUnused, n);
  }
  flags(group: number): number {
    return this.view.getUint16(group * this.descSize + Gd.Flags, true);
  }
  setFlags(group: number, flags: number): void {
    this.view.setUint16(group * this.descSize + Gd.Flags, flags, true);
  }
  checksum(group: number): number {
    return this.view.getUint16(group * this.descSize + Gd.Checksum, true);
  }
  setChecksum(group: number, sum: number): void {
    this.view.setUint16(group * this.descSize + Gd.Checksum, sum, true);
  }
  /** Checksums of the bitmaps; a descriptor of 32 bytes has room for their lower half. */
  bitmapCsum(group: number, kind: 'block' | 'inode'): number {
    return kind === 'block' ? this.count(group, Gd.BlockBitmapCsum, GdHi.BlockBitmapCsum) : this.count(group, Gd.InodeBitmapCsum, GdHi.InodeBitmapCsum);
  }
  setBitmapCsum(group: number, kind: 'block' | 'inode', sum: number): void {
    if (kind === 'block') this.setCount(group, Gd.BlockBitmapCsum, GdHi.BlockBitmapCsum, sum);
    else this.setCount(group, Gd.InodeBitmapCsum, GdHi.InodeBitmapCsum, sum);
  }
  get bitmapCsumMask(): number {
    return this.isWide ? 0xffff_ffff : 0xffff;
  }
}

/** i_flags. */
export const InodeFlag = {
  Sync: 0x8, Immutable: 0x10, Append: 0x20, NoAtime: 0x80, Encrypt: 0x800, Index: 0x1000, TopDir: 0x2_0000, HugeFile: 0x4_0000, Extents: 0x8_0000,
  EaInode: 0x20_0000, InlineData: 0x1000_0000, Casefold: 0x4000_0000,
} as const;
/** What a new file takes over from its directory (EXT4_FL_INHERITED, as far as it means something here). */
export const INHERITED_FLAGS = InodeFlag.Sync | InodeFlag.NoAtime;

/** Byte offsets in an inode. From 0x80 on only in inodes larger than 128 bytes, as far as i_extra_isize goes. */
export const In = {
  Mode: 0x00, Uid: 0x02, Size: 0x04, Atime: 0x08, Ctime: 0x0c, Mtime: 0x10, Dtime: 0x14, Gid: 0x18, Links: 0x1a, Blocks: 0x1c, Flags: 0x20,
  Block: 0x28, Generation: 0x64, FileAcl: 0x68, SizeHi: 0x6c, BlocksHi: 0x74, FileAclHi: 0x76, UidHi: 0x78, GidHi: 0x7a, ChecksumLo: 0x7c,
  ExtraIsize: 0x80, ChecksumHi: 0x82, CtimeExtra: 0x84, MtimeExtra: 0x88, AtimeExtra: 0x8c, Crtime: 0x90, CrtimeExtra: 0x94,
} as const;
export const GOOD_OLD_INODE_BYTES = 128;
/** i_block: fifteen block numbers, or the root of an extent tree, or a short link's text, or a device number. */
export const I_BLOCK_BYTES = 60;
/** What a new inode has of fields beyond the first 128 bytes, up to i_projid. */
export const EXTRA_ISIZE = 32;

/** The type byte of a directory entry, by the type bits of st_mode shifted right by twelve. */
export const DIRENT_TYPES: Readonly<Record<number, number>> = { 1: 5, 2: 3, 4: 2, 6: 4, 8: 1, 10: 7, 12: 6 };
